"""The laboratory with rules that compare networks, and what it says beside its table: i-Epoch and the figure.
Figures are worked out by hand."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Literal

import pytest
from pydantic import PrivateAttr
from test_replay import BEST, EARLY, LATE, history, rule

from a4nn_core.errors import BadInput
from a4nn_core.penguin.measure import Accuracy
from a4nn_core.replay.figure import STRONG, tradeoff_figure
from a4nn_core.replay.i_epoch import IEpochs
from a4nn_core.replay.laboratory import replay
from a4nn_core.termination import Verdict
from a4nn_core.termination.peers import PeerRule, Population
from a4nn_core.vocabulary import Action


class Best(PeerRule):
    """After two epochs each, the best of the networks that wait is finished, one at every call."""

    name: Literal["best"] = "best"
    epochs: int = 2
    at_the_end: bool = False
    _seen: list[Population] = PrivateAttr(default_factory=list)

    def next_judgement(self, epochs: int, horizon: int) -> int:
        return self.epochs if epochs < self.epochs else horizon

    def compare(self, population: Population) -> Mapping[int, Verdict]:
        self._seen.append(population)
        best = max(population.candidates, key=lambda member: member.observed.best or 0).number
        now = population.final or not self.at_the_end
        return {
            number: Verdict(Action.proceed if now and number == best else Action.pause)
            for number in population.waiting
        }

    @property
    def seen(self) -> list[tuple[int, set[int]]]:
        """How many members each population had, and who waited."""
        return [(len(asked.members), set(asked.waiting)) for asked in self._seen]


def test_a_generation_ends_when_nobody_is_promoted() -> None:
    """Layers of one: after one epoch of each, EARLY and the cheaper LATE are the front, BEST is not."""
    front = rule("layers", epochs=1, layers=1)
    done = replay(history(LATE, EARLY, BEST), front, devices=2)
    assert done.epochs == (4, 4, 1)
    # a round of 1 and 2 seconds, in which network 2 takes second 1 to 4; then 3 x 1 and 3 x 2 seconds
    assert done.seconds == 4 + 6
    assert done.device_use_percent == pytest.approx(100 * (1 + 2 + 3 + 3 + 6) / (2 * 10))
    assert (done.front_finished, done.best_kept) == (1, False)
    later = history(LATE, EARLY, BEST, generations=(0, 0, 1))
    assert replay(later, front, devices=2).seconds == 2 + 6 + 3


def test_at_the_end_of_the_search_the_rule_is_asked_until_it_promotes_none() -> None:
    best = Best(at_the_end=True)
    done = replay(history(LATE, EARLY, BEST, generations=(0, 0, 1)), best)
    assert done.epochs == (4, 4, 4)
    assert best.seen == [(2, {0, 1}), (3, {0, 1, 2}), (3, {0, 1, 2}), (3, {0, 2}), (3, {2})]
    assert replay(history(LATE, EARLY, BEST), rule("layers", layers=1, at_the_end=True)).epochs == (4, 4, 2)


def test_a_free_device_takes_a_promoted_network_first() -> None:
    """Steady, one device: the rule is asked when network 0 waits alone, and promotes it at once, before
    network 1 is begun. Generation by generation, both wait before the first is promoted."""
    steady, generational = Best(), Best()
    assert replay(history(LATE, EARLY), steady, steady=True).epochs == (4, 4)
    assert steady.seen == [(1, {0}), (2, {1})]
    replay(history(LATE, EARLY), generational)
    assert generational.seen == [(2, {0, 1}), (2, {0})]


def test_a_steady_search_keeps_its_devices_busy() -> None:
    """Two devices: 0 waits at 2 s and is finished at 4 s, while 1 trains from 0 to 4 s; then 2 is begun, and
    1, which is promoted at 4 s, goes on beside it."""
    done = replay(history(LATE, EARLY, BEST), Best(), devices=2, steady=True)
    assert done.seconds == 4 + 12
    assert done.device_use_percent == pytest.approx(100 * 4 * (1 + 2 + 3) / (2 * 16))


def test_a_steady_search_ends_as_the_loop_does() -> None:
    """Three devices: when all have reached their first judgement, at 6 s, the rule is asked for the final
    time, and stays so. Where networks are finished at once, 1 trains from 4 to 8 s: at 6 s it is known to."""
    best = Best(at_the_end=True)
    assert replay(history(LATE, EARLY, BEST), best, devices=3, steady=True).epochs == (4, 4, 4)
    assert [population.final for population in best._seen] == [False, False, True, True, True]
    at_once = Best()
    replay(history(LATE, EARLY, BEST), at_once, devices=3, steady=True)
    assert [set(population.training) for population in at_once._seen] == [set(), set(), {1}]


def test_who_was_stopped_is_not_asked_about_again() -> None:
    class Stopping(Best):
        def compare(self, population: Population) -> Mapping[int, Verdict]:
            super().compare(population)
            return {number: Verdict(Action.stop) for number in population.waiting}

    stopping = Stopping()
    assert replay(history(LATE, EARLY, generations=(0, 1)), stopping).epochs == (2, 2)
    assert stopping.seen == [(1, {0}), (2, {1})]


def test_a_rule_that_compares_sees_curves_features_images_and_the_past() -> None:
    known = history(EARLY)
    what = replace(known, networks=(replace(known.networks[0], features={"depth": 3.0}),))
    past = history(LATE, BEST).past
    best = Best()
    replay(what, best, past=(past,))
    [asked] = best._seen
    assert asked.past == (past,)
    assert (past.run, past.horizon, past.measure, past.networks[1].best) == ("r", 4, Accuracy(1000), 95.0)
    assert (asked.measure, asked.horizon, asked.curves, asked.final) == (
        Accuracy(1000),
        4,
        "as-trained",
        False,
    )
    [member] = asked.members
    assert (member.observed.validation, member.observed.features) == (EARLY[:2], {"depth": 3.0})
    assert member.costs == {"mflops": 1.0}


def test_a_rule_of_both_kinds_is_asked_by_the_worker_too() -> None:
    falling = (70.0, 60.0, 50.0, 40.0)
    patience = {"name": "patience", "epochs": 1}
    layers = {"name": "layers", "epochs": 3, "layers": 9}
    assert replay(history(LATE, falling), rule("any", rules=[patience, layers])).epochs == (4, 2)


def test_saturation_knows_the_number_of_images() -> None:
    """A point more on 1000 images is within the error at 60 %, ten points are not."""
    flat, rising = (60.0, 61.0, 61.0, 62.0), (60.0, 70.0, 80.0, 90.0)
    assert replay(history(flat, rising), rule("saturation", epochs=1)).epochs == (2, 4)
    unknown = replace(history(flat, rising), images=type(history(flat).images)())
    assert replay(unknown, rule("saturation", epochs=1)).epochs == (3, 4)


def test_a_rule_that_never_lets_go_on_is_refused() -> None:
    class Stuck(Best):
        def next_judgement(self, epochs: int, horizon: int) -> int:  # noqa: ARG002
            return 2

    with pytest.raises(BadInput, match="judges a network of 2 epochs again after 2"):
        replay(history(EARLY), Stuck())


def test_i_epoch_finishes_the_front_that_the_scores_select() -> None:
    """After one epoch the scores are 60, 80 and 50: networks 0 and 1 are finished, 3 + 2 x 3 epochs."""
    what = history(LATE, EARLY, BEST)
    trivial = IEpochs(what)
    assert trivial.points[0] == ((3 + 6) / 12, 0)
    compared = trivial.compare(replay(what, rule("fixed", epochs=2)))
    assert compared.epochs_percent == pytest.approx(100 * (6 + 4) / 12)
    assert (compared.least_i, compared.i_epochs_percent, compared.complement) == (1, 75, 0)


def test_a_rule_beyond_the_front_of_i_epoch_complements_it() -> None:
    """Before the last epoch the network in the middle shows nothing, and without it there is no volume."""
    what = history((60.0,) * 4, (10.0, 10.0, 10.0, 80.0), (90.0,) * 4)
    done = replay(what, rule("none"))
    compared = IEpochs(what).compare(done)
    assert (compared.hypervolume_share, compared.least_i, compared.i_epochs_percent) == (1, 4, 100)
    assert compared.complement == 0  # all epochs for all is among i-Epoch's, too
    half = replace(done, epochs=(1, 4, 1), finishing_epochs=0)
    assert IEpochs(what).compare(half).complement == pytest.approx(1 - 6 / 12)


def test_a_figure_shows_every_rule_and_run(tmp_path: Path) -> None:
    found = [replay(history(LATE, EARLY, BEST), rule("fixed", epochs=epochs)) for epochs in (1, 2, 4)]
    tradeoff_figure(found, tmp_path / "figure.svg")
    drawn = (tmp_path / "figure.svg").read_text(encoding="utf-8")
    for words in ("fixed", "loss begins", "r", "epochs saved (%)"):
        assert f"<!-- {words} -->" in drawn
    with pytest.raises(BadInput, match=r"cannot be written to .*figure\.nothing"):
        tradeoff_figure(found, tmp_path / "figure.nothing")
    with pytest.raises(BadInput, match="say how many --images"):
        tradeoff_figure([replace(found[0], front_regret_se=None)], tmp_path / "figure.svg")


@pytest.mark.slow
def test_front_stands_out_among_at_most_three_panels_in_a_row(tmp_path: Path) -> None:
    done = replay(history(LATE, EARLY, BEST), rule("fixed", epochs=2))
    found = [replace(done, run=f"run {number}", front_regret_se=0.5) for number in range(4)]
    tradeoff_figure(found, tmp_path / "plain.svg")
    tradeoff_figure(
        [*found, replace(found[0], family="front"), replace(found[0], family="front, earlier runs")],
        tmp_path / "front.svg",
    )
    plain, front = ((tmp_path / f"{name}.svg").read_text(encoding="utf-8") for name in ("plain", "front"))
    assert STRONG not in plain
    assert STRONG in front
    assert "<!-- front, earlier runs -->" in front
    assert all(f"<!-- run {number} -->" in plain for number in range(4))
