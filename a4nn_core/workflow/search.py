"""The search loop: one loop over any executor.

The event log is its only state. A resumed run replays the log against the strategy, checks that it asks for
the same candidates, and continues.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from itertools import islice
from types import MappingProxyType

import numpy as np

from a4nn_core.commons import JournalEpoch, RunWriter, read_epochs
from a4nn_core.commons.epochs import predictions_of
from a4nn_core.commons.events import SegmentEnded, Submitted, Told, payload
from a4nn_core.commons.records import Epoch, Network
from a4nn_core.errors import BadInput, RunFailed
from a4nn_core.experiment import Experiment
from a4nn_core.metrics import values
from a4nn_core.penguin.measure import measure_of
from a4nn_core.penguin.observed import Past
from a4nn_core.precision import Images
from a4nn_core.recorded_graphs import graph_records
from a4nn_core.search.base import Candidate, Study
from a4nn_core.spaces.architecture import Architecture, Shape
from a4nn_core.spaces.base import Genome
from a4nn_core.termination.base import FrontSnapshot
from a4nn_core.termination.peers import PeerRule
from a4nn_core.training.segment import Inheritance, Segment, SegmentResult
from a4nn_core.vocabulary import Action, EventKind, FitnessSource, NetworkStatus
from a4nn_core.workflow.asking import Asking
from a4nn_core.workflow.checkpoints import Keeper, kept_epochs
from a4nn_core.workflow.executor import Executor
from a4nn_core.workflow.fruitless import check_feasible, check_trained
from a4nn_core.workflow.lag import warn_of_lag
from a4nn_core.workflow.network_records import (
    equal_record,
    infeasible_record,
    network_record,
    prediction_before,
)
from a4nn_core.workflow.promotion import Promotion, segment_after, segment_ends
from a4nn_core.workflow.readings import Readings
from a4nn_core.workflow.spending import BudgetUsedUp, Spending
from a4nn_core.workflow.stopping import Stopping
from a4nn_core.workflow.submitted import SubmittedSegments
from a4nn_core.workflow.telling import Telling, finite
from a4nn_core.workflow.watcher import SearchView, Watcher

log = logging.getLogger(__name__)


class Search:
    """One run of an experiment.

    Args:
        experiment: the experiment to run.
        writer: open writer of the run's records.
        executor: trains the segments.
        shape: shape of the images, (channels, height, width).
        classes: number of classes.
        device: device that networks train on.
        watcher: called as the search proceeds; None if nothing watches.
        past: the earlier runs that the experiment names as its prior.
        best: genomes of those runs to begin with, the best first: ``[prior] best`` of them, within the
            bounds.
        map_key: key by which workers map the data; empty if each loads its own.

    Attributes:
        images: numbers of images that accuracies are measured on.
        networks: final records by number of the network.
        paused: what is known of the networks that wait for a verdict, or are trained on after one.
        candidates, architectures: of all networks that were asked for, by number.
        training: segments in training or waiting for a free slot, by number of the network.
        stopping: ends the search before its number of networks, by ``[search] stop``.
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
        past: tuple[Past, ...] = (),
        best: Sequence[Genome] = (),
        map_key: str = "",
    ) -> None:
        self.experiment = experiment
        self.past = past
        self.writer = writer
        self.executor = executor
        self.shape = shape
        self.classes = classes
        self.device = device
        self.watcher = watcher
        self.images = Images.of(writer.header.get("dataset"))
        self.metrics = experiment.search.metrics()
        self._readings = Readings(writer.events)
        self.limits = experiment.search.limits(self._readings.value)
        training = experiment.training
        measure = measure_of(writer.header.get("dataset"))
        study = Study(self._decode, training.epochs, measure, training.curves, past)
        self.strategy = experiment.search.begin(
            experiment.space, experiment.seed, self._violation_of_genome, study
        )
        wanted = experiment.prior.best if experiment.prior is not None else None
        if wanted is not None:
            within = (genome for genome in best if not self._violation_of_genome(genome))
            self.strategy.sow(list(islice(within, wanted)))
        self._map_key = map_key
        self._tables = experiment.to_mapping()
        self.networks: dict[int, Network] = writer.recorded()
        self.paused: dict[int, Network] = {}
        self._asking = Asking(self.strategy, writer, self._decode, self.limits)
        self.candidates = self._asking.candidates
        self.architectures = self._asking.architectures
        self.stopping = Stopping(experiment.search, writer.events, self._is_to_be_trained)
        self._telling = Telling(
            self.strategy, experiment.search, self.candidates, writer.events, self.stopping.told
        )
        self._submitted = SubmittedSegments(executor, lambda: not self._is_used_up())
        self.training = self._submitted.segments
        self._versions: dict[tuple[int, int], int] = {}
        self._failures = 0
        self._lag_reported = False
        rule = experiment.termination
        self._ends = segment_ends(experiment.training, rule)
        self._promotion = (
            Promotion(rule, experiment, writer, measure, past) if isinstance(rule, PeerRule) else None
        )
        policy = experiment.training.keep_checkpoints
        self._keeper = Keeper(writer, policy, experiment.search.objectives)
        self._used_up: str | None = None
        self._spending = (
            Spending(
                experiment.budget,
                writer,
                self.networks.values(),
                training.slots_per_device,
                on_gpu=device.partition(":")[0] not in ("cpu", "auto"),
            )
            if experiment.budget is not None
            else None
        )
        self._keeps_parents = experiment.search.inherits

    def run(self) -> None:
        """Search to the end.

        Raises:
            BadInput: the event log does not fit the experiment, or the disk is full.
            RunFailed: too many networks failed one after another, or no network was trained with a result.
            BudgetUsedUp: the budget is used up; all networks have ended after an epoch.
        """
        self.writer.folder.ending.unlink(missing_ok=True)  # an earlier process was killed while it ended
        try:
            self._replay()
            self._keeper.resume(self.networks)
            while not self._has_asked_enough:
                self._fill()
                if not self._has_asked_enough:
                    self._collect()
                self._poll()
            self._finish()
        finally:
            self.strategy.close()
            self.writer.folder.ending.unlink(missing_ok=True)
        self._keeper.generation(self.networks)
        self._check_feasible()
        check_trained(self.networks.values())

    @property
    def _has_asked_enough(self) -> bool:
        """Whether all networks that the search looks at have been asked for and told."""
        stopped = self.stopping.reason is not None and len(self.reported) == len(self.candidates)
        return self.strategy.finished or stopped

    def _is_used_up(self) -> bool:
        """Whether the budget is used up. Once it is, nothing is started any more."""
        if self._spending is not None and self._used_up is None:
            self._used_up = self._used(self._spending)
        return self._used_up is not None

    def _used(self, spending: Spending) -> str | None:
        return spending.used_up(
            {number: a.flops for number, a in self.architectures.items() if number not in self.networks}
        )

    def _end_if_used_up(self) -> None:
        """End the run if its budget is used up, when each network in training has ended its epoch.

        Raises:
            BudgetUsedUp: it is.
        """
        if self._spending is None or not self._is_used_up():
            return
        self._submitted.withdraw_waiting()
        if self.training:
            log.warning("the budget is used up: %d networks end after their epoch", len(self.training))
            self.writer.folder.ending.touch()
        while self.training:
            self._receive()
            self._poll()
        # as it is now, after the last epochs
        raise BudgetUsedUp(f"its budget is used up: {self._used(self._spending) or self._used_up}")

    def _poll(self) -> None:
        if self.watcher:
            self.watcher.on_poll(self.view())

    def _finish(self) -> None:
        """Let the rule look at all networks once more, and end those that still wait."""
        if self._promotion is None:
            return
        self._promotion.due = True
        while True:
            self._promote(self._promotion, final=True)
            if not self.training:
                break
            self._collect()
            self._poll()
        for number in sorted(self._promotion.waiting):
            self._end_paused(number)
        self._report()
        for number, candidate in self.candidates.items():
            original = self._asking.original(number)
            if number not in self.networks and original in self.networks:
                self._record_equal(candidate, self.networks[original])

    def view(self) -> SearchView:
        """The present state, for watchers."""
        return SearchView(
            experiment=self.experiment,
            images=self.images,
            folder=self.writer.folder,
            generation=self.strategy.generation,
            networks=MappingProxyType(
                {**self.networks, **{n: row for n, row in self.paused.items() if n not in self.training}}
            ),
            training=tuple(self.training),
        )

    def _collect(self) -> None:
        """Wait a short while for results, and process those that have arrived; while there is a budget."""
        self._end_if_used_up()
        self._receive()

    def _receive(self) -> None:
        """Wait a short while for results, and process those that have arrived."""
        for segment, result in self._submitted.ended(self.strategy.waits):
            if self._spending is not None and not self.executor.is_local:
                self._spending.trained_on(result.device)
            self._end_segment(segment, result)

    def _fill(self) -> None:
        """Ask for and submit as many candidates as the schedule allows now."""
        while True:
            generation = self.strategy.generation
            for candidate in list(self.candidates.values()):
                self._advance(candidate)
            if self._promotion is not None:
                self._promote(self._promotion)
            if self.strategy.generation != generation and not self._keeps_parents:
                self._keeper.generation(self.networks)
            if not self._ask():
                return

    # the strategy

    def _replay(self) -> None:
        """Report to the strategy again what the event log holds, and check that it asks for the same."""
        for event in self.writer.events:
            number = event.network
            if event.kind == EventKind.rejected:
                self._asking.replay_rejected(event)
            if number is None:
                continue
            if self._asking.begins_batch(event):
                self.stopping.barrier()
                self._asking.replay()
            elif event.kind == EventKind.submitted:
                submitted = payload(event, Submitted)
                self._versions.setdefault((number, submitted.segment), submitted.front_version)
            elif event.kind == EventKind.told:
                told = payload(event, Told)
                self._telling.tell(number, told, log=False)
            elif event.kind == EventKind.judged and self._promotion is not None:
                self._promotion.replay(event)
        if self._promotion is not None:
            self._find_waiting(self._promotion)

    @property
    def steady(self) -> bool:
        """Whether there is no barrier between generations."""
        return self.experiment.search.schedule == "steady"

    def _ask(self) -> bool:
        """Ask for as many candidates as the schedule allows; returns whether there were any."""
        self._check_feasible()
        count = self.executor.slots - len(self.training)
        if not self.steady:
            if self.stopping.waits(len(self.candidates) - len(self.reported)):
                return False
            count = self.stopping.most(self.experiment.search.networks)
        if count < 1 or self.stopping.reason is not None:
            return False
        return bool(self._asking.ask(count))

    def _check_feasible(self) -> None:
        check_feasible(self.architectures, self.limits, self.experiment.search.networks)

    def _outcome(self, number: int, of: Network) -> Told:
        """What is told of a network: how far it came, or how far the one that it equals did."""
        fitness = finite(of.fitness)
        source = None if fitness is None else of.fitness_source or FitnessSource.measured
        violation = self._violation(number)
        if fitness is None or of.equal_to is not None or of.epochs_trained == of.epochs_budget:
            return Told(fitness, source, violation)
        return Told(fitness, source, violation, of.epochs_trained, self._best_training(of.network))

    def _best_training(self, number: int) -> float | None:
        """Best score on the training images that a network has reached: accuracy in percent, or decibels."""
        if self._promotion is not None:
            return max(self._promotion.observed(number).training, default=None)
        epochs = self.writer.recorded_epochs(number)
        return max((a for e in epochs if (a := e.train_score) is not None), default=None)

    # the bounds

    def _decode(self, genome: Genome) -> Architecture:
        return self.experiment.space.decode(genome, self.shape, self.classes)

    def _violation_of_genome(self, genome: Genome) -> float:
        """Violation of the bounds by a genome; strategies use it to look for feasible genomes."""
        return self.limits.violation(self._decode(genome)) if self.limits.bounds else 0.0

    def _violation(self, number: int) -> float:
        return self.limits.violation(self.architectures[number])

    def _is_to_be_trained(self, number: int) -> bool:
        """Whether a network is within the bounds, and the first of its architecture."""
        return not self._violation(number) and self._asking.original(number) == number

    # the networks

    def _advance(self, candidate: Candidate) -> None:
        """Take one candidate as far as possible now: submitted, recorded as not trained, or reported."""
        number = candidate.number
        if number in self.reported or number in self.training or number in self.paused:
            return
        violation = self._violation(number)
        if number not in self.networks and violation:
            architecture = self.architectures[number]
            self._record(infeasible_record(candidate, architecture, self.limits.explain(architecture)), [])
        elif number not in self.networks:
            original = self._asking.original(number)
            if original == number:
                self._submit(candidate)
                return
            if original in self.paused and original in self.reported:
                self._telling.tell(
                    number, self._outcome(number, self.paused[original])
                )  # recorded when the other one ends
                return
            if original not in self.networks:
                return  # the network it equals is still in training
            self._record_equal(candidate, self.networks[original])
        elif self._promotion is not None and self.networks[number].epochs_trained:
            return  # told together with those that are paused
        self._telling.tell(number, self._outcome(number, self.networks[number]))

    def _record_equal(self, candidate: Candidate, original: Network) -> None:
        epochs = self.experiment.training.epochs
        self._record(equal_record(candidate, self.architectures[candidate.number], original, epochs), [])

    def _submit(self, candidate: Candidate, epochs: int | None = None) -> None:
        """Put a network's next segment into the queue.

        It counts as submitted from here on, and is judged against the front of this moment, however long it
        waits for a slot.

        Args:
            candidate: the network.
            epochs: number of epochs it has been trained; None to read it from the journal that an earlier
                process may have left.
        """
        number = candidate.number
        if epochs is None:
            epochs = len(read_epochs(self.writer.folder.journal(number)))
        settings = self.experiment.training
        if candidate.learning_rate is not None:
            settings = settings.with_learning_rate(candidate.learning_rate)
        number_of_segment, limit = segment_after(self._ends, epochs)
        version = self._version(candidate, number_of_segment)
        architecture = self.architectures[number]
        segment = Segment(
            commons=str(self.writer.folder.commons.resolve()),
            run_id=self.writer.folder.run_id,
            network=number,
            generation=candidate.generation,
            architecture=architecture,
            data=self._tables["data"],
            map_key=self._map_key,
            training=settings,
            termination=self._tables["termination"],
            fixed=values(
                (m for m in self.metrics if m.before_training), architecture, before=self._readings.value
            ),
            seed=network_seed(self.experiment.seed, number),
            device=self.device,
            # it is not known what else trains on a machine of a work pool
            slots=self.executor.slots if self.executor.is_local else 0,
            number=number_of_segment,
            from_epoch=epochs,
            epoch_limit=limit if limit < settings.epochs else None,
            front=self.front(version),
            inheritance=self._inheritance(candidate),
        )
        self.writer.events.append(
            Submitted(segment=segment.number, from_epoch=epochs, front_version=version),
            number,
            candidate.generation,
        )
        self._submitted.submit(segment)

    def _inheritance(self, candidate: Candidate) -> Inheritance | None:
        """Where the weights come from that a network begins with; None if it begins with fresh ones."""
        parent = None if candidate.inherit_from is None else self.networks.get(candidate.inherit_from)
        if parent is None or parent.checkpoint is None or parent.checkpoint_sha256 is None:
            return None
        return Inheritance(
            network=parent.network,
            checkpoint=parent.checkpoint,
            sha256=parent.checkpoint_sha256,
            architecture=self.architectures[parent.trained_as],
            morph=candidate.morph,
        )

    def _version(self, candidate: Candidate, segment: int) -> int:
        """Version of the front snapshot that a segment is judged against. A segment that is submitted again
        after a crash keeps its first version, so that verdicts do not depend on the crash."""
        now = len(self.reported) if self.steady else candidate.generation
        return self._versions.setdefault((candidate.number, segment), now)

    def front(self, version: int) -> FrontSnapshot:
        """The front at an earlier moment; see Telling."""
        return self._telling.front(version)

    @property
    def reported(self) -> Mapping[int, Mapping[str, float] | None]:
        """What the strategy was told; see Telling."""
        return self._telling.reported

    def _end_segment(self, segment: Segment, result: SegmentResult) -> None:
        """Log how a segment ended; then submit its network's next segment, or record the network."""
        number = result.network
        candidate = self.candidates[number]
        if result.fatal:
            raise BadInput(f"network {number} could not be trained: {result.error}")
        journal = read_epochs(self.writer.folder.journal(number))
        self._log_end(candidate, result, journal)
        if result.status == NetworkStatus.paused and (not journal or journal[-1].verdict is Action.proceed):
            # the segment ended, not the network's training
            if self._promotion is not None and self._promotion.waits_at(len(journal)):
                self._pause(self._promotion, candidate, result, journal)
            elif self._used_up is None:
                self._submit(candidate, len(journal))
            return
        self._end_network(candidate, segment.front.version, result, journal)

    def _log_end(self, candidate: Candidate, result: SegmentResult, journal: Sequence[JournalEpoch]) -> None:
        self.writer.events.append(
            SegmentEnded(
                segment=result.number,
                epochs=len(journal),
                error=result.error,
                manner=journal[-1].computing if journal else None,
                status=result.status,
            ),
            result.network,
            candidate.generation,
        )
        log.log(
            logging.WARNING if result.status == NetworkStatus.failed else logging.INFO,
            "network %d: %s",
            result.network,
            result.error or result.status,
            extra={
                "run": self.writer.folder.run_id,
                "network": result.network,
                "generation": candidate.generation,
                "epoch": len(journal),
                "status": result.status,
                "device": result.device,
            },
        )

    def _end_network(
        self,
        candidate: Candidate,
        front_version: int,
        result: SegmentResult,
        journal: Sequence[JournalEpoch],
    ) -> None:
        """Write a network's final records.

        Raises:
            RunFailed: too many networks in a row have failed.
        """
        number = candidate.number
        if not self._lag_reported:
            self._lag_reported = warn_of_lag(number, journal, self.experiment.training.evaluation)
        if self._promotion is not None:
            journal = self._promotion.with_verdicts(number, journal)
        epochs = kept_epochs(journal, self.experiment.training.keep_checkpoints)
        row = self._network_record(candidate, epochs, result, front_version)
        self._record(row, epochs)
        self.paused.pop(number, None)
        if self._spending is not None:
            self._spending.ended(number, journal, self.architectures[number].flops)
        if self._promotion is not None:
            if result.status == NetworkStatus.failed:
                self._promotion.forget(number)
            else:
                self._observe(self._promotion, number, journal)
                self._promotion.left(number)
            self._promotion.due = True
        self._keeper.ended(row)
        self._failures = self._failures + 1 if result.status == NetworkStatus.failed else 0
        if self._failures >= self.experiment.training.failures_in_a_row:
            raise RunFailed(
                f"{self._failures} networks failed one after another; the last, network {number}: "
                f"{result.error}"
            )

    def _network_record(
        self, candidate: Candidate, epochs: Sequence[JournalEpoch], result: SegmentResult, front_version: int
    ) -> Network:
        number, folder = candidate.number, self.writer.folder
        return network_record(
            candidate,
            self.architectures[number],
            epochs,
            result,
            epochs_budget=self.experiment.training.epochs,
            seed=network_seed(self.experiment.seed, number),
            front_version=front_version,
            checkpoints=str(folder.checkpoints(number).relative_to(folder.commons)),
            metrics=self.metrics,
            before=self._readings.value,
            inheritance=self._inheritance(candidate),
        )

    # rules that compare networks

    def _pause(
        self,
        promotion: Promotion,
        candidate: Candidate,
        result: SegmentResult,
        journal: Sequence[JournalEpoch],
    ) -> None:
        """Let a network wait for a verdict at its checkpoint."""
        number = candidate.number
        known = number in self.paused
        self.paused[number] = self._network_record(candidate, journal, result, self._front_version(number))
        self._observe(promotion, number, journal)
        promotion.arrived(number)
        if self.watcher and not known:
            self.watcher.on_network_end(self.view(), self.paused[number])

    def _front_version(self, number: int) -> int:
        """Version of the front snapshot that a network's last segment was judged against."""
        return max((v for (n, _), v in self._versions.items() if n == number), default=0)

    def _observe(self, promotion: Promotion, number: int, epochs: Sequence[Epoch]) -> None:
        promotion.observe(number, self.candidates[number].generation, self.architectures[number], epochs)

    def _promote(self, promotion: Promotion, final: bool = False) -> None:
        """Ask the rule which of the waiting networks are trained on.

        On a generational schedule it is asked when no network is in training, so that its verdicts do not
        depend on the order in which trainings end; the strategy is told when no network is promoted any more.
        """
        if not promotion.due or (self.training and not self.steady):
            return
        verdicts = promotion.judge(final, self.training)
        promoted = [number for number, verdict in verdicts.items() if verdict.action is Action.proceed]
        for number, verdict in verdicts.items():
            if verdict.action is Action.stop:
                self._end_paused(number)
        for number in promoted:
            self._resume(promotion, number)
        if not final and (self.steady or not promoted):
            self._report()

    def _resume(self, promotion: Promotion, number: int) -> None:
        """Train a paused network on."""
        promotion.left(number)
        self._submit(self.candidates[number], self.paused[number].epochs_trained)

    def _end_paused(self, number: int) -> None:
        """End a network that waits for good."""
        row = self.paused[number]
        journal = read_epochs(self.writer.folder.journal(number))
        result = SegmentResult(
            number,
            segment_after(self._ends, len(journal))[0],
            NetworkStatus.stopped,
            device=row.device or self.device,
        )
        self._end_network(self.candidates[number], row.front_version or 0, result, journal)

    def _report(self) -> None:
        """Tell the strategy how far each network has come, where that is new to it."""
        known = {**self.networks, **self.paused}
        for revised in (True, False):  # what is known already first: survival looks at all
            for number in sorted(known):
                untold = number not in self.reported
                if number in self.training or untold == revised or known[number].equal_to is not None:
                    continue
                self._telling.tell_news(number, self._outcome(number, known[number]))
        for number in sorted(self.reported):
            original = self._asking.original(number)
            if original != number and original in known and original in self.reported:
                self._telling.tell_news(number, self._outcome(number, known[original]))

    def _find_waiting(self, promotion: Promotion) -> None:
        """Find out from records and journals which networks an earlier process left waiting."""
        for number, candidate in self.candidates.items():
            if number in self.networks:
                if self.networks[number].trained:
                    self._observe(promotion, number, self.writer.recorded_epochs(number))
                continue
            journal = read_epochs(self.writer.folder.journal(number))
            if not journal or journal[-1].verdict is not Action.proceed:
                continue
            self._observe(promotion, number, journal)
            if promotion.waits_at(len(journal)):
                result = SegmentResult(number, 0, NetworkStatus.paused, device=self.device)
                self.paused[number] = self._network_record(
                    candidate, journal, result, self._front_version(number)
                )
                verdict = promotion.verdict(number)
                if verdict is not None and verdict.action is Action.proceed:
                    self._submit(candidate, len(journal))
                else:
                    promotion.arrived(number)
        promotion.due = True

    def _record(self, network: Network, journal: Sequence[JournalEpoch]) -> None:
        layers, edges = graph_records(self.architectures[network.network])
        predictions = predictions_of(journal)
        if journal:
            candidate = self.candidates[network.network]
            predictions = prediction_before(candidate, self.experiment.search.name) + predictions
        self.writer.record(network, epochs=journal, predictions=predictions, layers=layers, edges=edges)
        self.networks[network.network] = network
        if self.watcher:
            self.watcher.on_network_end(self.view(), network)


def network_seed(seed: int, number: int) -> int:
    """Seed of one network's training; below 2^63, so that it fits a signed 64-bit column."""
    return int(np.random.SeedSequence([seed, number]).generate_state(1, np.uint64)[0] >> np.uint64(1))
