"""Automations that tell of failed, late and stuck runs, on a real server, with somebody who is told."""

from __future__ import annotations

import json
import signal
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml
from command import A4NN, SMALL
from prefect.blocks.notifications import CustomWebhookNotificationBlock
from prefect.blocks.system import Secret
from prefect.events.schemas.automations import AutomationCore
from prefect.settings import (
    PREFECT_API_AUTH_STRING,
    PREFECT_API_URL,
    PREFECT_LOGGING_TO_API_ENABLED,
    temporary_settings,
)
from prefect_stack import DEPLOYMENTS, Stack, kill, until
from test_cli import children

from a4nn_core.errors import BadInput
from a4nn_flows import publish
from a4nn_flows.alarms import install
from a4nn_flows.maintain import maintain
from a4nn_flows.progress import EVERY_SECONDS, PROGRESS
from a4nn_flows.search import search
from a4nn_flows.sweep import sweep

FILE = DEPLOYMENTS / "automations.yaml"


def shipped() -> dict[str, dict[str, Any]]:
    return {one["name"]: one for one in yaml.safe_load(FILE.read_text())["automations"]}


def test_the_file_is_what_prefect_takes_and_names_what_the_flows_emit() -> None:
    automations = shipped()
    assert list(automations) == ["a4nn failed", "a4nn late", "a4nn stuck"]
    for one in automations.values():
        AutomationCore.model_validate(one)
    stuck = automations["a4nn stuck"]["trigger"]
    assert stuck["after"] == [PROGRESS]
    assert PROGRESS in stuck["expect"]
    assert stuck["within"] > 2 * EVERY_SECONDS  # or each search would be stuck now and then
    told = automations["a4nn failed"]["trigger"]["match_related"]["prefect.resource.name"]
    flows = (search, maintain, sweep, publish.publish, publish.search_and_publish)
    assert set(told) == {flow.name for flow in flows}


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (None, "cannot be read: No such file or directory"),
        ("automations: [", "has no automations: while parsing"),
        ("[]", "has no automations: list indices"),
        ("a: 1", "lacks 'automations', a list of automations"),
        ("automations: [{name: x}]", ": an automation is wrong at trigger: Field required"),
    ],
)
def test_a_file_without_automations(text: str | None, sentence: str, tmp_path: Path) -> None:
    file = tmp_path / "automations.yaml"
    if text is not None:
        file.write_text(text)
    with pytest.raises(BadInput) as caught:
        install(file)
    assert str(caught.value).startswith(str(file))
    assert sentence in str(caught.value)


@contextmanager
def told() -> Iterator[tuple[str, list[str]]]:
    """An address, and the messages that it gets."""
    messages: list[str] = []

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            messages.append(json.loads(body)["text"])
            self.send_response(200)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/hook", messages
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def client_of(stack: Stack) -> Iterator[None]:
    """What is called in this process finds the server."""
    given = {
        PREFECT_API_URL: stack.environment["PREFECT_API_URL"],
        PREFECT_API_AUTH_STRING: stack.login,
        PREFECT_LOGGING_TO_API_ENABLED: False,
    }
    with temporary_settings(given):
        yield


def installed(stack: Stack) -> dict[str, dict[str, Any]]:
    found = stack.ask("automations")
    return {one["name"]: one for one in found if one["name"] in shipped()}


def delete(stack: Stack, *paths: str) -> None:
    """What other tests of this server had better not meet."""
    for path in paths:
        stack._ask(stack._request(path, method="DELETE"))


def operator_changes(stack: Stack, name: str, **trigger: Any) -> None:
    """As in the web pages, which send the whole automation."""
    one = installed(stack)[name]
    changed = {**one, "trigger": {**one["trigger"], **trigger}}
    kept = {key: changed[key] for key in ("name", "description", "enabled", "tags", "trigger", "actions")}
    stack._ask(stack._request(f"automations/{one['id']}", kept, "PUT"))


@pytest.mark.integration
def test_installing_again_keeps_what_an_operator_changed(stack: Stack, tmp_path: Path) -> None:
    with client_of(stack), told() as (url, _):
        with pytest.raises(BadInput, match="say who is told: --url ADDRESS, or --block TYPE/NAME"):
            install(FILE)
        with pytest.raises(BadInput, match="'slack-webhook/nobody': there is no such block"):
            install(FILE, block="slack-webhook/nobody")
        with pytest.raises(BadInput, match="'here' is not an address"):
            install(FILE, url="here")
        assert installed(stack) == {}
        assert install(FILE, url=url) == [f"{name} is new" for name in shipped()]
        first = installed(stack)
        assert install(FILE) == []  # tells those who were told before
        assert installed(stack) == first

        operator_changes(stack, "a4nn stuck", within=7200)
        stack.patch(f"automations/{first['a4nn late']['id']}", {"enabled": False})
        newer = tmp_path / "automations.yaml"
        newer.write_text(FILE.read_text().replace("is late", "has not begun"))
        assert install(newer) == [
            "a4nn late is now as in the file",
            "a4nn stuck keeps what was changed on the server; --reset would take the file's",
        ]
        second = installed(stack)
        assert second["a4nn failed"] == first["a4nn failed"]
        assert second["a4nn late"]["actions"][0]["subject"].endswith("has not begun")
        assert not second["a4nn late"]["enabled"]
        assert second["a4nn stuck"]["trigger"]["within"] == 7200
        (block,) = stack.ask("block_documents", block_documents={"name": {"any_": ["a4nn-alarms"]}})
        assert url not in json.dumps(block), "whoever knows it can write there"

        Secret(value="x").save("mine", overwrite=True)
        with pytest.raises(BadInput, match="'secret/mine' sends no notifications"):
            install(newer, block="secret/mine")
        CustomWebhookNotificationBlock(name="x", url=url).save("other", overwrite=True)
        assert install(newer, block="custom-webhook/other") == [
            "a4nn failed is now as in the file",
            "a4nn late is now as in the file",
            "a4nn stuck keeps what was changed on the server; --reset would take the file's",
            "a4nn stuck tells the chosen block",
        ]
        third = installed(stack)
        senders = {one["actions"][0]["block_document_id"] for one in third.values()}
        assert senders.isdisjoint({first["a4nn stuck"]["actions"][0]["block_document_id"]})
        assert len(senders) == 1
        assert third["a4nn stuck"]["trigger"]["within"] == 7200
        assert not third["a4nn late"]["enabled"]

        assert install(FILE, reset=True) == [
            "a4nn late is now as in the file",
            "a4nn stuck is now as in the file",
        ]
        assert installed(stack)["a4nn stuck"]["trigger"]["within"] == 3600
        stack.patch(f"automations/{first['a4nn late']['id']}", {"enabled": True})
    delete(stack, *(f"automations/{one['id']}" for one in installed(stack).values()))


def due_now(stack: Stack, flow: str, name: str) -> str:
    """A flow run on a pool that no worker polls; returns its id."""
    entry = {
        "name": "late",
        "flow_id": stack.post("flows/", {"name": flow})["id"],
        "work_pool_name": "nobody",
    }
    made = stack.post("deployments/", entry)
    return str(stack.post(f"deployments/{made['id']}/create_flow_run", {"name": name})["id"])


@pytest.mark.integration
def test_failed_late_and_stuck_runs_are_told_of(stack: Stack, tmp_path: Path) -> None:
    with told() as (url, messages):
        words = ["python", "-P", "-m", "a4nn_flows.alarms", "--url", url]
        done = subprocess.run(words, env=stack.environment, cwd=DEPLOYMENTS, capture_output=True, text=True)
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout.splitlines() == [*(f"{name} is new" for name in shipped()), "installed"]
        operator_changes(stack, "a4nn stuck", within=10.0)  # the least that Prefect takes

        def message(*parts: str) -> str:
            found = until(
                lambda: [text for text in messages if all(part in text for part in parts)],
                120,
                lambda: f"{messages} {stack.log('server')}",
            )
            assert len(found) == 1
            return str(found[0])

        # late: due on a pool that no worker polls
        stack.post("work_pools/", {"name": "nobody", "type": "process"})
        due, theirs = (
            due_now(stack, flow, name) for flow, name in (("a4nn-search", "nightly-1"), ("other", "theirs"))
        )

        # stuck: a search whose training hangs
        small = (*SMALL, "--set", "search.networks=3", "--set", "training.epochs=2")
        arguments = (*small, "--run-id", "hanging", "--executor", "prefect", "--commons", str(tmp_path))
        running = subprocess.Popen([*A4NN, "run", *arguments], env=stack.environment, stderr=subprocess.PIPE)
        try:
            until(lambda: list(tmp_path.glob("runs/hanging/journals/*.jsonl")), 120, pause=0.02)
            workers = children(running.pid)
            assert workers
            for worker in workers:
                kill(worker, signal.SIGSTOP)

            # failed: a search that cannot be
            with client_of(stack), pytest.raises(BadInput):
                search("digits", tmp_path, "hopeless", changes=["training.device=cuda:7"])
            text = message("hopeless failed")
            assert "of a4nn-search is Failed: " in text
            assert "this machine has no such device" in text
            assert "flow-run/" in text

            text = message("nightly-1 is late")
            assert "of a4nn-search was due at" in text
            assert "prefect work-pool inspect nobody" in text

            text = message("hanging is stuck")
            assert "a4nn status hanging" in text
            (shown,) = [run for run in stack.ask("flow_runs") if run["name"] == "hanging"]
            assert shown["state_type"] == "RUNNING"
            assert shown["id"] in text
            operator_changes(stack, "a4nn stuck", within=3600.0)
        finally:
            for worker in children(running.pid):
                kill(worker, signal.SIGCONT)
        _, errors = running.communicate(timeout=300)
        assert running.returncode == 0, errors

        # crashed: what a worker says of a flow that was killed
        stack.post(f"flow_runs/{due}/set_state", {"state": {"type": "RUNNING"}, "force": True})
        crashed = {"type": "CRASHED", "name": "Crashed", "message": "exited with status code: -9"}
        stack.post(f"flow_runs/{due}/set_state", {"state": crashed, "force": True})
        assert "is Crashed: exited with status code: -9" in message("nightly-1 crashed")
        assert not [text for text in messages if "theirs" in text]
        assert len([text for text in messages if "hanging" in text]) == 1, "it went on, and has ended"
    delete(stack, *(f"automations/{one['id']}" for one in installed(stack).values()))
    delete(stack, f"flow_runs/{due}", f"flow_runs/{theirs}", "work_pools/nobody")
