"""CSV files: reading them, and importing learning curves as runs of a commons."""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from a4nn_core.commons.records import Epoch, Network
from a4nn_core.errors import BadInput
from a4nn_core.interchange.incoming import IncomingNetwork, IncomingRun
from a4nn_core.jsonable import Json, JsonText
from a4nn_core.vocabulary import Direction, NetworkStatus


def read_csv(path: Path, required: Sequence[str]) -> list[dict[str, str]]:
    """The rows of a CSV file with a header line.

    Raises:
        BadInput: no such file, not text, a missing column, or a row with the wrong number of fields.
    """
    try:
        with path.open(newline="", encoding="utf-8") as file:
            reader = csv.DictReader(file)
            names = reader.fieldnames or []
            missing = [name for name in required if name not in names]
            if missing:
                raise BadInput(
                    f"{path} has no column {missing[0]!r}; its columns: {', '.join(names) or 'none'}"
                )
            rows = []
            for row in reader:
                if None in row or None in row.values():
                    raise BadInput(f"{path} line {reader.line_num}: not {len(names)} fields")
                rows.append(row)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise BadInput(f"cannot read {path}: {error}") from None
    if not rows:
        raise BadInput(f"{path} has no rows")
    return rows


def number(path: Path, row: Mapping[str, str], name: str) -> float | None:
    """A number of a row; None if the field is empty, inf or nan.

    Raises:
        BadInput: the field holds something else.
    """
    text = row.get(name, "")
    if not text:
        return None
    try:
        value = float(text)
    except ValueError:
        raise BadInput(f"{path} column {name!r}: {text!r} is not a number") from None
    return value if math.isfinite(value) else None


def whole_number(path: Path, row: Mapping[str, str], name: str) -> int:
    """A number of a row that counts something.

    Raises:
        BadInput: the field holds something else, or more than tables of a commons can.
    """
    value = number(path, row, name)
    if value is None or value != int(value) or not 0 <= value < 2**31:
        raise BadInput(f"{path} column {name!r}: {row[name]!r} is not a whole number from 0 to 2147483647")
    return int(value)


def import_csv(path: Path, commons: Path, run: str | None = None) -> tuple[str, int]:
    """Import bare learning curves into a commons: columns ``curve_id``, ``epoch`` and ``accuracy`` (percent).

    Epochs may count from 0 or 1; each curve becomes a network, in the order of the file.

    Returns:
        id of the run and how many networks it has.

    Raises:
        BadInput: a column is missing, a value unreadable, or a curve has gaps; nothing is written then.
    """
    rows = read_csv(path, ("curve_id", "epoch", "accuracy"))
    curves: dict[str, dict[int, float]] = {}
    for row in rows:
        value = number(path, row, "accuracy")
        epoch = whole_number(path, row, "epoch")
        points = curves.setdefault(row["curve_id"], {})
        if value is None or epoch in points:
            raise BadInput(f"{path}: curve {row['curve_id']!r} has epoch {epoch} twice or without a value")
        points[epoch] = value
    base = min(min(curve) for curve in curves.values())
    if base not in (0, 1):
        raise BadInput(f"{path}: epochs count from {base}; 0 or 1 is needed")
    horizon = max(len(curve) for curve in curves.values())
    networks = []
    for index, (name, curve) in enumerate(curves.items()):
        if sorted(curve) != list(range(base, base + len(curve))):
            raise BadInput(f"{path}: curve {name!r} has gaps")
        values = [curve[epoch] for epoch in sorted(curve)]
        best = max(values)
        network = Network(
            network=index,
            generation=0,
            position=index,
            genome=JsonText.of({"curve_id": name}),
            status=NetworkStatus.completed if len(values) == horizon else NetworkStatus.stopped,
            fitness={"error_percent": 100 - best},
            fitness_source="measured",
            best_accuracy_percent=best,
            best_epoch=values.index(best) + 1,
            last_accuracy_percent=values[-1],
            epochs_trained=len(values),
            epochs_budget=horizon,
        )
        epochs = [Epoch(epoch=e, validation_accuracy_percent=v) for e, v in enumerate(values, start=1)]
        networks.append(IncomingNetwork(network, epochs))
    left_out = [name for name in rows[0] if name not in ("curve_id", "epoch", "accuracy")]
    notes = ["curve_id is in networks.genome"]
    if left_out:
        notes.append(f"left out, having no place: {', '.join(left_out)}")
    objectives: dict[str, Json] = {"error_percent": Direction.minimise}
    arriving = IncomingRun(
        commons,
        run or re.sub("[^A-Za-z0-9._-]", "-", path.stem),
        "csv",
        "none",
        path.name,
        networks,
        notes,
        experiment={
            "training": {"epochs": horizon},
            "search": {"objectives": objectives},
        },
    )
    return arriving.folder.run_id, arriving.write()
