"""The event log of a run: what was asked, submitted, started, stopped and told, in order.

It is the only state of a search; a resumed run replays it. Only the search loop writes it. The data of an
event is a payload; each kind of event has its class of payload.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import MISSING, dataclass, fields, replace
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import ClassVar, TypeVar, get_type_hints

from pydantic import TypeAdapter, ValidationError

from a4nn_core.commons.columns import BadCell, Record, cell, from_cells, from_line
from a4nn_core.commons.journal import Journal, Tail, read_journal
from a4nn_core.commons.layout import Damaged
from a4nn_core.commons.records import ConsideredRecord, Event, RejectedRecord
from a4nn_core.jsonable import Json, members, to_jsonable
from a4nn_core.vocabulary import EventKind, NetworkStatus


@dataclass(frozen=True, slots=True)
class Payload:
    """The data of an event of one kind, beside its network and generation."""

    kinds: ClassVar[tuple[EventKind, ...]]

    @property
    def kind(self) -> EventKind:
        """Kind of the event."""
        return self.kinds[0]

    def data(self) -> dict[str, object]:
        """The event's data as JSON members."""
        return {field.name: getattr(self, field.name) for field in fields(self)}


@dataclass(frozen=True, slots=True)
class Asked(Payload):
    """The strategy asked for a network.

    Attributes:
        genome: the genome in the form of the search space.
        parents: numbers of the networks it was made from.
        operator: operator that made it, such as ``sampling``.
        position: position within its generation, from 0.
        batch: number of the ask it belongs to, from 0.
        count: number of networks that this ask requested.
        predicted, low, high: what the strategy predicted that the network would reach, an accuracy in percent
            or a ratio in decibels, and the interval; None if it predicted nothing.
        inherit_from: number of the network whose weights it is to start from; None for fresh weights.
        learning_rate: learning rate of its first epoch; None for that of the experiment.
    """

    kinds = (EventKind.asked,)

    genome: Json
    parents: list[int]
    operator: str
    position: int
    batch: int
    count: int
    predicted: float | None = None
    low: float | None = None
    high: float | None = None
    inherit_from: int | None = None
    learning_rate: float | None = None

    def data(self) -> dict[str, object]:
        left_out = {name for name in ("inherit_from", "learning_rate") if getattr(self, name) is None}
        left_out |= set() if self.predicted is not None else {"predicted", "low", "high"}
        return {name: value for name, value in Payload.data(self).items() if name not in left_out}


@dataclass(frozen=True, slots=True)
class Considered(Payload):
    """The strategy looked at genomes for one ask and did not ask for them.

    Attributes:
        batch: number of the ask, from 0.
        networks: the columns of ``considered`` by name, one mapping for each, without what is null.
    """

    kinds = (EventKind.considered,)

    batch: int
    networks: Sequence[Mapping[str, Json]]

    @classmethod
    def of(cls, batch: int, records: Iterable[ConsideredRecord]) -> Considered:
        """The payload that holds records; their runs, batches and numbers follow from its place."""
        return cls(batch, _rows(records))

    def records(self) -> list[ConsideredRecord]:
        """The records that it holds.

        Raises:
            TypeError, ValueError, BadCell: they are none.
        """
        return [
            from_line(ConsideredRecord, {**members(dict(row)), "batch": self.batch, "number": number})
            for number, row in enumerate(self.networks)
        ]


@dataclass(frozen=True, slots=True)
class Rejected(Payload):
    """Genomes were proposed for one ask that cannot be asked for.

    Attributes:
        batch: number of the ask, from 0; of an ask without any network, the number of the next one that has.
        count: number of networks that this ask requested.
        asked: number of networks that it gave.
        proposals: the columns of ``rejected`` by name, one mapping for each, without what is null.
    """

    kinds = (EventKind.rejected,)

    batch: int
    count: int
    asked: int
    proposals: Sequence[Mapping[str, Json]]

    @classmethod
    def of(cls, batch: int, count: int, asked: int, records: Iterable[RejectedRecord]) -> Rejected:
        """The payload that holds records; their runs and numbers follow from its place."""
        return cls(batch, count, asked, _rows(records))

    def records(self) -> list[RejectedRecord]:
        """The records that it holds, without numbers.

        Raises:
            TypeError, ValueError, BadCell: they are none.
        """
        return [from_line(RejectedRecord, dict(row)) for row in self.proposals]


_OF_ITS_PLACE = ("run", "batch", "number")


def _rows(records: Iterable[Record]) -> list[dict[str, Json]]:
    """The columns of records by name, without what is null or follows from their place in the log."""
    rows = (
        {name: cell(value) for name, value in record.row().items() if name not in _OF_ITS_PLACE}
        for record in records
    )
    return [{k: v for k, v in row.items() if v is not None} for row in rows]


@dataclass(frozen=True, slots=True)
class Read(Payload):
    """A metric of an architecture was measured before training; all that asks for it is given this value.

    Attributes:
        metric: name of the metric.
        architecture_hash: hash of the architecture.
        value: the value, in the metric's unit.
        spread: half the distance between the quartiles of its repetitions; None if there were none.
    """

    kinds = (EventKind.read,)

    metric: str
    architecture_hash: str
    value: float
    spread: float | None = None


@dataclass(frozen=True, slots=True)
class Submitted(Payload):
    """A segment of a network was given to the executor.

    Attributes:
        segment: number of the segment among those of the network, from 0.
        from_epoch: number of epochs the network had been trained before.
        front_version: version of the front snapshot that it is judged against.
    """

    kinds = (EventKind.submitted,)

    segment: int
    from_epoch: int
    front_version: int


@dataclass(frozen=True, slots=True)
class SegmentEnded(Payload):
    """The result of a segment arrived.

    Attributes:
        segment: number of the segment among those of the network, from 0.
        epochs: number of epochs the network has been trained now.
        error: error message, None if there was no error.
        manner: settings in which the compute plan differed from the usual one; None if in none.
        status: how the segment ended; also the kind of the event.
    """

    kinds = (EventKind.completed, EventKind.stopped, EventKind.paused, EventKind.failed)

    segment: int
    epochs: int
    error: str | None = None
    manner: Mapping[str, Json] | None = None
    status: NetworkStatus = NetworkStatus.completed

    @property
    def kind(self) -> EventKind:
        return EventKind(self.status.value)

    def data(self) -> dict[str, object]:
        held: dict[str, object] = {"segment": self.segment, "epochs": self.epochs, "error": self.error}
        return held | ({"manner": self.manner} if self.manner else {})


@dataclass(frozen=True, slots=True)
class Judged(Payload):
    """A rule that compares networks reached a verdict on one that waits.

    Attributes:
        epoch: number of epochs the network has been trained.
        action: ``continue``, ``pause`` or ``stop``.
        reason: reason of the action; may be empty.
        predicted: prediction of the final value, None without one.
        interval: low and high end of the prediction's interval, None without one.
        evidence: the numbers the verdict rests on.
        fits: the predictions made for it: columns of the table ``predictions``.
    """

    kinds = (EventKind.judged,)

    epoch: int
    action: str
    reason: str
    predicted: float | None
    interval: list[float] | None
    evidence: Mapping[str, Json]
    fits: list[Mapping[str, Json]]

    def verdict(self) -> dict[str, object]:
        """The members of the verdict."""
        return {name: value for name, value in self.data().items() if name != "epoch"}


@dataclass(frozen=True, slots=True)
class Told(Payload):
    """The outcome of a network was reported to the strategy; again, if it was trained on since.

    Attributes:
        fitness: metric name to value; None if the network failed or was not trained.
        source: ``measured`` or ``predicted``; None without fitness.
        violation: how far the network is outside the bounds; 0.0 within them.
        epochs: epochs after which it was measured, of a network that was ended early; None if it was trained
            for its whole budget.
        training: best accuracy on the training images by then, in percent; None likewise.
    """

    kinds = (EventKind.told,)

    fitness: Mapping[str, float | None] | None
    source: str | None = None
    violation: float = 0.0
    epochs: int | None = None
    training: float | None = None

    def data(self) -> dict[str, object]:
        held: dict[str, object] = {"fitness": self.fitness, "source": self.source}
        further = {"violation": self.violation, "epochs": self.epochs, "training": self.training}
        return held | {name: value for name, value in further.items() if value}


@dataclass(frozen=True, slots=True)
class Enough(Payload):
    """The search asks for no further networks, by ``[search] stop``.

    Attributes:
        reason: why, for people.
    """

    kinds = (EventKind.enough,)

    reason: str


@dataclass(frozen=True, slots=True)
class CheckpointsRemoved(Payload):
    """A network's checkpoints were removed on purpose; its row still names them."""

    kinds = (EventKind.checkpoints_removed,)


P = TypeVar("P", bound=Payload)
R = TypeVar("R", bound=Record)


@cache
def _types(wanted: type[Payload]) -> dict[str, TypeAdapter[object]]:
    """What the members of a payload may be."""
    hints = get_type_hints(wanted, localns={"Json": object})
    return {field.name: TypeAdapter(hints[field.name]) for field in fields(wanted)}


def payload(event: Event, wanted: type[P]) -> P:
    """The payload of an event.

    Args:
        event: an event of one of the kinds of the payload.
        wanted: class of the payload.

    Raises:
        Damaged: the event lacks what the payload must have, or has it of another type.
    """
    data = event.data.members if event.data else {}
    held: dict[str, object] = {}
    types = _types(wanted)  # type: ignore[arg-type]  # mypy takes no class of a type variable for hashable
    for field in fields(wanted):
        if field.name in data:
            try:
                held[field.name] = types[field.name].validate_python(data[field.name], strict=True)
            except ValidationError as error:
                message = error.errors()[0]["msg"]
                raise Damaged(
                    f"event {event.number} ({event.kind}) is damaged: {field.name!r}: {message}"
                ) from None
        elif field.default is MISSING:
            raise Damaged(f"event {event.number} ({event.kind}) has no {field.name!r}")
    if issubclass(wanted, SegmentEnded):
        held["status"] = NetworkStatus(event.kind)
    return wanted(**held)


def considered_of(events: Iterable[Event]) -> list[ConsideredRecord]:
    """The rows of ``considered`` that a log holds, in order.

    Raises:
        Damaged: an event lacks what it must have.
    """
    return _held(events, Considered, lambda held, _: held.records())


def rejected_of(events: Iterable[Event]) -> list[RejectedRecord]:
    """The rows of ``rejected`` that a log holds, in order.

    Raises:
        Damaged: an event lacks what it must have.
    """
    return _held(
        events,
        Rejected,
        lambda held, before: [replace(one, number=n) for n, one in enumerate(held.records(), before)],
    )


def _held(events: Iterable[Event], kind: type[P], records: Callable[[P, int], list[R]]) -> list[R]:
    """The records in the payloads of one kind; ``records`` is given a payload and how many came before."""
    found: list[R] = []
    for event in events:
        if event.kind not in kind.kinds:
            continue
        try:
            found += records(payload(event, kind), len(found))
        except (TypeError, ValueError, BadCell) as error:
            raise Damaged(f"event {event.number} ({event.kind}) is damaged: {error}") from None
    return found


FROM_LOG: dict[str, Callable[[Sequence[Event]], Sequence[Record]]] = {
    "considered": considered_of,
    "rejected": rejected_of,
    "events": list,
}
"""The tables that are made from the event log. When a run ends they are written in this order: the file of
``events`` comes last and makes the others valid; one that would be empty is not written."""


def now() -> str:
    """The present time, UTC, ISO 8601 with microseconds."""
    return datetime.now(UTC).isoformat(timespec="microseconds")


def _events(path: Path, lines: list[dict[str, Json]], before: int = 0) -> list[Event]:
    for expected, line in enumerate(lines, start=before + 1):
        if line.get("number") != expected:
            raise Damaged(f"{path} line {expected} is damaged: event number {line.get('number')!r}")
    found = []
    for expected, line in enumerate(lines, start=before + 1):
        try:
            found.append(from_line(Event, line))
        except (TypeError, BadCell) as error:
            raise Damaged(f"{path} line {expected} is damaged: {error}") from None
    return found


def read_events(path: Path) -> list[Event]:
    """The events of a log in order; none if it does not exist.

    Raises:
        Damaged: a line is not JSON, or an event is missing or there twice.
    """
    return _events(path, read_journal(path))


class EventTail:
    """The events of a log as they come: what was read is not read again.

    Args:
        path: path of the log, which need not exist yet.
    """

    def __init__(self, path: Path) -> None:
        self._tail = Tail(path)

    def read(self) -> list[Event]:
        """The events since the last call, in order.

        Raises:
            Damaged: see read_events.
        """
        before = self._tail.count
        return _events(self._tail.path, self._tail.read(), before)


def event_line(event: Event) -> dict[str, Json]:
    """The line of the log that holds an event."""
    return {
        "number": event.number,
        "time": None if event.time is None else event.time.isoformat(timespec="microseconds"),
        "kind": str(event.kind),
        "network": event.network,
        "generation": event.generation,
        "data": event.data.members if event.data else {},
    }


class EventLog:
    """Numbered events, each on the disk before ``append`` returns.

    Raises:
        BadInput: the file cannot be written.
        Damaged: see read_events.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._journal = Journal(path)
        self._events = _events(path, self._journal.lines_found)

    def append(
        self, what: Payload | str, network: int | None = None, generation: int | None = None, **data: object
    ) -> Event:
        """Record one event.

        Args:
            what: the payload of the event, or its kind if that has no payload.
            network, generation: network and generation it belongs to; None if to none.
            data: data of an event whose kind has no payload; JSON-serialisable.

        Returns:
            the event as stored; events are numbered from 1, without gaps.
        """
        kind, held = (what.kind, what.data()) if isinstance(what, Payload) else (what, {})
        line = {
            "number": len(self._events) + 1,
            "time": now(),
            "kind": str(kind),
            "network": network,
            "generation": generation,
            "data": to_jsonable({**held, **data}),
        }
        self._journal.append(line)
        event = from_cells(Event, line)
        self._events.append(event)
        return event

    def __iter__(self) -> Iterator[Event]:
        return iter(list(self._events))

    def __len__(self) -> int:
        return len(self._events)

    def close(self) -> None:
        """Close the file."""
        self._journal.close()
