"""Search strategies: one file each, all with the interface ask and tell."""

from a4nn_core.search.base import (
    STRATEGIES,
    Candidate,
    Considered,
    Outcome,
    SearchSettings,
    Strategy,
    Study,
    Violation,
    no_violation,
)

__all__ = [
    "STRATEGIES",
    "Candidate",
    "Considered",
    "Outcome",
    "SearchSettings",
    "Strategy",
    "Study",
    "Violation",
    "no_violation",
]
