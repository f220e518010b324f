"""kill -9 at random instants: nothing acknowledged is lost, nothing is there twice, nothing is corrupt."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
from collections import Counter
from contextlib import suppress
from pathlib import Path

import pytest

from a4nn_core.commons import Commons, RunFolder, read_events
from a4nn_core.commons.check import check as check_commons

HERE = Path(__file__).parent


def kill(pid: int) -> None:
    """kill -9, if it is still there."""
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


class Victim:
    """The writing process; see commons_victim.py."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, HERE / "commons_victim.py"],
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
    victim = Victim()
    networks = 12
    kills = killed_tidying = 0
    run_number = 0
    acknowledged: dict[str, set[str]] = {}
    while kills < 75:
        run = f"run-{run_number}"
        tidying = kills % 3 == 2 and (commons / "commons.json").exists()
        said, status = victim.work(
            commons, "-" if tidying else run, networks, kill_after=rng.uniform(0.0, 0.06 if tidying else 0.12)
        )
        assert status in (0, -signal.SIGKILL), said
        if tidying:
            killed_tidying += status != 0
            kills += 1
        else:
            acknowledged.setdefault(run, set()).update(said)
            kills += status != 0
            run_number += status == 0
        if (commons / "commons.json").exists() and run in Commons(commons).runs():
            check(commons, run, acknowledged[run])
    run = f"run-{run_number}"
    said, status = victim.work(commons, run, networks, kill_after=None)
    assert status == 0
    assert killed_tidying > 5
    assert victim.work(commons, "-", 0, kill_after=None)[1] == 0
    assert check_commons(commons, checkpoints=False).problems == []
    victim.process.stdin.close()  # type: ignore[union-attr]
    victim.process.wait(10)
    found = Commons(commons)
    for run in found.runs():
        assert [n["network"] for n in found.networks(run)] == list(range(networks))
        assert found.run(run)["status"] == "completed"
        curves = Counter((e["network"], e["epoch"]) for e in found.epochs(run))
        assert set(curves.values()) == {1}
        assert len(curves) == sum(3 + n % 4 for n in range(networks))
        assert not list(RunFolder(commons, run).path.rglob("*.unfinished"))


def check(commons: Path, run: str, acknowledged: set[str]) -> None:
    """What a reader finds right after a kill."""
    found = Commons(commons)
    networks = Counter(n["network"] for n in found.networks(run))
    epochs = Counter((e["network"], e["epoch"]) for e in found.epochs(run))
    assert not [k for k, times in (networks | epochs).items() if times > 1]
    events = {e["number"] for e in read_events(RunFolder(commons, run).events)}
    for word in acknowledged:
        match word.split():
            case ["epoch", network, epoch]:
                assert (int(network), int(epoch)) in epochs
            case ["network", network]:
                assert int(network) in networks
            case ["event", number]:
                assert int(number) in events
    for network in networks:  # a final record brings all its epochs
        assert sum(n == network for n, _ in epochs) == 3 + network % 4
