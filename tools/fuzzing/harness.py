"""Running a target: making inputs, watching the child that reads them, keeping those that fail."""

from __future__ import annotations

import hashlib
import multiprocessing
import os
import re
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing import forkserver
from multiprocessing.context import ForkServerContext
from pathlib import Path

from hypothesis import HealthCheck, Phase, given, seed, settings

from fuzzing.child import OUTPUT, TRACE, Answer, Outcome, computed, peak_memory, serve
from fuzzing.target import Target

_BATCH = 250
_POLL = 0.05
_IDLE = 6
_IN_MEMORY = Path("/dev/shm")  # many small files, none of which needs a disk


@dataclass(frozen=True)
class Limits:
    """What one input may take.

    Attributes:
        seconds: processor time; six times as long in all, as other processes may be computing.
        bytes: growth of the resident memory of the process.
        tries: how often a failing input is made smaller and read again at most.
        smaller_seconds: how long that may take.
    """

    seconds: float = 10.0
    bytes: int = 500_000_000
    tries: int = 300
    smaller_seconds: float = 20.0


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


def _forks() -> ForkServerContext:
    """Children are forks of a process that has imported everything and has no threads: they cost little."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["fuzzing.targets"])
    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = os.pathsep.join(sys.path)  # that process is not told of sys.path otherwise
    try:
        forkserver.ensure_running()
    finally:
        del os.environ["PYTHONPATH"]
        if before is not None:
            os.environ["PYTHONPATH"] = before
    return context


class Reader:
    """A target in a child process, which is started again after an input that ended it.

    Args:
        target: what to fuzz.
        limits: what one input may take.
        guided: whether answers say if new lines were reached.
    """

    def __init__(self, target: type[Target], limits: Limits, *, guided: bool = True) -> None:
        self.target, self.limits, self.guided = target, limits, guided
        self._start()

    def _start(self) -> None:
        context = _forks()
        self._folder = Path(tempfile.mkdtemp(prefix="fuzz-", dir=_IN_MEMORY if _IN_MEMORY.is_dir() else None))
        self._pipe, theirs = context.Pipe()
        self._child = context.Process(
            target=serve, args=(theirs, self.target, self._folder, self.guided), daemon=True
        )
        self._child.start()
        theirs.close()
        try:
            self._before = self._pipe.recv().peak
        except EOFError:
            raise RuntimeError(f"{self.target.name} cannot be prepared: {self._said(OUTPUT)}") from None

    def read(self, data: bytes) -> Answer:
        """Have one input read."""
        self._pipe.send_bytes(data)
        answer = self._answer()
        if answer.outcome in (Outcome.crash, Outcome.hang, Outcome.growth):
            self.renew()
        return answer

    def _answer(self) -> Answer:
        most = self._before + self.limits.bytes
        process = self._child.pid or 0
        until = time.monotonic() + _IDLE * self.limits.seconds
        most_computed = computed(process) + self.limits.seconds
        while True:
            if self._pipe.poll(_POLL):
                try:
                    answer: Answer = self._pipe.recv()
                except EOFError:
                    return self._died()
                return answer if answer.peak <= most else self._grew(answer.peak)
            peak = peak_memory(process)
            if peak > most:
                return self._grew(peak)
            if computed(process) > most_computed or time.monotonic() > until:
                return self._ended(Outcome.hang, f"no answer after {self.limits.seconds:g} s of computing")

    def _grew(self, peak: int) -> Answer:
        return self._ended(Outcome.growth, f"memory grew by {(peak - self._before) / 1e6:.0f} MB")

    def _died(self) -> Answer:
        self._child.join()
        code = self._child.exitcode or 0
        how = signal.Signals(-code).name if code < 0 else f"exit code {code}"
        return self._told(Outcome.crash, f"the process died: {how}")

    def _ended(self, outcome: Outcome, text: str) -> Answer:
        """The answer for a child that has to be ended, with where it was."""
        with suppress(ProcessLookupError):
            os.kill(self._child.pid or 0, signal.SIGUSR1)
        self._child.join(0.2)  # the kernel has to switch to it
        return self._told(outcome, text)

    def _told(self, outcome: Outcome, text: str) -> Answer:
        stack = self._said(TRACE)
        frames = [line.strip() for line in stack.splitlines() if line.startswith("  File")]
        ours = [line for line in frames if "a4nn_core" in line] or frames or [""]
        place = re.sub(r", line \d+", "", ours[0])  # an endless loop can be interrupted at any of its lines
        return Answer(outcome, f"{outcome} in {place}", f"{text}\n{stack}")

    def _said(self, name: str) -> str:
        with suppress(OSError):
            return (self._folder / name).read_text(errors="replace")[-4000:]
        return ""

    def renew(self) -> None:
        """Go on with a fresh child."""
        self.close()
        self._start()

    def close(self) -> None:
        """End the child."""
        self._child.kill()
        self._child.join()
        self._pipe.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def __enter__(self) -> Reader:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def fuzz(
    target: type[Target],
    seconds: float,
    start: int = 0,
    keep: Path | None = None,
    *,
    inputs: int | None = None,
    limits: Limits = Limits(),
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
    found = Fuzzed()
    reached: set[tuple[str, int]] = set()
    begun = time.monotonic()

    def over() -> bool:
        enough = inputs is not None and found.outcomes.total() >= inputs
        return enough or time.monotonic() - begun > seconds

    with Reader(target, limits) as reader:

        def try_one(data: bytes) -> None:
            answer = reader.read(data)
            found.outcomes[answer.outcome] += 1
            if not answer.reached <= reached and not answer.outcome.failed:
                found.corpus.append(data)
            reached.update(answer.reached)
            if answer.outcome.failed and answer.place not in found.failures:
                reader.renew()
                failure = _kept(target, _smaller(reader, data, answer), keep)
                found.failures[answer.place] = failure
                tell(f"{target.name}: {answer.outcome}, {answer.place.strip()}; kept: {failure.path}")

        for data in target.seeds():
            try_one(data)
            found.corpus.append(data)
        batch = 0
        while not over():
            batch += 1
            _inputs(target, list(dict.fromkeys(found.corpus)), start * 1_000_003 + batch, over, try_one)
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
