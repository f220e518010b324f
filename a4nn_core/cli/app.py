"""The commands of ``a4nn``, registered. Nothing heavy is imported before a command runs."""

from __future__ import annotations

from typing import Annotated

import typer

from a4nn_core.cli import (
    asking,
    classify,
    commons,
    compare,
    describe,
    dig,
    explore,
    export,
    import_deposit,
    importing,
    metrics,
    predict,
    publish,
    replay,
    report,
    restore,
    run,
    settings,
    shadow,
    simulate,
    sql,
    status,
    upload,
)

app = typer.Typer(
    name="a4nn",
    help="Analytics for Neural Networks: search architectures, stop hopeless training early, record every "
    "network's training.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


def _version(requested: bool) -> None:
    if requested:
        from a4nn_core.version import __version__

        typer.echo(f"a4nn {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    pass


app.command()(run.run)
app.command()(status.status)
app.command()(metrics.metrics)
app.command()(asking.ask)
app.command()(asking.tell)
app.command()(shadow.shadow)
app.command()(run.front)
app.command()(compare.compare)
app.command()(report.report)
app.command()(run.presets)
app.command()(settings.settings)
app.command()(describe.describe)
app.add_typer(dig.app, name="dig")
app.command()(explore.explore)
app.command()(export.export)
app.command()(predict.predict)
app.command()(replay.replay)
app.command()(sql.sql)
app.add_typer(simulate.app, name="simulate")
app.command()(publish.publish)
app.command()(upload.upload)
app.command()(classify.classify)
app.command()(restore.restore)
app.add_typer(commons.app, name="commons")
importing.app.command("deposit")(import_deposit.deposit)
app.add_typer(importing.app, name="import")
