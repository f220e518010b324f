"""What can be fuzzed: the interface."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import ClassVar

from hypothesis.strategies import SearchStrategy

from a4nn_core.errors import BadInput


class Target(ABC):
    """A reader and its inputs. An object of it is made in the child process; inputs are made in the parent.

    Args:
        folder: an empty folder that the object may write to.
    """

    name: ClassVar[str]
    what: ClassVar[str]
    """what is read, in a few words"""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @classmethod
    @abstractmethod
    def seeds(cls) -> list[bytes]:
        """Valid inputs, from which others are made."""

    @classmethod
    @abstractmethod
    def inputs(cls, corpus: Sequence[bytes]) -> SearchStrategy[bytes]:
        """Inputs to try.

        Args:
            corpus: the seeds, and inputs that reached lines which none before them did.
        """

    @abstractmethod
    def run(self, data: bytes) -> None:
        """Read an input.

        Raises:
            BadInput: it is not a valid one, which is as it should be; every other exception is a failure.
        """


def each(steps: Sequence[Callable[[], object]]) -> None:
    """Take all steps, also after one that refuses the input.

    Raises:
        BadInput: the first refusal.
    """
    refusal: BadInput | None = None
    for step in steps:
        try:
            step()
        except BadInput as error:
            refusal = refusal or error
    if refusal is not None:
        raise refusal
