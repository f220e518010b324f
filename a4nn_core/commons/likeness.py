"""How alike the networks of runs are, as far as that was kept: ``runs/<run>/likeness.parquet``.

It follows from the genomes, and for a run of 10,000 networks is larger than all of its records. So it is
made on request (``a4nn dig likeness RUN --keep``), is no part of the record, and can be deleted. The file
says to which ``run.json`` it belongs. Whoever resumes a run changes that before anything else, so pairs of an
earlier state are never taken for those of all networks.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path

import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq

from a4nn_core.commons.layout import Damaged, RunFolder
from a4nn_core.commons.scan import FORMAT, LOCAL
from a4nn_core.commons.schema import LIKENESS

_STATE = b"run.json"
"""metadata of the file: SHA-256 of the ``run.json`` that it belongs to"""


def state_of(folder: RunFolder) -> Mapping[bytes, bytes]:
    """What a file of pairs says of the state of its run, as metadata of its schema."""
    return {_STATE: hashlib.sha256(folder.run_file.read_bytes()).hexdigest().encode()}


def kept_pairs(commons: Path, runs: Iterable[str]) -> ds.Dataset:
    """The pairs that were kept and still hold, with the columns of ``LIKENESS``.

    Args:
        commons: folder of the commons.
        runs: ids of the runs to look at.

    Raises:
        Damaged: a file is not a Parquet file with these columns.
    """
    run = ds.field("run")
    files = [
        FORMAT.make_fragment(str(folder.likeness), LOCAL, partition_expression=run == folder.run_id)
        for folder in (RunFolder(commons, name) for name in runs)
        if folder.likeness.is_file() and _holds(folder)
    ]
    return ds.FileSystemDataset(files, LIKENESS.schema, FORMAT, LOCAL)


def _holds(folder: RunFolder) -> bool:
    """Whether the pairs are those of the run as it is now."""
    try:
        schema = pq.read_schema(folder.likeness)
    except PermissionError:
        raise
    except (pa.ArrowException, OSError) as error:
        raise Damaged(
            f"{folder.likeness} is damaged: {error}; delete it, or make it again with "
            f"a4nn dig likeness {folder.run_id} --keep"
        ) from None
    return (schema.metadata or {}).get(_STATE) == state_of(folder)[_STATE]
