"""What an evolution without selection would have done with the founders of a run: neutral drift."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from a4nn_core.archaeology.genomes import Genomes
from a4nn_core.archaeology.life import Life

EVOLUTIONS = 400
"""evolutions that are simulated"""
MOST_VALUES = 10**8
"""values of genomes in all of them together; of a greater run, fewer evolutions are simulated"""
FEWEST = 40


@dataclass(frozen=True)
class Drift:
    """The share of networks with one value at one position that drift alone gives.

    Attributes:
        low, high: ends of the interval that holds 95 % of the simulated evolutions.
        words: how it was found.
    """

    low: float = 0.0
    high: float = 1.0
    words: str = ""
    _genomes: NDArray[np.int16] | None = field(default=None, repr=False, compare=False)
    _place: dict[int, int] = field(default_factory=dict, repr=False, compare=False)

    def explains(self, share: float) -> bool:
        """Whether a share is within what drift gives."""
        return self.low <= share <= self.high

    def of(self, position: int, value: int, numbers: NDArray[np.int64]) -> Drift:
        """The drift of a value at a position, among networks of the same generations as some.

        Args:
            position: from 0.
            value: as in ``Genomes.values``.
            numbers: networks whose generations count.
        """
        assert self._genomes is not None
        columns = [self._place[int(number)] for number in numbers]
        shares = (self._genomes[:, columns, position] == value).mean(axis=1)
        low, high = np.quantile(shares, [0.025, 0.975])
        return Drift(float(low), float(high), self.words)


def neutral_shares(life: Life, genomes: Genomes, seed: int) -> Drift | None:
    """Evolutions of the run's size from its founders, where all are as likely to be parents.

    A child takes each value from one of two parents, in stretches as two-point crossover does, and changes it
    as often as children of the run have a value that none of their parents has. Where parents were not
    recorded, one value of a genome changes on average.

    Returns:
        None if generations were not recorded, or there is only one.
    """
    generation = {n: life.networks[n].generation for n in genomes.numbers.tolist()}
    if any(g is None for g in generation.values()) or len(set(generation.values())) < 2:
        return None
    order = sorted(generation, key=lambda n: (generation[n] or 0, n))
    place = {number: at for at, number in enumerate(order)}
    row = {number: at for at, number in enumerate(genomes.numbers.tolist())}
    first = min(g for g in generation.values() if g is not None)
    founders = genomes.values[[row[n] for n in order if generation[n] == first]]
    rate, recorded = _mutation_rate(life, genomes, row)
    count = max(FEWEST, min(EVOLUTIONS, MOST_VALUES // max(genomes.values.size, 1)))
    rng = np.random.default_rng(seed)
    kinds = genomes.values.max(axis=0, initial=1) + 1
    made = np.zeros((count, len(order), genomes.positions), dtype=np.int16)
    made[:, : len(founders)] = founders[rng.integers(0, len(founders), (count, len(founders)))]
    last = (0, len(founders))
    sizes = Counter(g for g in generation.values() if g is not None and g > first)
    for _, size in sorted(sizes.items()):
        made[:, last[1] : last[1] + size] = _children(made[:, last[0] : last[1]], size, rate, kinds, rng)
        last = (last[1], last[1] + size)
    words = (
        f"What drift alone gives is found from {count} evolutions of the same size without selection, "
        f"from the networks of generation {first}; {100 * rate:.1f} % of a child's values are new, "
        + ("as in the run." if recorded else "one of a genome on average, as parents were not recorded.")
    )
    return Drift(words=words, _genomes=made, _place=place)


def _children(
    before: NDArray[np.int16], size: int, rate: float, kinds: NDArray[np.int16], rng: np.random.Generator
) -> NDArray[np.int16]:
    evolutions, living, positions = before.shape
    who = np.arange(evolutions)[:, None]
    mother = before[who, rng.integers(0, living, (evolutions, size))]
    father = before[who, rng.integers(0, living, (evolutions, size))]
    cuts = np.sort(rng.integers(0, positions + 1, (evolutions, size, 2)), axis=2)
    at = np.arange(positions)
    inside = (at >= cuts[..., :1]) & (at < cuts[..., 1:])
    child = np.where(inside, father, mother)
    other = (child + rng.integers(1, np.maximum(kinds, 2), child.shape)) % np.maximum(kinds, 2)
    return np.where(rng.random(child.shape) < rate, other, child).astype(np.int16)


def _mutation_rate(life: Life, genomes: Genomes, row: dict[int, int]) -> tuple[float, bool]:
    """Share of values of children that none of their parents has; and whether parents were recorded."""
    new, seen = 0, 0
    for number in genomes.numbers.tolist():
        parents = [row[p] for p in life.networks[number].parents or () if p in row]
        if parents:
            mine = genomes.values[row[number]]
            new += int((genomes.values[parents] != mine).all(axis=0).sum())
            seen += genomes.positions
    return (new / seen, True) if seen else (1 / max(genomes.positions, 1), False)
