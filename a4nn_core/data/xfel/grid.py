"""Scattered intensity of a molecule: exact on a cubic grid, interpolated between the points.

A pattern is a curved slice, the Ewald sphere, through the grid of |F|^2, where F is the structure factor of
the isolated molecule, ``F(q) = sum_j f_j(|q|) exp(-B_j |q|^2 / 4) exp(2 pi i q . r_j)``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from a4nn_core.data.xfel.form_factors import form_factor
from a4nn_core.data.xfel.structures import Structure

if TYPE_CHECKING:
    import torch


def structure_factor(structure: Structure, q: NDArray[np.float64]) -> NDArray[np.complex128]:
    """F(q) by the direct sum over atoms: slow and exact, the reference for the grid.

    Args:
        structure: the atoms.
        q: shape (points, 3), in 1/Angstrom.
    """
    length = np.linalg.norm(q, axis=1)
    total = np.zeros(len(q), dtype=np.complex128)
    for element in np.unique(structure.elements):
        mine = structure.elements == element
        waves = np.exp(2j * np.pi * (q @ structure.xyz[mine].T.astype(np.float64)))
        if structure.b is not None:
            waves *= np.exp(-np.multiply.outer(length**2 / 4, structure.b[mine].astype(np.float64)))
        total += form_factor(str(element), length) * waves.sum(axis=1)
    return total


@dataclass(frozen=True)
class IntensityGrid:
    """|F|^2 on a cube around the origin.

    Attributes:
        values: shape (2 m + 1,) * 3, index order qz, qy, qx, float32.
        extent: q of the outermost points of an axis, in 1/Angstrom.
    """

    values: torch.Tensor
    extent: float

    @classmethod
    def of(
        cls, structure: Structure, q_max: float, oversampling: float, device: str = "cpu"
    ) -> IntensityGrid:
        """The grid of a structure.

        The exponentials of an atom are products of one in x, one in y and one in z, so that a plane of the
        grid is one matrix product per chemical element; the other half follows from Friedel's law. Sums are
        in double precision: then the grid, rounded to single, is the same for any number of threads.

        Args:
            structure: the atoms.
            q_max: the largest |q| needed, in 1/Angstrom.
            oversampling: grid points per fringe of the molecule's diameter; the error of trilinear
                interpolation falls with its square: 2 % at 5, 0.5 % at 10.
            device: device of torch that computes and keeps the grid.
        """
        import torch

        step = 1 / (oversampling * structure.diameter)
        m = int(np.ceil(q_max / step)) + 1
        axis = torch.arange(-m, m + 1, dtype=torch.float64, device=device) * step
        across = axis[:, None] ** 2 + axis[None, :] ** 2
        half = torch.zeros((m + 1, 2 * m + 1, 2 * m + 1), dtype=torch.complex128, device=device)
        for element in np.unique(structure.elements):
            mine = structure.elements == element
            xyz = torch.from_numpy(structure.xyz[mine].astype(np.float64)).to(device)
            exponent = 2j * torch.pi * axis[None, :, None] * xyz.T[:, None, :]
            if structure.b is not None:  # a Gaussian is separable, too
                b = torch.from_numpy(structure.b[mine].astype(np.float64)).to(device)
                exponent = exponent - axis[None, :, None] ** 2 * b / 4
            x, y, z = torch.exp(exponent)
            for plane in range(m + 1):
                q = torch.sqrt(across + axis[m + plane] ** 2)
                factor = torch.from_numpy(form_factor(str(element), q.cpu().numpy())).to(device)
                half[plane] += factor * ((y * z[m + plane]) @ x.T)
        positive = (half.real**2 + half.imag**2).to(torch.float32)
        return cls(torch.cat([positive[1:].flip(0, 1, 2), positive]), m * step)

    def slices(self, q: torch.Tensor, rotations: torch.Tensor) -> torch.Tensor:
        """|F(R^T q)|^2 for each rotation R: the scattering of a molecule rotated by R.

        No operation mixes patterns, so that a pattern's bits do not depend on the others of its batch.

        Args:
            q: shape (points, 3), in 1/Angstrom, float32.
            rotations: shape (count, 3, 3), float32.

        Returns:
            shape (count, points), float32.
        """
        import torch
        from torch.nn.functional import grid_sample

        scaled = q / self.extent
        points = torch.empty((len(rotations), len(q), 3), dtype=torch.float32, device=q.device)
        # row vectors: q R is R^T q; explicit sums, as the rounding of a matrix product depends on its size
        for axis in range(3):
            total = scaled[None, :, 0] * rotations[:, 0, axis, None]
            total += scaled[None, :, 1] * rotations[:, 1, axis, None]
            total += scaled[None, :, 2] * rotations[:, 2, axis, None]
            points[..., axis] = total
        # one pattern per entry of the sampler's batch, over which it parallelises
        volumes = self.values.expand(len(rotations), 1, -1, -1, -1)
        sampled = grid_sample(volumes, points[:, None, None], mode="bilinear", align_corners=True)
        return sampled[:, 0, 0, 0]
