"""The published engine, and how the compiled fitter compares with it on the published curves."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from a4nn_core.penguin.engines import make_engine
from a4nn_core.penguin.fit import fit
from a4nn_core.penguin.functions import function
from a4nn_core.penguin.published_fit import fit_published
from a4nn_core.termination.base import RULES, Context

HORIZON = 25  # of the published runs


def published(reference_data: Path) -> list[tuple[str, pd.DataFrame]]:
    """Every network of the published runs: its file and number, and its epochs in order."""
    files = sorted(reference_data.glob("icpp23/1gpu/*/*.csv"))
    assert len(files) == 6
    networks = []
    for file in files:
        for arch, rows in pd.read_csv(file).groupby("arch", sort=True):
            networks.append((f"{file.stem} {arch}", rows.sort_values("epoch")))
    return networks


@pytest.mark.slow
@pytest.mark.golden
def test_the_rule_with_scipy_is_the_published_engine(reference_data: Path) -> None:
    """Columns ``predictions`` and ``converged`` of TauferLab/Reproducibility_A4NN_ICPP23 (95ffb47).

    Of all 13,051 rows, 13,049 flags agree and 10,111 of 10,123 finite predictions lie within 0.01; this takes
    every 40th network.
    """
    rule = RULES.make({"name": "converged", "fitter": "scipy", "window": 1}, "[termination]")
    rows = flags = finite = close = 0
    for _, network in published(reference_data)[::40]:
        curve = network["val_accs"].tolist()
        predictions: list[float] = []
        for index, (flag, value) in enumerate(zip(network["converged"], network["predictions"], strict=True)):
            predicted = rule.judge(curve[: index + 1], Context(HORIZON)).predicted
            predictions.append(math.inf if predicted is None else predicted)
            last = predictions[-3:]
            agree = all(0 <= p <= 100 and abs(p - np.median(last)) <= 0.5 for p in last)
            rows += 1
            flags += agree == flag
            if math.isfinite(value):
                finite += 1
                close += abs(predictions[-1] - value) <= 0.01
    assert rows > 250
    assert flags >= 0.999 * rows
    assert close >= 0.998 * finite - 1  # one call may differ between versions of SciPy


@pytest.mark.slow
@pytest.mark.golden
def test_the_rule_stops_where_the_published_engine_stopped(reference_data: Path) -> None:
    rule = RULES.make({"name": "converged", "fitter": "scipy"}, "[termination]")
    stopping = [
        (name, network)
        for name, network in published(reference_data)
        if "stopping" in name and network["converged"].iloc[-1]
    ]
    assert len(stopping) > 150
    for name, network in stopping[::15]:
        curve = network["val_accs"].tolist()
        verdict = rule.judge(curve, Context(HORIZON))
        assert (verdict.action, verdict.reason) == ("stop", "converged"), name
        assert verdict.predicted == pytest.approx(network["predictions"].iloc[-1], abs=0.01), name
        assert rule.judge(curve[:-1], Context(HORIZON)).action == "continue", name


@pytest.mark.slow
@pytest.mark.golden
def test_the_compiled_fit_is_no_worse_than_scipy(reference_data: Path) -> None:
    f = function("default")
    fits = good = 0
    for _, network in published(reference_data)[::25]:
        curve = network["val_accs"].to_numpy()
        for length in range(4, len(curve) + 1, 3):
            x, y = np.arange(length), curve[:length]
            theirs = fit_published(f, x, y)
            if not theirs.parameters:
                continue
            ours = fit(f, x, y)
            fits += 1
            good += ours.residual_rms <= max(1.01 * theirs.residual_rms, theirs.residual_rms + 0.001)
    assert fits > 80
    assert good >= 0.99 * fits


@pytest.mark.golden
def test_every_published_prefix_has_a_fit(reference_data: Path) -> None:
    f = function("default")
    count = 0
    for _, network in published(reference_data):
        curve = network["val_accs"].to_numpy()
        for length in range(4, len(curve) + 1):
            done = fit(f, np.arange(length), curve[:length])
            assert done.status in ("converged", "at_bound")
            assert (
                done.residual_rms <= np.std(curve[:length]) + 1.5
            )  # a is not below 0.5 and b**c not below 1
            count += 1
    assert count > 10_000


@pytest.mark.golden
def test_no_function_fails_on_published_curves(reference_data: Path) -> None:
    from a4nn_core.penguin.functions import FUNCTIONS

    for _, network in published(reference_data)[::60]:
        curve = network["val_accs"].to_numpy()
        for f in FUNCTIONS.values():
            for length in (5, 10, 15, 20):
                if length <= len(curve):
                    done = fit(f, np.arange(f.first, f.first + length), curve[:length])
                    assert done.parameters, (f.name, done)
                    assert math.isfinite(done.residual_rms), f.name


def test_the_published_engine_needs_four_epochs() -> None:
    engine = make_engine("icpp23", fitter="scipy")
    assert engine.predict([50.0, 60.0, 66.0], HORIZON).value is None
    assert engine.predict([50.0, 60.0, 66.0, 70.0], HORIZON).value is not None


def test_scipy_starts_where_curve_fit_does() -> None:
    # a published default written out: middle of the box for a, one above the bound for b and c
    from scipy.optimize import curve_fit

    x, y = np.arange(8.0), np.array([50, 60, 66, 71, 75, 77, 79.5, 80])
    values, _ = curve_fit(
        lambda x, a, b, c: a - b ** (c - x), x, y, bounds=([0.5, 1, 0], [200, np.inf, np.inf])
    )
    assert list(fit_published(function("default"), x, y).parameters.values()) == list(values)


def test_scipy_outcomes_are_said() -> None:
    f = function("default")
    assert fit_published(f, [0, 1], [50, 60]).status == "too_few_points"
    assert fit_published(f, [0, 1, 2, 3], [50, math.nan, 60, 61]).status == "not_finite"
    assert fit_published(function("log2"), [0, 1, 2, 3], [50, 55, 60, 61]).status == "undefined"
    other = fit_published(function("exp3"), range(1, 9), [50, 60, 66, 71, 75, 77, 79.5, 80])
    assert other.status in ("converged", "evaluation_limit")
