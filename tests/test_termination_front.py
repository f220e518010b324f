"""The rule front: it trains on what promises to better the front, and pauses the rest."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, replace

import numpy as np
import pytest
from test_predictor import HORIZON, MEASURE, after, earlier, made

from a4nn_core.errors import BadInput
from a4nn_core.penguin.observed import Observed
from a4nn_core.penguin.slopes import TABLES
from a4nn_core.termination.base import RULES
from a4nn_core.termination.front import Front
from a4nn_core.termination.peers import Member, Population
from a4nn_core.termination.reasons import Reason
from a4nn_core.vocabulary import Action

RULE = Front()
NETWORKS = [replace(n, features={**n.features, "log_flops": 16 + n.features["width"]}) for n in made(40, 11)]
COSTS = [float(np.exp(n.features["log_flops"])) / 1e6 for n in NETWORKS]


def member(number: int, epochs: int, costs: dict[str, float] | None = None) -> Member:
    seen = after(NETWORKS[number], epochs)
    return Member(number, number // 10, seen, costs or {"mflops": COSTS[number]})


def population(epochs: Sequence[int], final: bool = False, **more: object) -> Population:
    members = tuple(member(number, e) for number, e in enumerate(epochs))
    waiting = frozenset(m.number for m in members if m.epochs < HORIZON)
    return replace(Population(members, waiting, HORIZON, MEASURE, final=final), **more)  # type: ignore[arg-type]


def promoted(verdicts: object) -> set[int]:
    return {n for n, v in verdicts.items() if v.action is Action.proceed}  # type: ignore[attr-defined]


def searched(rule: Front = RULE, **more: object) -> tuple[np.ndarray, int]:
    """Epochs of every network after a search in generations of ten, and the number of rounds."""
    judge, epochs, rounds = rule.begin(), np.zeros(len(NETWORKS), dtype=int), 0

    def rest(asked: int, final: bool) -> None:
        nonlocal rounds
        while going := promoted(judge.compare(population(epochs[:asked].tolist(), final, **more))):
            rounds += 1
            for number in going:
                epochs[number] = rule.next_judgement(int(epochs[number]), HORIZON)

    for start in range(0, len(NETWORKS), 10):
        epochs[start : start + 10] = rule.next_judgement(0, HORIZON)
        rest(start + 10, False)
        assert (epochs > 2).sum() <= max(1, (start + 10) // 10)  # the share
    rest(len(NETWORKS), True)
    return epochs, rounds


def front(accuracy: Sequence[float]) -> list[int]:
    best, kept = -1.0, []
    for number in sorted(range(len(accuracy)), key=lambda n: COSTS[n]):
        if accuracy[number] > best:
            best = accuracy[number]
            kept.append(number)
    return kept


def test_a_search_saves_epochs_and_keeps_the_front() -> None:
    epochs, _ = searched()
    assert epochs.sum() < 0.5 * HORIZON * len(NETWORKS)
    final = [max(n.validation) for n in NETWORKS]
    kept = front([max(n.validation[:e]) for n, e in zip(NETWORKS, epochs, strict=True)])
    assert (epochs[kept] == HORIZON).all()
    for number in front(final):
        reached = max(final[k] for k in kept if COSTS[k] <= COSTS[number])
        assert final[number] - reached < 1.0


def test_verdicts_depend_on_the_population_alone() -> None:
    judge = RULE.begin()
    first, second = population([2] * 10), population([HORIZON, *[2] * 19, 4, 1])
    judge.compare(first)
    for one in (second, first):
        remembered, fresh = judge.compare(one), RULE.compare(one)
        assert {n: (v.action, v.reason, v.predicted) for n, v in remembered.items()} == {
            n: (v.action, v.reason, v.predicted) for n, v in fresh.items()
        }
    turned = replace(second, members=second.members[::-1])
    assert {n: v.action for n, v in RULE.compare(turned).items()} == {
        n: v.action for n, v in RULE.compare(second).items()
    }


def test_a_verdict_says_what_it_rests_on() -> None:
    verdicts = RULE.compare(population([HORIZON] * 6 + [2] * 14))
    assert set(verdicts) == set(range(6, 20))
    known = {m.number: m for m in population([HORIZON] * 6 + [2] * 14).members}
    for number, verdict in verdicts.items():
        json.dumps(asdict(verdict), allow_nan=False)
        low, high = verdict.interval or (0.0, 0.0)
        assert low <= (verdict.predicted or 0) <= high
        (record,) = verdict.fits
        assert (record.function, record.predicted, record.low, record.high) == (
            "front-gp",
            verdict.predicted,
            low,
            high,
        )
        assert verdict.evidence["finished"] == 6
        assert verdict.evidence["promise"] >= 0  # type: ignore[operator]
        if "rival" in verdict.evidence:
            rival = known[verdict.evidence["rival"]]  # type: ignore[index]
            assert rival.costs["mflops"] <= known[number].costs["mflops"]
            assert verdict.evidence["rival_accuracy"] == rival.observed.best
        assert (verdict.action is Action.proceed) == (verdict.reason is Reason.promising)


def test_limits_hold_until_the_final_call() -> None:
    eager = {"resolution": 0.0, "promise": 0.0, "final_promise": 0.0}
    waits = population([2] * 20)
    assert len(promoted(Front(**eager).compare(waits))) == 2
    assert len(promoted(Front(**eager, at_once=1).compare(waits))) == 1
    assert len(promoted(Front(**eager, share=0.05).compare(waits))) == 1
    last = RULE.compare(population([2] * 20))
    assert {v.reason for v in last.values()} <= {Reason.promising, Reason.queued, Reason.outclassed}
    # one that was promoted goes on, others do not take its place
    going = promoted(Front(**eager, share=0.05).compare(population([2] * 10 + [5] + [2] * 9)))
    assert going == {10}
    assert len(promoted(Front(**eager, share=0.05, at_once=4).compare(replace(waits, final=True)))) == 4


def test_the_measured_front_is_trained_to_the_end() -> None:
    proud = Front(promise=1e9, final_promise=1e9)
    waits = population([2] * 12)
    assert not promoted(proud.compare(waits))
    verdicts = proud.compare(replace(waits, final=True))
    on_front = {n for n, v in verdicts.items() if v.reason is Reason.on_front}
    assert promoted(verdicts) == on_front == set(front([m.observed.best or 0 for m in waits.members]))


def test_every_cost_counts() -> None:
    """A rival must be no worse in all of them."""
    members = (
        member(0, HORIZON, {"mflops": 1.0, "parameters": 2.0}),
        member(1, 2, {"mflops": 2.0, "parameters": 1.0}),
        member(2, 2, {"mflops": 2.0, "parameters": 3.0}),
    )
    verdicts = RULE.compare(Population(members, frozenset({1, 2}), HORIZON, MEASURE))
    assert "rival" not in verdicts[1].evidence
    assert verdicts[2].evidence["rival"] in (0, 1)


def test_without_known_costs_the_best_network_is_the_rival() -> None:
    members = tuple(replace(member(n, HORIZON if n == 0 else 2), costs={}) for n in range(5))
    verdicts = RULE.compare(Population(members, frozenset({1, 2, 3, 4}), HORIZON, MEASURE))
    assert {v.evidence["rival"] for v in verdicts.values()} == {0}


def test_cheap_networks_are_treated_with_leniency() -> None:
    waits = population([HORIZON] * 6 + [2] * 14)
    strict, lenient = Front(leniency=0.0).compare(waits), Front(leniency=2.0).compare(waits)
    usual = float(np.median(COSTS[:20]))
    for number, verdict in lenient.items():
        times = (usual / COSTS[number]) ** 2
        expected = strict[number].evidence["promise"] * times  # type: ignore[operator]
        assert verdict.evidence["promise"] == pytest.approx(expected, rel=0.05)


@pytest.mark.parametrize(("horizon", "first"), [(1, 1), (4, 1), (5, 1), (6, 2), (25, 2)])
def test_short_budgets(horizon: int, first: int) -> None:
    assert RULE.next_judgement(0, horizon) == first
    assert RULE.next_judgement(first, horizon) == min(first + 1, horizon)
    members = tuple(member(n, first) for n in range(8))
    waiting = frozenset(range(8)) if first < horizon else frozenset()
    verdicts = RULE.compare(Population(members, waiting, horizon, curves="averaged", final=True))
    assert set(verdicts) == waiting


def test_an_earlier_run_is_used() -> None:
    past = (earlier(NETWORKS, "first"),)
    verdicts = RULE.compare(population([2] * 10, past=past))
    assert {v.evidence["past"] for v in verdicts.values()} == {40}


def test_nobody_waits() -> None:
    assert RULE.compare(Population((), frozenset(), HORIZON)) == {}
    assert RULE.compare(population([HORIZON] * 3)) == {}


def test_slopes_can_be_given() -> None:
    waits = population([2] * 10)
    flat = replace(TABLES["as-trained"], both=TABLES["averaged"].both[:1] * 14)
    other = RULE.begin({"as-trained": flat}).compare(waits)
    assert [v.predicted for v in other.values()] != [v.predicted for v in RULE.compare(waits).values()]


@pytest.mark.parametrize("rule", [Front(share=1), Front(at_once=20)], ids=["at once", "share"])
def test_networks_in_training_have_been_promoted(rule: Front) -> None:
    """Two places among twenty networks, by either setting, whoever is asked about."""
    asked = population([2] * 20)
    first, second = sorted(promoted(rule.compare(asked)))
    waiting = asked.waiting - {first}
    assert len(promoted(rule.compare(replace(asked, waiting=waiting)))) == 2
    begun = replace(asked, waiting=waiting, training=frozenset({first, 99}))
    assert promoted(rule.compare(begun)) == {second}
    begun = replace(asked, waiting=waiting - {second}, training=frozenset({first, second}))
    assert not promoted(rule.compare(begun))


def test_the_front_is_finished_when_nothing_promises_more() -> None:
    """Not yet when what promises more has to wait for what is in training."""
    asked = population([HORIZON] * 6 + [2] * 14, final=True)
    promising = promoted(RULE.compare(asked))
    begun = replace(asked, waiting=asked.waiting - promising, training=promising)
    reasons = {verdict.reason for verdict in RULE.compare(begun).values()}
    assert reasons == {Reason.queued, Reason.outclassed}


@pytest.mark.parametrize(
    ("setting", "value"),
    [("epochs", 0), ("share", 0), ("share", 1.5), ("promise", -1), ("at_once", 0), ("resolution", "x")],
)
def test_settings_are_validated(setting: str, value: object) -> None:
    with pytest.raises(BadInput, match=setting):
        RULES.make({"name": "front", setting: value}, "[termination]")


def test_curves_without_learning_do_no_harm() -> None:
    flat = Observed({"width": 0.0}, (0.0, 0.0), (0.0, 0.0))
    members = (*(member(n, 2) for n in range(3)), Member(9, 0, flat, {"mflops": 1.0}))
    verdicts = RULE.compare(Population(members, frozenset({0, 1, 2, 9}), HORIZON, MEASURE))
    assert all(v.predicted is not None and np.isfinite(v.predicted) for v in verdicts.values())
