"""The least memory that training a network takes, and what the machine has: known before torch is loaded.

The need computed here is a lower bound: it counts only what must be in memory at the same moment, so that
whatever is refused for it certainly cannot work. It leaves out the workspaces of convolutions, the overhead
of allocators, the libraries themselves (about 300 MB per process, more with CUDA), and all that is freed
within a step. Measured with the largest networks of ``quick`` and ``digits`` at 32 to 4096 images per batch
on the CPU (tests/test_memory.py), a worker takes 1.4 to 2.4 times the bound in addition to what it had
before, 1.4 times where activations dominate.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from a4nn_core.errors import BadInput
from a4nn_core.spaces.architecture import Architecture
from a4nn_core.spaces.operations.base import elements
from a4nn_core.training.compiling import pays
from a4nn_core.training.settings import Training

_FLOAT32 = 4
_BFLOAT16 = 2
_UNLIMITED = 2**60
"""cgroup v1 reports a number near 2^63 if there is no limit"""


def smaller_micro_batch(images: int) -> int:
    """The micro-batch to try when memory did not suffice for ``images``; the same if it is the smallest."""
    return min(images, max(2, images // 4))


@dataclass(frozen=True)
class Need:
    """The least memory that training one network takes, in bytes.

    Attributes:
        micro_batch: number of images computed at once.
        state: bytes of weights, momentum and, if it is evaluated, the average of the weights.
        gradients: bytes of the gradients of the weights.
        images: bytes of a batch of images as floats.
        kept: bytes that the forward step keeps per image for the backward step.
    """

    micro_batch: int
    state: int
    gradients: int
    images: int
    kept: int

    @property
    def total(self) -> int:
        """Bytes at the end of a forward step or during the update of the weights, whichever is more."""
        return self.state + max(self.images + self.micro_batch * self.kept, self.gradients)

    @classmethod
    def of(
        cls,
        architecture: Architecture,
        settings: Training,
        images: int,
        kind: str,
        micro_batch: int | None = None,
    ) -> Need:
        """The need of a network.

        Args:
            architecture: architecture of the network.
            settings: training settings.
            images: number of training images.
            kind: kind of device in torch's words: cpu, cuda, mps.
            micro_batch: number of images computed at once; None for the fewest that training falls back to.
        """
        batch_size = settings.images_a_step(images)
        batch = min(batch_size, images)
        # micro-batches follow from the setting, also for a batch that is smaller than it
        least = min(smaller_micro_batch(batch_size), batch)
        weights = _FLOAT32 * architecture.parameters
        # without bfloat16 a GPU computes in float32, which is more
        half = settings.precision == "bfloat16" or (settings.precision == "auto" and kind == "cuda")
        compiled = pays(settings, architecture, images, kind)
        channels, height, width = architecture.input_shape
        return cls(
            micro_batch=least if micro_batch is None else micro_batch,
            state=weights * (1 + _moments(settings) + (settings.evaluation == "averaged")),
            gradients=weights,
            images=_FLOAT32 * batch * channels * height * width,
            kept=(_BFLOAT16 if half else _FLOAT32) * kept_values(architecture, compiled),
        )


def _moments(settings: Training) -> int:
    """Numbers that the optimiser keeps for each weight."""
    return 2 if settings.optimizer == "adam" else int(settings.momentum > 0)


def kept_values(architecture: Architecture, compiled: bool) -> int:
    """Least count of numbers that the forward step of one image keeps for the backward step.

    Every operation declares what it keeps; a tensor kept by several counts once.
    """
    kept = [operation.kept(compiled) for operation in architecture.operations]
    read = {source for source, target in architecture.edges if kept[target].inputs}
    return sum(
        elements(cost.shape)
        for index, (cost, one) in enumerate(zip(architecture.costs, kept, strict=True))
        if one.held and (one.output or index in read)
    )


def check_room(
    what: str,
    need: Need,
    place: str,
    room: int | None,
    *,
    lower: Sequence[str],
    data: int = 0,
    copies: int = 0,
) -> None:
    """Refuse a network that certainly does not fit.

    Args:
        what: what is trained, for the message.
        need: need of one network.
        place: what has the memory, for the message.
        room: bytes of memory there; None if not known.
        lower: names of further settings that lower the need.
        data: bytes of the data set.
        copies: number of copies of it that will be in this memory.

    Raises:
        BadInput: there is too little memory; the message has the need, the memory and what to lower.
    """
    needed = need.total + copies * data
    if room is None or needed <= room:
        return
    several = f"{copies} copies of the data set, {size(data)} each"
    of_data = f", and {several if copies > 1 else f'{size(data)} of data'}" if copies else ""
    raise BadInput(
        f"{what} does not fit: training needs at least {size(needed)} "
        f"({size(need.total)} with {need.micro_batch} images at once{of_data}), "
        f"and {place} has {size(room)}; lower {' or '.join(lower)}"
    )


def size(count: int) -> str:
    """A number of bytes as text for people."""
    return f"{count / 2**30:.1f} GiB" if count >= 2**30 else f"{count / 2**20:.1f} MiB"


def machine_memory(root: Path = Path("/")) -> int | None:
    """Bytes of memory of this machine, or the limit that control groups set to this process, without swap:
    training that swaps is too slow. None if the system does not report it.

    Args:
        root: root of the file system; tests use another.
    """
    try:
        limits = [os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")]
    except (ValueError, OSError):
        limits = []
    try:
        groups = (root / "proc/self/cgroup").read_text().splitlines()
    except OSError:
        groups = []
    for group in groups:
        _, controllers, path = group.split(":", 2)
        if controllers == "":
            limits += _limits(root / "sys/fs/cgroup", path, "memory.max")
        elif "memory" in controllers.split(","):
            limits += _limits(root / "sys/fs/cgroup/memory", path, "memory.limit_in_bytes")
    return min(limits, default=None)


def _limits(mounted: Path, path: str, name: str) -> list[int]:
    """The limits of a control group and of its ancestors. In a container the path can be that on the host;
    the container's own group is then at the mount point."""
    inside = mounted / path.lstrip("/")
    found = []
    for folder in (inside, *inside.parents):
        try:
            text = (folder / name).read_text().strip()
        except OSError:
            text = ""
        if text.isdigit() and int(text) < _UNLIMITED:
            found.append(int(text))
        if folder == mounted:
            break
    return found
