"""Protein structures as atoms: elements and coordinates."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.resources import files

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Structure:
    """One conformation of a molecule.

    Attributes:
        name: of the conformation.
        elements: chemical symbols, shape (atoms,).
        xyz: coordinates in Angstrom, centred, shape (atoms, 3).
    """

    name: str
    elements: NDArray[np.str_]
    xyz: NDArray[np.float32]

    @property
    def diameter(self) -> float:
        """An upper bound, in Angstrom, on the distance of two atoms: twice the largest radius."""
        return 2 * float(np.linalg.norm(self.xyz - self.xyz.mean(axis=0), axis=1).max())


def adenylate_kinase() -> tuple[Structure, Structure]:
    """Adenylate kinase of E. coli, open (PDB 4AKE) and closed (PDB 1AKE), 1,656 heavy atoms each."""
    with (
        (files("a4nn_core.data.xfel") / "adenylate_kinase.npz").open("rb") as file,
        np.load(file, allow_pickle=False) as arrays,
    ):
        opened, closed = (
            Structure(name, arrays[f"{name}_elements"], arrays[f"{name}_xyz"]) for name in ("open", "closed")
        )
    return opened, closed
