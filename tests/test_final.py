"""Records are final: a complete run is only shown, and an interrupted one has one honest end."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from signal import SIGINT, SIGTERM

import pytest
from command import SMALL, a4nn
from fakes import FakeExecutor, experiment, search
from signalled import Answer, Order
from test_workflow import rows

from a4nn_core import load_experiment, run
from a4nn_core.commons import Commons
from a4nn_core.commons.records import Network
from a4nn_core.errors import BadInput, RunFailed
from a4nn_core.jsonable import JsonText, to_jsonable
from a4nn_core.report.beside import Beside
from a4nn_core.search.evolution import Evolution
from a4nn_core.training.segment import Segment, SegmentResult
from a4nn_core.vocabulary import NetworkStatus
from a4nn_core.workflow import local
from a4nn_core.workflow.startup import StartUp
from a4nn_core.workflow.summary import Summary, summarise
from a4nn_core.workflow.watcher import SearchView
from a4nn_flows.search import search as flow

COMPARING = [*SMALL[:-1], "termination=layers"]
"""a small search with a rule that compares networks, so that some wait at checkpoints"""


def folder(commons: Path) -> dict[str, tuple[bytes, int]]:
    """Every file and folder of a commons: its content and when it was changed."""
    return {
        str(path.relative_to(commons)): (
            path.read_bytes() if path.is_file() else b"",
            path.stat().st_mtime_ns,
        )
        for path in sorted(commons.rglob("*"))
    }


@pytest.fixture
def made_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Trainings that take no time."""
    monkeypatch.setattr(local, "LocalExecutor", lambda *_, **__: FakeExecutor())


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> Path:
    commons = tmp_path_factory.mktemp("complete") / "commons"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(local, "LocalExecutor", lambda *_, **__: FakeExecutor())
        done = a4nn("run", *COMPARING, "--run-id", "r", "--commons", commons)
    assert done.returncode == 0, done.stderr
    return commons


@pytest.fixture
def complete(first: Path, tmp_path: Path) -> Path:
    """The commons of a complete run."""
    return Path(shutil.copytree(first, tmp_path / "commons"))


@pytest.mark.slow
def test_a_complete_run_is_shown_and_nothing_is_written(complete: Path) -> None:
    before = folder(complete)
    again = a4nn("run", *COMPARING, "--run-id", "r", "--commons", complete, "--json")
    assert again.returncode == 0, again.stderr
    assert json.loads(again.stdout)["front"] == to_jsonable(
        [asdict(n) for n in summarise(Commons(complete), "r").front]
    )
    assert "run r is complete; this is its result" in again.stderr
    assert "loading" not in again.stderr
    as_begun = a4nn("run", "--run-id", "r", "--commons", complete)
    assert "report:  " in as_begun.stdout
    for executor in ("local", "prefect"):  # which needs no server for this
        assert run(load_experiment("digits", COMPARING[2::2]), complete, "r", executor) == "r"
    assert folder(complete) == before
    with pytest.raises(BadInput, match=r"was started with experiment.seed = 1, not 2"):
        run(load_experiment("digits", [*COMPARING[2::2], "seed=2"]), complete, "r")
    assert folder(complete) == before
    for name in ("front.png", "report.html"):  # as if it had been killed before they were written
        (complete / "runs/r" / name).unlink()
    assert a4nn("run", "--run-id", "r", "--commons", complete).returncode == 0
    assert (complete / "runs/r/front.png").exists()
    assert (complete / "runs/r/report.html").exists()


class Shown:
    """What a flow publishes, without a server."""

    def __init__(self, run_id: str, networks: int) -> None:
        del run_id, networks
        self.publisher = self

    def result(self, summary: Summary, beside: Beside) -> None:
        assert summary.status == "completed"
        assert beside.report is not None

    def on_start(self, check: StartUp) -> None:
        pass

    def on_poll(self, view: SearchView) -> None:
        pass

    def on_network_end(self, view: SearchView, network: Network) -> None:
        pass

    def close(self) -> None:
        pass


@pytest.mark.parametrize("schedule", [{}, {"schedule": "every night", "deployment": "a4nn-search/nightly"}])
def test_a_flow_shows_a_complete_run_and_writes_nothing(
    schedule: dict[str, str], complete: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("a4nn_flows.search.origin", lambda: schedule)
    monkeypatch.setattr("a4nn_flows.search.Artifacts", Shown)
    before = folder(complete)
    found = flow.fn(load_experiment("digits", COMPARING[2::2]), complete, "r")
    assert isinstance(found, dict)
    assert (found["status"], found["networks"]) == ("completed", 6)
    assert folder(complete) == before


# runs that find nothing


def fails(segment: Segment) -> SegmentResult:
    error = f"diverged in epoch 1: training loss nan, validation loss {segment.network}"
    return SegmentResult(segment.network, segment.number, NetworkStatus.failed, error=error)


FEW = [*SMALL, "--set", "search.networks=4"]
"""fewer networks than must fail one after another to end a run at once"""
NOTHING = (
    "no network was trained with a result: 4 failed; network 0: diverged in epoch 1: "
    "training loss nan, validation loss 0"
)


def test_a_run_in_which_every_network_fails_has_failed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local, "LocalExecutor", lambda *_, **__: FakeExecutor(fails))
    done = a4nn("run", *FEW, "--run-id", "r", "--commons", tmp_path)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == f"Error: {NOTHING}"
    assert done.stdout == ""
    store = Commons(tmp_path)
    header = store.run("r")
    assert (header.status, header.error) == ("failed", NOTHING)
    end = store.events("r")[-1]
    assert (end.kind, end.data) == ("failed", JsonText.of({"error": NOTHING}))
    assert store.sql("select status, error from runs").fetchall() == [("failed", NOTHING)]
    shown = a4nn("front", "r", "--commons", tmp_path)
    assert f"run r failed: {NOTHING}" in shown.stderr
    assert "picture: " not in shown.stdout
    assert list((tmp_path / "runs/r").glob("front.*")) == []
    assert f"failed: {NOTHING}" in (tmp_path / "runs/r/report.html").read_text(encoding="utf-8")
    (status,) = json.loads(a4nn("status", "--commons", tmp_path, "--json").stdout)
    assert (status["status"], status["error"]) == ("failed", NOTHING)
    assert NOTHING in a4nn("status", "r", "--commons", tmp_path).stdout


def test_a_flow_that_finds_nothing_fails_with_the_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("a4nn_flows.search.origin", dict)
    monkeypatch.setattr("a4nn_flows.search.Artifacts", Shown)
    monkeypatch.setattr("a4nn_flows.search.PrefectExecutor", lambda *_: FakeExecutor(fails))
    with pytest.raises(RunFailed, match=re.escape(NOTHING)):
        flow.fn(load_experiment("digits", FEW[2::2]), tmp_path, "r")
    assert Commons(tmp_path).run("r").error == NOTHING


def test_networks_outside_the_bounds_are_told_from_those_that_failed(tmp_path: Path) -> None:
    tight = {"constraints": {"parameters": {"most": 400.0}}}  # sampling finds none, evolution some
    with pytest.raises(RunFailed) as caught:
        search(experiment(search=tight, training={"failures_in_a_row": 99}), tmp_path, FakeExecutor(fails))
    statuses = [network.status for network in Commons(tmp_path).networks("r")]
    failed, outside = (statuses.count(NetworkStatus(name)) for name in ("failed", "infeasible"))
    assert failed
    assert outside
    assert f": {failed} failed, {outside} are outside the bounds of [search.constraints]; " in str(
        caught.value
    )


def test_a_strategy_that_asks_for_nothing_has_failed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Evolution, "finished", True)
    with pytest.raises(RunFailed, match="the search ended without a network: the strategy asked for none"):
        search(experiment(), tmp_path, FakeExecutor())


# signals


class Signalled:
    """Starts commands in processes that are signalled; see signalled.py."""

    def __init__(self) -> None:
        here = str(Path(__file__).parent)
        self.process = subprocess.Popen(
            [
                sys.executable,
                "-P",
                "-c",
                f"import sys; sys.path[:0] = [{here!r}]; import signalled; signalled.serve()",
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )

    def run(self, order: Order) -> Answer:
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.write(json.dumps(asdict(order)) + "\n")
        self.process.stdin.flush()
        return Answer(**json.loads(self.process.stdout.readline()))

    def close(self) -> None:
        assert self.process.stdin
        self.process.stdin.close()
        self.process.wait(timeout=60)


@pytest.fixture(scope="module")
def signalled() -> Iterator[Signalled]:
    one = Signalled()
    try:
        yield one
    finally:
        one.close()


CLAIMS = {
    None: "interrupted before the run began; nothing was recorded. To start it: a4nn run digits",
    "interrupted": "interrupted; nothing is lost. To continue: a4nn run digits",
    "completed": "interrupted after the run was complete. To see its result: a4nn front r",
}


def words(commons: Path) -> list[str]:
    return ["run", *COMPARING, "--run-id", "r", "--commons", str(commons)]


@pytest.mark.integration
@pytest.mark.slow
@pytest.mark.usefixtures("made_up")
def test_any_number_of_signals_is_one_honest_end(
    signalled: Signalled, complete: Path, tmp_path: Path
) -> None:
    """Bursts of both signals, from the start of the program to the last of its final records: the recorded
    status is how the run ended, what is said is true, and it goes on to the rows of an undisturbed run."""
    syncs = signalled.run(Order(words(tmp_path / "counted"))).syncs
    assert syncs > 100
    ends = []
    moments = [0, 1, syncs // 2, *range(syncs - 5, syncs + 1)]
    for number, moment in enumerate(moments):
        first, second = (SIGINT, SIGTERM) if number % 2 else (SIGTERM, SIGINT)
        seconds = (0.0005, 0.004, 0.025)[number % 3]
        commons = tmp_path / str(moment)
        burst = (first, second, second, first, first, second)
        answer = signalled.run(Order(words(commons), moment, burst, seconds))
        assert answer.code == 130, answer
        assert "Traceback" not in answer.said
        began = (commons / "runs/r/run.json").exists()
        status = Commons(commons).run("r").status if began else None
        said = [line for line in answer.said.splitlines() if line.startswith("interrupted")]
        if said or began:  # before the command is understood, nothing is said of a run
            (claim,) = said
            assert claim.startswith(CLAIMS[status])
        ends.append(status)
        run(load_experiment("digits", COMPARING[2::2]), commons, "r")
        assert rows(commons) == rows(complete)
        assert Commons(commons).run("r").status == "completed"
    assert set(ends) == set(CLAIMS)
