"""The executor ``local``: warm worker processes on this machine, no server."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from a4nn_core.experiment import Experiment
from a4nn_core.workflow.devices import choose_device, places
from a4nn_core.workflow.executor import LocalExecutor
from a4nn_core.workflow.run import execute
from a4nn_core.workflow.search import Watcher


def run_local(experiment: Experiment, commons: Path, run_id: str, watcher: Watcher | None = None) -> None:
    """Run a search on this machine; see ``execute``."""
    warm = not places(choose_device(experiment.training.device))
    execute(experiment, commons, run_id, partial(LocalExecutor, warm=warm), watcher)
