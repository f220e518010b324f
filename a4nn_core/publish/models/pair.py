"""Two networks as ONNX files with a mapping of their nodes, for Google's Model Explorer side by side.

Model Explorer selects in one pane what is mapped to the selection in the other ("Upload mapping from
computer": JSON of the type ``sync_navigation``). Its ONNX adapter (model-explorer-onnx) takes the names of
nodes from the file and groups them by the slashes in them, so nodes are named after their layers here, as in
``phase 1/node 2/14 Conv``.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from a4nn_core.archaeology.difference import Difference, difference
from a4nn_core.errors import BadInput
from a4nn_core.files import atomic_folder, atomic_write_bytes, user_errors
from a4nn_core.publish.models.found import Found
from a4nn_core.spaces.architecture import Architecture

MAPPING = "mapping.json"


def write_pair(old: Found, new: Found, folder: Path) -> list[Path]:
    """Write both networks and the mapping of the layers that they share.

    The files show structure: all weights in them are zero.

    Args:
        old, new: the networks, of one run or of two.
        folder: new folder.

    Returns:
        the files: two networks, the old one first, and the mapping.

    Raises:
        BadInput: the folder exists already, both are the same network of the same run, or a package of the
            extra ``onnx`` is missing. Nothing is left behind.
    """
    from a4nn_core.publish.models.export import check_packages

    if old.name == new.name:
        raise BadInput(f"{old.name} would be compared with itself")
    if folder.exists():
        raise BadInput(f"{folder} exists already")
    check_packages()
    found = difference(old.architecture, new.architecture)
    names = [f"{one.name}.onnx" for one in (old, new)]
    with user_errors("write", folder), atomic_folder(folder) as temporary:
        nodes = []
        for one, name in zip((old, new), names, strict=True):
            model, of_layer = structure(one.architecture)
            atomic_write_bytes(temporary / name, model.SerializeToString(deterministic=True))
            nodes.append(of_layer)
        text = json.dumps(mapping(found, *nodes), indent=2)
        atomic_write_bytes(temporary / MAPPING, text.encode())
    return [folder / name for name in (*names, MAPPING)]


def mapping(found: Difference, old: dict[int, list[str]], new: dict[int, list[str]]) -> dict[str, Any]:
    """The mapping of nodes, as Model Explorer reads it (``SyncNavigationData``).

    Args:
        found: the difference of both networks.
        old, new: names of the nodes that each layer became.
    """
    return {
        "type": "sync_navigation",
        "mappingEntries": [
            {"leftNodeIds": old[i], "rightNodeIds": new[j]} for i, j in found.pairs if i in old and j in new
        ],
        "disableMappingFallback": True,
    }


def structure(architecture: Architecture) -> tuple[Any, dict[int, list[str]]]:
    """A network as an ONNX model without trained weights, and the names of the nodes of each layer.

    A layer that exports to nothing, such as an identity, has no nodes.
    """
    import onnx
    import torch
    from onnxscript import optimizer

    from a4nn_core.publish.models.export import quiet
    from a4nn_core.spaces.build import Network

    network = Network(architecture).eval()
    with torch.no_grad():
        for weight in network.parameters():
            weight.zero_()
        with quiet():
            program: Any = torch.onnx.export(
                network,
                (torch.zeros(1, *architecture.input_shape),),
                input_names=["images"],
                output_names=["scores"],
                dynamo=True,
                verbose=False,
                optimize=False,  # it would fuse layers into one node
            )
            optimizer.fold_constants(program.model)
            optimizer.remove_unused_nodes(program.model)
    model = program.model_proto
    of_layer: dict[int, list[str]] = {}
    for node in model.graph.node:
        layer = _layer_of(node)
        node.name = _name(architecture, layer, len(of_layer.get(layer, [])), node.op_type)
        of_layer.setdefault(layer, []).append(node.name)
        del node.metadata_props[:]
    for part in (*model.graph.value_info, *model.graph.input, *model.graph.output, *model.graph.initializer):
        del part.metadata_props[:]
    onnx.checker.check_model(model)
    return model, of_layer


def _layer_of(node: Any) -> int:
    """Number of the layer that a node comes from: torch records the names of the modules around it."""
    scopes = next((p.value for p in node.metadata_props if p.key == "pkg.torch.onnx.name_scopes"), "[]")
    for scope in json.loads(scopes.replace("'", '"')):
        if scope.startswith("layers."):
            return int(scope.split(".")[1])
    raise BadInput(f"node {node.name} of the exported network does not say which layer it comes from")


def _name(architecture: Architecture, layer: int, part: int, op_type: str) -> str:
    one = architecture.layers[layer]
    *node, _ = one.label.split() or [one.op]
    groups = [] if one.phase is None else [f"phase {one.phase + 1}"]
    groups += [" ".join(node)] if node else []
    return "/".join([*groups, f"{layer} {op_type}" + (f" {part + 1}" if part else "")])
