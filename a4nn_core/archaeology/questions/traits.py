"""What the good networks share: positions, subsequences and operations that others have less often."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from a4nn_core.archaeology.chart import Axis, Band, Chart, Exhibit, Level, Line, Mark, Points, Table
from a4nn_core.archaeology.genomes import Genomes
from a4nn_core.archaeology.life import Life
from a4nn_core.archaeology.quality import Quality, to_sort
from a4nn_core.archaeology.questions.drift import Drift, neutral_shares
from a4nn_core.archaeology.style import FAINT, FRONT, KEPT, SECOND
from a4nn_core.commons.records import Network
from a4nn_core.spaces.architecture import Architecture

LEVEL = 0.05
"""false discovery rate at which something counts as more frequent than chance would make it"""
LENGTHS = (2, 3, 4)
"""positions of the subsequences that are looked at"""
LEAST = 5
"""networks that must have, and lack, a subsequence for it to be looked at"""
MOST_ROWS = 200

_QUERY = """
with bits as (
    select n.network, f.network is not null as on_front,
           generate_subscripts(v, 1) as position, unnest(v) as value
    from (select *, regexp_extract_all(genome, '-?[0-9.]+|"[^"]*"|true|false') as v from networks) n
    left join front f on f.run = n.run and f.network = n.network
    where n.run = '{run}' and n.status in ('completed', 'stopped') and n.equal_to is null
)
select position, value, count(*) filter (on_front) as on_front, count(*) as networks,
       round(100 * avg(on_front::int), 1) as percent_of_them_on_front
from bits
group by position, value
order by position, value"""


@dataclass(frozen=True)
class Trait:
    """One thing that a network has or lacks, or has some number of, and how it differs between two groups.

    Attributes:
        group: ``front`` or ``accurate`` (best quarter by validation score).
        family: ``position``, ``subsequence`` or ``operation``; tests are corrected within group and family.
        name: such as ``position 3 = 1``.
        place: its first position, from 1; None for operations.
        inside, outside: number of networks of the group, and of the others, that have it.
        inside_of, outside_of: sizes of both.
        effect: difference of the shares, from -1 to 1; of numbers of layers the rank-biserial correlation.
        p: two-sided, of Fisher's exact test; of numbers of layers of Mann and Whitney's.
        q: the same, corrected for all tests of its family (Benjamini and Hochberg).
        drift: share that an evolution without selection would have given the group; None where unknown.
    """

    group: str
    family: str
    name: str
    place: int | None
    inside: int
    outside: int
    inside_of: int
    outside_of: int
    effect: float
    p: float
    q: float
    drift: Drift | None = None

    @property
    def share(self) -> float:
        """Share of the group that has it."""
        return self.inside / self.inside_of

    @property
    def stands_out(self) -> bool:
        """Whether the difference survives the correction and, where known, drift does not explain it."""
        return self.q <= LEVEL and (self.drift is None or not self.drift.explains(self.share))


def groups(life: Life) -> dict[str, set[int]]:
    """The groups whose traits are looked for: the front, and the best quarter by validation score."""
    accurate = sorted(
        (n for n in life.networks.values() if n.trained and n.best_score is not None),
        key=lambda n: (-to_sort(n.best_score), n.network),
    )
    return {
        "front": set(life.front),
        "accurate": {n.network for n in accurate[: len(accurate) // 4]},
    }


def traits(life: Life, architectures: Mapping[int, Architecture] | None = None, seed: int = 0) -> list[Trait]:
    """How positions, subsequences and operations differ between good networks and the others of a run.

    Args:
        life: the run.
        architectures: of its networks, for operations; None to leave those out.
        seed: of the simulated evolutions without selection.

    Returns:
        the traits, the most significant first.
    """
    trained = [n for n in life.networks.values() if n.trained and n.best_score is not None]
    genomes = Genomes.of(trained)
    drift = neutral_shares(life, genomes, seed) if len(genomes.numbers) else None
    found: list[Trait] = []
    for group, members in groups(life).items():
        inside = np.isin(genomes.numbers, sorted(members))
        if 0 < inside.sum() < len(inside):
            found += _positions(group, genomes, inside, drift)
            found += _subsequences(group, genomes, inside)
        found += _operations(group, members, trained, architectures or {})
    return sorted(found, key=lambda t: (t.q, t.p, -abs(t.effect), t.group, t.family, t.name))


def _positions(group: str, genomes: Genomes, inside: NDArray[np.bool_], drift: Drift | None) -> list[Trait]:
    values = genomes.values
    binary = values.max(initial=0) <= 1
    names, places, has = [], [], []
    for place in range(genomes.positions):
        for value in [1] if binary else np.unique(values[:, place]).tolist():
            names.append(f"position {place + 1} = {genomes.name(value)}")
            places.append((place, value))
            has.append(values[:, place] == value)
    made = _tested(group, "position", names, [place for place, _ in places], np.array(has), inside)
    if drift is None:
        return made
    chosen = genomes.numbers[inside]
    return [
        _with_drift(trait, drift.of(place, value, chosen))
        for trait, (place, value) in zip(made, places, strict=True)
    ]


def _with_drift(trait: Trait, drift: Drift) -> Trait:
    return Trait(**{**trait.__dict__, "drift": drift})


def _subsequences(group: str, genomes: Genomes, inside: NDArray[np.bool_]) -> list[Trait]:
    names, places, has = [], [], []
    for length in LENGTHS:
        for start in range(genomes.positions - length + 1):
            part = genomes.values[:, start : start + length]
            for pattern in np.unique(part, axis=0):
                there = (part == pattern).all(axis=1)
                if LEAST <= there.sum() <= len(there) - LEAST:
                    text = " ".join(genomes.name(value) for value in pattern.tolist())
                    names.append(f"positions {start + 1} to {start + length} = {text}")
                    places.append(start)
                    has.append(there)
    return _tested(group, "subsequence", names, places, np.array(has), inside) if names else []


def _tested(
    group: str,
    family: str,
    names: Sequence[str],
    places: Sequence[int],
    has: NDArray[np.bool_],
    inside: NDArray[np.bool_],
) -> list[Trait]:
    from scipy.stats import fisher_exact

    size, rest = int(inside.sum()), int((~inside).sum())
    with_it, others = has[:, inside].sum(axis=1), has[:, ~inside].sum(axis=1)
    known: dict[tuple[int, int], float] = {}
    p = []
    for a, b in zip(with_it.tolist(), others.tolist(), strict=True):
        if (a, b) not in known:
            known[a, b] = float(fisher_exact([[a, size - a], [b, rest - b]])[1])
        p.append(known[a, b])
    return [
        Trait(
            *(group, family, name, place + 1, int(a), int(b), size, rest),
            effect=float(a / size - b / rest),
            p=one,
            q=corrected,
        )
        for name, place, a, b, one, corrected in zip(
            names, places, with_it, others, p, _corrected(p), strict=True
        )
    ]


def _operations(
    group: str, members: set[int], trained: Sequence[Network], architectures: Mapping[int, Architecture]
) -> list[Trait]:
    from scipy.stats import mannwhitneyu

    known = [n.network for n in trained if n.network in architectures]
    inside = np.array([number in members for number in known], dtype=bool)
    if not 0 < inside.sum() < len(inside):
        return []
    counts: dict[str, dict[int, int]] = {}
    for number in known:
        for name in _operation_names(architectures[number]):
            of = counts.setdefault(name, {})
            of[number] = of.get(number, 0) + 1
    rows = []
    for name in sorted(counts):
        values = np.array([counts[name].get(number, 0) for number in known])
        if values.min() == values.max():
            continue
        test = mannwhitneyu(values[inside], values[~inside], method="asymptotic")
        effect = 2 * float(test.statistic) / (inside.sum() * (~inside).sum()) - 1
        rows.append((name, values > 0, effect, float(test.pvalue)))
    size, rest = int(inside.sum()), int((~inside).sum())
    return [
        Trait(
            *(group, "operation", name, None, int(has[inside].sum()), int(has[~inside].sum()), size, rest),
            effect=effect,
            p=p,
            q=corrected,
        )
        for (name, has, effect, p), corrected in zip(rows, _corrected([row[3] for row in rows]), strict=True)
    ]


def _operation_names(architecture: Architecture) -> list[str]:
    """What a network has some number of: layers of each kind, and connections that skip layers."""
    names = []
    for layer in architecture.layers:
        size = f" {layer.kernel}x{layer.kernel}" if layer.kernel > 1 or layer.op == "conv" else ""
        names.append(f"{layer.op}{size} layers")
        if layer.phase is not None:
            names.append(f"{layer.op}{size} layers in phase {layer.phase + 1}")
    fed: dict[int, int] = {}
    for _, target in architecture.edges:
        fed[target] = fed.get(target, 0) + 1
    names += ["inputs merged"] * sum(count - 1 for count in fed.values())
    return names


def _corrected(p: Sequence[float]) -> list[float]:
    from scipy.stats import false_discovery_control

    return [float(q) for q in false_discovery_control(p)] if len(p) else []


def traits_exhibit(life: Life, architectures: Mapping[int, Architecture] | None = None) -> Exhibit:
    """What the networks on the front, and those with the best scores, have in common."""
    found = traits(life, architectures)
    out = [trait for trait in found if trait.stands_out]
    sizes = {group: len(members) for group, members in groups(life).items()}
    words = [
        f"{sizes['front']} networks are on the front, {sizes['accurate']} in the best quarter by validation "
        f"{life.quality.noun}. Shares are compared with those of all other trained networks of the run; q is "
        f"corrected for the number of tests (false discovery rate, Benjamini and Hochberg).",
    ]
    drifts = [trait.drift for trait in found if trait.drift is not None]
    if drifts:
        words.append(drifts[0].words)
    if not found:
        words = [f"There are too few networks with a genome and {life.quality.with_article} to compare."]
    elif not out:
        words.append("Nothing stands out: every difference can be chance.")
    else:
        words.append(f"{len(out)} of {len(found)} traits stand out: {_listed(out, life.quality)}.")
    return Exhibit(
        "traits",
        "What do the good networks share?",
        tuple(words),
        (_chart(found),),
        Table(
            (
                *("group", "trait", "have it in the group", "of", "have it among others", "of others"),
                *("effect", "p", "q", "without selection, low", "high", "stands out"),
            ),
            tuple(
                (
                    *(_named(t, life.quality), t.name, t.inside, t.inside_of, t.outside, t.outside_of),
                    *(round(t.effect, 3), t.p, t.q),
                    *((round(t.drift.low, 3), round(t.drift.high, 3)) if t.drift else (None, None)),
                    "yes" if t.stands_out else "no",
                )
                for t in found[:MOST_ROWS]
            ),
        ),
        life.sql(_QUERY),
    )


def _named(trait: Trait, quality: Quality) -> str:
    """The group of a trait, for people."""
    return quality.good if trait.group == "accurate" else trait.group


def _listed(out: Sequence[Trait], quality: Quality, most: int = 5) -> str:
    said = [(t, f"{t.name} ({_named(t, quality)}, ") for t in out]
    named = [f"{words}{100 * t.effect:+.0f} points)" for t, words in said if t.family != "operation"]
    named += [f"{words}{t.effect:+.2f})" for t, words in said if t.family == "operation"]
    return ", ".join(named[:most]) + (f" and {len(named) - most} more" if len(named) > most else "")


def _chart(found: Sequence[Trait]) -> Chart:
    """The strip of positions: share of ones in each group and among all others."""
    marks: list[Mark] = []
    every = [t for t in found if t.family == "position"]
    ones = sorted((t for t in every if t.name.endswith("= 1")), key=lambda t: t.place or 0)
    for group, colour, words in (
        ("front", FRONT, "on the front"),
        ("accurate", SECOND, "in the best quarter"),
    ):
        mine = [t for t in ones if t.group == group]
        for shape, some, label in (
            ("dot", [t for t in mine if t.stands_out], f"{words}, stands out"),
            ("open", [t for t in mine if not t.stands_out], words),
        ):
            if some:
                marks.append(
                    Points(
                        x=[t.place for t in some],
                        y=[100 * t.share for t in some],
                        colours=(colour,),
                        shape=shape,  # type: ignore[arg-type]
                        label=label,
                        text=[f"{t.name}: {t.inside} of {t.inside_of}, q = {t.q:.2g}" for t in some],
                    )
                )
    drifting = [(t, t.drift) for t in ones if t.group == "accurate" and t.drift is not None]
    if drifting:
        marks.insert(
            0,
            Band(
                x=[t.place or 0 for t, _ in drifting],
                low=[100 * drift.low for _, drift in drifting],
                high=[100 * drift.high for _, drift in drifting],
                colour=FAINT,
                strength=0.25,
                label="best quarter without selection (95 %)",
            ),
        )
    rest = [t for t in ones if t.group == "front"] or ones
    if rest:
        marks.insert(
            0,
            Line(
                x=[t.place for t in rest],
                y=[100 * t.outside / t.outside_of for t in rest],
                colour=KEPT,
                step=False,
                label="all others",
            ),
        )
        marks.append(Level(value=50.0, words=""))
    return Chart(
        "traits",
        "Share of ones at each position of the genome",
        Axis("position", whole=True),
        Axis("share of networks (%)", range=(-3, 103)),
        tuple(marks),
        empty="no positions with ones can be compared",
        height=360,
    )
