"""How to look: one file a strategy, all behind ask and tell."""

from a4nn_core.search.base import STRATEGIES, Candidate, Outcome, SearchSettings, Strategy

__all__ = ["STRATEGIES", "Candidate", "Outcome", "SearchSettings", "Strategy"]
