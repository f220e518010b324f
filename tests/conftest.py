"""What every test may use, and the order in which tests run."""

from __future__ import annotations

import logging
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser

# Every test process, and whatever it starts, computes in one thread: several of them share the cores, and
# threads that wait for one another keep a core busy. Before torch is imported, which reads it once.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import chromium
from hypothesis import settings
from prefect_stack import Stack, serving

settings.register_profile("tests", deadline=None)  # how long an example takes depends on the machine
settings.load_profile("tests")

# The files that take longest, longest first: so two workers (see the Makefile) end at nearly the same time.
LONGEST = (
    "test_prefect",
    "test_clusters",
    "test_alarms",
    "test_cli",
    "test_package",
    "test_commons_import",
    "test_evaluation",
    "test_training",
    "test_commons_kill",
    "test_publish_flow",
    "test_publish_models",
    "test_memory",
    "test_fit_cpp",
    "test_commons_transfer",
    "test_explore_browser",
)


@pytest.fixture(scope="session")
def reference_data() -> Path:
    """The published reference data: the folder named by A4NN_REFERENCE_DATA."""
    folder = os.environ.get("A4NN_REFERENCE_DATA")
    if not folder:
        pytest.skip(
            "the reference data (the published runs, github.com/TauferLab/Reproducibility_A4NN_ICPP23) "
            "are not here: set A4NN_REFERENCE_DATA to their folder, see docs/architecture.md"
        )
    path = Path(folder).resolve()
    assert path.is_dir(), f"A4NN_REFERENCE_DATA names {path}, which is not a folder"
    return path


@pytest.fixture(scope="session", autouse=True)
def no_waiting_for_the_disk() -> Iterator[None]:
    """What was written survives kill -9 in the kernel. Only a loss of power, which no test makes, needs it on
    the disk, and waiting for that would be most of the time of many tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda _: None)
        yield


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 256 kB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", disk], capture_output=True, check=False
    )
    if made.returncode:
        pytest.skip("mounting a small file system needs root")
    yield disk
    subprocess.run(["umount", "-l", disk], check=True)


@pytest.fixture(autouse=True)
def logging_as_before() -> Iterator[None]:
    """The command line sets up logging for its process; a test that calls it must not do so for others."""
    logger = logging.getLogger("a4nn_core")
    before = (list(logger.handlers), logger.level, logger.propagate)
    yield
    for handler in logger.handlers:
        if handler not in before[0]:
            handler.close()
    logger.handlers[:], logger.level, logger.propagate = before
    logging.disable(logging.NOTSET)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Long files come first. Every golden test asks for the reference data: none can pass without them."""
    for item in items:
        if item.get_closest_marker("golden"):
            assert isinstance(item, pytest.Function)
            assert "reference_data" in item.fixturenames, f"{item.nodeid} is golden without reference_data"
    rank = {name: place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: rank.get(item.path.stem, len(rank)))


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Where the reference data is at hand, a golden test that skips is a failure.

    Of a run with several workers only the process that gathers their reports has a terminal.
    """
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if not os.environ.get("A4NN_REFERENCE_DATA") or reporter is None:
        return
    skipped = [r.nodeid for r in reporter.stats.get("skipped", []) if "golden" in getattr(r, "keywords", {})]
    if skipped:
        reporter.write_line(f"golden tests skipped: {', '.join(skipped)}", red=True)
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A Prefect server on SQLite, one for all tests of a process, which asks everything for a password."""
    with serving(tmp_path_factory.mktemp("prefect")) as one:
        yield one


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium, one for the tests of a file."""
    with chromium.running() as found:
        yield found
