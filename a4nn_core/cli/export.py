"""``a4nn export``: a network that a search found, in forms for use elsewhere."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from a4nn_core.cli.options import DEFAULT_COMMONS, CommonsOption, JsonOption, print_json, tell


def export(
    run_id: Annotated[str, typer.Argument(metavar="RUN", help="Id of the run.")],
    network: Annotated[int, typer.Argument(metavar="NETWORK", help="Its number, as `a4nn front` shows it.")],
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="New folder for the files.")],
    commons: CommonsOption = DEFAULT_COMMONS,
    as_json: JsonOption = False,
) -> None:
    """Write one network as ONNX, torch.export program and plain weights, with a model card."""
    from a4nn_core.publish.models.export import export_network

    files = export_network(commons, run_id, network, out)
    if as_json:
        print_json([str(file) for file in files])
        return
    for file in files:
        tell(f"{file}  {file.stat().st_size:,} bytes")
