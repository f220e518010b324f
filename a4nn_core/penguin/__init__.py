"""PENGUIN, the prediction engine: parametric functions of learning curves, their fits, what they predict.

>>> from a4nn_core.penguin import make_engine
>>> prediction = make_engine("a4nn").predict([50.0, 60.0, 66.0, 70.0, 73.0], horizon=25)
>>> [round(number, 1) for number in (prediction.low, prediction.value, prediction.high)]
[69.7, 81.7, 95.7]

The fitter is compiled; see ``cpp/``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from a4nn_core.exports import lazy

try:
    from a4nn_core.penguin import _lm as _lm
except ImportError as error:
    raise ImportError(
        "the compiled fitter a4nn_core.penguin._lm is not built: "
        "run `pip install .` in the repository, or `make install`"
    ) from error

if TYPE_CHECKING:
    from a4nn_core.penguin.base import EpochPrediction as EpochPrediction
    from a4nn_core.penguin.base import Prediction as Prediction
    from a4nn_core.penguin.base import PredictionEngine as PredictionEngine
    from a4nn_core.penguin.engines import ENGINES as ENGINES
    from a4nn_core.penguin.engines import make_engine as make_engine
    from a4nn_core.penguin.functions import FUNCTIONS as FUNCTIONS

_WHERE = {
    "ENGINES": "engines",
    "EpochPrediction": "base",
    "FUNCTIONS": "functions",
    "Prediction": "base",
    "PredictionEngine": "base",
    "make_engine": "engines",
}

__all__ = ["ENGINES", "FUNCTIONS", "EpochPrediction", "Prediction", "PredictionEngine", "make_engine"]

__getattr__ = lazy(__name__, _WHERE)
