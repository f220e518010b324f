"""The rules of early termination."""

from __future__ import annotations

import math
import subprocess
import sys
from statistics import median

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from a4nn_core.errors import BadInput
from a4nn_core.experiment import Experiment, load_experiment, presets
from a4nn_core.termination.base import RULES, Context, Verdict
from a4nn_core.termination.reasons import Reason, meaning

CONTEXT = Context(horizon=25)
RISING = [40.0, 60.0, 70.0, 75.0, 77.5, 78.8, 79.3, 79.7, 79.8, 79.9]


def test_the_defaults_are_the_published_settings() -> None:
    rule = RULES.make("converged", "[termination]")
    assert rule.model_dump() == {
        "name": "converged",
        "engine": "icpp23",
        "function": "default",
        "window": 3,
        "tolerance": 0.5,
        "minimum": 4,
        "bounds": None,
        "fitter": "lm",
    }


def test_a_published_alias_is_the_function() -> None:
    assert (
        RULES.make({"name": "converged", "function": "accDefaultFn"}, "t").model_dump()["function"]
        == "default"
    )


@pytest.mark.parametrize(
    ("settings_", "said"),
    [
        ({"function": "nope"}, "no parametric function named 'nope'.*known: default"),
        ({"window": 0}, "window = 0"),
        ({"tolerance": -1.0}, "tolerance = -1"),
        ({"bounds": [100, 0]}, "nothing between"),
        ({"fitter": "magic"}, "fitter"),
        ({"windows": 3}, "no key 'windows'.*window"),
        ({"engine": "icpp24"}, "engine = 'icpp24'"),
        ({"engine": "a4nn", "fitter": "lm"}, "engine 'a4nn' has no key 'fitter'"),
        ({"engine": "tpds22", "function": "pow3"}, "with the function 'default' only, not 'pow3'"),
        ({"gain": 0.5}, "no key 'gain'"),
        ({"name": "interval", "gain": -1.0}, "gain = -1"),
        ({"name": "interval", "window": 5}, "no key 'window'"),
        ({"name": "interval", "engine": "icpp23"}, "'icpp23' returns no intervals"),
        ({"name": "interval", "engine": "icpp24"}, "engine = 'icpp24': there is no prediction engine"),
    ],
)
def test_bad_settings_are_named(settings_: dict[str, object], said: str) -> None:
    with pytest.raises(BadInput, match=said):
        RULES.make({"name": "converged", **settings_}, "[termination]")


def test_agreeing_predictions_stop_a_network_with_their_evidence() -> None:
    rule = RULES.make("converged", "[termination]")
    verdict = rule.judge(RISING, CONTEXT)
    assert (verdict.action, verdict.reason) == ("stop", "converged")
    predictions = verdict.evidence["predictions"]
    assert len(predictions) == 3
    assert verdict.evidence["median"] == median(predictions)
    assert verdict.predicted == predictions[-1]
    assert verdict.predicted == pytest.approx(80, abs=0.5)
    (record,) = verdict.fits
    assert record.function == "default"
    assert record.expression == "a - b**(c - x)"
    assert record.predicted == verdict.predicted
    a, b, c = (record.parameters[k] for k in "abc")
    assert a - b ** (c - 25) == pytest.approx(verdict.predicted)
    assert record.status == "converged"
    assert record.residual is not None
    assert record.residual < 1
    assert record.microseconds > 0


def test_the_first_prediction_comes_after_four_epochs_and_the_first_stop_after_six() -> None:
    rule = RULES.make({"name": "converged", "tolerance": 50.0}, "[termination]")
    for epochs in range(len(RISING)):
        verdict = rule.judge(RISING[:epochs], CONTEXT)
        assert (verdict.predicted is not None) == (epochs >= 4)
        assert bool(verdict.fits) == (epochs >= 4)
        assert (verdict.action == "stop") == (epochs >= 6)


def test_a_curve_that_is_still_moving_goes_on() -> None:
    rule = RULES.make("converged", "[termination]")
    verdict = rule.judge([20.0, 30.0, 35.0, 50.0, 52.0, 70.0], CONTEXT)
    assert verdict.action == "continue"
    assert verdict.reason == ""


def test_predictions_beyond_the_bounds_never_agree() -> None:
    rule = RULES.make({"name": "converged", "bounds": (0.0, 79.0)}, "[termination]")
    verdict = rule.judge(RISING, CONTEXT)
    assert verdict.action == "continue"
    assert verdict.predicted is not None


def test_a_late_collapse_takes_the_agreement_away() -> None:
    rule = RULES.make("converged", "[termination]")
    assert rule.judge(RISING, CONTEXT).action == "stop"
    assert rule.judge([*RISING, 20.0], CONTEXT).action == "continue"


@pytest.mark.parametrize("fitter", ["lm", "scipy"])
@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_a_value_that_is_not_finite_is_no_prediction(fitter: str, bad: float) -> None:
    rule = RULES.make({"name": "converged", "fitter": fitter}, "[termination]")
    verdict = rule.judge([40.0, bad, 70.0, 75.0, 77.5, 78.8], CONTEXT)
    assert verdict.action == "continue"
    assert verdict.predicted is None
    assert verdict.fits[0].status == "not_finite"
    assert verdict.evidence == {"predictions": [None, None, None], "median": None}


@pytest.mark.parametrize("curve", [[50.0] * 8, [0.0] * 8, [100.0] * 8, [90.0 - 5 * i for i in range(10)]])
def test_flat_and_falling_curves_have_a_verdict(curve: list[float]) -> None:
    verdict = RULES.make("converged", "[termination]").judge(curve, CONTEXT)
    assert verdict.predicted is None or math.isfinite(verdict.predicted)
    if len(set(curve)) == 1 and curve[0] == 50:
        assert verdict.action == "stop"
        assert verdict.predicted == pytest.approx(50, abs=0.5)


@given(
    curve=st.lists(st.floats(0, 100) | st.just(math.nan), max_size=25),
    function=st.sampled_from(["default", "pow3", "wbl4"]),
)
@settings(max_examples=100, deadline=None)
def test_a_verdict_depends_on_the_curve_alone(curve: list[float], function: str) -> None:
    rule = RULES.make({"name": "converged", "function": function}, "[termination]")
    first = rule.judge(curve, CONTEXT)
    rule.judge(RISING, CONTEXT)
    again = rule.judge(curve, CONTEXT)
    assert (first.action, first.predicted, first.evidence) == (again.action, again.predicted, again.evidence)
    window = first.evidence["predictions"]
    assert len(window) == min(3, len(curve))
    agree = (
        len(window) == 3
        and all(p is not None and 0 <= p <= 100 for p in window)
        and all(abs(p - median(window)) <= 0.5 for p in window)
    )
    assert (first.action == "stop") == agree


def test_the_window_of_an_epoch_is_made_of_the_predictions_of_each_epoch() -> None:
    rule = RULES.make("converged", "[termination]")
    each = [rule.judge(RISING[:k], CONTEXT).predicted for k in range(1, len(RISING) + 1)]
    assert rule.judge(RISING, CONTEXT).evidence["predictions"] == each[-3:]


def test_numpy_curves_are_curves() -> None:
    rule = RULES.make("converged", "[termination]")
    assert rule.judge(np.array(RISING), CONTEXT).evidence == rule.judge(RISING, CONTEXT).evidence  # type: ignore[arg-type]


def test_never_never_stops() -> None:
    assert RULES.make("none", "[termination]").judge(RISING * 3, CONTEXT).action == "continue"


def test_rules_do_not_import_torch() -> None:
    code = (
        "import sys; import a4nn_core.termination.converged, a4nn_core.termination.interval\n"
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-P", "-c", code], check=False).returncode == 0


def test_an_expression_can_be_the_function() -> None:
    rule = RULES.make({"name": "converged", "function": "top - gap * exp(-rate * x)"}, "[termination]")
    verdict = rule.judge(RISING, CONTEXT)
    assert verdict.predicted == pytest.approx(80, abs=0.5)
    assert verdict.fits[0].expression == "top - gap * exp(-rate * x)"
    with pytest.raises(BadInput, match="position 9"):
        RULES.make({"name": "converged", "function": "a - b * )"}, "[termination]")


# what earlier versions recorded

RECORDED = {  # every setting of the rule `penguin`, as an experiment of then holds them
    "name": "penguin",
    "engine": "icpp23",
    "gain": 0.0,
    "function": "default",
    "window": 3,
    "tolerance": 0.5,
    "minimum": 4,
    "bounds": [0.0, 100.0],
    "solver": "lm",
}


@pytest.mark.parametrize(
    ("then", "now"),
    [
        ("penguin", "converged"),
        (RECORDED, "converged"),
        ({**RECORDED, "bounds": (0.0, 100.0)}, "converged"),
        ({"name": "penguin", "solver": "scipy"}, {"name": "converged", "fitter": "scipy"}),
        (
            {
                **RECORDED,
                "function": "accPow3",
                "window": 4,
                "tolerance": 8.0,
                "minimum": 3,
                "bounds": [1, 99],
            },
            {
                "name": "converged",
                "function": "pow3",
                "window": 4,
                "tolerance": 8.0,
                "minimum": 3,
                "bounds": [1, 99],
            },
        ),
        ({"name": "penguin", "engine": "a4nn"}, "interval"),
        ({**RECORDED, "engine": "a4nn"}, "interval"),
        (
            {**RECORDED, "engine": "a4nn", "gain": 0.5, "minimum": 2},
            {"name": "interval", "gain": 0.5, "minimum": 2},
        ),
    ],
)
def test_the_rule_penguin_is_read_as_what_it_meant(then: object, now: object) -> None:
    """Equal rules, so that a run of an earlier version goes on under today's presets."""
    assert RULES.make(then, "[termination]") == RULES.make(now, "[termination]")


def test_a_run_of_an_earlier_version_has_the_experiment_of_today() -> None:
    """So that it goes on under the preset that it was started with."""
    for changes, then in (
        ([], RECORDED),
        (['termination={ name = "interval", minimum = 2 }'], {**RECORDED, "engine": "a4nn", "minimum": 2}),
    ):
        today = load_experiment("digits", changes)
        assert Experiment.from_record({**today.to_mapping(), "termination": then}) == today


@pytest.mark.parametrize(
    ("settings_", "said"),
    [
        ({"engine": "icpp24"}, "engine = 'icpp24'"),
        ({"engine": "a4nn", "window": 5}, r"\[termination\] has no key 'window'"),
        ({"gain": 0.5}, r"\[termination\] has no key 'gain'"),
        ({"window": 0}, "window = 0"),
        ({"solver": "magic"}, "fitter = 'magic'"),
    ],
)
def test_what_it_refused_is_refused(settings_: dict[str, object], said: str) -> None:
    with pytest.raises(BadInput, match=said):
        RULES.make({"name": "penguin", **settings_}, "[termination]")


def test_new_experiments_say_the_new_names() -> None:
    names = {load_experiment(name).to_mapping()["termination"]["name"] for name in presets()}
    assert names == {"none", "converged", "front"}
    assert set(RULES.names()) >= {"none", "fixed", "patience", "converged", "interval"}
    assert "penguin" not in RULES.names()
    written = load_experiment("digits", ["termination=penguin"]).to_mapping()["termination"]
    assert written == {
        "name": "converged",
        "engine": "icpp23",
        "function": "default",
        "fitter": "lm",
        "window": 3,
        "tolerance": 0.5,
        "minimum": 4,
    }


def test_the_words_of_old_records_mean_what_the_new_ones_do() -> None:
    assert (meaning("beaten"), meaning("settled")) == (Reason.dominated.meaning, Reason.no_gain.meaning)
    assert meaning("impatient") == "impatient"  # of a rule of another package
    assert all(reason.meaning.endswith(".") for reason in Reason)
    assert RULES.make("converged", "t").judge(RISING, CONTEXT).meaning == Reason.converged.meaning


def test_a_verdict_takes_the_text_of_an_action_and_no_other() -> None:
    assert Verdict("stop").action.name == "stop"  # type: ignore[arg-type]
    with pytest.raises(BadInput, match="action is 'halt'; known: continue, pause, stop"):
        Verdict("halt")  # type: ignore[arg-type]


def test_bounds_are_those_of_the_metric_unless_given() -> None:
    """Shares that agree above 1 are no agreement."""
    shares = [value / 100 + 0.3 for value in RISING]
    rule = RULES.make({"name": "converged", "function": "exp3", "tolerance": 0.005}, "t")
    assert rule.judge(shares, Context(25, bounds=(0.0, 2.0))).action == "stop"
    assert rule.judge(shares, Context(25, bounds=(0.0, 1.0))).action == "continue"
