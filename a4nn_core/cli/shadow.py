"""``a4nn shadow``: train the networks of a run to the end, to see what ending them early has cost."""

from __future__ import annotations

from typing import Annotated

import typer

from a4nn_core.cli.options import DEFAULT_COMMONS, CommonsOption, JsonOption
from a4nn_core.cli.run import search_and_show


def shadow(
    original: Annotated[str, typer.Argument(metavar="RUN", help="Id of the run.")],
    run_id: Annotated[
        str | None,
        typer.Option(help="Name of the new run; an existing one is resumed. Default: RUN-shadow."),
    ] = None,
    executor: Annotated[
        str, typer.Option(help="What runs the training: local, prefect, ray, dask.")
    ] = "local",
    commons: CommonsOption = DEFAULT_COMMONS,
    as_json: JsonOption = False,
) -> None:
    """Train the networks of a run again, the same seeds, each to the end; the same id resumes it."""
    from a4nn_core.commons import Commons
    from a4nn_core.experiment import Experiment
    from a4nn_core.workflow.plan import recorded_experiment
    from a4nn_core.workflow.shadow import shadow_experiment

    name = run_id or f"{original}-shadow"
    begun = recorded_experiment(commons, name)
    if begun is None:
        experiment = shadow_experiment(Commons(commons), original)
    else:
        experiment = Experiment.from_record(begun, f"run {name}")
    again = ["a4nn", "shadow", original, "--run-id", name, "--commons", str(commons), "--executor", executor]
    search_and_show(experiment, name, commons, executor, again, as_json)
