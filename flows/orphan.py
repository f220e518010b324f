"""Flow runs whose worker is gone, or deaf.

At a console message that nobody can read any more, rich, which writes it for Prefect, ends the process. And
Prefect's worker is who hears when a flow run is to be cancelled: one that was killed hears nothing, and one
whose server was away for half a minute never listens again (Prefect 3.8.8, ``critical_service_loop``).
"""

from __future__ import annotations

import contextvars
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID

from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.objects import State
from prefect.exceptions import Abort, TerminationSignal
from prefect.logging import get_logger
from prefect.runtime import flow_run
from prefect.settings import PREFECT_CLIENT_MAX_RETRIES, temporary_settings
from prefect.states import Cancelled
from rich.console import Console

from .server import ask_server

POLL_SECONDS = 8.0
_TIMEOUT_SECONDS = 8.0


class FlowRunCancelled(Abort):
    """Ends a flow whose state the server knows already, as Prefect's own signals do. A cancelled state as its
    result would be logged as an error, with a traceback.

    Attributes:
        state: the state of the flow run.
    """

    def __init__(self, state: State[object] | None) -> None:
        super().__init__("the flow run was cancelled")
        self.state = state


@contextmanager
def needing_no_worker() -> Iterator[None]:
    """While entered, in a flow, the flow outlives its worker, and asks the server itself whether its flow run
    was cancelled. If so it is interrupted where it is.

    Raises:
        FlowRunCancelled: it was cancelled, and the server has been told that it has ended.
    """
    own = flow_run.get_id()
    if own is None or threading.current_thread() is not threading.main_thread():
        yield  # no flow, or one that no signal can interrupt
        return
    setattr(Console, "on_broken_pipe", _be_quiet)  # noqa: B010  a method, to be overridden says rich
    listener = Listener(UUID(own))
    try:
        yield
        listener.close()
    except TerminationSignal:
        if not listener.heard:
            raise
        raise FlowRunCancelled(ask_server(listener.confirm)) from None
    finally:
        listener.close()


def _be_quiet(console: Console) -> None:
    console.quiet = True


class Listener:
    """Asks from a thread of its own whether a flow run was cancelled, however long the server is away, and
    then sends this process SIGTERM, which Prefect makes an exception in the flow.

    Args:
        own: id of the flow run.

    Attributes:
        heard: whether the signal was sent.
    """

    def __init__(self, own: UUID) -> None:
        self.own = own
        self.heard = False
        self._closed = threading.Event()
        self._lock = threading.Lock()
        run = contextvars.copy_context().run
        self._thread = threading.Thread(target=lambda: run(self._listen), name="cancelling", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """No signal is sent after this."""
        with self._lock:
            self._closed.set()
        self._thread.join(_TIMEOUT_SECONDS)

    def confirm(self, client: SyncPrefectClient) -> State[object] | None:
        """Tell the server that the flow run has ended; returns its state."""
        state = client.read_flow_run(self.own).state
        if state is None or not state.is_final():
            state = client.set_flow_run_state(self.own, Cancelled(message="its process has ended")).state
        return state

    def _listen(self) -> None:
        before = False
        # a question that fails is asked again soon: waiting in the client would only be slower
        with temporary_settings({PREFECT_CLIENT_MAX_RETRIES: 0}):
            while not self._closed.wait(POLL_SECONDS):
                now = self._is_cancelled()
                if now and before:  # a worker that has heard it, too, has ended this process by now
                    self._end()
                    break
                before = now

    def _is_cancelled(self) -> bool:
        try:
            with get_client(sync_client=True, httpx_settings={"timeout": _TIMEOUT_SECONDS}) as client:
                state = client.read_flow_run(self.own).state
        except Exception:
            return False  # whatever is wrong with the server may pass
        return state is not None and (state.is_cancelling() or state.is_cancelled())

    def _end(self) -> None:
        with self._lock:
            if self._closed.is_set():
                return
            self.heard = True
            get_logger("a4nn").warning("the flow run was cancelled, and no worker ends it: it ends itself")
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGTERM)
