"""Sequences of layers with their hyper-parameters, for searches at scale.

A genome is a list of up to 16 layers: convolutions, pooling and fully connected layers, each with all that
can be set of it. The space follows what is known of MENNDL (Young et al., MLHPC 2015 and 2017; Patton et
al., SC 2018: a gene for each layer, with its type and its parameters, and any number of layers), of which
no code was published; ranges and rates are ours. US patent 11,429,865 covers parts of the original system.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from a4nn_core.component import Unit
from a4nn_core.errors import BadInput
from a4nn_core.spaces.base import Genome, Mutant
from a4nn_core.spaces.layer_list import TYPE, Block, Choice, Gene, LayerList, LayerUnit, Range, Units

CONV, POOL, FULL = "conv", "pool", "full"
KINDS = {"max": "max_pool", "avg": "avg_pool"}


class LayerSequence(LayerList):
    """Convolutions, pooling and fully connected layers in any number, with all that can be set of them."""

    name: Literal["layer-sequence"] = "layer-sequence"
    crosses: ClassVar[bool] = True

    most: Annotated[int, Unit("layers")] = Field(default=16, ge=1, le=64)
    """layers that a network has at most, the classification not counted"""
    filters: Annotated[tuple[int, int], Unit("channels")] = (8, 256)
    """fewest and most channels of a convolution"""
    neurons: Annotated[tuple[int, int], Unit("neurons")] = (32, 1024)
    """fewest and most neurons of a fully connected layer"""
    resample: float = Field(default=0.2, ge=0, le=1)
    """chance of each layer that one of its settings is drawn again"""
    insert: float = Field(default=0.1, ge=0, le=1)
    """chance that a new layer is inserted"""
    delete: float = Field(default=0.1, ge=0, le=1)
    """chance that a layer is left out"""
    duplicate: float = Field(default=0.1, ge=0, le=1)
    """chance that a layer is doubled"""

    @property
    def units(self) -> Units:
        common: dict[str, Gene] = {
            "activation": Choice(("relu", "tanh")),
            "dropout": Range(0, 0.5, whole=False),
        }
        return {
            CONV: {
                "filters": Range(*self.filters, log=True),
                "kernel": Range(1, 9),
                "stride": Range(1, 2),
                "norm": Choice((True, False)),
                **common,
            },
            POOL: {"kind": Choice(tuple(KINDS)), "kernel": Range(2, 3)},
            FULL: {"neurons": Range(*self.neurons, log=True), **common},
        }

    @property
    def stages(self) -> Mapping[str, int]:
        return {CONV: 0, POOL: 0, FULL: 1}

    def lengths(self) -> tuple[int, int]:
        return 1, self.most

    def block(self, unit: LayerUnit) -> Block:
        if unit[TYPE] == POOL:
            pool: Any = KINDS[unit["kind"]]
            return Block(pool, kernel=unit["kernel"], stride=unit["kernel"])
        how: dict[str, Any] = {"activation": unit["activation"], "dropout": unit["dropout"]}
        if unit[TYPE] == FULL:
            return Block("full", unit["neurons"], **how)
        kernel, stride, norm = unit["kernel"], unit["stride"], unit["norm"]
        return Block("conv", unit["filters"], kernel, stride, norm=norm, **how)

    def check(self, genome: Genome) -> None:
        super().check(genome)
        if genome[0][TYPE] != CONV:
            raise BadInput(f"genome begins with a layer {genome[0][TYPE]!r}; the first must be {CONV!r}")

    def sample(self, rng: np.random.Generator) -> Genome:
        """A convolution, other layers on images, and up to two fully connected ones."""
        full = int(rng.integers(0, min(2, self.most - 1) + 1))
        images = int(rng.integers(1, max(1, self.most - full) + 1))
        kinds = [CONV, *((CONV, POOL)[int(rng.random() < 0.3)] for _ in range(images - 1)), *[FULL] * full]
        return [self.draw(kind, rng) for kind in kinds]

    def mutate(self, genome: Genome, rng: np.random.Generator) -> Mutant:
        """Settings of some layers are drawn again; sometimes a layer is inserted, left out or doubled. If
        nothing happened, one setting is drawn again."""
        layers = [dict(unit) for unit in genome]
        done = []
        for unit in layers:
            if rng.random() < self.resample:
                self._resample(unit, rng)
                done.append("resample")
        if rng.random() < self.insert and len(layers) < self.most:
            place = int(rng.integers(1, len(layers) + 1))
            layers.insert(place, self.draw(self._kind_at(layers, place, rng), rng))
            done.append("insert")
        if rng.random() < self.duplicate and len(layers) < self.most:
            place = int(rng.integers(len(layers)))
            layers.insert(place, dict(layers[place]))
            done.append("duplicate")
        if rng.random() < self.delete and len(layers) > 1:
            del layers[int(rng.integers(1, len(layers)))]
            done.append("delete")
        if not done:
            self._resample(layers[int(rng.integers(len(layers)))], rng)
            done.append("resample")
        return Mutant(layers, f"layers: {', '.join(dict.fromkeys(done))}")

    def cross(self, first: Genome, second: Genome, rng: np.random.Generator) -> tuple[Genome, Genome]:
        """Layers on images are exchanged at equal places from the front, fully connected ones from the back,
        each with equal chance; those without a counterpart stay."""
        one, other = [dict(unit) for unit in first], [dict(unit) for unit in second]
        heads = [[i for i, unit in enumerate(x) if unit[TYPE] != FULL] for x in (one, other)]
        tails = [[i for i, unit in enumerate(x) if unit[TYPE] == FULL][::-1] for x in (one, other)]
        for mine, its in (*zip(*heads, strict=False), *zip(*tails, strict=False)):
            if rng.random() < 0.5:
                one[mine], other[its] = other[its], one[mine]
        return one, other

    def _resample(self, unit: dict[str, Any], rng: np.random.Generator) -> None:
        genes = self.units[unit[TYPE]]
        name = list(genes)[int(rng.integers(len(genes)))]
        unit[name] = genes[name].draw(rng)

    def _kind_at(self, layers: list[dict[str, Any]], place: int, rng: np.random.Generator) -> str:
        """A type that can stand at a place: between layers on images one of those."""
        after = layers[place][TYPE] if place < len(layers) else None
        before = layers[place - 1][TYPE]
        if before == FULL:
            return FULL
        kinds = (CONV, POOL) if after in (CONV, POOL) else (CONV, POOL, FULL)
        return kinds[int(rng.integers(len(kinds)))]
