"""Python callables as parametric functions, and the reference fitter that fits them."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from a4nn_core.errors import BadInput
from a4nn_core.penguin.batch import fit_many
from a4nn_core.penguin.callables import python_function
from a4nn_core.penguin.fit import fit
from a4nn_core.penguin.functions import FUNCTIONS, Parameter, function
from a4nn_core.penguin.published_fit import fit_published
from a4nn_core.penguin.scipy_fit import fit_scipy_multistart


def two_lines(x: NDArray[np.float64], start: float, slope: float, top: float) -> NDArray[np.float64]:
    """Rises evenly, then stays: the language of expressions has no minimum."""
    return np.minimum(start + slope * x, top)


X = np.arange(14.0)
TRUTH = {"start": 40.0, "slope": 6.0, "top": 88.0}
CURVE = two_lines(X, **TRUTH)


def test_a_python_callable_is_fitted() -> None:
    f = python_function(two_lines)
    assert [p.name for p in f.parameters] == ["start", "slope", "top"]
    done = fit(f, X, CURVE)
    assert done.status == "converged"
    assert done.parameters == pytest.approx(TRUTH, rel=1e-4)
    assert done.residual_rms < 1e-3
    assert done.evaluations > 0
    assert f.evaluate(done.parameters, [25.0])[0] == pytest.approx(88.0, rel=1e-4)


def test_its_bounds_hold() -> None:
    f = python_function(
        two_lines, [Parameter("start"), Parameter("slope", 0.0, 20.0), Parameter("top", 0.0, 80.0)]
    )
    done = fit(f, X, CURVE)
    assert done.status == "at_bound"
    assert done.parameters["top"] == pytest.approx(80.0, rel=1e-6)
    assert done.parameters["top"] <= 80.0


def test_the_published_call_takes_it_too() -> None:
    f = python_function(
        two_lines, [Parameter("start", 0, 100), Parameter("slope", 0, 20), Parameter("top", 0, 100)]
    )
    assert fit_published(f, X, CURVE).parameters == pytest.approx(TRUTH, rel=1e-4)


def test_it_is_recorded_as_what_it_is() -> None:
    f = python_function(two_lines, name="rise then rest")
    assert f.name == "rise then rest"
    assert f.expression == f"python: {__name__}.two_lines(x, start, slope, top)"
    with pytest.raises(BadInput, match="cannot be made from its text"):
        function(f.expression)


def test_the_compiled_batch_refuses_it() -> None:
    with pytest.raises(BadInput, match=r"'two_lines' is a Python callable.*compiled fitter cannot run"):
        fit_many([function("pow3"), python_function(two_lines)], [CURVE])


@pytest.mark.parametrize(
    ("call", "parameters", "said"),
    [
        (lambda x: x, None, "takes: x"),
        (lambda x, a: x * a, [Parameter("a"), Parameter("b")], r"\(a, b\), but takes: x, a"),
        (math.sin, [], "none"),
    ],
)
def test_a_callable_without_matching_parameters_is_refused(call, parameters, said) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(BadInput, match=said):
        python_function(call, parameters)


def test_the_name_of_a_declared_function_is_taken() -> None:
    with pytest.raises(BadInput, match=r"already is .*'default'"):
        python_function(two_lines, name="default")


def test_values_of_a_wrong_shape_or_kind_are_named() -> None:
    with pytest.raises(BadInput, match=r"'short' returned values of shape \(13,\) for \(14,\) points"):
        fit(python_function(lambda x, a: a * x[1:], name="short"), X, CURVE)
    with pytest.raises(BadInput, match="'word' cannot be evaluated"):
        fit(python_function(lambda x, a: "word", name="word"), X, CURVE)  # noqa: ARG005


def test_every_outcome_has_the_word_of_the_compiled_fitter() -> None:
    f = python_function(two_lines)
    assert fit(f, X[:2], CURVE[:2]).status == "too_few_points"
    assert fit(f, X, [*CURVE[:-1], math.nan]).status == "not_finite"
    nowhere = python_function(lambda x, a: np.full_like(x, math.nan) * a, name="nowhere")
    assert fit(nowhere, X, CURVE).status == "undefined"
    assert fit(f, X, CURVE + np.sin(7 * X), max_evaluations=2).status == "evaluation_limit"
    with pytest.raises(BadInput, match="one length"):
        fit(f, X, CURVE[:-1])
    with pytest.raises(BadInput, match="scale = 0"):
        fit(f, X, CURVE, scale=0.0)
    with pytest.raises(BadInput, match="negative"):
        fit(f, X, CURVE, weights=[-1.0] * 14)


@pytest.mark.slow
def test_weights_and_robust_losses_do_what_they_do_in_the_compiled_fitter() -> None:
    f = function("exp3")
    y = 88 - 40 * np.exp(-0.2 * X) + 0.3 * np.random.default_rng(1).standard_normal(14)
    y[6] -= 30
    weights = np.linspace(0.5, 2.0, 14)
    for settings in (
        {"loss": "huber", "scale": 0.5},
        {"loss": "soft_l1", "scale": 0.5},
        {"weights": weights},
    ):
        ours, theirs = fit(f, X, y, **settings), fit_scipy_multistart(f, X, y, **settings)  # type: ignore[arg-type]
        assert f.evaluate(ours.parameters, X) == pytest.approx(f.evaluate(theirs.parameters, X), abs=0.02)


@pytest.mark.slow
@pytest.mark.parametrize("noise", [0.0, 2.0])
@pytest.mark.parametrize("count", [6, 15])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_the_compiled_fitter_is_no_worse_than_the_reference(name: str, count: int, noise: float) -> None:
    f = FUNCTIONS[name]
    x = np.arange(f.first, f.first + count, dtype=float)
    y = 90 - 45 * (1 + x) ** -0.7 + noise * np.random.default_rng(count).standard_normal(count)
    ours, theirs = fit(f, x, y), fit_scipy_multistart(f, x, y)
    assert theirs.parameters
    assert ours.residual_rms <= max(1.01 * theirs.residual_rms, theirs.residual_rms + 0.001)
    for p in f.parameters:
        assert p.lower <= theirs.parameters[p.name] <= p.upper
    drawn = f.evaluate(theirs.parameters, x)
    assert theirs.residual_rms == pytest.approx(np.sqrt(np.mean((drawn - y) ** 2)), rel=1e-9, abs=1e-9)
