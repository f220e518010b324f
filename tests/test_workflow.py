"""The search loop over a made-up trainer: order, equality, failures, resuming."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fakes import FakeExecutor, asked, experiment, search

from a4nn_core.archaeology.picture import picture
from a4nn_core.cli.progress import Progress
from a4nn_core.commons import Commons, read_events
from a4nn_core.commons.rows import without_timing
from a4nn_core.commons.schema import TABLES
from a4nn_core.errors import BadInput, RunFailed
from a4nn_core.experiment import Experiment, load_experiment
from a4nn_core.training.segment import Segment, SegmentResult
from a4nn_core.vocabulary import NetworkStatus
from a4nn_core.workflow.plan import as_begun
from a4nn_core.workflow.run import execute
from a4nn_core.workflow.search import Search
from a4nn_core.workflow.summary import summarise


def rows(commons: Path, run: str = "r") -> dict[str, Any]:
    """All that a run promises to repeat: its tables without times."""
    store = Commons(commons)
    return {
        "networks": without_timing(TABLES["networks"], [n.row() for n in store.networks(run)]),
        "epochs": without_timing(TABLES["epochs"], [e.row() for e in store.epochs(run)]),
    }


class Killed(BaseException):
    """Stands for a process that dies: nothing in the library catches it."""


def survive(start: Callable[[], Search]) -> tuple[Search, int]:
    """Start a search again and again until it is not killed; returns it, and how often it was."""
    deaths = 0
    while True:
        try:
            return start(), deaths
        except Killed:
            deaths += 1


def test_every_network_is_recorded_and_told_once(tmp_path: Path) -> None:
    search(experiment(), tmp_path, FakeExecutor())
    store = Commons(tmp_path)
    assert [n.network for n in store.networks("r")] == list(range(12))
    kinds = [event.kind for event in store.events("r")]
    assert kinds.count("asked") == kinds.count("told") == 12
    assert {n.generation for n in store.networks("r")} == {0, 1, 2}


@pytest.mark.slow
def test_the_order_of_results_does_not_matter(tmp_path: Path) -> None:
    one = search(experiment(), tmp_path / "a", FakeExecutor())
    other = search(experiment(), tmp_path / "b", FakeExecutor(one_at_a_time=True))
    assert asked(one) == asked(other)
    assert rows(tmp_path / "a") == rows(tmp_path / "b")


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(8))
def test_a_killed_search_goes_on_as_if_nothing_had_happened(tmp_path: Path, seed: int) -> None:
    """Die at random network ends, many times: the records equal those of an undisturbed run."""
    search(experiment(), tmp_path / "whole", FakeExecutor())
    chance = random.Random(seed)

    def die(_: Segment) -> SegmentResult | None:
        if chance.random() < 0.3:
            raise Killed
        return None

    _, deaths = survive(
        lambda: search(experiment(), tmp_path / "killed", FakeExecutor(die, one_at_a_time=True))
    )
    assert deaths > 0
    assert rows(tmp_path / "killed") == rows(tmp_path / "whole")


@pytest.mark.parametrize(("trouble", "status"), [(Killed, "interrupted"), (RuntimeError, "failed")])
def test_a_signal_interrupts_a_run_and_a_defect_fails_it(
    trouble: type[BaseException], status: str, tmp_path: Path
) -> None:
    """Prefect turns a SIGTERM into an exception of its own, which is no ``Exception``."""

    def die(_: Segment) -> SegmentResult | None:
        raise trouble

    with pytest.raises(trouble):
        execute(load_experiment("digits"), tmp_path, "r", lambda *_: FakeExecutor(die))
    assert Commons(tmp_path).run("r").status == status
    assert Commons(tmp_path).events("r")[-1].kind == status


@pytest.mark.slow
def test_an_asked_batch_torn_by_a_crash_is_completed(tmp_path: Path) -> None:
    search(experiment(), tmp_path / "whole", FakeExecutor())

    def die(_: Segment) -> SegmentResult | None:
        raise Killed

    with pytest.raises(Killed):
        search(experiment(), tmp_path / "torn", FakeExecutor(die))
    log = tmp_path / "torn/runs/r/events.jsonl"
    lines = log.read_text().splitlines(keepends=True)
    log.write_text("".join(lines[:2]))  # two of the first four asked, nothing submitted
    search(experiment(), tmp_path / "torn", FakeExecutor())
    assert rows(tmp_path / "torn") == rows(tmp_path / "whole")
    numbers = [e.network for e in read_events(log) if e.kind == "asked"]
    assert sorted(numbers) == list(range(12))


def test_a_log_of_another_search_is_refused(tmp_path: Path) -> None:
    def die(_: Segment) -> SegmentResult | None:
        raise Killed

    with pytest.raises(Killed):
        search(experiment(), tmp_path, FakeExecutor(die))
    log = tmp_path / "runs/r/events.jsonl"
    text = re.sub(',"crc32":"[0-9a-f]*"', "", log.read_text())
    genome = text.split('"genome":')[1].split("]]")[0] + "]]"
    log.write_text(text.replace(genome, "[[1,1,1,1,1,1,1],[1,1,1,1,1,1,1]]", 1))
    with pytest.raises(BadInput, match="cannot be resumed: for network 0"):
        search(experiment(), tmp_path, FakeExecutor())


@pytest.mark.slow
def test_equal_architectures_are_trained_once(tmp_path: Path) -> None:
    tiny = experiment(space={"phases": 1, "nodes": 2}, search={"networks": 16})
    executor = FakeExecutor()
    search(tiny, tmp_path, executor)
    networks = Commons(tmp_path).networks("r")
    hashes = [n.architecture_hash for n in networks]
    assert len(executor.trained) == len(set(hashes)) == 3  # of 4 genomes, two have no connection
    for n in networks:
        first = hashes.index(n.architecture_hash)
        if first == n.network:
            assert (n.status, n.epochs_trained) == ("completed", 4)
        else:
            assert (n.status, n.equal_to, n.epochs_trained) == ("equal", first, 0)
            assert n.fitness == networks[first].fitness
    summary = summarise(Commons(tmp_path), "r")
    assert summary.epochs_saved_by_equality == 13 * 4
    assert summary.epochs_saved_by_termination == 0
    assert summary.epochs_budget == 16 * 4
    assert summary.epochs_trained == 12
    assert summary.training_seconds_saved == 13 * 4 * 2.0  # the made-up trainer takes 2 s an epoch


def test_a_run_from_before_a_setting_goes_on(tmp_path: Path) -> None:
    """Settings that an earlier version did not have stand at their defaults."""
    what = experiment()

    def recorded(given: Experiment) -> Any:
        return as_begun(given, 1259, tmp_path, "r")[1]

    assert recorded(what) == what.resolved(1259).to_mapping()
    search(what.resolved(1259), tmp_path, FakeExecutor())
    file = tmp_path / "runs/r/run.json"
    run = json.loads(file.read_text())
    earlier = run["header"]["experiment"]
    del earlier["search"]["schedule"], earlier["training"]["stall_seconds"]
    file.write_text(json.dumps(run))
    assert recorded(what) == earlier
    other = experiment(search={"schedule": "steady"})
    assert recorded(other) == other.resolved(1259).to_mapping()
    earlier["training"]["unheard_of"] = 1
    file.write_text(json.dumps(run))
    assert recorded(what) == what.resolved(1259).to_mapping()


def test_a_run_from_before_the_evaluation_was_chosen_goes_on_as_trained(tmp_path: Path) -> None:
    """Its records have no ``evaluation``, and the batch size that was usual then."""
    search(experiment().resolved(1259), tmp_path, FakeExecutor())
    file = tmp_path / "runs/r/run.json"
    run = json.loads(file.read_text())
    earlier = run["header"]["experiment"]
    del earlier["training"]["evaluation"]
    earlier["training"]["batch_size"] = 128
    file.write_text(json.dumps(run))
    begun, record = as_begun(experiment(), 1259, tmp_path, "r")
    assert (begun.training.evaluation, begun.training.batch_size) == ("as-trained", 128)
    assert record == earlier
    # what the user asks for beside that is another experiment, and is refused when the run is opened
    begun, record = as_begun(experiment(training={"batch_size": 16}), 1259, tmp_path, "r")
    assert begun.training.batch_size == 16
    assert record != earlier


@pytest.mark.slow
def test_segments_give_the_same_life(tmp_path: Path) -> None:
    search(experiment(), tmp_path / "whole", FakeExecutor())
    executor = FakeExecutor()
    search(experiment(training={"segment_epochs": 3}), tmp_path / "pieces", executor)
    whole, pieces = rows(tmp_path / "whole"), rows(tmp_path / "pieces")
    assert whole["networks"] == pieces["networks"]
    assert {row["segment"] for row in pieces["epochs"]} == {0, 1}
    assert [{**row, "segment": 0} for row in pieces["epochs"]] == whole["epochs"]
    assert len(executor.trained) == 2 * 12


def test_a_failed_network_is_an_outcome(tmp_path: Path) -> None:
    def fail_some(segment: Segment) -> SegmentResult | None:
        if segment.network % 3 == 0:
            return SegmentResult(
                segment.network, segment.number, NetworkStatus.failed, error="diverged in epoch 1"
            )
        return None

    search(experiment(), tmp_path, FakeExecutor(fail_some))
    networks = Commons(tmp_path).networks("r")
    failed = [n for n in networks if n.status == "failed"]
    assert failed
    assert all(n.fitness is None and n.error == "diverged in epoch 1" for n in failed)
    front = summarise(Commons(tmp_path), "r").front
    assert front
    assert all(member.network % 3 for member in front)


def test_progress_shows_failed_networks_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A network that fails before its first epoch has no accuracy at all."""

    def fail_some(segment: Segment) -> SegmentResult | None:
        if segment.network in (0, 5):
            return SegmentResult(segment.network, segment.number, NetworkStatus.failed, error="out of memory")
        return None

    with Progress(experiment()) as progress:
        search(experiment(), tmp_path, FakeExecutor(fail_some), watcher=progress)
    said = capsys.readouterr().err
    assert said.count("failed: out of memory") == 2
    assert said.count("trained to the end") == 10


def test_many_failures_in_a_row_end_the_run(tmp_path: Path) -> None:
    def fail(segment: Segment) -> SegmentResult:
        return SegmentResult(
            segment.network, segment.number, NetworkStatus.failed, error="out of memory on cuda:0"
        )

    with pytest.raises(RunFailed, match=r"5 networks failed one after another.*out of memory on cuda:0"):
        search(experiment(), tmp_path, FakeExecutor(fail))


@pytest.mark.slow
def test_trouble_of_the_place_ends_the_run_and_loses_no_network(tmp_path: Path) -> None:
    search(experiment(), tmp_path / "whole", FakeExecutor())

    def full(segment: Segment) -> SegmentResult | None:
        if segment.network == 6:
            return SegmentResult(6, 0, NetworkStatus.failed, error="No space left on device", fatal=True)
        return None

    with pytest.raises(BadInput, match="network 6 could not be trained: No space left"):
        search(experiment(), tmp_path / "full", FakeExecutor(full))
    assert 6 not in {n.network for n in Commons(tmp_path / "full").networks("r")}
    search(experiment(), tmp_path / "full", FakeExecutor())
    assert rows(tmp_path / "full") == rows(tmp_path / "whole")


def test_verdicts_are_judged_against_the_front_of_earlier_generations(tmp_path: Path) -> None:
    executor = FakeExecutor()
    one = search(experiment(), tmp_path, executor)
    for segment in executor.trained:
        assert segment.front.version == segment.generation
        assert (segment.front.points == ()) == (segment.generation == 0)
        told = [one.reported[n] for n in one.reported if one.candidates[n].generation < segment.generation]
        for point in segment.front.points:
            assert not any(
                t["error_percent"] <= point["error_percent"]
                and t["mflops"] <= point["mflops"]
                and (t["error_percent"], t["mflops"]) != (point["error_percent"], point["mflops"])
                for t in told
                if t
            )


@pytest.mark.slow
def test_the_layers_of_every_network_are_recorded(tmp_path: Path) -> None:
    search(experiment(), tmp_path, FakeExecutor())
    store = Commons(tmp_path)
    found = store.sql(
        "select n.network, n.flops, sum(l.flops), n.parameters, sum(l.parameters) "
        "from networks n join layers l using (run, network) group by all"
    ).fetchall()
    assert len(found) == 12
    assert all(row[1] == row[2] and row[3] == row[4] for row in found)


@pytest.mark.slow
def test_the_terminal_and_the_picture_tell_the_same_epochs(tmp_path: Path) -> None:
    """Networks equal to others had no epochs, and count as saved in both."""
    search(experiment(space={"phases": 1, "nodes": 2}, search={"networks": 16}), tmp_path, FakeExecutor())
    commons = Commons(tmp_path)
    networks = commons.networks("r")
    equal = [row for row in networks if row.status == "equal"]
    assert equal
    summary = summarise(commons, "r")
    trained = sum(row.epochs_trained for row in networks)
    assert (summary.epochs_trained, summary.epochs_budget) == (trained, 16 * 4)
    assert summary.epochs_saved_by_equality == 4 * len(equal)
    told = f"{trained} of 64 epochs ({summary.epochs_saved_percent:.1f} % saved)"
    assert told in picture(commons, "r").summary
