"""How much training does a search need to reach the front of another one?

    python benchmarks/reaching.py COMMONS BASELINE RUN...
    python benchmarks/reaching.py COMMONS --study plain a4nn prior="a4nn, with prior" --figure F.png

BASELINE is a run that trained every network to the end, such as a plain NSGA-Net search without termination.
Epochs of each run are taken in the order in which they were trained; after every epoch the front of what has
been measured so far is compared with the baseline's final front, by the hypervolume in (error, multiply-adds)
up to the worst corner of that front. Its members are reached when for every one of them a network at no more
cost has been measured that is at most one standard error worse.

With --study, runs are named VARIANT-BEAM-SEED, and those of the first variant are the baselines of the runs
of the same beam and seed: the table has the median and the range over seeds of each variant and beam. What
stands after = is what table and figure call a variant.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from a4nn_core.commons import Commons
from a4nn_core.hypervolume import hypervolume
from a4nn_core.precision import standard_error
from a4nn_core.vocabulary import RunStatus


@dataclass(frozen=True)
class Point:
    """What has been measured after one more epoch of training.

    Attributes:
        spent: multiply-adds for one image times epochs, over all networks so far.
        seconds: training time so far, of all networks together.
        epochs: number of epochs so far.
        network: number of the network that was trained.
        mflops: its cost.
        accuracy: its accuracy after this epoch, in percent.
    """

    spent: float
    seconds: float
    epochs: int
    network: int
    mflops: float
    accuracy: float


def life(commons: Commons, run: str) -> list[Point]:
    """Every epoch of a run in the order of time."""
    rows = commons.sql(
        "select network, n.flops, e.validation_accuracy_percent, e.seconds from epochs e "
        f"join networks n using (run, network) where run = '{run}' order by e.time, network, epoch"
    ).fetchall()
    found: list[Point] = []
    spent = seconds = 0.0
    for count, (network, flops, accuracy, took) in enumerate(rows, start=1):
        spent += flops / 1e6
        seconds += took or 0.0
        found.append(Point(spent, seconds, count, network, flops / 1e6, accuracy))
    return found


def front(points: Sequence[Point]) -> list[tuple[float, float]]:
    """(cost, accuracy) of the networks that no other beats at no more cost, the cheapest first."""
    best: dict[float, float] = {}
    for point in points:
        best[point.mflops] = max(best.get(point.mflops, 0.0), point.accuracy)
    kept: list[tuple[float, float]] = []
    for cost, accuracy in sorted(best.items()):
        if not kept or accuracy > kept[-1][1]:
            kept.append((cost, accuracy))
    return kept


def volume_of(members: Sequence[tuple[float, float]], worst: tuple[float, float]) -> float:
    """Area between a front and a corner, all of them (cost, accuracy)."""
    return hypervolume([(cost, -accuracy) for cost, accuracy in members], (worst[0], -worst[1]))


def is_reached(
    wanted: Sequence[tuple[float, float]], have: Sequence[tuple[float, float]], images: int | None
) -> bool:
    """Whether every member has a rival at no more cost that is no more than one standard error worse."""
    return all(
        max((a for c, a in have if c <= cost), default=0.0)
        >= accuracy - (standard_error(accuracy, images) or 0.0)
        for cost, accuracy in wanted
    )


@dataclass(frozen=True)
class Reach:
    """A run beside its baseline. Amounts of training are shares of the baseline's, in percent; None: never.

    Attributes:
        networks, epochs: that were trained.
        flops, seconds: all its training, in multiply-adds times epochs and in seconds.
        volume: hypervolume of its final front relative to the baseline's.
        nearly, whole: training after which 95 % and all of the baseline's hypervolume was reached.
        whole_seconds: the same as whole, in seconds.
        members: training after which every member of the baseline's front was reached.
        best: best validation accuracy, percent.
        test: test accuracy of that network, which nothing was selected by; None if it was not measured.
        curve: (training, share of the baseline's hypervolume) after each epoch.
    """

    networks: int
    epochs: int
    flops: float
    seconds: float
    volume: float
    nearly: float | None
    whole: float | None
    whole_seconds: float | None
    members: float | None
    best: float
    test: float | None
    curve: tuple[tuple[float, float], ...]


def reach(commons: Commons, baseline: str, run: str) -> Reach:
    """Compare a run with its baseline."""
    total, points = life(commons, baseline), life(commons, run)
    images = commons.run(baseline).images.validation
    tested = {n.network: n.test_accuracy_percent for n in commons.networks(run)}
    wanted = front(total)
    worst = (wanted[-1][0] * 1.1, wanted[0][1] - 1.0)
    volume = volume_of(wanted, worst)
    fronts = [front(points[: n + 1]) for n in range(len(points))]
    shares = [volume_of(members, worst) / volume for members in fronts]
    spent = [100 * p.spent / total[-1].spent for p in points]
    seconds = [100 * p.seconds / total[-1].seconds for p in points]
    nearly, whole = (first(share >= wanted for share in shares) for wanted in (0.95, 1.0))
    members = first(is_reached(wanted, have, images) for have in fronts)

    def at(place: int | None, amounts: Sequence[float]) -> float | None:
        return None if place is None else amounts[place]

    return Reach(
        len({p.network for p in points}),
        len(points),
        spent[-1],
        seconds[-1],
        shares[-1],
        at(nearly, spent),
        at(whole, spent),
        at(whole, seconds),
        at(members, spent),
        max(p.accuracy for p in points),
        tested[max(points, key=lambda p: p.accuracy).network],
        tuple(zip(spent, shares, strict=True)),
    )


COLUMNS = {
    "networks": "networks",
    "epochs": "epochs",
    "nearly": "95 % of the hypervolume after, %",
    "whole": "all of it after, %",
    "whole_seconds": "in seconds, %",
    "members": "every member after, %",
    "flops": "training in all, %",
    "volume": "hypervolume in the end",
    "best": "best, %",
    "test": "its test accuracy, %",
}
"""fields of Reach that the table has, and what it calls them"""


def said(name: str, values: Sequence[float | None]) -> str:
    """The median of some values and their range; one that was never reached is greater than any other."""
    known = sorted(float("inf") if value is None else value for value in values)
    digits = {"networks": 0, "epochs": 0, "volume": 3, "best": 2, "test": 2}.get(name, 1)
    told = ["never" if value == float("inf") else f"{value:.{digits}f}" for value in known]
    middle = told[(len(told) - 1) // 2]
    return middle if len(told) == 1 else f"{middle} ({told[0]} to {told[-1]})"


def rows(found: Mapping[str, Sequence[Reach]]) -> list[str]:
    """Lines of the table."""
    lines = [f"| run | {' | '.join(COLUMNS.values())} |", "|---" * (1 + len(COLUMNS)) + "|"]
    for label, reached in found.items():
        cells = [said(name, [getattr(r, name) for r in reached]) for name in COLUMNS]
        lines.append(f"| {' | '.join([label, *cells])} |")
    return lines


def study(commons: Commons, variants: Sequence[str]) -> dict[str, list[Reach]]:
    """Every completed run of a study beside its baseline, by variant and beam."""
    names = {name for name in commons.runs() if commons.run(name).status is RunStatus.completed}
    first_variant = variants[0].partition("=")[0]
    found: dict[str, list[Reach]] = {}
    for variant, _, label in (text.partition("=") for text in variants):
        for run in sorted(names):
            head, *case = run.rsplit("-", 2)
            baseline = "-".join([first_variant, *case])
            if head == variant and len(case) == 2 and baseline in names:
                found.setdefault(f"{label or variant}: {case[0]}", []).append(reach(commons, baseline, run))
    return found


def draw(found: Mapping[str, Sequence[Reach]], file: Path) -> None:
    """The share of the baseline's hypervolume after so much training, by variant: the median over all runs,
    and their middle half as a band."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 5), dpi=150, layout="constrained")
    axes = figure.subplots()
    amounts = np.geomspace(1, 100, 200)
    for variant in dict.fromkeys(label.rpartition(":")[0] for label in found):
        curves = [r.curve for label, some in found.items() if label.startswith(f"{variant}:") for r in some]
        shares = np.array([[_reached(curve, amount) for amount in amounts] for curve in curves])
        low, middle, high = np.quantile(shares, (0.25, 0.5, 0.75), axis=0)
        (line,) = axes.plot(amounts, 100 * middle, label=f"{variant} ({len(curves)} runs)")
        axes.fill_between(amounts, 100 * low, 100 * high, color=line.get_color(), alpha=0.15, linewidth=0)
    axes.axhline(100, color="#8a8f98", linewidth=1, linestyle=":")
    axes.set(
        xscale="log",
        xlabel="training (% of that of the plain search)",
        ylabel="hypervolume (% of that of its front)",
        ylim=(0, None),
    )
    axes.xaxis.set_major_formatter("{x:g}")
    axes.grid(color="#e6e8ec")
    axes.legend(frameon=False)
    figure.savefig(file)


def _reached(curve: Sequence[tuple[float, float]], amount: float) -> float:
    return max((share for spent, share in curve if spent <= amount), default=0.0)


def first(met: Iterable[bool]) -> int | None:
    """Place of the first that is true."""
    return next((place for place, true in enumerate(met) if true), None)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("commons", type=Path)
    parser.add_argument("runs", nargs="*", help="the baseline, then runs to compare with it")
    parser.add_argument("--study", nargs="+", metavar="VARIANT[=LABEL]", help="runs: VARIANT-BEAM-SEED")
    parser.add_argument("--figure", type=Path, help="also draw the study")
    given = parser.parse_args()
    commons = Commons(given.commons)
    if given.study:
        found: Mapping[str, Sequence[Reach]] = study(commons, given.study)
    else:
        found = {run: [reach(commons, given.runs[0], run)] for run in given.runs}
    print("\n".join(rows(found)))
    if given.figure:
        draw(found, given.figure)


if __name__ == "__main__":
    main()
