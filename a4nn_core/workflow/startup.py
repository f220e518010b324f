"""The start-up check: what a run will train and what that takes, before anything trains."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from math import ceil

import numpy as np

from a4nn_core.commons import Commons, RunFolder
from a4nn_core.data.base import Split
from a4nn_core.data.mapped import copies
from a4nn_core.jsonable import Json, members, to_jsonable
from a4nn_core.search.repeat import Repeat
from a4nn_core.spaces.architecture import Architecture, Shape
from a4nn_core.training.baselines import lines
from a4nn_core.training.memory import Need, machine_memory
from a4nn_core.vocabulary import Task
from a4nn_core.workflow.concerns import concerns
from a4nn_core.workflow.devices import gpu_memory
from a4nn_core.workflow.pace import Pace, recorded_pace, tried_pace, usual_pace
from a4nn_core.workflow.plan import Plan

LONG_SECONDS = 300.0
"""a search that takes longer by a rule of thumb is worth a trial, which takes some seconds itself"""
_SAMPLE = 32
"""genomes whose mean cost stands for that of the networks to come"""
_WORKER_BYTES = 2**29
"""memory of a worker beside its data and its network: mostly libraries"""
_OVER_BOUND = 2.0
"""memory that training takes relative to its lower bound, see training/memory.py"""
_NAMED_CLASSES = 10
"""classes whose images are counted one by one in the text"""


@dataclass(frozen=True)
class Duration:
    """An estimate of how long a run will take if it trains every network to the end.

    Attributes:
        seconds: seconds from its first epoch to its last.
        found: how it was found, for people.
    """

    seconds: float
    found: str


@dataclass(frozen=True)
class Memory:
    """An estimate of the memory that a run takes if every slot trains the largest network of the space.

    Attributes:
        needed: bytes, of all processes together; on a GPU, of one.
        room: bytes that there are; None if that is not known.
    """

    needed: int
    room: int | None

    def __str__(self) -> str:
        room = "" if self.room is None else f" of {self.room / 2**30:.1f}"
        return f"{self.needed / 2**30:.1f}{room} GiB"

    def concern(self) -> Iterator[str]:
        """A warning if there is less than may be needed."""
        if self.room is not None and self.needed > self.room:
            yield (
                f"memory may not suffice: if the largest networks train at the same time, they take about "
                f"{self}; training.slots = 1 or a smaller training.batch_size takes less"
            )


@dataclass(frozen=True)
class StartUp:
    """What a run will train, and what that takes.

    Attributes:
        run: id of the run.
        dataset: name of the data set.
        shape: shape of an image, (channels, height, width).
        images: images of each class in each part: name of the part to name of the class to number.
        chance_percent: percentage of the validation images that belong to the most frequent class; None if
            images are to be restored.
        validation_image_points: percentage points of accuracy that one validation image is; None likewise.
        to_beat: what restores images without a network, for people; empty for classification.
        batch_size: images per step.
        steps: steps per epoch.
        networks: networks that are still to come.
        epochs: epochs that each is trained at most.
        device, slots, threads: device, networks at once, and CPU threads of each.
        duration, memory: estimates; None where there is nothing to go by.
        warnings: sentences on what makes the search less than it could be.
    """

    run: str
    dataset: str
    shape: Shape
    images: Mapping[str, Mapping[str, int]]
    chance_percent: float | None
    validation_image_points: float | None
    to_beat: tuple[str, ...]
    batch_size: int
    steps: int
    networks: int
    epochs: int
    device: str
    slots: int
    threads: int
    duration: Duration | None
    memory: Memory | None
    warnings: tuple[str, ...]

    def lines(self) -> list[str]:
        """The check for people, without the warnings."""
        channels, height, width = self.shape
        parts = [
            f"{part} {sum(counts.values()):,}{_by_class(counts)}" for part, counts in self.images.items()
        ]
        lines = [
            f"images    {self.dataset}: {width} x {height} pixels, {_several(channels, 'channel')}, "
            f"{len(self.images['train'])} classes",
            *(f"          {part}" for part in parts),
        ]
        if self.chance_percent is not None and self.validation_image_points is not None:
            lines.append(
                f"          chance level {self.chance_percent:.1f} %; "
                f"one validation image is {self.validation_image_points:.2g} points"
            )
        for number, line in enumerate(self.to_beat):
            lines.append(f"{'' if number else 'to beat':<10}{line}")
        if not self.networks:
            return [*lines, "training  nothing to come: all networks are recorded"]
        lines += [
            f"training  {_several(self.networks, 'network')} to come, "
            f"{_several(self.epochs, 'epoch')} at most: {self.networks * self.epochs:,} epochs of "
            f"{_several(self.steps, 'step')}, {self.batch_size:,} images a step",
            f"          on {self.device}, {self.slots} at once, {_several(self.threads, 'thread')} each",
        ]
        if self.duration is None:
            lines.append("time      not known before the first networks")
        else:
            lines.append(
                f"time      about {roughly(self.duration.seconds)} if every network is trained to the end, "
                f"{self.duration.found}"
            )
        if self.memory is not None:
            lines.append(f"memory    about {self.memory} with the largest networks")
        return lines

    def as_dict(self) -> dict[str, Json]:
        """The form that ``--json`` prints."""
        return members(to_jsonable(asdict(self)))


def look_ahead(plan: Plan, is_local: bool, slots: int, measure: bool = False) -> StartUp:
    """The start-up check of a run.

    Args:
        plan: plan of the run, which has been checked.
        is_local: whether networks train on this machine; of others, neither time nor memory is known.
        slots: number of networks trained at the same time.
        measure: whether to try how fast networks train however short the search is.
    """
    experiment, data, machine = plan.experiment, plan.data, plan.machine
    training = experiment.training
    batch = training.images_a_step(len(data.train))
    to_come = max(0, experiment.search.networks - _ended(plan))
    memory = _memory(plan) if is_local else None
    restores = data.task is Task.restoration
    return StartUp(
        run=plan.run_id,
        dataset=data.name,
        shape=data.shape,
        images={
            part: _counts(split, data.classes)
            for part, split in (("train", data.train), ("validation", data.validation), ("test", data.test))
        },
        chance_percent=None if restores else data.validation.chance_percent,
        validation_image_points=None if restores else 100.0 / len(data.validation),
        to_beat=tuple(lines(plan.baselines)),
        batch_size=batch,
        steps=ceil(len(data.train) / batch),
        networks=to_come,
        epochs=training.epochs,
        device=machine.device,
        slots=slots,
        threads=machine.threads,
        duration=_duration(plan, to_come, measure) if is_local and to_come else None,
        memory=memory,
        warnings=(*concerns(experiment, data, machine, is_local), *(memory.concern() if memory else ())),
    )


def _counts(split: Split, classes: Sequence[str]) -> dict[str, int]:
    counts = np.bincount(split.labels, minlength=len(classes)).tolist()
    return dict(zip(classes, counts, strict=True))


def _several(count: int, what: str) -> str:
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def _by_class(counts: Mapping[str, int]) -> str:
    if len(counts) <= _NAMED_CLASSES:
        return f" ({', '.join(f'{name}: {count:,}' for name, count in counts.items())})"
    least, most = min(counts.values()), max(counts.values())
    return f" ({least:,} to {most:,} of each class)" if least < most else f" ({least:,} of each class)"


def _ended(plan: Plan) -> int:
    """Number of networks that an earlier process has recorded."""
    begun = RunFolder(plan.commons, plan.run_id).run_file.is_file()
    return len(Commons(plan.commons).networks(plan.run_id)) if begun else 0


def _duration(plan: Plan, networks: int, measure: bool) -> Duration | None:
    sample = _sample(plan)
    flops = sum(architecture.flops for architecture in sample) / len(sample)
    work = flops * len(plan.data.train) * plan.experiment.training.epochs * networks

    def taken(pace: Pace) -> Duration:
        return Duration(work * pace.seconds / max(1, min(pace.at_once, networks)), pace.found)

    recorded = recorded_pace(plan)
    if recorded is not None:
        return taken(recorded)
    usual = usual_pace(plan)
    if usual is None:
        return None
    if not measure and taken(usual).seconds < LONG_SECONDS:
        return taken(usual)
    typical = min(sample, key=lambda architecture: abs(architecture.flops - flops))
    return taken(tried_pace(plan, typical) or usual)


def _sample(plan: Plan) -> list[Architecture]:
    """Networks such as the search will train: those that it names, or random ones within its bounds."""
    experiment, data = plan.experiment, plan.data
    space, limits = experiment.space, experiment.search.limits()
    if isinstance(experiment.search, Repeat):
        genomes = [candidate.genome for candidate in experiment.search.candidates]
    else:
        rng = np.random.default_rng(0)
        genomes = [space.sample(rng) for _ in range(_SAMPLE)]
    networks = [space.decode(genome, data.shape, len(data.classes)) for genome in genomes]
    return [network for network in networks if not limits.violation(network)] or networks


def _memory(plan: Plan) -> Memory:
    settings, data, machine = plan.experiment.training, plan.data, plan.machine
    kind = machine.device.partition(":")[0]
    on_gpu = kind == "cuda"
    need = Need.of(
        plan.largest,
        settings,
        len(data.train),
        kind if on_gpu else "cpu",
        micro_batch=min(settings.images_a_step(len(data.train)), len(data.train)),
    )
    network = int(_OVER_BOUND * need.total)
    if on_gpu:
        return Memory(settings.slots_per_device * (network + data.nbytes), gpu_memory(machine.device))
    workers = min(machine.slots, plan.experiment.search.networks)
    images = copies(data, workers + 1) * data.nbytes
    return Memory(workers * (network + _WORKER_BYTES) + images, machine_memory())


def roughly(seconds: float) -> str:
    """A duration for people, no more exact than an estimate is."""
    for unit, length, until in (("s", 1, 90), ("min", 60, 90 * 60), ("h", 3600, 48 * 3600)):
        if seconds < until:
            return f"{_two_digits(seconds / length)} {unit}"
    return f"{_two_digits(seconds / 86400)} days"


def _two_digits(value: float) -> str:
    return f"{float(f'{value:.2g}'):g}" if value >= 1 else "1"
