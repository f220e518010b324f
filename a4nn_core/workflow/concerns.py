"""What makes a search less than it could be, though it can be run: one sentence each, with what would fit."""

from __future__ import annotations

from collections.abc import Iterator
from math import ceil

from a4nn_core.data.base import ImageData
from a4nn_core.experiment import Experiment
from a4nn_core.metrics import find_metric
from a4nn_core.precision import standard_error
from a4nn_core.search.evolution import EvolutionSettings
from a4nn_core.search.regularised_evolution import RegularisedEvolution
from a4nn_core.search.variation import size_of
from a4nn_core.training.settings import LEAST_STEPS
from a4nn_core.vocabulary import Task
from a4nn_core.workflow.devices import Machine, cores

FEW_IMAGES = 100
"""validation images below which each weighs more than a point"""
_GOOD = 90.0
"""percent: an accuracy whose standard error is told as an example"""


def concerns(experiment: Experiment, data: ImageData, machine: Machine, is_local: bool) -> tuple[str, ...]:
    """Warnings about a run that is about to start, for people.

    Args:
        experiment: its experiment, with what follows from the data filled in.
        data: its data set.
        machine: the machine on which the search loop runs.
        is_local: whether networks train on that machine.
    """
    return (
        *data.remarks,
        *_of_search(experiment),
        *_of_images(data),
        *_of_steps(experiment, len(data.train)),
        *_of_budget(experiment, machine, is_local),
        *(_of_machine(machine, experiment.search.networks) if is_local else ()),
    )


def _of_search(experiment: Experiment) -> Iterator[str]:
    search = experiment.search
    if isinstance(search, EvolutionSettings) and search.networks <= search.population:
        yield (
            f"search.networks = {search.networks} ends the search within its first generation of "
            f"{search.population} (search.population): no network descends from another; "
            f"{search.population + search.offspring} networks make two generations"
        )
    if search.stop is not None and search.stop.no_growth >= search.networks:
        yield (
            f"search.stop.no_growth = {search.stop.no_growth} ends nothing, as the search looks at "
            f"{search.networks} networks (search.networks)"
        )
    if isinstance(search, RegularisedEvolution) and search.networks <= search.population:
        yield (
            f"search.networks = {search.networks} ends the search with its first population of "
            f"{search.population} (search.population), all of them random: no network descends from another; "
            f"search.population = {max(1, search.networks // 3)}, a third of the networks, leaves room for it"
        )
    count = size_of(experiment.space)
    if search.networks > count:
        yield (
            f"space {experiment.space.name} has {count:,} genomes, fewer than search.networks = "
            f"{search.networks:,}: the search ends when all have been asked for"
        )
    for name, direction in search.objectives.items():
        usual = find_metric(name).direction
        if direction is not usual:
            yield f"search.objectives: {name} is to {direction}, where to {usual} it is usual"


def _of_images(data: ImageData) -> Iterator[str]:
    count = len(data.validation)
    error = standard_error(_GOOD, count)
    if count < FEW_IMAGES and error is not None and data.task is Task.classification:
        yield (
            f"{count} validation images are few: one is {100 / count:.1f} points of accuracy, and "
            f"{_GOOD:.0f} % would be ± {error:.1f} points, so networks that differ by less are ranked by "
            f"chance; 1,000 images would make it ± {standard_error(_GOOD, 1000):.1f}"
        )
    flat = data.train.images.reshape(len(data.train), -1)
    blank = int((flat.min(axis=1) == flat.max(axis=1)).sum())
    if blank:
        yield (
            f"{blank:,} of {len(data.train):,} training images are blank, every value of them the same: "
            "networks can learn no more from such an image than how bright it is"
        )


def _of_steps(experiment: Experiment, images: int) -> Iterator[str]:
    batch = experiment.training.images_a_step(images)
    steps = ceil(images / batch)
    if steps >= LEAST_STEPS or experiment.training.evaluation == "as-trained":
        return
    automatic = experiment.training.model_copy(update={"batch_size": "auto"}).images_a_step(images)
    better = ceil(images / automatic)
    fits = (
        f"training.batch_size = {automatic}, which auto takes, makes {better}"
        if better > steps
        else "only more images make more"
    )
    one = "all of them in one step" if batch > images else f"{steps} step{'s' if steps > 1 else ''}"
    yield (
        f"training.batch_size = {batch} for {images:,} training images: an epoch is {one}, and averaged "
        f"weights need {LEAST_STEPS} to say what a network can do; {fits}"
    )


def _of_budget(experiment: Experiment, machine: Machine, is_local: bool) -> Iterator[str]:
    budget = experiment.budget
    if budget is None:
        return
    if budget.gpu_hours is not None and is_local and machine.device == "cpu":
        yield (
            f"budget.gpu_hours = {budget.gpu_hours:g} ends nothing here, as networks train on the CPU; "
            "budget.hours does"
        )
    if budget.kwh is not None and not is_local:
        yield (
            f"budget.kwh = {budget.kwh:g}: it is not known whether the machines that train can measure their "
            "energy; what they do not measure does not count"
        )


def _of_machine(machine: Machine, networks: int) -> Iterator[str]:
    slots, free = min(machine.slots, networks), cores()
    if machine.device != "cpu" or slots * machine.threads <= free:
        return
    fits = "training.threads = 1" if machine.threads > free else f"training.slots = {free // machine.threads}"
    threads = f"{machine.threads} thread{'s' if machine.threads > 1 else ''}"
    yield (
        f"{slots} networks at once with {threads} each share {free} core{'s' if free > 1 else ''}: they take "
        f"turns, and the search is slower, not faster; {fits} fits"
    )
