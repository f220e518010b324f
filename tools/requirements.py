"""Print what the package, or one of its extras, needs, a line each: pyproject.toml is the only place that
says it."""

from __future__ import annotations

import sys
import tomllib
from pathlib import Path

project = tomllib.loads((Path(__file__).parent.parent / "pyproject.toml").read_text())["project"]
wanted = project["optional-dependencies"][sys.argv[1]] if len(sys.argv) > 1 else project["dependencies"]
sys.stdout.write("\n".join(wanted) + "\n")
