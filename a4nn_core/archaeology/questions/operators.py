"""Which operators made improvements."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from a4nn_core.archaeology.chart import Axis, Chart, Exhibit, Level, Points, Table
from a4nn_core.archaeology.descent import Family, Step
from a4nn_core.archaeology.life import Life
from a4nn_core.archaeology.style import INK

Z = 1.959964  # of a normal distribution, for 95 %

_QUERY = """
with born as (
    select n.network, n.operator, len(n.parents) as parents, n.best_{score} as own,
           max(p.best_{score}) as best_parent, n.flops, n.status
    from networks n
    join networks p on p.run = n.run and list_contains(n.parents, p.network)
    where n.run = '{run}' and n.status in ('completed', 'stopped')
    group by all
)
select operator, parents, count(*) as children, count(*) filter (own > best_parent) as better,
       round(avg(own - best_parent), 3) as mean_gain_{points}
from born
group by operator, parents
order by operator, parents"""


@dataclass(frozen=True)
class Made:
    """What one operator made of some number of parents.

    Attributes:
        operator: its name.
        parents: number of parents.
        gains: of its children above their best parent, percentage points or decibels.
        on_front: number of its children on the front.
    """

    operator: str
    parents: int
    gains: tuple[float, ...]
    on_front: int

    @property
    def better(self) -> int:
        """Number of children that are better than all their parents."""
        return sum(gain > 0 for gain in self.gains)

    @property
    def interval(self) -> tuple[float, float]:
        """95 % interval of the share of better children, from 0 to 1 (Wilson)."""
        return wilson(self.better, len(self.gains))


def wilson(hits: int, count: int) -> tuple[float, float]:
    """95 % interval of a share (Wilson 1927), from 0 to 1."""
    if count == 0:
        return 0.0, 1.0
    share = hits / count
    middle = (share + Z**2 / (2 * count)) / (1 + Z**2 / count)
    half = Z * math.sqrt(share * (1 - share) / count + Z**2 / (4 * count**2)) / (1 + Z**2 / count)
    return max(0.0, middle - half), min(1.0, middle + half)


def made(life: Life) -> list[Made]:
    """What operators made, by name and number of parents; trained children of trained parents count."""
    family = Family(life.networks.values())
    found: dict[tuple[str, int], list[Step]] = {}
    for number in sorted(family.networks):
        if family.networks[number].trained and family.parents(number):
            step = family.step(number)
            if step.gain_over_best is not None:
                key = (step.operator or "not recorded", len(step.parents))
                found.setdefault(key, []).append(step)
    return [
        Made(
            operator,
            parents,
            tuple(gain for step in steps if (gain := step.gain_over_best) is not None),
            sum(step.network.network in life.front for step in steps),
        )
        for (operator, parents), steps in sorted(found.items())
    ]


def operators_exhibit(life: Life) -> Exhibit:
    """How often children are better than all their parents, by operator."""
    found, quality = made(life), life.quality
    words = (
        f"How often a child is {quality.better} than every one of its parents, with 95 % intervals (Wilson). "
        "A mean gain below 0 is usual: parents are chosen for being good, so part of what they have is luck."
        if found
        else life.no_lineage or "No trained child has a trained parent yet."
    )
    return Exhibit(
        "operators",
        "Which operators made improvements?",
        (words,),
        (_chart(found),),
        Table(
            (
                *("operator", "parents", "children", "better than all parents", "share (%)"),
                *("share, low (%)", "share, high (%)", f"mean gain ({quality.gain_unit})", "on the front"),
            ),
            tuple(
                (
                    *(m.operator, m.parents, len(m.gains), m.better, 100 * m.better / len(m.gains)),
                    *(100 * m.interval[0], 100 * m.interval[1], sum(m.gains) / len(m.gains), m.on_front),
                )
                for m in found
            ),
        ),
        life.sql(_QUERY),
    )


def _chart(found: Sequence[Made]) -> Chart:
    names = [f"{m.operator}, {m.parents} parent{'' if m.parents == 1 else 's'}" for m in found]
    points = Points(
        x=[100 * m.better / len(m.gains) for m in found],
        y=names,
        low=[100 * m.interval[0] for m in found],
        high=[100 * m.interval[1] for m in found],
        lying=True,
        colours=(INK,),
        text=[f"{m.better} of {len(m.gains)} children" for m in found],
    )
    return Chart(
        "operators",
        "Children that beat all their parents",
        Axis("share of children (%)", range=(0, 100)),
        Axis("", scale="category", names=tuple(names)),
        (points, Level(value=50.0, words="", axis="x")) if found else (),
        empty="no operator made a child of a trained parent",
        height=140 + 40 * len(found),
    )
