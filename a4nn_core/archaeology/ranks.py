"""From which epoch on the order of networks is settled: rank correlation between epochs."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from a4nn_core.archaeology.chart import Axis, Cells, Chart, Exhibit, Table
from a4nn_core.archaeology.life import Life

LEAST = 5
"""networks that two epochs must share; the correlation of fewer says nothing"""
MOST_EPOCHS = 60
"""epochs that are compared; of more, evenly spaced ones"""

_QUERY = """
with ranked as (
    select a.epoch as early, b.epoch as late,
           rank() over (partition by a.epoch, b.epoch order by a.validation_{score})
               + (count(*) over (partition by a.epoch, b.epoch, a.validation_{score}) - 1) / 2 as ra,
           rank() over (partition by a.epoch, b.epoch order by b.validation_{score})
               + (count(*) over (partition by a.epoch, b.epoch, b.validation_{score}) - 1) / 2 as rb
    from epochs a join epochs b on b.run = a.run and b.network = a.network and a.epoch < b.epoch
    where a.run = '{run}' and a.validation_{score} is not null
        and b.validation_{score} is not null
)
select early, late, count(*) as networks, corr(ra, rb) as spearman
from ranked
group by early, late
having count(*) >= {least}
order by early, late"""


def rank_correlation(values: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Spearman's rank correlation between epochs, over the networks that have both.

    Args:
        values: scores, shape (networks, epochs); NaN where a network was not trained.

    Returns:
        correlation and number of networks, both of shape (epochs, epochs); NaN for fewer than ``LEAST``
        networks, or if one of both epochs does not tell them apart.
    """
    count = values.shape[1]
    correlation = np.full((count, count), np.nan)
    shared = np.zeros((count, count), dtype=np.int64)
    there = ~np.isnan(values)
    for a in range(count):
        for b in range(a, count):
            both = there[:, a] & there[:, b]
            shared[a, b] = shared[b, a] = both.sum()
            if shared[a, b] >= LEAST:
                correlation[a, b] = correlation[b, a] = with_last(values[both][:, [a, b]])[0]
    return correlation, shared


def with_last(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Spearman's rank correlation of each epoch with the last.

    Args:
        values: scores, shape (networks, epochs); none is missing.

    Returns:
        shape (epochs,); NaN where an epoch, or the last one, does not tell the networks apart.
    """
    from scipy.stats import rankdata

    ranks = rankdata(values, axis=0) - (len(values) + 1) / 2
    squares = (ranks**2).sum(axis=0)
    scales = np.sqrt(squares * squares[-1])
    together = ranks.T @ ranks[:, -1]
    correlation: NDArray[np.float64] = np.full(len(scales), np.nan)
    np.divide(together, scales, out=correlation, where=scales > 0)
    return correlation


def ranks_exhibit(life: Life) -> Exhibit:
    """The triangle of rank correlations."""
    epochs, values = _table(life)
    correlation, shared = rank_correlation(values)
    size = len(epochs)
    known = bool(np.isfinite(correlation[~np.eye(size, dtype=bool)]).any()) if size else False
    cells = [
        [float(correlation[i, j]) if j > i and np.isfinite(correlation[i, j]) else None for i in range(size)]
        for j in range(size)
    ]
    text = [
        [f"epochs {epochs[i]} and {epochs[j]}\n{shared[i, j]} networks have both" for i in range(size)]
        for j in range(size)
    ]
    marks = (Cells(x=epochs, y=epochs, values=cells, low=0.0, high=1.0, unit="rank correlation", text=text),)
    chart = Chart(
        "ranks",
        "Rank correlation between epochs",
        Axis("earlier epoch", whole=True),
        Axis("later epoch", whole=True),
        marks if known else (),
        empty=f"fewer than {LEAST} networks have two epochs in common",
        square=True,
        height=460,
    )
    rows = [
        (epochs[i], epochs[j], int(shared[i, j]), float(correlation[i, j]))
        for i in range(size)
        for j in range(i + 1, size)
        if np.isfinite(correlation[i, j])
    ]
    words = [
        "How well the order of networks after one epoch tells their order after a later one (Spearman): 1 "
        "where it is the same, 0 where it says nothing. Stopping is safe from where the last row is dark.",
        "Later epochs have only networks that were not stopped, so what is seen there is about the "
        "survivors.",
    ]
    return Exhibit(
        "ranks",
        "From which epoch on is the order settled?",
        tuple(words),
        (chart,),
        Table(("earlier epoch", "later epoch", "networks", "rank correlation"), tuple(rows)),
        life.sql(_QUERY, least=LEAST),
    )


def _table(life: Life) -> tuple[list[int], NDArray[np.float64]]:
    curves = [life.curve(network) for network in life.epochs]
    known = sorted({epoch for epochs, _ in curves for epoch in epochs})
    step = -(-len(known) // MOST_EPOCHS) or 1
    chosen = known[::-1][::step][::-1]  # the last epoch is always among them
    column = {epoch: at for at, epoch in enumerate(chosen)}
    values = np.full((len(curves), len(chosen)), np.nan)
    for row, (epochs, scores) in enumerate(curves):
        for epoch, score in zip(epochs, scores, strict=True):
            if epoch in column:
                values[row, column[epoch]] = score
    return chosen, values
