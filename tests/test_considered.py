"""What a strategy considered and did not ask for, and what it predicted before the first epoch: recorded
once, whatever happens, and readable everywhere."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import pytest
from deposits import metadata
from fakes import FakeExecutor, experiment, search

from a4nn_core.commons import Commons, RunFolder, read_events
from a4nn_core.commons.check import check
from a4nn_core.commons.columns import Record
from a4nn_core.commons.compact import compact
from a4nn_core.commons.events import Considered as Logged
from a4nn_core.commons.events import EventLog, considered_of
from a4nn_core.commons.layout import Damaged
from a4nn_core.commons.merge import merge
from a4nn_core.commons.records import ConsideredRecord, Prediction
from a4nn_core.experiment import Experiment
from a4nn_core.interchange.duckdb_file import export_duckdb
from a4nn_core.interchange.parquet import export_tables
from a4nn_core.jsonable import JsonText
from a4nn_core.publish.deposit.build import Settings, build
from a4nn_core.publish.deposit.restore import restore
from a4nn_core.search.base import (
    Candidate,
    Considered,
    Outcome,
    SearchSettings,
    Strategy,
    Violation,
    no_violation,
)
from a4nn_core.search.nsga_net import NSGANet
from a4nn_core.spaces.base import SearchSpace
from a4nn_core.training.segment import Segment, SegmentResult

FIRST = {
    "batch": 0,
    "number": 0,
    "generation": 0,
    "parents": [],
    "operator": "sampling",
    "predicted_accuracy_percent": 70.5,
    "predicted_low": 60.0,
    "predicted_high": 81.0,
    "expected_improvement": 0.25,
    "reason": "less_promising",
}


class Choosy(SearchSettings):
    """NSGA-Net, which says that it also looked at the mirror image of every genome."""

    name: Literal["choosy"] = "choosy"

    def start(self, space: SearchSpace, seed: int, violation: Violation = no_violation) -> Strategy:
        inner = NSGANet(networks=self.networks, population=4, offspring=4)
        return _Choosy(inner.start(space, seed, violation))


class _Choosy(Strategy):
    def __init__(self, inner: Strategy) -> None:
        self.inner = inner
        self._considered: tuple[Considered, ...] = ()

    def ask(self, count: int) -> list[Candidate]:
        asked = [
            replace(one, predicted=72.0 + one.number, low=65.0, high=90.0) for one in self.inner.ask(count)
        ]
        if asked:
            self._considered = tuple(
                Considered(
                    genome=one.genome[::-1],
                    parents=one.parents,
                    operator=one.operator,
                    generation=one.generation,
                    reason="less_promising",
                    predicted=70.5,
                    low=60.0,
                    high=81.0,
                    expected_improvement=0.25,
                )
                for one in asked
            )
        return asked

    def considered(self) -> Sequence[Considered]:
        return self._considered

    def tell(self, outcome: Outcome) -> None:
        self.inner.tell(outcome)

    @property
    def generation(self) -> int:
        return self.inner.generation

    @property
    def finished(self) -> bool:
        return self.inner.finished


def choosy() -> Experiment:
    plain = experiment()
    return plain.model_copy(update={"search": Choosy(networks=8)})


def considered(commons: Path, query: str = "from considered order by run, batch, number") -> list[Any]:
    found: list[Any] = Commons(commons).answer(query).to_pylist()
    return found


class Killed(BaseException):
    """Stands for a process that dies."""


def die(_: Segment) -> SegmentResult | None:
    raise Killed


def test_what_was_considered_is_recorded(tmp_path: Path) -> None:
    one = search(choosy(), tmp_path, FakeExecutor())
    rows = considered(tmp_path)
    assert [(row["batch"], row["number"]) for row in rows] == [(b, n) for b in (0, 1) for n in range(4)]
    assert {name: rows[0][name] for name in FIRST} == FIRST
    for row in rows:
        mirrored = one.candidates[4 * row["batch"] + row["number"]]
        architecture = one.experiment.space.decode(mirrored.genome[::-1], (1, 8, 8), 2)
        assert json.loads(row["genome"]) == mirrored.genome[::-1]
        assert (row["architecture_hash"], row["flops"], row["parameters"]) == (
            architecture.hash,
            architecture.flops,
            architecture.parameters,
        )
        assert (row["run"], row["parents"]) == ("r", list(mirrored.parents))
    assert check(tmp_path, checkpoints=False).problems == []


def test_predictions_before_the_first_epoch(tmp_path: Path) -> None:
    search(choosy(), tmp_path, FakeExecutor())
    before = [p for p in Commons(tmp_path).predictions("r") if p.epoch == 0]
    trained = [n for n in Commons(tmp_path).networks("r") if n.trained]
    assert [p.network for p in before] == [n.network for n in trained]
    assert before[0] == Prediction(
        run="r", network=0, epoch=0, function="choosy", predicted=72.0, low=65.0, high=90.0
    )
    asked = [e.data.members for e in Commons(tmp_path).events("r") if e.kind == "asked" and e.data]
    assert [a["predicted"] for a in asked] == [72.0 + n for n in range(8)]


def test_a_strategy_that_predicts_nothing_leaves_no_trace(tmp_path: Path) -> None:
    search(experiment(), tmp_path, FakeExecutor())
    events = Commons(tmp_path).events("r")
    assert not [e for e in events if e.kind == "considered" or "predicted" in (e.data or "")]
    assert considered(tmp_path) == []
    assert not RunFolder(tmp_path, "r").table("considered").exists()


@pytest.mark.slow
@pytest.mark.parametrize("kept", ["none of them", "half a batch", "the batch without what was considered"])
def test_a_crash_neither_loses_nor_doubles(kept: str, tmp_path: Path) -> None:
    search(choosy(), tmp_path / "whole", FakeExecutor())
    with pytest.raises(Killed):
        search(choosy(), tmp_path / "torn", FakeExecutor(die))
    assert len(considered(tmp_path / "torn")) == 4  # already there while the run goes on
    log = RunFolder(tmp_path / "torn", "r").events
    lines = {"none of them": 0, "half a batch": 2, "the batch without what was considered": 4}[kept]
    log.write_text("".join(log.read_text().splitlines(keepends=True)[:lines]))
    search(choosy(), tmp_path / "torn", FakeExecutor())
    assert considered(tmp_path / "torn") == considered(tmp_path / "whole")
    search(choosy(), tmp_path / "torn", FakeExecutor())  # a run that has ended is replayed, too
    assert considered(tmp_path / "torn") == considered(tmp_path / "whole")


def test_a_log_that_has_grown_counts_more_than_its_table(tmp_path: Path) -> None:
    search(choosy(), tmp_path, FakeExecutor())
    log = EventLog(RunFolder(tmp_path, "r").events)
    log.append(Logged.of(2, [ConsideredRecord(reason="late")]))
    log.close()
    assert [row["reason"] for row in considered(tmp_path)][-2:] == ["less_promising", "late"]


def test_what_cannot_be_read_is_named(tmp_path: Path) -> None:
    log = EventLog(tmp_path / "events.jsonl")
    log.append("considered", None, None, batch=0, networks=[{"colour": "red"}])
    log.close()
    with pytest.raises(Damaged, match=r"event 1 \(considered\) is damaged: .*no column 'colour'"):
        considered_of(read_events(tmp_path / "events.jsonl"))


@pytest.mark.slow
def test_the_table_goes_where_the_others_go(tmp_path: Path) -> None:
    """Compaction, merge into a commons that has the id already, export, deposit and back."""
    path = tmp_path / "commons"
    search(choosy(), path, FakeExecutor())
    rows = considered(path)
    compact(path)
    assert considered(path) == rows
    assert check(path, checkpoints=False).problems == []
    other = tmp_path / "other"
    search(experiment(seed=4), other, FakeExecutor())
    assert merge(path, other).added == {"r": "r-2"}
    assert considered(other) == [{**row, "run": "r-2"} for row in rows]
    assert export_tables(path, str(tmp_path / "out"))["considered"] == len(rows)
    assert export_duckdb(path, tmp_path / "all.duckdb")["considered"] == len(rows)
    build(path, ["r"], tmp_path / "deposit", metadata(), Settings(weights="none", models="none"))
    restore(tmp_path / "deposit", tmp_path / "restored")
    assert considered(tmp_path / "restored") == rows
    assert considered(tmp_path / "restored", "from predictions where epoch = 0") == considered(
        path, "from predictions where epoch = 0"
    )


def test_a_record_travels_through_an_event() -> None:
    record = ConsideredRecord(genome=JsonText("[[1, 0]]"), parents=(3, 4), flops=7)
    assert isinstance(record, Record)
    assert Logged.of(5, [record]).data() == {
        "batch": 5,
        "networks": [{"genome": "[[1, 0]]", "parents": [3, 4], "flops": 7}],
    }
