"""Whatever reading the records of a run can meet, as one error that names the run."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa

from a4nn_core.commons.columns import BadCell
from a4nn_core.commons.layout import Damaged
from a4nn_core.errors import BadInput
from a4nn_core.files import denied

UNREADABLE = (OSError, pa.ArrowException, TypeError, ValueError, OverflowError)


@contextmanager
def damage_named(commons: Path, run: str) -> Iterator[None]:
    """Turn errors on an unreadable file, or on a value of another type than its column, into one message."""
    try:
        yield
    except Damaged:
        raise
    except BadCell as error:
        raise Damaged(f"a record of run {run!r} in {commons} is damaged: {error}") from None
    except PermissionError as error:
        raise BadInput(denied(error)) from None
    except UNREADABLE as error:
        text = " ".join(str(error).split())
        raise Damaged(f"a file of run {run!r} in {commons} is damaged: {text}") from None
    except BadInput as error:
        raise Damaged(f"run {run!r} in {commons} cannot be read: {error}") from None
