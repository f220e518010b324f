"""Ends a search that no longer pays, by ``[search] stop``, and says so in the event log.

Whether it ends follows from the tells in the event log alone, so a resumed search ends at the same place.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from a4nn_core.commons.events import Enough, EventLog, payload
from a4nn_core.search.base import SearchSettings
from a4nn_core.search.stop import Growth
from a4nn_core.vocabulary import EventKind


class Stopping:
    """The search's side of ``[search] stop``. Without that setting it ends nothing.

    Args:
        settings: settings of the strategy.
        events: event log of the run.
        is_to_be_trained: whether a network, by number, counts; see ``Growth``.

    Attributes:
        reason: why the search asks for no further networks, for people; None while it does. What was decided
            stays, even if the networks that were in training extend the front after all.
    """

    def __init__(
        self, settings: SearchSettings, events: EventLog, is_to_be_trained: Callable[[int], bool]
    ) -> None:
        self.reason: str | None = None
        self._stop = settings.stop
        self._steady = settings.schedule == "steady"
        self._events = events
        self._growth = Growth(settings.objectives, self._steady, is_to_be_trained)
        for event in events:
            if event.kind == EventKind.enough:
                self.reason = payload(event, Enough).reason

    def told(self, number: int, fitness: Mapping[str, float] | None, again: bool) -> None:
        """The strategy was told of a network; see ``Growth.told``."""
        if self._stop is not None:
            self._growth.told(number, fitness, again)
            if self._steady:
                self._look()

    def waits(self, untold: int) -> bool:
        """Whether a generational search must wait before it asks again, as so many networks that it asked for
        have not been told. When all have been, it is decided whether the search goes on."""
        if self._stop is None:
            return False
        if untold:
            return True
        self.barrier()
        return False

    def barrier(self) -> None:
        """All networks that were asked for have been told."""
        if self._stop is not None and not self._steady:
            self._growth.barrier()
            self._look()

    def most(self, networks: int) -> int:
        """How many networks to ask for at once: no more than it takes to decide."""
        return networks if self._stop is None else min(networks, self._stop.no_growth)

    def _look(self) -> None:
        if self._stop is None or self.reason is not None or self._growth.since < self._stop.no_growth:
            return
        last = self._growth.grown_by
        by = "" if last is None else f"; network {last} was the last to extend it"
        self.reason = f"its front has not grown for {self._growth.since} networks{by}"
        self._events.append(Enough(self.reason))
