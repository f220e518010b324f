"""The metrics, each defined once: exporter, dashboard, alerts and docs/operations.md know no others.

Names follow Prometheus' conventions: base units, ``_total`` for what only grows, ratios from 0 to 1, times in
seconds since 1970.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric


@dataclass(frozen=True)
class Family:
    """A metric.

    Attributes:
        name: as it is queried.
        help: what it says.
        labels: names of its labels.
    """

    name: str
    help: str
    labels: tuple[str, ...] = ()

    @property
    def is_counter(self) -> bool:
        """Whether it only grows."""
        return self.name.endswith("_total")

    def empty(self) -> CounterMetricFamily | GaugeMetricFamily:
        """It, without samples."""
        kind = CounterMetricFamily if self.is_counter else GaugeMetricFamily
        return kind(self.name, self.help, labels=self.labels)


KIND = ("strategy", "space")

# of the commons

BUILD = Family("a4nn_build_info", "1; the version of A4NN that exports", ("version",))
UP = Family("a4nn_commons_up", "1 if the commons could be read, else 0 and little else is exported")
READING = Family("a4nn_commons_read_seconds", "seconds that reading the commons took")
FREE = Family("a4nn_filesystem_free_bytes", "bytes free on the file system of the commons")
SIZE = Family("a4nn_filesystem_size_bytes", "bytes of the file system of the commons")
RUNS = Family("a4nn_runs", "runs by status; killed ones can be resumed", ("status", *KIND))
UNREADABLE = Family("a4nn_runs_unreadable", "runs whose records cannot be read; they are in no other metric")
NETWORKS = Family("a4nn_networks_total", "networks with final records", ("status", *KIND))
TRAINED = Family("a4nn_epochs_trained_total", "epochs trained, those of networks in training included", KIND)
SAVED = Family(
    "a4nn_epochs_saved_total",
    "epochs saved by termination or by equality with a trained network",
    ("cause", *KIND),
)
TRAINING_TIME = Family("a4nn_training_seconds_total", "seconds spent in epochs of recorded networks", KIND)
ENERGY = Family("a4nn_energy_joules_total", "energy of the networks whose energy was measured", KIND)
QUEUE = Family(
    "a4nn_queue_networks", "networks in training, waiting for a slot, or paused at a checkpoint", ("state",)
)
LAST_EPOCH = Family("a4nn_last_epoch_timestamp_seconds", "when an epoch last ended, of whichever run")
SLOTS = Family("a4nn_device_slots", "slots of a device of this machine", ("device",))
SLOTS_USED = Family("a4nn_device_slots_used", "slots of it that a run holds", ("device",))

# of a run

RUN = Family("a4nn_run_info", "1; names to join with", ("run", "experiment", *KIND, "host", "device"))
RUN_STATUS = Family(
    "a4nn_run_status", "1 for the status that the run has, 0 for the others", ("run", "status")
)
RUN_START = Family("a4nn_run_start_timestamp_seconds", "when it was first started", ("run",))
RUN_END = Family("a4nn_run_end_timestamp_seconds", "when it last ended; absent while it runs", ("run",))
RUN_LAST_EPOCH = Family("a4nn_run_last_epoch_timestamp_seconds", "when an epoch of it last ended", ("run",))
RUN_BUDGET = Family("a4nn_run_networks_budget", "networks that it is to evaluate", ("run",))
RUN_NETWORKS = Family("a4nn_run_networks_total", "networks with final records", ("run", "status"))
RUN_QUEUE = Family("a4nn_run_queue_networks", "as a4nn_queue_networks", ("run", "state"))
RUN_TRAINED = Family("a4nn_run_epochs_trained_total", "as a4nn_epochs_trained_total", ("run",))
RUN_SAVED = Family("a4nn_run_epochs_saved_total", "as a4nn_epochs_saved_total", ("run", "cause"))
RUN_ENERGY = Family("a4nn_run_energy_joules_total", "as a4nn_energy_joules_total", ("run",))
RUN_FRONT = Family("a4nn_run_front_networks", "networks on its Pareto front", ("run",))
RUN_BEST = Family(
    "a4nn_run_best_accuracy_ratio", "best validation accuracy of its recorded networks", ("run",)
)
RUN_BEST_ERROR = Family("a4nn_run_best_accuracy_standard_error_ratio", "its standard error", ("run",))


FAMILIES = tuple(value for value in [*globals().values()] if isinstance(value, Family))
"""all metrics in the order in which they are exported"""


class Samples:
    """Values of the metrics at one moment, to be handed to Prometheus' client."""

    def __init__(self) -> None:
        self._metrics = {family.name: family.empty() for family in FAMILIES}

    def add(self, family: Family, value: float | None, *labels: str) -> None:
        """Add a value; what is not known is left out.

        Args:
            family: its metric.
            value: the value.
            labels: values of the labels, in the order of the family's.
        """
        if value is not None:
            self._metrics[family.name].add_metric(labels, value)

    def __iter__(self) -> Iterator[Metric]:
        return iter(metric for metric in self._metrics.values() if metric.samples)
