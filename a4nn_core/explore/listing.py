"""The table of networks, sorted and paged where they are kept, and the selection as a query."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from a4nn_core.explore.asked import Chosen, Listing, in_catalogue, in_commons
from a4nn_core.explore.catalogue import Catalogue
from a4nn_core.explore.window import one_row
from a4nn_core.precision import standard_error

if TYPE_CHECKING:
    import duckdb

PAGE = 50


def listing(catalogue: Catalogue, cursor: duckdb.DuckDBPyConnection, asked: Listing) -> dict[str, Any]:
    """A page of the table as JSON values: columns, rows, and how many there are in all.

    Raises:
        BadInput: a measure is not known.
    """
    where = in_catalogue(catalogue, asked)
    columns = [(name, catalogue.column(name)) for name in asked.columns]
    order = ""
    if asked.sort != "run":
        way = "desc" if asked.descending else "asc"
        order = f"{catalogue.column(asked.sort)} {way} nulls last, "
    elif asked.descending:
        order = "place desc, "
    (count,) = one_row(cursor, f"select count(*) from networks where {where}")
    wanted = ", ".join(["place", "number", "status", *(column for _, column in columns)])
    rows = cursor.execute(
        f"select {wanted} from networks where {where} order by {order}place, number "
        f"limit {PAGE} offset {asked.page * PAGE}"
    ).fetchall()
    names = catalogue.by_place
    made = []
    for place, number, status, *values in rows:
        run = names.get(place, "")
        images = catalogue.runs[run].images if run in catalogue.runs else None
        errors = []
        for (name, _), value in zip(columns, values, strict=True):
            part = catalogue.measures[name].images
            counted = None if images is None or part is None else getattr(images, part)
            errors.append(None if part is None else standard_error(value, counted))
        made.append({"run": run, "network": number, "status": status, "values": values, "errors": errors})
    return {"count": count, "page": asked.page, "pages": -(-count // PAGE), "rows": made}


def selection_query(catalogue: Catalogue, chosen: Chosen) -> str:
    """The selection as one SELECT over the commons, for ``a4nn sql``.

    Raises:
        BadInput: a measure is not known.
    """
    where = in_commons(catalogue, chosen)
    condition = "" if where == "true" else f"\nwhere {where}"
    return f"select * from networks{condition}\norder by run, network"
