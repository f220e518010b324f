"""Deposits for tests: built from a made-up run in a second."""

from __future__ import annotations

import hashlib
import tomllib
from dataclasses import replace
from pathlib import Path
from typing import Any

from commons_data import EDGES, HORIZON, LAYERS, header, made_up_run, network_record, train

from a4nn_core.commons import RunWriter, predictions_of
from a4nn_core.commons.events import Told
from a4nn_core.publish.deposit.build import Built, Settings, build
from a4nn_core.publish.deposit.metadata import DepositMetadata, make_metadata
from a4nn_core.vocabulary import RunStatus

METADATA = (Path(__file__).parent / "data" / "deposit.toml").read_text(encoding="utf-8")
"""what the published A4NN deposit says of itself"""


def weights_of(network: int) -> bytes:
    return b"weights" * 1000 + bytes([network])


def weighted_run(commons: Path, networks: int = 6, run: str = "made-up") -> None:
    """A made-up run whose last checkpoints are files."""
    with RunWriter.open(commons, run, header()) as writer:
        for number in range(networks):
            epochs = train(writer, number, HORIZON if number % 3 == 0 else 8 + number % 9)
            network = network_record(number, epochs, run=run)
            digest = hashlib.sha256(weights_of(number)).hexdigest()
            network = replace(
                network,
                checkpoint_sha256=digest,
                best_checkpoint=network.checkpoint,
                best_checkpoint_sha256=digest,
            )
            epochs[-1] = replace(epochs[-1], checkpoint_sha256=digest)
            fits = predictions_of(epochs)
            writer.record(network, epochs=epochs, predictions=fits, layers=LAYERS, edges=EDGES)
            writer.events.append(Told(network.fitness), number, number // 4)
            file = commons / str(network.checkpoint)
            file.parent.mkdir(parents=True)
            file.write_bytes(weights_of(number))
        writer.finish(RunStatus.completed)


def metadata(**changes: Any) -> DepositMetadata:
    return make_metadata({**tomllib.loads(METADATA), **changes}, "m.toml")


def made_up_deposit(folder: Path, run: str = "made-up", **changes: Any) -> Built:
    """A deposit without weights in ``folder/deposit``, of a run in ``folder/commons``."""
    if not (folder / "commons" / "runs" / run).exists():
        made_up_run(folder / "commons", run)
    settings = Settings(weights="none", models="none")
    return build(folder / "commons", [run], folder / "deposit", metadata(**changes), settings)
