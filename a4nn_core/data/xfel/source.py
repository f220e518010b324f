"""The data set ``xfel``: diffraction patterns of two conformations of a protein, simulated and cached."""

from __future__ import annotations

import hashlib
import json
import os
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, field_validator

from a4nn_core.data.base import (
    DataSource,
    ImageData,
    InputTransform,
    Split,
    TransformName,
    cache_folder,
)
from a4nn_core.data.xfel.physics import FLUENCES, Detector, IntensityGrid, rotations
from a4nn_core.data.xfel.structures import Structure, adenylate_kinase
from a4nn_core.errors import BadInput

# part of the cache's key: another recipe must not find the images of this one
RECIPE = 1
# random numbers are drawn for a block of patterns, so that no bit depends on how many are made at a time
BLOCK = 64
OVERSAMPLING = 6.0
PARTS = ("train", "validation", "test")


class Xfel(DataSource):
    """Photon counts of adenylate kinase, open and closed, in random orientations."""

    name: Literal["xfel"] = "xfel"
    size: int = Field(default=127, ge=8, le=1024)
    """pixels a side; the range of resolution is the same whatever the size"""
    beam: str | float = "medium"
    """low, medium, high (1e14, 1e15, 1e16), or photons per square micrometre and pulse"""
    train: int = Field(default=2000, ge=2)
    """training images, all classes together"""
    validation: int = Field(default=1000, ge=2)
    """validation images"""
    test: int = Field(default=1000, ge=2)
    """test images"""
    seed: int = Field(default=0, ge=0)
    """of orientations and photons"""
    transform: TransformName = "log1p-standardise"
    """what networks see of the counts; none gives the raw counts, as published"""

    @field_validator("beam")
    @classmethod
    def _known_beam(cls, beam: str | float) -> str | float:
        if isinstance(beam, str) and beam not in FLUENCES:
            raise ValueError(f"there is no beam {beam!r}; known: {', '.join(FLUENCES)}, or a number")
        if isinstance(beam, float | int) and not 0 < beam < 1e25:
            raise ValueError("a fluence must be positive")
        return beam

    @property
    def fluence(self) -> float:
        """Photons per square micrometre and pulse."""
        return FLUENCES[self.beam] if isinstance(self.beam, str) else float(self.beam)

    def load(self) -> ImageData:
        structures = adenylate_kinase()
        counts = {part: getattr(self, part) for part in PARTS}
        path = cache_folder() / "xfel" / f"{self._key(structures)}.npz"
        arrays = _read(path, counts, self.size)
        if arrays is None:
            arrays = simulate(structures, Detector(self.size), self.fluence, counts, self.seed)
            _write(path, arrays)
        splits = {part: Split(arrays[part], _labels(counts[part], len(structures))) for part in PARTS}
        return ImageData(
            name=self.name,
            classes=tuple(structure.name for structure in structures),
            transform=InputTransform.fit(self.transform, splits["train"].images),
            **splits,
        )

    def _key(self, structures: Sequence[Structure]) -> str:
        settings = self.model_dump(exclude={"transform", "beam"}) | {"fluence": self.fluence}
        digest = hashlib.sha256(json.dumps([RECIPE, settings], sort_keys=True).encode())
        for structure in structures:
            digest.update(structure.elements.tobytes() + structure.xyz.tobytes())
        return digest.hexdigest()[:32]


def simulate(
    structures: Sequence[Structure],
    detector: Detector,
    fluence: float,
    counts: dict[str, int],
    seed: int,
) -> dict[str, NDArray[Any]]:
    """Photon counts.

    Args:
        structures: one a class; pattern i shows structure i modulo their number.
        detector: see Detector.
        fluence: photons per square micrometre and pulse.
        counts: patterns a part. Every pattern of every part has an orientation of its own.
        seed: the same seed gives the same bits.

    Returns:
        a part: shape (count, 1, size, size), the smallest unsigned integers that hold all counts.
    """
    import torch

    q = detector.q
    q_max = float(np.linalg.norm(q, axis=-1).max())
    grids = [IntensityGrid.of(structure, q_max, OVERSAMPLING) for structure in structures]
    pixels = torch.from_numpy(q).to(torch.float32)
    expected_factor = torch.from_numpy(detector.factor * fluence / 1e8).to(torch.float32)  # 1e8 A^2 a um^2
    made: dict[str, NDArray[Any]] = {}
    for number, (part, count) in enumerate(counts.items()):
        images = np.empty((count, 1, detector.size, detector.size), dtype=np.uint32)
        for start in range(0, count, BLOCK):
            rng = np.random.default_rng([seed, number, start // BLOCK])
            turns = torch.from_numpy(rotations(rng, BLOCK)).to(torch.float32)
            expected = torch.empty((BLOCK, detector.size, detector.size))
            for label, grid in enumerate(grids):
                mine = torch.arange((label - start) % len(grids), BLOCK, len(grids))
                expected[mine] = grid.slices(pixels, turns[mine]) * expected_factor
            photons = rng.poisson(expected.double().numpy())
            size = min(BLOCK, count - start)
            images[start : start + size, 0] = photons[:size]
        made[part] = images
    greatest = max(int(images.max(initial=0)) for images in made.values())
    kind = next(kind for kind in (np.uint8, np.uint16, np.uint32) if greatest <= np.iinfo(kind).max)
    return {part: images.astype(kind) for part, images in made.items()}


def _labels(count: int, classes: int) -> NDArray[np.int64]:
    return np.arange(count, dtype=np.int64) % classes


def _read(path: Path, counts: dict[str, int], size: int) -> dict[str, NDArray[Any]] | None:
    """Cached images, None if there are none or the file is damaged."""
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {part: file[part] for part in PARTS}
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None
    fits = all(arrays[part].shape == (counts[part], 1, size, size) for part in PARTS)
    return arrays if fits else None


def _write(path: Path, arrays: dict[str, NDArray[Any]]) -> None:
    temporary = path.with_name(f".{path.stem}.{os.getpid()}.npz")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("wb") as file:
            np.savez(file, **arrays)  # type: ignore[arg-type]
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise BadInput(
            f"the cache {path.parent} cannot be written: {error.strerror}; A4NN_CACHE names another folder"
        ) from None
