"""The command a4nn as a user runs it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from command import A4NN, SMALL, a4nn
from test_workflow import rows

from a4nn_core.commons import Commons
from a4nn_core.errors import BadInput
from a4nn_core.experiment import load_experiment, presets


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """One small run, undisturbed: its commons and what --json said."""
    commons = tmp_path_factory.mktemp("whole") / "commons"
    words = ["run", *SMALL, "--run-id", "r", "--commons", str(commons), "--json"]
    done = subprocess.run([*A4NN, *words], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return commons, json.loads(done.stdout)


@pytest.mark.integration
def test_json_has_the_promised_keys(whole: tuple[Path, dict[str, Any]]) -> None:
    commons, result = whole
    assert result["run"] == "r"
    assert result["networks"] == 6
    assert result["epochs_trained"] == result["epochs_budget"] == 18
    assert result["epochs_saved_percent"] == 0
    assert result["seconds"] > 0
    assert Path(result["commons"]) == commons
    for member in result["front"]:
        assert {
            "network",
            "genome",
            "flops",
            "parameters",
            "accuracy_percent",
            "test_accuracy_percent",
        } <= set(member)
    ordered = sorted(result["front"], key=lambda m: m["flops"])
    accuracies = [m["accuracy_percent"] for m in ordered]
    assert accuracies == sorted(set(accuracies))


@pytest.mark.integration
def test_records_and_pictures(whole: tuple[Path, dict[str, Any]]) -> None:
    commons, result = whole
    folder = commons / "runs/r"
    assert (folder / "front.png").read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    assert '"run":"r"' in (folder / "report.html").read_text(encoding="utf-8")
    shown = a4nn("front", "r", "--commons", commons, "--json")
    assert json.loads(shown.stdout)["front"] == result["front"]
    (status,) = json.loads(a4nn("status", "--commons", commons, "--json").stdout)
    assert (status["run"], status["status"], status["networks"]) == ("r", "completed", 6)
    assert (status["alive"], status["training"], status["seconds_left"]) == (False, [], None)
    shown = a4nn("status", "r", "--commons", commons).stdout
    assert "completed" in shown
    assert "18/18" in shown
    query = "select count(*) as n, avg(validation_accuracy_percent) > 10 as learned from epochs"
    answer = a4nn("sql", query, "--commons", commons, "--format", "json")
    assert json.loads(answer.stdout) == [{"n": 18, "learned": True}]
    header = Commons(commons).run("r")
    # of the 1,797 digits 1,259 train, in batches that make 20 steps of an epoch
    resolved = load_experiment("digits", [*SMALL[2::2], "training.batch_size=64"])
    assert json.loads(header.experiment) == resolved.to_mapping()
    assert json.loads(header.environment)["torch"]


@pytest.mark.integration
def test_the_same_id_shows_a_finished_run_again(whole: tuple[Path, dict[str, Any]]) -> None:
    commons, result = whole
    again = a4nn("run", *SMALL, "--run-id", "r", "--commons", commons, "--json")
    assert json.loads(again.stdout)["front"] == result["front"]
    assert "run r is complete; this is its result" in again.stderr
    other = a4nn("run", *SMALL, "--set", "seed=9", "--run-id", "r", "--commons", commons)
    assert other.returncode == 2
    assert "was started with experiment.seed = 1, not 9" in other.stderr


@pytest.mark.integration
@pytest.mark.slow
def test_a_stopped_run_goes_on_and_ends_the_same(whole: tuple[Path, dict[str, Any]], tmp_path: Path) -> None:
    """Stop the process in every way; the same command ends with the same rows, checkpoints included. Two
    networks are in training each time."""
    words = ["run", *SMALL, "--set", "training.slots=2", "--run-id", "r", "--commons", str(tmp_path)]
    stops = ((2, signal.SIGKILL), (5, signal.SIGINT), (8, signal.SIGTERM), (11, signal.SIGKILL))
    for epochs, how in stops:
        process = subprocess.Popen(
            [*A4NN, *words],
            stderr=subprocess.PIPE,
            text=True,
            # a test run in the background of a shell hands on that Ctrl-C is ignored
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
        )
        wait_for_epochs(tmp_path, epochs, process)
        workers = children(process.pid)
        assert workers
        process.send_signal(how)
        _, said = process.communicate(timeout=60)
        if how != signal.SIGKILL:
            assert process.returncode == 130
            assert "nothing is lost. To continue: a4nn run digits" in said
            assert Commons(tmp_path).run("r").status == "interrupted"
        deadline = time.monotonic() + 20
        while any(alive(worker) for worker in workers):
            assert time.monotonic() < deadline, "a worker outlived its run"
            time.sleep(0.05)
    done = a4nn(*words)
    assert done.returncode == 0, done.stderr
    assert rows(tmp_path) == rows(whole[0])


def wait_for_epochs(commons: Path, epochs: int, process: subprocess.Popen[str]) -> None:
    """Wait for the epochs in the records: journals alone lack those of networks that an earlier process
    finished, as its run was compacted when it ended."""
    for _ in range(6000):
        with suppress(BadInput):  # there is no run yet
            if len(Commons(commons).epochs("r")) >= epochs:
                return
        assert process.poll() is None, process.communicate()
        time.sleep(0.01)
    raise AssertionError("no epochs came")


def children(pid: int) -> list[int]:
    found = list(Path(f"/proc/{pid}/task").glob("*/children"))  # each thread has its own
    if not found:
        pytest.skip("needs /proc to see child processes")
    return [int(word) for file in found for word in file.read_text().split()]


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().split(")")[1].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["presets", "quik"], "there is no preset 'quik'; known: digits, icpp23-high,"),
        (["run", "quik"], "there is no preset 'quik' and no such file; presets: digits, icpp23-high,"),
        (["run", "no/such.toml"], "experiment file no/such.toml cannot be read: No such file"),
        (
            ["run", "digits", "--set", "training.epoch=3"],
            "[training] has no key 'epoch'; known keys: epochs,",
        ),
        (["run", "digits", "--set", "training.epochs=0"], "[training] epochs = 0: "),
        (["run", "digits", "--set", "training.epochs=many"], "[training] epochs = 'many': "),
        (
            ["run", "digits", "--set", "space.name=micro"],
            "there is no search space named 'micro'; known: macro",
        ),
        (["run", "digits", "--set", "data.size=3"], "[data] has no key 'size'; known keys: name, validation"),
        (
            ["run", "digits", "--set", "search.objectives={latency='minimise'}"],
            "there is no metric named 'latency'; known: error_percent,",
        ),
        (["run", "digits", "--set", "epochs"], "--set 'epochs' is not of the form table.key=value"),
        (["run", "digits", "--set", "trainnig.epochs=3"], "has no key 'trainnig'; known keys: name,"),
        (
            ["run", "digits", "--executor", "slurm"],
            "no executor named 'slurm'; known: local, prefect, ray, dask",
        ),
        (["run", "digits", "--run-id", "../x"], "run id '../x' cannot be used"),
        (
            ["run", "digits", "--set", "training.device=cuda:77"],
            "device = 'cuda:77': this machine has no such",
        ),
        (["run", "digits", "--set", "space.phases=6"], "images of 8 x 8 pixels are too small for 6 phases"),
        (["run", "digits", "--commons", "/proc/none"], "/proc/none"),
        (["status"], "commons is not a commons: there is no such folder"),
        (
            ["describe", "--genome", "[[1]]", "--input", "1x8x8", "--classes", "2"],
            "1 phases; space macro has 3",
        ),
        (["describe", "--genome", "[", "--input", "1x8x8", "--classes", "2"], "--genome '[' is not JSON"),
        (
            ["describe", "--genome", "[]", "--input", "8x8", "--classes", "2"],
            "--input '8x8' is not of the form",
        ),
    ],
)
def test_bad_input_is_one_sentence_and_leaves_nothing(
    words: list[str], sentence: str, tmp_path: Path
) -> None:
    done = a4nn(*words, cwd=tmp_path)
    assert done.returncode == 2
    assert done.stdout == ""
    errors = [line for line in done.stderr.splitlines() if line.startswith("Error: ")]
    assert len(errors) == 1
    assert sentence in errors[0]
    assert "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_bad_experiment_files(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text('name = "x"\n[data]\nname = "digits"\n')
    done = a4nn("run", file)
    assert done.returncode == 2
    assert f"{file} lacks the key 'space'" in done.stderr
    # editors on Windows begin a file with a byte order mark
    file.write_text("\N{BYTE ORDER MARK}" + load_experiment("digits").to_toml(), encoding="utf-8")
    assert load_experiment(str(file)) == load_experiment("digits")
    file.write_text("name = ")
    own = subprocess.run([*A4NN, "run", file], capture_output=True, text=True, timeout=300)
    assert "is not TOML" in own.stderr
    assert own.returncode == 2
    assert "Traceback" not in own.stderr


@pytest.mark.integration
@pytest.mark.slow
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a small file system")
def test_a_full_disk_is_one_sentence_and_the_run_goes_on_later(
    whole: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=300k", "tmpfs", disk], capture_output=True, text=True
    )
    if mounted.returncode:
        pytest.skip(f"cannot mount a small file system here: {mounted.stderr.strip()}")
    try:
        words = ["run", *SMALL, "--run-id", "r", "--commons", disk / "commons"]
        done = a4nn(*words)
        assert done.returncode == 2, done.stderr
        assert "No space left on device" in done.stderr
        assert "Traceback" not in done.stderr
        subprocess.run(["mount", "-o", "remount,size=100m", disk], check=True)
        assert a4nn(*words).returncode == 0
        assert rows(disk / "commons") == rows(whole[0])
    finally:
        subprocess.run(["umount", disk], check=True)


def test_a_preset_can_be_printed_and_run_as_a_file(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(a4nn("presets", "quick").stdout)
    assert load_experiment(str(file)) == load_experiment("quick")
    assert json.loads(a4nn("presets", "quick", "--json").stdout)["name"] == "quick"


@pytest.mark.parametrize("name", presets())
def test_presets_hold_and_survive_toml(name: str, tmp_path: Path) -> None:
    preset = load_experiment(name)
    assert preset.name == name
    assert preset.description
    file = tmp_path / "copy.toml"
    file.write_text(preset.to_toml())
    assert load_experiment(str(file)) == preset


@pytest.mark.parametrize("beam", ["low", "medium", "high"])
def test_the_study_trains_every_network_to_the_end(beam: str) -> None:
    study = load_experiment("study", [f"data.beam={beam}"])
    assert study.to_mapping()["data"]["beam"] == beam
    assert (study.search.networks, study.search.population, study.search.offspring) == (40, 8, 8)
    assert (study.training.epochs, study.training.images_a_step(4000)) == (20, 128)
    # whole curves: a rule that stops would cut them
    assert study.to_mapping()["termination"] == {"name": "none"}


def test_the_published_presets_are_as_published() -> None:
    # Reproducibility_A4NN_ICPP23: 100 networks, populations of 10, 25 epochs, 127 x 127 pixels, raw counts
    for beam in ("low", "medium", "high"):
        engine, standalone = (
            load_experiment(f"icpp23-{beam}{twin}").to_mapping() for twin in ("", "-standalone")
        )
        assert (engine["search"]["networks"], engine["search"]["population"]) == (100, 10)
        assert (engine["training"]["epochs"], engine["training"]["learning_rate"]) == (25, 0.025)
        assert (engine["data"]["size"], engine["data"]["beam"], engine["data"]["transform"]) == (
            127,
            beam,
            "none",
        )
        assert (engine["space"]["nodes"], engine["space"]["channels"]) == (4, 24)
        assert standalone.pop("termination") == {"name": "none"}
        assert engine.pop("termination")["name"] == "converged"
        for twin in (engine, standalone):
            del twin["name"], twin["description"]
        assert engine == standalone


@pytest.mark.slow
def test_describe(tmp_path: Path) -> None:
    # published: genome of network 51 of the low beam, 893.3721 MFLOPs
    genome = "[[0,0,0,1,1,0,1],[1,1,0,0,0,0,0],[0,1,1,0,0,1,0]]"
    picture = tmp_path / "genome.svg"
    words = ["describe", "--space", "macro", "--genome", genome, "--input", "1x127x127", "--classes", "2"]
    done = a4nn(*words, "--picture", picture, "--json")
    assert done.returncode == 0, done.stderr
    facts = json.loads(done.stdout)
    assert facts["flops"] == 893372121 or round(facts["flops"] / 1e6, 4) == 893.3721
    assert facts["parameters"] > 0
    assert len(facts["architecture_hash"]) == 32
    assert "phase 3" in picture.read_text() or "<svg" in picture.read_text()


@pytest.mark.integration
@pytest.mark.slow
def test_a_run_goes_on_as_it_began_without_an_experiment(tmp_path: Path) -> None:
    """It names no preset, and presets change; the run's records say all."""
    commons = tmp_path / "commons"
    small = [
        *SMALL[1:],
        "--set",
        "search.networks=3",
        "--set",
        "training.evaluation=as-trained",
        "--set",
        "training.batch_size=100",
    ]
    done = a4nn("run", "digits", *small, "--run-id", "r", "--commons", commons)
    assert done.returncode == 0, done.stderr
    before = Commons(commons).networks("r")
    again = a4nn("run", "--run-id", "r", "--commons", commons, "--json")
    assert again.returncode == 0, again.stderr
    assert Commons(commons).networks("r") == before
    changed = a4nn("run", "digits", "--run-id", "r", "--commons", commons)
    assert changed.returncode != 0
    assert "no experiment to continue as it began" in changed.stderr


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ([], "give a preset or a file, or the --run-id of a run to continue"),
        (["--run-id", "r", "--set", "seed=2"], "--set needs a preset or a file"),
        (["--run-id", "nobody"], "has no run 'nobody' to continue"),
    ],
)
def test_going_on_needs_a_run(words: list[str], says: str, tmp_path: Path) -> None:
    done = a4nn("run", *words, "--commons", tmp_path / "commons")
    assert done.returncode != 0
    assert says in done.stderr
    assert not (tmp_path / "commons").exists()
