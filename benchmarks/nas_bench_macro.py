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
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pymoo.indicators.hv import HV

from a4nn_core.errors import BadInput
from a4nn_core.penguin.observed import Observed, Past
from a4nn_core.search import Outcome, SearchSettings, Strategy, Study, no_violation
from a4nn_core.search.a4nn import A4NN
from a4nn_core.search.nsga_net import NSGANet
from a4nn_core.spaces import Architecture, Genes, Genome, Graph, Layer, SearchSpace, Shape
from a4nn_core.spaces.features import architecture_features

Floats = NDArray[np.float64]
AT = (20, 30, 35, 40, 55, 60, 100, 200)
"""numbers of trainings that are reported"""
POPULATION = 10
LEAST_ACCURACY = 80.0
"""in percent; networks below add nothing to the hypervolume"""
IMAGES = 10_000
"""images that accuracies were measured on"""
SMALL = "a4nn, offspring 5"
MISLED = "a4nn, earlier run of shuffled accuracies"
STAGES = (2, 3, 3)
"""Blocks of each stage; the first of a stage halves the image and doubles the channels."""
BLOCKS = (None, (3, 3), (6, 5))
"""By gene: no block, or expansion and kernel of an inverted residual."""


class NASBenchMacro(SearchSpace):
    """Eight blocks, each left out or one of two inverted residuals (Su et al., CVPR 2021)."""

    name: Literal["nas-bench-macro"] = "nas-bench-macro"

    @property
    def upper(self) -> Genes:
        return np.full(sum(STAGES), len(BLOCKS) - 1, dtype=np.int64)

    def genome(self, genes: Sequence[int] | Genes) -> Genome:
        return [int(gene) for gene in genes]

    def genes(self, genome: Genome) -> Genes:
        if len(genome) != sum(STAGES) or not set(genome) <= set(range(len(BLOCKS))):
            raise BadInput(f"genome {genome!r} is not a list of {sum(STAGES)} numbers from 0 to 2")
        return np.array(genome, dtype=np.int64)

    def decode(self, genome: Genome, input_shape: Shape, classes: int) -> Architecture:
        graph, genes = Graph(input_shape), iter(self.genes(genome))
        channels = 32

        def convolve(at: int, out: int, phase: int | None = None, act: bool = True, **layer: int) -> int:
            groups = {"groups": layer.pop("groups")} if "groups" in layer else {}
            at = graph.add(Layer("conv", out, phase=phase, settings=groups, **layer), at)
            at = graph.add(Layer("batch_norm", out, phase=phase), at)
            return graph.add(Layer("relu", out, phase=phase), at) if act else at

        at = convolve(0, channels, kernel=3, padding=1)
        for phase, blocks in enumerate(STAGES):
            for place in range(blocks):
                have, stride = channels, 1 if place else 2
                channels *= stride
                block, before = BLOCKS[next(genes)], at
                if block is not None:
                    expansion, kernel = block
                    wide = have * expansion
                    at = convolve(at, wide, phase)
                    at = convolve(
                        at, wide, phase, kernel=kernel, stride=stride, padding=kernel // 2, groups=wide
                    )
                    at = convolve(at, channels, phase, act=False)
                    if stride == 1:
                        at = graph.add(Layer("add", channels, phase=phase), [before, at])
                elif stride == 2:
                    at = convolve(at, channels, phase, act=False, stride=2)
        at = convolve(at, 1280)
        at = graph.add(Layer("global_average_pool", 1280), at)
        graph.add(Layer("linear", classes, bias=True), at)
        return graph.done()


@dataclass(frozen=True)
class Table:
    """The table, one row per genome in lexicographic order.

    Attributes:
        accuracy: of three trainings in percent, shape (genomes, 3).
        mflops: multiply-adds in millions, as the table has them, shape (genomes,).
        row: genome as text to its row.
    """

    accuracy: Floats
    mflops: Floats
    row: dict[str, int]

    @classmethod
    def read(cls, data: Path) -> Table:
        """Read ``nas-bench-macro_cifar10.json``."""
        entries = json.loads((data / "nas-bench-macro/nas-bench-macro_cifar10.json").read_text())
        names = sorted(entries)
        return cls(
            np.array([entries[name]["test_acc"] for name in names]),
            np.array([entries[name]["flops"] for name in names]) / 1e6,
            {name: row for row, name in enumerate(names)},
        )

    def hypervolume(self, rows: Sequence[int]) -> float:
        """Of some networks' true values, above 80 % accuracy and below the greatest cost of the table."""
        points = np.column_stack([self.mflops[rows], 100 - self.accuracy[rows].mean(axis=1)])
        return float(HV(ref_point=np.array([self.mflops.max(), 100 - LEAST_ACCURACY]))(points))

    @cached_property
    def whole(self) -> float:
        """Hypervolume of all networks."""
        return self.hypervolume(range(len(self.row)))


class Decoder:
    """Decodes genomes, each once for all searches."""

    def __init__(self) -> None:
        self.space = NASBenchMacro()
        self.known: dict[str, Architecture] = {}

    def __call__(self, genome: Genome) -> Architecture:
        key = "".join(map(str, genome))
        if key not in self.known:
            self.known[key] = self.space.decode(genome, (3, 32, 32), 10)
        return self.known[key]


def search(strategy: Strategy, table: Table, seed: int, decode: Decoder) -> list[int]:
    """Rows of the networks that a strategy asks for; told is one of their three trainings."""
    drawn = np.random.default_rng([seed, 1]).integers(0, table.accuracy.shape[1], len(table.row))
    asked: list[int] = []
    while not strategy.finished:
        for candidate in strategy.ask(POPULATION):
            row = table.row["".join(map(str, candidate.genome))]
            asked.append(row)
            mflops = decode(candidate.genome).flops / 1e6
            fitness = {"error_percent": 100 - table.accuracy[row, drawn[row]], "mflops": mflops}
            strategy.tell(Outcome(candidate.number, fitness))
    return asked


def shuffled(table: Table, seed: int, decode: Decoder) -> Past:
    """An earlier run that misleads: a hundred networks with each other's accuracies."""
    rng = np.random.default_rng([seed, 2])
    names = rng.choice(sorted(table.row), 100, replace=False)
    reached = rng.permutation([table.accuracy[table.row[name], 0] for name in names])
    networks = tuple(
        Observed(architecture_features(decode([int(gene) for gene in name])), (accuracy,))
        for name, accuracy in zip(names, reached.tolist(), strict=True)
    )
    return Past("shuffled", 1, IMAGES, "as-trained", networks)


def begin(name: str, seed: int, table: Table, decode: Decoder) -> Strategy:
    """A strategy of the comparison."""
    past = (shuffled(table, seed, decode),) if name == MISLED else ()
    study = Study(decode, horizon=1, images=IMAGES, curves="as-trained", past=past)
    settings: SearchSettings
    if name == "random":
        settings = NSGANet(networks=200, population=200)
    elif name == "nsga-net":
        settings = NSGANet(networks=200, population=POPULATION, offspring=POPULATION)
    else:
        offspring = 5 if name == SMALL else POPULATION
        settings = A4NN(networks=100, population=POPULATION, offspring=offspring)
    return settings.begin(decode.space, seed, no_violation, study)


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
    table, decode = Table.read(options.data), Decoder()
    print("| strategy |" + "".join(f" {count} |" for count in AT))
    print("|---" * (len(AT) + 1) + "|")
    shares: dict[str, Floats] = {}
    for name in ("random", "nsga-net", "a4nn", SMALL, MISLED):
        runs = [
            search(begin(name, seed, table, decode), table, seed, decode) for seed in range(options.seeds)
        ]
        counts = range(5, len(runs[0]) + 1, 5)
        shares[name] = np.array([[table.hypervolume(run[:n]) / table.whole for n in counts] for run in runs])
        columns = [shares[name][:, n // 5 - 1] for n in AT if n <= len(runs[0])]
        cells = [f"{column.mean():.3f} +- {column.std():.3f}" for column in columns]
        print(f"| {name} | " + " | ".join([*cells, *["-"] * (len(AT) - len(cells))]) + " |", flush=True)
    if options.figure:
        draw(shares, options.figure)


if __name__ == "__main__":
    main()
