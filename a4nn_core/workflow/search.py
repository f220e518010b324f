"""The search loop: it lives here once, over an executor, whatever runs the segments.

The event log is its only state. A resumed run replays the log against the strategy, checks that it asks for
what it asked for, and goes on.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np

from a4nn_core.commons import JournalEpoch, RunWriter, predictions_of, read_epochs
from a4nn_core.commons.events import Asked, SegmentEnded, Submitted, Told, payload
from a4nn_core.commons.front import nondominated
from a4nn_core.commons.records import Network
from a4nn_core.errors import BadInput, RunFailed
from a4nn_core.experiment import Experiment
from a4nn_core.precision import Images
from a4nn_core.search.base import Candidate, Outcome
from a4nn_core.spaces.architecture import Architecture, Shape
from a4nn_core.training.segment import Segment, SegmentResult
from a4nn_core.vocabulary import Action, EventKind, NetworkStatus
from a4nn_core.workflow.checkpoints import Keeper, kept_epochs
from a4nn_core.workflow.executor import Executor
from a4nn_core.workflow.rows import equal_record, graph_records, network_record

POLL_SECONDS = 0.5
log = logging.getLogger(__name__)


class Watcher(Protocol):
    """Whoever wants to see a search go on, such as a progress bar."""

    def looked(self, search: Search) -> None:
        """Called about twice a second."""

    def ended(self, search: Search, network: Network) -> None:
        """Called when a network's final records are written."""


class Search:
    """One run of an experiment.

    Args:
        experiment: what to search.
        writer: of the run's records, open.
        executor: runs the segments.
        shape: of the images, (channels, height, width).
        classes: how many.
        device: that networks train on.
        watcher: see Watcher; None for nobody.

    Attributes:
        images: that accuracies are measured on.
    """

    def __init__(
        self,
        experiment: Experiment,
        writer: RunWriter,
        executor: Executor,
        shape: Shape,
        classes: int,
        device: str,
        watcher: Watcher | None = None,
    ) -> None:
        self.experiment = experiment
        self.writer = writer
        self.executor = executor
        self.shape = shape
        self.classes = classes
        self.device = device
        self.watcher = watcher
        self.images = Images.of(writer.header.get("dataset"))
        self.strategy = experiment.search.start(experiment.space, experiment.seed)
        self.started = time.monotonic()
        self.rows: dict[int, Network] = writer.recorded()
        self.candidates: dict[int, Candidate] = {}
        self.architectures: dict[int, Architecture] = {}
        self.told: dict[int, Mapping[str, float] | None] = {}
        self.training: dict[int, Segment] = {}
        self._first: dict[str, int] = {}
        self._versions: dict[tuple[int, int], int] = {}
        self._batches = 0
        self._failures = 0
        self._lag_told = False
        policy = experiment.training.keep_checkpoints
        self._keeper = Keeper(writer, policy, experiment.search.objectives)

    def run(self) -> None:
        """Search to the end.

        Raises:
            BadInput: the event log does not fit the experiment, or the disk is full.
            RunFailed: too many networks failed one after another.
        """
        self._replay()
        self._keeper.resume(self.rows)
        while not self.strategy.finished:
            self._fill()
            if not self.strategy.finished:
                for result in self.executor.completed(POLL_SECONDS if self.training else 0.0):
                    self._ended(result)
            if self.watcher:
                self.watcher.looked(self)
        self._keeper.generation(self.rows)

    def _fill(self) -> None:
        """Ask for, and submit, all that the schedule allows now."""
        while True:
            generation = self.strategy.generation
            for candidate in list(self.candidates.values()):
                self._advance(candidate)
            if self.strategy.generation != generation:
                self._keeper.generation(self.rows)
            if not self._ask():
                return

    # the strategy's side

    def _replay(self) -> None:
        """Tell the strategy again what the event log says, and check that it asks again for the same."""
        logged = {
            event.network: payload(event, Asked)
            for event in self.writer.events
            if event.kind == EventKind.asked and event.network is not None
        }
        counts = {asked.batch: asked.count for asked in logged.values()}
        for event in self.writer.events:
            number = event.network
            if number is None:
                continue
            if event.kind == EventKind.asked and logged[number].batch == self._batches:
                # a crash may have cut a batch short in the log: what is missing is logged now
                for candidate in self._take(counts[self._batches]):
                    if candidate.number in logged:
                        self._compare(candidate, logged[candidate.number])
                    else:
                        self._log_asked(candidate, self._batches, counts[self._batches])
                self._batches += 1
            elif event.kind == EventKind.submitted:
                submitted = payload(event, Submitted)
                self._versions.setdefault((number, submitted.segment), submitted.front_version)
            elif event.kind == EventKind.told:
                self._tell(number, payload(event, Told).fitness, log=False)

    def _compare(self, candidate: Candidate, logged: Asked) -> None:
        if logged.genome != candidate.genome or logged.parents != list(candidate.parents):
            raise BadInput(
                f"run {self.writer.folder.run_id} cannot go on: for network {candidate.number} the strategy "
                f"now asks for {json.dumps(candidate.genome)}, but its event log says "
                f"{json.dumps(logged.genome)}; the code has changed since, start a new run"
            )

    def _take(self, count: int) -> list[Candidate]:
        new = self.strategy.ask(count)
        for candidate in new:
            self.candidates[candidate.number] = candidate
            architecture = self.experiment.space.decode(candidate.genome, self.shape, self.classes)
            self.architectures[candidate.number] = architecture
            self._first.setdefault(architecture.hash, candidate.number)
        return new

    @property
    def steady(self) -> bool:
        """Whether there is no barrier between generations."""
        return self.experiment.search.schedule == "steady"

    def _ask(self) -> bool:
        """Ask for as many candidates as the schedule allows; gives whether there were any."""
        free = self.executor.slots - len(self.training)
        count = free if self.steady else self.experiment.search.networks
        if count < 1:
            return False
        new = self._take(count)
        for candidate in new:
            self._log_asked(candidate, self._batches, count)
        self._batches += bool(new)
        return bool(new)

    def _log_asked(self, candidate: Candidate, batch: int, count: int) -> None:
        self.writer.events.append(
            Asked(
                genome=candidate.genome,
                parents=list(candidate.parents),
                operator=candidate.operator,
                position=candidate.position,
                batch=batch,
                count=count,
            ),
            candidate.number,
            candidate.generation,
        )

    def _tell(self, number: int, fitness: Mapping[str, float | None] | None, log: bool = True) -> None:
        candidate = self.candidates[number]
        if log:
            source = "measured" if fitness is not None else None
            self.writer.events.append(Told(fitness, source), number, candidate.generation)
        # what is not finite, such as the loss of a network that diverged, is null in records
        known = None if fitness is None else {m: value for m, value in fitness.items() if value is not None}
        self.told[number] = known
        self.strategy.tell(Outcome(number, known))

    # the networks' side

    def _advance(self, candidate: Candidate) -> None:
        """Bring one candidate as far as it can get now: submitted, recorded as equal, or told."""
        number = candidate.number
        if number in self.told or number in self.training:
            return
        if number not in self.rows:
            original = self._first[self.architectures[number].hash]
            if original == number:
                self._submit(candidate)
                return
            if original not in self.rows:
                return  # the network it equals is still in training
            row = equal_record(
                candidate, self.architectures[number], self.rows[original], self.experiment.training.epochs
            )
            self._record(row, [])
        self._tell(number, self.rows[number].fitness)

    def _submit(self, candidate: Candidate) -> None:
        number = candidate.number
        past = read_epochs(self.writer.folder.journal(number))
        settings = self.experiment.training
        # derived from the epochs alone: a segment that was cut short goes on as the same segment
        piece = settings.segment_epochs
        number_of_segment = len(past) // piece if piece else 0
        version = self._version(candidate, number_of_segment)
        experiment = self.experiment.to_mapping()
        segment = Segment(
            commons=str(self.writer.folder.commons.resolve()),
            run_id=self.writer.folder.run_id,
            network=number,
            generation=candidate.generation,
            architecture=self.architectures[number].to_json(),
            data=experiment["data"],
            training=settings.model_dump(mode="json"),
            termination=experiment["termination"],
            fixed={
                "mflops": self.architectures[number].flops / 1e6,
                "parameters": self.architectures[number].parameters,
            },
            seed=network_seed(self.experiment.seed, number),
            device=self.device,
            # what else trains on a machine of a work pool is not known
            slots=self.executor.slots if self.executor.here else 0,
            number=number_of_segment,
            epoch_limit=(number_of_segment + 1) * piece if piece else None,
            front_version=version,
            front_points=self.front(version),
            objectives=dict(self.experiment.search.objectives),
        )
        self.writer.events.append(
            Submitted(segment=segment.number, from_epoch=len(past), front_version=version),
            number,
            candidate.generation,
        )
        self.training[number] = segment
        self.executor.submit(segment)

    def _version(self, candidate: Candidate, segment: int) -> int:
        """Version of the front snapshot that a segment is judged against. A segment that is submitted again
        after a crash keeps the version of its first time, so that verdicts do not depend on the crash."""
        now = len(self.told) if self.steady else candidate.generation
        return self._versions.setdefault((candidate.number, segment), now)

    def front(self, version: int) -> list[dict[str, float]]:
        """The objectives of the members of a front snapshot.

        Args:
            version: on a generational schedule how many generations it holds; on a steady one how many
                networks, in the order in which they were told.
        """
        objectives = self.experiment.search.objectives
        told = list(self.told)[:version] if self.steady else sorted(self.told)
        known = []
        for number in told:
            fitness = self.told[number]
            held = self.steady or self.candidates[number].generation < version
            if held and fitness is not None:
                known.append({metric: float(fitness[metric]) for metric in objectives})
        if not known:
            return []
        signs = [1.0 if way == "minimise" else -1.0 for way in objectives.values()]
        keep = nondominated(np.array([list(point.values()) for point in known]) * signs)
        return [point for point, kept in zip(known, keep, strict=True) if kept]

    def _ended(self, result: SegmentResult) -> None:
        number = result.network
        segment = self.training.pop(number)
        candidate = self.candidates[number]
        if result.fatal:
            raise BadInput(f"network {number} could not be trained: {result.error}")
        journal = read_epochs(self.writer.folder.journal(number))
        self.writer.events.append(
            SegmentEnded(
                segment=result.number,
                epochs=len(journal),
                error=result.error,
                manner=journal[-1].computing if journal else None,
                status=NetworkStatus(result.status),
            ),
            number,
            candidate.generation,
        )
        log.log(
            logging.WARNING if result.status == "failed" else logging.INFO,
            "network %d: %s",
            number,
            result.error or result.status,
            extra={
                "run": self.writer.folder.run_id,
                "network": number,
                "generation": candidate.generation,
                "epoch": len(journal),
                "status": result.status,
                "device": result.device,
            },
        )
        if result.status == "paused" and journal[-1].verdict is Action.proceed:
            self._submit(candidate)  # it only came to the end of a segment
            return
        self._warn_of_lag(number, journal)
        folder = self.writer.folder
        epochs = kept_epochs(journal, self.experiment.training.keep_checkpoints)
        row = network_record(
            candidate,
            self.architectures[number],
            epochs,
            result,
            epochs_budget=self.experiment.training.epochs,
            seed=segment.seed,
            front_version=segment.front_version,
            checkpoints=str(folder.checkpoints(number).relative_to(folder.commons)),
        )
        self._record(row, epochs)
        self._keeper.ended(row)
        self._failures = self._failures + 1 if result.status == "failed" else 0
        if self._failures >= self.experiment.training.failures_in_a_row:
            raise RunFailed(
                f"{self._failures} networks failed one after another; the last one, network {number}: "
                f"{result.error}"
            )

    def _warn_of_lag(self, number: int, journal: Sequence[JournalEpoch]) -> None:
        """Say once that accuracies are worse than the networks, where the measurement is at fault."""
        worst = max(journal, key=lambda epoch: epoch.measurement_lag_points or 0.0, default=None)
        if self._lag_told or worst is None or not worst.measurement_lag_points:
            return
        self._lag_told = True
        settings = self.experiment.training
        log.warning(
            "network %d, epoch %d: validation accuracy %.1f %% lags far behind training accuracy %.1f %% "
            "because of how it is measured: on training images, too, the measured network is %.0f points "
            "worse than the training steps saw; %s",
            number,
            worst.epoch,
            worst.validation_accuracy_percent,
            worst.train_accuracy_percent,
            worst.measurement_lag_points,
            "a smaller training.batch_size makes more steps an epoch"
            if settings.evaluation == "averaged"
            else 'training.evaluation = "averaged" measures the network itself',
        )

    def _record(self, row: Network, journal: Sequence[JournalEpoch]) -> None:
        layers, edges = graph_records(self.architectures[row.network])
        self.writer.record(
            row, epochs=journal, predictions=predictions_of(journal), layers=layers, edges=edges
        )
        self.rows[row.network] = row
        if self.watcher:
            self.watcher.ended(self, row)


def network_seed(seed: int, number: int) -> int:
    """Seed of one network's training, below 2^63 so that any tool can store it."""
    return int(np.random.SeedSequence([seed, number]).generate_state(1, np.uint64)[0] >> np.uint64(1))
