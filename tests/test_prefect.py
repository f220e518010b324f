"""The search under Prefect, on a real server."""

from __future__ import annotations

import base64
import json
import os
import random
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import prefect
import pytest
import yaml
from command import A4NN, SMALL, a4nn
from prefect.events.worker import EventsWorker
from prefect.settings import (
    PREFECT_API_AUTH_STRING,
    PREFECT_API_URL,
    PREFECT_LOGGING_TO_API_ENABLED,
    temporary_settings,
)
from prefect_stack import ROOT, SELDOM, Postgres, Stack, kill, until
from test_cli import children
from test_training import segment
from test_workflow import rows

from a4nn_core.commons import Commons, RunFolder
from a4nn_core.commons.events import Submitted, payload, read_events
from a4nn_core.commons.layout import open_commons
from a4nn_core.commons.lock import ReaderLock, RunLock, holder
from a4nn_core.errors import BadInput
from a4nn_core.experiment import load_experiment
from a4nn_core.training.segment import Segment, SegmentResult
from a4nn_core.vocabulary import NetworkStatus
from a4nn_core.workflow.executor import LocalExecutor
from a4nn_core.workflow.summary import summarise
from a4nn_flows import executor as flow_executor
from a4nn_flows.executor import PrefectExecutor, segment_task
from a4nn_flows.locks import deployment_lock, network_lock, run_lock
from a4nn_flows.seed import seed_of

pytestmark = pytest.mark.integration


def test_the_same_search_with_a_task_run_a_segment(stack: Stack, tmp_path: Path) -> None:
    # a limit that is never granted holds up what is tagged so; nothing of a search is
    stack.post("v2/concurrency_limits/", {"name": "tag:flow", "limit": 1})
    stack.post("v2/concurrency_limits/increment", {"names": ["tag:flow"], "slots": 1})
    # a rule that compares networks, so that they wait at checkpoints and some are trained on
    rule = 'termination={ name = "layers", epochs = 2, layers = 1 }'
    changes = ("--set", rule, "--set", "training.slots=2")
    words = [*A4NN, "run", *SMALL, *changes, "--run-id", "flow", "--json"]
    done = subprocess.run(
        [*words, "--executor", "prefect", "--commons", str(tmp_path / "prefect")],
        env={**stack.environment, "PREFECT_LOGGING_LEVEL": "INFO"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["networks"] == 6
    local = a4nn(*words[4:], "--commons", tmp_path / "local")
    assert local.returncode == 0, local.stderr
    assert rows(tmp_path / "prefect", "flow") == rows(tmp_path / "local", "flow")

    (flow,) = [run for run in stack.ask("flow_runs") if run["name"] == "flow"]
    assert flow["state_type"] == "COMPLETED"
    assert flow["parameters"]["experiment"]["search"]["networks"] == 6
    mine = {"flow_runs": {"id": {"any_": [flow["id"]]}}}
    said = [line["message"] for line in stack.ask("logs", logs={"flow_run_id": {"any_": [flow["id"]]}})]
    assert any("training  6 networks to come, 3 epochs at most: 18 epochs of 20 steps" in one for one in said)
    log = read_events(RunFolder(tmp_path / "prefect", "flow").events)
    submitted = [
        f"generation {e.generation} network {e.network} segment {payload(e, Submitted).segment}"
        for e in log
        if e.kind == "submitted"
    ]
    assert 6 < len(submitted) < 12
    names: list[str] = []
    for _ in range(60):  # the server records task runs a while after they ended
        tasks = stack.ask("task_runs", **mine)
        names = sorted(run["name"] for run in tasks if run["state_type"] == "COMPLETED")
        if len(names) == len(submitted):
            break
        time.sleep(1)
    assert names == sorted(submitted)
    kinds = {artifact["key"]: artifact["type"] for artifact in stack.ask("artifacts")}
    assert kinds["generation-0-flow"] == kinds["generation-1-flow"] == kinds["front-flow"] == "table"
    assert (kinds["progress-flow"], kinds["report-flow"]) == ("progress", "markdown")


def test_a_server_started_as_documented_survives_its_first_console_message(stack: Stack) -> None:
    flow = stack.post("flows/", {"name": "empty"})["id"]
    every = {"schedule": {"interval": 3600.0}, "active": False}
    made = stack.post(
        "deployments/", {"name": "noisy", "flow_id": flow, "schedules": [{**every, "slug": "one"}]}
    )
    two = [{**every, "slug": "two", "replaces": "three"}]
    stack.patch(f"deployments/{made['id']}", {"schedules": two})
    until(lambda: "no schedule with slug 'three' exists" in stack.log("server"), 30)
    assert stack.get("health") is True
    assert stack.server
    assert stack.server.poll() is None


class AtOnce(LocalExecutor):
    """Segments that end before anybody could look at them."""

    def submit(self, segment: Segment) -> None:
        self._results.put(SegmentResult(segment.network, segment.number, NetworkStatus.completed))


def test_a_task_run_that_comes_late_is_not_called_crashed(
    stack: Stack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(flow_executor, "LocalExecutor", AtOnce)

    def late_task(train: Callable[..., Any], run_name: str) -> prefect.Task[..., Any]:
        def late_name() -> str:
            time.sleep(2)  # where a busy machine loses time before the task run begins
            return run_name

        return segment_task(train, run_name).with_options(task_run_name=late_name)

    monkeypatch.setattr(flow_executor, "segment_task", late_task)

    @prefect.flow(name="late")
    def one_segment() -> list[SegmentResult]:
        executor = PrefectExecutor(1, 1)
        with closing(executor):
            executor.submit(segment(tmp_path, network=7))
            return executor.completed(5.0)

    given = {
        PREFECT_API_URL: stack.environment["PREFECT_API_URL"],
        PREFECT_API_AUTH_STRING: stack.login,
        PREFECT_LOGGING_TO_API_ENABLED: False,
    }
    with temporary_settings(given):
        assert one_segment() == [SegmentResult(7, 0, NetworkStatus.completed)]
        EventsWorker.drain_all()  # it is kept, and knows this server only
    mine = {"flows": {"name": {"any_": ["late"]}}}
    (shown,) = until(
        lambda: [run for run in stack.ask("task_runs", **mine) if run["end_time"]], 60, pause=SELDOM
    )
    assert shown["state_type"] == "COMPLETED"


@pytest.mark.parametrize(
    ("url", "sentence"),
    [("", "executor prefect needs a server"), ("http://127.0.0.1:9/api", "does not answer")],
)
def test_no_server_is_one_sentence(url: str, sentence: str, tmp_path: Path) -> None:
    environment = {**os.environ, "PREFECT_API_URL": url, "PREFECT_HOME": str(tmp_path / "home")}
    words = [*A4NN, "run", "digits", "--executor", "prefect", "--commons", str(tmp_path / "commons")]
    done = subprocess.run(words, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 2
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "commons").exists()


@pytest.mark.parametrize(
    ("login", "sentence"),
    [
        (None, "asks for a password: set PREFECT_API_AUTH_STRING=USER:PASSWORD"),
        ("a4nn:other", "refuses the user or the password of PREFECT_API_AUTH_STRING"),
    ],
)
def test_without_its_password_a_server_starts_nothing(
    stack: Stack, login: str | None, sentence: str, tmp_path: Path
) -> None:
    environment = {k: v for k, v in stack.environment.items() if k != "PREFECT_API_AUTH_STRING"}
    if login:
        environment["PREFECT_API_AUTH_STRING"] = login
    words = [*A4NN, "run", "digits", "--executor", "prefect", "--commons", str(tmp_path / "commons")]
    done = subprocess.run(words, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 2
    (line,) = [line for line in done.stderr.splitlines() if sentence in line]
    assert stack.environment["PREFECT_API_URL"] in line
    assert "Traceback" not in done.stderr
    assert "other" not in done.stderr
    assert not (tmp_path / "commons").exists()


def prepared(stack: Stack, changes: list[str], interval: int) -> Path:
    """The deployments as delivered, with an experiment of this test and a short interval."""
    experiment = stack.home / "small.toml"
    experiment.write_text(load_experiment("digits", changes).to_toml())
    text = (ROOT / "deployments/prefect.yaml").read_text()
    for old, new in (
        ("experiment: digits,", f"experiment: {experiment},"),
        ("interval: 21600", f"interval: {interval}"),
        ("active: false", "active: true"),
        ("interval: 300", "interval: 3600"),  # the sweeper starts when a search crashes, or is asked to
    ):
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    file = stack.home / "prefect.yaml"
    file.write_text(text)
    return file


def searches(stack: Stack, deployment: str) -> list[dict[str, Any]]:
    """Flow runs of a search that have begun, the oldest first."""
    runs = stack.ask(
        "flow_runs",
        deployments={"name": {"any_": [deployment]}},
        flow_runs={"state": {"type": {"not_any_": ["SCHEDULED", "PENDING"]}}},
        sort="EXPECTED_START_TIME_ASC",
    )
    return [run for run in runs if run["run_count"]]


@pytest.fixture
def postgres() -> Iterator[str]:
    """URL of a database."""
    given = os.environ.get("A4NN_TEST_POSTGRES")
    if given:
        yield given
        return
    try:
        server = Postgres()
    except FileNotFoundError as missing:
        pytest.skip(f"{missing}; A4NN_TEST_POSTGRES=postgresql+asyncpg://... names a server to use")
    yield server.url
    server.stop()


def test_a_schedule_fires_by_itself_on_sqlite(stack: Stack) -> None:
    check_schedule(stack)
    name = RECURRING
    with held_by_us(deployment_lock(stack.commons, name), name):
        known = {run["id"] for run in searches(stack, name)}
        schedule(stack, "resume")

        def skipped() -> Any:
            runs = searches(stack, name)
            return [run for run in runs if run["id"] not in known and run["state_name"] == "Skipped"]

        run = until(skipped, 300, lambda: stack.log("worker"), SELDOM)[0]
    assert f"the previous run has not ended: run '{name}' is being written" in run["state"]["message"]
    assert run["name"] not in [path.name for path in (stack.commons / "runs").iterdir()]
    # skipping is no error
    assert run["state_type"] == "COMPLETED"
    assert f"'{run['id']}' exited with" not in (stack.home / "worker.log").read_text()
    assert stack.ask("logs", logs={"flow_run_id": {"any_": [run["id"]]}, "level": {"ge_": 40}}) == []

    # what comes next is another search, and knows what the first has found
    store = Commons(stack.commons)
    first, second = (store.run(one["name"]) for one in completed_searches(stack, 2))
    assert [first.seed, second.seed] == [seed_of(first.run), seed_of(second.run)]
    assert first.prior
    assert first.prior.value == []
    assert second.prior
    assert [entry["run"] for entry in second.prior.value] == [first.run]


@contextmanager
def held_by_us(lock: Path, name: str) -> Iterator[None]:
    """As if the previous run had not ended; waits for one that really has not."""

    def free() -> Any:
        with suppress(BadInput):
            return RunLock(lock, name)
        return None

    ours = until(free, 120)
    yield
    ours.release()


def test_a_schedule_fires_by_itself_on_postgresql(
    postgres: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    one = Stack(tmp_path_factory.mktemp("prefect-postgres"), postgres)
    try:
        one.start_server()
        check_schedule(one)
        assert not (one.home / "prefect/prefect.db").exists(), "the server did not use PostgreSQL"
    finally:
        one.stop()


BEFORE = "select run from runs where name = 'small' and status = 'completed'"
SERIES = [*SMALL[2::2], "name=small", f'prior={{ query = "{BEFORE}", may_be_empty = true }}']
"""a small search that learns from the earlier ones of its series"""


RECURRING = "every-six-hours"


def schedule(stack: Stack, what: str) -> dict[str, Any]:
    """Resume or pause the recurring search; returns its deployment."""
    deployment: dict[str, Any]
    (deployment,) = stack.ask("deployments", deployments={"name": {"any_": [RECURRING]}})
    stack.post(f"deployments/{deployment['id']}/{what}_deployment", {})
    return deployment


def completed_searches(stack: Stack, count: int) -> list[dict[str, Any]]:
    """The first flow runs of the recurring search that have records: waits until there are so many, pauses
    the search, and waits until they have completed."""

    def begun() -> Any:
        found = searches(stack, RECURRING)
        assert not [r for r in found if r["state_type"] in ("FAILED", "CRASHED")], stack.log("worker")
        # one that comes too early is skipped
        found = [r for r in found if RunFolder(stack.commons, r["name"]).run_file.exists()]
        return found[:count] if len(found) >= count else None

    def ended() -> Any:
        found: list[dict[str, Any]] = begun()
        return found if all(run["state_name"] == "Completed" for run in found) else None

    until(begun, 300, lambda: stack.log("worker"), SELDOM)
    schedule(stack, "pause")
    found: list[dict[str, Any]] = until(ended, 400, lambda: stack.log("worker"), SELDOM)
    return found


def check_schedule(stack: Stack) -> None:
    """Deploy what is delivered; a search starts on its interval, runs to the end and shows what it found."""
    stack.deploy(prepared(stack, SERIES, interval=15))
    stack.start_worker()
    (first,) = completed_searches(stack, 1)
    assert first["auto_scheduled"]
    assert first["name"].startswith("small-")
    run_id = first["name"]
    store = Commons(stack.commons)
    assert len(store.networks(run_id)) == 6

    # the record names the schedule
    (event,) = [e for e in store.events(run_id) if e.kind == "flow"]
    data = event.data.members
    assert data["deployment"] == data["schedule"] == RECURRING
    assert data["flow_run"] == first["id"]

    # and what it found is read through the API
    shown = {a["key"]: a for a in stack.ask("artifacts") if a["flow_run_id"] == first["id"]}
    assert shown[f"progress-{run_id}"]["type"] == "progress"
    assert shown[f"progress-{run_id}"]["data"] == 100.0
    front = json.loads(shown[f"front-{run_id}"]["data"])
    assert {row["network"] for row in front} == {n.network for n in store.front(run_id)}
    kind, _, picture = shown[f"front-picture-{run_id}"]["data"].partition(",")
    assert kind == "data:image/png;base64"
    assert base64.b64decode(picture)[:8] == b"\x89PNG\r\n\x1a\n"
    page = (store.path / "runs" / run_id / "report.html").absolute()
    assert page.is_file()
    assert page.as_uri() in shown[f"figures-{run_id}"]["data"]
    report = shown[f"report-{run_id}"]["data"]
    assert report.startswith(f"# {run_id}\n\nBest validation accuracy: ")
    assert all(f"\n- {line}\n" in report for line in summarise(store, run_id).cost())
    assert shown[f"generation-0-{run_id}"]["type"] == "table"


LONGER = [
    *("search.networks=10", "search.population=5", "search.offspring=5", "space.channels=4"),
    *("training.epochs=10", "training.slots=2", "termination=none"),
]


def epochs(commons: Path, run: str) -> int:
    """Trained so far, by the journals."""
    folder = commons / "runs" / run / "journals"
    return sum(path.read_bytes().count(b"\n") for path in folder.glob("*.jsonl"))


def driver(commons: Path, run: str) -> int:
    """The process of a run's flow."""
    found = holder(run_lock(commons, run))
    return int(found["pid"]) if found else 0


def test_five_faults_through_a_work_pool_change_nothing(stack: Stack, tmp_path: Path) -> None:
    """kill -9 of a training process, the flow, worker and flow together, and the server, and a flow that is
    stopped for a while, each at a random instant: the run ends with the rows of an undisturbed one."""
    ready(stack)
    commons = stack.commons
    reading = reader(commons)
    flow = stack.run(
        "a4nn-search/search", experiment="digits", changes=LONGER, run_id="faults", commons=str(commons)
    )
    chance = random.Random(6)

    def some_epochs_later() -> int:
        before = epochs(commons, "faults")
        until(
            lambda: epochs(commons, "faults") >= before + chance.randint(1, 2),
            300,
            lambda: stack.log("worker"),
        )
        time.sleep(0.3 * chance.random())
        return until(lambda: driver(commons, "faults"), 120, lambda: stack.log("worker"))

    one = some_epochs_later()
    target = chance.choice(children(one))
    assert kill(target)

    one = some_epochs_later()
    assert kill(one, signal.SIGSTOP)
    time.sleep(2)
    assert kill(one, signal.SIGCONT)

    # the worker says at once that the flow crashed; that starts the sweeper, which starts it again
    one = some_epochs_later()
    assert kill(one)

    two = some_epochs_later()
    assert two != one
    stack.kill_worker()
    kill(two)
    stack.start_worker()
    time.sleep(2)
    assert stack.flow_run(flow)["state_name"] == "Running", "Prefect does not see it"
    stack.run("a4nn-sweep/sweep", grace_seconds=0)

    some_epochs_later()
    stack.kill_server()
    before = epochs(commons, "faults")
    until(lambda: epochs(commons, "faults") > before, 60)  # training goes on without the server
    stack.start_server()

    completed(stack, flow)
    assert stack.flow_run(flow)["run_count"] == 3
    left = {"flow_runs": {"id": {"any_": [flow]}}, "task_runs": {"state": {"type": {"any_": ["RUNNING"]}}}}
    until(
        lambda: not stack.ask("task_runs", **left), 60, pause=SELDOM
    )  # the crashed flows' ones were ended by the sweeper
    same(commons, "faults", LONGER, tmp_path, epochs=10)
    reading.release()


def test_other_machines_train_a_searchs_networks(stack: Stack, tmp_path: Path) -> None:
    """A flow run a network; the process of one is killed, and the network goes on elsewhere."""
    ready(stack)
    changes = ["search.networks=2", "search.population=2", "search.offspring=2", "space.channels=4"]
    changes += ["training.epochs=4", "training.slots=2", "termination=none"]
    given = {"experiment": "digits", "changes": changes, "run_id": "many", "commons": str(stack.commons)}
    reading = reader(stack.commons)
    flow = stack.run("a4nn-search/many-machines", **given)
    locks = [network_lock(stack.commons, "many", n) for n in range(2)]
    until(lambda: any(map(holder, locks)), 300, lambda: stack.log("worker"))
    target = next(n for n in range(2) if holder(locks[n]))
    time.sleep(2 * random.Random(2).random())
    found = holder(locks[target])
    assert found
    assert kill(int(found["pid"]))
    completed(stack, flow)
    segments = stack.ask("flow_runs", flows={"name": {"any_": ["a4nn-segment"]}})
    states = sorted((run["name"], run["state_name"]) for run in segments)
    wanted = [(f"many network {n} segment 0", "Completed") for n in range(2)]
    assert states == sorted([*wanted, (f"many network {target} segment 0", "Crashed")])
    assert all("many" in run["tags"] for run in segments)
    same(stack.commons, "many", changes, tmp_path, epochs=4)
    reading.release()


def test_deploying_again_keeps_what_an_operator_changed_and_says_the_rest(stack: Stack) -> None:
    ready(stack)
    deployed = yaml.safe_load((stack.home / "prefect.yaml").read_text())
    names = ("nightly", "sweep")
    deployed["deployments"] = [one for one in deployed["deployments"] if one["name"] in names]
    file = stack.home / "two.yaml"
    file.write_text(yaml.safe_dump(deployed))

    def there() -> list[dict[str, Any]]:
        found = stack.ask("deployments", deployments={"name": {"any_": [*names]}}, sort="NAME_ASC")
        kept = ("id", "paused", "schedules", "parameters")
        return [{key: one[key] for key in kept} for one in found]

    nightly, sweep = there()
    (cron,) = nightly["schedules"]
    stack.patch(f"deployments/{nightly['id']}/schedules/{cron['id']}", {"active": False})
    added = {"schedule": {"cron": "30 18 * * 5", "timezone": "Europe/Berlin"}}
    stack.post(f"deployments/{nightly['id']}/schedules", [added])
    stack.patch(f"deployments/{nightly['id']}", {"parameters": {"experiment": "digits"}})
    stack.post(f"deployments/{sweep['id']}/pause_deployment", {})
    (automation,) = stack.ask("automations")
    stack.patch(f"automations/{automation['id']}", {"enabled": False})
    before = there()
    try:
        said = stack.redeploy(file)
        now = there()
        assert [(one["paused"], one["schedules"]) for one in now] == [
            (one["paused"], one["schedules"]) for one in before
        ]
        assert [one["active"] for one in before[0]["schedules"]] == [True, False]
        assert before[1]["paused"]
        assert now[0]["parameters"] == nightly["parameters"], "parameters are those of the file"
        assert [(one["name"], one["enabled"]) for one in stack.ask("automations")] == [
            ("a search crashed", False)
        ]
        assert said == [
            f"a4nn-search/nightly: parameters.commons was None and is '{stack.commons}'",
            "a4nn-search/nightly: parameters.experiment was 'digits' and is 'quick'",
            "a4nn-search/nightly keeps its schedules, a schedule without a slug (30 18 * * 5 Europe/Berlin), "
            "nightly (0 1 * * * Europe/Berlin, inactive); the file has nightly (0 1 * * * Europe/Berlin), "
            "which --schedules would take",
            "deployed",
        ]
    finally:
        (automation,) = stack.ask("automations")
        stack.patch(f"automations/{automation['id']}", {"enabled": True})
        stack.post(f"deployments/{sweep['id']}/resume_deployment", {})


def test_a_search_whose_worker_was_killed_is_cancelled(stack: Stack) -> None:
    ready(stack)
    given = {"experiment": "digits", "changes": [*LONGER, "training.epochs=100"]}
    flow = stack.run("a4nn-search/search", **given, run_id="orphan", commons=str(stack.commons))
    until(lambda: epochs(stack.commons, "orphan") > 0, 300, lambda: stack.log("worker"))
    process = driver(stack.commons, "orphan")
    stack.kill_worker()
    stack.post(f"flow_runs/{flow}/set_state", {"state": {"type": "CANCELLING"}})
    until(lambda: stack.flow_run(flow)["state_type"] == "CANCELLED", 120, pause=SELDOM)
    until(lambda: driver(stack.commons, "orphan") == 0, 60)
    assert process
    assert Commons(stack.commons).run("orphan").status == "interrupted"
    errors = stack.ask("logs", logs={"flow_run_id": {"any_": [flow]}, "level": {"ge_": 40}})
    assert not [log for log in errors if "Traceback" in log["message"]]


def ready(stack: Stack) -> None:
    """Everything is deployed and a worker is there."""
    if not stack.ask("deployments", deployments={"name": {"any_": ["search"]}}):
        stack.deploy(prepared(stack, SMALL[2::2], interval=3600))
    if not stack.worker:
        stack.start_worker()


def completed(stack: Stack, flow: str) -> None:
    def ended() -> bool:
        state = stack.flow_run(flow)["state"]
        assert state["type"] != "FAILED", state
        return bool(state["type"] == "COMPLETED")

    until(ended, 400, lambda: stack.log("worker"), SELDOM)


def reader(commons: Path) -> ReaderLock:
    """While somebody reads, compaction deletes no journals."""
    open_commons(commons)
    return ReaderLock(commons)


def same(commons: Path, run: str, changes: list[str], tmp_path: Path, epochs: int) -> None:
    """A run has the rows of one that was never disturbed, and no epoch was trained twice."""
    words = ["run", "digits", *(word for change in changes for word in ("--set", change)), "--run-id", run]
    whole = a4nn(*words, "--commons", tmp_path)
    assert whole.returncode == 0, whole.stderr
    assert rows(commons, run) == rows(tmp_path, run)
    journals = list((commons / "runs" / run / "journals").glob("*.jsonl"))
    assert journals
    for path in journals:
        trained = [json.loads(line)["epoch"] for line in path.read_text().splitlines()]
        assert trained == list(range(1, epochs + 1)), "an epoch was trained again"
