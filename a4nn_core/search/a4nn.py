"""NSGA-II makes many candidates; a model of what networks will reach chooses those that are trained.

In each generation the variation of NSGA-II makes many children of the surviving networks, and more children
of the most promising ones. Each is judged by the expected growth of the measured front's hypervolume
(``improvement.py``), under the forecast of its error from its architecture, from the networks trained so far
and from earlier runs (``a4nn_core.penguin.predictor``); its costs are known. The networks of a batch are
chosen one after another, each as if those before had been measured as forecast, so that slots get different
networks. Some networks are left to NSGA-II, for what the model does not see.

Model-assisted evolution as in NSGANetV2 (Lu et al., ECCV 2020), with expected hypervolume improvement
(Emmerich et al., 2006) in place of a ranking by means.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from pydantic import Field, field_validator

from a4nn_core.metrics import (
    ACCURACY_PERCENT,
    BUILTIN,
    ERROR_PERCENT,
    Metric,
    find_metric,
)
from a4nn_core.penguin.observed import Observed
from a4nn_core.penguin.predictor import EarlierRuns, PerformancePredictor
from a4nn_core.penguin.slopes import SUPPOSED_IMAGES, log_error
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
    SAMPLED,
    Draft,
    Evolution,
    EvolutionSettings,
    Prediction,
    evolve,
)
from a4nn_core.search.improvement import Floats, Region, expected_growth
from a4nn_core.spaces.architecture import Architecture
from a4nn_core.spaces.base import Genes, SearchSpace
from a4nn_core.spaces.features import architecture_features
from a4nn_core.vocabulary import Direction

MODELLED = (ERROR_PERCENT.name, ACCURACY_PERCENT.name)
LESS_PROMISING = "less_promising"
EQUAL = "equal"
ALIKE = 0.1
"""share of differing genes at which one genome says less, by a factor of e, about another's failing"""


class A4NN(EvolutionSettings):
    """Of many children, those are trained that are expected to improve the front most."""

    name: Literal["a4nn"] = "a4nn"
    children: int = Field(default=200, ge=1)
    """genomes that are made and judged for each choice, and again in each further round"""
    rounds: int = Field(default=1, ge=0)
    """how often the most promising children get children themselves before the choice"""
    exploration: float = Field(default=0.1, ge=0, le=1)
    """share of the networks that the model does not choose"""
    considered: int = Field(default=20, ge=0)
    """genomes per generation that are recorded though they were not chosen, the most promising ones"""

    @field_validator("objectives")
    @classmethod
    def _predictable(cls, objectives: dict[str, Direction]) -> dict[str, Direction]:
        modelled = [name for name in objectives if name in MODELLED]
        others = [name for name in objectives if name not in MODELLED]
        unknown = [name for name in others if not find_metric(name).before_training]
        costs = ", ".join(metric.name for metric in BUILTIN.values() if metric.before_training)
        if unknown or len(modelled) != 1:
            found = (
                f"{unknown[0]} cannot be" if unknown else f"{' and '.join(modelled) or 'nothing'} would be"
            )
            raise ValueError(
                f"{found} predicted; a4nn needs one of {' and '.join(MODELLED)}, and otherwise metrics that "
                f"are known before training, such as {costs}"
            )
        return objectives

    def start(self, space: SearchSpace, seed: int, violation: Violation = no_violation) -> Strategy:
        raise TypeError("a4nn learns from architectures: call begin")

    def begin(self, space: SearchSpace, seed: int, violation: Violation, study: Study) -> Strategy:
        return evolve(self, space, seed, violation, _Model(self, space, violation, study))


@dataclass(frozen=True, slots=True)
class _Known:
    """What is known of a genome without training.

    Attributes:
        genes: the genome.
        observed: its features.
        costs: its objectives but the error, to be minimised.
        violation: how far it is outside the bounds.
    """

    genes: Genes
    observed: Observed
    costs: tuple[float, ...]
    violation: float


class _Model:
    """Chooses networks by the expected growth of the front."""

    def __init__(self, settings: A4NN, space: SearchSpace, violation: Violation, study: Study) -> None:
        self.settings = settings
        self.space = space
        self.violation = violation
        self.study = study
        self.earlier = EarlierRuns(study.past)
        self.costs = [
            (find_metric(name), way.sign) for name, way in settings.objectives.items() if name not in MODELLED
        ]
        self._known: dict[bytes, _Known] = {}
        self._hashes: dict[bytes, str] = {}
        self._choice: _Choice | None = None

    def choose(self, evolution: Evolution, position: int) -> Draft | None:
        generation = evolution.asking
        if self._choice is None or self._choice.merged != len(evolution.merged):
            self._choice = _Choice(self, evolution)
        exploring = evolution.rng(generation, position, 0, EXPLORATION).random() < self.settings.exploration
        return None if exploring else self._choice.next(evolution)

    def considered(self, evolution: Evolution) -> Sequence[Considered]:
        if self._choice is None or not evolution.batch_complete:
            return ()
        return self._choice.considered(evolution)

    def known(self, genes: Genes) -> _Known:
        """What is known of a genome; worked out once."""
        key = genes.tobytes()
        if key not in self._known:
            genome = self.space.genome(genes)
            architecture = self.study.decode(genome)
            costs = tuple(sign * _cost(metric, architecture) for metric, sign in self.costs)
            features = Observed(architecture_features(architecture))
            self._known[key] = _Known(genes, features, costs, self.violation(genome))
        return self._known[key]

    def hash(self, genes: Genes) -> str:
        """Hash of the architecture, so that none is trained twice."""
        key = genes.tobytes()
        if key not in self._hashes:
            self._hashes[key] = self.study.decode(self.space.genome(genes)).hash
        return self._hashes[key]

    def error(self, fitness: Mapping[str, float]) -> float:
        """Share of images that are taken for another class, on the scale of the forecasts."""
        return float(np.exp(log_error([_accuracy(fitness)], self.study.images or SUPPOSED_IMAGES))[0])

    def observed(self, genes: Genes, outcome: Outcome) -> Observed | None:
        """A network as the predictor sees it; None if it failed."""
        if outcome.fitness is None or not np.isfinite(_accuracy(outcome.fitness)):
            return None
        epochs = self.study.horizon if outcome.epochs is None else outcome.epochs
        training = () if outcome.training is None else (outcome.training,) * epochs
        features = self.known(genes).observed.features
        return Observed(features, (_accuracy(outcome.fitness),) * epochs, training)


def _accuracy(fitness: Mapping[str, float]) -> float:
    accuracy = fitness.get(ACCURACY_PERCENT.name)
    return 100 - fitness.get(ERROR_PERCENT.name, np.nan) if accuracy is None else accuracy


def _cost(metric: Metric, architecture: Architecture) -> float:
    value = metric.value(architecture)
    return np.nan if value is None else value


class _Choice:
    """The choices between two changes of the population: one model, and the same children for all of them."""

    def __init__(self, model: _Model, evolution: Evolution) -> None:
        self.model = model
        self.merged = len(evolution.merged)
        self.generation = evolution.asking
        told = [(evolution.genes(number), evolution.outcomes[number]) for number in evolution.merged]
        seen = [(genes, model.observed(genes, outcome)) for genes, outcome in told]
        trained = [(genes, one) for genes, one in seen if one is not None]
        self.failed = [
            genes
            for (genes, one), (_, outcome) in zip(seen, told, strict=True)
            if one is None and not outcome.violation
        ]
        self.trained = [genes for genes, _ in trained]
        study = model.study
        self.predictor = PerformancePredictor(
            [one for _, one in trained], study.horizon, study.images, study.curves, model.earlier
        )
        self.front_costs = np.array([model.known(genes).costs for genes in self.trained])
        self.front_costs = self.front_costs.reshape(len(self.trained), len(model.costs))
        self.errors = np.array(
            [model.error(outcome.fitness) for (_, one), (_, outcome) in zip(seen, told, strict=True)
             if one is not None and outcome.fitness is not None]
        )  # fmt: skip
        self.equal: set[bytes] = set()
        self.pool: dict[bytes, Draft] = {}
        self._growth: dict[bytes, float] = {}
        # nothing to learn from: the first generation without earlier runs, or all networks failed
        if len(trained) > 1 or any(run.networks for run in study.past):
            self._breed(evolution)

    def _breed(self, evolution: Evolution) -> None:
        """Make children, and children of the most promising ones."""
        count = self.model.settings.children
        rng = evolution.rng(self.generation, self.merged, 0, POOL)
        parents = evolution.survivors()
        if parents:
            self._add(evolution.vary(parents, count, rng))
        else:
            upper = evolution.space.upper
            self._add([Draft(rng.integers(0, upper + 1), (), SAMPLED) for _ in range(count)])
        for _ in range(self.model.settings.rounds):
            growth = self._growths(evolution)
            best = sorted(self.pool, key=lambda key: -growth[key])[: self.model.settings.population]
            promising = [*parents, *(self.pool[key] for key in best)]
            if promising:
                self._add(evolution.vary(promising, count, rng))

    def _add(self, drafts: Sequence[Draft]) -> None:
        for draft in drafts:
            if self.model.known(draft.genes).violation == 0.0:
                self.pool.setdefault(draft.genes.tobytes(), draft)

    def next(self, evolution: Evolution) -> Draft | None:
        """The most promising child that is new; None if there is none."""
        growth = self._growth = self._growths(evolution)
        asked = {self.model.hash(evolution.genes(number)) for number in evolution.asked}
        for key in sorted(growth, key=lambda key: -growth[key]):
            if growth[key] <= 0:
                return None
            draft = self.pool[key]
            if self.model.hash(draft.genes) in asked:
                self.equal.add(key)
                continue
            return draft._replace(prediction=self._prediction(draft))
        return None

    def _prediction(self, draft: Draft) -> Prediction:
        [forecast] = self.predictor.predict([self.model.known(draft.genes).observed])
        return Prediction(forecast.accuracy, *forecast.interval)

    def considered(self, evolution: Evolution) -> list[Considered]:
        """The most promising children that were not chosen."""
        asked = {candidate_genes.tobytes() for candidate_genes in map(evolution.genes, evolution.asked)}
        left = [key for key in sorted(self._growth, key=lambda key: -self._growth[key]) if key not in asked]
        found = []
        for key in left[: self.model.settings.considered]:
            draft = self.pool[key]
            predicted = self._prediction(draft)
            found.append(
                Considered(
                    genome=self.model.space.genome(draft.genes),
                    parents=draft.parents,
                    operator=draft.operator,
                    generation=self.generation,
                    reason=EQUAL if key in self.equal else LESS_PROMISING,
                    predicted=predicted.accuracy,
                    low=predicted.low,
                    high=predicted.high,
                    expected_improvement=self._growth[key],
                )
            )
        return found

    def _growths(self, evolution: Evolution) -> dict[bytes, float]:
        """Expected growth of the front by each child, as if the networks in training were measured."""
        if not self.pool:
            return {}
        keys = list(self.pool)
        pending = [self.model.known(genes) for genes in evolution.pending()]
        children = [self.model.known(self.pool[key].genes) for key in keys]
        both = [*pending, *children]
        forecast = self.predictor.before_training([one.observed for one in both])
        for place in range(len(pending)):
            forecast = forecast.as_if(place)
        costs = np.array([one.costs for one in both]).reshape(len(both), len(self.model.costs))
        believed = np.exp(forecast.log_error)
        known = len(pending)
        front_costs = np.concatenate([self.front_costs, costs[:known]])
        errors = np.concatenate([self.errors, believed[:known]])
        region = Region(
            low=np.min(np.concatenate([front_costs, costs]), axis=0),
            high=np.max(np.concatenate([front_costs, costs]), axis=0),
            error=float(np.max(self.errors if len(self.errors) else believed)) ** POWER,
        )
        growth = expected_growth(
            region,
            front_costs,
            errors**POWER,
            costs[known:],
            forecast.log_error[known:] * POWER,
            forecast.deviation[known:] * POWER,
        )
        return dict(zip(keys, (growth * self._success(children)).tolist(), strict=True))

    def _success(self, children: Sequence[_Known]) -> Floats:
        """The chance that networks do not fail, by how those with similar genomes did."""
        if not self.failed:
            return np.ones(len(children))
        genes = np.array([one.genes for one in children])

        def near(others: Sequence[Genes]) -> Floats:
            others = np.array(others).reshape(-1, genes.shape[1])
            return np.exp(-(genes[:, None] != others).mean(axis=2) / ALIKE).sum(axis=1)

        good = 1 + near(self.trained)
        return good / (good + near(self.failed))


POWER = 0.5
