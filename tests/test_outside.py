"""Networks that are trained elsewhere: ``a4nn ask`` hands them out, ``a4nn tell`` takes what was measured."""

from __future__ import annotations

import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from command import a4nn
from fakes import FakeExecutor

from a4nn_core import Commons, load_experiment
from a4nn_core.commons import RunFolder, RunWriter
from a4nn_core.commons.check import check
from a4nn_core.errors import BadInput
from a4nn_core.experiment import Experiment
from a4nn_core.workflow.outside import Handed, Measurement, outside
from a4nn_core.workflow.plan import recorded_header
from a4nn_core.workflow.run import execute

ELSEWHERE = {
    "name": "far",
    "seed": 3,
    "data": {"name": "elsewhere", "shape": [3, 16, 16], "classes": 5},
    "space": {"name": "macro", "phases": 2, "channels": 4},
    "search": {"name": "nsga-net", "networks": 8, "population": 4, "offspring": 4},
    "termination": {"name": "none"},
}


def far(**search: Any) -> Experiment:
    return Experiment.from_mapping({**ELSEWHERE, "search": {**ELSEWHERE["search"], **search}})  # type: ignore[dict-item]


def error_of(one: Handed) -> float:
    """What training elsewhere would give."""
    return 30 - one.architecture.parameters % 97 / 10


def measured(one: Handed) -> Measurement:
    return Measurement(one.candidate.number, {"error_percent": error_of(one)}, seconds=7.0)


def whole(commons: Path, what: Experiment, at_once: int, run_id: str = "r") -> list[Any]:
    """Ask and tell to the end, the run opened anew each time; returns all genomes."""
    asked: list[Any] = []
    for _ in range(100):
        with outside(run_id, commons, None if asked else what) as run:
            handed = run.ask(at_once)
        if not handed:
            return asked
        asked += [one.candidate.genome for one in handed]
        with outside(run_id, commons) as run:
            run.tell([measured(one) for one in handed])
            complete = run.complete
        if complete:
            return asked
    raise AssertionError("it does not end")


def test_a_search_elsewhere_is_recorded_as_all_others(tmp_path: Path) -> None:
    genomes = whole(tmp_path, far(), 3)
    store = Commons(tmp_path)
    networks = store.networks("r")
    assert store.run("r").status == "completed"
    assert len(networks) == 8
    assert [json.loads(row.genome or "") for row in networks if row.equal_to is None] == genomes
    for row in networks:
        assert (row.fitness_source, row.seconds) == ("told", 0.0 if row.equal_to is not None else 7.0)
        assert row.fitness
        assert row.fitness["mflops"] == pytest.approx((row.flops or 0) / 1e6)
        assert row.fitness["accuracy_percent"] == pytest.approx(100 - (row.fitness["error_percent"] or 0))
        assert row.best_accuracy_percent == row.fitness["accuracy_percent"]
    assert store.front("r")
    assert check(tmp_path, checkpoints=False).problems == []
    assert store.run("r").details["shape"] == [3, 16, 16]
    assert {layer.channels_out for layer in store.layers("r") if layer.op == "linear"} == {5}


def test_processes_and_pauses_change_nothing(tmp_path: Path) -> None:
    """On a generational schedule: how many are asked for at once does not count."""
    assert whole(tmp_path / "one", far(), 1) == whole(tmp_path / "four", far(), 4)


@pytest.mark.parametrize(
    "search",
    [
        {"name": "random", "schedule": "steady"},
        {"name": "a4nn", "population": 4, "offspring": 2, "children": 8, "rounds": 1},
        {"name": "regularised-evolution", "population": 3, "sample": 2, "schedule": "steady"},
    ],
)
def test_any_strategy_can_be_asked(search: dict[str, Any], tmp_path: Path) -> None:
    what = Experiment.from_mapping({**ELSEWHERE, "search": {"networks": 6, **search}})
    whole(tmp_path, what, 2)
    assert len(Commons(tmp_path).networks("r")) == 6


def test_what_is_out_is_not_handed_out_again(tmp_path: Path) -> None:
    with outside("r", tmp_path, far()) as run:
        first = [one.candidate.number for one in run.ask(2)]
    with outside("r", tmp_path) as run:
        second = [one.candidate.number for one in run.ask(5)]
        assert run.ask(1) == []  # a generation of four, none of which is told
        assert [one.candidate.number for one in run.open] == [*first, *second] == [0, 1, 2, 3]
        run.tell([Measurement(2, {"error_percent": 3.0}), Measurement(0, failed="it was lost")])
    with outside("r", tmp_path) as run:
        assert [one.candidate.number for one in run.open] == [1, 3]
    rows = {row.network: row for row in Commons(tmp_path).networks("r")}
    assert (rows[0].status, rows[0].error, rows[0].fitness) == ("failed", "it was lost", None)


def test_a_curve_is_recorded_and_can_be_learned_from(tmp_path: Path) -> None:
    with outside("r", tmp_path, far(networks=4)) as run:
        handed = run.ask(4)
        run.tell([Measurement(one.candidate.number, curve=(40.0, 70.0, 65.0)) for one in handed])
    [first, *_] = Commons(tmp_path).networks("r")
    assert (first.best_accuracy_percent, first.best_epoch, first.last_accuracy_percent) == (70.0, 2, 65.0)
    assert (first.epochs_trained, (first.fitness or {})["error_percent"]) == (3, 30.0)
    assert [e.validation_accuracy_percent for e in Commons(tmp_path).epochs("r")[:3]] == [40.0, 70.0, 65.0]
    assert check(tmp_path, checkpoints=False).problems == []
    later = Experiment.from_mapping({**ELSEWHERE, "prior": {"runs": ["r"], "best": 2}})
    with outside("later", tmp_path, later) as run:
        assert [one.candidate.operator for one in run.ask(3)] == ["prior", "prior", "sampling"]
    with outside("later", tmp_path) as run:  # resumed
        assert [one.candidate.operator for one in run.ask(1)] == ["sampling"]


def test_bounds_and_equal_networks_are_settled_without_anybody(tmp_path: Path) -> None:
    what = far(constraints={"parameters": {"most": 1}}, networks=4)
    with (
        outside("r", tmp_path, what) as run,
        pytest.raises(Exception, match=r"none of the 4 networks is within"),
    ):
        run.ask(1)
    what = Experiment.from_mapping(
        {
            **ELSEWHERE,
            "space": {"name": "macro", "phases": 1, "nodes": 3},
            "search": {"name": "random", "networks": 16},
        }
    )
    whole(tmp_path, what, 4, "equals")
    rows = Commons(tmp_path).networks("equals")
    assert {row.status for row in rows} == {"completed", "equal"}
    assert len(rows) == 16


TOLD = {"error_percent": 4.0}


@pytest.mark.parametrize(
    ("measurements", "said"),
    [
        ([Measurement(7, TOLD)], r"run 'r' has handed out no network 7; it waits for: 1"),
        ([Measurement(2, TOLD)], r"run 'r' has handed out no network 2; it waits for: 1"),
        ([Measurement(0, TOLD)], "network 0 has its result already: error_percent = 5.0"),
        ([Measurement(1, TOLD), Measurement(1, TOLD)], "network 1 is told twice at once"),
        ([Measurement(1, {"error_percent": 101.0})], "error_percent = 101 is not a number from 0 to 100"),
        (
            [Measurement(1, {"error_percent": float("nan")})],
            "error_percent = nan is not a number from 0 to 100",
        ),
        ([Measurement(1, {"loss": 1.0})], "error_percent is missing, an objective of the search"),
        ([Measurement(1, {"mflops": 1.0})], "mflops is known from the architecture, and is not told"),
        ([Measurement(1, {"beauty": 1.0})], "network 1: .*beauty"),
        ([Measurement(1, {**TOLD, "accuracy_percent": 95.0})], "error_percent = 4 and .* = 95 do not add up"),
        ([Measurement(1, TOLD, curve=(50.0, 95.0))], "best accuracy is 96 %, but that of its curve is 95 %"),
        ([Measurement(1, curve=(50.0, 950.0))], "accuracy_percent = 950 is not a number from 0 to 100"),
        ([Measurement(1, TOLD, seconds=-1.0)], "seconds = -1 is no duration"),
        ([Measurement(1, TOLD, failed="no")], "it failed, and so error_percent cannot be told"),
    ],
)
def test_what_cannot_be_told_is_refused_and_nothing_is_recorded(
    measurements: list[Measurement], said: str, tmp_path: Path
) -> None:
    with outside("r", tmp_path, far()) as run:
        run.ask(2)
        run.tell([Measurement(0, {"error_percent": 5.0})])
    good = [] if any(one.network == 1 for one in measurements) else [Measurement(1, TOLD)]
    with outside("r", tmp_path) as run, pytest.raises(BadInput, match=said):
        run.tell([*good, *measurements])
    assert [row.network for row in Commons(tmp_path).networks("r")] == [0]


def test_a_run_that_another_process_trains_is_left_alone(tmp_path: Path) -> None:
    with outside("r", tmp_path, far()) as run:
        run.ask(1)
    header = recorded_header(tmp_path, "r") or {}
    said = r"run 'r' is being written by process \d+"
    with RunWriter.open(tmp_path, "r", header), pytest.raises(BadInput, match=said), outside("r", tmp_path):
        pass
    with outside("r", tmp_path) as run:
        assert [one.candidate.number for one in run.open] == [0]


def test_a_process_that_dies_loses_nothing(tmp_path: Path) -> None:
    """It is killed between what it recorded and the end of the run's records."""
    program = """
import os, signal, sys
from pathlib import Path
from a4nn_core.workflow.outside import Measurement, outside
with outside("r", Path(sys.argv[1])) as run:
    run.ask(1)
    run.tell([Measurement(0, {"error_percent": 5.0})])
    os.kill(os.getpid(), signal.SIGKILL)
"""
    with outside("r", tmp_path, far()) as run:
        run.ask(1)
    subprocess.run([sys.executable, "-P", "-c", program, str(tmp_path)], check=False)
    assert [row.network for row in Commons(tmp_path).networks("r")] == [0]
    with outside("r", tmp_path) as run:
        assert [one.candidate.number for one in run.open] == [1]
    assert check(tmp_path, checkpoints=False).problems == []


@pytest.mark.integration
def test_many_ask_at_once(tmp_path: Path) -> None:
    what = Experiment.from_mapping({**ELSEWHERE, "search": {"name": "random", "networks": 6}})
    with outside("r", tmp_path, what) as run:
        assert run.ask(1)
    command = [sys.executable, "-P", "-m", "a4nn_core", "ask", "r", "--json", "--commons", str(tmp_path)]

    def ask(_: int) -> list[int]:
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        return [one["network"] for one in json.loads(done.stdout)["networks"]]

    with ThreadPoolExecutor(3) as threads:
        found = [number for handed in threads.map(ask, range(3)) for number in handed]
    assert sorted(found) == [1, 2, 3]


@pytest.mark.parametrize("rule", ["none", "front"])
def test_a_run_can_change_between_here_and_elsewhere(rule: str, tmp_path: Path) -> None:
    """Begun elsewhere, it is trained here to the end; what was handed out and not told is trained here."""
    small = ["search.networks=6", "search.population=3", "search.offspring=3", "training.epochs=2"]
    what = load_experiment("digits", [*small, f"termination={rule}"])
    with outside("r", tmp_path, what) as run:
        run.ask(2)
        run.tell([Measurement(1, {"error_percent": 5.0})])
    executor = FakeExecutor()
    execute(what, tmp_path, "r", lambda _: executor)
    networks = Commons(tmp_path).networks("r")
    assert len(networks) == 6
    assert {row.network for row in networks if row.fitness_source == "told"} == {1}
    assert {segment.network for segment in executor.trained} <= {0, 2, 3, 4, 5}
    with pytest.raises(BadInput, match="run 'r' is complete"), outside("r", tmp_path):
        pass


def test_what_was_trained_here_goes_on_here(tmp_path: Path) -> None:
    class Stop(BaseException):
        pass

    def stop(_: object) -> None:
        raise Stop

    what = load_experiment("digits", ["search.networks=4", "search.population=4", "training.epochs=2"])
    with pytest.raises(Stop):
        execute(what, tmp_path, "r", lambda _: FakeExecutor(stop))
    journal = RunFolder(tmp_path, "r").journal(0)
    from made_up import line

    from a4nn_core.commons import Journal

    with Journal(journal) as lines:
        lines.append(line(1, 60.0))
    with outside("r", tmp_path) as run:
        assert [one.candidate.number for one in run.open] == [0, 1, 2, 3]
        with pytest.raises(
            BadInput, match="network 0 has been trained here for 1 epochs: a4nn run --run-id r"
        ):
            run.tell([Measurement(0, TOLD)])


def test_data_that_are_elsewhere_cannot_be_trained_here(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"data set elsewhere has no images here.*a4nn ask prints them"):
        execute(far(), tmp_path, "r", lambda _: FakeExecutor())
    assert not list(tmp_path.iterdir())


# the command line


def test_ask_and_tell_at_the_command_line(tmp_path: Path) -> None:
    there = ("--commons", tmp_path / "c")
    toml = tmp_path / "far.toml"
    toml.write_text(far().to_toml())

    missing = a4nn("ask", "r", *there)
    assert missing.returncode != 0
    assert "has no run 'r'; a4nn ask r --experiment FILE begins it" in missing.stderr
    assert not (tmp_path / "c").exists()

    asked = a4nn("ask", "r", "--experiment", toml, "--set", "search.networks=4", "--n", "2", *there)
    assert asked.returncode == 0, asked.stderr
    assert asked.stdout.split()[:5] == ["network", "generation", "MFLOPs", "parameters", "genome"]
    more = json.loads(a4nn("ask", "r", "--n", "3", "--json", *there).stdout)
    assert [one["network"] for one in more["networks"]] == [2, 3]
    assert more["open"] == [0, 1, 2, 3]
    assert {"genome", "seed", "architecture", "parents"} <= more["networks"][0].keys()
    nothing = a4nn("ask", "r", *there)
    assert "nothing to hand out before more is told: networks 0, 1, 2, 3 are handed out" in nothing.stderr
    status = a4nn("status", "r", *there)
    assert "handed out and not told: 0, 1, 2, 3; a4nn ask r --open shows them again" in status.stdout
    again = a4nn("ask", "r", "--open", *there)
    assert again.stdout.count("\n") == 5

    told = a4nn("tell", "r", "1", "--set", "error_percent=4.5", "--seconds", "60", *there)
    assert told.stdout.startswith(
        "1 of 4 networks known, networks 0, 2, 3 are handed out and not told\nnext: "
    )
    twice = a4nn("tell", "r", "1", "--set", "error_percent=4.5", *there)
    assert "Error: network 1 has its result already: error_percent = 4.5" in twice.stderr
    failed = json.loads(a4nn("tell", "r", "0", "--failed", "out of memory", "--json", *there).stdout)
    assert (failed["networks"], failed["open"], failed["complete"]) == (2, [2, 3], False)

    lines = tmp_path / "told.jsonl"
    lines.write_text('{"network": 2, "curve": [50, 60.5]}\n\n{"network": 3, "error_percent": 120}\n')
    bad = a4nn("tell", "r", "--lines", lines, *there)
    assert "Error: network 3: error_percent = 120 is not a number" in bad.stderr
    lines.write_text('{"network": 2, "curve": [50, 60.5]}\n\n{"network": 3, "accuracy_percent": 70}\n')
    done = a4nn("tell", "r", "--lines", lines, *there)
    assert "the search is complete: a4nn front r" in done.stdout
    assert "complete" in a4nn("ask", "r", *there).stderr
    shown = a4nn("front", "r", *there)
    assert shown.returncode == 0, shown.stderr


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["r"], "give the number of a network, or --lines FILE"),
        (["r", "0", "--set", "error_percent"], "--set 'error_percent' is not of the form METRIC=NUMBER"),
        (
            ["r", "0", "--set", "error_percent=low"],
            "--set 'error_percent=low' is not of the form METRIC=NUMBER",
        ),
        (["r", "0", "--set", "loss=1", "--set", "loss=2"], "--set loss is given twice"),
        (["r", "0", "--curve", "1;2"], "--curve '1;2' is not of the form NUMBER,NUMBER"),
        (["r", "--lines", "LINES", "--seconds", "3"], "--lines brings its own values"),
        (["r", "--lines", "no-such-file"], "no-such-file cannot be read: No such file"),
        (["r", "--lines", "LINES"], "LINES line 2 is not JSON"),
    ],
)
def test_commands_that_cannot_be_meant(given: list[str], said: str, tmp_path: Path) -> None:
    lines = tmp_path / "lines.jsonl"
    lines.write_text('{"network": 0, "error_percent": 4}\n{"network": \n')
    arguments = [str(lines) if one == "LINES" else one for one in given]
    done = a4nn("tell", *arguments, "--commons", tmp_path / "c")
    assert done.returncode != 0
    assert said.replace("LINES line", f"{lines} line") in done.stderr


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("[1]", "is no JSON object"),
        ('{"error_percent": 4}', "lacks the number of a network"),
        ('{"network": 0, "error_percent": "4"}', 'error_percent = "4" is not a number'),
        ('{"network": 0, "curve": 4}', "curve = 4 is not a list of numbers"),
        ('{"network": 0, "curve": [4, null]}', "curve = [4, null] is not a list of numbers"),
        ('{"network": 0, "seconds": "long"}', 'seconds = "long" cannot be used'),
    ],
)
def test_lines_that_cannot_be_read(line: str, said: str, tmp_path: Path) -> None:
    lines = tmp_path / "lines.jsonl"
    lines.write_text(f"{line}\n")
    done = a4nn("tell", "r", "--lines", lines, "--commons", tmp_path / "c")
    assert f"Error: {lines} line 1" in done.stderr
    assert said in done.stderr
