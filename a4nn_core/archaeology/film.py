"""A line of descent as a film strip, and what differs between the networks of a run."""

from __future__ import annotations

import math
from collections.abc import Container, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from a4nn_core.archaeology.descent import Family, Step
from a4nn_core.archaeology.difference import Difference, difference
from a4nn_core.archaeology.life import Life
from a4nn_core.archaeology.quality import ACCURACY, Quality, to_sort
from a4nn_core.archaeology.sketch import Sketch, State, handed_on, old_and_new, sketch, step
from a4nn_core.errors import BadInput
from a4nn_core.recorded_graphs import architectures_of
from a4nn_core.spaces.architecture import Architecture
from a4nn_core.vocabulary import NetworkStatus

if TYPE_CHECKING:
    from a4nn_core.commons import Commons


@dataclass(frozen=True)
class Frame:
    """One step of a film strip.

    Attributes:
        step: who was made from whom.
        sketch: the network, with its changes marked.
        parents: number and sketch of both parents of a two-parent step, with what they handed on marked.
        gain_se: standard error of the gain, None if that is not known.
        quality: what scores and gains are.
    """

    step: Step
    sketch: Sketch
    parents: tuple[tuple[int, Sketch], ...] = ()
    gain_se: float | None = None
    quality: Quality = ACCURACY

    @property
    def network(self) -> int:
        """The number of the network that the step made."""
        return self.step.network.network

    @property
    def stopped(self) -> bool:
        """Whether the gain is between scores of which one was not trained to the end."""
        both = (self.step.network, self.step.along)
        return any(one is not None and one.status is NetworkStatus.stopped for one in both)


@dataclass(frozen=True)
class Comparison:
    """Two networks side by side; see ``old_and_new``.

    Attributes:
        difference: of their architectures.
        old, new: their sketches.
    """

    difference: Difference
    old: Sketch
    new: Sketch

    @classmethod
    def of(cls, old: Architecture, new: Architecture) -> Comparison:
        """The comparison of two architectures.

        Raises:
            BadInput: an operation of a layer is not known.
        """
        found = difference(old, new)
        return cls(found, *old_and_new(found))


class Album:
    """The architectures of a run's networks, with what changed between them; differences are found once.

    Args:
        life: the records of the run.
        architectures: by number of network; those whose layers were not recorded are missing.
    """

    def __init__(self, life: Life, architectures: Mapping[int, Architecture]) -> None:
        self.life = life
        self.architectures = architectures
        self._differences: dict[tuple[int, int], Difference] = {}

    @classmethod
    def read(cls, commons: Commons, life: Life) -> Album:
        """The album of a run. Networks whose layers were not recorded in full are left out.

        Raises:
            BadInput: the records cannot be read.
        """
        recorded = architectures_of(commons.layers(life.run), commons.edges(life.run))
        return cls(life, {number: one for number, one in recorded.items() if _can_be_drawn(one)})

    @cached_property
    def family(self) -> Family:
        """The descent of the networks."""
        return Family(self.life.networks.values(), self.life.front)

    def sketches(self, some: Container[int]) -> dict[int, Sketch]:
        """What is drawn of each of some networks, by number."""
        return {number: sketch(one) for number, one in self.architectures.items() if number in some}

    def difference(self, old: int, new: int) -> Difference:
        """From one network to another, both of which are in the album."""
        if (old, new) not in self._differences:
            self._differences[old, new] = difference(self.architectures[old], self.architectures[new])
        return self._differences[old, new]

    def frame(self, one: Step) -> Frame | None:
        """A step as it is drawn; None if the layers of the network were not recorded."""
        number = one.network.network
        if number not in self.architectures:
            return None
        quality = self.life.quality
        parents = [parent.network for parent in one.parents if parent.network in self.architectures]
        found = [self.difference(parent, number) for parent in parents[:2]]
        if not found:
            return Frame(one, sketch(self.architectures[number]), quality=quality)
        if len(found) == 1:
            return Frame(one, step(found), (), self._gain_se(one), quality)
        sides = zip(parents, found, found[::-1], (State.first, State.second), strict=False)
        both = tuple((parent, handed_on(its, other, state)) for parent, its, other, state in sides)
        return Frame(one, step(found), both, self._gain_se(one), quality)

    def film(self, number: int) -> list[Frame]:
        """The steps from a founder to a network, founder first.

        Raises:
            BadInput: there is no such network.
        """
        frames = (self.frame(one) for one in self.family.path(number))
        return [frame for frame in frames if frame is not None]

    def frames(self, steps: int) -> Iterator[Frame]:
        """At most so many steps, those that led to the front first, then those to the best networks."""
        seen: set[int] = set()
        for number in self._by_interest():
            if len(seen) >= steps:  # a line of ten thousand generations takes its time to follow
                return
            for one in self.family.path(number):
                at = one.network.network
                if at in seen or len(seen) >= steps:
                    continue
                seen.add(at)
                frame = self.frame(one)
                if frame is not None:
                    yield frame

    def _by_interest(self) -> list[int]:
        """All networks, the front first, then by score."""
        networks = self.life.networks.values()
        ordered = sorted(networks, key=lambda n: (-to_sort(n.best_score), n.network))
        front = self.life.front
        return [n.network for n in sorted(ordered, key=lambda n: n.network not in front)]

    def _gain_se(self, one: Step) -> float | None:
        if one.along is None:
            return None
        images = self.life.header.images
        own, its = (n.score(images).error for n in (one.network, one.along))
        return None if own is None or its is None else math.hypot(own, its)


def _can_be_drawn(architecture: Architecture) -> bool:
    """Whether its operations are known here and fit together."""
    try:
        return bool(architecture.costs)
    except (BadInput, ValueError):
        return False
