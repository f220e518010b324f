"""What ends a run early: its budget, and a front that no longer grows."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from command import SMALL, a4nn
from fakes import FakeExecutor, experiment, search
from made_up import accuracy, line
from test_training import CPU, segment
from test_workflow import Killed, survive

from a4nn_core.budget import Budget, Spent
from a4nn_core.commons import Commons, Journal, RunFolder, RunWriter, read_epochs
from a4nn_core.commons.events import read_events
from a4nn_core.commons.records import Event
from a4nn_core.errors import BadInput
from a4nn_core.experiment import Experiment, load_experiment
from a4nn_core.search.stop import Growth
from a4nn_core.training.loading import DeviceData
from a4nn_core.training.segment import Segment, SegmentResult
from a4nn_core.training.trainer import train_segment
from a4nn_core.vocabulary import Direction, EventKind, NetworkStatus
from a4nn_core.workflow import preflight, spending
from a4nn_core.workflow.concerns import _of_budget, _of_search
from a4nn_core.workflow.devices import Machine
from a4nn_core.workflow.run import execute
from a4nn_core.workflow.spending import Spending, session_seconds, spent_by


class Epochwise(FakeExecutor):
    """Trains an epoch of each segment whenever it is asked for results, and ends them as a worker does."""

    def completed(self, timeout: float) -> list[SegmentResult]:
        del timeout
        results = [result for one in self.waiting if (result := self._epoch(one)) is not None]
        ended = {result.network for result in results}
        self.waiting = [one for one in self.waiting if one.network not in ended]
        return results

    def _epoch(self, one: Segment) -> SegmentResult | None:
        folder = RunFolder(Path(one.commons), one.run_id)
        done, epochs = len(read_epochs(folder.journal(one.network))), one.training.epochs
        if folder.ending.exists():
            return SegmentResult(one.network, one.number, NetworkStatus.paused, cut=True)
        with Journal(folder.journal(one.network)) as journal:
            journal.append(line(done + 1, accuracy(one, done + 1), one.number))
        if done + 1 < epochs:
            return None
        return SegmentResult(one.network, one.number, NetworkStatus.completed, test_accuracy_percent=50.0)


def run(what: Experiment, commons: Path, executor: FakeExecutor) -> None:
    execute(what, commons, "r", lambda _: executor)


def results(commons: Path) -> list[tuple[Any, ...]]:
    names = ("network", "genome", "status", "best_accuracy_percent", "epochs_trained", "fitness")
    return [tuple(getattr(one, name) for name in names) for one in Commons(commons).networks("r")]


# settings


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ("budget.hours=0", "[budget] hours = 0: input should be greater than 0"),
        ("budget.kwh=inf", "[budget] kwh = inf: input should be a finite number"),
        ("budget.epochs=2.5", "[budget] epochs = 2.5: input should be a valid integer"),
        (
            "budget.weeks=1",
            "[budget] has no key 'weeks'; known keys: hours, gpu_hours, kwh, gigabytes, epochs",
        ),
        ("budget={}", "budget = {}: give at least one of hours, gpu_hours, kwh, gigabytes, epochs"),
        ("budget.kwh=2", "[budget] kwh = 2 needs [training] energy = true: energy is not recorded"),
        (
            "search.stop.no_growth=0",
            "[search] [stop] no_growth = 0: input should be greater than or equal to 1",
        ),
        ("search.stop={}", "[search] [stop] lacks the key 'no_growth'"),
    ],
)
def test_a_budget_that_makes_no_sense_is_one_sentence(change: str, sentence: str) -> None:
    with pytest.raises(BadInput) as refused:
        load_experiment("digits", [change])
    assert sentence in str(refused.value)


def test_what_is_used_up_is_said_in_its_unit() -> None:
    budget = Budget(hours=2, gflop_epochs=5000)
    assert budget.used_up(Spent(hours=1.999, epochs=10**6)) is None
    assert budget.used_up(Spent(hours=2.0125)) == "2.013 of 2 hours"
    assert budget.used_up(Spent(gflop_epochs=5000)) == "5,000 of 5,000 GFLOP-epochs"
    assert Spent.sum([Spent(hours=1, epochs=2), Spent(hours=2, kwh=3)]) == Spent(hours=3, epochs=2, kwh=3)


# a run


@pytest.mark.slow
def test_a_run_ends_cleanly_and_goes_on_with_a_larger_budget(tmp_path: Path) -> None:
    whole = experiment()
    run(whole, tmp_path / "whole", Epochwise())
    ended = Epochwise()
    run(experiment(budget={"epochs": 21}), tmp_path / "cut", ended)
    store = Commons(tmp_path / "cut")
    header = store.run("r")
    # 4 networks at once: what was in training ended its epoch, and nothing was started after that
    assert header.status == "interrupted"
    assert header.error is None
    assert header.stopped is not None
    trained = len(store.epochs("r"))
    assert header.stopped == f"its budget is used up: {trained} of 21 epochs"
    assert 21 <= trained < 21 + ended.slots
    assert not RunFolder(tmp_path / "cut", "r").ending.exists()
    last = store.events("r")[-1]
    assert last.data is not None
    assert (last.kind, last.data.members) == ("interrupted", {"stopped": header.stopped})
    assert "ended early: its budget is used up" in a4nn("front", "r", "--commons", tmp_path / "cut").stdout
    assert "--set budget.NAME=AMOUNT" in a4nn("front", "r", "--commons", tmp_path / "cut").stdout
    shown = a4nn("status", "r", "--commons", tmp_path / "cut").stdout
    assert f"interrupted: its budget is used up: {trained} of 21 epochs" in shown
    assert "budget used up" in a4nn("status", "--commons", tmp_path / "cut").stdout

    again = Epochwise()
    run(experiment(budget={"epochs": 21}), tmp_path / "cut", again)  # the same budget: nothing is trained
    assert (again.waiting, len(store.epochs("r"))) == ([], trained)
    run(experiment(budget={"epochs": trained + 2}), tmp_path / "cut", Epochwise())
    assert store.run("r").status == "interrupted"
    assert len(store.epochs("r")) > trained
    run(whole, tmp_path / "cut", Epochwise())  # and without any
    header = store.run("r")
    assert (header.status, header.stopped) == ("completed", None)
    assert "budget" not in (header.experiment.members if header.experiment else {})
    assert results(tmp_path / "cut") == results(tmp_path / "whole")
    assert not any(e.kind == "failed" for e in store.events("r"))


@pytest.mark.slow
def test_nothing_else_of_a_run_may_change(tmp_path: Path) -> None:
    run(experiment(budget={"epochs": 5}), tmp_path, Epochwise())
    with pytest.raises(BadInput, match=r"was started with experiment\.training\.epochs = 4, not 5"):
        run(experiment(budget={"epochs": 50}, training={"epochs": 5}), tmp_path, Epochwise())
    done = a4nn("run", "--run-id", "r", "--set", "training.epochs=9", "--commons", tmp_path)
    assert done.returncode == 2
    assert "except [budget]" in done.stderr


def test_hours_count_over_sessions_of_which_one_was_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin = datetime(2026, 1, 1, tzinfo=UTC)

    def event(number: int, kind: str, minutes: float) -> Event:
        return Event(number=number, kind=kind, time=begin + timedelta(minutes=minutes))

    log = [event(1, "started", 0), event(2, "asked", 1), event(3, "submitted", 2)]  # killed at work
    log += [event(4, "resumed", 600), event(5, "told", 630), event(6, "interrupted", 660)]
    assert session_seconds(log) == 62 * 60
    epochs = [begin + timedelta(minutes=m) for m in (3, 45, 610)]
    assert session_seconds(log, epochs) == (45 + 60) * 60
    assert session_seconds(log, epochs, begin + timedelta(minutes=670)) == (45 + 70) * 60

    now = 0.0
    monkeypatch.setattr(spending.time, "monotonic", lambda: now)
    what = experiment()
    search(what, tmp_path, FakeExecutor())
    with RunWriter.open(tmp_path, "r", header_of(tmp_path)) as writer:
        monkeypatch.setattr(spending, "session_seconds", lambda *_: 3600.0)
        spent = Spending(Budget(hours=1.5), writer, (), share=1, on_gpu=False)
        assert spent.used_up({}) is None
        now = 1800.0
        assert spent.used_up({}) == "1.5 of 1.5 hours"


def header_of(commons: Path) -> dict[str, Any]:
    """The header of the run, to open it again."""
    header: dict[str, Any] = json.loads(RunFolder(commons, "r").run_file.read_text())["header"]
    return header


@pytest.mark.slow
def test_what_a_run_has_used_agrees_with_its_records(tmp_path: Path) -> None:
    run(experiment(budget={"epochs": 30}), tmp_path, Epochwise())
    store, folder = Commons(tmp_path), RunFolder(tmp_path, "r")
    spent = spent_by(store, "r")
    epochs = store.epochs("r")
    assert spent.epochs == len(epochs)
    header = store.run("r")
    assert header.started is not None
    assert header.ended is not None
    assert spent.hours == pytest.approx((header.ended - header.started).total_seconds() / 3600, abs=0.01)
    assert spent.gigabytes == sum(p.stat().st_size for p in folder.path.rglob("*") if p.is_file()) / 1e9
    assert (spent.gpu_hours, spent.kwh) == (0.0, 0.0)
    # of networks that were cut off, the cost follows from the genome that was asked for
    flops = {n.network: n.flops or 0 for n in store.networks("r")}
    known = sum(flops.get(e.network, 0) for e in epochs) / 1e9
    assert spent.gflop_epochs > known > 0
    run(experiment(), tmp_path, Epochwise())
    flops = {n.network: n.flops or 0 for n in store.networks("r")}
    whole = sum(flops[e.network] for e in store.epochs("r")) / 1e9
    assert spent_by(store, "r").gflop_epochs == pytest.approx(whole)


def test_gpus_that_are_shared_count_once_and_energy_as_measured(tmp_path: Path) -> None:
    search(experiment(), tmp_path, FakeExecutor())
    networks = Commons(tmp_path).networks("r")
    trained = [n for n in networks if n.trained]
    budget = Budget(gpu_hours=1e-9, gigabytes=1e-9)
    with RunWriter.open(tmp_path, "r", header_of(tmp_path)) as writer:
        here = Spending(budget, writer, networks, share=2, on_gpu=True)
        seconds = sum(n.seconds or 0.0 for n in trained)
        # the made-up trainer takes 2 s an epoch
        assert seconds == 2.0 * sum(n.epochs_trained or 0 for n in trained)
        assert here.used_up({}) == f"{seconds / 2 / 3600:.4g} of 1e-09 GPU hours"
        cpu = Spending(budget, writer, networks, share=1, on_gpu=False)
        assert "gigabytes" in str(cpu.used_up({}))
        # the network's journal grows, and then it has ended
        journal = writer.folder.journal(77)
        with Journal(journal) as lines:
            lines.append({**line(1, 50.0), "energy_joules": 3.6e6})
        power = Spending(Budget(kwh=2), writer, (), share=1, on_gpu=False)
        assert power.used_up({77: 5}) is None
        with Journal(journal) as lines:
            lines.append({**line(2, 50.0), "energy_joules": 3.6e6})
        assert power.used_up({77: 5}) == "2 of 2 kWh"
        power.ended(77, read_epochs(journal)[:1], 5)
        assert power.used_up({}) is None


def test_energy_that_cannot_be_counted_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("a4nn_core.training.energy.POWERCAP", tmp_path / "none")
    what = experiment(budget={"kwh": 2.0}, training={"energy": True})
    with pytest.raises(BadInput, match=r"\[budget\] kwh = 2 cannot be counted here: the CPU has no energy"):
        run(what, tmp_path / "commons", Epochwise())
    assert not (tmp_path / "commons").exists()
    elsewhere = Epochwise()
    elsewhere.is_local = False
    (warning,) = _of_budget(what, Machine("auto", 1, 1), False)
    assert "what they do not measure does not count" in warning
    (warning,) = _of_budget(experiment(budget={"gpu_hours": 3.0}), Machine("cpu", 1, 1), True)
    assert warning.startswith("budget.gpu_hours = 3 ends nothing here, as networks train on the CPU")
    assert preflight.why_unmeasured("cpu", 1) is not None


# a segment


@pytest.mark.parametrize("epochs", [0, 1])
def test_a_network_in_training_ends_after_its_epoch(tmp_path: Path, epochs: int) -> None:
    one = segment(tmp_path, training={"epochs": 3})
    folder = RunFolder(tmp_path, one.run_id)
    folder.path.mkdir(parents=True, exist_ok=True)
    if epochs == 0:
        folder.ending.touch()
    data = DeviceData(load_experiment("digits").data.load(), CPU)
    result = train_segment(one, data, CPU, folder.ending.touch)
    assert (result.status, result.cut) == (NetworkStatus.paused, True)
    assert SegmentResult.from_json(result.to_json()) == result
    assert len(read_epochs(folder.journal(one.network))) == epochs


def test_a_flow_run_that_was_cut_off_is_sent_again() -> None:
    from a4nn_flows.pool import _is_unusable

    def ended(**how: Any) -> Any:
        message = SegmentResult(0, 0, NetworkStatus.paused, **how).to_json()
        state = SimpleNamespace(is_final=lambda: True, is_completed=lambda: True, message=message)
        return SimpleNamespace(state=state)

    assert not _is_unusable(ended())
    assert _is_unusable(ended(cut=True))


@pytest.mark.slow
def test_a_real_run_ends_and_goes_on(tmp_path: Path) -> None:
    words = ("--run-id", "r", "--commons", tmp_path)
    done = a4nn("run", *SMALL, "--set", "budget.epochs=4", *words)
    assert done.returncode == 0, done.stderr
    said = re.search(r"ended early: its budget is used up: (\d+) of 4 epochs", done.stdout)
    assert said is not None, done.stdout
    assert 4 <= int(said[1]) == len(Commons(tmp_path).epochs("r")) < 18
    assert f"a4nn run --run-id r --set budget.NAME=AMOUNT --commons {tmp_path}" in done.stdout
    epochs = {(e.network, e.epoch): e.checkpoint_sha256 for e in Commons(tmp_path).epochs("r")}
    done = a4nn("run", "--set", "budget.epochs=1000", *words)
    assert done.returncode == 0, done.stderr
    now = {(e.network, e.epoch): e.checkpoint_sha256 for e in Commons(tmp_path).epochs("r")}
    assert epochs.keys() < now.keys()
    assert Commons(tmp_path).run("r").status == "completed"


# a front that does not grow


def points(growth: Growth, *given: tuple[float, float]) -> list[int]:
    """How long the front has not grown after each point of error and cost."""
    since = []
    for number, (error, mflops) in enumerate(given):
        growth.told(number, {"error_percent": error, "mflops": mflops}, again=False)
        since.append(growth.since)
    return since


OBJECTIVES = {"error_percent": Direction.minimise, "mflops": Direction.minimise}


def test_a_front_grows_by_what_nothing_is_as_good_as() -> None:
    steady = Growth(OBJECTIVES, steady=True, counts=lambda number: number != 3)
    #                   first      worse       between     no count    equal       better
    told = points(steady, (10, 10), (11, 10), (12, 5), (20, 20), (10, 10), (9, 4))
    assert told == [0, 1, 0, 0, 1, 0]
    assert steady.grown_by == 5
    steady.told(6, None, again=False)  # one that failed was trained all the same
    assert steady.since == 1
    steady.told(1, {"error_percent": 1.0, "mflops": 10.0}, again=True)  # trained on, and now the best
    assert (steady.since, steady.grown_by) == (0, 1)
    steady.told(0, {"error_percent": 9.5, "mflops": 10.0}, again=True)  # a revision is no new network
    assert steady.since == 0
    steady.told(7, {"error_percent": float("nan"), "mflops": 0.1}, again=False)
    assert steady.since == 1


def test_in_a_generation_the_order_of_tells_does_not_matter() -> None:
    one, other = (Growth(OBJECTIVES, steady=False, counts=lambda _: True) for _ in range(2))
    told = [(3, 10.0), (1, 9.0), (2, 11.0), (0, 12.0)]
    for growth, order in ((one, told), (other, told[::-1])):
        for number, error in order:
            growth.told(number, {"error_percent": error, "mflops": 1.0}, again=False)
        assert growth.since == 0
        growth.barrier()
    assert (one.since, one.grown_by) == (other.since, other.grown_by) == (2, 1)


STOP: dict[str, Any] = {"networks": 60, "stop": {"no_growth": 6}}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("strategy", "schedule", "rule"),
    [
        ("nsga-net", "generational", "none"),
        ("nsga-net", "steady", "none"),
        ("nsga-net", "generational", "layers"),
        ("a4nn", "generational", "none"),
    ],
)
def test_a_search_stops_at_the_same_place_however_often_it_is_killed(
    tmp_path: Path, strategy: str, schedule: str, rule: str
) -> None:
    what = experiment(search={**STOP, "name": strategy, "schedule": schedule}, termination={"name": rule})
    search(what, tmp_path / "whole", FakeExecutor(one_at_a_time=True))
    log = read_events(RunFolder(tmp_path / "whole", "r").events)
    (enough,) = [event for event in log if event.kind == EventKind.enough]
    assert enough.data is not None
    assert "has not grown for" in str(enough.data.members["reason"])
    networks = Commons(tmp_path / "whole").networks("r")
    assert 6 < len(networks) < 60
    assert not any(event.kind == "asked" for event in log[enough.number :])
    died: set[int] = set()

    def die(one: Segment) -> SegmentResult | None:
        if one.network % 4 == 1 and one.network not in died:
            died.add(one.network)
            raise Killed
        return None

    executor = FakeExecutor(die, one_at_a_time=True)
    found, deaths = survive(lambda: search(what, tmp_path / "killed", executor))
    assert deaths > 2
    assert found.stopping.reason is not None
    if schedule == "generational":
        assert results(tmp_path / "killed") == results(tmp_path / "whole")
        assert found.stopping.reason == enough.data.members["reason"]


@pytest.mark.slow
def test_a_search_that_has_stopped_stays_so(tmp_path: Path) -> None:
    """Killed right after the decision, it asks for nothing more."""
    what = experiment(search={**STOP, "schedule": "steady"})
    search(what, tmp_path, FakeExecutor(one_at_a_time=True))
    log = RunFolder(tmp_path, "r").events
    lines = log.read_text().splitlines(keepends=True)
    end = next(n for n, text in enumerate(lines) if '"enough"' in text)
    asked = sum('"kind": "asked"' in text or '"kind":"asked"' in text for text in lines)
    for kept in (end, end + 1):  # and before the decision was logged, it is made again
        log.write_text("".join(lines[:kept]))
        one = search(what, tmp_path, FakeExecutor(one_at_a_time=True))
        assert one.stopping.reason is not None
        assert len(one.candidates) == asked
    assert sum(event.kind == EventKind.enough for event in read_events(log)) == 1


@pytest.mark.slow
def test_why_a_search_stopped_is_recorded(tmp_path: Path) -> None:
    run(experiment(search=STOP), tmp_path, FakeExecutor())
    header = Commons(tmp_path).run("r")
    assert header.status == "completed"
    assert str(header.stopped).startswith("its front has not grown for")
    (row,) = Commons(tmp_path).sql("select stopped from runs").fetchall()
    assert row == (header.stopped,)
    shown = a4nn("front", "r", "--commons", tmp_path).stdout
    assert f"ended early: {header.stopped}" in shown
    assert "to go on" not in shown
    listed = json.loads(a4nn("status", "--json", "--commons", tmp_path).stdout)
    assert listed[0]["stopped"] == header.stopped


def test_a_stop_that_ends_nothing_is_warned_of() -> None:
    what = experiment(search={"stop": {"no_growth": 12}})
    (warning,) = [text for text in _of_search(what) if "no_growth" in text]
    assert warning.startswith("search.stop.no_growth = 12 ends nothing, as the search looks at 12 networks")
    assert not any("no_growth" in text for text in _of_search(experiment(search={"stop": {"no_growth": 11}})))


def test_experiments_of_earlier_versions_are_the_same_without() -> None:
    tables = experiment().to_mapping()
    assert "budget" not in tables
    assert "stop" not in tables["search"]
    assert Experiment.from_record(tables) == experiment()
