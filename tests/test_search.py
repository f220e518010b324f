"""NSGA-Net behind ask and tell."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Mapping

import numpy as np
import pytest

from a4nn_core.search import Candidate, Outcome, Strategy
from a4nn_core.search.nsga_net import NSGANet
from a4nn_core.spaces.macro import Macro

SPACE = Macro()


def fitness(candidate: Candidate) -> dict[str, float]:
    """A made-up but deterministic trade-off: more connections, less error, more work."""
    bits = int(SPACE.genes(candidate.genome).sum())
    weights = sum((i % 5) * bit for i, bit in enumerate(SPACE.genes(candidate.genome)))
    return {"error_percent": 50.0 / (1 + weights), "mflops": 10.0 * bits}


def play(
    strategy: Strategy,
    portion: int,
    shuffle: random.Random | None = None,
    measure: Callable[[Candidate], Mapping[str, float] | None] = fitness,
) -> list[Candidate]:
    asked: list[Candidate] = []
    while not strategy.finished:
        batch: list[Candidate] = []
        while new := strategy.ask(portion):
            batch += new
        assert batch, "a search that is not finished must ask for something"
        asked += batch
        if shuffle:
            shuffle.shuffle(batch)
        for candidate in batch:
            strategy.tell(Outcome(candidate.number, measure(candidate)))
    return asked


def test_same_seed_same_genomes_whatever_the_portions_and_order_of_tells() -> None:
    one = play(NSGANet().start(SPACE, 7), 10)
    other = play(NSGANet().start(SPACE, 7), 3, random.Random(1))
    assert one == other
    assert len(one) == 100
    assert [c.generation for c in one] == [n // 10 for n in range(100)]
    assert play(NSGANet().start(SPACE, 8), 10) != one


def test_no_duplicates_within_a_generation() -> None:
    asked = play(NSGANet().start(SPACE, 3), 10)
    for generation in range(10):
        genomes = [str(c.genome) for c in asked if c.generation == generation]
        assert len(set(genomes)) == 10


def test_parents_survived_and_are_recorded() -> None:
    asked = play(NSGANet().start(SPACE, 0), 10)
    assert all(c.parents == () and c.operator == "sampling" for c in asked[:10])
    for c in asked[10:]:
        assert 1 <= len(c.parents) <= 2
        assert all(asked[p].generation < c.generation for p in c.parents)


@pytest.mark.slow
def test_evolution_beats_random_sampling() -> None:
    """Ones everywhere against zeros in the first ten places: random genomes stay far from both ends."""
    from pymoo.indicators.hv import HV

    def two_targets(candidate: Candidate) -> dict[str, float]:
        genes = SPACE.genes(candidate.genome)
        return {"error_percent": float(np.sum(genes != 1)), "mflops": float(np.sum(genes[:10] != 0) * 2)}

    def volume(candidates: list[Candidate]) -> float:
        points = np.array([list(two_targets(c).values()) for c in candidates])
        return float(HV(ref_point=np.array([21.0, 21.0]))(points))

    for seed in range(5):
        evolved = play(NSGANet(mutation_probability=0.3).start(SPACE, seed), 10, measure=two_targets)
        sampled = play(NSGANet(population=100).start(SPACE, seed), 10, measure=two_targets)
        assert volume(evolved) > volume(sampled)


def test_failed_and_diverged_networks_rarely_become_parents() -> None:
    strategy = NSGANet(networks=410, offspring=400).start(SPACE, 1)
    for candidate in strategy.ask(10):
        value = None if candidate.position < 3 else {"error_percent": math.nan, "mflops": 1.0}
        strategy.tell(Outcome(candidate.number, value if candidate.position < 5 else fitness(candidate)))
    parents = [p for c in strategy.ask(400) if c.position % 2 == 0 for p in c.parents]
    # five of ten failed: one wins a tournament only against another, 5 * 4 of 10 * 9 draws
    assert np.mean([p < 5 for p in parents]) == pytest.approx(20 / 90, abs=0.07)


def test_failed_networks_do_not_survive_feasible_ones() -> None:
    strategy = NSGANet(networks=30).start(SPACE, 1)
    for _ in range(2):
        for c in strategy.ask(10):
            failed = c.position < 5 and c.generation == 0
            strategy.tell(Outcome(c.number, None if failed else fitness(c)))
    assert all(p >= 5 for c in strategy.ask(10) for p in c.parents)


def test_all_failed_still_goes_on() -> None:
    strategy = NSGANet(networks=30).start(SPACE, 1)
    count = 0
    while not strategy.finished:
        for candidate in strategy.ask(10):
            strategy.tell(Outcome(candidate.number, None))
            count += 1
    assert count == 30


def test_mutation_flips_bits_as_often_as_the_original() -> None:
    """Where both parents agree, only mutation can change a bit. With eta 3 on [-0.5, 1.5] a bit drawn for
    mutation rounds to the other value if 2(1-r) + 2(r-1/2) 0.25^4 < 0.75^4, so with probability 0.157."""
    settings = NSGANet(population=2, offspring=400, networks=402, mutation_probability=1.0)
    strategy = settings.start(SPACE, 5)
    first = strategy.ask(2)
    for candidate in first:
        strategy.tell(Outcome(candidate.number, fitness(candidate)))
    parents = [SPACE.genes(c.genome) for c in first]
    agree = parents[0] == parents[1]
    flips = [np.mean(SPACE.genes(c.genome)[agree] != parents[0][agree]) for c in strategy.ask(400)]
    assert np.mean(flips) == pytest.approx(0.157, abs=0.025)


def test_unknown_numbers_are_refused() -> None:
    strategy = NSGANet().start(SPACE, 1)
    with pytest.raises(ValueError, match="never asked"):
        strategy.tell(Outcome(0, None))
