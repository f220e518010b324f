"""What the search loop promises those beside it: executors, watchers, workers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from fakes import FakeExecutor, experiment, search
from test_training import segment
from test_workflow import Killed, survive

from a4nn_core.commons import Commons, RunFolder
from a4nn_core.commons.events import read_events
from a4nn_core.commons.records import Network
from a4nn_core.errors import BadInput
from a4nn_core.experiment import load_experiment
from a4nn_core.replay import VirtualExecutor
from a4nn_core.termination.base import FrontSnapshot
from a4nn_core.training.segment import Segment, SegmentResult
from a4nn_core.training.settings import Training
from a4nn_core.vocabulary import NetworkStatus
from a4nn_core.workflow import devices, local
from a4nn_core.workflow import search as loop
from a4nn_core.workflow.devices import Machine
from a4nn_core.workflow.run import execute
from a4nn_core.workflow.watcher import SearchView

WIDE: dict[str, Any] = {"population": 9, "offspring": 9, "networks": 27}
"""generations of more networks than an executor has slots"""


class Counting(FakeExecutor):
    """Counts what is under way."""

    def __init__(self, *how: Any, **more: Any) -> None:
        super().__init__(*how, **more)
        self.most = 0

    def submit(self, segment: Segment) -> None:
        super().submit(segment)
        self.most = max(self.most, len(self.waiting))


@pytest.mark.slow
@pytest.mark.parametrize("one_at_a_time", [True, False])
@pytest.mark.parametrize("schedule", ["generational", "steady"])
def test_segments_are_submitted_to_free_slots_only(
    tmp_path: Path, schedule: str, one_at_a_time: bool
) -> None:
    executor = Counting(one_at_a_time=one_at_a_time)
    what = experiment(search={**WIDE, "schedule": schedule}, training={"segment_epochs": 2})
    search(what, tmp_path, executor)
    assert executor.most == executor.slots == 4
    assert len(Commons(tmp_path).networks("r")) == 27


@pytest.mark.slow
def test_a_generation_counts_as_submitted_at_once(tmp_path: Path) -> None:
    """As in logs from before the loop kept the queue: nothing in them depends on the number of slots."""

    def train(segment: Segment) -> tuple[float, SegmentResult]:
        result = FakeExecutor()._train(segment)
        return 10.0 + segment.network % 4, result

    search(experiment(search=WIDE), tmp_path, VirtualExecutor(2, train))
    events = read_events(RunFolder(tmp_path, "r").events)
    first_end = next(e.number for e in events if e.kind == "completed")
    begun = [e.network for e in events if e.kind == "submitted" and e.number < first_end]
    equal = [n.network for n in Commons(tmp_path).networks("r") if n.status == "equal"]
    assert begun == [number for number in range(9) if number not in equal]


@pytest.mark.slow
def test_a_queue_that_was_cut_off_goes_on(tmp_path: Path) -> None:
    what = experiment(search=WIDE, training={"segment_epochs": 2})
    search(what, tmp_path / "whole", FakeExecutor(one_at_a_time=True))
    died: set[int] = set()

    def die(segment: Segment) -> SegmentResult | None:
        if segment.network % 5 == 3 and segment.network not in died:
            died.add(segment.network)
            raise Killed
        return None

    survive(lambda: search(what, tmp_path / "killed", FakeExecutor(die, one_at_a_time=True)))
    assert len(died) > 2
    columns = ("network", "genome", "status", "best_accuracy_percent", "front_version")
    whole, killed = (
        [[getattr(network, name) for name in columns] for network in Commons(tmp_path / name).networks("r")]
        for name in ("whole", "killed")
    )
    assert killed == whole


def test_the_loop_reads_a_journal_once_a_segment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[Path] = []
    real = loop.read_epochs

    def counting(path: Path) -> list[dict[str, Any]]:
        read.append(path)
        return real(path)

    monkeypatch.setattr(loop, "read_epochs", counting)
    executor = FakeExecutor()
    search(experiment(training={"segment_epochs": 2}), tmp_path, executor)
    networks = {one.network for one in executor.trained}
    assert len(executor.trained) == 2 * len(networks)
    # at the end of every segment, and before the first one for what an earlier process may have left
    assert len(read) == len(executor.trained) + len(networks)
    assert {one.number: one.from_epoch for one in executor.trained} == {0: 0, 1: 2}


class Seeing:
    """Keeps what it is shown."""

    def __init__(self) -> None:
        self.polls: list[SearchView] = []
        self.ends: list[int] = []

    def on_start(self, _: object) -> None: ...

    def on_poll(self, search: SearchView) -> None:
        self.polls.append(search)

    def on_network_end(self, search: SearchView, network: Network) -> None:
        assert search.networks[network.network] is network
        self.ends.append(network.network)


def test_watchers_see_a_search_and_cannot_change_it(tmp_path: Path) -> None:
    watcher = Seeing()
    search(experiment(), tmp_path, FakeExecutor(one_at_a_time=True), watcher=watcher)
    assert sorted(watcher.ends) == list(range(12))
    first, last = watcher.polls[0], watcher.polls[-1]
    assert first.training
    assert last.training == ()
    assert last.generation >= 2
    networks: Any = last.networks
    with pytest.raises(TypeError):
        networks[0] = None
    view: Any = last
    with pytest.raises(AttributeError):
        view.generation = 0


def test_a_device_is_chosen_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    chosen: list[str] = []
    real = devices.choose_device

    def choose(name: str) -> str:
        chosen.append(name)
        return real(name)

    monkeypatch.setattr(devices, "choose_device", choose)
    made: list[tuple[int, int, bool]] = []

    def make(slots: int, threads: int, warm: bool) -> FakeExecutor:
        made.append((slots, threads, warm))
        return FakeExecutor()

    monkeypatch.setattr(local, "LocalExecutor", make)
    changes = ["training.device=cpu", "training.slots=3", "training.epochs=1", "search.networks=2"]
    changes += ["search.population=2", "search.offspring=2"]
    local.run_local(load_experiment("digits", changes), tmp_path, "r")
    assert chosen == ["cpu"]
    assert made == [(3, 1, True)]


def test_a_missing_device_matters_to_who_trains_here(tmp_path: Path) -> None:
    what = experiment(training={"device": "cuda:77", "slots": 2})
    machine = Machine.of(what.training)
    assert (machine.device, machine.slots) == ("cuda:77", 2)
    with pytest.raises(BadInput, match="'cuda:77': this machine has no such device"):
        machine.require_device()
    with pytest.raises(BadInput, match="'cuda:77': this machine has no such device"):
        execute(what, tmp_path / "here", "r", lambda _: FakeExecutor())
    assert not (tmp_path / "here").exists()
    elsewhere = FakeExecutor()
    elsewhere.is_local = False
    execute(what, tmp_path / "elsewhere", "r", lambda _: elsewhere)
    assert {one.device for one in elsewhere.trained} == {"cuda:77"}


def test_where_a_flow_run_comes_from_is_logged_before_anything_is_asked(tmp_path: Path) -> None:
    execute(experiment(), tmp_path, "r", lambda _: FakeExecutor(), origin={"flow_run": "f", "schedule": None})
    events = read_events(RunFolder(tmp_path, "r").events)
    assert [e.kind for e in events[:3]] == ["started", "flow", "asked"]
    assert events[1].data.members == {"flow_run": "f", "schedule": None}


def test_a_segment_travels_as_json(tmp_path: Path) -> None:
    front = FrontSnapshot(3, ({"loss": float("inf"), "mflops": 1.5},), {"loss": "minimise"})
    one = segment(tmp_path, front=front, training={"augment": [{"name": "RandomHorizontalFlip"}]})
    again = Segment.from_json(one.to_json())
    assert again == one
    assert isinstance(again.training, Training)
    assert again.architecture.hash == one.architecture.hash
    failed = one.failed("no room", fatal=True)
    assert SegmentResult.from_json(failed.to_json()) == failed
    assert failed.status is NetworkStatus.failed
