"""How well are final values predicted? The engines beside the trivial predictions, on curves not tuned on.

    python benchmarks/prediction.py --data $A4NN_REFERENCE_DATA [--fit] [--published]

Each beam of the published runs (300 networks trained to the end) is judged by a law fitted without that beam,
every other source by one fitted without that source, and once more the published runs by one fitted without
any of them. --fit prints the coefficients of the package, fitted to all sources; --published adds the
published engine, which takes SciPy a few minutes; --nested also leaves the choice of the interval's form to
the other sources.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.optimize import minimize
from scipy.stats import kendalltau

from a4nn_core.penguin.batch import fit_many
from a4nn_core.penguin.combine import extrapolate, uncertainty, within
from a4nn_core.penguin.engines import make_engine
from a4nn_core.penguin.functions import FUNCTIONS
from a4nn_core.penguin.law import Band, ErrorLaw, learn_from, log_error, traits_of, value_of

BOUNDS = (0.0, 100.0)
FRACTIONS = (0.1, 0.15, 0.25, 0.4, 0.5, 0.6, 0.75, 0.9)
SHOWN = (0.25, 0.5, 0.75)
MAX_PER_SOURCE = 120  # at most so many curves of one source, drawn once
TAIL = 0.08  # share beyond each end of the law's interval, over all sources of a fit
STEADY_TAIL = 0.03  # the same for the interval of the functions
UNCERTAIN = ["fallen", "rise", "optimistic"]
PRIOR = 30  # networks of a published run that all others are judged by


def read(data: Path) -> list[tuple[str, np.ndarray, str]]:
    """(source, curve, problem); every beam of the published runs is a source. Curves without learning are
    left out. Curves of one problem are of one model and data set, and of one length."""
    rng = np.random.default_rng(0)
    sources: dict[str, list[tuple[np.ndarray, str]]] = {}
    for path in sorted((data / "icpp23/1gpu/no_early_termination").glob("*.csv")):
        for _, rows in pd.read_csv(path).groupby("arch"):
            sources.setdefault("icpp23 " + path.name.split("_")[1], []).append(
                (rows.sort_values("epoch").val_accs.to_numpy(), "")
            )
    meta = pd.read_csv(data / "curves/meta.csv").set_index("curve_id")
    for name, rows in pd.read_csv(data / "curves/curves.csv.gz").groupby("curve_id", sort=False):
        if meta.learned[name] and len(rows) >= 8:
            problem = f"{meta.dataset[name]} {len(rows)}"
            sources.setdefault(meta.source[name], []).append(
                (rows.sort_values("epoch").val_accuracy.to_numpy(), problem)
            )
    out = []
    for source, curves in sources.items():
        chosen = (
            range(len(curves))
            if len(curves) <= MAX_PER_SOURCE
            else sorted(rng.choice(len(curves), MAX_PER_SOURCE, replace=False))
        )
        out += [(source, *curves[i]) for i in chosen]
    return out


def table(curves: list[tuple[str, np.ndarray, str]]) -> pd.DataFrame:
    """One row per prefix."""
    rows = []
    for number, (source, curve, problem) in enumerate(curves):
        for fraction in FRACTIONS:
            k, n = max(3, round(fraction * len(curve))), len(curve)
            if k < n:
                seen = traits_of(curve[:k], BOUNDS)
                row = (source, problem, number, fraction, k, n, curve[:k].max(), curve[k - 1], curve[-1])
                rows.append((*row, seen.error, seen.rate, seen.noise))
    names = "source problem curve fraction k n best last final log_error rate noise"
    d = pd.DataFrame(rows, columns=names.split())
    d["ahead"] = np.log(d.n / d.k)
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
        return float(np.sum(w * np.abs(value_of(ErrorLaw(*b).predict(e, ahead), BOUNDS) - final)))

    starts = ((-1.0, -0.3, 0.0), (0.0, -0.3, 0.0), (0.5, -0.3, 0.0))
    best = min(
        (minimize(loss, s, method="Nelder-Mead", options={"maxiter": 1500}) for s in starts),
        key=lambda r: r.fun,
    )
    return ErrorLaw(*(round(float(b), 3) for b in best.x))


def quantile_line(x: np.ndarray, y: np.ndarray, share: float, weight: np.ndarray) -> np.ndarray:
    """Linear quantile regression: the coefficients with the least weighted pinball loss, whose corner is
    rounded by less and less."""
    scale = np.maximum(np.abs(x).mean(axis=0), 1e-9)
    z, w = x / scale, weight / weight.sum()
    b = np.linalg.lstsq(z * np.sqrt(w)[:, None], y * np.sqrt(w), rcond=None)[0]
    for width in (0.3, 0.1, 0.03, 0.01, 0.003):

        def below(b: np.ndarray, width: float = width) -> np.ndarray:
            return 1 / (1 + np.exp(np.clip((y - z @ b) / width, -500, 500)))

        def loss(b: np.ndarray, width: float = width) -> float:
            r = (y - z @ b) / width
            return float(w @ (share * r + np.logaddexp(0, -r))) * width

        def slope(b: np.ndarray, below=below) -> np.ndarray:
            return -z.T @ (w * (share - below(b)))

        def bend(b: np.ndarray, below=below, width: float = width) -> np.ndarray:
            p = below(b)
            return (z * (w * p * (1 - p) / width)[:, None]).T @ z + 1e-9 * np.eye(len(b))

        b = minimize(loss, b, jac=slope, hess=bend, method="trust-exact", options={"maxiter": 60}).x
    return b / scale


def terms(d: pd.DataFrame, form: str = "one") -> np.ndarray:
    """What the ends of the law's interval are sums of (see Band); other forms were candidates."""
    level = {"one": 1 / (1 + np.exp(d.log_error)), "root": np.exp(-d.log_error / 2), "log": d.log_error}[form]
    return np.column_stack([np.ones(len(d)), d.ahead, d.ahead * level, d.ahead * d.rate, d.noise])


def fit_band(d: pd.DataFrame, tail: float = TAIL, form: str = "one") -> Band:
    """Quantile regression of log e(n) - log e(k), each source counting the same."""
    change = (d.log_final - d.log_error).to_numpy()
    ends = [
        tuple(round(float(c), 3) for c in quantile_line(terms(d, form), change, s, d.share.to_numpy()))
        for s in (tail, 1 - tail)
    ]
    big = d[(d.groupby("source").curve.transform("nunique") >= 50) & (d.fraction >= 0.25)]
    fall = (big.log_final - big.log_error).groupby(big.source).quantile(0.9).max()
    return Band(*ends, round(float(fall), 3))


def ends_of(d: pd.DataFrame, band: Band, annealed: bool, form: str = "one") -> tuple[np.ndarray, np.ndarray]:
    """Low and high of the interval, without the law's own value, which the engine always includes."""
    x = terms(d, form)
    good, bad = x @ np.array(band.low), x @ np.array(band.high)
    if not annealed:
        bad = np.maximum(bad, band.fall)
    return value_of(d.log_error + bad, BOUNDS), value_of(d.log_error + good, BOUNDS)


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
        band = fit_band(d[~left_out])
        rows = d.index[d.source == source]
        seen = d.loc[rows]
        value = value_of(law.predict(seen.log_error, seen.ahead), BOUNDS)
        out.loc[rows, "law"] = value
        for annealed in (False, True):
            low, high = ends_of(seen, band, annealed)
            out.loc[rows, f"low{annealed:d}"] = np.minimum(low, value)
            out.loc[rows, f"high{annealed:d}"] = np.maximum(high, value)
    return out


def nested(d: pd.DataFrame) -> None:
    """The interval, its form and its tail chosen without the source: by the greatest deviation from 90 %
    among the other sources, each judged by the rest."""
    d = d[d.groupby("source").curve.transform("nunique") >= 50]

    def inside(train: pd.DataFrame, source: str, form: str, tail: float) -> float:
        test = d[(d.source == source) & d.fraction.isin(SHOWN)]
        low, high = ends_of(test, fit_band(train, tail, form), False, form)
        return float(((test.final >= low - 0.005) & (test.final <= high + 0.005)).mean())

    print("\nThe form and the tail of the interval chosen by the other sources alone\n")
    print("| source | chosen | inside |\n|---|---|---|")
    choices = [(form, tail) for form in ("one", "root", "log") for tail in (0.05, 0.06, 0.08, 0.1, 0.12)]
    for source in d.source.unique():
        rest = d[d.source != source]
        off = {
            choice: max(abs(inside(rest[rest.source != s], s, *choice) - 0.9) for s in rest.source.unique())
            for choice in choices
        }
        best = min(off, key=lambda choice: off[choice])
        print(f"| {source} | {best[0]}, {best[1]:.0%} | {inside(rest, source, *best):.0%} |")


def with_functions(d: pd.DataFrame, curves: list[tuple[str, np.ndarray, str]]) -> pd.DataFrame:
    """The median of all functions that keep to the bounds, not below the best value so far, and what its
    interval is made of."""
    d = d.copy()
    prefixes = [curves[c][1][:k] for c, k in zip(d.curve, d.k, strict=True)]
    fits = fit_many(list(FUNCTIONS.values()), prefixes)
    rows = []
    for i, (prefix, n, best) in enumerate(zip(prefixes, d.n, d.best, strict=True)):
        kept = within(extrapolate(fits, i, n), BOUNDS)
        middle = max(float(np.median(kept)), best) if len(kept) else best
        rows.append((middle, *uncertainty(prefix, kept, middle, n)))
    d[["functions", *UNCERTAIN]] = rows
    return d


def fit_steady(d: pd.DataFrame) -> list[np.ndarray]:
    """Coefficients of the interval of the functions, every problem and fraction counting the same."""
    x = d[UNCERTAIN].to_numpy()
    weight = 1 / d.groupby(["problem", "fraction"]).final.transform("size").to_numpy()
    miss = (d.final - d.functions).to_numpy()
    below = quantile_line(x, miss, STEADY_TAIL, weight)
    above = quantile_line(x[:, 1:], miss, 1 - STEADY_TAIL, weight)
    return [below.round(3), np.array([0.0, *above.round(3)])]


def steady(d: pd.DataFrame) -> pd.DataFrame:
    """DeepOBS, whose learning rates are constant: intervals by coefficients that never saw the problem."""
    d = d[d.source == "deepobs"].copy()
    for problem in d.problem.unique():
        below, above = fit_steady(d[d.problem != problem])
        rows = d.index[d.problem == problem]
        x = d.loc[rows, UNCERTAIN].to_numpy()
        middle = d.loc[rows, "functions"]
        d.loc[rows, "low"] = np.maximum(middle + np.minimum(x @ below, 0), 0)
        d.loc[rows, "high"] = np.minimum(middle + np.maximum(x @ above, 0), 100)
    return d


def with_peers(
    d: pd.DataFrame, curves: list[tuple[str, np.ndarray, str]], prior: int | None = None
) -> pd.DataFrame:
    """Published runs: the networks of earlier generations (of ten) are finished, or the first ``prior`` of
    the run, and those after them are judged. Elsewhere: twenty other curves of the problem, drawn once, where
    there are so many."""
    d, rng = d[d.fraction.isin(SHOWN)].copy(), np.random.default_rng(0)
    first = d.groupby("source").curve.transform("min")
    published = d.source.str.startswith("icpp23")
    d["place"] = np.where(published, d.curve - first, -1)
    same = {key: g.curve.unique() for key, g in d.groupby(["source", "problem"])}
    drawn: dict[int, list[int]] = {}
    for i, row in d.iterrows():
        if row.place >= 0:
            known = prior if prior is not None else row.place // 10 * 10
            numbers = range(row.curve - row.place, row.curve - row.place + min(known, row.place))
        else:
            others = [c for c in same[row.source, row.problem] if c != row.curve]
            few = len(others) < 20
            numbers = drawn.setdefault(
                row.curve, [] if few else sorted(rng.choice(others, 20, replace=False))
            )
        finished = [curves[c][1] for c in numbers]
        peers = learn_from(finished, row.k, BOUNDS)
        d.loc[i, "judged"] = peers is not None and (prior is None or row.place >= prior)
        d.loc[i, "median"] = np.median([c[-1] for c in finished]) if finished else row.best
        if peers is None:
            d.loc[i, ["peers", "peers_low", "peers_high"]] = row.law, row.low0, row.high0
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
    """Share of final values inside the intervals, and the mean width, at 25, 50 and 75 % and together."""
    print(f"\n{title}\n\n| source | curves | inside at 25, 50, 75 % | inside | mean widths | mean width |")
    print("|---|---|---|---|---|---|")
    d = d[d.fraction.isin(SHOWN) & (d.groupby("source").curve.transform("nunique") >= 50)]
    for source, g in d.groupby("source"):
        inside = (g.final >= g[low] - 0.005) & (g.final <= g[high] + 0.005)
        width = g[high] - g[low]
        each = ", ".join(f"{v:.0%}" for v in inside.groupby(g.fraction).mean())
        widths = ", ".join(f"{v:.2f}" for v in width.groupby(g.fraction).mean())
        total = f"{inside.mean():.0%} | {widths} | {width.mean():.2f}"
        print(f"| {source} | {g.curve.nunique()} | {each} | {total} |")


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--data", type=Path, required=True)
    options.add_argument("--fit", action="store_true")
    options.add_argument("--published", action="store_true")
    options.add_argument("--nested", action="store_true")
    asked = options.parse_args()
    curves = read(asked.data)
    d = table(curves)
    if asked.fit:
        print(fit_law(d), fit_band(d))
        print(*fit_steady(with_functions(d[d.source == "deepobs"], curves)))
        return
    d = with_functions(judged(d, family=False), curves)
    columns, constant = ["last", "best", "functions", "law"], steady(d)
    if asked.published:
        engine = make_engine("icpp23", fitter="scipy")
        kept = d[d.fraction.isin(SHOWN)].copy()
        predicted = [
            engine.predict(curves[c][1][:k], n).value
            for c, k, n in zip(kept.curve, kept.k, kept.n, strict=True)
        ]
        # no prediction counts as the last value; others are cut to the bounds
        kept["icpp23"] = np.clip(np.where(pd.isna(predicted), kept["last"], predicted).astype(float), *BOUNDS)
        d, columns = kept, [*columns, "icpp23"]
    show("Curve alone, the source left out of the fit", d, columns)
    coverage("Its 90 % intervals, nothing known of the learning rate", d, "low0", "high0")
    annealed = d[d.source != "deepobs"]
    coverage("The same, known to be annealed", annealed, "low1", "high1")
    coverage("Functions, known to be constant, the problem left out of the fit", constant, "low", "high")
    family = judged(table(curves), family=True)
    family = family[family.source.str.startswith("icpp23")]
    show("The published runs, all of them left out of the fit", family, ["best", "law"])
    coverage("Its 90 % intervals, known to be annealed", family, "low1", "high1")
    columns = ["best", "median", "law", "peers"]
    p = with_peers(d, curves)
    p = p[p.judged.astype(bool)]
    show("With the finished networks of the run, from the second generation on", p, columns)
    coverage("Their 90 % intervals", p, "peers_low", "peers_high")
    q = with_peers(d[d.source.str.startswith("icpp23")], curves, PRIOR)
    show(f"With the first {PRIOR} networks of the run, the others", q[q.judged.astype(bool)], columns)
    coverage("Their 90 % intervals", q[q.judged.astype(bool)], "peers_low", "peers_high")
    if asked.nested:
        nested(d if not asked.published else judged(table(curves), family=False))


if __name__ == "__main__":
    main()
