"""Training ends when all of several rules say so."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

from pydantic import Field, ModelWrapValidatorHandler, field_validator, model_validator

from a4nn_core.termination.base import Context, TerminationRule, Verdict
from a4nn_core.termination.inner import InnerRule, JudgeOfEach, inner_rules, judged_alone, mildest, of_peers
from a4nn_core.termination.peers import PeerJudge, PeerRule, Population


class AllOf(TerminationRule):
    """Stop a network when all rules do; pause it if some would stop and the others pause it. The rules see
    one curve each, or they compare networks: for rules of both kinds there is no moment at which all are
    asked."""

    name: Literal["all"] = "all"
    rules: tuple[InnerRule, ...] = Field(min_length=1)
    """the rules, each a table as ``[termination]`` is"""

    @field_validator("rules", mode="before")
    @classmethod
    def _made(cls, rules: object) -> tuple[TerminationRule, ...]:
        return inner_rules(rules)

    @field_validator("rules")
    @classmethod
    def _alike(cls, rules: tuple[TerminationRule, ...]) -> tuple[TerminationRule, ...]:
        peers = of_peers(rules)
        alone = [rule.name for rule in rules if rule not in peers]
        if peers and alone:
            raise ValueError(
                f"{peers[0].name!r} compares networks and {alone[0]!r} judges one alone, so they are never "
                "asked together; 'any' can join them"
            )
        return rules

    @model_validator(mode="wrap")
    @classmethod
    def _kind(cls, settings: object, make: ModelWrapValidatorHandler[AllOf]) -> AllOf:
        """The class that fits the rules: the search loop asks only those that compare networks."""
        made = make(settings)
        return AllOfPeers(rules=made.rules) if cls is AllOf and of_peers(made.rules) else made

    def judge(self, curve: Sequence[float], context: Context) -> Verdict:
        """See TerminationRule."""
        return judged_alone(self.rules, curve, context, mildest)


class AllOfPeers(AllOf, PeerRule):
    """AllOf where the rules compare networks with each other."""

    def next_judgement(self, epochs: int, horizon: int) -> int:
        """See PeerRule. After every epoch at which all rules judge."""
        due = (epoch for epoch in range(epochs + 1, horizon) if self._due(epoch, horizon))
        return next(due, horizon)

    def _due(self, epoch: int, horizon: int) -> bool:
        return all(rule.judges_after(epoch, horizon) for rule in of_peers(self.rules))

    def judge(self, curve: Sequence[float], context: Context) -> Verdict:
        """See PeerRule."""
        return PeerRule.judge(self, curve, context)

    def begin(self) -> PeerJudge:
        """See PeerRule."""
        return JudgeOfEach.of(self.rules, mildest)

    def compare(self, population: Population) -> Mapping[int, Verdict]:
        """See PeerJudge."""
        return self.begin().compare(population)
