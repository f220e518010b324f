"""What counts at the detector: latency, memory, balanced accuracy, a missing panel."""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from fakes import FakeExecutor, experiment, search
from test_training import CPU, segment

from a4nn_core import metrics
from a4nn_core.assessment import Assessment
from a4nn_core.commons import Commons, RunFolder, read_epochs, read_events
from a4nn_core.commons.events import Read, payload
from a4nn_core.errors import BadInput
from a4nn_core.metrics import Measured, Metric, Reading, find_metric
from a4nn_core.spaces.architecture import Architecture, Graph, Layer
from a4nn_core.spaces.designed.space import Designed
from a4nn_core.spaces.latency import measure_latency
from a4nn_core.training.loading import DeviceData
from a4nn_core.training.panels import Panels
from a4nn_core.training.trainer import train_segment
from a4nn_core.workflow.devices import Machine
from a4nn_core.workflow.plan import check, resolve
from a4nn_core.workflow.readings import Readings


def small() -> Architecture:
    return Designed(networks=("small-cnn",)).decode("small-cnn", (1, 8, 8), 3)


# latency


@pytest.mark.slow
def test_latency_grows_with_the_network_and_needs_no_random_numbers() -> None:
    wide = Designed(networks=("small-cnn*4",)).decode("small-cnn*4", (1, 32, 32), 3)
    state = torch.get_rng_state()
    fast, slow = measure_latency(small()), measure_latency(wide)
    assert torch.equal(torch.get_rng_state(), state)
    assert fast.spread is not None
    assert fast.spread >= 0
    assert wide.flops > 50 * small().flops  # so many that it shows on the busiest machine
    assert 0 < fast.value < slow.value


def test_without_onnxruntime_one_sentence_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(BadInput, match=r"'latency_ms' cannot be worked out: .*pip install 'a4nn\[onnx\]'$"):
        find_metric("latency_ms").read(small())


class Clock:
    """A metric that is never twice the same, as a measured one."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.read = 0
        metric = Metric(
            name="latency_ms",
            meaning="time",
            bounds=(0.0, None),
            of_architecture=self.measure,
            repeatable=False,
        )
        monkeypatch.setitem(metrics.METRICS._loaded, "latency_ms", metric)

    def measure(self, architecture: Architecture) -> Reading:
        self.read += 1
        return Reading(architecture.flops / 1e5 + self.read / 1e6, 0.5)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


OBJECTIVES = {"error_percent": "minimise", "latency_ms": "minimise"}


@pytest.mark.parametrize("schedule", ["generational", "steady"])
def test_what_is_measured_is_measured_once_and_logged(tmp_path: Path, clock: Clock, schedule: str) -> None:
    bounds = {"latency_ms": {"most": 5}}
    what = experiment(search={"objectives": OBJECTIVES, "constraints": bounds, "schedule": schedule})
    ended = search(what, tmp_path, FakeExecutor())
    events = [payload(e, Read) for e in read_events(ended.writer.folder.events) if e.kind == "read"]
    assert len({event.architecture_hash for event in events}) == len(events) == clock.read > 3
    assert all(event.spread == 0.5 for event in events)
    value = {event.architecture_hash: event.value for event in events}
    for network in Commons(tmp_path).networks("r"):
        if network.fitness is not None:
            assert network.fitness["latency_ms"] == value[network.architecture_hash]
        else:
            assert value[network.architecture_hash] > 5


@pytest.mark.parametrize("after", [4, 9, 20])
def test_a_resumed_search_sees_what_was_measured_before(tmp_path: Path, clock: Clock, after: int) -> None:
    what = experiment(search={"objectives": OBJECTIVES})
    whole = search(what, tmp_path / "whole", FakeExecutor())
    told = [e for e in read_events(whole.writer.folder.events) if e.kind == "asked"]

    class Stopping(FakeExecutor):
        def completed(self, timeout: float) -> list[Any]:
            if len(self.trained) >= after:
                raise KeyboardInterrupt
            return super().completed(timeout)

    executor = Stopping(one_at_a_time=True)
    clock.read = 0
    with contextlib.suppress(KeyboardInterrupt):
        search(what, tmp_path / "cut", executor)
    before = clock.read
    ended = search(what, tmp_path / "cut", FakeExecutor())
    reads = [payload(e, Read) for e in read_events(ended.writer.folder.events) if e.kind == "read"]
    assert clock.read == len(reads) == len({read.architecture_hash for read in reads}) >= before
    again = [e for e in read_events(ended.writer.folder.events) if e.kind == "asked"]
    assert [e.data.members["genome"] for e in again if e.data] == [
        e.data.members["genome"] for e in told if e.data
    ]


def test_readings_come_from_the_log(tmp_path: Path, clock: Clock) -> None:
    ended = search(experiment(search={"objectives": OBJECTIVES}), tmp_path, FakeExecutor())
    metric = find_metric("latency_ms")
    known = Readings(ended.writer.events)
    read = clock.read
    for architecture in ended.architectures.values():
        assert known.value(metric, architecture) == ended.limits.evaluate(metric, architecture)
    assert clock.read == read


def test_a4nn_does_not_measure_hundreds_of_networks_for_each_choice() -> None:
    for changes in ({"objectives": OBJECTIVES}, {"constraints": {"latency_ms": {"most": 1}}}):
        with pytest.raises(
            BadInput, match="latency_ms is measured, and a4nn would measure 600 networks for each"
        ):
            experiment(search={"name": "a4nn", **changes})


def test_what_cannot_be_measured_is_said_before_anything_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    what = experiment(search={"objectives": OBJECTIVES})
    plan = resolve(what, tmp_path / "c", "r", Machine.of(what.training))
    with pytest.raises(BadInput, match="pip install"):
        check(plan, is_local=False)
    assert not (tmp_path / "c").exists()


# memory


def test_peak_memory_is_the_worst_moment() -> None:
    graph = Graph((1, 4, 4))
    first = graph.add(Layer("conv", 2, kernel=3, padding=1), 0)
    second = graph.add(Layer("relu", 2), first)
    third = graph.add(Layer("relu", 2), second)
    graph.add(Layer("concat", 4), [first, third])
    architecture = graph.done()
    # 18 weights; when the concatenation is made, its 64 values, and the 32 of each of its inputs
    assert architecture.peak_memory_bytes == 4 * (18 + 64 + 32 + 32)
    assert find_metric("peak_memory").value(architecture) == architecture.peak_memory_bytes / 1024


def test_peak_memory_can_be_bounded_and_minimised(tmp_path: Path) -> None:
    objectives = {"error_percent": "minimise", "peak_memory": "minimise"}
    what = experiment(search={"objectives": objectives, "constraints": {"peak_memory": {"most": 4}}})
    search(what, tmp_path, FakeExecutor())
    found = Commons(tmp_path).networks("r")
    assert all(n.fitness["peak_memory"] <= 4 for n in found if n.fitness)
    assert any(n.error and "peak_memory = " in n.error for n in found) or all(n.fitness for n in found)


# balanced accuracy, and a missing panel


def test_balanced_accuracy_is_that_of_the_best_epoch() -> None:
    measured = Measured((50.0, 70.0), balanced_accuracy_percent=65.0)
    assert find_metric("balanced_accuracy_percent").value(small(), measured) == 65.0
    assert find_metric("balanced_accuracy_percent").value(small(), Measured((50.0,))) is None


def test_each_image_lacks_one_panel_and_all_lack_equally_often() -> None:
    panels = Panels((2, 3), (2, 5, 7), 60, torch.device("cpu"))
    blank = torch.cat([panels.blank(torch.ones(20, 2, 5, 7), first) for first in (0, 20, 40)]).numpy()
    rows, columns = np.array([0, 0, 0, 1, 1]), np.array([0, 0, 0, 1, 1, 2, 2])
    missing = []
    for image in blank:
        assert (image[0] == image[1]).all()
        (places,) = {tuple(np.unique(axis[at])) for axis, at in ((rows, np.where(image[0] == 0)[0]),)}
        across = np.unique(columns[np.where(image[0] == 0)[1]])
        assert len(places) == len(across) == 1
        inside = (rows[:, None] == places[0]) & (columns[None, :] == across[0])
        assert (image[0] == ~inside).all()
        missing.append((int(places[0]), int(across[0])))
    assert {missing.count(panel) for panel in set(missing)} == {10}
    assert len(set(missing)) == 6


def test_a_missing_panel_is_measured_recorded_and_changes_nothing_else(tmp_path: Path) -> None:
    data = DeviceData(experiment().data.load(), CPU)
    made = []
    for name, training in (("plain", {}), ("panels", {"panels": [2, 2]})):
        one = segment(tmp_path / name, training={"epochs": 2, **training})
        assert train_segment(one, data, CPU).status == "completed"
        made.append(read_epochs(RunFolder(tmp_path / name, "r").journal(0)))
    plain, lacking = made
    assert [e.validation_accuracy_percent for e in lacking] == [e.validation_accuracy_percent for e in plain]
    assert [e.train_loss for e in lacking] == [e.train_loss for e in plain]
    for epoch in lacking:
        assert (epoch.assessment is None) == (plain[epoch.epoch - 1].assessment is None)
        if epoch.assessment is not None:
            without = epoch.assessment.missing_panel_accuracy_percent
            assert without is not None
            assert without <= (epoch.validation_accuracy_percent or 0) + 2
            assert Assessment.from_json(epoch.assessment.to_json()) == epoch.assessment
    assert all(e.assessment is None or e.assessment.missing_panel_accuracy_percent is None for e in plain)


def test_panels_that_cannot_be() -> None:
    with pytest.raises(BadInput, match="missing_panel_accuracy_percent needs training"):
        experiment(
            search={"objectives": {"missing_panel_accuracy_percent": "maximise", "mflops": "minimise"}}
        )
    with pytest.raises(BadInput, match="panels"):
        experiment(training={"panels": [0, 2]})
    what = experiment(training={"panels": [9, 2]})
    plan = resolve(what, Path("nowhere"), "r", Machine.of(what.training))
    with pytest.raises(
        BadInput, match=r"training.panels = \[9, 2\]: images of 8 x 8 pixels cannot be divided"
    ):
        check(plan, is_local=False)
