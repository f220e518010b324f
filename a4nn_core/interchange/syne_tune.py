"""Runs in the layout of Syne Tune's blackbox repository, so that others can replay our histories.

A folder as ``syne_tune.blackbox_repository.blackbox_tabular.deserialize`` (0.16) reads it::

    hyperparameters.parquet       one row per genome, one column per gene
    objectives_evaluations.npy    shape (runs, genomes, 1, epochs, objectives); NaN where an epoch is missing
    fidelities_values.npy         epochs 1 to the greatest budget
    configspace.json              domain of every gene, from the values it takes
    fidelityspace.json            epochs
    metadata.json                 names of objectives and tasks (runs), units
    networks.parquet              our addition: the network and run behind each row

What the runs share is the table of genomes, so runs of one search space make sense together.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from a4nn_core.commons.layout import write_json
from a4nn_core.commons.merge import chosen_runs
from a4nn_core.commons.schema import TABLES
from a4nn_core.commons.snapshot import Snapshot
from a4nn_core.errors import BadInput
from a4nn_core.files import atomic_folder
from a4nn_core.jsonable import Json

_MOST_BYTES = 4 << 30
_ELAPSED = "metric_elapsed_time"
# objective: unit, and column of ``epochs`` or ``networks`` that it comes from
_OF_EPOCHS = {
    "metric_valid_error": ("percent", "validation_accuracy_percent"),
    "metric_train_error": ("percent", "train_accuracy_percent"),
    "metric_valid_loss": ("", "validation_loss"),
    "metric_train_loss": ("", "train_loss"),
    "metric_runtime": ("s", "seconds"),
    _ELAPSED: ("s, cumulative", "seconds"),
}
_OF_NETWORKS = {"metric_flops": ("multiply-adds", "flops"), "metric_params": ("", "parameters")}

Curves = NDArray[np.float64]
Genes = dict[str, Json]


def export_blackbox(commons: Path, out: Path, runs: Sequence[str] | None = None) -> dict[str, int]:
    """Write runs as a tabular blackbox of Syne Tune, one task per run.

    Of several networks with one genome in a run, the one with the most epochs counts; a network that equals
    another has its curves. Genomes that were never trained are left out.

    Args:
        commons: folder of the commons to read.
        out: a folder that does not exist yet.
        runs: ids of the runs; all if None.

    Returns:
        how many tasks, genomes, epochs (the greatest budget) and objectives there are.

    Raises:
        BadInput: no commons, no such run, no epochs, genomes that do not have the same genes, too much for
            one table, or the destination cannot be written or exists already.
    """
    names = chosen_runs(commons, runs)
    genomes: dict[str, Genes] = {}
    found: list[dict[str, tuple[int, Curves]]] = []
    for run in names:
        found.append({})
        for network, genome, curves in _networks(commons, run):
            genes = _genes(genome)
            first = next(iter(genomes.values()), genes)
            if genes.keys() != first.keys():
                raise BadInput(
                    f"network {network} of run {run!r} has the genes {_clip(genes)}, others have "
                    f"{_clip(first)}: only runs of one search space fit into one table"
                )
            key = json.dumps(genes, sort_keys=True)
            genomes.setdefault(key, genes)
            if key not in found[-1] or len(curves) > len(found[-1][key][1]):
                found[-1][key] = network, curves
    horizon = max((len(c) for task in found for _, c in task.values()), default=0)
    if not horizon:
        raise BadInput(f"{commons} has no epochs of {', '.join(names) or 'any run'} to export")
    objectives = [*_OF_EPOCHS, *_OF_NETWORKS]
    shape = (len(names), len(genomes), 1, horizon, len(objectives))
    if 8 * np.prod(shape, dtype=np.float64) > _MOST_BYTES:
        raise BadInput(
            f"{shape[0]} runs with {shape[1]} genomes and {horizon} epochs are too large for one table "
            "(4 GiB): name fewer runs"
        )
    table = np.full(shape, np.nan)
    rows = {key: number for number, key in enumerate(genomes)}
    for task, members in enumerate(found):
        for key, (_, curves) in members.items():
            table[task, rows[key], 0, : len(curves)] = curves
    kept = [k for k in range(len(objectives)) if np.isfinite(table[..., k]).any()]
    with atomic_folder(out) as folder:
        np.save(folder / "objectives_evaluations.npy", table[..., kept])
        np.save(folder / "fidelities_values.npy", np.arange(1, horizon + 1))
        columns = {name: [genes[name] for genes in genomes.values()] for name in first}
        # the reader accepts gzip or no compression
        pq.write_table(pa.table(columns), folder / "hyperparameters.parquet", compression="gzip")
        write_json(folder / "configspace.json", {name: _domain(v) for name, v in columns.items()})
        write_json(folder / "fidelityspace.json", {"epoch": _integers(1, horizon)})
        write_json(folder / "metadata.json", _metadata(names, [objectives[k] for k in kept]))
        places = [
            (rows[key], run, n) for run, t in zip(names, found, strict=True) for key, (n, _) in t.items()
        ]
        held = {k: [p[i] for p in places] for i, k in enumerate(("row", "run", "network"))}
        pq.write_table(pa.table(held), folder / "networks.parquet")
    return {"tasks": shape[0], "genomes": shape[1], "epochs": horizon, "objectives": len(kept)}


def _metadata(runs: Sequence[str], objectives: Sequence[str]) -> dict[str, Json]:
    units: dict[str, Json] = {
        k: unit for k, (unit, _) in (_OF_EPOCHS | _OF_NETWORKS).items() if k in objectives and unit
    }
    # the names are those of Syne Tune's own recipes
    return {
        "objectives_names": list(objectives),
        "task_names": list(runs),
        "metric_default": objectives[0],
        "time_attr": "epoch",
        **({_ELAPSED: _ELAPSED} if _ELAPSED in objectives else {}),
        "units": units,
    }


def _networks(commons: Path, run: str) -> Iterator[tuple[int, Json, Curves]]:
    """Number, genome and curves, shape (epochs, objectives), of every finished network that has epochs."""
    snapshot = Snapshot(commons, run)
    columns = ["network", "genome", "equal_to", *(column for _, column in _OF_NETWORKS.values())]
    networks = snapshot.table(TABLES["networks"], final=True).select(columns).to_pylist()
    epochs = snapshot.table(TABLES["epochs"], final=True)
    owners = epochs["network"].to_numpy()
    numbers = epochs["epoch"].to_numpy()
    values = {
        c: epochs[c].to_numpy().astype(np.float64) for c in {column for _, column in _OF_EPOCHS.values()}
    }
    for row in networks:
        number = row["network"] if row["equal_to"] is None else row["equal_to"]
        indices = np.flatnonzero(owners == number)
        if not len(indices):
            continue
        curves = np.full((int(numbers[indices].max()), len(_OF_EPOCHS) + len(_OF_NETWORKS)), np.nan)
        at = numbers[indices] - 1
        for k, (name, (_, column)) in enumerate(_OF_EPOCHS.items()):
            curves[at, k] = (
                100 - values[column][indices] if name.endswith("_error") else values[column][indices]
            )
            if name == _ELAPSED:
                curves[:, k] = np.where(np.isnan(curves[:, k]), np.nan, np.nancumsum(curves[:, k]))
        for k, (_, column) in enumerate(_OF_NETWORKS.values(), start=len(_OF_EPOCHS)):
            curves[at, k] = np.nan if row[column] is None else row[column]
        yield row["network"], json.loads(row["genome"]), curves


def _genes(genome: Json, name: str = "") -> Genes:
    """A genome as a flat mapping: lists are counted, ``gene_0_3``; mappings keep their names."""
    if isinstance(genome, Mapping):
        items = [(f"{name}_{key}" if name else str(key), value) for key, value in genome.items()]
    elif isinstance(genome, list):
        items = [(f"{name or 'gene'}_{index}", value) for index, value in enumerate(genome)]
    else:
        return {name or "gene": genome}
    return {key: value for inner, part in items for key, value in _genes(part, inner).items()}


def _clip(genes: Genes) -> str:
    names = ", ".join(genes)
    return names if len(names) <= 60 else f"{names[:57]}..."


def _domain(values: Sequence[Json]) -> dict[str, Json]:
    """The domain that Syne Tune would write for exactly these values."""
    whole = [value for value in values if isinstance(value, int) and not isinstance(value, bool)]
    if len(whole) == len(values):
        return _integers(min(whole), max(whole))
    numbers = [*whole, *(value for value in values if isinstance(value, float))]
    if len(numbers) == len(values):
        return _drawn("Float", lower=float(min(numbers)), upper=float(max(numbers)))
    return _drawn("Categorical", categories=sorted(set(values), key=str))


def _integers(lower: int, upper: int) -> dict[str, Json]:
    return _drawn("Integer", lower=lower, upper=upper)


def _drawn(domain: str, **settings: Json) -> dict[str, Json]:
    return {
        "domain_cls": domain,
        "domain_kwargs": settings,
        "sampler_cls": "Uniform",
        "sampler_kwargs": {},
    }
