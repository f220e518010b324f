"""What a run has used of its budget, over all its sessions, read from its records and files."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime

from a4nn_core.budget import Budget, Spent
from a4nn_core.commons import Commons, RunFolder, RunWriter, read_epochs
from a4nn_core.commons.disk import size_of
from a4nn_core.commons.events import Asked, payload
from a4nn_core.commons.lock import holder
from a4nn_core.commons.records import Epoch, Event, Network, Run
from a4nn_core.commons.totals import JOULES_PER_KWH
from a4nn_core.errors import A4NNError, BadInput
from a4nn_core.experiment import Experiment
from a4nn_core.jsonable import Json, whole
from a4nn_core.spaces.architecture import Shape
from a4nn_core.vocabulary import EventKind

SECONDS_PER_HOUR = 3600.0
BYTES_PER_GIGABYTE = 1e9
_SCAN_SECONDS = 5.0
_SCAN_SHARE = 50.0
"""the folder of a run is measured again after this many times what measuring it took, and no sooner than
after ``_SCAN_SECONDS``"""


class BudgetUsedUp(A4NNError):
    """The run ended because its budget is used up; it goes on when that is raised."""


class Spending:
    """What a run uses while it is searched.

    Args:
        budget: what it may use.
        writer: writer of its records.
        networks: final records of networks that earlier sessions left.
        share: networks that train on a device at the same time.
        on_gpu: whether networks train on GPUs.

    """

    def __init__(
        self, budget: Budget, writer: RunWriter, networks: Iterable[Network], share: int, on_gpu: bool
    ) -> None:
        self.budget = budget
        self._on_gpu = on_gpu
        self._folder = writer.folder
        self._share = share
        self._networks = {n.network: _of_network(n, share, on_gpu) for n in networks}
        self._read: dict[int, int] = {}
        self._hours = _earlier_hours(writer) if budget.hours is not None else 0.0
        self._began = time.monotonic()
        self._gigabytes = 0.0
        self._measure_at = self._began

    def used_up(self, unfinished: Mapping[int, int]) -> str | None:
        """What of the budget is used up by now, for people; None if nothing is.

        Args:
            unfinished: number of each network without final records to its multiply-adds for one image.
        """
        for number, flops in unfinished.items():
            self._look(number, flops)
        networks = Spent.sum(self._networks.values())
        hours = self._hours + (time.monotonic() - self._began) / SECONDS_PER_HOUR
        return self.budget.used_up(Spent.sum((networks, Spent(hours=hours, gigabytes=self._on_disk()))))

    def ended(self, number: int, epochs: Sequence[Epoch], flops: int) -> None:
        """A network has its final records."""
        self._networks[number] = _of_epochs(epochs, flops, self._share, self._on_gpu)

    def trained_on(self, device: str) -> None:
        """A segment was trained on this device of another machine, of which nothing is known before."""
        if device:
            self._on_gpu = _is_gpu(device)

    def _look(self, number: int, flops: int) -> None:
        """Take in the epochs that a network's journal has by now."""
        journal = self._folder.journal(number)
        try:
            size = journal.stat().st_size
        except FileNotFoundError:
            return
        if self._read.get(number) != size:
            self._read[number] = size
            self._networks[number] = _of_epochs(read_epochs(journal), flops, self._share, self._on_gpu)

    def _on_disk(self) -> float:
        if self.budget.gigabytes is not None and time.monotonic() >= self._measure_at:
            began = time.monotonic()
            self._gigabytes = size_of(self._folder.path) / BYTES_PER_GIGABYTE
            now = time.monotonic()
            self._measure_at = now + max(_SCAN_SECONDS, _SCAN_SHARE * (now - began))
        return self._gigabytes


def spent_by(commons: Commons, run: str) -> Spent:
    """What a run has used by now, whoever searches it, and whether it has ended or not.

    Raises:
        BadInput: there is no such run, or its records cannot be read.
    """
    header, folder = commons.run(run), RunFolder(commons.path, run)
    share = whole(header.settings("training").get("slots_per_device")) or 1
    on_gpu = _is_gpu(header.device)
    networks = {n.network: n for n in commons.networks(run)}
    events, epochs = commons.events(run), commons.epochs(run)
    unfinished: dict[int, list[Epoch]] = defaultdict(list)
    for epoch in epochs:
        if epoch.network not in networks:
            unfinished[epoch.network].append(epoch)
    flops = _flops_asked(header, events, unfinished)
    parts = [_of_network(network, share, on_gpu) for network in networks.values()]
    parts += [_of_epochs(some, flops.get(n, 0), share, on_gpu) for n, some in unfinished.items()]
    until = datetime.now(UTC) if holder(folder.lock) is not None else None
    hours = session_seconds(events, _times(epochs), until) / SECONDS_PER_HOUR
    return Spent.sum((*parts, Spent(hours=hours, gigabytes=size_of(folder.path) / BYTES_PER_GIGABYTE)))


def session_seconds(
    events: Iterable[Event], times: Sequence[datetime] = (), until: datetime | None = None
) -> float:
    """Wall-clock seconds of a run's sessions.

    A session that was killed lasted at least to its last event and its last epoch.

    Args:
        events: its event log.
        times: when its epochs were recorded.
        until: the present time if its last session goes on; None if it has ended.
    """
    sessions: list[list[datetime]] = []
    for event in events:
        if event.time is None:
            continue
        if event.kind in (EventKind.started, EventKind.resumed):
            sessions.append([event.time])
        elif sessions:
            sessions[-1].append(event.time)
    if sessions and until is not None:
        sessions[-1].append(until)
    starts = [session[0] for session in sessions]
    for start, after, session in zip(starts, [*starts[1:], None], sessions, strict=True):
        session += [t for t in times if start <= t and (after is None or t < after)]
    return sum(
        (max(session) - start).total_seconds() for start, session in zip(starts, sessions, strict=True)
    )


def _earlier_hours(writer: RunWriter) -> float:
    """Hours of the sessions before the present one, which has just begun."""
    if not writer.resumed:
        return 0.0
    epochs = Commons(writer.folder.commons).epochs(writer.folder.run_id)
    return session_seconds(writer.events, _times(epochs)) / SECONDS_PER_HOUR


def _times(epochs: Iterable[Epoch]) -> list[datetime]:
    return [epoch.time for epoch in epochs if epoch.time is not None]


def _of_network(network: Network, share: int, on_gpu: bool) -> Spent:
    """What a finished network has used; nothing if it was not trained itself."""
    epochs = network.epochs_trained or 0
    if network.equal_to is not None or not epochs:
        return Spent()
    seconds, joules = network.seconds or 0.0, network.energy_joules or 0.0
    return _spent(epochs, seconds, joules, network.flops or 0, share, on_gpu or _is_gpu(network.device))


def _of_epochs(epochs: Sequence[Epoch], flops: int, share: int, on_gpu: bool) -> Spent:
    seconds = sum(epoch.seconds or 0.0 for epoch in epochs)
    joules = sum(epoch.energy_joules or 0.0 for epoch in epochs)
    return _spent(len(epochs), seconds, joules, flops, share, on_gpu)


def _spent(epochs: int, seconds: float, joules: float, flops: int, share: int, on_gpu: bool) -> Spent:
    return Spent(
        gpu_hours=seconds / SECONDS_PER_HOUR / share if on_gpu else 0.0,
        kwh=joules / JOULES_PER_KWH,
        epochs=epochs,
        gflop_epochs=flops * epochs / 1e9,
    )


def _is_gpu(device: str | None) -> bool:
    """Whether a recorded device is one that counts: anything but the CPU, or none that is known."""
    return device is not None and device.partition(":")[0] not in ("", "cpu", "auto")


def _shape(stored: Json) -> Shape:
    channels, height, width = stored if isinstance(stored, list) else []
    return whole(channels) or 0, whole(height) or 0, whole(width) or 0


def _flops_asked(header: Run, events: Iterable[Event], numbers: Mapping[int, object]) -> dict[int, int]:
    """Multiply-adds of networks that have no final records yet, from the genomes in the event log; those
    that cannot be decoded here, as their space is another package's, are left out."""
    found: dict[int, int] = {}
    if not numbers or header.experiment is None:
        return found
    try:
        space = Experiment.from_record(header.experiment.members).space
        shape, classes = _shape(header.details["shape"]), len(header.classes)
        for event in events:
            number = event.network
            if event.kind == EventKind.asked and number is not None and number in numbers:
                genome = payload(event, Asked).genome
                found[number] = space.decode(genome, shape, classes).flops
    except (BadInput, KeyError, TypeError, ValueError):
        pass
    return found
