"""``a4nn report``: one page with all figures of one or more runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from a4nn_core.cli.options import DEFAULT_COMMONS, CommonsOption, tell


def report(
    runs: Annotated[list[str], typer.Argument(metavar="RUN...", help="Ids of the runs, side by side.")],
    out: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="The page; by default report.html beside the run's records."),
    ] = None,
    figures: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Also write every figure as PNG and SVG into this folder."),
    ] = None,
    commons: CommonsOption = DEFAULT_COMMONS,
) -> None:
    """Write a page that shows all of a run; it opens from a mail, without a server or a network."""
    from rich.progress import MofNCompleteColumn, TimeElapsedColumn

    from a4nn_core.cli.progress import named_bars, plain_console
    from a4nn_core.commons import Commons
    from a4nn_core.errors import BadInput
    from a4nn_core.progress import listening
    from a4nn_core.report.page import write_report

    store = Commons(commons)
    if out is None and len(runs) > 1:
        raise BadInput(f"{len(runs)} runs were given: say with --out where their page is to be")
    file = out or store.path / "runs" / runs[0] / "report.html"
    bars = named_bars(plain_console(), MofNCompleteColumn(), TimeElapsedColumn(), keep=False)
    with bars as show, listening(show):
        write_report(store, runs, file)
    tell(f"report: {file}")
    if figures is not None:
        from a4nn_core.report.pictures import write_pictures

        tell(*(f"picture: {picture}" for picture in write_pictures(store, runs, figures)))
