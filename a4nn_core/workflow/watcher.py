"""What others may see of a search while it runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from a4nn_core.commons import RunFolder
from a4nn_core.commons.records import Network
from a4nn_core.experiment import Experiment
from a4nn_core.precision import Images
from a4nn_core.workflow.startup import StartUp


@dataclass(frozen=True)
class SearchView:
    """A read-only view of a search at one moment.

    Attributes:
        experiment: the experiment, with defaults that depend on the data filled in.
        images: numbers of images that accuracies are measured on.
        folder: folder of the run's records.
        generation: number of the present generation, from 0.
        networks: final records by number of the network; grows during the search.
        training: numbers of the networks that have been submitted and have not ended.
    """

    experiment: Experiment
    images: Images
    folder: RunFolder
    generation: int
    networks: Mapping[int, Network]
    training: tuple[int, ...]


class Watcher(Protocol):
    """Anything that follows a search, such as a progress bar."""

    def on_start(self, check: StartUp) -> None:
        """Called once, before anything trains."""

    def on_poll(self, search: SearchView) -> None:
        """Called about twice per second."""

    def on_network_end(self, search: SearchView, network: Network) -> None:
        """Called when a network's final records are written."""
