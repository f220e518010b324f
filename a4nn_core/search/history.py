"""What somebody who proposes genomes is told of the search so far."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from a4nn_core.jsonable import Json, members, to_jsonable
from a4nn_core.metrics import front_rows
from a4nn_core.search.base import Candidate, Outcome, Rejected
from a4nn_core.spaces.base import Genome, Space
from a4nn_core.vocabulary import Direction, NetworkStatus

Status = Literal["training", "completed", "stopped", "failed"]


@dataclass(frozen=True)
class Trial:
    """One network that was asked for.

    Attributes:
        number: number of the network, from 0.
        genome: its genome in the form of the search space.
        parents: numbers of the networks it was said to descend from.
        operator: what was said to have made it.
        generation: its generation, from 0.
        status: ``training`` until its outcome is known; then ``completed``, ``stopped`` (ended early, by what
            it promised) or ``failed``.
        fitness: metric name to value, of all metrics that are recorded; None before it ends, and if it
            failed.
    """

    number: int
    genome: Genome
    parents: tuple[int, ...]
    operator: str
    generation: int
    status: Status
    fitness: Mapping[str, float] | None

    @classmethod
    def of(cls, candidate: Candidate, outcome: Outcome | None) -> Trial:
        """The trial of a candidate, whose outcome is None as long as it is not known."""
        status: Status = "training"
        if outcome is not None:
            status = "failed" if outcome.fitness is None else "stopped" if outcome.epochs else "completed"
        return cls(
            candidate.number,
            candidate.genome,
            candidate.parents,
            candidate.operator,
            candidate.generation,
            status,
            None if outcome is None else outcome.fitness,
        )

    def as_dict(self) -> dict[str, Json]:
        """The form that other programs get."""
        return members(to_jsonable(vars(self)))


@dataclass(frozen=True)
class History:
    """A search at one moment.

    Attributes:
        space: the search space; ``sample``, ``mutate`` and ``check`` help to make genomes.
        objectives: what is optimised: metric name to direction.
        networks: how many networks the search may ask for.
        seed: seed of the search.
        trials: the networks that were asked for, by number.
        rejected: what was proposed and is not valid, in order.
    """

    space: Space
    objectives: Mapping[str, Direction]
    networks: int
    seed: int
    trials: tuple[Trial, ...]
    rejected: tuple[Rejected, ...]

    def front(self) -> list[Trial]:
        """The trials on the Pareto front, the best by the first objective first."""
        rows: list[dict[str, object]] = [
            {"network": trial.number, "status": NetworkStatus.completed, "fitness": trial.fitness}
            for trial in self.trials
            if trial.fitness is not None
        ]
        best = front_rows(rows, {name: str(way) for name, way in self.objectives.items()})
        numbers = {row["network"] for row in best}
        by_number = {trial.number: trial for trial in self.trials if trial.number in numbers}
        return [trial for row in best for number, trial in by_number.items() if number == row["network"]]

    def as_dict(self) -> dict[str, Json]:
        """The form that other programs get."""
        rejected = [
            {"genome": one.genome, "text": one.text, "reason": one.reason, "explanation": one.explanation}
            for one in self.rejected
        ]
        return members(
            to_jsonable(
                {
                    "space": self.space.model_dump(mode="json"),
                    "objectives": dict(self.objectives),
                    "networks": self.networks,
                    "seed": self.seed,
                    "trials": [trial.as_dict() for trial in self.trials],
                    "rejected": rejected,
                }
            )
        )
