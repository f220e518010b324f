"""The one form of JSON that all records use: strict, compact, without NaN."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from typing import TypeAlias

Json: TypeAlias = "dict[str, Json] | list[Json] | str | int | float | bool | None"


def to_jsonable(value: object) -> Json:
    """A value that strict JSON can hold: NaN and infinities become null, NumPy scalars Python numbers.

    Raises:
        TypeError: JSON cannot represent it.
    """
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, (str, int)):
        return value
    if isinstance(value, Mapping):
        return {str(key): to_jsonable(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [to_jsonable(inner) for inner in value]
    if callable(tolist := getattr(value, "tolist", None)):  # NumPy scalar or array
        return to_jsonable(tolist())
    if isinstance(value, os.PathLike):
        return str(os.fspath(value))
    raise TypeError(f"{value!r} ({type(value).__name__}) cannot be stored as JSON")


def to_json(value: object) -> str:
    """Compact strict JSON, one line."""
    return json.dumps(to_jsonable(value), separators=(",", ":"), ensure_ascii=False, allow_nan=False)


MOST_NESTED = 100
"""so many objects and lists may be inside each other in JSON from elsewhere"""


def parsed(text: str) -> Json:
    """The value of strict JSON, as it may come from strangers.

    Raises:
        ValueError: it is not JSON, not UTF-8, nested too deep, or has what records cannot hold: a number that
            is not finite, or half a character.
    """
    if isinstance(text, bytes):
        text = text.decode()
    try:
        value: Json = json.loads(text, parse_constant=_finite, parse_float=_finite)
    except RecursionError:
        raise ValueError("nested too deep") from None
    if "\\u" in text:
        json.dumps(value, ensure_ascii=False).encode()
    if text.count("[") + text.count("{") > MOST_NESTED and depth(value) > MOST_NESTED:
        raise ValueError("nested too deep")
    return value


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text} is not a finite number")
    return value


def depth(value: object) -> int:
    """How many lists and objects are inside each other in a value."""
    found, level = 0, [value]
    while level:
        inner = (v.values() if isinstance(v, dict) else v for v in level if isinstance(v, (dict, list)))
        level = [each for values in inner for each in values]
        found += 1
    return found - 1


class JsonText(str):
    """JSON text, as stored in a column of a table; it is parsed when its value is asked for."""

    __slots__ = ()

    @classmethod
    def of(cls, value: object) -> JsonText:
        """The JSON text of a value; a string is taken to be JSON text already."""
        return cls(value if isinstance(value, str) else to_json(value))

    @property
    def value(self) -> Json:
        """The parsed value; the text itself if it is not JSON, as another tool may have written it."""
        try:
            return parsed(self)
        except ValueError:
            return str(self)

    @property
    def members(self) -> dict[str, Json]:
        """The members of the object it holds; none if it holds something else."""
        return members(self.value)


def members(value: Json) -> dict[str, Json]:
    """The members of a JSON object; none of anything else."""
    return value if isinstance(value, dict) else {}


def number(value: Json) -> float | None:
    """A JSON number; None for anything else, and for one beyond the range of floats."""
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        return None
    try:
        return float(value)
    except OverflowError:
        return None


def whole(value: Json) -> int | None:
    """A whole number; None for anything else."""
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def text(value: Json) -> str | None:
    """A JSON text; None for anything else."""
    return value if isinstance(value, str) else None
