"""What a run found and what it cost, read back from the commons, finished or not."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from a4nn_core.commons.saved import Epochs, unspent
from a4nn_core.commons.stored import setting
from a4nn_core.precision import Images, cheaper_alike
from a4nn_core.vocabulary import NetworkStatus

if TYPE_CHECKING:
    from a4nn_core.commons import Commons

JOULES_A_KWH = 3.6e6


@dataclass(frozen=True)
class Summary:
    """The result of a run. What an imported run did not record is None.

    Attributes:
        run, status: which run and where it stands.
        networks, networks_budget: looked at so far, and to be looked at.
        networks_infeasible: those of them that are outside the bounds and were not trained.
        epochs_trained: of all networks.
        epochs_budget: what training every network looked at to the end would take; of a failed network only
            the epochs it had count.
        epochs_saved_by_termination, epochs_saved_by_equality: the difference, by cause.
        epochs_saved_percent: the difference as a share of the budget.
        best_accuracy_percent: highest validation accuracy measured, None before the first epoch.
        best_accuracy_se_points: its standard error (see precision.py).
        validation_images, test_images: that accuracies were measured on.
        seconds: of the run, by the clock, as far as it came to an end.
        training_seconds, training_seconds_saved: spent in epochs, and an estimate of what the epochs that
            were saved would have taken, each network at its own pace.
        energy_joules: of the networks whose energy was measured, None if none was.
        networks_measured: how many these are.
        front: the Pareto front, best accuracy first.
        commons: folder.
    """

    run: str
    status: str
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
    front: list[dict[str, Any]]
    commons: str

    @property
    def images(self) -> Images:
        """That accuracies were measured on."""
        return Images(self.validation_images, self.test_images)

    def cost(self) -> list[str]:
        """What it cost and saved, for people: a line each."""
        lines = [
            f"{self.networks} networks, {self.epochs_trained} of {self.epochs_budget} epochs trained: "
            f"{self.epochs_saved_percent:.1f} % saved against training every network to the end",
            f"{self.epochs_saved_by_termination} epochs by ending training early, "
            f"{self.epochs_saved_by_equality} by not training equal architectures again",
        ]
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
                f"{self.energy_joules / JOULES_A_KWH:.4g} kWh ({self.energy_joules:,.0f} J) used by the "
                f"devices in training, {self.networks_measured} networks measured"
            )
        return lines

    def as_dict(self) -> dict[str, Any]:
        """For ``--json``."""
        front = [{k: v for k, v in member.items() if k != "genome_text"} for member in self.front]
        return {
            **{name: getattr(self, name) for name in self.__dataclass_fields__},
            "epochs_saved_percent": round(self.epochs_saved_percent, 3),
            "energy_kwh": None if self.energy_joules is None else self.energy_joules / JOULES_A_KWH,
            "front": front,
        }


def duration(seconds: float) -> str:
    """Seconds for people."""
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
    experiment = json.loads(header["experiment"] or "{}")
    totals = json.loads(header["totals"] or "{}")
    images = Images.of(header["dataset_details"])
    planned = setting(experiment, "training", "epochs")
    networks = commons.networks(run)
    trained = {n["network"]: n["epochs_trained"] or 0 for n in networks}
    spent = {n["network"]: n["seconds"] for n in networks if n["seconds"] is not None}
    pace = {number: seconds / trained[number] for number, seconds in spent.items() if trained[number]}
    seconds_saved = 0.0
    for n in networks:
        trained_as = n["equal_to"] if n["status"] == "equal" else n["network"]
        seconds_saved += unspent(n, planned) * pace.get(trained_as, 0.0)
    epochs = Epochs.of(networks, planned)
    best = max((a for n in networks if (a := n["best_accuracy_percent"]) is not None), default=None)
    energy = [n["energy_joules"] for n in networks if n["energy_joules"] is not None]
    timed = bool(spent) or not networks
    return Summary(
        run=run,
        status=header["status"],
        networks=len(networks),
        networks_budget=setting(experiment, "search", "networks"),
        networks_infeasible=sum(n["status"] == NetworkStatus.infeasible for n in networks),
        epochs_trained=epochs.trained,
        epochs_budget=epochs.budget,
        epochs_saved_by_termination=epochs.saved_by_termination,
        epochs_saved_by_equality=epochs.saved_by_equality,
        epochs_saved_percent=epochs.saved_percent,
        best_accuracy_percent=best,
        best_accuracy_se_points=images.validation_error(best),
        validation_images=images.validation,
        test_images=images.test,
        # a run that goes on tells its seconds when it ends; one that was imported never does
        seconds=totals.get("seconds", None if header["status"] == "completed" else 0.0),
        training_seconds=sum(spent.values()) if timed else None,
        training_seconds_saved=seconds_saved if timed else None,
        energy_joules=sum(energy) if energy else None,
        networks_measured=len(energy),
        front=_front(commons.front(run), images),
        commons=str(Path(commons.path)),
    )


def _front(rows: list[dict[str, Any]], images: Images) -> list[dict[str, Any]]:
    members = [_member(row, images) for row in rows]
    twins = cheaper_alike(members)
    for member in members:
        member["indistinguishable_from"] = twins[member["network"]]
    return sorted(
        members,
        # an imported network may have no accuracy, or no cost
        key=lambda m: (-(m["accuracy_percent"] or 0.0), m["flops"] or 0),
    )


def _member(row: Mapping[str, Any], images: Images) -> dict[str, Any]:
    try:
        genome = json.loads(row["genome"] or "null")
    except ValueError:
        genome = row["genome"]
    return {
        "network": row["network"],
        "genome": genome,
        "flops": row["flops"],
        "parameters": row["parameters"],
        "accuracy_percent": row["best_accuracy_percent"],
        "accuracy_se_points": images.validation_error(row["best_accuracy_percent"]),
        "test_accuracy_percent": row["test_accuracy_percent"],
        "test_accuracy_se_points": images.test_error(row["test_accuracy_percent"]),
        "epochs_trained": row["epochs_trained"],
        "genome_text": " ".join("".join(map(str, part)) for part in genome)
        if isinstance(genome, list) and all(isinstance(part, list) for part in genome)
        else row["genome"] or "-",
    }
