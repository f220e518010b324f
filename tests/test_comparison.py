"""Runs side by side: whose network counts, over several seeds, with what it cost; studies of seeds."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command import a4nn
from fakes import FakeExecutor, experiment, search
from scipy.stats import wilcoxon

from a4nn_core.archaeology.comparison import Field, Found, System, _differences, _ranked, compare
from a4nn_core.archaeology.comparison_table import HEADER, as_html, as_json, as_markdown, cells
from a4nn_core.cli.compare import write
from a4nn_core.cli.study import recorded_study, run_ids
from a4nn_core.commons import Commons
from a4nn_core.errors import BadInput
from a4nn_core.experiment import Experiment
from a4nn_core.precision import standard_error

IMAGES = {"validation": 269, "test": 270}


def found(seed: int = 1, accuracy: float | None = 90.0, **changes: Any) -> Found:
    values: dict[str, Any] = {
        "run": f"r{seed}",
        "network": 0,
        "seed": seed,
        "ended": True,
        "test_accuracy_percent": accuracy,
        "validation_accuracy_percent": 91.0,
        "seconds": 120.0,
        "training_seconds": 100.0,
        "mflops": 1.5,
        "parameters": 1000,
        "latency_ms": None,
        "epochs": 60,
        "budget": 80,
        "test_images": 1000,
    }
    return Found(**{**values, **changes})


def hand_designed(networks: list[str], **training: Any) -> Experiment:
    tables = experiment(training=training).to_mapping()
    return Experiment.from_mapping(
        {**tables, "space": {"name": "designed", "networks": networks}, "search": "exhaustive"}
    )


@pytest.fixture(scope="module")
def commons(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two searches with two seeds each, and hand-designed networks."""
    folder = tmp_path_factory.mktemp("comparison")
    for seed in (1, 2):
        plain = experiment(seed=seed)
        search(plain, folder, FakeExecutor(), f"plain-{seed}", **IMAGES)
        fixed = experiment(seed=seed, termination={"name": "fixed", "epochs": 2})
        search(fixed, folder, FakeExecutor(), f"fixed-{seed}", **IMAGES)
    designed = hand_designed(["small-cnn", "small-cnn*0.5"])
    search(designed, folder, FakeExecutor(), "designed", **IMAGES)
    return folder


def test_the_network_of_a_run_is_the_best_by_validation_and_told_by_its_test_accuracy(commons: Path) -> None:
    [field] = compare(Commons(commons), ["plain-1"])
    [system] = field.systems
    [one] = system.found
    networks = [n for n in Commons(commons).networks("plain-1") if n.trained]
    best = max(networks, key=lambda n: (n.best_accuracy_percent or 0, -(n.flops or 0)))
    assert (one.run, one.network, one.seed) == ("plain-1", best.network, 1)
    assert one.test_accuracy_percent == best.test_accuracy_percent != best.best_accuracy_percent
    assert system.accuracy_se_points == standard_error(best.test_accuracy_percent, 270)
    assert one.training_seconds == pytest.approx(sum(n.seconds or 0 for n in networks))
    assert one.mflops == (best.flops or 0) / 1e6


def test_seeds_of_one_system_are_one_row_and_hand_designed_networks_one_each(commons: Path) -> None:
    [field] = compare(Commons(commons), ["plain-*", "fixed-*", "designed"])
    rows = {system.name: system for system in field.systems}
    assert set(rows) == {"nsga-net, none", "nsga-net, fixed", "small-cnn", "small-cnn*0.5"}
    assert [one.run for one in rows["nsga-net, none"].found] == ["plain-1", "plain-2"]
    assert rows["nsga-net, fixed"].found[0].saved_percent > 40
    single = rows["small-cnn"].found[0]
    assert (single.epochs, single.budget) == (4, 4)
    assert single.seconds == single.training_seconds == 8.0
    accuracies = [one.test_accuracy_percent for one in rows["nsga-net, none"].found]
    value = rows["nsga-net, none"].accuracy
    assert value is not None
    assert (value.mean, value.deviation) == (np.mean(accuracies), np.std(accuracies, ddof=1))
    ordered = [system.accuracy.mean for system in field.systems if system.accuracy]
    assert ordered == sorted(ordered, reverse=True)


def test_settings_that_differ_are_said_where_the_words_are_the_same(tmp_path: Path) -> None:
    for budget in (2, 4):
        what = experiment(training={"epochs": budget})
        search(what, tmp_path, FakeExecutor(), f"r{budget}", **IMAGES)
    [field] = compare(Commons(tmp_path), ["r*"])
    assert {system.name for system in field.systems} == {
        "nsga-net, none (training.epochs 2)",
        "nsga-net, none (training.epochs 4)",
    }


@pytest.mark.parametrize(
    ("runs", "seeds", "words"),
    [
        (["nothing-*"], None, "has no run 'nothing-[*]'"),
        (["plain-*"], 3, "nsga-net, none has 2 seeds of digits.*, fewer than 3"),
    ],
)
def test_what_cannot_be_compared(commons: Path, runs: list[str], seeds: int | None, words: str) -> None:
    with pytest.raises(BadInput, match=words):
        compare(Commons(commons), runs, seeds)


def test_the_same_seed_twice_is_refused(tmp_path: Path) -> None:
    for run in ("a", "b"):
        search(experiment(), tmp_path, FakeExecutor(), run, **IMAGES)
    with pytest.raises(BadInput, match="runs 'a' and 'b' are the same search with the same seed 3"):
        compare(Commons(tmp_path), ["a", "b"])


def test_as_many_seeds_as_asked_for_count(commons: Path) -> None:
    [field] = compare(Commons(commons), ["plain-*", "fixed-1"], seeds=1)
    assert [len(system.found) for system in field.systems] == [1, 1]
    assert {system.found[0].seed for system in field.systems} == {1}


# what the numbers say


def test_the_standard_error_is_of_test_images_and_of_seeds() -> None:
    system = System("s", tuple(found(seed, 90.0 + seed) for seed in (1, 2, 3)))
    sampled = standard_error(92.0, 1000)
    assert sampled is not None
    assert system.accuracy_se_points == pytest.approx(np.hypot(sampled, 1 / np.sqrt(3)))


def test_what_cannot_be_told_from_the_best_is_marked() -> None:
    best, near, far = (System(n, (found(1, a),)) for n, a in (("b", 95.0), ("n", 94.0), ("f", 90.0)))
    ranked = _ranked([far, near, best])
    assert [(one.name, one.alike) for one in ranked] == [("b", False), ("n", True), ("f", False)]


def test_pairs_are_tested_seed_by_seed_where_there_are_enough_with_holms_correction() -> None:
    rng = np.random.default_rng(1)
    curves = {name: 90 + shift + rng.normal(0, 0.3, 8) for name, shift in (("a", 0), ("b", 1), ("c", 0.1))}
    systems = [System(n, tuple(found(s, float(v)) for s, v in enumerate(c))) for n, c in curves.items()]
    tested = {(d.first, d.second): d for d in _differences(systems)}
    raw = {pair: wilcoxon(curves[pair[0]] - curves[pair[1]]).pvalue for pair in tested}
    ordered = sorted(raw, key=lambda pair: raw[pair])
    least = 0.0
    for rank, pair in enumerate(ordered):
        least = max(least, min(1.0, raw[pair] * (3 - rank)))
        assert tested[pair].p == pytest.approx(least)
        assert tested[pair].points == pytest.approx(np.mean(curves[pair[0]] - curves[pair[1]]))
    assert _differences([System("x", tuple(found(s) for s in range(5))) for _ in range(2)]) == ()


# forms


def fields() -> list[Field]:
    systems = (System("a|b <c>", (found(1, 95.0), found(2, 96.0))), System("d", (found(1, None),)))
    return [Field("xfel, low beam", "low", systems)]


def test_markdown_and_pages_have_every_system_and_what_was_published() -> None:
    text, page = as_markdown(fields()), as_html(fields(), "T")
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert len(rows) == 2 + 2 + 2
    assert all(line.replace("\\|", "").count("|") == len(HEADER) + 1 for line in rows)
    assert "XPSI (published)" in text
    assert "97.8" in text
    assert "four NVIDIA V100" in text
    assert "&lt;c&gt;" in page
    assert "<c>" not in page
    assert "http" not in page
    assert page.count("<tr") == 1 + 2 + 2


def test_cells_say_what_is_not_known() -> None:
    row = dict(zip(HEADER, cells(System("d", (found(1, None, seconds=None),))), strict=True))
    assert row["test accuracy (%)"] == row["wall time"] == row["latency (ms)"] == "-"
    assert (row["device time"], row["saved"]) == ("1.67 min", "25 %")
    several = dict(zip(HEADER, cells(fields()[0].systems[0]), strict=True))
    assert several["parameters"] == "1,000"  # the same for both seeds


def test_a_run_that_has_not_ended_is_said() -> None:
    [one] = fields()
    systems = (replace(one.systems[0], found=(found(ended=False),)),)
    assert "Not ended, and counted as far as they are: r1." in as_markdown([replace(one, systems=systems)])
    assert "Not ended" not in as_markdown([one])


@pytest.mark.slow
@pytest.mark.parametrize("form", ["md", "html", "json", "png", "svg", "pdf"])
def test_every_form_is_written(tmp_path: Path, form: str) -> None:
    write(fields(), tmp_path / "deep" / f"c.{form}")
    assert (tmp_path / "deep" / f"c.{form}").stat().st_size > 500


@pytest.mark.slow
def test_the_command(commons: Path, tmp_path: Path) -> None:
    shown = a4nn("compare", "plain-*", "designed", "--commons", commons, "--out", tmp_path / "c.md")
    assert shown.returncode == 0
    assert "nsga-net, none" in shown.stdout
    assert (tmp_path / "c.md").read_text().startswith("## digits")
    document = json.loads(a4nn("compare", "plain-*", "--commons", commons, "--json").stdout)
    [field] = document["fields"]
    assert [one["run"] for one in field["systems"][0]["found"]] == ["plain-1", "plain-2"]
    wrong = a4nn("compare", "plain-1", "--commons", commons, "--out", tmp_path / "c.txt")
    assert wrong.returncode != 0
    assert "c.txt has none of the endings .md, .html, .json, .png, .svg, .pdf" in wrong.stderr


# studies


def test_the_runs_of_a_study_count_their_seeds_up(tmp_path: Path) -> None:
    what = experiment(seed=5)
    runs = run_ids("study", what, 3)
    assert {name: one.seed for name, one in runs.items()} == {"study-s5": 5, "study-s6": 6, "study-s7": 7}
    for name, one in list(runs.items())[1:]:
        search(one, tmp_path, FakeExecutor(), name, **IMAGES)
    assert recorded_study(tmp_path, "study").seed == 6
    with pytest.raises(BadInput, match="has no study 'stud' to continue; give a preset or a file"):
        recorded_study(tmp_path, "stud")
    document = as_json(compare(Commons(tmp_path), ["study-*"]))
    assert json.dumps(document)


@pytest.mark.slow
@pytest.mark.integration
def test_a_study_is_run_once_and_compared(tmp_path: Path) -> None:
    file = tmp_path / "e.toml"
    what = hand_designed(["small-cnn*0.125"], epochs=1, slots=1)
    file.write_text(what.to_toml())
    order = ("run", file, "--run-id", "s", "--seeds", "2", "--commons", tmp_path / "c", "--json")
    first = a4nn(*order)
    assert first.returncode == 0, first.stderr
    [field] = json.loads(first.stdout)["fields"]
    assert [one["run"] for one in field["systems"][0]["found"]] == ["s-s3", "s-s4"]
    again = a4nn("run", "--run-id", "s", "--seeds", "2", "--commons", tmp_path / "c", "--json")
    assert json.loads(again.stdout) == json.loads(first.stdout)
    assert "run s-s3 (1 of 2) is complete" in again.stderr
