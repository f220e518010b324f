"""The schedule without a barrier: reproducible from its event log, and keeping the devices busy."""

from __future__ import annotations

import csv
import json
import random
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest
from fakes import FakeExecutor, asked, experiment, search
from made_up import line
from test_workflow import Killed, survive

from a4nn_core.commons import Commons, Journal, RunFolder, read_events
from a4nn_core.commons.events import Submitted, payload
from a4nn_core.errors import BadInput
from a4nn_core.replay import VirtualExecutor
from a4nn_core.search.base import Outcome
from a4nn_core.search.nsga_net import NSGANet
from a4nn_core.spaces.macro import Macro
from a4nn_core.training.segment import Segment, SegmentResult
from a4nn_core.vocabulary import NetworkStatus
from a4nn_core.workflow.search import Search

STEADY = {"schedule": "steady"}


def trained(segment: Segment, accuracies: list[float]) -> SegmentResult:
    """Write a whole life into a journal."""
    with Journal(RunFolder(Path(segment.commons), segment.run_id).journal(segment.network)) as journal:
        for epoch, accuracy in enumerate(accuracies, start=1):
            journal.append(line(epoch, accuracy, segment.number))
    return SegmentResult(segment.network, segment.number, NetworkStatus.completed)


def cluster(slots: int = 4, seed: int = 0) -> VirtualExecutor:
    """Devices on which networks take 1 to 3 seconds; the time and the accuracy follow from the network."""

    def life(segment: Segment) -> tuple[float, SegmentResult]:
        chance = random.Random(f"{seed} {segment.network}")
        return chance.uniform(1, 3), trained(segment, [50 + 40 * chance.random() for _ in range(4)])

    return VirtualExecutor(slots, life)


def replayed(commons: Path) -> Search:
    """A finished run's log replayed against a fresh strategy; nothing may be trained."""

    def never(segment: Segment) -> tuple[float, SegmentResult]:
        raise AssertionError(f"network {segment.network} is trained again")

    return search(experiment(search=STEADY), commons, VirtualExecutor(4, never))


def test_a_slot_that_is_free_gets_a_network_at_once(tmp_path: Path) -> None:
    executor = cluster(slots=3)
    search(experiment(search=STEADY), tmp_path, executor)
    running = told = 0
    for event in Commons(tmp_path).events("r"):
        running += (event.kind == "submitted") - (event.kind == "completed")
        told += event.kind == "told"
        assert running <= 3
        if event.kind == "asked":
            assert running < 3, "asked for before a slot was free"
    assert told == 12
    # 12 networks of 1 to 3 s on 3 slots: only the end leaves slots idle
    assert executor.busy_share > 0.8


@pytest.mark.slow
def test_the_log_of_a_run_gives_the_same_genomes(tmp_path: Path) -> None:
    one = search(experiment(search=STEADY), tmp_path, cluster())
    assert asked(replayed(tmp_path)) == asked(one)
    # another order of ends is another search: the promise is about the log, not about the seed
    other = search(experiment(search=STEADY), tmp_path / "other", cluster(seed=1))
    assert asked(other)[:4] == asked(one)[:4]
    assert asked(other) != asked(one)
    assert asked(replayed(tmp_path / "other")) == asked(other)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(6))
def test_a_killed_steady_run_goes_on_in_its_order(tmp_path: Path, seed: int) -> None:
    """Die at random network ends; the run ends, and its log as a whole still replays to its genomes."""
    chance = random.Random(seed)

    def die(_: Segment) -> SegmentResult | None:
        if chance.random() < 0.3:
            raise Killed
        return None

    what = experiment(search=STEADY, training={"segment_epochs": 2})
    one, deaths = survive(lambda: search(what, tmp_path, FakeExecutor(die, one_at_a_time=True)))
    assert deaths
    again = search(what, tmp_path, FakeExecutor(lambda _: pytest.fail("trained again")))
    assert asked(again) == asked(one)
    networks = Commons(tmp_path).networks("r")
    assert [n.network for n in networks] == list(range(12))
    assert {n.epochs_trained for n in networks if n.status != "equal"} == {4}
    versions = defaultdict(set)
    for event in read_events(tmp_path / "runs/r/events.jsonl"):
        if event.kind == "submitted":
            submitted = payload(event, Submitted)
            versions[event.network, submitted.segment].add(submitted.front_version)
    # a segment that died is judged against the front of its first time
    assert all(len(found) == 1 for found in versions.values())


def test_a_log_of_other_tells_is_refused(tmp_path: Path) -> None:
    search(experiment(search=STEADY), tmp_path, cluster())
    log = tmp_path / "runs/r/events.jsonl"
    events = [json.loads(text) for text in log.read_text().splitlines()]
    for event in events:
        del event["crc32"]
        if event["kind"] == "told":
            event["data"]["fitness"]["error_percent"] *= -1
    log.write_text("".join(json.dumps(event) + "\n" for event in events))
    with pytest.raises(BadInput, match="cannot be resumed: for network"):
        replayed(tmp_path)


def test_segments_are_judged_against_the_front_of_their_moment(tmp_path: Path) -> None:
    seen: list[Segment] = []

    def remember(segment: Segment) -> SegmentResult | None:
        seen.append(segment)
        return None

    one = search(experiment(search=STEADY), tmp_path, FakeExecutor(remember, one_at_a_time=True))
    order = [e.network for e in Commons(tmp_path).events("r") if e.kind == "told"]
    for segment in seen:
        told = [one.reported[n] for n in order[: segment.front.version]]
        best = min((t["error_percent"] for t in told if t), default=None)
        assert best == min((p["error_percent"] for p in segment.front.points), default=None)
    assert max(segment.front.version for segment in seen) > 4


def test_equal_architectures_do_not_hold_a_slot(tmp_path: Path) -> None:
    tiny = experiment(space={"phases": 1, "nodes": 2}, search={"networks": 16, **STEADY})
    search(tiny, tmp_path, cluster())
    networks = Commons(tmp_path).networks("r")
    assert len(networks) == 16
    assert sum(n.status == "completed" for n in networks) == 3


def test_more_slots_than_the_first_generation_has_networks() -> None:
    strategy = NSGANet(networks=30, population=4, offspring=4, schedule="steady").start(Macro(), 1)
    first = strategy.ask(9)
    assert [c.operator for c in first] == ["sampling"] * 9
    assert [(c.generation, c.position) for c in first[3:6]] == [(0, 3), (1, 0), (1, 1)]
    assert strategy.generation == 0
    for candidate in reversed(first):
        strategy.tell(Outcome(candidate.number, {"error_percent": candidate.number, "mflops": 1.0}))
    assert strategy.generation == 2
    (child,) = strategy.ask(1)
    assert child.parents
    assert set(child.parents) <= {0, 1, 2, 3}  # the best four of the nine
    with pytest.raises(ValueError, match="told before"):
        strategy.tell(Outcome(0, None))


@pytest.mark.slow
def test_steady_evolution_beats_random_sampling() -> None:
    import numpy as np

    space = Macro()

    def mistakes(settings: NSGANet, seed: int) -> float:
        strategy = settings.start(space, seed)
        waiting = strategy.ask(4)
        best = 99.0
        while not strategy.finished:
            candidate = waiting.pop(0)
            error = float(np.sum(space.genes(candidate.genome) != 1))
            best = min(best, error)
            strategy.tell(Outcome(candidate.number, {"error_percent": error, "mflops": 1.0}))
            waiting += strategy.ask(1)
        return best

    evolved = [mistakes(NSGANet(schedule="steady"), seed) for seed in range(6)]
    sampled = [mistakes(NSGANet(population=100, schedule="steady"), seed) for seed in range(6)]
    assert np.mean(evolved) < np.mean(sampled) - 1


@pytest.mark.slow
@pytest.mark.golden
@pytest.mark.parametrize("beam", ["1e14", "1e15", "1e16"])
def test_devices_stay_busy_with_the_published_epoch_times(
    reference_data: Path, tmp_path: Path, beam: str
) -> None:
    """Four devices; the networks take the seconds of the published search with early termination, in its
    order (Reproducibility_A4NN_ICPP23, 1gpu_<beam>_stopping_training_data.csv: epoch_times)."""
    lives: dict[int, dict[int, dict[str, Any]]] = defaultdict(dict)
    path = reference_data / f"icpp23/1gpu/early_termination/1gpu_{beam}_stopping_training_data.csv"
    with path.open() as file:
        for row in csv.DictReader(file):
            lives[int(row["arch"])][int(row["epoch"])] = row
    assert len(lives) == 100

    def life(segment: Segment) -> tuple[float, SegmentResult]:
        epochs = [lives[segment.network][epoch] for epoch in sorted(lives[segment.network])]
        result = trained(segment, [float(row["val_accs"]) for row in epochs[-2:]])
        return sum(float(row["epoch_times"]) for row in epochs), result

    busy = {}
    for schedule in ("generational", "steady"):
        what = experiment(
            # a space so large that hardly any two networks of a search are equal
            space={"phases": 3, "nodes": 8},
            search={"networks": 100, "population": 10, "offspring": 10, "schedule": schedule},
        )
        executor = VirtualExecutor(4, life)
        search(what, tmp_path / schedule, executor)
        statuses = [n.status for n in Commons(tmp_path / schedule).networks("r")]
        assert len(statuses) == 100
        assert statuses.count("completed") >= 95
        busy[schedule] = executor.busy_share
    assert busy["steady"] >= 0.97
    assert 0.70 < busy["generational"] < 0.90
