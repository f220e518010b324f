"""What a commons knows of one network: enough to build it, fill in its weights and feed it an image."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TypeVar

import pyarrow as pa
import pyarrow.compute as pc

from a4nn_core.commons import Commons
from a4nn_core.commons.columns import from_cells
from a4nn_core.commons.records import Edge, LayerRecord, Network, Run
from a4nn_core.commons.rows import records
from a4nn_core.data.base import InputTransform
from a4nn_core.data.images import Preparation
from a4nn_core.errors import A4NNError, BadInput
from a4nn_core.jsonable import Json, members, number
from a4nn_core.precision import Images
from a4nn_core.recorded_graphs import architecture_of
from a4nn_core.spaces.architecture import Architecture
from a4nn_core.spaces.base import SPACES
from a4nn_core.vocabulary import Task

Tables = Mapping[str, pa.Table]
Part = TypeVar("Part", LayerRecord, Edge)


@dataclass(frozen=True)
class Found:
    """One network of one run.

    Attributes:
        run: the run it belongs to.
        network: its record.
        architecture: what its genome stands for.
    """

    run: Run
    network: Network
    architecture: Architecture

    @property
    def name(self) -> str:
        """Such as ``my-run-0007``."""
        return f"{self.network.run}-{self.network.network:04d}"

    @property
    def classes(self) -> list[str]:
        """Names in the order of the scores."""
        known = self.run.classes
        if self.architecture.task is Task.restoration:
            return known
        scores = self.architecture.costs[-1].shape[0]
        return known if len(known) == scores else [str(i) for i in range(scores)]

    @property
    def images(self) -> Images:
        """The images on which its accuracies were measured."""
        return self.run.images

    @property
    def preparation(self) -> Preparation | None:
        """What was done with its image files before they were stored as arrays; None if that was not
        recorded, or there were no files.

        Raises:
            BadInput: this version does not know it.
        """
        recorded = self.run.details.get("preparation")
        return None if recorded is None else Preparation.read(recorded, f"run {self.network.run!r}")

    def transform(self) -> InputTransform:
        """How a stored image was transformed before the network saw it.

        A run of an older version did not record it; then the data are loaded again.

        Raises:
            BadInput: it was not recorded and the data are not available, or are not those of the run.
        """
        recorded = members(self.run.details.get("transform"))
        if recorded:
            return InputTransform(
                bool(recorded["log1p"]), _numbers(recorded["mean"]), _numbers(recorded["std"])
            )
        from a4nn_core.data.base import DATA_SOURCES

        name = self.network.run
        prefix = f"run {name!r} does not say what its networks saw of an image, and its data"
        settings = self.run.settings("data")
        if not settings:
            raise BadInput(f"{prefix} are not named in its experiment")
        try:
            data = DATA_SOURCES.make(settings, "[data]").load()
        except A4NNError as error:
            raise BadInput(f"{prefix} cannot be loaded: {error}") from None
        if data.fingerprint != self.run.dataset_fingerprint:
            raise BadInput(f"{prefix} have changed since: {data.fingerprint} is not their fingerprint")
        return data.transform


def _numbers(values: Json) -> tuple[float, ...]:
    return (
        tuple(found for value in values if (found := number(value)) is not None)
        if isinstance(values, list)
        else ()
    )


def recorded(commons: Commons, run: str, number: int) -> tuple[Run, Network]:
    """The header of a run and the final record of one of its networks.

    Raises:
        BadInput: there is no such run or network.
    """
    header, every = commons.run(run), commons.networks(run)
    for network in every:
        if network.network == number:
            return header, network
    numbers = f"those recorded are {every[0].network} to {every[-1].network}" if every else "it has none yet"
    raise BadInput(f"run {run!r} has recorded no network {number}; {numbers}")


def find(commons: Commons, run: str, number: int) -> Found:
    """One network of a commons.

    Raises:
        BadInput: there is no such run or network, or its layers are not known.
    """
    header, network = recorded(commons, run, number)
    layers = [layer for layer in commons.layers(run) if layer.network == number]
    edges = [edge for edge in commons.edges(run) if edge.network == number]
    return Found(header, network, _architecture(header, network, layers, edges))


def runs_of(tables: Tables) -> dict[str, Run]:
    """The runs of a deposit by id."""
    return {run.run: run for run in records(Run, tables["runs"])}


def grouped(part: type[Part], table: pa.Table) -> Iterator[tuple[tuple[str, int], list[Part]]]:
    """The records of a table sorted by run and network, one network at a time."""
    key: tuple[str, int] | None = None
    found: list[Part] = []
    for batch in table.to_batches():
        for row in batch.to_pylist():
            owner = (row["run"], row["network"])
            if owner != key:
                if key is not None:
                    yield key, found
                key, found = owner, []
            found.append(from_cells(part, row))
    if key is not None:
        yield key, found


def networks(
    tables: Tables, chosen: Iterable[Network] | None = None, unresolved: list[tuple[str, int]] | None = None
) -> Iterator[Found]:
    """Networks with their architectures, in the order of the tables.

    Args:
        tables: the tables of a deposit, by name.
        chosen: which ones; all if None. A network without recorded layers is left out.
        unresolved: if given, it receives the networks whose layers are not those of the recorded
            architecture, and they are left out.

    Raises:
        BadInput: the layers of a network are not those of the recorded architecture.
    """
    runs = runs_of(tables)
    wanted = {(n.run, n.network): n for n in (chosen or records(Network, tables["networks"]))}
    edges = dict(grouped(Edge, _of(tables["edges"], wanted)))
    for key, layers in grouped(LayerRecord, _of(tables["layers"], wanted)):
        network = wanted.get(key)
        if network is None:
            continue
        try:
            architecture = _architecture(runs[key[0]], network, layers, edges.get(key, []))
        except BadInput:
            if unresolved is None:
                raise
            unresolved.append(key)
            continue
        yield Found(runs[key[0]], network, architecture)


def _of(table: pa.Table, wanted: Mapping[tuple[str, int], Network]) -> pa.Table:
    numbers = pa.array(sorted({number for _, number in wanted}), pa.int32())
    return table.filter(pc.is_in(table["network"], numbers))


def _architecture(run: Run, network: Network, layers: list[LayerRecord], edges: list[Edge]) -> Architecture:
    try:
        made = architecture_of(layers, edges)
        if made.hash == network.architecture_hash:
            return made
    except (IndexError, KeyError, TypeError, ValueError):
        pass  # layers that the tables cannot describe in full: the genome says what they are
    name = f"network {network.network} of run {network.run!r}"
    space, shape = run.settings("space"), run.details.get("shape")
    if not space or not isinstance(shape, list) or network.genome is None:
        raise BadInput(
            f"{name}: its recorded layers are not those of its architecture {network.architecture_hash}"
        )
    channels, height, width = (int(side) for side in _numbers(shape))
    decoded = SPACES.make(space, "[space]").decode(
        network.genome.value, (channels, height, width), len(run.classes)
    )
    if decoded.hash != network.architecture_hash:
        raise BadInput(f"{name}: its genome does not decode to its architecture {network.architecture_hash}")
    return decoded
