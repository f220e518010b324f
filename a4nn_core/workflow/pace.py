"""How fast networks will train here: as an earlier run did, as a short trial says, or by a rule of thumb."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from a4nn_core.commons.layout import RunFolder
from a4nn_core.commons.reader import Commons
from a4nn_core.errors import BadInput
from a4nn_core.jsonable import Json, members, to_jsonable, whole
from a4nn_core.spaces.architecture import Architecture
from a4nn_core.training.compiling import CPU_PACE, TRAINING_COST
from a4nn_core.workflow.devices import cores
from a4nn_core.workflow.plan import Plan, recorded_header

_NEWEST = 200
"""runs that are looked through at most"""
_SAME = ("device", "threads", "slots")
_SAME_SETTINGS = ("augment", "precision", "compile")


@dataclass(frozen=True)
class Pace:
    """How fast networks train on a machine.

    Attributes:
        seconds: seconds of a network's whole epoch for each multiply-add of a forward pass over the training
            images.
        at_once: networks that can be trained at this pace at the same time.
        found: how it was found, for people.
    """

    seconds: float
    at_once: int
    found: str


def recorded_pace(plan: Plan) -> Pace | None:
    """The pace of the newest run of the commons that trained such networks on such images in the same way on
    this machine; None if there is none."""
    for run in _alike(plan):
        try:
            pace = _pace_of(Commons(plan.commons), run)
        except BadInput:  # its records cannot be read: no reason to stop another run
            continue
        if pace is not None:
            return Pace(pace, plan.machine.slots, f"at the pace of run {run}")
    return None


def _pace_of(store: Commons, run: str) -> float | None:
    flops = {network.network: network.flops or 0 for network in store.networks(run)}
    images = whole(store.run(run).details.get("train")) or 0
    timed = [(e.seconds, flops.get(e.network, 0)) for e in store.epochs(run) if e.seconds is not None]
    work = images * sum(cost for _, cost in timed)
    return sum(seconds for seconds, _ in timed) / work if work else None


def _alike(plan: Plan) -> Iterator[str]:
    """The runs whose pace is that of this one, the newest first."""
    files = sorted((plan.commons / "runs").glob("*/run.json"), key=_age, reverse=True)
    ours = _circumstances(members(to_jsonable(plan.header)))
    for file in files[:_NEWEST]:
        try:
            header = recorded_header(plan.commons, RunFolder(plan.commons, file.parent.name).run_id)
        except BadInput:
            continue
        if header is not None and _circumstances(header) == ours:
            yield file.parent.name


def _age(file: Path) -> float:
    try:
        return file.stat().st_mtime
    except OSError:
        return 0.0


def _circumstances(header: Mapping[str, Json]) -> tuple[object, ...]:
    """What the pace of a run depends on."""
    experiment = members(header.get("experiment"))
    training = members(experiment.get("training"))
    return (
        members(header.get("environment")).get("host"),
        members(header.get("dataset")).get("shape"),
        experiment.get("space"),
        *(header.get(key) for key in _SAME),
        *(training.get(key) for key in _SAME_SETTINGS),
    )


def usual_pace(plan: Plan) -> Pace | None:
    """The pace of a CPU thread by a rule of thumb; None where networks train on something else."""
    if plan.machine.device != "cpu":
        return None
    seconds = (TRAINING_COST + _of_evaluation(plan)) / CPU_PACE
    return Pace(seconds, _at_once(plan), "by a rule of thumb, not measured on this machine")


def tried_pace(plan: Plan, typical: Architecture) -> Pace | None:
    """The pace that a few steps of a typical network have here now; None where networks do not train on the
    CPU: a trial would take up the device."""
    if plan.machine.device != "cpu" or not typical.flops:
        return None
    from a4nn_core.training.probe import seconds_an_image

    seconds = seconds_an_image(typical, plan.experiment.training, plan.data) / typical.flops
    whole_epoch = seconds * (1 + _of_evaluation(plan) / TRAINING_COST)
    return Pace(whole_epoch, _at_once(plan), "after a trial of a few steps on this machine")


def _of_evaluation(plan: Plan) -> float:
    """The multiply-adds of an evaluation for each one of a forward pass over the training images."""
    return len(plan.data.validation) / len(plan.data.train)


def _at_once(plan: Plan) -> int:
    machine = plan.machine
    return max(1, min(machine.slots, cores() // machine.threads))
