"""A network as plain weights: one safetensors file, which ``network.py`` beside it computes with.

Its header holds what is computed with the weights, as ``torch.export`` sees it: a list of ATen operations. So
any operation of any package can be used again without that package, and nothing in the file is code.
"""

from __future__ import annotations

import json
from importlib.resources import files
from operator import getitem
from pathlib import Path
from typing import TYPE_CHECKING, Any

from a4nn_core.errors import BadInput
from a4nn_core.files import atomic_write_bytes

if TYPE_CHECKING:
    import torch
    from torch.fx import Node

    from a4nn_core.jsonable import Json

LOADER = "network.py"


def write_plain(program: torch.export.ExportedProgram, about: dict[str, object], path: Path) -> None:
    """Write the weights of a program, and the loader beside them.

    Args:
        program: the exported program; its input is named ``images``.
        about: what the file says of itself.
        path: path of the safetensors file.

    Raises:
        BadInput: the program is made of more than operations of ATen on tensors and numbers.
    """
    from safetensors.torch import save

    signature = program.graph_signature
    names = {
        **signature.inputs_to_parameters,
        **signature.inputs_to_buffers,
        **signature.inputs_to_lifted_tensor_constants,
    }
    # what nothing uses is an assertion
    steps = [_step(node, names) for node in program.graph.nodes if node.op == "call_function" and node.users]
    used = {names[node.name] for node in program.graph.nodes if node.name in names and node.users}
    every: dict[str, Any] = {**program.state_dict, **program.constants}
    tensors = {name: every[name].detach().contiguous() for name in sorted(used)}
    text = json.dumps({**about, "steps": steps}, sort_keys=True)
    atomic_write_bytes(path, save(tensors, metadata={"a4nn": text}))
    loader = files("a4nn_core.publish.models").joinpath(LOADER).read_bytes()
    atomic_write_bytes(path.with_name(LOADER), loader)


def _step(node: Node, names: dict[str, str]) -> Json:
    """Name of the result, operation, arguments, and arguments by name, as the loader takes them."""
    # getitem takes one of the results of an operation that has several
    operation = "getitem" if node.target is getitem else str(node.target).removeprefix("aten.")
    if operation == str(node.target):
        raise BadInput(f"plain weights cannot describe {node.target}, which the network computes")
    options: Json = {key: _argument(value, names) for key, value in node.kwargs.items()}
    return [node.name, operation, _argument(node.args, names), options]


def _argument(value: object, names: dict[str, str]) -> Json:
    from torch.fx import Node

    if isinstance(value, Node):
        return {"value": names.get(value.name, value.name)}
    if isinstance(value, (list, tuple)):
        return [_argument(each, names) for each in value]
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    raise BadInput(f"plain weights cannot describe {value!r}, which the network computes with")
