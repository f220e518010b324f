"""A few networks side by side: what was recorded of each, and how their architectures differ."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from a4nn_core.archaeology.film import Comparison
from a4nn_core.archaeology.sketch import COLOURS, Sketch, sketch
from a4nn_core.commons.records import Edge, LayerRecord, Network
from a4nn_core.commons.rows import records
from a4nn_core.errors import BadInput
from a4nn_core.explore import asked as wanted
from a4nn_core.explore.catalogue import Catalogue
from a4nn_core.explore.measures import literal
from a4nn_core.precision import plus_minus
from a4nn_core.printable import printable, printable_within
from a4nn_core.recorded_graphs import architectures_of
from a4nn_core.spaces.architecture import Architecture

MOST_COMPARED = 4
_LONGEST = 300


def compared(catalogue: Catalogue, networks: Sequence[wanted.Network]) -> dict[str, Any]:
    """Some networks side by side as JSON values; each is compared with the first.

    Raises:
        BadInput: the records cannot be read.
    """
    wished = [(one.run, one.network) for one in networks[:MOST_COMPARED]]
    read = _read(catalogue, networks[:MOST_COMPARED])
    found = [read[one] for one in wished if one in read]
    first = found[0][1] if found else None
    shown: list[dict[str, Any]] = []
    for place, (network, architecture) in enumerate(found):
        words, drawn, old = "", None, None
        if architecture is None:
            words = "Its layers were not recorded."
        elif place and first is not None:
            try:
                comparison = Comparison.of(first, architecture)
            except BadInput as error:
                words = str(error)
            else:
                words, drawn, old = comparison.difference.text(), comparison.new, comparison.old
        if architecture is not None and drawn is None:
            drawn = _drawn(architecture)
        if len(found) == 2 and place and old is not None:
            shown[0]["sketch"] = _shown(old)
        shown.append(
            {
                "run": network.run,
                "network": network.network,
                "facts": _facts(catalogue, network),
                "sketch": None if drawn is None else _shown(drawn),
                "words": printable(words),
            }
        )
    missing = [f"{run}, network {number}" for run, number in wished if (run, number) not in read]
    return {
        "networks": shown,
        "missing": [printable(one) for one in missing],
        "left_out": max(0, len(networks) - MOST_COMPARED),
        "colours": {str(state): colour for state, colour in COLOURS.items()},
    }


def _shown(drawn: Sketch) -> dict[str, Any]:
    """A sketch as JSON values; the labels of layers are text of others."""
    nodes = tuple(replace(node, title=printable_within(node.title, _LONGEST)) for node in drawn.nodes)
    return replace(drawn, nodes=nodes).to_json()


def _drawn(architecture: Architecture) -> Sketch | None:
    try:
        return sketch(architecture)
    except BadInput:  # an operation that is not known here
        return None


def _read(
    catalogue: Catalogue, networks: Sequence[wanted.Network]
) -> dict[tuple[str, int], tuple[Network, Architecture | None]]:
    """The records of some networks, and the architectures of those whose layers were recorded."""
    there = [one for one in networks if one.run in catalogue.runs]
    if not there:
        return {}
    pairs = " or ".join(f"(run = {literal(one.run)} and network = {one.network})" for one in there)
    # the first conditions leave out files; the last one rows
    where = (
        f"where run in ({', '.join(sorted({literal(one.run) for one in there}))}) "
        f"and network in ({', '.join(str(one.network) for one in there)}) and ({pairs})"
    )
    store = catalogue.store
    found = records(Network, store.answer(f"from networks {where}"))
    layers = records(LayerRecord, store.answer(f"from layers {where} order by run, network, layer"))
    edges = records(Edge, store.answer(f"from edges {where}"))
    graphs = {
        run: architectures_of(
            [layer for layer in layers if layer.run == run], [edge for edge in edges if edge.run == run]
        )
        for run in {one.run for one in found}
    }
    return {(one.run, one.network): (one, graphs[one.run].get(one.network)) for one in found}


def _facts(catalogue: Catalogue, one: Network) -> list[list[str]]:
    images = catalogue.runs[one.run].images if one.run in catalogue.runs else None
    best, test = one.best_accuracy_percent, one.test_accuracy_percent
    fitness = {k: v for k, v in (one.fitness or {}).items() if v is not None}
    facts: dict[str, object] = {
        "status": one.status,
        "validation accuracy": None
        if best is None
        else f"{plus_minus(best, images.validation_error(best) if images else None)} %",
        "test accuracy": None
        if test is None
        else f"{plus_minus(test, images.test_error(test) if images else None)} %",
        "multiply-adds": None if one.flops is None else f"{one.flops / 1e6:.4g} million",
        "parameters": None if one.parameters is None else f"{one.parameters:,}",
        "epochs": None
        if one.epochs_trained is None
        else f"{one.epochs_trained} of {one.epochs_budget or '?'}",
        "generation": one.generation,
        "made by": one.operator,
        "parents": ", ".join(map(str, one.parents or ())),
        "equal to": one.equal_to,
        "ended": one.termination_reason,
        "training time": None if one.seconds is None else f"{one.seconds:.4g} s",
        "energy": None if one.energy_joules is None else f"{one.energy_joules:.4g} J",
        "fitness": ", ".join(f"{name} {value:.5g}" for name, value in fitness.items()),
        "genome": None if one.genome is None else json.dumps(one.genome.value),
        "error": one.error,
    }
    return [
        [name, printable_within(value, _LONGEST)] for name, value in facts.items() if value not in (None, "")
    ]
