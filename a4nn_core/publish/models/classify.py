"""Using a found network: images in, classes out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from a4nn_core.data.files import read_image
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

    def classify(self, images: Sequence[Path]) -> list[Classified]:
        """Read images and say what each shows.

        Raises:
            BadInput: an image cannot be read, has another size or number of channels, or no finite scores;
                all are named.
        """
        problems = []
        arrays = []
        for path in images:
            try:
                array = read_image(path)
            except BadInput as error:
                problems.append(str(error))
                continue
            if array.shape != self.shape:
                problems.append(f"{path} is {_size(array.shape)}, the model takes {_size(self.shape)}")
            arrays.append(array)
        if problems:
            raise BadInput("; ".join(problems))
        found = []
        for start in range(0, len(arrays), _BATCH):
            scores = self.scores(np.stack(arrays[start : start + _BATCH]))
            for path, row in zip(images[start : start + _BATCH], scores, strict=True):
                try:
                    found.append(self._classified(path, row))
                except BadInput as error:
                    problems.append(f"{self.path} cannot classify {path}: {error}")
        if problems:
            raise BadInput("; ".join(problems))
        return found

    def _classified(self, image: Path, scores: NDArray[np.float32]) -> Classified:
        each = shares(scores)
        named = {name: float(share) for name, share in zip(self.classes, each, strict=True)}
        return Classified(str(image), self.classes[int(each.argmax())], named)


def _size(shape: Sequence[int]) -> str:
    channels, height, width = shape
    return f"{width} x {height} with {channels} channel{'' if channels == 1 else 's'}"
