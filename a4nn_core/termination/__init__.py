"""When to stop training a network: one file per rule, all behind ``judge(curve, context) -> Verdict``."""

from a4nn_core.termination.base import RULES, Context, FitRecord, FrontSnapshot, TerminationRule, Verdict
from a4nn_core.termination.reasons import Reason

__all__ = ["RULES", "Context", "FitRecord", "FrontSnapshot", "Reason", "TerminationRule", "Verdict"]
