"""Stopped networks that resemble members of the front: near misses, or were they rightly stopped?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from a4nn_core.archaeology.chart import Axis, Chart, Exhibit, Points, Table
from a4nn_core.archaeology.genomes import Genomes
from a4nn_core.archaeology.life import Life
from a4nn_core.archaeology.likeness import Match, aligned, sequence
from a4nn_core.archaeology.quality import Quality, to_sort
from a4nn_core.archaeology.style import FRONT, KEPT
from a4nn_core.commons.records import Network

_QUERY = """
with genomes as (
    select n.run, n.network, n.status, n.best_{score}, f.network is not null as on_front,
           regexp_extract_all(n.genome, '-?[0-9.]+|"[^"]*"|true|false') as v
    from networks n left join front f on f.run = n.run and f.network = n.network
    where n.run = '{run}' and n.equal_to is null
), pairs as (
    select s.network, s.best_{score}, m.network as front_member,
           m.best_{score} as its_best_{unit},
           len(list_filter(list_zip(s.v, m.v), lambda x: x[1] != x[2])) as differing
    from genomes s join genomes m on m.on_front and len(m.v) = len(s.v)
    where s.status = 'stopped' and not s.on_front
)
select network, best_{score}, min(differing) as differing,
       arg_min(front_member, differing) as front_member,
       arg_min(its_best_{unit}, differing) as its_best_{unit}
from pairs
group by network, best_{score}
order by differing, network"""


@dataclass(frozen=True)
class Resemblance:
    """A stopped network and the member of the front that is most like it.

    Attributes:
        network: the one that was stopped.
        member: of the front; the nearest by positions that differ, of ties the one with the best score.
        differing: number of positions that differ.
        longest: the longest matching subsequence; None if there is none.
        same_architecture: whether both build the same network.
    """

    network: Network
    member: Network
    differing: int
    longest: Match | None
    same_architecture: bool

    @property
    def behind(self) -> float | None:
        """By how much its best score is below that of the member, in percentage points or decibels."""
        own, its = self.network.best_score, self.member.best_score
        return None if own is None or its is None else its - own


def resemblances(life: Life) -> list[Resemblance]:
    """Stopped networks that are not on the front with their nearest member, the most alike first."""
    stopped = [life.networks[n] for n in sorted(life.endings) if n not in life.front]
    members = [life.networks[n] for n in sorted(life.front)]
    genomes = Genomes.of([*stopped, *members])
    row = {number: at for at, number in enumerate(genomes.numbers.tolist())}
    members = [m for m in members if m.network in row]
    if not members:
        return []
    theirs = genomes.values[[row[m.network] for m in members]]
    found = []
    for one in stopped:
        if one.network not in row:
            continue
        differing = (genomes.values[row[one.network]] != theirs).sum(axis=1)
        nearest = min(
            range(len(members)),
            key=lambda at: (differing[at], -to_sort(members[at].best_score), members[at].network),
        )
        found.append(_resemblance(one, members[nearest], int(differing[nearest])))
    return sorted(found, key=lambda r: (r.differing, r.network.network))


def _resemblance(one: Network, member: Network, differing: int) -> Resemblance:
    values = [sequence(n.genome.value) for n in (one, member) if n.genome is not None]
    longest = max(aligned(*values), key=lambda match: match.length, default=None)
    same = one.architecture_hash is not None and one.architecture_hash == member.architecture_hash
    return Resemblance(one, member, differing, longest, same)


def resemblance_exhibit(life: Life) -> Exhibit:
    """Stopped networks by how much they differ from the front, and by how far they were behind it."""
    found, quality = resemblances(life), life.quality
    return Exhibit(
        "resemblance",
        "Which stopped networks resemble members of the front?",
        (_words(life, found),),
        (_chart(found, quality),),
        Table(
            (
                *(
                    "network",
                    "front member",
                    "positions that differ",
                    "longest match, start",
                    "length",
                    "values",
                ),
                *("epochs trained", f"best {quality.noun} ({quality.unit})"),
                *(f"its best {quality.noun} ({quality.unit})", f"behind ({quality.gain_unit})"),
            ),
            tuple(
                (
                    *(r.network.network, r.member.network, r.differing),
                    *(
                        (r.longest.start + 1, r.longest.length, r.longest.bits)
                        if r.longest
                        else (None, 0, "")
                    ),
                    *(r.network.epochs_trained, r.network.best_score, r.member.best_score, r.behind),
                )
                for r in found
            ),
        ),
        life.sql(_QUERY),
    )


def _words(life: Life, found: Sequence[Resemblance]) -> str:
    if not life.endings:
        return "No network was stopped early."
    if not found:
        return "No stopped network has a genome that can be compared with those on the front."
    near = [r for r in found if r.differing <= 2]
    behind = [b for r in found if (b := r.behind) is not None]
    text = (
        f"{len(found)} networks were stopped; the median one differs from its nearest front member in "
        f"{np.median([r.differing for r in found]):g} positions. {len(near)} differ in two or fewer"
    )
    if behind:
        unit = life.quality.gain_unit
        text += f". When they were stopped they were {np.median(behind):.2f} {unit} behind it in the middle"
    alike = sum(r.same_architecture for r in found)
    if alike:
        text += f". {alike} build the same network as a front member"
    return text + "."


def _chart(found: Sequence[Resemblance], quality: Quality) -> Chart:
    known = [(r, behind) for r in found if (behind := r.behind) is not None]
    points = Points(
        x=[r.differing for r, _ in known],
        y=[behind for _, behind in known],
        shape="open",
        colours=[FRONT if r.same_architecture else KEPT for r, _ in known],
        networks=[r.network.network for r, _ in known],
        text=[f"network {r.network.network}, like {r.member.network} on the front" for r, _ in known],
    )
    return Chart(
        "resemblance",
        "Stopped networks beside the nearest member of the front",
        Axis("positions that differ", whole=True),
        Axis(f"behind it when stopped ({quality.gain_unit})"),
        (points,) if known else (),
        empty="no stopped network can be compared with the front",
        height=360,
    )
