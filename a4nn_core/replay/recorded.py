"""The rule that ends training where a record ends: what happened, on another cluster."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from a4nn_core.termination.base import Context, TerminationRule, Verdict
from a4nn_core.vocabulary import Action


class AsRecorded(TerminationRule):
    """Train every network as long as its record says. It replays runs whose networks were ended early, whose
    end no other rule can know; it says what they cost, not what was lost. Only the laboratory has it."""

    name: Literal["as-recorded"] = "as-recorded"

    def judge(self, curve: Sequence[float], context: Context) -> Verdict:  # noqa: ARG002
        """Always to continue: training ends where the recorded curve does."""
        return Verdict(Action.proceed)
