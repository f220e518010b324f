"""Training for real, on small digits: the same numbers bit for bit, whatever dies on the way."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from threading import Thread
from typing import Any

import numpy as np
import pytest
import torch
from fakes import experiment
from torch import nn

from a4nn_core.commons import RunFolder, read_journal
from a4nn_core.data.base import ImageData, InputTransform, Split
from a4nn_core.errors import BadInput
from a4nn_core.spaces.build import Network
from a4nn_core.training.checkpoint import checkpoint_name, load_network
from a4nn_core.training.loading import DeviceData, augmentation
from a4nn_core.training.optimizer import EagerSGD
from a4nn_core.training.segment import Segment, SegmentResult
from a4nn_core.training.trainer import train_segment
from a4nn_core.workflow.executor import LocalExecutor
from a4nn_core.workflow.pool import Worker, WorkerDied, WorkerPool

CPU = torch.device("cpu")
SAME = ("train_loss", "validation_loss", "train_accuracy_percent", "validation_accuracy_percent")


def segment(commons: Path, **changes: Any) -> Segment:
    what = experiment(training={"epochs": 5, "segment_epochs": None} | changes.pop("training", {}))
    architecture = what.space.decode([[1, 0, 1, 0, 0, 1, 1], [1, 1, 1, 0, 0, 0, 0]], (1, 8, 8), 10)
    settings = what.to_mapping()
    values: dict[str, Any] = {
        "commons": str(commons),
        "run_id": "r",
        "network": 0,
        "generation": 0,
        "architecture": architecture,
        "data": settings["data"],
        "training": what.training,
        "termination": settings["termination"],
        "fixed": {},
        "seed": 11,
        "device": "cpu",
    }
    return Segment(**{**values, **changes})


@pytest.fixture(scope="module")
def data() -> DeviceData:
    return DeviceData(experiment().data.load(), CPU)


def life(commons: Path) -> list[tuple[Any, ...]]:
    """What a network's life must repeat: its numbers and its checkpoints, bit for bit."""
    journal = read_journal(RunFolder(commons, "r").journal(0))
    return [(*(line[name] for name in SAME), line["checkpoint_sha256"]) for line in journal]


@pytest.fixture(scope="module")
def undisturbed(data: DeviceData, tmp_path_factory: pytest.TempPathFactory) -> list[tuple[Any, ...]]:
    commons = tmp_path_factory.mktemp("undisturbed")
    result = train_segment(segment(commons), data, CPU)
    assert result.status == "completed"
    return life(commons)


@pytest.mark.slow
def test_networks_learn(undisturbed: list[tuple[Any, ...]]) -> None:
    accuracies = [line[3] for line in undisturbed]
    assert len(accuracies) == 5
    assert accuracies[-1] > 50  # ten classes: chance is 10 %


@pytest.mark.slow
def test_the_same_seed_gives_the_same_life(
    data: DeviceData, tmp_path: Path, undisturbed: list[tuple[Any, ...]]
) -> None:
    train_segment(segment(tmp_path), data, CPU)
    assert life(tmp_path) == undisturbed
    train_segment(segment(tmp_path / "other", seed=12), data, CPU)
    assert life(tmp_path / "other") != undisturbed


@pytest.mark.slow
def test_the_weights_are_those_of_torchs_own_optimiser() -> None:
    found = []
    for optimiser in (EagerSGD, torch.optim.SGD):
        torch.manual_seed(3)
        model = nn.Linear(5, 2)
        given = {"lr": 0.1, "momentum": 0.9, "weight_decay": 0.01}
        optimizer = optimiser(model.parameters(), **given)
        for step in range(4):
            if step == 2:
                saved = optimizer.state_dict()
                optimizer = optimiser(model.parameters(), **given | {"lr": 0.5})
                optimizer.load_state_dict(saved)
            optimizer.zero_grad(set_to_none=True)
            model(torch.ones(3, 5)).square().sum().backward()
            optimizer.step()
        assert all(weights.is_leaf for weights in model.parameters()), "steps are not part of the gradient"
        found.append(model.state_dict())
    assert all(torch.equal(found[0][name], found[1][name]) for name in found[1])


@pytest.mark.slow
def test_training_needs_neither_the_compiler_nor_scikit_learn(tmp_path: Path) -> None:
    """Each takes a worker as long as importing torch."""
    job = tmp_path / "segment.json"
    job.write_text(segment(tmp_path, training={"epochs": 1}).to_json())
    code = f"""
import sys
import torch
from pathlib import Path
from a4nn_core.data import DATA_SOURCES
from a4nn_core.training.loading import DeviceData
from a4nn_core.training.segment import Segment
from a4nn_core.training.trainer import train_segment
job = Segment.from_json(Path({str(job)!r}).read_text())
data = DeviceData(DATA_SOURCES.make(job.data, "[data]").load(), torch.device("cpu"))
assert train_segment(job, data, torch.device("cpu")).status == "completed"
print(sorted({{"torch._dynamo", "sympy", "sklearn", "pandas"}} & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, timeout=300)
    assert done.stdout == "[]\n", done.stderr


@pytest.mark.slow
def test_pieces_give_the_same_life(
    data: DeviceData, tmp_path: Path, undisturbed: list[tuple[Any, ...]]
) -> None:
    for number, limit in enumerate((2, 3, 5)):
        result = train_segment(segment(tmp_path, number=number, epoch_limit=limit), data, CPU)
        assert result.status == ("completed" if limit == 5 else "paused")
        assert (result.test_accuracy_percent is None) == (limit < 5)
    assert life(tmp_path) == undisturbed


@pytest.mark.slow
def test_augmented_pieces_give_the_same_life(data: DeviceData, tmp_path: Path) -> None:
    augment = {"augment": [{"name": "RandomRotation", "degrees": 15}], "epochs": 3}
    train_segment(segment(tmp_path / "whole", training=augment), data, CPU)
    for number, limit in enumerate((1, 3)):
        piece = segment(tmp_path / "pieces", training=augment, number=number, epoch_limit=limit)
        train_segment(piece, data, CPU)
    assert life(tmp_path / "whole") == life(tmp_path / "pieces")


@pytest.mark.slow
def test_an_epoch_killed_between_checkpoint_and_journal_is_trained_again(
    data: DeviceData, tmp_path: Path, undisturbed: list[tuple[Any, ...]]
) -> None:
    train_segment(segment(tmp_path, epoch_limit=3), data, CPU)
    journal = RunFolder(tmp_path, "r").journal(0)
    lines = journal.read_bytes().splitlines(keepends=True)
    saved = RunFolder(tmp_path, "r").checkpoints(0)
    # as it is on the disk then: the third epoch's checkpoint is there, its line is torn, the second's
    # checkpoint has not been removed
    train_segment(segment(tmp_path / "b", epoch_limit=2), data, CPU)
    second = RunFolder(tmp_path / "b", "r").checkpoints(0) / checkpoint_name(2)
    (saved / checkpoint_name(2)).write_bytes(second.read_bytes())
    journal.write_bytes(b"".join(lines[:2]) + lines[2][:40])
    train_segment(segment(tmp_path), data, CPU)
    assert life(tmp_path) == undisturbed


@pytest.mark.integration
def test_a_killed_worker_is_replaced_and_the_life_is_the_same(
    tmp_path: Path, undisturbed: list[tuple[Any, ...]]
) -> None:
    executor = LocalExecutor(slots=1, threads=1)
    try:
        executor.submit(segment(tmp_path))
        path = RunFolder(tmp_path, "r").journal(0)
        for epochs in (1, 3):
            wait_for(lambda: len(read_journal(path)) >= epochs)  # noqa: B023
            os.kill(executor._pool._all[-1].process.pid, signal.SIGKILL)
        result = collect(executor)
    finally:
        executor.close()
    assert result.status == "completed"
    assert len(executor._pool._all) == 3
    assert life(tmp_path) == undisturbed


@pytest.mark.integration
def test_a_worker_that_always_dies_is_a_failed_network(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(self: Worker, _: Segment) -> SegmentResult:
        self.process.kill()
        raise WorkerDied(f"worker process ended with signal {-self.process.wait()}")

    monkeypatch.setattr(Worker, "run", die)
    pool = WorkerPool(1, 1)
    result = pool.run(segment(tmp_path))
    pool.close()
    assert (result.status, result.fatal) == ("failed", False)
    assert result.error == "worker process ended with signal 9 (3 times)"


@pytest.mark.integration
def test_a_worker_ends_with_its_parent() -> None:
    worker = Worker(threads=1)
    assert worker.process.stdin
    worker.process.stdin.close()
    assert worker.process.wait(timeout=60) == 0


@pytest.mark.integration
def test_a_worker_takes_the_installed_package_wherever_it_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A source tree in the current folder has no compiled fitter: it must not shadow what is installed."""
    (tmp_path / "a4nn_core").mkdir()
    (tmp_path / "a4nn_core/__init__.py").write_text("raise ImportError('the wrong package')")
    monkeypatch.chdir(tmp_path)
    worker = Worker(threads=1)
    assert worker.process.stdin
    worker.process.stdin.close()
    assert worker.process.wait(timeout=60) == 0, list(worker.last_words)


@pytest.mark.slow
def test_no_two_processes_train_one_network(data: DeviceData, tmp_path: Path) -> None:
    """Two that try take turns: the second goes on where the first ended."""
    results: list[SegmentResult] = []
    threads = [
        Thread(target=lambda: results.append(train_segment(segment(tmp_path, epoch_limit=2), data, CPU)))
        for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [line["epoch"] for line in read_journal(RunFolder(tmp_path, "r").journal(0))] == [1, 2]
    assert [result.status for result in results] == ["paused", "paused"]


@pytest.mark.slow
def test_the_best_checkpoint_stays_and_gives_the_test_accuracy(data: DeviceData, tmp_path: Path) -> None:
    result = train_segment(segment(tmp_path), data, CPU)
    folder = RunFolder(tmp_path, "r")
    journal = read_journal(folder.journal(0))
    best = max(journal, key=lambda line: line["validation_accuracy_percent"])
    kept = {path.name for path in folder.checkpoints(0).glob("*.safetensors")}
    assert kept == {best["checkpoint"], journal[-1]["checkpoint"]}
    model = Network(segment(tmp_path).architecture)
    load_network(folder.checkpoints(0) / best["checkpoint"], model)
    model.eval()
    with torch.no_grad():
        right = sum(
            int((model(images).argmax(1) == labels).sum()) for images, labels in data.batches(data.test, 64)
        )
    assert result.test_accuracy_percent == pytest.approx(100 * right / len(data.test))


def test_divergence_is_a_failure_with_a_reason(data: DeviceData, tmp_path: Path) -> None:
    wild = segment(tmp_path, training={"learning_rate": 1e30, "gradient_clip": 1e30})
    result = train_segment(wild, data, CPU)
    assert result.status == "failed"
    assert result.error is not None
    assert "diverged in epoch 1" in result.error


def counts(kind: type[np.generic], greatest: int) -> ImageData:
    images = np.array([[[[0, greatest]]], [[[3, 5]]]], dtype=kind)
    part = Split(images, np.array([0, 1]))
    few = Split(images[1:], np.array([1]))
    return ImageData("x", ("a", "b"), part, few, few, InputTransform(True, (1.0,), (2.0,)))


@pytest.mark.parametrize(
    ("kind", "greatest", "stored"),
    [
        (np.uint8, 255, torch.uint8),
        (np.uint16, 2**15 - 1, torch.int16),
        (np.uint16, 40000, torch.int16),
        (np.uint32, 2**31 - 1, torch.int32),
        (np.uint32, 2**32 - 1, torch.int32),
        (np.float64, 0.5, torch.float64),
    ],
)
def test_images_stay_as_they_are_on_the_device(
    kind: type[np.generic], greatest: int, stored: torch.dtype
) -> None:
    """What is mapped would otherwise be copied by every worker."""
    data = counts(kind, greatest)
    loaded = DeviceData(data, CPU)
    assert loaded.train.images.dtype == stored
    assert loaded.train.images.data_ptr() == data.train.images.ctypes.data
    assert loaded.train.labels.data_ptr() == data.train.labels.ctypes.data
    floats = torch.from_numpy(data.train.images.astype(np.float32))
    for order in (None, torch.tensor([0, 1])):
        ((seen, labels),) = loaded.batches(loaded.train, 10, order)
        assert torch.equal(seen, (floats.log1p() - 1) / 2)
        assert labels.tolist() == [0, 1]


@pytest.mark.slow
def test_augmentation_draws_for_every_image() -> None:
    torch.manual_seed(0)
    flip = augmentation([{"name": "RandomHorizontalFlip"}])
    assert flip is not None
    image = torch.arange(4.0).view(1, 1, 1, 4).repeat(64, 1, 1, 1)
    flipped = (flip(image)[:, 0, 0, 0] == 3).sum()
    assert 10 < flipped < 54
    with pytest.raises(BadInput, match="has no 'Flip'"):
        augmentation([{"name": "Flip"}])
    with pytest.raises(BadInput, match="RandomRotation does not take"):
        augmentation([{"name": "RandomRotation", "angle": 3}])


def collect(executor: LocalExecutor) -> SegmentResult:
    for _ in range(120):
        for result in executor.completed(1.0):
            return result
    raise AssertionError("no result came")


def wait_for(condition: Any) -> None:
    for _ in range(6000):
        if condition():
            return
        time.sleep(0.01)
    raise AssertionError("it did not happen")
