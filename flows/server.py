"""The Prefect server, which may be unreachable for a while: retries, and what a flow knows about itself."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import TypeVar

import httpx
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.runtime import deployment, flow_run

from a4nn_core.errors import BadInput
from a4nn_core.retry import every, retry

from .parameters import name_of

T = TypeVar("T")
Log = logging.Logger | logging.LoggerAdapter[logging.Logger]
"""where flows report"""

AWAY_SECONDS = 3600.0
_PAUSE_SECONDS = 3.0
_WILL_PASS = frozenset({408, 425, 429, 500, 502, 503, 504})


def is_away(error: BaseException) -> bool:
    """Whether an error means that the server cannot be reached or cannot answer now."""
    if isinstance(error, httpx.HTTPStatusError):
        return error.response.status_code in _WILL_PASS
    if isinstance(error, RuntimeError):
        # what a client raises when it cannot even ask for the server's version
        return str(error).startswith("Failed to reach API")
    return isinstance(error, httpx.TransportError)


def ask_server(question: Callable[[SyncPrefectClient], T], seconds: float = AWAY_SECONDS) -> T:
    """Ask the server, waiting while it is unreachable.

    Args:
        question: asks the server through the client it is passed, a new one for each attempt.
        seconds: after so long, the error of a server that is still unreachable is raised.

    Returns:
        what ``question`` returned.
    """

    def ask() -> T:
        with get_client(sync_client=True) as client:
            return question(client)

    return retry(ask, is_away, every(_PAUSE_SECONDS, seconds))


def pages(page: Callable[[int], list[T]]) -> Iterator[T]:
    """Everything that a filter of the server finds.

    Args:
        page: asks for what follows an offset, at most a page of it.
    """
    offset = 0
    while found := page(offset):
        yield from found
        offset += len(found)


def check_server(what: str) -> None:
    """Make sure that there is a server.

    Args:
        what: what needs one, for the message.

    Raises:
        BadInput: no server is configured, it does not answer, or it wants another password.
    """
    from prefect.settings import get_current_settings

    settings = get_current_settings().api
    url = settings.url
    if not url:
        # the server that Prefect would start by itself loses task runs when the process ends
        raise BadInput(
            f"{what} needs a server: start one with `prefect server start` and set "
            "PREFECT_API_URL=http://127.0.0.1:4200/api"
        )
    server = f"the Prefect server at PREFECT_API_URL={url}"
    try:
        with get_client(sync_client=True) as client:
            trouble = client.api_healthcheck()
            if trouble is None:
                client.hello()  # a server tells everybody that it is healthy
    except httpx.HTTPStatusError as error:
        if error.response.status_code != httpx.codes.UNAUTHORIZED:
            raise
        if settings.auth_string is None or not settings.auth_string.get_secret_value():
            raise BadInput(
                f"{server} asks for a password: set PREFECT_API_AUTH_STRING=USER:PASSWORD"
            ) from None
        raise BadInput(f"{server} refuses the user or the password of PREFECT_API_AUTH_STRING") from None
    if trouble is not None:
        raise BadInput(f"{server} does not answer: {trouble}")


def run_id_of(flow_run_id: str, expected_start: datetime, experiment: object) -> str:
    """The id of a flow run's run, the same however often the flow run is started: experiment, scheduled time
    (UTC), and the end of the flow run's id, which is random."""
    return f"{name_of(experiment)}-{expected_start.astimezone(UTC):%Y%m%d-%H%M%S}-{flow_run_id[-8:]}"


def own_run_id(experiment: object) -> str:
    """The run id of the current flow run."""
    due = flow_run.get_scheduled_start_time()
    return run_id_of(str(flow_run.get_id()), due, experiment)


def origin() -> dict[str, str | None]:
    """Where the current flow run comes from, for the records: flow run, deployment, and the schedule that
    created it, if any."""
    own = flow_run.get_id()
    found: dict[str, str | None] = {"flow_run": own, "deployment": deployment.get_name()}
    read = ask_server(lambda client: client.read_flow_run(own))  # type: ignore[arg-type]
    if read.created_by and read.created_by.type == "SCHEDULE":
        found["schedule"] = read.created_by.display_value
        found["schedule_id"] = str(read.created_by.id)
        found["due"] = read.expected_start_time.isoformat() if read.expected_start_time else None
    if read.work_pool_name:
        found["work_pool"] = read.work_pool_name
    return found
