"""Forecasts of final accuracies: from architecture, curves, finished networks and earlier runs."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.stats import kendalltau

from a4nn_core.penguin.gaussian import ascend, regress, squared_exponential
from a4nn_core.penguin.measure import Accuracy
from a4nn_core.penguin.observed import Observed, Past
from a4nn_core.penguin.predictor import EarlierRuns, Forecast, PerformancePredictor
from a4nn_core.penguin.slopes import TABLES, fit_slopes

MEASURE, HORIZON = Accuracy(4000), 20


def made(count: int, seed: int, offset: float = -3.0, bend: float = 1.0) -> list[Observed]:
    """Networks whose final log error depends on two features, and whose training error shows it early.

    Args:
        bend: how much the architecture matters; negative: the other way round.
    """
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(count):
        width, depth = rng.uniform(-1, 1, 2)
        quality = bend * (0.6 * math.tanh(2 * width) + 0.3 * depth) + rng.normal(0, 0.15)
        training, validation = [], []
        for epoch in range(1, HORIZON + 1):
            line = TABLES["as-trained"].at(epoch / HORIZON, True)
            ahead = 1 - epoch / HORIZON
            seen = quality + rng.normal(0, 0.1)
            training.append(line.x1 + seen / max(line.training, 0.3))
            validation.append(offset + quality + 1.5 * ahead + abs(rng.normal(0, 0.3 * ahead)))
        found.append(
            Observed(
                {"width": width, "depth": depth, "constant": 1.0},
                tuple(float(v) for v in MEASURE.value(validation)),
                tuple(float(v) for v in MEASURE.value(training)),
            )
        )
    return found


def after(network: Observed, epochs: int) -> Observed:
    return Observed(network.features, network.validation[:epochs], network.training[:epochs])


def earlier(networks: Sequence[Observed], run: str = "earlier") -> Past:
    return Past(run, HORIZON, MEASURE, "as-trained", tuple(networks))


def predictor(networks: Sequence[Observed], past: Sequence[Past] = ()) -> PerformancePredictor:
    return PerformancePredictor(networks, HORIZON, MEASURE, past=past)


def final(networks: Sequence[Observed]) -> list[float]:
    return [max(network.validation) for network in networks]


def error(forecasts: Sequence[Forecast], networks: Sequence[Observed]) -> float:
    return float(np.mean([abs(f.value - t) for f, t in zip(forecasts, final(networks), strict=True)]))


def tau(forecasts: Sequence[Forecast], networks: Sequence[Observed]) -> float:
    return float(kendalltau([f.value for f in forecasts], final(networks))[0])


KNOWN, NEW = made(40, 1), made(60, 2)


def test_a_process_follows_its_observations_and_ignores_an_outlier() -> None:
    at = np.linspace(0, 3, 12)[:, None]
    truth = np.sin(2 * at[:, 0])
    observed = truth.copy()
    observed[5] += 5
    kernel = squared_exponential(at, at, 0.7)
    posterior = regress(kernel, observed, np.full(12, 0.01))
    mean, covariance = posterior.predict(kernel, kernel)
    assert np.abs(mean - truth).max() < 0.25
    assert (np.diag(covariance) < 0.2).all()
    likelier = regress(kernel, truth, np.full(12, 0.01))
    assert likelier.log_left_out > posterior.log_left_out


def test_without_observations_a_process_is_its_prior() -> None:
    nothing = regress(np.empty((0, 0)), np.empty(0), np.empty(0))
    mean, covariance = nothing.predict(np.empty((3, 0)), np.eye(3))
    assert mean.tolist() == [0, 0, 0]
    assert covariance.tolist() == np.eye(3).tolist()


def test_ascent_finds_the_top_of_a_grid() -> None:
    grid = {"a": (0.0, 1.0, 2.0, 3.0), "b": (-1.0, 0.0, 1.0)}
    asked: list[tuple[float, float]] = []

    def value(at: dict[str, float]) -> float:
        asked.append((at["a"], at["b"]))
        return -((at["a"] - 2) ** 2) - (at["b"] - 1) ** 2

    assert ascend(grid, {"a": 0.0, "b": 0.0}, value) == {"a": 2.0, "b": 1.0}  # type: ignore[arg-type]
    assert len(asked) == len(set(asked))


@pytest.mark.slow
def test_lines_recover_the_slopes_of_a_run() -> None:
    slopes = fit_slopes([earlier(made(150, 3)), earlier(made(150, 4, offset=-2.0))], (0.1, 0.3, 1.0))
    for fraction in (0.1, 0.3):
        truth = TABLES["as-trained"].at(fraction, True)
        found = slopes.at(fraction, True)
        assert found.training + found.validation == pytest.approx(truth.training, rel=0.35)
        assert slopes.at(fraction, False).training == 0
    last = slopes.at(1.0, True)
    assert (last.training, last.validation) == pytest.approx((0, 1), abs=0.02)
    between = slopes.at(0.2, True)
    assert between.training == pytest.approx((slopes.both[0].training + slopes.both[1].training) / 2)


def test_log_error_and_accuracy_are_inverse() -> None:
    accuracies = np.array([0.0, 50.0, 99.0, 100.0])
    assert Accuracy(1000).value(Accuracy(1000).log_error(accuracies)) == pytest.approx(accuracies, abs=1e-9)


def test_the_architecture_ranks_networks_before_the_first_epoch() -> None:
    forecasts = predictor(KNOWN).predict([after(n, 0) for n in NEW])
    assert tau(forecasts, NEW) > 0.6
    assert {f.best for f in forecasts} == {None}
    assert forecasts[0].evidence == {"finished": 40, "past": 0, "similarity": 0.0}


def test_curves_improve_what_the_architecture_tells() -> None:
    p = predictor(KNOWN)
    errors = [error(p.predict([after(n, k) for n in NEW]), NEW) for k in (0, 2, 18)]
    assert errors[0] > errors[1] > errors[2]


@pytest.mark.slow
@pytest.mark.parametrize("epochs", [0, 1, 2, 4])
def test_intervals_cover(epochs: int) -> None:
    many = made(200, 5)
    forecasts = predictor(KNOWN).predict([after(n, epochs) for n in many])
    inside = [
        low <= truth <= high
        for (low, high), truth in zip((f.interval for f in forecasts), final(many), strict=True)
    ]
    assert 0.8 <= np.mean(inside) <= 0.99


def test_unfinished_networks_tell_of_architectures() -> None:
    few, begun = KNOWN[:6], [after(n, 2) for n in KNOWN[6:]]
    new = [after(n, 0) for n in NEW]
    assert tau(predictor([*few, *begun]).predict(new), NEW) > tau(predictor(few).predict(new), NEW)


@pytest.mark.parametrize("epochs", [0, 2])
def test_an_earlier_run_helps(epochs: int) -> None:
    past = [earlier(made(80, 6, offset=-2.0))]
    new = [after(n, epochs) for n in NEW]
    with_past, without = predictor(KNOWN[:6], past).predict(new), predictor(KNOWN[:6]).predict(new)
    assert error(with_past, NEW) < error(without, NEW)
    assert with_past[0].past == 80
    assert with_past[0].similarity > 0
    assert without[0].similarity == without[0].past == 0


def test_an_earlier_run_ranks_networks_before_any_is_trained() -> None:
    forecasts = predictor([], [earlier(made(80, 6, offset=-2.0))]).predict([after(n, 0) for n in NEW])
    assert tau(forecasts, NEW) > 0.6
    assert forecasts[0].finished == 0


def shuffled(networks: Sequence[Observed]) -> list[Observed]:
    order = np.random.default_rng(7).permutation(len(networks))
    return [replace(networks[i], features=networks[j].features) for i, j in enumerate(order)]


REVERSED = made(80, 6, offset=-1.0, bend=-1.0)


@pytest.mark.parametrize("wrong", [shuffled(made(80, 6)), REVERSED])
def test_an_earlier_run_that_misleads_does_no_harm(wrong: list[Observed]) -> None:
    new = [after(n, 0) for n in NEW]
    misled, alone = predictor(KNOWN, [earlier(wrong)]).predict(new), predictor(KNOWN).predict(new)
    assert error(misled, NEW) < 1.1 * error(alone, NEW)
    assert tau(misled, NEW) > tau(alone, NEW) - 0.05


def test_an_earlier_run_that_says_the_contrary_is_let_go() -> None:
    new = [after(n, 0) for n in NEW]
    blind = predictor([], [earlier(REVERSED)]).predict(new)
    assert tau(blind, NEW) < -0.5
    assert blind[0].similarity == 0.9
    assert predictor(KNOWN, [earlier(REVERSED)]).predict(new)[0].similarity == 0


def test_another_kind_of_curves_tells_of_architectures_alone() -> None:
    past = [replace(earlier(made(80, 6)), curves="averaged")]
    p = predictor(KNOWN[:6], past)
    (before,), (begun,) = p.predict([after(NEW[0], 0)]), p.predict([after(NEW[0], 2)])
    assert (before.past, begun.past) == (80, 0)


def test_spaces_without_common_features_do_no_harm() -> None:
    other = [replace(n, features={"other": n.features["width"]}) for n in made(80, 6)]
    forecasts = predictor(KNOWN, [earlier(other)]).predict([after(n, 0) for n in NEW])
    assert tau(forecasts, NEW) > 0.6


def test_no_network_is_known() -> None:
    before, begun = predictor([]).predict([after(NEW[0], 0), after(NEW[0], 3)])
    for forecast in (before, begun):
        low, high = forecast.interval
        assert 0 <= low < forecast.value < high <= 100
    assert begun.interval[0] >= begun.best  # type: ignore[operator]


def test_a_finished_network_has_its_measured_value() -> None:
    (forecast,) = predictor(KNOWN).predict([KNOWN[3]])
    best = max(KNOWN[3].validation)
    assert forecast.value == pytest.approx(best)
    assert forecast.interval == pytest.approx((best, best))
    assert forecast.expected_improvement(best) == pytest.approx(0, abs=1e-9)


def test_without_training_accuracies_validation_is_used() -> None:
    known = [replace(n, training=()) for n in KNOWN]
    new = [replace(after(n, 15), training=()) for n in NEW]
    forecasts = predictor(known).predict(new)
    assert tau(forecasts, NEW) > 0.7
    # networks with and without may be mixed
    mixed = predictor([*known[:20], *KNOWN[20:]]).predict([new[0], after(NEW[0], 15)])
    assert [f.finished for f in mixed] == [40, 20]


def test_the_order_of_networks_makes_no_difference() -> None:
    new = [after(n, k) for n in NEW[:10] for k in (0, 2, 7)]
    one = predictor(KNOWN).predict(new)
    other = predictor(KNOWN[::-1]).predict(new[::-1])[::-1]
    assert [f.value for f in one] == pytest.approx([f.value for f in other], abs=1e-6)
    single = [predictor(KNOWN).predict([n])[0].value for n in new[:3]]
    assert single == pytest.approx([f.value for f in one[:3]], abs=1e-9)


def test_strange_curves_give_finite_forecasts() -> None:
    strange = [
        Observed({}, (50.0,), (math.nan,)),
        Observed({"width": 1e6}, (0.0, 0.0), (0.0, 0.0)),
        Observed({"width": 0.0}, (100.0,), (100.0,)),
        Observed({"width": 0.0}, (math.nan, 60.0), (50.0, 55.0)),
        Observed({"new": 3.0}),
    ]
    for known in ([], KNOWN, [*KNOWN, Observed({}, (0.0,) * HORIZON)], [KNOWN[0]] * 7):
        for forecast in predictor(known).predict(strange):
            assert np.isfinite(
                [*forecast.interval, forecast.value, forecast.expected_improvement(50.0)]
            ).all()


def test_quantiles_and_improvement_agree() -> None:
    (forecast,) = predictor(KNOWN).predict([after(NEW[0], 2)])
    shares = np.linspace(0.01, 0.99, 25)
    values = [forecast.quantile(float(s)) for s in shares]
    assert values == sorted(values)
    gains = [forecast.expected_improvement(v) for v in values]
    assert gains == sorted(gains, reverse=True)
    assert forecast.expected_improvement(0.0) == pytest.approx(forecast.value, abs=2)
    assert forecast.expected_improvement(100.0) == 0


def test_earlier_runs_are_fitted_once() -> None:
    runs = EarlierRuns([earlier(made(30, 6))])
    first = runs.process(0.1, "as-trained", True)
    assert first is runs.process(0.1, "as-trained", True)
    assert first is not None
    assert runs.process(0.1, "averaged", True) is None


@pytest.mark.golden
def test_the_published_runs_are_ranked_before_training(reference_data: Path) -> None:
    """Networks 21 to 100 of a published run, from those before them, by multiply-adds and bits alone."""
    file = reference_data / "icpp23/1gpu/no_early_termination/1gpu_1e15_training_data.csv"
    networks = []
    for _, rows in pd.read_csv(file).groupby("arch"):
        ordered = rows.sort_values("epoch")
        genome = json.loads(ordered.genome.iloc[0])
        features = {f"{p}.{i}": float(bit) for p, bits in enumerate(genome) for i, bit in enumerate(bits)}
        features["log_flops"] = math.log(ordered.flops.iloc[0])
        networks.append(Observed(features, tuple(ordered.val_accs), tuple(ordered.train_accs)))
    known, new = networks[:50], networks[50:]
    p = PerformancePredictor(known, 25, Accuracy(15_876))
    taus = [tau(p.predict([after(n, k) for n in new]), new) for k in (0, 3, 12)]
    assert taus[0] > 0.65
    assert taus[1] > 0.7
    assert taus[2] > 0.8
    inside = [
        low - 0.005 <= max(n.validation) <= high + 0.005
        for k in (0, 3, 6, 12)
        for n, (low, high) in (
            (n, f.interval) for n, f in zip(new, p.predict([after(n, k) for n in new]), strict=True)
        )
    ]
    assert 0.85 <= np.mean(inside) <= 0.97
