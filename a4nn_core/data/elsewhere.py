"""Data that are elsewhere: known is what an image looks like, for networks that are trained elsewhere."""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from a4nn_core.component import Unit
from a4nn_core.data.base import DataSource, ImageData, InputTransform, Split


class Elsewhere(DataSource):
    """Images that another program has: ``a4nn ask`` prints networks for them, ``a4nn tell`` takes results."""

    name: Literal["elsewhere"] = "elsewhere"
    shape: Annotated[tuple[int, int, int], Unit("channels, rows, columns")]
    """of an image"""
    classes: Annotated[int, Unit("classes")] = Field(ge=1)
    """numbers that a network gives for an image"""
    description: str = ""
    """what they are, for people"""

    def load(self) -> ImageData:
        channels, height, width = self.shape
        nothing = Split(np.zeros((0, channels, height, width), np.float32), np.zeros(0, np.int64))
        names = tuple(str(number) for number in range(self.classes))
        transform = InputTransform.fit("none", nothing.images)
        return ImageData(self.name, names, nothing, nothing, nothing, transform)
