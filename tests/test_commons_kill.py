"""kill -9 at random instants: nothing acknowledged is lost, nothing is there twice, nothing is corrupt."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from a4nn_core.commons import Commons, RunFolder, read_events
from a4nn_core.commons.check import check as check_commons
from a4nn_core.commons.rows import python_rows, without_timing
from a4nn_core.commons.schema import TABLES

HERE = Path(__file__).parent


def kill(pid: int) -> None:
    """kill -9, if it is still there."""
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


class WritingProcess:
    """The writing process; see commons_writer.py."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, HERE / "commons_writer.py"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(HERE)},
        )
        assert self._line() == "ready"

    def _line(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def work(self, commons: Path, run: str, networks: int, kill_after: float | None) -> tuple[list[str], int]:
        """Let it write, kill it after some seconds; gives what it acknowledged and how it ended."""
        assert self.process.stdin is not None
        print(commons, run, networks, file=self.process.stdin, flush=True)
        said: list[str] = []
        timer = None
        while not (line := self._line()).startswith("ended"):
            assert line, "the writing process died"
            if line.startswith("child") and kill_after is not None:
                timer = threading.Timer(kill_after, kill, (int(line.split()[1]),))
                timer.start()
            else:
                said.append(line)
        if timer:
            timer.cancel()
        return said, int(line.split()[1])


@pytest.mark.integration
def test_kill_at_random_instants(tmp_path: Path) -> None:
    commons = tmp_path / "commons"
    rng = random.Random(20230807)
    writing = WritingProcess()
    networks = 12
    kills = killed_tidying = rounds = 0
    run_number = 0
    acknowledged: dict[str, set[str]] = {}
    while kills < 50 or killed_tidying < 8:  # however fast the machine is today
        rounds += 1
        assert rounds < 1000
        run = f"run-{run_number}"
        tidying = rounds % 3 == 2 and (commons / "commons.json").exists()
        said, status = writing.work(
            commons, "-" if tidying else run, networks, kill_after=rng.uniform(0.0, 0.06 if tidying else 0.12)
        )
        assert status in (0, -signal.SIGKILL), said
        if tidying:
            killed_tidying += status != 0
        else:
            acknowledged.setdefault(run, set()).update(said)
            run_number += status == 0
        kills += status != 0
        if (commons / "commons.json").exists() and run in Commons(commons).runs():
            check(commons, run, acknowledged[run])
    run = f"run-{run_number}"
    said, status = writing.work(commons, run, networks, kill_after=None)
    assert status == 0
    assert writing.work(commons, "-", 0, kill_after=None)[1] == 0
    assert check_commons(commons, checkpoints=False).problems == []
    writing.process.stdin.close()  # type: ignore[union-attr]
    writing.process.wait(10)
    found = Commons(commons)
    for run in found.runs():
        assert [n.network for n in found.networks(run)] == list(range(networks))
        assert found.run(run).status == "completed"
        curves = Counter((e.network, e.epoch) for e in found.epochs(run))
        assert set(curves.values()) == {1}
        assert len(curves) == sum(3 + n % 4 for n in range(networks))
        assert not list(RunFolder(commons, run).path.rglob("*.unfinished"))


@pytest.mark.integration
def test_kill_the_search_loop_at_random_instants(tmp_path: Path) -> None:
    """The real loop, with compactions between: the run ends as one that was never killed."""
    rng = random.Random(20231127)
    writing = WritingProcess()
    said, status = writing.work(tmp_path / "whole", "search", 24, kill_after=None)
    assert status == 0, said
    commons = tmp_path / "killed"
    kills = rounds = 0
    acknowledged: set[str] = set()
    while kills < 30:
        said, status = writing.work(commons, "search", 24, kill_after=rng.uniform(0.0, 0.25))
        assert status in (0, -signal.SIGKILL), said
        acknowledged.update(said)
        kills += status != 0
        rounds += 1
        assert rounds < 200
        if (commons / "runs" / "search" / "run.json").exists():
            check(commons, "search", acknowledged, epochs=lambda _: 4)
            if rounds % 5 == 0:
                assert writing.work(commons, "-", 0, kill_after=rng.uniform(0.0, 0.05))[1] in (
                    0,
                    -signal.SIGKILL,
                )
        if status == 0:  # begin anew, so that all stages are hit
            same(commons, tmp_path / "whole")
            shutil.rmtree(commons)
            acknowledged = set()
    assert writing.work(commons, "search", 24, kill_after=None)[1] == 0
    same(commons, tmp_path / "whole")
    assert check_commons(commons, checkpoints=False).problems == []
    writing.process.stdin.close()  # type: ignore[union-attr]
    writing.process.wait(10)


def same(one: Path, other: Path) -> None:
    """Two commons with the same run, times aside."""
    for name in ("networks", "epochs", "layers", "edges"):
        tables = [
            without_timing(
                TABLES[name], python_rows(Commons(c).sql(f"from {name} order by all").to_arrow_table())
            )
            for c in (one, other)
        ]
        assert tables[0] == tables[1], name


def check(
    commons: Path,
    run: str,
    acknowledged: set[str],
    epochs: Callable[[int], int] = lambda network: 3 + network % 4,
) -> None:
    """What a reader finds right after a kill; ``epochs`` gives how many a finished network has."""
    found = Commons(commons)
    networks = Counter(n.network for n in found.networks(run))
    trained = Counter((e.network, e.epoch) for e in found.epochs(run))
    assert not [k for k, times in (networks | trained).items() if times > 1]
    events = {e.number for e in read_events(RunFolder(commons, run).events)}
    for word in acknowledged:
        match word.split():
            case ["epoch", network, epoch]:
                assert (int(network), int(epoch)) in trained
            case ["network", network]:
                assert int(network) in networks
            case ["event", number]:
                assert int(number) in events
    equal = {n.network for n in found.networks(run) if n.equal_to is not None}
    for network in networks:  # a final record brings all its epochs
        assert sum(n == network for n, _ in trained) == (0 if network in equal else epochs(network))
