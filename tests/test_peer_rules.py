"""Rules that compare networks, the rule that knows what the images can tell, and rules made of rules: small
populations whose verdicts a person can see."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import numpy as np
import pytest

from a4nn_core.errors import BadInput
from a4nn_core.experiment import Experiment, load_experiment
from a4nn_core.metrics import nondominated_layers
from a4nn_core.penguin.observed import Observed
from a4nn_core.precision import standard_error
from a4nn_core.termination import RULES, Context, Learning, TerminationRule, Verdict
from a4nn_core.termination.peers import Member, PeerRule, Population
from a4nn_core.vocabulary import Action, Direction

HORIZON = 25


def peer_rule(name: str, **settings: object) -> PeerRule:
    made = RULES.make({"name": name, **settings}, "[termination]")
    assert isinstance(made, PeerRule)
    return made


def member(
    number: int, accuracy: list[float], mflops: float = 1.0, training: list[float] | None = None
) -> Member:
    observed = Observed({}, tuple(accuracy), tuple(training or ()))
    return Member(number, 0, observed, {"mflops": mflops})


def population(*members: Member, waiting: set[int] | None = None, final: bool = False) -> Population:
    numbers = {one.number for one in members if one.epochs < HORIZON}
    return Population(members, frozenset(numbers if waiting is None else waiting), HORIZON, final=final)


def actions(rule: PeerRule, asked: Population) -> dict[int, str]:
    return {number: str(verdict.action) for number, verdict in rule.begin().compare(asked).items()}


def judgements(rule: PeerRule, horizon: int = HORIZON) -> list[int]:
    """The epochs after which the rule judges a network that it always lets go on."""
    found = [0]
    while found[-1] < horizon:
        found.append(rule.next_judgement(found[-1], horizon))
    return found[1:]


def test_a_population_knows_who_was_trained_as_long() -> None:
    asked = population(member(0, [1.0] * 3), member(1, [1.0]), member(2, [1.0] * HORIZON))
    assert [one.number for one in asked.reached(3)] == [0, 2]
    waiting = {epochs: [one.number for one in those] for epochs, those in asked.candidates_by_epoch().items()}
    assert waiting == {1: [1], 3: [0]}


def test_the_page_describes_every_rule() -> None:
    page = (Path(__file__).resolve().parents[1] / "docs" / "stopping.md").read_text(encoding="utf-8")
    for name in RULES.names():
        if RULES.component(name).__module__.startswith("a4nn_core."):
            assert f"`{name}`" in page, name


# at equal epoch


def test_percentile_stops_who_is_not_among_the_best_at_equal_epoch() -> None:
    """After two epochs the best values are 10, 20, 30, 40: half of the three others are better than 20."""
    rule = peer_rule("percentile", startup=3, warmup=2)
    curves = ([10.0, 5.0], [20.0, 1.0], [1.0, 30.0], [40.0, 0.0, 99.0])
    asked = population(*(member(number, curve) for number, curve in enumerate(curves)), waiting={0, 1, 2})
    verdicts = rule.compare(asked)
    assert {n: v.action for n, v in verdicts.items()} == {0: "stop", 1: "stop", 2: "continue"}
    assert verdicts[1].reason == "behind_peers"
    # the others of network 1 had 10, 30 and 40 after two epochs: what network 3 reached later does not count
    assert verdicts[1].evidence == {
        "epoch": 2,
        "best": 20.0,
        "needed": 30.0,
        "networks": 3,
        "rival": 2,
        "rival_value": 30.0,
    }


def test_a_greater_percentile_lets_more_go_on() -> None:
    asked = population(*(member(n, [10.0 * n]) for n in range(5)))
    for percentile, stopped in ((25, {0, 1, 2}), (75, {0, 1}), (99, {0})):
        rule = peer_rule("percentile", percentile=percentile, startup=1, warmup=1)
        assert {n for n, action in actions(rule, asked).items() if action == "stop"} == stopped


def test_median_compares_the_best_with_running_averages() -> None:
    """The others' averages after three epochs are 20, 30 and 40, although all have reached 60 and more."""
    others = [member(1, [0.0, 0.0, 60.0]), member(2, [0.0, 30.0, 60.0]), member(3, [0.0, 50.0, 70.0])]
    rule = peer_rule("median", startup=3)
    assert actions(rule, population(member(0, [31.0, 1.0, 1.0]), *others, waiting={0})) == {0: "continue"}
    behind = rule.compare(population(member(0, [29.0, 1.0, 1.0]), *others, waiting={0}))[0]
    assert (behind.action, behind.reason) == ("stop", "behind_peers")
    assert behind.evidence == {
        "epoch": 3,
        "best": 29.0,
        "needed": 30.0,
        "networks": 3,
        "rival": 2,
        "rival_value": 30.0,
    }


@pytest.mark.parametrize("name", ["median", "percentile", "dominance"])
def test_nobody_is_stopped_before_enough_networks_were_trained_as_long(name: str) -> None:
    strong = [member(n, [99.0] * HORIZON, mflops=1.0) for n in range(1, 4)]
    weak = member(0, [50.0] * 3, mflops=9.0)
    assert actions(peer_rule(name, startup=4), population(weak, *strong)) == {0: "continue"}
    assert actions(peer_rule(name, startup=3), population(weak, *strong)) == {0: "stop"}
    assert actions(peer_rule(name, startup=3, warmup=4), population(weak, *strong)) == {0: "continue"}
    assert judgements(peer_rule(name, warmup=4), 6) == [4, 5, 6]


def test_dominance_stops_who_never_was_in_the_first_layers() -> None:
    """Network 2 is behind two others in error and costs, epoch by epoch; network 3 was once the best."""
    front = [member(0, [60.0, 90.0], mflops=1.0), member(1, [70.0, 95.0], mflops=2.0)]
    behind = member(2, [50.0, 80.0], mflops=3.0)
    once = member(3, [75.0, 80.0], mflops=4.0)
    verdicts = peer_rule("dominance", startup=1, warmup=2).compare(population(*front, behind, once))
    assert {n: v.action for n, v in verdicts.items()} == {
        0: "continue",
        1: "continue",
        2: "stop",
        3: "continue",
    }
    assert verdicts[2].reason == "dominated_by_peers"
    evidence = verdicts[2].evidence
    assert (evidence["rank"], evidence["networks"]) == (2, 3)
    assert (evidence["rival"], evidence["rival_accuracy"]) == (1, 95.0)


# rungs


def test_rungs_are_powers_of_eta() -> None:
    assert judgements(peer_rule("successive-halving")) == [1, 3, 9, 25]
    assert judgements(peer_rule("moasha", first=2, eta=2)) == [2, 4, 8, 16, 25]


def test_halving_promotes_one_in_eta_of_those_that_reached_the_rung() -> None:
    rule = peer_rule("successive-halving")
    first = [member(n, [10.0 * n]) for n in range(5)]
    verdicts = rule.compare(population(*first))
    assert {n for n, v in verdicts.items() if v.action == "continue"} == {4}
    assert {(v.action, v.reason) for n, v in verdicts.items() if n != 4} == {("pause", "not_promoted")}
    assert verdicts[3].evidence == {
        "epoch": 1,
        "best": 30.0,
        "promoted": 1,
        "networks": 5,
        "rival": 4,
        "rival_best": 40.0,
    }
    # network 4 is at the next rung, in which it is alone; a sixth network makes room for the second best
    later = population(*first[:4], member(4, [40.0, 41.0, 42.0]), member(5, [0.0]))
    assert {n for n, a in actions(rule, later).items() if a == "continue"} == {3}


def test_two_networks_promote_none() -> None:
    assert actions(peer_rule("successive-halving"), population(member(0, [1.0]), member(1, [2.0]))) == {
        0: "pause",
        1: "pause",
    }


def test_moasha_promotes_the_front_and_spreads_over_it() -> None:
    """Four networks on the front, close together but for the cheapest; two of eight places."""
    front = [(0, 50.0, 1.0), (1, 89.0, 8.0), (2, 90.0, 9.0), (3, 91.0, 10.0)]
    behind = [(4, 40.0, 2.0), (5, 60.0, 11.0), (6, 70.0, 12.0), (7, 80.0, 13.0)]
    members = [member(n, [accuracy], mflops) for n, accuracy, mflops in front + behind]
    verdicts = actions(peer_rule("moasha", eta=4), population(*members))
    assert {n for n, action in verdicts.items() if action == "continue"} == {0, 3}
    by_accuracy = actions(peer_rule("successive-halving", eta=4), population(*members))
    assert {n for n, action in by_accuracy.items() if action == "continue"} == {2, 3}


# layers


def test_layers_are_the_front_then_the_front_of_the_others() -> None:
    points = [(1.0, 9.0), (2.0, 8.0), (2.0, 9.0), (3.0, 9.0), (1.0, 9.0)]
    assert nondominated_layers(np.array(points)).tolist() == [0, 0, 1, 2, 0]


def test_layers_finishes_the_first_layers_by_training_error() -> None:
    """By validation network 2 would be the best; by training it is behind both others."""
    members = (
        member(0, [50.0, 50.0], 1.0, [80.0, 90.0]),
        member(1, [50.0, 50.0], 2.0, [80.0, 85.0]),
        member(2, [99.0, 99.0], 3.0, [80.0, 80.0]),
    )
    one, two = (peer_rule("layers", layers=layers) for layers in (1, 2))
    assert judgements(one) == [2, 25]
    verdicts = one.compare(population(*members))
    assert {n: v.action for n, v in verdicts.items()} == {0: "continue", 1: "pause", 2: "pause"}
    assert verdicts[2].evidence == {
        "epoch": 2,
        "compared_by": "training",
        "accuracy": 80.0,
        "layer": 3,
        "networks": 3,
        "rival": 0,
        "rival_accuracy": 90.0,
    }
    assert actions(two, population(*members)) == {0: "continue", 1: "continue", 2: "pause"}


def test_layers_judge_by_validation_where_training_was_not_recorded() -> None:
    members = (member(0, [50.0, 60.0], 1.0, [99.0, 99.0]), member(1, [50.0, 90.0], 1.0))
    verdicts = peer_rule("layers", layers=1).compare(population(*members))
    assert verdicts[0].evidence["compared_by"] == "validation"
    assert {n: v.action for n, v in verdicts.items()} == {0: "pause", 1: "continue"}


def test_layers_can_wait_for_the_end_of_the_search() -> None:
    rule = peer_rule("layers", layers=1, at_the_end=True)
    members = (member(0, [50.0, 60.0]), member(1, [50.0, 90.0]))
    assert actions(rule, population(*members)) == {0: "pause", 1: "pause"}
    assert actions(rule, population(*members, final=True)) == {0: "pause", 1: "continue"}


# saturation


def test_saturation_stops_when_the_images_cannot_tell_the_improvement() -> None:
    """On 1000 images an accuracy of 90 % has a standard error of 0.95 points."""
    rule = RULES.make({"name": "saturation", "epochs": 2, "resolution": 1.0}, "[termination]")
    error = standard_error(90.0, 1000)
    assert error == pytest.approx(0.95, abs=0.01)
    few = Context(HORIZON, learning=Learning((), 50.0, 0, 1000))
    assert rule.judge([89.2, 90.0], few).action == "continue"
    assert rule.judge([88.9, 90.0, 80.0], few).action == "continue"
    verdict = rule.judge([89.2, 90.0, 80.0], few)
    assert (verdict.action, verdict.reason) == ("stop", "within_error")
    assert verdict.evidence == {"best": 90.0, "before": 89.2, "standard_error": error}
    many = Context(HORIZON, learning=Learning((), 50.0, 0, 100_000))
    assert rule.judge([89.2, 90.0, 80.0], many).action == "continue"


def test_saturation_without_a_number_of_images_counts_gain_alone() -> None:
    rule = RULES.make({"name": "saturation", "epochs": 1, "gain": 0.1}, "[termination]")
    assert rule.judge([0.50, 0.35], Context(9, "loss", Direction.minimise)).action == "continue"
    assert rule.judge([0.50, 0.45], Context(9, "loss", Direction.minimise)).action == "stop"
    assert rule.judge([0.50, 0.65], Context(9, "score", Direction.maximise)).action == "continue"


# rules made of rules

PATIENCE = {"name": "patience", "epochs": 2}
FIXED = {"name": "fixed", "epochs": 4}
FALLING = [9.0, 8.0, 7.0, 6.0, 5.0]


def ends(rule: TerminationRule, curve: list[float]) -> int | None:
    """The epoch after which a rule stops a network."""
    judged = (rule.judge(curve[:epoch], Context(HORIZON)).action for epoch in range(1, len(curve) + 1))
    return next((epoch for epoch, action in enumerate(judged, start=1) if action != "continue"), None)


def test_any_all_and_not_before_on_one_curve() -> None:
    def made(name: str, **settings: object) -> TerminationRule:
        return RULES.make({"name": name, **settings}, "[termination]")

    assert ends(made("any", rules=[FIXED, PATIENCE]), FALLING) == 3
    assert ends(made("all", rules=[FIXED, PATIENCE]), FALLING) == 4
    assert ends(made("not-before", epochs=5, rule=PATIENCE), FALLING) == 5
    assert ends(made("not-before", epochs=2, rule=PATIENCE), FALLING) == 3
    assert not isinstance(made("any", rules=[FIXED, "none"]), PeerRule)
    verdict = made("all", rules=[FIXED, PATIENCE]).judge(FALLING[:4], Context(HORIZON))
    assert verdict.reason == "fixed"
    assert verdict.evidence == {
        "rule": "fixed",
        "fixed.epochs": 4,
        "patience.best": 9.0,
        "patience.epoch": 1,
    }


HALVING = {"name": "successive-halving"}
PERCENTILE = {"name": "percentile", "startup": 1, "warmup": 3}


def test_any_of_rules_that_compare_judges_when_one_does() -> None:
    rule = peer_rule("any", rules=[{"name": "layers", "epochs": 2}, {"name": "successive-halving", "eta": 4}])
    assert judgements(rule) == [1, 2, 4, 16, 25]
    rule = peer_rule("any", rules=[HALVING, PERCENTILE, PATIENCE])
    weak, strong = member(0, [1.0] * 3), member(1, [2.0] * 3)
    verdicts = rule.begin().compare(population(weak, strong, member(2, [3.0] * 3), waiting={0, 1, 2}))
    # the percentile stops where halving pauses; halving alone has a place for one
    assert {n: (v.action, v.reason) for n, v in verdicts.items()} == {
        0: ("stop", "behind_peers"),
        1: ("pause", "not_promoted"),
        2: ("continue", ""),
    }
    assert "percentile.best" in verdicts[0].evidence
    assert "successive-halving.best" in verdicts[0].evidence
    # after two epochs only percentile's rule judges, and it has its warm-up
    early = population(member(0, [1.0] * 2), member(1, [2.0] * 2))
    assert actions(rule, early) == {0: "continue", 1: "continue"}
    # the rule that sees one curve is asked by the worker
    assert rule.judge([9.0, 8.0, 7.0], Context(HORIZON)).action == "stop"


def test_all_of_rules_that_compare_judges_when_all_do() -> None:
    rule = peer_rule("all", rules=[HALVING, PERCENTILE])
    assert judgements(rule) == [3, 9, 25]
    three = population(*(member(n, [float(n)] * 3) for n in range(3)))
    assert actions(rule, three) == {0: "pause", 1: "continue", 2: "continue"}


def test_not_before_delays_a_rule_that_compares() -> None:
    rule = peer_rule("not-before", epochs=4, rule=HALVING)
    assert judgements(rule) == [9, 25]
    assert judgements(peer_rule("not-before", epochs=4, rule=PERCENTILE), 6) == [4, 5, 6]


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (
            {"name": "all", "rules": [PATIENCE, HALVING]},
            "'successive-halving' compares networks and",
        ),
        ({"name": "any", "rules": []}, "at least 1 item"),
        ({"name": "any", "rules": "patience"}, "a list of rules is needed"),
        (
            {"name": "any", "rules": [{"name": "nothing"}]},
            "rule 1: there is no termination rule named",
        ),
        ({"name": "any", "rules": [PATIENCE, {"name": "fixed"}]}, "rule 2 lacks the key 'epochs'"),
        ({"name": "not-before", "epochs": 3, "rule": {"name": "fixed", "epochs": 0}}, "the rule epochs = 0"),
        ({"name": "percentile", "percentile": 100}, "percentile = 100"),
        ({"name": "successive-halving", "eta": 1}, "eta = 1"),
        ({"name": "layers", "layers": 0}, "layers = 0"),
    ],
)
def test_bad_settings_are_one_sentence(settings: dict[str, object], said: str) -> None:
    with pytest.raises(BadInput) as caught:
        RULES.make(settings, "[termination]")
    assert said in str(caught.value)
    assert str(caught.value).startswith("[termination]")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "settings",
    [
        {"name": "any", "rules": [PATIENCE, {"name": "all", "rules": [HALVING, {"name": "layers"}]}]},
        {"name": "all", "rules": [PATIENCE, {"name": "saturation", "gain": 0.5}]},
        {"name": "not-before", "epochs": 3, "rule": {"name": "dominance", "percentile": 20.0}},
        {"name": "moasha", "first": 2},
    ],
)
def test_an_experiment_keeps_rules_inside_rules(settings: dict[str, object]) -> None:
    preset = load_experiment("quick").to_mapping()
    experiment = Experiment.from_mapping({**preset, "termination": settings})
    from_toml = Experiment.from_mapping(tomllib.loads(experiment.to_toml()))
    from_record = Experiment.from_record(json.loads(json.dumps(experiment.to_mapping())))
    for read in (from_toml, from_record):
        assert read.termination == experiment.termination
        assert type(read.termination) is type(experiment.termination)
        assert read.to_toml() == experiment.to_toml()


def test_a_form_takes_the_settings_of_rules_inside_rules() -> None:
    jsonschema = pytest.importorskip("jsonschema")
    schema = RULES.component("any").model_json_schema()
    jsonschema.validate({"name": "any", "rules": [PATIENCE, "layers"]}, schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"name": "any", "rules": [{"epochs": 2}]}, schema)


def test_a_prediction_inside_a_rule_is_kept() -> None:
    interval = {"name": "interval"}
    curve = [60.0, 70.0, 75.0, 78.0, 80.0]
    alone = RULES.make(interval, "t").judge(curve, Context(HORIZON))
    verdict = RULES.make({"name": "any", "rules": [PATIENCE, interval]}, "t").judge(curve, Context(HORIZON))
    assert isinstance(verdict, Verdict)
    assert verdict.predicted == alone.predicted
    assert len(verdict.fits) == 1
    assert verdict.action is Action.proceed
