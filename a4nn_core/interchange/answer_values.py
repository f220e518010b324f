"""The values of an answer as text and as JSON."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any, TypeVar

import pyarrow as pa
import pyarrow.compute as pc

from a4nn_core.printable import printable
from a4nn_core.workflow.summary import duration

T = TypeVar("T")

_SECOND = 1_000_000_000


def rows_of(batch: pa.RecordBatch, cell: Callable[[object], T], *, plain: bool) -> Iterator[tuple[T, ...]]:
    """The rows of a batch.

    Args:
        batch: rows of an answer.
        cell: what to make of a value.
        plain: whether it leaves numbers and text as they are, so that it need not be called for them.
    """
    return zip(
        *(
            _python(column) if plain and _is_plain(column.type) else map(cell, _python(column))
            for column in batch.columns
        ),
        strict=True,
    )


def _is_plain(kind: pa.DataType) -> bool:
    of_kinds = (pa.types.is_integer, pa.types.is_floating, pa.types.is_string)
    return any(of_kind(kind) for of_kind in of_kinds)


def _python(column: pa.Array) -> list[Any]:
    """The values of a column as Python's; maps are dicts."""
    if pa.types.is_float32(column.type):
        # the shortest number that is this one: 0.1, not 0.10000000149011612
        column = pc.cast(pc.cast(column, pa.string()), pa.float64())
    values: list[Any] = column.to_pylist(maps_as_pydicts="strict")
    return values


def json_value(value: object) -> object:
    """A value as JSON has it; NaN and infinities stay what they are."""
    match value:
        case None | bool() | int() | float() | str():
            return value
        case dict():
            return {str(key): json_value(inner) for key, inner in value.items()}
        case pa.MonthDayNano() | timedelta():
            return interval_text(value)
        case list() | tuple():
            return [json_value(inner) for inner in value]
        case Decimal():
            return int(value) if value == value.to_integral_value() else float(value)
        case datetime() | date() | time():
            return value.isoformat()
        case bytes():
            return value.decode("utf-8", "backslashreplace")
    return str(value)


def json_text(value: object) -> str:
    """A value as JSON text on one line."""
    return json.dumps(json_value(value), ensure_ascii=False)


def data_cell(value: object) -> object:
    """A value as a cell of CSV: exact, with lists and maps as JSON; null is an empty cell."""
    match value:
        case bool() | dict() | list():
            return json_text(value)
        case None | int() | float() | str() | Decimal():
            return value
    return json_value(value)


def shown_cell(value: object) -> object:
    """A cell of CSV on a terminal."""
    cell = data_cell(value)
    return printable(cell) if isinstance(cell, str) else cell


def people_cell(value: object) -> str:
    """A value on one line for people: rounded, and without what would control a terminal."""
    match value:
        case None:
            return ""
        case float():
            return f"{value:.6g}"
        case datetime():
            return value.isoformat(timespec="seconds")
        case pa.MonthDayNano() | timedelta():
            return _rounded(value)
    return printable(data_cell(value))


def interval_text(value: pa.MonthDayNano | timedelta) -> str:
    """An interval, exactly: ``1 day 2 h 13 min 5.25 s``, as DuckDB and pandas read it too."""
    months, days, nanoseconds = _parts(value)
    sign = -1 if nanoseconds < 0 else 1
    minutes, rest = divmod(abs(nanoseconds), 60 * _SECOND)
    hours, minutes = divmod(minutes, 60)
    seconds = Decimal(rest) / _SECOND
    parts = [
        *((months, "month" if abs(months) == 1 else "months"), (days, "day" if abs(days) == 1 else "days")),
        *((sign * hours, "h"), (sign * minutes, "min"), (sign * seconds, "s")),
    ]
    return (
        " ".join(
            f"{amount:f} {unit}" if unit == "s" else f"{amount} {unit}" for amount, unit in parts if amount
        )
        or "0 s"
    )


def microseconds(value: pa.MonthDayNano) -> int | None:
    """The length of an interval with days of 24 hours; None if it has months."""
    return None if value.months else (value.days * 86_400 * _SECOND + value.nanoseconds) // 1000


def _parts(value: pa.MonthDayNano | timedelta) -> tuple[int, int, int]:
    if isinstance(value, timedelta):
        return 0, 0, value // timedelta(microseconds=1) * 1000
    return value.months, value.days, value.nanoseconds


def _rounded(value: pa.MonthDayNano | timedelta) -> str:
    months, days, nanoseconds = _parts(value)
    if months:
        return interval_text(value)
    seconds = days * 86_400 + nanoseconds / _SECOND
    sign = "-" if seconds < 0 else ""
    return sign + (duration(abs(seconds)) if abs(seconds) >= 60 else f"{abs(seconds):.3g} s")
