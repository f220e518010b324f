"""The executor ``local``: warm worker processes on this machine, no server."""

from __future__ import annotations

from pathlib import Path

from a4nn_core.experiment import Experiment
from a4nn_core.workflow.devices import Machine, places
from a4nn_core.workflow.executor import LocalExecutor
from a4nn_core.workflow.run import execute
from a4nn_core.workflow.watcher import Watcher


def run_local(experiment: Experiment, commons: Path, run_id: str, watcher: Watcher | None = None) -> None:
    """Run a search on this machine; see ``execute``."""
    execute(experiment, commons, run_id, _on, watcher)


def _on(machine: Machine) -> LocalExecutor:
    machine.require_device()
    return LocalExecutor(machine.slots, machine.threads, warm=not places(machine.device))
