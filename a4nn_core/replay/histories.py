"""Learning curves of a run, as a commons recorded them: what the laboratory replays."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from a4nn_core.commons.accuracies import require_accuracies
from a4nn_core.commons.reader import Commons
from a4nn_core.commons.records import Epoch, Network, Run
from a4nn_core.errors import BadInput
from a4nn_core.penguin.measure import Accuracy, Measure
from a4nn_core.penguin.observed import Observed, Past
from a4nn_core.precision import Images
from a4nn_core.recorded_graphs import architectures_of
from a4nn_core.spaces.features import architecture_features
from a4nn_core.vocabulary import Curves, NetworkStatus


@dataclass(frozen=True, slots=True)
class History:
    """One network that was trained.

    Attributes:
        network: its number.
        generation: that asked for it, from 0.
        mflops: cost of one image, in millions of multiply-adds.
        accuracy_percent: on the validation images, one value per epoch, from epoch 1.
        training_accuracy_percent: on the training images, likewise; empty if it was not recorded.
        seconds: that each epoch took.
        features: numbers that describe its architecture, by name.
    """

    network: int
    generation: int
    mflops: float
    accuracy_percent: tuple[float, ...]
    training_accuracy_percent: tuple[float, ...]
    seconds: tuple[float, ...]
    features: Mapping[str, float] = field(default_factory=dict)

    def observed(self, epochs: int) -> Observed:
        """What was known of it after so many epochs."""
        return Observed(
            self.features, self.accuracy_percent[:epochs], self.training_accuracy_percent[:epochs]
        )


@dataclass(frozen=True)
class RunHistory:
    """All networks of a run that were trained, in the order in which the search asked for them.

    Attributes:
        run: its id.
        epochs: budget of each network.
        images: that accuracies were measured on.
        networks: in the recorded order.
        modelled_seconds: whether times of epochs were not recorded and are modelled instead: proportional to
            the multiply-adds, one second for the average network.
        curves: which weights were measured after the epochs.
    """

    run: str
    epochs: int
    images: Images
    networks: tuple[History, ...]
    modelled_seconds: bool
    curves: Curves = "as-trained"

    @property
    def cut_short(self) -> History | None:
        """The first network that was not trained to the end, None if all were."""
        return next((one for one in self.networks if len(one.accuracy_percent) < self.epochs), None)

    def check_complete(self) -> None:
        """That every network was trained to the end, so that any rule can be replayed.

        Raises:
            BadInput: one was not.
        """
        one = self.cut_short
        if one is not None:
            raise BadInput(
                f"run {self.run!r} cannot be replayed: network {one.network} has "
                f"{len(one.accuracy_percent)} of {self.epochs} epochs, and only a run in which every network "
                "was trained to the end (termination = none) tells all; only the rule as-recorded takes it"
            )

    @property
    def measure(self) -> Measure:
        """How precisely its curves measure accuracies."""
        return Accuracy.on(self.images.validation)

    @property
    def past(self) -> Past:
        """The run as something to learn from."""
        networks = tuple(one.observed(self.epochs) for one in self.networks)
        return Past(self.run, self.epochs, self.measure, self.curves, networks)


def read_history(
    commons: Commons, run: str, validation_images: int | None = None, *, complete: bool = True
) -> RunHistory:
    """The curves of a run.

    Networks that were never trained, as they are equal to others or outside the bounds, are left out.

    Args:
        commons: where it is.
        run: its id.
        validation_images: that accuracies were measured on, where the run did not record it.
        complete: refuse a run in which a network was not trained to the end.

    Raises:
        BadInput: the run has no network, one was not trained to the end or has gaps, or its cost is unknown;
            or its networks restore images.
    """
    header = commons.run(run)
    require_accuracies(header, "replays")
    curves: dict[int, list[Epoch]] = {}
    for epoch in commons.epochs(run):
        curves.setdefault(epoch.network, []).append(epoch)
    trained = [n for n in commons.networks(run) if n.equal_to is None and n.status not in _UNTRAINED]
    if not trained:
        raise BadInput(f"run {run!r} has no network that was trained")
    budget = max((n.epochs_budget or 0 for n in trained), default=0) or header.epochs_budget
    budget = budget or max(len(epochs) for epochs in curves.values())
    costs = _costs(run, trained)
    mean = sum(costs.values()) / len(costs)
    recorded = all(e.seconds is not None for n in trained for e in curves.get(n.network, []))
    features = _features(commons, run)
    networks = []
    for network in trained:
        epochs = curves.get(network.network, [])
        cost = costs[network.network]
        accuracy = _without_gaps(run, network, epochs)
        modelled = (cost / mean,) * len(accuracy)
        training = [a for e in epochs if (a := e.train_accuracy_percent) is not None]
        networks.append(
            History(
                network=network.network,
                generation=network.generation or 0,
                mflops=cost,
                accuracy_percent=accuracy,
                training_accuracy_percent=tuple(training) if len(training) == len(accuracy) else (),
                seconds=tuple(e.seconds or 0.0 for e in epochs) if recorded else modelled,
                features=features.get(network.network) or {"log_flops": math.log(1e6 * cost)},
            )
        )
    images = header.images
    if images.validation is None and validation_images:
        images = Images(validation_images, images.test)
    read = RunHistory(run, budget, images, tuple(networks), not recorded, _curves(header))
    if complete:
        read.check_complete()
    return read


_UNTRAINED = (NetworkStatus.equal, NetworkStatus.infeasible, NetworkStatus.failed)


def _costs(run: str, networks: Sequence[Network]) -> Mapping[int, float]:
    costs = {n.network: n.flops / 1e6 for n in networks if n.flops}
    unknown = [n.network for n in networks if n.network not in costs]
    if unknown:
        raise BadInput(f"run {run!r} did not record what network {unknown[0]} costs: flops is null")
    return costs


def _without_gaps(run: str, network: Network, epochs: Sequence[Epoch]) -> tuple[float, ...]:
    """The validation accuracies of a network, one for each epoch from the first on."""
    known = {e.epoch: a for e in epochs if (a := e.validation_accuracy_percent) is not None}
    missing = next((epoch for epoch in range(1, max(known, default=1) + 1) if epoch not in known), None)
    if missing is not None:
        raise BadInput(
            f"run {run!r} cannot be replayed: network {network.network} has no accuracy of epoch {missing}"
        )
    return tuple(known[epoch] for epoch in sorted(known))


def _features(commons: Commons, run: str) -> Mapping[int, Mapping[str, float]]:
    """Features of the networks whose layers were recorded in full, by number."""
    recorded = architectures_of(commons.layers(run), commons.edges(run))
    found = {}
    for network, architecture in recorded.items():
        with suppress(ValueError):
            found[network] = architecture_features(architecture)
    return found


def _curves(header: Run) -> Curves:
    """Which weights were measured; runs from before there was a choice measured those of training."""
    way = header.settings("training").get("evaluation")
    return "averaged" if way in ("averaged", "recalibrated") else "as-trained"
