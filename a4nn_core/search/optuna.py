"""Samplers of Optuna (Akiba et al., KDD 2019) as strategies: the tree-structured Parzen estimator (Bergstra
et al., NeurIPS 2011; for several objectives Ozaki et al., 2022) and NSGA-II (Deb et al., 2002).

Every gene is a categorical parameter, so that no order of its values is supposed. Settings are Optuna's own,
which are the published ones, but for what is a setting here. A network that failed or is outside the
bounds violates a constraint, and has values worse than all so far. Genomes that were asked for before are
drawn again.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import TYPE_CHECKING, Annotated, Literal, Self

from pydantic import Field, model_validator

from a4nn_core.component import Unit
from a4nn_core.search.base import Candidate, Outcome, Strategy, Violation, no_violation
from a4nn_core.search.batches import BatchSettings, BatchStrategy
from a4nn_core.search.variation import Proposal
from a4nn_core.spaces.base import Genome, VectorSpace

if TYPE_CHECKING:
    from optuna.samplers import BaseSampler
    from optuna.trial import FrozenTrial, Trial

REDRAWN = 20
"""draws of the sampler for a genome that is new; after these, the sampler is given a random one"""
OUTSIDE = "outside"
"""user attribute of a trial: its violation of the bounds"""


class Optuna(BatchSettings):
    """A sampler of Optuna chooses; every gene is a categorical parameter."""

    name: Literal["optuna"] = "optuna"
    sampler: Literal["tpe", "nsga-ii"] = "tpe"
    """the tree-structured Parzen estimator, or NSGA-II"""
    initial: Annotated[int, Unit("networks")] = Field(default=10, ge=1)
    """random networks before tpe begins to choose"""
    population: Annotated[int, Unit("networks")] = Field(default=50, ge=2)
    """networks of a generation of nsga-ii"""

    @model_validator(mode="after")
    def _installed(self) -> Self:
        if find_spec("optuna") is None:
            raise ValueError(
                "search optuna needs Optuna: pip install 'a4nn[optuna]'; without it, random, local-search, "
                "regularised-evolution, nsga-net and a4nn can be used"
            )
        return self

    def can_sow(self) -> bool:
        """Optuna's NSGA-II takes no trial into its population that it has not drawn itself."""
        return self.sampler != "nsga-ii"

    def start(self, space: VectorSpace, seed: int, violation: Violation = no_violation) -> Strategy:
        return _OptunaSearch(self, space, seed, violation)


class _OptunaSearch(BatchStrategy):
    """A study in memory. It is told nothing but what was learned, so that it repeats from the event log."""

    settings: Optuna
    space: VectorSpace

    def __init__(self, settings: Optuna, space: VectorSpace, seed: int, violation: Violation) -> None:
        from optuna import create_study
        from optuna.distributions import CategoricalDistribution

        super().__init__(settings, space, seed, violation)
        with _silent():
            # objectives are told with the sign that makes them to be minimised
            directions = ["minimize"] * len(settings.objectives)
            self.study = create_study(sampler=_sampler(settings, seed), directions=directions)
        self.parameters = {
            f"gene {place}": CategoricalDistribution(range(int(most) + 1))
            for place, most in enumerate(space.upper)
        }
        self.trials: dict[int, Trial] = {}

    def propose(self) -> Proposal | None:
        from optuna.trial import TrialState

        for _ in range(REDRAWN):
            trial = self._draw()
            genome = self._genome(trial)
            if not self.is_new(genome):
                self.study.tell(trial, state=TrialState.FAIL)
            elif outside := self.violation(genome):
                self._tell(trial, outside, [outside] * len(self.settings.objectives))
            else:
                return self._proposed(trial, genome, self.settings.sampler)
        found = self.random_new(self.rng(len(self.asked)))
        return None if found is None else self._given(found.genome, found.operator)

    def propose_sown(self, genome: Genome) -> Proposal:
        proposal = super().propose_sown(genome)
        return self._given(genome, proposal.operator) if proposal.key not in self.seen else proposal

    def _given(self, genome: Genome, operator: str) -> Proposal:
        """A trial of a genome that the sampler did not draw."""
        genes = self.space.genes(genome)
        self.study.enqueue_trial(dict(zip(self.parameters, map(int, genes), strict=True)))
        return self._proposed(self._draw(), genome, operator)

    def _draw(self) -> Trial:
        with _silent():
            return self.study.ask(dict(self.parameters))

    def _genome(self, trial: Trial) -> Genome:
        return self.space.genome([trial.params[name] for name in self.parameters])

    def _proposed(self, trial: Trial, genome: Genome, operator: str) -> Proposal:
        self.trials[len(self.asked)] = trial
        return Proposal(genome, (), operator)

    def learn(self, candidate: Candidate, outcome: Outcome) -> None:
        del outcome
        number = candidate.number
        self._tell(self.trials.pop(number), self.outside(number), self.objectives(number).tolist())

    def _tell(self, trial: Trial, outside: float, values: list[float]) -> None:
        trial.set_user_attr(OUTSIDE, outside)
        with _silent():
            self.study.tell(trial, values)

    def revise(self, outcome: Outcome) -> None:
        """Optuna cannot change what it was told; it is told of another trial with the same genome. (NSGA-II
        goes on with the first values.)"""
        super().revise(outcome)
        number = outcome.number
        genes = self.space.genes(self.asked[number].genome)
        from optuna.trial import create_trial

        self.study.add_trial(
            create_trial(
                params=dict(zip(self.parameters, map(int, genes), strict=True)),
                distributions=dict(self.parameters),
                values=self.objectives(number).tolist(),
                user_attrs={OUTSIDE: self.outside(number)},
            )
        )


def _sampler(settings: Optuna, seed: int) -> BaseSampler:
    from optuna.samplers import NSGAIISampler, TPESampler

    with _silent():
        if settings.sampler == "nsga-ii":
            return NSGAIISampler(
                population_size=settings.population, seed=seed, constraints_func=_constraints
            )
        return TPESampler(
            n_startup_trials=settings.initial,
            multivariate=True,
            constant_liar=True,
            seed=seed,
            constraints_func=_constraints,
        )


def _constraints(trial: FrozenTrial) -> tuple[float]:
    return (trial.user_attrs[OUTSIDE],)


@contextmanager
def _silent() -> Iterator[None]:
    """Without what Optuna says of itself: which of its parts are experimental, and that a study was made."""
    from optuna import logging
    from optuna.exceptions import ExperimentalWarning

    verbosity = logging.get_verbosity()
    logging.set_verbosity(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExperimentalWarning)
            warnings.simplefilter("ignore", FutureWarning)
            yield
    finally:
        logging.set_verbosity(verbosity)
