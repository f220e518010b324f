"""When a network can end by the interval of its prediction, and when not.

The score of a network is the best value that was measured, so that ending it early costs what it would still
have gained. Two cases cost nothing, as surely as the interval holds (a value above its upper end is to be
expected once in twenty):

- *beaten*: even at the better end of its interval the network would be dominated by a member of the front;
- *settled*: the better end lies no more than ``gain`` beyond the best value so far.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence

from a4nn_core.metrics import dominates
from a4nn_core.penguin.engine import Prediction, expression
from a4nn_core.penguin.engine_a4nn import A4nnEngine
from a4nn_core.termination.base import Context, FitRecord, Verdict


def judge_by_interval(curve: Sequence[float], context: Context, minimum: int, gain: float) -> Verdict:
    """The verdict after the last epoch of the curve.

    Args:
        curve: the monitored metric, one value an epoch, from epoch 1.
        context: see Context.
        minimum: fewest epochs before the first prediction.
        gain: least improvement that is worth going on for, in the metric's unit.

    Raises:
        BadInput: bounds that leave nothing between them, or an unknown schedule or kind of curves.
    """
    started = time.perf_counter()
    engine = A4nnEngine(
        bounds=context.bounds,
        direction=context.direction,
        schedule=context.schedule,
        curves=context.curves,
    )
    if len(curve) < minimum:
        return Verdict("continue")
    told = engine.predict(curve, context.horizon)
    record = _record(told, 1e6 * (time.perf_counter() - started))
    if told.value is None or told.low is None or told.high is None:
        return Verdict("continue", predicted=told.value, evidence={"status": told.status}, fits=(record,))
    up = context.direction == "max"
    best, hoped = (max(curve), told.high) if up else (min(curve), told.low)
    evidence = {"best": float(best), "hoped": hoped}
    reason = ""
    winner = _dominating(hoped, context)
    if winner is not None:
        reason = "beaten"
        evidence |= {f"front_{name}": float(value) for name, value in winner.items()}
    elif (hoped - best if up else best - hoped) <= gain:
        reason = "settled"
    return Verdict(
        "stop" if reason else "continue",
        reason,
        predicted=told.value,
        interval=(told.low, told.high),
        evidence=evidence,
        fits=(record,),
    )


def _dominating(hoped: float, context: Context) -> Mapping[str, float] | None:
    """A member of the front that dominates the network even if its metric reaches ``hoped``, or None.

    An objective that is neither the metric nor known before training could still turn out as good as any,
    so that nothing is beaten where there is one.
    """
    known = dict(context.fixed) | {context.metric: hoped}
    if context.metric == "accuracy_percent":
        known["error_percent"] = 100.0 - hoped
    for point in context.front.points:
        if not point or any(name not in known for name in point):
            continue
        signs = {name: -_sign(name, context) for name in point}
        its, mine = ([signs[name] * values[name] for name in signs] for values in (point, known))
        if dominates(its, mine):
            return point
    return None


def _sign(name: str, context: Context) -> float:
    monitored = "maximise" if context.direction == "max" else "minimise"
    default = monitored if name == context.metric else "minimise"
    return 1.0 if context.front.objectives.get(name, default) == "maximise" else -1.0


def _record(told: Prediction, microseconds: float) -> FitRecord:
    return FitRecord(
        function=told.function,
        expression=expression(told),
        parameters={name: float(v) for name, v in told.evidence.items() if isinstance(v, int | float)},
        predicted=told.value,
        low=told.low,
        high=told.high,
        residual=None,
        status=told.status,
        microseconds=microseconds,
    )
