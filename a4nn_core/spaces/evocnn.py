"""The search space of EvoCNN (Sun, Xue, Zhang and Yen, "Evolving deep convolutional neural networks for image
classification", IEEE Transactions on Evolutionary Computation 24(2), 2020, arXiv 1710.10741).

A genome is a list of convolutions, pooling layers and fully connected layers of any number; beside its size,
a layer has the mean and the standard deviation of the weights that it starts with. Ranges and operators are
those of the authors' code (yn-sun/evocnn: individual.py, evolve.py). Convolutions keep the size of the image;
all layers but the last are followed by a concatenated rectified linear unit, which doubles the channels, and
those on images by batch normalisation before it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

import numpy as np
from pydantic import Field, model_validator

from a4nn_core.component import Unit
from a4nn_core.errors import BadInput
from a4nn_core.spaces.architecture import Architecture, Shape
from a4nn_core.spaces.base import Genome, Mutant
from a4nn_core.spaces.layer_list import TYPE, Block, Choice, LayerList, LayerUnit, Range, Units, build

if TYPE_CHECKING:
    from pymoo.core.problem import Problem

CONV, POOL, FULL, OUTPUT = "conv", "pool", "full", "output"
MOST_SAMPLED = 6
"""layers of the longest genome that is drawn at random"""


class EvoCNN(LayerList):
    """Lists of convolutions, pooling and fully connected layers of any length, with the statistics of their
    first weights."""

    name: Literal["evocnn"] = "evocnn"
    crosses: ClassVar[bool] = True

    kernel: Annotated[tuple[int, int], Unit("pixels")] = (2, 20)
    """smallest and greatest kernel of a convolution, in pixels"""
    maps: Annotated[tuple[int, int], Unit("channels")] = (3, 50)
    """fewest and most channels of a convolution, before their number is doubled"""
    neurons: Annotated[tuple[int, int], Unit("neurons")] = (1000, 2000)
    """fewest and most neurons of a fully connected layer, before their number is doubled"""
    grown: Annotated[int, Unit("layers")] = Field(default=6, ge=3)
    """number of layers from which on mutation adds no more; the last layer counts"""
    eta: float = Field(default=20.0, gt=0)
    """distribution index of crossover and mutation of numbers: 20 in the paper, 0.05 in the authors' code"""
    pair_crossover: float = Field(default=0.9, ge=0, le=1)
    """chance of crossing each pair of layers that correspond, where genomes are crossed"""

    @model_validator(mode="after")
    def _ranges(self) -> EvoCNN:
        for name in ("kernel", "maps", "neurons"):
            low, high = getattr(self, name)
            if not 1 <= low <= high:
                raise ValueError(f"{name} = [{low}, {high}] is no range of positive numbers")
        return self

    @property
    def units(self) -> Units:
        weights = {"mean": Range(-1, 1, whole=False), "sd": Range(0, 1, whole=False)}
        return {
            CONV: {"kernel": Range(*self.kernel), "maps": Range(*self.maps), **weights},
            # below 0.5 the greatest value is taken, otherwise the mean
            POOL: {"kernel": Choice((2, 4)), "averages": Range(0, 1, whole=False)},
            FULL: {"neurons": Range(*self.neurons), **weights},
            OUTPUT: weights,
        }

    @property
    def stages(self) -> Mapping[str, int]:
        return {CONV: 0, POOL: 0, FULL: 1, OUTPUT: 2}

    def lengths(self) -> tuple[int, int]:
        return 2, max(self.grown, MOST_SAMPLED)

    def block(self, unit: LayerUnit) -> Block:
        if unit[TYPE] == POOL:
            kernel = unit["kernel"]
            return Block("max_pool" if unit["averages"] < 0.5 else "avg_pool", kernel=kernel, stride=kernel)
        how: dict[str, Any] = {"weight_mean": unit["mean"], "weight_sd": unit["sd"], "activation": "crelu"}
        if unit[TYPE] == CONV:
            return Block("conv", unit["maps"], unit["kernel"], norm=True, **how)
        return Block("full", unit.get("neurons", 0), **how)

    def check(self, genome: Genome) -> None:
        super().check(genome)
        kinds = [unit[TYPE] for unit in genome]
        if kinds[0] != CONV or kinds[-1] != OUTPUT or kinds.count(OUTPUT) != 1:
            raise BadInput(
                f"genome has the layers {', '.join(kinds)}; the first must be {CONV!r}, and the last, and no "
                f"other, {OUTPUT!r}"
            )

    def decode(self, genome: Genome, input_shape: Shape, classes: int) -> Architecture:
        self.check(genome)
        *hidden, last = map(self.block, genome)
        return build(hidden, input_shape, classes, last)

    def sample(self, rng: np.random.Generator) -> Genome:
        """One or two convolutions, one or two pooling layers, at most one fully connected one, the output."""
        kinds = [CONV] * rng.integers(1, 3) + [POOL] * rng.integers(1, 3) + [FULL] * rng.integers(0, 2)
        return [self.draw(kind, rng) for kind in (*kinds, OUTPUT)]

    def mutate(self, genome: Genome, rng: np.random.Generator) -> Mutant:
        """Every layer but the last is left alone, changed, preceded by a new one or left out."""
        mutated: list[dict[str, Any]] = []
        done: list[str] = []
        for place, unit in enumerate(genome[:-1]):
            chance = rng.random()
            if rng.random() < 0.5:
                mutated.append(dict(unit))
                continue
            if 1 / 3 <= chance < 2 / 3 and len(mutated) + len(genome) - place < self.grown:
                kind = FULL if unit[TYPE] == FULL else (CONV, POOL)[int(rng.integers(2))]
                mutated += [self.draw(kind, rng), dict(unit)]
                done.append("add")
            elif chance < 2 / 3:
                mutated.append(self._changed(unit, rng))
                done.append("change")
            else:
                done.append("remove")
        if not mutated:
            mutated = [self.draw(CONV, rng), self.draw(POOL, rng)]
        if mutated[0][TYPE] != CONV:
            first = next((i for i, unit in enumerate(mutated) if unit[TYPE] == CONV), None)
            mutated.insert(0, self.draw(CONV, rng) if first is None else mutated.pop(first))
        mutated = mutated[: self.lengths()[1] - 1]
        what = ", ".join(dict.fromkeys(done)) or "no change"
        return Mutant([*mutated, dict(genome[-1])], f"layers: {what}")

    def cross(self, first: Genome, second: Genome, rng: np.random.Generator) -> tuple[Genome, Genome]:
        """The i-th convolutions of both are crossed, and so are the i-th pooling and fully connected layers;
        those without a counterpart stay, so that lengths do not change."""
        one, other = [dict(unit) for unit in first], [dict(unit) for unit in second]
        for kind in self.units:
            aligned = zip(
                (unit for unit in one if unit[TYPE] == kind),
                (unit for unit in other if unit[TYPE] == kind),
                strict=False,
            )
            for mine, its in aligned:
                if rng.random() < self.pair_crossover:
                    self._cross_units(mine, its, rng)
        return one, other

    def _cross_units(self, one: dict[str, Any], other: dict[str, Any], rng: np.random.Generator) -> None:
        """Cross two units of one type in place (simulated binary crossover)."""
        from pymoo.core.population import Population
        from pymoo.operators.crossover.sbx import SBX

        problem, ranges = self._numbers(one)
        parents = Population.new(
            X=np.array([[float(unit[name]) for name in ranges] for unit in (one, other)])
        )
        crossover = SBX(prob=1.0, prob_var=0.5, eta=self.eta)
        children = crossover.do(problem, parents, parents=np.array([[0, 1]]), random_state=rng)
        for unit, child in zip((one, other), children, strict=True):
            for (name, gene), value in zip(ranges.items(), child.X, strict=True):
                unit[name] = gene.clip(value)

    def _changed(self, unit: LayerUnit, rng: np.random.Generator) -> dict[str, Any]:
        """A unit whose genes have undergone polynomial mutation."""
        from pymoo.core.population import Population
        from pymoo.operators.mutation.pm import PM

        problem, ranges = self._numbers(unit)
        mutant = Population.new(X=np.array([[float(unit[name]) for name in ranges]]))
        PM(prob=1.0, eta=self.eta, prob_var=1.0).do(problem, mutant, random_state=rng)
        changed = {
            name: gene.clip(value) for (name, gene), value in zip(ranges.items(), mutant[0].X, strict=True)
        }
        choices = {
            name: gene.draw(rng) for name, gene in self.units[unit[TYPE]].items() if isinstance(gene, Choice)
        }
        return {**unit, **choices, **changed}

    def _numbers(self, unit: LayerUnit) -> tuple[Problem, dict[str, Range]]:
        """The genes of a unit that are numbers, and pymoo's problem of them."""
        from pymoo.core.problem import Problem

        ranges = {name: gene for name, gene in self.units[unit[TYPE]].items() if isinstance(gene, Range)}
        low, high = ([getattr(gene, end) for gene in ranges.values()] for end in ("low", "high"))
        return Problem(n_var=len(ranges), n_obj=1, xl=np.array(low), xu=np.array(high)), ranges
