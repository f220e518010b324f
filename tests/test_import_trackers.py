"""What other trackers recorded, from files: MLflow's stores, logs and exports of Weights & Biases."""

from __future__ import annotations

import csv
import shutil
import sqlite3
import struct
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from a4nn_core.commons import Commons
from a4nn_core.commons.check import check
from a4nn_core.errors import BadInput
from a4nn_core.interchange.mlflow_store import import_mlflow
from a4nn_core.interchange.wandb_files import import_wandb

LOG = Path(__file__).parent / "data" / "offline.wandb"
RUNS: list[tuple[str, int, dict[str, str], dict[str, list[float]]]] = [
    ("one", 3, {"lr": "0.1", "name": "sgd"}, {"val_acc": [0.5, 0.6, 0.7], "train/loss": [1.0, 0.9, 0.8]}),
    ("two", 5, {"lr": "0.01"}, {"val_acc": [0.4, 0.5]}),
    ("three", 1, {}, {"val_acc": [0.4]}),
    ("four", 3, {}, {"val_acc": [0.45, float("nan")]}),
]


def mlruns(folder: Path) -> Path:
    """A store of files, with the members that MLflow 3.17 writes."""
    experiment = folder / "mlruns" / "123"
    experiment.mkdir(parents=True)
    about = {"experiment_id": "123", "name": "cnn", "lifecycle_stage": "active", "creation_time": 1}
    (experiment / "meta.yaml").write_text(yaml.dump(about))
    for number, (name, status, parameters, metrics) in enumerate(RUNS):
        run = experiment / f"{number:032x}"
        (run / "metrics").mkdir(parents=True)
        (run / "params").mkdir()
        start = 1_795_762_000_000 + 1000 * number
        meta = {"run_id": run.name, "run_uuid": run.name, "run_name": name, "status": status}
        meta |= {"lifecycle_stage": "active", "start_time": start, "end_time": start + 500, "tags": []}
        (run / "meta.yaml").write_text(yaml.dump(meta))
        for parameter, text in parameters.items():
            (run / "params" / parameter).write_text(text)
        for metric, values in metrics.items():
            path = run / "metrics" / metric
            path.parent.mkdir(exist_ok=True)
            path.write_text("".join(f"{start} {value} {10 * step}\n" for step, value in enumerate(values)))
    (folder / "mlruns" / ".trash").mkdir()
    return folder / "mlruns"


def database(folder: Path) -> Path:
    """The columns of MLflow's tables that are read."""
    path = folder / "mlflow.db"
    words = {1: "RUNNING", 3: "FINISHED", 5: "KILLED"}
    with sqlite3.connect(path) as made:
        made.execute("create table experiments (experiment_id integer, name text, lifecycle_stage text)")
        made.execute("insert into experiments values (1, 'cnn', 'active'), (2, 'old', 'deleted')")
        made.execute(
            "create table runs (run_uuid text, name text, status text, start_time int, end_time int, "
            "lifecycle_stage text, experiment_id int)"
        )
        made.execute("create table params (run_uuid text, key text, value text)")
        made.execute(
            "create table metrics (run_uuid text, key text, value real, timestamp int, step int, is_nan int)"
        )
        for number, (name, status, parameters, metrics) in enumerate(RUNS):
            run, start = f"{number:032x}", 1_795_762_000_000 + 1000 * number
            row = (run, name, words[status], start, start + 500)
            made.execute("insert into runs values (?, ?, ?, ?, ?, 'active', 1)", row)
            made.executemany("insert into params values (?, ?, ?)", [(run, *p) for p in parameters.items()])
            for metric, values in metrics.items():
                for step, value in enumerate(values):
                    nan = value != value
                    entry = (run, metric, 0.0 if nan else value, start, 10 * step, nan)
                    made.execute("insert into metrics values (?, ?, ?, ?, ?, ?)", entry)
    made.close()
    return path


@pytest.mark.parametrize("store", [mlruns, database])
def test_an_mlflow_experiment_becomes_a_run(tmp_path: Path, store: Callable[[Path], Path]) -> None:
    place = store(tmp_path)
    commons = tmp_path / "commons"
    assert import_mlflow(place, commons) == {"cnn": 3}
    one, two, four = Commons(commons).networks("cnn")
    assert one.genome is not None
    assert one.genome.value == {"lr": 0.1, "name": "sgd"}
    assert (one.status, one.best_accuracy_percent, one.best_epoch, one.epochs_trained) == (
        "completed",
        70,
        3,
        3,
    )
    assert one.seconds == pytest.approx(0.5)
    assert (two.status, two.error, two.epochs_budget) == ("failed", "killed; MLflow does not record why", 3)
    # its second value is not a number: an epoch without an accuracy
    assert (four.status, four.best_accuracy_percent, four.epochs_trained) == ("stopped", 45, 2)
    epochs = Commons(commons).epochs("cnn")
    assert [(e.network, e.epoch, e.validation_accuracy_percent, e.train_loss) for e in epochs[:3]] == [
        (0, 1, 50.0, 1.0),
        (0, 2, 60.0, 0.9),
        (0, 3, 70.0, 0.8),
    ]
    notes = str(Commons(commons).run("cnn").notes)
    assert "left out, not ended: 00000000000000000000000000000002" in notes
    assert "accuracy as a fraction" in notes
    assert check(commons).problems == []
    with pytest.raises(BadInput, match="has a run 'cnn' already"):
        import_mlflow(place, commons)


def test_a_time_that_is_none_is_not_known(tmp_path: Path) -> None:
    store = mlruns(tmp_path)
    first = store / "123" / f"{0:032x}" / "meta.yaml"
    first.write_text(yaml.dump({**yaml.safe_load(first.read_text()), "start_time": 10**400}))
    assert import_mlflow(store, tmp_path / "commons") == {"cnn": 3}
    last = Commons(tmp_path / "commons").networks("cnn")[-1]  # runs of unknown time come last
    assert last.genome is not None
    assert last.genome.value == {"lr": 0.1, "name": "sgd"}


def test_bad_mlflow_stores_are_refused_in_one_sentence(tmp_path: Path) -> None:
    commons = tmp_path / "commons"
    (tmp_path / "empty").mkdir()
    (tmp_path / "text.db").write_text("no database")
    store = mlruns(tmp_path)
    for place, words in (
        (tmp_path / "missing", "there is no MLflow store"),
        (tmp_path / "empty", "no folder in it has a meta.yaml"),
        (tmp_path / "text.db", "neither a folder mlruns nor an SQLite database"),
    ):
        with pytest.raises(BadInput, match=words):
            import_mlflow(place, commons)
    with pytest.raises(BadInput, match="has no experiment 'x'; experiments there: cnn"):
        import_mlflow(store, commons, experiment="x")
    with pytest.raises(BadInput, match="has no metric 'x'; metrics there: train/loss, val_acc"):
        import_mlflow(store, commons, metric="x")
    with pytest.raises(BadInput, match="values cannot be 'y'"):
        import_mlflow(store, commons, values="y")
    sqlite3.connect(tmp_path / "other.db").execute("create table t (x int)").connection.close()
    with pytest.raises(BadInput, match="cannot be read as an MLflow store: no such table"):
        import_mlflow(tmp_path / "other.db", commons)
    metric = next(store.rglob("val_acc"))
    metric.write_text("1795762000000 0.5 0\nnonsense\n")
    with pytest.raises(BadInput, match="line 2 is 'nonsense', not a time, a value and a step"):
        import_mlflow(store, commons)
    for damaged in ("[1, 2]", f"run_id: {'9' * 5000}", "run_id: 2026-13-45"):
        (metric.parents[1] / "meta.yaml").write_text(damaged)
        with pytest.raises(BadInput, match="is damaged: it is not a table of YAML"):
            import_mlflow(store, commons)
    assert not commons.exists()


def test_a_loss_can_be_the_curve(tmp_path: Path) -> None:
    commons = tmp_path / "commons"
    import_mlflow(mlruns(tmp_path), commons, metric="train/loss", run="losses")
    one = Commons(commons).networks("losses")[0]
    assert one.fitness == {"train/loss": 0.8}
    assert one.best_accuracy_percent is None
    assert [e.validation_loss for e in Commons(commons).epochs("losses")] == [1.0, 0.9, 0.8]


def test_a_log_that_wandb_wrote_becomes_a_network(tmp_path: Path) -> None:
    """The log of an offline run of wandb 0.31; see tests/data/README.md."""
    name, count = import_wandb(LOG, tmp_path)
    assert (name, count) == ("p", 1)
    (one,) = Commons(tmp_path).networks("p")
    assert one.genome is not None
    assert one.genome.value == {"lr": 0.1, "layers": [1, 2]}
    assert (one.status, one.best_accuracy_percent, one.seconds) == ("completed", 70, 7)
    assert [e.validation_accuracy_percent for e in Commons(tmp_path).epochs("p")] == [50, 60, 70]
    notes = str(Commons(tmp_path).run("p").notes)
    assert "runs: 0 is nak8ptre" in notes
    assert "metrics epoch, nested.loss" in notes
    assert check(tmp_path).problems == []


def test_a_folder_of_wandb_is_one_run(tmp_path: Path) -> None:
    for number in range(2):
        folder = tmp_path / "wandb" / f"offline-run-{number}"
        folder.mkdir(parents=True)
        shutil.copy(LOG, folder / "run-x.wandb")
    shutil.copytree(tmp_path / "wandb" / "offline-run-0", tmp_path / "wandb" / "latest-run")
    assert import_wandb(tmp_path / "wandb", tmp_path / "commons", run="mine") == ("mine", 2)


def test_a_log_that_was_cut_off_is_a_run_that_has_not_ended(tmp_path: Path) -> None:
    content = LOG.read_bytes()
    (tmp_path / "run-cut.wandb").write_bytes(content[: len(content) // 2])
    with pytest.raises(BadInput, match="has no run that has ended"):
        import_wandb(tmp_path / "run-cut.wandb", tmp_path / "commons")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "does not begin like one"),
        (b":W&B" + struct.pack("<HB", 0xBEE1, 0), "does not say which run it is of"),
        (LOG.read_bytes()[:7] + struct.pack("<IHB", 0, 3, 9) + b"abc", "a record in it cannot be read"),
        (
            LOG.read_bytes()[:7] + struct.pack("<IHB", 0, 3, 1) + b"\xff\xff\xff",
            "a record in it cannot be read",
        ),
    ],
)
def test_damaged_logs_are_refused(tmp_path: Path, content: bytes, words: str) -> None:
    (tmp_path / "run-bad.wandb").write_bytes(content)
    with pytest.raises(BadInput, match=words):
        import_wandb(tmp_path / "run-bad.wandb", tmp_path / "commons")
    assert not (tmp_path / "commons").exists()


def test_histories_that_were_exported(tmp_path: Path) -> None:
    rows = [{"_step": step, "_runtime": 2.0 * step, "val_acc": 50.0 + step, "note": "x"} for step in range(3)]
    (tmp_path / "csv").mkdir()
    for name in ("a", "b"):
        with (tmp_path / "csv" / f"{name}.csv").open("w", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "history.parquet")
    assert import_wandb(tmp_path / "csv", tmp_path / "commons") == ("csv", 2)
    assert import_wandb(tmp_path / "history.parquet", tmp_path / "commons") == ("history", 1)
    for run in ("csv", "history"):
        curve = [e.validation_accuracy_percent for e in Commons(tmp_path / "commons").epochs(run)][:3]
        assert curve == [50, 51, 52]
        assert Commons(tmp_path / "commons").networks(run)[0].seconds == 4.0


def test_files_that_are_no_histories_are_refused(tmp_path: Path) -> None:
    commons = tmp_path / "commons"
    (tmp_path / "empty").mkdir()
    (tmp_path / "a.csv").write_text("x,y\n1,2\n")
    (tmp_path / "a.txt").write_text("x")
    (tmp_path / "a.parquet").write_text("x")
    for name, words in (
        ("missing", "there is no file or folder"),
        ("empty", "contains no file run"),
        ("a.csv", "no column '_step'"),
        ("a.txt", "neither a .wandb file nor a history"),
        ("a.parquet", "cannot read"),
    ):
        with pytest.raises(BadInput, match=words):
            import_wandb(tmp_path / name, commons)
    assert not commons.exists()


def test_a_curve_that_cannot_be_an_accuracy_is_asked_about(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("_step,val_acc\n0,-3\n")
    with pytest.raises(BadInput, match=r"no accuracies .*say what they are: --values"):
        import_wandb(tmp_path / "a.csv", tmp_path / "commons")
    (tmp_path / "b.csv").write_text("_step,val_acc,test_acc\n0,0.5,0.5\n")
    with pytest.raises(BadInput, match="test_acc and val_acc both look like validation accuracy"):
        import_wandb(tmp_path / "b.csv", tmp_path / "commons")
