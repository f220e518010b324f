"""What a run is doing at this moment, read from its records alone, without asking any process."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from a4nn_core.commons import RunFolder, read_epochs, read_events
from a4nn_core.commons.damage import damage_named
from a4nn_core.commons.layout import read_json
from a4nn_core.commons.lock import holder
from a4nn_core.commons.runs import run_record, session_started
from a4nn_core.jsonable import Json, members, to_jsonable
from a4nn_core.precision import DECIBELS, Images, Score
from a4nn_core.workflow.queue import Queue


@dataclass(frozen=True)
class InTraining:
    """One network that was submitted and has not ended.

    Attributes:
        network, generation: numbers of the network and of its generation.
        epoch, epochs: epochs trained so far, and its budget of epochs.
        accuracy_percent: validation accuracy after the last epoch, None before the first.
        accuracy_se_points: its standard error in percentage points (see precision.py), None if the number of
            images is not known.
        psnr_db, psnr_se_db: the same of a network that restores images, in decibels.
        predicted, interval: last prediction of the accuracy or ratio at the end of the budget and its
            interval; None without a prediction.
        where: device and host it trains on; None while it waits for a slot.
        seconds_left: estimated seconds until the end of its budget, None before the first epoch.
    """

    network: int
    generation: int | None
    epoch: int
    epochs: int
    accuracy_percent: float | None
    accuracy_se_points: float | None
    psnr_db: float | None
    psnr_se_db: float | None
    predicted: float | None
    interval: tuple[float, float] | None
    where: str | None
    seconds_left: float | None

    @property
    def score(self) -> Score:
        """The last validation score, for people."""
        if self.psnr_db is not None:
            return Score(self.psnr_db, self.psnr_se_db, DECIBELS)
        return Score(self.accuracy_percent, self.accuracy_se_points)


@dataclass(frozen=True)
class Live:
    """A run at one moment.

    Attributes:
        alive: whether a process is writing it; a run with status running that is not alive was killed.
        seconds_so_far: seconds since the process that writes it began; 0 if there is none.
        training: networks in training or waiting for a slot.
        seconds_left: estimated seconds until the run ends, from the pace so far; None without an estimate.
        paused: number of networks that wait at a checkpoint, as the rule prefers others.
        paused_epochs: epochs that these have been trained, all together.
    """

    alive: bool
    seconds_so_far: float
    training: list[InTraining]
    seconds_left: float | None
    paused: int = 0
    paused_epochs: int = 0

    def as_dict(self) -> dict[str, Json]:
        """The form that ``--json`` prints."""
        return members(to_jsonable(asdict(self)))


def is_alive(commons: Path, run: str) -> bool:
    """Whether a process is writing a run."""
    return holder(RunFolder(commons, run).lock) is not None


def look(commons: Path, run: str, seconds_of_ended: Sequence[float] = ()) -> Live:
    """What a run is doing now.

    Args:
        commons: folder of the commons.
        run: id of the run.
        seconds_of_ended: training time in seconds of each network that has ended; 0 for one that equals
            another.
    """
    folder = RunFolder(commons, run)
    if not is_alive(commons, run):
        return Live(False, 0.0, [], None)
    with damage_named(commons, run):
        stored = read_json(folder.run_file)
        header = run_record(run, stored)
        started = session_started(stored)
    seconds = (datetime.now(UTC) - started).total_seconds() if started else 0.0
    queue = Queue()
    for event in read_events(folder.events):
        queue.add(event)
    budget = header.epochs_budget or 0
    training = [
        _in_training(folder, number, one.generation, budget, header.images)
        for number, one in queue.submitted.items()
    ]
    # a run that is being imported does not record how many networks it will have
    unseen = max((header.networks_budget or 0) - len(seconds_of_ended) - len(training) - len(queue.paused), 0)
    left = _seconds_left(training, seconds_of_ended, unseen)
    return Live(True, seconds, training, left, len(queue.paused), sum(queue.paused.values()))


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
        psnr_db=last.validation_psnr_db if last else None,
        psnr_se_db=last.validation_psnr_se_db if last else None,
        predicted=last.predicted if last else None,
        interval=last.interval if last else None,
        where=f"{trainer.get('device', '?')} on {trainer.get('host', '?')}" if trainer is not None else None,
        seconds_left=None if pace is None else pace * (budget - len(journal)),
    )


def _seconds_left(
    training: Sequence[InTraining], seconds_of_ended: Sequence[float], unseen: int
) -> float | None:
    """Estimated seconds of work left, shared between the networks that train at the same time."""
    at_once = sum(one.where is not None for one in training)
    if not seconds_of_ended or not at_once:
        return None
    usual = statistics.fmean(seconds_of_ended)
    work = sum(usual if one.seconds_left is None else one.seconds_left for one in training) + unseen * usual
    return work / at_once
