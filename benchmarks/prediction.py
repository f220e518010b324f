"""How well are final values predicted? The engines beside the trivial predictions, on curves not tuned on.

    python benchmarks/prediction.py --data $A4NN_REFERENCE_DATA [--fit] [--published]

Each beam of the published runs (300 networks trained to the end) is judged by a law fitted without that beam,
every other source by one fitted without that source, and once more the published runs by one fitted without
any of them. --fit prints the coefficients of the package, fitted to all sources; --published adds the
published engine, which takes SciPy a few minutes.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.optimize import minimize
from scipy.stats import kendalltau
from sklearn.linear_model import QuantileRegressor

from a4nn_core.penguin.batch import fit_many
from a4nn_core.penguin.engine import make_engine
from a4nn_core.penguin.functions import FUNCTIONS
from a4nn_core.penguin.law import Band, ErrorLaw, learn_from, log_error, value_of

BOUNDS = (0.0, 100.0)
FRACTIONS = (0.1, 0.15, 0.25, 0.4, 0.5, 0.6, 0.75, 0.9)
SHOWN = (0.25, 0.5, 0.75)
A_SOURCE = 120  # at most so many curves of one source, drawn once


def read(data: Path) -> list[tuple[str, np.ndarray]]:
    """(source, curve); every beam of the published runs is a source. Curves without learning are left out."""
    rng = np.random.default_rng(0)
    sources: dict[str, list[np.ndarray]] = {}
    for path in sorted((data / "icpp23/1gpu/no_early_termination").glob("*.csv")):
        for _, rows in pd.read_csv(path).groupby("arch"):
            sources.setdefault("icpp23 " + path.name.split("_")[1], []).append(
                rows.sort_values("epoch").val_accs.to_numpy()
            )
    meta = pd.read_csv(data / "curves/meta.csv").set_index("curve_id")
    for name, rows in pd.read_csv(data / "curves/curves.csv.gz").groupby("curve_id", sort=False):
        if meta.learned[name] and len(rows) >= 8:
            sources.setdefault(meta.source[name], []).append(
                rows.sort_values("epoch").val_accuracy.to_numpy()
            )
    out = []
    for source, curves in sources.items():
        chosen = (
            range(len(curves))
            if len(curves) <= A_SOURCE
            else sorted(rng.choice(len(curves), A_SOURCE, replace=False))
        )
        out += [(source, curves[i]) for i in chosen]
    return out


def table(curves: list[tuple[str, np.ndarray]]) -> pd.DataFrame:
    """One row a prefix."""
    rows = []
    for number, (source, curve) in enumerate(curves):
        for fraction in FRACTIONS:
            k, n = max(3, round(fraction * len(curve))), len(curve)
            if k < n:
                rows.append((source, number, fraction, k, n, curve[:k].max(), curve[k - 1], curve[-1]))
    d = pd.DataFrame(rows, columns=["source", "curve", "fraction", "k", "n", "best", "last", "final"])
    d["ahead"] = np.log(d.n / d.k)
    d["log_error"] = log_error(d.best, BOUNDS)
    d["log_final"] = log_error(d.final, BOUNDS)
    # every source and fraction counts the same, in units of what "best so far" misses by; tiny ones less
    off = (d.best - d.final).abs().groupby([d.source, d.fraction]).transform("mean") + 0.5
    size = d.groupby(["source", "fraction"]).final.transform("size")
    d["weight"] = np.where(size < 50, 0.1, 1.0) / (off * size)
    d["share"] = np.where(size < 50, 0.1, 1.0) / size
    return d


def fit_law(d: pd.DataFrame) -> ErrorLaw:
    """The law with the least weighted absolute error."""
    e, ahead, final, w = (d[c].to_numpy() for c in ("log_error", "ahead", "final", "weight"))

    def loss(b: np.ndarray) -> float:
        return float(np.sum(w * np.abs(value_of(ErrorLaw(*b).foresee(e, ahead), BOUNDS) - final)))

    starts = ((-1.0, -0.3, 0.0), (0.0, -0.3, 0.0), (0.5, -0.3, 0.0))
    best = min(
        (minimize(loss, s, method="Nelder-Mead", options={"maxiter": 1500}) for s in starts),
        key=lambda r: r.fun,
    )
    return ErrorLaw(*(round(float(b), 3) for b in best.x))


def fit_band(d: pd.DataFrame, law: ErrorLaw) -> Band:
    """Quantile regression of what the law misses by, at 5 and 95 %, each source counting the same."""
    miss = d.log_final - law.foresee(d.log_error, d.ahead)
    terms = np.column_stack([d.ahead, d.ahead / (1 + np.exp(d.log_error))])
    ends = []
    for share in (0.05, 0.95):
        r = QuantileRegressor(quantile=share, alpha=0.0).fit(terms, miss, sample_weight=d.share)
        ends.append((round(float(r.intercept_), 3), *(round(float(c), 3) for c in r.coef_)))
    return Band(ends[0], ends[1])


def judged(d: pd.DataFrame, family: bool) -> pd.DataFrame:
    """Predictions and intervals by laws that never saw the source (with family: no published run)."""
    out = d.copy()
    for source in d.source.unique():
        left_out = (
            d.source.str.startswith("icpp23")
            if family and source.startswith("icpp23")
            else d.source == source
        )
        law = fit_law(d[~left_out])
        band = fit_band(d[~left_out], law)
        rows = d.index[d.source == source]
        foreseen = law.foresee(d.log_error[rows], d.ahead[rows])
        ends = np.array([band.of(e, a) for e, a in zip(d.log_error[rows], d.ahead[rows], strict=True)])
        out.loc[rows, "law"] = value_of(foreseen, BOUNDS)
        out.loc[rows, "low"] = value_of(foreseen + ends[:, 1], BOUNDS)
        out.loc[rows, "high"] = value_of(foreseen + ends[:, 0], BOUNDS)
    return out


def with_functions(d: pd.DataFrame, curves: list[tuple[str, np.ndarray]]) -> pd.DataFrame:
    """The median of all functions that keep to the bounds, not below the best value so far."""
    from a4nn_core.penguin.combine import extrapolate

    d = d.copy()
    prefixes = [curves[c][1][:k] for c, k in zip(d.curve, d.k, strict=True)]
    fits = fit_many(list(FUNCTIONS.values()), prefixes)
    values = np.array([extrapolate(fits, i, n) for i, n in enumerate(d.n)])
    values[~((values >= BOUNDS[0]) & (values <= BOUNDS[1]))] = np.nan
    with np.errstate(all="ignore"):
        middle = np.nanmedian(values, axis=1)
    d["functions"] = np.fmax(middle, d.best)
    return d


def with_peers(d: pd.DataFrame, curves: list[tuple[str, np.ndarray]]) -> pd.DataFrame:
    """Published runs: the networks of earlier generations (of ten) are finished."""
    d = d[d.source.str.startswith("icpp23")].copy()
    first = d.groupby("source").curve.transform("min")
    d["place"] = d.curve - first
    for i, row in d.iterrows():
        known = row.place // 10 * 10
        finished = [curves[c][1] for c in range(row.curve - row.place, row.curve - row.place + known)]
        peers = learn_from(finished, row.k, BOUNDS)
        d.loc[i, "median"] = np.median([c[-1] for c in finished]) if finished else row.best
        if peers is None:
            d.loc[i, ["peers", "peers_low", "peers_high"]] = row.law, row.low, row.high
            continue
        at = peers.offset + peers.slope * row.log_error
        d.loc[i, ["peers", "peers_low", "peers_high"]] = value_of(
            [at, at + peers.high, at + peers.low], BOUNDS
        )
    return d


def show(title: str, d: pd.DataFrame, columns: list[str]) -> None:
    """Mean absolute error and Kendall's tau of every column, by source and fraction."""
    print(f"\n{title}\n\n| source | at | curves | " + " | ".join(f"{c}: MAE, tau" for c in columns) + " |")
    print("|---|---|---|" + "---|" * len(columns))
    for (source, fraction), g in d[d.fraction.isin(SHOWN)].groupby(["source", "fraction"]):
        cells = [f"{(g[c] - g.final).abs().mean():.2f}, {kendalltau(g[c], g.final)[0]:.2f}" for c in columns]
        print(f"| {source} | {fraction:.0%} | {len(g)} | " + " | ".join(cells) + " |")
    for label, rows in (
        ("icpp23, mean of beams", d.source.str.startswith("icpp23")),
        (
            "other sources of 50 or more, mean",
            ~d.source.str.startswith("icpp23")
            & (d.groupby(["source", "fraction"]).final.transform("size") >= 50),
        ),
    ):
        for fraction, g in d[rows & d.fraction.isin(SHOWN)].groupby("fraction"):
            means = []
            for c in columns:
                groups = [h for _, h in g.groupby("source")]
                mae = np.mean([(h[c] - h.final).abs().mean() for h in groups])
                means.append(f"**{mae:.2f}, {np.mean([kendalltau(h[c], h.final)[0] for h in groups]):.2f}**")
            print(f"| {label} | {fraction:.0%} | {len(g)} | " + " | ".join(means) + " |")


def coverage(title: str, d: pd.DataFrame, low: str, high: str) -> None:
    """Share of final values inside the intervals, and the mean width."""
    print(f"\n{title}\n\n| source | at | inside | mean width |\n|---|---|---|---|")
    for (source, fraction), g in d[d.fraction.isin(SHOWN)].groupby(["source", "fraction"]):
        inside = (g.final >= g[low] - 0.005) & (g.final <= g[high] + 0.005)
        print(f"| {source} | {fraction:.0%} | {inside.mean():.0%} | {(g[high] - g[low]).mean():.2f} |")


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--data", type=Path, required=True)
    options.add_argument("--fit", action="store_true")
    options.add_argument("--published", action="store_true")
    asked = options.parse_args()
    curves = read(asked.data)
    d = table(curves)
    if asked.fit:
        law = fit_law(d)
        print(law, fit_band(d, law))
        return
    d = with_functions(judged(d, family=False), curves)
    columns = ["last", "best", "functions", "law"]
    if asked.published:
        engine = make_engine("icpp23")
        kept = d[d.fraction.isin(SHOWN)].copy()
        foreseen = [
            engine.predict(curves[c][1][:k], n).value
            for c, k, n in zip(kept.curve, kept.k, kept.n, strict=True)
        ]
        # no prediction counts as the last value; others are cut to the bounds
        kept["icpp23"] = np.clip(np.where(pd.isna(foreseen), kept["last"], foreseen).astype(float), *BOUNDS)
        d, columns = kept, [*columns, "icpp23"]
    show("Curve alone, the source left out of the fit", d, columns)
    coverage("Its 90 % intervals", d, "low", "high")
    show(
        "The published runs, all of them left out of the fit",
        judged(d, family=True)[d.source.str.startswith("icpp23")],
        ["best", "law"],
    )
    p = with_peers(d, curves)
    show("With the finished networks of the run", p, ["best", "median", "law", "peers"])
    show("The same without the first generation", p[p.place >= 10], ["best", "median", "law", "peers"])
    coverage(
        "Their 90 % intervals (from the second generation on)", p[p.place >= 10], "peers_low", "peers_high"
    )


if __name__ == "__main__":
    main()
