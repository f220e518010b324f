"""How a network came about: its line of descent, with what each step gained and cost."""

from __future__ import annotations

from a4nn_core.archaeology.chart import Axis, Chart, Exhibit, Line, Mark, Points, Table
from a4nn_core.archaeology.descent import Family, Step
from a4nn_core.archaeology.life import Life
from a4nn_core.archaeology.quality import Quality, to_sort
from a4nn_core.archaeology.style import INK, KEPT

_QUERY = """
with recursive line as (
    select network, parents, 0 as steps_back from networks where run = '{run}' and network = {network}
    union
    select n.network, n.parents, l.steps_back + 1
    from line l, networks n
    where n.run = '{run}' and list_contains(l.parents, n.network) and n.network < l.network
)
select l.steps_back, n.network, n.parents, n.operator, n.generation, n.best_{score}, n.flops
from (select network, min(steps_back) as steps_back from line group by network) l
join networks n on n.run = '{run}' and n.network = l.network
order by l.steps_back, n.network"""


def best_network(life: Life) -> int | None:
    """The network with the best score, the cheapest of ties; None if none has one."""
    known = [n for n in life.networks.values() if n.trained and n.best_score is not None]
    best = min(known, key=lambda n: (-to_sort(n.best_score), n.flops or 0, n.network), default=None)
    return None if best is None else best.network


def descent_exhibit(life: Life, network: int | None = None) -> Exhibit:
    """The line from a founder to a network.

    Args:
        life: the run.
        network: its number; the one with the best score if None.

    Raises:
        BadInput: there is no such network.
    """
    chosen = best_network(life) if network is None else network
    steps: tuple[Step, ...] = ()
    quality = life.quality
    if chosen is None:
        words = [f"No network has {quality.with_article} yet."]
    else:
        family = Family(life.networks.values(), life.front)
        steps = family.path(chosen)
        ancestors = len(family.ancestors(chosen))
        words = [_words(steps, ancestors, quality)] if family.recorded else [life.no_lineage]
    return Exhibit(
        "descent",
        "How did it come about?" if chosen is None else f"How did network {chosen} come about?",
        tuple(words),
        (_chart(steps, quality),),
        Table(
            (
                *("step", "network", "generation", "operator", "parent on the line", "other parents"),
                *(f"best {quality.noun} ({quality.unit})", f"gain ({quality.gain_unit})"),
                f"above the best parent ({quality.gain_unit})",
                *("cost (multiply-adds)", "extra cost (multiply-adds)"),
            ),
            tuple(
                (
                    *(at, s.network.network, s.network.generation, s.operator),
                    s.along.network if s.along else None,
                    " ".join(str(p.network) for p in s.parents if p is not s.along) or None,
                    *(s.network.best_score, s.gain, s.gain_over_best),
                    *(s.network.flops, s.extra_flops),
                )
                for at, s in enumerate(steps)
            ),
        ),
        "" if chosen is None else life.sql(_QUERY, network=chosen),
    )


def _words(steps: tuple[Step, ...], ancestors: int, quality: Quality) -> str:
    first, last = steps[0].network, steps[-1].network
    if len(steps) == 1:
        return f"Network {last.network} is a founder: it has no parents."
    gains = [gain for step in steps if (gain := step.gain) is not None]
    worse = sum(gain < 0 for gain in gains)
    text = (
        f"It descends from {ancestors} networks; the line through the nearer parent of each step leads over "
        f"{len(steps) - 1} steps from founder {first.network}."
    )
    if gains:
        best = max(steps, key=lambda s: to_sort(s.gain))
        text += (
            f" All steps together gain {quality.gain(sum(gains))}; the greatest gain, "
            f"{quality.gain(max(gains))}, came with network {best.network.network}, and {worse} of "
            f"{len(gains)} steps lost {quality.noun}."
        )
    return text


def _chart(steps: tuple[Step, ...], quality: Quality) -> Chart:
    known = [
        (at, step, score) for at, step in enumerate(steps) if (score := step.network.best_score) is not None
    ]
    parents = [
        (at, parent.network, score)
        for at, step, _ in known
        for parent in step.parents
        if parent is not step.along and (score := parent.best_score) is not None
    ]
    marks: list[Mark] = []
    if len(known) > 1:
        marks.append(Line(x=[at for at, _, _ in known], y=[value for _, _, value in known], colour=INK))
        if parents:
            marks.append(
                Points(
                    x=[at - 1 for at, _, _ in parents],
                    y=[value for _, _, value in parents],
                    colours=(KEPT,),
                    shape="open",
                    networks=[number for _, number, _ in parents],
                    text=[f"network {number}, the other parent" for _, number, _ in parents],
                    label="other parents",
                )
            )
        marks.append(
            Points(
                x=[at for at, _, _ in known],
                y=[value for _, _, value in known],
                colours=(INK,),
                networks=[step.network.network for _, step, _ in known],
                text=[f"network {step.network.network}, {step.operator}" for _, step, _ in known],
                label="the line",
            )
        )
    return Chart(
        "descent",
        f"Validation {quality.noun} along the line of descent",
        Axis("step from the founder", whole=True),
        Axis(quality.best_validation),
        tuple(marks),
        empty=f"no step from one network with {quality.with_article} to another",
        height=360,
    )
