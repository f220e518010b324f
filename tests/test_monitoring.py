"""Metrics for Prometheus: what they say, that reading them disturbs nobody, and what is shipped with them."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import threading
import urllib.request
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import promql_parser
import pytest
import yaml
from command import a4nn
from commons_data import HORIZON, fail, header, made_up_run, record, train
from fakes import FakeExecutor, experiment, search
from prometheus_client.parser import text_string_to_metric_families
from test_workflow import Killed

from a4nn_core.commons import Commons, RunFolder, RunWriter
from a4nn_core.commons.compact import compact
from a4nn_core.commons.journal import Journal, Tail, journal_line
from a4nn_core.commons.layout import Damaged
from a4nn_core.commons.lock import KernelLock
from a4nn_core.commons.totals import totals
from a4nn_core.errors import BadInput
from a4nn_core.monitoring import runs as runs_module
from a4nn_core.monitoring.exporter import MOST_KINDS, MOST_RUNS, Exporter, recent_runs
from a4nn_core.monitoring.families import FAMILIES, Samples
from a4nn_core.monitoring.runs import Runs, RunState
from a4nn_core.monitoring.serving import served, text
from a4nn_core.training.segment import Segment, SegmentResult
from a4nn_core.vocabulary import RunStatus
from a4nn_core.workflow.live import look
from a4nn_core.workflow.slots import LOCK_FOLDER, occupancy

ROOT = Path(__file__).parent.parent
SHIPPED = ROOT / "deployments/monitoring"
DAYS = timedelta(days=7)

Values = dict[tuple[str, ...], float]


@pytest.fixture(autouse=True)
def own_locks(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path_factory.mktemp("locks")
    monkeypatch.setenv(LOCK_FOLDER, str(folder))
    return folder


def values(page: bytes) -> dict[str, Values]:
    """Every value by metric and, in the order of their names, the values of its labels."""
    found: dict[str, Values] = {}
    for family in text_string_to_metric_families(page.decode()):
        for sample in family.samples:
            labels = tuple(value for _, value in sorted(sample.labels.items()))
            found.setdefault(sample.name, {})[labels] = sample.value
    return found


def exported(commons: Path, recent: timedelta = DAYS) -> dict[str, Values]:
    return values(text(Exporter(commons, recent)))


# what they say


@pytest.mark.slow
def test_sums_and_runs_are_those_of_the_records(tmp_path: Path) -> None:
    made_up_run(tmp_path, "whole", 8, failed=(3,))
    made_up_run(tmp_path, "killed", 5, finish=False)
    compact(tmp_path)
    found = exported(tmp_path)
    store = Commons(tmp_path)
    both = [totals(store, "whole"), totals(store, "killed")]
    kind = ("unknown", "nsga-net")  # space and strategy; the made-up run records no space
    assert found["a4nn_runs"] == {
        (kind[0], "completed", kind[1]): 1,
        (kind[0], "killed", kind[1]): 1,
    }
    status = {status: value for (_, status, _), value in found["a4nn_networks_total"].items()}
    assert status == {"completed": 4, "stopped": 8, "failed": 1, "equal": 0, "infeasible": 0}
    assert found["a4nn_epochs_trained_total"] == {kind: sum(one.epochs_trained for one in both)}
    saved = sum(one.epochs_saved_by_termination for one in both)
    assert saved > 0
    assert found["a4nn_epochs_saved_total"][("termination", *kind)] == saved
    assert found["a4nn_energy_joules_total"] == {kind: 30.0 * sum(one.epochs_trained for one in both)}
    assert found["a4nn_training_seconds_total"] == {kind: 1.5 * sum(one.epochs_trained for one in both)}
    assert found["a4nn_commons_up"] == {(): 1}
    assert found["a4nn_runs_unreadable"] == {(): 0}
    assert found["a4nn_filesystem_size_bytes"][()] > found["a4nn_filesystem_free_bytes"][()] > 0

    run = both[0]
    assert found["a4nn_run_networks_total"][("whole", "failed")] == 1
    assert found["a4nn_run_epochs_trained_total"][("whole",)] == run.epochs_trained
    assert found["a4nn_run_front_networks"][("whole",)] == run.networks_on_front
    assert run.best_accuracy_percent is not None
    assert run.best_accuracy_se_points is not None
    assert found["a4nn_run_best_accuracy_ratio"][("whole",)] == run.best_accuracy_percent / 100
    error = found["a4nn_run_best_accuracy_standard_error_ratio"][("whole",)]
    assert error == run.best_accuracy_se_points / 100
    ended = store.run("whole").ended
    assert ended is not None
    assert found["a4nn_run_end_timestamp_seconds"] == {("whole",): ended.timestamp()}
    assert found["a4nn_last_epoch_timestamp_seconds"] == {(): ended.timestamp()}
    now = {key: value for key, value in found["a4nn_run_status"].items() if value}
    assert now == {("whole", "completed"): 1, ("killed", "killed"): 1}
    assert len(found["a4nn_run_status"]) == 2 * 6


class Watching:
    """Reads the metrics whenever the loop looks up, and compares them with what the live view finds."""

    def __init__(self, commons: Path) -> None:
        self.commons = commons
        self.runs = Runs(commons)
        self.trained: list[int] = []
        self.states: list[RunState] = []

    def on_start(self, _: object) -> None: ...

    def on_poll(self, one: Any) -> None:
        folder = RunFolder(self.commons, "r").checkpoints(1)
        folder.mkdir(parents=True, exist_ok=True)
        lock = KernelLock(folder / "lock", device="left#0")
        live = look(self.commons, "r")
        (state,) = self.runs.look()
        lock.release()
        assert state.status == "running"
        training = [network for network in live.training if network.where]
        assert (state.training, state.paused) == (len(training), live.paused)
        assert state.waiting == len(live.training) - len(training)
        ended = [network for network in one.networks.values() if network.status != "paused"]
        found = sum(network.epochs_trained or 0 for network in ended)
        going_on = sum(network.epoch for network in live.training) + live.paused_epochs
        assert state.epochs_trained == found + going_on
        assert state.totals.networks == len(ended)
        self.states.append(state)

    def on_network_end(self, search: Any, row: Any) -> None: ...


@pytest.mark.slow
@pytest.mark.parametrize("rule", ["none", "layers"])
def test_a_run_is_followed_as_it_goes_on(rule: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made_up_run(tmp_path, "first", 1)
    shutil.rmtree(tmp_path / "runs/first")
    watching = Watching(tmp_path)
    whole: list[str] = []
    networks = Commons.networks
    monkeypatch.setattr(
        Commons, "networks", lambda self, run, *columns: whole.append(run) or networks(self, run, *columns)
    )
    what = experiment(training={"segment_epochs": 1}, termination={"name": rule})
    if rule == "layers":
        what = experiment(termination={"name": rule})
    search(what, tmp_path, FakeExecutor(one_at_a_time=True), watcher=watching, validation=269)
    trained = [state.epochs_trained for state in watching.states]
    assert trained == sorted(trained)
    assert len(set(trained)) > 10
    assert whole == ["r"], "final records are read once each"
    assert any(state.training for state in watching.states)
    assert any(state.paused for state in watching.states) == (rule == "layers")
    epochs = [state.last_epoch for state in watching.states if state.last_epoch]
    assert epochs == sorted(epochs)
    (after,) = watching.runs.look()
    assert after.status == "completed"
    assert after.epochs_trained == totals(Commons(tmp_path), "r").epochs_trained >= trained[-1]
    assert (after.training, after.waiting, after.paused) == (0, 0, 0)


@pytest.mark.slow
def test_what_a_killed_run_had_trained_is_counted_until_it_goes_on(tmp_path: Path) -> None:
    made_up_run(tmp_path, "other", 1)

    def die(one: Segment) -> SegmentResult | None:
        if one.network == 5 and one.from_epoch == 2:
            raise Killed
        return None

    what = experiment(training={"segment_epochs": 1}, termination={"name": "none"})
    with pytest.raises(Killed):
        search(what, tmp_path, FakeExecutor(die))
    runs = Runs(tmp_path)
    dead = next(state for state in runs.look() if state.run == "r")
    assert dead.status == "killed"
    recorded = totals(Commons(tmp_path), "r").epochs_trained
    journals = sum(
        len(path.read_text().splitlines()) for path in (tmp_path / "runs/r/journals").glob("*.jsonl")
    )
    assert dead.epochs_trained == journals > recorded
    assert (dead.training, dead.waiting) == (0, 0)
    assert dead.last_epoch is not None
    search(what, tmp_path, FakeExecutor())
    after = next(state for state in runs.look() if state.run == "r")
    assert after.status == "completed"
    assert after.epochs_trained == totals(Commons(tmp_path), "r").epochs_trained >= dead.epochs_trained


def test_records_that_are_packed_meanwhile_are_counted(tmp_path: Path) -> None:
    with RunWriter.open(tmp_path, "r", header()) as writer:
        runs = Runs(tmp_path)
        record(writer, 0, 8)
        assert runs.look()[0].totals.networks == 1
        record(writer, 1, 9)
        fail(writer, 2)
        compact(tmp_path)
        record(writer, 3, HORIZON)
        assert runs.look()[0].totals.networks == 4
        assert runs.look()[0].epochs_trained == 8 + 9 + HORIZON
        writer.finish(RunStatus.interrupted)
    assert runs.look()[0].status == "interrupted"


@pytest.mark.slow
def test_runs_that_have_not_changed_are_not_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a", "b"):
        made_up_run(tmp_path, name, 2)
    compact(tmp_path)
    made_up_run(tmp_path, "k", 2, finish=False)
    runs = Runs(tmp_path)
    first = runs.look()
    read: list[Path] = []
    original = runs_module.read_json
    monkeypatch.setattr(runs_module, "read_json", lambda path: read.append(path) or original(path))
    assert runs.look() == first
    assert read == []
    with RunWriter.open(tmp_path, "k", header()) as writer:
        train(writer, 2, 3)
        assert [state.status for state in runs.look()] == ["completed", "completed", "running"]
        assert {path.parent.name for path in read} == {"k"}
    shutil.rmtree(tmp_path / "runs/k")
    made_up_run(tmp_path, "k", 1)  # another run takes its name
    assert [state.totals.networks for state in runs.look()] == [2, 2, 1]
    shutil.rmtree(tmp_path / "runs/k")
    assert [state.run for state in runs.look()] == ["a", "b"]


def test_reading_disturbs_no_writer_and_no_compaction(tmp_path: Path) -> None:
    with RunWriter.open(tmp_path, "r", header()) as writer:
        record(writer, 0, 8)
        exporter = Exporter(tmp_path, DAYS)
        before = sorted(tmp_path.rglob("*"))
        assert values(text(exporter))["a4nn_runs"] == {("unknown", "running", "nsga-net"): 1}
        assert sorted(tmp_path.rglob("*")) == before
        record(writer, 1, 8)
        done = compact(tmp_path)  # nobody holds the lock of readers
        assert (done.networks, done.left) == (2, 0)
        writer.finish(RunStatus.completed)


# text of others, and how much there is


def test_hostile_names_stay_one_value_of_a_label(tmp_path: Path) -> None:
    nasty = 'x"} 1\na4nn_up{b="\\ \x1b[2J \u202e é'
    strange = header(name=nasty, device=nasty * 20)
    strange["experiment"]["search"]["name"] = nasty
    with RunWriter.open(tmp_path, "r", strange) as writer:
        record(writer, 0, 3)
        writer.finish(RunStatus.completed)
    made_up_run(tmp_path, "fine", 1)
    (tmp_path / 'runs/a"b').mkdir()
    (tmp_path / 'runs/a"b/run.json').write_text("{}")
    (tmp_path / "runs/torn").mkdir()
    (tmp_path / "runs/torn/run.json").write_text('{"header": ')
    found = exported(tmp_path)
    assert "a4nn_up" not in found
    assert found["a4nn_runs_unreadable"] == {(): 2}
    assert sum(found["a4nn_runs"].values()) == 2
    assert {labels[3] for labels in found["a4nn_run_info"]} == {"r", "fine"}
    (names,) = [labels for labels in found["a4nn_run_info"] if labels[3] == "r"]
    assert r"x\"} 1\na4nn_up{b=" in json.dumps(names[1]).replace(r"\\n", r"\n")
    assert all(name.isprintable() and len(name) <= 200 for name in names)


def states(count: int) -> list[RunState]:
    """Runs that ended one an hour, the last of them now; each has a strategy of its own."""
    now = datetime.now(UTC)
    some = totals_of_nothing()
    return [
        RunState(
            run=f"run-{number:04d}",
            experiment="x",
            strategy=f"strategy-{number}",
            space="macro",
            host="h",
            device="cpu",
            status="completed",
            started=now - timedelta(hours=count - number),
            ended=now - timedelta(hours=count - number - 1),
            totals=replace(some, networks=1, epochs_trained=2, networks_by_status={"completed": 1}),
            epochs_trained=2,
        )
        for number in range(count)
    ]


def totals_of_nothing() -> Any:
    from a4nn_core.commons.records import Run
    from a4nn_core.commons.totals import Totals

    return Totals.of(Run(run="x", status=RunStatus.completed), [])


def test_however_many_runs_there_are_the_series_stay_few(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made_up_run(tmp_path, "r", 1)
    many = states(400)
    many[3] = replace(many[3], status="running", ended=None)
    monkeypatch.setattr(Runs, "look", lambda _: many)
    found = exported(tmp_path)
    shown = {labels[3] for labels in found["a4nn_run_info"]}
    assert len(shown) == MOST_RUNS
    assert {"run-0003", "run-0399"} <= shown  # what goes on, and the newest
    assert len(exported(tmp_path, timedelta(hours=10))["a4nn_run_info"]) == 11
    assert len(found["a4nn_epochs_trained_total"]) == MOST_KINDS + 1
    assert found["a4nn_epochs_trained_total"][("other", "other")] == 2 * (400 - MOST_KINDS)
    assert sum(found["a4nn_networks_total"].values()) == 400
    monkeypatch.setattr(Runs, "look", lambda _: [*many, *states(401)[400:]])
    again = exported(tmp_path)["a4nn_epochs_trained_total"]
    assert all(again[kind] >= value for kind, value in found["a4nn_epochs_trained_total"].items())
    assert recent_runs([], datetime.now(UTC)) == []


def test_slots_of_devices_come_from_their_locks(own_locks: Path, tmp_path: Path) -> None:
    assert occupancy() == []
    one = KernelLock(own_locks / "GPU-a#0.lock", per_device=2)
    two = KernelLock(own_locks / "GPU-a#1.lock", per_device=2)
    gone = KernelLock(own_locks / "GPU-b#0.lock", per_device=3)
    gone.release()
    (own_locks / "GPU-c#0.lock").write_text("torn")
    made_up_run(tmp_path, "r", 1)
    found = exported(tmp_path)
    assert found["a4nn_device_slots"] == {("GPU-a",): 2, ("GPU-b",): 3, ("GPU-c",): 1}
    assert found["a4nn_device_slots_used"] == {("GPU-a",): 2, ("GPU-b",): 0, ("GPU-c",): 0}
    one.release()
    assert [(at.slots, at.used) for at in occupancy()] == [(2, 1), (3, 0), (1, 0)]
    two.release()


def test_a_journal_is_followed_line_by_line(tmp_path: Path) -> None:
    path = tmp_path / "j.jsonl"
    tail = Tail(path)
    assert tail.read() == []
    with Journal(path) as journal:
        journal.append({"epoch": 1})
        assert tail.read() == [{"epoch": 1}]
        journal.append({"epoch": 2})
        journal.append({"epoch": 3})
    whole = journal_line({"epoch": 4})
    with path.open("ab") as file:
        file.write(whole[:-5])
    assert tail.read() == [{"epoch": 2}, {"epoch": 3}]
    assert tail.read() == []
    with path.open("ab") as file:
        file.write(whole[-5:])
    assert tail.read() == [{"epoch": 4}]
    assert tail.count == 4
    with path.open("ab") as file:
        file.write(b"nonsense\n" + whole)
    with pytest.raises(Damaged, match=r"j\.jsonl line 5 is damaged"):
        tail.read()


# serving


def test_prometheus_is_answered_also_while_the_commons_is_away(tmp_path: Path) -> None:
    commons = tmp_path / "commons"
    made_up_run(commons, "r", 2)
    with served(Exporter(commons, DAYS), "127.0.0.1", 0) as port:
        url = f"http://127.0.0.1:{port}/metrics"
        pages: list[bytes] = []

        def get() -> None:
            with urllib.request.urlopen(url, timeout=60) as answer:
                assert answer.headers["Content-Type"].startswith("text/plain")
                pages.append(answer.read())

        askers = [threading.Thread(target=get) for _ in range(4)]
        for asker in askers:
            asker.start()
        for asker in askers:
            asker.join()
        assert [values(page)["a4nn_run_networks_total"][("r", "completed")] for page in pages] == [1] * 4
        commons.rename(tmp_path / "away")
        get()
        assert values(pages[-1])["a4nn_commons_up"] == {(): 0}
        assert "a4nn_runs" not in values(pages[-1])
        (tmp_path / "away").rename(commons)
        get()
        assert values(pages[-1])["a4nn_commons_up"] == {(): 1}
        taken = f"cannot serve metrics at 127.0.0.1:{port}: Address already in use"
        with pytest.raises(BadInput, match=taken), served(Exporter(commons, DAYS), "127.0.0.1", port):
            pass
    nowhere = r"cannot serve metrics at no\.such\.host\.invalid:0: "
    with pytest.raises(BadInput, match=nowhere), served(Exporter(commons, DAYS), "no.such.host.invalid", 0):
        pass


@pytest.mark.slow
def test_the_command(tmp_path: Path) -> None:
    commons = tmp_path / "commons"
    made_up_run(commons, "r", 2)
    printed = a4nn("metrics", "--commons", commons, "--out", "-")
    assert printed.returncode == 0
    assert values(printed.stdout.encode())["a4nn_commons_up"] == {(): 1}
    file = tmp_path / "a4nn.prom"
    written = a4nn("metrics", "--commons", commons, "--out", file, "--days", "0")
    assert (written.returncode, written.stderr) == (0, "")
    found = values(file.read_bytes())
    assert "a4nn_run_status" not in found
    assert found["a4nn_runs"] == {("unknown", "completed", "nsga-net"): 1}
    assert file.stat().st_mode & 0o004, "node_exporter is another user"
    for arguments, sentence in (
        (("--commons", tmp_path / "nowhere"), "is not a commons: there is no such folder"),
        (("--commons", commons, "--out", tmp_path / "a.txt"), "does not end in .prom"),
        (("--commons", commons, "--out", tmp_path / "no/a.prom"), "No such file or directory"),
        (("--commons", commons, "--port", "70000"), "Invalid value for '--port'"),
    ):
        done = a4nn("metrics", *arguments)
        assert done.returncode == 2, arguments
        assert sentence in done.stderr
        assert "Traceback" not in done.stderr


# what is shipped


def metrics_in(expression: str) -> Iterator[tuple[str, set[str]]]:
    """The metrics of an expression of PromQL, with the labels that are asked for."""
    for name, value in (("$__rate_interval", "5m"), ("$instance", ".*"), ("$run", ".*")):
        expression = expression.replace(name, value)
    promql_parser.parse(expression)  # raises if Prometheus would not take it
    for name, matchers in re.findall(r"\b(a4nn_\w+|up)\b(?:\{([^}]*)\})?", expression):
        yield name, set(re.findall(r"(\w+)\s*[=!]", matchers))


def check_expression(expression: str) -> set[str]:
    known = {family.name: {*family.labels, "instance", "job"} for family in FAMILIES} | {"up": {"job"}}
    used = dict(metrics_in(expression))
    assert used, expression
    for name, labels in used.items():
        assert name in known, expression
        assert labels <= known[name], expression
    return set(used)


def dashboard() -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((SHIPPED / "grafana.json").read_text())
    return loaded


def test_the_dashboard_asks_for_what_is_exported() -> None:
    board = dashboard()
    variables = {one["name"]: one for one in board["templating"]["list"]}
    assert set(variables) == {"datasource", "instance", "run"}
    names = {family.name for family in FAMILIES}
    for name in ("instance", "run"):
        asked = re.fullmatch(r"label_values\((a4nn_\w+)(?:\{.*\})?, (\w+)\)", variables[name]["definition"])
        assert asked
        assert asked[1] in names
        assert asked[2] == name
    used: set[str] = set()
    taken: set[tuple[int, int]] = set()
    for panel in board["panels"]:
        assert panel["title"]
        assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken, f"{panel['title']} covers another panel"
        assert place["x"] + place["w"] <= 24
        taken |= cells
        for target in panel["targets"]:
            assert "$instance" in target["expr"], "one commons can be chosen"
            used |= check_expression(target["expr"])
    assert len({panel["id"] for panel in board["panels"]}) == len(board["panels"])
    # what is there to be looked at is shown somewhere
    unseen = {"a4nn_build_info", "a4nn_commons_up", "a4nn_training_seconds_total"}
    unseen |= {"a4nn_run_energy_joules_total", "a4nn_run_queue_networks", "a4nn_run_info"}
    unseen |= {"a4nn_run_start_timestamp_seconds", "a4nn_run_end_timestamp_seconds"}
    assert names - used == unseen


def rules() -> list[dict[str, Any]]:
    (group,) = yaml.safe_load((SHIPPED / "alerts.yml").read_text())["groups"]
    found: list[dict[str, Any]] = group["rules"]
    return found


def test_alerts_ask_for_what_is_exported_and_are_explained() -> None:
    page = (ROOT / "docs/operations.md").read_text()
    for rule in rules():
        assert check_expression(rule["expr"])
        assert set(rule["annotations"]) == {"summary", "description"}
        assert rule["labels"]["severity"] in ("warning", "critical")
        assert f"| `{rule['alert']}` |" in page
    tested = {
        one["alertname"]
        for test in yaml.safe_load((SHIPPED / "alerts_test.yml").read_text())["tests"]
        for one in test["alert_rule_test"]
        if one.get("exp_alerts")
    }
    assert tested == {rule["alert"] for rule in rules()}
    config = yaml.safe_load((SHIPPED / "prometheus.yml").read_text())
    (job,) = config["scrape_configs"]
    assert job["job_name"] == "a4nn"
    assert 'job="a4nn"' in rules()[0]["expr"]
    assert job["static_configs"] == [{"targets": ["127.0.0.1:9464"]}]
    assert [(SHIPPED / name).exists() for name in config["rule_files"]] == [True]


def test_expressions_that_are_wrong_are_found() -> None:
    with pytest.raises(ValueError):
        check_expression("sum by (run (a4nn_runs)")
    with pytest.raises(AssertionError):
        check_expression("a4nn_epochs")
    with pytest.raises(AssertionError):
        check_expression('a4nn_runs{run="x"}')


@pytest.mark.slow
def test_promtool_takes_all_of_it(tmp_path: Path) -> None:
    promtool = shutil.which("promtool")
    if not promtool:
        pytest.skip("promtool (of Prometheus) is not installed")
    made_up_run(tmp_path, "r", 2)

    def ask(*words: str, given: bytes = b"") -> None:
        done = subprocess.run([promtool, *words], cwd=SHIPPED, input=given, capture_output=True)
        assert done.returncode == 0, done.stdout + done.stderr

    ask("check", "config", "prometheus.yml")
    ask("test", "rules", "alerts_test.yml")
    ask("check", "metrics", given=text(Exporter(tmp_path, DAYS)))


def test_the_page_lists_every_metric() -> None:
    page = (ROOT / "docs/operations.md").read_text()
    listed = re.findall(r"^\| `(a4nn_\w+)(?:\{([\w, ]+)\})?` \|", page, re.MULTILINE)
    assert listed == [(family.name, ", ".join(family.labels)) for family in FAMILIES]


def test_names_follow_the_conventions() -> None:
    for family in FAMILIES:
        assert re.fullmatch(r"a4nn_[a-z_]+", family.name)
        assert not re.search(r"_(percent|milliseconds|minutes|hours|kwh|megabytes)", family.name)
        assert family.help[0].islower() or family.help[0] == "1"
    assert len({family.name for family in FAMILIES}) == len(FAMILIES)
    samples = Samples()
    samples.add(FAMILIES[0], None, "x")
    assert list(samples) == []
