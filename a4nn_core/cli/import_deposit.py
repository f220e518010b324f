"""``a4nn import deposit``: import a deposit, from a folder or by its DOI, back into a commons."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Annotated

import typer

from a4nn_core.cli.commons import print_merged
from a4nn_core.cli.options import DEFAULT_COMMONS, CommonsOption, JsonOption, print_json


def deposit(
    source: Annotated[str, typer.Argument(metavar="DIR or DOI", help="Folder of a deposit, or its DOI.")],
    server: Annotated[
        str | None,
        typer.Option(metavar="URL", help="Server that has the DOI; default: where doi.org points."),
    ] = None,
    commons: CommonsOption = DEFAULT_COMMONS,
    json_: JsonOption = False,
) -> None:
    """Import a deposit that a4nn publish built: its runs, tables and weights.

    A draft needs the API token in the environment variable DATAVERSE_API_TOKEN.
    """
    from dataclasses import asdict

    from a4nn_core.cli.progress import file_progress
    from a4nn_core.files import make_folder
    from a4nn_core.publish.dataverse.client import TOKEN_VARIABLE, Dataverse
    from a4nn_core.publish.dataverse.download import as_persistent_id, download, server_of
    from a4nn_core.publish.deposit.restore import restore

    name = None if Path(source).exists() else as_persistent_id(source)
    if name is None:
        done = restore(Path(source), commons)
    else:
        make_folder(commons.absolute().parent)
        address = server or server_of(name)
        with (
            tempfile.TemporaryDirectory(dir=commons.absolute().parent, prefix=".a4nn-download-") as folder,
            Dataverse(address, os.environ.get(TOKEN_VARIABLE) or None) as api,
            file_progress() as progress,
        ):
            download(api, name, Path(folder) / "deposit", progress)
            done = restore(Path(folder) / "deposit", commons)
    if json_:
        print_json(asdict(done))
        return
    print_merged(done)
