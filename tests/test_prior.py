"""Earlier runs to learn from: named in an experiment, found in the commons, recorded, read again."""

from __future__ import annotations

import json
import math
import shutil
import tomllib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from commons_data import header as made_header
from commons_data import made_up_run, record, train
from deposits import metadata
from fakes import FakeExecutor, experiment, search
from test_records import made_csv, made_icpp23

from a4nn_core.commons import Commons, RunFolder, RunWriter
from a4nn_core.commons.compact import compact
from a4nn_core.commons.records import Epoch, Network
from a4nn_core.commons.writer import RunStatus
from a4nn_core.errors import BadInput
from a4nn_core.experiment import Experiment, load_experiment
from a4nn_core.penguin.measure import SUPPOSED, Accuracy
from a4nn_core.penguin.observed import Past
from a4nn_core.publish.deposit.build import Settings, build
from a4nn_core.publish.deposit.restore import restore
from a4nn_core.spaces.features import architecture_features
from a4nn_core.training.segment import Segment, SegmentResult
from a4nn_core.vocabulary import NetworkStatus
from a4nn_core.workflow import prior as resolving
from a4nn_core.workflow import run as running
from a4nn_core.workflow.past import read_past, read_past_run
from a4nn_core.workflow.run import execute
from a4nn_core.workflow.search import Search

AUTO = {"auto": True}


def learner(**prior: object) -> Experiment:
    return experiment(search={"networks": 4}, prior=prior)


def started(path: Path, what: Experiment, run: str = "new") -> tuple[Past, ...]:
    """Run an experiment as a4nn does, with a made-up trainer; what the search was given to learn from."""
    given: list[tuple[Past, ...]] = []

    class Seen(Search):
        def run(self) -> None:
            given.append(self.past)
            super().run()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(running, "Search", Seen)
        execute(what, path, run, lambda _: FakeExecutor())
    return given[0]


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two runs of the macro space, ``a`` and ``b``."""
    path = tmp_path_factory.mktemp("prior") / "commons"
    search(experiment(), path, FakeExecutor(), "a", validation=269)
    search(experiment(seed=8), path, FakeExecutor(), "b", validation=269)
    return path


@pytest.fixture
def commons(shared: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(shared, tmp_path / "commons"))


# the table of an experiment


@pytest.mark.parametrize("prior", [{"runs": ["a", "b"]}, {"query": "select run from runs"}, AUTO])
def test_the_table_goes_through_toml_and_json(prior: dict[str, object]) -> None:
    what = learner(**prior)
    assert Experiment.from_mapping(tomllib.loads(what.to_toml())) == what
    assert Experiment.from_mapping(json.loads(json.dumps(what.to_mapping()))) == what
    assert what.to_mapping()["prior"] == prior


def test_settings_on_the_command_line() -> None:
    assert load_experiment("digits", ["prior.auto=true"]).to_mapping()["prior"] == AUTO
    named = load_experiment("digits", ['prior.runs=["a"]']).prior
    assert named is not None
    assert named.runs == ("a",)


def test_without_the_table_nothing_is_said_and_nothing_is_read(
    commons: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    what = experiment(search={"networks": 4})
    assert "prior" not in what.to_mapping()
    assert "prior" not in what.to_toml()
    monkeypatch.setattr(resolving, "read_past_run", None)
    assert started(commons, what) == ()
    assert "prior" not in json.loads(RunFolder(commons, "new").run_file.read_text())["header"]
    assert Commons(commons).run("new").prior is None


@pytest.mark.parametrize(
    ("prior", "message"),
    [
        ({}, "give one of runs, query and auto = true; given: nothing"),
        ({"runs": ["a"], "auto": True}, "give one of runs, query and auto = true; given: runs and auto"),
        ({"runs": []}, "[prior] runs = []: "),
        ({"auto": False}, "[prior] auto = False: input should be true"),
        ({"run": "a"}, "[prior] has no key 'run'; known keys: runs, query, auto, may_be_empty"),
        ({"may_be_empty": True}, "give one of runs, query and auto = true; given: nothing"),
        ({"auto": True, "may_be_empty": True}, "may_be_empty is for a query; given: auto"),
    ],
)
def test_a_table_that_makes_no_sense(prior: dict[str, object], message: str) -> None:
    with pytest.raises(BadInput) as caught:
        learner(**prior)
    assert message in str(caught.value)


# what is read of a run


@pytest.mark.slow
def test_a_past_run_is_what_the_tables_say(commons: Path) -> None:
    past = read_past(Commons(commons), "a")
    one = search(experiment(), commons, FakeExecutor(), "again")
    trained = [n for _, n in sorted(one.networks.items()) if n.trained]
    assert (past.run, past.horizon, past.measure, past.curves) == ("a", 4, Accuracy(269), "averaged")
    assert len(past.networks) == len(trained) > 3
    for observed, network in zip(past.networks, trained, strict=True):
        assert observed.features == architecture_features(one.architectures[network.network])
        curve = [e for e in Commons(commons).epochs("a") if e.network == network.network]
        assert observed.validation == tuple(e.validation_accuracy_percent for e in curve)
        assert observed.training == tuple(e.train_accuracy_percent for e in curve)


def test_recorded_as_trained(tmp_path: Path) -> None:
    what = experiment(training={"evaluation": "as-trained"}, search={"networks": 4})
    search(what, tmp_path, FakeExecutor())
    assert read_past(Commons(tmp_path), "r").curves == "as-trained"


def test_compaction_changes_nothing(commons: Path) -> None:
    before = read_past_run(Commons(commons), "a")
    compact(commons)
    after = read_past_run(Commons(commons), "a")
    assert (after.past, after.fingerprint) == (before.past, before.fingerprint)


@pytest.mark.slow
def test_a_deposit_that_was_restored_teaches_the_same(commons: Path, tmp_path: Path) -> None:
    before = read_past_run(Commons(commons), "a")
    build(commons, ["a"], tmp_path / "deposit", metadata(), Settings(weights="none", models="none"))
    restore(tmp_path / "deposit", tmp_path / "restored")
    after = read_past_run(Commons(tmp_path / "restored"), "a")
    assert (after.past, after.fingerprint) == (before.past, before.fingerprint)


def test_a_fingerprint_is_of_what_is_used(commons: Path) -> None:
    one = read_past_run(Commons(commons), "a")
    assert one.fingerprint != read_past_run(Commons(commons), "b").fingerprint
    first, *others = one.past.networks
    for other in (
        replace(first, validation=(*first.validation[:-1], 1.0)),
        replace(first, features={**first.features, "depth": 99.0}),
    ):
        changed = replace(one, past=replace(one.past, networks=(other, *others)))
        assert changed.fingerprint != one.fingerprint
    fewer = replace(one, numbers=one.numbers[1:], past=replace(one.past, networks=tuple(others)))
    assert fewer.fingerprint != one.fingerprint


def test_only_what_is_final_and_was_trained(tmp_path: Path) -> None:
    """Of a run that goes on: not the network in training, nor what failed at once, was equal or outside."""
    with RunWriter.open(tmp_path, "going", made_header()) as writer:
        record(writer, 0, 9)
        train(writer, 1, 4)
        for number, status, equal in (
            (2, NetworkStatus.failed, None),
            (3, NetworkStatus.equal, 0),
            (4, NetworkStatus.infeasible, None),
        ):
            writer.record(Network(network=number, status=status, equal_to=equal, flops=1, epochs_trained=0))
        epochs = [Epoch(epoch=e, validation_accuracy_percent=50.0 + e) for e in (1, 2)]
        failed = Network(network=5, status=NetworkStatus.failed, flops=8, epochs_trained=2)
        writer.record(failed, epochs=epochs)
        one = read_past_run(Commons(tmp_path), "going")
    assert one.numbers == (0, 5)
    ended, failed_late = one.past.networks
    assert ended.epochs == 9
    assert failed_late.validation == (51.0, 52.0)
    assert failed_late.training == ()  # not recorded
    assert failed_late.features == {"log_flops": math.log(8)}
    assert (one.past.horizon, one.past.measure) == (25, Accuracy(50))


def test_imported_runs(tmp_path: Path) -> None:
    path = tmp_path / "commons"
    made_icpp23(path)
    made_csv(path)
    published, curves = (
        read_past(Commons(path), run) for run in sorted(Commons(path).runs(), key=lambda r: "icpp" not in r)
    )
    assert (published.curves, published.horizon, published.measure) == ("as-trained", 25, SUPPOSED)
    assert published.networks[0].features["phase.0.layers"] > 0
    assert [one.validation for one in curves.networks] == [(50.0, 60.5), (70.0,)]
    assert curves.networks[0].features == {}


# from the experiment to the runs


@pytest.mark.slow
@pytest.mark.parametrize(
    "prior",
    [
        {"runs": ["b", "a", "b"]},
        {"query": "SELECT run FROM runs WHERE seed IS NOT NULL ORDER BY run DESC"},
        AUTO,
    ],
)
def test_a_run_learns_from_others_and_says_so(commons: Path, prior: dict[str, object]) -> None:
    past = started(commons, learner(**prior))
    assert [one.run for one in past] == ["b", "a"]  # the newest first, or as named
    store = Commons(commons)
    header = store.run("new")
    assert header.prior is not None
    assert header.prior.value == [
        {
            "run": name,
            "networks": json.loads(json.dumps(resolving.to_ranges(read_past_run(store, name).numbers))),
            "fingerprint": read_past_run(store, name).fingerprint,
        }
        for name in ("b", "a")
    ]
    assert json.loads(header.experiment or "")["prior"] == prior


@pytest.mark.slow
def test_a_run_goes_on_with_what_it_began_with(commons: Path) -> None:
    """Whatever happened since: runs were compacted, run on, or new ones appeared."""
    with RunWriter.open(commons, "going", made_header()) as writer:
        record(writer, 0, 9)
    prior = {"query": "select run from runs where run in ('a', 'b', 'going', 'later') order by run"}

    def stop(_: Segment) -> SegmentResult | None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        execute(learner(**prior), commons, "new", lambda _: FakeExecutor(stop))
    before = Commons(commons).run("new").prior
    with RunWriter.open(commons, "going", made_header()) as writer:
        record(writer, 1, 9)
        writer.finish(RunStatus.completed)
    search(experiment(seed=9), commons, FakeExecutor(), "later")
    compact(commons)
    past = started(commons, learner(**prior))
    assert [(one.run, len(one.networks)) for one in past][2:] == [("going", 1)]
    assert Commons(commons).run("new").prior == before


@pytest.mark.slow
def test_a_run_whose_teacher_is_gone_or_another_is_refused(commons: Path) -> None:
    started(commons, learner(runs=["a", "b"]))
    stored = RunFolder(commons, "new").run_file
    stored.write_text(stored.read_text().replace('"completed"', '"interrupted"'))
    shutil.move(RunFolder(commons, "a").path, commons.parent / "away")
    with pytest.raises(BadInput, match=r"'new' cannot go on: run 'a', from which it learned, is no longer"):
        started(commons, learner(runs=["a", "b"]))
    search(experiment(seed=5), commons, FakeExecutor(), "a")
    with pytest.raises(BadInput, match=r"'new' cannot go on: run 'a', from which it learned, has changed"):
        started(commons, learner(runs=["a", "b"]))


@pytest.mark.slow
def test_auto_takes_what_fits(commons: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not what has not ended, is of another space, has no accuracies, or has a shadow; the newest first."""
    search(experiment(seed=5), commons, FakeExecutor(), "c")
    stored = RunFolder(commons, "c").run_file
    stored.write_text(stored.read_text().replace('"completed"', '"interrupted"'))
    made_up_run(commons, "other-space", 3)  # it did not record its space, and its layers are others
    made_icpp23(commons)
    shadow = RunFolder(commons, "b").run_file
    shadow.write_text(shadow.read_text().replace('"name": "small"', '"shadow_of": "a", "name": "small"', 1))
    found = [one.run for one in started(commons, learner(**AUTO))]
    assert found == ["icpp23-1gpu-1e14", "b"]
    monkeypatch.setattr(resolving, "MOST_AUTOMATIC", 1)
    assert [one.run for one in started(commons, learner(**AUTO), "newer")] == ["new"]


def test_the_first_run_of_a_commons_has_nothing_to_learn_from(tmp_path: Path) -> None:
    assert started(tmp_path / "commons", learner(**AUTO)) == ()
    header = Commons(tmp_path / "commons").run("new")
    assert header.prior is not None
    assert header.prior.value == []


def test_the_first_of_a_series_learns_from_nothing_and_the_next_from_it(tmp_path: Path) -> None:
    commons = tmp_path / "commons"
    earlier = "select run from runs where name = 'small' and status = 'completed'"
    series = learner(query=earlier, may_be_empty=True)
    assert series.name == "small"
    assert started(commons, series, "first") == ()
    assert [one.run for one in started(commons, series, "second")] == ["first"]
    assert started(commons, learner(query=earlier.replace("small", "other"), may_be_empty=True)) == ()
    assert "may_be_empty = true begins without any" in refused(
        commons, {"query": earlier.replace("small", "other")}, "other"
    )


def refused(commons: Path, prior: dict[str, object], run: str = "new") -> str:
    with pytest.raises(BadInput) as caught:
        execute(learner(**prior), commons, run, lambda _: FakeExecutor())
    assert not RunFolder(commons, run).run_file.exists()  # bad input leaves nothing behind
    said = str(caught.value)
    assert "\n" not in said
    return said


@pytest.mark.parametrize(
    ("prior", "parts"),
    [
        ({"runs": ["a", "icpp24"]}, ["has no run 'icpp24'; runs there: a, b"]),
        ({"runs": ["aa"]}, ["has no run 'aa'; did you mean a?"]),
        ({"runs": ["../a"]}, ["has no run '../a'"]),
        ({"runs": ["new"]}, ["[prior] run 'new' is the run itself; runs that fit: a, b"]),
        ({"query": "select run from runs where run = 'x'"}, ["query names no runs; runs there: a, b"]),
        ({"query": "select name from runs"}, ["returns the columns name; it must return a column run"]),
        ({"query": "select run from run"}, ["[prior] query: ", "run does not exist"]),
        ({"query": "drop table runs"}, ["[prior] query: only one SELECT statement"]),
        (
            {"query": "select cast(run as int) as run from runs"},
            ["[prior] query: ", "cannot be answered"],
        ),
        ({"query": "select * from read_csv('/etc/passwd')"}, ["[prior] query: ", "disabled"]),
    ],
)
def test_a_prior_that_names_nothing_useful(
    commons: Path, prior: dict[str, object], parts: Sequence[str]
) -> None:
    said = refused(commons, prior)
    for part in parts:
        assert part in said


@pytest.mark.slow
def test_a_run_of_another_metric(commons: Path) -> None:
    with RunWriter.open(commons, "losses", made_header()) as writer:
        writer.record(
            Network(network=0, status=NetworkStatus.completed, flops=5, epochs_trained=1),
            epochs=[Epoch(epoch=1, validation_loss=0.5)],
        )
        writer.finish(RunStatus.completed)
    said = refused(commons, {"runs": ["a", "losses"]})
    assert "run 'losses' has no network with epochs and an accuracy or PSNR in validation" in said
    assert said.endswith("runs that fit: a, b")
    assert [one.run for one in started(commons, learner(**AUTO))] == ["b", "a"]


def test_a_run_that_shares_no_features(commons: Path) -> None:
    made_csv(commons)
    [curves] = set(Commons(commons).runs()) - {"a", "b"}
    said = refused(commons, {"runs": [curves]})
    assert f"run {curves!r} (space not recorded) shares no feature with networks of space macro" in said
    assert said.endswith("runs that fit: a, b")


def test_a_commons_that_is_not_there(tmp_path: Path) -> None:
    assert "there is no such folder" in refused(tmp_path / "none", {"runs": ["a"]})
