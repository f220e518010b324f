"""An answer as text for people: a table, or one record a block where a table is too wide."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain, islice

from rich.cells import cell_len, chop_cells

ROWS = 40
"""rows of a table on a terminal unless another number is asked for"""
RECORDS = 5
"""the same where each takes a block of lines"""
_TOGETHER = 1000
"""rows that are laid out together: columns only widen after them, so that memory does not grow"""
_GAP = "  "


def _width(text: str) -> int:
    """Number of places that a text takes on a terminal."""
    return len(text) if text.isascii() else cell_len(text)


@dataclass
class _Columns:
    """Columns side by side, as wide as their widest cell so far."""

    names: Sequence[str]
    numbers: Sequence[bool]
    """which of them are right-justified"""
    widths: list[int] = field(init=False)

    def __post_init__(self) -> None:
        self.widths = [_width(name) for name in self.names]

    def fit(self, rows: Iterable[Sequence[str]]) -> None:
        for row in rows:
            self.widths = [max(width, _width(cell)) for width, cell in zip(self.widths, row, strict=True)]

    @property
    def width(self) -> int:
        return sum(self.widths) + len(_GAP) * (len(self.widths) - 1)

    def line(self, cells: Sequence[str]) -> str:
        padded = [
            " " * (width - _width(cell)) + cell if right else cell + " " * (width - _width(cell))
            for cell, width, right in zip(cells, self.widths, self.numbers, strict=True)
        ]
        return _GAP.join(padded).rstrip()

    def head(self) -> list[str]:
        return [self.line(self.names), _GAP.join("-" * width for width in self.widths)]


def lines(
    names: Sequence[str],
    numbers: Sequence[bool],
    rows: Iterator[Sequence[str]],
    *,
    most: int | None,
    width: int | None,
) -> Iterator[str]:
    """The lines of an answer, and how many rows there are.

    Args:
        names: of the columns.
        numbers: which columns are numbers.
        rows: their cells, each on one line.
        most: number of rows to write, 0 for all; None for what a terminal's table shows by default.
        width: characters in a line of the terminal; None if there is none and nothing has to fit.
    """
    columns = _Columns(names, numbers)
    first = list(islice(rows, ROWS if width is not None else _TOGETHER))
    columns.fit(first[: most or None])
    turned = width is not None and columns.width > width
    if most is None:
        most = 0 if width is None else RECORDS if turned else ROWS
    rest = chain(first, rows)
    written = _Counted(islice(rest, most or None))
    yield from _blocks(names, written, width) if turned and width is not None else _table(columns, written)
    if most and next(rest, None) is not None:
        yield f"(the first {_count(written.count)}; --rows 0 shows all, --out FILE writes all)"
    else:
        yield f"({_count(written.count)})"


class _Counted:
    """Rows that are counted as they pass."""

    def __init__(self, rows: Iterator[Sequence[str]]) -> None:
        self._rows = rows
        self.count = 0

    def __iter__(self) -> Iterator[Sequence[str]]:
        for row in self._rows:
            self.count += 1
            yield row


def _count(rows: int) -> str:
    return f"{rows:,} row{'' if rows == 1 else 's'}"


def _table(columns: _Columns, rows: Iterable[Sequence[str]]) -> Iterator[str]:
    left = iter(rows)
    together = list(islice(left, _TOGETHER))
    columns.fit(together)
    yield from columns.head()
    while together:
        yield from map(columns.line, together)
        together = list(islice(left, _TOGETHER))
        columns.fit(together)


def _blocks(names: Sequence[str], rows: Iterable[Sequence[str]], width: int) -> Iterator[str]:
    label = max(map(_width, names))
    room = max(width - label - len(_GAP), 20)
    for number, row in enumerate(rows, start=1):
        yield f"-- row {number} {'-' * (min(width, label + 20) - len(f'-- row {number} '))}"
        for name, cell in zip(names, row, strict=True):
            pieces = chop_cells(cell, room) or [""]
            for place, piece in enumerate(pieces):
                head = name if place == 0 else ""
                yield f"{head}{' ' * (label - _width(head))}{_GAP}{piece}".rstrip()
