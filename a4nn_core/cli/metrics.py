"""``a4nn metrics``: what is going on, for Prometheus."""

from __future__ import annotations

import time
from datetime import timedelta
from pathlib import Path
from typing import Annotated

import typer

from a4nn_core.cli.interrupt import check_interrupt
from a4nn_core.cli.options import DEFAULT_COMMONS, CommonsOption, say
from a4nn_core.errors import BadInput


def metrics(
    port: Annotated[
        int, typer.Option("--port", min=0, max=65535, help="Port to serve them on; 0 for a free one.")
    ] = 9464,
    host: Annotated[str, typer.Option("--host", help="Address to listen on.")] = "127.0.0.1",
    out: Annotated[
        str | None,
        typer.Option(
            "--out",
            metavar="FILE",
            help="Write them once, for the textfile collector of node_exporter, instead of serving them; "
            "- prints them.",
        ),
    ] = None,
    days: Annotated[
        float,
        typer.Option("--days", min=0, max=36500, help="Runs that ended earlier are only in the sums."),
    ] = 7.0,
    commons: CommonsOption = DEFAULT_COMMONS,
) -> None:
    """Export metrics of a commons and its searches to Prometheus: networks, epochs, failures, queue, devices.

    The records are read, whoever writes them; no search is touched.
    """
    from a4nn_core.monitoring.exporter import Exporter
    from a4nn_core.monitoring.serving import served, text, write

    exporter = Exporter(commons, timedelta(days=days))
    if out == "-":
        typer.echo(text(exporter).decode(), nl=False)
    elif out is not None:
        path = Path(out)
        if path.suffix != ".prom":
            raise BadInput(f"{out} does not end in .prom: node_exporter would not read it")
        write(exporter, path)
    else:
        with served(exporter, host, port) as found:
            say(f"serving the metrics of {commons} at http://{host}:{found}/metrics; Ctrl-C ends it")
            while True:
                check_interrupt()
                time.sleep(1.0)
