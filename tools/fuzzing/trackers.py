"""The target of what other trackers recorded."""

from __future__ import annotations

import shutil
import sqlite3
import struct
from collections.abc import Sequence

from hypothesis.strategies import SearchStrategy

from a4nn_core.interchange.mlflow_store import import_mlflow
from a4nn_core.interchange.wandb_files import import_wandb
from fuzzing.changes import bytes_changed, changed
from fuzzing.target import Target

_LOG, _DATABASE = b":W&B", b"SQLite"


class Trackers(Target):
    """Logs of wandb; databases, metrics and meta data of MLflow."""

    name = "trackers"
    what = "files of other trackers: a4nn import wandb and import mlflow"

    @classmethod
    def seeds(cls) -> list[bytes]:
        meta = b"run_id: a\nname: e\nstatus: 3\nstart_time: 1000\nend_time: 2000\nlifecycle_stage: active\n"
        return [_log(), _database(), meta + b"\0" + b"1000 0.5 0\n1001 0.6 1\n"]

    @classmethod
    def inputs(cls, corpus: Sequence[bytes]) -> SearchStrategy[bytes]:
        return changed(corpus, bytes_changed)

    def run(self, data: bytes) -> None:
        commons = self.folder / "commons"
        store = self.folder / "store"
        try:
            if data.startswith(_LOG):
                store.mkdir()
                (store / "run-a.wandb").write_bytes(data)
                import_wandb(store, commons)
            elif data.startswith(_DATABASE):
                store.write_bytes(data)
                import_mlflow(store, commons)
            else:
                meta, _, metric = data.partition(b"\0")
                (store / "1" / "a" / "metrics").mkdir(parents=True)
                for folder in (store / "1", store / "1" / "a"):
                    (folder / "meta.yaml").write_bytes(meta)
                (store / "1" / "a" / "metrics" / "val_acc").write_bytes(metric)
                import_mlflow(store, commons)
        finally:
            shutil.rmtree(commons, ignore_errors=True)
            shutil.rmtree(store, ignore_errors=True)
            store.unlink(missing_ok=True)


def _log() -> bytes:
    """A run with one step, in the frames and fields that ``wandb_files`` reads."""

    def part(number: int, body: bytes) -> bytes:
        return bytes([number << 3 | 2, len(body)]) + body

    def long(number: int, body: bytes) -> bytes:  # numbers above 15 take two bytes
        tag = number << 3 | 2
        return bytes([tag & 0x7F | 0x80, tag >> 7, len(body)]) + body

    def item(name: bytes, value: bytes) -> bytes:
        return part(1, part(2, name) + long(16, value))

    records = [
        long(17, part(1, b"a") + part(3, b"p") + part(4, part(1, part(1, b"lr") + long(16, b"0.1")))),
        part(2, item(b"_step", b"0") + item(b"val_acc", b"0.5")),
        long(18, b"\x08\x00"),
    ]
    frames = b"".join(struct.pack("<IHB", 0, len(record), 1) + record for record in records)
    return _LOG + struct.pack("<HB", 0xBEE1, 0) + frames


def _database() -> bytes:
    with sqlite3.connect(":memory:") as made:
        made.executescript(
            """
            create table experiments (experiment_id integer, name text, lifecycle_stage text);
            create table runs (run_uuid text, name text, status text, start_time int, end_time int,
                               lifecycle_stage text, experiment_id int);
            create table params (run_uuid text, key text, value text);
            create table metrics (run_uuid text, key text, value real, timestamp int, step int, is_nan int);
            insert into experiments values (1, 'e', 'active');
            insert into runs values ('a', 'x', 'FINISHED', 1000, 2000, 'active', 1);
            insert into params values ('a', 'lr', '0.1');
            insert into metrics values ('a', 'val_acc', 0.5, 1000, 0, 0);
            """
        )
        return made.serialize()
