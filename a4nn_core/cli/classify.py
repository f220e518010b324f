"""``a4nn classify``: classify images with a network that a search found."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from a4nn_core.cli import assessed
from a4nn_core.cli.options import JsonOption, print_json, say, tell


def classify(
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="An .onnx file of a4nn export or publish.")],
    images: Annotated[
        list[Path], typer.Argument(metavar="IMAGES...", help="Image files, or folders of them.")
    ],
    as_json: JsonOption = False,
) -> None:
    """Print the class of each image; of one folder with a folder per class, also how well it does.

    Images that cannot be used are named and counted; then the exit code is 2.
    """
    from a4nn_core.data.images import Unusable
    from a4nn_core.errors import BadInput
    from a4nn_core.printable import printable
    from a4nn_core.publish.models.classify import Classified, Classifier
    from a4nn_core.publish.models.labelled import score, true_classes

    classifier = Classifier(model)
    files = image_files_of(images)
    root = images[0] if len(images) == 1 and images[0].is_dir() else None
    truth = true_classes(root, files, classifier.classes) if root else None
    if root and truth is None and any(file.parent != root for file in files):
        known = ", ".join(classifier.classes)
        say(f"not scored: no folder in {printable(root)} is named after a class ({known})")
    width = max(len(printable(file)) for file in files)
    unusable = 0
    classified: list[Classified] = []
    document: list[dict[str, object]] = []
    for one in classifier.classify(files):
        if isinstance(one, Unusable):
            unusable += 1
            say(f"{printable(one.file)}: {one.why}")
            document.append({"image": str(one.file), "error": one.why})
            continue
        classified.append(one)
        document.append({"image": one.image, "class": one.label, "shares": one.shares})
        if not as_json:
            label, percent = printable(one.label), 100 * one.shares[one.label]
            tell(f"{printable(one.image):<{width}}  {label}  {percent:.1f} %")
    scored = score(classified, truth, classifier.classes) if truth and classified else None
    if as_json:
        of_all = scored and assessed.document(scored, classifier.classes)
        print_json({"images": document, "score": of_all} if truth else document)
    elif scored is not None:
        tell(*assessed.lines(scored, classifier.classes))
    if unusable:
        raise BadInput(f"{unusable} of {len(files)} images cannot be classified")


def image_files_of(images: list[Path]) -> list[Path]:
    """The image files that are meant: those named, and those in folders."""
    from a4nn_core.data.images import image_files
    from a4nn_core.errors import BadInput

    files: list[Path] = []
    for path in images:
        inside = image_files(path) if path.is_dir() else [path]
        if not inside:
            raise BadInput(f"{path} contains no images")
        files += inside
    return files
