"""What every strategy promises, and what makes each of them itself."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest

from a4nn_core.search import STRATEGIES, Candidate, Outcome, SearchSettings, Strategy, no_violation
from a4nn_core.spaces.base import Genome
from a4nn_core.spaces.macro import Macro
from a4nn_core.spaces.nas_bench_macro import NASBenchMacro

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


@every
def test_a_seed_repeats_and_another_one_does_not(name: str) -> None:
    one = play(settings(name).start(SPACE, 7))
    assert play(settings(name).start(SPACE, 7)) == one
    assert genomes(play(settings(name).start(SPACE, 8))) != genomes(one)
    assert [candidate.number for candidate in one] == list(range(30))
    assert len(set(genomes(one))) == 30, "asked for twice"
    for candidate in one:
        SPACE.genes(candidate.genome)
        assert all(parent < candidate.number for parent in candidate.parents)


@pytest.mark.parametrize("name", list(GENERATIONAL))
def test_neither_portions_nor_the_order_of_tells_count(name: str) -> None:
    one = play(settings(name).start(SPACE, 3), portion=30)
    assert play(settings(name).start(SPACE, 3), portion=3, shuffle=random.Random(1)) == one


@every
def test_any_order_of_tells_resumes_from_the_log(name: str) -> None:
    log: list[tuple[str, Any]] = []
    one = play(settings(name).start(SPACE, 5), 4, some_fail, random.Random(2), log)
    assert len(one) == 30
    again = settings(name).start(SPACE, 5)
    for kind, what in log:
        if kind == "ask":
            assert again.ask(len(what)) == what
        else:
            again.tell(what)
    assert again.finished


@every
def test_goes_on_when_all_fail(name: str) -> None:
    assert len(play(settings(name).start(SPACE, 1), measure=lambda _: None)) == 30


@every
def test_bounds_are_respected(name: str, caplog: pytest.LogCaptureFixture) -> None:
    def violation(genome: Genome) -> float:
        return max(0.0, sum(genome) - 9.0)

    asked = play(settings(name, networks=30).start(SPACE, 2, violation), violation=violation)
    inside = [violation(candidate.genome) == 0.0 for candidate in asked]
    assert sum(inside) >= 0.9 * len(asked)
    assert len(asked) == 30 or "has converged" in caplog.text


@every
def test_bounds_that_admit_nothing_do_not_stop_it(name: str) -> None:
    """The loop then says so; the strategy must ask for something until it does."""
    asked = play(settings(name, networks=6).start(SPACE, 2, lambda _: 1.0), violation=lambda _: 1.0)
    assert len(asked) == 6


@every
def test_a_small_space_is_exhausted(name: str, caplog: pytest.LogCaptureFixture) -> None:
    def bits(candidate: Candidate) -> dict[str, float]:
        return {"error_percent": float(sum(candidate.genome[0])), "mflops": 1.0}

    asked = play(settings(name).start(TINY, 1), measure=bits)
    assert len(set(genomes(asked))) == len(asked) <= 16
    assert f"ends after {len(asked)} of 30 networks" in caplog.text
    if name in ("de", "cmaes", "moead"):  # these converge before that
        assert "has converged" in caplog.text or len(asked) == 16
    else:
        assert len(asked) == 16
        assert "all genomes of space macro" in caplog.text


@every
def test_a_revised_outcome_is_taken(name: str) -> None:
    strategy = settings(name).start(SPACE, 1)
    first = strategy.ask(5)
    for candidate in first:
        strategy.tell(Outcome(candidate.number, fitness(candidate), epochs=1))
    strategy.revise(Outcome(0, {"error_percent": 0.0, "mflops": 0.0}))
    for _ in range(6):
        for candidate in strategy.ask(5):
            strategy.tell(Outcome(candidate.number, fitness(candidate)))


def test_unknown_and_repeated_numbers_are_refused() -> None:
    strategy = settings("random").start(SPACE, 1)
    with pytest.raises(ValueError, match="network 0 was never asked"):
        strategy.tell(Outcome(0, None))
    [candidate] = strategy.ask(1)
    strategy.tell(Outcome(candidate.number, None))
    with pytest.raises(ValueError, match="network 0 was told before"):
        strategy.tell(Outcome(0, None))
