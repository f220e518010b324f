"""``a4nn describe``: a network of a run; or what a genome costs and looks like, without training it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from a4nn_core.cli.options import DEFAULT_COMMONS, CommonsOption, JsonOption, print_json, tell
from a4nn_core.cli.recorded import describe_recorded

if TYPE_CHECKING:
    from a4nn_core.jsonable import Json


def describe(
    run_id: Annotated[str | None, typer.Argument(metavar="[RUN", help="Id of a run.")] = None,
    network: Annotated[
        int | None, typer.Argument(metavar="NETWORK]", help="Its network, as `a4nn front` shows it.")
    ] = None,
    genome: Annotated[
        str | None, typer.Option(help='Instead: a genome as JSON, such as "[[1,0,0,0,0,0,1],...]".')
    ] = None,
    input_shape: Annotated[
        str | None, typer.Option("--input", metavar="CxHxW", help="Channels x height x width, for a genome.")
    ] = None,
    classes: Annotated[int | None, typer.Option(help="Number of classes, for a genome.")] = None,
    space: Annotated[str, typer.Option(help="Search space of a genome, or its settings as JSON.")] = "macro",
    picture: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Draw the phases into an .svg, .png or .pdf file.")
    ] = None,
    commons: CommonsOption = DEFAULT_COMMONS,
    as_json: JsonOption = False,
) -> None:
    """Show what is known of a network of a run, or what a genome costs; with --picture, draw it."""
    from a4nn_core.errors import BadInput

    if genome is None and run_id is not None and network is not None:
        describe_recorded(commons, run_id, network, picture, as_json)
    elif genome is not None and input_shape is not None and classes is not None and run_id is None:
        _describe_genome(genome, input_shape, classes, space, picture, as_json)
    else:
        raise BadInput("give RUN and NETWORK, or --genome with --input and --classes")


def _describe_genome(
    genome: str, input_shape: str, classes: int, space: str, picture: Path | None, as_json: bool
) -> None:
    from a4nn_core.errors import BadInput
    from a4nn_core.spaces import SPACES

    shape = re.fullmatch(r"(\d+)x(\d+)x(\d+)", input_shape)
    if not shape or "0" in shape.groups():
        raise BadInput(f"--input {input_shape!r} is not of the form CxHxW, such as 1x127x127")
    channels, height, width = (int(number) for number in shape.groups())
    made = SPACES.make(_json(space, "--space") if space.startswith("{") else space, "--space")
    parsed = _json(genome, "--genome")
    architecture = made.decode(parsed, (channels, height, width), classes)
    if picture is not None:
        from a4nn_core.archaeology.drawing import draw_architecture

        draw_architecture(architecture, picture)
    import torch

    from a4nn_core.spaces.build import Network, count_by_torch

    with torch.device("meta"):  # shapes only: nothing is computed
        torch_flops = count_by_torch(Network(architecture), architecture.input_shape)
    facts = {
        "space": made.name,
        "genome": parsed,
        "input": [channels, height, width],
        "classes": classes,
        "flops": architecture.flops,
        "torch_flops": torch_flops,
        "parameters": architecture.parameters,
        "architecture_hash": architecture.hash,
        "layers": len(architecture.layers),
    }
    if as_json:
        print_json(facts)
        return
    million = f"{architecture.flops / 1e6:.4f} million"
    tell(f"FLOPs       {architecture.flops:,} multiply-adds for one image ({million})")
    tell(f"            {torch_flops:,} operations as torch counts them")
    tell(f"parameters  {architecture.parameters:,}")
    tell(f"layers      {len(architecture.layers)}")
    tell(f"hash        {architecture.hash}")
    if picture is not None:
        tell(f"picture     {picture}")


def _json(text: str, option: str) -> Json:
    from a4nn_core.errors import BadInput
    from a4nn_core.jsonable import parsed

    try:
        return parsed(text)
    except ValueError as error:
        raise BadInput(f"{option} {text!r} is not JSON: {error}") from None
