"""``a4nn explore``: a whole commons in the browser."""

from __future__ import annotations

import os
import secrets
import socket
import sys
import webbrowser
from typing import Annotated

import typer

from a4nn_core.cli.options import DEFAULT_COMMONS, CommonsOption, say, tell
from a4nn_core.errors import BadInput

_SHORTEST = 16
_MANY = 100
"""runs that take so long to read that it is said"""
_EVERY = ("0.0.0.0", "::")
_LOOPBACK = ("127.0.0.1", "::1", "localhost")


def explore(
    port: Annotated[
        int, typer.Option("--port", min=0, max=65535, help="Port to listen on; 0 for a free one.")
    ] = 8371,
    host: Annotated[
        str,
        typer.Option("--host", help="Address to listen on; by default other machines cannot ask."),
    ] = "127.0.0.1",
    open_: Annotated[bool, typer.Option("--open/--no-open", help="Open it in the browser.")] = True,
    token: Annotated[
        str | None,
        typer.Option(
            "--token",
            envvar="A4NN_EXPLORE_TOKEN",
            help="What whoever asks must have; default: a new one, in the address that is printed.",
            show_default=False,
        ),
    ] = None,
    commons: CommonsOption = DEFAULT_COMMONS,
) -> None:
    """Explore all runs of a commons in the browser, also while they go on. No record is changed."""
    from a4nn_core.explore.catalogue import Catalogue
    from a4nn_core.explore.serving import listen, serve

    if token is not None and (len(token) < _SHORTEST or not token.isascii() or not token.isprintable()):
        raise BadInput(f"--token must have at least {_SHORTEST} characters of ASCII")
    secret = token or secrets.token_urlsafe(24)
    if not all(character.isalnum() or character in "-_.~" for character in secret):
        raise BadInput("--token may have letters, digits, and - _ . ~ alone: it is part of an address")
    catalogue = Catalogue(commons)
    with listen(host, port) as listening:
        if (runs := len(catalogue.store.folders())) >= _MANY:
            say(f"reading {runs:,} runs")
        catalogue.refresh()
        shown = f"[{host}]" if ":" in host else host
        if host in _EVERY:
            shown = socket.gethostname()
        address = f"http://{shown}:{listening.getsockname()[1]}/?token={secret}"

        def ready() -> None:
            tell(address)
            say(f"exploring {commons}; Ctrl-C ends it")
            if host not in _LOOPBACK:
                say(f"warning: whoever reaches {host} and has this address can read all records, unencrypted")
            if open_ and _has_screen():
                webbrowser.open(address)

        serve(catalogue, listening, secret, ready)


def _has_screen() -> bool:
    """Whether a browser would open in a window; one in this terminal would be no use."""
    return sys.platform in ("darwin", "win32") or any(
        os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY")
    )
