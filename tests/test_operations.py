"""Operations: each says all that there is to know about a kind of layer, and is one file."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pytest
import torch
from commons_data import header
from fakes import experiment
from gain_package import gain_wheel
from published_count import count_by_hooks
from test_memory import kept_by_autograd
from test_training import CPU, life, segment
from torch import Tensor, nn

from a4nn_core.archaeology.drawing import draw_architecture
from a4nn_core.commons import Commons, RunWriter
from a4nn_core.commons.check import check
from a4nn_core.commons.compact import compact
from a4nn_core.commons.records import Edge, LayerRecord
from a4nn_core.commons.records import Network as NetworkRecord
from a4nn_core.commons.rows import records
from a4nn_core.errors import BadInput
from a4nn_core.recorded_graphs import architecture_of, graph_records
from a4nn_core.spaces.architecture import Architecture, Cost, Graph, Layer, Shape
from a4nn_core.spaces.build import Network
from a4nn_core.spaces.macro import Macro
from a4nn_core.spaces.operations import OPERATIONS
from a4nn_core.training.loading import DeviceData
from a4nn_core.training.memory import kept_values
from a4nn_core.training.trainer import train_segment
from a4nn_core.vocabulary import NetworkStatus

SHAPE = (3, 17, 14)


def every_kind(rate: float = 0.25) -> Architecture:
    """A network with operations and settings that no built-in search space uses."""
    graph = Graph(SHAPE)
    at = graph.add(Layer("conv", 8, kernel=3, padding=1, bias=True, phase=0, label="node 1 conv"), 0)
    one = graph.add(Layer("relu", 8, phase=0, label="node 1 relu"), at)
    pooled = graph.add(Layer("max_pool", 8, kernel=3, padding=1, phase=0, label="node 2 pool"), at)
    depthwise = Layer("conv", 8, kernel=3, padding=2, phase=0, label="node 2 conv")
    depthwise = replace(depthwise, settings={"groups": 8, "dilation": 2})
    at = graph.add(depthwise, pooled)
    at = graph.add(Layer("add", 8, phase=0, label="output add"), [one, at, pooled])
    at = graph.add(Layer("avg_pool", 8, kernel=3, stride=2, padding=1, phase=1, label="pool"), at)
    at = graph.add(Layer("dropout", 8, phase=1, settings={"rate": rate}), at)
    at = graph.add(Layer("conv", 6, kernel=3, stride=2, settings={"groups": 2}, phase=1), at)
    at = graph.add(Layer("batch_norm", 6, phase=1), at)
    at = graph.add(Layer("identity", 6), at)
    at = graph.add(Layer("global_average_pool", 6), at)
    graph.add(Layer("linear", 5, bias=True), at)
    return graph.done()


def further_kinds(rate: float = 0.25) -> Architecture:
    """A network with the operations of the other systems."""
    graph = Graph(SHAPE)
    at = graph.add(Layer("conv", 6, kernel=4, bias=True, settings={"same": True}), 0)
    first = graph.add(Layer("crelu", 12), at)
    at = graph.add(Layer("conv", 12, kernel=1, padding=3, settings={"width": 7}), first)
    tall = graph.add(Layer("conv", 8, kernel=7, padding=3, settings={"width": 1}), at)
    at = graph.add(Layer("conv", 8, kernel=3, padding=1, settings={"start": "identity"}), tall)
    at = graph.add(Layer("batch_norm", 8, settings={"start": "identity"}), at)
    at = graph.add(Layer("tanh", 8), at)
    at = graph.add(Layer("avg_pool", 8, kernel=3, stride=2, padding=1, settings={"count_padding": True}), at)
    moved = graph.add(Layer("shift", 12), first)
    half = graph.add(Layer("conv", 10, stride=2), moved)
    half = graph.add(Layer("resize", 10, settings={"height": 9, "width": 7}), half)
    fewer = graph.add(Layer("fit_channels", 8), half)
    more = graph.add(
        Layer("fit_channels", 8), graph.add(Layer("resize", 3, settings={"height": 9, "width": 7}), 0)
    )
    nothing = graph.add(Layer("zero", 8), more)
    at = graph.add(Layer("add", 8), [at, fewer, more, nothing])
    at = graph.add(Layer("flatten", 8 * 9 * 7), at)
    at = graph.add(Layer("linear", 11, bias=True, settings={"weight_mean": 0.1, "weight_sd": 0.2}), at)
    at = graph.add(Layer("batch_norm", 11, settings={"flat": True}), at)
    at = graph.add(Layer("relu", 11), at)
    at = graph.add(Layer("dropout", 11, settings={"rate": rate}), at)
    graph.add(Layer("linear", 5, bias=True), at)
    return graph.done()


def designed_kinds(rate: float = 0.25) -> Architecture:
    """A network with the operations of hand-designed networks."""
    graph = Graph(SHAPE)
    at = graph.add(Layer("conv", 8, kernel=3, padding=1), 0)
    at = graph.add(Layer("batch_norm", 8, settings={"eps": 1e-3, "momentum": 0.01}), at)
    first = graph.add(Layer("activation", 8, settings={"function": "hardswish"}), at)
    gate = graph.add(Layer("adaptive_avg_pool", 8), first)
    gate = graph.add(Layer("activation", 8, settings={"function": "sigmoid"}), gate)
    gated = graph.add(Layer("multiply", 8), [first, gate])
    left = graph.add(Layer("chunk", 4), gated)
    right = graph.add(Layer("chunk", 4, settings={"part": 1}), gated)
    right = graph.add(Layer("conv", 4, settings={"groups": 4}), right)
    at = graph.add(Layer("concat", 8), [left, right])
    at = graph.add(Layer("channel_shuffle", 8), at)
    at = graph.add(Layer("stochastic_depth", 8, settings={"rate": rate}), at)
    at = graph.add(Layer("max_pool", 8, kernel=3, stride=2, settings={"ceil": True}), at)
    at = graph.add(Layer("crop", 8, settings={"height": 7, "width": 8}), at)
    at = graph.add(Layer("flatten", 8 * 7 * 8), at)
    at = graph.add(Layer("unflatten", 8, settings={"height": 7, "width": 8}), at)
    at = graph.add(Layer("min_max", 8), at)
    at = graph.add(Layer("add", 8), [at, graph.add(Layer("zero", 8), at)])
    at = graph.add(Layer("adaptive_avg_pool", 8, settings={"side": 2}), at)
    at = graph.add(Layer("flatten", 32), at)
    graph.add(Layer("linear", 5, bias=True), at)
    return graph.done()


KINDS = (every_kind, further_kinds, designed_kinds)
OF_XPSI = {"reconstruction", "nearest_neighbours"}
"""operations that tests/test_designed.py tries"""
OF_CGP = {"image_output", "transposed_conv"}
"""operations that tests/test_cgp.py and tests/test_restoration.py try"""


def of_one(layer: Layer, *shapes: Shape) -> Cost:
    """Cost of a layer that is fed by convolutions with outputs of these shapes."""
    graph = Graph(shapes[0])
    sources = [graph.add(Layer("conv", shape[0], kernel=1 + shapes[0][1] - shape[1]), 0) for shape in shapes]
    graph.add(layer, sources)
    return graph.done().costs[-1]


def test_the_files_are_the_operations() -> None:
    names = OPERATIONS.names()
    assert {"input", "conv", "batch_norm", "relu", "concat", "max_pool", "linear", "identity"} <= set(names)
    assert {"global_average_pool", "add", "avg_pool", "dropout"} <= set(names)
    tried = {layer.op for kind in KINDS for layer in kind().layers}
    assert tried | OF_XPSI | OF_CGP >= {name for name in names if OPERATIONS.package(name) == "a4nn_core"}
    for name in names:
        assert OPERATIONS.component(name).model_fields["name"].default == name


def test_networks_are_decoded_costed_and_recorded_without_torch() -> None:
    code = """
import json, sys
from a4nn_core.spaces import SPACES, Architecture
from a4nn_core.training.memory import kept_values
from a4nn_core.recorded_graphs import architecture_of, graph_records
macro = SPACES.make("macro", "test").decode([[1, 0, 1, 1, 0, 0, 1]] * 3, (1, 127, 127), 2)
for one in (macro, Architecture.from_json(json.load(sys.stdin))):
    assert one.flops > 0 and kept_values(one, False) > kept_values(one, True) > 0
    assert architecture_of(*graph_records(one)).hash == one.hash
assert "torch" not in sys.modules
"""
    subprocess.run(
        [sys.executable, "-P", "-c", code], input=json.dumps(every_kind().to_json()), text=True, check=True
    )


class Published(nn.Module):
    """What networks were before operations had files of their own."""

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        self.sources = [architecture.inputs(index) for index in range(len(architecture.layers))]
        shapes = [cost.shape for cost in architecture.costs]
        self.layers = nn.ModuleList(
            self.module(layer, [shapes[source] for source in sources])
            for layer, sources in zip(architecture.layers, self.sources, strict=True)
        )

    def module(self, layer: Layer, sources: list[Shape]) -> nn.Module:
        kernel, stride, padding, bias = layer.kernel, layer.stride, layer.padding, layer.bias
        match layer.op:
            case "conv":
                return nn.Conv2d(sources[0][0], layer.channels, kernel, stride, padding, bias=bias)
            case "batch_norm":
                return nn.BatchNorm2d(layer.channels)
            case "relu":
                return nn.ReLU()
            case "max_pool":
                return nn.MaxPool2d(kernel, stride=stride)
            case "global_average_pool":
                return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
            case "linear":
                return nn.Linear(int(np.prod(sources[0])), layer.channels, bias=bias)
        assert layer.op in ("input", "concat", "identity")
        return nn.Identity()

    def forward(self, images: Tensor) -> Tensor:
        outputs = [images]
        for module, sources in zip(self.layers[1:], self.sources[1:], strict=True):
            inputs = [outputs[source] for source in sources]
            outputs.append(module(torch.cat(inputs, dim=1) if len(inputs) > 1 else inputs[0]))
        return outputs[-1]


def after_two_steps(network: nn.Module) -> dict[str, Tensor]:
    images, labels = torch.rand(6, *SHAPE), torch.arange(6) % 5
    optimizer = torch.optim.SGD(network.parameters(), 0.1)
    for _ in range(2):
        optimizer.zero_grad()
        nn.functional.cross_entropy(network(images), labels).backward()
        optimizer.step()
    return dict(network.state_dict())


@pytest.mark.parametrize("seed", range(10))
def test_networks_are_what_they_were_bit_for_bit(seed: int) -> None:
    space = Macro(channels=6, phases=2)
    genome = space.genome(np.random.default_rng(seed).integers(0, space.upper + 1))
    architecture = space.decode(genome, SHAPE, 5)
    made = []
    for kind in (Published, Network):
        torch.manual_seed(seed)
        network = kind(architecture)
        made.append((dict(network.state_dict()), torch.get_rng_state(), after_two_steps(network)))
    (weights, state, trained), (weights_now, state_now, trained_now) = made
    assert list(weights) == list(weights_now)
    assert torch.equal(state, state_now)
    for name in weights:
        assert torch.equal(weights[name], weights_now[name])
        assert torch.equal(trained[name], trained_now[name])


def test_old_architectures_keep_hash_and_json() -> None:
    """Written down before layers had settings."""
    architecture = Macro(channels=6).decode([[1, 0, 1, 1, 0, 0, 1]] * 3, (1, 40, 33), 4)
    assert architecture.hash == "0c7e04becbc1ffcc673006bb8bba45b5"
    assert list(architecture.to_json()["layers"][1]) == [
        *("op", "channels", "kernel", "stride", "padding", "bias", "phase", "label")
    ]


@pytest.mark.parametrize("kind", KINDS)
def test_graph_and_module_agree(kind: Callable[[], Architecture]) -> None:
    architecture = kind()
    network = Network(architecture).eval()
    shapes: list[tuple[int, ...]] = []
    for module in network.layers:
        module.register_forward_hook(lambda _module, _inputs, output: shapes.append(tuple(output.shape)))
    assert count_by_hooks(network, SHAPE) == architecture.flops
    expected = [cost.shape for cost in architecture.costs[1:]]  # the input's module is not called
    assert [(*shape[1:], 1, 1)[:3] for shape in shapes] == expected
    for module, cost in zip(network.layers, architecture.costs, strict=True):
        assert sum(weight.numel() for weight in module.parameters()) == cost.parameters


def test_what_the_operations_compute() -> None:
    images = torch.rand(2, 4, 5, 5)
    made: dict[str, nn.Module] = {}
    for op, settings in (("add", {}), ("avg_pool", {}), ("dropout", {"rate": 0.5})):
        layer = Layer(op, 4, kernel=3, padding=1, settings=settings)
        made[op] = OPERATIONS.make({**settings, "name": op}, "test").module(layer, [(4, 5, 5)])
    assert torch.equal(made["add"](images, images, images), images + images + images)
    means = made["avg_pool"](images)
    assert means.shape == images.shape
    assert means[0, 0, 0, 0] == pytest.approx(images[0, 0, :2, :2].mean().item())  # not of the padding
    assert means[0, 0, 2, 2] == pytest.approx(images[0, 0, 1:4, 1:4].mean().item())
    dropped = made["dropout"](images)
    assert 0 < (dropped == 0).sum() < images.numel()
    assert torch.equal(dropped[dropped != 0], 2 * images[dropped != 0])
    assert torch.equal(made["dropout"].eval()(images), images)


def made_of(
    op: str, channels: int, shape: Shape, kernel: int = 1, padding: int = 0, **settings: Any
) -> nn.Module:
    layer = Layer(op, channels, kernel=kernel, padding=padding, settings=settings)
    return OPERATIONS.make({**settings, "name": op}, "test").module(layer, [shape])


def test_what_the_further_operations_compute() -> None:
    images = torch.randn(2, 4, 5, 6)
    shape = (4, 5, 6)
    assert torch.equal(made_of("flatten", 120, shape)(images), images.reshape(2, 120))
    both = made_of("crelu", 8, shape)(images)
    assert torch.equal(both[:, :4] - both[:, 4:], images)
    assert both.min() == 0
    assert torch.equal(made_of("tanh", 4, shape)(images), images.tanh())
    assert torch.equal(made_of("fit_channels", 3, shape)(images), images[:, :3])
    filled = made_of("fit_channels", 6, shape)(images)
    assert torch.equal(filled[:, :4], images)
    assert filled[:, 4:].abs().sum() == 0
    moved = made_of("shift", 4, shape)(images)
    assert torch.equal(moved[:, :, :-1, :-1], images[:, :, 1:, 1:])
    assert moved[:, :, -1].abs().sum() == moved[:, :, :, -1].abs().sum() == 0
    resized = made_of("resize", 4, shape, height=10, width=3)(images)
    assert torch.equal(resized, images.repeat_interleave(2, dim=2)[:, :, :, ::2])
    means = made_of("avg_pool", 4, shape, kernel=3, padding=1, count_padding=True)(images)
    assert means[0, 0, 0, 0].item() == pytest.approx(images[0, 0, :2, :2].sum().item() / 9, rel=1e-5)


def test_how_weights_begin() -> None:
    images, shape = torch.randn(2, 4, 5, 6), (4, 5, 6)
    for groups in (1, 2, 4):
        same = made_of("conv", 4, shape, kernel=3, padding=1, groups=groups, start="identity")
        assert torch.equal(same(images), images)
    assert made_of("conv", 7, shape, kernel=3, padding=1, start="zero")(images).abs().sum() == 0
    norm = made_of("batch_norm", 4, shape, start="identity").eval()
    assert torch.allclose(norm(images), images, rtol=1e-7, atol=0)
    flat = images.flatten(1)
    assert torch.equal(made_of("linear", 120, (120, 1, 1), start="identity")(flat), flat)
    drawn = made_of("conv", 64, (64, 5, 5), kernel=3, weight_mean=0.5, weight_sd=0.25).get_parameter("weight")
    assert drawn.mean().item() == pytest.approx(0.5, abs=0.01)
    assert 0 <= drawn.min() < drawn.max() <= 1  # cut at two standard deviations
    more = made_of("conv", 6, shape, kernel=3, padding=1, start="identity")(images)
    assert torch.equal(more[:, :4], images)
    assert more[:, 4:].abs().min() > 0  # what there is no input for begins as usual
    assert torch.equal(made_of("conv", 3, shape, kernel=1, start="identity")(images), images[:, :3])
    with pytest.raises(ValueError, match="an even kernel of 2 x 2 pixels cannot start as the identity"):
        of_one(Layer("conv", 4, kernel=2, settings={"start": "identity"}), (4, 9, 7))
    with pytest.raises(ValueError, match="the padding of same follows from the kernel, and cannot be 2"):
        of_one(Layer("conv", 5, kernel=3, padding=2, settings={"same": True}), (4, 9, 7))


def test_same_keeps_the_size_but_for_the_stride() -> None:
    for kernel, width, stride in product((1, 2, 3, 4), (1, 2, 5), (1, 2, 3)):
        layer = Layer("conv", 3, kernel=kernel, stride=stride, settings={"same": True, "width": width})
        made = OPERATIONS.make({"name": "conv", **layer.settings}, "test")
        cost = made.cost(layer, [(2, 9, 6)])
        assert made.module(layer, [(2, 9, 6)])(torch.rand(1, 2, 9, 6)).shape[1:] == cost.shape
        assert cost.shape[1:] == (-(-9 // stride), -(-6 // stride))


def test_costs() -> None:
    grouped = Layer("conv", 8, kernel=3, padding=1, settings={"groups": 4})
    assert of_one(grouped, (4, 9, 7)) == Cost((8, 9, 7), 9 * 8 * 63, 9 * 8)
    dilated = Layer("conv", 2, kernel=3, bias=True, settings={"dilation": 3})
    assert of_one(dilated, (4, 9, 7)) == Cost((2, 3, 1), 3 * (9 * 4 * 2 + 2), 9 * 4 * 2 + 2)
    pool = Layer("avg_pool", 4, kernel=3, stride=2, padding=1)
    assert of_one(pool, (4, 9, 7)) == Cost((4, 5, 4), 4 * 63, 0)
    assert of_one(Layer("add", 4), (4, 9, 7), (4, 9, 7)) == Cost((4, 9, 7), 0, 0)
    assert of_one(Layer("dropout", 4, settings={"rate": 0.5}), (4, 9, 7)) == Cost((4, 9, 7), 0, 0)


@pytest.mark.parametrize(
    ("layer", "shapes", "words"),
    [
        (Layer("add", 4), [(4, 9, 7), (4, 8, 6)], r"shapes \(4, 9, 7\), \(4, 8, 6\) cannot be added"),
        (Layer("add", 4), [(4, 9, 7), (5, 9, 7)], "cannot be added"),
        (Layer("relu", 4), [(4, 9, 7), (4, 9, 7)], r"layer 3 \(relu\) cannot have 2 inputs"),
        (Layer("relu", 5, label="node 1"), [(4, 9, 7)], r"layer 2 \(node 1\) has 4 channels, not 5"),
        (Layer("avg_pool", 4, kernel=2, padding=2), [(4, 9, 7)], "padding 2 is more than half of kernel 2"),
        (Layer("conv", 6, settings={"groups": 4}), [(4, 9, 7)], "4 and 6 channels cannot be divided into 4"),
    ],
)
def test_what_cannot_be_done_is_said_before_anything_is_built(
    layer: Layer, shapes: list[Shape], words: str
) -> None:
    with pytest.raises(ValueError, match=words):
        of_one(layer, *shapes)


@pytest.mark.parametrize(
    ("layer", "words"),
    [
        (Layer("gain", 4), r"layer 2 \(gain\): there is no operation named 'gain'; known: .*avg_pool"),
        (Layer("relu", 4, settings={"slope": 1}), r"layer 2 \(relu\) has no key 'slope'"),
        (Layer("dropout", 4), r"layer 2 \(dropout\) lacks the key 'rate'"),
        (Layer("dropout", 4, settings={"rate": 1}), r"layer 2 \(dropout\) rate = 1: "),
        (Layer("conv", 4, settings={"groups": 0}), r"layer 2 \(conv\) groups = 0: "),
    ],
)
def test_operations_and_settings_that_are_not_there(layer: Layer, words: str) -> None:
    with pytest.raises(BadInput, match=words):
        of_one(layer, (4, 9, 7))


def test_settings_count_in_the_hash_unless_they_are_as_usual() -> None:
    def hashed(**settings: Any) -> str:
        graph = Graph(SHAPE)
        graph.add(Layer("conv", 6, kernel=3, settings=settings), 0)
        return graph.done().hash

    assert hashed() == hashed(groups=1) == hashed(dilation=1, groups=1)
    assert len({hashed(), hashed(groups=3), hashed(dilation=3), hashed(groups=3, dilation=3)}) == 4
    assert every_kind(0.25).hash != every_kind(0.5).hash
    assert every_kind(0.25).hash == every_kind(0.25).hash


def test_what_is_kept_is_what_autograd_keeps() -> None:
    images = torch.rand(32, *SHAPE)
    architecture = every_kind()
    values = kept_by_autograd(Network(architecture), images)
    sizes = {
        layer.op: int(np.prod(cost.shape))
        for layer, cost in zip(architecture.layers, architecture.costs, strict=True)
    }
    # what was dropped is kept as bytes by some devices, so it does not count, and by the CPU as floats
    dropped, means = sizes["dropout"], 2 * 6  # of batch normalisation
    assert values == 32 * (kept_values(architecture, compiled=False) + dropped) + means
    assert kept_values(architecture, compiled=True) == sizes["batch_norm"]  # its input
    nothing_dropped = every_kind(rate=0)
    assert kept_values(nothing_dropped, compiled=False) == kept_values(architecture, compiled=False) - dropped
    assert 32 * kept_values(nothing_dropped, compiled=False) < kept_by_autograd(
        Network(nothing_dropped), images
    )


def test_what_is_kept_at_least_of_further_kinds() -> None:
    images = torch.rand(32, *SHAPE)
    values = kept_by_autograd(Network(further_kinds()), images)
    bound = 32 * kept_values(further_kinds(), compiled=False)
    assert values / 2 < bound <= values
    assert 0 < kept_values(further_kinds(), compiled=True) < bound / 32


def test_a_picture_shows_nodes_and_what_has_no_label(tmp_path: Path) -> None:
    with mpl.rc_context({"svg.fonttype": "none"}):
        draw_architecture(every_kind(), tmp_path / "a.svg")
    shown = re.findall(r"<text [^>]*>([^<]*)</text>", (tmp_path / "a.svg").read_text())
    assert {"1", "2", "output", "pool", "dropout 0.25", "batch_norm", "linear"} <= set(shown)
    assert not {"node 1 relu", "node 2 pool", "output add", "add"} & set(shown)


def recorded(commons: Path, architecture: Architecture) -> None:
    with RunWriter.open(commons, "r", header()) as writer:
        layers, edges = graph_records(architecture)
        network = NetworkRecord(
            network=0, generation=0, status=NetworkStatus.failed, architecture_hash=architecture.hash
        )
        writer.record(network, layers=layers, edges=edges)


@pytest.mark.parametrize("compacted", [False, True])
def test_architectures_come_back_from_the_commons(tmp_path: Path, compacted: bool) -> None:
    recorded(tmp_path / "c", every_kind())
    if compacted:
        compact(tmp_path / "c")
    commons = Commons(tmp_path / "c")
    layers = records(LayerRecord, commons.sql("from layers").to_arrow_table())
    edges = records(Edge, commons.sql("from edges").to_arrow_table())
    assert architecture_of(layers, edges) == every_kind()
    assert [row.bias for row in layers] == [layer.bias for layer in every_kind().layers]
    assert [row.settings for row in layers if row.op == "dropout"] == ['{"rate": 0.25}']
    assert {row.settings for row in layers if row.op != "dropout"} == {
        *(None, '{"dilation": 2, "groups": 8}', '{"groups": 2}')
    }
    assert check(tmp_path / "c", checkpoints=False).problems == []


def test_a_network_that_drops_at_random_has_one_life(tmp_path: Path) -> None:
    data = DeviceData(experiment().data.load(), CPU)
    graph = Graph((1, 8, 8))
    at = graph.add(Layer("conv", 4, kernel=3, bias=True), 0)
    at = graph.add(Layer("dropout", 4, settings={"rate": 0.3}), at)
    at = graph.add(Layer("global_average_pool", 4), at)
    graph.add(Layer("linear", 10, bias=True), at)
    settings = {"architecture": graph.done(), "training": {"epochs": 3}}
    train_segment(segment(tmp_path / "whole", **settings), data, CPU)
    for number, limit in enumerate((1, 3)):
        piece = segment(tmp_path / "pieces", **settings, number=number, epoch_limit=limit)
        train_segment(piece, data, CPU)
    assert len(life(tmp_path / "whole")) == 3
    assert life(tmp_path / "whole") == life(tmp_path / "pieces")


@pytest.mark.slow
def test_joined_networks_are_compiled_in_one_piece() -> None:
    graph = Graph(SHAPE)
    branches = [graph.add(Layer("conv", 4, kernel=3), 0) for _ in range(3)]
    at = graph.add(Layer("add", 4), branches)
    at = graph.add(Layer("concat", 8), [at, branches[0]])
    at = graph.add(Layer("global_average_pool", 8), at)
    graph.add(Layer("linear", 5), at)
    network = Network(graph.done())
    images = torch.rand(2, *SHAPE)
    compiled: Any = torch.compile(network, backend="eager", fullgraph=True)
    assert torch.equal(compiled(images), network(images))


SEARCH = """
name = "gains"
seed = 1
[data]
name = "digits"
[space]
name = "gains"
[search]
name = "nsga-net"
networks = 4
population = 4
[training]
epochs = 1
batch_size = 500
slots = 1
[termination]
name = "none"
"""
REBUILD = """
import json, sys
from pathlib import Path
import torch
from a4nn_core.archaeology.drawing import draw_architecture
from a4nn_core.commons import Commons
from a4nn_core.commons.records import Edge, LayerRecord
from a4nn_core.commons.rows import records
from a4nn_core.spaces.build import Network
from a4nn_core.training.checkpoint import load_network
from a4nn_core.recorded_graphs import architecture_of

folder = Path(sys.argv[1])
commons = Commons(folder)
for row in commons.networks("r"):
    layers, edges = (
        records(kind, commons.sql(f"from {t} where network = {row.network}").to_arrow_table())
        for t, kind in (("layers", LayerRecord), ("edges", Edge))
    )
    architecture = architecture_of(layers, edges)
    assert architecture.hash == row.architecture_hash
    draw_architecture(architecture, folder.parent / "picture.svg")
    network = Network(architecture)
    load_network(folder / row.checkpoint, network)
    [module] = [m for m, layer in zip(network.layers, architecture.layers) if layer.op == "gain"]
    genome = row.genome.value
    print(json.dumps([genome, module.start, module.factors.flatten().tolist()]))
"""


@pytest.mark.integration
def test_an_operation_of_another_package(tmp_path: Path) -> None:
    """Installed as its users would; nothing here knows of it."""
    site = tmp_path / "site"
    pip = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--no-index", "--target", site]
    subprocess.run([*pip, gain_wheel(tmp_path)], check=True)

    def call(*words: object) -> str:
        done = subprocess.run(
            [sys.executable, "-P", "-c", *map(str, words)],
            env={**os.environ, "PYTHONPATH": str(site)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    a4nn = "from a4nn_core.cli import main; main()"
    (tmp_path / "gains.toml").write_text(SEARCH)
    call(a4nn, "run", tmp_path / "gains.toml", "--commons", tmp_path / "c", "--run-id", "r")
    rebuilt = [json.loads(line) for line in call(REBUILD, tmp_path / "c").splitlines()]
    assert len(rebuilt) == 4
    for (_, halved), start, factors in rebuilt:
        assert start == (0.5 if halved else 1.0)
        assert len(factors) == 4
        assert all(factor != start and abs(factor - start) < 0.5 for factor in factors)  # learned
    assert (tmp_path / "picture.svg").is_file()
    # where the package is not, the network is known and the package is missed
    commons = Commons(tmp_path / "c")
    layers = records(LayerRecord, commons.sql("from layers where network = 0").to_arrow_table())
    edges = records(Edge, commons.sql("from edges where network = 0").to_arrow_table())
    with pytest.raises(BadInput, match="there is no operation named 'gain'"):
        assert architecture_of(layers, edges).hash
