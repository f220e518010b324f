"""The budget of a deployment: what all its runs may use together, read from the records of the commons.

The server is not asked: it forgets flow runs, and runs that are resumed by hand count, too.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

from a4nn_core.budget import Amount, Budget, Spent
from a4nn_core.commons import Commons
from a4nn_core.errors import BadInput
from a4nn_core.experiment import Experiment
from a4nn_core.workflow.spending import spent_by


class DeploymentBudget(Budget):
    """What the runs of a deployment may use together at most. Where one of these is used up, further runs are
    skipped; a run that would use more than what is left ends there."""

    days: Amount = 30.0
    """runs count that began so many days ago or less"""


class DeploymentBudgetUsedUp(Exception):
    """A deployment has used up its budget; the message says which."""


def within(
    experiment: Experiment, budget: DeploymentBudget, commons: Path, deployment: str | None, run_id: str
) -> Experiment:
    """The experiment with a budget of what its deployment has left.

    Args:
        experiment: the experiment; its own budget holds as well.
        budget: budget of the deployment.
        commons: folder of the commons, which need not exist.
        deployment: name of the deployment.
        run_id: id of the run that is to begin, or to go on.

    Raises:
        BadInput: no deployment started the flow, or its energy is not recorded.
        DeploymentBudgetUsedUp: nothing is left.
    """
    if deployment is None:
        raise BadInput("parameter deployment_budget: no deployment started this flow; use [budget]")
    if budget.kwh is not None and not experiment.training.energy:
        raise BadInput(
            f"parameter deployment_budget: kwh = {budget.kwh:g} needs [training] energy = true: energy is "
            "not recorded"
        )
    spent = spent_together(commons, deployment, datetime.now(UTC) - timedelta(days=budget.days), run_id)
    used_up = budget.used_up(spent)
    if used_up is not None:
        raise DeploymentBudgetUsedUp(
            f"the budget of {deployment} is used up: {used_up} in the last {budget.days:g} days"
        )
    left = {name: limit - getattr(spent, name) for name, limit in budget.limits().items()}
    own = experiment.budget.limits() if experiment.budget is not None else {}
    tighter = {name: min(left.get(name, limit), limit) for name, limit in own.items()}
    return experiment.model_copy(update={"budget": Budget(**{**left, **tighter})})


def spent_together(commons: Path, deployment: str, since: datetime, but: str) -> Spent:
    """What the runs of a deployment have used.

    Args:
        commons: folder of the commons, which need not exist.
        deployment: name of the deployment.
        since: runs that began earlier do not count.
        but: id of a run that does not count.
    """
    if not (commons / "commons.json").is_file():
        return Spent()
    store = Commons(commons)
    name = deployment.replace("'", "''")
    rows = store.answer(f"select run from runs where deployment = '{name}' and started >= '{since:%F %T.%f}'")
    runs = [str(run) for run in rows["run"].to_pylist() if run != but]
    return Spent.sum(spent_by(store, run) for run in runs)
