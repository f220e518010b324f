"""The examples of CONTRIBUTING.md are one package: taken from the page, installed, and searched with."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[1] / "CONTRIBUTING.md"
BLOCK = re.compile(r'^```\w+ title="([^"]+)"\n(.*?)^```$', re.MULTILINE | re.DOTALL)
PARTS = (
    "strategy",
    "search space",
    "free search space",
    "operation",
    "termination rule",
    "data set",
    "metric",
)


def call(*command: object, cwd: Path, **environment: str) -> str:
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The folder that the package was installed into, and the experiment."""
    project = tmp_path_factory.mktemp("project")
    files = dict(BLOCK.findall(PAGE.read_text(encoding="utf-8")))
    for name, text in files.items():
        (project / name).parent.mkdir(exist_ok=True)
        (project / name).write_text(text, encoding="utf-8")
    (project / "a4nn_examples" / "__init__.py").touch()
    target = tmp_path_factory.mktemp("target")
    pip = (sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--no-build-isolation")
    call(*pip, "--target", target, project, cwd=project)
    return target, project / "stripes.toml"


def test_every_kind_of_part_has_an_example() -> None:
    headings = re.findall(r"^### (?:A|An) (.*)$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert sorted(headings) == sorted(PARTS)


@pytest.mark.slow
def test_a_search_with_every_example(installed: tuple[Path, Path], tmp_path: Path) -> None:
    target, experiment = installed
    a4nn = (sys.executable, "-P", "-m", "a4nn_core")
    call(*a4nn, "run", experiment, "--run-id", "one", cwd=tmp_path, PYTHONPATH=str(target))
    query = (
        "select network, status, termination_reason, epochs_trained, fitness['depth'] as depth, "
        "(select count(*) from layers where layers.run = networks.run "
        "and layers.network = networks.network and op = 'gelu') as gelus "
        "from networks where run = 'one' order by network"
    )
    for part in (
        "search.my-random",
        "space.chain",
        "space.widths",
        "operations.gelu",
        "termination.hopeless",
        "data.stripes",
    ):
        [listed] = json.loads(call(*a4nn, "settings", part, "--json", cwd=tmp_path, PYTHONPATH=str(target)))
        assert listed["package"] == "a4nn_examples"
        assert "cannot be loaded" not in listed["meaning"]
    [metric] = json.loads(call(*a4nn, "settings", "depth", "--json", cwd=tmp_path, PYTHONPATH=str(target)))
    assert (metric["table"], metric["package"]) == ("metrics", "a4nn_examples")
    free = (
        "--set",
        "space=widths",
        "--set",
        "search.name=regularised-evolution",
        "--set",
        "search.networks=6",
    )
    few = ("--set", "search.population=3", "--set", "search.batch=3", "--set", "training.epochs=2")
    call(*a4nn, "run", experiment, *free, *few, "--run-id", "two", cwd=tmp_path, PYTHONPATH=str(target))
    query_two = "select count(distinct json_array_length(genome)) as lengths from networks where run = 'two'"
    [two] = json.loads(call(*a4nn, "sql", query_two, "--format", "json", cwd=tmp_path))
    assert two["lengths"] > 1
    # whoever reads the commons does not need the package
    rows = json.loads(call(*a4nn, "sql", query, "--format", "json", cwd=tmp_path))
    assert [row["network"] for row in rows] == [0, 1, 2, 3]
    for row in rows:
        assert row["depth"] == row["gelus"] >= 1
        if row["status"] != "equal":
            assert (row["status"], row["epochs_trained"]) in {("completed", 3), ("stopped", 2)}
            assert (row["termination_reason"] == "hopeless") == (row["status"] == "stopped")
