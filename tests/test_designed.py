"""Networks that people have designed: torchvision's as graphs of ours, for small images, in a search."""

from __future__ import annotations

import json
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from fakes import FakeExecutor, experiment, search
from published_count import count_by_hooks
from sklearn.model_selection import LeaveOneOut, cross_val_score
from sklearn.neighbors import KNeighborsClassifier
from test_training import CPU, segment
from torchvision import models

from a4nn_core.archaeology.drawing import draw_architecture
from a4nn_core.commons import Commons, RunFolder, read_epochs
from a4nn_core.commons.check import check
from a4nn_core.errors import BadInput
from a4nn_core.experiment import Experiment
from a4nn_core.recorded_graphs import architecture_of
from a4nn_core.spaces.architecture import Architecture
from a4nn_core.spaces.base import SPACES, largest
from a4nn_core.spaces.build import Network, count_by_torch
from a4nn_core.spaces.designed.space import Designed, blueprint, parse
from a4nn_core.spaces.neighbours import LEAST, MOST, Neighbours
from a4nn_core.training.loading import DeviceData
from a4nn_core.training.memory import kept_values
from a4nn_core.training.segment import Segment
from a4nn_core.training.trainer import train_segment

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
    assert architecture.used == tuple(range(len(architecture.layers)))
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


# XPSI


def test_xpsi_has_the_published_layers() -> None:
    """As in github.com/TauferLab/XPSI: 127 pixels are padded to 128; 43, 15 and 5 after pooling; 800 numbers
    make the code of 20; 5, 15, 45 -> 43 and 129 -> 128 on the way back."""
    architecture = of("xpsi", (1, 127, 127))
    sides = [
        (layer.label, cost.shape)
        for layer, cost in zip(architecture.layers, architecture.costs, strict=True)
        if layer.op in ("conv", "max_pool", "linear", "resize", "crop")
    ]
    assert sides == [
        ("pad", (1, 128, 128)),
        ("encoder 1 conv", (128, 128, 128)),
        ("encoder 1 pool", (128, 43, 43)),
        ("encoder 2 conv", (64, 43, 43)),
        ("encoder 2 pool", (64, 15, 15)),
        ("encoder 3 conv", (32, 15, 15)),
        ("encoder 3 pool", (32, 5, 5)),
        ("code", (20, 1, 1)),
        ("decoder 1", (800, 1, 1)),
        ("decoder 2 resize", (32, 15, 15)),
        ("decoder 2 conv", (64, 15, 15)),
        ("decoder 3 resize", (64, 45, 45)),
        ("decoder 3 conv", (128, 43, 43)),
        ("decoder 4 resize", (128, 129, 129)),
        ("decoder 4 conv", (1, 128, 128)),
    ]
    encoder = 9 * 128 + 128 + 9 * 128 * 64 + 64 + 9 * 64 * 32 + 32 + 800 * 20 + 20
    assert architecture.parameters == encoder  # what the class of an image depends on
    assert of("xpsi").hash != of("xpsi-leaking").hash


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 32, 32), (1, 33, 20), (1, 4, 5), (1, 64, 64)])
def test_xpsi_reconstructs_images_of_any_size(shape: tuple[int, int, int]) -> None:
    architecture = of("xpsi", shape)
    network = Network(architecture)
    images = torch.rand(2, *shape)
    assert architecture.objective is not None
    assert network.value(images, architecture.objective).shape == (2,)
    assert network(images).shape == (2, 2)


def test_neighbours_vote_as_in_scikit_learn() -> None:
    rng = np.random.default_rng(1)
    labels = rng.integers(0, 3, 300)
    codes = (rng.normal(0, 1.3, (300, 5)) + labels[:, None]).astype(np.float32)
    module = Neighbours(5, 3)
    module.fit(torch.from_numpy(codes[:200]), torch.from_numpy(labels[:200]))
    assert LEAST <= module.neighbours <= MOST
    theirs = KNeighborsClassifier(module.neighbours).fit(codes[:200], labels[:200])
    scores = module(torch.from_numpy(codes[200:]))
    assert (scores.argmax(dim=1).numpy() == theirs.predict(codes[200:])).all()
    assert torch.allclose(scores.exp().sum(dim=1), torch.ones(100))
    by_count = [
        cross_val_score(KNeighborsClassifier(k), codes[:200], labels[:200], cv=LeaveOneOut()).mean()
        for k in range(LEAST, MOST + 1)
    ]
    assert module.neighbours == LEAST + int(np.argmax(by_count))
    assert float(module.left_out) == pytest.approx(max(by_count))


@pytest.fixture(scope="module")
def digits() -> DeviceData:
    return DeviceData(experiment().data.load(), CPU)


def xpsi_segment(commons: Path, name: str = "xpsi", **changes: Any) -> Segment:
    architecture = of(name, (1, 8, 8), 10)
    return segment(commons, architecture=architecture, training={"epochs": 2}, **changes)


@pytest.mark.slow
def test_xpsi_is_trained_without_labels_and_classifies(tmp_path: Path, digits: DeviceData) -> None:
    result = train_segment(xpsi_segment(tmp_path), digits, CPU)
    assert result.status == "completed"
    epochs = read_epochs(RunFolder(tmp_path, "r").journal(0))
    assert (epochs[-1].validation_accuracy_percent or 0) > 45  # ten classes: chance is 10 %
    assert (epochs[-1].train_loss or 1) < (epochs[0].train_loss or 0)
    assert abs((epochs[-1].train_accuracy_percent or 0) - (epochs[-1].validation_accuracy_percent or 0)) < 10
    # in two segments, the same life to the last bit
    first = xpsi_segment(tmp_path / "two", epoch_limit=1)
    assert train_segment(first, digits, CPU).status == "paused"
    assert train_segment(replace(first, epoch_limit=None, number=1, from_epoch=1), digits, CPU) == replace(
        result, number=1
    )
    again = read_epochs(RunFolder(tmp_path / "two", "r").journal(0))
    assert [e.checkpoint_sha256 for e in again] == [e.checkpoint_sha256 for e in epochs]
    # labels serve the neighbours alone: with others, the same codes
    mixed = deepcopy(digits)
    mixed.train.labels = mixed.train.labels.flip(0)
    train_segment(xpsi_segment(tmp_path / "mixed"), mixed, CPU)
    other = read_epochs(RunFolder(tmp_path / "mixed", "r").journal(0))
    assert [e.train_loss for e in other] == [e.train_loss for e in epochs]
    assert (other[-1].validation_accuracy_percent or 100) < 30


@pytest.mark.slow
def test_only_the_leaking_one_learns_from_images_that_it_is_measured_on(
    tmp_path: Path, digits: DeviceData
) -> None:
    altered = deepcopy(digits)
    altered.test.images = altered.test.images.flip(3)
    lost = {}
    for name in ("xpsi", "xpsi-leaking"):
        for data in (digits, altered):
            folder = tmp_path / name / str(id(data))
            train_segment(replace(xpsi_segment(folder, name), epoch_limit=1), data, CPU)
            lost[name, data is altered] = read_epochs(RunFolder(folder, "r").journal(0))[0].train_loss
    assert lost["xpsi", True] == lost["xpsi", False]
    assert lost["xpsi-leaking", True] != lost["xpsi-leaking", False]


@pytest.mark.slow
def test_a_list_of_networks_is_a_search(tmp_path: Path) -> None:
    names = ["small-cnn", "shufflenet_v2_x0_5*0.5", "xpsi"]
    tables = experiment().to_mapping()
    tables |= {"space": {"name": "designed", "networks": names}, "search": "exhaustive"}
    what = Experiment.from_mapping(tables)
    assert what.search.networks == 3
    assert Experiment.from_mapping(what.to_mapping()) == what
    search(what, tmp_path, FakeExecutor(one_at_a_time=True))
    commons = Commons(tmp_path)
    found = commons.networks("r")
    assert [n.genome.value for n in found if n.genome] == names
    assert [n.operator for n in found] == ["enumeration"] * 3
    assert commons.front("r")
    for network in found:
        layers = [layer for layer in commons.layers("r") if layer.network == network.network]
        edges = [edge for edge in commons.edges("r") if edge.network == network.network]
        assert architecture_of(layers, edges).hash == network.architecture_hash
        draw_architecture(architecture_of(layers, edges), tmp_path / "a.svg")
    assert check(tmp_path, checkpoints=False).problems == []


def test_what_is_too_many_for_an_exhaustive_search_is_refused_and_what_is_few_is_searched(
    tmp_path: Path,
) -> None:
    with pytest.raises(BadInput, match="exhaustive would train all 16,384 genomes of space macro, more than"):
        Experiment.from_mapping({**experiment().to_mapping(), "search": "exhaustive"})
    few = {"name": "macro", "phases": 1, "nodes": 2, "channels": 4}
    what = Experiment.from_mapping({**experiment().to_mapping(), "space": few, "search": "exhaustive"})
    search(what, tmp_path, FakeExecutor())
    assert [n.genome.value for n in Commons(tmp_path).networks("r") if n.genome] == [
        [[0, 0]],
        [[0, 1]],
        [[1, 0]],
        [[1, 1]],
    ]
