"""How diverse the generations are, and how many founders live on in them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from a4nn_core.archaeology.chart import Axis, Chart, Exhibit, Line, Table
from a4nn_core.archaeology.descent import Cohort, Family
from a4nn_core.archaeology.genomes import Genomes
from a4nn_core.archaeology.life import Life
from a4nn_core.archaeology.style import FIRST, FRONT, INK
from a4nn_core.commons.records import Network

_QUERY = """
select generation, count(*) as networks, count(distinct architecture_hash) as architectures,
       round(exp(entropy(architecture_hash) * ln(2)), 2) as effective_architectures
from networks
where run = '{run}' and generation is not null
group by generation
order by generation"""


@dataclass(frozen=True)
class Diversity:
    """How diverse one generation is.

    Attributes:
        generation: its number.
        networks: number of networks made in it.
        architectures: number of different ones among them; None if none was recorded.
        differing_percent: positions in which two of its genomes differ on average; None if fewer than two
            genomes can be compared.
        founders: number of founders whose blood is in what lives; None if parents were not recorded.
        effective_founders: the same, counted by their shares (exponential of the entropy).
        leader: founder with the greatest share, and that share; None if parents were not recorded.
        ancestor: youngest network that all of it descend from; None if there is none.
        depth: generations back to that ancestor.
    """

    generation: int
    networks: int
    architectures: int | None
    differing_percent: float | None
    founders: int | None = None
    effective_founders: float | None = None
    leader: tuple[int, float] | None = None
    ancestor: int | None = None
    depth: int | None = None


def diversity(life: Life) -> list[Diversity]:
    """All generations in order; empty if generations were not recorded."""
    family = Family(life.networks.values(), life.front)
    recorded = family.recorded
    cohorts = family.cohorts() if recorded else ()
    by_generation = {cohort.generation: cohort for cohort in cohorts}
    born: dict[int, list[Network]] = {}
    for network in life.networks.values():
        if network.generation is not None:
            born.setdefault(network.generation, []).append(network)
    return [_of(family, number, born[number], by_generation.get(number)) for number in sorted(born)]


def _of(family: Family, generation: int, born: Sequence[Network], cohort: Cohort | None) -> Diversity:
    hashes = {n.architecture_hash for n in born} - {None}
    values = Genomes.of(born).values
    plain = Diversity(generation, len(born), len(hashes) or None, _differing(values))
    if cohort is None:
        return plain
    total = sum(cohort.shares.values())
    shares = {founder: share / total for founder, share in cohort.shares.items() if share > 0}
    leader = max(shares.items(), key=lambda entry: (entry[1], -entry[0]), default=None)
    ancestor = cohort.common_ancestor
    since = None if ancestor is None else family.networks[ancestor].generation
    return Diversity(
        *(plain.generation, plain.networks, plain.architectures, plain.differing_percent),
        founders=len(shares),
        effective_founders=math.exp(-sum(share * math.log(share) for share in shares.values())),
        leader=leader,
        ancestor=ancestor,
        depth=None if since is None else generation - since,
    )


def _differing(values: np.ndarray[tuple[int, ...], np.dtype[np.int16]]) -> float | None:
    """Mean share of positions in which two rows differ, in percent, over all pairs."""
    count, positions = values.shape
    if count < 2 or positions == 0:
        return None
    pairs = count * (count - 1) / 2
    same = 0.0
    for place in range(positions):
        _, counts = np.unique(values[:, place], return_counts=True)
        same += float((counts * (counts - 1) / 2).sum())
    return 100 * (1 - same / (pairs * positions))


def diversity_exhibit(life: Life) -> Exhibit:
    """Diversity by generation: genomes, architectures, founders, common ancestor."""
    found = diversity(life)
    words = []
    if not found:
        words.append(life.no_lineage or "Generations were not recorded in this run.")
    elif found[-1].founders is None:
        words.append(life.no_lineage)
    else:
        words.append(_words(found))
    return Exhibit(
        "diversity",
        "How diverse did the population stay, and whose descendants took it over?",
        tuple(words),
        (_genomes_chart(found), _founders_chart(found, life.no_lineage)),
        Table(
            (
                *("generation", "networks", "architectures", "positions that differ (%)", "founders"),
                *("effective founders", "leading founder", "its share (%)", "common ancestor"),
                "generations back to it",
            ),
            tuple(
                (
                    *(d.generation, d.networks, d.architectures, d.differing_percent, d.founders),
                    d.effective_founders,
                    *((d.leader[0], 100 * d.leader[1]) if d.leader else (None, None)),
                    *(d.ancestor, d.depth),
                )
                for d in found
            ),
        ),
        life.sql(_QUERY),
    )


def _words(found: Sequence[Diversity]) -> str:
    last = found[-1]
    text = f"{last.founders} founders live on in generation {last.generation}"
    taken = next((d for d in found if d.leader is not None and d.leader[1] > 0.5), None)
    if taken is not None and taken.leader is not None and taken.generation > found[0].generation:
        text += (
            f"; the descendants of founder {taken.leader[0]} made up more than half of the population from "
            f"generation {taken.generation} on"
        )
    shared = next((d for d in found if d.ancestor is not None and d.networks > 1), None)
    if shared is None:
        return text + ". No generation descends from one network as a whole."
    return text + (
        f". Generation {shared.generation} is the first that descends from one network as a whole, "
        f"{shared.ancestor}, {shared.depth} generations back."
    )


def _genomes_chart(found: Sequence[Diversity]) -> Chart:
    known = [d for d in found if d.differing_percent is not None]
    line = Line(x=[d.generation for d in known], y=[d.differing_percent for d in known], colour=INK, width=2)
    return Chart(
        "diversity",
        "How much genomes of a generation differ",
        Axis("generation", whole=True),
        Axis("positions that differ (%)"),
        (line,) if known else (),
        empty="no generation has two genomes that can be compared",
        height=300,
    )


def _founders_chart(found: Sequence[Diversity], no_lineage: str) -> Chart:
    known = [d for d in found if d.founders is not None]
    generations = [d.generation for d in known]
    marks = (
        Line(x=generations, y=[d.founders for d in known], colour=FIRST, label="founders with descendants"),
        Line(
            x=generations,
            y=[d.effective_founders for d in known],
            colour=FRONT,
            dash="dash",
            label="counted by their shares",
        ),
    )
    return Chart(
        "founders",
        "Founders whose blood lives on",
        Axis("generation", whole=True),
        Axis("founders", whole=True),
        marks if known else (),
        empty=no_lineage or "founders are not known",
        height=300,
    )
