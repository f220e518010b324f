"""Every setting of an experiment, as the models of its parts declare them: default, choices, limits, meaning.

Nothing is listed here: a part that is registered, by this package or another, is found, and what is said of a
setting is the docstring of its field, the unit its ``Unit``. Imports no torch.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from a4nn_core.budget import Budget
from a4nn_core.component import Component
from a4nn_core.data.base import DATA_SOURCES
from a4nn_core.errors import BadInput
from a4nn_core.experiment import Experiment, Prior, toml_value
from a4nn_core.metrics import METRICS, Metric, find_metric
from a4nn_core.penguin.engines import ENGINES
from a4nn_core.plugins import Catalogue
from a4nn_core.search.base import STRATEGIES
from a4nn_core.spaces.base import SPACES
from a4nn_core.spaces.operations import OPERATIONS
from a4nn_core.termination.base import RULES
from a4nn_core.training.settings import Training

OWN = "a4nn_core"
"""the package of the parts that are built in"""


@dataclass(frozen=True, slots=True)
class Table:
    """What has settings: a table of an experiment, or a kind of part that its tables name.

    Attributes:
        about: where it stands and what it is for.
        source: its model, or the catalogue of its parts.
    """

    about: str
    source: type[BaseModel] | Catalogue[Any]


TABLES: dict[str, Table] = {
    "experiment": Table("at the top of the file, above all tables", Experiment),
    "data": Table("[data] name = ...: which images", DATA_SOURCES),
    "space": Table("[space] name = ...: which networks", SPACES),
    "search": Table("[search] name = ...: how they are looked for", STRATEGIES),
    "training": Table("[training]: how they are trained", Training),
    "termination": Table("[termination] name = ...: which are trained on, and how long", RULES),
    "prior": Table("[prior]: earlier runs to learn from", Prior),
    "budget": Table("[budget]: what a run may use before it ends", Budget),
    "engines": Table("engine = ... of the rules converged and interval, and of a4nn predict", ENGINES),
    "metrics": Table("what objectives and constraints of [search] name", METRICS),
    "operations": Table("of layers; search spaces choose them and their settings", OPERATIONS),
}


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting.

    Attributes:
        name: its key in TOML.
        default: its default as TOML; None if it has none.
        required: whether it must be given.
        values: what it takes, with limits.
        choices: the words that it takes; empty if it takes others too.
        unit: of its values, what is counted if it is a count; None if it has none.
        meaning: what it is for.
    """

    name: str
    default: str | None
    required: bool
    values: str
    choices: tuple[str, ...]
    unit: str | None
    meaning: str


@dataclass(frozen=True, slots=True)
class Part:
    """A part, or a table that has but one.

    Attributes:
        table: key of ``TABLES``.
        name: name of the part; empty if the table has but one.
        meaning: what it is.
        settings: its settings.
        package: the package that it comes from.
    """

    table: str
    name: str
    meaning: str
    settings: tuple[Setting, ...]
    package: str

    @property
    def title(self) -> str:
        """Such as ``search.a4nn``, or ``training``."""
        return f"{self.table}.{self.name}" if self.name else self.table


def parts(table: str) -> list[Part]:
    """The parts of a table, those of this package first. A part of another package that cannot be loaded has
    its error for a meaning."""
    source = TABLES[table].source
    if isinstance(source, Catalogue):
        return [_named(table, source, name) for name in source.names()]
    return [Part(table, "", _about(source), _settings(source), OWN)]


def find(wanted: str | None) -> list[Part]:
    """The parts that a name means.

    Args:
        wanted: a table (``search``), a part (``search.a4nn``, or ``a4nn`` of every table), a setting of a
            table (``training.epochs``); None for everything.

    Raises:
        BadInput: there is no such thing; the message lists what there is.
    """
    if wanted is None:
        return [part for table in TABLES for part in parts(table)]
    table, _, name = wanted.partition(".")
    if wanted in TABLES:
        return parts(wanted)
    if table in TABLES:
        of_table = parts(table)
        found = [part for part in of_table if part.name == name] or list(_with_setting(of_table, name))
        if found:
            return found
        names = [part.name for part in of_table if part.name] or [s.name for s in of_table[0].settings]
        raise BadInput(f"{table} has no part or setting {name!r}; it has {', '.join(names)}")
    found = [part for each in TABLES for part in parts(each) if part.name == wanted]
    if not found:
        raise BadInput(
            f"there are no settings {wanted!r}; there are {', '.join(TABLES)}, "
            "and their parts, such as search.a4nn"
        )
    return found


def _with_setting(of_table: Sequence[Part], name: str) -> Iterator[Part]:
    for part in of_table:
        settings = tuple(setting for setting in part.settings if setting.name == name)
        if settings:
            yield Part(part.table, part.name, part.meaning, settings, part.package)


def _named(table: str, source: Catalogue[Any], name: str) -> Part:
    package = source.package(name)
    try:
        if source is METRICS:
            return Part(table, name, _about_metric(find_metric(name)), (), package)
        model = source.find(name)
        return Part(table, name, _about(model), _settings(model), package)
    except Exception as error:  # whatever another package raises: the other parts are listed all the same
        return Part(table, name, f"cannot be loaded: {_plain(str(error))}", (), package)


def _about_metric(metric: Metric) -> str:
    when = "known before training" if metric.before_training else "measured"
    unit = f" in {metric.unit}" if metric.unit else ""
    return f"{metric.meaning}{unit}; {when}, usually to {metric.direction}"


def _about(model: type[BaseModel]) -> str:
    return _plain(inspect.cleandoc(model.__doc__ or "").split("\n\n")[0])


def _settings(model: type[BaseModel]) -> tuple[Setting, ...]:
    schema = model.model_json_schema()
    known: Mapping[str, Any] = schema.get("$defs", {})
    required = set(schema.get("required", ()))
    # the tables of an experiment, and the names of parts, are listed by themselves
    own = set(TABLES) if model is Experiment else {"name"} if issubclass(model, Component) else set()
    return tuple(
        _setting(key, found, key in required, known)
        for key, found in schema.get("properties", {}).items()
        if key not in own
    )


def _setting(name: str, schema: Mapping[str, Any], required: bool, known: Mapping[str, Any]) -> Setting:
    default = schema.get("default")
    if "default" not in schema and not required:  # made anew for each: an empty list or table
        default = [] if schema.get("type") == "array" else {}
    return Setting(
        name=name,
        default=None if default is None else toml_value(default),
        required=required,
        values=_values(schema, known),
        choices=tuple(_choices(schema, known)),
        unit=schema.get("unit"),
        meaning=_plain(schema.get("description", "")),
    )


def _choices(schema: Mapping[str, Any], known: Mapping[str, Any]) -> list[str]:
    """The words that a JSON schema takes; none if it takes anything else."""
    schema = _resolved(schema, known)
    if "anyOf" in schema:
        inner = [_choices(each, known) for each in schema["anyOf"] if each.get("type") != "null"]
        return [word for words in inner for word in words] if all(inner) else []
    words = schema.get("enum", [schema["const"]] if "const" in schema else [])
    return [word if isinstance(word, str) else toml_value(word) for word in words]


_KINDS = {"integer": "whole number", "number": "number", "string": "text", "boolean": "true or false"}
_LIMITS = {
    "minimum": "at least {}",
    "exclusiveMinimum": "above {}",
    "maximum": "at most {}",
    "exclusiveMaximum": "below {}",
    "maxLength": "at most {} characters",
}


def _values(schema: Mapping[str, Any], known: Mapping[str, Any]) -> str:
    """What a JSON schema takes, in words."""
    schema = _resolved(schema, known)
    if "anyOf" in schema:
        kinds = [_values(each, known) for each in schema["anyOf"] if each.get("type") != "null"]
        return " or ".join(dict.fromkeys(kinds))
    if "enum" in schema or "const" in schema:
        words = [toml_value(word) for word in schema.get("enum", [schema.get("const")])]
        return " or ".join(filter(None, (", ".join(words[:-1]), words[-1])))
    kind = {"array": _list, "object": _table}.get(schema.get("type", ""))
    words = [kind(schema, known) if kind else _KINDS.get(schema.get("type", ""), "any value")]
    words += [limit.format(schema[key]) for key, limit in _LIMITS.items() if key in schema]
    return ", ".join(words)


def _list(schema: Mapping[str, Any], known: Mapping[str, Any]) -> str:
    if "prefixItems" in schema:
        return f"list of {len(schema['prefixItems'])}, each {_one(schema['prefixItems'][0], known)}"
    return f"list, each {_one(schema['items'], known)}" if schema.get("items") else "list"


def _table(schema: Mapping[str, Any], known: Mapping[str, Any]) -> str:
    if isinstance(schema.get("additionalProperties"), dict):
        return f"table, each value {_one(schema['additionalProperties'], known)}"
    return f"table of {', '.join(schema['properties'])}" if schema.get("properties") else "table"


def _one(schema: Mapping[str, Any], known: Mapping[str, Any]) -> str:
    values = _values(schema, known)
    return values if values.startswith('"') else f"a {values}"


def _resolved(schema: Mapping[str, Any], known: Mapping[str, Any]) -> Mapping[str, Any]:
    reference = schema.get("$ref")
    return known[reference.rpartition("/")[2]] if reference else schema


def _plain(text: str) -> str:
    """A docstring as one line."""
    return " ".join(text.replace("``", "`").split())
