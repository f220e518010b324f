"""The page on the commons is the schema's, and every query in it gives the right answer."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from commons_data import HORIZON, fail, header, made_up_run, network_record, record, train
from commons_page import document

from a4nn_core.commons import Commons, JournalEpoch, RunWriter
from a4nn_core.commons.compact import compact
from a4nn_core.commons.cookbook import COOKBOOK
from a4nn_core.commons.events import Considered, Rejected
from a4nn_core.commons.records import ConsideredRecord, Epoch, Network, Prediction, RejectedRecord
from a4nn_core.jsonable import JsonText
from a4nn_core.precision import standard_error
from a4nn_core.vocabulary import NetworkStatus, RunStatus

PAGE = Path(__file__).parent.parent / "docs" / "commons.md"
RECIPES = {recipe.name: recipe.query for recipe in COOKBOOK}


def test_the_page_is_current() -> None:
    assert PAGE.read_text() == document(), "run: python tools/commons_page.py docs/commons.md"


@pytest.fixture(scope="module", params=["as written", "compacted"])
def commons(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Commons:
    """One completed run of 12 networks, one failed; one run with a network in training and an equal one."""
    path = tmp_path_factory.mktemp("cookbook") / "commons"
    made_up_run(path, "done", 12, failed=(5,))
    with RunWriter.open(path, "going", header()) as writer:
        record(writer, 0, HORIZON)
        equal = network_record(1, [JournalEpoch(epoch=1, validation_accuracy_percent=50.0)])
        writer.record(replace(equal, equal_to=0, status=NetworkStatus.equal))
        fail(writer, 2)
        train(writer, 3, 6)
    if request.param == "compacted":
        compact(path)
    return Commons(path)


def ask(commons: Commons, name: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = commons.sql(RECIPES[name]).to_arrow_table().to_pylist()
    return found


@pytest.fixture(scope="module", params=["as written", "compacted"])
def told(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Commons:
    """A run of a strategy that predicts, with one network stopped and one not trained at all; its shadow."""
    path = tmp_path_factory.mktemp("cookbook") / "commons"
    cheap = Network(
        network=0,
        generation=0,
        genome=JsonText("[[1]]"),
        architecture_hash="h0",
        flops=10_000_000,
        parameters=1,
        status=NetworkStatus.completed,
        fitness={"error_percent": 5.0, "mflops": 10.0},
        best_accuracy_percent=95.0,
        last_accuracy_percent=94.5,
        epochs_trained=2,
        epochs_budget=2,
    )
    dear = replace(cheap, network=1, architecture_hash="h1", flops=20_000_000)
    stopped = replace(
        dear,
        status=NetworkStatus.stopped,
        fitness={"error_percent": 20.0, "mflops": 20.0},
        best_accuracy_percent=80.0,
        last_accuracy_percent=80.0,
        predicted_high=94.0,
        epochs_trained=1,
        termination_reason="dominated",
    )
    whole = replace(
        dear,
        fitness={"error_percent": 3.0, "mflops": 20.0},
        best_accuracy_percent=97.0,
        last_accuracy_percent=96.0,
    )
    epochs = [Epoch(epoch=e, validation_accuracy_percent=80.0) for e in (1, 2)]
    before = Prediction(epoch=0, function="a4nn", predicted=93.0, low=90.0, high=96.0)
    left = ConsideredRecord(
        generation=0,
        genome=JsonText("[[0]]"),
        architecture_hash="h2",
        flops=30_000_000,
        parameters=1,
        parents=(0, 1),
        operator="crossover",
        predicted_accuracy_percent=60.0,
        predicted_low=50.0,
        predicted_high=70.0,
        expected_improvement=0.01,
        reason="less_promising",
    )
    again = replace(left, architecture_hash="h1", genome=JsonText("[[2]]"), expected_improvement=0.5)
    with RunWriter.open(path, "r", header()) as writer:
        writer.events.append(Considered.of(0, [left, again]))
        wrong = RejectedRecord(generation=0, text="?", reason="not_json", explanation="? is not JSON")
        writer.events.append(Rejected.of(0, 2, 1, [wrong, replace(wrong, reason="duplicate"), wrong]))
        writer.record(cheap, epochs=epochs, predictions=[before])
        writer.record(stopped, epochs=epochs[:1], predictions=[replace(before, high=95.0)])
        writer.finish(RunStatus.completed)
    with RunWriter.open(path, "s", header(shadow_of="r")) as writer:
        writer.record(cheap, epochs=epochs)
        writer.record(whole, epochs=epochs)
        writer.finish(RunStatus.completed)
    prior = [{"run": "r", "networks": "0-1", "fingerprint": "f"}]
    with RunWriter.open(path, "t", header(prior=prior)) as writer:
        writer.record(replace(cheap, operator="prior", best_accuracy_percent=96.0), epochs=epochs)
        writer.finish(RunStatus.completed)
    if request.param == "compacted":
        compact(path)
    return Commons(path)


TOLD = (
    "beaten-by",
    "would-have-been",
    "before-the-first-epoch",
    "considered",
    "invalid-proposals",
    "taken-over",
)


def test_beaten_by(told: Commons) -> None:
    [row] = ask(told, "beaten-by")
    assert (row["run"], row["network"], row["reason"], row["epochs"]) == ("r", 1, "dominated", 1)
    assert (row["optimistic_percent"], row["beaten_by"], row["its_best_percent"]) == (94.0, 0, 95.0)


def test_would_have_been(told: Commons) -> None:
    [row] = ask(told, "would-have-been")
    assert (row["run"], row["shadow"], row["network"]) == ("r", "s", 1)
    assert (row["would_have_been_percent"], row["lost_points"], row["on_true_front"]) == (97.0, 17.0, True)


def test_before_the_first_epoch(told: Commons) -> None:
    rows = ask(told, "before-the-first-epoch")
    assert [(r["network"], r["model"], r["error_points"], r["inside"]) for r in rows] == [
        (0, "a4nn", 1.5, True),
        (1, "a4nn", 3.0, False),
    ]


def test_considered(told: Commons) -> None:
    rows = ask(told, "considered")
    assert [(r["genome"], r["reason"], r["trained_after_all_as"]) for r in rows] == [
        ("[[2]]", "less_promising", 1),
        ("[[0]]", "less_promising", None),
    ]
    assert (rows[1]["predicted_percent"], rows[1]["mflops"], rows[1]["parents"]) == (60.0, 30.0, [0, 1])


def test_invalid_proposals(told: Commons) -> None:
    rows = ask(told, "invalid-proposals")
    assert [(r["run"], r["outcome"], r["genomes"], r["percent"]) for r in rows] == [
        ("r", "asked for", 2, 40.0),
        ("r", "not_json", 2, 40.0),
        ("r", "duplicate", 1, 20.0),
    ]


def test_taken_over(told: Commons) -> None:
    [row] = ask(told, "taken-over")
    assert (row["run"], row["network"], row["earlier_run"], row["earlier_network"]) == ("t", 0, "r", 0)
    assert (row["percent_there"], row["percent_here"]) == (95.0, 96.0)


@pytest.mark.slow
@pytest.mark.parametrize("name", RECIPES)
def test_every_recipe_answers(commons: Commons, told: Commons, name: str) -> None:
    rows = ask(told if name in TOLD else commons, name)
    assert rows
    assert "run" in rows[0]


def test_generations(commons: Commons) -> None:
    rows = [r for r in ask(commons, "generations") if r["run"] == "done"]
    assert [(r["generation"], r["networks"]) for r in rows] == [(0, 4), (1, 3), (2, 4)]
    best = max(n.best_accuracy_percent for n in commons.networks("done") if n.generation == 2)
    assert rows[2]["best_percent"] == round(best, 2)


def test_front(commons: Commons) -> None:
    rows = ask(commons, "front")
    for run in ("done", "going"):
        assert {r["network"] for r in rows if r["run"] == run} == {n.network for n in commons.front(run)}


def test_front_precision(commons: Commons) -> None:
    rows = {(r["run"], r["network"]): r for r in ask(commons, "front-precision")}
    members = [n for run in ("done", "going") for n in commons.front(run)]
    assert len(rows) == len(members)
    for n in members:
        row = rows[n.run, n.network]
        for name in ("best", "test"):
            # 50 images in either part
            expected = standard_error(getattr(n, f"{name}_accuracy_percent"), 50)
            assert expected is not None
            assert row[f"{name}_se_points"] == pytest.approx(expected, abs=0.0051)


def test_front_precision_is_null_where_images_were_not_counted(tmp_path: Path) -> None:
    with RunWriter.open(tmp_path, "old", header(dataset={"name": "xfel", "validation": 0})) as writer:
        record(writer, 0, HORIZON)
    [row] = ask(Commons(tmp_path), "front-precision")
    assert (row["best_se_points"], row["test_se_points"]) == (None, None)
    assert row["best_percent"] > 0


def test_family_tree(commons: Commons) -> None:
    rows = [r for r in ask(commons, "family-tree") if r["run"] == "done"]
    networks = {n.network: n for n in commons.networks("done")}
    best = max(networks.values(), key=lambda n: n.best_accuracy_percent or 0)
    expected = {best.network: 0}
    todo = [best.network]
    for number in todo:
        for parent in networks[number].parents or ():
            if parent not in expected:
                expected[parent] = expected[number] + 1
                todo.append(parent)
    assert {r["network"]: r["steps_back"] for r in rows} == expected


def test_predictions(commons: Commons) -> None:
    last = {(r, n.network): n for r in ("done", "going") for n in commons.networks(r)}
    errors = sorted(
        (
            round(abs(p.predicted - n.last_accuracy_percent), 2)
            for r in ("done", "going")
            for p in commons.predictions(r)
            if (n := last.get((r, p.network))) and n.epochs_trained == HORIZON
        ),
        reverse=True,
    )
    assert [r["error_points"] for r in ask(commons, "worst-predictions")] == errors[:20]
    by_epoch = ask(commons, "prediction-error-by-epoch")
    assert [r["epoch"] for r in by_epoch if r["run"] == "done"] == list(range(3, HORIZON + 1))


def test_epochs_saved(commons: Commons) -> None:
    rows = {(r["run"], r["reason"]): r for r in ask(commons, "epochs-saved")}
    networks = [n for n in commons.networks("done") if n.status == "stopped"]
    assert rows["done", "converged"]["epochs_saved"] == sum(HORIZON - n.epochs_trained for n in networks)
    assert rows["done", "budget"]["epochs_saved"] == 0


def test_operators(commons: Commons) -> None:
    [row] = [r for r in ask(commons, "operators") if r["run"] == "done"]
    assert row["children"] == 7  # of generations 1 and 2, without the failed one
    networks = {n.network: n for n in commons.networks("done")}
    children = [n for n in networks.values() if n.parents]
    beat = [
        n.best_accuracy_percent > max(networks[p].best_accuracy_percent or 0 for p in n.parents)
        for n in children
    ]
    assert row["beat_both_parents_percent"] == round(100 * sum(beat) / len(beat), 1)


@pytest.mark.slow
def test_the_rest(commons: Commons) -> None:
    assert [(r["run"], r["network"], r["epochs"]) for r in ask(commons, "in-training")] == [("going", 3, 6)]
    failures = {r["run"]: (r["error"], r["numbers"]) for r in ask(commons, "failures")}
    assert failures == {"done": ("out of memory", [5]), "going": ("out of memory", [2])}
    spared = {r["run"]: (r["spared"], r["asked"]) for r in ask(commons, "duplicates")}
    assert spared == {"done": (0, 12), "going": (1, 3)}
    fits = {r["run"]: r for r in ask(commons, "fit-cost")}
    assert fits["done"]["fits"] == len(commons.predictions("done"))
    assert fits["done"]["fitting_seconds"] == round(fits["done"]["fits"] * 42.5e-6, 3)
    assert fits["done"]["training_seconds"] == round(1.5 * len(commons.epochs("done")), 1)
    phases = {r["run"]: r for r in ask(commons, "time-by-phase")}["done"]
    learned = 100 / 900 * len(commons.epochs("done"))  # images of the training part, images a second
    assert phases["learning_seconds"] == pytest.approx(learned, abs=0.05)
    rest = 1.5 * len(commons.epochs("done")) - learned - phases["fitting_seconds"]
    assert phases["validating_and_saving_seconds"] == pytest.approx(rest, abs=0.05)
    assert phases["fitting_seconds"] == fits["done"]["fitting_seconds"]
    assert phases["waiting_seconds"] is None  # these made-up runs submitted nothing
    time = [r for r in ask(commons, "time") if r["run"] == "done"]
    assert sum(r["epochs"] for r in time) == len(commons.epochs("done"))
    energy = [r for r in ask(commons, "energy") if r["run"] == "done"]
    assert len(energy) == 11
    assert sum(r["joules"] for r in energy) == 30.0 * len(commons.epochs("done"))
    gaps = ask(commons, "overfitting")
    assert all(r["gap_points"] == pytest.approx(1.0) for r in gaps)
    layers = [r for r in ask(commons, "layers") if r["run"] == "done"]
    assert {r["op"]: r["layers"] for r in layers} == dict.fromkeys(
        ("input", "conv"), len(commons.front("done"))
    )
    settings = {r["run"]: r for r in ask(commons, "settings")}
    assert settings["done"]["strategy"] == "nsga-net"
    assert settings["done"]["took"] is not None
    curves = [r for r in ask(commons, "mean-curve") if r["run"] == "done" and r["epoch"] == 1]
    assert curves[0]["networks"] == 11
