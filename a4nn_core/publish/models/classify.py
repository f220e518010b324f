"""Using a found network: images in, classes out."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from a4nn_core.data.images import AS_STORED, Preparation, Prepared, Unusable, read_images
from a4nn_core.errors import BadInput
from a4nn_core.files import UNKNOWN, kind_of
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
        except Exception as error:  # onnxruntime raises types of its own, which are not public
            kind, text = kind_of(model), " ".join(str(error).split())[:200]
            reason = (
                "not an ONNX model that can be run: " + text
                if kind == UNKNOWN
                else f"{kind}, not an ONNX model"
            )
            raise BadInput(f"{model} is {reason}") from None
        meta = self._session.get_modelmeta()
        if METADATA not in meta.custom_metadata_map:
            maker = f" by {meta.producer_name}" if meta.producer_name else ""
            raise BadInput(
                f"{model} is an ONNX model{maker}, but none that a4nn publish exported: it does not say its "
                "classes and how images are prepared"
            )
        try:
            about = json.loads(meta.custom_metadata_map[METADATA])
            self.classes: list[str] = [str(name) for name in about["classes"]]
            self.shape: tuple[int, ...] = tuple(int(side) for side in about["input"])
            recorded = about.get("preparation")
        except (ValueError, KeyError, TypeError) as error:
            raise BadInput(f"{model}: what a4nn publish wrote into it is damaged: {error}") from None
        self.preparation = AS_STORED if recorded is None else Preparation.read(recorded, str(model))

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

    def classify(self, images: Sequence[Path]) -> Iterator[Classified | Unusable]:
        """Read images, prepare them as those the network was trained on, and say what each shows.

        Returns:
            one result for each, in their order; an image that cannot be read or does not fit spoils no other.
        """
        read = read_images(images, self.preparation)
        while batch := [self._fitting(image) for image in islice(read, _BATCH)]:
            pixels = [image.pixels for image in batch if isinstance(image, Prepared)]
            scores = iter(self.scores(np.stack(pixels)) if pixels else ())
            for image in batch:
                if isinstance(image, Unusable):
                    yield image
                else:
                    yield self._classified(image.file, next(scores))

    def _fitting(self, image: Prepared | Unusable) -> Prepared | Unusable:
        if isinstance(image, Unusable) or image.pixels.shape == self.shape:
            return image
        return Unusable(image.file, f"{_size(image.pixels.shape)}, while the model takes {_size(self.shape)}")

    def _classified(self, image: Path, scores: NDArray[np.float32]) -> Classified:
        weights = np.exp(scores.astype(np.float64) - scores.max())
        shares = weights / weights.sum()
        named = {name: float(share) for name, share in zip(self.classes, shares, strict=True)}
        return Classified(str(image), self.classes[int(shares.argmax())], named)


def _size(shape: Sequence[int]) -> str:
    channels, height, width = shape
    return f"{width} x {height} with {channels} channel{'' if channels == 1 else 's'}"
