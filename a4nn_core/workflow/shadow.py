"""The shadow of a run: an experiment that trains the same networks with the same seeds to the end."""

from __future__ import annotations

import json

from a4nn_core.commons.reader import Commons
from a4nn_core.commons.records import Network
from a4nn_core.errors import BadInput
from a4nn_core.experiment import Experiment
from a4nn_core.jsonable import members
from a4nn_core.search.repeat import Repeat, Repeated
from a4nn_core.termination.base import RULES


def shadow_experiment(commons: Commons, run: str) -> Experiment:
    """The experiment that trains the networks of a run to the end.

    Args:
        commons: where the run is.
        run: its id; of a run that has not ended, the networks with final records.

    Raises:
        BadInput: there is no such run, it has no networks, or it was imported, so that its data are not
            known.
    """
    header = commons.run(run)
    recorded = header.experiment.members if header.experiment else {}
    if "imported_from" in recorded or not recorded:
        source = recorded.get("imported_from", "elsewhere")
        raise BadInput(
            f"run {run!r} was imported from {source}: only the networks of a run that a4nn trained can be "
            "trained again"
        )
    networks = commons.networks(run)
    if not networks:
        raise BadInput(f"run {run!r} has no networks yet")
    # the strategy is not needed, and a function that proposed genomes may be gone
    told = members(recorded.get("search"))
    search: dict[str, object] = {"name": "random"}
    search |= {n: told[n] for n in ("objectives", "constraints", "networks", "schedule") if n in told}
    began = Experiment.from_record({**recorded, "search": search}, f"run {run}")
    repeat = Repeat(
        objectives=began.search.objectives,
        constraints=began.search.constraints,
        networks=len(networks),
        schedule=began.search.schedule,
        run=run,
        candidates=tuple(map(_repeated, networks)),
    )
    return began.model_copy(
        update={
            "search": repeat,
            "termination": RULES.make("none", "[termination]"),
            "prior": None,
            "budget": None,
        }
    )


def _repeated(network: Network) -> Repeated:
    genome = None if network.genome is None else json.loads(network.genome)
    return Repeated(
        number=network.network,
        genome=genome,
        generation=network.generation or 0,
        position=network.position or 0,
        parents=network.parents or (),
        operator=network.operator or "",
    )
