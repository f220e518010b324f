"""PENGUIN for Optuna.

One objective: ``create_study(direction="maximize", pruner=PenguinPruner(horizon=25))`` prunes trials that
cannot become the best one. Several objectives: Optuna itself cannot prune there (``Trial.report`` raises), so
the objective function gets a verdict after each epoch from ``watch_trial``, against the study's Pareto front.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Unpack

from a4nn_core.adapters.watch import Watch, WatchSettings, missing
from a4nn_core.errors import BadInput
from a4nn_core.termination.reasons import Reason
from a4nn_core.vocabulary import Bounds, Direction, Schedule

try:
    from optuna.pruners import BasePruner
    from optuna.study import StudyDirection
    from optuna.trial import TrialState
except ImportError:
    raise missing(__name__, "Optuna", "optuna") from None

if TYPE_CHECKING:
    from optuna import Study, Trial
    from optuna.trial import FrozenTrial


class PenguinPruner(BasePruner):
    """Prune a trial when the better end of its prediction interval is worse than the best finished trial.

    A trial that only has little left to gain is not pruned, as it may be the best one.

    Args:
        horizon: how many values a trial reports when it is not pruned.
        bounds: the least and greatest value that is reported, None where open.
        schedule: what is known of the learning rate, see Watch.
        minimum: fewest values before a trial can be pruned.

    Raises:
        BadInput: a wrong setting.
    """

    def __init__(
        self, horizon: int, bounds: Bounds = (0.0, 100.0), schedule: Schedule | None = None, minimum: int = 4
    ) -> None:
        self.horizon = horizon
        self.bounds = bounds
        self.schedule: Schedule | None = schedule
        self.rule: dict[str, object] = {"name": "interval", "minimum": minimum}
        Watch(horizon, self.rule, bounds=bounds, schedule=schedule)

    def prune(self, study: Study, trial: FrozenTrial) -> bool:
        """Whether the trial should end, by the values it reported so far, in the order of their steps."""
        direction = _direction(study.direction)
        done = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
        values = [t.value for t in done if t.value is not None]
        if not values:
            return False
        verdict = Watch(
            self.horizon,
            self.rule,
            metric="value",
            bounds=self.bounds,
            direction=direction,
            schedule=self.schedule,
            incumbent=max(values) if direction is Direction.maximise else min(values),
            curve=[value for _, value in sorted(trial.intermediate_values.items())],
        ).verdict()
        return verdict.reason == Reason.dominated


def watch_trial(
    trial: Trial,
    horizon: int,
    objective: int = 0,
    known: Mapping[int, float] | None = None,
    bounds: Bounds = (0.0, 100.0),
    **settings: Unpack[WatchSettings],
) -> Watch:
    """A watch over a trial of a study with any number of objectives, against its current Pareto front.

        watch = watch_trial(trial, horizon=25, known={1: cost})
        for epoch in range(25):
            ...
            if watch(accuracy).action == "stop":
                break
        return max(watch.curve), cost

    Args:
        trial: the running trial.
        horizon: the last epoch of the budget, counted from 1.
        objective: index, from 0, of the objective that is measured after every epoch.
        known: index of an objective to its value, for those known before training. If one is neither
            measured nor known, no trial counts as dominated.
        bounds: the least and greatest value of the measured objective, None where open.
        settings: further arguments of Watch: ``rule``, ``schedule``, ``curves``.

    Raises:
        BadInput: the study has no such objective, or a wrong setting.
    """
    directions = trial.study.directions
    for number in (objective, *(known or {})):
        if not 0 <= number < len(directions):
            raise BadInput(f"the study has {len(directions)} objectives, and no objective {number} (from 0)")
    names = [str(number) for number in range(len(directions))]
    given: WatchSettings = {
        **settings,
        "direction": _direction(directions[objective]),
        "front": [dict(zip(names, t.values, strict=True)) for t in trial.study.best_trials],
        "objectives": {name: _direction(d) for name, d in zip(names, directions, strict=True)},
        "fixed": {str(number): value for number, value in (known or {}).items()},
    }
    return Watch(horizon, metric=str(objective), bounds=bounds, **given)


def _direction(of_optuna: StudyDirection) -> Direction:
    return Direction.maximise if of_optuna == StudyDirection.MAXIMIZE else Direction.minimise
