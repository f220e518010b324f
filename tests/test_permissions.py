"""Files and folders that are closed to the user: one sentence, or as much as can be had without them."""

from __future__ import annotations

import ctypes
import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from subprocess import CompletedProcess

import pytest
from commons_data import made_up_run

Closed = tuple[str, int, list[str]]
"""a path, the mode it is given for a moment, and the words of a command"""
Run = Callable[[Sequence[Closed]], list[CompletedProcess[str]]]

COMMANDS = """
import json, os, sys
from command import a4nn
for path, mode, words in json.loads(sys.argv[1]):
    before = os.stat(path).st_mode
    os.chmod(path, mode)
    done = a4nn(*words)
    os.chmod(path, before)
    print(json.dumps([done.returncode, done.stdout, done.stderr]))
"""
PR_CAPBSET_DROP, CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH = 24, 1, 2


def obey_modes() -> None:
    """In a child before it becomes another program: root reads and writes no more than modes allow, too."""
    libc = ctypes.CDLL(None)
    for capability in (CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH):
        libc.prctl(PR_CAPBSET_DROP, capability, 0, 0, 0)  # another user has no such powers to drop


@pytest.fixture
def closed(tmp_path: Path) -> Run:
    """Runs commands in a folder with a commons, in one process."""
    made_up_run(tmp_path / "commons", networks=4)

    def run(commands: Sequence[Closed]) -> list[CompletedProcess[str]]:
        done = subprocess.run(
            [sys.executable, "-P", "-c", COMMANDS, json.dumps(commands)],
            stdout=subprocess.PIPE,
            text=True,
            check=True,
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parent)},
            preexec_fn=obey_modes,
        )
        results = [json.loads(line) for line in done.stdout.splitlines()]
        return [
            CompletedProcess(words, *result) for (_, _, words), result in zip(commands, results, strict=True)
        ]

    (probe := tmp_path / "probe").write_text("")
    [read] = run([(str(probe), 0, ["sql", "--file", str(probe), "--commons", "commons"])])
    probe.unlink()
    if "Permission denied" not in read.stderr:
        pytest.skip("root keeps its powers here, so nothing is closed to it")
    return run


EXPERIMENT = """
name = "x"
data = { name = "folder", path = "images" }
space = { name = "macro" }
search = { name = "nsga-net" }
termination = { name = "none" }
"""


@pytest.mark.slow
def test_what_may_not_be_read_is_named_in_one_sentence(closed: Run, tmp_path: Path) -> None:
    run = "commons/runs/made-up"
    (tmp_path / "mine.toml").write_text(EXPERIMENT)
    for name in ("cats", "dogs"):
        (tmp_path / "images" / name).mkdir(parents=True)
    (tmp_path / "x.npz").write_bytes(b"PK")
    status, front, check = ["status"], ["front", "made-up"], ["commons", "check"]
    query = ["sql", "select count(*) as n from networks join events using (run)"]
    own = ["run", "mine.toml"]
    commands: list[tuple[str, list[str], str]] = [
        *((f"{run}/run.json", words, f"{run}/run.json") for words in (status, front, query, check)),
        (run, status, f"{run}/lock"),
        *((run, words, f"{run}/run.json") for words in (front, query, check)),
        *(("commons/runs", words, "commons/runs") for words in (status, query, check)),
        *((f"{run}/tables", words, f"{run}/tables/networks") for words in (status, front, query)),
        *(("commons", words, "commons/commons.json") for words in (status, front, query)),
        (f"{run}/tables/networks/0002.parquet", status, f"{run}/tables/networks/0002.parquet"),
        (f"{run}/lock", status, f"{run}/lock"),
        (f"{run}/events.jsonl", check, f"{run}/events.jsonl"),
        ("mine.toml", own, "mine.toml"),
        ("images/dogs", own, "images/dogs"),
        ("images", own, "images"),
        ("x.npz", [*own, "--set", "data={name='npz', path='x.npz'}"], "x.npz"),
    ]
    done = closed([(path, 0, [*words, "--commons", "commons"]) for path, words, _ in commands])
    for result, (path, words, named) in zip(done, commands, strict=True):
        errors = [line for line in result.stderr.splitlines() if line.startswith("Error: ")]
        assert "Traceback" not in result.stderr, (path, words)
        if path.startswith(run) and words in (status, query):  # one bad run does not take the others away
            told = [x for x in (result.stdout + result.stderr).splitlines() if "ermission denied" in x]
            assert result.returncode == 0, (path, words, result)
            assert len(told) == 1, (path, words, result)
            assert named in told[0], (path, words, result)
            continue
        assert result.returncode == 2, (path, words, result)
        assert len(errors) == 1, (path, words, result.stderr)
        assert named in errors[0], (path, words, errors)
        assert "ermission denied" in errors[0], (path, words, errors)
        assert result.stdout == "", (path, words)


@pytest.mark.slow
def test_a_commons_that_may_not_be_written_shows_its_front(closed: Run, tmp_path: Path) -> None:
    run = "commons/runs/made-up"
    told, as_json, kept = closed(
        [
            (run, 0o555, ["front", "made-up", "--commons", "commons"]),
            (run, 0o555, ["front", "made-up", "--commons", "commons", "--json"]),
            ("commons", 0o555, ["sql", "select 1 as a", "--commons", "commons", "--out", "commons/a.csv"]),
        ]
    )
    sentence = "\n".join(
        f"no {what}: cannot write {run}/{name}: Permission denied"
        for what, name in (("picture", "front.png"), ("report", "report.html"))
    )
    assert (told.returncode, told.stderr.strip()) == (0, sentence)
    assert told.stdout.startswith("\nPareto front of made-up (completed)\n\nnetwork ")
    assert "report" not in told.stdout
    assert (as_json.returncode, as_json.stderr.strip()) == (0, sentence)
    assert json.loads(as_json.stdout)["networks"] == 4
    assert (kept.returncode, kept.stderr) == (2, "Error: cannot write commons/a.csv: Permission denied\n")
    assert not list((tmp_path / run).glob("*front*")) + list((tmp_path / run).glob("*report*"))
