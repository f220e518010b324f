"""The search as a Prefect flow: one task run per segment, or a flow run on another machine, and artifacts."""

from __future__ import annotations

from contextlib import ExitStack, closing
from functools import partial
from pathlib import Path

from prefect import State, flow
from prefect.runtime import deployment, flow_run
from prefect.states import Completed

from a4nn_core.commons import Commons, RunFolder
from a4nn_core.errors import BadInput
from a4nn_core.experiment import Experiment
from a4nn_core.report.beside import ensure_beside, write_beside
from a4nn_core.workflow.devices import Machine
from a4nn_core.workflow.executor import Executor
from a4nn_core.workflow.final import has_ended
from a4nn_core.workflow.run import execute
from a4nn_core.workflow.summary import summarise
from a4nn_core.workflow.watcher import Watcher

from .artifacts import Artifacts, watched_by
from .budget import DeploymentBudget, DeploymentBudgetUsedUp, within
from .cluster import ClusterExecutor, open_cluster
from .executor import PrefectExecutor
from .locks import deployment_lock, held, held_run
from .orphan import FlowRunCancelled, needing_no_worker
from .parameters import DEFAULT, ExperimentParameter, resolve
from .pool import WorkPoolExecutor, find_deployment
from .seed import with_own_seed
from .server import check_server, origin, own_run_id


def _flow_run_name() -> str:
    given = flow_run.get_parameters()
    return given.get("run_id") or own_run_id(given.get("experiment", DEFAULT))


@flow(name="a4nn-search", flow_run_name=_flow_run_name, validate_parameters=True)
def search(
    experiment: ExperimentParameter = DEFAULT,
    commons: Path = Path("commons"),
    run_id: str | None = None,
    changes: list[str] = [],  # noqa: B006  Prefect shows the default in its form
    segments: str | None = None,
    cluster: str | None = None,
    fixed_seed: bool = False,
    deployment_budget: DeploymentBudget | None = None,
) -> dict[str, object] | State[None]:
    """Search network architectures, and record the training of every network.

    Args:
        experiment: the search: a preset, a TOML file on the worker's machine, or all its settings.
        commons: folder of the data commons, on a file system that all machines of the run share.
        run_id: id of the run; an existing run is resumed, or shown if it is complete. If empty, a new
            id made for this flow run.
        changes: settings to change in a preset or file, each KEY=VALUE, such as training.epochs=5.
        segments: name of a deployment, such as a4nn-segment/segment, whose work pool trains the networks. If
            empty, they are trained where the search runs.
        cluster: the cluster that trains the networks: ray or dask, or an address such as ray://head:10001 or
            tcp://head:8786.
        fixed_seed: whether scheduled runs use the experiment's seed, so that all are the same search. If not,
            each has a seed of its own, which follows from its run id. Runs started by hand use the
            experiment's.
        deployment_budget: what all runs of this deployment may use together, of those that began in the last
            so many days. When it is used up, runs are skipped.

    Returns:
        the summary of the run, as ``a4nn run --json`` prints it; for a scheduled run whose predecessor is
        still running, or whose deployment has used up its budget, a completed state named Skipped.
    """
    if deployment.id and not commons.is_absolute():
        raise BadInput(
            f"commons = {str(commons)!r}: a deployment needs an absolute path: its runs start elsewhere"
        )
    if segments and cluster:
        raise BadInput(f"segments = {segments!r} and cluster = {cluster!r}: only one can train the networks")
    run_id = run_id or own_run_id(experiment)
    experiment = resolve(experiment, changes)
    come_from = origin()
    if not fixed_seed:
        experiment = with_own_seed(experiment, commons, run_id, "schedule" in come_from)
    training = experiment.training
    found = find_deployment(segments) if segments else None

    def make_executor(machine: Machine) -> Executor:
        if found:
            return WorkPoolExecutor(found, training.slots)
        if cluster:
            return ClusterExecutor(open_cluster(cluster, training, machine), training.slots)
        return PrefectExecutor(machine.slots, machine.threads)

    with ExitStack() as stack:
        stack.enter_context(needing_no_worker())
        ended = has_ended(experiment, commons, run_id)
        if not ended:  # else its folder is not even locked
            stack.enter_context(held_run(commons, run_id))
            if "schedule" in come_from:
                lock = deployment_lock(commons, str(come_from["deployment"]))
                resumed = RunFolder(commons, run_id).run_file.exists()
                try:
                    stack.enter_context(held(lock, str(come_from["deployment"]), wait=resumed))
                except BadInput as error:
                    # a cancelled state would be logged as an error, with a traceback
                    return Completed(name="Skipped", message=f"the previous run has not ended: {error}")
            if deployment_budget is not None:
                try:
                    experiment = within(
                        experiment, deployment_budget, commons, come_from["deployment"], run_id
                    )
                except DeploymentBudgetUsedUp as error:
                    return Completed(name="Skipped", message=str(error))
        shown = Artifacts(run_id, experiment.search.networks)
        with closing(shown.publisher):
            execute(experiment, commons, run_id, make_executor, shown, come_from)
            store = Commons(commons)
            summary = summarise(store, run_id)
            shown.result(summary, (ensure_beside if ended else write_beside)(store, run_id))
    return dict(summary.as_dict())


def run_with_prefect(
    experiment: Experiment,
    commons: Path,
    run_id: str,
    watcher: Watcher | None = None,
    cluster: str | None = None,
) -> None:
    """The executor ``prefect`` of ``a4nn run``: calls the flow ``search`` in this process.

    Raises:
        BadInput: no server is configured, or it does not answer.
        KeyboardInterrupt: its flow run was cancelled in Prefect.
    """
    check_server(f"executor {cluster or 'prefect'}")
    with watched_by(watcher):
        try:
            search(experiment=experiment, commons=commons, run_id=run_id, cluster=cluster)
        except FlowRunCancelled:  # cancelled in Prefect's pages
            raise KeyboardInterrupt from None


run_with_ray = partial(run_with_prefect, cluster="ray")
"""The executor ``ray``: on the cluster of ``RAY_ADDRESS``, or on one started for the search."""
run_with_dask = partial(run_with_prefect, cluster="dask")
"""The executor ``dask``: on the cluster of ``DASK_SCHEDULER_ADDRESS``, or on one started for the search."""
