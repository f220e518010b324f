"""When to stop training a network: one file a rule, all behind ``judge(curve, context) -> Verdict``."""

from a4nn_core.termination.base import RULES, Context, FitRecord, FrontSnapshot, TerminationRule, Verdict

__all__ = ["RULES", "Context", "FitRecord", "FrontSnapshot", "TerminationRule", "Verdict"]
