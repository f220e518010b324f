"""The one visual language of all figures: colours that colour-blind people tell apart, and what they mean.

Hues are those of Okabe and Ito ("Color Universal Design", 2008). No meaning rests on hue alone: what is
removed is dashed, what was stopped is open, epochs that were not trained are hatched.
"""

from __future__ import annotations

from typing import Any

INK = "#1f2430"
"""text and what is chosen"""
MUTED = "#555b66"
"""text of less weight; its contrast on white is 6.9 to 1"""
FAINT = "#8a8f98"
"""lines that only help to read others"""
GRID = "#e6e8ec"
FRONT = "#d1495b"
"""the Pareto front, in every figure"""

KEPT = "#6b7280"
ADDED = "#009e73"
REMOVED = "#d55e00"
CHANGED = "#e69f00"
FIRST = "#0072b2"
"""what only the first of two parents, or of two networks, has"""
SECOND = "#cc79a7"
"""what only the second has"""

SERIES = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#7f3c8d", "#666666")
"""for things without an order: devices, runs, rules, phases"""

MATPLOTLIB: dict[Any, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 11,
    "axes.edgecolor": FAINT,
    "axes.labelcolor": INK,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": GRID,
    "axes.axisbelow": True,
    "legend.frameon": False,
    "legend.fontsize": 9.5,
    "svg.hashsalt": "a4nn",  # the same picture is the same file
}
"""settings of matplotlib for every still picture"""

# viridis of matplotlib at 0, 0.1, ..., 1; written out, as importing it would take longer than a whole page
_VIRIDIS = (
    *("#440154", "#482475", "#414487", "#355f8d", "#2a788e", "#21918c"),
    *("#22a884", "#44bf70", "#7ad151", "#bddf26", "#fde725"),
)
_FAINTEST = 0.88
"""the lightest part of the scale is too faint on white"""


def sequential(share: float) -> str:
    """A colour of the one scale of ordered values, #rrggbb; from light at 0 to dark at 1."""
    place = (1 - min(max(share, 0.0), 1.0)) * _FAINTEST * (len(_VIRIDIS) - 1)
    before = min(int(place), len(_VIRIDIS) - 2)
    low, high = _rgb(_VIRIDIS[before]), _rgb(_VIRIDIS[before + 1])
    mixed = (a + (b - a) * (place - before) for a, b in zip(low, high, strict=True))
    return "#" + "".join(f"{round(part):02x}" for part in mixed)


def series(number: int) -> str:
    """The colour of one of several things without an order, counted from 0."""
    return SERIES[number % len(SERIES)]


def _rgb(colour: str) -> tuple[int, ...]:
    return tuple(int(colour[at : at + 2], 16) for at in (1, 3, 5))
