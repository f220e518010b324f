"""What was measured of architectures before training: once each, logged, and the same ever after."""

from __future__ import annotations

from a4nn_core.commons.events import EventLog, Read, payload
from a4nn_core.metrics import Metric, Reading
from a4nn_core.spaces.architecture import Architecture
from a4nn_core.vocabulary import EventKind


class Readings:
    """Values of metrics before training.

    A metric that is measured gives another value each time. Strategies, bounds and records must all see one,
    and a resumed run the one that it saw before: it is in the event log before anyone sees it.

    Args:
        events: event log of the run, whose readings are known from the start.
    """

    def __init__(self, events: EventLog) -> None:
        self._events = events
        self._known: dict[tuple[str, str], Reading] = {}
        for event in events:
            if event.kind == EventKind.read:
                read = payload(event, Read)
                self._known[read.metric, read.architecture_hash] = Reading(read.value, read.spread)

    def value(self, metric: Metric, architecture: Architecture) -> float | None:
        """The value of a metric for a network that is not trained yet.

        Raises:
            BadInput: as ``Metric.value``.
        """
        if metric.repeatable:
            return metric.value(architecture)
        key = metric.name, architecture.hash
        if key not in self._known:
            reading = metric.read(architecture)
            self._events.append(Read(metric.name, architecture.hash, reading.value, reading.spread))
            self._known[key] = reading
        return self._known[key].value
