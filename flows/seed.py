"""The seed of a scheduled search: each has another, as the same search every night would find nothing new."""

from __future__ import annotations

import hashlib
from pathlib import Path

from a4nn_core.experiment import Experiment
from a4nn_core.jsonable import whole
from a4nn_core.workflow.plan import recorded_header


def seed_of(run_id: str) -> int:
    """The seed that follows from the id of a scheduled run: the first four bytes of its SHA-256."""
    return int.from_bytes(hashlib.sha256(run_id.encode()).digest()[:4])


def with_own_seed(experiment: Experiment, commons: Path, run_id: str, scheduled: bool) -> Experiment:
    """The experiment as a flow run searches it: with the seed of its run if a schedule started that.

    Args:
        experiment: the experiment of the deployment.
        commons, run_id: folder of the commons and id of the run, which need not exist.
        scheduled: whether a schedule created the flow run.

    Returns:
        the experiment. A run that exists keeps the seed it has, also when somebody resumes it by hand, and
        when it began before scheduled runs had seeds of their own.
    """
    own = seed_of(run_id)
    recorded = whole((recorded_header(commons, run_id) or {}).get("seed"))
    if scheduled or recorded == own:
        return experiment.model_copy(update={"seed": own if recorded is None else recorded})
    return experiment
