"""The data commons at a million networks: size on disk and time to answer, beside MLflow and Optuna.

    python benchmarks/commons.py [--networks 1000000] [--peer-python PYTHON] [--folder DIR]

Prints a table in Markdown. MLflow and Optuna are asked the same questions on their SQLite storage, at a size
they can be filled with in minutes (``--peer-networks``), and the commons is asked at that size too. They need
an environment of their own: ``python -m venv peers; peers/bin/pip install mlflow optuna pyarrow``, then
``--peer-python peers/bin/python``.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from a4nn_core.commons import Commons, RunFolder, RunWriter
from a4nn_core.commons.archive import Archive
from a4nn_core.commons.layout import open_commons
from a4nn_core.commons.run_snapshot import RunSnapshot
from a4nn_core.commons.schema import SORTED
from a4nn_core.commons.snapshot import Snapshot
from a4nn_core.metrics import nondominated

EPOCHS = 25
PER_RUN = 1_000
VALIDATION = 2_000  # images: accuracies are multiples of 0.05 percent, as in real runs
TRAIN = 8_000


def strings(prefix: str, numbers: Any) -> pa.Array:
    return pa.array([f"{prefix}{n}" for n in numbers], pa.string())


def full(table: str, columns: dict[str, Any], rows: int) -> pa.Table:
    """A table with every column of the schema; those not given are null."""
    schema = SORTED[table].schema
    arrays = [
        pa.array(columns[f.name], f.type) if f.name in columns else pa.nulls(rows, f.type) for f in schema
    ]
    return pa.table(arrays, schema=schema)


def make_run(run: str, seed: int, size: int = PER_RUN) -> dict[str, pa.Table]:
    """One run, of 1,000 networks, with realistic values in every column of ``epochs``."""
    rng = np.random.default_rng(seed)
    n, e = size, EPOCHS
    top = 100 - rng.gamma(2.0, 4.0, n)
    speed = rng.uniform(0.1, 0.6, n)
    x = np.arange(1, e + 1)
    smooth = top[:, None] - (top[:, None] - 50) * np.exp(-speed[:, None] * x)
    noisy = np.clip(smooth + rng.normal(0, 1.2, (n, e)), 0, 100)
    validation = np.round(noisy / 100 * VALIDATION) / VALIDATION * 100
    train = np.round(np.clip(smooth + 1 + rng.normal(0, 0.4, (n, e)), 0, 100) / 100 * TRAIN) / TRAIN * 100
    flops = (rng.lognormal(19.5, 0.7, n)).astype(np.int64)
    # a third stops early, as under the published criterion
    length = np.where(rng.random(n) < 1 / 3, rng.integers(8, e, n), e)
    kept = np.arange(e)[None, :] < length[:, None]
    network = np.repeat(np.arange(n, dtype=np.int32), e).reshape(n, e)[kept]
    epoch = np.tile(np.arange(1, e + 1, dtype=np.int32), (n, 1))[kept]
    rows = len(network)
    seconds = (flops[:, None] / 6e6 * rng.normal(1, 0.02, (n, e))).astype(np.float32)
    start = 1_700_000_000_000_000 + seed * 10**12
    moments = (
        start + np.cumsum((seconds * 1e6).astype(np.int64), axis=1) + rng.integers(0, 10**12, n)[:, None]
    )
    predicted = np.where(x >= 4, smooth[:, -1:] + rng.normal(0, 20, (n, e)) / x**1.5, np.nan)
    last = (epoch == np.repeat(length, length)) & (np.repeat(length, length) < e)
    sha = [rng.bytes(32).hex() if keep else None for keep in (epoch == np.repeat(length, length))]
    pick = lambda a: a[kept]  # noqa: E731
    nan_null = lambda a: pa.array(a, pa.float64(), from_pandas=True)  # noqa: E731
    epochs = {
        "run": [run] * rows,
        "network": network,
        "epoch": epoch,
        "train_loss": pick(0.7 * np.exp(-smooth / 30) * rng.normal(1, 0.05, (n, e))),
        "validation_loss": pick(0.8 * np.exp(-smooth / 30) * rng.normal(1, 0.08, (n, e))),
        "train_accuracy_percent": pick(train),
        "validation_accuracy_percent": pick(validation),
        "learning_rate": (0.0125 * (1 + np.cos(np.pi * (epoch - 1) / e))),
        "seconds": pick(seconds),
        "images_per_second": pick((TRAIN / seconds).astype(np.float32)),
        "peak_memory_bytes": np.repeat(flops // 100_000 * 4096, length),
        "time": pa.array(pick(moments), pa.timestamp("us", "UTC")),
        "checkpoint": [f"epoch-{k:04d}.safetensors" if s else None for k, s in zip(epoch, sha, strict=True)],
        "checkpoint_sha256": sha,  # of the checkpoint that is kept
        "segment": np.zeros(rows, np.int32),
        "verdict": np.where(last, "stop", "continue"),
        "reason": np.where(last, "converged", ""),
        "predicted": nan_null(pick(predicted)),
        "evidence": [
            json.dumps({"spread": round(float(v), 3)}) if k else None
            for k, v in zip(last, rng.random(rows), strict=True)
        ],
    }
    fitted = ~np.isnan(pick(predicted))
    count = int(fitted.sum())
    predictions = {
        "run": [run] * count,
        "network": network[fitted],
        "epoch": epoch[fitted],
        "function": ["exponential"] * count,
        "expression": ["a - b**(c - x)"] * count,
        "parameters": [
            f'{{"a":{a:.12f},"b":{b:.12f},"c":{c:.12f}}}'
            for a, b, c in zip(
                pick(predicted)[fitted], rng.uniform(1, 2, count), rng.normal(9, 4, count), strict=True
            )
        ],
        "predicted": pick(predicted)[fitted],
        "residual": rng.gamma(2, 0.4, count),
        "status": ["converged"] * count,
        "microseconds": rng.gamma(3, 12, count).astype(np.float32),
        "verdict": np.where(last, "stop", "continue")[fitted],
        "reason": np.where(last, "converged", "")[fitted],
    }
    best = np.where(kept, validation, -1).max(axis=1)
    generation = np.arange(n, dtype=np.int32) // 10
    parents = [[] if g == 0 else rng.integers(0, g * 10, 2).tolist() for g in generation]
    networks = {
        "run": [run] * n,
        "network": np.arange(n, dtype=np.int32),
        "generation": generation,
        "position": np.arange(n, dtype=np.int32) % 10,
        "genome": [json.dumps(g) for g in rng.integers(0, 2, (n, 3, 7)).tolist()],
        "architecture_hash": [rng.bytes(16).hex() for _ in range(n)],
        "parents": parents,
        "operator": np.where(generation == 0, "sampling", "crossover+mutation"),
        "flops": flops,
        "parameters": flops // 700,
        "status": np.where(length < e, "stopped", "completed"),
        "fitness": [
            [("error_percent", 100 - b), ("mflops", f / 1e6)] for b, f in zip(best, flops, strict=True)
        ],
        "fitness_source": ["measured"] * n,
        "best_accuracy_percent": best,
        "best_epoch": np.where(kept, validation, -1).argmax(axis=1).astype(np.int32) + 1,
        "last_accuracy_percent": validation[np.arange(n), length - 1],
        "test_accuracy_percent": np.round((best - rng.gamma(1, 0.5, n)) * 20) / 20,
        "predicted_accuracy_percent": predicted[np.arange(n), length - 1],
        "epochs_trained": length.astype(np.int32),
        "epochs_budget": np.full(n, e, np.int32),
        "termination_reason": np.where(length < e, "converged", "budget"),
        "front_version": generation,
        "device": ["cuda:0"] * n,
        "seconds": np.where(kept, seconds, 0).sum(axis=1).astype(float),
        "checkpoint": [
            f"runs/{run}/checkpoints/{i:04d}/epoch-{k:04d}.safetensors" for i, k in enumerate(length)
        ],
        "checkpoint_sha256": [rng.bytes(32).hex() for _ in range(n)],
        "seed": rng.integers(0, 2**31, n),
    }
    keep = nondominated(np.column_stack([100 - best, flops]))
    made = {
        "epochs": full("epochs", epochs, rows),
        "predictions": full("predictions", predictions, count),
        "networks": full("networks", networks, n),
    }
    made["front"] = made["networks"].filter(pa.array(keep))
    return made


def header(run: str, seed: int) -> dict[str, Any]:
    objectives = {"error_percent": "minimise", "mflops": "minimise"}
    experiment = {"search": {"name": "nsga-net", "objectives": objectives}, "training": {"epochs": EPOCHS}}
    return {"name": run, "experiment": experiment, "seed": seed, "dataset": {"name": "xfel"}}


def generate(commons: Path, networks: int) -> None:
    """A commons of completed, compacted runs, as after a year of searches."""
    open_commons(commons)
    archive = Archive(commons)
    runs = networks // PER_RUN
    packs = []
    for first in range(0, runs, 40):
        names = [f"run-{k:05d}" for k in range(first, min(first + 40, runs))]
        parts: dict[str, list[pa.Table]] = {name: [] for name in SORTED}
        started, sealed = {}, {}
        for k, name in enumerate(names, start=first):
            with RunWriter.open(commons, name, header(name, k)) as writer:
                writer.events.append("told", 0, 0)
                writer.finish("completed")
            one = RunSnapshot(RunFolder(commons, name), archive)
            started[name] = one.started
            state = one.folder.run_file.stat()
            sealed[name] = [state.st_size, state.st_mtime_ns]
            for table, rows in make_run(name, k).items():
                parts[table].append(rows)
            alone = Snapshot(commons, name)
            for table in ("runs", "events"):
                parts[table].append(alone.table(SORTED[table]))
        joined = {t: pa.concat_tables(p) if p else SORTED[t].schema.empty_table() for t, p in parts.items()}
        packs.append(archive.write_pack(joined, started, sealed))
        print(f"  {first + len(names)} of {runs} runs", file=sys.stderr, flush=True)
    archive.commit(packs)


def timed(question: Callable[[], Any], times: int = 5) -> float:
    """Median seconds to the whole answer."""
    took = []
    for _ in range(times):
        begin = time.perf_counter()
        question()
        took.append(time.perf_counter() - begin)
    return statistics.median(took)


def questions(run: str) -> dict[str, str]:
    return {
        "mean learning curve": "select epoch, avg(validation_accuracy_percent) from epochs "
        "group by epoch order by epoch",
        "Pareto front of each run": "select run, network, best_accuracy_percent, flops from front "
        "order by run, flops",
        "history of one network": f"from epochs where run = '{run}' and network = 500 order by epoch",
        "top ten": "select run, network, best_accuracy_percent, genome from networks "
        "order by best_accuracy_percent desc, flops limit 10",
        "lineage of one network": f"""
            with recursive tree as (
                select 999 as network union
                select l.parent from tree join lineage l on l.run = '{run}' and l.network = tree.network
            ) select n.network, n.best_accuracy_percent from networks n join tree using (network)
            where n.run = '{run}'""",
    }


def ask(commons: Path, run: str) -> dict[str, float]:
    found = Commons(commons)
    return {
        name: timed(lambda query=query: found.sql(query).to_arrow_table())  # type: ignore[misc]
        for name, query in questions(run).items()
    }


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--networks", type=int, default=1_000_000)
    parser.add_argument("--peer-networks", type=int, default=1_000)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--peer-python", type=Path, help="interpreter that has mlflow and optuna")
    parser.add_argument("--no-peers", action="store_true")
    options = parser.parse_args()
    folder = options.folder or Path(tempfile.mkdtemp(prefix="a4nn-bench-"))
    big = folder / f"commons-{options.networks}"
    if not (big / "archive" / "manifest.json").exists():
        begin = time.perf_counter()
        generate(big, options.networks)
        print(f"  generated in {time.perf_counter() - begin:.0f} s", file=sys.stderr)
    archive = Archive(big)
    print(f"Machine: {platform.machine()}, {os.cpu_count()} cores, {platform.platform()}\n")
    print(f"{options.networks:,} networks in {options.networks // PER_RUN:,} runs\n")
    print("| table | rows | MB | bytes per row |\n|---|---|---|---|")
    for table in ("epochs", "predictions", "networks"):
        files = [pack.files[table] for pack in archive.packs]
        size, rows = sum(f["bytes"] for f in files), sum(f["rows"] for f in files)
        print(f"| {table} | {rows:,} | {size / 1e6:.1f} | {size / rows:.1f} |")
    run = f"run-{options.networks // PER_RUN // 2:05d}"
    columns = {f"A4NN, {options.networks:,}": ask(big, run)}
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    filling = []
    if options.peer_python and not options.no_peers:
        count = options.peer_networks
        small = folder / f"commons-{count}"
        if not small.exists():
            generate(small, count)
        columns[f"A4NN, {count:,}"] = ask(small, "run-00000")
        for table, order in (("epochs", "network, epoch"), ("networks", "network")):
            rows = Commons(small).sql(f"from {table} where run = 'run-00000' order by {order}")
            pq.write_table(rows.to_arrow_table(), folder / f"{table}.parquet")
        script = Path(__file__).with_name("commons_peers.py")
        for name in ("MLflow", "Optuna"):
            command = [options.peer_python, script, name.lower(), folder]
            done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
            found = json.loads(done.stdout.splitlines()[-1])
            columns[f"{name}, {count:,}"] = found
            filling.append(f"{name}: {found['bytes'] / 1e6:.1f} MB, filled in {found['filling']:.0f} s")
    print(f"\n| question (median of 5, seconds) | {' | '.join(columns)} |")
    print(f"|---|{'---|' * len(columns)}")
    for name in questions(run):
        cells = [f"{c[name]:.3f}" if name in c else "-" for c in columns.values()]
        print(f"| {name} | {' | '.join(cells)} |")
    if filling:
        print(f"\n{PER_RUN:,} networks on disk: {'; '.join(filling)}")
    print(f"\nPeak memory of the process that asked: {peak:.0f} MB")
    if options.folder is None:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
