"""``a4nn ask`` and ``tell``: a search whose networks are trained elsewhere."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from a4nn_core.cli.options import DEFAULT_COMMONS, CommonsOption, JsonOption, print_json, say
from a4nn_core.cli.options import tell as show
from a4nn_core.cli.tables import print_table
from a4nn_core.errors import BadInput
from a4nn_core.jsonable import Json, number, parsed, text, to_json, whole

if TYPE_CHECKING:
    from a4nn_core.workflow.outside import Handed, Measurement, Outside

RunArgument = Annotated[str, typer.Argument(metavar="RUN", help="Id of the run.")]
_NOT_METRICS = ("network", "curve", "seconds", "failed")


def ask(
    run_id: RunArgument,
    source: Annotated[
        str | None,
        typer.Option("--experiment", metavar="PRESET or FILE", help="The search, to begin a new run."),
    ] = None,
    changes: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Change a setting of --experiment."),
    ] = None,
    count: Annotated[int, typer.Option("--n", min=1, help="Networks to hand out at most.")] = 1,
    again: Annotated[
        bool, typer.Option("--open", help="Show those that were handed out and not told, instead.")
    ] = False,
    commons: CommonsOption = DEFAULT_COMMONS,
    as_json: JsonOption = False,
) -> None:
    """Print the next networks of a search, to be trained elsewhere; a4nn tell takes their results.

    Any number of processes may ask and tell, at any time: all that is known is in the records. --json prints
    the layers, too.
    """
    from a4nn_core.experiment import load_experiment
    from a4nn_core.workflow.outside import outside

    if changes and source is None:
        raise BadInput("--set needs --experiment: a run goes on with the settings it began with")
    experiment = None if source is None else load_experiment(source, changes or ())
    with outside(run_id, commons, experiment) as run:
        handed = run.open if again else run.ask(count)
        document = _document(run_id, run, handed)
        others = [one.candidate.number for one in run.open]
        complete = run.complete
    if as_json:
        print_json(document)
        return
    if handed:
        print_table(
            ["network", "generation", "MFLOPs", "parameters", "genome"], [_row(one) for one in handed]
        )
        return
    if complete:
        say(f"run {run_id} is complete: it asks for no further networks")
    elif others:
        say(f"nothing to hand out before more is told: {_listed(others)} handed out and not told")
    else:
        say("nothing was asked for")


def tell(
    run_id: RunArgument,
    network: Annotated[
        int | None, typer.Argument(metavar="[NETWORK]", help="Its number, as a4nn ask printed it.")
    ] = None,
    values: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="METRIC=VALUE", help="What was measured, such as error_percent=4.2."),
    ] = None,
    curve: Annotated[
        str | None,
        typer.Option(
            metavar="A,B,...", help="Validation accuracy in percent after each epoch, if it is known."
        ),
    ] = None,
    seconds: Annotated[float | None, typer.Option(help="Seconds that its training took.")] = None,
    failed: Annotated[str | None, typer.Option(metavar="WHY", help="It failed, and this is why.")] = None,
    lines: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Many at once, one JSON object a line, such as "
            '{"network": 3, "error_percent": 4.2}; - for standard input.',
        ),
    ] = None,
    commons: CommonsOption = DEFAULT_COMMONS,
    as_json: JsonOption = False,
) -> None:
    """Tell a search what was measured of a network that a4nn ask printed.

    It is recorded as all others are, with fitness_source = told.
    """
    from a4nn_core.workflow.outside import Measurement, outside

    if (network is None) == (lines is None):
        raise BadInput("give the number of a network, or --lines FILE")
    if lines is not None:
        if values or failed is not None or curve is not None or seconds is not None:
            raise BadInput("--lines brings its own values; --set, --curve, --seconds and --failed do not fit")
        told = list(_read(lines))
    else:
        told = [Measurement(network or 0, _values(values or ()), _curve(curve), seconds, failed)]
    with outside(run_id, commons) as run:
        run.tell(told)
        known, budget = len(run.networks), run.experiment.search.networks
        others = [one.candidate.number for one in run.open]
        complete = run.complete
    if as_json:
        print_json(
            {
                "run": run_id,
                "told": [one.network for one in told],
                "networks": known,
                "open": list[Json](others),
                "complete": complete,
            }
        )
        return
    where = "" if commons == DEFAULT_COMMONS else f" --commons {shlex.quote(str(commons))}"
    show(f"{known} of {budget} networks known, {_listed(others)} handed out and not told")
    show(
        f"the search is complete: a4nn front {run_id}{where}"
        if complete
        else f"next: a4nn ask {run_id}{where}"
    )


def _document(run_id: str, run: Outside, handed: list[Handed]) -> dict[str, Json]:
    return {
        "run": run_id,
        "complete": run.complete,
        "open": [one.candidate.number for one in run.open],
        "networks": [
            {
                "network": one.candidate.number,
                "generation": one.candidate.generation,
                "genome": one.candidate.genome,
                "parents": list(one.candidate.parents),
                "operator": one.candidate.operator,
                "inherit_from": one.candidate.inherit_from,
                "learning_rate": one.candidate.learning_rate,
                "seed": one.seed,
                "flops": one.architecture.flops,
                "parameters": one.architecture.parameters,
                "architecture": one.architecture.to_json(),
            }
            for one in handed
        ],
    }


def _row(one: Handed) -> list[str]:
    architecture = one.architecture
    return [
        str(one.candidate.number),
        str(one.candidate.generation),
        f"{architecture.flops / 1e6:.4f}",
        f"{architecture.parameters:,}",
        to_json(one.candidate.genome),
    ]


def _listed(numbers: list[int]) -> str:
    if not numbers:
        return "none is"
    plural = "network" if len(numbers) == 1 else "networks"
    return f"{plural} {', '.join(map(str, numbers))} {'is' if len(numbers) == 1 else 'are'}"


def _values(given: Sequence[str]) -> dict[str, float]:
    """Metric name to value."""
    found: dict[str, float] = {}
    for one in given:
        name, _, value = one.partition("=")
        name = name.strip()
        if name in found:
            raise BadInput(f"--set {name} is given twice")
        try:
            found[name] = float(value)
        except ValueError:
            raise BadInput(f"--set {one!r} is not of the form METRIC=NUMBER") from None
    return found


def _curve(given: str | None) -> tuple[float, ...]:
    try:
        return tuple(map(float, given.split(","))) if given is not None else ()
    except ValueError:
        raise BadInput(f"--curve {given!r} is not of the form NUMBER,NUMBER,...") from None


def _read(path: Path) -> Iterator[Measurement]:
    """The measurements of a file of JSON lines."""
    try:
        given = sys.stdin.read() if str(path) == "-" else path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise BadInput(f"{path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise BadInput(f"{path} is not text") from None
    for place, line in enumerate(given.splitlines(), start=1):
        if line.strip():
            yield _measurement(line, f"{'standard input' if str(path) == '-' else path} line {place}")


def _measurement(line: str, place: str) -> Measurement:
    from a4nn_core.workflow.outside import Measurement

    try:
        found = parsed(line)
    except ValueError as error:
        raise BadInput(f"{place} is not JSON: {error}") from None
    if not isinstance(found, dict):
        raise BadInput(f"{place} is no JSON object")
    which = whole(found.get("network"))
    if which is None:
        raise BadInput(f"{place} lacks the number of a network")
    values = {}
    for name, value in found.items():
        if name in _NOT_METRICS:
            continue
        held = number(value)
        if held is None:
            raise BadInput(f"{place}: {name} = {json.dumps(value)} is not a number")
        values[name] = held
    for name, read in (("seconds", number), ("failed", text)):
        if found.get(name) is not None and read(found[name]) is None:
            raise BadInput(f"{place}: {name} = {json.dumps(found[name])} cannot be used")
    curve = found.get("curve") or []
    accuracies = [number(value) for value in curve] if isinstance(curve, list) else [None]
    if None in accuracies:
        raise BadInput(f"{place}: curve = {json.dumps(curve)} is not a list of numbers")
    return Measurement(
        which,
        values,
        tuple(value for value in accuracies if value is not None),
        number(found.get("seconds")),
        text(found.get("failed")),
    )
