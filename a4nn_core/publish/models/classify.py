"""Using a found network: images in, classes out."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from a4nn_core.data.files import read_image
from a4nn_core.errors import BadInput
from a4nn_core.publish.models.export import METADATA

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


class Classifier:
    """A network that ``a4nn publish`` exported as ONNX.

    Only ONNX is opened: it holds numbers and a graph, while a ``torch.export`` file can hold code.

    Args:
        model: path of the ``.onnx`` file.

    Raises:
        BadInput: it is not such a file, or the package onnxruntime is missing.
    """

    def __init__(self, model: Path) -> None:
        try:
            import onnxruntime
        except ImportError:
            raise BadInput("a4nn classify needs an extra: pip install 'a4nn[onnx]'") from None
        if not model.is_file():
            raise BadInput(f"there is no model {model}")
        if model.suffix != ".onnx":
            raise BadInput(f"{model} is not an .onnx file; others could hold code and are not opened")
        try:
            self._session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
            about = json.loads(self._session.get_modelmeta().custom_metadata_map[METADATA])
            self.classes: list[str] = [str(name) for name in about["classes"]]
            self.shape: tuple[int, ...] = tuple(int(side) for side in about["input"])
        except Exception as error:  # onnxruntime raises types of its own, which are not public
            text = " ".join(str(error).split())[:200]
            raise BadInput(f"{model} is not a model of a4nn: {text}") from None

    def scores(self, images: NDArray[Any]) -> NDArray[np.float32]:
        """Class scores.

        Args:
            images: as they are stored, shape (count, channels, height, width).

        Returns:
            shape (count, classes).
        """
        given = np.ascontiguousarray(images, dtype=np.float32)
        (scores,) = self._session.run(["scores"], {"images": given})
        return np.asarray(scores, dtype=np.float32)

    def classify(self, images: Sequence[Path]) -> list[Classified]:
        """Read images and say what each shows.

        Raises:
            BadInput: an image cannot be read or has another size or number of channels; all are named.
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
            scores = self.scores(np.stack(arrays[start : start + _BATCH])).astype(np.float64)
            weights = np.exp(scores - scores.max(axis=1, keepdims=True))
            shares = weights / weights.sum(axis=1, keepdims=True)
            for path, row in zip(images[start : start + _BATCH], shares, strict=True):
                named = {name: float(value) for name, value in zip(self.classes, row, strict=True)}
                found.append(Classified(str(path), self.classes[int(row.argmax())], named))
        return found


def _size(shape: Sequence[int]) -> str:
    channels, height, width = shape
    return f"{width} x {height} with {channels} channel{'' if channels == 1 else 's'}"
