"""Runs that have ended for good: their records are final, and whoever runs them again only looks at them."""

from __future__ import annotations

from pathlib import Path

from a4nn_core.commons import RunFolder
from a4nn_core.commons.layout import read_json
from a4nn_core.experiment import Experiment
from a4nn_core.vocabulary import RunStatus
from a4nn_core.workflow.plan import is_of_experiment


def has_ended(experiment: Experiment, commons: Path, run_id: str) -> bool:
    """Whether a run of an experiment is complete. The data are not loaded, and nothing is written.

    Args:
        experiment: the experiment as the user gave it.
        commons, run_id: folder of the commons and id of the run, which need not exist.

    Raises:
        BadInput: the run is complete and belongs to another experiment, or its file cannot be read.
    """
    file = RunFolder(commons, run_id).run_file
    complete = file.is_file() and read_json(file).get("status") == RunStatus.completed
    return complete and is_of_experiment(experiment, commons, run_id)
