"""Whole searches on a surrogate of training (benchmarks/misleading.py): the surrogate is one, and searches in
memory are those of the loop."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from fakes import FakeExecutor, experiment, search
from made_up import line

from a4nn_core.commons import Journal, RunFolder, read_journal
from a4nn_core.penguin.measure import Accuracy
from a4nn_core.penguin.observed import Observed, Past
from a4nn_core.spaces.architecture import Architecture
from a4nn_core.spaces.features import architecture_features
from a4nn_core.spaces.macro import Macro
from a4nn_core.termination.base import RULES, Context
from a4nn_core.training.segment import Segment, SegmentResult
from a4nn_core.vocabulary import Action, NetworkStatus

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "benchmarks"))
from misleading import Corner, FittedFront, MemorySearch, shuffled
from surrogate import Surrogate

SPACE = Macro(phases=2, nodes=3, channels=4)
SHAPE, CLASSES, HORIZON, IMAGES = (1, 8, 8), 2, 9, 500


def architecture(genes: np.ndarray) -> Architecture:
    return SPACE.decode(SPACE.genome(genes), SHAPE, CLASSES)


@pytest.fixture(scope="module")
def run() -> Past:
    """Forty networks, the deeper the better, with noise."""
    rng = np.random.default_rng(5)
    networks = []
    for _ in range(40):
        features = architecture_features(architecture(rng.integers(0, SPACE.upper + 1)))
        error = 20 * np.exp(-0.15 * features["depth"] + rng.normal(0, 0.2))
        falling = error + (40 - error) * np.exp(-np.arange(1, HORIZON + 1) / 2)
        validation = 100 - falling * np.exp(rng.normal(0, 0.1, HORIZON))
        networks.append(Observed(features, tuple(validation), tuple(100 - falling)))
    return Past("made-up", HORIZON, Accuracy(IMAGES), "as-trained", tuple(networks))


def test_a_network_has_the_same_curves_whenever_it_is_trained(run: Past) -> None:
    one = architecture(SPACE.upper)
    trained = Surrogate(run, 0).train(one)
    assert trained == Surrogate(run, 0).train(one)
    assert trained.whole.epochs == HORIZON
    assert len(trained.whole.training) == HORIZON
    assert 0 <= min(trained.whole.validation) < max(trained.whole.validation) <= 100
    other = Surrogate(run, 1).train(one)
    assert other.whole.validation != trained.whole.validation
    assert other.expected == trained.expected


def test_the_surrogate_knows_good_networks_and_is_as_noisy_as_the_run(run: Past) -> None:
    surrogate = Surrogate(run, 0)
    assert np.corrcoef(surrogate.left_out, surrogate.final)[0, 1] > 0.8
    networks = [architecture(g) for g in np.random.default_rng(6).integers(0, SPACE.upper + 1, (60, 8))]
    trained = [surrogate.train(one) for one in networks]
    final = np.array([max(one.whole.validation) for one in trained])
    expected = np.array([one.expected for one in trained])
    assert np.corrcoef(final, expected)[0, 1] > 0.8
    off = np.std(np.log(100 - final) - np.log(100 - expected))
    assert off == pytest.approx(np.std(surrogate.final - surrogate.left_out), rel=0.5)


class Trainer(FakeExecutor):
    """Trains segments of the loop with a surrogate, and judges as the worker does."""

    def __init__(self, surrogate: Surrogate) -> None:
        super().__init__()
        self.surrogate = surrogate

    def _train(self, segment: Segment) -> SegmentResult:
        path = RunFolder(Path(segment.commons), segment.run_id).journal(segment.network)
        rule = RULES.make(segment.termination, "[termination]")
        whole = self.surrogate.train(segment.architecture).whole
        epoch, action = len(read_journal(path)), Action.proceed
        with Journal(path) as journal:
            while action is Action.proceed and epoch < (segment.epoch_limit or HORIZON):
                epoch += 1
                context = Context(HORIZON, schedule="annealed", fixed=segment.fixed, front=segment.front)
                action = rule.judge(whole.validation[:epoch], context).action
                written = line(epoch, whole.validation[epoch - 1], segment.number, action)
                journal.append(written | {"train_accuracy_percent": whole.training[epoch - 1]})
        status = NetworkStatus.stopped if action is Action.stop else NetworkStatus.paused
        return SegmentResult(
            segment.network, segment.number, NetworkStatus.completed if epoch == HORIZON else status
        )


@pytest.mark.parametrize("name", ["none", "interval", "layers", "front"])
def test_searches_in_memory_are_those_of_the_loop(run: Past, tmp_path: Path, name: str) -> None:
    what = experiment(
        space=SPACE.model_dump(),
        search={"networks": 36, "population": 6, "offspring": 6},
        training={"epochs": HORIZON, "evaluation": "as-trained"},
        termination={"name": name},
    )
    surrogate = Surrogate(run, 2)
    looped = search(what, tmp_path, Trainer(surrogate), validation=IMAGES)
    held = MemorySearch(
        what.search, SPACE, surrogate, what.termination, what.seed, shape=SHAPE, classes=CLASSES
    ).run()
    assert [c.genome for c in held.candidates.values()] == [c.genome for c in looped.candidates.values()]
    trained = {n: one.epochs_trained for n, one in looped.networks.items() if one.equal_to is None}
    assert held.epochs == trained
    assert len(trained) < 36, "no network equals another"
    assert (sum(trained.values()) < HORIZON * len(trained)) == (name != "none")


def test_hypervolume_up_to_a_corner() -> None:
    corner = Corner(error=10, cost=100, measure=Accuracy(1000))
    accuracy, costs = np.array([95.0, 99.0, 98.0, 80.0]), np.array([40.0, 60.0, 70.0, 10.0])
    assert corner.volume(accuracy, costs) == 5 * 60 + 4 * 40
    assert corner.volume(accuracy[3:], costs[3:]) == 0
    assert corner.log_volume(accuracy, costs) > corner.log_volume(accuracy[:1], costs[:1]) > 0


def test_a_prior_can_be_shuffled(run: Past) -> None:
    wrong = shuffled(run, 3)
    assert [n.features for n in wrong.networks] == [n.features for n in run.networks]
    assert [n.validation for n in wrong.networks] != [n.validation for n in run.networks]
    assert sorted(n.validation for n in wrong.networks) == sorted(n.validation for n in run.networks)
    assert replace(wrong, run=run.run, networks=run.networks) == run


def test_the_rule_takes_other_lines() -> None:
    from a4nn_core.penguin.slopes import TABLES, Line, Slopes

    steep = Slopes((1.0,), (Line(-1.0, 9.0),), (Line(-1.0),))
    judge = FittedFront.of({"as-trained": steep}).begin()
    assert judge.slopes["as-trained"] == steep != TABLES["as-trained"]  # type: ignore[attr-defined]
