"""The prior of an experiment: from ``[prior]`` to earlier runs, and what the run records of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from a4nn_core.commons.ranges import from_ranges, to_ranges
from a4nn_core.commons.reader import Commons
from a4nn_core.errors import BadInput
from a4nn_core.experiment import Prior
from a4nn_core.jsonable import Json, members, text
from a4nn_core.penguin.observed import Past
from a4nn_core.spaces.architecture import Architecture
from a4nn_core.spaces.features import architecture_features
from a4nn_core.workflow.past import PastRun, read_past_run

MOST_AUTOMATIC = 20
"""number of runs that ``auto`` takes at most, the newest"""


@dataclass(frozen=True)
class ResolvedPrior:
    """The runs that a search learns from.

    Attributes:
        past: what it learns.
        recorded: what its own run records of each: id, numbers of the networks (see ``to_ranges``) and
            fingerprint.
    """

    past: tuple[Past, ...]
    recorded: tuple[dict[str, str], ...]

    @classmethod
    def of(cls, runs: Sequence[PastRun]) -> ResolvedPrior:
        """The prior that is made of runs."""
        return cls(
            tuple(one.past for one in runs),
            tuple(
                {
                    "run": one.past.run,
                    "networks": to_ranges(one.numbers),
                    "fingerprint": one.fingerprint,
                }
                for one in runs
            ),
        )


def resolve_prior(
    prior: Prior, commons: Path, run_id: str, space: str, largest: Architecture
) -> ResolvedPrior:
    """Find and read the runs that a new run is to learn from.

    Args:
        prior: the table ``[prior]`` of its experiment.
        commons: folder of the commons, which need not exist.
        run_id: id of the new run.
        space: name of its search space.
        largest: the largest network of the space.

    Raises:
        BadInput: a run does not exist, is the new one, or has nothing to learn from; or the query fails.
    """
    if (prior.auto or prior.may_be_empty) and not (commons / "commons.json").is_file():
        return ResolvedPrior.of([])  # the first run of a commons has nothing to learn from
    store = Commons(commons)
    if prior.auto:
        return ResolvedPrior.of(_automatic(store, run_id, space, largest))
    names = list(prior.runs) if prior.runs is not None else _asked(store, prior)
    if run_id in names:
        raise BadInput(f"[prior] run {run_id!r} is the run itself; {_fitting(store, run_id, largest)}")
    _check_known(store, names)
    runs = [read_past_run(store, name) for name in dict.fromkeys(names)]
    for one in runs:
        trouble = _trouble(one, space, largest)
        if trouble:
            raise BadInput(f"[prior] run {one.past.run!r} {trouble}; {_fitting(store, run_id, largest)}")
    return ResolvedPrior.of(runs)


def resolve_again(recorded: Json, commons: Path, run_id: str) -> ResolvedPrior:
    """Read the runs that an existing run has learned from.

    Args:
        recorded: what it recorded of them.
        commons, run_id: folder of the commons and id of the run.

    Raises:
        BadInput: one of them is gone or has changed.
    """
    store = Commons(commons)
    runs = []
    for entry in recorded if isinstance(recorded, list) else []:
        noted = members(entry)
        name = text(noted.get("run")) or ""
        if name not in store.runs():
            raise BadInput(
                f"run {run_id!r} cannot go on: run {name!r}, from which it learned, is no longer in {commons}"
            )
        try:
            numbers = from_ranges(text(noted.get("networks")) or "")
        except BadInput as error:
            raise BadInput(
                f"run {run_id!r} cannot go on: of run {name!r}, from which it learned, it names networks of "
                f"which {error}"
            ) from None
        one = read_past_run(store, name, numbers)
        if one.fingerprint != noted.get("fingerprint"):
            raise BadInput(
                f"run {run_id!r} cannot go on: run {name!r}, from which it learned, has changed since "
                f"(its fingerprint is {one.fingerprint[:12]}..., not {str(noted.get('fingerprint'))[:12]}...)"
            )
        runs.append(one)
    return ResolvedPrior.of(runs)


def _automatic(store: Commons, run_id: str, space: str, largest: Architecture) -> list[PastRun]:
    """The newest completed runs of the family of a space from which something can be learned; of a run and
    its shadow, which has the same networks, the shadow."""
    rows = store.sql(
        "select run, shadow_of, experiment->>'$.space.name' from runs where status = 'completed' "
        "order by ended desc, run"
    ).fetchall()
    shadowed = {original for _, original, _ in rows}
    found: list[PastRun] = []
    for name, _, its_space in rows:
        if len(found) == MOST_AUTOMATIC:
            break
        if name == run_id or name in shadowed or its_space not in (space, None):
            continue
        one = read_past_run(store, name)
        # what an import did not say is told by the layers
        related = its_space == space or _operations(one.features) <= _operations(_features(largest))
        if related and not _trouble(one, space, largest):
            found.append(one)
    return found


def _features(architecture: Architecture) -> frozenset[str]:
    return frozenset(architecture_features(architecture))


def _operations(features: frozenset[str]) -> frozenset[str]:
    """The kinds of layers that features speak of; a mark of its own if they speak of none."""
    return frozenset(name for name in features if name.startswith("op.")) or frozenset({"none"})


def _asked(store: Commons, prior: Prior) -> list[str]:
    """The ids of the runs that a query returns."""
    try:
        answer = store.answer(prior.query or "")
    except BadInput as error:
        raise BadInput(f"[prior] query: {error}") from None
    columns = {name.lower(): name for name in answer.column_names}
    if "run" not in columns:
        raise BadInput(
            f"[prior] query returns the columns {', '.join(answer.column_names)}; it must return a column "
            "run, as SELECT run FROM runs WHERE dataset = 'digits' does"
        )
    names = [str(name) for name in answer[columns["run"]].to_pylist() if name is not None]
    if not names and not prior.may_be_empty:
        raise BadInput(
            f"[prior] query names no runs; runs there: {_listed(store.runs())}; "
            "may_be_empty = true begins without any"
        )
    return names


def _check_known(store: Commons, names: Sequence[str]) -> None:
    known = store.runs()
    for name in names:
        if name not in known:
            near = get_close_matches(name, known, n=5)
            hint = f"did you mean {', '.join(near)}?" if near else f"runs there: {_listed(known)}"
            raise BadInput(f"[prior] {store.path} has no run {name!r}; {hint}")


def _trouble(one: PastRun, space: str, largest: Architecture) -> str | None:
    """Why nothing can be learned from a run; None if something can."""
    if one.header.task is not largest.task:
        return f"is of networks for {one.header.task}, and those of space {space} are for {largest.task}"
    if not one.numbers:
        return (
            "has no network with epochs and an accuracy or PSNR in validation, which are predicted: it was "
            "judged by another metric, or has trained nothing yet"
        )
    if not one.features & _features(largest):
        its = one.header.settings("space").get("name") or "not recorded"
        return f"(space {its}) shares no feature with networks of space {space}: neither layers nor costs"
    return None


def _fitting(store: Commons, run_id: str, largest: Architecture) -> str:
    """What could be named instead."""
    rows = store.sql(
        "select distinct run from networks join epochs using (run, network) "
        "where coalesce(validation_accuracy_percent, validation_psnr_db) is not null and flops is not null "
        "order by run"
    ).fetchall()
    fitting = [name for [name] in rows if name != run_id and store.run(name).task is largest.task]
    return f"runs that fit: {_listed(fitting)}"


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:20]) + (", ..." if len(names) > 20 else "") or "none"
