"""Cartesian genetic programming with a mirrored decoder: exact networks, mutations, the evolution of one
parent."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from published_count import count_by_hooks
from test_strategies import play

from a4nn_core.errors import BadInput
from a4nn_core.search import Candidate, Outcome
from a4nn_core.search.cgp import CGPSearch, _OneParent
from a4nn_core.spaces.architecture import Architecture
from a4nn_core.spaces.build import Network
from a4nn_core.spaces.cgp import CGP, Function
from a4nn_core.vocabulary import Task

SMALL = CGP(rows=1, columns=3, levels_back=3, channels=(2, 4), kernels=(1, 3))
# functions of SMALL: 0-3 C(2,1) C(2,3) C(4,1) C(4,3), 4-7 the same with a skip connection
HAND = [[5, 0], [0, 0], [3, 1], 3]  # CS(2,3), then C(4,3); node 2 is not active
PUBLISHED = ("CS(64,3)", "C(64,1)", "C(128,3)", "CS(64,1)", "CS(128,5)", "C(128,3)", "C(64,1)")
"""the network that the authors released for denoising (Denoising/models/model_arch.txt)"""


def genome_of(space: CGP, chain: tuple[str, ...]) -> list[Any]:
    """A genome whose encoder is a chain, one node a column up to the last."""
    names = [str(function) for function in space.function_set]
    nodes = [[0, space.sources(node)[0]] for node in range(1, space.nodes + 1)]
    at = 0
    for column, name in enumerate(chain, start=space.columns - len(chain)):
        node = column * space.rows + 1
        nodes[node - 1], at = [names.index(name), at], node
    return [*nodes, at]


def test_the_mirrored_network_is_exact() -> None:
    """Encoder CS(2,3) and C(4,3), decoder C(4,3) and C(2,3) plus the skip, one more convolution, by hand."""
    made = SMALL.decode(HAND, (1, 8, 6), classes=5)
    assert [layer.label for layer in made.layers if layer.op == "conv"] == [
        *("node 1 conv", "node 3 conv", "mirror 3 conv", "mirror 1 conv", "restore")
    ]
    weights = [9 * 1 * 2, 9 * 2 * 4, 9 * 4 * 4, 9 * 4 * 2, 9 * 2 * 1]
    relus = [2, 4, 4, 2]
    assert made.parameters == sum(weights)
    assert made.flops == 8 * 6 * (sum(weights) + sum(relus))
    assert made.costs[-1].shape == (1, 8, 6)
    assert made.task is Task.restoration
    network = Network(made).eval()
    assert sum(weight.numel() for weight in network.parameters()) == sum(weights)
    merge = next(n for n, layer in enumerate(made.layers) if layer.op == "add")
    assert [made.layers[n].label for n in made.inputs(merge)] == ["mirror 1 relu", "node 1 relu"]
    # the same, computed layer by layer
    image = torch.rand(3, 1, 8, 6)
    first, second, third, fourth, last = (
        module.weight for module in network.layers if isinstance(module, torch.nn.Conv2d)
    )

    def conv(x: torch.Tensor, w: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.conv2d(x, w, padding=1)

    encoded = conv(image, first).relu()
    decoded = conv(conv(conv(encoded, second).relu(), third).relu(), fourth).relu() + encoded
    torch.testing.assert_close(network(image), conv(decoded, last))


def test_the_released_network_has_the_layers_that_its_code_builds() -> None:
    """A layer of the decoder has the channels and kernel of its node, and takes those of the node behind it;
    the count follows from the layers, as none was published."""
    space = CGP()
    made = space.decode(genome_of(space, PUBLISHED), (1, 64, 64), 2)
    assert tuple(map(str, space.chain(genome_of(space, PUBLISHED)))) == PUBLISHED
    sizes = [(64, 3), (64, 1), (128, 3), (64, 1), (128, 5), (128, 3), (64, 1)]
    channels, expected = 1, 0
    for wide, kernel in [*sizes, *reversed(sizes), (1, 3)]:
        expected += kernel**2 * channels * wide
        channels = wide
    assert made.parameters == expected == 1_062_016
    assert sum(layer.op == "add" for layer in made.layers) == 3
    network = Network(made)
    assert count_by_hooks(network, (1, 64, 64)) == made.flops


def test_inpainting_halves_and_doubles_images_of_any_size() -> None:
    space = CGP(rows=1, columns=3, levels_back=3, channels=(2,), kernels=(3,), functions="inpainting")
    assert [str(function) for function in space.function_set] == ["DC(2,3)", "CS(2,3)"]
    for shape in ((1, 16, 16), (3, 9, 16), (1, 5, 1)):
        made = space.decode([[0, 0], [1, 1], [0, 2], 3], shape, 2)
        heights = [made.costs[n].shape[1:] for n, layer in enumerate(made.layers) if "conv" in layer.label]
        half = tuple((side + 1) // 2 for side in shape[1:])
        quarter = tuple((side + 1) // 2 for side in half)
        assert heights == [half, half, quarter, half, half, shape[1:]]
        images = torch.rand(2, *shape)
        assert Network(made)(images).shape == images.shape
        assert sum(w.numel() for w in Network(made).parameters()) == made.parameters


def test_a_transposed_convolution_costs_what_its_convolution_does() -> None:
    """Both multiply each weight once for each pixel of the small image."""
    space = CGP(rows=1, columns=1, levels_back=1, channels=(1,), kernels=(3,), functions="inpainting")
    made = space.decode([[0, 0], 1], (1, 8, 8), 2)
    cost = {layer.label: made.costs[n] for n, layer in enumerate(made.layers)}
    assert cost["node 1 conv"].flops == cost["mirror 1 conv"].flops == 9 * 4 * 4
    assert cost["mirror 1 conv"].shape == (1, 8, 8)


def test_positive_output() -> None:
    made = CGP(rows=1, columns=1, channels=(2,), output="positive").decode([[0, 0], 1], (1, 4, 4), 2)
    assert (Network(made)(torch.randn(2, 1, 4, 4)) > 0).all()


def test_only_active_nodes_count() -> None:
    assert SMALL.active(HAND) == [1, 3]
    assert [str(function) for function in SMALL.chain(HAND)] == ["CS(2,3)", "C(4,3)"]
    assert SMALL.active([[0, 0], [1, 1], [2, 2], 0]) == []
    same = [[5, 0], [7, 1], [3, 1], 3]
    assert SMALL.decode(same, (1, 8, 8), 2).hash == SMALL.decode(HAND, (1, 8, 8), 2).hash


def test_the_published_grid() -> None:
    """3 x 20 nodes that reach 5 columns back, 18 functions; the output reaches the last 5 columns."""
    space = CGP()
    assert space.nodes == 60
    assert len(space.function_set) == len(set(space.function_set)) == 18
    assert Function(64, 3) in space.function_set
    assert space.sources(1) == range(1)
    assert space.sources(15) == range(13)
    assert space.sources(16) == range(1, 16)
    assert space.sources(61) == range(46, 61)
    lengths = [len(space.active(space.sample(np.random.default_rng(seed)))) for seed in range(200)]
    assert 4 <= min(lengths) <= max(lengths) <= 20
    [largest] = space.probes()
    assert [str(function) for function in space.chain(largest)] == ["CS(256,5)"] * 20


def test_genomes_and_genes_are_the_same() -> None:
    rng = np.random.default_rng(0)
    for space in (SMALL, CGP(), CGP(rows=2, columns=7, levels_back=2)):
        for _ in range(20):
            genes = rng.integers(0, space.upper + 1)
            genome = space.genome(genes)
            assert (space.genes(genome) == genes).all()
            space.decode(genome, (1, 8, 8), 2)
    minimal = CGP().minimal(rng)
    assert [str(function) for function in CGP().chain(minimal)] == ["C(64,3)"]
    assert CGP().genome(CGP().genes(minimal)) == minimal


@pytest.mark.parametrize(
    ("genome", "words"),
    [
        ([[0, 0]], "has 0 nodes; this space has 3 and the output"),
        ("x", "has no list of nodes"),
        ([[0, 0], [8, 0], [0, 0], 3], "node 2 has function 8, not a number from 0 to 7"),
        ([[0, 0], [True, 0], [0, 0], 3], "node 2 has function True"),
        ([[0, 0], [0, 2], [0, 0], 3], "node 2 takes 2, not a number from 0 to 1"),
        ([[0, 0], [0], [0, 0], 3], r"node 2 is \[0\], not \[function, source\]"),
        ([[0, 0], [0, 0], [0, 0], 4], "output takes 4, not a number from 1 to 3 or 0, the image"),
    ],
)
def test_other_genomes_are_refused(genome: Any, words: str) -> None:
    with pytest.raises(BadInput, match=words):
        SMALL.decode(genome, (1, 8, 8), 2)
    with pytest.raises(BadInput, match="output takes 5, not a number from 46 to 60 or 0, the image"):
        CGP().check([*([0, 0] for _ in range(60)), 5])


def changed(space: CGP, before: Any, after: Any) -> set[int]:
    return set(np.flatnonzero(space.genes(before) != space.genes(after)))


def test_forced_mutation_changes_an_active_gene_and_neutral_mutation_none() -> None:
    space, rng = CGP(), np.random.default_rng(3)
    genome = space.sample(rng)
    others = 0
    for _ in range(50):
        active = {p for node in space.active(genome) for p in (2 * node - 2, 2 * node - 1)} | {120}
        child = space.mutate_active(genome, 0.02, rng)
        assert changed(space, genome, child) & active
        others += bool(changed(space, genome, child) - active)
        drifted = space.drift(genome, 0.5, rng)
        assert changed(space, genome, drifted)
        assert not changed(space, genome, drifted) & active
        assert space.decode(drifted, (1, 8, 8), 2).hash == space.decode(genome, (1, 8, 8), 2).hash
        assert changed(space, genome, space.mutate(genome, rng).genome) & active
    assert others  # inactive genes change along


def test_the_rate_is_that_of_each_gene() -> None:
    """Without forcing: of genes that are not active, a tenth."""
    space, rng = CGP(), np.random.default_rng(5)
    genome = space.minimal(rng)
    open_genes = sum(len(choices) > 1 for choices in space._choices()) - 3
    counts = [len(changed(space, genome, space.drift(genome, 0.1, rng))) for _ in range(200)]
    assert np.mean(counts) == pytest.approx(0.1 * open_genes, rel=0.05)


# the evolution


def run(measure: Any, **changes: Any) -> tuple[_OneParent, list[Candidate]]:
    settings = CGPSearch(**{"networks": 9, "objectives": {"psnr_db": "maximise"}, **changes})
    strategy = settings.start(CGP(), 1)
    assert isinstance(strategy, _OneParent)
    return strategy, play(strategy, measure=measure, portion=3)


def test_one_parent_has_children_until_one_is_better() -> None:
    ratios = {0: 20.0, 1: 19.0, 2: 20.0, 3: 21.0, 4: 25.0, 5: 24.0, 6: 24.0, 7: 25.0, 8: 25.0}
    strategy, asked = run(lambda candidate: {"psnr_db": ratios[candidate.number]})
    assert [c.generation for c in asked] == [0, 1, 1, 2, 2, 3, 3, 4, 4]
    assert asked[0].operator == "single convolution"
    # 2 is as good as its parent, and not better; of 3 and 4, both better, 4 is the next parent
    assert [c.parents for c in asked[1:]] == [(0,), (0,), (0,), (0,), (4,), (4,), (4,), (4,)]
    assert strategy.parent == 4


def test_neutral_mutation_only_when_no_child_wins() -> None:
    won, _ = run(lambda candidate: {"psnr_db": float(candidate.number)}, networks=3)
    assert won.genome == won.asked[2].genome
    lost, asked = run(lambda candidate: {"psnr_db": -float(candidate.number)}, networks=3)
    assert lost.parent == 0
    assert lost.genome != asked[0].genome
    space = CGP()
    assert space.chain(lost.genome) == space.chain(asked[0].genome)
    assert space.decode(lost.genome, (1, 8, 8), 2).hash == space.decode(asked[0].genome, (1, 8, 8), 2).hash


def test_every_child_is_another_network_than_its_parent() -> None:
    space = CGP()
    _, asked = run(lambda candidate: {"psnr_db": float(candidate.number % 4)}, networks=30)
    by_number = {candidate.number: candidate for candidate in asked}
    for candidate in asked[1:]:
        assert candidate.operator == "forced mutation"
        [parent] = candidate.parents
        genes = changed(space, candidate.genome, by_number[parent].genome)
        assert genes
    assert len({str(candidate.genome) for candidate in asked}) == 30


def test_lambda_and_failures() -> None:
    def measure(candidate: Candidate) -> Mapping[str, float] | None:
        return None if candidate.number in (0, 2) else {"psnr_db": 10.0}

    strategy, asked = run(measure, children=3, networks=7)
    assert [c.generation for c in asked] == [0, 1, 1, 1, 2, 2, 2]
    assert strategy.parent in (1, 3)  # whatever is trained is better than a network that failed
    assert all(after.number == before.number + 1 for before, after in pairwise(asked))


def test_steady_schedule_goes_on_as_networks_end() -> None:
    settings = CGPSearch(networks=6, schedule="steady", objectives={"psnr_db": "maximise"})
    strategy = settings.start(CGP(), 1)
    [first] = strategy.ask(3)  # there is no parent before it has ended
    assert strategy.ask(1) == []
    strategy.tell(Outcome(first.number, {"psnr_db": 1.0}))
    children = strategy.ask(3)
    assert [c.parents for c in children] == [(0,)] * 3
    strategy.tell(Outcome(3, {"psnr_db": 3.0}))
    strategy.tell(Outcome(1, {"psnr_db": 2.0}))
    assert [c.parents for c in strategy.ask(3)] == [(3,)] * 2


def test_a_drawing_shows_encoder_and_decoder() -> None:
    from a4nn_core.archaeology.sketch import sketch

    made: Architecture = SMALL.decode(HAND, (1, 8, 8), 2)
    assert sketch(made)
