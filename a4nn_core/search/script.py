"""Another program as a strategy: it is asked and answers in lines of JSON, in any language.

For each ask it gets one line on its standard input, an object: ``ask`` says how many genomes can be asked
for, and the rest is the history of the search (``History.as_dict``). It answers with one line on its
standard output: a list of genomes, or an object with the list ``genomes``; an empty list if it has none
before it is told more. It may live as long as the search, or end after each answer: as it is given the whole
history each time, it needs no memory, and the search is resumed from its records.
"""

from __future__ import annotations

import shlex
import subprocess
from collections.abc import Iterable
from contextlib import suppress
from typing import Annotated, Literal

from pydantic import Field

from a4nn_core.errors import BadInput
from a4nn_core.jsonable import parsed, to_json
from a4nn_core.search.base import Rejected
from a4nn_core.search.history import History, Trial
from a4nn_core.search.lines import Lines
from a4nn_core.search.proposals import LONGEST, ProposalSettings, Proposer, Typed


class Script(ProposalSettings):
    """Genomes from another program, which is asked and answers in lines of JSON."""

    name: Literal["script"] = "script"
    command: Annotated[tuple[str, ...], Field(min_length=1)]
    """the program and its arguments, such as ["python", "propose.py"]; it is started without a shell"""

    def proposer(self) -> Proposer:
        return _Program(self.command)


class _Program:
    """The program while it runs."""

    has_state = False

    def __init__(self, command: tuple[str, ...]) -> None:
        self._command = command
        self._process: subprocess.Popen[bytes] | None = None
        self._lines: Lines | None = None
        self._question: bytes | None = None
        self._fresh = False  # whether the process has not answered yet

    @property
    def waiting(self) -> bool:
        return self._question is not None

    def propose(self, history: History, count: int) -> Iterable[object] | None:
        if self._question is None:
            self._question = to_json({"ask": count, **history.as_dict()}).encode() + b"\n"
            self._ask()
        assert self._lines is not None
        line = self._lines.next()
        if line is not None:
            self._question, self._fresh = None, False
            return _genomes(line)
        if self._lines.ended:
            self._ask()  # it may have ended after its last answer
        return None

    def _ask(self) -> None:
        """Send the question; to a new process if there is none any more.

        Raises:
            BadInput: a new process cannot be started, or has ended before it answered.
        """
        assert self._question is not None
        if (
            self._process is None
            or self._lines is None
            or self._lines.ended
            or self._process.poll() is not None
        ):
            self._start()
        assert self._process is not None
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(self._question)
            self._process.stdin.flush()
        except OSError:  # it has ended, or has closed its input
            if self._fresh:
                raise self._failed() from None
            self._start()
            self._ask()

    def _start(self) -> None:
        if self._fresh:
            raise self._failed()
        self._end()
        try:
            self._process = subprocess.Popen(
                self._command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                start_new_session=True,  # Ctrl-C is for the search, which ends it
            )
        except OSError as error:
            raise BadInput(
                f"[search] command {shlex.join(self._command)} cannot be started: {error.strerror}"
            ) from None
        assert self._process.stdout is not None
        self._lines, self._fresh = Lines(self._process.stdout.fileno()), True

    def _failed(self) -> BadInput:
        self._end()
        return BadInput(
            f"search script: {shlex.join(self._command)} ended with status {self._status} before it "
            "answered; when that is corrected, run it again to go on"
        )

    def told(self, trial: Trial) -> None:
        """It reads the history of the next ask."""

    def refused(self, rejected: Rejected) -> None:
        """It reads the history of the next ask."""

    def close(self) -> None:
        self._end()

    def _end(self) -> None:
        """Close its input, by which it hears that it is no longer needed; if it goes on, end it."""
        if self._process is None:
            return
        for pipe in (self._process.stdin, self._process.stdout):
            with suppress(OSError):
                if pipe is not None:
                    pipe.close()
        try:
            self._status = self._process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._status = self._process.wait()
        self._process, self._fresh = None, False


def _genomes(line: str) -> Iterable[object]:
    """The genomes of an answer. One that cannot be read counts as a genome that is not valid."""
    try:
        answer = parsed(line)
    except ValueError:
        return [Typed(line[:LONGEST], "proposed")]
    genomes = answer.get("genomes") if isinstance(answer, dict) else answer
    return genomes if isinstance(genomes, list) else [Typed(line[:LONGEST], "proposed")]
