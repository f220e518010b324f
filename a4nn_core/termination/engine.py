"""Prediction engines for rules: made from what the context says about the curve."""

from __future__ import annotations

from functools import lru_cache

from a4nn_core.penguin.base import PredictionEngine
from a4nn_core.penguin.engines import make_engine
from a4nn_core.termination.base import Context


def engine_for(context: Context, name: str, **settings: object) -> PredictionEngine:
    """Make the engine of that name for the curves of a context.

    Args:
        context: has bounds, direction, learning-rate schedule and kind of curves.
        name: name of the engine.
        settings: settings of the engine, which override the context; None means not set.

    Raises:
        BadInput: there is no such engine, it does not have a setting, or a value is invalid.
    """
    return _made(
        name,
        (
            ("bounds", tuple(context.bounds)),
            ("direction", context.direction),
            ("schedule", context.schedule),
            ("curves", context.curves),
        ),
        tuple(settings.items()),
    )


@lru_cache(maxsize=64)  # a rule asks for the same one after every epoch, and an engine never changes
def _made(
    name: str, known: tuple[tuple[str, object], ...], settings: tuple[tuple[str, object], ...]
) -> PredictionEngine:
    return make_engine(name, known=dict(known), **dict(settings))
