"""Orientations of molecules: numbered and seeded, so that any part of them can be computed by itself.

An orientation is three Euler angles in degrees, phi, theta, psi, in the convention of electron microscopy
(ZYZ; Heymann, Chagoyen and Belnap, J. Struct. Biol. 151, 2005): phi and theta are the viewing direction, psi
rotates the pattern in its plane. A molecule's atoms ``r`` are seen at ``R r`` with ``R = Rz(psi) Ry(theta)
Rz(phi)``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from a4nn_core.errors import BadInput

# Purposes of random numbers: streams of different purposes never meet.
ORIENTATION, PHOTONS, SHUFFLE = 0, 1, 2
BLOCK = 1024


def stream(seed: int, purpose: int, *counter: int) -> np.random.Generator:
    """A stream of random numbers, counter-based (Philox; Salmon et al., SC 2011), so that the numbers of a
    pattern depend on the seed and the number of the pattern, never on what was drawn before.

    Args:
        seed: below 2^64.
        purpose: one of the purposes above.
        counter: up to three numbers below 2^64 that identify what the numbers are for.
    """
    key = np.array([seed, purpose], dtype=np.uint64)
    # the first word counts the draws
    words = np.array([0, *counter, *(0,) * (3 - len(counter))], dtype=np.uint64)
    return np.random.Generator(np.random.Philox(key=key, counter=words))


@dataclass(frozen=True)
class Orientations:
    """A sequence of orientations.

    Attributes:
        seed: seed of the sequence.
        geodesic: 0 for orientations uniform on SO(3), without end; else the frequency n of a geodesic grid on
            the sphere, whose 10 n^2 + 2 directions come once each in a random order, with a uniform angle in
            the plane. 63 yields the 39,692 directions of the published images, about a degree apart.
    """

    seed: int
    geodesic: int = 0

    @property
    def count(self) -> int | None:
        """Number of orientations, None if there is no end."""
        return 10 * self.geodesic**2 + 2 if self.geodesic else None

    def check(self, needed: int) -> None:
        """Raise BadInput if there are fewer than ``needed``."""
        if self.count is not None and needed > self.count:
            raise BadInput(
                f"{needed:,} orientations are asked for, but a geodesic grid of frequency {self.geodesic} "
                f"has {self.count:,}"
            )

    def angles(self, start: int, stop: int) -> NDArray[np.float64]:
        """Phi in [-180, 180), theta in [0, 180], psi in [0, 360) of orientations start..stop-1, in degrees.

        Returns:
            shape (stop - start, 3).
        """
        self.check(stop)
        blocks = range(start // BLOCK, max(start, stop - 1) // BLOCK + 1)
        uniform = np.concatenate([stream(self.seed, ORIENTATION, b).random((BLOCK, 3)) for b in blocks])
        uniform = uniform[start - blocks[0] * BLOCK :][: stop - start]
        angles = np.empty_like(uniform)
        if self.geodesic:
            order = stream(self.seed, SHUFFLE, self.geodesic).permutation(self.count or 0)
            x, y, z = geodesic_directions(self.geodesic)[order[start:stop]].T
            angles[:, 0] = np.degrees(np.arctan2(y, x))
            angles[:, 1] = np.degrees(np.arctan2(np.hypot(x, y), z))
        else:
            angles[:, 0] = 360 * uniform[:, 0] - 180
            # the area of a sphere between two heights is proportional to their difference (Archimedes)
            angles[:, 1] = np.degrees(np.arccos(1 - 2 * uniform[:, 1]))
        angles[:, 2] = 360 * uniform[:, 2]
        return angles


def rotation_matrices(angles: NDArray[np.float64]) -> NDArray[np.float64]:
    """``Rz(psi) Ry(theta) Rz(phi)``.

    Args:
        angles: phi, theta, psi in degrees, shape (count, 3).

    Returns:
        shape (count, 3, 3).
    """
    (cf, ct, cp), (sf, st, sp) = np.cos(np.radians(angles)).T, np.sin(np.radians(angles)).T
    rows = [
        [cp * ct * cf - sp * sf, -cp * ct * sf - sp * cf, cp * st],
        [sp * ct * cf + cp * sf, -sp * ct * sf + cp * cf, sp * st],
        [-st * cf, st * sf, ct],
    ]
    return np.stack([np.stack(row, axis=-1) for row in rows], axis=1)


def geodesic_directions(frequency: int) -> NDArray[np.float64]:
    """Vertices of an icosahedron whose edges are cut into ``frequency`` parts, projected to the unit sphere.

    Returns:
        shape (10 frequency^2 + 2, 3), sorted from the north pole down.
    """
    golden = (1 + 5**0.5) / 2
    signs = [(a, b) for a in (-1, 1) for b in (-1, 1)]
    corners = np.array(
        [(0, a, b * golden) for a, b in signs]
        + [(a, b * golden, 0) for a, b in signs]
        + [(b * golden, 0, a) for a, b in signs]
    )
    near = np.isclose(np.linalg.norm(corners[:, None] - corners[None], axis=-1), 2)
    faces = [
        (i, j, k)
        for i in range(12)
        for j in range(i + 1, 12)
        for k in range(j + 1, 12)
        if near[i, j] and near[j, k] and near[i, k]
    ]
    steps = [(a, b, frequency - a - b) for a in range(frequency + 1) for b in range(frequency + 1 - a)]
    weights = np.array(steps) / frequency
    points = np.concatenate([weights @ corners[list(face)] for face in faces])
    points /= np.linalg.norm(points, axis=1, keepdims=True)
    # vertices on edges come from both faces; rounding makes them equal, and the order the same everywhere
    rounded = points.round(9) + 0.0
    _, first = np.unique(rounded, axis=0, return_index=True)
    unique, keys = points[first], rounded[first]
    ordered: NDArray[np.float64] = unique[np.lexsort((keys[:, 0], keys[:, 1], -keys[:, 2]))]
    return ordered
