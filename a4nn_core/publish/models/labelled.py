"""Images in class folders: what they show, and how well a network says so."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from a4nn_core.assessment import Assessment, assess
from a4nn_core.errors import BadInput
from a4nn_core.publish.models.classify import Classified


def true_classes(root: Path, images: Sequence[Path], classes: Sequence[str]) -> dict[str, int] | None:
    """The class of each image of a folder with one folder of images per class, as data for training have it.

    Args:
        root: the folder.
        images: the images in it, at any depth.
        classes: names of the classes that the network knows.

    Returns:
        path to number of the class; None if no folder in it has the name of a class.

    Raises:
        BadInput: some folders have names of classes, and others do not or images lie beside them.
    """
    within = {image: image.relative_to(root).parts for image in images}
    folders = {parts[0] for parts in within.values() if len(parts) > 1}
    if not folders & set(classes):
        return None
    unknown = sorted(folders - set(classes))
    if unknown:
        raise BadInput(
            f"{root} cannot be scored: the model does not know the class {unknown[0]!r}; "
            f"it knows {', '.join(classes)}"
        )
    loose = [image for image, parts in within.items() if len(parts) == 1]
    if loose:
        raise BadInput(f"{root} cannot be scored: {loose[0]} lies in none of its class folders")
    numbers = {name: number for number, name in enumerate(classes)}
    return {str(image): numbers[parts[0]] for image, parts in within.items()}


def score(found: Sequence[Classified], truth: Mapping[str, int], classes: Sequence[str]) -> Assessment:
    """How well images were classified.

    Args:
        found: what the network says of them; at least one.
        truth: path of each image to the number of its class.
        classes: names of the classes in the order of the scores.
    """
    shares = np.array([[one.shares[name] for name in classes] for one in found])
    named = np.array([list(classes).index(one.label) for one in found])
    return assess(shares, named, np.array([truth[one.image] for one in found]))
