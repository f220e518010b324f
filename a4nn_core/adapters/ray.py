"""PENGUIN for Ray Tune: ``RunConfig(stop=PenguinStopper("accuracy", horizon=25))``."""

from __future__ import annotations

from typing import Any

from a4nn_core.adapters.watch import Watch, missing
from a4nn_core.errors import BadInput

try:
    from ray.tune import Stopper
except ImportError:
    raise missing(__name__, "Ray Tune", "ray") from None


class PenguinStopper(Stopper):
    """End a trial when the best value of the other trials is out of its reach, or when it has little to gain.

    Args:
        metric: name of what trials report.
        horizon: how often a trial reports when it is not ended.
        settings: more of Watch's: ``rule``, ``bounds``, ``direction``, ``schedule``, ...

    Raises:
        BadInput: a wrong setting.
    """

    def __init__(self, metric: str, horizon: int, **settings: Any) -> None:
        self.metric = metric
        self.horizon = horizon
        self.settings = settings
        self.curves: dict[str, list[float]] = {}
        self.reasons: dict[str, str] = {}
        self._best = max if Watch(horizon, metric=metric, **settings).direction == "max" else min

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        """Whether the trial should end after this result.

        Raises:
            BadInput: the result lacks the metric.
        """
        if self.metric not in result:
            raise BadInput(f"PenguinStopper: trial {trial_id} reported no {self.metric!r}")
        curve = self.curves.setdefault(trial_id, [])
        # a trial that went back to a checkpoint reports an iteration again
        del curve[int(result.get("training_iteration", len(curve) + 1)) - 1 :]
        curve.append(float(result[self.metric]))
        others = [value for name, c in self.curves.items() if name != trial_id for value in c]
        beat = self._best(others) if others else None
        watch = Watch(self.horizon, metric=self.metric, beat=beat, curve=curve, **self.settings)
        verdict = watch.verdict()
        if verdict.action != "stop":
            return False
        self.reasons[trial_id] = verdict.reason
        return True

    def stop_all(self) -> bool:
        """Never: other trials may still be better."""
        return False
