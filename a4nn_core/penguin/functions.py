"""Parametric functions of learning curves, each declared once: expression, parameters, bounds, starts.

The functions are those of the published engine (TauferLab/A4NN_workflow, ``penguin/function_index.py``; the
names used there are kept as aliases) and two more of its slides, ``pow4`` and ``linear``. The published
engine bounds the default function only; the bounds of the others are this project's: wide enough for a metric
in percent, and closed where the function would leave the reals. Most of the family goes back to Domhan,
Springenberg and Hutter, "Speeding up Automatic Hyperparameter Optimization of Deep Neural Networks by
Extrapolation of Learning Curves", IJCAI 2015, table 1.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from math import exp, inf, nan
from typing import Annotated

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import AfterValidator

from a4nn_core.errors import BadInput
from a4nn_core.penguin import _lm

PYTHON = "python: "  # how the recorded text of a Python callable begins


@dataclass(frozen=True)
class Parameter:
    """One parameter of a function.

    Attributes:
        name: as it appears in the expression.
        lower, upper: bounds; infinite where open.
        starts: where its search begins. Parameters that enter linearly are solved for and need none.
        origin: if finite, the search runs over the logarithm of the distance from it; a bound lies beside it.
    """

    name: str
    lower: float = -inf
    upper: float = inf
    starts: tuple[float, ...] = ()
    origin: float = nan


@dataclass(frozen=True)
class Rewritten:
    """The same curves written so that more parameters are linear; the fit is made in this form.

    Attributes:
        expression, parameters: as in ``ParametricFunction``.
        restore: returns the declared parameters for the values fitted here, each in its own order.
    """

    expression: str
    parameters: tuple[Parameter, ...]
    restore: Callable[[Sequence[float]], Sequence[float]]


@dataclass(frozen=True)
class ParametricFunction:
    """A curve with unknown parameters.

    Attributes:
        name: by which settings choose it.
        expression: in the language of ``cpp/parse.hpp``: parameters, ``x`` (or ``n``), numbers, ``+ - * /
            **``, ``exp``, ``log``, ``sqrt``, ``tanh``.
        parameters: what is fitted, in the order of fitted values.
        aliases: other names under which it was published.
        rewritten: the form that is fitted, None where it is the expression itself.
        first: x of the first epoch: 0, or 1 where the function or its slope has no value at 0.
        python: computes the values where no expression can (``a4nn_core.penguin.callables``).
    """

    name: str
    expression: str
    parameters: tuple[Parameter, ...]
    aliases: tuple[str, ...] = ()
    first: int = 0
    rewritten: Rewritten | None = None
    python: Callable[..., object] | None = None

    @cached_property
    def compiled(self) -> _lm.Function:
        """The function as the extension compiled it.

        Raises:
            BadInput: the expression cannot be read (the position is named), bounds leave no value, or
                the function is a Python callable.
        """
        if self.python is not None:
            raise BadInput(
                f"function {self.name!r} is a Python callable, which the compiled fitter cannot run: "
                "fit(...) fits it with SciPy, one curve at a time; for many fits write it as an expression"
            )
        return _compile(self.name, self.expression, self.parameters)

    @cached_property
    def fitted(self) -> _lm.Function:
        """What the extension fits: the rewritten form where there is one. Raises as ``compiled``."""
        if self.rewritten is None:
            return self.compiled
        return _compile(self.name, self.rewritten.expression, self.rewritten.parameters)

    def evaluate(self, parameters: Mapping[str, float], x: ArrayLike) -> NDArray[np.float64]:
        """Values at points x, shape (points,); NaN or infinite where the function has none.

        Args:
            parameters: values by name.
            x: points, shape (points,).

        Raises:
            BadInput: a parameter is missing, or a Python callable does not return one value for each point.
        """
        missing = [p.name for p in self.parameters if p.name not in parameters]
        if missing:
            raise BadInput(f"function {self.name!r} lacks a value of {', '.join(missing)}")
        points = np.atleast_1d(np.asarray(x, dtype=np.float64))
        values = [parameters[p.name] for p in self.parameters]
        if self.python is None:
            return self.compiled.evaluate(values, points)
        try:
            given = np.asarray(self.python(points, *values), dtype=np.float64)
        except (TypeError, ValueError) as error:
            raise BadInput(f"function {self.name!r} cannot be evaluated: {error}") from error
        if given.shape != points.shape:
            raise BadInput(
                f"function {self.name!r} returned values of shape {given.shape} for {points.shape} points"
            )
        return given

    def value_at(self, parameters: Mapping[str, float], x: float) -> float:
        """The value at one point, of parameters that a fit returned: ``evaluate`` without its checks."""
        if self.python is not None:
            return float(self.evaluate(parameters, x)[0])
        return float(self.compiled.evaluate([parameters[p.name] for p in self.parameters], [x])[0])


def _compile(name: str, expression: str, parameters: tuple[Parameter, ...]) -> _lm.Function:
    # the parser sees bytes, and could not say which character it stumbled over
    for position, character in enumerate(expression, start=1):
        if not character.isascii() or not (character.isprintable() or character.isspace()):
            raise BadInput(f"function {name!r}: unexpected {character!r} at position {position}")
    try:
        return _lm.Function(
            expression,
            [p.name for p in parameters],
            [p.lower for p in parameters],
            [p.upper for p in parameters],
            [p.origin for p in parameters],
            [list(p.starts) for p in parameters],
        )
    except ValueError as error:
        raise BadInput(f"function {name!r}: {error}") from None


def _around(low: float, high: float, count: int, origin: float = 0.0) -> tuple[float, ...]:
    """Starts from origin + low to origin + high, evenly on a logarithmic scale.

    Rounded, so that they do not depend on a mathematics library's last bit.
    """
    step = (high / low) ** (1 / (count - 1))
    return tuple(float(f"{origin + low * step**i:.12g}") for i in range(count))


def _rate(name: str, count: int) -> Parameter:
    """The rate of an exponential: from a time constant of a thousand epochs to one of a tenth."""
    return Parameter(name, 0.0, 20.0, _around(1e-3, 10.0, count), 0.0)


def _shape(name: str) -> Parameter:
    """The power that a Weibull, Janoschek or Morgan-Mercer-Flodin curve takes of the epoch."""
    return Parameter(name, 0.01, 10.0, _around(0.1, 8.0, 7))


def _scale(name: str) -> Parameter:
    """The factor of a power of the epoch: with a power of 10 a step at epoch 15 has one of 1e-12."""
    return Parameter(name, 0.0, 20.0, _around(1e-12, 10.0, 18), 0.0)


_BASES = tuple(
    float(f"{1 + exp(k):.12g}")
    for k in (-6.5, -5.5, -4.5, -3.5, -2.75, -2.0, -1.25, -0.5, 0.25, 1.0, 2.0, 4.0)
)
_EXPONENTS = (-5.0, -3.0, -2.0, -1.4, -1.0, -0.7, -0.45, -0.25, -0.1, 0.1, 0.25, 0.45, 0.7, 1.0, 1.5, 2.5)

_GROWTH = (-5.0, -2.0, -1.0, -0.5, -0.25, -0.12, -0.06, -0.03, -0.01, 0.01, 0.03, 0.1, 0.3, 1.0)

_DECLARED = (
    ParametricFunction(
        "default",
        "a - b**(c - x)",
        (Parameter("a", 0.5, 200.0), Parameter("b", 1.0, inf, _BASES, 1.0), Parameter("c", 0.0, inf)),
        ("accDefaultFn",),
    ),
    ParametricFunction(
        "pow2", "a * x**b", (Parameter("a"), Parameter("b", -10.0, 10.0, _EXPONENTS)), ("accPow2",), first=1
    ),
    ParametricFunction(
        "pow3",
        "a * x**b + c",
        (Parameter("a"), Parameter("b", -10.0, 10.0, _EXPONENTS), Parameter("c")),
        ("accPow3",),
        first=1,
    ),
    ParametricFunction(
        "pow4",
        "c - (a * x + b)**(-d)",
        (
            Parameter("c"),
            Parameter("a", 0.0),
            Parameter("b", 0.0),
            Parameter("d", 0.05, 50.0),
        ),
        # (a x + b)^-d = p (1 + r x)^-d with p = b^-d and r = a / b
        rewritten=Rewritten(
            "c - p * (1 + r * x)**(-d)",
            (
                Parameter("c"),
                Parameter("p", 1e-6, 1e9),
                Parameter("r", 0.0, 1e6, _around(1e-3, 30.0, 8), 0.0),
                Parameter("d", 0.05, 50.0, _around(0.1, 30.0, 7), 0.0),
            ),
            lambda v: (v[0], v[2] * v[1] ** (-1 / v[3]), v[1] ** (-1 / v[3]), v[3]),
        ),
    ),
    ParametricFunction("log2", "a * log(x) + b", (Parameter("a"), Parameter("b")), ("accLog2",), first=1),
    ParametricFunction("linear", "a * x + b", (Parameter("a"), Parameter("b"))),
    ParametricFunction(
        "exp2",
        "a * exp(b * x)",
        (
            Parameter("a"),
            Parameter("b", -10.0, 10.0, _GROWTH),
        ),
        ("accExp2",),
    ),
    ParametricFunction(
        "exp3",
        "a * exp(b * x) + c",
        (
            Parameter("a"),
            Parameter(
                "b",
                -10.0,
                10.0,
                _GROWTH,
            ),
            Parameter("c"),
        ),
        ("accExp3",),
    ),
    ParametricFunction(
        "exp4",
        "c - exp(b - a * x**d)",
        (Parameter("c"), _scale("a"), _shape("d"), Parameter("b", -50.0, 50.0)),
        ("accExp4",),
        first=1,
    ),
    ParametricFunction(
        "expp3",
        "c - exp((x - b)**a)",
        (
            Parameter("c"),
            # a = 0 is a flat line: from there a nearly constant curve is found
            Parameter(
                "a",
                -5.0,
                1.0,
                (-4.5, -3.0, -2.0, -1.2, -0.6, -0.25, 0.0, 0.15, 0.3, 0.45, 0.6, 0.75, 0.9),
            ),
            Parameter("b", -100.0, -1e-6, tuple(-b for b in _around(1e-4, 70.0, 10)), 0.0),
        ),
        ("accExpp3",),
    ),
    ParametricFunction(
        "expd3", "c - (c - a) * exp(-b * x)", (Parameter("c"), Parameter("a"), _rate("b", 14)), ("accExpd3",)
    ),
    ParametricFunction(
        "vap3",
        "exp(a + b / x + c * log(x))",
        (
            Parameter("a", -50.0, 50.0),
            Parameter("b", -50.0, 50.0, (-10.0, -3.0, -1.0, -0.3, 0.0, 0.3, 1.0, 3.0)),
            Parameter("c", -10.0, 10.0, (-2.0, -0.7, -0.3, -0.1, 0.0, 0.1, 0.3, 0.7, 2.0)),
        ),
        ("accVap3",),
        first=1,
    ),
    ParametricFunction(
        "mmf4",
        "(a * b + c * x**d) / (b + x**d)",
        (
            Parameter("a"),
            Parameter("b", 1e-6, 1e10, _around(1e-2, 5e9, 16), 0.0),
            Parameter("c"),
            _shape("d"),
        ),
        ("accMmf4",),
        first=1,
    ),
    ParametricFunction(
        "wbl4",
        "a - b * exp(-c * x**d)",
        (Parameter("a"), Parameter("b"), _scale("c"), _shape("d")),
        ("accWbl4",),
        first=1,
    ),
    # published as b - a / log(x), which has no value at 1: here the first epoch is its 2
    ParametricFunction(
        "ilog2", "b - a / log(x + 1)", (Parameter("a"), Parameter("b")), ("accIlog2",), first=1
    ),
    ParametricFunction(
        "loss",
        "a + b**(c - x)",
        (Parameter("a"), Parameter("b", 1.0, inf, _BASES, 1.0), Parameter("c", -50.0, inf)),
        ("lossDefaultFn",),
    ),
)

FUNCTIONS: Mapping[str, ParametricFunction] = {f.name: f for f in _DECLARED}
_BY_ANY_NAME = {name: f for f in _DECLARED for name in (f.name, *f.aliases)}


def function(name: str) -> ParametricFunction:
    """The function of that name or published alias, or a custom one from its expression.

    Args:
        name: such as ``pow3``, ``accPow3`` or ``a - b * exp(-c * sqrt(x))``. The parameters of an expression
            are the names in it, in order of appearance, without bounds; its epochs count from 0, or from 1
            where it has no value or slope at 0.

    Raises:
        BadInput: no such function (the message lists those that exist), or the expression cannot be read (the
            position is named) or does not depend on x.
    """
    found = _BY_ANY_NAME.get(name)
    if found is not None:
        return found
    if name.startswith(PYTHON):
        raise BadInput(
            f"{name!r} names a Python callable, which cannot be made from its text; give the callable"
        )
    if name.isidentifier():
        raise BadInput(f"there is no parametric function named {name!r}; known: {', '.join(FUNCTIONS)}")
    return _custom(name)


@lru_cache(maxsize=256)
def _custom(expression: str) -> ParametricFunction:
    read = _compile(expression, expression, ())
    if not read.uses_variable:
        raise BadInput(f"function {expression!r} does not depend on the epoch: it has no x and no n")
    if not read.parameters:
        raise BadInput(f"function {expression!r} has no parameters to fit")
    # unequal values, so that differences of parameters do not vanish
    values = [1.5 + 0.25 * i for i in range(len(read.parameters))]
    at_zero = np.append(read.evaluate(values, [0.0]), read.jacobian(values, [0.0]))
    first = 0 if np.isfinite(at_zero).all() else 1
    return ParametricFunction(
        expression, expression, tuple(Parameter(p) for p in read.parameters), first=first
    )


def _canonical(name: str) -> str:
    try:
        return function(name).name
    except BadInput as error:
        raise ValueError(str(error)) from None  # pydantic names the field


FunctionName = Annotated[str, AfterValidator(_canonical)]
"""A setting that names a parametric function, by its name, published alias or expression."""
