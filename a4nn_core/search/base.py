"""The interface of a search strategy: ask for candidates, tell their outcomes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, field_validator

from a4nn_core.component import Component, Registry, Unit
from a4nn_core.errors import BadInput
from a4nn_core.metrics import (
    BUILTIN,
    DEFAULT_OBJECTIVES,
    ERROR_OF,
    ERROR_PERCENT,
    Evaluate,
    Metric,
    find_metric,
    recorded,
)
from a4nn_core.penguin.measure import SUPPOSED, Measure
from a4nn_core.penguin.observed import Past
from a4nn_core.search.constraints import Bound, Constraints, check_bound
from a4nn_core.search.stop import Stop
from a4nn_core.spaces.architecture import Architecture
from a4nn_core.spaces.base import Genome, Space, VectorSpace, spaces_of
from a4nn_core.vocabulary import Curves, Direction, FitnessSource, Rejection, Task

Violation = Callable[[Genome], float]
"""How far a genome is outside the bounds of ``[search.constraints]``: 0.0 if it is within all of them, the
greater the further it is outside. It depends on the genome alone, and nothing is trained for it."""


def no_violation(genome: Genome) -> float:
    """The violation of any genome if there are no bounds: 0.0."""
    del genome
    return 0.0


@dataclass(frozen=True)
class Candidate:
    """One network that a strategy asks to be evaluated.

    Attributes:
        number: number of the network in its run, from 0, in the order of asking.
        genome: genome in the form of the search space.
        parents: numbers of the networks it descends from.
        operator: operator that made it, such as ``sampling`` or ``two-point crossover + polynomial
            mutation``.
        generation: generation, from 0.
        position: position within the generation, from 0.
        inherit_from: number of a network whose weights it starts from, None for fresh weights. It must have
            been told; of a network that was not trained, nothing is inherited.
        morph: whether layers of another size inherit the channels they have in common with those of that
            network (``spaces/inheritance.py``); otherwise only layers of equal size inherit.
        learning_rate: learning rate of its first epoch; None for that of the experiment.
        predicted: what the strategy predicts that it will reach, an accuracy in percent or a ratio in
            decibels; None if it predicts nothing.
        low, high: interval of the prediction, likewise.
    """

    number: int
    genome: Genome
    parents: tuple[int, ...]
    operator: str
    generation: int
    position: int
    inherit_from: int | None = None
    morph: bool = False
    learning_rate: float | None = None
    predicted: float | None = None
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Outcome:
    """The outcome of a candidate.

    Attributes:
        number: number of the network.
        fitness: metric name to value; None if the network failed or was not trained.
        source: whether the fitness was measured or predicted.
        violation: how far the network is outside the bounds, in which case it was not trained; 0.0 within
            them.
        epochs: epochs after which the fitness was measured, of a network that was ended early; None if it was
            trained for its whole budget.
        training: best accuracy on the training images so far, in percent; None if it is not known.
    """

    number: int
    fitness: Mapping[str, float] | None
    source: FitnessSource = FitnessSource.measured
    violation: float = 0.0
    epochs: int | None = None
    training: float | None = None


@dataclass(frozen=True)
class Study:
    """What a strategy that learns from architectures is told of the search.

    Attributes:
        decode: returns the architecture of a genome.
        horizon: epochs that a network is trained at most.
        measure: what curves measure, and how precisely.
        curves: which weights are measured after the epochs.
        past: earlier runs to learn from.
    """

    decode: Callable[[Genome], Architecture]
    horizon: int
    measure: Measure = SUPPOSED
    curves: Curves = "averaged"
    past: tuple[Past, ...] = ()


@dataclass(frozen=True)
class Considered:
    """A genome that a strategy looked at and did not ask for, as the table ``considered`` records it.

    Attributes:
        genome: genome in the form of the search space.
        parents: numbers of the networks it descends from.
        operator: operator that made it.
        generation: generation it would have belonged to, from 0.
        reason: why it was not asked for; words separated by underscores, such as ``less_promising``.
        predicted, low, high: what it was predicted to reach, and the interval, as those of a candidate; None
            if nothing was predicted.
        expected_improvement: what its training was expected to gain, in the strategy's own unit; None if the
            strategy did not compute it.
    """

    genome: Genome
    parents: tuple[int, ...]
    operator: str
    generation: int
    reason: str
    predicted: float | None = None
    low: float | None = None
    high: float | None = None
    expected_improvement: float | None = None


@dataclass(frozen=True)
class Rejected:
    """A genome that was proposed and cannot be asked for, as the table ``rejected`` records it.

    Attributes:
        genome: what was proposed, JSON values; None if it is not JSON.
        text: what was proposed where it is not JSON; None otherwise.
        reason: why it cannot be asked for.
        explanation: what exactly is wrong with it, for people.
        generation: generation it would have belonged to, from 0.
    """

    genome: Genome | None
    text: str | None
    reason: Rejection
    explanation: str
    generation: int


class Strategy(ABC):
    """A search in progress. Its candidates depend on its seed, on the outcomes it was told and on which
    genomes are within the bounds, never on how often or for how many candidates at a time it was asked.

    On a generational schedule the order of tells does not matter either. On a steady one every tell takes
    effect at once, so the next candidates depend on the order of asks and tells: that of the event log.
    """

    @abstractmethod
    def ask(self, count: int) -> list[Candidate]:
        """Up to ``count`` new candidates; fewer, or none, if it must first be told more outcomes."""

    def considered(self) -> Sequence[Considered]:
        """What it looked at for the last ask that returned candidates, and did not ask for.

        It is recorded once, after that ask. It depends on what the candidates depend on, so that a search
        that is resumed can record what a crash kept it from recording.
        """
        return ()

    def sow(self, genomes: Sequence[Genome]) -> None:
        """Ask for these genomes before any of its own, and learn from them as from its own.

        Called before the first ask, and only where ``SearchSettings.can_sow`` says that it can.

        Args:
            genomes: of earlier runs, the best first; all are genomes of the space and within the bounds.
        """
        raise NotImplementedError

    def rejected(self) -> Sequence[Rejected]:
        """What was proposed to it for the last ask and is not valid; it is recorded after that ask, even if
        that returned no candidate. Only strategies whose genomes come from elsewhere have any."""
        return ()

    def repeat(
        self, count: int, asked: Sequence[Candidate], rejected: Sequence[Rejected]
    ) -> Sequence[Candidate]:
        """Ask again as an earlier process did: a search that is resumed replays its event log.

        Most strategies ask for the same again. One whose genomes do not follow from what it was told, as a
        person typed them, takes what the log holds.

        Args:
            count: number of candidates that were requested.
            asked: those that the log holds of that ask.
            rejected: what was proposed for it and was not valid.
        """
        del asked, rejected
        return self.ask(count)

    @property
    def waits(self) -> bool:
        """Whether it waits for somebody else, such as a person who types; it is then asked again soon."""
        return False

    def close(self) -> None:  # noqa: B027
        """End what belongs to it, such as another program. A second call does nothing."""

    @abstractmethod
    def tell(self, outcome: Outcome) -> None:
        """Report the outcome of one candidate."""

    def revise(self, outcome: Outcome) -> None:  # noqa: B027
        """Report a new outcome of a candidate that was told before: it was paused, and has been trained on
        since. A strategy need not use it."""

    @property
    @abstractmethod
    def generation(self) -> int:
        """The present generation, from 0: the one whose candidates are asked for or in training."""

    @property
    @abstractmethod
    def finished(self) -> bool:
        """Whether all candidates have been asked for and all outcomes told."""


class SearchSettings(Component):
    """Settings of a strategy. To add one, subclass this and name the class in the entry point group
    ``a4nn.search``."""

    searches: ClassVar[type[Any]] = VectorSpace
    """the kind of spaces that it searches: ``VectorSpace``, ``FreeSpace``, ``Space`` for both, or another
    class if it needs to know more of its genomes"""
    crosses: ClassVar[bool] = False
    """whether it crosses genomes by ``Space.cross``"""
    sows: ClassVar[bool] = False
    """whether it can begin with genomes of earlier runs (``Strategy.sow``)"""
    converses: ClassVar[bool] = False
    """whether it talks with a person on the terminal, where nothing else may draw then"""
    inherits: ClassVar[bool] = False
    """whether networks begin with the weights of others (``Candidate.inherit_from``); checkpoints then stay
    until the search ends"""

    objectives: dict[str, Direction] = Field(default=DEFAULT_OBJECTIVES, min_length=1)
    """what is optimised: metric name to direction"""
    constraints: dict[str, Bound] | None = None
    """bounds of metrics that are known before training, such as { parameters = { most = 64600 } }: a network
    outside them is not trained"""
    networks: Annotated[int, Unit("networks")] = Field(default=100, ge=1)
    """how many networks the search may look at; those outside the bounds count too"""
    schedule: Literal["generational", "steady"] = "generational"
    """generational waits for a whole generation before it asks for the next, and repeats from the seed;
    steady asks for a network as soon as a slot is free, and repeats from the event log"""
    stop: Stop | None = None
    """ends the search before its number of networks, such as { no_growth = 30 }; without it, nothing does"""

    @field_validator("objectives")
    @classmethod
    def _known(cls, objectives: dict[str, Direction]) -> dict[str, Direction]:
        for name, direction in objectives.items():
            try:
                metric = find_metric(name)
            except BadInput as error:
                raise ValueError(str(error)) from None
            # of a cost, or of another package's metric, the user may want either
            if name in BUILTIN and not metric.before_training and direction is not metric.direction:
                raise ValueError(
                    f"to {direction} {name} is to look for the worst networks: {metric.direction} it"
                )
        return objectives

    @field_validator("constraints")
    @classmethod
    def _checkable(cls, constraints: dict[str, Bound] | None) -> dict[str, Bound] | None:
        for name, bound in (constraints or {}).items():
            try:
                check_bound(name, bound)
            except BadInput as error:
                raise ValueError(str(error)) from None
        return constraints or None

    def for_task(self, task: Task) -> SearchSettings:
        """These settings with the usual objectives of a task, where none were given."""
        if "objectives" in self.model_fields_set or task is Task.classification:
            return self
        usual = ERROR_OF[task]
        objectives = {
            metric.name: metric.direction if metric is usual else self.objectives[metric.name]
            for name in self.objectives
            for metric in (usual if name == ERROR_PERCENT.name else find_metric(name),)
        }
        return self.model_copy(update={"objectives": objectives})

    def fitted(self, space: Space) -> SearchSettings:
        """These settings with what follows from the space written out.

        Raises:
            ValueError: the space cannot be searched with them.
        """
        del space
        return self

    def limits(self, evaluate: Evaluate = Metric.value) -> Constraints:
        """The bounds; without any, every network is within them.

        Args:
            evaluate: returns the value of a metric before training.
        """
        return Constraints(self.constraints or {}, evaluate)

    def metrics(self) -> tuple[Metric, ...]:
        """The metrics recorded for every trained network: the standard ones and those this search names."""
        return recorded((*self.objectives, *(self.constraints or ())))

    def can_sow(self) -> bool:
        """Whether it can begin with genomes of earlier runs, with these settings."""
        return self.sows

    @classmethod
    def fits(cls, space: Space | type[Space]) -> bool:
        """Whether it can search a space."""
        kind = space if isinstance(space, type) else type(space)
        return issubclass(kind, cls.searches) and (kind.crosses or not cls.crosses)

    def check_space(self, space: Space) -> None:
        """Refuse a space that it cannot search.

        Raises:
            BadInput: it cannot; says what would fit.
        """
        if self.fits(space):
            return
        crossed = " that can be crossed" if self.crosses else ""
        fitting = ", ".join(spaces_of(self.searches, self.crosses)) or "none that is installed"
        raise BadInput(
            f"search {self.name} needs a space of {self.searches.kind}{crossed}, and space {space.name} has "
            f"{space.kind}; spaces that fit {self.name}: {fitting}; searches that fit {space.name}: "
            f"{', '.join(strategies_for(type(space)))}"
        )

    # a strategy declares the kind of space it is given, which type checkers cannot derive from ``searches``
    @abstractmethod
    def start(self, space: Any, seed: int, violation: Violation = no_violation) -> Strategy:
        """Start a search of a space.

        Args:
            space: search space, of the kind that ``searches`` names.
            seed: seed of all random numbers.
            violation: returns the violation of a genome. A strategy need not use it; one that does should
                prefer genomes within the bounds, as those outside use up its budget without being trained.
        """

    def begin(self, space: Any, seed: int, violation: Violation, study: Study) -> Strategy:
        """Start a search as the loop does. Only a strategy that learns from architectures overrides this.

        Args:
            space, seed, violation: as for ``start``.
            study: what there is to learn from.
        """
        del study
        return self.start(space, seed, violation)


STRATEGIES: Registry[SearchSettings] = Registry(
    "search strategy",
    "a4nn.search",
    {
        "nsga-net": "a4nn_core.search.nsga_net:NSGANet",
        "a4nn": "a4nn_core.search.a4nn:A4NN",
        "random": "a4nn_core.search.random_search:Random",
        "local-search": "a4nn_core.search.local_search:LocalSearch",
        "regularised-evolution": "a4nn_core.search.regularised_evolution:RegularisedEvolution",
        "genetic-cnn": "a4nn_core.search.genetic_cnn:GeneticCNN",
        "evocnn": "a4nn_core.search.evocnn:EvoCNN",
        "hierarchical": "a4nn_core.search.hierarchical:Hierarchical",
        "steady-evolution": "a4nn_core.search.steady_evolution:SteadyEvolution",
        "large-scale-evolution": "a4nn_core.search.large_scale_evolution:LargeScaleEvolution",
        "pso-cnn": "a4nn_core.search.pso_cnn:PsoCNNSearch",
        "auto-keras": "a4nn_core.search.auto_keras:AutoKeras",
        "nasnet": "a4nn_core.search.nasnet:NASNet",
        "cgp": "a4nn_core.search.cgp:CGPSearch",
        "optuna": "a4nn_core.search.optuna:Optuna",
        "pymoo": "a4nn_core.search.pymoo:Pymoo",
        "repeat": "a4nn_core.search.repeat:Repeat",
        "exhaustive": "a4nn_core.search.exhaustive:Exhaustive",
        "callable": "a4nn_core.search.function:CallableSearch",
        "script": "a4nn_core.search.script:Script",
        "person": "a4nn_core.search.person:Person",
    },
)


def strategies_for(space: type[Space]) -> list[str]:
    """The names of the registered strategies that can search spaces of a class."""
    return [name for name, strategy in STRATEGIES.loadable() if strategy.fits(space)]
