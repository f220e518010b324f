"""``docs/commons.md``, from the schema and the cookbook: ``python tools/commons_page.py FILE``."""

from __future__ import annotations

import sys
from pathlib import Path

from a4nn_core.commons.columns import Field, Kind
from a4nn_core.commons.cookbook import COOKBOOK
from a4nn_core.commons.layout import LAYOUT_VERSION
from a4nn_core.commons.schema import LIKENESS, TABLES, VIEWS, Table
from a4nn_core.files import atomic_write_bytes

_KINDS = {
    Kind.text: "text",
    Kind.json: "JSON text",
    Kind.flag: "bool",
    Kind.int32: "int32",
    Kind.int64: "int64",
    Kind.float64: "float64",
    Kind.float32: "float32",
    Kind.time: "timestamp (UTC)",
    Kind.ints: "list of int32",
    Kind.metrics: "map text to float64",
    Kind.words: "map text to text",
}

_HEAD = f"""# The data commons

<!-- written by python tools/commons_page.py; do not edit -->

A commons is a folder that holds the complete record of every run of every search: its settings and data
set, every network with its lineage, every epoch, every prediction and verdict, every event. The files are
Parquet and JSON, which many programs can read; `a4nn sql` queries all of them at once.

    a4nn sql "select network, best_accuracy_percent, flops from front order by flops"
    a4nn sql "from epochs where network = 7" --out epochs.csv
    a4nn commons check | compact | merge OTHER
    a4nn commons export --out FOLDER | FILE.duckdb | s3://BUCKET/PATH
    a4nn commons export --out FOLDER --format syne-tune      for Syne Tune's simulator
    a4nn import icpp23 | optuna | csv | deposit

From Python, after `from a4nn_core import Commons`, `Commons(path).sql("select ...")` returns a DuckDB
relation (`.fetchall()`, `.df()`, `.arrow()`). A query is one SELECT statement (WITH, PIVOT and the like
included); it can read the tables and nothing else on the machine.

## a4nn sql

The query is text, `@FILE` or `--file FILE`, or `-` for standard input. A terminal gets the first 40 rows as a
table or, if the table is too wide, the first 5 with a line for each column; `--rows N` changes that, 0 is
all. A pipe gets every row. `--out FILE` writes `.csv`, `.tsv`, `.json`, `.jsonl` or `.ndjson` (an object a
line), `.parquet`, `.md` or `.txt`; `--format` says it otherwise. Rows are written as they are found, so a
large answer needs little memory, and Ctrl-C leaves no half file.

- Times are in UTC, as ISO 8601 with their zone. Intervals are `1 day 2 h 13 min 5.25 s`, which DuckDB and
  pandas read; tables round them, and Parquet has durations.
- NaN and infinities are kept: in JSON as `NaN`, `Infinity` and `-Infinity`, which DuckDB, pandas and Python
  read as numbers. Strict JSON has none; for a strict reader, such as a browser, ask for
  `case when isfinite(x) then x end`. In CSV they are `nan`, `inf` and `-inf`; where an infinity comes first
  in a column, DuckDB must be told its type.
- In CSV null is an empty cell, and lists and maps are JSON. Tables show numbers with six digits.

## Guarantees

- A line of a journal or of the event log that was acknowledged is on the disk. A line torn by a kill is cut
  off.
- The final records of a network are written once and completely; the file in `networks` comes last and
  makes the others valid. Recording the same network again does nothing if the records are the same, and is
  an error otherwise.
- One process writes a run; a second one gets an error that names the process and host that does.
- Readers never block writers. They see complete epochs, including those of networks still in training.
- When a run ends, its final records are moved into a few large files: compaction. `a4nn commons compact` and
  the maintenance flow do that for all runs: killed ones, and those of versions that did not. Others read and
  write meanwhile; old files are deleted only while nobody reads.
- A query that names a run (`where run = '...'`) opens no file of another. One of all runs that were never
  compacted reads every small file, about a millisecond each: compact first.
- `a4nn commons check` reads every byte: JSON, the CRC-32 of every journal and event line, page checksums,
  the SHA-256 of records, packs and checkpoints; and whether values can be, rows are there once, and what
  tables say of each other is true.
- A run whose records cannot be read takes no other away: `a4nn status` lists it with what is wrong, and
  `a4nn sql` answers without it and says so. In Python a query raises, unless `Commons` is given `left_out`.
- Names, messages and other text are stored as they were given. Where they are shown, what would control a
  terminal or a page is an escape such as `\\x1b`; the formats CSV, JSON and Parquet of `a4nn sql` keep them
  exactly, except CSV on a terminal.

A column that was added after a file was written is null for its rows. Energy is recorded if
`training.energy` is true and a counter can be read (NVML for a GPU, powercap for a CPU). It is the energy
of the whole device, divided equally among the slots, so the sum is right while all slots are busy. On CPUs
of work pools and clusters it is null, because it is not known who shares them. NVML has not been tried on a
real GPU.

## Where things lie (layout {LAYOUT_VERSION})

    commons.json                             version of the layout
    runs/RUN/run.json                        header, status and totals
    runs/RUN/likeness.parquet                how alike its networks are, if that was kept; can be deleted
    runs/RUN/ending                          there while networks in training are to end after their epoch
    runs/RUN/events.jsonl                    the event log
    runs/RUN/journals/0007.jsonl             network 7 while it trains, one line per epoch
    runs/RUN/checkpoints/0007/               its checkpoints
    runs/RUN/tables/TABLE/0007.parquet       its final records
    runs/RUN/tables/TABLE/TABLE.parquet      what the event log holds, when the run has ended
    archive/manifest.json                    what compaction has moved
    archive/000001-TABLE.parquet             a pack: rows sorted by run and network

How much room each run and kind of file takes: `a4nn status --disk`.

## Tables
"""

_GENOMES = """## Genomes, layers and edges

A genome is written as its search space writes it. One of the space `macro` has a list of bits for each phase,
such as `[[0,0,0,1,1,0,1],[1,1,0,0,0,0,0],[0,1,1,0,0,1,0]]`. With K nodes in a phase (here 4) they are in
order: node 2 <- 1; node 3 <- 1, 2; ...; node K <- 1 ... K-1; and last whether the input of the phase feeds
its output. A 1 connects. A node with outputs but no inputs takes the input of the phase, one with inputs but
no outputs feeds its output, one with neither is left out, and so is a phase that connects no nodes.

What a genome decodes to, in any search space, is in `layers`, numbered from 0 (the images) so that inputs
come before what they feed, and in `edges`, a row for each connection from a layer `source` to a `target`.
`wiring` puts both into words, a row for each layer.
"""


def _table(table: Table) -> str:
    lines = [f"### `{table.name}`", "", f"Each row is {table.row}.", ""]
    lines += ["| column | type | unit | meaning |", "|---|---|---|---|"]
    lines += [_row(column) for column in table.columns]
    return "\n".join([*lines, ""])


def _row(column: Field) -> str:
    return f"| `{column.name}` | {_KINDS[column.kind]} | {column.unit} | {column.meaning} |"


def document() -> str:
    """The whole page."""
    parts = [_HEAD, *(_table(table) for table in (*TABLES.values(), *VIEWS, LIKENESS))]
    parts.append(
        "### `front`\n\nRows of `networks` that no other trained network of their run dominates in the run's "
        "objectives (`runs.objectives`). Networks that failed, were infeasible or are equal to another are "
        "not on it. The columns are those of `networks`.\n"
    )
    parts.append(_GENOMES)
    parts.append("## Cookbook\n")
    for recipe in COOKBOOK:
        parts.append(f"### {recipe.question}\n\n```sql{recipe.query}\n```\n")
    return "\n".join(parts)


if __name__ == "__main__":
    atomic_write_bytes(Path(sys.argv[1]), document().encode())
