"""Checks before anything trains: whether images differ, networks fit their device, energy can be measured."""

from __future__ import annotations

import logging

import numpy as np

from a4nn_core.data.base import ImageData
from a4nn_core.data.mapped import copies
from a4nn_core.errors import BadInput
from a4nn_core.experiment import Experiment
from a4nn_core.spaces.architecture import Architecture
from a4nn_core.training.energy import Unmeasurable, counters
from a4nn_core.training.memory import Need, check_room, machine_memory
from a4nn_core.training.settings import Training
from a4nn_core.workflow.devices import discover, gpu_memory, places

log = logging.getLogger(__name__)


def check_images(data: ImageData) -> None:
    """Refuse a data set from which nothing can be learned.

    Raises:
        BadInput: there are no training images, or all of them are the same.
    """
    if not len(data.train):
        raise BadInput(
            f"data set {data.name} has no images here, so networks cannot be trained here: a4nn ask prints "
            "them and a4nn tell takes their results"
        )
    first = data.train.images[0]
    if any(not np.array_equal(image, first) for image in data.train.images):
        return
    value = f", every value {first.flat[0]}" if first.min() == first.max() else ""
    raise BadInput(
        f"data set {data.name}: all {len(data.train)} training images are the same{value}; nothing tells the "
        f"classes {', '.join(data.classes[:5])} apart"
    )


def check_panels(settings: Training, data: ImageData) -> None:
    """Refuse panels that images cannot be divided into.

    Raises:
        BadInput: there are more of them along a side than pixels.
    """
    _, height, width = data.shape
    rows, columns = settings.panels or (1, 1)
    if rows > height or columns > width:
        raise BadInput(
            f"training.panels = [{rows}, {columns}]: images of {height} x {width} pixels cannot be divided "
            "so often"
        )


def check_fit(
    experiment: Experiment, largest: Architecture, data: ImageData, device: str, slots: int
) -> None:
    """Refuse an experiment whose largest network certainly cannot be trained.

    Memory for only one such network is required, as a search trains no architecture twice and the others may
    be much smaller. On a GPU, images that do not fit stay in the main memory. On the CPU every worker, and
    the search itself, holds the data set, unless it is mapped.

    Args:
        experiment: experiment to run.
        largest: largest network of its search space.
        data: its data set.
        device: device name as ``choose_device`` returns it.
        slots: number of networks trained at the same time.

    Raises:
        BadInput: it does not fit; the message says what to lower.
    """
    settings = experiment.training
    on_gpu = device.partition(":")[0] == "cuda"
    kind = "cpu" if places(device) and not on_gpu else device.partition(":")[0]
    lower = ["training.batch_size"] if settings.images_a_step(len(data.train)) > 2 else []
    lower += [
        f"{table}.{name}"
        for table, part, name in (("space", experiment.space, "channels"), ("data", experiment.data, "size"))
        if name in type(part).model_fields
    ]
    need = Need.of(largest, settings, len(data.train), kind)
    what = "the largest network of the search space"
    lower = lower or ["the search space"]
    if on_gpu:
        check_room(what, need, f"the GPU ({device})", gpu_memory(device), lower=lower)
        return
    workers = min(slots, experiment.search.networks)
    if workers > 1:
        lower = ["training.slots", *lower]
    check_room(
        what,
        need,
        "this machine",
        machine_memory(),
        lower=lower,
        copies=copies(data, workers + 1),
        data=data.nbytes,
    )


def warn_unless_measured(device: str, slots: int) -> None:
    """Log a warning if the energy of networks that train on a device cannot be measured.

    Args:
        device, slots: see ``why_unmeasured``.
    """
    why = why_unmeasured(device, slots)
    if why is not None:
        log.warning("training.energy: no energy will be recorded: %s", why)


def why_unmeasured(device: str, slots: int) -> str | None:
    """Why the energy of networks that train on a device cannot be measured; None if it can.

    Args:
        device: device name as ``choose_device`` returns it.
        slots: number of networks that share the device; 0 if that is not known.
    """
    kind = device.partition(":")[0]
    gpus = [gpu.identity for gpu in discover(device)] if kind == "cuda" else [""]
    for gpu in gpus:
        try:
            counters("cpu" if kind == "fake" else kind, gpu)
            if kind != "cuda" and slots == 0:
                raise Unmeasurable("on a machine of a pool or cluster it is not known what shares its CPUs")
        except Unmeasurable as error:
            return str(error)
    return None


def check_budget(experiment: Experiment, device: str, slots: int) -> None:
    """Refuse a budget of energy where none can be measured: the run would never end by it.

    Raises:
        BadInput: it cannot be measured here.
    """
    if experiment.budget is None or experiment.budget.kwh is None:
        return
    why = why_unmeasured(device, slots)
    if why is not None:
        raise BadInput(f"[budget] kwh = {experiment.budget.kwh:g} cannot be counted here: {why}")
