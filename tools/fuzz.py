"""Feed damaged and odd input to whatever reads what others wrote: ``python tools/fuzz.py``."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from fuzzing.child import Outcome
from fuzzing.harness import fuzz
from fuzzing.reader import USUAL, Reader
from fuzzing.target import Target
from fuzzing.targets import TARGETS

_ABOUT = """\
Hypothesis draws the inputs: valid ones changed in their structure (a JSON value, a cell of a table, a node
of a model) or byte by byte, and expressions and curves made anew. One that reaches lines of a4nn_core which
none before it did (sys.settrace; C++ is not measured) is changed further. Each is read in a child process.
It fails if it ends in anything but BadInput, takes 10 seconds of computing (or 60 of waiting), makes the
process grow by 500 MB or ends it. Then it is made smaller and kept, with the command that reads it again.
Exit code: 0 nothing failed, 1 something did.

targets:
"""


def _parser() -> argparse.ArgumentParser:
    listed = "\n".join(f"  {name:12} {target.what}" for name, target in TARGETS.items())
    parser = argparse.ArgumentParser(
        description=_ABOUT + listed, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("targets", metavar="TARGET", nargs="*", help="what to fuzz; default: all, in turn")
    parser.add_argument(
        "--seconds", type=float, default=60.0, metavar="N", help="for each target; default 60"
    )
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of the generator; default 0")
    parser.add_argument(
        "--keep",
        type=Path,
        default=Path("fuzz-found"),
        metavar="DIR",
        help="failing inputs; default fuzz-found",
    )
    parser.add_argument(
        "--replay", type=Path, metavar="FILE", help="read this one input and say what happens"
    )
    return parser


def main(arguments: list[str] | None = None) -> int:
    """The command; returns its exit code."""
    parser = _parser()
    given = parser.parse_args(arguments)
    unknown = [name for name in given.targets if name not in TARGETS]
    if unknown:
        parser.error(f"there is no target {unknown[0]!r}; targets: {', '.join(TARGETS)}")
    if given.replay is not None:
        if len(given.targets) != 1:
            parser.error("--replay needs one TARGET, the one that the input belongs to")
        if not given.replay.is_file():
            parser.error(f"there is no file {given.replay}")
        return _replay(TARGETS[given.targets[0]], given.replay.read_bytes())
    failed = 0
    for name in given.targets or TARGETS:
        found = fuzz(TARGETS[name], given.seconds, given.seed, given.keep, tell=_say)
        counts, new = found.outcomes, len(found.corpus) - len(TARGETS[name].seeds())
        _say(
            f"{name}: {counts.total()} inputs in {found.seconds:.0f} s, {counts[Outcome.read]} read, "
            f"{counts[Outcome.refused]} refused, {new} that reached new lines; "
            f"failures: {len(found.failures)}"
        )
        failed += len(found.failures)
    return int(failed > 0)


def _replay(target: type[Target], data: bytes) -> int:
    with Reader(target, USUAL, guided=False) as reader:
        answer = reader.read(data)
    _say(f"{answer.outcome}: {answer.text}" if answer.text else f"{answer.outcome}")
    return int(answer.outcome.failed)


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
