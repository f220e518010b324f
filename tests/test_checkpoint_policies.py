"""Which checkpoints stay: by policy, whatever dies on the way."""

from __future__ import annotations

import random
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from fakes import FakeExecutor, experiment, search

from a4nn_core.commons import Commons, RunFolder, read_epochs
from a4nn_core.commons.check import check
from a4nn_core.commons.compact import compact
from a4nn_core.commons.records import Network, best_epoch
from a4nn_core.training.segment import Segment, SegmentResult
from a4nn_core.vocabulary import NetworkStatus
from a4nn_core.workflow.checkpoints import Keeper

EPOCHS = 4


class Killed(BaseException):
    """Stands for a process that dies."""


class Saving(FakeExecutor):
    """Also leaves checkpoint files, as a worker does: the last and the best, or all."""

    def _train(self, segment: Segment) -> SegmentResult:
        result = super()._train(segment)
        folder = RunFolder(Path(segment.commons), segment.run_id)
        journal = read_epochs(folder.journal(segment.network))
        if journal:
            best = best_epoch(journal)
            assert best is not None
            worker_keeps = {str(journal[-1].checkpoint), str(best.checkpoint)}
            if segment.training.keep_checkpoints == "all":
                worker_keeps = {str(epoch.checkpoint) for epoch in journal}
            folder.checkpoints(segment.network).mkdir(parents=True, exist_ok=True)
            for name in worker_keeps:
                (folder.checkpoints(segment.network) / name).write_bytes(b"weights")
        return result


def fall(segment: Segment, epoch: int) -> float:
    """Percent; the second epoch is the best one."""
    return 50.0 + segment.network % 7 - abs(epoch - 2)


@pytest.fixture(autouse=True)
def _second_epoch_is_best(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("made_up.accuracy", fall)


def fail_some(segment: Segment) -> SegmentResult | None:
    if segment.network == 2:
        return SegmentResult(2, 0, NetworkStatus.failed, error="out of memory")
    return None


def run(commons: Path, policy: str, executor: FakeExecutor | None = None) -> None:
    what = experiment(training={"epochs": EPOCHS, "keep_checkpoints": policy})
    search(what, commons, executor or Saving(fail_some))


def files(commons: Path) -> dict[int, set[int]]:
    """Epochs whose checkpoints there are, by network."""
    found: dict[int, set[int]] = {}
    for path in (commons / "runs" / "r" / "checkpoints").glob("*/epoch-*.safetensors"):
        found.setdefault(int(path.parent.name), set()).add(int(path.stem.removeprefix("epoch-")))
    return found


def trained(commons: Path) -> set[int]:
    return {n.network for n in Commons(commons).networks("r") if n.epochs_trained}


def missing(commons: Path) -> list[str]:
    return [problem for problem in check(commons).problems if "is missing" in problem]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("policy", "epochs"), [("last", {EPOCHS}), ("best", {2, EPOCHS}), ("all", {1, 2, 3, 4})]
)
def test_what_stays_of_every_network(tmp_path: Path, policy: str, epochs: set[int]) -> None:
    run(tmp_path, policy)
    assert files(tmp_path) == dict.fromkeys(trained(tmp_path), epochs)
    store = Commons(tmp_path)
    for row in store.networks("r"):
        if row.network in trained(tmp_path):
            assert row.checkpoint.endswith(f"epoch-{EPOCHS:04d}.safetensors")
            assert row.best_epoch == 2
            assert (row.best_checkpoint is None) == (policy == "last")
    recorded: dict[int, set[int]] = {}
    for epoch in store.epochs("r"):
        assert (epoch.checkpoint is None) == (epoch.checkpoint_sha256 is None)
        if epoch.checkpoint is not None:
            recorded.setdefault(epoch.network, set()).add(epoch.epoch)
    assert recorded == files(tmp_path)  # the table names those files and no other
    assert missing(tmp_path) == []
    assert not [e for e in store.events("r") if e.kind == "checkpoints_removed"]


@pytest.mark.slow
def test_front_keeps_those_of_the_front(tmp_path: Path) -> None:
    seen: list[tuple[int, set[int], set[int]]] = []

    class Looking(Saving):
        def submit(self, segment: Segment) -> None:
            """When a generation begins, only the front of the earlier ones has checkpoints."""
            super().submit(segment)
            seen.append(
                (segment.generation, set(files(tmp_path)), front(tmp_path) if segment.generation else set())
            )

    run(tmp_path, "front", Looking(fail_some))
    on_front = {n.network for n in Commons(tmp_path).front("r")}
    assert files(tmp_path) == {number: {2, EPOCHS} for number in on_front}
    assert {generation for generation, _, _ in seen} == {0, 1, 2}
    assert all(there == expected for _, there, expected in seen)
    removed = [e for e in Commons(tmp_path).events("r") if e.kind == "checkpoints_removed"]
    assert {e.network for e in removed} == trained(tmp_path) - on_front
    assert len(removed) == len({e.network for e in removed})
    assert missing(tmp_path) == []
    compact(tmp_path)
    assert missing(tmp_path) == []
    lost = RunFolder(tmp_path, "r").checkpoints(min(on_front)) / "epoch-0002.safetensors"
    lost.unlink()
    assert missing(tmp_path) == [f"{lost} is missing"]  # that one went without a reason on record


def front(commons: Path) -> set[int]:
    return {n.network for n in Commons(commons).front("r")}


@pytest.mark.slow
@pytest.mark.parametrize("policy", ["last", "front"])
@pytest.mark.parametrize("seed", range(2))
def test_killed_before_during_and_after_removing(
    tmp_path: Path, policy: str, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(tmp_path / "whole", policy)
    chance = random.Random(seed)
    deaths = 0
    remove, ended = Keeper._remove, Keeper.ended

    def perhaps_die() -> None:
        nonlocal deaths
        if deaths < 6 and chance.random() < 0.2:
            deaths += 1
            raise Killed

    def dying_remove(self: Keeper, number: int, but: Any) -> None:
        perhaps_die()
        remove(self, number, but)
        perhaps_die()

    def dying_ended(self: Keeper, network: Network) -> None:
        perhaps_die()
        ended(self, network)

    monkeypatch.setattr(Keeper, "_remove", dying_remove)
    monkeypatch.setattr(Keeper, "ended", dying_ended)
    for _ in range(7):
        with suppress(Killed):
            run(tmp_path / "killed", policy)
    assert deaths == 6
    assert files(tmp_path / "killed") == files(tmp_path / "whole")
    assert missing(tmp_path / "killed") == []
    removed = [e.network for e in Commons(tmp_path / "killed").events("r") if e.kind == "checkpoints_removed"]
    assert len(removed) == len(set(removed))
