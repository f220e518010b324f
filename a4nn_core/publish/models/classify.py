"""Using a found network: images in, classes out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from a4nn_core.data.images import Prepared, Unusable, read_images
from a4nn_core.errors import BadInput
from a4nn_core.publish.models.onnx_model import OnnxModel, shares

_BATCH = 64


@dataclass(frozen=True)
class Classified:
    """How a network classifies one image.

    Attributes:
        image: path of the image.
        label: name of the class with the greatest score.
        shares: softmax of the scores by class; not calibrated probabilities.
    """

    image: str
    label: str
    shares: dict[str, float]


class Classifier(OnnxModel):
    """A network that ``a4nn publish`` exported as ONNX, applied to image files.

    Only ONNX is opened: it holds numbers and a graph, while a ``torch.export`` file can hold code.
    """

    def scores(self, images: NDArray[Any]) -> NDArray[np.float32]:
        """Class scores, shape (count, classes); see ``outputs``."""
        return self.outputs(images)

    def classify(self, images: Sequence[Path]) -> Iterator[Classified | Unusable]:
        """Read images, prepare them as those the network was trained on, and say what each shows.

        Returns:
            one result for each, in their order; an image that cannot be read, does not fit, or gets no finite
                scores spoils no other.
        """
        read = read_images(images, self.preparation)
        while batch := [self.fitting(image) for image in islice(read, _BATCH)]:
            pixels = [image.pixels for image in batch if isinstance(image, Prepared)]
            scores = iter(self.scores(np.stack(pixels)) if pixels else ())
            for image in batch:
                if isinstance(image, Unusable):
                    yield image
                else:
                    yield self._classified(image.file, next(scores))

    def _classified(self, image: Path, scores: NDArray[np.float32]) -> Classified | Unusable:
        try:
            each = shares(scores)
        except BadInput as error:
            return Unusable(image, str(error))
        named = {name: float(share) for name, share in zip(self.classes, each, strict=True)}
        return Classified(str(image), self.classes[int(each.argmax())], named)
