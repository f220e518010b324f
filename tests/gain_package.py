"""A third-party package, as a wheel: an operation of its own and a search space that uses it."""

from __future__ import annotations

import zipfile
from pathlib import Path

OPERATION = '''
from typing import ClassVar, Literal

from a4nn_core.spaces.layer import Cost
from a4nn_core.spaces.operations import Kept, Operation


class Gain(Operation):
    """A learned factor for every channel."""

    name: Literal["gain"] = "gain"
    words: ClassVar[tuple[str, ...]] = ("scaled",)
    start: float = 1.0
    """every factor before training"""

    def cost(self, layer, inputs):
        channels, height, width = inputs[0]
        return Cost(inputs[0], channels * height * width, channels)

    def module(self, layer, inputs):
        import torch

        class Module(torch.nn.Module):
            def __init__(self, channels, start):
                super().__init__()
                self.start = start
                self.factors = torch.nn.Parameter(torch.full((channels, 1, 1), start))

            def forward(self, images):
                return images * self.factors

        return Module(inputs[0][0], self.start)

    def kept(self, compiled):
        return Kept(inputs=True, held=not compiled)
'''

SPACE = '''
from typing import Literal

import numpy as np

from a4nn_core.spaces.architecture import Graph, Layer
from a4nn_core.spaces.base import SearchSpace


class Gains(SearchSpace):
    """Two branches, summed or not, and a gain that starts at 1 or at 0.5."""

    name: Literal["gains"] = "gains"

    @property
    def upper(self):
        return np.ones(2, dtype=np.int64)

    def genome(self, genes):
        return [int(gene) for gene in genes]

    def genes(self, genome):
        return np.array(genome, dtype=np.int64)

    def decode(self, genome, input_shape, classes):
        summed, halved = genome
        graph = Graph(input_shape)
        at = graph.add(Layer("conv", 4, kernel=3, padding=1, label="node 1 conv"), 0)
        at = graph.add(Layer("gain", 4, label="node 1 scaled", settings={"start": 0.5} if halved else {}), at)
        if summed:
            other = graph.add(Layer("conv", 4, kernel=3, padding=1, label="node 2 conv"), 0)
            at = graph.add(Layer("add", 4, label="output merge"), [at, other])
        at = graph.add(Layer("global_average_pool", 4, label="average"), at)
        graph.add(Layer("linear", classes, bias=True, label="classify"), at)
        return graph.done()
'''

ENTRY_POINTS = """
[a4nn.operations]
gain = gains.operation:Gain
[a4nn.spaces]
gains = gains.space:Gains
"""


def gain_wheel(folder: Path) -> Path:
    """The wheel, for pip."""
    about = "gains-1.0.dist-info"
    files = {
        "gains/__init__.py": "",
        "gains/operation.py": OPERATION,
        "gains/space.py": SPACE,
        f"{about}/METADATA": "Metadata-Version: 2.1\nName: gains\nVersion: 1.0\n",
        f"{about}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{about}/entry_points.txt": ENTRY_POINTS,
    }
    files[f"{about}/RECORD"] = "".join(f"{name},,\n" for name in (*files, f"{about}/RECORD"))
    path = folder / "gains-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as wheel:
        for name, text in files.items():
            wheel.writestr(name, text)
    return path
