"""What a run found and what it cost, read back from the commons, finished or not."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from a4nn_core.commons.records import EpochCount, Network, Run, best_accuracy, front_among
from a4nn_core.jsonable import Json, members, number, to_json, to_jsonable
from a4nn_core.precision import Images, cheaper_alike
from a4nn_core.termination.endings import Ending, Endings
from a4nn_core.termination.endings import summary as why_ended
from a4nn_core.vocabulary import NetworkStatus, RunStatus

if TYPE_CHECKING:
    from a4nn_core.commons import Commons

JOULES_PER_KWH = 3.6e6


@dataclass(frozen=True, slots=True)
class Member:
    """One network of a Pareto front.

    Attributes:
        network: number of the network.
        genome: its genome in the form of its search space.
        flops, parameters: multiply-adds for one image, and number of trainable parameters.
        accuracy_percent, accuracy_se_points: best validation accuracy in percent, and its standard error in
            percentage points.
        test_accuracy_percent, test_accuracy_se_points: the same for the test part.
        epochs_trained: number of epochs trained.
        indistinguishable_from: number of the cheapest network of the front that costs less and whose accuracy
            is not distinguishable from this one's; None if there is none.
    """

    network: int
    genome: Json
    flops: int | None
    parameters: int | None
    accuracy_percent: float | None
    accuracy_se_points: float | None
    test_accuracy_percent: float | None
    test_accuracy_se_points: float | None
    epochs_trained: int | None
    indistinguishable_from: int | None

    @property
    def genome_text(self) -> str:
        """The genome for people: phases of bits without commas."""
        if self.genome is None:
            return "-"
        if isinstance(self.genome, list):
            phases = [part for part in self.genome if isinstance(part, list)]
            if len(phases) == len(self.genome):
                return " ".join("".join(map(str, phase)) for phase in phases)
        return self.genome if isinstance(self.genome, str) else to_json(self.genome)


@dataclass(frozen=True)
class Summary:
    """The result of a run. What an imported run did not record is None.

    Attributes:
        run, status: id and status of the run.
        error: why it failed, or what interrupted it; None if nothing is recorded.
        networks, networks_budget: number of networks recorded so far, and number that the search is to
            evaluate.
        networks_infeasible: number of recorded networks outside the bounds, which were not trained.
        epochs_trained: number of epochs trained, over all networks.
        epochs_budget: epochs that training every recorded network to the end would take; a failed network
            counts with the epochs it was trained.
        epochs_saved_by_termination, epochs_saved_by_equality: the difference of the two, by cause.
        epochs_saved_percent: the difference in percent of the budget.
        best_accuracy_percent: highest validation accuracy measured, None before the first epoch.
        best_accuracy_se_points: its standard error in percentage points (see precision.py).
        validation_images, test_images: numbers of images that accuracies were measured on.
        seconds: wall-clock seconds of the run's sessions that have ended.
        training_seconds, training_seconds_saved: seconds spent in epochs, and an estimate of the seconds
            that the saved epochs would have taken, each network at its own pace.
        energy_joules: energy of the networks whose energy was measured, None if none was.
        networks_measured: number of these networks.
        front: the Pareto front, best accuracy first.
        endings: why networks were ended early, in order.
        commons: folder of the commons.
    """

    run: str
    status: RunStatus | None
    error: str | None
    networks: int
    networks_budget: int | None
    networks_infeasible: int
    epochs_trained: int
    epochs_budget: int
    epochs_saved_by_termination: int
    epochs_saved_by_equality: int
    epochs_saved_percent: float
    best_accuracy_percent: float | None
    best_accuracy_se_points: float | None
    validation_images: int | None
    test_images: int | None
    seconds: float | None
    training_seconds: float | None
    training_seconds_saved: float | None
    energy_joules: float | None
    networks_measured: int
    front: list[Member]
    endings: list[Ending]
    commons: str

    @property
    def images(self) -> Images:
        """The numbers of images that accuracies were measured on."""
        return Images(self.validation_images, self.test_images)

    def cost(self) -> list[str]:
        """What the run cost and saved, for people: one line per fact."""
        lines = [
            f"{self.networks} networks, {self.epochs_trained} of {self.epochs_budget} epochs trained: "
            f"{self.epochs_saved_percent:.1f} % saved compared with training every network to the end",
            f"{self.epochs_saved_by_termination} epochs by ending training early, "
            f"{self.epochs_saved_by_equality} by not training equal architectures again",
        ]
        lines += why_ended(self.endings)
        if self.networks_infeasible:
            plural = "" if self.networks_infeasible == 1 else "s"
            lines.append(f"{self.networks_infeasible} network{plural} outside the bounds, not trained")
        taken = "" if self.seconds is None else f"{duration(self.seconds)} taken"
        saved = self.training_seconds_saved
        spared = "" if saved is None else f"about {duration(saved)} of training saved"
        if taken or spared:
            lines.append("; ".join(part for part in (taken, spared) if part))
        if self.energy_joules is not None:
            lines.append(
                f"{self.energy_joules / JOULES_PER_KWH:.4g} kWh ({self.energy_joules:,.0f} J) used by the "
                f"devices in training, {self.networks_measured} networks measured"
            )
        return lines

    def as_dict(self) -> dict[str, Json]:
        """The form that ``--json`` prints."""
        return {
            **members(to_jsonable(asdict(self))),
            "epochs_saved_percent": round(self.epochs_saved_percent, 3),
            "energy_kwh": None if self.energy_joules is None else self.energy_joules / JOULES_PER_KWH,
        }


def duration(seconds: float) -> str:
    """A duration in seconds as text for people."""
    if not math.isfinite(seconds):
        return "unknown time"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes:02d} min"
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"


def summarise(commons: Commons, run: str) -> Summary:
    """The summary of one run.

    Raises:
        BadInput: the commons has no such run.
    """
    header = commons.run(run)
    images = header.images
    networks = commons.networks(run)
    epochs = EpochCount.of(networks, header.epochs_budget)
    timed = {n.network: (n.seconds, n.epochs_trained) for n in networks if n.seconds is not None}
    pace = {network: seconds / trained for network, (seconds, trained) in timed.items() if trained}
    saved = sum(n.epochs_saved(header.epochs_budget) * pace.get(n.trained_as, 0.0) for n in networks)
    best = best_accuracy(networks)
    energy = [joules for n in networks if (joules := n.energy_joules) is not None]
    known = bool(timed) or not networks
    return Summary(
        run=run,
        status=header.status,
        error=header.error,
        networks=len(networks),
        networks_budget=header.networks_budget,
        networks_infeasible=sum(n.status is NetworkStatus.infeasible for n in networks),
        epochs_trained=epochs.trained,
        epochs_budget=epochs.budget,
        epochs_saved_by_termination=epochs.saved_by_termination,
        epochs_saved_by_equality=epochs.saved_by_equality,
        epochs_saved_percent=epochs.saved_percent,
        best_accuracy_percent=best,
        best_accuracy_se_points=images.validation_error(best),
        validation_images=images.validation,
        test_images=images.test,
        seconds=_seconds(header),
        training_seconds=sum(seconds for seconds, _ in timed.values()) if known else None,
        training_seconds_saved=saved if known else None,
        energy_joules=sum(energy) if energy else None,
        networks_measured=len(energy),
        endings=Endings.of(header, {network.network: network for network in networks}).all(),
        front=_front(front_among(networks, header.objectives or {}), images),
        commons=str(Path(commons.path)),
    )


def _seconds(header: Run) -> float | None:
    """Wall-clock seconds as recorded when the run last ended; 0 if it never has, None if it was imported."""
    recorded = number(header.totals.members.get("seconds")) if header.totals else None
    return 0.0 if recorded is None and header.status is not RunStatus.completed else recorded


def _front(networks: list[Network], images: Images) -> list[Member]:
    alike = cheaper_alike([network.rated(images) for network in networks])
    members = [_member(network, images, alike[network.network]) for network in networks]
    # an imported network may have no accuracy, or no cost
    return sorted(members, key=lambda m: (-(m.accuracy_percent or 0.0), m.flops or 0))


def _member(network: Network, images: Images, indistinguishable_from: int | None) -> Member:
    return Member(
        network=network.network,
        genome=network.genome.value if network.genome else None,
        flops=network.flops,
        parameters=network.parameters,
        accuracy_percent=network.best_accuracy_percent,
        accuracy_se_points=images.validation_error(network.best_accuracy_percent),
        test_accuracy_percent=network.test_accuracy_percent,
        test_accuracy_se_points=images.test_error(network.test_accuracy_percent),
        epochs_trained=network.epochs_trained,
        indistinguishable_from=indistinguishable_from,
    )
