"""A made-up training: curves from a formula, journals as of a real one; without torch, quick to import."""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path
from typing import Any

from a4nn_core.commons import Journal, RunFolder, read_journal
from a4nn_core.termination.base import RULES, Context
from a4nn_core.training.segment import ALIVE, Segment, SegmentResult
from a4nn_core.vocabulary import NetworkStatus, Task


def accuracy(segment: Segment, epoch: int) -> float:
    """Percent; rises with the epoch, differs by architecture."""
    digest = hashlib.sha256(repr(sorted(segment.architecture.to_json().items())).encode()).digest()
    return 60 + digest[0] / 10 - 20 / epoch


def train(segment: Segment) -> SegmentResult:
    """Write the journal of a segment, judged by its rule."""
    path = RunFolder(Path(segment.commons), segment.run_id).journal(segment.network)
    rule = RULES.make(segment.termination, "[termination]")
    epochs = segment.training.epochs
    restores = segment.architecture.task is Task.restoration
    measured = "validation_psnr_db" if restores else "validation_accuracy_percent"
    curve = [line[measured] for line in read_journal(path)]
    action = "continue"
    with Journal(path) as journal:
        while action == "continue" and len(curve) < min(segment.epoch_limit or epochs, epochs):
            curve.append(accuracy(segment, len(curve) + 1))
            verdict = rule.judge(curve, Context(horizon=epochs))
            action = verdict.action
            what = line(len(curve), curve[-1], segment.number, action)
            journal.append({**what, **in_decibels(curve[-1])} if restores else what)
    finished = len(curve) == epochs
    status = (
        NetworkStatus.completed
        if finished
        else NetworkStatus.stopped
        if action == "stop"
        else NetworkStatus.paused
    )
    return SegmentResult(segment.network, segment.number, status, test_accuracy_percent=curve[-1] - 1)


def in_decibels(value: float) -> dict[str, Any]:
    """What the line of a network that restores images says otherwise."""
    return {
        "train_accuracy_percent": None,
        "validation_accuracy_percent": None,
        "train_psnr_db": value,
        "validation_psnr_db": value,
        "validation_psnr_se_db": 0.1,
        "validation_poisson_deviance": 100 - value,
    }


def line(epoch: int, value: float, segment: int = 0, action: str = "continue") -> dict[str, Any]:
    """A journal line."""
    return {
        "epoch": epoch,
        "train_loss": 1 / epoch,
        "validation_loss": 1 / epoch,
        "train_accuracy_percent": value,
        "validation_accuracy_percent": value,
        "learning_rate": 0.1,
        "seconds": 2.0,
        "images_per_second": 100.0,
        "peak_memory_bytes": 1,
        "time": "2026-01-01T00:00:00+00:00",
        "checkpoint": f"epoch-{epoch:04d}.safetensors",
        "checkpoint_sha256": "0" * 64,
        "segment": segment,
        "verdict": {
            "action": action,
            "reason": "test" if action != "continue" else "",
            "predicted": None,
            "interval": None,
            "evidence": {},
        },
        "fits": [],
    }


def main() -> None:
    """A worker process that trains like this."""
    for text in sys.stdin:
        sys.stdout.write(ALIVE + train(Segment.from_json(text)).to_json() + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
