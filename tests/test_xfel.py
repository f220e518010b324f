"""The diffraction simulator against physics: the direct sum over atoms, symmetries, counting statistics."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from a4nn_core.data.xfel import source
from a4nn_core.data.xfel.physics import (
    Detector,
    IntensityGrid,
    form_factor,
    rotations,
    structure_factor,
)
from a4nn_core.data.xfel.source import Xfel, simulate
from a4nn_core.data.xfel.structures import Structure, adenylate_kinase
from a4nn_core.errors import BadInput

OPEN, CLOSED = adenylate_kinase()
ELECTRONS = {"C": 6, "N": 7, "O": 8, "S": 16}
RNG = np.random.default_rng(1)


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("A4NN_CACHE", str(tmp_path / "cache"))


def test_the_shipped_structures() -> None:
    # PDB 4AKE and 1AKE: 214 residues, 1,656 heavy atoms
    for structure in (OPEN, CLOSED):
        assert len(structure.elements) == len(structure.xyz) == 1656
        assert set(structure.elements) == set("CNOS")
        assert np.count_nonzero(structure.elements == "S") == 7  # 6 methionines and 1 cysteine
    # domain closure makes the molecule more compact
    gyration = [np.sqrt((s.xyz**2).sum(axis=1).mean()) for s in (OPEN, CLOSED)]
    assert gyration[0] > gyration[1] + 1


@pytest.mark.parametrize("element", ELECTRONS)
def test_form_factors_begin_at_the_number_of_electrons(element: str) -> None:
    assert form_factor(element, np.zeros(1))[0] == pytest.approx(ELECTRONS[element], rel=5e-3)


def test_unknown_elements_are_refused() -> None:
    with pytest.raises(BadInput, match="no form factor for element 'Xx'"):
        form_factor("Xx", np.zeros(1))


@pytest.mark.parametrize(("oversampling", "error"), [(5, 0.03), (10, 0.01)])
def test_slices_equal_the_direct_sum(oversampling: float, error: float) -> None:
    detector = Detector(24)
    q = detector.q
    turn = rotations(RNG, 1)
    grid = IntensityGrid.of(OPEN, float(np.linalg.norm(q, axis=-1).max()), oversampling)
    sliced = grid.slices(torch.from_numpy(q).float(), torch.from_numpy(turn).float())[0].numpy()
    exact = np.abs(structure_factor(OPEN, q.reshape(-1, 3) @ turn[0])) ** 2
    assert np.linalg.norm(sliced.ravel() - exact) < error * np.linalg.norm(exact)


def test_symmetries() -> None:
    q = RNG.normal(0, 0.02, (50, 3))
    intensity = np.abs(structure_factor(OPEN, q)) ** 2
    np.testing.assert_allclose(np.abs(structure_factor(OPEN, -q)) ** 2, intensity, rtol=1e-9)  # Friedel
    moved = Structure("moved", OPEN.elements, OPEN.xyz + np.float32([5, -3, 2]))
    np.testing.assert_allclose(np.abs(structure_factor(moved, q)) ** 2, intensity, rtol=1e-3, atol=1)
    turn = rotations(RNG, 1)[0]
    turned = Structure("turned", OPEN.elements, (OPEN.xyz @ turn.T).astype(np.float32))
    np.testing.assert_allclose(
        np.abs(structure_factor(turned, q @ turn.T)) ** 2, intensity, rtol=1e-3, atol=1
    )
    forward = sum(form_factor(str(e), np.zeros(1))[0] for e in OPEN.elements)
    assert structure_factor(OPEN, np.zeros((1, 3)))[0] == pytest.approx(forward)


def test_rotations_are_rotations_and_uniform() -> None:
    turns = rotations(RNG, 4000)
    np.testing.assert_allclose(
        turns @ turns.transpose(0, 2, 1), np.broadcast_to(np.eye(3), turns.shape), atol=1e-12
    )
    assert np.allclose(np.linalg.det(turns), 1)
    z = turns[:, 2, 2]  # uniform on the sphere: the cosine of the tilt is uniform on [-1, 1]
    assert abs(z.mean()) < 0.05
    assert np.mean(z**2) == pytest.approx(1 / 3, abs=0.02)


def test_the_ewald_sphere() -> None:
    detector = Detector(127)
    q = detector.q
    assert np.allclose(q[63, 63], 0)
    length = np.linalg.norm(q, axis=-1)
    # facts of the published geometry: the edge, 63 pixels, is at 19 Angstrom
    assert 1 / length[63, 126] == pytest.approx(19, abs=0.2)
    # every q lies on the sphere of radius 1/wavelength that passes the origin
    assert np.allclose(np.linalg.norm(q + np.array([0, 0, 1]), axis=-1), 1)
    for size in (32, 64):
        edge = np.linalg.norm(Detector(size).q, axis=-1)[:, size // 2].max()
        assert edge == pytest.approx(length[63, 126], rel=0.03)


def test_beam_stop() -> None:
    seen = Detector(127).factor > 0
    assert not seen[63, 63 - 15 : 63 + 16].any()
    assert seen[63, 63 + 16]
    assert seen[63, 63 - 16]


def test_photons_are_proportional_to_fluence_and_poisson() -> None:
    means = {}
    for fluence in (1e15, 1e16):
        images = simulate([OPEN], Detector(32), fluence, {"train": 256}, 0)["train"]
        means[fluence] = images.sum(axis=(1, 2, 3)).mean()
    assert means[1e16] / means[1e15] == pytest.approx(10, rel=0.03)


def test_the_total_count_tells_little() -> None:
    """The presets' task is about the pattern: a threshold on the photon count alone tells 58 to 60 %."""
    data = Xfel(size=32, beam="medium").load()
    totals, labels = (
        np.concatenate([one(part) for part in (data.train, data.validation, data.test)])
        for one in (lambda part: part.images.sum(axis=(1, 2, 3)), lambda part: part.labels)
    )
    right = [np.mean((totals > threshold) == labels) for threshold in np.unique(totals)]
    assert 0.56 < max(max(right), 1 - min(right)) < 0.63


def test_patterns() -> None:
    data = Xfel(size=16, train=130, validation=20, test=20).load()
    assert data.classes == ("open", "closed")
    assert data.shape == (1, 16, 16)
    assert data.train.images.dtype.kind == "u"
    for part in (data.train, data.validation, data.test):
        assert abs(int(np.count_nonzero(part.labels == 0)) * 2 - len(part)) <= 1
    flat = [image.tobytes() for part in (data.train, data.validation, data.test) for image in part.images]
    assert len(set(flat)) == len(flat)


def test_bits_depend_on_the_seed_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = {"size": 16, "train": 100, "validation": 10, "test": 10}
    first = Xfel(**settings).load()
    longer = simulate((OPEN, CLOSED), Detector(16), 1e15, {"train": 300}, 0)["train"]
    assert np.array_equal(longer[:100], first.train.images)
    monkeypatch.setattr(source, "_read", lambda *_: None)  # made again, not read
    assert Xfel(**settings).load().fingerprint == first.fingerprint
    assert Xfel(**settings, seed=1).load().fingerprint != first.fingerprint


def test_the_cache_is_used_and_a_damaged_one_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = {"size": 16, "train": 20, "validation": 10, "test": 10}
    first = Xfel(**settings).load().fingerprint
    (file,) = (tmp_path / "cache/xfel").iterdir()
    whole = file.read_bytes()
    file.write_bytes(whole[: len(whole) // 2])
    assert Xfel(**settings).load().fingerprint == first
    assert file.read_bytes() == whole
    monkeypatch.setattr(source, "simulate", lambda *_: pytest.fail("simulated in spite of the cache"))
    assert Xfel(**settings).load().fingerprint == first


def test_bad_settings() -> None:
    from a4nn_core.data import DATA_SOURCES

    with pytest.raises(BadInput, match="there is no beam 'bright'; known: low, medium, high, or a number"):
        DATA_SOURCES.make({"name": "xfel", "beam": "bright"}, "[data]")
    with pytest.raises(BadInput, match="size = 4"):
        DATA_SOURCES.make({"name": "xfel", "size": 4}, "[data]")
