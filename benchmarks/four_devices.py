"""How much sooner do four devices end the published search? The effects of devices and of stopping apart.

    OPENBLAS_NUM_THREADS=1 python benchmarks/four_devices.py --data $A4NN_REFERENCE_DATA

The runs without termination recorded no times. An epoch takes what a line in multiply-adds, fitted to the
epochs of the same beam's run with termination, says; times the factor that makes one device take the
published wall time. Lines of ``front`` are fitted without the beam. Writes Markdown to the standard output.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
from forecasts import BEAMS, IMAGES, published, without
from misleading import FittedFront

from a4nn_core.cli.importing import macro_127
from a4nn_core.commons import Commons
from a4nn_core.interchange.icpp23 import import_icpp23
from a4nn_core.replay.histories import RunHistory, read_history
from a4nn_core.replay.laboratory import Replayed, replay
from a4nn_core.termination import RULES

DEVICES = 4


def timed(data: Path, beam: str, commons: Path) -> tuple[RunHistory, float]:
    """A published run without termination, with times of epochs; and the share of its wall time that the line
    alone says."""
    tables = data / "icpp23/1gpu"
    import_icpp23(tables / f"no_early_termination/1gpu_{beam}_training_data.csv", commons, macro_127, beam)
    history = read_history(Commons(commons), beam, IMAGES)
    rows = pd.read_csv(tables / f"early_termination/1gpu_{beam}_stopping_training_data.csv")
    known = rows.groupby("arch").agg(mflops=("flops", "first"), seconds=("epoch_times", "median"))
    slope, constant = np.polyfit(known.mflops, known.seconds, 1)
    each = [float(constant + slope * one.mflops) for one in history.networks]
    factor = wall_time(data, beam, 1) / (history.epochs * sum(each))
    networks = tuple(
        replace(one, seconds=(factor * seconds,) * history.epochs)
        for one, seconds in zip(history.networks, each, strict=True)
    )
    return replace(history, networks=networks, modelled_seconds=False), 1 / factor


def wall_time(data: Path, beam: str, devices: int) -> float:
    """Published seconds of the run without termination."""
    rows = pd.read_csv(data / "icpp23/time_to_run.csv")
    chosen = (rows.gpu == devices) & (rows.dataset == int(beam[2:])) & ~rows.stopping
    return float(rows.total_seconds[chosen].item())


def rows(beam: str, history: RunHistory, front: FittedFront, wall: float, four: float) -> Iterator[str]:
    """Lines of the table."""

    def row(rule: str, devices: int, schedule: str, one: Replayed) -> str:
        cells = [beam, rule, str(devices), schedule, f"{one.epochs_saved_percent:.0f}"]
        cells += [f"{one.seconds / 3600:.1f}", f"{wall / one.seconds:.1f}"]
        cells += [f"{one.device_use_percent:.0f}", f"{one.front_regret_se:.1f}"]
        return f"| {' | '.join(cells)} |"

    none = RULES.make("none", "rule")
    hours, times = four / 3600, wall / four
    yield f"| {beam} | none, as published | 4 | generational | 0 | {hours:.1f} | {times:.1f} | | 0.0 |"
    wider = front.model_copy(update={"at_once": DEVICES})
    both, several = (1, DEVICES), (DEVICES,)
    for name, rule, clusters in (
        ("none", none, both),
        ("`front`", front, both),
        ("at_once 4", wider, several),
    ):
        for devices in clusters:
            for schedule in ("generational", "steady"):
                done = replay(history, rule, devices=devices, steady=schedule == "steady")
                yield row(name, devices, schedule, done)


HEADER = (
    "| beam | rule | devices | schedule | epochs saved, % | hours | times as fast | devices busy, % "
    "| regret in s.e. |"
)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--data", type=Path, required=True)
    asked = options.parse_args()
    runs = {beam: published(asked.data, beam) for beam in BEAMS}
    print(HEADER)
    print("|---" * HEADER.count(" |") + "|")
    shares = []
    for beam in BEAMS:
        with tempfile.TemporaryDirectory() as folder:
            history, share = timed(asked.data, beam, Path(folder))
        front = FittedFront.of(without(runs, beam)[1])
        wall, four = (wall_time(asked.data, beam, devices) for devices in (1, DEVICES))
        print(*rows(beam, history, front, wall, four), sep="\n", flush=True)
        shares.append(f"{share:.2f}")
    print("\nwall time by the line alone, of the published one:", ", ".join(shares))


if __name__ == "__main__":
    main()
