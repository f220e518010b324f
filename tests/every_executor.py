"""Runs searches one after another by one executor. Run as a program: EXECUTOR COMMONS TABLES, the experiments
as JSON by run id. Prints the runs and, for each that was refused, why."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import made_up

from a4nn_core import Experiment, run
from a4nn_core.errors import A4NNError
from a4nn_core.workflow import pool


@contextmanager
def cluster(executor: str) -> Iterator[None]:
    """One cluster for all searches where that is cheaper; on Ray each starts its own."""
    if executor == "ray":
        yield
    elif executor == "dask":
        from distributed import LocalCluster

        with LocalCluster(n_workers=1, threads_per_worker=2, dashboard_address=None) as local:
            os.environ["DASK_SCHEDULER_ADDRESS"] = local.scheduler_address
            yield
    else:  # workers of this process train as they are told to here
        pool.WORKER = (sys.executable, "-P", made_up.__file__)
        yield


def main(executor: str, commons: str, tables: str) -> None:
    refused = {}
    with cluster(executor):
        for run_id, experiment in json.loads(tables).items():
            try:
                run(Experiment.from_mapping(experiment), commons, run_id, executor)
            except A4NNError as error:
                refused[run_id] = str(error)
    print(json.dumps(refused))  # noqa: T201


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parent))
    main(*sys.argv[1:])
