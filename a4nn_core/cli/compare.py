"""``a4nn compare``: runs side by side."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from a4nn_core.cli.options import DEFAULT_COMMONS, CommonsOption, JsonOption, print_json, tell
from a4nn_core.errors import BadInput

if TYPE_CHECKING:
    from a4nn_core.archaeology.comparison import Field
    from a4nn_core.commons import Commons

PICTURES = ("png", "svg", "pdf")
FORMS = ("md", "html", "json", *PICTURES)


def compare(
    runs: Annotated[
        list[str], typer.Argument(metavar="RUNS...", help="Ids of runs, or patterns such as 'plain-*'.")
    ],
    seeds: Annotated[
        int | None, typer.Option(min=1, help="How many seeds of each system count; default: all.")
    ] = None,
    latency: Annotated[
        bool,
        typer.Option(
            "--latency", help="Measure on this machine how long one image takes, where not recorded."
        ),
    ] = False,
    out: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="FILE", help="Write it as .md, .html, .json, .png, .svg or .pdf; may be repeated."
        ),
    ] = None,
    commons: CommonsOption = DEFAULT_COMMONS,
    as_json: JsonOption = False,
) -> None:
    """Compare runs: for each data set, what every system found and what it cost."""
    from a4nn_core.archaeology.comparison import compare as compared
    from a4nn_core.commons import Commons

    for file in out or ():
        if file.suffix.removeprefix(".") not in FORMS:
            raise BadInput(f"{file} has none of the endings {', '.join(f'.{form}' for form in FORMS)}")
    fields = compared(Commons(commons), runs, seeds, _measured if latency else None)
    for file in out or ():
        write(fields, file)
    if as_json:
        from a4nn_core.archaeology.comparison_table import as_json as document

        print_json(document(fields))
        return
    show(fields)
    if out:
        tell("", f"written: {', '.join(map(str, out))}")


def show(fields: Sequence[Field]) -> None:
    """Print a comparison."""
    from a4nn_core.archaeology.comparison_table import HEADER, cells, published_cells, remarks
    from a4nn_core.cli.tables import print_table

    for one in fields:
        tell("", one.data, "")
        print_table(list(HEADER), [*map(cells, one.systems), *published_cells(one.beam)], least_width=150)
    tell("", *remarks(fields))


def write(fields: Sequence[Field], file: Path) -> None:
    """Write a comparison in the form that a file's ending names.

    Raises:
        BadInput: the file cannot be written.
    """
    import json

    from a4nn_core.archaeology.comparison_table import as_html, as_json, as_markdown
    from a4nn_core.files import atomic_write, make_folder

    form = file.suffix.removeprefix(".")
    make_folder(file.parent)
    with atomic_write(file) as temporary:
        if form in PICTURES:
            from a4nn_core.archaeology.comparison_picture import draw_comparison

            draw_comparison(fields, temporary, form)
            return
        text = {
            "md": lambda: as_markdown(fields),
            "html": lambda: as_html(fields, "Searches compared"),
            "json": lambda: json.dumps(as_json(fields), indent=2, ensure_ascii=False) + "\n",
        }[form]()
        temporary.write_text(text, encoding="utf-8")


def _measured(commons: Commons, run: str, network: int) -> float | None:
    """The latency of a recorded network in milliseconds, measured now; None if its layers are not known."""
    from a4nn_core.recorded_graphs import architecture_of
    from a4nn_core.spaces.latency import measure_latency

    layers = [layer for layer in commons.layers(run) if layer.network == network]
    edges = [edge for edge in commons.edges(run) if edge.network == network]
    try:
        architecture = architecture_of(sorted(layers, key=lambda layer: layer.layer), edges)
    except (IndexError, ValueError, KeyError):
        return None
    return measure_latency(architecture).value
