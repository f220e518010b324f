"""How hard the simulated data sets are: photon count, PCA and nearest neighbours, a small network.

    python benchmarks/xfel_difficulty.py --pair adk=adk-open,adk-closed
    python benchmarks/xfel_difficulty.py --pair eef2=1n0u=1n0u.pdb:A,1n0vc=1n0v.pdb:C

Prints a table, keeps every result in a JSON file (what is there is not measured again), and draws the
learning curves. All accuracies are on test images, whose orientations are in no other part; the validation
images choose the threshold, the number of neighbours and the epoch.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.decomposition import PCA
from sklearn.neighbors import KNeighborsClassifier
from torch import nn

from a4nn_core.data.base import ImageData, Split
from a4nn_core.data.xfel.source import Xfel

BEAMS = ("low", "medium", "high")
# as in XPSI: a code of 20 numbers, then its neighbours
COMPONENTS, NEIGHBOURS = 20, (2, 3, 5, 8, 12, 20)


def threshold(data: ImageData) -> float:
    """Accuracy of the best threshold on the photon count, in percent."""
    totals = [part.images.sum(axis=(1, 2, 3), dtype=np.int64) for part in (data.validation, data.test)]
    cuts = np.unique(totals[0])
    above = totals[0][None] > cuts[:, None]
    right = (above == data.validation.labels[None].astype(bool)).mean(axis=1)
    # either class can be the brighter one
    best = int(np.argmax(np.maximum(right, 1 - right)))
    found = (totals[1] > cuts[best]) == data.test.labels.astype(bool)
    return 100 * float(found.mean() if right[best] >= 0.5 else 1 - found.mean())


def neighbours(data: ImageData, seed: int) -> float:
    """Accuracy of nearest neighbours on 20 principal components of log counts, in percent."""

    def flat(part: Split) -> Any:
        return np.log1p(part.images.reshape(len(part), -1).astype(np.float32))

    pca = PCA(COMPONENTS, svd_solver="randomized", random_state=seed).fit(flat(data.train))
    codes = [pca.transform(flat(part)) for part in (data.train, data.validation, data.test)]
    models = [KNeighborsClassifier(k).fit(codes[0], data.train.labels) for k in NEIGHBOURS]
    best = max(models, key=lambda model: model.score(codes[1], data.validation.labels))
    return 100 * float(best.score(codes[2], data.test.labels))


class Network(nn.Sequential):
    """Three blocks of convolution, batch normalisation, ReLU and pooling."""

    def __init__(self) -> None:
        layers: list[nn.Module] = [nn.BatchNorm2d(1)]
        for before, after in ((1, 16), (16, 32), (32, 64)):
            layers += [
                nn.Conv2d(before, after, 3, padding=1, bias=False),
                nn.BatchNorm2d(after),
                nn.ReLU(),
                nn.MaxPool2d(2),
            ]
        super().__init__(*layers, nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(256, 2))


def learn(data: ImageData, epochs: int, seed: int) -> tuple[list[float], float]:
    """Validation accuracy after each epoch, and test accuracy at the best one, in percent."""
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    transform = data.transform

    def seen(images: Any) -> torch.Tensor:
        return (torch.log1p(torch.from_numpy(images.astype(np.float32))) - transform.mean[0]) / transform.std[
            0
        ]

    network = Network()
    optimiser = torch.optim.SGD(network.parameters(), lr=0.025, momentum=0.9, weight_decay=3e-4)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, epochs)

    def accuracy(part: Split) -> float:
        network.eval()
        with torch.no_grad():
            right = sum(
                int(
                    (
                        network(seen(part.images[i : i + 256])).argmax(1).numpy() == part.labels[i : i + 256]
                    ).sum()
                )
                for i in range(0, len(part), 256)
            )
        return 100 * right / len(part)

    curve: list[float] = []
    best, tested = -1.0, 0.0
    for _ in range(epochs):
        network.train()
        order = rng.permutation(len(data.train))
        for start in range(0, len(order), 128):
            batch = order[start : start + 128]
            loss = nn.functional.cross_entropy(
                network(seen(data.train.images[batch])), torch.from_numpy(data.train.labels[batch])
            )
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
        schedule.step()
        curve.append(accuracy(data.validation))
        if curve[-1] > best:
            best, tested = curve[-1], accuracy(data.test)
    return curve, tested


def draw(results: dict[str, Any], path: Path) -> None:
    """Learning curves: one panel per protein and size, one line per beam."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    panels = sorted({key.rsplit(" ", 1)[0] for key in results})
    figure = Figure(figsize=(3.2 * len(panels), 3.2), layout="constrained", dpi=150)
    axes = figure.subplots(1, len(panels), sharey=True, squeeze=False)[0]
    for axis, panel in zip(axes, panels, strict=True):
        for beam, colour in zip(BEAMS, ("#4477aa", "#ccbb44", "#ee6677"), strict=True):
            if (result := results.get(f"{panel} {beam}")) is None:
                continue
            curve = result["curve"]
            axis.plot(range(1, len(curve) + 1), curve, color=colour, label=f"{beam} beam")
            axis.axhline(result["neighbours"], color=colour, linewidth=0.8, linestyle=":")
        axis.set_title(panel, fontsize=10)
        axis.set_xlabel("epoch")
        axis.xaxis.set_major_locator(MaxNLocator(integer=True))
        axis.spines[["top", "right"]].set_visible(False)
    axes[0].set_ylabel("validation accuracy (%)")
    axes[0].legend(
        loc="lower right", frameon=False, fontsize=8, title="dotted: PCA and kNN", title_fontsize=8
    )
    figure.savefig(path)


def main() -> None:
    """Measure what is not measured yet; print the table; draw."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--pair", action="append", default=[], metavar="TITLE=A,B")
    parser.add_argument("--sizes", nargs="+", type=int, default=[32, 64])
    parser.add_argument("--train", type=int, default=8000)
    parser.add_argument("--epochs", type=int, default=15)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--results", type=Path, default=Path("xfel_difficulty.json"))
    parser.add_argument("--picture", type=Path, default=Path("xfel_difficulty.png"))
    chosen = parser.parse_args()
    torch.set_num_threads(chosen.threads)
    results = json.loads(chosen.results.read_text()) if chosen.results.exists() else {}
    for size in chosen.sizes:
        for pair in chosen.pair or ["adk=adk-open,adk-closed"]:
            title, _, structures = pair.partition("=")
            for beam in BEAMS:
                key = f"{title} {size} px {beam}"
                if key in results:
                    continue
                data = Xfel(
                    size=size,
                    beam=beam,
                    structures=tuple(structures.split(",")),
                    train=chosen.train,
                    validation=2000,
                    test=2000,
                    seed=chosen.seed,
                ).load()
                start = time.perf_counter()
                curve, tested = learn(data, chosen.epochs, chosen.seed)
                results[key] = {
                    "threshold": threshold(data),
                    "neighbours": neighbours(data, chosen.seed),
                    "network": tested,
                    "curve": curve,
                    "seconds": time.perf_counter() - start,
                    "train": chosen.train,
                    "seed": chosen.seed,
                }
                chosen.results.write_text(json.dumps(results, indent=1))
    print("| data | photon count | PCA + kNN | network | after 1, 5, 10 epochs and the last |")
    print("|---|---|---|---|---|")
    for key, r in results.items():
        marks = ", ".join(f"{r['curve'][i]:.1f}" for i in (0, 4, 9, -1))
        print(f"| {key} | {r['threshold']:.1f} | {r['neighbours']:.1f} | {r['network']:.1f} | {marks} |")
    draw(results, chosen.picture)


if __name__ == "__main__":
    main()
