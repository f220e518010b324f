"""Sending one file: through the server, or directly into its store where it offers that."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import urlsplit

import httpx

from a4nn_core.errors import A4NNError
from a4nn_core.publish.dataverse.client import Refused
from a4nn_core.publish.dataverse.remote import TAG, RemoteDataset
from a4nn_core.publish.deposit.files import media_type

Progress = Callable[[str, int, int], None]  # path, bytes sent, bytes in all
_ATTEMPTS = 5


class Sender:
    """Sends files into one data set.

    Args:
        dataset: the data set that receives the files.
        root: the folder of the deposit.
        progress: called with the path, the bytes sent and the total bytes of each file.
        stored: storage identifiers of files that an earlier, interrupted upload put into the store, by path
            and SHA-256; what this one puts there is added.
    """

    def __init__(
        self, dataset: RemoteDataset, root: Path, progress: Progress, stored: dict[str, str]
    ) -> None:
        self.dataset = dataset
        self.root = root
        self.progress = progress
        self.stored = stored
        self._direct: bool | None = None

    def send(self, path: str, sha256: str, *, ingest: bool, replaces: int | None) -> None:
        """Send one file, once.

        Raises:
            Refused: the server will not take it.
            Uncertain: it is unknown whether it did.
            A4NNError: the store did not take it.
        """
        described = self._described(path, ingest)
        if replaces is not None:
            described["forceReplace"] = True
        stored = self._into_store(path, sha256)
        if stored is not None:
            described |= {
                "storageIdentifier": stored,
                "fileName": Path(path).name,
                "mimeType": media_type(path),
                "checksum": {"@type": "SHA-256", "@value": sha256},
            }
        where = (
            f"/api/files/{replaces}/replace" if replaces is not None else "/api/datasets/:persistentId/add"
        )
        params = {} if replaces is not None else {"persistentId": self.dataset.persistent_id}
        if stored is not None and replaces is None:
            where, form = "/api/datasets/:persistentId/addFiles", json.dumps([described])
        else:
            form = json.dumps(described)
        if stored is not None:
            self.dataset.api.post(where, params=params, files={"jsonData": (None, form)})
            self.stored.pop(f"{path} {sha256}", None)
            return
        with (self.root / path).open("rb") as file:
            counted: Any = _Counted(file, path, (self.root / path).stat().st_size, self.progress)
            self.dataset.api.post(
                where,
                params=params,
                files={
                    "jsonData": (None, form),
                    "file": (Path(path).name, counted, media_type(path)),
                },
            )

    def _described(self, path: str, ingest: bool) -> dict[str, Any]:
        folder = str(Path(path).parent)
        return {
            "directoryLabel": "" if folder == "." else folder,
            "categories": [TAG],
            "restrict": False,
            # everything at once would lock the data set against itself
            "tabIngest": ingest,
        }

    def _into_store(self, path: str, sha256: str) -> str | None:
        """Storage identifier of a file in the server's store; None if files go through the server."""
        key = f"{path} {sha256}"
        if key in self.stored:
            return self.stored[key]
        if self._direct is False:
            return None
        size = (self.root / path).stat().st_size
        try:
            offer = self.dataset.get("/uploadurls", size=size)
            self._direct = True
        except Refused as error:
            if error.status in (401, 403, 413) or "no room" in str(error):
                raise
            self._direct = False  # how a server says that it has no such store
            return None
        if "url" in offer:
            self._put(offer["url"], path, 0, size, {"x-amz-tagging": "dv-state=temp"}, size)
        else:
            self._put_parts(offer, path, size)
        self.stored[key] = str(offer["storageIdentifier"])
        return self.stored[key]

    def _put_parts(self, offer: dict[str, Any], path: str, size: int) -> None:
        api, step = self.dataset.api, int(offer["partSize"])
        tags = {}
        try:
            for number, url in sorted(offer["urls"].items(), key=lambda item: int(item[0])):
                start = (int(number) - 1) * step
                tags[number] = self._put(url, path, start, min(step, size - start), {}, size).strip('"')
        except BaseException:
            api.delete(_local(offer["abort"]))
            raise
        api.put(_local(offer["complete"]), tags)

    def _put(self, url: str, path: str, start: int, length: int, headers: dict[str, str], size: int) -> str:
        last_error = ""
        for attempt in range(_ATTEMPTS):
            if attempt:
                self.dataset.api.wait(attempt - 1)
            try:
                return self.dataset.api.store(url, self._part(path, start, length, size), length, headers)
            except httpx.HTTPStatusError as error:
                status = error.response.status_code
                if status in (400, 501) and headers:
                    headers = {}  # a store without tags
                last_error = f"it answered {status}"
            except httpx.HTTPError as error:
                last_error = type(error).__name__
        # the address holds a signature, so it must not be shown
        raise A4NNError(f"the store of {self.dataset.api.server} did not take {path}: {last_error}")

    def _part(self, path: str, start: int, length: int, size: int) -> Iterator[bytes]:
        with (self.root / path).open("rb") as file:
            file.seek(start)
            left = length
            while left:
                block = file.read(min(left, 1 << 20))
                left -= len(block)
                yield block
                self.progress(path, start + length - left, size)


def _local(address: str) -> str:
    """Path and query of an address on the server itself, which may be given whole or without the host."""
    parts = urlsplit(address)
    return f"{parts.path}?{parts.query}" if parts.query else parts.path


class _Counted:
    """A file that reports how much of it was read; httpx asks it for its size by seeking."""

    def __init__(self, file: BinaryIO, path: str, size: int, progress: Progress) -> None:
        self._file, self._path, self._size, self._progress = file, path, size, progress

    def read(self, count: int = -1) -> bytes:
        block = self._file.read(count)
        self._progress(self._path, self._file.tell(), self._size)
        return block

    def seek(self, offset: int, whence: int = 0) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()

    def fileno(self) -> int:
        return self._file.fileno()
