"""What a run is doing at this moment, read from its records: no process is asked, so any reader may look."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from a4nn_core.commons import RunFolder, read_epochs, read_events
from a4nn_core.commons.events import SegmentEnded
from a4nn_core.commons.layout import read_json
from a4nn_core.commons.lock import holder
from a4nn_core.commons.runs import run_record, session_started
from a4nn_core.jsonable import Json, members, to_jsonable
from a4nn_core.precision import Images
from a4nn_core.vocabulary import EventKind


@dataclass(frozen=True)
class InTraining:
    """One network that was submitted and has not ended.

    Attributes:
        network, generation: which.
        epoch, epochs: trained so far, and its budget.
        accuracy_percent: validation accuracy after the last epoch, None before the first.
        accuracy_se_points: its standard error (see precision.py), None if the number of images is not known.
        predicted, interval: its value at the end of the budget as last predicted, if it was.
        where: device and host it trains on; None while it waits for a slot.
        seconds_left: if it is trained to the end, None before the first epoch.
    """

    network: int
    generation: int | None
    epoch: int
    epochs: int
    accuracy_percent: float | None
    accuracy_se_points: float | None
    predicted: float | None
    interval: tuple[float, float] | None
    where: str | None
    seconds_left: float | None


@dataclass(frozen=True)
class Live:
    """A run at one moment.

    Attributes:
        alive: a process is writing it; a run that says it is running and is not alive was killed.
        seconds_so_far: since the process began that writes it now, 0 if there is none.
        training: networks under way.
        seconds_left: an estimate for the whole run from the pace so far, None where there is none.
    """

    alive: bool
    seconds_so_far: float
    training: list[InTraining]
    seconds_left: float | None

    def as_dict(self) -> dict[str, Json]:
        """For ``--json``."""
        return members(to_jsonable(asdict(self)))


def look(commons: Path, run: str, seconds_of_ended: Sequence[float] = ()) -> Live:
    """What a run is doing now.

    Args:
        commons: the folder.
        run: which run.
        seconds_of_ended: training time of the networks that have ended, equal ones as 0.
    """
    folder = RunFolder(commons, run)
    if holder(folder.lock) is None:
        return Live(False, 0.0, [], None)
    stored = read_json(folder.run_file)
    header = run_record(run, stored)
    started = session_started(stored)
    seconds = (datetime.now(UTC) - started).total_seconds() if started else 0.0
    submitted: dict[int, int | None] = {}
    for event in read_events(folder.events):
        if event.network is None:
            continue
        if event.kind == EventKind.submitted:
            submitted[event.network] = event.generation
        elif event.kind in SegmentEnded.kinds:
            submitted.pop(event.network, None)
    budget = header.epochs_budget or 0
    training = [
        _in_training(folder, number, generation, budget, header.images)
        for number, generation in submitted.items()
    ]
    # one that is being imported does not say how many there will be
    unseen = max((header.networks_budget or 0) - len(seconds_of_ended) - len(training), 0)
    return Live(True, seconds, training, _seconds_left(training, seconds_of_ended, unseen))


def _in_training(
    folder: RunFolder, number: int, generation: int | None, budget: int, images: Images
) -> InTraining:
    journal = read_epochs(folder.journal(number))
    trainer = holder(folder.checkpoints(number) / "lock")
    last = journal[-1] if journal else None
    accuracy = last.validation_accuracy_percent if last else None
    timed = [seconds for epoch in journal if (seconds := epoch.seconds) is not None]
    pace = statistics.fmean(timed) if timed else None
    return InTraining(
        network=number,
        generation=generation,
        epoch=len(journal),
        epochs=budget,
        accuracy_percent=accuracy,
        accuracy_se_points=images.validation_error(accuracy),
        predicted=last.predicted if last else None,
        interval=last.interval if last else None,
        where=f"{trainer.get('device', '?')} on {trainer.get('host', '?')}" if trainer is not None else None,
        seconds_left=None if pace is None else pace * (budget - len(journal)),
    )


def _seconds_left(
    training: Sequence[InTraining], seconds_of_ended: Sequence[float], unseen: int
) -> float | None:
    """Work left by the pace so far, shared between the networks that train at once."""
    at_once = sum(one.where is not None for one in training)
    if not seconds_of_ended or not at_once:
        return None
    usual = statistics.fmean(seconds_of_ended)
    work = sum(usual if one.seconds_left is None else one.seconds_left for one in training) + unseen * usual
    return work / at_once
