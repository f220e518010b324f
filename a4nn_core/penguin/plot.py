"""Pictures of predictions: curves, what was foreseen after every epoch, where training could have ended."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from a4nn_core.errors import BadInput
from a4nn_core.penguin.engine import PredictionEngine, Step
from a4nn_core.penguin.functions import function
from a4nn_core.penguin.reference import value_at

_CURVE, _FORESEEN, _STOP = "#2b6cb0", "#d1495b", "#3c3f46"
MOST_PANELS = 12


def check_picture(path: Path) -> None:
    """Raise BadInput unless a picture can be made of that name."""
    if path.suffix.lower() not in (".png", ".svg", ".html"):
        raise BadInput(f"--plot {path} must end in .png, .svg or .html")


def plot_traces(
    curves: Mapping[str, Sequence[float]],
    traces: Mapping[str, Sequence[Step]],
    horizon: int,
    path: Path,
    title: str = "",
    fits: Mapping[str, Sequence[tuple[int, float]]] | None = None,
) -> None:
    """Draw a panel a curve, at most twelve, into a file that appears whole or not at all.

    Args:
        curves: values in percent by curve, one an epoch.
        traces: of the same curves.
        horizon: the epoch that is foreseen.
        path: ends in .png, .svg or .html.
        title: over all panels.
        fits: (epoch, value) along what was fitted to the whole curve, see ``fitted``.

    Raises:
        BadInput: another ending, or a file that cannot be written.
    """
    check_picture(path)
    shown = list(curves)[:MOST_PANELS]
    data = {name: _series(curves[name], traces[name], (fits or {}).get(name, ())) for name in shown}
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
    what is not a function, what is foreseen of each epoch to come."""
    told = engine.predict(values, horizon)
    parameters = told.evidence.get("parameters")
    if parameters:
        model = function(told.function)
        drawn = [(e, value_at(model, parameters, model.first + e - 1)) for e in range(1, horizon + 1)]
    else:
        later = range(len(values) + 1, horizon + 1)
        drawn = [(e, v) for e in later if (v := engine.predict(values, e).value) is not None]
    return [(e, v) for e, v in drawn if math.isfinite(v)]


def _series(
    values: Sequence[float], steps: Sequence[Step], fit: Sequence[tuple[int, float]]
) -> dict[str, Any]:
    told = [s for s in steps if s.prediction.value is not None]
    ranged = [s for s in told if s.prediction.low is not None]
    stop = next((s for s in steps if s.converged), None)
    return {
        "epochs": list(range(1, len(values) + 1)),
        "values": list(values),
        "told": [s.epoch for s in told],
        "foreseen": [s.prediction.value for s in told],
        "ranged": [s.epoch for s in ranged],
        "low": [s.prediction.low for s in ranged],
        "high": [s.prediction.high for s in ranged],
        "stop": stop.epoch if stop else None,
        "fit_epochs": [e for e, _ in fit],
        "fit": [v for _, v in fit],
    }


def _limits(data: Mapping[str, Any]) -> tuple[float, float]:
    """What the axis shows: the measured values, and predictions that can be an accuracy."""
    known = [v for v in [*data["values"], *data["foreseen"], *data["low"], *data["high"]] if 0 <= v <= 100]
    low, high = min(known, default=0.0), max(known, default=100.0)
    margin = max(0.05 * (high - low), 0.5)
    return low - margin, high + margin


def _still(panels: Mapping[str, Mapping[str, Any]], horizon: int, path: Path, title: str) -> None:
    from matplotlib.figure import Figure

    across = min(3, len(panels))
    down = -(-len(panels) // across)
    figure = Figure(figsize=(4.6 * across, 3.2 * down + 0.4), layout="constrained")
    grid = figure.subplots(down, across, squeeze=False)
    for axes in grid.flat[len(panels) :]:
        axes.set_visible(False)
    for axes, (name, data) in zip(grid.flat, panels.items(), strict=False):
        if data["ranged"]:
            axes.fill_between(
                data["ranged"],
                data["low"],
                data["high"],
                color=_FORESEEN,
                alpha=0.15,
                lw=0,
                label="90 % interval",
            )
        axes.plot(data["epochs"], data["values"], "-o", ms=3, color=_CURVE, label="measured")
        axes.plot(
            data["told"],
            data["foreseen"],
            "--",
            lw=1.2,
            color=_FORESEEN,
            label=f"foreseen for epoch {horizon}",
        )
        if data["fit"]:
            axes.plot(data["fit_epochs"], data["fit"], lw=1, color=_STOP, alpha=0.7, label="newest fit")
        if data["stop"]:
            axes.axvline(
                data["stop"], color=_STOP, lw=1, ls=":", label=f"agreement after epoch {data['stop']}"
            )
        axes.set_title(str(name)[-40:], fontsize=9)
        axes.set_xlim(0.5, horizon + 0.5)
        axes.set_ylim(*_limits(data))
        axes.set_xlabel("epoch")
        axes.set_ylabel("accuracy (%)")
        axes.legend(fontsize=7)
    figure.suptitle(title, fontsize=10)
    figure.savefig(path, dpi=150)


def _interactive(panels: Mapping[str, Mapping[str, Any]], horizon: int, path: Path, title: str) -> None:
    import plotly.graph_objects as go
    from plotly.subplots import make_subplots

    across = min(3, len(panels))
    down = -(-len(panels) // across)
    figure = make_subplots(rows=down, cols=across, subplot_titles=[str(n)[-40:] for n in panels])
    for i, data in enumerate(panels.values()):
        where = {"row": i // across + 1, "col": i % across + 1}
        first = i == 0
        if data["ranged"]:
            figure.add_trace(
                go.Scatter(
                    x=[*data["ranged"], *reversed(data["ranged"])],
                    y=[*data["high"], *reversed(data["low"])],
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
                x=data["epochs"],
                y=data["values"],
                mode="lines+markers",
                line={"color": _CURVE},
                name="measured",
                showlegend=first,
            ),
            **where,
        )
        figure.add_trace(
            go.Scatter(
                x=data["told"],
                y=data["foreseen"],
                mode="lines",
                line={"color": _FORESEEN, "dash": "dash"},
                name=f"foreseen for epoch {horizon}",
                showlegend=first,
            ),
            **where,
        )
        if data["fit"]:
            figure.add_trace(
                go.Scatter(
                    x=data["fit_epochs"],
                    y=data["fit"],
                    mode="lines",
                    line={"color": _STOP, "width": 1},
                    name="newest fit",
                    showlegend=first,
                ),
                **where,
            )
        if data["stop"]:
            figure.add_vline(data["stop"], line={"color": _STOP, "dash": "dot", "width": 1}, **where)
        figure.update_xaxes(range=[0.5, horizon + 0.5], title="epoch", **where)
        figure.update_yaxes(range=list(_limits(data)), title="accuracy (%)", **where)
    figure.update_layout(title=title, template="simple_white", height=320 * down + 100)
    figure.write_html(path, include_plotlyjs=True)
