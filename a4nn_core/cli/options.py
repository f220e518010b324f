"""Options and output that commands share."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from a4nn_core.printable import json_printable, printable

CommonsOption = Annotated[
    Path,
    typer.Option(
        "--commons",
        metavar="DIR",
        envvar="A4NN_COMMONS",
        readable=False,  # not for typer to check: its message is a page
        help="Folder of the data commons.",
    ),
]
DEFAULT_COMMONS = Path("commons")

JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON document on standard output.")]


def say(*lines: str) -> None:
    """Print lines for people, on standard error."""
    for line in lines:
        typer.echo(printable(line), err=True)


def tell(*lines: str) -> None:
    """Print lines of a result for people, on standard output."""
    for line in lines:
        typer.echo(printable(line))


def print_json(document: object) -> None:
    """Print a result for programs, on standard output."""
    typer.echo(json_printable(json.dumps(document, indent=2, ensure_ascii=False)))
