"""``a4nn replay``: what a termination rule would have done to a search whose networks were all trained."""

from __future__ import annotations

import tomllib
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from a4nn_core.cli.options import DEFAULT_COMMONS, CommonsOption, JsonOption, print_json
from a4nn_core.errors import BadInput

if TYPE_CHECKING:
    from a4nn_core.replay.laboratory import Replayed
    from a4nn_core.termination import TerminationRule


def replay(
    runs: Annotated[list[str], typer.Argument(metavar="RUN...", help="Runs with complete curves.")],
    rules: Annotated[
        list[str] | None,
        typer.Option(
            "--rule",
            metavar="NAME or TABLE",
            help="A rule by name, or with settings as '{ name = \"fixed\", epochs = 3 }'; may be repeated. "
            "By default all that need no setting.",
        ),
    ] = None,
    devices: Annotated[int, typer.Option(min=1, help="Devices that train at the same time.")] = 1,
    schedule: Annotated[
        str, typer.Option(help="generational: wait for each generation; steady: keep the devices busy.")
    ] = "generational",
    images: Annotated[
        int | None,
        typer.Option(min=1, help="Validation images, where a run did not record how many there were."),
    ] = None,
    commons: CommonsOption = DEFAULT_COMMONS,
    as_json: JsonOption = False,
) -> None:
    """Replay termination rules over complete learning curves: what they save, and what they lose."""
    from a4nn_core.commons import Commons
    from a4nn_core.replay.histories import read_history
    from a4nn_core.replay.laboratory import replay as replay_run
    from a4nn_core.replay.laboratory import with_fixed

    if schedule not in ("generational", "steady"):
        raise BadInput(f"--schedule {schedule!r} is neither generational nor steady")
    made = [_rule(text) for text in rules or ("none", "patience", "converged", "interval")]
    store = Commons(commons)
    found = []
    for run in runs:
        history = read_history(store, run, images)
        for name, rule in made:
            done = replay_run(history, rule, devices=devices, steady=schedule == "steady", name=name)
            found.append(with_fixed(history, done))
    if as_json:
        print_json([asdict(one) for one in found])
        return
    _print(found)


def _rule(text: str) -> tuple[str, TerminationRule]:
    from a4nn_core.termination import RULES

    if not text.lstrip().startswith("{"):
        return text, RULES.make(text, "--rule")
    try:
        settings = tomllib.loads(f"rule = {text}")["rule"]
    except tomllib.TOMLDecodeError as error:
        raise BadInput(f"--rule {text!r} is not an inline TOML table: {error}") from None
    rule = RULES.make(settings, "--rule")
    changed = ", ".join(f"{key} {value}" for key, value in settings.items() if key != "name")
    return f"{rule.name} ({changed})" if changed else rule.name, rule


def _print(found: list[Replayed]) -> None:
    from a4nn_core.cli.run import print_table

    header = ["run", "rule", "epochs saved", "FLOP-epochs", "seconds", "regret, points", "in s.e.", "mean"]
    header += ["hypervolume", "front finished", "best kept", "fixed, same cost, in s.e.", "wall time"]
    header += ["devices busy"]
    print_table(header, [_row(one) for one in found])
    typer.echo(
        "\nregret: the largest deficit of the best kept network at no more cost, over the true "
        "front's members; s.e.: standard errors of the member's accuracy"
    )
    if any(one.front_regret_se is None for one in found):
        typer.echo("a run did not record its validation images: say how many with --images")
    if any(one.modelled_seconds for one in found):
        typer.echo("times were not recorded: modelled, one second per epoch of the average network")


def _row(one: Replayed) -> list[str]:
    def number(value: float | None) -> str:
        return "-" if value is None else f"{value:.2f}"

    return [
        one.run,
        one.rule,
        f"{one.epochs_saved_percent:.1f} %",
        f"{one.flop_epochs_saved_percent:.1f} %",
        f"{one.seconds_saved_percent:.1f} %",
        number(one.front_regret_points),
        number(one.front_regret_se),
        number(one.mean_regret_se),
        f"{one.hypervolume_share:.3f}",
        f"{one.front_finished}/{one.front_size}",
        "yes" if one.best_kept else "no",
        number(one.fixed_regret_se),
        f"{one.seconds:.0f} s",
        f"{one.device_use_percent:.0f} %",
    ]
