"""What rules save against what they lose, as a picture."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from a4nn_core.errors import BadInput
from a4nn_core.replay.laboratory import Replayed

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LOSS = 1.0
"""regret at which loss begins, in standard errors: less is nothing that the images can tell"""
EMPHASISED = "front"
"""the rule of this project, which stands out among the others"""
STRONG = "#c1121f"
"""its colour"""
_COLOURS = (
    *("#000000", "#0072b2", "#56b4e9", "#009e73", "#e69f00", "#cc79a7"),
    *("#8c6d31", "#7f7f7f", "#6a3d9a", "#a6b800", "#d400d4", "#f4a582"),
)
_COLUMNS = 3  # of panels
_MARKS = "osD^vPX<>ph*"
_LINEAR = 1.0  # the scale is linear up to here, so that no regret at all has a place on it


def tradeoff_figure(found: Sequence[Replayed], path: Path) -> None:
    """Draw epochs saved against regret in standard errors: a panel for each run, a line for each rule through
    its settings. An open circle is around the setting that saves most before loss begins. The lines of
    ``front`` are drawn above all others.

    Args:
        found: replays of complete curves, on runs whose number of validation images is known.
        path: image to write; its ending says the format.

    Raises:
        BadInput: no replay has a regret in standard errors, or the format is not known.
    """
    from matplotlib.figure import Figure

    shown = [one for one in found if one.front_regret_se is not None]
    if not shown:
        raise BadInput("there is no regret in standard errors to draw: say how many --images there were")
    runs = list(dict.fromkeys(one.run for one in shown))
    families = list(dict.fromkeys(one.family for one in shown))
    columns = min(len(runs), _COLUMNS)
    rows = math.ceil(len(runs) / columns)
    figure = Figure(figsize=(1 + 4.2 * columns, 0.9 + 4.5 * rows), layout="constrained")
    panels = figure.subplots(rows, columns, squeeze=False, sharey=True)
    for axes, run in zip(panels.flat, runs, strict=False):
        for family, style in zip(families, _styles(families), strict=True):
            _line(axes, [one for one in shown if (one.run, one.family) == (run, family)], style)
        _frame(axes, run)
    for axes in panels.flat[len(runs) :]:
        axes.set_axis_off()
    for axes in panels[:, 0]:
        axes.set_ylabel("front regret (standard errors)")
    handles, labels = panels[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=1 + 2 * columns, frameon=False)
    try:
        figure.savefig(path, dpi=150)
    except (OSError, ValueError) as error:
        raise BadInput(f"the figure cannot be written to {path}: {error}") from None


@dataclass(frozen=True)
class _Style:
    """Of the line of a rule."""

    colour: str
    mark: str
    hollow: bool = False
    strong: bool = False


def _styles(families: Sequence[str]) -> list[_Style]:
    """One for each rule, told apart by colour and mark."""
    styles, plain, strong = list[_Style](), 0, 0
    for family in families:
        if family.partition(",")[0] == EMPHASISED:
            styles.append(_Style(STRONG, "os"[strong % 2], hollow=strong % 2 == 1, strong=True))
            strong += 1
        else:
            styles.append(_Style(_COLOURS[plain % len(_COLOURS)], _MARKS[plain % len(_MARKS)]))
            plain += 1
    return styles


def _line(axes: Axes, replays: Sequence[Replayed], style: _Style) -> None:
    """One rule: its settings in the order of what they save."""
    points = sorted((one.epochs_saved_percent, one.front_regret_se or 0.0) for one in replays)
    if not points:
        return
    saved, regret = zip(*points, strict=True)
    above = 3 if style.strong else 2
    axes.plot(
        saved,
        regret,
        color=style.colour,
        marker=style.mark,
        markerfacecolor="white" if style.hollow else style.colour,
        markersize=7 if style.strong else 4.5,
        linewidth=1.8 if style.strong else 0.6,
        zorder=above,
        label=replays[0].family,
    )
    before = [point for point in points if point[1] <= LOSS]
    if before:
        size = 14 if style.strong else 10
        axes.plot(
            *before[-1], color=style.colour, marker="o", markersize=size, fillstyle="none", zorder=above
        )


def _frame(axes: Axes, run: str) -> None:
    axes.axhspan(0, LOSS, color="0.93", zorder=0)
    axes.axhline(LOSS, color="0.5", linewidth=0.8)
    axes.text(99, LOSS, "loss begins", color="0.4", fontsize="small", va="bottom", ha="right")
    axes.set_yscale("symlog", linthresh=_LINEAR)
    axes.set_yticks([0, 1, 10, 100], labels=["0", "1", "10", "100"])
    axes.set_ylim(-0.1, 150)
    axes.set_xlim(0, 100)
    axes.set_xlabel("epochs saved (%)")
    axes.set_title(run, fontsize="medium")
