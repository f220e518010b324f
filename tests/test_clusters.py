"""Ray and Dask clusters, on this machine and with devices that are not there."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import fake_worker
import pytest
from command import A4NN, SMALL, a4nn
from fake_worker import WORKS
from prefect_stack import SELDOM, Stack, free_port, kill, kill_group, until
from test_training import segment, wait_for
from test_workflow import rows

from a4nn_core.commons import read_journal
from a4nn_core.commons.layout import open_commons
from a4nn_core.commons.lock import ReaderLock, holder
from a4nn_core.errors import BadInput
from a4nn_core.training.segment import Segment, SegmentResult
from a4nn_core.training.settings import Training
from a4nn_core.vocabulary import NetworkStatus
from a4nn_core.workflow import pool
from a4nn_core.workflow.devices import Machine
from a4nn_flows import cluster
from a4nn_flows.cluster import ClusterExecutor, open_cluster
from a4nn_flows.search import search as search_flow

pytestmark = pytest.mark.integration
DEVICES = ("here-a", "here-b")
LONGER = [
    *("--set", "training.epochs=12"),
    *("--set", "training.slots=2"),
    *("--set", "search.networks=4"),
    *("--set", "search.population=4"),
]


@pytest.fixture
def machine(stack: Stack, tmp_path: Path) -> dict[str, str]:
    """The environment of a machine with two devices, whose lock files are in ``locks``."""
    return {
        **stack.environment,
        "A4NN_FAKE_DEVICES": ",".join(DEVICES),
        "A4NN_LOCKS": str(tmp_path / "locks"),
        "RAY_USAGE_STATS_ENABLED": "0",
    }


@contextmanager
def search(executor: str, commons: Path, environment: dict[str, str]) -> Iterator[Any]:
    """A search under way, in a group of its own."""
    command = [*A4NN, "run", *SMALL, *LONGER, "--run-id", "r", "--executor", executor]
    with (commons.parent / "log").open("ab") as log:
        process = subprocess.Popen(
            [*command, "--commons", str(commons)],
            env=environment,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        yield process
    finally:
        kill_group(process)


def on_devices(tmp_path: Path) -> dict[str, dict[str, Any]]:
    """Who trains on which device now."""
    found = {device: holder(tmp_path / f"locks/{device}#0.lock") for device in DEVICES}
    return {device: said for device, said in found.items() if said and "worker" in said}


def log_of(tmp_path: Path) -> Callable[[], str]:
    return lambda: (tmp_path / "log").read_text()[-5000:]


@pytest.fixture(scope="module")
def embedded(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The same search by the embedded executor: every row, times aside."""
    commons = tmp_path_factory.mktemp("embedded")
    done = a4nn("run", *SMALL, *LONGER, "--run-id", "r", "--commons", commons)
    assert done.returncode == 0, done.stderr
    return rows(commons, "r")


@pytest.mark.parametrize("executor", ["ray", "dask"])
def test_a_cluster_trains_a_network_a_device(
    executor: str, stack: Stack, machine: dict[str, str], embedded: dict[str, Any], tmp_path: Path
) -> None:
    with search(executor, tmp_path / "cluster", machine) as process:
        both: dict[str, dict[str, Any]] = {}

        def busy() -> bool:
            both.update(on_devices(tmp_path))
            return len(on_devices(tmp_path)) == 2

        until(busy, 120, log_of(tmp_path))
        assert len({said["network"] for said in both.values()}) == 2
        for device, said in both.items():
            pinned = Path(f"/proc/{said['worker']}/environ").read_bytes().split(b"\0")
            assert f"CUDA_VISIBLE_DEVICES={device}".encode() in pinned
            assert f"A4NN_SLOT={device}#0".encode() in pinned
        assert process.wait(timeout=300) == 0, log_of(tmp_path)()
    assert not on_devices(tmp_path)
    assert rows(tmp_path / "cluster", "r") == embedded
    (flow,) = [run for run in stack.ask("flow_runs", sort="START_TIME_DESC") if run["name"] == "r"][:1]
    assert flow["parameters"]["cluster"] == executor

    def shown() -> bool:
        tasks = stack.ask("task_runs", flow_runs={"id": {"any_": [flow["id"]]}})
        names = sorted(run["name"] for run in tasks if run["state_type"] == "COMPLETED")
        return names == [f"generation 0 network {n} segment 0" for n in range(4)]

    until(shown, 60, pause=SELDOM)


def parent_of(process: int) -> int:
    return int(Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[1])


def epochs(commons: Path) -> list[int]:
    return [len(read_journal(path)) for path in sorted((commons / "runs/r/journals").glob("*.jsonl"))]


@pytest.fixture
def dask_machines(machine: dict[str, str], tmp_path: Path) -> Iterator[str]:
    """A scheduler and two machines, started by hand as their own processes; gives the address."""
    address = f"tcp://127.0.0.1:{free_port()}"
    program = [sys.executable, "-m", "distributed.cli"]
    options = ["--no-dashboard"]
    commands = [
        [f"{program[2]}.dask_scheduler", "--port", address.rpartition(":")[2], *options],
        *([f"{program[2]}.dask_worker", address, "--nthreads", "1", *options] for _ in range(2)),
    ]
    with (tmp_path / "dask").open("ab") as log:
        started = [
            subprocess.Popen(
                [*program[:2], *command],
                env=machine,
                stdout=log,
                stderr=log,
                start_new_session=True,
                cwd=tmp_path,
            )
            for command in commands
        ]
    yield address
    for process in started:
        kill_group(process)


def test_a_dask_machine_and_then_the_search_die(
    dask_machines: str, machine: dict[str, str], embedded: dict[str, Any], tmp_path: Path
) -> None:
    environment = {**machine, "DASK_SCHEDULER_ADDRESS": dask_machines}
    commons = tmp_path / "cluster"
    open_commons(commons)
    reading = ReaderLock(commons)  # so that compaction deletes no journals
    with search("dask", commons, environment):
        until(lambda: sum(epochs(commons)) > 4 and len(on_devices(tmp_path)) == 2, 120, log_of(tmp_path))
        trainer = next(iter(on_devices(tmp_path).values()))["worker"]
        kill(parent_of(trainer), signal.SIGKILL)
        before = sum(epochs(commons))
        until(lambda: sum(epochs(commons)) > before + 4, 120, log_of(tmp_path))
    # the search is killed; the machines train what they have, and the next search waits for that
    with search("dask", commons, environment) as process:
        assert process.wait(timeout=300) == 0, log_of(tmp_path)()
    journals = list((commons / "runs/r/journals").glob("*.jsonl"))
    assert journals
    reading.release()
    for path in journals:
        numbers = [line["epoch"] for line in read_journal(path)]
        assert numbers == sorted(set(numbers))
    assert rows(tmp_path / "cluster", "r") == embedded


def test_a_process_of_ray_dies(machine: dict[str, str], embedded: dict[str, Any], tmp_path: Path) -> None:
    commons = tmp_path / "cluster"
    with search("ray", commons, machine) as process:
        until(lambda: sum(epochs(commons)) > 4 and on_devices(tmp_path), 120, log_of(tmp_path))
        for said in on_devices(tmp_path).values():
            kill(parent_of(said["worker"]), signal.SIGKILL)
        assert process.wait(timeout=300) == 0, log_of(tmp_path)()
    assert rows(tmp_path / "cluster", "r") == embedded


def test_the_server_goes_away_for_a_while(
    stack: Stack, machine: dict[str, str], embedded: dict[str, Any], tmp_path: Path
) -> None:
    """Segments that are under way go on; those that come next wait for the server."""
    commons = tmp_path / "cluster"
    with search("dask", commons, machine) as process:
        until(lambda: sum(epochs(commons)) > 4, 120, log_of(tmp_path))
        stack.kill_server()
        try:
            until(lambda: sum(epochs(commons)) >= 24, 120, log_of(tmp_path))  # two networks
            time.sleep(5)  # the next two are on their way
        finally:
            stack.start_server()
        assert process.wait(timeout=300) == 0, log_of(tmp_path)()
    assert rows(commons, "r") == embedded


class Promise:
    """A future that has ended."""

    def __init__(self, end: SegmentResult | Exception) -> None:
        self.end = end

    def result(self) -> SegmentResult:
        if isinstance(self.end, Exception):
            raise self.end
        return self.end


class MadeUp:
    """A cluster on which segments end as they are told to, one after the other."""

    slots = 1

    def __init__(self, *ends: SegmentResult | Exception) -> None:
        self.ends = [*ends]
        self.is_gone = False

    def submit(self, task: object, segment: Segment) -> Promise:
        del task, segment
        if self.is_gone:
            raise ConnectionError("closed")
        return Promise(self.ends.pop(0))

    def has_ended(self, future: object) -> bool:
        del future
        return True


def executor_on(made_up: MadeUp, monkeypatch: pytest.MonkeyPatch) -> ClusterExecutor:
    monkeypatch.setattr(cluster, "AWAY_PAUSE_SECONDS", 0.0)
    return ClusterExecutor(made_up)


MACHINE = Machine("cpu", slots=1, threads=1)
AWAY = RuntimeError("Failed to reach API at http://127.0.0.1:4200/api")
DONE = SegmentResult(WORKS, 0, NetworkStatus.completed)


def test_a_server_that_is_away_is_no_loss(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    executor = executor_on(MadeUp(*[AWAY] * 7, OSError("a machine died"), AWAY, DONE), monkeypatch)
    executor.submit(segment(tmp_path, network=WORKS))
    assert executor.completed(5.0) == [DONE]


def test_a_server_that_stays_away_ends_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "AWAY_SECONDS", -1.0)
    executor = executor_on(MadeUp(*[AWAY] * 3), monkeypatch)
    executor.submit(segment(tmp_path, network=WORKS))
    with pytest.raises(BadInput, match="lost it 3 times: RuntimeError: Failed to reach API"):
        executor.completed(5.0)


def test_a_segment_that_is_lost_again_and_again_ends_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    executor = executor_on(MadeUp(*[OSError("a machine died")] * 3, DONE), monkeypatch)
    executor.submit(segment(tmp_path, network=WORKS))
    with pytest.raises(BadInput, match=f"network {WORKS}: the cluster lost it 3 times: OSError: a machine"):
        executor.completed(5.0)


def test_a_cluster_that_is_gone_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made_up = MadeUp()
    executor = executor_on(made_up, monkeypatch)
    made_up.is_gone = True
    with pytest.raises(BadInput, match="the cluster is gone: ConnectionError: closed"):
        executor.submit(segment(tmp_path, network=WORKS))


def test_a_device_by_number_is_ray_s_to_choose() -> None:
    with pytest.raises(BadInput, match="device = 'cuda:1': Ray chooses the GPU; use auto, cuda or cpu"):
        open_cluster("ray", Training(device="cuda:1"), MACHINE)


def test_a_machine_keeps_its_workers_warm_for_a_while(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("A4NN_FAKE_DEVICES", "here-a")
    monkeypatch.setenv("A4NN_LOCKS", str(tmp_path / "locks"))
    monkeypatch.setattr(pool, "WORKER", (sys.executable, "-P", fake_worker.__file__))
    monkeypatch.setattr(cluster, "IDLE_SECONDS", 0.5)
    warm = cluster._Warm()
    processes = set()
    for number in range(2):
        one = segment(tmp_path, network=10 * number + WORKS, device="fake")
        assert warm.run(one).status == "completed"
        said = holder(tmp_path / "locks/here-a#0.lock")
        assert said
        processes.add(said["worker"])
    assert len(processes) == 1
    wait_for(lambda: holder(tmp_path / "locks/here-a#0.lock") is None)  # another search can have the device
    # one with other settings need not wait for that
    monkeypatch.setattr(cluster, "IDLE_SECONDS", 600)
    for threads in (1, 2):
        one = segment(tmp_path, network=WORKS, device="fake", training={"threads": threads})
        assert warm.run(one).status == "completed"


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("spark", "cluster = 'spark': use ray, dask, or an address such as"),
        ("tcp://127.0.0.1:9", "the Dask cluster tcp://127.0.0.1:9 cannot be used"),
    ],
)
def test_no_such_cluster_is_one_sentence(name: str, sentence: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "CONNECT_SECONDS", 1)
    with pytest.raises(BadInput, match="cluster") as error:
        open_cluster(name, Training(), MACHINE)
    assert sentence in str(error.value)


def test_work_pool_or_cluster_not_both(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="segments = 'a/b' and cluster = 'ray': only one can train"):
        search_flow.fn("digits", tmp_path, "r", [], "a/b", "ray")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("name", "extra"), [("ray", "prefect_ray"), ("dask", "prefect_dask")])
def test_without_the_extra(name: str, extra: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, extra, None)
    with pytest.raises(BadInput, match=rf"pip install 'a4nn\[{name}\]'"):
        open_cluster(name, Training(), MACHINE)
