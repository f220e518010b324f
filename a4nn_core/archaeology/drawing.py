"""Pictures of architectures: their phases from left to right, nodes on a line, connections as arcs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from a4nn_core.archaeology.sketch import COLOURS, Link, Node, Sketch, State, sketch
from a4nn_core.archaeology.style import MUTED, series
from a4nn_core.errors import BadInput
from a4nn_core.printable import printable_within
from a4nn_core.spaces.architecture import Architecture

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FORMATS = (".svg", ".png", ".pdf")
SPACIOUS, NARROW = 1.05, 0.62
"""inches from node to node, of one architecture and of strips of them"""
_LETTERS = {SPACIOUS: 12, NARROW: 9}
"""of a name in a box; more could not be read"""


def draw_architecture(architecture: Architecture, path: Path) -> None:
    """Draw an architecture into a file.

    Args:
        architecture: any; see ``sketch`` for what is drawn as one node.
        path: ends with .svg, .png or .pdf.

    Raises:
        BadInput: ``path`` has another ending or cannot be written.
    """
    if path.suffix not in FORMATS:
        raise BadInput(f"--picture {path}: the ending must be one of {', '.join(FORMATS)}")
    from matplotlib.figure import Figure

    drawn = sketch(architecture)
    figure = Figure(figsize=size(drawn), layout="constrained")
    axes = figure.add_subplot()
    draw_sketch(axes, drawn, by_phase=True)
    axes.set_title(
        f"{architecture.flops / 1e6:.3f} million multiply-adds, {architecture.parameters:,} parameters"
        "   (channels, height × width below each node)",
        fontsize=9,
        loc="left",
    )
    try:
        figure.savefig(path, dpi=150)
    except OSError as error:
        raise BadInput(f"picture {path} cannot be written: {error.strerror}") from None


def reach(drawn: Sketch) -> int:
    """Nodes that the longest connection passes over."""
    return max((abs(link.target - link.source) for link in drawn.links), default=1)


def size(drawn: Sketch) -> tuple[float, float]:
    """Width and height of a picture of a sketch, in inches."""
    return SPACIOUS * len(drawn.nodes) + 0.6, 2.0 + 0.28 * reach(drawn)


def draw_sketch(axes: Axes, drawn: Sketch, *, by_phase: bool, inches: float = SPACIOUS) -> None:
    """Draw a sketch.

    Args:
        axes: where; nodes are one unit apart.
        drawn: the sketch.
        by_phase: whether colours say the phase of a node; else its state.
        inches: from node to node; names are as large as fits.
    """
    for position, node in enumerate(drawn.nodes):
        colour = _phase_colour(node.phase) if by_phase else COLOURS[node.state]
        _draw_node(axes, position, node, colour, inches)
    for link in drawn.links:
        _draw_link(axes, link, "#777777" if by_phase else COLOURS[link.state])
    for phase in sorted({node.phase for node in drawn.nodes if node.phase is not None}):
        inside = [position for position, node in enumerate(drawn.nodes) if node.phase == phase]
        colour = _phase_colour(phase) if by_phase else MUTED
        axes.axvspan(min(inside) - 0.46, max(inside) + 0.46, color=colour, alpha=0.08, linewidth=0)
        middle = (min(inside) + max(inside)) / 2
        words = f"phase {phase + 1}"
        axes.text(middle, -1.08, words, ha="center", va="center", fontsize=9, color=colour)
    axes.set_xlim(-0.6, len(drawn.nodes) - 0.4)
    axes.set_ylim(-1.3, 0.5 + 0.24 * reach(drawn))
    axes.set_aspect("equal")
    axes.axis("off")


def _phase_colour(phase: int | None) -> str:
    return "#444444" if phase is None else series(phase)


def _draw_node(axes: Axes, position: int, node: Node, colour: str, inches: float) -> None:
    from matplotlib.patches import Circle, FancyBboxPatch

    gone = node.state is State.removed
    dash = (0, (3, 2)) if gone else "-"
    if node.is_round:
        face, edge = ("white", colour) if gone else (colour, "white")
        axes.add_patch(
            Circle(
                (position, 0), 0.27, facecolor=face, edgecolor=edge, linestyle=dash, linewidth=1.2, zorder=3
            )
        )
    else:
        axes.add_patch(
            FancyBboxPatch(
                (position - 0.33, -0.17),
                0.66,
                0.34,
                boxstyle="round,pad=0.02",
                facecolor="white",
                edgecolor=colour,
                linestyle=dash,
                linewidth=1.4,
                zorder=3,
            )
        )
    words = printable_within(node.title.removeprefix("node "), _LETTERS[inches])
    most, room = (11, 0.46) if node.is_round else (8, 0.62)
    axes.text(
        position,
        0,
        words,
        ha="center",
        va="center",
        fontsize=min(most, 72 * room * inches / (0.6 * max(len(words), 1))),
        parse_math=False,
        color="white" if node.is_round and not gone else colour,
        zorder=4,
    )
    axes.text(position, -0.42, node.size, ha="center", va="top", fontsize=7, color=MUTED, linespacing=1.3)


def _draw_link(axes: Axes, link: Link, colour: str) -> None:
    from matplotlib.patches import FancyArrowPatch

    plain = link.state is State.kept
    axes.add_patch(
        FancyArrowPatch(
            (link.source, 0),
            (link.target, 0),
            connectionstyle=f"arc3,rad={0 if link.target - link.source == 1 else -0.42}",
            arrowstyle="-|>",
            mutation_scale=9,
            shrinkA=18,
            shrinkB=18,
            color=colour,
            linestyle=(0, (3, 2)) if link.state is State.removed else "-",
            linewidth=1.1 if plain else 1.7,
            zorder=2 if plain else 2.5,
        )
    )
