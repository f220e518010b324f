"""A search from its experiment to its end: choose the executor, open the records, search, close."""

from __future__ import annotations

import logging
import os
import platform
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Protocol

from threadpoolctl import threadpool_limits

from a4nn_core.commons import RunWriter
from a4nn_core.commons.layout import check_run_id
from a4nn_core.data.mapped import map_key, share
from a4nn_core.errors import A4NNError, BadInput
from a4nn_core.experiment import Experiment, load_experiment
from a4nn_core.jsonable import number
from a4nn_core.plugins import Catalogue
from a4nn_core.search.function import CallableSearch
from a4nn_core.vocabulary import EventKind, RunStatus
from a4nn_core.workflow.devices import Machine
from a4nn_core.workflow.executor import Executor
from a4nn_core.workflow.final import has_ended
from a4nn_core.workflow.interrupts import InterruptibleExecutor, Interrupts
from a4nn_core.workflow.plan import Plan, check, new_run_id, open_run, resolve
from a4nn_core.workflow.search import Search
from a4nn_core.workflow.spending import BudgetUsedUp
from a4nn_core.workflow.startup import StartUp, look_ahead
from a4nn_core.workflow.watcher import Watcher

log = logging.getLogger(__name__)


class Runner(Protocol):
    """What the entry points of the group ``a4nn.executors`` name: one way to run a whole search."""

    def __call__(
        self, experiment: Experiment, commons: Path, run_id: str, watcher: Watcher | None = None
    ) -> None: ...


EXECUTORS: Catalogue[Runner] = Catalogue("executor", "a4nn.executors", {})


def run(
    experiment: Experiment | str,
    commons: Path | str = "commons",
    run_id: str | None = None,
    executor: str = "local",
    watcher: Watcher | None = None,
    strategy: object = None,
) -> str:
    """Run a search to its end, or resume the run of that id. Of a run that is complete nothing is changed.

    Args:
        experiment: what to search: an experiment, the name of a preset or a TOML file.
        commons: folder of the data commons; created if missing.
        run_id: id of the run; an existing run is resumed; default: the experiment's name and the time.
        executor: what trains: ``local``, ``prefect``, ``ray``, ``dask``, or an executor of another package.
        watcher: called as the search proceeds.
        strategy: proposes the genomes in place of the experiment's strategy, whose objectives, bounds and
            number of networks stay: a function of ``History`` and a count that returns genomes, a generator,
            or an object with ``ask`` and ``tell`` (search/function.py). It is recorded by its name.

    Returns:
        id of the run.

    Raises:
        BadInput: something the user gave cannot be used; the run can be resumed when it is corrected.
        RunFailed: the run ended because of what happened in it.
    """
    what = load_experiment(experiment) if isinstance(experiment, str) else experiment
    if strategy is not None:
        what = what.model_copy(update={"search": CallableSearch.of(strategy, what.search)})
    name = run_id or new_run_id(what)
    start = EXECUTORS.find(executor)
    if not has_ended(what, Path(commons), name):
        start(what, Path(commons), name, watcher)
    return name


def execute(
    experiment: Experiment,
    commons: Path,
    run_id: str,
    make_executor: Callable[[Machine], Executor],
    watcher: Watcher | None = None,
    origin: Mapping[str, object] | None = None,
) -> None:
    """Run an experiment, or resume the run of that id. Of a run that is complete nothing is changed.

    Args:
        experiment: the experiment to run.
        commons: folder of the data commons; created if missing.
        run_id: id of the run; an existing run is resumed.
        make_executor: makes the executor, given what this machine offers.
        watcher: called as the search proceeds.
        origin: identifies the flow run that searches, for the event log; None if there is no flow.

    Raises:
        BadInput: something the user gave cannot be used; the run can be resumed when it is corrected.
        RunFailed: the run ended because of what happened in it.
        KeyboardInterrupt: passed on after the run was closed cleanly.
    """
    check_run_id(run_id)
    if has_ended(experiment, commons, run_id):
        return
    machine = Machine.of(experiment.training)
    with closing(make_executor(machine)) as executor:
        if executor.is_local:
            machine.require_device()
        plan = resolve(experiment, commons, run_id, machine)
        check(plan, executor.is_local)
        plan = replace(plan, data=share(plan.experiment.data, plan.data), origin=origin or {})
        ahead = look_ahead(plan, executor.is_local, executor.slots)
        if watcher is not None:
            watcher.on_start(ahead)
        for line in ahead.lines():
            log.info(line, extra={"run": run_id})
        for warning in ahead.warnings:
            log.warning(warning, extra={"run": run_id})
        # workers must have ended before another process may write the run
        with Interrupts() as interrupts, open_run(plan) as writer, closing(executor):
            _log_start(plan, writer, ahead.warnings, origin)
            _search(plan, writer, InterruptibleExecutor(executor, interrupts), watcher)


def look_ahead_of(experiment: Experiment, commons: Path, run_id: str, is_local: bool = True) -> StartUp:
    """The start-up check of a run: what it would train and what that takes. Nothing is trained or written.

    Args:
        experiment: the experiment to run.
        commons: folder of the data commons, which need not exist.
        run_id: id of the run, which need not exist.
        is_local: whether networks would train on this machine.

    Raises:
        BadInput: the run cannot be started.
    """
    check_run_id(run_id)
    machine = Machine.of(experiment.training)
    if is_local:
        machine.require_device()
    plan = resolve(experiment, commons, run_id, machine)
    check(plan, is_local)
    return look_ahead(plan, is_local, machine.slots, measure=True)


def _log_start(
    plan: Plan, writer: RunWriter, warnings: Sequence[str], origin: Mapping[str, object] | None
) -> None:
    # a run can be resumed elsewhere, and the table runs records only where it began
    place = {key: plan.header[key] for key in ("code_version", "environment", "threads", "device")}
    told = {"warnings": list(warnings)} if warnings else {}
    kind = EventKind.resumed if writer.resumed else EventKind.started
    writer.events.append(kind, None, None, process=os.getpid(), host=platform.node(), **place, **told)
    if origin is not None:
        writer.events.append(EventKind.flow, None, None, **origin)


def _search(plan: Plan, writer: RunWriter, executor: Executor, watcher: Watcher | None) -> None:
    started = time.monotonic()
    status, trouble, stopped = RunStatus.failed, None, None
    try:
        data = plan.data
        search = Search(
            plan.experiment,
            writer,
            executor,
            data.shape,
            len(data.classes),
            plan.machine.device,
            watcher,
            past=plan.prior.past if plan.prior else (),
            best=plan.best,
            map_key=map_key(plan.experiment.data, data),
        )
        # rules and strategies solve small systems: threads would only compete with the training
        with threadpool_limits(1, "blas"):
            search.run()
        status, stopped = RunStatus.completed, search.stopping.reason
    except BudgetUsedUp as end:
        status, stopped = RunStatus.interrupted, str(end)
    except BaseException as error:
        # BaseException, to include Ctrl-C and the exception that Prefect turns SIGTERM into
        if isinstance(error, BadInput) or not isinstance(error, Exception):
            status = RunStatus.interrupted
        if isinstance(error, Exception):
            trouble = str(error) if isinstance(error, A4NNError) else f"{type(error).__name__}: {error}"
        raise
    finally:
        if stopped is not None:
            log.warning("run %s ended early: %s", writer.folder.run_id, stopped)
        _finish(writer, status, trouble, stopped, time.monotonic() - started)


def _finish(
    writer: RunWriter, status: RunStatus, trouble: str | None, stopped: str | None, seconds: float
) -> None:
    why = {name: text for name, text in (("error", trouble), ("stopped", stopped)) if text is not None}
    try:
        writer.events.append(EventKind(status), None, None, **why)
        seconds += number(writer.totals.get("seconds")) or 0.0
        writer.finish(status, trouble, stopped=stopped, seconds=seconds)
    except (A4NNError, OSError):
        # on a full disk even this fails; the run is resumed from what is there, so nothing is lost
        if status is RunStatus.completed:
            raise
