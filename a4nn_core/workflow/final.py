"""Runs that have ended for good: their records are final, and whoever runs them again only looks at them."""

from __future__ import annotations

from pathlib import Path

from a4nn_core.commons import RunFolder
from a4nn_core.commons.layout import read_json
from a4nn_core.commons.writer import require_same
from a4nn_core.experiment import Experiment
from a4nn_core.jsonable import members, whole
from a4nn_core.vocabulary import RunStatus
from a4nn_core.workflow.plan import as_begun


def has_ended(experiment: Experiment, commons: Path, run_id: str) -> bool:
    """Whether a run of an experiment is complete. The data are not loaded, and nothing is written.

    Args:
        experiment: the experiment as the user gave it.
        commons, run_id: folder of the commons and id of the run, which need not exist.

    Raises:
        BadInput: the run is complete and belongs to another experiment, or its file cannot be read.
    """
    folder = RunFolder(commons, run_id)
    stored = read_json(folder.run_file) if folder.run_file.is_file() else {}
    header = members(stored.get("header"))
    images = whole(members(header.get("dataset")).get("train"))
    if stored.get("status") != RunStatus.completed or images is None:
        return False
    _, given = as_begun(experiment, images, commons, run_id)
    require_same(folder, header, {"experiment": given})
    return True
