"""How many epochs a run trained, and how many it did not have to."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Epochs:
    """Epochs of some networks.

    Attributes:
        trained: all that were.
        saved_by_termination: that networks ended early did not have.
        saved_by_equality: that networks equal to others did not have.
    """

    trained: int
    saved_by_termination: int
    saved_by_equality: int

    @classmethod
    def of(cls, networks: Iterable[Mapping[str, Any]], planned: int | None = None) -> Epochs:
        """Count.

        Args:
            networks: rows of the table ``networks``.
            planned: budget of those that recorded none; None for what they had.
        """
        trained = by_termination = by_equality = 0
        for row in networks:
            trained += row["epochs_trained"] or 0
            if row["status"] == "equal":
                by_equality += unspent(row, planned)
            else:
                by_termination += unspent(row, planned)
        return cls(trained, by_termination, by_equality)

    @property
    def budget(self) -> int:
        """What training every network to the end would have taken."""
        return self.trained + self.saved_by_termination + self.saved_by_equality

    @property
    def saved_percent(self) -> float:
        """Share of the budget that was not trained."""
        saved = self.saved_by_termination + self.saved_by_equality
        return 100 * saved / self.budget if self.budget else 0.0


def unspent(row: Mapping[str, Any], planned: int | None = None) -> int:
    """Epochs of its budget that a network did not have; none of a failed one, which had no more."""
    had = row["epochs_trained"] or 0
    budget = next((b for b in (row["epochs_budget"], planned) if b is not None), had)
    return 0 if row["status"] == "failed" else budget - had
