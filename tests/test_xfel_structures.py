"""Structures from files: what counts as the molecule, what is refused, and eEF2 as it was published."""

from __future__ import annotations

import gzip
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import gemmi
import numpy as np
import pytest

from a4nn_core.data.xfel.detector import Detector
from a4nn_core.data.xfel.orientations import Orientations
from a4nn_core.data.xfel.simulator import Simulator
from a4nn_core.data.xfel.source import Xfel, load_conformations
from a4nn_core.data.xfel.structure_files import load_structure
from a4nn_core.errors import BadInput

Line = tuple[str, str, str, str, int, tuple[float, float, float], str]


def pdb(*atoms: Line) -> str:
    """A PDB file of (record, name, residue, chain, number, position, element) and alternate location A, B or
    blank as the name's last letter after a slash; B factors and occupancies count up."""
    lines = []
    for serial, (record, name, residue, chain, number, (x, y, z), element) in enumerate(atoms, 1):
        name, _, location = name.partition("/")
        occupancy = 0.6 if location == "B" else 0.4 if location else 1.0
        lines.append(
            f"{record:<6}{serial:>5} {name:<4}{location or ' '}{residue:>3} {chain}{number:>4}    "
            f"{x:8.3f}{y:8.3f}{z:8.3f}{occupancy:6.2f}{serial:6.2f}          {element:>2}"
        )
    return "\n".join([*lines, "END", ""])


GLYCINE = (
    ("ATOM", " N", "GLY", "A", 1, (0.0, 0.0, 0.0), "N"),
    ("ATOM", " CA", "GLY", "A", 1, (1.5, 0.0, 0.0), "C"),
    ("ATOM", " C", "GLY", "A", 1, (2.0, 1.4, 0.0), "C"),
    ("ATOM", " O", "GLY", "A", 1, (1.3, 2.4, 0.0), "O"),
)


def write(folder: Path, name: str, *atoms: Line) -> str:
    (folder / name).write_text(pdb(*atoms))
    return str(folder / name)


def test_waters_ligands_ions_and_hydrogens_are_dropped(tmp_path: Path) -> None:
    source = write(
        tmp_path, "all.pdb",
        *GLYCINE,
        ("ATOM", " HA2", "GLY", "A", 1, (1.8, -0.5, 0.9), "H"),
        ("HETATM", "CA", " CA", "A", 2, (9.0, 9.0, 9.0), "CA"),
        ("HETATM", " C1", "SO1", "A", 3, (8.0, 9.0, 9.0), "C"),
        ("HETATM", " O", "HOH", "A", 4, (7.0, 9.0, 9.0), "O"),
    )  # fmt: skip
    structure = load_structure(source)
    assert structure.name == "all"
    assert structure.elements.tolist() == ["N", "C", "C", "O"]
    assert structure.b is None
    mass = np.array([14.007, 12.011, 12.011, 15.999])
    assert mass @ structure.xyz == pytest.approx([0, 0, 0], abs=5e-3)
    assert structure.xyz[1] - structure.xyz[0] == pytest.approx([1.5, 0, 0], abs=1e-5)
    assert load_structure(source, b_factors=True).b == pytest.approx([1, 2, 3, 4])


def test_modified_residues_belong_to_the_molecule(tmp_path: Path) -> None:
    names = (("N", "N"), ("CA", "C"), ("C", "C"), ("O", "O"), ("CB", "C"), ("CG", "C"), ("SE", "SE"))
    selenomethionine = [
        ("HETATM", name if len(element) == 2 else f" {name}", "MSE", "A", 5, (float(i), 0.0, 0.0), element)
        for i, (name, element) in enumerate(names)
    ]
    structure = load_structure(write(tmp_path, "mse.pdb", *GLYCINE, *selenomethionine))
    assert structure.elements.tolist() == ["N", "C", "C", "O", "N", "C", "C", "O", "C", "C", "Se"]


def test_blank_elements_come_from_the_names(tmp_path: Path) -> None:
    # shifted a column, as molecular dynamics programs write them: CA would be calcium
    blank = [(*atom[:1], atom[1].strip(), *atom[2:6], "") for atom in GLYCINE]
    assert load_structure(write(tmp_path, "b.pdb", *blank)).elements.tolist() == ["N", "C", "C", "O"]


def test_of_alternate_locations_the_most_occupied_one_stays(tmp_path: Path) -> None:
    alternate = [
        ("ATOM", f" CB/{letter}", "ALA", "A", 2, (x, 0.0, 0.0), "C") for letter, x in (("A", 5.0), ("B", 6.0))
    ]
    structure = load_structure(write(tmp_path, "alt.pdb", *GLYCINE, *alternate))
    assert len(structure.elements) == 5
    assert structure.xyz[4, 0] - structure.xyz[0, 0] == pytest.approx(6)


def test_chains_names_and_formats(tmp_path: Path) -> None:
    other = [(*atom[:3], "B", *atom[4:]) for atom in GLYCINE[:3]]
    source = write(tmp_path, "two.pdb", *GLYCINE, *other)
    assert len(load_structure(source).elements) == 7
    assert len(load_structure(f"{source}:B").elements) == 3
    assert load_structure(f"{source}:B").name == "twob"
    assert len(load_structure(f"both={source}:A,B").elements) == 7
    assert load_structure(f"both={source}:A,B").name == "both"
    with pytest.raises(BadInput, match=r"two\.pdb has no chain 'C'; it has A, B"):
        load_structure(f"{source}:C")
    document = gemmi.read_structure(source)
    document.setup_entities()
    (tmp_path / "two.cif").write_text(document.make_mmcif_document().as_string())
    (tmp_path / "two.pdb.gz").write_bytes(gzip.compress(Path(source).read_bytes()))
    for same in ("two.cif", "two.pdb.gz"):
        made = load_structure(str(tmp_path / same))
        assert made.checksum == load_structure(source).checksum
        assert made.name == "two"


def test_bad_structures(tmp_path: Path) -> None:
    water = ("HETATM", " O", "HOH", "A", 4, (7.0, 9.0, 9.0), "O")
    odd = ("ATOM", "XE", "XXX", "A", 2, (0.0, 0.0, 0.0), "XE")
    empty, text = tmp_path / "empty.pdb", tmp_path / "text.cif"
    empty.write_text("")
    text.write_text("this is not a structure")
    for source, words in (
        (str(empty), "empty.pdb has no atoms"),
        (str(text), "text.cif cannot be read"),
        (write(tmp_path, "water.pdb", water), "water.pdb has no atoms of a protein"),
        (write(tmp_path, "odd.pdb", *GLYCINE, odd), r"odd\.pdb has elements .*Xe \(1 atoms\)"),
        (str(tmp_path / "none.pdb"), "is neither a file, nor the id of a PDB entry, nor one of adk-open"),
        (f"a b={tmp_path / 'water.pdb'}", "'a b' is not a name for a class"),
        ("adk-open:A", "have no chains"),
    ):
        with pytest.raises(BadInput, match=words):
            load_structure(source)


def test_conformations_must_differ() -> None:
    for sources, words in (
        (["adk-open"], "a single conformation, adk-open"),
        (["adk-open", "open=adk-closed"], "are both named 'open'"),
        (["adk-open", "other=adk-open"], "have the same atoms"),
    ):
        with pytest.raises(BadInput, match=words):
            load_conformations(sources)


def test_an_entry_is_downloaded_once_and_its_checksum_held(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    class Archive(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            found = self.path == "/1abc.cif.gz"
            self.send_response(200 if found else 404)
            self.end_headers()
            if found:
                document = gemmi.read_pdb_string(pdb(*GLYCINE))
                document.setup_entities()
                self.wfile.write(gzip.compress(document.make_mmcif_document().as_string().encode()))

        def log_message(self, *_: object) -> None:
            pass

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("A4NN_CACHE", str(tmp_path / "cache"))
    with HTTPServer(("127.0.0.1", 0), Archive) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setenv("A4NN_PDB_URL", f"http://127.0.0.1:{server.server_port}")
        assert len(load_structure("1ABC").elements) == 4
        assert load_structure("pdb:1abc:A").name == "1abca"
        assert asked == ["/1abc.cif.gz"]
        (tmp_path / "cache/structures/1abc.cif.gz").write_bytes(b"damaged")
        assert len(load_structure("1abc").elements) == 4
        assert len(asked) == 2
        with pytest.raises(BadInput, match="the Protein Data Bank has no entry 2xyz"):
            load_structure("2xyz")
        server.shutdown()
    assert len(load_structure("1abc").elements) == 4  # no network any more
    with pytest.raises(BadInput, match=r"PDB entry 3xyz cannot be downloaded .* give the path of a file"):
        load_structure("3xyz")


def test_a_data_set_of_three_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("A4NN_CACHE", str(tmp_path / "cache"))
    sources = [
        write(tmp_path, f"{name}.pdb", *GLYCINE, ("ATOM", " CB", "ALA", "A", 2, (far, 4.0, 1.0), "C"))
        for name, far in (("near", 5.0), ("middle", 15.0), ("far", 25.0))
    ]
    data = Xfel(structures=tuple(sources), size=16, train=30, validation=9, test=9, beam=1e19).load()
    assert data.classes == ("near", "middle", "far")
    assert np.bincount(data.train.labels).tolist() == [10, 10, 10]


@pytest.fixture(scope="module")
def eef2(reference_data: Path) -> list[str]:
    folder = reference_data / "structures"
    return [f"1n0u={folder / '1n0u.pdb'}:A", f"1n0vc={folder / '1n0v_chainC.pdb'}"]


@pytest.mark.golden
def test_eef2_has_the_atoms_of_its_entries(eef2: list[str], reference_data: Path) -> None:
    del reference_data
    first, second = load_conformations(eef2)
    # PDB 1N0U chain A and 1N0V chain C without waters and sordarin: C4057 N1086 O1202 S30 and 6,419 atoms
    assert {e: int(n) for e, n in zip(*np.unique(first.elements, return_counts=True), strict=True)} == {
        "C": 4057, "N": 1086, "O": 1202, "S": 30,
    }  # fmt: skip
    assert len(second.elements) == 6419
    # radii of gyration measured with an independent prototype: 37.5 and 33.6 Angstrom
    gyration = [np.sqrt((s.xyz**2).sum(axis=1).mean()) for s in (first, second)]
    assert gyration == pytest.approx([37.5, 33.6], abs=0.1)


@pytest.mark.slow
@pytest.mark.golden
def test_eef2_scatters_as_many_photons_as_measured(eef2: list[str], reference_data: Path) -> None:
    del reference_data
    detector = Detector(64, reference_pitch=7.874e-4)
    simulator = Simulator(load_conformations(eef2), detector, Orientations(0))
    fluences = [1e14, 1e15, 1e16]
    photons = simulator.patterns(0, 60, fluences).sum(axis=(3, 4)).mean(axis=(0, 1))
    # measured with an independent prototype at this pitch: 132.8, 1,334 and 13,250 photons an image
    assert photons == pytest.approx([133, 1334, 13250], rel=0.15)
