"""Asking again what failed in a way that may pass."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from a4nn_core.retry import doubling, every, retry


def failing(times: int) -> tuple[Callable[[], str], list[float]]:
    """A call that fails so often, and the pauses that were made."""
    left = [ConnectionError(f"away {number}") for number in range(times)]

    def call() -> str:
        if left:
            raise left.pop(0)
        return "here"

    return call, []


def passes(error: Exception) -> bool:
    return isinstance(error, ConnectionError)


def test_what_passes_is_asked_again() -> None:
    call, slept = failing(3)
    assert retry(call, passes, doubling(0.5, 1.0, 5), slept.append) == "here"
    assert slept == [0.5, 1.0, 1.0]


def test_the_last_error_is_raised_when_the_pauses_run_out() -> None:
    call, slept = failing(3)
    with pytest.raises(ConnectionError, match="away 2"):
        retry(call, passes, doubling(0.5, 60.0, 2), slept.append)
    assert slept == [0.5, 1.0]


def test_what_cannot_pass_is_raised_at_once() -> None:
    slept: list[float] = []
    with pytest.raises(ZeroDivisionError):
        retry(lambda: 1 // 0, passes, doubling(0.5, 60.0, 2), slept.append)
    assert slept == []


def test_a_time_in_which_to_ask_begins_at_once() -> None:
    now = 0.0
    pauses = every(3.0, 7.0, lambda: now)
    now = 6.0  # the first attempt took so long
    assert next(pauses) == 3.0
    now = 9.0
    assert list(pauses) == []
    assert list(every(3.0, 0.0, lambda: now)) == []
