"""``docs/settings.md``, from the models of all parts: ``python tools/settings_page.py FILE``."""

from __future__ import annotations

import sys
from pathlib import Path

from a4nn_core.files import atomic_write_bytes
from a4nn_core.reference import OWN, TABLES, Part, Setting, parts

_HEAD = """# Settings

<!-- written by python tools/settings_page.py; do not edit -->

Every setting of an experiment file, and so of `--set TABLE.KEY=VALUE`. `a4nn settings [PART]` prints the same
in a terminal, with the parts of other packages that are installed. A setting without a default must be given;
one that is *not set* may be left out. For a table that has a `name`, the name alone will do:
`--set termination=none`.
"""


def _table(name: str) -> str:
    found = [part for part in parts(name) if part.package == OWN]
    bare = [part for part in found if part.name and not part.settings]
    lines = [f"## {name.capitalize()}", "", f"`{name}`: {_cell(TABLES[name].about)}", ""]
    if bare:
        lines += ["| without settings | |", "|---|---|"]
        lines += [f"| `{part.name}` | {_cell(part.meaning)} |" for part in bare]
        lines += [""]
    for part in found:
        if part not in bare:
            lines += _part(part)
    return "\n".join(lines)


def _part(part: Part) -> list[str]:
    lines = [f"### `{part.title}`", ""] if part.name else []
    lines += [part.meaning, "", "| setting | default | takes | unit | meaning |", "|---|---|---|---|---|"]
    return [*lines, *map(_row, part.settings), ""]


def _row(setting: Setting) -> str:
    default = (
        f"`{setting.default}`" if setting.default is not None else "" if setting.required else "*not set*"
    )
    cells = (f"`{setting.name}`", default, *map(_cell, (setting.values, setting.unit or "", setting.meaning)))
    return f"| {' | '.join(cells)} |"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("[", "\\[")


def document() -> str:
    """The whole page."""
    return "\n".join([_HEAD, *map(_table, TABLES)])


if __name__ == "__main__":
    atomic_write_bytes(Path(sys.argv[1]), document().encode())
