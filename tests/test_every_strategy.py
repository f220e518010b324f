"""What every strategy promises on every space that it fits: parametrised over the registries, so that a new
strategy or space is covered by being registered."""

from __future__ import annotations

import contextlib
import json
import math
import os
import random
import subprocess
import sys
import zlib
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import every_executor
import numpy as np
import pytest
import torch
from fakes import FakeExecutor, search
from prefect_stack import Stack
from test_kinds_of_spaces import SMALL, small
from test_strategies import play

from a4nn_core.commons import Commons
from a4nn_core.errors import BadInput
from a4nn_core.experiment import Experiment
from a4nn_core.metrics import BUILTIN
from a4nn_core.penguin.measure import Accuracy
from a4nn_core.search import STRATEGIES, Candidate, Outcome, SearchSettings, Strategy, Study, no_violation
from a4nn_core.search.variation import SOWN
from a4nn_core.spaces import SPACES, Architecture, Space
from a4nn_core.spaces.base import Genome
from a4nn_core.training.loading import DeviceData
from a4nn_core.training.segment import Segment, SegmentResult
from a4nn_core.training.trainer import train_segment
from a4nn_core.vocabulary import NetworkStatus, Task
from a4nn_core.workflow.run import EXECUTORS, execute

FEW = dict.fromkeys(("population", "offspring", "batch", "initial", "particles", "sample", "startup"), 3)
"""settings, of those strategies that have them, with which a few networks are a search"""
CHEAPER: dict[str, dict[str, Any]] = {
    "a4nn": {"children": 8, "rounds": 1},
    "auto-keras": {"cooling": 0.1},
    "nasnet": {"hidden": 8},
}
"""settings with which strategies think less"""
VARIANTS: dict[str, dict[str, Any]] = {
    "local-search, best": {"name": "local-search", "improvement": "best"},
    "optuna, nsga-ii": {"name": "optuna", "sampler": "nsga-ii"},
    "pymoo, moead": {"name": "pymoo", "algorithm": "moead", "options": {"n_neighbors": 2}},
    "pymoo, de": {"name": "pymoo", "algorithm": "de", "objectives": {"error_percent": "minimise"}},
    "pymoo, cmaes": {"name": "pymoo", "algorithm": "cmaes", "objectives": {"error_percent": "minimise"}},
}
"""strategies whose settings make them others"""
NETWORKS = 10
SHAPE, CLASSES = (1, 8, 8), 2
OWN = "a4nn_core"
LEARNS_LITTLE = ("random", "nasnet", "hierarchical")
"""strategies that learn nothing, or nothing that shows after a few networks"""


def pairs() -> list[tuple[str, str]]:
    """Every strategy with every space that it fits, but those that ask for networks they were given (those of
    others: tests/test_proposals.py), and the space that is a list of networks (tests/test_designed.py)."""
    given = ("repeat", "exhaustive", "callable", "script", "person")
    names = [name for name in STRATEGIES.names() if STRATEGIES.package(name) == OWN and name not in given]
    spaces = [name for name in SPACES.names() if SPACES.package(name) == OWN and name != "designed"]
    return [(s, p) for s in names for p in spaces if STRATEGIES.component(s).fits(SPACES.component(p))]


PAIRS = [*pairs(), *((variant, "nas-bench-macro") for variant in VARIANTS)]
each = pytest.mark.parametrize(("strategy", "space"), PAIRS, ids=[" on ".join(pair) for pair in PAIRS])
BY_STRATEGY = dict(reversed(PAIRS))
one_each = pytest.mark.parametrize(("strategy", "space"), list(BY_STRATEGY.items()))


def settings(name: str, **changes: Any) -> SearchSettings:
    tables = VARIANTS.get(name, {"name": name})
    model = STRATEGIES.component(tables["name"])
    few = {key: value for key, value in FEW.items() if key in model.model_fields}
    few |= CHEAPER.get(name, {})
    return STRATEGIES.make({**tables, "networks": NETWORKS, **few, **changes}, "[search]")


@cache
def decoded(space: Space, text: str) -> Architecture:
    return space.decode(json.loads(text), SHAPE, CLASSES)


class Game:
    """A search of a space, whose networks are measured by a formula."""

    def __init__(self, strategy: str, space: str, seed: int = 3, **changes: Any) -> None:
        self.settings = settings(strategy, **changes)
        self.space = small(space)
        self.seed = seed
        self.violation: Callable[[Genome], float] = no_violation

    def start(self) -> Strategy:
        study = Study(self.decode, horizon=4, measure=Accuracy(100))
        return self.settings.begin(self.space, self.seed, self.violation, study)

    def decode(self, genome: Genome) -> Architecture:
        return decoded(self.space, json.dumps(genome))

    def measure(self, candidate: Candidate) -> Mapping[str, float]:
        """Larger networks are better, up to something that differs from one to the next."""
        key = json.dumps(candidate.genome)
        architecture = decoded(self.space, key)
        error = 60.0 - 3 * math.log(architecture.parameters) + zlib.crc32(key.encode()) % 256 / 64
        before = {
            name: float(metric.of_architecture(architecture))
            for name, metric in BUILTIN.items()
            if metric.of_architecture is not None
        }
        return {**before, "error_percent": error, "accuracy_percent": 100 - error, "psnr_db": 100 - error}

    def play(self, **how: Any) -> list[Candidate]:
        how = {"measure": self.measure, "portion": 3, "violation": self.violation} | how
        return play(self.start(), **how)


@each
def test_asks_for_valid_genomes_and_repeats_by_seed(strategy: str, space: str) -> None:
    game = Game(strategy, space)
    asked = game.play()
    assert game.play() == asked
    assert [candidate.number for candidate in asked] == list(range(len(asked)))
    assert len(asked) == NETWORKS
    for candidate in asked:
        game.space.check(candidate.genome)
        assert json.loads(json.dumps(candidate.genome)) == candidate.genome
        assert game.decode(candidate.genome).parameters > 0
        assert candidate.operator
        assert all(parent < candidate.number for parent in candidate.parents)
        if candidate.inherit_from is not None:
            assert candidate.inherit_from in candidate.parents
    other = Game(strategy, space, seed=4).play()
    assert [c.genome for c in other] != [c.genome for c in asked]


def schedules(strategy: str) -> list[str]:
    """The schedules that a strategy takes."""
    found = []
    for schedule in ("generational", "steady"):
        try:
            settings(strategy, schedule=schedule)
        except BadInput:
            continue
        found.append(schedule)
    return found


SCHEDULED = [(s, p, schedule) for s, p in BY_STRATEGY.items() for schedule in schedules(s)]


@pytest.mark.parametrize(("strategy", "space", "schedule"), SCHEDULED)
def test_resumes_from_the_log_whatever_the_order_of_tells(strategy: str, space: str, schedule: str) -> None:
    """Some networks fail, some diverge."""
    game = Game(strategy, space, schedule=schedule)

    def some_fail(candidate: Candidate) -> Mapping[str, float] | None:
        values = game.measure(candidate)
        return (values, None, dict.fromkeys(values, math.nan), values)[candidate.number % 4]

    log: list[tuple[str, Any]] = []
    asked = game.play(measure=some_fail, shuffle=random.Random(1), log=log)
    assert len(asked) == NETWORKS
    again = game.start()
    for kind, what in log:
        if kind == "ask":
            assert again.ask(len(what)) == what
        else:
            again.tell(what)
    assert again.finished


@pytest.mark.parametrize(("strategy", "space", "schedule"), SCHEDULED)
def test_goes_on_when_nothing_works(strategy: str, space: str, schedule: str) -> None:
    game = Game(strategy, space, schedule=schedule)
    assert len(game.play(measure=lambda _: None)) == NETWORKS
    game.violation = lambda _: 1.0
    assert len(game.play()) == NETWORKS


@one_each
def test_bounds_are_respected(strategy: str, space: str) -> None:
    game = Game(strategy, space)
    sizes = sorted(game.decode(candidate.genome).parameters for candidate in game.play())
    most = sizes[len(sizes) * 2 // 3]
    game.violation = lambda genome: max(0.0, game.decode(genome).parameters / most - 1)
    asked = game.play()
    assert all(game.violation(candidate.genome) == 0.0 for candidate in asked)


@one_each
def test_never_asks_for_ever_for_what_it_was_told(strategy: str, space: str) -> None:
    """No genome is asked for twice with the same beginning, as the loop would not train it twice."""
    asked = Game(strategy, space, networks=14).play()
    begun = [json.dumps([c.genome, c.inherit_from, c.learning_rate]) for c in asked]
    assert len(set(begun)) >= 0.9 * len(begun)


@one_each
def test_revised_outcomes_are_taken(strategy: str, space: str) -> None:
    game = Game(strategy, space)
    running = game.start()
    first = running.ask(4)
    for candidate in first:
        running.tell(Outcome(candidate.number, game.measure(candidate), epochs=1))
    running.revise(Outcome(0, game.measure(first[0])))
    for candidate in running.ask(2):
        running.tell(Outcome(candidate.number, game.measure(candidate)))


def few_genomes(game: Game, count: int = 3) -> list[Genome]:
    """Different genomes of its space that build different networks."""
    found: dict[str, Genome] = {}
    for seed in range(100):
        genome = game.space.sample(np.random.default_rng([99, seed]))
        found.setdefault(game.decode(genome).hash, genome)
    return list(found.values())[:count]


@pytest.mark.parametrize(
    ("strategy", "space"), [(s, p) for s, p in BY_STRATEGY.items() if settings(s).can_sow()]
)
def test_begins_with_networks_of_earlier_runs(strategy: str, space: str) -> None:
    """They count as networks of its own; what becomes of them counts, too."""
    game = Game(strategy, space, networks=14)
    genomes = few_genomes(game)

    def play_with(bonus: float) -> list[Candidate]:
        def measure(candidate: Candidate) -> Mapping[str, float]:
            values = dict(game.measure(candidate))
            if candidate.operator == SOWN:
                error = 50 - bonus / (1 + candidate.number)
                values |= {"error_percent": error, "accuracy_percent": 100 - error, "mflops": error / 100}
            return values

        began = game.start()
        began.sow(genomes)
        return play(began, measure=measure, portion=3)

    asked = play_with(49.0)
    assert play_with(49.0) == asked
    assert len(asked) == 14
    sown = [candidate for candidate in asked if candidate.operator == SOWN]
    assert sorted(map(json.dumps, genomes)) == sorted(json.dumps(one.genome) for one in sown)
    assert all(one.number < 4 and not one.parents for one in sown)
    if strategy not in LEARNS_LITTLE:
        assert [one.genome for one in play_with(-49.0)] != [one.genome for one in asked]


# in the loop


def an_experiment(strategy: str, space: str, **changes: Any) -> Experiment:
    searched = settings(strategy, networks=6).model_dump(mode="json", exclude_none=True)
    tables = {"name": "tiny", "seed": 5, "data": {"name": "digits"}, "search": searched}
    restores = SPACES.component(space).task is Task.restoration
    rule = "none" if settings(strategy).inherits else "front"
    if restores:
        tables["data"] = {"name": "xfel", "size": 8, "train": 30, "validation": 6, "test": 6} | {
            "target": "expected"
        }
        searched["objectives"] = {"psnr_db": "maximise"}
    return Experiment.from_mapping(
        {
            **tables,
            "space": {"name": space, **SMALL.get(space, {})},
            "training": {"epochs": 1, "batch_size": 250, "slots": 1},
            "termination": {"name": rule},
            **changes,
        }
    )


class Killed(Exception):
    """Ends a search as a kill would."""


@pytest.mark.slow
@one_each
def test_goes_on_from_its_records_when_it_was_killed(strategy: str, space: str, tmp_path: Path) -> None:
    """Under a rule that compares networks where the strategy allows it."""

    def until(segment: Segment) -> None:
        if segment.network == 4:
            raise Killed

    what = an_experiment(strategy, space, training={"epochs": 2})
    whole = search(what, tmp_path / "whole", FakeExecutor(one_at_a_time=True))
    with contextlib.suppress(Killed):  # the network may be equal to another, and not be trained
        search(what, tmp_path / "cut", FakeExecutor(until, one_at_a_time=True))
    resumed = search(what, tmp_path / "cut", FakeExecutor(one_at_a_time=True))
    assert resumed.candidates == whole.candidates
    assert resumed.reported == whole.reported


# with earlier runs, under a rule that uses them, by every executor

KINDS = ("a4nn", "large-scale-evolution", "regularised-evolution")
"""one each whose networks compete in generations, begin with the weights of others, come one by one: what an
executor can notice of a strategy; A4NN_TEST_ALL=1 takes all, which needs some minutes for each executor"""
BEST = 2


def with_prior(strategy: str, space: str) -> dict[str, Any]:
    """The tables of an experiment that learns from the run ``before-SPACE`` in every way that there is."""
    steady = {"schedule": "steady"} if "steady" in schedules(strategy) else {}
    tables = an_experiment(strategy, space).to_mapping()
    tables["search"] |= {"networks": 5, **steady}
    prior = {
        "runs": [f"before-{space}"],
        **({"best": BEST} if settings(strategy, **steady).can_sow() else {}),
    }
    return {**tables, "prior": prior, "training": {"epochs": 2, "batch_size": 250, "slots": 2}}


@pytest.fixture(scope="module")
def begun(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A commons with a run on each space."""
    commons = tmp_path_factory.mktemp("every") / "commons"
    for space in sorted(set(BY_STRATEGY.values())):
        execute(an_experiment("random", space), commons, f"before-{space}", lambda _: FakeExecutor())
    return commons


def check_learned(commons: Path, run_id: str, strategy: str) -> None:
    """The run is complete and began, if it can, with the best networks of the one before."""
    store, space = Commons(commons), BY_STRATEGY[strategy]
    assert store.run(run_id).status == "completed"
    networks = store.networks(run_id)
    assert len(networks) == 5
    taken = [row.architecture_hash for row in networks if row.operator == SOWN]
    assert len(taken) == (BEST if settings(strategy).can_sow() else 0)
    assert set(taken) <= {row.architecture_hash for row in store.networks(f"before-{space}")}
    prior = store.run(run_id).prior
    assert prior
    assert f"before-{space}" in prior


@pytest.mark.slow
@one_each
def test_learns_from_earlier_runs(strategy: str, space: str, begun: Path) -> None:
    what = Experiment.from_mapping(with_prior(strategy, space))
    run_id = strategy.replace(", ", "-")

    def until(segment: Segment) -> None:
        if segment.network == 3:
            raise Killed

    with contextlib.suppress(Killed):  # the network may be equal to another, and not be trained
        execute(what, begun, run_id, lambda _: FakeExecutor(until, one_at_a_time=True))
    execute(what, begun, run_id, lambda _: FakeExecutor(one_at_a_time=True))
    check_learned(begun, run_id, strategy)


def by_executor(executor: str, commons: Path, strategies: Sequence[str], environment: dict[str, str]) -> None:
    """Run a search with each of some strategies, in another process, where each executor is itself."""
    runs = {
        f"{executor}-{name.replace(', ', '-')}": with_prior(name, BY_STRATEGY[name]) for name in strategies
    }
    program = [sys.executable, every_executor.__file__, executor, str(commons), json.dumps(runs)]
    done = subprocess.run(program, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    assert json.loads(done.stdout.splitlines()[-1]) == {}, "refused"
    for run_id, name in zip(runs, strategies, strict=True):
        check_learned(commons, run_id, name)


@pytest.mark.slow
def test_every_strategy_with_workers_of_this_machine(begun: Path) -> None:
    by_executor("local", begun, list(BY_STRATEGY), {**os.environ})


@pytest.mark.integration
@pytest.mark.parametrize("executor", ["prefect", "ray", "dask"])
def test_strategies_of_each_kind_by_every_other_executor(executor: str, stack: Stack, begun: Path) -> None:
    assert set(EXECUTORS.names()) == {"local", "prefect", "ray", "dask"}, "another executor is to be tried"
    environment = {**stack.environment, "RAY_USAGE_STATS_ENABLED": "0"}
    each_strategy = [name for name in BY_STRATEGY if name not in VARIANTS]
    strategies = each_strategy if "A4NN_TEST_ALL" in os.environ else KINDS
    by_executor(executor, begun, strategies, environment)


@pytest.mark.parametrize("strategy", ["exhaustive", "repeat", "pymoo", "optuna"])
def test_who_cannot_begin_with_others_says_so(strategy: str) -> None:
    searched: dict[str, dict[str, Any]] = {
        "exhaustive": {"name": "exhaustive", "networks": 100},
        "pymoo": VARIANTS["pymoo, cmaes"],
        "optuna": VARIANTS["optuna, nsga-ii"],
        "repeat": {
            "name": "repeat",
            "run": "r",
            "candidates": [{"number": 0, "genome": [[0]], "generation": 0, "position": 0}],
        },
    }
    tables = {**an_experiment("random", "macro").to_mapping(), "search": searched[strategy]}
    tables["space"] = {"name": "macro", "phases": 1, "nodes": 3}
    said = rf"\[prior\] best = 2: search {strategy} cannot begin .*those that can: nsga-net, a4nn"
    with pytest.raises(BadInput, match=said):
        Experiment.from_mapping({**tables, "prior": {"auto": True, "best": 2}})


def test_more_than_there_is_room_for_is_refused() -> None:
    with pytest.raises(BadInput, match=r"\[prior\] best = 7 is more than \[search\] networks = 6"):
        an_experiment("random", "macro", prior={"auto": True, "best": 7})


@pytest.fixture(scope="module")
def digits() -> DeviceData:
    return DeviceData(an_experiment("random", "macro").data.load(), torch.device("cpu"))


@pytest.mark.slow
@one_each
def test_trains_on_digits(strategy: str, space: str, digits: DeviceData, tmp_path: Path) -> None:
    what = an_experiment(strategy, space)
    restores = what.data.task is Task.restoration
    data = DeviceData(what.data.load(), digits.device) if restores else digits

    class Training(FakeExecutor):
        def _train(self, segment: Segment) -> SegmentResult:
            self.trained.append(segment)
            return train_segment(segment, data, data.device)

    executor = Training()
    one = search(what, tmp_path, executor, classes=10)
    trained = [one.networks[segment.network] for segment in executor.trained]
    assert len(one.networks) == 6
    assert len(trained) >= 2
    assert all(network.status is not NetworkStatus.failed for network in trained), [n.error for n in trained]
    assert all(0 <= (network.best_score or -1) <= 100 for network in trained)
