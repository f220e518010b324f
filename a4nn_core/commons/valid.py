"""What the rows of a table must satisfy beyond their types: the one place, for imports and for checks.

Nulls, bounds, forms, words and identities are declared with the columns (records.py). What the tables say of
each other is in references.py. A problem is a text that follows the name of a file, such as
``row 3 has best_epoch 0, less than 1``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeAlias

import pyarrow as pa
import pyarrow.compute as pc

from a4nn_core.commons.columns import Field, Kind
from a4nn_core.commons.rows import arrow, stored_row
from a4nn_core.commons.runs import run_record
from a4nn_core.commons.schema import TABLES, Table
from a4nn_core.errors import BadInput
from a4nn_core.jsonable import Json, members, parsed
from a4nn_core.metrics import BUILTIN
from a4nn_core.vocabulary import Direction

Mask: TypeAlias = "pa.ChunkedArray | pa.Array"
"""a truth value for each row; null counts as false"""

# the microseconds of the years 1 to 9999, which Python's times can hold
_FIRST_TIME, _LAST_TIME = -62_135_596_800_000_000, 253_402_300_799_999_999


# what run.json must have, and what it and its header can have
_REQUIRED = {"header": dict, "status": str, "started": str}
_OPTIONAL = {"run": str, "layout": int, "ended": str | None, "totals": dict, "sessions": list}
_HEADER = {"experiment": dict | None, "dataset": dict | str | None}


def run_problem(run: str, stored: Mapping[str, Json]) -> str | None:
    """What is wrong with the content of a ``run.json``; None if nothing.

    Args:
        run: id of the run.
        stored: the content.
    """
    for name in _REQUIRED:
        if name not in stored:
            return f"it has no {name!r}"
    for where, held, kinds in (
        ("it", stored, _REQUIRED | _OPTIONAL),
        ("its header", members(stored["header"]), _HEADER),
    ):
        for name, kind in kinds.items():
            if name in held and not isinstance(held[name], kind):
                return f"{where} has {name!r} {shown(held[name])}"
    if stored.get("run", run) != run:
        return f"it is of run {shown(stored['run'])}, not {run!r}"
    try:
        record = run_record(run, stored)
        for direction in (record.objectives or {}).values():
            Direction(direction)
        rows = arrow(TABLES["runs"], [stored_row(record, run)])
    except (BadInput, TypeError, ValueError, OverflowError, pa.ArrowException) as error:
        return " ".join(str(error).split())
    return next((text.removeprefix("row 1 ") for text in row_problems(TABLES["runs"], rows)), None)


def schema_problems(found: pa.Schema, table: Table) -> Iterator[str]:
    """What is wrong with the columns of a file that holds a table."""
    for field in table.schema:
        places = found.get_all_field_indices(field.name)
        if len(places) > 1:
            yield f"has the column {field.name!r} {len(places)} times"
        elif not places and not table.by_name[field.name].later:
            yield f"has no column {field.name!r}"
        elif places and not found.field(places[0]).type.equals(field.type):
            yield f"has a column {field.name!r} of {found.field(places[0]).type}, not {field.type}"
    for name in found.names:
        if name not in table.by_name:
            yield f"has a column {name!r}, which this version does not know"


def row_problems(table: Table, rows: pa.Table) -> Iterator[str]:
    """What is wrong with rows, each looked at alone, and which of them are there twice.

    Args:
        table: the table.
        rows: rows with its schema, in the order of their file.
    """
    try:
        rows.validate(full=True)
    except pa.ArrowInvalid as error:  # such as text that is not UTF-8
        yield " ".join(str(error).split())
        return
    for column in table.columns:
        cells = rows[column.name].combine_chunks()
        for wrong, what in _tests(column, cells):
            yield from problem(rows, wrong, (column.name,), what)
    if table.identity:
        yield from problem(rows, _repeated(rows, table.identity), table.identity, "as an earlier row has")


def problem(rows: pa.Table, wrong: Mask, names: Sequence[str], what: str) -> Iterator[str]:
    """The first row that is wrong, with its values in some columns, and how many more there are; none if all
    are right."""
    count = pc.sum(wrong).as_py() or 0
    if count:
        row = pc.index(wrong, True).as_py()
        values = ", ".join(f"{name} {_shown_cell(rows[name][row])}" for name in names)
        more = f", and {count - 1} more rows are like it" if count > 1 else ""
        yield f"row {row + 1} has {values}, {what}{more}"


def shown(value: object) -> str:
    """A value as messages show it."""
    text = "null" if value is None else repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _shown_cell(cell: pa.Scalar) -> str:
    try:
        return shown(cell.as_py())
    except OverflowError:  # a time that Python cannot hold
        return f"{cell.value} microseconds after 1970"


def _tests(column: Field, cells: pa.Array) -> Iterator[tuple[Mask, str]]:
    """Which cells of a column are wrong, and in which way."""
    if not column.nullable:
        yield pc.is_null(cells), "which cannot be missing"
    if column.words is not None:
        yield (
            _other(pc.is_in(cells, pa.array(list(column.words))), cells),
            f"not {_any_of(list(column.words))}",
        )
    elif column.form is not None:
        right = pc.match_substring_regex(cells, f"^(?:{column.form.pattern})$")
        yield _other(right, cells), f"not {column.form.name}"
    match column.kind:
        case Kind.float64 | Kind.float32:
            yield pc.invert(pc.is_finite(cells)), "not a finite number"
            yield from _bounded(column, cells)
        case Kind.int32 | Kind.int64:
            yield from _bounded(column, cells)
        case Kind.time:
            moments = pc.cast(cells, pa.int64())
            outside = pc.or_(pc.less(moments, _FIRST_TIME), pc.greater(moments, _LAST_TIME))
            yield outside, "not in the years 1 to 9999"
        case Kind.json:
            yield from _json(cells)
        case Kind.ints:
            yield (
                _where(cells, lambda numbers: None in numbers or min(numbers, default=0) < 0),
                ("not a list of numbers from 0"),
            )
        case Kind.metrics:
            yield _where(cells, _unfit), "which has a name twice, or a value out of its bounds"
        case Kind.words:
            yield _where(cells, lambda pairs: len(dict(pairs)) < len(pairs)), "which has a name twice"


def _any_of(words: Sequence[str]) -> str:
    *others, last = words
    return f"{', '.join(others)} or {last}"


def _other(right: Mask, cells: pa.Array) -> Mask:
    """The cells that are neither right nor null."""
    return pc.and_(pc.is_valid(cells), pc.invert(right))


def _bounded(column: Field, cells: pa.Array) -> Iterator[tuple[Mask, str]]:
    low, high = column.bounds
    if low is not None:
        yield pc.less(cells, low), f"less than {low:g}"
    if high is not None:
        yield pc.greater(cells, high), f"more than {high:g}"


def _json(cells: pa.Array) -> Iterator[tuple[Mask, str]]:
    for text in pc.unique(cells).to_pylist():
        try:
            if text is not None:
                parsed(text)
        except ValueError as error:
            yield pc.equal(cells, text), f"not JSON ({error})"
            return


def _where(cells: pa.Array, wrong: Callable[[Any], bool]) -> Mask:
    return pa.array([value is not None and wrong(value) for value in cells.to_pylist()], pa.bool_())


def _unfit(pairs: Sequence[tuple[str, float | None]]) -> bool:
    """Whether values by metric name have a name twice, or a value that is not one of the metric."""
    if len(dict(pairs)) < len(pairs):
        return True
    for name, value in pairs:
        low, high = BUILTIN[name].bounds if name in BUILTIN else (None, None)
        if value is not None and not (
            (float("-inf") if low is None else low) <= value <= (float("inf") if high is None else high)
            and abs(value) < float("inf")
        ):
            return True
    return False


def _repeated(rows: pa.Table, names: Sequence[str]) -> Mask:
    """The rows whose values in some columns an earlier row has."""
    if rows.num_rows < 2:
        return pa.array([], pa.bool_())
    numbered = rows.select(list(names)).append_column("row", pa.array(range(rows.num_rows), pa.int64()))
    firsts = numbered.group_by(list(names)).aggregate([("row", "min")])["row_min"]
    return pc.invert(pc.is_in(numbered["row"], firsts.combine_chunks()))
