"""One segment of one network's life: epochs, checkpoints, verdicts, journal."""

from __future__ import annotations

import gc
import logging
import math
import os
import platform
import resource
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path

import torch
from torch.optim import SGD
from torch.optim.lr_scheduler import CosineAnnealingLR

from a4nn_core.commons import Journal, JournalEpoch, RunFolder, read_epochs
from a4nn_core.commons.lock import Held, KernelLock
from a4nn_core.commons.records import Prediction, best_epoch
from a4nn_core.errors import A4NNError, BadInput
from a4nn_core.jsonable import JsonText
from a4nn_core.precision import in_percent, standard_error
from a4nn_core.spaces.architecture import Architecture
from a4nn_core.spaces.build import Network
from a4nn_core.termination.base import RULES, Context, FitRecord, FrontSnapshot, Learning
from a4nn_core.termination.learning import judge_learning
from a4nn_core.training import energy
from a4nn_core.training.checkpoint import checkpoint_name, load_network, resume_training, save_checkpoint
from a4nn_core.training.evaluation import EvaluatedNetwork
from a4nn_core.training.loading import DeviceData, augmentation
from a4nn_core.training.manner import Manner
from a4nn_core.training.memory import Need, check_room, machine_memory
from a4nn_core.training.segment import SLOT_VARIABLE, Segment, SegmentResult, Status
from a4nn_core.training.settings import Training
from a4nn_core.training.steps import Computation, Stopwatch, evaluate, settle, train_epoch
from a4nn_core.vocabulary import Action

log = logging.getLogger(__name__)


LAG_POINTS = 15.0
"""from which on the measurement is said to lag: more than five standard errors of what it is measured on"""


class Diverged(A4NNError):
    """Training left the numbers."""


def train_segment(
    segment: Segment, data: DeviceData, device: torch.device, beat: Callable[[], None] = lambda: None
) -> SegmentResult:
    """Go on with a network from its last checkpoint until a verdict or the segment's epoch limit.

    Args:
        segment: what to train.
        data: on the device.
        device: of this process.
        beat: called after every step.

    After every epoch the checkpoint is written first and the journal line after it: an epoch in the journal
    always has its checkpoint. A killed segment that is started again goes on after the last epoch in
    the journal and, on the CPU with the same number of threads, gives the same numbers bit for bit.

    Raises:
        BadInput: the network certainly does not fit this device, or what it leaves cannot be written.
    """
    settings = Training.from_record(segment.training)
    torch.set_num_threads(settings.threads)
    folder = RunFolder(Path(segment.commons), segment.run_id)
    checkpoints = folder.checkpoints(segment.network)
    checkpoints.mkdir(parents=True, exist_ok=True)
    architecture = Architecture.from_json(segment.architecture)
    _check_room(segment, architecture, settings, len(data.train), device)
    with _only_one(checkpoints / "lock", os.environ.get(SLOT_VARIABLE) or segment.device):
        past = read_epochs(folder.journal(segment.network))
        usual = Manner.choose(settings, architecture, data.shape, len(data.train), device)
        _choose_algorithms(settings.deterministic, usual.compiled)
        life = _Life(segment, settings, architecture, data, device, folder, usual, beat)
        manner: Manner | None = usual.with_changes(past)
        trouble = ""
        while manner is not None:
            try:
                status = life.epochs(manner)
                test = life.test_accuracy(manner) if status != "paused" else None
                break
            except Diverged as error:
                return segment.failed(str(error))
            except Exception as error:
                # what the traceback holds would fill the memory during the next attempt
                trouble, manner = life.weaker(manner, error.with_traceback(None))
            _give_memory_back(device)
        else:
            return segment.failed(trouble)
        if status != "paused":
            _keep(checkpoints, read_epochs(folder.journal(segment.network)), settings)
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
    return SegmentResult(segment.network, segment.number, status, test_accuracy_percent=test, device=name)


class _Life:
    """One segment of a network's life, which can be tried in one manner and then in a weaker one."""

    def __init__(
        self,
        segment: Segment,
        settings: Training,
        architecture: Architecture,
        data: DeviceData,
        device: torch.device,
        folder: RunFolder,
        usual: Manner,
        beat: Callable[[], None],
    ) -> None:
        self.segment = segment
        self.settings = settings
        self.architecture = architecture
        self.data = data
        self.device = device
        self.usual = usual
        self.batch_size = settings.images_a_step(len(data.train))
        self._beat = beat
        visible = os.environ.get("CUDA_VISIBLE_DEVICES", "")
        # who shares a machine of a work pool or cluster is not known there, so nobody's share is either
        self.share = settings.slots_per_device if device.type == "cuda" else segment.slots
        measured = settings.energy and self.share > 0
        self.meter = energy.meter(device.type, visible) if measured else energy.Meter(())
        self.journal = folder.journal(segment.network)
        self.checkpoints = folder.checkpoints(segment.network)

    def beat(self) -> None:
        """Called after every step."""
        self._beat()
        self.meter.tick()

    def epochs(self, manner: Manner) -> Status:
        """Train from the last checkpoint on; gives how it ended."""
        settings, segment, data = self.settings, self.segment, self.data
        rule = RULES.make(segment.termination, "[termination]")
        context = Context(
            horizon=settings.epochs,
            fixed=segment.fixed,
            curves="as-trained" if settings.evaluation == "as-trained" else "averaged",
            schedule="annealed" if settings.final_learning_rate <= 0.1 * settings.learning_rate else None,
            front=FrontSnapshot(segment.front_version, tuple(segment.front_points), segment.objectives),
        )
        past = read_epochs(self.journal)
        curve = [accuracy for line in past if (accuracy := line.validation_accuracy_percent) is not None]
        learned = [accuracy for line in past if (accuracy := line.train_accuracy_percent) is not None]
        limit = min(segment.epoch_limit or settings.epochs, settings.epochs)
        action = past[-1].verdict if past else Action.proceed

        torch.manual_seed(segment.seed)
        model = Network(self.architecture).to(self.device)
        optimizer = SGD(
            model.parameters(),
            lr=settings.learning_rate,
            momentum=settings.momentum,
            weight_decay=settings.weight_decay,
        )
        scheduler = CosineAnnealingLR(optimizer, settings.epochs, eta_min=settings.final_learning_rate)
        augment = augmentation(settings.augment)
        computation = Computation(model, manner, self.batch_size, self.device)
        measured = EvaluatedNetwork(
            model, settings.evaluation, manner, self.batch_size, data, seed=segment.seed
        )
        if past:
            last = self.checkpoints / str(past[-1].checkpoint)
            resume_training(last, model, optimizer, scheduler, measured)
        computation.adopt(optimizer)

        def after_step() -> None:
            measured.after_step()
            self.beat()

        changed = manner.changed(self.usual)

        with Journal(self.journal) as journal:
            while action is Action.proceed and len(curve) < limit:
                epoch = len(curve) + 1
                started = time.perf_counter()
                self.meter.lap()
                watch = Stopwatch(self.device)
                rate = optimizer.param_groups[0]["lr"]
                watch.mark()
                trained = train_epoch(
                    computation,
                    optimizer,
                    data,
                    self.batch_size,
                    settings.gradient_clip,
                    augment,
                    after_step,
                )
                watch.mark()
                scheduler.step()
                measured.refresh()
                validated = evaluate(measured.computation, data, data.validation, self.beat)
                (train_loss, train_accuracy), (loss, accuracy) = settle((trained, validated))
                if not (math.isfinite(train_loss) and math.isfinite(loss)):
                    raise Diverged(
                        f"diverged in epoch {epoch}: training loss {train_loss}, validation loss {loss}"
                    )
                curve.append(accuracy)
                learned.append(train_accuracy)
                verdict = judge_learning(rule, curve, replace(context, learning=self._learning(learned)))
                action = Action(verdict.action)
                lag = _lag(measured, train_accuracy, accuracy)
                path = self.checkpoints / checkpoint_name(epoch)
                sha256 = save_checkpoint(path, epoch, model, optimizer, scheduler, measured)
                joules = self.meter.lap()
                low, high = verdict.interval or (None, None)
                line = JournalEpoch(
                    epoch=epoch,
                    train_loss=train_loss,
                    validation_loss=loss,
                    train_accuracy_percent=train_accuracy,
                    validation_accuracy_percent=accuracy,
                    learning_rate=rate,
                    seconds=time.perf_counter() - started,
                    images_per_second=len(data.train) / watch.seconds()[0],
                    peak_memory_bytes=_peak_memory(self.device),
                    energy_joules=None if joules is None else joules / self.share,
                    time=datetime.now(UTC),
                    checkpoint=path.name,
                    checkpoint_sha256=sha256,
                    segment=segment.number,
                    computing=changed,
                    measurement_lag_points=lag,
                    verdict=action,
                    reason=verdict.reason,
                    predicted=verdict.predicted,
                    predicted_low=low,
                    predicted_high=high,
                    evidence=JsonText.of(verdict.evidence),
                    fits=tuple(_prediction(fit, epoch, action, verdict.reason) for fit in verdict.fits),
                )
                journal.append(line.line())
                past.append(line)
                error = standard_error(accuracy, len(data.validation))
                log.info(
                    "epoch %d of %d: validation accuracy %s",
                    epoch,
                    settings.epochs,
                    in_percent(accuracy, error),
                    extra={
                        "run": segment.run_id,
                        "network": segment.network,
                        "generation": segment.generation,
                        "epoch": epoch,
                        "accuracy_percent": accuracy,
                        "accuracy_se_points": error,
                        "seconds": line.seconds,
                    },
                )
                _keep(self.checkpoints, past, settings)
        if action is Action.stop:
            return "completed" if len(curve) == settings.epochs else "stopped"
        return "completed" if len(curve) >= settings.epochs else "paused"

    def _learning(self, learned: Sequence[float]) -> Learning | None:
        """What rules are told of the training. Runs whose networks are judged as they were trained are judged
        as published, by the validation curve alone."""
        if self.settings.evaluation == "as-trained":
            return None
        return Learning(
            tuple(learned),
            chance=self.chance,
            training_images=len(self.data.train),
            validation_images=len(self.data.validation),
        )

    @cached_property
    def chance(self) -> float:
        """Share in percent of the most frequent class of the validation images."""
        labels = self.data.validation.labels
        return 100.0 * int(labels.bincount().max()) / len(labels)

    def test_accuracy(self, manner: Manner) -> float:
        """Accuracy in percent of the best checkpoint on the part that selection never sees."""
        best = best_epoch(read_epochs(self.journal))
        assert best is not None  # whoever is tested has been trained
        model = Network(self.architecture).to(self.device)
        load_network(self.checkpoints / str(best.checkpoint), model)
        # for one pass it is not compiled
        once = Computation(model, replace(manner, compiled=False), self.batch_size, self.device)
        ((_, accuracy),) = settle([evaluate(once, self.data, self.data.test, self.beat)])
        return accuracy

    def weaker(self, manner: Manner, error: Exception) -> tuple[str, Manner | None]:
        """What is to be said of an error, and the manner to try next: None if there is none.

        Raises:
            Exception: the error itself, if no manner can help.
        """
        about = {"run": self.segment.run_id, "network": self.segment.network}
        said = (str(error).strip().splitlines() or [type(error).__name__])[0]
        if out_of_memory(error):
            trouble = f"out of memory on {self.segment.device}: {said}"
            if manner.micro_batch < self.usual.micro_batch:
                return f"{trouble} (also with {manner.micro_batch} images at a time)", None
            smaller = manner.smaller()
            if smaller:
                log.warning("%s; trying %d images at a time", trouble, smaller.micro_batch, extra=about)
            return trouble, smaller
        if manner.compiled and type(error).__module__.startswith(("torch._dynamo", "torch._inductor")):
            log.warning("the network cannot be compiled: %s", said, extra=about)
            return said, replace(manner, compiled=False)
        raise error


def _lag(measured: EvaluatedNetwork, trained: float, validated: float) -> float | None:
    """By how many points the measured network's accuracy on training images lies below the one that the steps
    of the epoch saw, where that is much; None where validation keeps up with training, or where the network
    does not carry over to new images, which is no fault of the measurement."""
    if trained - validated < LAG_POINTS:
        return None
    lag = trained - 100 * float(measured.accuracy_on_training())
    return lag if lag >= LAG_POINTS else None


def _check_room(
    segment: Segment, architecture: Architecture, settings: Training, images: int, device: torch.device
) -> None:
    """Refuse a network that certainly does not fit: on a work pool the machine that searches cannot know."""
    on_gpu = device.type == "cuda"
    check_room(
        f"network {segment.network}",
        Need.of(architecture, settings, images, device.type),
        f"{torch.cuda.get_device_name(device)} on {platform.node()}" if on_gpu else platform.node(),
        torch.cuda.get_device_properties(device).total_memory if on_gpu else machine_memory(),
        lower=["training.batch_size", "the search space"],
    )


def _choose_algorithms(deterministic: bool, compiled: bool) -> None:
    """Deterministic ones where torch has them, and a warning where it has not.

    ``use_deterministic_algorithms`` tells the compiler, too, and loads the whole of it for that, which takes
    nearly as long as loading torch.
    """
    torch.set_deterministic_debug_mode("warn" if deterministic else "default")
    if compiled:
        torch.use_deterministic_algorithms(deterministic, warn_only=True)


def out_of_memory(error: Exception) -> bool:
    """Whether the device, or the machine, had not enough memory."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    # torch has no class of its own for the memory of the CPU
    text = str(error)
    return isinstance(error, RuntimeError) and "DefaultCPUAllocator" in text and "memory" in text


def _give_memory_back(device: torch.device) -> None:
    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()


def _keep(checkpoints: Path, journal: Sequence[JournalEpoch], settings: Training) -> None:
    """Delete the checkpoints that nobody will ask for. The best one is needed until the network is recorded;
    what goes then is the loop's business (workflow/checkpoints.py)."""
    if settings.keep_checkpoints == "all":
        return
    keep = {epoch.checkpoint for epoch in (journal[-1], best_epoch(journal)) if epoch is not None}
    for path in checkpoints.glob("epoch-*.safetensors"):
        if path.name not in keep:
            path.unlink(missing_ok=True)


def _prediction(fit: FitRecord, epoch: int, action: Action, reason: str) -> Prediction:
    return Prediction(
        epoch=epoch,
        function=fit.function,
        expression=fit.expression,
        parameters=JsonText.of(fit.parameters),
        predicted=fit.predicted,
        low=fit.low,
        high=fit.high,
        residual=fit.residual,
        status=fit.status,
        microseconds=fit.microseconds,
        verdict=action,
        reason=reason,
    )


def _peak_memory(device: torch.device) -> int:
    """Bytes: of the GPU's memory since the start of the process, or of the process on the CPU."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


@contextmanager
def _only_one(path: Path, device: str) -> Iterator[None]:
    """Hold a lock that the kernel frees at any death, so that no two processes train one network. It also
    says where the network trains."""
    try:
        lock = KernelLock(path, patience=10.0, device=device)
    except Held as error:
        # not the network's fault: the run ends, and goes on when the other one has ended
        raise BadInput(f"this network is being trained by {error}, which holds {path}") from None
    try:
        yield
    finally:
        lock.release()
