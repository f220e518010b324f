"""The structural difference of two architectures, and isomorphisms."""

from __future__ import annotations

import random
from collections.abc import Sequence

import networkx as nx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from a4nn_core.archaeology.difference import Difference, difference
from a4nn_core.archaeology.isomorphism import isomorphism
from a4nn_core.errors import BadInput
from a4nn_core.spaces.architecture import Architecture, Graph, Layer
from a4nn_core.spaces.macro import Macro

SPACE = Macro()
PHASE = st.lists(st.integers(0, 1), min_size=7, max_size=7)
ON = [1, 0, 1, 0, 0, 1, 1]


def macro(*phases: Sequence[int]) -> Architecture:
    bits = [list(phase) for phase in phases] + [[0] * 7] * (3 - len(phases))
    return SPACE.decode(bits, (1, 32, 32), 2)


def renumbered(architecture: Architecture, seed: int) -> Architecture:
    """The same network, its layers in another order in which each comes after its inputs, without labels."""
    rng = random.Random(seed)
    waits = [len(before) for before, _ in architecture.neighbours]
    ready, order = [0], []
    while ready:
        layer = ready.pop(rng.randrange(len(ready)))
        order.append(layer)
        for target in architecture.neighbours[layer][1]:
            waits[target] -= 1
            if waits[target] == 0:
                ready.append(target)
    place = {layer: at for at, layer in enumerate(order)}
    layers = [architecture.layers[layer] for layer in order]
    edges = sorted((place[s], place[t]) for s, t in architecture.edges)
    bare = tuple(Layer(one.op, one.channels, one.kernel, one.stride, one.padding, one.bias) for one in layers)
    return Architecture(bare, tuple(edges), architecture.input_shape)


def chain(*layers: Layer, after: str = "relu") -> Architecture:
    graph = Graph((3, 16, 16))
    at = 0
    for layer in layers:
        at = graph.add(layer, at)
        at = graph.add(Layer(after, layer.channels), at)
    at = graph.add(Layer("global_average_pool", layers[-1].channels), at)
    graph.add(Layer("linear", 10, bias=True), at)
    return graph.done()


def branches(width: int, cells: int, extra: int | None = None) -> Architecture:
    """Cells of equal branches, which only their connections tell apart; one cell has a branch more."""
    graph = Graph((3, 16, 16))
    at = 0
    for cell in range(cells):
        ends = []
        for _ in range(width):
            end = graph.add(Layer("conv", 8, kernel=3, padding=1), at)
            end = graph.add(Layer("batch_norm", 8), end)
            ends.append(graph.add(Layer("relu", 8), end))
        if cell == extra:
            ends.append(graph.add(Layer("conv", 8, kernel=5, padding=2), at))
        at = graph.add(Layer("concat", 8 * len(ends)), ends)
        at = graph.add(Layer("conv", 8), at)
    at = graph.add(Layer("global_average_pool", 8), at)
    graph.add(Layer("linear", 10, bias=True), at)
    return graph.done()


def check(found: Difference) -> None:
    """What holds of every difference: nothing is counted twice or left out, and the costs add up."""
    olds = [*(i for i, _ in found.kept), *(c.old for c in found.changed), *found.removed]
    news = [*(j for _, j in found.kept), *(c.new for c in found.changed), *found.added]
    assert sorted(olds) == list(range(len(found.old.layers)))
    assert sorted(news) == list(range(len(found.new.layers)))
    assert sorted([*(one for one, _ in found.kept_edges), *found.removed_edges]) == sorted(found.old.edges)
    assert sorted([*(one for _, one in found.kept_edges), *found.added_edges]) == sorted(found.new.edges)
    place = dict(found.pairs)
    assert all((place[s], place[t]) == moved for (s, t), moved in found.kept_edges)
    before, after = found.cost_changed
    for unit in ("flops", "parameters"):
        added = getattr(found.cost_added, unit) + getattr(after, unit)
        removed = getattr(found.cost_removed, unit) + getattr(before, unit)
        assert added - removed == getattr(found, unit)


@given(st.lists(PHASE, min_size=3, max_size=3), st.lists(PHASE, min_size=3, max_size=3))
@settings(max_examples=15, deadline=None)
def test_a_difference_adds_up_and_its_mirror_is_the_difference_the_other_way(
    one: list[list[int]], other: list[list[int]]
) -> None:
    old, new = macro(ON, *one[1:]), macro(ON, *other[1:])
    there, back = difference(old, new), difference(new, old)
    check(there)
    assert there.kept == tuple(sorted((i, j) for j, i in back.kept))
    assert [(c.old, c.new, c.what) for c in there.changed] == sorted(
        (c.new, c.old, c.what) for c in back.changed
    )
    assert (there.added, there.removed) == (back.removed, back.added)
    assert (sorted(there.added_edges), sorted(there.removed_edges)) == (
        sorted(back.removed_edges),
        sorted(back.added_edges),
    )


@given(st.lists(PHASE, min_size=2, max_size=2), st.integers(0, 1000))
@settings(max_examples=15, deadline=None)
def test_two_numberings_of_a_network_do_not_differ(phases: list[list[int]], seed: int) -> None:
    one = macro(ON, *phases)
    found = difference(one, renumbered(one, seed))
    check(found)
    assert found.nothing
    assert found.text() == "the same network"
    assert found.likeness == 1.0


def test_equal_branches_are_matched_as_wholes() -> None:
    one = branches(4, 5)
    pairs = isomorphism(one, renumbered(one, 3))
    assert pairs is not None
    assert difference(one, renumbered(one, 3)).nothing
    found = difference(one, branches(4, 5, extra=2))
    check(found)
    # the branch, its two connections, and the concatenation and the convolution that get wider by it
    assert (len(found.added), len(found.removed), found.removed_edges) == (1, 0, ())
    assert (len(found.added_edges), [c.what for c in found.changed]) == (2, [("channels",), ()])


def test_what_has_another_hash_has_no_isomorphism() -> None:
    assert isomorphism(branches(3, 2), branches(3, 2, extra=1)) is None


def test_a_skip_connection_widens_what_takes_it() -> None:
    found = difference(macro(ON, [1, 0, 0, 0, 1, 1, 0]), macro(ON, [1, 0, 0, 0, 1, 1, 1]))
    check(found)
    assert not found.removed
    assert {found.new.layers[layer].op for layer in found.added} == {"concat", "conv"}
    assert found.text() == "+2 layers, +4 -1 connections"


def test_a_layer_with_another_setting_is_changed_and_says_in_what() -> None:
    found = difference(
        chain(Layer("conv", 8, kernel=3, padding=1), Layer("conv", 8, kernel=3, padding=1)),
        chain(Layer("conv", 8, kernel=3, padding=1), Layer("conv", 8, kernel=5, padding=2)),
    )
    check(found)
    assert [(c.old, c.new, c.what) for c in found.changed] == [(3, 3, ("kernel", "padding"))]
    assert (found.added, found.removed, found.added_edges, found.removed_edges) == ((), (), (), ())
    # 8 channels to 8, 16 x 16 pixels: 25 weights instead of 9 for each
    assert (found.flops, found.parameters) == ((25 - 9) * 64 * 256, (25 - 9) * 64)


def test_a_layer_of_another_operation_between_the_same_layers_is_changed_too() -> None:
    found = difference(
        chain(Layer("conv", 8), Layer("max_pool", 8, kernel=2, stride=2), Layer("conv", 16)),
        chain(Layer("conv", 8), Layer("avg_pool", 8, kernel=2, stride=2), Layer("conv", 16)),
    )
    assert [c.what for c in found.changed] == [("op",)]
    assert (found.added, found.removed) == ((), ())


def test_a_layer_that_is_given_more_is_changed_without_a_setting_that_differs() -> None:
    found = difference(chain(Layer("conv", 8), Layer("conv", 8)), chain(Layer("conv", 16), Layer("conv", 8)))
    check(found)
    assert [c.what for c in found.changed] == [("channels",), ("channels",), ()]


def test_networks_of_two_spaces_share_what_is_alike() -> None:
    found = difference(macro(ON), chain(Layer("conv", 24, kernel=3, padding=1)))
    check(found)
    assert found.removed
    assert {found.old.layers[i].op for i, _ in found.pairs} >= {"input", "conv", "linear"}
    assert 0 < found.likeness < 1


def test_no_layer_is_the_heir_of_the_input_or_of_the_scores() -> None:
    found = difference(branches(2, 2), macro(ON, ON))
    pairs = dict(found.pairs)
    assert pairs[0] == 0
    assert pairs[len(found.old.layers) - 1] == len(found.new.layers) - 1


def test_an_unknown_operation_is_named() -> None:
    strange = chain(Layer("conv", 8), after="warp")
    with pytest.raises(BadInput, match="warp"):
        difference(strange, macro(ON))


@pytest.mark.slow
def test_small_differences_are_as_small_as_they_can_be() -> None:
    """Against the exact edit distance, with the costs that the match has: networkx, A* over all edits."""
    rng = random.Random(5)
    for _ in range(6):
        one = [rng.randint(0, 1) for _ in range(4)]
        other = list(one)
        other[rng.randrange(4)] ^= 1
        space = Macro(phases=1, nodes=3)
        if not any(one[:-1]) or not any(other[:-1]):
            continue
        old, new = (space.decode([bits], (1, 16, 16), 2) for bits in (one, other))
        found = difference(old, new)
        exact = nx.graph_edit_distance(
            graph_of(old),
            graph_of(new),
            node_subst_cost=substitution,
            node_del_cost=lambda _: 0.75,
            node_ins_cost=lambda _: 0.75,
            edge_del_cost=lambda _: 0.5,
            edge_ins_cost=lambda _: 0.5,
            upper_bound=cost(found) + 1e-6,
            timeout=20,
        )
        assert exact is not None
        assert cost(found) == pytest.approx(exact)


def graph_of(architecture: Architecture) -> nx.DiGraph:
    graph = nx.DiGraph()
    for number, kind in enumerate(architecture.kinds):
        layer = architecture.layers[number]
        graph.add_node(number, kind=kind, op=layer.op, cost=architecture.costs[number])
    graph.add_edges_from(architecture.edges)
    return graph


def substitution(one: dict[str, object], other: dict[str, object]) -> float:
    if one["op"] != other["op"]:
        return 2.0
    if one["kind"] != other["kind"]:
        return 1.0
    return 0.0 if one["cost"] == other["cost"] else 0.5


def cost(found: Difference) -> float:
    """What ``matching`` lets it cost: a pair gains 1.5, less the cost of changing one into the other."""
    changed = sum(2.0 if "op" in change.what else 1.0 if change.what else 0.5 for change in found.changed)
    layers = 0.75 * (len(found.added) + len(found.removed))
    return layers + changed + 0.5 * (len(found.added_edges) + len(found.removed_edges))
