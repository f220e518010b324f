"""What is a network worth? The performance predictor. What the rule ``front`` makes of it: stopping.py.

    python benchmarks/forecasts.py --data $A4NN_REFERENCE_DATA          # tables for docs/penguin.md
    python benchmarks/forecasts.py --data $A4NN_REFERENCE_DATA --fit    # prints the lines of the package
    python benchmarks/forecasts.py --data $A4NN_REFERENCE_DATA --time
    python benchmarks/forecasts.py --data $A4NN_REFERENCE_DATA --restored    # curves in decibels

Lines are fitted without the beam that is judged. Networks 21 to 100 of each published run are judged by those
before them, anew after every ten. The law is the one of the package. Networks that restore images are judged
run by run, the second half of each by the first, with the lines of the package, which are not fitted to them.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import astuple
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.stats import kendalltau

from a4nn_core.penguin.engines import make_engine
from a4nn_core.penguin.measure import Accuracy, Decibels, Kind
from a4nn_core.penguin.observed import Observed, Past
from a4nn_core.penguin.predictor import EarlierRuns, PerformancePredictor
from a4nn_core.penguin.slopes import Slopes, fit_slopes
from a4nn_core.spaces.features import architecture_features
from a4nn_core.spaces.macro import Macro

BEAMS = ("1e14", "1e15", "1e16")
HORIZON, IMAGES, GENERATION, FIRST = 25, 15_876, 10, 20
SHARES = {"0": 0, "12": 3, "25": 6, "50": 12, "75": 19}
"""percent of a curve, and the epochs of it"""
AS_TRAINED = (0.04, 0.08, 0.12, 0.16, 0.24, 0.32, 0.4, 0.48, 0.56, 0.64, 0.72, 0.8, 0.88, 1.0)
AVERAGED = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
OWN = Path(__file__).resolve().parents[1] / "tests/data/averaged_curves.csv"
OWN_IMAGES = {"digits": 450, "quick": 1000}
RESTORED = Path(__file__).resolve().parents[1] / "tests/data/restored_curves.csv"
RESTORED_SHARES = (0.125, 0.25, 0.375, 0.5, 0.625, 0.75, 0.875)


def published(data: Path, beam: str) -> Past:
    """The hundred networks of a published run without early termination."""
    rows = pd.read_csv(data / f"icpp23/1gpu/no_early_termination/1gpu_{beam}_training_data.csv")
    networks = []
    for _, group in rows.groupby("arch"):
        ordered = group.sort_values("epoch")
        architecture = Macro().decode(json.loads(ordered.genome.iloc[0]), (1, 128, 128), 2)
        features = architecture_features(architecture)
        networks.append(Observed(features, tuple(ordered.val_accs), tuple(ordered.train_accs)))
    return Past(beam, HORIZON, Accuracy(IMAGES), "as-trained", tuple(networks))


def own() -> list[Past]:
    """The curves of averaged weights in tests/data."""
    runs = []
    for (source, seed), rows in pd.read_csv(OWN).groupby(["source", "seed"]):
        groups = [group.sort_values("epoch") for _, group in rows.groupby("network")]
        networks = [Observed({}, tuple(g.validation_percent), tuple(g.train_percent)) for g in groups]
        images = OWN_IMAGES[source.rstrip("0123456789")]
        runs.append(
            Past(f"{source}-{seed}", networks[0].epochs, Accuracy(images), "averaged", tuple(networks))
        )
    return runs


def restored() -> list[Past]:
    """The curves of networks that restore images in tests/data."""
    runs = []
    for run, rows in pd.read_csv(RESTORED).groupby("run"):
        networks = []
        for _, group in rows.groupby("network"):
            ordered = group.sort_values("epoch")
            features = {"log_flops": float(np.log(ordered.flops.iloc[0]))}
            networks.append(Observed(features, tuple(ordered.validation_db), tuple(ordered.train_db)))
        measure = Decibels(rows.error_db.iloc[0], rows.expected_db.iloc[0])
        runs.append(Past(str(run), networks[0].epochs, measure, "averaged", tuple(networks)))
    return runs


def judged_restored(runs: Sequence[Past]) -> None:
    """Print how far forecasts of ratios are off, in decibels, and Kendall's tau, by share of the curve."""
    print(
        "| what is known | " + " | ".join(f"{100 * share:g} %" for share in RESTORED_SHARES) + " | inside |"
    )
    print("|---" * (len(RESTORED_SHARES) + 2) + "|")
    for label, with_finished in (
        ("best so far", None),
        ("its curve", False),
        ("and finished networks", True),
    ):
        cells, inside, count = [], 0, 0
        for share in RESTORED_SHARES:
            wrong, taus = [], []
            for run in runs:
                half = len(run.networks) // 2
                known, new = (run.networks[:half] if with_finished else ()), run.networks[half:]
                seen = [after(network, max(1, round(share * run.horizon))) for network in new]
                ends = [max(network.validation) for network in new]
                told = [network.best or 0.0 for network in seen]
                if with_finished is not None:
                    predictor = PerformancePredictor(known, run.horizon, run.measure, run.curves)
                    found = predictor.predict(seen)
                    told = [forecast.value for forecast in found]
                    inside += sum(
                        f.interval[0] - 0.005 <= end <= f.interval[1] + 0.005
                        for f, end in zip(found, ends, strict=True)
                    )
                    count += len(found)
                wrong += [abs(value - end) for value, end in zip(told, ends, strict=True)]
                taus.append(kendalltau(told, ends)[0])
            cells.append(f"{np.mean(wrong):.2f}, {np.nanmean(taus):.2f}")
        print(f"| {label} | {' | '.join(cells)} | {f'{100 * inside / count:.0f}' if count else '-'} |")


def after(network: Observed, epochs: int) -> Observed:
    """A network as it was after so many epochs."""
    return Observed(network.features, network.validation[:epochs], network.training[:epochs])


def without(runs: Mapping[str, Past], beam: str) -> tuple[list[Past], dict[Kind, Slopes]]:
    """The other runs, and lines fitted to them."""
    others = [run for name, run in runs.items() if name != beam]
    return others, {"as-trained": fit_slopes(others, AS_TRAINED)}


Predict = Callable[[Sequence[Observed], Sequence[Observed]], list[tuple[float, float, float]]]
"""Networks that are known, and those to be judged; value and interval of each of these."""


def methods(runs: Mapping[str, Past], beam: str) -> dict[str, Predict]:
    """What is compared, by name."""
    others, slopes = without(runs, beam)
    past = EarlierRuns(others, slopes)
    engine = make_engine("a4nn", schedule="annealed")

    def gaussian(features: bool, curves: bool, earlier: EarlierRuns | None = None) -> Predict:
        def predict(known: Sequence[Observed], new: Sequence[Observed]) -> list[tuple[float, float, float]]:
            if not features:
                known = [Observed({}, n.validation, n.training) for n in known]
                new = [Observed({}, n.validation, n.training) for n in new]
            if not curves:
                new = [after(n, 0) for n in new]
            predictor = PerformancePredictor(
                known, HORIZON, Accuracy(IMAGES), past=earlier or (), slopes=slopes
            )
            return [(f.value, *f.interval) for f in predictor.predict(new)]

        return predict

    def law(known: Sequence[Observed], new: Sequence[Observed]) -> list[tuple[float, float, float]]:  # noqa: ARG001
        found = [engine.predict(n.validation, HORIZON) for n in new]
        return [(p.value or np.nan, p.low or np.nan, p.high or np.nan) for p in found]

    def best(known: Sequence[Observed], new: Sequence[Observed]) -> list[tuple[float, float, float]]:  # noqa: ARG001
        return [(n.best or np.nan, np.nan, np.nan) for n in new]

    return {
        "best so far": best,
        "error law": law,
        "architecture alone": gaussian(True, False),
        "curves alone": gaussian(False, True),
        "the predictor": gaussian(True, True),
        "and earlier runs": gaussian(True, True, past),
    }


def forecasts(runs: Mapping[str, Past]) -> None:
    """Error, rank and coverage of every method."""
    print("| what is known | " + " | ".join(f"{share} %" for share in SHARES) + " | inside |")
    print("|---|" + "---|" * (len(SHARES) + 1))
    table: dict[str, dict[str, list[str]]] = {}
    for beam, run in runs.items():
        for name, predict in methods(runs, beam).items():
            inside: list[bool] = []
            for share, epochs in SHARES.items():
                if not epochs and name in ("best so far", "error law", "curves alone"):
                    continue
                found, truth = [], []
                for start in range(FIRST, len(run.networks), GENERATION):
                    new = run.networks[start : start + GENERATION]
                    found += predict(run.networks[:start], [after(n, epochs) for n in new])
                    truth += [max(n.validation) for n in new]
                value, low, high = np.array(found).T
                # no prediction after too few epochs counts as none
                cell = f"{np.abs(value - truth).mean():.2f}, {kendalltau(value, truth)[0]:.2f}"
                table.setdefault(name, {}).setdefault(share, []).append(
                    "-" if np.isnan(value).any() else cell
                )
                inside += ((low - 0.005 <= truth) & (truth <= high + 0.005))[~np.isnan(low)].tolist()
            table[name].setdefault("inside", []).append(f"{100 * np.mean(inside):.0f}" if inside else "-")
    for name, cells in table.items():
        row = [" / ".join(cells[key]) if key in cells else "-" for key in (*SHARES, "inside")]
        print(f"| {name} | " + " | ".join(row) + " |")


def timed(runs: Mapping[str, Past]) -> None:
    """Median milliseconds of a refit to 200 finished networks, and of a prediction."""
    known = [n for beam in BEAMS[:2] for n in runs[beam].networks]
    new = runs[BEAMS[2]].networks
    for epochs in (0, 2, 12):
        fits, predictions = [], []
        for _ in range(9):
            predictor = PerformancePredictor(known, HORIZON, Accuracy(IMAGES))
            started = time.perf_counter()
            predictor.predict([after(new[0], epochs)])
            fitted = time.perf_counter()
            for forecast in predictor.predict([after(n, epochs) for n in new]):
                forecast.interval  # noqa: B018
            fits.append(fitted - started)
            predictions.append((time.perf_counter() - fitted) / len(new))
        print(
            f"{epochs} epochs: {len(known)} finished networks fitted in {1e3 * np.median(fits):.1f} ms, "
            f"a prediction with its interval takes {1e3 * np.median(predictions):.3f} ms"
        )


def printed(slopes: Slopes) -> str:
    """As in the source."""
    lines = {n: ", ".join(f"Line{astuple(x)}" for x in getattr(slopes, n)) for n in ("both", "alone")}
    return f"Slopes({slopes.fractions}, ({lines['both']}), ({lines['alone']}))"


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--data", type=Path, required=True)
    for name in ("fit", "time", "restored"):
        options.add_argument(f"--{name}", action="store_true")
    asked = options.parse_args()
    runs = {beam: published(asked.data, beam) for beam in BEAMS}
    if asked.fit:
        print('"as-trained":', printed(fit_slopes(list(runs.values()), AS_TRAINED)))
        print('"averaged":', printed(fit_slopes(own(), AVERAGED)))
    elif asked.restored:
        judged_restored(restored())
    elif asked.time:
        timed(runs)
    else:
        forecasts(runs)


if __name__ == "__main__":
    main()
