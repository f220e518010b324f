"""Signals while a run's records are open: one of them ends the run where it waits, none cuts a record short.

A signal handler that raises an exception does so between any two steps of the program: between a line of the
event log and the count of its lines, or a second time while the first interrupt is being recorded.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from types import FrameType, TracebackType

from a4nn_core.training.segment import Segment, SegmentResult
from a4nn_core.workflow.executor import Executor

Handler = Callable[[int, FrameType | None], object]


class Interrupts:
    """While entered, holds SIGINT and SIGTERM back from the handlers that were there before, where these are
    functions: those of the command line, of Prefect, or Python's own.

    The first signal is passed on where interruption is allowed. What comes after that is dropped, as the run
    is ending already. A signal that finds no such place before the run has ended is passed on then.
    """

    def __init__(self) -> None:
        self._handlers: dict[int, Handler] = {}
        self._restore = ExitStack()
        self._allowed = False
        self._held: int | None = None
        self._passed_on = False

    def __enter__(self) -> Interrupts:
        if threading.current_thread() is threading.main_thread():  # no other thread is ever interrupted
            with ExitStack() as installed:
                for number in (signal.SIGINT, signal.SIGTERM):
                    before = signal.getsignal(number)
                    if callable(before):
                        self._handlers[number] = before
                        installed.callback(signal.signal, number, before)
                        signal.signal(number, self._receive)
                self._restore = installed.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._restore.close()
        if error is None and self._held is not None:
            signal.raise_signal(self._held)

    @contextmanager
    def allowed(self) -> Iterator[None]:
        """While entered, a signal interrupts; at once if it came before. One whose exception was lost, as
        Python ignores those raised in a destructor, interrupts again."""
        self._allowed = True
        try:
            if self._held is not None:
                self._pass_on(self._held, None)
            yield
        finally:
            self._allowed = False

    def _receive(self, number: int, frame: FrameType | None) -> None:
        self._held = number if self._held is None else self._held
        if self._allowed and not self._passed_on:
            self._pass_on(number, frame)

    def _pass_on(self, number: int, frame: FrameType | None) -> None:
        self._passed_on = True
        self._handlers[number](number, frame)
        self._held, self._passed_on = None, False  # a handler that raises nothing has dealt with it


class InterruptibleExecutor:
    """An executor that can be interrupted while it is waited for, and only then.

    Args:
        executor: the executor.
        interrupts: entered.
    """

    def __init__(self, executor: Executor, interrupts: Interrupts) -> None:
        self._executor, self._interrupts = executor, interrupts
        self.submit: Callable[[Segment], None] = executor.submit
        self.close: Callable[[], None] = executor.close

    @property
    def slots(self) -> int:
        """See Executor."""
        return self._executor.slots

    @property
    def is_local(self) -> bool:
        """See Executor."""
        return self._executor.is_local

    def completed(self, timeout: float) -> list[SegmentResult]:
        """See Executor."""
        with self._interrupts.allowed():
            return self._executor.completed(timeout)
