"""The same questions on MLflow's and Optuna's SQLite storage; run by commons.py.

    python commons_peers.py NAME FOLDER     reads networks.parquet and epochs.parquet there, prints JSON

What each stores: MLflow one run a network with five metrics an epoch; Optuna one trial a network with one
intermediate value an epoch. The questions go straight to their databases, in SQL with the tables' own indexes
and without the client's overhead, which is the best these layouts can do.
"""

from __future__ import annotations

import json
import sqlite3
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

METRICS = (
    "train_loss",
    "validation_loss",
    "train_accuracy_percent",
    "validation_accuracy_percent",
    "learning_rate",
)


def by_network(folder: Path) -> list[tuple[dict[str, Any], list[dict[str, Any]]]]:
    networks = pq.read_table(folder / "networks.parquet").to_pylist()
    curves: dict[int, list[dict[str, Any]]] = {}
    for row in pq.read_table(folder / "epochs.parquet").to_pylist():
        curves.setdefault(row["network"], []).append(row)
    return [(n, curves[n["network"]]) for n in networks]


def timed(question: Callable[[], Any], times: int = 5) -> float:
    took = []
    for _ in range(times):
        begin = time.perf_counter()
        question()
        took.append(time.perf_counter() - begin)
    return statistics.median(took)


def ask(file: Path, queries: dict[str, str]) -> dict[str, float]:
    def answer(query: str) -> list[Any]:
        with sqlite3.connect(file) as database:
            rows = database.execute(query).fetchall()
        assert rows, query
        return rows

    return {name: timed(lambda query=query: answer(query)) for name, query in queries.items()}


_FRONT = """
with n as ({networks})
select * from n where not exists (
  select 1 from n o where o.accuracy >= n.accuracy and o.flops <= n.flops
  and (o.accuracy > n.accuracy or o.flops < n.flops))"""


def mlflow(folder: Path) -> dict[str, float]:
    from mlflow.entities import Metric, Param
    from mlflow.tracking import MlflowClient

    file = folder / "mlflow.db"
    file.unlink(missing_ok=True)
    client = MlflowClient(f"sqlite:///{file}")
    experiment = client.create_experiment("bench", artifact_location=str(folder / "artifacts"))
    begin = time.perf_counter()
    for network, curve in by_network(folder):
        run = client.create_run(experiment, run_name=str(network["network"]))
        metrics = [Metric(m, row[m], 0, row["epoch"]) for row in curve for m in METRICS]
        metrics += [
            Metric("best_accuracy_percent", network["best_accuracy_percent"], 0, 0),
            Metric("flops", network["flops"], 0, 0),
        ]
        params = [Param("genome", network["genome"]), Param("parents", json.dumps(network["parents"]))]
        client.log_batch(run.info.run_id, metrics, params)
    filled = time.perf_counter() - begin
    networks = """
  select r.name as network, a.value as accuracy, f.value as flops
  from runs r join latest_metrics a on a.run_uuid = r.run_uuid and a.key = 'best_accuracy_percent'
  join latest_metrics f on f.run_uuid = r.run_uuid and f.key = 'flops'"""
    queries = {
        "mean learning curve": "select step, avg(value) from metrics "
        "where key = 'validation_accuracy_percent' group by step order by step",
        "Pareto front of each run": _FRONT.format(networks=networks),
        "history of one network": "select m.* from metrics m join runs r on r.run_uuid = m.run_uuid "
        "where r.name = '500' order by m.step",
        "top ten": networks + " order by a.value desc, f.value limit 10",
        "lineage of one network": """
with recursive tree(network) as (
  select '999' union
  select cast(e.value as text) from tree join runs r on r.name = tree.network
  join params p on p.run_uuid = r.run_uuid and p.key = 'parents', json_each(p.value) e
) select * from tree""",
    }
    return {**ask(file, queries), "filling": filled, "bytes": float(file.stat().st_size)}


def optuna(folder: Path) -> dict[str, float]:
    import optuna as package
    from optuna.distributions import IntDistribution
    from optuna.trial import TrialState, create_trial

    package.logging.set_verbosity(package.logging.WARNING)
    file = folder / "optuna.db"
    file.unlink(missing_ok=True)
    study = package.create_study(
        storage=f"sqlite:///{file}", study_name="bench", directions=["maximize", "minimize"]
    )
    begin = time.perf_counter()
    for network, curve in by_network(folder):
        genes = [bit for phase in json.loads(network["genome"]) for bit in phase]
        study.add_trial(
            create_trial(
                state=TrialState.COMPLETE,
                values=[network["best_accuracy_percent"], float(network["flops"])],
                params={f"g{i}": bit for i, bit in enumerate(genes)},
                distributions={f"g{i}": IntDistribution(0, 1) for i in range(len(genes))},
                user_attrs={"parents": network["parents"]},
                intermediate_values={row["epoch"]: row["validation_accuracy_percent"] for row in curve},
            )
        )
    filled = time.perf_counter() - begin
    networks = """
  select t.number as network, a.value as accuracy, f.value as flops
  from trials t join trial_values a on a.trial_id = t.trial_id and a.objective = 0
  join trial_values f on f.trial_id = t.trial_id and f.objective = 1"""
    queries = {
        "mean learning curve": "select step, avg(intermediate_value) from trial_intermediate_values "
        "group by step order by step",
        "Pareto front of each run": _FRONT.format(networks=networks),
        "history of one network": "select v.* from trial_intermediate_values v "
        "join trials t on t.trial_id = v.trial_id where t.number = 500 order by v.step",
        "top ten": networks + " order by a.value desc, f.value limit 10",
        "lineage of one network": """
with recursive tree(network) as (
  select 999 union
  select e.value from tree join trials t on t.number = tree.network
  join trial_user_attributes u on u.trial_id = t.trial_id and u.key = 'parents', json_each(u.value_json) e
) select * from tree""",
    }
    return {**ask(file, queries), "filling": filled, "bytes": float(file.stat().st_size)}


if __name__ == "__main__":
    print(json.dumps({"mlflow": mlflow, "optuna": optuna}[sys.argv[1]](Path(sys.argv[2]))))
