"""Pause and promote in the search loop, with a rule whose verdicts are easy to follow."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import pytest
from fakes import FakeExecutor, experiment, search
from test_workflow import Killed, rows, survive

from a4nn_core.commons import Commons, RunFolder
from a4nn_core.commons.check import check
from a4nn_core.commons.events import read_events
from a4nn_core.commons.records import Network
from a4nn_core.experiment import Experiment
from a4nn_core.replay import VirtualExecutor
from a4nn_core.termination.base import RULES, FitRecord, Verdict
from a4nn_core.termination.peers import PeerRule, Population
from a4nn_core.training.segment import Segment, SegmentResult
from a4nn_core.vocabulary import Action, NetworkStatus
from a4nn_core.workflow.promotion import judgements, segment_after, segment_ends
from a4nn_core.workflow.watcher import SearchView

STEADY = {"schedule": "steady"}


class Tops(PeerRule):
    """Trains on whatever is among the best few, and in the end a few more."""

    name: Literal["tops"] = "tops"
    keep: int = 2
    more: int = 2
    stop: bool = False

    def compare(self, population: Population) -> Mapping[int, Verdict]:
        ranked = sorted(population.members, key=lambda m: (-(m.observed.best or 0.0), m.number))
        best = {member.number for member in ranked[: self.keep + self.more * population.final]}
        last = ranked[-1].number if self.stop and len(ranked) > 5 else None
        return {n: self._verdict(n in best, n == last) for n in population.waiting}

    @staticmethod
    def _verdict(good: bool, hopeless: bool) -> Verdict:
        fit = FitRecord("tops", "rank", {"a": 1.0}, 77.0, 70.0, 80.0, None, "converged", 1.0)
        if hopeless:
            return Verdict(Action.stop, "hopeless")
        if good:
            return Verdict(Action.proceed, fits=(fit,))
        return Verdict(Action.pause, "not among the best", 77.0, (70.0, 80.0), {"rank": 3.0}, (fit,))


@pytest.fixture(autouse=True)
def _known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(RULES._paths, "tops", f"{__name__}:Tops")


def tops(**changes: Any) -> Experiment:
    rule = {"name": "tops", **changes.pop("rule", {})}
    return experiment(termination=rule, **changes)


def networks(commons: Path) -> dict[int, Network]:
    return {n.network: n for n in Commons(commons).networks("r")}


def test_judgements_cut_the_training_into_segments() -> None:
    rule = Tops()
    assert judgements(rule, 4) == {1, 2, 3}
    training = experiment(training={"epochs": 8, "segment_epochs": 3}).training
    assert segment_ends(training, experiment().termination) == [3, 6, 8]
    ends = segment_ends(experiment(training={"epochs": 4}).training, rule)
    assert ends == [1, 2, 3, 4]
    assert [segment_after(ends, epochs) for epochs in range(5)] == [(0, 1), (1, 2), (2, 3), (3, 4), (4, 4)]
    assert segment_after([4], 2) == (0, 4)


@pytest.mark.parametrize("schedule", ["generational", "steady"])
def test_the_best_are_trained_on_and_the_others_wait(tmp_path: Path, schedule: str) -> None:
    one = search(tops(search={"schedule": schedule}), tmp_path, FakeExecutor())
    found = networks(tmp_path)
    assert list(found) == list(range(12))
    trained = {n: row for n, row in found.items() if row.status is not NetworkStatus.equal}
    ranked = sorted(trained.values(), key=lambda row: -(row.best_accuracy_percent or 0.0))
    finished = [row.network for row in trained.values() if row.status is NetworkStatus.completed]
    assert {row.network for row in ranked[:4]} <= set(finished)
    assert len(finished) < len(trained)
    for row in trained.values():
        if row.status is NetworkStatus.completed:
            assert row.epochs_trained == 4
            assert row.termination_reason is None
            continue
        assert row.status is NetworkStatus.stopped
        assert row.termination_reason == "not among the best"
        assert (row.predicted_accuracy_percent, row.predicted_low, row.predicted_high) == (77, 70, 80)
        assert row.termination_evidence is not None
        assert row.termination_evidence.members == {"rank": 3.0}
        assert row.fitness
        assert row.fitness["accuracy_percent"] == row.best_accuracy_percent
        assert row.fitness_source == "measured"
        assert row.checkpoint
    assert one.paused == {}
    assert all(told is not None for told in one.reported.values())


def test_verdicts_and_predictions_are_rows(tmp_path: Path) -> None:
    search(tops(), tmp_path, FakeExecutor())
    store = Commons(tmp_path)
    paused = [n for n, row in networks(tmp_path).items() if row.status == "stopped"]
    last = store.sql(
        "select network, last(verdict order by epoch), last(reason order by epoch) from epochs group by 1"
    ).fetchall()
    assert {n for n, verdict, reason in last if (verdict, reason) == ("pause", "not among the best")} == set(
        paused
    )
    predictions = store.sql("select count(*) from predictions where function = 'tops'").fetchall()
    judged = store.sql("select count(distinct (network, epoch)) from epochs where epoch < 4").fetchall()
    assert predictions == judged
    kinds = [event.kind for event in store.events("r")]
    assert kinds.count("judged") >= len(paused)


def test_a_network_that_was_paused_is_revived_when_more_are_wanted(tmp_path: Path) -> None:
    search(tops(), tmp_path, FakeExecutor())
    revived = set()
    for number in range(12):
        actions = [
            event.data.members["action"]
            for event in read_events(RunFolder(tmp_path, "r").events)
            if event.kind == "judged" and event.network == number and event.data
        ]
        if "continue" in actions and "pause" in actions[: actions.index("continue")]:
            revived.add(number)
    assert revived


@pytest.mark.parametrize("schedule", ["generational", "steady"])
def test_a_rule_knows_who_is_in_training(
    tmp_path: Path, schedule: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Population] = []
    compare = Tops.compare

    def noting(self: Tops, population: Population) -> Mapping[int, Verdict]:
        seen.append(population)
        return compare(self, population)

    monkeypatch.setattr(Tops, "compare", noting)
    search(tops(search={"schedule": schedule}), tmp_path, FakeExecutor(one_at_a_time=True))
    assert any(population.training for population in seen) == (schedule == "steady")
    for population in seen:
        assert population.training <= {member.number for member in population.members} - population.waiting


def test_the_strategy_hears_of_progress(tmp_path: Path) -> None:
    one = search(tops(rule={"keep": 3, "more": 0}), tmp_path, FakeExecutor())
    told: dict[int, list[float]] = {}
    for event in read_events(RunFolder(tmp_path, "r").events):
        if event.kind == "told" and event.data and event.network is not None:
            fitness = event.data.members["fitness"]
            assert isinstance(fitness, dict)
            told.setdefault(event.network, []).append(float(str(fitness["error_percent"])))
    assert all(errors == sorted(errors, reverse=True) for errors in told.values())
    for member in one.strategy.members:  # type: ignore[attr-defined]
        assert member.get("F")[0] == told[member.get("number")][-1]


def test_a_network_can_be_ended_for_good(tmp_path: Path) -> None:
    search(tops(rule={"stop": True}), tmp_path, FakeExecutor())
    hopeless = [row for row in networks(tmp_path).values() if row.termination_reason == "hopeless"]
    assert hopeless
    assert all(row.status == "stopped" and row.epochs_trained for row in hopeless)


@pytest.mark.slow
def test_equal_networks_share_what_their_original_reaches(tmp_path: Path) -> None:
    what = tops(space={"phases": 1, "nodes": 2}, search={"networks": 16})
    search(what, tmp_path, FakeExecutor())
    found = networks(tmp_path)
    equal = [row for row in found.values() if row.equal_to is not None]
    assert equal
    for row in equal:
        assert row.equal_to is not None
        assert row.best_accuracy_percent == found[row.equal_to].best_accuracy_percent
        assert row.epochs_trained == 0


@pytest.mark.slow
@pytest.mark.parametrize("slots", [1, 3])
def test_verdicts_do_not_depend_on_the_machine(tmp_path: Path, slots: int) -> None:
    def train(segment: Segment) -> tuple[float, SegmentResult]:
        return 10.0 + segment.network % 4, FakeExecutor()._train(segment)

    search(tops(), tmp_path / "one", FakeExecutor())
    search(tops(), tmp_path / "other", VirtualExecutor(slots, train))
    assert rows(tmp_path / "one") == rows(tmp_path / "other")


@pytest.mark.slow
@pytest.mark.parametrize("schedule", ["generational", "steady"])
def test_a_killed_search_goes_on_as_it_would_have(tmp_path: Path, schedule: str) -> None:
    what = tops(search={"schedule": schedule}, rule={"stop": True})
    search(what, tmp_path / "whole", FakeExecutor(one_at_a_time=True))
    died: set[tuple[int, int]] = set()

    def die(segment: Segment) -> SegmentResult | None:
        place = (segment.network, segment.number)
        if place not in died and sum(place) % 2:
            died.add(place)
            raise Killed
        return None

    survive(lambda: search(what, tmp_path / "killed", FakeExecutor(die, one_at_a_time=True)))
    assert len(died) > 5
    if schedule == "generational":
        assert rows(tmp_path / "killed") == rows(tmp_path / "whole")
    found = networks(tmp_path / "killed")
    assert all(row.status in ("completed", "stopped", "equal") for row in found.values())
    ended = read_events(RunFolder(tmp_path / "killed", "r").events)
    assert [e.number for e in ended] == list(range(1, len(ended) + 1))


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["judged", "told", "submitted", "paused"])
def test_a_search_killed_at_any_event_goes_on(
    tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from a4nn_core.commons.events import EventLog

    search(tops(), tmp_path / "whole", FakeExecutor())
    real = EventLog.append
    seen = [0]

    def dying(self: EventLog, *given: Any, **more: Any) -> Any:
        event = real(self, *given, **more)
        if event.kind == kind:
            seen[0] += 1
            if seen[0] in (1, 4, 9):
                # whoever waits has been reported, and has no final records yet
                assert check(tmp_path / "killed", checkpoints=False).problems == []
                raise Killed
        return event

    monkeypatch.setattr(EventLog, "append", dying)
    survive(lambda: search(tops(), tmp_path / "killed", FakeExecutor()))
    assert seen[0] > 9
    assert rows(tmp_path / "killed") == rows(tmp_path / "whole")


def test_a_network_that_fails_when_it_is_trained_on_is_no_peer(tmp_path: Path) -> None:
    def fail(segment: Segment) -> SegmentResult | None:
        if segment.from_epoch and segment.network % 3 == 0:
            return SegmentResult(
                segment.network, segment.number, NetworkStatus.failed, error="diverged in epoch 2"
            )
        return None

    one = search(tops(rule={"keep": 4}), tmp_path, FakeExecutor(fail))
    failed = [n for n, row in networks(tmp_path).items() if row.status == "failed"]
    assert failed
    assert all(one.reported[n] is None for n in failed)


def test_watchers_see_those_that_wait(tmp_path: Path) -> None:
    class Seeing:
        waiting = 0

        def on_start(self, _: object) -> None: ...

        def on_poll(self, search: SearchView) -> None:
            self.waiting = max(self.waiting, sum(n.status == "paused" for n in search.networks.values()))

        def on_network_end(self, search: SearchView, network: Network) -> None:
            assert network.network in search.networks

    watcher = Seeing()
    search(tops(), tmp_path, FakeExecutor(one_at_a_time=True), watcher=watcher)
    assert watcher.waiting


@pytest.mark.slow
@pytest.mark.parametrize("schedule", ["generational", "steady"])
def test_all_of_ours_together_goes_on_after_kills(tmp_path: Path, schedule: str) -> None:
    """The strategy ``a4nn`` under the rule ``front``: choices and verdicts follow from the records alone."""
    what = experiment(
        search={"name": "a4nn", "schedule": schedule, "children": 30},
        termination={"name": "front"},
        training={"epochs": 6},
    )
    search(what, tmp_path / "whole", FakeExecutor(one_at_a_time=True))
    died: set[tuple[int, int]] = set()

    def die(segment: Segment) -> SegmentResult | None:
        place = (segment.network, segment.number)
        if place not in died and sum(place) % 3 == 1:
            died.add(place)
            raise Killed
        return None

    survive(lambda: search(what, tmp_path / "killed", FakeExecutor(die, one_at_a_time=True)))
    assert len(died) > 4
    found = networks(tmp_path / "killed")
    assert any(row.status == "stopped" for row in found.values())
    assert Commons(tmp_path / "killed").sql("select * from considered").fetchall()
    if schedule == "generational":
        whole, killed = rows(tmp_path / "whole"), rows(tmp_path / "killed")
        for table in whole:
            assert killed[table] == whole[table], table
