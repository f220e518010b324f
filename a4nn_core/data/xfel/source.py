"""The data source ``xfel``: diffraction patterns of a protein's conformations, simulated and cached."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BeforeValidator, Field, field_validator

from a4nn_core.component import Unit
from a4nn_core.data.base import DataSource, ImageData, InputTransform, Split, TransformName
from a4nn_core.data.cache import cached_file, read_arrays, write_arrays
from a4nn_core.data.xfel.detector import FLUENCES, REFERENCE_PITCH, Detector
from a4nn_core.data.xfel.orientations import Orientations
from a4nn_core.data.xfel.simulator import Simulator, smallest_unsigned
from a4nn_core.data.xfel.structure_files import load_structure
from a4nn_core.data.xfel.structures import SHIPPED, Structure
from a4nn_core.errors import BadInput
from a4nn_core.progress import tell
from a4nn_core.vocabulary import Task

# part of the cache's key: another version of the simulation must not find these images
RECIPE = 2
# orientations at a time
BLOCK = 64
# the order of the parts in the sequence of orientations: training last, so that its size changes no other
# part
PARTS = ("test", "validation", "train")

LEAST_FLUENCE, GREATEST_FLUENCE = 1e6, 1e20


def fluence_of(beam: str | float) -> float:
    """Photons per square micrometre and pulse of a beam given by name or number.

    Raises:
        ValueError: unknown name, or a number out of range.
    """
    if isinstance(beam, str):
        if beam not in FLUENCES:
            raise ValueError(f"there is no beam {beam!r}; known: {', '.join(FLUENCES)}, or a number")
        return FLUENCES[beam]
    if not LEAST_FLUENCE <= beam <= GREATEST_FLUENCE:
        raise ValueError(
            f"a fluence must be between {LEAST_FLUENCE:g} and {GREATEST_FLUENCE:g} photons per square "
            "micrometre"
        )
    return float(beam)


def _known(beam: object) -> str | float:
    # before the union, for which pydantic would report one mistake twice
    if isinstance(beam, bool) or not isinstance(beam, str | int | float):
        raise ValueError("a name or a number is needed")
    fluence_of(beam)
    return beam


Beam = Annotated[str | float, BeforeValidator(_known), Unit("photons per square micrometre and pulse")]
"""A beam by name or fluence, see fluence_of."""


class Xfel(DataSource):
    """Photon counts of conformations of a protein in random orientations."""

    name: Literal["xfel"] = "xfel"
    size: Annotated[int, Unit("pixels")] = Field(default=127, ge=8, le=1024)
    """pixels per side; the range of resolution is the same for any size"""
    beam: Beam = "medium"
    """low, medium, high (1e14, 1e15, 1e16), or photons per square micrometre and pulse"""
    train: Annotated[int, Unit("images")] = Field(default=2000, ge=2)
    """number of training images, all classes together"""
    validation: Annotated[int, Unit("images")] = Field(default=1000, ge=2)
    """number of validation images"""
    test: Annotated[int, Unit("images")] = Field(default=1000, ge=2)
    """number of test images"""
    seed: int = Field(default=0, ge=0, lt=2**63)
    """seed of orientations and photons"""
    structures: tuple[str, ...] = tuple(SHIPPED)
    """one per class: adk-open, adk-closed, PDB or mmCIF files, or ids of the Protein Data Bank; a suffix
    ``:A`` selects a chain, a prefix ``name=`` names the class"""
    b_factors: bool = False
    """blur atoms by the B factors of their files"""
    geodesic: int = Field(default=0, ge=0, le=500)
    """frequency n of a geodesic grid of 10 n^2 + 2 directions, each used once (63 is the published one); 0
    draws orientations uniformly"""
    wavelength: Annotated[float, Unit("Angstrom")] = Field(default=1.0, gt=0.1, lt=20)
    """wavelength"""
    pitch: Annotated[float, Unit("1/Angstrom")] = Field(default=REFERENCE_PITCH, gt=1e-5, lt=1e-2)
    """1/Angstrom per pixel at 127 pixels"""
    target: Literal["class", "expected"] = "class"
    """what networks learn of a pattern: its class (classification), or the expected photons of its pixels
    before photons were drawn (restoration)"""
    transform: TransformName = "log1p-standardise"
    """transform of the counts to a network's input; none keeps the raw counts, as published"""

    @field_validator("structures")
    @classmethod
    def _several(cls, structures: tuple[str, ...]) -> tuple[str, ...]:
        if len(structures) < 2:
            raise ValueError("there is a single conformation; two or more are needed")
        return structures

    @property
    def fluence(self) -> float:
        """Photons per square micrometre and pulse."""
        return fluence_of(self.beam)

    def simulator(self, device: str = "cpu") -> Simulator:
        """The simulator of these conformations, detector and orientations.

        Raises:
            BadInput: see load_conformations.
        """
        return Simulator(
            load_conformations(self.structures, b_factors=self.b_factors),
            Detector(self.size, self.wavelength, self.pitch),
            Orientations(self.seed, self.geodesic),
            device=device,
        )

    def load(self) -> ImageData:
        simulator = self.simulator()
        structures = simulator.structures
        counts = {part: int(getattr(self, part)) for part in PARTS}
        path = cached_file("xfel", self._key(structures))
        restores = self.task is Task.restoration
        names = [*PARTS, *(expected_of(part) for part in PARTS if restores)]
        arrays = read_arrays(path, names)
        shapes = {name: (counts[part], 1, self.size, self.size) for part in PARTS for name in names_of(part)}
        if arrays is None or any(arrays[name].shape != shapes[name] for name in names):
            arrays = simulate(simulator, self.fluence, counts, restores)
            write_arrays(path, arrays)
        splits = {
            part: Split(arrays[part], _labels(counts[part], len(structures)), arrays.get(expected_of(part)))
            for part in PARTS
        }
        return ImageData(
            name=self.name,
            classes=tuple(structure.name for structure in structures),
            transform=InputTransform.fit(self.transform, splits["train"].images),
            train=splits["train"],
            validation=splits["validation"],
            test=splits["test"],
        )

    @property
    def task(self) -> Task:
        return Task.restoration if self.target == "expected" else Task.classification

    def _key(self, structures: Sequence[Structure]) -> str:
        settings = self.model_dump(exclude={"transform", "beam", "structures", "target"}) | {
            "fluence": self.fluence,
            "atoms": [structure.checksum for structure in structures],
            **({"target": self.target} if self.task is Task.restoration else {}),
        }
        return hashlib.sha256(json.dumps([RECIPE, settings], sort_keys=True).encode()).hexdigest()[:32]


def load_conformations(sources: Sequence[str], *, b_factors: bool = False) -> list[Structure]:
    """Load two or more structures to distinguish.

    Raises:
        BadInput: one cannot be loaded, there is only one, or two have the same name or the same atoms.
    """
    structures = [load_structure(source, b_factors=b_factors) for source in sources]
    if len(structures) < 2:
        raise BadInput(
            f"there is a single conformation, {', '.join(sources) or 'none'}; two or more are needed"
        )
    for index, structure in enumerate(structures):
        for other, source in zip(structures[:index], sources, strict=False):
            if structure.name == other.name:
                raise BadInput(
                    f"structures {source!r} and {sources[index]!r} are both named {structure.name!r}; "
                    "put name= before one"
                )
            if structure.checksum == other.checksum:
                raise BadInput(f"structures {source!r} and {sources[index]!r} have the same atoms")
    return structures


def expected_of(part: str) -> str:
    """Name of the array with the expected photons of a part."""
    return f"{part}_expected"


def names_of(part: str) -> tuple[str, str]:
    """Names of the arrays with the counts and the expected photons of a part."""
    return part, expected_of(part)


def simulate(
    simulator: Simulator, fluence: float, counts: dict[str, int], expected: bool = False
) -> dict[str, NDArray[Any]]:
    """Photon counts of parts with consecutive ranges of orientations, so that no two parts share one.

    Args:
        simulator: simulator of C structures.
        fluence: photons per square micrometre and pulse.
        counts: number of patterns per part; pattern i of a part shows structure i modulo C, and C consecutive
            patterns have the same orientation, as in the published images.
        expected: whether to return the expected photons, too.

    Returns:
        for each part an array of shape (count, 1, size, size), of the smallest unsigned integers that hold
        all counts; and under ``expected_of`` it, one of the expected photons, float32.

    Raises:
        BadInput: more orientations are needed than there are.
    """
    classes, size = len(simulator.structures), simulator.detector.size
    needed = {part: -(-count // classes) for part, count in counts.items()}
    total = sum(needed.values())
    simulator.orientations.check(total)
    blocks: dict[str, list[NDArray[Any]]] = {}
    means: dict[str, list[NDArray[np.float32]]] = {}
    greatest, begin = 0, 0
    for part, orientations in needed.items():
        blocks[part], means[part] = [], []
        for start in range(begin, begin + orientations, BLOCK):
            stop = min(start + BLOCK, begin + orientations)
            block = simulator.patterns(start, stop, [fluence]).reshape(-1, 1, size, size)
            most = int(block.max())
            blocks[part].append(block.astype(smallest_unsigned(most)))  # to save memory
            greatest = max(greatest, most)
            if expected:
                angles = simulator.orientations.angles(start, stop)
                each = [simulator.expected(label, angles, fluence) for label in range(classes)]
                means[part].append(np.stack(each, axis=1).reshape(-1, 1, size, size).astype(np.float32))
            tell("simulating diffraction patterns", stop * classes, total * classes)
        begin += orientations
    kind = smallest_unsigned(greatest)
    found: dict[str, NDArray[Any]] = {
        part: np.concatenate([block.astype(kind, copy=False) for block in blocks[part]])[:count]
        for part, count in counts.items()
    }
    if expected:
        found |= {expected_of(part): np.concatenate(means[part])[:count] for part, count in counts.items()}
    return found


def _labels(count: int, classes: int) -> NDArray[np.int64]:
    return np.arange(count, dtype=np.int64) % classes
