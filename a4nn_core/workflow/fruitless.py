"""Searches that find nothing: why they have failed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from a4nn_core.commons.records import Network
from a4nn_core.errors import RunFailed
from a4nn_core.search.constraints import Constraints
from a4nn_core.spaces.architecture import Architecture
from a4nn_core.vocabulary import NetworkStatus

MOST_INFEASIBLE = 100
"""a search fails when its first networks, this many, are all outside the bounds"""


def check_feasible(architectures: Mapping[int, Architecture], limits: Constraints, budget: int) -> None:
    """End a search that finds nothing to train.

    Args:
        architectures: those that were asked for, by number.
        limits: the bounds.
        budget: networks that the search may look at.

    Raises:
        RunFailed: no network is within the bounds, and MOST_INFEASIBLE or the budget of networks has been
            reached.
    """
    if len(architectures) < min(MOST_INFEASIBLE, budget):
        return
    if not all(map(limits.violation, architectures.values())):
        return
    nearest = min(architectures, key=lambda number: limits.violation(architectures[number]))
    raise RunFailed(
        f"none of the {len(architectures)} networks is within the bounds of [search.constraints]; "
        f"the nearest is network {nearest}: {limits.explain(architectures[nearest])}"
    )


def check_trained(networks: Iterable[Network]) -> None:
    """End a search that found nothing.

    Raises:
        RunFailed: no network was trained with a result.
    """
    known = list(networks)
    if any(network.trained for network in known):
        return
    failed = [n for n in known if n.status is NetworkStatus.failed]
    if not failed:
        raise RunFailed("the search ended without a network: the strategy asked for none to be trained")
    outside = sum(n.status is NetworkStatus.infeasible for n in known)
    others = f", {outside} are outside the bounds of [search.constraints]" if outside else ""
    first = min(failed, key=lambda network: network.network)
    raise RunFailed(
        f"no network was trained with a result: {len(failed)} failed{others}; network {first.network}: "
        f"{first.error}"
    )
