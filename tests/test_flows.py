"""The flows' parts without a server: locks, patience, sweeping, segments on a work pool."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from prefect.client.schemas.objects import FlowRun, State, StateType
from prefect.exceptions import ObjectNotFound, ParameterTypeError, TerminationSignal
from prefect.logging.handlers import PrefectConsoleHandler
from prefect.states import Cancelled, Completed, Crashed, Failed, Pending, Running
from prefect.utilities.engine import capture_sigterm
from rich.console import Console

from a4nn_core.commons.layout import open_commons
from a4nn_core.commons.lock import holder
from a4nn_core.errors import BadInput
from a4nn_core.experiment import load_experiment
from a4nn_core.spaces.architecture import Architecture
from a4nn_core.termination.base import FrontSnapshot
from a4nn_core.training.segment import Segment, SegmentResult
from a4nn_core.training.settings import Training
from a4nn_core.vocabulary import NetworkStatus
from a4nn_core.workflow.pool import WorkerPool
from a4nn_flows import orphan, server
from a4nn_flows import pool as pools
from a4nn_flows.artifacts import Publisher
from a4nn_flows.locks import held, held_run, network_lock, run_lock
from a4nn_flows.maintain import DamagedCommons, maintain
from a4nn_flows.orphan import FlowRunCancelled, needing_no_worker
from a4nn_flows.pool import ATTEMPTS, Deployment, WorkPoolExecutor, find_deployment
from a4nn_flows.retention import Removed
from a4nn_flows.search import search
from a4nn_flows.seed import seed_of, with_own_seed
from a4nn_flows.segment import segment as segment_flow
from a4nn_flows.segment import train
from a4nn_flows.sweep import Sweep, not_to_restart, search_lock, search_run_id, segment_lock

AGO = datetime.now(UTC) - timedelta(hours=1)


# locks


@pytest.mark.slow
def test_a_run_is_held_by_one_flow_only(tmp_path: Path) -> None:
    with held_run(tmp_path / "c", "r"):
        found = holder(run_lock(tmp_path / "c", "r"))
        assert found
        assert found["pid"]
        with (
            pytest.raises(BadInput, match="run 'r' is being written by process"),
            held_run(tmp_path / "c", "r"),
        ):
            pass
    assert holder(run_lock(tmp_path / "c", "r")) is None


def test_a_run_that_never_began_leaves_no_folder(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="the data"), held_run(tmp_path / "c", "r"):
        raise BadInput("the data cannot be read")
    assert [p.name for p in (tmp_path / "c/runs").iterdir()] == []
    (tmp_path / "c/runs/old").mkdir()
    (tmp_path / "c/runs/old/run.json").write_text("{}")
    with held_run(tmp_path / "c", "old"):
        pass
    assert run_lock(tmp_path / "c", "old").exists()


@pytest.mark.parametrize("place", ["file/commons", "other"])
def test_a_commons_that_cannot_be_written_fails_before_anything_else(tmp_path: Path, place: str) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "other").mkdir()
    (tmp_path / "other/thesis.docx").write_text("")
    with (
        pytest.raises(BadInput, match=r"cannot create the folder|is not a commons"),
        held_run(tmp_path / place, "r"),
    ):
        raise AssertionError


@pytest.mark.slow
def test_a_lock_is_waited_for_and_freed_by_death(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    code = "from pathlib import Path; from a4nn_core.commons.lock import RunLock; "
    code += f"lock = RunLock(Path({str(path)!r}), 'x')"
    other = subprocess.Popen(
        [sys.executable, "-P", "-c", f"{code}; print('ready', flush=True); import time; time.sleep(60)"],
        stdout=subprocess.PIPE,
    )
    assert other.stdout
    assert other.stdout.readline() == b"ready\n"
    with pytest.raises(BadInput, match=rf"process {other.pid} on"), held(path, "x"):
        pass
    threading.Timer(0.5, other.kill).start()
    with held(path, "x", wait=True):
        assert other.wait(timeout=10) == -9


# a server that is away


def test_a_server_that_is_away_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "_PAUSE_SECONDS", 0.0)
    monkeypatch.setattr(server, "get_client", fake_client)
    times: list[int] = []

    def ask(_: object) -> str:
        times.append(1)
        if len(times) < 4:
            raise httpx.ConnectError("away")
        return "here"

    assert server.ask_server(ask) == "here"  # type: ignore[arg-type]
    assert len(times) == 4
    with pytest.raises(httpx.ConnectError):
        server.ask_server(raising(httpx.ConnectError("away")), seconds=0)
    with pytest.raises(ObjectNotFound):
        server.ask_server(raising(ObjectNotFound(http_exc=Exception())))


def raising(error: Exception) -> Callable[..., Any]:
    def ask(*_: object) -> None:
        raise error

    return ask


class fake_client:  # noqa: N801  stands for a function
    def __init__(self, sync_client: bool) -> None:
        assert sync_client

    def __enter__(self) -> object:
        return object()

    def __exit__(self, *_: object) -> None:
        pass


def test_what_is_published_waits_for_the_server_and_never_for_a_search(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("a4nn_flows.artifacts._PAUSE_SECONDS", 0.02)
    away = threading.Event()
    out: list[str] = []

    def call(what: str) -> Callable[[], None]:
        def made() -> None:
            if not away.is_set():
                raise httpx.ConnectError("away")
            out.append(what)

        return made

    publisher = Publisher()
    before = time.monotonic()
    publisher.put("progress", call("10 %"))
    publisher.put("progress", call("20 %"))
    publisher.put("wrong", raising(ValueError("a key it does not take")))
    publisher.put("front", call("front"))
    assert time.monotonic() - before < 1
    assert out == []
    away.set()
    publisher.close(10)
    assert out == ["20 %", "front"]


# a flow whose worker is gone


@pytest.mark.slow
@pytest.mark.parametrize("asked", [StateType.CANCELLING, StateType.CANCELLED])
def test_a_cancelled_flow_hears_it_itself_however_long_the_server_was_away(
    asked: StateType, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = Server()
    run = found.add("a4nn-search", Running())

    class client(fake_client):  # noqa: N801  stands for a function
        def __init__(self, sync_client: bool, **_: object) -> None:
            super().__init__(sync_client)

        def __enter__(self) -> Server:
            return found

    real = found.read_flow_run
    questions: list[UUID] = []

    def read_flow_run(which: UUID) -> FlowRun:
        questions.append(which)
        if len(questions) < 5:
            raise httpx.ConnectError("away")
        if len(questions) == 8:
            found.set_flow_run_state(which, State(type=asked))
        return real(which)

    monkeypatch.setattr(found, "read_flow_run", read_flow_run)
    monkeypatch.setattr(orphan, "get_client", client)
    monkeypatch.setattr(orphan, "ask_server", lambda ask: ask(found))
    monkeypatch.setattr(orphan, "POLL_SECONDS", 0.01)
    monkeypatch.setenv("PREFECT__FLOW_RUN_ID", str(run.id))
    with capture_sigterm(), pytest.raises(FlowRunCancelled) as caught, needing_no_worker():
        time.sleep(30)
    state = found.runs[run.id].state
    assert state is not None
    assert state.type == StateType.CANCELLED
    assert caught.value.state == state
    assert questions == [run.id] * 10, "four in vain, three before it, two that see it, and one at the end"


def test_another_end_of_a_flow_is_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PREFECT__FLOW_RUN_ID", str(uuid4()))
    with pytest.raises(TerminationSignal), needing_no_worker():
        raise TerminationSignal(signal.SIGTERM)


def test_a_flow_outlives_the_reader_of_its_output(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Console, "on_broken_pipe", Console.on_broken_pipe)  # to be put back
    monkeypatch.setenv("PREFECT__FLOW_RUN_ID", str(uuid4()))
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as unread:
        handler = PrefectConsoleHandler(unread)
        with needing_no_worker():
            for _ in range(2):
                handler.emit(logging.makeLogRecord({"msg": "generation 3"}))
        assert handler.console.quiet
        os.dup2(os.open(os.devnull, os.O_WRONLY), unread.fileno())  # what is buffered still


# the sweeper


class Server:
    """What the sweeper and the executor ask of a server."""

    def __init__(self) -> None:
        self.runs: dict[UUID, FlowRun] = {}
        self.names: dict[UUID, str] = {}
        self.tasks: list[Any] = []
        self.keys: dict[str, UUID] = {}
        self.set: list[tuple[str, str]] = []
        self.away = False

    def add(self, flow: str, state: State[Any], **values: Any) -> FlowRun:
        values = {"name": "x", "deployment_id": uuid4(), "run_count": 1, "expected_start_time": AGO, **values}
        run = FlowRun(id=uuid4(), flow_id=uuid4(), state=state, state_type=state.type, **values)
        self.runs[run.id] = run
        self.names[run.id] = flow
        return run

    def read_flow_runs(self, **asked: Any) -> list[FlowRun]:
        if self.away:
            raise httpx.ConnectError("away")
        if asked.get("offset"):
            return []
        wanted = asked["flow_run_filter"]
        if wanted.id:
            return [self.runs[one] for one in wanted.id.any_ if one in self.runs]
        (name,) = asked["flow_filter"].name.any_
        return [
            run
            for run in self.runs.values()
            if self.names[run.id] == name and run.state and run.state.type in wanted.state.type.any_
        ]

    def read_task_runs(self, **asked: Any) -> list[Any]:
        return [] if asked["offset"] else self.tasks

    def set_task_run_state(self, task: Any, state: State[Any], force: bool) -> None:
        assert force
        self.set.append((str(task), state.name or ""))

    def read_flow_run(self, which: UUID) -> FlowRun:
        return self.runs[which]

    def set_flow_run_state(self, which: UUID, state: State[Any], force: bool = False) -> SimpleNamespace:
        del force
        run = self.runs[which]
        self.set.append((run.name, state.name or ""))
        self.runs[which] = run.model_copy(update={"state": state, "state_type": state.type})
        return SimpleNamespace(state=state)

    def create_flow_run_from_deployment(self, _: UUID, **given: Any) -> FlowRun:
        key = given["idempotency_key"]
        if key not in self.keys:
            made = self.add("a4nn-segment", Pending(), name=given["name"], parameters=given["parameters"])
            self.keys[key] = made.id
        return self.runs[self.keys[key]]


def old(state: State[Any]) -> State[Any]:
    return state.model_copy(update={"timestamp": AGO})


@pytest.fixture
def commons(tmp_path: Path) -> Path:
    open_commons(tmp_path / "commons")
    return tmp_path / "commons"


def swept(found: Server, grace: timedelta = timedelta(seconds=60)) -> Sweep:
    one = Sweep(found, grace, timedelta(minutes=15), logging.getLogger())  # type: ignore[arg-type]
    one.end_dead("a4nn-search", search_lock)
    one.end_dead("a4nn-segment", segment_lock)
    one.restart_crashed(restarts=3, age=timedelta(days=7))
    one.end_left_task_runs()
    return one


def given(commons: Path, run: str) -> dict[str, Any]:
    return {"commons": str(commons), "run_id": run, "experiment": "digits"}


def test_the_sweeper_ends_the_dead_and_starts_them_again(commons: Path) -> None:
    found = Server()
    dead = found.add("a4nn-search", old(Running()), name="dead", parameters=given(commons, "dead"))
    found.tasks = [SimpleNamespace(id="task", name="segment")]
    found.add("a4nn-search", old(Running()), name="alive", parameters=given(commons, "alive"))
    found.add("a4nn-search", Running(), name="young", parameters=given(commons, "young"))
    found.add("a4nn-search", Pending(), name="coming", parameters=given(commons, "coming"))
    found.add("a4nn-search", old(Crashed()), name="crashed", parameters=given(commons, "crashed"))
    found.add("a4nn-search", old(Failed()), name="failed", parameters=given(commons, "failed"))
    found.add("a4nn-search", old(Completed()), name="done", parameters=given(commons, "done"))
    found.add(
        "a4nn-search", old(State(type=StateType.CANCELLING)), name="stop", parameters=given(commons, "stop")
    )
    elsewhere = commons.parent / "not-mounted-here"
    found.add("a4nn-search", old(Running()), name="elsewhere", parameters=given(elsewhere, "elsewhere"))
    with held(run_lock(commons, "alive"), "alive"):
        one = swept(found)
    assert one.done["ended"] == ["dead", "stop"]
    assert one.done["restarted"] == ["dead", "crashed"]
    states = {run.name: run.state.name for run in found.runs.values() if run.state}
    assert states == {
        "dead": "AwaitingRetry",
        "crashed": "AwaitingRetry",
        "stop": "Cancelled",
        "alive": "Running",
        "young": "Running",
        "coming": "Pending",
        "failed": "Failed",
        "done": "Completed",
        "elsewhere": "Running",
    }
    assert ("task", "Crashed") in found.set
    # the same flow run, so the same run
    assert search_run_id(found.runs[dead.id]) == "dead"


def test_a_flow_run_that_changed_meanwhile_is_left_alone(commons: Path) -> None:
    found = Server()
    run = found.add("a4nn-search", old(Running()), name="quick", parameters=given(commons, "quick"))
    real = found.read_flow_run
    found.read_flow_run = lambda which: real(which).model_copy(update={"state": Completed()})  # type: ignore[method-assign]
    assert swept(found).done["ended"] == []
    assert found.runs[run.id].state == run.state


def test_the_sweeper_says_why_it_leaves_a_crashed_search(commons: Path) -> None:
    def why(restarts: int = 3, **values: Any) -> str | None:
        values = {"parameters": given(commons, "r"), **values}
        return not_to_restart(Server().add("a4nn-search", old(Crashed()), **values), restarts)

    assert why() is None
    assert "no deployment created it; to resume it: a4nn run --run-id r" in str(why(deployment_id=None))
    assert "it was started 4 times" in str(why(run_count=4))
    assert "no commons at" in str(why(parameters=given(commons / "missing", "r")))
    with held(run_lock(commons, "r"), "r"):
        assert "another process holds" in str(why())


def test_a_flow_run_keeps_its_run_id() -> None:
    found = Server()
    run = found.add("a4nn-search", Running(), parameters={"experiment": {"name": "mine"}})
    first = search_run_id(run)
    assert first == f"mine-{AGO:%Y%m%d-%H%M%S}-{str(run.id)[-8:]}"
    again = run.model_copy(update={"run_count": 2, "start_time": datetime.now(UTC), "state": Running()})
    assert search_run_id(again) == first


# the seed of a scheduled search


def test_a_scheduled_run_has_a_seed_of_its_own_and_keeps_it(tmp_path: Path) -> None:
    what = load_experiment("digits", ["seed=3"])
    monday, tuesday = "digits-20261102-000000-aaaaaaaa", "digits-20261103-000000-bbbbbbbb"
    first = with_own_seed(what, tmp_path, monday, scheduled=True)
    assert first.seed == int(hashlib.sha256(monday.encode()).hexdigest()[:8], 16)
    assert first == what.model_copy(update={"seed": first.seed})
    assert with_own_seed(what, tmp_path, tuesday, scheduled=True).seed == seed_of(tuesday) != first.seed
    assert with_own_seed(what, tmp_path, monday, scheduled=False) is what
    # what began is continued as it began, by the sweeper as by hand, and as before seeds followed from ids
    for run, seed in ((monday, first.seed), (tuesday, 3)):
        (tmp_path / "runs" / run).mkdir(parents=True)
        (tmp_path / "runs" / run / "run.json").write_text(json.dumps({"header": {"seed": seed}}))
        assert with_own_seed(what, tmp_path, run, scheduled=True).seed == seed
        assert with_own_seed(what, tmp_path, run, scheduled=False).seed == seed
    (tmp_path / "runs" / tuesday / "run.json").write_text(json.dumps({"header": {"seed": 4}}))
    assert with_own_seed(what, tmp_path, tuesday, scheduled=False) is what, (
        "another experiment: refused later"
    )


# segments on a work pool


def segment(commons: Path, **changes: Any) -> Segment:
    plain: dict[str, Any] = {
        "commons": str(commons), "run_id": "r", "network": 3, "generation": 0,
        "architecture": Architecture((), (), (1, 8, 8)),
        "data": {}, "training": Training(), "termination": {}, "fixed": {}, "seed": 0, "device": "cpu",
    }  # fmt: skip
    return Segment(**plain | changes)


@pytest.fixture
def away_pool(monkeypatch: pytest.MonkeyPatch) -> Server:
    found = Server()
    monkeypatch.setattr(pools, "ask_server", lambda ask, **_: ask(found))
    monkeypatch.setattr(pools, "POLL_SECONDS", 0.0)
    return found


def executor() -> WorkPoolExecutor:
    return WorkPoolExecutor(Deployment(uuid4(), limit=2))


def done(network: int, **more: Any) -> State[Any]:
    return Completed(message=SegmentResult(network, 0, NetworkStatus.completed, **more).to_json())


def test_segments_go_to_the_pool_as_many_as_it_takes(commons: Path, away_pool: Server) -> None:
    one = executor()
    assert one.slots == 2
    for network in range(2):
        one.submit(segment(commons, network=network))
    assert one.completed(0) == []
    first, _ = away_pool.runs
    away_pool.set_flow_run_state(first, done(0, test_accuracy_percent=90.0))
    (result,) = one.completed(0)
    assert (result.network, result.test_accuracy_percent) == (0, 90.0)


def test_a_search_that_goes_on_finds_the_flow_runs_it_made(commons: Path, away_pool: Server) -> None:
    executor().submit(segment(commons))
    (run,) = away_pool.runs
    again = executor()  # of the next process
    again.submit(segment(commons))
    assert len(away_pool.runs) == 1
    away_pool.set_flow_run_state(run, done(3))
    assert again.completed(0)[0].network == 3
    # one that ended without a result is replaced, and so is one of a run that was deleted and begun again
    last = executor()
    away_pool.set_flow_run_state(run, done(3, error="No space left on device", fatal=True))
    last.submit(segment(commons))
    assert len(away_pool.runs) == 2
    (commons / "runs/r").mkdir(parents=True)
    (commons / "runs/r/run.json").write_text(json.dumps({"started": "2026-01-01"}))
    executor().submit(segment(commons))
    assert len(away_pool.runs) == 3


def test_a_segment_whose_machine_dies_is_sent_again(commons: Path, away_pool: Server) -> None:
    one = executor()
    one.submit(segment(commons))
    (run,) = away_pool.runs
    # running, and nobody holds the lock: dead; but not while somebody does, nor just after its start
    away_pool.set_flow_run_state(run, Running())
    assert one.completed(0) == []
    away_pool.set_flow_run_state(run, old(Running()))
    with held(network_lock(commons, "r", 3), "r"):
        assert one.completed(0) == []
    assert len(away_pool.runs) == 1
    assert one.completed(0) == []
    assert len(away_pool.runs) == 2
    state = away_pool.runs[run].state
    assert state
    assert (state.type, state.message) == (
        StateType.CRASHED,
        "its process is gone: nobody holds the network's lock",
    )
    for _ in range(ATTEMPTS):
        away_pool.set_flow_run_state(list(away_pool.runs)[-1], Crashed(message="evicted"))
        results = one.completed(0)
        if results:
            break
    assert results[0].fatal, "the place's trouble, not the network's"
    assert results[0].error == f"its flow run crashed {ATTEMPTS} times: evicted"


@pytest.mark.parametrize(
    ("state", "error"),
    [(Cancelled(), "was cancelled"), (Failed(message="no a4nn there"), "failed: no a4nn there")],
)
def test_what_a_person_has_to_see_ends_the_run(
    commons: Path, away_pool: Server, state: State[Any], error: str
) -> None:
    one = executor()
    one.submit(segment(commons))
    away_pool.set_flow_run_state(next(iter(away_pool.runs)), state)
    (result,) = one.completed(0)
    assert result.fatal
    assert error in str(result.error)


def test_a_server_that_is_away_ends_no_search(commons: Path, away_pool: Server) -> None:
    one = executor()
    one.submit(segment(commons))
    away_pool.away = True
    assert one.completed(0) == []
    away_pool.away = False
    away_pool.set_flow_run_state(next(iter(away_pool.runs)), done(3))
    assert len(one.completed(0)) == 1


def test_a_flow_takes_a_segment_as_it_travels(commons: Path) -> None:
    front = FrontSnapshot(2, ({"mflops": 1.5},), {"mflops": "minimise"})
    one = segment(commons, front=front, training=Training(threads=2))
    given = segment_flow.validate_parameters({"segment": json.loads(one.to_json())})
    assert given == {"segment": one}
    for other in ({"network": 3}, 7):
        with pytest.raises(ParameterTypeError, match="segment"):
            segment_flow.validate_parameters({"segment": other})


POOL = {"name": "gpu", "is_paused": False, "concurrency_limit": None, "is_push_pool": False,
        "is_managed_pool": False, "status": "READY"}  # fmt: skip


@pytest.mark.parametrize(
    ("deployment", "pool", "sentence"),
    [
        (None, {}, "there is no such deployment"),
        ({"paused": True}, {}, "the deployment is paused"),
        ({"work_pool_name": None}, {}, "has no work pool"),
        ({}, {"is_paused": True}, "its work pool 'gpu' is paused"),
        ({}, {"concurrency_limit": 0}, "has a concurrency limit of 0"),
        ({}, {"status": "NOT_READY"}, "no worker polls its work pool 'gpu'"),
        ({}, {}, None),
    ],
)
def test_a_pool_that_cannot_train_is_said_before_anything_trains(
    monkeypatch: pytest.MonkeyPatch, deployment: Any, pool: dict[str, Any], sentence: str | None
) -> None:
    def by_name(_: str) -> Any:
        if deployment is None:
            raise ObjectNotFound(http_exc=Exception())
        return SimpleNamespace(**{"id": uuid4(), "paused": False, "work_pool_name": "gpu"} | deployment)

    client = SimpleNamespace(
        read_deployment_by_name=by_name, read_work_pool=lambda _: SimpleNamespace(**POOL | pool)
    )
    monkeypatch.setattr(pools, "ask_server", lambda ask: ask(client))
    if sentence is None:
        assert find_deployment("a4nn-segment/segment").limit is None
        return
    with pytest.raises(BadInput, match=sentence) as caught:
        find_deployment("a4nn-segment/segment")
    assert "segments = 'a4nn-segment/segment'" in str(caught.value)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"run_id": "r"}, "file system shared by all machines"),
        (
            {"training": Training(device="cuda:77"), "device": "cuda:77"},
            "this machine has no such device",
        ),
    ],
)
def test_a_machine_that_cannot_train_says_so(commons: Path, changes: dict[str, Any], sentence: str) -> None:
    place = commons if "device" in changes else commons / "missing"
    result = train(segment(place, **changes), WorkerPool(1, 1).run)
    assert result.fatal
    assert sentence in str(result.error)


# maintenance


def test_a_damaged_commons_is_left_as_it_is(monkeypatch: pytest.MonkeyPatch, commons: Path) -> None:
    shown: list[str] = []
    monkeypatch.setattr("a4nn_flows.maintain.create_markdown_artifact", lambda text, **_: shown.append(text))
    monkeypatch.setattr("a4nn_flows.maintain._clear", lambda _: Removed())  # see test_retention.py
    result = maintain.fn(commons)
    assert result["removed"] == {"flow_runs": {}, "artifacts": 0}
    assert result["check"]["problems"] == []
    assert result["compact"]["networks"] == 0
    (commons / "runs/r").mkdir(parents=True)
    (commons / "runs/r/run.json").write_text(
        json.dumps({"started": "2026-01-01", "header": {}, "status": "completed"})
    )
    (commons / "runs/r/events.jsonl").write_text("{}\n")
    monkeypatch.setattr("a4nn_flows.maintain.compact_commons", raising(AssertionError("was compacted")))
    with pytest.raises(DamagedCommons, match=r"1 problem.*events\.jsonl line 1 is damaged"):
        maintain.fn(commons)
    assert "## Problems" in shown[-1]


def test_a_deployment_needs_the_whole_path_of_its_commons(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PREFECT__RUNTIME__DEPLOYMENT__ID", "some")
    with pytest.raises(BadInput, match="commons = 'commons': a deployment needs an absolute path"):
        search.fn("quick", Path("commons"))
