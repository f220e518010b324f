"""How exact accuracies are, worked out by hand, and that each place that shows one says so."""

from __future__ import annotations

import json
import math
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from commons_data import header
from deposits import metadata
from fakes import FakeExecutor, experiment, search
from test_cli import A4NN
from typer.testing import CliRunner

from a4nn_core.cli.app import app
from a4nn_core.cli.progress import Progress
from a4nn_core.commons import Commons, RunWriter
from a4nn_core.commons.records import Network
from a4nn_core.jsonable import JsonText
from a4nn_core.precision import (
    Images,
    Rated,
    alike,
    cheaper_alike,
    in_percent,
    plus_minus,
    standard_error,
)
from a4nn_core.publish.deposit.build import Settings, build
from a4nn_core.vocabulary import NetworkStatus, RunStatus
from a4nn_core.workflow.summary import summarise
from a4nn_flows.artifacts import _front_row, _generation_row, _report


@pytest.mark.parametrize(
    ("accuracy", "images", "expected"),
    [
        (50.0, 100, 5.0),  # p = 52 / 104 = 1 / 2; 100 sqrt(1 / 4 / 100)
        (100.0, 96, 1.4289),  # p = 2 / 100; 100 sqrt(0.0196 / 96) = 14 / sqrt(96)
        (0.0, 96, 1.4289),
        (100 - 3800 / 396, 396, 1.5076),  # p = 40 / 400; 100 sqrt(0.09 / 396) = 30 / sqrt(396)
        (95.8, 1000, 0.6473),  # p = 44 / 1004; 100 sqrt(44 * 960 / 1004^2 / 1000)
    ],
)
def test_by_hand(accuracy: float, images: int, expected: float) -> None:
    assert standard_error(accuracy, images) == pytest.approx(expected, abs=5e-5)


@pytest.mark.parametrize(
    ("accuracy", "images"),
    [(None, 100), (95.0, None), (95.0, 0), (95.0, -3), (100.1, 100), (-0.1, 100), (math.nan, 100)],
)
def test_what_cannot_be_known_is_none(accuracy: float | None, images: int | None) -> None:
    assert standard_error(accuracy, images) is None


def test_alike_by_hand() -> None:
    # 1.96 sqrt(3^2 + 4^2) = 9.8
    assert alike(50, 3, 59.79, 4)
    assert alike(59.79, 4, 50, 3)
    assert not alike(50, 3, 59.81, 4)
    assert not alike(59.81, 4, 50, 3)


def member(network: int, flops: int | None, accuracy: float | None, se: float | None) -> Rated:
    return Rated(network, flops, accuracy, se)


def test_the_cheapest_of_those_that_are_alike() -> None:
    members = [
        member(5, 400, 90.0, 1.0),  # 2.77 points away is apart
        member(4, 300, 88.5, 1.0),
        member(3, 200, 87.5, 1.0),
        member(0, 100, 80.0, 1.0),
        member(7, 300, 88.0, 1.0),  # costs as much as 4, so neither is named for the other
        member(8, None, 90.0, 1.0),
        member(9, 50, None, None),
        member(6, 60, 90.0, None),
    ]
    assert cheaper_alike(members) == {5: 3, 4: 3, 3: None, 0: None, 7: 3, 8: None, 9: None, 6: None}
    assert cheaper_alike([member(0, 1, 90.0, 1.0), member(1, 2, 90.5, 1.0)]) == {0: None, 1: 0}
    assert cheaper_alike([]) == {}


@pytest.mark.parametrize(
    ("details", "expected"),
    [
        ({"validation": 269, "test": 100, "train": 5}, Images(269, 100)),
        ('{"validation": 269}', Images(269, None)),
        ({"validation": 0, "test": -1}, Images()),
        ({"validation": True, "test": "many"}, Images()),
        ({"name": "protein diffraction"}, Images()),
        ("xfel", Images()),
        ("null", Images()),
        ("[1, 2]", Images()),
        (None, Images()),
    ],
)
def test_counts_of_images(details: object, expected: Images) -> None:
    assert Images.of(details) == expected


def test_texts() -> None:
    assert plus_minus(95.834, 0.6349) == "95.83 ± 0.63"
    assert in_percent(95.834, 0.6349) == "95.83 ± 0.63 %"
    assert in_percent(95.834, None) == "95.83 %"
    assert in_percent(None, None) == "-"
    assert str(Images(1269, 269)) == "1,269 validation and 269 test images"
    assert str(Images(269)) == "269 validation images"
    assert str(Images()) == ""


def test_it_needs_no_torch() -> None:
    code = "import sys, a4nn_core.precision; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


# the outputs

BEST, TWIN, CHEAP = 1, 2, 0
ROWS = (
    # network, millions of multiply-adds, errors among 396 validation images, test accuracy
    (BEST, 3, 0, 100.0),
    (TWIN, 2, 34, None),
    (CHEAP, 1, 38, 50.0),
)


@pytest.fixture(scope="module")
def commons(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Runs of three networks, all on the front; one run that counted its images, one that did not."""
    path = tmp_path_factory.mktemp("precision") / "commons"
    counted = {"name": "xfel", "validation": 396, "test": 96}
    for run, dataset in (("counted", counted), ("uncounted", {"name": "xfel"})):
        with RunWriter.open(path, run, header(dataset=dataset)) as writer:
            for network, mflops, errors, test in ROWS:
                accuracy = 100 - 100 * errors / 396
                made = Network(
                    network=network,
                    generation=0,
                    genome=JsonText.of([[network]]),
                    flops=mflops * 10**6,
                    parameters=1000,
                    status=NetworkStatus.completed,
                    fitness={"error_percent": 100 - accuracy, "mflops": mflops},
                    best_accuracy_percent=accuracy,
                    test_accuracy_percent=test,
                    epochs_trained=25,
                    epochs_budget=25,
                    seconds=1.0,
                )
                writer.record(made)
            writer.finish(RunStatus.completed, seconds=3.0)
    return path


def a4nn(*words: str | Path) -> str:
    done = CliRunner().invoke(app, [str(word) for word in words])
    assert done.exit_code == 0, done.exception
    return done.stdout


@pytest.mark.slow
def test_the_front_table(commons: Path) -> None:
    shown = a4nn("front", "counted", "--commons", commons).split("3 networks,")[0]
    lines = {line.split()[0]: " ".join(line.split()[1:]) for line in shown.splitlines() if line.strip()}
    assert lines["network"].startswith("validation ≈ test MFLOPs")
    # 100 sqrt(p (1 - p) / 396) with p = 2, 36 and 40 of 400; on 96 test images 14 / sqrt(96), and p = 1 / 2
    assert lines[str(BEST)].startswith("100.00 ± 0.35 % - 100.00 ± 1.43 % 3.0000")
    assert lines[str(TWIN)].startswith("91.41 ± 1.44 % 0 - 2.0000")
    assert lines[str(CHEAP)].startswith("90.40 ± 1.51 % - 50.00 ± 5.10 % 1.0000")
    assert lines["±"] == "one standard error, of 396 validation and 96 test images"
    assert lines["≈"] == "not distinguishable from this cheaper network by validation accuracy"


@pytest.mark.slow
def test_where_images_were_not_counted_nothing_is_shown(commons: Path) -> None:
    shown = a4nn("front", "uncounted", "--commons", commons)
    assert "100.00 %" in shown
    assert not set("±≈") & set(shown)
    assert not set("±≈") & set(a4nn("status", "uncounted", "--commons", commons))
    result = json.loads(a4nn("front", "uncounted", "--commons", commons, "--json"))
    assert result["best_accuracy_se_points"] is result["validation_images"] is result["test_images"] is None
    for one in result["front"]:
        assert one["accuracy_se_points"] is one["test_accuracy_se_points"] is None
        assert one["indistinguishable_from"] is None


@pytest.mark.slow
def test_json(commons: Path) -> None:
    result = json.loads(a4nn("front", "counted", "--commons", commons, "--json"))
    assert result["best_accuracy_percent"] == 100
    assert result["best_accuracy_se_points"] == pytest.approx(0.3544, abs=5e-5)
    assert (result["validation_images"], result["test_images"]) == (396, 96)
    front = {one["network"]: one for one in result["front"]}
    errors = {n: (one["accuracy_se_points"], one["test_accuracy_se_points"]) for n, one in front.items()}
    assert errors == {
        BEST: (pytest.approx(0.3544, abs=5e-5), pytest.approx(1.4289, abs=5e-5)),
        TWIN: (pytest.approx(1.4381, abs=5e-5), None),
        CHEAP: (pytest.approx(1.5076, abs=5e-5), pytest.approx(5.1031, abs=5e-5)),
    }
    twins = {n: one["indistinguishable_from"] for n, one in front.items()}
    assert twins == {BEST: None, TWIN: CHEAP, CHEAP: None}
    (status,) = json.loads(a4nn("status", "counted", "--commons", commons, "--json"))
    assert status["best_accuracy_se_points"] == result["best_accuracy_se_points"]


def test_status(commons: Path) -> None:
    listed = a4nn("status", "--commons", commons).splitlines()
    assert [("100.00 ± 0.35 %" in line) for line in listed[1:]] == [True, False]
    assert "100.00 ± 0.35 %" in a4nn("status", "counted", "--commons", commons)


@pytest.mark.slow
def test_a_terminal_without_these_signs_gets_no_traceback(commons: Path) -> None:
    done = subprocess.run(
        [*A4NN, "front", "counted", "--commons", str(commons)],
        env={**os.environ, "PYTHONIOENCODING": "ascii"},
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert b"100.00 ? 0.35 %" in done.stdout


def test_prefect_shows_them(commons: Path) -> None:
    summary = summarise(Commons(commons), "counted")
    front = {row["network"]: row for row in map(_front_row, summary.front)}
    assert front[TWIN]["accuracy_se_points"] == pytest.approx(1.4381, abs=5e-5)
    assert front[TWIN]["indistinguishable_from"] == CHEAP
    assert front[BEST]["test_accuracy_se_points"] == pytest.approx(1.4289, abs=5e-5)
    report = _report(summary)
    assert "Best validation accuracy: 100.00 ± 0.35 %. ± is one standard error, of 396 validation" in report
    assert "Best validation accuracy: 100.00 %.\n" in _report(summarise(Commons(commons), "uncounted"))
    for row in Commons(commons).networks("counted"):
        shown = _generation_row(row, summary.images)
        assert shown["best_accuracy_percent"] == row.best_accuracy_percent
        assert shown["best_accuracy_se_points"] == front[row.network]["accuracy_se_points"]
        assert shown["test_accuracy_se_points"] == front[row.network]["test_accuracy_se_points"]
    failed = _generation_row(Network(network=3, status=NetworkStatus.failed), summary.images)
    assert failed["best_accuracy_se_points"] is None


@pytest.mark.slow
def test_the_readme_of_a_deposit(commons: Path, tmp_path: Path) -> None:
    settings = Settings(weights="none", models="none")
    texts = []
    for runs in (["counted", "uncounted"], ["uncounted"]):
        build(commons, runs, tmp_path / str(len(runs)), metadata(), settings)
        texts.append((tmp_path / str(len(runs)) / "README.md").read_text())
    for line in (
        "| run | network | validation % | ≈ | test % | multiply-adds | parameters |",
        f"| counted | {BEST} | 100.00 ± 0.35 | - | 100.00 ± 1.43 | 3,000,000 | 1,000 |",
        f"| counted | {TWIN} | 91.41 ± 1.44 | {CHEAP} | - | 2,000,000 | 1,000 |",
        f"| uncounted | {TWIN} | 91.41 | - | - | 2,000,000 | 1,000 |",
    ):
        assert f"{line}\n" in texts[0]
    assert f"| uncounted | {BEST} | 100.00 | 100.00 | 3,000,000 | 1,000 |\n" in texts[1]
    assert not set("±≈") & set(texts[1])


def test_a_search_says_them_as_it_goes_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with Progress(experiment()) as progress:
        one = search(experiment(), tmp_path, FakeExecutor(), watcher=progress, validation=269)
    said = capsys.readouterr().err
    for number, row in one.networks.items():
        accuracy = row.best_accuracy_percent
        expected = f"{accuracy:.2f} ± {standard_error(accuracy, 269):.2f} %"
        [line] = [line for line in said.splitlines() if re.match(rf"network +{number} ", line)]
        assert expected in line
    best = max(row.best_accuracy_percent for row in one.networks.values())
    (bar,) = [task for task in progress.bars.tasks if task.id == progress.networks]
    assert f"best {best:.2f} ± {standard_error(best, 269):.2f} %" in bar.fields["note"]


def test_a_search_on_images_that_nobody_counted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with Progress(experiment()) as progress:
        search(experiment(), tmp_path, FakeExecutor(), watcher=progress)
    said = capsys.readouterr().err
    assert "±" not in said
    assert said.count(" %  trained to the end") == 12
