"""docs/penguin.md says what the code does."""

from __future__ import annotations

import ast
import contextlib
import io
import re
from pathlib import Path

import numpy as np
import pytest

from a4nn_core.penguin import _lm
from a4nn_core.penguin.functions import FUNCTIONS
from a4nn_core.penguin.law import AVERAGED_LAW, BAND, LAW
from a4nn_core.penguin.status import Status
from a4nn_core.termination.base import RULES
from a4nn_core.termination.reasons import Reason

PAGE = (Path(__file__).resolve().parents[1] / "docs" / "penguin.md").read_text(encoding="utf-8")


def test_the_table_lists_every_function_as_declared() -> None:
    rows = [
        [cell.strip() for cell in line.strip("|\n").split("|")]
        for line in PAGE.split("## The functions")[1].split("\n## ")[0].splitlines()
        if line.startswith("| `")
    ]
    assert [row[0].strip("`") for row in rows] == list(FUNCTIONS)
    for name, expression, aliases, bounds, _, first in rows:
        f = FUNCTIONS[name.strip("`")]
        assert expression.strip("`") == f.expression
        assert tuple(re.findall(r"`(\w+)`", aliases)) == f.aliases
        assert int(first) == f.first
        shown = dict(re.findall(r"(\w+) in (\[[^]]*\])", bounds))
        for p in f.parameters:
            if np.isfinite(p.lower) or np.isfinite(p.upper):
                low, high = (float(v.replace("∞", "inf")) for v in shown.pop(p.name).strip("[]").split(","))
                assert (low, high) == (p.lower, p.upper)
        assert not shown


def test_every_status_is_explained() -> None:
    for word in Status:
        assert f"`{word}`" in PAGE


def test_statuses_are_those_of_the_compiled_fitter() -> None:
    for word, sentence in _lm.STATUSES:
        assert Status(word).meaning == sentence


def test_every_reason_is_explained_as_it_explains_itself() -> None:
    flowing = " ".join(PAGE.split())
    for reason in Reason:
        assert f"| `{reason}` | {reason.meaning} |" in flowing


def test_the_settings_of_the_rules_are_listed() -> None:
    for name in ("converged", "interval", "front"):
        for key in RULES.component(name).model_fields:
            assert f"`{key}" in PAGE


def test_the_law_is_the_one_in_use() -> None:
    shown = re.search(r"log g = ([\d.]+) - ([\d.]+) log e\(k\) \+ ([\d.]+) log L", PAGE)
    assert shown
    assert (float(shown[1]), -float(shown[2]), float(shown[3])) == (LAW.level, LAW.slope, LAW.time)
    assert f"at least {BAND.fall} above" in PAGE
    shown = re.search(r"log g = (-[\d.]+) \+ ([\d.]+) log e\(k\) \+ ([\d.]+) log L", PAGE)
    assert shown
    law = AVERAGED_LAW
    assert tuple(map(float, shown.groups())) == (law.level, law.slope, law.time)


def _printed_by_example(number: int) -> str:
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        exec(PAGE.split("```python\n")[number].split("```")[0], {})
    return said.getvalue()


def test_the_example_of_a_callable_runs() -> None:
    fitted = ast.literal_eval(_printed_by_example(1))
    assert fitted == pytest.approx({"start": 40.0, "slope": 6.0, "top": 71.0}, rel=0.01)


def test_the_example_of_an_engine_runs() -> None:
    value, low, high = (float(v) for v in _printed_by_example(2).split())
    assert 67 < value < 100
    assert low < value < high
