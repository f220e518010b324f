"""Why each stopped network was stopped, and what would have happened."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

from a4nn_core.archaeology.chart import Axis, Band, Chart, Exhibit, Level, Line, Mark, Points, Table
from a4nn_core.archaeology.life import Life
from a4nn_core.archaeology.picture import accuracy_range
from a4nn_core.archaeology.style import FIRST, FRONT, INK, SECOND
from a4nn_core.commons.records import Network
from a4nn_core.precision import in_percent
from a4nn_core.termination.endings import Ending

MOST_SMALL = 300
"""stopped networks that are drawn; those with the greatest regret"""

_QUERY = """
with stopped as (
    select o.*, s.run as shadow, w.best_accuracy_percent as would_have_been_percent
    from networks o
    left join runs s on s.shadow_of = o.run
    left join networks w on w.run = s.run and w.network = o.network and w.status = 'completed'
    where o.run = '{run}' and o.status = 'stopped' and o.equal_to is null
), others as (
    select o.network, max(r.best_accuracy_percent) as others_had_percent
    from stopped o join networks r on r.run = o.run and r.network != o.network and r.flops <= o.flops
    where r.status in ('completed', 'stopped') and r.equal_to is null
    group by o.network
)
select s.network, s.termination_reason as reason, s.epochs_trained as epochs,
       s.best_accuracy_percent as best_percent, s.predicted_accuracy_percent as predicted_percent,
       s.predicted_low, s.predicted_high, s.shadow, s.would_have_been_percent, o.others_had_percent,
       coalesce(s.would_have_been_percent, s.predicted_accuracy_percent) - o.others_had_percent as
       regret_points
from stopped s left join others o on o.network = s.network
order by regret_points desc nulls last, s.network"""


@dataclass(frozen=True)
class Stop:
    """One stopped network, and what it would have become.

    Attributes:
        network: its record.
        ending: why it was ended.
        others: best validation accuracy, in percent, of the networks of its run that cost no more; None if
            there is none.
        true: best validation accuracy in percent of the same network trained to the end, by a shadow run;
            None if there is none.
        shadow: that run.
    """

    network: Network
    ending: Ending
    others: float | None
    true: float | None
    shadow: str | None

    @property
    def would_be(self) -> float | None:
        """What it would have reached, in percent: measured if it was trained again, else as predicted."""
        return self.ending.predicted if self.true is None else self.true

    @property
    def regret(self) -> float | None:
        """By how many points it would have been better than all networks that cost no more; below 0 if
        stopping it lost nothing. None if that is not known."""
        if self.would_be is None or self.others is None:
            return None
        return self.would_be - self.others

    @property
    def interval(self) -> tuple[float, float] | None:
        """Ends of the regret, from the interval of the prediction; None once it is measured."""
        low, high = self.ending.low, self.ending.high
        if self.true is not None or self.others is None or low is None or high is None:
            return None
        return max(0.0, low) - self.others, min(100.0, high) - self.others


def stops(life: Life) -> list[Stop]:
    """All stopped networks of a run, the greatest regret first, those of unknown regret last."""
    found, costs = [], _Costs.of(life)
    for number, ending in life.endings.items():
        network = life.networks[number]
        measured = [
            (shadow, known)
            for shadow, again in life.shadows.items()
            if number in again and again[number].status == "completed"
            if (known := again[number].best_accuracy_percent) is not None
        ]
        shadow, true = measured[0] if measured else (None, None)
        found.append(Stop(network, ending, costs.others(network), true, shadow))
    return sorted(found, key=lambda one: (one.regret is None, -(one.regret or 0.0), one.network.network))


@dataclass(frozen=True)
class _Costs:
    """The trained networks of a run by cost, with the two best of all that cost no more.

    Attributes:
        flops: sorted.
        best: at each place the best two up to there, (accuracy, number), the better first.
    """

    flops: list[int]
    best: list[list[tuple[float, int]]]

    @classmethod
    def of(cls, life: Life) -> _Costs:
        known = sorted(
            (flops, accuracy, one.network)
            for one in life.networks.values()
            if one.trained and (flops := one.flops) is not None
            if (accuracy := one.best_accuracy_percent) is not None
        )
        best: list[list[tuple[float, int]]] = []
        for _, accuracy, number in known:
            before = best[-1] if best else []
            best.append(sorted([*before, (accuracy, number)], reverse=True)[:2])
        return cls([flops for flops, _, _ in known], best)

    def others(self, network: Network) -> float | None:
        """The best accuracy of the others that cost no more than a network, in percent."""
        place = 0 if network.flops is None else bisect_right(self.flops, network.flops)
        those = self.best[place - 1] if place else []
        return next((accuracy for accuracy, number in those if number != network.network), None)


def stops_exhibit(life: Life) -> Exhibit:
    """Regret of every stopped network, and a small figure of each."""
    found = stops(life)
    known = [one for one in found if one.regret is not None]
    lost = [one for one in known if (one.regret or 0.0) > 0]
    words = []
    if not found:
        words.append("No network was stopped early.")
    elif known:
        words.append(
            "Regret is by how many points a network would have been better than every network that costs no "
            "more: to the right of zero, the front has lost something. Filled: measured by training it to "
            "the end in a shadow run (a4nn shadow). Open: as predicted when it was stopped, with the "
            "interval."
        )
        words.append(f"{len(lost)} of {len(known)} would have been above all others at their cost.")
    else:
        words.append(
            "What would have become of them is not known: their rule predicted nothing, and no shadow run "
            "(a4nn shadow) has trained them to the end."
        )
    rows = [
        (
            *(
                one.network.network,
                one.ending.rule,
                one.ending.words,
                one.ending.epochs,
                one.ending.epochs_saved,
            ),
            *(one.network.best_accuracy_percent, one.ending.predicted, one.ending.low, one.ending.high),
            *(one.true, one.others, one.regret),
        )
        for one in found
    ]
    columns = (
        *(
            "network",
            "rule",
            "why",
            "epochs",
            "epochs saved",
            "best validation accuracy (%)",
            "predicted (%)",
        ),
        *("from (%)", "to (%)", "would have been (%)", "others at no more cost had (%)", "regret (points)"),
    )
    return Exhibit(
        "stopped",
        "Why were networks stopped, and what would have happened?",
        tuple(words),
        (regret_chart(known),),
        Table(columns, tuple(rows)),
        _QUERY.format(run=life.run),
    )


def regret_chart(known: Sequence[Stop]) -> Chart:
    """Regret of stopped networks, sorted."""
    known = known[:MOST_SMALL]
    names = [f"network {one.network.network}" for one in known]
    marks: list[Mark] = [Level(value=0.0, words="no loss", axis="x")] if known else []
    for measured, label in ((True, "measured"), (False, "predicted, with its interval")):
        those = [
            (name, one) for name, one in zip(names, known, strict=True) if (one.true is not None) == measured
        ]
        if not those:
            continue
        marks.append(
            Points(
                label=label,
                x=[one.regret for _, one in those],
                y=[name for name, _ in those],
                colours=[FRONT if (one.regret or 0.0) > 0 else FIRST for _, one in those],
                shape="dot" if measured else "open",
                low=[one.interval[0] if one.interval else None for _, one in those],
                high=[one.interval[1] if one.interval else None for _, one in those],
                lying=True,
                networks=[one.network.network for _, one in those],
                text=[one.ending.words for _, one in those],
            )
        )
    return Chart(
        "stopped",
        "Regret of stopped networks",
        Axis("regret (percentage points)"),
        Axis("", scale="category", reverse=True, names=tuple(names)),
        tuple(marks),
        empty="no stopped network has a known regret",
        height=max(200, min(120 + 20 * len(known), 2400)),
    )


def small_chart(life: Life, one: Stop) -> Chart:
    """The life of one stopped network: its curve, what was predicted, its rival and what would have "
    "happened."""
    number, budget = one.network.network, life.budget or one.ending.epochs
    epochs, values = life.curve(number)
    marks: list[Mark] = []
    drawn = list(values)
    if one.ending.rival is not None:
        x, y = life.curve(one.ending.rival)
        if x:
            rival = one.ending.rival
            marks.append(Line(x=x, y=y, colour=FRONT, label=f"network {rival}", network=rival, strength=0.8))
            drawn += y
    if one.others is not None:
        words = f"{one.others:.1f} % at no more cost"
        marks.append(Level(value=one.others, words=words, colour=FRONT))
        drawn.append(one.others)
    last, low, high = epochs[-1:], one.ending.low, one.ending.high
    if last and low is not None and high is not None:
        ends = (max(0.0, low), min(100.0, high))
        marks.append(
            Band(
                x=[last[0], budget],
                low=[values[-1], ends[0]],
                high=[values[-1], ends[1]],
                colour=FIRST,
                strength=0.2,
                label="predicted",
            )
        )
        drawn += ends
    if last and one.ending.predicted is not None:
        x, y = [last[0], budget], [values[-1], one.ending.predicted]
        marks.append(Line(x=x, y=y, colour=FIRST, dash="dot"))
        drawn.append(one.ending.predicted)
    if one.true is not None:
        marks.append(
            Points(
                label="trained to the end",
                x=[budget],
                y=[one.true],
                colours=(SECOND,),
                shape="square",
                size=7,
            )
        )
        drawn.append(one.true)
    if epochs:
        marks.append(Line(x=epochs, y=values, colour=INK, width=2, network=number, label=f"network {number}"))
        marks.append(Points(x=last, y=values[-1:], colours=(INK,), shape="open", size=7, networks=[number]))
    return Chart(
        f"stopped-{number}",
        _heading(life, one),
        Axis("epoch", range=(0.5, budget + 0.5), whole=True),
        Axis("validation accuracy (%)", range=accuracy_range(drawn)),
        tuple(marks),
        empty="its curve was not recorded",
        height=180,
    )


def _heading(life: Life, one: Stop) -> str:
    end = ""
    if one.true is not None:
        error = life.header.images.validation_error(one.true)
        end = f", would have reached {in_percent(one.true, error)}"
    elif one.ending.predicted is not None:
        end = f", {one.ending.predicted:.1f} % predicted"
    return f"network {one.network.network}, after epoch {one.ending.epochs}{end}"
