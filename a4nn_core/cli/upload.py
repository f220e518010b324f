"""``a4nn upload``: upload a deposit to a Dataverse server."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from a4nn_core.cli.options import JsonOption, print_json, say

if TYPE_CHECKING:
    from a4nn_core.publish.dataverse.upload import Release, Uploaded


def upload(
    deposit: Annotated[Path, typer.Argument(metavar="DIR", help="Deposit built by a4nn publish.")],
    server: Annotated[
        str, typer.Option(metavar="URL", help="Dataverse server, such as https://demo.dataverse.org.")
    ],
    dataverse: Annotated[
        str, typer.Option(metavar="ALIAS", help="Collection in which a new data set is created.")
    ],
    doi: Annotated[
        str | None,
        typer.Option(help="Existing data set to update, such as doi:10.70122/X."),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print what would be done; send nothing.")
    ] = False,
    publish: Annotated[
        str | None, typer.Option(metavar="major|minor", help="Publish the draft as a major or minor version.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Create or update a draft on a Dataverse server; repeat an interrupted command to continue.

    The API token is read from the environment variable DATAVERSE_API_TOKEN. Nothing is published without
    --publish.
    """
    from a4nn_core.cli.progress import file_progress
    from a4nn_core.errors import BadInput
    from a4nn_core.publish.dataverse.client import Dataverse, token_from_environment
    from a4nn_core.publish.dataverse.upload import upload as upload_deposit

    if publish not in (None, "major", "minor"):
        raise BadInput(f"--publish {publish!r} is neither major nor minor")
    with Dataverse(server, token_from_environment()) as api, file_progress() as progress:
        done = upload_deposit(
            deposit,
            api,
            dataverse,
            persistent_id=doi,
            dry_run=dry_run,
            publish=cast("Release | None", publish),
            progress=progress,
        )
    if as_json:
        print_json(asdict(done))
        return
    _print_uploaded(done, server.rstrip("/"))


def _print_uploaded(done: Uploaded, server: str) -> None:
    verb = "would be " if done.dry else ""
    for path in done.plan.add:
        say(f"{path}: {verb}added")
    for path in done.plan.replace:
        say(f"{path}: {verb}replaced")
    for path, _ in done.plan.delete:
        say(f"{path}: {verb}deleted")
    for path in done.plan.foreign:
        say(f"{path}: not part of the deposit, left as it is")
    for path in done.not_ingested:
        say(f"note: the server did not ingest {path}: it has no UNF there")
    if done.persistent_id is None:
        say("a new data set would be created")
        return
    say(f"{len(done.plan.keep)} files were there already")
    state = "published" if done.published else "a draft: review and publish it there, or use --publish major"
    if not done.dry:
        say(f"{server}/dataset.xhtml?persistentId={done.persistent_id} is {state}")
