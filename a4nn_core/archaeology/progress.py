"""How the result grew while a search went on, and how several searches compare.

The hypervolume is the share of the box between the best and the worst values of all runs shown that is
dominated by what a run has found (Zitzler and Thiele, 1998). The attainment surface of several runs is, for
each cost, the score that a share of them reached (Fonseca and Fleming, 1996); here half of them, with the
best and the worst.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from a4nn_core.archaeology.chart import Axis, Band, Chart, Exhibit, Line, Mark, Points, Table
from a4nn_core.archaeology.life import Life
from a4nn_core.archaeology.style import series
from a4nn_core.commons.records import Network
from a4nn_core.hypervolume import hypervolume
from a4nn_core.jsonable import to_json
from a4nn_core.metrics import MFLOPS, nondominated, of_row, signs

_QUERY = """
with ended as (
    select n.run, n.network, n.best_{score}, n.flops, n.epochs_trained, max(e.time) as last
    from networks n left join epochs e on e.run = n.run and e.network = n.network
    where n.run in ({runs}) and n.status in ('completed', 'stopped') and n.equal_to is null
    group by all
)
select run, network, sum(epochs_trained) over so_far as epochs_so_far,
       max(best_{score}) over so_far as incumbent_{unit}, best_{score}, flops / 1e6 as
       mflops
from ended
window so_far as (partition by run order by last nulls last, network)
order by run, epochs_so_far"""

_ATTAINED = """select run, network, flops / 1e6 as mflops, best_{score}
from front
order by run, flops"""


@dataclass(frozen=True)
class Moment:
    """The state of a search when one network had ended.

    Attributes:
        network: its number.
        epochs: epochs trained so far, over all networks that have ended.
        incumbent: best validation score so far; None if none is known.
        hypervolume: dominated share of the box in percent; None where objectives are not known.
    """

    network: int
    epochs: int
    incumbent: float | None
    hypervolume: float | None


@dataclass(frozen=True)
class Box:
    """The best and the worst value of each objective, every one to be minimised. Shapes (objectives,)."""

    best: NDArray[np.float64]
    worst: NDArray[np.float64]

    @classmethod
    def around(cls, points: NDArray[np.float64]) -> Box | None:
        """The box around points, shape (points, objectives); None without points."""
        return cls(points.min(axis=0), points.max(axis=0)) if len(points) else None

    def share(self, points: NDArray[np.float64]) -> float:
        """The share of the box, in percent, that points dominate."""
        size = np.where(self.worst > self.best, self.worst - self.best, 1.0)
        inside = np.clip((points - self.best) / size, 0.0, 1.0)
        return 100.0 * hypervolume(inside, np.ones(len(size)).tolist())


def objectives_of(life: Life, network: Network) -> list[float] | None:
    """The objectives of a network, every one to be minimised; None if one is not known."""
    known = life.header.objectives or {}
    values = [of_row(network.row(), name) for name in known]
    if not values or any(value is None or not math.isfinite(value) for value in values):
        return None
    return [float(v) for v in np.array(values, dtype=float) * signs(known)]


def moments(life: Life, box: Box | None) -> list[Moment]:
    """The states of a search, in the order in which its networks ended."""
    found: list[Moment] = []
    epochs, incumbent, share = 0, None, None
    front = np.empty((0, len(life.header.objectives or {})))
    for network in _ended(life):
        epochs += network.epochs_trained or 0
        best = network.best_score
        if best is not None:
            incumbent = best if incumbent is None else max(incumbent, best)
        point = objectives_of(life, network)
        if point is not None and box is not None:
            both = np.vstack([front, point])
            kept = both[nondominated(both)]
            if len(kept) != len(front) or not np.array_equal(kept, front):
                front, share = kept, box.share(kept)
        found.append(Moment(network.network, epochs, incumbent, share))
    return found


def _ended(life: Life) -> list[Network]:
    def when(network: Network) -> tuple[bool, float, int]:
        times = [epoch.time for epoch in life.epochs.get(network.network, []) if epoch.time is not None]
        return (not times, max(times).timestamp() if times else 0.0, network.network)

    return sorted((n for n in life.networks.values() if n.trained), key=when)


def box_of(lives: Sequence[Life]) -> Box | None:
    """The box around all networks of runs with the same objectives; None if these differ, or nothing is "
    "known."""
    named = {tuple(sorted((life.header.objectives or {}).items())) for life in lives}
    points = [
        p for life in lives for n in life.networks.values() if n.trained if (p := objectives_of(life, n))
    ]
    return Box.around(np.array(points)) if len(named) == 1 and points else None


def progress_exhibit(lives: Sequence[Life]) -> Exhibit:
    """Incumbent and hypervolume over epochs trained, a line for each run."""
    quality = lives[0].quality
    box = box_of(lives)
    grown = {life.run: moments(life, box) for life in lives}
    incumbents: list[Mark] = []
    volumes: list[Mark] = []
    for number, (run, states) in enumerate(grown.items()):
        for marks, values in (
            (incumbents, [(s.epochs, s.incumbent) for s in states if s.incumbent is not None]),
            (volumes, [(s.epochs, s.hypervolume) for s in states if s.hypervolume is not None]),
        ):
            if values:
                x, y = zip(*values, strict=True)
                label = run if len(lives) > 1 else ""
                marks.append(Line(x=x, y=y, step=True, width=2, colour=series(number), label=label, text=run))
    time = Axis("epochs trained, over all networks", whole=True)
    charts = (
        Chart("incumbent", "Best network so far", time, Axis(quality.best_validation), tuple(incumbents)),
        Chart(
            "hypervolume",
            "Hypervolume so far",
            time,
            Axis("hypervolume (% of the box)"),
            tuple(volumes),
            empty="the objectives of these runs are not known, or differ",
        ),
    )
    rows = tuple(
        (run, s.network, s.epochs, s.incumbent, s.hypervolume)
        for run, states in grown.items()
        for s in states
    )
    columns = (
        *("run", "network", "epochs so far"),
        *(f"best validation {quality.noun} so far ({quality.unit})", "hypervolume (%)"),
    )
    runs = ", ".join("'" + life.run.replace("'", "''") + "'" for life in lives)
    return Exhibit(
        "progress",
        "How did the result grow?",
        (
            f"The best of many measured {quality.plural} is too high by chance; see the standard errors "
            "of the front. The hypervolume is the share of the box around all networks of this page that is "
            "dominated.",
        ),
        charts,
        Table(columns, rows),
        quality.sql(_QUERY, runs=runs),
    )


@dataclass(frozen=True)
class Group:
    """Runs of one experiment that differ in their seeds alone.

    Attributes:
        name: of the group.
        lives: the runs.
    """

    name: str
    lives: tuple[Life, ...]


def groups(lives: Sequence[Life]) -> list[Group]:
    """Runs by experiment; a run whose experiment was not recorded is a group of its own."""
    found: dict[str, list[Life]] = {}
    for life in lives:
        experiment = dict(life.header.experiment.members) if life.header.experiment else {}
        experiment.pop("seed", None)
        found.setdefault(to_json(experiment) if experiment else life.run, []).append(life)
    return [Group(_name(those), tuple(those)) for those in found.values()]


def _name(lives: Sequence[Life]) -> str:
    if len(lives) == 1:
        return lives[0].run
    return f"{lives[0].header.name or lives[0].run}, rule {rule(lives[0])}, {len(lives)} seeds"


def rule(life: Life) -> str:
    """The name of the rule that ended training; empty if it was not recorded."""
    return str(life.header.settings("termination").get("name") or "")


def attainment(life: Life, costs: NDArray[np.float64]) -> NDArray[np.float64]:
    """The best validation score at each cost or less; NaN below the cheapest network.

    Args:
        costs: million multiply-adds for one image, sorted.
    """
    points = sorted((point.mflops, point.score) for point in life.picture.points)
    spent = [cost for cost, _ in points]
    best = np.maximum.accumulate([score for _, score in points]) if points else np.array([])
    places = [bisect_right(spent, cost) - 1 for cost in costs]
    return np.array([best[place] if place >= 0 else np.nan for place in places])


def attainment_exhibit(lives: Sequence[Life]) -> Exhibit:
    """What several seeds reach at each cost."""
    quality = lives[0].quality
    costs = np.unique([point.mflops for life in lives for point in life.picture.points])
    marks: list[Mark] = []
    rows = []
    for number, group in enumerate(groups(lives)):
        surface = np.array([attainment(life, costs) for life in group.lives])
        known = ~np.isnan(surface).any(axis=0) if len(costs) else np.zeros(0, dtype=bool)
        if not known.any():
            continue
        x = costs[known].tolist()
        low, middle, high = (f(surface[:, known], axis=0).tolist() for f in (np.min, np.median, np.max))
        if len(group.lives) > 1:
            marks.append(Band(x=x, low=low, high=high, colour=series(number), strength=0.15, step=True))
        label = group.name
        marks.append(Line(x=x, y=middle, step=True, width=2, colour=series(number), label=label, text=label))
        rows += [(group.name, len(group.lives), *row) for row in zip(x, low, middle, high, strict=True)]
    chart = Chart(
        "attainment",
        "Attainment over seeds",
        Axis(MFLOPS.label, scale="log" if len(costs) and costs[-1] > 8 * costs[0] else "linear"),
        Axis(quality.best_validation),
        tuple(marks),
        empty=f"no network has a known cost and {quality.noun}",
    )
    ends = (f"{name} ({quality.unit})" for name in ("least", "median", "greatest"))
    columns = ("runs", "seeds", "multiply-adds (millions)", *ends)
    return Exhibit(
        "attainment",
        "What do several seeds reach?",
        (
            f"The best {quality.noun} at each cost or less: the median of runs that differ in their seed "
            "alone, and a band from the worst to the best of them, from the cost on at which each of them "
            "has a network.",
        ),
        (chart,),
        Table(columns, tuple(rows)),
        quality.sql(_ATTAINED),
    )


def tradeoff_exhibit(lives: Sequence[Life]) -> Exhibit:
    """What rules save against what was found, a point for each run."""
    box = box_of(lives)
    marks: list[Mark] = []
    rows = []
    for number, name in enumerate(dict.fromkeys(rule(life) for life in lives)):
        those = []
        for life in lives:
            states = moments(life, box)
            if rule(life) == name and states and states[-1].hypervolume is not None:
                those.append((life, life.totals.epochs_saved_percent, states[-1].hypervolume))
        rows += [(life.run, name, saved, volume, life.best()) for life, saved, volume in those]
        if those:
            marks.append(
                Points(
                    label=name or "rule not recorded",
                    x=[saved for _, saved, _ in those],
                    y=[volume for _, _, volume in those],
                    colours=(series(number),),
                    size=11,
                    text=[life.run for life, _, _ in those],
                )
            )
    chart = Chart(
        "tradeoff",
        "What rules save, and what was found",
        Axis("epochs saved (%)", range=(-2.0, 102.0)),
        Axis("hypervolume (% of the box)"),
        tuple(marks),
        empty="the objectives of these runs are not known, or differ",
    )
    return Exhibit(
        "tradeoff",
        "What do rules save, and what do they cost?",
        (
            "Each point is a run. Runs differ by chance too: compare rules over several seeds, or replay "
            "them on complete curves (a4nn replay).",
        ),
        (chart,),
        Table(
            ("run", "rule", "epochs saved (%)", "hypervolume (%)", lives[0].quality.best_validation),
            tuple(rows),
        ),
        "select run, experiment->>'$.termination.name' as rule from runs order by run",
    )


def exhibits(lives: Sequence[Life]) -> list[Exhibit]:
    """The figures of several runs with scores of one kind together; rules are compared where there is more
    than one run."""
    found = [progress_exhibit(lives), attainment_exhibit(lives)]
    return [*found, tradeoff_exhibit(lives)] if len(lives) > 1 else found
