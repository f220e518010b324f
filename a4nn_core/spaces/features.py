"""Numbers that describe an architecture, so that models can compare networks of any space."""

from __future__ import annotations

import math
from collections import Counter

from a4nn_core.spaces.architecture import Architecture


def architecture_features(architecture: Architecture) -> dict[str, float]:
    """Features of an architecture by name; networks of other spaces may have others.

    ``log_flops`` and ``log_parameters`` (natural logarithms), ``depth`` (layers on the longest path),
    ``channels`` (logarithm of the mean over layers), the number of layers by operation (``op.conv``), and for
    every phase its layers with parameters, its inner connections and the longest path inside it
    (``phase.0.layers``, ``phase.0.connections``, ``phase.0.depth``).
    """
    layers = architecture.layers
    features = {
        "log_flops": math.log(max(architecture.flops, 1)),
        "log_parameters": math.log(max(architecture.parameters, 1)),
        "depth": float(_longest(architecture, None)),
        "channels": math.log(sum(layer.channels for layer in layers) / len(layers)),
    }
    features |= {f"op.{op}": float(n) for op, n in Counter(layer.op for layer in layers[1:]).items()}
    for phase in sorted({layer.phase for layer in layers if layer.phase is not None}):
        inside = {index for index, layer in enumerate(layers) if layer.phase == phase}
        weighty = sum(1 for index in inside if architecture.costs[index].parameters)
        connections = sum(1 for source, target in architecture.edges if {source, target} <= inside)
        features[f"phase.{phase}.layers"] = float(weighty)
        features[f"phase.{phase}.connections"] = float(connections)
        features[f"phase.{phase}.depth"] = float(_longest(architecture, inside))
    return features


def _longest(architecture: Architecture, inside: set[int] | None) -> int:
    """Connections on the longest path, of the whole graph or inside a set of layers."""
    longest = [0] * len(architecture.layers)
    for source, target in sorted(architecture.edges, key=lambda edge: edge[1]):
        if inside is None or {source, target} <= inside:
            longest[target] = max(longest[target], longest[source] + 1)
    return max(longest)
