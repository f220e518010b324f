"""Retries of calls that failed for a transient reason: an unreachable server, a broken connection."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

T = TypeVar("T")


def retry(
    call: Callable[[], T],
    may_pass: Callable[[Exception], bool],
    pauses: Iterable[float],
    sleep: Callable[[float], None] = time.sleep,
) -> T:
    """Return the result of a call, repeating it as long as its errors are transient.

    Args:
        call: what to call, at least once.
        may_pass: whether an error is transient, so that another attempt may succeed.
        pauses: seconds before each further attempt; when they have run out, the last error is raised.
        sleep: waits for a number of seconds; tests pass one that does not wait.

    Raises:
        Exception: the call's last error, if it is not transient or no attempt is left.
    """
    left = iter(pauses)
    while True:
        try:
            return call()
        except Exception as error:
            if not may_pass(error):
                raise
            pause = next(left, None)
            if pause is None:
                raise
        sleep(pause)


def every(pause: float, seconds: float, clock: Callable[[], float] = time.monotonic) -> Iterator[float]:
    """Equal pauses until a time limit.

    Args:
        pause: length of each pause, in seconds.
        seconds: time limit, in seconds from this call on.
        clock: returns the current time in seconds, on any monotonic scale.
    """
    deadline = clock() + seconds  # not in the generator, whose body begins with the first failure

    def pauses() -> Iterator[float]:
        while clock() < deadline:
            yield pause

    return pauses()


def doubling(first: float, longest: float, count: int) -> Iterator[float]:
    """Pauses that double each time.

    Args:
        first: length of the first pause, in seconds.
        longest: upper limit of each pause, in seconds.
        count: number of pauses.
    """
    return (min(longest, first * 2**number) for number in range(count))
