"""The simulator against physics: the direct sum over atoms, symmetries, the published geometry."""

from __future__ import annotations

import dataclasses

import gemmi
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from a4nn_core.data.xfel.detector import Detector
from a4nn_core.data.xfel.form_factors import FORM_FACTORS, form_factor
from a4nn_core.data.xfel.grid import IntensityGrid, structure_factor
from a4nn_core.data.xfel.orientations import (
    Orientations,
    geodesic_directions,
    rotation_matrices,
)
from a4nn_core.data.xfel.simulator import Simulator
from a4nn_core.data.xfel.structures import Structure, adenylate_kinase
from a4nn_core.errors import BadInput

OPEN, CLOSED = adenylate_kinase()
WITH_B = dataclasses.replace(OPEN, b=np.linspace(5, 90, len(OPEN.xyz), dtype=np.float32))


def turns(seed: int, count: int) -> np.ndarray:
    return rotation_matrices(Orientations(seed).angles(0, count))


def test_the_shipped_structures() -> None:
    # PDB 4AKE and 1AKE: 214 residues, 1,656 heavy atoms
    for structure in (OPEN, CLOSED):
        assert len(structure.elements) == len(structure.xyz) == 1656
        assert set(structure.elements) == set("CNOS")
        assert np.count_nonzero(structure.elements == "S") == 7  # 6 methionines and 1 cysteine
    # domain closure makes the molecule more compact
    gyration = [np.sqrt((s.xyz**2).sum(axis=1).mean()) for s in (OPEN, CLOSED)]
    assert gyration[0] > gyration[1] + 1
    assert OPEN.diameter > CLOSED.diameter + 5


def test_the_diameter_is_the_largest_distance() -> None:
    distances = np.linalg.norm(OPEN.xyz[:, None] - OPEN.xyz[None], axis=-1)
    assert OPEN.diameter == pytest.approx(distances.max(), rel=1e-5)


@pytest.mark.parametrize("element", FORM_FACTORS)
def test_form_factors_are_those_of_gemmi(element: str) -> None:
    q = np.linspace(0, 1, 11)
    oracle = gemmi.Element(element).it92
    assert form_factor(element, q) == pytest.approx([oracle.calculate_sf((x / 2) ** 2) for x in q], rel=1e-5)
    # at rest, an atom scatters like its electrons
    assert form_factor(element, np.zeros(1))[0] == pytest.approx(
        gemmi.Element(element).atomic_number, rel=2e-2
    )


def test_unknown_elements_are_refused() -> None:
    with pytest.raises(BadInput, match="no form factor for element 'Xx'"):
        form_factor("Xx", np.zeros(1))
    odd = Structure("odd", np.array(["C", "Xx", "Xx"]), np.zeros((3, 3), np.float32))
    with pytest.raises(BadInput, match=r"structure odd: atoms of elements without a form factor: Xx \(2\)"):
        Simulator([odd], Detector(16), Orientations(0))
    with pytest.raises(BadInput, match="at least one structure is needed"):
        Simulator([], Detector(16), Orientations(0))


@pytest.mark.parametrize("structure", [OPEN, WITH_B], ids=["at rest", "B factors"])
@pytest.mark.parametrize(("oversampling", "error"), [(5, 0.03), (10, 0.01)])
def test_slices_equal_the_direct_sum(structure: Structure, oversampling: float, error: float) -> None:
    detector = Detector(24)
    q = detector.q.reshape(-1, 3)
    grid = IntensityGrid.of(structure, detector.q_max, oversampling)
    rotations = turns(1, 3)
    sliced = grid.slices(torch.from_numpy(q).float(), torch.from_numpy(rotations).float()).numpy()
    for rotation, pattern in zip(rotations, sliced, strict=True):
        # the amplitude of the turned molecule, atom by atom
        turned = dataclasses.replace(structure, xyz=(structure.xyz @ rotation.T).astype(np.float32))
        exact = np.abs(structure_factor(turned, q)) ** 2
        assert np.linalg.norm(pattern - exact) < error * np.linalg.norm(exact)


def test_the_grid_is_exact_at_its_points() -> None:
    grid = IntensityGrid.of(WITH_B, 0.03, 3)
    m = grid.values.shape[0] // 2
    axis = np.linspace(-grid.extent, grid.extent, 2 * m + 1)
    z, y, x = np.meshgrid(axis, axis, axis, indexing="ij")
    exact = np.abs(structure_factor(WITH_B, np.stack([x, y, z], axis=-1).reshape(-1, 3))) ** 2
    np.testing.assert_allclose(grid.values.numpy().ravel(), exact, rtol=1e-5)


def test_symmetries() -> None:
    rng = np.random.default_rng(1)
    q = rng.normal(0, 0.02, (50, 3))
    intensity = np.abs(structure_factor(OPEN, q)) ** 2
    np.testing.assert_allclose(np.abs(structure_factor(OPEN, -q)) ** 2, intensity, rtol=1e-9)  # Friedel
    moved = dataclasses.replace(OPEN, xyz=OPEN.xyz + np.float32([5, -3, 2]))
    np.testing.assert_allclose(np.abs(structure_factor(moved, q)) ** 2, intensity, rtol=1e-3, atol=1)
    turn = turns(2, 1)[0]
    turned = dataclasses.replace(OPEN, xyz=(OPEN.xyz @ turn.T).astype(np.float32))
    np.testing.assert_allclose(
        np.abs(structure_factor(turned, q @ turn.T)) ** 2, intensity, rtol=1e-3, atol=1
    )
    forward = sum(form_factor(str(e), np.zeros(1))[0] for e in OPEN.elements)
    assert structure_factor(OPEN, np.zeros((1, 3)))[0] == pytest.approx(forward)
    grid = IntensityGrid.of(OPEN, 0.02, 4).values
    assert torch.equal(grid, grid.flip(0, 1, 2))
    assert float(grid[(grid.shape[0] // 2,) * 3]) == pytest.approx(forward**2, rel=1e-6)


@pytest.mark.slow
def test_superposition_makes_no_difference() -> None:
    """The molecule turned and moved beforehand, the pattern's orientation turned back: the same pattern."""
    detector = Detector(32)
    before = turns(3, 1)[0]
    moved = dataclasses.replace(OPEN, xyz=(OPEN.xyz @ before.T + [7, 1, -4]).astype(np.float32))
    q = torch.from_numpy(detector.q.reshape(-1, 3)).float()
    for rotation in turns(4, 2):
        plain, other = (
            IntensityGrid.of(s, detector.q_max, 10).slices(q, torch.from_numpy(r[None]).float())[0].numpy()
            for s, r in ((OPEN, rotation), (moved, rotation @ before.T))
        )
        assert np.linalg.norm(plain - other) < 0.015 * np.linalg.norm(plain)


@pytest.mark.parametrize("geodesic", [0, 20])
def test_rotations_are_rotations_and_uniform(geodesic: int) -> None:
    matrices = rotation_matrices(Orientations(5, geodesic).angles(0, 4000))
    eye = np.broadcast_to(np.eye(3), matrices.shape)
    np.testing.assert_allclose(matrices @ matrices.transpose(0, 2, 1), eye, atol=1e-12)
    assert np.allclose(np.linalg.det(matrices), 1)
    # moments of the Haar measure: E R = 0, E R_ij^2 = 1/3, E R_ij^4 = 1/5 (z on a sphere is uniform)
    assert np.abs(matrices.mean(axis=0)).max() < 0.05
    assert (matrices**2).mean(axis=0) == pytest.approx(np.full((3, 3), 1 / 3), abs=0.025)
    assert (matrices**4).mean(axis=0) == pytest.approx(np.full((3, 3), 1 / 5), abs=0.025)


@given(seed=st.integers(0, 2**63 - 1), cuts=st.lists(st.integers(0, 2500), min_size=2, max_size=2))
@settings(max_examples=25, deadline=None)
def test_an_orientation_depends_on_its_number_alone(seed: int, cuts: list[int]) -> None:
    start, stop = sorted(cuts)
    orientations = Orientations(seed)
    assert np.array_equal(orientations.angles(0, 2500)[start:stop], orientations.angles(start, stop))


def test_angles_are_in_their_ranges() -> None:
    for orientations in (Orientations(6), Orientations(6, 12)):
        phi, theta, psi = orientations.angles(0, 1442).T
        assert phi.min() >= -180
        assert phi.max() <= 180
        assert theta.min() >= 0
        assert theta.max() <= 180
        assert psi.min() >= 0
        assert psi.max() < 360


@pytest.mark.parametrize("frequency", [1, 2, 5, 12])
def test_geodesic_grid(frequency: int) -> None:
    directions = geodesic_directions(frequency)
    assert directions.shape == (10 * frequency**2 + 2, 3)
    assert np.allclose(np.linalg.norm(directions, axis=1), 1)
    distances = np.linalg.norm(directions[:, None] - directions[None], axis=-1) + 9 * np.eye(len(directions))
    # an icosahedron's edge is seen under 63.43 degrees; pushing out stretches the middle of a face
    nearest = np.degrees(2 * np.arcsin(distances.min(axis=1) / 2)) * frequency
    assert 0.78 * 63.43 < nearest.min() <= nearest.max() < 1.22 * 63.43
    assert np.abs(directions.mean(axis=0)).max() < 1e-9


def test_the_published_grid_has_the_published_number_of_directions() -> None:
    assert Orientations(0, 63).count == 39_692  # 31,754 + 7,938 images of a conformation and beam


def test_each_geodesic_direction_comes_once() -> None:
    angles = Orientations(8, 5).angles(0, 252)
    seen = {tuple(row) for row in angles[:, :2].round(6)}
    assert len(seen) == 252
    assert not np.array_equal(angles, Orientations(9, 5).angles(0, 252))
    with pytest.raises(BadInput, match=r"253 orientations are asked for, but .* frequency 5 has 252"):
        Orientations(8, 5).angles(0, 253)


def test_the_ewald_sphere() -> None:
    detector = Detector(127)
    q = detector.q
    assert np.allclose(q[63, 63], 0)
    length = np.linalg.norm(q, axis=-1)
    # facts of the published geometry: the edge, 63 pixels, is at 19 Angstrom
    assert 1 / length[63, 126] == pytest.approx(19, abs=0.2)
    assert detector.q_max == pytest.approx(length.max())
    # every q lies on the sphere of radius 1/wavelength that passes the origin
    assert np.allclose(np.linalg.norm(q + np.array([0, 0, 1]), axis=-1), 1)
    for size in (32, 64):
        edge = np.linalg.norm(Detector(size).q, axis=-1)[:, size // 2].max()
        assert edge == pytest.approx(length[63, 126], rel=0.03)


def test_beam_stop() -> None:
    seen = Detector(127).photons > 0
    assert not seen[63, 63 - 15 : 63 + 16].any()
    assert seen[63, 63 + 16]
    assert seen[63, 63 - 16]
    # the same share of the area at every size
    assert np.mean(Detector(64).photons > 0) == pytest.approx(seen.mean(), abs=0.005)


def test_solid_angle_and_polarisation() -> None:
    # long waves and a close detector, where the factors are far from one
    wide = Detector(127, wavelength=10.0, reference_stop=0.0)
    radians = np.arctan(wide.radius * wide.pitch * 10.0)
    slope = wide.pitch * 10.0
    expected = 7.9407e-10 * slope**2 * np.cos(radians) ** 3 * (1 + np.cos(radians) ** 2) / 2  # r_e^2 in A^2
    np.testing.assert_allclose(wide.photons, expected, rtol=1e-4)
    linear = dataclasses.replace(wide, polarisation="horizontal").photons
    # no dipole radiation along the field; as much as without polarisation on the average over directions
    assert (
        linear[63, 0]
        < linear[0, 63]
        == pytest.approx(slope**2 * 7.9407e-10 * np.cos(radians[0, 63]) ** 3, rel=1e-4)
    )
    assert linear.sum() == pytest.approx(wide.photons.sum(), rel=1e-6)
