"""The published training histories of the A4NN paper (ICPP 2023) as runs of a commons."""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from a4nn_core.errors import BadInput
from a4nn_core.interchange.curves_csv import number, read_csv, whole_number
from a4nn_core.interchange.incoming import IncomingRun, Row

# genome -> columns of ``networks``, rows of ``layers``, rows of ``edges``
Decode = Callable[[Any], tuple[Row, list[Row], list[Row]]]


def printed_array(text: str) -> list[float | None]:
    """The numbers of a printed NumPy array or Python list, such as ``[200.   1.03 inf]``."""
    found = re.findall(r"[-+]?(?:inf|nan|\d+\.?\d*(?:[eE][-+]?\d+)?|\.\d+)", text)
    return [value if math.isfinite(value := float(word)) else None for word in found]


_ICPP23_COLUMNS = ("epoch", "train_accs", "val_accs", "predictions", "converged", "genome", "arch", "flops")
_ICPP23_PLACED = {
    *_ICPP23_COLUMNS,
    "epoch_times",
    "penguin_times",
    "params",
    "function",
}
_EXPRESSION = "a - b**(c - x)"


def icpp23_run(path: Path) -> str:
    """The run id for a published table: ``icpp23-1gpu-1e14`` or ``icpp23-1gpu-1e14-penguin``."""
    match = re.match(r"(\dgpu)_(1e\d\d)_(stopping_)?", path.stem)
    if match:
        return f"icpp23-{match[1]}-{match[2]}" + ("-penguin" if match[3] else "")
    return f"icpp23-{re.sub('[^A-Za-z0-9._-]', '-', path.stem)}"


def import_icpp23(path: Path, commons: Path, decode: Decode, run: str | None = None) -> int:
    """Bring one published table of the ICPP 2023 runs into a commons; all its column variants are known.

    Epochs are counted from 0 there and from 1 here; networks keep their numbers, 0 to 99, and generation and
    position follow from them (population 10). Printed arrays become JSON.

    Args:
        path: the CSV file.
        commons: folder, created if missing.
        decode: what a genome stands for.
        run: id; from the file's name if None.

    Returns:
        networks imported.

    Raises:
        BadInput: a column is missing or a value unreadable; nothing is written then.
    """
    rows = read_csv(path, _ICPP23_COLUMNS)
    horizon = 25
    by_network: dict[int, list[dict[str, str]]] = {}
    for row in rows:
        by_network.setdefault(whole_number(path, row, "arch"), []).append(row)
    stopped_run = any(row["converged"] == "True" for row in rows)
    networks = [_icpp23_network(path, n, mine, horizon, decode) for n, mine in sorted(by_network.items())]
    unplaced = [name for name in rows[0] if name not in _ICPP23_PLACED]
    notes = [
        f"imported from {path.name}",
        "not recorded at the source: losses, learning rate, seed, device, times of day, memory, parents",
        "generation and position are number // 10 and number % 10: the published population is 10",
    ]
    if "function" in rows[0]:
        notes.append("column 'function' (values of the fitted function) is in predictions.parameters")
    if unplaced:
        notes.append(f"left out, having no place: {', '.join(unplaced)} (decoded from the genome instead)")
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    arriving = IncomingRun(
        commons,
        run or icpp23_run(path),
        "icpp23",
        "penguin" if stopped_run and "stopping" in path.stem else "none",
        notes,
        dataset={"name": _beam(path), "classes": ["ef2 conformation A", "ef2 conformation B"]},
        dataset_fingerprint=f"source:{digest}",
        experiment={"training": {"epochs": horizon}},
    )
    return arriving.write(networks)


def _beam(path: Path) -> str:
    match = re.search(r"1e1[456]", path.stem)
    return f"protein diffraction, {match[0]} photons/um^2/pulse" if match else "protein diffraction"


def _icpp23_network(
    path: Path, network: int, rows: list[dict[str, str]], horizon: int, decode: Decode
) -> tuple[Row, list[Row], list[Row], list[Row], list[Row]]:
    rows = sorted(rows, key=lambda row: whole_number(path, row, "epoch"))
    epochs: list[Row] = []
    predictions: list[Row] = []
    values: list[float] = []
    for expected, row in enumerate(rows, start=1):
        if whole_number(path, row, "epoch") + 1 != expected:
            raise BadInput(f"{path}: network {network} has no epoch {expected - 1}, or has it twice")
        accuracy = number(path, row, "val_accs")
        if accuracy is None:
            raise BadInput(f"{path}: network {network} has no validation accuracy in epoch {expected - 1}")
        values.append(accuracy)
        predicted = number(path, row, "predictions")
        converged = row["converged"] == "True"
        epochs.append(
            {
                "epoch": expected,
                "train_accuracy_percent": number(path, row, "train_accs"),
                "validation_accuracy_percent": accuracy,
                "seconds": number(path, row, "epoch_times"),
                "verdict": "stop" if converged else "continue",
                "reason": "converged" if converged else "",
                "predicted": predicted,
            }
        )
        fit = _icpp23_fit(path, row, predicted)
        if fit:
            predictions.append(fit | {k: epochs[-1][k] for k in ("epoch", "verdict", "reason")})
    try:
        genome = json.loads(rows[0]["genome"])
    except ValueError:
        raise BadInput(
            f"{path}: network {network} has the genome {rows[0]['genome']!r}, not a list"
        ) from None
    known, layers, edges = decode(genome)
    best = max(values)
    mflops = number(path, rows[0], "flops")
    stopped = len(rows) < horizon
    row_ = {
        **known,
        "network": network,
        "generation": network // 10,
        "position": network % 10,
        "genome": genome,
        # the published figure counts in millions with four decimals; the decoded count is exact
        "flops": known.get("flops") or round((mflops or 0) * 1e6),
        "status": "stopped" if stopped else "completed",
        "fitness": {"error_percent": 100 - best, "mflops": mflops},
        "fitness_source": "measured",
        "best_accuracy_percent": best,
        "best_epoch": values.index(best) + 1,
        "last_accuracy_percent": values[-1],
        "predicted_accuracy_percent": epochs[-1]["predicted"],
        "epochs_trained": len(rows),
        "epochs_budget": horizon,
        "termination_reason": "converged" if stopped else None,
        "seconds": sum(e["seconds"] for e in epochs) if epochs[0]["seconds"] is not None else None,
    }
    return row_, epochs, predictions, layers, edges


def _icpp23_fit(path: Path, row: Mapping[str, str], predicted: float | None) -> Row | None:
    """The fit after one epoch, None if there was none."""
    seconds = number(path, row, "penguin_times")
    params = printed_array(row.get("params", ""))
    if predicted is None and not params:
        return None
    fitted: Row = dict(zip("abc", params, strict=False)) if any(p is not None for p in params) else {}
    values = printed_array(row.get("function", ""))
    if any(v is not None for v in values):
        fitted["fitted_curve"] = values
    return {
        "function": "exponential",
        "expression": _EXPRESSION,
        "parameters": fitted,
        "predicted": predicted,
        "status": "failed" if predicted is None else "converged",
        "microseconds": None if seconds is None else 1e6 * seconds,
    }
