"""A picture of one architecture: its phases from left to right, nodes on a line, connections as arcs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from a4nn_core.errors import BadInput
from a4nn_core.spaces.architecture import Architecture

FORMATS = (".svg", ".png", ".pdf")
_PHASE_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#7f3c8d", "#666666")


@dataclass
class _Node:
    title: str
    phase: int | None
    shape: tuple[int, int, int]


def draw_architecture(architecture: Architecture, path: Path) -> None:
    """Draw an architecture into a file.

    Args:
        architecture: any; layers whose labels share their first words and end with a word of their operation
            are drawn as one node.
        path: ends with .svg, .png or .pdf.

    Raises:
        BadInput: ``path`` has another ending or cannot be written.
    """
    if path.suffix not in FORMATS:
        raise BadInput(f"--picture {path}: the ending must be one of {', '.join(FORMATS)}")
    nodes, edges = _collapse(architecture)
    from matplotlib.figure import Figure
    from matplotlib.patches import Circle, FancyArrowPatch, FancyBboxPatch

    reach = max((abs(target - source) for source, target in edges), default=1)
    height = 2.0 + 0.28 * reach
    figure = Figure(figsize=(1.05 * len(nodes) + 0.6, height), layout="constrained")
    axes = figure.add_subplot()
    for position, node in enumerate(nodes):
        colour = "#444444" if node.phase is None else _PHASE_COLOURS[node.phase % len(_PHASE_COLOURS)]
        round_node = node.title.startswith("node")
        shape = (
            Circle((position, 0), 0.27, facecolor=colour, edgecolor="white", zorder=3)
            if round_node
            else FancyBboxPatch(
                (position - 0.33, -0.17),
                0.66,
                0.34,
                boxstyle="round,pad=0.02",
                facecolor="white",
                edgecolor=colour,
                linewidth=1.4,
                zorder=3,
            )
        )
        axes.add_patch(shape)
        axes.text(
            position,
            0,
            node.title.removeprefix("node "),
            ha="center",
            va="center",
            fontsize=11 if round_node else 8,
            color="white" if round_node else colour,
            zorder=4,
        )
        channels, rows, columns = node.shape
        size = f"{channels}\n{rows}×{columns}" if rows > 1 else str(channels)
        axes.text(position, -0.42, size, ha="center", va="top", fontsize=7, color="#555555", linespacing=1.3)
    for source, target in edges:
        step = target - source
        axes.add_patch(
            FancyArrowPatch(
                (source, 0),
                (target, 0),
                connectionstyle=f"arc3,rad={0 if step == 1 else -0.42}",
                arrowstyle="-|>",
                mutation_scale=9,
                shrinkA=18,
                shrinkB=18,
                color="#777777",
                linewidth=1.1,
                zorder=2,
            )
        )
    for phase in sorted({node.phase for node in nodes if node.phase is not None}):
        inside = [position for position, node in enumerate(nodes) if node.phase == phase]
        axes.axvspan(
            min(inside) - 0.46,
            max(inside) + 0.46,
            color=_PHASE_COLOURS[phase % len(_PHASE_COLOURS)],
            alpha=0.08,
            linewidth=0,
        )
        axes.text(
            (min(inside) + max(inside)) / 2,
            -1.08,
            f"phase {phase + 1}",
            ha="center",
            va="center",
            fontsize=9,
            color=_PHASE_COLOURS[phase % len(_PHASE_COLOURS)],
        )
    axes.set_title(
        f"{architecture.flops / 1e6:.3f} million multiply-adds, {architecture.parameters:,} parameters"
        "   (channels, height × width below each node)",
        fontsize=9,
        loc="left",
    )
    axes.set_xlim(-0.6, len(nodes) - 0.4)
    axes.set_ylim(-1.3, 0.5 + 0.24 * reach)
    axes.set_aspect("equal")
    axes.axis("off")
    try:
        figure.savefig(path, dpi=150)
    except OSError as error:
        raise BadInput(f"picture {path} cannot be written: {error.strerror}") from None


def _collapse(architecture: Architecture) -> tuple[list[_Node], list[tuple[int, int]]]:
    """The nodes that readers see and the connections between them, in drawing order."""
    nodes: list[_Node] = []
    group_of: list[int] = []
    known: dict[tuple[int | None, str], int] = {}
    for index, (layer, operation) in enumerate(
        zip(architecture.layers, architecture.operations, strict=True)
    ):
        *node, last = layer.label.split() or operation.text().split()
        # a node's layers are drawn as the one node they make up
        inner = node and last in (operation.name, *operation.words)
        title = " ".join(node if inner else [*node, last])
        key = (layer.phase, title)
        if key not in known:
            known[key] = len(nodes)
            nodes.append(_Node(title, layer.phase, architecture.costs[index].shape))
        nodes[known[key]].shape = architecture.costs[index].shape
        group_of.append(known[key])
    edges = sorted({(group_of[s], group_of[t]) for s, t in architecture.edges if group_of[s] != group_of[t]})
    return nodes, edges
