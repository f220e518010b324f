"""What others may see of a search while it goes on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from a4nn_core.commons import RunFolder
from a4nn_core.commons.records import Network
from a4nn_core.experiment import Experiment
from a4nn_core.precision import Images


@dataclass(frozen=True)
class SearchView:
    """A search at one moment, to be looked at and not to be changed.

    Attributes:
        experiment: with what follows from its data written out.
        images: that accuracies are measured on.
        folder: of the run's records.
        generation: that is being asked for or waited for, from 0.
        networks: final records by network; they grow as the search goes on.
        training: numbers of the networks that have been submitted and have not ended.
    """

    experiment: Experiment
    images: Images
    folder: RunFolder
    generation: int
    networks: Mapping[int, Network]
    training: tuple[int, ...]


class Watcher(Protocol):
    """Whoever wants to see a search go on, such as a progress bar."""

    def on_poll(self, search: SearchView) -> None:
        """Called about twice a second."""

    def on_network_end(self, search: SearchView, network: Network) -> None:
        """Called when a network's final records are written."""
