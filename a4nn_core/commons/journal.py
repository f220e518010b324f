"""Append-only files of JSON lines: an acknowledged line survives a kill, a line torn by one is cut off.

The last key of a line, ``crc32``, is the checksum of the line without it. Lines without one are read too.

Used inside training workers, so it imports neither torch nor Arrow nor DuckDB.
"""

from __future__ import annotations

import os
import re
import zlib
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType

from a4nn_core.commons.layout import Damaged
from a4nn_core.files import make_folder, sync_folder, user_errors
from a4nn_core.jsonable import Json, parsed, to_json

# any five characters: lines without a checksum do not end like this, and a bit of the key may have flipped
_SUM = re.compile(rb',?"(.{5})":"(.{8})"}$', re.DOTALL)


_END = re.compile(rb'"crc32":"[0-9a-f]{8}"}')


def _holds_more(line: bytes) -> bool:
    """Whether a line has a complete record followed by something else: a newline was altered. A line torn by
    a crash ends before its checksum, or has zeros where a block was not written."""
    found = _END.search(line)
    return found is not None and line[found.end() :].strip(b"\0") != b""


class _Altered(Damaged):
    """A line was written completely and has been altered since, so it was not torn by a crash."""


def journal_line(record: Mapping[str, object]) -> bytes:
    """The line that holds a record, with its checksum and the newline."""
    text = to_json(record).encode()
    separator = b"," if len(text) > 2 else b""
    return b'%s%s"crc32":"%08x"}\n' % (text[:-1], separator, zlib.crc32(text))


def _parse(path: Path, number: int, line: bytes) -> dict[str, Json]:
    try:
        record = parsed(line.decode())
    except ValueError as error:
        raise Damaged(f"{path} line {number} is damaged: {error}") from None
    if not isinstance(record, dict):
        raise Damaged(f"{path} line {number} is damaged: not a JSON object")
    found = _SUM.search(line)
    if found:
        expected = b"%08x" % zlib.crc32(line[: found.start()] + b"}")
        if found.groups() != (b"crc32", expected):
            raise _Altered(f"{path} line {number} is damaged: its checksum is not that of its content")
        del record["crc32"]
    return record


def _read(path: Path) -> tuple[list[dict[str, Json]], int, int]:
    """Records, the length in bytes of the whole lines, and the length of the file."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return [], 0, 0
    return *_whole_lines(path, data), len(data)


def _whole_lines(path: Path, data: bytes, before: int = 0) -> tuple[list[dict[str, Json]], int]:
    """The records in a part of a file that follows so many lines, and the bytes of its whole lines."""
    lines = data.split(b"\n")
    tail = lines.pop()  # what follows the last newline: empty, or a torn line
    records: list[dict[str, Json]] = []
    whole = 0
    for number, line in enumerate(lines, start=1):
        try:
            records.append(_parse(path, before + number, line))
        except _Altered:
            raise
        except Damaged:
            # the last write can reach the disk with its newline but without a block before it
            if number == len(lines) and not tail and not _holds_more(line):
                break
            raise
        whole += len(line) + 1
    if _holds_more(tail):
        raise Damaged(f"{path} line {before + len(lines) + 1} is damaged: text follows its checksum")
    return records, whole


def read_journal(path: Path) -> list[dict[str, Json]]:
    """The records of a journal, without an incomplete last line; none if it does not exist.

    Raises:
        Damaged: a line other than the last is not a JSON object; the message names the file and the line.
    """
    return _read(path)[0]


class Tail:
    """The records of a journal as they come: what was read is not read again.

    Args:
        path: path of the file, which need not exist yet.

    Attributes:
        count: number of records read so far.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.count = 0
        self._place = 0

    def read(self) -> list[dict[str, Json]]:
        """The records since the last call, without an incomplete last line.

        Raises:
            Damaged: see read_journal.
        """
        try:
            with self.path.open("rb") as file:
                file.seek(self._place)
                data = file.read()
        except FileNotFoundError:
            return []
        records, whole = _whole_lines(self.path, data, self.count)
        self.count += len(records)
        self._place += whole
        return records


class Journal:
    """One network's epochs, one line each. One process appends at a time; any number may read.

    Args:
        path: path of the file; it and its folder are created if missing, and an incomplete last line is cut
            off.

    Raises:
        BadInput: the file cannot be created or written.
        Damaged: a line other than the last is not JSON.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        make_folder(path.parent)
        records, whole, length = _read(path)
        self.lines_found = records
        with user_errors("write", path):
            fresh = not path.exists()
            self._handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o666)
            if length > whole:
                os.ftruncate(self._handle, whole)
                os.fsync(self._handle)
            if fresh:
                sync_folder(path.parent)
        self._length = whole

    def append(self, record: Mapping[str, object]) -> None:
        """Add one record; when this returns, it is on the disk.

        NaN and infinities are stored as null.

        Raises:
            BadInput: the disk is full or the file cannot be written; no part of the record stays.
        """
        line = journal_line(record)
        try:
            with user_errors("write", self.path):
                done = 0
                while done < len(line):
                    done += os.pwrite(self._handle, line[done:], self._length + done)
                os.fsync(self._handle)
        except BaseException:
            os.ftruncate(self._handle, self._length)
            raise
        self._length += len(line)

    def close(self) -> None:
        """Close the file; a second call does nothing."""
        if self._handle >= 0:
            os.close(self._handle)
            self._handle = -1

    def __enter__(self) -> Journal:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
