"""The C++ core's own tests and fuzz, under the sanitizers where the compiler has them."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.mark.slow
def test_the_core_passes_its_tests_under_sanitizers(tmp_path: Path) -> None:
    compiler = os.environ.get("CXX", "g++")
    if shutil.which("bash") is None or shutil.which(compiler) is None:
        pytest.skip(f"no bash or no {compiler}")
    probe = tmp_path / "probe.cpp"
    probe.write_text("int main() { return 0; }\n")
    built = subprocess.run(
        [compiler, "-fsanitize=address,undefined", probe, "-o", tmp_path / "probe"],
        capture_output=True,
        check=False,
    )
    if built.returncode or subprocess.run([tmp_path / "probe"], capture_output=True, check=False).returncode:
        pytest.skip(f"{compiler} has no sanitizers")
    done = subprocess.run([ROOT / "tools" / "test_cpp.sh"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
