"""The records of one run, read once for all figures."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from a4nn_core.archaeology.picture import Picture, picture_of
from a4nn_core.archaeology.quality import Quality
from a4nn_core.commons.records import Epoch, Event, Network, Run, best_network, by_epoch
from a4nn_core.commons.totals import Totals
from a4nn_core.errors import BadInput
from a4nn_core.termination.endings import Ending, Endings
from a4nn_core.vocabulary import RunStatus

if TYPE_CHECKING:
    from a4nn_core.commons import Commons


@dataclass(frozen=True)
class Life:
    """The records of one run, finished or not.

    Attributes:
        header: of the run.
        networks: final records, by number.
        epochs: all epochs by network, in order; also of networks in training.
        events: the event log; empty for an imported run.
        shadows: runs that trained its networks again, each with its networks by number.
    """

    header: Run
    networks: dict[int, Network]
    epochs: dict[int, list[Epoch]]
    events: Sequence[Event]
    shadows: dict[str, dict[int, Network]]

    @classmethod
    def read(cls, commons: Commons, run: str) -> Life:
        """The records of a run of a commons.

        Raises:
            BadInput: there is no such run, or its records cannot be read.
        """
        header = commons.run(run)
        epochs: dict[int, list[Epoch]] = {}
        for epoch in commons.epochs(run):
            epochs.setdefault(epoch.network, []).append(epoch)
        return cls(
            header=header,
            networks={network.network: network for network in commons.networks(run)},
            epochs={network: by_epoch(those) for network, those in sorted(epochs.items())},
            events=commons.events(run),
            shadows={
                shadow: {network.network: network for network in commons.networks(shadow)}
                for shadow in commons.shadows(run)
            },
        )

    @property
    def run(self) -> str:
        """Its id."""
        return self.header.run

    @property
    def quality(self) -> Quality:
        """What the scores of its networks are."""
        return Quality.of(self.header.task)

    def sql(self, template: str, **values: object) -> str:
        """A query for this run.

        Args:
            template: as ``Quality.sql`` takes it, with ``{run}`` where its id is inside of quotes.
            values: what else it leaves open.
        """
        return self.quality.sql(template, run=self.run.replace("'", "''"), **values)

    @cached_property
    def picture(self) -> Picture:
        """What the first figure shows."""
        every = [epoch for those in self.epochs.values() for epoch in those]
        return picture_of(self.header, list(self.networks.values()), every, self.events)

    @cached_property
    def front(self) -> set[int]:
        """Numbers of the networks on the Pareto front."""
        return {point.network for point in self.picture.front}

    @cached_property
    def endings(self) -> dict[int, Ending]:
        """Why networks were ended early, by number."""
        return {one.network: one for one in Endings.of(self.header, self.networks).all()}

    @cached_property
    def totals(self) -> Totals:
        """The run in a few numbers."""
        return Totals.of(self.header, list(self.networks.values()))

    @property
    def has_lineage(self) -> bool:
        """Whether it was recorded from which networks others were made."""
        return any(network.parents for network in self.networks.values())

    @property
    def no_lineage(self) -> str:
        """Why nothing can be said of who descends from whom; empty if something can."""
        if self.has_lineage:
            return ""
        if not self.networks:
            return "No network has ended yet."
        if all(network.parents is None for network in self.networks.values()):
            return (
                "Parents were not recorded in this run, so nobody knows from which networks others were "
                "made. Imported runs often lack them; the published runs of 2023 do."
            )
        so_far = " so far" if self.header.status is RunStatus.running else ""
        return f"No network of this run was made from others{so_far}."

    @property
    def budget(self) -> int | None:
        """Epochs that a network may be trained; None if that is not known."""
        return self.header.epochs_budget or max(
            (b for n in self.networks.values() if (b := n.epochs_budget)), default=None
        )

    def curve(self, network: int) -> tuple[list[int], list[float]]:
        """Epochs and validation scores of a network; empty if none were recorded."""
        known = [
            (epoch.epoch, value)
            for epoch in self.epochs.get(network, [])
            if (value := epoch.validation_score) is not None
        ]
        return [epoch for epoch, _ in known], [value for _, value in known]

    def best(self) -> float | None:
        """The best validation score; None if there is none."""
        found = best_network(self.networks.values())
        return None if found is None else found.best_score


def read_together(commons: Commons, runs: Iterable[str]) -> list[Life]:
    """The records of several runs, for figures that show them side by side; a run named twice is read once.

    Raises:
        BadInput: there is no such run, its records cannot be read, or their networks have scores of different
            kinds.
    """
    lives = [Life.read(commons, run) for run in dict.fromkeys(runs)]
    named = {life.quality: life for life in reversed(lives)}  # the first run of each kind
    if len(named) > 1:
        both = " and ".join(f"{one.noun} in {one.unit} of run {life.run!r}" for one, life in named.items())
        raise BadInput(f"one report cannot show {both}: they have no axis in common; write one for each")
    return lives
