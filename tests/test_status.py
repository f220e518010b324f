"""What a run says of itself while it goes on: the live view and the structured logs."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
from dataclasses import replace
from io import StringIO
from pathlib import Path
from threading import Event, Thread
from typing import Any

import pytest
from fakes import FakeExecutor, experiment, search
from test_training import CPU, segment
from test_workflow import Killed

from a4nn_core import logs
from a4nn_core.cli.status import _follow, _row, _state, _training
from a4nn_core.commons import Commons, RunFolder
from a4nn_core.commons.lock import KernelLock
from a4nn_core.errors import BadInput
from a4nn_core.precision import standard_error
from a4nn_core.training.loading import DeviceData
from a4nn_core.training.segment import Segment, SegmentResult
from a4nn_core.training.trainer import train_segment
from a4nn_core.workflow.live import Live, look
from a4nn_core.workflow.summary import summarise


class Looks:
    """A watcher that looks at the run from outside whenever the loop does."""

    def __init__(self, commons: Path) -> None:
        self.commons = commons
        self.seen: list[Live] = []

    def on_start(self, _: object) -> None: ...

    def on_poll(self, one: Any) -> None:
        ended = [row.seconds or 0.0 for row in one.networks.values()]
        folder = RunFolder(self.commons, "r").checkpoints(1)
        folder.mkdir(parents=True, exist_ok=True)
        lock = KernelLock(folder / "lock", device="left#0")
        self.seen.append(look(self.commons, "r", ended))
        lock.release()

    def on_network_end(self, search: Any, row: Any) -> None:
        pass


def test_a_run_is_seen_as_it_goes_on(tmp_path: Path) -> None:
    looks = Looks(tmp_path)
    what = experiment(training={"segment_epochs": 1}, termination={"name": "none"})
    search(what, tmp_path, FakeExecutor(one_at_a_time=True), watcher=looks, validation=269)
    assert all(live.alive for live in looks.seen)
    first = looks.seen[0]
    assert [one.network for one in first.training] == [0, 1, 2, 3]
    assert {one.epoch for one in first.training} == {0, 1}
    ones = [one for live in looks.seen for one in live.training if one.network == 1]
    assert [one.epoch for one in ones] == sorted(one.epoch for one in ones)
    assert {one.epoch for one in ones} >= {0, 1, 2, 3}
    for one in ones:
        assert one.epochs == 4
        assert one.where is not None
        assert one.where.startswith("left#0 on ")
        # the made-up trainer takes 2 s an epoch
        assert one.seconds_left == (None if one.epoch == 0 else (4 - one.epoch) * 2.0)
        assert (one.accuracy_percent is None) == (one.epoch == 0)
        assert one.accuracy_se_points == standard_error(one.accuracy_percent, 269)
        shown = _training(Live(True, 0.0, [one], None))[0][3]
        assert ("±" in shown) == (one.epoch > 0)
    assert all(one.where is None for live in looks.seen for one in live.training if one.network != 1)
    # an estimate needs networks that have ended and one that trains; then 8 s a network at this pace
    middle = next(live for live in looks.seen if live.seconds_left is not None)
    assert 0 < middle.seconds_left <= 12 * 8.0  # type: ignore[operator]
    assert look(tmp_path, "r") == Live(False, 0.0, [], None)
    json.dumps(first.as_dict())
    summary = summarise(Commons(tmp_path), "r")
    # the others of its four wait for a slot
    assert _row(summary, first)[2] == "12/12 (1 in training)"
    assert (
        _row(replace(summary, networks_infeasible=2), first)[2]
        == "12/12 (1 in training, 2 outside the bounds)"
    )
    assert _row(summary, look(tmp_path, "r"))[2] == "12/12"


def test_networks_that_wait_for_a_verdict_are_counted(tmp_path: Path) -> None:
    from a4nn_core.cli.status import _paused

    looks = Looks(tmp_path)
    search(experiment(termination={"name": "layers"}), tmp_path, FakeExecutor(), watcher=looks)
    waiting = max(looks.seen, key=lambda live: live.paused)
    assert waiting.paused > 4
    assert waiting.paused_epochs == 2 * waiting.paused
    assert f"{waiting.paused} networks wait at a checkpoint" in _paused(waiting)
    assert _paused(Live(True, 0.0, [], None)) == ""


def test_a_killed_run_is_told_from_one_that_goes_on(tmp_path: Path) -> None:
    def die(_: Segment) -> SegmentResult | None:
        raise Killed

    with pytest.raises(Killed):
        search(experiment(), tmp_path, FakeExecutor(die))
    store = Commons(tmp_path)
    assert store.run("r").status == "running"
    assert not look(tmp_path, "r").alive
    assert _row(*_state(store, "r"))[1] == "killed, can be resumed"


@pytest.mark.slow
def test_the_live_view_ends_with_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("rich.console.Console.is_terminal", True)  # whatever this version asks
    monkeypatch.setenv("COLUMNS", "150")
    reached, go = Event(), Event()

    def gate(one: Segment) -> SegmentResult | None:
        if one.network == 5:
            reached.set()
            go.wait(timeout=60)
        return None

    run = Thread(target=search, args=(experiment(), tmp_path, FakeExecutor(gate, one_at_a_time=True)))
    run.start()
    assert reached.wait(timeout=60)
    store = Commons(tmp_path)
    view = Thread(target=_follow, args=(store, "r", 0.05, False))
    view.start()
    view.join(timeout=0.5)
    assert view.is_alive()
    go.set()
    run.join(timeout=60)
    view.join(timeout=60)
    assert not view.is_alive()
    shown = capsys.readouterr().out
    assert "waits for a slot" in shown
    assert "running" in shown
    assert shown.rindex("completed") > shown.rindex("running")
    _follow(store, "r", 1.0, True)
    assert "12/12" in capsys.readouterr().out


# logs


@pytest.mark.slow
def test_logs_are_json_with_run_network_and_epoch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(logs.LOG_FILE, str(tmp_path / "log.jsonl"))
    logs.set_up()
    logs.set_up()
    data = DeviceData(experiment().data.load(), CPU)
    train_segment(segment(tmp_path, epoch_limit=2), data, CPU)

    def fail(one: Segment) -> SegmentResult | None:
        return one.failed("out of luck") if one.network == 2 else None

    search(experiment(), tmp_path / "other", FakeExecutor(fail))
    lines = [json.loads(text) for text in (tmp_path / "log.jsonl").read_text().splitlines()]
    epochs = [line for line in lines if line["logger"] == "a4nn_core.training.trainer"]
    assert [(line["run"], line["network"], line["epoch"]) for line in epochs] == [("r", 0, 1), ("r", 0, 2)]
    assert all(line["level"] == "info" and line["accuracy_percent"] > 0 for line in epochs)
    (failed,) = [line for line in lines if line["level"] == "warning"]
    assert (failed["network"], failed["status"], failed["message"]) == (
        2,
        "failed",
        "network 2: out of luck",
    )
    try:
        raise ValueError("x")
    except ValueError:
        logging.getLogger("a4nn_core.test").exception("went wrong")
    last = json.loads((tmp_path / "log.jsonl").read_text().splitlines()[-1])
    assert "ValueError: x" in last["traceback"]


def test_logs_that_cannot_be_written_are_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(logs.LOG_FILE, str(tmp_path / "no/log"))
    with pytest.raises(BadInput, match=r"cannot write .*/no/log: No such file"):
        logs.set_up()
    monkeypatch.setenv(logs.LOG_LEVEL, "loud")
    with pytest.raises(BadInput, match="'LOUD' is not a level"):
        logs.set_up()


def test_the_command_line_writes_logs(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-P", "-c", "from a4nn_core.cli import main; main()", "presets"],
        env={**os.environ, logs.LOG_FILE: str(tmp_path / "no/log")},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2
    assert done.stderr.startswith("Error: cannot write")


def test_words_of_strangers_are_text_in_the_live_view(tmp_path: Path) -> None:
    """A reason of another package's rule is neither markup nor moves the cursor."""
    from rich.console import Console

    from a4nn_core.cli.status import _view

    search(experiment(termination={"name": "layers"}), tmp_path, FakeExecutor())
    summary, live = _state(Commons(tmp_path), "r")
    odd = replace(summary.endings[0], words="[red]worse\x1b[2J")
    console = Console(record=True, width=200, file=StringIO())
    console.print(_view(replace(summary, endings=[odd]), live))
    assert "ended early by layers: [red]worse\\x1b[2J" in console.export_text()
