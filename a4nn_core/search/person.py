"""A person as a strategy: is shown what has been trained, and types what to train next.

What is typed is read from standard input, so a file or another program can do it as well. What was asked for
is in the event log: when the terminal is closed the search ends as by Ctrl-C, and is resumed where it was.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import ClassVar, Literal

import numpy as np

from a4nn_core.errors import BadInput
from a4nn_core.jsonable import to_json
from a4nn_core.printable import printable
from a4nn_core.search.base import Rejected
from a4nn_core.search.history import History, Trial
from a4nn_core.search.lines import Lines
from a4nn_core.search.proposals import ProposalSettings, Proposer, Typed
from a4nn_core.search.variation import Proposal

LAST = 5
"""how many networks are shown beside the front"""
RANDOM, END, HELP = "random", "end", "?"
WIDEST = 100


class Person(ProposalSettings):
    """Genomes that a person types at the terminal, as JSON."""

    name: Literal["person"] = "person"
    converses: ClassVar[bool] = True
    schedule: Literal["generational", "steady"] = "steady"
    """steady asks for a network as soon as a slot is free; generational for a batch, and waits for it"""

    def proposer(self) -> Proposer:
        return _Typist()


class _Typist:
    """Whoever sits at the terminal."""

    has_state = False

    def __init__(self) -> None:
        self._lines: Lines | None = None
        self._asked = False
        self._ended = False

    @property
    def waiting(self) -> bool:
        return self._asked

    def propose(self, history: History, count: int) -> Iterable[object] | None:
        if self._ended:
            return []
        if self._lines is None:
            self._lines = Lines(_standard_input())
        if not self._asked:
            _show(*_state(history, count))
            self._asked = True
        while (line := self._lines.next()) is not None:
            word = line.strip()
            if not word:
                continue
            if word == HELP:
                _show(*_help(history))
                continue
            self._asked = False
            if word == END:
                self._ended = True
                return []
            return [_random(history) if word == RANDOM else Typed(word, "typed")]
        if self._lines.ended:
            self._asked = False
            if any(trial.status == "training" for trial in history.trials):
                return []  # those in training end first
            raise BadInput(
                "search person: its input has ended, and so nobody can type a genome; run it again, at a "
                "terminal, to go on"
            )
        return None

    def told(self, trial: Trial) -> None:
        """Shown with the next question."""

    def refused(self, rejected: Rejected) -> None:
        _show(f"not trained, {rejected.reason}: {rejected.explanation}")

    def close(self) -> None:
        """There is nothing to end."""


def _standard_input() -> int:
    try:
        return sys.stdin.fileno()
    except (AttributeError, OSError, ValueError):
        raise BadInput("search person needs standard input, and there is none") from None


def _show(*lines: str) -> None:
    for line in lines:
        sys.stderr.write(printable(line) + "\n")
    sys.stderr.flush()


def _state(history: History, count: int) -> list[str]:
    """What is known, and what is asked."""
    trials = history.trials
    training = sum(trial.status == "training" for trial in trials)
    lines = ["", f"{len(trials)} of {history.networks} networks asked for, {training} in training"]
    if history.rejected:
        plural = "genome" if len(history.rejected) == 1 else "genomes"
        lines[-1] += f", {len(history.rejected)} {plural} not valid"
    front = history.front()
    if front:
        lines += ["Pareto front:", *(_line(history, trial) for trial in front)]
    others = [trial for trial in trials if trial.status != "training" and trial not in front][-LAST:]
    if others:
        lines += ["last:", *(_line(history, trial) for trial in others)]
    many = "the next network" if count == 1 else f"one of the next {count} networks"
    return [*lines, f"genome of {many} ({RANDOM}, {END}, or {HELP} for help):"]


def _line(history: History, trial: Trial) -> str:
    """One network in a list."""
    fitness = trial.fitness or {}
    values = "  ".join(f"{name} {fitness[name]:.4g}" for name in history.objectives if name in fitness)
    genome = to_json(trial.genome)
    clipped = genome if len(genome) <= WIDEST else f"{genome[: WIDEST - 3]}..."
    return f"  network {trial.number:>3}  {values or trial.status}  {clipped}"


def _help(history: History) -> list[str]:
    return [
        f"Type one genome a line, as JSON. A random one of space {history.space.name}:",
        f"  {to_json(history.space.sample(np.random.default_rng()))}",
        f"{RANDOM} trains a random one, {END} ends the search when all networks have been trained,",
        "and Ctrl-C interrupts it: the same command goes on.",
    ]


def _random(history: History) -> Proposal:
    """A random genome; it is in the records, and need not be drawn again."""
    rng = np.random.default_rng([history.seed, len(history.trials), len(history.rejected)])
    return Proposal(history.space.sample(rng), (), "sampling")
