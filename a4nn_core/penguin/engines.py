"""All prediction engines by name.

``a4nn`` is this project's; ``icpp23`` and ``tpds22`` are the published ones, for comparison and reproduction.
A name with its settings means the same numbers in a termination rule, in ``a4nn predict`` and in an adapter.
"""

from __future__ import annotations

from collections.abc import Mapping

from a4nn_core.component import Registry
from a4nn_core.penguin.base import PredictionEngine

ENGINES: Registry[PredictionEngine] = Registry(
    "prediction engine",
    "a4nn.engines",
    {
        "a4nn": "a4nn_core.penguin.engine_a4nn:A4nnEngine",
        "icpp23": "a4nn_core.penguin.engine_icpp23:Icpp23Engine",
        "tpds22": "a4nn_core.penguin.engine_tpds22:Tpds22Engine",
    },
)


def make_engine(
    name: str, *, known: Mapping[str, object] | None = None, **settings: object
) -> PredictionEngine:
    """An engine by name.

    >>> make_engine("icpp23", function="pow3", fitter="scipy").name
    'icpp23'

    Args:
        name: one of ``ENGINES.names()``.
        known: what is known of the curves (``bounds``, ``direction``, ``schedule``, ``curves``). An engine is
            given what it has a setting for.
        settings: fields of the engine; one that is None is left at the engine's default.

    Raises:
        BadInput: no such engine, a setting that it does not have, or a bad value.
    """
    fields = ENGINES.component(name).model_fields
    given = {key: value for key, value in (known or {}).items() if key in fields}
    given |= {key: value for key, value in settings.items() if value is not None}
    return ENGINES.make({**given, "name": name}, f"engine {name!r}")
