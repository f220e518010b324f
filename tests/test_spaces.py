"""The macro space: encoding, repair, decoding, cost, and the hash that finds equal networks."""

from __future__ import annotations

import csv
import itertools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from published_count import count_by_hooks

from a4nn_core.errors import BadInput
from a4nn_core.spaces.architecture import Architecture
from a4nn_core.spaces.build import Network, count_by_torch
from a4nn_core.spaces.macro import Macro, phase_sources

SPACE = Macro()
PHASES = list(itertools.product((0, 1), repeat=7))
ACTIVE = [bits for bits in PHASES if any(bits[:-1])]


def published(folder: Path) -> Iterator[tuple[list[list[int]], float]]:
    """Every genome of the published one-GPU runs with its MFLOPs."""
    seen = set()
    for path in sorted(folder.glob("icpp23/1gpu/*/*.csv")):
        with path.open() as file:
            for row in csv.DictReader(file):
                if row["genome"] not in seen:
                    seen.add(row["genome"])
                    yield json.loads(row["genome"]), float(row["flops"])


@pytest.mark.slow
@pytest.mark.golden
def test_flops_equal_the_published_ones(reference_data: Path) -> None:
    # Reproducibility_A4NN_ICPP23, column flops: millions, 4 decimals; 127 x 127, one channel, two classes
    count = 0
    for genome, mflops in published(reference_data):
        architecture = SPACE.decode(genome, (1, 127, 127), 2)
        assert architecture.flops / 1e6 == pytest.approx(mflops, abs=1e-4), genome
        with torch.device("meta"):
            network = Network(architecture)
        assert count_by_hooks(network, (1, 127, 127)) == architecture.flops, genome
        count += 1
    assert count > 400


@pytest.mark.slow
@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(0, 1), min_size=21, max_size=21), st.sampled_from([1, 3]))
def test_graph_and_module_agree(genes: list[int], channels: int) -> None:
    space = Macro(channels=4)
    architecture = space.decode(space.genome(genes), (channels, 16, 18), 3)
    network = Network(architecture)
    assert count_by_hooks(network, (channels, 16, 18)) == architecture.flops
    assert sum(p.numel() for p in network.parameters()) == architecture.parameters
    assert network(torch.zeros(2, channels, 16, 18)).shape == (2, 3)
    by_torch = sum(
        2 * cost.flops
        for layer, cost in zip(architecture.layers, architecture.costs, strict=True)
        if layer.op in ("conv", "linear")
    )
    assert count_by_torch(network, (channels, 16, 18)) == by_torch
    assert Architecture.from_json(json.loads(json.dumps(architecture.to_json()))) == architecture
    assert list(space.genes(space.genome(genes))) == genes


def test_repair() -> None:
    # node 4 <- 2: node 2 gets the phase input, node 4 feeds the output, 1 and 3 are not built
    assert phase_sources([0, 0, 0, 0, 1, 0, 0], 4) == {2: [0], 4: [2], 5: [4]}
    # the skip bit adds the phase input to the output
    assert phase_sources([1, 0, 0, 0, 0, 0, 1], 4) == {1: [0], 2: [1], 5: [0, 2]}


def test_inactive_phases_are_left_out_and_channels_dealt_in_order() -> None:
    on, off = [1, 0, 0, 0, 0, 0, 0], [0, 0, 0, 0, 0, 0, 1]
    assert (
        SPACE.decode([on, off, on], (1, 32, 32), 2).hash == SPACE.decode([off, on, on], (1, 32, 32), 2).hash
    )
    nothing = SPACE.decode([off, off, off], (1, 127, 127), 2)
    assert [layer.op for layer in nothing.layers] == ["input", "global_average_pool", "linear"]
    # the published network without any phase costs 0.0161 MFLOPs
    assert round(nothing.flops / 1e6, 4) == 0.0161


def test_first_widening_is_unpadded() -> None:
    architecture = SPACE.decode([[1] * 7] * 3, (1, 127, 127), 2)
    widened = [
        (layer.kernel, cost.shape)
        for layer, cost in zip(architecture.layers, architecture.costs, strict=True)
        if layer.label == "widen"
    ]
    assert widened == [(3, (24, 125, 125)), (1, (48, 62, 62)), (1, (96, 31, 31))]


def canonical(bits: tuple[int, ...]) -> Any:
    """An exact canonical form of a phase: the least edge list over all numberings of its nodes."""
    sources = phase_sources(bits, 4)
    nodes = [node for node in sources if node <= 4]
    forms = []
    for order in itertools.permutations(range(1, len(nodes) + 1)):
        name = dict(zip(nodes, order, strict=True)) | {0: 0, 5: 5}
        forms.append(sorted((name[s], name[t]) for t, found in sources.items() for s in found))
    return len(nodes), min(forms)


def test_hash_is_equal_exactly_for_isomorphic_phases() -> None:
    off = [0] * 7
    hashes: dict[Any, set[str]] = {}
    for bits in ACTIVE:
        found = SPACE.decode([list(bits), off, off], (1, 16, 16), 2).hash
        hashes.setdefault(str(canonical(bits)), set()).add(found)
    assert all(len(found) == 1 for found in hashes.values())
    assert len(set.union(*hashes.values())) == len(hashes)
    assert len(ACTIVE) == 126
    assert len(hashes) < 126


@pytest.mark.parametrize(
    ("genome", "words"),
    [
        ([[0] * 7] * 2, "2 phases; space macro has 3"),
        ([[0] * 7, [0] * 6, [0] * 7], "phase 2"),
        ([[0] * 7, [0] * 7, [0] * 6 + [2]], "phase 3 has 2"),
        ("110", "no list of phases"),
    ],
)
def test_bad_genomes_are_refused(genome: Any, words: str) -> None:
    with pytest.raises(BadInput, match=words):
        SPACE.decode(genome, (1, 32, 32), 2)


def test_too_small_images_are_refused() -> None:
    with pytest.raises(BadInput, match="4 x 4 pixels are too small"):
        SPACE.decode([[1] * 7] * 3, (1, 4, 4), 2)
