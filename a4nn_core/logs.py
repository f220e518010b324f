"""Structured logs: one JSON object per line, with run, network and epoch, for whoever watches many runs.

The library logs through the standard ``logging`` module below the logger ``a4nn_core``. Where the environment
variable ``A4NN_LOG`` names a file (``-``: standard error), the command line and the workers write there, all
processes to the end of the same file, from level ``A4NN_LOG_LEVEL`` on (default ``INFO``).
"""

from __future__ import annotations

import json
import logging
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from a4nn_core.errors import BadInput
from a4nn_core.files import user_errors
from a4nn_core.printable import json_printable, printable

LOG_FILE = "A4NN_LOG"
LOG_LEVEL = "A4NN_LOG_LEVEL"
FIELDS = (
    "run",
    "network",
    "generation",
    "epoch",
    "segment",
    "status",
    "accuracy_percent",
    "accuracy_se_points",
    "seconds",
    "device",
)
"""further keys of a line, each present where the code that logs passes it"""


class JsonLines(logging.Formatter):
    """A record as one line of JSON."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "process": record.process,
            **{name: getattr(record, name) for name in FIELDS if hasattr(record, name)},
            "message": record.getMessage(),
        }
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json_printable(json.dumps(line, ensure_ascii=False, default=str))


class Plain(logging.Formatter):
    """A record as text for a terminal."""

    def format(self, record: logging.LogRecord) -> str:
        return "\n".join(map(printable, super().format(record).split("\n")))


def set_up() -> None:
    """Write logs where the environment says; without it, warnings come to standard error as Python has it.
    A second call does nothing.

    Raises:
        BadInput: the file cannot be written, or there is no such level.
    """
    target = os.environ.get(LOG_FILE)
    if logging.lastResort is not None:
        logging.lastResort.setFormatter(Plain())
    logger = logging.getLogger("a4nn_core")
    if not target or any(isinstance(handler.formatter, JsonLines) for handler in logger.handlers):
        return
    level = os.environ.get(LOG_LEVEL, "INFO").upper()
    if level not in logging.getLevelNamesMapping():
        raise BadInput(f"{LOG_LEVEL} = {level!r} is not a level; use DEBUG, INFO, WARNING or ERROR")
    handler: logging.Handler
    if target == "-":
        handler = logging.StreamHandler()
    else:
        with user_errors("write", Path(target)):
            handler = logging.FileHandler(target, encoding="utf-8")
    handler.setFormatter(JsonLines())
    logger.addHandler(handler)
    logger.setLevel(level)
    logger.propagate = False
