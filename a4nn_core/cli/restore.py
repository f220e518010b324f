"""``a4nn restore``: restore images with a network that a search found."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from a4nn_core.cli.classify import image_files_of
from a4nn_core.cli.options import JsonOption, print_json, say, tell


def restore(
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="An .onnx file of a4nn export or publish.")],
    images: Annotated[
        list[Path], typer.Argument(metavar="IMAGES...", help="Image files, or folders of them.")
    ],
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="New folder for the restored images.")],
    as_json: JsonOption = False,
) -> None:
    """Write what a restoring network makes of each image, as TIFF files of 32-bit floats.

    Images that cannot be used are named and counted; then the exit code is 2.
    """
    from a4nn_core.data.images import Unusable
    from a4nn_core.errors import BadInput
    from a4nn_core.files import atomic_folder
    from a4nn_core.printable import printable
    from a4nn_core.publish.models.restored import Restorer, write_image

    restorer = Restorer(model)
    files = image_files_of(images)
    names = [f"{file.stem}.tiff" for file in files]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise BadInput(f"two images would be written as {out / twice}: restore them one after another")
    unusable = 0
    document: list[dict[str, object]] = []
    with atomic_folder(out) as folder:
        for name, one in zip(names, restorer.restore(files), strict=True):
            if isinstance(one, Unusable):
                unusable += 1
                say(f"{printable(one.file)}: {one.why}")
                document.append({"image": str(one.file), "error": one.why})
                continue
            file, image = one
            write_image(image, folder / name)
            document.append({"image": str(file), "restored": str(out / name), "sum": float(image.sum())})
            if not as_json:
                tell(f"{printable(file)}  {printable(out / name)}")
    if as_json:
        print_json(document)
    if unusable:
        raise BadInput(f"{unusable} of {len(files)} images cannot be restored")
