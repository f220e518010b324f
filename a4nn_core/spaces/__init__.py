"""What can be built: one file a search space; genome -> Architecture -> torch module (``build``).

What layers can do is in ``operations``, one file each.
"""

from a4nn_core.spaces.architecture import Architecture, Layer
from a4nn_core.spaces.base import SPACES, Genome, SearchSpace

__all__ = ["SPACES", "Architecture", "Genome", "Layer", "SearchSpace"]
