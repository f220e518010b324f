"""``a4nn commons``: check, compact, merge and export a commons."""

from __future__ import annotations

from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from a4nn_core.cli.options import DEFAULT_COMMONS, CommonsOption, JsonOption, print_json, say

if TYPE_CHECKING:
    from a4nn_core.commons.merge import Merged

app = typer.Typer(
    help="Check, compact, merge and export a data commons.", no_args_is_help=True, rich_markup_mode=None
)

RunsArgument = Annotated[list[str] | None, typer.Argument(metavar="[RUN]...", help="Runs; default: all.")]


@app.command()
def check(
    commons: CommonsOption = DEFAULT_COMMONS,
    checkpoints: Annotated[bool, typer.Option(help="Also compare the checkpoints' checksums.")] = True,
    json_: JsonOption = False,
) -> None:
    """Read every file, compare every checksum, and report problems; exit code 1 if there are any."""
    from a4nn_core.commons.check import check as check_commons

    found = check_commons(commons, checkpoints=checkpoints)
    if json_:
        print_json(asdict(found))
    else:
        for note in found.notes:
            say(f"note: {note}")
        for problem in found.problems:
            say(problem)
        state = f"{len(found.problems)} problem{'' if len(found.problems) == 1 else 's'}"
        say(f"runs: {found.runs}, networks: {found.networks}, files: {found.files}; {state}")
    if found.problems:
        raise typer.Exit(1)


@app.command()
def compact(commons: CommonsOption = DEFAULT_COMMONS, json_: JsonOption = False) -> None:
    """Pack the many small files of finished networks into a few; runs may continue meanwhile."""
    from a4nn_core.commons.compact import compact as compact_commons

    done = compact_commons(commons)
    if json_:
        print_json(asdict(done))
        return
    say(
        f"{done.networks} networks and {done.runs} runs moved, {done.packs} packs written, "
        f"{done.removed} files removed"
    )
    if done.left:
        say(f"{done.left} superseded files are still being read; the next compaction removes them")


@app.command()
def merge(
    source: Annotated[Path, typer.Argument(help="Commons to take the runs from.")],
    runs: RunsArgument = None,
    commons: CommonsOption = DEFAULT_COMMONS,
    json_: JsonOption = False,
) -> None:
    """Add the runs of another commons to this one."""
    from a4nn_core.commons.merge import merge as merge_commons

    done = merge_commons(source, commons, runs)
    if json_:
        print_json(asdict(done))
        return
    print_merged(done)


def print_merged(done: Merged) -> None:
    """Print which runs were added to a commons, and under which ids."""
    for run, new in done.added.items():
        say(f"{run} added" if run == new else f"{run} added as {new}: its id is taken by another run")
    for run in done.present:
        say(f"{run} is already there")


class Format(StrEnum):
    """The formats of an export."""

    tables = "tables"
    syne_tune = "syne-tune"


@app.command()
def export(
    out: Annotated[
        str,
        typer.Option(
            "--out",
            metavar="PLACE",
            help="New folder for one Parquet file per table, a new FILE.duckdb, or a URI such as "
            "s3://bucket/path.",
        ),
    ],
    runs: RunsArgument = None,
    format: Annotated[
        Format,
        typer.Option("--format", help="All tables, or a folder for Syne Tune's blackbox repository."),
    ] = Format.tables,
    commons: CommonsOption = DEFAULT_COMMONS,
    json_: JsonOption = False,
) -> None:
    """Export all tables as Parquet or as one DuckDB file, or the curves for Syne Tune."""
    from a4nn_core.interchange.duckdb_file import export_duckdb
    from a4nn_core.interchange.parquet import export_tables, without_secrets

    if format is Format.syne_tune:
        from a4nn_core.interchange.syne_tune import export_blackbox

        counts = export_blackbox(commons, Path(out), runs)
    elif "://" not in out and out.endswith((".duckdb", ".db")):
        counts = export_duckdb(commons, Path(out), runs)
    else:
        counts = export_tables(commons, out, runs)
    if json_:
        print_json({"out": without_secrets(out), "rows": counts})
        return
    say(f"{out.split('?')[0]}: " + ", ".join(f"{count} {name}" for name, count in counts.items()))
