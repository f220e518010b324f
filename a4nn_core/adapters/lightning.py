"""PENGUIN for Lightning: callbacks that end training.

``Trainer(callbacks=[PenguinStopping("val_acc")])`` judges one network by its curve; ``PeerStopping`` is for
several that are compared with each other.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Unpack

from a4nn_core.adapters.peers import Peers
from a4nn_core.adapters.watch import Watch, WatchSettings, missing
from a4nn_core.errors import BadInput
from a4nn_core.termination.base import Verdict
from a4nn_core.vocabulary import Action, Bounds

try:
    from lightning.pytorch import Callback
    from lightning.pytorch.trainer.states import TrainerFn
except ImportError:
    raise missing(__name__, "Lightning", "lightning") from None

if TYPE_CHECKING:
    from lightning.pytorch import LightningModule, Trainer


class PenguinStopping(Callback):
    """End training early by the curve of a logged metric: one value per epoch, the last that was logged.

    The curve is part of Lightning's checkpoints, so that a resumed training is judged by its whole curve.

    Args:
        monitor: name of the metric, as logged in validation.
        bounds: the least and greatest value it can take; torchmetrics are shares, (0, 1).
        horizon: number of validations in the whole budget; by default from the trainer's ``max_epochs``.
        settings: further arguments of Watch: ``rule``, ``direction``, ``schedule``, ``incumbent``, ...

    Attributes:
        verdict: the newest one, with prediction and interval; None before the first validation.
    """

    def __init__(
        self,
        monitor: str,
        bounds: Bounds = (0.0, 1.0),
        horizon: int | None = None,
        **settings: Unpack[WatchSettings],
    ) -> None:
        super().__init__()
        self.monitor = monitor
        self.horizon = horizon
        self.bounds = bounds
        self.settings = settings
        self.values: dict[int, float] = {}
        self.verdict: Verdict | None = None
        self._watch(horizon or 1)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:  # noqa: ARG002
        """See lightning.pytorch.Callback.

        Raises:
            BadInput: the metric was not logged, or neither the trainer nor the caller gave a budget.
        """
        if trainer.sanity_checking or trainer.state.fn != TrainerFn.FITTING:
            return
        self.values[trainer.current_epoch] = _logged(trainer, self.monitor, "PenguinStopping")
        curve = [value for _, value in sorted(self.values.items())]
        self.verdict = self._watch(self._last(trainer), curve).verdict()
        _end(trainer, self.verdict.action is Action.stop)

    def _watch(self, horizon: int, curve: Sequence[float] = ()) -> Watch:
        return Watch(horizon, metric=self.monitor, bounds=self.bounds, curve=list(curve), **self.settings)

    def _last(self, trainer: Trainer) -> int:
        if self.horizon is not None:
            return self.horizon
        if trainer.max_epochs is None or trainer.max_epochs < 1:
            raise BadInput("PenguinStopping needs horizon=...: the trainer has no max_epochs")
        return max(1, int(trainer.max_epochs) // int(trainer.check_val_every_n_epoch or 1))

    def state_dict(self) -> dict[str, dict[int, float]]:
        """See lightning.pytorch.Callback."""
        return {"values": dict(self.values)}

    def load_state_dict(self, state_dict: dict[str, dict[int, float]]) -> None:
        """See lightning.pytorch.Callback."""
        self.values = {int(epoch): float(value) for epoch, value in state_dict["values"].items()}


class PeerStopping(Callback):
    """Train one of several networks until it is due to be compared with the others.

        while names := peers.next():
            for name in names:
                stopping = PeerStopping(peers, name, "val_acc", "train_acc")
                trainer = Trainer(max_epochs=25, callbacks=[stopping])
                trainer.fit(models[name], data, ckpt_path=checkpoints.get(name))
                trainer.save_checkpoint(checkpoints.setdefault(name, f"{name}.ckpt"))

    Its epochs are those in which the trainer validates. What was reported is in ``peers``, not in Lightning's
    checkpoints.

    Args:
        peers: the networks.
        name: of this one.
        monitor: name of the metric, as logged in validation.
        training_monitor: name of the same metric on training data, logged for whole epochs, if it is.

    Raises:
        BadInput: an unknown network.
    """

    def __init__(self, peers: Peers, name: str, monitor: str, training_monitor: str | None = None) -> None:
        super().__init__()
        peers.epochs(name)  # refuses a wrong name now, not after the first epoch
        self.peers, self.name = peers, name
        self.monitor, self.training_monitor = monitor, training_monitor

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:  # noqa: ARG002
        """See lightning.pytorch.Callback. Only here are the metrics of training complete.

        Raises:
            BadInput: a metric was not logged, or see ``Peers.report``.
        """
        epoch, rest = divmod(trainer.current_epoch + 1, trainer.check_val_every_n_epoch or 1)
        if rest:
            return
        names = filter(None, (self.monitor, self.training_monitor))
        values = [_logged(trainer, name, "PeerStopping") for name in names]
        self.peers.report(self.name, epoch, *values)
        _end(trainer, self.name not in self.peers.under_way())


def _logged(trainer: Trainer, metric: str, who: str) -> float:
    if metric not in trainer.callback_metrics:
        known = ", ".join(sorted(trainer.callback_metrics)) or "none"
        raise BadInput(f"{who}: no metric {metric!r} was logged; logged: {known}")
    return float(trainer.callback_metrics[metric])


def _end(trainer: Trainer, stop: bool) -> None:
    """In distributed training all processes must agree."""
    trainer.should_stop |= trainer.strategy.reduce_boolean_decision(stop, all=False)
