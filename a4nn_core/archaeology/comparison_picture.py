"""A comparison as a picture: the accuracy of each system, and what it cost to find."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from a4nn_core.archaeology.comparison import Field
from a4nn_core.archaeology.published import FIGURES
from a4nn_core.printable import printable

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_INK, _FAINT, _BEST, _OTHER = "#1f2430", "#8a8f98", "#d1495b", "#30638e"
_NAME = 46
"""characters of a system's name that are shown"""


def draw_comparison(fields: Sequence[Field], file: Path, form: str) -> None:
    """Write the picture.

    Args:
        fields: what was compared.
        file: where to write it.
        form: png, svg or pdf.
    """
    import matplotlib as mpl
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    with mpl.rc_context({"font.size": 11, "axes.spines.top": False, "axes.spines.right": False}):
        heights = [len(one.systems) + 1.5 for one in fields]
        figure = Figure(figsize=(12, 0.42 * sum(heights) + 0.8), dpi=150, layout="constrained")
        FigureCanvasAgg(figure)
        axes = figure.subplots(
            len(fields), 2, squeeze=False, gridspec_kw={"height_ratios": heights, "width_ratios": (3, 2)}
        )
        for row, one in zip(axes, fields, strict=True):
            _accuracies(row[0], one)
            _costs(row[1], one)
        figure.savefig(file, format=form)


def _accuracies(axes: Axes, one: Field) -> None:
    best = one.systems[0].accuracy
    for place, system in enumerate(one.systems):
        accuracy = system.accuracy
        if accuracy is None:
            continue
        colour = _BEST if place == 0 else _OTHER
        axes.errorbar(accuracy.mean, place, xerr=system.accuracy_se_points, fmt="o", color=colour, capsize=3)
        seeds = [found.test_accuracy_percent for found in system.found if found.test_accuracy_percent]
        if len(seeds) > 1:
            axes.plot(seeds, [place] * len(seeds), "|", color=_FAINT, markersize=9)
    if best is not None and (error := one.systems[0].accuracy_se_points) is not None:
        axes.axvspan(best.mean - error, best.mean + error, color=_BEST, alpha=0.08, linewidth=0)
    for figure in FIGURES:
        if figure.beam == one.beam:
            axes.axvline(figure.accuracy_percent, color=_FAINT, linestyle=":", linewidth=1)
            axes.annotate(
                f"{figure.system}, published",
                (figure.accuracy_percent, 1.0),
                xycoords=("data", "axes fraction"),
                fontsize=8,
                color=_FAINT,
                ha="right",
                va="bottom" if figure.system == "XPSI" else "top",
            )
    axes.set_yticks(range(len(one.systems)), [_short(system.name) for system in one.systems])
    axes.set_ylim(len(one.systems) - 0.5, -0.7)
    axes.set_title(printable(one.data), loc="left", color=_INK, fontsize=12, pad=14)
    axes.set_xlabel("test accuracy (%) ± standard error")
    axes.grid(axis="x", color="#e6e8ec")


def _costs(axes: Axes, one: Field) -> None:
    """Device time; of what was never measured, no bar."""
    for place, system in enumerate(one.systems):
        seconds = system.value(lambda found: found.training_seconds)
        mflops = system.value(lambda found: found.mflops)
        if seconds is not None:
            colour = _BEST if place == 0 else _OTHER
            axes.barh(place, seconds.mean / 60, xerr=(seconds.deviation or 0) / 60, color=colour, height=0.55)
        words = "" if mflops is None else f" {mflops.mean:.3g} MFLOPs"
        end = 0.0 if seconds is None else (seconds.mean + (seconds.deviation or 0)) / 60
        axes.annotate(words, (end, place), va="center", fontsize=9, color=_INK)
    axes.set_yticks([])
    axes.set_ylim(len(one.systems) - 0.5, -0.7)
    axes.margins(x=0.35)
    axes.set_xlim(left=0)
    axes.set_xlabel("device time (minutes)")


def _short(name: str) -> str:
    return printable(name if len(name) <= _NAME else f"{name[: _NAME - 3]}...")
