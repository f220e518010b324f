"""The package as others get it: wheel, source distribution and editable install, each built and used here."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from importlib.metadata import version
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow
ROOT = Path(__file__).resolve().parents[1]
FIT = """
import a4nn_core.penguin._lm as lm, pathlib, sys
from a4nn_core.penguin.fit import fit
from a4nn_core.penguin.functions import function
from a4nn_core.termination.base import RULES, Context
done = fit(function("default"), range(8), [50, 60, 66, 71, 75, 77, 79.5, 80])
assert done.status == "converged" and abs(done.parameters["a"] - 83.58) < 0.01, done
assert RULES.make("converged", "test").judge([50, 60, 66, 71], Context(25)).predicted is not None
import a4nn_core, a4nn_flows
print(pathlib.Path(lm.__file__).resolve())
print(pathlib.Path(a4nn_core.__file__).resolve())
print(pathlib.Path(a4nn_flows.__file__).resolve())
"""


def call(*command: object, cwd: Path, **environment: str) -> str:
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env={
            **os.environ,
            "PIP_DISABLE_PIP_VERSION_CHECK": "1",
            "CMAKE_BUILD_PARALLEL_LEVEL": "2",
            **environment,
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The source distribution of this tree, unpacked. Its compiled objects stay in it, for all builds."""
    folder = tmp_path_factory.mktemp("source")
    call(sys.executable, "-m", "build", "--no-isolation", "--sdist", "--outdir", folder, ROOT, cwd=folder)
    with tarfile.open(next(folder.glob("*.tar.gz"))) as archive:
        archive.extractall(folder, filter="data")
    (source,) = (path for path in folder.iterdir() if path.is_dir())
    return source


@pytest.fixture(scope="module")
def built(unpacked: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel that is built from the source distribution, without a warning of the compiler."""
    out = tmp_path_factory.mktemp("dist")
    call(
        *(sys.executable, "-m", "build", "--no-isolation", "--wheel", "--outdir", out, unpacked),
        cwd=out,
        SKBUILD_CMAKE_DEFINE="A4NN_WERROR=ON",
    )
    (wheel,) = out.glob("*.whl")
    return wheel


def used_from(folder: Path, tmp_path: Path) -> list[str]:
    """Import and fit in a process that has only this folder and the dependencies; where things came from."""
    dependencies = sysconfig.get_path("purelib")
    code = f"import sys; sys.path[:0] = [{str(folder)!r}]; sys.path.append({dependencies!r})\n{FIT}"
    return call(sys.executable, "-S", "-P", "-c", code, cwd=tmp_path).splitlines()


def test_the_wheel_installs_and_fits(built: Path, tmp_path: Path) -> None:
    target = tmp_path / "target"
    call(sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--target", target, built, cwd=tmp_path)
    for imported in used_from(target, tmp_path):
        assert Path(imported).is_relative_to(target.resolve())


def test_everything_that_is_needed_is_in_the_wheel(built: Path) -> None:
    with zipfile.ZipFile(built) as wheel:
        names = set(wheel.namelist())
        metadata = wheel.read(next(n for n in names if n.endswith("METADATA"))).decode()
        entries = wheel.read(next(n for n in names if n.endswith("entry_points.txt"))).decode()
    kept = [
        f"{installed}/{p.relative_to(ROOT / package).as_posix()}"
        for package, installed in (("a4nn_core", "a4nn_core"), ("flows", "a4nn_flows"))
        for p in (ROOT / package).rglob("*")
        if p.is_file() and "__pycache__" not in p.parts and p.suffix not in (".so", ".pyc")
    ]
    assert len(kept) > 30
    assert set(kept) <= names
    assert {"a4nn_core/py.typed", "a4nn_core/presets/quick.toml", "a4nn_core/penguin/_lm.pyi"} <= names
    assert any(n.startswith("a4nn_core/penguin/_lm.") and n.endswith((".so", ".pyd")) for n in names)
    assert {n.split("/")[0] for n in names if ".dist-info/" not in n} == {"a4nn_core", "a4nn_flows"}
    assert "License-Expression: Apache-2.0" in metadata
    assert "a4nn = a4nn_core.cli:main" in entries


def test_the_source_distribution_installs_and_fits(unpacked: Path, tmp_path: Path) -> None:
    assert (unpacked / "cpp" / "fit.hpp").is_file()
    assert (unpacked / "tests" / "test_package.py").is_file()
    target = tmp_path / "target"
    call(
        *(sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--no-build-isolation"),
        *("--target", target, unpacked),
        cwd=tmp_path,
    )
    for imported in used_from(target, tmp_path):
        assert Path(imported).is_relative_to(target.resolve())


def test_an_editable_install_shows_edits(unpacked: Path, tmp_path: Path) -> None:
    venv = tmp_path / "venv"
    call(sys.executable, "-m", "venv", venv, cwd=tmp_path)
    python = venv / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    purelib = Path(
        call(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", cwd=tmp_path).strip()
    )
    # the dependencies of this environment, found after the venv's own and without their .pth files
    (purelib / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    call(
        *(python, "-m", "pip", "install", "-q", "--no-deps", "--no-build-isolation", "-e", unpacked),
        cwd=tmp_path,
        PATH=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    )
    extension, package, flows = call(python, "-P", "-c", FIT, cwd=tmp_path).splitlines()
    assert Path(extension).is_relative_to(venv.resolve())
    assert Path(package).is_relative_to(unpacked.resolve())
    assert Path(flows) == (unpacked / "flows" / "__init__.py").resolve()
    with (unpacked / "a4nn_core" / "errors.py").open("a") as file:
        file.write("\nEDITED = True\n")
    assert call(python, "-P", "-c", "import a4nn_core.errors as e; print(e.EDITED)", cwd=tmp_path) == "True\n"


@pytest.mark.parametrize("words", [["--help"], ["--version"]])
def test_help_imports_nothing_heavy(words: list[str], tmp_path: Path) -> None:
    code = (
        "import sys\nfrom a4nn_core.cli import main\n"
        f"sys.argv = ['a4nn', *{words!r}]\n"
        "try:\n    main()\nexcept SystemExit as end:\n    assert not end.code, end.code\n"
        "heavy = {'torch', 'prefect', 'duckdb', 'pyarrow', 'pandas', 'scipy', 'matplotlib'}\n"
        "heavy &= set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    out = call(sys.executable, "-c", code, cwd=tmp_path)
    assert "a4nn" in out.lower() or "usage" in out.lower()


def test_the_package_is_the_command(tmp_path: Path) -> None:
    said = call(sys.executable, "-m", "a4nn_core", "--version", cwd=tmp_path)
    assert said == f"a4nn {version('a4nn')}\n"


def test_a_project_with_flows_of_its_own_can_use_every_executor(tmp_path: Path) -> None:
    (tmp_path / "flows").mkdir()
    (tmp_path / "flows" / "__init__.py").write_text("MINE = True\n")
    code = (
        "from importlib.metadata import entry_points\n"
        "print(sorted(e.name for e in entry_points(group='a4nn.executors') if callable(e.load())))\n"
        "import flows\n"
        "print(flows.MINE)\n"
    )
    said = call(sys.executable, "-c", code, cwd=tmp_path, PYTHONPATH=".")
    assert said == "['dask', 'local', 'prefect', 'ray']\nTrue\n"


def test_a_search_under_prefect_starts_beside_flows_of_the_project(tmp_path: Path) -> None:
    (tmp_path / "flows").mkdir()
    (tmp_path / "flows" / "__init__.py").touch()
    done = subprocess.run(
        [sys.executable, "-m", "a4nn_core", "run", "quick", "--executor", "prefect"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": ".", "PREFECT_API_URL": "", "PREFECT_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    # the flow is there, a server is not
    assert done.returncode == 2, done.stderr
    assert "server" in done.stderr
