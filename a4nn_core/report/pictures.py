"""Every figure of a report as a still picture."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from a4nn_core.archaeology import progress, stops
from a4nn_core.archaeology.chart import Chart
from a4nn_core.archaeology.film import Album
from a4nn_core.archaeology.life import Life, read_together
from a4nn_core.archaeology.stills import FORMATS, write_chart, write_difference, write_film
from a4nn_core.report.document import best_network, exhibits_of

if TYPE_CHECKING:
    from a4nn_core.commons import Commons


def write_pictures(commons: Commons, runs: Sequence[str], folder: Path) -> list[Path]:
    """Write all figures of some runs, as PNG and as SVG; those of one run are named after it.

    The film strip is that of the network of the front with the best score; what differs is drawn of the
    cheapest network of the front and this one.

    Args:
        commons: where the runs are.
        runs: their ids.
        folder: made if it is not there.

    Returns:
        the files.

    Raises:
        BadInput: there is no such run, its records cannot be read, runs for different tasks are mixed, or a
            file cannot be written.
    """
    lives = read_together(commons, runs)
    files: list[Path] = []
    for life in lives:
        album = Album.read(commons, life)
        for chart in _charts(commons, life, album):
            for file in _both(folder, f"{life.run}-{chart.name}", files):
                write_chart(chart, file)
        chosen = best_network(life)
        film = [] if chosen is None else album.film(chosen)
        if film:
            for file in _both(folder, f"{life.run}-film", files):
                write_film(film, f"Descent of network {chosen} of {life.run}", file)
        cheapest = _cheapest(life, album)
        both = {cheapest, chosen} & set(album.architectures)
        if chosen is not None and cheapest is not None and len(both) == 2:
            names = (f"network {cheapest} of {life.run}, the cheapest of the front", f"network {chosen}")
            for file in _both(folder, f"{life.run}-difference", files):
                write_difference(album.difference(cheapest, chosen), names, file)
    for exhibit in progress.exhibits(lives):
        for chart in exhibit.charts:
            for file in _both(folder, chart.name, files):
                write_chart(chart, file)
    return files


def _cheapest(life: Life, album: Album) -> int | None:
    """The network of the front whose layers cost least; None if none was recorded."""
    known = [number for number in life.front if number in album.architectures]
    return min(known, key=lambda number: (album.architectures[number].flops, number), default=None)


def _both(folder: Path, name: str, files: list[Path]) -> list[Path]:
    """The files of one figure, noted among all."""
    both = [folder / f"{name}{ending}" for ending in FORMATS]
    files += both
    return both


def _charts(commons: Commons, life: Life, album: Album) -> Iterator[Chart]:
    """The charts of one run that show something."""
    for exhibit in exhibits_of(commons, life, life, album):
        yield from (chart for chart in exhibit.charts if chart.marks)
    yield from (stops.small_chart(life, one) for one in stops.stops(life)[:12])
