"""Deposits that nobody built as they are: one sentence refuses each, and the commons stays as it was."""

from __future__ import annotations

import json
import math
import os
import re
import shutil
import subprocess
import tarfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from command import a4nn
from deposits import metadata, weighted_run

from a4nn_core.commons import Commons, RunFolder
from a4nn_core.commons.archive import Archive
from a4nn_core.commons.check import check
from a4nn_core.commons.compact import compact
from a4nn_core.commons.fragments import CHECKSUM, read_notes, rows_checksum, write_fragment
from a4nn_core.commons.packs import PackedFile
from a4nn_core.errors import BadInput
from a4nn_core.interchange import deposit_tables
from a4nn_core.publish.deposit.build import Settings, build
from a4nn_core.publish.deposit.files import write_manifest
from a4nn_core.publish.deposit.restore import restore

CHECKPOINT = "runs/made-up/checkpoints/0000/epoch-0025.safetensors"


@dataclass(frozen=True)
class Deposit:
    """A deposit to be damaged; its manifest is written afterwards, as a careful forger would."""

    path: Path

    def record(self, change: Callable[[dict[str, Any]], object]) -> None:
        """Change what deposit.json says."""
        file = self.path / "deposit.json"
        stored = json.loads(file.read_text())
        change(stored)
        file.write_text(json.dumps(stored))

    def text(self, text: str) -> None:
        (self.path / "deposit.json").write_text(text)

    def run(self, change: Callable[[dict[str, Any]], object]) -> None:
        """Change the run file in deposit.json."""
        self.record(lambda stored: change(stored["runs"]["made-up"]))

    def table(self, name: str, change: Callable[[pa.Table], pa.Table], count: bool = True) -> None:
        """Change a table, and usually its number of rows in deposit.json."""
        file = self.path / "data" / f"{name}.parquet"
        rows = change(pq.read_table(file))
        pq.write_table(rows, file, compression="zstd")
        if count:
            self.record(lambda stored: stored["tables"][name].update(rows=rows.num_rows))

    def twice(self, name: str) -> None:
        self.table(name, lambda rows: pa.concat_tables([rows, rows]))

    def empty(self, name: str, count: bool = True) -> None:
        self.table(name, lambda rows: rows.slice(0, 0), count)

    def cell(self, name: str, column: str, value: object, row: int = 1) -> None:
        """Change one value of a table."""

        def change(rows: pa.Table) -> pa.Table:
            index = rows.schema.get_field_index(column)
            field = rows.schema.field(index)
            new = pa.array([value], field.type)
            cells = pa.chunked_array(
                [*rows[column].slice(0, row).chunks, new, *rows[column].slice(row + 1).chunks]
            )
            return rows.set_column(index, field, cells)

        self.table(name, change)

    def archive(self, *members: tuple[str, bytes]) -> None:
        """Write other members into the archive of weights."""
        with tarfile.open(self.weights, "w") as tar:
            for name, content in members:
                entry = tarfile.TarInfo(name)
                entry.size = len(content)
                (self.path / "member").write_bytes(content)
                with (self.path / "member").open("rb") as file:
                    tar.addfile(entry, file)
        (self.path / "member").unlink()

    def members(self) -> list[tuple[str, bytes]]:
        """The members of the archive of weights."""
        with tarfile.open(self.weights) as tar:
            return [(entry.name, tar.extractfile(entry).read()) for entry in tar]  # type: ignore[union-attr]

    @property
    def weights(self) -> Path:
        return self.path / "weights" / "made-up-01.tar"


def sparse(deposit: Deposit) -> None:
    """A checkpoint of a terabyte of zeros in an archive of some kilobytes."""
    place = deposit.path.parent / "sparse"
    file = place / CHECKPOINT
    file.parent.mkdir(parents=True)
    with file.open("wb") as hole:
        hole.truncate(1 << 40)
    subprocess.run(["tar", "--sparse", "-cf", deposit.weights, "-C", place, CHECKPOINT], check=True)
    shutil.rmtree(place)
    assert deposit.weights.stat().st_size < 100_000


def unfolding(deposit: Deposit) -> None:
    """Epochs by the hundred thousand in some kilobytes."""
    rows = 200_000
    deposit.table(
        "epochs", lambda old: pa.table([pa.repeat(column[0], rows) for column in old.columns], old.schema)
    )
    assert (deposit.path / "data/epochs.parquet").stat().st_size < 100_000


def long_text(deposit: Deposit) -> None:
    """A text of a megabyte, stored once and named by every row."""
    deposit.table(
        "networks",
        lambda rows: rows.set_column(
            rows.schema.get_field_index("error"), "error", pa.array(["x" * 1_000_000] * rows.num_rows)
        ),
    )
    assert (deposit.path / "data/networks.parquet").stat().st_size < 50_000


def without(column: str) -> Callable[[pa.Table], pa.Table]:
    return lambda rows: rows.drop_columns([column])


def counted_as(kind: str) -> Callable[[pa.Table], pa.Table]:
    """A table whose first number is stored as another type."""

    def change(rows: pa.Table) -> pa.Table:
        index = rows.schema.get_field_index("network")
        return rows.set_column(index, "network", rows["network"].cast(kind))

    return change


def not_text(rows: pa.Table) -> pa.Table:
    """Bytes that are no text where the operator of each network is named."""
    index = rows.schema.get_field_index("operator")
    broken = pa.array([b"\xff"] * rows.num_rows, pa.binary()).cast(pa.string(), safe=False)
    return rows.set_column(index, "operator", broken)


DAMAGES: dict[str, tuple[Callable[[Deposit], object], str]] = {
    # rows that are there twice, or not at all
    "networks twice": (
        lambda d: d.twice("networks"),
        "data/networks.parquet row 4 has run 'made-up', network 0, ",
    ),
    "epochs twice": (
        lambda d: d.twice("epochs"),
        r"data/epochs.parquet row \d+ has .*, as an earlier row has",
    ),
    "predictions twice": (lambda d: d.twice("predictions"), "data/predictions.parquet row .* as an earlier"),
    "layers twice": (lambda d: d.twice("layers"), "data/layers.parquet row 7 has .*layer 0, as an earlier"),
    "edges twice": (
        lambda d: d.twice("edges"),
        "data/edges.parquet row 1 .*all of whose edges are there twice",
    ),
    "events twice": (lambda d: d.twice("events"), "data/events.parquet row 4 has .*number 1, as an earlier"),
    "no networks": (lambda d: d.empty("networks"), "data/predictions.parquet row|data/epochs.parquet row 1 "),
    "no epochs": (
        lambda d: d.empty("epochs"),
        "data/networks.parquet row 1 .*best_epoch .*of which epochs has",
    ),
    "fewer events": (
        lambda d: d.empty("events", False),
        "data/events.parquet has 0 rows, not 3 as in deposit.json",
    ),
    "one epoch less": (
        lambda d: d.table("epochs", lambda rows: rows.slice(1)),
        "data/networks.parquet row 1 has .*epochs_trained 25, not the rows of epochs",
    ),
    "network not recorded": (
        lambda d: [
            d.table(name, lambda rows: rows.filter(pc.not_equal(rows["network"], 2)))
            for name in ("networks", "epochs", "predictions", "layers", "edges", "front")
        ],
        "data/networks.parquet lacks network 2 of run 'made-up', which by its events has ended",
    ),
    # columns
    "no column": (
        lambda d: d.table("epochs", without("validation_accuracy_percent")),
        "data/epochs.parquet has no column 'validation_accuracy_percent'",
    ),
    "more columns": (
        lambda d: d.table("epochs", lambda rows: rows.append_column("x", rows["epoch"])),
        "data/epochs.parquet has a column 'x', which this version does not know",
    ),
    "other type": (
        lambda d: d.table("networks", counted_as("int64")),
        "data/networks.parquet has a column 'network' of int64, not int32",
    ),
    "text for a number": (
        lambda d: d.table("networks", counted_as("string")),
        "data/networks.parquet has a column 'network' of string, not int32",
    ),
    # values
    "nan": (
        lambda d: d.cell("epochs", "train_loss", math.nan),
        "row 2 has train_loss nan, not a finite number",
    ),
    "great": (
        lambda d: d.cell("epochs", "validation_accuracy_percent", 1e300),
        r"data/epochs.parquet row 2 has validation_accuracy_percent 1e\+300, more than 100",
    ),
    "great fitness": (
        lambda d: d.cell("networks", "fitness", [("mflops", -1.0)]),
        "row 2 has fitness .*bounds",
    ),
    "name twice": (
        lambda d: d.cell("networks", "fitness", [("a", 1.0), ("a", 2.0)]),
        "data/networks.parquet row 2 has fitness .*, which has a name twice",
    ),
    "no number": (
        lambda d: d.cell("networks", "network", None),
        "row 2 has network null, which cannot be missing",
    ),
    "negative": (lambda d: d.cell("networks", "flops", -5), "row 2 has flops -5, less than 0"),
    "status": (lambda d: d.cell("networks", "status", "x"), "row 2 has status 'x', not completed, stopped, "),
    "genome": (
        lambda d: d.cell("networks", "genome", "[[1"),
        r"networks.parquet row 2 has genome '\[\[1', not JSON",
    ),
    "deep genome": (lambda d: d.cell("networks", "genome", "[" * 9000), r"not JSON \(nested too deep\)"),
    "time": (lambda d: d.cell("epochs", "time", 1 << 62), "row 2 has time .*not in the years 1 to 9999"),
    "not utf-8": (
        lambda d: d.table("networks", not_text),
        "data/networks.parquet .*[Ii]nvalid UTF8",
    ),
    "absolute path": (
        lambda d: d.cell("epochs", "checkpoint", "/etc/passwd"),
        "checkpoint '/etc/passwd', not the name",
    ),
    "path leads out": (
        lambda d: d.cell("networks", "checkpoint", "runs/made-up/checkpoints/0001/../../../../../x"),
        "data/networks.parquet row 2 has checkpoint .*, not the path of a checkpoint",
    ),
    "file of the system": (
        lambda d: d.cell("networks", "best_checkpoint", "/etc/passwd"),
        "not the path of a check",
    ),
    "another run's file": (
        lambda d: d.cell("networks", "checkpoint", CHECKPOINT.replace("made-up", "mine")),
        "data/networks.parquet row 2 has .*which is not in the folder of the run",
    ),
    # references
    "parents": (
        lambda d: d.cell("networks", "parents", [77]),
        "network 1 of run 'made-up' has network 77 in parents",
    ),
    "equal": (
        lambda d: d.cell("networks", "equal_to", 1),
        "network 1 of run 'made-up' has network 1 in equal_to",
    ),
    "best epoch": (
        lambda d: d.cell("networks", "best_epoch", 99),
        "row 2 .*best_epoch 99, of which epochs has no row",
    ),
    "run": (
        lambda d: d.cell("epochs", "run", "x"),
        "epochs.parquet row 2 has run 'x', which deposit.json does not",
    ),
    "edge": (
        lambda d: d.cell("edges", "target", 9),
        "edges.parquet row 2 has .*target 9, of which layers has no row",
    ),
    "fit": (
        lambda d: d.cell("predictions", "epoch", 99),
        "predictions.parquet row 2 .*of which epochs has no row",
    ),
    # events
    "event numbers": (
        lambda d: d.cell("events", "number", 9),
        "event 3 of run 'made-up' comes where event 2 is due",
    ),
    "event data": (
        lambda d: d.cell("events", "data", "7"),
        "event 2 of run 'made-up' has data that are no JSON object",
    ),
    "event json": (lambda d: d.cell("events", "data", "{"), "events.parquet row 2 has data '{', not JSON"),
    "event kind": (
        lambda d: d.cell("events", "kind", None),
        "events.parquet row 2 has kind null, which cannot",
    ),
    "considered": (
        lambda d: [
            d.cell("events", "kind", "considered"),
            d.cell("events", "data", '{"batch": 0, "networks": [{"x": 1}]}'),
        ],
        "events.parquet has genomes that were considered and cannot be read: event 2 ",
    ),
    "considered flops": (
        lambda d: [
            d.cell("events", "kind", "considered"),
            d.cell("events", "data", '{"batch": 0, "networks": [{"flops": "many"}]}'),
        ],
        "events.parquet has genomes that were considered and cannot be read",
    ),
    "rejected": (
        lambda d: [
            d.cell("events", "kind", "rejected"),
            d.cell("events", "data", '{"batch": 0, "count": 1, "asked": 0, "proposals": [{"x": 1}]}'),
        ],
        "events.parquet has genomes that were rejected and cannot be read: event 2 ",
    ),
    # deposit.json
    "no object": (lambda d: d.text("[]"), "deposit.json is damaged: not a JSON object"),
    "no json": (lambda d: d.text("{"), "deposit.json is damaged: not JSON"),
    "deep": (
        lambda d: d.text('{"format": ' + "[" * 100_000),
        r"deposit.json is damaged: not JSON \(nested too deep",
    ),
    "nan in it": (
        lambda d: d.run(lambda r: r["totals"].update(x=math.nan)),
        "deposit.json is damaged: .*NaN is not a f",
    ),
    "half a character": (
        lambda d: d.run(lambda r: r["header"].update(name="\ud800")),
        "deposit.json is damaged: ",
    ),
    "no format": (lambda d: d.record(lambda r: r.pop("format")), "deposit.json has format null"),
    "weights": (
        lambda d: d.record(lambda r: r.update(weights="some")),
        "deposit.json has weights 'some', not one of",
    ),
    "no runs": (lambda d: d.record(lambda r: r.pop("runs")), "deposit.json names no run"),
    "list of runs": (lambda d: d.record(lambda r: r.update(runs=["made-up"])), "deposit.json names no run"),
    "run id": (
        lambda d: d.record(lambda r: r.update(runs={"../x": r["runs"]["made-up"]})),
        r"run id '\.\./x' cannot",
    ),
    "empty run": (
        lambda d: d.run(lambda r: r.clear()),
        "deposit.json has a damaged run 'made-up': it has no 'header'",
    ),
    "header": (
        lambda d: d.run(lambda r: r.update(header=[])),
        r"damaged run 'made-up': it has 'header' \[\]",
    ),
    "run status": (lambda d: d.run(lambda r: r.update(status=5)), "damaged run 'made-up': it has 'status' 5"),
    "run status word": (
        lambda d: d.run(lambda r: r.update(status="x")),
        "damaged run .* 'status' holds 'x'; known: ",
    ),
    "started": (
        lambda d: d.run(lambda r: r.update(started="x")),
        "damaged run 'made-up': .*'started' holds \"x\", not a time",
    ),
    "seed": (
        lambda d: d.run(lambda r: r["header"].update(seed=10**30)),
        "damaged run 'made-up': column 'seed' holds 10+, not a whole",
    ),
    "objectives": (
        lambda d: d.run(lambda r: r["header"]["experiment"]["search"].update(objectives={"a": "b"})),
        "damaged run 'made-up': 'b' is not a valid Direction",
    ),
    # weights
    "sparse": (sparse, f"made-up-01.tar holds '{CHECKPOINT}', which is not a plain file"),
    "other bytes": (
        lambda d: d.archive((CHECKPOINT, b"other"), *d.members()[1:]),
        f"made-up-01.tar holds '{CHECKPOINT}', whose SHA-256 differs from the recorded one",
    ),
    "member twice": (
        lambda d: d.archive(*d.members(), d.members()[0]),
        f"tar holds '{CHECKPOINT}', which was there before",
    ),
    "member missing": (lambda d: d.archive(*d.members()[1:]), f"weights lacks {CHECKPOINT}: by deposit.json"),
    "cut off": (lambda d: d.weights.write_bytes(d.weights.read_bytes()[:4000]), "made-up-01.tar "),
    "no tar": (lambda d: d.weights.write_bytes(b"x" * 5000), "made-up-01.tar is not a tar archive"),
    # files that are no tables, or far greater than they seem
    "no parquet": (
        lambda d: (d.path / "data/epochs.parquet").write_bytes(b"x"),
        "data/epochs.parquet is damaged",
    ),
    "no table": (lambda d: (d.path / "data/epochs.parquet").unlink(), "data/epochs.parquet is missing"),
    "unfolding": (
        unfolding,
        r"data/epochs.parquet has \d+ bytes and 200000 rows, which would take more than",
    ),
    "long text": (long_text, r"data/networks.parquet has \d+ bytes and 3 rows, which would take more than"),
}


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A deposit with weights, beside a commons with a run of its own."""
    folder = tmp_path_factory.mktemp("strangers")
    weighted_run(folder / "theirs", 3)
    build(folder / "theirs", ["made-up"], folder / "deposit", metadata(), Settings("best", "none"))
    weighted_run(folder / "commons", 1, "mine")
    return folder


def content(folder: Path) -> dict[str, bytes | None]:
    """Every file and folder, with what files hold."""
    return {
        p.relative_to(folder).as_posix(): p.read_bytes() if p.is_file() else None for p in folder.rglob("*")
    }


@pytest.fixture
def deposit(built: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Deposit:
    monkeypatch.setattr(deposit_tables, "_LITTLE", 1 << 20)  # so that what is too great need not be great
    monkeypatch.setattr(deposit_tables, "_MOST_TIMES", 20)
    return Deposit(Path(shutil.copytree(built / "deposit", tmp_path / "deposit")))


@pytest.mark.parametrize("damage", DAMAGES)
def test_refused_with_one_sentence(deposit: Deposit, built: Path, damage: str) -> None:
    change, sentence = DAMAGES[damage]
    change(deposit)
    write_manifest(deposit.path)
    before, beside = content(built / "commons"), sorted(built.iterdir())
    with pytest.raises(BadInput) as caught:
        restore(deposit.path, built / "commons")
    said = str(caught.value)
    assert re.search(sentence, said), said
    assert "\n" not in said
    assert "deposit" in said
    assert content(built / "commons") == before
    assert sorted(built.iterdir()) == beside


def test_undamaged_it_is_taken(deposit: Deposit, built: Path, tmp_path: Path) -> None:
    """So that no sentence above is about something else."""
    deposit.cell("epochs", "train_loss", 0.5)
    write_manifest(deposit.path)
    shutil.copytree(built / "commons", tmp_path / "commons")
    assert restore(deposit.path, tmp_path / "commons").added == {"made-up": "made-up"}
    assert check(tmp_path / "commons").problems == []
    assert Commons(tmp_path / "commons").epochs("made-up")[1].train_loss == 0.5
    first = Commons(built / "theirs").events("made-up")
    assert Commons(tmp_path / "commons").events("made-up") == first
    lines = RunFolder(tmp_path / "commons", "made-up").events.read_bytes()
    assert lines == RunFolder(built / "theirs", "made-up").events.read_bytes()
    assert lines.count(b'"crc32":"') == len(first)


@pytest.mark.parametrize(
    ("manifest", "sentence"),
    [
        (b"\xff\xfe", "it has no readable MANIFEST.sha256"),
        (b"x\n", r"MANIFEST.sha256 line 1 is damaged: 'x'"),
        (f"{'0' * 64}  a\n{'0' * 64}  a\n".encode(), "MANIFEST.sha256 line 2 is damaged"),
        (f"{'0' * 64}  /etc/passwd\n".encode(), "MANIFEST.sha256 line 1 is damaged"),
        (b"", "LICENSE is not in MANIFEST.sha256"),
    ],
)
def test_manifests(deposit: Deposit, built: Path, manifest: bytes, sentence: str) -> None:
    (deposit.path / "MANIFEST.sha256").write_bytes(manifest)
    before = content(built / "commons")
    with pytest.raises(BadInput, match=sentence):
        restore(deposit.path, built / "commons")
    assert content(built / "commons") == before


@pytest.mark.slow
def test_downloaded_by_hand(built: Path, tmp_path: Path) -> None:
    """All files in one folder, under the names that a server and a browser gave them."""
    flat = tmp_path / "dataverse_files"
    flat.mkdir()
    for path in (p for p in (built / "deposit").rglob("*") if p.is_file()):
        shutil.copy(path, flat / path.name.replace(".parquet", "(1).parquet"))
    for name in ("runs", "networks", "epochs", "lineage"):
        if (flat / f"{name}.csv").exists():  # as the server gives out a table that it has ingested
            (flat / f"{name}.csv").unlink()
            (flat / f"{name}.tab").write_text("its own form")
    listed = "".join(f"{p.name} (text/plain) {p.stat().st_size} bytes.\r\n" for p in flat.iterdir())
    (flat / "a-photo.jpg").write_bytes(b"that somebody else added")
    with pytest.raises(BadInput, match=r"a-photo.jpg is not in MANIFEST.sha256"):
        restore(flat, tmp_path / "back")
    (flat / "MANIFEST.TXT").write_text(listed)
    assert restore(flat, tmp_path / "back").added == {"made-up": "made-up"}
    assert check(tmp_path / "back").problems == []
    settings = Settings("best", "none")
    build(tmp_path / "back", ["made-up"], tmp_path / "again", metadata(), settings)
    assert content(tmp_path / "again") == content(built / "deposit")

    left_out = "skipped because the total size of the download bundle exceeded the limit of 100 bytes."
    (flat / "MANIFEST.TXT").write_text(f"weights/made-up-01.tar (application/x-tar)  {left_out}\r\n")
    (flat / "made-up-01.tar").unlink()
    with pytest.raises(
        BadInput, match=rf"weights/made-up-01.tar is missing \(MANIFEST.TXT says: .*{left_out}"
    ):
        restore(flat, tmp_path / "other")
    assert not (tmp_path / "other").exists()


@pytest.mark.parametrize(
    ("column", "value", "said"),
    [
        ("genome", "x", "has genome 'x', not JSON"),
        ("best_accuracy_percent", 1e300, r"has best_accuracy_percent 1e\+300, more than 100"),
        ("parents", [77], "network 0 of run 'made-up' has network 77 in parents"),
        ("best_epoch", 99, "best_epoch 99, of which epochs has no row"),
        ("epochs_trained", 3, "epochs_trained 3, not the rows of epochs"),
        ("best_checkpoint", "SECRET", "not the path of a checkpoint"),
        ("best_checkpoint", "runs/x/checkpoints/0000/x", "which is not in the folder of the run"),
    ],
)
@pytest.mark.parametrize("compacted", [False, True])
def test_a_check_finds_what_an_import_refuses(
    built: Path, tmp_path: Path, column: str, value: object, said: str, compacted: bool
) -> None:
    """Whoever wrote it: as an earlier version imported it, say, its checksums are right."""
    commons = Path(shutil.copytree(built / "theirs", tmp_path / "commons"))
    secret = tmp_path / "secret"
    os.mkfifo(secret)  # whoever opened it would wait for ever
    folder = RunFolder(commons, "made-up")
    file = folder.fragment("networks", 0)
    rows, notes = pq.read_table(file), read_notes(file)
    index = rows.schema.get_field_index(column)
    cells = pa.array([str(secret) if value == "SECRET" else value], rows.schema.field(index).type)
    rows = rows.set_column(index, rows.schema.field(index), cells).replace_schema_metadata(None)
    write_fragment(file, rows, {**notes, f"{CHECKSUM}networks": rows_checksum(rows)})
    if compacted:
        compact(commons)
    problems = check(commons).problems
    assert [p for p in problems if re.search(said, p)], problems
    assert column == "best_checkpoint" or all(re.search(said, p) for p in problems), problems


@pytest.mark.parametrize("table", ["networks", "epochs", "predictions", "layers", "edges"])
def test_a_check_finds_a_table_that_is_there_twice(built: Path, tmp_path: Path, table: str) -> None:
    commons = Path(shutil.copytree(built / "theirs", tmp_path / "commons"))
    compact(commons)
    archive = Archive(commons)
    (pack,) = archive.packs
    path = archive.folder / pack.files[table].file
    rows = pq.read_table(path)
    pq.write_table(pa.concat_tables([rows, rows]), path)
    file = PackedFile.of(path, 2 * rows.num_rows)
    archive.commit([replace(pack, files={**pack.files, table: file})])
    (problem, *_) = check(commons).problems
    assert re.match(rf"{path} row \d+ has .*(as an earlier row has|there twice)", problem)


@pytest.mark.slow
def test_as_a_user_sees_it(deposit: Deposit, tmp_path: Path) -> None:
    deposit.twice("epochs")
    write_manifest(deposit.path)
    done = a4nn("import", "deposit", deposit.path, "--commons", tmp_path / "new" / "commons")
    assert (done.returncode, done.stdout) == (2, "")
    assert re.fullmatch(r"Error: .*/data/epochs.parquet row \d+ has [^\n]*\n", done.stderr), done.stderr
    assert [p.name for p in tmp_path.iterdir()] == ["deposit"]
