"""The server of the explorer: where it listens, and how it ends."""

from __future__ import annotations

import socket
import tempfile
from collections.abc import Callable
from pathlib import Path

import uvicorn

from a4nn_core.errors import BadInput
from a4nn_core.explore.app import Explorer, application
from a4nn_core.explore.catalogue import Catalogue
from a4nn_core.explore.guard import Guard, names_of_machine

_BACKLOG = 128


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens.

    Args:
        host: address or name to listen on.
        port: port to listen on; 0 for a free one.

    Raises:
        BadInput: nobody can listen there.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        found = socket.socket(family, kind, protocol)
        try:
            found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            found.bind(address)
            found.listen(_BACKLOG)
        except BaseException:
            found.close()
            raise
    except (OSError, OverflowError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise BadInput(f"cannot listen on {host}, port {port}: {reason}; --port 0 takes a free one") from None
    return found


def serve(catalogue: Catalogue, listening: socket.socket, token: str, ready: Callable[[], None]) -> None:
    """Answer until Ctrl-C, or SIGTERM, which end it as everywhere.

    Args:
        catalogue: what is explored.
        listening: where.
        token: what whoever asks must have.
        ready: called once it listens.
    """
    port = listening.getsockname()[1]
    with tempfile.TemporaryDirectory(prefix="a4nn-explore-") as folder:
        guarded = Guard(application(Explorer(catalogue, Path(folder))), token, port, names_of_machine())
        config = uvicorn.Config(
            guarded,
            log_config=None,
            access_log=False,
            server_header=False,
            lifespan="off",
            timeout_graceful_shutdown=1,
        )
        ready()
        uvicorn.Server(config).run(sockets=[listening])
