"""The search as a Prefect flow: a task run a segment, an artifact of progress, one of every generation."""

from __future__ import annotations

from contextvars import ContextVar
from pathlib import Path
from typing import Any

from prefect import flow
from prefect.artifacts import (
    create_markdown_artifact,
    create_progress_artifact,
    create_table_artifact,
    update_progress_artifact,
)
from prefect.runtime import flow_run

from a4nn_core.commons import Commons
from a4nn_core.errors import BadInput
from a4nn_core.experiment import Experiment, load_experiment
from a4nn_core.workflow.rows import Row
from a4nn_core.workflow.run import execute, new_run_id
from a4nn_core.workflow.search import Search, Watcher
from a4nn_core.workflow.summary import Summary, summarise
from flows.executor import PrefectExecutor

# whoever called the flow in this process and wants to see it go on; no parameter, as it is no data
_watcher: ContextVar[Watcher | None] = ContextVar("watcher", default=None)


@flow(name="a4nn-search", flow_run_name="{run_id}", validate_parameters=True)
def search(
    experiment: Experiment | str, commons: Path = Path("commons"), run_id: str | None = None
) -> dict[str, Any]:
    """Search network architectures.

    Args:
        experiment: the search, or the name of a preset or TOML file.
        commons: folder of the data commons.
        run_id: of the run; an existing one is resumed. By default a new one.

    Returns:
        the summary of the run, as ``a4nn run --json`` gives it.
    """
    if isinstance(experiment, str):
        experiment = load_experiment(experiment)
    run_id = run_id or new_run_id(experiment)
    execute(experiment, commons, run_id, PrefectExecutor, _Artifacts(experiment, _watcher.get()))
    summary = summarise(Commons(commons), run_id)
    create_table_artifact(
        _front(summary), key=artifact_key("front", run_id), description=f"Pareto front of {run_id}"
    )
    create_markdown_artifact(_report(summary), key=artifact_key("report", run_id))
    return summary.as_dict()


def run_with_prefect(
    experiment: Experiment, commons: Path, run_id: str, watcher: Watcher | None = None
) -> None:
    """The executor ``prefect`` of ``a4nn run``: the flow above, called in this process.

    Raises:
        BadInput: no server is configured, or it does not answer.
    """
    _check_server()
    token = _watcher.set(watcher)
    try:
        search(experiment=experiment, commons=commons, run_id=run_id)
    finally:
        _watcher.reset(token)


def _check_server() -> None:
    from prefect.client.orchestration import get_client
    from prefect.settings import get_current_settings

    url = get_current_settings().api.url
    if not url:
        # the server that Prefect would start by itself loses task runs when the process ends
        raise BadInput(
            "executor prefect needs a server: start one with `prefect server start` and set "
            "PREFECT_API_URL=http://127.0.0.1:4200/api"
        )
    with get_client(sync_client=True) as client:
        trouble = client.api_healthcheck()
    if trouble is not None:
        raise BadInput(f"the Prefect server at PREFECT_API_URL={url} does not answer: {trouble}")


class _Artifacts:
    """Shows a search in Prefect's pages, and to another watcher."""

    def __init__(self, experiment: Experiment, other: Watcher | None) -> None:
        self.networks = experiment.search.networks
        self.other = other
        self.progress: Any = None
        self.ended_in: dict[int, list[Row]] = {}
        self.shown: set[int] = set()

    def looked(self, search: Search) -> None:
        if self.other:
            self.other.looked(search)
        for generation in range(search.strategy.generation):
            if generation not in self.shown and generation in self.ended_in:
                self.shown.add(generation)
                rows = sorted(self.ended_in[generation], key=lambda row: row["network"])
                create_table_artifact(
                    [{name: row.get(name) for name in _COLUMNS} for row in rows],
                    key=artifact_key(f"generation-{generation}", search.writer.folder.run_id),
                    description=f"Generation {generation}",
                )

    def ended(self, row: Row) -> None:
        if self.other:
            self.other.ended(row)
        self.ended_in.setdefault(row["generation"], []).append(row)
        done = 100.0 * sum(map(len, self.ended_in.values())) / self.networks
        if self.progress is None:
            key = artifact_key("progress", str(flow_run.get_name()))
            self.progress = create_progress_artifact(done, key=key, description="networks that have ended")
        else:
            update_progress_artifact(self.progress, done)


_COLUMNS = (
    "network",
    "status",
    "best_accuracy_percent",
    "test_accuracy_percent",
    "flops",
    "parameters",
    "epochs_trained",
    "genome",
)


def artifact_key(what: str, run_id: str) -> str:
    """Artifact keys take lower-case letters, digits and dashes."""
    plain = "".join(c if c.isalnum() else "-" for c in run_id.lower() if c.isascii())
    return f"{what}-{plain}"


def _front(summary: Summary) -> list[dict[str, Any]]:
    names = ("network", "accuracy_percent", "test_accuracy_percent", "flops", "parameters", "epochs_trained")
    return [{**{n: member[n] for n in names}, "genome": member["genome_text"]} for member in summary.front]


def _report(summary: Summary) -> str:
    best = summary.front[0] if summary.front else None
    found = f"best validation accuracy {best['accuracy_percent']:.2f} %" if best else "no network"
    return (
        f"# {summary.run}\n\n{summary.networks} networks, {found}.\n\n"
        f"{summary.epochs_trained} of {summary.epochs_budget} epochs trained, "
        f"{summary.epochs_saved_percent:.1f} % saved.\n\nRecords: `{summary.commons}`"
    )
