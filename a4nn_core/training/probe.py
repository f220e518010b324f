"""How long an image takes to train: a few steps of a network whose result is thrown away."""

from __future__ import annotations

import time
from dataclasses import replace

import torch

from a4nn_core.data.base import ImageData
from a4nn_core.spaces.architecture import Architecture
from a4nn_core.spaces.build import Network
from a4nn_core.training.compiling import CPU_PACE, TRAINING_COST
from a4nn_core.training.compute_plan import ComputePlan
from a4nn_core.training.loading import DeviceData, augmentation
from a4nn_core.training.optimizer import optimizer as make_optimizer
from a4nn_core.training.settings import Training
from a4nn_core.training.steps import Computation, train_epoch

_SECONDS = 0.5
"""that a measured step takes at most, as a rule of thumb"""
_STEPS = 3


def seconds_an_image(architecture: Architecture, settings: Training, data: ImageData) -> float:
    """Seconds that a training step takes for each of its images on idle CPU cores, without compiling.

    The steps are those of a training, on images of the data set. The process draws the same random numbers
    afterwards as it would have, with as many threads.

    Args:
        architecture: network to try.
        settings: training settings.
        data: data set.
    """
    cpu = torch.device("cpu")
    affordable = int(_SECONDS * CPU_PACE / (TRAINING_COST * max(1, architecture.flops)))
    images = min(settings.images_a_step(len(data.train)), len(data.train), max(2, affordable))
    few = data.train.first(images)
    threads = torch.get_num_threads()
    with torch.random.fork_rng(devices=[]):
        torch.set_num_threads(settings.threads)
        try:
            on_cpu = DeviceData(replace(data, train=few, validation=few, test=few), cpu)
            plan = ComputePlan.choose(settings, architecture, data.shape, len(data.train), cpu)
            model = Network(architecture)
            goal = on_cpu.goal(settings.loss)
            computation = Computation(model, replace(plan, compiled=False), images, cpu, goal)
            optimizer = make_optimizer(settings, model.parameters())
            augment = augmentation(settings.augment)
            taken = []
            for _ in range(1 + _STEPS):  # the first one also sets up
                started = time.process_time()  # not the clock: other programs may use the cores just now
                train_epoch(
                    computation, optimizer, on_cpu, images, settings.gradient_clip, augment, lambda: None
                )
                taken.append(time.process_time() - started)
        finally:
            torch.set_num_threads(threads)
    return min(taken[1:]) / images / settings.threads
