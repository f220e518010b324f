"""The files of a deposit: what each is, and the manifest that says whether it is still the same."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from a4nn_core.commons.fragments import file_checksum
from a4nn_core.errors import BadInput
from a4nn_core.files import atomic_write_bytes

MANIFEST = "MANIFEST.sha256"
DOWNLOADED = "MANIFEST.TXT"
"""what a Dataverse server adds to a zip of a data set: a line about each file, and why it left one out"""

_MEDIA_TYPES = {
    ".parquet": "application/vnd.apache.parquet",
    ".csv": "text/csv",
    ".jsonl": "application/jsonl",
    ".json": "application/json",
    ".tar": "application/x-tar",
    ".onnx": "application/octet-stream",
    ".pt2": "application/octet-stream",
    ".md": "text/markdown",
    ".png": "image/png",
    ".cff": "text/plain",
    ".sha256": "text/plain",
    "": "text/plain",
}
_LD_JSON = ("croissant.json", "ro-crate-metadata.json", "codemeta.json")


@dataclass(frozen=True)
class DepositFile:
    """One file.

    Attributes:
        path: relative to the deposit, with slashes.
        bytes, sha256: size and checksum of its content.
        description: one sentence.
        run: the only run it belongs to; None if it belongs to all.
    """

    path: str
    bytes: int
    sha256: str
    description: str
    run: str | None = None

    @property
    def media_type(self) -> str:
        """Dataverse does not know these types by their endings, so they are always sent."""
        return media_type(self.path)


def media_type(path: str) -> str:
    """The media type of a file of a deposit."""
    if path.endswith(_LD_JSON):
        return "application/ld+json"
    return _MEDIA_TYPES.get(Path(path).suffix, "application/octet-stream")


def describe_file(root: Path, path: str, description: str, run: str | None = None) -> DepositFile:
    """Measure one file."""
    file = root / path
    return DepositFile(path, file.stat().st_size, file_checksum(file), description, run)


def paths_in(root: Path) -> list[str]:
    """All files of a deposit but the manifest, sorted."""
    found = [p.relative_to(root).as_posix() for p in root.rglob("*") if p.is_file()]
    return sorted(path for path in found if path != MANIFEST)


def write_manifest(root: Path) -> None:
    """Write ``MANIFEST.sha256`` in the format of sha256sum: ``sha256sum -c MANIFEST.sha256`` checks it."""
    lines = [f"{file_checksum(root / path)}  {path}\n" for path in paths_in(root)]
    atomic_write_bytes(root / MANIFEST, "".join(lines).encode())


def read_manifest(root: Path) -> dict[str, str]:
    """SHA-256 by path.

    Raises:
        BadInput: it is missing, has a line of another form, or a path that leads out of the deposit.
    """
    file = root / MANIFEST
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        raise BadInput(f"{root} is not an A4NN deposit: it has no readable {MANIFEST}") from None
    found = {}
    for number, line in enumerate(text.splitlines(), start=1):
        match = re.fullmatch(r"([0-9a-f]{64})  ([A-Za-z0-9._-]+(?:/[A-Za-z0-9._-]+)*)", line)
        if match is None or ".." in match[2].split("/") or match[2] in found:
            raise BadInput(f"{file} line {number} is damaged: {line[:80]!r}")
        found[match[2]] = match[1]
    return found


def verify(root: Path) -> dict[str, str]:
    """Compare every file with the manifest; returns the manifest.

    Raises:
        BadInput: files differ, are missing or are not in the manifest; all are named.
    """
    manifest = read_manifest(root)
    problems = _differing(root, manifest)
    _refuse(root, [*problems.values(), *_unlisted(path for path in paths_in(root) if path not in manifest)])
    return manifest


def locate(root: Path) -> dict[str, Path]:
    """The files of a deposit that may have been downloaded by hand: path in the manifest to its place.

    A file is known by its SHA-256, so it may have another name or lie in another folder than it was sent
    from. A table as CSV may be there as the ``.tab`` file that a Dataverse server made of it; it is left out
    then, as the table's Parquet file has all of it. Beside the server's ``MANIFEST.TXT``, files that the
    deposit does not have are those that others added to the data set.

    Raises:
        BadInput: files differ, are missing or are not in the manifest; all are named.
    """
    manifest = read_manifest(root)
    problems = _differing(root, manifest)
    there = {path: root / path for path in manifest if path not in problems}
    spare = [path for path in paths_in(root) if path not in there and path != DOWNLOADED]
    by_digest = {file_checksum(root / path): path for path in spare} if problems else {}
    made = {Path(path).stem: path for path in spare if path.endswith(".tab")}
    for path in list(problems):
        if (moved := by_digest.get(manifest[path])) is not None:
            there[path] = root / moved
            del problems[path]
        elif path.endswith(".csv") and Path(path).stem in made:
            del problems[path]
    if (root / DOWNLOADED).is_file():
        said = (root / DOWNLOADED).read_text(encoding="utf-8", errors="replace").splitlines()
        _refuse(root, [text + _why(path, said) for path, text in problems.items()])
    else:
        known = {place.relative_to(root).as_posix() for place in there.values()} | set(made.values())
        _refuse(root, [*problems.values(), *_unlisted(path for path in spare if path not in known)])
    return there


def _differing(root: Path, manifest: Mapping[str, str]) -> dict[str, str]:
    """What is wrong with the files of a manifest, by path."""
    problems = {}
    for path, digest in manifest.items():
        if not (root / path).is_file():
            problems[path] = f"{path} is missing"
        elif (now := file_checksum(root / path)) != digest:
            problems[path] = f"{path} has SHA-256 {now}, not {digest}"
    return problems


def _unlisted(paths: Iterable[str]) -> list[str]:
    return [f"{path} is not in {MANIFEST}" for path in paths]


def _why(path: str, said: Iterable[str]) -> str:
    """What ``MANIFEST.TXT`` says about a file that is not as it was."""
    names = (f"{path} (", f"{path.rpartition('/')[2]} (")
    line = next((line.strip() for line in said if line.startswith(names)), None)
    return "" if line is None else f" ({DOWNLOADED} says: {line[:200]!r})"


def _refuse(root: Path, problems: Sequence[str]) -> None:
    if problems:
        raise BadInput(f"deposit {root} was altered after it was built: {'; '.join(problems)}")
