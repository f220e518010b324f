"""Networks that people have designed: torchvision's as graphs of ours, for small images, in a search."""

from __future__ import annotations

import json
from typing import Any

import pytest
import torch
from published_count import count_by_hooks
from torchvision import models

from a4nn_core.errors import BadInput
from a4nn_core.spaces.architecture import Architecture
from a4nn_core.spaces.base import SPACES, largest
from a4nn_core.spaces.build import Network, count_by_torch
from a4nn_core.spaces.designed.space import Designed, blueprint, parse
from a4nn_core.training.memory import kept_values

# one of each family whose tracing differs: pooling, squeeze and excitation, shuffling, ceilings, dense blocks
FAMILIES = (
    "resnet18",
    "mobilenet_v3_small",
    "shufflenet_v2_x0_5",
    "squeezenet1_1",
    "densenet121",
    "mnasnet0_5",
)


def of(
    name: str, shape: tuple[int, int, int] = (1, 32, 32), classes: int = 2, **settings: Any
) -> Architecture:
    return Designed(networks=(name,), **settings).decode(name, shape, classes)


@pytest.mark.slow
@pytest.mark.parametrize("name", FAMILIES)
def test_costs_are_those_that_torchvision_publishes(name: str) -> None:
    """``meta`` of the weights: parameters, and thousand million multiply-adds at 224 x 224 pixels, rounded to
    the third decimal."""
    published = models.get_model_weights(name).DEFAULT.meta
    architecture = of(name, (3, 224, 224), 1000)
    assert architecture.parameters == published["num_params"]
    with torch.device("meta"):
        network = Network(architecture)
    assert count_by_torch(network, (3, 224, 224)) / 2e9 == pytest.approx(published["_ops"], abs=0.0005)
    # beside these, our count has normalisation, activations and pooling, as that of the published runs
    assert 1 < architecture.flops / (1e9 * published["_ops"]) < 1.2


@pytest.mark.slow
@pytest.mark.parametrize("name", [*FAMILIES, "efficientnet_b0", "googlenet", "densenet121"])
def test_a_traced_network_computes_what_torchvision_computes(name: str) -> None:
    torch.manual_seed(1)
    options = {"init_weights": True, "aux_logits": False} if name == "googlenet" else {}
    theirs = models.get_model(name, weights=None, num_classes=7, **options).eval()
    architecture = of(name, (3, 64, 64), 7, least_side=1)
    ours = Network(architecture).eval()
    for layer, module in zip(architecture.layers, ours.layers, strict=True):
        if list(module.state_dict()):
            module.load_state_dict(theirs.get_submodule(layer.label).state_dict())
    images = torch.rand(2, 3, 64, 64)
    with torch.no_grad():
        assert torch.allclose(ours(images), theirs(images), rtol=1e-4, atol=1e-5)


def test_of_small_images_the_first_strides_are_taken_away() -> None:
    """The ResNet-18 that is usual for CIFAR-10: 11,173,962 parameters with 3 channels and 10 classes
    (github.com/kuangliu/pytorch-cifar)."""
    usual = of("resnet18", (3, 32, 32), 10)
    assert usual.parameters == 11_173_962
    first = usual.layers[1]
    assert (first.kernel, first.stride, first.padding) == (3, 1, 1)
    assert all(layer.op != "max_pool" for layer in usual.layers)
    assert of("resnet18", (3, 64, 64), 10).flops > usual.flops
    assert of("resnet18", (3, 32, 32), 10, least_side=1).layers[1].stride == 2
    whole = of("resnet18", (1, 127, 127))
    assert (whole.layers[1].kernel, whole.layers[1].stride) == (7, 2)
    assert any(layer.op == "max_pool" for layer in whole.layers)


@pytest.mark.parametrize(
    "name", ["small-cnn", "mobilenet_v3_small*0.5", "shufflenet_v2_x0_5", "resnet18*0.125"]
)
@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 33, 27)])
def test_graph_and_module_agree(name: str, shape: tuple[int, int, int]) -> None:
    architecture = of(name, shape, 3)
    network = Network(architecture).eval()
    with torch.no_grad():
        assert network(torch.rand(2, *shape)).shape == (2, 3)
    assert sum(weight.numel() for weight in network.parameters()) == architecture.parameters
    assert Architecture.from_json(json.loads(json.dumps(architecture.to_json()))).hash == architecture.hash
    assert kept_values(architecture, compiled=False) > kept_values(architecture, compiled=True) > 0


def test_flops_are_counted_as_in_the_published_runs() -> None:
    for name in ("small-cnn", "resnet18*0.125"):
        architecture = of(name, (1, 16, 16))
        assert count_by_hooks(Network(architecture), (1, 16, 16)) == architecture.flops


def test_a_narrower_network_has_that_share_of_the_channels() -> None:
    full, quarter = of("resnet18"), of("resnet18*0.25")
    wide = [layer.channels for layer in full.layers[1:-1]]
    assert [layer.channels for layer in quarter.layers[1:-1]] == [channels // 4 for channels in wide]
    assert quarter.layers[-1].channels == full.layers[-1].channels == 2
    assert 14 < full.flops / quarter.flops < 16
    for narrow in ("shufflenet_v2_x0_5*0.3", "mobilenet_v3_small*0.37"):
        assert of(narrow).parameters < of(narrow.partition("*")[0]).parameters


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("resnet17", "no hand-designed network 'resnet17': known are small-cnn.*did you mean resnet1"),
        ("vit_b_16", r"vit_b_16 cannot be used: its layer .* has no counterpart in A4NN"),
        ("convnext_tiny", r"its layer permute \(permute\) has no counterpart"),
    ],
)
def test_networks_that_are_not_there(name: str, words: str) -> None:
    with pytest.raises(BadInput, match=words):
        blueprint(name)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (
            {"networks": ["resnet18*0"]},
            "'resnet18\\*0' has a width of 0, which must be above 0 and at most 8",
        ),
        ({"networks": ["resnet 18"]}, "'resnet 18' is not the name of a network, such as resnet18"),
        ({"networks": ["resnet18", "resnet18"]}, "a network is named twice"),
        ({"networks": []}, "networks"),
    ],
)
def test_lists_of_networks_that_cannot_be(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(BadInput, match=words):
        SPACES.make({"name": "designed", **settings}, "[space]")


def test_names_and_widths() -> None:
    assert parse("resnet18") == ("resnet18", 1.0)
    assert parse("shufflenet_v2_x0_5*1.5") == ("shufflenet_v2_x0_5", 1.5)


def test_without_torchvision_one_sentence_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "torchvision", None)
    with pytest.raises(BadInput, match="hand-designed networks need torchvision, which cannot be imported"):
        blueprint("resnet18")


def test_the_largest_of_a_list_is_known_before_training() -> None:
    space = Designed(networks=("resnet18*0.25", "small-cnn"))
    assert largest(space, (1, 16, 16), 2).hash == of("resnet18*0.25", (1, 16, 16)).hash


def test_tracing_uses_no_random_numbers() -> None:
    state = torch.get_rng_state()
    blueprint("regnet_y_400mf")
    assert torch.equal(torch.get_rng_state(), state)
