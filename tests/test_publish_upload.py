"""Uploading a deposit to a stand-in for Dataverse, with everything that can go wrong on the way."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from command import A4NN
from dataverse_server import TOKEN, Fault, StandIn
from deposits import made_up_deposit

from a4nn_core.errors import A4NNError, BadInput
from a4nn_core.publish.dataverse.client import Dataverse, token_from_environment
from a4nn_core.publish.dataverse.upload import Uploaded, upload
from a4nn_core.publish.deposit.dataverse_json import citation_fields
from a4nn_core.publish.deposit.files import paths_in, write_manifest

DOI = "doi:10.5072/FK2/000001"


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("built")
    made_up_deposit(folder)
    return folder / "deposit"


@pytest.fixture
def deposit(built: Path, tmp_path: Path) -> Path:
    shutil.copytree(built, tmp_path / "deposit")
    return tmp_path / "deposit"


@pytest.fixture
def server() -> Iterator[StandIn]:
    standin = StandIn()
    yield standin
    standin.close()


def send(deposit: Path, server: StandIn, token: str | None = TOKEN, **options: Any) -> Uploaded:
    with Dataverse(server.url, token, sleep=lambda _: None) as api:
        return upload(deposit, api, options.pop("alias", "lab"), **options)


def content(deposit: Path) -> dict[str, bytes]:
    return {path: (deposit / path).read_bytes() for path in [*paths_in(deposit), "MANIFEST.sha256"]}


def assert_whole(deposit: Path, server: StandIn) -> None:
    """One data set, with exactly the deposit in it, a draft, and no token left anywhere."""
    assert list(server.state.datasets) == [DOI]
    assert server.holds(DOI) == content(deposit)
    assert server.state.datasets[DOI]["state"] == "DRAFT"
    assert server.state.leaked == []
    state = deposit.with_name("deposit.upload.json").read_text()
    assert TOKEN not in state


@pytest.mark.slow
def test_a_draft_is_created_and_nothing_published(deposit: Path, server: StandIn) -> None:
    seen: dict[str, int] = {}
    done = send(deposit, server, progress=lambda path, sent, size: seen.update({path: sent * 100 // size}))
    assert_whole(deposit, server)
    assert (done.persistent_id, done.created, done.published) == (DOI, True, False)
    assert sorted(done.plan.add) == sorted(content(deposit))
    assert set(seen) == set(content(deposit))
    assert set(seen.values()) == {100}
    files = {f["name"]: f for f in server.state.files.values()}
    # only the few tables are ingested, each by itself, and their fingerprints are those in the deposit
    record = json.loads((deposit / "deposit.json").read_text())
    unfs = {t["csv"]: t["unf"] for t in record["tables"].values() if t["csv"]}
    assert len(unfs) == 4
    assert {f"tables/{f['original']}": f["unf"] for f in files.values() if "unf" in f} == unfs
    assert server.state.collisions == 0
    assert done.not_ingested == []
    assert files["epochs.parquet"]["type"] == "application/vnd.apache.parquet"
    assert all(f["categories"] == ["A4NN"] for f in files.values())


@pytest.mark.slow
def test_again_changes_nothing(deposit: Path, server: StandIn) -> None:
    send(deposit, server)
    before = len(server.state.files)
    again = send(deposit, server)
    assert (again.created, again.metadata_changed) == (False, False)
    assert (again.plan.add, again.plan.replace, again.plan.delete) == ([], {}, [])
    assert len(server.state.files) == before
    assert_whole(deposit, server)


def test_a_dry_run_sends_nothing(deposit: Path, server: StandIn) -> None:
    done = send(deposit, server, dry_run=True)
    assert done.dry
    assert sorted(done.plan.add) == sorted(content(deposit))
    assert server.state.datasets == {}
    assert {method for method, _ in server.state.requests} == {"GET"}
    assert not deposit.with_name("deposit.upload.json").exists()


@pytest.mark.parametrize(
    ("direct", "checksum"),
    [("single", "MD5"), ("parts", "SHA-1"), ("single", "SHA-256"), ("parts", "SHA-512")],
)
def test_past_the_server_into_its_store(deposit: Path, server: StandIn, direct: str, checksum: str) -> None:
    server.state.direct, server.state.checksum = direct, checksum
    send(deposit, server)
    assert_whole(deposit, server)
    assert not [path for _, path in server.state.requests if path.endswith("/add")]


CREATE, ADD, LOCKS = r"/dataverses/lab/datasets", r"persistentId/add$", r"/locks"
FILES, FIELDS = r"/versions/:latest/files", r"/metadatablocks/citation"


@pytest.mark.parametrize(
    ("method", "path", "how", "first"),
    [
        *[("POST", CREATE, how, 0) for how in ("lost-before", "lost-after", "done-500", "html", 500, 503)],
        *[("POST", ADD, how, 0) for how in ("lost-before", "lost-after", "done-500", "html")],
        *[("POST", ADD, how, 3) for how in ("lost-before", "lost-after", "done-500", "html")],
        *[("POST", ADD, how, 5) for how in (409, 429, 500, 502, 503, 504)],
        *[("GET", LOCKS, how, 0) for how in (500, "lost-before", "lost-after", "html")],
        *[("GET", LOCKS, how, 9) for how in (503, "lost-after")],
        *[("GET", FILES, how, 0) for how in (503, "lost-after")],
        *[("GET", FIELDS, how, 0) for how in (500, "lost-before")],
    ],
)
def test_what_passes_by_is_got_over(
    deposit: Path, server: StandIn, method: str, path: str, how: int | str, first: int
) -> None:
    fault = Fault(method, path, how, times=2, first=first)
    server.state.faults = [fault]
    send(deposit, server)
    assert_whole(deposit, server)
    assert fault.seen > first
    assert server.state.collisions == 0


@pytest.mark.parametrize("how", ["lost-before", "lost-after", "done-500", 409, 500])
def test_faults_while_tables_are_sent(deposit: Path, server: StandIn, how: int | str) -> None:
    plain = len(content(deposit)) - 4
    server.state.faults = [Fault("POST", r"persistentId/add$", how, times=1, first=plain + 1)]
    server.state.ingest_polls = 7
    send(deposit, server)
    assert_whole(deposit, server)
    assert sum("unf" in f for f in server.state.files.values()) == 4


@pytest.mark.slow
@pytest.mark.parametrize(
    ("method", "path", "how"),
    [
        *[("GET", r"/uploadurls", how) for how in (500, "lost-after")],
        *[("PUT", r"/store/", how) for how in (500, 503, "lost-before", "lost-after")],
        *[("POST", r"/addFiles", how) for how in (500, "lost-before", "lost-after", "done-500")],
    ],
)
def test_faults_on_the_way_into_the_store(
    deposit: Path, server: StandIn, method: str, path: str, how: int | str
) -> None:
    server.state.direct = "single"
    server.state.faults = [Fault(method, path, how, times=2, first=2)]
    send(deposit, server)
    assert_whole(deposit, server)


@pytest.mark.parametrize(("after", "direct"), [(0, ""), (5, "single"), (12, ""), (17, "single"), (21, "")])
def test_an_interrupted_upload_goes_on(deposit: Path, server: StandIn, after: int, direct: str) -> None:
    server.state.direct = direct
    server.state.faults = [
        Fault("POST", r"persistentId/add(Files)?$", "lost-before", times=10**6, first=after)
    ]
    with pytest.raises(A4NNError) as caught:
        send(deposit, server)
    assert "to go on, run the same command again" in str(caught.value)
    assert DOI in str(caught.value)
    server.state.faults = []
    send(deposit, server)
    assert_whole(deposit, server)


def test_killed_between_asking_for_a_data_set_and_hearing_of_it(deposit: Path, server: StandIn) -> None:
    server.state.faults = [
        Fault("POST", r"/dataverses/lab/datasets", "lost-after", times=10**6),
        Fault("GET", r"/contents", 500, times=10**6),
    ]
    with pytest.raises(A4NNError, match=r"did not answer /api/dataverses/lab/contents"):
        send(deposit, server)
    assert list(server.state.datasets) == [DOI]
    server.state.faults = []
    send(deposit, server)
    assert_whole(deposit, server)


def test_what_was_put_into_the_store_is_not_put_there_again(deposit: Path, server: StandIn) -> None:
    server.state.direct = "single"
    server.state.faults = [Fault("POST", r"/addFiles", 500, times=10**6)]
    with pytest.raises(A4NNError):
        send(deposit, server)
    puts = len([1 for method, _ in server.state.requests if method == "PUT"])
    assert puts == 1
    server.state.faults = []
    send(deposit, server)
    assert_whole(deposit, server)
    assert len([1 for method, _ in server.state.requests if method == "PUT"]) == len(content(deposit))


@pytest.mark.parametrize(
    ("changes", "options", "sentence"),
    [
        ({"faults": [Fault("POST", r"add$", 403, times=99)]}, {}, "does not permit this to the user of the"),
        ({"quota": 20_000}, {}, "exceeds the storage quota of the collection; "),
        (
            {"faults": [Fault("POST", r"add$", 413, 99, message="too large")]},
            {},
            "has no room for it: too large",
        ),
        ({"faults": [Fault("POST", r"add$", 400, 99, message="no")]}, {}, "refuses: no (400)"),
        ({}, {"alias": "nowhere"}, "has no collection 'nowhere'"),
        ({}, {"token": "wrong-token"}, "refuses the API token: Bad API key; set DATAVERSE_API_TOKEN again"),
        (
            {},
            {"persistent_id": "doi:10.5072/FK2/ABCDEF"},
            "has no data set doi:10.5072/FK2/ABCDEF, which --doi",
        ),
    ],
)
def test_what_a_server_refuses_is_told(
    deposit: Path, server: StandIn, changes: dict[str, Any], options: dict[str, Any], sentence: str
) -> None:
    vars(server.state).update(changes)
    with pytest.raises(BadInput) as caught:
        send(deposit, server, **options)
    assert sentence in str(caught.value)
    assert TOKEN not in str(caught.value)
    assert options.get("token", "-never-") not in str(caught.value)
    if server.state.datasets:
        assert f"files are in the draft {DOI}, nothing is published; to go on" in str(caught.value)
    # when it is mended, the same command goes on
    server.state.faults, server.state.quota = [], None
    send(deposit, server)
    assert_whole(deposit, server)


def test_a_server_that_repeats_the_token_in_its_answer(deposit: Path, server: StandIn) -> None:
    server.state.faults = [Fault("POST", r"add$", 400, 99, message=f"bad header {TOKEN}")]
    with pytest.raises(BadInput) as caught:
        send(deposit, server)
    assert "bad header ***" in str(caught.value)


def test_only_what_changed_is_replaced(deposit: Path, server: StandIn) -> None:
    send(deposit, server, publish="major")
    old = {n for d in server.state.datasets.values() for n in d["files"]}
    table = deposit / "tables" / "lineage.csv"
    table.write_text(table.read_text() + "made-up,7,1,crossover,1\n")
    (deposit / "data" / "layers.parquet").unlink()
    (deposit / "NEW.md").write_text("new")
    document = json.loads((deposit / "dataverse.json").read_text())
    document["datasetVersion"]["metadataBlocks"]["citation"]["fields"][0]["value"] = "Another title"
    (deposit / "dataverse.json").write_text(json.dumps(document))
    record = json.loads((deposit / "deposit.json").read_text())
    del record["tables"]["lineage"]["unf"], record["tables"]["lineage"]["csv"]
    record["tables"]["lineage"] |= {"csv": None, "unf": None}
    (deposit / "deposit.json").write_text(json.dumps(record))
    write_manifest(deposit)
    # a curator's own file stays
    server.state.files[999] = {
        "id": 999,
        "name": "curator.txt",
        "folder": "",
        "content": b"mine",
        "type": "text/plain",
        "categories": [],
        "ingest": False,
    }
    server.state.datasets[DOI]["files"].append(999)
    done = send(deposit, server)
    assert sorted(done.plan.replace) == [
        *("MANIFEST.sha256", "dataverse.json", "deposit.json", "tables/lineage.csv"),
    ]
    assert done.plan.add == ["NEW.md"]
    assert [path for path, _ in done.plan.delete] == ["data/layers.parquet"]
    assert done.plan.foreign == ["curator.txt"]
    assert done.metadata_changed
    held = server.holds(DOI)
    assert held.pop("curator.txt") == b"mine"
    assert held == content(deposit)
    assert citation_fields(server.state.datasets[DOI]["document"])["title"] == "Another title"
    kept = set(server.state.datasets[DOI]["files"]) & old
    assert len(kept) == len(old) - 5
    assert server.state.datasets[DOI]["state"] == "DRAFT"


@pytest.mark.parametrize("how", ["lost-before", "lost-after", "done-500", 409, 500])
@pytest.mark.parametrize(
    ("method", "path"), [("POST", r"/replace"), ("DELETE", r"/api/files"), ("PUT", "edit")]
)
def test_faults_while_a_version_is_changed(
    deposit: Path, server: StandIn, method: str, path: str, how: int | str
) -> None:
    send(deposit, server)
    (deposit / "README.md").write_text("new")
    (deposit / "data" / "layers.parquet").unlink()
    document = json.loads((deposit / "dataverse.json").read_text())
    document["datasetVersion"]["metadataBlocks"]["citation"]["fields"][0]["value"] = "Another title"
    (deposit / "dataverse.json").write_text(json.dumps(document))
    write_manifest(deposit)
    server.state.faults = [Fault(method, path, how, times=2)]
    send(deposit, server)
    assert_whole(deposit, server)
    assert citation_fields(server.state.datasets[DOI]["document"])["title"] == "Another title"


@pytest.mark.parametrize("how", [None, 409, 500, 503, "lost-before", "lost-after"])
def test_published_only_when_told(deposit: Path, server: StandIn, how: int | str | None) -> None:
    if how is not None:
        server.state.faults = [Fault("POST", r":publish", how, times=2)]
    done = send(deposit, server, publish="minor")
    assert done.published
    assert server.state.datasets[DOI]["versions"] == ["minor"]
    assert server.state.datasets[DOI]["state"] == "RELEASED"
    assert server.holds(DOI) == content(deposit)


def test_no_permission_to_publish_leaves_a_whole_draft(deposit: Path, server: StandIn) -> None:
    server.state.faults = [Fault("POST", r":publish", 403, times=99, message="not permitted")]
    with pytest.raises(A4NNError, match=f"the draft {DOI} is complete, but not published"):
        send(deposit, server, publish="major")
    assert_whole(deposit, server)


def test_a_file_that_arrived_damaged_is_found(deposit: Path, server: StandIn) -> None:
    send(deposit, server)
    damaged = next(f for f in server.state.files.values() if f["name"] == "README.md")
    damaged["content"] += b"x"
    done = send(deposit, server)
    assert list(done.plan.replace) == ["README.md"]
    assert_whole(deposit, server)


def test_another_fingerprint_on_the_server_is_an_error(deposit: Path, server: StandIn) -> None:
    send(deposit, server)
    table = next(f for f in server.state.files.values() if f.get("original") == "runs.csv")
    table["unf"] = "UNF:6:AAAAAAAAAAAAAAAAAAAAAA=="
    with pytest.raises(A4NNError, match=r"tables/runs.csv has the UNF UNF:6:A+== on the server, not UNF:6:"):
        send(deposit, server)


def test_a_table_that_is_not_ingested_is_told(deposit: Path, server: StandIn) -> None:
    server.state.ingest_fails = True
    done = send(deposit, server)
    assert len(done.not_ingested) == 4
    assert_whole(deposit, server)


def test_an_older_server_gets_no_field_it_does_not_know(deposit: Path, server: StandIn) -> None:
    server.state.known.remove("publicationRelationType")
    send(deposit, server)
    (publication,) = citation_fields(server.state.datasets[DOI]["document"])["publication"]
    assert "publicationRelationType" not in publication
    assert publication["publicationIDNumber"] == "10.1145/3605573.3605636"


def test_an_altered_deposit_is_not_sent(deposit: Path, server: StandIn) -> None:
    (deposit / "README.md").write_text("altered")
    (deposit / "LICENSE").unlink()
    (deposit / "more.txt").write_text("more")
    with pytest.raises(BadInput, match="altered after it was built") as caught:
        send(deposit, server)
    assert "LICENSE is missing" in str(caught.value)
    assert "README.md has SHA-256 " in str(caught.value)
    assert "more.txt is not in MANIFEST.sha256" in str(caught.value)
    assert server.state.requests == []


@pytest.mark.parametrize(
    ("address", "sentence"),
    [
        ("dataverse.org", "is not an address"),
        ("http://dataverse.example.org", "would send the token unencrypted"),
        ("https://user:secret@dataverse.example.org", "'https://dataverse.example.org' is not an address"),
        ("ftp://x", "is not an address"),
    ],
)
def test_addresses(address: str, sentence: str) -> None:
    with pytest.raises(BadInput, match=sentence):
        Dataverse(address, TOKEN)


def test_a_server_that_is_not_there(deposit: Path) -> None:
    with (
        Dataverse("http://127.0.0.1:9", TOKEN, sleep=lambda _: None) as api,
        pytest.raises(A4NNError, match="did not answer /api/metadatablocks/citation in 7 attempts"),
    ):
        upload(deposit, api, "lab")


def test_the_token_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DATAVERSE_API_TOKEN", raising=False)
    with pytest.raises(BadInput, match="set the environment variable DATAVERSE_API_TOKEN"):
        token_from_environment()


@pytest.mark.slow
def test_the_command(deposit: Path, server: StandIn) -> None:
    words = [*A4NN, "upload", str(deposit), "--server", server.url, "--dataverse", "lab"]
    environment = {**os.environ, "DATAVERSE_API_TOKEN": TOKEN}

    def run(*more: str) -> subprocess.CompletedProcess[str]:
        done = subprocess.run([*words, *more], env=environment, capture_output=True, text=True, timeout=120)
        assert TOKEN not in done.stdout + done.stderr
        return done

    dry = run("--dry-run")
    assert dry.returncode == 0, dry.stderr
    assert server.state.datasets == {}
    done = run("--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["persistent_id"] == DOI
    assert_whole(deposit, server)
    environment["DATAVERSE_API_TOKEN"] = "wrong"
    refused = run()
    assert refused.returncode == 2
    assert "refuses the API token" in refused.stderr
    assert "wrong" not in refused.stderr.replace("wrong token", "")


@pytest.mark.skipif("A4NN_DATAVERSE_SERVER" not in os.environ, reason="A4NN_DATAVERSE_SERVER names no server")
def test_a_real_server(deposit: Path) -> None:
    """For those who have one: A4NN_DATAVERSE_SERVER, A4NN_DATAVERSE_ALIAS and DATAVERSE_API_TOKEN. The draft
    that it leaves there is never published."""
    with Dataverse(os.environ["A4NN_DATAVERSE_SERVER"], token_from_environment()) as api:
        first = upload(deposit, api, os.environ["A4NN_DATAVERSE_ALIAS"])
        again = upload(deposit, api, os.environ["A4NN_DATAVERSE_ALIAS"])
    assert again.persistent_id == first.persistent_id
    assert again.plan.add == []
