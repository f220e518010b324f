"""``a4nn import``: training histories of other tools into a commons."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from a4nn_core.cli.options import DEFAULT_COMMONS, CommonsOption, JsonOption, print_json, say

if TYPE_CHECKING:
    from a4nn_core.interchange.icpp23 import Decoded
    from a4nn_core.jsonable import Json

app = typer.Typer(
    help="Import training histories of other tools into a data commons.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

RunOption = Annotated[
    str | None, typer.Option("--run-id", help="Id of the run; default: from the file's name.")
]


class Values(StrEnum):
    """What the values of other tools mean."""

    auto = "auto"
    percent = "percent"
    fraction = "fraction"
    loss = "loss"


@app.command()
def icpp23(
    files: Annotated[list[Path], typer.Argument(help="Published tables (CSV), or folders of them.")],
    commons: CommonsOption = DEFAULT_COMMONS,
    json_: JsonOption = False,
) -> None:
    """Import the published training histories of the ICPP 2023 paper, one run per table."""
    from a4nn_core.errors import BadInput
    from a4nn_core.interchange.icpp23 import icpp23_run, import_icpp23

    tables: list[Path] = []
    for file in files:
        found = sorted(file.rglob("*training_data.csv")) if file.is_dir() else [file]
        if not found:
            raise BadInput(f"{file} contains no file named *training_data.csv")
        tables += found
    counts = {icpp23_run(table): import_icpp23(table, commons, macro_127) for table in tables}
    _report(counts, json_)


@app.command("csv")
def csv_(
    file: Annotated[Path, typer.Argument(help="Curves: columns curve_id, epoch, accuracy (percent).")],
    run: RunOption = None,
    commons: CommonsOption = DEFAULT_COMMONS,
    json_: JsonOption = False,
) -> None:
    """Import plain learning curves, one network per curve."""
    from a4nn_core.interchange.curves_csv import import_csv

    name, count = import_csv(file, commons, run)
    _report({name: count}, json_)


@app.command()
def optuna(
    storage: Annotated[
        str, typer.Argument(help="Database URL, such as sqlite:///studies.db, or a journal file.")
    ],
    study: Annotated[str | None, typer.Option(help="Name of the study; default: all.")] = None,
    values: Annotated[
        Values,
        typer.Option(
            help="What the reported values are: accuracy in percent, accuracy as a fraction, or loss. "
            "auto: loss if the study minimises, else accuracy, its scale by the greatest value."
        ),
    ] = Values.auto,
    run: RunOption = None,
    commons: CommonsOption = DEFAULT_COMMONS,
    json_: JsonOption = False,
) -> None:
    """Import Optuna studies, one run per study: trials become networks, reported values epochs."""
    from a4nn_core.interchange.optuna_studies import import_optuna

    _report(import_optuna(storage, commons, study, run, values), json_)


MetricOption = Annotated[
    str | None,
    typer.Option(
        "--metric", help="Metric that is the learning curve; default: the one named like validation accuracy"
    ),
]
ValuesOption = Annotated[
    Values,
    typer.Option(
        "--values",
        help="What that metric is: accuracy in percent, accuracy as a fraction, or loss. auto: by its name "
        "and greatest value.",
    ),
]


@app.command()
def mlflow(
    store: Annotated[Path, typer.Argument(help="Folder mlruns, or an SQLite database such as mlflow.db.")],
    experiment: Annotated[str | None, typer.Option(help="Name of the experiment; default: all.")] = None,
    metric: MetricOption = None,
    values: ValuesOption = Values.auto,
    run: RunOption = None,
    commons: CommonsOption = DEFAULT_COMMONS,
    json_: JsonOption = False,
) -> None:
    """Import experiments of a local MLflow store, one run per experiment: its runs become networks."""
    from a4nn_core.interchange.mlflow_store import import_mlflow

    _report(import_mlflow(store, commons, experiment, run, metric, values), json_)


@app.command()
def wandb(
    source: Annotated[
        Path,
        typer.Argument(help="Folder wandb, a run-*.wandb file, or exported histories as .csv or .parquet."),
    ],
    metric: MetricOption = None,
    values: ValuesOption = Values.auto,
    run: RunOption = None,
    commons: CommonsOption = DEFAULT_COMMONS,
    json_: JsonOption = False,
) -> None:
    """Import runs of Weights & Biases from files on this machine, as networks of one run."""
    from a4nn_core.interchange.wandb_files import import_wandb

    name, count = import_wandb(source, commons, run, metric, values)
    _report({name: count}, json_)


def macro_127(genome: Json) -> Decoded:
    """Decode a genome of the published runs: macro space, one channel of 127 x 127 pixels, two classes."""
    from a4nn_core.interchange.icpp23 import Decoded
    from a4nn_core.recorded_graphs import graph_records
    from a4nn_core.spaces.base import SPACES

    architecture = SPACES.make("macro", "import").decode(genome, (1, 127, 127), 2)
    layers, edges = graph_records(architecture)
    return Decoded(architecture.hash, architecture.flops, architecture.parameters, layers, edges)


def _report(counts: dict[str, int], json_: bool) -> None:
    if json_:
        print_json({"networks": counts})
        return
    for run, count in counts.items():
        say(f"{run}: {count} networks")
