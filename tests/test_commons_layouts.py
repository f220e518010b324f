"""Every layout ever written stays readable: fixtures/ holds one folder a layout, written by its version."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from commons_data import curve, header, record
from test_commons_compact import everything

from a4nn_core.commons import LAYOUT_VERSION, Commons, RunWriter
from a4nn_core.commons.check import check
from a4nn_core.commons.compact import compact
from a4nn_core.commons.cookbook import COOKBOOK

FIXTURES = sorted((Path(__file__).parent / "fixtures").glob("commons-layout-*"))


def test_the_present_layout_has_a_fixture() -> None:
    assert f"commons-layout-{LAYOUT_VERSION}" in [path.name for path in FIXTURES]


@pytest.fixture(params=FIXTURES, ids=lambda path: path.name)
def commons(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    return Path(shutil.copytree(request.param, tmp_path / "commons"))


def test_it_reads_as_it_was_written(commons: Path) -> None:
    found = Commons(commons)
    assert found.runs() == ["compacted", "going"]
    networks = found.networks("compacted")
    assert [n["network"] for n in networks] == list(range(6))
    assert networks[3]["status"] == "failed"
    epochs = found.epochs("compacted")
    assert [e["validation_accuracy_percent"] for e in epochs if e["network"] == 0] == curve(0)
    assert sum(e["network"] == 1 for e in epochs) == networks[1]["epochs_trained"] == 9
    assert [(e["network"], e["epoch"]) for e in found.epochs("going")][-1] == (1, 4)
    assert [e["kind"] for e in found.events("going")] == ["asked", "told"]
    assert found.run("compacted")["status"] == "completed"
    assert [n["network"] for n in found.front("compacted")] == [5, 4, 0]
    assert check(commons, checkpoints=False).problems == []
    for recipe in COOKBOOK:
        found.sql(recipe.query).fetchall()


def test_it_goes_on(commons: Path) -> None:
    with RunWriter.open(commons, "going", header()) as writer:
        assert list(writer.recorded()) == [0]
        record(writer, 0, 9)  # what is recorded already is recognised
        record(writer, 1, 9)
    before = everything(commons)
    compact(commons)
    assert everything(commons) == before
    assert check(commons, checkpoints=False).problems == []
