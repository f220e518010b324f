"""Termination rules: one file each, all with the interface ``judge(curve, context) -> Verdict``."""

from a4nn_core.termination.base import (
    RULES,
    Context,
    FitRecord,
    FrontSnapshot,
    Learning,
    TerminationRule,
    Verdict,
)
from a4nn_core.termination.reasons import Reason
from a4nn_core.vocabulary import Action

__all__ = [
    "RULES",
    "Action",
    "Context",
    "FitRecord",
    "FrontSnapshot",
    "Learning",
    "Reason",
    "TerminationRule",
    "Verdict",
]
