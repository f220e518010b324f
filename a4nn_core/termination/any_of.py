"""Training ends when any of several rules says so."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

from pydantic import Field, ModelWrapValidatorHandler, field_validator, model_validator

from a4nn_core.termination.base import Context, TerminationRule, Verdict
from a4nn_core.termination.inner import InnerRule, JudgeOfEach, inner_rules, judged_alone, of_peers, strongest
from a4nn_core.termination.peers import PeerJudge, PeerRule, Population


class AnyOf(TerminationRule):
    """Stop a network as soon as one of the rules does, or pause it. Rules that see one curve are asked after
    every epoch, rules that compare networks whenever they judge."""

    name: Literal["any"] = "any"
    rules: tuple[InnerRule, ...] = Field(min_length=1)
    """the rules, each a table as ``[termination]`` is"""

    @field_validator("rules", mode="before")
    @classmethod
    def _made(cls, rules: object) -> tuple[TerminationRule, ...]:
        return inner_rules(rules)

    @model_validator(mode="wrap")
    @classmethod
    def _kind(cls, settings: object, make: ModelWrapValidatorHandler[AnyOf]) -> AnyOf:
        """The class that fits the rules: the search loop asks only those that compare networks."""
        made = make(settings)
        return AnyOfPeers(rules=made.rules) if cls is AnyOf and of_peers(made.rules) else made

    def judge(self, curve: Sequence[float], context: Context) -> Verdict:
        """See TerminationRule."""
        return judged_alone(self.rules, curve, context, strongest)


class AnyOfPeers(AnyOf, PeerRule):
    """AnyOf where one of the rules or more compare networks with each other."""

    def next_judgement(self, epochs: int, horizon: int) -> int:
        """See PeerRule. After every epoch at which one of the rules judges."""
        due = (epoch for epoch in range(epochs + 1, horizon) if self._due(epoch, horizon))
        return next(due, horizon)

    def _due(self, epoch: int, horizon: int) -> bool:
        return any(rule.judges_after(epoch, horizon) for rule in of_peers(self.rules))

    def begin(self) -> PeerJudge:
        """See PeerRule."""
        return JudgeOfEach.of(self.rules, strongest)

    def compare(self, population: Population) -> Mapping[int, Verdict]:
        """See PeerJudge."""
        return self.begin().compare(population)
