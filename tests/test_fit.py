"""The compiled fitter and the declared functions."""

from __future__ import annotations

import itertools
import math
import subprocess
import sys
import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import approx_fprime, least_squares

from a4nn_core.errors import BadInput
from a4nn_core.penguin import _lm
from a4nn_core.penguin.batch import fit_many
from a4nn_core.penguin.fit import fit
from a4nn_core.penguin.functions import FUNCTIONS, Parameter, ParametricFunction, function

# parameters of a curve that each function can draw, near 40 to 90 percent over twenty epochs
TYPICAL: dict[str, dict[str, float]] = {
    "default": {"a": 85.0, "b": 1.3, "c": 13.0},
    "pow2": {"a": 50.0, "b": 0.18},
    "pow3": {"a": -45.0, "b": -0.6, "c": 90.0},
    "pow4": {"c": 90.0, "a": 0.005, "b": 0.02, "d": 1.0},
    "log2": {"a": 12.0, "b": 48.0},
    "linear": {"a": 1.5, "b": 50.0},
    "exp2": {"a": 55.0, "b": 0.02},
    "exp3": {"a": -40.0, "b": -0.2, "c": 88.0},
    "exp4": {"c": 88.0, "a": 0.4, "d": 0.8, "b": 3.8},
    "expp3": {"c": 90.0, "a": -0.4, "b": -0.05},
    "expd3": {"c": 88.0, "a": 45.0, "b": 0.25},
    "vap3": {"a": 4.3, "b": -0.4, "c": 0.05},
    "mmf4": {"a": 40.0, "b": 5.0, "c": 92.0, "d": 1.2},
    "wbl4": {"a": 88.0, "b": 45.0, "c": 0.3, "d": 0.8},
    "ilog2": {"a": 30.0, "b": 95.0},
    "loss": {"a": 0.3, "b": 1.4, "c": 2.0},
}
SEPARABLE = {
    "default": {"a", "c"},
    "pow3": {"a", "c"},
    "exp3": {"a", "c"},
    "mmf4": {"a", "c"},
    "wbl4": {"a", "b"},
    "vap3": {"a"},
}


def points(f: ParametricFunction, count: int) -> np.ndarray:
    return np.arange(f.first, f.first + count, dtype=float)


def best_of_scipy(f: ParametricFunction, x: np.ndarray, y: np.ndarray, starts: int = 12) -> float:
    """Root mean square residual of the best of several bounded SciPy fits."""
    rng = np.random.default_rng(0)
    names = [p.name for p in f.parameters]
    low = np.array([p.lower for p in f.parameters])
    high = np.array([p.upper for p in f.parameters])

    def residual(values: np.ndarray) -> np.ndarray:
        with np.errstate(all="ignore"):
            r = f.evaluate(dict(zip(names, values, strict=True)), x) - y
        return np.where(np.isfinite(r), r, 1e6)

    best = math.inf
    for attempt in range(starts):
        spread = 0.0 if attempt == 0 else 0.5
        start = np.array([TYPICAL[f.name][n] for n in names]) * (1 + spread * rng.standard_normal(len(names)))
        start = np.clip(
            start, np.where(np.isfinite(low), low + 1e-9, -1e9), np.where(np.isfinite(high), high - 1e-9, 1e9)
        )
        done = least_squares(residual, start, bounds=(low, high), x_scale="jac", max_nfev=300)
        best = min(best, float(np.sqrt(np.mean(done.fun**2))))
    return best


def test_every_published_name_is_known() -> None:
    published = (
        "accDefaultFn accPow2 accPow3 accLog2 accExp2 accExp3 accExp4 accExpp3 accExpd3 accVap3 accMmf4 "
        "accWbl4 accIlog2 lossDefaultFn"
    )
    assert {function(name).name for name in published.split()} == set(FUNCTIONS) - {"pow4", "linear"}
    assert set(FUNCTIONS) == set(TYPICAL)


def test_an_unknown_function_is_named_beside_those_that_exist() -> None:
    with pytest.raises(BadInput, match=r"'nope'.*default.*pow3"):
        function("nope")


@pytest.mark.parametrize(("name", "linear"), SEPARABLE.items())
def test_linear_parameters_are_found(name: str, linear: set[str]) -> None:
    assert set(function(name).compiled.linear) == linear


@pytest.mark.parametrize("name", TYPICAL)
def test_derivatives_are_exact(name: str) -> None:
    f = function(name)
    x = points(f, 12)
    values = np.array([TYPICAL[name][p.name] for p in f.parameters])
    jacobian = f.compiled.jacobian(values, x)
    numeric = approx_fprime(
        values, lambda v: f.compiled.evaluate(list(v), x), 1e-7 * np.maximum(1e-3, abs(values))
    )
    assert jacobian == pytest.approx(numeric, rel=1e-4, abs=1e-3)


@pytest.mark.parametrize("name", TYPICAL)
def test_values_are_those_of_the_expression(name: str) -> None:
    f = function(name)
    x = points(f, 12)
    names = {"x": x, "exp": np.exp, "log": np.log, "sqrt": np.sqrt, "tanh": np.tanh, **TYPICAL[name]}
    expected = eval(f.expression, {"__builtins__": {}}, names)  # the language is a subset of Python's
    assert f.evaluate(TYPICAL[name], x) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(
    ("name", "noise", "count"), [*itertools.product(TYPICAL, [0.0, 0.5, 3.0], [5, 10, 20])]
)
def test_no_worse_than_the_best_of_many_scipy_starts(name: str, noise: float, count: int) -> None:
    f = function(name)
    x = points(f, count)
    y = f.evaluate(TYPICAL[name], x) + noise * np.random.default_rng(count).standard_normal(count)
    done = fit(f, x, y)
    assert done.status in ("converged", "at_bound", "evaluation_limit")
    best = best_of_scipy(f, x, y, 3 if noise else 1)
    assert done.residual_rms <= max(1.01 * best, best + 0.001)
    drawn = f.evaluate(done.parameters, x)
    assert done.residual_rms == pytest.approx(np.sqrt(np.mean((drawn - y) ** 2)), rel=1e-6, abs=1e-9)
    for p in f.parameters:
        assert p.lower <= done.parameters[p.name] <= p.upper


def test_a_fit_leaves_its_starting_point() -> None:
    # a published GPU peer returns its start where the first step fails
    f = function("default")
    x = np.arange(10.0)
    for truth in ({"a": 97.0, "b": 1.05, "c": 60.0}, {"a": 60.0, "b": 3.0, "c": 3.0}):
        done = fit(f, x, f.evaluate(truth, x))
        assert done.parameters == pytest.approx(truth, rel=1e-3)
        assert done.residual_rms < 1e-3


def test_later_epochs_change_the_prediction() -> None:
    curve = np.array([40, 60, 70, 75, 77.5, 78.8, 79.3, 84, 88, 91.0])
    f = function("default")
    at_25 = [float(f.evaluate(fit(f, np.arange(k), curve[:k]).parameters, 25)[0]) for k in range(5, 11)]
    assert len({round(p, 3) for p in at_25}) == len(at_25)
    assert at_25[-1] > at_25[1] + 5


def test_a_late_collapse_is_noticed() -> None:
    f = function("default")
    good = np.array([40, 60, 70, 75, 77.5, 78.8, 79.3, 79.7, 79.8])
    before = fit(f, np.arange(9), good)
    after = fit(f, np.arange(11), np.append(good, [20.0, 15.0]))
    assert before.residual_rms < 0.5
    assert after.residual_rms > 10
    assert f.evaluate(after.parameters, 25)[0] < f.evaluate(before.parameters, 25)[0] - 5


@pytest.mark.parametrize("name", TYPICAL)
@pytest.mark.parametrize("curve", ["constant", "zero", "falling", "jump", "huge", "tiny"])
def test_unusual_curves_have_an_outcome(name: str, curve: str) -> None:
    f = function(name)
    x = points(f, 8)
    y = {
        "constant": np.full(8, 50.0),
        "zero": np.zeros(8),
        "falling": np.linspace(90, 10, 8),
        "jump": np.array([10.0] * 4 + [90.0] * 4),
        "huge": np.geomspace(1, 1e12, 8),
        "tiny": np.geomspace(1e-12, 1e-10, 8),
    }[curve]
    done = fit(f, x, y)
    assert done.parameters
    assert math.isfinite(done.residual_rms)
    assert done.evaluations <= 2000 + 2


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_values_that_are_not_finite_are_said(bad: float) -> None:
    done = fit(function("default"), range(5), [50, 60, bad, 70, 72])
    assert done.status == "not_finite"
    assert "NaN" in done.status.meaning
    assert done.parameters == {}
    assert math.isnan(done.residual_rms)


def test_too_few_points_are_said() -> None:
    assert fit(function("default"), [0, 1], [50, 60]).status == "too_few_points"
    assert fit(function("default"), [], []).status == "too_few_points"


def test_a_function_without_a_value_at_zero_says_so() -> None:
    done = fit(function("log2"), range(6), [50, 60, 66, 70, 72, 73])
    assert done.status == "undefined"
    assert done.parameters == {}


def test_the_cap_on_evaluations_holds() -> None:
    for name in TYPICAL:
        f = function(name)
        x = points(f, 10)
        done = fit(f, x, f.evaluate(TYPICAL[name], x) + np.sin(7 * x), max_evaluations=5)
        assert done.evaluations <= 5 + 2  # the best start, and the residual of what is returned
        if len(f.fitted.linear) < len(f.parameters):
            assert done.status == "evaluation_limit"


def test_shapes_and_settings_that_cannot_be_used_are_named() -> None:
    f = function("default")
    with pytest.raises(BadInput, match="one length"):
        fit(f, [0, 1, 2, 3], [1, 2, 3])
    with pytest.raises(BadInput, match="scale = 0"):
        fit(f, [0, 1, 2, 3], [1, 2, 3, 4], scale=0.0)
    with pytest.raises(BadInput, match="negative"):
        fit(f, [0, 1, 2, 3], [1, 2, 3, 4], weights=[1, 1, -1, 1])


def test_a_point_of_no_weight_does_not_count() -> None:
    f = function("default")
    x = np.arange(10.0)
    y = f.evaluate(TYPICAL["default"], x)
    wrong = y.copy()
    wrong[4] = 0.0
    weights = np.ones(10)
    weights[4] = 0
    assert fit(f, x, wrong, weights=weights).parameters == pytest.approx(TYPICAL["default"], rel=1e-4)


@pytest.mark.parametrize("loss", ["huber", "soft_l1"])
def test_a_robust_loss_is_that_of_scipy(loss: str) -> None:
    f = function("exp3")
    x = points(f, 15)
    y = f.evaluate(TYPICAL["exp3"], x) + 0.3 * np.random.default_rng(1).standard_normal(15)
    y[6] -= 30
    done = fit(f, x, y, loss=loss, scale=0.5)  # type: ignore[arg-type]
    names = [p.name for p in f.parameters]
    peer = least_squares(
        lambda v: f.compiled.evaluate(list(v), x) - y,
        [TYPICAL["exp3"][n] for n in names],
        loss=loss,
        f_scale=0.5,
        x_scale="jac",
    )
    ours = least_squares(
        lambda v: f.compiled.evaluate(list(v), x) - y,
        [done.parameters[n] for n in names],
        loss=loss,
        f_scale=0.5,
        max_nfev=1,
    )
    assert ours.cost <= peer.cost * (1 + 1e-6)
    assert abs(f.evaluate(done.parameters, [6.0])[0] - f.evaluate(TYPICAL["exp3"], [6.0])[0]) < 0.6


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a - b**", "position 8"),
        ("a + open(x)", "unknown function 'open'"),
        ("a + (b", r"'\)' is missing"),
        ("a $ b", "position 3"),
        ("", "ends too early"),
        ("exp", "without an argument"),
        ("(" * 5000 + "a" + ")" * 5000, "longer than"),
        ("-" * 900 + "a", "nested too deeply"),
        ("a * x + é", "unexpected 'é' at position 9"),
        ("a * x + \udcff", r"unexpected '\\udcff' at position 9"),
        ("a\0 * x", r"unexpected '\\x00' at position 2"),
    ],
)
def test_an_expression_that_cannot_be_read_is_refused(text: str, said: str) -> None:
    with pytest.raises(BadInput, match=said):
        _ = ParametricFunction("mine", text, ()).compiled


def test_bounds_that_leave_nothing_are_refused() -> None:
    with pytest.raises(BadInput, match="bounds of a"):
        _ = ParametricFunction("mine", "a * x", (Parameter("a", 2.0, 1.0),)).compiled


def test_a_missing_parameter_is_named() -> None:
    with pytest.raises(BadInput, match="lacks a value of b, c"):
        function("default").evaluate({"a": 1.0}, [1.0])


@given(
    y=st.lists(st.floats(0, 100), min_size=4, max_size=25),
    name=st.sampled_from(sorted(TYPICAL)),
)
@settings(max_examples=200, deadline=None)
def test_any_curve_in_percent_has_an_outcome_at_least_as_good_as_a_flat_line(
    y: list[float], name: str
) -> None:
    f = function(name)
    x = points(f, len(y))
    done = fit(f, x, y)
    again = fit(f, x, y)
    assert (done.status, done.parameters) == (again.status, again.parameters)
    assert done.parameters
    assert done.evaluations <= 2000 + 2
    for p in f.parameters:
        assert p.lower <= done.parameters[p.name] <= p.upper
    if name in ("pow3", "log2", "linear", "exp3", "wbl4", "ilog2"):  # a flat line is one of theirs
        assert done.residual_rms <= np.std(y) * (1 + 1e-6) + 1e-6


@given(st.lists(st.floats(allow_nan=True, allow_infinity=True), max_size=12))
@settings(max_examples=200, deadline=None)
def test_nothing_in_a_curve_can_crash_a_fit(y: list[float]) -> None:
    done = fit(function("default"), np.arange(len(y)), y)
    assert done.status in {word for word, _ in _lm.STATUSES}
    assert all(math.isfinite(v) or math.isinf(v) for v in done.parameters.values())


def test_values_whose_squares_overflow_take_no_parameter_out_of_its_bounds() -> None:
    y = [3.0, 1e300, 1.0, 3.0, 1.0, 1.0, 3.0]
    done = fit(function("pow4"), np.arange(7.0), y, weights=[0, 0.95, 0, 0, 0, 0, 0.57])
    assert done.parameters == {}
    assert done.status == "undefined"


@pytest.mark.slow
@given(st.text(alphabet="abxn0123456789.+-*/^() explogsqrttanh", max_size=40))
@settings(max_examples=300, deadline=None)
def test_no_text_can_crash_the_parser(text: str) -> None:
    try:
        f = _lm.Function(text)
    except ValueError:
        return
    values = f.evaluate([0.5] * len(f.parameters), [1.0, 2.0])
    assert values.shape == (2,)


def test_threads_do_not_disturb_each_other() -> None:
    f = function("wbl4")
    x = points(f, 12)
    curves = [
        f.evaluate(TYPICAL["wbl4"], x) + np.random.default_rng(s).standard_normal(12) for s in range(40)
    ]
    alone = [fit(f, x, y).parameters for y in curves]
    together: list[object] = [None] * len(curves)

    def work(part: int) -> None:
        for i in range(part, len(curves), 4):
            together[i] = fit(f, x, curves[i]).parameters

    threads = [threading.Thread(target=work, args=(part,)) for part in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert together == alone


def test_an_unbuilt_extension_says_how_to_build_it() -> None:
    code = (
        "import sys; sys.modules['a4nn_core.penguin._lm'] = None\n"
        "try:\n    import a4nn_core.penguin.fit\n"
        "except ImportError as error:\n    print(error)\n"
    )
    done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, check=True)
    assert "pip install ." in done.stdout
    assert "make install" in done.stdout


def test_an_expression_is_a_function() -> None:
    f = function("top - gap * exp(-rate * x)")
    assert [p.name for p in f.parameters] == ["top", "gap", "rate"]
    assert f.first == 0
    assert set(f.compiled.linear) == {"top", "gap"}
    x = points(f, 12)
    truth = {"top": 90.0, "gap": 40.0, "rate": 0.25}
    assert fit(f, x, f.evaluate(truth, x)).parameters == pytest.approx(truth, rel=1e-4)
    assert function("a * log(n) + b").first == 1
    assert function("a + b * tanh(c * n)").first == 0


@pytest.mark.parametrize(
    ("text", "said"),
    [("a - b**", "position 8"), ("a + b", "no x and no n"), ("2 * x", "no parameters"), ("a + f(x)", "'f'")],
)
def test_an_expression_that_is_no_function_is_refused(text: str, said: str) -> None:
    with pytest.raises(BadInput, match=said):
        function(text)


@pytest.mark.parametrize("threads", [1, 3])
def test_many_fits_are_each_the_single_fit(threads: int) -> None:
    rng = np.random.default_rng(0)
    functions = list(FUNCTIONS.values())
    curves = [np.sort(rng.uniform(20, 95, size)) for size in (3, 4, 5, 9, 14, 25)]
    curves += [np.array([50.0, math.nan, 60, 61]), np.array([])]
    table = fit_many(functions, curves, threads=threads)
    for row, curve in enumerate(curves):
        for column, f in enumerate(functions):
            many, single = table.fit(row, column), fit(f, points(f, len(curve)), curve)
            assert (many.status, many.parameters, many.evaluations) == (
                single.status,
                single.parameters,
                single.evaluations,
            )
            assert many.residual_rms == pytest.approx(single.residual_rms, nan_ok=True, abs=0)


def test_no_curves_and_bad_settings_of_many_fits() -> None:
    assert fit_many([function("default")], []).status.shape == (0, 1)
    assert fit_many([], [np.arange(5.0)]).status.shape == (1, 0)
    with pytest.raises(BadInput, match="curve 1 has 2 dimensions"):
        fit_many([function("default")], [np.arange(5.0), np.ones((2, 2))])
    with pytest.raises(BadInput, match="threads = 0"):
        fit_many([function("default")], [np.arange(5.0)], threads=0)


@pytest.mark.skipif(sys.platform != "linux", reason="the limit on memory is one of Linux")
def test_an_exception_in_a_thread_of_many_fits_reaches_the_caller() -> None:
    code = """
import resource
import numpy as np
from a4nn_core.penguin.batch import fit_many
from a4nn_core.penguin.functions import function
f, long = function("exp4"), np.linspace(50.0, 80.0, 2_000_000)
used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + 400_000_000,) * 2)  # two long curves take more
try:
    fit_many([f], [long] * 4, threads=2)
except MemoryError:
    print("no memory")
print(fit_many([f], [long[:10]] * 2, threads=2).status.shape)
"""
    done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split("\n")[:2] == ["no memory", "(2, 1)"]
