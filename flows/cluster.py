"""The executor that trains on the machines of a Ray or Dask cluster, through Prefect's task runners.

The cluster chooses a machine for every segment, and on Ray a GPU. There the segment goes the way it goes
everywhere: a worker process, pinned to a device slot that it holds for as long as it lives.
"""

from __future__ import annotations

import collections
import contextlib
import logging
import os
import threading
from concurrent.futures import CancelledError
from typing import Any, Protocol

from prefect import State, Task
from prefect.cache_policies import NO_CACHE
from prefect.futures import PrefectFuture
from prefect.logging import get_logger
from prefect.states import Completed

from a4nn_core.errors import BadInput
from a4nn_core.experiment import Experiment
from a4nn_core.training.segment import Segment, SegmentResult
from a4nn_core.workflow.pool import WorkerPool
from flows.segment import train

ATTEMPTS = 3
"""how often a segment is sent whose task was lost; the cluster itself has tried several times before"""
POLL_SECONDS = 0.1
IDLE_SECONDS = 60.0
"""how long a machine of the cluster keeps warm workers, and with them their device slots"""
CONNECT_SECONDS = 60.0
"""how long a Dask cluster may take to answer and to have a worker"""
_DASK = ("tcp://", "tls://", "ucx://", "ucxx://", "ws://", "wss://", "inproc://")


class _Warm:
    """The warm workers of a process of the cluster: kept from one segment to the next, and given back when
    none has come for a while, as other searches may wait for their devices."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._pools: dict[int, WorkerPool] = {}
        self._busy = 0
        self._serial = 0

    def run(self, segment: Segment) -> SegmentResult:
        """Train a segment; on as many at a time as the cluster gives this process."""
        threads = int(segment.training["threads"])
        with self._lock:
            self._busy += 1
            if threads not in self._pools:
                self._pools[threads] = WorkerPool(64, threads)  # a place costs nothing until it is used
            pool = self._pools[threads]
        try:
            return pool.run(segment)
        finally:
            with self._lock:
                self._busy -= 1
                self._serial += 1
                timer = threading.Timer(IDLE_SECONDS, self._rest, (self._serial,))
                timer.daemon = True
                timer.start()

    def _rest(self, serial: int) -> None:
        with self._lock:
            if self._busy or serial != self._serial:
                return
            pools, self._pools = self._pools, {}
        for pool in pools.values():
            pool.close()


_warm = _Warm()


def _train(segment: Segment) -> State[SegmentResult]:
    """What runs on a machine of the cluster."""
    result = train(segment, _warm.run)
    # a network that failed is an outcome of the search, not a task that went wrong
    return Completed(message=result.error or result.status, data=result)


class Cluster(Protocol):
    """A cluster that Prefect has a task runner for.

    Attributes:
        slots: segments at the same time.
    """

    slots: int

    def submit(self, task: Task[..., Any], segment: Segment) -> PrefectFuture[SegmentResult]:
        """Send a segment."""

    def has_ended(self, future: PrefectFuture[SegmentResult]) -> bool:
        """Whether there is something to be had, an error included."""

    def cancel(self, future: PrefectFuture[SegmentResult]) -> None:
        """End a segment; its network goes on from its last epoch another time."""

    def close(self) -> None:
        """Leave the cluster, and end one that was started here."""


class RayCluster:
    """A Ray cluster, through ``prefect-ray``.

    Args:
        address: of the head node, such as ``ray://head:10001``; None for ``RAY_ADDRESS``, or else a cluster
            started on this machine.
        device: setting of the experiment. ``auto`` takes GPUs if the cluster has any.
        per_device: networks that share a GPU.
        threads: CPU threads a segment.
    """

    def __init__(self, address: str | None, device: str, per_device: int, threads: int) -> None:
        try:
            import ray
            from prefect_ray import RayTaskRunner
        except ImportError:
            raise BadInput("cluster ray needs the packages of pip install 'a4nn[ray]'") from None
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        here = {} if address or os.environ.get("RAY_ADDRESS") else _this_machine(device)
        self._ray = ray
        self._runner = RayTaskRunner(address=address, init_kwargs={"log_to_driver": False, **here})
        try:
            self._runner.__enter__()
        except (ConnectionError, ValueError, RuntimeError) as error:
            raise BadInput(f"the Ray cluster {address or 'of RAY_ADDRESS'} cannot be used: {error}") from None
        found = ray.cluster_resources()
        gpus = int(found.get("GPU", 0))
        if device not in ("auto", "cpu", "mps") and not gpus:
            self.close()
            raise BadInput(f"[training] device = {device!r}: the Ray cluster has no GPU")
        cpus = found.get("CPU", 0)
        self._options: dict[str, Any] = {"num_cpus": threads}
        self.slots = int(cpus // threads)
        if gpus and device != "cpu":
            self._options["num_gpus"] = 1 / per_device
            self.slots = min(self.slots, gpus * per_device)
        if not self.slots:
            self.close()
            raise BadInput(
                f"[training] threads = {threads}: no network fits the {cpus:g} CPUs of the Ray cluster"
            )

    def submit(self, task: Task[..., Any], segment: Segment) -> PrefectFuture[SegmentResult]:
        from prefect_ray.context import remote_options

        with remote_options(**self._options):
            sent: PrefectFuture[SegmentResult] = self._runner.submit(task, {"segment": segment})
        return sent

    def has_ended(self, future: Any) -> bool:
        return bool(self._ray.wait([future.wrapped_future], timeout=0)[0])

    def cancel(self, future: Any) -> None:
        self._ray.cancel(future.wrapped_future, force=True)

    def close(self) -> None:
        self._runner.__exit__(None, None, None)


def _this_machine(device: str) -> dict[str, Any]:
    """What Ray must be told to start a cluster here."""
    from a4nn_core.workflow.devices import choose_device, discover

    return {"include_dashboard": False, "num_gpus": len(discover(choose_device(device)))}


class DaskCluster:
    """A Dask cluster, through ``prefect-dask``. A thread of a Dask worker is a slot.

    Args:
        address: of the scheduler, such as ``tcp://head:8786``; None for ``DASK_SCHEDULER_ADDRESS``, or else a
            cluster started on this machine.
        slots: workers of a cluster that is started here.
        device: setting of the experiment. Where workers offer the resource ``GPU``, it is asked for unless
            this is ``cpu``.
        per_device: networks that share a GPU.
    """

    def __init__(self, address: str | None, slots: int, device: str, per_device: int) -> None:
        try:
            import dask
            import distributed
            from prefect_dask import DaskTaskRunner
        except ImportError:
            raise BadInput("cluster dask needs the packages of pip install 'a4nn[dask]'") from None
        address = address or dask.config.get("scheduler-address", None)
        own = {"n_workers": slots, "threads_per_worker": 1, "dashboard_address": None}
        self._runner = (
            DaskTaskRunner(address=address, client_kwargs={"timeout": CONNECT_SECONDS})
            if address
            else DaskTaskRunner(cluster_class=distributed.LocalCluster, cluster_kwargs=own)
        )
        # a machine that leaves says so in many lines; what is lost is told below
        logging.getLogger("distributed").setLevel(logging.ERROR)
        self._runner.__enter__()
        try:
            client = self._runner.client
            client.wait_for_workers(1, timeout=CONNECT_SECONDS)
            workers = client.scheduler_info(n_workers=-1)["workers"].values()
        except (OSError, TimeoutError) as error:
            self.close()
            raise BadInput(
                f"the Dask cluster {address or 'on this machine'} cannot be used: {error}"
            ) from None
        gpus = sum(worker["resources"].get("GPU", 0) for worker in workers)
        self._resources = {"GPU": 1 / per_device} if gpus and device != "cpu" else {}
        self.slots = sum(worker["nthreads"] for worker in workers)
        if self._resources:
            self.slots = min(self.slots, int(gpus * per_device))

    def submit(self, task: Task[..., Any], segment: Segment) -> PrefectFuture[SegmentResult]:
        import dask

        with dask.annotate(resources=self._resources) if self._resources else contextlib.nullcontext():
            sent: PrefectFuture[SegmentResult] = self._runner.submit(task, {"segment": segment})
        return sent

    def has_ended(self, future: Any) -> bool:
        return bool(future.wrapped_future.done())

    def cancel(self, future: Any) -> None:
        future.wrapped_future.cancel(force=True)

    def close(self) -> None:
        self._runner.__exit__(None, None, None)


def open_cluster(name: str, slots: int, experiment: Experiment) -> Cluster:
    """The cluster behind a name.

    Args:
        name: ``ray`` or ``dask``, or the address of one: ``ray://head:10001``, ``tcp://head:8786``.
        slots: of this machine, for a Dask cluster that is started here.
        experiment: whose segments it shall train.

    Raises:
        BadInput: no such kind of cluster, it does not answer, or it lacks what the experiment asks for.
    """
    wanted = experiment.training
    if name == "ray" or name.startswith("ray://"):
        address = None if name == "ray" else name
        return RayCluster(address, wanted.device, wanted.slots_per_device, wanted.threads)
    if name == "dask" or name.startswith(_DASK):
        address = None if name == "dask" else name
        return DaskCluster(address, slots, wanted.device, wanted.slots_per_device)
    raise BadInput(
        f"cluster = {name!r}: use ray, dask, or an address such as ray://head:10001 or tcp://head:8786"
    )


class ClusterExecutor:
    """Segments as task runs on a cluster.

    A machine that dies takes its segments with it; the cluster, and then this executor, send them again, and
    their networks go on from their last epoch.

    Args:
        slots, threads: of this machine.
        name: of the cluster; see ``open_cluster``.
        experiment: whose segments they are. Its ``training.slots`` limits how many are under way.
    """

    def __init__(self, slots: int, threads: int, *, name: str, experiment: Experiment) -> None:
        del threads
        self._cluster = open_cluster(name, slots, experiment)
        self.slots = experiment.training.slots or self._cluster.slots
        self.here = False
        self._waiting: collections.deque[Segment] = collections.deque()
        self._sent: dict[int, tuple[Segment, PrefectFuture[SegmentResult]]] = {}
        self._losses: collections.Counter[int] = collections.Counter()
        self._pause = threading.Event()
        self._task: Task[..., Any] = Task(
            fn=_train,
            name="segment",
            task_run_name="generation {segment.generation} network {segment.network} "
            "segment {segment.number}",
            # the journal and the commons say what is done already; a cache beside them could only disagree
            cache_policy=NO_CACHE,
            persist_result=False,
        )

    def submit(self, segment: Segment) -> None:
        self._losses.pop(segment.network, None)
        self._waiting.append(segment)
        self._fill()

    def _fill(self) -> None:
        while self._waiting and len(self._sent) < self.slots:
            segment = self._waiting.popleft()
            task = self._task.with_options(tags=[segment.run_id, f"generation-{segment.generation}"])
            self._sent[segment.network] = (segment, self._cluster.submit(task, segment))

    def completed(self, timeout: float) -> list[SegmentResult]:
        results: list[SegmentResult] = []
        waited = 0.0
        while not results:
            for segment, future in list(self._sent.values()):
                if self._cluster.has_ended(future):
                    del self._sent[segment.network]
                    results += self._result(segment, future)
            self._fill()
            if results or waited >= timeout:
                break
            self._pause.wait(POLL_SECONDS)
            waited += POLL_SECONDS
        return results

    def _result(self, segment: Segment, future: PrefectFuture[SegmentResult]) -> list[SegmentResult]:
        """The result of a segment that has ended; none if it was lost and is sent again."""
        try:
            return [future.result()]
        except (Exception, CancelledError) as error:
            # every error of training is a result: this one is of the cluster
            said = (str(error).strip().splitlines() or [""])[0]
            why = f"{type(error).__name__}: {said}"
        self._losses[segment.network] += 1
        if self._losses[segment.network] >= ATTEMPTS:
            times = self._losses[segment.network]
            return [segment.failed(f"the cluster lost it {times} times: {why}", fatal=True)]
        get_logger("a4nn").warning("network %d is sent again: %s", segment.network, why)
        self._waiting.appendleft(segment)
        return []

    def close(self) -> None:
        self._waiting.clear()
        for _, future in self._sent.values():
            with contextlib.suppress(Exception):
                self._cluster.cancel(future)
        self._sent.clear()
        self._cluster.close()
