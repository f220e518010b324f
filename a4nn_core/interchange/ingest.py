"""CSV as Dataverse ingests it: which type a column gets, and so which UNF the table will have.

One odd cell makes a whole column text, so the types follow from the file and from nothing else.

Source: CSVFileReader and TabularSubsetGenerator of Dataverse 6. Three traps in it: an empty cell is missing
in a column of numbers, dates or times but an empty text in one of text; ``null`` among numbers is zero; and
a text that merely begins with a date, such as an ISO 8601 time with its ``T``, counts as that date.
"""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, timezone
from pathlib import Path
from typing import Literal

from a4nn_core.errors import BadInput
from a4nn_core.interchange.unf import table_unf

Kind = Literal["integer", "number", "text", "date", "time"]

_WORDS = {"nan": math.nan, "na": None, "inf": math.inf, "+inf": math.inf, "-inf": -math.inf, "null": 0.0}
_JAVA_DOUBLE = re.compile(r"[+-]?(NaN|Infinity|((\d+\.?\d*|\.\d+)([eE][+-]?\d+)?)[fFdD]?)", re.ASCII)
_INTEGER = re.compile(r"[+-]?\d+|null")
_DATE = re.compile(r"\s*(\d+)-(\d+)-(\d+)", re.ASCII)
# Java's zones: +0100, GMT+01:00 or a name; not Z and not +01:00, which leave a mere date
_TIME = re.compile(
    r"(\d+)-(\d+)-(\d+) (\d+):(\d+):(\d+)(?: ([+-]\d{4}|GMT[+-]\d\d:\d\d|[A-Z]{2,5}))?", re.ASCII
)
_ZONE = re.compile(r"(?:GMT)?([+-])(\d\d):?(\d\d)", re.ASCII)
_LONG = 2**63


@dataclass(frozen=True)
class IngestedColumn:
    """One column as Dataverse sees it.

    Attributes:
        name: from the header line.
        kind: integer, number, text, date or time.
        values: in the order of the rows; None where missing. Dates and times are in the form that is hashed.
    """

    name: str
    kind: Kind
    values: Sequence[object]


def typed_columns(path: Path) -> list[IngestedColumn]:
    """The columns of a CSV file with a header line, typed as on ingest.

    Raises:
        BadInput: Dataverse would refuse the file: not UTF-8, no header, an unnamed column, a row with another
            number of cells; or a time has an unknown zone.
    """
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = [row for row in csv.reader(file, strict=True) if row]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise BadInput(f"cannot read {path}: {error}") from None
    if not rows or not all(rows[0]):
        raise BadInput(f"{path} needs a header line that names every column")
    names, cells = rows[0], rows[1:]
    for line, row in enumerate(cells, start=2):
        if len(row) != len(names):
            raise BadInput(f"{path} row {line} has {len(row)} cells, not {len(names)}")
    columns = zip(*cells, strict=True) if cells else ([] for _ in names)
    return [_typed(name, list(column)) for name, column in zip(names, columns, strict=True)]


def csv_unf(path: Path) -> str:
    """The UNF:6 that a CSV file has once Dataverse has ingested it.

    Raises:
        BadInput: see ``typed_columns``.
    """
    return table_unf(column.values for column in typed_columns(path))


def _typed(name: str, cells: list[str]) -> IngestedColumn:
    first_odd = next((i for i, cell in enumerate(cells) if not _is_number(cell)), None)
    if first_odd is None:
        if all(not cell or _INTEGER.fullmatch(cell) for cell in cells):
            return IngestedColumn(name, "integer", [_integer(cell) for cell in cells])
        return IngestedColumn(name, "number", [_number(cell) for cell in cells])
    # only from the first cell that is not a number does Dataverse ask whether the column holds dates or times
    asked = [cell for cell in cells[first_odd:] if cell]
    times = [_TIME.fullmatch(cell) for cell in asked]
    if len({bool(time[7]) if time else None for time in times}) == 1 and times[0]:
        return IngestedColumn(name, "time", [_moment(name, cell) if cell else None for cell in cells])
    if not times[0] and all(map(_day, asked)):
        return IngestedColumn(name, "date", [(_day(cell) or cell) if cell else None for cell in cells])
    return IngestedColumn(name, "text", [_restored(cell) for cell in cells])


def _is_number(cell: str) -> bool:
    return not cell or cell.lower() in _WORDS or _JAVA_DOUBLE.fullmatch(cell.strip()) is not None


def _integer(cell: str) -> int | None:
    if not cell:
        return None
    value = 0 if cell == "null" else int(cell)
    return value if -_LONG <= value < _LONG else None  # what exceeds 64 bits is read back as missing


def _number(cell: str) -> float | None:
    if not cell:
        return None
    lowered = cell.lower()
    if lowered in _WORDS:
        return _WORDS[lowered]
    return float(cell.strip().rstrip("fFdD"))


def _day(cell: str) -> str | None:
    """The date with which a cell begins; None if there is none."""
    found = _DATE.match(cell)
    if found is None:
        return None
    try:
        return date(int(found[1]), int(found[2]), int(found[3])).strftime("%Y-%m-%d").zfill(10)
    except ValueError:
        return None


def _moment(column: str, cell: str) -> str:
    found = _TIME.fullmatch(cell)
    if found is None:  # a number before the first time: hashed as it stands
        return cell
    try:
        moment = datetime(*(int(found[i]) for i in range(1, 7)))  # type: ignore[arg-type]
    except ValueError as error:
        raise BadInput(f"column {column!r} holds the time {cell!r}: {error}") from None
    if found[7] is None:
        return moment.isoformat()
    zone = _ZONE.fullmatch(found[7])
    if zone is not None:
        offset = timedelta(hours=int(zone[2]), minutes=int(zone[3])) * (-1 if zone[1] == "-" else 1)
    elif found[7] in ("UTC", "GMT"):
        offset = timedelta(0)
    else:
        raise BadInput(f"column {column!r} holds the time {cell!r}: write its zone as UTC or as +0100")
    return moment.replace(tzinfo=timezone(offset)).astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _restored(cell: str) -> str:
    """A text as read back from Dataverse's tab-delimited file, where what looks escaped is unescaped."""
    stored = cell.replace('"', '\\"').replace("\n", "\\n").replace("\t", "\\t")
    parts = stored.split("\\\\")
    for written, meant in (('\\"', '"'), ("\\t", "\t"), ("\\n", "\n"), ("\\r", "\r")):
        parts = [part.replace(written, meant) for part in parts]
    return "\\".join(parts)
