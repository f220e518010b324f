"""Networks of papers decode to the sizes that the papers give."""

from __future__ import annotations

from itertools import pairwise, product

import pytest

from a4nn_core.spaces.cells import TENSORFLOW, Cell, stack
from a4nn_core.spaces.genetic_cnn import GeneticCNN
from a4nn_core.spaces.hierarchical import PRIMITIVES, Hierarchical, between, pairs

CIFAR = (3, 32, 32)


def cell(operations: str, states: str, used: str) -> Cell:
    """A cell as the released specifications write it: two operations and states for each node, and for every
    state whether it is kept out of what is concatenated."""
    ops, read = operations.split(), [int(state) for state in states.split()]
    nodes = tuple((ops[i], read[i], ops[i + 1], read[i + 1]) for i in range(0, len(ops), 2))
    return Cell(nodes, tuple(state for state, is_used in enumerate(used) if is_used == "0"))


# tensorflow/tpu, models/official/amoeba_net/model_specs.py, amoeba_net_a; tensorflow/models, nasnet_utils.py,
# NasNetANormalCell and NasNetAReductionCell (both Apache-2.0)
AMOEBANET_A = (
    cell(
        "avg3 max3 sep3 identity identity avg3 sep3 sep5 avg3 sep3",
        "0 0 1 1 0 1 0 2 5 0",
        "1010010",
    ),
    cell(
        "sep3 avg3 max3 sep7 max3 max3 sep3 conv1x7 avg3 sep7",
        "1 0 0 2 1 0 4 0 1 0",
        "1100000",
    ),
)
NASNET_A = (
    cell(
        "sep5 sep3 sep5 sep3 avg3 identity avg3 avg3 sep3 identity",
        "0 1 1 1 0 1 1 1 0 0",
        "1000000",
    ),
    cell("sep5 sep7 max3 sep7 avg3 sep5 identity avg3 sep3 max3", "0 1 0 1 0 1 3 2 2 0", "1110000"),
)


@pytest.mark.parametrize(
    ("cells", "channels", "published"),
    [
        # Real et al. 2019, N = 6, F = 36: 3.2 M; Zoph et al. 2018, NASNet-A (6 @ 768), so F = 32: 3.3 M; both
        # as remembered, and published with two digits
        (AMOEBANET_A, 36, 3.2),
        (NASNET_A, 32, 3.3),
    ],
)
def test_cells_have_the_published_number_of_parameters(
    cells: tuple[Cell, Cell], channels: int, published: float
) -> None:
    network = stack(*cells, CIFAR, 10, channels=channels, cells=20, reductions=(6, 13), style=TENSORFLOW)
    assert round(network.parameters / 1e6, 1) == published


def test_what_is_joined_is_not_always_what_no_node_reads() -> None:
    normal = AMOEBANET_A[0]
    assert normal.output == (1, 3, 4, 6)
    assert Cell(normal.nodes).output == (3, 4, 6)  # state 1 is read, and joined nevertheless


MOTIFS = (
    # the published cell as in NASLib, LiuFinalArch (Apache-2.0); edge 1-2 of the fifth is unclear in print
    "12 max, 13 1x1, 14 sep, 23 dw, 24 1x1, 34 max",
    "12 max, 13 dw, 14 1x1, 23 dw, 24 sep, 34 sep",
    "12 sep, 13 dw, 14 sep, 23 sep, 24 id, 34 avg",
    "12 avg, 13 sep, 14 id, 23 sep, 24 max, 34 avg",
    "12 id, 13 sep, 14 sep, 23 id, 24 id, 34 sep",
    "12 dw, 13 max, 14 sep, 23 max, 24 id, 34 avg",
    "12 5, 13 3, 14 3, 15 4, 23 3, 24 1, 25 5, 34 3, 35 5, 45 5",
)
SHORT = {"1x1": "1x1 conv", "dw": "depthwise", "sep": "separable", "max": "max pool", "avg": "avg pool"}


def motif(text: str, nodes: int) -> list[int]:
    edges = {}
    for part in text.split(", "):
        ends, op = part.split()
        named = SHORT.get(op, "identity")
        edges[int(ends[0]), int(ends[1])] = int(op) if op.isdigit() else PRIMITIVES.index(named) + 1
    return [edges.get(pair, 0) for pair in pairs(nodes)]


PUBLISHED_CELL = [*(motif(text, 4) for text in MOTIFS[:-1]), motif(MOTIFS[-1], 5)]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("channels", "published"),
    # Liu et al. 2018: two cells a stage; the first number also in the table of DARTS. Both are remembered
    [(64, 15.7e6), (128, 61.3e6)],
)
def test_the_hierarchical_cell_has_the_published_number_of_parameters(
    channels: int, published: float
) -> None:
    network = Hierarchical(channels=channels, cells=2).decode(PUBLISHED_CELL, CIFAR, 10)
    assert network.parameters == pytest.approx(published, rel=0.01)


def test_only_what_lies_between_first_and_last_node_counts() -> None:
    for edges in product((0, 1), repeat=6):
        there = {pair for pair, edge in zip(pairs(4), edges, strict=True) if edge}
        paths = [(1, 4), (1, 2, 4), (1, 3, 4), (1, 2, 3, 4)]
        steps = [set(pairwise(path)) for path in paths]
        assert between(edges, 4) == set().union(*(step for step in steps if step <= there))


def test_stages_of_genetic_cnn() -> None:
    """Kernel and numbers of nodes are those of CIFAR-10: 3, 6 and 10 bits."""
    space = GeneticCNN(channels=2)
    assert len(space.upper) == 19
    empty = space.decode([[0] * 3, [0] * 6, [0] * 10], CIFAR, 10)
    assert sum(layer.op == "conv" for layer in empty.layers) == 3  # each stage is its entry
    assert sum(layer.op == "max_pool" for layer in empty.layers) == 3
    # 2 <- 1 and 3 <- 1 of the first stage: node 1 reads the entry, 2 and 3 feed the output, which adds them
    one = space.decode([[1, 1, 0], [0] * 6, [0] * 10], CIFAR, 10)
    [summed] = [index for index, layer in enumerate(one.layers) if layer.op == "add"]
    labels = {one.layers[source].label for source in one.inputs(summed)}
    assert labels == {"node 2 relu", "node 3 relu"}
    # the isolated node 3 vanishes
    chain = space.decode([[1, 0, 0], [0] * 6, [0] * 10], CIFAR, 10)
    assert not any("node 3" in layer.label for layer in chain.layers)
