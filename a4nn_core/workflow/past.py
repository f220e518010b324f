"""Earlier runs as a model of final accuracies sees them, read from the tables of a commons."""

from __future__ import annotations

import hashlib
import json
import math
from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import TypeVar

from a4nn_core.commons.damage import damage_named
from a4nn_core.commons.reader import Commons
from a4nn_core.commons.records import Edge, LayerRecord, Network, Run
from a4nn_core.commons.rows import records
from a4nn_core.commons.schema import TABLES
from a4nn_core.commons.snapshot import Snapshot
from a4nn_core.errors import BadInput
from a4nn_core.penguin.measure import Decibels, measure_of
from a4nn_core.penguin.observed import Observed, Past
from a4nn_core.recorded_graphs import architecture_of
from a4nn_core.spaces.features import architecture_features
from a4nn_core.vocabulary import Curves, NetworkStatus, Task

_UNTRAINED = (NetworkStatus.equal, NetworkStatus.infeasible)
_FACTS = ["network", "status", "flops", "parameters", "epochs_budget"]
_SCORES = {
    Task.classification: ("validation_accuracy_percent", "train_accuracy_percent"),
    Task.restoration: ("validation_psnr_db", "train_psnr_db"),
}
"""columns of ``epochs`` that a model learns from: on the validation and on the training images"""
Part = TypeVar("Part", LayerRecord, Edge)


@dataclass(frozen=True)
class PastRun:
    """An earlier run, with what a record of it must say.

    Attributes:
        header: its row of ``runs``.
        numbers: numbers of the networks in the order of ``past.networks``.
        past: what a model may learn from.
    """

    header: Run
    numbers: tuple[int, ...]
    past: Past

    @property
    def features(self) -> frozenset[str]:
        """The names of the features that its networks have."""
        return frozenset(name for network in self.past.networks for name in network.features)

    @property
    def fingerprint(self) -> str:
        """SHA-256 of everything that a model is given; where and how it is stored does not matter."""
        past = self.past
        networks = [
            # logarithms may differ in their last bits between machines
            [number, {k: f"{v:.12g}" for k, v in one.features.items()}, one.validation, one.training]
            for number, one in zip(self.numbers, past.networks, strict=True)
        ]
        held = {
            "horizon": past.horizon,
            "images": self.header.images.validation,
            "curves": past.curves,
            "networks": networks,
        }
        if isinstance(past.measure, Decibels):
            held |= asdict(past.measure)
        return hashlib.sha256(json.dumps(held, sort_keys=True).encode()).hexdigest()


def read_past(commons: Commons, run: str) -> Past:
    """An earlier run as a model may learn from it.

    Its networks are those with final records and at least one epoch, in the order of their numbers; not those
    that are equal to others or outside the bounds. A network whose layers were not recorded has the features
    ``log_flops`` and ``log_parameters`` alone, as far as they are known.

    Args:
        commons: where it is.
        run: its id.

    Raises:
        BadInput: there is no such run.
        Damaged: its records cannot be read.
    """
    return read_past_run(commons, run).past


def read_past_run(commons: Commons, run: str, only: Collection[int] | None = None) -> PastRun:
    """As ``read_past``, with the numbers of the networks.

    Args:
        commons, run: as there.
        only: numbers of the networks to read; None for all.
    """
    header = commons.run(run)
    with damage_named(commons.path, run):
        snapshot = Snapshot(commons.path, run)
        networks = records(Network, snapshot.table(TABLES["networks"], final=True, columns=_FACTS))
        curves = _curves(snapshot, _SCORES[header.task])
        layers = _by_network(records(LayerRecord, snapshot.table(TABLES["layers"], final=True)))
        edges = _by_network(records(Edge, snapshot.table(TABLES["edges"], final=True)))
    trained = sorted(
        (
            network
            for network in networks
            if network.status not in _UNTRAINED
            and network.network in curves
            and (only is None or network.network in only)
        ),
        key=lambda network: network.network,
    )
    observed = []
    for network in trained:
        number = network.network
        features = _features(network, layers.get(number, []), edges.get(number, []))
        observed.append(Observed(features, *curves[number]))
    budget = max((network.epochs_budget or 0 for network in trained), default=0)
    longest = max((one.epochs for one in observed), default=0)
    past = Past(
        run=run,
        horizon=header.epochs_budget or budget or longest,
        measure=measure_of(header.details),
        curves=_kind(header),
        networks=tuple(observed),
    )
    return PastRun(header, tuple(network.network for network in trained), past)


def _curves(
    snapshot: Snapshot, scores: tuple[str, str]
) -> dict[int, tuple[tuple[float, ...], tuple[float, ...]]]:
    """The values of two columns for each network, as Observed has them; only of networks that have any."""
    columns = ["network", "epoch", *scores]
    table = snapshot.table(TABLES["epochs"], final=True, columns=columns)
    epochs: dict[int, list[tuple[float | None, float | None]]] = defaultdict(list)
    order = [("network", "ascending"), ("epoch", "ascending")]
    held = table.sort_by(order).to_pydict()
    for number, epoch, validation, training in zip(*(held[name] for name in columns), strict=True):
        if epoch == len(epochs[number]) + 1:  # after a gap nothing can be used
            epochs[number].append((validation, training))
    found = {}
    for number, pairs in epochs.items():
        validation = _known(pair[0] for pair in pairs)
        training = _known(pair[1] for pair in pairs)
        if validation:
            whole = training[: len(validation)]
            found[number] = (validation, whole if len(whole) == len(validation) else ())
    return found


def _known(values: Iterable[float | None]) -> tuple[float, ...]:
    """The values before the first that is not known."""
    found: list[float] = []
    for value in values:
        if value is None or not math.isfinite(value):
            break
        found.append(value)
    return tuple(found)


def _by_network(parts: Iterable[Part]) -> dict[int, list[Part]]:
    """The parts of architectures by network, in the order in which they were written."""
    found: dict[int, list[Part]] = defaultdict(list)
    for part in parts:
        found[part.network].append(part)
    return found


def _features(network: Network, layers: Sequence[LayerRecord], edges: Sequence[Edge]) -> dict[str, float]:
    if layers:
        try:
            architecture = architecture_of(sorted(layers, key=lambda layer: layer.layer), edges)
            return architecture_features(architecture)
        except (KeyError, TypeError, ValueError, BadInput):
            pass  # not recorded in full, or with operations that are not known here
    costs = {"log_flops": network.flops, "log_parameters": network.parameters}
    return {name: math.log(max(cost, 1)) for name, cost in costs.items() if cost is not None}


def _kind(header: Run) -> Curves:
    """Which weights were measured; runs that do not say so, as imported ones, did as everybody does."""
    evaluation = header.settings("training").get("evaluation", "as-trained")
    return "as-trained" if evaluation == "as-trained" else "averaged"
