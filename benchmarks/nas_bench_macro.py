"""How many trainings does a search need? Strategies on a table in which every network is trained already.

    python benchmarks/nas_bench_macro.py --data $A4NN_REFERENCE_DATA [--seeds 20] [--figure FILE]

NAS-Bench-Macro (Su et al., CVPR 2021, arXiv 2103.11922): all 6,561 networks of a space of eight blocks, each
trained three times on CIFAR-10. Objectives are error and multiply-adds. A strategy is told one of the three
accuracies, drawn by the seed; the hypervolume is of the networks' mean accuracies, as a share of that of the
whole table.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tables import Table, nas_bench_macro

from a4nn_core.penguin.measure import Accuracy
from a4nn_core.penguin.observed import Observed, Past
from a4nn_core.search import Outcome, SearchSettings, Strategy, Study, no_violation
from a4nn_core.search.a4nn import A4NN
from a4nn_core.search.nsga_net import NSGANet
from a4nn_core.spaces.features import architecture_features

Floats = NDArray[np.float64]
AT = (20, 30, 35, 40, 55, 60, 100, 200)
"""numbers of trainings that are reported"""
POPULATION = 10
SMALL = "a4nn, offspring 5"
MISLED = "a4nn, earlier run of shuffled accuracies"


def search(strategy: Strategy, table: Table, seed: int) -> list[int]:
    """Rows of the networks that a strategy asks for; told is one of their three trainings."""
    told = table.drawn(seed)
    asked: list[int] = []
    while not strategy.finished:
        for candidate in strategy.ask(POPULATION):
            row = table.row_of(candidate.genome)
            asked.append(row)
            mflops = table.decode(candidate.genome).flops / 1e6
            fitness = {"error_percent": 100 - float(told[row]), "mflops": mflops}
            strategy.tell(Outcome(candidate.number, fitness))
    return asked


def shuffled(table: Table, seed: int) -> Past:
    """An earlier run that misleads: a hundred networks with each other's accuracies."""
    rng = np.random.default_rng([seed, 2])
    names = rng.choice(sorted(table.row), 100, replace=False)
    reached = rng.permutation([table.accuracy[table.row[name], 0] for name in names])
    networks = tuple(
        Observed(architecture_features(table.decode(json.loads(name))), (accuracy,))
        for name, accuracy in zip(names, reached.tolist(), strict=True)
    )
    return Past("shuffled", 1, Accuracy(table.images), "as-trained", networks)


def begin(name: str, seed: int, table: Table) -> Strategy:
    """A strategy of the comparison."""
    past = (shuffled(table, seed),) if name == MISLED else ()
    study = Study(table.decode, horizon=1, measure=Accuracy(table.images), curves="as-trained", past=past)
    settings: SearchSettings
    if name == "random":
        settings = NSGANet(networks=200, population=200)
    elif name == "nsga-net":
        settings = NSGANet(networks=200, population=POPULATION, offspring=POPULATION)
    else:
        offspring = 5 if name == SMALL else POPULATION
        settings = A4NN(networks=100, population=POPULATION, offspring=offspring)
    return settings.begin(table.space, seed, no_violation, study)


def draw(shares: dict[str, Floats], file: Path) -> None:
    """Share of the hypervolume against evaluations: mean, and one standard deviation each way."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.4, 4.0), layout="constrained")
    axes = figure.subplots()
    for name in ("random", "nsga-net", "a4nn"):
        mean, spread = shares[name].mean(axis=0), shares[name].std(axis=0)
        at = np.arange(5, 5 * len(mean) + 1, 5)
        [line] = axes.plot(at, mean, label=name)
        axes.fill_between(at, mean - spread, mean + spread, alpha=0.2, color=line.get_color(), lw=0)
    axes.set(xlabel="networks trained", ylabel="share of the hypervolume", xlim=(0, 200), ylim=(0.7, 1.0))
    axes.grid(alpha=0.3)
    axes.legend(loc="lower right")
    figure.savefig(file, dpi=150)


def main() -> None:
    """Print the table, and draw the figure if asked to."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of the reference data")
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--figure", type=Path)
    options = parser.parse_args()
    table = nas_bench_macro(options.data)
    print("| strategy |" + "".join(f" {count} |" for count in AT))
    print("|---" * (len(AT) + 1) + "|")
    shares: dict[str, Floats] = {}
    for name in ("random", "nsga-net", "a4nn", SMALL, MISLED):
        runs = [search(begin(name, seed, table), table, seed) for seed in range(options.seeds)]
        counts = range(5, len(runs[0]) + 1, 5)
        shares[name] = np.array([[table.hypervolume(run[:n]) for n in counts] for run in runs])
        columns = [shares[name][:, n // 5 - 1] for n in AT if n <= len(runs[0])]
        cells = [f"{column.mean():.3f} +- {column.std():.3f}" for column in columns]
        print(f"| {name} | " + " | ".join([*cells, *["-"] * (len(AT) - len(cells))]) + " |", flush=True)
    if options.figure:
        draw(shares, options.figure)


if __name__ == "__main__":
    main()
