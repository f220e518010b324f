"""What a check of a commons found."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class Checked:
    """What a check found.

    Attributes:
        runs, networks, files: numbers of those that were checked.
        problems: one message per problem, with the name of the file.
        notes: harmless findings, such as what a killed process left.
    """

    runs: int = 0
    networks: int = 0
    files: int = 0
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
