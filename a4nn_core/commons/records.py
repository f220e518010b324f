"""The records of the commons: one class per table, one field per column. A new table is a new class here.

Used inside training workers, so it imports neither torch nor Arrow nor DuckDB.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, TypeVar

from a4nn_core.assessment import Assessment
from a4nn_core.commons.columns import Column, Form, Kind, Record, table
from a4nn_core.jsonable import Json, JsonText, members, number, whole
from a4nn_core.metrics import front_rows
from a4nn_core.precision import DECIBELS, Images, Rated, Score
from a4nn_core.vocabulary import Action, Bounds, NetworkStatus, RunStatus, Task

_PERCENT: Bounds = (0, 100)
_NOT_NEGATIVE: Bounds = (0, None)
_ANY: Bounds = (None, None)
_FROM_ONE: Bounds = (1, None)
_SHA256 = Form("[0-9a-f]{64}", "a SHA-256")
_FILE = Form(r"[A-Za-z0-9_-][A-Za-z0-9._-]*", "the name of a file")
CHECKPOINT = Form(
    rf"runs/[A-Za-z0-9][A-Za-z0-9._-]*/checkpoints/[0-9]{{4,}}/{_FILE.pattern}",
    "the path of a checkpoint, runs/RUN/checkpoints/NUMBER/FILE",
)

RunId = Annotated[str, Column("id of the run")]
NetworkNumber = Annotated[int, Column("number of the network inside its run")]


@table("runs", "one execution of an experiment", ("run",))
@dataclass(frozen=True, slots=True, kw_only=True)
class Run(Record):
    """One run. Many fields of an imported run are None."""

    run: RunId = ""
    name: Annotated[str | None, Column("name of the experiment")] = None
    status: Annotated[
        RunStatus | None, Column("running, completed, interrupted or failed; a killed run says running")
    ] = None
    experiment: Annotated[JsonText | None, Column("the whole experiment, as resolved")] = None
    objectives: Annotated[Mapping[str, str] | None, Column("metric name to minimise or maximise")] = None
    seed: Annotated[int | None, Column("seed of the search", kind=Kind.int64, bounds=_ANY)] = None
    dataset: Annotated[str | None, Column("name of the data set")] = None
    dataset_fingerprint: Annotated[str | None, Column("SHA-256 over every image and label")] = None
    dataset_details: Annotated[
        JsonText | None,
        Column(
            "classes, image shape, counts of the three parts, chance level in validation, "
            "what was done with image files, those skipped"
        ),
    ] = None
    code_version: Annotated[str | None, Column("version of a4nn that ran it")] = None
    environment: Annotated[
        JsonText | None, Column("versions of Python and packages, platform, processor")
    ] = None
    host: Annotated[str | None, Column("host name of the machine that last wrote the run", timing=True)] = (
        None
    )
    threads: Annotated[int | None, Column("CPU threads a network trains with")] = None
    device: Annotated[str | None, Column("device or devices trained on")] = None
    started: Annotated[datetime | None, Column("when the run was first started", "UTC", timing=True)] = None
    ended: Annotated[
        datetime | None, Column("when it last ended, null while it runs", "UTC", timing=True)
    ] = None
    totals: Annotated[JsonText | None, Column("totals recorded at the end", timing=True)] = None
    notes: Annotated[JsonText | None, Column("what an import could not place, and other remarks")] = None
    shadow_of: Annotated[str | None, Column("run whose networks this one trains again", later=True)] = None
    prior: Annotated[
        JsonText | None,
        Column(
            "runs that it learned from: id, numbers of the networks, SHA-256 of what was read of them",
            later=True,
        ),
    ] = None
    error: Annotated[
        str | None,
        Column("why it failed, or what interrupted it; null for a signal and where nothing did", later=True),
    ] = None
    stopped: Annotated[
        str | None,
        Column(
            "why it ended before its number of networks though nothing went wrong: by [search] stop "
            "(completed) or [budget] (interrupted)",
            later=True,
        ),
    ] = None
    deployment: Annotated[
        str | None, Column("deployment of Prefect that started it; null without one", later=True)
    ] = None

    def settings(self, part: str) -> dict[str, Json]:
        """A table of the experiment, such as ``training``; empty if the run did not record it."""
        return members(self.experiment.members.get(part)) if self.experiment else {}

    @property
    def epochs_budget(self) -> int | None:
        """Number of epochs each network may be trained; None if an import did not know it."""
        return whole(self.settings("training").get("epochs"))

    @property
    def networks_budget(self) -> int | None:
        """Number of networks the search was to evaluate; None if an import did not know it."""
        return whole(self.settings("search").get("networks"))

    @property
    def details(self) -> dict[str, Json]:
        """Facts about the data set; empty if none were recorded."""
        return self.dataset_details.members if self.dataset_details else {}

    @property
    def task(self) -> Task:
        """What its networks are trained for."""
        return Task.restoration if self.details.get("task") == Task.restoration else Task.classification

    @property
    def images(self) -> Images:
        """Numbers of images that its accuracies were measured on."""
        return Images.of(self.details)

    @property
    def chance_percent(self) -> float | None:
        """Validation accuracy, in percent, of always predicting the most frequent class; None if unknown."""
        return number(self.details.get("chance_percent"))

    @property
    def classes(self) -> list[str]:
        """Names of the classes in the order of the scores; empty if they are not known."""
        known = self.details.get("classes")
        return [str(name) for name in known] if isinstance(known, list) else []


@table("networks", "one network of one run", ("run", "network"))
@dataclass(frozen=True, slots=True, kw_only=True)
class Network(Record):
    """The final record of one network."""

    run: RunId = ""
    network: NetworkNumber
    generation: Annotated[int | None, Column("generation that asked for it, from 0")] = None
    position: Annotated[int | None, Column("place inside its generation, from 0")] = None
    genome: Annotated[
        JsonText | None, Column("the genome, as its search space writes it (macro: a list of bits per phase)")
    ] = None
    architecture_hash: Annotated[
        str | None, Column("the same for two genomes that build the same network")
    ] = None
    equal_to: Annotated[
        int | None, Column("network of this run with the same architecture, whose result it shares")
    ] = None
    parents: Annotated[
        tuple[int, ...] | None,
        Column("numbers of the networks it was made from; empty in the first generation"),
    ] = None
    operator: Annotated[str | None, Column("what made it: sampling, crossover, mutation, ...")] = None
    inherited_from: Annotated[
        int | None,
        Column("network whose last weights its training began with; null for fresh weights", later=True),
    ] = None
    inherited_parameters: Annotated[
        int | None,
        Column("parameters of the layers that began with its weights", kind=Kind.int64, later=True),
    ] = None
    flops: Annotated[int | None, Column("cost of one image", "multiply-adds", Kind.int64)] = None
    parameters: Annotated[int | None, Column("trainable parameters", kind=Kind.int64)] = None
    status: Annotated[
        NetworkStatus | None,
        Column("completed, stopped (early), failed, equal (to another) or infeasible (untrained)"),
    ] = None
    fitness: Annotated[
        Mapping[str, float | None] | None,
        Column("what the search was told: metric name to value", kind=Kind.metrics),
    ] = None
    fitness_source: Annotated[str | None, Column("measured, predicted, or told: measured elsewhere")] = None
    best_accuracy_percent: Annotated[
        float | None, Column("best validation accuracy", "percent", bounds=_PERCENT)
    ] = None
    best_epoch: Annotated[
        int | None, Column("epoch of the best validation accuracy, from 1", bounds=_FROM_ONE)
    ] = None
    last_accuracy_percent: Annotated[
        float | None, Column("validation accuracy after the last epoch", "percent", bounds=_PERCENT)
    ] = None
    test_accuracy_percent: Annotated[
        float | None, Column("accuracy on the test part, never selected by", "percent", bounds=_PERCENT)
    ] = None
    balanced_accuracy_percent: Annotated[
        float | None,
        Column(
            "mean of the classes' shares of rightly classified validation images, best epoch",
            "percent",
            bounds=_PERCENT,
            later=True,
        ),
    ] = None
    calibration_error_points: Annotated[
        float | None,
        Column(
            "expected calibration error on the validation part in 15 bins of equal width, best epoch",
            "percentage points",
            bounds=_NOT_NEGATIVE,
            later=True,
        ),
    ] = None
    brier_score: Annotated[
        float | None,
        Column(
            "Brier score on the validation part, from 0 to 2, best epoch", bounds=_NOT_NEGATIVE, later=True
        ),
    ] = None
    confusion: Annotated[
        JsonText | None,
        Column(
            "numbers of validation images, best epoch: a list for each true class, in it a number for each "
            "class named; in the order of the run's classes",
            later=True,
        ),
    ] = None
    missing_panel_accuracy_percent: Annotated[
        float | None,
        Column(
            "accuracy on validation images that each lack a detector panel, best epoch (training.panels)",
            "percent",
            bounds=_PERCENT,
            later=True,
        ),
    ] = None
    best_psnr_db: Annotated[
        float | None,
        Column(
            "of a network that restores images: best mean peak signal-to-noise ratio of validation images",
            "dB",
            later=True,
        ),
    ] = None
    best_psnr_se_db: Annotated[
        float | None, Column("its standard error over the images", "dB", bounds=_NOT_NEGATIVE, later=True)
    ] = None
    last_psnr_db: Annotated[float | None, Column("the same after the last epoch", "dB", later=True)] = None
    test_psnr_db: Annotated[
        float | None, Column("the same on the test part, never selected by", "dB", later=True)
    ] = None
    test_psnr_se_db: Annotated[
        float | None, Column("its standard error over the images", "dB", bounds=_NOT_NEGATIVE, later=True)
    ] = None
    poisson_deviance: Annotated[
        float | None,
        Column(
            "mean Poisson deviance of a restored validation image from the expected one, best epoch",
            bounds=_NOT_NEGATIVE,
            later=True,
        ),
    ] = None
    test_poisson_deviance: Annotated[
        float | None, Column("the same on the test part", bounds=_NOT_NEGATIVE, later=True)
    ] = None
    predicted_accuracy_percent: Annotated[
        float | None, Column("last prediction at the end of the budget", "percent")
    ] = None
    predicted_psnr_db: Annotated[
        float | None,
        Column("the same of a network that restores images", "dB", later=True),
    ] = None
    predicted_low: Annotated[
        float | None,
        Column("lower end of the prediction's interval, percent; dB of networks that restore images"),
    ] = None
    predicted_high: Annotated[float | None, Column("upper end of the prediction's interval, likewise")] = None
    epochs_trained: Annotated[int | None, Column("epochs trained", "epochs")] = None
    epochs_budget: Annotated[int | None, Column("epochs it would have had without termination", "epochs")] = (
        None
    )
    termination_reason: Annotated[str | None, Column("why it ended")] = None
    termination_evidence: Annotated[JsonText | None, Column("the numbers the last verdict rested on")] = None
    front_version: Annotated[int | None, Column("version of the Pareto front it was judged against")] = None
    device: Annotated[str | None, Column("device it was trained on", timing=True)] = None
    seconds: Annotated[
        float | None, Column("time of training, all epochs", "s", timing=True, bounds=_NOT_NEGATIVE)
    ] = None
    energy_joules: Annotated[
        float | None,
        Column(
            "sum over its epochs; null unless all were measured (see epochs)",
            "J",
            timing=True,
            bounds=_NOT_NEGATIVE,
            later=True,
        ),
    ] = None
    checkpoint: Annotated[
        str | None,
        Column("last checkpoint, relative to the commons (see event checkpoints_removed)", form=CHECKPOINT),
    ] = None
    checkpoint_sha256: Annotated[str | None, Column("its SHA-256", form=_SHA256)] = None
    best_checkpoint: Annotated[
        str | None, Column("checkpoint of the best epoch, if it was kept", form=CHECKPOINT)
    ] = None
    best_checkpoint_sha256: Annotated[str | None, Column("its SHA-256", form=_SHA256)] = None
    error: Annotated[
        str | None, Column("what went wrong, or which bound an infeasible network is outside of")
    ] = None
    seed: Annotated[
        int | None, Column("seed of the network's weights and batches", kind=Kind.int64, bounds=_ANY)
    ] = None

    @property
    def trained(self) -> bool:
        """Whether it was trained with a result: it did not fail and was not skipped."""
        return self.status in (NetworkStatus.completed, NetworkStatus.stopped) and self.equal_to is None

    @property
    def trained_as(self) -> int:
        """Number of the network whose training its result comes from: its own, or that of its equal."""
        return self.network if self.equal_to is None else self.equal_to

    @property
    def assessment(self) -> Assessment | None:
        """What its answers to the validation images say beside their accuracy, at its best epoch."""
        return Assessment.from_json(
            {
                "confusion": self.confusion.value if self.confusion else None,
                "calibration_error_points": self.calibration_error_points,
                "brier_score": self.brier_score,
                "missing_panel_accuracy_percent": self.missing_panel_accuracy_percent,
            }
        )

    @property
    def best_score(self) -> float | None:
        """Best validation accuracy in percent; of a network that restores images, the ratio in decibels."""
        return self.best_psnr_db if self.best_accuracy_percent is None else self.best_accuracy_percent

    @property
    def last_score(self) -> float | None:
        """The same after the last epoch."""
        return self.last_psnr_db if self.last_accuracy_percent is None else self.last_accuracy_percent

    @property
    def predicted_score(self) -> float | None:
        """What was predicted of the same for the end of the budget; None if nothing was."""
        accuracy = self.predicted_accuracy_percent
        return self.predicted_psnr_db if accuracy is None else accuracy

    def score(self, images: Images) -> Score:
        """The best validation score for people."""
        accuracy = self.best_accuracy_percent
        if accuracy is None and self.best_psnr_db is not None:
            return Score(self.best_psnr_db, self.best_psnr_se_db, DECIBELS)
        return Score(accuracy, images.validation_error(accuracy))

    def test_score(self, images: Images) -> Score:
        """The test score for people."""
        accuracy = self.test_accuracy_percent
        if accuracy is None and self.test_psnr_db is not None:
            return Score(self.test_psnr_db, self.test_psnr_se_db, DECIBELS)
        return Score(accuracy, images.test_error(accuracy))

    def rated(self, images: Images) -> Rated:
        """Its score and cost, for comparisons with other networks."""
        score = self.score(images)
        return Rated(self.network, self.flops, score.value, score.error)

    def epochs_saved(self, budget: int | None = None) -> int:
        """Number of epochs of its budget that it was not trained; 0 for a failed network.

        Args:
            budget: budget to assume if none was recorded; None for the epochs it was trained.
        """
        had = self.epochs_trained or 0
        whole_life = next((b for b in (self.epochs_budget, budget) if b is not None), had)
        return 0 if self.status is NetworkStatus.failed else whole_life - had


def best_accuracy(networks: Iterable[Network]) -> float | None:
    """The greatest validation accuracy of some networks in percent; None if none has one."""
    return max((a for n in networks if (a := n.best_accuracy_percent) is not None), default=None)


def best_network(networks: Iterable[Network]) -> Network | None:
    """The network with the best validation score, the first of ties; None if none has one."""
    scored = [(score, -n.network, n) for n in networks if (score := n.best_score) is not None]
    return max(scored, key=lambda known: known[:2])[2] if scored else None


def front_among(networks: Iterable[Network], objectives: Mapping[str, str]) -> list[Network]:
    """The networks on the Pareto front of one run's networks, sorted by the first objective, best first.

    Args:
        networks: every network of the run.
        objectives: metric name to direction, ``minimise`` or ``maximise``.
    """
    by_number: dict[object, Network] = {network.network: network for network in networks}
    rows = front_rows((network.row() for network in by_number.values()), objectives)
    return [by_number[row["network"]] for row in rows]


@dataclass(frozen=True, slots=True)
class EpochCount:
    """Epochs that some networks were trained, and epochs that were saved.

    Attributes:
        trained: number of epochs trained.
        saved_by_termination: epochs saved by ending networks early.
        saved_by_equality: epochs saved by not training networks that equal others.
    """

    trained: int
    saved_by_termination: int
    saved_by_equality: int

    @classmethod
    def of(cls, networks: Iterable[Network], budget: int | None = None) -> EpochCount:
        """Count the epochs of networks.

        Args:
            networks: their final records.
            budget: budget to assume for networks that recorded none; None for the epochs they were trained.
        """
        trained = by_termination = by_equality = 0
        for network in networks:
            trained += network.epochs_trained or 0
            if network.status is NetworkStatus.equal:
                by_equality += network.epochs_saved(budget)
            else:
                by_termination += network.epochs_saved(budget)
        return cls(trained, by_termination, by_equality)

    @property
    def saved(self) -> int:
        """Number of epochs that were saved."""
        return self.saved_by_termination + self.saved_by_equality

    @property
    def budget(self) -> int:
        """Number of epochs that training every network to the end would have taken."""
        return self.trained + self.saved

    @property
    def saved_percent(self) -> float:
        """Saved epochs in percent of the budget."""
        return 100 * self.saved / self.budget if self.budget else 0.0


@table("epochs", "one epoch of one network", ("run", "network", "epoch"))
@dataclass(frozen=True, slots=True, kw_only=True)
class Epoch(Record):
    """One epoch of one network."""

    run: RunId = ""
    network: NetworkNumber = -1
    epoch: Annotated[int, Column("from 1", bounds=_FROM_ONE)]
    train_loss: Annotated[float | None, Column("mean training loss")] = None
    validation_loss: Annotated[float | None, Column("mean validation loss")] = None
    train_accuracy_percent: Annotated[
        float | None, Column("accuracy on the training part", "percent", bounds=_PERCENT)
    ] = None
    validation_accuracy_percent: Annotated[
        float | None, Column("accuracy on the validation part", "percent", bounds=_PERCENT)
    ] = None
    train_psnr_db: Annotated[
        float | None,
        Column(
            "of networks that restore images: mean peak signal-to-noise ratio of training images",
            "dB",
            later=True,
        ),
    ] = None
    validation_psnr_db: Annotated[
        float | None, Column("the same on the validation part", "dB", later=True)
    ] = None
    validation_psnr_se_db: Annotated[
        float | None, Column("its standard error over the images", "dB", bounds=_NOT_NEGATIVE, later=True)
    ] = None
    validation_poisson_deviance: Annotated[
        float | None,
        Column(
            "mean Poisson deviance of a restored validation image from the expected one",
            bounds=_NOT_NEGATIVE,
            later=True,
        ),
    ] = None
    learning_rate: Annotated[float | None, Column("learning rate of the epoch", bounds=_NOT_NEGATIVE)] = None
    seconds: Annotated[float | None, Column("time of the epoch", "s", Kind.float32, timing=True)] = None
    images_per_second: Annotated[
        float | None, Column("training throughput", "1/s", Kind.float32, timing=True)
    ] = None
    peak_memory_bytes: Annotated[
        int | None, Column("greatest memory in use", "bytes", Kind.int64, timing=True)
    ] = None
    energy_joules: Annotated[
        float | None,
        Column(
            "energy of the device (GPU board, or all CPU packages) during the epoch, divided by the networks "
            "that share it (slots_per_device on a GPU, slots on the CPU); null if not measured",
            "J",
            Kind.float32,
            timing=True,
            later=True,
        ),
    ] = None
    time: Annotated[datetime | None, Column("when the epoch was recorded", "UTC", timing=True)] = None
    checkpoint: Annotated[
        str | None, Column("file in the network's checkpoint folder; null if not kept", form=_FILE)
    ] = None
    checkpoint_sha256: Annotated[str | None, Column("its SHA-256", form=_SHA256)] = None
    segment: Annotated[int | None, Column("segment that trained it, from 0")] = None
    verdict: Annotated[Action | None, Column("continue, pause or stop")] = None
    reason: Annotated[str | None, Column("the rule's reason")] = None
    predicted: Annotated[
        float | None,
        Column("the rule's prediction at the end of the budget, percent; dB of networks that restore images"),
    ] = None
    predicted_low: Annotated[float | None, Column("lower end of its interval, likewise")] = None
    predicted_high: Annotated[float | None, Column("upper end of its interval, likewise")] = None
    evidence: Annotated[JsonText | None, Column("what a verdict to pause or stop rested on")] = None

    @property
    def validation_score(self) -> float | None:
        """What the learning curve shows: validation accuracy in percent; of a network that restores images,
        the ratio in decibels."""
        accuracy = self.validation_accuracy_percent
        return self.validation_psnr_db if accuracy is None else accuracy

    @property
    def train_score(self) -> float | None:
        """The same on the training images."""
        return self.train_psnr_db if self.train_accuracy_percent is None else self.train_accuracy_percent

    def score(self, images: Images) -> Score:
        """The validation score for people."""
        accuracy = self.validation_accuracy_percent
        if accuracy is None and self.validation_psnr_db is not None:
            return Score(self.validation_psnr_db, self.validation_psnr_se_db, DECIBELS)
        return Score(accuracy, images.validation_error(accuracy))

    @property
    def interval(self) -> tuple[float, float] | None:
        """Interval of the prediction, in the unit of the score; None if the rule returned none."""
        if self.predicted_low is None or self.predicted_high is None:
            return None
        return self.predicted_low, self.predicted_high


E = TypeVar("E", bound=Epoch)


def best_epoch(epochs: Iterable[E]) -> E | None:
    """The epoch with the best validation score, the first of ties; None if none has one."""
    measured = [(a, -e.epoch, e) for e in epochs if (a := e.validation_score) is not None]
    return max(measured, key=lambda known: known[:2])[2] if measured else None


def by_epoch(epochs: Iterable[E]) -> list[E]:
    """Epochs in order; for an epoch that was trained twice, the later record."""
    last = {epoch.epoch: epoch for epoch in epochs}
    return [last[number] for number in sorted(last)]


@table(
    "predictions",
    "one fit of a parametric function after one epoch",
    ("run", "network", "epoch"),
    identity=("run", "network", "epoch", "function", "predicted", "microseconds"),
)
@dataclass(frozen=True, slots=True, kw_only=True)
class Prediction(Record):
    """One fit."""

    run: RunId = ""
    network: NetworkNumber = -1
    epoch: Annotated[int, Column("the fit saw the curve up to here; 0 before the first epoch")]
    function: Annotated[str | None, Column("name of the parametric function")] = None
    expression: Annotated[str | None, Column("the function")] = None
    parameters: Annotated[JsonText | None, Column("fitted values by name")] = None
    predicted: Annotated[float | None, Column("value at the end of the budget", "percent")] = None
    low: Annotated[float | None, Column("lower end of the interval", "percent")] = None
    high: Annotated[float | None, Column("upper end of the interval", "percent")] = None
    residual: Annotated[
        float | None, Column("root mean square residual", "percent", bounds=_NOT_NEGATIVE)
    ] = None
    status: Annotated[str | None, Column("how the fit ended")] = None
    microseconds: Annotated[float | None, Column("cost of the fit", "us", Kind.float32, timing=True)] = None
    verdict: Annotated[Action | None, Column("what the rule said after this epoch")] = None
    reason: Annotated[str | None, Column("the rule's reason")] = None


@table("considered", "a genome that the strategy looked at and did not ask for", ("run", "batch", "number"))
@dataclass(frozen=True, slots=True, kw_only=True)
class ConsideredRecord(Record):
    """A genome that was never trained because others promised more; made from the event log."""

    run: RunId = ""
    batch: Annotated[int, Column("number of the ask that it was considered for, from 0")] = -1
    number: Annotated[int, Column("number among those of its batch, from 0")] = -1
    generation: Annotated[int | None, Column("generation that it would have belonged to")] = None
    genome: Annotated[JsonText | None, Column("the genome, as its search space writes it")] = None
    architecture_hash: Annotated[str | None, Column("as in networks")] = None
    flops: Annotated[int | None, Column("cost of one image", "multiply-adds", Kind.int64)] = None
    parameters: Annotated[int | None, Column("trainable parameters", kind=Kind.int64)] = None
    parents: Annotated[
        tuple[int, ...] | None, Column("numbers of the networks it would have descended from")
    ] = None
    operator: Annotated[str | None, Column("what made it")] = None
    predicted_accuracy_percent: Annotated[
        float | None, Column("predicted validation accuracy at the end of the budget", "percent")
    ] = None
    predicted_psnr_db: Annotated[
        float | None,
        Column("the same of a network that would restore images, as best_psnr_db", "dB", later=True),
    ] = None
    predicted_low: Annotated[
        float | None,
        Column("lower end of the prediction's interval, in the unit of what was predicted: percent or dB"),
    ] = None
    predicted_high: Annotated[float | None, Column("upper end of the prediction's interval, likewise")] = None
    expected_improvement: Annotated[
        float | None, Column("what training it was expected to gain, in the strategy's unit")
    ] = None
    reason: Annotated[str | None, Column("why it was not asked for")] = None


@table("rejected", "a genome that was proposed and could not be asked for", ("run", "number"))
@dataclass(frozen=True, slots=True, kw_only=True)
class RejectedRecord(Record):
    """A proposal of a person, a program or a function that was not valid; made from the event log."""

    run: RunId = ""
    number: Annotated[int, Column("number among those of its run, from 0")] = -1
    generation: Annotated[int | None, Column("generation that it would have belonged to")] = None
    genome: Annotated[JsonText | None, Column("the genome; null if what was proposed is not JSON")] = None
    text: Annotated[str | None, Column("what was proposed, where it is not JSON")] = None
    reason: Annotated[
        str | None, Column("not_json, not_in_space, undecodable, duplicate or out_of_bounds")
    ] = None
    explanation: Annotated[str | None, Column("what exactly is wrong with it, for people")] = None


@table("events", "one thing that happened in a run", ("run", "number"))
@dataclass(frozen=True, slots=True, kw_only=True)
class Event(Record):
    """One entry of the event log; ``events.payload`` returns its data as the payload of its kind."""

    run: RunId = ""
    number: Annotated[int, Column("from 1, without gaps", bounds=_FROM_ONE)]
    time: Annotated[datetime | None, Column("when it happened", "UTC", timing=True)] = None
    kind: Annotated[str, Column("asked, submitted, started, stopped, failed, told, checkpoints_removed, ...")]
    network: Annotated[int | None, Column("network it happened to")] = None
    generation: Annotated[int | None, Column("generation it belongs to")] = None
    data: Annotated[JsonText | None, Column("the rest of the event")] = None


@table("layers", "one layer of one network's architecture", ("run", "network", "layer"))
@dataclass(frozen=True, slots=True, kw_only=True)
class LayerRecord(Record):
    """One layer."""

    run: RunId = ""
    network: NetworkNumber = -1
    layer: Annotated[int, Column("number of the layer; inputs come before what they feed")]
    op: Annotated[str | None, Column("what it does: conv, batch_norm, relu, ...")] = None
    label: Annotated[str | None, Column("its name for people, such as: node 2 conv")] = None
    phase: Annotated[int | None, Column("phase of the genome, from 0; null outside")] = None
    channels_in: Annotated[int | None, Column("input channels")] = None
    channels_out: Annotated[int | None, Column("output channels")] = None
    kernel: Annotated[int | None, Column("side of the kernel", "pixels")] = None
    stride: Annotated[int | None, Column("stride", "pixels")] = None
    padding: Annotated[int | None, Column("padding on each side", "pixels")] = None
    bias: Annotated[bool | None, Column("whether a convolution or linear layer adds one", later=True)] = None
    settings: Annotated[
        JsonText | None,
        Column("further settings of its operation; null if all are as usual", later=True),
    ] = None
    height_out: Annotated[int | None, Column("height of the output", "pixels")] = None
    width_out: Annotated[int | None, Column("width of the output", "pixels")] = None
    flops: Annotated[int | None, Column("cost of one image", "multiply-adds", Kind.int64)] = None
    parameters: Annotated[int | None, Column("trainable parameters", kind=Kind.int64)] = None


@table("edges", "one connection between two layers", ("run", "network"), identity=())
@dataclass(frozen=True, slots=True, kw_only=True)
class Edge(Record):
    """One connection."""

    run: RunId = ""
    network: NetworkNumber = -1
    source: Annotated[int, Column("number of the layer whose output it carries")]
    target: Annotated[int, Column("number of the layer it feeds, which is greater")]


@table(
    "lineage",
    "a child and one of its parents (a view of networks)",
    ("run", "network", "parent"),
    view=True,
)
@dataclass(frozen=True, slots=True, kw_only=True)
class Descent(Record):
    """A child and one of its parents."""

    run: RunId
    network: Annotated[int, Column("the child")]
    parent: Annotated[int, Column("one of its parents")]
    operator: Annotated[str | None, Column("what made the child")] = None
    generation: Annotated[int | None, Column("generation of the child")] = None


@table(
    "likeness",
    "two networks of a run and how alike their genomes are; of runs for which `a4nn dig likeness RUN --keep` "
    "has kept it, and which have not gone on since",
    ("run", "network", "other"),
    view=True,
)
@dataclass(frozen=True, slots=True, kw_only=True)
class Likeness(Record):
    """How alike two networks are; derived, and kept on request (``likeness.py``)."""

    run: RunId
    network: Annotated[int, Column("number of a network")]
    other: Annotated[int, Column("number of another, greater")]
    differing: Annotated[int, Column("positions of the genomes that differ (Hamming)", "positions")]
    matching: Annotated[int, Column("longest aligned matching subsequence", "positions")]
    common: Annotated[int, Column("longest common substring, at any positions", "positions")]
    same_architecture: Annotated[
        bool | None, Column("whether both build the same network, up to the numbering of layers")
    ] = None


@table(
    "wiring",
    "one layer of one network in words: what it does and what feeds it (a view of layers and edges)",
    ("run", "network", "layer"),
    view=True,
)
@dataclass(frozen=True, slots=True, kw_only=True)
class Wired(Record):
    """One layer with what feeds it."""

    run: RunId
    network: NetworkNumber
    layer: Annotated[int, Column("number of the layer")]
    phase: Annotated[int | None, Column("phase of the genome, from 1 as in pictures; null outside")] = None
    node: Annotated[str | None, Column("its name: the label, or the operation if it has none")] = None
    operation: Annotated[str | None, Column("what it does, such as: conv 3x3, max_pool 2x2 stride 2")] = None
    inputs: Annotated[
        str | None, Column("names of the layers that feed it, in their order; null for the first layer")
    ] = None
    channels_in: Annotated[int | None, Column("input channels, of all inputs together")] = None
    channels_out: Annotated[int | None, Column("output channels")] = None
    height_out: Annotated[int | None, Column("height of the output", "pixels")] = None
    width_out: Annotated[int | None, Column("width of the output", "pixels")] = None
    flops: Annotated[int | None, Column("cost of one image", "multiply-adds", Kind.int64)] = None
    parameters: Annotated[int | None, Column("trainable parameters", kind=Kind.int64)] = None
