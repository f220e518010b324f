"""What makes each strategy itself; what all of them promise is in test_every_strategy.py."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Callable, Mapping
from importlib.util import find_spec as installed
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from fakes import experiment

from a4nn_core.data import DATA_SOURCES
from a4nn_core.errors import BadInput
from a4nn_core.experiment import Experiment
from a4nn_core.search import STRATEGIES, Candidate, Outcome, SearchSettings, Strategy, no_violation
from a4nn_core.spaces.base import Genome
from a4nn_core.spaces.macro import Macro
from a4nn_core.spaces.nas_bench_macro import NASBenchMacro
from a4nn_core.workflow.concerns import concerns
from a4nn_core.workflow.devices import Machine

SPACE = NASBenchMacro()
TINY = Macro(phases=1, nodes=3)  # 16 genomes
ONE = {"error_percent": "minimise"}
TWO = {"error_percent": "minimise", "mflops": "minimise"}
Measure = Callable[[Candidate], Mapping[str, float] | None]

GENERATIONAL: dict[str, dict[str, Any]] = {
    "random": {"name": "random"},
    "local search": {"name": "local-search", "batch": 4, "initial": 6},
    "local search, best": {"name": "local-search", "improvement": "best", "batch": 4, "initial": 6},
    "regularised evolution": {"name": "regularised-evolution", "population": 12, "sample": 4, "batch": 5},
    "tpe": {"name": "optuna", "batch": 5, "objectives": TWO},
    "nsga-ii of optuna": {"name": "optuna", "sampler": "nsga-ii", "population": 8, "objectives": TWO},
    "nsga2": {"name": "pymoo"},
    "moead": {"name": "pymoo", "algorithm": "moead", "options": {"n_neighbors": 4}},
    "de": {"name": "pymoo", "algorithm": "de", "objectives": ONE},
    "cmaes": {"name": "pymoo", "algorithm": "cmaes", "objectives": ONE},
}
STEADY = {
    f"{name}, steady": {**tables, "schedule": "steady"}
    for name, tables in GENERATIONAL.items()
    if tables["name"] != "pymoo"
}
ALL = {**GENERATIONAL, **STEADY}
every = pytest.mark.parametrize("name", list(ALL))


def settings(name: str, **changes: Any) -> SearchSettings:
    return STRATEGIES.make({"networks": 30, **ALL[name], **changes}, "[search]")


def fitness(candidate: Candidate) -> dict[str, float]:
    """A made-up trade-off on NAS-Bench-Macro: larger blocks, less error, more work."""
    genes = np.array(candidate.genome)
    return {"error_percent": 40.0 - float(genes @ np.arange(1, 9)) / 2, "mflops": float(genes.sum())}


def error_of(candidate: Candidate) -> float:
    return fitness(candidate)["error_percent"]


def some_fail(candidate: Candidate) -> Mapping[str, float] | None:
    """A third fails, a third diverges."""
    return (None, {"error_percent": math.nan, "mflops": 1.0}, fitness(candidate))[candidate.number % 3]


def play(
    strategy: Strategy,
    portion: int = 10,
    measure: Measure = fitness,
    shuffle: random.Random | None = None,
    log: list[tuple[str, Any]] | None = None,
    violation: Callable[[Genome], float] = no_violation,
) -> list[Candidate]:
    """Search to the end, keeping some networks in training; ``log`` takes asks and tells in their order."""
    asked: list[Candidate] = []
    training: list[Candidate] = []
    for _ in range(100_000):
        new = strategy.ask(portion)
        if log is not None and new:
            log.append(("ask", new))
        asked += new
        training += new
        if strategy.finished:
            return asked
        assert training, "a search that is not finished must ask for something"
        one = training.pop(shuffle.randrange(len(training)) if shuffle else 0)
        outside = violation(one.genome)
        outcome = Outcome(one.number, None if outside else measure(one), violation=outside)
        if log is not None:
            log.append(("tell", outcome))
        strategy.tell(outcome)
    raise AssertionError("the search does not end")


def genomes(asked: list[Candidate]) -> list[str]:
    return [json.dumps(candidate.genome) for candidate in asked]


@pytest.mark.parametrize("name", list(GENERATIONAL))
def test_neither_portions_nor_the_order_of_tells_count(name: str) -> None:
    one = play(settings(name).start(SPACE, 3), portion=30)
    assert play(settings(name).start(SPACE, 3), portion=3, shuffle=random.Random(1)) == one


@every
def test_a_small_space_is_exhausted(name: str, caplog: pytest.LogCaptureFixture) -> None:
    def bits(candidate: Candidate) -> dict[str, float]:
        return {"error_percent": float(sum(candidate.genome[0])), "mflops": 1.0}

    asked = play(settings(name).start(TINY, 1), measure=bits)
    assert len(set(genomes(asked))) == len(asked) <= 16
    assert f"ends after {len(asked)} of 30 networks" in caplog.text
    if name in ("de", "cmaes", "moead"):  # these converge before that
        assert "asks for nothing new" in caplog.text or len(asked) == 16
    else:
        assert len(asked) == 16
        assert "all genomes of space macro" in caplog.text


def test_unknown_and_repeated_numbers_are_refused() -> None:
    strategy = settings("random").start(SPACE, 1)
    with pytest.raises(ValueError, match="network 0 was never asked"):
        strategy.tell(Outcome(0, None))
    [candidate] = strategy.ask(1)
    strategy.tell(Outcome(candidate.number, None))
    with pytest.raises(ValueError, match="network 0 was told before"):
        strategy.tell(Outcome(0, None))


# what makes each of them itself


def test_local_search_moves_to_the_first_better_neighbour_and_begins_again() -> None:
    asked = play(settings("local search, steady", networks=400, initial=3).start(SPACE, 4), portion=1)
    for candidate, follower in pairwise(asked):
        if candidate.parents and follower.parents:
            moved = error_of(candidate) < error_of(asked[candidate.parents[0]])
            assert follower.parents == ((candidate.number,) if moved else candidate.parents)
            assert np.sum(np.array(candidate.genome) != np.array(asked[candidate.parents[0]].genome)) == 1
    # the made-up error has one optimum, from which there is no better neighbour
    assert sum(candidate.genome == [2] * 8 for candidate in asked) == 1
    assert sum(one.parents != () and other.parents == () for one, other in pairwise(asked)) >= 2, (
        "begins again"
    )


def test_local_search_for_the_best_trains_all_neighbours_first() -> None:
    strategy = settings("local search, best, steady", initial=1, networks=60).start(SPACE, 4)
    asked = play(strategy, portion=1)
    around = [candidate for candidate in asked if candidate.parents == (0,)]
    assert len(around) == 16  # two other values of eight genes
    best = min(around, key=error_of)
    assert asked[17].parents == (best.number,)


def test_regularised_evolution_forgets_the_oldest() -> None:
    """Even the best network leaves: with a population of 5, parents are at most 5 tells old."""
    tables = {"population": 5, "sample": 50, "networks": 60}
    asked = play(settings("regularised evolution, steady", **tables).start(SPACE, 1), portion=1)
    assert all(candidate.parents == () for candidate in asked[:5])
    children = [candidate for candidate in asked if candidate.parents]
    assert len(children) > 50
    for child in children:
        [parent] = child.parents
        young = asked[child.number - 5 : child.number]
        assert parent >= child.number - 5
        # a sample of 50 out of 5, with replacement, all but surely has the best
        assert error_of(asked[parent]) == min(map(error_of, young))


def test_weights_make_one_number_of_several_objectives() -> None:
    def share_of_small(weight: float) -> float:
        weights = {"error_percent": 1.0, "mflops": weight}
        one = settings("regularised evolution", networks=80, objectives=TWO, weights=weights)
        return float(np.mean([sum(candidate.genome) for candidate in play(one.start(SPACE, 1))[40:]]))

    assert share_of_small(0.001) > share_of_small(10.0) + 3


@pytest.mark.slow
@pytest.mark.parametrize("name", ["local search", "local search, best", "regularised evolution", "tpe", "de"])
def test_what_was_learned_counts(name: str) -> None:
    """Told an easy error, each finds better networks than told errors that mean nothing. (Of those for
    several objectives, the benchmark tells: benchmarks/strategies.py.)"""

    def best_of(seed: int) -> float:
        asked = play(settings(name, networks=60, objectives=ONE).start(SPACE, seed))
        return float(np.mean([error_of(candidate) for candidate in asked[-15:]]))

    def misled(seed: int) -> float:
        rng = random.Random(seed)
        wrong = play(
            settings(name, networks=60, objectives=ONE).start(SPACE, seed),
            measure=lambda _: {"error_percent": rng.uniform(4, 40), "mflops": rng.uniform(0, 16)},
        )
        return float(np.mean([error_of(candidate) for candidate in wrong[-15:]]))

    assert np.mean([misled(seed) - best_of(seed) for seed in range(3)]) > 1.0


@pytest.mark.parametrize("algorithm", ["sms-emoa", "NSGA-III", "unsga3", "spea2", "rvea", "nsde", "mopso_cd"])
def test_other_algorithms_for_several_objectives(algorithm: str) -> None:
    tables = {"name": "pymoo", "algorithm": algorithm, "population": 6, "networks": 25}
    made = STRATEGIES.make(tables, "[search]")
    one = play(made.start(SPACE, 1), measure=some_fail)
    assert len(one) >= 12
    assert play(made.start(SPACE, 1), 4, some_fail, random.Random(1)) == one


@pytest.mark.parametrize("algorithm", ["ga", "pso", "es", "isres", "nelder-mead", "pattern-search"])
def test_other_algorithms_for_one_objective(algorithm: str) -> None:
    tables = {"name": "pymoo", "algorithm": algorithm, "population": 6, "networks": 25, "objectives": ONE}
    made = STRATEGIES.make(tables, "[search]")
    one = play(made.start(SPACE, 1), measure=some_fail)
    assert len(one) >= 8
    np.random.random(5)
    assert play(made.start(SPACE, 1), 4, some_fail, random.Random(1)) == one


# bad input


@pytest.mark.parametrize(
    ("tables", "said"),
    [
        (
            {"name": "local-search", "objectives": TWO},
            r"by one number, and there are 2 objectives \(error_percent, mflops\): .* nsga-net",
        ),
        (
            {"name": "regularised-evolution", "objectives": TWO},
            "regularised-evolution compares networks by one",
        ),
        ({"name": "local-search", "weights": {"mflops": 1.0}}, "weights are of mflops, but .* error_percent"),
        (
            {"name": "local-search", "weights": {"error_percent": -1.0}},
            "weight of error_percent is not a positive",
        ),
        ({"name": "optuna", "sampler": "cmaes"}, "sampler = 'cmaes': input should be 'tpe' or 'nsga-ii'"),
        ({"name": "pymoo", "schedule": "steady"}, "nsga2 of pymoo works in generations"),
        (
            {"name": "pymoo", "algorithm": "nsga4"},
            "pymoo has no algorithm 'nsga4'; for several objectives it has",
        ),
        ({"name": "pymoo", "algorithm": "ga"}, "ga of pymoo is for one objective; for several objectives"),
        ({"name": "pymoo", "objectives": ONE}, "nsga2 of pymoo is for several objectives; for one objective"),
        ({"name": "random", "batch": 0}, "batch = 0"),
    ],
)
def test_settings_that_cannot_work_are_refused(tables: dict[str, Any], said: str) -> None:
    with pytest.raises(BadInput, match=said):
        STRATEGIES.make(tables, "[search]")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"pop_size": "many"}, r"pymoo cannot begin with nsga2 and options .*many"),
        ({"popsize": 5}, r"pymoo's nsga2 has no argument 'popsize'; it has .*n_offsprings.*pop_size"),
    ],
)
def test_options_that_pymoo_refuses(options: dict[str, Any], said: str) -> None:
    with pytest.raises(BadInput, match=said):
        STRATEGIES.make({"name": "pymoo", "options": options}, "[search]")


@pytest.mark.skipif(installed("numba") is not None, reason="with numba it works")
def test_an_algorithm_that_needs_another_package_says_so() -> None:
    with pytest.raises(BadInput, match=r"pymoo cannot load agemoea: .*pip install numba"):
        STRATEGIES.make({"name": "pymoo", "algorithm": "agemoea"}, "[search]")


def test_without_optuna_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("a4nn_core.search.optuna.find_spec", lambda _: None)
    with pytest.raises(BadInput, match="search optuna needs Optuna: pip install"):
        STRATEGIES.make({"name": "optuna"}, "[search]")


def loop(name: str, **tables: Any) -> Experiment:
    """An experiment with a strategy, otherwise that of the tests of the loop."""
    whole = {**experiment().to_mapping(), **tables}
    return Experiment.from_mapping({**whole, "search": {"networks": 12, **ALL[name]}})


@pytest.mark.parametrize("name", ["tpe", "nsga2"])
def test_free_genomes_are_refused_where_they_do_not_fit(name: str) -> None:
    with pytest.raises(BadInput, match=f"search {ALL[name]['name']} needs a space of integer vectors"):
        loop(name, space={"name": "evocnn"})


def test_a_search_that_is_only_random_is_warned_of() -> None:
    data = DATA_SOURCES.make("digits", "[data]").load()
    machine = Machine("cpu", 1, 1)
    tables = {**experiment().to_mapping(), "search": {"name": "regularised-evolution", "networks": 60}}
    said = concerns(Experiment.from_mapping(tables), data, machine, is_local=False)
    assert any("population of 100 (search.population), all of them random" in one for one in said)
    tables |= {"space": {"name": "macro", "phases": 1, "nodes": 3}, "search": {"name": "random"}}
    said = concerns(Experiment.from_mapping(tables), data, machine, is_local=False)
    assert any("space macro has 16 genomes, fewer than search.networks = 100" in one for one in said)
