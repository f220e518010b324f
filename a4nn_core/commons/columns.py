"""How the tables of the commons are declared: one frozen dataclass per table, one field per column.

The type of a field determines the column's type and whether it can be null; its ``Column`` has the rest.
Arrow schemas, the documentation of the columns and the readers follow. Imports neither Arrow nor DuckDB nor
torch.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass
from datetime import UTC, datetime
from enum import Enum, StrEnum
from functools import cache, cached_property
from types import NoneType, UnionType
from typing import ClassVar, TypeVar, Union, get_args, get_origin, get_type_hints

from a4nn_core.errors import BadInput
from a4nn_core.jsonable import Json, JsonText, number, to_jsonable, whole
from a4nn_core.vocabulary import Bounds

Row = dict[str, object]
"""one row in the form Arrow reads and writes: column name to value"""


class Kind(StrEnum):
    """The types of a column's cells."""

    text = "text"
    json = "json"
    """text that holds JSON"""
    flag = "flag"
    int32 = "int"
    int64 = "count"
    float64 = "number"
    float32 = "measured"
    """times and rates"""
    time = "time"
    """UTC, microseconds"""
    ints = "ints"
    metrics = "metrics"
    """name to number"""
    words = "words"
    """name to text"""


@dataclass(frozen=True, slots=True)
class Form:
    """What the texts of a column look like.

    Attributes:
        pattern: regular expression that they match as a whole.
        name: what they are, for messages.
    """

    pattern: str
    name: str


@dataclass(frozen=True, slots=True)
class Column:
    """What a field declares of its column beside its type.

    Attributes:
        meaning: description of the values.
        unit: unit of the values; empty if they have none.
        kind: the type of the cells if it does not follow from the field's type: int64, float32.
        timing: whether the values differ between two runs of the same experiment.
        bounds: the least and the greatest value, None where open. If left out, counts, times and rates are at
            least 0, and other numbers are open. All numbers are finite.
        form: what its texts look like; None for any text.
        later: whether tables of earlier versions lack the column.
    """

    meaning: str
    unit: str = ""
    kind: Kind | None = None
    timing: bool = False
    bounds: Bounds | None = None
    form: Form | None = None
    later: bool = False


@dataclass(frozen=True, slots=True)
class Field:
    """One column of a table.

    Attributes:
        name: name of the column and of the field; chosen so that SQL needs no quotes.
        kind, unit, meaning, timing, bounds, form, later: see Column.
        words: enum whose members are the allowed values; None if the values are not an enum's.
        nullable: whether a value can be missing.
    """

    name: str
    kind: Kind
    unit: str
    meaning: str
    timing: bool
    words: type[StrEnum] | None
    nullable: bool
    bounds: Bounds
    form: Form | None
    later: bool


@dataclass(frozen=True)
class Definition:
    """One table, as its record declares it.

    Attributes:
        name: name of the table.
        row: description of a row.
        key: columns that rows are sorted by.
        record: class of its rows.
        identity: columns whose values no two rows share; none if rows can repeat.
    """

    name: str
    row: str
    key: tuple[str, ...]
    record: type[Record]
    identity: tuple[str, ...]

    @cached_property
    def columns(self) -> tuple[Field, ...]:
        """The columns in order."""
        return _columns(self.record)  # type: ignore[arg-type]  # a class is hashable

    @cached_property
    def readers(self) -> list[tuple[str, Callable[..., object]]]:
        """The columns whose cells must be converted when they are read, each with its conversion."""
        return [
            (field.name, _word(field) if field.words else _READERS[field.kind])
            for field in self.columns
            if field.words or field.kind in _READERS
        ]


class Record:
    """A row of a table of the commons. What was not recorded is None."""

    __slots__ = ()

    definition: ClassVar[Definition]

    def row(self) -> Row:
        """The values of the columns by name."""
        return {field.name: getattr(self, field.name) for field in self.definition.columns}


R = TypeVar("R", bound=Record)

DEFINITIONS: dict[str, Definition] = {}
"""every table by name, in the order of declaration"""


def table(
    name: str,
    row: str,
    key: tuple[str, ...],
    *,
    identity: tuple[str, ...] | None = None,
    view: bool = False,
) -> Callable[[type[R]], type[R]]:
    """Class decorator that declares a dataclass as the record of a table.

    Args:
        name, row, key: see Definition.
        identity: see Definition; the key if None.
        view: whether its rows are derived from other tables, and so no part of the record of a run.
    """

    def declare(record: type[R]) -> type[R]:
        record.definition = Definition(name, row, key, record, key if identity is None else identity)
        if not view:
            DEFINITIONS[name] = record.definition
        return record

    return declare


_KINDS: dict[object, Kind] = {
    str: Kind.text,
    JsonText: Kind.json,
    bool: Kind.flag,
    int: Kind.int32,
    float: Kind.float64,
    datetime: Kind.time,
    tuple[int, ...]: Kind.ints,
    Mapping[str, float | None]: Kind.metrics,
    Mapping[str, str]: Kind.words,
}


@cache
def _columns(record: type[Record]) -> tuple[Field, ...]:
    """The columns of a record in order; found once for all tables and views that have it."""
    return tuple(_declared(record))


def _declared(record: type[Record]) -> Iterator[Field]:
    for name, hint in get_type_hints(record, include_extras=True).items():
        column = next((c for c in getattr(hint, "__metadata__", ()) if isinstance(c, Column)), None)
        if column is None:
            continue
        declared = get_args(hint)[0]
        types = _alternatives(declared)
        words = next((t for t in types if isinstance(t, type) and issubclass(t, Enum)), None)
        assert words is None or issubclass(words, StrEnum)
        kind = column.kind or (Kind.text if words else _KINDS[types[0]])
        yield Field(
            name,
            kind,
            column.unit,
            column.meaning,
            column.timing,
            words,
            nullable=NoneType in get_args(declared),
            bounds=column.bounds or _BOUNDS.get(kind, (None, None)),
            form=column.form,
            later=column.later,
        )


_BOUNDS: dict[Kind, Bounds] = dict.fromkeys((Kind.int32, Kind.int64, Kind.float32, Kind.ints), (0, None))


def _alternatives(hint: object) -> list[object]:
    """The types of ``A | B | None`` without None."""
    union = get_origin(hint) in (Union, UnionType)
    return [t for t in get_args(hint) if t is not NoneType] if union else [hint]


class BadCell(BadInput):
    """A cell holds something else than its column."""


class UnknownWord(BadCell):
    """A cell has a value that is not a member of the column's enum in this version."""


def moment(value: object) -> datetime | None:
    """A time, from a datetime or ISO 8601 text; without a zone it is taken as UTC."""
    if value is None:
        return None
    if isinstance(value, str):
        value = datetime.fromisoformat(value)
    if not isinstance(value, datetime):
        raise TypeError(f"{value!r} is not a time")
    return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


def cell(value: object) -> Json:
    """The value of a field in JSON form: times as ISO 8601."""
    return value.isoformat() if isinstance(value, datetime) else to_jsonable(value)


def _word(field: Field) -> Callable[[object], object]:
    words = field.words
    assert words is not None

    def read(value: object) -> StrEnum:
        try:
            return words(str(value))
        except ValueError:
            raise UnknownWord(f"column {field.name!r} holds {value!r}; known: {', '.join(words)}") from None

    return read


_READERS: dict[Kind, Callable[..., object]] = {
    Kind.json: JsonText.of,
    Kind.time: moment,
    Kind.ints: tuple,
    Kind.metrics: dict,
    Kind.words: dict,
}


def from_cells(record: type[R], row: Mapping[str, object]) -> R:
    """The record of one row that was read from Arrow or JSON.

    Args:
        record: class of the record.
        row: column name to value; missing columns are null.

    Raises:
        UnknownWord: a cell has a value that is not a member of its column's enum in this version.
        TypeError: the table has no such column, or a column of its key is missing.
    """
    values = dict(row)
    for name, read in record.definition.readers:
        if values.get(name) is not None:
            values[name] = read(values[name])
    try:
        return record(**values)
    except TypeError:
        known: set[str] = {field.name for field in fields(record)} if is_dataclass(record) else set()
        unknown = [name for name in values if name not in known]
        if unknown:
            raise TypeError(f"the table {record.definition.name} has no column {unknown[0]!r}") from None
        raise


def from_line(record: type[R], row: Mapping[str, Json]) -> R:
    """The record of one row that was read from JSON, where nothing but this says what a cell holds.

    Args:
        record: class of the record.
        row: column name to value; missing columns are null.

    Raises:
        BadCell: a cell is of another type than its column, out of its range, or null though it must not be.
        TypeError: as from_cells.
    """
    for field in record.definition.columns:
        value = row.get(field.name)
        if not (_holds(field.kind, value) if value is not None else field.nullable or field.name not in row):
            raise BadCell(f"column {field.name!r} holds {_shown(value)}, not {_MEANT[field.kind]}")
    return from_cells(record, row)


_MEANT = {
    Kind.text: "text",
    Kind.json: "JSON",
    Kind.flag: "true or false",
    Kind.int32: "a whole number of 32 bits",
    Kind.int64: "a whole number of 64 bits",
    Kind.float64: "a number",
    Kind.float32: "a number",
    Kind.time: "a time in the form of ISO 8601",
    Kind.ints: "a list of whole numbers of 32 bits",
    Kind.metrics: "numbers by name",
    Kind.words: "texts by name",
}


def _holds(kind: Kind, value: Json) -> bool:
    """Whether a column of a kind can hold a value of JSON that is not null."""
    match kind:
        case Kind.json:
            return True
        case Kind.text:
            return isinstance(value, str)
        case Kind.flag:
            return isinstance(value, bool)
        case Kind.int32 | Kind.int64:
            most = 2**31 if kind is Kind.int32 else 2**63
            found = whole(value)
            return found is not None and -most <= found < most
        case Kind.float64 | Kind.float32:
            return number(value) is not None
        case Kind.time:
            return isinstance(value, str) and _is_time(value)
        case Kind.ints:
            return isinstance(value, list) and all(_holds(Kind.int32, one) for one in value)
        case Kind.metrics:
            held = value.values() if isinstance(value, dict) else [False]
            return all(one is None or number(one) is not None for one in held)
        case Kind.words:
            return isinstance(value, dict) and all(isinstance(one, str) for one in value.values())


def _is_time(text: str) -> bool:
    try:
        moment(text)
    except (ValueError, OverflowError):  # the latter if it is before the year 1 in UTC
        return False
    return True


def _shown(value: Json) -> str:
    text = json.dumps(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
