"""Training ends when the newest predictions of the final value agree with each other.

This is the published criterion of PENGUIN (ICPP 2023, doi 10.1145/3605573.3605636; code
TauferLab/A4NN_workflow, ``penguin/penguino.py``): after every epoch a parametric function is fitted to the
whole curve and extrapolated to the horizon; when the last three predictions lie within 0.5 of their median
and within the metric's bounds, training stops.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from a4nn_core.component import Unit
from a4nn_core.errors import BadInput
from a4nn_core.penguin.base import PredictionEngine
from a4nn_core.penguin.engine_icpp23 import Fitter
from a4nn_core.penguin.engines import ENGINES
from a4nn_core.penguin.functions import FunctionName
from a4nn_core.termination.base import Context, FitRecord, TerminationRule, Verdict
from a4nn_core.termination.engine import engine_for
from a4nn_core.termination.reasons import Reason
from a4nn_core.vocabulary import Action

_OF_THE_ENGINE = ("function", "fitter", "minimum")


class Converged(TerminationRule):
    """Stop when the newest predictions agree. The defaults are the published settings."""

    name: Literal["converged"] = "converged"
    engine: str = "icpp23"
    """The prediction engine: ``icpp23``, ``tpds22``, ``a4nn``, or one of another package."""
    function: FunctionName | None = None
    """The parametric function, by its name or published alias, or an expression; the engine's own if not
    given. ``default`` is a - b**(c - x)."""
    fitter: Fitter | None = None
    """Engine icpp23: ``lm`` is the compiled fitter, its default; ``scipy`` the published call of
    ``curve_fit``, some thousand times slower."""
    window: Annotated[int, Unit("predictions")] = Field(3, ge=1)
    """How many of the newest predictions must agree."""
    tolerance: Annotated[float, Unit("the metric's")] = Field(0.5, ge=0)
    """How far a prediction may lie from the median of the window."""
    minimum: Annotated[int | None, Unit("epochs")] = Field(None, ge=1)
    """Fewest epochs before the first prediction; the engine's own if not given."""
    bounds: Annotated[tuple[float, float] | None, Unit("the metric's")] = None
    """Least and greatest prediction that counts; those of the metric if not given."""

    @model_validator(mode="before")
    @classmethod
    def _written_out(cls, settings: object) -> object:
        """With the engine's defaults, so that a record of the rule shows what was done."""
        if not isinstance(settings, Mapping):
            return settings
        name = settings.get("engine", cls.model_fields["engine"].default)
        try:
            fields = ENGINES.component(name).model_fields
        except (BadInput, TypeError):
            return settings  # the validator of the field names it
        defaults = {key: fields[key].default for key in _OF_THE_ENGINE if key in fields}
        return defaults | {key: value for key, value in settings.items() if value is not None}

    @field_validator("engine")
    @classmethod
    def _known(cls, name: str) -> str:
        try:
            ENGINES.component(name)
        except BadInput as error:
            raise ValueError(str(error)) from None
        return name

    @model_validator(mode="after")
    def _fits_the_engine(self) -> Converged:
        try:
            self._engine(Context(horizon=1))
        except BadInput as error:
            raise ValueError(str(error)) from None
        return self

    def _engine(self, context: Context) -> PredictionEngine:
        return engine_for(
            context,
            self.engine,
            function=self.function,
            fitter=self.fitter,
            window=self.window,
            tolerance=self.tolerance,
            minimum=self.minimum,
            bounds=self.bounds,
        )

    def judge(self, curve: Sequence[float], context: Context) -> Verdict:
        """See TerminationRule. The rule has no state: the predictions in the window are computed again.

        As published, an epoch without a prediction in the window means no agreement.
        """
        started = time.perf_counter()
        engine = self._engine(context)
        newest = engine.latest(curve, context.horizon)
        record = FitRecord.of(newest.prediction, 1e6 * (time.perf_counter() - started))
        return Verdict(
            Action.stop if newest.converged else Action.proceed,
            Reason.converged if newest.converged else "",
            predicted=newest.prediction.value,
            interval=newest.prediction.interval,
            evidence={"predictions": list(newest.window), "median": newest.median},
            fits=(record,) if len(curve) >= engine.minimum else (),
        )
