"""Why networks were ended early, in words for people: what the recorded evidence of their verdicts says.

Records of earlier versions, and of rules of other packages, may lack some of it; less is said then.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from a4nn_core.jsonable import Json, members, number, text, whole
from a4nn_core.precision import PERCENT, Images, Score
from a4nn_core.termination.reasons import Reason, meaning
from a4nn_core.vocabulary import NetworkStatus

if TYPE_CHECKING:
    from a4nn_core.commons.records import Network, Run

DECIDED = "rule"
"""the evidence of a verdict made of several has the name of the rule that decided under this name"""


def places(names: Iterable[str]) -> list[str]:
    """The names under which evidence of several rules is recorded; the second of one name ends in ``-2``."""
    seen: Counter[str] = Counter()
    found = []
    for name in names:
        seen[name] += 1
        found.append(name if seen[name] == 1 else f"{name}-{seen[name]}")
    return found


@dataclass(frozen=True)
class Ending:
    """Why one network was ended early.

    Attributes:
        network: its number.
        rule: name of the rule that ended it; empty if the run did not record its rule.
        reason: the rule's reason, see ``Reason``.
        epochs, epochs_saved: epochs it was trained, and those of its budget that it was not.
        predicted, low, high: accuracy that was predicted for the end of the budget and its interval, in
            percent; of a network that restores images PSNR in decibels; None if the rule predicted nothing.
        rival: number of the network beside which it was given up; None if there is none.
        words: what the verdict rested on.
    """

    network: int
    rule: str
    reason: str
    epochs: int
    epochs_saved: int
    predicted: float | None
    low: float | None
    high: float | None
    rival: int | None
    words: str

    def __str__(self) -> str:
        return f"ended early by {self.rule}: {self.words}" if self.rule else f"ended early: {self.words}"


@dataclass(frozen=True)
class Endings:
    """The networks of one run that were ended early.

    Attributes:
        networks: all that is recorded, by number.
        rule: the run's ``[termination]``, as recorded.
        objectives: names of what networks were compared by.
        images: numbers of images that accuracies were measured on.
    """

    networks: Mapping[int, Network]
    rule: Mapping[str, Json]
    objectives: Mapping[str, object]
    images: Images

    @classmethod
    def of(cls, header: Run, networks: Mapping[int, Network]) -> Endings:
        """Those of a recorded run."""
        return cls(networks, header.settings("termination"), header.objectives or {}, header.images)

    def all(self) -> list[Ending]:
        """Of all networks that were ended early, in order."""
        found = (self.find(self.networks[number]) for number in sorted(self.networks))
        return [ending for ending in found if ending is not None]

    def find(self, network: Network) -> Ending | None:
        """Why a network was ended early; None if it was not."""
        if network.status is not NetworkStatus.stopped or network.equal_to is not None:
            return None
        held = network.termination_evidence
        name, evidence = _decisive(self.rule, held.members if held else {})
        reason = network.termination_reason or ""
        rival = whole(evidence.get("rival"))
        say = _WORDS.get(_known(reason), _meaning)
        try:
            words = say(_Verdict(self, network, name, evidence, rival))
        except _NotRecorded:
            words = _phrase(reason) or "the reason was not recorded"
        return Ending(
            network=network.network,
            rule=name,
            reason=reason,
            epochs=network.epochs_trained or 0,
            epochs_saved=network.epochs_saved(),
            predicted=network.predicted_score,
            low=network.predicted_low,
            high=network.predicted_high,
            rival=rival,
            words=words,
        )


def summary(endings: list[Ending]) -> list[str]:
    """Which rules ended how many networks, and of each rule an example: the network that was predicted to
    reach most, where the rule predicts; one line a rule."""
    lines = []
    for rule in dict.fromkeys(ending.rule for ending in endings):
        those = [ending for ending in endings if ending.rule == rule]
        example = max(those, key=_promise)
        networks = "1 network" if len(those) == 1 else f"{len(those)} networks"
        by = f" by the rule {rule}" if rule else ""
        which = "network" if len(those) == 1 else "such as network"
        lines.append(f"{networks} ended early{by}, {which} {example.network}: {example.words}")
    return lines


def _promise(ending: Ending) -> tuple[bool, float, int]:
    known = ending.predicted is not None  # 0 dB, too, is more than nothing
    return known, ending.predicted if ending.predicted is not None else 0.0, -ending.network


class _NotRecorded(Exception):
    """A number that is to be told is not in the record."""


@dataclass(frozen=True)
class _Verdict:
    """The last verdict on one network, and its numbers as text."""

    run: Endings
    network: Network
    rule: str
    evidence: Mapping[str, Json]
    rival: int | None

    def value(self, name: str) -> float:
        found = number(self.evidence.get(name))
        if found is None:
            raise _NotRecorded
        return found

    def plain(self, name: str) -> str:
        """A score that was not measured on the validation images."""
        return f"{self.value(name):.1f} {self.unit}"

    def measured(self, name: str) -> str:
        """A validation score, an accuracy with its standard error."""
        value = self.value(name)
        error = self.run.images.validation_error(value) if self.unit == PERCENT else None
        return str(Score(value, error, self.unit))

    @property
    def unit(self) -> str:
        """Of the scores of the network."""
        return self.network.score(self.run.images).unit

    def count(self, name: str) -> str:
        return f"{self.value(name):.0f}"

    @property
    def forecast(self) -> str:
        """What was forecast for the end of the budget, with its interval."""
        network, low, high = self.network, self.network.predicted_low, self.network.predicted_high
        predicted = network.predicted_score
        if predicted is None:
            raise _NotRecorded
        between = "" if low is None or high is None else f" ({low:.1f} to {high:.1f})"
        end = "" if network.epochs_budget is None else f" by epoch {network.epochs_budget}"
        return f"would probably have reached {predicted:.1f} {self.unit}{between}{end}"

    def beside(self, accuracy: str) -> str:
        """The rival, what it had reached, and what it costs."""
        return f"network {self.rival} had {accuracy}{self._cost}"

    @property
    def _cost(self) -> str:
        rival = self.run.networks.get(-1 if self.rival is None else self.rival)
        if rival is not None and "mflops" in self.run.objectives and rival.flops is not None:
            return f" at {rival.flops / 1e6:.3g} MFLOPs"
        if rival is not None and "parameters" in self.run.objectives and rival.parameters is not None:
            return f" with {rival.parameters:,} parameters"
        return ""


def _outclassed(it: _Verdict) -> str:
    if it.rival is not None and it.value("rival_accuracy") >= it.value("best"):
        return f"{it.forecast}; {it.beside(it.measured('rival_accuracy'))}"
    return f"{it.forecast}, too little above the {it.measured('best')} that it had"


def _dominated(it: _Verdict) -> str:
    error = number(it.evidence.get("front_error_percent"))
    names = ("front_accuracy_percent", "front_psnr_db")
    known = (value for name in names if (value := number(it.evidence.get(name))) is not None)
    reached = next(known, None) if error is None else 100 - error
    if reached is None:
        raise _NotRecorded
    mflops = number(it.evidence.get("front_mflops"))
    cost = "" if mflops is None else f" at {mflops:.3g} MFLOPs"
    error_of = it.run.images.validation_error(reached) if it.unit == PERCENT else None
    front = Score(reached, error_of, it.unit)
    return f"{it.forecast}; a network of the front had {front}{cost}"


def _behind(it: _Verdict) -> str:
    what = "on average" if it.rule == "median" else "at best"
    best, needed = it.measured("best"), it.plain("needed")
    return (
        f"after epoch {it.count('epoch')} its best was {best}, {needed} were needed; "
        f"network {it.rival} had {it.plain('rival_value')} {what}"
    )


def _not_promoted(it: _Verdict) -> str:
    had = f"after epoch {it.count('epoch')} its best was {it.measured('best')}"
    went_on = f"{it.count('promoted')} of {it.count('networks')} networks went on"
    if it.rival is None:
        return f"{had}; {went_on}"
    return f"{had}; {went_on}, the last of them network {it.rival} with {it.measured('rival_best')}"


def _beyond(it: _Verdict) -> str:
    kind = text(it.evidence.get("compared_by")) or ""
    show = it.plain if kind == "training" else it.measured
    rival = "" if it.rival is None else f"; {it.beside(show('rival_accuracy'))}"
    what = "accuracy" if it.unit == PERCENT else "PSNR"
    return (
        f"after epoch {it.count('epoch')} its {kind} {what} was {show('accuracy')}, in layer "
        f"{it.count('layer')} of {it.count('networks')} networks{rival}"
    )


def _meaning(it: _Verdict) -> str:
    if not it.network.termination_reason:
        raise _NotRecorded
    return _phrase(it.network.termination_reason)


def _phrase(reason: str) -> str:
    """The meaning of a reason as a part of a sentence."""
    sentence = meaning(reason)
    return sentence if _known(reason) is None else f"{sentence[0].lower()}{sentence[1:].rstrip('.')}"


_WORDS: Mapping[Reason | None, Callable[[_Verdict], str]] = {
    Reason.outclassed: _outclassed,
    Reason.queued: lambda it: f"{it.forecast}; others promised more",
    Reason.dominated: _dominated,
    Reason.no_gain: lambda it: f"{it.forecast}; it had {it.measured('best')}",
    Reason.converged: lambda it: f"its newest predictions agree on {it.plain('median')}",
    Reason.no_improvement: lambda it: (
        f"its best value, {it.measured('best')}, was reached in epoch {it.count('epoch')}"
    ),
    Reason.fixed: lambda it: f"every network gets {it.count('epochs')} epochs",
    Reason.within_error: lambda it: (
        f"its best value rose from {it.measured('before')} to {it.measured('best')}, by too little to count"
    ),
    Reason.behind_peers: _behind,
    Reason.dominated_by_peers: lambda it: (
        f"after epoch {it.count('epoch')} it had {it.measured('accuracy')}; "
        f"{it.beside(it.measured('rival_accuracy'))}"
    ),
    Reason.not_promoted: _not_promoted,
    Reason.beyond_layers: _beyond,
}


def _known(reason: str) -> Reason | None:
    try:
        return Reason(reason)
    except ValueError:
        return None


def _decisive(rule: Mapping[str, Json], evidence: Mapping[str, Json]) -> tuple[str, Mapping[str, Json]]:
    """Name and evidence of the rule that decided, which may be inside others."""
    name = text(rule.get("name")) or ""
    inner, rules = rule.get("rule"), rule.get("rules")
    if isinstance(inner, dict):
        return _decisive(inner, evidence)
    if not isinstance(rules, list):
        return "" if name == "none" else name, evidence  # imported, from a run whose rule was not recorded
    inside = [members(one) for one in rules]
    by_place = dict(zip(places(text(one.get("name")) or "" for one in inside), inside, strict=True))
    first = next(iter(evidence), "").partition(".")[0]  # all that earlier versions recorded
    place = text(evidence.get(DECIDED)) or first
    if place not in by_place:
        return name, evidence
    start = f"{place}."
    own = {key.removeprefix(start): value for key, value in evidence.items() if key.startswith(start)}
    return _decisive(by_place[place], own)
