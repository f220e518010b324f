"""Whether networks that are alike learn alike."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from a4nn_core.archaeology.chart import Axis, Band, Chart, Exhibit, Line, Table
from a4nn_core.archaeology.genomes import Genomes
from a4nn_core.archaeology.life import Life
from a4nn_core.archaeology.style import INK, KEPT

MOST_NETWORKS = 500
"""networks whose pairs are compared; of more, evenly spaced ones"""
PERMUTATIONS = 500
LEAST_EPOCHS = 3
"""epochs that both curves of a pair must have"""

_QUERY = """
with genomes as (
    select network, regexp_extract_all(genome, '-?[0-9.]+|"[^"]*"|true|false') as v
    from networks where run = '{run}' and status in ('completed', 'stopped') and equal_to is null
), apart as (
    select a.network, b.network as other,
           avg(abs(a.validation_{score} - b.validation_{score})) as apart_{points}
    from epochs a join epochs b on b.run = a.run and b.epoch = a.epoch and a.network < b.network
    where a.run = '{run}'
    group by all having count(*) >= {least}
)
select len(list_filter(list_zip(a.v, b.v), lambda x: x[1] != x[2])) as differing, count(*) as pairs,
       round(quantile_cont(apart_{points}, 0.25), 3) as lower_quartile_{points},
       round(median(apart_{points}), 3) as median_{points},
       round(quantile_cont(apart_{points}, 0.75), 3) as upper_quartile_{points}
from apart join genomes a on a.network = apart.network join genomes b on b.network = apart.other
where len(a.v) = len(b.v)
group by differing
order by differing"""


@dataclass(frozen=True)
class Distance:
    """Pairs of networks whose genomes differ in some number of positions.

    Attributes:
        differing: that number.
        pairs: number of pairs.
        low, middle, high: quartiles of how far their curves are apart: mean distance over common epochs, in
            percentage points or decibels.
    """

    differing: int
    pairs: int
    low: float
    middle: float
    high: float


@dataclass(frozen=True)
class Likenesses:
    """How distances of genomes and of curves go together.

    Attributes:
        distances: by number of positions that differ.
        correlation: Spearman's, over all pairs; None if there are too few.
        p: how often permuted genomes give a correlation as great (Mantel's test, one-sided).
        networks: number of networks compared.
    """

    distances: tuple[Distance, ...]
    correlation: float | None
    p: float | None
    networks: int


def likenesses(life: Life, seed: int = 0) -> Likenesses:
    """Distances of genomes and curves of all pairs of trained networks.

    Args:
        life: the run.
        seed: of the permutations.
    """
    trained = [n for n in life.networks.values() if n.trained and life.curve(n.network)[0]]
    step = -(-len(trained) // MOST_NETWORKS) or 1
    genomes = Genomes.of(sorted(trained, key=lambda n: n.network)[::step])
    values = _scores(life, genomes.numbers.tolist())
    first, second = np.triu_indices(len(values), 1)
    apart, shared = _apart(values)
    known = shared[first, second] >= LEAST_EPOCHS
    first, second = first[known], second[known]
    differing = (genomes.values[:, None, :] != genomes.values[None, :, :]).sum(axis=2)
    x, y = differing[first, second], apart[first, second]
    distances = tuple(
        Distance(int(d), int((x == d).sum()), *(float(q) for q in np.quantile(y[x == d], [0.25, 0.5, 0.75])))
        for d in np.unique(x)
    )
    if len(x) < 10 or x.min() == x.max() or y.min() == y.max():
        return Likenesses(distances, None, None, len(values))
    correlation, p = _mantel(differing, y, first, second, np.random.default_rng(seed))
    return Likenesses(distances, correlation, p, len(values))


def _scores(life: Life, networks: list[int]) -> NDArray[np.float64]:
    curves = {number: life.curve(number) for number in networks}
    last = max((epoch for epochs, _ in curves.values() for epoch in epochs), default=0)
    values = np.full((len(networks), last), np.nan)
    for row, number in enumerate(networks):
        epochs, scores = curves[number]
        values[row, np.array(epochs, dtype=int) - 1] = scores
    return values


def _apart(values: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Mean distance of each two rows over the epochs that both have, and the number of those epochs."""
    there = ~np.isnan(values)
    filled = np.where(there, values, 0.0)
    count = len(values)
    total, shared = np.zeros((count, count)), np.zeros((count, count), dtype=np.int64)
    for epoch in range(values.shape[1]):
        both = there[:, None, epoch] & there[None, :, epoch]
        total += np.where(both, np.abs(filled[:, None, epoch] - filled[None, :, epoch]), 0.0)
        shared += both
    return total / np.maximum(shared, 1), shared


def _mantel(
    differing: NDArray[np.int64],
    apart: NDArray[np.float64],
    first: NDArray[np.int64],
    second: NDArray[np.int64],
    rng: np.random.Generator,
) -> tuple[float, float]:
    from scipy.stats import rankdata

    def centred(values: NDArray[np.float64]) -> NDArray[np.float64]:
        ranks: NDArray[np.float64] = rankdata(values)
        ranks -= ranks.mean()
        return ranks

    count = len(differing)
    known, y = np.zeros((count, count)), np.zeros((count, count))
    known[first, second] = 1.0
    y[first, second] = centred(apart)
    y_scale = math.sqrt(np.vdot(y, y))
    table = centred(differing.ravel().astype(float)).reshape(differing.shape)

    def spread(x: NDArray[np.float64]) -> float:
        return float(np.vdot(x**2, known) - np.vdot(x, known) ** 2 / len(first))

    # if all pairs are known, every order has the same
    usual = spread(table) if len(first) == count * (count - 1) // 2 else None

    def correlation(order: NDArray[np.int64]) -> float:
        x = table[order][:, order]  # whole, as picking single pairs takes ten times as long
        here = spread(x) if usual is None else usual
        # the mean of y is 0; nothing is left to compare where all known pairs differ in as many positions
        return float(np.vdot(x, y)) / (math.sqrt(here) * y_scale) if here > 0 else 0.0

    found = correlation(np.arange(count))
    beaten = sum(correlation(rng.permutation(count)) >= found for _ in range(PERMUTATIONS))
    return found, (beaten + 1) / (PERMUTATIONS + 1)


def curves_exhibit(life: Life) -> Exhibit:
    """How far curves are apart, by how much genomes differ."""
    found, unit = likenesses(life), life.quality.gain_unit
    words = "No two trained networks have genomes of the same form and three epochs in common."
    if found.distances:
        words = (
            f"Pairs of {found.networks} networks by the number of positions in which genomes differ. How "
            f"far curves are apart is the mean distance over the epochs that both have."
        )
    if found.correlation is not None and found.p is not None:
        sign = "learn more alike" if found.correlation > 0 and found.p <= 0.05 else "do not learn more alike"
        words += (
            f" Networks that are alike {sign}: rank correlation {found.correlation:.2f}, p = {found.p:.2g} "
            f"(Mantel's test, {PERMUTATIONS} permutations)."
        )
    rows = found.distances
    x = [d.differing for d in rows]
    marks = (
        Band(
            x=x,
            low=[d.low for d in rows],
            high=[d.high for d in rows],
            colour=KEPT,
            label="middle half",
            strength=0.3,
        ),
        Line(x=x, y=[d.middle for d in rows], colour=INK, width=2, label="median"),
    )
    chart = Chart(
        "alike",
        "Distance of curves by distance of genomes",
        Axis("positions that differ", whole=True),
        Axis(f"distance of curves ({unit})"),
        marks if rows else (),
        empty="no two curves can be compared",
        height=340,
    )
    return Exhibit(
        "alike",
        "Do networks that are alike learn alike?",
        (words,),
        (chart,),
        Table(
            (
                "positions that differ",
                "pairs",
                *(f"{name} ({unit})" for name in ("lower quartile", "median", "upper quartile")),
            ),
            tuple((d.differing, d.pairs, d.low, d.middle, d.high) for d in rows),
        ),
        life.sql(_QUERY, least=LEAST_EPOCHS),
    )
