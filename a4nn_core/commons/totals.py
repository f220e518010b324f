"""What a run amounts to in a few numbers, kept beside its ``run.json``; a list of runs reads no tables.

They are derived: ``runs/<run>/totals.json`` has a SHA-256 over the ``run.json`` that it belongs to and
itself. If they are missing, damaged or of another state, they are computed from the records again, and kept.
Whoever resumes a run changes its ``run.json`` before anything else, so they are never those of an earlier
state.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from a4nn_core.commons.layout import RunFolder, read_json, write_json
from a4nn_core.commons.lock import holder
from a4nn_core.commons.records import EpochCount, Network, Run, best_accuracy, best_network, front_among
from a4nn_core.errors import BadInput
from a4nn_core.jsonable import Json, members, number, to_json, to_jsonable
from a4nn_core.metrics import DECIDING
from a4nn_core.precision import DECIBELS, Score
from a4nn_core.vocabulary import NetworkStatus, RunStatus

if TYPE_CHECKING:
    from a4nn_core.commons.reader import Commons

JOULES_PER_KWH = 3.6e6
UNKNOWN = "unknown"

# columns of ``networks`` that totals are found from, beside those that an objective is named after
_READ = {"run", *DECIDING, "epochs_trained", "epochs_budget", "seconds", "energy_joules"} | {
    "best_psnr_se_db"
}

# to be raised when the same records give other totals than before
_FORM = 3


@dataclass(frozen=True)
class Totals:
    """The result of a run in numbers. What an imported run did not record is None.

    Attributes:
        run, status: id and status of the run.
        error: why it failed, or what interrupted it; None if nothing is recorded.
        stopped: why it ended before its number of networks though nothing went wrong; None if it did not.
        networks, networks_budget: number of networks recorded so far, and number that the search is to
            evaluate.
        networks_by_status: number of recorded networks of each status; ``unknown`` where none was recorded.
        networks_infeasible: number of recorded networks outside the bounds, which were not trained.
        networks_on_front: number of networks on the Pareto front.
        epochs_trained: number of epochs trained, over all networks.
        epochs_budget: epochs that training every recorded network to the end would take; a failed network
            counts with the epochs it was trained.
        epochs_saved_by_termination, epochs_saved_by_equality: the difference of the two, by cause.
        epochs_saved_percent: the difference in percent of the budget.
        best_accuracy_percent: highest validation accuracy measured, None before the first epoch.
        best_accuracy_se_points: its standard error in percentage points (see precision.py).
        best_psnr_db, best_psnr_se_db: of networks that restore images, the same in decibels.
        validation_images, test_images: numbers of images that accuracies were measured on.
        seconds: wall-clock seconds of the run's sessions that have ended.
        training_seconds, training_seconds_saved: seconds spent in epochs, and an estimate of the seconds
            that the saved epochs would have taken, each network at its own pace.
        energy_joules: energy of the networks whose energy was measured, None if none was.
        networks_measured: number of these networks.
    """

    run: str
    status: RunStatus | None
    error: str | None
    stopped: str | None
    networks: int
    networks_budget: int | None
    networks_by_status: Mapping[str, int]
    networks_infeasible: int
    networks_on_front: int
    epochs_trained: int
    epochs_budget: int
    epochs_saved_by_termination: int
    epochs_saved_by_equality: int
    epochs_saved_percent: float
    best_accuracy_percent: float | None
    best_accuracy_se_points: float | None
    best_psnr_db: float | None
    best_psnr_se_db: float | None
    validation_images: int | None
    test_images: int | None
    seconds: float | None
    training_seconds: float | None
    training_seconds_saved: float | None
    energy_joules: float | None
    networks_measured: int

    @classmethod
    def of(cls, header: Run, networks: Sequence[Network], front: Sequence[Network] | None = None) -> Totals:
        """The totals of a run.

        Args:
            header: its header.
            networks: the final records of its networks.
            front: those on the Pareto front, if they have been found already.
        """
        if front is None:
            front = front_among(networks, header.objectives or {})
        images = header.images
        epochs = EpochCount.of(networks, header.epochs_budget)
        timed = {n.network: (n.seconds, n.epochs_trained) for n in networks if n.seconds is not None}
        pace = {network: seconds / trained for network, (seconds, trained) in timed.items() if trained}
        saved = sum(n.epochs_saved(header.epochs_budget) * pace.get(n.trained_as, 0.0) for n in networks)
        best, found = best_accuracy(networks), best_network(networks)
        energy = [joules for n in networks if (joules := n.energy_joules) is not None]
        known = bool(timed) or not networks
        return cls(
            run=header.run,
            status=header.status,
            error=header.error,
            stopped=header.stopped,
            networks=len(networks),
            networks_budget=header.networks_budget,
            networks_by_status=dict(sorted(Counter(str(n.status or UNKNOWN) for n in networks).items())),
            networks_infeasible=sum(n.status is NetworkStatus.infeasible for n in networks),
            networks_on_front=len(front),
            epochs_trained=epochs.trained,
            epochs_budget=epochs.budget,
            epochs_saved_by_termination=epochs.saved_by_termination,
            epochs_saved_by_equality=epochs.saved_by_equality,
            epochs_saved_percent=epochs.saved_percent,
            best_accuracy_percent=best,
            best_accuracy_se_points=images.validation_error(best),
            best_psnr_db=None if found is None else found.best_psnr_db,
            best_psnr_se_db=None if found is None else found.best_psnr_se_db,
            validation_images=images.validation,
            test_images=images.test,
            seconds=_seconds(header),
            training_seconds=sum(seconds for seconds, _ in timed.values()) if known else None,
            training_seconds_saved=saved if known else None,
            energy_joules=sum(energy) if energy else None,
            networks_measured=len(energy),
        )

    @property
    def best(self) -> Score:
        """The best validation score, for people."""
        if self.best_psnr_db is not None:
            return Score(self.best_psnr_db, self.best_psnr_se_db, DECIBELS)
        return Score(self.best_accuracy_percent, self.best_accuracy_se_points)

    def as_dict(self) -> dict[str, Json]:
        """The form that ``--json`` prints."""
        return {
            **members(to_jsonable(asdict(self))),
            "epochs_saved_percent": round(self.epochs_saved_percent, 3),
            "energy_kwh": None if self.energy_joules is None else self.energy_joules / JOULES_PER_KWH,
        }


def _seconds(header: Run) -> float | None:
    """Wall-clock seconds as recorded when the run last ended; 0 if it never has, None if it was imported."""
    recorded = number(header.totals.members.get("seconds")) if header.totals else None
    return 0.0 if recorded is None and header.status is not RunStatus.completed else recorded


def totals(commons: Commons, run: str) -> Totals:
    """The totals of a run, as kept, or computed from its records.

    Computed ones are kept then, if nobody writes the run, and its folder can be written.

    Raises:
        BadInput: there is no such run, or its records cannot be read.
    """
    folder = RunFolder(commons.path, run)
    if (found := kept(folder)) is not None:
        return found
    before = b""
    with suppress(OSError):  # what is wrong with the file is said by who reads it next
        before = folder.run_file.read_bytes()
    header = commons.run(run)
    columns = [
        c.name for c in Network.definition.columns if c.name in _READ or c.name in (header.objectives or {})
    ]
    found = Totals.of(header, commons.networks(run, columns))
    with suppress(BadInput, OSError):
        _keep(folder, before, found)
    return found


def kept(folder: RunFolder) -> Totals | None:
    """The totals kept beside ``run.json``; None if there are none, or they belong to another state of it."""
    try:
        stored = read_json(folder.totals)
        found: dict[str, Any] = members(stored["totals"])
        if stored["sha256"] != _checksum(folder.run_file.read_bytes(), found):
            return None
    except (OSError, BadInput, KeyError):
        return None  # what is derived is computed again, and never an error
    return Totals(**{**found, "status": found["status"] and RunStatus(found["status"])})


def _keep(folder: RunFolder, before: bytes, found: Totals) -> None:
    """Keep the totals of a run, unless somebody is writing it.

    Args:
        folder: the run.
        before: the content of its ``run.json`` before its records were read. Whoever has resumed the run
            meanwhile has changed it, and the totals do not count.
        found: its totals.
    """
    if holder(folder.lock) is None:
        stored = members(to_jsonable(asdict(found)))
        write_json(folder.totals, {"sha256": _checksum(before, stored), "totals": stored})


def _checksum(run_file: bytes, found: Mapping[str, Json]) -> str:
    return hashlib.sha256(b"%d\n%s\n%s" % (_FORM, run_file, to_json(found).encode())).hexdigest()
