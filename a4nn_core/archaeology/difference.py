"""What changed from one architecture to another: layers and connections kept, changed, added and removed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property

from a4nn_core.archaeology.isomorphism import Pairs
from a4nn_core.archaeology.matching import match
from a4nn_core.spaces.architecture import Architecture

Connection = tuple[int, int]

_SETTINGS = ("op", "channels", "kernel", "stride", "padding", "bias")


@dataclass(frozen=True)
class Amount:
    """Cost of some layers.

    Attributes:
        layers: number of layers.
        flops: multiply-adds for one image.
        parameters: trainable parameters.
    """

    layers: int = 0
    flops: int = 0
    parameters: int = 0

    @classmethod
    def of(cls, architecture: Architecture, layers: Iterable[int]) -> Amount:
        """The cost of some layers of an architecture."""
        costs = [architecture.costs[layer] for layer in layers]
        return cls(len(costs), sum(c.flops for c in costs), sum(c.parameters for c in costs))


@dataclass(frozen=True)
class Change:
    """A layer that is at the same place in both architectures and not the same.

    Attributes:
        old, new: its number in each architecture.
        what: names of the settings that differ, such as ``kernel``; empty if the layer itself is the same
            and only the size of what it is given differs.
    """

    old: int
    new: int
    what: tuple[str, ...]


@dataclass(frozen=True)
class Difference:
    """The difference of two architectures.

    Every layer of ``old`` is kept, changed or removed, and every layer of ``new`` kept, changed or added;
    every connection is kept, added or removed. The costs add up: ``new.flops - old.flops`` is the cost of
    what was added, less that of what was removed, and by how much what was changed costs more.

    Attributes:
        old, new: the architectures.
        kept: (number in ``old``, number in ``new``) of layers that are the same and cost the same, sorted.
        changed: layers at the same place that are not the same, sorted.
        added: numbers of layers of ``new``, sorted.
        removed: numbers of layers of ``old``, sorted.
        kept_edges: (connection of ``old``, connection of ``new``) whose both ends are kept or changed layers.
        added_edges: connections of ``new``, in its numbers.
        removed_edges: connections of ``old``, in its numbers.
    """

    old: Architecture = field(repr=False)
    new: Architecture = field(repr=False)
    kept: tuple[tuple[int, int], ...]
    changed: tuple[Change, ...]
    added: tuple[int, ...]
    removed: tuple[int, ...]
    kept_edges: tuple[tuple[Connection, Connection], ...]
    added_edges: tuple[Connection, ...]
    removed_edges: tuple[Connection, ...]

    @property
    def nothing(self) -> bool:
        """Whether both are the same network, up to the numbering of layers."""
        return not (self.changed or self.added or self.removed or self.added_edges or self.removed_edges)

    @property
    def pairs(self) -> tuple[tuple[int, int], ...]:
        """Layers that are in both, kept or changed, sorted."""
        return tuple(sorted([*self.kept, *((c.old, c.new) for c in self.changed)]))

    @cached_property
    def cost_kept(self) -> Amount:
        """Cost of the layers that were kept."""
        return Amount.of(self.new, (new for _, new in self.kept))

    @cached_property
    def cost_added(self) -> Amount:
        """Cost of the layers that were added."""
        return Amount.of(self.new, self.added)

    @cached_property
    def cost_removed(self) -> Amount:
        """Cost of the layers that were removed."""
        return Amount.of(self.old, self.removed)

    @cached_property
    def cost_changed(self) -> tuple[Amount, Amount]:
        """Cost of the layers that were changed, before and after."""
        return (
            Amount.of(self.old, (change.old for change in self.changed)),
            Amount.of(self.new, (change.new for change in self.changed)),
        )

    @property
    def flops(self) -> int:
        """By how many multiply-adds an image the new one costs more."""
        return self.new.flops - self.old.flops

    @property
    def parameters(self) -> int:
        """By how many parameters the new one is greater."""
        return self.new.parameters - self.old.parameters

    @property
    def edits(self) -> int:
        """Number of layers and connections that are not in both, and of layers that were changed."""
        differ = (self.changed, self.added, self.removed, self.added_edges, self.removed_edges)
        return sum(len(part) for part in differ)

    @property
    def likeness(self) -> float:
        """Share of layers and connections that are in both and the same, from 0 to 1 (Dice coefficient)."""
        sizes = [len(one.layers) + len(one.edges) for one in (self.old, self.new)]
        return 2 * (len(self.kept) + len(self.kept_edges)) / max(sum(sizes), 1)

    def text(self) -> str:
        """The difference in words, such as ``+3 -1 ~2 layers, +4 -2 connections``."""
        if self.nothing:
            return "the same network"
        parts = [
            " ".join(f"{sign}{len(what)}" for sign, what in signed if what) + f" {word}"
            for word, signed in (
                ("layers", (("+", self.added), ("-", self.removed), ("~", self.changed))),
                ("connections", (("+", self.added_edges), ("-", self.removed_edges))),
            )
            if any(what for _, what in signed)
        ]
        return ", ".join(parts)


def difference(old: Architecture, new: Architecture) -> Difference:
    """The difference of two architectures of any spaces, by structure: numbers, labels, phases do not count.

    It is exact for two graphs of the same network; for others it is the smallest that was found in bounded
    time (``matching.match``). ``difference(new, old)`` is its mirror image.

    Raises:
        BadInput: an operation of a layer is not known.
    """
    pairs = match(old, new)
    kept, changed = [], []
    for i, j in pairs:
        what = _changes(old, i, new, j)
        if what is None:
            kept.append((i, j))
        else:
            changed.append(Change(i, j, what))
    kept_edges, added_edges, removed_edges = _edges(old, new, pairs)
    return Difference(
        old,
        new,
        kept=tuple(kept),
        changed=tuple(changed),
        added=tuple(sorted({*range(len(new.layers))} - {j for _, j in pairs})),
        removed=tuple(sorted({*range(len(old.layers))} - {i for i, _ in pairs})),
        kept_edges=kept_edges,
        added_edges=added_edges,
        removed_edges=removed_edges,
    )


def _changes(old: Architecture, i: int, new: Architecture, j: int) -> tuple[str, ...] | None:
    """Names of the settings in which two layers differ; None if they are the same and cost the same."""
    if old.kinds[i] == new.kinds[j]:
        return None if old.costs[i] == new.costs[j] else ()
    before, after = old.layers[i], new.layers[j]
    fields = [name for name in _SETTINGS if getattr(before, name) != getattr(after, name)]
    if before.op == after.op:
        settings = [one.operations[place].changed() for one, place in ((old, i), (new, j))]
        names = sorted({*settings[0], *settings[1]})
        fields += [name for name in names if settings[0].get(name) != settings[1].get(name)]
    return tuple(fields)


def _edges(
    old: Architecture, new: Architecture, pairs: Pairs
) -> tuple[tuple[tuple[Connection, Connection], ...], tuple[Connection, ...], tuple[Connection, ...]]:
    """Connections kept, added and removed; two connections of the same two layers count as two."""
    place = dict(pairs)
    left = Counter(new.edges)
    kept, removed = [], []
    for source, target in old.edges:
        moved = (place.get(source, -1), place.get(target, -1))
        if left[moved] > 0:
            left[moved] -= 1
            kept.append(((source, target), moved))
        else:
            removed.append((source, target))
    return tuple(kept), tuple(left.elements()), tuple(removed)
