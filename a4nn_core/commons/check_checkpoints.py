"""The checkpoints of a commons: whether those that are recorded are there, as they were recorded."""

from __future__ import annotations

import re
from collections import Counter
from functools import cache
from pathlib import Path

import pyarrow as pa

from a4nn_core.commons.checked import Checked
from a4nn_core.commons.events import read_events
from a4nn_core.commons.fragments import file_checksum
from a4nn_core.commons.layout import Damaged, RunFolder, is_run_id, read_json
from a4nn_core.commons.records import CHECKPOINT
from a4nn_core.commons.references import checkpoint_problems
from a4nn_core.commons.schema import TABLES
from a4nn_core.commons.snapshot import Snapshot
from a4nn_core.vocabulary import EventKind


def check_checkpoints(commons: Path, found: Checked) -> None:
    """Compare every recorded checkpoint with its SHA-256; names that lead elsewhere are not followed."""
    columns = [("checkpoint", "checkpoint_sha256"), ("best_checkpoint", "best_checkpoint_sha256")]
    seen: set[str] = set()
    left_out: Counter[str] = Counter()
    removed: dict[str, set[int] | None] = {}

    @cache
    def deposited(run: str) -> str | None:
        """Which checkpoints the deposit contained that a run was imported from; None if it was from none."""
        try:
            weights = read_json(RunFolder(commons, run).run_file).get("deposited_weights")
        except Damaged:
            return None  # reported above
        return None if weights is None else str(weights)

    try:
        parts = Snapshot(commons).parts(TABLES["networks"])
    except Damaged:
        return  # reported above; without run.json the records of the run are not read
    for part in parts:
        try:
            names = ["run", "network", "equal_to", *(c for pair in columns for c in pair)]
            rows = part.to_table(columns=names)
        except (OSError, pa.ArrowException):
            continue  # reported above, by name
        found.problems += [f"{commons}: the table networks {text}" for text in checkpoint_problems(rows)]
        for row in rows.to_pylist():
            if row["run"] is None or not is_run_id(row["run"]) or row["network"] is None:
                continue  # reported above
            for name, digest in columns:
                if row[name] is None or row[digest] is None or row[name] in seen:
                    continue
                if re.fullmatch(CHECKPOINT.pattern, row[name]) is None:
                    continue  # reported above
                seen.add(row[name])
                found.files += 1
                path = commons / row[name]
                if path.is_file():
                    if file_checksum(path) != row[digest]:
                        found.problems.append(f"{path} is damaged: its SHA-256 differs from the recorded one")
                    continue
                if deposited(row["run"]) not in (None, "all"):
                    left_out[row["run"]] += 1
                    continue
                if row["run"] not in removed:
                    removed[row["run"]] = _removed(RunFolder(commons, row["run"]))
                gone = removed[row["run"]]
                owner = row["network"] if row["equal_to"] is None else row["equal_to"]
                if gone is not None and owner not in gone:
                    found.problems.append(f"{path} is missing")
    found.notes += [
        f"run {run!r}: {count} checkpoints were not in the deposit it was imported from"
        for run, count in left_out.items()
    ]


def _removed(folder: RunFolder) -> set[int] | None:
    """Networks whose checkpoints were removed on purpose; None if the event log cannot be read."""
    try:
        events = read_events(folder.events)
    except Damaged:
        return None  # reported above
    return {e.network for e in events if e.kind == EventKind.checkpoints_removed and e.network is not None}
