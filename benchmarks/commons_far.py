"""How far a commons reaches: many sites on one object store, 100 commons merged, 100 million networks.

    python benchmarks/commons_far.py [store] [merge] [listed] [--sites 4] [--commons 20] [--runs 1000 10000]

Prints tables in Markdown; docs/scale.md reads them. ``store`` needs ``pip install 'moto[server]'``: sites
publish whole runs to a server that speaks S3, while another reads. ``merge`` adds commons whose
runs all have the same ids to one. ``listed`` makes the list of the runs and packs of a large commons, without
their data, and asks for what every question needs of it. One real pack tells what its data take.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import commons as synthetic
import pyarrow.dataset as ds
import pyarrow.parquet as pq
from commons_scale import SMALL, generate_small
from pyarrow import fs

from a4nn_core.commons import Commons, RunFolder
from a4nn_core.commons.archive import write_sorted
from a4nn_core.commons.compact import compact
from a4nn_core.commons.layout import open_commons, read_json, write_json
from a4nn_core.commons.merge import merge
from a4nn_core.commons.packs import Manifest, Pack, PackedFile, write_manifest
from a4nn_core.commons.schema import SORTED
from a4nn_core.commons.snapshot import Snapshot
from a4nn_core.commons.totals import totals
from a4nn_core.interchange.parquet import export_tables

BUCKET = "lake"
SHARED = "same"
PER_RUN = synthetic.PER_RUN
PER_PACK = 40  # runs of 1,000 networks


def peak_mb() -> float:
    """Peak memory of this process."""
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return int(status["VmHWM"].split()[0]) / 1024


def spent(work: Callable[[], Any]) -> float:
    """CPU seconds of this process."""
    begin = time.process_time()
    work()
    return time.process_time() - begin


# many sites, one object store


@contextmanager
def store() -> Iterator[tuple[str, Counter[str]]]:
    """A server that speaks S3: its address, and how often each method was asked."""
    import boto3
    from moto.server import DomainDispatcherApplication, create_backend_app
    from werkzeug.serving import WSGIRequestHandler, make_server

    app = DomainDispatcherApplication(create_backend_app)
    asked: Counter[str] = Counter()

    def counted(environ: Any, start: Any) -> Any:
        asked["LIST" if "list-type" in environ["QUERY_STRING"] else environ["REQUEST_METHOD"]] += 1
        return app(environ, start)

    class Silent(WSGIRequestHandler):
        def log_request(self, *_: object) -> None:
            """Say nothing."""

    os.environ |= {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret"}
    os.environ |= {"AWS_EC2_METADATA_DISABLED": "true", "AWS_DEFAULT_REGION": "us-east-1"}
    server = make_server("127.0.0.1", 0, counted, threaded=True, request_handler=Silent)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{server.server_port}"
    try:
        boto3.client("s3", endpoint_url=address).create_bucket(Bucket=BUCKET)
        yield address, asked
    finally:
        server.shutdown()


def publish(commons: Path, run: str, address: str, dies: bool = False) -> bool:
    """One whole run: its tables under a name of their own, and then the record that makes them count, if no
    other site's run has that id.

    Args:
        commons, run, address: the run, and the store.
        dies: whether to end before the record.

    Returns:
        whether the id was free.
    """
    import boto3
    from botocore.exceptions import ClientError

    part = uuid.uuid4().hex
    query = f"?endpoint_override={address}&region=us-east-1"
    rows = export_tables(commons, f"s3://{BUCKET}/data/{part}{query}", [run])
    if dies:
        os._exit(1)
    record = {**read_json(RunFolder(commons, run).run_file), "data": part, "rows": rows}
    try:
        boto3.client("s3", endpoint_url=address).put_object(
            Bucket=BUCKET, Key=f"runs/{run}.json", Body=json.dumps(record).encode(), IfNoneMatch="*"
        )
    except ClientError as error:
        if error.response["Error"]["Code"] != "PreconditionFailed":
            raise
        return False
    return True


def site(commons: Path, address: str, dies: bool) -> None:
    """Publish all runs of one site, those with ids that other sites use, too, first."""
    runs = sorted(Commons(commons).runs(), key=lambda run: (not run.startswith(SHARED), run))
    for run in runs:
        free = publish(commons, run, address, dies and run == runs[-1])
        if not free and not run.startswith(SHARED):
            raise AssertionError(f"{run} was published by another site")


def published(address: str) -> list[dict[str, Any]]:
    """The records of the runs that count."""
    where = fs.S3FileSystem(endpoint_override=address, region="us-east-1")
    found = where.get_file_info(fs.FileSelector(f"{BUCKET}/runs", allow_not_found=True))
    return [json.loads(where.open_input_stream(one.path).read()) for one in found]


def table(address: str, records: list[dict[str, Any]], name: str) -> ds.Dataset:
    """One table of the runs that count."""
    where = fs.S3FileSystem(endpoint_override=address, region="us-east-1")
    files = [f"{BUCKET}/data/{record['data']}/{name}.parquet" for record in records]
    return ds.dataset(files, SORTED[name].schema, format="parquet", filesystem=where)


def far_store(folder: Path, sites: int, runs: int = 3, shared: int = 1) -> None:
    """Several sites publish at once; one dies before it has told of its last run."""
    for number in range(sites):
        names = [f"{SHARED if at < shared else f'site-{number}'}-{at}" for at in range(runs)]
        generate_small(folder / f"site-{number}", runs, names.__getitem__)
    context = multiprocessing.get_context("spawn")
    with store() as (address, asked):
        begin = time.perf_counter()
        writers = [
            context.Process(target=site, args=(folder / f"site-{n}", address, n == sites - 1))
            for n in range(sites)
        ]
        for writer in writers:
            writer.start()
        looks = 0
        while any(writer.is_alive() for writer in writers):
            looks += 1
            some = published(address)
            counted = table(address, some, "networks").count_rows() if some else 0
            if counted != sum(record["rows"]["networks"] for record in some):
                raise AssertionError("a run that counts was not complete")
            time.sleep(0.5)
        took = time.perf_counter() - begin
        ends = [writer.exitcode for writer in writers]
        written = asked.copy()
        asked.clear()
        records = published(address)
        listed = asked.copy()
        asked.clear()
        epochs = table(address, records, "epochs").to_table(columns=["epoch", "validation_accuracy_percent"])
        read = asked.copy()
        where = fs.S3FileSystem(endpoint_override=address, region="us-east-1")
        parts = where.get_file_info(fs.FileSelector(f"{BUCKET}/data"))
    if epochs.num_rows != sum(record["rows"]["epochs"] for record in records):
        raise AssertionError("rows are missing")
    kept = sites * (runs - shared) + shared - 1
    print(
        f"{sites} sites, {runs} runs each, {shared} of them with the same id; exit codes {ends}; {took:.0f} s"
    )
    print(f"looked {looks} times meanwhile; runs that count: {len(records)}, expected {kept}")
    print(f"parts that no record names: {len(parts) - len(records)}; rows of epochs: {epochs.num_rows:,}")
    print("\n| | requests |\n|---|---|")
    print(f"| writing, and looking meanwhile | {dict(written)} |")
    print(f"| the list of {len(records)} runs | {dict(listed)} |")
    print(f"| two columns of their epochs | {dict(read)} |\n")


# many commons, one


def another(commons: Path, new: Path, number: int) -> None:
    """A copy of a compacted commons whose runs have the same ids and another beginning."""
    subprocess.run(["cp", "-r", commons, new], check=True)
    manifest = new / "archive" / "manifest.json"
    text = manifest.read_text()
    runs = Commons(new).runs()
    for run in runs:
        file = RunFolder(new, run).run_file
        started = str(read_json(file)["started"])
        other = f"{2000 + number}{started[4:]}"
        file.write_text(file.read_text().replace(started, other))
        text = text.replace(started, other)
    stored = json.loads(text)
    for pack in stored["packs"]:
        for run in pack["sealed"]:
            state = RunFolder(new, run).run_file.stat()
            pack["sealed"][run] = [state.st_size, state.st_mtime_ns]
    write_json(manifest, stored)
    for run in runs:
        RunFolder(new, run).totals.unlink(missing_ok=True)
        totals(Commons(new), run)


def far_merge(folder: Path, count: int, runs: int = 3) -> None:
    """Merge commons one after the other."""
    generate_small(folder / "one", runs)
    compact(folder / "one")
    target = folder / "all"
    print(
        "| commons merged | CPU s of the last | runs | packs | manifest, kB | counting networks, CPU s | MB |"
    )
    print("|---|---|---|---|---|---|---|")
    for number in range(1, count + 1):
        another(folder / "one", folder / "next", number)
        cost = spent(lambda: merge(folder / "next", target))
        subprocess.run(["rm", "-r", folder / "next"], check=True)
        if number in (1, 2, 5, 10, 20, 50, count):
            state = Snapshot(target)
            counting = spent(lambda: Commons(target).answer("select count(*) from networks"))
            held = (target / "archive/manifest.json").stat().st_size / 1e3
            print(
                f"| {number} | {cost:.2f} | {len(state.sealed)} | {len(state.archive.packs)} | {held:.0f} "
                f"| {counting:.2f} | {peak_mb():.0f} |"
            )
            del state
    cost = spent(lambda: compact(target))
    found = (
        Commons(target).answer("select count(*) as n, count(distinct run) as runs from networks").to_pylist()
    )
    print(f"\ncompacted in {cost:.1f} s of CPU to {len(Snapshot(target).archive.packs)} packs: {found}")
    print(f"expected {count * runs * SMALL} networks of {count * runs} runs\n")


# 100 million networks


def pretend(commons: Path, runs: int) -> None:
    """The list of a large commons: run files, totals and manifest are real, packs have names only."""
    open_commons(commons)
    generate_small(commons, 1)
    [first] = Commons(commons).runs()
    totals(Commons(commons), first)
    text, kept = (
        RunFolder(commons, first).run_file.read_bytes(),
        RunFolder(commons, first).totals.read_bytes(),
    )
    stored = read_json(RunFolder(commons, first).run_file)
    packs = []
    for start in range(0, runs, PER_PACK):
        names = [f"run-{k:07d}" for k in range(start, min(start + PER_PACK, runs))]
        sealed = {}
        for name in names:
            path = RunFolder(commons, name).path
            path.mkdir()
            (path / "run.json").write_bytes(text)
            (path / "totals.json").write_bytes(kept)
            state = (path / "run.json").stat()
            sealed[name] = [state.st_size, state.st_mtime_ns]
        number = f"{len(packs) + 1:06d}"
        files = {
            table: PackedFile(f"{number}-{table}.parquet", PER_RUN * len(names), 1, "0" * 64)
            for table in SORTED
        }
        networks = dict.fromkeys(names, f"0-{PER_RUN - 1}")
        started = dict.fromkeys(names, str(stored["started"]))
        packs.append(Pack(number, files, networks, started, sealed))
    subprocess.run(["rm", "-r", RunFolder(commons, first).path], check=True)
    (commons / "archive").mkdir()
    write_manifest(commons / "archive" / "manifest.json", Manifest(len(packs) + 1, tuple(packs)))


def look(commons: Path) -> None:
    """What every question needs before it reads a row, and the list of runs; printed as JSON."""
    from a4nn_core.commons.totals import kept

    before = peak_mb()
    first = spent(lambda: Snapshot(commons))
    after = peak_mb() - before
    again = spent(lambda: Snapshot(commons).parts(SORTED["networks"]))
    names = Commons(commons).runs()
    status = spent(lambda: [kept(RunFolder(commons, name)) for name in names])
    print(json.dumps([len(names), first, again, after, status]))


def far_listed(folder: Path, sizes: list[int]) -> None:
    """What grows with the number of runs, and what one pack takes; then both at 100 million networks."""
    print("| runs | manifest, MB | first look, CPU s | every other, CPU s | MB more | totals of all, CPU s |")
    print("|---|---|---|---|---|---|")
    per_run: list[float] = []
    for size in sizes:
        commons = folder / f"listed-{size}"
        pretend(commons, size)
        command = [sys.executable, __file__, "--look", str(commons)]
        done = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        found, first, again, memory, status = json.loads(done)
        held = (commons / "archive/manifest.json").stat().st_size / 1e6
        print(f"| {found:,} | {held:.1f} | {first:.2f} | {again:.2f} | {memory:.0f} | {status:.2f} |")
        per_run = [value / size for value in (held, first, again, memory, status)]
        subprocess.run(["rm", "-r", commons], check=True)
    size = 10
    made = [synthetic.make_run(f"run-{k:07d}", k) for k in range(size)]
    print(
        "\n| table | bytes a network | row groups | footer, bytes a row group | footer read, ms a row group |"
    )
    print("|---|---|---|---|---|")
    import pyarrow as pa

    total, groups_each, parse = 0.0, 0.0, 0.0
    for name in ("epochs", "predictions", "networks"):
        file = folder / f"{name}.parquet"
        write_sorted(file, SORTED[name], pa.concat_tables([one[name] for one in made]))
        metadata = pq.read_metadata(file)
        groups = metadata.num_row_groups
        read = spent(lambda file=file: [pq.read_metadata(file) for _ in range(20)]) / 20 / groups  # type: ignore[misc]
        each = file.stat().st_size / size / PER_RUN
        total += each
        groups_each += groups / size
        parse += read * groups / size
        print(
            f"| {name} | {each:.0f} | {groups} | {metadata.serialized_size / groups:.0f} | {1e3 * read:.2f} |"
        )
    print("\nIf all of it grows in proportion, runs of 1,000 networks (from the largest list above):\n")
    print(
        "| networks | runs | manifest | first look | every other | memory | totals of all | data "
        "| row groups | footers |"
    )
    print("|---|---|---|---|---|---|---|---|---|---|")
    for networks in (10**6, 10**7, 10**8):
        runs = networks // PER_RUN
        held, first, again, memory, status = (value * runs for value in per_run)
        print(
            f"| {networks:,} | {runs:,} | {held:,.0f} MB | {first:,.1f} s | {again:,.1f} s "
            f"| {memory:,.0f} MB | {status:,.0f} s | {total * networks / 1e9:,.1f} GB "
            f"| {groups_each * runs:,.0f} | {parse * runs:,.1f} s |"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("parts", nargs="*", help="store, merge, listed; default: all")
    parser.add_argument("--sites", type=int, default=4)
    parser.add_argument("--commons", type=int, default=20)
    parser.add_argument("--runs", type=int, nargs="+", default=[1_000, 10_000], help="lengths of lists")
    parser.add_argument("--look", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.look:
        look(options.look)
        return
    with tempfile.TemporaryDirectory(prefix="a4nn-far-") as folder:
        parts = options.parts or ["store", "merge", "listed"]
        if "store" in parts:
            far_store(Path(folder), options.sites)
        if "merge" in parts:
            far_merge(Path(folder), options.commons)
        if "listed" in parts:
            far_listed(Path(folder), options.runs)


if __name__ == "__main__":
    main()
