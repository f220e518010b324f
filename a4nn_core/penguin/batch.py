"""Many fits in one call: every function to every curve, on several threads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from a4nn_core.errors import BadInput
from a4nn_core.penguin import _lm
from a4nn_core.penguin.functions import ParametricFunction
from a4nn_core.penguin.outcome import COMPILED_STATUSES, Fit, Loss


@dataclass(frozen=True)
class FitTable:
    """The fits of some functions to some curves.

    Attributes:
        functions: those that were fitted, one per column.
        status: shape (curves, functions); indices into ``COMPILED_STATUSES``.
        parameters: shape (curves, functions, parameters), in each function's order; NaN where there is none.
        residual_rms: shape (curves, functions), in the unit of the curves; NaN where nothing was fitted.
        evaluations: shape (curves, functions); how often each function was evaluated at all points.
    """

    functions: tuple[ParametricFunction, ...]
    status: NDArray[np.int8]
    parameters: NDArray[np.float64]
    residual_rms: NDArray[np.float64]
    evaluations: NDArray[np.int32]

    def fit(self, curve: int, function: int) -> Fit:
        """One cell, as ``a4nn_core.penguin.fit.fit`` returns it; it has no time of its own (NaN)."""
        names = [p.name for p in self.functions[function].parameters]
        values = self.parameters[curve, function, : len(names)]
        known = not np.isnan(self.residual_rms[curve, function])
        return Fit(
            COMPILED_STATUSES[self.status[curve, function]],
            dict(zip(names, values.tolist(), strict=True)) if known else {},
            float(self.residual_rms[curve, function]),
            int(self.evaluations[curve, function]),
            float("nan"),
        )


def fit_many(
    functions: Sequence[ParametricFunction],
    curves: Sequence[ArrayLike],
    *,
    loss: Loss = "squares",
    scale: float = 1.0,
    max_evaluations: int = 2000,
    threads: int = 1,
) -> FitTable:
    """Every function fitted to every curve; the result does not depend on the number of threads.

    Args:
        functions: what to fit. A curve's epochs count from each function's ``first``.
        curves: values, one array per curve, of any lengths.
        loss, scale, max_evaluations: as in ``a4nn_core.penguin.fit.fit``.
        threads: how many threads work at once; the interpreter lock is released.

    Raises:
        BadInput: a curve that is not one-dimensional, or a setting out of range.
    """
    arrays = [np.asarray(curve, dtype=np.float64) for curve in curves]
    for index, array in enumerate(arrays):
        if array.ndim != 1:
            raise BadInput(f"curve {index} has {array.ndim} dimensions, not one")
    try:
        status, parameters, rms, evaluations = _lm.fit_many(
            [f.fitted for f in functions],
            [float(f.first) for f in functions],
            np.concatenate([np.empty(0), *arrays]),
            [len(array) for array in arrays],
            loss,
            scale,
            max_evaluations,
            threads,
        )
    except ValueError as error:
        raise BadInput(f"the curves cannot be fitted: {error}") from None
    for column, f in enumerate(functions):
        if f.rewritten is None:
            continue
        for row in np.flatnonzero(~np.isnan(rms[:, column])):
            values = parameters[row, column, : len(f.parameters)]
            values[:] = f.rewritten.restore(values.tolist())
    return FitTable(tuple(functions), status, parameters, rms, evaluations)
