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
from a4nn_core.search.history import History, Trial
from a4nn_core.search.variation import Proposal

__all__ = [
    "STRATEGIES",
    "Candidate",
    "Considered",
    "History",
    "Outcome",
    "Proposal",
    "SearchSettings",
    "Strategy",
    "Study",
    "Trial",
    "Violation",
    "no_violation",
]
