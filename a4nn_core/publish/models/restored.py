"""Using a network that restores images: on image files, and on test images for a picture of what it does."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from a4nn_core.archaeology.style import FAINT, FRONT, INK, MATPLOTLIB, MUTED, series
from a4nn_core.commons.layout import RunFolder
from a4nn_core.commons.records import Network, Run, by_epoch, front_among
from a4nn_core.data.base import DATA_SOURCES, ImageData
from a4nn_core.data.images import Prepared, Unusable, read_images
from a4nn_core.errors import BadInput
from a4nn_core.files import atomic_write, make_folder
from a4nn_core.jsonable import members, number
from a4nn_core.metrics import MFLOPS
from a4nn_core.printable import printable
from a4nn_core.publish.models.export import deployed
from a4nn_core.publish.models.found import find
from a4nn_core.publish.models.onnx_model import OnnxModel
from a4nn_core.vocabulary import Task

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from a4nn_core.commons import Commons

PICTURE = "restored.png"
SHOWN = 6
"""test images in the picture"""
_BATCH = 64


class Restorer(OnnxModel):
    """A network that ``a4nn export`` or ``publish`` wrote as ONNX, applied to image files."""

    task: ClassVar[Task] = Task.restoration

    def restore(self, images: Sequence[Path]) -> Iterator[tuple[Path, NDArray[np.float32]] | Unusable]:
        """Read images, prepare them as those the network was trained on, and restore them.

        Returns:
            for each, in their order, its path and the restored image, shape (channels, height, width); an
                image that cannot be read, does not fit, or becomes no finite numbers spoils no other.
        """
        read = read_images(images, self.preparation)
        while batch := [self.fitting(image) for image in islice(read, _BATCH)]:
            pixels = [image.pixels for image in batch if isinstance(image, Prepared)]
            restored = iter(self.outputs(np.stack(pixels)) if pixels else ())
            for image in batch:
                if isinstance(image, Unusable):
                    yield image
                    continue
                found: NDArray[np.float32] = next(restored)
                if np.isfinite(found).all():
                    yield image.file, found
                else:
                    yield Unusable(image.file, "the network makes values of it that are not finite")


def write_image(image: NDArray[np.float32], file: Path) -> None:
    """Write a restored image as a TIFF file of 32-bit floats, which loses nothing.

    Args:
        image: shape (channels, height, width), of one channel.
        file: the file.

    Raises:
        BadInput: there are several channels, or the file cannot be written.
    """
    from PIL import Image

    if len(image) != 1:
        raise BadInput(
            f"{file}: an image of {len(image)} channels cannot be written as floats in a TIFF file"
        )
    with atomic_write(file) as temporary:
        Image.fromarray(image[0]).save(temporary, format="TIFF")


@dataclass(frozen=True)
class Sample:
    """Test images of a run, and what its best network makes of them.

    Attributes:
        network: number of that network.
        noisy, restored, expected: shape (images, height, width) each, of the first channel.
        decibels: peak signal-to-noise ratio of each restored image.
    """

    network: int
    noisy: NDArray[Any]
    restored: NDArray[Any]
    expected: NDArray[Any]
    decibels: NDArray[Any]


def sample(commons: Commons, run: str, images: int = SHOWN) -> Sample:
    """The first test images of a run, restored by the network of its front with the best ratio.

    Args:
        commons: where the run is.
        run: its id.
        images: how many.

    Raises:
        BadInput: it has no such network, its weights were not kept, its images cannot be loaded, or they have
            changed.
    """
    import torch

    from a4nn_core.training.goals import decibels, squared_errors

    header = commons.run(run)
    if header.task is not Task.restoration:
        raise BadInput(f"the networks of run {run!r} classify images, and restore none")
    known = [n for n in commons.networks(run) if n.trained and n.best_psnr_db is not None]
    if not known:
        raise BadInput(f"run {run!r} has no network that was trained with a result")
    best = max(known, key=lambda network: network.best_psnr_db or 0.0)
    path = None if best.best_checkpoint is None else commons.path / best.best_checkpoint
    if path is None or not path.is_file():
        raise BadInput(f"the weights of network {best.network} of run {run!r} were not kept")
    data = _images(header)
    part = data.test.first(images)
    assert part.expected is not None
    expected = torch.from_numpy(np.ascontiguousarray(part.expected))
    with torch.no_grad():
        given = torch.from_numpy(part.images.astype(np.float32))
        restored = deployed(path, find(commons, run, best.network))(given)
        ratios = decibels(squared_errors(restored, expected), data.peak)
    return Sample(
        best.network, part.images[:, 0], restored[:, 0].numpy(), part.expected[:, 0], ratios.numpy()
    )


def _images(header: Run) -> ImageData:
    data = DATA_SOURCES.make(header.settings("data"), "[data]").load()
    if data.fingerprint != header.dataset_fingerprint:
        raise BadInput(f"the images of run {header.run!r} have changed since it was made")
    return data


def write_picture(commons: Commons, run: str, png: Path | None = None) -> Path:
    """Draw what a run found: the front and the learning curves, with what no network reaches; and some test
    images, noisy, restored and expected, one below the other. 2250 x 2160 pixels.

    Args:
        commons: where the run is.
        run: its id.
        png: the file; ``restored.png`` beside the records of the run if None.

    Raises:
        BadInput: as ``sample``, or the file cannot be written.
    """
    shown = sample(commons, run)
    png = png or RunFolder(commons.path, run).path / PICTURE
    make_folder(png.parent)
    figure = _figure(commons, run, shown)
    with atomic_write(png) as temporary:
        figure.savefig(temporary, format="png", metadata={"Title": printable(run)})
    return png


def _figure(commons: Commons, run: str, shown: Sample) -> Figure:
    import matplotlib as mpl
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    header, networks = commons.run(run), commons.networks(run)
    with mpl.rc_context(MATPLOTLIB):
        figure = Figure(figsize=(10, 9.6), dpi=225, facecolor="white", layout="constrained")
        FigureCanvasAgg(figure)
        figure.suptitle(printable(run), x=0.012, ha="left", fontsize=16, fontweight="bold")
        parts: Any = figure.subfigures(2, 1, height_ratios=[1.0, 1.25])
        above, below = parts
        left, right = above.subplots(1, 2, sharey=True)
        _draw_front(left, header, networks)
        _draw_curves(right, commons, run, shown.network)
        _draw_baselines(above, (left, right), header)
        _draw_images(below, shown)
        return figure


def _draw_front(axes: Axes, header: Run, networks: Sequence[Network]) -> None:
    known = [n for n in networks if n.trained and n.best_psnr_db is not None and n.flops]
    front = {n.network for n in front_among(networks, header.objectives or {})}
    for network in known:
        axes.errorbar(
            (network.flops or 0) / 1e6,
            network.best_psnr_db or 0.0,
            network.best_psnr_se_db,
            fmt="o",
            color=FRONT if network.network in front else MUTED,
            ecolor=FAINT,
            markersize=5,
        )
    axes.set_xscale("log")
    axes.set_xlabel(MFLOPS.label)
    axes.set_ylabel("best PSNR in validation (dB)")
    axes.set_title("networks, those of the front in red", fontsize=11)


def _draw_curves(axes: Axes, commons: Commons, run: str, best: int) -> None:
    curves: dict[int, list[tuple[int, float]]] = {}
    for epoch in by_epoch_of(commons, run):
        if epoch[2] is not None:
            curves.setdefault(epoch[0], []).append((epoch[1], epoch[2]))
    for number_, curve in sorted(curves.items(), key=lambda one: one[0] == best):
        colour, width = (INK, 2.0) if number_ == best else (FAINT, 0.9)
        axes.plot(*zip(*curve, strict=True), color=colour, linewidth=width)
    axes.set_xlabel("epoch")
    axes.set_title(f"learning curves, network {best} in black", fontsize=11)


def by_epoch_of(commons: Commons, run: str) -> Iterator[tuple[int, int, float | None]]:
    """Network, epoch and validation ratio of every epoch of a run, in order."""
    epochs: dict[int, list[Any]] = {}
    for epoch in commons.epochs(run):
        epochs.setdefault(epoch.network, []).append(epoch)
    for network, those in sorted(epochs.items()):
        for epoch in by_epoch(those):
            yield network, epoch.epoch, epoch.validation_psnr_db


def _draw_baselines(figure: Any, both: tuple[Axes, Axes], header: Run) -> None:
    """Lines where images get without a network; those far below all networks are only named."""
    low, high = both[0].get_ylim()
    recorded = header.details.get("baselines")
    found = [
        (str(one.get("name")), ratio)
        for one in map(members, recorded if isinstance(recorded, list) else [])
        if (ratio := number(members(one.get("validation")).get("psnr_db"))) is not None
    ]
    best = max((ratio for _, ratio in found), default=low)
    low = min(low, best - 0.05 * (high - best))
    for place, (name, ratio) in enumerate(found):
        label = f"{name}: {ratio:.1f} dB" + (", below" if ratio < low else "")
        for axes in both:
            axes.axhline(ratio, color=series(place), linewidth=1.4, linestyle=(0, (4, 2)), label=label)
    for axes in both:
        axes.set_ylim(low, high)
    handles, labels = both[1].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=2, fontsize=9.5)


def _draw_images(figure: Any, shown: Sample) -> None:
    rows = (
        ("as measured", shown.noisy),
        (f"restored by network {shown.network}", shown.restored),
        ("expected", shown.expected),
    )
    grid = figure.subplots(3, len(shown.noisy), squeeze=False)
    for row, (title, images) in enumerate(rows):
        for column, image in enumerate(images):
            axes = grid[row][column]
            # restored and expected images of a column have one scale, in which brightness is the square root
            top = float(image.max() if row == 0 else shown.expected[column].max())
            axes.imshow(np.sqrt(np.clip(image, 0, None)), cmap="magma", vmin=0, vmax=np.sqrt(top or 1.0))
            axes.set_xticks([])
            axes.set_yticks([])
            axes.grid(visible=False)
            if row == 1:
                axes.set_xlabel(f"{shown.decibels[column]:.1f} dB", fontsize=9.5)
        grid[row][0].set_ylabel(title, fontsize=9.5)
