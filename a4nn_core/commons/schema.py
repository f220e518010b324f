"""The tables of the commons, declared once: Arrow schemas with a description and a unit for every column."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, cached_property

import pyarrow as pa

_TYPES: dict[str, pa.DataType] = {
    "text": pa.string(),
    "json": pa.string(),
    "flag": pa.bool_(),
    "int": pa.int32(),
    "count": pa.int64(),
    "number": pa.float64(),
    "measured": pa.float32(),
    "time": pa.timestamp("us", tz="UTC"),
    "ints": pa.list_(pa.int32()),
    "metrics": pa.map_(pa.string(), pa.float64()),
    "words": pa.map_(pa.string(), pa.string()),
}


@dataclass(frozen=True)
class Column:
    """One column.

    Attributes:
        name: of the column; chosen so that SQL needs no quotes.
        kind: ``text``, ``json`` (text holding JSON), ``flag`` (true or false), ``int``, ``count`` (64 bits),
            ``number`` (64 bits), ``measured`` (32 bits: times and rates), ``time`` (UTC), ``ints``,
            ``metrics`` (name to number) or ``words`` (name to text).
        unit: empty if it has none.
        text: what it holds.
        timing: differs between two runs of the same experiment.
    """

    name: str
    kind: str
    unit: str
    text: str
    timing: bool = False

    @property
    def type(self) -> pa.DataType:
        """The Arrow type."""
        return _TYPES[self.kind]


@dataclass(frozen=True)
class Table:
    """One table.

    Attributes:
        name: of the table.
        row: what a row is.
        columns: in order.
        key: columns that name a row; also the order in which rows are stored.
    """

    name: str
    row: str
    columns: tuple[Column, ...]
    key: tuple[str, ...]

    @cached_property
    def schema(self) -> pa.Schema:
        """The Arrow schema, with description and unit in the metadata of every field."""
        return pa.schema(
            [
                pa.field(
                    c.name, c.type, metadata={"description": c.text, **({"unit": c.unit} if c.unit else {})}
                )
                for c in self.columns
            ],
            metadata={"description": f"a row is {self.row}"},
        )

    @cached_property
    def by_name(self) -> dict[str, Column]:
        """The columns by name."""
        return {c.name: c for c in self.columns}


_RUN = Column("run", "text", "", "id of the run")
_NETWORK = Column("network", "int", "", "number of the network inside its run")

_RUNS = Table(
    "runs",
    "one execution of an experiment",
    (
        _RUN,
        Column("name", "text", "", "name of the experiment"),
        Column("status", "text", "", "running, completed, interrupted or failed; a killed run says running"),
        Column("experiment", "json", "", "the whole experiment, as resolved"),
        Column("objectives", "words", "", "metric name to minimise or maximise"),
        Column("seed", "count", "", "seed of the search"),
        Column("dataset", "text", "", "name of the data set"),
        Column("dataset_fingerprint", "text", "", "SHA-256 over every image and label"),
        Column("dataset_details", "json", "", "classes, image shape and counts of the three parts"),
        Column("code_version", "text", "", "version of a4nn that ran it"),
        Column("environment", "json", "", "versions of Python and packages, platform, processor"),
        Column("host", "text", "", "host name of the machine that last wrote the run", timing=True),
        Column("threads", "int", "", "CPU threads a network trains with"),
        Column("device", "text", "", "device or devices trained on"),
        Column("started", "time", "UTC", "when the run was first started", timing=True),
        Column("ended", "time", "UTC", "when it last ended, null while it runs", timing=True),
        Column("totals", "json", "", "totals recorded at the end", timing=True),
        Column("notes", "json", "", "what an import could not place, and other remarks"),
    ),
    ("run",),
)

_NETWORKS = Table(
    "networks",
    "one network of one run",
    (
        _RUN,
        _NETWORK,
        Column("generation", "int", "", "generation that asked for it, from 0"),
        Column("position", "int", "", "place inside its generation, from 0"),
        Column("genome", "json", "", "the genome, as its search space writes it"),
        Column("architecture_hash", "text", "", "the same for two genomes that build the same network"),
        Column(
            "equal_to", "int", "", "network of this run with the same architecture, whose result it shares"
        ),
        Column(
            "parents", "ints", "", "numbers of the networks it was made from; empty in the first generation"
        ),
        Column("operator", "text", "", "what made it: sampling, crossover, mutation, ..."),
        Column("flops", "count", "multiply-adds", "cost of one image"),
        Column("parameters", "count", "", "trainable parameters"),
        Column(
            "status",
            "text",
            "",
            "completed, stopped (early), failed, equal (to another) or infeasible (untrained)",
        ),
        Column("fitness", "metrics", "", "what the search was told: metric name to value"),
        Column("fitness_source", "text", "", "measured or predicted"),
        Column("best_accuracy_percent", "number", "percent", "best validation accuracy"),
        Column("best_epoch", "int", "", "epoch of the best validation accuracy, from 1"),
        Column("last_accuracy_percent", "number", "percent", "validation accuracy after the last epoch"),
        Column("test_accuracy_percent", "number", "percent", "accuracy on the test part, never selected by"),
        Column("predicted_accuracy_percent", "number", "percent", "last prediction at the end of the budget"),
        Column("predicted_low", "number", "percent", "lower end of the prediction's interval"),
        Column("predicted_high", "number", "percent", "upper end of the prediction's interval"),
        Column("epochs_trained", "int", "epochs", "epochs trained"),
        Column("epochs_budget", "int", "epochs", "epochs it would have had without termination"),
        Column("termination_reason", "text", "", "why it ended"),
        Column("termination_evidence", "json", "", "the numbers the last verdict rested on"),
        Column("front_version", "int", "", "version of the Pareto front it was judged against"),
        Column("device", "text", "", "device it was trained on", timing=True),
        Column("seconds", "number", "s", "time of training, all epochs", timing=True),
        Column(
            "energy_joules",
            "number",
            "J",
            "sum over its epochs; null unless all were measured (see epochs)",
            timing=True,
        ),
        Column(
            "checkpoint",
            "text",
            "",
            "last checkpoint, relative to the commons (see event checkpoints_removed)",
        ),
        Column("checkpoint_sha256", "text", "", "its SHA-256"),
        Column("best_checkpoint", "text", "", "checkpoint of the best epoch, if it was kept"),
        Column("best_checkpoint_sha256", "text", "", "its SHA-256"),
        Column("error", "text", "", "what went wrong, or which bound an infeasible network is outside of"),
        Column("seed", "count", "", "seed of the network's weights and batches"),
    ),
    ("run", "network"),
)

_EPOCHS = Table(
    "epochs",
    "one epoch of one network",
    (
        _RUN,
        _NETWORK,
        Column("epoch", "int", "", "from 1"),
        Column("train_loss", "number", "", "mean training loss"),
        Column("validation_loss", "number", "", "mean validation loss"),
        Column("train_accuracy_percent", "number", "percent", "accuracy on the training part"),
        Column("validation_accuracy_percent", "number", "percent", "accuracy on the validation part"),
        Column("learning_rate", "number", "", "learning rate of the epoch"),
        Column("seconds", "measured", "s", "time of the epoch", timing=True),
        Column("images_per_second", "measured", "1/s", "training throughput", timing=True),
        Column("peak_memory_bytes", "count", "bytes", "greatest memory in use", timing=True),
        Column(
            "energy_joules",
            "measured",
            "J",
            "energy of the device (GPU board, or all CPU packages) during the epoch, divided by the networks "
            "that share it (slots_per_device on a GPU, slots on the CPU); null if not measured",
            timing=True,
        ),
        Column("time", "time", "UTC", "when the epoch was recorded", timing=True),
        Column("checkpoint", "text", "", "file in the network's checkpoint folder; null if not kept"),
        Column("checkpoint_sha256", "text", "", "its SHA-256"),
        Column("segment", "int", "", "segment that trained it, from 0"),
        Column("verdict", "text", "", "continue, pause or stop"),
        Column("reason", "text", "", "the rule's reason"),
        Column("predicted", "number", "percent", "the rule's prediction at the end of the budget"),
        Column("predicted_low", "number", "percent", "lower end of its interval"),
        Column("predicted_high", "number", "percent", "upper end of its interval"),
        Column("evidence", "json", "", "what a verdict to pause or stop rested on"),
    ),
    ("run", "network", "epoch"),
)

_PREDICTIONS = Table(
    "predictions",
    "one fit of a parametric function after one epoch",
    (
        _RUN,
        _NETWORK,
        Column("epoch", "int", "", "the fit saw the curve up to here"),
        Column("function", "text", "", "name of the parametric function"),
        Column("expression", "text", "", "the function"),
        Column("parameters", "json", "", "fitted values by name"),
        Column("predicted", "number", "percent", "value at the end of the budget"),
        Column("low", "number", "percent", "lower end of the interval"),
        Column("high", "number", "percent", "upper end of the interval"),
        Column("residual", "number", "percent", "root mean square residual"),
        Column("status", "text", "", "how the fit ended"),
        Column("microseconds", "measured", "us", "cost of the fit", timing=True),
        Column("verdict", "text", "", "what the rule said after this epoch"),
        Column("reason", "text", "", "the rule's reason"),
    ),
    ("run", "network", "epoch"),
)

_EVENTS = Table(
    "events",
    "one thing that happened in a run",
    (
        _RUN,
        Column("number", "int", "", "from 1, without gaps"),
        Column("time", "time", "UTC", "when it happened", timing=True),
        Column(
            "kind", "text", "", "asked, submitted, started, stopped, failed, told, checkpoints_removed, ..."
        ),
        Column("network", "int", "", "network it happened to"),
        Column("generation", "int", "", "generation it belongs to"),
        Column("data", "json", "", "the rest of the event"),
    ),
    ("run", "number"),
)

_LAYERS = Table(
    "layers",
    "one layer of one network's architecture",
    (
        _RUN,
        _NETWORK,
        Column("layer", "int", "", "number of the layer; inputs come before what they feed"),
        Column("op", "text", "", "what it does: conv, batch_norm, relu, ..."),
        Column("label", "text", "", "its name for people, such as: node 2 conv"),
        Column("phase", "int", "", "phase of the genome, null outside"),
        Column("channels_in", "int", "", "input channels"),
        Column("channels_out", "int", "", "output channels"),
        Column("kernel", "int", "pixels", "side of the kernel"),
        Column("stride", "int", "pixels", "stride"),
        Column("padding", "int", "pixels", "padding on each side"),
        Column("bias", "flag", "", "whether a convolution or linear layer adds one"),
        Column("settings", "json", "", "further settings of its operation; null if all are as usual"),
        Column("height_out", "int", "pixels", "height of the output"),
        Column("width_out", "int", "pixels", "width of the output"),
        Column("flops", "count", "multiply-adds", "cost of one image"),
        Column("parameters", "count", "", "trainable parameters"),
    ),
    ("run", "network", "layer"),
)

_EDGES = Table(
    "edges",
    "one connection between two layers",
    (
        _RUN,
        _NETWORK,
        Column("source", "int", "", "layer whose output it carries"),
        Column("target", "int", "", "layer it feeds"),
    ),
    ("run", "network"),
)

TABLES: dict[str, Table] = {
    t.name: t for t in (_RUNS, _NETWORKS, _EPOCHS, _PREDICTIONS, _EVENTS, _LAYERS, _EDGES)
}

# Written once a network, in this order: the fragment in ``networks`` comes last and makes the others count.
NETWORK_TABLES = ("epochs", "predictions", "layers", "edges", "networks")

LINEAGE = Table(
    "lineage",
    "a child and one of its parents (a view of networks)",
    (
        _RUN,
        Column("network", "int", "", "the child"),
        Column("parent", "int", "", "one of its parents"),
        Column("operator", "text", "", "what made the child"),
        Column("generation", "int", "", "generation of the child"),
    ),
    ("run", "network", "parent"),
)


LINEAGE_SQL = "select run, network, unnest(parents) as parent, operator, generation from networks"
"""what the view selects"""


@cache
def front_table() -> Table:
    """The view ``front``: rows of networks that no other network of their run dominates."""
    return Table(
        "front", "a network on its run's Pareto front (a view of networks)", _NETWORKS.columns, _NETWORKS.key
    )
