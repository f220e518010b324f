"""The rule that most training loops have: stop when nothing has improved for a while."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import Field

from a4nn_core.component import Unit
from a4nn_core.termination.base import Context, TerminationRule, Verdict
from a4nn_core.termination.reasons import Reason
from a4nn_core.vocabulary import Action


class Patience(TerminationRule):
    """Stop a network whose best value is some epochs old."""

    name: Literal["patience"] = "patience"
    epochs: Annotated[int, Unit("epochs")] = Field(default=5, ge=1)
    """how many epochs may pass without a new best value"""
    gain: Annotated[float, Unit("the metric's")] = Field(default=0.0, ge=0, allow_inf_nan=False)
    """by how much a value must better the best one to count as new"""

    def judge(self, curve: Sequence[float], context: Context) -> Verdict:
        """See TerminationRule."""
        sign = context.direction.sign
        best, since = float("inf"), 0
        for epoch, value in enumerate(curve, start=1):
            if sign * value < best - self.gain:
                best, since = sign * value, epoch
        if len(curve) - since < self.epochs:
            return Verdict(Action.proceed)
        return Verdict(Action.stop, Reason.no_improvement, evidence={"best": sign * best, "epoch": since})
