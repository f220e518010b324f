"""``a4nn run``, ``front`` and ``presets``: run a search, and show what it found."""

from __future__ import annotations

import shlex
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from a4nn_core.cli.options import DEFAULT_COMMONS, CommonsOption, JsonOption, print_json, say, tell
from a4nn_core.cli.tables import print_table
from a4nn_core.errors import BadInput
from a4nn_core.vocabulary import RunStatus

if TYPE_CHECKING:
    from a4nn_core.experiment import Experiment
    from a4nn_core.workflow.summary import Summary

WIDEST_GENOME = 100
"""characters of a genome in a table"""


def run(
    source: Annotated[
        str | None,
        typer.Argument(
            metavar="[PRESET or FILE]",
            help="A preset or a TOML file; default: the experiment that the run --run-id recorded.",
        ),
    ] = None,
    executor: Annotated[
        str, typer.Option(help="What runs the training: local, prefect, ray, dask.")
    ] = "local",
    run_id: Annotated[str | None, typer.Option(help="Name of the run; an existing one is resumed.")] = None,
    seeds: Annotated[
        int | None,
        typer.Option(min=1, help="Run it with so many seeds, one after another: runs NAME-s1, NAME-s2, ..."),
    ] = None,
    changes: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Change a setting, such as training.epochs=5."),
    ] = None,
    check: Annotated[
        bool, typer.Option("--check", help="Show what would be trained and what it takes; train nothing.")
    ] = False,
    commons: CommonsOption = DEFAULT_COMMONS,
    as_json: JsonOption = False,
) -> None:
    """Run one search; the same id resumes it."""
    from a4nn_core.cli.study import recorded_study, run_ids, search_study
    from a4nn_core.workflow.plan import new_run_id

    if seeds is not None and source is None and run_id is not None and not changes:
        experiment = recorded_study(commons, run_id)
    else:
        experiment = _experiment(source, changes or (), commons, run_id)
    name = run_id or new_run_id(experiment)
    runs = run_ids(name, experiment, seeds) if seeds is not None else {}
    if check:
        if runs:
            say(f"of the first of {len(runs)} runs:")
        _check(experiment, next(iter(runs), name), commons, executor, as_json)
        return
    again = ["a4nn", "run", *([source] if source else []), "--run-id", name]
    again += ["--commons", str(commons), "--executor", executor]
    for change in changes or ():
        again += ["--set", change]
    if runs:
        search_study(runs, commons, executor, [*again, "--seeds", str(seeds)], as_json)
        return
    search_and_show(experiment, name, commons, executor, again, as_json)


def _check(experiment: Experiment, name: str, commons: Path, executor: str, as_json: bool) -> None:
    """Show the start-up check of a run."""
    from a4nn_core.cli.progress import data_progress
    from a4nn_core.workflow.run import EXECUTORS, look_ahead_of

    EXECUTORS.find(executor)
    with data_progress():
        ahead = look_ahead_of(experiment, commons, name, is_local=executor in ("local", "prefect"))
    if as_json:
        print_json(ahead.as_dict())
        return
    tell(*ahead.lines())
    for warning in ahead.warnings:
        tell(f"warning: {warning}")


def search_and_show(
    experiment: Experiment, name: str, commons: Path, executor: str, again: Sequence[str], as_json: bool
) -> None:
    """Run an experiment to its end and show what it found. A run that is complete is only shown.

    Args:
        experiment, name, commons: what to search, the id of the run and the commons.
        executor: name of what trains.
        again: the command that continues the run, told if it is interrupted.
        as_json: whether to print the result as JSON.
    """
    from a4nn_core.cli.progress import Progress
    from a4nn_core.progress import listening
    from a4nn_core.workflow.final import has_ended
    from a4nn_core.workflow.run import EXECUTORS

    execute = EXECUTORS.find(executor)
    began = time.time()
    say(f"run {name}: {experiment.description or experiment.name}")
    try:
        ended = has_ended(experiment, commons, name)
        if ended:
            say(f"run {name} is complete; this is its result")
        else:
            with Progress(experiment) as progress, listening(progress.loading):
                execute(experiment, commons, name, progress)
        show(commons, name, as_json, since=0.0 if ended else began)
    except KeyboardInterrupt:
        say(_interrupted(commons, name, again))
        raise


def _interrupted(commons: Path, name: str, again: Sequence[str]) -> str:
    """What an interrupt has left of a run, and how to go on."""
    from a4nn_core.commons import Commons
    from a4nn_core.workflow.plan import recorded_header

    if recorded_header(commons, name) is None:
        return f"interrupted before the run began; nothing was recorded. To start it: {shlex.join(again)}"
    if Commons(commons).run(name).status is RunStatus.completed:
        shown = ["a4nn", "front", name, "--commons", str(commons)]
        return f"interrupted after the run was complete. To see its result: {shlex.join(shown)}"
    return f"interrupted; nothing is lost. To continue: {shlex.join(again)}"


def _experiment(source: str | None, changes: Sequence[str], commons: Path, run_id: str | None) -> Experiment:
    """The experiment of a preset or file, or the one that a run recorded."""
    from a4nn_core.experiment import Experiment, changed, load_experiment
    from a4nn_core.workflow.plan import recorded_experiment

    if source is not None:
        return load_experiment(source, changes)
    if run_id is None:
        raise BadInput("give a preset or a file, or the --run-id of a run to continue")
    if any(change.partition("=")[0].strip().partition(".")[0] != "budget" for change in changes):
        raise BadInput(
            "--set needs a preset or a file: a run continues with the settings it began with, except [budget]"
        )
    recorded = recorded_experiment(commons, run_id)
    if recorded is None:
        raise BadInput(f"commons {commons} has no run {run_id!r} to continue; give a preset or a file")
    return Experiment.from_record(changed(recorded, changes), f"run {run_id}")


def front(
    run_id: Annotated[str, typer.Argument(metavar="RUN", help="Id of the run.")],
    commons: CommonsOption = DEFAULT_COMMONS,
    as_json: JsonOption = False,
) -> None:
    """Show the Pareto front of a run, and write its picture and report."""
    show(commons, run_id, as_json, since=time.time())


def presets(
    name: Annotated[
        str | None, typer.Argument(metavar="[NAME]", help="Print this one as TOML, to start your own from.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """List the presets, or print one."""
    from a4nn_core.experiment import load_experiment
    from a4nn_core.experiment import presets as known

    if name is not None:
        if name not in known():
            raise BadInput(f"there is no preset {name!r}; known: {', '.join(known())}")
        experiment = load_experiment(name)
        if as_json:
            print_json(experiment.to_mapping())
        else:
            typer.echo(experiment.to_toml(), nl=False)
        return
    if as_json:
        print_json(known())
        return
    for name, description in known().items():
        tell(f"{name:<26}{description}")


def show(commons: Path, run_id: str, as_json: bool, since: float = 0.0) -> None:
    """Print the result of a run.

    Args:
        commons, run_id: where the run is.
        as_json: whether to print it as JSON.
        since: its picture and report are written into its folder, if that can be written, unless they were
            written after this moment, in seconds since 1970.
    """
    from a4nn_core.commons import Commons
    from a4nn_core.report.beside import ensure_beside
    from a4nn_core.workflow.summary import summarise

    store = Commons(commons)
    summary = summarise(store, run_id)
    where = "" if commons == DEFAULT_COMMONS else f" --commons {shlex.quote(str(commons))}"
    if as_json:
        print_json(summary.as_dict())
    else:
        _print(summary, where)
    beside = ensure_beside(store, run_id, since)
    if beside.problems:
        say("", *beside.problems)
    if summary.baselines:
        from a4nn_core.publish.models.restored import PICTURE, write_picture

        try:
            picture = write_picture(store, run_id)
        except (BadInput, OSError) as error:
            say("", f"no picture {PICTURE}: {error}")
        else:
            tell(*([] if as_json else ["", f"picture: {picture}"]))
    if as_json:
        return
    if beside.picture or beside.report:
        tell("")
    if beside.picture:
        tell(f"picture: {beside.picture}")
    if beside.report:
        tell(f"report:  {beside.report}")
    if summary.front:
        one = f"{run_id} {summary.front[0].network}"
        tell(f"more on one: a4nn describe {one}{where}", f"to use it:   a4nn export {one} --out DIR{where}")


def _print(summary: Summary, where: str) -> None:
    if summary.error is not None:
        say(f"run {summary.run} {summary.status}: {summary.error}")
    tell("", f"Pareto front of {summary.run} ({summary.status})", "")
    alike = any(member.indistinguishable_from is not None for member in summary.front)
    print_table(
        [
            "network",
            "validation",
            *(["≈"] if alike else []),
            "test",
            "MFLOPs",
            "parameters",
            "epochs",
            "genome",
        ],
        [
            [
                str(member.network),
                str(member.validation),
                *([_or_dash(member.indistinguishable_from, "d")] if alike else []),
                str(member.test),
                "-" if member.flops is None else f"{member.flops / 1e6:.4f}",
                _or_dash(member.parameters, ",d"),
                _or_dash(member.epochs_trained, "d"),
                _clipped(member.genome_text),
            ]
            for member in summary.front
        ],
    )
    if summary.front and str(summary.images):
        tell("", f"± one standard error, of {summary.images}")
    if alike:
        by = "PSNR" if summary.baselines else "accuracy"
        tell(f"≈ not distinguishable from this cheaper network by validation {by}")
    if summary.baselines:
        tell("", "without a network (PSNR, decibels below the greatest expected value):")
        tell(*(f"  {line}" for line in summary.to_beat()))
    first, *others = summary.cost()
    tell("", first, *(f"  {line}" for line in others))
    if summary.stopped is not None and summary.status is RunStatus.interrupted:
        tell(f"  to go on, raise it: a4nn run --run-id {summary.run} --set budget.NAME=AMOUNT{where}")
    if len(summary.endings) > 1:
        tell(f"  why each network was ended early: a4nn status {summary.run}{where}")


def _clipped(genome: str) -> str:
    """A genome in a table: free genomes can be of any length, and would leave other columns no room."""
    return genome if len(genome) <= WIDEST_GENOME else f"{genome[: WIDEST_GENOME - 3]}..."


def _or_dash(value: int | None, form: str) -> str:
    return "-" if value is None else format(value, form)
