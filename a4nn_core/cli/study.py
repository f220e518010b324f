"""``a4nn run --seeds``: one experiment with several seeds, as one study."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from a4nn_core.cli.options import print_json, say, tell
from a4nn_core.errors import BadInput

if TYPE_CHECKING:
    from a4nn_core.experiment import Experiment


def run_ids(study: str, experiment: Experiment, seeds: int) -> dict[str, Experiment]:
    """The runs of a study: id to experiment. Seeds count up from that of the experiment."""
    return {
        f"{study}-s{seed}": experiment.model_copy(update={"seed": seed})
        for seed in range(experiment.seed, experiment.seed + seeds)
    }


def recorded_study(commons: Path, study: str) -> Experiment:
    """The experiment of a study that was begun, with its first seed.

    Raises:
        BadInput: the commons has no run of it.
    """
    from a4nn_core.commons import Commons
    from a4nn_core.experiment import Experiment
    from a4nn_core.workflow.plan import recorded_experiment

    runs = Commons(commons).runs() if commons.is_dir() else []
    seeds = {
        int(found[1]): run for run in runs if (found := re.fullmatch(rf"{re.escape(study)}-s(\d+)", run))
    }
    recorded = recorded_experiment(commons, seeds[min(seeds)]) if seeds else None
    if recorded is None:
        raise BadInput(f"commons {commons} has no study {study!r} to continue; give a preset or a file")
    return Experiment.from_record(recorded, f"run {seeds[min(seeds)]}")


def search_study(
    runs: dict[str, Experiment], commons: Path, executor: str, again: Sequence[str], as_json: bool
) -> None:
    """Run all runs of a study, one after another, and compare what they found. Those that are complete are
    only looked at, so that the same command continues a study.

    Args:
        runs: id to experiment.
        commons: folder of the commons.
        executor: name of what trains.
        again: the command that continues the study, told if it is interrupted.
        as_json: whether to print the comparison as JSON.
    """
    import shlex

    from a4nn_core.archaeology.comparison import compare
    from a4nn_core.archaeology.comparison_table import as_json as document
    from a4nn_core.cli.compare import show
    from a4nn_core.cli.progress import Progress
    from a4nn_core.commons import Commons
    from a4nn_core.progress import listening
    from a4nn_core.workflow.final import has_ended
    from a4nn_core.workflow.run import EXECUTORS

    execute = EXECUTORS.find(executor)
    for number, (name, experiment) in enumerate(runs.items(), start=1):
        if has_ended(experiment, commons, name):
            say(f"run {name} ({number} of {len(runs)}) is complete")
            continue
        say(f"run {name} ({number} of {len(runs)})")
        try:
            with Progress(experiment) as progress, listening(progress.loading):
                execute(experiment, commons, name, progress)
        except KeyboardInterrupt:
            say(f"interrupted; nothing is lost. To continue: {shlex.join(again)}")
            raise
    fields = compare(Commons(commons), list(runs))
    if as_json:
        print_json(document(fields))
        return
    show(fields)
    where = f" --commons {shlex.quote(str(commons))}"
    tell("", f"with others: a4nn compare {' '.join(runs)} OTHER-RUNS...{where}")
