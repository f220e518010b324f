"""Named, configurable parts of an experiment: data sets, spaces, strategies, rules.

A part is a frozen pydantic model whose fields are its settings and whose methods do its work. It is chosen
by ``name`` in an experiment. Built-in parts are listed by import path, so that naming one does not import
the others; other packages add theirs by an entry point in the registry's group.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from importlib.metadata import entry_points
from typing import Any, Generic, TypeVar, cast, get_args

from pydantic import BaseModel, ConfigDict, ValidationError

from a4nn_core.errors import BadInput


class Component(BaseModel):
    """Base of every named part. Subclasses declare ``name: Literal["..."] = "..."`` and their settings."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    name: str


C = TypeVar("C", bound=Component)

Former = Callable[[Mapping[str, object]], Mapping[str, object]]
"""Reads the settings of a part that earlier versions had: today's name and settings of what it meant."""


class Registry(Generic[C]):
    """The parts of one kind, by name.

    Args:
        kind: what the parts are called in messages.
        group: of the entry points by which other packages add parts.
        builtin: name to ``module:class``.
        former: names that only experiments of earlier versions use.
    """

    def __init__(
        self, kind: str, group: str, builtin: Mapping[str, str], former: Mapping[str, Former] | None = None
    ) -> None:
        self.kind = kind
        self.group = group
        self._paths = dict(builtin)
        self._former = dict(former or {})
        self._loaded: dict[str, type[C]] = {}

    def names(self) -> list[str]:
        """All names that can be used, built-in first."""
        return [*self._paths, *(e.name for e in entry_points(group=self.group) if e.name not in self._paths)]

    def component(self, name: str) -> type[C]:
        """The class behind a name.

        Raises:
            BadInput: no part has this name; the message lists those that exist.
        """
        if name not in self._loaded:
            self._loaded[name] = self._load(name)
        return self._loaded[name]

    def _load(self, name: str) -> type[C]:
        if name in self._paths:
            module, _, attribute = self._paths[name].partition(":")
            return cast("type[C]", getattr(import_module(module), attribute))
        for entry in entry_points(group=self.group):  # reads files of every package
            if entry.name == name:
                return cast("type[C]", entry.load())
        raise BadInput(f"there is no {self.kind} named {name!r}; known: {', '.join(self.names())}")

    def make(self, settings: object, place: str) -> C:
        """A part from a mapping with ``name`` and its settings.

        Args:
            settings: a mapping, a bare name, or a part that is already made.
            place: where the settings stand, for error messages, such as ``[data]``.

        Raises:
            BadInput: unknown name, unknown setting or bad value.
        """
        if isinstance(settings, Component):
            return cast("C", settings)
        if isinstance(settings, str):
            settings = {"name": settings}
        if not isinstance(settings, Mapping) or not isinstance(settings.get("name"), str):
            raise BadInput(f"{place} needs a name, one of: {', '.join(self.names())}")
        if settings["name"] in self._former:
            settings = self._former[settings["name"]](settings)
        try:
            made = self.component(str(settings["name"]))
        except BadInput as error:
            raise BadInput(f"{place}: {error}") from None
        try:
            return made.model_validate(dict(settings))
        except ValidationError as error:
            raise BadInput(explain(error, made, place)) from None


def explain(error: ValidationError, model: type[BaseModel], place: str) -> str:
    """One sentence for each thing that pydantic found wrong, naming the place, the value and what is known.

    Args:
        error: what pydantic raised.
        model: the model that was being filled.
        place: the file or table being read, such as ``search.toml`` or ``[data]``.
    """
    return "; ".join(_sentence(dict(e), model, place) for e in error.errors(include_url=False))


def _sentence(detail: dict[str, Any], model: type[BaseModel], place: str) -> str:
    where = [str(part) for part in detail["loc"]]
    holder: type[BaseModel] | None = model
    tables = [part for part in where[:-1] if not part.isdigit()]
    for part in tables:
        field = holder.model_fields.get(part) if holder else None
        inner = field.annotation if field else None
        models = [m for m in (inner, *get_args(inner)) if isinstance(m, type) and issubclass(m, BaseModel)]
        holder = models[0] if models else None
    table = ".".join(tables)
    at = f"{place} [{table}]" if table else place
    if len(where) > 2 and where[-2].isdigit():  # a table in an array of tables, counted as people count
        at = f"{place} [[{table}]] {int(where[-2]) + 1}"
    if detail["type"] == "extra_forbidden":
        known = f"; known keys: {', '.join(holder.model_fields)}" if holder else ""
        return f"{at} has no key {where[-1]!r}{known}"
    if detail["type"] == "missing":
        return f"{at} lacks the key {where[-1]!r}"
    message = str(detail["msg"]).removeprefix("Value error, ")
    if not where:
        return f"{at}: {message}"
    return f"{at} {where[-1]} = {detail['input']!r}: {message[:1].lower() + message[1:]}"
