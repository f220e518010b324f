"""Isomorphisms of two architectures, by colour refinement of both graphs at once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from a4nn_core.spaces.architecture import Architecture

Pairs = list[tuple[int, int]]

TRIES = 50  # layers that one is tried with while an isomorphism is looked for, at most


def isomorphism(old: Architecture, new: Architecture) -> Pairs | None:
    """An isomorphism of two graphs; None if none was found, which for equal hashes is as good as never.

    As long as layers share a colour, one of them is paired with the first of the other graph that leaves the
    colours of both graphs in balance. That choice is not taken back, so the time is bounded.
    """
    both = Both(old, new)
    colours: list[int] | None = both.refined(both.kinds())
    while colours is not None:
        first, second = colours[: both.size], colours[both.size :]
        if Counter(first) != Counter(second):
            return None
        shared = [(count, colour) for colour, count in Counter(first).items() if count > 1]
        if not shared:
            place = {colour: j for j, colour in enumerate(second)}
            moved = {i: place[colour] for i, colour in enumerate(first)}
            same = Counter((moved[s], moved[t]) for s, t in old.edges) == Counter(new.edges)
            return sorted(moved.items()) if same else None
        _, colour = min(shared)
        i = first.index(colour)
        candidates = [j for j, its in enumerate(second) if its == colour]
        colours = both.first_paired(colours, i, candidates[:TRIES])
    return None


class Both:
    """Two graphs as one, so that colours of the first and of the second can be compared."""

    def __init__(self, old: Architecture, new: Architecture) -> None:
        self.size = len(old.layers)
        self.old, self.new = old, new
        self.neighbours = [
            *old.neighbours,
            *(
                (tuple(self.size + j for j in before), tuple(self.size + j for j in after))
                for before, after in new.neighbours
            ),
        ]

    def kinds(self) -> list[int]:
        """The colours before the first round."""
        return numbered([*self.old.kinds, *self.new.kinds])

    def step(self, colours: Sequence[int], before: bool = True, after: bool = True) -> list[int]:
        """One round of refinement, by the layers that feed a layer, by those it feeds, or by both."""
        return numbered(
            [
                (
                    own,
                    tuple(sorted(colours[j] for j in sources)) if before else (),
                    tuple(sorted(colours[j] for j in targets)) if after else (),
                )
                for own, (sources, targets) in zip(colours, self.neighbours, strict=True)
            ]
        )

    def refined(self, colours: list[int]) -> list[int]:
        """Refined until no class of colours splits any further."""
        classes = 0
        while len(set(colours)) > classes:
            classes = len(set(colours))
            colours = self.step(colours)
        return colours

    def first_paired(self, colours: list[int], i: int, candidates: Sequence[int]) -> list[int] | None:
        """``paired`` with the first layer of some that leaves balance; None if none does."""
        for j in candidates:
            found = self.paired(colours, i, j)
            if found is not None:
                return found
        return None

    def paired(self, colours: list[int], i: int, j: int) -> list[int] | None:
        """Refined after one layer of each graph got a colour of their own; None if that leaves no balance.

        Only the classes beside those that were split are looked at, so it takes little time in large graphs.
        """
        colours = list(colours)
        members: dict[int, list[int]] = {}
        for layer, colour in enumerate(colours):
            members.setdefault(colour, []).append(layer)
        unused = max(colours) + 1
        pair = [i, self.size + j]
        members[colours[i]] = [layer for layer in members[colours[i]] if layer not in pair]
        members[unused] = pair
        colours[pair[0]] = colours[pair[1]] = unused
        moved = pair
        while moved:
            beside = {k for layer in moved for side in self.neighbours[layer] for k in side}
            moved = []
            for colour in sorted({colours[layer] for layer in beside}):
                groups: dict[object, list[int]] = {}
                for layer in members[colour]:
                    groups.setdefault(self._surroundings(colours, layer), []).append(layer)
                for group in list(groups.values())[1:]:
                    if 2 * sum(layer < self.size for layer in group) != len(group):
                        return None
                    unused += 1
                    members[unused] = group
                    gone = {*group}
                    members[colour] = [layer for layer in members[colour] if layer not in gone]
                    for layer in group:
                        colours[layer] = unused
                    moved += group
        return colours

    def _surroundings(self, colours: Sequence[int], layer: int) -> object:
        before, after = self.neighbours[layer]
        return tuple(sorted(colours[k] for k in before)), tuple(sorted(colours[k] for k in after))


def numbered(values: Sequence[object]) -> list[int]:
    """A number for each value, the same for equal ones."""
    numbers: dict[object, int] = {}
    return [numbers.setdefault(value, len(numbers)) for value in values]
