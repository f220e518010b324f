"""A made-up trainer for tests of the search loop: no torch, no processes, curves from a formula."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from made_up import train

from a4nn_core.commons import RunWriter
from a4nn_core.experiment import Experiment
from a4nn_core.search import Candidate
from a4nn_core.training.segment import Segment, SegmentResult
from a4nn_core.vocabulary import RunStatus
from a4nn_core.workflow.plan import as_begun
from a4nn_core.workflow.search import Search
from a4nn_core.workflow.watcher import Watcher

Outcome = Callable[[Segment], SegmentResult | None]


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
        return train(segment)


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
