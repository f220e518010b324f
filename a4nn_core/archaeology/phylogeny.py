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
from a4nn_core.archaeology.quality import Quality
from a4nn_core.errors import BadInput
from a4nn_core.files import atomic_write_bytes, user_errors


def phylogeny_csv(life: Life, one_parent: bool = False, living: bool = False) -> str:
    """The phylogeny of a run.

    Args:
        life: the run.
        one_parent: whether only the parent on the line of descent is an ancestor (``Family.path``), for
            programs that know trees only; otherwise all parents are.
        living: whether only those that live at the end and their ancestors are in it.

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
    lives_on = {n for n, end in family.last_generation.items() if end is None or end >= last}
    kept = _with_ancestors(family, lives_on, one_parent) if living else set(family.networks)
    out = io.StringIO()
    rows = csv.writer(out, lineterminator="\n")
    rows.writerow(_columns(life.quality))
    for number in sorted(kept):
        network, end = family.networks[number], family.last_generation[number]
        rows.writerow(
            (
                *(number, _listed(_ancestors(family, number, one_parent)), network.generation),
                "inf" if end is None or number in lives_on else end + 1,
                *(network.genome or "", network.operator, network.status, network.best_score),
                *(network.flops, network.parameters, network.architecture_hash),
                int(number in life.front),
            )
        )
    return out.getvalue()


def write_phylogeny(life: Life, path: Path, one_parent: bool = False, living: bool = False) -> int:
    """Write ``phylogeny_csv`` into a file; returns the number of networks in it.

    Raises:
        BadInput: as there, or the file cannot be written.
    """
    text = phylogeny_csv(life, one_parent, living)
    with user_errors("write", path):
        atomic_write_bytes(path, text.encode())
    return text.count("\n") - 1  # no cell has a line break: genomes are JSON, words are printable


def _columns(quality: Quality) -> tuple[str, ...]:
    return (
        *("id", "ancestor_list", "origin_time", "destruction_time", "genome", "operator", "status"),
        *(f"best_{quality.columns}", "flops", "parameters", "architecture_hash", "on_front"),
    )


def _ancestors(family: Family, number: int, one_parent: bool) -> Sequence[int]:
    if not one_parent:
        return family.parents(number)
    along = family.step(number).along
    return () if along is None else (along.network,)


def _with_ancestors(family: Family, some: set[int], one_parent: bool) -> set[int]:
    found, left = set(some), list(some)
    while left:
        new = {*_ancestors(family, left.pop(), one_parent)} - found
        found |= new
        left += new
    return found


def _listed(parents: Sequence[int]) -> str:
    return f"[{','.join(str(parent) for parent in parents)}]" if parents else "[none]"
