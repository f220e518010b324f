"""Structures from PDB and mmCIF files and from the Protein Data Bank."""

from __future__ import annotations

import hashlib
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from a4nn_core.data.cache import cache_folder
from a4nn_core.data.xfel.form_factors import FORM_FACTORS
from a4nn_core.data.xfel.structures import SHIPPED, Structure, shipped
from a4nn_core.errors import BadInput
from a4nn_core.files import atomic_write_bytes, make_folder

if TYPE_CHECKING:
    import gemmi

ENTRY = re.compile(r"(?:pdb:)?([0-9][A-Za-z0-9]{3})")
# what the heavy atoms of amino acids and nucleotides are made of; "CA" in a residue is never calcium
ORGANIC = {"H", "D", "C", "N", "O", "P", "S", "Se"}


def load_structure(source: str, *, b_factors: bool = False) -> Structure:
    """Load a structure.

    Args:
        source: a shipped structure (``adk-open``, ``adk-closed``), the path of a PDB or mmCIF file (may be
            gzipped), or the id of an entry of the Protein Data Bank, which is downloaded once; a suffix
            ``:A`` or ``:A,B`` selects chains, a prefix ``name=`` names the class.
        b_factors: whether to blur atoms by their B factors; otherwise they are at rest.

    Raises:
        BadInput: there is no such structure or chain, the file cannot be read or has no atoms, or an element
            has no form factor.
    """
    title, equals, rest = source.partition("=")
    if not equals:
        title, rest = "", source
    where, chains = _split_chains(rest)
    if where in SHIPPED and not Path(where).exists():
        if chains:
            raise BadInput(f"structure {source!r}: the shipped structures have no chains to select")
        made = shipped(where)
        return Structure(title or made.name, made.elements, made.xyz)
    entry = ENTRY.fullmatch(where)
    if not Path(where).is_file():
        if entry is None:
            raise BadInput(
                f"structure {source!r} is neither a file, nor the id of a PDB entry, "
                f"nor one of {', '.join(SHIPPED)}"
            )
        path, stem = _download(entry.group(1).lower()), entry.group(1).lower()
    else:
        path = Path(where)
        stem = re.sub(r"\.(pdb|ent|cif|mmcif)(\.gz)?$", "", path.name, flags=re.IGNORECASE)
    name = title or stem + "".join(chains).lower()
    if not re.fullmatch(r"[A-Za-z0-9._-]+", name):
        raise BadInput(f"structure {source!r}: {name!r} is not a name for a class; put name= before the path")
    return read_structure(path, name, chains, b_factors=b_factors)


def _split_chains(text: str) -> tuple[str, list[str]]:
    where, colon, chains = text.rpartition(":")
    if not colon or Path(text).exists() or where == "pdb" or not re.fullmatch(r"[A-Za-z0-9,]+", chains):
        return text, []
    return where, [chain for chain in chains.split(",") if chain]


def read_structure(
    path: Path, name: str, chains: list[str] | None = None, *, b_factors: bool = False
) -> Structure:
    """The heavy atoms of the polymer in a PDB or mmCIF file's first model.

    Waters, ligands, ions and hydrogens are dropped; of alternate locations the most occupied one is kept.

    Args:
        path: path of the file.
        name: name of the structure.
        chains: names of the chains to take; empty for all.
        b_factors: see load_structure.

    Raises:
        BadInput: see load_structure.
    """
    import gemmi

    try:
        document = gemmi.read_structure(str(path))
    except (OSError, RuntimeError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise BadInput(f"structure file {path} cannot be read: {reason}") from None
    if len(document) == 0:
        raise BadInput(f"structure file {path} has no atoms")
    model = document[0]
    known = [chain.name for chain in model]
    absent = [chain for chain in chains or [] if chain not in known]
    if absent:
        there = ", ".join(dict.fromkeys(known)) or "none"
        raise BadInput(f"structure file {path} has no chain {absent[0]!r}; it has {there}")
    elements: list[str] = []
    rows: list[list[float]] = []
    unknown: dict[str, int] = {}
    for chain in model:
        if chains and chain.name not in chains:
            continue
        for residue in chain:
            polymer = _is_polymer(residue)
            if not polymer and (residue.is_water() or residue.het_flag == "H"):
                continue
            for atom in _one_location(residue):
                element = _element(atom, polymer)
                if element in ("H", "D"):
                    continue
                if element not in FORM_FACTORS:
                    unknown[element] = unknown.get(element, 0) + 1
                elements.append(element)
                rows.append([*atom.pos.tolist(), atom.b_iso])
    if unknown:
        listed = ", ".join(f"{element} ({n} atoms)" for element, n in unknown.items())
        raise BadInput(f"structure file {path} has elements without a form factor: {listed}")
    if not elements:
        raise BadInput(f"structure file {path} has no atoms of a protein or nucleic acid")
    table = np.array(rows)
    if not np.isfinite(table).all():
        raise BadInput(f"structure file {path} has coordinates that are not finite")
    mass = np.array([gemmi.Element(element).weight for element in elements])
    centred = table[:, :3] - mass @ table[:, :3] / mass.sum()
    b = np.maximum(table[:, 3], 0).astype(np.float32) if b_factors else None
    return Structure(name, np.array(elements), centred.astype(np.float32), b)


def _is_polymer(residue: gemmi.Residue) -> bool:
    import gemmi

    info = gemmi.find_tabulated_residue(residue.name)
    if info.is_amino_acid() or info.is_nucleic_acid():
        return True
    # modified residues, and the names that molecular dynamics gives to protonation states, have a backbone
    names = {atom.name for atom in residue}
    return names >= {"N", "CA", "C"} or names >= {"C1'", "C4'", "O4'"}


def _one_location(residue: gemmi.Residue) -> list[Any]:
    """The residue's atoms; of those with alternate locations, of each name the most occupied one."""
    best: dict[str, Any] = {}
    for atom in residue:
        rival = best.get(atom.name)
        if rival is None or (atom.altloc != rival.altloc and atom.occ > rival.occ):
            best[atom.name] = atom
    return list(best.values())


def _element(atom: gemmi.Atom, polymer: bool) -> str:
    """The element, from the atom's name where its column is blank or has been guessed wrongly."""
    element = str(atom.element.name)
    if polymer and element not in ORGANIC:
        return atom.name.lstrip("0123456789'\"")[:1].upper() or "X"
    return element


def _download(entry: str) -> Path:
    """The mmCIF file of an entry: from the cache if its checksum is right, otherwise downloaded."""
    folder = cache_folder() / "structures"
    path, sums = folder / f"{entry}.cif.gz", folder / f"{entry}.sha256"
    try:
        content = path.read_bytes()
        if hashlib.sha256(content).hexdigest() == sums.read_text().strip():
            return path
    except OSError:
        pass
    from urllib.error import HTTPError, URLError
    from urllib.request import urlopen

    address = f"{os.environ.get('A4NN_PDB_URL', 'https://files.rcsb.org/download')}/{entry}.cif.gz"
    try:
        with urlopen(address, timeout=30) as answer:
            content = answer.read()
    except HTTPError as error:
        if error.code == 404:
            raise BadInput(f"the Protein Data Bank has no entry {entry}") from None
        raise BadInput(f"PDB entry {entry} cannot be downloaded from {address}: {error}") from None
    except (URLError, OSError) as error:
        reason = getattr(error, "reason", error)
        raise BadInput(
            f"PDB entry {entry} cannot be downloaded from {address} ({reason}); "
            "give the path of a file instead"
        ) from None
    make_folder(folder)
    atomic_write_bytes(path, content)
    atomic_write_bytes(sums, hashlib.sha256(content).hexdigest().encode())
    return path
