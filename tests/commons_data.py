"""A small made-up run, written the way the search loop writes one."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from a4nn_core.commons import Journal, JournalEpoch, RunWriter, predictions_of, read_epochs
from a4nn_core.commons.events import Told
from a4nn_core.commons.records import Edge, LayerRecord, Network, by_epoch
from a4nn_core.jsonable import JsonText
from a4nn_core.vocabulary import NetworkStatus, RunStatus

HORIZON = 25


def header(**changes: Any) -> dict[str, Any]:
    """A header as the search loop writes it."""
    return {
        "name": "made-up",
        "experiment": {
            "search": {
                "name": "nsga-net",
                "population": 4,
                "objectives": {"error_percent": "minimise", "mflops": "minimise"},
            },
            "training": {"epochs": HORIZON},
        },
        "seed": 7,
        "dataset_fingerprint": "ab" * 32,
        "dataset": {
            "name": "xfel",
            "classes": ["open", "closed"],
            "shape": [1, 32, 32],
            "train": 100,
            "validation": 50,
            "test": 50,
        },
        "code_version": "0.1.0",
        "environment": {"python": "3.11", "numpy": "2.4"},
        "threads": 1,
        "device": "cpu",
        **changes,
    }


def curve(network: int, epochs: int = HORIZON) -> list[float]:
    """A learning curve in percent, the same for the same network; later networks learn better."""
    rng = np.random.default_rng(network)
    top, speed = 80 + 18 * (1 - math.exp(-network / 15)), 0.15 + 0.3 * rng.random()
    return [
        float(np.clip(top - (top - 50) * math.exp(-speed * e) + rng.normal(0, 0.8), 0, 100))
        for e in range(1, epochs + 1)
    ]


def journal_records(network: int, epochs: int) -> Iterator[dict[str, Any]]:
    """Journal lines of one network, stopped by its rule if it has fewer epochs than the budget."""
    values = curve(network)
    top = float(np.mean(values[-5:]))
    for epoch in range(1, epochs + 1):
        value = values[epoch - 1]
        last = epoch == epochs < HORIZON
        predicted = top + 6 * math.cos(network + epoch) / epoch if epoch >= 3 else None
        fits = []
        if predicted is not None:
            fits = [
                {
                    "function": "exponential",
                    "expression": "a - b**(c - x)",
                    "parameters": {"a": predicted, "b": 1.2, "c": 17.5},
                    "predicted": predicted,
                    "low": None,
                    "high": None,
                    "residual": 0.7,
                    "status": "converged",
                    "microseconds": 42.5,
                }
            ]
        yield {
            "epoch": epoch,
            "train_loss": 0.7 / epoch,
            "validation_loss": 0.8 / epoch,
            "train_accuracy_percent": min(100.0, value + 1),
            "validation_accuracy_percent": value,
            "learning_rate": 0.025,
            "seconds": 1.5,
            "images_per_second": 900.0,
            "peak_memory_bytes": 123_456_789,
            "energy_joules": 30.0,
            "time": f"2026-01-02T03:{epoch:02d}:00.000001+00:00",
            "checkpoint": f"epoch-{epoch:04d}.safetensors",
            "checkpoint_sha256": f"{network * 100 + epoch:064x}",
            "segment": 0,
            "verdict": {
                "action": "stop" if last else "continue",
                "reason": "converged" if last else "",
                "predicted": predicted,
                "interval": None,
                "evidence": {"spread": 0.1} if predicted is not None else {},
            },
            "fits": fits,
        }


def network_record(
    network: int, epochs: Sequence[JournalEpoch], per_generation: int = 4, run: str = "made-up"
) -> Network:
    """The final record of one trained network."""
    values = [epoch.validation_accuracy_percent or 0.0 for epoch in epochs]
    best = max(values)
    generation, position = divmod(network, per_generation)
    flops = int(1e6 * (40 + 37 * (network % 7) + 5 * network))
    stopped = len(epochs) < HORIZON
    first = generation * per_generation
    return Network(
        network=network,
        generation=generation,
        position=position,
        genome=JsonText.of([[network % 2, 1, 0], [1, 0, network % 3]]),
        architecture_hash=f"{network:032x}",
        parents=(first - 1, first - 2) if generation else (),
        operator="crossover+mutation" if generation else "sampling",
        flops=flops,
        parameters=1000 * (network + 1),
        status=NetworkStatus.stopped if stopped else NetworkStatus.completed,
        fitness={"error_percent": 100 - best, "mflops": flops / 1e6},
        fitness_source="measured",
        best_accuracy_percent=best,
        best_epoch=values.index(best) + 1,
        last_accuracy_percent=values[-1],
        test_accuracy_percent=best - 0.5,
        predicted_accuracy_percent=epochs[-1].predicted,
        epochs_trained=len(epochs),
        epochs_budget=HORIZON,
        termination_reason="converged" if stopped else "budget",
        termination_evidence=epochs[-1].evidence,
        front_version=generation,
        device="cpu",
        seconds=1.5 * len(epochs),
        energy_joules=30.0 * len(epochs),
        checkpoint=f"runs/{run}/checkpoints/{network:04d}/epoch-{len(epochs):04d}.safetensors",
        checkpoint_sha256="00" * 32,
        seed=network,
    )


LAYERS = [
    LayerRecord(layer=0, op="input", channels_in=1, channels_out=1, height_out=32, width_out=32),
    LayerRecord(layer=1, op="conv", phase=0, channels_in=1, channels_out=8, kernel=3, stride=1),
]
EDGES = [Edge(source=0, target=1)]


def journal_epochs(network: int, epochs: int) -> list[JournalEpoch]:
    """The epochs in the lines of one network's journal."""
    return [JournalEpoch.of(line) for line in journal_records(network, epochs)]


def train(writer: RunWriter, network: int, epochs: int) -> list[JournalEpoch]:
    """Write the journal of one network; returns its epochs."""
    with Journal(writer.folder.journal(network)) as journal:
        for record in journal_records(network, epochs):
            journal.append(record)
    return read_epochs(writer.folder.journal(network))


def record(writer: RunWriter, network: int, epochs: int, checkpoints_of: str | None = None) -> None:
    """Train and record one network; its checkpoints are said to be its run's, or another's."""
    records = by_epoch(train(writer, network, epochs))
    writer.record(
        network_record(network, records, run=checkpoints_of or writer.folder.run_id),
        epochs=records,
        predictions=predictions_of(records),
        layers=LAYERS,
        edges=EDGES,
    )
    fitness = {"accuracy_percent": records[-1].validation_accuracy_percent}
    writer.events.append(Told(fitness), network, network // 4)


def fail(writer: RunWriter, network: int) -> None:
    """Record a network that failed before its first epoch was over."""
    generation, position = divmod(network, 4)
    writer.record(
        Network(
            network=network,
            generation=generation,
            position=position,
            genome=JsonText("[[0]]"),
            flops=10_000_000,
            status=NetworkStatus.failed,
            epochs_trained=0,
            epochs_budget=HORIZON,
            error="out of memory",
        ),
        layers=LAYERS,
        edges=EDGES,
    )


def made_up_run(
    commons: Path,
    run: str = "made-up",
    networks: int = 8,
    *,
    finish: bool = True,
    failed: tuple[int, ...] = (),
) -> None:
    """A whole run: every third network trains to the end of its budget."""
    with RunWriter.open(commons, run, header()) as writer:
        for network in range(networks):
            if network in failed:
                fail(writer, network)
            else:
                record(writer, network, HORIZON if network % 3 == 0 else 8 + network % 9)
        if finish:
            writer.finish(RunStatus.completed, networks=networks)
