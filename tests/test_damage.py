"""One bad run takes neither the list of runs nor a query about the others away."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from command import a4nn
from commons_data import made_up_run

from a4nn_core.commons import Commons
from a4nn_core.errors import BadInput
from a4nn_core.workflow.summary import duration

GOOD = "select run, count(*) as networks from networks join epochs using (run, network) group by run"
EXPECTED = "run,networks\ngood,34\n"


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A commons of two sound runs."""
    commons = tmp_path_factory.mktemp("sound") / "commons"
    for run in ("good", "bad"):
        made_up_run(commons, run, 2)
    return commons


@pytest.fixture
def commons(sound: Path, tmp_path: Path) -> Path:
    """A copy of it to damage."""
    return Path(shutil.copytree(sound, tmp_path / "commons"))


def header(**changes: object) -> Callable[[Path], None]:
    """Change members of run.json, ``a__b`` of what is inside."""

    def change(run: Path) -> None:
        file = run / "run.json"
        stored: Any = json.loads(file.read_text())
        for name, value in changes.items():
            *outer, last = name.split("__")
            inner = stored
            for step in outer:
                inner = inner[step]
            inner[last] = value
        file.write_text(json.dumps(stored))

    return change


def text(name: str, content: bytes) -> Callable[[Path], None]:
    return lambda run: (run / name).unlink() or ((run / name).write_bytes(content) and None)


def retyped(run: Path) -> None:
    """Accuracies as text."""
    file = run / "tables/epochs/0001.parquet"
    data = pq.read_table(file)
    words = pa.array(["ninety"] * data.num_rows)
    place = data.column_names.index("validation_accuracy_percent")
    pq.write_table(data.set_column(place, "validation_accuracy_percent", words), file)


def looped(run: Path) -> None:
    """A file that cannot be opened, by whomever."""
    (run / "run.json").unlink()
    (run / "run.json").symlink_to("run.json")


def folder(run: Path) -> None:
    (run / "run.json").unlink()
    (run / "run.json").mkdir()


DAMAGE: dict[str, tuple[Callable[[Path], object], str]] = {
    "status": (header(status=5), "column 'status' holds 5"),
    "seed": (header(header__seed="seven"), "seven"),
    "time": (header(started="yesterday"), "yesterday"),
    "time of another type": (header(started=5), "column 'started' holds 5, not a time"),
    "no JSON": (text("run.json", b"{"), "run.json is damaged: not JSON"),
    "no object": (text("run.json", b"[]"), "run.json is damaged: not a JSON object"),
    "unreadable": (looped, "Too many levels of symbolic links"),
    "a folder": (folder, "Is a directory"),
    "no run.json": (lambda run: (run / "run.json").unlink(), "run.json"),
    "table missing": (lambda run: (run / "tables/epochs/0001.parquet").unlink(), "epochs/0001.parquet"),
    "table truncated": (text("tables/epochs/0001.parquet", b"PAR1"), "epochs/0001.parquet"),
    "column of another type": (retyped, "epochs/0001.parquet is damaged"),
}


@pytest.mark.parametrize("case", DAMAGE)
def test_queries_and_lists_go_on(commons: Path, case: str) -> None:
    damage, said = DAMAGE[case]
    damage(commons / "runs/bad")
    done = a4nn("sql", GOOD, "--commons", commons, "--format", "csv")
    assert (done.returncode, done.stdout) == (0, EXPECTED)
    [warning] = done.stderr.splitlines()
    assert warning.startswith("warning: run bad is left out: ")
    assert said in warning


def test_a_program_is_not_answered_with_less_than_all(commons: Path) -> None:
    header(status=5)(commons / "runs/bad")
    with pytest.raises(BadInput, match="column 'status' holds 5"):
        Commons(commons).answer("from runs")


@pytest.mark.parametrize("case", [case for case in DAMAGE if "table" not in case and "column" not in case])
def test_a_bad_run_is_listed_with_what_is_wrong(commons: Path, case: str) -> None:
    damage, said = DAMAGE[case]
    damage(commons / "runs/bad")
    done = a4nn("status", "--commons", commons)
    assert (done.returncode, done.stderr) == (0, "")
    _, bad, good, trouble = done.stdout.splitlines()
    assert bad.split()[:3] == ["bad", "unreadable", "-"]
    assert good.split()[:3] == ["good", "completed", "2"]
    assert trouble.startswith("bad: ")
    assert said in trouble
    listed = json.loads(a4nn("status", "--commons", commons, "--json").stdout)
    assert [one["run"] for one in listed] == ["bad", "good"]
    assert said in listed[0]["error"]
    assert listed[1]["networks"] == 2
    for command in (["status", "bad"], ["front", "bad"]):
        done = a4nn(*command, "--commons", commons)
        assert done.returncode == 2
        assert done.stderr.startswith("Error: ")
        assert said in done.stderr
        assert len(done.stderr.splitlines()) == 1


@pytest.mark.slow
def test_the_front_of_a_good_run(commons: Path) -> None:
    header(status=5)(commons / "runs/bad")
    done = a4nn("front", "good", "--commons", commons, "--json")
    assert (done.returncode, done.stderr) == (0, "")
    assert [one["network"] for one in json.loads(done.stdout)["front"]] == [0]


def test_a_sound_commons_warns_of_nothing(sound: Path) -> None:
    done = a4nn("sql", "select count(*) as n from front", "--commons", sound, "--format", "csv")
    assert (done.stdout, done.stderr) == ("n\n2\n", "")


def test_folders_that_are_no_runs(commons: Path) -> None:
    (commons / "runs/bad/run.json").unlink()
    (commons / "runs/notes").mkdir()
    (commons / "runs/my run").mkdir()
    shutil.copy(commons / "runs/good/run.json", commons / "runs/my run/run.json")
    (commons / "runs/.hidden").mkdir()
    (commons / "runs/README.txt").write_text("")
    done = a4nn("status", "--commons", commons)
    rows = done.stdout.splitlines()
    assert [row.split("  ")[0] for row in rows[1:5]] == ["bad", "good", "my run", "notes"]
    assert [line.partition(": ")[0] for line in rows[5:]] == ["bad", "my run", "notes"]
    assert rows[5].endswith("runs/bad is no run: it has no run.json")
    assert "run id 'my run' cannot be used" in rows[6]
    asked = a4nn("sql", GOOD, "--commons", commons, "--format", "csv")
    assert asked.stdout == EXPECTED
    assert [line.split(" is left out")[0] for line in asked.stderr.splitlines()] == [
        "warning: run bad",
        "warning: run my run",
    ]


def test_what_an_import_of_curves_makes_of_names(tmp_path: Path) -> None:
    (tmp_path / "c.csv").write_text('curve_id,epoch,accuracy\n"\x1b[31m[red]a|b<b>",1,50\nb,1,40\n')
    commons = tmp_path / "commons"
    assert a4nn("import", "csv", tmp_path / "c.csv", "--commons", commons).returncode == 0
    shown = a4nn("status", "--commons", commons).stdout.splitlines()[1]
    assert shown.split() == ["c", "completed", "2", "2/2", "0.0", "%", "50.00", "%", "-", "-"]
    query = "select genome->>'curve_id' as curve from networks where network = 0"
    assert a4nn("sql", query, "--commons", commons).stdout.splitlines()[2] == "\\x1b[31m[red]a|b<b>"


def test_a_duration_that_is_no_number() -> None:
    assert duration(float("nan")) == "unknown time"
