"""The report as a file: what it holds, that it is safe and small, and every state that a run can be in."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from command import a4nn
from commons_data import HORIZON, fail, header, made_up_run, record, train
from report_runs import HOSTILE, evolved, hostile

from a4nn_core.archaeology.descent import Family
from a4nn_core.archaeology.kinship import stream_exhibit
from a4nn_core.archaeology.life import Life
from a4nn_core.archaeology.questions import QUESTIONS
from a4nn_core.commons import Commons, RunWriter
from a4nn_core.commons.records import Epoch, Network
from a4nn_core.errors import BadInput
from a4nn_core.progress import listening
from a4nn_core.report import beside
from a4nn_core.report.beside import ensure_beside, found_beside, write_beside
from a4nn_core.report.document import Room, document
from a4nn_core.report.page import embedded, page, write_report
from a4nn_core.vocabulary import NetworkStatus

SHOWN = {
    *("front", "curves", "streams", "family", "traits", "stopped", "ranks", "timeline"),
    *("progress", "attainment"),
}
"""figures that twelve networks suffice for"""


@pytest.fixture(scope="module")
def commons(tmp_path_factory: pytest.TempPathFactory) -> Commons:
    folder = tmp_path_factory.mktemp("report") / "commons"
    evolved(folder)
    hostile(folder)
    made_up_run(folder, "one", 1)
    with RunWriter.open(folder, "nothing", header()):
        pass
    with RunWriter.open(folder, "going", header()) as writer:
        writer.events.append("asked", 2, 0)
        record(writer, 0, HORIZON)
        train(writer, 2, 7)
        fail(writer, 4)
    with RunWriter.open(folder, "bare", {"name": "bare", "experiment": {}, "dataset": "xfel"}) as writer:
        bare = Network(network=0, status=NetworkStatus.completed, best_accuracy_percent=90.0)
        writer.record(bare, epochs=[Epoch(epoch=1, validation_accuracy_percent=90.0)])
        writer.record(replace(bare, network=1), epochs=[])
    return Commons(folder)


@pytest.fixture(scope="module")
def shown(commons: Commons) -> dict[str, Any]:
    """What the report of the evolved run holds."""
    found: dict[str, Any] = document(commons, ["evolved"])
    return found


def exhibit(found: dict[str, Any], name: str) -> dict[str, Any]:
    """One of the figures of the first run."""
    (one,) = [one for one in [*found["runs"][0]["exhibits"], *found["exhibits"]] if one["name"] == name]
    return dict(one)


def test_it_tells_how_far_it_is(tmp_path: Path) -> None:
    evolved(tmp_path / "commons")
    told: list[tuple[str, int, int]] = []
    with listening(lambda *step: told.append(step)):
        write_report(Commons(tmp_path / "commons"), ["evolved"], tmp_path / "report.html")
    _, _, count = told[-1]
    assert told == [("evolved", done, count) for done in range(count + 1)]
    assert count > 10


@pytest.mark.slow
def test_every_figure_has_its_table_and_a_query_that_runs(commons: Commons, shown: dict[str, Any]) -> None:
    names = [one["name"] for one in [*shown["runs"][0]["exhibits"], *shown["exhibits"]]]
    assert len(set(names)) == len(names)
    assert names[:3] == ["front", "curves", "film"]
    assert SHOWN | {"difference"} <= set(names)
    for name in names:
        one = exhibit(shown, name)
        if name in ("film", "difference"):  # drawn from the choice in the page
            continue
        if name in SHOWN:
            assert any(chart.get("marks") for chart in one["charts"]), name
            assert one["table"]["rows"], name
        assert {len(row) for row in one["table"]["rows"]} <= {len(one["table"]["columns"])}
        assert commons.sql(one["query"]).fetchall() or name not in SHOWN, name
        for chart in one["charts"]:
            for axis in (chart["x"], chart["y"]):
                assert axis["label"] or axis.get("hidden") or axis.get("scale") == "category"


@pytest.mark.slow
def test_tables_are_what_queries_return(commons: Commons, shown: dict[str, Any]) -> None:
    for name, pairs in {
        "front": {0: 0, 1: 1, 2: 2, 5: 5},
        "curves": {0: 0, 1: 1, 2: 2},
        "stopped": {0: 0, 11: 10},
        "ranks": {0: 0, 1: 1, 2: 2, 3: 3},
    }.items():
        one = exhibit(shown, name)
        asked = commons.sql(one["query"]).fetchall()
        assert len(asked) == len(one["table"]["rows"]), name
        for row, other in zip(one["table"]["rows"], asked, strict=True):
            for mine, its in pairs.items():
                expected = (
                    pytest.approx(other[its], rel=1e-5) if isinstance(other[its], float) else other[its]
                )
                assert row[mine] == expected, (name, row, other)


@pytest.mark.slow
def test_the_front_of_the_page_is_the_front_of_the_run(commons: Commons, shown: dict[str, Any]) -> None:
    members = {network.network for network in commons.front("evolved")}
    (run,) = shown["runs"]
    assert {network["network"] for network in run["networks"] if network["front"]} == members
    (chart,) = exhibit(shown, "front")["charts"]
    (ring,) = [mark for mark in chart["marks"] if mark.get("shape") == "ring"]
    assert set(ring["networks"]) == members
    assert run["best"] in members
    open_ones = [mark for mark in chart["marks"] if mark.get("shape") == "open"]
    stopped = {n.network: n for n in commons.networks("evolved") if n.status == "stopped"}
    assert set(open_ones[0]["networks"]) == set(stopped)
    for number, low, high in zip(*(open_ones[0][key] for key in ("networks", "low", "high")), strict=True):
        assert low == pytest.approx(stopped[number].predicted_low)
        assert high == pytest.approx(stopped[number].predicted_high)
    assert [network["parents"] for network in run["networks"]][4:6] == [[0, 1], [1, 2]]
    assert {stop["network"] for stop in run["stops"]} == set(stopped)
    assert set(run["frames"]) == {str(n) for n in range(12)}
    assert set(run["graphs"]) == set(run["sketches"]) == {str(n) for n in range(12)}


def test_the_query_of_streams_divides_every_network_among_its_founders(commons: Commons) -> None:
    read = Life.read(commons, "evolved")
    family = Family(read.networks.values(), read.front)
    rows = commons.sql(stream_exhibit(read, family).query).fetchall()
    shares: dict[int, float] = {}
    for generation, _, born, _ in rows:
        shares[generation] = shares.get(generation, 0.0) + born
    assert shares == {0: 4.0, 1: 4.0, 2: 4.0}
    # of a grandchild a grandparent has a quarter, or a half if it is so by both parents
    assert {born for generation, _, born, _ in rows if generation == 2} == {1.0}
    last = {
        number: shares for number, shares in family.blood.items() if read.networks[number].generation == 2
    }
    for founder in range(4):
        (said,) = [row[2] for row in rows if row[:2] == (2, founder)]
        assert said == pytest.approx(sum(shares.get(founder, 0.0) for shares in last.values()))


def test_what_a_page_has_no_room_for_is_counted(commons: Commons) -> None:
    found: Any = document(commons, ["evolved"], Room(networks=5, steps=2))
    (run,) = found["runs"]
    assert len(run["networks"]) == 5
    assert run["left_out"] == 7
    members = {network.network for network in commons.front("evolved")}
    assert len(members & {network["network"] for network in run["networks"]}) == min(5, len(members))
    assert len(run["frames"]) <= 2
    assert set(run["graphs"]) == {str(network["network"]) for network in run["networks"]}
    assert len(exhibit(found, "stopped")["table"]["rows"]) == 8  # figures that count are of all networks


@pytest.mark.slow
def test_no_text_of_others_is_more_than_text(commons: Commons, tmp_path: Path) -> None:
    write_report(commons, ["hostile"], tmp_path / "r.html")
    text = (tmp_path / "r.html").read_text(encoding="utf-8")
    assert "window.hacked" in text
    for open_tag in ("<script>window", "<img src=x", "</script><script>window"):
        assert open_tag not in text
    scripts = re.findall(r"<script\b[^>]*>", text)
    assert scripts == [
        '<script type="application/json" id="document">',
        '<script type="application/octet-stream" id="plotly">',
        "<script>",
    ]
    held = json.loads(re.search(r'id="document">(.*?)</script>', text, re.DOTALL)[1])  # type: ignore[index]
    whole = json.dumps(held, ensure_ascii=False)
    for character in "\x1b\x00\x07\u2028\u202e\u2066":
        assert character not in whole
        assert character not in text
    assert HOSTILE[0] in held["runs"][0]["summary"]  # as it is, as text
    assert "\\u202e" in "".join(network["operator"] for network in held["runs"][0]["networks"])
    assert max(map(len, re.findall(r"x{50,}", whole))) <= 300  # nothing without end


@pytest.mark.slow
def test_the_page_loads_nothing_and_runs_only_its_own_code(commons: Commons) -> None:
    text = page(document(commons, ["one"]))
    assert not re.search(r"<(script|link|img|iframe)[^>]*\s(src|href)\s*=", text)
    head = text.partition("</head>")[0]
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', head)
    assert policy is not None
    assert "default-src &#x27;none&#x27;" in policy[1]
    assert re.search(r"script-src( &#x27;sha256-[\w+/]+=*&#x27;){2};", policy[1])
    assert "unsafe-eval" not in policy[1]
    assert text == page(document(commons, ["one"]))  # the same records are the same page


def test_json_in_html_ends_nothing() -> None:
    value = {"</script>": "<!-- & \u2028", "a": [1.5, None]}
    assert json.loads(embedded(value)) == value
    assert not set("<>&\u2028") & set(embedded(value))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("run", "said"),
    [
        (
            "nothing",
            ["no network has finished yet", "No network has ended yet.", "no epoch has ended yet"],
        ),
        ("going", ["running", "No network of this run was made from others so far."]),
        ("one", ["fewer than 5 networks have two epochs in common", "No network was stopped early."]),
        (
            "bare",
            ["no network has a known cost and accuracy", "The layers of these networks were not recorded."],
        ),
    ],
)
def test_every_state_of_a_run_is_told(commons: Commons, tmp_path: Path, run: str, said: list[str]) -> None:
    found: Any = document(commons, [run])
    text = json.dumps(found, ensure_ascii=False)
    for words in said:
        assert words in text
    for one in [*found["runs"][0]["exhibits"], *found["exhibits"]]:
        for chart in one["charts"]:
            assert chart.get("marks") or chart.get("empty", "nothing to draw yet")
    write_report(commons, [run], tmp_path / "r.html")


@pytest.mark.parametrize("run", ["nothing", "going", "one", "bare"])
def test_every_question_is_answered_in_every_state(commons: Commons, run: str) -> None:
    life = Life.read(commons, run)
    for question in QUESTIONS.values():
        answer = question.ask(commons, life, None)
        assert all(words.strip() for words in answer.words)
        assert answer.words
        for chart in answer.charts:
            assert chart.marks or chart.empty != "nothing to draw yet", (question.name, chart.name)
        if not life.networks:  # what does not exist yet cannot have been left out of the records
            text = " ".join([*answer.words, *(chart.empty for chart in answer.charts if not chart.marks)])
            assert "not recorded" not in text, question.name


@pytest.mark.slow
def test_several_runs_side_by_side(commons: Commons) -> None:
    found: Any = document(commons, ["evolved", "one", "evolved"])
    assert [run["run"] for run in found["runs"]] == ["evolved", "one"]
    assert [one["name"] for one in found["exhibits"]] == ["progress", "attainment", "tradeoff"]
    assert found["title"] == "2 runs: evolved, one"


@pytest.mark.slow
def test_a_report_of_a_hundred_networks_is_small(tmp_path: Path) -> None:
    evolved(tmp_path / "c", networks=100, per_generation=10)
    write_report(Commons(tmp_path / "c"), ["evolved"], tmp_path / "r.html")
    assert (tmp_path / "r.html").stat().st_size <= 5_000_000


@pytest.mark.slow
def test_the_command(commons: Commons, tmp_path: Path) -> None:
    where = ("--commons", commons.path)
    done = a4nn("report", "one", "--out", tmp_path / "r.html", "--figures", tmp_path / "figures", *where)
    assert done.returncode == 0
    assert done.stdout.splitlines()[0] == f"report: {tmp_path / 'r.html'}"
    names = {file.name for file in (tmp_path / "figures").iterdir()}
    assert {"one-front.png", "one-front.svg", "one-curves.png", "hypervolume.png"} <= names
    for file in (tmp_path / "figures").iterdir():
        start = file.read_bytes()[:300]
        assert start.startswith(b"\x89PNG") or b"<svg" in start or b"<?xml" in start
    assert (
        a4nn("report", "evolved", *where).stdout == f"report: {commons.path / 'runs/evolved/report.html'}\n"
    )
    for words, sentence in (
        (["absent"], "has no run 'absent'"),
        (["evolved", "one"], "2 runs were given: say with --out where their page is to be"),
        (["evolved", "--out", tmp_path / "r.html" / "x.html"], "cannot create the folder"),
    ):
        failed = a4nn("report", *words, *where)
        assert (failed.returncode, failed.stdout) == (2, "")
        assert sentence in failed.stderr
        assert "Traceback" not in failed.stderr


def test_what_lies_beside_a_run_is_never_an_error_of_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made_up_run(tmp_path, "r", 2)
    store = Commons(tmp_path)
    monkeypatch.setattr(beside, "front_figure", lambda *_: False)

    def broken(*_: object) -> None:
        raise ZeroDivisionError("a figure")

    monkeypatch.setattr(beside, "write_report", broken)
    found = write_beside(store, "r")
    assert (found.picture, found.report) == (None, None)
    assert found.problems == ("no report: ZeroDivisionError: a figure",)
    monkeypatch.setattr(beside, "write_report", lambda _, __, file: file.write_text("page"))
    assert ensure_beside(store, "r").report == tmp_path / "runs/r/report.html"
    monkeypatch.setattr(beside, "write_report", broken)
    assert ensure_beside(store, "r").report is not None  # what is there is not made again
    assert found_beside(store, "r", since=4e9).report is None
    with pytest.raises(BadInput, match="has no run 'absent'"):
        write_beside(store, "absent")


def test_a_life_knows_its_shadows(tmp_path: Path) -> None:
    made_up_run(tmp_path, "r", 3)
    with RunWriter.open(tmp_path, "again", header(shadow_of="r")) as writer:
        record(writer, 1, HORIZON)
    life = Life.read(Commons(tmp_path), "r")
    assert {shadow: list(networks) for shadow, networks in life.shadows.items()} == {"again": [1]}
