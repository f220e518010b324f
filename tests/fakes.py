"""A made-up trainer for tests of the search loop: no torch, no processes, curves from a formula."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from a4nn_core.commons import Journal, RunFolder, RunWriter, read_journal
from a4nn_core.experiment import Experiment
from a4nn_core.search import Candidate
from a4nn_core.termination.base import RULES, Context
from a4nn_core.training.segment import Segment, SegmentResult
from a4nn_core.vocabulary import NetworkStatus, RunStatus, Task
from a4nn_core.workflow.plan import as_begun
from a4nn_core.workflow.search import Search
from a4nn_core.workflow.watcher import Watcher

Outcome = Callable[[Segment], SegmentResult | None]


def accuracy(segment: Segment, epoch: int) -> float:
    """Percent; rises with the epoch, differs by architecture."""
    digest = hashlib.sha256(repr(sorted(segment.architecture.to_json().items())).encode()).digest()
    return 60 + digest[0] / 10 - 20 / epoch


class FakeExecutor:
    """Finishes every segment as soon as it is asked for results; the last submitted first.

    Args:
        outcome: returns a result instead of training, or None to train.
        one_at_a_time: return one result per call, as with slow training.
    """

    slots = 4
    is_local = True

    def __init__(self, outcome: Outcome = lambda _: None, one_at_a_time: bool = False) -> None:
        self.outcome = outcome
        self.one_at_a_time = one_at_a_time
        self.waiting: list[Segment] = []
        self.trained: list[Segment] = []

    def submit(self, segment: Segment) -> None:
        self.waiting.append(segment)

    def completed(self, timeout: float) -> list[SegmentResult]:
        del timeout
        done = []
        while self.waiting:
            done.append(self._train(self.waiting.pop()))
            if self.one_at_a_time:
                break
        return done

    def close(self) -> None:
        self.waiting.clear()

    def _train(self, segment: Segment) -> SegmentResult:
        self.trained.append(segment)
        decided = self.outcome(segment)
        if decided is not None:
            return decided
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


def experiment(**changes: Any) -> Experiment:
    """A small experiment on a small space."""
    tables: dict[str, Any] = {
        "name": "small",
        "seed": 3,
        "data": {"name": "digits"},
        "space": {"name": "macro", "phases": 2, "channels": 4},
        "search": {"name": "nsga-net", "networks": 12, "population": 4, "offspring": 4},
        "training": {"epochs": 4},
        "termination": {"name": "none"},
    }
    for key, value in changes.items():
        tables[key] = {**tables.get(key, {}), **value} if isinstance(value, dict) else value
    return Experiment.from_mapping(tables)


def search(
    what: Experiment,
    commons: Path,
    executor: Any,
    run_id: str = "r",
    watcher: Watcher | None = None,
    classes: int = 2,
    **images: int,
) -> Search:
    """Run a search with an executor; returns it, finished. The writer is closed, also after an error.

    Args:
        what, commons, executor, run_id, watcher, classes: as for Search.
        images: numbers of validation and test images, as a real run records them.
    """
    what, recorded = as_begun(what, 1259, commons, run_id)  # as many images as digits has for training
    header = {
        "name": what.name,
        "experiment": recorded,
        "seed": what.seed,
        "dataset_fingerprint": "x",
        "dataset": {"name": "digits", "classes": ["0", "1"], "shape": [1, 8, 8], **images},
        "code_version": "test",
        "environment": {},
        "threads": 1,
        "device": "cpu",
    }
    with RunWriter.open(commons, run_id, header) as writer:
        one = Search(what, writer, executor, (1, 8, 8), classes, "cpu", watcher)
        one.run()
        writer.finish(RunStatus.completed, seconds=1.0)
    return one


def asked(one: Search) -> list[Candidate]:
    """The candidates of a search in order."""
    return [one.candidates[number] for number in sorted(one.candidates)]
