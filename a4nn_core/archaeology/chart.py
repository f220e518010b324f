"""What a figure shows, apart from what draws it: axes with units, and marks on them.

A page draws a chart with Plotly (``report/page/charts.js``), ``stills`` draws it with matplotlib. So each
figure is described once, and looks the same in a browser and on paper. Marks name the networks that they
stand for, which lets a page link all figures by one selection.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, is_dataclass
from typing import Any, ClassVar, Literal

from a4nn_core.archaeology.style import FAINT, INK, KEPT, sequential

Value = float | int | str | None


@dataclass(frozen=True)
class Axis:
    """One axis.

    Attributes:
        label: what it shows, with its unit.
        scale: ``linear``, ``log``, or ``category`` for names in their order.
        range: where it begins and ends; None for all that is drawn.
        whole: whether only whole numbers have a meaning.
        reverse: whether values grow downwards, or to the left.
        names: of a ``category``, in order.
        hidden: whether its values have no meaning and are not shown.
    """

    label: str
    scale: Literal["linear", "log", "category"] = "linear"
    range: tuple[float, float] | None = None
    whole: bool = False
    reverse: bool = False
    names: tuple[str, ...] = ()
    hidden: bool = False


@dataclass(frozen=True, kw_only=True)
class Mark:
    """Anything drawn. ``kind`` names it for those that draw.

    Attributes:
        label: its entry in the legend; empty for none.
        strength: opacity from 0 to 1.
    """

    kind: ClassVar[str] = ""
    label: str = ""
    strength: float = 1.0


@dataclass(frozen=True, kw_only=True)
class Points(Mark):
    """Points, one a network or none.

    Attributes:
        x, y: where they are.
        colours: one for each, or one for all.
        shape: ``dot`` for what is measured to the end, ``open`` for what was stopped, ``hollow`` (a square)
            for what is only predicted, ``ring`` around others.
        size: diameter in pixels of the page.
        low, high: ends of a whisker through each point; None for no whisker.
        lying: whether whiskers are along ``x``.
        networks: number of the network that each stands for.
        text: what is said of each under the pointer.
    """

    kind: ClassVar[str] = "points"
    x: Sequence[Value]
    y: Sequence[Value]
    colours: Sequence[str] = (KEPT,)
    shape: Literal["dot", "open", "ring", "square", "hollow"] = "dot"
    size: float = 9
    low: Sequence[float | None] = ()
    high: Sequence[float | None] = ()
    lying: bool = False
    networks: Sequence[int | None] = ()
    text: Sequence[str] = ()


@dataclass(frozen=True, kw_only=True)
class Line(Mark):
    """A line through points in their order; None in ``y`` interrupts it.

    Attributes:
        x, y: its points.
        step: whether ``y`` holds until the next ``x``.
        network: number of the network that it stands for.
        text: what is said of it under the pointer.
    """

    kind: ClassVar[str] = "line"
    x: Sequence[Value]
    y: Sequence[float | None]
    colour: str = KEPT
    width: float = 1.5
    dash: Literal["solid", "dash", "dot"] = "solid"
    step: bool = False
    network: int | None = None
    text: str = ""


@dataclass(frozen=True, kw_only=True)
class Links(Mark):
    """Straight lines between pairs of networks.

    Attributes:
        x, y: of both ends of each.
        pairs: numbers of the two networks of each.
    """

    kind: ClassVar[str] = "links"
    x: Sequence[tuple[float, float]]
    y: Sequence[tuple[float, float]]
    pairs: Sequence[tuple[int, int]]
    colour: str = FAINT
    width: float = 1.0


@dataclass(frozen=True, kw_only=True)
class Band(Mark):
    """The area between two lines; ``step`` as of a line."""

    kind: ClassVar[str] = "band"
    x: Sequence[float]
    low: Sequence[float]
    high: Sequence[float]
    colour: str = KEPT
    step: bool = False
    network: int | None = None
    text: str = ""


@dataclass(frozen=True, kw_only=True)
class Bars(Mark):
    """Bars from ``start`` to ``end``; lying ones have their rows in ``at``, standing ones their columns.

    Attributes:
        hatched: whether they stand for what was not done.
        standing: whether they stand.
    """

    kind: ClassVar[str] = "bars"
    at: Sequence[Value]
    start: Sequence[float]
    end: Sequence[float]
    colours: Sequence[str] = (KEPT,)
    hatched: bool = False
    standing: bool = False
    networks: Sequence[int | None] = ()
    text: Sequence[str] = ()


@dataclass(frozen=True, kw_only=True)
class Cells(Mark):
    """A value for each pair of columns and rows, as colours between two ends.

    Attributes:
        x, y: names of columns and rows.
        values: a row for each of ``y``; None where there is none.
        low, high: values with the lightest and the darkest colour.
        unit: what the values are, for the colour bar.
        text: what is said of each cell under the pointer.
    """

    kind: ClassVar[str] = "cells"
    x: Sequence[Value]
    y: Sequence[Value]
    values: Sequence[Sequence[float | None]]
    low: float
    high: float
    unit: str
    text: Sequence[Sequence[str]] = ()


@dataclass(frozen=True, kw_only=True)
class Level(Mark):
    """A straight line across the figure at one value of an axis, with words."""

    kind: ClassVar[str] = "level"
    value: float
    words: str
    axis: Literal["x", "y"] = "y"
    colour: str = FAINT


@dataclass(frozen=True)
class Scale:
    """The key to colours that stand for ordered values.

    Attributes:
        label: what the values are, with their unit.
        low, high: values with the lightest and the darkest colour.
        whole: whether there are only whole values.
    """

    label: str
    low: float
    high: float
    whole: bool = False

    def colour(self, value: float | None) -> str:
        """The colour of a value; grey for one that is not known."""
        if value is None:
            return FAINT
        return sequential((value - self.low) / (self.high - self.low)) if self.high > self.low else INK


@dataclass(frozen=True)
class Chart:
    """One figure with axes.

    Attributes:
        name: short, for files and addresses.
        title: what it shows.
        x, y: its axes.
        marks: what is drawn, the last on top.
        scale: what colours mean, if they stand for values.
        empty: what is said if there is nothing to draw.
        height: in pixels of the page.
        square: whether both axes have the same unit and get the same length.
    """

    name: str
    title: str
    x: Axis
    y: Axis
    marks: tuple[Mark, ...] = ()
    scale: Scale | None = None
    empty: str = "nothing to draw yet"
    height: int = 420
    square: bool = False

    def to_json(self) -> dict[str, Any]:
        """The chart as JSON values. What is as usual is left out, so that a page stays small."""
        values = _plain(self)
        values["marks"] = [{"kind": mark.kind, **_plain(mark)} for mark in self.marks]
        colours = [sequential(i / 10) for i in range(11)]
        for known in (values.get("scale"), *(one for one in values["marks"] if one["kind"] == Cells.kind)):
            if known:
                known["colours"] = colours
        return values


def _plain(record: Any) -> dict[str, Any]:
    found = {}
    for one in fields(record):
        value = getattr(record, one.name)
        if value != one.default:
            found[one.name] = _plain(value) if is_dataclass(value) else value
    return found


@dataclass(frozen=True)
class Table:
    """A figure as numbers.

    Attributes:
        columns: names, with units.
        rows: values; a column ``network`` has numbers of networks.
    """

    columns: tuple[str, ...]
    rows: tuple[tuple[Value, ...], ...]


@dataclass(frozen=True)
class Exhibit:
    """A figure with all that belongs to it.

    Attributes:
        name: short, for files and addresses.
        title: the question that it answers.
        words: what is seen, and how to read it; a paragraph each.
        charts: its figures.
        table: the same as numbers.
        query: a SELECT over the commons that returns the records behind it.
    """

    name: str
    title: str
    words: tuple[str, ...] = ()
    charts: tuple[Chart, ...] = ()
    table: Table | None = None
    query: str = ""
