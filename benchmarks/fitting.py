"""Fits of learning curves beside their peers, in one run on one thread.

Needs the published curves (A4NN_REFERENCE_DATA). The compiled peers are built here if their headers are there
(Debian: libcminpack-dev, libgsl-dev), the Python peers are SciPy and, if installed, lmfit.

    python benchmarks/fitting.py [--every 5]
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
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.optimize import least_squares

from a4nn_core.penguin.batch import fit_many
from a4nn_core.penguin.fit import fit
from a4nn_core.penguin.functions import FUNCTIONS, ParametricFunction, function
from a4nn_core.penguin.reference import fit_scipy

Curve = NDArray[np.float64]
Result = list[tuple[float, float]]  # microseconds, root mean square residual


def prefixes(every: int) -> list[Curve]:
    """Prefixes of 5, 10, 15 and 20 epochs of the published full runs (icpp23, three beams)."""
    folder = Path(os.environ["A4NN_REFERENCE_DATA"]) / "icpp23" / "1gpu" / "no_early_termination"
    out = []
    for file in sorted(folder.glob("*.csv")):
        for _, rows in pd.read_csv(file).groupby("arch"):
            values = rows.sort_values("epoch")["val_accs"].to_numpy()
            out += [values[:k] for k in (5, 10, 15, 20)]
    return out[::every]


def ours(f: ParametricFunction, curves: list[Curve]) -> Result:
    out = []
    for y in curves:
        x = np.arange(f.first, f.first + len(y), dtype=float)
        best = min((fit(f, x, y) for _ in range(5)), key=lambda done: done.microseconds)
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
        done = fit_scipy(f, np.arange(f.first, f.first + len(y)), y)
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
                "-O2",
                "-I/usr/include/cminpack-1",
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
            print(f"compiled peers left out: {built.stderr.splitlines()[0]}\n")
            return out
        data = Path(folder) / "curves.txt"
        data.write_text("".join(f"{len(y)} {' '.join(map(repr, y.tolist()))}\n" for y in curves))
        lines = subprocess.run([program, data], capture_output=True, text=True, check=True).stdout
    for line in lines.splitlines():
        name, peer, microseconds, rms = line.split()
        out.setdefault((name, peer), []).append((float(microseconds), float(rms)))
    return out


def row(name: str, solver: str, result: Result, best: NDArray[np.float64]) -> None:
    time_, rms = np.array(result).T
    near = np.mean(rms <= np.maximum(1.01 * best, best + 0.001))
    print(
        f"| {name} | {solver} | {time_.mean():,.2f} | {np.median(time_):,.2f} "
        f"| {np.percentile(time_, 99):,.2f} "
        f"| {100 * near:.1f} |"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--every", type=int, default=10, help="take every n-th of the 1,200 prefixes")
    curves = prefixes(parser.parse_args().every)
    processor = platform.processor() or platform.machine()
    if shutil.which("lscpu"):
        lines = subprocess.run(["lscpu"], capture_output=True, text=True, check=True).stdout.splitlines()
        processor = next((x.split(":")[1].strip() for x in lines if x.startswith("Model name")), processor)
    print(f"{len(curves)} prefixes, one thread, {processor}\n")
    peers = compiled_peers(curves)
    print("| function | solver | us mean | us median | us 99 % | near best % |")
    print("|---|---|---:|---:|---:|---:|")
    for f in FUNCTIONS.values():
        results: dict[str, Result] = {"a4nn": ours(f, curves)}
        results |= {peer: result for (name, peer), result in peers.items() if name == f.name}
        if f.name == "default":
            results["scipy curve_fit (published engine)"] = scipy_curve_fit(f, curves)
            with contextlib.suppress(ImportError):
                results["lmfit"] = lmfit_default(f, curves)
        results["scipy least_squares, exact Jacobian, 8 starts"] = scipy_multi_start(f, curves)
        # peers without bounds may go where bounded ones must not: they set no mark
        bounded = [r for s, r in results.items() if s not in ("minpack", "gsl")]
        best = np.min([[rms for _, rms in r] for r in bounded], axis=0)
        for solver, result in results.items():
            row(f.name, solver, result, best)
    print("\n| points | default us | wbl4 us |\n|---:|---:|---:|")
    for count in (5, 10, 20, 50, 100, 200):
        y = 90 - 50 * np.exp(-0.2 * np.arange(count)) + np.random.default_rng(0).standard_normal(count)
        cells = [np.mean([t for t, _ in ours(function(name), [y])]) for name in ("default", "wbl4")]
        print(f"| {count} | {cells[0]:.2f} | {cells[1]:.2f} |")
    slides = [f for f in FUNCTIONS.values() if f.name not in ("default", "loss")]
    print("\n| curves | functions | threads | us a curve |\n|---:|---:|---:|---:|")
    for functions, threads in (([function("default")], 1), (slides, 1), (slides, 2)):
        times = []
        for _ in range(3):
            begin = time.perf_counter()
            fit_many(functions, curves * 10, threads=threads)
            times.append(1e6 * (time.perf_counter() - begin) / (len(curves) * 10))
        print(f"| {len(curves) * 10} | {len(functions)} | {threads} | {min(times):.2f} |")


if __name__ == "__main__":
    main()
