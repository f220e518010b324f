"""Which checkpoints of finished networks stay, by the policy ``training.keep_checkpoints``.

A worker keeps the last and the best one, so that a network can go on and be tested after any crash. Those of
them that the policy does not keep are removed only when the network's final records are written. Every step
can be repeated, so what a killed process left undone is done when the run is resumed.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from a4nn_core.commons import RunWriter
from a4nn_core.commons.epochs import JournalEpoch
from a4nn_core.commons.events import CheckpointsRemoved
from a4nn_core.commons.records import Network, best_epoch, front_among
from a4nn_core.vocabulary import EventKind, NetworkStatus


def kept_epochs(journal: Sequence[JournalEpoch], policy: str) -> list[JournalEpoch]:
    """A finished network's journal as it is recorded: without the names of checkpoints that are not kept.

    Args:
        journal: the network's epochs in order; may be empty.
        policy: last, best, all or front; with ``front`` the last and the best stay until the network is
            dominated.
    """
    if policy == "all" or not journal:
        return list(journal)
    best = best_epoch(journal) if policy != "last" else None
    stay = {epoch.checkpoint for epoch in (journal[-1], best) if epoch is not None}
    return [
        epoch if epoch.checkpoint in stay else replace(epoch, checkpoint=None, checkpoint_sha256=None)
        for epoch in journal
    ]


# networks whose checkpoints belong to another one, or wait for more epochs
_NOT_OF_THEIR_OWN = (NetworkStatus.equal, NetworkStatus.paused)


class Keeper:
    """Removes the checkpoints that the policy does not keep.

    Args:
        writer: writer of the run's records.
        policy: last, best, all or front.
        objectives: metric name to its direction, ``minimise`` or ``maximise``.
    """

    def __init__(self, writer: RunWriter, policy: str, objectives: Mapping[str, str]) -> None:
        self.writer = writer
        self.policy = policy
        self.objectives = objectives
        removed = [event for event in writer.events if event.kind == EventKind.checkpoints_removed]
        self._behind = {event.network for event in removed if event.network is not None}

    def resume(self, networks: Mapping[int, Network]) -> None:
        """Repeat what a killed process may have left undone."""
        for number in self._behind:
            self._remove(number, ())
        for network in networks.values():
            self.ended(network)

    def ended(self, network: Network) -> None:
        """Called when a network's final records are written: with the policy ``last``, removes its best
        checkpoint."""
        if self.policy == "last" and network.checkpoint:
            self._remove(network.network, {Path(network.checkpoint).name})

    def generation(self, networks: Mapping[int, Network]) -> None:
        """Called after a generation: with the policy ``front``, removes checkpoints of dominated networks.

        A dominated network stays dominated, and none of them is in training. The event is logged before the
        files are removed, so that a missing file always has its reason on record.
        """
        if self.policy != "front":
            return
        front = {network.network for network in front_among(networks.values(), self.objectives)}
        for number, network in sorted(networks.items()):
            if number in front or number in self._behind or network.status in _NOT_OF_THEIR_OWN:
                continue
            if network.checkpoint:
                self.writer.events.append(CheckpointsRemoved(), number, network.generation)
                self._behind.add(number)
                self._remove(number, ())

    def _remove(self, number: int, but: Collection[str]) -> None:
        for path in self.writer.folder.checkpoints(number).glob("epoch-*.safetensors"):
            if path.name not in but:
                path.unlink(missing_ok=True)
