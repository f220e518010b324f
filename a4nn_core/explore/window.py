"""The networks of a catalogue in a window of two measures: one by one, or counted in cells."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from a4nn_core.explore.measures import Measure

if TYPE_CHECKING:
    import duckdb

MOST_POINTS = 1_000
"""networks drawn one by one; for so many a browser needs a quarter of a second"""
_CELLS = (120, 80)


@dataclass(frozen=True)
class Axes:
    """Two measures, with their columns in the catalogue."""

    x: Measure
    y: Measure
    x_column: str
    y_column: str

    @property
    def accuracy(self) -> Measure | None:
        """The axis that is an accuracy or an error in percent, if one is."""
        return next((one for one in (self.y, self.x) if one.images is not None), None)

    @property
    def ordered(self) -> bool:
        """Whether both have better values."""
        return None not in (self.x.direction, self.y.direction)


@dataclass(frozen=True)
class Point:
    """A network by two measures."""

    key: int
    x: float
    y: float
    status: str | None


def networks_in(
    cursor: duckdb.DuckDBPyConnection,
    axes: Axes,
    where: str,
    window: Sequence[float],
    logs: tuple[bool, bool],
) -> tuple[Sequence[Point], dict[str, Any] | None, int]:
    """The networks in a window.

    Args:
        cursor: of the catalogue.
        axes: both measures.
        where: condition that leaves the networks that have both values.
        window: least and greatest x, least and greatest y.
        logs: whether cells are of equal width in logarithms, by axis.

    Returns:
        few networks, by key; of many the edges of cells along both axes, and the counts in these; and how
        many there are.
    """
    inside = (
        f"{where} and {axes.x_column} between {window[0]!r} and {window[1]!r} "
        f"and {axes.y_column} between {window[2]!r} and {window[3]!r}"
    )
    (seen,) = one_row(cursor, f"select count(*) from networks where {inside}")
    if seen <= MOST_POINTS:
        rows = cursor.execute(
            f"select key, {axes.x_column}, {axes.y_column}, status from networks where {inside} order by key"
        ).fetchall()
        return [Point(*row) for row in rows], None, seen
    edges = [
        np.geomspace(low, high, cells + 1) if log else np.linspace(low, high, cells + 1)
        for low, high, cells, log in zip(window[::2], window[1::2], _CELLS, logs, strict=True)
    ]
    x, y = (
        f"least({cells - 1}, floor({cells} * ({_log(column, log)} - {scaled(low, log)!r}) "
        f"/ {(scaled(high, log) - scaled(low, log)) or 1.0!r}))::int"
        for column, low, high, cells, log in zip(
            (axes.x_column, axes.y_column), window[::2], window[1::2], _CELLS, logs, strict=True
        )
    )
    counts: NDArray[np.int64] = np.zeros(_CELLS[::-1], dtype=np.int64)
    found = cursor.execute(
        f"select {x} as i, {y} as j, count(*) as n from networks where {inside} group by all"
    ).fetchnumpy()
    counts[np.asarray(found["j"], int), np.asarray(found["i"], int)] = found["n"]
    return [], {"x": edges[0].tolist(), "y": edges[1].tolist(), "counts": counts.tolist()}, seen


def one_row(cursor: duckdb.DuckDBPyConnection, query: str) -> tuple[Any, ...]:
    """The only row of a query."""
    found = cursor.execute(query).fetchone()
    assert found is not None
    return found


def _log(column: str, log: bool) -> str:
    return f"ln({column})" if log else column


def scaled(value: float, log: bool) -> float:
    """A value, or its logarithm."""
    return float(np.log(value)) if log else value
