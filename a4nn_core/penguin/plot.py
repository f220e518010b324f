"""Pictures of predictions: curves, what was predicted after every epoch, where training could have ended."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from a4nn_core.errors import BadInput
from a4nn_core.penguin.base import EpochPrediction, PredictionEngine
from a4nn_core.penguin.functions import function
from a4nn_core.printable import html_text, printable

_CURVE, _PREDICTED, _STOP = "#2b6cb0", "#d1495b", "#3c3f46"
MOST_PANELS = 12


def check_picture(path: Path) -> None:
    """Raise BadInput unless a picture can be made of that name."""
    if path.suffix.lower() not in (".png", ".svg", ".html"):
        raise BadInput(f"--plot {path} must end in .png, .svg or .html")


def plot_traces(
    curves: Mapping[str, Sequence[float]],
    traces: Mapping[str, Sequence[EpochPrediction]],
    horizon: int,
    path: Path,
    title: str = "",
    fits: Mapping[str, Sequence[tuple[int, float]]] | None = None,
) -> None:
    """Draw one panel per curve, at most twelve, into a file that appears whole or not at all.

    Args:
        curves: values in percent by curve, one per epoch.
        traces: the predictions after every epoch, for the same curves.
        horizon: the epoch that is predicted.
        path: ends in .png, .svg or .html.
        title: shown above all panels.
        fits: (epoch, value) along what was fitted to the whole curve, see ``fitted``.

    Raises:
        BadInput: ``path`` has another ending or cannot be written.
    """
    check_picture(path)
    shown = list(curves)[:MOST_PANELS]
    data = {name: _panel(curves[name], traces[name], (fits or {}).get(name, ())) for name in shown}
    whole = path.with_name(f".{path.stem}.{os.getpid()}{path.suffix}")
    try:
        if path.suffix.lower() == ".html":
            _interactive(data, horizon, whole, title)
        else:
            _still(data, horizon, whole, title)
        whole.replace(path)
    except OSError as error:
        raise BadInput(f"--plot {path} cannot be written: {error.strerror or error}") from None
    finally:
        whole.unlink(missing_ok=True)


def fitted(engine: PredictionEngine, values: Sequence[float], horizon: int) -> list[tuple[int, float]]:
    """(epoch, value) along the newest fit: a parametric function from the first epoch to the horizon, or, for
    what is not a function, what is predicted for each epoch to come."""
    newest = engine.predict(values, horizon)
    if newest.fit is not None and newest.fit.parameters:
        model, parameters = function(newest.function), newest.fit.parameters
        drawn = [(e, model.value_at(parameters, newest.first + e - 1)) for e in range(1, horizon + 1)]
    else:
        later = range(len(values) + 1, horizon + 1)
        drawn = [(e, v) for e in later if (v := engine.predict(values, e).value) is not None]
    return [(e, v) for e, v in drawn if math.isfinite(v)]


@dataclass(frozen=True)
class _Panel:
    """What is drawn of one curve: points of equal number in ``epochs`` and ``values``, and so on."""

    epochs: list[int]
    values: list[float]
    predicted_at: list[int]
    predicted: list[float]
    ranged_at: list[int]
    low: list[float]
    high: list[float]
    stop: int | None
    fit_epochs: list[int]
    fit: list[float]


def _panel(
    values: Sequence[float], trace: Sequence[EpochPrediction], fit: Sequence[tuple[int, float]]
) -> _Panel:
    predicted = [(s.epoch, s.prediction.value) for s in trace if s.prediction.value is not None]
    ranged = [(s.epoch, *s.prediction.interval) for s in trace if s.prediction.interval is not None]
    return _Panel(
        epochs=list(range(1, len(values) + 1)),
        values=list(values),
        predicted_at=[epoch for epoch, _ in predicted],
        predicted=[value for _, value in predicted],
        ranged_at=[epoch for epoch, _, _ in ranged],
        low=[low for _, low, _ in ranged],
        high=[high for _, _, high in ranged],
        stop=next((s.epoch for s in trace if s.converged), None),
        fit_epochs=[epoch for epoch, _ in fit],
        fit=[value for _, value in fit],
    )


def _limits(data: _Panel) -> tuple[float, float]:
    """What the axis shows: the measured values, and predictions that can be an accuracy."""
    known = [v for v in [*data.values, *data.predicted, *data.low, *data.high] if 0 <= v <= 100]
    low, high = min(known, default=0.0), max(known, default=100.0)
    margin = max(0.05 * (high - low), 0.5)
    return low - margin, high + margin


def _still(panels: Mapping[str, _Panel], horizon: int, path: Path, title: str) -> None:
    from matplotlib.figure import Figure

    across = min(3, len(panels))
    down = -(-len(panels) // across)
    figure = Figure(figsize=(4.6 * across, 3.2 * down + 0.4), layout="constrained")
    grid = figure.subplots(down, across, squeeze=False)
    for axes in grid.flat[len(panels) :]:
        axes.set_visible(False)
    for axes, (name, data) in zip(grid.flat, panels.items(), strict=False):
        if data.ranged_at:
            axes.fill_between(
                data.ranged_at,
                data.low,
                data.high,
                color=_PREDICTED,
                alpha=0.15,
                lw=0,
                label="90 % interval",
            )
        axes.plot(data.epochs, data.values, "-o", ms=3, color=_CURVE, label="measured")
        axes.plot(
            data.predicted_at,
            data.predicted,
            "--",
            lw=1.2,
            color=_PREDICTED,
            label=f"predicted for epoch {horizon}",
        )
        if data.fit:
            axes.plot(data.fit_epochs, data.fit, lw=1, color=_STOP, alpha=0.7, label="newest fit")
        if data.stop:
            axes.axvline(data.stop, color=_STOP, lw=1, ls=":", label=f"agreement after epoch {data.stop}")
        axes.set_title(printable(name)[-40:], fontsize=9, parse_math=False)
        axes.set_xlim(0.5, horizon + 0.5)
        axes.set_ylim(*_limits(data))
        axes.set_xlabel("epoch")
        axes.set_ylabel("accuracy (%)")
        axes.legend(fontsize=7)
    figure.suptitle(printable(title), fontsize=10, parse_math=False)
    figure.savefig(path, dpi=150)


def _interactive(panels: Mapping[str, _Panel], horizon: int, path: Path, title: str) -> None:
    import plotly.graph_objects as go
    from plotly.subplots import make_subplots

    across = min(3, len(panels))
    down = -(-len(panels) // across)
    figure = make_subplots(rows=down, cols=across, subplot_titles=[html_text(str(n)[-40:]) for n in panels])
    for i, data in enumerate(panels.values()):
        where = {"row": i // across + 1, "col": i % across + 1}
        first = i == 0
        if data.ranged_at:
            figure.add_trace(
                go.Scatter(
                    x=[*data.ranged_at, *reversed(data.ranged_at)],
                    y=[*data.high, *reversed(data.low)],
                    fill="toself",
                    line={"width": 0},
                    fillcolor="rgba(209,73,91,0.15)",
                    name="90 % interval",
                    showlegend=first,
                    hoverinfo="skip",
                ),
                **where,
            )
        figure.add_trace(
            go.Scatter(
                x=data.epochs,
                y=data.values,
                mode="lines+markers",
                line={"color": _CURVE},
                name="measured",
                showlegend=first,
            ),
            **where,
        )
        figure.add_trace(
            go.Scatter(
                x=data.predicted_at,
                y=data.predicted,
                mode="lines",
                line={"color": _PREDICTED, "dash": "dash"},
                name=f"predicted for epoch {horizon}",
                showlegend=first,
            ),
            **where,
        )
        if data.fit:
            figure.add_trace(
                go.Scatter(
                    x=data.fit_epochs,
                    y=data.fit,
                    mode="lines",
                    line={"color": _STOP, "width": 1},
                    name="newest fit",
                    showlegend=first,
                ),
                **where,
            )
        if data.stop:
            figure.add_vline(data.stop, line={"color": _STOP, "dash": "dot", "width": 1}, **where)
        figure.update_xaxes(range=[0.5, horizon + 0.5], title="epoch", **where)
        figure.update_yaxes(range=list(_limits(data)), title="accuracy (%)", **where)
    figure.update_layout(title=html_text(title), template="simple_white", height=320 * down + 100)
    figure.write_html(path, include_plotlyjs=True)
