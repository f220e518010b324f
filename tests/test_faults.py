"""What goes wrong while a network trains is an outcome with a reason, and the next network trains."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import faulty_worker
import pytest
import torch
from fakes import FakeExecutor, experiment, search
from faulty_worker import HANGS, NAN, RAISES
from made_up import line
from test_training import CPU, life, segment
from torch import Tensor, nn

from a4nn_core.commons import Commons, Journal, RunFolder, read_journal
from a4nn_core.commons.events import SegmentEnded, payload
from a4nn_core.data.base import ImageData
from a4nn_core.spaces.build import Network
from a4nn_core.training.compiling import COMPILE_PAYS
from a4nn_core.training.compute_plan import ComputePlan
from a4nn_core.training.loading import DeviceData
from a4nn_core.training.segment import Segment, SegmentResult
from a4nn_core.training.settings import Training
from a4nn_core.training.steps import Computation, Stopwatch, evaluate, settle, train_epoch
from a4nn_core.training.trainer import train_segment
from a4nn_core.vocabulary import NetworkStatus, Task
from a4nn_core.workflow import pool
from a4nn_core.workflow.pool import WorkerPool


@pytest.fixture(scope="module")
def images() -> ImageData:
    return experiment().data.load()


@pytest.fixture(scope="module")
def data(images: ImageData) -> DeviceData:
    return DeviceData(images, CPU)


def limited(monkeypatch: pytest.MonkeyPatch, most: int, error: Exception) -> list[int]:
    """Give the device room for so many images at a time; gives the sizes of all batches that were tried."""
    tried: list[int] = []
    real = Network.forward

    def forward(self: Network, images: Tensor) -> Tensor:
        tried.append(len(images))
        if len(images) > most:
            raise error
        return real(self, images)

    monkeypatch.setattr(Network, "forward", forward)
    return tried


MEMORY = [
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"),
    RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"),
    MemoryError(),
]


@pytest.mark.slow
@pytest.mark.parametrize("error", MEMORY)
def test_out_of_memory_is_tried_again_in_smaller_micro_batches(
    data: DeviceData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    tried = limited(monkeypatch, 63, error)
    large = {"batch_size": 128}
    result = train_segment(segment(tmp_path, epoch_limit=1, training=large), data, CPU)
    assert result.status == "paused"
    assert tried[0] == 128
    assert max(tried[1:]) < 64
    (first,) = read_journal(RunFolder(tmp_path, "r").journal(0))
    assert first["manner"] == {"micro_batch": 32, "evaluation_batch": 32}
    assert first["train_accuracy_percent"] > 15
    # whoever goes on with the network knows of it
    tried.clear()
    assert train_segment(segment(tmp_path, epoch_limit=2, training=large), data, CPU).status == "paused"
    assert max(tried) < 64


@pytest.mark.slow
def test_out_of_memory_twice_is_a_failed_network(
    data: DeviceData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried = limited(monkeypatch, 16, MEMORY[0])
    result = train_segment(segment(tmp_path, training={"batch_size": 128}), data, CPU)
    assert (result.status, result.fatal) == ("failed", False)
    assert result.error == (
        "out of memory on cpu: CUDA out of memory. Tried to allocate 2 GiB (also with 32 images at a time)"
    )
    assert len(tried) == 2


@pytest.mark.slow
def test_out_of_memory_in_the_last_evaluation(
    data: DeviceData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The epochs that were trained are not trained again for it."""
    whole = train_segment(segment(tmp_path / "whole", training={"epochs": 2}), data, CPU)
    before = life(tmp_path / "whole")
    real = evaluate

    def scarce(computation: Computation, data: DeviceData, part: Any, *others: Any) -> Any:
        if part is data.test and computation.plan.evaluation_batch > 100:
            raise MEMORY[0]
        return real(computation, data, part, *others)

    monkeypatch.setattr("a4nn_core.training.trainer.evaluate", scarce)
    result = train_segment(segment(tmp_path / "b", training={"epochs": 2}), data, CPU)
    assert life(tmp_path / "b") == before
    assert result.status == "completed"
    assert result.test_accuracy_percent == pytest.approx(whole.test_accuracy_percent)


def test_the_gradient_of_micro_batches_is_that_of_the_batch(data: DeviceData) -> None:
    """Without batch normalisation, whose statistics are those of a micro-batch."""
    weights = []
    for micro in (128, 30):
        torch.manual_seed(1)
        model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(144, 10))
        computation = Computation(model, ComputePlan(micro), 128, CPU)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
        sums = train_epoch(computation, optimizer, data, 128, 5.0, None, lambda: None)
        weights.append(torch.cat([p.detach().flatten() for p in model.parameters()]))
        ((loss, accuracy),) = settle([sums])
    torch.testing.assert_close(weights[0], weights[1], rtol=1e-4, atol=1e-5)
    assert loss < 2.4
    assert accuracy > 10


def test_an_unusual_compute_plan_is_recorded(tmp_path: Path) -> None:
    def squeezed(job: Segment) -> SegmentResult | None:
        if job.network != 3:
            return None
        with Journal(RunFolder(tmp_path, "r").journal(3)) as journal:
            for epoch in range(1, 5):
                journal.append(line(epoch, 50.0) | {"manner": {"micro_batch": 32}})
        return SegmentResult(3, 0, NetworkStatus.completed)

    search(experiment(), tmp_path, FakeExecutor(squeezed))
    ends = [e for e in Commons(tmp_path).events("r") if e.kind == "completed"]
    found = {e.network: payload(e, SegmentEnded).manner for e in ends}
    assert {number: how for number, how in found.items() if how} == {3: {"micro_batch": 32}}
    assert len([e for e in Commons(tmp_path).epochs("r") if e.network == 3]) == 4


@pytest.mark.integration
def test_a_worker_survives_its_networks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An exception, NaN, a step that hangs; then a network that is well."""
    monkeypatch.setattr(pool, "WORKER", (sys.executable, "-P", faulty_worker.__file__))
    monkeypatch.setattr(pool, "ATTEMPTS", 1)
    workers = WorkerPool(1, 1)

    def train(number: int, **training: Any) -> SegmentResult:
        return workers.run(segment(tmp_path, network=number, training={"epochs": 1, **training}))

    raised = train(0, learning_rate=RAISES)
    assert (raised.status, raised.fatal) == ("failed", False)
    assert raised.error == "ValueError: the layers do not fit together"
    nan = train(1, learning_rate=NAN)
    assert nan.error is not None
    assert nan.error.startswith("diverged in epoch 1: training loss nan")
    assert len(workers._all) == 1  # the same process serves on
    hung = train(2, learning_rate=HANGS, stall_seconds=8.0)
    assert hung.error == "worker process made no progress for 8 s and was killed (1 times)"
    assert train(3).status == "completed"
    assert len(workers._all) == 2
    workers.close()


# how steps are computed


def plan(device: str = "cpu", flops: int = 10**6, images: int = 1000, **settings: Any) -> ComputePlan:
    class Cost:
        pass

    architecture: Any = Cost()
    architecture.flops = flops
    architecture.task = Task.classification
    shape = (1, 127, 127)
    chosen = Training(**{"batch_size": 128} | settings)
    return ComputePlan.choose(chosen, architecture, shape, images, torch.device(device))


def test_compute_plans_follow_from_work_and_device(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda: True)
    assert plan() == ComputePlan(128, 500, channels_last=True)
    assert plan("cuda") == ComputePlan(128, 1040, bfloat16=True, channels_last=True)
    assert not plan("cuda", precision="float32").bfloat16
    # the published search: 700 MFLOPs, 63,508 images, 25 epochs
    assert plan(flops=7 * 10**8, images=63508).compiled
    assert plan("cuda", flops=7 * 10**8, images=63508).compiled
    assert not plan(flops=7 * 10**8, images=63508, compile="never").compiled
    assert plan(compile="always").compiled
    edge = int(COMPILE_PAYS["cpu"] / (3 * 1000 * 25)) + 1
    assert plan(flops=edge).compiled
    assert not plan(flops=edge - 2).compiled
    monkeypatch.setattr("shutil.which", lambda _: None)
    assert not plan(flops=edge).compiled  # without a C++ compiler there is no compiling for the CPU


@pytest.mark.slow
def test_only_whole_batches_are_compiled(
    data: DeviceData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[int] = []

    def compiler(model: nn.Module, **_: Any) -> Callable[[Tensor], Tensor]:
        def run(images: Tensor) -> Tensor:
            seen.append(len(images))
            result: Tensor = model(images)
            return result

        return run

    monkeypatch.setattr(torch, "compile", compiler)
    twice = {"epochs": 2, "batch_size": 128}
    train_segment(segment(tmp_path / "a", training=twice | {"compile": "always"}), data, CPU)
    train_segment(segment(tmp_path / "b", training=twice), data, CPU)
    assert set(seen) == {128}  # of 1,257 or so training images and fewer than 500 others
    assert life(tmp_path / "a") == life(tmp_path / "b")


@pytest.mark.slow
def test_a_network_that_cannot_be_compiled_is_trained_without(
    data: DeviceData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = type("BackendCompilerFailed", (RuntimeError,), {"__module__": "torch._dynamo.exc"})

    def compiler(*_: Any, **__: Any) -> Callable[[Tensor], Tensor]:
        def run(_: Tensor) -> Tensor:
            raise broken("no compiler here")

        return run

    monkeypatch.setattr(torch, "compile", compiler)
    settings = {"epochs": 1, "compile": "always"}
    assert train_segment(segment(tmp_path, training=settings), data, CPU).status == "completed"
    assert read_journal(RunFolder(tmp_path, "r").journal(0))[0]["manner"] == {"compiled": False}


@pytest.mark.slow
def test_bfloat16_and_channels_last_learn_as_well(data: DeviceData) -> None:
    """The way of GPUs, here on the CPU."""
    found = []
    for how in (ComputePlan(128), ComputePlan(128, bfloat16=True, channels_last=True)):
        torch.manual_seed(2)
        what = segment(Path("unused"))
        model = Network(what.architecture)
        computation = Computation(model, how, 128, CPU)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
        for _ in range(4):
            train_epoch(computation, optimizer, data, 128, 5.0, None, lambda: None)
        computation.adopt(optimizer)
        found.append(settle([evaluate(computation, data, data.train)])[0][1])
        kernels = [p for p in model.parameters() if p.dim() == 4 and p.shape[1] > 1 and p.shape[2] > 1]
        buffers = [optimizer.state[p]["momentum_buffer"] for p in kernels]
        for tensor in (*kernels, *buffers):
            assert tensor.dtype == torch.float32
            assert tensor.is_contiguous(memory_format=torch.channels_last) == how.channels_last
    assert found[0] > 40
    assert found[1] == pytest.approx(found[0], abs=15)


def test_data_that_do_not_fit_stay_beside_the_device(images: ImageData, tmp_path: Path) -> None:
    beside = DeviceData(images, CPU, room=10)
    assert beside.train.images.device == CPU
    train_segment(segment(tmp_path / "a", epoch_limit=1), beside, CPU)
    train_segment(segment(tmp_path / "b", epoch_limit=1), DeviceData(images, CPU), CPU)
    assert life(tmp_path / "a") == life(tmp_path / "b")
    meta = torch.device("meta")
    home = DeviceData(replace(images), meta, room=10)
    assert home.train.images.device == CPU
    (batch, labels) = next(iter(home.batches(home.train, 8, torch.randperm(len(home.train)))))
    assert batch.device == labels.device == meta
    assert DeviceData(images, meta).train.images.device == meta


def test_a_stopwatch_measures_between_marks() -> None:
    watch = Stopwatch(CPU)
    for _ in range(3):
        watch.mark()
    assert len(watch.seconds()) == 2
    assert min(watch.seconds()) >= 0
