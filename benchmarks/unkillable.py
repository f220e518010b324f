"""kill -9 and SIGSTOP at random instants, many times over, and what it cost: the table in docs/operations.md.

    python benchmarks/unkillable.py --instants 20 --out unkillable.json

Every row of the table is one target, embedded (``a4nn run``, started again by this script as systemd would)
or through a work pool (server, worker and the delivered deployments, healed by the sweeper). Searches are
started and disturbed until the target has been hit so often; every search that ends is compared, row for row
and times aside, with one that was never disturbed.
"""

from __future__ import annotations

import argparse
import json
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "tests"))

from prefect_stack import ROOT, Postgres, Stack, kill, kill_group, until  # noqa: E402

from a4nn_core.commons import Commons, read_journal  # noqa: E402
from a4nn_core.commons.lock import holder  # noqa: E402
from a4nn_core.commons.rows import without_timing  # noqa: E402
from a4nn_core.commons.schema import TABLES  # noqa: E402
from a4nn_flows.locks import run_lock  # noqa: E402

A4NN = [sys.executable, "-P", "-c", "from a4nn_core.cli import main; main()"]
CHANGES = [
    *("search.networks=24", "search.population=8", "search.offspring=8", "space.channels=4"),
    *("training.epochs=8", "training.slots=2", "termination=none"),
]
# epochs at the end of a search without faults, so that there is a next epoch to wait for
LAST = 12
RUN = "faults"  # every search has this id, in a commons of its own: the id is in its rows


@dataclass
class Result:
    """One row of the table.

    Attributes:
        mode, target, how: how the search runs, which process is hit, and by what fault.
        instants: number of faults.
        searches: number of searches that ended meanwhile and were compared.
        lost, doubled: missing and duplicate rows of networks and epochs, against the undisturbed search.
        again: number of epochs that are in a journal twice.
        equal: number of searches with the same rows.
        notice: seconds until the fault was detected, one per fault; empty where nothing has to detect it.
        resume: seconds until the next epoch of the target, or of the run, was on disk.
    """

    mode: str
    target: str
    how: str
    instants: int = 0
    searches: int = 0
    lost: int = 0
    doubled: int = 0
    again: int = 0
    equal: int = 0
    notice: list[float] = field(default_factory=list)
    resume: list[float] = field(default_factory=list)


def lines(commons: Path, network: int | None = None) -> int:
    """Number of epochs on disk."""
    folder = commons / "runs" / RUN / "journals"
    name = "*" if network is None else f"{network:04d}"
    return sum(path.read_bytes().count(b"\n") for path in folder.glob(f"{name}.jsonl"))


def rows(commons: Path) -> dict[str, list[Any]]:
    store = Commons(commons)
    return {
        "networks": without_timing(TABLES["networks"], [n.row() for n in store.networks(RUN)]),
        "epochs": without_timing(TABLES["epochs"], [e.row() for e in store.epochs(RUN)]),
    }


def compare(result: Result, commons: Path, whole: dict[str, list[Any]]) -> None:
    """Add one search that has ended."""
    found = rows(commons)
    result.searches += 1
    result.equal += found == whole
    for table, wanted in whole.items():
        keys = [(row["network"], row.get("epoch")) for row in found[table]]
        result.lost += len({(r["network"], r.get("epoch")) for r in wanted} - set(keys))
        result.doubled += len(keys) - len(set(keys))
    for path in (commons / "runs" / RUN / "journals").glob("*.jsonl"):
        numbers = [line["epoch"] for line in read_journal(path)]
        result.again += len(numbers) - len(set(numbers))


class Embedded:
    """``a4nn run`` under a supervisor that starts it again."""

    name = "embedded"

    def __init__(self, home: Path) -> None:
        self.home = self.commons = home
        self.hits: Counter[int | None] = Counter()
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, commons: str) -> None:
        self.commons = self.home / commons
        self._start()

    def _start(self) -> None:
        settings = [argument for change in CHANGES for argument in ("--set", change)]
        command = [*A4NN, "run", "digits", *settings, "--run-id", RUN, "--commons", str(self.commons)]
        self.process = subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
        )

    def driver(self) -> int:
        assert self.process
        return self.process.pid if self.process.poll() is None else 0

    def ended(self) -> bool:
        assert self.process
        return self.process.poll() == 0

    def _again(self, fault: Callable[[subprocess.Popen[bytes]], object]) -> float:
        """End the search by a fault, and start it again; returns the seconds that its end took."""
        assert self.process
        at = time.time()
        fault(self.process)
        self.process.wait()
        notice = time.time() - at
        self._start()
        return notice

    def kill_driver(self) -> float:
        return self._again(lambda search: search.kill())

    def kill_all(self) -> float:
        """The search and everything it started, at the same moment."""
        return self._again(kill_group)

    def kill_torn(self) -> float:
        """As if the machine had died while the last lines were being written."""
        return self._again(self._tear)

    def _tear(self, search: subprocess.Popen[bytes]) -> None:
        kill_group(search)
        folder = self.commons / "runs" / RUN
        for path in (folder / "events.jsonl", *(folder / "journals").glob("*.jsonl")):
            line = path.read_bytes().rpartition(b"\n")[0].rpartition(b"\n")[2]
            with path.open("ab") as file:
                file.write(line[: len(line) // 2])

    def close(self) -> None:
        kill_group(self.process)


class SmallDisk(Embedded):
    """The same with the commons on a disk of 64 MB, which another process fills. Needs root."""

    name = "embedded"

    def __init__(self, home: Path) -> None:
        super().__init__(home)
        mount = ["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", str(home)]
        subprocess.run(mount, check=True)

    def fill(self) -> float:
        """Fill the disk, wait until the search gives up, make room and start it again."""
        return self._again(self._fill)

    def _fill(self, search: subprocess.Popen[bytes]) -> None:
        filler = self.home / "filler"
        with filler.open("wb", buffering=0) as file, suppress(OSError):
            while True:
                file.write(bytes(4096))
        code = search.wait(timeout=120)
        assert code == 2, f"a full disk ended the search with exit code {code}"
        filler.unlink()

    def close(self) -> None:
        super().close()
        subprocess.run(["umount", "-l", str(self.home)], check=True)


class Pool:
    """A search of the delivered deployments, on a server and worker of its own."""

    name = "work pool"

    def __init__(self, home: Path, database: str | None = None) -> None:
        self.stack = Stack(home, database)
        self.home = self.commons = home
        self.hits: Counter[int | None] = Counter()
        self.stack.start_server()
        self.stack.deploy(self.deployments())
        self.stack.start_worker()
        self.flow = ""

    def deployments(self) -> Path:
        return ROOT / "deployments/prefect.yaml"

    def start(self, commons: str) -> None:
        self.commons = self.home / commons
        self.flow = self.stack.run(
            "a4nn-search/search", experiment="digits", changes=CHANGES, run_id=RUN, commons=str(self.commons)
        )

    def driver(self) -> int:
        found = holder(run_lock(self.commons, RUN))
        return int(found["pid"]) if found else 0

    def ended(self) -> bool:
        try:
            return bool(self.stack.flow_run(self.flow)["state_type"] == "COMPLETED")
        except OSError:
            return False

    def _crashed(self, since: float) -> float:
        """When Prefect showed the crash, in seconds after ``since``."""

        def known() -> float | None:
            states = self.stack.get(f"flow_run_states/?flow_run_id={self.flow}")
            times = [
                datetime.fromisoformat(s["timestamp"]).timestamp() for s in states if s["type"] == "CRASHED"
            ]
            late = [t for t in times if t >= since - 0.1]
            return max(0.0, late[0] - since) + 1e-6 if late else None

        return float(until(known, 500))

    def kill_driver(self) -> float:
        at = time.time()
        kill(self.driver())
        return self._crashed(at)

    def kill_worker(self) -> None:
        self.stack.kill_worker()
        self.stack.start_worker()

    def kill_server(self) -> None:
        self.stack.kill_server()

    def close(self) -> None:
        self.stack.stop()


class SweptOften(Pool):
    """The same with a sweeper that comes every 30 s and looks at once, not every five minutes after one."""

    def deployments(self) -> Path:
        text = (ROOT / "deployments/prefect.yaml").read_text()
        for old, new in (
            ("interval: 300", "interval: 30"),
            (
                "entrypoint: a4nn_flows.sweep.sweep\n",
                "entrypoint: a4nn_flows.sweep.sweep\n    parameters: { grace_seconds: 5 }\n",
            ),
        ):
            assert text.count(old) == 1, old
            text = text.replace(old, new)
        file = self.stack.home / "prefect.yaml"
        file.write_text(text)
        return file

    def kill_machine(self) -> float:
        """A machine that dies: no process is left to report it to Prefect; the sweeper has to detect it."""
        at = time.time()
        self.stack.kill_worker()
        kill(self.driver())
        self.stack.start_worker()
        return self._crashed(at)

    def kill_all(self) -> float:
        """Kill all processes, the server included, at the same moment."""
        at = time.time()
        driver = self.driver()
        targets = [driver, *trainers(driver)]
        self.stack.kill_worker()
        for target in targets:
            kill(target)
        self.stack.kill_server()
        self.stack.start_server()
        self.stack.start_worker()
        return self._crashed(at)


class OnPostgres(Pool):
    """The same on PostgreSQL."""

    def __init__(self, home: Path) -> None:
        self.database = Postgres()
        super().__init__(home, self.database.url)

    def kill_database(self) -> None:
        self.database.kill()

    def close(self) -> None:
        super().close()
        self.database.stop()


def trainers(driver: int) -> list[int]:
    """Ids of the processes that train for a driver."""
    found = []
    for file in Path(f"/proc/{driver}/task").glob("*/children"):
        for pid in file.read_text().split():
            try:
                if b"a4nn_core.training.worker" in Path(f"/proc/{pid}/cmdline").read_bytes():
                    found.append(int(pid))
            except OSError:
                continue
    return found


def network_of(process: int) -> int | None:
    """Which network a process trains: the one whose lock it has open."""
    for link in Path(f"/proc/{process}/fd").glob("*"):
        try:
            target = link.readlink()
        except OSError:
            continue
        if target.name == "lock" and target.parent.parent.name == "checkpoints":
            return int(target.parent.name)
    return None


def inject(place: Any, result: Result, chance: random.Random, stopped: float, total: int) -> None:
    """One fault in a search of so many epochs, and the wait until it goes on."""
    commons = place.commons
    time.sleep(chance.uniform(0.0, 2.0))
    driver = place.driver()
    if not driver or lines(commons) >= total - LAST:
        return
    network = None
    before = lines(commons)
    at = time.time()
    if result.how == "SIGSTOP":
        kill(driver, signal.SIGSTOP)
        time.sleep(stopped)
        before = lines(commons)
        at = time.time()
        kill(driver, signal.SIGCONT)
    elif result.target == "training":
        found = trainers(driver)
        if not found:
            return
        target = chance.choice(found)
        network = network_of(target)
        if place.hits[network] == 2:
            return  # the third death of a worker is taken for the network's own fault, and recorded as such
        place.hits[network] += 1
        kill(target)
        before = lines(commons, network)

        def replaced() -> bool:
            return len(trainers(driver)) >= len(found) and target not in trainers(driver)

        until(replaced, 60)
        result.notice.append(time.time() - at)
    elif result.target in ("Prefect worker", "server", "database"):
        getattr(place, f"kill_{result.target.split()[-1]}")()
        before = lines(commons)
    else:
        result.notice.append(getattr(place, FAULTS[result.target])())
        before = lines(commons)
    result.instants += 1
    # a network at its last epoch has no next one
    if network is not None and before >= 8:
        network, before = None, lines(commons)
    until(lambda: lines(commons, network) > before or lines(commons) >= total, 900)
    result.resume.append(time.time() - at)
    if result.target in ("server", "database"):
        time.sleep(chance.uniform(0.0, 15.0))  # an operator does not react at once
    if result.target == "server":
        place.stack.start_server()
    elif result.target == "database":
        place.database.start()


def campaign(
    place: Any,
    result: Result,
    instants: int,
    whole: dict[str, list[Any]],
    seed: int,
    stopped: float,
    save: Callable[[], object],
) -> Result:
    """Inject faults into searches until the target was hit so often."""
    total = len(whole["epochs"])
    chance = random.Random(f"{place.name} {result.target} {result.how} {seed} {result.instants}")
    number = 0
    instants += result.instants
    while result.instants < instants:
        number += 1
        place.hits = Counter()
        place.start(f"commons-{number}")
        until(lambda: lines(place.commons) > 0, 200)
        while result.instants < instants and lines(place.commons) < total - LAST:
            inject(place, result, chance, stopped, total)
            save()
        until(place.ended, 600)
        compare(result, place.commons, whole)
        sys.stderr.write(f"{place.name} {result.target} {result.how}: {result.instants}\n")
    return result


def seconds(values: list[float]) -> str:
    return f"{statistics.median(values):.1f} ({max(values):.1f})" if values else "-"


def table(results: list[Result]) -> str:
    head = [
        "how it runs", "what was hit", "signal", "instants", "rows lost", "rows doubled",
        "epochs trained again", "s to notice", "s to the next epoch", "searches equal",
    ]  # fmt: skip
    text = [f"| {' | '.join(head)} |", "|" + "---|" * len(head)]
    for r in results:
        cells: list[Any] = [r.mode, r.target, r.how, r.instants, r.lost, r.doubled, r.again]
        cells += [seconds(r.notice), seconds(r.resume), f"{r.equal} of {r.searches}"]
        text.append(f"| {' | '.join(map(str, cells))} |")
    return "\n".join(text)


FAULTS = {
    "driver": "kill_driver",
    "all processes": "kill_all",
    "all processes, lines torn": "kill_torn",
    "disk": "fill",
    "worker and driver": "kill_machine",
}
ROWS: list[tuple[Callable[[Path], Any], str, str]] = [
    (Embedded, "training", "SIGKILL"),
    (Embedded, "driver", "SIGKILL"),
    (Embedded, "all processes", "SIGKILL"),
    (Embedded, "all processes, lines torn", "SIGKILL"),
    (SmallDisk, "disk", "full"),
    (Embedded, "driver", "SIGSTOP"),
    (Pool, "training", "SIGKILL"),
    (Pool, "driver", "SIGKILL"),
    (Pool, "Prefect worker", "SIGKILL"),
    (Pool, "server", "SIGKILL"),
    (OnPostgres, "database", "SIGKILL"),
    (SweptOften, "worker and driver", "SIGKILL"),
    (SweptOften, "all processes", "SIGKILL"),
    (Pool, "driver", "SIGSTOP"),
]


def main() -> None:
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("--instants", type=int, default=20, help="of each row")
    options.add_argument("--rows", nargs="*", help="only these, from 0; 3:10 for ten instants of row 3")
    options.add_argument("--show", nargs="*", type=Path, help="print what these files hold, and end")
    options.add_argument("--stopped", type=float, default=60, help="seconds of a SIGSTOP")
    options.add_argument("--seed", type=int, default=0)
    options.add_argument("--out", type=Path, default=Path("unkillable.json"), help="added to if it is there")
    given = options.parse_args()
    if given.show:
        print(table([Result(**one) for file in given.show for one in json.loads(file.read_text())]))
        return
    home = Path(tempfile.mkdtemp(prefix="a4nn-unkillable-"))
    reference = Embedded(home)
    reference.start("whole")
    assert reference.process
    assert reference.process.wait() == 0
    whole = rows(reference.commons)
    results = [Result(**one) for one in json.loads(given.out.read_text())] if given.out.exists() else []

    def save() -> None:
        given.out.write_text(json.dumps([asdict(one) for one in results], indent=1))

    wanted = dict.fromkeys(range(len(ROWS)), given.instants)
    if given.rows:
        asked = [row.partition(":") for row in given.rows]
        wanted = {int(row): int(count) if count else wanted[int(row)] for row, _, count in asked}
    for number, instants in wanted.items():
        kind, target, how = ROWS[number]
        folder = home / str(number)
        folder.mkdir()
        place = kind(folder)
        key = (place.name, target, how)
        result = next((r for r in results if (r.mode, r.target, r.how) == key), Result(*key))
        if result not in results:
            results.append(result)
        try:
            campaign(place, result, instants, whole, given.seed, given.stopped, save)
        finally:
            place.close()
            save()
            print(table(results), flush=True)


if __name__ == "__main__":
    main()
