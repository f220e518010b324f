"""A network's final records, put together from its candidate, its architecture and its journal."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from a4nn_core.commons.journal import best_epoch
from a4nn_core.metrics import STANDARD, Measured, Metric, values
from a4nn_core.search.base import Candidate
from a4nn_core.spaces.architecture import Architecture, Layer
from a4nn_core.training.segment import SegmentResult
from a4nn_core.vocabulary import FitnessSource, NetworkStatus

Row = dict[str, Any]


def network_row(
    candidate: Candidate,
    architecture: Architecture,
    journal: Sequence[Mapping[str, Any]],
    result: SegmentResult,
    *,
    epochs_budget: int,
    seed: int,
    front_version: int,
    checkpoints: str,
    metrics: Sequence[Metric] = STANDARD,
) -> Row:
    """The row of the table ``networks`` for a network whose life has ended.

    Args:
        candidate: as the strategy asked for it.
        architecture: that its genome stands for.
        journal: its epochs, naming the checkpoints that stay.
        result: of its last segment.
        epochs_budget: epochs it could have had.
        seed: its training was seeded with.
        front_version: of the snapshot its last segment was judged against.
        checkpoints: folder of its checkpoints, relative to the commons.
        metrics: that its fitness holds.

    Raises:
        BadInput: a metric of another package cannot be worked out.
    """
    row = _identity(candidate, architecture, epochs_budget)
    row |= {
        "status": result.status,
        "device": result.device,
        "seconds": sum(line["seconds"] for line in journal),
        "energy_joules": _energy(journal),
        "epochs_trained": len(journal),
        "front_version": front_version,
        "seed": seed,
        "error": result.error,
    }
    if not journal:
        return row
    best = best_epoch(journal)
    last = journal[-1]
    verdict = last["verdict"]
    interval = verdict["interval"] or (None, None)
    row |= {
        "best_accuracy_percent": best["validation_accuracy_percent"],
        "best_epoch": best["epoch"],
        "last_accuracy_percent": last["validation_accuracy_percent"],
        "predicted_accuracy_percent": verdict["predicted"],
        "predicted_low": interval[0],
        "predicted_high": interval[1],
        "termination_reason": verdict["reason"] if result.status in ("stopped", "paused") else None,
        "termination_evidence": verdict["evidence"] or None,
        "checkpoint": f"{checkpoints}/{last['checkpoint']}",
        "checkpoint_sha256": last["checkpoint_sha256"],
    }
    if best["checkpoint"] is not None:
        row["best_checkpoint"] = f"{checkpoints}/{best['checkpoint']}"
        row["best_checkpoint_sha256"] = best["checkpoint_sha256"]
    if result.status != "failed":
        row["test_accuracy_percent"] = result.test_accuracy_percent
        row["fitness_source"] = FitnessSource.measured
        row["fitness"] = values(metrics, architecture, _measured(journal))
    return row


def _measured(journal: Sequence[Mapping[str, Any]]) -> Measured:
    return Measured(
        accuracy_percent=tuple(line["validation_accuracy_percent"] for line in journal),
        loss=tuple(line["validation_loss"] for line in journal),
        seconds=tuple(line["seconds"] for line in journal),
        energy_joules=tuple(line.get("energy_joules") for line in journal),
    )


def _energy(journal: Sequence[Mapping[str, Any]]) -> float | None:
    """Joules of all epochs; None unless all were measured."""
    joules = [float(line["energy_joules"]) for line in journal if line.get("energy_joules") is not None]
    return sum(joules) if journal and len(joules) == len(journal) else None


def equal_row(candidate: Candidate, architecture: Architecture, original: Row, epochs_budget: int) -> Row:
    """The row of a network that was not trained because another one of this run has its architecture."""
    copied = (
        "fitness",
        "fitness_source",
        "best_accuracy_percent",
        "best_epoch",
        "last_accuracy_percent",
        "test_accuracy_percent",
        "best_checkpoint",
        "best_checkpoint_sha256",
        "checkpoint",
        "checkpoint_sha256",
        "error",
    )
    return {
        **_identity(candidate, architecture, epochs_budget),
        **{name: original.get(name) for name in copied},
        "status": "equal",
        "equal_to": original["network"],
        "seconds": 0.0,
        "epochs_trained": 0,
    }


def infeasible_row(candidate: Candidate, architecture: Architecture, reason: str) -> Row:
    """The row of a network that is outside the bounds: it had no budget, so nothing was saved on it."""
    return {
        **_identity(candidate, architecture, epochs_budget=0),
        "status": NetworkStatus.infeasible,
        "seconds": 0.0,
        "epochs_trained": 0,
        "error": reason,
    }


def _identity(candidate: Candidate, architecture: Architecture, epochs_budget: int) -> Row:
    return {
        "network": candidate.number,
        "generation": candidate.generation,
        "position": candidate.position,
        "genome": json.dumps(candidate.genome),
        "architecture_hash": architecture.hash,
        "parents": list(candidate.parents),
        "operator": candidate.operator,
        "flops": architecture.flops,
        "parameters": architecture.parameters,
        "epochs_budget": epochs_budget,
    }


def graph_rows(architecture: Architecture) -> tuple[list[Row], list[Row]]:
    """Rows of the tables ``layers`` and ``edges``."""
    layers = []
    for index, (layer, operation, cost) in enumerate(
        zip(architecture.layers, architecture.operations, architecture.costs, strict=True)
    ):
        sources = architecture.inputs(index)
        settings = operation.changed()
        layers.append(
            {
                "layer": index,
                "op": layer.op,
                "label": layer.label,
                "phase": layer.phase,
                "channels_in": sum(architecture.costs[source].shape[0] for source in sources),
                "channels_out": cost.shape[0],
                "kernel": layer.kernel,
                "stride": layer.stride,
                "padding": layer.padding,
                "bias": layer.bias,
                "settings": json.dumps(settings, sort_keys=True) if settings else None,
                "height_out": cost.shape[1],
                "width_out": cost.shape[2],
                "flops": cost.flops,
                "parameters": cost.parameters,
            }
        )
    edges = [{"source": source, "target": target} for source, target in architecture.edges]
    return layers, edges


def architecture_of(layers: Sequence[Mapping[str, Any]], edges: Sequence[Mapping[str, Any]]) -> Architecture:
    """The architecture that ``graph_rows`` wrote down; it needs no search space.

    Args:
        layers: the rows of one network, by number.
        edges: its rows in the order in which they were written.
    """
    known = {row["layer"]: row for row in layers}
    feeds = {edge["target"]: known[edge["source"]] for edge in edges}
    made = []
    for row in layers:
        same = {name: row[name] for name in ("op", "kernel", "stride", "padding", "phase", "label")}
        bias = row.get("bias")
        if bias is None:
            bias = _unrecorded_bias(row, feeds)
        settings = json.loads(row.get("settings") or "{}")
        made.append(Layer(**same, channels=row["channels_out"], bias=bias, settings=settings))
    first = layers[0]
    return Architecture(
        tuple(made),
        tuple((edge["source"], edge["target"]) for edge in edges),
        (first["channels_out"], first["height_out"], first["width_out"]),
    )


def _unrecorded_bias(row: Mapping[str, Any], feeds: Mapping[int, Mapping[str, Any]]) -> bool:
    """Whether a layer of a record from before ``bias`` was recorded has one, told from its parameters.

    Args:
        row: of the layer.
        feeds: row of what feeds a layer, by the number of the layer.
    """
    if row["op"] not in ("conv", "linear"):
        return False
    before = feeds[row["layer"]]
    area = before["height_out"] * before["width_out"] if row["op"] == "linear" else row["kernel"] ** 2
    return bool(row["parameters"] > area * row["channels_in"] * row["channels_out"])
