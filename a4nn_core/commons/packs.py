"""The manifest of the archive: its packs, and what each has of which run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Annotated, TypeAlias

from pydantic import Field, StrictInt, StrictStr, TypeAdapter, ValidationError

from a4nn_core.commons.fragments import file_checksum
from a4nn_core.commons.layout import Damaged, read_json, write_json
from a4nn_core.commons.ranges import count_of
from a4nn_core.commons.schema import SORTED
from a4nn_core.errors import BadInput

_Count: TypeAlias = Annotated[StrictInt, Field(ge=0)]


@dataclass(frozen=True)
class PackedFile:
    """One file of a pack.

    Attributes:
        file: its name.
        rows: their number.
        bytes: its size.
        sha256: its SHA-256, hexadecimal.
    """

    file: StrictStr
    rows: _Count
    bytes: _Count
    sha256: Annotated[StrictStr, Field(pattern="^[0-9a-f]{64}$")]

    @classmethod
    def of(cls, path: Path, rows: int) -> PackedFile:
        """What the manifest says of a file that is there.

        Raises:
            OSError: it cannot be read.
        """
        return cls(path.name, rows, path.stat().st_size, file_checksum(path))


@dataclass(frozen=True)
class Pack:
    """A set of files, one for each table that has rows, with the records of some networks.

    Attributes:
        name: six digits, such as ``000001``.
        files: the files by name of the table.
        networks: run id to the numbers of its networks in this pack, as ranges (see ``to_ranges``).
        started: run id to the time it was first started, for every run in ``networks`` and ``sealed``.
        sealed: run id to [bytes, time of change in ns] of its ``run.json`` when it was sealed.
    """

    name: Annotated[StrictStr, Field(pattern="^[0-9]{6,}$")]
    files: Mapping[StrictStr, PackedFile]
    networks: Mapping[StrictStr, StrictStr]
    started: Mapping[StrictStr, StrictStr]
    sealed: Mapping[StrictStr, list[StrictInt]] = field(default_factory=dict)

    def rows(self, table: str) -> int:
        """Number of rows of one table."""
        return self.files[table].rows if table in self.files else 0


@dataclass(frozen=True)
class Manifest:
    """The packs of an archive.

    Attributes:
        next: number of the next pack.
        packs: those there are.
    """

    next: _Count
    packs: tuple[Pack, ...]


_MANIFEST = TypeAdapter(Manifest)
# pydantic speaks of Python here
_FORMS = {"dataclass_type": "a JSON object", "dict_type": "a JSON object", "tuple_type": "a list"}


@lru_cache(maxsize=8)
def read_manifest(path: Path, *_state: int) -> Manifest:
    """The manifest in a file; remembered while its state is the same, as a thousand runs make it large.

    Raises:
        Damaged: it is not one.
    """
    try:
        found = _MANIFEST.validate_python(read_json(path))
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(map(str, first["loc"]))
        form = _FORMS.get(first["type"])
        words = f"input should be {form}" if form else first["msg"][:1].lower() + first["msg"][1:]
        raise Damaged(f"{path} is damaged: {place}: {words}") from None
    for pack in found.packs:
        if (problem := _problem(pack)) is not None:
            raise Damaged(f"{path} is damaged: pack {pack.name} {problem}")
    return found


def write_manifest(path: Path, manifest: Manifest) -> None:
    """Replace a manifest; readers see the old one or the new one."""
    write_json(path, _MANIFEST.dump_python(manifest))


def _problem(pack: Pack) -> str | None:
    """What is wrong with a pack whose members have the right types."""
    for table, file in pack.files.items():
        if table not in SORTED:
            return f"has the table {table!r}, which this version does not know"
        if file.file != f"{pack.name}-{table}.parquet":
            return f"has {table} in the file {file.file!r}, not {pack.name}-{table}.parquet"
    for run in (*pack.networks, *pack.sealed):
        if run not in pack.started:
            return f"does not say when run {run!r} was started"
    held = 0
    for run, ranges in pack.networks.items():
        try:
            held += count_of(ranges)
        except BadInput as error:
            return f"has networks of run {run!r} of which {error}"
    if held > pack.rows("networks"):
        return f"names {held:,} networks and has {pack.rows('networks'):,}"
    return None
