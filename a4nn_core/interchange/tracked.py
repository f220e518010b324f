"""Runs of experiment trackers as networks of one run: what MLflow, Weights & Biases and their like know.

A tracker's run is one training: its parameters become the genome of a network, one of its metrics the
learning curve. Trackers do not say what a metric is: the user names the one to take, or it is found by name.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

from a4nn_core.commons.records import Epoch, Network, best_epoch
from a4nn_core.errors import BadInput
from a4nn_core.interchange.incoming import IncomingNetwork, IncomingRun
from a4nn_core.jsonable import Json, JsonText
from a4nn_core.vocabulary import Direction, NetworkStatus

VALUES = ("auto", "percent", "fraction", "loss")

_PLACES = {
    "train_loss": ("train_loss", "training_loss", "loss"),
    "validation_loss": ("val_loss", "valid_loss", "validation_loss", "eval_loss"),
    "train_accuracy_percent": ("train_acc", "train_accuracy", "training_accuracy", "acc", "accuracy"),
    "learning_rate": ("lr", "learning_rate"),
}
_CURVE = re.compile(r"(val|valid|validation|eval|test)[^a-z0-9]*(top[^a-z0-9]*1[^a-z0-9]*)?acc(uracy)?")


@dataclass(frozen=True)
class TrackedRun:
    """One run of a tracker.

    Attributes:
        key: how the tracker names it.
        name: how people name it.
        status: what became of it; None if it had not ended.
        parameters: what it was configured with.
        metrics: for each metric its (step, value) pairs in the order in which they were logged.
        seconds: how long it took, if that is known.
        started: when it began, if that is known.
        error: why it failed, if it did.
    """

    key: str
    name: str
    status: NetworkStatus | None
    parameters: Mapping[str, Json] = field(default_factory=dict)
    metrics: Mapping[str, Sequence[tuple[int, float]]] = field(default_factory=dict)
    seconds: float | None = None
    started: datetime | None = None
    error: str | None = None


def moment(seconds: float | None) -> datetime | None:
    """A time in seconds since 1970, UTC; None if it is unknown, or no time that there is."""
    if seconds is None:
        return None
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (OverflowError, OSError, ValueError):
        return None


def began(one: TrackedRun) -> tuple[bool, float, str]:
    """What runs are sorted by: the time they began at, those of unknown time last, then their key."""
    return one.started is None, one.started.timestamp() if one.started else 0.0, one.key


def tracked_import(
    runs: Sequence[TrackedRun],
    commons: Path,
    *,
    source: str,
    place: str,
    name: str,
    run: str | None = None,
    metric: str | None = None,
    values: str = "auto",
    notes: Sequence[str] = (),
) -> IncomingRun:
    """Runs of a tracker, ready to be written as one run of a commons.

    Args:
        runs: they, in the order in which they began; those that have not ended are left out.
        commons: folder, created if missing.
        source: name of the tracker.
        place: where they were read from, for notes and messages.
        name: what the run's id is made from.
        run: id of the run; made from ``name`` if None.
        metric: name of the metric that is the learning curve; found by its name if None.
        values: what it is: accuracy in ``percent`` or as a ``fraction``, or ``loss``; ``auto`` decides by its
            name and values.
        notes: further notes.

    Raises:
        BadInput: no run has ended, no metric can be the curve, or the commons has a run of this id.
    """
    if values not in VALUES:
        raise BadInput(f"values cannot be {values!r}; known: {', '.join(VALUES)}")
    ended = [one for one in runs if one.status is not None]
    if not ended:
        raise BadInput(f"{place} has no run that has ended")
    curve = _curve(ended, metric, place)
    kind = _kind(curve, ended, values, place)
    budget = max(len(_latest(one.metrics.get(curve, ()))) for one in ended)
    taken = _places(ended, curve)
    networks = [_network(number, one, curve, kind, budget, taken) for number, one in enumerate(ended)]
    goal: dict[str, Json] = (
        {curve: Direction.minimise} if kind == "loss" else {"error_percent": Direction.minimise}
    )
    return IncomingRun(
        commons,
        run or re.sub("[^A-Za-z0-9._-]", "-", name).lstrip("._-")[:100] or source,
        source,
        "none",
        place,
        networks,
        [*notes, *_notes(runs, ended, curve, kind, taken)],
        experiment={
            "search": {"name": source, "objectives": goal},
            "space": {"name": source},
            "training": {"epochs": budget},
        },
    )


def _curve(runs: Sequence[TrackedRun], metric: str | None, place: str) -> str:
    names = sorted({name for one in runs for name in one.metrics})
    if metric is not None:
        if metric not in names:
            raise BadInput(f"{place} has no metric {metric!r}; metrics there: {_listed(names)}")
        return metric
    found = [name for name in names if _CURVE.search(name.lower())]
    if len(found) != 1:
        which = "no metric looks" if not found else f"{' and '.join(found)} both look"
        raise BadInput(f"{place}: {which} like validation accuracy; name one: --metric, of {_listed(names)}")
    return found[0]


def _listed(names: Sequence[str], most: int = 20) -> str:
    return ", ".join(names[:most]) + (", ..." if len(names) > most else "") or "none"


def _kind(curve: str, runs: Sequence[TrackedRun], values: str, place: str) -> str:
    if values != "auto":
        return values
    if "loss" in curve.lower():
        return "loss"
    seen = [v for one in runs for _, v in one.metrics.get(curve, ()) if math.isfinite(v)]
    if not seen or min(seen) < 0 or max(seen) > 100:
        raise BadInput(
            f"{place}: values of {curve!r} are no accuracies (from {min(seen, default=math.nan):g} to "
            f"{max(seen, default=math.nan):g}); say what they are: --values percent, fraction or loss"
        )
    return "fraction" if max(seen) <= 1 else "percent"


def _latest(points: Sequence[tuple[int, float]]) -> dict[int, float]:
    """The last value that was logged for each step, by step in order."""
    last = dict(points)
    return {step: last[step] for step in sorted(last)}


def _places(runs: Sequence[TrackedRun], curve: str) -> dict[str, str]:
    """Columns of epochs that further metrics have a place in, by name of the column."""
    known = {re.sub("[^a-z0-9]+", "_", name.lower()): name for one in runs for name in one.metrics}
    return {
        column: known[alias]
        for column, aliases in _PLACES.items()
        for alias in reversed(aliases)
        if alias in known and known[alias] != curve
    }


def _network(
    number: int, one: TrackedRun, curve: str, kind: str, budget: int, taken: Mapping[str, str]
) -> IncomingNetwork:
    points = {column: _latest(one.metrics.get(name, ())) for column, name in taken.items()}
    trained = points.get("train_accuracy_percent", {})
    train_scale = 100.0 if max(trained.values(), default=0.0) <= 1 else 1.0
    epochs = []
    for epoch, (step, value) in enumerate(_latest(one.metrics.get(curve, ())).items(), start=1):
        loss = points.get("validation_loss", {}).get(step)
        epochs.append(
            Epoch(
                epoch=epoch,
                train_loss=_finite(points.get("train_loss", {}).get(step)),
                train_accuracy_percent=_finite(trained.get(step), train_scale),
                validation_loss=_finite(value if kind == "loss" else loss),
                validation_accuracy_percent=None
                if kind == "loss"
                else _finite(value, 100.0 if kind == "fraction" else 1.0),
                learning_rate=_finite(points.get("learning_rate", {}).get(step)),
            )
        )
    best = best_epoch(epochs)
    status = one.status
    if status is NetworkStatus.completed and len(epochs) < budget:
        status = NetworkStatus.stopped
    network = Network(
        network=number,
        generation=0,
        position=number,
        genome=JsonText.of(dict(one.parameters)),
        status=status,
        epochs_trained=len(epochs),
        epochs_budget=budget,
        seconds=one.seconds,
        error=one.error,
    )
    losses = [loss for e in epochs if (loss := e.validation_loss) is not None]
    if best is not None and best.validation_accuracy_percent is not None:
        network = replace(
            network,
            best_accuracy_percent=best.validation_accuracy_percent,
            best_epoch=best.epoch,
            last_accuracy_percent=epochs[-1].validation_accuracy_percent,
            fitness={"error_percent": 100 - best.validation_accuracy_percent},
            fitness_source="measured",
        )
    elif kind == "loss" and losses:
        network = replace(network, fitness={curve: min(losses)}, fitness_source="measured")
    return IncomingNetwork(network, epochs)


def _finite(value: float | None, scale: float = 1.0) -> float | None:
    return scale * value if value is not None and math.isfinite(value) else None


def _notes(
    runs: Sequence[TrackedRun],
    ended: Sequence[TrackedRun],
    curve: str,
    kind: str,
    taken: Mapping[str, str],
) -> list[str]:
    what = {
        "percent": "accuracy in percent",
        "fraction": "accuracy as a fraction: 100 times as much is in the columns in percent",
        "loss": "a loss",
    }[kind]
    notes = [f"learning curve: metric {curve!r}, {what}"]
    notes += [f"epochs.{column}: metric {name!r}" for column, name in sorted(taken.items())]
    notes.append("an epoch is a step at which the curve's metric was logged, whatever its number")
    notes.append("parameters are in networks.genome; not recorded at the source: layers, cost, parents")
    notes.append("runs: " + ", ".join(f"{number} is {one.key}" for number, one in enumerate(ended)))
    waiting = [one.key for one in runs if one.status is None]
    if waiting:
        notes.append(f"left out, not ended: {', '.join(waiting)}")
    left = sorted({name for one in ended for name in one.metrics} - {curve, *taken.values()})
    if left:
        notes.append(f"left out, having no place: metrics {', '.join(left)}")
    return notes
