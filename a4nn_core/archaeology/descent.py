"""Lines of descent: who came from whom in one run, from what its networks recorded."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from heapq import heapify, heappop, heappush

from a4nn_core.archaeology.quality import to_sort
from a4nn_core.commons.records import Network, best_network
from a4nn_core.errors import BadInput
from a4nn_core.jsonable import Json


@dataclass(frozen=True)
class Step:
    """One step of a line of descent.

    Attributes:
        network: the network that the step made.
        parents: all that it was made from, of which one or two are recorded; empty for a founder.
        along: the parent on the line, None for a founder.
        operator: what made it, such as ``variation``.
    """

    network: Network
    parents: tuple[Network, ...]
    along: Network | None
    operator: str | None

    @property
    def gain(self) -> float | None:
        """Best validation score above that of the parent on the line, in percentage points or decibels."""
        return _less(self.network, self.along)

    @property
    def gain_over_best(self) -> float | None:
        """Best validation score above that of the best parent, in percentage points or decibels."""
        return _less(self.network, best_network(self.parents))

    @property
    def extra_flops(self) -> int | None:
        """Multiply-adds an image more than the parent on the line."""
        if self.along is None or self.network.flops is None or self.along.flops is None:
            return None
        return self.network.flops - self.along.flops


def _less(network: Network, other: Network | None) -> float | None:
    if other is None or network.best_score is None or other.best_score is None:
        return None
    return network.best_score - other.best_score


@dataclass(frozen=True)
class Cohort:
    """One generation and where it comes from.

    Attributes:
        generation: its number, from 0.
        born: numbers of the networks that were made in it, sorted.
        living: numbers of the networks that were in the population: those born in it, and earlier ones that
            became parents later on or are among the final members.
        shares: founder to the share of its blood in what lives, a number of networks: a child has half of
            each of its two parents, so the shares add up to the number of living networks.
        common_ancestor: the youngest network that everything born in it descends from; None if there is none.
    """

    generation: int
    born: tuple[int, ...]
    living: tuple[int, ...]
    shares: Mapping[int, float]
    common_ancestor: int | None


class Family:
    """The descent of one run's networks.

    Args:
        networks: all final records of one run.
        final: numbers of networks that were in the last population, such as its front; those of the last
            generation are counted anyway.

    Attributes:
        networks: by number.
    """

    def __init__(self, networks: Iterable[Network], final: Iterable[int] = ()) -> None:
        self.networks: dict[int, Network] = {one.network: one for one in networks}
        self.final = frozenset(final)
        # a parent comes before its child: a record that says otherwise must not lead in a circle
        self._parents = {
            number: tuple(sorted({p for p in one.parents or () if p in self.networks and p < number}))
            for number, one in self.networks.items()
        }
        self._children: dict[int, list[int]] = {}
        for number in sorted(self.networks):
            for parent in self.parents(number):
                self._children.setdefault(parent, []).append(number)

    @property
    def recorded(self) -> bool:
        """Whether parents were recorded; imported runs often lack them, and some strategies have none."""
        return bool(self._children)

    @property
    def founders(self) -> tuple[int, ...]:
        """Numbers of the networks without parents, sorted."""
        return tuple(number for number in sorted(self.networks) if not self.parents(number))

    @property
    def generations(self) -> tuple[int, ...]:
        """The generations that networks were recorded of, sorted."""
        return tuple(sorted({g for one in self.networks.values() if (g := one.generation) is not None}))

    def parents(self, number: int) -> tuple[int, ...]:
        """Numbers of the networks that one was made from, sorted.

        Raises:
            BadInput: there is no such network.
        """
        self._get(number)
        return self._parents[number]

    def children(self, number: int) -> tuple[int, ...]:
        """Numbers of the networks that were made from one, sorted.

        Raises:
            BadInput: there is no such network.
        """
        self._get(number)
        return tuple(self._children.get(number, ()))

    def ancestors(self, number: int) -> frozenset[int]:
        """All networks that one descends from, without itself.

        Raises:
            BadInput: there is no such network.
        """
        return self._reached(number, up=True)

    def descendants(self, number: int) -> frozenset[int]:
        """All networks that descend from one, without itself.

        Raises:
            BadInput: there is no such network.
        """
        return self._reached(number, up=False)

    def step(self, number: int) -> Step:
        """How one network was made from its parents; the one on the line is chosen as ``path`` says.

        Raises:
            BadInput: there is no such network.
        """
        at = self._get(number)
        parents = tuple(self.networks[parent] for parent in self.parents(number))
        along = min(parents, key=partial(_distance, at), default=None)
        return Step(at, parents, along, at.operator)

    def path(self, number: int) -> tuple[Step, ...]:
        """The line of descent from a founder to one network, founder first.

        Of two parents it follows the one whose genome is nearer (fewer positions that differ); of equally
        near ones the one with the better score; then the one with the smaller number.

        Raises:
            BadInput: there is no such network.
        """
        line = [self.step(number)]
        while line[-1].along is not None:
            line.append(self.step(line[-1].along.network))
        return tuple(reversed(line))

    def living(self, generation: int) -> tuple[int, ...]:
        """Numbers of the networks that were in the population of one generation, sorted.

        They are what was born in it, and what was born before and is a parent of something born later, or is
        among the final members. What survived without ever having children again is not on record.
        """
        return tuple(number for number in sorted(self.networks) if self._alive(number, generation))

    @cached_property
    def last_generation(self) -> Mapping[int, int | None]:
        """For every network the last generation in which it was in the population, as far as is recorded."""
        end = max(self.generations, default=None)
        lasts: dict[int, int | None] = {}
        for number, one in self.networks.items():
            later = [g - 1 for child in self.children(number) if (g := self.networks[child].generation)]
            last = end if number in self.final else max(later, default=one.generation)
            lasts[number] = one.generation if last is None else max(last, one.generation or 0)
        return lasts

    def _alive(self, number: int, generation: int) -> bool:
        born, last = self.networks[number].generation, self.last_generation[number]
        return born is not None and last is not None and born <= generation <= last

    @cached_property
    def blood(self) -> Mapping[int, Mapping[int, float]]:
        """For every network its founders, with the share of each; the shares add up to 1."""
        blood: dict[int, dict[int, float]] = {}
        for number in sorted(self.networks):
            parents = self.parents(number)
            shares: dict[int, float] = {} if parents else {number: 1.0}
            for parent in parents:
                for founder, share in blood[parent].items():
                    shares[founder] = shares.get(founder, 0.0) + share / len(parents)
            blood[number] = shares
        return blood

    def cohorts(self) -> tuple[Cohort, ...]:
        """All generations in order, with the founders whose blood lives on and the common ancestor."""
        born: dict[int, list[int]] = {generation: [] for generation in self.generations}
        living: dict[int, list[int]] = {generation: [] for generation in self.generations}
        for number in sorted(self.networks):
            first, last = self.networks[number].generation, self.last_generation[number]
            if first is None or last is None:
                continue
            born[first].append(number)
            for generation in range(first, last + 1):
                if generation in living:
                    living[generation].append(number)
        return tuple(
            Cohort(
                generation,
                tuple(born[generation]),
                tuple(living[generation]),
                self._shares(living[generation]),
                self.common_ancestor(born[generation]),
            )
            for generation in self.generations
        )

    def _shares(self, numbers: Iterable[int]) -> Mapping[int, float]:
        total: dict[int, float] = {}
        for number in numbers:
            for founder, share in self.blood[number].items():
                total[founder] = total.get(founder, 0.0) + share
        return dict(sorted(total.items()))

    def common_ancestor(self, numbers: Iterable[int]) -> int | None:
        """The youngest network that all of some descend from, or that is the only one; None if there is none.

        Raises:
            BadInput: there is no such network.
        """
        carried = {number: 1 << place for place, number in enumerate(sorted({*numbers}))}
        whole = (1 << len(carried)) - 1
        waiting = [-number for number in carried]
        heapify(waiting)
        # numbers fall towards the founders, so the greatest one that is left has heard of all its descendants
        while waiting:
            at = -heappop(waiting)
            if carried[at] == whole:
                return at
            for parent in self.parents(at):
                if parent not in carried:
                    heappush(waiting, -parent)
                carried[parent] = carried.get(parent, 0) | carried[at]
        return None

    def _reached(self, number: int, up: bool) -> frozenset[int]:
        self._get(number)
        found: set[int] = set()
        waiting = [number]
        while waiting:
            at = waiting.pop()
            more = {*(self.parents(at) if up else self.children(at))} - found
            found |= more
            waiting += more
        return frozenset(found)

    def _get(self, number: int) -> Network:
        try:
            return self.networks[number]
        except KeyError:
            raise BadInput(f"there is no network {number} among {len(self.networks)}") from None


def _distance(child: Network, parent: Network) -> tuple[float, float, int]:
    """How far a parent is: first by genome, then by score, last by number."""
    genomes = [one.genome.value if one.genome else None for one in (parent, child)]
    return (
        positions_that_differ(*genomes),
        -to_sort(parent.best_score),
        parent.network,
    )


def positions_that_differ(one: Json, other: Json) -> float:
    """In how many values two genomes differ (Hamming); infinite if they are not of the same form."""
    if isinstance(one, list) and isinstance(other, list):
        if len(one) != len(other):
            return float("inf")
        return sum(positions_that_differ(a, b) for a, b in zip(one, other, strict=True))
    if isinstance(one, dict) and isinstance(other, dict):
        if set(one) != set(other):
            return float("inf")
        return sum(positions_that_differ(one[name], other[name]) for name in one)
    if isinstance(one, list | dict) or isinstance(other, list | dict):
        return float("inf")
    return float(one != other)
