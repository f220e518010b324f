"""Protein structures as atoms: elements, coordinates, and optionally B factors."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property
from importlib.resources import files

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Structure:
    """One conformation of a molecule.

    Attributes:
        name: name of the conformation.
        elements: chemical symbols, shape (atoms,).
        xyz: coordinates in Angstrom, centred, shape (atoms, 3).
        b: isotropic B factors in square Angstrom, shape (atoms,); None for atoms at rest.
    """

    name: str
    elements: NDArray[np.str_]
    xyz: NDArray[np.float32]
    b: NDArray[np.float32] | None = None

    @cached_property
    def diameter(self) -> float:
        """The largest distance between two atoms in Angstrom (an upper bound if all atoms are in a plane)."""
        from scipy.spatial import ConvexHull, QhullError
        from scipy.spatial.distance import pdist

        xyz = self.xyz.astype(np.float64)
        if len(xyz) > 100:
            try:
                xyz = xyz[ConvexHull(xyz).vertices]
            except QhullError:  # all in a plane, which has no hull
                return 2 * float(np.linalg.norm(xyz - xyz.mean(axis=0), axis=1).max())
        return max(float(pdist(xyz).max(initial=0.0)), 1.0)

    @property
    def checksum(self) -> str:
        """SHA-256 (hexadecimal) of the atoms."""
        digest = hashlib.sha256(" ".join(self.elements).encode())
        digest.update(self.xyz.astype("<f4").tobytes())
        digest.update(b"" if self.b is None else self.b.astype("<f4").tobytes())
        return digest.hexdigest()


SHIPPED = {"adk-open": "open", "adk-closed": "closed"}
"""the structures that ship with the package, by name: adenylate kinase of E. coli"""


def shipped(name: str) -> Structure:
    """A structure of ``SHIPPED``: PDB 4AKE (open) or 1AKE (closed), 1,656 heavy atoms each."""
    conformation = SHIPPED[name]
    with (
        (files("a4nn_core.data.xfel") / "adenylate_kinase.npz").open("rb") as file,
        np.load(file, allow_pickle=False) as arrays,
    ):
        return Structure(conformation, arrays[f"{conformation}_elements"], arrays[f"{conformation}_xyz"])


def adenylate_kinase() -> tuple[Structure, Structure]:
    """Adenylate kinase, open and closed."""
    return shipped("adk-open"), shipped("adk-closed")
