"""What takes room in a commons: the files of each run by kind, and the packs that compacted runs share.

Every file is counted once, where it lies. Names and sizes are read, and of a run its ``run.json``; no table
is opened, so that thousands of runs take seconds.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from a4nn_core.commons.archive import Archive
from a4nn_core.commons.layout import Damaged, RunFolder, check_layout, is_run_id, read_json
from a4nn_core.commons.packs import Pack
from a4nn_core.commons.ranges import count_of
from a4nn_core.commons.schema import TABLES
from a4nn_core.errors import BadInput

_BLOCK = 512
"""bytes of the unit of ``st_blocks`` (POSIX)"""


class FileKind(StrEnum):
    """What a file in a commons is for."""

    checkpoints = "checkpoints"
    tables = "tables"
    journals = "journals"
    events = "events"
    models = "models"
    pictures = "pictures"
    headers = "headers"
    """headers, totals, locks and lists of packs"""
    other = "other"
    """what is not of a commons, or was left half-written"""


@dataclass(slots=True)
class Size:
    """The size of some files.

    Attributes:
        bytes: of their content.
        allocated: bytes that the file system keeps for them, in whole blocks.
        files: their number.
    """

    bytes: int = 0
    allocated: int = 0
    files: int = 0

    def __add__(self, other: Size) -> Size:
        return Size(self.bytes + other.bytes, self.allocated + other.allocated, self.files + other.files)


@dataclass
class Usage:
    """Files of one place.

    Attributes:
        kinds: their sizes by kind.
        foreign: paths of files that are not of a commons.
        unreadable: what could not be looked at, and why.
    """

    kinds: dict[FileKind, Size] = field(default_factory=dict)
    foreign: list[str] = field(default_factory=list)
    unreadable: list[str] = field(default_factory=list)

    @property
    def total(self) -> Size:
        """All of them."""
        return sum(self.kinds.values(), Size())

    def add(self, kind: FileKind, state: os.stat_result, path: str) -> None:
        """Count one file."""
        size = self.kinds.get(kind)
        if size is None:
            size = self.kinds[kind] = Size()
        size.bytes += state.st_size
        size.allocated += state.st_blocks * _BLOCK
        size.files += 1
        if kind is FileKind.other:
            self.foreign.append(path)


@dataclass
class RunUsage(Usage):
    """The files in the folder of a run.

    Attributes:
        run: id of the run.
        status: as its ``run.json`` says; None if that cannot be read.
        problem: what is wrong with it; None if nothing is.
        packs: names of the packs that hold records of it, too.
        shared: estimate of its part of the bytes in these packs, by its share of their networks.
    """

    run: str = ""
    status: str | None = None
    problem: str | None = None
    packs: tuple[str, ...] = ()
    shared: int = 0


@dataclass
class CommonsUsage:
    """A commons.

    Attributes:
        runs: its runs, the largest first.
        archive: the packs that compacted runs share.
        rest: everything else.
        packs: name of each pack to the number of its runs.
        problem: what is wrong with the list of packs; None if nothing is.
    """

    runs: list[RunUsage]
    archive: Usage
    rest: Usage
    packs: Mapping[str, int]
    problem: str | None = None

    @property
    def total(self) -> Size:
        """All its files."""
        return sum((one.total for one in (*self.runs, self.archive, self.rest)), Size())


def size_of(folder: Path) -> int:
    """Bytes of the content of all files in a folder; links are not followed. What vanishes meanwhile, or may
    not be looked at, is left out."""
    return sum(state.st_size for _, state in _Walk().files(folder, Usage()))


def usage(commons: Path, run: str | None = None) -> CommonsUsage:
    """What takes room in a commons.

    Args:
        commons: folder of the commons.
        run: id of the only run to look at; all if None.

    Raises:
        BadInput: it is not a commons, or has no such run.
    """
    check_layout(commons)
    packs, problem = _packs(commons)
    walk, shares = _Walk(), _shares(packs)
    folders = [name for name in _names(commons / "runs") if run in (None, name)]
    if run is not None and not folders:
        raise BadInput(f"{commons} has no run {run!r}")
    runs = [_of_run(walk, RunFolder(commons, name), shares) for name in folders]
    archive, rest = Usage(), Usage()
    if run is None:
        listed = {file.file: name for pack in packs for name, file in pack.files.items()}
        for path, state in walk.files(commons / "archive", archive):
            archive.add(_of_archive(path, listed), state, str(commons / "archive" / path))
        for path, state in walk.files(commons, rest, {"archive", *(f"runs/{name}" for name in folders)}):
            known = path in _AT_TOP or _LOCK_OF_DEPLOYMENT.fullmatch(path)
            rest.add(FileKind.headers if known else FileKind.other, state, str(commons / path))
    runs.sort(key=lambda one: (-one.total.bytes, one.run))
    return CommonsUsage(runs, archive, rest, {pack.name: len(pack.started) for pack in packs}, problem)


_AT_TOP = ("commons.json", "readers.lock")
_LOCK_OF_DEPLOYMENT = re.compile(r"flows/[^/]+\.lock")
_OF_A_RUN = ("run.json", "totals.json", "likeness.parquet", "lock", "flow.lock", "ending")
_FOLDERS = {
    "tables": (FileKind.tables, re.compile(rf"({'|'.join(TABLES)})/[a-z0-9]+\.parquet")),
    "journals": (FileKind.journals, re.compile(r"[0-9]{4,}\.jsonl")),
    "checkpoints": (
        FileKind.checkpoints,
        re.compile(r"[0-9]{4,}/(epoch-[0-9]+\.safetensors|lock|flow\.lock)"),
    ),
}
"""folder of a run to the kind of its files, and how they are called"""
_MODELS = {".onnx", ".pt2", ".safetensors", ".pt"}
_PICTURES = {".png", ".svg", ".pdf", ".html"}


def _packs(commons: Path) -> tuple[list[Pack], str | None]:
    """The packs, and what is wrong with their list."""
    try:
        return Archive(commons).packs, None
    except Damaged as error:
        return [], str(error)


def _names(folder: Path) -> list[str]:
    """Names of the folders that can be runs; links are foreign, as their files lie elsewhere."""
    try:
        with os.scandir(folder) as found:
            return sorted(e.name for e in found if e.is_dir(follow_symlinks=False) and is_run_id(e.name))
    except OSError:
        return []


class _Walk:
    """Looks at every file once, also if it has several names."""

    def __init__(self) -> None:
        self._seen: set[tuple[int, int]] = set()

    def files(
        self, folder: Path, into: Usage, skip: Set[str] = frozenset()
    ) -> Iterator[tuple[str, os.stat_result]]:
        """The files below a folder, by their paths relative to it.

        Args:
            folder: the folder; it need not exist.
            into: receives what cannot be read.
            skip: relative paths of folders to leave out.
        """
        top = len(str(folder)) + 1
        todo = [str(folder)]
        while todo:
            at = todo.pop()
            try:
                with os.scandir(at) as found:
                    entries = list(found)
            except FileNotFoundError:
                continue  # removed meanwhile
            except OSError as error:
                into.unreadable.append(f"{at}: {error.strerror}")
                continue
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    if entry.path[top:] not in skip:
                        todo.append(entry.path)
                elif (state := self._state(entry)) is not None:
                    yield entry.path[top:], state

    def _state(self, entry: os.DirEntry[str]) -> os.stat_result | None:
        try:
            state = entry.stat(follow_symlinks=False)
        except OSError:
            return None
        if state.st_nlink > 1:
            if (state.st_dev, state.st_ino) in self._seen:
                return None
            self._seen.add((state.st_dev, state.st_ino))
        return state


def _of_run(walk: _Walk, folder: RunFolder, shares: _Shares) -> RunUsage:
    found = RunUsage(run=folder.run_id)
    place = str(folder.path)
    for path, state in walk.files(folder.path, found):
        found.add(_of_file(path), state, f"{place}/{path}")
    try:
        stored = read_json(folder.run_file)
    except FileNotFoundError:
        found.problem = "it has no run.json"
        return found
    except OSError as error:
        found.problem = f"run.json cannot be read: {error.strerror}"
        return found
    except Damaged as error:
        found.problem = str(error)
        return found
    status = stored.get("status")
    found.status = status if isinstance(status, str) else None
    found.packs, found.shared = shares.get((folder.run_id, str(stored.get("started"))), ((), 0))
    return found


_Shares = Mapping[tuple[str, str], tuple[tuple[str, ...], int]]
"""run and the time it was first started to the names of its packs, and the bytes in them that fall to it"""


def _shares(packs: Sequence[Pack]) -> _Shares:
    found: dict[tuple[str, str], tuple[tuple[str, ...], float]] = {}
    for pack in packs:
        size = sum(file.bytes for file in pack.files.values())
        counts = {run: count_of(pack.networks.get(run, "")) for run in pack.started}
        every = sum(counts.values())
        for run, moment in pack.started.items():
            names, before = found.get((run, moment), ((), 0.0))
            part = counts[run] / every if every else 1 / len(counts)
            found[run, moment] = ((*names, pack.name), before + part * size)
    return {key: (names, round(part)) for key, (names, part) in found.items()}


def _of_file(path: str) -> FileKind:
    """The kind of a file in the folder of a run."""
    first, _, rest = path.partition("/")
    name = path.rpartition("/")[2]
    known: FileKind | None = None
    if name.endswith(".unfinished"):
        return FileKind.other
    if not rest:
        known = (
            FileKind.events if first == "events.jsonl" else FileKind.headers if first in _OF_A_RUN else None
        )
    elif first in _FOLDERS:
        kind, form = _FOLDERS[first]
        known = kind if form.fullmatch(rest) else None
        if known is FileKind.tables and rest.startswith("events/"):
            known = FileKind.events
    if known is None and first != "checkpoints":
        suffix = os.path.splitext(name)[1]  # noqa: PTH122  for every file; pathlib takes ten times as long
        known = FileKind.models if suffix in _MODELS else FileKind.pictures if suffix in _PICTURES else None
    return known or FileKind.other


def _of_archive(path: str, listed: Mapping[str, str]) -> FileKind:
    if path in ("manifest.json", "lock"):
        return FileKind.headers
    table = listed.get(path)
    if table is None:
        return FileKind.other
    return FileKind.events if table == "events" else FileKind.tables
