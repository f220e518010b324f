"""Charts as still pictures, PNG or SVG, drawn with matplotlib."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from textwrap import wrap
from typing import TYPE_CHECKING, Any

from a4nn_core.archaeology.chart import (
    Band,
    Bars,
    Cells,
    Chart,
    Level,
    Line,
    Links,
    Points,
    Scale,
)
from a4nn_core.archaeology.difference import Difference
from a4nn_core.archaeology.drawing import NARROW, draw_sketch, reach
from a4nn_core.archaeology.film import Frame
from a4nn_core.archaeology.sketch import COLOURS, Sketch, State, old_and_new
from a4nn_core.archaeology.style import MATPLOTLIB, MUTED, sequential
from a4nn_core.errors import BadInput
from a4nn_core.files import atomic_write, make_folder
from a4nn_core.precision import plus_minus
from a4nn_core.printable import printable

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FORMATS = (".png", ".svg")
_LONGEST = 300
"""characters of a text that are shown, as in pages"""
_NARROWEST = 6.6
"""inches that the key to all states takes in two lines"""
_PIXELS = 100.0
"""pixels of a page to an inch"""
_DOT = (72 / _PIXELS) ** 2
_SHAPES = {"dot": "o", "open": "o", "ring": "o", "square": "s", "hollow": "s"}
_DASHES: dict[str, Any] = {"solid": "-", "dash": (0, (4, 2)), "dot": ":"}


def write_chart(chart: Chart, file: Path) -> None:
    """Write a chart as a picture.

    Args:
        chart: what it shows.
        file: ends with .png or .svg.

    Raises:
        BadInput: it has another ending, or cannot be written.
    """
    _write(lambda: chart_figure(chart), file)


def write_film(frames: Sequence[Frame], title: str, file: Path) -> None:
    """Write a film strip as a picture; see ``write_chart``."""
    _write(lambda: film_figure(frames, title), file)


def write_difference(found: Difference, names: tuple[str, str], file: Path) -> None:
    """Write what differs between two networks as a picture; see ``write_chart``.

    Args:
        found: the difference.
        names: of the old network and of the new one.
        file: as there.
    """
    _write(lambda: difference_figure(found, names), file)


def _write(make: Callable[[], Figure], file: Path) -> None:
    import matplotlib as mpl

    if file.suffix not in FORMATS:
        raise BadInput(f"picture {file}: the ending must be one of {', '.join(FORMATS)}")
    make_folder(file.parent)
    with mpl.rc_context(MATPLOTLIB), atomic_write(file) as temporary:
        metadata = {"Date": None} if file.suffix == ".svg" else {}
        make().savefig(temporary, format=file.suffix[1:], dpi=150, metadata=metadata)


def chart_figure(chart: Chart) -> Figure:
    """A chart as a figure of matplotlib."""
    from matplotlib.figure import Figure

    height = min(max(chart.height, 280), 4000) / _PIXELS
    names = max((len(_text(name)) for name in chart.y.names), default=0)
    room = 7.0 + max(0, names - 30) * 0.6 * 8 / 72  # long names make the figure wider, not its axes narrower
    figure = Figure(figsize=(height * 1.15 if chart.square else room + 1, height), layout="constrained")
    axes = figure.add_subplot()
    figure.suptitle(
        _lines(chart.title, figure.get_figwidth(), 13), x=0.01, ha="left", fontsize=13, parse_math=False
    )
    if not chart.marks:
        words = _lines(chart.empty, figure.get_figwidth() - 1, 11)
        axes.text(0.5, 0.5, words, transform=axes.transAxes, ha="center", color=MUTED, parse_math=False)
        axes.set(xticks=[], yticks=[])
        return figure
    rows = {name: at for at, name in enumerate(chart.y.names)}
    for order, mark in enumerate(chart.marks):
        _DRAW[mark.kind](axes, mark, rows, 2 + 0.01 * order)
    _finish(figure, axes, chart)
    if chart.scale is not None:
        _key(figure, axes, chart.scale)
    entries = [entry for entry in axes.get_legend_handles_labels()[1] if entry]
    if entries:
        longest = max(len(line) for entry in entries for line in entry.split("\n"))
        columns = int(figure.get_figwidth() * 72 / (0.53 * 9.5 * (longest + 6)))
        figure.legend(loc="outside lower center", ncols=max(1, min(3, len(entries), columns)))
    return figure


def _finish(figure: Figure, axes: Axes, chart: Chart) -> None:
    from matplotlib.ticker import MaxNLocator

    for axis, both in ((chart.x, axes.xaxis), (chart.y, axes.yaxis)):
        room = figure.get_figwidth() if both is axes.xaxis else figure.get_figheight()
        both.set_label_text(_lines(axis.label, room - 1.1, 11), parse_math=False)
        along: Any = axes.set_xscale if both is axes.xaxis else axes.set_yscale
        if axis.scale == "log":
            along("log")
        if axis.whole and axis.scale == "linear":
            both.set_major_locator(MaxNLocator(8, integer=True))
        if axis.hidden:
            both.set_ticks([])
            both.grid(False)
    if chart.x.range is not None:
        axes.set_xlim(*chart.x.range)
    if chart.y.range is not None:
        axes.set_ylim(*chart.y.range)
    if chart.y.names:
        names = [_text(name) for name in chart.y.names]
        axes.set_yticks(range(len(names)), labels=names, fontsize=8)
        axes.set_ylim(-0.7, len(names) - 0.3)
    if chart.y.reverse:
        axes.invert_yaxis()


def _key(figure: Figure, axes: Axes, scale: Scale) -> None:
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import LinearSegmentedColormap, Normalize
    from matplotlib.ticker import MaxNLocator

    colours = LinearSegmentedColormap.from_list("scale", [sequential(i / 20) for i in range(21)])
    bar = figure.colorbar(ScalarMappable(Normalize(scale.low, scale.high), colours), ax=axes, fraction=0.05)
    bar.set_label(_lines(scale.label, figure.get_figheight() - 1, 11), parse_math=False)
    bar.outline.set_visible(False)
    bar.ax.grid(False)
    if scale.whole:
        bar.ax.yaxis.set_major_locator(MaxNLocator(8, integer=True))


def _text(words: str, most: int = _LONGEST) -> str:
    text = " ".join(printable(words).split())
    return text if len(text) <= most else f"{text[: most - 1]}…"


def _lines(words: str, inches: float, size: float) -> str:
    """Words in lines that fit into a width.

    Args:
        words: of any length; only what is longer than a page shows is cut.
        inches: the width.
        size: of the letters, in points.
    """
    letters = max(10, int(inches * 72 / (0.53 * size)))
    return "\n".join(wrap(_text(words), letters, break_on_hyphens=False))


def _each(colours: Sequence[str], count: int) -> list[str]:
    return list(colours) if len(colours) == count else [colours[0]] * count


def _values(values: Sequence[Any], rows: dict[str, int]) -> list[Any]:
    return [rows.get(value, value) if isinstance(value, str) else value for value in values]


def _points(axes: Axes, mark: Points, rows: dict[str, int], order: float) -> None:
    x, y = list[Any](mark.x), _values(mark.y, rows)
    colours = _each(mark.colours, len(y))
    ends = [(i, lo, hi) for i, (lo, hi) in enumerate(zip(mark.low, mark.high, strict=True)) if lo is not None]
    for i, low, high in ends:
        line = ([low, high], [y[i], y[i]]) if mark.lying else ([x[i], x[i]], [low, high])
        axes.plot(*line, color=colours[i], linewidth=1.2, alpha=0.55, marker="_|"[mark.lying], zorder=order)
    look: dict[str, Any] = {
        "marker": _SHAPES[mark.shape],
        "s": mark.size**2 * _DOT * 1.3,
        "zorder": order + 0.005,
    }
    if mark.shape in ("open", "ring", "hollow"):
        look |= {
            "facecolors": "none" if mark.shape == "ring" else "white",
            "edgecolors": colours,
            "linewidths": 1.8,
        }
    else:
        look |= {"c": colours, "edgecolors": "white", "linewidths": 0.7}
    axes.scatter(x, y, label=_lines(mark.label, 7, 9.5), alpha=mark.strength, **look)


def _line(axes: Axes, mark: Line, rows: dict[str, int], order: float) -> None:
    axes.plot(
        list[Any](mark.x),
        _values(mark.y, rows),
        color=mark.colour,
        linewidth=mark.width,
        linestyle=_DASHES[mark.dash],
        drawstyle="steps-post" if mark.step else "default",
        alpha=mark.strength,
        label=_lines(mark.label, 7, 9.5),
        zorder=order,
    )


def _links(axes: Axes, mark: Links, rows: dict[str, int], order: float) -> None:  # noqa: ARG001
    from matplotlib.collections import LineCollection

    lines = [list(zip(x, y, strict=True)) for x, y in zip(mark.x, mark.y, strict=True)]
    axes.add_collection(
        LineCollection(lines, colors=mark.colour, linewidths=mark.width, alpha=mark.strength, zorder=order)
    )
    axes.autoscale_view()


def _band(axes: Axes, mark: Band, rows: dict[str, int], order: float) -> None:  # noqa: ARG001
    axes.fill_between(
        mark.x,
        mark.low,
        mark.high,
        step="post" if mark.step else None,
        color=mark.colour,
        alpha=mark.strength,
        linewidth=0.6 if mark.strength > 0.5 else 0,
        edgecolor="white",
        label=_lines(mark.label, 7, 9.5),
        zorder=order,
    )


def _bars(axes: Axes, mark: Bars, rows: dict[str, int], order: float) -> None:
    at = _values(mark.at, rows)
    lengths = [end - start for start, end in zip(mark.start, mark.end, strict=True)]
    colours = _each(mark.colours, len(at))
    look: dict[str, Any] = {"label": _lines(mark.label, 7, 9.5), "alpha": mark.strength, "zorder": order}
    look |= {"color": "white", "edgecolor": colours, "hatch": "////"} if mark.hatched else {"color": colours}
    if mark.standing:
        axes.bar(at, lengths, bottom=mark.start, width=0.8, **look)
    else:
        axes.barh(at, lengths, left=mark.start, height=0.7, **look)


def _cells(axes: Axes, mark: Cells, rows: dict[str, int], order: float) -> None:  # noqa: ARG001
    import numpy as np
    from matplotlib.colors import LinearSegmentedColormap

    values = np.array([[np.nan if v is None else v for v in row] for row in mark.values])
    colours = LinearSegmentedColormap.from_list("cells", [sequential(i / 20) for i in range(21)])
    shown = axes.imshow(
        values, cmap=colours, vmin=mark.low, vmax=mark.high, origin="lower", aspect="auto", zorder=order
    )
    for labels, ticks in ((mark.x, axes.set_xticks), (mark.y, axes.set_yticks)):
        some = range(0, len(labels), max(1, len(labels) // 8))
        ticks(list(some), labels=[str(labels[i]) for i in some])
    axes.grid(False)
    bar = axes.figure.colorbar(shown, ax=axes, fraction=0.05)
    bar.set_label(mark.unit)
    bar.outline.set_visible(False)
    bar.ax.grid(False)


def _level(axes: Axes, mark: Level, rows: dict[str, int], order: float) -> None:  # noqa: ARG001
    draw = axes.axhline if mark.axis == "y" else axes.axvline
    draw(mark.value, color=mark.colour, linewidth=1.2, linestyle=(0, (2, 2)), zorder=order)
    place = (1.0, mark.value) if mark.axis == "y" else (mark.value, 1.0)
    where = ("axes fraction", "data") if mark.axis == "y" else ("data", "axes fraction")
    axes.annotate(
        _text(mark.words),
        place,
        xycoords=where,
        xytext=(-4, 3) if mark.axis == "y" else (4, -2),
        textcoords="offset points",
        ha="right" if mark.axis == "y" else "left",
        va="bottom" if mark.axis == "y" else "top",
        color=MUTED,
        fontsize=9,
        annotation_clip=True,
    )


_DRAW: dict[str, Callable[[Axes, Any, dict[str, int], float], None]] = {
    Points.kind: _points,
    Line.kind: _line,
    Links.kind: _links,
    Band.kind: _band,
    Bars.kind: _bars,
    Cells.kind: _cells,
    Level.kind: _level,
}


def film_figure(frames: Sequence[Frame], title: str) -> Figure:
    """A film strip: from top to bottom founder to network, what it gained above each step, cost below."""
    strips: list[Strip] = []
    for frame in frames:
        if len(frame.parents) == 2:
            strips += [
                (f"network {number}", "what it alone hands on is coloured", drawn)
                for number, drawn in frame.parents
            ]
        strips.append((heading(frame), cost(frame), frame.sketch))
    return _strips_figure(title, strips, tuple(COLOURS))


def difference_figure(found: Difference, names: tuple[str, str]) -> Figure:
    """Two networks, one below the other, with what only one of them has."""
    share = f"{100 * found.likeness:.0f} % of layers and connections in common"
    title = found.text() if found.nothing else f"{found.text()}; {share}"
    costs = [f"{_mflops(one.flops)}, {one.parameters:,} parameters" for one in (found.old, found.new)]
    costs[1] += f" ({found.flops / 1e6:+.3g} million, {found.parameters:+,})"
    strips = list(zip(names, costs, old_and_new(found), strict=True))
    return _strips_figure(title, strips, (State.kept, State.removed, State.added, State.changed))


Strip = tuple[str, str, Sketch]
"""words above, words below, and what is drawn"""


def _strips_figure(title: str, strips: Sequence[Strip], states: Sequence[State]) -> Figure:
    """Sketches one below the other, with a key to some states. It is as large as its words need."""
    from matplotlib.figure import Figure

    nodes = max((len(drawn.nodes) for _, _, drawn in strips), default=10)
    width = max(NARROW * nodes + 1, _NARROWEST)
    above = [_lines(words, width, 10) for words, _, _ in strips]
    below = [_lines(words, width, 9) for _, words, _ in strips]
    heights = [1.9 + 0.24 * reach(drawn) for _, _, drawn in strips] or [1.0]
    words = sum(text.count("\n") for text in (*above, *below))
    tall = NARROW * sum(heights) + 0.42 * len(strips) + 0.16 * words + 1
    figure = Figure(figsize=(width, tall), layout="constrained")
    figure.suptitle(_lines(title, width, 14), x=0.01, ha="left", fontsize=14, parse_math=False)
    for at, (_, _, drawn) in enumerate(strips):
        axes = figure.add_subplot(len(heights), 1, at + 1)
        draw_sketch(axes, drawn, by_phase=False, inches=NARROW)
        axes.set_xlim(-0.6, nodes - 0.4)
        axes.set_anchor("W")
        axes.set_title(above[at], loc="left", fontsize=10, parse_math=False)
        axes.text(
            *(0, 0, below[at]), transform=axes.transAxes, va="top", fontsize=9, color=MUTED, parse_math=False
        )
    handles = [_patch(state, COLOURS[state]) for state in states]
    figure.legend(handles=handles, loc="outside lower left", ncols=len(handles) if width > 9 else 3)
    return figure


def _patch(state: str, colour: str) -> Any:
    from matplotlib.lines import Line2D

    words = {"first": "from the first parent alone", "second": "from the second alone"}.get(state, state)
    return Line2D(
        [], [], color=colour, linewidth=3, label=words, linestyle="--" if state == "removed" else "-"
    )


def heading(frame: Frame) -> str:
    """Who was made from whom, and what it gained."""
    one = frame.step.network
    words = f"network {one.network}"
    if one.generation is not None:
        words += f", generation {one.generation}"
    parents = " and ".join(str(parent.network) for parent in frame.step.parents)
    words += f", {frame.step.operator or 'made'} of {parents}" if parents else ", founder"
    gain, quality = frame.step.gain, frame.quality
    if gain is None:
        best = one.best_score
        return words if best is None else f"{words}: {quality.number(best)}"
    sign = "+" if gain >= 0 else "−"
    words += f": {sign}{plus_minus(abs(gain), frame.gain_se)} {quality.gain_unit}"
    return f"{words} (stopped early)" if frame.stopped else words


def cost(frame: Frame) -> str:
    """What a step added to the cost of an image."""
    extra, flops = frame.step.extra_flops, frame.step.network.flops
    if flops is None:
        return ""
    whole = _mflops(flops)
    if extra is None:
        return whole
    sign = "−" if extra < 0 else "+"
    return f"{sign}{abs(extra) / 1e6:.3g} million multiply-adds, {whole} in all"


def _mflops(flops: int) -> str:
    return f"{flops / 1e6:.3g} million multiply-adds"
