"""NSGA-II makes many candidates; a model of what networks will reach chooses those that are trained.

In each generation the variation of NSGA-II makes many children of the surviving networks, and more children
of the most promising ones. Each is judged by the expected growth of the measured front's hypervolume
(``improvement.py``), under the forecast of its error from its architecture, from the networks trained so far
and from earlier runs (``a4nn_core.penguin.predictor``); its costs are known. The networks of a batch are
chosen one after another, each as if those before had been measured as forecast, so that slots get different
networks; those that were ended early count by what is forecast for them, too. Some networks are left to
NSGA-II, for what the model does not see.

Model-assisted evolution as in NSGANetV2 (Lu et al., ECCV 2020), with expected hypervolume improvement
(Emmerich et al., 2006) in place of a ranking by means.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
from pydantic import Field, field_validator, model_validator

from a4nn_core.component import Unit
from a4nn_core.metrics import (
    ACCURACY_PERCENT,
    BEFORE_TRAINING,
    ERROR_PERCENT,
    PSNR_DB,
    Metric,
    find_metric,
)
from a4nn_core.penguin.observed import Observed
from a4nn_core.penguin.predictor import EarlierRuns, PerformancePredictor
from a4nn_core.search.base import (
    Considered,
    Outcome,
    Strategy,
    Study,
    Violation,
    no_violation,
)
from a4nn_core.search.evolution import (
    EXPLORATION,
    POOL,
    Draft,
    Evolution,
    EvolutionSettings,
    Prediction,
    evolve,
)
from a4nn_core.search.improvement import Floats, Region, expected_growth
from a4nn_core.search.variation import SAMPLED
from a4nn_core.spaces.architecture import Architecture
from a4nn_core.spaces.base import Genes, VectorSpace
from a4nn_core.spaces.features import architecture_features
from a4nn_core.vocabulary import Direction

MODELLED = (ERROR_PERCENT.name, ACCURACY_PERCENT.name, PSNR_DB.name)
LESS_PROMISING = "less_promising"
EQUAL = "equal"
MUTATED = 3.0
"""genes of a child drawn for mutation, on average; more than in NSGA-II, as bad children cost nothing"""
POWER = 0.5
"""of the error, by which fronts are compared: in its square root, standard errors are of about equal size"""
USUAL = 0.9
"""share of the networks so far whose error is small enough to count: with the largest one as the reference,
networks that guess but cost nothing make the cheap end the whole front, and the accurate end is neglected"""
ROOM = 0.1
"""beyond the greatest cost, as a share of the range of costs"""
ALIKE = 0.1
"""share of differing genes at which one genome says less, by a factor of e, about another's failing"""


class A4NN(EvolutionSettings):
    """Of many children, those are trained that are expected to improve the front most."""

    name: Literal["a4nn"] = "a4nn"
    children: Annotated[int, Unit("genomes")] = Field(default=200, ge=1)
    """genomes that are made and judged for each choice, and again in each further round"""
    rounds: Annotated[int, Unit("rounds")] = Field(default=2, ge=0)
    """how often the most promising children get children themselves before the choice"""
    exploration: float = Field(default=0.1, ge=0, le=1)
    """share of the networks that the model does not choose"""
    considered: Annotated[int, Unit("genomes")] = Field(default=20, ge=0)
    """genomes per generation that are recorded though they were not chosen, the most promising ones"""

    @field_validator("objectives")
    @classmethod
    def _predictable(cls, objectives: dict[str, Direction]) -> dict[str, Direction]:
        modelled = [name for name in objectives if name in MODELLED]
        others = [name for name in objectives if name not in MODELLED]
        unknown = [name for name in others if not find_metric(name).before_training]
        costs = ", ".join(name for name in BEFORE_TRAINING if find_metric(name).repeatable)
        if unknown or len(modelled) != 1:
            found = (
                f"{unknown[0]} cannot be" if unknown else f"{' and '.join(modelled) or 'nothing'} would be"
            )
            raise ValueError(
                f"{found} predicted; a4nn needs one of {' and '.join(MODELLED)}, and otherwise metrics that "
                f"are known before training, such as {costs}"
            )
        return objectives

    @model_validator(mode="after")
    def _looks_at_hundreds(self) -> A4NN:
        for name in (*self.objectives, *(self.constraints or ())):
            if not find_metric(name).repeatable:
                raise ValueError(
                    f"{name} is measured, and a4nn would measure {self.children * (1 + self.rounds)} "
                    "networks for each choice; take mflops, parameters or peak_memory instead, or nsga-net"
                )
        return self

    def start(self, space: VectorSpace, seed: int, violation: Violation = no_violation) -> Strategy:
        del space, seed, violation
        raise TypeError("a4nn learns from architectures: call begin")

    def begin(self, space: VectorSpace, seed: int, violation: Violation, study: Study) -> Strategy:
        return evolve(self, space, seed, violation, Model(self, space, violation, study))


@dataclass(frozen=True, slots=True)
class _Known:
    """What is known of a genome without training.

    Attributes:
        genes: the genome.
        features: of its architecture.
        costs: its objectives but the error, to be minimised.
        violation: how far it is outside the bounds.
    """

    genes: Genes
    features: Observed
    costs: tuple[float, ...]
    violation: float


class Model:
    """Chooses networks by the expected growth of the front."""

    def __init__(self, settings: A4NN, space: VectorSpace, violation: Violation, study: Study) -> None:
        self.settings = settings
        self.space = space
        self.violation = violation
        self.study = study
        self.earlier = EarlierRuns(study.past)
        self.costs = [
            (find_metric(name), way.sign) for name, way in settings.objectives.items() if name not in MODELLED
        ]
        self.remembered: dict[bytes, _Known] = {}
        self._hashes: dict[bytes, str] = {}
        self._choice: _Choice | None = None

    def choose(self, evolution: Evolution, position: int) -> Draft | None:
        if evolution.asking == 0 and not self.study.past:
            return None
        if self._choice is None or self._choice.merged != len(evolution.merged):
            self._choice = _Choice(self, evolution)
            self._forget(evolution)
        chance = evolution.rng(evolution.asking, position, 0, EXPLORATION).random()
        return None if chance < self.settings.exploration else self._choice.next(evolution)

    def considered(self, evolution: Evolution) -> Sequence[Considered]:
        count = self.settings.considered
        if self.settings.schedule == "steady":  # a choice of one network, rather than of a generation
            count = -(-count // self.settings.offspring)
        if self._choice is None or not evolution.batch_complete:
            return ()
        return self._choice.considered(evolution, count)

    def known(self, genes: Genes) -> _Known:
        """What is known of a genome; worked out once."""
        key = genes.tobytes()
        if key not in self.remembered:
            genome = self.space.genome(genes)
            architecture = self.study.decode(genome)
            costs = tuple(sign * _cost(metric, architecture) for metric, sign in self.costs)
            features = Observed(architecture_features(architecture))
            self.remembered[key] = _Known(genes, features, costs, self.violation(genome))
        return self.remembered[key]

    def _forget(self, evolution: Evolution) -> None:
        """Keep what is known of the present children, whose children may be like them, and of networks."""
        kept = {evolution.genes(number).tobytes() for number in evolution.asked}
        if self._choice is not None:
            kept |= self._choice.pool.keys()
        self.remembered = {key: one for key, one in self.remembered.items() if key in kept}

    def hash(self, genes: Genes) -> str:
        """Hash of the architecture of a genome; worked out once, and only where it is needed."""
        key = genes.tobytes()
        if key not in self._hashes:
            self._hashes[key] = self.study.decode(self.space.genome(genes)).hash
        return self._hashes[key]

    def predictor(self, networks: Sequence[Observed]) -> PerformancePredictor:
        """A predictor that has learned from networks of this run, and from earlier runs."""
        study = self.study
        return PerformancePredictor(networks, study.horizon, study.measure, study.curves, self.earlier)

    def error(self, fitness: Mapping[str, float]) -> float:
        """The measured error on the scale of the forecasts: the share of wrong answers, or the mean squared
        error of restored images."""
        return float(np.exp(self.study.measure.log_error(_reached(fitness))))

    def observed(self, known: _Known, outcome: Outcome) -> Observed:
        """A trained network as the predictor sees it; what it reached stands for its curve."""
        assert outcome.fitness is not None
        epochs = self.study.horizon if outcome.epochs is None else outcome.epochs
        training = () if outcome.training is None else (outcome.training,) * epochs
        return Observed(known.features.features, (_reached(outcome.fitness),) * epochs, training)


def _reached(fitness: Mapping[str, float]) -> float:
    """What was measured, as curves have it: an accuracy in percent, or a ratio in decibels."""
    for name in (ACCURACY_PERCENT.name, PSNR_DB.name):
        if name in fitness:
            return fitness[name]
    return 100 - fitness.get(ERROR_PERCENT.name, np.nan)


def _cost(metric: Metric, architecture: Architecture) -> float:
    value = metric.value(architecture)
    return np.nan if value is None else value


class _Choice:
    """The choices between two changes of the population: one model, and the same children for all of them."""

    def __init__(self, model: Model, evolution: Evolution) -> None:
        self.model = model
        self.merged = len(evolution.merged)
        trained: list[tuple[_Known, Observed, float]] = []
        self.failed: list[Genes] = []
        for number in evolution.merged:
            genes, outcome = evolution.genes(number), evolution.outcomes[number]
            known = model.known(genes)
            if outcome.fitness is not None and np.isfinite([_reached(outcome.fitness), *known.costs]).all():
                trained.append((known, model.observed(known, outcome), model.error(outcome.fitness)))
            elif not outcome.violation:
                self.failed.append(genes)
        self.trained = [known for known, _, _ in trained]
        self.predictor = model.predictor([observed for _, observed, _ in trained])
        # what was ended early is measured lower than it would reach; a new network must better that, not this
        forecasts = self.predictor.predict([observed for _, observed, _ in trained])
        self.errors = np.array(
            [min(error, np.exp(f.log_error)) for (_, _, error), f in zip(trained, forecasts, strict=True)]
        )
        self.pool: dict[bytes, Draft] = {}
        self.growth: dict[bytes, float] = {}
        self.equal: set[bytes] = set()
        # otherwise there is nothing to learn from, as all networks failed
        if len(trained) > 1 or any(run.networks for run in model.study.past):
            self._breed(evolution)

    def _breed(self, evolution: Evolution) -> None:
        """Make children, and children of the most promising ones."""
        settings = self.model.settings
        rng = evolution.rng(evolution.asking, self.merged, 0, POOL)
        parents = evolution.survivors()
        if parents:
            self._add(evolution.vary(parents, settings.children, MUTATED, rng))
        else:
            upper = evolution.space.upper
            self._add([Draft(rng.integers(0, upper + 1), (), SAMPLED) for _ in range(settings.children)])
        for _ in range(settings.rounds):
            growth = self._growths(evolution)
            best = sorted(growth, key=lambda key: -growth[key])[: settings.population]
            if promising := [*parents, *(self.pool[key] for key in best)]:
                self._add(evolution.vary(promising, settings.children, MUTATED, rng))

    def _add(self, drafts: Sequence[Draft]) -> None:
        for draft in drafts:
            known = self.model.known(draft.genes)
            if known.violation == 0.0 and np.isfinite(known.costs).all():
                self.pool.setdefault(draft.genes.tobytes(), draft)

    def next(self, evolution: Evolution) -> Draft | None:
        """The most promising child that builds a new architecture; None if there is none."""
        self.growth = self._growths(evolution)
        asked = {self.model.hash(evolution.genes(number)) for number in evolution.asked}
        for key, draft in self._best_first():
            if self.growth[key] <= 0:
                break
            if self.model.hash(draft.genes) not in asked:
                return draft._replace(prediction=self._prediction(draft))
            self.equal.add(key)
        return None

    def _best_first(self) -> list[tuple[bytes, Draft]]:
        return [(key, self.pool[key]) for key in sorted(self.growth, key=lambda key: -self.growth[key])]

    def _prediction(self, draft: Draft) -> Prediction:
        [forecast] = self.predictor.predict([self.model.known(draft.genes).features])
        return Prediction(forecast.value, *forecast.interval)

    def considered(self, evolution: Evolution, count: int) -> list[Considered]:
        """The most promising children that were not chosen."""
        asked = {evolution.genes(number).tobytes() for number in evolution.asked}
        left = [(key, draft) for key, draft in self._best_first() if key not in asked]
        found = []
        for key, draft in left[:count]:
            accuracy, low, high = self._prediction(draft)
            found.append(
                Considered(
                    genome=self.model.space.genome(draft.genes),
                    parents=draft.parents,
                    operator=draft.operator,
                    generation=evolution.asking,
                    reason=EQUAL if key in self.equal else LESS_PROMISING,
                    predicted=accuracy,
                    low=low,
                    high=high,
                    expected_improvement=self.growth[key],
                )
            )
        return found

    def _growths(self, evolution: Evolution) -> dict[bytes, float]:
        """Expected growth of the front by each child, as if the networks in training were measured."""
        if not self.pool:
            return {}
        pending = [self.model.known(genes) for genes in evolution.pending()]
        children = [self.model.known(draft.genes) for draft in self.pool.values()]
        forecast = self.predictor.before_training([one.features for one in (*pending, *children)])
        for place in range(len(pending)):
            forecast = forecast.as_if(place)
        believed, first = np.exp(forecast.log_error), len(pending)
        costs = self._costs([*self.trained, *pending, *children])
        known = len(self.trained) + first
        worst = np.quantile(self.errors if self.trained else believed, USUAL)
        low, high = costs.min(axis=0), costs.max(axis=0)
        # so that the most costly network counts, too, as does the error where all cost the same
        room = ROOM * np.where(high > low, high - low, np.maximum(abs(high), 1.0))
        growth = expected_growth(
            Region(low, high + room, float(worst) ** POWER),
            costs[:known],
            np.concatenate([self.errors, believed[:first]]) ** POWER,
            costs[known:],
            forecast.log_error[first:] * POWER,
            forecast.deviation[first:] * POWER,
        )
        growth *= self._success(children)
        # the last digits depend on the machine; without them, genomes that the model cannot tell apart are
        # chosen in the order in which they were made, everywhere
        return {key: float(f"{value:.6g}") for key, value in zip(self.pool, growth, strict=True)}

    def _costs(self, networks: Sequence[_Known]) -> Floats:
        return np.array([one.costs for one in networks]).reshape(len(networks), len(self.model.costs))

    def _success(self, children: Sequence[_Known]) -> Floats:
        """The chance that networks do not fail, by how those with similar genomes did."""
        genes = np.array([one.genes for one in children])

        def near(others: Sequence[Genes]) -> Floats:
            differing = (genes[:, None] != np.array(others).reshape(-1, genes.shape[1])).mean(axis=2)
            return np.asarray(np.exp(-differing / ALIKE).sum(axis=1))

        good = 1 + near([one.genes for one in self.trained])
        return np.asarray(good / (good + near(self.failed)))
