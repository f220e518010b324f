"""What the maintenance flow removes from a real server, and what a deployment may use."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from fakes import FakeExecutor, experiment
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.objects import FlowRun
from prefect.events.worker import EventsWorker
from prefect.exceptions import ParameterTypeError
from prefect.flows import Flow
from prefect.settings import PREFECT_API_AUTH_STRING, PREFECT_API_URL, temporary_settings
from prefect.states import Completed, Crashed, Running, State
from prefect_stack import SELDOM, Stack, serving, until
from pydantic import ValidationError

from a4nn_core.budget import Spent
from a4nn_core.commons import Commons
from a4nn_core.errors import BadInput
from a4nn_core.workflow.run import execute
from a4nn_core.workflow.spending import spent_by
from a4nn_flows import budget as budgets
from a4nn_flows.budget import DeploymentBudget, DeploymentBudgetUsedUp, spent_together, within
from a4nn_flows.maintain import maintain
from a4nn_flows.retention import Ages, Removed, Retention

LOG = logging.getLogger("test")


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A server of its own, as what is removed is counted, and other tests leave flow runs behind."""
    with serving(tmp_path_factory.mktemp("prefect")) as one:
        yield one


@pytest.fixture
def client(stack: Stack) -> Iterator[SyncPrefectClient]:
    given = {
        PREFECT_API_URL: stack.environment["PREFECT_API_URL"],
        PREFECT_API_AUTH_STRING: stack.login,
    }
    with temporary_settings(given), get_client(sync_client=True) as client:
        yield client
        EventsWorker.drain_all()  # it is kept, and knows this server only


class Server:
    """Makes flow runs as searches and sweeps leave them."""

    def __init__(self, client: SyncPrefectClient) -> None:
        self.client = client

    def flow_run(self, flow: str, state: State[Any], **more: Any) -> FlowRun:
        made = self.client.create_flow_run(Flow(lambda: None, name=flow), state=Running(), **more)
        if not state.is_running():
            self.client.set_flow_run_state(made.id, state, force=True)
        self.client.create_logs(
            [
                {
                    "name": "a4nn",
                    "level": 20,
                    "message": "said",
                    "timestamp": datetime.now(UTC).isoformat(),
                    "flow_run_id": str(made.id),
                }
            ]
        )
        artifact = {"key": f"front-{made.id}", "type": "table", "data": "[]", "flow_run_id": str(made.id)}
        self.client.request("POST", "/artifacts/", json=artifact).raise_for_status()
        return made


def names(stack: Stack) -> set[str]:
    return {run["name"] for run in stack.ask("flow_runs")}


@pytest.mark.integration
def test_what_is_old_goes_with_its_logs_and_artifacts(stack: Stack, client: SyncPrefectClient) -> None:
    server = Server(client)
    server.flow_run("a4nn-search", Completed(), name="old")
    server.flow_run("a4nn-search", Crashed(), name="crashed")
    goes_on = server.flow_run("a4nn-search", Running(), name="goes-on")
    server.flow_run("a4nn-segment", Completed(), name="its segment", tags=["goes-on"])
    server.flow_run("a4nn-segment", Completed(), name="old segment", tags=["old"])
    server.flow_run("a4nn-sweep", Completed(), name="sweep")
    server.flow_run("of-others", Completed(), name="of others")
    mine = {"old", "crashed", "goes-on", "its segment", "old segment", "sweep", "of others"}

    def clear(days: float, ages: Ages) -> Removed:
        return Retention(client, ages, datetime.now(UTC) + timedelta(days=days), LOG).clear()

    ages = Ages(flow_runs=5.0, sweeps=2.0, artifacts=3.0)
    assert clear(1, ages) == Removed()
    assert names(stack) >= mine
    assert clear(2.5, ages).flow_runs == {"a4nn-sweep": 1}
    # those of flow runs that stay, but not of one that may be started again, is in progress, or of others
    before = {artifact["flow_run_id"] for artifact in stack.ask("artifacts")}
    assert clear(4, ages).artifacts == 3
    left = {artifact["flow_run_id"] for artifact in stack.ask("artifacts")}
    assert len(before - left) == 3
    assert str(goes_on.id) in left
    assert names(stack) >= mine - {"sweep"}
    found = clear(6, ages)
    assert (found.flow_runs, found.artifacts) == ({"a4nn-search": 1, "a4nn-segment": 1}, 0)
    assert names(stack) & mine == {"crashed", "goes-on", "its segment", "of others"}
    found = clear(8, ages)
    assert found.lines() == ["1 flow runs of a4nn-search", "1 artifacts"]
    assert clear(1000, Ages(None, None, None)).lines() == ["nothing"]

    def logs() -> set[str]:
        return {line["flow_run_id"] for line in stack.ask("logs")}

    kept = {run["id"] for run in stack.ask("flow_runs")}
    until(lambda: not logs() - kept, 60, pause=SELDOM)  # the server removes logs a moment later
    assert str(goes_on.id) in logs()


@pytest.mark.integration
def test_the_maintenance_flow_says_what_it_removed(
    stack: Stack, client: SyncPrefectClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    execute(experiment(), tmp_path, "r", lambda _: FakeExecutor())
    Server(client).flow_run("a4nn-search", Completed(), name="last year")
    far = datetime.now(UTC) + timedelta(days=365)
    monkeypatch.setattr("a4nn_flows.retention.datetime", type("Later", (), {"now": lambda _: far}))
    result = maintain(tmp_path, checkpoints=False)  # the made-up trainer writes none
    removed: Any = result["removed"]
    assert removed["flow_runs"]["a4nn-search"] >= 1
    (report,) = stack.ask("artifacts", artifacts={"key": {"any_": ["removed-from-server"]}})
    assert "flow runs of a4nn-search" in report["data"]
    assert "last year" not in names(stack)


def test_ages_of_less_than_a_day_are_refused() -> None:
    with pytest.raises(
        ParameterTypeError, match="flow_runs_days: Input should be greater than or equal to 1"
    ):
        maintain.validate_parameters({"flow_runs_days": 0.5})
    assert maintain.validate_parameters({"flow_runs_days": None})["flow_runs_days"] is None


# the budget of a deployment


@pytest.mark.slow
def test_a_deployment_has_what_its_runs_have_left(tmp_path: Path) -> None:
    nightly = {"flow_run": "f", "deployment": "nightly"}
    what = experiment(search={"networks": 4})
    for name, origin in (("one", nightly), ("two", nightly), ("other", {"deployment": "o'clock"})):
        execute(what, tmp_path, name, lambda _: FakeExecutor(), origin=origin)
    execute(what, tmp_path, "by-hand", lambda _: FakeExecutor())
    store = Commons(tmp_path)
    assert [store.run(name).deployment for name in ("one", "other", "by-hand")] == [
        "nightly",
        "o'clock",
        None,
    ]
    each = spent_by(store, "one").epochs
    assert each > 0
    since = datetime.now(UTC) - timedelta(days=1)
    assert spent_together(tmp_path, "nightly", since, "new").epochs == 2 * each
    assert spent_together(tmp_path, "o'clock", since, "new").epochs == each
    assert spent_together(tmp_path, "nightly", since, "two").epochs == each  # what is resumed is not others'
    assert spent_together(tmp_path, "nightly", datetime.now(UTC), "new") == Spent()
    assert spent_together(tmp_path / "none", "nightly", since, "new") == Spent()

    def left(budget: DeploymentBudget, own: dict[str, Any]) -> Any:
        found = within(experiment(**own), budget, tmp_path, "nightly", "new").budget
        assert found is not None
        return found.limits()

    assert left(DeploymentBudget(epochs=2 * each + 7), {}) == {"epochs": 7}
    assert left(DeploymentBudget(epochs=2 * each + 7), {"budget": {"epochs": 3, "hours": 5.0}}) == {
        "epochs": 3,
        "hours": 5.0,
    }
    assert left(DeploymentBudget(epochs=2 * each + 7), {"budget": {"epochs": 9}}) == {"epochs": 7}
    with pytest.raises(
        DeploymentBudgetUsedUp,
        match=rf"^the budget of nightly is used up: {2 * each} of {each} epochs in the last 30 days$",
    ):
        within(what, DeploymentBudget(epochs=each), tmp_path, "nightly", "new")


def test_a_budget_of_a_deployment_that_makes_no_sense_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no deployment started this flow"):
        within(experiment(), DeploymentBudget(hours=1), tmp_path, None, "r")
    with pytest.raises(BadInput, match=r"kwh = 3 needs \[training\] energy = true"):
        within(experiment(), DeploymentBudget(kwh=3), tmp_path, "nightly", "r")
    with pytest.raises(ValidationError, match="give at least one of hours"):
        DeploymentBudget(days=3)


def test_a_run_is_skipped_when_the_budget_is_used_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import a4nn_flows.search as flow

    monkeypatch.setattr(budgets, "spent_together", lambda *_: Spent(hours=2.5))
    monkeypatch.setattr(flow, "origin", lambda: {"deployment": "nightly"})
    budget = DeploymentBudget(hours=2, days=7)
    ended: Any = flow.search.fn("digits", tmp_path, "r", deployment_budget=budget)
    assert (ended.type, ended.name) == ("COMPLETED", "Skipped")
    assert ended.message == "the budget of nightly is used up: 2.5 of 2 hours in the last 7 days"
    assert not (tmp_path / "runs/r/run.json").exists()
