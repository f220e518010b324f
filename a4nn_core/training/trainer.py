"""Training one segment of a network: epochs, checkpoints, verdicts, journal."""

from __future__ import annotations

import logging
import math
import os
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import torch
from torch.optim import Optimizer
from torch.optim.lr_scheduler import CosineAnnealingLR

from a4nn_core.assessment import Assessment, Fidelity
from a4nn_core.commons import Journal, JournalEpoch, RunFolder, read_epochs
from a4nn_core.commons.records import best_epoch
from a4nn_core.errors import A4NNError
from a4nn_core.metrics import ACCURACY_PERCENT, PSNR_DB
from a4nn_core.precision import Images
from a4nn_core.spaces.build import Network
from a4nn_core.spaces.fitted import fit, left_out_accuracy
from a4nn_core.spaces.operations.reconstruction import Reconstruction
from a4nn_core.termination.base import RULES, Context, Learning, TerminationRule, Verdict
from a4nn_core.termination.learning import judge_learning
from a4nn_core.training import energy
from a4nn_core.training.checkpoint import checkpoint_name, load_network, resume_training, save_checkpoint
from a4nn_core.training.compute_plan import ComputePlan
from a4nn_core.training.evaluation import EvaluatedNetwork
from a4nn_core.training.goals import Answers, Restored, take_units
from a4nn_core.training.inherit import inherit
from a4nn_core.training.loading import DeviceData, augmentation
from a4nn_core.training.optimizer import optimizer as make_optimizer
from a4nn_core.training.panels import Panels
from a4nn_core.training.process import (
    check_fits,
    choose_algorithms,
    give_memory_back,
    only_one,
    out_of_memory,
    peak_memory,
)
from a4nn_core.training.segment import SLOT_VARIABLE, Segment, SegmentResult
from a4nn_core.training.steps import Computation, Stopwatch, evaluate, settle, train_epoch
from a4nn_core.training.verdicts import judged
from a4nn_core.vocabulary import Action, NetworkStatus, Task

log = logging.getLogger(__name__)


LAG_POINTS = 15.0
"""percentage points from which on the measurement counts as lagging: more than five of its standard errors"""


class Diverged(A4NNError):
    """A loss became NaN or infinite."""


def train_segment(
    segment: Segment, data: DeviceData, device: torch.device, heartbeat: Callable[[], None] = lambda: None
) -> SegmentResult:
    """Train a network from its last checkpoint until a verdict or the segment's epoch limit.

    Args:
        segment: segment to train.
        data: data set on the device.
        device: device of this process.
        heartbeat: called after every step.

    After every epoch the checkpoint is written first and the journal line after it: an epoch in the journal
    always has its checkpoint. A killed segment that is started again continues after the last epoch in the
    journal and, on the CPU with the same number of threads, computes the same numbers bit for bit.

    Raises:
        BadInput: the network certainly does not fit this device, or its files cannot be written.
    """
    torch.set_num_threads(segment.training.threads)
    folder = RunFolder(Path(segment.commons), segment.run_id)
    checkpoints = folder.checkpoints(segment.network)
    checkpoints.mkdir(parents=True, exist_ok=True)
    check_fits(segment, len(data.train), device)
    with only_one(checkpoints / "lock", os.environ.get(SLOT_VARIABLE) or segment.device):
        trainer = Trainer(segment, data, device, folder, heartbeat)
        plan: ComputePlan | None = trainer.usual.with_changes(trainer.epochs)
        choose_algorithms(segment.training.deterministic, trainer.usual.compiled)
        trouble = ""
        while plan is not None:
            try:
                status = trainer.train(plan)
                test = trainer.test_result(plan) if status != NetworkStatus.paused else None
                break
            except Diverged as error:
                return segment.failed(str(error))
            except Exception as error:
                # the traceback's references would keep the memory occupied during the next attempt
                trouble, plan = trainer.weaker(plan, error.with_traceback(None))
            give_memory_back(device)
        else:
            return segment.failed(trouble)
        if status != NetworkStatus.paused:
            trainer.remove_checkpoints()
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
    cut = status == NetworkStatus.paused and trainer.is_cut
    return SegmentResult(
        segment.network,
        segment.number,
        status,
        test_accuracy_percent=None if isinstance(test, Fidelity) else test,
        test_fidelity=test if isinstance(test, Fidelity) else None,
        device=name,
        cut=cut,
    )


class _Training:
    """A network in training: the state that a checkpoint contains.

    Args:
        segment: segment to train.
        plan: compute plan.
        data: data set on the device.
        batch_size: number of images per step.
        checkpoint: path of the checkpoint to continue from; None for a new network.
    """

    def __init__(
        self, segment: Segment, plan: ComputePlan, data: DeviceData, batch_size: int, checkpoint: Path | None
    ) -> None:
        settings = segment.training
        torch.manual_seed(segment.seed)
        self.model = Network(segment.architecture)
        if segment.inheritance is not None and checkpoint is None:
            inherit(self.model, segment.inheritance, Path(segment.commons), segment.seed)
        self.model = self.model.to(data.device)
        self.optimizer: Optimizer
        self.part = data.train
        if segment.architecture.objective is None:
            self.optimizer = make_optimizer(settings, self.model.parameters())
        else:
            goal = segment.architecture.operations[segment.architecture.objective]
            self.optimizer = goal.optimizer(self.model.parameters())
            if isinstance(goal, Reconstruction) and goal.sees_all:
                self.part = data.everything()
            if checkpoint is None:  # the range of values must be known before the first step
                fit(self.model, lambda: data.batches(data.train, plan.evaluation_batch))
        self.goal = data.goal(settings.loss)
        take_units(self.model, data.scale, data.mean)
        self.scheduler = CosineAnnealingLR(
            self.optimizer, settings.epochs, eta_min=settings.final_learning_rate
        )
        self.augment = augmentation(settings.augment)
        self.computation = Computation(self.model, plan, batch_size, data.device, self.goal)
        self.measured = EvaluatedNetwork(
            self.model, settings.evaluation, plan, batch_size, data, seed=segment.seed, goal=self.goal
        )
        if checkpoint is not None:
            resume_training(checkpoint, self.model, self.optimizer, self.scheduler, self.measured)
        self.computation.adopt(self.optimizer)

    def save(self, path: Path, epoch: int) -> str:
        """Write a checkpoint; returns its SHA-256, hexadecimal."""
        return save_checkpoint(path, epoch, self.model, self.optimizer, self.scheduler, self.measured)


@dataclass(frozen=True)
class _Epoch:
    """The result of one epoch.

    Attributes:
        number: number of the epoch, from 1.
        started: its start by ``time.perf_counter``, in seconds.
        learning_rate: learning rate of its steps.
        train_loss, loss: mean loss during the training steps, and on the validation images.
        train_score, score: accuracy in percent, or ratio in decibels, on the same images.
        training_seconds: seconds of the training steps alone.
        assessment: what the answers to the validation images say beside their accuracy; None if an earlier
            epoch was as accurate, or the network restores images.
        fidelity: how near the restored validation images come to the expected ones; None of a classifier.
    """

    number: int
    started: float
    learning_rate: float
    train_loss: float
    train_score: float
    loss: float
    score: float
    training_seconds: float
    assessment: Assessment | None
    fidelity: Fidelity | None


class Trainer:
    """Trains one segment of a network, with one compute plan and then, if necessary, with a weaker one.

    Args:
        segment: segment to train.
        data: data set on the device.
        device: device of this process.
        folder: folder of the run's records.
        heartbeat: called after every step.

    Attributes:
        epochs: epochs of the network's journal, read once; every new epoch is appended.
        usual: usual compute plan of the network.
        panels: what validation images lack in a further pass; None if there is none.
    """

    def __init__(
        self,
        segment: Segment,
        data: DeviceData,
        device: torch.device,
        folder: RunFolder,
        heartbeat: Callable[[], None],
    ) -> None:
        self.segment = segment
        self.settings = settings = segment.training
        self.data = data
        self.device = device
        self.batch_size = settings.images_a_step(len(data.train))
        self.folder = folder
        self.journal = folder.journal(segment.network)
        self.checkpoints = folder.checkpoints(segment.network)
        self.epochs = read_epochs(self.journal)
        self.usual = ComputePlan.choose(settings, segment.architecture, data.shape, len(data.train), device)
        layout = settings.panels
        self.panels = None if layout is None else Panels(layout, data.shape, len(data.validation), device)
        self._heartbeat = heartbeat
        visible = os.environ.get("CUDA_VISIBLE_DEVICES", "")
        # on a machine of a work pool or cluster it is not known how many networks share its energy
        self.share = settings.slots_per_device if device.type == "cuda" else segment.slots
        measured = settings.energy and self.share > 0
        self.meter = energy.meter(device.type, visible) if measured else energy.Meter(())

    def heartbeat(self) -> None:
        """Called after every step."""
        self._heartbeat()
        self.meter.tick()

    def train(self, plan: ComputePlan) -> NetworkStatus:
        """Train from the last checkpoint; returns how the segment ended.

        Raises:
            Diverged: a loss became NaN or infinite.
        """
        rule = RULES.make(self.segment.termination, "[termination]")
        context = self._context()
        budget, limit = self.settings.epochs, self.limit
        action = self.epochs[-1].verdict if self.epochs else Action.proceed
        checkpoint = self.checkpoints / str(self.epochs[-1].checkpoint) if self.epochs else None
        training = _Training(self.segment, plan, self.data, self.batch_size, checkpoint)
        with Journal(self.journal) as journal:
            while action == Action.proceed and len(self.epochs) < limit and not self._run_ends():
                epoch = self._one_epoch(training)
                verdict = self._judge(rule, context, epoch)
                action = Action(verdict.action)
                record = self._record(training, plan, epoch, verdict)
                journal.append(record.line())
                self.epochs.append(record)
                self._log(epoch, record)
                self.remove_checkpoints()
        if len(self.epochs) >= budget:
            return NetworkStatus.completed
        return NetworkStatus.stopped if action == Action.stop else NetworkStatus.paused

    @property
    def limit(self) -> int:
        """Last epoch to train in this segment."""
        budget = self.settings.epochs
        return min(self.segment.epoch_limit or budget, budget)

    @property
    def is_cut(self) -> bool:
        """Whether the segment ended although neither its limit nor a verdict asked for it."""
        proceeds = not self.epochs or self.epochs[-1].verdict is Action.proceed
        return proceeds and len(self.epochs) < self.limit

    def _run_ends(self) -> bool:
        """Whether the run is about to end, and so this segment now."""
        return self.folder.ending.exists()

    def _context(self) -> Context:
        settings = self.settings
        restores = self.data.task is Task.restoration
        metric = PSNR_DB if restores else ACCURACY_PERCENT
        return Context(
            horizon=settings.epochs,
            metric=metric.name,
            direction=metric.direction,
            bounds=metric.bounds,
            fixed=self.segment.fixed,
            curves=settings.curves,
            schedule="annealed" if settings.final_learning_rate <= 0.1 * settings.learning_rate else None,
            front=self.segment.front,
        )

    def _one_epoch(self, training: _Training) -> _Epoch:
        """Train for one epoch, and measure the network after it."""
        number = len(self.epochs) + 1

        def after_step() -> None:
            training.measured.after_step()
            self.heartbeat()

        started = time.perf_counter()
        self.meter.lap()
        watch = Stopwatch(self.device)
        rate = training.optimizer.param_groups[0]["lr"]
        watch.mark()
        trained = train_epoch(
            training.computation,
            training.optimizer,
            self.data,
            self.batch_size,
            self.settings.gradient_clip,
            training.augment,
            after_step,
            training.part,
        )
        watch.mark()
        training.scheduler.step()
        training.measured.refresh()
        answers, validation = training.goal.answers(), self.data.validation
        validated = evaluate(training.measured.computation, self.data, validation, self.heartbeat, answers)
        (train_loss, train_score), (loss, score) = settle((trained, validated))
        left_out = left_out_accuracy(training.measured.network)
        train_score = train_score if left_out is None else 100 * left_out
        if not (math.isfinite(train_loss) and math.isfinite(loss)):
            raise Diverged(f"diverged in epoch {number}: training loss {train_loss}, validation loss {loss}")
        before = best_epoch(self.epochs)
        better = before is None or before.validation_score is None or score > before.validation_score
        assessment = answers.assess() if better and isinstance(answers, Answers) else None
        fidelity = answers.fidelity() if isinstance(answers, Restored) else None
        if assessment is not None and self.panels is not None:
            computation = training.measured.computation
            lacking = evaluate(computation, self.data, validation, self.heartbeat, panels=self.panels)
            ((_, without),) = settle([lacking])
            assessment = replace(assessment, missing_panel_accuracy_percent=without)
        seconds = watch.seconds()[0]
        return _Epoch(
            number, started, rate, train_loss, train_score, loss, score, seconds, assessment, fidelity
        )

    def _judge(self, rule: TerminationRule, context: Context, epoch: _Epoch) -> Verdict:
        """The rule's verdict after an epoch that is not in the journal yet."""
        curve = [*_known(e.validation_score for e in self.epochs), epoch.score]
        learned = [*_known(e.train_score for e in self.epochs), epoch.train_score]
        return judge_learning(rule, curve, replace(context, learning=self._learning(learned)))

    def _record(
        self, training: _Training, plan: ComputePlan, epoch: _Epoch, verdict: Verdict
    ) -> JournalEpoch:
        """The journal's record of an epoch whose checkpoint has been written."""
        fidelity = epoch.fidelity
        lag = _lag(training.measured, epoch.train_score, epoch.score) if fidelity is None else None
        path = self.checkpoints / checkpoint_name(epoch.number)
        sha256 = training.save(path, epoch.number)
        joules = self.meter.lap()
        measured = JournalEpoch(
            epoch=epoch.number,
            train_loss=epoch.train_loss,
            validation_loss=epoch.loss,
            train_accuracy_percent=epoch.train_score if fidelity is None else None,
            validation_accuracy_percent=epoch.score if fidelity is None else None,
            learning_rate=epoch.learning_rate,
            seconds=time.perf_counter() - epoch.started,
            images_per_second=len(self.data.train) / epoch.training_seconds,
            peak_memory_bytes=peak_memory(self.device),
            energy_joules=None if joules is None else joules / self.share,
            time=datetime.now(UTC),
            checkpoint=path.name,
            checkpoint_sha256=sha256,
            segment=self.segment.number,
            computing=plan.changed(self.usual),
            measurement_lag_points=lag,
            assessment=epoch.assessment,
        )
        if fidelity is not None:
            measured = replace(
                measured,
                train_psnr_db=epoch.train_score,
                validation_psnr_db=fidelity.psnr_db,
                validation_psnr_se_db=fidelity.psnr_se_db,
                validation_poisson_deviance=fidelity.poisson_deviance,
            )
        return judged(measured, verdict)

    def _log(self, epoch: _Epoch, record: JournalEpoch) -> None:
        score = record.score(Images(len(self.data.validation)))
        measured = (
            {"accuracy_percent": score.value, "accuracy_se_points": score.error}
            if epoch.fidelity is None
            else {"psnr_db": score.value, "psnr_se_db": score.error}
        )
        log.info(
            "epoch %d of %d: validation %s %s",
            epoch.number,
            self.settings.epochs,
            "accuracy" if epoch.fidelity is None else "PSNR",
            score,
            extra={
                "run": self.segment.run_id,
                "network": self.segment.network,
                "generation": self.segment.generation,
                "epoch": epoch.number,
                **measured,
                "seconds": record.seconds,
            },
        )

    def _learning(self, learned: Sequence[float]) -> Learning | None:
        """The training accuracies for the rule. With ``as-trained`` evaluation None, so that networks are
        judged as published, by the validation curve alone, and of networks that restore images, which have no
        level of chance."""
        if self.settings.evaluation == "as-trained" or self.data.task is Task.restoration:
            return None
        return Learning(
            tuple(learned),
            chance=self.data.chance_percent,
            training_images=len(self.data.train),
            validation_images=len(self.data.validation),
        )

    def test_result(self, plan: ComputePlan) -> float | Fidelity:
        """How good the best checkpoint is on the test part, which selection never uses: its accuracy in
        percent, or how near restored images come to the expected ones."""
        best = best_epoch(self.epochs)
        assert best is not None  # only trained networks are tested
        model = Network(self.segment.architecture).to(self.device)
        load_network(self.checkpoints / str(best.checkpoint), model)
        # compiling does not pay off for one pass
        goal = self.data.goal(self.settings.loss)
        once = Computation(model, replace(plan, compiled=False), self.batch_size, self.device, goal)
        answers = goal.answers()
        ((_, accuracy),) = settle([evaluate(once, self.data, self.data.test, self.heartbeat, answers)])
        return answers.fidelity() if isinstance(answers, Restored) else accuracy

    def remove_checkpoints(self) -> None:
        """Delete the checkpoints that are no longer needed. The best one is needed until the network is
        recorded; after that the loop decides (workflow/checkpoints.py)."""
        if self.settings.keep_checkpoints == "all":
            return
        keep = {e.checkpoint for e in (self.epochs[-1], best_epoch(self.epochs)) if e is not None}
        for path in self.checkpoints.glob("epoch-*.safetensors"):
            if path.name not in keep:
                path.unlink(missing_ok=True)

    def weaker(self, plan: ComputePlan, error: Exception) -> tuple[str, ComputePlan | None]:
        """The message on an error, and the plan to try next: None if there is none.

        Raises:
            Exception: the error itself, if no plan can help.
        """
        about = {"run": self.segment.run_id, "network": self.segment.network}
        cause = (str(error).strip().splitlines() or [type(error).__name__])[0]
        if out_of_memory(error):
            trouble = f"out of memory on {self.segment.device}: {cause}"
            if plan.micro_batch < self.usual.micro_batch:
                return f"{trouble} (also with {plan.micro_batch} images at a time)", None
            smaller = plan.smaller()
            if smaller:
                log.warning("%s; trying %d images at a time", trouble, smaller.micro_batch, extra=about)
            return trouble, smaller
        if plan.compiled and type(error).__module__.startswith(("torch._dynamo", "torch._inductor")):
            log.warning("the network cannot be compiled: %s", cause, extra=about)
            return cause, replace(plan, compiled=False)
        raise error


def _lag(measured: EvaluatedNetwork, trained: float, validated: float) -> float | None:
    """Percentage points by which the measured network's accuracy on training images is below that during the
    steps of the epoch, if that is much; None if validation keeps up with training, or if the network does not
    generalise to new images, which is not the measurement's fault."""
    if trained - validated < LAG_POINTS:
        return None
    lag = trained - 100 * float(measured.accuracy_on_training())
    return lag if lag >= LAG_POINTS else None


def _known(values: Iterable[float | None]) -> list[float]:
    return [value for value in values if value is not None]
