"""Search spaces, one file each: genome -> Architecture -> torch module (``build``).

Layer operations are in ``operations``, one file each.

>>> from a4nn_core.spaces import SPACES
>>> space = SPACES.make({"name": "macro", "phases": 1, "channels": 8}, "[space]")
>>> architecture = space.decode([[1, 0, 1, 0, 0, 1, 1]], input_shape=(1, 28, 28), classes=10)
>>> architecture.flops, architecture.parameters
(1779312, 2674)
>>> [layer.op for layer in architecture.layers][-2:]
['global_average_pool', 'linear']
"""

from a4nn_core.spaces.architecture import Architecture, Graph
from a4nn_core.spaces.base import (
    SPACES,
    FreeSpace,
    Genes,
    Genome,
    Mutant,
    SearchSpace,
    Space,
    VectorSpace,
)
from a4nn_core.spaces.layer import Cost, Layer, Shape
from a4nn_core.spaces.operations import OPERATIONS, Kept, Operation

__all__ = [
    "OPERATIONS",
    "SPACES",
    "Architecture",
    "Cost",
    "FreeSpace",
    "Genes",
    "Genome",
    "Graph",
    "Kept",
    "Layer",
    "Mutant",
    "Operation",
    "SearchSpace",
    "Shape",
    "Space",
    "VectorSpace",
]
