"""Fits of learning curves beside their peers, in one run on one thread.

Needs the published curves (A4NN_REFERENCE_DATA). The compiled peers are built here if their headers are there
(Debian: libcminpack-dev, libgsl-dev, libceres-dev), the Python peers are SciPy and, if installed, lmfit.

    python benchmarks/fitting.py [--every 21]
"""

from __future__ import annotations

import argparse
import contextlib
import os
import platform
import shutil
import subprocess
import tempfile
import time
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.optimize import least_squares

from a4nn_core.penguin.batch import fit_many
from a4nn_core.penguin.fit import fit
from a4nn_core.penguin.functions import FUNCTIONS, Parameter, ParametricFunction, function
from a4nn_core.penguin.published_fit import fit_published

Curve = NDArray[np.float64]
Result = list[tuple[float, float]]  # microseconds, root mean square residual


LENGTHS = (5, 10, 15, 20)
CUSTOM = (
    "a - b*exp(-c*sqrt(x))",
    "a + b/(1 + exp(c - d*x))",
    "a*exp(-b*x) + c*exp(-d*x) + e",
    "a - b/(1 + c*x)**d",
)
UNBOUNDED = ("minpack", "gsl", "tinysolver")


def prefixes() -> list[Curve]:
    """Prefixes of 5 to 20 epochs of all reference curves: the published full runs, then the other sources."""
    data = Path(os.environ["A4NN_REFERENCE_DATA"])
    curves = []
    for file in sorted((data / "icpp23" / "1gpu" / "no_early_termination").glob("*.csv")):
        for _, rows in pd.read_csv(file).groupby("arch"):
            curves.append(rows.sort_values("epoch")["val_accs"].to_numpy())
    for _, rows in pd.read_csv(data / "curves" / "curves.csv.gz").groupby("curve_id", sort=False):
        curves.append(rows.sort_values("epoch")["val_accuracy"].to_numpy(dtype=float))
    cut = [curve[:k] for curve in curves for k in LENGTHS if len(curve) >= k]
    return [prefix for prefix in cut if np.isfinite(prefix).all()]


def ours(f: ParametricFunction, curves: list[Curve], repeats: int = 5) -> Result:
    out = []
    for y in curves:
        x = np.arange(f.first, f.first + len(y), dtype=float)
        best = min((fit(f, x, y) for _ in range(repeats)), key=lambda done: done.microseconds)
        out.append((best.microseconds, best.residual_rms))
    return out


def timed(one: Callable[[Curve], float], y: Curve) -> tuple[float, float]:
    begin = time.perf_counter()
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        try:
            rms = one(y)
        except (RuntimeError, ValueError):
            rms = float("inf")
    return 1e6 * (time.perf_counter() - begin), rms


def scipy_curve_fit(f: ParametricFunction, curves: list[Curve]) -> Result:
    def one(y: Curve) -> float:
        done = fit_published(f, np.arange(f.first, f.first + len(y)), y)
        return done.residual_rms if done.parameters else float("inf")

    return [timed(one, y) for y in curves]


def scipy_multi_start(f: ParametricFunction, curves: list[Curve], starts: int = 8) -> Result:
    """Bounded least_squares with the exact Jacobian from several starts, the first beside our result."""
    low = np.array([p.lower for p in f.parameters])
    high = np.array([p.upper for p in f.parameters])
    rng = np.random.default_rng(0)

    def one(y: Curve) -> float:
        x = np.arange(f.first, f.first + len(y), dtype=float)
        done = fit(f, x, y)
        best = float("inf")
        for attempt in range(starts):
            spread = 0.5 if attempt else 0.01
            start = np.array(list(done.parameters.values())) * (1 + spread * rng.standard_normal(len(low)))
            start = np.clip(
                start, np.where(np.isinf(low), -1e9, low + 1e-7), np.where(np.isinf(high), 1e9, high - 1e-7)
            )
            with contextlib.suppress(ValueError):
                found = least_squares(
                    lambda v: f.compiled.evaluate(list(v), x) - y,
                    start,
                    jac=lambda v: f.compiled.jacobian(list(v), x),
                    bounds=(low, high),
                    x_scale="jac",
                    max_nfev=200,
                )
                best = min(best, float(np.sqrt(2 * found.cost / len(y))))
        return best

    return [timed(one, y) for y in curves]


def lmfit_default(f: ParametricFunction, curves: list[Curve]) -> Result:
    import lmfit

    def one(y: Curve) -> float:
        x = np.arange(f.first, f.first + len(y), dtype=float)
        parameters = lmfit.Parameters()
        drop = max(y[-1] - y[0], 1.0)
        starts = {"a": y[-1], "b": 1.3, "c": np.log(drop) / np.log(1.3)}
        for p in f.parameters:
            start = float(np.clip(starts[p.name], p.lower + 1e-3, p.upper))
            parameters.add(p.name, value=start, min=p.lower, max=p.upper)
        done = lmfit.minimize(lambda q: q["a"] - q["b"] ** (q["c"] - x) - y, parameters, nan_policy="omit")
        return float(np.sqrt(np.mean(done.residual**2)))

    return [timed(one, y) for y in curves]


def compiled_peers(curves: list[Curve]) -> dict[tuple[str, str], Result]:
    source = Path(__file__).with_name("fitting_peers.cpp")
    out: dict[tuple[str, str], Result] = {}
    with tempfile.TemporaryDirectory() as folder:
        program = Path(folder) / "peers"
        built = subprocess.run(
            [
                "g++",
                "-std=c++20",
                "-O3",
                "-march=native",
                "-DNDEBUG",
                "-I/usr/include/cminpack-1",
                "-I/usr/include/eigen3",
                source,
                "-o",
                program,
                "-lcminpack",
                "-lgsl",
                "-lgslcblas",
                "-lm",
            ],
            capture_output=True,
            text=True,
            check=False,
        )
        if built.returncode:
            error = next(line for line in built.stderr.splitlines() if "error" in line)
            print(f"compiled peers left out: {error}\n")
            return out
        data = Path(folder) / "curves.txt"
        data.write_text("".join(f"{len(y)} {' '.join(map(repr, y.tolist()))}\n" for y in curves))
        lines = subprocess.run([program, data], capture_output=True, text=True, check=True).stdout
    for line in lines.splitlines():
        name, peer, microseconds, rms = line.split()
        out.setdefault((name, peer), []).append((float(microseconds), float(rms)))
    return out


def dense(p: Parameter, count: int) -> Parameter:
    """The parameter with `count` starts, over its declared starts and beyond them."""
    if not p.starts:
        return p
    ends = np.array([p.starts[0], p.starts[-1]])
    if np.isfinite(p.origin):
        side = np.sign(ends[0] - p.origin)
        low, high = np.sort(np.log(np.abs(ends - p.origin)))
        starts = p.origin + side * np.exp(np.linspace(low - 1, high + 0.5, count))
    else:
        bounds = np.clip([p.lower, p.upper], ends[0] - 40, ends[1] + 40)
        starts = np.append(np.linspace(*ends, count - count // 2), np.linspace(*bounds, count // 2))
    return replace(p, starts=tuple(np.unique(starts[(starts > p.lower) & (starts < p.upper)])))


def many_starts(f: ParametricFunction) -> ParametricFunction:
    """The function with a hundred starts of one searched parameter, thirty of each of two."""

    def with_starts(parameters: tuple[Parameter, ...]) -> tuple[Parameter, ...]:
        searched = sum(bool(p.starts) for p in parameters)
        return tuple(dense(p, 100 if searched == 1 else 30) for p in parameters)

    if f.rewritten is None:
        return replace(f, parameters=with_starts(f.parameters))
    return replace(f, rewritten=replace(f.rewritten, parameters=with_starts(f.rewritten.parameters)))


def near(rms: NDArray[np.float64], best: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Whether the residual of a fit is at most 1 % or 0.001 points above that of the best."""
    return np.asarray(rms <= np.maximum(1.01 * best, best + 0.001))


def row(name: str, solver: str, result: Result, best: NDArray[np.float64]) -> None:
    time_, rms = np.array(result).T
    print(
        f"| {name} | {solver} | {time_.mean():,.2f} | {np.median(time_):,.2f} "
        f"| {np.percentile(time_, 99):,.2f} | {100 * near(rms, best).mean():.1f} |"
    )


def solvers(functions: list[ParametricFunction], curves: list[Curve]) -> None:
    """Every solver on the same curves, and how much quicker ours is than the quickest compiled peer."""
    peers = compiled_peers(curves)
    quicker = []
    print("| function | solver | us mean | us median | us 99 % | near best % |")
    print("|---|---|---:|---:|---:|---:|")
    for f in functions:
        results: dict[str, Result] = {"a4nn": ours(f, curves)}
        results |= {peer: result for (name, peer), result in peers.items() if name == f.name}
        if f.name == "default":
            results["scipy curve_fit (published engine)"] = scipy_curve_fit(f, curves)
            with contextlib.suppress(ImportError):
                results["lmfit"] = lmfit_default(f, curves)
        results["scipy least_squares, exact Jacobian, 8 starts"] = scipy_multi_start(f, curves)
        # peers without bounds may reach points that bounded ones must not: they do not define the best
        best = np.min([[rms for _, rms in r] for s, r in results.items() if s not in UNBOUNDED], axis=0)
        for solver, result in results.items():
            row(f.name, solver, result, best)
        means = {s: np.mean([t for t, _ in r]) for s, r in results.items() if s in (*UNBOUNDED, "a4nn")}
        if len(means) > 1:
            peer = min(UNBOUNDED, key=lambda s: means[s])
            close = 100 * near(np.array([rms for _, rms in results[peer]]), best).mean()
            quicker.append(f"| {f.name} | {peer} | {means[peer] / means['a4nn']:.1f} | {close:.1f} |")
    print("\n| function | quickest compiled peer | its mean time / ours | its near best % |")
    print("|---|---|---:|---:|")
    print("\n".join(quicker))


def robustness(functions: list[ParametricFunction], curves: list[Curve]) -> None:
    """All prefixes: ours beside the best of it and of its fit from a dense grid of starts."""
    print("\n| function | fits | near best % | worst excess % | us mean | us 99 % |")
    print("|---|---:|---:|---:|---:|---:|")
    for f in functions:
        time_, rms = np.array(ours(f, curves, 3)).T
        best = np.minimum(rms, [r for _, r in ours(many_starts(f), curves, 1)])
        excess = 100 * np.max((rms - best)[~near(rms, best)] / best[~near(rms, best)], initial=0)
        print(
            f"| {f.name} | {len(curves)} | {100 * near(rms, best).mean():.2f} | {excess:.1f} "
            f"| {time_.mean():.2f} | {np.percentile(time_, 99):.2f} |"
        )


def growth(curves: list[Curve]) -> None:
    """How the cost grows with points, functions, curves and threads."""
    names = ("default", "pow3", "wbl4", "expp3")
    print(f"\n| points | {' us | '.join(names)} us |\n|---:|{'---:|' * len(names)}")
    for count in (5, 10, 20, 50, 100, 200, 400):
        noise = np.random.default_rng(0).standard_normal((8, count))
        sample = [90 - 50 * np.exp(-0.2 * np.arange(count)) + n for n in noise]
        cells = [np.mean([t for t, _ in ours(function(name), sample)]) for name in names]
        print(f"| {count} | {' | '.join(f'{cell:.2f}' for cell in cells)} |")
    slides = [f for f in FUNCTIONS.values() if f.name not in ("default", "loss")]
    print(
        "\n| curves | functions | threads | us per curve | us of processor time |\n|---:|---:|---:|---:|---:|"
    )
    for functions, count, threads in (
        ([function("default")], len(curves), 1),
        (slides, 100, 1),
        (slides, len(curves), 1),
        (slides, len(curves), 2),
    ):
        chosen, times = curves[:: len(curves) // count][:count], []
        for _ in range(7):
            begin = time.perf_counter(), time.process_time()
            fit_many(functions, chosen, threads=threads)
            times.append((time.perf_counter() - begin[0], time.process_time() - begin[1]))
        wall, processor = 1e6 * np.min(times, axis=0) / count
        print(f"| {count} | {len(functions)} | {threads} | {wall:.2f} | {processor:.2f} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--every", type=int, default=21, help="run the slow peers on every n-th prefix only")
    every = parser.parse_args().every
    processor = platform.processor() or platform.machine()
    if shutil.which("lscpu"):
        lines = subprocess.run(["lscpu"], capture_output=True, text=True, check=True).stdout.splitlines()
        processor = next((x.split(":")[1].strip() for x in lines if x.startswith("Model name")), processor)
    curves = prefixes()
    some = curves[::every]
    load = os.getloadavg()[0]
    machine = f"{processor}, {os.cpu_count()} cores, load {load:.1f}"
    print(f"{len(some)} of {len(curves)} prefixes, one thread, {machine}\n")
    functions = [*FUNCTIONS.values(), *map(function, CUSTOM)]
    solvers(functions, some)
    robustness(list(FUNCTIONS.values()), curves)
    growth(curves)
    print(f"\nload at the end: {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
