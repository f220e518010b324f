"""Downloading a published deposit from its Dataverse server."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from urllib.parse import urlsplit

import httpx

from a4nn_core.errors import A4NNError, BadInput
from a4nn_core.files import atomic_write, make_folder
from a4nn_core.publish.dataverse.client import Dataverse
from a4nn_core.publish.dataverse.remote import RemoteDataset
from a4nn_core.publish.dataverse.transmit import Progress
from a4nn_core.publish.deposit.files import MANIFEST, read_manifest


def as_persistent_id(text: str) -> str | None:
    """A DOI in any of its spellings as ``doi:10.7910/DVN/JS9FR6``; None if it is not a DOI."""
    match = re.fullmatch(r"(?:doi:|https?://(?:dx\.)?doi\.org/)?(10\.\d{4,9}/\S+)", text)
    return f"doi:{match[1]}" if match else None


def server_of(persistent_id: str) -> str:
    """The address of the server that a DOI leads to.

    Raises:
        BadInput: it leads nowhere.
        A4NNError: doi.org cannot be reached.
    """
    address = f"https://doi.org/{persistent_id.removeprefix('doi:')}"
    try:
        answer = httpx.get(address, follow_redirects=False, timeout=60)
    except httpx.HTTPError as error:
        raise A4NNError(f"{address} cannot be reached: {error}; name the server with --server") from None
    target = urlsplit(answer.headers.get("location", ""))
    if not target.netloc:
        raise BadInput(f"there is no {persistent_id}: {address} leads nowhere")
    return f"{target.scheme}://{target.netloc}"


def download(api: Dataverse, persistent_id: str, folder: Path, progress: Progress | None = None) -> None:
    """Fetch the files of a deposit into a new folder; ingested tables are fetched as they were sent.

    Files that the manifest does not name belong to somebody else and are not fetched.

    Raises:
        BadInput: there is no such data set, or it is not a deposit of A4NN.
        A4NNError: the server does not answer.
    """
    there = {file.path: file for file in RemoteDataset(api, persistent_id).files()}
    if MANIFEST not in there:
        raise BadInput(f"{persistent_id} on {api.server} is not an A4NN deposit: it has no {MANIFEST}")
    make_folder(folder)

    def fetch(path: str) -> None:
        remote = there[path]
        make_folder((folder / path).parent)

        def write(blocks: Iterable[bytes]) -> None:
            done = 0
            with atomic_write(folder / path) as temporary, temporary.open("wb") as file:
                for block in blocks:
                    done += file.write(block)
                    if progress:
                        progress(path, done, max(done, 1))

        query = {"format": "original"} if remote.tabular else {}
        api.download(f"/api/access/datafile/{remote.id}", write, **query)

    fetch(MANIFEST)
    for path in sorted(read_manifest(folder)):
        if path not in there:
            raise BadInput(f"{persistent_id} on {api.server} lacks {path}, which its {MANIFEST} names")
        fetch(path)
