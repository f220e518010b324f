"""A rule that is asked only after some epochs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Literal

from pydantic import Field, ModelWrapValidatorHandler, field_validator, model_validator

from a4nn_core.component import Unit
from a4nn_core.termination.base import Context, TerminationRule, Verdict
from a4nn_core.termination.inner import InnerRule, inner_rule
from a4nn_core.termination.peers import PeerJudge, PeerRule, Population
from a4nn_core.vocabulary import Action


class NotBefore(TerminationRule):
    """Judge by another rule, but train every network for some epochs first."""

    name: Literal["not-before"] = "not-before"
    epochs: Annotated[int, Unit("epochs")] = Field(ge=1)
    """epochs after which the rule is asked for the first time"""
    rule: InnerRule
    """the rule, a table as ``[termination]`` is"""

    @field_validator("rule", mode="before")
    @classmethod
    def _made(cls, rule: object) -> TerminationRule:
        return inner_rule(rule, "the rule")

    @model_validator(mode="wrap")
    @classmethod
    def _kind(cls, settings: object, make: ModelWrapValidatorHandler[NotBefore]) -> NotBefore:
        """The class that fits the rule: the search loop asks only one that compares networks."""
        made = make(settings)
        if cls is NotBefore and isinstance(made.rule, PeerRule):
            return NotBeforeAmongPeers(epochs=made.epochs, rule=made.rule)
        return made

    def judge(self, curve: Sequence[float], context: Context) -> Verdict:
        """See TerminationRule."""
        return Verdict(Action.proceed) if len(curve) < self.epochs else self.rule.judge(curve, context)


class NotBeforeAmongPeers(NotBefore, PeerRule):
    """NotBefore where the rule compares networks with each other."""

    @property
    def _inner(self) -> PeerRule:
        assert isinstance(self.rule, PeerRule)
        return self.rule

    def next_judgement(self, epochs: int, horizon: int) -> int:
        """See PeerRule. The first epoch late enough at which the rule judges."""
        due = self._inner.next_judgement(epochs, horizon)
        while due < min(self.epochs, horizon):
            due = self._inner.next_judgement(due, horizon)
        return due

    def begin(self) -> PeerJudge:
        """See PeerRule."""
        return self._inner.begin()

    def compare(self, population: Population) -> Mapping[int, Verdict]:
        """See PeerJudge."""
        return self._inner.compare(population)
