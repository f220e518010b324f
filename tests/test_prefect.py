"""The search under Prefect, on a real server."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from test_cli import A4NN, SMALL, a4nn
from test_workflow import rows

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """A Prefect server of its own; gives the environment in which it is found."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    home = tmp_path_factory.mktemp("prefect")
    environment = {
        **os.environ,
        "PREFECT_HOME": str(home),
        "PREFECT_API_URL": f"http://127.0.0.1:{port}/api",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "DO_NOT_TRACK": "1",
        "PREFECT_LOGGING_LEVEL": "WARNING",
    }
    with (home / "server.log").open("w") as log:
        command = [sys.executable, "-m", "prefect", "server", "start", "--host", "127.0.0.1", "--port", port]
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
    try:
        for _ in range(180):
            try:
                urllib.request.urlopen(f"{environment['PREFECT_API_URL']}/health", timeout=5)
                break
            except OSError:
                assert process.poll() is None, (home / "server.log").read_text()
                time.sleep(1)
        else:
            raise AssertionError((home / "server.log").read_text())
        yield environment
    finally:
        process.terminate()
        process.wait(timeout=30)


def ask(server: dict[str, str], what: str, **filters: Any) -> list[dict[str, Any]]:
    request = urllib.request.Request(
        f"{server['PREFECT_API_URL']}/{what}/filter",
        json.dumps({"limit": 200, **filters}).encode(),
        {"Content-Type": "application/json"},
    )
    answer: list[dict[str, Any]] = json.loads(urllib.request.urlopen(request, timeout=30).read())
    return answer


def test_the_same_search_with_a_task_run_a_segment(server: dict[str, str], tmp_path: Path) -> None:
    words = [*A4NN, "run", *SMALL, "--set", "training.segment_epochs=2", "--run-id", "flow", "--json"]
    done = subprocess.run(
        [*words, "--executor", "prefect", "--commons", str(tmp_path / "prefect")],
        env=server,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["networks"] == 6
    local = a4nn(*words[4:], "--commons", tmp_path / "local")
    assert local.returncode == 0, local.stderr
    assert rows(tmp_path / "prefect", "flow") == rows(tmp_path / "local", "flow")

    (flow,) = [run for run in ask(server, "flow_runs") if run["name"] == "flow"]
    assert flow["state_type"] == "COMPLETED"
    assert flow["parameters"]["experiment"]["search"]["networks"] == 6
    mine = {"flow_runs": {"id": {"any_": [flow["id"]]}}}
    names: list[str] = []
    for _ in range(60):  # the server records task runs a while after they ended
        tasks = ask(server, "task_runs", **mine)
        names = sorted(run["name"] for run in tasks if run["state_type"] == "COMPLETED")
        if len(names) == 12:
            break
        time.sleep(1)
    expected = [f"generation {n // 3} network {n} segment {s}" for n in range(6) for s in range(2)]
    assert names == sorted(expected)
    assert all({"flow", f"generation-{run['name'].split()[1]}"} <= set(run["tags"]) for run in tasks)
    kinds = {artifact["key"]: artifact["type"] for artifact in ask(server, "artifacts")}
    assert kinds["generation-0-flow"] == kinds["generation-1-flow"] == kinds["front-flow"] == "table"
    assert (kinds["progress-flow"], kinds["report-flow"]) == ("progress", "markdown")


def test_the_flow_in_its_own_right(server: dict[str, str], tmp_path: Path) -> None:
    code = f"""
from a4nn_core.experiment import load_experiment
from flows.search import search
summary = search(load_experiment("digits", {SMALL[2::2]!r}), {str(tmp_path)!r}, "own")
assert summary["networks"] == 6, summary
"""
    done = subprocess.run(
        [sys.executable, "-P", "-c", code], env=server, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    assert "own" in {run["name"] for run in ask(server, "flow_runs")}


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
