"""One data set on a Dataverse server: its files, its locks, its metadata."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from a4nn_core.errors import A4NNError, BadInput
from a4nn_core.publish.dataverse.client import Dataverse, Refused, Uncertain
from a4nn_core.publish.deposit.dataverse_json import AGENCY, citation_fields

TAG = "A4NN"  # category of every file we send: what a new version may replace or delete
_HASHES = {"MD5": "md5", "SHA-1": "sha1", "SHA-256": "sha256", "SHA-512": "sha512"}
_LOCK_SECONDS = 3600


@dataclass(frozen=True)
class RemoteFile:
    """A file of a data set.

    Attributes:
        id: its identifier on the server.
        path: folder and name under which it was sent.
        checksum: (algorithm as hashlib knows it, hexadecimal), of the file as it was sent.
        tabular: whether the server has ingested it.
        unf: of the ingested table.
        ours: whether it carries our category.
    """

    id: int
    path: str
    checksum: tuple[str, str]
    tabular: bool
    unf: str | None
    ours: bool


class RemoteDataset:
    """A data set by its persistent identifier, such as ``doi:10.7910/DVN/JS9FR6``."""

    def __init__(self, api: Dataverse, persistent_id: str) -> None:
        self.api = api
        self.persistent_id = persistent_id

    def get(self, what: str, **params: Any) -> Any:
        """Something of the data set, such as ``/locks``."""
        return self.api.get(f"/api/datasets/:persistentId{what}", persistentId=self.persistent_id, **params)

    def version(self) -> dict[str, Any]:
        """Its latest version, a draft if there is one.

        Raises:
            Refused: there is no such data set, or the token may not see it.
        """
        found: dict[str, Any] = self.get("/versions/:latest", excludeFiles="true")
        return found

    def files(self, version: str = ":latest") -> list[RemoteFile]:
        """The files of a version."""
        return [_remote_file(entry) for entry in self.get(f"/versions/{version}/files")]

    def wait_unlocked(self) -> None:
        """Wait until nothing locks it: ingest, another edit, a workflow.

        Raises:
            A4NNError: it stays locked for an hour.
        """
        waited, pause = 0.0, 0.5
        while locks := self.get("/locks"):
            kinds = ", ".join(sorted({str(lock.get("lockType")) for lock in locks}))
            if "InReview" in kinds:
                raise BadInput(f"{self.persistent_id} is in review: it can be changed when that has ended")
            if waited > _LOCK_SECONDS:
                raise A4NNError(f"{self.persistent_id} has been locked for an hour: {kinds}")
            self.api.sleep(pause)
            waited += pause
            pause = min(10.0, 1.5 * pause)

    def set_metadata(self, document: dict[str, Any]) -> bool:
        """Bring the metadata to what a document says; returns whether anything changed."""
        there = citation_fields({"datasetVersion": self.version()})
        wanted = citation_fields(document)
        if all(there.get(name) == value for name, value in wanted.items()):
            return False
        self.wait_unlocked()
        self.api.put(
            "/api/datasets/:persistentId/editMetadata",
            {"fields": document["datasetVersion"]["metadataBlocks"]["citation"]["fields"]},
            persistentId=self.persistent_id,
            replace="true",
        )
        return True

    def publish(self, kind: str) -> None:
        """Publish the draft and wait until the server has done it.

        Raises:
            Refused: the server will not, for example for lack of permission.
            A4NNError: it has not after an hour.
        """
        waited = 0.0
        for attempt in range(1000):
            self.wait_unlocked()
            state = self.version()["versionState"]
            if state == "RELEASED":
                return
            if attempt % 10 == 0:  # answers can be lost, and 409 means that it is not yet done
                with suppress(Uncertain):
                    self.api.post(
                        "/api/datasets/:persistentId/actions/:publish",
                        params={
                            "persistentId": self.persistent_id,
                            "type": kind,
                            "assureIsIndexed": "true",
                        },
                    )
            pause = min(10.0, 0.5 * (attempt + 1))
            self.api.sleep(pause)
            waited += pause
            if waited > _LOCK_SECONDS:
                break
        raise A4NNError(f"{self.persistent_id} is still not published after an hour")


def known_fields(api: Dataverse) -> set[str] | None:
    """Names of the citation fields this server knows; None if it does not say."""
    try:
        block = api.get("/api/metadatablocks/citation")
    except Refused:
        return None
    names: set[str] = set()
    for name, field in (block.get("fields") or {}).items():
        names |= {name, *(field.get("childFields") or {})}
    return names or None


def without_unknown(document: dict[str, Any], known: set[str] | None) -> dict[str, Any]:
    """A document without the fields that an older server would refuse."""
    if known is None:
        return document
    version = document["datasetVersion"]
    kept = []
    for field in version["metadataBlocks"]["citation"]["fields"]:
        if field["typeName"] not in known:
            continue
        if field["typeClass"] == "compound":
            values = [{k: v for k, v in one.items() if k in known} for one in field["value"]]
            field = {**field, "value": values}
        kept.append(field)
    block = {**version["metadataBlocks"]["citation"], "fields": kept}
    return {"datasetVersion": {**version, "metadataBlocks": {"citation": block}}}


def find_by_deposit(api: Dataverse, alias: str, deposit_id: str) -> str | None:
    """The data set in a collection that was made from a deposit, the newest first.

    Used after a creation whose answer was lost. The server's search index lags behind, so the data sets
    themselves are looked at.
    """
    contents = api.get(f"/api/dataverses/{alias}/contents")
    found = [entry for entry in contents if entry.get("type") == "dataset"]
    for entry in sorted(found, key=lambda e: -int(e.get("id", 0))):
        name = f"{entry.get('protocol', 'doi')}:{entry['authority']}/{entry['identifier']}"
        try:
            fields = citation_fields({"datasetVersion": RemoteDataset(api, name).version()})
        except Refused:
            continue
        for other in fields.get("otherId", []):
            if other.get("otherIdAgency") == AGENCY and other.get("otherIdValue") == deposit_id:
                return name
    return None


def _remote_file(entry: dict[str, Any]) -> RemoteFile:
    data = entry["dataFile"]
    tabular = bool(data.get("tabularData"))
    label = str(entry.get("label") or data.get("filename"))
    if tabular:  # the ingested table has another name; no CSV file of ours ends otherwise
        label = str(data.get("originalFileName") or f"{label.removesuffix('.tab')}.csv")
    folder = str(entry.get("directoryLabel") or "")
    checksum = data.get("checksum") or {"type": "MD5", "value": data.get("md5", "")}
    algorithm = _HASHES.get(str(checksum["type"]))
    if algorithm is None:
        raise BadInput(f"the server compares files by {checksum['type']!r}, which is not known here")
    return RemoteFile(
        id=int(data["id"]),
        path=f"{folder}/{label}" if folder else label,
        checksum=(algorithm, str(checksum["value"])),
        tabular=tabular,
        unf=data.get("UNF"),
        ours=TAG in (entry.get("categories") or data.get("categories") or []),
    )
