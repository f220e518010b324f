"""Device slots, pinning and locks, on devices that are not there."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from threading import Lock, Thread
from typing import Any

import fake_worker
import pytest
from fake_worker import DIES, FAILS, HANGS, HOLDS, LIMPS, WORKS
from test_training import segment, wait_for

from a4nn_core.commons.lock import holder
from a4nn_core.errors import BadInput
from a4nn_core.training.segment import Segment, SegmentResult
from a4nn_core.training.settings import Training
from a4nn_core.workflow import devices, pool, slots
from a4nn_core.workflow.devices import Device, choose_device, choose_slots, discover
from a4nn_core.workflow.pool import WorkerPool


@pytest.fixture(autouse=True)
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine with two devices named in a file, workers without torch, and lock files of its own."""
    names = tmp_path / "devices"
    names.write_text("left\nright\n")
    monkeypatch.setenv(devices.FAKE_DEVICES, f"@{names}")
    monkeypatch.setenv(slots.LOCK_FOLDER, str(tmp_path / "locks"))
    monkeypatch.setattr(pool, "WORKER", (sys.executable, "-P", fake_worker.__file__))
    monkeypatch.setattr(slots, "POLL_SECONDS", 0.02)
    return names


def job(commons: Path, what: int, number: int = 0, **training: Any) -> Segment:
    return segment(commons, network=10 * number + what, device="fake", training=training)


def places(commons: Path) -> list[dict[str, Any]]:
    path = commons / "places.jsonl"
    return [json.loads(text) for text in path.read_text().splitlines()] if path.exists() else []


class Runs:
    """Segments run in threads of a pool."""

    def __init__(self, workers: WorkerPool, *segments: Segment) -> None:
        self.results: list[SegmentResult] = []
        self.threads = [Thread(target=self._run, args=(workers, one)) for one in segments]
        for thread in self.threads:
            thread.start()

    def _run(self, workers: WorkerPool, one: Segment) -> None:
        self.results.append(workers.run(one))

    def join(self) -> list[SegmentResult]:
        for thread in self.threads:
            thread.join(timeout=60)
            assert not thread.is_alive()
        return self.results


@pytest.mark.slow
def test_every_network_has_a_device_of_its_own(tmp_path: Path) -> None:
    workers = WorkerPool(2, 1)
    runs = Runs(workers, job(tmp_path, HOLDS, 0), job(tmp_path, HOLDS, 1))
    wait_for(lambda: len(places(tmp_path)) == 2)
    found = places(tmp_path)
    assert {p["CUDA_VISIBLE_DEVICES"] for p in found} == {"left", "right"}
    assert {p["A4NN_SLOT"] for p in found} == {"left#0", "right#0"}
    assert {p["device"] for p in found} == {"cpu"}  # what torch calls it inside the pinned process
    said = holder(tmp_path / "locks/left#0.lock")
    assert said
    assert (said["run"], said["network"] in (HOLDS, 10 + HOLDS)) == ("r", True)
    (tmp_path / "go").touch()
    assert [r.status for r in runs.join()] == ["completed", "completed"]
    workers.close()
    assert holder(tmp_path / "locks/left#0.lock") is None


def test_warm_workers_keep_their_device(tmp_path: Path) -> None:
    workers = WorkerPool(2, 1)
    for number in range(4):
        assert workers.run(job(tmp_path, WORKS, number)).status == "completed"
    workers.close()
    assert len({p["pid"] for p in places(tmp_path)}) == 1


def test_workers_can_start_before_there_is_work(tmp_path: Path) -> None:
    workers = WorkerPool(2, 1)
    workers.warm()
    started = {worker.process.pid for worker in workers._all}
    assert len(started) == 2
    assert workers.run(segment(tmp_path, network=WORKS)).status == "completed"
    assert {p["pid"] for p in places(tmp_path)} < started
    workers.close()


@pytest.mark.slow
def test_two_runs_do_not_take_the_same_slot(tmp_path: Path) -> None:
    """The second run waits for the first one's device, and gets it when the first ends."""
    first, second = WorkerPool(2, 1), WorkerPool(2, 1)
    mine = Runs(first, job(tmp_path, HOLDS, 0), job(tmp_path, HOLDS, 1))
    wait_for(lambda: len(places(tmp_path)) == 2)
    theirs = Runs(second, job(tmp_path, WORKS, 2))
    time.sleep(0.3)
    assert len(places(tmp_path)) == 2
    (tmp_path / "go").touch()
    mine.join()
    time.sleep(0.1)
    assert not theirs.results  # a warm worker has its data on the device, so it keeps its slot
    first.close()
    assert [r.status for r in theirs.join()] == ["completed"]
    second.close()


def test_a_run_that_ends_stops_waiting(tmp_path: Path) -> None:
    first, second = WorkerPool(1, 1), WorkerPool(1, 1)
    one = {"slots_per_device": 1}
    (tmp_path / "devices").write_text("only")
    mine = Runs(first, job(tmp_path, HOLDS, 0, **one))
    wait_for(lambda: len(places(tmp_path)) == 1)
    theirs = Runs(second, job(tmp_path, WORKS, 1, **one))
    second.close()
    (result,) = theirs.join()
    assert (result.fatal, result.error) == (True, "the run was closed")
    first.close()
    assert [r.fatal for r in mine.join()] == [True]


@pytest.mark.slow
def test_small_networks_share_a_device(tmp_path: Path) -> None:
    workers = WorkerPool(3, 1)
    shared = {"slots_per_device": 2}
    runs = Runs(workers, *(job(tmp_path, HOLDS, number, **shared) for number in range(3)))
    wait_for(lambda: len(places(tmp_path)) == 3)
    names = sorted(p["A4NN_SLOT"] for p in places(tmp_path))
    assert names in (["left#0", "left#1", "right#0"], ["left#0", "right#0", "right#1"])
    (tmp_path / "go").touch()
    runs.join()
    workers.close()


@pytest.mark.parametrize(("first", "second"), [(1, 2), (2, 1)])
def test_of_two_runs_the_one_that_wants_fewer_on_a_device_is_heard(
    first: int, second: int, machine: Path
) -> None:
    machine.write_text("only")
    held = slots.acquire("fake", first, lambda: True)
    assert held
    looks = iter([True, True, False])
    assert slots.acquire("fake", second, lambda: next(looks)) is None
    held.release()
    after = slots.acquire("fake", second, lambda: True)
    assert after
    after.release()


def test_however_many_runs_come_at_once_nobody_is_crowded(machine: Path) -> None:
    machine.write_text("only")
    there: list[int] = []
    crowded: list[list[int]] = []
    guard = Lock()

    def come(per_device: int) -> None:
        for _ in range(15):
            slot = slots.acquire("fake", per_device, lambda: True)
            assert slot
            with guard:
                there.append(per_device)
                if len(there) > min(there):
                    crowded.append([*there])
            time.sleep(0.002)
            with guard:
                there.remove(per_device)
            slot.release()

    threads = [Thread(target=come, args=(n,)) for n in (1, 2, 2, 3, 3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=120)
        assert not thread.is_alive()
    assert not crowded


HOLDER = """
import sys, time
from pathlib import Path
from test_devices import HOLDS, job
from a4nn_core.workflow import pool
from a4nn_core.workflow.pool import WorkerPool
pool.WORKER = (sys.executable, "-P", sys.argv[2])
WorkerPool(1, 1).run(job(Path(sys.argv[1]), HOLDS))
"""


@pytest.mark.integration
def test_any_death_frees_the_slot(tmp_path: Path, machine: Path) -> None:
    """kill -9 of a run: its worker ends by itself, and then, not before, another run gets the device."""
    machine.write_text("only")
    process = subprocess.Popen(
        [sys.executable, "-P", "-c", HOLDER, str(tmp_path), fake_worker.__file__],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parent)},
    )
    wait_for(lambda: len(places(tmp_path)) == 1)
    worker = places(tmp_path)[0]["pid"]
    os.kill(worker, signal.SIGSTOP)  # a worker that cannot end yet still has the device's memory
    process.kill()
    process.wait()
    lock = tmp_path / "locks/only#0.lock"
    assert holder(lock) is not None
    os.kill(worker, signal.SIGCONT)
    os.kill(worker, signal.SIGKILL)
    wait_for(lambda: holder(lock) is None)
    workers = WorkerPool(1, 1)
    assert workers.run(job(tmp_path, WORKS)).status == "completed"
    workers.close()


@pytest.mark.slow
def test_a_killed_worker_keeps_the_slot_for_its_successor(tmp_path: Path) -> None:
    workers = WorkerPool(1, 1)
    result = workers.run(job(tmp_path, DIES))
    assert (result.status, result.fatal) == ("failed", False)
    assert result.error == "worker process ended with signal 9 (3 times)"
    assert len({p["A4NN_SLOT"] for p in places(tmp_path)}) == 1
    assert len({p["pid"] for p in places(tmp_path)}) == 3
    assert workers.run(job(tmp_path, WORKS)).status == "completed"
    workers.close()


@pytest.mark.slow
def test_deaths_with_epochs_between_them_are_not_the_networks_fault(tmp_path: Path) -> None:
    workers = WorkerPool(1, 1)
    assert workers.run(job(tmp_path, LIMPS)).status == "completed"
    assert len({p["pid"] for p in places(tmp_path)}) == 5
    workers.close()


@pytest.mark.slow
def test_a_hung_worker_is_ended(tmp_path: Path) -> None:
    """The watchdog; a worker that still makes progress is left alone however long it takes."""
    workers = WorkerPool(2, 1)
    held = Runs(workers, job(tmp_path, HOLDS, 1, stall_seconds=1.5))
    result = workers.run(job(tmp_path, HANGS, 0, stall_seconds=0.4))
    assert result.status == "failed"
    assert result.error == "worker process made no progress for 0.4 s and was killed (3 times)"
    pids = [p["pid"] for p in places(tmp_path) if p["network"] == HANGS]
    assert len(set(pids)) == 3
    wait_for(lambda: not any(Path(f"/proc/{pid}/cmdline").exists() for pid in pids))
    assert not held.results
    (tmp_path / "go").touch()
    assert [r.status for r in held.join()] == ["completed"]
    workers.close()


@pytest.mark.slow
def test_a_worker_that_never_starts_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool, "WORKER", (sys.executable, "-c", "import time; time.sleep(3600)"))
    monkeypatch.setattr(pool, "START_SECONDS", 0.3)
    workers = WorkerPool(1, 1)
    result = workers.run(job(tmp_path, WORKS, stall_seconds=0.1))
    assert result.status == "failed"
    assert "made no progress" in str(result.error)
    workers.close()


@pytest.mark.slow
@pytest.mark.parametrize("how", [DIES, FAILS])
def test_a_device_that_disappears_is_left(tmp_path: Path, machine: Path, how: int) -> None:
    """Its network goes on elsewhere and is not counted as failed; with no device left the run must end."""
    workers = WorkerPool(1, 1)
    machine.write_text("left")
    workers.run(job(tmp_path, WORKS))
    machine.write_text("right")  # left has gone when the next network meets the error
    result = workers.run(job(tmp_path, how, 1))
    used = [p["CUDA_VISIBLE_DEVICES"] for p in places(tmp_path)]
    assert used[:2] == ["left", "left"]
    assert set(used[2:]) == {"right"}
    assert result.status == "failed"  # the network of this test fails everywhere
    assert not result.fatal
    assert workers.run(job(tmp_path, WORKS, 2)).status == "completed"
    machine.write_text("")
    gone = workers.run(job(tmp_path, how, 3))
    assert (gone.status, gone.fatal) == ("failed", True)
    assert gone.error == "this machine no longer has a device 'fake' to train on"
    workers.close()


@pytest.mark.slow
def test_a_failed_network_gets_its_device_a_fresh_process(tmp_path: Path) -> None:
    workers = WorkerPool(1, 1)
    assert workers.run(job(tmp_path, FAILS)).error == "CUDA error: device not ready"
    assert workers.run(job(tmp_path, WORKS)).status == "completed"
    first, second = places(tmp_path)
    assert first["pid"] != second["pid"]
    workers.close()


def test_slots_follow_from_devices(machine: Path) -> None:
    assert choose_device("auto") == "fake"
    assert choose_slots(Training(), "fake") == 2
    assert choose_slots(Training(slots_per_device=3), "fake") == 6
    assert choose_slots(Training(slots=5), "fake") == 5
    assert choose_device("cpu") == "cpu"
    machine.write_text("")
    assert choose_device("auto") != "fake"


def test_a_lock_folder_that_cannot_be_made(monkeypatch: pytest.MonkeyPatch, machine: Path) -> None:
    monkeypatch.setenv(slots.LOCK_FOLDER, f"{machine}/locks")
    with pytest.raises(BadInput, match="cannot create the folder"):
        slots.acquire("fake", 1, lambda: True)


class Properties:
    def __init__(self, uuid: str) -> None:
        self.uuid = uuid


@pytest.mark.parametrize(
    ("visible", "listed", "expected"),
    [
        ("", None, ["GPU-aaa", "GPU-bbb"]),
        ("GPU-xyz,MIG-1", None, ["GPU-xyz", "MIG-1"]),
        ("3,5", None, ["GPU-aaa", "GPU-bbb"]),
        ("", "GPU 0: H100 (UUID: GPU-bbb)\n", ["GPU-bbb"]),  # the other one has fallen off the bus
    ],
)
def test_gpus_are_named_by_uuid(
    monkeypatch: pytest.MonkeyPatch, visible: str, listed: str | None, expected: list[str]
) -> None:
    import torch

    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    properties: Callable[[int], Properties] = lambda i: Properties(["aaa", "bbb"][i])  # noqa: E731
    monkeypatch.setattr(torch.cuda, "get_device_properties", properties)
    monkeypatch.setattr(devices, "_listed_by_driver", lambda: listed)
    found = discover("cuda")
    assert [d.identity for d in found] == expected
    assert all(d.environment == {"CUDA_VISIBLE_DEVICES": d.identity} for d in found)
    if listed is None:
        assert discover("cuda:1") == [Device(expected[1], "cuda", {"CUDA_VISIBLE_DEVICES": expected[1]})]
