"""What makes each of the published searches itself."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from test_every_strategy import Game
from test_kinds_of_spaces import small

from a4nn_core.search import STRATEGIES, Candidate, Outcome
from a4nn_core.search.auto_keras import GaussianProcess, Shape, distance, shape
from a4nn_core.search.batches import BatchStrategy
from a4nn_core.search.nasnet import Controller, NASNet
from a4nn_core.spaces import SPACES
from a4nn_core.spaces.base import StagedSpace


def begun(strategy: str, space: str, **changes: Any) -> Any:
    return Game(strategy, space, **changes).start()


def told(search: BatchStrategy, error: Callable[[Candidate], float], count: int = 10**6) -> list[Candidate]:
    """Ask for networks and tell what they reach; returns them."""
    asked: list[Candidate] = []
    while len(asked) < count and not search.finished:
        for candidate in search.ask(1 if search.settings.schedule == "steady" else 10):
            asked.append(candidate)
            search.tell(Outcome(candidate.number, {"error_percent": error(candidate)}))
    return asked


def test_genetic_cnn_draws_by_what_is_better_than_the_worst() -> None:
    search = begun("genetic-cnn", "genetic-cnn", population=4, networks=30)
    first = search.ask(10)
    for candidate, error in zip(first, (50.0, 40.0, 30.0, math.nan), strict=True):
        search.tell(Outcome(candidate.number, {"error_percent": error}))
    search._select()
    assert search._shares() == pytest.approx([0, 1 / 3, 2 / 3, 0])


def test_genetic_cnn_crosses_by_stages() -> None:
    search = begun(
        "genetic-cnn", "genetic-cnn", population=16, networks=60, crossover=1.0, swap=0.5, mutation=0.0
    )
    asked = told(search, lambda candidate: float(np.concatenate(candidate.genome).sum()))
    children = [c for c in asked if c.operator == "stage crossover"]
    assert children
    for child in children:
        parents = [asked[number].genome for number in child.parents]
        for stage, bits in enumerate(child.genome):
            assert bits in [parent[stage] for parent in parents]


def test_genetic_cnn_searches_the_stages_of_other_spaces() -> None:
    macro = SPACES.make({"name": "macro", "phases": 2, "nodes": 3}, "test")
    assert isinstance(macro, StagedSpace)
    assert macro.stages == (slice(0, 4), slice(4, 8))
    assert macro.genome(range(8)) == [[0, 1, 2, 3], [4, 5, 6, 7]]
    assert STRATEGIES.component("genetic-cnn").fits(macro)


def test_evocnn_prefers_smaller_networks_where_errors_are_about_equal() -> None:
    game = Game("evocnn", "evocnn", population=4, networks=40)
    search: Any = game.start()
    first = search.ask(4)
    sizes = [game.decode(candidate.genome).parameters for candidate in first]
    small_one, large = int(np.argmin(sizes)), int(np.argmax(sizes))
    assert sizes[large] - sizes[small_one] > 100
    errors = dict.fromkeys(range(4), 50.0) | {large: 20.0, small_one: 24.0}
    for candidate in first:
        search.tell(Outcome(candidate.number, {"error_percent": errors[candidate.number]}))
    pair = [small_one, large]  # a network can also meet itself
    both = [search._winner(pair, np.random.default_rng(seed)) for seed in range(50)]
    drawn = [{pair[int(i)] for i in np.random.default_rng(seed).integers(0, 2, 2)} for seed in range(50)]
    assert {w for w, met in zip(both, drawn, strict=True) if len(met) == 2} == {small_one}
    search.outcomes[small_one] = Outcome(small_one, {"error_percent": 26.0})  # six points worse
    both = [search._winner(pair, np.random.default_rng(seed)) for seed in range(50)]
    assert {w for w, met in zip(both, drawn, strict=True) if len(met) == 2} == {large}


def test_evocnn_survivors_are_the_best_fifth_and_others_once_each() -> None:
    search = begun("evocnn", "evocnn", population=10, networks=60)
    told(search, lambda candidate: 90.0 - candidate.number)
    alive = search.population
    assert len(set(alive)) == len(alive) == 10
    everyone = sorted(search.outcomes, key=search.rank)
    assert alive[0] in everyone[:12]


def test_evocnn_crosses_layers_that_correspond() -> None:
    space, rng = small("evocnn"), np.random.default_rng(4)
    for _ in range(30):
        one, other = space.sample(rng), space.sample(rng)
        for child, parent in zip(space.cross(one, other, rng), (one, other), strict=True):
            assert [unit["type"] for unit in child] == [unit["type"] for unit in parent]
        counts = [sum(unit["type"] == "conv" for unit in genome) for genome in (one, other)]
        if counts[0] > counts[1]:
            place = [i for i, unit in enumerate(one) if unit["type"] == "conv"][counts[1]]
            assert space.cross(one, other, rng)[0][place] == one[place]


def test_in_the_hierarchical_search_nobody_dies_and_the_best_of_a_sample_has_children() -> None:
    search = begun("hierarchical", "hierarchical", initial=10, batch=5, share=1.0, networks=40)
    asked = told(search, lambda candidate: 50.0 + (candidate.number * 37) % 40)
    assert search.population == list(range(40))
    for child in asked[15:]:
        [parent] = child.parents
        before = child.number - child.number % 5
        assert search.rank(parent) == min(map(search.rank, range(before)))


def test_steady_evolution_keeps_the_best() -> None:
    search = begun("steady-evolution", "layer-sequence", population=5, initial=5, networks=40)
    asked = told(search, lambda candidate: float((candidate.number * 37) % 40))
    best = sorted(range(40), key=search.rank)[:5]
    assert sorted(search.population) == sorted(best)
    assert any(len(candidate.parents) == 2 for candidate in asked)


def test_large_scale_evolution_removes_the_worse_of_a_pair_and_hands_on_weights() -> None:
    search = begun("large-scale-evolution", "free-graph", population=20, networks=240)
    first = told(search, lambda candidate: float((candidate.number * 37) % 100), count=20)
    assert all(candidate.learning_rate == 0.1 and candidate.inherit_from is None for candidate in first)
    asked = dict(enumerate(first))
    operators = set()
    while not search.finished:
        before = list(search.alive)
        [child] = search.ask(1)
        asked[child.number] = child
        [parent] = child.parents
        [gone] = set(before) - set(search.alive)
        assert search.rank(parent) <= search.rank(gone)
        operators.add(child.operator)
        assert child.inherit_from == (None if child.operator == "reset weights" else parent)
        factor = (child.learning_rate or 0) / (asked[parent].learning_rate or 1)
        if child.operator == "alter learning rate":
            assert 0.5 <= factor <= 2
        else:
            assert factor == 1
        if child.operator in ("train on", "alter learning rate", "reset weights"):
            assert child.genome == asked[parent].genome
        search.tell(Outcome(child.number, {"error_percent": float((child.number * 37) % 100)}))
        assert len(search.alive) == 20
    assert operators == {
        *("insert convolution", "remove convolution", "alter stride", "alter channels", "alter filter size"),
        *("insert one-to-one", "add skip", "remove skip", "alter learning rate", "train on", "reset weights"),
    }


def conv(maps: int, kernel: int = 3) -> dict[str, Any]:
    return {"type": "conv", "maps": maps, "kernel": kernel}


def full(neurons: int) -> dict[str, Any]:
    return {"type": "full", "neurons": neurons}


POOL = {"type": "max_pool"}


@pytest.mark.parametrize("as_published", [True, False])
def test_particles_of_equal_layout_stand_still_as_published_only(as_published: bool) -> None:
    search = begun("pso-cnn", "pso-cnn", population=2, as_published=as_published)
    for candidate in search.ask(2):
        search.tell(Outcome(candidate.number, {"error_percent": 10.0 + candidate.number}))
    best, here = [conv(6), POOL, full(5)], [conv(3), POOL, full(2)]
    for number, genome in enumerate((best, here)):
        object.__setattr__(search.asked[number], "genome", genome)
    moved = [search._moved(1, 1, 0, np.random.default_rng(seed)).genome for seed in range(40)]
    assert all([unit["type"] for unit in genome] == ["conv", "max_pool", "full"] for genome in moved)
    if as_published:
        assert all(genome == here for genome in moved)
    else:
        assert {genome[0]["maps"] for genome in moved} == {3, 6}
        assert {genome[2]["neurons"] for genome in moved} == {2, 5}


def test_particles_take_over_blocks_and_lose_them() -> None:
    search = begun("pso-cnn", "pso-cnn", population=2, towards_best=1.0, as_published=True)
    for candidate in search.ask(2):
        search.tell(Outcome(candidate.number, {"error_percent": 10.0 + candidate.number}))
    best, here = [conv(6), POOL, full(4), full(5)], [conv(3), conv(4), POOL, full(2)]
    for number, genome in enumerate((best, here)):
        object.__setattr__(search.asked[number], "genome", genome)
    moved = search._moved(1, 1, 0, np.random.default_rng(0)).genome
    # the second convolution becomes the pooling layer of the best, the third block goes; of the full ones,
    # aligned from the back, the last stays and one is put before it
    assert moved == [conv(3), POOL, full(4), full(2)]


def test_psocnn_leaves_out_surplus_pooling() -> None:
    space = small("pso-cnn")
    genome = [conv(3), POOL, POOL, POOL, full(3)]
    pools = [
        sum(layer.op == "max_pool" for layer in space.decode(genome, (1, side, side), 2).layers)
        for side in (4, 8, 16, 28)
    ]
    assert pools == [0, 1, 2, 3]


def test_the_controller_learns_what_is_rewarded() -> None:
    settings = NASNet(learning_rate=0.02, hidden=16)
    upper = np.array([1, 2, 3, 0, 1, 2])
    controller, rng = Controller(upper, settings, seed=1), np.random.default_rng(2)

    def written(count: int) -> np.ndarray[Any, np.dtype[np.int64]]:
        return np.array([controller.write(rng) for _ in range(count)])

    first = written(60)
    assert np.all((first >= 0) & (first <= upper))
    assert all(len(set(first[:, gene])) == most + 1 for gene, most in enumerate(upper))
    for _ in range(15):
        genes = written(20)
        reward = genes.sum(axis=1).astype(float)
        controller.train(genes, reward - reward.mean())
    assert written(60).sum(axis=1).mean() > first.sum(axis=1).mean() + 2
    again = Controller(upper, settings, seed=1)
    once_more = Controller(upper, settings, seed=1)
    for seed in range(5):
        same = (one.write(np.random.default_rng(seed)) for one in (again, once_more))
        assert np.array_equal(*same)


def test_auto_keras_morphs_what_it_trained_and_hands_on_weights() -> None:
    search = begun("auto-keras", "free-graph", initial=3, networks=14, cooling=0.5)
    asked = told(search, lambda candidate: 80.0 - 4 * len(candidate.genome["vertices"]))
    for child in asked[3:]:
        [root] = child.parents
        assert (child.inherit_from, child.morph) == (root, True)
        assert set(child.operator.split(" + ")) <= {"deeper", "wider", "skip"}
    grown = [len(candidate.genome["vertices"]) for candidate in asked]
    assert max(grown[8:]) > max(grown[:3])  # it has found out that deeper is better


def test_edit_distance_is_a_metric_and_its_process_interpolates() -> None:
    space, rng = small("free-graph"), np.random.default_rng(0)
    shapes = [shape(space.sample(rng)) for _ in range(12)]
    for one in shapes:
        assert distance(one, one) == 0
        for other in shapes:
            assert distance(one, other) == pytest.approx(distance(other, one))
            assert (distance(one, other) == 0) == (one == other)
    assert distance(Shape(((4, 3, 3, 1),), ()), Shape((), ())) == 1
    assert distance(Shape(((4, 3, 3, 1),), ()), Shape(((8, 3, 3, 1),), ())) == pytest.approx(0.125)
    assert distance(Shape((), ((0, 2),)), Shape((), ((0, 2), (1, 1)))) == 1
    apart = list(dict.fromkeys(shapes))[:3]
    process = GaussianProcess(apart, np.array([1.0, -1.0, 0.5]), 1.0)
    mean, deviation = process.predict(apart[0])
    assert mean == pytest.approx(1.0, abs=0.1)
    assert deviation < 0.1
    far, unsure = process.predict(Shape(((64, 7, 7, 4),) * 9, ()))
    assert far == pytest.approx(0.0, abs=1e-6)
    assert unsure == pytest.approx(1.0)
