"""Models for people: a network of a front as ONNX and as a ``torch.export`` program, with a model card.

Both take images as they are stored, so that nobody needs to know how they were normalised, and return
class scores. Both are run and compared with the network before they are accepted.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from a4nn_core.errors import A4NNError, BadInput
from a4nn_core.files import atomic_write, atomic_write_bytes
from a4nn_core.publish.models.found import Found, Tables, networks
from a4nn_core.publish.models.model_card import model_card
from a4nn_core.version import __version__

if TYPE_CHECKING:
    import torch

METADATA = "a4nn"  # key of our JSON in the ONNX file's metadata


def export_front(commons: Path, tables: Tables, folder: Path) -> list[str]:
    """Export every network on a front: ``models/<run>-<number>.onnx``, ``.pt2`` and ``.md``.

    Args:
        commons: where the checkpoints are.
        tables: the tables of the deposit, by name.
        folder: folder of the deposit.

    Returns:
        paths relative to the deposit.

    Raises:
        BadInput: the packages of the extra ``onnx`` are missing, or a checkpoint cannot be used.
        A4NNError: the scores of an exported model differ from the network's.
    """
    from a4nn_core.commons.records import Network
    from a4nn_core.commons.rows import records

    front = [network for network in records(Network, tables["front"]) if network.best_checkpoint is not None]
    if not front:
        return []
    _check_packages()
    made = []
    (folder / "models").mkdir(exist_ok=True)
    for found in networks(tables, front):
        stem = folder / "models" / found.name
        export(commons / str(found.network.best_checkpoint), found, stem)
        atomic_write_bytes(stem.with_name(f"{stem.name}.md"), model_card(found, tables).encode())
        made += [f"models/{found.name}{ending}" for ending in (".md", ".onnx", ".pt2")]
    return made


def _check_packages() -> None:
    try:
        import onnx  # noqa: F401
        import onnxruntime  # noqa: F401
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise BadInput(
            f"exporting models needs the package {error.name}: pip install 'a4nn[onnx]', or --models none"
        ) from None


def deployed(checkpoint: Path, found: Found) -> torch.nn.Module:
    """The network with its weights and its input transform, ready to be used.

    Input: stored images as floats, shape (batch, channels, height, width). Output: scores, (batch, classes).

    Raises:
        A4NNError: the checkpoint cannot be read.
    """
    import torch

    from a4nn_core.spaces.build import Network
    from a4nn_core.training.checkpoint import load_network

    transform = found.transform()

    class Deployed(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.network = Network(found.architecture)
            self.log1p = transform.log1p
            self.mean, self.std = (
                torch.nn.Buffer(torch.tensor(values, dtype=torch.float32).view(1, -1, 1, 1))
                for values in (transform.mean, transform.std)
            )

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            seen = images.log1p() if self.log1p else images
            scores: torch.Tensor = self.network((seen - self.mean) / self.std)
            return scores

    model = Deployed()
    load_network(checkpoint, model.network)
    return model.eval()


def describe(found: Found) -> dict[str, object]:
    """What the ONNX file says of itself, under the key ``a4nn`` of its metadata."""
    validation, test = found.network.best_accuracy_percent, found.network.test_accuracy_percent
    preparation = found.preparation
    return {
        "run": found.network.run,
        "network": found.network.network,
        "classes": found.classes,
        "input": list(found.architecture.input_shape),
        **({} if preparation is None else {"preparation": preparation.model_dump(mode="json")}),
        "flops": found.architecture.flops,
        "parameters": found.architecture.parameters,
        "architecture_hash": found.network.architecture_hash,
        "checkpoint_sha256": found.network.best_checkpoint_sha256,
        "validation_accuracy_percent": validation,
        "validation_accuracy_se_points": found.images.validation_error(validation),
        "test_accuracy_percent": test,
        "test_accuracy_se_points": found.images.test_error(test),
        "a4nn_version": __version__,
    }


def export(checkpoint: Path, found: Found, stem: Path) -> None:
    """Write ``<stem>.onnx`` and ``<stem>.pt2`` and compare their scores with the network's.

    The bytes follow from the network and the versions of the packages: stack traces, which name folders of
    this machine, are taken out.
    """
    import onnx
    import torch

    model = deployed(checkpoint, found)
    shape = found.architecture.input_shape
    example = torch.linspace(0, 1, 2 * int(np.prod(shape))).view(2, *shape)
    batch = torch.export.Dim("batch", min=1)
    with torch.no_grad():
        program: Any = torch.export.export(model, (example,), dynamic_shapes={"images": {0: batch}})
        for node in program.graph.nodes:
            node.meta.pop("stack_trace", None)
        with _quiet():
            onnx_program: Any = torch.onnx.export(
                program, input_names=["images"], output_names=["scores"], dynamo=True, verbose=False
            )
    graph = onnx_program.model_proto
    for part in (*graph.graph.node, *graph.graph.value_info, *graph.graph.input, *graph.graph.output):
        del part.metadata_props[:]
    for initializer in graph.graph.initializer:
        del initializer.metadata_props[:]
    for function in graph.functions:
        for node in function.node:
            del node.metadata_props[:]
    onnx.helper.set_model_props(graph, {METADATA: json.dumps(describe(found), sort_keys=True)})
    onnx.checker.check_model(graph)
    atomic_write_bytes(stem.with_name(f"{stem.name}.onnx"), graph.SerializeToString(deterministic=True))
    _save_program(program, stem)
    _compare(model, stem, shape)


def _save_program(program: Any, stem: Path) -> None:
    """The archive contains the name of its file, so it is written under that name in a folder beside."""
    import tempfile

    import torch

    with tempfile.TemporaryDirectory(dir=stem.parent) as folder:
        own = Path(folder) / f"{stem.name}.pt2"
        torch.export.save(program, own)
        with atomic_write(stem.with_name(own.name)) as temporary:
            temporary.write_bytes(own.read_bytes())


def _compare(model: torch.nn.Module, stem: Path, shape: tuple[int, int, int]) -> None:
    import onnxruntime
    import torch

    session = onnxruntime.InferenceSession(
        stem.with_name(f"{stem.name}.onnx"), providers=["CPUExecutionProvider"]
    )
    again = torch.export.load(stem.with_name(f"{stem.name}.pt2")).module()  # written by us a moment ago
    random = np.random.default_rng(0)
    for count in (1, 7):
        images = (random.random((count, *shape)) * 20).astype(np.float32)
        with torch.no_grad():
            expected = model(torch.from_numpy(images)).numpy()
            exported = again(torch.from_numpy(images)).numpy()
        (scores,) = session.run(["scores"], {"images": images})
        for form, given in (("ONNX", scores), ("torch.export", exported)):
            scale = max(float(np.abs(expected).max()), 1.0)
            if not np.allclose(given, expected, rtol=1e-3, atol=1e-4 * scale):
                worst = float(np.abs(given - expected).max())
                raise A4NNError(f"{stem.name}: its {form} model differs from the network by {worst:.2g}")


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep the exporter's progress off standard output."""
    with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
        yield
