"""Lines of descent, from the parents that networks recorded."""

from __future__ import annotations

import json

import pytest

from a4nn_core.archaeology.descent import Family, positions_that_differ
from a4nn_core.commons.records import Network
from a4nn_core.errors import BadInput
from a4nn_core.jsonable import JsonText


def network(
    number: int,
    generation: int,
    parents: tuple[int, ...] | None = (),
    genome: object = None,
    accuracy: float | None = None,
    flops: int | None = None,
) -> Network:
    return Network(
        run="r",
        network=number,
        generation=generation,
        parents=parents,
        genome=None if genome is None else JsonText(json.dumps(genome)),
        operator="variation" if parents else "sampling",
        best_accuracy_percent=accuracy,
        flops=flops,
    )


@pytest.fixture
def family() -> Family:
    """0, 1, 2 -> 3 (0, 1), 4 (0, 1), 5 (2) -> 6 (3, 4), 7 (4) -> 8 (7, 6)."""
    return Family(
        [
            network(0, 0, genome=[[0, 0, 0, 0]], accuracy=60.0, flops=100),
            network(1, 0, genome=[[1, 1, 1, 1]], accuracy=70.0, flops=200),
            network(2, 0, genome=[[0, 1, 0, 1]], accuracy=50.0, flops=150),
            network(3, 1, (0, 1), [[0, 0, 1, 1]], 72.0, 180),
            network(4, 1, (0, 1), [[0, 0, 0, 1]], 65.0, 120),
            network(5, 1, (2,), [[0, 1, 0, 0]], None, 110),
            network(6, 2, (3, 4), [[0, 0, 1, 1]], 80.0, 170),
            network(7, 2, (4,), [[1, 0, 0, 1]], 66.0, 130),
            network(8, 3, (6, 7), [[1, 0, 1, 1]], 81.0, 190),
        ]
    )


def test_founders_parents_and_children(family: Family) -> None:
    assert family.recorded
    assert family.founders == (0, 1, 2)
    assert family.parents(6) == (3, 4)
    assert family.children(4) == (6, 7)
    assert family.children(8) == ()
    assert family.ancestors(6) == {0, 1, 3, 4}
    assert family.descendants(2) == {5}
    assert family.descendants(0) == {3, 4, 6, 7, 8}


def test_the_line_follows_the_nearer_parent_and_names_both(family: Family) -> None:
    line = family.path(8)
    # 8 differs from 6 and from 7 in one bit, 6 being the more accurate; 3 from 0 and from 1 in two
    assert [step.network.network for step in line] == [1, 3, 6, 8]
    assert [step.along.network if step.along else None for step in line] == [None, 1, 3, 6]
    assert [[parent.network for parent in step.parents] for step in line] == [[], [0, 1], [3, 4], [6, 7]]
    assert line[0].gain is None
    assert [step.gain for step in line[1:]] == [2.0, 8.0, 1.0]
    assert [step.extra_flops for step in line[1:]] == [-20, -10, 20]
    assert line[1].gain_over_best == 2.0
    assert [step.operator for step in line] == ["sampling", "variation", "variation", "variation"]


def test_a_step_to_a_network_without_accuracy_has_no_gain(family: Family) -> None:
    assert family.path(5)[-1].gain is None
    assert family.path(5)[-1].gain_over_best is None


def test_who_lives_in_a_generation(family: Family) -> None:
    assert family.living(0) == (0, 1, 2)
    assert family.living(1) == (3, 4, 5)
    # a founder that becomes a parent again later lived until then
    late = Family([*family.networks.values(), network(9, 3, (2,))])
    assert late.living(1) == (2, 3, 4, 5)
    assert late.living(2) == (2, 6, 7)
    assert late.living(3) == (8, 9)
    assert Family(family.networks.values(), final=[1]).living(3) == (1, 8)


def test_blood_and_cohorts(family: Family) -> None:
    assert family.blood[8] == {0: 0.5, 1: 0.5}
    assert family.blood[5] == {2: 1.0}
    cohorts = family.cohorts()
    assert [cohort.born for cohort in cohorts] == [(0, 1, 2), (3, 4, 5), (6, 7), (8,)]
    assert cohorts[1].shares == {0: 1.0, 1: 1.0, 2: 1.0}
    assert cohorts[2].shares == {0: 1.0, 1: 1.0}
    for cohort in cohorts:
        assert sum(cohort.shares.values()) == pytest.approx(len(cohort.living))
    # 6 and 7 share 4; a single network is its own youngest
    assert [cohort.common_ancestor for cohort in cohorts] == [None, None, 4, 8]
    assert family.common_ancestor([3, 4]) == 1
    assert family.common_ancestor([3, 5]) is None
    assert family.common_ancestor([4, 7]) == 4
    assert family.common_ancestor([]) is None


def test_nothing_recorded_is_no_family() -> None:
    imported = Family([Network(run="r", network=number, genome=None) for number in range(3)])
    assert not imported.recorded
    assert imported.founders == (0, 1, 2)
    assert imported.cohorts() == ()
    assert [step.network.network for step in imported.path(2)] == [2]
    assert Family([]).founders == ()


def test_parents_that_are_missing_or_come_later_lead_nowhere() -> None:
    odd = Family([network(0, 0, (7,)), network(1, 0, (2, 1)), network(2, 1, (1, 0))])
    assert odd.founders == (0, 1)
    assert odd.ancestors(2) == {0, 1}
    assert len(odd.path(2)) == 2


def test_an_unknown_network_is_named(family: Family) -> None:
    with pytest.raises(BadInput, match="no network 99 among 9"):
        family.path(99)


def test_ten_thousand_generations_are_followed() -> None:
    networks = [network(0, 0), network(1, 0)]
    for generation in range(1, 10_001):
        first = 2 * generation
        networks += [network(first + i, generation, (first - 2, first - 1)) for i in (0, 1)]
    family = Family(networks)
    assert len(family.path(20_000)) == 10_001
    assert len(family.ancestors(20_000)) == 20_000
    cohorts = family.cohorts()
    assert len(cohorts) == 10_001
    assert cohorts[-1].common_ancestor == 2 * 10_000 - 1
    assert sum(cohorts[-1].shares.values()) == pytest.approx(2)


@pytest.mark.parametrize(
    ("one", "other", "differ"),
    [
        ([[0, 1], [1, 1]], [[0, 0], [1, 0]], 2),
        ({"a": [1], "b": "x"}, {"a": [2], "b": "x"}, 1),
        ([0, 1], [0, 1, 1], float("inf")),
        ({"a": 1}, {"b": 1}, float("inf")),
        ([0], {"a": 0}, float("inf")),
        (None, None, 0),
    ],
)
def test_positions_that_differ(one: object, other: object, differ: float) -> None:
    assert positions_that_differ(one, other) == differ  # type: ignore[arg-type]
