"""Which layer of one architecture stands for which layer of another: a structural match without shared ids.

Graphs of the same network are matched by an isomorphism. For others, the match that keeps most layers and
connections is looked for as a quadratic assignment, from the colour classes that both graphs share, by the
method of Frank and Wolfe with integer steps (Leordeanu et al., NIPS 2009; for edit distances of graphs
Bougleux et al., Pattern Recognition Letters 87, 2017).

Every number on the way is a multiple of ``GRID``, so that sums are exact in any order: which of two equal
matches is found depends on no library and no machine. A report matches any two of its networks in the browser
by the same algorithm (``report/page/matching.js``); ``tests/test_report_matching.py`` holds both together.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from scipy.sparse import csr_array

from a4nn_core.archaeology.isomorphism import Both, Pairs, isomorphism, numbered
from a4nn_core.spaces.architecture import Architecture

Matrix = NDArray[np.float64]

# What a match gains: for a pair of layers by what they have in common, and for each connection that is kept.
# Layers that do different things are a pair only where connections on both sides make one the other's heir.
EQUAL, RESIZED, RESET, REPLACED = 1.5, 1.0, 0.5, -0.5
CONNECTION = 1.0
SURROUNDINGS = 0.3  # at most, for alike surroundings and a similar place: decides among equals
ROUNDS = 16  # of refinement, for surroundings
STEPS = 30  # of the method, at most
PASSES = 20  # over all connections, to exchange partners
GRID = 2.0**-16
WORK = 6e6  # pairs of layers times steps, about: bounds the time to some seconds


def match(old: Architecture, new: Architecture) -> Pairs:
    """Pairs (layer of ``old``, layer of ``new``), sorted; every layer is in one pair at most.

    The match of ``new`` with ``old`` is the same, mirrored. Its time is bounded: about 0.1 s for 100 layers,
    ten seconds and more for 1000.
    """
    if order(old) > order(new):
        return sorted((i, j) for j, i in match(new, old))
    if old.hash == new.hash:
        same = isomorphism(old, new)
        if same is not None:
            return same
    assignment = _Assignment.of(old, new)
    polished = [_Polished(old, new, assignment.gain, pairs) for pairs in assignment.candidates()]
    return assignment.worth_it(max(polished, key=lambda one: one.score()).pairs())


def order(architecture: Architecture) -> tuple[str, str]:
    """Which of two architectures is matched with the other: the lesser, so a match has a mirror image."""
    return architecture.hash, json.dumps(architecture.to_json(), sort_keys=True, default=str)


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
        gain = _gain(old, new) + _rounded(SURROUNDINGS * near)
        return cls(gain, near, _adjacency(old), _adjacency(new))

    def candidates(self) -> Iterator[Pairs]:
        """The best match found from each of two starts: from alike surroundings, and from nothing."""
        steps = int(np.clip(WORK / max(self.gain.size, 1), 3, STEPS))
        for start in (self._chosen(self.gain + self.near), np.zeros_like(self.gain)):
            yield max(self._steps(start, steps), key=lambda scored: scored[0])[1]

    def _steps(self, match: Matrix, steps: int) -> Iterator[tuple[float, Pairs]]:
        """Frank-Wolfe steps from one match: every whole match on the way, with its score."""
        yield self._scored(match)
        for _ in range(steps):
            slope = self.gain + self._kept(match)
            step = self._chosen(slope)
            yield self._scored(step)
            towards = step - match
            linear = float((slope * towards).sum())
            if linear < 1e-9:
                return
            quadratic = float((self._kept(towards) * towards).sum()) / 2
            length = 1.0 if quadratic >= 0 else min(1.0, -linear / (2 * quadratic))
            match = _rounded(match + towards * length)

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

    def worth_it(self, pairs: Pairs) -> Pairs:
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


class _Polished:
    """A match that is made better by exchanging the partners of two layers, as long as that helps.

    It sets right what assignments of single layers leave to chance: which of several equal branches a layer
    belongs to.
    """

    def __init__(self, old: Architecture, new: Architecture, gain: Matrix, pairs: Pairs) -> None:
        self.old, self.new, self.gain = old, new, gain
        self.there: dict[int, int] = dict(pairs)
        self.back = {j: i for i, j in pairs}
        self.edges = {*new.edges}
        for _ in range(PASSES):
            if not sum(self._along(source, target) for source, target in sorted({*old.edges})):
                break

    def pairs(self) -> Pairs:
        """The match."""
        return sorted(self.there.items())

    def score(self) -> float:
        """What the match gains."""
        return self._value({*self.there})

    def _value(self, layers: set[int]) -> float:
        """What layers of the first graph and the connections at them gain."""
        edges = {(s, layer) for layer in layers for s in self.old.neighbours[layer][0]}
        edges |= {(layer, t) for layer in layers for t in self.old.neighbours[layer][1]}
        kept = sum((self.there.get(s), self.there.get(t)) in self.edges for s, t in edges)
        own = sum(self.gain[layer, self.there[layer]] for layer in layers if layer in self.there)
        return CONNECTION * kept + float(own)

    def _along(self, source: int, target: int) -> bool:
        """Try to keep a connection of the first graph that is not kept; whether that helped."""
        ends = self.there.get(source), self.there.get(target)
        if ends in self.edges:
            return False
        after = () if ends[0] is None else self.new.neighbours[ends[0]][1]
        before = () if ends[1] is None else self.new.neighbours[ends[1]][0]
        tries = [*((target, j) for j in after), *((source, j) for j in before)]
        return any(self._exchange(layer, j) for layer, j in tries)

    def _exchange(self, layer: int, partner: int) -> bool:
        """Give a layer a partner, and its former one to whoever had that; undone unless it helps."""
        other, former = self.back.get(partner), self.there.get(layer)
        touched = {layer} if other is None else {layer, other}
        before = self._value(touched)
        self._set(layer, partner, other, former)
        if self._value(touched) > before + 1e-9:
            return True
        self._set(layer, former, other, partner)
        return False

    def _set(self, layer: int, partner: int | None, other: int | None, former: int | None) -> None:
        for one, its in ((layer, partner), (other, former)):
            if one is not None and its is not None:
                self.there[one] = its
                self.back[its] = one
            elif one is not None:
                self.there.pop(one, None)
            elif its is not None:
                self.back.pop(its, None)


def _gain(old: Architecture, new: Architecture) -> Matrix:
    kinds = np.array(old.kinds)[:, None] == np.array(new.kinds)[None, :]
    words = [np.array([layer.op for layer in one.layers]) for one in (old, new)]
    operations = words[0][:, None] == words[1][None, :]
    numbers = numbered([(cost.shape, cost.flops, cost.parameters) for cost in (*old.costs, *new.costs)])
    costs = np.array(numbers[: len(old.layers)])[:, None] == np.array(numbers[len(old.layers) :])[None, :]
    gain: Matrix = np.select([kinds & costs, kinds, operations], [EQUAL, RESIZED, RESET], REPLACED)
    # the first layer takes the images and the last returns the scores, in every network
    for place in (0, -1):
        gain[place, :] = gain[:, place] = REPLACED - 10.0
        gain[place, place] = EQUAL + 10.0
    return gain


def _near(old: Architecture, new: Architecture) -> Matrix:
    """How alike the surroundings of every pair of layers are and how similar their places, from 0 to 1."""
    both = Both(old, new)
    alike = np.zeros((len(old.layers), len(new.layers)))
    for before, after in ((True, True), (True, False), (False, True)):
        colours = both.kinds()
        for _ in range(ROUNDS):
            numbers = np.array(colours)
            alike += numbers[: both.size, None] == numbers[None, both.size :]
            colours = both.step(colours, before, after)
    places = [_places(one) for one in (old, new)]
    away: Matrix = np.abs(places[0][:, None, :] - places[1][None, :, :]).mean(axis=2)
    return _rounded(0.5 * alike / (3 * ROUNDS) + 0.5 * (1 - np.minimum(away, 1.0)))


def _rounded(values: Matrix) -> Matrix:
    """Values at the nearest multiples of ``GRID``, halves upwards."""
    nearest: Matrix = np.floor(values / GRID + 0.5) * GRID
    return nearest


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
