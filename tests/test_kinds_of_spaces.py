"""The two kinds of search spaces: every space makes, varies, checks and decodes its genomes."""

from __future__ import annotations

import copy
import json
from typing import Any

import numpy as np
import pytest
import torch
from fakes import experiment

from a4nn_core.errors import BadInput
from a4nn_core.search.base import STRATEGIES, strategies_for
from a4nn_core.spaces import SPACES, FreeSpace, Space, VectorSpace
from a4nn_core.spaces.architecture import Shape
from a4nn_core.spaces.build import Network
from a4nn_core.vocabulary import Task

SMALL: dict[str, dict[str, Any]] = {
    "macro": {"channels": 4, "phases": 2},
    "nas-bench-201": {"channels": 2, "cells": 1},
    "nsga-net-micro": {"channels": 2, "layers": 3, "blocks": 2},
    "nasnet": {"channels": 2, "repeats": 0, "blocks": 2},
    "genetic-cnn": {"channels": 4, "nodes": [3, 4]},
    "hierarchical": {"channels": 2, "stages": 1},
    "free-graph": {"first": 3, "most_channels": 8},
    "pso-cnn": {"maps": [3, 6], "neurons": [2, 5], "depth": [3, 6]},
    "layer-sequence": {"most": 5, "filters": [2, 6], "neurons": [4, 8]},
    "evocnn": {"maps": [3, 6], "neurons": [10, 20], "kernel": [2, 5]},
    "cgp": {"rows": 2, "columns": 5, "levels_back": 2, "channels": [2, 3]},
}
"""settings with which networks of a space are small"""
SHAPES = ((1, 8, 8), (3, 9, 16))
NAMES = [name for name in SPACES.names() if SPACES.package(name) == "a4nn_core"]


def small(name: str) -> Space:
    return SPACES.make({"name": name, **SMALL.get(name, {})}, "test")


def answer(space: Space, shape: Shape) -> Shape:
    """Shape of what networks of a space make of an image: scores of three classes, or another image."""
    return shape if space.task is Task.restoration else (3, 1, 1)


@pytest.mark.parametrize("name", NAMES)
def test_genomes_are_json_that_fits_and_decodes(name: str) -> None:
    """What operators make of genomes is a network for images of any shape, and nothing changes in place."""
    space, rng = small(name), np.random.default_rng(1)
    genome = space.sample(rng)
    operators = set()
    for _ in range(40):
        before = copy.deepcopy(genome)
        mutant = space.mutate(genome, rng)
        assert genome == before
        operators.add(mutant.operator)
        made = [space.sample(rng), mutant.genome]
        if space.crosses:
            other = made[0]
            before = copy.deepcopy((mutant.genome, other))
            made += space.cross(mutant.genome, other, rng)
            assert (mutant.genome, other) == before
        for one in made:
            space.check(one)
            assert json.loads(json.dumps(one)) == one
            for shape in SHAPES:
                assert space.decode(one, shape, 3).costs[-1].shape == answer(space, shape)
        genome = mutant.genome
    assert all(operators)
    for shape in SHAPES:
        answers = Network(space.decode(genome, shape, 3))(torch.rand(2, *shape))
        assert answers.shape == (2, *(shape if space.task is Task.restoration else (3,)))


@pytest.mark.parametrize("name", NAMES)
def test_variation_repeats_and_varies(name: str) -> None:
    space = small(name)

    def made(seed: int) -> list[Any]:
        rng = np.random.default_rng(seed)
        first, second = space.sample(rng), space.sample(rng)
        crossed = space.cross(first, second, rng) if space.crosses else ()
        return [first, second, space.mutate(first, rng), *crossed]

    assert made(1) == made(1)
    assert len({json.dumps(made(seed)) for seed in range(20)}) > 10


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    "genome", [None, 3, "x", [], {}, [[]], [None], [{"type": "nothing"}], [[True]], [1e9]]
)
def test_what_is_no_genome_is_refused(name: str, genome: object) -> None:
    space = small(name)
    for refuse in (lambda: space.check(genome), lambda: space.decode(genome, (1, 8, 8), 2)):
        with pytest.raises(BadInput, match="genome"):
            refuse()


def test_genes_of_vectors_are_within_bounds() -> None:
    space = small("macro")
    assert isinstance(space, VectorSpace)
    rng = np.random.default_rng(0)
    first, second = space.sample(rng), space.sample(rng)
    changed = space.genes(space.mutate(first, rng).genome) != space.genes(first)
    assert changed.sum() == 1
    for one, other in zip(*map(space.genes, space.cross(first, second, rng)), strict=True):
        assert {one, other} <= {0, 1}
    crossed = np.array([space.genes(child) for child in space.cross(first, second, rng)])
    parents = np.array([space.genes(parent) for parent in (first, second)])
    assert np.array_equal(np.sort(crossed, axis=0), np.sort(parents, axis=0))


def test_a_search_that_does_not_fit_the_space_is_refused() -> None:
    tables = experiment().to_mapping()
    with pytest.raises(BadInput) as refused:
        type(experiment()).from_mapping({**tables, "space": {"name": "evocnn"}})
    said = str(refused.value)
    assert "search nsga-net needs a space of integer vectors, and space evocnn has free genomes" in said
    assert "spaces that fit nsga-net: macro" in said
    assert "searches that fit evocnn: " in said
    assert "repeat" in said.partition("searches that fit evocnn: ")[2]
    assert "nsga-net" not in said.partition("searches that fit evocnn: ")[2]


def test_kinds_and_strategies() -> None:
    assert "nsga-net" in strategies_for(VectorSpace)
    assert "nsga-net" not in strategies_for(FreeSpace)
    assert {"repeat"} <= set(strategies_for(FreeSpace))
    for name in STRATEGIES.names():
        assert issubclass(STRATEGIES.component(name).searches, Space)


def unit(**genes: Any) -> dict[str, Any]:
    return {"type": "conv", "kernel": 3, "maps": 4, "mean": 0.0, "sd": 0.1, **genes}


FULL = {"type": "full", "neurons": 12, "mean": 0, "sd": 0}
OUTPUT = {"type": "output", "mean": 0.0, "sd": 0.1}


@pytest.mark.parametrize(
    ("genome", "words"),
    [
        ([unit(maps=7), OUTPUT], "layer 1 has maps = 7, which must be a whole number from 3 to 6"),
        ([unit(maps=4.0), OUTPUT], "layer 1 has maps = 4.0, which must be a whole number"),
        ([unit(sd=float("nan")), OUTPUT], "layer 1 has sd = nan, which must be a number from 0 to 1"),
        ([unit(more=1), OUTPUT], "a layer 'conv' has 'type', 'kernel', 'maps', 'mean', 'sd'"),
        ([unit(), FULL, unit()], "'conv', which cannot follow 'full'"),
        ([unit(), unit()], "the first must be 'conv', and the last, and no other, 'output'"),
        ([{"type": "pool", "kernel": 3, "averages": 0.1}, OUTPUT], "kernel = 3, which must be one of 2, 4"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_list_of_layers(genome: list[Any], words: str) -> None:
    with pytest.raises(BadInput, match=words):
        small("evocnn").check(genome)
