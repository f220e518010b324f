"""Which checkpoints of finished networks stay, by the policy ``training.keep_checkpoints``.

A worker keeps the last and the best one, so that a network can go on and be tested whatever dies. What the
policy does not want beyond that goes only when the network's final records are written. Every step can be
repeated, so what a killed process left undone is done when the run goes on.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from a4nn_core.commons import RunWriter
from a4nn_core.commons.events import CHECKPOINTS_REMOVED
from a4nn_core.commons.journal import best_epoch
from a4nn_core.metrics import front_rows
from a4nn_core.workflow.rows import Row


def kept_epochs(journal: Sequence[Mapping[str, Any]], policy: str) -> list[dict[str, Any]]:
    """A finished network's journal as it is recorded: epochs whose checkpoint does not stay name none.

    Args:
        journal: of a network with epochs or without.
        policy: last, best, all or front; with ``front`` the last and the best stay until the network falls
            behind.
    """
    if policy == "all" or not journal:
        return [dict(line) for line in journal]
    stay = {journal[-1]["checkpoint"]} | ({best_epoch(journal)["checkpoint"]} if policy != "last" else set())
    gone = {"checkpoint": None, "checkpoint_sha256": None}
    return [{**line, **(gone if line["checkpoint"] not in stay else {})} for line in journal]


class Keeper:
    """Removes what the policy does not keep.

    Args:
        writer: of the run.
        policy: last, best, all or front.
        objectives: metric name to minimise or maximise.
    """

    def __init__(self, writer: RunWriter, policy: str, objectives: Mapping[str, str]) -> None:
        self.writer = writer
        self.policy = policy
        self.objectives = objectives
        self._behind = {e["network"] for e in writer.events if e["kind"] == CHECKPOINTS_REMOVED}

    def resume(self, rows: Mapping[int, Row]) -> None:
        """Do again what a killed process may have left undone."""
        for number in self._behind:
            self._remove(number, ())
        for row in rows.values():
            self.ended(row)

    def ended(self, row: Row) -> None:
        """A network's final records are written: of the policy ``last``, its best checkpoint goes."""
        if self.policy == "last" and row.get("checkpoint"):
            self._remove(row["network"], {Path(row["checkpoint"]).name})

    def generation(self, rows: Mapping[int, Row]) -> None:
        """A generation is over: of the policy ``front``, networks that fell behind lose their checkpoints.

        What is dominated stays so, and no network in training is among the rows. The event comes before the
        files go, so that a missing file always has its reason on record.
        """
        if self.policy != "front":
            return
        front = {row["network"] for row in front_rows(rows.values(), self.objectives)}
        for number, row in sorted(rows.items()):
            if number in front or number in self._behind or row["status"] in ("equal", "paused"):
                continue
            if row.get("checkpoint"):
                self.writer.events.append(CHECKPOINTS_REMOVED, number, row["generation"])
                self._behind.add(number)
                self._remove(number, ())

    def _remove(self, number: int, but: Collection[str]) -> None:
        for path in self.writer.folder.checkpoints(number).glob("epoch-*.safetensors"):
            if path.name not in but:
                path.unlink(missing_ok=True)
