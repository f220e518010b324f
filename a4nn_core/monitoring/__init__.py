"""Metrics of a commons and its searches for Prometheus, read from the records alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from a4nn_core.exports import lazy

if TYPE_CHECKING:
    from a4nn_core.monitoring.exporter import Exporter as Exporter
    from a4nn_core.monitoring.families import FAMILIES as FAMILIES
    from a4nn_core.monitoring.runs import Runs as Runs

_WHERE = {"Exporter": "exporter", "FAMILIES": "families", "Runs": "runs"}

__all__ = ["FAMILIES", "Exporter", "Runs"]


__getattr__ = lazy(__name__, _WHERE)
