"""``a4nn replay``: what a termination rule would have done to a search whose networks were all trained."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from a4nn_core.cli.options import DEFAULT_COMMONS, CommonsOption, JsonOption, print_json, tell
from a4nn_core.errors import BadInput

if TYPE_CHECKING:
    from a4nn_core.replay.histories import RunHistory
    from a4nn_core.replay.i_epoch import Compared
    from a4nn_core.replay.laboratory import Replayed
    from a4nn_core.termination import TerminationRule

AS_RECORDED = "as-recorded"
_WIDTH = 170
"""characters of the table with all columns"""


def replay(
    runs: Annotated[list[str], typer.Argument(metavar="RUN...", help="Runs with complete curves.")],
    rules: Annotated[
        list[str] | None,
        typer.Option(
            "--rule",
            metavar="NAME or TABLE",
            help="A rule by name, or with settings as '{ name = \"fixed\", epochs = 3 }'; may be repeated. "
            "By default all that need no setting. as-recorded trains each network as long as it was, also "
            "where it was ended early.",
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
    priors: Annotated[
        list[str] | None,
        typer.Option("--prior", metavar="RUN", help="An earlier run to learn from; may be repeated."),
    ] = None,
    i_epoch: Annotated[
        bool,
        typer.Option("--i-epoch", help="Compare with training all for i epochs and finishing the best."),
    ] = False,
    wide: Annotated[
        bool,
        typer.Option("--wide", help=f"Print all columns: {_WIDTH} characters. --json has them, too."),
    ] = False,
    out: Annotated[
        Path | None, typer.Option(help="Also draw epochs saved against regret into this image.")
    ] = None,
    commons: CommonsOption = DEFAULT_COMMONS,
    as_json: JsonOption = False,
) -> None:
    """Replay termination rules over complete learning curves: what they save, and what they lose."""
    from a4nn_core.commons import Commons
    from a4nn_core.replay.figure import tradeoff_figure
    from a4nn_core.replay.histories import read_history
    from a4nn_core.replay.i_epoch import IEpochs
    from a4nn_core.replay.laboratory import replay as replay_run
    from a4nn_core.replay.laboratory import with_fixed

    if schedule not in ("generational", "steady"):
        raise BadInput(f"--schedule {schedule!r} is neither generational nor steady")
    runs = list(dict.fromkeys(runs))
    for run in priors or ():
        if run in runs:
            raise BadInput(f"--prior {run!r} is replayed itself, and would tell the rule its future")
    made = [_rule(text) for text in rules] if rules else _rules_without_settings()
    complete = i_epoch or any(rule.name != AS_RECORDED for _, rule in made)
    store = Commons(commons)
    past = tuple(read_history(store, run, images, complete=False).past for run in priors or ())
    histories = [read_history(store, run, images, complete=complete) for run in runs]
    found: list[Replayed] = []
    compared: list[Compared] = []
    for history in histories:
        trivial = IEpochs(history) if i_epoch else None
        for name, rule in made:
            done = replay_run(
                history, rule, devices=devices, steady=schedule == "steady", name=name, past=past
            )
            found.append(with_fixed(history, done))
            if trivial is not None:
                compared.append(trivial.compare(done))
    if out is not None:
        tradeoff_figure(found, out)
    if as_json:
        print_json([asdict(one) for one in found] if not i_epoch else _together(found, compared))
        return
    _print(histories, found, wide)
    if compared:
        _print_compared(runs, compared)


def _together(found: Sequence[Replayed], compared: Sequence[Compared]) -> list[dict[str, object]]:
    return [asdict(one) | {"i_epoch": asdict(other)} for one, other in zip(found, compared, strict=True)]


def _rule(text: str) -> tuple[str, TerminationRule]:
    from a4nn_core.replay.recorded import AsRecorded
    from a4nn_core.termination import RULES
    from a4nn_core.toml import toml_tables

    settings: object = {"name": text}
    if text.lstrip().startswith("{"):
        try:
            settings = toml_tables(f"rule = {text}")["rule"]
        except ValueError as error:
            raise BadInput(f"--rule {text!r} is not an inline TOML table: {error}") from None
    if settings == {"name": AS_RECORDED}:
        return AS_RECORDED, AsRecorded()
    name = settings.get("name", "") if isinstance(settings, dict) else ""
    return _label(settings), RULES.make(settings, f"--rule {name}".rstrip())


def _label(settings: object) -> str:
    """A rule's table for people, such as ``fixed (epochs 3)``."""
    if isinstance(settings, list):
        return ", ".join(map(_label, settings))
    if not isinstance(settings, dict):
        return str(settings)
    name = str(settings.get("name", ""))
    changed = ", ".join(f"{key} {_label(value)}" for key, value in settings.items() if key != "name")
    return f"{name} ({changed})" if changed else name


def _rules_without_settings() -> list[tuple[str, TerminationRule]]:
    from a4nn_core.termination import RULES

    needed = {name: RULES.component(name).model_fields.values() for name in RULES.names()}
    return [
        (name, RULES.make(name, "--rule"))
        for name, fields in needed.items()
        if not any(field.is_required() for field in fields)
    ]


def _print(histories: Sequence[RunHistory], found: Sequence[Replayed], wide: bool) -> None:
    from a4nn_core.cli.tables import print_table

    columns = _WIDE if wide else _NARROW
    for history in histories:
        tell(_heading(history), "")
        rows = [[cell(one) for cell in columns.values()] for one in found if one.run == history.run]
        print_table(list(columns), rows, fold_first=True, least_width=_WIDTH if wide else 0)
        tell("")
    tell(*_LEGEND.splitlines())
    known = [one for one in found if one.front_regret_points is not None]
    if len(known) < len(found):
        tell("what was lost is not known of a run whose networks were ended early")
    if any(one.front_regret_se is None for one in known):
        tell("a run did not record its validation images: say how many with --images")
    if any(one.modelled_seconds for one in found):
        tell("times were not recorded: modelled, one second per epoch of the average network")


def _heading(history: RunHistory) -> str:
    """What is replayed, such as ``study-low-1: 40 networks, 20 epochs, 2,000 validation images``."""
    images = history.images.validation
    measured = "an unknown number of" if images is None else f"{images:,}"
    return (
        f"{history.run}: {len(history.networks)} networks, {history.epochs} epochs, "
        f"{measured} validation images"
    )


_LEGEND = """\
saved: epochs, of training every network to the end
regret: the largest deficit of the best kept network at no more cost, over the
  members of the true front, in standard errors of the member's accuracy
fixed: the regret of giving every network the same epochs, at the same cost
hypervolume: of the kept front, as a share of the true front's
front, best: members of the true front, and whether the best network, trained to
  the end"""


def _number(value: float | None, form: str = ".2f", unit: str = "") -> str:
    return "-" if value is None else f"{value:{form}}{unit}"


_Columns = dict[str, Callable[["Replayed"], str]]
_NARROW: _Columns = {
    "rule": lambda one: one.rule,
    "saved": lambda one: f"{one.epochs_saved_percent:.1f} %",
    "regret": lambda one: _number(one.front_regret_se),
    "fixed": lambda one: _number(one.fixed_regret_se),
    "hypervolume": lambda one: _number(one.hypervolume_share, ".3f"),
    "front": lambda one: "-" if one.front_size is None else f"{one.front_finished}/{one.front_size}",
    "best": lambda one: {True: "yes", False: "no", None: "-"}[one.best_kept],
    "wall time": lambda one: f"{one.seconds:,.0f} s",
}
_WIDE: _Columns = {
    **_NARROW,
    "saved, FLOP-epochs": lambda one: f"{one.flop_epochs_saved_percent:.1f} %",
    "seconds": lambda one: _number(one.seconds_saved_percent, ".1f", " %"),
    "regret, points": lambda one: _number(one.front_regret_points),
    "mean, s.e.": lambda one: _number(one.mean_regret_se),
    "fixed, hypervolume": lambda one: _number(one.fixed_hypervolume_share, ".3f"),
    "devices busy": lambda one: f"{one.device_use_percent:.0f} %",
}
"""Column and cell of the tables; the document of ``--json`` has all fields."""


def _print_compared(runs: Sequence[str], compared: Sequence[Compared]) -> None:
    from a4nn_core.cli.tables import print_table

    tell("", "i-Epoch: every network trained for i epochs, then the front of that finished")
    for run in runs:
        rows = [
            [
                one.rule,
                f"{one.epochs_percent:.1f} %",
                f"{one.hypervolume_share:.3f}",
                str(one.least_i),
                f"{one.i_epochs_percent:.1f} %",
                f"{one.complement:.4f}",
            ]
            for one in compared
            if one.run == run
        ]
        tell("", run, "")
        header = ["rule", "epochs", "hypervolume", "as good: i", "its epochs", "complement"]
        print_table(header, rows, fold_first=True)
    tell(*_I_EPOCH_LEGEND.splitlines())


_I_EPOCH_LEGEND = """
epochs: trained when the kept front is finished, of training every network to
  the end
as good: the least i with which i-Epoch keeps this hypervolume, and its epochs
complement: what the rule adds to i-Epoch's front of epochs and hypervolume, out
  of 1"""
