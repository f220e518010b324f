"""What rules save against what they lose, as a picture."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from a4nn_core.errors import BadInput
from a4nn_core.replay.laboratory import Replayed

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LOSS = 1.0
"""regret at which loss begins, in standard errors: less is nothing that the images can tell"""
_LINEAR = 1.0  # the scale is linear up to here, so that no regret at all has a place on it


def tradeoff_figure(found: Sequence[Replayed], path: Path) -> None:
    """Draw epochs saved against regret in standard errors: a panel for each run, a line for each rule through
    its settings. Larger is the mark of the setting that saves most before loss begins.

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
    figure = Figure(figsize=(1 + 4.2 * len(runs), 5.4), layout="constrained")
    panels = figure.subplots(1, len(runs), squeeze=False, sharey=True)[0]
    for axes, run in zip(panels, runs, strict=True):
        for number, family in enumerate(families):
            _line(axes, [one for one in shown if (one.run, one.family) == (run, family)], number)
        _frame(axes, run)
    panels[0].set_ylabel("front regret, standard errors")
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(
        handles, labels, loc="outside lower center", ncols=3 if len(runs) == 1 else 6, frameon=False
    )
    try:
        figure.savefig(path, dpi=150)
    except (OSError, ValueError) as error:
        raise BadInput(f"the figure cannot be written to {path}: {error}") from None


def _line(axes: Axes, replays: Sequence[Replayed], number: int) -> None:
    """One rule: its settings in the order of what they save."""
    points = sorted((one.epochs_saved_percent, one.front_regret_se or 0.0) for one in replays)
    if not points:
        return
    colour, mark = f"C{number % 10}", "osD^vP"[number // 10 % 6]
    saved, regret = zip(*points, strict=True)
    axes.plot(saved, regret, color=colour, marker=mark, markersize=4, linewidth=1, label=replays[0].family)
    before = [point for point in points if point[1] <= LOSS]
    if before:
        axes.plot(*before[-1], color=colour, marker=mark, markersize=10, fillstyle="none")


def _frame(axes: Axes, run: str) -> None:
    axes.axhspan(0, LOSS, color="0.93", zorder=0)
    axes.axhline(LOSS, color="0.5", linewidth=0.8)
    axes.text(99, LOSS, "loss begins", color="0.4", fontsize="small", va="bottom", ha="right")
    axes.set_yscale("symlog", linthresh=_LINEAR)
    axes.set_yticks([0, 1, 10, 100], labels=["0", "1", "10", "100"])
    axes.set_ylim(-0.1, 150)
    axes.set_xlim(0, 100)
    axes.set_xlabel("epochs saved, %")
    axes.set_title(run, fontsize="medium")
