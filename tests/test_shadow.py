"""The shadow of a run: its networks, trained again to the end, beside it in the records."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from fakes import FakeExecutor, experiment
from test_records import made_icpp23
from typer.testing import CliRunner

from a4nn_core.cli.app import app
from a4nn_core.commons import Commons, RunFolder
from a4nn_core.errors import BadInput
from a4nn_core.experiment import Experiment, load_experiment
from a4nn_core.search import Outcome
from a4nn_core.search.repeat import Repeat
from a4nn_core.spaces.base import SPACES
from a4nn_core.training.segment import Segment, SegmentResult
from a4nn_core.workflow.run import execute
from a4nn_core.workflow.shadow import shadow_experiment

SAME = ("genome", "architecture_hash", "parents", "operator", "generation", "position", "seed", "equal_to")


class Killed(BaseException):
    """Stands for a process that dies."""


def fixed(**changes: Any) -> Experiment:
    """A search that ends every network after two of four epochs."""
    return experiment(termination={"name": "fixed", "epochs": 2}, search={"networks": 8}, **changes)


def run(what: Experiment, commons: Path, name: str, executor: FakeExecutor | None = None) -> None:
    execute(what, commons, name, lambda _: executor or FakeExecutor())


def of_the_run(commons: Path, name: str) -> list[dict[str, Any]]:
    return [{key: n.row()[key] for key in SAME} for n in Commons(commons).networks(name)]


@pytest.mark.slow
@pytest.mark.parametrize("schedule", ["generational", "steady"])
def test_a_shadow_trains_the_same_networks_to_the_end(schedule: str, tmp_path: Path) -> None:
    narrow = {"parameters": {"least": 430, "most": 430}}  # so that most networks are outside
    what = experiment(
        search={"networks": 8, "schedule": schedule, "constraints": narrow},
        termination={"name": "fixed", "epochs": 2},
    )
    run(what, tmp_path, "r")
    run(shadow_experiment(Commons(tmp_path), "r"), tmp_path, "s")
    store = Commons(tmp_path)
    assert of_the_run(tmp_path, "s") == of_the_run(tmp_path, "r")
    outside = [n.network for n in store.networks("r") if n.status == "infeasible"]
    assert [n.network for n in store.networks("s") if n.status == "infeasible"] == outside != []
    assert [n.status for n in store.networks("s") if n.trained] == ["completed"] * len(
        [n for n in store.networks("r") if n.trained]
    )
    assert store.run("s").shadow_of == "r"
    assert store.run("r").shadow_of is None
    joined = store.answer(
        "select e.validation_accuracy_percent as a, f.validation_accuracy_percent as b from epochs e "
        "join runs s on s.shadow_of = e.run join epochs f on f.run = s.run and f.network = e.network "
        "and f.epoch = e.epoch"
    ).to_pylist()
    assert len(joined) == len(store.epochs("r")) > 1
    assert all(row["a"] == row["b"] for row in joined)


def test_a_shadow_is_an_experiment_like_any_other(tmp_path: Path) -> None:
    run(fixed(), tmp_path, "r")
    shadow = shadow_experiment(Commons(tmp_path), "r")
    assert Experiment.from_mapping(shadow.to_mapping()) == shadow
    (tmp_path / "shadow.toml").write_text(shadow.to_toml())
    assert load_experiment(str(tmp_path / "shadow.toml")) == shadow
    began = json.loads(Commons(tmp_path).run("r").experiment or "")
    assert shadow.termination.name == "none"
    kept = {"name", "description", "seed", "data", "space", "training"}
    assert {k: v for k, v in shadow.to_mapping().items() if k in kept} == {
        k: v for k, v in began.items() if k in kept
    }


@pytest.mark.slow
def test_a_shadow_does_not_learn_again(tmp_path: Path) -> None:
    run(fixed(), tmp_path, "teacher")
    run(fixed(prior={"runs": ["teacher"]}), tmp_path, "r")
    assert shadow_experiment(Commons(tmp_path), "r").prior is None


@pytest.mark.slow
def test_a_shadow_that_dies_goes_on(tmp_path: Path) -> None:
    run(fixed(), tmp_path, "r")
    run(shadow_experiment(Commons(tmp_path), "r"), tmp_path, "whole")
    left = [3]

    def die(_: Segment) -> SegmentResult | None:
        left[0] -= 1
        if not left[0]:
            raise Killed
        return None

    with pytest.raises(Killed):
        run(shadow_experiment(Commons(tmp_path), "r"), tmp_path, "s", FakeExecutor(die, one_at_a_time=True))
    run(shadow_experiment(Commons(tmp_path), "r"), tmp_path, "s")
    assert of_the_run(tmp_path, "s") == of_the_run(tmp_path, "whole")
    events = Commons(tmp_path).events("s")
    assert sorted(e.network for e in events if e.kind == "asked" and e.network is not None) == list(range(8))


def test_of_a_run_that_goes_on_the_networks_that_are_final(tmp_path: Path) -> None:
    def die(segment: Segment) -> SegmentResult | None:
        if segment.network == 0:
            raise Killed
        return None

    with pytest.raises(Killed):
        run(fixed(), tmp_path, "r", FakeExecutor(die, one_at_a_time=True))  # the last first
    run(shadow_experiment(Commons(tmp_path), "r"), tmp_path, "s")
    numbers = [n.network for n in Commons(tmp_path).networks("r")]
    assert [n.network for n in Commons(tmp_path).networks("s")] == numbers != []


def test_other_images_make_no_shadow(tmp_path: Path) -> None:
    run(fixed(), tmp_path, "r")
    file = RunFolder(tmp_path, "r").run_file
    stored = json.loads(file.read_text())
    stored["header"]["dataset_fingerprint"] = "0" * 64
    file.write_text(json.dumps(stored))
    with pytest.raises(BadInput, match="the networks of run 'r' cannot be trained again: the images"):
        run(shadow_experiment(Commons(tmp_path), "r"), tmp_path, "s")
    assert not RunFolder(tmp_path, "s").path.exists()


def test_what_has_no_shadow(tmp_path: Path) -> None:
    path = tmp_path / "commons"
    made_icpp23(path)
    with pytest.raises(BadInput, match=r"'icpp23-1gpu-1e14' was imported from icpp23: only the networks"):
        shadow_experiment(Commons(path), "icpp23-1gpu-1e14")
    with pytest.raises(BadInput, match="has no run 'x'; runs there: icpp23-1gpu-1e14"):
        shadow_experiment(Commons(path), "x")


def test_the_strategy_alone() -> None:
    space = SPACES.make({"name": "macro", "phases": 1}, "[space]")
    genome = space.genome(space.upper)
    networks = [
        {"number": n, "genome": genome, "generation": n // 2, "position": n % 2, "operator": "sampling"}
        for n in (0, 1, 3)
    ]
    settings = Repeat.model_validate({"run": "r", "candidates": networks})
    strategy = settings.start(space, seed=0)
    first = strategy.ask(2)
    assert [one.number for one in (*first, *strategy.ask(5))] == [0, 1, 3]
    assert strategy.ask(5) == []
    assert (first[1].generation, first[1].position, first[1].genome) == (0, 1, genome)
    for number, generation in ((0, 0), (1, 1), (3, 1)):
        assert not strategy.finished
        strategy.tell(Outcome(number, None))
        assert strategy.generation == generation
    assert strategy.finished
    with pytest.raises(BadInput, match="phases"):
        settings.start(SPACES.make({"name": "macro", "phases": 2}, "[space]"), seed=0)
    with pytest.raises(ValueError, match="rising numbers"):
        Repeat.model_validate({"run": "r", "candidates": networks[::-1]})


@pytest.mark.integration
def test_the_curves_of_a_shadow_go_on_bit_for_bit(tmp_path: Path) -> None:
    """Really trained, on the command line."""
    commons = tmp_path / "commons"
    small = ["search.networks=3", "search.population=2", "search.offspring=1", "training.epochs=2"]
    small += ["space.channels=4", "training.slots=1", 'termination={ name = "fixed", epochs = 1 }']
    begin = ["run", "digits", "--run-id", "r", "--commons", str(commons)]
    for change in small:
        begin += ["--set", change]
    for command in (begin, ["shadow", "r", "--commons", str(commons), "--json"]):
        result = CliRunner().invoke(app, command)
        assert result.exit_code == 0, result.output
    store = Commons(commons)
    assert store.run("r-shadow").shadow_of == "r"
    original = store.epochs("r")
    later = {(e.network, e.epoch): e for e in store.epochs("r-shadow")}
    assert len(later) == 2 * len(original) > 0
    for one in original:
        other = later[one.network, one.epoch]
        for column in (
            *("train_loss", "validation_loss", "train_accuracy_percent", "validation_accuracy_percent"),
            "learning_rate",
        ):
            assert getattr(one, column) == getattr(other, column)
    before = RunFolder(commons, "r-shadow").run_file.stat().st_mtime_ns
    again = CliRunner().invoke(app, ["shadow", "r", "--commons", str(commons)])  # only shows what has ended
    assert again.exit_code == 0, again.output
    assert RunFolder(commons, "r-shadow").run_file.stat().st_mtime_ns == before
