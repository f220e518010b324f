"""``a4nn simulate``: simulate data sets."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from a4nn_core.cli.options import JsonOption, print_json, say

app = typer.Typer(no_args_is_help=True, help="Simulate data sets.", rich_markup_mode=None)


class Form(StrEnum):
    """The formats in which patterns are written."""

    tiff = "tiff"
    npz = "npz"


@app.callback()
def _root() -> None:
    pass


@app.command()
def xfel(
    more: Annotated[list[str] | None, typer.Argument(metavar="[MORE]", help="Further structures.")] = None,
    structures: Annotated[
        list[str] | None,
        typer.Option(
            metavar="A B ...",
            help="Two or more conformations: PDB or mmCIF files, ids of the Protein Data Bank, adk-open, "
            "adk-closed. A suffix :A selects a chain, a prefix name= names the class.",
            show_default="adk-open adk-closed",
        ),
    ] = None,
    beam: Annotated[
        list[str] | None,
        typer.Option(
            metavar="BEAM",
            help="low, medium, high, or photons per square micrometre and pulse; can be given several times.",
            show_default="all three",
        ),
    ] = None,
    images: Annotated[int, typer.Option(min=2, help="Images per beam, of all structures together.")] = 2000,
    size: Annotated[int, typer.Option(min=8, max=1024, help="Pixels per side.")] = 127,
    out: Annotated[Path | None, typer.Option(metavar="DIR", help="Folder for the images.")] = None,
    form: Annotated[
        Form, typer.Option("--format", help="tiff: the published layout; npz: one compact file per beam.")
    ] = Form.tiff,
    preview: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Draw patterns and profiles into a .png, .svg or .pdf file."),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of orientations and photon counts.")] = 0,
    geodesic: Annotated[
        int,
        typer.Option(
            min=0,
            max=500,
            help="Use each of the 10 n^2 + 2 directions of a geodesic grid once (published: 63); 0 draws "
            "orientations uniformly.",
        ),
    ] = 0,
    test_share: Annotated[
        float, typer.Option(min=0, max=1, help="Fraction of the orientations for the test set.")
    ] = 0.2,
    protein: Annotated[str, typer.Option(help="First part of the file names.")] = "protein",
    b_factors: Annotated[bool, typer.Option(help="Blur atoms by the B factors of their files.")] = False,
    wavelength: Annotated[float, typer.Option(help="Wavelength in Angstrom.")] = 1.0,
    pitch: Annotated[
        float | None,
        typer.Option(
            help="1/Angstrom per pixel at 127 pixels per side.", show_default="0.000833, as published"
        ),
    ] = None,
    device: Annotated[str, typer.Option(help="Device that computes the patterns: cpu or cuda.")] = "cpu",
    as_json: JsonOption = False,
) -> None:
    """Simulate diffraction patterns of the conformations of a protein, as an X-ray laser would record them.

    Repeat an interrupted command to continue where it stopped. The data source xfel-files reads the files.
    """
    from a4nn_core.cli.progress import data_progress
    from a4nn_core.data.base import DATA_SOURCES
    from a4nn_core.data.xfel.detector import FLUENCES
    from a4nn_core.data.xfel.layout import beam_name
    from a4nn_core.data.xfel.preview import preview as draw
    from a4nn_core.data.xfel.source import Xfel
    from a4nn_core.data.xfel.writing import Writing
    from a4nn_core.errors import BadInput

    if out is None and preview is None:
        raise BadInput("there is nothing to do: give --out DIR, --preview FILE, or both")
    settings = {"name": "xfel", "size": size, "seed": seed, "geodesic": geodesic, "wavelength": wavelength}
    settings["b_factors"] = b_factors
    if pitch is not None:
        settings["pitch"] = pitch
    if sources := [*(structures or ()), *(more or ())]:
        settings["structures"] = sources
    made = DATA_SOURCES.make(settings, "a4nn simulate xfel")
    assert isinstance(made, Xfel)
    fluences = tuple(dict.fromkeys(_fluence(name) for name in beam or FLUENCES))
    if images % len(made.structures):
        raise BadInput(
            f"--images {images} is not a multiple of {len(made.structures)}, the number of structures"
        )
    simulator = made.simulator(_device(device))
    facts: dict[str, Any] = {
        "structures": [structure.name for structure in simulator.structures],
        "beams": [beam_name(fluence) for fluence in fluences],
        "size": size,
    }
    if preview is not None:
        draw(simulator, fluences, preview)
        say(f"drawn: {preview}")
        facts["preview"] = str(preview)
    if out is not None:
        writing = Writing(
            simulator,
            out,
            fluences,
            images // len(simulator.structures),
            protein=protein,
            form=form.value,
            test_share=test_share,
        )
        try:
            with data_progress():
                count = writing.run()
        except KeyboardInterrupt:
            say("interrupted; nothing is lost, the same command continues from here")
            raise
        say(f"{writing.images:,} images in {out}, {count:,} of them new")
        facts |= {"out": str(out), "images": writing.images, "made": count}
    if as_json:
        print_json(facts)


def _fluence(beam: str) -> float:
    from a4nn_core.data.xfel.detector import FLUENCES
    from a4nn_core.data.xfel.source import fluence_of
    from a4nn_core.errors import BadInput

    try:
        given = beam if beam in FLUENCES else float(beam)
    except ValueError:
        known = f"{', '.join(FLUENCES)}, or photons per square micrometre and pulse"
        raise BadInput(f"--beam {beam!r} is not one of {known}") from None
    try:
        return fluence_of(given)
    except ValueError as error:
        raise BadInput(f"--beam {beam}: {error}") from None


def _device(name: str) -> str:
    import torch

    from a4nn_core.errors import BadInput

    try:
        torch.zeros(1, device=name)
    except (RuntimeError, AssertionError) as error:
        raise BadInput(f"--device {name!r} cannot be used: {str(error).splitlines()[0]}") from None
    return name
