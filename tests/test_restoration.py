"""Networks that restore images, from their data to their use: what is measured, by hand; what is recorded;
what does not go together."""

from __future__ import annotations

import json
import math
import re
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from command import a4nn
from fakes import FakeExecutor, search
from report_runs import LOWER, evolved
from test_workflow import Killed

from a4nn_core.archaeology import overview, progress
from a4nn_core.archaeology.chart import Exhibit, Level
from a4nn_core.archaeology.film import Album
from a4nn_core.archaeology.life import Life
from a4nn_core.archaeology.phylogeny import phylogeny_csv
from a4nn_core.archaeology.quality import PSNR
from a4nn_core.archaeology.questions import QUESTIONS, lineage
from a4nn_core.archaeology.stills import heading
from a4nn_core.assessment import Fidelity
from a4nn_core.commons import Commons
from a4nn_core.commons.check import check
from a4nn_core.commons.records import Network as NetworkRecord
from a4nn_core.commons.records import Run
from a4nn_core.data import ImageData, InputTransform, Split
from a4nn_core.data.files import NpzFile
from a4nn_core.data.mapped import map_key, share
from a4nn_core.data.xfel.source import Xfel
from a4nn_core.errors import BadInput
from a4nn_core.experiment import Experiment, Prior
from a4nn_core.jsonable import JsonText
from a4nn_core.metrics import PSNR_DB
from a4nn_core.penguin.measure import Accuracy, Decibels, measure_of
from a4nn_core.penguin.observed import Observed
from a4nn_core.penguin.predictor import PerformancePredictor
from a4nn_core.report import document
from a4nn_core.report.beside import Beside, write_beside
from a4nn_core.report.page import write_report
from a4nn_core.report.pictures import write_pictures
from a4nn_core.spaces.architecture import Architecture
from a4nn_core.spaces.build import Network
from a4nn_core.spaces.cgp import CGP
from a4nn_core.spaces.macro import Macro
from a4nn_core.termination.base import RULES, Context, FrontSnapshot
from a4nn_core.termination.endings import Endings
from a4nn_core.termination.peers import Member, Population
from a4nn_core.termination.reasons import Reason
from a4nn_core.training.baselines import anscombe, anscombe_inverse, baselines, smoothed
from a4nn_core.training.compute_plan import ComputePlan
from a4nn_core.training.goals import (
    LEAST_PHOTONS,
    Restoration,
    Restored,
    decibels,
    poisson_deviances,
    squared_errors,
    take_units,
)
from a4nn_core.training.loading import DeviceData
from a4nn_core.training.settings import Training
from a4nn_core.vocabulary import Action, Direction, NetworkStatus, Task
from a4nn_core.workflow.concerns import concerns
from a4nn_core.workflow.devices import Machine
from a4nn_core.workflow.local import run_local
from a4nn_core.workflow.past import read_past
from a4nn_core.workflow.prior import resolve_again, resolve_prior
from a4nn_core.workflow.summary import summarise
from a4nn_core.workflow.watcher import SearchView, Watcher

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "benchmarks"))
import forecasts

TABLES: dict[str, Any] = {
    "name": "small",
    "seed": 3,
    "data": {"name": "xfel", "size": 12, "beam": "low", "train": 40, "validation": 12, "test": 14}
    | {"target": "expected"},
    "space": {"name": "cgp", "rows": 2, "columns": 4, "levels_back": 2, "channels": [2, 4]},
    "search": {"name": "cgp", "networks": 4, "objectives": {"psnr_db": "maximise", "mflops": "minimise"}}
    | {"weights": {"psnr_db": 1.0, "mflops": 0.01}},
    "training": {"epochs": 2, "batch_size": 8, "optimizer": "adam", "momentum": 0.5, "slots": 1}
    | {"learning_rate": 0.01, "weight_decay": 0.0},
    "termination": {"name": "none"},
}


def an_experiment(**changes: Any) -> Experiment:
    tables = {name: dict(table) if isinstance(table, dict) else table for name, table in TABLES.items()}
    for name, change in changes.items():
        mixed = isinstance(change, dict) and change.get("name") in (None, tables.get(name, {}).get("name"))
        tables[name] = {**tables[name], **change} if mixed and name in tables else change
    return Experiment.from_mapping(tables)


@pytest.fixture(scope="module")
def data() -> ImageData:
    return an_experiment().data.load()


# what is measured


def test_decibels_by_hand() -> None:
    """Errors 0.1 and 0.2 in half of four pixels, peak 2: 10 log10(4 / 0.0125)."""
    expected = torch.zeros(1, 1, 2, 2)
    restored = torch.tensor([[[[0.1, 0.0], [-0.2, 0.0]]]])
    errors = squared_errors(restored, expected)
    assert errors.tolist() == pytest.approx([(0.01 + 0.04) / 4])
    assert decibels(errors, 2.0).tolist() == pytest.approx([10 * math.log10(4 / 0.0125)])
    assert decibels(torch.zeros(1), 2.0).tolist() == pytest.approx([100.0])


def test_poisson_deviance_by_hand() -> None:
    """Expected 2 and 0 photons, restored 1 and 3: 2 (2 log 2 - 2 + 1) and 2 (0 - 0 + 3)."""
    expected = torch.tensor([[[[2.0, 0.0]]]], dtype=torch.float64)
    restored = torch.tensor([[[[1.0, 3.0]]]], dtype=torch.float64)
    by_hand = 2 * (2 * math.log(2) - 1) + 2 * 3
    assert poisson_deviances(restored, expected).tolist() == pytest.approx([by_hand])
    assert poisson_deviances(expected, expected).tolist() == pytest.approx([2 * LEAST_PHOTONS])
    nothing = poisson_deviances(torch.full_like(expected, -1.0), expected)
    assert nothing.tolist() == pytest.approx([2 * (2 * math.log(2 / LEAST_PHOTONS) - 2 + 2 * LEAST_PHOTONS)])


def test_the_deviance_is_what_the_likelihood_of_photons_loses() -> None:
    """Twice the mean difference of log likelihoods of drawn photons, by SciPy."""
    from scipy.stats import poisson

    rng = np.random.default_rng(0)
    true, other = 1.3, 2.1
    photons = rng.poisson(true, 200_000)
    lost = 2 * (poisson.logpmf(photons, true) - poisson.logpmf(photons, other)).mean()
    found = poisson_deviances(torch.full((1, 1, 1, 1), other), torch.full((1, 1, 1, 1), true)).item()
    assert found == pytest.approx(lost, rel=0.02)


def test_the_standard_error_is_over_images() -> None:
    found = Restored(peak=1.0)
    for error in (0.1, 0.01, 0.001):
        found.add(torch.full((1, 1, 1, 1), error**0.5), torch.zeros(1, 1, 1, 1))
    assert found.fidelity().psnr_db == pytest.approx(20.0)
    assert found.fidelity().psnr_se_db == pytest.approx(10 / math.sqrt(3))
    assert Fidelity.of(np.array([3.0]), np.array([1.0])) == Fidelity(3.0, None, 1.0)


def test_losses() -> None:
    expected, restored = torch.full((2, 1, 2, 2), 1.0), torch.full((2, 1, 2, 2), 3.0)
    squared = Restoration("squared-error", peak=4.0, scale=2.0)
    assert squared.loss(restored, expected, "mean").item() == pytest.approx(4 / 2**2)
    assert squared.loss(restored, expected, "sum").item() == pytest.approx(2 * 4 / 2**2)
    likelihood = Restoration("poisson", peak=4.0, scale=2.0)
    each = 2 * (math.log(1 / 3) + 2)  # of a pixel
    assert likelihood.loss(restored, expected, "mean").item() == pytest.approx(each)


# data


def test_expected_patterns_are_those_that_photons_were_drawn_from(data: ImageData) -> None:
    assert data.task is Task.restoration
    counts, expected = (
        np.concatenate([getattr(part, what) for part in (data.train, data.test)])
        for what in ("images", "expected")
    )
    assert counts.shape == expected.shape
    assert expected.dtype == np.float32
    assert (counts[expected == 0] == 0).all()
    # Poisson: the sum of squared deviations is the sum of the means, within three standard errors
    squares = (counts - expected) ** 2
    error = math.sqrt((expected + 2 * expected**2).sum())
    assert abs(squares.sum() - expected.sum()) < 3 * error
    classes = Xfel(**{**TABLES["data"], "target": "class"}).load()
    assert classes.task is Task.classification
    assert (classes.train.images == data.train.images).all()
    assert classes.fingerprint != data.fingerprint


def test_expected_patterns_are_shared_by_processes(
    data: ImageData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("A4NN_CACHE", str(tmp_path))
    monkeypatch.setattr("a4nn_core.data.mapped.LEAST_BYTES", 0)
    source = an_experiment().data
    assert map_key(source, data)
    for shared in (share(source, data), share(source, data)):
        assert isinstance(shared.train.expected, np.memmap)
        assert shared.fingerprint == data.fingerprint


def test_images_of_ones_own(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    expected = rng.uniform(0.1, 5, (30, 6, 6))
    file = tmp_path / "own.npz"
    np.savez(file, x=rng.poisson(expected).astype(np.uint8), expected=expected)
    data = NpzFile(path=str(file), target="expected").load()
    assert data.task is Task.restoration
    assert data.classes == ("image",)
    assert data.train.expected is not None
    assert data.train.expected.shape == data.train.images.shape == (22, 1, 6, 6)
    pairs = {(x.tobytes(), y.astype(np.float32).tobytes()) for x, y in zip(*_arrays(file), strict=True)}
    for part in (data.train, data.validation, data.test):
        assert part.expected is not None
        assert {(x.tobytes(), y.tobytes()) for x, y in zip(part.images, part.expected, strict=True)} <= pairs
    for bad, words in (
        ({"expected": expected[:, :5]}, "numbers of the shape of x, \\(30, 6, 6\\), are needed"),
        ({"expected": np.full_like(expected, np.nan)}, "1080 values that are not finite"),
        ({"expected": expected - 1}, "intensities are needed, none below 0"),
        ({}, "has no array 'expected'"),
    ):
        np.savez(file, x=np.zeros((30, 6, 6)), **bad)
        with pytest.raises(BadInput, match=words):
            NpzFile(path=str(file), target="expected").load()


def _arrays(file: Path) -> tuple[Any, Any]:
    with np.load(file) as held:
        return held["x"], held["expected"]


# what comes without a network


def test_anscombe_and_back() -> None:
    means = np.array([0.5, 1.0, 5.0, 30.0])
    counts = np.random.default_rng(0).poisson(means, (100_000, 4))
    assert anscombe_inverse(anscombe(counts).mean(axis=0)) == pytest.approx(means, rel=0.04)
    assert anscombe(np.array([30, 31])).std() * 2 == pytest.approx(1 / math.sqrt(30), rel=0.05)


def test_smoothing_leaves_out_what_is_not_seen() -> None:
    seen = np.ones((1, 9, 9), bool)
    seen[:, 3:6, 3:6] = False
    images = np.where(seen, 2.0, 0.0)[None]
    assert smoothed(images, 1.4, seen) == pytest.approx(images)


def test_baselines(data: ImageData) -> None:
    found = {one.name.split(",")[0]: one for one in baselines(data)}
    noisy = data.validation.images.astype(np.float64)
    errors = ((noisy - data.validation.expected) ** 2).mean(axis=(1, 2, 3))
    each = 10 * np.log10(data.peak**2 / errors)
    as_they_are = found["images as they are"].validation
    assert as_they_are.psnr_db == pytest.approx(each.mean())
    assert as_they_are.psnr_se_db == pytest.approx(each.std(ddof=1) / math.sqrt(12))
    assert data.train.expected is not None
    assert data.peak == data.train.expected.max()
    assert found["Gaussian"].validation.psnr_db > as_they_are.psnr_db
    assert found["mean of the training images"].test.psnr_db > found["images as they are"].test.psnr_db


# the head


@pytest.mark.parametrize("output", ["linear", "positive"])
def test_a_head_that_adds_the_mean_begins_with_it(output: str, data: ImageData) -> None:
    space = CGP(rows=1, columns=1, channels=(2,), output=output, adds="mean")
    network = Network(space.decode([[0, 0], 1], data.shape, 2))
    on_device = DeviceData(data, torch.device("cpu"))
    take_units(network, on_device.scale, on_device.mean)
    with torch.no_grad():
        for weight in network.parameters():
            weight.zero_()
        made = network(torch.rand(2, *data.shape))
    torch.testing.assert_close(made[0], on_device.mean.float(), rtol=1e-3, atol=1e-5)


# what does not go together

CLASSIFIER = {"name": "macro", "channels": 4}
CLASSIFYING = Macro(channels=4)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"data": {"target": "class"}}, r'space cgp makes networks for restoration .*target = "expected"'),
        ({"data": {"name": "digits"}}, "data that can be restored: .*xfel"),
        ({"space": CLASSIFIER, "search": {"name": "random"}}, r'space macro .*target = "class" makes them'),
        ({"search": {"objectives": {"error_percent": "minimise"}, "weights": None}}, "metrics for rest"),
        ({"training": {"augment": [{"name": "RandomHorizontalFlip"}]}}, "augment would change images"),
        ({"training": {"panels": [2, 2]}}, "panels is about classifying"),
        ({"training": {"loss": "poisson"}}, r'set \[space\] output = "positive"'),
    ],
)
def test_wrong_combinations_are_refused_in_one_sentence(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(BadInput, match=words) as refused:
        an_experiment(**changes)
    assert len(str(refused.value).splitlines()) == 1


def test_a_classifier_cannot_be_compared_by_decibels() -> None:
    tables = {"name": "c", "data": {"name": "digits"}, "space": CLASSIFIER, "termination": {"name": "none"}}
    with pytest.raises(BadInput, match="objective psnr_db is of networks for restoration"):
        Experiment.from_mapping(
            {**tables, "search": {"name": "random", "objectives": {"psnr_db": "maximise"}}}
        )


def test_objectives_follow_from_the_space() -> None:
    for searched, objectives in (
        ({"name": "cgp"}, {"psnr_db": "maximise"}),
        ({"name": "nsga-net"}, {"psnr_db": "maximise", "mflops": "minimise"}),
    ):
        made = Experiment.from_mapping({**TABLES, "search": searched})
        assert made.search.objectives == objectives
        assert Experiment.from_mapping(made.to_mapping()) == made


def test_no_concern_about_accuracies(data: ImageData) -> None:
    said = concerns(an_experiment(), data, Machine(device="cpu", slots=1, threads=1), True)
    assert not any("accuracy" in sentence for sentence in said)


# rules, whose curves are in decibels here

CURVE = [-2.0, 12.0, 18.0, 21.0, 22.8, 24.0, 24.9, 25.5, 26.0, 26.4]


def in_decibels(horizon: int, **how: Any) -> Context:
    ratio: dict[str, Any] = {"metric": "psnr_db", "direction": PSNR_DB.direction, "bounds": PSNR_DB.bounds}
    return Context(horizon, curves="averaged", **ratio, **how)


def test_rules_for_one_curve_judge_decibels() -> None:
    alone = {"patience": {}, "interval": {}, "converged": {}, "saturation": {}, "none": {}}
    for name, settings in {**alone, "fixed": {"epochs": 3}}.items():
        rule = RULES.make({"name": name, **settings}, "test")
        verdict = rule.judge(CURVE, in_decibels(20))
        assert verdict.action in (Action.proceed, Action.stop)


def test_a_prediction_is_not_held_within_percent() -> None:
    """A network whose ratio is negative at first is predicted like any other; with the bounds of accuracies,
    nothing is."""
    rule = RULES.make("interval", "test")
    verdict = rule.judge(CURVE, in_decibels(20))
    assert verdict.predicted is not None
    assert 26.4 <= verdict.predicted <= 32
    assert rule.judge(CURVE, Context(20)).predicted is None


def test_a_network_of_the_front_can_dominate_by_decibels() -> None:
    rule = RULES.make("interval", "test")
    point = {"psnr_db": 60.0, "mflops": 1.0}
    front = FrontSnapshot.of(1, [point], {"psnr_db": Direction.maximise, "mflops": Direction.minimise})
    verdict = rule.judge(CURVE, in_decibels(20, front=front, fixed={"mflops": 2.0}))
    assert (verdict.action, verdict.reason) == (Action.stop, Reason.dominated)
    spared = rule.judge(CURVE, in_decibels(20, front=front, fixed={"mflops": 0.5}))
    assert spared.reason != Reason.dominated


def test_a_rule_that_compares_networks_pauses_by_decibels(tmp_path: Path) -> None:
    what = an_experiment(
        search={"networks": 9},
        training={"epochs": 4},
        termination={"name": "median", "startup": 2, "warmup": 1},
    )
    one = search(what, tmp_path, FakeExecutor())
    assert len(one.networks) == 9
    stopped = Endings.of(Commons(tmp_path).run("r"), one.networks).all()
    assert all("%" not in str(ending) for ending in stopped)
    for network in one.networks.values():
        assert network.best_accuracy_percent is None


# forecasts, in decibels here

MEASURE = Decibels(error=0.2, expected=22.0)


def restorer(number: int, reaches: float, epochs: int, horizon: int = 12) -> Observed:
    """A made-up network whose ratio rises to what it reaches, by its size: alike ones reach alike."""
    curve = tuple(reaches - 12 * math.exp(-6 * (e + 1) / horizon) for e in range(epochs))
    features = {"log_flops": 10 + reaches / 4, "depth": float(number % 3)}
    return Observed(features, curve, tuple(value - 0.3 for value in curve))


def test_ratios_are_logarithms_of_squared_errors() -> None:
    ratios = np.array([-3.0, 0.0, 20.0, 30.0])
    assert np.exp(MEASURE.log_error(ratios)) == pytest.approx(10 ** (-ratios / 10))
    assert MEASURE.value(MEASURE.log_error(ratios)) == pytest.approx(ratios)
    one_error = MEASURE.log_error(20.0) - MEASURE.log_error(20.2)
    assert np.sqrt(MEASURE.sampling_variance(np.zeros(3))) == pytest.approx([one_error] * 3)
    assert MEASURE.standard_error(25.0) == 0.2
    assert MEASURE.value(MEASURE.usual) == pytest.approx(22.0)


@pytest.mark.parametrize("baselines", [None, [], "x", [3], [{"validation": {"psnr_db": "high"}}]])
def test_a_run_without_baselines_has_usual_ratios(baselines: object) -> None:
    assert measure_of({"task": "restoration", "baselines": baselines}) == Decibels()


def test_ratios_are_as_precise_as_the_best_baseline() -> None:
    lines = [{"psnr_db": 10.0, "psnr_se_db": 0.1}, {"psnr_db": 27.0, "psnr_se_db": 0.3}]
    details = {"task": "restoration", "baselines": [{"validation": line} for line in lines]}
    assert measure_of(details) == Decibels(error=0.3, expected=27.0)
    lines[1]["psnr_se_db"] = math.nan
    assert measure_of(details) == Decibels(expected=27.0)
    assert measure_of({"validation": 300}) == Accuracy(300)


def test_forecasts_are_in_decibels() -> None:
    """After a quarter of the epochs, finished networks say how much a curve still rises; without any,
    forecasts begin with what needs no network."""
    rng = np.random.default_rng(1)
    known = [restorer(n, float(reaches), 12) for n, reaches in enumerate(rng.uniform(20, 30, 15))]
    new = [restorer(n, float(reaches), 3) for n, reaches in enumerate(rng.uniform(20, 30, 20))]
    ends = np.array([restorer(n, n_.features["log_flops"] * 4 - 40, 12).best for n, n_ in enumerate(new)])
    forecasts = PerformancePredictor(known, 12, MEASURE).predict(new)
    assert max(abs(f.value - end) for f, end in zip(forecasts, ends, strict=True)) < 0.7
    assert all(f.value > (f.best or 0.0) + 1 for f in forecasts)  # the best so far would be 2.6 too low
    before = PerformancePredictor([], 12, MEASURE).predict([restorer(0, 25.0, 0)])[0]
    assert before.value == pytest.approx(22.0)
    assert before.interval[0] < 15
    assert before.interval[1] > 28


def test_recorded_curves_are_forecast_better_than_by_their_best_value() -> None:
    """docs/restoration.md: a quarter of the epochs, the second half of each run by the first."""
    best, forecast, inside = [], [], []
    for run in forecasts.restored():
        half = len(run.networks) // 2
        new = run.networks[half:]
        seen = [forecasts.after(network, run.horizon // 4) for network in new]
        ends = [max(network.validation) for network in new]
        found = PerformancePredictor(run.networks[:half], run.horizon, run.measure, run.curves).predict(seen)
        best += [end - network.best for network, end in zip(seen, ends, strict=True)]
        forecast += [abs(f.value - end) for f, end in zip(found, ends, strict=True)]
        inside += [f.interval[0] <= end <= f.interval[1] for f, end in zip(found, ends, strict=True)]
    assert np.mean(best) == pytest.approx(0.60, abs=0.01)
    assert np.mean(forecast) < 0.25
    assert np.mean(inside) > 0.8


def test_front_pauses_what_restores_worse_at_more_cost() -> None:
    reached = {0: (29.0, 12), 1: (24.0, 12), 2: (21.0, 3), 3: (28.5, 3), 4: (31.0, 3)}
    members = tuple(
        Member(n, 0, restorer(n, reaches, epochs), {"mflops": 5.0 if n != 3 else 1.0})
        for n, (reaches, epochs) in reached.items()
    )
    population = Population(members, frozenset({2, 3, 4}), 12, MEASURE, "averaged", final=True)
    verdicts = RULES.make("front", "test").begin().compare(population)
    assert verdicts[2].action is Action.pause
    assert verdicts[3].action is verdicts[4].action is Action.proceed  # cheaper, and better
    assert verdicts[4].predicted > 20
    assert verdicts[2].evidence["rival"] == 0


# a run


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Commons:
    path = tmp_path_factory.mktemp("restoring") / "commons"
    run_local(an_experiment(), path, "r")
    return Commons(path)


@pytest.mark.slow
def test_a_search_records_decibels(done: Commons) -> None:
    header, networks, epochs = done.run("r"), done.networks("r"), done.epochs("r")
    assert header.task is Task.restoration
    assert header.details["peak"] > 0
    assert len(header.details["baselines"]) == 4
    assert header.chance_percent is None
    assert [n.network for n in networks] == [0, 1, 2, 3]
    for network in (n for n in networks if n.trained):
        own = [e for e in epochs if e.network == network.network]
        curve = [e.validation_psnr_db for e in own]
        assert network.best_psnr_db == max(curve)
        assert network.last_psnr_db == curve[-1]
        assert network.best_accuracy_percent is network.test_accuracy_percent is network.confusion is None
        assert all(e.validation_accuracy_percent is None and e.train_psnr_db is not None for e in own)
        best = own[network.best_epoch - 1]
        assert network.poisson_deviance == best.validation_poisson_deviance
        assert network.best_psnr_se_db == best.validation_psnr_se_db
        assert network.test_psnr_db is not None
        assert network.test_poisson_deviance is not None
        assert network.fitness["psnr_db"] == network.best_psnr_db
        assert network.fitness["poisson_deviance"] == network.poisson_deviance
        assert "error_percent" not in network.fitness
    assert not check(done.path).problems


@pytest.mark.slow
def test_what_was_recorded_is_what_the_weights_do(done: Commons, data: ImageData) -> None:
    """Test images, restored by the exported module, measured with NumPy."""
    from a4nn_core.publish.models.export import deployed
    from a4nn_core.publish.models.found import find

    network = max((n for n in done.networks("r") if n.trained), key=lambda n: n.best_psnr_db)
    model = deployed(done.path / network.best_checkpoint, find(done, "r", network.network))
    with torch.no_grad():
        restored = model(torch.from_numpy(data.test.images.astype(np.float32))).numpy().astype(np.float64)
    errors = ((restored - data.test.expected) ** 2).mean(axis=(1, 2, 3))
    each = 10 * np.log10(data.peak**2 / errors)
    assert network.test_psnr_db == pytest.approx(each.mean(), rel=1e-4)
    assert network.test_psnr_se_db == pytest.approx(each.std(ddof=1) / math.sqrt(len(each)), rel=1e-3)


class KillsAt(Watcher):
    """Ends the search as a kill would, when a network has ended."""

    def __init__(self, number: int) -> None:
        self.number = number

    def on_network_end(self, search: SearchView, network: NetworkRecord) -> None:
        del search
        if network.network == self.number:
            raise Killed


@pytest.mark.slow
def test_a_run_that_was_cut_goes_on_to_the_same_numbers(done: Commons, tmp_path: Path) -> None:
    what = an_experiment()
    with pytest.raises(Killed):
        run_local(what, tmp_path / "cut", "r", KillsAt(2))
    run_local(what, tmp_path / "cut", "r")
    again = Commons(tmp_path / "cut")
    for before, after in zip(done.networks("r"), again.networks("r"), strict=True):
        assert (before.genome, before.parents) == (after.genome, after.parents)
        assert (before.best_psnr_db, before.test_psnr_db) == (after.best_psnr_db, after.test_psnr_db)
        assert before.best_checkpoint_sha256 == after.best_checkpoint_sha256


@pytest.mark.slow
def test_a_search_learns_from_an_earlier_one_in_decibels(done: Commons) -> None:
    """The strategy and the rule that forecast, and a prior: all that looks at finished networks."""
    sizes = {"networks": 6, "population": 3, "offspring": 3, "children": 20, "rounds": 1}
    what = an_experiment(
        search={"name": "a4nn", **sizes},
        training={"epochs": 4},
        termination={"name": "front", "epochs": 1},
        prior={"runs": ["r"]},
    )
    run_local(what, done.path, "learns")
    header, networks = done.run("learns"), [n for n in done.networks("learns") if n.trained]
    assert [one["run"] for one in header.prior.value] == ["r"]
    told = done.sql(
        "select epoch, predicted from predictions where run = 'learns' and function in ('a4nn', 'front-gp')"
    ).fetchall()
    assert {epoch for epoch, _ in told} >= {0, 1}
    assert all(-10 < predicted < 60 for _, predicted in told)
    assert sum(n.epochs_trained for n in networks) < 4 * len(networks)
    best = max(networks, key=lambda n: n.best_psnr_db)
    assert best.epochs_trained == 4  # what is on the front in the end was trained to the end
    rows = done.sql(
        "select predicted_psnr_db, predicted_low, predicted_high, predicted_accuracy_percent "
        "from considered where run = 'learns'"
    ).fetchall()
    assert rows
    assert all(low <= ratio <= high and accuracy is None for ratio, low, high, accuracy in rows)
    assert not check(done.path).problems
    again = resolve_again(header.prior.value, done.path, "learns")
    assert again.past == (read_past(done, "r"),)
    assert again.past[0].measure == measure_of(done.run("r").details)


def test_a_prior_of_classifiers_teaches_nothing_of_restoring(done: Commons) -> None:
    largest_network = CLASSIFYING.decode(CLASSIFYING.sample(np.random.default_rng(1)), (1, 12, 12), 2)
    with pytest.raises(BadInput, match="is of networks for restoration, and those of space macro are for cl"):
        resolve_prior(Prior(runs=("r",)), done.path, "new", "macro", largest_network)


@pytest.mark.slow
def test_commands_show_decibels(done: Commons) -> None:
    place = ("--commons", done.path)
    front = a4nn("front", "r", *place)
    assert front.returncode == 0, front.stderr
    assert " dB" in front.stdout
    assert "mean of the training images: validation" in front.stdout
    assert (done.path / "runs/r/restored.png").is_file()
    number = summarise(done, "r").front[0].network
    described = a4nn("describe", "r", str(number), *place)
    assert "Poisson deviance of an image" in described.stdout
    assert " dB" in a4nn("status", "r", *place).stdout
    best = json.loads(a4nn("status", "r", "--json", *place).stdout)[0]
    assert best["best_psnr_db"] > 0
    assert best["best_accuracy_percent"] is None
    assert (done.path / "runs/r/report.html").is_file()
    answer = a4nn("dig", "ask", "descent", "r", *place)
    assert answer.returncode == 0, answer.stderr
    assert "best PSNR (dB)" in answer.stdout
    for command in (("compare", "r"), ("replay", "r")):
        refused = a4nn(*command, *place)
        assert refused.returncode == 2, refused.stdout
        assert "restore images: a4nn front" in refused.stderr


# figures and questions


@pytest.fixture(scope="module")
def twins(tmp_path_factory: pytest.TempPathFactory) -> Commons:
    """Two runs with the same numbers: ``accuracies`` in percent, and ``ratios`` in decibels, each less by
    ``LOWER``, so that some are below 0."""
    path = tmp_path_factory.mktemp("twins") / "commons"
    evolved(path, "accuracies")
    evolved(path, "ratios", decibels=True)
    for run in ("accuracies", "ratios"):  # the first networks again, trained to the end
        evolved(path, f"again-{run}", 4, decibels=run == "ratios", whole=True, shadow_of=run)
    return Commons(path)


def exhibits_of(commons: Commons, run: str) -> dict[str, Exhibit]:
    """All that a report and the questions of ``a4nn dig`` show of a run."""
    life = Life.read(commons, run)
    asked = {f"ask {name}": question.ask(commons, life, None) for name, question in QUESTIONS.items()}
    shown = [
        *document.exhibits_of(commons, life, life, Album.read(commons, life)),
        *progress.exhibits([life]),
    ]
    return asked | {exhibit.name: exhibit for exhibit in shown}


def labels(exhibit: Exhibit) -> list[str]:
    """All that names numbers: columns, axes, keys to colours."""
    found = list(exhibit.table.columns) if exhibit.table else []
    for chart in exhibit.charts:
        found += [chart.x.label, chart.y.label, chart.scale.label if chart.scale else ""]
    return found


SHARES = re.compile(
    r"share|epochs (saved|spared)|positions that differ|hypervolume|of_them_on_front|inside_percent"
)
"""what is in percent whatever networks are for"""


def in_decibels_of(name: str) -> str:
    """The label or column of a run that restores images, from that of one that classifies."""
    if SHARES.search(name):
        return name
    for old, new in (
        *(("percentage points", "dB"), ("points", "dB"), ("(%)", "(dB)"), ("accuracy_percent", "psnr_db")),
        *(("_percent", "_db"), ("_points", "_db"), ("accuracy", "PSNR")),
    ):
        name = name.replace(old, new)
    return name.replace("_dB", "_db")


def is_score(name: str) -> bool:
    """Whether a column has scores, rather than differences of some, or something else."""
    if SHARES.search(name):
        return False
    return (
        "(%)" in name or name.endswith("_percent") or name in ("predicted", "predicted_low", "predicted_high")
    )


NAMES = ("why", "run", "runs", "group", "shadow", "shown by", "standard error (points)")
"""columns that differ: with names of runs, words with numbers, and how precise scores are"""


def tables(commons: Commons, shown: Exhibit) -> list[tuple[tuple[str, ...], list[tuple[Any, ...]]]]:
    """Columns and rows of the table of a figure, and of what its query returns."""
    found = [] if shown.table is None else [(shown.table.columns, list(shown.table.rows))]
    if shown.query and shown.name != "attainment":  # whose query is of all runs of the commons
        asked = commons.sql(shown.query)
        found.append((tuple(column[0] for column in asked.description), asked.fetchall()))
    return found


def the_same(name: str, ratio: object, accuracy: object) -> bool:
    if not isinstance(accuracy, float) or not isinstance(ratio, float):
        return ratio == accuracy
    return math.isclose(ratio, accuracy - LOWER * is_score(name), abs_tol=2e-3)


@pytest.mark.slow
def test_figures_and_queries_show_the_same_in_decibels(twins: Commons) -> None:
    """Tables and queries of two runs that differ in the unit alone: scores are lower, gains are equal."""
    classified, restored = exhibits_of(twins, "accuracies"), exhibits_of(twins, "ratios")
    assert list(classified) == list(restored)
    checked = 0
    for name, shown in restored.items():
        other = classified[name]
        assert labels(shown) == [in_decibels_of(label) for label in labels(other)], name
        for (columns, rows), (its_columns, its_rows) in zip(
            tables(twins, other), tables(twins, shown), strict=True
        ):
            assert its_columns == tuple(in_decibels_of(column) for column in columns), name
            assert len(rows) == len(its_rows), name
            for row, its_row in zip(rows, its_rows, strict=True):
                for column, value, its_value in zip(columns, row, its_row, strict=True):
                    assert column in NAMES or the_same(column, its_value, value), (name, column)
                    checked += is_score(column)
    assert checked > 500


@pytest.mark.slow
def test_nothing_in_decibels_is_said_to_be_in_percent(twins: Commons) -> None:
    for name, shown in exhibits_of(twins, "ratios").items():
        for label in labels(shown):
            assert SHARES.search(label) or not re.search(r"%|points|percent|accura", label), (name, label)
        words = " ".join(shown.words)
        assert not re.search("accura|percent|points", words), (name, words)
    found: Any = document.document(twins, ["ratios"])
    (run,) = found["runs"]
    assert run["unit"] == "dB"
    assert "best 4.99 ± 0.25 dB" in run["summary"]


def test_errors_of_decibels_are_those_that_were_measured(twins: Commons) -> None:
    life = Life.read(twins, "ratios")
    assert {point.error for point in life.picture.points} == {0.25}
    assert {(w.below, w.above) for w in life.picture.whiskers} == {(0.25, 0.25)}
    low = min(life.picture.scores)
    assert low < 0
    (chart,) = overview.front_exhibit(life).charts
    assert chart.y.range is not None
    assert chart.y.range[0] < low
    assert "chance" not in " ".join(mark.words for mark in chart.marks if isinstance(mark, Level))
    album = Album.read(twins, life)
    step = album.frame(album.family.step(11))
    assert step is not None
    assert step.gain_se == pytest.approx(0.25 * math.sqrt(2))
    assert heading(step).endswith(" ± 0.35 dB (stopped early)")
    assert heading(album.film(0)[0]).endswith(" dB")


def test_what_has_a_score_below_zero_is_before_what_has_none() -> None:
    networks = [
        NetworkRecord(network=n, status=NetworkStatus.completed, best_psnr_db=ratio, flops=100)
        for n, ratio in enumerate((-9.0, None, -3.0))
    ]
    header = Run(
        run="r",
        dataset_details=JsonText.of({"task": "restoration"}),
        objectives={"psnr_db": "maximise"},
    )
    life = Life(header, {n.network: n for n in networks}, {}, [], {})
    assert lineage.best_network(life) == document.best_network(life) == 2
    assert life.best() == -3.0
    assert [moment.incumbent for moment in progress.moments(life, None)] == [-9.0, -9.0, -3.0]
    assert PSNR.axis([-9.0, -3.0]) == (pytest.approx(-9.42), pytest.approx(-2.58))


def test_runs_for_two_tasks_do_not_share_a_report(twins: Commons, tmp_path: Path) -> None:
    words = r"accuracy in % of run 'accuracies' and PSNR in dB of run 'ratios'"
    for write in (write_report, write_pictures):
        with pytest.raises(BadInput, match=words) as refused:
            write(twins, ["ratios", "accuracies"], tmp_path / "x.html")
        assert len(str(refused.value).splitlines()) == 1
    assert not list(tmp_path.iterdir())


def test_a_run_has_its_report_and_no_picture_of_the_front(twins: Commons) -> None:
    found = write_beside(twins, "ratios")
    assert found == Beside(None, twins.path / "runs/ratios/report.html")
    assert not (twins.path / "runs/ratios/front.png").exists()


def test_a_phylogeny_names_its_scores(twins: Commons) -> None:
    assert "best_psnr_db" in phylogeny_csv(Life.read(twins, "ratios")).splitlines()[0]


@pytest.mark.slow
def test_every_figure_of_a_search_is_drawn(done: Commons, tmp_path: Path) -> None:
    life = Life.read(done, "r")
    for name, shown in exhibits_of(done, "r").items():
        assert shown.words, name
        if shown.query:
            done.sql(shown.query).fetchall()
    files = write_pictures(done, ["r"], tmp_path)
    assert {"r-front.png", "r-curves.svg", "r-film.png", "incumbent.png"} <= {file.name for file in files}
    found: Any = document.document(done, ["r"])
    facts = [words for name, words in found["runs"][0]["facts"] if name == "without a network"]
    assert len(facts) == 4
    assert facts[0].startswith("images as they are: validation ")
    best = max(n.best_psnr_db for n in life.networks.values() if n.best_psnr_db is not None)
    assert f"best {best:.2f} ± " in life.picture.summary


@pytest.mark.slow
def test_an_exported_network_restores_files(done: Commons, data: ImageData, tmp_path: Path) -> None:
    from PIL import Image

    number = summarise(done, "r").front[0].network
    exported = a4nn("export", "r", str(number), "--out", tmp_path / "model", "--commons", done.path)
    assert exported.returncode == 0, exported.stderr
    [model] = (tmp_path / "model").glob("*.onnx")
    card = next((tmp_path / "model").glob("*.md")).read_text()
    assert "peak signal-to-noise ratio" in card
    assert "a4nn restore" in card
    images = tmp_path / "images"
    images.mkdir()
    for place, image in enumerate(data.test.images[:2]):
        Image.fromarray(image[0].astype(np.float32)).save(images / f"{place}.tiff")
    made = a4nn("restore", model, images, "--out", tmp_path / "restored")
    assert made.returncode == 0, made.stderr
    from a4nn_core.publish.models.export import deployed
    from a4nn_core.publish.models.found import find

    network = next(n for n in done.networks("r") if n.network == number)
    with torch.no_grad():
        wanted = deployed(done.path / network.best_checkpoint, find(done, "r", number))(
            torch.from_numpy(data.test.images[:2].astype(np.float32))
        ).numpy()
    for place in range(2):
        found = np.array(Image.open(tmp_path / f"restored/{place}.tiff"))
        assert found == pytest.approx(wanted[place, 0], rel=1e-3, abs=1e-4)
    refused = a4nn("classify", model, images)
    assert refused.returncode == 2
    assert "is a network for restoration (to make of an image" in refused.stderr
    assert "use a4nn restore" in refused.stderr


def test_images_are_restored_in_float32_on_gpus_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda: True)
    gpu = torch.device("cuda")

    def coarse(architecture: Architecture, **settings: Any) -> bool:
        return ComputePlan.choose(Training(**settings), architecture, (1, 8, 8), 100, gpu).bfloat16

    restorer = CGP(rows=1, columns=1, channels=(2,)).decode([[0, 0], 1], (1, 8, 8), 2)
    classifier = Macro(phases=1).decode([[1, 0, 1, 0, 0, 1, 1]], (1, 8, 8), 2)
    assert (coarse(restorer), coarse(classifier)) == (False, True)
    assert coarse(restorer, precision="bfloat16")


def test_adam_needs_two_numbers_for_each_weight() -> None:
    from a4nn_core.training.memory import Need

    made = CGP(rows=1, columns=1, channels=(2,)).decode([[0, 0], 1], (1, 8, 8), 2)
    plain, adam = (
        Need.of(made, Training(optimizer=name, momentum=0.0), 100, "cpu") for name in ("sgd", "adam")
    )
    assert adam.state - plain.state == 2 * 4 * made.parameters


def test_images_of_several_parts_keep_what_belongs_together() -> None:
    images = np.arange(24, dtype=np.uint8).reshape(6, 1, 2, 2)
    part = Split(images, np.zeros(6, np.int64), images.astype(np.float32) / 2)
    data = ImageData("x", ("a",), part, part, part, InputTransform.fit("none", images))
    batches = list(
        DeviceData(data, torch.device("cpu")).batches(
            DeviceData(data, torch.device("cpu")).train, 4, torch.tensor([5, 0, 3, 1, 2, 4])
        )
    )
    for seen, truth in batches:
        torch.testing.assert_close(truth, seen / 2)
