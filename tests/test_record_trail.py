"""A real run leaves everything behind that somebody would ask later, in every table."""

from __future__ import annotations

import hashlib
import json
import math
import platform
import socket
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any

import pytest

from a4nn_core import __version__
from a4nn_core.commons import Commons
from a4nn_core.commons.check import check
from a4nn_core.commons.schema import TABLES
from a4nn_core.experiment import load_experiment
from a4nn_core.penguin.functions import function
from a4nn_core.search import Outcome
from a4nn_core.termination.base import Context
from a4nn_core.workflow.local import run_local
from a4nn_core.workflow.search import network_seed

EPOCHS = 8
# columns that may be empty in this run, and why
EMPTY = {
    # of imports, shadows, runs that learn from others, that failed, that a budget ended, and of deployments
    "runs": {"notes", "shadow_of", "prior", "error", "stopped", "deployment"},
    "networks": {
        "predicted_low",  # this rule gives no intervals
        "predicted_high",
        "equal_to",  # if no genome repeats
        "error",  # if none failed
        "energy_joules",  # not asked for
        "missing_panel_accuracy_percent",  # nor this
        "inherited_from",  # its search hands no weights on
        "inherited_parameters",
        *("best_psnr_db", "best_psnr_se_db", "last_psnr_db", "test_psnr_db", "test_psnr_se_db"),
        *("poisson_deviance", "test_poisson_deviance", "predicted_psnr_db"),  # it classifies
    },
    "epochs": {
        *("predicted_low", "predicted_high", "energy_joules"),
        *("train_psnr_db", "validation_psnr_db", "validation_psnr_se_db", "validation_poisson_deviance"),
    },
    "predictions": {"low", "high"},
    "layers": {"settings"},  # the macro space has no layer with any
}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Commons, datetime, datetime]:
    """A search on digits under PENGUIN, patient enough to stop some networks; when it began and ended."""
    path = tmp_path_factory.mktemp("trail") / "commons"
    changes = [
        *("search.networks=8", "search.population=4", "search.offspring=4"),
        *(f"training.epochs={EPOCHS}", "training.slots=1", "space.channels=4"),
        *("termination.tolerance=8.0", "termination.minimum=3"),
    ]
    began = datetime.now(UTC)
    run_local(load_experiment("digits", changes), path, "r")
    return Commons(path), began, datetime.now(UTC)


@pytest.mark.integration
@pytest.mark.parametrize("table", [name for name in TABLES if name not in ("considered", "rejected")])
def test_no_column_stays_empty(made: tuple[Commons, datetime, datetime], table: str) -> None:
    rows = made[0].sql(f"from {table}").to_arrow_table().to_pylist()
    assert rows
    empty = {name for name in rows[0] if all(row[name] in (None, [], "", "{}") for row in rows)}
    assert empty <= EMPTY.get(table, set())


@pytest.mark.integration
def test_the_run(made: tuple[Commons, datetime, datetime]) -> None:
    commons, began, ended = made
    run = commons.run("r")
    assert run.code_version == __version__
    environment = json.loads(run.environment)
    for package in ("numpy", "torch", "pymoo", "duckdb", "pyarrow", "scikit-learn"):
        assert environment[package] == version(package)
    assert environment["python"] == platform.python_version()
    assert environment["processor"]
    assert environment["platform"] == platform.platform()
    assert run.host == socket.gethostname()
    assert (run.device, run.threads, run.seed) == ("cpu", 1, 1)
    assert began <= run.started <= run.ended <= ended
    assert len(run.dataset_fingerprint) == 64
    details = json.loads(run.dataset_details)
    assert details["shape"] == [1, 8, 8]
    assert details["train"] + details["validation"] + details["test"] == 1797
    assert json.loads(run.experiment)["termination"]["tolerance"] == 8.0


@pytest.mark.integration
def test_the_networks(made: tuple[Commons, datetime, datetime]) -> None:
    commons, _, _ = made
    what = load_experiment("digits", ["space.channels=4"])
    networks = commons.networks("r")
    for row in networks:
        architecture = what.space.decode(json.loads(row.genome), (1, 8, 8), 10)
        assert row.architecture_hash == architecture.hash
        assert (row.flops, row.parameters) == (architecture.flops, architecture.parameters)
        assert row.operator
        assert bool(row.parents) == (row.generation > 0)
        if row.status == "equal":
            continue
        assert row.seed == network_seed(1, row.network)
        assert row.front_version == row.generation
        assert row.device == "cpu"
        for name in ("checkpoint", "best_checkpoint"):
            digest = hashlib.sha256((commons.path / getattr(row, name)).read_bytes()).hexdigest()
            assert getattr(row, f"{name}_sha256") == digest
    layers = commons.sql("select network, sum(flops), count(*) from layers group by 1 order by 1").fetchall()
    assert [(n, flops) for n, flops, _ in layers] == [(r.network, r.flops) for r in networks]
    edges = commons.sql("select network, min(target - source), count(*) from edges group by 1").fetchall()
    assert len(edges) == len(networks)
    assert all(least > 0 for _, least, _ in edges)  # what a layer is fed by comes before it


@pytest.mark.integration
def test_the_epochs(made: tuple[Commons, datetime, datetime]) -> None:
    commons, began, ended = made
    details = json.loads(commons.run("r").dataset_details)
    for row in commons.epochs("r"):
        # a cosine from 0.025 to 0 over the budget, as set before the epoch
        cosine = 0.025 * (1 + math.cos(math.pi * (row.epoch - 1) / EPOCHS)) / 2
        assert row.learning_rate == pytest.approx(cosine)
        assert 0 < row.validation_accuracy_percent <= 100
        assert 0 < row.train_accuracy_percent <= 100
        assert row.train_loss > 0
        assert row.validation_loss > 0
        assert began < row.time < ended
        # training takes a part of the epoch's time
        assert row.images_per_second >= details["train"] / row.seconds > 0
        assert 10e6 < row.peak_memory_bytes < 100e9


@pytest.mark.integration
def test_verdicts_and_fits_can_be_made_again_from_the_records(
    made: tuple[Commons, datetime, datetime],
) -> None:
    commons, _, _ = made
    what = load_experiment("digits", ["termination.tolerance=8.0", "termination.minimum=3"])
    fits = {(p.network, p.epoch): p for p in commons.predictions("r")}
    curves: dict[int, list[float]] = {}
    stopped: dict[int, dict[str, Any]] = {}
    for row in commons.epochs("r"):
        curve = curves.setdefault(row.network, [])
        curve.append(row.validation_accuracy_percent)
        verdict = what.termination.judge(curve, Context(horizon=EPOCHS))
        assert (row.verdict, row.reason, row.predicted) == (
            verdict.action,
            verdict.reason,
            verdict.predicted,
        )
        if verdict.action == "stop":
            assert json.loads(row.evidence) == verdict.evidence
            stopped[row.network] = json.loads(row.evidence)
        fit = fits.pop((row.network, row.epoch), None)
        assert (fit is None) == (not verdict.fits)
        if fit is not None:
            assert fit.verdict == verdict.action
            assert fit.microseconds > 0
            assert fit.status == verdict.fits[0].status
            parameters = json.loads(fit.parameters)
            if fit.predicted is not None:
                value = function(fit.function).evaluate(parameters, EPOCHS)[0]
                assert fit.predicted == pytest.approx(float(value), rel=1e-12)
                assert set(parameters) == {"a", "b", "c"}
                assert fit.residual >= 0
    assert not fits
    assert stopped, "this run was made to stop some networks"
    for row in commons.networks("r"):
        if row.network in stopped and row.status == "stopped":
            assert row.termination_reason == "converged"
            assert json.loads(row.termination_evidence) == stopped[row.network]
            assert row.predicted_accuracy_percent == stopped[row.network]["predictions"][-1]


@pytest.mark.integration
def test_the_events_are_enough_to_replay_the_search(made: tuple[Commons, datetime, datetime]) -> None:
    commons, began, ended = made
    events = commons.events("r")
    assert [e.number for e in events] == list(range(1, len(events) + 1))
    times = [e.time for e in events]
    assert times == sorted(times)
    assert began <= times[0]
    assert times[-1] <= ended
    kinds = [e.kind for e in events]
    assert kinds[0] == "started"
    assert kinds[-1] == "completed"
    started = json.loads(events[0].data)
    assert started["host"] == platform.node()
    assert started["code_version"] == __version__
    assert started["environment"]["torch"] == version("torch")
    lives = {e.network: [] for e in events if e.network is not None}
    for e in events:
        if e.network is not None:
            lives[e.network].append(e.kind)
    for row in commons.networks("r"):
        expected = ["asked", "submitted", row.status, "told"]
        assert lives[row.network] == (["asked", "told"] if row.status == "equal" else expected)
    what = load_experiment("digits", ["search.networks=8"])
    strategy = what.search.start(what.space, what.seed)
    asked = []
    for e in events:
        if e.kind == "asked" and e.network == len(asked):
            asked += strategy.ask(8)
        elif e.kind == "told":
            strategy.tell(Outcome(e.network, json.loads(e.data)["fitness"]))
    assert [c.genome for c in asked] == [json.loads(n.genome) for n in commons.networks("r")]
    assert [list(c.parents) for c in asked] == [list(n.parents) for n in commons.networks("r")]
    assert strategy.finished
    assert check(commons.path).problems == []
