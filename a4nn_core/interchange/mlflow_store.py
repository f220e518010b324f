"""Experiments of a local MLflow store as runs of a commons, without MLflow.

Read are both kinds of local store: the folder ``mlruns`` (``meta.yaml``; a file for each metric with a line
``timestamp value step`` for each value, and a file for each parameter) and the database ``mlflow.db`` (tables
experiments, runs, metrics, params). Both as MLflow 3 writes them; earlier versions write the same.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import yaml

from a4nn_core.errors import BadInput
from a4nn_core.files import user_errors
from a4nn_core.interchange.incoming import IncomingRun
from a4nn_core.interchange.tracked import TrackedRun, began, moment, tracked_import
from a4nn_core.jsonable import Json, parsed
from a4nn_core.vocabulary import NetworkStatus

_STATUS = {
    "FINISHED": NetworkStatus.completed,
    "FAILED": NetworkStatus.failed,
    "KILLED": NetworkStatus.failed,
}
_NUMBERS = {1: "RUNNING", 2: "SCHEDULED", 3: "FINISHED", 4: "FAILED", 5: "KILLED"}
_SQLITE = b"SQLite format 3\x00"


def import_mlflow(
    store: Path,
    commons: Path,
    experiment: str | None = None,
    run: str | None = None,
    metric: str | None = None,
    values: str = "auto",
) -> dict[str, int]:
    """Import the experiments of a local MLflow store, each as one run; runs become networks.

    Args:
        store: the folder ``mlruns``, or the file of an SQLite database.
        commons: folder, created if missing.
        experiment: name of the experiment; all that have ended runs if None.
        run: id of the run; made from the experiment's name if None.
        metric, values: see ``tracked_import``.

    Returns:
        number of networks by run id.

    Raises:
        BadInput: it is no such store, has no such experiment or no run that has ended, no metric can be the
            learning curve, or the commons has the run; nothing is written then.
    """
    found = _from_folder(store) if store.is_dir() else _from_database(store)
    if experiment is not None and experiment not in found:
        known = ", ".join(sorted(found)) or "none"
        raise BadInput(f"{store} has no experiment {experiment!r}; experiments there: {known}")
    chosen = {
        name: runs
        for name, runs in found.items()
        if name == experiment or (experiment is None and any(one.status is not None for one in runs))
    }
    if not chosen:
        raise BadInput(f"{store} has no experiment with a run that has ended")
    if run is not None and len(chosen) > 1:
        raise BadInput(f"one run id cannot name {len(chosen)} experiments: choose one of {', '.join(chosen)}")
    arriving: list[IncomingRun] = [
        tracked_import(
            sorted(runs, key=began),
            commons,
            source="mlflow",
            place=f"experiment {name!r} in {store}",
            name=name,
            run=run,
            metric=metric,
            values=values,
        )
        for name, runs in sorted(chosen.items())
    ]
    ids = [one.folder.run_id for one in arriving]
    twice = next((name for name in ids if ids.count(name) > 1), None)
    if twice is not None:
        raise BadInput(f"several experiments would become the run {twice!r}: import them one by one")
    return {one.folder.run_id: one.write() for one in arriving}


def _tracked(
    key: str,
    name: str | None,
    status: str | None,
    start: object,
    end: object,
    parameters: Mapping[str, str],
    metrics: Mapping[str, list[tuple[int, float]]],
) -> TrackedRun:
    # milliseconds in 64 bits; what is larger is no time
    first, last = (v / 1000 if isinstance(v, int) and abs(v) < 2**63 else None for v in (start, end))
    known = _STATUS.get(status or "")
    return TrackedRun(
        key,
        name or key,
        known,
        {parameter: _value(text) for parameter, text in parameters.items()},
        metrics,
        None if first is None or last is None else max(0.0, last - first),
        moment(first),
        f"{(status or '').lower()}; MLflow does not record why" if known is NetworkStatus.failed else None,
    )


def _value(text: str) -> Json:
    """A parameter, which MLflow keeps as text: a number if it is one."""
    try:
        value = parsed(text)
    except ValueError:
        return text
    return value if isinstance(value, int | float | bool) else text


def _from_folder(store: Path) -> dict[str, list[TrackedRun]]:
    found: dict[str, list[TrackedRun]] = {}
    for meta in sorted(store.glob("*/meta.yaml")):
        experiment = _meta(meta)
        if meta.parent.name == ".trash" or experiment.get("lifecycle_stage") == "deleted":
            continue
        runs = [
            _run_of_folder(file.parent, about)
            for file in sorted(meta.parent.glob("*/meta.yaml"))
            if (about := _meta(file)).get("lifecycle_stage") != "deleted" and "run_id" in about
        ]
        found.setdefault(str(experiment.get("name") or meta.parent.name), []).extend(runs)
    if not found:
        raise BadInput(f"{store} is no MLflow store: no folder in it has a meta.yaml")
    return found


def _meta(path: Path) -> dict[str, Any]:
    with user_errors("read", path):
        try:
            about = yaml.safe_load(path.read_text(encoding="utf-8"))
        except (yaml.YAMLError, ValueError, RecursionError):  # ValueError: no date, no number of this size
            about = None
    if not isinstance(about, dict):
        raise BadInput(f"{path} is damaged: it is not a table of YAML")
    return about


def _run_of_folder(folder: Path, about: Mapping[str, Any]) -> TrackedRun:
    status = about.get("status", 1)
    return _tracked(
        str(about["run_id"]),
        None if about.get("run_name") is None else str(about["run_name"]),
        _NUMBERS.get(status) if isinstance(status, int) else str(status),
        about.get("start_time"),
        about.get("end_time"),
        {name: text.strip("\n") for name, text in _texts(folder / "params")},
        {name: _points(folder / "metrics" / name, text) for name, text in _texts(folder / "metrics")},
    )


def _texts(folder: Path) -> Iterable[tuple[str, str]]:
    """Content of every file of a folder by its name, which may have slashes in it."""
    for path in sorted(folder.rglob("*")) if folder.is_dir() else ():
        if path.is_file():
            with user_errors("read", path):
                try:
                    yield path.relative_to(folder).as_posix(), path.read_text(encoding="utf-8")
                except UnicodeDecodeError:
                    raise BadInput(f"{path} is damaged: it is not text") from None


def _points(path: Path, text: str) -> list[tuple[int, float]]:
    points = []
    for line, words in enumerate((line.split() for line in text.splitlines()), start=1):
        try:
            # two words in stores of early versions; five where a data set is named, too
            _, value, step = (*words, "0")[:3] if len(words) in (2, 3, 5) else ()
            points.append((int(step), float(value)))
        except ValueError:
            raise BadInput(
                f"{path} line {line} is {' '.join(words)!r}, not a time, a value and a step"
            ) from None
    return points


def _from_database(store: Path) -> dict[str, list[TrackedRun]]:
    if not store.is_file():
        raise BadInput(f"there is no MLflow store {store}")
    with user_errors("read", store), store.open("rb") as file:
        if file.read(len(_SQLITE)) != _SQLITE:
            raise BadInput(f"{store} is no MLflow store: neither a folder mlruns nor an SQLite database")
    try:
        with closing(sqlite3.connect(f"{store.resolve().as_uri()}?mode=ro", uri=True)) as database:
            return _read_database(database)
    except sqlite3.Error as error:
        raise BadInput(f"{store} cannot be read as an MLflow store: {error}") from None
    except (TypeError, ValueError, OverflowError, KeyError):  # SQLite holds any type in any column
        raise BadInput(f"{store} is damaged: a value in it is not what its column should hold") from None


def _read_database(database: sqlite3.Connection) -> dict[str, list[TrackedRun]]:
    parameters: dict[str, dict[str, str]] = {}
    for run, key, text in database.execute("select run_uuid, key, value from params"):
        parameters.setdefault(run, {})[key] = str(text)
    metrics: dict[str, dict[str, list[tuple[int, float]]]] = {}
    rows = database.execute(
        "select run_uuid, key, step, case when is_nan then null else value end from metrics "
        "order by run_uuid, key, step, timestamp"
    )
    for run, key, step, value in rows:
        points = metrics.setdefault(run, {}).setdefault(key, [])
        points.append((int(step), float("nan") if value is None else float(value)))
    found: dict[str, list[TrackedRun]] = {
        name: []
        for (name,) in database.execute(
            "select name from experiments where lifecycle_stage = 'active' order by name"
        )
    }
    query = (
        "select e.name, r.run_uuid, r.name, r.status, r.start_time, r.end_time from runs r "
        "join experiments e on e.experiment_id = r.experiment_id "
        "where r.lifecycle_stage = 'active' and e.lifecycle_stage = 'active' "
        "order by r.start_time, r.run_uuid"
    )
    for experiment, run, name, status, start, end in database.execute(query):
        found[experiment].append(
            _tracked(run, name, status, start, end, parameters.get(run, {}), metrics.get(run, {}))
        )
    return found
