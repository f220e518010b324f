"""What the page asks for, as it comes from the browser, and as conditions of SQL."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Annotated, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from a4nn_core.errors import BadInput
from a4nn_core.explore.catalogue import Catalogue
from a4nn_core.explore.measures import literal
from a4nn_core.vocabulary import NetworkStatus

M = TypeVar("M", bound="Asked")

MOST_PICKED = 1_000
"""networks of a selection that are picked one by one"""
_Number = Annotated[float, Field(allow_inf_nan=False)]
_Name = Annotated[str, Field(max_length=2_000)]


class Asked(BaseModel):
    """Anything the page asks: taken as written, and nothing beside it."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


def asked(kind: type[M], document: bytes) -> M:
    """What a page asks.

    Raises:
        BadInput: it is not that.
    """
    try:
        return kind.model_validate_json(document)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"])) or "the request"
        raise BadInput(f"{place}: {first['msg'].lower()}") from None


class Bound(Asked):
    """The least and the greatest value of a measure that a network may have."""

    measure: _Name
    least: _Number | None = None
    most: _Number | None = None


class Filter(Asked):
    """Which networks are looked at.

    Attributes:
        runs: ids of runs; all if empty.
        status: status of networks; any if None.
        bounds: what they must keep.
    """

    runs: list[_Name] = []
    status: Literal["completed", "stopped", "failed", "equal", "infeasible", "paused"] | None = None
    bounds: Annotated[list[Bound], Field(max_length=50)] = []


class Network(Asked):
    """One network of one run."""

    run: _Name
    network: Annotated[int, Field(ge=0, lt=10_000_000)]


class Chosen(Asked):
    """The selection: networks picked one by one, or an area of the plot, or all that the filter leaves.

    Attributes:
        filter: which networks are looked at.
        picked: if any, these alone, whatever the filter says.
        area: bounds of both axes, as if they were of the filter.
    """

    filter: Filter = Filter()
    picked: Annotated[list[Network], Field(max_length=MOST_PICKED)] = []
    area: Annotated[list[Bound], Field(max_length=2)] = []


class Scatter(Chosen):
    """The scatter plot.

    Attributes:
        x, y: the measures on its axes.
        window: least and greatest x, least and greatest y that are seen; None for all.
        dominated: whether networks that others dominate are shown.
        wish: values of x and y that one would like best; None for the best of each on the front.
    """

    x: _Name
    y: _Name
    window: tuple[_Number, _Number, _Number, _Number] | None = None
    dominated: bool = True
    wish: tuple[_Number | None, _Number | None] = (None, None)


class Curves(Chosen):
    """Learning curves of the selection, at most so many."""

    most: Annotated[int, Field(ge=1, le=1_000)] = 100


class Listing(Chosen):
    """A page of the table of networks.

    Attributes:
        sort: a measure, or ``run``.
        descending: whether the greatest value comes first.
        page: from 0.
        columns: measures that are columns.
    """

    sort: _Name = "run"
    descending: bool = False
    page: Annotated[int, Field(ge=0, le=10_000_000)] = 0
    columns: Annotated[list[_Name], Field(max_length=30)] = []


class Export(Chosen):
    """The selection as a file."""

    format: Literal["csv", "parquet", "json"]


class Query(Asked):
    """A query of the SQL box.

    Attributes:
        query: one SELECT.
        format: None to see the first rows, otherwise the format of a file with all.
    """

    query: Annotated[str, Field(max_length=100_000)]
    format: Literal["csv", "parquet", "json"] | None = None


def in_catalogue(catalogue: Catalogue, chosen: Chosen | Filter) -> str:
    """A condition on ``networks`` of the catalogue.

    Raises:
        BadInput: a run or a measure is not known.
    """
    return _condition(
        chosen,
        run=lambda names: f"place in ({', '.join(str(_place(catalogue, name)) for name in names)})",
        one=lambda them: f"key in ({', '.join(str(_key(catalogue, one)) for one in them)})",
        measure=catalogue.column,
    )


def in_commons(catalogue: Catalogue, chosen: Chosen | Filter) -> str:
    """The same condition on ``networks`` of the commons, for everybody's SQL."""

    def measure(name: str) -> str:
        catalogue.column(name)
        return f"({catalogue.measures[name].sql})"

    return _condition(
        chosen,
        run=lambda names: f"run in ({', '.join(map(literal, names))})",
        one=lambda them: (
            f"run in ({', '.join(map(literal, sorted({one.run for one in them})))}) and (run, network) in "
            f"({', '.join(f'({literal(one.run)}, {one.network})' for one in them)})"
        ),
        measure=measure,
    )


def _condition(
    chosen: Chosen | Filter,
    run: Callable[[list[str]], str],
    one: Callable[[list[Network]], str],
    measure: Callable[[str], str],
) -> str:
    if isinstance(chosen, Chosen) and chosen.picked:
        return one(chosen.picked)
    filter, area = (chosen, []) if isinstance(chosen, Filter) else (chosen.filter, chosen.area)
    parts = []
    if filter.runs:
        parts.append(run(filter.runs))
    if filter.status is not None:
        parts.append(f"status = {literal(NetworkStatus(filter.status))}")
    parts += _bounds([*filter.bounds, *area], measure)
    return " and ".join(parts) or "true"


def _bounds(bounds: Iterable[Bound], measure: Callable[[str], str]) -> Iterable[str]:
    for bound in bounds:
        value = measure(bound.measure)
        for sign, end in ((">=", bound.least), ("<=", bound.most)):
            if end is not None and math.isfinite(end):
                yield f"{value} {sign} {end!r}"


def _place(catalogue: Catalogue, run: str) -> int:
    # a run that is not there any more has no networks, and that is all there is to say
    listed = catalogue.runs.get(run)
    return -1 if listed is None else listed.place


def _key(catalogue: Catalogue, one: Network) -> int:
    key = catalogue.key(one.run, one.network)
    return -1 if key is None else key
