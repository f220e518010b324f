"""The Pareto front of a run: its trained networks that no other one beats in every objective."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray


def nondominated(values: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Which points no other point dominates, every objective being minimised.

    A point dominates another that is nowhere less and somewhere greater; equal points do not dominate each
    other.

    Args:
        values: shape (points, objectives).

    Returns:
        shape (points,).
    """
    count = len(values)
    keep = np.ones(count, dtype=bool)
    # In lexicographic order nothing is dominated by what comes after it, so one pass against the front so far
    # is enough.
    order = np.lexsort(values.T[::-1])
    front: list[int] = []
    for index in order:
        if front:
            others = values[front]
            beaten = np.all(others <= values[index], axis=1) & np.any(others < values[index], axis=1)
            if beaten.any():
                keep[index] = False
                continue
        front.append(int(index))
    return keep


def metric(row: Mapping[str, Any], name: str) -> float | None:
    """A metric of a network: from its fitness, else from its columns; None if it has none."""
    fitness = row.get("fitness") or {}
    if fitness.get(name) is not None:
        return float(fitness[name])
    if name == "error_percent":
        best = row.get("best_accuracy_percent")
        return None if best is None else 100.0 - float(best)
    if name in ("mflops", "gflops"):
        flops = row.get("flops")
        return None if flops is None else float(flops) / (1e6 if name == "mflops" else 1e9)
    value = row.get(name)
    return None if value is None else float(value)


def front_rows(rows: Iterable[Mapping[str, Any]], objectives: Mapping[str, str]) -> list[dict[str, Any]]:
    """The rows of the networks on the front, by the first objective, best first.

    Args:
        rows: of ``networks``, one run; failed ones and those equal to another are left out.
        objectives: metric name to ``minimise`` or ``maximise``.
    """
    signs = {name: -1.0 if sense.startswith("max") else 1.0 for name, sense in objectives.items()}
    points, candidates = [], []
    for row in rows:
        if row.get("status") not in ("completed", "stopped") or row.get("equal_to") is not None:
            continue
        values = [metric(row, name) for name in signs]
        if any(value is None for value in values):
            continue
        points.append([sign * (value or 0.0) for sign, value in zip(signs.values(), values, strict=True)])
        candidates.append(dict(row))
    if not points:
        return []
    array = np.asarray(points, dtype=np.float64)
    keep = np.flatnonzero(nondominated(array))
    return [candidates[i] for i in sorted(keep, key=lambda i: (tuple(array[i]), candidates[i]["network"]))]
