"""The files and folders of a commons.

::

    commons.json                       version of the layout
    runs/<run>/run.json                header, status and totals of a run
    runs/<run>/totals.json             what it amounts to in a few numbers; derived, can be deleted
    runs/<run>/likeness.parquet        how alike its networks are, if that was kept; derived, can be deleted
    runs/<run>/lock                    held by the one process that writes the run
    runs/<run>/ending                  there while networks in training are to end after their epoch
    runs/<run>/events.jsonl            the event log
    runs/<run>/journals/0007.jsonl     network 7, one line per epoch, written while it trains
    runs/<run>/checkpoints/0007/       its checkpoints
    runs/<run>/tables/<table>/0007.parquet   its final records; the one in ``networks`` comes last and makes
                                             the others valid
    runs/<run>/tables/<table>/<table>.parquet   what was made of the event log when the run ended
    archive/                           final records of many networks in a few files (see archive.py)
    readers.lock                       shared lock of readers, so that no file is deleted under them
"""

from __future__ import annotations

import json
import re
from contextlib import suppress
from pathlib import Path

from a4nn_core.errors import BadInput
from a4nn_core.files import atomic_write_bytes, make_folder
from a4nn_core.jsonable import Json, parsed

LAYOUT_VERSION = 1

_RUN_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_OURS = {"runs", "archive", "readers.lock"}


class Damaged(BadInput):
    """A file of a commons is not valid; the message names the file and the place in it."""


def is_run_id(text: str) -> bool:
    """Whether a text can be the id of a run."""
    return _RUN_ID.fullmatch(text) is not None


def check_run_id(run_id: str) -> str:
    """The run id, if it is valid.

    Raises:
        BadInput: it is not 1 to 100 letters, digits, dots, underscores or hyphens, or does not begin with a
            letter or digit.
    """
    if not is_run_id(run_id):
        raise BadInput(
            f"run id {run_id!r} cannot be used: it must be 1 to 100 letters, digits, '.', '_' or '-', "
            "beginning with a letter or digit"
        )
    return run_id


def network_id(run_id: str, network: int) -> str:
    """Name of one network among all runs, such as ``my-run/0007``."""
    return f"{run_id}/{network:04d}"


class RunFolder:
    """The paths of one run. Constructing it does not access the disk.

    Attributes:
        commons: folder of the commons.
        run_id: id of the run.
        path: folder of the run.
    """

    def __init__(self, commons: Path, run_id: str) -> None:
        self.commons = Path(commons)
        self.run_id = check_run_id(run_id)
        self.path = self.commons / "runs" / run_id

    def journal(self, network: int) -> Path:
        """The journal of one network."""
        return self.path / "journals" / f"{network:04d}.jsonl"

    def checkpoints(self, network: int) -> Path:
        """The folder of one network's checkpoints."""
        return self.path / "checkpoints" / f"{network:04d}"

    @property
    def events(self) -> Path:
        """The event log."""
        return self.path / "events.jsonl"

    @property
    def run_file(self) -> Path:
        """Header, status and totals, as JSON."""
        return self.path / "run.json"

    @property
    def lock(self) -> Path:
        """Locked by the process that writes the run; holds its process id and host."""
        return self.path / "lock"

    @property
    def ending(self) -> Path:
        """There while the run is about to end: networks in training end after their epoch, wherever they
        are trained."""
        return self.path / "ending"

    @property
    def totals(self) -> Path:
        """What the run amounts to, as JSON; derived (see totals.py)."""
        return self.path / "totals.json"

    @property
    def likeness(self) -> Path:
        """How alike all pairs of its networks are, if that was kept; derived (see likeness.py)."""
        return self.path / "likeness.parquet"

    def table(self, name: str) -> Path:
        """The folder of one table's fragments."""
        return self.path / "tables" / name

    def log_table(self, name: str) -> Path:
        """The file of one of the tables that are made from the event log."""
        return self.table(name) / f"{name}.parquet"

    def fragment(self, table: str, network: int) -> Path:
        """The final records of one network in one table."""
        return self.table(table) / f"{network:04d}.parquet"


def read_json(path: Path) -> dict[str, Json]:
    """One JSON object from a file.

    Raises:
        Damaged: the file is not a JSON object.
    """
    try:
        data = parsed(path.read_bytes().decode())
    except ValueError as error:
        raise Damaged(f"{path} is damaged: not JSON ({error})") from None
    if not isinstance(data, dict):
        raise Damaged(f"{path} is damaged: not a JSON object")
    return data


def write_json(path: Path, data: object) -> None:
    """Write indented JSON atomically."""
    atomic_write_bytes(path, json.dumps(data, indent=1, ensure_ascii=False, allow_nan=False).encode() + b"\n")


def check_layout(commons: Path) -> int:
    """The layout version of an existing commons.

    Raises:
        BadInput: the folder is not a commons, or has a layout newer than this version knows.
    """
    file = commons / "commons.json"
    if not file.is_file():
        state = "there is no such folder" if not commons.exists() else "it has no commons.json"
        raise BadInput(f"{commons} is not a commons: {state}")
    version = read_json(file).get("layout")
    if not isinstance(version, int) or version < 1:
        raise Damaged(f"{file} is damaged: layout {version!r} is not a version")
    if version > LAYOUT_VERSION:
        raise BadInput(
            f"{commons} has layout {version}; this version of a4nn knows layouts up to {LAYOUT_VERSION}"
        )
    return version


def open_commons(commons: Path) -> int:
    """Create the commons if it is missing; returns its layout version.

    Raises:
        BadInput: it cannot be created, or the folder contains something else.
    """
    fresh = not commons.exists()
    make_folder(commons)
    file = commons / "commons.json"
    if not file.exists():
        if any(not entry.name.startswith(".") and entry.name not in _OURS for entry in commons.iterdir()):
            raise BadInput(f"{commons} is not a commons: it contains other files and has no commons.json")
        try:
            write_json(file, {"layout": LAYOUT_VERSION})
        except BadInput:
            if fresh:
                with suppress(OSError):
                    commons.rmdir()
            raise
    return check_layout(commons)
