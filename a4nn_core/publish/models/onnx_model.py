"""An ONNX file opened as a model that ``a4nn publish`` exported, or refused with the reason.

Such files come from others. ONNX holds numbers and a graph and no code, but it can name further files to read
its weights from; one that does is not opened.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from a4nn_core.data.images import AS_STORED, Preparation, Prepared, Unusable
from a4nn_core.errors import BadInput
from a4nn_core.files import UNKNOWN, kind_of, user_errors
from a4nn_core.jsonable import Json, members, whole
from a4nn_core.vocabulary import Task

METADATA = "a4nn"  # key of our JSON in the file's metadata
INPUT = "images"
OUTPUTS = {Task.classification: "scores", Task.restoration: "restored"}
"""name of what a network gives: class scores, or images"""
MOST_VALUES, MOST_TIMES = 2**23, 200
"""So many values may the output of one layer have for one image, and so many times those of the image more:
convolutional networks have tens of channels of at most the image's size."""
_SILENT = 4  # of onnxruntime's levels: it prints nothing beside the error that it raises


_COMMANDS = {Task.classification: "classify", Task.restoration: "restore"}


class _NotOurs(Exception):
    """Why a file is not a model of a4nn."""


@dataclass(frozen=True)
class Claims:
    """What a file says of its model.

    Attributes:
        task: what the network does.
        classes: their names, in the order of the scores.
        shape: of one image: channels, height, width.
        preparation: how image files are prepared, as recorded; None in files of early versions.
    """

    task: Task
    classes: tuple[str, ...]
    shape: tuple[int, int, int]
    preparation: Json


class OnnxModel:
    """A network that ``a4nn publish`` exported as ONNX.

    Args:
        path: path of the file.

    Attributes:
        task: class attribute: what the network must do.
        classes, shape: see Claims.
        preparation: of image files, as of those that the network was trained on.

    Raises:
        BadInput: it is not such a file, does something else, or a package of the extra ``onnx`` is missing.
    """

    task: ClassVar[Task] = Task.classification

    def __init__(self, path: Path) -> None:
        try:
            import onnx  # noqa: F401
            import onnxruntime
        except ImportError:
            raise BadInput(f"a4nn {_COMMANDS[self.task]} needs an extra: pip install 'a4nn[onnx]'") from None
        if not path.is_file():
            raise BadInput(f"there is no model {path}")
        if path.suffix != ".onnx":
            raise BadInput(f"{path} is not an .onnx file; others could hold code and are not opened")
        with user_errors("read", path):
            content = path.read_bytes()
        self.path = path
        try:
            model = _parsed(content, kind_of(path))
            claims = _claims(model)
            _check_size(model, claims.shape)
        except _NotOurs as reason:
            raise BadInput(f"{path} is not a model that a4nn publish wrote: {reason}") from None
        if claims.task is not self.task:
            raise BadInput(
                f"{path} is a network for {claims.task} ({claims.task.meaning}): "
                f"use a4nn {_COMMANDS[claims.task]}"
            )
        self.classes, self.shape = claims.classes, claims.shape
        recorded = claims.preparation
        self.preparation = AS_STORED if recorded is None else Preparation.read(recorded, str(path))
        options = onnxruntime.SessionOptions()
        options.log_severity_level = _SILENT
        try:
            self._session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # onnxruntime raises types of its own, which are not public
            raise BadInput(f"onnxruntime cannot open {path}: {_reason(error)}") from None

    def outputs(self, images: NDArray[Any]) -> NDArray[np.float32]:
        """What the network gives: class scores, or restored images.

        Args:
            images: as they are stored, shape (count, channels, height, width).

        Returns:
            shape (count, classes), or that of the images.

        Raises:
            BadInput: the model fails on the images, or its output has another shape.
        """
        given = np.ascontiguousarray(images, dtype=np.float32)
        name = OUTPUTS[self.task]
        try:
            (scores,) = self._session.run([name], {INPUT: given})
        except Exception as error:
            raise BadInput(f"onnxruntime cannot run {self.path}: {_reason(error)}") from None
        expected = (len(given), *_output(self.task, self.shape, len(self.classes)))
        if not isinstance(scores, np.ndarray) or scores.dtype != np.float32 or scores.shape != expected:
            found = f"{scores.dtype} {scores.shape}" if isinstance(scores, np.ndarray) else "no array"
            raise BadInput(f"{self.path} gives {found} as {name}, not float32 {expected}")
        return scores

    def fitting(self, image: Prepared | Unusable) -> Prepared | Unusable:
        """An image if it is of the size that the network takes; else why it cannot be used."""
        if isinstance(image, Unusable) or image.pixels.shape == self.shape:
            return image
        return Unusable(image.file, f"{_size(image.pixels.shape)}, while the model takes {_size(self.shape)}")


def _size(shape: Sequence[int]) -> str:
    channels, height, width = shape
    return f"{width} x {height} with {channels} channel{'' if channels == 1 else 's'}"


def shares(scores: NDArray[np.float32]) -> NDArray[np.float64]:
    """Softmax of the scores of one image. Shape (classes,).

    Raises:
        BadInput: a score is not finite, so that no class follows from them.
    """
    if not np.isfinite(scores).all():
        odd = ", ".join(dict.fromkeys(str(score) for score in scores[~np.isfinite(scores)]))
        count = int((~np.isfinite(scores)).sum())
        raise BadInput(f"{count} of its {len(scores)} scores are not finite ({odd}), so it has no class")
    weights = np.exp(scores.astype(np.float64) - scores.max())
    found: NDArray[np.float64] = weights / weights.sum()
    return found


def _parsed(content: bytes, kind: str) -> Any:
    """The ``onnx.ModelProto`` of a file of some kind; no other file is read for it."""
    import onnx

    try:
        model = onnx.load_model_from_string(content)
    except Exception:  # of protobuf, whichever implementation of it is installed
        reason = "it is not ONNX, or only a part of it" if kind == UNKNOWN else f"it is {kind}"
        raise _NotOurs(reason) from None
    if not model.HasField("graph"):
        raise _NotOurs("it holds no graph" if content else f"it is {kind}")
    for tensor in _tensors(model):
        if tensor.data_location == onnx.TensorProto.EXTERNAL or tensor.external_data:
            places = [entry.value for entry in tensor.external_data if entry.key == "location"]
            raise _NotOurs(f"it keeps weights in another file, {', '.join(map(repr, places)) or 'unnamed'}")
    return model


def _tensors(message: Any) -> Iterator[Any]:
    """Every tensor within a protobuf message, also those in attributes and inner graphs."""
    import onnx

    if isinstance(message, onnx.TensorProto):
        yield message
        return
    for field, value in message.ListFields():
        if field.message_type is not None:
            for inner in [value] if hasattr(value, "ListFields") else value:
                yield from _tensors(inner)


def _claims(model: Any) -> Claims:
    """What a file says of its model, if its graph takes and gives what it says."""
    texts = {entry.key: entry.value for entry in model.metadata_props}
    if METADATA not in texts:
        maker = f"it is by {_flat(model.producer_name)}, and " if model.producer_name else ""
        raise _NotOurs(
            f"{maker}its metadata have no entry {METADATA!r} with the classes and the size of an image"
        )
    try:
        about: dict[str, Json] = members(json.loads(texts[METADATA]))
    except (ValueError, RecursionError):
        raise _NotOurs(f"the entry {METADATA!r} of its metadata is not JSON") from None
    classes, shape = about.get("classes"), about.get("input")
    names = [name for name in classes if isinstance(name, str)] if isinstance(classes, list) else []
    if not isinstance(classes, list) or not names or len(set(names)) != len(classes):
        raise _NotOurs(f"its classes are {_flat(classes)}, not a list of different names")
    sides = [side for one in shape if (side := whole(one)) and side > 0] if isinstance(shape, list) else []
    if not isinstance(shape, list) or len(sides) != 3 or len(shape) != 3:
        raise _NotOurs(f"its input is {_flat(shape)}, not [channels, height, width]")
    channels, height, width = sides
    restores = about.get("task") == Task.restoration  # files of earlier versions name no task
    task = Task.restoration if restores else Task.classification
    _check_ends(model.graph, task, (channels, height, width), len(names))
    return Claims(task, tuple(names), (channels, height, width), about.get("preparation"))


def _output(task: Task, shape: tuple[int, int, int], classes: int) -> tuple[int, ...]:
    """Shape of what a network gives for one image."""
    return shape if task is Task.restoration else (classes,)


def _check_ends(graph: Any, task: Task, shape: tuple[int, int, int], classes: int) -> None:
    """Refuse a graph that does not take images of a shape and give a score for each class, or an image."""
    weights = {tensor.name for tensor in graph.initializer}
    ends = (
        ("takes", INPUT, [one for one in graph.input if one.name not in weights], shape),
        ("gives", OUTPUTS[task], list(graph.output), _output(task, shape, classes)),
    )
    for verb, name, found, expected in ends:
        if [one.name for one in found] != [name]:
            named = ", ".join(repr(one.name) for one in found) or "nothing"
            raise _NotOurs(f"it {verb} {_flat(named)}, not {name!r} alone")
        kind = found[0].type.tensor_type
        sides = [one.dim_value if one.HasField("dim_value") else None for one in kind.shape.dim]
        # a side without a number is open, as the number of images is
        agree = len(sides) == 1 + len(expected) and all(
            side in (None, wanted) for side, wanted in zip(sides[1:], expected, strict=True)
        )
        if kind.elem_type != 1 or (kind.HasField("shape") and not agree):
            said = f"{_element(kind.elem_type)} ({', '.join('?' if s is None else str(s) for s in sides)})"
            wanted = ", ".join(map(str, ("?", *expected)))
            raise _NotOurs(f"it {verb} {name!r} as {said}, not float ({wanted})")


def _check_size(model: Any, shape: tuple[int, int, int]) -> None:
    """Refuse a graph that asks for outputs far larger than an image, as by padding it without end: running
    it would take the memory of the machine. What a file says of the sizes inside is not believed."""
    import onnx

    sized = onnx.ModelProto()
    sized.CopyFrom(model)
    del sized.graph.value_info[:]
    for one in sized.graph.input:
        if one.name == INPUT:
            one.type.tensor_type.ClearField("shape")
            for side in (1, *shape):
                one.type.tensor_type.shape.dim.add().dim_value = side
    try:
        inferred = onnx.shape_inference.infer_shapes(sized, data_prop=True)
    except Exception:  # of onnx, for a graph that is none; onnxruntime will say what is wrong with it
        return
    for value in (*inferred.graph.value_info, *inferred.graph.output):
        size = prod(max(side.dim_value, 1) for side in value.type.tensor_type.shape.dim)
        if size > MOST_VALUES + MOST_TIMES * prod(shape):
            raise _NotOurs(f"{_flat(value.name)} would hold {size:.3g} values for one image")


def _element(number: int) -> str:
    """The name of ONNX's element type with this number."""
    import onnx

    names: dict[int, str] = {value: name for name, value in onnx.TensorProto.DataType.items()}
    return names.get(number, f"type {number}").lower()


def _reason(error: Exception) -> str:
    """What onnxruntime says, without its error's number and without the place in its own source."""
    text = re.sub(r"^\[ONNXRuntimeError\] : \d+ : \w+ : ", "", " ".join(str(error).split()))
    return _flat(re.sub(r"/\S+:\d+ [^()]*\([^()]*\) ", "", text))


def _flat(value: object) -> str:
    """A text on one line, cut after 200 characters."""
    text = " ".join(str(value).split())
    return text if len(text) <= 200 else f"{text[:197]}..."
