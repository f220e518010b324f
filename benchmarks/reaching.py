"""How much training does a search need to reach the front of another one?

    python benchmarks/reaching.py COMMONS BASELINE RUN...

BASELINE is a run that trained every network to the end, such as a plain NSGA-Net search without termination.
Epochs of each run are taken in the order in which they were trained; after every epoch the front of what has
been measured so far is compared with the baseline's final front, by the hypervolume in (error, multiply-adds)
up to the worst corner of that front. Its members are reached when for every one of them a network at no more
cost has been measured that is at most one standard error worse.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from a4nn_core.commons import Commons
from a4nn_core.precision import standard_error


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


def hypervolume(members: Sequence[tuple[float, float]], worst: tuple[float, float]) -> float:
    """Area between a front and a corner (cost, accuracy)."""
    area, reached = 0.0, worst[1]
    for place, (cost, accuracy) in enumerate(members):
        following = members[place + 1][0] if place + 1 < len(members) else worst[0]
        reached = max(reached, accuracy)
        area += max(0.0, min(following, worst[0]) - cost) * (reached - worst[1])
    return area


def is_reached(
    wanted: Sequence[tuple[float, float]], have: Sequence[tuple[float, float]], images: int | None
) -> bool:
    """Whether every member has a rival at no more cost that is no more than one standard error worse."""
    return all(
        max((a for c, a in have if c <= cost), default=0.0)
        >= accuracy - (standard_error(accuracy, images) or 0.0)
        for cost, accuracy in wanted
    )


def main() -> None:
    """Print one line per run."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("commons", type=Path)
    parser.add_argument("baseline")
    parser.add_argument("runs", nargs="+")
    given = parser.parse_args()
    commons = Commons(given.commons)
    whole = life(commons, given.baseline)
    images = commons.run(given.baseline).images.validation
    wanted = front(whole)
    worst = (wanted[-1][0] * 1.1, wanted[0][1] - 1.0)
    volume = hypervolume(wanted, worst)
    columns = ["run", "networks", "epochs", "FLOP-epochs, %", "hypervolume", "95 % of it after, %"]
    columns += ["all of it after, %", "members after, %", "best, %"]
    print(f"| {' | '.join(columns)} |")
    print("|---" * len(columns) + "|")
    for run in (given.baseline, *given.runs):
        points = life(commons, run)
        fronts = [front(points[: n + 1]) for n in range(len(points))]
        shares = [hypervolume(members, worst) / volume for members in fronts]
        met = (is_reached(wanted, members, images) for members in fronts)

        def spent(place: int | None, points: Sequence[Point] = points) -> str:
            return "never" if place is None else f"{100 * points[place].spent / whole[-1].spent:.1f}"

        cells = [run, str(len({p.network for p in points})), str(len(points)), spent(len(points) - 1)]
        cells += [f"{shares[-1]:.3f}", *(spent(first(s >= share for s in shares)) for share in (0.95, 1.0))]
        print(f"| {' | '.join([*cells, spent(first(met)), f'{max(p.accuracy for p in points):.2f}'])} |")


def first(met: Iterable[bool]) -> int | None:
    """Place of the first that is true."""
    return next((place for place, true in enumerate(met) if true), None)


if __name__ == "__main__":
    main()
