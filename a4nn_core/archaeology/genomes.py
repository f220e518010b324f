"""The genomes of many networks in machine words, and how alike all pairs of them are."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from a4nn_core.archaeology.likeness import sequence, word
from a4nn_core.commons.layout import RunFolder
from a4nn_core.commons.likeness import state_of
from a4nn_core.commons.lock import holder
from a4nn_core.commons.records import Network
from a4nn_core.commons.schema import LIKENESS
from a4nn_core.errors import BadInput
from a4nn_core.files import user_errors

if TYPE_CHECKING:
    from a4nn_core.commons import Commons

Words = NDArray[np.uint64]

MOST_POSITIONS = 64
"""genomes of more positions are compared in pairs, not all with all"""
_TABLE = 22  # positions up to which the longest run is looked up in a table (4 MiB) instead of computed

PAIRS: pa.Schema = LIKENESS.schema.remove(LIKENESS.schema.get_field_index("run"))
"""columns of the table of all pairs of one run"""


def _by_size(word: str) -> tuple[bool, float, str]:
    try:
        return False, float(word), word
    except ValueError:
        return True, 0.0, word


@dataclass(frozen=True)
class Block:
    """Some networks with themselves and all that come after, as matrices of shape (some, those).

    Attributes:
        start: place of the first of them in ``Genomes.numbers``; the columns begin with it, too.
        differing: number of positions that differ.
        matching: length of the longest aligned matching subsequence.
        common: length of the longest common substring.
    """

    start: int
    differing: NDArray[np.uint8]
    matching: NDArray[np.uint8]
    common: NDArray[np.uint8]


@dataclass(frozen=True)
class Genomes:
    """The genomes of many networks, in machine words.

    Attributes:
        numbers: of the networks, shape (networks,).
        values: number of each value in ``words``, shape (networks, positions).
        words: all values that occur, as text, numbers in their order first: 0 and 1 for bits.
        left_out: numbers of networks whose genomes have another form than most.
    """

    numbers: NDArray[np.int64]
    values: NDArray[np.int16]
    words: tuple[str, ...]
    left_out: tuple[int, ...]

    @classmethod
    def of(cls, networks: Iterable[Network]) -> Genomes:
        """The genomes of networks; empty if none was recorded."""
        known = {n.network: sequence(n.genome.value) for n in networks if n.genome is not None}
        lengths = [len(values) for values in known.values()]
        usual = max(sorted(set(lengths)), key=lengths.count, default=0)
        taken = sorted(number for number, values in known.items() if len(values) == usual)
        words = sorted({word(value) for number in taken for value in known[number]}, key=_by_size)
        codes = {word: code for code, word in enumerate(words)}
        rows = [[codes[word(value)] for value in known[number]] for number in taken]
        return cls(
            np.array(taken, dtype=np.int64),
            np.array(rows, dtype=np.int16).reshape(len(taken), usual),
            tuple(words),
            tuple(sorted({*known} - {*taken})),
        )

    def name(self, value: int) -> str:
        """A value as text."""
        return self.words[value]

    @property
    def positions(self) -> int:
        """Number of positions of a genome."""
        return int(self.values.shape[1])

    @cached_property
    def planes(self) -> Words:
        """The values' binary digits, one word for each digit and network, shape (digits, networks).

        Raises:
            BadInput: there are more than 64 positions.
        """
        if self.positions > MOST_POSITIONS:
            raise BadInput(
                f"genomes of {self.positions} positions are compared in pairs only; "
                f"all with all takes at most {MOST_POSITIONS}"
            )
        digits = max(int(self.values.max(initial=1)).bit_length(), 1)
        places = np.uint64(1) << np.arange(self.positions, dtype=np.uint64)
        bits = (self.values[None, :, :] >> np.arange(digits)[:, None, None]) & 1
        words: Words = (bits.astype(np.uint64) * places).sum(axis=2, dtype=np.uint64)
        return words

    def blocks(self, rows: int = 32) -> Iterator[Block]:
        """Every pair once, some rows at a time, each with itself and what comes after.

        Args:
            rows: rows of a block; few of them keep what is computed with in the processor's cache.

        Raises:
            BadInput: there are more than 64 positions.
        """
        for start in range(0, len(self.numbers), rows):
            yield self._block(start, min(start + rows, len(self.numbers)))

    def _block(self, start: int, stop: int) -> Block:
        ours, theirs = self.planes[:, start:stop], self.planes[:, start:]
        whole = (1 << self.positions) - 1
        same = _agreement(ours, theirs, whole)
        matching = _longest_run(same, self.positions)
        differing = (self.positions - np.bitwise_count(same)).astype(np.uint8)
        common = matching.copy()
        for shift in range(1, self.positions):
            valid = whole & (whole << shift)
            for first, second in ((ours, theirs << np.uint64(shift)), (ours << np.uint64(shift), theirs)):
                same = _agreement(first, second, valid, out=same)
                np.maximum(common, _longest_run(same, self.positions), out=common)
        return Block(start, differing, matching, common)


def _agreement(ours: Words, theirs: Words, valid: int, out: Words | None = None) -> Words:
    """Which of the valid positions have the same value: a bit for each, shape (rows, columns)."""
    mask = np.uint64(valid)
    if len(ours) == 1:
        same: Words = np.bitwise_xor((~ours[0] & mask)[:, None], (theirs[0] & mask)[None, :], out=out)
        return same
    differ: Words = np.bitwise_xor(ours[0][:, None], theirs[0][None, :], out=out)
    for own, its in zip(ours[1:], theirs[1:], strict=True):
        differ |= own[:, None] ^ its[None, :]
    np.bitwise_and(np.invert(differ, out=differ), mask, out=differ)
    return differ


def _longest_run(words: Words, positions: int) -> NDArray[np.uint8]:
    """The greatest number of ones in a row in each word of some positions."""
    if positions <= _TABLE:
        return np.take(_runs_of_ones(positions), words.view(np.int64), mode="clip")
    longest = np.zeros(words.shape, np.uint8)
    left = words.copy()
    while left.any():
        longest += left != 0
        left &= left >> np.uint64(1)
    return longest


@lru_cache(maxsize=4)
def _runs_of_ones(positions: int) -> NDArray[np.uint8]:
    """The longest run of every word there is."""
    longest = np.zeros(1 << positions, np.uint8)
    left = np.arange(1 << positions, dtype=np.uint32)
    while left.any():
        longest += left != 0
        left &= left >> np.uint32(1)
    return longest


def table(networks: Sequence[Network]) -> pa.Table:
    """All pairs of a run's networks, a row each.

    Args:
        networks: its networks.

    Returns:
        columns network, other (greater), differing, matching, common (see ``Block``), same_architecture.

    Raises:
        BadInput: genomes have more than 64 positions.
    """
    genomes = Genomes.of(networks)
    return pa.Table.from_batches(_batches(genomes, networks), schema=PAIRS)


def keep_table(commons: Commons, run: str, done: Callable[[int], None] | None = None) -> int:
    """Keep the rows of ``table`` beside a run, where SQL finds them as the table ``likeness``.

    Args:
        commons: where the run is.
        run: its id.
        done: as in ``write_table``.

    Returns:
        number of pairs.

    Raises:
        BadInput: there is no such run, somebody writes it, or as ``write_table``.
    """
    commons.run(run)  # refuses a run that is not there
    folder = RunFolder(commons.path, run)
    if holder(folder.lock) is not None:
        raise BadInput(f"run {run!r} is still going on: its likeness can be kept when it has ended")
    state = state_of(folder)
    return write_table(commons.networks(run), folder.likeness, done, state)


def write_table(
    networks: Sequence[Network],
    path: Path,
    done: Callable[[int], None] | None = None,
    about: Mapping[bytes, bytes] | None = None,
) -> int:
    """Write the rows of ``table`` into a Parquet file, in memory for one block of rows at a time.

    Args:
        networks: networks of one run.
        path: file to write; it appears whole or not at all.
        done: called with the number of networks that were compared with all others so far.
        about: what the file says of itself, as metadata of its schema.

    Returns:
        number of pairs.

    Raises:
        BadInput: genomes have more than 64 positions, or the file cannot be written.
    """
    genomes = Genomes.of(networks)
    pairs = 0
    part = path.with_name(f".{path.name}.part")
    with user_errors("write", path):
        try:
            with pq.ParquetWriter(part, _schema(about), compression="zstd") as writer:
                for batch in _batches(genomes, networks, rows=256, done=done):
                    writer.write_batch(batch.cast(writer.schema))
                    pairs += batch.num_rows
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)
    return pairs


def _schema(about: Mapping[bytes, bytes] | None) -> pa.Schema:
    return PAIRS.with_metadata({**(PAIRS.metadata or {}), **(about or {})})


def _batches(
    genomes: Genomes,
    networks: Sequence[Network],
    rows: int = 32,
    done: Callable[[int], None] | None = None,
) -> Iterator[pa.RecordBatch]:
    hashes = {n.network: n.architecture_hash for n in networks}
    codes: dict[str | None, int] = {}
    code = np.array([codes.setdefault(hashes[int(n)], len(codes)) for n in genomes.numbers], dtype=np.int64)
    known = np.array([hashes[int(n)] is not None for n in genomes.numbers], dtype=bool)
    for block in genomes.blocks(rows):
        height, width = block.differing.shape
        first, second = np.nonzero(np.arange(width)[None, :] > np.arange(height)[:, None])
        i, j = block.start + first, block.start + second
        same = pa.array(code[i] == code[j], mask=~(known[i] & known[j]))
        columns = [block.differing, block.matching, block.common]
        yield pa.RecordBatch.from_arrays(
            [
                pa.array(genomes.numbers[i], pa.int32()),
                pa.array(genomes.numbers[j], pa.int32()),
                *(pa.array(column[first, second].astype(np.int32)) for column in columns),
                same,
            ],
            schema=PAIRS,
        )
        if done is not None:
            done(block.start + height)
