"""Learning curves of any origin from a CSV file: columns ``curve_id, epoch, accuracy``."""

from __future__ import annotations

import csv
import math
from pathlib import Path

from a4nn_core.errors import BadInput

VALUE_COLUMNS = ("accuracy", "accuracy_percent", "val_accuracy", "validation_accuracy_percent")


def read_curves(path: Path) -> dict[str, list[float]]:
    """Curves by id, in the order of the file, each from epoch 1 without gaps.

    Epochs may be in any order. An empty value or ``nan`` becomes NaN: an epoch without a measurement.

    Args:
        path: CSV with a header; ``epoch`` counts from 1, ``accuracy`` (or another of ``VALUE_COLUMNS``) is in
            percent. Without ``curve_id`` the file is one curve, named for the file.

    Raises:
        BadInput: the file cannot be read, a column is missing, a cell is not a number, an accuracy lies
            outside 0 to 100, or an epoch is missing or appears twice. The message names the line or the
            curve.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            return _curves(path, csv.DictReader(file))
    except OSError as error:
        raise BadInput(f"{path} cannot be read: {error.strerror or error}") from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise BadInput(f"{path} cannot be read as CSV: {error}") from None


def _curves(path: Path, rows: csv.DictReader[str]) -> dict[str, list[float]]:
    columns = [name.strip() for name in rows.fieldnames or []]
    rows.fieldnames = columns
    value = next((name for name in VALUE_COLUMNS if name in columns), None)
    if "epoch" not in columns or value is None:
        raise BadInput(
            f"{path} needs the columns epoch and accuracy (and curve_id for several curves); "
            f"it has: {', '.join(columns) or 'none'}"
        )
    curves: dict[str, dict[int, float]] = {}
    for row in rows:
        place = f"{path} line {rows.line_num}"
        name = (row.get("curve_id") or "").strip() if "curve_id" in columns else path.stem
        if not name:
            raise BadInput(f"{place} has no curve_id")
        epoch = _epoch(row["epoch"], place)
        known = curves.setdefault(name, {})
        if epoch in known:
            raise BadInput(f"{place}: epoch {epoch} of curve {name!r} appears twice")
        known[epoch] = _percent(row[value], value, place)
    if not curves:
        raise BadInput(f"{path} has no curve")
    for name, known in curves.items():
        missing = next((e for e in range(1, len(known) + 1) if e not in known), None)
        if missing is not None:
            raise BadInput(f"{path}: epoch {missing} of curve {name!r} is missing; epochs count from 1")
    return {name: [known[e] for e in sorted(known)] for name, known in curves.items()}


def _epoch(text: str | None, place: str) -> int:
    try:
        number = float(text or "")
    except ValueError:
        number = math.nan
    if not number.is_integer() or number < 1:
        raise BadInput(f"{place}: epoch {text!r} is not a whole number from 1 on")
    return int(number)


def _percent(text: str | None, column: str, place: str) -> float:
    if not (text or "").strip():
        return math.nan
    try:
        number = float(text or "")
    except ValueError:
        raise BadInput(f"{place}: {column} {text!r} is not a number") from None
    if math.isfinite(number) and not 0 <= number <= 100:
        raise BadInput(f"{place}: {column} {number:g} is not in percent (0 to 100)")
    return number
