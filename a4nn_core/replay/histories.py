"""Complete learning curves of a run, as a commons recorded them: what the laboratory replays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from a4nn_core.commons.reader import Commons
from a4nn_core.commons.records import Epoch, Network
from a4nn_core.errors import BadInput
from a4nn_core.precision import Images
from a4nn_core.vocabulary import NetworkStatus


@dataclass(frozen=True, slots=True)
class History:
    """One network that was trained to the end.

    Attributes:
        network: its number.
        generation: that asked for it, from 0.
        mflops: cost of one image, in millions of multiply-adds.
        accuracy_percent: on the validation images, one value per epoch, from epoch 1.
        training_accuracy_percent: on the training images, likewise; empty if it was not recorded.
        seconds: that each epoch took.
    """

    network: int
    generation: int
    mflops: float
    accuracy_percent: tuple[float, ...]
    training_accuracy_percent: tuple[float, ...]
    seconds: tuple[float, ...]


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
    """

    run: str
    epochs: int
    images: Images
    networks: tuple[History, ...]
    modelled_seconds: bool


def read_history(commons: Commons, run: str, validation_images: int | None = None) -> RunHistory:
    """The complete curves of a run.

    Networks that were never trained, as they are equal to others or outside the bounds, are left out.

    Args:
        commons: where it is.
        run: its id.
        validation_images: that accuracies were measured on, where the run did not record it.

    Raises:
        BadInput: the run has no network, one was not trained to the end or has gaps, or its cost is unknown.
    """
    header = commons.run(run)
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
    networks = []
    for network in trained:
        epochs = curves.get(network.network, [])
        _check_complete(run, network, epochs, budget)
        cost = costs[network.network]
        training = [a for e in epochs if (a := e.train_accuracy_percent) is not None]
        networks.append(
            History(
                network=network.network,
                generation=network.generation or 0,
                mflops=cost,
                accuracy_percent=tuple(a for e in epochs if (a := e.validation_accuracy_percent) is not None),
                training_accuracy_percent=tuple(training) if len(training) == budget else (),
                seconds=tuple(e.seconds or 0.0 for e in epochs) if recorded else (cost / mean,) * budget,
            )
        )
    images = header.images
    if images.validation is None and validation_images:
        images = Images(validation_images, images.test)
    return RunHistory(run, budget, images, tuple(networks), not recorded)


_UNTRAINED = (NetworkStatus.equal, NetworkStatus.infeasible, NetworkStatus.failed)


def _costs(run: str, networks: Sequence[Network]) -> Mapping[int, float]:
    costs = {n.network: n.flops / 1e6 for n in networks if n.flops}
    unknown = [n.network for n in networks if n.network not in costs]
    if unknown:
        raise BadInput(f"run {run!r} did not record what network {unknown[0]} costs: flops is null")
    return costs


def _check_complete(run: str, network: Network, epochs: Sequence[Epoch], budget: int) -> None:
    numbers = [e.epoch for e in epochs if e.validation_accuracy_percent is not None]
    if numbers != list(range(1, budget + 1)):
        raise BadInput(
            f"run {run!r} cannot be replayed: network {network.network} has "
            f"{len(numbers)} of {budget} epochs, "
            "and only a run in which every network was trained to the end (termination = none) tells all"
        )
