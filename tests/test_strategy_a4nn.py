"""The strategy that chooses by a model whom to train, and the expected growth of the front."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping

import numpy as np
import pytest
import test_search
from pymoo.indicators.hv import HV

from a4nn_core.errors import BadInput
from a4nn_core.metrics import find_metric
from a4nn_core.penguin.measure import Accuracy
from a4nn_core.penguin.observed import Observed, Past
from a4nn_core.penguin.predictor import JointForecast, PerformancePredictor
from a4nn_core.search import Candidate, Outcome, Strategy, Study, no_violation
from a4nn_core.search.a4nn import A4NN, Model
from a4nn_core.search.base import STRATEGIES, SearchSettings
from a4nn_core.search.evolution import Evolution
from a4nn_core.search.improvement import Region, expected_growth
from a4nn_core.search.nsga_net import NSGANet
from a4nn_core.spaces.architecture import Architecture
from a4nn_core.spaces.base import Genome
from a4nn_core.spaces.features import architecture_features
from a4nn_core.spaces.macro import Macro
from a4nn_core.vocabulary import Direction

SPACE = Macro(channels=4)
HORIZON = 5
SMALL = A4NN(networks=40, children=60, rounds=1)
MEASURED = dict[str, float] | None


def decode(genome: Genome) -> Architecture:
    return SPACE.decode(genome, (1, 32, 32), 2)


STUDY = Study(decode, HORIZON, measure=Accuracy(2000))


def accuracy(genome: Genome) -> float:
    """Percent; later phases and skips are worth more than they cost."""
    merit = sum((1 + place) * (sum(bits[:-1]) + 3 * bits[-1]) for place, bits in enumerate(genome))
    return 99 - 40 * float(np.exp(-merit / 20))


def measure(candidate: Candidate) -> MEASURED:
    return {"error_percent": 100 - accuracy(candidate.genome), "mflops": decode(candidate.genome).flops / 1e6}


def begin(settings: SearchSettings = SMALL, seed: int = 1, study: Study = STUDY) -> Strategy:
    return settings.begin(SPACE, seed, no_violation, study)


def play(
    strategy: Strategy,
    portion: int = 10,
    shuffle: random.Random | None = None,
    measured: Callable[[Candidate], MEASURED] = measure,
) -> list[Candidate]:
    return test_search.play(strategy, portion, shuffle, measured)


def volume(candidates: list[Candidate]) -> float:
    """Of the front; the reference is beyond every network."""
    points = [(100 - accuracy(c.genome), decode(c.genome).flops / 1e6) for c in candidates]
    most = decode([[1] * 7] * 3).flops / 1e6
    return float(HV(ref_point=np.array([40.0, most]))(np.array(points)))


def earlier(shuffle: bool = False) -> Past:
    """A run that trained a hundred other networks to the end."""
    rng = np.random.default_rng(5)
    genomes = [SPACE.genome(rng.integers(0, SPACE.upper + 1)) for _ in range(100)]
    reached = [accuracy(genome) for genome in genomes]
    if shuffle:
        rng.shuffle(reached)
    networks = tuple(
        Observed(architecture_features(decode(genome)), (value,) * HORIZON)
        for genome, value in zip(genomes, reached, strict=True)
    )
    return Past("earlier", HORIZON, Accuracy(2000), "averaged", networks)


# the expected growth of the front


@pytest.mark.parametrize("costs", [0, 1, 2])
def test_growth_is_what_sampling_gives(costs: int) -> None:
    rng = np.random.default_rng(costs)
    front_costs, front_errors = rng.uniform(1, 8, (6, costs)), rng.uniform(0.1, 0.9, 6)
    new, mean, deviation = rng.uniform(0, 9, (4, costs)), rng.uniform(-3, 0, 4), rng.uniform(0.1, 1, 4)
    region = Region(np.zeros(costs), np.full(costs, 9.0), 1.0)
    found = expected_growth(region, front_costs, front_errors, new, mean, deviation)
    indicator = HV(ref_point=np.append(region.high, region.error))
    front = np.column_stack([front_costs, front_errors])
    before = indicator(front)
    draws = rng.normal(size=2000)
    for place in range(4):
        errors = np.exp(mean[place] + deviation[place] * draws)
        grown = [indicator(np.vstack([front, [*new[place], error]])) - before for error in errors]
        wide = np.std(grown) / len(draws) ** 0.5
        assert found[place] == pytest.approx(np.mean(grown), abs=4 * wide + (0.02 if costs > 1 else 1e-9))


def test_growth_of_what_cannot_better_the_front_is_none() -> None:
    region = Region(np.zeros(1), np.array([9.0]), 1.0)
    beaten = expected_growth(
        region, np.array([[1.0]]), np.array([0.1]), np.array([[2.0]]), np.array([0.0]), np.array([0.0])
    )
    assert beaten[0] == 0.0


def test_a_network_that_is_believed_makes_those_like_it_certain() -> None:
    one = JointForecast(
        np.array([0.1, 0.2, 0.3]), np.array([[4.0, 3.8, 0.0], [3.8, 4.0, 0.0], [0, 0, 4.0]]), np.full(3, 0.01)
    )
    then = one.as_if(0)
    assert then.log_error.tolist() == one.log_error.tolist()
    assert then.deviation == pytest.approx([0.1, (4 - 3.8**2 / 4.01) ** 0.5, 2.0], rel=2e-3)


@pytest.mark.parametrize("past", [(), (earlier(),)], ids=["alone", "earlier"])
def test_the_joint_forecast_agrees_with_single_ones(past: tuple[Past, ...]) -> None:
    known = earlier().networks
    predictor = PerformancePredictor(known[:20], HORIZON, Accuracy(2000), "averaged", past)
    untrained = [Observed(network.features) for network in known[30:50]]
    joint = predictor.before_training(untrained)
    single = predictor.predict(untrained)
    assert joint.log_error == pytest.approx([one.log_error for one in single])
    scale = np.sqrt(joint.deviation**2 + joint.noise)
    assert scale == pytest.approx([one.scale for one in single])


# the contract


@pytest.mark.slow
def test_same_seed_same_genomes_whatever_the_portions_and_order_of_tells() -> None:
    one = play(begin())
    assert play(begin(), 3, random.Random(1)) == one
    assert [c.number for c in one] == list(range(40))
    assert [c.generation for c in one] == [n // 10 for n in range(40)]
    assert play(begin(seed=2)) != one


def test_genomes_fit_the_space_and_no_architecture_is_chosen_twice() -> None:
    asked = play(begin(SMALL.model_copy(update={"exploration": 0.0})))
    seen = {decode(c.genome).hash for c in asked[:10]}
    for c in asked[10:]:
        SPACE.genes(c.genome)
        assert decode(c.genome).hash not in seen
        seen.add(decode(c.genome).hash)
        assert c.predicted is not None
        assert c.low is not None
        assert c.high is not None
        assert c.low <= c.predicted <= c.high
        assert c.parents
        assert all(asked[p].generation < c.generation for p in c.parents)


def test_the_first_generation_is_that_of_nsga_net_if_nothing_is_known() -> None:
    assert begin().ask(10) == begin(NSGANet()).ask(10)


@pytest.mark.slow
def test_a_share_is_left_to_nsga_net() -> None:
    explorer = A4NN(networks=40, exploration=1.0)
    assert play(begin(explorer)) == play(begin(NSGANet(networks=40)))
    some = play(begin(A4NN(networks=60, children=30, rounds=0, exploration=0.3)))
    share = np.mean([c.predicted is None for c in some[10:]])
    assert 0.1 < share < 0.5


@pytest.mark.slow
def test_a_steady_search_repeats_from_its_log() -> None:
    steady = SMALL.model_copy(update={"schedule": "steady", "networks": 30})
    strategy = begin(steady)
    log: list[Candidate | Outcome] = []
    waiting = strategy.ask(4)
    log += waiting
    chance = random.Random(3)
    while not strategy.finished:
        candidate = waiting.pop(chance.randrange(len(waiting)))
        outcome = Outcome(candidate.number, measure(candidate))
        strategy.tell(outcome)
        new = strategy.ask(1)
        log += [outcome, *new]
        waiting += new
    again = begin(steady)
    for entry in log:
        if isinstance(entry, Outcome):
            again.tell(entry)
        else:
            assert again.ask(1) == [entry]
    chosen = [entry for entry in log if isinstance(entry, Candidate) and entry.predicted is not None]
    assert len(chosen) > 15


@pytest.mark.slow
def test_what_is_remembered_of_children_does_not_grow() -> None:
    """A search of a thousand networks would otherwise hold hundreds of thousands of genomes."""
    strategy = begin(SMALL.model_copy(update={"networks": 80}))
    play(strategy)
    assert isinstance(strategy, Evolution)
    chooser = strategy.chooser
    assert isinstance(chooser, Model)
    assert len(chooser.remembered) < 80 + 2 * 60


def test_a_steady_search_begins_at_random_like_the_other() -> None:
    strategy = begin(SMALL.model_copy(update={"schedule": "steady"}))
    first = strategy.ask(4)
    while len(first) < 12:
        strategy.tell(Outcome(first[len(first) - 4].number, measure(first[len(first) - 4])))
        first += strategy.ask(1)
    assert first[:10] == begin().ask(10)
    assert any(c.predicted is not None for c in first[10:])


@pytest.mark.slow
def test_networks_in_training_count_as_believed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Slots of a batch get networks that differ, where one alone would be the best for each."""

    def spread(seed: int) -> float:
        strategy = begin(SMALL.model_copy(update={"exploration": 0.0}), seed)
        for candidate in strategy.ask(10):
            strategy.tell(Outcome(candidate.number, measure(candidate)))
        return float(np.std([decode(c.genome).flops for c in strategy.ask(10)]))

    believed = [spread(seed) for seed in range(5)]
    monkeypatch.setattr(Evolution, "pending", lambda _: [])
    alone = [spread(seed) for seed in range(5)]
    assert np.mean(believed) > 1.2 * np.mean(alone)


def test_bounds_are_kept() -> None:
    def violation(genome: Genome) -> float:
        return max(0.0, decode(genome).parameters / 8000 - 1)

    strategy = SMALL.begin(SPACE, 1, violation, STUDY)
    assert all(violation(c.genome) == 0 for c in play(strategy))


@pytest.mark.slow
def test_networks_that_fail_are_avoided_and_do_not_end_the_search() -> None:
    def fails(candidate: Candidate) -> bool:
        return candidate.genome[2][6] == 1

    asked = play(begin(), measured=lambda c: None if fails(c) else measure(c))
    assert np.mean([fails(c) for c in asked[20:]]) < 0.25
    diverged: Mapping[str, float] = {"error_percent": float("nan"), "mflops": 1.0}
    for outcome in (None, dict(diverged)):
        assert len(play(begin(), measured=lambda _, outcome=outcome: outcome)) == 40


def test_networks_that_were_ended_early_are_not_taken_for_bad_ones() -> None:
    """After one epoch of five a network is far from what it will reach: its forecast counts."""

    def chosen(epochs: int | None) -> list[Candidate]:
        strategy = begin(SMALL.model_copy(update={"exploration": 0.0}))
        for c in strategy.ask(10):
            early = c.number < 7
            reached = accuracy(c.genome) - (30 if early else 0)
            fitness = {"error_percent": 100 - reached, "mflops": decode(c.genome).flops / 1e6}
            strategy.tell(Outcome(c.number, fitness, epochs=epochs if early else None))
        return strategy.ask(10)

    def hopes(candidates: list[Candidate]) -> float:
        return float(np.mean([c.predicted for c in candidates if c.predicted is not None]))

    assert hopes(chosen(1)) > hopes(chosen(None)) + 5


# what it is for


@pytest.mark.slow
def test_it_beats_random_sampling_and_nsga_net() -> None:
    for seed in range(3):
        found = volume(play(begin(A4NN(networks=40), seed)))
        assert found > volume(play(begin(NSGANet(networks=100, population=100), seed)))
        assert found > volume(play(begin(NSGANet(networks=40), seed)))


@pytest.mark.slow
def test_earlier_runs_choose_the_first_generation() -> None:
    def first(*past: Past) -> float:
        study = Study(decode, HORIZON, Accuracy(2000), past=past)
        return float(np.mean([volume(begin(A4NN(), seed, study).ask(10)) for seed in range(3)]))

    assert first(earlier()) > first() * 1.05


@pytest.mark.slow
def test_an_earlier_run_that_misleads_is_let_go() -> None:
    misled = Study(decode, HORIZON, Accuracy(2000), past=(earlier(shuffle=True),))
    for seed in range(2):
        found = volume(play(begin(A4NN(networks=40), seed, misled)))
        assert found > volume(play(begin(NSGANet(networks=40), seed)))


@pytest.mark.parametrize(
    "objectives",
    [
        {"accuracy_percent": Direction.maximise, "parameters": Direction.minimise},
        {"error_percent": Direction.minimise},
        {
            "error_percent": Direction.minimise,
            "mflops": Direction.minimise,
            "parameters": Direction.minimise,
        },
    ],
    ids=lambda objectives: " ".join(objectives),
)
def test_other_objectives(objectives: dict[str, Direction]) -> None:
    def measured(candidate: Candidate) -> MEASURED:
        reached, architecture = accuracy(candidate.genome), decode(candidate.genome)
        return {
            "error_percent": 100 - reached,
            "accuracy_percent": reached,
            "mflops": architecture.flops / 1e6,
            "parameters": float(architecture.parameters),
        }

    settings = SMALL.model_copy(update={"objectives": objectives, "networks": 30})
    asked = play(begin(settings), measured=measured)
    assert sum(c.predicted is not None for c in asked[10:]) > 10
    if len(objectives) == 1:
        best = [max(accuracy(c.genome) for c in part) for part in (asked[:10], asked[10:])]
        assert best[1] > best[0]


@pytest.mark.parametrize(
    ("objectives", "said"),
    [
        (
            ["loss", "mflops"],
            "loss cannot be predicted; a4nn needs one of error_percent and accuracy_percent",
        ),
        (["error_percent", "loss"], "loss cannot be predicted"),
        (["mflops", "parameters"], "nothing would be predicted; .* such as mflops, parameters, gflops"),
        (["error_percent", "accuracy_percent"], "error_percent and accuracy_percent would be predicted"),
    ],
)
def test_objectives_that_cannot_be_predicted_are_refused(objectives: list[str], said: str) -> None:
    wanted = {name: find_metric(name).direction for name in objectives}
    with pytest.raises(BadInput, match=said):
        STRATEGIES.make({"name": "a4nn", "objectives": wanted}, "[search]")


# what it considered


def test_what_it_considered_is_told_once_a_generation() -> None:
    strategy = begin(SMALL.model_copy(update={"considered": 7, "exploration": 0.0}))
    assert not strategy.considered()
    for c in strategy.ask(10):
        strategy.tell(Outcome(c.number, measure(c)))
    assert not strategy.considered()
    first = strategy.ask(4)
    assert not strategy.considered(), "the others may still be chosen"
    asked = [*first, *strategy.ask(6)]
    rows = strategy.considered()
    assert len(rows) == 7
    assert not [row for row in rows if row.genome in [c.genome for c in asked]]
    assert {row.reason for row in rows} <= {"less_promising", "equal"}
    growth = [row.expected_improvement for row in rows if row.expected_improvement is not None]
    assert growth == sorted(growth, reverse=True)
    for row in rows:
        assert row.generation == 1
        assert row.parents
        assert row.predicted is not None
    again = begin(SMALL.model_copy(update={"considered": 7, "exploration": 0.0}))
    for c in again.ask(10):
        again.tell(Outcome(c.number, measure(c)))
    again.ask(10)
    assert again.considered() == rows


def test_on_a_steady_schedule_every_network_has_its_share_of_them() -> None:
    strategy = begin(SMALL.model_copy(update={"schedule": "steady", "considered": 20, "exploration": 0.0}))
    for c in strategy.ask(10):
        strategy.tell(Outcome(c.number, measure(c)))
    strategy.ask(1)
    assert len(strategy.considered()) == 2
