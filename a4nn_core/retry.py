"""Asking again what failed in a way that may pass: a server that is away, a call that was cut off."""

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
    """What a call returns, made again for as long as it fails in a way that may pass.

    Args:
        call: is made at least once.
        may_pass: whether asking again may help after an error.
        pauses: seconds before each further attempt; when they have run out, the last error is raised.
        sleep: waits so many seconds; tests give one that does not.

    Raises:
        Exception: that of the call, if it cannot pass or did not in time.
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
    """Equal pauses until a time is over.

    Args:
        pause: seconds of each.
        seconds: from this call on, in which there are pauses.
        clock: seconds that pass.
    """
    deadline = clock() + seconds  # not in the generator, whose body begins with the first failure

    def pauses() -> Iterator[float]:
        while clock() < deadline:
            yield pause

    return pauses()


def doubling(first: float, longest: float, count: int) -> Iterator[float]:
    """Pauses that double each time.

    Args:
        first: seconds of the first.
        longest: seconds that none exceeds.
        count: how many there are.
    """
    return (min(longest, first * 2**number) for number in range(count))
