"""Weights of one network as the beginning of another."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from fakes import FakeExecutor, experiment, search
from test_training import CPU, segment
from torch import Tensor

from a4nn_core.commons import RunFolder, read_journal
from a4nn_core.commons.events import read_events
from a4nn_core.errors import A4NNError, BadInput
from a4nn_core.experiment import Experiment
from a4nn_core.spaces import Architecture, Graph, Layer
from a4nn_core.spaces.build import Network
from a4nn_core.spaces.free_graph import FreeGraph
from a4nn_core.spaces.inheritance import inherited_parameters, taken
from a4nn_core.training.inherit import take_over
from a4nn_core.training.loading import DeviceData
from a4nn_core.training.segment import Inheritance, Segment
from a4nn_core.training.trainer import train_segment
from a4nn_core.vocabulary import EventKind

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


def test_morphs_of_free_graphs_compute_what_their_parents_did() -> None:
    space = FreeGraph(first=3, most_channels=24)
    rng = np.random.default_rng(3)
    images = torch.randn(8, *SHAPE)
    operators = set()
    for seed in range(12):
        genome = space.sample(rng)
        while not any(vertex["relu"] for vertex in genome["vertices"]):
            genome = space.mutate(genome, rng).genome
        parent = trained(space.decode(genome, SHAPE, 3))
        for _ in range(4):  # one morphism after another, inherited at once
            mutant = space.morph(genome, rng)
            genome = mutant.genome
            operators.add(mutant.operator)
            space.check(genome)
        child = born(space.decode(genome, SHAPE, 3), parent, morph=True, seed=seed)
        with torch.no_grad():
            assert torch.allclose(child(images), parent(images), rtol=1e-4, atol=1e-5)
    assert operators >= {"deeper", "wider", "skip"}


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


GROWING: dict[str, Any] = {
    "space": {"name": "free-graph", "first": 4, "most_channels": 8},
    "search": {"name": "large-scale-evolution", "networks": 12, "population": 4, "batch": 4},
}


def growing(**changes: Any) -> Experiment:
    tables = {key: value for key, value in experiment().to_mapping().items() if key not in GROWING}
    return Experiment.from_mapping({**tables, **GROWING, **changes})


def test_a_search_hands_on_weights_and_records_it(tmp_path: Path) -> None:
    executor = FakeExecutor()
    one = search(growing(), tmp_path, executor)
    segments = {segment.network: segment for segment in executor.trained}
    inheriting = [number for number, one_of in segments.items() if one_of.inheritance]
    assert inheriting, "no network inherits"
    for number, given in segments.items():
        candidate, row = one.candidates[number], one.networks[number]
        assert given.training.learning_rate == candidate.learning_rate
        assert Segment.from_json(given.to_json()) == given
        if given.inheritance is None:
            assert candidate.inherit_from is None
            assert (row.inherited_from, row.inherited_parameters) == (None, None)
            continue
        parent = one.networks[candidate.inherit_from or 0]
        assert candidate.inherit_from == row.inherited_from == given.inheritance.network
        assert given.inheritance.checkpoint == parent.checkpoint
        assert given.inheritance.architecture == one.architectures[parent.trained_as]
        assert row.inherited_parameters is not None
        assert 0 <= row.inherited_parameters <= (row.parameters or 0)
    again = search(growing(), tmp_path / "again", FakeExecutor())
    assert again.candidates == one.candidates


def test_a_killed_search_goes_on_with_the_same_inheritance(tmp_path: Path) -> None:
    class Killed(Exception):
        pass

    def until(number: int) -> Callable[[Segment], None]:
        def outcome(segment: Segment) -> None:
            if segment.network == number:
                raise Killed

        return outcome

    whole = search(growing(), tmp_path / "whole", FakeExecutor(one_at_a_time=True))
    with pytest.raises(Killed):
        search(growing(), tmp_path / "cut", FakeExecutor(until(7), one_at_a_time=True))
    resumed = search(growing(), tmp_path / "cut", FakeExecutor(one_at_a_time=True))
    assert resumed.candidates == whole.candidates
    kept = [(row.network, row.inherited_from, row.inherited_parameters) for row in whole.networks.values()]
    assert sorted(kept) == sorted(
        (row.network, row.inherited_from, row.inherited_parameters) for row in resumed.networks.values()
    )


def test_rules_that_compare_networks_are_refused() -> None:
    with pytest.raises(BadInput, match=r"hands on the weights .* rules that see one curve fit"):
        growing(termination={"name": "median"})


@pytest.mark.slow
def test_training_begins_with_the_parents_weights(tmp_path: Path) -> None:
    """With a learning rate of next to nothing, the child is measured as its parent was; and it repeats."""
    data = DeviceData(experiment().data.load(), CPU)
    of = {"epochs": 1, "segment_epochs": None, "evaluation": "as-trained"}
    parents = segment(tmp_path, training=of)
    assert train_segment(parents, data, CPU).status == "completed"
    [line] = read_journal(RunFolder(tmp_path, "r").journal(0))
    left = Inheritance(
        0,
        str(RunFolder(tmp_path, "r").checkpoints(0).relative_to(tmp_path) / line["checkpoint"]),
        line["checkpoint_sha256"],
        parents.architecture,
    )
    still = of | {"learning_rate": 1e-12}
    lives = []
    for number in (1, 2):
        child = segment(tmp_path, training=still, network=number, inheritance=left)
        assert train_segment(child, data, CPU).status == "completed"
        [its] = read_journal(RunFolder(tmp_path, "r").journal(number))
        lives.append((its["train_loss"], its["validation_loss"], its["checkpoint_sha256"]))
    assert lives[0] == lives[1]
    assert its["train_loss"] == pytest.approx(line["validation_loss"], rel=0.3)
    fresh = segment(tmp_path, training=still, network=3)
    train_segment(fresh, data, CPU)
    [its] = read_journal(RunFolder(tmp_path, "r").journal(3))
    assert its["train_loss"] > lives[0][0] + 0.3
    with pytest.raises(A4NNError, match="is not the recorded file"):
        train_segment(
            segment(tmp_path, training=still, network=4, inheritance=replace(left, sha256="0" * 64)),
            data,
            CPU,
        )


def test_checkpoints_of_parents_stay_until_the_search_ends(tmp_path: Path) -> None:
    one = search(growing(training={"keep_checkpoints": "front", "epochs": 2}), tmp_path, FakeExecutor())
    kinds = [event.kind for event in read_events(one.writer.folder.events)]
    removed = [place for place, kind in enumerate(kinds) if kind == EventKind.checkpoints_removed]
    submitted = [place for place, kind in enumerate(kinds) if kind == EventKind.submitted]
    assert removed
    assert min(removed) > max(submitted)
