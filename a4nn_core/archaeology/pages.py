"""The interactive page of a run: the front and its learning curves, one highlighting the other."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

from a4nn_core.archaeology.picture import (
    WHISKERS,
    Picture,
    Point,
    accuracy_range,
    is_staircase,
    whole_generations,
)
from a4nn_core.jsonable import JsonText
from a4nn_core.metrics import ACCURACY_PERCENT, MFLOPS
from a4nn_core.precision import in_percent
from a4nn_core.printable import html_text
from a4nn_core.vocabulary import NetworkStatus

_FRONT = "#d1495b"
_GREY = "#8a8f98"

# Pointing at a network, in either half, highlights its learning curve.
_HIGHLIGHT = """
var plot = document.getElementById('{plot_id}');
var lines = {};
plot.data.forEach(function (trace, i) {
  if (trace.meta && trace.meta.curve !== undefined) {
    lines[trace.meta.curve] = [i, trace.line.width, trace.line.color, trace.opacity];
  }
});
plot.on('plotly_hover', function (event) {
  var point = event.points[0];
  var network = point.customdata === undefined ? undefined : [].concat(point.customdata)[0];
  var line = lines[network];
  if (line) { Plotly.restyle(plot, {'line.width': 5, 'line.color': '#d1495b', opacity: 1}, [line[0]]); }
});
plot.on('plotly_unhover', function () {
  var all = Object.values(lines);
  if (!all.length) { return; }
  Plotly.restyle(plot, {
    'line.width': all.map(function (l) { return l[1]; }),
    'line.color': all.map(function (l) { return l[2]; }),
    opacity: all.map(function (l) { return l[3]; })
  }, all.map(function (l) { return l[0]; }));
});
"""


Colour = Callable[[int | None], str]


def front_page(shown: Picture) -> str:
    """One HTML page, plotly's code included; it loads nothing."""
    import plotly.graph_objects as go
    from plotly.colors import sample_colorscale
    from plotly.subplots import make_subplots

    first, last = shown.generations

    @cache  # plotly looks through all its colour scales each time
    def colour(generation: int | None) -> str:
        if generation is None:
            return _GREY
        share = (generation - first) / (last - first) if last > first else 1.0
        found: str = sample_colorscale("Viridis", [0.88 * (1 - share)])[0]
        return found

    figure = make_subplots(
        rows=1,
        cols=2,
        column_widths=[0.48, 0.52],
        horizontal_spacing=0.07,
        subplot_titles=("Accuracy against cost", "Learning curves, stops and predictions"),
    )
    front = sorted(shown.front, key=lambda n: (n.flops, n.accuracy_percent))
    if front:
        figure.add_trace(
            go.Scatter(
                x=[n.mflops for n in front],
                y=[n.accuracy_percent for n in front],
                mode="lines+markers" if is_staircase(front) else "markers",
                line={"shape": "hv", "color": _FRONT, "width": 2},
                marker={"symbol": "circle-open", "size": 19, "color": _FRONT, "line": {"width": 2}},
                name="Pareto front",
                hoverinfo="skip",
            ),
            row=1,
            col=1,
        )
    whiskers = shown.whiskers
    if whiskers:
        # a trace of its own, so that a click on its entry in the legend takes them away
        figure.add_trace(
            go.Scatter(
                x=[w.point.mflops for w in whiskers],
                y=[w.point.accuracy_percent for w in whiskers],
                error_y={
                    "type": "data",
                    "symmetric": False,
                    "array": [w.above for w in whiskers],
                    "arrayminus": [w.below for w in whiskers],
                    "color": _GREY,
                    "thickness": 1.2,
                    "width": 4,
                },
                mode="markers",
                marker={"symbol": "line-ns", "size": 9, "line": {"color": _GREY, "width": 1.2}},
                opacity=0.7,
                name=WHISKERS,
                hoverinfo="skip",
            ),
            row=1,
            col=1,
        )
    for status, symbol, label in (
        (NetworkStatus.completed, "circle", "trained to the end"),
        (NetworkStatus.stopped, "diamond", "stopped early"),
    ):
        members = [n for n in shown.points if n.record.status is status]
        if members:
            figure.add_trace(
                go.Scatter(
                    x=[n.mflops for n in members],
                    y=[n.accuracy_percent for n in members],
                    mode="markers",
                    name=label,
                    marker={
                        "symbol": symbol,
                        "size": 11,
                        "color": [colour(n.record.generation) for n in members],
                        "line": {"color": "white", "width": 1},
                    },
                    customdata=[[n.network] for n in members],
                    text=[_about(n, shown) for n in members],
                    hovertemplate="%{text}<extra></extra>",
                ),
                row=1,
                col=1,
            )
    on_front = {n.network for n in shown.front}
    for curve in shown.curves:
        strong = curve.network in on_front
        figure.add_trace(
            go.Scatter(
                x=curve.epochs,
                y=curve.values,
                mode="lines" if len(curve.epochs) > 1 else "markers",
                line={
                    "color": colour(curve.generation),
                    "width": 2.6 if strong else 1.2,
                    "dash": "solid" if curve.finished else "dash",
                },
                opacity=0.95 if strong else 0.5,
                showlegend=False,
                customdata=[[curve.network]] * len(curve.epochs),
                meta={"curve": curve.network},
                text=[in_percent(value, shown.images.validation_error(value)) for value in curve.values],
                hovertemplate=f"network {curve.network}<br>epoch %{{x}}: %{{text}}<extra></extra>",
            ),
            row=1,
            col=2,
        )
    _add_stops(figure, shown, colour)
    _lay_out(figure, shown, colour)
    text: str = figure.to_html(
        include_plotlyjs=True,
        include_mathjax=False,
        full_html=True,
        config={"displaylogo": False, "responsive": True},
        post_script=_HIGHLIGHT,
        default_height="92vh",
    )
    return text.replace("<head>", f"<head><title>{html_text(shown.title)}</title>", 1)


def _add_stops(figure: Any, shown: Picture, colour: Colour) -> None:
    """Where curves were stopped, and what was predicted for the end of the budget."""
    import plotly.graph_objects as go

    stopped = [c for c in shown.curves if c.stopped]
    if stopped:
        figure.add_trace(
            go.Scatter(
                x=[c.epochs[-1] for c in stopped],
                y=[c.values[-1] for c in stopped],
                mode="markers",
                name="stopped here",
                marker={
                    "symbol": "diamond",
                    "size": 9,
                    "color": [colour(c.generation) for c in stopped],
                    "line": {"color": "white", "width": 1},
                },
                customdata=[[c.network] for c in stopped],
                text=[in_percent(c.values[-1], shown.images.validation_error(c.values[-1])) for c in stopped],
                hovertemplate="network %{customdata[0]}<br>stopped at epoch %{x}: %{text}<extra></extra>",
            ),
            row=1,
            col=2,
        )
    predicted = shown.predicted
    if predicted:
        x: list[float | None] = []
        y: list[float | None] = []
        for c in predicted:
            x += [c.epochs[-1], shown.horizon, None]
            y += [c.values[-1], c.predicted, None]
        figure.add_trace(
            go.Scatter(
                x=x,
                y=y,
                mode="lines",
                line={"dash": "dot", "width": 1, "color": _GREY},
                opacity=0.5,
                showlegend=False,
                hoverinfo="skip",
            ),
            row=1,
            col=2,
        )
        figure.add_trace(
            go.Scatter(
                x=[shown.horizon] * len(predicted),
                y=[c.predicted for c in predicted],
                mode="markers",
                name=f"predicted for epoch {shown.horizon}",
                marker={
                    "symbol": "circle-open",
                    "size": 10,
                    "color": [colour(c.generation) for c in predicted],
                    "line": {"width": 2},
                },
                customdata=[[c.network] for c in predicted],
                hovertemplate="network %{customdata[0]}<br>predicted: %{y:.2f} %<extra></extra>",
            ),
            row=1,
            col=2,
        )


def _lay_out(figure: Any, shown: Picture, colour: Colour) -> None:
    import plotly.graph_objects as go

    first, last = shown.generations
    if last > first:  # an invisible point carries the colour bar
        count = last - first + 1
        steps = [[(i + end) / count, colour(first + i)] for i in range(count) for end in (0, 1)]
        figure.add_trace(
            go.Scatter(
                x=[None],
                y=[None],
                mode="markers",
                showlegend=False,
                hoverinfo="skip",
                marker={
                    "color": [first],
                    "cmin": first - 0.5,
                    "cmax": last + 0.5,
                    "colorscale": steps,
                    "showscale": True,
                    "colorbar": {
                        "title": {"text": "generation"},
                        "thickness": 14,
                        "tickvals": whole_generations(first, last),
                    },
                },
            ),
            row=1,
            col=1,
        )
    costs = [n.flops for n in shown.points]
    figure.update_xaxes(
        title_text=MFLOPS.label,
        type="log" if costs and max(costs) > 8 * min(costs) else "linear",
        dtick="D2" if costs and 100 * min(costs) > max(costs) > 8 * min(costs) else None,
        row=1,
        col=1,
    )
    _end_axis(figure, shown.chance_percent, ACCURACY_PERCENT.label, shown.accuracies, 1)
    figure.update_xaxes(title_text="epoch", range=[0.5, shown.horizon * 1.03 + 0.5], row=1, col=2)
    _end_axis(figure, shown.chance_percent, "validation accuracy (%)", shown.measurements, 2)
    figure.update_layout(
        template="plotly_white",
        title={
            "text": "<br>".join(
                [
                    f"<b>{html_text(shown.title)}</b>",
                    *(f"<sup>{html_text(words)}</sup>" for words in (shown.summary, *shown.caption)),
                ]
            ),
            "x": 0.01,
            "font": {"size": 22},
        },
        legend={"orientation": "h", "y": -0.13},
        hoverlabel={"align": "left", "bgcolor": "white", "font": {"color": "#1f2430"}},
        margin={"l": 70, "r": 20, "t": 110 + 22 * len(shown.caption), "b": 80},
        font={"size": 14},
    )


def _end_axis(figure: Any, chance_percent: float | None, title: str, drawn: list[float], column: int) -> None:
    """End an axis of accuracies where accuracies end, with a line at chance level."""
    figure.update_yaxes(title_text=title, range=accuracy_range(drawn), row=1, col=column)
    if chance_percent is not None:
        figure.add_hline(
            chance_percent,
            line={"dash": "dot", "width": 1.2, "color": _GREY},
            annotation={"text": f"chance {chance_percent:.3g} %"},
            row=1,
            col=column,
        )


def _about(point: Point, shown: Picture) -> str:
    """The text shown for the network under the pointer."""
    network, images = point.record, shown.images
    ending = next((ending for ending in shown.endings if ending.network == network.network), None)
    best, test = point.accuracy_percent, network.test_accuracy_percent
    lines = [
        f"<b>network {network.network}</b>, generation {_or_unknown(network.generation)}",
        f"validation {in_percent(best, images.validation_error(best))}"
        + (f", test {in_percent(test, images.test_error(test))}" if test is not None else ""),
        f"{point.mflops:,.1f} M multiply-adds"
        + (f", {network.parameters:,} parameters" if network.parameters is not None else ""),
        f"{_or_unknown(network.epochs_trained)} of {_or_unknown(network.epochs_budget)} epochs",
        *([] if ending is None else [html_text(str(ending))]),
        f"genome {_genome(network.genome)}",
    ]
    return "<br>".join(lines)


def _or_unknown(value: int | None) -> str:
    return "unknown" if value is None else str(value)


def _genome(text: JsonText | None) -> str:
    """A genome short enough for a label: nested lists of bits without their commas."""
    if text is None:
        return "unknown"
    genome = text.value
    parts = [part for part in genome if isinstance(part, list)] if isinstance(genome, list) else []
    if parts and isinstance(genome, list) and len(parts) == len(genome):
        flat = " ".join(
            "".join(str(g) if isinstance(g, int) and g < 10 else f"({g})" for g in part) for part in parts
        )
    else:
        flat = text
    return html_text(flat if len(flat) <= 90 else f"{flat[:87]}...")
