"""Simulated patterns on disk: the published layout of TIFF files, or one compact .npz file per beam.

Patterns are simulated and written block by block, so that memory stays bounded for any number of images. An
interrupted run can be repeated: complete files are not made again, and no bit differs.
"""

from __future__ import annotations

import io
import json
import os
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from a4nn_core.data.xfel.layout import ANGLES, MANIFEST, PROTEIN, SETS, TEST_SHARE, beam_name, image_path
from a4nn_core.data.xfel.simulator import Counts, Simulator, smallest_unsigned
from a4nn_core.errors import BadInput
from a4nn_core.files import atomic_write, atomic_write_bytes, make_folder, user_errors
from a4nn_core.progress import tell

VERSION = 1
BLOCK = 64
"""orientations at a time"""
_BLOCKS = ".blocks"


@dataclass(frozen=True)
class Writing:
    """Writes a simulated data set.

    Attributes:
        simulator: simulator of the patterns.
        out: output folder; it must be empty, or contain a complete or incomplete data set of the same
            settings.
        fluences: photons per square micrometre and pulse, one per beam.
        orientations: number of orientations; each is used for every structure and every beam.
        protein: first part of the file names.
        form: tiff for the published layout, npz for one compact file per beam.
        test_share: fraction of the orientations for the test set.
    """

    simulator: Simulator
    out: Path
    fluences: tuple[float, ...]
    orientations: int
    protein: str = "protein"
    form: Literal["tiff", "npz"] = "tiff"
    test_share: float = TEST_SHARE

    def run(self) -> int:
        """Write all files that do not exist yet.

        Returns:
            number of patterns that were simulated; 0 if all existed.

        Raises:
            BadInput: the folder contains something else or cannot be written, or there are too few
                orientations.
        """
        if not PROTEIN.fullmatch(self.protein):
            raise BadInput(
                f"protein {self.protein!r} must be letters, digits, dots and hyphens: it names files"
            )
        self.simulator.orientations.check(self.orientations)
        self._claim()
        with user_errors("write into", self.out):
            return self._tiffs() if self.form == "tiff" else self._archives()

    @property
    def images(self) -> int:
        """Number of images of all structures and beams."""
        return self.orientations * len(self.simulator.structures) * len(self.fluences)

    @property
    def tests(self) -> int:
        """Number of orientations of the test set, which come first."""
        return int(self.test_share * self.orientations)

    def subset(self, number: int) -> str:
        """The set that an orientation, counted from 0, belongs to."""
        return SETS[1] if number < self.tests else SETS[0]

    def settings(self) -> dict[str, Any]:
        """All settings that the data depend on, as JSON values."""
        detector, orientations = self.simulator.detector, self.simulator.orientations
        return {
            "version": VERSION,
            "form": self.form,
            "protein": self.protein,
            "structures": {s.name: s.checksum for s in self.simulator.structures},
            "beams": [beam_name(fluence) for fluence in self.fluences],
            "orientations": self.orientations,
            "test_share": self.test_share,
            "size": detector.size,
            "wavelength": detector.wavelength,
            "pitch": detector.reference_pitch,
            "stop": detector.reference_stop,
            "polarisation": detector.polarisation,
            "oversampling": self.simulator.oversampling,
            "seed": orientations.seed,
            "geodesic": orientations.geodesic,
        }

    def _claim(self) -> None:
        """Mark the folder as containing this data set, or check that it does."""
        settings = self.settings()
        manifest = self.out / MANIFEST
        if manifest.exists():
            try:
                there = json.loads(manifest.read_text())
            except ValueError:
                raise BadInput(f"{manifest} is not readable; choose another output folder") from None
            if there != settings:
                known = there if isinstance(there, dict) else {}
                differ = [key for key in settings if known.get(key) != settings[key]]
                raise BadInput(
                    f"output folder {self.out} already holds another data set: it differs in "
                    f"{', '.join(differ) or 'its kind'}"
                )
            return
        if self.out.exists() and (not self.out.is_dir() or any(self.out.iterdir())):
            raise BadInput(f"output folder {self.out} is not empty and holds no data set of this kind")
        make_folder(self.out)
        atomic_write_bytes(manifest, json.dumps(settings, indent=2).encode() + b"\n")

    def _blocks(self) -> Iterator[tuple[int, int]]:
        """First orientation and last + 1 of each block; progress is reported after each."""
        patterns = len(self.simulator.structures) * len(self.fluences)
        for start in range(0, self.orientations, BLOCK):
            stop = min(start + BLOCK, self.orientations)
            yield start, stop
            tell("writing diffraction patterns", stop * patterns, self.images)

    # ---- the published layout

    def _tiffs(self) -> int:
        names = [structure.name for structure in self.simulator.structures]
        size = self.simulator.detector.size
        whole = len(_tiff(np.zeros((size, size), np.uint32)))  # uncompressed: all files are of one length
        for fluence in self.fluences:
            for subset in SETS:
                (self.out / beam_name(fluence) / "images" / subset).mkdir(parents=True, exist_ok=True)
        made = 0
        with ThreadPoolExecutor(4) as pool:  # writing waits for the disk
            for start, stop in self._blocks():
                files = {
                    (number, label, beam): self.out
                    / image_path(beam_name(fluence), self.subset(number), self.protein, name, number + 1)
                    for number in range(start, stop)
                    for label, name in enumerate(names)
                    for beam, fluence in enumerate(self.fluences)
                }
                missing = {key: path for key, path in files.items() if not _has_length(path, whole)}
                if not missing:
                    continue
                counts = self.simulator.patterns(start, stop, self.fluences)
                images = (counts[number - start, label, beam] for number, label, beam in missing)
                list(pool.map(_save, missing.values(), images))
                made += len(missing)
        for fluence in self.fluences:
            atomic_write_bytes(self.out / beam_name(fluence) / ANGLES, self._angles_list(names).encode())
        return made

    def _angles_list(self, names: list[str]) -> str:
        lines = ["id conformation phi theta psi"]
        for number, angles in enumerate(self.simulator.orientations.angles(0, self.orientations), 1):
            text = " ".join(f"{angle:.6f}" for angle in angles)
            lines += [f"{number} {name} {text}" for name in names]
        return "\n".join(lines) + "\n"

    # ---- compact files

    def _archives(self) -> int:
        """Write one compressed file per beam, packed from one file per block once all blocks exist."""
        wanted = {
            name: fluence
            for fluence in self.fluences
            if not (self.out / f"{(name := beam_name(fluence))}.npz").exists()
        }
        if not wanted:
            return 0
        size, made = self.simulator.detector.size, 0
        blocks: list[Path] = []
        for start, stop in self._blocks():
            blocks.append(self.out / _BLOCKS / f"{start:06d}.npz")
            if blocks[-1].exists():
                continue
            counts = self.simulator.patterns(start, stop, list(wanted.values()))
            images = {beam: counts[:, :, place].reshape(-1, size, size) for place, beam in enumerate(wanted)}
            small = {
                beam: array.astype(smallest_unsigned(int(array.max()))) for beam, array in images.items()
            }
            make_folder(blocks[-1].parent)
            with atomic_write(blocks[-1]) as temporary, temporary.open("wb") as file:
                np.savez(file, **small)  # type: ignore[arg-type]
            made += counts.size // size**2
        for beam in wanted:
            self._pack(beam, blocks)
        for block in blocks:
            block.unlink()
        (self.out / _BLOCKS).rmdir()
        return made

    def _pack(self, beam: str, blocks: list[Path]) -> None:
        """Write the images x with conformation y, id, set and angles; the bytes do not depend on the time."""
        names = [structure.name for structure in self.simulator.structures]
        size, numbers = self.simulator.detector.size, np.arange(self.orientations)
        arrays: dict[str, NDArray[Any]] = {
            "y": np.tile(names, self.orientations),
            "id": np.repeat(numbers + 1, len(names)).astype(np.int32),
            "set": np.repeat([self.subset(int(number)) for number in numbers], len(names)),
            "angles": np.repeat(self.simulator.orientations.angles(0, self.orientations), len(names), axis=0),
        }
        kind = np.dtype(np.uint8)
        for block in blocks:
            kind = max(kind, _block(block, beam).dtype)
        with (
            atomic_write(self.out / f"{beam}.npz") as temporary,
            zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive,
        ):
            for name, array in arrays.items():
                with archive.open(_member(name), "w") as member:
                    np.lib.format.write_array(member, array, allow_pickle=False)
            with archive.open(_member("x"), "w", force_zip64=True) as member:
                shape = (len(arrays["y"]), size, size)
                header = {"descr": kind.str, "fortran_order": False, "shape": shape}
                np.lib.format.write_array_header_1_0(member, header)
                for number, block in enumerate(blocks, 1):
                    member.write(_block(block, beam).astype(kind).tobytes())
                    tell(f"packing {beam}.npz", number, len(blocks))


def _member(name: str) -> zipfile.ZipInfo:
    """Entry of a zip file without the time, so that equal images make equal files."""
    member = zipfile.ZipInfo(f"{name}.npy")
    member.compress_type = zipfile.ZIP_DEFLATED
    return member


def _block(path: Path, beam: str) -> NDArray[Any]:
    try:
        with np.load(path, allow_pickle=False) as arrays:
            block: NDArray[Any] = arrays[beam]
            return block
    except (OSError, ValueError, KeyError, zipfile.BadZipFile):
        raise BadInput(f"{path} is damaged; delete it, and the same command makes it again") from None


def _tiff(counts: Counts) -> bytes:
    """Photon counts as a TIFF of 32-bit floats."""
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(counts.astype(np.float32)).save(buffer, format="TIFF")
    return buffer.getvalue()


def _save(path: Path, counts: Counts) -> None:
    """Write an image. It is not synced, which would take longer than all else: a power cut can leave a file
    of another length, which is then written again."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        temporary.write_bytes(_tiff(counts))
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _has_length(path: Path, length: int) -> bool:
    try:
        return path.stat().st_size == length
    except FileNotFoundError:
        return False
