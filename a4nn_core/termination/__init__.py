"""Termination rules, one file each: ``judge(curve, context) -> Verdict``, or, where networks are compared
with each other, ``compare(population) -> verdicts``."""

from a4nn_core.termination.base import (
    RULES,
    Context,
    FitRecord,
    FrontSnapshot,
    Learning,
    TerminationRule,
    Verdict,
)
from a4nn_core.termination.peers import Member, PeerRule, Population
from a4nn_core.termination.reasons import Reason
from a4nn_core.vocabulary import Action

__all__ = [
    "RULES",
    "Action",
    "Context",
    "FitRecord",
    "FrontSnapshot",
    "Learning",
    "Member",
    "PeerRule",
    "Population",
    "Reason",
    "TerminationRule",
    "Verdict",
]
