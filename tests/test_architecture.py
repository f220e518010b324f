"""The arrows between the rooms and the absence of cycles, read from the source of the installed package.

Imports count wherever they stand, late ones too; those for type checkers alone do not.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import a4nn_core

ROOT = Path(a4nn_core.__file__).parent
FLOWS = ROOT.parent / "a4nn_flows"

# What each room may import; modules at the top level are rooms, too. A new arrow is a decision: it is made
# here and told in docs/architecture.md.
GROUND = {
    *(
        "assessment",
        "budget",
        "component",
        "errors",
        "exports",
        "files",
        "hypervolume",
        "jsonable",
        "logs",
        "metrics",
        "plugins",
        "precision",
        "printable",
        "progress",
        "retry",
    ),
    *("toml", "version", "vocabulary"),
}
ALLOWED: dict[str, set[str]] = {
    "errors": set(),
    "version": set(),
    "assessment": {"jsonable"},
    "exports": set(),
    "hypervolume": set(),
    "jsonable": set(),
    "vocabulary": set(),
    "toml": {"jsonable"},
    "precision": set(),
    "printable": set(),
    "progress": set(),
    "retry": set(),
    "files": {"errors"},
    "logs": {"errors", "files", "printable"},
    "plugins": {"errors"},
    "component": {"errors", "plugins"},
    "budget": {"component"},
    "metrics": {"errors", "plugins", "vocabulary"},
    "data": GROUND,
    "spaces": GROUND,
    "search": GROUND | {"penguin", "spaces"},
    "penguin": GROUND,
    "termination": GROUND | {"penguin"},
    "commons": GROUND,
    "interchange": GROUND | {"commons", "workflow"},
    "recorded_graphs": GROUND | {"commons", "spaces"},
    "training": GROUND | {"commons", "data", "spaces", "termination"},
    "experiment": GROUND | {"data", "search", "spaces", "termination", "training"},
    "workflow": GROUND
    | {"commons", "data", "experiment", "penguin", "recorded_graphs", "search", "spaces", "termination"}
    | {"training"},
    "reference": GROUND | {"data", "experiment", "penguin", "search", "spaces", "termination", "training"},
    "replay": GROUND | {"commons", "penguin", "recorded_graphs", "spaces", "termination", "training"},
    "monitoring": GROUND | {"commons", "workflow"},
    "archaeology": GROUND | {"commons", "recorded_graphs", "spaces", "termination"},
    "report": GROUND | {"archaeology", "commons", "workflow"},
    "explore": GROUND
    | {"archaeology", "commons", "interchange", "monitoring", "recorded_graphs", "report", "spaces"},
    "adapters": GROUND | {"penguin", "termination"},
    "publish": GROUND
    | {"archaeology", "commons", "data", "interchange", "recorded_graphs", "spaces", "training"},
    "cli": GROUND
    | {"archaeology", "commons", "data", "experiment", "explore", "interchange", "monitoring", "penguin"}
    | {"publish"}
    | {"recorded_graphs", "reference", "replay", "report", "spaces", "termination", "workflow"},
    "__main__": {"cli"},
}

# Packages that a room must never need, so that what it gives stays cheap to import and free of orchestrators.
HEAVY = {"torch", "prefect", "ray", "dask", "optuna", "lightning"}
MAY_NEED: dict[str, set[str]] = {
    "cli": {"torch"},
    "data": {"torch"},
    "search": {"optuna", "torch"},
    "spaces": {"torch"},
    "training": {"torch"},
    "workflow": {"torch"},
    "publish": {"torch"},
    "interchange": {"optuna"},
    "adapters": {"optuna", "lightning", "ray"},
}


@cache
def sources() -> dict[str, Path]:
    """Every module of the library by name."""
    found = {}
    for file in ROOT.rglob("*.py"):
        parts = file.relative_to(ROOT.parent).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = file
    assert len(found) > 100
    return found


def imports(file: Path) -> Iterator[str]:
    """Every module that a file imports."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    for_types = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        if id(node) in for_types:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                whole = f"{node.module}.{alias.name}"
                yield whole if whole in sources() else node.module


def room(module: str) -> str:
    """The room of a module of the library; empty for the package itself."""
    return [*module.split("."), ""][1]


@cache
def arrows() -> dict[str, dict[str, set[str]]]:
    """Room to what it imports, each with the modules that do."""
    found: dict[str, dict[str, set[str]]] = {}
    for name, file in sources().items():
        for imported in imports(file):
            target = room(imported) if imported.split(".")[0] == "a4nn_core" else imported.split(".")[0]
            if target != room(name):
                found.setdefault(room(name), {}).setdefault(target, set()).add(name)
    return found


def test_every_room_is_on_the_list() -> None:
    rooms = {room(name) for name in sources()} - {""}
    assert rooms == set(ALLOWED)


@pytest.mark.slow
@pytest.mark.parametrize("name", list(ALLOWED))
def test_a_room_imports_what_it_may(name: str) -> None:
    rooms = set(ALLOWED) | {""}
    for target, modules in arrows().get(name, {}).items():
        if target in rooms:
            assert target in ALLOWED[name], f"{sorted(modules)} import from {target}"


@pytest.mark.parametrize("name", list(ALLOWED))
def test_a_room_needs_no_heavy_package(name: str) -> None:
    for target in HEAVY - MAY_NEED.get(name, set()):
        modules = arrows().get(name, {}).get(target, set())
        assert not modules, f"{', '.join(sorted(modules))} import {target}"


def test_the_library_knows_no_flows() -> None:
    assert not {"flows", "a4nn_flows"} & {target for found in arrows().values() for target in found}


def test_the_list_allows_nothing_that_is_not_there() -> None:
    unused = {
        f"{name} -> {target}"
        for name, allowed in ALLOWED.items()
        for target in allowed - GROUND - set(arrows().get(name, {}))
    }
    assert not unused


def test_the_list_has_no_way_back() -> None:
    TopologicalSorter(
        {name: allowed - {name} for name, allowed in ALLOWED.items() if name not in GROUND}
    ).prepare()


def test_no_module_imports_itself_by_others() -> None:
    graph = {
        name: {other for other in imports(file) if other in sources() and other != name}
        for name, file in sources().items()
    }
    # a package runs before its modules do, whoever imports them
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as cycle:
        pytest.fail(" -> ".join(cycle.args[1]))
