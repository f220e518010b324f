"""One segment of one network's life: epochs, checkpoints, verdicts, journal."""

from __future__ import annotations

import fcntl
import math
import resource
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.optim import SGD
from torch.optim.lr_scheduler import CosineAnnealingLR

from a4nn_core.commons import Journal, RunFolder, read_journal
from a4nn_core.commons.journal import best_epoch
from a4nn_core.errors import A4NNError
from a4nn_core.spaces.architecture import Architecture
from a4nn_core.spaces.build import Network
from a4nn_core.termination.base import RULES, Context, FrontSnapshot, Verdict
from a4nn_core.training.checkpoint import checkpoint_name, load_checkpoint, save_checkpoint
from a4nn_core.training.loading import DeviceData, DeviceSplit, augmentation
from a4nn_core.training.segment import Segment, SegmentResult
from a4nn_core.training.settings import Training


class Diverged(A4NNError):
    """Training left the numbers."""


def train_segment(segment: Segment, data: DeviceData, device: torch.device) -> SegmentResult:
    """Go on with a network from its last checkpoint until a verdict or the segment's epoch limit.

    After every epoch the checkpoint is written first and the journal line after it: an epoch in the journal
    always has its checkpoint. A killed segment that is started again goes on after the last epoch in
    the journal and, on the CPU with the same number of threads, gives the same numbers bit for bit.
    """
    settings = Training.model_validate(segment.training)
    torch.set_num_threads(settings.threads)
    torch.use_deterministic_algorithms(settings.deterministic, warn_only=True)
    folder = RunFolder(Path(segment.commons), segment.run_id)
    checkpoints = folder.checkpoints(segment.network)
    checkpoints.mkdir(parents=True, exist_ok=True)
    with _only_one(checkpoints / "lock"):
        try:
            status = _epochs(segment, settings, data, device, folder)
        except Diverged as error:
            return segment.failed(str(error))
        except torch.OutOfMemoryError as error:
            return segment.failed(f"out of memory on {segment.device}: {str(error).splitlines()[0]}")
        test = None
        if status != "paused":
            test = _test_accuracy(segment, data, device, folder)
            _keep(checkpoints, read_journal(folder.journal(segment.network)), settings)
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
    return SegmentResult(segment.network, segment.number, status, test_accuracy_percent=test, device=name)


def _epochs(
    segment: Segment, settings: Training, data: DeviceData, device: torch.device, folder: RunFolder
) -> Any:
    """Train; gives the status."""
    rule = RULES.make(segment.termination, "[termination]")
    context = Context(
        horizon=settings.epochs,
        fixed=segment.fixed,
        schedule="annealed" if settings.final_learning_rate <= 0.1 * settings.learning_rate else None,
        front=FrontSnapshot(segment.front_version, tuple(segment.front_points), segment.objectives),
    )
    past = read_journal(folder.journal(segment.network))
    curve = [float(line["validation_accuracy_percent"]) for line in past]
    limit = min(segment.epoch_limit or settings.epochs, settings.epochs)
    action = past[-1]["verdict"]["action"] if past else "continue"

    torch.manual_seed(segment.seed)
    model = Network(Architecture.from_json(segment.architecture)).to(device)
    optimizer = SGD(
        model.parameters(),
        lr=settings.learning_rate,
        momentum=settings.momentum,
        weight_decay=settings.weight_decay,
    )
    scheduler = CosineAnnealingLR(optimizer, settings.epochs, eta_min=settings.final_learning_rate)
    augment = augmentation(settings.augment)
    checkpoints = folder.checkpoints(segment.network)
    if past:
        load_checkpoint(checkpoints / past[-1]["checkpoint"], model, optimizer, scheduler)

    journal = Journal(folder.journal(segment.network))
    try:
        while action == "continue" and len(curve) < limit:
            epoch = len(curve) + 1
            started = time.perf_counter()
            rate = optimizer.param_groups[0]["lr"]
            train_loss, train_accuracy = _train(model, optimizer, settings, data, augment)
            scheduler.step()
            trained = time.perf_counter()
            loss, accuracy = evaluate(model, data, data.validation)
            if not (math.isfinite(train_loss) and math.isfinite(loss)):
                raise Diverged(
                    f"diverged in epoch {epoch}: training loss {train_loss}, validation loss {loss}"
                )
            curve.append(accuracy)
            verdict = rule.judge(curve, context)
            action = verdict.action
            path = checkpoints / checkpoint_name(epoch)
            sha256 = save_checkpoint(path, epoch, model, optimizer, scheduler)
            line = {
                "epoch": epoch,
                "train_loss": train_loss,
                "validation_loss": loss,
                "train_accuracy_percent": train_accuracy,
                "validation_accuracy_percent": accuracy,
                "learning_rate": rate,
                "seconds": time.perf_counter() - started,
                "images_per_second": len(data.train) / (trained - started),
                "peak_memory_bytes": _peak_memory(device),
                "time": datetime.now(UTC).isoformat(),
                "checkpoint": path.name,
                "checkpoint_sha256": sha256,
                "segment": segment.number,
                **_judgement(verdict),
            }
            journal.append(line)
            past.append(line)
            _keep(checkpoints, past, settings)
    finally:
        journal.close()
    if action == "stop":
        return "completed" if len(curve) == settings.epochs else "stopped"
    return "completed" if len(curve) >= settings.epochs else "paused"


def _train(
    model: Network,
    optimizer: SGD,
    settings: Training,
    data: DeviceData,
    augment: Any,
) -> tuple[float, float]:
    """One pass over the training images in a new random order; mean loss and accuracy in percent."""
    model.train()
    device = data.train.labels.device
    order = torch.randperm(len(data.train)).to(device)
    total_loss = torch.zeros((), device=device)
    correct = torch.zeros((), dtype=torch.int64, device=device)
    for images, labels in data.batches(data.train, settings.batch_size, order):
        if len(labels) == 1 and len(data.train) > 1:
            continue  # batch normalisation cannot learn from one image
        scores = model(augment(images) if augment else images)
        loss = nn.functional.cross_entropy(scores, labels)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(model.parameters(), settings.gradient_clip)
        optimizer.step()
        # sums stay on the device: asking for a number every step would make a GPU wait
        total_loss += loss.detach() * len(labels)
        correct += (scores.detach().argmax(dim=1) == labels).sum()
    return float(total_loss) / len(data.train), 100 * int(correct) / len(data.train)


@torch.no_grad()
def evaluate(model: nn.Module, data: DeviceData, part: DeviceSplit) -> tuple[float, float]:
    """Mean cross entropy and accuracy in percent on one part of the data."""
    model.eval()
    device = part.labels.device
    total_loss = torch.zeros((), device=device)
    correct = torch.zeros((), dtype=torch.int64, device=device)
    for images, labels in data.batches(part, 500):
        scores = model(images)
        total_loss += nn.functional.cross_entropy(scores, labels, reduction="sum")
        correct += (scores.argmax(dim=1) == labels).sum()
    return float(total_loss) / len(part), 100 * int(correct) / len(part)


def _test_accuracy(segment: Segment, data: DeviceData, device: torch.device, folder: RunFolder) -> float:
    """Accuracy in percent of the best checkpoint on the part that selection never sees."""
    best = best_epoch(read_journal(folder.journal(segment.network)))
    model = Network(Architecture.from_json(segment.architecture)).to(device)
    load_checkpoint(folder.checkpoints(segment.network) / best["checkpoint"], model)
    return evaluate(model, data, data.test)[1]


def _keep(checkpoints: Path, journal: list[dict[str, Any]], settings: Training) -> None:
    """Delete the checkpoints that the policy does not keep. The best one is needed until the life ends."""
    if settings.keep_checkpoints == "all":
        return
    keep = {journal[-1]["checkpoint"], best_epoch(journal)["checkpoint"]}
    for path in checkpoints.glob("epoch-*.safetensors"):
        if path.name not in keep:
            path.unlink(missing_ok=True)


def _judgement(verdict: Verdict) -> Mapping[str, Any]:
    plain = asdict(verdict)
    fits = plain.pop("fits")
    return {"verdict": plain, "fits": list(fits)}


def _peak_memory(device: torch.device) -> int:
    """Bytes: of the GPU's memory since the start of the process, or of the process on the CPU."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


@contextmanager
def _only_one(path: Path) -> Iterator[None]:
    """Hold a lock that the kernel frees at any death, so that no two processes train one network."""
    with path.open("w") as file:
        for _ in range(100):
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                time.sleep(0.1)
        else:
            raise A4NNError(f"another process is training this network: it holds {path}")
        yield
