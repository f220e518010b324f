"""Who descends from whom in one run: founders as streams, and the whole family as a graph."""

from __future__ import annotations

from a4nn_core.archaeology.chart import Axis, Band, Chart, Exhibit, Links, Mark, Points, Scale, Table
from a4nn_core.archaeology.descent import Cohort, Family
from a4nn_core.archaeology.life import Life
from a4nn_core.archaeology.style import FRONT
from a4nn_core.vocabulary import NetworkStatus

MOST_COLUMNS = 200
"""generations of the streams that are drawn; of more, evenly spaced ones"""

_DESCENT = """
select l.network, l.parent, l.operator, l.generation,
       n.best_{score} - p.best_{score} as gain_{points}, (n.flops - p.flops) / 1e6 as
       extra_mflops
from lineage l
join networks n on n.run = l.run and n.network = l.network
join networks p on p.run = l.run and p.network = l.parent
where l.run = '{run}'
order by l.network, l.parent"""

_STREAM = """
with recursive blood as (
    select network, network as founder, 1.0::double as share from networks
    where run = '{run}' and len(coalesce(parents, [])) = 0
    union all -- summed in every step: there are more ways from a founder to a descendant than anyone counts
    select l.network, b.founder, sum(b.share / len(n.parents))
    from lineage l join networks n on n.run = l.run and n.network = l.network join blood b on b.network =
    l.parent where l.run = '{run}'
    group by l.network, b.founder
)
select n.generation, b.founder, sum(b.share) as networks_born, max(n.best_{score}) as best_{unit}
from blood b join networks n on n.run = '{run}' and n.network = b.network
group by all
order by n.generation, b.founder"""


def stream_exhibit(life: Life, family: Family) -> Exhibit:
    """The founders of a search, and how many living networks are theirs by generation."""
    cohorts = family.cohorts() if family.recorded else ()
    words = [life.no_lineage or "Generations were not recorded in this run."]
    if cohorts:
        words = [
            "A stream for each founder, as wide as the number of living networks that descend from it; a "
            "child has half of each of two parents. The darker, the better the best network that is mostly "
            "its.",
            *_takeover(life, cohorts),
        ]
    rows = tuple(
        (c.generation, len(c.born), len(c.living), founder, share, c.common_ancestor)
        for c in cohorts
        for founder, share in c.shares.items()
    )
    columns = (
        "generation",
        "networks born",
        "networks living",
        "founder",
        "living descendants",
        "common ancestor",
    )
    return Exhibit(
        "streams",
        "Which founders live on?",
        tuple(words),
        (stream_chart(life, family, cohorts),),
        Table(columns, rows),
        life.sql(_STREAM),
    )


def _takeover(life: Life, cohorts: tuple[Cohort, ...]) -> list[str]:
    last = cohorts[-1]
    first = len(cohorts[0].shares)
    words = [
        f"{len(last.shares)} of {first} founders have living descendants in generation {last.generation}."
    ]
    if last.common_ancestor is not None:
        born = life.networks[last.common_ancestor].generation
        words.append(
            f"All that was born in generation {last.generation} descends from network "
            f"{last.common_ancestor}, which is of generation {born}."
        )
    return words


def stream_chart(life: Life, family: Family, cohorts: tuple[Cohort, ...]) -> Chart:
    """Living descendants of each founder by generation, stacked."""
    chosen = cohorts[:: max(1, -(-len(cohorts) // MOST_COLUMNS))]
    if cohorts and chosen[-1] is not cohorts[-1]:
        chosen = (*chosen, cohorts[-1])
    best = _best_of_founders(life, family) if cohorts else {}
    quality, known = life.quality, [value for value in best.values() if value is not None]
    low, high = (min(known), max(known)) if known else (0.0, 0.0)
    scale = Scale(f"best {quality.noun} of its descendants ({quality.unit})", low, high)
    x = [cohort.generation for cohort in chosen]
    below = [0.0 for _ in chosen]
    marks: list[Mark] = []
    for founder in sorted({founder for cohort in chosen for founder in cohort.shares}):
        above = [start + cohort.shares.get(founder, 0.0) for start, cohort in zip(below, chosen, strict=True)]
        reached = best.get(founder)
        text = f"founder {founder}"
        if reached is not None:
            text += f"\nits best descendant: {quality.number(reached)}"
        marks.append(
            Band(
                x=x,
                low=below,
                high=above,
                colour=scale.colour(reached),
                network=founder,
                text=text,
                strength=0.9,
            )
        )
        below = above
    return Chart(
        "streams",
        "Founders and their living descendants",
        Axis("generation", whole=True),
        Axis("living networks", range=(0.0, max(below, default=1.0) * 1.02)),
        tuple(marks) if len(chosen) > 1 else (),
        scale if scale.high > scale.low else None,
        life.no_lineage or "there is only one generation",
    )


def _best_of_founders(life: Life, family: Family) -> dict[int, float | None]:
    """The best score of the networks that are mostly a founder's, by founder."""
    best: dict[int, float | None] = {}
    for number, shares in family.blood.items():
        founder = max(shares, key=lambda one: (shares[one], -one))
        score = life.networks[number].best_score
        held = best.setdefault(founder, None)
        if score is not None and (held is None or score > held):
            best[founder] = score
    return best


def family_exhibit(life: Life, family: Family) -> Exhibit:
    """Every network with lines to what it was made from."""
    rows = tuple(
        (
            *(number, parent, one.generation, one.operator),
            _less(one.best_score, life.networks[parent].best_score),
            _less(_mflops(one.flops), _mflops(life.networks[parent].flops)),
        )
        for number, one in life.networks.items()
        for parent in family.parents(number)
        if parent in life.networks
    )
    columns = (
        "network",
        "parent",
        "generation",
        "made by",
        f"{life.quality.gain_unit} gained",
        "multiply-adds added (millions)",
    )
    words = (
        "Networks by generation, with lines to those they were made from; the darker, the "
        f"{life.quality.better}.",
    )
    return Exhibit(
        "family",
        "Who descends from whom?",
        words if family.recorded else (life.no_lineage,),
        (family_chart(life, family),),
        Table(columns, rows),
        life.sql(_DESCENT),
    )


def _less(value: float | None, other: float | None) -> float | None:
    return None if value is None or other is None else value - other


def _mflops(flops: int | None) -> float | None:
    return None if flops is None else flops / 1e6


def family_chart(life: Life, family: Family) -> Chart:
    """The family as a graph, generations from left to right."""
    places = _places(life, family) if family.recorded else {}
    scores = [s for number in places if (s := life.networks[number].best_score) is not None]
    scale = Scale(life.quality.best_validation, *life.quality.axis(scores))
    pairs = [(n, p) for n in places for p in family.parents(n) if p in places]
    marks: list[Mark] = []
    if pairs:
        marks.append(
            Links(
                x=[(places[n][0], places[p][0]) for n, p in pairs],
                y=[(places[n][1], places[p][1]) for n, p in pairs],
                pairs=pairs,
                strength=0.7,
            )
        )
    for is_open, label in ((False, "trained to the end"), (True, "stopped early")):
        those = [n for n in places if (life.networks[n].status is NetworkStatus.stopped) is is_open]
        if those:
            marks.append(
                Points(
                    label=label,
                    x=[places[n][0] for n in those],
                    y=[places[n][1] for n in those],
                    colours=[scale.colour(life.networks[n].best_score) for n in those],
                    shape="open" if is_open else "dot",
                    size=11,
                    networks=those,
                )
            )
    front = [number for number in places if number in life.front]
    if front:
        x, y = [places[n][0] for n in front], [places[n][1] for n in front]
        marks.append(
            Points(label="Pareto front", x=x, y=y, colours=(FRONT,), shape="ring", size=18, networks=front)
        )
    return Chart(
        "family",
        "The family",
        Axis("generation", whole=True),
        Axis("", hidden=True),
        tuple(marks),
        scale if scores else None,
        life.no_lineage or "no network has a generation",
        height=480,
    )


def _places(life: Life, family: Family) -> dict[int, tuple[float, float]]:
    """Where each network is drawn: its generation, and a place near those of its parents."""
    places: dict[int, tuple[float, float]] = {}
    by_generation: dict[int, list[int]] = {}
    for number, one in sorted(life.networks.items()):
        if one.generation is not None:
            by_generation.setdefault(one.generation, []).append(number)
    for generation, members in sorted(by_generation.items()):
        wished = {}
        for number in members:
            above = [places[parent][1] for parent in family.parents(number) if parent in places]
            wished[number] = sum(above) / len(above) if above else 0.0
        ordered = sorted(members, key=lambda number: (wished[number], number))
        for at, number in enumerate(ordered):
            places[number] = (float(generation), at - (len(ordered) - 1) / 2)
    return places
