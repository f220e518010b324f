"""What a training loop reports, checked: a number, within the bounds of the metric, in their scale."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence

from a4nn_core.errors import BadInput
from a4nn_core.vocabulary import Bounds

_PERCENT: Bounds = (0.0, 100.0)
_SHARE: Bounds = (0.0, 1.0)
_UNMEASURED = 3
"""so many epochs in a row without a number are no accident"""


def reported(value: object, bounds: Bounds, place: str) -> float:
    """A reported value as a float; NaN or infinite for an epoch without a measurement.

    Args:
        value: a number, or what can be made one, such as a tensor or an array with one element.
        bounds: the least and greatest value of the metric, None where open.
        place: what it is, for the message.

    Raises:
        BadInput: it is text or no number, or it lies outside the bounds.
    """
    try:
        number = math.nan if isinstance(value, str | bytes) else float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, RuntimeError, OverflowError):
        raise BadInput(f"{place} = {value!r} is not one number") from None
    if isinstance(value, str | bytes):
        raise BadInput(f"{place} = {value!r} is text: give a number")
    low, high = bounds
    below, above = low is not None and number < low, high is not None and number > high
    if math.isfinite(number) and (below or above):
        percent = bounds == _SHARE and 1 < number <= 100
        hint = ": if it is a percentage, say bounds=(0, 100)" if percent else ""
        raise BadInput(f"{place} = {number:g} is outside the bounds, {_said(bounds)}{hint}")
    return number


def doubt(curve: Sequence[float], bounds: Bounds, metric: str) -> None:
    """Warn of a curve that is probably not what was meant. Called after every epoch, it warns once of each
    reason: after the second epoch of the scale, and when the third epoch in a row lacks a number.

    Args:
        curve: the values so far, one per epoch.
        bounds: the least and greatest value of the metric.
        metric: its name.

    Warns:
        UserWarning: fractions where the bounds are those of percent, or no numbers at all.
    """
    if bounds == _PERCENT and len(curve) == 2 and all(0 < value <= 1 for value in curve):
        warnings.warn(
            f"{metric} was between 0 and 1 in the first two epochs, and its bounds are 0 to 100: if it is a "
            "fraction, say bounds=(0, 1)",
            stacklevel=4,
        )
    missing = next((n for n, value in enumerate(reversed(curve)) if math.isfinite(value)), len(curve))
    if missing == _UNMEASURED:
        warnings.warn(
            f"{metric} was not a finite number in {_UNMEASURED} epochs in a row: training diverged, or the "
            "metric is not computed",
            stacklevel=4,
        )


def _said(bounds: Bounds) -> str:
    low, high = bounds
    if low is None or high is None:
        return f"at least {low:g}" if low is not None else f"at most {high:g}"
    return f"{low:g} to {high:g}"
