"""Runs for the report: a family of networks with curves, verdicts and times, and one of hostile names."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from commons_data import HORIZON, header, journal_epochs, network_record

from a4nn_core.commons import RunWriter, predictions_of
from a4nn_core.commons.epochs import JournalEpoch
from a4nn_core.commons.records import Network, by_epoch
from a4nn_core.jsonable import JsonText
from a4nn_core.recorded_graphs import graph_records
from a4nn_core.spaces.macro import Macro
from a4nn_core.vocabulary import RunStatus

HOSTILE = [
    "<script>window.hacked = 1</script>",
    "</script><script>window.hacked = 2</script>",
    "<img src=x onerror='window.hacked = 3'>",
    "quotes \" ' ` and {{document}} ${1+1} &amp; %s",
    "right \u202eto left\u202c and \u0627\u0644\u0639\u0631\u0628\u064a\u0629",
    "control \x1b[31m \x00 \x07 \u2028 \u2066",
    "long " + "x" * 5000,
]
"""texts of others, as a record may hold them"""

LOWER = 85.0
"""by how much the decibels of a run of restoring networks are below the percents of one that classifies"""

_RESTORING: dict[str, Any] = header()["experiment"] | {
    "search": {"name": "nsga-net", "objectives": {"psnr_db": "maximise", "mflops": "minimise"}}
}
_SPACE = Macro(phases=2, nodes=3, channels=4)


def macro_genome(number: int) -> list[list[int]]:
    """A genome of two phases of three nodes, another for every number below 256."""
    bits = [number >> place & 1 for place in range(8)]
    return [bits[:4], bits[4:]]


def evolved(
    commons: Path,
    run: str = "evolved",
    networks: int = 12,
    per_generation: int = 4,
    texts: list[str] | None = None,
    decibels: bool = False,
    whole: bool = False,
    **changes: Any,
) -> None:
    """A run with lineage, real architectures, verdicts with intervals, and devices.

    Args:
        commons, run, networks: where, its id, how many.
        per_generation: networks of a generation; each has two parents of the one before.
        texts: shown wherever a record has text of others.
        decibels: whether its networks restore images, with the accuracies less ``LOWER`` as decibels.
        whole: whether none of them is stopped.
        changes: of its header.
    """
    given = texts or ["crossover"]
    if decibels:
        changes |= {"dataset": {**header()["dataset"], "task": "restoration"}, "experiment": _RESTORING}
    with RunWriter.open(commons, run, header(**changes)) as writer:
        for number in range(networks):
            generation, place = divmod(number, per_generation)
            epochs = HORIZON if whole or number % 3 == 0 else 6 + number % 7
            records = by_epoch(_foreseen(journal_epochs(number, epochs)))
            genome = macro_genome((number * 37 + 5) % 256)
            made = _SPACE.decode(genome, (1, 32, 32), 2)
            first = (generation - 1) * per_generation
            parents = (first + place, first + (place + 1) % per_generation) if generation else ()
            last = records[-1]
            one = replace(
                network_record(number, records, per_generation, run),
                genome=JsonText.of(genome),
                architecture_hash=made.hash,
                flops=made.flops,
                parameters=made.parameters,
                parents=parents,
                operator=given[number % len(given)] if generation else "sampling",
                device=given[(number + 1) % len(given)] if texts else f"cuda:{number % 2}",
                predicted_low=last.predicted_low,
                predicted_high=last.predicted_high,
                termination_reason=given[(number + 2) % len(given)] if texts else "outclassed",
            )
            if decibels:
                one, records = _restoring(one), [_in_decibels(epoch) for epoch in records]
            layers, edges = graph_records(made)
            if texts:
                layers = [replace(layer, label=texts[layer.layer % len(texts)]) for layer in layers]
            writer.record(
                one, epochs=records, predictions=predictions_of(records), layers=layers, edges=edges
            )
        writer.finish(RunStatus.completed, networks=networks)


def _restoring(one: Network) -> Network:
    """The record of a network with the ratio in the place of the accuracy."""
    best, last, test, predicted = (
        None if value is None else value - LOWER
        for value in (
            *(one.best_accuracy_percent, one.last_accuracy_percent),
            *(one.test_accuracy_percent, one.predicted_accuracy_percent),
        )
    )
    return replace(
        one,
        **dict.fromkeys(
            f"{what}_accuracy_percent" for what in ("best", "last", "test", "predicted")
        ),  # null, all of them
        best_psnr_db=best,
        best_psnr_se_db=0.25,
        last_psnr_db=last,
        test_psnr_db=test,
        test_psnr_se_db=0.5,
        predicted_psnr_db=predicted,
        predicted_low=None if one.predicted_low is None else one.predicted_low - LOWER,
        predicted_high=None if one.predicted_high is None else one.predicted_high - LOWER,
        fitness={"psnr_db": best, "mflops": one.fitness["mflops"]},
    )


def _in_decibels(epoch: JournalEpoch) -> JournalEpoch:
    train, validation, predicted, low, high = (
        None if value is None else value - LOWER
        for value in (
            *(epoch.train_accuracy_percent, epoch.validation_accuracy_percent),
            *(epoch.predicted, epoch.predicted_low, epoch.predicted_high),
        )
    )
    return replace(
        epoch,
        train_accuracy_percent=None,
        validation_accuracy_percent=None,
        train_psnr_db=train,
        validation_psnr_db=validation,
        validation_psnr_se_db=0.25,
        predicted=predicted,
        predicted_low=low,
        predicted_high=high,
    )


def _foreseen(epochs: list[JournalEpoch]) -> list[JournalEpoch]:
    """The epochs with an interval around each prediction."""
    return [
        replace(one, predicted_low=one.predicted - 2.0, predicted_high=one.predicted + 1.5)
        if one.predicted is not None
        else one
        for one in epochs
    ]


def hostile(commons: Path, run: str = "hostile") -> None:
    """A run whose every text of others tries to be more than text."""
    changes = {
        "name": HOSTILE[0],
        "device": HOSTILE[2],
        "code_version": HOSTILE[3],
        "environment": {HOSTILE[1]: HOSTILE[5], "python": HOSTILE[4]},
        "dataset": {**header()["dataset"], "name": HOSTILE[1], "classes": HOSTILE[:2]},
    }
    evolved(commons, run, 12, texts=HOSTILE, **changes)


def text_of(value: object) -> str:
    """JSON as one text."""
    return json.dumps(value, ensure_ascii=False)
