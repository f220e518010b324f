"""A search in Prefect's pages: progress, a table of every generation, the front and a report."""

from __future__ import annotations

import base64
import contextvars
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from prefect.artifacts import (
    create_image_artifact,
    create_link_artifact,
    create_markdown_artifact,
    create_progress_artifact,
    create_table_artifact,
    update_progress_artifact,
)
from prefect.logging import get_logger, get_run_logger

from a4nn_core.commons.records import Network
from a4nn_core.jsonable import Json
from a4nn_core.precision import PERCENT, Images
from a4nn_core.printable import code_span, markdown, printable
from a4nn_core.report.beside import Beside
from a4nn_core.workflow.startup import StartUp
from a4nn_core.workflow.summary import Member, Summary
from a4nn_core.workflow.watcher import SearchView, Watcher

from .progress import Progress
from .server import AWAY_SECONDS, is_away

_PAUSE_SECONDS = 2.0

# the caller's watcher, for a flow called in this process; not a parameter, as it is not data, and not an
# attribute of the flow, which must be sent to other machines
_watcher: ContextVar[Watcher | None] = ContextVar("watcher", default=None)


@contextmanager
def watched_by(watcher: Watcher | None) -> Iterator[None]:
    """Searches that run in this context also report to a watcher in this process."""
    token = _watcher.set(watcher)
    try:
        yield
    finally:
        _watcher.reset(token)


class Publisher:
    """Calls the server from a thread of its own, so that a slow or unreachable one never delays a search.

    Create it inside the flow: what it publishes belongs to that flow run.
    """

    def __init__(self) -> None:
        self._calls: dict[str, Callable[[], object]] = {}
        self._changed = threading.Condition()
        self._closed = False
        run = contextvars.copy_context().run
        self._thread = threading.Thread(target=lambda: run(self._publish), name="publisher", daemon=True)
        self._thread.start()

    def put(self, what: str, call: Callable[[], object]) -> None:
        """Make a call as soon as possible; it replaces a pending call for the same artifact."""
        with self._changed:
            self._calls[what] = call
            self._changed.notify_all()

    def _publish(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._calls or self._closed)
                if not self._calls:
                    return
                what, call = next(iter(self._calls.items()))
            try:
                call()
            except Exception as error:
                if is_away(error):
                    time.sleep(_PAUSE_SECONDS)
                    continue
                get_logger("a4nn").warning("%s cannot be shown: %s", what, error)
            with self._changed:
                if self._calls.get(what) is call:
                    del self._calls[what]

    def close(self, seconds: float = AWAY_SECONDS) -> None:
        """Wait until all pending calls are made, at most so many seconds."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._thread.join(seconds)


class Artifacts:
    """Shows a search in Prefect's pages, and to another watcher if there is one (``watched_by``).

    Args:
        run_id: id of the run.
        networks: number of networks in the whole search.
    """

    def __init__(self, run_id: str, networks: int) -> None:
        self.publisher = Publisher()
        self.alive = Progress(run_id)
        self.run_id = run_id
        self.networks = networks
        self.other = _watcher.get()
        self.progress: Any = None
        self.shown: set[int] = set()
        self.done = 0

    def on_start(self, check: StartUp) -> None:
        if self.other:
            self.other.on_start(check)
        log = get_run_logger()
        log.info("\n".join(map(printable, check.lines())))
        for warning in check.warnings:
            log.warning(printable(warning))
        self.alive.begin()

    def on_poll(self, search: SearchView) -> None:
        if self.other:
            self.other.on_poll(search)
        self.alive.look(search)
        self._progress(len(search.networks))
        for generation in range(search.generation):
            if generation not in self.shown:
                self.shown.add(generation)
                members = [n for _, n in sorted(search.networks.items()) if n.generation == generation]
                self._generation(generation, members, search.images)

    def on_network_end(self, search: SearchView, network: Network) -> None:
        if self.other:
            self.other.on_network_end(search, network)

    def _generation(self, generation: int, networks: list[Network], images: Images) -> None:
        table = [_generation_row(network, images) for network in networks]
        key = artifact_key(f"generation-{generation}", self.run_id)
        self.publisher.put(
            key, lambda: create_table_artifact(table, key=key, description=f"Generation {generation}")
        )

    def _progress(self, done: int) -> None:
        if done == self.done:
            return
        self.done = done
        percent = 100.0 * done / self.networks

        def show() -> None:
            if self.progress is None:
                self.progress = create_progress_artifact(
                    percent, key=artifact_key("progress", self.run_id), description="networks that have ended"
                )
            else:
                update_progress_artifact(self.progress, percent)

        self.publisher.put("progress", show)

    def result(self, summary: Summary, beside: Beside) -> None:
        """Show what was found: the front as a table and a picture, what it cost, and where the report is."""
        key = artifact_key("front", self.run_id)
        title = f"Pareto front of {markdown(self.run_id)}"
        table = [_front_row(member) for member in summary.front]
        self._progress(summary.networks)
        self.publisher.put(key, lambda: create_table_artifact(table, key=key, description=title))
        for problem in beside.problems:
            get_run_logger().warning(printable(problem))
        if beside.picture is not None:
            url = "data:image/png;base64," + base64.b64encode(beside.picture.read_bytes()).decode()
            picture = artifact_key("front-picture", self.run_id)
            self.publisher.put(
                picture,
                lambda: create_image_artifact(url, key=picture, description=title),
            )
        if beside.report is not None:
            link, file = beside.report.absolute().as_uri(), markdown(beside.report)
            figures = artifact_key("figures", self.run_id)
            where = f"All figures: {file}. A browser follows the link where it sees the commons."
            self.publisher.put(
                figures,
                lambda: create_link_artifact(link, link_text="report.html", key=figures, description=where),
            )
        report = artifact_key("report", self.run_id)
        self.publisher.put(report, lambda: create_markdown_artifact(_report(summary), key=report))


def artifact_key(what: str, run_id: str) -> str:
    """An artifact's key, which may have lower-case letters, digits and dashes only."""
    letters = "".join(c if c.isalnum() else "-" for c in run_id.lower() if c.isascii())
    return f"{what}-{letters}"


def _generation_row(network: Network, images: Images) -> dict[str, Json]:
    return {
        "network": network.network,
        "status": None if network.status is None else str(network.status),
        "best_accuracy_percent": network.best_accuracy_percent,
        "best_accuracy_se_points": images.validation_error(network.best_accuracy_percent),
        "test_accuracy_percent": network.test_accuracy_percent,
        "test_accuracy_se_points": images.test_error(network.test_accuracy_percent),
        **_decibels(best=network.best_psnr_db, test=network.test_psnr_db),
        "flops": network.flops,
        "parameters": network.parameters,
        "epochs_trained": network.epochs_trained,
        "genome": None if network.genome is None else printable(network.genome),
    }


def _decibels(**ratios: float | None) -> dict[str, Json]:
    """The ratios of a network that restores images; nothing of a classifier."""
    return {f"{name}_psnr_db": ratio for name, ratio in ratios.items() if ratio is not None}


def _front_row(member: Member) -> dict[str, Json]:
    return {
        "network": member.network,
        "accuracy_percent": member.accuracy_percent,
        "accuracy_se_points": member.accuracy_se_points,
        "indistinguishable_from": member.indistinguishable_from,
        "test_accuracy_percent": member.test_accuracy_percent,
        "test_accuracy_se_points": member.test_accuracy_se_points,
        **_decibels(best=member.psnr_db, test=member.test_psnr_db),
        "flops": member.flops,
        "parameters": member.parameters,
        "epochs_trained": member.epochs_trained,
        "genome": printable(member.genome_text),
    }


def _report(summary: Summary) -> str:
    what = "accuracy" if summary.best.unit == PERCENT else "PSNR"
    found = f"Best validation {what}: {summary.best}." if summary.front else "No network."
    if summary.front and str(summary.images):
        found += f" ± is one standard error, of {summary.images}."
    costs = "\n".join(f"- {line}" for line in summary.cost())
    return f"# {markdown(summary.run)}\n\n{found}\n\n{costs}\n\nRecords: {code_span(summary.commons)}"
