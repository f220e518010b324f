"""Copies of a commons that are made while searches write and compaction runs, as docs/operations.md says."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from fakes import FakeExecutor, experiment, search
from test_workflow import rows

from a4nn_core.commons import RunFolder
from a4nn_core.commons.check import check
from a4nn_core.commons.compact import compact
from a4nn_core.commons.fragments import fragment_numbers
from a4nn_core.commons.lock import READERS
from a4nn_core.training.segment import SegmentResult

ROOT = Path(__file__).parent.parent
EVENTS = "events.jsonl"


def copy_events(commons: Path, copy: Path) -> None:
    """The first pass: event logs alone."""
    for path in commons.rglob(EVENTS):
        there = copy / path.relative_to(commons)
        there.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(path, there)


def copy_rest(commons: Path, copy: Path) -> None:
    """The second pass: everything else."""
    shutil.copytree(commons, copy, ignore=shutil.ignore_patterns(EVENTS), dirs_exist_ok=True)


class Copying(FakeExecutor):
    """Two passes of a copy, with two networks trained between them."""

    def __init__(self, first: Callable[[], None], second: Callable[[], None], after: int) -> None:
        super().__init__(one_at_a_time=True)
        self.passes = {after: first, after + 2: second}

    def completed(self, timeout: float) -> list[SegmentResult]:
        self.passes.get(len(self.trained), lambda: None)()
        return super().completed(timeout)


def copied(what: Any, commons: Path, copy: Path, after: int, *passes: Callable[[Path, Path], None]) -> None:
    first, second = (partial(one, commons, copy) for one in passes)
    search(what, commons, Copying(first, second, after))


@pytest.mark.slow
@pytest.mark.parametrize("after", [1, 4, 9])
def test_a_copy_of_a_search_under_way_resumes(after: int, tmp_path: Path) -> None:
    what, commons, copy = experiment(), tmp_path / "commons", tmp_path / "copy"
    copied(what, commons, copy, after, copy_events, copy_rest)
    assert check(copy, checkpoints=False).problems == []
    # the copy is one of a search that had not ended, and goes on
    assert len(fragment_numbers(RunFolder(copy, "r").table("networks"))) == after + 2
    search(what, copy, FakeExecutor(one_at_a_time=True))
    assert check(copy, checkpoints=False).problems == []
    assert rows(copy) == rows(commons)


@pytest.mark.slow
def test_event_logs_copied_last_name_networks_that_the_copy_lacks(tmp_path: Path) -> None:
    commons, copy = tmp_path / "commons", tmp_path / "copy"
    copied(experiment(), commons, copy, 4, copy_rest, copy_events)
    assert any("by the event log network" in problem for problem in check(copy, checkpoints=False).problems)


@pytest.mark.slow
def test_compaction_takes_nothing_from_a_copy_that_holds_the_readers_lock(tmp_path: Path) -> None:
    commons, copy = tmp_path / "commons", tmp_path / "copy"
    search(experiment(), commons, FakeExecutor())
    whole = rows(commons)
    with subprocess.Popen(
        ["flock", "--shared", commons / READERS, "sh", "-c", "echo held; cat"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as holder:
        assert holder.stdin
        assert holder.stdout
        assert holder.stdout.readline() == "held\n"
        copy_events(commons, copy)
        # the copy may have passed the archive already when compaction fills it
        shutil.copytree(commons, copy, ignore=shutil.ignore_patterns(EVENTS, "runs"), dirs_exist_ok=True)
        assert compact(commons).left > 0
        shutil.copytree(
            commons / "runs", copy / "runs", ignore=shutil.ignore_patterns(EVENTS), dirs_exist_ok=True
        )
        holder.stdin.close()
    assert check(copy, checkpoints=False).problems == []
    assert rows(copy) == whole
    assert compact(commons).left == 0


def test_the_operators_page_copies_in_this_order() -> None:
    page = (ROOT / "docs/operations.md").read_text()
    script = re.search(r"```sh\n(export BACKUP=.*?)```", page, re.DOTALL)
    assert script
    assert subprocess.run(["sh", "-n", "-c", script[1]]).returncode == 0
    wanted = [
        f'flock --shared "$A4NN_COMMONS/{READERS}"',
        f'rsync -a --include="*/" --include={EVENTS} --exclude="*"',
        f"rsync -a --exclude={EVENTS}",
        "a4nn commons check",
    ]
    places = [script[1].find(words) for words in wanted]
    assert -1 not in places
    assert places == sorted(places)


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("rsync") is None, reason="rsync is not installed")
def test_the_operators_page_copies_a_commons(tmp_path: Path) -> None:
    commons, copy = tmp_path / "the commons", tmp_path / "copy"
    search(experiment(), commons, FakeExecutor())
    script = re.search(
        r"(flock --shared.*?)a4nn commons", (ROOT / "docs/operations.md").read_text(), re.DOTALL
    )
    assert script
    copy.mkdir()
    places = {"A4NN_COMMONS": str(commons), "BACKUP": str(copy)}
    subprocess.run(["sh", "-ec", script[1]], env={**os.environ, **places}, check=True)
    assert check(copy, checkpoints=False).problems == []
    assert rows(copy) == rows(commons)
