"""The search's side of asking: what the strategy asked for, in batches that the event log holds.

A resumed search takes the same batches again and checks that the strategy asks for the same candidates.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Sequence

from a4nn_core.commons import RunWriter
from a4nn_core.commons.events import Asked, Considered, Rejected, payload
from a4nn_core.commons.records import Event
from a4nn_core.errors import BadInput
from a4nn_core.search.base import Candidate, Strategy
from a4nn_core.search.base import Rejected as Refused
from a4nn_core.search.constraints import Constraints
from a4nn_core.spaces.architecture import Architecture
from a4nn_core.spaces.base import Genome
from a4nn_core.vocabulary import EventKind
from a4nn_core.workflow.network_records import considered_record, rejected_again, rejected_record


class Asking:
    """Asks the strategy for candidates, and logs them.

    Args:
        strategy: is asked.
        writer: writer of the run's records.
        decode: returns the architecture of a genome.
        limits: the bounds of networks.

    Attributes:
        candidates, architectures: of all networks that were asked for, by number.
    """

    def __init__(
        self,
        strategy: Strategy,
        writer: RunWriter,
        decode: Callable[[Genome], Architecture],
        limits: Constraints,
    ) -> None:
        self.candidates: dict[int, Candidate] = {}
        self.architectures: dict[int, Architecture] = {}
        self._strategy = strategy
        self._writer = writer
        self._decode = decode
        self._limits = limits
        self._first: dict[str, int] = {}
        self._batches = 0
        self._logged: dict[int, Asked] = {}
        self._held: dict[int, list[Candidate]] = defaultdict(list)
        self._considered: set[int] = set()
        self._rejected: dict[int, list[Refused]] = {}
        for event in writer.events:
            if event.kind == EventKind.asked and event.network is not None:
                asked = self._logged[event.network] = payload(event, Asked)
                self._held[asked.batch].append(_candidate(event.network, event.generation or 0, asked))
            elif event.kind == EventKind.considered:
                self._considered.add(payload(event, Considered).batch)
            elif event.kind == EventKind.rejected and (held := payload(event, Rejected)).asked:
                self._rejected[held.batch] = rejected_again(held)
        self._counts = {asked.batch: asked.count for asked in self._logged.values()}

    def original(self, number: int) -> int:
        """The first network whose training would be the same: itself, unless it equals an earlier one."""
        return self._first.get(self._trained_as(number), number)

    def ask(self, count: int) -> list[Candidate]:
        """Up to ``count`` new candidates."""
        new = self._take(self._strategy.ask(count))
        for candidate in new:
            self._log(candidate, count)
        if new:
            self._end_batch(count, len(new))
        else:
            self._log_rejected(count, 0)
        return new

    def begins_batch(self, event: Event) -> bool:
        """Whether an event of the log is the first of the batch that is to be taken again next."""
        number = event.network
        return (
            event.kind == EventKind.asked
            and number is not None
            and self._logged[number].batch == self._batches
        )

    def replay(self) -> None:
        """Take the next batch of the log again.

        Raises:
            BadInput: the strategy now asks for something else.
        """
        count, held = self._counts[self._batches], self._held[self._batches]
        new = self._take(self._strategy.repeat(count, held, self._rejected.get(self._batches, ())))
        # a crash may have cut a batch short in the log: log the missing events now
        for candidate in new:
            if candidate.number in self._logged:
                self._compare(candidate, self._logged[candidate.number])
            else:
                self._log(candidate, count)
        self._end_batch(count, len(new))

    def replay_rejected(self, event: Event) -> None:
        """Ask again as for an event that says what was proposed for an ask and rejected.

        Raises:
            BadInput: the strategy now asks for a network.
        """
        held = payload(event, Rejected)
        if held.asked:
            return  # it belongs to a batch
        for candidate in self._strategy.repeat(held.count, (), rejected_again(held)):
            raise BadInput(
                f"run {self._writer.folder.run_id} cannot be resumed: the strategy now asks for "
                f"{json.dumps(candidate.genome)}, where by its event log nothing valid was proposed; the "
                "code has changed since, start a new run"
            )

    def _take(self, new: Sequence[Candidate]) -> list[Candidate]:
        for candidate in new:
            self.candidates[candidate.number] = candidate
            architecture = self._decode(candidate.genome)
            self.architectures[candidate.number] = architecture
            if not self._limits.violation(architecture):
                self._first.setdefault(self._trained_as(candidate.number), candidate.number)
        return list(new)

    def _trained_as(self, number: int) -> str:
        """What is equal for two networks whose training would be the same but for its random numbers."""
        candidate, told = self.candidates[number], self.architectures[number].hash
        if candidate.inherit_from is None and candidate.learning_rate is None:
            return told
        return f"{told} {candidate.inherit_from} {candidate.morph} {candidate.learning_rate}"

    def _compare(self, candidate: Candidate, logged: Asked) -> None:
        asked = (candidate.genome, list(candidate.parents), candidate.inherit_from, candidate.learning_rate)
        if asked != (logged.genome, logged.parents, logged.inherit_from, logged.learning_rate):
            raise BadInput(
                f"run {self._writer.folder.run_id} cannot be resumed: for network {candidate.number} the "
                f"strategy now asks for {json.dumps(candidate.genome)}, but its event log has "
                f"{json.dumps(logged.genome)}; the code has changed since, start a new run"
            )

    def _log(self, candidate: Candidate, count: int) -> None:
        self._writer.events.append(
            Asked(
                genome=candidate.genome,
                parents=list(candidate.parents),
                operator=candidate.operator,
                position=candidate.position,
                batch=self._batches,
                count=count,
                predicted=candidate.predicted,
                low=candidate.low,
                high=candidate.high,
                inherit_from=candidate.inherit_from,
                learning_rate=candidate.learning_rate,
            ),
            candidate.number,
            candidate.generation,
        )

    def _end_batch(self, count: int, asked: int) -> None:
        """Log what the strategy considered for the batch and did not ask for, and what it was offered in
        vain, once."""
        considered = self._strategy.considered()
        if considered and self._batches not in self._considered:
            records = (considered_record(one, self._decode(one.genome)) for one in considered)
            self._writer.events.append(Considered.of(self._batches, records))
        if self._batches not in self._rejected:
            self._log_rejected(count, asked)
        self._batches += 1

    def _log_rejected(self, count: int, asked: int) -> None:
        rejected = self._strategy.rejected()
        if rejected:
            records = map(rejected_record, rejected)
            self._writer.events.append(Rejected.of(self._batches, count, asked, records))


def _candidate(number: int, generation: int, asked: Asked) -> Candidate:
    """The candidate that the log holds."""
    return Candidate(
        number=number,
        genome=asked.genome,
        parents=tuple(asked.parents),
        operator=asked.operator,
        generation=generation,
        position=asked.position,
        inherit_from=asked.inherit_from,
        learning_rate=asked.learning_rate,
        predicted=asked.predicted,
        low=asked.low,
        high=asked.high,
    )
