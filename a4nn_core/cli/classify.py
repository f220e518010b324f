"""``a4nn classify``: classify images with a network that a search found."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from a4nn_core.cli.options import JsonOption, print_json, say


def classify(
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="An .onnx file from a deposit's models.")],
    images: Annotated[
        list[Path], typer.Argument(metavar="IMAGES...", help="Image files, or folders of them.")
    ],
    as_json: JsonOption = False,
) -> None:
    """Print the class of each image.

    Images that cannot be used are named and counted; then the exit code is 2.
    """
    from a4nn_core.data.images import Unusable, image_files, path_text
    from a4nn_core.errors import BadInput
    from a4nn_core.publish.models.classify import Classifier

    classifier = Classifier(model)
    files: list[Path] = []
    for path in images:
        inside = image_files(path) if path.is_dir() else [path]
        if not inside:
            raise BadInput(f"{path} contains no images")
        files += inside
    width = max(len(str(file)) for file in files)
    unusable = 0
    document: list[dict[str, object]] = []
    for one in classifier.classify(files):
        if isinstance(one, Unusable):
            unusable += 1
            say(f"{path_text(one.file)}: {path_text(one.why)}")
            document.append({"image": str(one.file), "error": one.why})
        elif as_json:
            document.append({"image": one.image, "class": one.label, "shares": one.shares})
        else:
            typer.echo(f"{one.image:<{width}}  {one.label}  {100 * one.shares[one.label]:.1f} %")
    if as_json:
        print_json(document)
    if unusable:
        raise BadInput(f"{unusable} of {len(files)} images cannot be classified")
