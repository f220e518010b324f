"""Why networks were ended early is said where people look, and is what the records hold."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from contextlib import redirect_stderr
from dataclasses import asdict
from functools import cache
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from command import a4nn
from fakes import FakeExecutor, experiment, search

from a4nn_core.archaeology.picture import picture
from a4nn_core.cli.progress import Progress
from a4nn_core.commons import Commons
from a4nn_core.commons.records import Network
from a4nn_core.jsonable import JsonText, to_jsonable
from a4nn_core.precision import Images, in_percent
from a4nn_core.report.document import document as report_of
from a4nn_core.termination.base import RULES, Context, FrontSnapshot, Learning
from a4nn_core.termination.endings import Ending, Endings
from a4nn_core.vocabulary import Direction, NetworkStatus
from a4nn_core.workflow.summary import Summary, summarise

IMAGES = Images(1000, 500)
FORECAST: dict[str, Any] = {"name": "front"}
EAGER = {"startup": 3, "warmup": 1}


class Ran:
    """A search that has ended: its networks and curves as recorded."""

    def __init__(self, commons: Path, rule: dict[str, Any]) -> None:
        what = experiment(termination=rule, search={"networks": 16})
        with redirect_stderr(StringIO()) as said, Progress(what) as progress:
            search(what, commons, FakeExecutor(), watcher=progress, validation=1000, test=500)
        self.said = said.getvalue().splitlines()
        self.store = Commons(commons)
        self.networks = {network.network: network for network in self.store.networks("r")}
        self.curves: dict[int, list[float]] = {}
        for epoch in self.store.epochs("r"):
            assert epoch.validation_accuracy_percent == epoch.train_accuracy_percent  # of the made-up trainer
            self.curves.setdefault(epoch.network, []).append(epoch.validation_accuracy_percent or 0.0)
        self.summary: Summary = summarise(self.store, "r")

    def mflops(self, number: int) -> float:
        return (self.networks[number].flops or 0) / 1e6

    def cost(self, number: int) -> str:
        return f"at {self.mflops(number):.3g} MFLOPs"

    def dominating(self, number: int, epochs: int) -> int:
        """Of those that had reached more by an epoch at no more cost, the one that had reached most."""
        own = max(self.curves[number][:epochs])
        better = {
            max(curve[:epochs]): other
            for other, curve in sorted(self.curves.items(), reverse=True)
            if len(curve) >= epochs
            and max(curve[:epochs]) > own
            and self.mflops(other) <= self.mflops(number)
        }
        return better[max(better)]


def measured(accuracy: float) -> str:
    return in_percent(accuracy, IMAGES.validation_error(accuracy))


def front(ran: Ran, one: Network) -> str:
    """The rival is the best network at no more cost by the end of the search, as it was judged last then."""
    rival = max(
        (n for n in sorted(ran.curves) if n != one.network and ran.mflops(n) <= ran.mflops(one.network)),
        key=lambda n: max(ran.curves[n]),
    )
    fit = next(f for f in reversed(ran.store.predictions("r")) if f.network == one.network)
    return (
        f"would probably have reached {fit.predicted:.1f} % ({fit.low:.1f} to {fit.high:.1f}) by epoch 4; "
        f"network {rival} had {measured(max(ran.curves[rival]))} {ran.cost(rival)}"
    )


def layers(ran: Ran, one: Network) -> str:
    rival = ran.dominating(one.network, 2)
    points = {n: (max(curve[:2]), -ran.mflops(n)) for n, curve in ran.curves.items()}
    layer = 1
    while one.network not in (first := nondominated(points)):
        points = {n: point for n, point in points.items() if n not in first}
        layer += 1
    own, its = (max(ran.curves[n][:2]) for n in (one.network, rival))
    return (
        f"after epoch 2 its training accuracy was {own:.1f} %, in layer {layer} of {len(ran.curves)} "
        f"networks; network {rival} had {its:.1f} % {ran.cost(rival)}"
    )


def nondominated(points: Mapping[int, tuple[float, float]]) -> set[int]:
    """Those that no other is nowhere worse than and somewhere better."""
    return {
        n
        for n, (a, b) in points.items()
        if not any((c, d) != (a, b) and c >= a and d >= b for c, d in points.values())
    }


def dominance(ran: Ran, one: Network) -> str:
    epoch = one.epochs_trained or 0
    rival = ran.dominating(one.network, epoch)
    return (
        f"after epoch {epoch} it had {measured(ran.curves[one.network][-1])}; network {rival} had "
        f"{measured(ran.curves[rival][epoch - 1])} {ran.cost(rival)}"
    )


def median(ran: Ran, one: Network) -> str:
    """What was needed depends on who had been trained as long by then; that the rival had it does not."""
    epoch = one.epochs_trained or 0
    held = one.termination_evidence.members if one.termination_evidence else {}
    needed, rival = held["needed"], held["rival"]
    assert isinstance(needed, float)
    assert isinstance(rival, int)
    average = sum(ran.curves[rival][:epoch]) / epoch
    best = max(ran.curves[one.network])
    assert best < needed <= average
    return (
        f"after epoch {epoch} its best was {measured(best)}, {needed:.1f} % were needed; network {rival} had "
        f"{average:.1f} % on average"
    )


def halving(ran: Ran, one: Network) -> str:
    epoch = one.epochs_trained or 0
    reached = sorted((max(c[:epoch]) for c in ran.curves.values() if len(c) >= epoch), reverse=True)
    promoted = len(reached) // 3
    last = reached[promoted - 1]
    rival = next(n for n, c in ran.curves.items() if len(c) >= epoch and max(c[:epoch]) == last)
    return (
        f"after epoch {epoch} its best was {measured(max(ran.curves[one.network]))}; {promoted} of "
        f"{len(reached)} networks went on, the last of them network {rival} with {measured(last)}"
    )


SAYS: Mapping[str, tuple[dict[str, Any], Callable[[Ran, Network], str]]] = {
    "front": (FORECAST, front),
    "layers": ({"name": "layers", "layers": 1}, layers),
    "dominance": ({"name": "dominance", **EAGER}, dominance),
    "median": ({"name": "median", **EAGER}, median),
    "successive-halving": ({"name": "successive-halving"}, halving),
}


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Ran]:
    """The search with a rule; each is run once."""
    return cache(lambda name: Ran(tmp_path_factory.mktemp(name), SAYS[name][0]))


@pytest.mark.slow
@pytest.mark.parametrize("name", SAYS)
def test_what_is_said_is_what_the_records_hold(name: str, ran: Callable[[str], Ran]) -> None:
    one_run, says = ran(name), SAYS[name][1]
    stopped = [n for n, network in one_run.networks.items() if network.status is NetworkStatus.stopped]
    assert [one.network for one in one_run.summary.endings] == stopped
    assert len(stopped) > 5
    for one in one_run.summary.endings:
        assert (one.rule, one.words) == (name, says(one_run, one_run.networks[one.network]))
        assert one.epochs == len(one_run.curves[one.network]) == 4 - one.epochs_saved
    assert (
        sum(one.epochs_saved for one in one_run.summary.endings)
        == one_run.summary.epochs_saved_by_termination
    )


@pytest.mark.slow
def test_it_is_said_wherever_people_look(ran: Callable[[str], Ran]) -> None:
    found = ran("front")
    endings, commons = found.summary.endings, Path(found.store.path)
    for one in endings:
        (line,) = [line for line in found.said if line.endswith(str(one))]
        assert line.startswith(f"network {one.network:>3}  ")
        assert str(one).startswith("ended early by front: would probably have reached ")
    status = a4nn("status", "r", "--commons", commons).stdout.splitlines()
    assert [line for line in status if line.startswith("network ")] == [
        f"network {one.network}, {one.epochs} of 4 epochs, {one}" for one in endings
    ]
    (one, *_) = endings
    described = a4nn("describe", "r", str(one.network), "--commons", commons).stdout.splitlines()
    assert [line for line in described if line.startswith("status")] == [
        f"status      stopped after {one.epochs} of 4 epochs, the best is epoch {one.epochs}, {one}"
    ]
    document = json.loads(a4nn("describe", "r", str(one.network), "--commons", commons, "--json").stdout)
    assert document["ending"] == to_jsonable(asdict(one))
    best = max(endings, key=lambda one: (one.predicted or 0.0, -one.network))
    said = (
        f"{len(endings)} networks ended early by the rule front, such as network {best.network}: {best.words}"
    )
    assert said in found.summary.cost()
    assert picture(found.store, "r").caption == [said]
    shown = a4nn("front", "r", "--commons", commons).stdout
    assert said in shown
    assert f"why each network was ended early: a4nn status r --commons {commons}" in shown
    (shown,) = report_of(found.store, ["r"])["runs"]
    assert {one["network"]: one["ending"] for one in shown["networks"] if one["ending"]} == {
        one.network: str(one) for one in endings
    }
    assert said in shown["exhibits"][0]["words"]


# rules that see one curve

RISING = [60.0, 70.0, 75.0, 77.0]
LEVEL = [60.0, 70.0, 74.0, 75.5, 76.0, 76.2]
FLAT = [70.0, 71.0, 71.0, 70.5]


@pytest.mark.parametrize(
    ("rule", "curve", "words"),
    [
        ({"name": "fixed", "epochs": 4}, RISING, "every network gets 4 epochs"),
        (
            {"name": "patience", "epochs": 2},
            FLAT,
            "its best value, 71.00 ± 1.44 %, was reached in epoch 2",
        ),
        (
            {"name": "saturation", "epochs": 2},
            FLAT,
            "its best value rose from 71.00 ± 1.44 % to 71.00 ± 1.44 %, by too little to count",
        ),
        (
            {"name": "converged", "tolerance": 5},
            LEVEL,
            "its newest predictions agree on {median} %",
        ),
        (
            {"name": "interval"},
            FLAT,
            "would probably have reached {predicted} % ({low} to {high}) by epoch 8; a network of the front "
            "had 99.90 ± 0.17 % at 0.1 MFLOPs",
        ),
        (
            {"name": "interval", "gain": 60},
            RISING,
            "would probably have reached {predicted} % ({low} to {high}) by epoch 8; it had 77.00 ± 1.33 %",
        ),
    ],
)
def test_the_words_of_rules_that_see_one_curve(rule: dict[str, Any], curve: list[float], words: str) -> None:
    ended = verdict_on(rule, curve, dear=rule.get("gain") != 60)
    held = ended.network.termination_evidence
    numbers = {
        "median": held.members.get("median") if held else None,
        "predicted": ended.network.predicted_accuracy_percent,
        "low": ended.network.predicted_low,
        "high": ended.network.predicted_high,
    }
    told = {name: format(value, ".1f") for name, value in numbers.items() if isinstance(value, float)}
    assert ended.ending.words == words.format(**told)
    assert ended.ending.rule == rule["name"]


class Ended:
    def __init__(self, network: Network, rule: dict[str, Any]) -> None:
        self.network = network
        found = Endings({7: network}, rule, {"mflops": "minimise"}, IMAGES).find(network)
        assert found is not None
        self.ending: Ending = found


def verdict_on(rule: dict[str, Any], curve: list[float], dear: bool = True, **changes: Any) -> Ended:
    """A network on which a rule has said its last word."""
    fronts = ({"error_percent": 0.1, "mflops": 0.1},) if dear else ()
    objectives = {"error_percent": Direction.minimise, "mflops": Direction.minimise}
    context = Context(
        horizon=8,
        fixed={"mflops": 5.0},
        front=FrontSnapshot(1, fronts, objectives),
        learning=Learning((), 50.0, 4000, 1000),
    )
    verdict = RULES.make(rule, "[termination]").judge(curve, context)
    assert verdict.action == "stop"
    low, high = verdict.interval or (None, None)
    known: dict[str, Any] = {
        "network": 7,
        "status": NetworkStatus.stopped,
        "epochs_trained": len(curve),
        "epochs_budget": 8,
        "termination_reason": str(verdict.reason),
        "termination_evidence": JsonText.of(verdict.evidence),
        "predicted_accuracy_percent": verdict.predicted,
        "predicted_low": low,
        "predicted_high": high,
    }
    return Ended(Network(**known | changes), rule)


BOTH = {"name": "any", "rules": [{"name": "fixed", "epochs": 9}, {"name": "patience", "epochs": 2}]}
TWICE = {"name": "all", "rules": [{"name": "patience", "epochs": 1}, {"name": "patience", "epochs": 2}]}
LATER = {"name": "not-before", "epochs": 3, "rule": BOTH}


@pytest.mark.parametrize("rule", [BOTH, TWICE, LATER, {"name": "any", "rules": [LATER, {"name": "none"}]}])
def test_of_several_rules_the_one_that_decided_is_named(rule: dict[str, Any]) -> None:
    for changes in ({}, {"termination_evidence": without_the_decision(verdict_on(rule, FLAT).network)}):
        ending = verdict_on(rule, FLAT, **changes).ending
        assert ending.rule == "patience"
        assert ending.words == "its best value, 71.00 ± 1.44 %, was reached in epoch 2"


def without_the_decision(network: Network) -> JsonText:
    """As earlier versions recorded the evidence."""
    assert network.termination_evidence
    held = network.termination_evidence.members
    return JsonText.of({key: value for key, value in held.items() if not key.endswith("rule")})


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"termination_evidence": None}, "its best value is as many epochs old as the rule has patience"),
        ({"termination_reason": "hopeless"}, "hopeless"),
        ({"termination_reason": None, "termination_evidence": None}, "the reason was not recorded"),
    ],
)
def test_less_is_said_where_less_is_recorded(changes: dict[str, Any], words: str) -> None:
    assert verdict_on({"name": "patience", "epochs": 2}, FLAT, **changes).ending.words == words


def test_an_imported_run_has_no_rule() -> None:
    network = verdict_on({"name": "fixed", "epochs": 4}, RISING).network
    (ending,) = Endings({7: network}, {"name": "none"}, {}, IMAGES).all()
    assert str(ending) == "ended early: every network gets 4 epochs"


def test_whoever_was_trained_to_the_end_was_not_ended() -> None:
    done = Network(network=1, status=NetworkStatus.completed)
    assert Endings({1: done}, {}, {}, IMAGES).all() == []
