"""What can be built: one file per search space; genome -> Architecture -> torch module (``build``).

What layers can do is in ``operations``, one file each.
"""

from a4nn_core.spaces.architecture import Architecture, Graph
from a4nn_core.spaces.base import SPACES, Genes, Genome, SearchSpace
from a4nn_core.spaces.layer import Cost, Layer, Shape
from a4nn_core.spaces.operations import OPERATIONS, Kept, Operation

__all__ = [
    "OPERATIONS",
    "SPACES",
    "Architecture",
    "Cost",
    "Genes",
    "Genome",
    "Graph",
    "Kept",
    "Layer",
    "Operation",
    "SearchSpace",
    "Shape",
]
