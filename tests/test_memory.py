"""What does not fit is refused before anything trains, and nothing else is: the estimate is a lower bound."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import memory_probe
import pytest
import torch
from command import a4nn
from fakes import experiment
from test_training import CPU, segment

from a4nn_core.commons import RunFolder
from a4nn_core.data import mapped
from a4nn_core.data.base import ImageData
from a4nn_core.errors import BadInput
from a4nn_core.experiment import Experiment, load_experiment
from a4nn_core.spaces.architecture import Architecture, Shape
from a4nn_core.spaces.build import Network
from a4nn_core.training import memory, process, trainer
from a4nn_core.training.compute_plan import ComputePlan
from a4nn_core.training.loading import DeviceData
from a4nn_core.training.memory import Need, check_room, kept_values, machine_memory, size
from a4nn_core.training.settings import Training
from a4nn_core.workflow import preflight, run
from a4nn_core.workflow.pool import WorkerPool
from a4nn_core.workflow.preflight import check_fit

MIB = 2**20


def largest(what: Experiment, shape: Shape, classes: int = 2) -> Architecture:
    return what.space.decode(what.space.genome(what.space.upper), shape, classes)


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="the kernel counts no memory here")
@pytest.mark.parametrize(
    ("preset", "batch"), [("quick", 32), ("quick", 256), ("digits", 64), ("digits", 2048)]
)
def test_a_worker_takes_more_than_the_estimate(preset: str, batch: int) -> None:
    """Measured when this was written: 1.4 to 1.6 times the estimate, 2.4 times for the smallest."""
    what = load_experiment(preset, [f"training.batch_size={batch}"])
    architecture = largest(what, memory_probe.SHAPES[preset], memory_probe.CLASSES)
    estimate = Need.of(architecture, what.training, 2 * batch, "cpu", micro_batch=batch).total
    done = subprocess.run(
        [sys.executable, "-P", memory_probe.__file__, preset, str(batch), "never"],
        env=os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path(memory_probe.__file__).parent)},
        capture_output=True,
        text=True,
        check=True,
    )
    measured = int(done.stdout)
    assert estimate <= measured
    assert measured <= 4 * estimate, "the estimate says nothing"


def kept_by_autograd(network: Network, images: torch.Tensor) -> int:
    """Numbers in the distinct float tensors that are saved for the backward step, weights and images left
    out."""
    known = {weight.untyped_storage().data_ptr() for weight in network.parameters()}
    known |= {buffer.untyped_storage().data_ptr() for buffer in network.buffers()}
    known.add(images.untyped_storage().data_ptr())
    saved: dict[int, torch.Tensor] = {}  # holds them, so that no address is used twice

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        if tensor.is_floating_point() and tensor.untyped_storage().data_ptr() not in known:
            saved[tensor.untyped_storage().data_ptr()] = tensor
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        scores = network(images)
    assert scores.requires_grad
    return sum(tensor.untyped_storage().nbytes() // 4 for tensor in saved.values())


@pytest.mark.parametrize("preset", ["quick", "digits"])
def test_what_is_kept_is_what_autograd_keeps(preset: str) -> None:
    what = load_experiment(preset)
    shape = memory_probe.SHAPES[preset]
    values = kept_by_autograd(Network(largest(what, shape)), torch.rand(64, *shape))
    expected = 64 * kept_values(largest(what, shape), compiled=False)
    assert expected <= values <= 1.01 * expected  # beside them batch normalisation keeps its means
    assert kept_values(largest(what, shape), compiled=True) < expected / 4


def test_the_micro_batch_is_the_fewest_images_that_training_falls_back_to() -> None:
    architecture = largest(experiment(), (1, 8, 8))
    for batch in (1, 2, 3, 7, 8, 9, 64, 250):
        settings = Training(batch_size=batch)
        usual = ComputePlan.choose(settings, architecture, (1, 8, 8), 1000, CPU)
        weakest = usual.smaller() or usual
        assert Need.of(architecture, settings, 1000, "cpu").micro_batch == weakest.micro_batch
    assert Need.of(architecture, Training(batch_size=512), 50, "cpu").micro_batch == 50


def test_number_formats_and_momentum_count() -> None:
    architecture = largest(experiment(), (1, 8, 8))

    def need(kind: str, **settings: Any) -> Need:
        return Need.of(architecture, Training(**settings), 1000, kind)

    plain = need("cpu")
    # weights, momentum and the average of the weights, four bytes each
    assert plain.state == 3 * plain.gradients == 12 * architecture.parameters
    assert need("cpu", momentum=0.0, evaluation="recalibrated").state == plain.gradients
    assert need("cuda").kept == need("cpu", precision="bfloat16").kept == plain.kept / 2
    assert need("cuda", precision="float32").kept == plain.kept
    assert need("cpu", compile="always").kept < plain.kept
    assert plain.total == plain.state + plain.images + plain.micro_batch * plain.kept
    assert Need(1, 8, 100, 2, 3).total == 108


@pytest.fixture(scope="module")
def digits() -> ImageData:
    return experiment().data.load()


def needed(what: Experiment, data: ImageData) -> tuple[int, int]:
    """Bytes of one network and of the data set."""
    one = Need.of(largest(what, data.shape, len(data.classes)), what.training, len(data.train), "cpu").total
    return one, sum(p.images.nbytes + p.labels.nbytes for p in (data.train, data.validation, data.test))


def try_fit(what: Experiment, data: ImageData, device: str, slots: int) -> None:
    check_fit(what, largest(what, data.shape, len(data.classes)), data, device, slots)


@pytest.mark.parametrize("device", ["cpu", "fake"])
def test_on_the_cpu_one_network_and_a_copy_of_the_data_for_each_worker_must_fit(
    digits: ImageData, device: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One network, as no architecture is trained twice: the others may be smaller."""
    what = experiment()
    one, data = needed(what, digits)
    monkeypatch.setattr(preflight, "machine_memory", lambda: one + 4 * data)
    try_fit(what, digits, device, 3)
    with pytest.raises(BadInput) as caught:
        try_fit(what, digits, device, 4)
    assert str(caught.value) == (
        "the largest network of the search space does not fit: training needs at least "
        f"{size(one + 5 * data)} ({size(one)} with 16 images at once, and 5 copies of the data set, "
        f"{size(data)} each), and this machine has {size(one + 4 * data)}; "
        "lower training.slots or training.batch_size or space.channels"
    )
    monkeypatch.setattr(mapped, "LEAST_BYTES", digits.nbytes)
    try_fit(what, digits, device, 64)
    monkeypatch.setattr(preflight, "machine_memory", lambda: one)
    with pytest.raises(BadInput, match=rf"at once, and {size(data)} of data\), and this machine"):
        try_fit(what, digits, device, 64)
    monkeypatch.undo()
    monkeypatch.setattr(preflight, "machine_memory", lambda: one + 4 * data)
    # more slots than networks stay empty
    try_fit(experiment(search={"networks": 3, "population": 3}), digits, device, 64)
    monkeypatch.setattr(preflight, "machine_memory", lambda: None)
    try_fit(what, digits, device, 64)


def test_on_a_gpu_the_data_may_stay_outside(digits: ImageData, monkeypatch: pytest.MonkeyPatch) -> None:
    what = experiment(training={"slots_per_device": 3, "precision": "float32"})
    one, _ = needed(what, digits)
    monkeypatch.setattr(preflight, "gpu_memory", {"cuda": one - 1, "cuda:1": one}.get)
    try_fit(what, digits, "cuda:1", 3)
    with pytest.raises(BadInput, match=r"fit: .*, and the GPU \(cuda\) has .*; lower training.batch"):
        try_fit(what, digits, "cuda", 12)
    half = experiment(training={"slots_per_device": 3})  # a GPU computes in bfloat16 by itself
    try_fit(half, digits, "cuda", 12)


def test_the_memory_of_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    from a4nn_core.workflow.devices import gpu_memory

    class Properties:
        def __init__(self, index: int) -> None:
            self.total_memory = (10, 30, 20)[index]

    monkeypatch.setattr(torch.cuda, "device_count", lambda: 3)
    monkeypatch.setattr(torch.cuda, "get_device_properties", Properties)
    assert (gpu_memory("cuda"), gpu_memory("cuda:2")) == (30, 20)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    assert gpu_memory("cuda") is None


def test_what_to_lower_when_one_is_too_many() -> None:
    with pytest.raises(BadInput, match=r"^x does not fit: .* has 1.0 MiB; lower a or b$"):
        check_room("x", Need(2, 0, 0, 0, MIB), "y", MIB, lower=["a", "b"])
    check_room("x", Need(1, 0, 0, 0, MIB), "y", MIB, lower=["a"])


class Elsewhere:
    """An executor whose segments other machines train."""

    slots, is_local = 4, False

    def close(self) -> None:
        pass


class Reached(Exception):
    """The search was started."""


def test_where_other_machines_train_this_one_is_not_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def reached(*_: object) -> None:
        raise Reached

    monkeypatch.setattr(preflight, "machine_memory", lambda: 1)
    monkeypatch.setattr(run, "open_run", reached)
    executor: Any = Elsewhere()
    with pytest.raises(Reached):
        run.execute(experiment(), tmp_path / "c", "r", lambda *_: executor)
    executor.is_local = True
    with pytest.raises(BadInput, match=r"this machine has 0\.0 MiB"):
        run.execute(experiment(), tmp_path / "c", "r", lambda *_: executor)
    assert list(tmp_path.iterdir()) == []


def test_the_machine_that_trains_refuses_a_network_before_its_first_step(
    digits: ImageData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "machine_memory", lambda: 1000)
    with pytest.raises(BadInput, match="network 0 does not fit: training needs at least"):
        trainer.train_segment(segment(tmp_path), DeviceData(digits, CPU), CPU)
    assert not RunFolder(tmp_path, "r").journal(0).exists()


@pytest.mark.slow
def test_such_a_network_ends_the_run_and_is_no_outcome_of_it(tmp_path: Path) -> None:
    """As on a machine of a work pool, whose worker is asked without a check before."""
    huge = largest(experiment(space={"channels": 2_000_000}), (1, 8, 8), 10)
    workers = WorkerPool(1, 1)
    try:
        result = workers.run(segment(tmp_path, architecture=huge))
    finally:
        workers.close()
    assert result.fatal
    assert result.error is not None
    assert result.error.startswith("network 0 does not fit: training needs at least")
    assert "lower training.batch_size or the search space" in result.error


def test_too_much_is_one_sentence_on_the_command_line(tmp_path: Path) -> None:
    """No machine has this memory; nothing of it is taken."""
    done = a4nn("run", "digits", "--set", "space.channels=2000000", "--set", "training.slots=2", cwd=tmp_path)
    assert done.returncode == 2
    errors = [line for line in done.stderr.splitlines() if line.startswith("Error: ")]
    assert len(errors) == 1
    assert "the largest network of the search space does not fit" in errors[0]
    assert "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("groups", "files", "limit"),
    [
        ("0::/\n", {"memory.max": "max\n"}, None),
        ("0::/\n", {"memory.max": "4096\n"}, 4096),
        ("0::/a/b\n", {"a/b/memory.max": "max\n", "a/memory.max": "8192\n"}, 8192),
        ("0::/outside/of/this/container\n", {"memory.max": "4096\n"}, 4096),
        ("4:cpu,memory:/job\n0::/\n", {"memory/job/memory.limit_in_bytes": "1234\n"}, 1234),
        ("4:memory:/\n", {"memory/memory.limit_in_bytes": "9223372036854771712\n"}, None),
        ("", {}, None),
    ],
)
def test_the_limits_of_control_groups(
    groups: str, files: dict[str, str], limit: int | None, tmp_path: Path
) -> None:
    for name, text in files.items():
        path = tmp_path / "sys/fs/cgroup" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (tmp_path / "proc/self").mkdir(parents=True)
    (tmp_path / "proc/self/cgroup").write_text(groups)
    physical = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    assert machine_memory(tmp_path) == (limit or physical)
    assert memory.machine_memory(tmp_path / "nothing") == physical
