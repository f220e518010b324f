"""The page of a report: one file of HTML with data, style and code inside; it loads nothing."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import re
from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

from a4nn_core.files import atomic_write, make_folder
from a4nn_core.jsonable import Json
from a4nn_core.printable import html_text
from a4nn_core.report.document import Room, document
from a4nn_core.version import __version__

if TYPE_CHECKING:
    from a4nn_core.commons import Commons

_SCRIPTS = ("text.js", "state.js", "charts.js", "sketches.js", "matching.js", "page.js")


def write_report(commons: Commons, runs: Sequence[str], file: Path, room: Room | None = None) -> None:
    """Write the report of one run, or of several side by side.

    Args:
        commons: where they are.
        runs: their ids.
        file: the page, HTML.
        room: how much it may hold.

    Raises:
        BadInput: there is no such run, its records cannot be read, runs for different tasks are mixed, or the
            file cannot be written.
    """
    text = page(document(commons, runs, room))
    make_folder(file.parent)
    with atomic_write(file) as temporary:
        temporary.write_text(text, encoding="utf-8")


def page(found: dict[str, Json]) -> str:
    """The page of what a report holds (``document``)."""
    script = "".join(["'use strict';\n(() => {\n", *map(part, _SCRIPTS), "})();\n"])
    code = plotly()
    # only this code runs, whatever the data hold; nothing is loaded from anywhere
    policy = "; ".join(
        (
            "default-src 'none'",
            f"script-src {_hash(script)} {_hash(code)}",
            "style-src 'unsafe-inline'",
            "img-src data: blob:",
            "base-uri 'none'",
            "form-action 'none'",
        )
    )
    values = {
        "policy": html_text(policy),
        "version": html_text(__version__),
        "title": html_text(found["title"]),
        "style": part("page.css"),
        "document": embedded(found),
        "plotly": _packed(code),
        "script": script,
    }
    return re.sub(r"\{\{(\w+)\}\}", lambda place: values[place[1]], part("page.html"))


def embedded(value: object) -> str:
    """JSON that may stand in a script element of HTML: none of its text can end the element or begin a "
    "comment."""
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
    return text.replace("&", r"\u0026").replace("<", r"\u003c").replace(">", r"\u003e")


def part(name: str) -> str:
    """A file of the page, as text; the explorer shares some."""
    return (files("a4nn_core") / "report" / "page" / name).read_text(encoding="utf-8")


@cache
def plotly() -> str:
    """The code of Plotly."""
    from plotly.offline import get_plotlyjs

    code: str = get_plotlyjs()
    return code


@cache
def _packed(code: str) -> str:
    """Code compressed, as base64: a third of its size, and a browser needs a tenth of a second to unpack "
    "it."""
    return base64.b64encode(gzip.compress(code.encode(), compresslevel=6, mtime=0)).decode()


def _hash(code: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(code.encode()).digest()).decode()}'"
