"""Metrics in one place, those of other packages among them, and the one Pareto front."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from fakes import FakeExecutor, asked, experiment, search
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from a4nn_core import metrics
from a4nn_core.commons import Commons
from a4nn_core.errors import BadInput
from a4nn_core.metrics import (
    BUILTIN,
    METRICS,
    STANDARD,
    Measured,
    Metric,
    dominates,
    find_metric,
    front_rows,
    nondominated,
    of_row,
)
from a4nn_core.spaces.macro import Macro
from a4nn_core.vocabulary import Direction, Task

DEPTH = """
from a4nn_core.metrics import Measured, Metric
from a4nn_core.vocabulary import Direction

DEPTH = Metric(
    name="depth",
    meaning="layers",
    bounds=(1.0, None),
    of_architecture=lambda architecture: len(architecture.layers),
)


def steadiness(measured):
    return min(measured.accuracy_percent)


STEADINESS = Metric(
    name="steadiness",
    meaning="worst accuracy",
    direction=Direction.maximise,
    of_training=steadiness,
)
BROKEN = Metric(name="broken", meaning="nothing", of_training=lambda measured: 1 / 0)
MISNAMED = Metric(name="another", meaning="nothing", of_training=lambda measured: 0.0)
NONE = "no metric"
"""


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package of somebody else that is installed: metrics by entry point."""
    site = tmp_path / "site"
    about = site / "depths-1.0.dist-info"
    about.mkdir(parents=True)
    (site / "depths.py").write_text(DEPTH)
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: depths\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text(
        "[a4nn.metrics]\ndepth = depths:DEPTH\nsteadiness = depths:STEADINESS\nbroken = depths:BROKEN\n"
        "misnamed = depths:MISNAMED\nnone = depths:NONE\n"
    )
    monkeypatch.syspath_prepend(str(site))
    monkeypatch.setattr(METRICS, "_loaded", {})
    return site


def test_every_metric_says_where_its_value_comes_from() -> None:
    architecture = Macro(phases=1, channels=4).decode([[1, 0, 0, 0, 0, 0, 0]], (1, 8, 8), 2)
    measured = Measured(accuracy_percent=(50.0, 80.0, 70.0), loss=(0.9, None, 0.3))
    assert list(BUILTIN) == [find_metric(name).name for name in METRICS.names() if name in BUILTIN]
    found = metrics.values(BUILTIN.values(), architecture, measured)
    assert found == {
        "error_percent": 20.0,
        "accuracy_percent": 80.0,
        "loss": 0.3,
        "mflops": architecture.flops / 1e6,
        "parameters": architecture.parameters,
        "gflops": architecture.flops / 1e9,
        "peak_memory": architecture.peak_memory_bytes / 1024,
    }
    # before training only what follows from the architecture is known
    before = metrics.values(BUILTIN.values(), architecture)
    assert set(before) == {name for name, metric in BUILTIN.items() if metric.before_training}
    assert set(before) == {"mflops", "parameters", "gflops", "peak_memory"}
    assert metrics.values([BUILTIN["loss"]], architecture, Measured((50.0,), (None,))) == {"loss": np.inf}
    with pytest.raises(ValueError, match="either of_architecture or of_training"):
        Metric(name="nothing", meaning="nothing")


def test_what_is_recorded_of_a_network_stays_what_it_was(tmp_path: Path) -> None:
    search(experiment(), tmp_path, FakeExecutor())
    for row in Commons(tmp_path).networks("r"):
        assert list(row.fitness) == [m.name for m in STANDARD if m.task in (None, Task.classification)]
        assert list(row.fitness) == ["error_percent", "accuracy_percent", "loss", "mflops", "parameters"]


def test_a_metric_of_a_row_stands_in_its_fitness_or_follows_from_its_columns() -> None:
    row = {"fitness": {"mflops": 3.0, "latency": 5.0}, "flops": 7_000_000, "seconds": 2}
    row |= {"best_accuracy_percent": 90.0, "parameters": None}
    assert of_row(row, "mflops") == 3.0
    assert of_row(row, "latency") == 5.0
    assert of_row(row, "gflops") == 0.007
    assert (of_row(row, "error_percent"), of_row(row, "accuracy_percent")) == (10.0, 90.0)
    assert of_row(row, "seconds") == 2.0
    assert of_row(row, "parameters") is of_row(row, "loss") is of_row(row, "unheard_of") is None
    assert of_row({"fitness": None}, "error_percent") is None


def test_gflops_can_be_an_objective(tmp_path: Path) -> None:
    what = experiment(search={"objectives": {"error_percent": "minimise", "gflops": "minimise"}})
    search(what, tmp_path, FakeExecutor())
    for row in Commons(tmp_path).networks("r"):
        assert row.fitness["gflops"] == row.flops / 1e9
    assert Commons(tmp_path).front("r")


READ = """
import json, sys
from pathlib import Path
from a4nn_core.commons import Commons
from a4nn_core.workflow.summary import summarise
commons = Commons(Path(sys.argv[1]))
front = [(n.network, n.fitness["depth"]) for n in commons.front("r")]
asked = commons.sql("select count(*) from front").fetchall()[0][0]
print(json.dumps([front, asked, commons.run("r").objectives, len(summarise(commons, "r").front)]))
"""


@pytest.mark.slow
@pytest.mark.usefixtures("package")
def test_another_package_adds_metrics_and_readers_need_it_not(tmp_path: Path) -> None:
    objectives = {"steadiness": "maximise", "depth": "minimise"}
    bounds = {"depth": {"most": 40}}
    what = experiment(search={"objectives": objectives, "constraints": bounds})
    executor = FakeExecutor()
    one = search(what, tmp_path / "c", executor)
    for row in Commons(tmp_path / "c").networks("r"):
        if row.equal_to is None:
            assert row.fitness["depth"] == len(one.architectures[row.network].layers)
            assert row.fitness["steadiness"] < row.fitness["accuracy_percent"]
    assert all(segment.fixed["depth"] <= 40 for segment in executor.trained)
    front = [[n.network, n.fitness["depth"]] for n in Commons(tmp_path / "c").front("r")]
    assert front
    assert asked(search(what, tmp_path / "c", FakeExecutor())) == asked(one)

    def without(code: str) -> str:
        done = subprocess.run(
            [sys.executable, "-P", "-c", code, str(tmp_path / "c")],
            env={k: v for k, v in os.environ.items() if k != "PYTHONPATH"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert json.loads(without(READ)) == [front, len(front), objectives, len(front)]
    assert "no" in without("from a4nn_core.metrics import METRICS; print('depth' in METRICS.names() or 'no')")


def test_the_metric_of_the_documentation() -> None:
    page = (Path(__file__).parent.parent / "docs/architecture.md").read_text()
    code = page.split("## A new metric")[1].split("```python\n")[1].split("```")[0]
    names: dict[str, Metric] = {}
    exec(code, {"Metric": Metric}, names)
    architecture = Macro(phases=1, channels=4).decode([[0] * 7], (1, 8, 8), 2)
    assert names["DEPTH"].value(architecture) == len(architecture.layers)


@pytest.mark.usefixtures("package")
@pytest.mark.parametrize(
    ("objective", "said"),
    [
        (
            "misnamed",
            r"\[search\] objectives = .*entry point 'misnamed' of a4nn.metrics names the metric 'another'",
        ),
        ("none", r"entry point 'none' of a4nn.metrics names 'no metric', not a metric 'none'"),
        (
            "unheard_of",
            r"no metric named 'unheard_of'; known: error_percent, .*, latency_ms, depth, steadiness",
        ),
    ],
)
def test_what_is_no_metric_is_refused(objective: str, said: str) -> None:
    with pytest.raises(BadInput, match=said):
        experiment(search={"objectives": {objective: "minimise"}})


@pytest.mark.usefixtures("package")
def test_a_metric_that_cannot_be_worked_out_ends_the_run_with_a_sentence(tmp_path: Path) -> None:
    what = experiment(search={"objectives": {"broken": "minimise"}})
    with pytest.raises(BadInput, match="metric 'broken' cannot be worked out: ZeroDivisionError: division"):
        search(what, tmp_path / "c", FakeExecutor())
    # when the package is mended the run goes on, and no network is trained again
    mended = Metric(name="broken", meaning="nothing", of_training=lambda measured: len(measured.loss))
    METRICS._loaded["broken"] = mended
    executor = FakeExecutor()
    search(what, tmp_path / "c", executor)
    networks = Commons(tmp_path / "c").networks("r")
    assert all(row.fitness["broken"] == 4 for row in networks)
    assert len({segment.network for segment in executor.trained}) == len(executor.trained)


# the front


def by_definition(points: NDArray[np.float64]) -> list[bool]:
    """The old implementation's rule, in words: nobody is nowhere greater and somewhere less."""
    return [not any(np.all(other <= point) and np.any(other < point) for other in points) for point in points]


@pytest.mark.parametrize("objectives", [1, 2, 3, 4])
@given(data=st.data())
def test_the_front_by_definition(objectives: int, data: st.DataObject) -> None:
    # few values, so that many points are equal or share one
    value = st.sampled_from([-np.inf, -1.0, 0.0, -0.0, 0.5, 1.0, 2.0, np.inf, np.nan])
    rows = data.draw(st.lists(st.lists(value, min_size=objectives, max_size=objectives), max_size=12))
    points = np.array(rows, dtype=np.float64).reshape(-1, objectives)
    assert nondominated(points).tolist() == by_definition(points)
    for point in points:
        for other in points:
            expected = bool(np.all(point <= other) and np.any(point < other))
            assert dominates(point.tolist(), other.tolist()) == expected


def test_a_front_on_which_everybody_is() -> None:
    """As large a front as there can be takes no time that grows with its square."""
    x = np.arange(100_000.0)
    assert nondominated(np.column_stack([x, -x])).all()
    assert nondominated(np.column_stack([x, -x])[::-1]).all()
    assert nondominated(np.zeros((100_000, 3))).all()


def test_the_front_is_in_the_order_of_its_first_objective() -> None:
    def row(network: int, accuracy: float, cost: float, **columns: object) -> dict[str, object]:
        fitness = {"accuracy_percent": accuracy, "mflops": cost}
        return {"network": network, "status": "completed", "equal_to": None, "fitness": fitness, **columns}

    rows = [
        row(0, 80, 5),
        row(1, 90, 9),
        row(2, 90, 9),
        row(3, 70, 6),
        row(4, 99, 1, status="failed"),
        row(5, 99, 1, status="infeasible"),
        row(6, 99, 1, equal_to=1, status="equal"),
        row(7, 95, 7, status="stopped"),
        row(8, 60, 1),
        row(9, 99, 1, fitness={"mflops": 1.0}),
    ]
    found = front_rows(rows, {"accuracy_percent": "maximise", "mflops": "minimise"})
    assert [n["network"] for n in found] == [7, 0, 8]
    # directions as other programs write them; what is none means minimise
    for word in ("max", "maximize", "maximise", Direction.maximise):
        assert [n["network"] for n in front_rows(rows, {"accuracy_percent": word})] == [7]
    assert [n["network"] for n in front_rows(rows, {"accuracy_percent": "whatever"})] == [8]
    assert front_rows([], {"mflops": "minimise"}) == []


def test_metrics_need_nothing_heavy() -> None:
    code = """
import sys
import a4nn_core.metrics
heavy = {"torch", "pymoo", "pandas", "duckdb", "pyarrow", "pydantic"}
assert not heavy & set(sys.modules), heavy & set(sys.modules)
"""
    subprocess.run([sys.executable, "-P", "-c", code], check=True)
