"""The records of the commons: what they declare, how they travel, and what readers make of gaps in them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from commons_data import (
    HORIZON,
    fail,
    header,
    journal_epochs,
    journal_records,
    made_up_run,
    record,
    train,
)
from deposits import metadata
from typer.testing import CliRunner

from a4nn_core.archaeology.picture import picture
from a4nn_core.cli.app import app
from a4nn_core.cli.importing import macro_127
from a4nn_core.commons import Commons, JournalEpoch, RunWriter
from a4nn_core.commons.compact import compact
from a4nn_core.commons.fragments import write_fragment
from a4nn_core.commons.records import Epoch, Network, best_epoch
from a4nn_core.commons.schema import ARROW_TYPES, FRONT, LIKENESS, TABLES, VIEWS
from a4nn_core.errors import BadInput
from a4nn_core.interchange.curves_csv import import_csv
from a4nn_core.interchange.icpp23 import import_icpp23
from a4nn_core.interchange.optuna_studies import import_optuna
from a4nn_core.publish.deposit.build import Settings, build
from a4nn_core.publish.deposit.restore import restore
from a4nn_core.vocabulary import Action, NetworkStatus, RunStatus
from a4nn_core.workflow.live import look
from a4nn_core.workflow.summary import summarise

GOLDEN = Path(__file__).parent / "fixtures" / "schema" / "tables.txt"


def described() -> str:
    """Every table and column as the Arrow schemas have them, a line each."""
    lines = []
    for table in [*TABLES.values(), *VIEWS, FRONT, LIKENESS]:
        about = table.schema.metadata[b"description"].decode()
        lines.append(f"{table.name}: {about}; key {', '.join(table.key)}")
        for field, column in zip(table.schema, table.columns, strict=True):
            said = {key.decode(): value.decode() for key, value in field.metadata.items()}
            assert (field.name, field.type) == (column.name, ARROW_TYPES[column.kind])
            kind = f"{column.kind}{', timing' if column.timing else ''}"
            lines.append(
                f"  {field.name}: {field.type} ({kind}) [{said.get('unit', '')}] {said['description']}"
            )
    return "\n".join(lines) + "\n"


def test_the_schemas_are_those_that_were_written_down() -> None:
    assert described() == GOLDEN.read_text()


def test_what_a_journal_says_comes_back_line_for_line() -> None:
    for line in journal_records(1, 9):
        assert JournalEpoch.of(line).line() == {**line, "time": line["time"]}


def test_old_journals_lack_what_was_not_recorded_then() -> None:
    line = next(journal_records(1, 1))
    for name in ("energy_joules", "fits", "segment", "verdict"):
        del line[name]
    epoch = JournalEpoch.of(line)
    assert (epoch.energy_joules, epoch.fits, epoch.segment, epoch.verdict) == (None, (), None, None)


def test_evidence_is_recorded_of_verdicts_to_stop_alone() -> None:
    going, last = journal_epochs(1, 9)[-2:]
    assert (going.verdict, last.verdict) == (Action.proceed, Action.stop)
    assert going.evidence == last.evidence == '{"spread":0.1}'
    assert (going.row()["evidence"], last.row()["evidence"]) == (None, last.evidence)


def test_a_word_that_this_version_does_not_know_is_named(tmp_path: Path) -> None:
    with RunWriter.open(tmp_path / "c", "r", header()) as writer:
        writer.record(Network(network=0, status=NetworkStatus.completed))
    file = tmp_path / "c" / "runs" / "r" / "tables" / "networks" / "0000.parquet"
    rows = pq.read_table(file)
    place = rows.schema.get_field_index("status")
    write_fragment(file, rows.set_column(place, rows.schema.field(place), pa.array(["resting"])))
    with pytest.raises(BadInput, match=r"run 'r' .* column 'status' holds 'resting'; known: completed"):
        Commons(tmp_path / "c").networks("r")


def test_the_first_of_equal_epochs_is_the_best() -> None:
    epochs = [
        Epoch(epoch=number, validation_accuracy_percent=value)
        for number, value in ((1, None), (3, 70.0), (2, 70.0), (4, 60.0))
    ]
    best = best_epoch(epochs)
    assert best is not None
    assert best.epoch == 2
    assert best_epoch(epochs[:1]) is None


# every kept layout, every importer, and runs that are empty, unfinished or lack almost all


def made_layout(commons: Path, kept: Path) -> None:
    shutil.copytree(kept, commons)


def made_icpp23(commons: Path) -> None:
    genome = "[[1,0,0,0,0,0,1],[0,0,0,0,0,0,1],[1,1,0,0,0,0,0]]"
    names = "epoch,train_accs,val_accs,predictions,converged,genome,arch,flops\n"
    rows = [f'{epoch},90,{80 + epoch},inf,False,"{genome}",0,1.0\n' for epoch in range(2)]
    table = commons.with_name("1gpu_1e14_training_data.csv")
    table.write_text(names + "".join(rows))
    import_icpp23(table, commons, macro_127)


def made_csv(commons: Path) -> None:
    file = commons.with_name("curves.csv")
    file.write_text("curve_id,epoch,accuracy\nb,0,50\nb,1,60.5\na,0,70\n")
    import_csv(file, commons)


def made_optuna(commons: Path, directions: list[str]) -> None:
    optuna = pytest.importorskip("optuna")
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    url = f"sqlite:///{commons.with_name('studies.db')}"
    study = optuna.create_study(storage=url, study_name="s", directions=directions)
    states = optuna.trial.TrialState
    choice = {"params": {"x": 0.5}, "distributions": {"x": optuna.distributions.FloatDistribution(0, 1)}}
    steps = {"intermediate_values": {1: 0.25, 2: 0.5}} if len(directions) == 1 else {}
    for value in (0.5, 0.75):
        study.add_trial(optuna.trial.create_trial(values=[value] * len(directions), **choice, **steps))
    study.add_trial(optuna.trial.create_trial(state=states.FAIL, **choice))
    import_optuna(url, commons)


def made_bare(commons: Path) -> None:
    """No experiment to speak of, and of the networks nothing but their numbers."""
    with RunWriter.open(commons, "r", {"name": "r", "experiment": {}, "dataset": "xfel"}) as writer:
        writer.record(Network(network=0))
        writer.record(Network(network=1, status=NetworkStatus.completed, best_accuracy_percent=90.0))
        writer.record(Network(network=2, status=NetworkStatus.equal, equal_to=1))
        writer.record(Network(network=3, status=NetworkStatus.stopped), epochs=[Epoch(epoch=1)])
        writer.finish(RunStatus.completed)


def made_headless(commons: Path) -> None:
    """A run whose header says nothing at all."""
    with RunWriter.open(commons, "r", {}):
        pass


def made_unfinished(commons: Path) -> None:
    with RunWriter.open(commons, "r", header()) as writer:
        record(writer, 0, HORIZON)
        fail(writer, 1)
        train(writer, 2, 3)
    with RunWriter.open(commons, "empty", header()):
        pass


def made_deposit(commons: Path) -> None:
    made_up_run(commons.with_name("other"), networks=4, failed=(2,))
    build(commons.with_name("other"), ["made-up"], commons.with_name("deposit"), metadata(), NO_WEIGHTS)
    restore(commons.with_name("deposit"), commons)


NO_WEIGHTS = Settings(weights="none", models="none", unfinished=True)
FIXTURES = Path(__file__).parent / "fixtures"
MAKERS: dict[str, Callable[[Path], None]] = {
    **{kept.name: partial(made_layout, kept=kept) for kept in sorted(FIXTURES.glob("*-layout-*"))},
    "icpp23": made_icpp23,
    "csv": made_csv,
    "optuna-accuracy": partial(made_optuna, directions=["maximize"]),
    "optuna-loss": partial(made_optuna, directions=["minimize"]),
    "optuna-two": partial(made_optuna, directions=["minimize", "maximize"]),
    "bare": made_bare,
    "headless": made_headless,
    "unfinished": made_unfinished,
    "deposit": made_deposit,
}


@pytest.fixture(scope="module", params=MAKERS)
def commons(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Commons:
    path = tmp_path_factory.mktemp(request.param) / "commons"
    MAKERS[request.param](path)
    return Commons(path)


def called(*words: object) -> str:
    done = CliRunner().invoke(app, [str(word) for word in words])
    assert done.exit_code == 0, done.exception
    return done.stdout


def test_records_of_every_run(commons: Commons) -> None:
    for run in commons.runs():
        assert commons.run(run).run == run
        networks = commons.networks(run)
        assert [n.run for n in networks] == [run] * len(networks)
        assert {n.network for n in commons.front(run)} <= {n.network for n in networks if n.trained}
        for event in commons.events(run):
            assert event.data is None or isinstance(event.data.value, dict)
        assert all(e.epoch >= 1 for e in commons.epochs(run))
        assert all(p.epoch >= 1 for p in commons.predictions(run))


@pytest.mark.slow
def test_commands_show_every_run(commons: Commons) -> None:
    where = ("--commons", commons.path)
    assert len(called("status", *where).splitlines()) == 1 + len(commons.runs())
    assert len(json.loads(called("status", "--json", *where))) == len(commons.runs())
    for run in commons.runs():
        assert run in called("status", run, *where)
        assert run in called("front", run, *where)
        document = json.loads(called("front", run, "--json", *where))
        assert len(document["front"]) == len(commons.front(run))
        assert summarise(commons, run).networks == len(commons.networks(run))
        for network in commons.front(run):  # by the pair that `front` shows
            told = called("describe", run, network.network, *where)
            assert told.startswith(f"network     {network.network} of run {run}")
            assert "by the class named" not in told  # none of these versions assessed its networks
        assert not look(commons.path, run).alive
    called("sql", "from front", *where)
    called("commons", "check", "--no-checkpoints", *where)


def test_the_terminal_and_the_picture_say_the_same_of_every_run(commons: Commons) -> None:
    for run in commons.runs():
        summary = summarise(commons, run)
        if summary.epochs_trained:
            said = f"{summary.epochs_trained} of {summary.epochs_budget} epochs"
            assert f"{said} ({summary.epochs_saved_percent:.1f} % saved)" in picture(commons, run).summary


@pytest.mark.slow
def test_every_run_can_be_published(commons: Commons, tmp_path: Path) -> None:
    build(commons.path, commons.runs(), tmp_path / "deposit", metadata(), NO_WEIGHTS)
    for run in commons.runs():
        assert run in (tmp_path / "deposit" / "README.md").read_text()
    if (
        "compacted" in commons.runs()
    ):  # the made-up runs of that time say that their checkpoints are another's
        with pytest.raises(BadInput, match="which is not in the folder of the run"):
            restore(tmp_path / "deposit", tmp_path / "back")
        return
    restore(tmp_path / "deposit", tmp_path / "back")
    back = Commons(tmp_path / "back")
    for run in commons.runs():
        assert back.networks(run) == commons.networks(run)
        assert back.events(run) == commons.events(run)


def test_every_run_survives_compaction(commons: Commons, tmp_path: Path) -> None:
    shutil.copytree(commons.path, tmp_path / "c")
    compact(tmp_path / "c")
    compacted = Commons(tmp_path / "c")
    for run in commons.runs():
        assert compacted.front(run) == commons.front(run)
        assert compacted.networks(run) == commons.networks(run)
