"""The rule that trains every network to the end of its budget: the published ``standalone`` runs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from a4nn_core.termination.base import Context, TerminationRule, Verdict
from a4nn_core.vocabulary import Action


class Never(TerminationRule):
    """Never stop early."""

    name: Literal["none"] = "none"

    def judge(self, curve: Sequence[float], context: Context) -> Verdict:  # noqa: ARG002
        """See TerminationRule."""
        return Verdict(Action.proceed)
