"""``a4nn explore``: what its server answers, and whom."""

from __future__ import annotations

import io
import json
import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pyarrow.parquet as pq
import pytest
from command import A4NN, a4nn
from commons_data import header, made_up_run
from explorer import TOKEN, Served, served
from report_runs import HOSTILE, evolved, hostile

from a4nn_core.commons import Commons, RunWriter
from a4nn_core.commons.compact import compact
from a4nn_core.commons.records import Network
from a4nn_core.errors import BadInput
from a4nn_core.explore import app, window
from a4nn_core.explore.asked import Bound, Chosen, Filter, asked, in_catalogue
from a4nn_core.explore.asked import Network as Picked
from a4nn_core.explore.listing import selection_query
from a4nn_core.metrics import nondominated
from a4nn_core.precision import standard_error
from a4nn_core.vocabulary import NetworkStatus, RunStatus

pytestmark = pytest.mark.integration

AXES = {"x": "mflops", "y": "best_accuracy_percent"}


@pytest.fixture(scope="module")
def commons(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three runs, of which one is compacted with the others, and one that holds nothing yet."""
    path = tmp_path_factory.mktemp("explored") / "commons"
    evolved(path)
    hostile(path)
    made_up_run(path, "plain", 5, failed=(1,))
    with RunWriter.open(path, "nothing", header()):
        pass
    return path


@pytest.fixture(scope="module")
def shown(commons: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served(commons, tmp_path_factory.mktemp("files")) as found:
        yield found


def many(commons: Path, networks: int, run: str = "many") -> None:
    """A run of many networks without curves, each in a generation of its own, compacted."""
    rng = np.random.default_rng(3)
    with RunWriter.open(commons, run, header()) as writer:
        for number in range(networks):
            accuracy = round(float(rng.uniform(50, 99)), 1)
            flops = int(rng.integers(1, 900)) * 100_000
            writer.record(
                Network(
                    network=number,
                    generation=number,
                    status=NetworkStatus.completed,
                    flops=flops,
                    fitness={"error_percent": 100 - accuracy, "mflops": flops / 1e6},
                    best_accuracy_percent=accuracy,
                )
            )
        writer.finish(RunStatus.completed, networks=networks)
    compact(commons)


# what is asked


@pytest.mark.parametrize(
    "chosen",
    [
        Chosen(),
        Chosen(filter=Filter(runs=["evolved", "plain"], status="stopped")),
        Chosen(
            filter=Filter(
                bounds=[Bound(measure="error_percent", most=15.0), Bound(measure="mflops", least=0.5)]
            )
        ),
        Chosen(
            area=[
                Bound(measure="mflops", least=0.1, most=1e9),
                Bound(measure="best_accuracy_percent", least=84),
            ]
        ),
        Chosen(
            picked=[Picked(run="evolved", network=3), Picked(run="plain", network=0)],
            filter=Filter(runs=["x"]),
        ),
        Chosen(filter=Filter(runs=["it's not there"])),
    ],
)
def test_the_query_of_a_selection_returns_what_is_selected(shown: Served, chosen: Chosen) -> None:
    catalogue = shown.catalogue
    where = in_catalogue(catalogue, chosen)
    held = catalogue.cursor().sql(f"select place, number from networks where {where}").fetchall()
    recorded = Commons(catalogue.store.path).sql(selection_query(catalogue, chosen)).fetchall()
    assert sorted((catalogue.by_place[place], number) for place, number in held) == [
        row[:2] for row in recorded
    ]
    if chosen.filter.runs != ["it's not there"]:
        assert recorded


@pytest.mark.parametrize(
    ("path", "body", "words"),
    [
        ("scatter", {"x": "mflops"}, "y: field required"),
        (
            "scatter",
            {"x": "mflops", "y": "no; drop table networks"},
            "no network of this commons has a measure",
        ),
        ("scatter", {**AXES, "filter": {"bounds": [{"measure": "1=1 or x"}]}, "window": None}, ""),
        ("scatter", {**AXES, "window": [0, "1", 2, 3]}, "window.1"),
        ("networks", {"page": -1}, "page"),
        ("networks", {"sort": "key, (select 1)"}, "no network of this commons has a measure"),
        ("curves", {"most": 100_000}, "most"),
        ("export", {"format": "exe"}, "format"),
        ("compare", {"picked": [{"run": "evolved", "network": -1}]}, "picked.0.network"),
        ("compare", {"nonsense": 1}, "nonsense"),
    ],
)
def test_what_cannot_be_asked_is_refused_in_a_sentence(
    shown: Served, path: str, body: dict[str, Any], words: str
) -> None:
    if words:
        assert words in shown.refused(path, **body)
    else:  # a bound without ends says nothing, so its measure is not looked up
        bound = body["filter"]["bounds"][0]
        assert "no network of this commons" in shown.refused(
            path, **{**body, "filter": {"bounds": [{**bound, "least": 1}]}}
        )


def test_a_request_that_is_no_json_or_too_long() -> None:
    for document in (b"", b"[", b"[1]", b'{"x": NaN}'):
        with pytest.raises(BadInput):
            asked(Filter, document)


# the scatter plot


def test_the_scatter_plot_has_the_front_of_what_the_filter_leaves(shown: Served) -> None:
    axes = {"x": "mflops", "y": "error_percent"}
    found = shown.ask("scatter", **axes, filter={"runs": ["evolved"]})
    networks = [n for n in Commons(shown.catalogue.store.path).networks("evolved") if n.trained]
    # the objectives in the made-up fitness of these networks are not their costs
    points = np.array([[(one.flops or 0) / 1e6, (one.fitness or {})["error_percent"]] for one in networks])
    front = [networks[place] for place in np.flatnonzero(nondominated(points))]
    best = {one.network: one.best_accuracy_percent or 0.0 for one in front}
    assert {one["network"]: pytest.approx(100 - one["y"]) for one in found["front"]} == best
    assert (found["count"], found["drawn"], found["seen"]) == (12, 12, 12)
    points = [mark for mark in found["chart"]["marks"] if mark["kind"] == "points" and mark.get("networks")]
    drawn = {found["networks"][str(key)]["network"] for mark in points for key in mark["networks"]}
    assert drawn == set(range(12))
    errors = {one["network"]: one["y_error"] for one in found["front"]}
    assert errors == {
        number: pytest.approx(standard_error(accuracy, 50)) for number, accuracy in best.items()
    }
    # 50 images tell little apart
    cheapest, *others = found["front"]
    assert cheapest["alike"] is None
    assert any(one["alike"] for one in others)
    bounded = shown.ask(
        "scatter", **axes, filter={"runs": ["evolved"], "bounds": [{"measure": "mflops", "most": 0.7}]}
    )
    assert all(one["x"] <= 0.7 for one in bounded["front"])
    assert bounded["count"] < 12
    alone = shown.ask("scatter", **axes, filter={"runs": ["evolved"]}, dominated=False)
    points = [mark for mark in alone["chart"]["marks"] if mark["kind"] == "points" and mark.get("networks")]
    assert {alone["networks"][str(k)]["network"] for mark in points for k in mark["networks"]} == set(best)


def test_a_wish_chooses_from_the_front(shown: Served) -> None:
    found = shown.ask("scatter", **AXES, filter={"runs": ["evolved"]}, wish=[None, 200.0])
    best = max(found["front"], key=lambda one: one["y"])
    assert found["nearest"] == best["key"]
    cheap = shown.ask("scatter", **AXES, filter={"runs": ["evolved"]}, wish=[1e-9, 0.0])
    assert cheap["nearest"] == min(cheap["front"], key=lambda one: one["x"])["key"]


def test_measures_without_better_values_have_no_front(shown: Served) -> None:
    found = shown.ask("scatter", x="generation", y="best_accuracy_percent")
    assert found["front"] == []
    assert found["nearest"] is None
    assert any("There is no front" in words for words in found["words"])


def test_runs_of_different_data_sets_are_told_of(shown: Served) -> None:
    assert not any("different data sets" in words for words in shown.ask("scatter", **AXES)["words"])
    shown.catalogue.runs["plain"].fingerprint = "other"
    try:
        assert any("2 different data sets" in words for words in shown.ask("scatter", **AXES)["words"])
        one = shown.ask("scatter", **AXES, filter={"runs": ["plain"]})
        assert not any("different data sets" in words for words in one["words"])
    finally:
        shown.catalogue.runs["plain"].fingerprint = shown.catalogue.runs["evolved"].fingerprint


def test_many_networks_are_counted_in_cells_and_the_front_stays_exact(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commons = tmp_path / "commons"
    many(commons, 120)
    monkeypatch.setattr(window, "MOST_POINTS", 60)
    with served(commons, tmp_path / "files") as shown:
        found = shown.ask("scatter", **AXES)
        counts = np.array(found["cells"]["counts"])
        assert counts.sum() == found["seen"] == 120
        recorded = Commons(commons).networks("many")
        edges = (found["cells"]["y"], found["cells"]["x"])
        logs = found["chart"]["x"]["scale"] == "log"
        assert logs
        values = [(one.best_accuracy_percent or 0, (one.flops or 0) / 1e6) for one in recorded]
        again, *_ = np.histogram2d(*zip(*values, strict=True), bins=edges)
        # a value at an edge may fall to either side
        assert np.abs(again - counts).sum() <= 6
        assert [one["network"] for one in found["front"]] == [
            one.network for one in sorted(Commons(commons).front("many"), key=lambda n: (n.flops, n.network))
        ]
        near = shown.ask("scatter", **AXES, window=[10.0, 40.0, 60.0, 90.0])
        assert near["cells"] is None
        inside = [v for v in values if 60 <= v[0] <= 90 and 10 <= v[1] <= 40]
        assert near["seen"] == len(inside)
        assert 0 < len(inside) <= 60
        picked = shown.ask("scatter", **AXES, picked=[{"run": "many", "network": 7}])
        assert any(mark.get("networks") and mark["label"] == "picked" for mark in picked["chart"]["marks"])
        # a run of as many generations
        table = shown.ask("networks", sort="generation", descending=True, columns=["generation"], page=2)
        assert (table["pages"], table["rows"][0]["network"]) == (3, 19)
        none = shown.ask("curves", most=1000)
        assert none["chart"].get("marks", []) == []
        assert "No network of the selection has a learning curve" in none["chart"]["empty"]


# tables, curves, comparisons


def test_the_table_is_sorted_and_paged(shown: Served) -> None:
    found = shown.ask(
        "networks", sort="best_accuracy_percent", descending=True, columns=["best_accuracy_percent"]
    )
    values = [row["values"][0] for row in found["rows"]]
    known = [value for value in values if value is not None]
    assert known == sorted(known, reverse=True)
    assert values[-1] is None  # what failed comes last, whatever the direction
    assert found["count"] == 12 + 12 + 5
    assert found["rows"][0]["errors"] == [standard_error(known[0], 50)]
    assert shown.ask("networks", page=9)["rows"] == []


def test_curves_of_the_selection_and_a_sample_of_many(shown: Served) -> None:
    found = shown.ask("curves", picked=[{"run": "plain", "network": 0}, {"run": "evolved", "network": 4}])
    lines = [mark for mark in found["chart"]["marks"] if mark["kind"] == "line"]
    names = [found["networks"][str(mark["network"])] for mark in lines]
    assert names == [{"run": "evolved", "network": 4}, {"run": "plain", "network": 0}]
    epochs = [one for one in Commons(shown.catalogue.store.path).epochs("plain") if one.network == 0]
    assert lines[1]["y"] == [one.validation_accuracy_percent for one in epochs]
    some = shown.ask("curves", most=4)
    assert some["drawn"] == 4
    assert "of the 29 networks" in some["words"][0]


def test_networks_side_by_side(shown: Served) -> None:
    picked = [
        {"run": "evolved", "network": 9},
        {"run": "evolved", "network": 4},
        {"run": "gone", "network": 1},
    ]
    found = shown.ask("compare", picked=picked)
    first, second = found["networks"]
    assert (first["network"], second["network"]) == (9, 4)
    assert found["missing"] == ["gone, network 1"]
    assert "layers" in second["words"]
    states = {node[4] for node in second["sketch"]["nodes"]} | {link[2] for link in second["sketch"]["links"]}
    assert "kept" in states
    assert states & {"added", "changed"}
    facts = dict(second["facts"])
    network = next(one for one in Commons(shown.catalogue.store.path).networks("evolved") if one.network == 4)
    assert facts["validation accuracy"].startswith(f"{network.best_accuracy_percent:.2f} ± ")
    unknown = shown.ask("compare", picked=[{"run": "plain", "network": 0}, {"run": "plain", "network": 1}])
    assert [one["sketch"] for one in unknown["networks"]] == [None, None]
    assert dict(unknown["networks"][1]["facts"])["error"] == "out of memory"


# SQL, files, reports


def test_the_sql_box_reaches_the_commons_alone(shown: Served, tmp_path: Path) -> None:
    found = shown.ask("sql", query="select run, network, best_accuracy_percent from networks order by 1, 2")
    assert found["columns"] == ["run", "network", "best_accuracy_percent"]
    assert found["numbers"] == [False, True, True]
    assert len(found["rows"]) == 29
    long = shown.ask("sql", query="select * from range(5000)")
    assert (len(long["rows"]), long["more"]) == (app.SQL_ROWS, True)
    secret = tmp_path / "secret.csv"
    secret.write_text("a\n1\n", encoding="utf-8")
    for query in (
        f"select * from read_csv('{secret}')",
        f"select * from '{secret}'",
        "select * from glob('/etc/*')",
        "set threads = 1",
        "drop table networks",
        "select 1; select 2",
        "copy networks to '/tmp/x.csv'",
        "attach '/tmp/x.db'",
        "install httpfs",
        "select nothing from nowhere",
        "",
    ):
        assert shown.refused("sql", query=query)
    assert shown.client.get("/api/runs").status_code == 200


ENDLESS = "select count(*) from range(100000000) a, range(100000000) b where a.range % 7 = b.range % 11"


def test_a_query_ends_when_it_takes_too_long(
    commons: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(app, "SQL_SECONDS", 0.3)
    with served(commons, tmp_path / "files") as shown:
        for _ in range(app.QUERIES + 1):  # and gives its place back
            assert "took longer than" in shown.refused("sql", query=ENDLESS)
        wait_for(lambda: shown.client.post("/api/sql", json={"query": "select 1"}).status_code == 200)


def test_a_query_ends_when_nobody_waits_for_it(shown: Served) -> None:
    for _ in range(app.QUERIES):
        with (
            pytest.raises(httpx.ReadTimeout),
            httpx.Client(base_url=shown.address, cookies=dict(shown.client.cookies), timeout=0.5) as other,
        ):
            other.post("/api/sql", json={"query": ENDLESS})
    wait_for(lambda: shown.client.post("/api/sql", json={"query": "select 1"}).status_code == 200)


def test_queries_take_turns(shown: Served) -> None:
    with httpx.Client(base_url=shown.address, cookies=dict(shown.client.cookies), timeout=4) as other:

        def ask() -> None:
            with pytest.raises(httpx.ReadTimeout):
                other.post("/api/sql", json={"query": ENDLESS})

        threads = [threading.Thread(target=ask) for _ in range(app.QUERIES)]
        for thread in threads:
            thread.start()
        wait_for(lambda: shown.client.post("/api/sql", json={"query": "select 1"}).status_code == 422)
        assert shown.ask("networks", columns=["mflops"])["count"] == 29  # views are answered meanwhile
        for thread in threads:
            thread.join()
    # who comes next finds a place
    wait_for(lambda: shown.client.post("/api/sql", json={"query": "select 1"}).status_code == 200)


def wait_for(condition: Callable[[], bool]) -> None:
    for _ in range(600):
        if condition():
            return
        time.sleep(0.1)
    pytest.fail("it did not come about")


@pytest.mark.parametrize("format", ["csv", "parquet", "json"])
def test_a_selection_is_saved_as_a_file_that_is_there_once(shown: Served, format: str) -> None:
    made = shown.ask("export", filter={"runs": ["evolved"], "status": "stopped"}, format=format)
    assert made["name"] == f"networks.{format}"
    answer = shown.client.get(made["file"])
    assert "attachment" in answer.headers["content-disposition"]
    stopped = [n for n in Commons(shown.catalogue.store.path).networks("evolved") if n.status == "stopped"]
    expected = [(one.network, one.best_accuracy_percent) for one in stopped]
    if format == "parquet":
        table = pq.read_table(io.BytesIO(answer.content))
        found = list(
            zip(table["network"].to_pylist(), table["best_accuracy_percent"].to_pylist(), strict=True)
        )
    elif format == "json":
        document = json.loads(answer.text)
        found = [(row["network"], row["best_accuracy_percent"]) for row in document["rows"]]
        again = Commons(shown.catalogue.store.path).sql(document["query"]).fetchall()
        assert [row[1] for row in again] == [network for network, _ in expected]
    else:
        head, *lines = answer.text.splitlines()
        names = head.split(",")
        assert names[:2] == ["run", "network"]
        assert len(lines) == len(expected)
        found = expected
    assert found == expected
    assert shown.client.get(made["file"]).status_code == 404
    assert "rows" in json.loads(
        shown.client.get(shown.ask("sql", query="select 1 as a", format="json")["file"]).text
    )
    assert shown.client.get("/files/..%2f..%2fetc%2fpasswd").status_code == 404


def test_the_report_of_a_run_is_made_and_can_reach_nothing_here(shown: Served) -> None:
    (shown.catalogue.store.path / "runs" / "evolved" / "report.html").write_text(
        "of a stranger", encoding="utf-8"
    )
    answer = shown.client.get("/report/evolved")
    assert "What did the search find?" in answer.text
    assert "of a stranger" not in answer.text
    assert "sandbox" in answer.headers["content-security-policy"]
    assert "allow-same-origin" not in answer.headers["content-security-policy"]
    assert shown.client.get("/report/no-such-run").status_code == 404


def test_texts_of_others_are_shown_as_they_can_be(shown: Served) -> None:
    listed = shown.ask("runs")
    text = json.dumps(listed, ensure_ascii=False)
    text += json.dumps(shown.ask("compare", picked=[{"run": "hostile", "network": 7}]), ensure_ascii=False)
    assert HOSTILE[0] in text
    assert not set("\x1b\x00\u202e\u2066") & set(text)
    assert max(map(len, text.split('"'))) < 1000


def test_imported_runs_lack_much(tmp_path: Path) -> None:
    commons = tmp_path / "commons"
    with RunWriter.open(commons, "bare", {"name": "bare", "experiment": None, "dataset": None}) as writer:
        writer.record(Network(network=0))
        writer.record(Network(network=1, fitness={'it\'s "odd"; --': 3.0, "other": float("inf")}))
        writer.finish(RunStatus.completed)
    with served(commons, tmp_path / "files") as shown:
        known = {one["name"]: one["networks"] for one in shown.ask("runs")["measures"]}
        assert known['it\'s "odd"; --'] == 1
        found = shown.ask("scatter", **AXES)
        assert (found["count"], found["drawn"], found["front"]) == (2, 0, [])
        assert "2 lack a value" in found["words"][0]
        odd = shown.ask("scatter", x='it\'s "odd"; --', y="network")
        assert odd["drawn"] == 1
        bounded = {"bounds": [{"measure": 'it\'s "odd"; --', "least": 1}]}
        assert shown.ask("networks", filter=bounded)["count"] == 1
        query = shown.ask("query", filter=bounded)["query"]
        assert [row[1] for row in Commons(commons).sql(query).fetchall()] == [1]
        assert shown.ask("compare", picked=[{"run": "bare", "network": 0}])["networks"][0]["facts"] == []
        assert shown.ask("curves")["drawn"] == 0


# whom it answers


def test_only_who_has_the_token_is_answered(shown: Served) -> None:
    with httpx.Client(base_url=shown.address) as stranger:
        for path in ("/", "/api/runs", "/explore.js", "/plotly.js", "/?token=wrong", "/files/x"):
            answer = stranger.get(path)
            assert answer.status_code == 401, path
            assert "a4nn explore printed" in answer.text
        entered = stranger.get(f"/?token={TOKEN}")
        assert (entered.status_code, entered.headers["location"]) == (303, "/")
        assert "HttpOnly" in entered.headers["set-cookie"]
        assert "SameSite=strict" in entered.headers["set-cookie"]
        assert stranger.get("/").status_code == 200  # the client keeps the cookie
        stranger.cookies.clear()
        stranger.cookies.set(f"a4nn-explore-{shown.port}", TOKEN[:-1])
        assert stranger.get("/").status_code == 401


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Host": "evil.example"}, 421),
        ({"Host": "evil.example:80"}, 421),
        ({"Host": "localhost:1"}, 200),
        ({"Host": "[::1]:1"}, 200),
        ({"Host": ""}, 421),
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({"Sec-Fetch-Site": "same-origin"}, 200),
    ],
)
def test_other_names_and_other_sites_are_refused(shown: Served, headers: dict[str, str], status: int) -> None:
    assert shown.client.get("/api/changes", headers=headers).status_code == status


def test_its_own_page_may_ask(shown: Served) -> None:
    answer = shown.client.get("/api/changes", headers={"Origin": shown.address})
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    page = shown.client.get("/")
    assert "script-src 'self';" in page.headers["content-security-policy"]
    assert "unsafe-eval" not in page.headers["content-security-policy"]


# the command


def test_the_command_refuses_in_a_sentence(commons: Path, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = a4nn("explore", "--no-open", "--commons", commons, "--port", str(port))
        assert done.returncode == 2
        assert done.stderr == (
            f"Error: cannot listen on 127.0.0.1, port {port}: Address already in use; "
            "--port 0 takes a free one\n"
        )
    for words, expected in (
        (("--token", "short"), "at least 16 characters"),
        (("--token", "a" * 20 + "&x=1"), "letters, digits"),
        (("--host", "no.such.host.invalid"), "cannot listen on no.such.host.invalid"),
        (("--commons", tmp_path), "is not a commons"),
    ):
        done = a4nn("explore", "--no-open", "--commons", commons, "--port", "0", *words)
        assert (done.returncode, done.stdout) == (2, ""), words
        assert expected in done.stderr
        assert done.stderr.count("\n") == 1


@pytest.mark.slow
@pytest.mark.integration
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_it_is_ended_like_every_command(commons: Path, how: signal.Signals) -> None:
    command = [*A4NN, "explore", "--no-open", "--port", "0", "--commons", str(commons)]
    with subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "A4NN_EXPLORE_TOKEN": TOKEN},
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    ) as process:
        assert process.stdout is not None
        address = process.stdout.readline().strip()
        assert address.endswith(f"/?token={TOKEN}")
        assert process.stderr is not None
        process.stderr.readline()  # said once it is about to listen
        wait_for(lambda: httpx.get(address).status_code == 303)
        process.send_signal(how)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert errors == ""
