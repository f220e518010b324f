"""What the combinators share: rules inside a rule, and verdicts made of several."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated

from pydantic import SerializeAsAny, WithJsonSchema

from a4nn_core.errors import BadInput
from a4nn_core.termination.base import RULES, Context, TerminationRule, Verdict
from a4nn_core.termination.endings import DECIDED, places
from a4nn_core.termination.peers import PeerJudge, PeerRule, Population
from a4nn_core.vocabulary import Action

InnerRule = Annotated[
    SerializeAsAny[TerminationRule],
    WithJsonSchema(
        {
            "title": "Termination rule",
            "anyOf": [
                {"title": "name", "type": "string"},
                {
                    "title": "name and settings",
                    "type": "object",
                    "properties": {"name": {"type": "string"}},
                    "required": ["name"],
                },
            ],
        }
    ),
]
"""A rule as a setting of another. Its schema, for forms, leaves its settings to the registry."""


def inner_rule(settings: object, place: str) -> TerminationRule:
    """A rule inside a rule, from its name, its table, or itself.

    Raises:
        ValueError: it cannot be made; for a validator.
    """
    try:
        return RULES.make(settings, place)
    except BadInput as error:
        raise ValueError(str(error)) from None


def inner_rules(settings: object) -> tuple[TerminationRule, ...]:
    """The rules inside a rule.

    Raises:
        ValueError: it is not a list, or one of them cannot be made; for a validator.
    """
    if not isinstance(settings, list | tuple):
        raise ValueError("a list of rules is needed, such as [{ name = 'patience', epochs = 5 }, ...]")
    return tuple(inner_rule(each, f"rule {number}") for number, each in enumerate(settings, start=1))


def of_peers(rules: Sequence[TerminationRule]) -> tuple[PeerRule, ...]:
    """Those that compare networks with each other."""
    return tuple(rule for rule in rules if isinstance(rule, PeerRule))


def ask_each(
    rules: Sequence[PeerRule], judges: Sequence[PeerJudge], population: Population
) -> dict[int, list[Verdict]]:
    """The verdicts of each rule on every network that waits, in the order of the rules: to continue where a
    rule does not judge after as many epochs."""
    verdicts: dict[int, list[Verdict]] = {member.number: [] for member in population.candidates}
    for rule, judge in zip(rules, judges, strict=True):
        due = frozenset(
            member.number
            for member in population.candidates
            if rule.judges_after(member.epochs, population.horizon)
        )
        found = judge.compare(replace(population, waiting=due)) if due else {}
        for number, so_far in verdicts.items():
            so_far.append(found.get(number, Verdict(Action.proceed)))
    return verdicts


Decisive = Callable[[Sequence[Verdict]], Verdict]
"""Picks the verdict of several that counts."""


def judged_alone(
    rules: Sequence[TerminationRule], curve: Sequence[float], context: Context, decisive: Decisive
) -> Verdict:
    """One verdict of several rules on one curve."""
    verdicts = [rule.judge(curve, context) for rule in rules]
    return chosen(verdicts, decisive(verdicts), rules)


@dataclass(frozen=True)
class JudgeOfEach:
    """Rules that compare networks, at work together on one search."""

    rules: tuple[PeerRule, ...]
    judges: tuple[PeerJudge, ...]
    decisive: Decisive

    @classmethod
    def of(cls, rules: Sequence[TerminationRule], decisive: Decisive) -> JudgeOfEach:
        """Those of some rules that compare networks."""
        comparing = of_peers(rules)
        return cls(comparing, tuple(rule.begin() for rule in comparing), decisive)

    def compare(self, population: Population) -> Mapping[int, Verdict]:
        """See PeerJudge."""
        asked = ask_each(self.rules, self.judges, population)
        return {number: chosen(each, self.decisive(each), self.rules) for number, each in asked.items()}


def chosen(verdicts: Sequence[Verdict], decisive: Verdict, rules: Sequence[TerminationRule]) -> Verdict:
    """One verdict made of several: action and reason of the decisive one, the evidence of all who would end
    or pause the network, each number under its rule's name, which of them decided, and the prediction of the
    first that predicts, as records hold one an epoch.

    Args:
        verdicts: of each rule.
        decisive: one of them.
        rules: in the order of the verdicts.
    """
    evidence: dict[str, float | str | Sequence[float | None] | None] = {}
    for place, verdict in zip(places(rule.name for rule in rules), verdicts, strict=True):
        if verdict is decisive and verdict.action is not Action.proceed:
            evidence[DECIDED] = place
        if verdict.action is not Action.proceed or decisive.action is Action.proceed:
            evidence |= {f"{place}.{key}": value for key, value in verdict.evidence.items()}
    predicting = next((v for v in (decisive, *verdicts) if v.predicted is not None), decisive)
    return Verdict(
        decisive.action,
        decisive.reason,
        predicted=predicting.predicted,
        interval=predicting.interval,
        evidence=evidence,
        fits=predicting.fits,
    )


def strongest(verdicts: Sequence[Verdict]) -> Verdict:
    """The first to stop, else the first to pause, else the first."""
    return min(verdicts, key=lambda verdict: _STRENGTH.index(verdict.action))


def mildest(verdicts: Sequence[Verdict]) -> Verdict:
    """The first to continue, else the first to pause, else the first."""
    return max(verdicts, key=lambda verdict: _STRENGTH.index(verdict.action))


_STRENGTH = (Action.stop, Action.pause, Action.proceed)
