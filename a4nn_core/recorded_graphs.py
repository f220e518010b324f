"""Architectures as records of layers and edges, and back; needed wherever recorded networks are looked at."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress

from a4nn_core.commons.records import Edge, LayerRecord
from a4nn_core.jsonable import JsonText
from a4nn_core.spaces.architecture import Architecture, Layer


def graph_records(architecture: Architecture) -> tuple[list[LayerRecord], list[Edge]]:
    """The records of an architecture's layers and edges."""
    layers = []
    for index, (layer, operation, cost) in enumerate(
        zip(architecture.layers, architecture.operations, architecture.costs, strict=True)
    ):
        sources = architecture.inputs(index)
        settings = operation.changed()
        layers.append(
            LayerRecord(
                layer=index,
                op=layer.op,
                label=layer.label,
                phase=layer.phase,
                channels_in=sum(architecture.costs[source].shape[0] for source in sources),
                channels_out=cost.shape[0],
                kernel=layer.kernel,
                stride=layer.stride,
                padding=layer.padding,
                bias=layer.bias,
                settings=JsonText(json.dumps(settings, sort_keys=True)) if settings else None,
                height_out=cost.shape[1],
                width_out=cost.shape[2],
                flops=cost.flops,
                parameters=cost.parameters,
            )
        )
    return layers, [Edge(source=source, target=target) for source, target in architecture.edges]


def architecture_of(layers: Sequence[LayerRecord], edges: Sequence[Edge]) -> Architecture:
    """The inverse of ``graph_records``; it needs no search space.

    Args:
        layers: layers of one network, sorted by number.
        edges: its edges in the order in which they were written.

    Raises:
        ValueError: a layer was not recorded in full, as in some imported runs.
    """
    known = {layer.layer: layer for layer in layers}
    feeds = {edge.target: known[edge.source] for edge in edges}
    first = layers[0]
    return Architecture(
        tuple(_layer(layer, feeds) for layer in layers),
        tuple((edge.source, edge.target) for edge in edges),
        (_known(first.channels_out), _known(first.height_out), _known(first.width_out)),
    )


def architectures_of(layers: Iterable[LayerRecord], edges: Iterable[Edge]) -> dict[int, Architecture]:
    """The architectures of one run's networks by number, without those that were not recorded in full.

    Args:
        layers: layers of the run, sorted by network and number.
        edges: its edges in the order in which they were written.
    """
    of_network: dict[int, list[LayerRecord]] = {}
    for layer in layers:
        of_network.setdefault(layer.network, []).append(layer)
    between: dict[int, list[Edge]] = {}
    for edge in edges:
        between.setdefault(edge.network, []).append(edge)
    found = {}
    for network, its in of_network.items():
        with suppress(KeyError, ValueError):
            found[network] = architecture_of(its, between.get(network, []))
    return found


def _layer(record: LayerRecord, feeds: Mapping[int, LayerRecord]) -> Layer:
    return Layer(
        op=record.op or "",
        channels=_known(record.channels_out),
        kernel=_known(record.kernel),
        stride=_known(record.stride),
        padding=_known(record.padding),
        bias=_unrecorded_bias(record, feeds) if record.bias is None else record.bias,
        phase=record.phase,
        label=record.label or "",
        settings=record.settings.members if record.settings else {},
    )


def _known(value: int | None) -> int:
    if value is None:
        raise ValueError("a layer was not recorded in full")
    return value


def _unrecorded_bias(layer: LayerRecord, feeds: Mapping[int, LayerRecord]) -> bool:
    """Whether a layer recorded before ``bias`` was a column has a bias, inferred from its parameter count.

    Args:
        layer: record of the layer.
        feeds: for each layer number, the layer whose output it takes.
    """
    if layer.op not in ("conv", "linear"):
        return False
    before = feeds[layer.layer]
    linear = layer.op == "linear"
    area = _known(before.height_out) * _known(before.width_out) if linear else _known(layer.kernel) ** 2
    return _known(layer.parameters) > area * _known(layer.channels_in) * _known(layer.channels_out)
