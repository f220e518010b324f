"""Running a target: making inputs, having them read, keeping those that fail."""

from __future__ import annotations

import hashlib
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from hypothesis import HealthCheck, Phase, given, seed, settings

from fuzzing.child import Answer, Outcome
from fuzzing.reader import USUAL, Limits, Reader
from fuzzing.target import Target

_BATCH = 250  # inputs that are drawn before those that reached new lines are changed further


@dataclass(frozen=True)
class Failure:
    """An input that should not have ended as it did.

    Attributes:
        answer: how it ended.
        data: the input, made smaller.
        again: whether it ended so in a fresh process too.
        path: where it was kept.
    """

    answer: Answer
    data: bytes
    again: bool
    path: Path | None = None


@dataclass
class Fuzzed:
    """What the fuzzing of one target found.

    Attributes:
        outcomes: number of inputs by outcome.
        corpus: the seeds, and inputs that reached new lines.
        failures: by place.
        seconds: how long it took.
    """

    outcomes: Counter[Outcome] = field(default_factory=Counter)
    corpus: list[bytes] = field(default_factory=list)
    failures: dict[str, Failure] = field(default_factory=dict)
    seconds: float = 0.0


def fuzz(
    target: type[Target],
    seconds: float,
    start: int = 0,
    keep: Path | None = None,
    *,
    inputs: int | None = None,
    limits: Limits = USUAL,
    tell: Callable[[str], None] = lambda _: None,
) -> Fuzzed:
    """Read inputs until the time is over.

    Args:
        target: what to fuzz.
        seconds: how long; making failing inputs smaller comes on top.
        start: seed of the generator. The same seed makes the same inputs, as far as time allows.
        keep: folder for failing inputs, created if needed; None to keep none.
        inputs: end after so many.
        limits: what one input may take.
        tell: called with a message at every failure.
    """
    found = Fuzzed(corpus=target.seeds().copy())
    reached: set[tuple[str, int]] = set()
    begun = time.monotonic()

    def over() -> bool:
        enough = inputs is not None and found.outcomes.total() >= inputs
        return enough or time.monotonic() - begun > seconds

    with Reader(target, limits) as reader:

        def try_one(data: bytes) -> None:
            answer = reader.read(data)
            found.outcomes[answer.outcome] += 1
            if not (answer.reached <= reached or answer.outcome.failed or data in found.corpus):
                found.corpus.append(data)
            reached.update(answer.reached)
            if answer.outcome.failed and answer.place not in found.failures:
                reader.renew()
                failure = _kept(target, _smaller(reader, data, answer), keep)
                found.failures[answer.place] = failure
                tell(f"{target.name}: {answer.outcome}, {answer.place.strip()}; kept: {failure.path}")

        for data in target.seeds():
            try_one(data)
        batch = 0
        while not over():
            batch += 1
            _inputs(target, found.corpus.copy(), start * 1_000_003 + batch, over, try_one)
    found.seconds = time.monotonic() - begun
    return found


def _inputs(
    target: type[Target],
    corpus: list[bytes],
    number: int,
    over: Callable[[], bool],
    try_one: Callable[[bytes], None],
) -> None:
    """Some inputs that Hypothesis draws."""

    @seed(number)
    @settings(
        max_examples=_BATCH,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(target.inputs(corpus))
    def one(data: bytes) -> None:
        if not over():
            try_one(data)

    one()


def _smaller(reader: Reader, data: bytes, answer: Answer) -> Failure:
    """A smaller input that fails in the same way: halves, quarters and so on are left out while it does."""
    tries = 0

    def same(candidate: bytes) -> bool:
        nonlocal tries
        tries += 1
        now = reader.read(candidate)
        return (now.outcome, now.place) == (answer.outcome, answer.place)

    if not same(data):
        return Failure(answer, data, again=False)
    until = time.monotonic() + reader.limits.smaller_seconds

    def over() -> bool:
        return tries >= reader.limits.tries or time.monotonic() > until

    size = len(data) // 2
    while size >= 1 and not over():
        at = 0
        while at < len(data) and not over():
            candidate = data[:at] + data[at + size :]
            if same(candidate):
                data = candidate
            else:
                at += size
        size //= 2
    return Failure(answer, data, again=True)


def _kept(target: type[Target], failure: Failure, keep: Path | None) -> Failure:
    if keep is None:
        return failure
    keep.mkdir(parents=True, exist_ok=True)
    digest = hashlib.sha256(failure.data).hexdigest()[:8]
    path = keep / f"{target.name}-{failure.answer.outcome}-{digest}"
    path.write_bytes(failure.data)
    lines = [f"python tools/fuzz.py {target.name} --replay {path}"]
    if not failure.again:
        lines.append(
            "It did not happen again in a fresh process: the inputs before may have had a part in it."
        )
    path.with_name(f"{path.name}.txt").write_text("\n".join([*lines, "", failure.answer.text]))
    return Failure(failure.answer, failure.data, failure.again, path)
