"""What takes room in a commons agrees with the file system."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
from command import a4nn
from fakes import FakeExecutor, experiment, search

from a4nn_core.cli.disk import readable
from a4nn_core.commons.compact import compact
from a4nn_core.commons.disk import FileKind, size_of, usage
from a4nn_core.errors import BadInput


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two compacted runs and one that is not, with what a user may leave beside them."""
    commons = tmp_path_factory.mktemp("disk") / "commons"
    for run in ("a", "b"):
        search(experiment(search={"networks": 4}), commons, FakeExecutor(), run)
    compact(commons)
    search(experiment(), commons, FakeExecutor(), "c")
    checkpoint = commons / "runs/c/checkpoints/0003/epoch-0001.safetensors"
    checkpoint.parent.mkdir(parents=True)
    checkpoint.write_bytes(bytes(5_000_000))
    (commons / "runs/c/front.png").write_bytes(bytes(300))
    (commons / "runs/c/best").mkdir()
    (commons / "runs/c/best/model.onnx").write_bytes(bytes(7000))
    return commons


def files(folder: Path) -> list[os.stat_result]:
    return [p.lstat() for p in folder.rglob("*") if p.is_symlink() or not p.is_dir()]


def test_every_file_is_counted_once(place: Path) -> None:
    found = usage(place)
    there = files(place)
    assert found.total.files == len(there)
    assert found.total.bytes == sum(state.st_size for state in there)
    assert found.total.allocated == sum(state.st_blocks * 512 for state in there)
    for one in found.runs:
        assert one.total.bytes == size_of(place / "runs" / one.run)
        assert one.total.bytes == sum(state.st_size for state in files(place / "runs" / one.run))
    assert found.archive.total.bytes == size_of(place / "archive")
    # as du counts, which adds the folders themselves
    said = subprocess.run(["du", "-s", "-B1", place], capture_output=True, text=True, check=True).stdout
    folders = [place, *(p for p in place.rglob("*") if p.is_dir())]
    assert int(said.split()[0]) == found.total.allocated + sum(p.stat().st_blocks * 512 for p in folders)


def test_kinds_and_packs(place: Path) -> None:
    found = usage(place)
    assert found.runs[0].run == "c"  # the largest first
    runs = {one.run: one for one in found.runs}
    assert runs["c"].kinds[FileKind.checkpoints].bytes == 5_000_000
    assert runs["c"].kinds[FileKind.pictures].bytes == 300
    assert runs["c"].kinds[FileKind.models].bytes == 7000
    assert runs["c"].kinds[FileKind.journals].files == len([*place.glob("runs/c/journals/*.jsonl")]) > 0
    tables = [p for p in place.glob("runs/c/tables/*/*.parquet") if p.parent.name != "events"]
    assert runs["c"].kinds[FileKind.tables].files == len(tables)
    log = ("runs/c/events.jsonl", "runs/c/tables/events/events.parquet")
    assert runs["c"].kinds[FileKind.events].bytes == sum((place / name).stat().st_size for name in log)
    assert runs["c"].packs == ()
    # what compacted runs share is counted with neither of them
    assert FileKind.journals not in runs["a"].kinds
    assert runs["a"].packs == runs["b"].packs == tuple(found.packs)
    packs = sum(p.stat().st_size for p in place.glob("archive/*.parquet"))
    assert abs(runs["a"].shared + runs["b"].shared - packs) <= 1
    assert sum(size.bytes for kind, size in found.archive.kinds.items() if kind != "headers") == packs
    assert not any(part.foreign for part in (*found.runs, found.archive, found.rest))


def test_what_is_damaged_or_foreign_is_said(place: Path, tmp_path: Path) -> None:
    commons = tmp_path / "commons"
    subprocess.run(["cp", "-a", place, commons], check=True)
    (commons / "runs/a/run.json").write_text("{")
    (commons / "runs/b/run.json").unlink()
    for name in ("notes.txt", "runs/c/tables/networks/.0001.parquet.77.unfinished", "archive/old.parquet"):
        (commons / name).write_bytes(bytes(10))
    (commons / "runs/elsewhere").symlink_to(place / "runs/c")
    os.link(commons / "runs/c/front.png", commons / "runs/c/again.png")  # one file with two names
    found = usage(commons)
    problems = {one.run: one.problem for one in found.runs if one.problem}
    assert str(problems["a"]).startswith(f"{commons}/runs/a/run.json is damaged: not JSON")
    assert problems["b"] == "it has no run.json"
    names = {Path(path).name for part in (*found.runs, found.archive, found.rest) for path in part.foreign}
    assert names == {"notes.txt", ".0001.parquet.77.unfinished", "old.parquet", "elsewhere"}
    pictures = next(one for one in found.runs if one.run == "c").kinds[FileKind.pictures]
    assert (pictures.bytes, pictures.files) == (300, 1)
    done = a4nn("status", "--disk", "--commons", commons)
    assert done.returncode == 0
    assert "b: it has no run.json" in done.stderr
    assert f"not of a commons: {commons}/notes.txt" in done.stderr
    (commons / "archive/manifest.json").write_text("[]")
    done = a4nn("status", "--disk", "--commons", commons)
    assert done.returncode == 0
    assert "the packs cannot be assigned to runs" in done.stderr


def test_the_command_shows_runs_by_kind(place: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("A4NN_CACHE", str(tmp_path))
    (tmp_path / "images.npz").write_bytes(bytes(2000))
    shown = a4nn("status", "--disk", "--commons", place)
    assert (shown.returncode, shown.stderr) == (0, "")
    lines = shown.stdout.splitlines()
    assert lines[0].split()[:4] == ["run", "status", "checkpoints", "tables"]
    assert lines[1].split()[:4] == ["c", "completed", "5", "MB"]
    assert any(line.startswith("packs of 2 runs") for line in lines)
    total = usage(place).total
    assert f"{total.files:,} files, {readable(total.bytes)}; on the disk {readable(total.allocated)}" in lines
    assert f"beside the commons, the cache of images: 2 kB in {tmp_path}" in lines
    document: dict[str, Any] = json.loads(a4nn("status", "--disk", "--json", "--commons", place).stdout)
    parts = [*document["runs"], document["packs"], document["rest"]]
    assert document["bytes"] == sum(part["bytes"] for part in parts) == total.bytes
    assert all(part["bytes"] == sum(k["bytes"] for k in part["kinds"].values()) for part in parts)
    one = json.loads(a4nn("status", "c", "--disk", "--json", "--commons", place).stdout)
    assert [run["run"] for run in one["runs"]] == ["c"]
    assert one["bytes"] == size_of(place / "runs/c")
    done = a4nn("status", "nothing", "--disk", "--commons", place)
    assert (done.returncode, "has no run 'nothing'" in done.stderr) == (2, True)
    with pytest.raises(BadInput, match="is not a commons"):
        usage(tmp_path)


def test_sizes_are_readable() -> None:
    given = (0, 999, 1000, 123_456, 5_000_000, 7.25e9, 1e13)
    assert [readable(size) for size in given] == [
        *("0 bytes", "999 bytes", "1 kB", "123 kB", "5 MB", "7.25 GB", "10 TB"),
    ]
