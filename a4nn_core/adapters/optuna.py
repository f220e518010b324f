"""PENGUIN for Optuna.

One objective: ``create_study(direction="maximize", pruner=PenguinPruner(horizon=25))`` prunes trials that
cannot become the best one, each by its own curve. ``PeerPruner`` judges by a rule that compares trials with
each other, by default ``front``.

Several objectives: Optuna itself cannot prune there (``Trial.report`` raises), so the objective function gets
verdicts from ``watch_trial`` or ``PeerPruner.report`` after each epoch.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Unpack

from a4nn_core.adapters.peers import Peers, features_of
from a4nn_core.adapters.watch import Rule, Watch, WatchSettings, missing
from a4nn_core.errors import BadInput
from a4nn_core.termination.base import Verdict
from a4nn_core.termination.reasons import Reason
from a4nn_core.vocabulary import Action, Bounds, Curves, Direction, Schedule

try:
    from optuna.pruners import BasePruner
    from optuna.study import StudyDirection
    from optuna.trial import TrialState
except ImportError:
    raise missing(__name__, "Optuna", "optuna") from None

if TYPE_CHECKING:
    from optuna import Study, Trial
    from optuna.trial import FrozenTrial

FEATURES = "a4nn_features"
"""User attribute of a trial: its features, name to number."""
COSTS = "a4nn_costs"
"""User attribute of a trial: what is known before training and should be small, name to number."""
VALIDATION = "a4nn_validation"
"""User attribute of a trial: the measured objective after each epoch, where Optuna takes no reports."""
TRAINING = "a4nn_training"
"""User attribute of a trial: the same on training data."""

Described = Callable[["FrozenTrial"], Mapping[str, float]]
"""What is known of a trial before it is trained, name to number."""


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
        best = max if direction is Direction.maximise else min
        verdict = Watch(
            self.horizon,
            self.rule,
            metric="value",
            bounds=self.bounds,
            direction=direction,
            schedule=self.schedule,
            incumbent=best(values, default=None),
            curve=[value for _, value in sorted(trial.intermediate_values.items())],
        ).verdict()
        return verdict.reason == Reason.dominated


class PeerPruner(BasePruner):
    """Prune trials by a rule that compares them with each other.

    Optuna cannot pause a trial and go on with it later, so a pause, too, ends the trial: a verdict is asked
    for as if it was the last one, and what a trial lacked when it was judged, it lacks for good. In return,
    trials are judged by all that is known by then, and ``startup`` trials are trained to the end first.

    Args:
        horizon: how many values a trial reports when it is not pruned.
        rule: name or settings of a termination rule that compares networks.
        features: numbers that describe a trial, from which ``front`` learns; by default the mapping in its
            user attribute ``a4nn_features``, and without one its parameters (``parameter_features``).
        costs: what is known of a trial before training and should be small, such as its multiply-adds, the
            same names for all trials; by default the mapping in its user attribute ``a4nn_costs``, if any.
        startup: fewest trials that must have been trained to the end before a trial is pruned.
        prior: earlier studies, from which ``front`` learns, with the same features.
        objective: index, from 0, of the objective that is measured after every epoch.
        bounds: the least and greatest value that is reported.
        images: number of validation images; None if not known.
        curves: what is measured after an epoch, see Watch.

    Raises:
        BadInput: a wrong setting, or a prior without finished trials.
    """

    def __init__(
        self,
        horizon: int,
        rule: Rule = "front",
        *,
        features: Described | None = None,
        costs: Described | None = None,
        startup: int = 5,
        prior: Sequence[Study] = (),
        objective: int = 0,
        bounds: tuple[float, float] = (0.0, 100.0),
        images: int | None = None,
        curves: Curves = "as-trained",
    ) -> None:
        if startup < 0:
            raise BadInput(f"startup = {startup} is below 0: it is a number of trials")
        self.horizon, self.rule, self.startup = horizon, rule, startup
        self.features, self.costs = features, costs
        self.objective, self.bounds, self.images, self.curves = objective, bounds, images, curves
        Peers(horizon, rule, bounds, images=images, curves=curves)
        self._earlier = tuple(self._earlier_study(study) for study in prior)

    def prune(self, study: Study, trial: FrozenTrial) -> bool:
        """Whether the trial should end, by the values it reported so far, in the order of their steps.

        Raises:
            BadInput: a value out of bounds, trials that do not have the same costs, or a prior that has no
                feature of this trial.
        """
        return self._verdict(study, trial).action is not Action.proceed

    def report(self, trial: Trial, validation: float, training: float | None = None) -> Verdict:
        """Report an epoch of a running trial in a study with any number of objectives.

        It does what ``Trial.report`` does, or where that is not possible keeps the value in a user attribute;
        training accuracies are always kept in one.

            verdict = pruner.report(trial, accuracy, training_accuracy)
            if verdict.action != "continue":
                break  # with several objectives; with one, raise optuna.TrialPruned

        Args:
            trial: the running trial.
            validation: value of the measured objective after the epoch.
            training: the same on training data, if it is known.

        Returns:
            the verdict; its reason and evidence say why.

        Raises:
            BadInput: see ``prune``.
        """
        frozen = self._frozen(trial)
        epoch = len(_curve(frozen)) + 1
        if len(trial.study.directions) == 1:
            trial.report(validation, epoch)
        else:
            trial.set_user_attr(VALIDATION, [*_curve(frozen), float(validation)])
        if training is not None:
            trial.set_user_attr(TRAINING, [*frozen.user_attrs.get(TRAINING, ()), float(training)])
        return self._verdict(trial.study, self._frozen(trial))

    def _frozen(self, trial: Trial) -> FrozenTrial:
        return trial.study.get_trials(deepcopy=False)[trial.number]

    def _verdict(self, study: Study, trial: FrozenTrial) -> Verdict:
        if not _curve(trial):
            return Verdict(Action.proceed)
        peers = self._peers(study, self.horizon, self._earlier, trial)
        done = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
        if sum(len(_curve(other)) >= self.horizon for other in done) < self.startup:
            return Verdict(Action.proceed)
        return peers.verdict(_name(trial))

    def _peers(
        self, study: Study, horizon: int, earlier: Sequence[Peers] = (), judged: FrozenTrial | None = None
    ) -> Peers:
        """The trials of a study that have reported values, those that failed left out."""
        if not 0 <= self.objective < len(study.directions):
            count = len(study.directions)
            raise BadInput(f"the study has {count} objectives, and no objective {self.objective} (from 0)")
        direction = _direction(study.directions[self.objective])
        peers = Peers(horizon, self.rule, self.bounds, direction, self.images, self.curves, earlier)
        states = (TrialState.COMPLETE, TrialState.PRUNED, TrialState.RUNNING)
        trials = {trial.number: trial for trial in study.get_trials(deepcopy=False, states=states)}
        if judged is not None:
            trials[judged.number] = judged
        for trial in trials.values():
            if curve := _curve(trial):
                training = trial.user_attrs.get(TRAINING, ())
                training = training if len(training) == len(curve) else ()
                peers.add(_name(trial), self._features(trial), self._costs(trial), curve, training)
        return peers

    def _earlier_study(self, study: Study) -> Peers:
        done = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
        horizon = max((len(_curve(trial)) for trial in done), default=0)
        if not horizon:
            raise BadInput(f"the prior study {study.study_name!r} has no finished trial that reported values")
        return self._peers(study, horizon)

    def _features(self, trial: FrozenTrial) -> Mapping[str, float]:
        if self.features is not None:
            return self.features(trial)
        return _given(trial, FEATURES) or parameter_features(trial)

    def _costs(self, trial: FrozenTrial) -> Mapping[str, float]:
        return self.costs(trial) if self.costs is not None else _given(trial, COSTS)


def parameter_features(trial: FrozenTrial) -> dict[str, float]:
    """A trial's parameters as features: numbers as they are, their logarithm where they were suggested on a
    logarithmic scale, and categories as one-hot.

    Args:
        trial: a trial.
    """
    scaled = {
        name: math.log(value) if getattr(trial.distributions[name], "log", False) else value
        for name, value in trial.params.items()
    }
    return features_of(scaled)


def _given(trial: FrozenTrial, attribute: str) -> Mapping[str, float]:
    given = trial.user_attrs.get(attribute, {})
    if not isinstance(given, Mapping):
        raise BadInput(f"{_name(trial)}: {attribute} = {given!r} is not a mapping of names to numbers")
    return given


def _name(trial: FrozenTrial) -> str:
    return f"trial {trial.number}"


def _curve(trial: FrozenTrial) -> list[float]:
    """What was reported, in the order of the steps."""
    reported = [value for _, value in sorted(trial.intermediate_values.items())]
    return reported or list(trial.user_attrs.get(VALIDATION, ()))


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
