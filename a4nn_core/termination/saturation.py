"""Training ends when a network no longer improves by more than its validation images can tell."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import Field

from a4nn_core.component import Unit
from a4nn_core.precision import standard_error
from a4nn_core.termination.base import Context, TerminationRule, Verdict
from a4nn_core.termination.reasons import Reason
from a4nn_core.vocabulary import Action

_IN_PERCENT = ("accuracy_percent", "error_percent")


class Saturation(TerminationRule):
    """Stop a network whose best value has hardly improved over the last epochs: by less than so many standard
    errors of an accuracy measured on the validation images. Where those are not known, or the metric is not
    an accuracy, only ``gain`` counts."""

    name: Literal["saturation"] = "saturation"
    epochs: Annotated[int, Unit("epochs")] = Field(default=8, ge=1)
    """how many epochs it looks back"""
    resolution: Annotated[float, Unit("standard errors")] = Field(default=1.0, ge=0, allow_inf_nan=False)
    """improvement that counts; the errors are those of the best value"""
    gain: Annotated[float, Unit("the metric's")] = Field(default=0.0, ge=0, allow_inf_nan=False)
    """improvement that counts at least"""

    def judge(self, curve: Sequence[float], context: Context) -> Verdict:
        """See TerminationRule."""
        if len(curve) <= self.epochs:
            return Verdict(Action.proceed)
        sign = context.direction.sign
        best, before = (min(sign * value for value in part) for part in (curve, curve[: -self.epochs]))
        error = _standard_error(sign * best, context)
        if before - best > max(self.gain, self.resolution * (error or 0.0)):
            return Verdict(Action.proceed)
        evidence = {"best": sign * best, "before": sign * before, "standard_error": error}
        return Verdict(Action.stop, Reason.within_error, evidence=evidence)


def _standard_error(value: float, context: Context) -> float | None:
    """Of an accuracy or an error in percent; None if the number of images is not known."""
    if context.learning is None or context.metric not in _IN_PERCENT:
        return None
    return standard_error(value, context.learning.validation_images)
