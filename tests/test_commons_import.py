"""Other people's histories in a commons, number for number."""

from __future__ import annotations

import csv
import json
import math
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from a4nn_core.cli.app import app as a4nn
from a4nn_core.cli.importing import app, macro_127
from a4nn_core.commons import Commons, RunWriter
from a4nn_core.commons.check import check
from a4nn_core.commons.records import Network
from a4nn_core.errors import BadInput
from a4nn_core.interchange.curves_csv import import_csv
from a4nn_core.interchange.icpp23 import icpp23_run, import_icpp23, printed_array
from a4nn_core.interchange.incoming import IncomingNetwork, IncomingRun
from a4nn_core.jsonable import JsonText, to_json
from a4nn_core.vocabulary import NetworkStatus

runner = CliRunner()


def known(_: Any) -> tuple[dict[str, Any], list[Any], list[Any]]:
    return {}, [], []


def test_printed_arrays() -> None:
    assert printed_array("[200.           1.03406223 144.5644338 ]") == [200.0, 1.03406223, 144.5644338]
    assert printed_array("[inf, inf, inf]") == [None, None, None]
    assert printed_array("[ 9.1e+01 -2.5E-03\n  nan]") == [91.0, -0.0025, None]
    assert printed_array("") == []


@pytest.fixture(scope="module")
def published(reference_data: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Path, Path]]:
    """The published runs by their ids: the table of each, and a commons with it alone."""
    found = {}
    for table in sorted((reference_data / "icpp23" / "1gpu").rglob("*training_data.csv")):
        commons = tmp_path_factory.mktemp("published") / "c"
        assert import_icpp23(table, commons, macro_127) == 100
        found[icpp23_run(table)] = table, commons
    assert len(found) == 6
    return found


@pytest.mark.golden
@pytest.mark.slow
@pytest.mark.parametrize(
    ("file", "run", "rows"),
    [  # rows: icpp23/SOURCES.md, TauferLab/Reproducibility_A4NN_ICPP23 commit 95ffb47
        ("early_termination/1gpu_1e14_stopping_training_data.csv", "icpp23-1gpu-1e14-penguin", 2167),
        ("early_termination/1gpu_1e15_stopping_training_data.csv", "icpp23-1gpu-1e15-penguin", 1647),
        ("early_termination/1gpu_1e16_stopping_training_data.csv", "icpp23-1gpu-1e16-penguin", 1737),
        ("no_early_termination/1gpu_1e14_training_data.csv", "icpp23-1gpu-1e14", 2500),
    ],
)
def test_published_tables(published: dict[str, tuple[Path, Path]], file: str, run: str, rows: int) -> None:
    path, commons = published[run]
    assert path.match(file)
    found = Commons(commons)
    assert found.runs() == [run]
    epochs = {(e.network, e.epoch): e for e in found.epochs(run)}
    fits = {(p.network, p.epoch): p for p in found.predictions(run)}
    networks = {n.network: n for n in found.networks(run)}
    assert len(epochs) == rows
    with path.open(newline="") as lines:
        for row in csv.DictReader(lines):
            key = (int(row["arch"]), int(row["epoch"]) + 1)
            assert epochs[key].validation_accuracy_percent == float(row["val_accs"])
            assert epochs[key].train_accuracy_percent == float(row["train_accs"])
            assert (epochs[key].verdict == "stop") == (row["converged"] == "True")
            predicted = float(row["predictions"])
            assert epochs[key].predicted == (predicted if math.isfinite(predicted) else None)
            if math.isfinite(predicted):
                assert fits[key].predicted == predicted
            if row.get("params"):
                parameters = json.loads(fits[key].parameters)
                printed = [float(x) for x in row["params"].strip("[]").replace(",", " ").split()]
                finite = [x for x in printed if math.isfinite(x)]
                assert [parameters[name] for name in "abc" if name in parameters] == finite
            if "epoch_times" in row:
                assert epochs[key].seconds == pytest.approx(float(row["epoch_times"]), rel=1e-6)
            network = networks[key[0]]
            assert network.flops / 1e6 == pytest.approx(float(row["flops"]), abs=1e-4)
            assert json.loads(network.genome) == json.loads(row["genome"])
    assert found.sql("select count(distinct network) from layers").fetchall() == [(100,)]
    assert found.front(run)
    assert check(commons).problems == []
    with pytest.raises(BadInput, match=f"has a run '{run}' already"):
        import_icpp23(path, commons, macro_127)


HEADER = "epoch,train_accs,val_accs,predictions,converged,genome,arch,flops\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("epoch,train_accs\n0,1\n", "has no column 'val_accs'; its columns: epoch, train_accs"),
        (HEADER, "has no rows"),
        (HEADER + '0,50,x,inf,False,"[[1]]",0,1.0\n', "'val_accs': 'x' is not a number"),
        (HEADER + '0,50,,inf,False,"[[1]]",0,1.0\n', "network 0 has no validation accuracy in epoch 0"),
        (HEADER + '1,50,50,inf,False,"[[1]]",0,1.0\n', "network 0 has no epoch 0"),
        (HEADER + '0,50,50,inf,False,"[[1]]",0.5,1.0\n', "'arch': '0.5' is not a whole number"),
        (
            HEADER + '0,50,50,inf,False,"[[1]]",1e300,1.0\n',
            "'arch': '1e300' is not a whole number from 0 to 21",
        ),
        (HEADER + '0,50,50,inf,False,"[[1]]",-1,1.0\n', "'arch': '-1' is not a whole number from 0 to 2147"),
        (HEADER + "0,50,50,inf,False," + "[" * 5000 + ",0,1.0\n", r"has the genome '\[{60}', not a list"),
        (HEADER + "0,50,50,inf,False,[[1,0,1.0\n", "line 2: not 8 fields|has the genome"),
        (HEADER + "0,50\n", "line 2: not 8 fields"),
    ],
)
def test_bad_tables_leave_nothing(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "x.csv"
    file.write_text(text)
    with pytest.raises(BadInput, match=message):
        import_icpp23(file, tmp_path / "c", known)
    assert not (tmp_path / "c").exists()


@pytest.mark.parametrize("value", ["1e300", "150", "-1"])
def test_accuracies_that_cannot_be_are_refused(tmp_path: Path, value: str) -> None:
    file = tmp_path / "x.csv"
    file.write_text(f"curve_id,epoch,accuracy\na,1,50\nb,1,50\nb,2,{value}\n")
    with pytest.raises(
        BadInput, match=r"network 1 of x.csv cannot be imported: in \w+, row \d has \w+ "
    ) as caught:
        import_csv(file, tmp_path / "c")
    assert repr(float(value)) in str(caught.value)
    assert not (tmp_path / "c").exists()


def test_a_failing_decoder_leaves_nothing_behind(tmp_path: Path) -> None:
    file = tmp_path / "x.csv"
    file.write_text(HEADER + '0,50,50,inf,False,"[[1]]",0,1.0\n')
    with pytest.raises(BadInput):
        import_icpp23(file, tmp_path / "c", macro_127)
    assert not (tmp_path / "c").exists()


def test_plain_curves(tmp_path: Path) -> None:
    file = tmp_path / "my curves.csv"
    file.write_text("curve_id,epoch,accuracy,note\nb,0,50,x\nb,1,60.5,x\na,0,70,x\n")
    assert import_csv(file, tmp_path / "c") == ("my-curves", 2)
    found = Commons(tmp_path / "c")
    curves = [(e.network, e.epoch, e.validation_accuracy_percent) for e in found.epochs("my-curves")]
    assert curves == [(0, 1, 50.0), (0, 2, 60.5), (1, 1, 70.0)]
    assert [n.status for n in found.networks("my-curves")] == ["completed", "stopped"]
    assert [n.network for n in found.front("my-curves")] == [1]
    assert "note" in found.run("my-curves").notes
    for text, message in (
        ("curve_id,epoch,accuracy\na,0,1\na,2,1\n", "curve 'a' has gaps"),
        ("curve_id,epoch,accuracy\na,0,1\na,0,1\n", "epoch 0 twice"),
        ("curve_id,epoch,accuracy\na,5,1\n", "count from 5"),
        ("curve_id,epoch,value\na,5,1\n", "no column 'accuracy'"),
    ):
        file.write_text(text)
        with pytest.raises(BadInput, match=message):
            import_csv(file, tmp_path / "d")
        assert not (tmp_path / "d").exists()


def shown(command: str, run: str, commons: Path) -> tuple[str, dict[str, Any]]:
    """What a command says to people, and with --json."""
    words = [command, run, "--commons", str(commons)]
    found = [runner.invoke(a4nn, [*words, *more]) for more in ([], ["--json"])]
    for one in found:
        assert one.exit_code == 0, one.exception
    document = json.loads(found[1].stdout)
    return found[0].stdout, document[0] if command == "status" else document


PUBLISHED = HEADER + "".join(
    f'{epoch},{90 + epoch},{accuracy},inf,False,"[[1,0,0,0,0,0,1],[0,0,0,0,0,0,1],[1,1,0,0,0,0,0]]",0,1.0\n'
    for epoch, accuracy in enumerate((80.5, 91.25))
)


@pytest.mark.slow
def test_a_published_run_is_shown(tmp_path: Path) -> None:
    """It records neither times nor images, nor how many networks it was to look at."""
    (tmp_path / "1gpu_1e14_training_data.csv").write_text(PUBLISHED)
    import_icpp23(tmp_path / "1gpu_1e14_training_data.csv", tmp_path / "c", macro_127)
    text, status = shown("status", "icpp23-1gpu-1e14", tmp_path / "c")
    assert text.splitlines()[1].split() == [
        *("icpp23-1gpu-1e14", "completed", "1", "2/25", "92.0", "%", "91.25", "%", "-", "-")
    ]
    unknown = ("networks_budget", "seconds", "training_seconds", "training_seconds_saved")
    assert [status[name] for name in unknown] == [None] * 4
    assert (status["best_accuracy_percent"], status["best_accuracy_se_points"]) == (91.25, None)
    text, front = shown("front", "icpp23-1gpu-1e14", tmp_path / "c")
    assert "1000001 0000001 1100000" in text
    assert (
        "23 epochs by ending training early, 0 by not training equal architectures again\n"
        "  1 network ended early, network 0: the newest predictions agree with each other\n\n"
    ) in text
    [one] = front["front"]
    assert (one["accuracy_percent"], one["accuracy_se_points"]) == (91.25, None)
    assert (one["test_accuracy_percent"], one["indistinguishable_from"]) == (None, None)


@pytest.mark.golden
@pytest.mark.slow
def test_all_published_runs_are_shown(published: dict[str, tuple[Path, Path]], tmp_path: Path) -> None:
    for run, (table, commons) in published.items():
        text, status = shown("status", run, commons)
        assert "±" not in text
        assert (status["networks"], status["epochs_budget"]) == (100, 2500)
        text, front = shown("front", run, commons)
        assert "±" not in text
        assert len(front["front"]) == len(Commons(commons).front(run)) > 1
        # the runs that were stopped were timed at the source
        assert (front["training_seconds"] is None) == ("stopping" not in table.name)
        shutil.copytree(commons, tmp_path / "c", dirs_exist_ok=True)
    listed = runner.invoke(a4nn, ["status", "--commons", str(tmp_path / "c")])
    assert len(listed.stdout.splitlines()) == 7


@pytest.mark.slow
def test_plain_curves_are_shown(tmp_path: Path) -> None:
    """They have no cost, and a genome that is not a list."""
    file = tmp_path / "curves.csv"
    file.write_text("curve_id,epoch,accuracy\nb,0,50\nb,1,60.5\na,0,70\n")
    import_csv(file, tmp_path / "c")
    text, _ = shown("status", "curves", tmp_path / "c")
    assert "3/4" in text
    text, front = shown("front", "curves", tmp_path / "c")
    assert '{"curve_id":"a"}' in text
    [one] = front["front"]
    assert (one["flops"], one["parameters"], one["genome"]) == (None, None, {"curve_id": "a"})


SHOWN = Network(
    network=0,
    status=NetworkStatus.completed,
    best_accuracy_percent=90.0,
    fitness={"error_percent": 10.0, "mflops": 1.0},
)


@pytest.mark.slow
def test_a_run_is_looked_at_while_it_is_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table = tmp_path / "1gpu_1e14_training_data.csv"
    table.write_text(PUBLISHED)
    seen: list[dict[str, Any]] = []
    record = RunWriter.record

    def recorded(writer: RunWriter, *parts: Any, **more: Any) -> None:
        record(writer, *parts, **more)
        seen.append(shown("status", "r", tmp_path / "c")[1])

    monkeypatch.setattr(RunWriter, "record", recorded)
    networks = [
        IncomingNetwork(replace(SHOWN, network=number, best_accuracy_percent=90.0 + number))
        for number in range(2)
    ]
    assert IncomingRun(tmp_path / "c", "r", "csv", "none", table.name, networks, []).write() == 2
    assert [(one["alive"], one["networks"], one["seconds_left"]) for one in seen] == [
        (True, 1, None),
        (True, 2, None),
    ]
    _, front = shown("front", "r", tmp_path / "c")
    assert [one["genome"] for one in front["front"]] == [None, None]


@pytest.mark.slow
def test_a_genome_may_be_any_json(tmp_path: Path) -> None:
    genomes = ["C-R-B", 7, {"layers": 2}, [1, 2], None]
    rows = [
        IncomingNetwork(
            replace(SHOWN, network=n, genome=None if genome is None else JsonText(to_json(genome))),
        )
        for n, genome in enumerate(genomes)
    ]
    objectives: dict[str, Any] = {"search": {"objectives": {"error_percent": "minimise"}}}
    IncomingRun(tmp_path / "c", "r", "csv", "none", "x", rows, [], experiment=objectives).write()
    text, front = shown("front", "r", tmp_path / "c")
    assert [one["genome"] for one in front["front"]] == genomes
    assert all(word in text for word in ("C-R-B", '{"layers":2}', "[1,2]"))


def test_command(tmp_path: Path) -> None:
    file = tmp_path / "curves.csv"
    file.write_text("curve_id,epoch,accuracy\na,1,50\na,2,60\n")
    where = ["--commons", str(tmp_path / "c")]
    result = runner.invoke(app, ["csv", str(file), "--run-id", "r", "--json", *where])
    assert json.loads(result.stdout) == {"networks": {"r": 1}}
    (tmp_path / "empty").mkdir()
    result = runner.invoke(app, ["icpp23", str(tmp_path / "empty"), *where])
    assert isinstance(result.exception, BadInput)
