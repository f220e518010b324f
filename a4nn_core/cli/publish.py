"""``a4nn publish``: build a deposit from runs of a commons."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from a4nn_core.cli.options import DEFAULT_COMMONS, CommonsOption, JsonOption, print_json, say

METADATA = Path("deposit.toml")


def _example(wanted: bool) -> None:
    if wanted:
        from a4nn_core.publish.deposit.metadata import example

        typer.echo(example(), nl=False)
        raise typer.Exit


def publish(
    runs: Annotated[list[str], typer.Argument(metavar="RUNS...", help="Runs to publish together.")],
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="New folder for the deposit.")],
    metadata: Annotated[
        Path, typer.Option(metavar="FILE", help="Title, authors, licence, ..., as TOML.")
    ] = METADATA,
    weights: Annotated[
        str, typer.Option(help="Checkpoints to include: none, front, best (of every network), all.")
    ] = "front",
    models: Annotated[
        str, typer.Option(help="Networks to export as ONNX and torch.export: none, front.")
    ] = "front",
    archive_megabytes: Annotated[
        int, typer.Option(min=1, help="Maximum size of one archive of weights, in 10^6 bytes.")
    ] = 2000,
    unfinished: Annotated[
        bool, typer.Option("--unfinished", help="Include runs that are not completed.")
    ] = False,
    commons: CommonsOption = DEFAULT_COMMONS,
    as_json: JsonOption = False,
    example: Annotated[
        bool,
        typer.Option("--example", callback=_example, is_eager=True, help="Print a metadata file and exit."),
    ] = False,
) -> None:
    """Build a deposit ready for Dataverse: tables, weights, models, pictures and all metadata."""
    del example  # its callback has printed it and ended the program
    from a4nn_core.errors import BadInput
    from a4nn_core.publish.deposit.build import Settings, build
    from a4nn_core.publish.deposit.metadata import read_metadata

    choices: dict[str, tuple[str, ...]] = {
        "weights": ("none", "front", "best", "all"),
        "models": ("none", "front"),
    }
    for name, value in (("weights", weights), ("models", models)):
        if value not in choices[name]:
            raise BadInput(f"--{name} {value!r} is not one of {', '.join(choices[name])}")
    if metadata == METADATA and not metadata.exists():
        raise BadInput(
            f"there is no metadata file {metadata}: start from `a4nn publish --example > {metadata}`, "
            "or name one with --metadata"
        )
    settings: dict[str, Any] = {"weights": weights, "models": models, "unfinished": unfinished}
    built = build(
        commons,
        runs,
        out,
        read_metadata(metadata),
        Settings(archive_bytes=archive_megabytes * 10**6, **settings),
    )
    if as_json:
        print_json({**asdict(built), "folder": str(built.folder)})
        return
    for remark in built.remarks:
        say(f"note: {remark}")
    say(f"{built.folder}: {built.files} files, {built.bytes / 1e6:.1f} MB, {built.unf or 'no UNF'}")
