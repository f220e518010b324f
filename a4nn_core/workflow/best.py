"""The networks of earlier runs that a search begins with, whatever its strategy: ``[prior] best``."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import chain, zip_longest
from pathlib import Path

from a4nn_core.commons.ranges import from_ranges
from a4nn_core.commons.reader import Commons
from a4nn_core.commons.records import Network, front_among
from a4nn_core.errors import BadInput
from a4nn_core.experiment import Experiment
from a4nn_core.spaces.architecture import Architecture
from a4nn_core.spaces.base import Genome, Space


def best_genomes(
    experiment: Experiment,
    commons: Path,
    runs: Sequence[Mapping[str, str]],
    decode: Callable[[Genome], Architecture],
) -> tuple[Genome, ...]:
    """The genomes of earlier runs that build networks of a search, the best first.

    Runs take turns, as what was measured on one data set says nothing of another. The networks of each come
    front by front, by the objectives of this search; of a front its ends first, then what halves the gaps.
    Of networks with the same architecture the first counts.

    Args:
        experiment: the search.
        commons: where the runs are.
        runs: what the search's own run records of them; see ``ResolvedPrior``.
        decode: returns the architecture of a genome.

    Raises:
        BadInput: none of their networks is one of this search, and there are runs.
    """
    if experiment.prior is None or experiment.prior.best is None or not runs:
        return ()
    store = Commons(commons)
    ranked = []
    for run in runs:
        numbers = from_ranges(run["networks"])
        networks = [one for one in store.networks(run["run"]) if one.network in numbers]
        ranked.append(_by_fronts(networks, {k: str(way) for k, way in experiment.search.objectives.items()}))
    found: dict[str, Genome] = {}
    for network in chain.from_iterable(zip_longest(*ranked)):
        genome = None if network is None or network.genome is None else network.genome.value
        if genome is not None and (architecture := _decoded(genome, experiment.space, decode)) is not None:
            found.setdefault(architecture.hash, genome)
    if not found:
        names = ", ".join(run["run"] for run in runs)
        raise BadInput(
            f"[prior] best = {experiment.prior.best}: no network of {names} has a genome of space "
            f"{experiment.space.name} and all of {', '.join(experiment.search.objectives)}"
        )
    return tuple(found.values())


def _by_fronts(networks: Sequence[Network], objectives: Mapping[str, str]) -> Iterator[Network]:
    """Networks that have all objectives: those that nothing dominates, those that only these dominate, ..."""
    left = list(networks)
    while front := front_among(left, objectives):
        yield from (front[place] for place in _spread(len(front)))
        gone = {one.network for one in front}
        left = [one for one in left if one.network not in gone]


def _spread(count: int) -> list[int]:
    """The places of a row in an order whose beginnings are spread over it: both ends, the middle, ..."""
    places = [0, count - 1]
    step = float(count - 1)
    while step > 1:
        step /= 2
        places += [round(step * turn) for turn in range(1, count) if step * turn <= count - 1]
    return list(dict.fromkeys([*places, *range(count)]))


def _decoded(genome: Genome, space: Space, decode: Callable[[Genome], Architecture]) -> Architecture | None:
    """The architecture of a genome; None if it is none of the space, or no network for the images."""
    try:
        space.check(genome)
        return decode(genome)
    except BadInput:
        return None
