"""What the pictures of a run show, gathered from a commons."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from a4nn_core.commons.saved import Epochs
from a4nn_core.commons.stored import setting
from a4nn_core.precision import Images, in_percent
from a4nn_core.vocabulary import NetworkStatus

if TYPE_CHECKING:
    from a4nn_core.commons import Commons

MOST_WHISKERS = 40


@dataclass(frozen=True)
class Curve:
    """One network's learning curve.

    Attributes:
        network: number.
        generation: None if unknown.
        epochs, values: epochs from 1 and validation accuracy in percent.
        stopped: its rule ended it before the budget.
        predicted: what the last verdict expected at the end of the budget, percent, None if it had no say.
        finished: has final records.
    """

    network: int
    generation: int | None
    epochs: list[int]
    values: list[float]
    stopped: bool
    predicted: float | None
    finished: bool


@dataclass(frozen=True)
class Whisker:
    """One standard error to either side of a network's best validation accuracy.

    Attributes:
        point: the row of ``networks``.
        below, above: points; no accuracy is below 0 % or above 100 %.
    """

    point: dict[str, Any]
    below: float
    above: float


@dataclass
class Picture:
    """What the figures of one run show.

    Attributes:
        run: its id.
        title, summary: above the figures.
        horizon: last epoch of the budget.
        points: rows of ``networks`` that were trained and whose cost is known.
        front: those of them on the Pareto front.
        failed, finished: how many networks did.
        curves: learning curves, also of networks in training.
        images: that accuracies were measured on.
    """

    run: str
    title: str
    summary: str
    horizon: int
    points: list[dict[str, Any]] = field(default_factory=list)
    front: list[dict[str, Any]] = field(default_factory=list)
    failed: int = 0
    finished: int = 0
    curves: list[Curve] = field(default_factory=list)
    images: Images = field(default_factory=Images)

    @property
    def generations(self) -> tuple[int, int]:
        """First and last generation."""
        known = [c.generation for c in self.curves if c.generation is not None]
        known += [p["generation"] or 0 for p in self.points]
        return (min(known), max(known)) if known else (0, 0)

    @property
    def whiskers(self) -> list[Whisker]:
        """Of the points; where they are many, of those on the front only, as all would hide one another."""
        shown = self.points if len(self.points) <= MOST_WHISKERS else self.front
        errors = [(p, self.images.validation_error(p["best_accuracy_percent"])) for p in shown]
        return [Whisker(p, *_reach(p["best_accuracy_percent"], se)) for p, se in errors if se is not None]

    def band(self, curve: Curve) -> list[tuple[float, float]]:
        """One standard error to either side of a curve, percent; empty if it is not known."""
        errors = [self.images.validation_error(value) for value in curve.values]
        return [
            (value - below, value + above)
            for value, se in zip(curve.values, errors, strict=True)
            if se is not None
            for below, above in [_reach(value, se)]
        ]

    @property
    def foretold(self) -> list[Curve]:
        """Curves that ended early, or go on, with a prediction that can be an accuracy."""
        return [
            c
            for c in self.curves
            if c.predicted is not None and 0 <= c.predicted <= 100 and (c.stopped or not c.finished)
        ]


def _reach(accuracy_percent: float, se_points: float) -> tuple[float, float]:
    return min(se_points, accuracy_percent), min(se_points, 100 - accuracy_percent)


def picture(commons: Commons, run: str) -> Picture:
    """Gather what the figures of a run show.

    Raises:
        BadInput: the commons has no such run.
    """
    header = commons.run(run)
    networks = commons.networks(run)
    epochs = commons.epochs(run)
    asked = {e["network"]: e["generation"] for e in commons.events(run) if e["network"] is not None}
    rows = {n["network"]: n for n in networks}
    budgets = [n["epochs_budget"] for n in networks if n["epochs_budget"]]
    planned = setting(json.loads(header["experiment"] or "{}"), "training", "epochs") or 1
    horizon = max([*budgets, *(e["epoch"] for e in epochs), planned])
    images = Images.of(header["dataset_details"])
    by_network: dict[int, list[dict[str, Any]]] = {}
    for row in epochs:
        if row["validation_accuracy_percent"] is not None:
            by_network.setdefault(row["network"], []).append(row)
    curves = []
    for number, mine in sorted(by_network.items()):
        final = rows.get(number)
        curves.append(
            Curve(
                network=number,
                generation=final["generation"] if final else asked.get(number),
                epochs=[r["epoch"] for r in mine],
                values=[r["validation_accuracy_percent"] for r in mine],
                stopped=bool(final and final["status"] == "stopped"),
                predicted=final["predicted_accuracy_percent"] if final else mine[-1]["predicted"],
                finished=final is not None,
            )
        )
    trained = [
        n
        for n in networks
        if n["status"] in ("completed", "stopped")
        and n["equal_to"] is None
        and n["best_accuracy_percent"] is not None
        and n["flops"]
    ]
    return Picture(
        run=run,
        title=header["name"] or run,
        summary=_summary(header, networks, epochs, images),
        horizon=horizon,
        points=trained,
        front=[n for n in commons.front(run) if n["network"] in {t["network"] for t in trained}],
        failed=sum(n["status"] == "failed" for n in networks),
        finished=sum(n["status"] in ("completed", "stopped") for n in networks),
        curves=curves,
        images=images,
    )


def _summary(
    header: dict[str, Any], networks: list[dict[str, Any]], epochs: list[dict[str, Any]], images: Images
) -> str:
    best = max((a for n in networks if (a := n["best_accuracy_percent"]) is not None), default=None)
    trained = [n for n in networks if n["epochs_trained"] and n["equal_to"] is None]
    had = Epochs.of(networks)
    failed = sum(n["status"] == "failed" for n in networks)
    outside = sum(n["status"] == NetworkStatus.infeasible for n in networks)
    parts = [
        f"data: {header['dataset']}" if header["dataset"] else "",
        f"{len(trained)} network{'' if len(trained) == 1 else 's'} trained",
        f"{failed} failed" if failed else "",
        f"{outside} outside the bounds" if outside else "",
        f"best {in_percent(best, images.validation_error(best))}" if best is not None else "",
        f"{had.trained} of {had.budget} epochs ({had.saved_percent:.0f} % saved)"
        if had.trained
        else f"{len(epochs)} epochs",
        "" if header["status"] == "completed" else str(header["status"]),
    ]
    return "  ·  ".join(part for part in parts if part)
