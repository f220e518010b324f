"""Deposits for tests: built from a made-up run in a second."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

from commons_data import made_up_run

from a4nn_core.publish.deposit.build import Built, Settings, build
from a4nn_core.publish.deposit.metadata import DepositMetadata, make_metadata

METADATA = (Path(__file__).parent / "data" / "deposit.toml").read_text(encoding="utf-8")
"""what the published A4NN deposit says of itself"""


def metadata(**changes: Any) -> DepositMetadata:
    return make_metadata({**tomllib.loads(METADATA), **changes}, "m.toml")


def made_up_deposit(folder: Path, run: str = "made-up", **changes: Any) -> Built:
    """A deposit without weights in ``folder/deposit``, of a run in ``folder/commons``."""
    if not (folder / "commons" / "runs" / run).exists():
        made_up_run(folder / "commons", run)
    settings = Settings(weights="none", models="none")
    return build(folder / "commons", [run], folder / "deposit", metadata(**changes), settings)
