"""Which layer of one architecture stands for which layer of another: a structural match without shared ids.

Graphs of the same network are matched by an isomorphism (colour refinement with individualisation). For others,
the match that keeps most layers and connections is looked for as a quadratic assignment, from the colour
classes that both graphs share, by the method of Frank and Wolfe with integer steps (Leordeanu et al., NIPS 2009;
Bougleux et al., Pattern Recognition Letters 87, 2017, for edit distances of graphs).
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from scipy.sparse import csr_array

from a4nn_core.spaces.architecture import Architecture

Pairs = list[tuple[int, int]]
Matrix = NDArray[np.float64]

# What a match gains: for a pair of layers by what they have in common, and for each connection that is kept.
# Layers that do different things are a pair only where connections on both sides say that one replaced the other.
EQUAL, RESIZED, RESET, REPLACED = 1.5, 1.0, 0.5, -0.5
CONNECTION = 1.0
SURROUNDINGS = 0.3  # at most, for alike surroundings and a similar place: decides among equals
ROUNDS = 16  # of refinement, for surroundings
STEPS = 30  # of the method, at most
WORK = 3e7  # pairs of layers times steps, about: bounds the time to some seconds
TRIES = 2000  # individualisations while an isomorphism is looked for, at most


def match(old: Architecture, new: Architecture) -> Pairs:
    """Pairs (layer of ``old``, layer of ``new``), sorted; every layer is in one pair at most.

    The match of ``new`` with ``old`` is the same, mirrored. Its time is bounded: about 0.1 s for 100 layers and
    some seconds for 1000.
    """
    if _order(old) > _order(new):
        return sorted((i, j) for j, i in match(new, old))
    if old.hash == new.hash:
        found = isomorphism(old, new)
        if found is not None:
            return found
    return _Assignment.of(old, new).best()


def _order(architecture: Architecture) -> tuple[str, str]:
    return architecture.hash, json.dumps(architecture.to_json(), sort_keys=True, default=str)


def isomorphism(old: Architecture, new: Architecture) -> Pairs | None:
    """An isomorphism of two graphs; None if there is none, or none was found within ``TRIES`` attempts.

    Args:
        old, new: two architectures with the same kinds of layers.
    """
    both = _Both(old, new)
    left = [TRIES]
    colours = _individualised(both, both.refined(both.kinds()), left)
    if colours is None:
        return None
    place = {colour: j for j, colour in enumerate(colours[both.size :])}
    pairs = [(i, place[colour]) for i, colour in enumerate(colours[: both.size])]
    moved = dict(pairs)
    same = Counter((moved[s], moved[t]) for s, t in old.edges) == Counter(new.edges)
    return pairs if same else None


class _Both:
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
        return _numbered([*self.old.kinds, *self.new.kinds])

    def step(self, colours: Sequence[int], before: bool = True, after: bool = True) -> list[int]:
        """One round of refinement, by the layers that feed a layer, by those it feeds, or by both."""
        return _numbered(
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


def _numbered(values: Sequence[object]) -> list[int]:
    numbers: dict[object, int] = {}
    return [numbers.setdefault(value, len(numbers)) for value in values]


def _individualised(both: _Both, colours: list[int], left: list[int]) -> list[int] | None:
    """Colours that are all different inside each graph and the same in both; None if none were found."""
    first, second = colours[: both.size], colours[both.size :]
    if Counter(first) != Counter(second):
        return None
    shared = [(count, colour) for colour, count in Counter(first).items() if count > 1]
    if not shared:
        return colours
    _, colour = min(shared)
    i = first.index(colour)
    for j in (j for j, its in enumerate(second) if its == colour):
        if left[0] == 0:
            return None
        left[0] -= 1
        marked = list(colours)
        marked[i] = marked[both.size + j] = len(colours)  # a colour that is not in use
        found = _individualised(both, both.refined(marked), left)
        if found is not None:
            return found
    return None


@dataclass(frozen=True)
class _Assignment:
    """The quadratic assignment of two graphs.

    Attributes:
        gain: of every pair of layers, shape (layers of the first, of the second).
        near: how alike surroundings and places are, from 0 to 1, same shape.
        first, second: the graphs' adjacency, [source, target].
    """

    gain: Matrix
    near: Matrix
    first: csr_array
    second: csr_array

    @classmethod
    def of(cls, old: Architecture, new: Architecture) -> _Assignment:
        near = _near(old, new)
        return cls(_gain(old, new) + SURROUNDINGS * near, near, _adjacency(old), _adjacency(new))

    def best(self) -> Pairs:
        """The best of the matches found from two starts: from alike surroundings, and from nothing."""
        steps = int(np.clip(WORK / max(self.gain.size, 1), 3, STEPS))
        found: list[tuple[float, Pairs]] = []
        for start in (self._chosen(self.gain + self.near), np.zeros_like(self.gain)):
            self._improve(start, steps, found)
        pairs = max(found, key=lambda scored: scored[0])[1]
        return self._worth_it(pairs)

    def _improve(self, match: Matrix, steps: int, found: list[tuple[float, Pairs]]) -> None:
        """Frank-Wolfe steps from one match; appends every whole match on the way, with its score."""
        found.append(self._scored(match))
        for _ in range(steps):
            slope = self.gain + self._kept(match)
            step = self._chosen(slope)
            found.append(self._scored(step))
            towards = step - match
            linear = float((slope * towards).sum())
            if linear < 1e-9:
                return
            quadratic = float((self._kept(towards) * towards).sum()) / 2
            match = match + towards * (1.0 if quadratic >= 0 else min(1.0, -linear / (2 * quadratic)))

    def _kept(self, match: Matrix) -> Matrix:
        """What each pair gains from connections to the pairs of a match, to either side."""
        return CONNECTION * np.asarray(
            self.first @ (self.second @ match.T).T + self.first.T @ (self.second.T @ match.T).T
        )

    def _chosen(self, gain: Matrix) -> Matrix:
        """The best assignment where every pair counts by itself; pairs without gain are left out."""
        rows, columns = linear_sum_assignment(np.maximum(gain, 0.0), maximize=True)
        chosen = np.zeros_like(gain)
        chosen[rows, columns] = gain[rows, columns] > 0
        return chosen

    def _scored(self, match: Matrix) -> tuple[float, Pairs]:
        whole = np.where(match > 0.5, match, 0.0)
        score = float(((self.gain + self._kept(whole) / 2) * whole).sum())
        return score, list(zip(*(axis.tolist() for axis in np.nonzero(whole)), strict=True))

    def _worth_it(self, pairs: Pairs) -> Pairs:
        """A match without the pairs that lose more than their connections gain."""
        match = np.zeros_like(self.gain)
        for pair in pairs:
            match[pair] = 1.0
        while True:
            worth = self.gain + self._kept(match)
            worst = min(pairs, key=lambda pair: worth[pair], default=None)
            if worst is None or worth[worst] > 0:
                return sorted(pairs)
            pairs = [pair for pair in pairs if pair != worst]
            match[worst] = 0.0


def _gain(old: Architecture, new: Architecture) -> Matrix:
    kinds = np.array(old.kinds)[:, None] == np.array(new.kinds)[None, :]
    words = [np.array([layer.op for layer in one.layers]) for one in (old, new)]
    operations = words[0][:, None] == words[1][None, :]
    numbers = _numbered([(cost.shape, cost.flops, cost.parameters) for cost in (*old.costs, *new.costs)])
    costs = np.array(numbers[: len(old.layers)])[:, None] == np.array(numbers[len(old.layers) :])[None, :]
    gain = np.select([kinds & costs, kinds, operations], [EQUAL, RESIZED, RESET], REPLACED)
    # the first layer takes the images and the last returns the scores, in every network
    for place in (0, -1):
        gain[place, :] = gain[:, place] = REPLACED - 10.0
        gain[place, place] = EQUAL + 10.0
    return gain


def _near(old: Architecture, new: Architecture) -> Matrix:
    """How alike the surroundings of every pair of layers are and how similar their places, from 0 to 1."""
    both = _Both(old, new)
    alike = np.zeros((len(old.layers), len(new.layers)))
    for before, after in ((True, True), (True, False), (False, True)):
        colours = both.kinds()
        for _ in range(ROUNDS):
            numbers = np.array(colours)
            alike += numbers[: both.size, None] == numbers[None, both.size :]
            colours = both.step(colours, before, after)
    places = [_places(one) for one in (old, new)]
    away = np.abs(places[0][:, None, :] - places[1][None, :, :]).mean(axis=2)
    return 0.5 * alike / (3 * ROUNDS) + 0.5 * (1 - np.minimum(away, 1.0))


def _places(architecture: Architecture) -> Matrix:
    """For every layer how far it is from the input and from the scores, and its size, each from 0 to 1."""
    count = len(architecture.layers)
    down, up = np.zeros(count), np.zeros(count)
    for layer in range(count):
        down[layer] = max((down[j] + 1 for j in architecture.neighbours[layer][0]), default=0)
    for layer in reversed(range(count)):
        up[layer] = max((up[j] + 1 for j in architecture.neighbours[layer][1]), default=0)
    sides = np.log2([max(cost.shape[1], 1) for cost in architecture.costs])
    return np.stack([down / max(down.max(), 1), up / max(up.max(), 1), sides / max(sides.max(), 1)], axis=1)


def _adjacency(architecture: Architecture) -> csr_array:
    count = len(architecture.layers)
    edges = sorted(set(architecture.edges))
    rows, columns = zip(*edges, strict=True) if edges else ((), ())
    return csr_array((np.ones(len(edges)), (rows, columns)), shape=(count, count))
