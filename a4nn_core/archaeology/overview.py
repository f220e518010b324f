"""The run in one picture: score against cost with the front, and the learning curves behind it."""

from __future__ import annotations

from a4nn_core.archaeology.chart import Axis, Band, Chart, Exhibit, Level, Line, Mark, Points, Scale, Table
from a4nn_core.archaeology.life import Life
from a4nn_core.archaeology.picture import (
    INTERVALS,
    WHISKERS,
    Curve,
    Picture,
    cost_floor,
    is_staircase,
)
from a4nn_core.archaeology.style import FAINT, FRONT
from a4nn_core.metrics import MFLOPS
from a4nn_core.vocabulary import NetworkStatus

_QUERY = """
select n.network, n.generation, n.status, n.flops / 1e6 as mflops, n.parameters,
       n.best_{score}, n.test_{score}, n.predicted_low, n.predicted_high,
       n.epochs_trained, n.epochs_budget, f.network is not null as on_front
from networks n left join front f on f.run = n.run and f.network = n.network
where n.run = '{run}'
order by n.network"""

_CURVES = """
select network, epoch, validation_{score}, predicted, predicted_low, predicted_high
from epochs
where run = '{run}'
order by network, epoch"""


def front_exhibit(life: Life) -> Exhibit:
    """Score against cost: every trained network, the front, and how sure both are."""
    shown, quality, images = life.picture, life.quality, life.header.images
    words = [
        "Each point is a network, darker the later its generation. Circles that are filled were trained to "
        "the end, with one standard error to either side; open ones were stopped, with the interval in which "
        f"their {quality.noun} was predicted to end.",
        *shown.caption,
    ]
    if shown.failed:
        words.append(f"{shown.failed} networks failed and are not shown.")
    rows = [
        (
            *(n.network, n.generation, None if n.status is None else str(n.status)),
            *(None if n.flops is None else n.flops / 1e6, n.parameters),
            *(n.best_score, n.score(images).error),
            *(n.test_score(images).value, n.epochs_trained, "front" if n.network in life.front else ""),
        )
        for n in life.networks.values()
    ]
    columns = (
        *("network", "generation", "status", "multiply-adds (millions)", "parameters"),
        *(quality.best_validation, f"standard error ({quality.gain_unit})"),
        *(f"test {quality.noun} ({quality.unit})", "epochs", "front"),
    )
    return Exhibit(
        "front",
        "What did the search find?",
        tuple(words),
        (front_chart(shown),),
        Table(columns, tuple(rows)),
        life.sql(_QUERY),
    )


def curves_exhibit(life: Life) -> Exhibit:
    """The learning curves, where they were stopped and what was predicted."""
    rows = [
        (e.network, e.epoch, e.validation_score, e.predicted, e.predicted_low, e.predicted_high)
        for those in life.epochs.values()
        for e in those
    ]
    unit = life.quality.unit
    columns = (
        *("network", "epoch", life.quality.validation),
        *(f"predicted ({unit})", f"from ({unit})", f"to ({unit})"),
    )
    return Exhibit(
        "curves",
        "How did networks learn?",
        (
            "Thick lines are the front. An open circle at the end of a line is where training was stopped; "
            "the square it leads to is what was predicted for the last epoch.",
        ),
        (curves_chart(life.picture),),
        Table(columns, tuple(rows)),
        life.sql(_CURVES),
    )


def generations(shown: Picture) -> Scale:
    """The colours of generations."""
    first, last = shown.generations
    return Scale("generation", first, last, whole=True)


def front_chart(shown: Picture) -> Chart:
    """Best validation score of every trained network against its cost."""
    scale = generations(shown)
    front = sorted(shown.front, key=lambda n: (n.flops, n.score))
    costs = [point.mflops for point in shown.points]
    floor = cost_floor(costs) if costs else 0.0
    marks: list[Mark] = []
    if shown.chance_percent is not None:
        marks.append(Level(value=shown.chance_percent, words=f"chance {shown.chance_percent:.3g} %"))
    if len(front) > 1 and is_staircase(front):
        x, y = [max(n.mflops, floor) for n in front], [n.score for n in front]
        marks.append(Line(x=x, y=y, colour=FRONT, width=2, step=True))
    ends = {w.point.network: (w.point.score - w.below, w.point.score + w.above) for w in shown.whiskers}
    ends |= {one.point.network: (one.low, one.high) for one in shown.intervals}
    for status, label in (
        (NetworkStatus.completed, f"trained to the end, {WHISKERS}"),
        (NetworkStatus.stopped, INTERVALS if shown.intervals else "stopped early"),
    ):
        members = [point for point in shown.points if point.record.status is status]
        if members:
            whiskers = [ends.get(point.network, (None, None)) for point in members]
            marks.append(
                Points(
                    label=label,
                    x=[max(p.mflops, floor) for p in members],
                    y=[p.score for p in members],
                    colours=[scale.colour(p.generation) for p in members],
                    shape="open" if status is NetworkStatus.stopped else "dot",
                    low=[low for low, _ in whiskers],
                    high=[high for _, high in whiskers],
                    networks=[p.network for p in members],
                    text=["costs far less, drawn at the edge" if p.mflops < floor else "" for p in members],
                )
            )
    if front:
        marks.append(
            Points(
                label="Pareto front",
                x=[max(n.mflops, floor) for n in front],
                y=[n.score for n in front],
                colours=(FRONT,),
                shape="ring",
                size=17,
                networks=[n.network for n in front],
            )
        )
    wide = bool(costs) and max(costs) > 8 * max(min(costs), floor)
    return Chart(
        "front",
        f"{shown.quality.heading} against cost",
        Axis(MFLOPS.label, scale="log" if wide else "linear"),
        Axis(shown.quality.best_validation, range=shown.quality.axis(shown.scores)),
        tuple(marks) if shown.points else (),
        scale if scale.high > scale.low else None,
        f"no network has a known cost and {shown.quality.noun}"
        if shown.finished
        else "no network has finished yet",
    )


def curves_chart(shown: Picture) -> Chart:
    """Validation score by epoch of every network."""
    scale = generations(shown)
    front = {point.network for point in shown.front}
    marks: list[Mark] = []
    if shown.chance_percent is not None:
        marks.append(Level(value=shown.chance_percent, words=f"chance {shown.chance_percent:.3g} %"))
    for curve in shown.curves:
        marks += _curve(shown, curve, scale, curve.network in front)
    stopped = [curve for curve in shown.curves if curve.stopped]
    if stopped:
        marks.append(
            Points(
                label="stopped here",
                x=[curve.epochs[-1] for curve in stopped],
                y=[curve.values[-1] for curve in stopped],
                colours=[scale.colour(curve.generation) for curve in stopped],
                shape="open",
                size=8,
                networks=[curve.network for curve in stopped],
            )
        )
    predicted = [(c, c.predicted) for c in shown.predicted if c.predicted is not None]
    if predicted:
        for curve, end in predicted:
            marks.append(
                Line(
                    x=[curve.epochs[-1], shown.horizon],
                    y=[curve.values[-1], end],
                    colour=FAINT,
                    width=1,
                    dash="dot",
                    network=curve.network,
                    strength=0.6,
                )
            )
        marks.append(
            Points(
                label=f"predicted for epoch {shown.horizon}",
                x=[shown.horizon for _ in predicted],
                y=[end for _, end in predicted],
                colours=[scale.colour(curve.generation) for curve, _ in predicted],
                shape="hollow",
                size=7,
                networks=[curve.network for curve, _ in predicted],
            )
        )
    return Chart(
        "curves",
        "Learning curves",
        Axis("epoch", range=(0.5, shown.horizon * 1.03 + 0.5), whole=True),
        Axis(shown.quality.validation, range=shown.quality.axis(shown.measurements)),
        tuple(marks) if shown.curves else (),
        scale if scale.high > scale.low else None,
        "no learning curve was recorded" if shown.finished else "no epoch has ended yet",
    )


def _curve(shown: Picture, curve: Curve, scale: Scale, strong: bool) -> list[Mark]:
    colour = scale.colour(curve.generation)
    marks: list[Mark] = []
    band = shown.band(curve) if strong and len(curve.epochs) > 1 else []
    if band:
        low, high = zip(*band, strict=True)
        marks.append(
            Band(x=curve.epochs, low=low, high=high, colour=colour, strength=0.15, network=curve.network)
        )
    if len(curve.epochs) == 1:
        alone = (curve.network,)
        return [*marks, Points(x=curve.epochs, y=curve.values, colours=(colour,), networks=alone, size=5)]
    marks.append(
        Line(
            x=curve.epochs,
            y=curve.values,
            colour=colour,
            width=2.6 if strong else 1.2,
            dash="solid" if curve.finished else "dash",
            strength=0.95 if strong else 0.5,
            network=curve.network,
        )
    )
    return marks
