"""``a4nn dig``: questions to the records of a run, and how alike two networks are."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from a4nn_core.cli.options import DEFAULT_COMMONS, CommonsOption, JsonOption, print_json, say, tell

if TYPE_CHECKING:
    from a4nn_core.archaeology.chart import Chart, Exhibit, Value
    from a4nn_core.jsonable import Json

MOST_ROWS = 30

app = typer.Typer(
    help="Ask what the networks of a run, the discarded ones too, can tell.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

RunArgument = Annotated[str, typer.Argument(metavar="RUN", help="Id of the run.")]
PicturesOption = Annotated[
    Path | None,
    typer.Option("--out", metavar="FILE", help="Write the figure into a .png or .svg file, too."),
]


@app.command()
def questions(json_: JsonOption = False) -> None:
    """List the questions."""
    from a4nn_core.archaeology.questions import QUESTIONS

    if json_:
        print_json({question.name: question.text for question in QUESTIONS.values()})
        return
    for question in QUESTIONS.values():
        tell(f"{question.name:<12} {question.text}")


@app.command()
def ask(
    question: Annotated[str, typer.Argument(help="Name of a question, as `a4nn dig questions` lists them.")],
    run: RunArgument,
    network: Annotated[
        int | None,
        typer.Argument(metavar="[NETWORK]", help="For `descent`: which one; default: the best."),
    ] = None,
    out: PicturesOption = None,
    sql: Annotated[bool, typer.Option("--sql", help="Print the query of the answer instead.")] = False,
    commons: CommonsOption = DEFAULT_COMMONS,
    json_: JsonOption = False,
) -> None:
    """Answer a question in words and numbers, and draw its figure with --out."""
    from a4nn_core.archaeology.life import Life
    from a4nn_core.archaeology.questions import QUESTIONS
    from a4nn_core.commons import Commons
    from a4nn_core.errors import BadInput

    if question not in QUESTIONS:
        raise BadInput(f"there is no question {question!r}; known: {', '.join(QUESTIONS)}")
    asked = QUESTIONS[question]
    if network is not None and not asked.about_network:
        raise BadInput(f"question {question!r} is about a whole run, not about network {network}")
    store = Commons(commons)
    answer = asked.ask(store, Life.read(store, run), network)
    if sql:
        tell(*answer.query.strip().splitlines())
        return
    files = _draw(answer.charts, out) if out is not None else []
    if json_:
        print_json(_document(answer, files))
        return
    _print(answer)
    for file in files:
        say(f"figure: {file}")


@app.command()
def likeness(
    run: RunArgument,
    networks: Annotated[
        list[int] | None, typer.Argument(metavar="[NETWORK OTHER]", help="Two networks; default: all pairs.")
    ] = None,
    other_run: Annotated[str | None, typer.Option("--other-run", help="Run of the second network.")] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            metavar="FILE",
            help="For all pairs a .parquet file; for two networks a .png or .svg of what differs.",
        ),
    ] = None,
    keep: Annotated[
        bool,
        typer.Option("--keep", help="Keep all pairs in the commons, as the table `likeness` of a4nn sql."),
    ] = False,
    commons: CommonsOption = DEFAULT_COMMONS,
    json_: JsonOption = False,
) -> None:
    """How alike two networks are, or all networks of a run: positions, matching subsequences, structure."""
    from a4nn_core.errors import BadInput

    if networks is None:
        if other_run is not None:
            raise BadInput("--other-run needs two networks")
        _all_pairs(run, commons, out, keep, json_)
    elif len(networks) == 2 and not keep:
        _pair(commons, (run, networks[0]), (other_run or run, networks[1]), out, json_)
    else:
        raise BadInput("give two networks, or none and --keep or --out for all pairs")


def _all_pairs(run: str, commons: Path, out: Path | None, keep: bool, json_: bool) -> None:
    from a4nn_core.archaeology.genomes import keep_table, write_table
    from a4nn_core.commons import Commons
    from a4nn_core.commons.layout import RunFolder
    from a4nn_core.errors import BadInput

    if keep == (out is not None) or (out is not None and out.suffix != ".parquet"):
        raise BadInput(
            "all pairs of a run go into the commons with --keep, or into a file: --out FILE.parquet"
        )
    store = Commons(commons)
    networks = store.networks(run)
    with typer.progressbar(length=len(networks), label="comparing", hidden=json_) as bar:

        def done(so_far: int) -> None:
            bar.update(so_far - bar.pos)

        pairs = keep_table(store, run, done) if out is None else write_table(networks, out, done)
    file = out or RunFolder(commons, run).likeness
    if json_:
        print_json({"out": str(file), "pairs": pairs})
    else:
        say(f"{file}: {pairs} pairs")


def _pair(
    commons: Path, one: tuple[str, int], other: tuple[str, int], picture: Path | None, json_: bool
) -> None:
    from dataclasses import asdict

    from a4nn_core.archaeology.difference import difference
    from a4nn_core.archaeology.likeness import alike
    from a4nn_core.archaeology.stills import write_difference
    from a4nn_core.commons import Commons
    from a4nn_core.errors import BadInput
    from a4nn_core.publish.models.found import recorded
    from a4nn_core.recorded_graphs import architectures_of

    store = Commons(commons)
    first, second = (recorded(store, *which)[1] for which in (one, other))
    graphs = [
        architectures_of(
            [layer for layer in store.layers(run) if layer.network == network.trained_as],
            [edge for edge in store.edges(run) if edge.network == network.trained_as],
        ).get(network.trained_as)
        for run, network in ((one[0], first), (other[0], second))
    ]
    pair = None if graphs[0] is None or graphs[1] is None else (graphs[0], graphs[1])
    found = alike(first, second, pair)
    if picture is not None:
        if pair is None:
            raise BadInput(
                "what differs cannot be drawn: the layers of one of the networks were not recorded"
            )
        names = [f"network {number} of run {run}" for run, number in (one, other)]
        write_difference(difference(*pair), (names[0], names[1]), picture)
    if json_:
        print_json({**asdict(found), "figures": [] if picture is None else [str(picture)]})
        return
    if found.positions is None:
        tell("genomes     of different forms, or not recorded")
    else:
        tell(f"genomes     {found.differing} of {found.positions} positions differ")
        for match in sorted(found.matches, key=lambda match: -match.length)[:5]:
            tell(f"match       positions {match.start + 1} to {match.start + match.length}: {match.bits}")
        if found.common is not None:
            tell(
                f"substring   {found.common.length} values, from position {found.common.first + 1} and from "
                f"position {found.common.second + 1}"
            )
    if found.same_architecture is not None:
        tell(f"networks    {'the same' if found.same_architecture else 'not the same'} up to numbering")
    if pair is not None:
        differ = difference(*pair)
        tell(f"structure   {100 * differ.likeness:.0f} % in common; {differ.text()}")
        tell(f"cost        {differ.flops:+,} multiply-adds, {differ.parameters:+,} parameters")
    if picture is not None:
        say(f"figure: {picture}")


def _draw(charts: tuple[Chart, ...], out: Path) -> list[str]:
    """Draw one figure into a file, several into files with their names beside each other."""
    from a4nn_core.archaeology.stills import write_chart

    files = []
    for chart in charts:
        file = out if len(charts) == 1 else out.with_stem(f"{out.stem}-{chart.name}")
        write_chart(chart, file)
        files.append(str(file))
    return files


def _document(answer: Exhibit, files: list[str]) -> dict[str, Json]:
    from a4nn_core.jsonable import to_jsonable

    columns = answer.table.columns if answer.table else ()
    rows = answer.table.rows if answer.table else ()
    return {
        "question": answer.title,
        "answer": list(answer.words),
        "rows": [{name: to_jsonable(v) for name, v in zip(columns, row, strict=True)} for row in rows],
        "query": answer.query.strip(),
        "figures": list(files),
    }


def _print(answer: Exhibit) -> None:
    from textwrap import wrap

    tell(answer.title, "", *(line for paragraph in answer.words for line in wrap(paragraph, 100)))
    if answer.table is None or not answer.table.rows:
        return
    shown = [[_cell(value) for value in row] for row in answer.table.rows[:MOST_ROWS]]
    widths = [
        max(len(name), *(len(row[at]) for row in shown)) for at, name in enumerate(answer.table.columns)
    ]
    tell("", "  ".join(name.ljust(width) for name, width in zip(answer.table.columns, widths, strict=True)))
    for row in shown:
        tell("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    left = len(answer.table.rows) - len(shown)
    if left:
        tell(f"... and {left} more rows: --json has all")


def _cell(value: Value) -> str:
    if value is None:
        return "-"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


@app.command()
def phylogeny(
    run: RunArgument,
    out: Annotated[Path, typer.Option("--out", metavar="FILE", help="CSV file to write.")],
    one_parent: Annotated[
        bool,
        typer.Option("--one-parent", help="Only the nearer of two parents, for programs that know trees."),
    ] = False,
    living: Annotated[
        bool, typer.Option("--living", help="Only the last population and the front, with their ancestors.")
    ] = False,
    commons: CommonsOption = DEFAULT_COMMONS,
    json_: JsonOption = False,
) -> None:
    """Write the descent of networks in the ALife standard for phylogenies."""
    from a4nn_core.archaeology.life import Life
    from a4nn_core.archaeology.phylogeny import write_phylogeny
    from a4nn_core.commons import Commons

    count = write_phylogeny(Life.read(Commons(commons), run), out, one_parent, living)
    if json_:
        print_json({"out": str(out), "networks": count})
    else:
        say(f"{out}: {count} networks")


@app.command()
def pair(
    run: RunArgument,
    network: Annotated[int, typer.Argument(help="A network.")],
    other: Annotated[int, typer.Argument(help="The one that it is compared with.")],
    out: Annotated[Path, typer.Option("--out", metavar="FOLDER", help="New folder.")],
    other_run: Annotated[str | None, typer.Option("--other-run", help="Run of the second network.")] = None,
    commons: CommonsOption = DEFAULT_COMMONS,
    json_: JsonOption = False,
) -> None:
    """Write two networks as ONNX files with a mapping of their nodes, for Google's Model Explorer."""
    from a4nn_core.commons import Commons
    from a4nn_core.publish.models.found import find
    from a4nn_core.publish.models.pair import write_pair

    store = Commons(commons)
    files = write_pair(find(store, run, network), find(store, other_run or run, other), out)
    if json_:
        print_json({"files": [str(file) for file in files]})
        return
    for file in files:
        say(str(file))
    say("open both .onnx files in Model Explorer side by side, and give it the mapping")
