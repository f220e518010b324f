"""Runs of Weights & Biases as a run of a commons, from files on this machine, without wandb.

Read are what ``wandb`` keeps of every run, online or not (``run-*.wandb``: a log of protocol buffers in the
frames of LevelDB's log), and histories that were exported as CSV or Parquet (columns ``_step``, ``_runtime``
and one for each metric). Checked against files that wandb 0.31 wrote.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from a4nn_core.errors import BadInput
from a4nn_core.files import user_errors
from a4nn_core.interchange.curves_csv import number, read_csv
from a4nn_core.interchange.tracked import TrackedRun, began, moment, tracked_import
from a4nn_core.jsonable import Json, parsed
from a4nn_core.vocabulary import NetworkStatus

_MAGIC = b":W&B" + struct.pack("<HB", 0xBEE1, 0)
_BLOCK, _FRAME = 32768, struct.Struct("<IHB")
_FULL, _FIRST, _MIDDLE, _LAST = 1, 2, 3, 4
# numbers of fields in wandb_internal.proto
_HISTORY, _CONFIG, _RUN, _EXIT = 2, 5, 17, 18
_RUN_ID, _RUN_PROJECT, _RUN_CONFIG, _RUN_NAME, _RUN_START = 1, 3, 4, 8, 17
_ITEM_KEY, _ITEM_NESTED, _ITEM_VALUES, _ITEM_JSON = 1, 2, {4, 5, 6}, 16
_EXIT_CODE, _EXIT_SECONDS = 1, 2

Fields = list[tuple[int, int | bytes]]


def import_wandb(
    source: Path,
    commons: Path,
    run: str | None = None,
    metric: str | None = None,
    values: str = "auto",
) -> tuple[str, int]:
    """Import runs of Weights & Biases as one run; each becomes a network.

    Args:
        source: a ``.wandb`` file, an exported ``.csv`` or ``.parquet`` history, or a folder of them such as
            ``wandb``, with all that is below it.
        commons: folder, created if missing.
        run: id of the run; made from the project's name, or that of the folder, if None.
        metric, values: see ``tracked_import``.

    Returns:
        id of the run and number of networks.

    Raises:
        BadInput: there is no such file, one is damaged, no metric can be the learning curve, or the commons
            has the run; nothing is written then.
    """
    files = _files(source)
    found = [_read(file) for file in files]
    projects = {project for project, _ in found if project}
    name = projects.pop() if len(projects) == 1 else source.resolve().stem
    notes = [f"project: {name}"] if name in {project for project, _ in found} else []
    arriving = tracked_import(
        sorted((one for _, one in found), key=began),
        commons,
        source="wandb",
        place=str(source),
        name=name,
        run=run,
        metric=metric,
        values=values,
        notes=notes,
    )
    return arriving.folder.run_id, arriving.write()


def _files(source: Path) -> list[Path]:
    if source.is_file():
        return [source]
    if not source.is_dir():
        raise BadInput(f"there is no file or folder {source}")
    # latest-run is a link to a run that is there anyway
    logs = [path for path in sorted(source.rglob("*.wandb")) if "latest-run" not in path.parts]
    found = logs or sorted([*source.glob("*.csv"), *source.glob("*.parquet")])
    if not found:
        raise BadInput(f"{source} contains no file run-*.wandb, and no history as .csv or .parquet")
    return found


def _read(path: Path) -> tuple[str | None, TrackedRun]:
    if path.suffix == ".wandb":
        return _read_log(path)
    if path.suffix == ".csv":
        columns = read_csv(path, ("_step",))
        return None, _history(
            path, [{name: number(path, row, name) for name in _numeric(columns)} for row in columns]
        )
    if path.suffix == ".parquet":
        return None, _history(path, _parquet_rows(path))
    raise BadInput(f"{path} is neither a .wandb file nor a history as .csv or .parquet")


def _numeric(rows: list[dict[str, str]]) -> list[str]:
    """Columns that hold numbers, and nothing else that is not empty."""

    def is_number(text: str) -> bool:
        try:
            float(text or "0")
        except ValueError:
            return False
        return True

    return [name for name in rows[0] if all(is_number(row[name]) for row in rows)]


def _parquet_rows(path: Path) -> list[dict[str, float | None]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(path)
    except (OSError, pa.ArrowException) as error:
        raise BadInput(f"cannot read {path}: {' '.join(str(error).split())}") from None
    if "_step" not in table.column_names:
        raise BadInput(f"{path} has no column '_step'; its columns: {', '.join(table.column_names)}")
    numeric = [f.name for f in table.schema if pa.types.is_integer(f.type) or pa.types.is_floating(f.type)]
    rows: list[dict[str, float | None]] = table.select(numeric).to_pylist()
    return rows


def _history(path: Path, rows: Iterable[Mapping[str, float | None]]) -> TrackedRun:
    metrics: dict[str, list[tuple[int, float]]] = {}
    runtime = None
    for row in rows:
        step = row.get("_step")
        if step is None or not math.isfinite(step):
            raise BadInput(f"{path} has a row without a value of '_step'")
        runtime = row.get("_runtime") or runtime
        for name, value in row.items():
            if not name.startswith("_") and value is not None:
                metrics.setdefault(name, []).append((int(step), float(value)))
    return TrackedRun(path.stem, path.stem, NetworkStatus.completed, {"history": path.stem}, metrics, runtime)


@dataclass
class _Log:
    """What the records of a log say, as they are read."""

    key: str = ""
    name: str = ""
    project: str | None = None
    started: float | None = None
    seconds: float | None = None
    exit_code: int | None = None
    config: dict[str, Json] = field(default_factory=dict)
    metrics: dict[str, list[tuple[int, float]]] = field(default_factory=dict)

    def take(self, record: bytes) -> None:
        for kind, body in _fields(record):
            if not isinstance(body, bytes):
                continue
            if kind == _HISTORY:
                self._take_history(body)
            elif kind == _RUN:
                self._take_run(body)
            elif kind == _CONFIG:
                self._configure(body)
            elif kind == _EXIT:
                known = dict(_fields(body))
                code, seconds = known.get(_EXIT_CODE, 0), known.get(_EXIT_SECONDS)
                self.exit_code = code if isinstance(code, int) else 0
                self.seconds = float(seconds) if isinstance(seconds, int) else None

    def _take_run(self, body: bytes) -> None:
        for kind, value in _fields(body):
            if not isinstance(value, bytes):
                continue
            if kind == _RUN_ID:
                self.key = value.decode()
            elif kind == _RUN_PROJECT:
                self.project = value.decode() or None
            elif kind == _RUN_NAME:
                self.name = value.decode()
            elif kind == _RUN_CONFIG:
                self._configure(value)
            elif kind == _RUN_START:
                seconds = dict(_fields(value)).get(1)
                self.started = float(seconds) if isinstance(seconds, int) else None

    def _configure(self, body: bytes) -> None:
        for name, value in _items(body):
            if not name.startswith("_wandb"):
                self.config[name] = value

    def _take_history(self, body: bytes) -> None:
        row = dict(_items(body))
        step = row.get("_step")
        if not isinstance(step, int | float):
            step = max((s for points in self.metrics.values() for s, _ in points), default=-1) + 1
        for name, value in row.items():
            if not name.startswith("_") and isinstance(value, int | float) and not isinstance(value, bool):
                self.metrics.setdefault(name, []).append((int(step), float(value)))


def _read_log(path: Path) -> tuple[str | None, TrackedRun]:
    with user_errors("read", path):
        content = path.read_bytes()
    if not content.startswith(_MAGIC):
        raise BadInput(f"{path} is no log of wandb: it does not begin like one")
    log = _Log()
    try:
        for record in _records(content):
            log.take(record)
    except (ValueError, IndexError, UnicodeDecodeError, struct.error, OverflowError):
        raise BadInput(f"{path} is damaged: a record in it cannot be read") from None
    if not log.key:
        raise BadInput(f"{path} is damaged: it does not say which run it is of")
    status = None
    if log.exit_code is not None:
        status = NetworkStatus.completed if log.exit_code == 0 else NetworkStatus.failed
    return log.project, TrackedRun(
        log.key,
        log.name or log.key,
        status,
        log.config,
        log.metrics,
        log.seconds,
        moment(log.started),
        f"ended with exit code {log.exit_code}" if log.exit_code else None,
    )


def _records(content: bytes) -> Iterator[bytes]:
    """The records of a log; what was cut off at its end, as by a crash, is left out."""
    at, part = len(_MAGIC), b""
    while at + _FRAME.size <= len(content):
        left = _BLOCK - at % _BLOCK
        if left < _FRAME.size:
            at += left
            continue
        _, length, kind = _FRAME.unpack_from(content, at)
        data = content[at + _FRAME.size : at + _FRAME.size + length]
        at += _FRAME.size + length
        if len(data) < length or kind == 0:
            return
        if kind not in (_FULL, _FIRST, _MIDDLE, _LAST):
            raise ValueError(kind)
        part = data if kind in (_FULL, _FIRST) else part + data
        if kind in (_FULL, _LAST):
            yield part


def _fields(message: bytes) -> Fields:
    """Fields of a protocol buffer: number and value, an integer or the bytes of anything else."""
    fields: Fields = []
    at = 0
    while at < len(message):
        tag, at = _varint(message, at)
        kind, wire = tag >> 3, tag & 7
        if wire == 0:
            value, at = _varint(message, at)
            fields.append((kind, value))
            continue
        if wire == 2:
            length, at = _varint(message, at)
        elif wire in (1, 5):
            length = 8 if wire == 1 else 4
        else:
            raise ValueError(wire)
        if at + length > len(message):
            raise ValueError(length)
        fields.append((kind, message[at : at + length]))
        at += length
    return fields


def _varint(message: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = message[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at
        if shift > 63:
            raise ValueError(shift)


def _items(message: bytes) -> Iterator[tuple[str, Json]]:
    """Names and values of a message that lists them; parts of nested names are joined by dots."""
    for kind, body in _fields(message):
        if kind != 1 or not isinstance(body, bytes):
            continue
        names: list[str] = []
        value: Json = None
        for number_, inner in _fields(body):
            if number_ in (_ITEM_KEY, _ITEM_NESTED) and isinstance(inner, bytes):
                names.append(inner.decode())
            elif number_ == _ITEM_JSON and isinstance(inner, bytes):
                value = _json(inner.decode())
            elif number_ in _ITEM_VALUES:
                value = _plain(number_, inner)
        yield ".".join(name for name in names if name), value


def _plain(kind: int, inner: int | bytes) -> Json:
    if isinstance(inner, bytes):  # a double
        value: float = struct.unpack("<d", inner)[0]
        return value if math.isfinite(value) else None
    if kind == 5:  # zigzag
        return (inner >> 1) ^ -(inner & 1)
    return bool(inner)


def _json(text: str) -> Json:
    try:
        return parsed(text)
    except ValueError:  # NaN and Infinity, which wandb writes as Python does
        return None
