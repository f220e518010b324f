"""The arrows between the rooms, read from the source of the installed package."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import a4nn_core

ROOT = Path(a4nn_core.__file__).parent


def imports(room: str) -> set[str]:
    """Every module that a room imports, early or late."""
    found = set()
    files = [ROOT / room] if room.endswith(".py") else list((ROOT / room).rglob("*.py"))
    assert files, room
    for file in files:
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Import):
                found |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                found.add(node.module)
    return found


@pytest.mark.parametrize(
    ("room", "never"),
    [
        (".", ["prefect", "flows", "a4nn_flows"]),
        ("penguin", ["torch", "a4nn_core.termination", "a4nn_core.commons", "a4nn_core.workflow"]),
        ("commons", ["torch", "a4nn_core.workflow", "a4nn_core.cli"]),
        ("termination", ["torch", "a4nn_core.training", "a4nn_core.workflow"]),
        ("search", ["torch", "a4nn_core.training", "a4nn_core.workflow", "a4nn_core.commons"]),
        ("spaces", ["a4nn_core.training", "a4nn_core.workflow", "a4nn_core.search"]),
        ("data", ["a4nn_core.training", "a4nn_core.workflow", "a4nn_core.spaces"]),
        ("training", ["a4nn_core.workflow", "a4nn_core.cli", "a4nn_core.archaeology"]),
        ("metrics.py", ["torch", "pymoo", "pandas", "duckdb", "a4nn_core.commons", "a4nn_core.workflow"]),
        ("plugins.py", ["pydantic", "a4nn_core.component"]),
        ("precision.py", ["torch", "a4nn_core.commons", "a4nn_core.workflow"]),
        ("replay", ["torch", "a4nn_core.cli", "a4nn_core.archaeology"]),
        ("adapters", ["torch", "a4nn_core.training", "a4nn_core.workflow", "a4nn_core.commons"]),
        ("adapters/watch.py", ["optuna", "lightning", "ray"]),
        ("workflow", ["a4nn_core.cli", "a4nn_core.archaeology", "a4nn_core.publish"]),
        ("publish", ["a4nn_core.cli", "a4nn_flows"]),
        ("archaeology", ["a4nn_core.cli", "a4nn_core.publish"]),
    ],
)
def test_arrows_point_down(room: str, never: list[str]) -> None:
    for module in imports(room):
        for other in never:
            assert module != other, f"{room} imports {other}"
            assert not module.startswith(f"{other}."), f"{room} imports {module}"
