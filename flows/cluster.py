"""The executor that trains on the machines of a Ray or Dask cluster, through Prefect's task runners.

The cluster chooses a machine for every segment, and on Ray a GPU. There a segment is trained as everywhere
else: by a worker process, pinned to a device slot that it holds for as long as it lives.
"""

from __future__ import annotations

import collections
import contextlib
import logging
import os
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import CancelledError
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from prefect import State, Task
from prefect.futures import PrefectWrappedFuture
from prefect.logging import get_logger
from prefect.states import Completed

from a4nn_core.errors import BadInput
from a4nn_core.training.segment import Segment, SegmentResult
from a4nn_core.training.settings import Training
from a4nn_core.workflow.devices import Machine, discover
from a4nn_core.workflow.pool import WorkerPool

from .executor import segment_task, tags_of
from .segment import train
from .server import AWAY_SECONDS, is_away

ATTEMPTS = 3
"""how often a segment is sent if its task is lost; the cluster itself has made several attempts each time"""
POLL_SECONDS = 0.1
AWAY_PAUSE_SECONDS = 3.0
IDLE_SECONDS = 60.0
"""how long a machine of the cluster keeps idle workers, and with them their device slots"""
CONNECT_SECONDS = 60.0
"""how long a Dask cluster may take to answer and to have a worker"""
_DASK = ("tcp://", "tls://", "ucx://", "ucxx://", "ws://", "wss://", "inproc://")


@dataclass
class _Kept:
    """A warm pool: the number of segments it is training, and of those that have left it."""

    pool: WorkerPool
    busy: int = 0
    left: int = 0


class _Kind(NamedTuple):
    """What segments must have in common to share a worker."""

    threads: int
    device: str
    slots_per_device: int


class _Warm:
    """The warm workers of a cluster process: kept from one segment to the next, and closed when no segment
    came for a while or one of another kind did, as others may wait for their devices."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: dict[_Kind, _Kept] = {}

    def run(self, segment: Segment) -> SegmentResult:
        """Train a segment; the cluster decides how many this process trains at a time."""
        threads = segment.training.threads
        kind = _Kind(threads, segment.device, segment.training.slots_per_device)
        with self._lock:
            idle = [other for other, kept in self._kept.items() if other != kind and not kept.busy]
            retired = [self._kept.pop(other) for other in idle]
            if kind not in self._kept:
                self._kept[kind] = _Kept(WorkerPool(64, threads))  # a place costs nothing until it is used
            kept = self._kept[kind]
            kept.busy += 1
        for unused in retired:
            unused.pool.close()
        try:
            return kept.pool.run(segment)
        finally:
            with self._lock:
                kept.busy -= 1
                kept.left += 1
                timer = threading.Timer(IDLE_SECONDS, self._rest, (kind, kept, kept.left))
                timer.daemon = True
                timer.start()

    def _rest(self, kind: _Kind, kept: _Kept, left: int) -> None:
        with self._lock:
            if kept.busy or kept.left != left or self._kept.get(kind) is not kept:
                return
            del self._kept[kind]
        kept.pool.close()


_warm = _Warm()


def _train(segment: Segment, folder: str | None = None) -> State[SegmentResult]:
    """What runs on a machine of the cluster, in the folder of the search if it exists there: paths of data
    sets may be relative to it."""
    if folder and Path(folder).is_dir():
        os.chdir(folder)
    result = train(segment, _warm.run)
    # a network that failed is an outcome of the search, not a failed task
    return Completed(message=result.error or result.status, data=result)


SegmentTask = Task[[Segment, str | None], State[SegmentResult]]
Sent = PrefectWrappedFuture[SegmentResult, Any]
"""a segment that was sent: Prefect's future, around one of the cluster's own"""


class Cluster(Protocol):
    """A cluster that Prefect has a task runner for.

    Attributes:
        slots: number of segments that can be trained at the same time.
    """

    slots: int

    def submit(self, task: SegmentTask, segment: Segment) -> Sent:
        """Send a segment to be trained."""

    def has_ended(self, future: Sent) -> bool:
        """Whether there is a result or an error."""

    def cancel(self, future: Sent) -> None:
        """End a segment if the cluster can: of one that has begun, Dask only drops the result."""

    def close(self) -> None:
        """Disconnect from the cluster, and shut it down if it was started here."""


class RayCluster:
    """A Ray cluster, through ``prefect-ray``.

    Args:
        address: of the head node, such as ``ray://head:10001``; None for ``RAY_ADDRESS``, or else a cluster
            started on this machine.
        training: settings of the experiment. The device ``auto`` takes GPUs if the cluster has any.
        machine: the machine that searches, on which a cluster may be started.
    """

    def __init__(self, address: str | None, training: Training, machine: Machine) -> None:
        device, per_device, threads = training.device, training.slots_per_device, training.threads
        try:
            import ray
            from prefect_ray import RayTaskRunner
        except ImportError:
            raise BadInput("cluster ray needs the packages of pip install 'a4nn[ray]'") from None
        if ":" in device:
            raise BadInput(f"[training] device = {device!r}: Ray chooses the GPU; use auto, cuda or cpu")
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        self._ray = ray
        wanted: dict[str, bool | int] = {"log_to_driver": False}
        place = address or os.environ.get("RAY_ADDRESS")
        if place is None:
            # never connect to a cluster that happens to run here
            address = "local"
            machine.require_device()
            wanted |= {"include_dashboard": False, "num_gpus": len(discover(machine.device))}
        self._runner = RayTaskRunner(address=address, init_kwargs=wanted)
        # Ray's processes import first from the folder in which Ray was started; if that is this package's
        # source folder, they miss the compiled module
        self._empty = tempfile.TemporaryDirectory(prefix="a4nn-ray-", ignore_cleanup_errors=True)
        try:
            with contextlib.chdir(self._empty.name):
                self._runner.__enter__()
        except Exception as error:  # there are many: no connection, no token, another version
            raise BadInput(f"the Ray cluster {place or 'on this machine'} cannot be used: {error}") from None
        nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
        with_gpu = device != "cpu" and any(node.get("GPU") for node in nodes)
        if device not in ("auto", "cpu") and not with_gpu:
            self.close()
            raise BadInput(f"[training] device = {device!r}: the Ray cluster has no GPU")
        self._options: dict[str, float] = {"num_cpus": threads}
        if with_gpu:
            self._options["num_gpus"] = 1 / per_device
        # a segment needs all its resources on one machine
        self.slots = 0
        for node in nodes:
            room = int(node.get("CPU", 0) // threads)
            self.slots += min(room, int(node.get("GPU", 0)) * per_device) if with_gpu else room
        if not self.slots:
            self.close()
            what = f"{threads} CPUs and a GPU" if with_gpu else f"{threads} CPUs"
            raise BadInput(f"[training] threads = {threads}: no machine of the Ray cluster has {what}")

    def submit(self, task: SegmentTask, segment: Segment) -> Sent:
        from prefect_ray.context import remote_options

        with remote_options(**self._options):
            given = {"segment": segment, "folder": str(Path.cwd())}
            sent: Sent = self._runner.submit(task, given)
        return sent

    def has_ended(self, future: Sent) -> bool:
        return bool(self._ray.wait([future.wrapped_future], timeout=0)[0])

    def cancel(self, future: Sent) -> None:
        self._ray.cancel(future.wrapped_future, force=True)

    def close(self) -> None:
        self._runner.__exit__(None, None, None)
        self._empty.cleanup()


class DaskCluster:
    """A Dask cluster, through ``prefect-dask``. A thread of a Dask worker is a slot.

    Args:
        address: of the scheduler, such as ``tcp://head:8786``; None for ``DASK_SCHEDULER_ADDRESS``, or else a
            cluster started on this machine.
        training: settings of the experiment. If workers offer the resource ``GPU``, it is requested unless
            the device is ``cpu``.
        machine: the machine that searches; a cluster that is started on it has one worker per slot.
    """

    def __init__(self, address: str | None, training: Training, machine: Machine) -> None:
        device, per_device = training.device, training.slots_per_device
        try:
            import dask
            import distributed
            from prefect_dask import DaskTaskRunner
        except ImportError:
            raise BadInput("cluster dask needs the packages of pip install 'a4nn[dask]'") from None
        address = address or dask.config.get("scheduler-address", None)
        own = {"n_workers": machine.slots, "threads_per_worker": 1, "dashboard_address": None}
        self._runner = (
            DaskTaskRunner(address=address, client_kwargs={"timeout": CONNECT_SECONDS})
            if address
            else DaskTaskRunner(cluster_class=distributed.LocalCluster, cluster_kwargs=own)
        )
        # a machine that leaves causes many log lines; what was lost is reported below
        logging.getLogger("distributed").setLevel(logging.ERROR)
        self._runner.__enter__()
        try:
            client = self._runner.client
            client.wait_for_workers(1, timeout=CONNECT_SECONDS)
            workers = client.scheduler_info(n_workers=-1)["workers"].values()
        except Exception as error:  # there are many: no connection, no worker, no such scheme
            self.close()
            raise BadInput(
                f"the Dask cluster {address or 'on this machine'} cannot be used: {error}"
            ) from None
        gpus = sum(worker["resources"].get("GPU", 0) for worker in workers)
        self._resources = {"GPU": 1 / per_device} if gpus and device != "cpu" else {}
        self.slots = sum(worker["nthreads"] for worker in workers)
        if self._resources:
            self.slots = min(self.slots, int(gpus * per_device))

    def submit(self, task: SegmentTask, segment: Segment) -> Sent:
        import dask

        with dask.annotate(resources=self._resources) if self._resources else contextlib.nullcontext():
            sent: Sent = self._runner.submit(task, {"segment": segment})
        return sent

    def has_ended(self, future: Sent) -> bool:
        return bool(future.wrapped_future.done())

    def cancel(self, future: Sent) -> None:
        future.wrapped_future.cancel(force=True)

    def close(self) -> None:
        self._runner.__exit__(None, None, None)


def open_cluster(name: str, training: Training, machine: Machine) -> Cluster:
    """Connect to a cluster, or start one.

    Args:
        name: ``ray`` or ``dask``, or the address of one: ``ray://head:10001``, ``tcp://head:8786``.
        training: settings of the segments to train.
        machine: the machine that searches, on which a cluster may be started.

    Raises:
        BadInput: no such kind of cluster, it does not answer, or it lacks what the experiment asks for.
    """
    if name == "ray" or name.startswith("ray://"):
        address = None if name == "ray" else name
        return RayCluster(address, training, machine)
    if name == "dask" or name.startswith(_DASK):
        address = None if name == "dask" else name
        return DaskCluster(address, training, machine)
    raise BadInput(
        f"cluster = {name!r}: use ray, dask, or an address such as ray://head:10001 or tcp://head:8786"
    )


@contextlib.contextmanager
def _lost() -> Iterator[None]:
    """Turn whatever a cluster raises when it is gone into one clear message."""
    try:
        yield
    except Exception as error:
        raise BadInput(f"the cluster is gone: {type(error).__name__}: {error}") from error


class ClusterExecutor:
    """Segments as task runs on a cluster.

    If a machine dies, its segments are lost; the cluster, and then this executor, sends them again, and their
    networks go on from their last epoch.

    Args:
        cluster: the cluster that trains them; closed together with the executor.
        max_parallel: most segments at the same time; None for as many as the cluster has slots.
    """

    def __init__(self, cluster: Cluster, max_parallel: int | None = None) -> None:
        self._cluster = cluster
        self.slots = max_parallel or cluster.slots
        self.is_local = False
        # submitted, or lost and to be sent again
        self._unsent: collections.deque[Segment] = collections.deque()
        self._sent: dict[int, tuple[Segment, Sent]] = {}
        self._losses: collections.Counter[int] = collections.Counter()
        self._away_since: float | None = None
        self._not_before = 0.0
        self._task = segment_task(
            _train, "generation {segment.generation} network {segment.network} segment {segment.number}"
        )

    def submit(self, segment: Segment) -> None:
        self._losses.pop(segment.network, None)
        self._unsent.append(segment)
        self._send()

    def _send(self) -> None:
        while self._unsent and time.monotonic() >= self._not_before:
            segment = self._unsent.popleft()
            task = self._task.with_options(tags=tags_of(segment))
            with _lost():
                self._sent[segment.network] = (segment, self._cluster.submit(task, segment))

    def completed(self, timeout: float) -> list[SegmentResult]:
        results: list[SegmentResult] = []
        deadline = time.monotonic() + timeout
        while True:
            for segment, future in list(self._sent.values()):
                with _lost():
                    ended = self._cluster.has_ended(future)
                if ended:
                    del self._sent[segment.network]
                    results += self._result(segment, future)
            self._send()
            if results or time.monotonic() >= deadline:
                return results
            time.sleep(POLL_SECONDS)

    def _result(self, segment: Segment, future: Sent) -> list[SegmentResult]:
        """The result of a segment that has ended; none if it was lost and is sent again."""
        try:
            result = future.result()
        except (Exception, CancelledError) as error:
            # errors in training are results: this one comes from the cluster, or from Prefect around it
            trouble = error
        else:
            self._away_since = None
            return [result]
        first_line = (str(trouble).strip().splitlines() or [""])[0]
        why = f"{type(trouble).__name__}: {first_line}"
        self._unsent.appendleft(segment)
        if is_away(trouble):
            # a task run begins only where Prefect's server can be reached
            self._away_since = self._away_since or time.monotonic()
            if time.monotonic() - self._away_since < AWAY_SECONDS:
                self._not_before = time.monotonic() + AWAY_PAUSE_SECONDS
                get_logger("a4nn").warning("network %d waits for the server: %s", segment.network, why)
                return []
        self._losses[segment.network] += 1
        if self._losses[segment.network] >= ATTEMPTS:
            times = self._losses[segment.network]
            raise BadInput(f"network {segment.network}: the cluster lost it {times} times: {why}")
        get_logger("a4nn").warning("network %d is sent again: %s", segment.network, why)
        return []

    def close(self) -> None:
        self._unsent.clear()
        for _, future in self._sent.values():
            with contextlib.suppress(Exception):
                self._cluster.cancel(future)
        self._sent.clear()
        self._cluster.close()
