"""Building a deposit, what is in it, and back."""

from __future__ import annotations

import csv
import json
import re
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import pyarrow.parquet as pq
import pytest
import requests
import rocrate
from command import a4nn
from commons_data import made_up_run
from dataverse_server import TOKEN, StandIn
from deposits import METADATA, made_up_deposit, metadata, weighted_run
from rocrate.rocrate import ROCrate

from a4nn_core.commons import Commons
from a4nn_core.commons.check import check
from a4nn_core.commons.compact import compact
from a4nn_core.errors import BadInput
from a4nn_core.interchange.deposit_tables import csv_columns, gather
from a4nn_core.interchange.ingest import csv_unf
from a4nn_core.interchange.unf import combine
from a4nn_core.precision import standard_error
from a4nn_core.publish.dataverse.client import Dataverse
from a4nn_core.publish.dataverse.download import as_persistent_id
from a4nn_core.publish.dataverse.upload import upload
from a4nn_core.publish.deposit.build import Settings, build
from a4nn_core.publish.deposit.dataverse_json import check_dataverse_json
from a4nn_core.publish.deposit.files import paths_in, verify, write_manifest
from a4nn_core.publish.deposit.restore import restore


@pytest.fixture
def weighted(tmp_path: Path) -> Path:
    """A commons with a made-up run of six networks whose checkpoints are files."""
    weighted_run(tmp_path / "commons")
    return tmp_path / "commons"


def names(commons: Path) -> dict[int, str]:
    """Path of the checkpoint of each network."""
    return {n.network: n.checkpoint or "" for n in Commons(commons).networks("made-up")}


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("built")
    made_up_deposit(folder)
    return folder


def same_tables(one: Path, two: Path, run: str = "made-up", other: str = "made-up") -> None:
    first, second = gather(one, [run]), gather(two, [other])
    assert set(first) == set(second)
    assert len(first) == 11
    for name, rows in first.items():
        assert rows.num_rows > 0 or name in ("lineage", "considered", "rejected"), name
        assert rows.equals(second[name]), name


@pytest.mark.slow
def test_the_files(built: Path) -> None:
    deposit = built / "deposit"
    paths = paths_in(deposit)
    assert {
        *("README.md", "LICENSE", "CITATION.cff", "codemeta.json", "croissant.json", "dataverse.json"),
        *("ro-crate-metadata.json", "deposit.json", "figures/made-up-front.png"),
        *(f"tables/{name}.csv" for name in ("runs", "networks", "epochs", "lineage")),
        *(f"data/{name}.parquet" for name in gather(built / "commons", ["made-up"])),
    } == set(paths)
    # names that Dataverse takes
    assert all(re.fullmatch(r"([A-Za-z0-9_-]+/)?[A-Za-z0-9._-]+", path) for path in paths)
    assert set(verify(deposit)) == set(paths)
    listed = subprocess.run(
        ["sha256sum", "--check", "--quiet", "MANIFEST.sha256"], cwd=deposit, capture_output=True, check=False
    )
    assert listed.returncode == 0
    assert (deposit / "figures/made-up-front.png").read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    assert check_dataverse_json(json.loads((deposit / "dataverse.json").read_text())) == []
    assert [p for p in built.iterdir() if p.name.startswith(".")] == []


@pytest.mark.slow
def test_the_same_bytes_again_also_from_a_compacted_commons(built: Path, tmp_path: Path) -> None:
    commons = tmp_path / "commons"
    shutil.copytree(built / "commons", commons)
    compact(commons)
    settings = Settings(weights="none", models="none")
    build(commons, ["made-up"], tmp_path / "again", metadata(), settings)
    first, second = ((f / "MANIFEST.sha256").read_text() for f in (built / "deposit", tmp_path / "again"))
    assert first == second
    build(commons, ["made-up"], tmp_path / "other", metadata(title="Another"), settings)
    assert (tmp_path / "other/MANIFEST.sha256").read_text() != first
    changed = verify(tmp_path / "other").items() - verify(built / "deposit").items()
    assert {path.split("/")[0] for path, _ in changed} & {"data", "tables", "figures"} == set()


def test_tables_in_parquet_and_csv(built: Path) -> None:
    deposit = built / "deposit"
    expected = gather(built / "commons", ["made-up"])
    for name, rows in expected.items():
        assert pq.read_table(deposit / f"data/{name}.parquet").cast(rows.schema).equals(rows), name
    record = json.loads((deposit / "deposit.json").read_text())
    assert record["tables"]["networks"]["rows"] == 8
    unfs = {t["csv"]: t["unf"] for t in record["tables"].values() if t["csv"]}
    assert {path: csv_unf(deposit / path) for path in unfs} == unfs
    assert record["unf"] == combine(list(unfs.values()))
    with (deposit / "tables/networks.csv").open(newline="") as file:
        table = list(csv.DictReader(file))
    from a4nn_core.commons.schema import TABLES

    assert list(table[0]) == [c.name for c in csv_columns(TABLES["networks"])]
    for row, cells in zip(expected["networks"].to_pylist(), table, strict=True):
        assert float(cells["best_accuracy_percent"]) == row["best_accuracy_percent"]
        assert int(cells["flops"]) == row["flops"]
        assert cells["genome"] == row["genome"]
        assert cells["equal_to"] == ""


def test_the_readme_says_how_and_it_works(built: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    deposit = built / "deposit"
    text = (deposit / "README.md").read_text()
    for path in paths_in(deposit):
        if path not in ("README.md", "croissant.json", "ro-crate-metadata.json"):
            assert f"`{path}`" in text, path
    assert "| `flops` | int64 | multiply-adds | cost of one image |" in text
    assert "± is one standard error" in text
    for n in Commons(built / "commons").front("made-up"):
        # the made-up run has 50 images in either part
        best, test = (
            f"{accuracy:.2f} ± {standard_error(accuracy, 50):.2f}"
            for accuracy in (n.best_accuracy_percent, n.test_accuracy_percent)
        )
        assert re.search(rf"\| made-up \| {n.network} \| {best} \| (-|\d+) \| {test} \| ", text)
    monkeypatch.chdir(deposit)
    code = dict(re.findall(r"```(\w+)\n(.*?)```", text, re.DOTALL))
    space: dict[str, Any] = {}
    exec(code["python"], space)
    assert isinstance(space["curves"], pd.DataFrame)
    assert space["curves"].shape == (25, 8)
    assert duckdb.sql(code["sql"]).fetchall()


@pytest.mark.slow
def test_croissant_is_valid_and_loads(built: Path) -> None:
    import mlcroissant  # which takes as long as many a test

    dataset = mlcroissant.Dataset(jsonld=str(built / "deposit/croissant.json"))
    assert dataset.metadata.ctx.issues.errors == set()
    assert dataset.metadata.ctx.issues.warnings == set()
    assert str(dataset.metadata.ctx.conforms_to.value).endswith("croissant/1.1")
    records = list(dataset.records("epochs"))
    assert len(records) == len(Commons(built / "commons").epochs("made-up"))
    assert records[0]["epochs/run"] == b"made-up"
    files = {f["name"]: f for f in json.loads((built / "deposit/croissant.json").read_text())["distribution"]}
    manifest = verify(built / "deposit")
    assert all(manifest[name] == f["sha256"] for name, f in files.items())


@pytest.mark.slow
def test_ro_crate_is_valid(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from rocrate_validator import services
    from rocrate_validator.models import Severity

    # the crate's JSON-LD context, as the package rocrate ships it, instead of from the network
    context = (Path(rocrate.__file__).parent / "data/ro-crate.jsonld").read_bytes()

    def answer(_self: object, _method: str, url: str, *_: Any, **__: Any) -> requests.Response:
        response = requests.Response()
        response.status_code, response._content, response.url = 200, context, url
        response.headers["Content-Type"] = "application/ld+json"
        assert url == "https://w3id.org/ro/crate/1.1/context"
        return response

    monkeypatch.setattr(requests.Session, "request", answer)
    deposit = tmp_path / "deposit"
    made_up_run(tmp_path / "commons", "second", failed=(2,))
    authors = [{"name": "Carberry, Josiah", "orcid": "0000-0002-1825-0097", "affiliation": "Brown"}]
    build(
        tmp_path / "commons",
        ["second"],
        deposit,
        metadata(authors=authors),
        Settings(weights="none", models="none"),
    )

    def issues() -> list[str]:
        # the profile takes in what RO-Crate 1.1 itself demands and recommends
        result = services.validate(
            {
                "rocrate_uri": str(deposit),
                "profile_identifier": "process-run-crate-0.5",
                "requirement_severity": Severity.RECOMMENDED,
                "no_cache": True,
                "abort_on_first": False,
            }
        )
        return [str(i.message) for i in result.get_issues()]

    # an affiliation's address is nothing the metadata file asks for
    assert set(issues()) <= {"The organization SHOULD have a URL."}
    crate = json.loads((deposit / "ro-crate-metadata.json").read_text())["@graph"]
    actions = [e for e in crate if e["@type"] == "CreateAction"]
    assert len(actions) == 1 + 8
    # ended early is completed; only what went wrong failed
    assert [a["error"] for a in actions if "Failed" in a["actionStatus"]] == ["out of memory"]
    assert ROCrate(deposit).root_dataset["name"] == metadata().title
    # and the validator does find what is wrong
    root = next(e for e in crate if e["@id"] == "./")
    del root["datePublished"], actions[0]["instrument"]
    (deposit / "ro-crate-metadata.json").write_text(
        json.dumps({"@context": "https://w3id.org/ro/crate/1.1/context", "@graph": crate})
    )
    assert [text for text in issues() if "MUST" in text and "datePublished" in text]
    assert [text for text in issues() if "instrument" in text]


@pytest.mark.slow
def test_round_trip(built: Path, tmp_path: Path) -> None:
    done = restore(built / "deposit", tmp_path / "back")
    assert done.added == {"made-up": "made-up"}
    same_tables(built / "commons", tmp_path / "back")
    again = restore(built / "deposit", tmp_path / "back")
    assert (again.added, again.present) == ({}, ["made-up"])
    assert [p.name for p in tmp_path.iterdir()] == ["back"]
    # the import can be published to the same bytes
    build(
        tmp_path / "back",
        ["made-up"],
        tmp_path / "again",
        metadata(),
        Settings(weights="none", models="none"),
    )
    assert verify(tmp_path / "again") == verify(built / "deposit")
    logs = [(tmp_path / c / "runs/made-up/events.jsonl").read_bytes() for c in (built / "commons", "back")]
    assert logs[0] == logs[1]  # with a checksum in every line
    found = check(tmp_path / "back")
    assert found.problems == []
    assert any("were not in the deposit" in note for note in found.notes)


def test_an_id_that_is_taken(built: Path, tmp_path: Path) -> None:
    made_up_run(tmp_path / "back", networks=2)
    done = restore(built / "deposit", tmp_path / "back")
    assert done.added == {"made-up": "made-up-2"}
    assert len(Commons(tmp_path / "back").networks("made-up-2")) == 8


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ("alter", r"tables/runs.csv has SHA-256 [0-9a-f]{64}, not [0-9a-f]{64}"),
        ("remove", "data/epochs.parquet is missing"),
        ("add", "extra.txt is not in MANIFEST.sha256"),
        ("no manifest", "is not an A4NN deposit: it has no readable MANIFEST.sha256"),
        ("bad manifest", "MANIFEST.sha256 line 1 is damaged"),
        ("leads out", r"line 1 is damaged: '0+  \.\./x'"),
        ("newer", "has format 99; this a4nn knows formats up to 1"),
        ("no folder", "there is no folder"),
    ],
)
def test_a_deposit_that_was_altered(built: Path, tmp_path: Path, change: str, sentence: str) -> None:
    deposit = tmp_path / "deposit"
    shutil.copytree(built / "deposit", deposit)
    match change:
        case "alter":
            (deposit / "tables/runs.csv").write_text("x")
        case "remove":
            (deposit / "data/epochs.parquet").unlink()
        case "add":
            (deposit / "extra.txt").write_text("x")
        case "no manifest":
            (deposit / "MANIFEST.sha256").unlink()
        case "bad manifest":
            (deposit / "MANIFEST.sha256").write_text("x\n")
        case "leads out":
            (deposit / "MANIFEST.sha256").write_text(f"{'0' * 64}  ../x\n")
        case "newer":
            (deposit / "deposit.json").write_text('{"format": 99}')
            write_manifest(deposit)
        case _:
            shutil.rmtree(deposit)
    with pytest.raises(BadInput, match=sentence):
        restore(deposit, tmp_path / "back")
    assert not (tmp_path / "back").exists()


@pytest.mark.slow
@pytest.mark.parametrize("policy", ["front", "best"])
def test_weights_come_back_byte_for_byte(weighted: Path, tmp_path: Path, policy: Any) -> None:
    settings = Settings(weights=policy, models="none", archive_bytes=20_000)
    build(weighted, ["made-up"], tmp_path / "deposit", metadata(), settings)
    build(weighted, ["made-up"], tmp_path / "again", metadata(), settings)
    assert verify(tmp_path / "deposit") == verify(tmp_path / "again")
    archives = sorted((tmp_path / "deposit/weights").glob("*.tar"))
    front = [n.network for n in Commons(weighted).front("made-up")]
    wanted = sorted(front) if policy == "front" else list(range(6))
    members = {}
    for archive in archives:
        with tarfile.open(archive) as tar:
            for entry in tar:
                assert (entry.mtime, entry.uid, entry.uname) == (0, 0, "")
                members[entry.name] = tar.extractfile(entry).read()  # type: ignore[union-attr]
            assert sum(-(-e.size // 512) * 512 + 512 for e in tar.getmembers()) <= 20_000
    assert set(members) == {names(weighted)[n] for n in wanted}
    assert all((weighted / name).read_bytes() == data for name, data in members.items())
    assert len(archives) == -(-len(wanted) // 2)
    restore(tmp_path / "deposit", tmp_path / "back")
    same_tables(weighted, tmp_path / "back")
    for name, data in members.items():
        assert (tmp_path / "back" / name).read_bytes() == data
    found = check(tmp_path / "back")
    assert found.problems == []
    assert bool(found.notes) == (policy == "front" and len(front) < 6)


def test_missing_and_damaged_weights_are_named(weighted: Path, tmp_path: Path) -> None:
    (weighted / names(weighted)[1]).unlink()
    (weighted / names(weighted)[4]).write_bytes(b"other")
    with pytest.raises(BadInput) as caught:
        build(weighted, ["made-up"], tmp_path / "deposit", metadata(), Settings("best", "none"))
    assert f"{names(weighted)[1]} is missing" in str(caught.value)
    assert f"{names(weighted)[4]} is damaged: its SHA-256 differs from the recorded one" in str(caught.value)
    assert "--weights none" in str(caught.value)
    assert [p.name for p in tmp_path.iterdir()] == ["commons"]


@pytest.mark.slow
def test_an_archive_that_leads_elsewhere(weighted: Path, tmp_path: Path) -> None:
    deposit = tmp_path / "deposit"
    build(weighted, ["made-up"], deposit, metadata(), Settings("front", "none"))
    (archive,) = (deposit / "weights").glob("*.tar")
    for name in (
        "../../evil",
        "/tmp/evil",
        "runs/made-up/run.json",
        "runs/../checkpoints/0/x",
        "runs/o/checkpoints/0/x",
    ):
        with tarfile.open(archive, "w") as tar:
            tar.addfile(tarfile.TarInfo(name))
        write_manifest(deposit)
        with pytest.raises(
            BadInput, match=r"which is not a checkpoint of a run|belongs to no run of this deposit"
        ):
            restore(deposit, tmp_path / "back")
        assert not (tmp_path / "back").exists()


@pytest.mark.slow
def test_unfinished_runs_only_when_asked_for(tmp_path: Path) -> None:
    commons = tmp_path / "commons"
    made_up_run(commons, "open", networks=4, finish=False)
    made_up_run(commons, "done", networks=4)
    settings = Settings(weights="none", models="none")
    with pytest.raises(BadInput, match=r"not completed: open \(running\); finish them with `a4nn run`"):
        build(commons, ["open", "done"], tmp_path / "deposit", metadata(), settings)
    assert not (tmp_path / "deposit").exists()
    unfinished = Settings(weights="none", models="none", unfinished=True)
    made = build(commons, ["open", "done"], tmp_path / "deposit", metadata(), unfinished)
    assert any("run open was not finished" in remark for remark in made.remarks)
    assert "**Note:** run open was not finished" in (tmp_path / "deposit/README.md").read_text()
    restore(tmp_path / "deposit", tmp_path / "back")
    for run in ("open", "done"):
        same_tables(commons, tmp_path / "back", run, run)


@pytest.mark.slow
def test_failed_networks_and_runs_without_weights(tmp_path: Path) -> None:
    made_up_run(tmp_path / "commons", failed=(1, 5))
    made = build(
        tmp_path / "commons", ["made-up"], tmp_path / "deposit", metadata(), Settings("best", "none")
    )
    assert any("no weights were ever recorded for 6 of" in remark for remark in made.remarks)
    restore(tmp_path / "deposit", tmp_path / "back")
    same_tables(tmp_path / "commons", tmp_path / "back")


@pytest.mark.slow
@pytest.mark.golden
def test_the_published_runs_go_round(reference_data: Path, tmp_path: Path) -> None:
    from a4nn_core.cli.importing import macro_127
    from a4nn_core.interchange.icpp23 import icpp23_run, import_icpp23

    table = next(reference_data.glob("icpp23/1gpu/early_termination/*1e15*.csv"))
    import_icpp23(table, tmp_path / "commons", macro_127)
    run = icpp23_run(table)
    settings = Settings(weights="none", models="none")
    made = build(tmp_path / "commons", [run], tmp_path / "deposit", metadata(), settings)
    assert made.files < 40  # the published deposit has 72,900
    lines = (tmp_path / "deposit/data/architectures.jsonl").read_text().splitlines()
    assert len(lines) == 100
    restore(tmp_path / "deposit", tmp_path / "back")
    first, second = (gather(tmp_path / c, [run]) for c in ("commons", "back"))
    assert all(first[name].equals(second[name]) for name in first)


@pytest.fixture
def server() -> Iterator[StandIn]:
    standin = StandIn()
    yield standin
    standin.close()


@pytest.mark.slow
@pytest.mark.parametrize("redirect", [False, True])
def test_back_by_its_doi(built: Path, tmp_path: Path, server: StandIn, redirect: bool) -> None:
    shutil.copytree(built / "deposit", tmp_path / "deposit")
    with Dataverse(server.url, TOKEN, sleep=lambda _: None) as api:
        name = str(upload(tmp_path / "deposit", api, "lab", publish="major").persistent_id)
    server.state.redirect_downloads = redirect
    # a stranger, without a token
    words = ["import", "deposit", name, "--server", server.url, "--commons", tmp_path / "back", "--json"]
    done = a4nn(*words)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {"added": {"made-up": "made-up"}, "present": []}
    same_tables(built / "commons", tmp_path / "back")
    assert server.state.leaked == []
    assert sorted(p.name for p in tmp_path.iterdir()) == ["back", "deposit", "deposit.upload.json"]
    damaged = next(f for f in server.state.files.values() if f["name"] == "LICENSE")
    damaged["content"] = b"changed"
    refused = a4nn(*words[:-2], tmp_path / "back2")
    assert refused.returncode == 2
    assert "LICENSE has SHA-256" in refused.stderr


def test_dois() -> None:
    for text in ("doi:10.5072/FK2/1", "https://doi.org/10.5072/FK2/1", "10.5072/FK2/1"):
        assert as_persistent_id(text) == "doi:10.5072/FK2/1"
    assert as_persistent_id("deposit") is None


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["publish", "nosuch"], "has no run 'nosuch'; runs there: made-up"),
        (
            ["publish", "made-up", "--weights", "some"],
            "--weights 'some' is not one of none, front, best",
        ),
        (["publish", "made-up", "--metadata", "none.toml"], "metadata file none.toml cannot be read"),
        (
            ["publish", "made-up"],
            "there is no metadata file deposit.toml: start from `a4nn publish --example",
        ),
    ],
)
def test_bad_commands(built: Path, tmp_path: Path, words: list[str], sentence: str) -> None:
    if "nosuch" in words or "some" in words:
        (tmp_path / "deposit.toml").write_text(METADATA, encoding="utf-8")
    done = a4nn(*words, "--out", "out", "--commons", built / "commons", cwd=tmp_path)
    assert done.returncode == 2
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "out").exists()


def test_a_place_that_is_taken(built: Path, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="it exists already"):
        build(built / "commons", ["made-up"], tmp_path, metadata(), Settings("none", "none"))


@pytest.mark.slow
def test_a_killed_build_leaves_no_deposit(built: Path, tmp_path: Path) -> None:
    """Killed at the moment of the rename, the folder has another name; the next build is not in its way."""
    (tmp_path / "deposit.toml").write_text(METADATA, encoding="utf-8")
    code = (
        "import os, pathlib, sys\n"
        "from a4nn_core.cli import main\n"
        "pathlib.Path.rename = lambda *_: os.kill(os.getpid(), 9)\n"
        f"sys.argv = ['a4nn', 'publish', 'made-up', '--out', 'out', '--commons', {str(built / 'commons')!r}, "
        "'--weights', 'none', '--models', 'none']\nmain()\n"
    )
    killed = subprocess.run(
        [sys.executable, "-P", "-c", code], cwd=tmp_path, capture_output=True, check=False
    )
    assert killed.returncode == -9
    assert not (tmp_path / "out").exists()
    words = ["publish", "made-up", "--out", "out", "--commons", str(built / "commons")]
    done = a4nn(*words, "--weights", "none", "--models", "none", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert verify(tmp_path / "out") == verify(built / "deposit")
