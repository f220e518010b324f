"""Diffraction patterns of molecules in numbered orientations, batched on CPU or GPU."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from a4nn_core.data.xfel.detector import SQUARE_ANGSTROMS, Detector
from a4nn_core.data.xfel.form_factors import check_elements
from a4nn_core.data.xfel.grid import IntensityGrid
from a4nn_core.data.xfel.orientations import PHOTONS, Orientations, rotation_matrices, stream
from a4nn_core.data.xfel.structures import Structure
from a4nn_core.errors import BadInput

if TYPE_CHECKING:
    import torch

Counts = NDArray[np.uint32]

OVERSAMPLING = 6.0
"""1.5 % error of the interpolated intensity, far below the counting noise of a pixel"""
# pixels interpolated at a time, which bounds the memory; 64 patterns of 127 pixels keep a processor busy
PIXELS_AT_ONCE = 1 << 20


class Simulator:
    """Simulates patterns of a list of structures.

    The photons of a pattern depend on the seed, its orientation's number, the structure's index in the list
    and the fluence, never on other patterns. Interpolation runs on the device, the counts are drawn on the
    CPU, so that a GPU changes only the last bits of the expected photons.
    """

    def __init__(
        self,
        structures: Sequence[Structure],
        detector: Detector,
        orientations: Orientations,
        *,
        oversampling: float = OVERSAMPLING,
        device: str = "cpu",
    ) -> None:
        """Nothing is computed yet.

        Args:
            structures: one structure per class.
            detector: see Detector.
            orientations: orientations, the same for all structures; its seed is also that of the photons.
            oversampling: see IntensityGrid.
            device: device of torch for the grids and the interpolation.

        Raises:
            BadInput: there is no structure, or an element has no form factor.
        """
        if not structures:
            raise BadInput("at least one structure is needed to simulate patterns")
        for structure in structures:
            check_elements(structure.elements, f"structure {structure.name}")
        self.structures = tuple(structures)
        self.detector = detector
        self.orientations = orientations
        self.oversampling = oversampling
        self.device = device
        self._seen = detector.photons > 0
        self._photons = detector.photons[self._seen]

    @cached_property
    def grids(self) -> list[IntensityGrid]:
        """|F|^2 of each structure."""
        q_max = self.detector.q_max
        return [IntensityGrid.of(s, q_max, self.oversampling, self.device) for s in self.structures]

    @cached_property
    def _q(self) -> torch.Tensor:
        import torch

        return torch.from_numpy(self.detector.q[self._seen]).to(self.device, torch.float32)

    @cached_property
    def _pool(self) -> ThreadPoolExecutor:
        import torch

        return ThreadPoolExecutor(torch.get_num_threads(), thread_name_prefix="photons")

    def _expected(self, label: int, angles: NDArray[np.float64]) -> NDArray[np.float64]:
        """Expected photons of the pixels outside the beam stop for one photon per square Angstrom, shape
        (count, pixels)."""
        import torch

        turns = torch.from_numpy(rotation_matrices(angles)).to(self.device, torch.float32)
        sampled: NDArray[np.float64] = (
            self.grids[label].slices(self._q, turns).cpu().numpy().astype(np.float64)
        )
        return sampled * self._photons

    def expected(self, label: int, angles: NDArray[np.float64], fluence: float) -> NDArray[np.float64]:
        """Expected photons.

        Args:
            label: index of the structure.
            angles: phi, theta, psi in degrees, shape (count, 3).
            fluence: photons per square micrometre and pulse.

        Returns:
            shape (count, size, size); 0 behind the beam stop.
        """
        frames = np.zeros((len(angles), *self._seen.shape))
        frames[:, self._seen] = self._expected(label, angles) * (fluence / SQUARE_ANGSTROMS)
        return frames

    def patterns(self, start: int, stop: int, fluences: Sequence[float]) -> Counts:
        """Photon counts of orientations start..stop-1.

        Args:
            start, stop: first number of an orientation and the one after the last.
            fluences: photons per square micrometre and pulse; each is a separate exposure.

        Returns:
            shape (stop - start, structures, fluences, size, size).
        """
        counts = np.zeros((stop - start, len(self.structures), len(fluences), *self._seen.shape), np.uint32)
        at_once = max(1, PIXELS_AT_ONCE // len(self._photons))
        for first in range(start, stop, at_once):
            last = min(first + at_once, stop)
            angles = self.orientations.angles(first, last)
            for label in range(len(self.structures)):
                expected = self._expected(label, angles)

                def draw(
                    number: int,
                    expected: NDArray[np.float64] = expected,
                    first: int = first,
                    label: int = label,
                ) -> None:
                    for place, fluence in enumerate(fluences):
                        rng = self._photon_stream(number, label, fluence)
                        photons = rng.poisson(expected[number - first] * (fluence / SQUARE_ANGSTROMS))
                        counts[number - start, label, place][self._seen] = photons

                # drawing releases the interpreter's lock
                list(self._pool.map(draw, range(first, last)))
        return counts

    def _photon_stream(self, number: int, label: int, fluence: float) -> np.random.Generator:
        bits = int(np.float64(fluence).view(np.uint64))
        return stream(self.orientations.seed, PHOTONS, number, label, bits)


def smallest_unsigned(greatest: int) -> type[np.unsignedinteger[Any]]:
    """The smallest unsigned integer type that holds ``greatest``."""
    return next(t for t in (np.uint8, np.uint16, np.uint32, np.uint64) if greatest <= np.iinfo(t).max)
