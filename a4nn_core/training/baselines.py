"""What a network that restores images has to beat: the images as they are, smoothing, and the mean image.

All are measured as networks are (``goals.py``). The width of smoothing is the one of ``WIDTHS`` with the best
ratio on training images; what lies behind a beam stop, where every training image expects nothing, is left
out of the smoothing and set to 0.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from a4nn_core.assessment import Fidelity
from a4nn_core.data.base import ImageData, Split
from a4nn_core.precision import DECIBELS, Score

Images = NDArray[np.float64]
WIDTHS = (0.5, 0.7, 1.0, 1.4, 2.0, 2.8, 4.0)
"""standard deviations of the smoothing, in pixels"""
TRIED = 500
"""training images that the width is chosen by"""


@dataclass(frozen=True)
class Baseline:
    """What one way to restore images without a network reaches.

    Attributes:
        name: for people.
        validation, test: on these parts.
    """

    name: str
    validation: Fidelity
    test: Fidelity


def baselines(data: ImageData) -> list[Baseline]:
    """The images as they are, smoothed in two ways, and the mean expected image of the training part.

    Args:
        data: a data set with expected images.
    """
    assert data.train.expected is not None
    seen = data.train.expected.max(axis=0) > 0  # (channels, height, width)
    few = data.train.first(TRIED)

    def measure(name: str, restore: Callable[[Images], Images]) -> Baseline:
        return Baseline(name, *(fidelity(restore, part, data.peak) for part in (data.validation, data.test)))

    def best_width(smooth: Callable[[Images, float], Images]) -> float:
        return max(WIDTHS, key=lambda width: fidelity(lambda x: smooth(x, width), few, data.peak).psnr_db)

    def gaussian(images: Images, width: float) -> Images:
        return smoothed(images, width, seen)

    def stabilised(images: Images, width: float) -> Images:
        return np.where(seen, anscombe_inverse(smoothed(anscombe(images), width, seen)), 0.0)

    mean = data.train.expected.mean(axis=0, dtype=np.float64)
    narrow, wide = best_width(gaussian), best_width(stabilised)
    return [
        measure("images as they are", lambda images: images),
        measure(f"Gaussian, {narrow:g} pixels", lambda images: gaussian(images, narrow)),
        measure(f"Anscombe and Gaussian, {wide:g} pixels", lambda images: stabilised(images, wide)),
        measure("mean of the training images", lambda images: np.broadcast_to(mean, images.shape)),
    ]


def fidelity(restore: Callable[[Images], Images], part: Split, peak: float, at_once: int = 500) -> Fidelity:
    """How near images come to the expected ones that are restored in some way.

    Args:
        restore: takes and returns images, shape (count, channels, height, width).
        part: images and expected ones.
        peak: value that decibels are relative to.
        at_once: number of images restored at a time.
    """
    import torch

    from a4nn_core.training.goals import Restored

    assert part.expected is not None
    found = Restored(peak)
    for start in range(0, len(part), at_once):
        rows = slice(start, start + at_once)
        restored = np.ascontiguousarray(restore(part.images[rows].astype(np.float64)))
        found.add(torch.from_numpy(restored), torch.from_numpy(part.expected[rows].astype(np.float64)))
    return found.fidelity()


def smoothed(images: Images, width: float, seen: NDArray[np.bool_]) -> Images:
    """Gaussian smoothing of each image, over the pixels that are seen alone (normalised convolution).

    Args:
        images: shape (count, channels, height, width).
        width: standard deviation in pixels.
        seen: which pixels count, shape (channels, height, width).
    """

    from scipy.ndimage import gaussian_filter

    def blur(values: Images) -> Images:
        sigmas = (0,) * (values.ndim - 2) + (width, width)
        blurred: Images = gaussian_filter(values, sigmas, mode="constant")
        return blurred

    weight = np.where(seen, blur(seen.astype(np.float64)), 1.0)
    return blur(images * seen) / weight * seen


def anscombe(counts: Images) -> Images:
    """The variance-stabilising transform of Poisson counts (Anscombe 1948, Biometrika 35)."""
    return np.asarray(2 * np.sqrt(counts + 3 / 8))


def anscombe_inverse(values: Images) -> Images:
    """Its inverse for means: the closed form of the exact unbiased one (Makitalo and Foi, "A closed-form
    approximation of the exact unbiased inverse of the Anscombe variance-stabilizing transformation", IEEE
    Transactions on Image Processing 20, 2011)."""
    least = 2 * np.sqrt(3 / 8)  # of no photons
    d = np.maximum(values, least)
    inverse = d**2 / 4 + np.sqrt(3 / 2) / (4 * d) - 11 / (8 * d**2) + 5 * np.sqrt(3 / 2) / (8 * d**3) - 1 / 8
    return np.asarray(np.maximum(inverse, 0.0))


def lines(baselines: Iterable[Baseline]) -> list[str]:
    """The baselines for people, on the validation images, one line each."""
    return [
        f"{Score(one.validation.psnr_db, one.validation.psnr_se_db, DECIBELS)} in validation: {one.name}"
        for one in baselines
    ]
