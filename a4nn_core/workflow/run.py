"""From an experiment to a finished run: load the data, open the records, search, close."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import asdict
from datetime import datetime
from importlib.metadata import PackageNotFoundError, entry_points, version
from pathlib import Path
from typing import Any, Protocol

from a4nn_core import __version__
from a4nn_core.commons import RunFolder, RunWriter
from a4nn_core.commons.layout import read_json
from a4nn_core.data.base import ImageData
from a4nn_core.errors import A4NNError, BadInput
from a4nn_core.experiment import Experiment
from a4nn_core.jsonable import members, number
from a4nn_core.spaces.architecture import Architecture
from a4nn_core.training.settings import FIRST_DEFAULTS, Training
from a4nn_core.vocabulary import RunStatus
from a4nn_core.workflow.devices import choose_device, choose_slots
from a4nn_core.workflow.executor import Executor
from a4nn_core.workflow.preflight import check_fit, warn_unless_measured
from a4nn_core.workflow.search import Search, Watcher

PACKAGES = ("numpy", "scipy", "torch", "torchvision", "pymoo", "scikit-learn", "duckdb", "pyarrow", "prefect")


class Runner(Protocol):
    """What the entry points of the group ``a4nn.executors`` name: one way to run a whole search."""

    def __call__(
        self, experiment: Experiment, commons: Path, run_id: str, watcher: Watcher | None = None
    ) -> None: ...


def runner(name: str) -> Runner:
    """The way to run a search that has this name.

    Raises:
        BadInput: there is none; the message lists those that exist.
    """
    found = {entry.name: entry for entry in entry_points(group="a4nn.executors")}
    if name not in found:
        raise BadInput(f"there is no executor {name!r}; known: {', '.join(sorted(found))}")
    loaded: Runner = found[name].load()
    return loaded


def new_run_id(experiment: Experiment) -> str:
    """A name for a new run that sorts by time."""
    return f"{experiment.name}-{datetime.now():%Y%m%d-%H%M%S}"


def execute(
    experiment: Experiment,
    commons: Path,
    run_id: str,
    make_executor: Callable[[int, int], Executor],
    watcher: Watcher | None = None,
) -> None:
    """Run an experiment, or go on with the run of that id.

    Args:
        experiment: what to search.
        commons: folder of the data commons; made if it is not there.
        run_id: of the run; an existing one is resumed.
        make_executor: gives an executor for (slots, CPU threads of each).
        watcher: is shown the search as it goes on.

    Raises:
        BadInput: something the user gave cannot be used; the run can be resumed when it is mended.
        RunFailed: the run ended because of what happened in it.
        KeyboardInterrupt: passed on after the run was closed cleanly.
    """
    device, trouble = experiment.training.device, None
    try:
        device = choose_device(device)
    except BadInput as error:
        trouble = error  # the machines that train may have what this one has not
    slots = (experiment.training.slots or 1) if trouble else choose_slots(experiment.training, device)
    with closing(make_executor(slots, experiment.training.threads)) as executor:
        if trouble and executor.here:
            raise trouble
        # the folder is opened with the data already checked, so that bad input leaves nothing behind
        data = experiment.data.load()
        experiment, recorded = as_begun(experiment, len(data.train), commons, run_id)
        largest = _largest(experiment, data)
        if executor.here:
            check_fit(experiment, largest, data, device, slots)
            if experiment.training.energy:
                warn_unless_measured(device, slots)
        head = header(experiment, data, device, slots)
        head["experiment"] = recorded
        # the workers end before another process may write the run
        with RunWriter.open(commons, run_id, head) as writer, closing(executor):
            search = Search(experiment, writer, executor, data.shape, len(data.classes), device, watcher)
            # a run can go on elsewhere, and the row of runs says only where it began
            place = {key: head[key] for key in ("code_version", "environment", "threads", "device")}
            kind = "resumed" if writer.resumed else "started"
            writer.events.append(kind, process=os.getpid(), host=platform.node(), **place)
            started = time.monotonic()
            status = RunStatus.failed
            try:
                search.run()
                status = RunStatus.completed
            except BaseException as error:
                # signals are no Exceptions: Ctrl-C, and the SIGTERM that Prefect turns into one
                if isinstance(error, BadInput) or not isinstance(error, Exception):
                    status = RunStatus.interrupted
                raise
            finally:
                _finish(writer, status, time.monotonic() - started)


def as_begun(
    experiment: Experiment, images: int, commons: Path, run_id: str
) -> tuple[Experiment, dict[str, Any]]:
    """The experiment as the run of that id began, and as it is recorded.

    A run from before some setting did not record it, and goes on with what was done then. What follows from
    the data is written out.

    Args:
        experiment: as it was given.
        images: for training.
        commons, run_id: of the run, which need not be there.
    """
    recorded = recorded_experiment(commons, run_id)
    if recorded is None:
        resolved = experiment.resolved(images)
        return resolved, resolved.to_mapping()
    if "evaluation" not in recorded.get("training", {}):
        given = experiment.training
        then = {k: v for k, v in FIRST_DEFAULTS.items() if getattr(given, k) == _default(k)}
        experiment = experiment.model_copy(update={"training": given.model_copy(update=then)})
    resolved = experiment.resolved(images)
    try:
        same = Experiment.from_record(recorded) == resolved
    except (A4NNError, TypeError):
        same = False
    return resolved, dict(recorded) if same else resolved.to_mapping()


def _default(setting: str) -> Any:
    return Training.model_fields[setting].default


def recorded_experiment(commons: Path, run_id: str) -> dict[str, Any] | None:
    """The tables of the experiment that a run recorded, None if there is no such run.

    Raises:
        BadInput: the run's file cannot be read.
    """
    file = RunFolder(commons, run_id).run_file
    if not file.is_file():
        return None
    found = members(read_json(file).get("header")).get("experiment")
    return found if isinstance(found, dict) else None


def _finish(writer: RunWriter, status: RunStatus, seconds: float) -> None:
    try:
        writer.events.append(status)
        writer.finish(status, seconds=seconds + (number(writer.totals.get("seconds")) or 0.0))
    except (A4NNError, OSError):
        # on a full disk not even this fits; the run is resumed from what is there, so nothing is lost
        if status is RunStatus.completed:
            raise


def _largest(experiment: Experiment, data: ImageData) -> Architecture:
    """The largest network of the search space; fails, before anything is recorded, where no genome fits the
    images."""
    genome = experiment.space.genome(experiment.space.upper)
    return experiment.space.decode(genome, data.shape, len(data.classes))


def header(experiment: Experiment, data: ImageData, device: str, slots: int) -> dict[str, Any]:
    """What is recorded about a run before anything trains."""
    return {
        "name": experiment.name,
        "experiment": experiment.to_mapping(),
        "seed": experiment.seed,
        "dataset_fingerprint": data.fingerprint,
        "dataset": {
            "name": data.name,
            "classes": list(data.classes),
            "shape": list(data.shape),
            "train": len(data.train),
            "validation": len(data.validation),
            "test": len(data.test),
            # what the networks saw of a stored image: without it their weights cannot be used
            "transform": asdict(data.transform),
        },
        "code_version": __version__,
        "environment": {
            "python": platform.python_version(),
            **{package: _version(package) for package in PACKAGES},
            "platform": platform.platform(),
            "processor": _processor(),
            "host": platform.node(),
        },
        "threads": experiment.training.threads,
        "slots": slots,
        "device": device,
    }


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _processor() -> str:
    """Name of the CPU."""
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()
