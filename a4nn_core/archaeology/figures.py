"""Pictures of a run: score against cost with its Pareto front, and the learning curves behind it.

They work on any run in a commons: finished or not, with failed networks, with one network or none.
"""

from __future__ import annotations

from pathlib import Path
from textwrap import wrap
from typing import TYPE_CHECKING, Any

from a4nn_core.archaeology.picture import (
    INTERVALS,
    WHISKERS,
    Picture,
    cost_floor,
    is_staircase,
    picture,
    whole_generations,
)
from a4nn_core.archaeology.style import FAINT, FRONT, MATPLOTLIB, MUTED
from a4nn_core.files import atomic_write, make_folder
from a4nn_core.metrics import MFLOPS
from a4nn_core.printable import printable
from a4nn_core.vocabulary import NetworkStatus

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colors import Colormap, Normalize
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

    from a4nn_core.commons import Commons

_OPEN: dict[str, Any] = {"marker": "o", "markersize": 7, "markerfacecolor": "white", "markeredgewidth": 1.8}
"""in legends, what was stopped"""
_CAPTION = 118
"""characters of the caption that fit into a line"""


def front_figure(commons: Commons, run: str, png: Path, page: str | None = None) -> bool:
    """Draw a run as a still picture for papers and posters.

    Left, the best validation score of every trained network against its cost, coloured by generation, with
    the Pareto front. Right, the learning curves, where each was stopped, and what was predicted for the end.

    Args:
        commons: where the run is.
        run: its id.
        png: file for the picture.
        page: name of the report beside it, if there is one.

    Returns:
        whether there was anything to draw; if not, no file was written.

    Raises:
        BadInput: there is no such run, or the file cannot be written.
    """
    shown = picture(commons, run)
    if not (shown.points or shown.curves):
        return False
    make_folder(png.parent)
    with atomic_write(png) as temporary:
        draw(shown, temporary, page)
    return True


def draw(shown: Picture, file: Path, page: str | None = None) -> None:
    """Write the still picture, PNG, 2250 x 1350 pixels and a caption.

    Args:
        shown: what it shows.
        file: where to write it.
        page: name of the report beside it, if there is one.
    """
    still(shown, page).savefig(file, format="png", metadata={"Title": printable(shown.title)})


def still(shown: Picture, page: str | None = None) -> Figure:
    """The still picture. Its text can be read when it is shown 600 pixels wide; see ``draw``."""
    import matplotlib as mpl
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import BoundaryNorm, LinearSegmentedColormap, Normalize
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    larger: dict[Any, Any] = {"font.size": 12, "axes.labelsize": 13, "legend.fontsize": 10.5}
    with mpl.rc_context({**MATPLOTLIB, **larger}):
        whole = (words.replace(" %", "\u00a0%") for words in shown.caption)  # no line begins with a unit
        caption = [line for words in whole for line in wrap(words, _CAPTION)]
        height = 6 + 0.22 * len(caption)  # the caption has its own room, so that the rest stays where it is
        layout = ConstrainedLayoutEngine(w_pad=0.1, h_pad=0.08, rect=(0, 1 - 5.1 / height, 1, 4.38 / height))
        figure = Figure(figsize=(10, height), dpi=225, facecolor="white", layout=layout)
        FigureCanvasAgg(figure)
        title, summary = printable(shown.title), printable(shown.summary)
        look: dict[str, Any] = {"va": "center", "parse_math": False}  # a name may hold dollars
        top, below = 1 - 0.24 / height, 1 - 0.552 / height
        figure.text(0.012, top, title, fontsize=19, fontweight="bold", **look)
        if page:
            figure.text(0.988, top, f"all figures: {page}", color=MUTED, ha="right", va="center")
        figure.text(0.012, below, summary, color=MUTED, **look)
        for place, line in enumerate(reversed(caption)):
            at = (0.16 + 0.22 * place) / height
            figure.text(0.012, at, printable(line), fontsize=10.5, color=MUTED, **look)
        left, right = figure.subplots(1, 2, width_ratios=[1.0, 1.08])
        first, last = shown.generations
        # the lightest fifth of viridis is too faint on white
        steps = [mpl.colormaps["viridis"](x / 255 * 0.88) for x in range(255, -1, -1)]
        colours = LinearSegmentedColormap.from_list("generations", steps)
        count = last - first + 1
        norm: Normalize = (
            BoundaryNorm([first - 0.5 + i for i in range(count + 1)], colours.N)
            if count > 1
            else Normalize(first - 0.5, first + 0.5)
        )
        _draw_front(left, shown, colours, norm)
        _draw_curves(right, shown, colours, norm)
        if count > 1:
            bar = figure.colorbar(
                ScalarMappable(norm, colours), ax=[left, right], pad=0.012, aspect=36, fraction=0.04
            )
            bar.set_label("generation")
            bar.outline.set_visible(False)
            bar.ax.grid(False)
            bar.set_ticks(whole_generations(first, last))
            bar.minorticks_off()
        figure.draw_without_rendering()  # what follows from the style, such as ticks, is made here
    return figure


def _draw_front(axes: Axes, shown: Picture, colours: Colormap, norm: Normalize) -> None:
    from matplotlib.ticker import FuncFormatter, LogLocator

    axes.set_title(f"{shown.quality.heading} against cost", loc="left", fontsize=14)
    axes.set_xlabel(MFLOPS.label)
    axes.set_ylabel(shown.quality.best_validation)
    if shown.failed:
        axes.text(
            1.0,
            1.02,
            f"{shown.failed} failed, not shown",
            transform=axes.transAxes,
            ha="right",
            color=FAINT,
            fontsize=11,
        )
    if not shown.points:
        explanation = (
            f"no network has a known cost and {shown.quality.noun}"
            if shown.finished
            else "no network has finished yet"
        )
        axes.text(0.5, 0.5, explanation, transform=axes.transAxes, ha="center", color=FAINT)
        axes.set(xticks=[], yticks=[])
        return
    front = sorted(shown.front, key=lambda point: point.flops)
    floor = cost_floor([n.mflops for n in shown.points])
    ring = 190 if len(shown.points) <= 40 else 120
    if front:
        x = [max(n.mflops, floor) for n in front]
        y = [n.score for n in front]
        if is_staircase(front):
            axes.step(x, y, where="post", color=FRONT, linewidth=2.2, zorder=2)
        axes.scatter(x, y, s=ring, facecolors="none", edgecolors=FRONT, linewidths=2.0, zorder=4)
    for status in (NetworkStatus.completed, NetworkStatus.stopped):
        members = [n for n in shown.points if n.record.status is status]
        if members:
            own = [colours(norm(n.generation)) for n in members]
            stopped = status is NetworkStatus.stopped
            axes.scatter(
                [max(n.mflops, floor) for n in members],
                [n.score for n in members],
                s=52 if stopped else 78,
                facecolors="white" if stopped else own,
                edgecolors=own if stopped else "white",
                linewidths=1.8 if stopped else 0.7,
                zorder=3,
            )
    for one in shown.intervals:
        axes.plot(
            [max(one.point.mflops, floor)] * 2,
            [one.low, one.high],
            color=colours(norm(one.point.generation)),
            linewidth=1.2,
            linestyle=(0, (3, 1.5)),
            marker="_",
            markersize=6,
            alpha=0.6,
            zorder=2.4,
        )
    whiskers = shown.whiskers
    on_front = {n.network for n in front}
    for whisker in whiskers:
        n = whisker.point
        axes.errorbar(
            max(n.mflops, floor),
            n.score,
            yerr=[[whisker.below], [whisker.above]],
            fmt="none",
            ecolor=colours(norm(n.generation)),
            elinewidth=1.3,
            capsize=3.5,
            alpha=0.9 if n.network in on_front else 0.45,
            zorder=2.5,
        )
    for n in shown.points:
        if n.mflops < floor:
            text = f"\u25c2 costs {n.mflops:.2g}"
            place = (floor, n.score)
            axes.annotate(
                text, place, xytext=(14, -4), textcoords="offset points", fontsize=10.5, color=MUTED
            )
    costs = [max(n.mflops, floor) for n in shown.points]
    if max(costs) > 8 * min(costs):
        axes.set_xscale("log")
        few = max(costs) < 100 * min(costs)
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if few else (1,)))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda v, _: f"{v:g}"))
        axes.xaxis.set_minor_formatter(FuncFormatter(lambda *_: ""))
    axes.margins(x=0.07)
    _end_axis(axes, shown.quality.axis(shown.scores), shown.chance_percent)
    kinds = {n.record.status for n in shown.points}
    entries = []
    if NetworkStatus.completed in kinds:
        entries.append(_key(marker="o", markersize=9, linestyle="", label="trained to the end"))
    if NetworkStatus.stopped in kinds:
        label = INTERVALS if shown.intervals else "stopped early"
        entries.append(_key(**_OPEN, linestyle=(0, (3, 1.5)) if shown.intervals else "", label=label))
    if front:
        entries.append(
            _key(
                color=FRONT,
                marker="o",
                markersize=12,
                markerfacecolor="none",
                markeredgewidth=2,
                linewidth=2,
                label="Pareto front",
            )
        )
    if whiskers:
        entries.append(_key(marker="|", markersize=14, markeredgewidth=1.3, linestyle="", label=WHISKERS))
    _legend(axes, entries)


def _end_axis(axes: Axes, ends: tuple[float, float], chance_percent: float | None) -> None:
    """End the axis of scores, with a line at chance level; below the axis, it is said where that is."""
    axes.set_ylim(*ends)
    if chance_percent is None:
        return
    inside = ends[0] <= chance_percent <= ends[1]
    if inside:
        axes.axhline(chance_percent, color=FAINT, linewidth=1.2, linestyle=(0, (2, 2)), zorder=1)
    axes.annotate(
        f"chance {chance_percent:.3g} %" if inside else f"\u25be chance {chance_percent:.3g} %",
        (1, chance_percent if inside else 0),
        xycoords=("axes fraction", "data" if inside else "axes fraction"),
        xytext=(-4, 4),
        textcoords="offset points",
        ha="right",
        color=MUTED,
    )


def _key(**look: Any) -> Line2D:
    """An entry of a legend, grey where generations have colours."""
    from matplotlib.lines import Line2D

    return Line2D([], [], **{"color": "#6b7280", **look})


def _legend(axes: Axes, entries: list[Line2D]) -> None:
    """A legend below the axes, where it cannot cover data, and in the room left for it, so that a long entry
    does not make the axes narrow."""
    legend = axes.legend(
        handles=entries,
        loc="upper center",
        bbox_to_anchor=(0.48, -0.15),
        ncols=2,
        columnspacing=0.9,
        handletextpad=0.4,
        handlelength=1.8,
    )
    legend.set_in_layout(False)


def _draw_curves(axes: Axes, shown: Picture, colours: Colormap, norm: Normalize) -> None:
    from matplotlib.ticker import MaxNLocator

    axes.set_title("Learning curves, stops and predictions", loc="left", fontsize=14)
    axes.set_xlabel("epoch")
    axes.set_ylabel(shown.quality.validation)
    axes.xaxis.set_major_locator(MaxNLocator(8, integer=True, steps=[1, 2, 5, 10]))
    if not shown.curves:
        axes.text(0.5, 0.5, "no epoch has ended yet", transform=axes.transAxes, ha="center", color=FAINT)
        axes.set(xticks=[], yticks=[])
        return
    on_front = {n.network for n in shown.front}
    crowded = len(shown.curves) > 40
    predicted = shown.predicted
    expected = {curve.network for curve in predicted}
    banded = False
    for curve in shown.curves:
        colour = colours(norm(curve.generation)) if curve.generation is not None else FAINT
        strong = curve.network in on_front or not curve.finished
        strength = 0.95 if strong else 0.3 if crowded else 0.5
        single = len(curve.epochs) == 1
        axes.plot(
            curve.epochs,
            curve.values,
            color=colour,
            alpha=strength,
            linewidth=2.2 if strong else 1.1,
            linestyle="-" if curve.finished else (0, (4, 2)),
            marker="." if single else None,
            zorder=3 if strong else 2,
        )
        band = shown.band(curve) if curve.network in on_front and not single else []
        if band:
            banded = True
            low, high = zip(*band, strict=True)
            axes.fill_between(curve.epochs, low, high, color=colour, alpha=0.15, linewidth=0, zorder=1)
        if curve.stopped:
            axes.scatter(
                curve.epochs[-1],
                curve.values[-1],
                s=40,
                facecolors="white",
                edgecolors=[colour],
                linewidths=1.8,
                zorder=5,
            )
        if curve.network in expected and curve.predicted is not None:
            axes.plot(
                [curve.epochs[-1], shown.horizon],
                [curve.values[-1], curve.predicted],
                color=colour,
                linestyle=":",
                linewidth=1.0,
                alpha=0.3 if crowded else 0.55,
                zorder=1,
            )
            axes.scatter(
                shown.horizon,
                curve.predicted,
                marker="s",
                s=38,
                facecolors="white",
                edgecolors=[colour],
                linewidths=1.5,
                zorder=4,
                clip_on=False,
            )
    axes.set_xlim(0.5, shown.horizon + max(0.5, 0.025 * shown.horizon))
    _end_axis(axes, shown.quality.axis(shown.measurements), shown.chance_percent)
    strongest = f"front, {WHISKERS}" if banded else "front"
    entries = [_key(linewidth=2.2, label=strongest), _key(linewidth=1.1, alpha=0.6, label="others")]
    if any(not c.finished for c in shown.curves):
        entries.append(_key(linestyle=(0, (4, 2)), label="in training"))
    if any(c.stopped for c in shown.curves):
        entries.append(_key(**_OPEN, linestyle="", label="stopped"))
    if predicted:
        entries.append(
            _key(
                markerfacecolor="white",
                marker="s",
                markersize=6,
                markeredgewidth=1.5,
                linestyle=":",
                label=f"predicted for epoch {shown.horizon}",
            )
        )
    _legend(axes, entries)
