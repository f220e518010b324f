"""The networks of another run, asked for again as they were recorded: to see what they would have become."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from pydantic import Field, model_validator

from a4nn_core.component import Settings
from a4nn_core.search.base import Candidate, Outcome, SearchSettings, Strategy, Violation, no_violation
from a4nn_core.spaces.base import Genome, Space


class Repeated(Settings):
    """One network of the other run."""

    number: int = Field(ge=0)
    """its number, from which its seed follows"""
    genome: Genome
    """in the form of the search space"""
    generation: int = Field(ge=0)
    """generation that asked for it"""
    position: int = Field(ge=0)
    """place inside its generation"""
    parents: tuple[int, ...] = ()
    """numbers of the networks it was made from"""
    operator: str = ""
    """what made it"""


class Repeat(SearchSettings):
    """Asks for recorded networks in their order, whatever becomes of them."""

    name: Literal["repeat"] = "repeat"
    searches: ClassVar[type[Any]] = Space
    run: str
    """run that they are from"""
    candidates: tuple[Repeated, ...] = Field(min_length=1)
    """its networks, by number"""

    @model_validator(mode="after")
    def _in_order(self) -> Repeat:
        numbers = [candidate.number for candidate in self.candidates]
        if numbers != sorted(set(numbers)):
            raise ValueError("candidates must have rising numbers")
        return self

    def start(self, space: Space, seed: int, violation: Violation = no_violation) -> Strategy:
        del seed, violation
        for candidate in self.candidates:
            space.check(candidate.genome)  # raises if it does not fit
        return _Repetition(self)


class _Repetition(Strategy):
    def __init__(self, settings: Repeat) -> None:
        self._left = [
            Candidate(
                number=one.number,
                genome=one.genome,
                parents=one.parents,
                operator=one.operator,
                generation=one.generation,
                position=one.position,
            )
            for one in settings.candidates
        ]
        self._open: dict[int, int] = {one.number: one.generation for one in settings.candidates}
        self._last = max(self._open.values())

    def ask(self, count: int) -> list[Candidate]:
        asked, self._left = self._left[:count], self._left[count:]
        return asked

    def tell(self, outcome: Outcome) -> None:
        self._open.pop(outcome.number, None)

    @property
    def generation(self) -> int:
        return min(self._open.values(), default=self._last)

    @property
    def finished(self) -> bool:
        return not self._open
