"""Images that lack a panel of the detector.

Large X-ray detectors are mosaics of panels, and a panel can fail or be switched off: the AGIPD of the
European XFEL has 16, in eight rows and two columns. A network that was trained on whole images should still
recognise most of what the others see.
"""

from __future__ import annotations

import torch
from torch import Tensor

from a4nn_core.spaces.layer import Shape


class Panels:
    """Which panel each image of a part lacks. All panels are missing equally often, at random places that are
    always the same, so that one pass over the part tells the mean over all panels.

    Args:
        layout: rows and columns of equal panels that an image is divided into.
        shape: shape of an image, (channels, height, width).
        count: number of images.
        device: device that the images are computed on.
    """

    def __init__(self, layout: tuple[int, int], shape: Shape, count: int, device: torch.device) -> None:
        _, height, width = shape
        rows, columns = layout
        high, wide = (
            torch.arange(side) * number // side for side, number in ((height, rows), (width, columns))
        )
        of_pixel = high[:, None] * columns + wide[None, :]
        shuffled = torch.randperm(count, generator=torch.Generator().manual_seed(0))
        self._of_pixel = of_pixel.to(device)
        self._missing = (shuffled % (rows * columns)).to(device)

    def blank(self, images: Tensor, first: int) -> Tensor:
        """Images without their panels, whose pixels have counted nothing.

        Args:
            images: images as they are stored, shape (batch, channels, height, width).
            first: place of the first of them in the part.
        """
        missing = self._missing[first : first + len(images), None, None, None]
        return images.masked_fill(self._of_pixel == missing, 0)
