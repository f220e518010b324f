"""Why each stopped network was stopped, and what would have happened."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

from a4nn_core.archaeology.chart import Axis, Band, Chart, Exhibit, Level, Line, Mark, Points, Table
from a4nn_core.archaeology.life import Life
from a4nn_core.archaeology.quality import Quality, to_sort
from a4nn_core.archaeology.style import FIRST, FRONT, INK, SECOND
from a4nn_core.commons.records import Network
from a4nn_core.precision import Score
from a4nn_core.termination.endings import Ending

MOST_SMALL = 300
"""stopped networks that are drawn; those with the greatest regret"""

_QUERY = """
with stopped as (
    select o.*, s.run as shadow, w.best_{score} as would_have_been_{unit}
    from networks o
    left join runs s on s.shadow_of = o.run
    left join networks w on w.run = s.run and w.network = o.network and w.status = 'completed'
    where o.run = '{run}' and o.status = 'stopped' and o.equal_to is null
), others as (
    select o.network, max(r.best_{score}) as others_had_{unit}
    from stopped o join networks r on r.run = o.run and r.network != o.network and r.flops <= o.flops
    where r.status in ('completed', 'stopped') and r.equal_to is null
    group by o.network
)
select s.network, s.termination_reason as reason, s.epochs_trained as epochs,
       s.best_{score} as best_{unit}, s.predicted_{score} as predicted_{unit},
       s.predicted_low, s.predicted_high, s.shadow, s.would_have_been_{unit}, o.others_had_{unit},
       coalesce(s.would_have_been_{unit}, s.predicted_{score}) - o.others_had_{unit} as
       regret_{points}
from stopped s left join others o on o.network = s.network
order by regret_{points} desc nulls last, s.network"""


@dataclass(frozen=True)
class Stop:
    """One stopped network, and what it would have become.

    Attributes:
        network: its record.
        ending: why it was ended.
        others: best validation score of the networks of its run that cost no more; None if there is none.
        true: best validation score of the same network trained to the end, by a shadow run; None if there is
            none.
        shadow: that run.
        quality: what scores are.
    """

    network: Network
    ending: Ending
    others: float | None
    true: Score | None
    shadow: str | None
    quality: Quality

    @property
    def would_be(self) -> float | None:
        """The score that it would have reached: measured if it was trained again, else as predicted."""
        return self.ending.predicted if self.true is None else self.true.value

    @property
    def regret(self) -> float | None:
        """By how much it would have been better than all networks that cost no more, in percentage points or
        decibels; below 0 if stopping it lost nothing. None if that is not known."""
        if self.would_be is None or self.others is None:
            return None
        return self.would_be - self.others

    @property
    def interval(self) -> tuple[float, float] | None:
        """Ends of the regret, from the interval of the prediction; None once it is measured."""
        low, high = self.ending.low, self.ending.high
        if self.true is not None or self.others is None or low is None or high is None:
            return None
        return self.quality.within(low) - self.others, self.quality.within(high) - self.others


def stops(life: Life) -> list[Stop]:
    """All stopped networks of a run, the greatest regret first, those of unknown regret last."""
    found, costs = [], _Costs.of(life)
    for number, ending in life.endings.items():
        network = life.networks[number]
        measured = [
            (shadow, known)
            for shadow, again in life.shadows.items()
            if number in again and again[number].status == "completed"
            if (known := again[number].score(life.header.images)).value is not None
        ]
        shadow, true = measured[0] if measured else (None, None)
        found.append(Stop(network, ending, costs.others(network), true, shadow, life.quality))
    return sorted(found, key=lambda one: (-to_sort(one.regret), one.network.network))


@dataclass(frozen=True)
class _Costs:
    """The trained networks of a run by cost, with the two best of all that cost no more.

    Attributes:
        flops: sorted.
        best: at each place the best two up to there, (score, number), the better first.
    """

    flops: list[int]
    best: list[list[tuple[float, int]]]

    @classmethod
    def of(cls, life: Life) -> _Costs:
        known = sorted(
            (flops, score, one.network)
            for one in life.networks.values()
            if one.trained and (flops := one.flops) is not None
            if (score := one.best_score) is not None
        )
        best: list[list[tuple[float, int]]] = []
        for _, score, number in known:
            before = best[-1] if best else []
            best.append(sorted([*before, (score, number)], reverse=True)[:2])
        return cls([flops for flops, _, _ in known], best)

    def others(self, network: Network) -> float | None:
        """The best score of the others that cost no more than a network."""
        place = 0 if network.flops is None else bisect_right(self.flops, network.flops)
        those = self.best[place - 1] if place else []
        return next((score for score, number in those if number != network.network), None)


def stops_exhibit(life: Life) -> Exhibit:
    """Regret of every stopped network, and a small figure of each."""
    found, quality = stops(life), life.quality
    known = [one for one in found if one.regret is not None]
    lost = [one for one in known if (one.regret or 0.0) > 0]
    words = []
    if not found:
        words.append("No network was stopped early.")
    elif known:
        words.append(
            f"Regret is by how many {quality.gains} a network would have been better than every network that "
            "costs no more: to the right of zero, the front has lost something. Filled: measured by training "
            "it to the end in a shadow run (a4nn shadow). Open: as predicted when it was stopped, with the "
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
            *(one.network.best_score, one.ending.predicted, one.ending.low, one.ending.high),
            *(None if one.true is None else one.true.value, one.others, one.regret),
        )
        for one in found
    ]
    columns = (
        *("network", "rule", "why", "epochs", "epochs saved", quality.best_validation),
        *(f"{name} ({quality.unit})" for name in ("predicted", "from", "to", "would have been")),
        *(f"others at no more cost had ({quality.unit})", f"regret ({quality.gain_unit})"),
    )
    return Exhibit(
        "stopped",
        "Why were networks stopped, and what would have happened?",
        tuple(words),
        (regret_chart(known, quality),),
        Table(columns, tuple(rows)),
        life.sql(_QUERY),
    )


def regret_chart(known: Sequence[Stop], quality: Quality) -> Chart:
    """Regret of stopped networks, sorted.

    Args:
        known: those whose regret is known.
        quality: what their scores are.
    """
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
        Axis(f"regret ({quality.gain_axis})"),
        Axis("", scale="category", reverse=True, names=tuple(names)),
        tuple(marks),
        empty="no stopped network has a known regret",
        height=max(200, min(120 + 20 * len(known), 2400)),
    )


def small_chart(life: Life, one: Stop) -> Chart:
    """The life of one stopped network: its curve, what was predicted, its rival and what would have "
    "happened."""
    number, budget = one.network.network, life.budget or one.ending.epochs
    quality = life.quality
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
        words = f"{quality.number(one.others, 1)} at no more cost"
        marks.append(Level(value=one.others, words=words, colour=FRONT))
        drawn.append(one.others)
    last, low, high = epochs[-1:], one.ending.low, one.ending.high
    if last and low is not None and high is not None:
        ends = (quality.within(low), quality.within(high))
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
    if one.true is not None and one.true.value is not None:
        marks.append(
            Points(
                label="trained to the end",
                x=[budget],
                y=[one.true.value],
                colours=(SECOND,),
                shape="square",
                size=7,
            )
        )
        drawn.append(one.true.value)
    if epochs:
        marks.append(Line(x=epochs, y=values, colour=INK, width=2, network=number, label=f"network {number}"))
        marks.append(Points(x=last, y=values[-1:], colours=(INK,), shape="open", size=7, networks=[number]))
    return Chart(
        f"stopped-{number}",
        _heading(one),
        Axis("epoch", range=(0.5, budget + 0.5), whole=True),
        Axis(quality.validation, range=quality.axis(drawn)),
        tuple(marks),
        empty="its curve was not recorded",
        height=180,
    )


def _heading(one: Stop) -> str:
    end = ""
    if one.true is not None:
        end = f", would have reached {one.true}"
    elif one.ending.predicted is not None:
        end = f", {one.quality.number(one.ending.predicted, 1)} predicted"
    return f"network {one.network.network}, after epoch {one.ending.epochs}{end}"
