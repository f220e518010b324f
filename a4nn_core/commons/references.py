"""What the records of a run must say of each other: the one place, for imports and for checks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from typing import TypeAlias

import pyarrow as pa
import pyarrow.compute as pc

from a4nn_core.commons.events import FROM_LOG, SegmentEnded
from a4nn_core.commons.layout import Damaged
from a4nn_core.commons.records import Event
from a4nn_core.commons.rows import arrow, stored_row
from a4nn_core.commons.schema import NETWORK_TABLES, TABLES
from a4nn_core.commons.valid import Mask, problem, row_problems
from a4nn_core.vocabulary import EventKind

Tables: TypeAlias = Mapping[str, pa.Table]

_OWNER = ("run", "network")
_EPOCH = (*_OWNER, "epoch")
_LAYER = (*_OWNER, "layer")
_EDGE = (*_OWNER, "source", "target")

# columns of a table that name a row of another one, and that one's columns
_REFERENCES = (
    *((name, _OWNER, "networks", _OWNER) for name in NETWORK_TABLES if name != "networks"),
    ("networks", (*_OWNER, "best_epoch"), "epochs", _EPOCH),
    ("predictions", _EPOCH, "epochs", _EPOCH),
    ("edges", (*_OWNER, "source"), "layers", _LAYER),
    ("edges", (*_OWNER, "target"), "layers", _LAYER),
)


def reference_problems(tables: Tables) -> Iterator[tuple[str, str]]:
    """What is wrong between the tables with the final records of some networks.

    Args:
        tables: all tables of networks by name; see row_problems for each of them alone.

    Yields:
        name of a table, and a problem that follows the name of its file.
    """
    for name, columns, other, key in _REFERENCES:
        rows = tables[name]
        lost = absent(rows, columns, tables[other], key)
        if name == "networks":  # the result of an equal network is another one's
            lost = pc.and_(lost, pc.is_null(rows["equal_to"]))
        if name == "predictions":  # a fit before the first epoch
            lost = pc.and_(lost, pc.greater(rows["epoch"], 0))
        for text in problem(rows, lost, columns, f"of which {other} has no row"):
            yield name, text
    networks, edges = tables["networks"], tables["edges"]
    for text in problem(
        networks,
        _miscounted(networks, tables["epochs"]),
        (*_OWNER, "epochs_trained"),
        "not the rows of epochs",
    ):
        yield "networks", text
    for text in problem(edges, pc.greater_equal(edges["source"], edges["target"]), _EDGE, "which leads back"):
        yield "edges", text
    for text in problem(edges, _doubled(edges), _OWNER, "all of whose edges are there twice"):
        yield "edges", text


def absent(rows: pa.Table, columns: Sequence[str], others: pa.Table, key: Sequence[str]) -> Mask:
    """The rows that name, without nulls, what no row of another table is."""
    numbered = rows.select(list(columns)).rename_columns(list(key))
    numbered = numbered.append_column("row", pa.array(range(rows.num_rows), pa.int64())).drop_null()
    lost = numbered.join(others.select(list(key)), list(key), join_type="left anti")["row"]
    return pc.is_in(pa.array(range(rows.num_rows), pa.int64()), lost.combine_chunks())


def _miscounted(networks: pa.Table, epochs: pa.Table) -> Mask:
    """The networks whose number of epochs is not that of their rows in ``epochs``."""
    held = epochs.group_by(list(_OWNER)).aggregate([([], "count_all")])
    found = {(run, network): count for run, network, count in zip(*held.to_pydict().values(), strict=True)}
    columns = (*_OWNER, "epochs_trained", "equal_to")
    return pa.array(
        [
            trained is not None and equal_to is None and found.get((run, network), 0) != trained
            for run, network, trained, equal_to in zip(
                *(networks[name].to_pylist() for name in columns), strict=True
            )
        ],
        pa.bool_(),
    )


def _doubled(edges: pa.Table) -> Mask:
    """The edges of networks that have every edge twice. One can be there twice, as into the sum of a layer
    with itself, but every network has layers that take one input."""
    counts = edges.group_by(list(_EDGE)).aggregate([([], "count_all")])
    least = counts.group_by(list(_OWNER)).aggregate([("count_all", "min")])
    doubled = least.filter(pc.greater(least["count_all_min"], 1))
    return pc.invert(absent(edges, _OWNER, doubled, _OWNER))


def descent_problems(networks: pa.Table, known: Mapping[str, Set[int]]) -> Iterator[str]:
    """Networks that name parents, or an equal, that their run does not have.

    Args:
        networks: rows of the table, or its columns ``run``, ``network``, ``equal_to`` and ``parents``.
        known: the numbers of a run's networks, by run; runs that it lacks are not looked at.
    """
    columns = ("run", "network", "equal_to", "parents")
    rows = zip(*(networks[name].to_pylist() for name in columns), strict=True)
    for run, network, equal_to, parents in rows:
        named = [("equal_to", equal_to), *(("parents", parent) for parent in parents or ())]
        for column, number in named:
            if run in known and number is not None and (number == network or number not in known[run]):
                yield f"network {network} of run {run!r} has network {number} in {column}, which cannot be"


def checkpoint_problems(networks: pa.Table) -> Iterator[str]:
    """Networks whose checkpoints are not in the folder of their run.

    Args:
        networks: rows of the table, or its columns ``run``, ``network``, ``checkpoint``, ``best_checkpoint``.
    """
    for column in ("checkpoint", "best_checkpoint"):
        owner = pc.struct_field(pc.extract_regex(networks[column], "^runs/(?P<run>[^/]+)/"), "run")
        foreign = pc.not_equal(owner, networks["run"])
        yield from problem(networks, foreign, (*_OWNER, column), "which is not in the folder of the run")


def ended(events: Iterable[Event]) -> set[int]:
    """The networks that by the event log have final records: their outcomes were reported to the strategy.

    Those that wait for a verdict are reported, too, and so are networks that equal them; they have none yet.
    """
    reported, last = set(), {}
    for event in events:
        if event.network is not None and event.kind == EventKind.told:
            reported.add(event.network)
        if event.network is not None and event.kind in SegmentEnded.kinds:
            last[event.network] = event.kind
    waiting = EventKind.paused in last.values()
    return {n for n in reported if last.get(n) != EventKind.paused and (n in last or not waiting)}


def log_problems(run: str, events: Sequence[Event]) -> Iterator[str]:
    """What is wrong with the events of a run, beyond their rows."""
    for expected, event in enumerate(events, start=1):
        if event.number != expected:
            yield f"event {event.number} of run {run!r} comes where event {expected} is due"
            return
        if event.data is not None and not isinstance(event.data.value, dict):
            yield f"event {event.number} of run {run!r} has data that are no JSON object"
            return
    for name in ("considered", "rejected"):
        table = TABLES[name]
        try:
            rows = arrow(table, [stored_row(one, run) for one in FROM_LOG[name](events)])
        except (Damaged, TypeError, ValueError, pa.ArrowException) as error:
            yield f"has genomes that were {name} and cannot be read: {' '.join(str(error).split())}"
            return
        yield from row_problems(table, rows)
