"""The benchmark of stopping rules: settings come from other data, and so do the lines of ``front``."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from test_replay import BEST, EARLY, LATE, history, rule

from a4nn_core.commons.records import Epoch, Network
from a4nn_core.commons.writer import RunWriter
from a4nn_core.penguin.slopes import TABLES, Line, Slopes
from a4nn_core.replay.histories import RunHistory
from a4nn_core.replay.laboratory import Replayed, replay
from a4nn_core.vocabulary import NetworkStatus, RunStatus

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "benchmarks"))
import stopping


def named(run: str) -> RunHistory:
    """Networks whose training accuracy is known, so that lines can be fitted to them."""
    made = history(LATE, EARLY, BEST, LATE, EARLY, BEST)
    networks = [replace(one, training_accuracy_percent=one.accuracy_percent) for one in made.networks]
    return replace(made, run=run, networks=tuple(networks))


@pytest.fixture
def source() -> stopping.Source:
    groups = {"low": [named("a"), named("b")], "high": [named("c")]}
    return stopping.Source(groups, in_package=True)


def of(saved: float, regret: float, epochs: int) -> Replayed:
    done = replay(history(LATE, EARLY, BEST), rule("fixed", epochs=epochs))
    return replace(done, epochs_saved_percent=saved, front_regret_se=regret)


def test_a_setting_is_chosen_on_the_other_groups() -> None:
    bold = {"low": [of(80, 3, 1)], "medium": [of(80, 0.4, 1)], "high": [of(80, 0.6, 1)]}
    careful = {"low": [of(20, 0, 3)], "medium": [of(20, 0, 3)], "high": [of(20, 0, 3)]}
    middle = {"low": [of(50, 0.1, 2)], "medium": [of(50, 0.1, 2)], "high": [of(50, 0.1, 2)]}
    settings = [careful, bold, middle]
    assert stopping.chosen(settings, "low") == bold["low"]  # that it loses on low is not known there
    assert stopping.chosen(settings, "medium") == middle["medium"]
    assert stopping.chosen([bold], "medium") == bold["medium"]


def test_front_is_given_lines_and_earlier_runs_of_the_other_groups_alone(source: stopping.Source) -> None:
    assert [past.run for past in source.others("low")] == ["c"]
    assert [past.run for past in source.others("high")] == ["a", "b"]
    assert source.slopes["low"]["as-trained"] != TABLES["as-trained"]
    assert stopping.Source(source.groups, in_package=False).slopes == {"low": {}, "high": {}}


def test_fitted_lines_replace_those_of_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Mapping[str, Slopes]] = []
    monkeypatch.setattr(stopping.Front, "begin", lambda self, slopes: seen.append(slopes) or self)
    fitted = Slopes((1.0,), (Line(0.0),), (Line(0.0),))
    made = stopping.Fitted.to({"as-trained": fitted}, epochs=1)
    made.begin()
    assert (made.name, made.epochs) == ("front", 1)
    assert seen == [{**TABLES, "as-trained": fitted}]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["fixed", "front", stopping.EARLIER])
def test_what_was_replayed_before_is_read(name: str, source: stopping.Source, tmp_path: Path) -> None:
    settings = {"epochs": 2}
    first, _ = stopping.Bench(source, cache=tmp_path / "cache").replayed(name, settings)
    assert [[one.run for one in runs] for runs in first.values()] == [["a", "b"], ["c"]]
    assert first["low"][0].rule == "epochs 2"
    assert first["low"][0].fixed_regret_se is not None
    assert len(list((tmp_path / "cache").iterdir())) == 3
    nothing = replace(
        source, groups={g: [replace(r, networks=()) for r in rs] for g, rs in source.groups.items()}
    )
    again, _ = stopping.Bench(nothing, cache=tmp_path / "cache").replayed(name, settings)
    assert again == first


def record(
    commons: Path, run: str, beam: str, accuracy: float, status: RunStatus = RunStatus.completed
) -> None:
    data = {"name": "xfel", "beam": beam}
    with RunWriter.open(commons, run, {"experiment": {"data": data}}) as writer:
        curve = [Epoch(epoch=e, validation_accuracy_percent=accuracy + e) for e in (1, 2)]
        network = Network(network=0, status=NetworkStatus.completed, flops=10, epochs_budget=2)
        writer.record(network, epochs=curve, predictions=[], layers=[], edges=[])
        writer.finish(status)


def test_the_completed_runs_of_a_commons_are_grouped_the_hardest_first(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    record(tmp_path, "a", "high", 90, RunStatus.completed)
    with pytest.raises(SystemExit, match="has 1 with runs"):
        stopping.recorded(tmp_path)
    for run, beam, accuracy in (("b", "low", 70), ("c", "low", 72)):
        record(tmp_path, run, beam, accuracy, RunStatus.completed)
    record(tmp_path, "d", "medium", 80, RunStatus.interrupted)
    found = stopping.recorded(tmp_path)
    assert {name: [run.run for run in runs] for name, runs in found.groups.items()} == {
        "low": ["b", "c"],
        "high": ["a"],
    }
    assert list(found.groups) == ["low", "high"]
    assert "left out: run 'd' is interrupted" in capsys.readouterr().err


def test_the_tables(source: stopping.Source) -> None:
    done, _ = stopping.Bench(source).replayed("fixed", {"epochs": 2})
    compact = stopping.compact_table(source, [[done]])
    assert compact[0].startswith("| rule (low / high) | setting |")
    assert compact[2].startswith("| `fixed` | epochs 2 | 50 / 50 |")
    assert compact[2].endswith("| 0 / 0 |")
    assert len({line.count(" |") for line in compact if "---" not in line}) == 1
    whole = stopping.whole_table(source, [[done]])
    assert [line[:22] for line in whole[2:]] == ["| low | `fixed` | epoc"] * 2 + ["| high | `fixed` | epo"]
