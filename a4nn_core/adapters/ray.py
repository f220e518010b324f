"""PENGUIN for Ray Tune.

``RunConfig(stop=PenguinStopper("accuracy", horizon=25))`` ends trials, each by its own curve;
``TuneConfig(scheduler=PeerScheduler("accuracy", horizon=25))`` compares them, and pauses and promotes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Unpack

from a4nn_core.adapters.peers import Peers, features_of
from a4nn_core.adapters.watch import Rule, Watch, WatchSettings, missing, read_direction
from a4nn_core.errors import BadInput
from a4nn_core.vocabulary import Action, Bounds, Curves, Direction

try:
    from ray.tune import Stopper
    from ray.tune.experiment import Trial
    from ray.tune.schedulers import TrialScheduler
except ImportError:
    raise missing(__name__, "Ray Tune", "ray") from None

if TYPE_CHECKING:
    from ray.tune.execution.tune_controller import TuneController

Described = Callable[[Mapping[str, object]], Mapping[str, float]]
"""What is known of a trial before it is trained, name to number, made of its ``config``."""


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


class PeerScheduler(TrialScheduler):
    """Pause and promote by a rule that compares trials.

    A trial is paused when it is due to be judged. When no trial is under way, all that wait are judged, and
    those that the rule promotes go on from their checkpoints; when it promotes none and there are no more
    trials to come, the rest is ended. A trial has to report a checkpoint with every result. Ray Tune does not
    keep what a scheduler knows, so a tuning under it cannot be resumed by ``Tuner.restore``.

    Args:
        metric: name of the metric that trials report.
        horizon: how many results a trial reports when it is trained to the end.
        rule: name or settings of a termination rule that compares networks.
        training_metric: name of the same metric on training data, if trials report it.
        features: numbers that describe a trial, made of its ``config``; by default its numbers and, as
            one-hot, its other values (``features_of``).
        costs: what is known of a trial before training and should be small, made of its ``config``.
        bounds: the least and greatest value the metric can take.
        direction: whether greater or smaller values are better, see Watch.
        images: number of validation images; None if not known.
        curves: what is measured after an epoch, see Watch.

    Attributes:
        peers: the trials, by their ids.

    Raises:
        BadInput: a wrong setting.
    """

    _supports_buffered_results = False

    def __init__(
        self,
        metric: str,
        horizon: int,
        rule: Rule = "front",
        *,
        training_metric: str | None = None,
        features: Described = features_of,
        costs: Described | None = None,
        bounds: tuple[float, float] = (0.0, 100.0),
        direction: Direction | str = Direction.maximise,
        images: int | None = None,
        curves: Curves = "as-trained",
    ) -> None:
        super().__init__()
        self._metric = metric
        self.training_metric = training_metric
        self.features, self.costs = features, costs
        self.peers = Peers(horizon, rule, bounds, direction, images, curves)

    def set_search_properties(self, metric: str | None, mode: str | None, **spec: object) -> bool:  # noqa: ARG002
        """See TrialScheduler: whether TuneConfig names no other metric or mode than this scheduler has."""
        same_mode = mode is None or read_direction(mode, "mode") is self.peers.direction
        return metric in (None, self._metric) and same_mode

    def on_trial_add(self, tune_controller: TuneController, trial: Trial) -> None:  # noqa: ARG002
        """See TrialScheduler.

        Raises:
            BadInput: its features or costs are not numbers, or its costs not those of the other trials.
        """
        if trial.trial_id in self.peers:
            self.peers.resume(trial.trial_id)  # Ray Tune retries a trial that failed
        else:
            costs = self.costs(trial.config) if self.costs else {}
            self.peers.add(trial.trial_id, self.features(trial.config), costs)

    def on_trial_result(
        self, tune_controller: TuneController, trial: Trial, result: Mapping[str, float]
    ) -> str:
        """See TrialScheduler.

        Raises:
            BadInput: the result lacks the metric, or see ``Peers.report``.
        """
        name, peers = trial.trial_id, self.peers
        values = []
        for metric in filter(None, (self._metric, self.training_metric)):
            if metric not in result:
                raise BadInput(f"PeerScheduler: trial {name} reported no {metric!r}")
            values.append(float(result[metric]))
        peers.report(name, int(result["training_iteration"]), *values)
        decision: str = self.PAUSE
        if peers.epochs(name) >= peers.horizon:
            decision = self.STOP
        elif name in peers.next(final=tune_controller.search_alg.is_finished()):
            decision = self.CONTINUE
        elif peers.has_ended(name):
            decision = self.STOP
        return decision

    def on_trial_complete(
        self,
        tune_controller: TuneController,  # noqa: ARG002
        trial: Trial,
        result: Mapping[str, float],  # noqa: ARG002
    ) -> None:
        """See TrialScheduler."""
        self.peers.end(trial.trial_id)

    def on_trial_error(self, tune_controller: TuneController, trial: Trial) -> None:  # noqa: ARG002
        """See TrialScheduler."""
        self.peers.end(trial.trial_id)

    def on_trial_remove(self, tune_controller: TuneController, trial: Trial) -> None:  # noqa: ARG002
        """See TrialScheduler."""
        self.peers.end(trial.trial_id)

    def choose_trial_to_run(self, tune_controller: TuneController) -> Trial | None:
        """See TrialScheduler. When nothing is left to be promoted, the trials that wait are ended: Ray Tune
        has asked for new trials before, so none are to come, or none before these have ended."""
        trials = tune_controller.get_trials()
        for trial in trials:
            if trial.status == Trial.PENDING:
                return trial
        if any(trial.status == Trial.RUNNING for trial in trials):
            names = self.peers.under_way()
        else:
            names = self.peers.next(final=True)
        paused = [trial for trial in trials if trial.status == Trial.PAUSED]
        for trial in paused:
            if trial.trial_id in names:
                return trial
        if not any(trial.status == Trial.RUNNING for trial in trials):
            for trial in paused:
                tune_controller.stop_trial(trial)
        return None

    def debug_string(self) -> str:
        """See TrialScheduler."""
        return f"PeerScheduler: {len(self.peers.under_way())} trials are under way"
