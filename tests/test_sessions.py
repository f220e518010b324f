"""What tests/conftest.py promises of a whole session, with one process and with several workers."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow
TESTS = Path(__file__).parent
TWO = """
import pytest

@pytest.mark.golden
@pytest.mark.parametrize("number", range(2))
def test_golden(reference_data, number):
    {body}
"""


def session(folder: Path, body: str, workers: int, data: Path | None) -> subprocess.CompletedProcess[str]:
    """A session of two golden tests under this conftest."""
    (folder / "test_two.py").write_text(TWO.format(body=body))
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    environment.pop("A4NN_REFERENCE_DATA", None)
    if data:
        environment["A4NN_REFERENCE_DATA"] = str(data)
    return subprocess.run(
        [
            *(sys.executable, "-P", "-m", "pytest", "-c", TESTS.parent / "pyproject.toml"),
            *("--rootdir", folder, "-p", "no:cacheprovider", "-p", "conftest", "-n", str(workers), folder),
        ],
        env=environment | {"PYTHONPATH": str(TESTS), "COLUMNS": "200"},
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("workers", [0, 2])
def test_a_golden_test_that_skips_beside_its_data_is_a_failure(workers: int, tmp_path: Path) -> None:
    done = session(tmp_path, "pytest.skip('no reason')", workers, data=tmp_path)
    assert done.returncode == pytest.ExitCode.TESTS_FAILED, done.stdout + done.stderr
    (line,) = re.findall(r"golden tests skipped: (.*)", done.stdout)
    assert sorted(line.split(", ")) == [f"test_two.py::test_golden[{number}]" for number in range(2)]
    done = session(tmp_path, "pass", workers, data=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("workers", [0, 2])
def test_without_reference_data_one_line_says_what_they_are(workers: int, tmp_path: Path) -> None:
    done = session(tmp_path, "pass", workers, data=None)
    assert done.returncode == 0, done.stdout + done.stderr
    (line,) = re.findall(r"^SKIPPED .*", done.stdout, re.MULTILINE)
    assert line.startswith("SKIPPED [2] ")
    for word in ("published runs", "github.com/TauferLab/Reproducibility_A4NN_ICPP23", "A4NN_REFERENCE_DATA"):
        assert word in line
