"""The commons: what is written is what is read, once, whatever happens in between."""

from __future__ import annotations

import errno
import json
import math
import os
import re
import signal
import subprocess
import sys
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from commons_data import (
    EDGES,
    HORIZON,
    LAYERS,
    curve,
    fail,
    header,
    journal_epochs,
    journal_records,
    made_up_run,
    network_record,
    record,
    train,
)
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from a4nn_core.commons import (
    Commons,
    EventLog,
    Journal,
    RunFolder,
    RunWriter,
    predictions_of,
    read_epochs,
    read_events,
    read_journal,
)
from a4nn_core.commons.events import Considered, Rejected, SegmentEnded, payload
from a4nn_core.commons.layout import Damaged
from a4nn_core.commons.lock import KernelLock, holder
from a4nn_core.commons.records import ConsideredRecord, Network, RejectedRecord
from a4nn_core.commons.rows import table_row
from a4nn_core.commons.schema import TABLES
from a4nn_core.commons.writer import AlreadyRecorded
from a4nn_core.errors import BadInput
from a4nn_core.metrics import nondominated
from a4nn_core.vocabulary import NetworkStatus, RunStatus


@pytest.fixture
def commons(tmp_path: Path) -> Path:
    return tmp_path / "commons"


class TestJournal:
    def test_reads_back_what_was_appended(self, tmp_path: Path) -> None:
        path = tmp_path / "j" / "0001.jsonl"
        records = list(journal_records(1, 3))
        with Journal(path) as journal:
            for line in records:
                journal.append(line)
        assert read_journal(path) == records

    def test_strict_json_without_nan(self, tmp_path: Path) -> None:
        path = tmp_path / "0001.jsonl"
        with Journal(path) as journal:
            journal.append({"a": math.nan, "b": [math.inf, np.float32(1.5)], "c": np.array([1, 2])})
        text = path.read_text()
        assert "NaN" not in text
        assert "Infinity" not in text
        assert read_journal(path) == [{"a": None, "b": [None, 1.5], "c": [1, 2]}]

    @given(
        cut=st.integers(min_value=1, max_value=400), garbage=st.sampled_from([b"", b"\n", b"\0\0", b'{"e'])
    )
    def test_torn_at_any_byte_the_whole_lines_stay_and_appending_goes_on(
        self, tmp_path_factory: pytest.TempPathFactory, cut: int, garbage: bytes
    ) -> None:
        path = tmp_path_factory.mktemp("torn") / "0001.jsonl"
        with Journal(path) as journal:
            for epoch in range(1, 11):
                journal.append({"epoch": epoch, "text": "ä" * (epoch % 3)})
        data = path.read_bytes()
        kept = data[: max(0, len(data) - cut)]
        whole = kept.count(b"\n")
        path.write_bytes(kept + garbage)
        if garbage == b"\n" and kept.endswith(b"\n"):
            path.write_bytes(kept)
        if garbage == b"\n" and kept and data[len(kept) : len(kept) + 1] == b"\n":
            whole += 1  # exactly the newline was torn off and is back
        if garbage == b'{"e' and kept and data[len(kept) : len(kept) + 1] == b"\n":
            # no torn write: the writer would have removed a record without its newline first
            with pytest.raises(Damaged, match="text follows its checksum"):
                read_journal(path)
            return
        assert [r["epoch"] for r in read_journal(path)] == list(range(1, whole + 1))
        with Journal(path) as journal:
            journal.append({"epoch": whole + 1})
        assert [r["epoch"] for r in read_journal(path)] == list(range(1, whole + 2))

    def test_damage_in_the_middle_is_named(self, tmp_path: Path) -> None:
        path = tmp_path / "0001.jsonl"
        path.write_text('{"epoch": 1}\n{"epo\n{"epoch": 3}\n')
        with pytest.raises(Damaged, match=r"0001\.jsonl line 2 is damaged"):
            read_journal(path)
        with pytest.raises(Damaged, match="line 2"):
            Journal(path)

    @pytest.mark.slow
    def test_no_flipped_bit_changes_a_value_unnoticed(self, tmp_path: Path) -> None:
        """Whatever bit flips: the lines read are those written, or the file is called damaged, or the last
        line looks torn and is left out."""
        path = tmp_path / "0001.jsonl"
        records = [{"epoch": epoch, "value": epoch / 7, "text": "ä"} for epoch in range(1, 5)]
        with Journal(path) as journal:
            for line in records:
                journal.append(line)
        written = path.read_bytes()
        for place in range(len(written)):
            for bit in range(8):
                data = bytearray(written)
                data[place] ^= 1 << bit
                path.write_bytes(data)
                with suppress(Damaged):
                    assert read_journal(path) in (records, records[:-1]), (place, bit)

    @pytest.mark.parametrize("last", ["", '{"epoch": 3'])
    def test_a_lost_newline_loses_no_line(self, tmp_path: Path, last: str) -> None:
        path = tmp_path / "0001.jsonl"
        with Journal(path) as journal:
            for epoch in (1, 2):
                journal.append({"epoch": epoch})
        first, second, _ = path.read_bytes().split(b"\n")
        path.write_bytes(first + b"\x0b" + second + b"\n" + last.encode())
        with pytest.raises(Damaged, match="line 1 is damaged"):
            read_journal(path)
        path.write_bytes(first + b"\x0b" + second[:9])
        with pytest.raises(Damaged, match="line 1 is damaged: text follows its checksum"):
            read_journal(path)
        path.write_bytes(first + b"\n" + second + b"\0\0")  # a torn write, its last block missing
        assert read_journal(path) == [{"epoch": 1}]

    def test_a_changed_last_line_is_no_torn_one(self, tmp_path: Path) -> None:
        path = tmp_path / "0001.jsonl"
        with Journal(path) as journal:
            journal.append({"epoch": 1, "value": 81.5})
        path.write_text(path.read_text().replace("81.5", "91.5"))
        with pytest.raises(
            Damaged, match=r"0001\.jsonl line 1 is damaged: its checksum is not that of its content"
        ):
            read_journal(path)

    @pytest.mark.parametrize(
        ("line", "said"),
        [
            ('{"epoch":{}}', "column 'epoch' holds {}, not a whole number of 32 bits"),
            ('{"epoch":null}', "column 'epoch' holds null, not a whole number of 32 bits"),
            ('{"epoch":2147483648}', "column 'epoch' holds 2147483648, not a whole number of 32 bits"),
            ('{"epoch":true}', "column 'epoch' holds true, not a whole number of 32 bits"),
            ('{"epoch":1,"time":[]}', "column 'time' holds [], not a time in the form of ISO 8601"),
            ('{"epoch":1,"time":"0001-01-01T00:00+14:00"}', "not a time in the form of ISO 8601"),
            ('{"epoch":1,"seconds":1' + "0" * 400 + "}", "000..., not a number"),
            ('{"epoch":1,"verdict":{"action":"halt"}}', "column 'verdict' holds 'halt'; known: continue"),
            ('{"epoch":1,"fits":[{"function":3}]}', "column 'function' holds 3, not text"),
            ('{"epoch":1,"x":' + "[" * 5000 + "]" * 5000 + "}", "nested too deep"),
            (
                '{"epoch":1,"verdict":{"evidence":' + '{"a":' * 99 + "0" + "}" * 101,
                "nested too deep",
            ),
            (r'{"epoch":1,"reason":"\ud800"}', "surrogates not allowed"),
        ],
    )
    def test_a_cell_that_is_none_of_its_column_is_named(self, tmp_path: Path, line: str, said: str) -> None:
        path = tmp_path / "0001.jsonl"
        path.write_text(f'{line}\n{{"epoch":2}}\n')
        with pytest.raises(Damaged, match=rf"0001\.jsonl line 1 is damaged: .*{re.escape(said)}"):
            read_epochs(path)

    def test_lines_of_older_versions_have_no_checksum(self, tmp_path: Path) -> None:
        path = tmp_path / "0001.jsonl"
        path.write_text('{"epoch":1}\n')
        with Journal(path) as journal:
            journal.append({"epoch": 2})
            journal.append({})
        assert read_journal(path) == [{"epoch": 1}, {"epoch": 2}, {}]

    def test_missing_file_is_empty(self, tmp_path: Path) -> None:
        assert read_journal(tmp_path / "none.jsonl") == []

    def test_full_disk_leaves_no_part_of_a_line(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        path = tmp_path / "0001.jsonl"
        journal = Journal(path)
        journal.append({"epoch": 1})
        real = os.pwrite
        calls = 0

        def full(handle: int, data: bytes, offset: int) -> int:
            nonlocal calls
            calls += 1
            if calls > 1:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return real(handle, data[:5], offset)

        before = path.read_bytes()
        monkeypatch.setattr(os, "pwrite", full)
        with pytest.raises(BadInput, match=r"cannot write .*0001\.jsonl: No space left on device"):
            journal.append({"epoch": 2})
        monkeypatch.undo()
        assert path.read_bytes() == before
        journal.append({"epoch": 2})
        assert [r["epoch"] for r in read_journal(path)] == [1, 2]

    def test_workers_import_it_without_the_heavy_packages(self) -> None:
        code = (
            "import sys; from a4nn_core.commons import Journal, RunFolder; "
            "print([m for m in ('torch', 'duckdb', 'pyarrow', 'pandas') if m in sys.modules])"
        )
        out = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, check=True)
        assert out.stdout.strip() == "[]"


class TestEvents:
    def test_numbered_without_gaps_over_restarts(self, tmp_path: Path) -> None:
        path = tmp_path / "events.jsonl"
        log = EventLog(path)
        log.append("asked", 0, 0, genome=[1, 2])
        log.close()
        path.write_bytes(path.read_bytes() + b'{"number": 2, "ki')
        log = EventLog(path)
        event = log.append("told", 0, 0, fitness={"error_percent": 3.0})
        assert event.number == 2
        assert [(e.number, e.kind) for e in read_events(path)] == [(1, "asked"), (2, "told")]
        data = next(iter(log)).data
        assert data is not None
        assert data.value == {"genome": [1, 2]}
        log.close()

    def test_a_missing_event_is_damage(self, tmp_path: Path) -> None:
        path = tmp_path / "events.jsonl"
        path.write_text('{"number": 1}\n{"number": 3}\n')
        with pytest.raises(Damaged, match="line 2 is damaged: event number 3"):
            read_events(path)

    @pytest.mark.parametrize(
        ("members", "said"),
        [
            ('"kind":{}', "column 'kind' holds {}, not text"),
            ('"kind":null', "column 'kind' holds null, not text"),
            ('"kind":"told","network":{}', "column 'network' holds {}, not a whole number of 32 bits"),
            ('"kind":"told","time":[1]', "column 'time' holds [1], not a time in the form of ISO 8601"),
        ],
    )
    def test_a_cell_that_is_none_of_its_column_is_named(
        self, tmp_path: Path, members: str, said: str
    ) -> None:
        path = tmp_path / "events.jsonl"
        path.write_text(f'{{"number":1,{members}}}\n')
        with pytest.raises(Damaged, match=rf"events\.jsonl line 1 is damaged: {re.escape(said)}"):
            read_events(path)

    def test_a_member_of_a_payload_of_another_type_is_named(self, tmp_path: Path) -> None:
        path = tmp_path / "events.jsonl"
        path.write_text('{"number":1,"kind":"paused","data":{"segment":0,"epochs":"3"}}\n')
        (event,) = read_events(path)
        with pytest.raises(
            Damaged, match=r"event 1 \(paused\) is damaged: 'epochs': Input should be a valid"
        ):
            payload(event, SegmentEnded)


class TestRun:
    def test_every_table_comes_back(self, commons: Path) -> None:
        made_up_run(commons, networks=8, failed=(5,))
        found = Commons(commons)
        assert found.runs() == ["made-up"]
        networks = found.networks("made-up")
        assert [n.network for n in networks] == list(range(8))
        expected = network_record(3, journal_epochs(3, HORIZON))
        three = networks[3]
        assert three.fitness == expected.fitness
        assert three.genome == expected.genome
        assert three.parents == expected.parents
        assert three.flops == expected.flops
        assert networks[5].status is NetworkStatus.failed
        assert networks[5].error == "out of memory"
        epochs = found.epochs("made-up")
        mine = [e.validation_accuracy_percent for e in epochs if e.network == 3]
        assert mine == curve(3)  # bit for bit
        assert [e.network for e in epochs] == sorted(e.network for e in epochs)
        stops = [e for e in epochs if e.verdict == "stop"]
        assert {e.network for e in stops} == {1, 2, 4, 7}
        assert all(json.loads(e.evidence) == {"spread": 0.1} for e in stops)
        fits = found.predictions("made-up")
        assert len(fits) == len([e for e in epochs if e.epoch >= 3])
        assert fits[0].parameters.members["b"] == 1.2
        assert [e.number for e in found.events("made-up")] == list(range(1, 8))
        run = found.run("made-up")
        assert run.status is RunStatus.completed
        assert run.objectives == {"error_percent": "minimise", "mflops": "minimise"}
        assert run.seed == 7

    def test_parquet_files_are_readable_by_themselves(self, commons: Path) -> None:
        made_up_run(commons, networks=2, finish=False)
        with RunWriter.open(commons, "made-up", header()) as writer:
            writer.events.append(Considered.of(0, [ConsideredRecord(reason="less_promising")]))
            writer.events.append(Rejected.of(0, 1, 0, [RejectedRecord(reason="duplicate")]))
            writer.finish(RunStatus.completed)
        for name, table in TABLES.items():
            files = list((commons / "runs" / "made-up" / "tables" / name).glob("*.parquet"))
            assert files, name
            schema = pq.read_table(files[0]).schema
            assert schema.names == [c.name for c in table.columns]
            for field in schema:
                assert field.metadata[b"description"], field.name

    def test_recording_twice(self, commons: Path) -> None:
        with RunWriter.open(commons, "r", header()) as writer:
            record(writer, 0, 10)
            records = read_epochs(writer.folder.journal(0))
            same = [replace(r, seconds=99.0, time=datetime(2027, 1, 1, tzinfo=UTC)) for r in records]
            network = network_record(0, records, run="r")
            all_same: dict[str, Any] = {
                "predictions": predictions_of(records),
                "layers": LAYERS,
                "edges": EDGES,
            }
            writer.record(replace(network, seconds=1.0), epochs=same, **all_same)
            with pytest.raises(AlreadyRecorded, match=r"network 0 .*predictions"):
                writer.record(network, epochs=records)
            with pytest.raises(AlreadyRecorded, match="networks"):
                writer.record(replace(network, flops=1), epochs=records, **all_same)
        assert [n.network for n in Commons(commons).networks("r")] == [0]

    def test_a_key_that_is_not_a_column_is_refused(self, commons: Path) -> None:
        with pytest.raises(ValueError, match="no column 'flop'"):
            table_row(TABLES["networks"], "r", {"network": 0, "flop": 1})
        with RunWriter.open(commons, "r", header()) as writer:
            with Journal(writer.folder.journal(0)) as journal:
                journal.append({"epoch": 1, "trian_loss": 0.5})
            with pytest.raises(Damaged, match=r"0000\.jsonl line 1 is damaged: an epoch has no 'trian_loss'"):
                Commons(commons).epochs("r")

    def test_networks_in_training_are_seen_epoch_by_epoch(self, commons: Path) -> None:
        with RunWriter.open(commons, "r", header()) as writer:
            record(writer, 0, 10)
            train(writer, 1, 6)
            with writer.folder.journal(1).open("ab") as torn:
                torn.write(b'{"epoch": 7, "train_l')
            found = Commons(commons)
            rows = found.sql(
                "select network, max(epoch), count(*) from epochs group by 1 order by 1"
            ).fetchall()
            assert rows == [(0, 10, 10), (1, 6, 6)]
            assert found.sql("select count(*) from predictions where network = 1").fetchall() == [(4,)]
            assert found.sql("select count(*) from networks").fetchall() == [(1,)]
            assert found.run("r").status is RunStatus.running

    def test_an_epoch_trained_twice_counts_once(self, commons: Path) -> None:
        with RunWriter.open(commons, "r", header()) as writer:
            train(writer, 0, 4)
            train(writer, 0, 5)
            assert [e.epoch for e in Commons(commons).epochs("r")] == [1, 2, 3, 4, 5]

    def test_fragments_without_their_last_one_do_not_count(self, commons: Path) -> None:
        with RunWriter.open(commons, "r", header()) as writer:
            record(writer, 0, 10)
            writer.folder.fragment("networks", 0).unlink()  # as if killed before the commit point
            assert writer.recorded() == {}
            assert len(Commons(commons).epochs("r")) == 10  # from the journal
            record(writer, 0, 10)
            assert list(writer.recorded()) == [0]

    def test_resume_keeps_the_header_and_cleans_up(self, commons: Path) -> None:
        with RunWriter.open(commons, "r", header()) as writer:
            assert not writer.resumed
            record(writer, 0, 10)
            left = writer.folder.table("epochs") / ".0001.parquet.99.unfinished"
            left.write_bytes(b"half")
        with RunWriter.open(commons, "r", header(code_version="9.9")) as writer:
            assert writer.resumed
            assert writer.header["code_version"] == "0.1.0"
            assert list(writer.recorded()) == [0]
            assert len(writer.events) == 1
            assert not left.exists()

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            (
                {"experiment": {**header()["experiment"], "training": {"epochs": 30}}},
                r"experiment\.training\.epochs = 25, not 30",
            ),
            ({"dataset_fingerprint": "other"}, r'dataset_fingerprint = "abab.*", not "other"'),
        ],
    )
    def test_another_experiment_under_the_same_id(
        self, commons: Path, change: dict[str, Any], message: str
    ) -> None:
        RunWriter.open(commons, "r", header()).close()
        before = (commons / "runs" / "r" / "run.json").read_bytes()
        with pytest.raises(BadInput, match=message):
            RunWriter.open(commons, "r", header(**change))
        assert (commons / "runs" / "r" / "run.json").read_bytes() == before
        RunWriter.open(commons, "r", header()).close()  # the lock was let go

    @pytest.mark.parametrize("name", ["", ".hidden", "a/b", "../x", "a b", "x" * 101, "-x"])
    def test_run_ids(self, commons: Path, name: str) -> None:
        with pytest.raises(BadInput, match="run id"):
            RunFolder(commons, name)

    def test_bad_places(self, tmp_path: Path) -> None:
        file = tmp_path / "file"
        file.write_text("x")
        with pytest.raises(BadInput, match=f"{file}"):
            RunWriter.open(file, "r", header())
        with pytest.raises(BadInput, match=r"cannot create the folder .*file/below"):
            RunWriter.open(file / "below", "r", header())
        other = tmp_path / "other"
        other.mkdir()
        (other / "photo.jpg").write_text("x")
        with pytest.raises(BadInput, match="is not a commons: it contains other files"):
            RunWriter.open(other, "r", header())
        assert [p.name for p in other.iterdir()] == ["photo.jpg"]
        with pytest.raises(BadInput, match="is not a commons"):
            Commons(other)
        with pytest.raises(BadInput, match="there is no such folder"):
            Commons(tmp_path / "nowhere")

    def test_newer_layout(self, commons: Path) -> None:
        made_up_run(commons, networks=1)
        (commons / "commons.json").write_text('{"layout": 99}')
        for use in (lambda: Commons(commons), lambda: RunWriter.open(commons, "x", header())):
            with pytest.raises(BadInput, match="layout 99; this version of a4nn knows layouts up to 1"):
                use()

    def test_read_only_folder(self, small_disk: Path) -> None:
        made_up_run(small_disk / "c", networks=1)
        subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
        with pytest.raises(BadInput, match="Read-only file system"):
            RunWriter.open(small_disk / "c", "made-up", header())
        with pytest.raises(BadInput, match="Read-only file system"):
            RunWriter.open(small_disk / "d", "made-up", header())
        assert len(Commons(small_disk / "c").networks("made-up")) == 1  # reading needs no writing

    def test_full_disk(self, small_disk: Path) -> None:
        acknowledged = []

        def fill(writer: RunWriter) -> None:
            for network in range(1000):
                train(writer, network, 2)
                record(writer, network, 2)
                acknowledged.append(network)

        with RunWriter.open(small_disk / "c", "r", header()) as writer:
            with pytest.raises(BadInput, match=r"cannot (write|create the folder) .*No space left on device"):
                fill(writer)
            assert not list(small_disk.rglob("*.unfinished"))
            assert [e.number for e in writer.events] == list(range(1, len(writer.events) + 1))
        assert acknowledged
        found = [n.network for n in Commons(small_disk / "c").networks("r")]
        # the last one may have been recorded before its event found no room
        assert found[: len(acknowledged)] == acknowledged
        assert len(found) <= len(acknowledged) + 1
        assert Commons(small_disk / "c").epochs("r")

    def test_unknown_run(self, commons: Path) -> None:
        made_up_run(commons, networks=1)
        with pytest.raises(BadInput, match="has no run 'other'; runs there: made-up"):
            Commons(commons).networks("other")

    def test_truncated_parquet_is_named(self, commons: Path) -> None:
        made_up_run(commons, networks=2)
        file = RunFolder(commons, "made-up").fragment("networks", 1)
        file.write_bytes(file.read_bytes()[:-20])
        with pytest.raises(Damaged, match=r"0001\.parquet"):
            Commons(commons).networks("made-up")
        with (
            RunWriter.open(commons, "made-up", header()) as writer,
            pytest.raises(Damaged, match=r"0001\.parquet"),
        ):
            writer.recorded()


class TestOneProcessARun:
    @pytest.mark.slow
    def test_second_writer_is_told_who_holds_it(self, commons: Path) -> None:
        code = (
            "import sys, time; from pathlib import Path; from commons_data import header; "
            "from a4nn_core.commons import RunWriter\n"
            "w = RunWriter.open(Path(sys.argv[1]), 'r', header()); print('open', flush=True); time.sleep(60)"
        )
        env = {**os.environ, "PYTHONPATH": str(Path(__file__).parent)}
        with subprocess.Popen(
            [sys.executable, "-P", "-c", code, commons], stdout=subprocess.PIPE, text=True, env=env
        ) as other:
            assert other.stdout is not None
            assert other.stdout.readline() == "open\n"
            with pytest.raises(BadInput, match=f"'r' is being written by process {other.pid} on "):
                RunWriter.open(commons, "r", header())
            found = holder(RunFolder(commons, "r").lock)
            assert found is not None
            assert found["pid"] == other.pid
            assert Commons(commons).runs() == ["r"]  # readers are not held up
            other.send_signal(signal.SIGKILL)
        assert holder(RunFolder(commons, "r").lock) is None
        RunWriter.open(commons, "r", header()).close()

    def test_a_forked_child_does_not_keep_the_lock(self, commons: Path) -> None:
        writer = RunWriter.open(commons, "r", header())
        child = os.fork()
        if child == 0:
            signal.pause()
            os._exit(0)
        try:
            writer.close()
            RunWriter.open(commons, "r", header()).close()
        finally:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)


class TestFront:
    def test_failed_and_equal_networks_are_not_on_it(self, commons: Path) -> None:
        def row(network: int, error: float, mflops: float, **more: Any) -> Network:
            made = Network(
                network=network,
                status=NetworkStatus.completed,
                flops=int(mflops * 1e6),
                best_accuracy_percent=100 - error,
                fitness={"error_percent": error, "mflops": mflops},
            )
            return replace(made, **more)

        rows = [
            row(0, 10, 50),
            row(1, 5, 100),
            row(2, 10, 60),  # dominated by 0
            row(3, 1, 10, status=NetworkStatus.failed),
            row(4, 10, 50, status=NetworkStatus.equal, equal_to=0),
            row(5, 20, 20, status=NetworkStatus.stopped),
        ]
        with RunWriter.open(commons, "r", header()) as writer:
            for r in rows:
                writer.record(r)
        found = Commons(commons)
        assert [n.network for n in found.front("r")] == [1, 0, 5]
        assert found.sql("select network from front order by fitness['error_percent']").fetchall() == [
            (1,),
            (0,),
            (5,),
        ]

    def test_objectives_of_the_run_decide(self, commons: Path) -> None:
        experiment = {
            "search": {"objectives": {"best_accuracy_percent": "maximise", "parameters": "minimise"}}
        }
        with RunWriter.open(commons, "r", header(experiment=experiment)) as writer:
            for network, accuracy, parameters in ((0, 90.0, 10), (1, 95.0, 20), (2, 94.0, 30)):
                writer.record(
                    Network(
                        network=network,
                        status=NetworkStatus.completed,
                        best_accuracy_percent=accuracy,
                        parameters=parameters,
                    )
                )
        assert [n.network for n in Commons(commons).front("r")] == [1, 0]

    def test_without_networks(self, commons: Path) -> None:
        with RunWriter.open(commons, "r", header()) as writer:
            fail(writer, 0)
        assert Commons(commons).front("r") == []
        assert Commons(commons).sql("select * from front").fetchall() == []

    @pytest.mark.slow
    @given(
        hnp.arrays(
            np.float64,
            st.tuples(st.integers(0, 30), st.integers(1, 3)),
            elements=st.integers(0, 6).map(float),
        )
    )
    def test_nondominated_by_definition(self, values: Any) -> None:
        expected = [
            not any(np.all(other <= point) and np.any(other < point) for other in values) for point in values
        ]
        assert nondominated(values).tolist() == expected


def test_a_lock_that_cannot_be_written_is_not_held(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(os, "pwrite", full)
        with pytest.raises(BadInput, match="No space left on device"):
            KernelLock(tmp_path / "lock", 0)
    assert holder(tmp_path / "lock") is None
    KernelLock(tmp_path / "lock", 0).release()
