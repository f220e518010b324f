"""PENGUIN for Optuna.

One objective: ``create_study(direction="maximize", pruner=PenguinPruner(horizon=25))`` prunes trials that
cannot become the best one. Several objectives: Optuna itself cannot prune there (``Trial.report`` raises), so
``watch_trial`` gives the objective function a verdict after each epoch, against the study's Pareto front.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

from a4nn_core.adapters.watch import Watch, missing
from a4nn_core.errors import BadInput

try:
    from optuna.pruners import BasePruner
    from optuna.study import StudyDirection
    from optuna.trial import TrialState
except ImportError:
    raise missing(__name__, "Optuna", "optuna") from None

if TYPE_CHECKING:
    from optuna import Study, Trial
    from optuna.trial import FrozenTrial

Schedule = Literal["annealed", "constant"] | None
Bounds = tuple[float | None, float | None]


class PenguinPruner(BasePruner):
    """Prune a trial when the better end of its prediction's interval is worse than the best finished trial.

    A trial that has merely little left to gain is not pruned, as it may be the best one.

    Args:
        horizon: how many values a trial reports when it is not pruned.
        bounds: the least and greatest value that is reported, None where open.
        schedule: what is known of the learning rate, see Watch.
        minimum: fewest values before a trial can be pruned.

    Raises:
        BadInput: a wrong setting.
    """

    def __init__(
        self, horizon: int, bounds: Bounds = (0.0, 100.0), schedule: Schedule = None, minimum: int = 4
    ) -> None:
        self.horizon = horizon
        self.bounds = bounds
        self.schedule: Schedule = schedule
        self.rule = {"name": "penguin", "engine": "a4nn", "minimum": minimum}
        Watch(horizon, self.rule, bounds=bounds, schedule=schedule)

    def prune(self, study: Study, trial: FrozenTrial) -> bool:
        """Whether the trial should end, by the values it reported so far, in the order of their steps."""
        up = study.direction == StudyDirection.MAXIMIZE
        done = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
        values = [t.value for t in done if t.value is not None]
        if not values:
            return False
        verdict = Watch(
            self.horizon,
            self.rule,
            metric="value",
            bounds=self.bounds,
            direction="max" if up else "min",
            schedule=self.schedule,
            beat=max(values) if up else min(values),
            curve=[value for _, value in sorted(trial.intermediate_values.items())],
        ).verdict()
        return verdict.reason == "beaten"


def watch_trial(
    trial: Trial,
    horizon: int,
    objective: int = 0,
    known: Mapping[int, float] | None = None,
    **settings: Any,
) -> Watch:
    """A watch over a trial of a study with any number of objectives, against its Pareto front of this moment.

        watch = watch_trial(trial, horizon=25, known={1: cost})
        for epoch in range(25):
            ...
            if watch(accuracy).action == "stop":
                break
        return max(watch.curve), cost

    Args:
        trial: that runs.
        horizon: the last epoch of the budget, counted from 1.
        objective: number of the objective that is measured after every epoch.
        known: number of an objective to its value, for those known before training. Where one is neither
            measured nor known, no trial is taken for beaten.
        settings: more of Watch's: ``rule``, ``bounds``, ``schedule``.

    Raises:
        BadInput: the study has no such objective, or a wrong setting.
    """
    directions = trial.study.directions
    for number in (objective, *(known or {})):
        if not 0 <= number < len(directions):
            raise BadInput(f"the study has {len(directions)} objectives, and no objective {number} (from 0)")
    up = [direction == StudyDirection.MAXIMIZE for direction in directions]
    return Watch(
        horizon,
        metric=str(objective),
        direction="max" if up[objective] else "min",
        front=[dict(zip(map(str, range(len(up))), t.values, strict=True)) for t in trial.study.best_trials],
        objectives={str(i): "maximise" if way else "minimise" for i, way in enumerate(up)},
        fixed={str(number): value for number, value in (known or {}).items()},
        **settings,
    )
