"""Architectures in short, as a page (``report/page/matching.js``) reads them to compare any two of them."""

from __future__ import annotations

from itertools import groupby
from typing import Any

from a4nn_core.archaeology.matching import order
from a4nn_core.archaeology.sketch import sketch
from a4nn_core.spaces.architecture import Architecture

Place = tuple[int, int]


class Graphs:
    """Architectures whose layers share one table, since few kinds of layers make up many networks.

    Attributes:
        layers: the table: for each different layer numbers of its kind, of its operation and of its cost, and
            the rows of its output. Equal numbers are equal kinds, operations and costs.
    """

    def __init__(self) -> None:
        self.layers: list[tuple[int, int, int, int]] = []
        self._numbers: dict[object, int] = {}
        self._places: dict[tuple[int, int, int, int], int] = {}
        self._added: list[Architecture] = []

    def add(self, architecture: Architecture) -> dict[str, Any]:
        """An architecture as a page holds it.

        Args:
            architecture: its operations are known.

        Returns:
            ``number``, its place in ``order``; ``layers``, the place of each in the table; ``groups``, the
            node of its sketch that each is drawn in; ``edges``, source and target of each, one after another.
        """
        group_of = {layer: at for at, node in enumerate(sketch(architecture).nodes) for layer in node.layers}
        self._added.append(architecture)
        return {
            "number": len(self._added) - 1,
            "layers": [self._place(architecture, layer) for layer in range(len(architecture.layers))],
            "groups": [group_of[layer] for layer in range(len(architecture.layers))],
            "edges": [end for edge in architecture.edges for end in edge],
        }

    def order(self) -> list[Place]:
        """For each architecture that was added, numbers of its hash and of its place in the order in which
        two are matched (``matching.order``)."""
        found: list[Place] = [(0, 0)] * len(self._added)
        ordered = sorted(range(len(self._added)), key=lambda number: self._added[number].hash)
        place = -1
        for same, those in enumerate(_groups(ordered, lambda number: self._added[number].hash)):
            if len(those) == 1:
                place += 1
                found[those[0]] = (same, place)
                continue
            texts = {number: order(self._added[number]) for number in those}
            for equal in _groups(sorted(those, key=lambda number: texts[number]), texts.__getitem__):
                place += 1
                for number in equal:
                    found[number] = (same, place)
        return found

    def _place(self, architecture: Architecture, layer: int) -> int:
        cost = architecture.costs[layer]
        row = (
            self._number("kind", architecture.kinds[layer]),
            self._number("op", architecture.layers[layer].op),
            self._number("cost", (cost.shape, cost.flops, cost.parameters)),
            cost.shape[1],
        )
        if row not in self._places:
            self._places[row] = len(self.layers)
            self.layers.append(row)
        return self._places[row]

    def _number(self, what: str, value: object) -> int:
        return self._numbers.setdefault((what, value), len(self._numbers))


def _groups(ordered: list[int], key: Any) -> list[list[int]]:
    return [list(those) for _, those in groupby(ordered, key=key)]
