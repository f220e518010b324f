"""Bringing a data set on a Dataverse server to what a deposit says: only what differs is sent.

The server is always asked what it has; what this machine remembers of an upload is only which data set it
made. So an upload that was interrupted anywhere goes on by the same command, and nothing is there twice.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from a4nn_core.commons.layout import read_json, write_json
from a4nn_core.errors import A4NNError, BadInput
from a4nn_core.jsonable import members, text
from a4nn_core.publish.dataverse.client import Dataverse, Refused, Uncertain
from a4nn_core.publish.dataverse.remote import (
    RemoteDataset,
    RemoteFile,
    find_by_deposit,
    known_fields,
    without_unknown,
)
from a4nn_core.publish.dataverse.transmit import Progress, Sender
from a4nn_core.publish.deposit.dataverse_json import check_dataverse_json
from a4nn_core.publish.deposit.files import MANIFEST, verify
from a4nn_core.publish.deposit.record import RECORD

_ATTEMPTS = 8
Release = Literal["major", "minor"]


@dataclass
class Plan:
    """What has to be done to the files of a data set.

    Attributes:
        add: paths that the server lacks.
        replace: path to the id of the server's file, which differs.
        delete: ids by path: ours, and not in the deposit any more, or on the server twice.
        keep: paths that the server has already.
        foreign: paths of other people's files; they are left as they are.
    """

    add: list[str] = field(default_factory=list)
    replace: dict[str, int] = field(default_factory=dict)
    delete: list[tuple[str, int]] = field(default_factory=list)
    keep: list[str] = field(default_factory=list)
    foreign: list[str] = field(default_factory=list)


@dataclass
class Uploaded:
    """What an upload did, or would do.

    Attributes:
        persistent_id: of the data set; None if a dry run would create it.
        created: whether this upload created the data set.
        metadata_changed: whether the metadata of an existing data set changed.
        plan: what was done to its files.
        not_ingested: CSV tables that the server keeps as files without ingesting them.
        published: whether it is public now.
        dry: whether this was a dry run, so that nothing was sent.
    """

    persistent_id: str | None
    created: bool
    metadata_changed: bool
    plan: Plan
    not_ingested: list[str] = field(default_factory=list)
    published: bool = False
    dry: bool = False


def upload(
    folder: Path,
    api: Dataverse,
    alias: str,
    *,
    persistent_id: str | None = None,
    dry_run: bool = False,
    publish: Release | None = None,
    progress: Progress | None = None,
) -> Uploaded:
    """Create or update a draft from a deposit; publish it only if asked to.

    Args:
        folder: folder of the deposit, unaltered.
        api: the server.
        alias: alias of the collection in which a new data set is created.
        persistent_id: of an existing data set, which is updated to this deposit.
        dry_run: ask the server, but change nothing.
        publish: as which kind of version; None leaves a draft.
        progress: called with the path, the bytes sent and the total bytes of each file.

    Raises:
        BadInput: the deposit was altered or is not one, or the server refuses something.
        A4NNError: the server does not answer, or what it holds is not what was sent.
        Both say what is on the server and how to go on.
    """
    manifest = verify(folder)
    if RECORD not in manifest or "dataverse.json" not in manifest:
        raise BadInput(f"{folder} is not an A4NN deposit: it has no {RECORD} or no dataverse.json")
    document = json.loads((folder / "dataverse.json").read_text(encoding="utf-8"))
    problems = check_dataverse_json(document)
    if problems:
        raise BadInput(f"{folder / 'dataverse.json'}: {'; '.join(problems)}")
    job = _Job(folder, api, alias, document, manifest, progress or (lambda *_: None))
    return job.run(persistent_id, dry_run, publish)


class _Job:
    def __init__(
        self,
        folder: Path,
        api: Dataverse,
        alias: str,
        document: dict[str, Any],
        manifest: Mapping[str, str],
        progress: Progress,
    ) -> None:
        self.folder, self.api, self.alias, self.progress = folder, api, alias, progress
        self.document = document
        record = read_json(folder / RECORD)
        self.deposit_id = str(record["id"])
        tables = [members(table) for table in members(record["tables"]).values()]
        self.unfs = {csv: str(t["unf"]) for t in tables if (csv := text(t["csv"]))}
        self.known = {(path, "sha256"): digest for path, digest in manifest.items()}
        self.paths = [*manifest, MANIFEST]
        self.state_file = folder.absolute().with_name(f"{folder.absolute().name}.upload.json")
        self.state = self._read_state()

    def run(self, persistent_id: str | None, dry_run: bool, publish: Release | None) -> Uploaded:
        self.document = without_unknown(self.document, known_fields(self.api))
        dataset = self._existing(persistent_id)
        if dry_run:
            plan = self.plan(dataset.files()) if dataset else Plan(add=self._ordered(self.paths))
            return Uploaded(dataset.persistent_id if dataset else None, False, False, plan, dry=True)
        created = dataset is None
        if dataset is None:
            dataset = self._create()
        try:
            changed = False if created else dataset.set_metadata(self.document)
            plan = self._files(dataset)
            left = self._check(dataset)
            done = Uploaded(dataset.persistent_id, created, changed, plan, left)
        except A4NNError as error:
            raise type(error)(*self._with_progress(error, dataset)) from None
        if publish:
            try:
                dataset.publish(publish)
            except A4NNError as error:
                raise A4NNError(
                    f"{error}; the draft {dataset.persistent_id} is complete, but not published: publish it "
                    "on the server's page, or run the same command again"
                ) from None
            done.published = True
        return done

    def _with_progress(self, error: A4NNError, dataset: RemoteDataset) -> tuple[Any, ...]:
        """The error with what was done and how to go on."""
        try:
            there = len(self.plan(dataset.files()).keep)
            state = f"{there} of {len(self.paths)} files are in the draft {dataset.persistent_id}"
        except A4NNError:
            state = f"the draft is {dataset.persistent_id}"
        message = f"{error}; {state}, nothing is published; to go on, run the same command again"
        return (message, error.status) if isinstance(error, Refused) else (message,)

    # the data set

    def _read_state(self) -> dict[str, Any]:
        if not self.state_file.exists():
            return {}
        state = read_json(self.state_file)
        matches = state.get("server") == self.api.server and state.get("deposit") == self.deposit_id
        return state if matches else {}

    def _save_state(self, **changes: Any) -> None:
        base = {"server": self.api.server, "deposit": self.deposit_id, "stored": {}}
        self.state = {**base, **self.state, **changes}
        write_json(self.state_file, self.state)

    def _existing(self, persistent_id: str | None) -> RemoteDataset | None:
        name = persistent_id or self.state.get("persistent_id")
        if name is None and self.state.get("creating"):
            name = find_by_deposit(self.api, self.state["creating"], self.deposit_id)
        if name is None:
            return None
        dataset = RemoteDataset(self.api, str(name))
        try:
            dataset.version()
        except Refused as error:
            if error.status != 404:
                raise
            where = "--doi" if persistent_id else str(self.state_file)
            raise BadInput(
                f"{self.api.server} has no data set {name}, which {where} names"
                + ("" if persistent_id else "; delete that file to start over")
            ) from None
        self._save_state(persistent_id=str(name), creating=None)
        return dataset

    def _create(self) -> RemoteDataset:
        """Create the draft. The intention is saved first."""
        self._save_state(creating=self.alias, persistent_id=None)
        last_error: A4NNError | None = None
        for attempt in range(_ATTEMPTS):
            if attempt:
                self.api.wait(attempt - 1)
                found = find_by_deposit(self.api, self.alias, self.deposit_id)
                if found is not None:
                    break
            try:
                data = self.api.post(f"/api/dataverses/{self.alias}/datasets", json=self.document)
                found = str(data["persistentId"])
                break
            except Uncertain as error:
                last_error = error
            except Refused as error:
                self._save_state(creating=None)
                if error.status == 404:
                    raise BadInput(f"{self.api.server} has no collection {self.alias!r}: {error}") from None
                raise
        else:
            raise A4NNError(f"{last_error}; no data set was created; to go on, run the same command again")
        self._save_state(persistent_id=found, creating=None)
        return RemoteDataset(self.api, found)

    # the files

    def digest(self, path: str, algorithm: str) -> str:
        """Checksum of a local file, worked out once: archives are large, and the deposit was verified."""
        if (path, algorithm) not in self.known:
            with (self.folder / path).open("rb") as file:
                self.known[path, algorithm] = hashlib.file_digest(file, algorithm).hexdigest()
        return self.known[path, algorithm]

    def _ordered(self, paths: Iterable[str]) -> list[str]:
        """Plain files first, the tables to be ingested last: while one is ingested, nothing can be added."""
        return sorted(paths, key=lambda path: (path in self.unfs, path))

    def plan(self, there: list[RemoteFile]) -> Plan:
        """Compare what the server has with the deposit."""
        plan = Plan()
        by_path: dict[str, list[RemoteFile]] = {}
        for remote in there:
            by_path.setdefault(remote.path, []).append(remote)
        for path in self._ordered(self.paths):
            copies = by_path.pop(path, [])
            same = [r for r in copies if self.digest(path, r.checksum[0]) == r.checksum[1].lower()]
            if same:
                plan.keep.append(path)
                kept = same[0]
            elif copies:
                plan.replace[path] = copies[0].id
                kept = copies[0]
            else:
                plan.add.append(path)
                continue
            plan.delete += [(path, r.id) for r in copies if r is not kept]
        for path, others in by_path.items():
            for remote in others:
                if remote.ours:
                    plan.delete.append((path, remote.id))
                else:
                    plan.foreign.append(path)
        return plan

    def _files(self, dataset: RemoteDataset) -> Plan:
        """Send, replace and delete until nothing differs; returns what there was to do."""
        dataset.wait_unlocked()
        first = self.plan(dataset.files())
        stored: dict[str, str] = dict(self.state.get("stored") or {})
        sender = Sender(dataset, self.folder, self.progress, stored)
        for path in self._ordered([*first.add, *first.replace]):
            self._send(dataset, sender, path, first.replace.get(path))
        rest = self.plan(dataset.files())
        for _, number in rest.delete:
            dataset.wait_unlocked()
            self.api.delete(f"/api/files/{number}")
        first.delete = rest.delete
        return first

    def _send(self, dataset: RemoteDataset, sender: Sender, path: str, replaces: int | None) -> None:
        """Send one file; after an answer that was lost, only if the server does not have it."""
        last_error: A4NNError | None = None
        digest = self.digest(path, "sha256")
        for attempt in range(_ATTEMPTS):
            if attempt:
                self.api.wait(attempt - 1)
            dataset.wait_unlocked()
            if attempt:
                now = self.plan(dataset.files())
                if path in now.keep:
                    return
                replaces = now.replace.get(path)
            try:
                sender.send(path, digest, ingest=path in self.unfs, replaces=replaces)
                dataset.wait_unlocked()
                return
            except Uncertain as error:
                last_error = error
            except Refused as error:
                # an earlier attempt may have arrived after all, and a second copy is refused
                if attempt and path in self.plan(dataset.files()).keep:
                    return
                sender.stored.pop(f"{path} {digest}", None)
                raise BadInput(f"{path}: {error}") from None
            finally:
                if sender.stored != self.state.get("stored"):
                    self._save_state(stored=dict(sender.stored))
        raise A4NNError(f"{path} could not be sent in {_ATTEMPTS} attempts: {last_error}")

    def _check(self, dataset: RemoteDataset) -> list[str]:
        """Compare everything on the server with the deposit; returns the tables that were not ingested.

        Raises:
            A4NNError: a file is missing, differs, is there twice, or has another UNF.
        """
        dataset.wait_unlocked()
        there = dataset.files()
        plan = self.plan(there)
        problems = [f"{path} is missing on the server" for path in plan.add]
        problems += [f"{path} on the server has another checksum" for path in plan.replace]
        counts = Counter(r.path for r in there if r.path in self.paths)
        problems += [f"{path} is on the server {n} times" for path, n in counts.items() if n > 1]
        for remote in there:
            expected = self.unfs.get(remote.path)
            if expected and remote.tabular and remote.unf not in (None, expected):
                problems.append(f"{remote.path} has the UNF {remote.unf} on the server, not {expected}")
        if problems:
            raise A4NNError("; ".join(problems))
        tabular = {r.path for r in there if r.tabular}
        return [path for path in self.unfs if path not in tabular]
