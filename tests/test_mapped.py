"""One copy of the data for all processes of a machine, whatever happens to its file."""

from __future__ import annotations

import fcntl
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from fakes import FakeExecutor, experiment

from a4nn_core.commons import RunFolder, read_journal
from a4nn_core.data import mapped
from a4nn_core.data.base import DATA_SOURCES, DataSource, ImageData
from a4nn_core.data.packaged import Digits
from a4nn_core.progress import listening
from a4nn_core.training.loading import DeviceData
from a4nn_core.training.segment import Segment
from a4nn_core.training.trainer import train_segment
from a4nn_core.workflow.pool import Worker
from a4nn_core.workflow.run import execute

CPU = torch.device("cpu")
SOURCE = Digits()
SAME = ("train_loss", "validation_loss", "train_accuracy_percent", "validation_accuracy_percent")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where files are written; small data are shared, too."""
    monkeypatch.setenv("A4NN_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(mapped, "LEAST_BYTES", 0)
    return tmp_path / "cache/mapped"


@pytest.fixture(scope="module")
def digits() -> ImageData:
    return SOURCE.load()


def is_mapped(data: ImageData) -> bool:
    return all(isinstance(part.images, np.memmap) for part in (data.train, data.validation, data.test))


def no_load(_: DataSource) -> ImageData:
    pytest.fail("loaded in spite of the file")


def test_mapped_data_are_the_same(digits: ImageData, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    noted = replace(digits, remarks=("a remark",), skipped=("a.png",))
    shared = mapped.share(SOURCE, noted)
    assert is_mapped(shared)
    assert (shared.fingerprint, shared.transform) == (digits.fingerprint, digits.transform)
    assert (shared.remarks, shared.skipped) == (noted.remarks, noted.skipped)
    monkeypatch.setattr(Digits, "load", no_load)
    again = mapped.load_shared(SOURCE, mapped.map_key(SOURCE, digits))
    assert is_mapped(again)
    assert (again.name, again.classes, again.shape) == (digits.name, digits.classes, digits.shape)
    assert (again.fingerprint, again.transform) == (digits.fingerprint, digits.transform)
    with pytest.raises(ValueError, match="read-only"):
        again.train.images[0] = 0
    (file,) = folder.glob("*.npy")
    assert file.stat().st_size < digits.nbytes + 2000


def test_settings_that_the_images_do_not_show_have_their_own_file(digits: ImageData) -> None:
    raw = Digits(transform="none")
    other = raw.load()
    assert other.fingerprint == digits.fingerprint
    mapped.share(SOURCE, digits)
    mapped.share(raw, other)
    assert mapped.map_key(raw, other) != mapped.map_key(SOURCE, digits)
    assert (
        mapped.load_shared(raw, mapped.map_key(raw, other)).transform == other.transform != digits.transform
    )


def test_small_data_are_loaded_by_each_process(
    digits: ImageData, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mapped, "LEAST_BYTES", digits.nbytes + 1)
    assert mapped.map_key(SOURCE, digits) == ""
    assert mapped.share(SOURCE, digits) is digits
    assert not is_mapped(mapped.load_shared(SOURCE, ""))
    assert mapped.copies(digits, 3) == 3
    assert not folder.exists()
    monkeypatch.setattr(mapped, "LEAST_BYTES", digits.nbytes)
    assert mapped.map_key(SOURCE, digits) != ""
    assert mapped.copies(digits, 3) == 1


def flipped(place: float) -> Callable[[bytes], bytes]:
    def flip(whole: bytes) -> bytes:
        at = int(place * (len(whole) - 1))
        return whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :]

    return flip


def another_mean(whole: bytes) -> bytes:
    assert whole.count(b'"mean": [4.') == 1
    return whole.replace(b'"mean": [4.', b'"mean": [5.')


@pytest.mark.parametrize(
    "damage",
    [
        lambda _: b"",
        lambda whole: whole[: len(whole) // 2],
        lambda whole: whole[:-1],
        lambda whole: bytes(len(whole)),
        lambda whole: whole.replace(b"|u1", b"|i1"),
        another_mean,
        *map(flipped, (0, 0.3, 0.6, 1)),
    ],
    ids=[
        "empty",
        "half",
        "a byte short",
        "zeros",
        "type",
        "transform",
        *("bit", "bit 2", "bit 3", "last bit"),
    ],
)
def test_a_damaged_file_is_written_again(
    damage: Callable[[bytes], bytes], digits: ImageData, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mapped.share(SOURCE, digits)
    (file,) = folder.glob("*.npy")
    whole = file.read_bytes()
    damaged = damage(whole)
    assert damaged != whole
    file.write_bytes(damaged)
    monkeypatch.setattr(Digits, "load", lambda _: digits)
    found = mapped.load_shared(SOURCE, file.stem)
    assert is_mapped(found)
    assert (found.fingerprint, found.transform) == (digits.fingerprint, digits.transform)
    assert file.read_bytes() == whole


def test_where_no_file_can_be_written_each_process_has_its_own_copy(
    digits: ImageData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("A4NN_CACHE", str(tmp_path / "file"))
    assert mapped.share(SOURCE, digits) is digits
    assert caplog.messages == [
        "each worker holds its own copy of the images: cannot create the folder "
        f"{tmp_path}/file/mapped: Not a directory; A4NN_CACHE names another folder for the cache"
    ]
    found = mapped.load_shared(SOURCE, mapped.map_key(SOURCE, digits))
    assert found.fingerprint == digits.fingerprint
    assert not is_mapped(found)


@pytest.mark.parametrize(
    ("is_promised", "words"),
    [(False, "has less than 0.0 GB free"), (True, "No space left on device")],
    ids=["seen before", "full while written"],
)
def test_a_full_disk(
    is_promised: bool,
    words: str,
    digits: ImageData,
    small_disk: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setenv("A4NN_CACHE", str(small_disk))
    (small_disk / "other").write_bytes(bytes(150_000))
    if is_promised:
        monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10**9, 0, 10**9))
    assert mapped.share(SOURCE, digits) is digits
    (message,) = caplog.messages
    assert words in message
    assert not list(small_disk.glob("mapped/*.npy*")) + list(small_disk.glob("mapped/.*.npy*"))


@pytest.mark.slow
def test_what_nobody_uses_is_removed_when_a_file_is_written(folder: Path) -> None:
    def files() -> set[str]:
        return {file.stem for file in folder.glob("*.npy")}

    sources = [Digits(seed=seed) for seed in range(4)]
    loaded = [source.load() for source in sources]
    keys = [mapped.map_key(source, data) for source, data in zip(sources, loaded, strict=True)]
    first = mapped.share(sources[0], loaded[0])
    left = folder / f".{keys[0]}.npy.1.unfinished"
    left.write_bytes(b"of a killed process")
    with (folder / ".other.npy.1.unfinished").open("wb") as being_written:
        fcntl.flock(being_written, fcntl.LOCK_SH)
        second = mapped.share(sources[1], loaded[1])
        assert not left.exists()
        assert Path(being_written.name).exists()
    assert files() == {keys[0], keys[1]}
    kept = DeviceData(first, CPU)
    del first, second
    mapped.share(sources[2], loaded[2])
    assert files() == {keys[0], keys[2]}
    assert torch.equal(kept.train.images, torch.from_numpy(loaded[0].train.images))
    del kept
    mapped.share(sources[3], loaded[3])
    assert files() == {keys[3]}


def test_a_second_process_waits_for_the_one_that_loads(
    digits: ImageData, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = mapped.map_key(SOURCE, digits)
    mapped.share(SOURCE, digits)
    (folder / f"{key}.npy").replace(tmp_path / "whole")
    other = (folder / f"{key}.lock").open("wb")
    fcntl.flock(other, fcntl.LOCK_EX)
    told = []

    def ends(*what: object) -> None:
        told.append(what)
        (tmp_path / "whole").replace(folder / f"{key}.npy")  # as the other process does
        other.close()

    monkeypatch.setattr(Digits, "load", no_load)
    with listening(ends):
        assert is_mapped(mapped.load_shared(SOURCE, key))
    assert told == [("waiting for another process to load the images", 0, 1)]


def test_images_that_differ_from_the_search_are_not_shared(
    digits: ImageData, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    found = mapped.load_shared(SOURCE, "0" * 32)
    assert found.fingerprint == digits.fingerprint
    assert not is_mapped(found)
    assert caplog.messages == ["the images of [data] are not those that the search has: they are not shared"]
    assert not list(folder.glob("*.npy"))


@pytest.mark.slow
def test_a_search_shares_its_data_and_tells_its_workers(digits: ImageData, tmp_path: Path) -> None:
    executor = FakeExecutor()
    what = experiment(search={"networks": 4})
    execute(what, tmp_path / "commons", "r", lambda _: executor)
    key = mapped.map_key(SOURCE, digits)
    assert {segment.map_key for segment in executor.trained} == {key}
    assert Segment.from_json(executor.trained[0].to_json()) == executor.trained[0]
    assert is_mapped(mapped.load_shared(DATA_SOURCES.make(executor.trained[0].data, "[data]"), key))


def own_memory(pid: int) -> int:
    """Bytes that a process has written and shares with none (man 5 proc, smaps_rollup)."""
    text = Path(f"/proc/{pid}/smaps_rollup").read_text().split("Private_Dirty:")[1]
    return 1024 * int(text.split()[0])


def of_map(pid: int, name: str) -> int:
    """Bytes that a process has of a mapped file for itself alone; it must have mapped it."""
    of_file = False
    changed = []
    for line in Path(f"/proc/{pid}/smaps").read_text().splitlines():
        first = line.split()[0]
        if not first.endswith(":"):
            of_file = line.endswith(name)
        elif of_file and first in ("Private_Dirty:", "Anonymous:"):
            changed.append(1024 * int(line.split()[1]))
    assert changed, f"{name} is not mapped"
    return sum(changed)


@pytest.mark.slow
@pytest.mark.integration
def test_workers_hold_the_data_once_and_compute_the_same_bits(tmp_path: Path) -> None:
    """Two workers that find no file and start at the same time, on 60 MB of many channels and few pixels."""
    rng = np.random.default_rng(0)
    np.savez(tmp_path / "x.npz", x=rng.normal(5, 2, (1875, 64, 8, 8)), y=rng.integers(0, 2, 1875))
    what = experiment(data={"name": "npz", "path": str(tmp_path / "x.npz"), "validation": 0.02})
    data = what.data.load()
    key = mapped.map_key(what.data, data)
    assert data.nbytes > 60e6

    def segment(run: str, **changes: Any) -> Segment:
        plain: dict[str, Any] = {
            "commons": str(tmp_path / "commons"),
            "run_id": run,
            "network": 0,
            "generation": 0,
            "architecture": what.space.decode([[0] * 7] * 2, data.shape, 2),
            "data": what.to_mapping()["data"],
            "training": what.training,
            "termination": {"name": "none"},
            "fixed": {},
            "seed": 1,
            "device": "cpu",
            "epoch_limit": 1,
            "map_key": key,
        }
        return Segment(**plain | changes)

    def numbers(run: str) -> list[tuple[Any, ...]]:
        journal = read_journal(RunFolder(tmp_path / "commons", run).journal(0))
        return [tuple(epoch[name] for name in (*SAME, "checkpoint_sha256")) for epoch in journal]

    def train(worker: Worker, run: str) -> int:
        """Bytes that a worker has for itself after its first epoch on these data, above those of before."""
        network = what.space.decode([[0] * 7] * 2, (1, 8, 8), 10)
        small = segment(f"{run}-digits", data={"name": "digits"}, architecture=network, map_key="")
        assert worker.run(small).status == "paused"
        before = own_memory(worker.process.pid)
        assert worker.run(segment(run)).status == "paused"
        return own_memory(worker.process.pid) - before

    workers = [Worker(threads=1) for _ in range(2)]
    try:
        with ThreadPoolExecutor(2) as pool:
            more = list(pool.map(train, workers, ("a", "b")))
        assert [of_map(worker.process.pid, f"{key}.npy") for worker in workers] == [0, 0]
    finally:
        for worker in workers:
            worker.close()
    assert max(more) < data.nbytes / 3
    threads = torch.get_num_threads()
    train_segment(segment("own"), DeviceData(data, CPU), CPU)
    torch.set_num_threads(threads)
    assert len(numbers("own")) == 1
    assert numbers("own") == numbers("a") == numbers("b")
