"""The examples in docstrings do what they say."""

from __future__ import annotations

import doctest
from importlib import import_module
from pathlib import Path

import pytest

import a4nn_core

WITH_EXAMPLES = [
    pytest.param("a4nn_core", marks=[pytest.mark.slow, pytest.mark.integration]),
    "a4nn_core.adapters.peers",
    "a4nn_core.penguin",
    "a4nn_core.penguin.engines",
    "a4nn_core.spaces",
]


@pytest.mark.parametrize("module", WITH_EXAMPLES)
def test_examples(module: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    found = doctest.testmod(import_module(module))
    assert found.attempted
    assert not found.failed


def test_every_module_with_examples_is_on_the_list() -> None:
    root = Path(a4nn_core.__file__).parent
    with_examples = {
        ".".join(file.relative_to(root.parent).with_suffix("").parts).removesuffix(".__init__")
        for file in root.rglob("*.py")
        if ">>> " in file.read_text(encoding="utf-8")
    }
    assert with_examples == {p if isinstance(p, str) else p.values[0] for p in WITH_EXAMPLES}


def test_everything_that_is_offered_is_there() -> None:
    assert all(getattr(a4nn_core, name) is not None for name in a4nn_core.__all__)
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        a4nn_core.nothing  # noqa: B018
