"""ONNX files of strangers: whatever they hold, they are classified with or refused in one sentence."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from command import a4nn
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

from a4nn_core.errors import BadInput
from a4nn_core.publish.models.classify import Classifier

ABOUT = {"classes": ["open", "closed"], "input": [1, 8, 8]}
WEIGHTS = np.stack([np.linspace(-1, 1, 64), np.zeros(64)], axis=1).astype(np.float32)
FLAT = [helper.make_node("Flatten", ["images"], ["flat"])]
LINEAR = [*FLAT, helper.make_node("MatMul", ["flat", "w"], ["scores"])]

End = tuple[str, int, Sequence[int | str] | None]


def model(
    nodes: Sequence[onnx.NodeProto] = LINEAR,
    inputs: Sequence[End] = (("images", TensorProto.FLOAT, ("batch", 1, 8, 8)),),
    outputs: Sequence[End] = (("scores", TensorProto.FLOAT, ("batch", 2)),),
    about: object = ABOUT,
    weights: Any = WEIGHTS,
    opset: int = 18,
) -> onnx.ModelProto:
    """A linear model of two classes, or what a stranger makes of it; no metadata if ``about`` is None."""
    graph = helper.make_graph(
        list(nodes),
        "g",
        [helper.make_tensor_value_info(*end) for end in inputs],
        [helper.make_tensor_value_info(*end) for end in outputs],
        initializer=[numpy_helper.from_array(weights, "w")],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=10)
    if about is not None:
        text = about if isinstance(about, str) else json.dumps(about)
        helper.set_model_props(made, {"a4nn": text})
    return made


def elsewhere(location: str) -> onnx.ModelProto:
    """A model whose weights are in another file."""
    made = model()
    tensor = made.graph.initializer[0]
    onnx.external_data_helper.set_external_data(tensor, location=location)
    tensor.ClearField("raw_data")
    return made


def inner_elsewhere() -> onnx.ModelProto:
    """A model with a branch whose constant is in another file."""
    hidden = numpy_helper.from_array(WEIGHTS, "hidden")
    onnx.external_data_helper.set_external_data(hidden, location="../secret")
    hidden.ClearField("raw_data")
    branch = helper.make_graph([helper.make_node("Constant", [], ["c"], value=hidden)], "b", [], [])
    return model([*LINEAR, helper.make_node("If", ["flat"], ["n"], then_branch=branch, else_branch=branch)])


WHOLE = model().SerializeToString()
FOREIGN: dict[str, tuple[Callable[[], onnx.ModelProto | bytes], str]] = {
    "truncated": (lambda: WHOLE[: len(WHOLE) // 2], "it is not ONNX, or only a part of it"),
    "empty": (lambda: b"", "it is an empty file"),
    "zeros": (lambda: bytes(500), "it is not ONNX, or only a part of it"),
    "text": (lambda: b"Dear Sir or Madam,\n", "it is a text file"),
    "other producer": (
        lambda: model(about=None),
        "its metadata have no entry 'a4nn' with the classes and the size of an image",
    ),
    "metadata no JSON": (lambda: model(about="hello"), "the entry 'a4nn' of its metadata is not JSON"),
    "metadata too deep": (lambda: model(about="[" * 10**5), "the entry 'a4nn' of its metadata is not JSON"),
    "metadata a list": (lambda: model(about=[]), "its classes are None, not a list of different names"),
    "no class": (
        lambda: model(about=ABOUT | {"classes": []}),
        "its classes are [], not a list of different names",
    ),
    "a class twice": (
        lambda: model(about=ABOUT | {"classes": ["a", "a"]}),
        "its classes are ['a', 'a'], not a list of different names",
    ),
    "two sides": (
        lambda: model(about=ABOUT | {"input": [8, 8]}),
        "its input is [8, 8], not [channels, height, width]",
    ),
    "negative side": (
        lambda: model(about=ABOUT | {"input": [1, -8, 8]}),
        "its input is [1, -8, 8], not [channels, height, width]",
    ),
    "other size": (
        lambda: model(about=ABOUT | {"input": [1, 9, 8]}),
        "it takes 'images' as float (?, 1, 8, 8), not float (?, 1, 9, 8)",
    ),
    "one class more": (
        lambda: model(about=ABOUT | {"classes": ["a", "b", "c"]}),
        "it gives 'scores' as float (?, 2), not float (?, 3)",
    ),
    "wrong rank": (
        lambda: model(inputs=[("images", TensorProto.FLOAT, ("batch", 64))]),
        "it takes 'images' as float (?, 64), not float (?, 1, 8, 8)",
    ),
    "wrong type": (
        lambda: model(inputs=[("images", TensorProto.DOUBLE, ("batch", 1, 8, 8))]),
        "it takes 'images' as double (?, 1, 8, 8), not float (?, 1, 8, 8)",
    ),
    "other input": (
        lambda: model(inputs=[("x", TensorProto.FLOAT, ("batch", 1, 8, 8))]),
        "it takes 'x', not 'images' alone",
    ),
    "two inputs": (
        lambda: model(
            inputs=[("images", TensorProto.FLOAT, ("batch", 1, 8, 8)), ("more", TensorProto.FLOAT, (1,))]
        ),
        "it takes 'images', 'more', not 'images' alone",
    ),
    "no outputs": (lambda: model(outputs=[]), "it gives nothing, not 'scores' alone"),
    "output of texts": (
        lambda: model(
            [*FLAT, helper.make_node("Cast", ["flat"], ["scores"], to=TensorProto.STRING)],
            outputs=[("scores", TensorProto.STRING, ("batch", 64))],
        ),
        "it gives 'scores' as string (?, 64), not float (?, 2)",
    ),
    "weights missing": (lambda: elsewhere("w.bin"), "it keeps weights in another file, 'w.bin'"),
    "weights above": (lambda: elsewhere("../secret"), "it keeps weights in another file, '../secret'"),
    "weights anywhere": (
        lambda: elsewhere("/etc/passwd"),
        "it keeps weights in another file, '/etc/passwd'",
    ),
    "padding without end": (
        lambda: model(
            [
                helper.make_node("MaxPool", ["images"], ["wide"], kernel_shape=[2, 2], pads=[1 << 20] * 4),
                helper.make_node("GlobalAveragePool", ["wide"], ["mean"]),
                helper.make_node("Flatten", ["mean"], ["scores"]),
            ]
        ),
        "wide would hold 4.4e+12 values for one image",
    ),
    "weights of a branch": (inner_elsewhere, "it keeps weights in another file, '../secret'"),
}


def written(folder: Path, content: onnx.ModelProto | bytes) -> Path:
    path = folder / "m.onnx"
    path.write_bytes(content if isinstance(content, bytes) else content.SerializeToString())
    return path


@pytest.fixture
def image(tmp_path: Path) -> Path:
    """A picture, brighter to the right, which the linear model calls open."""
    path = tmp_path / "a.png"
    Image.fromarray(np.arange(64, dtype=np.uint8).reshape(8, 8)).save(path)
    return path


def test_a_model_of_the_form_that_is_published(tmp_path: Path, image: Path) -> None:
    [found] = Classifier(written(tmp_path, model())).classify([image])
    score = float(WEIGHTS[:, 0] @ np.arange(64, dtype=np.float32))
    assert found.label == "open"
    assert found.shares["closed"] == pytest.approx(1 / (1 + np.exp(score)))


@pytest.mark.parametrize("case", FOREIGN)
def test_a_foreign_file_is_refused_in_one_sentence(tmp_path: Path, case: str) -> None:
    (tmp_path / "secret").write_bytes(WEIGHTS.tobytes())
    (tmp_path / "inner").mkdir()
    make, reason = FOREIGN[case]
    path = written(tmp_path / "inner", make())
    with pytest.raises(BadInput) as caught:
        Classifier(path)
    assert str(caught.value) == f"{path} is not a model that a4nn publish wrote: {reason}"


@pytest.mark.parametrize(
    ("made", "sentence"),
    [
        (
            model(opset=999),
            "onnxruntime cannot open {}: ONNX Runtime only *guarantees* support for models stamped with "
            "official released onnx opset versions. Opset 999 is under development",
        ),
        (
            model([helper.make_node("Frobnicate", ["images"], ["scores"])]),
            "onnxruntime cannot open {}: This is an invalid model.",
        ),
        (
            model([helper.make_node("Reshape", ["images", "w"], ["scores"])], weights=np.array([7, 2])),
            "onnxruntime cannot run {}: Non-zero status code returned while running Reshape node.",
        ),
        (
            model([helper.make_node("Flatten", ["images"], ["scores"])], outputs=[("scores", 1, None)]),
            "{} gives float32 (1, 64) as scores, not float32 (1, 2)",
        ),
        (
            model(weights=np.stack([WEIGHTS[:, 0] * np.nan, WEIGHTS[:, 0]], axis=1)),
            "{image}: 1 of its 2 scores are not finite (nan), so it has no class",
        ),
        (
            model(weights=np.full((64, 2), 3e38, np.float32)),
            "{image}: 2 of its 2 scores are not finite (inf), so it has no class",
        ),
    ],
)
def test_what_only_running_it_shows(
    tmp_path: Path, image: Path, made: onnx.ModelProto, sentence: str
) -> None:
    path = written(tmp_path, made)
    done = a4nn("classify", path, image)
    assert (done.returncode, done.stdout) == (2, "")
    said, *counted = done.stderr.splitlines()
    assert said.removeprefix("Error: ").startswith(sentence.format(path, image=image))
    assert counted == ["Error: 1 of 1 images cannot be classified"] * sentence.startswith("{image}")


def test_class_names_move_no_cursor(tmp_path: Path, image: Path) -> None:
    name = "\x1b[2Jopen\n\u202eb.png"
    path = written(tmp_path, model(about=ABOUT | {"classes": [name, "closed"]}))
    done = a4nn("classify", path, image)
    assert done.stdout == f"{image}  \\x1b[2Jopen\\n\\u202eb.png  100.0 %\n"
    said = a4nn("classify", path, image, "--json").stdout
    assert said.isascii()
    assert json.loads(said)[0]["class"] == name
