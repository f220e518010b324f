"""Questions to a run: what was planted is found, and where there is nothing, that is said."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from commons_data import HORIZON, header, made_up_run, record
from fakes import FakeExecutor, experiment, search

from a4nn_core.archaeology.chart import Exhibit
from a4nn_core.archaeology.life import Life
from a4nn_core.archaeology.questions import QUESTIONS
from a4nn_core.archaeology.questions.curves import likenesses
from a4nn_core.archaeology.questions.diversity import diversity
from a4nn_core.archaeology.questions.foresight import AT_VERDICT, BEFORE, foresights, reliability
from a4nn_core.archaeology.questions.lineage import best_network, descent_exhibit
from a4nn_core.archaeology.questions.operators import made, wilson
from a4nn_core.archaeology.questions.resemblance import resemblances
from a4nn_core.archaeology.questions.settled import settled_from, settling
from a4nn_core.archaeology.questions.traits import traits
from a4nn_core.archaeology.stills import write_chart
from a4nn_core.commons import Commons, RunWriter
from a4nn_core.commons.records import Epoch, Network, Prediction, Run
from a4nn_core.errors import BadInput
from a4nn_core.interchange.incoming import IncomingNetwork, IncomingRun
from a4nn_core.jsonable import JsonText
from a4nn_core.vocabulary import NetworkStatus


def network(
    number: int, genome: object = None, accuracy: float | None = None, flops: int = 100, **more: Any
) -> Network:
    return Network(
        **{
            "run": "r",
            "network": number,
            "genome": None if genome is None else JsonText(json.dumps(genome)),
            "best_accuracy_percent": accuracy,
            "last_accuracy_percent": accuracy,
            "flops": flops,
            "status": NetworkStatus.completed,
            **more,
        }
    )


def life(
    networks: list[Network],
    curves: Mapping[int, list[float]] | None = None,
    shadows: Mapping[str, list[Network]] | None = None,
) -> Life:
    epochs = {
        number: [
            Epoch(network=number, epoch=e, validation_accuracy_percent=v) for e, v in enumerate(values, 1)
        ]
        for number, values in (curves or {}).items()
    }
    goals = {"error_percent": "minimise", "mflops": "minimise"}
    return Life(
        Run(run="r", objectives=goals),
        {n.network: n for n in networks},
        epochs,
        [],
        {name: {n.network: n for n in again} for name, again in (shadows or {}).items()},
    )


def planted(seed: int = 0, effect: float = 20.0, count: int = 80) -> Life:
    """Networks of random genomes, all of one generation; position 3 decides over the accuracy."""
    rng = np.random.default_rng(seed)
    networks = []
    for number, bits in enumerate(rng.integers(0, 2, (count, 9)).tolist()):
        accuracy = 60 + effect * bits[2] + float(rng.normal(0, 3))
        networks.append(network(number, [bits], accuracy, flops=100 + number, generation=0))
    return life(networks)


def test_a_planted_position_stands_out() -> None:
    found = traits(planted())
    accurate = [t for t in found if t.group == "accurate" and t.family == "position"]
    first = accurate[0]
    assert (first.name, first.stands_out) == ("position 3 = 1", True)
    assert first.share == 1.0
    assert first.effect > 0.4
    assert first.q < 1e-4
    assert not any(t.stands_out for t in accurate[1:])
    inside = [t for t in found if t.family == "subsequence" and t.group == "accurate" and t.stands_out]
    assert inside
    assert all(t.place is not None and t.place <= 3 for t in inside)


def test_what_only_chance_made_does_not_stand_out() -> None:
    false = [any(t.stands_out for t in traits(planted(seed, effect=0.0, count=60))) for seed in range(8)]
    assert sum(false) <= 2  # 5 % of false discoveries in each of four families


def test_tests_are_corrected_within_their_family() -> None:
    found = [t for t in traits(planted()) if t.family == "position" and t.group == "accurate"]
    ordered = sorted(found, key=lambda t: t.p)
    count = len(ordered)
    # Benjamini and Hochberg 1995, from the greatest p down
    least = 1.0
    for rank, trait in reversed(list(enumerate(ordered, start=1))):
        least = min(least, trait.p * count / rank)
        assert trait.q == pytest.approx(least)


def test_an_evolution_without_selection_explains_what_drift_did() -> None:
    """Children take their values from parents that nobody chose; all founders have a one at position 1."""
    rng = np.random.default_rng(4)
    genomes: list[list[int]] = []
    networks = []
    for number in range(80):
        parents: tuple[int, ...] = ()
        if number < 10:
            genomes.append([1, *rng.integers(0, 2, 11).tolist()])
        else:
            before = 10 * (number // 10) - 10
            parents = tuple(sorted({int(p) for p in before + rng.integers(0, 10, 2)}))
            cut = int(rng.integers(0, 13))
            genomes.append(genomes[parents[0]][:cut] + genomes[parents[-1]][cut:])
        networks.append(
            network(
                *(number, [genomes[-1]], 60 + float(rng.random()), 100),
                generation=number // 10,
                parents=parents,
            )
        )
    found = [t for t in traits(life(networks)) if t.family == "position" and t.group == "accurate"]
    assert all(t.drift is not None for t in found)
    first = next(t for t in found if t.name == "position 1 = 1")
    assert first.drift is not None
    assert (first.drift.low, first.drift.high) == (1.0, 1.0)
    assert "0.0 % of a child's values are new, as in the run" in first.drift.words
    assert not any(t.stands_out for t in found)


def test_selection_is_more_than_drift() -> None:
    """The same position as planted, but selected for: its share at the end is beyond what drift gives."""
    rng = np.random.default_rng(1)
    genomes = [[int(n == 0), *rng.integers(0, 2, 11).tolist()] for n in range(10)]
    networks = [
        network(n, [genomes[n]], 60 + 30 * genomes[n][0], 100, generation=0, parents=()) for n in range(10)
    ]
    for number in range(10, 100):
        before = range(10 * (number // 10) - 10, 10 * (number // 10))
        mother, father = sorted(before, key=lambda n: (-genomes[n][0], rng.random()))[:2]
        cut = int(rng.integers(1, 13))
        genomes.append(genomes[mother][:cut] + genomes[father][cut:])
        accuracy = 60 + 30 * genomes[-1][0] + float(rng.random())
        networks.append(
            network(number, [genomes[-1]], accuracy, 100, generation=number // 10, parents=(mother, father))
        )
    found = next(t for t in traits(life(networks)) if t.name == "position 1 = 1" and t.group == "accurate")
    assert found.drift is not None
    assert found.share == 1.0
    assert found.drift.high < 1.0
    assert not found.drift.explains(found.share)


def test_operations_are_compared_by_their_number(folder: Path) -> None:
    commons = Commons(folder)
    answer = QUESTIONS["traits"].ask(commons, Life.read(commons, "searched"), None)
    assert answer.table is not None
    named = [row[1] for row in answer.table.rows]
    assert "conv 3x3 layers" in named
    assert "inputs merged" in named


def family(count: int = 8) -> Life:
    """A chain in which each network has the one before as a parent, and gains a point."""
    return life(
        [
            network(
                *(n, [[int(n > place) for place in range(8)]], 50.0 + n, 100 + 10 * n),
                generation=n,
                parents=(n - 1,) if n else (),
                operator="variation" if n else "sampling",
            )
            for n in range(count)
        ]
    )


def test_descent_has_gain_and_cost_of_every_step() -> None:
    answer = descent_exhibit(family())
    assert answer.table is not None
    assert len(answer.table.rows) == 8
    names = answer.table.columns
    last = dict(zip(names, answer.table.rows[-1], strict=True))
    assert (last["network"], last["gain (points)"], last["extra cost (multiply-adds)"]) == (7, 1.0, 10)
    assert "leads over 7 steps from founder 0" in answer.words[0]
    assert "gain +7.00 points" in answer.words[0]
    assert best_network(family()) == 7
    assert "is a founder" in descent_exhibit(family(), 0).words[0]
    with pytest.raises(BadInput, match="no network 99"):
        descent_exhibit(family(), 99)


def test_operators_count_children_better_than_all_their_parents() -> None:
    networks = [
        network(0, accuracy=50.0, parents=()),
        network(1, accuracy=60.0, parents=()),
        network(2, accuracy=61.0, parents=(0, 1), operator="crossover"),
        network(3, accuracy=55.0, parents=(0, 1), operator="crossover"),
        network(4, accuracy=52.0, parents=(0,), operator="mutation"),
        network(5, accuracy=None, parents=(0,), operator="mutation", status=NetworkStatus.failed),
    ]
    found = {(m.operator, m.parents): m for m in made(life(networks))}
    assert found["crossover", 2].gains == (1.0, -5.0)
    assert found["crossover", 2].better == 1
    assert found["mutation", 1].gains == (2.0,)
    # Wilson 1927, by hand for 1 of 2
    assert wilson(1, 2) == pytest.approx((0.0945, 0.9055), abs=1e-4)
    assert wilson(0, 0) == (0.0, 1.0)


def test_diversity_falls_and_founders_are_lost() -> None:
    networks = [
        network(0, [0, 0, 0, 0], generation=0, parents=(), architecture_hash="a"),
        network(1, [1, 1, 1, 1], generation=0, parents=(), architecture_hash="b"),
        network(2, [0, 0, 1, 1], generation=1, parents=(0,), architecture_hash="c"),
        network(3, [0, 0, 1, 1], generation=1, parents=(0,), architecture_hash="c"),
    ]
    first, second = diversity(life(networks))
    assert (first.networks, first.architectures, first.differing_percent) == (2, 2, 100.0)
    assert (first.founders, first.ancestor) == (2, None)
    assert first.effective_founders == pytest.approx(2.0)
    assert (second.architectures, second.differing_percent) == (1, 0.0)
    assert (second.founders, second.leader) == (1, (0, 1.0))
    assert (second.ancestor, second.depth) == (0, 1)


def test_stopped_networks_find_their_nearest_front_member() -> None:
    stopped: dict[str, Any] = {"status": NetworkStatus.stopped, "epochs_trained": 3, "epochs_budget": 9}
    networks = [
        network(0, [[1, 1, 1, 1]], 90.0, 100),
        network(1, [[0, 0, 0, 0]], 80.0, 50),
        network(2, [[1, 1, 1, 0]], 70.0, 120, **stopped, termination_reason="no_gain"),
        network(3, [[0, 1, 0, 0]], 60.0, 130, **stopped, termination_reason="no_gain"),
    ]
    found = resemblances(life(networks))
    assert [(r.network.network, r.member.network, r.differing) for r in found] == [(2, 0, 1), (3, 1, 1)]
    assert found[0].longest is not None
    assert (found[0].longest.start, found[0].longest.bits) == (0, "111")
    assert found[0].behind == 20.0


def test_alike_networks_learn_alike_where_that_was_planted() -> None:
    rng = np.random.default_rng(2)
    networks, curves = [], {}
    for number, bits in enumerate(rng.integers(0, 2, (30, 8)).tolist()):
        networks.append(network(number, [bits], 60.0))
        curves[number] = [40 + 3 * sum(bits) + e + float(rng.normal(0, 0.3)) for e in range(6)]
    found = likenesses(life(networks, curves))
    assert found.correlation is not None
    assert found.correlation > 0.2
    assert found.p is not None
    assert found.p < 0.02
    assert sum(d.pairs for d in found.distances) == 30 * 29 // 2
    shuffled = likenesses(life(networks, {n: curves[(7 * n + 3) % 30] for n in curves}))
    assert shuffled.p is not None
    assert shuffled.p > 0.02


def test_predictions_are_compared_with_what_came_true() -> None:
    networks = [
        network(0, accuracy=80.0),
        network(
            *(1, None, 60.0),
            status=NetworkStatus.stopped,
            termination_reason="no_gain",
            epochs_trained=3,
            predicted_accuracy_percent=70.0,
            predicted_low=65.0,
            predicted_high=72.0,
        ),
    ]
    before = [
        Prediction(network=0, epoch=0, predicted=78.0, low=75.0, high=79.0),
        Prediction(network=0, epoch=2, predicted=1.0),
    ]
    alone = foresights(life(networks), before)
    assert [(f.moment, f.epoch, f.error, f.inside) for f in alone] == [
        (BEFORE, 0, -2.0, False),
        (AT_VERDICT, 3, None, None),
    ]
    with_shadow = foresights(life(networks, shadows={"s": [network(1, accuracy=71.5)]}), before)
    assert (with_shadow[1].true, with_shadow[1].source, with_shadow[1].inside) == (71.5, "s", True)
    first, second = reliability(with_shadow)
    assert (first.bias, first.mean_error, first.inside) == (-2.0, 2.0, (0, 1))
    assert second.bias == pytest.approx(-1.5)


def test_the_epoch_from_which_ranks_are_settled() -> None:
    """Eight networks whose order is the reverse of the last until epoch 3, and the last from then on."""
    curves = {n: [10.0 - n, 10.0 - n, 50.0 + n, 60.0 + n, 70.0 + n] for n in range(8)}
    found = settling(life([network(n, accuracy=70.0 + n) for n in range(8)], curves))
    assert [s.correlation for s in found] == pytest.approx([-1, -1, 1, 1, 1])
    assert settled_from(found) == 3
    assert found[2].epochs_saved_percent == 40.0
    assert settling(life([network(0)], {0: [1.0, 2.0]})) == []


@pytest.mark.slow
def test_ten_thousand_generations_have_answers() -> None:
    """Two networks a generation; bits flip in turn, and accuracies grow."""
    networks = []
    for number in range(20_000):
        generation = number // 2
        bits = [[(number >> place) & 1 for place in range(6)]]
        parents = (2 * generation - 2, 2 * generation - 1) if generation else ()
        networks.append(network(number, bits, 50 + number / 1000, generation=generation, parents=parents))
    read = life(networks)
    assert len(diversity(read)) == 10_000
    assert diversity(read)[-1].founders == 2
    (variation,) = made(read)
    assert variation.better == 19_998
    assert len(descent_exhibit(read).table.rows) == 10_000  # type: ignore[union-attr]
    assert not any(trait.stands_out for trait in traits(read) if trait.family == "position")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    commons = tmp_path_factory.mktemp("questions") / "commons"
    wider = {"networks": 24, "population": 6, "offspring": 6}
    search(
        experiment(search=wider, termination={"name": "fixed", "epochs": 3}),
        commons,
        FakeExecutor(),
        "searched",
    )
    made_up_run(commons, "one", 1)
    with RunWriter.open(commons, "going", header()) as writer:
        record(writer, 0, HORIZON)
    with RunWriter.open(commons, "nothing", header()):
        pass
    bare = [IncomingNetwork(Network(network=n, status=NetworkStatus.completed)) for n in range(3)]
    IncomingRun(commons, "bare", "csv", "none", "a test", bare, []).write()
    return commons


@pytest.mark.slow
@pytest.mark.parametrize("run", ["searched", "one", "going", "nothing", "bare"])
def test_every_question_has_an_answer_for_every_run(folder: Path, tmp_path: Path, run: str) -> None:
    commons = Commons(folder)
    read = Life.read(commons, run)
    for question in QUESTIONS.values():
        answer = question.ask(commons, read, None)
        check(answer)
        if answer.query:
            commons.sql(answer.query).fetchall()
        if run in ("searched", "nothing") and question.name in ("traits", "diversity", "alike"):
            for chart in answer.charts:
                write_chart(chart, tmp_path / f"{chart.name}.svg")


def check(answer: Exhibit) -> None:
    assert answer.words
    assert all(words.strip() for words in answer.words)
    assert answer.charts
    assert answer.table is not None
    for row in answer.table.rows:
        assert len(row) == len(answer.table.columns)
        assert not any(isinstance(value, float) and math.isnan(value) for value in row)


def test_missing_lineage_is_said(folder: Path) -> None:
    commons = Commons(folder)
    read = Life.read(commons, "bare")
    for name in ("operators", "diversity"):
        words = " ".join(QUESTIONS[name].ask(commons, read, None).words)
        assert read.no_lineage in words or "Generations were not recorded" in words
    assert QUESTIONS["descent"].ask(commons, read, 1).words == (read.no_lineage,)
    assert "Parents were not recorded" in read.no_lineage


@pytest.mark.golden
@pytest.mark.slow
def test_the_published_runs_recorded_no_lineage_but_say_what_the_good_share(
    reference_data: Path, tmp_path: Path
) -> None:
    from a4nn_core.cli.importing import macro_127
    from a4nn_core.interchange.icpp23 import import_icpp23

    (file,) = (reference_data / "icpp23" / "1gpu").rglob("1gpu_1e15_stopping_training_data.csv")
    import_icpp23(file, tmp_path, macro_127, "published")
    read = Life.read(Commons(tmp_path), "published")
    found = traits(read)
    # the best quarter lacks connections into the last nodes of phase 2 far more often than all others do
    first = next(t for t in found if t.name == "positions 14 to 16 = 0 0 0" and t.group == "accurate")
    assert first.stands_out
    assert first.effect < -0.3
    assert settled_from(settling(read)) == 16
    assert not read.has_lineage
