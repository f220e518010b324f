"""Named, configurable parts of an experiment: data sets, spaces, strategies, rules.

A part is a frozen pydantic model whose fields are its settings and whose methods do its work. It is chosen
by ``name`` in an experiment. Built-in parts are listed by import path, so that naming one does not import
the others; other packages add theirs by an entry point in the registry's group.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar, cast, get_args, get_origin

from pydantic import BaseModel, ConfigDict, GetCoreSchemaHandler, GetJsonSchemaHandler, ValidationError
from pydantic_core import CoreSchema, ErrorDetails

from a4nn_core.errors import BadInput
from a4nn_core.plugins import Catalogue


def _take_as_written(schema: object) -> None:
    """Make pydantic's schemas of simple values strict, wherever they are inside another schema."""
    if isinstance(schema, list | tuple):
        for inner in schema:
            _take_as_written(inner)
    elif isinstance(schema, dict):
        if schema.get("type") in ("bool", "int", "float", "str"):
            schema["strict"] = True
        for key, inner in schema.items():
            if key not in ("default", "metadata", "serialization"):
                _take_as_written(inner)


@dataclass(frozen=True, slots=True)
class Unit:
    """The unit of a setting's values, as ``Annotated[float, Unit("seconds")]``; of a count, what is counted.

    A share, a probability, an exponent and a seed have none.

    Attributes:
        name: such as ``seconds``; ``the metric's`` where it is that of the metric that is judged by.
    """

    name: str

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        return {**handler(schema), "unit": self.name}


class Settings(BaseModel):
    """Base of everything that an experiment is made of.

    Numbers, texts and truth values are taken as they were written: ``true`` and ``"10"`` are no numbers,
    ``10.0`` is no whole number, and a whole number can stand for any. Pydantic's own strict mode would also
    refuse the lists that TOML has for tuples, and the texts that it has for enums.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        schema = handler(source)
        _take_as_written(handler.resolve_ref_schema(schema))
        return schema


class Component(Settings):
    """Base of every named part. Subclasses declare ``name: Literal["..."] = "..."`` and their settings."""

    name: str


C = TypeVar("C", bound=Component)

Former = Callable[[Mapping[str, object]], Mapping[str, object]]
"""Translates the settings of a part that only earlier versions had into the current name and settings."""


class Registry(Catalogue[type[C]]):
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
        super().__init__(kind, group, builtin)
        self._former = dict(former or {})

    def component(self, name: str) -> type[C]:
        """The class behind a name.

        Raises:
            BadInput: no part has this name; the message lists those that exist.
        """
        return self.find(name)

    def loadable(self) -> Iterator[tuple[str, type[C]]]:
        """Name and class of every part, but for those of other packages that cannot be loaded: whoever names
        one of these is told."""
        for name in self.names():
            try:
                found = self.component(name)
            except (BadInput, ImportError, AttributeError):
                continue
            yield name, found

    def make(self, settings: object, place: str) -> C:
        """Make a part from a mapping with ``name`` and its settings.

        Args:
            settings: a mapping, only a name, or a part that is already made.
            place: where the settings come from, for error messages, such as ``[data]``.

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
    """One sentence per error that pydantic found, naming the place, the value and the known keys.

    Args:
        error: what pydantic raised.
        model: the model that was being filled.
        place: the file or table being read, such as ``search.toml`` or ``[data]``.
    """
    return "; ".join(_sentence(e, model, place) for e in error.errors(include_url=False))


def _sentence(detail: ErrorDetails, model: type[BaseModel], place: str) -> str:
    where = [str(part) for part in detail["loc"]]
    tables = [part for part in where[:-1] if not part.isdigit()]
    holder = _holder(model, tables)
    table = ".".join(tables)
    at = f"{place} [{table}]" if table else place
    if len(where) > 2 and where[-2].isdigit():  # a table in an array of tables, counted from 1
        at = f"{place} [[{table}]] {int(where[-2]) + 1}"
    if detail["type"] == "extra_forbidden":
        known = f"; known keys: {', '.join(holder.model_fields)}" if holder else ""
        return f"{at} has no key {where[-1]!r}{known}"
    if detail["type"] == "missing":
        return f"{at} lacks the key {where[-1]!r}"
    message = detail["msg"].removeprefix("Value error, ")
    if detail["type"] in ("model_type", "dict_type"):
        message = "input should be a table"
    if not where:
        return f"{at}: {message}"
    return f"{at} {where[-1]} = {detail['input']!r}: {message[:1].lower() + message[1:]}"


def _holder(model: type[BaseModel], tables: list[str]) -> type[BaseModel] | None:
    """The model that fills a table, None where it is not one."""
    holder: type[BaseModel] | None = model
    named = False  # if the user names the tables of a field, the next part is such a name
    for part in tables:
        if named:
            named = False
            continue
        field = holder.model_fields.get(part) if holder else None
        kinds = [field.annotation, *get_args(field.annotation)] if field else []
        kinds += [inner for kind in kinds[1:] for inner in get_args(kind)]  # of dict[str, Table] | None
        models = [kind for kind in kinds if isinstance(kind, type) and issubclass(kind, BaseModel)]
        holder = models[0] if models else None
        named = holder is not None and any(get_origin(kind) is dict for kind in kinds)
    return holder
