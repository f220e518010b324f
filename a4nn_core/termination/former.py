"""Settings of earlier versions, translated to today's rules.

The former rule ``penguin`` was two rules: with ``engine = "icpp23"``, its default, it is now ``converged``,
and with ``engine = "a4nn"`` it is ``interval``. Experiments recorded then have every setting of both.
"""

from __future__ import annotations

from collections.abc import Mapping

_DEFAULTS: dict[str, object] = {
    "gain": 0.0,
    "function": "default",
    "window": 3,
    "tolerance": 0.5,
    "minimum": 4,
    "bounds": [0.0, 100.0],
    "solver": "lm",
}
_OF_INTERVAL = ("gain", "minimum")


def penguin(settings: Mapping[str, object]) -> dict[str, object]:
    """The settings of today's rule.

    A setting that the engine did not use was recorded with its default, and is left out; with another value
    it was refused, and is kept, so that today's rule refuses it. The default bounds are those of the metric.
    """
    given = {key: list(v) if isinstance(v, tuple) else v for key, v in settings.items() if key != "name"}
    engine = given.pop("engine", "icpp23")
    if engine == "a4nn":
        unused = [key for key in _DEFAULTS if key not in _OF_INTERVAL]
        kept = {key: v for key, v in given.items() if key not in unused or v != _DEFAULTS[key]}
        return {"name": "interval", "engine": engine, **kept}
    unused = [key for key in ("gain", "bounds") if given.get(key) == _DEFAULTS[key]]
    then = {key: v for key, v in _DEFAULTS.items() if key not in ("gain", "bounds")}
    now = {**then, **{key: v for key, v in given.items() if key not in unused}}
    return {"name": "converged", "engine": engine, "fitter": now.pop("solver"), **now}
