"""Options and output that commands share."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

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


def say(message: str) -> None:
    """Print a line for people, on standard error."""
    typer.echo(message, err=True)


def print_json(document: object) -> None:
    """Print a result for programs, on standard output."""
    typer.echo(json.dumps(document, indent=2, ensure_ascii=False))
