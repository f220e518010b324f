"""Does ending training early mislead the search? Whole searches on a surrogate of training.

    OPENBLAS_NUM_THREADS=1 python benchmarks/misleading.py --data $A4NN_REFERENCE_DATA \
        [--beams 1e15 --seeds 20 --networks 100]

NSGA-Net asks for networks, the surrogate (``surrogate.py``) trains them, and the rule is asked as the search
loop asks it, generation by generation, in memory (``tests/test_misleading.py`` holds this against the loop).
A seed is that of the search and of the surrogate's deviations, the same for all rules. What is compared are
the values that networks have at the end of their complete curves. Lines of ``front`` are fitted without the
beam; its prior is a search of another beam without termination, or that one with its curves shuffled among
the networks. Writes Markdown to the standard output.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from forecasts import BEAMS, after, published, without
from numpy.typing import NDArray
from pydantic import PrivateAttr
from scipy.stats import kendalltau
from surrogate import Surrogate, Trained

from a4nn_core.hypervolume import hypervolume
from a4nn_core.metrics import DEFAULT_OBJECTIVES, on_front
from a4nn_core.penguin.measure import Kind, Measure
from a4nn_core.penguin.observed import Observed, Past
from a4nn_core.penguin.slopes import Slopes
from a4nn_core.search.base import Candidate, Outcome
from a4nn_core.search.nsga_net import NSGANet
from a4nn_core.spaces.architecture import Architecture, Shape
from a4nn_core.spaces.base import SearchSpace
from a4nn_core.spaces.macro import Macro
from a4nn_core.termination import RULES, TerminationRule
from a4nn_core.termination.base import Context, FrontSnapshot
from a4nn_core.termination.front import Front
from a4nn_core.termination.peers import Member, PeerJudge, PeerRule, Population
from a4nn_core.vocabulary import Action

SHAPE, CLASSES = (1, 128, 128), 2
OTHER_SEED = 1000
"""added to the seed of a search for that of its prior"""
LIKENESS_SEEDS = 6


class FittedFront(Front):
    """The rule with lines that are not the package's."""

    _slopes: Mapping[Kind, Slopes] = PrivateAttr()

    @classmethod
    def of(cls, slopes: Mapping[Kind, Slopes]) -> FittedFront:
        """The rule with its defaults."""
        made = cls()
        made._slopes = slopes
        return made

    def begin(self, slopes: Mapping[Kind, Slopes] | None = None) -> PeerJudge:
        """See Front."""
        return super().begin(slopes or self._slopes)


class MemorySearch:
    """A generational search that keeps nothing: the loop without executor, events and records.

    Args:
        settings: of the strategy.
        space: of architectures.
        surrogate: trains them.
        rule: ends or pauses their training.
        seed: of the strategy.
        past: earlier runs that the rule may learn from.
        shape, classes: of the images.

    Attributes:
        candidates: all networks that were asked for, by number.
        trained: those of them that equal none before them.
        epochs: that each of these was trained.
    """

    def __init__(
        self,
        settings: NSGANet,
        space: SearchSpace,
        surrogate: Surrogate,
        rule: TerminationRule,
        seed: int,
        past: tuple[Past, ...] = (),
        shape: Shape = SHAPE,
        classes: int = CLASSES,
    ) -> None:
        self.candidates: dict[int, Candidate] = {}
        self.trained: dict[int, Trained] = {}
        self.epochs: dict[int, int] = {}
        self._run, self._surrogate, self._rule, self._past = surrogate.run, surrogate, rule, past
        self._strategy = settings.start(space, seed)
        self._count = settings.networks
        self._decode = lambda genome: space.decode(genome, shape, classes)
        self._peers = rule if isinstance(rule, PeerRule) else None
        self._judge = self._peers.begin() if self._peers else None
        self._architectures: dict[int, Architecture] = {}
        self._first: dict[str, int] = {}
        self._waiting: set[int] = set()
        self._told: dict[int, Mapping[str, float]] = {}

    def run(self) -> MemorySearch:
        """Search to the end."""
        while not self._strategy.finished:
            generation = self._strategy.generation
            new = self._ask()
            self._train(new, generation)
            self._tell_equal()
            while promoted := self._promoted():
                self._train(promoted, generation)
                self._tell_equal()
            self._report()
            self._tell_equal()
        while promoted := self._promoted(final=True):
            self._train(promoted, self._strategy.generation)
        return self

    def _ask(self) -> list[int]:
        """The networks of the next generation that equal none before them."""
        new = []
        for candidate in self._strategy.ask(self._count):
            number = candidate.number
            architecture = self._decode(candidate.genome)
            self.candidates[number], self._architectures[number] = candidate, architecture
            if self._first.setdefault(architecture.hash, number) == number:
                self.trained[number], self.epochs[number] = self._surrogate.train(architecture), 0
                new.append(number)
        self._tell_equal()
        return new

    def _train(self, numbers: Sequence[int], generation: int) -> None:
        front = FrontSnapshot.of(
            generation,
            [self._told[n] for n in sorted(self._told) if self.candidates[n].generation < generation],
            DEFAULT_OBJECTIVES,
        )
        horizon = self._run.horizon
        for number in numbers:
            curve = self.trained[number].whole.validation
            before = self.epochs[number]
            if self._peers:
                self.epochs[number] = self._peers.next_judgement(before, horizon)
                if self.epochs[number] < horizon:
                    self._waiting.add(number)
                continue
            context = Context(
                horizon=horizon,
                schedule="annealed",
                curves=self._run.curves,
                fixed={"mflops": self._architectures[number].flops / 1e6},
                front=front,
            )
            ends = (
                k for k in range(1, horizon) if self._rule.judge(curve[:k], context).action is Action.stop
            )
            self.epochs[number] = next(ends, horizon)

    def _promoted(self, final: bool = False) -> list[int]:
        """The networks that wait and are to go on."""
        if self._judge is None or not self._waiting:
            return []
        members = tuple(
            Member(
                number,
                self.candidates[number].generation,
                after(self.trained[number].whole, epochs),
                {"mflops": self._architectures[number].flops / 1e6},
            )
            for number, epochs in sorted(self.epochs.items())
        )
        run = self._run
        population = Population(
            members, frozenset(self._waiting), run.horizon, run.measure, run.curves, final, self._past
        )
        verdicts = self._judge.compare(population)
        promoted = [n for n in sorted(self._waiting) if verdicts[n].action is Action.proceed]
        self._waiting -= {n for n in self._waiting if verdicts[n].action is not Action.pause}
        return promoted

    # what the strategy hears

    def _fitness(self, number: int) -> Mapping[str, float]:
        architecture = self._architectures[number]
        original = self._first[architecture.hash]
        best = max(self.trained[original].whole.validation[: self.epochs[original]])
        return {"error_percent": 100 - best, "mflops": architecture.flops / 1e6}

    def _tell(self, number: int) -> None:
        fitness = self._fitness(number)
        if self._told.get(number) == fitness:
            return
        report = self._strategy.revise if number in self._told else self._strategy.tell
        self._told[number] = fitness
        report(Outcome(number, fitness))

    def _report(self) -> None:
        """How far each network has come; what is known already first, as survival looks at all."""
        for number in sorted(self.epochs, key=lambda n: (n not in self._told, n)):
            self._tell(number)
        for number in sorted(self._told):
            self._tell(number)

    def _tell_equal(self) -> None:
        """What networks share with one that they equal, as soon as that is known."""
        for number in self.candidates:
            original = self._first[self._architectures[number].hash]
            known = original in self._told or self.epochs[original] == self._run.horizon
            if original != number and number not in self._told and known:
                self._tell(number)


@dataclass(frozen=True)
class Found:
    """What a search found, and what it took.

    Attributes:
        saved: share of the epochs that were not trained, of all networks to the end.
        kept: places in ``final`` of the networks on the front by the scores that the search had.
        final, expected: accuracies in percent by the last epoch, and without deviations.
        costs: in millions of multiply-adds.
    """

    saved: float
    kept: tuple[int, ...]
    final: NDArray[np.float64]
    expected: NDArray[np.float64]
    costs: NDArray[np.float64]

    @classmethod
    def of(cls, search: MemorySearch, horizon: int) -> Found:
        """What a search that is over found."""
        networks = [search.trained[n].whole for n in search.epochs]
        epochs = list(search.epochs.values())
        scores = [max(n.validation[:e]) for n, e in zip(networks, epochs, strict=True)]
        costs = np.exp([n.features["log_flops"] for n in networks]) / 1e6
        return cls(
            1 - sum(epochs) / horizon / len(epochs),
            _front(scores, costs),
            np.array([max(n.validation) for n in networks]),
            np.array([search.trained[n].expected for n in search.epochs]),
            costs,
        )


def _front(scores: Sequence[float], costs: NDArray[np.float64]) -> tuple[int, ...]:
    """Places of the networks on the front, the cheapest first."""
    points = [{"error_percent": 100 - s, "mflops": c} for s, c in zip(scores, costs, strict=True)]
    stay = np.flatnonzero(on_front(points, DEFAULT_OBJECTIVES))
    return tuple(int(place) for place in sorted(stay, key=lambda place: costs[place]))


@dataclass(frozen=True)
class Corner:
    """The reference of hypervolumes: the worst error and the dearest network of the published run."""

    error: float
    cost: float
    measure: Measure

    @classmethod
    def of(cls, run: Past) -> Corner:
        """That of a run whose networks were all finished."""
        worst = min(max(n.validation) for n in run.networks)
        dearest = max(float(np.exp(n.features["log_flops"])) / 1e6 for n in run.networks)
        return cls(100 - worst, dearest, run.measure)

    def volume(self, accuracy: NDArray[np.float64], costs: NDArray[np.float64]) -> float:
        """In points of error times millions of multiply-adds."""
        return hypervolume(np.column_stack([100 - accuracy, costs]), (self.error, self.cost))

    def log_volume(self, accuracy: NDArray[np.float64], costs: NDArray[np.float64]) -> float:
        """The same with the logarithm of the error, under which 0.02 % are as far from 0.01 % as 2 from 1."""
        worst = float(self.measure.log_error(100 - self.error))
        return hypervolume(np.column_stack([self.measure.log_error(accuracy), costs]), (worst, self.cost))


def shuffled(run: Past, seed: int) -> Past:
    """A run whose curves belong to other networks."""
    order = np.random.default_rng(seed).permutation(len(run.networks))
    networks = tuple(
        replace(one, validation=run.networks[i].validation, training=run.networks[i].training)
        for one, i in zip(run.networks, order, strict=True)
    )
    return replace(run, run=f"{run.run}, shuffled", networks=networks)


def searches(
    runs: Mapping[str, Past], beam: str, seed: int, networks: int
) -> Iterator[tuple[str, Found, float]]:
    """One search with each rule: its name, what it found, and the seconds it took."""
    run, settings = runs[beam], NSGANet(networks=networks)
    other = BEAMS[(BEAMS.index(beam) + 1) % len(BEAMS)]
    surrogate, space = Surrogate(run, seed), Macro()
    front = FittedFront.of(without(runs, beam)[1])
    earlier = plain(runs[other], seed + OTHER_SEED, networks)
    prior = replace(
        runs[other], run=f"{other}, made up", networks=tuple(one.whole for one in earlier.trained.values())
    )
    variants: dict[str, tuple[TerminationRule, tuple[Past, ...]]] = {
        **{name: (RULES.make(name, "rule"), ()) for name in ("none", "converged", "interval", "layers")},
        "front": (front, ()),
        "front, prior of another beam": (front, (prior,)),
        "front, wrong prior": (front, (shuffled(prior, seed),)),
    }
    for name, (rule, past) in variants.items():
        started = time.process_time()
        done = MemorySearch(settings, space, surrogate, rule, seed, past).run()
        yield name, Found.of(done, run.horizon), time.process_time() - started


def rows(beam: str, corner: Corner, found: Mapping[str, Sequence[Found]]) -> Iterator[str]:
    """Lines of the table."""

    def kept(volume: str, value: str, one: Found) -> float:
        front = list(one.kept)
        return float(getattr(corner, volume)(getattr(one, value)[front], one.costs[front]))

    def against(values: Sequence[float], base: Sequence[float]) -> str:
        """Mean difference in percent of the base, its standard error, and it in spreads between seeds."""
        difference = 100 * (np.array(values) / np.array(base) - 1)
        spread = 100 * np.std(base, ddof=1) / np.mean(base)
        error = np.std(difference, ddof=1) / len(base) ** 0.5
        return f"{difference.mean():+.2f} ± {error:.2f} ({difference.mean() / spread:+.2f})"

    def best(one: Found, asked_for: bool = False) -> float:
        return float(one.final.max() if asked_for else one.final[list(one.kept)].max())

    def worse(asked_for: bool) -> str:
        """Mean difference of the best network in standard errors of its accuracy, and its standard error."""
        difference = np.array(
            [
                (best(one, asked_for) - best(other)) / corner.measure.standard_error(best(other))
                for one, other in zip(searched, found["none"], strict=True)
            ]
        )
        return f"{difference.mean():+.2f} ± {np.std(difference, ddof=1) / len(difference) ** 0.5:.2f}"

    base, logs, expected = (
        [kept(volume, value, one) for one in found["none"]]
        for volume, value in (("volume", "final"), ("log_volume", "final"), ("volume", "expected"))
    )
    for name, searched in found.items():
        cells = [beam, str(len(searched)), name, f"{100 * np.mean([one.saved for one in searched]):.0f}"]
        if name == "none":
            spreads = (100 * np.std(v, ddof=1) / np.mean(v) for v in (base, base, logs, expected))
            cells += [f"spread {spread:.2f}" for spread in spreads]
            cells += [f"mean {np.mean([best(one) for one in searched]):.3f} %", ""]
        else:
            cells += [
                against([kept("volume", "final", one) for one in searched], base),
                against([corner.volume(one.final, one.costs) for one in searched], base),
                against([kept("log_volume", "final", one) for one in searched], logs),
                against([kept("volume", "expected", one) for one in searched], expected),
                worse(asked_for=False),
                worse(asked_for=True),
            ]
        yield f"| {' | '.join(cells)} |"


def likeness(run: Past, networks: int) -> str:
    """How like the run the surrogate is, by Kendall's tau: how the others rank a network of the run that is
    left out; and how training accuracy after two epochs ranks the run's networks, and those of searches."""

    def early(trained: Sequence[Observed]) -> float:
        final = [max(n.validation) for n in trained]
        return float(kendalltau([max(n.training[:2]) for n in trained], final)[0])

    surrogate = Surrogate(run, 0)
    known = kendalltau(surrogate.left_out, surrogate.final)[0]
    made = [
        early([one.whole for one in plain(run, seed, networks).trained.values()])
        for seed in range(LIKENESS_SEEDS)
    ]
    return f"left out {known:.2f}; after two epochs {early(run.networks):.2f}, made up {np.mean(made):.2f}"


def plain(run: Past, seed: int, networks: int) -> MemorySearch:
    """A search without termination."""
    rule = RULES.make("none", "rule")
    return MemorySearch(NSGANet(networks=networks), Macro(), Surrogate(run, seed), rule, seed).run()


HEADER = (
    "| beam | seeds | rule | epochs saved, % | front, % | networks asked for, % | front, log error, % "
    "| front, without deviations, % | best network of the front, s.e. | of those asked for, s.e. |"
)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--data", type=Path, required=True)
    options.add_argument("--beams", nargs="+", default=BEAMS)
    options.add_argument("--seeds", type=int, default=20)
    options.add_argument("--networks", type=int, default=100)
    asked = options.parse_args()
    runs = {beam: published(asked.data, beam) for beam in BEAMS}
    print(HEADER)
    print("|---" * HEADER.count(" |") + "|")
    for beam in asked.beams:
        found: dict[str, list[Found]] = {}
        seconds: dict[str, float] = {}
        for seed in range(asked.seeds):
            for name, one, took in searches(runs, beam, seed, asked.networks):
                found.setdefault(name, []).append(one)
                seconds[name] = seconds.get(name, 0.0) + took / asked.seeds
        print(*rows(beam, Corner.of(runs[beam]), found), sep="\n")
        print(f"{beam}: seconds {', '.join(f'{n} {s:.1f}' for n, s in seconds.items())}", file=sys.stderr)
        print(f"{beam}: tau, {likeness(runs[beam], asked.networks)}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
