"""Make the structures that the package ships, from the PyPI source distribution of MDAnalysisTests.

    pip download --no-deps MDAnalysisTests
    python tools/make_structures.py mdanalysistests-*.tar.gz a4nn_core/data/xfel/adenylate_kinase.npz

The files are the coordinates of PDB entries 4AKE (open) and 1AKE (closed), which are in the public domain
(CC0). Their element columns are blank, so the element is taken from the atom name, in which the element of a
protein's heavy atom is the first letter: CA is a carbon.
"""

from __future__ import annotations

import sys
import tarfile

import numpy as np

MASS = {"C": 12.011, "N": 14.007, "O": 15.999, "S": 32.06}


def heavy_atoms(text: str) -> tuple[np.ndarray, np.ndarray]:
    """Elements and coordinates (Angstrom, centred at the centre of mass) of a PDB file's heavy atoms."""
    elements, positions = [], []
    for line in text.splitlines():
        if not line.startswith("ATOM"):
            continue
        element = line[12:16].strip().lstrip("0123456789")[0]
        if element != "H":
            elements.append(element)
            positions.append([float(line[start : start + 8]) for start in (30, 38, 46)])
    xyz = np.array(positions)
    mass = np.array([MASS[element] for element in elements])
    return np.array(elements), (xyz - mass @ xyz / mass.sum()).astype(np.float32)


def main(source: str, target: str) -> None:
    """Read the two files from the archive and write the arrays."""
    arrays = {}
    with tarfile.open(source) as archive:
        for conformation in ("open", "closed"):
            (member,) = (m for m in archive.getmembers() if m.name.endswith(f"/adk_{conformation}.pdb"))
            file = archive.extractfile(member)
            assert file
            elements, xyz = heavy_atoms(file.read().decode())
            assert len(elements) == 1656
            arrays[f"{conformation}_elements"] = elements
            arrays[f"{conformation}_xyz"] = xyz
    np.savez_compressed(target, **arrays)


if __name__ == "__main__":
    main(*sys.argv[1:])
