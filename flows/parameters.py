"""The experiment as a deployment parameter: a preset, a file or all its settings, with a form for each."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Union

from pydantic import BaseModel, BeforeValidator, GetJsonSchemaHandler, TypeAdapter, create_model
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from a4nn_core.component import Registry
from a4nn_core.data.base import DATA_SOURCES
from a4nn_core.errors import BadInput
from a4nn_core.experiment import Experiment, load_experiment, presets
from a4nn_core.search.base import STRATEGIES
from a4nn_core.spaces.base import SPACES
from a4nn_core.termination.base import RULES

DEFAULT = "quick"
"""the experiment of a search that is started without one"""

_PARTS: dict[str, Registry[Any]] = {
    "data": DATA_SOURCES,
    "space": SPACES,
    "search": STRATEGIES,
    "termination": RULES,
}


@cache
def _whole() -> type[BaseModel]:
    """The experiment model with each part declared as a union of all that exist. Only its schema is used: the
    registries make the parts, and have clearer error messages."""
    fields: dict[str, Any] = {
        name: (field.annotation, field) for name, field in Experiment.model_fields.items()
    }
    for name, registry in _PARTS.items():
        known = tuple(registry.component(part) for part in registry.names())
        fields[name] = (Union[known], ...)  # noqa: UP007  the members are known at run time only
    return create_model("Experiment", __config__=Experiment.model_config, **fields)


class _Form:
    """The schema that Prefect shows as a form and validates parameters against."""

    @staticmethod
    def __get_pydantic_json_schema__(core: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        del core
        # rules that hold rules make pydantic refer to the experiment; the form has it in place
        whole = handler.resolve_ref_schema(handler(_whole().__pydantic_core_schema__))
        return {
            "anyOf": [
                {"title": "preset", "type": "string", "enum": list(presets())},
                {"title": "TOML file on the worker's machine", "type": "string", "pattern": r"\.toml$"},
                {**whole, "title": "experiment"},
            ]
        }


def _experiment(given: object) -> object:
    """An experiment from tables; a name is kept until the changes to its experiment are known too."""
    return Experiment.from_mapping(given, "parameter experiment") if isinstance(given, dict) else given


ExperimentParameter = Annotated[Experiment | str, BeforeValidator(_experiment), _Form()]


def resolve(experiment: Experiment | str, changes: list[str]) -> Experiment:
    """The experiment that parameters stand for.

    Args:
        experiment: the experiment itself, or the name of a preset or TOML file.
        changes: settings to change in a preset or file, each ``table.key=value``.

    Raises:
        BadInput: no such preset or file, or invalid settings.
    """
    if isinstance(experiment, str):
        return load_experiment(experiment, changes)
    if changes:
        raise BadInput("parameter changes needs a preset or a file; the given experiment is complete")
    return experiment


def name_of(experiment: object) -> str:
    """The name of an experiment, usable in a run id; found without reading any file."""
    if isinstance(experiment, str):
        name = Path(experiment).stem
    elif isinstance(experiment, Experiment):
        name = experiment.name
    else:
        name = str(experiment.get("name")) if isinstance(experiment, Mapping) else ""
    return (
        "".join(c if c.isascii() and (c.isalnum() or c in "._-") else "-" for c in name).lstrip("._-")
        or "run"
    )


def form() -> JsonSchemaValue:
    """The JSON schema of the parameter, for tests and people."""
    return TypeAdapter(ExperimentParameter).json_schema()
