"""``a4nn predict``: PENGUIN on anybody's learning curves."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from a4nn_core.cli.options import JsonOption, print_json, say

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from a4nn_core.penguin.engine import Step


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
    horizon: Annotated[
        int | None, typer.Option(help="Epoch to predict; the longest curve's last if not given.")
    ] = None,
    schedule: Annotated[
        str | None, typer.Option(help="What is known of the learning rate: annealed or constant.")
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
    from a4nn_core.penguin.engine import make_engine

    settings: dict[str, Any] = {}
    for option, value in (("schedule", schedule), ("curves", measured)):
        if value is not None:
            if engine != "a4nn":
                raise BadInput(f"--{option} is for the engine a4nn, not {engine!r}")
            settings[option] = value
    made = make_engine(engine, function=function, **settings)
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
    for name, steps in traces.items():
        if steps[-1].prediction.value is None:
            say(f"curve {name!r}: no prediction, {_why(steps[-1].prediction.status, read[name])}")
    if plot is not None:
        from a4nn_core.penguin.plot import MOST_PANELS, fitted, plot_traces

        fits = {name: fitted(made, read[name][:last], last) for name in list(read)[:MOST_PANELS]}
        plot_traces(read, traces, last, plot, f"engine {engine}, horizon {last}", fits)
        if len(read) > MOST_PANELS:
            say(f"{plot} shows the first {MOST_PANELS} of {len(read)} curves")
    if as_json:
        print_json({"curves": [_document(name, steps) for name, steps in traces.items()]})
        return
    _table(read, traces, last)


def _why(status: str, values: Sequence[float]) -> str:
    """A sentence's end for a prediction that is not there."""
    if status == "not_finite":
        epoch = next(e for e, v in enumerate(values, 1) if not math.isfinite(v))
        return f"epoch {epoch} has no finite value"
    return {
        "too_few_points": f"the engine needs more than its {len(values)} epochs",
        "evaluation_limit": "the fit did not converge",
        "undefined": "the function has no value at some epoch",
    }.get(status, status.replace("_", " "))


def _document(name: str, steps: Sequence[Step]) -> dict[str, Any]:
    newest = steps[-1].prediction
    return {
        "curve_id": name,
        "predicted": newest.value,
        "low": newest.low,
        "high": newest.high,
        "function": newest.function,
        "status": newest.status,
        "converged_at": next((s.epoch for s in steps if s.converged), None),
        "history": [
            {"epoch": s.epoch, "predicted": s.prediction.value, "converged": s.converged} for s in steps
        ],
    }


def _table(curves: Mapping[str, Sequence[float]], traces: Mapping[str, Sequence[Step]], horizon: int) -> None:
    width = max(8, *(len(name) for name in curves))
    typer.echo(f"{'curve':{width}}  epochs    last  at {horizon:<4}  90 % interval    agreed at  rests on")
    for name, values in curves.items():
        document = _document(name, traces[name])
        predicted, low, high = (document[key] for key in ("predicted", "low", "high"))
        shown = "none" if predicted is None else f"{predicted:.2f}"
        interval = "" if low is None else f"{low:.2f} to {high:.2f}"
        agreed = document["converged_at"] or "-"
        rests = document["function"] if predicted is not None else document["status"]
        start = f"{name:{width}}  {len(values):6}  {values[-1]:6.2f}"
        typer.echo(f"{start}  {shown:>7}  {interval:15}  {agreed:>9}  {rests}")
