"""``a4nn classify``: classify images with a network that a search found."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from a4nn_core.cli.options import JsonOption, print_json, tell


def classify(
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="An .onnx file from a deposit's models.")],
    images: Annotated[
        list[Path], typer.Argument(metavar="IMAGES...", help="Image files, or folders of them.")
    ],
    as_json: JsonOption = False,
) -> None:
    """Print the class of each image."""
    from a4nn_core.data.files import ENDINGS
    from a4nn_core.errors import BadInput
    from a4nn_core.printable import printable
    from a4nn_core.publish.models.classify import Classifier

    classifier = Classifier(model)
    files: list[Path] = []
    for path in images:
        inside = (
            sorted(p for p in path.rglob("*") if p.suffix.lower() in ENDINGS) if path.is_dir() else [path]
        )
        if not inside:
            raise BadInput(f"{path} contains no images")
        files += inside
    found = classifier.classify(files)
    if as_json:
        print_json([{"image": f.image, "class": f.label, "shares": f.shares} for f in found])
        return
    names = [printable(one.image) for one in found]
    width = max(map(len, names))
    for name, one in zip(names, found, strict=True):
        tell(f"{name:<{width}}  {printable(one.label)}  {100 * one.shares[one.label]:.1f} %")
