"""Optuna studies, made by Optuna itself, in a commons."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from typer.testing import CliRunner

from a4nn_core.cli.app import app as a4nn
from a4nn_core.cli.importing import app
from a4nn_core.commons import Commons
from a4nn_core.commons.check import check
from a4nn_core.commons.cookbook import COOKBOOK
from a4nn_core.errors import BadInput
from a4nn_core.interchange.optuna_studies import import_optuna

runner = CliRunner()
pytestmark = pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
EPOCHS = 6


def learn(trial: optuna.Trial) -> float:
    """A made-up training: trial 3 fails, trials 4 and 6 are pruned after 2 epochs."""
    rate = trial.suggest_float("rate", 1e-4, 1e-1, log=True)
    layers = trial.suggest_int("layers", 1, 4)
    trial.suggest_categorical("activation", ["relu", "gelu"])
    trial.set_user_attr("author", "somebody")
    if trial.number == 3:
        raise RuntimeError("out of memory")
    value = 0.0
    for epoch in range(EPOCHS):
        value = 0.6 + 0.05 * layers + 0.01 * epoch - rate
        trial.report(value, epoch)
        if trial.number in (4, 6) and epoch == 1:
            raise optuna.TrialPruned
    return value


@pytest.fixture(autouse=True)
def _quiet() -> None:
    optuna.logging.set_verbosity(optuna.logging.CRITICAL)


@pytest.fixture(params=["sqlite", "journal"])
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[str, optuna.Study]:
    """A storage with one study of nine trials, the last one still running."""
    if request.param == "sqlite":
        name = f"sqlite:///{tmp_path}/studies.db"
        where: Any = name
    else:
        name = str(tmp_path / "studies.log")
        where = JournalStorage(JournalFileBackend(name))
    study = optuna.create_study(
        storage=where,
        study_name="my study",
        direction="maximize",
        sampler=optuna.samplers.RandomSampler(1),
    )
    study.set_metric_names(["accuracy"])
    study.optimize(learn, n_trials=8, catch=(RuntimeError,))
    study.ask()
    return name, study


@pytest.mark.slow
def test_everything_comes_over(storage: tuple[str, optuna.Study], tmp_path: Path) -> None:
    name, study = storage
    before = {p: p.read_bytes() for p in tmp_path.glob("studies*")}
    assert import_optuna(name, tmp_path / "c") == {"my-study": 8}
    assert {p: p.read_bytes() for p in tmp_path.glob("studies*")} == before  # only read
    found = Commons(tmp_path / "c")
    networks = found.networks("my-study")
    epochs = found.epochs("my-study")
    assert [n.network for n in networks] == list(range(8))
    for trial, network in zip(study.trials[:8], networks, strict=True):
        assert json.loads(network.genome) == trial.params
        mine = [e for e in epochs if e.network == trial.number]
        assert [e.epoch for e in mine] == [step + 1 for step in sorted(trial.intermediate_values)]
        assert [e.validation_accuracy_percent for e in mine] == [
            100 * trial.intermediate_values[step] for step in sorted(trial.intermediate_values)
        ]
        assert network.epochs_trained == len(mine)
        assert network.epochs_budget == EPOCHS
        assert trial.duration is not None
        assert network.seconds == trial.duration.total_seconds()
        if trial.state is optuna.trial.TrialState.COMPLETE:
            assert trial.value is not None
            assert network.fitness == {"accuracy": trial.value}
            assert network.best_accuracy_percent == network.last_accuracy_percent == 100 * trial.value
            assert network.best_epoch == EPOCHS
    statuses = [n.status for n in networks]
    assert statuses == [
        {3: "failed", 4: "stopped", 6: "stopped"}.get(number, "completed") for number in range(8)
    ]
    assert networks[4].termination_reason == "pruned"
    assert [e.verdict for e in epochs if e.network == 4] == [None, "stop"]
    assert networks[3].error
    best = found.front("my-study")
    assert [n.network for n in best] == [study.best_trial.number]
    run = found.run("my-study")
    assert run.objectives == {"accuracy": "maximise"}
    distributions = json.loads(run.experiment)["space"]["distributions"]
    assert set(distributions) == {"rate", "layers", "activation"}
    assert distributions["rate"]["attributes"]["log"] is True
    notes = " ".join(json.loads(run.notes))
    for word in (
        "fractions",
        "steps 0 to 5 are epochs 1 to 6",
        "trials 8",
        "author",
        "'my study'",
        "sampler",
    ):
        assert word in notes
    assert check(tmp_path / "c").problems == []
    for recipe in COOKBOOK:
        found.sql(recipe.query).fetchall()


def study_of(
    tmp_path: Path, trials: list[dict[str, Any]], name: str = "s", **settings: Any
) -> tuple[str, optuna.Study]:
    url = f"sqlite:///{tmp_path}/studies.db"
    study = optuna.create_study(storage=url, study_name=name, **settings)
    for trial in trials:
        study.add_trial(optuna.trial.create_trial(**trial))
    return url, study


@pytest.mark.slow
def test_losses_and_uneven_steps(tmp_path: Path) -> None:
    url, _ = study_of(
        tmp_path,
        [
            {"value": 0.25, "intermediate_values": {10: 0.5, 20: float("nan"), 40: 0.25}},
            {"state": optuna.trial.TrialState.PRUNED, "intermediate_values": {10: 0.9}},
        ],
    )
    import_optuna(url, tmp_path / "c")
    found = Commons(tmp_path / "c")
    rows = [(e.network, e.epoch, e.validation_loss, e.validation_accuracy_percent) for e in found.epochs("s")]
    assert rows == [(0, 1, 0.5, None), (0, 2, None, None), (0, 3, 0.25, None), (1, 1, 0.9, None)]
    assert [n.fitness for n in found.networks("s")] == [{"value": 0.25}, None]
    assert found.run("s").objectives == {"value": "minimise"}
    assert "steps 10, 20, 40 are epochs 1 to 3" in found.run("s").notes
    assert [n.network for n in found.front("s")] == [0]


@pytest.mark.parametrize(
    ("values", "expected"),
    [("auto", [90.0, 0.5]), ("percent", [90.0, 0.5]), ("loss", [None, None])],
)
def test_what_the_values_are_can_be_said(tmp_path: Path, values: str, expected: list[float]) -> None:
    url, _ = study_of(
        tmp_path,
        [{"value": 90.0, "intermediate_values": {1: 90.0}}, {"value": 0.5, "intermediate_values": {1: 0.5}}],
        direction="maximize",
    )
    import_optuna(url, tmp_path / "c", values=values)
    found = Commons(tmp_path / "c")
    assert [e.validation_accuracy_percent for e in found.epochs("s")] == expected
    assert [n.last_accuracy_percent for n in found.networks("s")] == expected
    assert [n.fitness for n in found.networks("s")] == [{"value": 90.0}, {"value": 0.5}]


def test_values_that_cannot_be_what_is_said_are_refused(tmp_path: Path) -> None:
    url, _ = study_of(tmp_path, [{"value": 0.9}, {"value": 90.0}], direction="maximize")
    with pytest.raises(BadInput) as caught:
        import_optuna(url, tmp_path / "c", values="fraction")
    assert str(caught.value) == (
        f"network 1 of study 's' in {url} cannot be imported: in networks, row 1 has best_accuracy_percent "
        "9000.0, more than 100"
    )
    assert not (tmp_path / "c").exists()


@pytest.mark.slow
def test_values_that_are_neither(tmp_path: Path) -> None:
    url, _ = study_of(tmp_path, [{"value": -3.0, "intermediate_values": {1: -5.0}}], direction="maximize")
    import_optuna(url, tmp_path / "c")
    assert "neither accuracies nor losses" in Commons(tmp_path / "c").run("s").notes
    assert Commons(tmp_path / "c").networks("s")[0].fitness == {"value": -3.0}


@pytest.mark.slow
def test_generations_and_a_front_of_two_objectives(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/studies.db"
    study = optuna.create_study(
        storage=url,
        study_name="two",
        directions=["minimize", "maximize"],
        sampler=optuna.samplers.NSGAIISampler(population_size=5, seed=2),
    )
    study.optimize(
        lambda trial: (x := trial.suggest_float("x", 0, 1), x - trial.suggest_float("y", 0, 1)), n_trials=20
    )
    import_optuna(url, tmp_path / "c", run="mine")
    found = Commons(tmp_path / "c")
    networks = found.networks("mine")
    assert [n.generation for n in networks] == [k // 5 for k in range(20)]
    assert [n.position for n in networks] == [k % 5 for k in range(20)]
    expected = {trial.number for trial in study.best_trials}
    assert {n.network for n in found.front("mine")} == expected


@pytest.mark.slow
@pytest.mark.parametrize("directions", [["maximize"], ["minimize"], ["minimize", "maximize"]])
def test_a_study_is_shown(tmp_path: Path, directions: list[str]) -> None:
    """Accuracies, losses, or two values that nobody knows the kind of; no costs, no counts of images."""
    storage = f"sqlite:///{tmp_path}/studies.db"
    study = optuna.create_study(storage=storage, study_name="s", directions=directions)
    study.optimize(lambda trial: [trial.suggest_float("x", 0, 1)] * len(directions), n_trials=3)
    import_optuna(storage, tmp_path / "c")
    for command in ("status", "front"):
        words = [command, "s", "--commons", str(tmp_path / "c")]
        for more in ([], ["--json"]):
            result = runner.invoke(a4nn, [*words, *more])
            assert result.exit_code == 0, result.exception
    document = json.loads(result.stdout)
    assert (document["best_accuracy_percent"] is None) == (directions != ["maximize"])
    assert all(one["accuracy_se_points"] is None for one in document["front"])


def test_every_study_of_a_storage(tmp_path: Path) -> None:
    url, _ = study_of(tmp_path, [{"value": 1.0}], "one")
    study_of(tmp_path, [{"value": 1.0}, {"value": 2.0}], "two")
    result = runner.invoke(app, ["optuna", url, "--json", "--commons", str(tmp_path / "c")])
    assert json.loads(result.stdout) == {"networks": {"one": 1, "two": 2}}
    more = ["--study", "two", "--run-id", "2", "--values", "loss", "--commons", str(tmp_path / "c")]
    result = runner.invoke(app, ["optuna", url, *more])
    assert result.exit_code == 0, result.exception
    assert Commons(tmp_path / "c").runs() == ["2", "one", "two"]
    with pytest.raises(BadInput, match="has a run 'one' already"):
        import_optuna(url, tmp_path / "c")
    with pytest.raises(BadInput, match="one run id cannot name 2 studies"):
        import_optuna(url, tmp_path / "d", run="x")
    assert not (tmp_path / "d").exists()


def test_bad_storages_leave_nothing(tmp_path: Path) -> None:
    url, _ = study_of(tmp_path, [])
    study_of(tmp_path, [{"value": 1.0}], "good")
    other = tmp_path / "other.db"
    with sqlite3.connect(other) as database:
        database.execute("create table t (x)")
    text = tmp_path / "text.log"
    text.write_text("hello\n")
    before = {p.name: p.read_bytes() for p in tmp_path.iterdir()}
    for storage, study, message in (
        (f"sqlite:///{tmp_path}/none.db", None, r"there is no database .*none\.db"),
        (f"sqlite:///{other}", None, "is not an Optuna storage"),
        (f"sqlite:///{text}", None, "cannot read the Optuna storage"),
        (str(text), None, "is not an Optuna journal"),
        (str(tmp_path / "none.log"), None, "no Optuna journal file"),
        ("nonsense://x", None, "cannot read the Optuna storage nonsense://x"),
        (url, "absent", "has no study 'absent'; studies there: s, good|studies there: good, s"),
        (url, None, "study 's' .*has no finished trial"),
    ):
        with pytest.raises(BadInput, match=message):
            import_optuna(storage, tmp_path / "c", study)
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == before


def test_a_password_is_not_repeated(tmp_path: Path) -> None:
    with pytest.raises(BadInput) as caught:
        import_optuna("mysql+pymysql://me:secret@127.0.0.1:1/x", tmp_path / "c")
    assert "secret" not in str(caught.value)
