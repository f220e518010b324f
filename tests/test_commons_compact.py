"""Compaction: the same answers from fewer files, whatever runs beside it."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
from commons_data import fail, header, made_up_run, record, train

from a4nn_core.commons import Commons, RunFolder, RunWriter
from a4nn_core.commons import compact as compaction
from a4nn_core.commons.archive import Archive
from a4nn_core.commons.compact import compact
from a4nn_core.commons.layout import Damaged
from a4nn_core.commons.lock import no_readers
from a4nn_core.commons.ranges import count_of, from_ranges, to_ranges
from a4nn_core.commons.schema import TABLES
from a4nn_core.commons.writer import AlreadyRecorded
from a4nn_core.errors import BadInput
from a4nn_core.vocabulary import RunStatus


def everything(commons: Path) -> dict[str, list[Any]]:
    """Every row of every table and view."""
    found = Commons(commons)
    return {
        name: found.sql(f"from {name} order by all").to_arrow_table().to_pylist()
        for name in (*TABLES, "lineage", "front")
    }


@pytest.fixture
def commons(tmp_path: Path) -> Path:
    """Two completed runs, one interrupted, one going on."""
    path = tmp_path / "commons"
    made_up_run(path, "a", 8, failed=(3,))
    made_up_run(path, "b", 5)
    with RunWriter.open(path, "c", header()) as writer:
        record(writer, 0, 9)
        train(writer, 1, 4)
        writer.finish(RunStatus.interrupted)
    with RunWriter.open(path, "d", header()) as writer:
        record(writer, 0, 25)
        fail(writer, 1)
    return path


def test_ranges() -> None:
    for numbers in (set(), {0}, {0, 1, 2, 7, 9, 10}, {5, 3}):
        assert from_ranges(to_ranges(numbers)) == numbers
    assert to_ranges([0, 1, 2, 7]) == "0-2,7"
    assert count_of("0-2,7") == 4
    assert count_of("") == 0
    for text in ("x", "2-1", "0-2,2", "5,3", "-1", "0-", "1,,2", "0-10000000", "0-99999999999999", "١"):
        with pytest.raises(BadInput, match="numbers of networks"):
            from_ranges(text)
        with pytest.raises(BadInput, match="numbers of networks"):
            count_of(text)


@pytest.mark.slow
def test_same_answers_from_fewer_files(commons: Path) -> None:
    before = everything(commons)
    fronts = {run: Commons(commons).front(run) for run in "abcd"}
    done = compact(commons)
    assert (done.networks, done.runs, done.packs, done.left) == (16, 2, 1, 0)
    assert everything(commons) == before
    assert {run: Commons(commons).front(run) for run in "abcd"} == fronts
    assert not list(commons.glob("runs/*/tables/networks/*.parquet"))
    assert [p.name for p in commons.glob("runs/*/journals/*")] == ["0001.jsonl"]  # still in training
    assert len(list((commons / "archive").glob("*.parquet"))) == 8
    again = compact(commons)
    assert (again.networks, again.packs, again.removed) == (0, 0, 0)


@pytest.mark.slow
def test_runs_go_on_after_compaction(commons: Path) -> None:
    compact(commons)
    with RunWriter.open(commons, "c", header()) as writer:
        assert list(writer.recorded()) == [0]
        record(writer, 0, 9)  # the same again: nothing happens
        with pytest.raises(AlreadyRecorded):
            record(writer, 0, 8)
        record(writer, 1, 9)
        assert list(writer.recorded()) == [0, 1]
        before = everything(commons)
        compact(commons)
        assert everything(commons) == before
        record(writer, 2, 10)
        writer.finish(RunStatus.completed)
    before = everything(commons)
    assert [n.network for n in Commons(commons).networks("c")] == [0, 1, 2]
    assert len(Commons(commons).events("c")) == 4
    compact(commons)
    assert everything(commons) == before
    assert len(Archive(commons).packs) == 1


@pytest.mark.slow
def test_a_sealed_run_opened_again(commons: Path) -> None:
    compact(commons)
    with RunWriter.open(commons, "a", header()) as writer:
        writer.events.append("looked at")
        found = Commons(commons)
        assert found.run("a").status == "running"
        assert [e.number for e in found.events("a")] == list(range(1, 9))
        record(writer, 8, 10)
        assert [n.network for n in Commons(commons).networks("a")] == list(range(9))
        writer.finish(RunStatus.completed)
    before = everything(commons)
    for pack_rows in (1, compaction.PACK_ROWS):  # with the old pack kept beside the new, and merged into it
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(compaction, "PACK_ROWS", pack_rows)
            compact(commons)
        assert everything(commons) == before
    with RunWriter.open(commons, "a", header()) as writer:
        writer.finish(RunStatus.completed, again=True)
    before = everything(commons)
    compact(commons)
    assert everything(commons) == before


@pytest.mark.slow
def test_a_run_deleted_and_begun_anew(commons: Path) -> None:
    compact(commons)
    shutil.rmtree(commons / "runs" / "a")
    assert Commons(commons).runs() == ["b", "c", "d"]
    assert Commons(commons).sql("select count(*) from networks where run = 'a'").fetchall() == [(0,)]
    assert Commons(commons).sql("select count(*) from runs").fetchall() == [(3,)]
    with RunWriter.open(commons, "a", header(seed=8)) as writer:
        assert writer.recorded() == {}
        record(writer, 0, 25)
        record(writer, 1, 25)
    before = everything(commons)
    assert [n.network for n in Commons(commons).networks("a")] == [0, 1]
    compact(commons)
    assert everything(commons) == before
    assert {run: len(r) for run in "abcd" if (r := Commons(commons).networks(run))} == {
        "a": 2,
        "b": 5,
        "c": 1,
        "d": 2,
    }


@pytest.mark.slow
def test_many_packs(commons: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compaction, "PACK_ROWS", 40)
    before = everything(commons)
    done = compact(commons)
    assert done.packs > 2
    assert everything(commons) == before
    made_up_run(commons, "e", 3)
    before = everything(commons)
    compact(commons)
    assert everything(commons) == before


@pytest.mark.slow
def test_nothing_is_deleted_under_a_reader(commons: Path) -> None:
    relation = Commons(commons).sql("select count(*) from epochs")  # not yet read
    expected = len(Commons(commons).sql("from epochs").fetchall())
    done = compact(commons)
    assert done.networks == 16
    assert done.left > 0
    assert done.removed == 0
    assert relation.fetchall() == [(expected,)]
    assert len(Commons(commons).sql("from epochs").fetchall()) == expected
    del relation
    with no_readers(commons) as alone:
        assert alone
    done = compact(commons)
    assert done.removed > 0
    assert done.left == 0


@pytest.mark.slow
def test_one_compaction_at_a_time(commons: Path) -> None:
    with compaction.only_one(commons), pytest.raises(BadInput, match="is being compacted by process"):
        compact(commons)


def test_damage_stops_it_before_anything_changes(commons: Path) -> None:
    before = {p: p.stat().st_mtime_ns for p in commons.rglob("*.parquet")}
    file = RunFolder(commons, "b").fragment("epochs", 2)
    file.write_bytes(file.read_bytes()[:-9])
    with pytest.raises(Damaged, match=r"epochs/0002\.parquet is damaged"):
        compact(commons)
    assert set(commons.rglob("runs/*/tables/*/*.parquet")) == set(before)
    assert Archive(commons).packs == []


@pytest.mark.slow
def test_killed_before_it_counts(commons: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = everything(commons)

    class Killed(BaseException):
        pass

    def die(*_: object) -> None:
        raise Killed

    for step in ("commit", "write_pack"):
        with monkeypatch.context() as patch:
            patch.setattr(Archive, step, die)
            with pytest.raises(Killed):
                compact(commons)
        assert everything(commons) == before
    with monkeypatch.context() as patch:
        calls = []

        def first_only(*_: object) -> None:
            calls.append(1)
            if len(calls) > 1:
                raise Killed

        patch.setattr(compaction, "_sweep", first_only)
        with pytest.raises(Killed):
            compact(commons)
    assert everything(commons) == before  # committed, nothing deleted: every record still counts once
    done = compact(commons)
    assert done.removed > 0
    assert everything(commons) == before
    assert len(list((commons / "archive").glob("*.parquet"))) == 8
