"""Every layout ever written stays readable: fixtures/ holds two folders a layout, written by its version.

``commons-layout-N`` holds made-up runs, ``search-layout-N`` a search killed in its fourth generation. For
a new layout, write the second with ``killed_search`` and the first with what commons_data.py offers.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from commons_data import curve, header, record
from fakes import FakeExecutor, experiment, search
from test_commons_compact import everything

from a4nn_core.commons import LAYOUT_VERSION, Commons, RunFolder, RunWriter
from a4nn_core.commons.check import check
from a4nn_core.commons.compact import compact
from a4nn_core.commons.cookbook import COOKBOOK
from a4nn_core.commons.events import Told, payload
from a4nn_core.commons.records import Edge, LayerRecord
from a4nn_core.experiment import Experiment
from a4nn_core.interchange.deposit_tables import gather
from a4nn_core.publish.models.found import grouped
from a4nn_core.recorded_graphs import architecture_of
from a4nn_core.search import Candidate, Outcome, Strategy
from a4nn_core.training.segment import Segment, SegmentResult
from a4nn_core.vocabulary import NetworkStatus

FOLDER = Path(__file__).parent / "fixtures"
FIXTURES = sorted(FOLDER.glob("commons-layout-*"))
SEARCHES = sorted(FOLDER.glob("search-layout-*"))


def test_the_present_layout_has_a_fixture() -> None:
    assert f"commons-layout-{LAYOUT_VERSION}" in [path.name for path in FIXTURES]
    assert f"search-layout-{LAYOUT_VERSION}" in [path.name for path in SEARCHES]


@pytest.fixture(params=FIXTURES, ids=lambda path: path.name)
def commons(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    return Path(shutil.copytree(request.param, tmp_path / "commons"))


@pytest.mark.slow
def test_it_reads_as_it_was_written(commons: Path) -> None:
    found = Commons(commons)
    assert found.runs() == ["compacted", "going"]
    networks = found.networks("compacted")
    assert [n.network for n in networks] == list(range(6))
    assert networks[3].status == "failed"
    epochs = found.epochs("compacted")
    assert [e.validation_accuracy_percent for e in epochs if e.network == 0] == curve(0)
    assert sum(e.network == 1 for e in epochs) == networks[1].epochs_trained == 9
    assert [(e.network, e.epoch) for e in found.epochs("going")][-1] == (1, 4)
    assert [e.kind for e in found.events("going")] == ["asked", "told"]
    assert {e.energy_joules for e in epochs} == {n.energy_joules for n in networks} == {None}
    assert found.run("compacted").status == "completed"
    assert [n.network for n in found.front("compacted")] == [5, 4, 0]
    assert check(commons, checkpoints=False).problems == []
    for recipe in COOKBOOK:
        found.sql(recipe.query).fetchall()


@pytest.mark.slow
def test_it_goes_on(commons: Path) -> None:
    with RunWriter.open(commons, "going", header()) as writer:
        assert list(writer.recorded()) == [0]
        record(writer, 0, 9, "made-up")  # what is recorded already is recognised
        record(writer, 1, 9)
    before = everything(commons)
    compact(commons)
    assert everything(commons) == before
    assert check(commons, checkpoints=False).problems == []


class Killed(BaseException):
    """Stands for a process that dies."""


def one_fails(segment: Segment) -> SegmentResult | None:
    """Network 3 fails, the others are trained."""
    if segment.network == 3:
        return SegmentResult(3, 0, NetworkStatus.failed, error="diverged in epoch 1")
    return None


def killed_search(commons: Path) -> None:
    """Four networks a generation; three generations are told, and some of the fourth."""

    def die(segment: Segment) -> SegmentResult | None:
        if segment.network == 12:
            raise Killed
        return one_fails(segment)

    what = experiment(search={"networks": 20, "population": 4, "offspring": 4})
    with pytest.raises(Killed):
        search(what, commons, FakeExecutor(die, one_at_a_time=True), "searched")
    compact(commons)


@pytest.fixture(params=SEARCHES, ids=lambda path: path.name)
def searched(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    return Path(shutil.copytree(request.param, tmp_path / "commons"))


def asked_for(commons: Path) -> dict[int, dict[str, Any]]:
    """What the old version's strategy asked for, by network, from its records."""
    events = Commons(commons).events("searched")
    asked = [event for event in events if event.kind == "asked"]
    return {event.network or 0: event.data.members for event in asked if event.data}


def replayed(commons: Path, generations: int) -> Strategy:
    """The strategy, asked and told anew what the records say of the first generations."""
    run = Commons(commons).run("searched")
    what = Experiment.from_mapping(json.loads(run.experiment or ""))
    strategy = what.search.start(what.space, what.seed)
    told = {e.network: e for e in Commons(commons).events("searched") if e.kind == "told"}
    for _ in range(generations):
        for candidate in strategy.ask(what.search.networks):
            fitness = payload(told[candidate.number], Told).fitness
            strategy.tell(Outcome(candidate.number, fitness))
    return strategy


@pytest.mark.parametrize("generations", [0, 1, 2, 3])
def test_the_strategy_replayed_over_it_asks_for_the_same_next_generation(
    searched: Path, generations: int
) -> None:
    logged = asked_for(searched)
    assert set(logged) == set(range(16))
    new = replayed(searched, generations).ask(20)
    assert [c.number for c in new] == list(range(4 * generations, 4 * generations + 4))
    for candidate in new:
        assert candidate == Candidate(
            number=candidate.number,
            genome=logged[candidate.number]["genome"],
            parents=tuple(logged[candidate.number]["parents"]),
            operator=logged[candidate.number]["operator"],
            generation=generations,
            position=logged[candidate.number]["position"],
        )


def test_what_the_next_generation_is_depends_on_what_was_told(searched: Path) -> None:
    """So that the test above cannot pass with a strategy that ignores its past."""
    with pytest.raises(ValueError, match="never asked"):  # tells without asks are refused, not guessed
        replayed(searched, 0).tell(Outcome(0, None))
    strategy = replayed(searched, 2)
    for candidate in strategy.ask(20):
        strategy.tell(Outcome(candidate.number, {"error_percent": 1.0 * candidate.number, "mflops": 1.0}))
    logged = asked_for(searched)
    assert [c.genome for c in strategy.ask(20)] != [logged[n]["genome"] for n in range(12, 16)]


@pytest.mark.slow
def test_the_killed_search_goes_on(searched: Path, tmp_path: Path) -> None:
    """The whole loop over the old records: as if it had never been killed."""
    logged = asked_for(searched)
    what = Experiment.from_mapping(json.loads(Commons(searched).run("searched").experiment))
    search(what, searched, FakeExecutor(one_fails), "searched")
    search(what, tmp_path / "whole", FakeExecutor(one_fails), "searched")
    for number, row in enumerate(Commons(searched).networks("searched")):
        undisturbed = Commons(tmp_path / "whole").networks("searched")[number]
        for column in ("genome", "parents", "status", "fitness", "architecture_hash", "seed"):
            assert getattr(row, column) == getattr(undisturbed, column), (number, column)
        if number in logged:
            assert json.loads(row.genome or "") == logged[number]["genome"]
    assert RunFolder(searched, "searched").events.is_file()
    assert check(searched, checkpoints=False).problems == []


@pytest.mark.slow
def test_its_networks_are_known_from_their_layers(searched: Path) -> None:
    """Those of the old version too, which did not record all that a layer is."""
    what = Experiment.from_mapping(json.loads(Commons(searched).run("searched").experiment))
    search(what, searched, FakeExecutor(one_fails), "searched")
    compact(searched)
    found = gather(searched, ["searched"])
    old = {row["network"] for row in found["layers"].to_pylist() if row["bias"] is None}
    edges = dict(grouped(Edge, found["edges"]))
    rebuilt = {
        key[1]: architecture_of(layers, edges[key]) for key, layers in grouped(LayerRecord, found["layers"])
    }
    assert {number: made.hash for number, made in rebuilt.items()} == {
        n.network: n.architecture_hash for n in Commons(searched).networks("searched") if n.network in rebuilt
    }
    assert set() < old < set(rebuilt)
    assert {made.layers[-1].bias for made in rebuilt.values()} == {True}
