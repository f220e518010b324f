"""What lies beside the records of every run that has ended: its picture and its report."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

from a4nn_core.archaeology.figures import front_figure
from a4nn_core.commons import Commons
from a4nn_core.commons.layout import RunFolder
from a4nn_core.errors import BadInput
from a4nn_core.report.page import write_report
from a4nn_core.vocabulary import Task

PICTURE = "front.png"
REPORT = "report.html"
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Beside:
    """What could be written.

    Attributes:
        picture: the front as a still picture; None if there is nothing to draw, it cannot be written, or the
            run is pictured by restored images instead (``publish/models/restored.py``).
        report: the page; None if it cannot be written.
        problems: why, a sentence each.
    """

    picture: Path | None
    report: Path | None
    problems: tuple[str, ...] = ()


def found_beside(commons: Commons, run: str, since: float = 0.0) -> Beside:
    """What was written before.

    Args:
        commons: where the run is.
        run: its id.
        since: only what was written after this moment, in seconds since 1970.
    """
    folder = RunFolder(commons.path, run).path

    def found(name: str) -> Path | None:
        file = folder / name
        return file if file.is_file() and file.stat().st_mtime >= since else None

    return Beside(found(PICTURE), found(REPORT))


def ensure_beside(commons: Commons, run: str, since: float = 0.0) -> Beside:
    """What was written before, if the report is among it; else it is written now."""
    before = found_beside(commons, run, since)
    return before if before.report else write_beside(commons, run)


def write_beside(commons: Commons, run: str) -> Beside:
    """Write picture and report of a run into its folder.

    They show what the run has found and are no part of it, so nothing that goes wrong here is an error of
    the run.

    Raises:
        BadInput: there is no such run.
    """
    folder = RunFolder(commons.path, run).path
    has_other = commons.run(run).task is Task.restoration  # restored images are the picture of such a run
    picture, report = folder / PICTURE, folder / REPORT
    problems = []
    drawn = written = False
    try:
        drawn = not has_other and front_figure(commons, run, picture, REPORT)
    except BadInput as error:
        problems.append(f"no picture: {error}")
    try:
        write_report(commons, [run], report)
        written = True
    except BadInput as error:
        problems.append(f"no report: {error}")
    except Exception as error:  # a defect of a figure must not take the result of a search with it
        _LOG.exception("the report of run %s cannot be made", run)
        problems.append(f"no report: {type(error).__name__}: {error}")
    return Beside(picture if drawn else None, report if written else None, tuple(problems))
