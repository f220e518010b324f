"""What questions cost of a large commons, and of one of many small runs, before and after compaction.

    python benchmarks/commons_scale.py [--networks 1000000] [--small-runs 300] [--folder DIR]

Prints a table in Markdown. Every question is asked by a process of its own; the CPU time is that of the
question alone, the memory the peak of the process. On a machine with other load, CPU time is what counts.
The large commons is that of benchmarks/commons.py. The small runs have 20 networks each, six files per
network, as versions left them that did not compact runs when they ended.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import commons as synthetic
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from a4nn_core.commons import Commons, RunFolder, RunWriter
from a4nn_core.commons.compact import compact
from a4nn_core.commons.cookbook import COOKBOOK
from a4nn_core.commons.schema import NETWORK_TABLES, TABLES
from a4nn_core.vocabulary import RunStatus

SMALL = 20


def generate_small(commons: Path, runs: int, name_of: Callable[[int], str] = "small-{:05d}".format) -> None:
    """Runs that nobody compacted."""
    for number in range(runs):
        run = name_of(number)
        with RunWriter.open(commons, run, synthetic.header(run, number)) as writer:
            writer.events.append("told", 0, 0)
            writer.finish(RunStatus.completed)
        made = synthetic.make_run(run, number, SMALL)
        for name in NETWORK_TABLES:
            folder = RunFolder(commons, run).table(name)
            folder.mkdir(parents=True, exist_ok=True)
            rows = made.get(name, TABLES[name].schema.empty_table())
            for network in range(SMALL):
                part = rows.filter(pc.equal(rows["network"], pa.scalar(network, pa.int32())))
                pq.write_table(
                    part, folder / f"{network:04d}.parquet", compression="zstd", write_page_checksum=True
                )


def questions(commons: Path) -> dict[str, Callable[[], object]]:
    """The questions by name."""
    store = Commons(commons)
    runs = store.runs()
    run = runs[len(runs) // 2]
    recipes = {recipe.name: recipe.query for recipe in COOKBOOK}

    def status() -> None:
        from a4nn_core.cli.status import _list

        with contextlib.redirect_stdout(io.StringIO()):
            _list(store, False)

    asked = {
        "one network's life": f"from epochs where run = '{run}' and network = 11 order by epoch",
        "number of networks": "select count(*) from networks",
        "all fronts": "from front",
        "mean learning curve": "select epoch, avg(validation_accuracy_percent) from epochs group by epoch",
        "predictions and what came true": recipes["worst-predictions"],
    }
    answers = {name: lambda query=query: store.answer(query) for name, query in asked.items()}  # type: ignore[misc]
    return {"`a4nn status`": status, **answers}


def ask(commons: Path, name: str) -> None:
    """Answer one question, and print what it cost."""
    import duckdb  # noqa: F401
    import pyarrow.dataset  # noqa: F401

    question = questions(commons)[name]
    wall, cpu = time.perf_counter(), time.process_time()
    question()
    cost = [time.perf_counter() - wall, time.process_time() - cpu]
    # not ru_maxrss, which begins with the size of the parent process
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    print(json.dumps([*cost, int(status["VmHWM"].split()[0]) / 1024]))


def costs(commons: Path, name: str) -> str:
    """What one question costs in a new process: a cell of the table."""
    command = [sys.executable, __file__, "--folder", str(commons), "--ask", name]
    wall, cpu, memory = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return f"{cpu:.2f} s ({wall:.1f} s), {memory:.0f} MB"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--networks", type=int, default=1_000_000)
    parser.add_argument("--small-runs", type=int, default=300)
    parser.add_argument("--folder", type=Path, help="where the commons are, or are made")
    parser.add_argument("--ask", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.ask:
        ask(options.folder, options.ask)
        return
    folder = options.folder or Path(tempfile.mkdtemp(prefix="a4nn-scale-"))
    large, small = folder / "large", folder / "small"
    if not large.exists():
        synthetic.generate(large, options.networks)
        compact(large)  # keeps the totals of its runs
    if not small.exists():
        generate_small(small, options.small_runs)
    names = list(questions(large))
    table = {"large, compacted": {name: costs(large, name) for name in names}}
    table["small runs, not compacted"] = {name: costs(small, name) for name in names}
    begin = time.process_time()
    done = compact(small)
    print(f"compaction of {done.networks:,} networks: {time.process_time() - begin:.0f} s of CPU\n")
    table["small runs, compacted"] = {name: costs(small, name) for name in names}
    print(f"| question: CPU (wall clock), memory | {' | '.join(table)} |\n|---|{'---|' * len(table)}")
    for name in names:
        print(f"| {name} | {' | '.join(column[name] for column in table.values())} |")


if __name__ == "__main__":
    main()
