"""What the explorer answers: the page and its code, and JSON for its views.

Each answer is worked out in a thread of its own and ended when it takes too long, or when nobody waits for it
any more, as when somebody moves a slider on.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import Future
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from threading import BoundedSemaphore, Thread
from typing import Any, TypeVar

import duckdb
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from a4nn_core.errors import A4NNError, BadInput
from a4nn_core.explore import asked as wanted
from a4nn_core.explore.asked import asked
from a4nn_core.explore.catalogue import Catalogue, Listed
from a4nn_core.explore.comparison import compared
from a4nn_core.explore.curves import curves
from a4nn_core.explore.listing import listing, selection_query
from a4nn_core.explore.scatter import Plotter
from a4nn_core.files import denied
from a4nn_core.interchange.answer_formats import Format, batch_rows, write
from a4nn_core.interchange.answer_values import people_cell, rows_of
from a4nn_core.jsonable import to_json
from a4nn_core.printable import html_text, printable, printable_within
from a4nn_core.report.document import document
from a4nn_core.report.page import page, part, plotly
from a4nn_core.version import __version__

T = TypeVar("T")

_LOG = logging.getLogger(__name__)

SECONDS = 30.0
"""that a view may take"""
SQL_SECONDS = 120.0
FILE_SECONDS = 900.0
SQL_ROWS = 1_000
"""rows of an answer that are shown; a file has all"""
QUERIES = 2
"""queries and files at the same time"""
_LOOK_SECONDS = 0.1
_LARGEST = 2_000_000
"""bytes of a request"""
_NAMES = 200
"""characters of a text of others in the list of runs"""
_SHARED = ("text.js", "charts.js", "sketches.js")
"""code of the report's page"""
_OWN = ("state.js", "views.js", "explore.js")


class Stopping:
    """What ends the work on one answer, from another thread."""

    def __init__(self) -> None:
        self._ends: list[Callable[[], None]] = []
        self.over = False

    def add(self, end: Callable[[], None]) -> None:
        """Let something be ended."""
        self._ends.append(end)
        if self.over:
            end()

    def stop(self) -> None:
        """End it."""
        self.over = True
        for end in self._ends:
            end()


class Explorer:
    """The answers over one commons.

    Args:
        catalogue: its runs and networks, read already.
        files: a folder for files that are fetched at once.
    """

    def __init__(self, catalogue: Catalogue, files: Path) -> None:
        self.catalogue = catalogue
        self.files = files
        self._plotter = Plotter(catalogue)
        self._made: dict[str, tuple[Path, str]] = {}
        self._queries = BoundedSemaphore(QUERIES)
        self._counted = lru_cache(maxsize=2)(self._count)
        self._report = lru_cache(maxsize=4)(self._make_report)

    def routes(self) -> list[Route]:
        """What it answers."""

        def view(work: Callable[[bytes, Stopping], object], seconds: float = SECONDS) -> Any:
            async def endpoint(request: Request) -> Response:
                body = await _body(request)
                return await _in_time(request, lambda stopping: _json(work(body, stopping)), seconds)

            return endpoint

        return [
            Route("/", self.html),
            Route("/explore.js", _text("text/javascript", _script)),
            Route("/explore.css", _text("text/css", lambda: part("page.css") + _own("explore.css"))),
            Route("/plotly.js", _text("text/javascript", plotly, "private, max-age=86400")),
            Route("/api/changes", view(self.changes)),
            Route("/api/runs", view(self.runs)),
            Route("/api/scatter", view(self.scatter), methods=["POST"]),
            Route("/api/networks", view(self.networks), methods=["POST"]),
            Route("/api/curves", view(self.curves), methods=["POST"]),
            Route("/api/compare", view(self.compare), methods=["POST"]),
            Route("/api/query", view(self.query), methods=["POST"]),
            Route("/api/sql", view(self.sql, SQL_SECONDS), methods=["POST"]),
            Route("/api/export", view(self.export, FILE_SECONDS), methods=["POST"]),
            Route("/files/{name}", self.file),
            Route("/report/{run}", self.report),
        ]

    async def html(self, request: Request) -> Response:  # noqa: ARG002
        """The page."""
        name = html_text(self.catalogue.store.path)
        text = (
            _own("explore.html").replace("{{commons}}", name).replace("{{version}}", html_text(__version__))
        )
        return HTMLResponse(text)

    def changes(self, _: bytes, __: Stopping) -> object:
        """What the page holds against what it shows."""
        version = self.catalogue.refresh()
        return {"version": version, "networks": self.catalogue.networks_version}

    def runs(self, _: bytes, __: Stopping) -> object:
        """The list of runs, and the measures that networks have."""
        self.catalogue.refresh()
        listed = sorted(self.catalogue.runs.items())
        return {
            "version": self.catalogue.version,
            "networks": self.catalogue.networks_version,
            "runs": [_run(run, one) for run, one in listed],
            "measures": self._counted(self.catalogue.networks_version),
        }

    def _count(self, version: int) -> object:  # noqa: ARG002
        """The measures, and how many networks have each."""
        known = list(self.catalogue.measures.values())
        columns = ", ".join(f"count({self.catalogue.column(one.name)})" for one in known)
        counts = self.catalogue.cursor().execute(f"select {columns} from networks").fetchone()
        assert counts is not None
        return [
            {
                "name": one.name,
                "label": one.label,
                "direction": None if one.direction is None else str(one.direction),
                "images": one.images,
                "networks": count,
            }
            for one, count in zip(known, counts, strict=True)
        ]

    def scatter(self, body: bytes, stopping: Stopping) -> object:
        """See ``scatter.Plotter``."""
        return self._plotter.plot(self._cursor(stopping), asked(wanted.Scatter, body))

    def networks(self, body: bytes, stopping: Stopping) -> object:
        """See ``listing.listing``."""
        return listing(self.catalogue, self._cursor(stopping), asked(wanted.Listing, body))

    def curves(self, body: bytes, stopping: Stopping) -> object:
        """See ``curves.curves``."""
        cursor = self._cursor(stopping)
        return curves(self.catalogue, cursor, asked(wanted.Curves, body), stopping.add)

    def compare(self, body: bytes, _: Stopping) -> object:
        """See ``comparison.compared``."""
        return compared(self.catalogue, asked(wanted.Chosen, body).picked)

    def query(self, body: bytes, _: Stopping) -> object:
        """The selection as a query."""
        return {"query": selection_query(self.catalogue, asked(wanted.Chosen, body))}

    def sql(self, body: bytes, stopping: Stopping) -> object:
        """The first rows of the answer to a query, or the name of a file with all."""
        given = asked(wanted.Query, body)
        if given.format is not None:
            return self._file(given.query, given.format, "answer", stopping)
        begin = time.perf_counter()
        rows: list[list[str]] = []
        answer = self.catalogue.store.ask(given.query, SQL_ROWS + 1)
        stopping.add(answer.stop)
        with self._slot(), answer:
            for batch in answer:
                rows += [list(row) for row in rows_of(batch, people_cell, plain=False)]
                if len(rows) > SQL_ROWS:
                    break
            names = [printable(name) for name in answer.schema.names]
            kinds = [_is_number(column.type) for column in answer.schema]
        return {
            "columns": names,
            "numbers": kinds,
            "rows": rows[:SQL_ROWS],
            "more": len(rows) > SQL_ROWS,
            "seconds": time.perf_counter() - begin,
        }

    def export(self, body: bytes, stopping: Stopping) -> object:
        """The name of a file with the selection."""
        given = asked(wanted.Export, body)
        return self._file(selection_query(self.catalogue, given), given.format, "networks", stopping)

    def _file(self, query: str, format: str, name: str, stopping: Stopping) -> object:
        chosen = Format(format)
        token = secrets.token_hex(16)
        path = self.files / token
        try:
            with self._slot(), path.open("wb") as file:
                if chosen is Format.json:
                    commons = str(self.catalogue.store.path)
                    file.write(
                        f'{{"commons": {to_json(commons)}, "query": {to_json(query)}, "rows":\n'.encode()
                    )
                answer = self.catalogue.store.ask(query, batch_rows(chosen))
                stopping.add(answer.stop)
                with answer:
                    write(answer.schema, answer, chosen, file)
                if chosen is Format.json:
                    file.write(b"}\n")
        except BaseException:
            path.unlink(missing_ok=True)
            raise
        self._made[token] = (path, f"{name}.{format}")
        return {"file": f"/files/{token}", "name": f"{name}.{format}"}

    async def file(self, request: Request) -> Response:
        """A file that was made; it is there once."""
        path, name = self._made.pop(request.path_params["name"], (None, ""))
        if path is None:
            return _trouble("This file was fetched already; ask for it again.", 404)
        return FileResponse(
            path,
            media_type="application/octet-stream",
            filename=name,
            background=BackgroundTask(path.unlink, missing_ok=True),
        )

    async def report(self, request: Request) -> Response:
        """The report of a run, made from its records: a file beside them could be anybody's."""
        run = request.path_params["run"]
        listed = self.catalogue.runs.get(run)
        if listed is None:
            return _trouble(f"There is no run {printable(run)}.", 404)

        def make(_: Stopping) -> Response:
            # a page of its own, which can reach nothing here
            policy = "sandbox allow-scripts allow-downloads allow-modals; frame-ancestors 'none'"
            text = self._report(run, self.catalogue.version)
            return HTMLResponse(text, headers={"Content-Security-Policy": policy})

        return await _in_time(request, make, FILE_SECONDS)

    def _make_report(self, run: str, version: int) -> str:  # noqa: ARG002
        return page(document(self.catalogue.store, [run]))

    def _cursor(self, stopping: Stopping) -> duckdb.DuckDBPyConnection:
        cursor = self.catalogue.cursor()
        stopping.add(cursor.interrupt)
        return cursor

    def _slot(self) -> _Slot:
        return _Slot(self._queries)


class _Slot:
    """One of the queries that may run at the same time."""

    def __init__(self, held: BoundedSemaphore) -> None:
        self._held = held

    def __enter__(self) -> None:
        if not self._held.acquire(timeout=1):
            raise BadInput(f"{QUERIES} queries are being answered already: wait for them, or cancel one")

    def __exit__(self, *_: object) -> None:
        self._held.release()


def application(explorer: Explorer) -> Starlette:
    """The explorer as an application of ASGI, without its guard."""
    return Starlette(routes=explorer.routes())


def _run(run: str, listed: Listed) -> object:
    state = listed.state
    if state is None:
        return {"run": printable(run), "status": "unreadable", "trouble": printable(listed.trouble)}
    totals = state.totals
    return {
        "run": run,
        "trouble": printable(listed.trouble),
        "experiment": printable_within(state.experiment, _NAMES),
        "strategy": printable_within(state.strategy, _NAMES),
        "dataset": None if listed.dataset is None else printable_within(listed.dataset, _NAMES),
        "status": state.status,
        "networks": totals.networks,
        "budget": totals.networks_budget,
        "front": totals.networks_on_front,
        "best": totals.best_accuracy_percent,
        "best_error": totals.best_accuracy_se_points,
        "saved": totals.epochs_saved_percent if totals.epochs_budget else None,
        "training": state.training,
        "waiting": state.waiting,
        "started": None if state.started is None else f"{state.started:%Y-%m-%d %H:%M}",
        "objectives": listed.objectives,
    }


async def _body(request: Request) -> bytes:
    parts, size = [], 0
    async for some in request.stream():
        size += len(some)
        if size > _LARGEST:
            return b"too long"
        parts.append(some)
    return b"".join(parts)


async def _in_time(request: Request, work: Callable[[Stopping], Response], seconds: float) -> Response:
    """The answer, unless it takes too long or nobody waits for it."""
    stopping = Stopping()
    done = asyncio.wrap_future(_aside(lambda: work(stopping)))
    begin = time.monotonic()
    while not done.done():
        await asyncio.wait([done], timeout=_LOOK_SECONDS)
        late = time.monotonic() - begin > seconds
        if not done.done() and (late or await request.is_disconnected()):
            _ENDING.add(ending := asyncio.create_task(_end(done, stopping)))
            ending.add_done_callback(_ENDING.discard)
            words = f"This took longer than {seconds:.0f} seconds and was ended." if late else "Nobody waits."
            return _trouble(words, 503)
    try:
        return done.result()
    except BadInput as error:
        return _trouble(str(error), 422)
    except PermissionError as error:
        return _trouble(denied(error), 422)
    except (A4NNError, OSError) as error:
        return _trouble(str(error), 500)
    except Exception as error:
        _LOG.exception("an answer failed")
        return _trouble(f"This cannot be answered: {type(error).__name__}. The terminal says more.", 500)


_ENDING: set[asyncio.Task[None]] = set()
"""kept, or they could be collected before they are done"""


async def _end(done: asyncio.Future[Response], stopping: Stopping) -> None:
    """End work, and again until it has ended: a query that has not begun does not hear."""
    while not done.done():
        stopping.stop()
        await asyncio.wait([done], timeout=2 * _LOOK_SECONDS)
    done.exception()  # nobody asks for it any more


def _aside(work: Callable[[], T]) -> Future[T]:
    """Work done in a thread that keeps nobody from ending."""
    done: Future[T] = Future()

    def run() -> None:
        try:
            done.set_result(work())
        except BaseException as error:
            done.set_exception(error)

    Thread(target=run, daemon=True).start()
    return done


def _json(value: object) -> Response:
    return Response(to_json(value), media_type="application/json")


def _trouble(words: str, status: int) -> Response:
    return JSONResponse({"error": printable(words)}, status)


def _is_number(kind: Any) -> bool:
    from pyarrow import types

    return bool(types.is_integer(kind) or types.is_floating(kind) or types.is_decimal(kind))


def _text(
    media: str, make: Callable[[], str], keep: str = "no-store"
) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(_: Request) -> Response:
        return Response(make(), media_type=media, headers={"Cache-Control": keep})

    return endpoint


def _script() -> str:
    return "".join(["'use strict';\n(() => {\n", *map(part, _SHARED), *map(_own, _OWN), "})();\n"])


def _own(name: str) -> str:
    return (files("a4nn_core") / "explore" / "page" / name).read_text(encoding="utf-8")
