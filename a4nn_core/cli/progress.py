"""Progress of a search: bars on a terminal, one line per network elsewhere."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    ProgressColumn,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)
from rich.progress import Progress as Bars
from rich.table import Column

from a4nn_core.cli.interrupt import check_interrupt
from a4nn_core.commons import read_epochs
from a4nn_core.commons.records import EpochCount, Network, best_network
from a4nn_core.experiment import Experiment
from a4nn_core.jsonable import members
from a4nn_core.precision import in_percent
from a4nn_core.printable import printable
from a4nn_core.progress import Listener, listening
from a4nn_core.termination.endings import Endings
from a4nn_core.vocabulary import NetworkStatus
from a4nn_core.workflow.startup import StartUp
from a4nn_core.workflow.watcher import SearchView

_ACCURACY_WIDTH = len(in_percent(100.0, 0.0))


def plain_console() -> Console:
    """Standard error, for texts in which no colour, emoji or link is written."""
    return Console(stderr=True, highlight=False, markup=False, emoji=False)


@contextmanager
def named_bars(console: Console, *columns: ProgressColumn, keep: bool = True) -> Iterator[Listener]:
    """Show a bar on a terminal for each piece of work that reports its progress.

    Args:
        console: that the bars are drawn on.
        columns: shown after the name and the bar.
        keep: whether a bar stays on the screen when its work is done.
    """
    with Bars(
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=30),
        *columns,
        console=console,
        disable=not console.is_terminal,
    ) as bars:
        tasks: dict[str, TaskID] = {}

        def show(what: str, done: int, total: int) -> None:
            if what not in tasks:
                tasks[what] = bars.add_task(printable(what))
            bars.update(tasks[what], completed=done, total=total, visible=keep or done < total)

        yield show


@contextmanager
def file_progress() -> Iterator[Listener]:
    """Show a bar, in bytes, for each file that is sent or fetched."""
    with named_bars(plain_console(), DownloadColumn(), TransferSpeedColumn(), keep=False) as show:
        yield show


@contextmanager
def data_progress() -> Iterator[None]:
    """While it is entered, long work on data shows a bar on standard error; without a terminal, one line
    per tenth of the work."""
    console = plain_console()
    tenths: dict[str, int] = {}
    with named_bars(console, MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn()) as show:

        def report(what: str, done: int, total: int) -> None:
            check_interrupt()
            show(what, done, total)
            tenth = 10 * done // total
            if not console.is_terminal and tenth > tenths.get(what, 0):
                tenths[what] = tenth
                _print(console, f"{what}: {done:,} of {total:,}")

        with listening(report):
            yield


class Progress:
    """Shows networks, epochs, epochs saved, best accuracy and time left on standard error."""

    def __init__(self, experiment: Experiment) -> None:
        self.experiment = experiment
        self.console = plain_console()
        self.bars = Bars(
            TextColumn("{task.description:<10}"),
            BarColumn(bar_width=30),
            MofNCompleteColumn(),
            TextColumn("{task.fields[note]}", markup=False),
            # on a narrow terminal the bars shrink first
            TimeElapsedColumn(table_column=Column(min_width=len("0:00:00"))),
            console=self.console,
            # a person who types needs the lines of the terminal
            disable=not self.console.is_terminal or experiment.search.converses,
        )
        networks = experiment.search.networks
        self.networks = self.bars.add_task("networks", total=networks, note="")
        self.epochs = self.bars.add_task("epochs", total=networks * experiment.training.epochs, note="")
        self.data = self.bars.add_task("data", total=None, note="", visible=False)
        self.started = time.monotonic()
        self.at_start: int | None = None

    def __enter__(self) -> Progress:
        if not self.console.is_terminal:
            _print(self.console, f"loading data set {self.experiment.data.name}")
        self.bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.bars.stop()

    def loading(self, what: str, done: int, total: int) -> None:
        """Show how far the loading of a data set has come."""
        self.bars.update(self.data, completed=done, total=total, note=printable(what), visible=done < total)

    def on_start(self, check: StartUp) -> None:
        """Print the start-up check; its warnings come by the log, as all others do."""
        for line in check.lines():
            _print(self.console, line)

    def on_poll(self, search: SearchView) -> None:
        """Update the bars."""
        check_interrupt()
        networks = search.networks.values()
        running = sum(len(read_epochs(search.folder.journal(n))) for n in search.training)
        ended = EpochCount.of(networks)
        best = best_network(networks)
        accuracy = "" if best is None else f"best {best.score(search.images)}  "
        generation = search.generation
        self.bars.update(
            self.networks,
            completed=len(search.networks),
            note=f"generation {generation}  {accuracy}{self._left(search)}",
        )
        feasible = self.experiment.search.networks - sum(
            network.status is NetworkStatus.infeasible for network in networks
        )
        self.bars.update(
            self.epochs,
            total=feasible * self.experiment.training.epochs,
            completed=ended.budget + running,
            note=f"{ended.saved} saved ({ended.saved_percent:.0f} %)",
        )

    def _left(self, search: SearchView) -> str:
        """Time left, from the pace of this process only: networks trained before a resume do not count."""
        if self.at_start is None:
            self.at_start = len(search.networks)
        done = len(search.networks) - self.at_start
        if not done:
            return ""
        seconds = (
            (time.monotonic() - self.started)
            / done
            * (self.experiment.search.networks - len(search.networks))
        )
        return f"about {seconds / 60:.0f} min left" if seconds >= 90 else f"about {seconds:.0f} s left"

    def on_network_end(self, search: SearchView, network: Network) -> None:
        """Print the outcome of a network."""
        score = network.score(search.images)
        accuracy = "" if score.value is None else str(score)
        _print(
            self.console,
            f"network {network.network:>3}  generation {network.generation}  "
            f"{(network.flops or 0) / 1e6:>9.3f} MFLOPs  {network.epochs_trained or 0:>3} epochs  "
            f"{accuracy:>{_ACCURACY_WIDTH}}  {_outcome(search, network)}",
        )


def _print(console: Console, line: str) -> None:
    """Print one line, above the bars if there are any; it is not folded."""
    console.print(printable(line), soft_wrap=True)


def _outcome(search: SearchView, network: Network) -> str:
    match network.status:
        case NetworkStatus.completed:
            return "trained to the end"
        case NetworkStatus.stopped:
            what = search.experiment
            rule = members(what.to_mapping()["termination"])
            return str(Endings(search.networks, rule, what.search.objectives, search.images).find(network))
        case NetworkStatus.paused:
            return "waits to be compared with others"
        case NetworkStatus.equal:
            return f"same architecture as network {network.equal_to}, not trained"
        case NetworkStatus.infeasible:
            return f"outside the bounds, not trained: {network.error}"
        case NetworkStatus.failed:
            return f"failed: {network.error}"
        case status:
            return str(status)
