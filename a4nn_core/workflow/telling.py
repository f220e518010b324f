"""What the strategy has been told, and the front that follows from it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

from a4nn_core.commons.events import EventLog, Told
from a4nn_core.search.base import Candidate, Outcome, SearchSettings, Strategy
from a4nn_core.termination.base import FrontSnapshot


class Telling:
    """Reports outcomes to the strategy, and logs them.

    Args:
        strategy: is told.
        settings: settings of the strategy.
        candidates: all networks that were asked for, by number; grows during the search.
        events: event log of the run.
        told: called with every network that is told, its fitness, and whether it was told before.

    Attributes:
        reported: fitness by network, in the order of the first reports; None for a network that failed or was
            not trained.
    """

    def __init__(
        self,
        strategy: Strategy,
        settings: SearchSettings,
        candidates: Mapping[int, Candidate],
        events: EventLog,
        told: Callable[[int, Mapping[str, float] | None, bool], None],
    ) -> None:
        self.reported: dict[int, Mapping[str, float] | None] = {}
        self._told: dict[int, Told] = {}
        self._strategy = strategy
        self._objectives = settings.objectives
        self._steady = settings.schedule == "steady"
        self._candidates = candidates
        self._events = events
        self._listener = told

    def tell(self, number: int, told: Told, log: bool = True) -> None:
        """Report the outcome of a network; a second time, it is a revision.

        Args:
            number: number of the network.
            told: the outcome.
            log: whether to log it; not if it comes from the log.
        """
        if log:
            self._events.append(told, number, self._candidates[number].generation)
        self._told[number] = told
        # what is not finite, such as the loss of a network that diverged, is null in records
        known = None
        if told.fitness is not None:
            known = {name: math.nan if value is None else value for name, value in told.fitness.items()}
        again = number in self.reported
        report = self._strategy.revise if again else self._strategy.tell
        self.reported[number] = known
        self._listener(number, known, again)
        report(Outcome(number, known, violation=told.violation, epochs=told.epochs, training=told.training))

    def tell_news(self, number: int, told: Told) -> None:
        """Report an outcome unless it was reported already."""
        if self._told.get(number) != told:
            self.tell(number, told)

    def front(self, version: int) -> FrontSnapshot:
        """The front at an earlier moment.

        Args:
            version: on a generational schedule the number of generations it covers; on a steady one the
                number of networks, in the order in which they were reported.
        """
        reported = list(self.reported)[:version] if self._steady else sorted(self.reported)
        known = []
        for number in reported:
            held = self._steady or self._candidates[number].generation < version
            fitness = (held and self.reported[number]) or {}
            point = {name: float(fitness.get(name, math.nan)) for name in self._objectives}
            if all(map(math.isfinite, point.values())):
                known.append(point)
        return FrontSnapshot.of(version, known, self._objectives)


def finite(fitness: Mapping[str, float | None] | None) -> dict[str, float | None] | None:
    """Fitness as it is logged: what is not finite is None."""
    if fitness is None:
        return None
    return {n: v if v is not None and math.isfinite(v) else None for n, v in fitness.items()}
