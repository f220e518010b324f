"""Experiment: the one declarative description of a search. TOML in, TOML out; a preset is such a file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import (
    BeforeValidator,
    Field,
    SerializeAsAny,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)

from a4nn_core.budget import Budget
from a4nn_core.component import Component, Registry, Settings, Unit, explain
from a4nn_core.data.base import DATA_SOURCES, DataSource
from a4nn_core.errors import BadInput
from a4nn_core.metrics import MISSING_PANEL_ACCURACY_PERCENT, STANDARD, find_metric
from a4nn_core.search.base import STRATEGIES, SearchSettings
from a4nn_core.spaces.base import SPACES, Space
from a4nn_core.termination.base import RULES, TerminationRule
from a4nn_core.termination.peers import PeerRule
from a4nn_core.toml import toml_tables
from a4nn_core.training.settings import Training, as_recorded
from a4nn_core.vocabulary import Task

C = TypeVar("C", bound=Component)


def _part(registry: Registry[C], place: str) -> BeforeValidator:
    def make(settings: object) -> C:
        return registry.make(settings, place)

    return BeforeValidator(make)


class Prior(Settings):
    """Earlier runs of the same commons that a search learns from. Exactly one of runs, query and auto is
    given."""

    runs: Annotated[tuple[str, ...], Field(min_length=1)] | None = None
    """their ids"""
    query: str | None = None
    """a SELECT over the commons, as for a4nn sql, whose column run names them"""
    auto: Literal[True] | None = None
    """all completed runs that searched the same kind of space and measured validation accuracies, at most the
    20 newest; their data sets may differ"""
    may_be_empty: Literal[True] | None = None
    """the query may find no runs, as before the first of a series of searches"""
    best: Annotated[int | None, Unit("networks")] = Field(default=None, ge=1)
    """so many of their best networks are trained first, by any search that can begin with them: those on the
    fronts by this search's objectives, of each run in turn, as far as they are genomes of this space"""

    @field_validator("auto", "may_be_empty", mode="before")
    @classmethod
    def _true_alone(cls, given: object) -> object:
        if given is True or given is None:  # 1 equals True, and would pass for it
            return given
        raise ValueError("input should be true")

    @model_validator(mode="after")
    def _names_runs_in_one_way(self) -> Prior:
        given = [name for name in ("runs", "query", "auto") if getattr(self, name) is not None]
        if len(given) != 1:
            found = " and ".join(given) or "nothing"
            raise ValueError(f"give one of runs, query and auto = true; given: {found}")
        if self.may_be_empty and self.query is None:
            raise ValueError(f"may_be_empty is for a query; given: {given[0]}")
        return self


class Experiment(Settings):
    """A search: which images, which networks, how to look for them, how to train, when to stop."""

    name: str = Field(min_length=1, max_length=60, pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
    """what runs of it are called"""
    description: str = ""
    """one sentence for people"""
    seed: int = Field(default=0, ge=0)
    """of the search and of every network's training; data sets have their own"""
    data: Annotated[SerializeAsAny[DataSource], _part(DATA_SOURCES, "[data]")]
    space: Annotated[SerializeAsAny[Space], _part(SPACES, "[space]")]
    search: Annotated[SerializeAsAny[SearchSettings], _part(STRATEGIES, "[search]")]
    termination: Annotated[SerializeAsAny[TerminationRule], _part(RULES, "[termination]")]
    training: Training = Field(default_factory=Training)
    prior: Prior | None = None
    """earlier runs to learn from; without it, none are read"""
    budget: Budget | None = None
    """what it may use before it ends; without it, whatever its networks take"""

    @model_validator(mode="after")
    def _measures_its_budget(self) -> Experiment:
        if self.budget is not None and self.budget.kwh is not None and not self.training.energy:
            raise ValueError(
                f"[budget] kwh = {self.budget.kwh:g} needs [training] energy = true: energy is not recorded"
            )
        return self

    @field_validator("search")
    @classmethod
    def _fitted(cls, search: SearchSettings, info: ValidationInfo) -> SearchSettings:
        space = info.data.get("space")
        return search if space is None else search.for_task(space.task).fitted(space)

    @model_validator(mode="after")
    def _has_one_task(self) -> Experiment:
        problem = next(mismatches(self), None)
        if problem is not None:
            raise BadInput(problem)
        return self

    @model_validator(mode="after")
    def _has_panels(self) -> Experiment:
        metric = MISSING_PANEL_ACCURACY_PERCENT.name
        if metric in self.search.objectives and self.training.panels is None:
            raise ValueError(
                f"objective {metric} needs training.panels, the rows and columns of the detector's panels, "
                "such as [8, 2]"
            )
        return self

    @model_validator(mode="after")
    def _can_begin_with_the_best(self) -> Experiment:
        best = None if self.prior is None else self.prior.best
        if best is None:
            return self
        if not self.search.can_sow():
            others = ", ".join(name for name, other in STRATEGIES.loadable() if other.sows)
            raise BadInput(
                f"[prior] best = {best}: search {self.search.name} cannot begin with networks of earlier "
                f"runs; those that can: {others}"
            )
        if best > self.search.networks:
            raise BadInput(
                f"[prior] best = {best} is more than [search] networks = {self.search.networks}, which it "
                "counts among"
            )
        return self

    @model_validator(mode="after")
    def _search_fits_space(self) -> Experiment:
        self.search.check_space(self.space)
        if self.search.inherits and isinstance(self.termination, PeerRule):
            raise BadInput(
                f"search {self.search.name} hands on the weights of networks that have ended, and under "
                f"termination {self.termination.name} networks wait for each other; rules that see one curve "
                "fit, such as converged, interval or none"
            )
        return self

    @classmethod
    def from_mapping(cls, settings: Mapping[str, object], place: str = "experiment") -> Experiment:
        """An experiment from nested mappings, as parsed from TOML or JSON.

        Args:
            settings: the tables.
            place: the file they come from, for error messages.

        Raises:
            BadInput: an unknown or missing key or a bad value; one sentence for each.
        """
        try:
            return cls.model_validate(dict(settings))
        except BadInput as error:
            raise BadInput(f"{place}: {error}") from None
        except ValidationError as error:
            raise BadInput(explain(error, cls, place)) from None

    @classmethod
    def from_record(cls, settings: Mapping[str, object], place: str = "recorded experiment") -> Experiment:
        """The experiment that a run recorded. A setting that its version did not have yet takes the value
        that reproduces what that version did.

        Raises:
            BadInput: as ``from_mapping``.
        """
        training = settings.get("training", {})
        if isinstance(training, Mapping):
            training = as_recorded(training)
        return cls.from_mapping({**settings, "training": training}, place)

    def resolved(self, images: int) -> Experiment:
        """The experiment with what follows from the number of training images written out."""
        batch = {"batch_size": self.training.images_a_step(images)}
        return self.model_copy(update={"training": self.training.model_copy(update=batch)})

    def to_mapping(self) -> dict[str, Any]:
        """Nested mappings from which ``from_mapping`` makes an equal experiment. None is left out, as TOML
        has no null."""
        return _without_none(self.model_dump(mode="json"))

    def to_toml(self) -> str:
        """The experiment as TOML, every setting written out."""
        return "".join(_toml(self.to_mapping()))


def mismatches(experiment: Experiment) -> Iterator[str]:
    """Why parts of an experiment are not of one task, a sentence for each reason."""
    data, space, search, training = experiment.data, experiment.space, experiment.search, experiment.training
    task = space.task
    if data.task is not task:
        yield (
            f"space {space.name} makes networks for {task} ({task.meaning}), and data {data.name} are for "
            f"{data.task} ({data.task.meaning}); {_remedy(data, task)}"
        )
    for name in search.objectives:
        of = find_metric(name).task
        if of not in (None, task):
            known = ", ".join(metric.name for metric in STANDARD if metric.task in (None, task))
            yield (
                f"objective {name} is of networks for {of}, and those of space {space.name} are for {task}; "
                f"metrics for {task}: {known}"
            )
    if task is not Task.restoration:
        return
    if training.augment:
        yield (
            "[training] augment would change images but not what they are to be restored to: leave it out "
            f"where networks are for {task}"
        )
    if training.panels is not None:
        yield f"[training] panels is about classifying images that lack one: leave it out for {task}"
    if training.loss == "poisson" and getattr(space, "output", "positive") != "positive":
        yield (
            f'[training] loss = "poisson" needs positive values, and those of space {space.name} can be of '
            'any sign: set [space] output = "positive"'
        )


def _remedy(data: DataSource, task: Task) -> str:
    """What would give a space for a task data that fit."""
    if "target" in type(data).model_fields:
        return f'[data] target = "{"expected" if task is Task.restoration else "class"}" makes them fit'
    if task is Task.classification:
        return "a space of classifiers fits classes"
    fitting = [name for name, source in DATA_SOURCES.loadable() if "target" in source.model_fields]
    return f'data that can be restored: {", ".join(fitting)}, with target = "expected"'


def presets() -> dict[str, str]:
    """The experiments that come with the package: name to description."""
    folder = files("a4nn_core") / "presets"
    texts = {
        e.name.removesuffix(".toml"): e.read_text() for e in folder.iterdir() if e.name.endswith(".toml")
    }
    return {name: toml_tables(text)["description"] for name, text in sorted(texts.items())}


def load_experiment(source: str, changes: Sequence[str] = ()) -> Experiment:
    """An experiment from a preset's name or the path of a TOML file.

    Args:
        source: preset or path.
        changes: settings that replace those of the file, each ``table.key=value`` with a TOML value (a
            bare word is taken as text), such as ``training.epochs=5``.

    Raises:
        BadInput: no such preset or file, a file that is not TOML, or invalid settings.
    """
    path = Path(source)
    if path.suffix == ".toml" or path.is_file():
        place = str(path)
        try:
            text = path.read_text(encoding="utf-8-sig")  # editors on Windows begin a file with a mark
        except OSError as error:
            raise BadInput(f"experiment file {source} cannot be read: {error.strerror}") from None
        except UnicodeDecodeError:
            raise BadInput(f"experiment file {source} is not text") from None
    else:
        known = presets()
        if source not in known:
            raise BadInput(f"there is no preset {source!r} and no such file; presets: {', '.join(known)}")
        place = f"preset {source}"
        text = (files("a4nn_core") / "presets" / f"{source}.toml").read_text()
    try:
        settings = toml_tables(text)
    except ValueError as error:
        raise BadInput(f"experiment file {source} is not TOML: {error}") from None
    return Experiment.from_mapping(changed(settings, changes), place)


def changed(settings: Mapping[str, object], changes: Sequence[str]) -> dict[str, object]:
    """The tables of an experiment with some settings replaced; see ``load_experiment``.

    Raises:
        BadInput: a change is not of the form ``table.key=value``.
    """
    tables = deepcopy(dict(settings))
    for change in changes:
        _apply(tables, change)
    return tables


def _apply(settings: dict[str, object], change: str) -> None:
    key, equals, text = change.partition("=")
    if not equals or not key.strip():
        raise BadInput(f"--set {change!r} is not of the form table.key=value")
    try:
        value = toml_tables(f"value = {text}")["value"]
    except ValueError:
        value = text.strip()
    *tables, last = key.strip().split(".")
    table = settings
    for name in tables:
        inner = table.setdefault(name, {})
        if not isinstance(inner, dict):
            raise BadInput(f"--set {change!r}: {name} is not a table")
        table = inner
    if not tables and isinstance(table.get(last), dict) and isinstance(value, str):
        # `--set termination=none` chooses another part, whose settings start from its defaults
        value = {"name": value}
    elif last == "name" and table.get("name") not in (None, value) and tables:
        table.clear()
    table[last] = value


def _without_none(table: Mapping[str, object]) -> dict[str, object]:
    def clean(value: object) -> object:
        if isinstance(value, dict):
            return _without_none(value)
        return [clean(inner) for inner in value] if isinstance(value, list) else value

    return {key: clean(value) for key, value in table.items() if value is not None}


def _toml(tables: Mapping[str, object], prefix: str = "") -> list[str]:
    """TOML lines: single values first, then one section per table. The standard library cannot write TOML."""
    lines = [f"{key} = {toml_value(value)}\n" for key, value in tables.items() if not isinstance(value, dict)]
    for key, value in tables.items():
        if isinstance(value, dict):
            lines += [f"\n[{prefix}{key}]\n", *_toml(value, f"{prefix}{key}.")]
    return lines


def toml_value(value: object) -> str:
    """One value as TOML, on one line."""
    import json

    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(toml_value(inner) for inner in value) + "]"
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key} = {toml_value(inner)}" for key, inner in value.items()) + " }"
    if isinstance(value, float):
        return repr(value)
    return json.dumps(value, ensure_ascii=False)
