"""What the commands of this package share."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import typer

from a4nn_core.errors import A4NNError, BadInput


def carry_out(work: Callable[[], Iterable[str]], done: str) -> None:
    """Do some work, and print what it says and that it is done.

    Raises:
        typer.Exit: with 2 for bad input and 1 for any other error, which is printed on standard error.
    """
    try:
        for sentence in work():
            typer.echo(sentence)
    except A4NNError as error:
        typer.echo(f"Error: {error}", err=True)
        raise typer.Exit(2 if isinstance(error, BadInput) else 1) from None
    typer.echo(done)
