"""What is measured after an epoch: the methods of ``training.evaluation`` compared on one training.

    python benchmarks/evaluation.py                          # the data of the preset quick
    python benchmarks/evaluation.py --images 336 --epochs 10 # few images: the batch is chosen as in a search
    python benchmarks/evaluation.py --batch 128 --picture docs/images/evaluation.png

Random networks of the macro space are trained, each once; after every epoch the same weights are measured in
every way, with statistics from so many images. A line is the mean over networks and seeds:

- ``jump``: mean absolute change of validation accuracy between neighbouring epochs after the third, points;
- ``final``: validation accuracy after the last epoch; ``best``: the best of all epochs;
- ``after 3``, ``after 5``: by how much the best so far lies below the best of all epochs then, points;
- ``cost``: images passed forward for the statistics, as a share of all that an epoch passes forward.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.optim import SGD
from torch.optim.lr_scheduler import CosineAnnealingLR

from a4nn_core.data.base import ImageData
from a4nn_core.data.packaged import Digits
from a4nn_core.data.xfel.source import Xfel
from a4nn_core.spaces.build import Network
from a4nn_core.spaces.macro import Macro
from a4nn_core.training import evaluation
from a4nn_core.training.compute_plan import ComputePlan
from a4nn_core.training.evaluation import EvaluatedNetwork
from a4nn_core.training.loading import DeviceData
from a4nn_core.training.settings import Training
from a4nn_core.training.steps import Computation, evaluate, settle, train_epoch

CPU = torch.device("cpu")
CLIP = 5.0


def ways(counts: list[int], decays: list[float]) -> dict[str, tuple[Any, int, float]]:
    """Name to method, number of images for statistics, and decay."""
    found: dict[str, tuple[Any, int, float]] = {"as-trained": ("as-trained", 1, 0.0)}
    for count in counts:
        found[f"recalibrated, {count} images"] = ("recalibrated", count, 0.0)
    for decay in decays:
        for count in counts:
            found[f"averaged {decay:g}, {count} images"] = ("averaged", count, decay)
    return found


def train(
    data: DeviceData, space: Macro, seed: int, chosen: argparse.Namespace, measured_ways: dict[str, Any]
) -> dict[str, list[float]]:
    """Validation accuracies of one random network in percent, one curve per method."""
    rng = np.random.default_rng(seed)
    genome = space.genome(rng.integers(0, np.asarray(space.upper) + 1))
    torch.manual_seed(seed)
    model = Network(space.decode(genome, data.shape, len(data.classes)))
    optimizer = SGD(model.parameters(), lr=chosen.rate, momentum=0.9, weight_decay=3e-4)
    schedule = CosineAnnealingLR(optimizer, chosen.epochs)
    batch = chosen.batch or Training().images_a_step(len(data.train))
    plan = ComputePlan(batch, channels_last=True)
    computation = Computation(model, plan, batch, CPU)
    networks = {}
    for name, (way, count, decay) in measured_ways.items():
        networks[name] = EvaluatedNetwork(model, way, plan, batch, data, seed, images=count)
        networks[name].decay = decay or evaluation.DECAY
    curves: dict[str, list[float]] = {name: [] for name in networks} | {"training": []}

    def after_step() -> None:
        for network in networks.values():
            network.after_step()

    for _ in range(chosen.epochs):
        trained = train_epoch(computation, optimizer, data, batch, CLIP, None, after_step)
        schedule.step()
        for name, network in networks.items():
            network.refresh()
            curves[name].append(settle([evaluate(network.computation, data, data.validation)])[0][1])
        curves["training"].append(settle([trained])[0][1])
    return curves


def line(name: str, curves: list[list[float]], cost: float) -> str:
    """A row of the table."""
    array = np.asarray(curves)
    best = np.maximum.accumulate(array, axis=1)
    late = np.abs(np.diff(array, axis=1))[:, 3:]
    behind = [f"{np.mean(best[:, -1] - best[:, min(k, array.shape[1]) - 1]):.2f}" for k in (3, 5)]
    return (
        f"| {name} | {late.mean():.2f} | {array[:, -1].mean():.2f} | {best[:, -1].mean():.2f} "
        f"| {' | '.join(behind)} | {100 * cost:.1f} % |"
    )


def draw(path: Path, curves: dict[str, list[float]], title: str) -> None:
    """The three curves of one network."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(figsize=(7, 4), layout="constrained")
    styles = {
        "as-trained": ("#d55e00", "-", "o"),
        "recalibrated": ("#0072b2", "--", "s"),
        "averaged": ("#009e73", "-", "D"),
    }
    for name, (colour, dashes, marker) in styles.items():
        found = next(values for key, values in curves.items() if key.startswith(name))
        epochs = range(1, len(found) + 1)
        axes.plot(epochs, found, dashes, color=colour, marker=marker, markersize=4, label=name)
    axes.set(xlabel="epoch", ylabel="validation accuracy (%)", title=title)
    axes.legend(frameon=False)
    axes.grid(alpha=0.3)
    figure.savefig(path, dpi=150)


def load(chosen: argparse.Namespace) -> ImageData:
    """The chosen data set."""
    if chosen.data == "digits":
        return Digits().load()
    return Xfel(size=32, beam=chosen.data, train=chosen.images, validation=1000, test=1000).load()


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", default="medium", choices=["low", "medium", "high", "digits"])
    parser.add_argument("--images", type=int, default=2000, help="for training")
    parser.add_argument("--batch", type=int, default=0, help="0: as chosen in a search")
    parser.add_argument("--rate", type=float, default=0.025)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--networks", type=int, default=5)
    parser.add_argument("--counts", type=int, nargs="+", default=[64, 128, 192, 256, 512, 1024])
    parser.add_argument("--decays", type=float, nargs="+", default=[evaluation.DECAY])
    parser.add_argument("--picture", type=Path, help="draw the first network's curves")
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    data = DeviceData(load(chosen), CPU)
    space = Macro(channels=8) if chosen.data != "digits" else Macro(phases=2, channels=8)
    measured_ways = ways(chosen.counts, chosen.decays)
    found = [train(data, space, seed, chosen, measured_ways) for seed in range(1, chosen.networks + 1)]
    # a training image costs a forward and a backward pass, which is about three forward ones
    forward = 3 * len(data.train) + len(data.validation)
    print("| measured | jump | final | best | after 3 | after 5 | cost |")
    print("|---|---:|---:|---:|---:|---:|---:|")
    for name, (way, count, _) in measured_ways.items():
        cost = 0.0 if way == "as-trained" else min(count, len(data.train)) / forward
        print(line(name, [curves[name] for curves in found], cost))
    print(f"training accuracy at the end: {np.mean([curves['training'][-1] for curves in found]):.2f} %")
    if chosen.picture:
        draw(chosen.picture, found[0], "one network, one training, measured in three ways")


if __name__ == "__main__":
    main()
