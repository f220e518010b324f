"""``a4nn predict``: PENGUIN on any learning curves."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypedDict

import typer

from a4nn_core.cli.options import JsonOption, print_json, say, tell
from a4nn_core.printable import printable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from a4nn_core.penguin.base import EpochPrediction, Prediction


def predict(
    curves: Annotated[
        Path,
        typer.Argument(
            metavar="CURVES.csv", help="Columns curve_id, epoch (from 1) and accuracy (in percent)."
        ),
    ],
    engine: Annotated[str, typer.Option(help="a4nn, or a published one: icpp23, tpds22.")] = "a4nn",
    function: Annotated[
        str | None,
        typer.Option(help='Parametric function by name, or an expression such as "a - b*exp(-c*x)".'),
    ] = None,
    fitter: Annotated[
        str | None,
        typer.Option(help="Fitter of the engine icpp23: lm (compiled), or scipy for the published numbers."),
    ] = None,
    horizon: Annotated[
        int | None, typer.Option(help="Epoch to predict; default: the last epoch of the longest curve.")
    ] = None,
    schedule: Annotated[
        str | None, typer.Option(help="Learning-rate schedule, if known: annealed or constant.")
    ] = None,
    measured: Annotated[
        str | None,
        typer.Option("--curves", help="What the curves measure: as-trained weights, or averaged ones."),
    ] = None,
    plot: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Draw the curves into a .png, .svg or .html file.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Predict the final accuracy of learning curves, epoch by epoch."""
    from a4nn_core.errors import BadInput
    from a4nn_core.penguin.curves import read_curves
    from a4nn_core.penguin.engines import ENGINES, make_engine

    fields = ENGINES.component(engine).model_fields
    for option, value in (("fitter", fitter), ("schedule", schedule), ("curves", measured)):
        if value is not None and option not in fields:
            able = [name for name in ENGINES.names() if option in ENGINES.component(name).model_fields]
            raise BadInput(f"--{option} is for the engine {' or '.join(able)}, not {engine!r}")
    made = make_engine(engine, function=function, fitter=fitter, schedule=schedule, curves=measured)
    if plot is not None:
        from a4nn_core.penguin.plot import check_picture

        check_picture(plot)
    read = read_curves(curves)
    last = max(len(values) for values in read.values()) if horizon is None else horizon
    if last < 1:
        raise BadInput(f"--horizon {last} is below 1")
    for name, values in read.items():
        if len(values) > 1 and max((v for v in values if v == v), default=100.0) <= 1.0:
            say(f"curve {name!r} never exceeds 1: are its values fractions? They are read as percent.")
    traces = {name: made.trace(values[:last], last) for name, values in read.items()}
    for name, trace in traces.items():
        if trace[-1].prediction.value is None:
            say(f"curve {name!r}: no prediction, {_why(trace[-1].prediction, read[name])}")
    if plot is not None:
        from a4nn_core.penguin.plot import MOST_PANELS, fitted, plot_traces

        fits = {name: fitted(made, read[name][:last], last) for name in list(read)[:MOST_PANELS]}
        plot_traces(read, traces, last, plot, f"engine {engine}, horizon {last}", fits)
        if len(read) > MOST_PANELS:
            say(f"{plot} shows the first {MOST_PANELS} of {len(read)} curves")
    if as_json:
        print_json({"curves": [_document(name, trace) for name, trace in traces.items()]})
        return
    _table(read, traces, last)


def _why(prediction: Prediction, values: Sequence[float]) -> str:
    """Why there is no prediction, as the end of a message."""
    from a4nn_core.penguin.status import Status

    if prediction.status == Status.not_finite:
        epoch = next(e for e, v in enumerate(values, 1) if not math.isfinite(v))
        return f"epoch {epoch} has no finite value"
    return {
        Status.too_few_points: f"the engine needs more than its {len(values)} epochs",
        Status.evaluation_limit: "the fit did not converge",
        Status.undefined: "the function has no value at some epoch",
    }.get(prediction.status, prediction.status.replace("_", " "))


class _History(TypedDict):
    epoch: int
    predicted: float | None
    converged: bool


class _Document(TypedDict):
    """One curve in the output of ``--json``."""

    curve_id: str
    predicted: float | None
    low: float | None
    high: float | None
    function: str
    status: str
    converged_at: int | None
    history: list[_History]


def _document(name: str, trace: Sequence[EpochPrediction]) -> _Document:
    newest = trace[-1].prediction
    return {
        "curve_id": name,
        "predicted": newest.value,
        "low": newest.low,
        "high": newest.high,
        "function": newest.function,
        "status": newest.status,
        "converged_at": _converged_at(trace),
        "history": [
            {"epoch": s.epoch, "predicted": s.prediction.value, "converged": s.converged} for s in trace
        ],
    }


def _converged_at(trace: Sequence[EpochPrediction]) -> int | None:
    return next((s.epoch for s in trace if s.converged), None)


def _table(
    curves: Mapping[str, Sequence[float]], traces: Mapping[str, Sequence[EpochPrediction]], horizon: int
) -> None:
    names = {name: printable(name) for name in curves}
    width = max(8, *map(len, names.values()))
    tell(f"{'curve':{width}}  epochs    last  at {horizon:<4}  90 % interval    agreed at  rests on")
    for name, values in curves.items():
        newest = traces[name][-1].prediction
        shown = "none" if newest.value is None else f"{newest.value:.2f}"
        interval = "" if newest.interval is None else "{:.2f} to {:.2f}".format(*newest.interval)
        agreed = _converged_at(traces[name]) or "-"
        rests = newest.function if newest.value is not None else newest.status
        start = f"{names[name]:{width}}  {len(values):6}  {values[-1]:6.2f}"
        tell(f"{start}  {shown:>7}  {interval:15}  {agreed:>9}  {rests}")
