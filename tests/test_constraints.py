"""Bounds: networks outside them are never trained, are said to be so, and stall no search."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest
from deposits import metadata
from fakes import FakeExecutor, asked, experiment, search
from test_workflow import Killed, rows, survive

from a4nn_core.archaeology.picture import picture
from a4nn_core.cli.progress import Progress
from a4nn_core.cli.status import _row, _state
from a4nn_core.commons import Commons, read_events
from a4nn_core.commons.check import check
from a4nn_core.commons.compact import compact
from a4nn_core.commons.cookbook import COOKBOOK
from a4nn_core.commons.events import Told, payload
from a4nn_core.commons.records import EpochCount
from a4nn_core.errors import BadInput, RunFailed
from a4nn_core.experiment import Experiment, load_experiment
from a4nn_core.publish.deposit.build import Settings, build
from a4nn_core.search import Candidate, Outcome, Strategy, evolution
from a4nn_core.search.constraints import Bound, Constraints
from a4nn_core.search.nsga_net import NSGANet
from a4nn_core.spaces.base import Genome
from a4nn_core.spaces.macro import Macro
from a4nn_core.training.segment import Segment, SegmentResult
from a4nn_core.workflow import fruitless, plan
from a4nn_core.workflow.run import execute
from a4nn_core.workflow.summary import summarise

SCHEDULES = ("generational", "steady")
TIGHT = 400.0
"""Parameters: genomes of the small space that have fewer are not found by sampling, but by evolution."""


def bounded(schedule: str = "generational", most: float = TIGHT, **search: Any) -> Experiment:
    constraints = {"parameters": {"most": most}}
    return experiment(search={"schedule": schedule, "constraints": constraints, **search})


@pytest.fixture
def few_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    """Genomes outside the bounds are not looked around for long."""
    monkeypatch.setattr(evolution, "MATING_RETRIES", 5)


def never(segment: Segment) -> SegmentResult:
    raise AssertionError(f"network {segment.network} is trained")


# the settings


def test_bounds_are_read_and_written() -> None:
    what = experiment(
        search={"constraints": {"parameters": {"most": 64600}, "mflops": {"least": 1, "most": 20}}}
    )
    assert what.search.constraints == {"parameters": Bound(most=64600), "mflops": Bound(least=1, most=20)}
    assert Experiment.from_mapping(what.to_mapping()) == what
    assert "[search.constraints.parameters]\nmost = 64600.0\n" in what.to_toml()
    changed = load_experiment("quick", ["search.constraints.parameters={ most = 64600 }"])
    assert changed.search.constraints is not None
    assert changed.search.constraints["parameters"] == Bound(most=64600)


def test_an_experiment_without_bounds_is_recorded_as_before() -> None:
    for constraints in ({}, None):
        assert "constraints" not in experiment(search={"constraints": constraints}).to_mapping()["search"]
    assert "constraints" not in experiment().to_mapping()["search"]


@pytest.mark.parametrize(
    ("constraints", "said"),
    [
        ({"parameters": {}}, r"\[constraints\] parameters = {}: a bound needs least, most or both"),
        ({"parameters": {"max": 3}}, r"\[constraints.parameters\] has no key 'max'; known keys: least, most"),
        ({"parameters": {"least": 5, "most": 2}}, r"least = 5 is more than most = 2"),
        ({"mflops": {"most": -1}}, r"mflops has most = -1, but is never below 0"),
        (
            {"loss": {"most": 1}},
            r"loss is known only after training.*known before: mflops, parameters, gflops",
        ),
        ({"size": {"most": 1}}, r"there is no metric named 'size'; known: error_percent, .*parameters"),
        ({"mflops": {"most": float("inf")}}, r"\[constraints.mflops\] most = inf: input should be a finite"),
        ({"mflops": 3}, r"\[search\] \[constraints\] mflops = 3: input should be a table"),
        (3, r"\[search\] constraints = 3: input should be a table"),
    ],
)
def test_bounds_that_do_not_hold_are_refused(constraints: object, said: str) -> None:
    with pytest.raises(BadInput, match=said):
        experiment(search={"constraints": constraints})


def test_how_far_outside() -> None:
    architecture = Macro(phases=1, channels=4).decode([[1] * 7], (1, 8, 8), 2)
    size, work = architecture.parameters, architecture.flops / 1e6

    def of(**bounds: Bound) -> Constraints:
        return Constraints(bounds)

    assert of().violation(architecture) == 0.0
    assert of(parameters=Bound(least=size, most=size)).violation(architecture) == 0.0  # the ends are inside
    assert of(parameters=Bound(most=size / 2)).violation(architecture) == pytest.approx(1.0)
    assert of(parameters=Bound(least=2 * size)).violation(architecture) == pytest.approx(0.5)
    assert of(parameters=Bound(most=0)).violation(architecture) == size
    both = of(parameters=Bound(most=size / 2), mflops=Bound(least=2 * work, most=3 * work))
    assert both.violation(architecture) == pytest.approx(1.5)
    assert both.explain(architecture) == (
        f"parameters = {size}, at most {size / 2:.15g} allowed; "
        f"mflops = {work:.15g}, at least {2 * work:.15g} and at most {3 * work:.15g} allowed"
    )


# the search


@pytest.mark.slow
@pytest.mark.parametrize("schedule", SCHEDULES)
def test_a_network_outside_the_bounds_is_never_trained_and_said_to_be_so(
    schedule: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    executor = FakeExecutor()
    what = bounded(schedule)
    with Progress(what) as progress:
        one = search(what, tmp_path, executor, watcher=progress)
    store = Commons(tmp_path)
    networks = store.networks("r")
    assert len(networks) == 12
    outside = [n for n in networks if n.parameters > TIGHT]
    assert outside
    assert 0 < len(executor.trained) <= 12 - len(outside)
    assert all(segment.fixed["parameters"] <= TIGHT for segment in executor.trained)
    told = {
        event.network: payload(event, Told)
        for event in read_events(tmp_path / "runs/r/events.jsonl")
        if event.kind == "told"
    }
    for n in networks:
        assert (n.status == "infeasible") == (n in outside)
    for n in outside:
        assert n.error == f"parameters = {n.parameters}, at most 400 allowed"
        assert (n.fitness, n.fitness_source, n.equal_to) == (None, None, None)
        assert (n.epochs_trained, n.epochs_budget, n.seconds) == (0, 0, 0.0)
        assert told[n.network].fitness is None
        assert told[n.network].violation == pytest.approx((n.parameters - TIGHT) / TIGHT)
    assert all(told[n.network].violation == 0 for n in networks if n not in outside)
    # layers and edges are recorded as for others
    sums = store.sql(
        "select n.flops = sum(l.flops) and n.parameters = sum(l.parameters) from networks n "
        "join layers l using (run, network) where status = 'infeasible' "
        "group by n.network, n.flops, n.parameters"
    ).fetchall()
    assert sums == [(True,)] * len(outside)
    front = {n.network for n in store.front("r")}
    assert front
    assert not front & {n.network for n in outside}
    assert all(point["mflops"] for point in one.front(12).points)
    # nothing was saved on them, and nobody counts them as failed
    assert EpochCount.of(networks).saved_by_termination == 0
    summary = summarise(store, "r")
    assert (summary.networks, summary.networks_infeasible) == (12, len(outside))
    assert summary.epochs_budget == 4 * (12 - len(outside))
    assert f"{len(outside)} networks outside the bounds, not trained" in summary.cost()
    assert f"12/12 ({len(outside)} outside the bounds)" in _row(*_state(store, "r"))
    assert f"{len(outside)} outside the bounds" in picture(store, "r").summary
    assert capsys.readouterr().err.count("outside the bounds, not trained: parameters = ") == len(outside)
    [recipe] = [r for r in COOKBOOK if r.name == "failures"]
    answer = store.sql(recipe.query).fetchall()
    assert sorted(n for *_, numbers in answer for n in numbers) == sorted(n.network for n in outside)
    assert check(tmp_path, checkpoints=False).problems == []
    compact(tmp_path)
    assert Commons(tmp_path).networks("r") == networks
    assert check(tmp_path, checkpoints=False).problems == []


@pytest.mark.slow
def test_feasible_genomes_are_asked_for_where_they_can_be_found(tmp_path: Path) -> None:
    """About a third of random genomes have so few parameters: nobody else is asked for."""
    executor = FakeExecutor()
    search(bounded(most=2600), tmp_path, executor)
    networks = Commons(tmp_path).networks("r")
    assert {n.status for n in networks} <= {"completed", "equal"}
    free = search(experiment(), tmp_path / "free", FakeExecutor())
    assert any(row.parameters > 2600 for row in free.networks.values())


@pytest.mark.slow
@pytest.mark.parametrize("schedule", SCHEDULES)
def test_bounds_that_everybody_keeps_change_no_genome(schedule: str, tmp_path: Path) -> None:
    one = search(experiment(search={"schedule": schedule}), tmp_path / "a", FakeExecutor())
    other = search(bounded(schedule, most=1e9), tmp_path / "b", FakeExecutor())
    assert asked(one) == asked(other)
    assert rows(tmp_path / "a") == rows(tmp_path / "b")


@pytest.mark.slow
def test_of_equal_networks_outside_the_bounds_each_is_infeasible(tmp_path: Path) -> None:
    tiny = experiment(
        space={"phases": 1, "nodes": 2}, search={"networks": 16, "constraints": {"mflops": {"least": 0.01}}}
    )
    one = search(tiny, tmp_path, FakeExecutor())
    hashes = [one.architectures[n].hash for n in range(16) if one.networks[n].status == "infeasible"]
    assert len(hashes) > len(set(hashes))
    assert {row.status for row in one.networks.values()} == {"completed", "equal", "infeasible"}


@pytest.mark.usefixtures("few_retries")
@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("networks", [6, 300])
def test_a_space_without_a_feasible_network_ends_with_a_sentence(
    schedule: str, networks: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fruitless, "MOST_INFEASIBLE", 10)
    what = bounded(schedule, most=1, networks=networks, population=2, offspring=2)
    said = (
        r"none of the \d+ networks is within the bounds of \[search.constraints\]; "
        r"the nearest is network \d+: "
    )
    for _ in range(2):  # going on does not change it, nor does it look at more
        with pytest.raises(RunFailed, match=said + r"parameters = \d+, at most 1 allowed"):
            search(what, tmp_path, FakeExecutor(never))
        looked_at = len(Commons(tmp_path).networks("r"))
        assert looked_at == 6 if networks == 6 else 10 <= looked_at <= 14


def test_a_run_that_finds_nothing_to_train_has_failed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # whether the largest network fits its device is not asked where it is outside the bounds
    monkeypatch.setattr(plan, "check_fit", lambda *_: pytest.fail("the largest network is never trained"))
    what = load_experiment(
        "digits",
        ["search.networks=2", "search.population=2", "search.constraints.mflops={ least = 1000000 }"],
    )
    with pytest.raises(RunFailed, match=r"none of the 2 networks .* mflops = .*, at least 1000000 allowed"):
        execute(what, tmp_path, "r", lambda *_: FakeExecutor(never))
    assert Commons(tmp_path).run("r").status == "failed"


@pytest.mark.slow
@pytest.mark.usefixtures("few_retries")
@pytest.mark.parametrize("seed", range(1, 5))
@pytest.mark.parametrize("schedule", SCHEDULES)
def test_a_killed_search_with_bounds_goes_on(schedule: str, seed: int, tmp_path: Path) -> None:
    """Die at network ends and at records: a generational run has the records of an undisturbed one, and the
    log of each replays to its genomes."""
    what = bounded(schedule)
    chance = random.Random(seed)

    class Deadly:
        def on_start(self, _: object) -> None: ...

        def on_poll(self, _: object) -> None: ...

        def on_network_end(self, *_: object) -> None:
            if chance.random() < 0.3:  # recorded and not told
                raise Killed

    def die(_: Segment) -> SegmentResult | None:
        if chance.random() < 0.3:
            raise Killed
        return None

    one, deaths = survive(
        lambda: search(what, tmp_path / "killed", FakeExecutor(die, one_at_a_time=True), watcher=Deadly())
    )
    assert deaths
    assert {row.status for row in one.networks.values()} >= {"infeasible", "completed"}
    if schedule == "generational":
        search(what, tmp_path / "whole", FakeExecutor())
        assert rows(tmp_path / "killed") == rows(tmp_path / "whole")
    again = search(what, tmp_path / "killed", FakeExecutor(never))
    assert asked(again) == asked(one)


def test_a_run_with_other_bounds_is_another_run(tmp_path: Path) -> None:
    search(bounded(), tmp_path, FakeExecutor())
    with pytest.raises(BadInput, match="experiment"):
        search(bounded(most=9999), tmp_path, FakeExecutor())


@pytest.mark.slow
@pytest.mark.usefixtures("few_retries")
def test_a_deposit_says_what_was_trained(tmp_path: Path) -> None:
    one = search(bounded(), tmp_path / "commons", FakeExecutor())
    trained = {n for n, row in one.networks.items() if row.status == "completed"}
    assert 0 < len(trained) < 12
    settings = Settings(weights="none", models="none")
    build(tmp_path / "commons", ["r"], tmp_path / "deposit", metadata(), settings)
    lines = (tmp_path / "deposit/data/architectures.jsonl").read_text().splitlines()
    assert {json.loads(line)["network"] for line in lines} == trained
    crate = json.loads((tmp_path / "deposit/ro-crate-metadata.json").read_text())
    actions = [e["name"] for e in crate["@graph"] if e["@type"] == "CreateAction"]
    assert set(actions) == {"search r", *(f"network {n} of r" for n in trained)}


# the strategy

SPACE = Macro()


def ones(genome: Genome) -> int:
    return int(SPACE.genes(genome).sum())


def play(strategy: Strategy, most: int, ahead: int = 10) -> list[Candidate]:
    """Genomes with more ones than ``most`` are outside; the rest have an error that falls with ones."""
    seen: list[Candidate] = []
    while not strategy.finished:
        batch = strategy.ask(ahead)
        assert batch
        seen += batch
        for candidate in batch:
            many = ones(candidate.genome)
            fitness = None if many > most else {"error_percent": 50.0 - many, "mflops": float(many)}
            strategy.tell(Outcome(candidate.number, fitness, violation=max(0.0, (many - most) / most)))
    return seen


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_a_strategy_that_is_told_violations_works_its_way_into_the_bounds(schedule: str) -> None:
    """A random genome has 10.5 ones; hardly one has 3 or fewer. Nothing but tells is known here."""
    settings = NSGANet(schedule=schedule, networks=200, mutation_probability=0.2)
    seen = [ones(c.genome) for c in play(settings.start(SPACE, 1), most=3)]
    assert min(seen[:10]) > 3
    assert sum(many <= 3 for many in seen[150:]) > 10


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_a_strategy_with_the_check_asks_for_feasible_genomes(schedule: str) -> None:
    checked: list[Genome] = []

    def violation(genome: Genome) -> float:
        checked.append(genome)
        return max(0.0, (ones(genome) - 8) / 8)

    settings = NSGANet(schedule=schedule)
    seen = play(settings.start(SPACE, 1, violation), most=8)
    assert all(ones(c.genome) <= 8 for c in seen)
    assert len(checked) > len(seen)
    # by trying again, not by other genomes than there are: a child that was feasible at once is as it was
    free = settings.start(SPACE, 1).ask(10)
    kept = [(c, f) for c, f in zip(seen[:10], free, strict=True) if ones(f.genome) <= 8]
    assert kept
    assert all(c.genome == f.genome for c, f in kept)


def test_of_genomes_outside_the_nearest_is_asked_for() -> None:
    few = play(NSGANet(networks=10).start(SPACE, 1, lambda genome: 1.0 + ones(genome)), most=30)
    free = play(NSGANet(networks=10).start(SPACE, 1), most=30)
    assert max(ones(c.genome) for c in few) < min(ones(c.genome) for c in free) + 3
    assert sum(ones(c.genome) for c in few) < sum(ones(c.genome) for c in free) / 2


def test_failed_networks_are_not_preferred_by_a_violation_that_is_none() -> None:
    """Survivors: feasible first, then by violation; a network that failed counts as 1."""
    strategy = NSGANet(networks=30, population=4, offspring=4).start(SPACE, 1)
    first = strategy.ask(4)
    for candidate, violation in zip(first, (0.2, 3.0, 0.0, 0.1), strict=True):
        strategy.tell(Outcome(candidate.number, None, violation=violation))
    assert isinstance(strategy, evolution.Evolution)
    assert [int(m.get("number")) for m in strategy.members] == [3, 0, 2, 1]
