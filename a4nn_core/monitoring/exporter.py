"""What Prometheus is told of a commons: sums over all runs, and each of the runs of the last days."""

from __future__ import annotations

import logging
import shutil
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from a4nn_core.errors import BadInput
from a4nn_core.monitoring import families as f
from a4nn_core.monitoring.runs import STATUSES, Runs, RunState
from a4nn_core.printable import printable
from a4nn_core.version import __version__
from a4nn_core.vocabulary import NetworkStatus, RunStatus
from a4nn_core.workflow.slots import occupancy

MOST_RUNS = 100
"""runs with metrics of their own at most: each has about 30 series, which Prometheus keeps for weeks"""
MOST_KINDS = 30
"""pairs of strategy and space at most; those of later runs are ``other``"""
LONGEST_LABEL = 200

log = logging.getLogger(__name__)


class Exporter(Collector):
    """Reads a commons whenever Prometheus asks.

    Args:
        commons: folder of the commons.
        recent: runs that did nothing for so long are only in the sums, unless they are running.

    Raises:
        BadInput: it is not a commons, or has a layout newer than this version knows.
    """

    def __init__(self, commons: Path, recent: timedelta) -> None:
        self.commons = commons
        self.recent = recent
        self._runs = Runs(commons)
        self._known: dict[str, str] = {}
        self._one_at_a_time = threading.Lock()

    def describe(self) -> list[Metric]:
        """Nothing: the registry need not read the commons to learn the names."""
        return []

    def collect(self) -> Iterator[Metric]:
        """All metrics now; never an error, as Prometheus would then be told nothing at all."""
        with self._one_at_a_time:
            began = time.monotonic()
            samples = f.Samples()
            samples.add(f.BUILD, 1, __version__)
            try:
                states = self._runs.look()
                disk = shutil.disk_usage(self.commons)
            except (OSError, BadInput) as error:
                self._report({"": str(error)})
                samples.add(f.UP, 0)
                return iter(samples)
            self._report({run: str(error) for run, error in self._runs.troubles.items()})
            samples.add(f.UP, 1)
            samples.add(f.FREE, disk.free)
            samples.add(f.SIZE, disk.total)
            samples.add(f.UNREADABLE, len(self._runs.troubles))
            _sums(samples, states)
            _devices(samples)
            for state in recent_runs(states, datetime.now(UTC) - self.recent):
                _run(samples, state)
            samples.add(f.READING, time.monotonic() - began)
            return iter(samples)

    def _report(self, troubles: dict[str, str]) -> None:
        """Log what is wrong, once."""
        for run, trouble in troubles.items():
            if self._known.get(run) != trouble:
                log.warning("not exported: %s", printable(trouble))
        self._known = troubles


def recent_runs(states: Sequence[RunState], since: datetime) -> list[RunState]:
    """The runs that are told of one by one: those that go on, then those that did something since, the newest
    first; not more than MOST_RUNS."""
    oldest = datetime.min.replace(tzinfo=UTC)
    ranked = sorted(
        states, key=lambda s: (s.status == RunStatus.running, s.last_seen or oldest, s.run), reverse=True
    )
    wanted = [s for s in ranked if s.status == RunStatus.running or (s.last_seen or oldest) >= since]
    return sorted(wanted[:MOST_RUNS], key=lambda s: s.run)


def _sums(samples: f.Samples, states: Sequence[RunState]) -> None:
    kind_of = _kinds(states)
    runs: Counter[tuple[str, ...]] = Counter()
    networks: Counter[tuple[str, ...]] = Counter()
    trained: Counter[tuple[str, ...]] = Counter()
    saved: Counter[tuple[str, ...]] = Counter()
    seconds: dict[tuple[str, ...], float] = {}
    joules: dict[tuple[str, ...], float] = {}
    queue = dict.fromkeys(_QUEUE, 0)
    for state in states:
        kind, totals = kind_of(state), state.totals
        runs[(state.status, *kind)] += 1
        for status, count in _networks(state).items():
            networks[(status, *kind)] += count
        trained[kind] += state.epochs_trained
        for cause, count in _saved(state).items():
            saved[(cause, *kind)] += count
        seconds[kind] = seconds.get(kind, 0.0) + (totals.training_seconds or 0.0)
        if totals.energy_joules is not None:
            joules[kind] = joules.get(kind, 0.0) + totals.energy_joules
        for name, count_of in _QUEUE.items():
            queue[name] += count_of(state)
    for family, sums in (
        (f.RUNS, runs),
        (f.NETWORKS, networks),
        (f.TRAINED, trained),
        (f.SAVED, saved),
        (f.TRAINING_TIME, seconds),
        (f.ENERGY, joules),
    ):
        for labels, value in sorted(sums.items()):
            samples.add(family, value, *labels)
    for name, count in queue.items():
        samples.add(f.QUEUE, count, name)
    epochs = [state.last_epoch for state in states if state.last_epoch]
    samples.add(f.LAST_EPOCH, max(epochs).timestamp() if epochs else None)


def _kinds(states: Sequence[RunState]) -> Callable[[RunState], tuple[str, str]]:
    """Strategy and space of a run as labels. Imported runs may name any, so those of the first runs are kept,
    whose order does not change."""
    newest = datetime.max.replace(tzinfo=UTC)
    known: dict[tuple[str, str], None] = {}
    for state in sorted(states, key=lambda s: (s.started or newest, s.run)):
        if len(known) < MOST_KINDS:
            known.setdefault((_label(state.strategy), _label(state.space)))

    def kind(state: RunState) -> tuple[str, str]:
        found = _label(state.strategy), _label(state.space)
        return found if found in known else ("other", "other")

    return kind


_QUEUE: dict[str, Callable[[RunState], int]] = {
    "training": lambda state: state.training,
    "waiting": lambda state: state.waiting,
    "paused": lambda state: state.paused,
}


def _networks(state: RunState) -> dict[str, int]:
    """Networks by status. Zeros are told too: what rises from nothing has not risen, to Prometheus."""
    final = [str(status) for status in NetworkStatus if status is not NetworkStatus.paused]
    return {**dict.fromkeys(final, 0), **state.totals.networks_by_status}


def _saved(state: RunState) -> dict[str, int]:
    return {
        "termination": state.totals.epochs_saved_by_termination,
        "equality": state.totals.epochs_saved_by_equality,
    }


def _devices(samples: f.Samples) -> None:
    for one in occupancy():
        samples.add(f.SLOTS, one.slots, _label(one.device))
        samples.add(f.SLOTS_USED, one.used, _label(one.device))


def _run(samples: f.Samples, state: RunState) -> None:
    run, totals = state.run, state.totals
    names = (state.experiment, state.strategy, state.space, state.host, state.device)
    samples.add(f.RUN, 1, run, *map(_label, names))
    for status in STATUSES:
        samples.add(f.RUN_STATUS, status == state.status, run, status)
    for family, at in (
        (f.RUN_START, state.started),
        (f.RUN_END, state.ended),
        (f.RUN_LAST_EPOCH, state.last_epoch),
    ):
        samples.add(family, at.timestamp() if at else None, run)
    samples.add(f.RUN_BUDGET, totals.networks_budget, run)
    for status, count in _networks(state).items():
        samples.add(f.RUN_NETWORKS, count, run, status)
    for name, count_of in _QUEUE.items():
        samples.add(f.RUN_QUEUE, count_of(state), run, name)
    samples.add(f.RUN_TRAINED, state.epochs_trained, run)
    for cause, count in _saved(state).items():
        samples.add(f.RUN_SAVED, count, run, cause)
    samples.add(f.RUN_ENERGY, totals.energy_joules, run)
    samples.add(f.RUN_FRONT, totals.networks_on_front, run)
    samples.add(f.RUN_BEST, _ratio(totals.best_accuracy_percent), run)
    samples.add(f.RUN_BEST_ERROR, _ratio(totals.best_accuracy_se_points), run)


def _ratio(percent: float | None) -> float | None:
    return None if percent is None else percent / 100


def _label(text: str) -> str:
    """A text of others as the value of a label: what Prometheus escapes, and what its UTF-8 cannot hold."""
    return printable(text)[:LONGEST_LABEL]
