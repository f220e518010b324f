"""Auto-Keras (Jin, Song and Hu, "Auto-Keras: an efficient neural architecture search system", KDD 2019; its
version 0.4.0, MIT: bayesian.py, net_transformer.py): networks are grown by morphisms, and a Gaussian
process over edit distances chooses which.

A morphism makes a network deeper, wider, or adds a connection, and the network goes on with its parent's
weights and computes what that did. The acquisition function is optimised by a tree search from all networks
that were trained: the most promising one of a queue is expanded with a chance that falls as in simulated
annealing. The distance of two networks is the edit distance of their main chains and a matching of their
connections.

The published code has one kernel for fitting and another for predicting, no length scale that fits with one
observation, and a fixed seed inside; here is one consistent kernel, exp(-d^2) with a nugget. Its published
training (up to 200 epochs, patience, cut-out) is the experiment's business; dropout is not inserted.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterator, Sequence
from typing import Annotated, Any, ClassVar, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from a4nn_core.component import Unit
from a4nn_core.search.base import Candidate, Outcome, Strategy, Violation, no_violation
from a4nn_core.search.batches import ScalarBatchSettings, ScalarStrategy
from a4nn_core.search.variation import Proposal
from a4nn_core.spaces.base import Genome
from a4nn_core.spaces.free_graph import FreeGraph

Floats = NDArray[np.float64]
NUGGET = 1e-4
"""variance of the noise of a standardised result; the published 1e-10 trusts each to the last digit"""
COLDEST = 1e-4
"""temperature at which a tree search ends; the first is 1"""


class AutoKeras(ScalarBatchSettings):
    """Network morphisms, chosen by a Gaussian process over edit distances; weights are handed on."""

    name: Literal["auto-keras"] = "auto-keras"
    searches: ClassVar[type[Any]] = FreeGraph
    inherits: ClassVar[bool] = True
    batch: Annotated[int, Unit("networks")] = Field(default=1, ge=1)
    """networks that are asked for before the outcomes of any are used"""
    initial: Annotated[int, Unit("networks")] = Field(default=1, ge=1)
    """random networks at the beginning"""
    confidence: Annotated[float, Unit("standard deviations")] = Field(default=2.576, ge=0)
    """standard deviations by which a network may turn out better than predicted when it is judged"""
    cooling: float = Field(default=0.9, gt=0, lt=1)
    """factor of the temperature of the tree search at each of its steps"""
    morphs: Annotated[int, Unit("morphisms")] = Field(default=8, ge=1)
    """morphisms of each network that the tree search expands"""
    skips: float = Field(default=1.0, ge=0)
    """what connections count in the distance, beside layers"""

    def start(self, space: FreeGraph, seed: int, violation: Violation = no_violation) -> Strategy:
        return _Morphs(self, space, seed, violation)


class _Grown(NamedTuple):
    """A network of the tree search: how promising it is (less is better), a number that decides ties, the
    trained network that it descends from, and how."""

    acquisition: float
    place: int
    root: int
    genome: Genome
    operators: tuple[str, ...]


class _Morphs(ScalarStrategy):
    settings: AutoKeras
    space: FreeGraph

    def __init__(self, settings: AutoKeras, space: FreeGraph, seed: int, violation: Violation) -> None:
        super().__init__(settings, space, seed, violation)
        self.known: list[int] = []

    def learn(self, candidate: Candidate, outcome: Outcome) -> None:
        del outcome
        self.known.append(candidate.number)

    def propose(self) -> Proposal | None:
        rng = self.rng(len(self.asked))
        trained = [number for number in self.known if self.outside(number) == 0.0]
        if len(self.asked) < self.settings.initial or not trained:
            return self.random_new(rng)
        return self.first_new(self._promising(trained, rng)) or self.random_new(rng)

    def _promising(self, trained: Sequence[int], rng: np.random.Generator) -> Iterator[Proposal]:
        """Morphisms of trained networks, the most promising first."""
        model = self._model()
        found: list[_Grown] = []
        queue = [
            _Grown(
                self._judge(model, self.asked[number].genome), place, number, self.asked[number].genome, ()
            )
            for place, number in enumerate(trained)
        ]
        heapq.heapify(queue)
        best, temperature, made = queue[0].acquisition, 1.0, len(queue)
        while queue and temperature > COLDEST:
            at = heapq.heappop(queue)
            temperature *= self.settings.cooling
            if rng.random() >= math.exp(min((best - at.acquisition) / temperature, 0.0)):
                continue
            for _ in range(self.settings.morphs):
                mutant = self.space.morph(at.genome, rng)
                if mutant.genome == at.genome:
                    continue  # nothing could be done
                judged, made = self._judge(model, mutant.genome), made + 1
                grown = _Grown(judged, made, at.root, mutant.genome, (*at.operators, mutant.operator))
                heapq.heappush(queue, grown)
                found.append(grown)
                best = min(best, judged)
        for one in sorted(found):
            yield Proposal(
                one.genome, (one.root,), " + ".join(one.operators), inherit_from=one.root, morph=True
            )

    def _model(self) -> GaussianProcess:
        """What was learned so far. A network in training counts as an average one that was measured, so that
        the next one is another."""
        values = np.array([float(self._weights @ self.objectives(number)) for number in self.known])
        spread = float(values.std()) or 1.0
        pending = [number for number in self.asked if number not in self.known]
        results = np.concatenate([(values - values.mean()) / spread, np.zeros(len(pending))])
        shapes = [shape(self.asked[number].genome) for number in (*self.known, *pending)]
        return GaussianProcess(shapes, results, self.settings.skips)

    def _judge(self, model: GaussianProcess, genome: Genome) -> float:
        """The result that a network may have, at best."""
        mean, deviation = model.predict(shape(genome))
        return mean - self.settings.confidence * deviation


class Shape(NamedTuple):
    """What is compared of two networks.

    Attributes:
        layers: channels, height, width and stride of each convolution of the main chain, from the image on.
        skips: place and length of each connection beside it, in vertices.
    """

    layers: tuple[tuple[int, int, int, int], ...]
    skips: tuple[tuple[int, int], ...]


def shape(genome: Genome) -> Shape:
    """The main chain, that is, the first edge to each vertex from the last one back, and the other edges."""
    order = {vertex["id"]: place for place, vertex in enumerate(genome["vertices"])}
    first: dict[int, dict[str, Any]] = {}
    skips = []
    for edge in genome["edges"]:
        if edge["to"] in first:
            start = order[edge["from"]]
            skips.append((start, order[edge["to"]] - start))
        else:
            first[edge["to"]] = edge
    layers, at = [], genome["vertices"][-1]["id"]
    while at in first:
        edge = first[at]
        if edge["channels"]:
            layers.append((edge["channels"], edge["height"], edge["width"], edge["stride"]))
        at = edge["from"]
    return Shape(tuple(reversed(layers)), tuple(sorted(skips)))


def distance(one: Shape, other: Shape, skips: float = 1.0) -> float:
    """How different two networks are.

    Args:
        one, other: their shapes.
        skips: what connections count beside layers.
    """
    return _of_layers(one.layers, other.layers) + skips * _of_skips(one.skips, other.skips)


def _of_layers(one: Sequence[Sequence[int]], other: Sequence[Sequence[int]]) -> float:
    """Edit distance: 1 to insert or delete a layer, the mean relative difference of two to replace one."""
    row = [float(place) for place in range(len(other) + 1)]
    for number, mine in enumerate(one, start=1):
        before, row = row, [float(number)]
        for place, its in enumerate(other):
            replaced = before[place] + sum(
                abs(a - b) / max(a, b) for a, b in zip(mine, its, strict=True)
            ) / len(mine)
            row.append(min(replaced, before[place + 1] + 1, row[place] + 1))
    return row[-1]


def _of_skips(one: Sequence[tuple[int, int]], other: Sequence[tuple[int, int]]) -> float:
    """The cheapest matching by relative differences of place and length; 1 for each without a counterpart."""
    if not one or not other:
        return float(len(one) + len(other))
    from scipy.optimize import linear_sum_assignment

    costs = np.array(
        [[(abs(a - c) + abs(b - d)) / (max(a, c) + max(b, d)) for c, d in other] for a, b in one]
    )
    return float(costs[linear_sum_assignment(costs)].sum()) + abs(len(one) - len(other))


class GaussianProcess:
    """A Gaussian process with mean 0, variance 1 and the kernel exp(-d^2). Of edit distances that is not
    always positive definite; what is not is cut off.

    Args:
        shapes: what was measured.
        results: standardised, one for each.
        skips: as for ``distance``.
    """

    def __init__(self, shapes: Sequence[Shape], results: Floats, skips: float) -> None:
        self._shapes = shapes
        self._skips = skips
        distances = np.array([[distance(a, b, skips) for b in shapes] for a in shapes])
        values, vectors = np.linalg.eigh(np.exp(-(distances**2)))
        self._inverse = vectors / (np.maximum(values, 0.0) + NUGGET) @ vectors.T
        self._weights = self._inverse @ results

    def predict(self, of: Shape) -> tuple[float, float]:
        """Mean and standard deviation of a result."""
        near = np.exp(-(np.array([distance(of, known, self._skips) for known in self._shapes]) ** 2))
        variance = 1.0 - float(near @ self._inverse @ near)
        return float(near @ self._weights), math.sqrt(max(variance, 0.0))
