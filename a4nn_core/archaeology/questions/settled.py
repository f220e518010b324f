"""From which epoch on the order of networks is settled."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from a4nn_core.archaeology.chart import Axis, Band, Chart, Exhibit, Level, Line, Table
from a4nn_core.archaeology.life import Life
from a4nn_core.archaeology.ranks import LEAST, with_last
from a4nn_core.archaeology.style import INK, KEPT

SETTLED = 0.9
"""rank correlation with the last epoch from which on the order counts as settled"""
SAMPLES = 200
"""bootstrap samples of networks"""
MOST_RANKED = 200_000
"""networks in all samples together; of a greater run, fewer samples are taken"""
FEWEST = 20

_QUERY = """
with whole as (
    select network, max(epoch) as last from epochs where run = '{run}' group by network
    having max(epoch) = (select max(epoch) from epochs where run = '{run}')
), ranked as (
    select e.epoch, rank() over (partition by e.epoch order by e.validation_{score}) as early,
           rank() over (partition by e.epoch order by l.validation_{score}) as late
    from whole w join epochs e on e.run = '{run}' and e.network = w.network
    join epochs l on l.run = e.run and l.network = e.network and l.epoch = w.last
)
-- ties get the least of their ranks here, the mean of them in the figure
select epoch, count(*) as networks, round(corr(early, late), 3) as rank_correlation
from ranked group by epoch order by epoch"""


@dataclass(frozen=True)
class Settling:
    """How well the order after one epoch tells the order after the last.

    Attributes:
        epoch: from 1.
        networks: number of networks that were trained to the last epoch.
        correlation: Spearman's.
        low, high: 95 % interval, from samples of the networks with replacement; None where there is none.
        epochs_saved_percent: share of all epochs that ending there would spare.
    """

    epoch: int
    networks: int
    correlation: float
    low: float | None
    high: float | None
    epochs_saved_percent: float


def settling(life: Life, seed: int = 0) -> list[Settling]:
    """All epochs of a run in order; empty if fewer than five networks were trained to the last epoch.

    Networks that were stopped are left out: they have no last epoch. So this is about those that were not.
    """
    curves = [dict(zip(*life.curve(number), strict=True)) for number in sorted(life.epochs)]
    last = max((max(curve) for curve in curves if curve), default=0)
    whole = [curve for curve in curves if last in curve]
    if len(whole) < LEAST:
        return []
    epochs = [epoch for epoch in range(1, last + 1) if all(epoch in curve for curve in whole)]
    values = np.array([[curve[epoch] for epoch in epochs] for curve in whole])
    rng = np.random.default_rng(seed)
    count = max(FEWEST, min(SAMPLES, MOST_RANKED // len(values)))
    samples = [with_last(values[rng.integers(0, len(values), len(values))]) for _ in range(count)]
    made = []
    for at, (epoch, correlation) in enumerate(zip(epochs, with_last(values), strict=True)):
        if np.isfinite(correlation):
            known = [s[at] for s in samples if np.isfinite(s[at])]
            ends = np.quantile(known, [0.025, 0.975]) if known else (None, None)
            low, high = (None if end is None else float(end) for end in ends)
            saved = 100 * (last - epoch) / last
            made.append(Settling(epoch, len(whole), float(correlation), low, high, saved))
    return made


def settled_from(found: list[Settling], level: float = SETTLED) -> int | None:
    """The first epoch from which on the correlation stays at a level or above; None if there is none."""
    from_here = None
    for one in reversed(found):
        if one.correlation < level:
            break
        from_here = one.epoch
    return from_here


def settled_exhibit(life: Life) -> Exhibit:
    """Rank correlation of every epoch with the last."""
    found = settling(life)
    epoch = settled_from(found)
    if not found:
        words = f"Fewer than {LEAST} networks were trained to the last epoch."
    else:
        words = (
            f"Of {found[0].networks} networks that were trained to the last epoch, {found[-1].epoch}. "
            + (
                f"From epoch {epoch} on their order is settled: its rank correlation with the last stays at "
                f"{SETTLED} or above."
                if epoch is not None and epoch < found[-1].epoch
                else f"Their order is not settled before: no earlier correlation stays at {SETTLED}."
            )
            + " Networks that were stopped are not among them."
        )
    x = [one.epoch for one in found]
    known = [one for one in found if one.low is not None and one.high is not None]
    marks = (
        Band(
            x=[one.epoch for one in known],
            low=[one.low or 0.0 for one in known],
            high=[one.high or 0.0 for one in known],
            colour=KEPT,
            label="95 % interval",
            strength=0.3,
        ),
        Line(x=x, y=[one.correlation for one in found], colour=INK, width=2, label="rank correlation"),
        Level(value=SETTLED, words="settled"),
    )
    chart = Chart(
        "settled",
        "How well the order after an epoch tells the order after the last",
        Axis("epoch", whole=True),
        Axis("rank correlation with the last"),
        marks if found else (),
        empty=f"fewer than {LEAST} networks were trained to the last epoch",
        height=340,
    )
    return Exhibit(
        "settled",
        "From which epoch on is the order settled?",
        (words,),
        (chart,),
        Table(
            ("epoch", "networks", "rank correlation", "low", "high", "epochs spared (%)"),
            tuple((s.epoch, s.networks, s.correlation, s.low, s.high, s.epochs_saved_percent) for s in found),
        ),
        life.sql(_QUERY),
    )
