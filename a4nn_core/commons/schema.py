"""The Arrow schemas of the commons' tables, with a description and a unit for every column.

They are derived from the records (records.py).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import pyarrow as pa

from a4nn_core.commons.columns import DEFINITIONS, Definition, Field, Kind
from a4nn_core.commons.records import Descent, Likeness, Network, Wired

ARROW_TYPES: dict[Kind, pa.DataType] = {
    Kind.text: pa.string(),
    Kind.json: pa.string(),
    Kind.flag: pa.bool_(),
    Kind.int32: pa.int32(),
    Kind.int64: pa.int64(),
    Kind.float64: pa.float64(),
    Kind.float32: pa.float32(),
    Kind.time: pa.timestamp("us", tz="UTC"),
    Kind.ints: pa.list_(pa.int32()),
    Kind.metrics: pa.map_(pa.string(), pa.float64()),
    Kind.words: pa.map_(pa.string(), pa.string()),
}


@dataclass(frozen=True)
class Table(Definition):
    """One table with its Arrow schema."""

    @classmethod
    def of(cls, definition: Definition) -> Table:
        """The table of a definition."""
        return cls(definition.name, definition.row, definition.key, definition.record, definition.identity)

    @cached_property
    def schema(self) -> pa.Schema:
        """The Arrow schema, with description and unit in the metadata of every field."""
        return pa.schema(
            [pa.field(c.name, ARROW_TYPES[c.kind], metadata=_about(c)) for c in self.columns],
            metadata={"description": f"a row is {self.row}"},
        )

    @cached_property
    def by_name(self) -> dict[str, Field]:
        """The columns by name."""
        return {c.name: c for c in self.columns}


def _about(column: Field) -> dict[str, str]:
    return {"description": column.meaning, **({"unit": column.unit} if column.unit else {})}


TABLES: dict[str, Table] = {name: Table.of(definition) for name, definition in DEFINITIONS.items()}

# Written once per network, in this order: the fragment in ``networks`` comes last and makes the others valid.
NETWORK_TABLES = (
    *(t.name for t in TABLES.values() if t.key[:2] == ("run", "network") and t.name != "networks"),
    "networks",
)

RUN_TABLES = tuple(name for name in TABLES if name not in NETWORK_TABLES)
"""tables of a run as a whole: its header, and what is made from its event log"""


@dataclass(frozen=True)
class View(Table):
    """A view, which DuckDB computes.

    Attributes:
        sources: names of the tables it is made from.
        sql: its query.
    """

    sources: tuple[str, ...] = ()
    sql: str = ""

    @classmethod
    def made(cls, definition: Definition, sources: tuple[str, ...], sql: str) -> View:
        """The view of a definition."""
        return cls(
            definition.name,
            definition.row,
            definition.key,
            definition.record,
            definition.identity,
            sources,
            sql,
        )


LINEAGE = View.made(
    Descent.definition,
    ("networks",),
    "select run, network, unnest(parents) as parent, operator, generation from networks",
)

WIRING = View.made(
    Wired.definition,
    ("layers", "edges"),
    """
with named as (select *, coalesce(nullif(label, ''), op) as node from layers),
fed as (
    select e.run, e.network, e.target, string_agg(s.node, ', ' order by s.layer) as inputs
    from edges e join named s on s.run = e.run and s.network = e.network and s.layer = e.source
    group by all
)
select l.run, l.network, l.layer, l.phase + 1 as phase, l.node,
       concat(l.op, case when l.kernel > 1 or l.op = 'conv' then format(' {0}x{0}', l.kernel) end,
              case when l.stride > 1 then ' stride ' || l.stride end, ' ' || l.settings) as operation,
       f.inputs, l.channels_in, l.channels_out, l.height_out, l.width_out, l.flops, l.parameters
from named l left join fed f on f.run = l.run and f.network = l.network and f.target = l.layer""",
)

VIEWS = (LINEAGE, WIRING)

LIKENESS = Table.of(Likeness.definition)
"""derived from genomes and kept beside a run on request (likeness.py)"""

FRONT = Table(
    "front",
    "a network on its run's Pareto front (a view of networks)",
    Network.definition.key,
    Network,
    Network.definition.identity,
)
"""the view ``front``: the networks that no other network of their run dominates"""

SORTED = {**TABLES, FRONT.name: FRONT}
"""what the archive can hold"""

SEALED_TABLES = (*RUN_TABLES, FRONT.name)
"""what the archive holds of completed runs alone"""
