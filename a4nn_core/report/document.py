"""What a report holds: everything its figures show, as JSON values.

A page has room for a few thousand networks. Of a larger run it has the front with its ancestors, and the most
accurate of the others; figures that count or average are of all networks, and the page says how many are
left out.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import TYPE_CHECKING, Any

from a4nn_core.archaeology import kinship, overview, progress, ranks, stops, timeline
from a4nn_core.archaeology.chart import Exhibit
from a4nn_core.archaeology.film import Album, Frame
from a4nn_core.archaeology.graphs import Graphs
from a4nn_core.archaeology.life import Life, read_together
from a4nn_core.archaeology.quality import Quality, to_sort
from a4nn_core.archaeology.questions.curves import curves_exhibit
from a4nn_core.archaeology.questions.diversity import diversity_exhibit
from a4nn_core.archaeology.questions.foresight import foresight_exhibit
from a4nn_core.archaeology.questions.operators import operators_exhibit
from a4nn_core.archaeology.questions.resemblance import resemblance_exhibit
from a4nn_core.archaeology.questions.settled import settled_exhibit
from a4nn_core.archaeology.questions.traits import traits_exhibit
from a4nn_core.archaeology.sketch import COLOURS
from a4nn_core.archaeology.stills import cost, heading
from a4nn_core.commons.records import Network
from a4nn_core.jsonable import Json, JsonText
from a4nn_core.printable import printable, printable_within
from a4nn_core.progress import tell
from a4nn_core.version import __version__
from a4nn_core.workflow.summary import duration, summarise

if TYPE_CHECKING:
    from a4nn_core.commons import Commons

MOST_NETWORKS = 2000
MOST_ROWS = 5000
"""of a table; its query returns all"""
MOST_STEPS = 300
"""steps of descent that are drawn"""
_DIGITS = 7
_NAMES = 300
"""characters of a text of others that are shown"""


@dataclass(frozen=True)
class Room:
    """How much a report may hold.

    Attributes:
        networks: of each run.
        steps: of descent, drawn as frames of film strips.
    """

    networks: int = MOST_NETWORKS
    steps: int = MOST_STEPS


def document(commons: Commons, runs: Sequence[str], room: Room | None = None) -> dict[str, Json]:
    """All that a report of some runs holds, as JSON values whose texts can be shown as they are.

    Raises:
        BadInput: there is no such run, its records cannot be read, or runs for different tasks are mixed.
    """
    room = room or Room()
    names = list(dict.fromkeys(runs))
    lives = read_together(commons, names)
    graphs = Graphs()
    runs_shown = [_run(commons, life, room, graphs) for life in lives]
    found = {
        "title": names[0] if len(names) == 1 else f"{len(names)} runs: {', '.join(names)}",
        "version": __version__,
        "colours": {str(state): colour for state, colour in COLOURS.items()},
        "runs": runs_shown,
        "layers": graphs.layers,
        "order": graphs.order(),
        "exhibits": [_exhibit(one) for one in progress.exhibits(lives)],
    }
    shown = _shown(found)
    assert isinstance(shown, dict)
    return shown


def exhibits_of(commons: Commons, life: Life, whole: Life, album: Album) -> list[Exhibit]:
    """The figures of one run, in the order in which people look; it tells how many of them are made.

    Args:
        commons: where it is.
        life: the networks that are drawn one by one.
        whole: all networks.
        album: their architectures.
    """
    family = album.family
    figures: tuple[Callable[[], Exhibit], ...] = (
        lambda: overview.front_exhibit(life),
        lambda: overview.curves_exhibit(life),
        lambda: Exhibit("film", "How did the chosen network come about?", _film(life.quality)),
        lambda: kinship.stream_exhibit(whole, family),
        lambda: kinship.family_exhibit(life, family),
        lambda: diversity_exhibit(whole),
        lambda: operators_exhibit(whole),
        lambda: _traits(whole, album),
        lambda: stops.stops_exhibit(whole),
        lambda: resemblance_exhibit(whole),
        lambda: Exhibit("difference", "How do two networks differ?", _DIFFERENCE),
        lambda: ranks.ranks_exhibit(whole),
        lambda: settled_exhibit(whole),
        lambda: foresight_exhibit(whole, commons.predictions(whole.run)),
        lambda: curves_exhibit(whole),
        lambda: timeline.timeline_exhibit(whole),
    )
    found: list[Exhibit] = []
    for make in figures:
        tell(whole.run, len(found), len(figures))
        found.append(make())
    tell(whole.run, len(found), len(figures))
    return found


def _traits(life: Life, album: Album) -> Exhibit:
    """What good networks share; of a very large run only how to ask, as drift takes minutes there."""
    if len(life.networks) <= MOST_NETWORKS:
        return traits_exhibit(life, album.architectures)
    words = (
        f"A run of {len(life.networks):,} networks takes minutes to answer: a4nn dig ask traits {life.run}"
    )
    return Exhibit("traits", "What do the good networks share?", (words,))


def _run(commons: Commons, whole: Life, room: Room, graphs: Graphs) -> dict[str, Any]:
    album = Album.read(commons, whole)
    kept = _chosen(whole, album, room.networks)
    life = _only(whole, kept)
    found = stops.stops(whole)
    small = [one for one in found if one.network.network in kept][: stops.MOST_SMALL]
    frames = {frame.network: frame for frame in album.frames(room.steps) if frame.network in kept}
    return {
        "run": whole.run,
        "summary": whole.picture.summary,
        "unit": whole.quality.unit,
        "best": best_network(life),
        "networks": [_network(life, network) for network in life.networks.values()],
        "left_out": len(whole.networks) - len(life.networks),
        "exhibits": [_exhibit(one) for one in exhibits_of(commons, life, whole, album)],
        "sketches": {n: one.to_json() for n, one in album.sketches(kept).items()},
        "frames": {number: _frame(frame) for number, frame in frames.items()},
        "film_empty": _no_film(whole, album),
        "graphs": {n: graphs.add(one) for n, one in album.architectures.items() if n in kept},
        "stops": [
            {
                "network": one.network.network,
                "words": str(one.ending),
                "chart": stops.small_chart(whole, one).to_json(),
            }
            for one in small
        ],
        "stops_left_out": len(found) - len(small),
        **_made(commons, whole),
    }


_DIFFERENCE = (
    "The chosen network and the one to compare with, matched by structure: numbers and names of layers do "
    "not count.",
)


def _film(quality: Quality) -> tuple[str, ...]:
    return (
        f"From a founder to the chosen network: above each step the {quality.gains} that it gained, below it "
        "what it costs. Of two parents both are drawn, and what comes from one of them alone has its colour. "
        "The line follows the parent whose genome is nearer.",
    )


def _no_film(life: Life, album: Album) -> str:
    if not life.networks:
        return "No network has ended yet."
    if not album.architectures:
        return "The layers of these networks were not recorded."
    return "Choose a network. The layers of the chosen one were not recorded, or are not in this page."


def _chosen(life: Life, album: Album, most: int) -> set[int]:
    """Numbers of the networks that a page has room for."""
    if len(life.networks) <= most:
        return set(life.networks)
    kept: set[int] = set()
    ordered = sorted(life.networks.values(), key=lambda n: (-to_sort(n.best_score), n.network))
    best = [network.network for network in ordered]
    lines = [number for number in best if number in life.front]
    for number in lines:
        kept |= {number, *album.family.ancestors(number)}
    if len(kept) > most:
        kept = {*lines[:most], *sorted(kept, reverse=True)[: max(0, most - len(lines))]}
    return kept | set(islice((number for number in best if number not in kept), most - len(kept)))


def _only(life: Life, kept: set[int]) -> Life:
    if kept >= set(life.networks):
        return life
    return replace(
        life,
        networks={number: one for number, one in life.networks.items() if number in kept},
        epochs={number: those for number, those in life.epochs.items() if number in kept},
    )


def best_network(life: Life) -> int | None:
    """The network that a page shows first: that with the best score of the front, or of all."""
    known = [n for n in life.networks.values() if n.best_score is not None and n.trained]
    chosen = [n for n in known if n.network in life.front] or known
    return max(chosen, key=lambda n: (to_sort(n.best_score), -n.network)).network if chosen else None


def _network(life: Life, one: Network) -> dict[str, Any]:
    best, test = one.score(life.header.images), one.test_score(life.header.images)
    ending = life.endings.get(one.network)
    return {
        "network": one.network,
        "generation": one.generation,
        "status": None if one.status is None else str(one.status),
        "parents": sorted({parent for parent in one.parents or () if parent in life.networks}),
        "operator": one.operator,
        "mflops": None if one.flops is None else one.flops / 1e6,
        "parameters": one.parameters,
        "best": best.value,
        "best_se": best.error,
        "test": test.value,
        "test_se": test.error,
        "epochs": one.epochs_trained,
        "budget": one.epochs_budget,
        "front": one.network in life.front,
        "ending": "" if ending is None else str(ending),
        "error": one.error or ("" if one.equal_to is None else f"the same network as {one.equal_to}"),
        "genome": one.genome or "",
    }


def _frame(frame: Frame) -> dict[str, Any]:
    along = frame.step.along
    return {
        "heading": heading(frame),
        "cost": cost(frame),
        "along": None if along is None else along.network,
        "sketch": frame.sketch.to_json(),
        "parents": [{"network": number, "sketch": drawn.to_json()} for number, drawn in frame.parents],
    }


def _exhibit(one: Exhibit) -> dict[str, Any]:
    table = None
    if one.table is not None:
        rows = one.table.rows[:MOST_ROWS]
        table = {"columns": one.table.columns, "rows": rows, "left_out": len(one.table.rows) - len(rows)}
    return {
        "name": one.name,
        "title": one.title,
        "words": one.words,
        "charts": [chart.to_json() for chart in one.charts],
        "table": table,
        "query": one.query,
    }


def _made(commons: Commons, life: Life) -> dict[str, Any]:
    """How a run was made, and what it cost."""
    header, totals = life.header, life.totals
    search, data = header.settings("search"), header.dataset
    facts = {
        "run": header.run,
        "experiment": header.name,
        "status": None
        if header.status is None
        else f"{header.status}{f': {header.error}' if header.error else ''}",
        "data set": data,
        "images": str(header.images) or None,
        "strategy": search.get("name"),
        "rule": progress.rule(life) or None,
        "objectives": ", ".join(f"{name} ({way})" for name, way in (header.objectives or {}).items()) or None,
        "seed": header.seed,
        "shadow of": header.shadow_of,
        "shadows": ", ".join(life.shadows) or None,
        "started": None if header.started is None else f"{header.started:%Y-%m-%d %H:%M} UTC",
        "time taken": None if not totals.seconds else duration(totals.seconds),
        "device": header.device,
        "threads": header.threads,
        "machine": header.host,
        "made by": None if header.code_version is None else f"a4nn {header.code_version}",
    }
    summary = summarise(commons, life.run) if life.networks else None
    to_beat = summary.to_beat() if summary else []
    return {
        "facts": [
            *([name, str(value)] for name, value in facts.items() if value is not None),
            *(["without a network", line] for line in to_beat),
        ],
        "cost": summary.cost() if summary else [],
        "experiment": _indented(header.experiment),
        "environment": _indented(header.environment),
    }


def _indented(held: JsonText | None) -> str:
    return "" if held is None else json.dumps(held.value, indent=2, ensure_ascii=False)


def _shown(value: object) -> Json:
    """A value as JSON: numbers rounded to what is seen, texts of others on one line and not without end."""
    if isinstance(value, bool) or value is None or isinstance(value, int):
        return value
    if isinstance(value, float):
        return float(f"{value:.{_DIGITS}g}") if value == value and abs(value) != float("inf") else None
    if isinstance(value, str):
        return "\n".join(printable_within(line, _NAMES) for line in value.split("\n"))
    if isinstance(value, dict):
        return {printable(key): _shown(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_shown(inner) for inner in value]
    tolist = getattr(value, "tolist", None)
    return _shown(tolist()) if callable(tolist) else printable_within(value, _NAMES)
