"""What was predicted, before training and at the verdict, against what came true."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from a4nn_core.archaeology.chart import Axis, Chart, Exhibit, Line, Points, Table
from a4nn_core.archaeology.life import Life
from a4nn_core.archaeology.quality import Quality
from a4nn_core.archaeology.style import FAINT, FIRST, SECOND
from a4nn_core.commons.records import Prediction

BEFORE, AT_VERDICT, AT_END = "before training", "at the verdict", "last, of those trained to the end"

_QUERY = """
with came_true as (
    select n.network, max(n.last_{score}) as last_{unit}
    from networks n join runs r on r.run = n.run
    where coalesce(r.shadow_of, r.run) = '{run}' and n.status = 'completed' and n.equal_to is null
    group by n.network
), predicted as (
    select network, 'before training' as moment, predicted, low, high
    from predictions where run = '{run}' and epoch = 0
    union all
    select network,
           case status when 'stopped' then 'at the verdict' else 'last, of those trained to the end' end,
           predicted_{score}, predicted_low, predicted_high
    from networks where run = '{run}' and predicted_{score} is not null
)
select p.moment, count(*) as networks, round(avg(p.predicted - t.last_{unit}), 3) as bias_{points},
       round(avg(abs(p.predicted - t.last_{unit})), 3) as mean_error_{points},
       round(100 * avg((t.last_{unit} between p.low and p.high)::int), 1) as inside_percent
from predicted p join came_true t on t.network = p.network
group by p.moment
order by p.moment"""


@dataclass(frozen=True)
class Foresight:
    """One prediction and what came true.

    Attributes:
        network: number of the network.
        moment: when it was predicted: ``BEFORE``, ``AT_VERDICT`` or ``AT_END``.
        epoch: epochs that it rests on; 0 before training.
        predicted, low, high: validation score at the end of the budget; ends of the interval or None.
        true: what came true, by its own training or a shadow's; None if nobody trained it to the end.
        source: run that showed it, None for its own.
    """

    network: int
    moment: str
    epoch: int
    predicted: float
    low: float | None
    high: float | None
    true: float | None
    source: str | None

    @property
    def error(self) -> float | None:
        """Prediction less truth, percentage points or decibels."""
        return None if self.true is None else self.predicted - self.true

    @property
    def inside(self) -> bool | None:
        """Whether the truth is inside the interval; None without one of both."""
        if self.true is None or self.low is None or self.high is None:
            return None
        return self.low <= self.true <= self.high


def foresights(life: Life, predictions: Iterable[Prediction] = ()) -> list[Foresight]:
    """All predictions of a run that can be compared, or could be once a shadow is run.

    Args:
        life: the run.
        predictions: its fits; those before the first epoch count.
    """
    found = []
    for one in predictions:
        if one.epoch == 0 and one.predicted is not None and one.network in life.networks:
            found.append(_foresight(life, one.network, BEFORE, 0, one.predicted, one.low, one.high))
    for number, network in sorted(life.networks.items()):
        if network.trained and network.predicted_score is not None:
            moment = AT_VERDICT if number in life.endings else AT_END
            found.append(
                _foresight(
                    *(life, number, moment, network.epochs_trained or 0, network.predicted_score),
                    *(network.predicted_low, network.predicted_high),
                )
            )
    return found


def _foresight(
    life: Life, number: int, moment: str, epoch: int, predicted: float, low: float | None, high: float | None
) -> Foresight:
    own = life.networks[number]
    true, source = (own.last_score, None) if own.status == "completed" else (None, None)
    for shadow, again in life.shadows.items():
        if true is None and number in again and again[number].status == "completed":
            true, source = again[number].last_score, shadow
    return Foresight(number, moment, epoch, predicted, low, high, true, source)


@dataclass(frozen=True)
class Reliability:
    """How reliable the predictions of one moment were.

    Attributes:
        moment: see Foresight.
        networks: number of predictions whose truth is known.
        unknown: number of those whose truth is not.
        bias, mean_error: mean error and mean absolute error, as errors; None if no truth is known.
        rank: Spearman's correlation with the truth; None for fewer than 3.
        inside: number inside of their intervals, and number of intervals.
    """

    moment: str
    networks: int
    unknown: int
    bias: float | None
    mean_error: float | None
    rank: float | None
    inside: tuple[int, int]


def reliability(found: Sequence[Foresight]) -> list[Reliability]:
    """How reliable predictions were, by moment."""
    made = []
    for moment in (BEFORE, AT_VERDICT, AT_END):
        mine = [f for f in found if f.moment == moment]
        errors = np.array([error for f in mine if (error := f.error) is not None])
        inside = [hit for f in mine if (hit := f.inside) is not None]
        if mine:
            made.append(
                Reliability(
                    moment,
                    networks=len(errors),
                    unknown=len(mine) - len(errors),
                    bias=float(errors.mean()) if len(errors) else None,
                    mean_error=float(np.abs(errors).mean()) if len(errors) else None,
                    rank=_rank([(f.predicted, f.true) for f in mine if f.true is not None]),
                    inside=(sum(inside), len(inside)),
                )
            )
    return made


def _rank(pairs: Sequence[tuple[float, float]]) -> float | None:
    from scipy.stats import spearmanr

    if len(pairs) < 3 or any(len(set(side)) < 2 for side in zip(*pairs, strict=True)):
        return None
    return float(spearmanr(*zip(*pairs, strict=True)).statistic)


def foresight_exhibit(life: Life, predictions: Iterable[Prediction] = ()) -> Exhibit:
    """Predictions against what came true."""
    found = foresights(life, predictions)
    quality, reliable = life.quality, reliability(found)
    words = [_words(one, quality) for one in reliable] or ["No prediction was recorded in this run."]
    if any(one.unknown for one in reliable) and not life.shadows:
        words.append(
            "What would have become of stopped networks is not known: `a4nn shadow` trains them to the end."
        )
    known = [f for f in found if f.true is not None]
    return Exhibit(
        "foresight",
        "Did predictions come true?",
        tuple(words),
        (_chart(known, quality),),
        Table(
            (
                *("network", "predicted", "epochs seen"),
                *(f"{name} ({quality.unit})" for name in ("prediction", "low", "high", "came true")),
                *(f"error ({quality.gain_unit})", "inside", "shown by"),
            ),
            tuple(
                (
                    *(f.network, f.moment, f.epoch, f.predicted, f.low, f.high, f.true, f.error),
                    None if f.inside is None else "yes" if f.inside else "no",
                    f.source,
                )
                for f in found
            ),
        ),
        life.sql(_QUERY),
    )


def _counted(count: int) -> str:
    return f"{count} prediction{'' if count == 1 else 's'}"


def _words(q: Reliability, quality: Quality) -> str:
    name = q.moment[0].upper() + q.moment[1:]
    if q.bias is None or q.mean_error is None:
        return f"{name}: {_counted(q.unknown)}, of which no truth is known."
    text = (
        f"{name}: {_counted(q.networks)} with a known truth"
        + (f" ({q.unknown} without)" if q.unknown else "")
        + f", mean error {q.mean_error:.2f} {quality.gain_unit}, bias {quality.gain(q.bias)}"
    )
    if q.rank is not None:
        text += f", rank correlation {q.rank:.2f}"
    if q.inside[1]:
        text += f"; {q.inside[0]} of {q.inside[1]} truths are inside of their intervals"
    return text + "."


def _chart(known: Sequence[Foresight], quality: Quality) -> Chart:
    colours = {BEFORE: FIRST, AT_VERDICT: SECOND, AT_END: FAINT}
    ends = [value for f in known for value in (f.predicted, f.true) if value is not None]
    marks: list[Line | Points] = []
    if ends:
        marks.append(
            Line(
                x=[min(ends), max(ends)],
                y=[min(ends), max(ends)],
                colour=FAINT,
                dash="dash",
                label="as predicted",
            )
        )
    for moment in (AT_END, BEFORE, AT_VERDICT):
        mine = [f for f in known if f.moment == moment]
        if mine:
            marks.append(
                Points(
                    x=[f.predicted for f in mine],
                    y=[f.true for f in mine],
                    low=[f.low for f in mine],
                    high=[f.high for f in mine],
                    lying=True,
                    colours=(colours[moment],),
                    shape="open" if moment == AT_VERDICT else "dot",
                    networks=[f.network for f in mine],
                    text=[f"network {f.network}, {f.epoch} epochs seen" for f in mine],
                    label=moment,
                )
            )
    return Chart(
        "foresight",
        "Predictions and what came true",
        Axis(f"predicted {quality.validation}"),
        Axis(f"came true ({quality.unit})"),
        tuple(marks),
        empty="no prediction whose truth is known",
        square=True,
        height=440,
    )
