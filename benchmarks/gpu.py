"""Training speed on a GPU: images per second of one network, and of several that share the GPU.

    python benchmarks/gpu.py                                          # networks of the size of icpp23
    python benchmarks/gpu.py --size 32 --channels 8 --at-once 1 8 16  # networks of the size of study
    python benchmarks/gpu.py --compiled

Every network has a process of its own, as in a search, and the steps are those of a search (batches of 128,
averaged weights). The first five, which load libraries and compile, are not counted. Images are random
counts: the time does not depend on what they show.
"""

from __future__ import annotations

import argparse
import multiprocessing
import time
from dataclasses import dataclass
from multiprocessing.connection import Connection

import numpy as np
import torch
from torch.optim import SGD

from a4nn_core.data.base import ImageData, InputTransform, Split
from a4nn_core.spaces.build import Network
from a4nn_core.spaces.macro import Macro
from a4nn_core.training.compute_plan import ComputePlan
from a4nn_core.training.evaluation import EvaluatedNetwork
from a4nn_core.training.loading import DeviceData
from a4nn_core.training.process import choose_algorithms
from a4nn_core.training.steps import Computation, settle, train_epoch

GENOME = [[1, 0, 1, 0, 0, 1, 1], [0, 1, 1, 0, 0, 1, 0], [1, 0, 1, 0, 1, 0, 1]]
BATCH, CLIP = 128, 5.0


@dataclass(frozen=True)
class Case:
    """What one process trains.

    Attributes:
        size: pixels of an image's side.
        channels: channels of the network.
        steps: number of steps that are timed.
        bfloat16: whether to compute in bfloat16.
        compiled: whether the network is compiled.
        device: device in torch's words.
    """

    size: int
    channels: int
    steps: int
    bfloat16: bool
    compiled: bool
    device: str


@dataclass(frozen=True)
class Measured:
    """What one process measured.

    Attributes:
        seconds: seconds of the timed steps.
        first: seconds of the steps before, which load, choose and compile.
        memory: peak memory in bytes.
        mflops: multiply-adds of the network for one image, in millions.
    """

    seconds: float
    first: float
    memory: int
    mflops: float


def images(size: int, count: int) -> ImageData:
    """Random counts, as sparse as photons."""
    random = np.random.default_rng(1)

    def part(count: int) -> Split:
        counts = random.poisson(0.3, (count, 1, size, size)).astype(np.uint16)
        return Split(counts, random.integers(0, 2, count))

    transform = InputTransform(True, (0.2,), (0.4,))
    return ImageData("random", ("a", "b"), part(count), part(1), part(1), transform)


def serve(pipe: Connection) -> None:
    """Train cases as they are asked for: a process that waits between getting ready and being timed."""
    torch.set_num_threads(1)
    while (case := pipe.recv()) is not None:
        device = torch.device(case.device)
        choose_algorithms(True, case.compiled)
        data = DeviceData(images(case.size, case.steps * BATCH), device)
        warm = DeviceData(images(case.size, 5 * BATCH), device)
        architecture = Macro(channels=case.channels).decode(GENOME, data.shape, 2)
        model = Network(architecture).to(device)
        optimizer = SGD(model.parameters(), lr=0.025, momentum=0.9, weight_decay=3e-4)
        plan = ComputePlan(BATCH, bfloat16=case.bfloat16, channels_last=True, compiled=case.compiled)
        computation = Computation(model, plan, BATCH, device)
        measured = EvaluatedNetwork(model, "averaged", plan, BATCH, data, seed=1)
        seconds = []
        for part in (warm, data):
            pipe.send("ready")
            pipe.recv()
            started = time.perf_counter()
            settle([train_epoch(computation, optimizer, part, BATCH, CLIP, None, measured.after_step)])
            seconds.append(time.perf_counter() - started)
        memory = torch.cuda.max_memory_allocated() if device.type == "cuda" else 0
        pipe.send(Measured(seconds[1], seconds[0], memory, architecture.flops / 1e6))
        del data, warm, model, optimizer, computation, measured
        if device.type == "cuda":
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats()


def time_together(pipes: list[Connection], case: Case) -> list[Measured]:
    """Train a case in several processes, whose timed steps begin together."""
    for pipe in pipes:
        pipe.send(case)
    for _ in range(2):
        for pipe in pipes:
            pipe.recv()
        for pipe in pipes:
            pipe.send("go")
    return [pipe.recv() for pipe in pipes]


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--size", type=int, default=127, help="pixels of an image's side")
    parser.add_argument("--channels", type=int, default=24)
    parser.add_argument("--steps", type=int, default=40, help="that are timed")
    parser.add_argument("--at-once", type=int, nargs="+", default=[1, 4], help="networks that share the GPU")
    parser.add_argument("--formats", nargs="+", default=["float32", "bfloat16"])
    parser.add_argument("--compiled", action="store_true")
    parser.add_argument("--device", default="cuda")
    chosen = parser.parse_args()
    spawn = multiprocessing.get_context("spawn")
    pipes = []
    for _ in range(max(chosen.at_once)):
        here, there = spawn.Pipe()
        spawn.Process(target=serve, args=(there,), daemon=True).start()
        pipes.append(here)
    print(
        "| network | number format | at once | images/s | images/s of each | ms per step | GiB of each "
        "| first steps, s |"
    )
    print("|---|---|" + "---:|" * 6)
    for number_format in chosen.formats:
        case = Case(
            chosen.size,
            chosen.channels,
            chosen.steps,
            number_format == "bfloat16",
            chosen.compiled,
            chosen.device,
        )
        for count in chosen.at_once:
            found = time_together(pipes[:count], case)
            slowest = max(one.seconds for one in found)
            each = chosen.steps * BATCH / slowest
            network = f"{chosen.size} pixels, {chosen.channels} channels, {found[0].mflops:.1f} MFLOPs"
            print(
                f"| {network}{', compiled' if chosen.compiled else ''} "
                f"| {number_format} | {count} | {count * each:,.0f} "
                f"| {each:,.0f} | {1000 * slowest / chosen.steps:.1f} | {found[0].memory / 2**30:.2f} "
                f"| {max(one.first for one in found):.1f} |",
                flush=True,
            )
    for pipe in pipes:
        pipe.send(None)


if __name__ == "__main__":
    main()
