"""The networks of torchvision as blueprints: traced by ``torch.fx``, and every step translated into one of
our operations, so that cost, hash, records, pictures and exports follow as for networks that were found.

What no operation of ours computes, such as attention, is refused by name rather than hidden in a black box.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from functools import cache
from typing import Any

from a4nn_core.errors import BadInput
from a4nn_core.spaces.designed.blueprint import Blueprint, Step

OPTIONS: dict[str, dict[str, bool]] = {
    "googlenet": {"init_weights": False, "aux_logits": False},
    "inception_v3": {"init_weights": False, "aux_logits": False},
}
"""arguments of networks whose usual ones do not suit: auxiliary classifiers are of no use after training"""
ACTIVATIONS = {
    "ReLU6": "relu6",
    "Hardswish": "hardswish",
    "Hardsigmoid": "hardsigmoid",
    "SiLU": "silu",
    "Sigmoid": "sigmoid",
    "GELU": "gelu",
    "ELU": "elu",
}


class _Untranslated(Exception):
    """What of a network none of our operations computes."""


def torchvision_names() -> list[str]:
    """The names of torchvision's classifiers of images.

    Raises:
        BadInput: torchvision cannot be imported.
    """
    models = _models()
    return [name for name in models.list_models(module=models) if not name.startswith("quantized")]


@cache
def torchvision_blueprint(name: str) -> Blueprint:
    """A network of torchvision, without weights.

    Args:
        name: as torchvision calls it, such as ``resnet18``.

    Raises:
        BadInput: torchvision cannot be imported or has no such network, or one of its layers has no
            counterpart among the operations.
    """
    models = _models()
    if name not in torchvision_names():
        raise BadInput(f"torchvision has no network {name!r}")
    module = _module(models, name)
    try:
        return Blueprint(name, tuple(_Translation(module).steps))
    except _Untranslated as reason:
        raise BadInput(f"{name} cannot be used: its layer {reason} has no counterpart in A4NN") from None


def _models() -> Any:
    try:
        from torchvision import models
    except (ImportError, RuntimeError) as error:  # RuntimeError: built for another torch
        raise BadInput(
            f"hand-designed networks need torchvision, which cannot be imported: {error}"
        ) from None
    return models


def _module(models: Any, name: str) -> Any:
    """The module, in evaluation mode. Its weights, which nobody needs, use up no random numbers."""
    import torch

    options = OPTIONS.get(name, {})
    with torch.random.fork_rng(devices=[]):
        try:
            with torch.device("meta"):
                module = models.get_model(name, weights=None, **options)
        except NotImplementedError:  # some initialise in a way that needs real weights
            module = models.get_model(name, weights=None, **options)
    return module.eval()


class _Translation:
    """Translates a module's graph step by step.

    Attributes:
        steps: the steps so far; number n is at n - 1.
    """

    def __init__(self, module: Any) -> None:
        from torch import fx
        from torchvision.models import shufflenetv2
        from torchvision.ops import StochasticDepth

        class Tracer(fx.Tracer):
            def is_leaf_module(self, m: Any, module_qualified_name: str) -> bool:
                return isinstance(m, StochasticDepth) or super().is_leaf_module(m, module_qualified_name)

        self._module = module
        self._shuffle = shufflenetv2.channel_shuffle
        self.steps: list[Step] = []
        self._numbers: dict[Any, int] = {}
        self._parts: dict[Any, tuple[int, int]] = {}  # chunks: source, number of parts
        # called by name inside its module, the function is one step instead of a dozen
        tracer = Tracer(autowrap_functions=(self._shuffle,))
        for node in tracer.trace(module).nodes:
            self._translate(node)

    def _translate(self, node: Any) -> None:
        if node.op == "placeholder":
            self._numbers[node] = 0
        elif node.op == "call_module":
            self._of_module(node, self._module.get_submodule(node.target))
        elif node.op in ("call_function", "call_method"):
            self._of_function(node)
        elif node.op != "output":
            raise _Untranslated(f"{node.target} ({node.op})")

    def _add(self, node: Any, op: str, sources: tuple[Any, ...] | None = None, **fields: Any) -> None:
        given = sources if sources is not None else (node.args[0],)
        try:
            numbers = tuple(self._numbers[source] for source in given)
        except (KeyError, TypeError):
            raise _Untranslated(f"{node.name}, with inputs {given},") from None
        label = str(node.target if node.op == "call_module" else node.name)
        self.steps.append(Step(op, numbers, label=label, **fields))
        self._numbers[node] = len(self.steps)

    def _same(self, node: Any) -> None:
        """A node that passes its input on."""
        self._numbers[node] = self._numbers[node.args[0]]

    def _of_module(self, node: Any, module: Any) -> None:
        kind = type(module).__name__
        if kind in ACTIVATIONS:
            self._add(node, "activation", settings={"function": ACTIVATIONS[kind]})
            return
        translate: Callable[[Any, Any], None] | None = getattr(self, f"_{kind.lower()}", None)
        if translate is None:
            raise _Untranslated(f"{node.target} ({kind})")
        translate(node, module)

    # one method for each class of module, in lower case

    def _conv2d(self, node: Any, module: Any) -> None:
        kernel, stride, padding, dilation = (
            self._square(node, value)
            for value in (module.kernel_size, module.stride, module.padding, module.dilation)
        )
        more = {"groups": module.groups, "dilation": dilation}
        self._add(
            node,
            "conv",
            channels=module.out_channels,
            kernel=kernel,
            stride=stride,
            padding=padding,
            bias=module.bias is not None,
            settings={name: value for name, value in more.items() if value > 1},
        )

    def _linear(self, node: Any, module: Any) -> None:
        self._add(node, "linear", channels=module.out_features, bias=module.bias is not None)

    def _batchnorm2d(self, node: Any, module: Any) -> None:
        usual = {"eps": 1e-5, "momentum": 0.1}
        more = {
            name: getattr(module, name) for name, value in usual.items() if getattr(module, name) != value
        }
        self._add(node, "batch_norm", settings=more)

    def _relu(self, node: Any, module: Any) -> None:
        del module
        self._add(node, "relu")

    def _dropout(self, node: Any, module: Any) -> None:
        if module.p == 0:
            self._same(node)
        else:
            self._add(node, "dropout", settings={"rate": float(module.p)})

    def _stochasticdepth(self, node: Any, module: Any) -> None:
        if module.mode != "row":
            raise _Untranslated(f"{node.target} (StochasticDepth by {module.mode})")
        if module.p == 0:
            self._same(node)
        else:
            self._add(node, "stochastic_depth", settings={"rate": float(module.p)})

    def _identity(self, node: Any, module: Any) -> None:
        del module
        self._same(node)

    def _flatten(self, node: Any, module: Any) -> None:
        del module
        self._flat(node)

    def _maxpool2d(self, node: Any, module: Any) -> None:
        self._max_pool(node, module.kernel_size, module.stride, module.padding, module.ceil_mode)

    def _avgpool2d(self, node: Any, module: Any) -> None:
        self._avg_pool(node, module.kernel_size, module.stride, module.padding, module.count_include_pad)

    def _adaptiveavgpool2d(self, node: Any, module: Any) -> None:
        self._adaptive(node, module.output_size)

    # functions

    def _of_function(self, node: Any) -> None:
        name = node.target if isinstance(node.target, str) else getattr(node.target, "__name__", "")
        options = dict(node.kwargs)
        args = node.args[1:]
        if node.target is self._shuffle:
            self._add(node, "channel_shuffle", settings={"groups": node.args[1]} if node.args[1] != 2 else {})
        elif name == "add":
            self._add(node, "add", sources=node.args)
        elif name == "mul":
            self._add(node, "multiply", sources=node.args)
        elif name == "cat":
            dim = options.get("dim", args[0] if args else 0)
            if dim != 1:
                raise _Untranslated(f"{node.name} (concatenation of dimension {dim})")
            self._add(node, "concat", sources=tuple(node.args[0]))
        elif name == "relu":
            self._add(node, "relu")
        elif name == "flatten":
            self._flat(node)
        elif name == "mean":
            if tuple(args[0] if args else options.get("dim", ())) not in ((2, 3), (-2, -1)):
                raise _Untranslated(f"{node.name} (mean)")
            self._add(node, "global_average_pool")
        elif name == "adaptive_avg_pool2d":
            self._adaptive(node, args[0] if args else options["output_size"])
        elif name == "max_pool2d":
            self._max_pool(node, *_pooling(args, options), options.get("ceil_mode", False))
        elif name == "avg_pool2d":
            self._avg_pool(node, *_pooling(args, options), options.get("count_include_pad", True))
        elif name == "chunk":
            self._parts[node] = (node.args[0], int(args[0]))
        elif node.target is operator.getitem and node.args[0] in self._parts:
            source, parts = self._parts[node.args[0]]
            more = {"parts": parts, "part": int(args[0])}
            usual = {"parts": 2, "part": 0}
            settings = {name: value for name, value in more.items() if value != usual[name]}
            self._add(node, "chunk", sources=(source,), settings=settings)
        else:
            raise _Untranslated(f"{node.name} ({name})")

    def _max_pool(self, node: Any, kernel: Any, stride: Any, padding: Any, ceil: bool) -> None:
        side, step, edge = (self._square(node, value) for value in (kernel, stride or kernel, padding))
        settings = {"ceil": True} if ceil else {}
        self._add(node, "max_pool", kernel=side, stride=step, padding=edge, settings=settings)

    def _avg_pool(self, node: Any, kernel: Any, stride: Any, padding: Any, counts_padding: bool) -> None:
        side, step, edge = (self._square(node, value) for value in (kernel, stride or kernel, padding))
        if edge and counts_padding:
            raise _Untranslated(f"{node.name} (average pooling that counts its padding)")
        self._add(node, "avg_pool", kernel=side, stride=step, padding=edge)

    def _adaptive(self, node: Any, size: Any) -> None:
        side = self._square(node, size)
        self._add(node, "adaptive_avg_pool", settings={"side": side} if side != 1 else {})

    def _flat(self, node: Any) -> None:
        """Flattening; with the pooling to one pixel before it, global average pooling."""
        before = self._numbers[node.args[0]]
        pooling = self.steps[before - 1]
        if pooling.op == "adaptive_avg_pool" and not pooling.settings and len(node.args[0].users) == 1:
            self.steps[before - 1] = Step("global_average_pool", pooling.sources, label=pooling.label)
            self._numbers[node] = before
        else:
            self._add(node, "flatten")

    def _square(self, node: Any, value: Any) -> int:
        first, *others = value if isinstance(value, (tuple, list)) else (value,)
        if not isinstance(first, int) or any(other != first for other in others):
            raise _Untranslated(f"{node.target} ({value} where equal sides are needed)")
        return first


def _pooling(args: tuple[Any, ...], options: dict[str, Any]) -> tuple[Any, Any, Any]:
    """Kernel, stride and padding of a pooling function."""
    usual = {"kernel_size": None, "stride": None, "padding": 0}
    given = dict(zip(usual, args, strict=False))
    found = {**usual, **{name: value for name, value in options.items() if name in usual}, **given}
    return found["kernel_size"], found["stride"], found["padding"]
