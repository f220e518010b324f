"""The rule that gives every network the same epochs: what any other rule must beat at the same cost."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import Field

from a4nn_core.component import Unit
from a4nn_core.termination.base import Context, TerminationRule, Verdict
from a4nn_core.termination.reasons import Reason
from a4nn_core.vocabulary import Action


class Fixed(TerminationRule):
    """Stop every network after the same number of epochs, without shortening its learning-rate schedule."""

    name: Literal["fixed"] = "fixed"
    epochs: Annotated[int, Unit("epochs")] = Field(ge=1)
    """epochs that every network gets"""

    def judge(self, curve: Sequence[float], context: Context) -> Verdict:  # noqa: ARG002
        """See TerminationRule."""
        if len(curve) < self.epochs:
            return Verdict(Action.proceed)
        return Verdict(Action.stop, Reason.fixed, evidence={"epochs": len(curve)})
