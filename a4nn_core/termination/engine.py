"""A prediction engine as rules use it: made for what the context knows of the curve."""

from __future__ import annotations

from functools import lru_cache

from a4nn_core.penguin.base import PredictionEngine
from a4nn_core.penguin.engines import make_engine
from a4nn_core.termination.base import Context


def engine_for(context: Context, name: str, **settings: object) -> PredictionEngine:
    """The engine of that name for curves of the context.

    Args:
        context: gives bounds, direction, and what is known of the learning rate and of the measurement.
        name: of the engine.
        settings: of the engine, which come before what the context knows; None is not set.

    Raises:
        BadInput: no such engine, a setting that it does not have, or a bad value.
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
