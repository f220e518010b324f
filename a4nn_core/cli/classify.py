"""``a4nn classify``: classify images with a network that a search found."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from a4nn_core.cli import assessed
from a4nn_core.cli.options import JsonOption, print_json, say


def classify(
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="An .onnx file of a4nn export or publish.")],
    images: Annotated[
        list[Path], typer.Argument(metavar="IMAGES...", help="Image files, or folders of them.")
    ],
    as_json: JsonOption = False,
) -> None:
    """Print the class of each image; of one folder with a folder per class, also how well it does."""
    from a4nn_core.data.files import ENDINGS
    from a4nn_core.errors import BadInput
    from a4nn_core.publish.models.classify import Classifier
    from a4nn_core.publish.models.labelled import score, true_classes

    classifier = Classifier(model)
    files: list[Path] = []
    for path in images:
        inside = (
            sorted(p for p in path.rglob("*") if p.suffix.lower() in ENDINGS) if path.is_dir() else [path]
        )
        if not inside:
            raise BadInput(f"{path} contains no images")
        files += inside
    root = images[0] if len(images) == 1 and images[0].is_dir() else None
    truth = true_classes(root, files, classifier.classes) if root else None
    found = classifier.classify(files)
    known = score(found, truth, classifier.classes) if truth and found else None
    if root and truth is None and any(file.parent != root for file in files):
        say(f"not scored: no folder in {root} is named after a class ({', '.join(classifier.classes)})")
    if as_json:
        each = [{"image": f.image, "class": f.label, "shares": f.shares} for f in found]
        scored = known and {"images": each, "score": assessed.document(known, classifier.classes)}
        print_json(scored or each)
        return
    width = max(len(f.image) for f in found)
    for one in found:
        typer.echo(f"{one.image:<{width}}  {one.label}  {100 * one.shares[one.label]:.1f} %")
    if known is not None:
        typer.echo(f"\naccuracy     {assessed.accuracies(known)}")
        typer.echo(f"             ± one standard error, of {known.images:,} images")
        typer.echo(f"calibration  {assessed.calibration(known)}\n")
        typer.echo("\n".join(assessed.confusion(known, classifier.classes)))
