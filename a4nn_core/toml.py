"""Reading TOML that people wrote."""

from __future__ import annotations

import tomllib
from typing import Any

from a4nn_core.jsonable import MOST_NESTED, depth


def toml_tables(text: str) -> dict[str, Any]:
    """The tables of TOML text.

    Raises:
        ValueError: it is not TOML, nested too deep, or has a number of thousands of digits; tomllib lets
            other errors through.
    """
    try:
        tables = tomllib.loads(text)
    except RecursionError:
        raise ValueError("nested too deep") from None
    except ValueError as error:
        if isinstance(error, tomllib.TOMLDecodeError):
            raise
        raise ValueError("a number has too many digits") from None
    if depth(tables) > MOST_NESTED:
        raise ValueError("nested too deep")
    return tables
