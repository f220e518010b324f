"""The published training histories of the A4NN paper (ICPP 2023) as runs of a commons."""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from a4nn_core.commons.records import Edge, Epoch, LayerRecord, Network, Prediction
from a4nn_core.errors import BadInput
from a4nn_core.interchange.curves_csv import number, read_csv, whole_number
from a4nn_core.interchange.incoming import IncomingNetwork, IncomingRun
from a4nn_core.jsonable import Json, JsonText, parsed
from a4nn_core.vocabulary import Action, NetworkStatus


@dataclass(frozen=True, slots=True)
class Decoded:
    """What a genome stands for."""

    architecture_hash: str
    flops: int
    parameters: int
    layers: Sequence[LayerRecord]
    edges: Sequence[Edge]


Decode = Callable[[Json], Decoded]


def printed_array(text: str) -> list[float | None]:
    """The numbers of a printed NumPy array or Python list, such as ``[200.   1.03 inf]``."""
    found = re.findall(r"[-+]?(?:inf|nan|\d+\.?\d*(?:[eE][-+]?\d+)?|\.\d+)", text)
    return [value if math.isfinite(value := float(token)) else None for token in found]


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
    """Import one published table of the ICPP 2023 runs into a commons; all its column variants are known.

    Epochs are counted from 0 there and from 1 here; networks keep their numbers, 0 to 99, and generation and
    position follow from them (population 10). Printed arrays become JSON.

    Args:
        path: the CSV file.
        commons: folder, created if missing.
        decode: returns what a genome stands for.
        run: id of the run; derived from the file's name if None.

    Returns:
        number of networks imported.

    Raises:
        BadInput: a column is missing or a value unreadable; nothing is written then.
    """
    rows = read_csv(path, _ICPP23_COLUMNS)
    horizon = 25
    by_network: dict[int, list[dict[str, str]]] = {}
    for row in rows:
        by_network.setdefault(whole_number(path, row, "arch"), []).append(row)
    stopped_run = any(row["converged"] == "True" for row in rows)
    networks = [_icpp23_network(path, n, group, horizon, decode) for n, group in sorted(by_network.items())]
    unplaced = [name for name in rows[0] if name not in _ICPP23_PLACED]
    notes = [
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
        path.name,
        networks,
        notes,
        dataset={"name": _beam(path), "classes": ["ef2 conformation A", "ef2 conformation B"]},
        dataset_fingerprint=f"source:{digest}",
        experiment={"training": {"epochs": horizon}},
    )
    return arriving.write()


def _beam(path: Path) -> str:
    match = re.search(r"1e1[456]", path.stem)
    return f"protein diffraction, {match[0]} photons/um^2/pulse" if match else "protein diffraction"


def _icpp23_network(
    path: Path, network: int, rows: list[dict[str, str]], horizon: int, decode: Decode
) -> IncomingNetwork:
    rows = sorted(rows, key=lambda row: whole_number(path, row, "epoch"))
    epochs: list[Epoch] = []
    predictions: list[Prediction] = []
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
        epoch = Epoch(
            epoch=expected,
            train_accuracy_percent=number(path, row, "train_accs"),
            validation_accuracy_percent=accuracy,
            seconds=number(path, row, "epoch_times"),
            verdict=Action.stop if converged else Action.proceed,
            reason="converged" if converged else "",
            predicted=predicted,
        )
        epochs.append(epoch)
        fit = _icpp23_fit(path, row, epoch)
        if fit is not None:
            predictions.append(fit)
    try:
        genome = parsed(rows[0]["genome"])
    except ValueError:
        raise BadInput(
            f"{path}: network {network} has the genome {rows[0]['genome'][:60]!r}, not a list"
        ) from None
    decoded = decode(genome)
    best = max(values)
    stopped = len(rows) < horizon
    seconds = [epoch.seconds for epoch in epochs]
    record = Network(
        network=network,
        generation=network // 10,
        position=network % 10,
        genome=JsonText.of(genome),
        architecture_hash=decoded.architecture_hash,
        # the published figure, in fitness, counts in millions with four decimals; the decoded count is exact
        flops=decoded.flops,
        parameters=decoded.parameters,
        status=NetworkStatus.stopped if stopped else NetworkStatus.completed,
        fitness={"error_percent": 100 - best, "mflops": number(path, rows[0], "flops")},
        fitness_source="measured",
        best_accuracy_percent=best,
        best_epoch=values.index(best) + 1,
        last_accuracy_percent=values[-1],
        predicted_accuracy_percent=epochs[-1].predicted,
        epochs_trained=len(rows),
        epochs_budget=horizon,
        termination_reason="converged" if stopped else None,
        seconds=None if None in seconds else sum(s for s in seconds if s is not None),
    )
    return IncomingNetwork(record, epochs, predictions, decoded.layers, decoded.edges)


def _icpp23_fit(path: Path, row: Mapping[str, str], epoch: Epoch) -> Prediction | None:
    """The fit after one epoch, None if there was none."""
    predicted = epoch.predicted
    seconds = number(path, row, "penguin_times")
    params = printed_array(row.get("params", ""))
    if predicted is None and not params:
        return None
    fitted: dict[str, Json] = {}
    if any(p is not None for p in params):
        fitted |= zip("abc", params, strict=False)
    values = printed_array(row.get("function", ""))
    if any(v is not None for v in values):
        fitted["fitted_curve"] = list(values)
    return Prediction(
        epoch=epoch.epoch,
        function="exponential",
        expression=_EXPRESSION,
        parameters=JsonText.of(fitted),
        predicted=predicted,
        status="failed" if predicted is None else "converged",
        microseconds=None if seconds is None else 1e6 * seconds,
        verdict=epoch.verdict,
        reason=epoch.reason,
    )
