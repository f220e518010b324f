"""From an experiment to an open run, in three steps: resolve, check, open.

Nothing is written before the last step, so that bad input leaves nothing behind.
"""

from __future__ import annotations

import platform
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from functools import cached_property
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from a4nn_core.commons import RunFolder, RunWriter
from a4nn_core.commons.layout import read_json
from a4nn_core.commons.writer import require_same
from a4nn_core.data.base import ImageData
from a4nn_core.errors import A4NNError, BadInput
from a4nn_core.experiment import Experiment
from a4nn_core.jsonable import Json, members, whole
from a4nn_core.search.repeat import Repeat
from a4nn_core.spaces.architecture import Architecture
from a4nn_core.spaces.base import Genome, largest
from a4nn_core.training.baselines import Baseline, baselines
from a4nn_core.training.settings import FIRST_DEFAULTS, Training
from a4nn_core.version import __version__
from a4nn_core.vocabulary import Task
from a4nn_core.workflow.best import best_genomes
from a4nn_core.workflow.devices import Machine
from a4nn_core.workflow.preflight import (
    check_budget,
    check_fit,
    check_images,
    check_panels,
    warn_unless_measured,
)
from a4nn_core.workflow.prior import ResolvedPrior, resolve_again, resolve_prior

PACKAGES = (
    *("numpy", "scipy", "torch", "torchvision", "pillow", "pymoo", "scikit-learn", "duckdb", "pyarrow"),
    "prefect",
)


@dataclass(frozen=True)
class Plan:
    """Everything needed to start or resume a run.

    Attributes:
        experiment: the experiment, with defaults that depend on the data filled in.
        recorded: the tables of the experiment as the run records them.
        data: the loaded data set.
        commons: folder of the data commons, which need not exist.
        run_id: id of the run.
        machine: the machine on which the search loop runs.
        prior: the earlier runs it learns from; None if the experiment names none.
        best: genomes of those runs that the search begins with, as far as they are within the bounds, the
            best first; empty unless ``[prior] best`` asks for them.
        origin: identifies the flow run that searches; empty if there is no flow.
    """

    experiment: Experiment
    recorded: Mapping[str, object]
    data: ImageData
    commons: Path
    run_id: str
    machine: Machine
    prior: ResolvedPrior | None = None
    best: tuple[Genome, ...] = ()
    origin: Mapping[str, object] = field(default_factory=dict)

    @cached_property
    def largest(self) -> Architecture:
        """The largest network of the search space, or of a sample of a space that has none.

        Raises:
            BadInput: no genome fits the images.
        """
        return largest(self.experiment.space, self.data.shape, len(self.data.classes))

    @property
    def shadow_of(self) -> str | None:
        """The run whose networks are trained again; None if it is no such run."""
        search = self.experiment.search
        return search.run if isinstance(search, Repeat) else None

    @cached_property
    def baselines(self) -> list[Baseline]:
        """What restores the images without a network; empty for classification."""
        return baselines(self.data) if self.data.task is Task.restoration else []

    @property
    def _of_task(self) -> Mapping[str, object]:
        """What scores are relative to: the level of chance; of images to be restored the peak, and what those
        reach that no network restored."""
        if self.data.task is Task.classification:
            return {"chance_percent": self.data.validation.chance_percent}
        reached = [asdict(one) for one in self.baselines]
        return {"task": self.data.task, "peak": self.data.peak, "baselines": reached}

    @cached_property
    def header(self) -> Mapping[str, object]:
        """The header of the run, which is recorded before anything trains."""
        experiment, data, machine = self.experiment, self.data, self.machine
        return {
            "name": experiment.name,
            "experiment": self.recorded,
            "seed": experiment.seed,
            "dataset_fingerprint": data.fingerprint,
            "dataset": {
                "name": data.name,
                "classes": list(data.classes),
                "shape": list(data.shape),
                "train": len(data.train),
                "validation": len(data.validation),
                "test": len(data.test),
                **self._of_task,
                # what the networks saw of a stored image: without it their weights cannot be used
                "transform": asdict(data.transform),
                **_of_image_files(data),
            },
            "code_version": __version__,
            "environment": {
                "python": platform.python_version(),
                **{package: _version(package) for package in PACKAGES},
                "platform": platform.platform(),
                "processor": _processor(),
                "host": platform.node(),
            },
            "threads": machine.threads,
            "slots": machine.slots,
            "device": machine.device,
            **({} if self.shadow_of is None else {"shadow_of": self.shadow_of}),
            **({} if self.prior is None else {"prior": list(self.prior.recorded)}),
            **{name: self.origin[name] for name in ("deployment",) if self.origin.get(name) is not None},
        }


def resolve(experiment: Experiment, commons: Path, run_id: str, machine: Machine) -> Plan:
    """Load the data of an experiment and the runs it learns from, and fill in what follows from the data and
    from the start of the run.

    Args:
        experiment: the experiment as the user gave it.
        commons, run_id: folder of the commons and id of the run, which need not exist.
        machine: the machine on which the search loop runs.

    Raises:
        BadInput: the run was started with another experiment, the data cannot be loaded, the run's records
            cannot be read, or ``[prior]`` names runs that cannot be learned from.
    """
    _check_before_loading(experiment, commons, run_id)
    data = experiment.data.load()
    experiment, recorded = as_begun(experiment, len(data.train), commons, run_id)
    plan = Plan(experiment, recorded, data, commons, run_id, machine)
    plan = replace(plan, prior=_prior(plan))
    return replace(plan, best=_best(plan))


def _check_before_loading(experiment: Experiment, commons: Path, run_id: str) -> None:
    """Refuse what can be refused before the data are loaded, which may take minutes."""
    is_of_experiment(experiment, commons, run_id)
    if experiment.training.augment:
        from a4nn_core.training.loading import augmentation

        augmentation(experiment.training.augment)


def is_of_experiment(experiment: Experiment, commons: Path, run_id: str) -> bool:
    """Whether a run of this experiment is recorded; False also of one that did not record its images.

    Raises:
        BadInput: the run was started with another experiment.
    """
    header = recorded_header(commons, run_id) or {}
    images = whole(members(header.get("dataset")).get("train"))
    if images is None:
        return False
    _, given = as_begun(experiment, images, commons, run_id)
    require_same(RunFolder(commons, run_id), header, {"experiment": given})
    return True


def _prior(plan: Plan) -> ResolvedPrior | None:
    """The runs to learn from: those that an existing run recorded, or those that the experiment names."""
    prior = plan.experiment.prior
    if prior is None:
        return None
    header = recorded_header(plan.commons, plan.run_id)
    if header is not None:
        return resolve_again(header.get("prior"), plan.commons, plan.run_id)
    return resolve_prior(prior, plan.commons, plan.run_id, plan.experiment.space.name, plan.largest)


def _best(plan: Plan) -> tuple[Genome, ...]:
    """The genomes of earlier runs that the search begins with."""
    if plan.prior is None:
        return ()

    def decode(genome: Genome) -> Architecture:
        return plan.experiment.space.decode(genome, plan.data.shape, len(plan.data.classes))

    return best_genomes(plan.experiment, plan.commons, plan.prior.recorded, decode)


def check(plan: Plan, is_local: bool) -> None:
    """Refuse a run that certainly cannot be trained.

    Args:
        plan: plan of the run.
        is_local: whether networks train on this machine; of other machines nothing is known in advance.

    Raises:
        BadInput: no genome fits the images, nothing can be learned from them, they cannot be augmented as
            asked, the largest network does not fit this machine, its energy cannot be counted, or networks
            would be trained again on other images.
    """
    network = plan.largest
    _check_same_images(plan)
    check_images(plan.data)
    check_panels(plan.experiment.training, plan.data)
    for metric in plan.experiment.search.metrics():
        if not metric.repeatable:
            metric.read(network)  # measured here so that what it lacks is said before anything is written
    if plan.experiment.training.augment:
        from a4nn_core.training.loading import check_augmentation

        check_augmentation(plan.experiment.training.augment, plan.data)
    if not is_local:
        return
    if not plan.experiment.search.limits().violation(network):
        check_fit(plan.experiment, network, plan.data, plan.machine.device, plan.machine.slots)
    check_budget(plan.experiment, plan.machine.device, plan.machine.slots)
    if plan.experiment.training.energy:
        warn_unless_measured(plan.machine.device, plan.machine.slots)


def _check_same_images(plan: Plan) -> None:
    if plan.shadow_of is None:
        return
    original = recorded_header(plan.commons, plan.shadow_of)
    if original is not None and original.get("dataset_fingerprint") != plan.data.fingerprint:
        raise BadInput(
            f"the networks of run {plan.shadow_of!r} cannot be trained again: the images of [data] are not "
            "those that it had"
        )


@contextmanager
def open_run(plan: Plan) -> Iterator[RunWriter]:
    """Create the run's records, or open the existing ones; they are compacted at the end, whatever ends it.

    Raises:
        BadInput: they cannot be written, another process writes them, or they belong to another experiment.
    """
    writer = RunWriter.open(plan.commons, plan.run_id, plan.header)
    try:
        with writer:
            yield writer
    finally:
        from a4nn_core.commons.compact import compact_run  # imports what a search does not need

        compact_run(plan.commons, plan.run_id)


def new_run_id(experiment: Experiment) -> str:
    """Id of a new run; ids of the same experiment sort by time."""
    return f"{experiment.name}-{datetime.now():%Y%m%d-%H%M%S}"


def as_begun(
    experiment: Experiment, images: int, commons: Path, run_id: str
) -> tuple[Experiment, Mapping[str, object]]:
    """The experiment with the settings the run began with, and the tables that it records.

    A run that began before a setting existed did not record it; it is resumed with what was done then.
    Defaults that depend on the data are filled in.

    Args:
        experiment: the experiment as the user gave it.
        images: number of training images.
        commons, run_id: folder of the commons and id of the run, which need not exist.
    """
    recorded = recorded_experiment(commons, run_id)
    if recorded is None:
        resolved = experiment.resolved(images)
        return resolved, resolved.to_mapping()
    training = recorded.get("training")
    if not isinstance(training, Mapping) or "evaluation" not in training:
        asked = experiment.training
        then = {k: v for k, v in FIRST_DEFAULTS.items() if getattr(asked, k) == _default(k)}
        experiment = experiment.model_copy(update={"training": asked.model_copy(update=then)})
    resolved = experiment.resolved(images)
    given = resolved.to_mapping()
    try:
        same = Experiment.from_record(recorded).model_copy(update={"budget": resolved.budget}) == resolved
    except (A4NNError, TypeError):
        same = False
    if not same:
        return resolved, given
    # a run goes on with the budget that it is given now
    of_now = {"budget": given["budget"]} if "budget" in given else {}
    return resolved, {**{name: table for name, table in recorded.items() if name != "budget"}, **of_now}


def _default(setting: str) -> object:
    return Training.model_fields[setting].default


def recorded_experiment(commons: Path, run_id: str) -> Mapping[str, object] | None:
    """The tables of the experiment that a run recorded, None if there is no such run.

    Raises:
        BadInput: the run's file cannot be read.
    """
    found = (recorded_header(commons, run_id) or {}).get("experiment")
    return found if isinstance(found, dict) else None


def recorded_header(commons: Path, run_id: str) -> dict[str, Json] | None:
    """The header that a run recorded, None if there is no such run.

    Raises:
        BadInput: the run's file cannot be read.
    """
    file = RunFolder(commons, run_id).run_file
    return members(read_json(file).get("header")) if file.is_file() else None


def _of_image_files(data: ImageData) -> dict[str, object]:
    """What was done with the files of a data set, if it comes from such: ``a4nn classify`` does it again."""
    if data.preparation is None:
        return {}
    return {"preparation": data.preparation.model_dump(mode="json"), "skipped": list(data.skipped)}


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _processor() -> str:
    """Name of the CPU."""
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()
