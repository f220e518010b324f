"""``a4nn settings``: every setting of an experiment."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from a4nn_core.cli.options import JsonOption, print_json, say

if TYPE_CHECKING:
    from a4nn_core.reference import Part, Setting

_WIDTH = 80


def settings(
    part: Annotated[
        str | None,
        typer.Argument(
            metavar="[PART]", help="Such as search, search.a4nn, training.epochs; default: everything."
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Show the settings of an experiment: default, unit, what each takes, and what it is for."""
    from a4nn_core.reference import TABLES, find

    found = find(part)
    if as_json:
        print_json([asdict(one) for one in found])
        return
    table = ""
    for one in found:
        if one.table != table:
            table = one.table
            typer.echo(f"\n{table.upper()}  {TABLES[table].about}")
        typer.echo("\n".join(_lines(one)))
    if part is None:
        say(f"\nfewer: a4nn settings {', '.join(TABLES)}, or a part, such as search.a4nn")


def _lines(part: Part) -> Iterator[str]:
    from a4nn_core.reference import OWN

    package = "" if part.package == OWN else f" (of the package {part.package})"
    yield ""
    yield from _wrapped(f"{part.title}{package}: {part.meaning}", "")
    for setting in part.settings:
        unit = f"; unit: {setting.unit}" if setting.unit else ""
        yield from _wrapped(f"{_default(setting)}  ({setting.values}{unit})", "  ", "      ")
        yield from _wrapped(setting.meaning, "      ")


def _default(setting: Setting) -> str:
    if setting.required:
        return f"{setting.name} must be given"
    return f"{setting.name} is not set" if setting.default is None else f"{setting.name} = {setting.default}"


def _wrapped(text: str, first: str, others: str | None = None) -> list[str]:
    return textwrap.wrap(
        text,
        _WIDTH,
        initial_indent=first,
        subsequent_indent=first if others is None else others,
        break_long_words=False,
        break_on_hyphens=False,
    )
