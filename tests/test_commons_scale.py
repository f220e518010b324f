"""What keeps a large commons usable: runs are compacted when they end, a question opens little."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from commons_data import header, made_up_run, record, train

from a4nn_core.cli.sql import sql
from a4nn_core.cli.status import _list
from a4nn_core.commons import Commons, RunFolder, RunWriter, snapshot, unpacked
from a4nn_core.commons import compact as compaction
from a4nn_core.commons.archive import Archive
from a4nn_core.commons.check import check
from a4nn_core.commons.compact import compact, compact_run, only_one
from a4nn_core.commons.merge import merge
from a4nn_core.commons.packed import Packed
from a4nn_core.commons.schema import NETWORK_TABLES, TABLES
from a4nn_core.commons.snapshot import Snapshot
from a4nn_core.commons.totals import Totals, kept, totals
from a4nn_core.errors import BadInput
from a4nn_core.vocabulary import RunStatus
from a4nn_core.workflow.plan import Plan, open_run


def plan(commons: Path, run: str) -> Plan:
    """What of a plan opening a run needs."""
    return cast(Plan, SimpleNamespace(commons=commons, run_id=run, header=header()))


def tiny_run(commons: Path, run: str, networks: int = 2) -> None:
    """A run as a search leaves it."""
    with open_run(plan(commons, run)) as writer:
        for network in range(networks):
            record(writer, network, 4)
        writer.finish(RunStatus.completed, seconds=7.5)


def spoil(files: Any) -> None:
    """Make files unreadable."""
    spoilt = [file.write_bytes(b"x") for file in files]
    assert spoilt


def answers(commons: Path, run: str) -> list[Any]:
    """What SQL says of one run."""
    where = f"where run = '{run}'"
    queries = (
        *(f"from {name} {where} order by all" for name in (*TABLES, "lineage", "front")),
        f"select p.epoch, p.predicted - n.last_accuracy_percent as error from predictions p "
        f"join networks n using (run, network) {where} order by all",
    )
    return [Commons(commons).answer(query).to_pylist() for query in queries]


# at the end of a run


@pytest.mark.slow
def test_a_run_is_compacted_at_its_end(tmp_path: Path) -> None:
    made_up_run(tmp_path, "plain", 2)
    assert not Archive(tmp_path).packs
    tiny_run(tmp_path, "a")
    assert not list(tmp_path.glob("runs/a/tables/*/0*.parquet"))
    assert not list(tmp_path.glob("runs/a/journals/*"))
    archive = Archive(tmp_path)
    assert archive.sealed("a", RunFolder(tmp_path, "a").run_file.stat()) is archive.packs[0]
    assert [n.network for n in Commons(tmp_path).networks("a")] == [0, 1]
    assert len(list(tmp_path.glob("runs/plain/tables/epochs/0*.parquet"))) == 2  # others are left alone
    assert check(tmp_path, checkpoints=False).problems == []


@pytest.mark.slow
def test_a_run_that_fails_is_compacted_and_goes_on(tmp_path: Path) -> None:
    def fails() -> None:
        with open_run(plan(tmp_path, "a")) as writer:
            record(writer, 0, 4)
            train(writer, 1, 2)
            writer.finish(RunStatus.failed)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fails()
    assert not list(tmp_path.glob("runs/a/tables/networks/*.parquet"))
    assert [p.name for p in tmp_path.glob("runs/a/journals/*")] == ["0001.jsonl"]
    assert totals(Commons(tmp_path), "a").status is RunStatus.failed
    with open_run(plan(tmp_path, "a")) as writer:
        assert list(writer.recorded()) == [0]
        record(writer, 1, 4)
        writer.finish(RunStatus.completed)
    assert [n.network for n in Commons(tmp_path).networks("a")] == [0, 1]
    assert totals(Commons(tmp_path), "a").epochs_trained == 8


@pytest.mark.slow
def test_packs_of_many_small_runs_stay_few(tmp_path: Path) -> None:
    for number in range(17):
        tiny_run(tmp_path, f"r{number:02d}", 1)
    assert len(Archive(tmp_path).packs) <= 9
    assert len(list((tmp_path / "archive").glob("*-epochs.parquet"))) == len(Archive(tmp_path).packs)
    assert Commons(tmp_path).sql("select count(*), count(distinct run) from epochs").fetchall() == [(68, 17)]
    assert len(Snapshot(tmp_path).sealed) == 17
    assert check(tmp_path, checkpoints=False).problems == []


@pytest.mark.slow
def test_packs_of_many_merged_commons_stay_few(tmp_path: Path) -> None:
    for number in range(9):
        made_up_run(tmp_path / f"c{number}", "same", 1)
        merge(tmp_path / f"c{number}", tmp_path / "all")
    assert len(Archive(tmp_path / "all").packs) == 2  # eight were joined
    assert len(list((tmp_path / "all/archive").glob("*-networks.parquet"))) == 2
    found = Commons(tmp_path / "all")
    assert found.answer("select count(distinct run) as n from networks").to_pylist() == [{"n": 9}]
    assert found.runs() == ["same", *(f"same-{number}" for number in range(2, 10))]
    assert len(Snapshot(tmp_path / "all").sealed) == 9
    assert check(tmp_path / "all", checkpoints=False).problems == []


def test_what_hinders_it_does_not_fail_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(compaction, "PATIENCE_SECONDS", 0.0)
    made_up_run(tmp_path, "other", 1)
    with only_one(tmp_path), caplog.at_level(logging.WARNING):
        tiny_run(tmp_path, "a")
    assert "run 'a' was not compacted" in caplog.text
    assert "is being compacted by process" in caplog.text
    assert [n.network for n in Commons(tmp_path).networks("a")] == [0, 1]
    compact(tmp_path)
    assert len(Snapshot(tmp_path).sealed) == 2


@pytest.mark.slow
def test_readers_of_an_ended_run_beside_its_compaction(tmp_path: Path) -> None:
    made_up_run(tmp_path, "a", 3)
    before = answers(tmp_path, "a")
    relation = Commons(tmp_path).sql("select count(*) from networks join epochs using (run, network)")
    early = Snapshot(tmp_path)
    compact_run(tmp_path, "a")
    assert len(list(tmp_path.glob("runs/a/tables/networks/0*.parquet"))) == 3  # somebody reads
    assert early.table(TABLES["networks"]).num_rows == 3
    assert relation.fetchall()[0] == (len(before[list(TABLES).index("epochs")]),)
    assert answers(tmp_path, "a") == before
    del relation, early
    compact(tmp_path)
    assert not list(tmp_path.glob("runs/a/tables/networks/0*.parquet"))
    assert answers(tmp_path, "a") == before


# what a question opens


@pytest.mark.slow
@pytest.mark.parametrize("packed", [False, True])
def test_a_query_of_one_run_opens_no_file_of_another(tmp_path: Path, packed: bool) -> None:
    for run in ("a", "b"):
        made_up_run(tmp_path, run, 3)
        if packed:
            compact_run(tmp_path, run)
    before = answers(tmp_path, "a")
    assert sum(map(bool, before)) == len(before) - 3  # nothing considered or rejected, none has parents
    if packed:
        snapshot._pack_files.cache_clear()
        spoil(tmp_path.glob("archive/000002-*.parquet"))
    else:
        spoil(tmp_path.glob("runs/b/tables/*/*.parquet"))
        spoil([tmp_path / "runs/b/run.json", tmp_path / "runs/b/events.jsonl"])
    assert answers(tmp_path, "a") == before
    for name in set(TABLES) - {"considered", "rejected"}:
        with pytest.raises(BadInput):
            Commons(tmp_path).answer(f"from {name}")


def test_a_query_reads_only_the_tables_it_names(tmp_path: Path) -> None:
    made_up_run(tmp_path, "a", 2)
    for name in set(NETWORK_TABLES) - {"networks"}:
        spoil(tmp_path.glob(f"runs/a/tables/{name}/0*.parquet"))
    assert Commons(tmp_path).answer("select count(*) as n from networks").to_pylist() == [{"n": 2}]
    with pytest.raises(BadInput, match=r"epochs/0000\.parquet is damaged"):
        Commons(tmp_path).answer("from epochs")


@pytest.mark.slow
def test_files_are_read_a_few_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for run in ("a", "b"):
        made_up_run(tmp_path, run, 5, finish=run == "a")
    whole = [Commons(tmp_path).answer(f"from {name} order by all") for name in (*TABLES, "front")]
    opened: list[int] = []

    def read_files(table: Any, files: Any, asked: Any) -> Any:
        opened.append(len(files))
        return few(table, files, asked)

    few = unpacked.read_files
    monkeypatch.setattr("a4nn_core.commons.snapshot.FILES_AT_ONCE", 2)
    monkeypatch.setattr("a4nn_core.commons.snapshot.RUNS_AT_ONCE", 1)
    monkeypatch.setattr("a4nn_core.commons.snapshot.read_files", read_files)
    assert [Commons(tmp_path).answer(f"from {name} order by all") for name in (*TABLES, "front")] == whole
    assert set(opened) <= {0, 1, 2, 3}
    spoil([RunFolder(tmp_path, "b").fragment("networks", 3)])
    with pytest.raises(BadInput, match=r"b/tables/networks/0003\.parquet is damaged"):
        Commons(tmp_path).answer("from networks")
    left_out: list[str] = []
    forgiving = Commons(tmp_path, lambda run, _: left_out.append(run))
    found = forgiving.answer("select distinct run from networks join epochs using (run)")
    assert (found.to_pylist(), left_out) == ([{"run": "a"}], ["b"])
    left_out.clear()
    assert forgiving.answer("select count(*) as n from networks where run = 'a'").to_pylist() == [{"n": 5}]
    assert left_out == []  # the question has nothing to do with it


def test_a_question_opens_only_the_files_of_networks_it_is_about(tmp_path: Path) -> None:
    made_up_run(tmp_path, "a", 4)
    made_up_run(tmp_path, "b", 3)
    query = "from epochs where run = 'a' and network = 2 order by epoch"
    before = Commons(tmp_path).answer(query)
    assert before.num_rows
    spoil(f for f in tmp_path.glob("runs/*/tables/epochs/0*.parquet") if f.stem != "0002")
    assert Commons(tmp_path).answer(query) == before


def test_what_networks_there_are_is_known_without_opening_a_file(tmp_path: Path) -> None:
    made_up_run(tmp_path, "a", 4)
    made_up_run(tmp_path, "b", 3)
    queries = (
        "select count(*) as n from networks",
        "select run, count(*) as n from networks group by run order by run",
        "select network from networks where run = 'a' and network > 1 order by network",
        "select count(*) as n from networks where network = 99",
    )
    before = [Commons(tmp_path).answer(query).to_pylist() for query in queries]
    assert before[0] == [{"n": 7}]
    spoil(tmp_path.glob("runs/*/tables/*/0*.parquet"))
    assert [Commons(tmp_path).answer(query).to_pylist() for query in queries] == before
    with pytest.raises(BadInput, match="is damaged"):
        Commons(tmp_path).answer("select count(*) from networks where status = 'completed'")


def test_many_runs_that_are_not_compacted_are_told_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("a4nn_core.commons.reader._MANY", 2)
    made_up_run(tmp_path, "a", 1)
    made_up_run(tmp_path, "b", 1, finish=False)

    def told(query: str) -> str:
        sql(query, commons=tmp_path, file=None, format=None, json_=True, out=None, rows=None)
        return capsys.readouterr().err

    note = "note: 2 runs are not compacted, so this takes long; a4nn commons compact, once"
    assert told("select count(*) as n from networks").splitlines() == [note]
    assert told("select count(*) as n from networks where run = 'a'") == ""
    compact(tmp_path)  # the run that was killed is not sealed, but has no small files any more
    assert told("select count(*) as n from networks") == ""


@pytest.mark.slow
def test_packs_give_the_same_rows_whatever_they_are_asked(tmp_path: Path) -> None:
    for run in ("a", "b"):
        made_up_run(tmp_path, run, 3)
        compact_run(tmp_path, run)
    [part] = Snapshot(tmp_path).parts(TABLES["predictions"])
    assert isinstance(part, Packed)
    assert str(part.schema.field("run").type).startswith("dictionary")
    schema = TABLES["predictions"].schema
    whole = part.to_table().cast(schema)
    import pyarrow.dataset as ds

    for run, network in (("a", 1), ("b", 0), ("c", 0)):
        wanted = (ds.field("run") == run) & (ds.field("network") == network)
        assert part.to_table(filter=wanted).cast(schema) == whole.filter(wanted)
    assert part.to_table(filter=ds.field("epoch") > 0).cast(schema) == whole
    only = part.to_table(columns=["epoch", "run"], filter=ds.field("run") == "b")
    assert only.schema.names == ["epoch", "run"]
    assert set(only["run"].to_pylist()) == {"b"}


# totals


def computed(commons: Path, run: str) -> Totals:
    """The totals from the records themselves."""
    found = Commons(commons)
    return Totals.of(found.run(run), found.networks(run))


@pytest.mark.slow
def test_totals_are_right_whatever_happens_to_a_run(tmp_path: Path) -> None:
    store, folder = Commons, RunFolder(tmp_path, "a")
    with RunWriter.open(tmp_path, "a", header()) as writer:
        record(writer, 0, 4)
        compact(tmp_path)  # beside the writer: nothing is kept
        assert kept(folder) is None
        record(writer, 1, 4)
        assert totals(store(tmp_path), "a").networks == 2
        record(writer, 2, 4)
    # killed: nothing was said of its end
    assert totals(store(tmp_path), "a") == computed(tmp_path, "a")
    compact(tmp_path)
    assert kept(folder) == totals(store(tmp_path), "a") == computed(tmp_path, "a")
    assert (totals(store(tmp_path), "a").networks, totals(store(tmp_path), "a").status) == (3, "running")
    with open_run(plan(tmp_path, "a")) as writer:  # resumed
        assert kept(folder) is None
        record(writer, 3, 4)
        assert totals(store(tmp_path), "a").networks == 4
        writer.finish(RunStatus.completed, seconds=3.0)
        assert kept(folder) is None
    assert kept(folder) == computed(tmp_path, "a")
    assert (computed(tmp_path, "a").networks, computed(tmp_path, "a").seconds) == (4, 3.0)
    merge(tmp_path, tmp_path / "other")
    assert (
        kept(RunFolder(tmp_path / "other", "a"))
        == computed(tmp_path / "other", "a")
        == computed(tmp_path, "a")
    )


def reword(stored: dict[str, Any]) -> dict[str, Any]:
    stored["totals"]["networks"] = 77
    return stored


@pytest.mark.parametrize("damage", [lambda _: {}, lambda _: [1], lambda s: {**s, "totals": 5}, reword])
def test_damaged_totals_are_computed_again(tmp_path: Path, damage: Callable[[Any], Any]) -> None:
    tiny_run(tmp_path, "a")
    file = RunFolder(tmp_path, "a").totals
    before = file.read_bytes()
    file.write_text(json.dumps(damage(json.loads(before))))
    assert totals(Commons(tmp_path), "a").networks == 2
    assert check(tmp_path, checkpoints=False).problems == []
    compact(tmp_path)
    assert file.read_bytes() == before


def test_the_list_of_runs_opens_no_table_of_runs_that_ended(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tiny_run(tmp_path, "ended")
    made_up_run(tmp_path, "killed", 2, finish=False)
    made_up_run(tmp_path, "old", 2)  # of a version that kept no totals
    _list(Commons(tmp_path), True)
    before = json.loads(capsys.readouterr().out)
    assert [one["networks"] for one in before] == [2, 2, 2]
    assert [one["seconds"] for one in before] == [7.5, 0.0, None]
    # whoever asked first has kept what was computed
    spoil(tmp_path.glob("archive/*.parquet"))
    spoil([*tmp_path.glob("runs/*/tables/*/*.parquet"), *tmp_path.glob("runs/*/events.jsonl")])
    spoil([tmp_path / "archive/manifest.json"])
    assert all(kept(RunFolder(tmp_path, run)) for run in ("ended", "killed", "old"))
    _list(Commons(tmp_path), True)
    assert json.loads(capsys.readouterr().out) == before
