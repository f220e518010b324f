"""``a4nn status``: the state of runs; of one active run, a live view."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated

import typer

from a4nn_core.cli.disk import show_disk
from a4nn_core.cli.interrupt import check_interrupt
from a4nn_core.cli.options import DEFAULT_COMMONS, CommonsOption, JsonOption, print_json, tell
from a4nn_core.cli.tables import make_table, print_table
from a4nn_core.errors import BadInput
from a4nn_core.jsonable import Json
from a4nn_core.printable import printable
from a4nn_core.vocabulary import RunStatus

if TYPE_CHECKING:
    from rich.console import Group

    from a4nn_core.commons import Commons
    from a4nn_core.commons.totals import Totals
    from a4nn_core.termination.endings import Ending
    from a4nn_core.workflow.live import Live
    from a4nn_core.workflow.summary import Summary


def status(
    run_id: Annotated[str | None, typer.Argument(metavar="[RUN]", help="One run; default: all.")] = None,
    once: Annotated[bool, typer.Option("--once", help="Show one run as it is now, and exit.")] = False,
    every: Annotated[float, typer.Option(min=0.1, help="Seconds between updates.")] = 2.0,
    disk: Annotated[
        bool, typer.Option("--disk", help="Show what takes room instead, by run and kind of file.")
    ] = False,
    commons: CommonsOption = DEFAULT_COMMONS,
    as_json: JsonOption = False,
) -> None:
    """Show the state of runs. Of one active run also what trains where, live on a terminal."""
    from a4nn_core.commons import Commons

    store = Commons(commons)
    if disk:
        show_disk(commons, run_id, as_json)
    elif run_id is None:
        _list(store, as_json)
    elif as_json:
        print_json([_document(store, *_state(store, run_id))])
    else:
        _follow(store, run_id, every, once)


def _list(store: Commons, as_json: bool) -> None:
    """Show all runs; of one whose records cannot be read, what is wrong with them."""
    documents: list[dict[str, Json]] = []
    rows, troubles = [], []
    for name in store.folders():
        try:
            state = _listed(store, name)
        except BadInput as error:
            documents.append({"run": name, "error": str(error)})
            rows.append([name, "unreadable", *("-" * (len(_HEADER) - 2))])
            troubles.append(f"{name}: {error}")
        else:
            documents.append(_document(store, *state))
            rows.append(_row(*state))
    if as_json:
        print_json(documents)
        return
    print_table(_HEADER, rows)
    tell(*troubles)


def _state(store: Commons, run: str) -> tuple[Summary, Live]:
    """One run; all its networks are read."""
    from a4nn_core.workflow.summary import summarise

    live = _look(store, run)
    # the summary comes last: a run that is not alive has recorded how it ended
    return summarise(store, run), live


def _listed(store: Commons, run: str) -> tuple[Totals, Live]:
    """One of many runs; networks are read only of those that are alive."""
    from a4nn_core.commons.totals import totals

    live = _look(store, run)
    return totals(store, run), live


def _look(store: Commons, run: str) -> Live:
    from a4nn_core.workflow.live import is_alive, look

    networks = store.networks(run) if is_alive(store.path, run) else []
    # a network that equals another one took no time
    return look(store.path, run, [n.seconds or 0.0 for n in networks])


def _document(store: Commons, totals: Totals, live: Live) -> dict[str, Json]:
    place: dict[str, Json] = {"front": totals.networks_on_front, "commons": str(store.path)}
    return totals.as_dict() | place | live.as_dict()


_HEADER = ["run", "status", "networks", "epochs", "epochs saved", "best accuracy", "time", "left"]


def _row(totals: Totals, live: Live) -> list[str]:
    from a4nn_core.workflow.summary import duration

    budget = totals.networks_budget
    training = sum(one.where is not None for one in live.training)
    notes = [f"{training} in training"] if training else []
    if totals.networks_infeasible:
        notes.append(f"{totals.networks_infeasible} outside the bounds")
    seconds = live.seconds_so_far + (totals.seconds or 0.0)
    timed = live.alive or totals.seconds is not None
    return [
        totals.run,
        _status(totals, live),
        str(totals.networks)
        + ("" if budget is None else f"/{budget}")
        + (f" ({', '.join(notes)})" if notes else ""),
        f"{totals.epochs_trained}/{totals.epochs_budget}",
        f"{totals.epochs_saved_percent:.1f} %",
        str(totals.best),
        duration(seconds) if timed else "-",
        "-" if live.seconds_left is None else f"about {duration(live.seconds_left)}",
    ]


def _status(totals: Totals, live: Live) -> str:
    if totals.status is RunStatus.running and not live.alive:
        return "killed, can be resumed"
    if totals.status is RunStatus.interrupted and totals.stopped is not None:
        return "budget used up"
    return totals.status or "-"


def _follow(store: Commons, run: str, every: float, once: bool) -> None:
    """Show one run until it ends; only once with ``once`` or without a terminal."""
    from rich.console import Console
    from rich.live import Live as Screen

    console = Console(highlight=False)
    if once or not console.is_terminal:
        _print(*_state(store, run))
        return
    with Screen(console=console, auto_refresh=False) as screen:
        while True:
            check_interrupt()
            summary, live = _state(store, run)
            screen.update(_view(summary, live), refresh=True)
            if not live.alive:
                return
            time.sleep(every)


def _view(summary: Summary, live: Live) -> Group:
    from rich.console import Group
    from rich.text import Text

    tables = [make_table(_HEADER, [_row(summary, live)])]
    if live.training:
        tables.append(make_table(_TRAINING, _training(live)))
    lines = [printable(line) for note in _notes(summary, live) for line in ("", *note.split("\n"))]
    return Group(*(part for table in tables for part in (table, "")), Text("\n".join(lines[1:])))


def _print(summary: Summary, live: Live) -> None:
    print_table(_HEADER, [_row(summary, live)])
    if live.training:
        tell("")
        print_table(_TRAINING, _training(live))
    for note in _notes(summary, live):
        tell("", *note.split("\n"))


def _notes(summary: Summary, live: Live) -> list[str]:
    """What is said below the tables: who waits, and once the run has ended why networks were ended early."""
    notes = [_paused(live), summary.invalid, summary.waits_for]
    if not live.alive:
        notes.append("\n".join(map(_ended, summary.endings)))
        notes.append("" if summary.error is None else f"{summary.status}: {summary.error}")
        notes.append("" if summary.stopped is None else f"{summary.status}: {summary.stopped}")
    return [note for note in notes if note]


def _ended(one: Ending) -> str:
    return f"network {one.network}, {one.epochs} of {one.epochs + one.epochs_saved} epochs, {one}"


def _paused(live: Live) -> str:
    if not live.paused:
        return ""
    networks = "1 network waits" if live.paused == 1 else f"{live.paused} networks wait"
    return f"{networks} at a checkpoint, {live.paused_epochs} epochs trained; the rule prefers others"


_TRAINING = ["network", "generation", "epoch", "accuracy", "predicted", "left", "where"]


def _training(live: Live) -> list[list[str]]:
    from a4nn_core.workflow.summary import duration

    rows = []
    for one in live.training:
        between = f" ({one.interval[0]:.1f} to {one.interval[1]:.1f})" if one.interval else ""
        rows.append(
            [
                str(one.network),
                "-" if one.generation is None else str(one.generation),
                f"{one.epoch}/{one.epochs}",
                str(one.score),
                "-" if one.predicted is None else f"{one.predicted:.2f} {one.score.unit}{between}",
                "-" if one.seconds_left is None else duration(one.seconds_left),
                one.where or "waits for a slot",
            ]
        )
    return rows
