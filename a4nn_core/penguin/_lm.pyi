"""The compiled fitter; `a4nn_core.penguin.fit` is its public face."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

STATUSES: tuple[tuple[str, str], ...]
"""Word and sentence of every status, in the order of the numbers that `fit` returns."""

class ExpressionError(ValueError):
    """What is wrong with an expression, and at which position."""

class Function:
    """An expression ready to be fitted."""

    def __init__(
        self,
        expression: str,
        parameters: Sequence[str] = ...,
        lower: Sequence[float] = ...,
        upper: Sequence[float] = ...,
        origins: Sequence[float] = ...,
        starts: Sequence[Sequence[float]] = ...,
    ) -> None: ...
    @property
    def parameters(self) -> list[str]: ...
    @property
    def linear(self) -> list[str]: ...
    @property
    def uses_variable(self) -> bool: ...
    def evaluate(self, parameters: Sequence[float], x: ArrayLike) -> NDArray[np.float64]: ...
    def jacobian(self, parameters: Sequence[float], x: ArrayLike) -> NDArray[np.float64]: ...

def fit(
    function: Function,
    x: ArrayLike,
    y: ArrayLike,
    weights: ArrayLike = ...,
    loss: str = "squares",
    scale: float = 1.0,
    max_evaluations: int = 2000,
) -> tuple[int, list[float], float, int, float]:
    """(status, parameters, root mean square residual, evaluations, microseconds)."""

def fit_many(
    functions: Sequence[Function],
    first: Sequence[float],
    values: ArrayLike,
    lengths: Sequence[int],
    loss: str = "squares",
    scale: float = 1.0,
    max_evaluations: int = 2000,
    threads: int = 1,
) -> tuple[NDArray[np.int8], NDArray[np.float64], NDArray[np.float64], NDArray[np.int32]]:
    """(status, parameters, root mean square residual, evaluations), of shape (curves, functions, ...)."""
