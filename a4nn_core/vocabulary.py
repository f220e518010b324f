"""The words that experiments, rules and records share, each spelled once.

They are text: JSON, Parquet and SQL hold them as they are.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Literal

Bounds = tuple[float | None, float | None]
"""The least and greatest value a metric can take, None where open."""

Schedule = Literal["annealed", "constant"]
"""What is known of the learning rate: it falls to nearly zero by the last epoch, or stays constant."""

Curves = Literal["as-trained", "averaged"]
"""What was measured after the epochs of a curve: the newest weights with the running statistics of batch
normalisation, as most programs do; or averaged weights, or at least recomputed statistics."""


ELSEWHERE = "elsewhere"
"""The device of networks that are trained elsewhere, and told by ``a4nn tell``."""


class Word(StrEnum):
    """Base of words that explain themselves: a member is its text, and ``meaning`` a sentence for people."""

    meaning: str

    def __new__(cls, text: str, meaning: str = "") -> Word:
        """A member of that text."""
        word = str.__new__(cls, text)
        word._value_ = text
        word.meaning = meaning
        return word


class Direction(StrEnum):
    """Which values of a metric are the better ones."""

    minimise = "minimise"
    maximise = "maximise"

    @property
    def sign(self) -> float:
        """Times this, smaller is better, whatever the direction: 1.0 or -1.0."""
        return 1.0 if self is Direction.minimise else -1.0

    @classmethod
    def _missing_(cls, value: object) -> Direction | None:
        """``min``, ``max`` and the American spellings, as other tools write them."""
        known = {"min": cls.minimise, "minimize": cls.minimise, "max": cls.maximise, "maximize": cls.maximise}
        return known.get(value) if isinstance(value, str) else None


class Task(Word):
    """What networks are trained for. Data, space and metrics each have one, and an experiment has parts of
    one task only."""

    classification = "classification", "to name the class of an image"
    restoration = "restoration", "to make of an image the one that it is a noisy measurement of"


class RunStatus(StrEnum):
    """Status of a run. One that was killed remains ``running`` in its records."""

    running = "running"
    completed = "completed"
    interrupted = "interrupted"
    failed = "failed"


class NetworkStatus(StrEnum):
    """Status of a network."""

    completed = "completed"
    """trained for its whole budget"""
    stopped = "stopped"
    """ended early by a verdict"""
    paused = "paused"
    """waits at a checkpoint"""
    failed = "failed"
    equal = "equal"
    """builds the same architecture as an earlier network, whose result it shares"""
    infeasible = "infeasible"
    """outside the bounds of ``[search.constraints]``, never trained"""


class FitnessSource(StrEnum):
    """Where the fitness of a network comes from."""

    measured = "measured"
    predicted = "predicted"
    told = "told"
    """measured elsewhere, and told by ``a4nn tell``"""


class Rejection(Word):
    """Why a genome that was proposed is not asked for."""

    not_json = "not_json", "it is not JSON"
    not_in_space = "not_in_space", "the space has no such genome"
    undecodable = "undecodable", "it is no network for these images"
    duplicate = "duplicate", "it was asked for before"
    out_of_bounds = "out_of_bounds", "it is outside the bounds of [search.constraints]"


class Action(StrEnum):
    """What a termination rule decides after an epoch."""

    proceed = "continue"
    pause = "pause"
    stop = "stop"


class EventKind(StrEnum):
    """What an entry of the event log reports."""

    started = "started"
    """a session began, where, and with which warnings"""
    resumed = "resumed"
    """the same of a run that goes on"""
    asked = "asked"
    considered = "considered"
    """genomes that the strategy looked at for an ask and did not ask for"""
    rejected = "rejected"
    """genomes that were proposed for an ask and cannot be asked for"""
    read = "read"
    """the value of a metric that is measured before training, of one architecture"""
    submitted = "submitted"
    completed = "completed"
    stopped = "stopped"
    paused = "paused"
    failed = "failed"
    judged = "judged"
    told = "told"
    enough = "enough"
    """the search asks for no further networks, by ``[search] stop``"""
    checkpoints_removed = "checkpoints_removed"
    interrupted = "interrupted"
    flow = "flow"
    """about the flow run in which the search runs, if any"""
