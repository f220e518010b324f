"""PENGUIN for Ray Tune: ``RunConfig(stop=PenguinStopper("accuracy", horizon=25))``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Unpack

from a4nn_core.adapters.watch import Watch, WatchSettings, missing
from a4nn_core.errors import BadInput
from a4nn_core.vocabulary import Action, Bounds, Direction

try:
    from ray.tune import Stopper
except ImportError:
    raise missing(__name__, "Ray Tune", "ray") from None


class PenguinStopper(Stopper):
    """End a trial when it cannot reach the best value of the other trials, or when it has little to gain.

    Args:
        metric: name of the metric that trials report.
        horizon: how many results a trial reports when it is not ended early.
        bounds: the least and greatest value the metric can take, None where open.
        settings: further arguments of Watch: ``rule``, ``direction``, ``schedule``, ...

    Raises:
        BadInput: a wrong setting.
    """

    def __init__(
        self, metric: str, horizon: int, bounds: Bounds = (0.0, 100.0), **settings: Unpack[WatchSettings]
    ) -> None:
        self.metric = metric
        self.horizon = horizon
        self.bounds = bounds
        self.settings = settings
        self.curves: dict[str, list[float]] = {}
        self.reasons: dict[str, str] = {}
        up = self._watch([], None).direction is Direction.maximise
        self._best = max if up else min

    def __call__(self, trial_id: str, result: Mapping[str, float]) -> bool:
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
        incumbent = self._best(others) if others else None
        verdict = self._watch(curve, incumbent).verdict()
        if verdict.action is not Action.stop:
            return False
        self.reasons[trial_id] = verdict.reason
        return True

    def _watch(self, curve: list[float], incumbent: float | None) -> Watch:
        settings: WatchSettings = {**self.settings, "incumbent": incumbent}
        return Watch(self.horizon, metric=self.metric, bounds=self.bounds, curve=curve, **settings)

    def stop_all(self) -> bool:
        """Never: other trials may still be better."""
        return False
