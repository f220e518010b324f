"""The detector: the momentum transfer of every pixel, and the photons it receives.

Convention q = 1/d, no factor of 2 pi. Expected photons of a pixel: ``fluence * r_e^2 * P * solid angle *
|F(q)|^2`` (Als-Nielsen and McMorrow, Elements of Modern X-ray Physics, sections 1.2 and 4.2).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Polarisation = Literal["unpolarised", "horizontal"]

ELECTRON_RADIUS = 2.8179403205e-5
"""classical electron radius, Angstrom (CODATA 2022)"""
REFERENCE_PIXELS = 127
REFERENCE_PITCH = 8.33e-4
"""1/Angstrom per pixel at 127 pixels: the best fit to the published sample patterns"""
REFERENCE_STOP = 16.0
"""radius of the published beam stop in pixels at 127 pixels"""
FLUENCES = {"low": 1e14, "medium": 1e15, "high": 1e16}
"""photons per square micrometre and pulse of the published beams"""
SQUARE_ANGSTROMS = 1e8
"""square Angstrom in a square micrometre"""


@dataclass(frozen=True)
class Detector:
    """A square detector behind a molecule.

    Attributes:
        size: pixels per side; the range of q is that of 127 pixels for any size.
        wavelength: wavelength in Angstrom.
        reference_pitch: 1/Angstrom per pixel at 127 pixels.
        reference_stop: radius of the beam stop in pixels at 127 pixels.
        polarisation: polarisation of the beam; horizontal is linear along x.
    """

    size: int = REFERENCE_PIXELS
    wavelength: float = 1.0
    reference_pitch: float = REFERENCE_PITCH
    reference_stop: float = REFERENCE_STOP
    polarisation: Polarisation = "unpolarised"

    @property
    def pitch(self) -> float:
        """1/Angstrom per pixel at the centre."""
        return self.reference_pitch * REFERENCE_PIXELS / self.size

    @property
    def stop(self) -> float:
        """Radius of the beam stop in pixels; pixels whose centre is nearer to the beam are dark."""
        return self.reference_stop * self.size / REFERENCE_PIXELS

    def _offsets(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """x and y of pixel centres from the beam, in pixels."""
        axis = np.arange(self.size) - (self.size - 1) / 2
        x, y = np.meshgrid(axis, axis)
        return x, y

    @property
    def radius(self) -> NDArray[np.float64]:
        """Distance of pixel centres from the beam in pixels, shape (size, size)."""
        return np.hypot(*self._offsets())

    @property
    def q(self) -> NDArray[np.float64]:
        """Momentum transfer of every pixel, ``(k_out - k_in) / wavelength`` with unit vectors k: points of
        the Ewald sphere. Shape (size, size, 3), in 1/Angstrom."""
        x, y = self._offsets()
        slope = self.pitch * self.wavelength  # pixel width over distance
        out = np.stack([x * slope, y * slope, np.ones_like(x)], axis=-1)
        out /= np.linalg.norm(out, axis=-1, keepdims=True)
        out[..., 2] -= 1
        scaled: NDArray[np.float64] = out / self.wavelength
        return scaled

    @property
    def q_max(self) -> float:
        """The largest |q|, that of the corners."""
        return float(np.linalg.norm(self.q[0, 0]))

    @property
    def photons(self) -> NDArray[np.float64]:
        """Expected photons of a pixel for one photon per square Angstrom and |F|^2 = 1; 0 behind the beam
        stop. Shape (size, size)."""
        x, _ = self._offsets()
        radius = self.radius
        slope = self.pitch * self.wavelength
        cosine = 1 / np.sqrt(1 + (radius * slope) ** 2)  # of the scattering angle
        solid_angle = slope**2 * cosine**3
        if self.polarisation == "horizontal":
            polarisation = 1 - (x * slope * cosine) ** 2
        else:
            polarisation = (1 + cosine**2) / 2
        photons: NDArray[np.float64] = ELECTRON_RADIUS**2 * polarisation * solid_angle
        return np.where(radius >= self.stop, photons, 0.0)
