"""Optuna studies as runs of a commons: a trial becomes a network, a reported value an epoch.

Only reads the storage: it must exist and be Optuna's, because Optuna itself would create a missing one.
"""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from a4nn_core.commons.records import Epoch, Network, best_epoch
from a4nn_core.errors import BadInput
from a4nn_core.interchange.incoming import IncomingNetwork, IncomingRun
from a4nn_core.interchange.parquet import without_secrets
from a4nn_core.jsonable import Json, JsonText, members, parsed
from a4nn_core.vocabulary import Action, Direction, NetworkStatus

if TYPE_CHECKING:
    from optuna import Study
    from optuna.distributions import BaseDistribution
    from optuna.storages import BaseStorage
    from optuna.trial import FrozenTrial

_STATUS = {
    "COMPLETE": NetworkStatus.completed,
    "PRUNED": NetworkStatus.stopped,
    "FAIL": NetworkStatus.failed,
}


VALUES = ("auto", "percent", "fraction", "loss")


def import_optuna(
    storage: str,
    commons: Path,
    study: str | None = None,
    run: str | None = None,
    values: str = "auto",
) -> dict[str, int]:
    """Import studies of an Optuna storage into a commons, each as one run.

    Parameters become the genome. Completed, pruned and failed trials become completed, stopped and failed
    networks; trials that are waiting or running are left out. Values keep their name and sign in ``fitness``.

    Args:
        storage: a database URL such as ``sqlite:///studies.db``, or the file of a journal storage.
        commons: folder, created if missing.
        study: name of the study; all studies of the storage if None.
        run: id of the run; derived from the study's name if None.
        values: what the reported values are, which Optuna does not record: accuracy in ``percent`` or as a
            ``fraction``, or ``loss``; ``auto`` takes loss if the study minimises, else accuracy, as a
            fraction if no value is above 1.

    Returns:
        number of networks imported, by run id.

    Raises:
        BadInput: Optuna is not installed, there is no such storage or study, a study has no finished trial,
            or the commons has the run; nothing is written then.
    """
    try:
        import optuna
    except ImportError:
        raise BadInput("reading Optuna studies needs optuna: pip install 'a4nn[optuna]'") from None
    if values not in VALUES:
        raise BadInput(f"values cannot be {values!r}; known: {', '.join(VALUES)}")
    place = without_secrets(storage)
    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        opened = _open(storage, place)
        known = optuna.get_all_study_names(opened)
        if study is not None and study not in known:
            raise BadInput(f"{place} has no study {study!r}; studies there: {', '.join(known) or 'none'}")
        names = [study] if study is not None else known
        if not names:
            raise BadInput(f"{place} has no study")
        if run is not None and len(names) > 1:
            raise BadInput(f"one run id cannot name {len(names)} studies: choose one of {', '.join(names)}")
        # all are checked before the first is written
        runs = [
            _run(optuna.load_study(study_name=name, storage=opened), place, commons, run, values)
            for name in names
        ]
    finally:
        optuna.logging.set_verbosity(verbosity)
    ids = [arriving.folder.run_id for arriving in runs]
    for name, times in Counter(ids).items():
        if times > 1:
            raise BadInput(f"{times} studies would become the run {name!r}: import them one by one")
    return {arriving.folder.run_id: arriving.write() for arriving in runs}


def _open(storage: str, place: str) -> BaseStorage:
    import sqlalchemy
    from optuna.storages import JournalStorage, RDBStorage
    from optuna.storages.journal import JournalFileBackend

    if "://" not in storage:
        path = Path(storage)
        if not path.is_file():
            raise BadInput(f"there is no Optuna journal file {storage}; a database is named as a URL")
        try:
            first = path.open("rb").readline()
            if "op_code" not in members(parsed(first.decode() or "{}")):
                raise ValueError
            return JournalStorage(JournalFileBackend(storage))
        except (OSError, ValueError, KeyError):
            raise BadInput(f"{storage} is not an Optuna journal; a database is named as a URL") from None
    try:
        url = sqlalchemy.make_url(storage)
        if url.get_backend_name() == "sqlite" and not (url.database and Path(url.database).is_file()):
            raise BadInput(f"there is no database {url.database or 'in memory'}")
        engine = sqlalchemy.create_engine(url)
        try:
            inspector = sqlalchemy.inspect(engine)
            if not all(inspector.has_table(table) for table in ("studies", "trials", "version_info")):
                raise BadInput(f"{place} is not an Optuna storage: it has no tables of studies and trials")
        finally:
            engine.dispose()
        return RDBStorage(storage, skip_table_creation=True)
    except (sqlalchemy.exc.SQLAlchemyError, ImportError, RuntimeError) as error:
        # the URL can hold a password, and drivers repeat it
        text = " ".join(str(error).split("\n")[0].split()).replace(storage, place)
        raise BadInput(f"cannot read the Optuna storage {place}: {text}") from None


def _run(study: Study, place: str, commons: Path, run: str | None, values: str) -> IncomingRun:
    name = study.study_name
    every = study.get_trials(deepcopy=False)
    trials = [trial for trial in every if trial.state.name in _STATUS]
    if not trials:
        raise BadInput(f"study {name!r} in {place} has no finished trial")
    metrics = study.metric_names or _names(len(study.directions))
    objectives: dict[str, Json] = {
        metric: Direction.minimise if direction.name == "MINIMIZE" else Direction.maximise
        for metric, direction in zip(metrics, study.directions, strict=True)
    }
    kind = _kind(values, trials, [Direction(str(way)) for way in objectives.values()])
    steps = sorted({step for trial in trials for step in trial.intermediate_values})
    epochs = {step: number for number, step in enumerate(steps, start=1)}
    positions: Counter[int] = Counter()
    networks = [_network(trial, metrics, kind, epochs, positions) for trial in trials]
    distributions = {
        parameter: json.loads(_distribution_json(distribution))
        for trial in trials
        for parameter, distribution in trial.distributions.items()
    }
    return IncomingRun(
        commons,
        run or re.sub("[^A-Za-z0-9._-]", "-", name).lstrip("._-")[:100] or "study",
        "optuna",
        "pruner" if any(trial.state.name == "PRUNED" for trial in trials) else "none",
        f"study {name!r} in {place}",
        networks,
        _notes(study, every, kind, steps),
        experiment={
            "search": {"name": "optuna", "objectives": objectives},
            "space": {"name": "optuna", "distributions": distributions},
            "training": {"epochs": len(steps)},
        },
    )


def _names(count: int) -> list[str]:
    return ["value"] if count == 1 else [f"value_{index}" for index in range(count)]


def _distribution_json(distribution: BaseDistribution) -> str:
    from optuna.distributions import distribution_to_json

    text: str = distribution_to_json(distribution)
    return text


def _kind(values: str, trials: Sequence[FrozenTrial], ways: Sequence[Direction]) -> str | None:
    """What the reported values are; None if that cannot be determined."""
    if values != "auto":
        return values
    if len(ways) > 1:  # Optuna takes no intermediate values then
        return None
    if ways == [Direction.minimise]:
        return "loss"
    seen = [v for trial in trials for v in (*trial.intermediate_values.values(), *(trial.values or ()))]
    seen = [v for v in seen if math.isfinite(v)]
    if not seen or min(seen) < 0 or max(seen) > 100:
        return None
    return "fraction" if max(seen) <= 1 else "percent"


def _accuracy(kind: str | None, value: float | None) -> float | None:
    """Percent; None if the values are not accuracies."""
    if value is None or not math.isfinite(value) or kind not in ("percent", "fraction"):
        return None
    return 100 * value if kind == "fraction" else value


def _network(
    trial: FrozenTrial,
    metrics: Sequence[str],
    kind: str | None,
    epochs: dict[int, int],
    positions: Counter[int],
) -> IncomingNetwork:
    reported = sorted(trial.intermediate_values.items())
    pruned = trial.state.name == "PRUNED"
    curve = [
        Epoch(
            epoch=epochs[step],
            validation_accuracy_percent=_accuracy(kind, value),
            validation_loss=value if kind == "loss" else None,
        )
        for step, value in reported
    ]
    if curve and pruned:
        curve[-1] = replace(curve[-1], verdict=Action.stop, reason="pruned")
    # samplers that breed call it NSGAIISampler:generation and the like
    found = [v for k, v in trial.system_attrs.items() if k.endswith(":generation") and isinstance(v, int)]
    generation = found[0] if found else 0
    took = trial.duration
    network = Network(
        network=trial.number,
        generation=generation,
        position=positions[generation],
        genome=JsonText.of(trial.params),
        status=_STATUS[trial.state.name],
        fitness=dict(zip(metrics, trial.values, strict=True)) if trial.values else None,
        fitness_source="measured" if trial.values else None,
        epochs_trained=len(curve),
        epochs_budget=len(epochs),
        termination_reason="pruned" if pruned else None,
        seconds=None if took is None else took.total_seconds(),
        error=_error(trial),
    )
    positions[generation] += 1
    if best := best_epoch(curve):
        network = replace(
            network,
            best_accuracy_percent=best.validation_accuracy_percent,
            best_epoch=best.epoch,
            last_accuracy_percent=curve[-1].validation_accuracy_percent,
        )
    elif not curve and trial.values and len(metrics) == 1:
        final = _accuracy(kind, trial.values[0])
        network = replace(network, best_accuracy_percent=final, last_accuracy_percent=final)
    return IncomingNetwork(network, curve)


def _error(trial: FrozenTrial) -> str | None:
    if trial.state.name != "FAIL":
        return None
    return str(trial.system_attrs.get("fail_reason") or "failed; Optuna does not record why")


def _notes(study: Study, every: Sequence[FrozenTrial], kind: str | None, steps: Sequence[int]) -> list[str]:
    descriptions: dict[str | None, str] = {
        "percent": "values are accuracies in percent",
        "fraction": "values are accuracies as fractions: 100 times as much is in the columns in percent",
        "loss": "values are losses",
        None: "values are in networks.fitness only: it is not known whether they are accuracies or losses",
    }
    notes = [descriptions[kind]]
    if kind is None and steps:
        notes.append("left out, having no place: reported values, as they are neither accuracies nor losses")
    notes.append("not recorded at the source: sampler, pruner, seed, device, losses, learning rate, parents")
    notes.append("parameters are in networks.genome, their distributions in experiment.space")
    if steps and list(steps) != list(range(1, len(steps) + 1)):
        first, count = steps[0], len(steps)
        even = list(steps) == list(range(first, first + count))
        listed = f"{first} to {steps[-1]}" if even else ", ".join(map(str, steps))
        notes.append(f"steps {listed} are epochs 1 to {count}")
    waiting = [trial.number for trial in every if trial.state.name not in _STATUS]
    if waiting:
        notes.append(f"left out, not finished: trials {', '.join(map(str, waiting))}")
    times = [t for trial in every for t in (trial.datetime_start, trial.datetime_complete) if t is not None]
    if times:
        notes.append(f"trials ran from {min(times).isoformat()} to {max(times).isoformat()}, local time")
    attributes = sorted({key for trial in every for key in trial.user_attrs} | set(study.user_attrs))
    if attributes:
        notes.append(f"left out, having no place: user attributes {', '.join(attributes)}")
    placed = {"generation", "fail_reason"}
    inner = sorted({_stem(key) for trial in every for key in trial.system_attrs} - placed)
    if inner:
        notes.append(f"left out, having no place: system attributes {', '.join(inner)}")
    return notes


def _stem(key: str) -> str:
    return "generation" if key.endswith(":generation") else key.partition(":")[0]
