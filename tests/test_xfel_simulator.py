"""Counting photons: statistics, and bits that depend on nothing but the settings."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from a4nn_core.data import DATA_SOURCES
from a4nn_core.data.xfel import source
from a4nn_core.data.xfel.detector import Detector
from a4nn_core.data.xfel.orientations import Orientations
from a4nn_core.data.xfel.simulator import Simulator, smallest_unsigned
from a4nn_core.data.xfel.source import Xfel
from a4nn_core.data.xfel.structures import adenylate_kinase
from a4nn_core.errors import BadInput
from a4nn_core.progress import listening

PAIR = adenylate_kinase()
SMALL: dict[str, Any] = {"size": 16, "train": 60, "validation": 12, "test": 10}


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("A4NN_CACHE", str(tmp_path / "cache"))


@pytest.fixture(scope="module")
def simulator() -> Simulator:
    return Simulator(PAIR, Detector(32), Orientations(11))


def test_expectations_are_linear_in_fluence(simulator: Simulator) -> None:
    angles = simulator.orientations.angles(0, 5)
    low, high = (simulator.expected(1, angles, fluence) for fluence in (1e14, 1e16))
    np.testing.assert_allclose(high, 100 * low)
    assert not low[:, 15:17, 15:17].any()  # the beam stop


def test_counts_are_poisson(simulator: Simulator) -> None:
    fluence = 1e15
    counts = simulator.patterns(0, 600, [fluence])[:, 0, 0].astype(float)
    expected = simulator.expected(0, simulator.orientations.angles(0, 600), fluence)
    assert counts.shape == expected.shape
    lit = expected > 1e-3
    assert not counts[expected == 0].any()
    # the mean is the expectation, and so is the variance about it
    assert counts[lit].sum() == pytest.approx(expected[lit].sum(), rel=0.01)
    chi = (counts[lit] - expected[lit]) ** 2 / expected[lit]
    assert chi.mean() == pytest.approx(1, abs=0.03)
    dark = expected[lit] < 0.5
    assert np.mean(counts[lit][dark] == 0) == pytest.approx(np.exp(-expected[lit][dark]).mean(), abs=0.005)


def test_exposures_of_one_orientation_are_independent(simulator: Simulator) -> None:
    fluence = 1e15
    both = simulator.patterns(0, 300, [fluence, fluence * (1 + 1e-12)]).astype(float)
    expected = np.stack(
        [simulator.expected(label, simulator.orientations.angles(0, 300), fluence) for label in (0, 1)],
        axis=1,
    )
    first, second = both[:, :, 0] - expected, both[:, :, 1] - expected
    assert abs(np.corrcoef(first.ravel(), second.ravel())[0, 1]) < 0.01
    assert abs(np.corrcoef(first[:, 0].ravel(), first[:, 1].ravel())[0, 1]) < 0.01


@pytest.mark.slow
@pytest.mark.parametrize("threads", [1, 2])
def test_bits_do_not_depend_on_the_batch(
    simulator: Simulator, threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    fluences = [1e14, 1e16]
    whole = simulator.patterns(0, 40, fluences)
    other = Simulator(PAIR, Detector(32), Orientations(11))
    monkeypatch.setattr("a4nn_core.data.xfel.simulator.PIXELS_AT_ONCE", 2500)  # two or three patterns
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(threads)
        pieces = [other.patterns(start, min(start + 7, 40), fluences) for start in range(0, 40, 7)]
        alone = other.patterns(33, 34, [1e16])
    finally:
        torch.set_num_threads(before)
    assert np.array_equal(np.concatenate(pieces), whole)
    assert np.array_equal(alone[0, :, 0], whole[33, :, 1])


@pytest.mark.slow
def test_the_total_count_tells_little() -> None:
    """The presets' task is about the pattern: a threshold on the photon count alone tells about 60 %."""
    data = Xfel(size=32, beam="medium").load()
    totals, labels = (
        np.concatenate([one(part) for part in (data.train, data.validation, data.test)])
        for one in (lambda part: part.images.sum(axis=(1, 2, 3)), lambda part: part.labels)
    )
    right = [np.mean((totals > threshold) == labels) for threshold in np.unique(totals)]
    assert 0.57 < max(max(right), 1 - min(right)) < 0.64


def test_patterns() -> None:
    data = Xfel(**SMALL).load()
    assert data.classes == ("open", "closed")
    assert data.shape == (1, 16, 16)
    assert data.train.images.dtype == np.uint8
    for part, count in ((data.train, 60), (data.validation, 12), (data.test, 10)):
        assert len(part) == count
        assert np.count_nonzero(part.labels == 0) * 2 == count
    flat = [image.tobytes() for part in (data.train, data.validation, data.test) for image in part.images]
    assert len(set(flat)) == len(flat)


def test_no_orientation_is_in_two_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    draw = Simulator.patterns

    def watched(self: Simulator, start: int, stop: int, fluences: list[float]) -> Any:
        asked.extend(range(start, stop))
        return draw(self, start, stop, fluences)

    monkeypatch.setattr(Simulator, "patterns", watched)
    Xfel(**SMALL, geodesic=2).load()  # 42 directions, and 30 + 6 + 5 of them used
    assert asked == list(range(41))
    with pytest.raises(BadInput, match=r"61 orientations are asked for, but .* has 42"):
        Xfel(**SMALL | {"train": 100}, geodesic=2).load()


def test_more_training_images_change_nothing_else() -> None:
    first, second = Xfel(**SMALL).load(), Xfel(**SMALL | {"train": 80}).load()
    assert np.array_equal(first.test.images, second.test.images)
    assert np.array_equal(first.validation.images, second.validation.images)
    assert np.array_equal(first.train.images, second.train.images[:60])


@pytest.mark.slow
def test_settings_that_matter_change_the_images() -> None:
    first = Xfel(**SMALL).load().fingerprint
    for change in ({"seed": 1}, {"beam": "high"}, {"geodesic": 3}, {"wavelength": 2.0}, {"pitch": 1e-3}):
        assert Xfel(**SMALL | change).load().fingerprint != first, change
    assert Xfel(**SMALL | {"beam": 1e15}).load().fingerprint == first
    assert Xfel(**SMALL | {"transform": "none"}).load().fingerprint == first


@pytest.mark.slow
def test_another_process_makes_the_same_images(tmp_path: Path) -> None:
    script = f"from a4nn_core.data.xfel.source import Xfel; print(Xfel(**{SMALL!r}).load().fingerprint)"
    environment = os.environ | {"A4NN_CACHE": str(tmp_path / "another"), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-P", "-c", script], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == Xfel(**SMALL).load().fingerprint


@pytest.mark.slow
def test_the_cache_is_used_and_a_damaged_one_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = Xfel(**SMALL).load().fingerprint
    (file,) = (tmp_path / "cache/xfel").iterdir()
    whole = file.read_bytes()
    middle = len(whole) // 2
    for damaged in (whole[:middle], b"", whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1 :]):
        file.write_bytes(damaged)
        assert Xfel(**SMALL).load().fingerprint == first
        assert file.read_bytes() == whole
    monkeypatch.setattr(source, "simulate", lambda *_: pytest.fail("simulated in spite of the cache"))
    assert Xfel(**SMALL).load().fingerprint == first


def test_a_cache_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("A4NN_CACHE", str(tmp_path / "file"))
    with pytest.raises(BadInput, match=r"file/xfel: Not a directory; A4NN_CACHE names another folder"):
        Xfel(**SMALL).load()


def test_progress_is_told() -> None:
    heard: list[tuple[str, int, int]] = []
    with listening(lambda *words: heard.append(words)):
        Xfel(**SMALL).load()
    assert heard[-1] == ("simulating diffraction patterns", 82, 82)
    assert [done for _, done, _ in heard] == sorted(done for _, done, _ in heard)


@pytest.mark.parametrize(
    ("setting", "value", "words"),
    [
        ("beam", "bright", "there is no beam 'bright'; known: low, medium, high, or a number"),
        ("beam", -1.0, "beam = -1.0: a fluence must be between 1e\\+06 and 1e\\+20"),
        ("beam", 1e30, "a fluence must be between"),
        ("size", 4, "size = 4"),
        ("size", 5000, "size = 5000"),
        ("structures", ["adk-open"], "there is a single conformation; two or more are needed"),
        ("structure", "adk-open", "has no key 'structure'; known keys: name, size, beam"),
    ],
)
def test_bad_settings(setting: str, value: object, words: str) -> None:
    with pytest.raises(BadInput, match=words):
        DATA_SOURCES.make({"name": "xfel", setting: value}, "[data]")


def test_types_that_hold_a_count() -> None:
    assert [smallest_unsigned(n) for n in (0, 255, 256, 65535, 65536, 2**32)] == [
        np.uint8, np.uint8, np.uint16, np.uint16, np.uint32, np.uint64,
    ]  # fmt: skip
