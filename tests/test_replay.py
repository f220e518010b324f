"""The laboratory: figures worked out by hand on small runs, and the published ones on the published runs."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest
from command import a4nn
from commons_data import made_up_run

from a4nn_core.commons import Commons, RunWriter
from a4nn_core.commons.records import Epoch, Network
from a4nn_core.errors import BadInput
from a4nn_core.precision import Images, standard_error
from a4nn_core.replay.histories import History, RunHistory, read_history
from a4nn_core.replay.laboratory import replay, with_fixed
from a4nn_core.replay.recorded import AsRecorded
from a4nn_core.termination import RULES, TerminationRule
from a4nn_core.vocabulary import NetworkStatus

Published = Callable[[str], RunHistory]


def rule(name: str, **settings: object) -> TerminationRule:
    return RULES.make({"name": name, **settings}, "[termination]")


def history(*curves: tuple[float, float, float, float], generations: tuple[int, ...] = ()) -> RunHistory:
    """Networks of four epochs that cost 1, 2, 3, ... MFLOPs; an epoch takes as many seconds."""
    networks = tuple(
        History(
            network=number,
            generation=generations[number] if generations else 0,
            mflops=float(number + 1),
            accuracy_percent=curve,
            training_accuracy_percent=(),
            seconds=(float(number + 1),) * 4,
        )
        for number, curve in enumerate(curves)
    )
    return RunHistory("r", 4, Images(1000), networks, modelled_seconds=False)


LATE = (60.0, 61.0, 62.0, 90.0)
EARLY = (80.0, 81.0, 82.0, 83.0)
BEST = (50.0, 60.0, 95.0, 94.0)


def test_training_everybody_saves_and_loses_nothing() -> None:
    done = with_fixed(history(LATE, EARLY, BEST), replay(history(LATE, EARLY, BEST), rule("none")))
    assert done.epochs == (4, 4, 4)
    assert (done.epochs_saved_percent, done.flop_epochs_saved_percent, done.seconds_saved_percent) == (
        0,
        0,
        0,
    )
    assert (done.front_regret_points, done.front_regret_se, done.mean_regret_se) == (0, 0, 0)
    assert (done.hypervolume_share, done.front_finished, done.front_size) == (1, 2, 2)
    assert done.best_kept
    assert (done.fixed_regret_se, done.fixed_hypervolume_share) == (0, 1)
    assert done.seconds == 4 * (1 + 2 + 3)
    assert done.device_use_percent == 100


def test_what_is_lost_is_what_the_rules_own_scores_keep() -> None:
    """After two epochs the scores are 61, 81 and 60: the front is networks 0 and 1, and the best is lost."""
    done = replay(history(LATE, EARLY, BEST), rule("fixed", epochs=2))
    assert done.epochs == (2, 2, 2)
    assert done.epochs_saved_percent == 50
    # the true front is network 0 with 90 % and network 2 with 95 %; 90 % is kept at its cost, and below
    assert done.front_regret_points == 95 - 90
    assert done.front_regret_se == pytest.approx(5 / standard_error(95.0, 1000))
    assert done.mean_regret_se == pytest.approx(done.front_regret_se / 2)
    assert (done.front_finished, done.front_size, done.best_kept) == (0, 2, False)
    # two networks are the corner themselves and dominate no area
    assert done.hypervolume_share == 1


def test_the_hypervolume_reaches_to_the_worst_corner_of_the_true_front() -> None:
    """True front: (1, 60), (2, 80), (3, 90) with the corner (3, 60): (3 - 2) x 20 = 20. Without the network
    that costs 2: nothing is above 60 % before 3 MFLOPs, which leaves 0; with scores after one epoch."""
    cheap, middle, dear = (60.0,) * 4, (10.0, 10.0, 10.0, 80.0), (90.0,) * 4
    full = replay(history(cheap, middle, dear), rule("none"))
    assert (full.front_size, full.hypervolume_share) == (3, 1)
    early = replay(history(cheap, middle, dear), rule("fixed", epochs=1))
    assert early.front_regret_points == 20
    assert early.hypervolume_share == 0


def test_multiply_adds_and_seconds_weigh_epochs() -> None:
    """Only the network of 3 MFLOPs is ended, after two of four epochs: 6 of 24."""
    falling = (70.0, 60.0, 60.0, 60.0)
    done = replay(history(LATE, EARLY, falling), rule("patience", epochs=1))
    assert done.epochs == (4, 4, 2)
    assert done.epochs_saved_percent == pytest.approx(100 * 2 / 12)
    assert done.flop_epochs_saved_percent == pytest.approx(100 * 6 / 24)
    assert done.seconds_saved_percent == pytest.approx(100 * 6 / 24)
    assert done.best_kept


@pytest.mark.parametrize(
    ("steady", "seconds", "use"),
    [
        # two devices; 4, 8 and 12 seconds, then 16. Generation 0 is networks 0 and 1, generation 1 the others
        (False, 8 + 16, 100 * 40 / 48),
        # network 2 starts after 4 seconds, network 3 after 8
        (True, 8 + 16, 100 * 40 / 48),
    ],
)
def test_the_clock(steady: bool, seconds: float, use: float) -> None:
    curves = (LATE, EARLY, BEST, LATE)
    done = replay(history(*curves, generations=(0, 0, 1, 1)), rule("none"), devices=2, steady=steady)
    assert (done.seconds, done.device_use_percent) == (seconds, pytest.approx(use))


def test_a_barrier_costs_time() -> None:
    """Generations of (0, 1) and (2,): network 2 starts at 8 s, or at 4 s without the barrier."""
    what = history(LATE, EARLY, BEST, generations=(0, 0, 1))
    assert replay(what, rule("none"), devices=2).seconds == 8 + 12
    assert replay(what, rule("none"), devices=2, steady=True).seconds == 4 + 12


def test_rules_see_the_front_of_the_moment_a_network_starts() -> None:
    """What generation 0 reached is the front of generation 1; within a generation nothing is seen."""
    seen: list[tuple[int, int]] = []

    class Seeing(type(rule("none"))):  # type: ignore[misc]
        def judge(self, curve: object, context: object) -> object:
            seen.append((int(context.fixed["mflops"]) - 1, len(context.front.points)))  # type: ignore[attr-defined]
            return super().judge(curve, context)

    replay(history(EARLY, LATE, BEST, generations=(0, 0, 1)), Seeing())
    assert set(seen) == {(0, 0), (1, 0), (2, 2)}


@pytest.mark.parametrize(
    ("curve", "epoch"),
    [([1.0, 2.0, 3.0], None), ([3.0, 2.0, 1.0], 3), ([3.0, 2.0, 4.0, 1.0, 1.0], 5), ([3.0, 3.4, 3.4], 3)],
)
def test_patience(curve: list[float], epoch: int | None) -> None:
    from a4nn_core.termination import Context

    judge = rule("patience", epochs=2, gain=0.5).judge
    stops = [n for n in range(1, len(curve) + 1) if judge(curve[:n], Context(25)).action == "stop"]
    assert (stops[0] if stops else None) == epoch


# reading


def recorded(
    commons: Path, *, epochs: int = 4, flops: int | None = 10**6, seconds: float | None = 2.0
) -> None:
    with RunWriter.open(commons, "r", {"experiment": {"training": {"epochs": 4}}}) as writer:
        for number, count in enumerate((4, epochs)):
            network = Network(
                network=number, generation=0, status=NetworkStatus.completed, flops=flops, epochs_budget=4
            )
            curve = [
                Epoch(epoch=e, validation_accuracy_percent=50.0 + e, seconds=seconds)
                for e in range(1, count + 1)
            ]
            writer.record(network, epochs=curve, predictions=[], layers=[], edges=[])
        equal = replace(network, network=2, status=NetworkStatus.equal, equal_to=0)
        writer.record(equal, epochs=[], predictions=[], layers=[], edges=[])


def test_a_run_is_read_with_what_it_recorded(tmp_path: Path) -> None:
    recorded(tmp_path)
    read = read_history(Commons(tmp_path), "r")
    assert (read.epochs, read.modelled_seconds, [one.network for one in read.networks]) == (4, False, [0, 1])
    assert read.networks[0].accuracy_percent == (51.0, 52.0, 53.0, 54.0)
    assert read.networks[0].seconds == (2.0,) * 4
    assert read.images == Images()
    assert read_history(Commons(tmp_path), "r", 500).images == Images(500)


def test_times_that_were_not_recorded_are_modelled(tmp_path: Path) -> None:
    recorded(tmp_path, seconds=None)
    read = read_history(Commons(tmp_path), "r")
    assert read.modelled_seconds
    assert read.networks[0].seconds == (1.0,) * 4


def test_curves_that_were_cut_short_are_refused(tmp_path: Path) -> None:
    recorded(tmp_path, epochs=3)
    with pytest.raises(BadInput, match="cannot be replayed: network 1 has 3 of 4 epochs, and only a run in"):
        read_history(Commons(tmp_path), "r")
    read = read_history(Commons(tmp_path), "r", complete=False)
    with pytest.raises(BadInput, match="only the rule as-recorded takes it"):
        replay(read, rule("none"))


def test_a_run_whose_networks_were_ended_early_says_what_it_cost(tmp_path: Path) -> None:
    recorded(tmp_path, epochs=3)
    read = read_history(Commons(tmp_path), "r", 1000, complete=False)
    done = with_fixed(read, replay(read, AsRecorded(), devices=2))
    assert (done.epochs, done.seconds) == ((4, 3), 8)
    assert (done.epochs_saved_percent, done.device_use_percent) == (12.5, 87.5)
    assert (done.front_regret_points, done.front_regret_se, done.seconds_saved_percent) == (None, None, None)
    shown = a4nn("replay", "r", "--commons", tmp_path, "--rule", "as-recorded").stdout
    assert "12.5 %" in shown
    assert a4nn("replay", "r", "--commons", tmp_path, "--rule", "{ name = 'as-recorded' }").stdout == shown
    assert "what was lost is not known" in shown


def test_a_curve_with_a_gap_is_refused(tmp_path: Path) -> None:
    with RunWriter.open(tmp_path, "r", {}) as writer:
        curve = [Epoch(epoch=e, validation_accuracy_percent=50.0) for e in (1, 3)]
        network = Network(network=0, status=NetworkStatus.completed, flops=10, epochs_budget=3)
        writer.record(network, epochs=curve, predictions=[], layers=[], edges=[])
    with pytest.raises(BadInput, match="network 0 has no accuracy of epoch 2"):
        read_history(Commons(tmp_path), "r")


def test_without_recorded_layers_the_cost_is_the_only_feature(tmp_path: Path) -> None:
    recorded(tmp_path)
    for one in read_history(Commons(tmp_path), "r").networks:
        assert one.features == {"log_flops": pytest.approx(math.log(1e6))}


def test_costs_must_be_known(tmp_path: Path) -> None:
    recorded(tmp_path, flops=None)
    with pytest.raises(BadInput, match="did not record what network 0 costs: flops is null"):
        read_history(Commons(tmp_path), "r")


# the command


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["r", "--rule", "nothing"], "there is no termination rule named 'nothing'; known: none, fixed,"),
        (["r", "--rule", "fixed"], "--rule fixed lacks the key 'epochs'"),
        (["r", "--rule", "{ name = 'fixed', epochs = 0 }"], "--rule fixed epochs = 0: input should be"),
        (["r", "--rule", "{ epochs = 3 }"], "--rule needs a name, one of: none, fixed,"),
        (["r", "--rule", "{ name = "], "is not an inline TOML table"),
        (["r", "--schedule", "never"], "--schedule 'never' is neither generational nor steady"),
        (["s"], "has no run 's'; runs there: made-up, r"),
        (["made-up"], "run 'made-up' cannot be replayed: network 1 has 9 of "),
        (["made-up", "--rule", "as-recorded", "--i-epoch"], "network 1 has 9 of "),
        (["r", "--prior", "made-up", "--prior", "r"], "--prior 'r' is replayed itself"),
        (["r", "--prior", "s"], "has no run 's'"),
    ],
)
def test_bad_input_is_one_sentence(words: list[str], said: str, tmp_path: Path) -> None:
    recorded(tmp_path)
    made_up_run(tmp_path, networks=3)
    done = a4nn("replay", *words, "--commons", tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr
    assert done.stderr.count("\n") == 1


def test_the_table_and_the_document(tmp_path: Path) -> None:
    recorded(tmp_path, seconds=None)
    words = ("r", "--commons", tmp_path, "--rule", "none", "--rule", "{ name = 'fixed', epochs = 1 }")
    shown = a4nn("replay", *words).stdout
    assert "fixed (epochs 1)" in shown
    assert "75.0 %" in shown
    assert "say how many with --images" in shown
    assert "times were not recorded" in shown
    document = json.loads(a4nn("replay", *words, "--json", "--images", "1000").stdout)
    assert [(one["rule"], one["epochs_saved_percent"]) for one in document] == [
        ("none", 0.0),
        ("fixed (epochs 1)", 75.0),
    ]
    assert document[1]["front_regret_se"] == 0.0


@pytest.mark.parametrize("wide", [False, True])
def test_the_table_has_a_line_for_each_rule_of_a_run_and_fits(wide: bool, tmp_path: Path) -> None:
    recorded(tmp_path)
    words = ["r", "r", "--commons", tmp_path, "--images", "1000", "--i-epoch", *(["--wide"] if wide else [])]
    words += ["--rule", "successive-halving", "--rule", "{ name = 'fixed', epochs = 1 }"]
    shown = a4nn("replay", *words).stdout.splitlines()
    assert shown[0] == "r: 2 networks, 4 epochs, 1,000 validation images"
    assert sum(line.startswith("successive-halving ") for line in shown) == 2  # the other for i-Epoch
    assert ("devices busy" in shown[2]) == wide
    assert ("FLOP-epochs" in shown[2]) == wide
    if not wide:
        assert max(len(line.rstrip()) for line in shown) <= 80


@pytest.mark.slow
def test_all_rules_that_need_no_setting_are_replayed(tmp_path: Path) -> None:
    recorded(tmp_path)
    picture = tmp_path / "figure.png"
    words = ("r", "--commons", tmp_path, "--images", "1000", "--i-epoch", "--out", picture)
    document = json.loads(a4nn("replay", *words, "--json").stdout)
    rules = [one["rule"] for one in document]
    assert {"none", "median", "layers", "moasha"} <= set(rules)
    assert not {"fixed", "any", "all", "not-before"} & set(rules)
    assert all(one["i_epoch"]["rule"] == one["rule"] for one in document)
    assert picture.read_bytes().startswith(b"\x89PNG")
    shown = a4nn("replay", *words, "--rule", "{ name = 'any', rules = [{ name = 'fixed', epochs = 2 }] }")
    assert "any (rules fixed (epochs 2))" in shown.stdout
    assert "i-Epoch: every network trained" in shown.stdout


# the published runs


@pytest.fixture(scope="module")
def published(reference_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Published:
    """Reads a published run by its id."""
    folder = tmp_path_factory.mktemp("published")

    @cache
    def read(run: str) -> RunHistory:
        terminated = run.endswith("penguin")
        part = "early_termination" if terminated else "no_early_termination"
        name = f"1gpu_{run.split('-')[2]}_{'stopping_' if terminated else ''}training_data.csv"
        table = reference_data / "icpp23/1gpu" / part / name
        assert a4nn("import", "icpp23", table, "--commons", folder).returncode == 0
        return read_history(Commons(folder), run, 15_876, complete=not terminated)

    return read


@pytest.mark.golden
@pytest.mark.slow
@pytest.mark.parametrize(
    ("beam", "saved", "finished"),
    # as worked out apart from this code: 15 %, 2 of 12; 36 %, 4 of 10; 37 %, 2 of 8
    [("1e14", 15.0, (2, 12)), ("1e15", 36.2, (4, 10)), ("1e16", 36.7, (2, 8))],
)
def test_the_published_criterion_on_the_published_runs(
    published: Published, beam: str, saved: float, finished: tuple[int, int]
) -> None:
    read = published(f"icpp23-1gpu-{beam}")
    done = replay(read, rule("converged"))
    assert done.epochs_saved_percent == pytest.approx(saved, abs=0.1)
    assert (done.front_finished, done.front_size) == finished
    assert with_fixed(read, done).fixed_regret_se is not None


@pytest.mark.golden
@pytest.mark.slow
@pytest.mark.parametrize(
    ("layers", "beam", "saved", "lost"),
    # of layers that are judged once, at the end, as worked out apart from this code
    [
        *((3, "1e14", 68, 0.54), (3, "1e15", 69, 0.71), (3, "1e16", 63, 1.46)),
        *((4, "1e14", 57, 0), (4, "1e15", 57, 0.71), (4, "1e16", 52, 0)),
    ],
)
def test_layers_on_the_published_runs(
    published: Published, layers: int, beam: str, saved: int, lost: float
) -> None:
    read = published(f"icpp23-1gpu-{beam}")
    done = replay(read, rule("layers", epochs=2, layers=layers, at_the_end=True))
    assert done.epochs_saved_percent == pytest.approx(saved, abs=0.6)
    assert done.front_regret_se == pytest.approx(lost, abs=0.01)
    # judged anew by every generation it saves less, and loses no more
    early = replay(read, rule("layers", epochs=2, layers=layers))
    assert early.epochs_saved_percent < done.epochs_saved_percent
    assert (early.front_regret_se or 0) <= (done.front_regret_se or 0)


@pytest.mark.golden
@pytest.mark.slow
@pytest.mark.parametrize(
    ("beam", "saved", "lost", "finished"),
    # of OptunaHub's pruner with percentile 10, start-up 10, warm-up 3, one network after the other
    [("1e14", 45, 0.09, 9), ("1e15", 41, 0.01, 8), ("1e16", 35, 0.01, 6)],
)
def test_dominance_on_the_published_runs(
    published: Published, beam: str, saved: int, lost: float, finished: int
) -> None:
    done = replay(published(f"icpp23-1gpu-{beam}"), rule("dominance"), steady=True)
    assert done.epochs_saved_percent == pytest.approx(saved, abs=1)
    assert done.front_regret_points == pytest.approx(lost, abs=0.006)
    assert done.front_finished == finished


@pytest.mark.golden
@pytest.mark.slow
@pytest.mark.parametrize(
    ("beam", "seconds", "use"),
    # published wall times on one GPU; four of them are 83 to 87 % busy with a barrier after each generation
    [("1e14", 167_584, 86.9), ("1e15", 129_938, 83.2), ("1e16", 116_296, 83.2)],
)
def test_the_virtual_cluster_takes_the_time_that_the_real_one_took(
    published: Published, beam: str, seconds: float, use: float
) -> None:
    read = published(f"icpp23-1gpu-{beam}-penguin")
    assert replay(read, AsRecorded()).seconds == pytest.approx(seconds, rel=0.05)
    assert replay(read, AsRecorded(), devices=4).device_use_percent == pytest.approx(use, abs=0.1)


@pytest.mark.golden
@pytest.mark.slow
def test_published_networks_have_features_of_their_phases(published: Published) -> None:
    features = [one.features for one in published("icpp23-1gpu-1e14").networks]
    assert len(features) == 100
    assert all({"depth", "op.conv", "log_parameters"} <= set(its) for its in features)
