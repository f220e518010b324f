"""An architecture as people draw it: nodes on a line, connections as arcs, and what is new or gone marked.

A sketch says what is drawn; ``drawing`` draws it with matplotlib, a page with SVG
(``report/page/sketches.js``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from a4nn_core.archaeology.difference import Difference
from a4nn_core.archaeology.style import ADDED, CHANGED, FIRST, KEPT, REMOVED, SECOND
from a4nn_core.spaces.architecture import Architecture


class State(StrEnum):
    """Where a part of an architecture comes from, or what became of it."""

    kept = "kept"
    added = "added"
    removed = "removed"
    changed = "changed"
    first = "first"
    """from the first of two parents alone"""
    second = "second"
    """from the second of two parents alone"""


COLOURS: Mapping[State, str] = {
    State.kept: KEPT,
    State.added: ADDED,
    State.removed: REMOVED,
    State.changed: CHANGED,
    State.first: FIRST,
    State.second: SECOND,
}


@dataclass(frozen=True)
class Node:
    """What is drawn as one: a layer, or the layers of a node.

    Attributes:
        title: its name.
        phase: of the genome, from 0; None outside.
        shape: of its output, (channels, height, width).
        layers: numbers of its layers.
        flops: their multiply-adds for one image.
        parameters: their trainable parameters.
        state: where it comes from.
    """

    title: str
    phase: int | None
    shape: tuple[int, int, int]
    layers: tuple[int, ...]
    flops: int
    parameters: int
    state: State = State.kept

    @property
    def is_round(self) -> bool:
        """Whether it is a node of the genome, drawn as a circle."""
        return self.title.startswith("node")

    @property
    def size(self) -> str:
        """The shape of its output for people: channels, and height and width if there are any."""
        channels, rows, columns = self.shape
        return f"{channels}\n{rows}×{columns}" if rows > 1 else str(channels)


@dataclass(frozen=True)
class Link:
    """A connection between two nodes, numbers in their sketch."""

    source: int
    target: int
    state: State = State.kept


@dataclass(frozen=True)
class Sketch:
    """What is drawn of an architecture; nodes from left to right."""

    nodes: tuple[Node, ...]
    links: tuple[Link, ...]

    def to_json(self) -> dict[str, Any]:
        """The sketch in short; of a node title, phase, size, whether it is round, its state and its cost."""
        return {
            "nodes": [
                [
                    *(n.title.removeprefix("node "), n.phase, n.size, int(n.is_round), str(n.state)),
                    n.flops,
                    n.parameters,
                ]
                for n in self.nodes
            ],
            "links": [[k.source, k.target, str(k.state)] for k in self.links],
        }


def sketch(architecture: Architecture) -> Sketch:
    """What is drawn of an architecture.

    Layers whose labels share their first words and end with a word of their operation are one node.
    """
    titles: list[str] = []
    members: list[list[int]] = []
    group_of: list[int] = []
    known: dict[tuple[int | None, str], int] = {}
    layers = zip(architecture.layers, architecture.operations, strict=True)
    for index, (layer, operation) in enumerate(layers):
        *node, last = layer.label.split() or operation.text().split()
        # a node's layers are drawn as the one node they make up
        inner = node and last in (operation.name, *operation.words)
        title = " ".join(node if inner else [*node, last])
        key = (layer.phase, title)
        if key not in known:
            known[key] = len(titles)
            titles.append(title)
            members.append([])
        members[known[key]].append(index)
        group_of.append(known[key])
    costs = architecture.costs
    nodes = tuple(
        Node(
            title,
            architecture.layers[those[0]].phase,
            costs[those[-1]].shape,
            tuple(those),
            sum(costs[layer].flops for layer in those),
            sum(costs[layer].parameters for layer in those),
        )
        for title, those in zip(titles, members, strict=True)
    )
    edges = sorted({(group_of[s], group_of[t]) for s, t in architecture.edges if group_of[s] != group_of[t]})
    return Sketch(nodes, tuple(Link(s, t) for s, t in edges))


def step(differences: Sequence[Difference]) -> Sketch:
    """The new architecture of one difference, or of two that share it, as a child of its one or two parents.

    With one parent, what is gone is drawn too, where it was. With two, what comes from one of them alone is
    marked; what they did not hand on is seen in their own sketches (``handed_on``).

    Args:
        differences: from each parent to the child.
    """
    drawn = sketch(differences[0].new)
    if len(differences) == 1:
        (only,) = differences
        return _with_removed(_marked(drawn, only.new, _fate_of_new(only)), only)
    first, second = (_fate_of_new(one) for one in differences)
    return _marked(drawn, differences[0].new, lambda part: _from_two(first(part), second(part)))


def old_and_new(difference: Difference) -> tuple[Sketch, Sketch]:
    """Both architectures of a difference: what only the old one has as removed, what only the new one has "
    "as added."""
    old = _marked(sketch(difference.old), difference.old, _fate_of_old(difference))
    return old, _marked(sketch(difference.new), difference.new, _fate_of_new(difference))


def handed_on(difference: Difference, other: Difference, state: State) -> Sketch:
    """One of two parents: what only it handed on has its state, what both did is kept, the rest is removed.

    Args:
        difference: from this parent to the child.
        other: from the other parent to the same child.
        state: ``first`` or ``second``.
    """
    shared = _fate_of_new(other)
    becomes: dict[int | tuple[int, int], int | tuple[int, int]] = {
        **dict(difference.kept),
        **dict(difference.kept_edges),
    }

    def alone(fate: State, part: int | tuple[int, int]) -> State:
        return state if fate is State.kept and shared(becomes[part]) is not State.kept else fate

    fate = _fate_of_old(difference)
    return _marked(sketch(difference.old), difference.old, lambda part: alone(fate(part), part))


Fate = Callable[[int | tuple[int, int]], State]


def _fate_of_old(difference: Difference) -> Fate:
    kept = {old for old, _ in difference.kept}
    changed = {change.old for change in difference.changed}
    edges = {old for old, _ in difference.kept_edges}

    def fate(part: int | tuple[int, int]) -> State:
        if part in (kept if isinstance(part, int) else edges):
            return State.kept
        return State.changed if part in changed else State.removed

    return fate


def _fate_of_new(difference: Difference) -> Fate:
    kept = {new for _, new in difference.kept}
    changed = {change.new for change in difference.changed}
    edges = {new for _, new in difference.kept_edges}

    def fate(part: int | tuple[int, int]) -> State:
        if part in (kept if isinstance(part, int) else edges):
            return State.kept
        return State.changed if part in changed else State.added

    return fate


def _from_two(first: State, second: State) -> State:
    if first is second:
        return first
    if State.kept in (first, second):
        return State.first if first is State.kept else State.second
    return State.changed


def _marked(drawn: Sketch, architecture: Architecture, fate: Fate) -> Sketch:
    """A sketch with the states of its nodes and links, from those of layers and their connections."""
    group_of = {layer: at for at, node in enumerate(drawn.nodes) for layer in node.layers}
    between: dict[tuple[int, int], list[tuple[int, int]]] = {}
    for source, target in architecture.edges:
        between.setdefault((group_of[source], group_of[target]), []).append((source, target))
    nodes = (replace(node, state=_together(map(fate, node.layers))) for node in drawn.nodes)
    links = (
        replace(link, state=_together(map(fate, between[link.source, link.target]))) for link in drawn.links
    )
    return Sketch(tuple(nodes), tuple(links))


def _together(states: Iterable[State]) -> State:
    """The state of a whole: that of its parts if they share one, else changed."""
    every = set(states)
    return every.pop() if len(every) == 1 else State.changed


def _with_removed(drawn: Sketch, difference: Difference) -> Sketch:
    """A sketch of the new architecture with the nodes and links that only the old one has."""
    before = sketch(difference.old)
    gone = set(difference.removed)
    group_of = {layer: at for at, node in enumerate(drawn.nodes) for layer in node.layers}
    now = {old: group_of[new] for old, new in difference.pairs}
    after: dict[int, list[int]] = {}  # nodes of the old sketch by the node of the new one that they follow
    standing: dict[int, int] = {}
    anchor = -1
    for at, node in enumerate(before.nodes):
        if set(node.layers) <= gone:
            after.setdefault(anchor, []).append(at)
        else:
            standing[at] = next(now[layer] for layer in node.layers if layer in now)
            anchor = max(anchor, standing[at])
    nodes: list[Node] = []
    place: dict[int, int] = {}  # of nodes of the new sketch
    ghost: dict[int, int] = {}  # of nodes of the old one that are gone
    for at in range(-1, len(drawn.nodes)):
        if at >= 0:
            place[at] = len(nodes)
            nodes.append(drawn.nodes[at])
        for old in after.get(at, []):
            ghost[old] = len(nodes)
            nodes.append(replace(before.nodes[old], state=State.removed))
    links = [Link(place[link.source], place[link.target], link.state) for link in drawn.links]
    there = {(link.source, link.target) for link in links}
    for link in before.links:
        ends = [ghost.get(end, place.get(standing.get(end, -1), -1)) for end in (link.source, link.target)]
        if ends[0] != ends[1] and (ends[0], ends[1]) not in there:
            links.append(Link(ends[0], ends[1], State.removed))
    return Sketch(tuple(nodes), tuple(links))
