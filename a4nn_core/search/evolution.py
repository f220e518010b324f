"""NSGA-II over genomes, on both schedules: what the strategies have in common.

The operators and the survival are pymoo's. Two things are added: every random number of a candidate comes
from (seed, generation, position), so that a search can be replayed from its event log; and a network that
failed, or is outside the bounds, is infeasible: of two infeasible networks the one with the smaller violation
is preferred, and any feasible network to both (Deb, "An efficient constraint handling method for genetic
algorithms", 2000). Genomes outside the bounds are asked for only if no others can be found.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from types import SimpleNamespace
from typing import TYPE_CHECKING, Annotated, ClassVar, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from a4nn_core.component import Unit
from a4nn_core.search.base import (
    Candidate,
    Considered,
    Outcome,
    SearchSettings,
    Strategy,
    Violation,
)
from a4nn_core.search.variation import SAMPLED, SOWN
from a4nn_core.spaces.base import Genes, Genome, VectorSpace

if TYPE_CHECKING:
    from pymoo.core.individual import Individual
    from pymoo.core.population import Population

MATING_RETRIES = 100
FAILED = 1e300
"""objective values of a network without fitness; finite, as NaN would survive every comparison"""
VARIATION = "two-point crossover + polynomial mutation"


class EvolutionSettings(SearchSettings):
    """Settings of strategies that evolve a population."""

    sows: ClassVar[bool] = True
    population: Annotated[int, Unit("networks")] = Field(default=10, ge=2)
    """networks in the first generation, and networks that survive each one"""
    offspring: Annotated[int, Unit("networks")] = Field(default=10, ge=1)
    """networks in every later generation; on a steady schedule generations only count networks"""
    crossover_probability: float = Field(default=1.0, ge=0, le=1)
    """how often two parents are crossed rather than copied"""
    mutation_eta: float = Field(default=3.0, gt=0)
    """distribution index of polynomial mutation; higher stays closer to the parent"""
    mutation_probability: float | None = Field(default=None, ge=0, le=1)
    """chance of mutating each gene; by default one gene of each genome on average"""


class Prediction(NamedTuple):
    """The final validation accuracy that is predicted, and its interval, in percent."""

    accuracy: float
    low: float
    high: float


class Draft(NamedTuple):
    """A genome that may become a candidate, and how it was made."""

    genes: Genes
    parents: tuple[int, ...]
    operator: str
    prediction: Prediction | None = None


class Chooser(Protocol):
    """Decides which genomes are trained, where that is not left to variation and chance."""

    def choose(self, evolution: Evolution, position: int) -> Draft | None:
        """The next network; None leaves it to NSGA-II.

        Args:
            evolution: the search so far.
            position: position of the network in the present generation, from 0.
        """

    def considered(self, evolution: Evolution) -> Sequence[Considered]:
        """As ``Strategy.considered``."""


def evolve(
    settings: EvolutionSettings,
    space: VectorSpace,
    seed: int,
    violation: Violation,
    chooser: Chooser | None = None,
) -> Evolution:
    """Start an evolution on the schedule of its settings.

    Args:
        settings: settings of the strategy.
        space: search space.
        seed: seed of all random numbers.
        violation: violation of a genome.
        chooser: chooses networks among more than are trained; without one this is NSGA-II.
    """
    schedule = SteadyEvolution if settings.schedule == "steady" else Evolution
    return schedule(settings, space, seed, violation, chooser)


class Evolution(Strategy):
    """NSGA-II, one generation after another.

    Attributes:
        asked: networks that were asked for, by number.
        outcomes: what was told, by number.
        merged: numbers of the networks that have competed with the members, in that order; a network that
            was told waits for the rest of its generation.
        members: the surviving networks.
        current: networks of the present generation.
    """

    def __init__(
        self,
        settings: EvolutionSettings,
        space: VectorSpace,
        seed: int,
        violation: Violation,
        chooser: Chooser | None,
    ) -> None:
        from pymoo.core.population import Population
        from pymoo.core.problem import Problem
        from pymoo.operators.survival.rank_and_crowding import RankAndCrowding

        self.settings = settings
        self.space = space
        self.seed = seed
        self.violation = violation
        self.chooser = chooser
        self.asked: dict[int, Candidate] = {}
        self.outcomes: dict[int, Outcome] = {}
        self.merged: list[int] = []
        self.members = Population()
        self.current: list[tuple[Candidate, Genes]] = []
        self._sown: list[Genes] = []
        self._generation = 0
        upper = space.upper
        # pymoo's inequality constraint: violated by a network that failed or is outside the bounds
        self.problem = Problem(
            n_var=len(upper),
            n_obj=len(settings.objectives),
            n_ieq_constr=1,
            xl=np.zeros_like(upper),
            xu=upper,
        )
        self.survival = RankAndCrowding()

    @property
    def generation(self) -> int:
        return self._generation

    @property
    def finished(self) -> bool:
        return len(self.outcomes) >= self.settings.networks

    def _size(self) -> int:
        """Number of networks in the current generation; the budget may cut the last one."""
        size = self.settings.population if self._generation == 0 else self.settings.offspring
        before = len(self.asked) - len(self.current)
        return min(size, self.settings.networks - before)

    def sow(self, genomes: Sequence[Genome]) -> None:
        self._sown = [self.space.genes(genome) for genome in genomes]

    def ask(self, count: int) -> list[Candidate]:
        new: list[Candidate] = []
        while len(new) < count and len(self.current) < self._size():
            position = len(self.current)
            new.append(self._add(self._draft(position), position))
        return new

    def considered(self) -> Sequence[Considered]:
        return self.chooser.considered(self) if self.chooser else ()

    @property
    def asking(self) -> int:
        """The generation of the next network."""
        return self._generation

    def genes(self, number: int) -> Genes:
        """The genes of a network that was asked for."""
        return self.space.genes(self.asked[number].genome)

    def survivors(self) -> list[Draft]:
        """The surviving networks, each as its own descendant."""
        return [Draft(m.X, (int(m.get("number")),), SAMPLED) for m in self.members]

    def pending(self) -> list[Genes]:
        """The genes of the networks that were asked for and have not yet competed with the members."""
        return [genes for _, genes in self.current]

    @property
    def batch_complete(self) -> bool:
        """Whether all networks of the present generation have been asked for."""
        return len(self.current) == self._size()

    def _draft(self, position: int) -> Draft:
        if len(self.asked) < len(self._sown):
            return Draft(self._sown[len(self.asked)], (), SOWN)
        chosen = self.chooser.choose(self, position) if self.chooser else None
        if chosen is not None:
            return chosen
        # with more slots than networks in the first generation there may be no parents yet
        sample = self._generation == 0 or len(self.members) < 2
        return self._sample(position) if sample else self._mate(position)

    def _add(self, draft: Draft, position: int) -> Candidate:
        candidate = Candidate(
            number=len(self.asked),
            genome=self.space.genome(draft.genes),
            parents=draft.parents,
            operator=draft.operator,
            generation=self._generation,
            position=position,
            predicted=draft.prediction and draft.prediction.accuracy,
            low=draft.prediction and draft.prediction.low,
            high=draft.prediction and draft.prediction.high,
        )
        self.asked[candidate.number] = candidate
        self.current.append((candidate, draft.genes))
        return candidate

    def _note(self, outcome: Outcome) -> None:
        if outcome.number not in self.asked:
            raise ValueError(f"network {outcome.number} was never asked for")
        if outcome.number in self.outcomes:
            raise ValueError(f"network {outcome.number} was told before")
        self.outcomes[outcome.number] = outcome

    def revise(self, outcome: Outcome) -> None:
        """The member competes with its new values from the next survival on."""
        self.outcomes[outcome.number] = outcome
        for member in self.members:
            if member.get("number") == outcome.number:
                revised = self._individual(self.asked[outcome.number], member.X)
                for values in ("F", "G"):
                    member.set(values, revised.get(values))

    def tell(self, outcome: Outcome) -> None:
        self._note(outcome)
        all_told = all(candidate.number in self.outcomes for candidate, _ in self.current)
        if all_told and self.batch_complete:
            self._survive()

    def _survive(self) -> None:
        # members are merged by position, so that the order in which trainings end does not matter
        self._merge(self.current, self.rng(self._generation, 0, 0, SURVIVAL))
        self._generation += 1
        self.current = []

    def _merge(self, newcomers: Sequence[tuple[Candidate, Genes]], rng: np.random.Generator) -> None:
        from pymoo.core.population import Population

        individuals = [self._individual(candidate, genes) for candidate, genes in newcomers]
        self.merged += [candidate.number for candidate, _ in newcomers]
        self.members = self.survival.do(
            self.problem,
            Population.merge(self.members, Population.create(*individuals)),
            n_survive=self.settings.population,
            random_state=rng,
        )

    def _individual(self, candidate: Candidate, genes: Genes) -> Individual:
        from pymoo.core.individual import Individual

        outcome = self.outcomes[candidate.number]
        fitness = outcome.fitness or {}
        values = np.array(
            [fitness.get(metric, np.nan) * way.sign for metric, way in self.settings.objectives.items()]
        )
        failed = not np.all(np.isfinite(values))  # a network that diverged counts as failed
        individual = Individual(X=genes)
        individual.set("number", candidate.number)
        individual.set("F", np.full(len(values), FAILED) if failed else values)
        individual.set("G", np.array([outcome.violation or (1.0 if failed else 0.0)]))
        individual.set("H", np.array([]))
        individual.evaluated = {"F", "G", "H"}
        return individual

    def rng(self, generation: int, position: int, attempt: int, purpose: int) -> np.random.Generator:
        return np.random.default_rng([self.seed, generation, position, attempt, purpose])

    def _pick(self, drafts: Iterable[Draft]) -> Draft:
        """The first draft that is new and within the bounds; if there is none, the new one with the smallest
        violation; if none is new, the last."""
        nearest, least = None, np.inf
        for draft in drafts:
            if not self._new(draft.genes):
                continue
            outside = self.violation(self.space.genome(draft.genes))
            if outside == 0.0:
                return draft
            if nearest is None or outside < least:
                nearest, least = draft, outside
        return nearest or draft

    def _sample(self, position: int) -> Draft:
        """A random genome."""
        return self._pick(self._samples(position))

    def _mate(self, position: int) -> Draft:
        """A child, or a random genome if no useful child is found, so that the generation is full."""
        return self._pick(chain(self._children(position), self._samples(position)))

    def _samples(self, position: int) -> Iterator[Draft]:
        for attempt in range(MATING_RETRIES):
            rng = self.rng(self._generation, position, attempt, SAMPLING)
            yield Draft(rng.integers(0, self.space.upper + 1), (), SAMPLED)

    def _children(self, position: int) -> Iterator[Draft]:
        """As in the original, a mating produces two children: neighbours in a generation share a mating."""
        from pymoo.algorithms.moo.nsga2 import binary_tournament
        from pymoo.operators.selection.tournament import TournamentSelection

        for attempt in range(MATING_RETRIES):
            mating = self.rng(self._generation, position // 2, attempt, MATING)
            rule = SimpleNamespace(tournament_type="comp_by_dom_and_crowding", random_state=mating)
            chosen = TournamentSelection(func_comp=binary_tournament).do(
                self.problem, self.members, 1, 2, to_pop=False, algorithm=rule, random_state=mating
            )
            child = self._cross(self.members, chosen, mating)[[position % 2]]
            mutation = self.rng(self._generation, position, attempt, MUTATION)
            [genes] = self._mutate(child, self.settings.mutation_probability, mutation)
            parents = tuple(sorted({int(self.members[i].get("number")) for i in chosen[0]}))
            yield Draft(genes, parents, VARIATION)

    def vary(
        self, parents: Sequence[Draft], count: int, mutated: float, rng: np.random.Generator
    ) -> list[Draft]:
        """Children of any genomes, each of two drawn at random.

        Args:
            parents: what they descend from, with the networks that those descend from.
            count: number of children.
            mutated: genes of each child that are drawn for mutation, on average.
            rng: where random numbers come from.
        """
        from pymoo.core.population import Population

        population = Population.new(X=np.array([parent.genes for parent in parents]))
        chosen = rng.integers(0, len(parents), ((count + 1) // 2, 2))
        chance = min(mutated / self.problem.n_var, 1.0)
        children = self._mutate(self._cross(population, chosen, rng), chance, rng)
        ancestors = [tuple(sorted({*parents[a].parents, *parents[b].parents})) for a, b in chosen]
        # all first children of the matings come before all second ones
        return [Draft(child, ancestors[i % len(chosen)], VARIATION) for i, child in enumerate(children)][
            :count
        ]

    def _cross(self, parents: Population, chosen: NDArray[np.int64], rng: np.random.Generator) -> Population:
        """Two children of each pair of parents, given by their places, shape (pairs, 2)."""
        from pymoo.operators.crossover.pntx import TwoPointCrossover

        crossover = TwoPointCrossover(prob=self.settings.crossover_probability)
        return crossover.do(self.problem, parents, parents=chosen, random_state=rng)

    def _mutate(
        self, children: Population, probability: float | None, rng: np.random.Generator
    ) -> list[Genes]:
        from pymoo.core.problem import Problem
        from pymoo.operators.mutation.pm import PM

        # as in the original, integers mutate on a range half a unit wider, so that after rounding the
        # outermost values are as likely as the others (pymoo 0.3, polynomial_mutation.py)
        wider = Problem(n_var=self.problem.n_var, n_obj=1, xl=-0.5, xu=self.space.upper + 0.5 - 1e-9)
        mutation = PM(prob=1.0, eta=self.settings.mutation_eta, prob_var=probability)
        mutation.do(wider, children, random_state=rng)
        return [np.rint(child.X).astype(np.int64) for child in children]

    def _new(self, genes: Genes) -> bool:
        """As in the original: neither among the survivors nor in this generation so far. A genome that died
        out may return; the loop recognises its architecture."""
        known = [member.X for member in self.members] + [other for _, other in self.current]
        return not any(np.array_equal(genes, other) for other in known)


class SteadyEvolution(Evolution):
    """NSGA-II without a barrier: every network whose outcome is told competes with the members at once, and
    every new candidate descends from the present members (Durillo et al., "A study of master-slave approaches
    to parallelize NSGA-II", IPDPS 2008: the asynchronous variant).

    ``current`` holds the networks that were asked for and whose outcome has not been told.
    """

    @property
    def generation(self) -> int:
        first_untold = next((n for n in self.asked if n not in self.outcomes), len(self.asked))
        return self._place(first_untold)[0]

    def _place(self, number: int) -> tuple[int, int]:
        """Generation and position that a network would have on a generational schedule."""
        later = number - self.settings.population
        if later < 0:
            return 0, number
        return 1 + later // self.settings.offspring, later % self.settings.offspring

    @property
    def batch_complete(self) -> bool:
        return True  # every network is a batch

    def ask(self, count: int) -> list[Candidate]:
        new: list[Candidate] = []
        while len(new) < count and len(self.asked) < self.settings.networks:
            self._generation, position = self._place(len(self.asked))
            new.append(self._add(self._draft(position), position))
        return new

    def tell(self, outcome: Outcome) -> None:
        self._note(outcome)
        newcomers = [entry for entry in self.current if entry[0].number == outcome.number]
        self.current = [entry for entry in self.current if entry[0].number != outcome.number]
        self._merge(newcomers, self.rng(len(self.outcomes), 0, 0, SURVIVAL))


# the purposes of random streams, so that no two streams draw the same numbers
SAMPLING, MATING, MUTATION, SURVIVAL, POOL, EXPLORATION = range(6)
