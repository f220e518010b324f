"""Images on the device: there once as integers, converted to floats batch by batch."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from a4nn_core.data.base import ImageData, InputTransform, Split
from a4nn_core.errors import BadInput
from a4nn_core.training.goals import CLASSIFICATION, Goal, Restoration
from a4nn_core.training.panels import Panels
from a4nn_core.training.settings import Loss
from a4nn_core.vocabulary import Task


@dataclass
class DeviceSplit:
    """One part of a data set on a device.

    Attributes:
        images: shape (count, channels, height, width). Unsigned counts of 16 and 32 bits are here signed
            numbers of the same bits: torch cannot compute with the unsigned on every device.
        labels: shape (count,).
        expected: the expected images, for restoration; None for classification.
        mask: what turns the bits of these signed numbers back into the counts; None if all are counts as they
            are.
    """

    images: Tensor
    labels: Tensor
    mask: int | None = None
    expected: Tensor | None = None

    @classmethod
    def of(cls, split: Split, device: torch.device) -> DeviceSplit:
        """Copy a part to a device; in main memory the tensors are the arrays themselves, mapped ones too."""
        images, mask = split.images, None
        if images.dtype in (np.uint16, np.uint32):
            images = images.view(f"i{images.itemsize}")
            if images.min(initial=0) < 0:
                mask = int(np.iinfo(split.images.dtype).max)
        expected = None if split.expected is None else _tensor(split.expected).to(device)
        return cls(_tensor(images).to(device), _tensor(split.labels).to(device), mask, expected)

    def counted(self, images: Tensor) -> Tensor:
        """Some of the images, of any device, as the numbers that were stored."""
        return images if self.mask is None else images.to(torch.int64) & self.mask

    @property
    def truth(self) -> Tensor:
        """What a network should answer to each image: its label, or the expected image."""
        return self.labels if self.expected is None else self.expected

    def __len__(self) -> int:
        return len(self.labels)


def _tensor(array: NDArray[Any]) -> Tensor:
    """A tensor in the memory of an array, which must not be written to if the array is read-only."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The given NumPy array is not writable")
        return torch.from_numpy(np.ascontiguousarray(array))


class DeviceData:
    """A whole data set on a device; if it does not fit, it stays in main memory and batches are copied.

    Args:
        data: the data set.
        device: device that networks compute on.
        room: bytes of the device's memory that images may take; None for four fifths of what is free.
    """

    def __init__(self, data: ImageData, device: torch.device, room: int | None = None) -> None:
        self.device = device
        size = data.nbytes
        if room is None and device.type == "cuda":
            room = torch.cuda.mem_get_info(device)[0] * 4 // 5
        home = device if room is None or size <= room else torch.device("cpu")
        self.train = DeviceSplit.of(data.train, home)
        self.validation = DeviceSplit.of(data.validation, home)
        self.test = DeviceSplit.of(data.test, home)
        self.transform = _on_device(data.transform, device)
        self.shape = data.shape
        self.classes = data.classes
        self.task = data.task
        self.chance_percent = data.validation.chance_percent
        self.peak = self.scale = 1.0
        self.mean = torch.zeros(self.shape)
        if data.train.expected is not None:
            self.peak = data.peak
            self.scale = float(data.train.expected.std(dtype=np.float64)) or 1.0
            self.mean = torch.from_numpy(data.train.expected.mean(axis=0, dtype=np.float64))

    def goal(self, loss: Loss) -> Goal:
        """What networks are trained for with these data.

        Args:
            loss: what is minimised in restoration.
        """
        if self.task is Task.restoration:
            return Restoration(loss, self.peak, self.scale)
        return CLASSIFICATION

    def everything(self) -> DeviceSplit:
        """All images of all parts as one."""
        parts = (self.train, self.validation, self.test)
        return DeviceSplit(
            torch.cat([part.images for part in parts]),
            torch.cat([part.labels for part in parts]),
            next((part.mask for part in parts if part.mask is not None), None),
        )

    def batches(
        self, part: DeviceSplit, size: int, order: Tensor | None = None, panels: Panels | None = None
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """Batches of (images, truth), labels or expected images: images as float32 in the form the network
        takes, shape (batch, channels, height, width). ``order`` selects and orders the images if given;
        ``panels`` takes a panel of the detector away from each image of the part in its own order."""
        count = len(part)
        if order is not None:
            order, count = order.to(part.labels.device), len(order)
        for start in range(0, count, size):
            rows = slice(start, start + size) if order is None else order[start : start + size]
            images = part.counted(part.images[rows].to(self.device))
            if panels is not None:
                images = panels.blank(images, start)
            yield self.transform(images), part.truth[rows].to(self.device)


def _on_device(transform: InputTransform, device: torch.device) -> Callable[[Tensor], Tensor]:
    mean, std = (
        torch.tensor(values, dtype=torch.float32, device=device).view(1, -1, 1, 1)
        for values in (transform.mean, transform.std)
    )

    def apply(images: Tensor) -> Tensor:
        seen = images.to(torch.float32)
        return ((seen.log1p() if transform.log1p else seen) - mean) / std

    return apply


def augmentation(entries: Sequence[Mapping[str, object]]) -> Callable[[Tensor], Tensor] | None:
    """Random transforms of training batches, drawn separately for every image; None if there are none.

    Args:
        entries: for each transform the name of its ``torchvision.transforms.v2`` class and its arguments.

    Raises:
        BadInput: there is no such transform, or it does not take the arguments.
    """
    if not entries:
        return None
    from torchvision.transforms import v2

    made = []
    for entry in entries:
        arguments = {key: value for key, value in entry.items() if key != "name"}
        transform = getattr(v2, str(entry["name"]), None)
        if transform is None:
            raise BadInput(f"[training] augment: torchvision.transforms.v2 has no {entry['name']!r}")
        try:
            made.append(transform(**arguments))
        except (TypeError, ValueError) as error:
            raise BadInput(
                f"[training] augment: {entry['name']} does not take {arguments}: {error}"
            ) from None
    each = v2.Compose(made)
    # v2 draws once per call; one image per call, so that the images of a batch differ
    return lambda images: torch.stack([each(image) for image in images])


_TRIED = 16
"""images that transforms are tried on: some transforms draw what they do"""


def check_augmentation(entries: Sequence[Mapping[str, object]], data: ImageData) -> None:
    """Try transforms on a few training images. Random numbers that others draw stay what they are.

    Raises:
        BadInput: they cannot be made, fail, or give something else than images of as many channels.
    """
    augment = augmentation(entries)
    if augment is None:
        return
    first = data.train.first(_TRIED)
    with torch.random.fork_rng(devices=[]):
        part = DeviceSplit.of(first, torch.device("cpu"))
        images = _on_device(data.transform, torch.device("cpu"))(part.counted(part.images))
        try:
            seen = augment(images)
        except Exception as error:  # of any kind: transforms are other people's code
            reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
            raise BadInput(f"[training] augment fails on {_form(images)}: {reason}") from None
    if seen.dtype != torch.float32 or seen.dim() != 4 or seen.shape[1] != images.shape[1]:
        raise BadInput(
            f"[training] augment makes {_form(seen)} of {_form(images)}, and networks take {_form(images)}"
        )


def _form(images: Tensor) -> str:
    sizes = " x ".join(map(str, images.shape[1:]))
    return f"images of {sizes} ({str(images.dtype).removeprefix('torch.')})"
