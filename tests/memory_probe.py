"""Train the largest network of a preset for two epochs and print the memory it took. Run as a program.

Arguments: preset, batch size, compile (never or always). Prints the bytes above what the process had before.
"""

from __future__ import annotations

import ctypes
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch

from a4nn_core.data.base import ImageData, InputTransform, Split
from a4nn_core.experiment import load_experiment
from a4nn_core.training.loading import DeviceData
from a4nn_core.training.segment import Segment
from a4nn_core.training.trainer import train_segment

SHAPES = {"quick": (1, 32, 32), "digits": (1, 8, 8)}
CLASSES = 2


def status(name: str) -> int:
    """A memory figure of this process from the kernel, in bytes."""
    text = Path("/proc/self/status").read_text().split(f"{name}:")[1]
    return 1024 * int(text.split()[0])


def images(shape: tuple[int, int, int], count: int) -> ImageData:
    rng = np.random.default_rng(0)

    def part(n: int) -> Split:
        return Split(rng.integers(0, 9, (n, *shape), dtype=np.uint8), rng.integers(0, CLASSES, n))

    return ImageData(
        "made-up", ("a", "b"), part(count), part(8), part(8), InputTransform(False, (4.0,), (3.0,))
    )


def train(preset: str, batch: int, compiled: str) -> int:
    """Train two epochs of two batches; returns the peak memory above that before, in bytes."""
    what = load_experiment(preset, [f"training.batch_size={batch}", "training.epochs=2"])
    shape = SHAPES[preset]
    largest = what.space.decode(what.space.genome(what.space.upper), shape, CLASSES)
    data = DeviceData(images(shape, 2 * batch), torch.device("cpu"))
    with tempfile.TemporaryDirectory() as commons:
        one = Segment(
            commons=commons,
            run_id="r",
            network=0,
            generation=0,
            architecture=largest,
            data={},
            training=what.training.model_copy(update={"compile": compiled}),
            termination={"name": "none"},
            fixed={},
            seed=1,
            device="cpu",
        )
        ctypes.CDLL("libc.so.6").malloc_trim(0)
        before = status("VmRSS")
        Path("/proc/self/clear_refs").write_text("5")  # forget the greatest so far (proc(5))
        result = train_segment(one, data, torch.device("cpu"))
    assert result.status == "completed", result.error
    return status("VmHWM") - before


def main(preset: str, batch: int, compiled: str) -> None:
    train(preset, 8, "never")  # libraries are loaded at the first use
    sys.stdout.write(f"{train(preset, batch, compiled)}\n")


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), sys.argv[3])
