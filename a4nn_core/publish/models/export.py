"""Models for people: a network as ONNX, as a ``torch.export`` program, as plain weights, with a model card.

All take images as they are stored, so that nobody needs to know how they were normalised, and return
class scores, or restored images. All are run and compared with the network before they are accepted.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from a4nn_core.commons import Commons
from a4nn_core.commons.fragments import file_checksum
from a4nn_core.commons.records import Network
from a4nn_core.commons.rows import records
from a4nn_core.errors import A4NNError, BadInput
from a4nn_core.files import atomic_folder, atomic_write, atomic_write_bytes
from a4nn_core.publish.models.found import Found, Tables, find, networks
from a4nn_core.publish.models.model_card import model_card
from a4nn_core.publish.models.onnx_model import INPUT, METADATA, OUTPUTS
from a4nn_core.publish.models.plain import write_plain
from a4nn_core.spaces.architecture import Shape
from a4nn_core.version import __version__
from a4nn_core.vocabulary import Task

if TYPE_CHECKING:
    import torch


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
    front = [network for network in records(Network, tables["front"]) if network.best_checkpoint is not None]
    if not front:
        return []
    every = records(Network, tables["networks"])
    made = []
    try:
        check_packages()
        (folder / "models").mkdir(exist_ok=True)
        for found in networks(tables, front):
            stem = folder / "models" / found.name
            export(commons / str(found.network.best_checkpoint), found, stem)
            atomic_write_bytes(stem.with_name(f"{stem.name}.md"), model_card(found, every).encode())
            made += [f"models/{found.name}{ending}" for ending in (".md", ".onnx", ".pt2")]
    except BadInput as error:
        raise BadInput(f"{error}; to publish without models: --models none") from None
    return made


def export_network(commons: Path, run: str, number: int, out: Path) -> list[Path]:
    """Export one network in every form: ``<run>-<number>.onnx``, ``.pt2``, ``.safetensors``, ``.md``, and
    ``network.py``, which loads the ``.safetensors``. Of a network that equals another, that other one, which
    was trained.

    Args:
        commons: folder of the commons.
        run: id of the run.
        number: number of the network.
        out: folder that does not exist yet.

    Returns:
        the files, sorted.

    Raises:
        BadInput: there is no such network, its weights are not there, ``out`` exists or cannot be written, or
            the packages of the extra ``onnx`` are missing. Nothing is left behind.
    """
    check_packages()
    store = Commons(commons)
    found = find(store, run, number)
    if found.network.equal_to is not None:
        found = find(store, run, found.network.equal_to)
    checkpoint = _weights(commons, found.network)
    with atomic_folder(out) as folder:
        stem = folder / found.name
        write_plain(
            export(checkpoint, found, stem), describe(found), stem.with_name(f"{stem.name}.safetensors")
        )
        _compare_plain(deployed(checkpoint, found), stem, found.architecture.input_shape)
        card = model_card(found, store.networks(run), plain=True)
        atomic_write_bytes(stem.with_name(f"{stem.name}.md"), card.encode())
    return sorted(out.iterdir())


def _weights(commons: Path, network: Network) -> Path:
    """The file of a network's best checkpoint.

    Raises:
        BadInput: it was not trained, or its weights were not kept or have changed.
    """
    name = f"network {network.network} of run {network.run!r}"
    if network.best_checkpoint is None:
        raise BadInput(f"{name} has no weights: {network.error or network.status or 'none were recorded'}")
    path = commons / network.best_checkpoint
    if not path.is_file():
        raise BadInput(f"{name} has no weights any more: {path} was not kept")
    if file_checksum(path) != network.best_checkpoint_sha256:
        raise BadInput(f"{path} is damaged: its SHA-256 differs from the recorded one")
    return path


def check_packages() -> None:
    try:
        import onnx  # noqa: F401
        import onnxruntime  # noqa: F401
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise BadInput(f"exporting models needs the package {error.name}: pip install 'a4nn[onnx]'") from None


def deployed(checkpoint: Path, found: Found) -> torch.nn.Module:
    """The network with its weights and its input transform, ready to be used.

    Input: stored images as floats, shape (batch, channels, height, width). Output: scores,
    (batch, classes), or restored images of the shape of the input.

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
    quality: dict[str, object] = {
        "validation_accuracy_percent": validation,
        "validation_accuracy_se_points": found.images.validation_error(validation),
        "test_accuracy_percent": test,
        "test_accuracy_se_points": found.images.test_error(test),
    }
    if found.architecture.task is Task.restoration:
        network = found.network
        quality = {
            "task": Task.restoration,
            "peak": found.run.details.get("peak"),
            "validation_psnr_db": network.best_psnr_db,
            "validation_psnr_se_db": network.best_psnr_se_db,
            "test_psnr_db": network.test_psnr_db,
            "test_psnr_se_db": network.test_psnr_se_db,
            "poisson_deviance": network.poisson_deviance,
            "test_poisson_deviance": network.test_poisson_deviance,
        }
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
        **quality,
        "a4nn_version": __version__,
    }


def export(checkpoint: Path, found: Found, stem: Path) -> torch.export.ExportedProgram:
    """Write ``<stem>.onnx`` and ``<stem>.pt2`` and compare their scores with the network's.

    The bytes follow from the network and the versions of the packages: stack traces, which name folders of
    this machine, are taken out.

    Returns:
        the program of the ``.pt2`` file.
    """
    import onnx
    import torch

    model = deployed(checkpoint, found)
    shape = found.architecture.input_shape
    example = torch.linspace(0, 1, 2 * int(np.prod(shape))).view(2, *shape)
    batch = torch.export.Dim("batch", min=1)
    with torch.no_grad():
        program: Any = torch.export.export(model, (example,), dynamic_shapes={INPUT: {0: batch}})
        for node in program.graph.nodes:
            node.meta.pop("stack_trace", None)
        with quiet():
            onnx_program: Any = torch.onnx.export(
                program,
                input_names=[INPUT],
                output_names=[OUTPUTS[found.architecture.task]],
                dynamo=True,
                verbose=False,
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
    _compare(model, stem, shape, OUTPUTS[found.architecture.task])
    exported: torch.export.ExportedProgram = program
    return exported


def _save_program(program: Any, stem: Path) -> None:
    """The archive contains the name of its file, so it is written under that name in a folder beside."""
    import tempfile

    import torch

    with tempfile.TemporaryDirectory(dir=stem.parent) as folder:
        own = Path(folder) / f"{stem.name}.pt2"
        torch.export.save(program, own)
        with atomic_write(stem.with_name(own.name)) as temporary:
            temporary.write_bytes(own.read_bytes())


def _compare(model: torch.nn.Module, stem: Path, shape: Shape, output: str) -> None:
    import onnxruntime
    import torch

    session = onnxruntime.InferenceSession(
        stem.with_name(f"{stem.name}.onnx"), providers=["CPUExecutionProvider"]
    )
    again = torch.export.load(stem.with_name(f"{stem.name}.pt2")).module()  # written by us a moment ago
    _check(
        model,
        shape,
        stem.name,
        {
            "ONNX": lambda images: torch.from_numpy(session.run([output], {INPUT: images.numpy()})[0]),
            "torch.export": again,
        },
    )


def _compare_plain(model: torch.nn.Module, stem: Path, shape: Shape) -> None:
    from a4nn_core.publish.models.network import Network as Plain

    _check(model, shape, stem.name, {"plain": Plain(str(stem.with_name(f"{stem.name}.safetensors")))})


def _check(
    model: torch.nn.Module,
    shape: Shape,
    name: str,
    forms: Mapping[str, Callable[[torch.Tensor], torch.Tensor]],
) -> None:
    """Compare the scores of exported forms with the network's.

    Raises:
        A4NNError: they differ.
    """
    import torch

    random = np.random.default_rng(0)
    for count in (1, 7):
        images = torch.from_numpy((random.random((count, *shape)) * 20).astype(np.float32))
        with torch.no_grad():
            expected = model(images)
            scale = max(float(expected.abs().max()), 1.0)
            for form, scores in forms.items():
                given = scores(images)
                if not torch.allclose(given, expected, rtol=1e-3, atol=1e-4 * scale):
                    worst = float((given - expected).abs().max())
                    raise A4NNError(f"{name}: its {form} model differs from the network by {worst:.2g}")


@contextmanager
def quiet() -> Iterator[None]:
    """Keep the exporter's progress off standard output."""
    with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
        yield
