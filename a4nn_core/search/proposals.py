"""What strategies share whose genomes come from elsewhere: from a function, another program or a person.

Nothing is known of such genomes. Each is checked before it is asked for: it must be JSON, a genome of the
space, a network for the images, within the bounds, and new. What is not is recorded with the reason, and
whoever proposed it is told.
"""

from __future__ import annotations

import logging
from abc import abstractmethod
from collections.abc import Iterable, Sequence
from typing import Annotated, Any, ClassVar, NamedTuple, Protocol

from pydantic import Field

from a4nn_core.component import Unit
from a4nn_core.errors import BadInput
from a4nn_core.jsonable import parsed, to_jsonable
from a4nn_core.search.base import (
    Candidate,
    Outcome,
    Rejected,
    SearchSettings,
    Strategy,
    Study,
    Violation,
    no_violation,
)
from a4nn_core.search.history import History, Trial
from a4nn_core.search.variation import SOWN, Proposal, key_of
from a4nn_core.spaces.base import Genome, Space
from a4nn_core.vocabulary import Rejection

log = logging.getLogger(__name__)

LONGEST = 2000
"""characters that are kept of what is not JSON"""


class Typed(NamedTuple):
    """A genome as text, yet to be read, and what made it."""

    text: str
    operator: str


class Proposer(Protocol):
    """Whoever proposes genomes.

    Attributes:
        has_state: whether it knows more than the history, so that a search that is resumed must ask it again
            for what it proposed before.
    """

    has_state: bool

    def propose(self, history: History, count: int) -> Iterable[object] | None:
        """Genomes, each a value that JSON can hold, a text of JSON, or a ``Proposal``.

        Args:
            history: the search so far.
            count: how many can be asked for now; further ones are not looked at.

        Returns:
            the genomes; none if it has nothing to propose before it is told more; None if it has not answered
            yet.

        Raises:
            BadInput: it cannot propose anything.
        """

    def told(self, trial: Trial) -> None:
        """A network has ended, or was trained on."""

    def refused(self, rejected: Rejected) -> None:
        """A genome was not valid."""

    @property
    def waiting(self) -> bool:
        """Whether it was asked and has not answered."""

    def close(self) -> None:
        """End what belongs to it."""


class ProposalSettings(SearchSettings):
    """Settings of strategies whose genomes come from elsewhere."""

    searches: ClassVar[type[Any]] = Space
    sows: ClassVar[bool] = True
    batch: Annotated[int, Unit("networks")] = Field(default=10, ge=1)
    """networks of a generation: on a generational schedule all of them end before others are asked for"""
    invalid_in_a_row: Annotated[int, Unit("genomes")] = Field(default=20, ge=1)
    """genomes that are not valid, one after another, after which the search ends; it can be resumed"""

    @abstractmethod
    def proposer(self) -> Proposer:
        """Whoever proposes.

        Raises:
            BadInput: there is nobody.
        """

    def start(self, space: Space, seed: int, violation: Violation = no_violation) -> Strategy:
        return ProposalStrategy(self, space, seed, violation, None)

    def begin(self, space: Space, seed: int, violation: Violation, study: Study) -> Strategy:
        return ProposalStrategy(self, space, seed, violation, study)


class ProposalStrategy(Strategy):
    """A search whose genomes are proposed by somebody else."""

    def __init__(
        self, settings: ProposalSettings, space: Space, seed: int, violation: Violation, study: Study | None
    ) -> None:
        self.settings = settings
        self.space = space
        self.seed = seed
        self.proposer = settings.proposer()
        self._violation = violation
        self._study = study
        self._asked: dict[int, Candidate] = {}
        self._numbers: dict[str, int] = {}
        self._outcomes: dict[int, Outcome] = {}
        self._rejected: list[Rejected] = []
        self._new_rejected: list[Rejected] = []
        self._sown: list[Genome] = []
        self._invalid = 0
        self._generation = 0
        self._current: list[int] = []
        self._closed = False  # nothing is asked for before more is told
        self._ended = False
        self._steady = settings.schedule == "steady"

    def history(self) -> History:
        """The search so far."""
        settings = self.settings
        trials = tuple(Trial.of(one, self._outcomes.get(one.number)) for one in self._asked.values())
        return History(
            self.space, settings.objectives, settings.networks, self.seed, trials, tuple(self._rejected)
        )

    def ask(self, count: int) -> list[Candidate]:
        self._new_rejected = []
        wanted = min(count, self._room)
        if wanted < 1 or not self._may_go_on():
            return []
        offered: Iterable[object] | None = [Proposal(one, (), SOWN) for one in self._sown[:wanted]]
        if self._sown:
            del self._sown[:wanted]
        else:
            offered = self.proposer.propose(self.history(), wanted)
        if offered is None:
            return []
        found: list[Candidate] = []
        some = False
        for one in offered:
            some = True
            if (candidate := self._taken(one)) is not None:
                found.append(candidate)
            if len(found) == wanted or self._invalid >= self.settings.invalid_in_a_row:
                break
        if not some:
            self._wait_or_end()
        return found

    def sow(self, genomes: Sequence[Genome]) -> None:
        self._sown = list(genomes)

    @property
    def _room(self) -> int:
        """How many networks can be asked for now."""
        if self._closed or self._ended:
            return 0
        left = self.settings.networks - len(self._asked)
        return left if self._steady else min(left, self.settings.batch - len(self._current))

    @property
    def _training(self) -> bool:
        return len(self._outcomes) < len(self._asked)

    def _may_go_on(self) -> bool:
        """Whether the proposer is asked again after so many genomes that were not valid. As long as networks
        are in training it is first told more.

        Raises:
            BadInput: there is nothing more to tell it.
        """
        if self._invalid < self.settings.invalid_in_a_row:
            return True
        if self._training:
            self._closed = True
            return False
        last = self._rejected[-1]
        raise BadInput(
            f"search {self.settings.name}: the last {self._invalid} genomes that were proposed are not valid "
            f"(invalid_in_a_row = {self.settings.invalid_in_a_row}), the last because {last.explanation}; "
            "when that is corrected, run it again to go on"
        )

    def _wait_or_end(self) -> None:
        """Nothing was proposed: wait until more is known, or end."""
        if self._training or (self._current and not self._steady):
            self._closed = True
            self._end_generation()
            return
        self._ended = True
        log.warning(
            "the search ends after %d of %d networks: %s proposes no more",
            len(self._asked),
            self.settings.networks,
            self.settings.name,
        )

    def _taken(self, offered: object) -> Candidate | None:
        """The candidate made of a proposal; None if it is rejected."""
        proposal = offered if isinstance(offered, Proposal) else Proposal(offered, (), "proposed")
        if isinstance(offered, Typed):
            proposal = Proposal(offered.text, (), offered.operator)
        found = self._examined(proposal.genome)
        if isinstance(found, Rejected):
            self._rejected.append(found)
            self._new_rejected.append(found)
            self._invalid += 1
            self.proposer.refused(found)
            return None
        self._invalid = 0
        parents = tuple(proposal.parents)
        if strange := [one for one in parents if one not in self._asked]:
            raise BadInput(
                f"search {self.settings.name} proposed a child of network {strange[0]!r}, which was never "
                "asked for"
            )
        number = len(self._asked)
        generation, position = self._generation, len(self._current)
        if self._steady:
            generation, position = divmod(number, self.settings.batch)
        candidate = Candidate(number, found, parents, str(proposal.operator), generation, position)
        self._add(candidate)
        return candidate

    def _add(self, candidate: Candidate) -> None:
        self._asked[candidate.number] = candidate
        self._numbers.setdefault(key_of(candidate.genome), candidate.number)
        if self._steady:
            return
        if candidate.generation != self._generation:  # the log knows when a generation was closed
            self._generation, self._current = candidate.generation, []
        self._current.append(candidate.number)
        self._closed = len(self._current) >= self.settings.batch

    def _examined(self, offered: Any) -> Genome | Rejected:
        """The genome that was proposed, or why it cannot be asked for."""
        try:
            genome = to_jsonable(offered)
        except TypeError as error:
            return self._refusal(None, repr(offered), Rejection.not_json, str(error))
        trouble = self._trouble(genome)
        if trouble is not None and isinstance(genome, str):  # text, of which a genome is yet to be made
            text = genome
            try:
                genome = parsed(text)
            except ValueError as error:
                return self._refusal(None, text, Rejection.not_json, f"{_short(text)} is not JSON: {error}")
            trouble = self._trouble(genome)
        if trouble is not None:
            return self._refusal(genome, None, Rejection.not_in_space, trouble)
        if (known := self._numbers.get(key_of(genome))) is not None:
            return self._refusal(
                genome, None, Rejection.duplicate, f"network {known} has this genome already"
            )
        if self._study is not None:
            try:
                self._study.decode(genome)
            except BadInput as error:
                return self._refusal(genome, None, Rejection.undecodable, str(error))
        if (outside := self._violation(genome)) > 0:
            return self._refusal(
                genome,
                None,
                Rejection.out_of_bounds,
                f"it is outside the bounds of [search.constraints], by {outside:.3g} of them",
            )
        return genome

    def _trouble(self, genome: Genome) -> str | None:
        """Why the space has no such genome; None if it has."""
        try:
            self.space.check(genome)
        except BadInput as error:
            return str(error)
        except Exception as error:  # a space checks what its own kind gets wrong, and this can be anything
            return f"space {self.space.name} cannot read it: {type(error).__name__}: {error}"
        return None

    def _refusal(self, genome: Genome, text: str | None, reason: Rejection, explanation: str) -> Rejected:
        generation = len(self._asked) // self.settings.batch if self._steady else self._generation
        kept = None if text is None else text[:LONGEST]
        return Rejected(genome, kept, reason, _short(explanation, LONGEST), generation)

    def rejected(self) -> Sequence[Rejected]:
        return self._new_rejected

    def repeat(
        self, count: int, asked: Sequence[Candidate], rejected: Sequence[Rejected]
    ) -> Sequence[Candidate]:
        """The proposer is asked again if it has a state of its own, and otherwise not."""
        if self.proposer.has_state:
            found = self.ask(count)
            self._invalid = 0
            return found
        self._new_rejected = []
        self._rejected += rejected
        for candidate in asked:
            self._add(candidate)
        self._sown = [genome for genome in self._sown if key_of(genome) not in self._numbers]
        return asked

    @property
    def waits(self) -> bool:
        return self.proposer.waiting

    def close(self) -> None:
        self.proposer.close()

    def tell(self, outcome: Outcome) -> None:
        if outcome.number not in self._asked:
            raise ValueError(f"network {outcome.number} was never asked for")
        if outcome.number in self._outcomes:
            raise ValueError(f"network {outcome.number} was told before")
        self._outcomes[outcome.number] = outcome
        if self._steady:
            self._closed = False
        else:
            self._end_generation()
        self.proposer.told(Trial.of(self._asked[outcome.number], outcome))

    def _end_generation(self) -> None:
        """Begin the next generation if all networks of this one have ended."""
        if self._closed and all(number in self._outcomes for number in self._current):
            self._generation, self._current, self._closed = self._generation + 1, [], False

    def revise(self, outcome: Outcome) -> None:
        self._outcomes[outcome.number] = outcome
        self.proposer.told(Trial.of(self._asked[outcome.number], outcome))

    @property
    def generation(self) -> int:
        if not self._steady:
            return self._generation
        untold = next((n for n in self._asked if n not in self._outcomes), len(self._asked))
        return untold // self.settings.batch

    @property
    def finished(self) -> bool:
        return (self._ended or len(self._asked) >= self.settings.networks) and not self._training


def _short(text: str, most: int = 60) -> str:
    return text if len(text) <= most else f"{text[: most - 3]}..."
