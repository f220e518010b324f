"""README.md of a deposit: for someone who has never heard of a4nn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from a4nn_core.commons.records import Network, Run
from a4nn_core.commons.schema import ARROW_TYPES
from a4nn_core.interchange.deposit_tables import DEPOSITED, WrittenTable, csv_columns
from a4nn_core.precision import PERCENT, STANDARD_ERRORS, Images, Score, cheaper_alike, plus_minus
from a4nn_core.printable import markdown
from a4nn_core.publish.deposit.files import DepositFile
from a4nn_core.publish.deposit.metadata import DepositMetadata

_LOADING = """## How to load it

Python (pandas, pyarrow):

```python
import pandas
networks = pandas.read_parquet("data/networks.parquet")
epochs = pandas.read_parquet("data/epochs.parquet")
curves = epochs.pivot(index="epoch", columns=["run", "network"], values="validation_accuracy_percent")
```

R:

```r
networks <- arrow::read_parquet("data/networks.parquet")   # or read.csv("tables/networks.csv")
```

SQL, with the DuckDB command line and nothing else:

```sql
select run, network, best_accuracy_percent, flops from 'data/front.parquet' order by run, flops;
```

All of it with a4nn (`pip install a4nn`), which gives back the whole data commons:

    a4nn import deposit . --commons commons
    a4nn sql "select * from front" --commons commons
"""


def readme(
    metadata: DepositMetadata,
    files: Sequence[DepositFile],
    written: Sequence[WrittenTable],
    unf: str | None,
    runs: Mapping[str, Run],
    counts: Mapping[str, int],
    front: Sequence[Network],
    remarks: Sequence[str],
) -> str:
    """The text.

    Args:
        metadata: what the author states about the deposit.
        files: the files of the deposit, with their descriptions.
        written: its tables, as written.
        unf: of the data set, None if no table is ingested.
        runs: the runs of the deposit, by id.
        counts: number of networks of each run, by id.
        front: networks on the front of their run.
        remarks: what a reader must know, such as that a run is not finished.
    """
    lines = [f"# {markdown(metadata.title)}", "", *map(markdown, metadata.description.splitlines()), ""]
    lines += [f"**Note:** {markdown(remark)}\n" for remark in remarks]
    lines += [
        "This is a record of neural architecture searches: a strategy proposed networks, each was trained "
        "and measured after every epoch (one pass over the training images), some were ended early, and all "
        "of it was written down. Accuracies are percentages of images classified correctly; cost is counted "
        "in "
        "multiply-adds for one image.",
        "",
        "## The searches",
        "",
        "| run | data set | networks | status | epochs for each | strategy | ended early by |",
        "|---|---|---|---|---|---|---|",
        *(_run_line(name, run, counts.get(name, 0)) for name, run in runs.items()),
        "",
    ]
    images = {name: run.images for name, run in runs.items()}
    known = any(one.validation for one in images.values())
    pictures = [f for f in files if f.path.startswith("figures/")]
    lines += [f"![{f.description}]({f.path})\n" for f in pictures]
    lines += [
        "## The best networks",
        "",
        "No other network of the same run is both more accurate and cheaper "
        "(or whatever `runs.objectives` asks for).",
        "",
        f"| run | network | validation % | {'≈ | ' * known}test % | multiply-adds | parameters |",
        "|---|---|---|---|---|---|" + "---|" * known,
        *_front_lines(front, images, known)[:50],
        "",
        *(
            [
                "± is one standard error: as far as other images of the same kind would have moved the "
                "number. ≈ names a cheaper network of the same run that is not distinguishable from this "
                f"one: their validation accuracies differ by less than {STANDARD_ERRORS} times the standard "
                "error of a difference.",
                "",
            ]
            if known
            else []
        ),
        *([f"... and {len(front) - 50} more in `data/front.parquet`.", ""] if len(front) > 50 else []),
        _LOADING,
        "## The files",
        "",
        "| file | bytes | what it is |",
        "|---|---|---|",
        *(f"| `{f.path}` | {f.bytes:,} | {f.description} |" for f in files),
        "",
        "`sha256sum -c MANIFEST.sha256` checks every file.",
        "",
    ]
    if any(f.path.startswith("weights/") for f in files):
        lines += [
            "Weights are safetensors files in plain tar archives, under the paths that the column "
            "`best_checkpoint` names. Tensors called `model.*` are the weights and statistics that "
            "were measured; the others are what training goes on from. `data/architectures.jsonl` says which "
            "layers they belong to, in order.",
            "",
        ]
    if unf is not None:
        lines += [
            "## Fingerprints",
            "",
            f"Data set: `{unf}`",
            "",
            *(f"- `{t.csv}`: `{t.unf}`" for t in written if t.csv),
            "",
            "UNF:6 as Dataverse computes it from the CSV tables. It is for citing; it sees seven digits of a "
            "number and 128 characters of a text.",
            "",
        ]
    lines += ["## The columns", "", "CSV tables lack the columns marked P, which only Parquet holds.", ""]
    for table in written:
        csv_names = {c.name for c in csv_columns(DEPOSITED[table.name])} if table.csv else None
        if table.name == "front":
            lines += ["### `front`", "", "Rows of `networks` that are on the front; the same columns.", ""]
            continue
        lines += [
            f"### `{table.name}` ({table.rows:,} row{'' if table.rows == 1 else 's'})",
            "",
            f"A row is {DEPOSITED[table.name].row}.",
            "",
        ]
        lines += ["| column | type | unit | what it holds |", "|---|---|---|---|"]
        for column in DEPOSITED[table.name].columns:
            mark = " P" if csv_names is not None and column.name not in csv_names else ""
            lines.append(
                f"| `{column.name}`{mark} | {ARROW_TYPES[column.kind]} | {column.unit} | {column.meaning} |"
            )
        lines.append("")
    lines += [
        "## Terms",
        "",
        f"{metadata.license_name}, see `LICENSE`. Please cite as in `CITATION.cff`"
        + "".join(
            f"; and {markdown(p.citation)}" + (f" doi:{p.doi}" if p.doi else "")
            for p in metadata.publications
        ),
        "",
    ]
    return "\n".join(lines)


def _run_line(name: str, run: Run, networks: int) -> str:
    parts = [
        name,
        run.dataset,
        networks,
        run.status,
        run.epochs_budget,
        run.settings("search").get("name"),
        run.settings("termination").get("name"),
    ]
    return "| " + " | ".join("-" if part is None else markdown(part) for part in parts) + " |"


def _front_lines(front: Sequence[Network], images: Mapping[str, Images], marked: bool) -> list[str]:
    """One table line per member of a front; if marked, with the cheaper network of about equal accuracy."""
    like = {
        run: cheaper_alike([network.rated(known) for network in front if network.run == run])
        for run, known in images.items()
    }
    lines = []
    for network in front:
        known = images[network.run]
        best, test = network.score(known), network.test_score(known)
        cheaper = like[network.run][network.network]
        parts = [
            network.run,
            network.network,
            _number(best),
            *(["-" if cheaper is None else cheaper] if marked else []),
            _number(test),
            _whole(network.flops),
            _whole(network.parameters),
        ]
        lines.append("| " + " | ".join(map(markdown, parts)) + " |")
    return lines


def _number(score: Score) -> str:
    """In the column's unit, percent; of a network that restores images with its own."""
    if score.value is None or score.unit != PERCENT:
        return str(score)
    return plus_minus(score.value, score.error)


def _whole(value: int | None) -> str:
    return "-" if value is None else f"{value:,}"
