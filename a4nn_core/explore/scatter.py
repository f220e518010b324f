"""The scatter plot of the explorer: networks by two measures, their front, and what to choose from it.

Few networks are drawn one by one, many as counts in cells, which DuckDB makes; a smaller window has smaller
cells, until it has few networks. The front is exact at every size.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from a4nn_core.archaeology.chart import Axis, Chart, Line, Mark, Points
from a4nn_core.archaeology.style import FRONT, INK, KEPT, series
from a4nn_core.explore.asked import Scatter, in_catalogue
from a4nn_core.explore.catalogue import ROOM, Catalogue
from a4nn_core.explore.fronts import Member, distances, front_of, nice_log, told_apart
from a4nn_core.explore.measures import Measure
from a4nn_core.explore.window import Axes, Point, networks_in, one_row, scaled
from a4nn_core.precision import standard_error
from a4nn_core.printable import printable
from a4nn_core.vocabulary import Direction

if TYPE_CHECKING:
    import duckdb

MOST_MEMBERS = 500
"""members of the front that are listed"""
_COLOURED = 8
"""runs that have a colour of their own"""


@dataclass(frozen=True)
class Front:
    """The front of what a filter leaves.

    Attributes:
        members: sorted by x.
        candidates: number of networks among which it was found.
    """

    members: tuple[Member, ...]
    candidates: int


class Plotter:
    """Makes scatter plots of a catalogue, and remembers the last fronts."""

    def __init__(self, catalogue: Catalogue) -> None:
        self.catalogue = catalogue
        self._front = lru_cache(maxsize=16)(self._find_front)

    def plot(self, cursor: duckdb.DuckDBPyConnection, asked: Scatter) -> dict[str, Any]:
        """A scatter plot as JSON values.

        Raises:
            BadInput: a measure or a run is not known.
        """
        catalogue = self.catalogue
        axes = Axes(
            x_column=catalogue.column(asked.x),
            y_column=catalogue.column(asked.y),
            x=catalogue.measures[asked.x],
            y=catalogue.measures[asked.y],
        )
        where = in_catalogue(catalogue, asked.filter)
        both = f"{where} and isfinite({axes.x_column}) and isfinite({axes.y_column})"
        every, drawn, *ends = one_row(
            cursor,
            f"select count(*), count(*) filter (where {both}), "
            + ", ".join(
                f"{f}({column}) filter (where {both})"
                for column in (axes.x_column, axes.y_column)
                for f in ("min", "max")
            )
            + f" from networks where {where}",
        )
        window = asked.window or _around(ends)
        logs = (nice_log(*ends[:2]), nice_log(*ends[2:])) if drawn else (False, False)
        front = self._front_of(cursor, axes, where, logs, asked)
        points, cells, seen = (
            ((), None, 0)
            if axes.ordered and not asked.dominated
            else networks_in(cursor, axes, both, window, logs)
        )
        picked = self._picked(cursor, axes, asked)
        by_place = catalogue.by_place
        nearest = min(front.members, key=lambda one: one.distance) if front and front.members else None
        keys = [one.key for one in (*points, *picked)]
        keys += [one.key for one in (front.members if front else ())]
        chart = Chart(
            "networks",
            f"{axes.y.label} by {axes.x.label}",
            _axis(axes.x, window[:2], logs[0], exact=asked.window is not None),
            _axis(axes.y, window[2:], logs[1], exact=asked.window is not None),
            tuple(self._marks(axes, points, front, picked, nearest, asked, by_place)),
            empty="No network that the filter leaves has both values.",
            height=520,
        )
        return {
            "chart": chart.to_json(),
            "cells": cells,
            "networks": {key: _named(by_place, key) for key in keys},
            "count": every,
            "drawn": drawn,
            "seen": seen,
            "front": self._listed(front, axes, by_place),
            "candidates": front.candidates if front else 0,
            "members": len(front.members) if front else 0,
            "nearest": None if nearest is None else nearest.key,
            "words": self._words(axes, asked, every, drawn, front),
        }

    def _front_of(
        self,
        cursor: duckdb.DuckDBPyConnection,
        axes: Axes,
        where: str,
        logs: tuple[bool, bool],
        asked: Scatter,
    ) -> Front | None:
        if not axes.ordered:
            return None
        found = self._front(_Aside(cursor), axes, where, self.catalogue.networks_version)
        if not found.members:
            return found
        signs = _signs(axes)
        values = [(one.x, one.y) for one in found.members]
        columns = [[scaled(value[at], log) * signs[at] for value in values] for at, log in enumerate(logs)]
        wish = [
            None if one is None or (log and one <= 0) else scaled(one, log) * sign
            for one, log, sign in zip(asked.wish, logs, signs, strict=True)
        ]
        away = distances(np.array(columns).T, (wish[0], wish[1]))
        members = zip(found.members, away.tolist(), strict=True)
        return replace(found, members=tuple(replace(one, distance=far) for one, far in members))

    def _find_front(self, cursor: _Aside, axes: Axes, where: str, version: int) -> Front:  # noqa: ARG002
        rows = cursor.held.execute(
            f"select key, {axes.x_column} as x, {axes.y_column} as y from networks "
            f"where candidate and {where} and isfinite(x) and isfinite(y)"
        ).fetchnumpy()
        points = np.column_stack([np.asarray(rows["x"], float), np.asarray(rows["y"], float)])
        if not len(points):
            return Front((), 0)
        places = front_of(points * _signs(axes))
        keys = np.asarray(rows["key"])[places].tolist()
        members = [
            Member(key, x, y, self._error(key, axes, x, y))
            for key, (x, y) in zip(keys, points[places].tolist(), strict=True)
        ]
        members.sort(key=lambda one: (one.x, one.y, one.key))
        if (accuracy := axes.accuracy) is not None and None not in {axes.x.direction, axes.y.direction}:
            cost = axes.x if accuracy is axes.y else axes.y
            value = [(one.y if accuracy is axes.y else one.x) for one in members]
            costs = [
                (one.x if cost is axes.x else one.y) * (-1 if cost.direction is Direction.maximise else 1)
                for one in members
            ]
            alike = told_apart(members, costs, [_accuracy(accuracy, one) for one in value])
            members = [replace(one, alike=alike[one.key]) for one in members]
        return Front(tuple(members), len(points))

    def _error(self, key: int, axes: Axes, x: float, y: float) -> float | None:
        measure = axes.accuracy
        if measure is None:
            return None
        run = self.catalogue.by_place.get(key // ROOM)
        images = self.catalogue.runs[run].images if run in self.catalogue.runs else None
        if images is None:
            return None
        counted = images.test if measure.images == "test" else images.validation
        return standard_error(_accuracy(measure, y if measure is axes.y else x), counted)

    def _picked(self, cursor: duckdb.DuckDBPyConnection, axes: Axes, asked: Scatter) -> list[Point]:
        if not asked.picked:
            return []
        where = in_catalogue(self.catalogue, asked.model_copy(update={"area": []}))
        rows = cursor.execute(
            f"select key, {axes.x_column} as x, {axes.y_column} as y, status from networks "
            f"where {where} and isfinite(x) and isfinite(y)"
        ).fetchall()
        return [Point(*row) for row in rows]

    def _marks(
        self,
        axes: Axes,
        points: Sequence[Point],
        front: Front | None,
        picked: Sequence[Point],
        nearest: Member | None,
        asked: Scatter,
        by_place: Mapping[int, str],
    ) -> list[Mark]:
        marks: list[Mark] = []
        places = sorted({one.key // ROOM for one in points})
        coloured = len(places) <= _COLOURED
        for place in places if coloured else [None]:
            colour = KEPT if place is None else series(place)
            name = "" if place is None else printable(by_place.get(place, ""))
            of_run = [one for one in points if place is None or one.key // ROOM == place]
            for shape, some in (
                ("dot", [one for one in of_run if one.status != "stopped"]),
                ("open", [one for one in of_run if one.status == "stopped"]),
            ):
                if some:
                    label = name + (", stopped early" if shape == "open" and name else "")
                    marks.append(_points(some, colour, shape, label or _SHAPES[shape], 7))
        if front and front.members:
            along = front.members
            marks.append(
                Line(
                    x=[one.x for one in along],
                    y=[one.y for one in along],
                    colour=FRONT,
                    step=axes.x.direction is Direction.minimise,
                    text="the front",
                )
            )
            alone = [one for one in front.members if one.alike is None]
            alike = [one for one in front.members if one.alike is not None]
            marks.append(_points(alone, FRONT, "dot", "front", 9))
            marks.append(_points(alike, FRONT, "open", "front, a cheaper one cannot be told apart", 9))
            if nearest is not None:
                marks.append(
                    Points(
                        x=[nearest.x],
                        y=[nearest.y],
                        colours=(INK,),
                        shape="ring",
                        size=20,
                        label="nearest to the wish",
                    )
                )
        if None not in asked.wish:
            marks.append(
                Points(
                    x=[asked.wish[0]],
                    y=[asked.wish[1]],
                    colours=(INK,),
                    shape="hollow",
                    size=11,
                    label="the wish",
                )
            )
        drawn = {one.key for one in points} | {one.key for one in (front.members if front else ())}
        others = [one for one in picked if one.key not in drawn]
        if others:
            marks.append(_points(others, INK, "dot", "picked", 7))
        return [mark for mark in marks if not isinstance(mark, Points) or len(mark.x)]

    def _listed(self, front: Front | None, axes: Axes, by_place: Mapping[int, str]) -> list[dict[str, Any]]:
        if front is None:
            return []
        members = front.members
        if len(members) > MOST_MEMBERS:  # spread evenly, the ends among them
            members = tuple(members[i] for i in np.linspace(0, len(members) - 1, MOST_MEMBERS).astype(int))
        return [
            {
                "key": one.key,
                **_named(by_place, one.key),
                "x": one.x,
                "y": one.y,
                "x_error": one.error if axes.accuracy is axes.x else None,
                "y_error": one.error if axes.accuracy is axes.y else None,
                "alike": None if one.alike is None else _named(by_place, one.alike),
                "distance": one.distance,
            }
            for one in members
        ]

    def _words(self, axes: Axes, asked: Scatter, every: int, drawn: int, front: Front | None) -> list[str]:
        words = []
        if every > drawn:
            lack = "1 lacks" if every - drawn == 1 else f"{every - drawn:,} lack"
            words.append(f"Of the {every:,} networks that the filter leaves {lack} a value.")
        if front is None:
            words.append("There is no front: of one of these measures no value is better than another.")
        elif axes.x.name == axes.y.name:
            words.append("Both axes show the same measure.")
        chosen = asked.filter.runs or list(self.catalogue.runs)
        listed = [self.catalogue.runs[run] for run in chosen if run in self.catalogue.runs]
        data = {one.fingerprint or one.dataset for one in listed if one.state and one.state.totals.networks}
        if len(data) > 1 and axes.accuracy is not None:
            words.append(
                f"These runs are of {len(data):,} different data sets: their accuracies cannot be compared, "
                "and a front over all of them means little. Choose runs of one data set."
            )
        members = len(front.members) if front else 0
        if members > MOST_MEMBERS:
            words.append(f"The list has {MOST_MEMBERS} of the {members:,} members of the front.")
        return words


class _Aside:
    """A cursor that makes no difference to what is remembered."""

    def __init__(self, held: duckdb.DuckDBPyConnection) -> None:
        self.held = held

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Aside)

    def __hash__(self) -> int:
        return 0


_SHAPES = {"dot": "trained to the end, or not at all", "open": "stopped early"}


def _points(
    some: Sequence[Point] | Sequence[Member], colour: str, shape: Any, label: str, size: float
) -> Points:
    return Points(
        x=[one.x for one in some],
        y=[one.y for one in some],
        colours=(colour,),
        shape=shape,
        size=size,
        networks=[one.key for one in some],
        label=label,
        strength=0.8 if colour != FRONT else 1.0,
    )


def _around(ends: Sequence[float | None]) -> tuple[float, float, float, float]:
    """A window around all values: (least x, greatest x, least y, greatest y)."""
    low_x, high_x, low_y, high_y = (0.0 if end is None else end for end in ends)
    return low_x, high_x, low_y, high_y


def _axis(measure: Measure, ends: Sequence[float], log: bool, *, exact: bool) -> Axis:
    """An axis; of all values it goes a little beyond them, of a window it ends where the window does."""
    low, high = ends
    log = log and low > 0
    if exact and high > low:
        return Axis(measure.label, "log" if log else "linear", (low, high), measure.whole)
    if log:
        room = (high / low) ** 0.04 if high > low else 1.5
        return Axis(measure.label, "log", (low / room, high * room), measure.whole)
    room = (high - low) * 0.04 or max(abs(high) * 0.05, 0.5)
    return Axis(measure.label, range=(low - room, high + room), whole=measure.whole)


def _signs(axes: Axes) -> NDArray[np.float64]:
    return np.array([-1.0 if one.direction is Direction.maximise else 1.0 for one in (axes.x, axes.y)])


def _accuracy(measure: Measure, value: float) -> float:
    """The accuracy that an accuracy or an error in percent says."""
    return 100 - value if measure.direction is Direction.minimise else value


def _named(by_place: Mapping[int, str], key: int) -> dict[str, Any]:
    return {"run": by_place.get(key // ROOM, ""), "network": key % ROOM}
