"""``deposit.json``: what a deposit says of itself, read as it may come from strangers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

from a4nn_core.commons.layout import Damaged, check_run_id, read_json
from a4nn_core.commons.valid import run_problem, shown
from a4nn_core.errors import BadInput
from a4nn_core.jsonable import Json, members, whole
from a4nn_core.publish.deposit.weights import Policy

FORMAT = 1
RECORD = "deposit.json"


@dataclass(frozen=True, slots=True)
class DepositRecord:
    """What a deposit says it holds.

    Attributes:
        weights: which checkpoints.
        rows: number of rows of each table.
        runs: the content of ``run.json`` by id of the run.
    """

    weights: Policy
    rows: Mapping[str, int]
    runs: Mapping[str, Mapping[str, Json]]


def read_record(path: Path) -> DepositRecord:
    """Read ``deposit.json``.

    Raises:
        BadInput: it is of a newer format, or holds what no a4nn wrote; the place is named.
    """
    stored = read_json(path)
    version = whole(stored.get("format"))
    if version is None or version > FORMAT:
        raise BadInput(
            f"{path} has format {shown(stored.get('format'))}; this a4nn knows formats up to {FORMAT}"
        )
    weights = next((policy for policy in get_args(Policy) if policy == stored.get("weights")), None)
    if weights is None:
        raise Damaged(
            f"{path} has weights {shown(stored.get('weights'))}, not one of {', '.join(get_args(Policy))}"
        )
    rows = {name: whole(members(table).get("rows")) for name, table in members(stored.get("tables")).items()}
    runs = {run: members(run_file) for run, run_file in members(stored.get("runs")).items()}
    if not runs:
        raise Damaged(f"{path} names no run")
    for run, run_file in runs.items():
        try:
            problem = run_problem(check_run_id(run), run_file)
        except BadInput as error:
            problem = str(error)
        if problem is not None:
            raise Damaged(f"{path} has a damaged run {run!r}: {problem}")
    return DepositRecord(weights, {name: n for name, n in rows.items() if n is not None}, runs)
