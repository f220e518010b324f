"""Who waits, trains or is paused in a run, from its events as they come."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from a4nn_core.commons.events import SegmentEnded, Submitted, payload
from a4nn_core.commons.records import Event
from a4nn_core.vocabulary import EventKind


@dataclass(frozen=True, slots=True)
class Waiting:
    """A segment that was submitted and has not ended.

    Attributes:
        generation: generation of its network.
        from_epoch: number of epochs the network had been trained before.
    """

    generation: int | None
    from_epoch: int


class Queue:
    """The networks that were submitted, as far as the events say.

    Attributes:
        submitted: those with a segment that trains or waits for a slot, by number.
        paused: the epochs trained of those that wait at a checkpoint, as the rule prefers others.
        reached: the epochs trained of all whose last segment has ended, paused ones too.
        last_epoch: when a segment that trained an epoch last ended; None before.
    """

    def __init__(self) -> None:
        self.submitted: dict[int, Waiting] = {}
        self.paused: dict[int, int] = {}
        self.reached: dict[int, int] = {}
        self.last_epoch: datetime | None = None

    def add(self, event: Event) -> None:
        """Take account of the next event.

        Raises:
            Damaged: it lacks what it must have.
        """
        number = event.network
        if number is None:
            return
        if event.kind == EventKind.submitted:
            self.submitted[number] = Waiting(event.generation, payload(event, Submitted).from_epoch)
            self.paused.pop(number, None)
            self.reached.pop(number, None)
        elif event.kind in SegmentEnded.kinds:
            self._end(number, payload(event, SegmentEnded).epochs, event)

    def leave(self, number: int) -> None:
        """Forget a network, as it has its final records."""
        for held in (self.submitted, self.paused, self.reached):
            held.pop(number, None)

    def _end(self, number: int, epochs: int, event: Event) -> None:
        began = self.submitted.pop(number, None)
        self.paused.pop(number, None)
        self.reached[number] = epochs
        if event.kind == EventKind.paused:
            self.paused[number] = epochs
        if event.time is not None and epochs > (began.from_epoch if began else 0):
            self.last_epoch = event.time
