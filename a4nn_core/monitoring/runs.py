"""All runs of a commons as whoever watches sees them, again and again, each record read once.

Nothing here writes, and no process is asked. A run that has ended is its kept totals, for as long as its
``run.json`` is the same file. Of one that goes on, or was killed, the event log and the journals of networks
in training are followed, and each network's final record is read once.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from a4nn_core.commons.archive import Archive
from a4nn_core.commons.columns import from_cells, moment
from a4nn_core.commons.damage import damage_named
from a4nn_core.commons.events import EventTail
from a4nn_core.commons.fragments import read_fragment
from a4nn_core.commons.journal import Tail
from a4nn_core.commons.layout import RunFolder, read_json
from a4nn_core.commons.lock import ReaderLock, holder
from a4nn_core.commons.reader import Commons
from a4nn_core.commons.records import Network, Run
from a4nn_core.commons.rows import python_rows
from a4nn_core.commons.run_snapshot import RunSnapshot
from a4nn_core.commons.runs import run_record
from a4nn_core.commons.schema import TABLES
from a4nn_core.commons.snapshot import run_files
from a4nn_core.commons.totals import UNKNOWN, Totals, kept, totals
from a4nn_core.errors import BadInput
from a4nn_core.jsonable import Json
from a4nn_core.vocabulary import RunStatus
from a4nn_core.workflow.queue import Queue

KILLED = "killed"
"""status of a run that says it is running, while no process writes it"""
STATUSES = (*map(str, RunStatus), KILLED, UNKNOWN)


@dataclass(frozen=True)
class RunState:
    """A run at one moment.

    Attributes:
        run, experiment, strategy, space, host, device: names; ``unknown`` where none was recorded.
        status: one of STATUSES.
        started, ended: when it was first started and last ended; None if it was not recorded, or goes on.
        totals: what its recorded networks amount to.
        epochs_trained: epochs trained, those of networks without final records included.
        training: networks that a process trains now.
        waiting: networks that wait for a slot.
        paused: networks that wait at a checkpoint, as the rule prefers others.
        last_epoch: when an epoch last ended, as far as that is known: of a run that has ended, its end.
    """

    run: str
    experiment: str
    strategy: str
    space: str
    host: str
    device: str
    status: str
    started: datetime | None
    ended: datetime | None
    totals: Totals
    epochs_trained: int
    training: int = 0
    waiting: int = 0
    paused: int = 0
    last_epoch: datetime | None = None

    @property
    def last_seen(self) -> datetime | None:
        """When it last did anything, as far as that is known."""
        return max((at for at in (self.started, self.ended, self.last_epoch) if at), default=None)


class Runs:
    """All runs of a commons, looked at again and again.

    Args:
        commons: folder of the commons.

    Attributes:
        troubles: the runs that could not be read at the last look, and why.

    Raises:
        BadInput: it is not a commons, or has a layout newer than this version knows.
    """

    def __init__(self, commons: Path) -> None:
        self.store = Commons(commons)
        self.troubles: dict[str, BadInput] = {}
        self._followed: dict[str, _Followed] = {}

    def look(self) -> list[RunState]:
        """All runs that can be read as they are now, in the order of their names.

        Raises:
            OSError: the commons cannot be read.
        """
        self.troubles = {}
        states = []
        files = run_files(self.store.path, damaged=self.troubles)
        self._followed = {name: self._followed[name] for name, _ in files if name in self._followed}
        for name, stat in files:
            try:
                if name not in self._followed:
                    self._followed[name] = _Followed(self.store, name)
                with damage_named(self.store.path, name):
                    states.append(self._followed[name].look(stat))
            except BadInput as error:
                self._followed.pop(name, None)  # it is read from its beginning when it is repaired
                self.troubles[name] = error
        return states


class _Followed:
    """One run, looked at again and again."""

    def __init__(self, store: Commons, run: str) -> None:
        self.store = store
        self.folder = RunFolder(store.path, run)
        self._file: tuple[int, ...] = ()
        self._started: Json = None
        self._last: RunState | None = None
        self._trail: _Trail | None = None

    def look(self, stat: os.stat_result) -> RunState:
        if self._last and self._file == _identity(stat) and not self._may_go_on(self._last.status):
            return self._last
        # in this order: who has let go of the lock has recorded how the run ended
        alive = holder(self.folder.lock) is not None
        self._file = _identity(self.folder.run_file.stat())
        stored = read_json(self.folder.run_file)
        if self._started != stored.get("started"):
            self._started, self._trail = stored.get("started"), None  # another run has taken its name
        self._last = self._state(run_record(self.folder.run_id, stored), alive)
        return self._last

    def _may_go_on(self, status: str) -> bool:
        """Whether a run of that status may have changed although its ``run.json`` has not."""
        return status == RunStatus.running or (status == KILLED and holder(self.folder.lock) is not None)

    def _state(self, header: Run, alive: bool) -> RunState:
        status = str(header.status or UNKNOWN)
        if header.status is RunStatus.running and not alive:
            status = KILLED
        if header.status in (RunStatus.completed, None):
            self._trail = None
            found = totals(self.store, self.folder.run_id)
            return _state_of(header, status, found, found.epochs_trained, last_epoch=header.ended)
        trail = self._trail = self._trail or _Trail(self.store, self.folder)
        found = trail.look(header, alive)
        trained = found.epochs_trained + trail.unrecorded_epochs
        last = max((at for at in (trail.last_epoch, header.ended) if at), default=None)
        if not alive:
            return _state_of(header, status, found, trained, last_epoch=last)
        training = trail.training()
        return _state_of(
            header,
            status,
            found,
            trained,
            training=training,
            waiting=len(trail.queue.submitted) - training,
            paused=len(trail.queue.paused),
            last_epoch=trail.last_epoch,
        )


class _Trail:
    """What a run that has not been completed has done, as it goes on: its records, event log and journals.

    Attributes:
        queue: its networks without final records.
        last_epoch: when an epoch last ended; None before the first.
    """

    def __init__(self, store: Commons, folder: RunFolder) -> None:
        self.store = store
        self.folder = folder
        self.queue = Queue()
        self.last_epoch: datetime | None = None
        self._events = EventTail(folder.events)
        self._journals: dict[int, Tail] = {}
        self._networks: dict[int, Network] | None = None
        self._totals: Totals | None = None

    def look(self, header: Run, alive: bool) -> Totals:
        """Follow the run; returns the totals of its final records."""
        # in this order: a network that ends meanwhile is counted as recorded, and not lost
        for event in self._events.read():
            self.queue.add(event)
        lock = ReaderLock(self.folder.commons)  # so that compaction deletes no file meanwhile
        try:
            there = RunSnapshot(self.folder, Archive(self.folder.commons))
            found = None if alive else kept(self.folder)
            if found is None:
                found = self._count(header, there)
        finally:
            lock.release()
        for number in {*there.archived, *there.fragments, *(self._networks or ())}:
            self.queue.leave(number)
        self._read_journals()
        if self.queue.last_epoch:
            self.last_epoch = max(self.last_epoch or self.queue.last_epoch, self.queue.last_epoch)
        return found

    @property
    def unrecorded_epochs(self) -> int:
        """Epochs trained of networks without final records."""
        running = sum(self._journals[number].count for number in self.queue.submitted)
        return running + sum(self.queue.reached.values())

    def training(self) -> int:
        """Number of networks that a process trains now."""
        locks = (self.folder.checkpoints(number) / "lock" for number in self.queue.submitted)
        return sum(holder(lock) is not None for lock in locks)

    def _count(self, header: Run, there: RunSnapshot) -> Totals:
        """The totals of the final records there, of which those that have come since are read."""
        known = self._networks
        if known is None or there.archived - known.keys():
            known = {network.network: network for network in self.store.networks(self.folder.run_id)}
        fresh = set(there.fragments) - known.keys()
        for number in fresh:
            rows = python_rows(read_fragment(self.folder.fragment("networks", number), TABLES["networks"]))
            known[number] = from_cells(Network, rows[0])
        if self._totals is None or self._totals.networks != len(known):
            self._totals = Totals.of(header, list(known.values()))
        self._networks = known
        return self._totals

    def _read_journals(self) -> None:
        self._journals = {
            number: self._journals.get(number) or Tail(self.folder.journal(number))
            for number in self.queue.submitted
        }
        for journal in self._journals.values():
            lines = journal.read()
            ended = moment(lines[-1].get("time")) if lines else None
            if ended is not None:
                self.last_epoch = max(self.last_epoch or ended, ended)


def _identity(stat: os.stat_result) -> tuple[int, ...]:
    return stat.st_ino, stat.st_mtime_ns, stat.st_size


def _state_of(
    header: Run,
    status: str,
    found: Totals,
    epochs_trained: int,
    *,
    training: int = 0,
    waiting: int = 0,
    paused: int = 0,
    last_epoch: datetime | None = None,
) -> RunState:
    return RunState(
        run=header.run,
        experiment=header.name or UNKNOWN,
        strategy=str(header.settings("search").get("name") or UNKNOWN),
        space=str(header.settings("space").get("name") or UNKNOWN),
        host=header.host or UNKNOWN,
        device=header.device or UNKNOWN,
        status=status,
        started=header.started,
        ended=header.ended,
        totals=found,
        epochs_trained=epochs_trained,
        training=training,
        waiting=waiting,
        paused=paused,
        last_epoch=last_epoch,
    )
