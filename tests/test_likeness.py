"""How alike genomes are: matching subsequences, common substrings, all pairs of a run."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from commons_data import header, network_record
from hypothesis import given, settings
from hypothesis import strategies as st

from a4nn_core.archaeology.genomes import PAIRS, Genomes, keep_table, table, write_table
from a4nn_core.archaeology.likeness import aligned, alike, longest_common, sequence
from a4nn_core.commons import Commons, JournalEpoch, RunWriter
from a4nn_core.commons.compact import compact
from a4nn_core.commons.records import Network
from a4nn_core.commons.schema import LIKENESS
from a4nn_core.errors import BadInput
from a4nn_core.jsonable import Json, JsonText
from a4nn_core.spaces.macro import Macro
from a4nn_core.vocabulary import RunStatus

EPOCH = [JournalEpoch(epoch=1, validation_accuracy_percent=50.0)]
BITS = st.lists(st.integers(0, 1), min_size=9, max_size=9)


def network(number: int, genome: Json, architecture_hash: str | None = None, **more: int) -> Network:
    return Network(
        run="r",
        network=number,
        genome=None if genome is None else JsonText(json.dumps(genome)),
        architecture_hash=architecture_hash,
        **more,
    )


def test_a_genome_is_read_in_the_order_in_which_it_is_written() -> None:
    # the published flattening: seven bits of each phase, one phase after another (21 in all)
    assert sequence([[1, 0], [0, 1]]) == (1, 0, 0, 1)
    assert sequence({"b": [2], "a": "conv"}) == ("conv", 2)
    assert sequence(None) == (None,)


def test_matching_subsequences_of_a_pair() -> None:
    found = alike(network(0, [[1, 1, 0, 0, 1, 1, 0]], "a"), network(1, [[1, 1, 1, 0, 1, 1, 1]], "b"))
    assert found.positions == 7
    assert found.differing == 2
    assert [(m.start, m.length, m.bits) for m in found.matches] == [(0, 2, "11"), (3, 3, "011")]
    assert found.longest == found.matches[1]
    assert found.common is not None
    # 110, and also 011 further on
    assert (found.common.length, found.common.first, found.common.second) == (3, 0, 1)
    assert found.same_architecture is False
    assert found.structure is None


def test_a_common_substring_may_stand_elsewhere() -> None:
    common = longest_common([0, 0, 1, 0, 1, 1], [1, 0, 1, 1, 0, 0])
    assert (common.length, common.first, common.second) == (4, 2, 0)
    assert longest_common([0, 0], [1, 1]).length == 0


def test_genomes_of_two_spaces_are_compared_by_structure() -> None:
    macro, small = Macro(phases=1), Macro(phases=1, nodes=3)
    one, other = (
        macro.decode([[1, 0, 1, 0, 0, 1, 1]], (1, 8, 8), 2),
        small.decode([[1, 0, 1, 1]], (1, 8, 8), 2),
    )
    found = alike(network(0, [[1, 0, 1, 0, 0, 1, 1]]), network(1, [[1, 0, 1, 1]]), (one, other))
    assert (found.positions, found.differing, found.matches, found.common) == (None, None, (), None)
    assert found.structure is not None
    assert 0.3 < found.structure < 1


def test_architectures_of_equal_networks_are_those_of_their_originals() -> None:
    graph = Macro(phases=1).decode([[1, 0, 1, 0, 0, 1, 1]], (1, 8, 8), 2)
    found = alike(network(0, [[1]], "a"), network(3, [[1]], "a", equal_to=0), {0: graph})
    assert found.structure == 1.0
    assert found.same_architecture is True


@given(st.lists(BITS, min_size=2, max_size=6))
@settings(max_examples=40, deadline=None)
def test_all_pairs_are_what_each_pair_is(rows: list[list[int]]) -> None:
    check_pairs(rows)


@given(
    st.lists(st.lists(st.sampled_from(["a", "b", "c", 7]), min_size=5, max_size=5), min_size=2, max_size=5)
)
@settings(max_examples=20, deadline=None)
def test_values_need_not_be_bits(rows: list[list[Json]]) -> None:
    check_pairs(rows)


def test_sequences_longer_than_the_table_of_runs() -> None:
    rng = np.random.default_rng(0)
    check_pairs(rng.integers(0, 2, (6, 64)).tolist())
    check_pairs([[1] * 64, [1] * 64, [0] * 64])


def check_pairs(rows: list[list[Json]]) -> None:
    genomes = Genomes.of(network(number, row) for number, row in enumerate(rows))
    seen = set()
    for block in genomes.blocks(rows=2):
        for i, j in np.ndindex(block.common.shape):
            one, other = rows[block.start + i], rows[block.start + j]
            matches = list(aligned(one, other))
            assert block.differing[i, j] == sum(a != b for a, b in zip(one, other, strict=True))
            assert block.matching[i, j] == max((m.length for m in matches), default=0)
            assert block.common[i, j] == longest_common(one, other).length
            seen.add((block.start + i, block.start + j))
    assert {(i, j) for i in range(len(rows)) for j in range(i, len(rows))} <= seen


def test_the_table_of_a_run_has_every_pair_once(tmp_path: Path) -> None:
    networks = [
        network(0, [[0, 0, 1]], "a"),
        network(2, [[0, 1, 1]], "b"),
        network(5, [[0, 0, 1]], "a"),
        network(6, [[0, 0, 1, 1]]),
        network(7, None),
    ]
    rows = table(networks).to_pylist()
    assert [(row["network"], row["other"]) for row in rows] == [(0, 2), (0, 5), (2, 5)]
    assert rows[0] == {
        "network": 0,
        "other": 2,
        "differing": 1,
        "matching": 1,
        "common": 2,
        "same_architecture": False,
    }
    assert rows[1]["same_architecture"] is True
    assert Genomes.of(networks).left_out == (6,)
    done: list[int] = []
    assert write_table(networks, tmp_path / "pairs.parquet", done.append) == 3
    stored = pq.read_table(tmp_path / "pairs.parquet")
    assert stored.schema.equals(PAIRS)
    assert stored.to_pylist() == rows
    assert done == [3]


def test_pairs_kept_in_the_commons_are_a_table_of_sql(tmp_path: Path) -> None:
    for name, count in (("one", 4), ("two", 3), ("bare", 3)):
        with RunWriter.open(tmp_path, name, header()) as writer:
            for number in range(count):
                genome = [[number & 1, number >> 1 & 1, 1]]
                writer.record(replace(network_record(number, EPOCH), genome=JsonText.of(genome)))
            if name == "two":
                with pytest.raises(BadInput, match="'two' is still going on"):
                    keep_table(Commons(tmp_path), "two")
            writer.finish(RunStatus.completed, networks=count)
    commons = Commons(tmp_path)
    assert commons.sql("select * from likeness").fetchall() == []
    assert (keep_table(commons, "one"), keep_table(commons, "two")) == (6, 3)
    rows = commons.sql("from likeness where run = 'one' order by all").fetchall()
    assert rows[0] == ("one", 0, 1, 1, 2, 2, False)
    expected = [("one", *row.values()) for row in table(commons.networks("one")).to_pylist()]
    assert rows == expected
    # beside other tables, of all runs and compacted
    compact(tmp_path)
    joined = """
        select run, count(*), sum(p.differing) from likeness p join networks n using (run, network)
        group by run order by run"""
    assert commons.sql(joined).fetchall() == [("one", 6, 8), ("two", 3, 4)]
    assert commons.answer("from likeness").schema.equals(LIKENESS.schema)


def test_pairs_of_an_earlier_state_do_not_count_and_damaged_ones_are_named(tmp_path: Path) -> None:
    def write(number: int) -> None:
        with RunWriter.open(tmp_path, "r", header()) as writer:
            writer.record(replace(network_record(number, EPOCH), genome=JsonText.of([[number, 1]])))

    write(0)
    write(1)
    commons = Commons(tmp_path)
    assert keep_table(commons, "r") == 1
    assert commons.sql("select count(*) from likeness").fetchall() == [(1,)]
    write(2)  # the run goes on
    assert commons.sql("select count(*) from likeness").fetchall() == [(0,)]
    assert keep_table(commons, "r") == 3
    assert commons.sql("select count(*) from likeness").fetchall() == [(3,)]
    (tmp_path / "runs" / "r" / "likeness.parquet").write_bytes(b"PAR1")
    with pytest.raises(BadInput, match=r"likeness\.parquet is damaged: .*a4nn dig likeness r --keep"):
        commons.sql("from likeness")
    assert commons.sql("select count(*) from networks").fetchall() == [(3,)]


def test_nothing_to_compare_is_an_empty_table(tmp_path: Path) -> None:
    assert table([]).num_rows == 0
    assert table([network(0, None)]).num_rows == 0
    assert write_table([network(0, [1, 0])], tmp_path / "one.parquet") == 0


def test_too_long_genomes_are_refused_and_leave_nothing(tmp_path: Path) -> None:
    networks = [network(number, [0] * 65) for number in range(2)]
    with pytest.raises(BadInput, match="65 positions"):
        write_table(networks, tmp_path / "pairs.parquet")
    with pytest.raises(BadInput, match="cannot write"):
        write_table([network(0, [0])], tmp_path / "missing" / "pairs.parquet")
    assert list(tmp_path.iterdir()) == []


def test_one_block_holds_what_two_cores_can_hold() -> None:
    genomes = Genomes.of(network(n, [int(b) for b in f"{n:012b}"]) for n in range(0, 4096, 8))
    blocks = list(genomes.blocks())
    assert sum(block.common.size for block in blocks) < len(genomes.numbers) ** 2
    assert max(block.common.shape[0] for block in blocks) == 32
