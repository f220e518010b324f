"""The descent of a run's networks as an ALife phylogeny: CSV that tools for digital evolution read.

The ALife data standard for phylogenies (alife-data-standards.github.io) asks for ``id`` and
``ancestor_list``, and knows ``origin_time`` and ``destruction_time``. Times are generations here. What it
does not know is in further columns, as it allows.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path

from a4nn_core.archaeology.descent import Family
from a4nn_core.archaeology.life import Life
from a4nn_core.errors import BadInput
from a4nn_core.files import atomic_write_bytes, user_errors

COLUMNS = (
    *("id", "ancestor_list", "origin_time", "destruction_time"),
    *("genome", "operator", "status", "best_accuracy_percent", "flops", "parameters", "architecture_hash"),
    "on_front",
)


def phylogeny_csv(life: Life, one_parent: bool = False) -> str:
    """The phylogeny of a run.

    Args:
        life: the run.
        one_parent: whether only the parent on the line of descent is an ancestor (``Family.path``), for
            programs that know trees only; otherwise all parents are.

    Returns:
        CSV with a header. ``destruction_time`` is the generation after the last in which a network was in the
        population, as far as is recorded (``Family.living``), and ``inf`` for those of the last population.

    Raises:
        BadInput: generations were not recorded, or no network has parents.
    """
    family = Family(life.networks.values(), life.front)
    if not family.recorded:
        raise BadInput(f"run {life.run!r} has no phylogeny: parents of its networks were not recorded")
    if any(n.generation is None for n in life.networks.values()):
        raise BadInput(f"run {life.run!r} has no phylogeny: generations were not recorded")
    last = family.generations[-1]
    out = io.StringIO()
    rows = csv.writer(out, lineterminator="\n")
    rows.writerow(COLUMNS)
    for number, network in sorted(family.networks.items()):
        end = family.last_generation[number]
        rows.writerow(
            (
                *(number, _ancestors(family, number, one_parent), network.generation),
                "inf" if end is None or end >= last else end + 1,
                *(network.genome or "", network.operator, network.status, network.best_accuracy_percent),
                *(network.flops, network.parameters, network.architecture_hash),
                int(number in life.front),
            )
        )
    return out.getvalue()


def write_phylogeny(life: Life, path: Path, one_parent: bool = False) -> int:
    """Write ``phylogeny_csv`` into a file; returns the number of networks.

    Raises:
        BadInput: as there, or the file cannot be written.
    """
    text = phylogeny_csv(life, one_parent)
    with user_errors("write", path):
        atomic_write_bytes(path, text.encode())
    return len(life.networks)


def _ancestors(family: Family, number: int, one_parent: bool) -> str:
    parents: Sequence[int] = family.parents(number)
    if one_parent:
        along = family.step(number).along
        parents = () if along is None else (along.network,)
    return f"[{','.join(str(parent) for parent in parents)}]" if parents else "[none]"
