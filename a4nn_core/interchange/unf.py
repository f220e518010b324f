"""UNF:6, the fingerprint by which Dataverse cites tables, as the server computes it.

A UNF says that two tables hold the same values, whatever files they are in; it is made for citation. Numbers
count with seven digits and text with 128 characters, so it does not detect every change: SHA-256 does.

Source: the Java code that Dataverse runs (IQSS/UNF, release of May 2024), which differs from the prose of the
specification: digests are combined without their header ``UNF:6:``.
"""

from __future__ import annotations

import base64
import hashlib
import math
from collections.abc import Iterable, Sequence
from decimal import ROUND_HALF_EVEN, Context, Decimal
from typing import Any

HEADER = "UNF:6:"
_MISSING = b"\0\0\0"
_END = b"\n\0"
_CHARACTERS = 128
# Java makes a decimal of 16 digits out of Double.toString before it rounds to seven
_DOUBLE = Context(prec=16, rounding=ROUND_HALF_EVEN, Emin=-999, Emax=999)
_SEVEN = Context(prec=7, rounding=ROUND_HALF_EVEN, Emin=-999, Emax=999)
_SMALLEST = 5e-324  # Java prints it with two digits


def number_text(value: float) -> str:
    """A number in the canonical form that is hashed, such as ``+1.234568e+`` or ``-2.5e-7``.

    It is rounded to seven digits, ties to even, on the shortest decimal of the double, not on its binary
    value.
    """
    value = float(value)
    if math.isnan(value):
        return "+nan"
    if math.isinf(value):
        return "+inf" if value > 0 else "-inf"
    if value == 0:
        return "-0.e+" if math.copysign(1, value) < 0 else "+0.e+"
    shortest = (
        Decimal("4.9e-324").copy_sign(Decimal(value)) if abs(value) == _SMALLEST else Decimal(repr(value))
    )
    sign, digits, exponent = _SEVEN.plus(_DOUBLE.plus(shortest)).as_tuple()
    assert isinstance(exponent, int)
    power = exponent + len(digits) - 1
    first, rest = str(digits[0]), "".join(map(str, digits[1:])).rstrip("0")
    return f"{'-' if sign else '+'}{first}.{rest}e{'-' if power < 0 else '+'}{abs(power) or ''}"


def _text_bytes(value: str) -> bytes:
    """The first 128 characters as UTF-8. Java counts UTF-16 units, and writes half a pair as ``?``."""
    if len(value) > _CHARACTERS or not value.isascii():
        units = value.encode("utf-16-le", "surrogatepass")[: 2 * _CHARACTERS]
        value = units.decode("utf-16-le", "surrogatepass")
    return value.encode("utf-8", "replace")


def _cell(value: Any) -> bytes:
    if value is None:
        return _MISSING
    if isinstance(value, str):
        return _text_bytes(value) + _END
    return number_text(value).encode() + _END


def _digest(data: bytes) -> str:
    return base64.b64encode(hashlib.sha256(data).digest()[:16]).decode()


def column_unf(values: Iterable[Any]) -> str:
    """The UNF of one column.

    Args:
        values: in the order of the rows: numbers (integers and 32-bit floats count as doubles, booleans as 0
            and 1), text, or None for a missing value. Dates and times are text in the form that
            ``ingest.typed_columns`` returns.

    Returns:
        such as ``UNF:6:Do5dfAoOOFt4FSj0JcByEw==``. Neither the name of the column nor the file counts.

    Raises:
        TypeError: a value is none of these.
        OverflowError: an integer is greater than any double.
    """
    return HEADER + _digest(b"".join(_cell(value) for value in values))


def combine(unfs: Sequence[str]) -> str:
    """The UNF of a table from its columns', or of a data set from its tables'. Their order does not count.

    Raises:
        ValueError: there is none to combine, or one that is not a UNF:6.
    """
    if not unfs:
        raise ValueError("a UNF needs at least one column")
    for unf in unfs:
        if not unf.startswith(HEADER):
            raise ValueError(f"{unf!r} is not a UNF of version 6 with the usual digits")
    if len(unfs) == 1:
        return unfs[0]
    return column_unf(sorted(unf.removeprefix(HEADER) for unf in unfs))


def table_unf(columns: Iterable[Iterable[Any]]) -> str:
    """The UNF of a table, given column by column."""
    return combine([column_unf(column) for column in columns])
