"""A stand-in for a Dataverse server: the part of the native API that an upload uses, with its awkward ways.

A file whose name is taken is renamed; a table is ingested after a while, and until then the data set is
locked and adding anything fails; answers can be lost before or after the work was done.
"""

from __future__ import annotations

import hashlib
import json
import re
import tempfile
import threading
from dataclasses import dataclass, field
from email.parser import BytesParser
from email.policy import HTTP
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from a4nn_core.interchange.ingest import csv_unf
from a4nn_core.publish.deposit.dataverse_json import check_dataverse_json

TOKEN = "11111111-2222-3333-4444-555555555555"
CITATION_FIELDS = [
    "title",
    "otherId",
    "otherIdAgency",
    "otherIdValue",
    "author",
    "authorName",
    "authorAffiliation",
    "authorIdentifierScheme",
    "authorIdentifier",
    "datasetContact",
    "datasetContactName",
    "datasetContactAffiliation",
    "datasetContactEmail",
    "dsDescription",
    "dsDescriptionValue",
    "subject",
    "keyword",
    "keywordValue",
    "publication",
    "publicationRelationType",
    "publicationCitation",
    "publicationIDType",
    "publicationIDNumber",
    "publicationURL",
    "notesText",
    "productionDate",
    "grantNumber",
    "grantNumberAgency",
    "grantNumberValue",
    "kindOfData",
    "software",
    "softwareName",
    "softwareVersion",
    "relatedDatasets",
]


@dataclass
class Fault:
    """A fault of kind ``how`` in requests of that method and path, ``times`` times from the ``first`` on.

    ``how`` is a status to answer with instead of doing it; ``done-500`` does it and answers 500;
    ``lost-before`` and ``lost-after`` close the connection without an answer; ``html`` answers with a proxy's
    page.
    """

    method: str
    path: str
    how: int | str
    times: int = 1
    first: int = 0
    message: str = ""
    seen: int = 0

    def applies(self, method: str, path: str) -> bool:
        if method != self.method or not re.search(self.path, path):
            return False
        self.seen += 1
        return self.first < self.seen <= self.first + self.times


@dataclass
class State:
    """What the server holds."""

    datasets: dict[str, dict[str, Any]] = field(default_factory=dict)
    files: dict[int, dict[str, Any]] = field(default_factory=dict)
    store: dict[str, bytes] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)
    requests: list[tuple[str, str]] = field(default_factory=list)
    collisions: int = 0
    ingest_polls: int = 2
    ingest_fails: bool = False
    direct: str = ""  # "" through the server, "single" or "parts" past it
    checksum: str = "MD5"
    quota: int | None = None
    known: list[str] = field(default_factory=lambda: list(CITATION_FIELDS))
    next: int = 1
    redirect_downloads: bool = False
    leaked: list[str] = field(default_factory=list)

    def number(self) -> int:
        self.next += 1
        return self.next


class Lost(Exception):
    """The connection breaks here."""


class Answer(Exception):
    def __init__(self, status: int, message: str) -> None:
        self.status, self.message = status, message


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = 1 << 16
    state: State
    mutex: threading.Lock

    def log_message(self, *_: object) -> None:
        pass

    def _serve(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        url = urlsplit(self.path)
        with self.mutex:
            path = unquote(url.path)
            self.state.requests.append((self.command, path))
            fault = next((f for f in self.state.faults if f.applies(self.command, path)), None)
        if fault and fault.how == "lost-before":
            return self._lose()
        if self.headers.get("Transfer-Encoding") == "chunked":
            body = self._chunks()
        else:
            body = self.rfile.read(length)
        if fault and fault.how == "html":
            return self._send(200, b"<html>maintenance</html>", "text/html")
        if fault and isinstance(fault.how, int):
            return self._json(fault.how, {"status": "ERROR", "message": fault.message or "injected"})
        try:
            with self.mutex:
                query = {k: v[0] for k, v in parse_qs(url.query).items()}
                result = self._route(path, query, body)
        except Answer as error:
            return self._json(error.status, {"status": "ERROR", "message": error.message})
        if fault and fault.how == "lost-after":
            return self._lose()
        if fault and fault.how == "done-500":
            return self._json(500, {"status": "ERROR", "message": "injected after the work"})
        if isinstance(result, tuple):
            return self._send(*result)
        return self._json(200, {"status": "OK", "data": result})

    do_GET = do_POST = do_PUT = do_DELETE = _serve  # noqa: N815

    def _chunks(self) -> bytes:
        body = b""
        while size := int(self.rfile.readline().strip() or b"0", 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    def _lose(self) -> None:
        self.close_connection = True
        self.connection.close()

    def _json(self, status: int, document: Any) -> None:
        self._send(status, json.dumps(document).encode(), "application/json")

    def _send(self, status: int, body: bytes, kind: str, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    # what it can do

    def _route(self, path: str, query: dict[str, str], body: bytes) -> Any:
        s = self.state
        if path.startswith("/store/"):
            return self._store(path, body)
        if self.headers.get("X-Dataverse-key") not in (None, TOKEN):
            raise Answer(401, "Bad API key")
        anonymous = self.headers.get("X-Dataverse-key") is None
        if path == "/api/metadatablocks/citation":
            return {"fields": {name: {"name": name, "childFields": {}} for name in s.known}}
        if match := re.fullmatch(r"/api/access/datafile/(\d+)", path):
            return self._download(int(match[1]), query)
        dataset = s.datasets.get(query.get("persistentId", ""))
        if path.startswith("/api/datasets/:persistentId/") and dataset is None:
            raise Answer(404, f"Dataset with Persistent ID {query.get('persistentId')} not found.")
        what = path.removeprefix("/api/datasets/:persistentId")
        if anonymous and (dataset is None or dataset["state"] != "RELEASED" or self.command != "GET"):
            raise Answer(401, "User :guest is not permitted to perform requested action.")
        if dataset is not None and self.command == "GET":
            if what == "/locks":
                return self._locks(dataset)
            if what.startswith("/versions/"):
                if what.endswith("/files"):
                    return [self._entry(s.files[n]) for n in dataset["files"]]
                return {**dataset["document"]["datasetVersion"], "versionState": dataset["state"]}
            if what == "/uploadurls":
                return self._offer(int(query["size"]))
        if self.command == "GET" and (match := re.fullmatch(r"/api/dataverses/(\w+)/contents", path)):
            return [
                {
                    "type": "dataset",
                    "id": n,
                    "protocol": "doi",
                    "authority": "10.5072",
                    "identifier": name.split("/", 1)[1],
                }
                for n, name in enumerate(s.datasets)
            ]
        if self.command == "POST" and (match := re.fullmatch(r"/api/dataverses/(\w+)/datasets", path)):
            return self._create(match[1], json.loads(body))
        if self.command == "PUT" and what == "/editMetadata":
            assert dataset is not None
            return self._edit(dataset, json.loads(body)["fields"])
        if self.command == "POST" and dataset is not None:
            if what in ("/add", "/addFiles"):
                return self._add(dataset, body, None)
            if what == "/actions/:publish":
                if self._locks(dataset, count=False):
                    raise Answer(409, "the dataset is locked")
                dataset["state"] = "RELEASED"
                dataset["versions"].append(query["type"])
                return {}
        if match := re.fullmatch(r"/api/files/(\d+)(/replace)?", path):
            return self._file(int(match[1]), bool(match[2]), body)
        if self.command in ("PUT", "DELETE") and path.startswith("/api/datasets/mpupload"):
            return {}
        raise Answer(404, f"no endpoint {self.command} {path}")

    def _create(self, alias: str, document: Any) -> Any:
        if alias != "lab":
            raise Answer(404, f"Can't find dataverse with identifier='{alias}'")
        self._check(document)
        name = f"doi:10.5072/FK2/{len(self.state.datasets) + 1:06d}"
        self.state.datasets[name] = {
            "document": document,
            "files": [],
            "state": "DRAFT",
            "ingesting": 0,
            "versions": [],
        }
        return {"id": 1, "persistentId": name}

    def _check(self, document: Any) -> None:
        problems = check_dataverse_json(document)
        fields = document["datasetVersion"]["metadataBlocks"]["citation"]["fields"]
        names = [f["typeName"] for f in fields]
        names += [
            child for f in fields if f["typeClass"] == "compound" for one in f["value"] for child in one
        ]
        problems += [f"no field {name}" for name in names if name not in self.state.known]
        if problems:
            raise Answer(400, f"Error parsing Json: {problems}")

    def _edit(self, dataset: dict[str, Any], fields: list[dict[str, Any]]) -> Any:
        block = dataset["document"]["datasetVersion"]["metadataBlocks"]["citation"]
        new = {f["typeName"]: f for f in fields}
        block["fields"] = [new.pop(f["typeName"], f) for f in block["fields"]] + list(new.values())
        dataset["state"] = "DRAFT"
        return {}

    def _locks(self, dataset: dict[str, Any], count: bool = True) -> list[dict[str, str]]:
        if not dataset["ingesting"]:
            return []
        if count:
            dataset["ingesting"] -= 1
            if not dataset["ingesting"]:
                self._ingest(dataset)
        return [{"lockType": "Ingest"}] if dataset["ingesting"] else []

    def _ingest(self, dataset: dict[str, Any]) -> None:
        for number in dataset["files"]:
            file = self.state.files[number]
            if file["ingest"]:
                file["ingest"] = False
                if self.state.ingest_fails:
                    continue
                with tempfile.TemporaryDirectory() as folder:
                    path = Path(folder) / "t.csv"
                    path.write_bytes(file["content"])
                    file["unf"] = csv_unf(path)
                file["original"] = file["name"]
                file["name"] = file["name"].removesuffix(".csv") + ".tab"

    def _entry(self, file: dict[str, Any]) -> dict[str, Any]:
        kind = self.state.checksum
        digest = hashlib.new(kind.replace("-", "").lower(), file["content"]).hexdigest()
        tabular = "unf" in file
        data = {
            "id": file["id"],
            "filename": file["name"],
            "contentType": file["type"],
            "filesize": len(file["content"]),
            "checksum": {"type": kind, "value": digest},
            "tabularData": tabular,
            **({"UNF": file["unf"], "originalFileName": file["original"]} if tabular else {}),
        }
        folder = {"directoryLabel": file["folder"]} if file["folder"] else {}
        return {"label": file["name"], **folder, "categories": file["categories"], "dataFile": data}

    def _parts(self, body: bytes) -> dict[str, tuple[str | None, str, bytes]]:
        head = f"Content-Type: {self.headers['Content-Type']}\r\n\r\n".encode()
        found = {}
        for part in BytesParser(policy=HTTP).parsebytes(head + body).iter_parts():  # type: ignore[attr-defined]
            name = part.get_param("name", header="content-disposition")
            found[name] = (part.get_filename(), part.get_content_type(), part.get_payload(decode=True))
        return found

    def _add(self, dataset: dict[str, Any], body: bytes, replaced: dict[str, Any] | None) -> Any:
        s = self.state
        if self._locks(dataset, count=False):
            s.collisions += 1
            raise Answer(500, "OptimisticLockException")
        parts = self._parts(body)
        described = json.loads(parts["jsonData"][2])
        for one in described if isinstance(described, list) else [described]:
            if "storageIdentifier" in one:
                if "file" in parts or one["storageIdentifier"] not in s.store:
                    raise Answer(400, "no such file in the store")
                name, kind = one["fileName"], one["mimeType"]
                content = s.store[one["storageIdentifier"]]
            else:
                name, kind, content = parts["file"]  # type: ignore[assignment]
            if s.quota is not None and sum(len(f["content"]) for f in s.files.values()) > s.quota:
                raise Answer(400, "This file size exceeds the storage quota of the collection")
            folder = one.get("directoryLabel", "")
            assert re.fullmatch(r"[^:<>;#/\"*|?\\]+", name), name
            assert re.fullmatch(r"[\w\\/. -]*", folder), folder
            if replaced is not None:
                dataset["files"].remove(replaced["id"])
            taken = {(s.files[n]["folder"], s.files[n]["name"]) for n in dataset["files"]}
            stem, dot, ending = name.rpartition(".")
            count = 0
            while (folder, name) in taken:
                count += 1
                name = f"{stem}-{count}{dot}{ending}" if dot else f"{ending}-{count}"
            number = s.number()
            ingest = bool(one.get("tabIngest", True)) and name.endswith(".csv")
            s.files[number] = {
                "id": number,
                "name": name,
                "folder": folder,
                "content": content,
                "type": kind,
                "categories": one.get("categories", []),
                "ingest": ingest,
            }
            dataset["files"].append(number)
            dataset["state"] = "DRAFT"
            if ingest:
                dataset["ingesting"] = s.ingest_polls
        return {"files": []}

    def _file(self, number: int, replace: bool, body: bytes) -> Any:
        owner = next((d for d in self.state.datasets.values() if number in d["files"]), None)
        if owner is None:
            raise Answer(404, f"File {number} not found.")
        if replace:
            return self._add(owner, body, self.state.files[number])
        owner["files"].remove(number)
        owner["state"] = "DRAFT"
        return {}

    # a store beside the server

    def _offer(self, size: int) -> Any:
        s = self.state
        if not s.direct:
            raise Answer(404, "Direct upload not supported for files in this dataset")
        key = f"s3://bucket:{s.number()}"
        where = f"http://{self.headers['Host']}/store/{key.split(':')[-1]}"
        if s.direct == "single":
            return {"url": f"{where}?signature=secret", "storageIdentifier": key, "partSize": 1 << 30}
        step = max(1, size // 2)
        urls = {str(n + 1): f"{where}?part={n}" for n in range(-(-size // step))}
        done = f"/api/datasets/mpupload?storageidentifier={key}"
        return {"urls": urls, "partSize": step, "storageIdentifier": key, "complete": done, "abort": done}

    def _store(self, path: str, body: bytes) -> Any:
        if "X-Dataverse-key" in self.headers:
            self.state.leaked.append(path)
        if self.command == "GET":
            return 200, self.state.files[int(path.rpartition("/")[2])]["content"], "application/octet-stream"
        key = f"s3://bucket:{path.rpartition('/')[2]}"
        if "part=" in self.path and not self.path.endswith("part=0"):
            self.state.store[key] += body
        else:
            self.state.store[key] = body
        return 200, b"", "text/plain", {"ETag": f'"{hashlib.md5(body).hexdigest()}"'}

    def _download(self, number: int, query: dict[str, str]) -> Any:
        file = self.state.files[number]
        if self.state.redirect_downloads:
            where = f"http://{self.headers['Host']}/store/{number}"
            return 303, b"", "text/plain", {"Location": where}
        content = file["content"]
        if "unf" in file and query.get("format") != "original":
            content = content.replace(b",", b"\t")
        return 200, content, file["type"]


class StandIn:
    """The server, running until closed."""

    def __init__(self) -> None:
        self.state = State()
        handler = type("H", (Handler,), {"state": self.state, "mutex": threading.Lock()})
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._http.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._http.server_address[1]}"
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._http.shutdown()
        self._http.server_close()

    def holds(self, persistent_id: str) -> dict[str, bytes]:
        """Path as sent, and content, of the files of a data set; a path that is there twice is an error."""
        found: dict[str, bytes] = {}
        for number in self.state.datasets[persistent_id]["files"]:
            file = self.state.files[number]
            path = "/".join(filter(None, [file["folder"], file.get("original", file["name"])]))
            assert path not in found, f"{path} is there twice"
            found[path] = file["content"]
        return found
