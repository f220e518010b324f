"""Numbers of networks as short text, such as ``0-99,105``."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from a4nn_core.errors import BadInput

MOST_NETWORKS = 10_000_000
"""numbers that the networks of one run can have"""

_PART = re.compile(r"([0-9]{1,8})(?:-([0-9]{1,8}))?")


def to_ranges(numbers: Iterable[int]) -> str:
    """Numbers as text."""
    parts: list[list[int]] = []
    for number in sorted(set(numbers)):
        if parts and parts[-1][1] == number - 1:
            parts[-1][1] = number
        else:
            parts.append([number, number])
    return ",".join(str(a) if a == b else f"{a}-{b}" for a, b in parts)


def from_ranges(text: str) -> set[int]:
    """The numbers that ``to_ranges`` wrote.

    Raises:
        BadInput: they are not such numbers.
    """
    return {number for part in _parts(text) for number in part}


def count_of(text: str) -> int:
    """How many numbers ``to_ranges`` wrote.

    Raises:
        BadInput: they are not such numbers.
    """
    return sum(map(len, _parts(text)))


def _parts(text: str) -> Iterator[range]:
    """The ranges, which follow each other."""
    after = -1
    for part in text.split(",") if text else ():
        found = _PART.fullmatch(part)
        low, high = (int(found[1]), int(found[2] or found[1])) if found else (-1, -1)
        if not after < low <= high < MOST_NETWORKS:
            raise BadInput(f"{part!r} are not the next numbers of networks, such as 0-99 or 105")
        yield range(low, high + 1)
        after = high
