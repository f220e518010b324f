"""Our histories in Syne Tune's layout, read and replayed by Syne Tune itself.

Its reader needs little of what the package asks for: ``pip install --no-deps syne-tune`` and the packages
that the extra ``test`` names are enough.
"""

from __future__ import annotations

import importlib.util
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from commons_data import HORIZON, header, journal_epochs, made_up_run, network_record
from typer.testing import CliRunner

from a4nn_core.cli.commons import app
from a4nn_core.commons import Commons, JournalEpoch, RunWriter, predictions_of
from a4nn_core.errors import BadInput
from a4nn_core.interchange.syne_tune import export_blackbox
from a4nn_core.jsonable import JsonText
from a4nn_core.vocabulary import NetworkStatus, RunStatus

runner = CliRunner()
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")
needs_syne_tune = pytest.mark.skipif(
    any(importlib.util.find_spec(name) is None for name in ("syne_tune", "fastparquet", "huggingface_hub")),
    reason="needs syne-tune (pip install --no-deps syne-tune), fastparquet and huggingface_hub",
)


def genome(bits: int) -> list[list[int]]:
    return [[bits & 1, bits >> 1 & 1], [bits >> 2 & 1, bits >> 3 & 1]]


def run_of(commons: Path, run: str, networks: range) -> None:
    """A run whose genomes repeat after 15, and whose last network equals its first."""
    with RunWriter.open(commons, run, header()) as writer:
        for network in networks:
            record_one(writer, network, network % 15, HORIZON if network % 4 else 8)
        last = networks.stop
        equal = replace(
            network_record(last, [JournalEpoch(epoch=1, validation_accuracy_percent=1.0)]),
            genome=JsonText("[[1,1],[1,1]]"),
            status=NetworkStatus.equal,
            equal_to=networks.start,
            epochs_trained=0,
        )
        writer.record(equal)
        writer.finish(RunStatus.completed)


def record_one(writer: RunWriter, network: int, bits: int, epochs: int) -> None:
    """One network with a genome of four bits."""
    curve = journal_epochs(network, epochs)
    made = replace(network_record(network, curve), genome=JsonText.of(genome(bits)))
    writer.record(made, epochs=curve, predictions=predictions_of(curve))


@pytest.fixture
def commons(tmp_path: Path) -> Path:
    path = tmp_path / "commons"
    run_of(path, "one", range(20))
    run_of(path, "two", range(5, 9))
    return path


@pytest.mark.slow
def test_numbers(commons: Path, tmp_path: Path) -> None:
    out = tmp_path / "box"
    counts = export_blackbox(commons, out)
    assert counts == {"tasks": 2, "genomes": 16, "epochs": HORIZON, "objectives": 8}
    table = np.load(out / "objectives_evaluations.npy")
    assert table.shape == (2, 16, 1, HORIZON, 8)
    names = json.loads((out / "metadata.json").read_text())["objectives_names"]
    places = pq.read_table(out / "networks.parquet").to_pylist()
    hyperparameters = pq.read_table(out / "hyperparameters.parquet").to_pylist()
    assert np.load(out / "fidelities_values.npy").tolist() == list(range(1, HORIZON + 1))
    for place in places:
        task = ["one", "two"].index(place["run"])
        networks = {n.network: n for n in Commons(commons).networks(place["run"])}
        network = networks[place["network"]]
        flat = dict(
            zip(
                ("gene_0_0", "gene_0_1", "gene_1_0", "gene_1_1"),
                [bit for phase in network.genome.value for bit in phase],
                strict=True,
            )
        )
        assert hyperparameters[place["row"]] == flat
        number = network.trained_as
        epochs = [e for e in Commons(commons).epochs(place["run"]) if e.network == number]
        mine = {name: table[task, place["row"], 0, :, k] for k, name in enumerate(names)}
        assert mine["metric_valid_error"][: len(epochs)].tolist() == [
            100 - e.validation_accuracy_percent for e in epochs
        ]
        assert mine["metric_elapsed_time"][: len(epochs)].tolist() == [1.5 * e.epoch for e in epochs]
        assert mine["metric_flops"][0] == network.flops
        assert np.isnan(table[task, place["row"], 0, len(epochs) :]).all()
    # of a genome that was trained twice the longer training counts, the first of equals: 0 and 4 were stopped
    expected = [*range(1, 4), *range(5, 16), 19, 20]
    assert sorted(p["network"] for p in places if p["run"] == "one") == expected
    assert len([p for p in places if p["run"] == "two"]) == 5


@pytest.mark.slow
@needs_syne_tune
def test_syne_tune_reads_it(commons: Path, tmp_path: Path) -> None:
    from syne_tune.blackbox_repository.blackbox_tabular import deserialize

    export_blackbox(commons, tmp_path / "box")
    boxes = deserialize(str(tmp_path / "box"))
    assert list(boxes) == ["one", "two"]
    box = boxes["one"]
    curve = [100 - e.validation_accuracy_percent for e in Commons(commons).epochs("one") if e.network == 19]
    found = [
        box.objective_function(
            {"gene_0_0": 0, "gene_0_1": 0, "gene_1_0": 1, "gene_1_1": 0}, {"epoch": epoch}, seed=0
        )["metric_valid_error"]
        for epoch in range(1, HORIZON + 1)
    ]
    assert found == curve
    assert set(box.configuration_space) == {"gene_0_0", "gene_0_1", "gene_1_0", "gene_1_1"}
    assert all(0 <= space.sample() <= 1 for space in box.configuration_space.values())
    inputs, values = (
        box.hyperparameter_objectives_values()
    )  # for surrogates; fills in where a network was stopped
    assert np.isfinite(values.to_numpy()).all()
    assert len(inputs) == 16 * HORIZON


@pytest.mark.slow
@needs_syne_tune
def test_syne_tune_replays_it(commons: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Random search on the simulator's clock: what it reports is what was recorded."""
    monkeypatch.setenv("SYNETUNE_FOLDER", str(tmp_path / "syne"))
    from syne_tune import StoppingCriterion, Tuner
    from syne_tune.backend.simulator_backend.simulator_callback import SimulatorCallback
    from syne_tune.blackbox_repository import UserBlackboxBackend
    from syne_tune.blackbox_repository.blackbox_tabular import deserialize
    from syne_tune.experiments import load_experiment
    from syne_tune.optimizer.baselines import RandomSearch

    with RunWriter.open(commons, "full", header()) as writer:
        for network in range(16):
            record_one(writer, network, network, HORIZON)
    export_blackbox(commons, tmp_path / "box", ["full"])
    box = deserialize(str(tmp_path / "box"))["full"]
    backend = UserBlackboxBackend(box, elapsed_time_attr="metric_elapsed_time", seed=0)
    backend.set_path(results_root=str(tmp_path / "syne"), tuner_name="replay")
    tuner = Tuner(
        trial_backend=backend,
        scheduler=RandomSearch(
            {**box.configuration_space, "epochs": HORIZON}, metrics=["metric_valid_error"], random_seed=1
        ),
        stop_criterion=StoppingCriterion(max_num_trials_completed=4),
        n_workers=2,
        sleep_time=0,
        callbacks=[SimulatorCallback()],
        tuner_name="replay",
        suffix_tuner_name=False,
    )
    tuner.run()
    results = load_experiment("replay", local_path=tmp_path / "syne").results
    recorded = {
        (e.network, e.epoch): 100 - e.validation_accuracy_percent for e in Commons(commons).epochs("full")
    }
    assert len(results) >= 4 * HORIZON
    genes = [f"config_gene_{i}_{j}" for i in (0, 1) for j in (0, 1)]
    for row in results.to_dict("records"):
        network = sum(int(row[gene]) << k for k, gene in enumerate(genes))
        assert row["metric_valid_error"] == recorded[network, row["epoch"]]
        assert row["metric_elapsed_time"] == 1.5 * row["epoch"]


@pytest.mark.slow
def test_left_out_and_refused(commons: Path, tmp_path: Path) -> None:
    made_up_run(commons, "other", 3)
    with pytest.raises(
        BadInput, match=r"network 0 of run 'other' has the genes gene_0_0, .*gene_1_2, others"
    ):
        export_blackbox(commons, tmp_path / "box")
    with pytest.raises(BadInput, match="has no run 'x'"):
        export_blackbox(commons, tmp_path / "box", ["x"])
    with RunWriter.open(commons, "empty", header()):
        pass
    with pytest.raises(BadInput, match="has no epochs of empty to export"):
        export_blackbox(commons, tmp_path / "box", ["empty"])
    assert [p.name for p in tmp_path.iterdir()] == ["commons"]
    (tmp_path / "box").mkdir()
    with pytest.raises(BadInput, match="exists already"):
        export_blackbox(commons, tmp_path / "box", ["one"])


def test_too_much_for_one_table(commons: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("a4nn_core.interchange.syne_tune._MOST_BYTES", 1000)
    with pytest.raises(BadInput, match="2 runs with 16 genomes and 25 epochs are too large"):
        export_blackbox(commons, tmp_path / "box")


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([1, 0, 1], ("Integer", {"lower": 0, "upper": 1})),
        ([0.5, 2], ("Float", {"lower": 0.5, "upper": 2.0})),
        (["relu", "gelu", "relu"], ("Categorical", {"categories": ["gelu", "relu"]})),
        ([True, False], ("Categorical", {"categories": [False, True]})),
    ],
)
def test_domains(values: list[Any], expected: tuple[str, dict[str, Any]]) -> None:
    from a4nn_core.interchange.syne_tune import _domain

    found = _domain(values)
    assert (found["domain_cls"], found["domain_kwargs"]) == expected


def test_command(commons: Path, tmp_path: Path) -> None:
    arguments = [
        "one",
        "--out",
        str(tmp_path / "box"),
        "--format",
        "syne-tune",
        "--commons",
        str(commons),
        "--json",
    ]
    result = runner.invoke(app, ["export", *arguments])
    assert result.exit_code == 0, result.exception
    assert json.loads(result.stdout)["rows"]["genomes"] == 16
    assert (tmp_path / "box" / "configspace.json").is_file()
