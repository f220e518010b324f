"""Training ends when the interval of the predicted final value shows that further training is no use.

The score of a network is the best value that was measured, so that ending it early costs the improvement it
would still have made. Two cases cost nothing if the interval is right (a value above its upper end is
expected once in twenty):

- *dominated*: even at the optimistic end of its interval the network would be dominated by a member of the
  front;
- *no gain*: the optimistic end lies no more than ``gain`` beyond the best value so far.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Annotated, Literal

from pydantic import Field, field_validator

from a4nn_core.component import Unit
from a4nn_core.errors import BadInput
from a4nn_core.metrics import dominates
from a4nn_core.penguin.engines import ENGINES
from a4nn_core.termination.base import Context, Evidence, FitRecord, TerminationRule, Verdict
from a4nn_core.termination.engine import engine_for
from a4nn_core.termination.reasons import Reason
from a4nn_core.vocabulary import Action, Direction


class Interval(TerminationRule):
    """Stop when the front is out of reach of the prediction's interval, or too little is left to gain."""

    name: Literal["interval"] = "interval"
    engine: str = "a4nn"
    """The prediction engine, one that returns intervals."""
    gain: Annotated[float, Unit("the metric's")] = Field(0.0, ge=0)
    """A network stops when it can improve on its best value by no more than this."""
    minimum: Annotated[int, Unit("epochs")] = Field(4, ge=1)
    """Fewest epochs before the first prediction."""

    @field_validator("engine")
    @classmethod
    def _gives_intervals(cls, name: str) -> str:
        try:
            able = ENGINES.component(name).gives_intervals
        except BadInput as error:
            raise ValueError(str(error)) from None
        if not able:
            raise ValueError(f"the engine {name!r} returns no intervals; use the rule 'converged' with it")
        return name

    def judge(self, curve: Sequence[float], context: Context) -> Verdict:
        """See TerminationRule.

        Raises:
            BadInput: the bounds are empty, or the schedule or the kind of curves is unknown.
        """
        started = time.perf_counter()
        engine = engine_for(context, self.engine)
        if len(curve) < self.minimum:
            return Verdict(Action.proceed)
        prediction = engine.predict(curve, context.horizon)
        fits = (FitRecord.of(prediction, 1e6 * (time.perf_counter() - started)),)
        if prediction.value is None or prediction.interval is None:
            status: Evidence = {"status": prediction.status}
            return Verdict(Action.proceed, predicted=prediction.value, evidence=status, fits=fits)
        low, high = prediction.interval
        best, optimistic = (max(curve), high) if _upwards(context) else (min(curve), low)
        evidence: dict[str, float] = {"best": float(best), "optimistic": optimistic}
        reason: Reason | None = None
        winner = _dominating(optimistic, context)
        if winner is not None:
            reason = Reason.dominated
            evidence |= {f"front_{name}": float(value) for name, value in winner.items()}
        elif (optimistic - best if _upwards(context) else best - optimistic) <= self.gain:
            reason = Reason.no_gain
        return Verdict(
            Action.stop if reason else Action.proceed,
            reason or "",
            predicted=prediction.value,
            interval=prediction.interval,
            evidence=evidence,
            fits=fits,
        )


def _upwards(context: Context) -> bool:
    return context.direction is Direction.maximise


def _dominating(optimistic: float, context: Context) -> Mapping[str, float] | None:
    """A member of the front that dominates the network even if its metric reaches ``optimistic``, or None.

    An objective that is neither the metric nor known before training could still take any value, so with such
    an objective no network is dominated.
    """
    known = dict(context.fixed) | {context.metric: optimistic}
    if context.metric == "accuracy_percent":
        known["error_percent"] = 100.0 - optimistic
    for point in context.front.points:
        if not point or any(name not in known for name in point):
            continue
        signs = {name: _direction(name, context).sign for name in point}
        its, mine = ([signs[name] * values[name] for name in signs] for values in (point, known))
        if dominates(its, mine):
            return point
    return None


def _direction(name: str, context: Context) -> Direction:
    default = context.direction if name == context.metric else Direction.minimise
    return Direction(context.front.objectives.get(name, default))
