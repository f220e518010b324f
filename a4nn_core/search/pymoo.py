"""Any algorithm of pymoo (Blank and Deb, "pymoo: multi-objective optimization in Python", IEEE Access, 2020).

It is asked for a generation and told that generation, always in this order, so that it repeats from the event
log. Algorithms that take operators get those of genomes: sampling, uniform crossover and the mutation of one
gene. All others search a box of real numbers, half a unit wider than the genes, which are the nearest whole
numbers. A network that failed or is outside the bounds has objectives worse than all so far and, where the
algorithm knows constraints, violates one. What was asked for before is answered from memory.
"""

from __future__ import annotations

import inspect
import pkgutil
import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from math import ceil
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from a4nn_core.component import Unit
from a4nn_core.search.base import Candidate, Outcome, Strategy, Violation, no_violation
from a4nn_core.search.batches import BatchSettings, BatchStrategy
from a4nn_core.search.variation import SOWN, Proposal, key_of
from a4nn_core.spaces.base import Genome, VectorSpace
from a4nn_core.spaces.macro import Macro

if TYPE_CHECKING:
    from pymoo.core.algorithm import Algorithm
    from pymoo.core.individual import Individual
    from pymoo.core.population import Population

PACKAGES = {"one objective": "pymoo.algorithms.soo.nonconvex", "several objectives": "pymoo.algorithms.moo"}
"""where pymoo has the algorithms for each"""
NOT_HERE = ("Optuna", "DNSGA2", "KGB")
"""of pymoo's algorithms: there is a search for Optuna, and the others are for problems that change"""
ADAPTS_TO_THE_END = "RVEA"
"""the algorithm that must know how many generations there will be"""
ROOTS = {"Algorithm", "GeneticAlgorithm", "LocalSearch", "LoopwiseAlgorithm"}
IDLE = 20
"""generations in a row without a new genome after which an algorithm is taken to have converged"""
UNSEEDED = 1  # purpose of a random stream
GENERATION = 2**31  # the batch is whatever the algorithm asks for


class Pymoo(BatchSettings):
    """Any algorithm of pymoo, by name; it decides how many networks are asked for at a time."""

    name: Literal["pymoo"] = "pymoo"
    algorithm: str = "nsga2"
    """name of its class in pymoo in any spelling, such as nsga2, sms-emoa, moead, ga, de, pso or cmaes"""
    population: Annotated[int, Unit("networks")] = Field(default=10, ge=2)
    """networks of a generation, or reference directions, where the algorithm has a number of these"""
    options: dict[str, bool | int | float | str] = Field(default_factory=dict)
    """further arguments of the algorithm, as pymoo documents them"""

    @model_validator(mode="after")
    def _exists(self) -> Self:
        from pymoo.algorithms.base.genetic import GeneticAlgorithm

        if self.schedule == "steady":
            raise ValueError(
                f'{self.algorithm} of pymoo works in generations and needs schedule = "generational"; '
                "searches that can be steady are nsga-net, a4nn, random, local-search, regularised-evolution "
                "and optuna"
            )
        kind = _find(self.algorithm, len(self.objectives))
        known = _arguments(kind) | _arguments(GeneticAlgorithm)
        if unknown := sorted(set(self.options) - known):  # pymoo would drop them without a word
            raise ValueError(
                f"pymoo's {self.algorithm} has no argument {unknown[0]!r}; it has {', '.join(sorted(known))}"
            )
        try:
            self.made(Macro(), 0).ask()
        except Exception as error:
            raise ValueError(
                f"pymoo cannot begin with {self.algorithm} and options {self.options}: {error}"
            ) from None
        return self

    def start(self, space: VectorSpace, seed: int, violation: Violation = no_violation) -> Strategy:
        return _PymooSearch(self, space, seed, violation)

    def can_sow(self) -> bool:
        """Only an algorithm with a population, of whose first members some can be replaced."""
        from pymoo.algorithms.base.local import LocalSearch

        kind = _find(self.algorithm, len(self.objectives))
        return "sampling" in _arguments(kind) and not issubclass(kind, LocalSearch)

    def made(self, space: VectorSpace, seed: int) -> Algorithm:
        """The algorithm, ready to be asked. What goes wrong is pymoo's to raise."""
        from pymoo.core.termination import NoTermination
        from pymoo.termination.max_gen import MaximumGenerationTermination

        from a4nn_core.search.pymoo_genomes import operators, problem

        kind = _find(self.algorithm, len(self.objectives))
        takes = _arguments(kind)
        given: dict[str, Any] = {}
        if "ref_dirs" in takes:
            given["ref_dirs"] = _directions(len(self.objectives), self.population)
        elif "pop_size" in takes:
            given["pop_size"] = self.population
        if {"sampling", "crossover", "mutation"} <= takes:
            given |= operators(space)
        ends: Any = NoTermination()
        if kind.__name__ == ADAPTS_TO_THE_END:
            ends = MaximumGenerationTermination(ceil(self.networks / self.population))
        algorithm = kind(**{**given, **self.options})
        try:
            return algorithm.setup(
                problem(space.upper, len(self.objectives), constrained=True), seed=seed, termination=ends
            )
        except AssertionError:  # how pymoo says that an algorithm knows no constraints
            return algorithm.setup(
                problem(space.upper, len(self.objectives), constrained=False), seed=seed, termination=ends
            )


class _PymooSearch(BatchStrategy):
    """An algorithm of pymoo in progress.

    Attributes:
        infills: what it asked for, None before the first; told as it was asked for.
        unasked: places among the infills of those that are yet to be looked at, the next one last.
        numbers: key of a genome to the number of the network that was asked for it.
    """

    settings: Pymoo
    space: VectorSpace

    def __init__(self, settings: Pymoo, space: VectorSpace, seed: int, violation: Violation) -> None:
        super().__init__(settings, space, seed, violation)
        self.algorithm = settings.made(space, seed)
        self.infills: Population | Individual | None = None
        self.unasked: list[int] = []
        self.numbers: dict[str, int] = {}
        self._from_before: set[str] = set()
        self._stopped = False
        self._shared = np.random.RandomState(seed).get_state()
        self._unseeded = np.random.default_rng([seed, UNSEEDED])

    @property
    def size(self) -> int:
        return GENERATION

    @property
    def reason(self) -> str:
        return f"{self.settings.algorithm} asks for nothing new any more" if self._stopped else super().reason

    def _next(self) -> Proposal | None:
        """Genomes of earlier runs are among what the algorithm asks for first, so that it learns of them."""
        return self.propose()

    def propose(self) -> Proposal | None:
        for _ in range(IDLE):
            while self.unasked:
                proposal = self._looked_at(self._members()[self.unasked.pop()])
                if proposal is not None:
                    return proposal
            if self.current:
                return None
            if self._stopped:
                break
            self._next_generation()
        self._stopped = True
        if all(self.outside(number) for number in self.asked):  # it has found nothing within the bounds
            return self.random_new(self.rng(len(self.asked)))
        return None

    def learn(self, candidate: Candidate, outcome: Outcome) -> None:
        """A generation is told as a whole, when the next one is asked for."""

    def revise(self, outcome: Outcome) -> None:
        """Survivors compete with their new values from the next generation on."""
        super().revise(outcome)
        for member in self.algorithm.pop if self.algorithm.pop is not None else ():
            if self.numbers.get(key_of(self._genome(member))) == outcome.number:
                self._evaluate(member)

    def _looked_at(self, member: Individual) -> Proposal | None:
        """What to ask for to evaluate a member of the generation; None if that is not needed."""
        genome = self._genome(member)
        if not self.is_new(genome) or self.violation(genome):
            return None
        self.numbers[key_of(genome)] = len(self.asked)
        operator = SOWN if key_of(genome) in self._from_before else self.settings.algorithm
        return Proposal(genome, (), operator)

    def _next_generation(self) -> None:
        for member in self._members():
            self._evaluate(member)
        with self._own_random_numbers():
            if self.infills is not None:
                self.algorithm.tell(infills=self.infills)
            self.infills = self.algorithm.ask() if self.algorithm.has_next() else None
        members = self._members()
        for member, genome in zip(members, self.sown, strict=False):  # a few of its first ones
            member.X = self.space.genes(genome).astype(np.asarray(member.X).dtype)
        self._from_before |= {key_of(genome) for genome in self.sown[: len(members)]}
        self.sown = []
        self._stopped = not len(members)
        self.unasked = list(reversed(range(len(members))))

    @contextmanager
    def _own_random_numbers(self) -> Iterator[None]:
        """Some algorithms, such as cmaes, draw from the random numbers of NumPy that all share; and functions
        of pymoo that are not handed random numbers, as in nsga3, make new ones without a seed."""
        import pymoo.util

        others, numpy = np.random.get_state(), pymoo.util.np
        np.random.set_state(self._shared)
        pymoo.util.np = _Seeded(self._unseeded)
        try:
            yield
        finally:
            self._shared = np.random.get_state()
            np.random.set_state(others)
            pymoo.util.np = numpy

    def _members(self) -> Population:
        from pymoo.core.individual import Individual
        from pymoo.core.population import Population

        if self.infills is None:
            return Population()
        return Population.create(self.infills) if isinstance(self.infills, Individual) else self.infills

    def _genome(self, member: Individual) -> Genome:
        upper = self.space.upper
        return self.space.genome(
            np.clip(np.rint(np.asarray(member.X, dtype=float)), 0, upper).astype(np.int64)
        )

    def _evaluate(self, member: Individual) -> None:
        genome = self._genome(member)
        number = self.numbers.get(key_of(genome))
        outside = self.violation(genome) if number is None else self.outside(number)
        member.set("F", self.worse(outside) if number is None else self.objectives(number))
        member.set("G", np.array([outside] * self.algorithm.problem.n_ieq_constr))
        member.set("H", np.array([]))
        member.evaluated = {"F", "G", "H"}


class _Seeded:
    """NumPy as ``pymoo.util`` uses it, whose generators without a seed are one that has one."""

    def __init__(self, generator: np.random.Generator) -> None:
        self.generator = generator
        self.random = self

    def default_rng(self, seed: int | None = None) -> np.random.Generator:
        """The generator, unless there is a seed."""
        return self.generator if seed is None else np.random.default_rng(seed)


def _plain(name: str) -> str:
    """A name in one spelling: NSGA-II is nsga2."""
    plain = re.sub(r"[^a-z0-9]", "", name.lower())
    return re.sub("iii$", "3", plain) if plain.endswith("iii") else re.sub("ii$", "2", plain)


@cache
def _known(package: str) -> dict[str, tuple[str, str]]:
    """The algorithms of a package: name in one spelling to module and class. Read from the text of its
    modules: to import all of them takes seconds, and some need further packages."""
    classes: dict[str, tuple[str, list[str]]] = {}
    root = find_spec(package)
    for module in pkgutil.iter_modules(root.submodule_search_locations if root else None):
        file = find_spec(f"{package}.{module.name}")
        text = Path(file.origin).read_text(encoding="utf-8") if file and file.origin else ""
        for name, bases in re.findall(r"^class (\w+)\(([\w, .]+)\)", text, re.MULTILINE):
            classes[name] = (f"{package}.{module.name}", re.findall(r"\w+", bases))
    found: dict[str, tuple[str, str]] = {}
    roots = set(ROOTS) | {"NSGA2", "GA", "DE", "NSGA3", "MOEAD"}
    for _ in classes:
        more = {name for name, (_, bases) in classes.items() if roots & set(bases)} - roots
        if not more:
            break
        roots |= more
    for name in sorted(roots & classes.keys() - set(NOT_HERE)):
        found[_plain(name)] = (classes[name][0], name)
    return found


def _find(name: str, objectives: int) -> type[Algorithm]:
    """The class of an algorithm.

    Raises:
        ValueError: there is none of this name for so many objectives, or it needs another package.
    """
    wanted, other = ("one objective", "several objectives")[:: 1 if objectives == 1 else -1]
    if _plain(name) in (known := _known(PACKAGES[wanted])):
        module, cls = known[_plain(name)]
        try:
            return getattr(import_module(module), cls)  # type: ignore[no-any-return]
        except Exception as error:  # pymoo raises an Exception itself where numba is missing
            raise ValueError(f"pymoo cannot load {name}: {error}") from None
    names = ", ".join(sorted(known))
    if _plain(name) in _known(PACKAGES[other]):
        raise ValueError(f"{name} of pymoo is for {other}; for {wanted}, as here, it has {names}")
    raise ValueError(f"pymoo has no algorithm {name!r}; for {wanted} it has {names}")


def _arguments(kind: type[Algorithm]) -> set[str]:
    """The named arguments of a class and of the algorithms that it hands further ones to. The common base of
    genetic algorithms does not count: it takes operators for those, too, that bring their own mating."""
    from pymoo.algorithms.base.genetic import GeneticAlgorithm

    names: set[str] = set()
    for cls in kind.__mro__:
        init = vars(cls).get("__init__")
        if init is None or (cls is GeneticAlgorithm and kind is not cls):
            continue
        parameters = inspect.signature(init).parameters
        names |= set(parameters) - {"self", "args", "kwargs"}
        if "kwargs" not in parameters:
            break
    return names


def _directions(objectives: int, count: int) -> NDArray[np.float64]:
    """About evenly spaced directions, shape (count, objectives)."""
    from pymoo.util.ref_dirs import get_reference_directions

    if objectives == 2:
        return np.asarray(get_reference_directions("uniform", 2, n_partitions=count - 1))
    return np.asarray(get_reference_directions("energy", objectives, count, seed=1))
