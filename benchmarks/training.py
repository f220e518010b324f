"""Training speed compared with the loop of the published code: images per second, at the same accuracy.

    python benchmarks/training.py                        # on simulated patterns of the preset quick
    python benchmarks/training.py --size 64 --channels 16 --threads 2
    python benchmarks/training.py --evaluation           # the cost per epoch of each training.evaluation

The published loop (NSGA-Net's, as A4NN used it): a Dataset in memory, a DataLoader with four workers that
batches of 128 come from, and after every step the loss and the right answers as numbers.

Epochs of the three ways take turns, so that other work on the machine meets them alike. Beside images a
second by the clock stand images a second of CPU time, which a busy machine disturbs less: of the process that
trains alone, as if the published loop had its loader workers for nothing, and with them. ``x`` compares with
the published loop; rates are those of the best epoch.
"""

from __future__ import annotations

import argparse
import resource
import time
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import SGD
from torch.optim.lr_scheduler import CosineAnnealingLR
from torch.utils.data import DataLoader, Dataset

from a4nn_core.data.base import ImageData, InputTransform, Split
from a4nn_core.data.xfel.source import Xfel
from a4nn_core.spaces.architecture import Architecture
from a4nn_core.spaces.build import Network
from a4nn_core.spaces.macro import Macro
from a4nn_core.training.compute_plan import ComputePlan
from a4nn_core.training.evaluation import STATISTICS_IMAGES, EvaluatedNetwork
from a4nn_core.training.loading import DeviceData
from a4nn_core.training.settings import EvaluationWay, Training
from a4nn_core.training.steps import Computation, evaluate, settle, train_epoch

GENOMES = {
    "sparse": [[1, 0, 0, 0, 0, 0, 0], [1, 0, 0, 0, 0, 0, 0], [1, 0, 0, 0, 0, 0, 0]],
    "middle": [[1, 0, 1, 0, 0, 1, 1], [0, 1, 1, 0, 0, 1, 0], [1, 0, 1, 0, 1, 0, 1]],
    "dense": [[1, 1, 1, 1, 1, 1, 1], [1, 1, 1, 1, 1, 1, 1], [1, 1, 1, 1, 1, 1, 1]],
}
BATCH, CLIP = 128, 5.0


class InMemory(Dataset[tuple[Tensor, int]]):
    """Images in memory, transformed to network input one at a time."""

    def __init__(self, part: Split, transform: InputTransform) -> None:
        self.images, self.labels, self.transform = part.images, part.labels, transform

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        image = torch.from_numpy(self.images[index].astype("float32"))
        image = image.log1p() if self.transform.log1p else image
        return (image - self.transform.mean[0]) / self.transform.std[0], int(self.labels[index])


class Published:
    """The published loop."""

    def __init__(self, model: nn.Module, data: ImageData, workers: int) -> None:
        self.model = model
        self.train_loader, self.validation_loader = (
            DataLoader(InMemory(part, data.transform), BATCH, shuffle=shuffle, num_workers=workers)
            for part, shuffle in ((data.train, True), (data.validation, False))
        )

    def epoch(self, optimizer: SGD) -> None:
        self.model.train()
        total, correct, seen = 0.0, 0, 0
        for images, labels in self.train_loader:
            optimizer.zero_grad()
            scores = self.model(images)
            loss = nn.functional.cross_entropy(scores, labels)
            loss.backward()
            nn.utils.clip_grad_norm_(self.model.parameters(), CLIP)
            optimizer.step()
            total += loss.item()
            seen += len(labels)
            correct += scores.max(1)[1].eq(labels).sum().item()

    @torch.no_grad()
    def accuracy(self) -> float:
        self.model.eval()
        correct = seen = 0
        for images, labels in self.validation_loader:
            correct += int(self.model(images).max(1)[1].eq(labels).sum().item())
            seen += len(labels)
        return 100 * correct / seen


class Ours:
    """The steps of this project."""

    def __init__(self, model: nn.Module, data: DeviceData, compiled: bool) -> None:
        self.data = data
        plan = ComputePlan(BATCH, channels_last=True, compiled=compiled)
        self.computation = Computation(model, plan, BATCH, torch.device("cpu"))

    def epoch(self, optimizer: SGD) -> None:
        settle([train_epoch(self.computation, optimizer, self.data, BATCH, CLIP, None, lambda: None)])

    def accuracy(self) -> float:
        return settle([evaluate(self.computation, self.data, self.data.validation)])[0][1]


class Measured(Ours):
    """Epochs as in a search: training, and the measurement in one of the ways."""

    def __init__(self, model: nn.Module, data: DeviceData, way: EvaluationWay, batch: int) -> None:
        super().__init__(model, data, False)
        self.batch = batch
        self.measured = EvaluatedNetwork(model, way, self.computation.plan, batch, data, seed=1)

    def epoch(self, optimizer: SGD) -> None:
        after = self.measured.after_step
        trained = train_epoch(self.computation, optimizer, self.data, self.batch, CLIP, None, after)
        self.measured.refresh()
        validated = evaluate(self.measured.computation, self.data, self.data.validation)
        self.validated = settle([trained, validated])[1][1]

    def accuracy(self) -> float:
        return self.validated


def take_turns(
    architecture: Architecture, makers: dict[str, Callable[[nn.Module], Any]], epochs: int
) -> tuple[dict[str, list[tuple[float, ...]]], dict[str, Any]]:
    """Clocks of every epoch by method, and the loops; methods alternate, all with the same first weights."""
    ways = {}
    for way, make in makers.items():
        torch.manual_seed(1)
        model = Network(architecture)
        optimizer = SGD(model.parameters(), lr=0.025, momentum=0.9, weight_decay=3e-4)
        ways[way] = (make(model), optimizer, CosineAnnealingLR(optimizer, epochs))
    spent: dict[str, list[tuple[float, ...]]] = {way: [] for way in ways}
    for _ in range(epochs):
        for way, (loop, optimizer, schedule) in ways.items():
            before = clocks()
            loop.epoch(optimizer)
            spent[way].append(tuple(b - a for a, b in zip(before, clocks(), strict=True)))
            schedule.step()
    return spent, {way: loop for way, (loop, *_) in ways.items()}


def compare_evaluations(name: str, data: ImageData, chosen: argparse.Namespace) -> None:
    """Train one network with each method of evaluation, alternating epochs, and print its lines."""
    architecture = Macro(channels=chosen.channels).decode(GENOMES[name], data.shape, len(data.classes))
    on_device = DeviceData(data, torch.device("cpu"))
    batch = Training().images_a_step(len(data.train))
    ways: tuple[EvaluationWay, ...] = ("as-trained", "recalibrated", "averaged")
    spent, _ = take_turns(
        architecture, {way: lambda m, w=way: Measured(m, on_device, w, batch) for way in ways}, chosen.epochs
    )
    # a training image costs a forward and a backward pass, about three forward ones
    forward = 3 * len(data.train) + len(data.validation)
    # the mean of the quicker half: other work on the machine only makes epochs slower
    seconds = {
        way: sum(sorted(s[1] for s in e[1:])[: len(e) // 2]) / (len(e) // 2) for way, e in spent.items()
    }
    for way in ways:
        images = 0 if way == "as-trained" else min(STATISTICS_IMAGES, len(data.train))
        more = 100 * (seconds[way] / seconds["as-trained"] - 1)
        print(
            f"| {name}, {architecture.flops / 1e6:.1f} MFLOPs | {way} | {seconds[way]:.3f} | {more:.1f} "
            f"| {100 * images / forward:.2f} |",
            flush=True,
        )


def compare(name: str, data: ImageData, chosen: argparse.Namespace) -> None:
    """Train one network with each loop, alternating epochs, and print its lines."""
    space = Macro(channels=chosen.channels)
    architecture = space.decode(GENOMES[name], data.shape, len(data.classes))
    on_device = DeviceData(data, torch.device("cpu"))
    makers: dict[str, Callable[[nn.Module], Any]] = {
        f"published, {chosen.workers} workers": lambda m: Published(m, data, chosen.workers),
        "a4nn": lambda m: Ours(m, on_device, False),
        "a4nn, compiled": lambda m: Ours(m, on_device, True),
    }
    if chosen.no_compile:
        del makers["a4nn, compiled"]
    spent, loops = take_turns(architecture, makers, chosen.epochs)
    # the first epoch warms up, and compiles
    best = {
        way: [len(data.train) / min(e[i] for e in epochs[1:]) for i in range(3)]
        for way, epochs in spent.items()
    }
    peer = next(iter(best.values()))
    for way, loop in loops.items():
        rates = " | ".join(f"{r:,.0f} | {r / p:.2f}" for r, p in zip(best[way], peer, strict=True))
        print(
            f"| {name}, {architecture.flops / 1e6:.1f} MFLOPs | {way} | {rates} | {spent[way][0][0]:.0f} "
            f"| {loop.accuracy():.1f} |",
            flush=True,
        )


def clocks() -> tuple[float, float, float]:
    """Seconds by the clock, of this process's CPU time, and of that with all children that have ended."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    mine = time.process_time()
    return time.perf_counter(), mine, mine + children.ru_utime + children.ru_stime


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--size", type=int, default=32, help="pixels of an image's side")
    parser.add_argument("--channels", type=int, default=8)
    parser.add_argument("--images", type=int, default=2000, help="for training")
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--workers", type=int, default=4, help="of the published loop")
    parser.add_argument("--networks", nargs="+", default=list(GENOMES), choices=list(GENOMES))
    parser.add_argument("--no-compile", action="store_true")
    parser.add_argument("--evaluation", action="store_true", help="compare the ways of measuring instead")
    chosen = parser.parse_args()
    torch.set_num_threads(chosen.threads)
    torch.use_deterministic_algorithms(True, warn_only=True)
    data = Xfel(size=chosen.size, beam="medium", train=chosen.images, validation=1000, test=1000).load()
    if chosen.evaluation:
        print("| network | measured | CPU s an epoch | more % | images passed forward more % |")
        print("|---|---|" + "---:|" * 3)
        for name in chosen.networks:
            compare_evaluations(name, data, chosen)
        return
    print(
        "| network | way | images/s | x | a CPU s of training | x | a CPU s of all | x | first epoch s "
        "| accuracy % |"
    )
    print("|---|---|" + "---:|" * 8)
    for name in chosen.networks:
        compare(name, data, chosen)


if __name__ == "__main__":
    main()
