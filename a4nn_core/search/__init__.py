"""How to look: one file per strategy, all behind ask and tell."""

from a4nn_core.search.base import (
    STRATEGIES,
    Candidate,
    Outcome,
    SearchSettings,
    Strategy,
    Violation,
    no_violation,
)

__all__ = [
    "STRATEGIES",
    "Candidate",
    "Outcome",
    "SearchSettings",
    "Strategy",
    "Violation",
    "no_violation",
]
