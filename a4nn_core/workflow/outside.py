"""A search whose networks are trained elsewhere: asked for and told one by one, by any number of processes.

Each call opens the run, replays its event log, does one thing and closes the run, so nothing need stay alive
between them. What was handed out is in the event log; what was told is recorded as a network like all others,
with the source ``told``.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from math import isfinite
from pathlib import Path

from a4nn_core.commons import JournalEpoch, RunFolder, RunWriter, read_epochs
from a4nn_core.commons.events import Submitted
from a4nn_core.commons.layout import check_run_id
from a4nn_core.commons.lock import holder
from a4nn_core.errors import BadInput
from a4nn_core.experiment import Experiment
from a4nn_core.jsonable import members, whole
from a4nn_core.metrics import ACCURACY_PERCENT, ERROR_PERCENT, find_metric
from a4nn_core.penguin.observed import Past
from a4nn_core.search.base import Candidate
from a4nn_core.spaces.architecture import Architecture, Shape
from a4nn_core.spaces.base import Genome
from a4nn_core.termination.base import RULES
from a4nn_core.training.segment import Segment, SegmentResult
from a4nn_core.version import __version__
from a4nn_core.vocabulary import ELSEWHERE, EventKind, RunStatus
from a4nn_core.workflow.best import best_genomes
from a4nn_core.workflow.devices import Machine
from a4nn_core.workflow.final import has_ended
from a4nn_core.workflow.network_records import told_record
from a4nn_core.workflow.plan import is_of_experiment, recorded_header, resolve
from a4nn_core.workflow.prior import resolve_again
from a4nn_core.workflow.search import Search, network_seed

PATIENCE_SECONDS = 60.0
"""how long is waited for others that ask and tell at the same moment"""
_PAUSE_SECONDS = 0.2
TOGETHER = 1e-6
"""by how much accuracy and error may miss 100 percent together"""


@dataclass(frozen=True)
class Handed:
    """A network that is handed out to be trained.

    Attributes:
        candidate: what the strategy asked for.
        architecture: the network.
        seed: seed that its training here would have.
    """

    candidate: Candidate
    architecture: Architecture
    seed: int


@dataclass(frozen=True)
class Measurement:
    """What was measured of a network elsewhere.

    Attributes:
        network: number of the network.
        values: metric name to value; at least the objectives that are not known before training.
        curve: validation accuracy in percent after each epoch; empty if it is not known. With it, error and
            accuracy need not be told, and later searches can learn from the network.
        seconds: how long that took; None if it is not known.
        failed: what went wrong; None if nothing did. A network that failed has no values.
    """

    network: int
    values: Mapping[str, float] = field(default_factory=dict)
    curve: tuple[float, ...] = ()
    seconds: float | None = None
    failed: str | None = None


@contextmanager
def outside(
    run_id: str, commons: Path | str = "commons", experiment: Experiment | None = None
) -> Iterator[Outside]:
    """Open a run whose networks are trained elsewhere; a new one if there is none of this id.

    Args:
        run_id: id of the run.
        commons: folder of the data commons.
        experiment: the search; needed for a new run.

    Raises:
        BadInput: there is no such run and no experiment, the run has ended or belongs to another experiment,
            or another process trains its networks.
    """
    check_run_id(run_id)
    commons = Path(commons)
    held = recorded_header(commons, run_id)
    if held is None:
        opened = _new(run_id, commons, experiment)
    else:
        if experiment is not None:
            is_of_experiment(experiment, commons, run_id)
        recorded = members(held.get("experiment"))
        begun = Experiment.from_record(recorded, f"run {run_id}")
        if has_ended(begun, commons, run_id):
            raise BadInput(f"run {run_id!r} is complete: it asks for no further networks")
        header = {"experiment": recorded, "dataset_fingerprint": held.get("dataset_fingerprint")}
        opened = _Opened(begun, header, held)
        if "prior" in held:
            prior = resolve_again(held.get("prior"), commons, run_id)
            best = best_genomes(begun, commons, prior.recorded, _decoder(begun, held))
            opened = replace(opened, past=prior.past, best=best)
    folder = RunFolder(commons, run_id)
    other = holder(folder.lock) if folder.lock.is_file() else None
    patience = PATIENCE_SECONDS if other is None or other.get("asked_from_outside") else 1.0
    with RunWriter.open(commons, run_id, opened.header, patience, asked_from_outside=True) as writer:
        if not writer.resumed:
            writer.events.append(EventKind.started, code_version=__version__, device=ELSEWHERE)
        one = Outside(opened, writer)
        status = RunStatus.interrupted
        try:
            yield one
            if one.complete:
                status = RunStatus.completed
                writer.events.append(EventKind.completed)
        finally:
            one.close()
            writer.finish(status, stopped=one.stopping.reason if status is RunStatus.completed else None)
    if status is RunStatus.completed:
        from a4nn_core.commons.compact import compact_run

        compact_run(commons, run_id)


@dataclass(frozen=True)
class _Opened:
    """What is known of a run before it is opened.

    Attributes:
        experiment: the experiment as it was resolved.
        header: header to open the run with.
        recorded: header that the run has.
        past: the earlier runs that it learns from.
        best: genomes of these that it begins with.
    """

    experiment: Experiment
    header: Mapping[str, object]
    recorded: Mapping[str, object]
    past: tuple[Past, ...] = ()
    best: tuple[Genome, ...] = ()


def _new(run_id: str, commons: Path, experiment: Experiment | None) -> _Opened:
    if experiment is None:
        raise BadInput(
            f"commons {commons} has no run {run_id!r}; a4nn ask {run_id} --experiment FILE begins it"
        )
    plan = resolve(experiment, commons, run_id, Machine.of(experiment.training))
    for metric in plan.experiment.search.metrics():
        if not metric.repeatable:
            metric.read(plan.largest)  # what it lacks is said before anything is written
    header = {**plan.header, "device": ELSEWHERE}
    return _Opened(plan.experiment, header, header, plan.prior.past if plan.prior else (), plan.best)


def _images(run: Mapping[str, object]) -> tuple[Shape, int]:
    """Shape of the images and number of classes that a run recorded.

    Raises:
        BadInput: it did not.
    """
    dataset = run.get("dataset")
    shape, classes = (
        dataset.get(name) if isinstance(dataset, dict) else None for name in ("shape", "classes")
    )
    if not isinstance(shape, list) or not isinstance(classes, list):
        raise BadInput("the run did not record what its images look like, so its networks are not known")
    channels, height, width = (whole(size) or 0 for size in shape)
    return (channels, height, width), len(classes)


def _decoder(experiment: Experiment, run: Mapping[str, object]) -> Callable[[Genome], Architecture]:
    shape, classes = _images(run)
    return lambda genome: experiment.space.decode(genome, shape, classes)


class _Nobody:
    """An executor that trains nothing; its slots are the networks that are wanted."""

    is_local = False

    def __init__(self) -> None:
        self.slots = 0

    def submit(self, segment: Segment) -> None:
        raise NotImplementedError

    def completed(self, timeout: float) -> list[SegmentResult]:
        time.sleep(timeout)
        return []

    def close(self) -> None:
        """There is nothing to end."""


class Outside(Search):
    """The search, as long as the run is open."""

    def __init__(self, opened: _Opened, writer: RunWriter) -> None:
        shape, classes = _images(opened.recorded)
        # rules judge curves, and budgets count work, that are not seen here
        own = {"termination": RULES.make("none", "[termination]"), "budget": None}
        self._nobody = _Nobody()
        self._offered: dict[int, Candidate] = {}
        super().__init__(
            opened.experiment.model_copy(update=own),
            writer,
            self._nobody,
            shape,
            classes,
            ELSEWHERE,
            past=opened.past,
            best=opened.best,
        )
        self._replay()
        self._advance_all()

    # asking

    def ask(self, count: int) -> list[Handed]:
        """Hand out up to ``count`` networks that were not handed out before.

        Returns:
            the networks; none if results must be told first, or if the search has ended.

        Raises:
            BadInput: the strategy cannot go on.
            RunFailed: all networks are outside the bounds.
        """
        while len(self.free) < count and not self.complete:
            self._nobody.slots = count - len(self.free)
            self._fill()
            if not self.strategy.waits and not self.strategy.rejected():
                break
            if self.strategy.waits:
                time.sleep(_PAUSE_SECONDS)
        found = [self.candidates[number] for number in self.free[:count]]
        for candidate in found:
            version = self._version(candidate, 0)
            self.writer.events.append(Submitted(0, 0, version), candidate.number, candidate.generation)
        return [self._handed(candidate) for candidate in found]

    @property
    def free(self) -> list[int]:
        """Numbers of the networks that were asked for and not handed out."""
        return [n for n in self._offered if n not in self.reported and not self._is_out(n)]

    @property
    def open(self) -> list[Handed]:
        """The networks that were handed out and not told."""
        return [self._handed(one) for n, one in self._offered.items() if self._is_out(n)]

    @property
    def complete(self) -> bool:
        """Whether all networks that the search looks at have been told."""
        return self._has_asked_enough

    def _is_out(self, number: int) -> bool:
        return (number, 0) in self._versions and number not in self.reported

    def _handed(self, candidate: Candidate) -> Handed:
        number = candidate.number
        return Handed(candidate, self.architectures[number], network_seed(self.experiment.seed, number))

    # telling

    def tell(self, measurements: Sequence[Measurement]) -> None:
        """Record what was measured of networks; all of it, or nothing.

        Raises:
            BadInput: one of them cannot be told; says which and why.
        """
        numbers = [one.network for one in measurements]
        for place, one in enumerate(measurements):
            if one.network in numbers[:place]:
                raise BadInput(f"network {one.network} is told twice at once")
            self._check(one)
        for one in measurements:
            candidate = self.candidates[one.network]
            architecture = self.architectures[one.network]
            row = told_record(
                candidate,
                architecture,
                _fitness(one),
                curve=one.curve,
                seconds=one.seconds,
                failed=one.failed,
                before=self._readings.value,
                metrics=self.metrics,
                device=ELSEWHERE,
            )
            curve = enumerate(one.curve, start=1)
            epochs = [JournalEpoch(epoch=epoch, validation_accuracy_percent=value) for epoch, value in curve]
            self._record(row, epochs)
            self._offered.pop(one.network, None)
            self._advance_all()

    def _check(self, one: Measurement) -> None:
        """Refuse what cannot be told of a network."""
        number = one.network
        if number in self.reported:
            known = self.networks[number].fitness or {}
            said = ", ".join(
                f"{name} = {known[name]}" for name in self.experiment.search.objectives if name in known
            )
            raise BadInput(f"network {number} has its result already: {said or self.networks[number].status}")
        if number not in self.candidates or not self._is_out(number):
            waiting = ", ".join(str(other.candidate.number) for other in self.open) or "none"
            run = self.writer.folder.run_id
            raise BadInput(f"run {run!r} has handed out no network {number}; it waits for: {waiting}")
        if epochs := len(read_epochs(self.writer.folder.journal(number))):
            raise BadInput(
                f"network {number} has been trained here for {epochs} epochs: a4nn run --run-id "
                f"{self.writer.folder.run_id} goes on with it"
            )
        if one.seconds is not None and not 0 <= one.seconds < float("inf"):
            raise BadInput(f"network {number}: seconds = {one.seconds:g} is no duration")
        if one.failed is not None and one.values:
            raise BadInput(f"network {number}: it failed, and so {next(iter(one.values))} cannot be told")
        told = list(one.values.items()) + [(ACCURACY_PERCENT.name, value) for value in one.curve]
        for name, value in told:
            _check_value(number, name, value)
        if one.failed is None:
            self._check_complete(one)

    def _check_complete(self, one: Measurement) -> None:
        told = _fitness(one)
        missing = [
            name
            for name in self.experiment.search.objectives
            if not find_metric(name).before_training and name not in told
        ]
        if missing:
            raise BadInput(
                f"network {one.network}: {', '.join(missing)} is missing, an objective of the search"
            )
        error, accuracy = told.get(ERROR_PERCENT.name), told.get(ACCURACY_PERCENT.name)
        if error is not None and accuracy is not None and abs(error + accuracy - 100) > TOGETHER:
            raise BadInput(
                f"network {one.network}: {ERROR_PERCENT.name} = {error:g} and {ACCURACY_PERCENT.name} = "
                f"{accuracy:g} do not add up to 100"
            )
        if one.curve and accuracy is not None and abs(accuracy - max(one.curve)) > TOGETHER:
            raise BadInput(
                f"network {one.network}: its best accuracy is {accuracy:g} %, but that of its curve is "
                f"{max(one.curve):g} %"
            )

    def close(self) -> None:
        """End what the strategy has started."""
        self.strategy.close()

    # what is otherwise here is not trained

    def _advance_all(self) -> None:
        for candidate in list(self.candidates.values()):
            self._advance(candidate)

    def _submit(self, candidate: Candidate, epochs: int | None = None) -> None:
        """It waits until it is handed out."""
        del epochs
        self._offered[candidate.number] = candidate


def _fitness(one: Measurement) -> dict[str, float]:
    """What was told, with accuracy and error from each other and from the curve."""
    told = dict(one.values)
    if one.curve and ERROR_PERCENT.name not in told:
        told.setdefault(ACCURACY_PERCENT.name, max(one.curve))
    for known, other in (
        (ERROR_PERCENT.name, ACCURACY_PERCENT.name),
        (ACCURACY_PERCENT.name, ERROR_PERCENT.name),
    ):
        if known in told:
            told.setdefault(other, 100 - told[known])
    return told


def _check_value(number: int, name: str, value: float) -> None:
    """Refuse a value that cannot be told."""
    try:
        metric = find_metric(name)
    except BadInput as error:
        raise BadInput(f"network {number}: {error}") from None
    if metric.before_training:
        raise BadInput(f"network {number}: {name} is known from the architecture, and is not told")
    low, high = metric.bounds
    if not isfinite(value) or (low is not None and value < low) or (high is not None and value > high):
        least = "" if low is None else f" from {low:g}"
        most = "" if high is None else f" to {high:g}"
        raise BadInput(f"network {number}: {name} = {value:g} is not a number{least}{most}")
