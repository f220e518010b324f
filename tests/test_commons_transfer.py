"""Checking, merging and exporting a commons."""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from commons_data import header, made_up_run, record, train
from test_commons_compact import everything
from typer.testing import CliRunner

from a4nn_core.cli.commons import app
from a4nn_core.commons import Commons, RunFolder, RunWriter
from a4nn_core.commons.check import check
from a4nn_core.commons.compact import compact
from a4nn_core.commons.layout import Damaged
from a4nn_core.commons.merge import merge
from a4nn_core.commons.records import Network
from a4nn_core.commons.schema import TABLES
from a4nn_core.errors import BadInput
from a4nn_core.interchange.duckdb_file import export_duckdb
from a4nn_core.interchange.parquet import export_tables, without_secrets
from a4nn_core.vocabulary import RunStatus

runner = CliRunner()


@pytest.fixture
def commons(tmp_path: Path) -> Path:
    """A completed run and one with a network in training."""
    path = tmp_path / "commons"
    made_up_run(path, "a", 6, failed=(3,))
    with RunWriter.open(path, "b", header()) as writer:
        record(writer, 0, 9)
        train(writer, 1, 4)
        writer.finish(RunStatus.interrupted)
    return path


class TestCheck:
    def problems(self, commons: Path) -> list[str]:
        return check(commons, checkpoints=False).problems

    def test_nothing_wrong(self, commons: Path) -> None:
        for _ in range(2):
            found = check(commons, checkpoints=False)
            assert (found.problems, found.notes) == ([], [])
            assert (found.runs, found.networks) == (2, 7)
            compact(commons)

    @pytest.mark.parametrize("table", ["networks", "epochs", "predictions", "layers", "edges"])
    @pytest.mark.parametrize("how", ["truncated", "missing", "swapped"])
    def test_fragments(self, commons: Path, table: str, how: str) -> None:
        folder = RunFolder(commons, "a")
        file = folder.fragment(table, 2)
        data = bytearray(file.read_bytes())
        if how == "truncated":
            file.write_bytes(data[:-30])
        elif how == "swapped":
            file.write_bytes(folder.fragment(table, 4).read_bytes())
        elif table == "networks":
            return  # then the network is not finished, and its journal counts
        else:
            file.unlink()
        problems = self.problems(commons)
        assert problems
        assert all(str(file) in p or table == "networks" for p in problems)

    @pytest.mark.slow
    @pytest.mark.parametrize("table", ["networks", "epochs"])
    def test_no_flipped_bit_changes_a_value_unnoticed(self, commons: Path, table: str) -> None:
        file = RunFolder(commons, "a").fragment(table, 2)
        data = file.read_bytes()
        rows = pq.read_table(file).to_pylist()
        noticed = 0
        places = range(0, len(data), len(data) // 40)
        for place in places:
            flipped = bytearray(data)
            flipped[place] ^= 1 << place % 8
            file.write_bytes(flipped)
            if any(str(file) in p for p in self.problems(commons)):
                noticed += 1
            else:  # the file's own bookkeeping; of other tables every bit is checked
                assert table == "networks"
                assert pq.read_table(file).to_pylist() == rows
        assert noticed > 0.5 * len(places)

    def test_archive(self, commons: Path) -> None:
        compact(commons)
        file = next((commons / "archive").glob("*-epochs.parquet"))
        data = bytearray(file.read_bytes())
        data[len(data) // 2] ^= 1
        file.write_bytes(data)
        assert self.problems(commons) == [f"{file} is damaged: its SHA-256 differs from the manifest's"]
        file.unlink()
        assert self.problems(commons) == [f"{file} is missing"]
        (commons / "archive" / "manifest.json").write_text("{")
        assert "manifest.json is damaged" in self.problems(commons)[0]

    @pytest.mark.parametrize(
        ("place", "value", "said"),
        [
            (("packs", 0, "files"), [], "packs.0.files: input should be a JSON object"),
            (("packs", 0, "files", "epochs"), [1, {}], "packs.0.files.epochs: input should be a JSON object"),
            (("packs", 0, "files", "epochs", "rows"), "9", "epochs.rows: input should be a valid integer"),
            (("packs", 0, "files", "epochs", "sha256"), "0" * 63, "epochs.sha256: string should match"),
            (("packs", 0, "files", "epochs", "file"), "../x", "has epochs in the file '../x', not 000001-ep"),
            (("packs", 0, "files", "music"), ..., "has the table 'music', which this version does not know"),
            (("packs", 0, "started"), {}, "does not say when run 'a' was started"),
            (("packs", 0, "sealed", "z"), [1, 2], "does not say when run 'z' was started"),
            (("packs", 0, "networks", "a"), "0-x", "networks of run 'a' of which '0-x' are not the next"),
            (("packs", 0, "networks", "a"), "0-99999999", "of which '0-99999999' are not the next numbers"),
            (("packs", 0, "networks", "a"), "0-99", "names 101 networks and has 7"),
            (("next",), None, "next: input should be a valid integer"),
            (("packs",), {"a": 1}, "packs: input should be a list"),
        ],
    )
    def test_what_a_manifest_says(self, commons: Path, place: tuple[Any, ...], value: Any, said: str) -> None:
        compact(commons)
        file = commons / "archive" / "manifest.json"
        manifest = json.loads(file.read_bytes())
        *way, last = place
        holder = manifest
        for step in way:
            holder = holder[step]
        holder[last] = holder["epochs"] if value is ... else value
        file.write_text(json.dumps(manifest))
        (problem,) = self.problems(commons)
        assert problem.startswith(f"{file} is damaged: ")
        assert said in problem
        with pytest.raises(BadInput, match=re.escape(said)):
            Commons(commons).answer("select * from networks")

    @pytest.mark.parametrize("run", [None, "../elsewhere", ""])
    def test_a_checkpoint_of_no_run(self, commons: Path, run: str | None) -> None:
        compact(commons)
        file = next((commons / "archive").glob("*-networks.parquet"))
        rows = pq.read_table(file)
        changed = rows.to_pylist()
        for row in changed[1:]:
            row |= {"checkpoint": None, "best_checkpoint": None}
        assert changed[0]["checkpoint"] is not None
        changed[0]["run"] = run
        pq.write_table(pa.Table.from_pylist(changed, schema=rows.schema), file)
        problems = check(commons).problems
        assert problems[0] == f"{file} is damaged: its SHA-256 differs from the manifest's"
        assert not any("is missing" in problem for problem in problems)

    def test_journals_events_and_headers(self, commons: Path) -> None:
        folder = RunFolder(commons, "b")
        for file, line in ((folder.journal(1), 2), (folder.events, 1)):
            before = file.read_bytes()
            lines = before.split(b"\n")
            lines[line - 1] = lines[line - 1][:5]
            file.write_bytes(b"\n".join([*lines[:-1], b"{}", b""]))
            assert any(f"{file} line {line} is damaged" in p for p in self.problems(commons))
            file.write_bytes(before)
        folder.run_file.write_text('{"layout":')
        assert f"{folder.run_file} is damaged" in self.problems(commons)[0]

    @pytest.mark.parametrize(
        ("damage", "said"),
        [
            ("rm {run}/run.json", ["{run}/run.json is missing"]),
            ("truncate -s 60 {run}/run.json", ["{run}/run.json is damaged: not JSON"]),
            ("echo '{{}}' > {run}/run.json", ["{run}/run.json is damaged: it has no 'header'"]),
            ("rm {run}/events.jsonl", ["{run}/events.jsonl is missing"]),
            (
                ": > {run}/events.jsonl",
                ["{run}/events.jsonl is damaged: it is shorter than when the run ended"],
            ),
            (
                "sed -i 2d {run}/events.jsonl",
                ["{run}/events.jsonl line 2 is damaged: event number 3", "shorter"],
            ),
            (
                "rm {run}/tables/networks/0002.parquet",
                ["{run}/tables/networks/0002.parquet is missing: by the event log network 2 has ended"],
            ),
            (
                "sed -i 2s/0.025/0.026/ {run}/journals/0001.jsonl",
                ["line 2 is damaged: its checksum"],
            ),
            (
                "sed -i 2d {run}/journals/0001.jsonl",
                ["{run}/journals/0001.jsonl is damaged: an epoch is missing"],
            ),
        ],
    )
    def test_as_a_user_would_damage_it(self, commons: Path, damage: str, said: list[str]) -> None:
        run = commons / "runs" / "a"
        subprocess.run(damage.format(run=run), shell=True, check=True)
        problems = self.problems(commons)
        assert len(problems) == len(said)
        for problem, words in zip(problems, said, strict=True):
            assert words.format(run=run) in problem

    def test_a_lost_manifest_or_header_loses_no_records(self, commons: Path) -> None:
        """What the packs hold is known by the manifest alone: nothing is read, or cleaned up, without it."""
        compact(commons)
        before = {p: p.read_bytes() for p in (commons / "archive").iterdir()}
        manifest = commons / "archive" / "manifest.json"
        text = manifest.read_bytes()
        manifest.unlink()
        said = f"{manifest} is missing, and with it the list of the packs beside it"
        assert self.problems(commons) == [said]
        for use in (compact, lambda c: Commons(c).networks("a"), lambda c: Commons(c).sql("from networks")):
            with pytest.raises(Damaged, match=re.escape(said)):
                use(commons)
        manifest.write_bytes(text)
        header_file = RunFolder(commons, "a").run_file
        moved = header_file.rename(commons.parent / "run.json")
        with pytest.raises(Damaged, match=re.escape(f"{header_file} is missing; put it back")):
            compact(commons)
        moved.rename(header_file)
        compact(commons)
        assert {p: p.read_bytes() for p in (commons / "archive").iterdir()}.keys() == before.keys()
        assert self.problems(commons) == []

    def test_checkpoints(self, commons: Path) -> None:
        with RunWriter.open(commons, "c", header()) as writer:
            good, wrong = (writer.folder.checkpoints(0) / name for name in ("good", "wrong"))
            good.parent.mkdir(parents=True)
            for file in (good, wrong):
                file.write_bytes(b"weights")
            digest = hashlib.sha256(b"weights").hexdigest()
            writer.record(
                Network(
                    network=0,
                    epochs_trained=0,
                    checkpoint=str(good.relative_to(commons)),
                    checkpoint_sha256=digest,
                    best_checkpoint=str(wrong.relative_to(commons)),
                    best_checkpoint_sha256=digest,
                )
            )
            writer.finish(RunStatus.completed)
        mine = [p for p in check(commons).problems if "/c/" in p]
        assert mine == []
        wrong.write_bytes(b"other")
        good.unlink()
        mine = [p for p in check(commons).problems if "/c/" in p]
        assert mine == [
            f"{good} is missing",
            f"{wrong} is damaged: its SHA-256 differs from the recorded one",
        ]

    def test_what_a_kill_leaves_is_a_note(self, commons: Path) -> None:
        left = RunFolder(commons, "b").path / "tables" / "epochs" / ".0007.parquet.1.unfinished"
        left.write_bytes(b"x")
        found = check(commons, checkpoints=False)
        assert found.problems == []
        assert any(str(left) in note for note in found.notes)


class TestMerge:
    @pytest.mark.slow
    def test_into_a_new_one(self, commons: Path, tmp_path: Path) -> None:
        target = tmp_path / "target"
        done = merge(commons, target)
        assert done.added == {"a": "a", "b": "b"}
        assert everything(target) == everything(commons)
        assert check(target, checkpoints=False).problems == []
        assert merge(commons, target).present == ["a", "b"]
        with RunWriter.open(target, "b", header()) as writer:  # an interrupted run goes on there
            assert list(writer.recorded()) == [0]
            assert len(writer.events) == 1

    @pytest.mark.slow
    def test_from_a_compacted_one(self, commons: Path, tmp_path: Path) -> None:
        before = everything(commons)
        compact(commons)
        merge(commons, tmp_path / "target", ["a"])
        merge(commons, tmp_path / "target")
        assert everything(tmp_path / "target") == before

    def test_an_id_that_is_taken(self, commons: Path, tmp_path: Path) -> None:
        target = tmp_path / "target"
        made_up_run(target, "a", 2)
        assert merge(commons, target, ["a"]).added == {"a": "a-2"}
        found = Commons(target)
        assert found.runs() == ["a", "a-2"]
        assert len(found.networks("a")) == 2
        new = found.networks("a-2")
        assert len(new) == 6
        assert {n.run for n in new} == {"a-2"}
        assert {e.run for e in found.events("a-2")} == {"a-2"}
        assert [n.network for n in found.front("a-2")] == [n.network for n in Commons(commons).front("a")]
        assert merge(commons, target, ["a"]).present == ["a"]  # known under its new id
        compact(target)
        assert check(target, checkpoints=False).problems == []

    def test_refused(self, commons: Path, tmp_path: Path) -> None:
        with pytest.raises(BadInput, match="has no run 'x'; runs there: a, b"):
            merge(commons, tmp_path / "t", ["x"])
        with pytest.raises(BadInput, match="into itself"):
            merge(commons, commons)
        with (
            RunWriter.open(commons, "b", header()),
            pytest.raises(BadInput, match=r"'b' .*is being written by"),
        ):
            merge(commons, tmp_path / "t")
        assert not (tmp_path / "t").exists()


class TestExport:
    @pytest.mark.slow
    def test_folder(self, commons: Path, tmp_path: Path) -> None:
        counts = export_tables(commons, str(tmp_path / "out"))
        before = everything(commons)
        for name, rows in before.items():
            table = pq.read_table(tmp_path / "out" / f"{name}.parquet")
            assert table.num_rows == len(rows) == counts[name], name
            assert table.schema.field("run").metadata[b"description"]
        with pytest.raises(BadInput, match="exists already"):
            export_tables(commons, str(tmp_path / "out"))

    def test_one_run(self, commons: Path, tmp_path: Path) -> None:
        assert export_tables(commons, str(tmp_path / "out"), ["b"])["networks"] == 1
        assert pq.read_table(tmp_path / "out" / "epochs.parquet")["run"].unique().to_pylist() == ["b"]

    @pytest.mark.slow
    def test_duckdb_file(self, commons: Path, tmp_path: Path) -> None:
        file = tmp_path / "all.duckdb"
        export_duckdb(commons, file)
        before = everything(commons)
        with duckdb.connect(str(file), read_only=True) as database:
            for name, rows in before.items():
                assert database.sql(f"from {name} order by all").to_arrow_table().to_pylist() == rows, name
            comments = database.sql(
                "select comment from duckdb_columns() where table_name = 'epochs' and column_name = 'seconds'"
            ).fetchall()
            assert comments == [("time of the epoch [s]",)]
        with pytest.raises(BadInput, match="exists already"):
            export_duckdb(commons, file)

    @pytest.mark.slow
    def test_duckdb_file_in_the_plain_command_line(self, commons: Path, tmp_path: Path) -> None:
        """The command line is of another release than the library that wrote the file, as users' are."""
        command = Path(sys.executable).with_name("duckdb")
        if not command.is_file():
            pytest.skip("needs the DuckDB command line: pip install duckdb-cli")
        file = tmp_path / "all.duckdb"
        counts = export_duckdb(commons, file)
        for name, expected in counts.items():
            query = f"select count(*) as n from {name}"
            done = subprocess.run(
                [command, "-readonly", "-json", file, "-c", query],
                capture_output=True,
                text=True,
                check=False,
            )
            assert done.returncode == 0, done.stderr
            assert json.loads(done.stdout) == [{"n": expected}]
        query = "select network, fitness['mflops'] as mflops from front where run = 'a' order by network"
        done = subprocess.run(
            [command, "-readonly", "-json", file, "-c", query], capture_output=True, text=True, check=True
        )
        front = sorted(Commons(commons).front("a"), key=lambda n: n.network)
        assert [(r["network"], float(r["mflops"])) for r in json.loads(done.stdout)] == [
            (n.network, n.fitness["mflops"]) for n in front
        ]

    def test_secrets_are_not_repeated(self) -> None:
        uri = "s3://key:secret@bucket/path?endpoint_override=x"
        assert without_secrets(uri) == "s3://bucket/path"


class TestBadPlaces:
    """A full disk, a read-only one: one sentence, nothing half-written, everything still there."""

    WAYS: ClassVar[dict[str, Callable[[Path, Path], object]]] = {
        "compact": lambda commons, _: compact(commons),
        "folder": lambda commons, out: export_tables(commons, str(out)),
        "duckdb": lambda commons, out: export_duckdb(commons, out / "all.duckdb"),
        "merge": lambda commons, out: merge(commons, out),
    }

    @pytest.mark.slow
    @pytest.mark.parametrize("way", WAYS)
    def test_full(self, small_disk: Path, way: str) -> None:
        subprocess.run(["mount", "-o", "remount,size=6m", small_disk], check=True)
        commons = small_disk / "c"
        made_up_run(commons, networks=10)
        before = everything(commons)
        state = os.statvfs(small_disk)
        (small_disk / "filling").write_bytes(b"x" * (state.f_bavail * state.f_frsize - 20_000))
        with pytest.raises(BadInput, match=r"cannot write .*No space left on device"):
            self.WAYS[way](commons, small_disk / "out")
        assert everything(commons) == before
        assert check(commons, checkpoints=False).problems == []
        assert not list(small_disk.rglob("*unfinished*"))
        assert not [p for p in small_disk.rglob("out/**/*") if p.suffix in (".parquet", ".duckdb", ".wal")]
        (small_disk / "filling").unlink()
        self.WAYS[way](commons, small_disk / "out")
        assert everything(commons) == before

    @pytest.mark.slow
    @pytest.mark.parametrize("way", WAYS)
    def test_read_only(self, small_disk: Path, way: str) -> None:
        subprocess.run(["mount", "-o", "remount,size=6m", small_disk], check=True)
        commons = small_disk / "c"
        made_up_run(commons, networks=4)
        before = everything(commons)
        subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
        with pytest.raises(BadInput, match=r"cannot (write|create the folder) .*Read-only file system"):
            self.WAYS[way](commons, small_disk / "out")
        assert everything(commons) == before  # reading and checking need no writing
        assert check(commons, checkpoints=False).problems == []


class TestCommand:
    def run(self, *arguments: str) -> dict[str, object]:
        result = runner.invoke(app, [*arguments, "--json"])
        assert result.exit_code == 0, result.exception
        found: dict[str, object] = json.loads(result.stdout)
        return found

    @pytest.mark.slow
    def test_all(self, commons: Path, tmp_path: Path) -> None:
        where = ["--commons", str(commons)]
        assert self.run("compact", *where)["networks"] == 7
        assert self.run("check", "--no-checkpoints", *where)["problems"] == []
        target = ["--commons", str(tmp_path / "t")]
        assert self.run("merge", str(commons), "a", *target)["added"] == {"a": "a"}
        rows = self.run("export", "--out", str(tmp_path / "e.duckdb"), *where)["rows"]
        assert isinstance(rows, dict)
        assert set(rows) == {*TABLES, "front", "lineage"}
        file = next((commons / "archive").glob("*-edges.parquet"))
        file.write_bytes(b"x")
        result = runner.invoke(app, ["check", "--no-checkpoints", *where])
        assert result.exit_code == 1
        assert str(file) in result.stderr
