"""Size and complexity of the source, printed for people to judge by: ``python tools/report.py``."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]
FOLDERS = ("a4nn_core", "flows", "tests", "benchmarks", "tools")
BRANCHES = (
    ast.If,
    ast.For,
    ast.While,
    ast.ExceptHandler,
    ast.With,
    ast.IfExp,
    ast.comprehension,
    ast.match_case,
)


class Function(NamedTuple):
    """One function: cyclomatic complexity (McCabe, 1976) is branches and Boolean operators plus one."""

    complexity: int
    lines: int
    place: str


def functions(file: Path) -> Iterator[Function]:
    """Every function of a file."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            branches = sum(isinstance(inner, BRANCHES) for inner in ast.walk(node))
            operators = sum(len(n.values) - 1 for n in ast.walk(node) if isinstance(n, ast.BoolOp))
            lines = (node.end_lineno or node.lineno) - node.lineno + 1
            place = f"{file.relative_to(ROOT)}:{node.lineno} {node.name}"
            yield Function(1 + branches + operators, lines, place)


def main() -> None:
    """Print the report."""
    out = sys.stdout.write
    out(f"{'room':34} files  lines  longest file  functions  Any per 1,000 lines\n")
    everything: list[Function] = []
    for folder in FOLDERS:
        rooms: dict[str, list[Path]] = {}
        for file in sorted((ROOT / folder).rglob("*.py")):
            parts = file.relative_to(ROOT).parts
            rooms.setdefault("/".join(parts[:2]) if folder == "a4nn_core" else folder, []).append(file)
        for room, files in rooms.items():
            texts = [file.read_text(encoding="utf-8") for file in files]
            lengths = [text.count("\n") for text in texts]
            found = [one for file in files for one in functions(file)]
            everything += found if folder in ("a4nn_core", "flows") else []
            loose = sum(len(re.findall(r"\bAny\b", text)) for text in texts)
            out(
                f"{room:34} {len(files):5}  {sum(lengths):5}  {max(lengths):12}  {len(found):9}  "
                f"{1000 * loose / max(sum(lengths), 1):19.1f}\n"
            )
    out("\nmost complex functions of the library\ncomplexity  lines\n")
    for one in sorted(everything, reverse=True)[:15]:
        out(f"{one.complexity:10}  {one.lines:5}  {one.place}\n")


if __name__ == "__main__":
    main()
