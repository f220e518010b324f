"""``a4nn status --disk``: what takes room in a commons."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from a4nn_core.cli.options import print_json, say, tell
from a4nn_core.cli.tables import print_table
from a4nn_core.jsonable import Json

if TYPE_CHECKING:
    from a4nn_core.commons.disk import CommonsUsage, RunUsage, Size, Usage

_NAMED = 20
"""files that are not of a commons and are named one by one"""


def show_disk(commons: Path, run: str | None, as_json: bool) -> None:
    """Print what takes room.

    Args:
        commons: folder of the commons.
        run: id of the only run to look at; all if None.
        as_json: whether to print it as JSON.

    Raises:
        BadInput: it is not a commons, or has no such run.
    """
    from a4nn_core.commons.disk import usage

    found = usage(commons, run)
    if as_json:
        print_json(_document(found, commons))
        return
    kinds = [kind for kind in _kinds() if any(kind in part.kinds for part in _parts(found))]
    header = ["run", "status", *kinds, "own files", "in packs, about"]
    rows = [_row(one, kinds) for one in found.runs]
    if run is None:
        # a file of a pack belongs to many runs: it is counted here, once, and not with them
        rows.append([f"packs of {len(_packed(found))} runs", "-", *_cells(found.archive, kinds), "-"])
        rows.append(["everything else", "-", *_cells(found.rest, kinds), "-"])
    print_table(header, rows)
    total = found.total
    tell("", f"{total.files:,} files, {readable(total.bytes)}; on the disk {readable(total.allocated)}")
    if run is None:
        cache, size = _cache()
        tell(f"beside the commons, the cache of images: {readable(size)} in {cache}")
    for line in _troubles(found):
        say(line)


def readable(size: float) -> str:
    """A number of bytes for people, in powers of 1000."""
    for unit in ("bytes", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "bytes" or size >= 100 else f"{size:.3g} {unit}"
        size /= 1000
    return f"{size:.3g} TB"


def _kinds() -> list[str]:
    from a4nn_core.commons.disk import FileKind

    return [str(kind) for kind in FileKind]


def _parts(found: CommonsUsage) -> list[Usage]:
    return [*found.runs, found.archive, found.rest]


def _packed(found: CommonsUsage) -> list[RunUsage]:
    return [one for one in found.runs if one.packs]


def _cells(part: Usage, kinds: list[str]) -> list[str]:
    sizes = {str(kind): size for kind, size in part.kinds.items()}
    return [*(readable(sizes[k].bytes) if k in sizes else "-" for k in kinds), readable(part.total.bytes)]


def _row(one: RunUsage, kinds: list[str]) -> list[str]:
    status = "damaged" if one.problem is not None else one.status or "-"
    return [one.run, status, *_cells(one, kinds), readable(one.shared) if one.packs else "-"]


def _troubles(found: CommonsUsage) -> Iterator[str]:
    if found.problem is not None:
        yield f"the packs cannot be assigned to runs: {found.problem}"
    yield from (f"{one.run}: {one.problem}" for one in found.runs if one.problem is not None)
    foreign = [path for part in _parts(found) for path in part.foreign]
    yield from (f"not of a commons: {path}" for path in sorted(foreign)[:_NAMED])
    if len(foreign) > _NAMED:
        yield f"... and {len(foreign) - _NAMED:,} more files that are not of a commons"
    yield from (f"not counted, cannot be read: {text}" for part in _parts(found) for text in part.unreadable)


def _cache() -> tuple[Path, int]:
    from a4nn_core.commons.disk import size_of
    from a4nn_core.data.cache import cache_folder

    return cache_folder(), size_of(cache_folder())


def _document(found: CommonsUsage, commons: Path) -> dict[str, Json]:
    cache, size = _cache()
    return {
        "commons": str(commons),
        **_size(found.total),
        "runs": [
            {
                "run": one.run,
                "status": one.status,
                "problem": one.problem,
                **_usage(one),
                "packs": [*one.packs],
                "bytes_in_packs": one.shared,
            }
            for one in found.runs
        ],
        "packs": {**_usage(found.archive), "runs_of_each": dict(found.packs), "problem": found.problem},
        "rest": _usage(found.rest),
        "cache": {"folder": str(cache), "bytes": size},
    }


def _usage(part: Usage) -> dict[str, Json]:
    return {
        **_size(part.total),
        "kinds": {str(kind): _size(size) for kind, size in part.kinds.items()},
        "foreign": [*sorted(part.foreign)],
        "unreadable": [*part.unreadable],
    }


def _size(size: Size) -> dict[str, Json]:
    return dict(asdict(size))
