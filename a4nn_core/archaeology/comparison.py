"""Runs side by side: for each data set, what every system found and what it cost, over several seeds.

The network of a run is the one with the best validation accuracy, the cheapest of equals. What is compared is
its accuracy on the test part, which selected nothing. A hand-designed network was not searched: each is a
system of its own, and its time is that of its own training.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from itertools import combinations, pairwise

import numpy as np

from a4nn_core.commons import Commons
from a4nn_core.commons.accuracies import require_accuracies
from a4nn_core.commons.records import Network, Run
from a4nn_core.commons.totals import Totals
from a4nn_core.errors import BadInput
from a4nn_core.jsonable import Json
from a4nn_core.metrics import of_row
from a4nn_core.precision import STANDARD_ERRORS, standard_error
from a4nn_core.vocabulary import RunStatus

LEAST_PAIRS = 6
"""seeds that two systems share at least for a signed-rank test: fewer cannot be significant"""
ALPHA = 0.05
_NOT_COMPARED = ("device", "threads", "slots", "slots_per_device", "stall_seconds", "energy", "panels")
"""settings of training that change no accuracy beyond its last bits"""


@dataclass(frozen=True)
class Found:
    """What one run of a system found, or one hand-designed network.

    Attributes:
        run, network, seed: where it is recorded, and the seed of the run.
        ended: whether the run has ended; if not, it may still find more.
        test_accuracy_percent: on the test part, in percent; None if it was not measured.
        validation_accuracy_percent: the best, by which it was selected.
        seconds: wall-clock seconds of the run, or of the network's training.
        training_seconds: seconds in which devices trained.
        mflops, parameters, latency_ms: what it costs to classify one image; None where not known.
        epochs, budget: epochs trained, and those that training every network to the end would take.
        test_images: number of test images.
    """

    run: str
    network: int
    seed: int | None
    ended: bool
    test_accuracy_percent: float | None
    validation_accuracy_percent: float | None
    seconds: float | None
    training_seconds: float | None
    mflops: float | None
    parameters: float | None
    latency_ms: float | None
    epochs: int
    budget: int
    test_images: int | None

    @property
    def saved_percent(self) -> float:
        """Epochs that were not trained, in percent of the budget."""
        return 100 * (1 - self.epochs / self.budget) if self.budget else 0.0


@dataclass(frozen=True)
class Value:
    """A number over several seeds.

    Attributes:
        mean: its mean.
        deviation: its standard deviation between seeds; None for one seed.
    """

    mean: float
    deviation: float | None = None

    @classmethod
    def of(cls, numbers: Sequence[float | None]) -> Value | None:
        """Of the numbers that are known; None if none is."""
        known = [number for number in numbers if number is not None]
        if not known:
            return None
        return cls(float(np.mean(known)), float(np.std(known, ddof=1)) if len(known) > 1 else None)


@dataclass(frozen=True)
class System:
    """One way to find a network for a data set, with all its runs.

    Attributes:
        name: what it is, such as ``a4nn, front, prior``.
        found: its results, by seed.
        alike: whether it cannot be told from the most accurate system of the data set.
    """

    name: str
    found: tuple[Found, ...]
    alike: bool = False

    def value(self, of: Callable[[Found], float | None]) -> Value | None:
        """A number over its seeds."""
        return Value.of([of(one) for one in self.found])

    @property
    def accuracy(self) -> Value | None:
        """Test accuracy in percent."""
        return self.value(lambda one: one.test_accuracy_percent)

    @property
    def accuracy_se_points(self) -> float | None:
        """Standard error of the mean test accuracy in percentage points: that of the test images, which all
        seeds share, and that of the mean over seeds."""
        accuracy = self.accuracy
        if accuracy is None:
            return None
        images = min((one.test_images for one in self.found if one.test_images), default=None)
        sampled = standard_error(accuracy.mean, images)
        seeds = sum(one.test_accuracy_percent is not None for one in self.found)
        between = (accuracy.deviation or 0.0) / math.sqrt(seeds)
        return None if sampled is None else math.hypot(sampled, between)


@dataclass(frozen=True)
class Difference:
    """Two systems with the same seeds, compared seed by seed.

    Attributes:
        first, second: their names.
        points: mean difference of their test accuracies, first less second, in percentage points.
        seeds: number of seeds that both have.
        p: of Wilcoxon's signed-rank test, two-sided, corrected by Holm for all pairs of the data set.
    """

    first: str
    second: str
    points: float
    seeds: int
    p: float


@dataclass(frozen=True)
class Field:
    """All systems on one data set.

    Attributes:
        data: what the data are, for people.
        beam: name of the beam, if they are diffraction patterns.
        systems: the systems, most accurate first.
        differences: pairs with enough seeds for a test.
    """

    data: str
    beam: str | None
    systems: tuple[System, ...]
    differences: tuple[Difference, ...] = field(default=())


Latency = Callable[[Commons, str, int], float | None]
"""Measures the latency in milliseconds of a recorded network."""


def compare(
    commons: Commons, patterns: Sequence[str], seeds: int | None = None, latency: Latency | None = None
) -> list[Field]:
    """Compare runs.

    Args:
        commons: where they are.
        patterns: ids of runs, or patterns such as ``plain-*``.
        seeds: how many seeds of each system count, the lowest first; None for all.
        latency: measures networks whose latency was not recorded; None to leave it out.

    Raises:
        BadInput: no run fits a pattern, one has no trained network or none that classify, or a system has
            fewer seeds.
    """
    groups: dict[str, dict[str, list[Found]]] = {}
    names: dict[str, dict[str, Named]] = {}
    data: dict[str, Run] = {}
    for run in _matching(commons, patterns):
        header = commons.run(run)
        require_accuracies(header, "comparisons")
        networks = commons.networks(run)
        key = _data_key(header)
        data.setdefault(key, header)
        for named, chosen, alone in _systems(header, networks):
            place = named.key
            names.setdefault(key, {}).setdefault(place, named)
            found = _found(commons, header, networks, chosen, alone, latency)
            groups.setdefault(key, {}).setdefault(place, []).append(found)
    labels = _data_labels(data)
    made = []
    for key, found_by_system in groups.items():
        titles = _titles(names[key])
        systems = [
            System(titles[place], _some(titles[place], found, seeds, labels[key]))
            for place, found in found_by_system.items()
        ]
        made.append(Field(labels[key], _beam(data[key]), _ranked(systems), _differences(systems)))
    order = ("low", "medium", "high")
    return sorted(made, key=lambda one: (order.index(one.beam) if one.beam in order else 3, one.data))


def _matching(commons: Commons, patterns: Sequence[str]) -> list[str]:
    known = commons.runs()
    found: dict[str, None] = {}
    for pattern in patterns:
        fitting = [run for run in known if run == pattern or fnmatchcase(run, pattern)]
        if not fitting:
            raise BadInput(f"commons {commons.path} has no run {pattern!r}")
        found |= dict.fromkeys(fitting)
    return list(found)


# what is compared with what


@dataclass(frozen=True)
class Named:
    """A system before it has a title.

    Attributes:
        base: the words that usually suffice.
        settings: all that makes it what it is, by dotted name.
    """

    base: str
    settings: Mapping[str, str]

    @property
    def key(self) -> str:
        """The same for two runs of one system."""
        return json.dumps([self.base, dict(self.settings)], sort_keys=True)


def _systems(header: Run, networks: Sequence[Network]) -> list[tuple[Named, Network, bool]]:
    """The systems of a run, each with its network and whether that was trained by itself.

    Raises:
        BadInput: the run has no trained network.
    """
    trained = [n for n in networks if n.trained and n.best_accuracy_percent is not None]
    if not trained:
        raise BadInput(f"run {header.run!r} has no trained network to compare")
    space, search = header.settings("space"), header.settings("search")
    rule, prior = header.settings("termination"), header.settings("prior")
    training = {k: v for k, v in header.settings("training").items() if k not in _NOT_COMPARED}
    if space.get("name") == "designed":
        tables = {"training": training, "termination": rule, "space": {"least_side": space.get("least_side")}}
        settings = _flat(tables)
        return [(Named(str(n.genome.value if n.genome else n.network), settings), n, True) for n in trained]
    best = max(trained, key=lambda n: (n.best_accuracy_percent or 0.0, -(n.flops or 0), -n.network))
    words = [str(search.get("name", header.name or header.run)), str(rule.get("name", "none"))]
    words += ["prior"] if header.prior is not None or prior else []
    if space.get("name", "macro") != "macro":
        words.insert(0, str(space["name"]))
    settings = _flat({"space": space, "search": search, "termination": rule, "training": training})
    return [(Named(", ".join(words), settings), best, False)]


def _flat(tables: Mapping[str, Json], prefix: str = "") -> dict[str, str]:
    flat: dict[str, str] = {}
    for name, value in tables.items():
        if isinstance(value, dict):
            flat |= _flat(value, f"{prefix}{name}.")
        elif value is not None:
            flat[prefix + name] = json.dumps(value)
    return flat


def _titles(systems: Mapping[str, Named]) -> dict[str, str]:
    """A title for each system; where words are the same, the settings that differ are added."""
    titles = {}
    for key, named in systems.items():
        same = [one.settings for one in systems.values() if one.base == named.base]
        keys = sorted({name for settings in same for name in settings})
        differing = [name for name in keys if len({settings.get(name) for settings in same}) > 1]
        more = ", ".join(f"{name} {named.settings.get(name, 'not set')}" for name in differing)
        titles[key] = f"{named.base} ({more})" if more else named.base
    return titles


def _data_key(header: Run) -> str:
    return header.dataset_fingerprint or json.dumps(header.settings("data"), sort_keys=True)


def _beam(header: Run) -> str | None:
    beam = header.settings("data").get("beam")
    return beam if isinstance(beam, str) else None


def _data_labels(data: Mapping[str, Run]) -> dict[str, str]:
    """A label for each data set; where two would be the same, part of their fingerprints is added."""
    labels = {}
    for key, header in data.items():
        beam, train = _beam(header), header.details.get("train")
        words = [header.dataset or "unknown data", f"{beam} beam" if beam else ""]
        words += [f"{train:,} training images"] if isinstance(train, int) else []
        labels[key] = ", ".join(filter(None, words))
    several = [label for label in labels.values() if list(labels.values()).count(label) > 1]
    return {key: f"{label}, {key[:8]}" if label in several else label for key, label in labels.items()}


def _found(
    commons: Commons,
    header: Run,
    networks: Sequence[Network],
    chosen: Network,
    alone: bool,
    latency: Latency | None,
) -> Found:
    totals = Totals.of(header, networks)
    recorded = of_row(chosen.row(), "latency_ms")
    if recorded is None and latency is not None:
        recorded = latency(commons, header.run, chosen.network)
    return Found(
        run=header.run,
        network=chosen.network,
        seed=header.seed,
        ended=header.status in (None, RunStatus.completed),
        test_accuracy_percent=chosen.test_accuracy_percent,
        validation_accuracy_percent=chosen.best_accuracy_percent,
        seconds=chosen.seconds if alone else totals.seconds or None,
        training_seconds=chosen.seconds if alone else totals.training_seconds,
        mflops=None if chosen.flops is None else chosen.flops / 1e6,
        parameters=chosen.parameters,
        latency_ms=recorded,
        epochs=(chosen.epochs_trained or 0) if alone else totals.epochs_trained,
        budget=(chosen.epochs_budget or 0) if alone else totals.epochs_budget,
        test_images=header.images.test,
    )


def _some(name: str, found: Sequence[Found], seeds: int | None, data: str) -> tuple[Found, ...]:
    """The results that count, by seed.

    Raises:
        BadInput: there are two of one seed, or fewer than asked for.
    """
    ordered = sorted(found, key=lambda one: (one.seed is None, one.seed or 0, one.run))
    for one, next_one in pairwise(ordered):
        if one.seed is not None and one.seed == next_one.seed:
            raise BadInput(
                f"runs {one.run!r} and {next_one.run!r} are the same search with the same seed {one.seed}: "
                "leave one of them out"
            )
    if seeds is not None and len(ordered) < seeds:
        raise BadInput(f"{name} has {len(ordered)} seeds of {data}, fewer than {seeds}")
    return tuple(ordered[:seeds])


# what the numbers say


def _ranked(systems: Sequence[System]) -> tuple[System, ...]:
    """The systems, most accurate first, each told whether it can be distinguished from the first."""
    ordered = sorted(systems, key=lambda one: -(one.accuracy.mean if one.accuracy else -1.0))
    best, error = ordered[0].accuracy, ordered[0].accuracy_se_points
    ranked = []
    for number, one in enumerate(ordered):
        accuracy, its_error = one.accuracy, one.accuracy_se_points
        near = False
        if best and accuracy and error is not None and its_error is not None:
            near = best.mean - accuracy.mean < STANDARD_ERRORS * math.hypot(error, its_error)
        ranked.append(replace(one, alike=number > 0 and near))
    return tuple(ranked)


def _differences(systems: Sequence[System]) -> tuple[Difference, ...]:
    """Pairs of systems with enough common seeds, tested by Wilcoxon's signed ranks (Demšar 2006, "Statistical
    comparisons of classifiers over multiple data sets", JMLR 7), with Holm's correction."""
    from scipy.stats import wilcoxon

    tested = []
    for first, second in combinations(systems, 2):
        one, other = (
            {f.seed: f.test_accuracy_percent for f in system.found if f.test_accuracy_percent is not None}
            for system in (first, second)
        )
        common = sorted(seed for seed in one.keys() & other.keys() if seed is not None)
        if len(common) < LEAST_PAIRS:
            continue
        points = np.array([one[seed] - other[seed] for seed in common])
        p = 1.0 if not points.any() else float(wilcoxon(points).pvalue)
        tested.append(Difference(first.name, second.name, float(points.mean()), len(common), p))
    corrected, least = [], 0.0
    for rank, pair in enumerate(sorted(tested, key=lambda pair: pair.p)):
        least = max(least, min(1.0, pair.p * (len(tested) - rank)))
        corrected.append(replace(pair, p=least))
    return tuple(corrected)
