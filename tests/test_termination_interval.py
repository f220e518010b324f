"""The rule interval: it stops a network that the front dominates or that has nothing to gain."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from a4nn_core.metrics import nondominated
from a4nn_core.penguin.engines import make_engine
from a4nn_core.termination.base import RULES, Context, FrontSnapshot
from a4nn_core.vocabulary import Direction

RULE = RULES.make("interval", "[termination]")
GREEDY = RULES.make({"name": "interval", "gain": 3.0}, "[termination]")
RISING = [50.0, 60.0, 64.0, 66.0, 67.5]


def against(*points: dict[str, float], mflops: float = 10.0, **more: object) -> Context:
    front = FrontSnapshot(1, tuple(points))
    return replace(Context(horizon=25, fixed={"mflops": mflops}, front=front), **more)  # type: ignore[arg-type]


def test_a_front_out_of_reach_stops_a_network() -> None:
    verdict = RULE.judge(RISING, against({"error_percent": 1.0, "mflops": 9.0}))
    assert (verdict.action, verdict.reason) == ("stop", "dominated")
    low, high = verdict.interval or (math.nan, math.nan)
    assert low < verdict.predicted < high < 99.0  # type: ignore[operator]
    assert verdict.evidence == {
        "best": 67.5,
        "optimistic": high,
        "front_error_percent": 1.0,
        "front_mflops": 9.0,
    }
    prediction = make_engine("a4nn").predict(RISING, 25)
    assert (verdict.predicted, low, high) == (prediction.value, prediction.low, prediction.high)
    (record,) = verdict.fits
    assert (record.function, record.predicted, record.low, record.high) == (
        "error-law",
        prediction.value,
        prediction.low,
        prediction.high,
    )
    assert record.expression == "log e(n) = log e(k) - g log(n / k)"
    assert record.parameters["best"] == 67.5
    json.dumps(asdict(verdict), allow_nan=False)


@pytest.mark.parametrize(
    "context",
    [
        Context(horizon=25, fixed={"mflops": 10.0}),  # no front yet
        against({"error_percent": 1.0, "mflops": 11.0}),  # the network is cheaper
        against({"error_percent": 30.0, "mflops": 9.0}),  # it may still become better
        against({"loss": 0.1, "mflops": 9.0}),  # nothing is known of its loss
        against({}),
        against({"accuracy_percent": 1.0}),
    ],
)
def test_what_may_still_enter_the_front_goes_on(context: Context) -> None:
    verdict = RULE.judge(RISING, context)
    assert (verdict.action, verdict.reason) == ("continue", "")
    assert verdict.interval is not None


def test_directions_are_those_of_the_objectives() -> None:
    stopped = against({"accuracy_percent": 99.5, "mflops": 9.0})
    assert RULE.judge(RISING, stopped).reason == "dominated"
    front = FrontSnapshot(
        1,
        ({"accuracy_percent": 99.5, "mflops": 9.0},),
        {"accuracy_percent": Direction.maximise, "mflops": Direction.maximise},
    )
    assert RULE.judge(RISING, replace(stopped, front=front)).action == "continue"
    errors = Context(horizon=25, metric="psnr", front=FrontSnapshot(1, ({"psnr": 99.9},)))
    assert RULE.judge(RISING, errors).reason == "dominated"
    mirrored = replace(
        errors, metric="wrong", direction=Direction.minimise, front=FrontSnapshot(1, ({"wrong": 0.1},))
    )
    assert RULE.judge([100 - v for v in RISING], mirrored).reason == "dominated"


def test_an_equal_of_a_member_is_not_dominated() -> None:
    """A perfect network at the price of another perfect one dominates nothing and is dominated by nothing;
    but it has nothing to gain."""
    context = against({"error_percent": 0.0, "mflops": 10.0})
    assert RULE.judge([100.0] * 6, context).reason == "no_gain"


def test_what_has_little_to_gain_stops_where_gain_says_so() -> None:
    late = [90.0 + 9.0 * (1 - 0.6**n) for n in range(23)]
    verdict = GREEDY.judge(late, Context(horizon=25))
    assert (verdict.action, verdict.reason) == ("stop", "no_gain")
    assert verdict.evidence["optimistic"] - max(late) <= 3.0
    assert RULE.judge(late, Context(horizon=25)).action == "continue"
    assert GREEDY.judge(RISING, Context(horizon=25)).action == "continue"


def test_the_first_verdict_comes_after_the_fewest_epochs() -> None:
    context = against({"error_percent": 0.0, "mflops": 1.0})
    assert [RULE.judge(RISING[:k], context).action for k in range(1, 6)] == ["continue"] * 3 + ["stop"] * 2
    assert RULE.judge(RISING[:3], context).fits == ()


@pytest.mark.parametrize("bad", [math.nan, math.inf, 130.0])
def test_a_curve_without_prediction_goes_on(bad: float) -> None:
    verdict = RULE.judge([*RISING, bad], against({"error_percent": 0.0, "mflops": 1.0}))
    assert (verdict.action, verdict.predicted, verdict.interval) == ("continue", None, None)
    assert verdict.fits[0].status in ("not_finite", "out_of_bounds")


@settings(max_examples=60, deadline=None)
@given(
    curve=st.lists(st.floats(0, 100), min_size=4, max_size=24),
    error=st.floats(0, 100),
    schedule=st.sampled_from([None, "annealed", "constant"]),
)
def test_a_stop_is_what_it_says(curve: list[float], error: float, schedule: str | None) -> None:
    context = against({"error_percent": error, "mflops": 10.0}, schedule=schedule)
    verdict = GREEDY.judge(curve, context)
    low, high = verdict.interval or (0.0, 0.0)
    assert 0 <= low <= high <= 100
    assert high >= max(curve) - 1e-9
    dominated = high < 100 - error
    assert verdict.reason == ("dominated" if dominated else "no_gain" if high - max(curve) <= 3.0 else "")


@pytest.mark.slow
@pytest.mark.golden
def test_the_published_runs_keep_their_fronts(reference_data: Path) -> None:
    """300 networks trained to the end, judged after every epoch against the front of earlier generations: the
    rule saves more epochs than the published criterion does and finds more of the front."""
    published = RULES.make("converged", "[termination]")
    saved, found = dict.fromkeys(("a4nn", "icpp23"), 0), dict.fromkeys(("a4nn", "icpp23"), 0)
    for file in sorted(reference_data.glob("icpp23/1gpu/no_early_termination/*.csv")):
        networks = [g.sort_values("epoch") for _, g in pd.read_csv(file).groupby("arch")]
        for name, rule in (("a4nn", RULE), ("icpp23", published)):
            scores: list[tuple[float, float]] = []
            for number, rows in enumerate(networks):
                curve, flops = rows.val_accs.tolist(), float(rows.flops.iloc[0])
                if number % 10 == 0:
                    known = np.array(scores).reshape(-1, 2)
                    points = known[nondominated(known)] if len(known) else known
                context = against(
                    *({"error_percent": e, "mflops": f} for e, f in points), mflops=flops, schedule="annealed"
                )
                end = next((k for k in range(4, 25) if rule.judge(curve[:k], context).action == "stop"), 25)
                saved[name] += 25 - end
                scores.append((100 - max(curve[:end]), flops))
            full = np.array([(100 - r.val_accs.max(), r.flops.iloc[0]) for r in networks])
            found[name] += sum(tuple(p) in scores for p in full[nondominated(full)])
    assert saved["a4nn"] > 1.3 * saved["icpp23"]
    assert found["a4nn"] > 2 * found["icpp23"]
