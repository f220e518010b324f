"""Learning curves of the selection."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, Any

from a4nn_core.archaeology.chart import Axis, Chart, Line, Points
from a4nn_core.archaeology.style import KEPT, series
from a4nn_core.explore.asked import Curves, in_catalogue
from a4nn_core.explore.catalogue import ROOM, Catalogue
from a4nn_core.explore.measures import literal
from a4nn_core.explore.window import one_row
from a4nn_core.printable import printable

if TYPE_CHECKING:
    from collections.abc import Callable

    import duckdb

_COLOURED = 8


def curves(
    catalogue: Catalogue,
    cursor: duckdb.DuckDBPyConnection,
    asked: Curves,
    stopping: Callable[[Callable[[], None]], None],
) -> dict[str, Any]:
    """The learning curves of at most so many networks of the selection, as JSON values.

    Of more, some are drawn, in equal steps of accuracy from the worst to the best.

    Args:
        catalogue, cursor: the networks.
        asked: the selection, and how many.
        stopping: is given what ends the query.

    Raises:
        BadInput: a measure is not known, or the records cannot be read.
    """
    where = in_catalogue(catalogue, asked)
    (count,) = one_row(cursor, f"select count(*) from networks where {where}")
    best = catalogue.column("best_accuracy_percent")
    ranked = (
        f"select key, status, row_number() over (order by {best}, key) - 1 as rank "
        f"from networks where {where}"
    )
    step = max(1, -(-count // asked.most))
    status = dict(cursor.execute(f"select key, status from ({ranked}) where rank % {step} = 0").fetchall())
    names = catalogue.by_place
    found: dict[int, list[tuple[int, float | None]]] = {}
    by_run: dict[int, list[int]] = {}
    for key in status:
        by_run.setdefault(key // ROOM, []).append(key % ROOM)
    if status:
        runs = ", ".join(literal(names[place]) for place in by_run)
        pairs = ", ".join(
            f"({literal(names[place])}, {number})" for place, numbers in by_run.items() for number in numbers
        )
        low, high = (f(key % ROOM for key in status) for f in (min, max))
        # the first conditions leave out files; the last one rows
        query = (
            "select run, network, epoch, validation_accuracy_percent as value from epochs "
            f"where run in ({runs}) and network between {low} and {high} and (run, network) in ({pairs}) "
            "order by run, network, epoch"
        )
        answer = catalogue.store.ask(query)
        stopping(answer.stop)
        with answer:
            for batch in answer:
                columns = [batch[name].to_pylist() for name in batch.schema.names]
                for run, network, epoch, value in zip(*columns, strict=True):
                    key = catalogue.key(run, network)
                    if key is not None and epoch is not None:
                        found.setdefault(key, []).append((epoch, value))
    marks: list[Line | Points] = []
    coloured = len(by_run) <= _COLOURED
    for place, keys in groupby(sorted(found), key=lambda key: key // ROOM):
        colour = series(place) if coloured else KEPT
        of_run = list(keys)
        name = printable(names.get(place, ""))
        for key in of_run:
            marks.append(
                Line(
                    x=[epoch for epoch, _ in found[key]],
                    y=[value for _, value in found[key]],
                    colour=colour,
                    width=1,
                    strength=0.9 if len(found) < 30 else 0.5,
                    network=key,
                    text=f"{name}, network {key % ROOM}",
                    label=name if coloured else "",
                )
            )
        stopped = [key for key in of_run if status[key] == "stopped"]
        if stopped:
            marks.append(
                Points(
                    x=[found[key][-1][0] for key in stopped],
                    y=[found[key][-1][1] for key in stopped],
                    colours=(colour,),
                    shape="open",
                    size=5,
                    networks=stopped,
                )
            )
    chart = Chart(
        "curves",
        "Learning curves of the selection",
        Axis("epoch", whole=True),
        Axis("validation accuracy (%)"),
        tuple(marks),
        empty="No network of the selection has a learning curve on record."
        if count
        else "The selection is empty.",
    )
    words = []
    if len(status) < count:
        words.append(
            f"{len(status):,} of the {count:,} networks of the selection are drawn, "
            "in equal steps of accuracy."
        )
    if 0 < len(found) < len(status):
        words.append(f"{len(status) - len(found):,} of them have no learning curve on record.")
    networks = {key: {"run": names.get(key // ROOM, ""), "network": key % ROOM} for key in found}
    return {"chart": chart.to_json(), "networks": networks, "words": words, "drawn": len(found)}
