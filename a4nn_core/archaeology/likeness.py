"""How alike two genomes are: positions that differ, matching subsequences, common substring, structure.

A genome is looked at as the sequence of its values in the order in which its search space writes them (macro:
the bits of one phase after another). A *matching subsequence* is a longest possible stretch of positions at
which two genomes have the same values, as in the published archaeology of neural networks; the longest
*common substring* may stand at different positions in each.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from a4nn_core.archaeology.difference import difference
from a4nn_core.commons.records import Network
from a4nn_core.jsonable import Json
from a4nn_core.spaces.architecture import Architecture


def sequence(genome: Json) -> tuple[Json, ...]:
    """The values of a genome one after another; those of a table in the order of its names."""
    if isinstance(genome, list):
        return tuple(value for part in genome for value in sequence(part))
    if isinstance(genome, dict):
        return tuple(value for name in sorted(genome) for value in sequence(genome[name]))
    return (genome,)


@dataclass(frozen=True)
class Match:
    """A stretch of positions at which two genomes have the same values, as long as possible.

    Attributes:
        start: its first position, from 0.
        values: the values there.
    """

    start: int
    values: tuple[Json, ...]

    @property
    def length(self) -> int:
        """Number of positions."""
        return len(self.values)

    @property
    def bits(self) -> str:
        """The values as text: ``0110``; with spaces where one takes more than a character."""
        words = [word(value) for value in self.values]
        return ("" if all(len(word) == 1 for word in words) else " ").join(words)


def word(value: Json) -> str:
    """A value as text; a bit is 0 or 1."""
    return str(int(value) if isinstance(value, bool) else value)


@dataclass(frozen=True)
class Common:
    """The longest stretch of values that two genomes share, at any positions.

    Attributes:
        length: number of values, 0 if they share none.
        first, second: where it starts in each.
    """

    length: int
    first: int
    second: int


@dataclass(frozen=True)
class Alike:
    """How alike two networks are.

    Attributes:
        positions: positions of both genomes; None if they are not of the same form, such as genomes of two
            spaces. Then what follows from positions is None or empty.
        differing: number of positions that differ (Hamming).
        matches: every aligned matching subsequence, by position.
        common: the longest common substring.
        same_architecture: whether both build the same network (isomorphic graphs); None if not recorded.
        structure: share of layers and connections that are in both and the same, from 0 to 1; None if the
            layers of one were not recorded. It does not need genomes of the same form.
    """

    positions: int | None
    differing: int | None
    matches: tuple[Match, ...]
    common: Common | None
    same_architecture: bool | None
    structure: float | None

    @property
    def longest(self) -> Match | None:
        """The longest matching subsequence, the first of ties; None if there is none."""
        return max(self.matches, key=lambda match: match.length, default=None)


def alike(
    one: Network,
    other: Network,
    architectures: Mapping[int, Architecture] | tuple[Architecture, Architecture] | None = None,
) -> Alike:
    """How alike two networks are, of one run or of two.

    Args:
        one, other: their records.
        architectures: of both networks; or of a run by number, if both are of that run. None to leave the
            structural match out.

    Raises:
        BadInput: an operation of a layer is not known.
    """
    values = [sequence(n.genome.value) if n.genome is not None else () for n in (one, other)]
    hashes = (one.architecture_hash, other.architecture_hash)
    pair = _both(one, other, architectures)
    comparable = len(values[0]) == len(values[1]) > 0
    matches = tuple(aligned(*values)) if comparable else ()
    return Alike(
        positions=len(values[0]) if comparable else None,
        differing=len(values[0]) - sum(match.length for match in matches) if comparable else None,
        matches=matches,
        common=longest_common(*values) if comparable else None,
        same_architecture=None if None in hashes else hashes[0] == hashes[1],
        structure=None if pair is None else difference(*pair).likeness,
    )


def _both(
    one: Network,
    other: Network,
    architectures: Mapping[int, Architecture] | tuple[Architecture, Architecture] | None,
) -> tuple[Architecture, Architecture] | None:
    if architectures is None or isinstance(architectures, tuple):
        return architectures
    first, second = architectures.get(one.trained_as), architectures.get(other.trained_as)
    return None if first is None or second is None else (first, second)


def aligned(one: Sequence[Json], other: Sequence[Json]) -> Iterator[Match]:
    """Every matching subsequence of two sequences of the same length, by position."""
    start = None
    for place in range(len(one) + 1):
        same = place < len(one) and one[place] == other[place]
        if same and start is None:
            start = place
        elif not same and start is not None:
            yield Match(start, tuple(one[start:place]))
            start = None


def longest_common(one: Sequence[Json], other: Sequence[Json]) -> Common:
    """The longest common substring, the first of ties in the first sequence; time: product of the lengths."""
    best = Common(0, 0, 0)
    before = [0] * (len(other) + 1)
    for i, value in enumerate(one):
        row = [0] * (len(other) + 1)
        for j, its in enumerate(other):
            if value == its:
                row[j + 1] = before[j] + 1
                if row[j + 1] > best.length:
                    best = Common(row[j + 1], i + 1 - row[j + 1], j + 1 - row[j + 1])
        before = row
    return best
