"""Python callables as parametric functions, for what the language of expressions cannot express."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence

from a4nn_core.errors import BadInput
from a4nn_core.penguin.functions import FUNCTIONS, PYTHON, Parameter, ParametricFunction


def python_function(
    call: Callable[..., object],
    parameters: Sequence[Parameter] | None = None,
    *,
    name: str | None = None,
    first: int = 0,
) -> ParametricFunction:
    """A parametric function that a Python callable computes: ``call(x, a, b, ...)``.

    SciPy fits it (``a4nn_core.penguin.scipy_fit``), about a thousand times slower than an expression;
    the compiled fitter and ``fit_many`` refuse it. Records hold it as the text
    ``python: module.name(x, a, b)``, which says what was fitted but cannot be run.

    Args:
        call: takes points of shape (points,) and one number per parameter, returns values of shape (points,);
            NaN or infinite where it has none.
        parameters: in the order of the callable's arguments after the first; without them their names are
            those of the arguments, without bounds.
        name: what the function is called in results; by default the name of the callable.
        first: x of the first epoch.

    Raises:
        BadInput: the callable takes no parameters, or not as many as are declared; or a declared function has
            its name.
    """
    called: str = name or getattr(call, "__name__", "") or type(call).__name__
    if called in FUNCTIONS:
        raise BadInput(f"there already is a parametric function named {called!r}; give this one another name")
    positional = _arguments(call, called)
    if parameters is None:
        parameters = [Parameter(argument) for argument in positional[1:]]
    if len(positional) != len(parameters) + 1 or not parameters:
        declared = ", ".join(p.name for p in parameters) or "none"
        raise BadInput(
            f"function {called!r} must take the points and one argument for each of its parameters "
            f"({declared}), but takes: {', '.join(positional) or 'none'}"
        )
    place = f"{getattr(call, '__module__', '?')}.{getattr(call, '__qualname__', called)}"
    text = f"{PYTHON}{place}({', '.join(['x', *(p.name for p in parameters)])})"
    return ParametricFunction(called, text, tuple(parameters), first=first, python=call)


def _arguments(call: Callable[..., object], name: str) -> list[str]:
    try:
        signature = inspect.signature(call)
    except (TypeError, ValueError):
        raise BadInput(f"function {name!r} has no signature that can be read") from None
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return [argument.name for argument in signature.parameters.values() if argument.kind in kinds]
