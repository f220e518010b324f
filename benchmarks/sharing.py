"""Memory and CPU time of workers that map their data from one file, and of workers that each load them.

    python benchmarks/sharing.py --workers 3

200 MB of images of many channels and few pixels, in a small network: nearly all the time of an epoch goes
into the images. Memory is what the kernel counts (man 5 proc, smaps_rollup): *own* is of one process alone;
*all* sums what each process has, shared pages in equal parts (PSS).
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from pathlib import Path

import numpy as np

from a4nn_core.data.mapped import load_shared, map_key, share
from a4nn_core.experiment import Experiment
from a4nn_core.training.segment import Segment
from a4nn_core.workflow.pool import Worker

SHAPE = (64, 8, 8)
IMAGES = 48_800
EPOCHS = 2


def memory(pid: int) -> dict[str, int]:
    """Bytes of memory of a process by the kernel's names."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]
    return {line.split(":")[0]: 1024 * int(line.split()[1]) for line in lines}


def cpu_seconds(pid: int) -> float:
    """CPU time of a process so far."""
    after_name = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, after_name[11:13])) / os.sysconf("SC_CLK_TCK")


def measure(what: Experiment, folder: Path, key: str, count: int) -> str:
    """A row of the table for so many workers at the same time."""

    def train(worker: Worker, number: int) -> tuple[float, float]:
        def epoch(last: int) -> float:
            one = Segment(
                commons=str(folder),
                run_id=f"{key or 'own'}-{count}-{number}",
                network=0,
                generation=0,
                architecture=what.space.decode([[0] * 7] * 2, SHAPE, 2),
                data=what.to_mapping()["data"],  # type: ignore[arg-type]
                training=what.training,
                termination={"name": "none"},
                fixed={},
                seed=1,
                device="cpu",
                epoch_limit=last,
                map_key=key,
            )
            before = cpu_seconds(worker.process.pid)
            result = worker.run(one)
            assert result.error is None, result.error
            return cpu_seconds(worker.process.pid) - before

        first = epoch(1)
        return first, epoch(1 + EPOCHS) / EPOCHS

    with ExitStack() as stack:
        workers = [stack.enter_context(closing(Worker(threads=1))) for _ in range(count)]
        with ThreadPoolExecutor(count) as pool:
            spent = list(pool.map(train, workers, range(count)))
        held = [memory(worker.process.pid) for worker in workers]
    own = statistics.median(one["Private_Dirty"] for one in held) / 1e6
    everything = sum(one["Pss"] for one in held) / 1e6
    first, later = (statistics.median(seconds) for seconds in zip(*spent, strict=True))
    way = "mapped" if key else "each its own"
    return f"| {way} | {count} | {own:.0f} | {everything:.0f} | {first:.1f} | {later:.2f} |"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--workers", type=int, default=3, help="at the same time (default 3)")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        os.environ["A4NN_CACHE"] = str(folder / "cache")
        rng = np.random.default_rng(0)
        images = rng.integers(0, 256, (IMAGES, *SHAPE), np.uint8)
        np.savez(folder / "x.npz", x=images, y=rng.integers(0, 2, IMAGES))
        del images
        what = Experiment.from_mapping(
            {
                "name": "sharing",
                "data": {"name": "npz", "path": str(folder / "x.npz")},
                "space": {"name": "macro", "phases": 2, "channels": 4},
                "search": {"name": "nsga-net", "networks": 4},
                "training": {"epochs": 20},
                "termination": {"name": "none"},
            }
        )
        started = time.process_time()
        data = what.data.load()
        print(
            f"{data.nbytes / 1e6:.0f} MB of data; CPU s: to load {time.process_time() - started:.2f}", end=""
        )
        key = map_key(what.data, data)
        started = time.process_time()
        data = share(what.data, data)
        print(f", to write and map {time.process_time() - started:.2f}", end="")
        started = time.process_time()
        load_shared(what.data, key)
        print(f", to map and check {time.process_time() - started:.2f}")
        print(f"search: own memory {memory(os.getpid())['Private_Dirty'] / 1e6:.0f} MB")
        print("| data | workers | own MB | all MB | first segment, CPU s | epoch, CPU s |")
        print("|---|---:|---:|---:|---:|---:|")
        for way in ("", key):
            for count in (1, chosen.workers):
                print(measure(what, folder, way, count), flush=True)


if __name__ == "__main__":
    main()
