"""Whether the networks of an experiment fit the device they are to be trained on, before anything trains."""

from __future__ import annotations

from a4nn_core.data.base import ImageData
from a4nn_core.experiment import Experiment
from a4nn_core.spaces.architecture import Architecture
from a4nn_core.training.memory import Need, check_room, machine_memory
from a4nn_core.workflow.devices import gpu_memory, places


def check_fit(
    experiment: Experiment, largest: Architecture, data: ImageData, device: str, slots: int
) -> None:
    """Refuse an experiment whose largest network certainly cannot be trained.

    Only one is counted, as a search trains no architecture twice and the others may be much smaller. On a GPU
    images that do not fit stay outside. On the CPU every worker, and the search itself, holds the data set.

    Args:
        experiment: to run.
        largest: network of its space.
        data: its data set.
        device: as ``choose_device`` gives it.
        slots: networks trained at the same time.

    Raises:
        BadInput: it does not fit; one sentence says what to lower.
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
    parts = (data.train, data.validation, data.test)
    check_room(
        what,
        need,
        "this machine",
        machine_memory(),
        lower=lower,
        copies=workers + 1,
        data=sum(part.images.nbytes + part.labels.nbytes for part in parts),
    )
