"""Fitness prediction: parametric functions of learning curves and their fits. See ``cpp/`` for the fitter."""

try:
    from a4nn_core.penguin import _lm as _lm
except ImportError as error:
    raise ImportError(
        "the compiled fitter a4nn_core.penguin._lm is not built: "
        "run `pip install .` in the repository, or `make install`"
    ) from error
