"""Weights of one network as the beginning of another."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from a4nn_core.spaces import Architecture, Graph, Layer
from a4nn_core.spaces.build import Network
from a4nn_core.spaces.inheritance import inherited_parameters, taken
from a4nn_core.training.inherit import take_over

SHAPE = (2, 8, 6)


def network(
    width: int = 6,
    wider: int = 0,
    deeper: bool = False,
    skip: str = "",
    depthwise: bool = True,
    flat: bool = False,
    crelu: bool = False,
) -> Architecture:
    """Two convolutions with all that can stand around them, changed in the ways of the morphisms."""
    graph = Graph(SHAPE)
    first = width + wider
    at = graph.add(Layer("conv", first, kernel=3, padding=1, bias=True, label="node 1 conv"), 0)
    at = graph.add(Layer("batch_norm", first, label="node 1 norm"), at)
    one = at = graph.add(Layer("relu", first, label="node 1 relu"), at)
    if depthwise:
        settings = {"groups": first}
        at = graph.add(Layer("conv", first, kernel=3, padding=1, label="node 4 conv", settings=settings), at)
    if crelu:
        first *= 2
        one = at = graph.add(Layer("crelu", first, label="node 4 crelu"), at)
    if deeper:
        start = {"start": "identity"}
        at = graph.add(Layer("conv", first, kernel=3, padding=1, label="node 9 conv", settings=start), at)
        at = graph.add(Layer("batch_norm", first, label="node 9 norm", settings=start), at)
    at = graph.add(Layer("max_pool", first, kernel=2, stride=2, label="node 2 pool"), at)
    if skip == "concat":
        by = graph.add(Layer("max_pool", first, kernel=2, stride=2, label="node 8 pool"), one)
        at = graph.add(Layer("concat", 2 * first, label="node 8 concat"), [at, by])
    at = graph.add(Layer("conv", 5, kernel=3, padding=1, label="node 2 conv"), at)
    if skip == "add":
        by = graph.add(Layer("max_pool", first, kernel=2, stride=2, label="node 8 pool"), one)
        by = graph.add(Layer("conv", 5, label="node 8 conv", settings={"start": "zero"}), by)
        at = graph.add(Layer("add", 5, label="node 8 add"), [at, by])
    two = at = graph.add(Layer("relu", 5, label="node 2 relu"), at)
    again = graph.add(Layer("conv", 4 + wider, kernel=1, label="node 3 conv"), two)
    at = graph.add(Layer("concat", 9 + wider, label="node 3 concat"), [again, two])
    at = graph.add(Layer("conv", 7, kernel=1, label="node 5 conv"), at)
    if flat:
        at = graph.add(Layer("flatten", 7 * 12, label="flatten"), at)
    else:
        at = graph.add(Layer("global_average_pool", 7, label="average"), at)
    at = graph.add(Layer("linear", 8 + wider, bias=True, label="node 6 full"), at)
    at = graph.add(Layer("relu", 8 + wider, label="node 6 relu"), at)
    graph.add(Layer("linear", 3, bias=True, label="classify"), at)
    return graph.done()


def trained(architecture: Architecture) -> Network:
    """A network a few steps from its beginning, so that no weight and no statistic is what it was."""
    torch.manual_seed(4)
    made = Network(architecture)
    optimizer = torch.optim.SGD(made.parameters(), 0.1)
    for _ in range(5):
        optimizer.zero_grad()
        made(torch.randn(16, *SHAPE)).square().mean().backward()
        optimizer.step()
    return made.eval()


def born(architecture: Architecture, parent: Network, morph: bool, seed: int = 1) -> Network:
    torch.manual_seed(seed)
    made = Network(architecture)
    take_over(made, parent.architecture, parent.state_dict(), morph, seed)
    return made.eval()


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"wider": 6},
        {"wider": 1},
        {"deeper": True},
        {"skip": "add"},
        {"skip": "concat"},
        {"deeper": True, "wider": 3, "skip": "concat"},
        {"deeper": True, "wider": 3, "skip": "add"},
        {"wider": 2, "flat": True},
        {"wider": 2, "crelu": True, "skip": "concat"},
        {"wider": 4, "depthwise": False},
    ],
)
def test_morphisms_compute_what_the_parent_did(changes: dict[str, Any]) -> None:
    kept = {name: value for name, value in changes.items() if name in ("flat", "crelu", "depthwise")}
    parent = trained(network(**kept))
    child = born(network(**changes), parent, morph=True)
    images = torch.randn(20, *SHAPE)
    with torch.no_grad():
        theirs, mine = parent(images), child(images)
    assert theirs.std() > 1e-3
    # the same sums in another order: as exact as floats are
    assert torch.allclose(mine, theirs, rtol=1e-5, atol=1e-6)
    if not changes:
        assert torch.equal(mine, theirs)


def test_new_channels_learn() -> None:
    """They begin as copies, and whatever reads them with zeros; a step makes all of them differ."""
    parent = trained(network())
    child = born(network(wider=6), parent, morph=True).train()
    optimizer = torch.optim.SGD(child.parameters(), 0.1)
    reads = child.layers[6].get_parameter("weight")  # the second convolution
    assert reads[:, 6:].abs().sum() == 0 < reads[:, :6].abs().min()
    for _ in range(2):
        optimizer.zero_grad()
        child(torch.randn(16, *SHAPE)).square().mean().backward()
        optimizer.step()
    assert (reads[:, 6:].abs().sum(dim=(0, 2, 3)) > 0).any()


def test_without_morphism_layers_of_equal_size_inherit_and_no_others() -> None:
    parent = trained(network())
    wider = network(wider=2, deeper=True)
    assert taken(wider, parent.architecture, morph=False) == []
    other = born(network(skip="add"), parent, morph=False)
    found = taken(other.architecture, parent.architecture, morph=False)
    labels = {other.architecture.layers[one.layer].label for one in found}
    assert labels == {
        *("node 1 conv", "node 1 norm", "node 4 conv", "node 2 conv", "node 3 conv", "node 5 conv"),
        *("node 6 full", "classify"),
    }
    new = 5 * 6  # the convolution of the branch
    assert inherited_parameters(other.architecture, found) == other.architecture.parameters - new


def test_what_is_copied_repeats_by_seed() -> None:
    parent = trained(network())

    def copies(seed: int) -> Tensor:
        return born(network(wider=6), parent, True, seed).layers[1].get_parameter("weight")

    assert torch.equal(copies(1), copies(1))
    assert not torch.equal(copies(1), copies(2))
