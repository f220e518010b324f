"""One picture of simulated patterns: patterns in each beam, silhouettes of the molecules, radial profiles."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from a4nn_core.data.xfel.layout import beam_name
from a4nn_core.data.xfel.orientations import rotation_matrices
from a4nn_core.data.xfel.simulator import Simulator
from a4nn_core.errors import BadInput
from a4nn_core.files import atomic_write, make_folder

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

ENDINGS = (".png", ".svg", ".pdf")
_PROFILE_ORIENTATIONS = 100
_COLOURS = ("#4477aa", "#ee6677", "#228833", "#ccbb44", "#66ccee", "#aa3377")


def preview(simulator: Simulator, fluences: Sequence[float], file: Path, number: int = 0) -> None:
    """Draw the conformations in one orientation at every beam, their silhouettes, and radial profiles.

    Args:
        simulator: simulator of the structures.
        fluences: photons per square micrometre and pulse, one column each.
        file: path of the picture, ending in .png, .svg or .pdf.
        number: number of the orientation.

    Raises:
        BadInput: the file has another ending, or cannot be written.
    """
    if file.suffix.lower() not in ENDINGS:
        raise BadInput(f"preview {file} must end in {', '.join(ENDINGS)}")
    figure = _draw(simulator, fluences, number)
    make_folder(file.parent)
    with atomic_write(file) as temporary:
        # without the time, so that the same patterns are the same file
        figure.savefig(temporary, format=file.suffix[1:].lower(), metadata=_NO_TIME.get(file.suffix.lower()))


_NO_TIME: dict[str, dict[str, Any]] = {".svg": {"Date": None}, ".pdf": {"CreationDate": None}}


def _draw(simulator: Simulator, fluences: Sequence[float], number: int) -> Figure:
    from matplotlib.figure import Figure

    classes, beams = len(simulator.structures), len(fluences)
    figure = Figure(figsize=(2.3 * (beams + 1) + 0.4, 2.5 * (classes + 1)), layout="constrained", dpi=150)
    grid = figure.add_gridspec(classes + 1, beams + 1, height_ratios=[1] * classes + [1.1])
    counts = simulator.patterns(number, number + 1, fluences)[0]
    turn = rotation_matrices(simulator.orientations.angles(number, number + 1))[0]
    for label, structure in enumerate(simulator.structures):
        axis = figure.add_subplot(grid[label, 0])
        _silhouette(axis, structure.xyz @ turn.T, simulator)
        axis.set_ylabel(structure.name, fontsize=10)
        if label == 0:
            axis.set_title("seen by the beam", fontsize=9)
        for place, fluence in enumerate(fluences):
            axis = figure.add_subplot(grid[label, place + 1])
            _pattern(axis, counts[label, place], simulator)
            if label == 0:
                axis.set_title(f"{beam_name(fluence)} photons/µm²", fontsize=9)
            photons, lit = int(counts[label, place].sum()), int((counts[label, place] > 0).sum())
            axis.set_xlabel(f"{photons:,} photons, {lit:,} pixels lit", fontsize=7)
    _profiles(figure.add_subplot(grid[classes, :]), simulator, fluences)
    return figure


def _silhouette(axis: Axes, xyz: NDArray[Any], simulator: Simulator) -> None:
    """Draw the atoms along the beam, near ones darker; all structures at the same scale, with a bar."""
    # from the centre of mass: it need not be the middle
    reach = 1.05 * max(float(np.linalg.norm(s.xyz, axis=1).max()) for s in simulator.structures)
    x, y, depth = xyz[np.argsort(xyz[:, 2])].T
    axis.scatter(x, y, s=3, c=depth, cmap="Blues", vmin=-2 * reach, vmax=reach, linewidths=0, rasterized=True)
    axis.set(xlim=(-reach, reach), ylim=(reach, -reach), xticks=[], yticks=[], aspect="equal")
    bar = 20 if reach < 100 else 10 ** int(np.log10(reach))
    axis.plot([-0.9 * reach, -0.9 * reach + bar], [0.92 * reach] * 2, color="black", linewidth=2)
    axis.text(-0.9 * reach, 0.87 * reach, f"{bar} Å", fontsize=7, verticalalignment="bottom")
    axis.spines[:].set_visible(False)


def _pattern(axis: Axes, counts: NDArray[Any], simulator: Simulator) -> None:
    shown = np.ma.masked_where(simulator.detector.photons == 0, np.log1p(counts.astype(float)))
    axis.imshow(
        shown, cmap="magma", vmin=0, vmax=max(float(np.log1p(counts.max())), 1.0), interpolation="none"
    )
    axis.set_facecolor("#808080")  # behind the beam stop
    axis.set(xticks=[], yticks=[])


def _profiles(axis: Axes, simulator: Simulator, fluences: Sequence[float]) -> None:
    """Draw the mean photons per pixel against resolution, over many orientations, one line per structure and
    beam."""
    angles = simulator.orientations.angles(
        0, min(_PROFILE_ORIENTATIONS, simulator.orientations.count or 10**9)
    )
    styles = ("-", "--", ":", "-.")
    for label, structure in enumerate(simulator.structures):
        # photons are proportional to the fluence: one set of expectations is enough
        mean = simulator.expected(label, angles, 1.0).mean(axis=0)
        q, profile = radial_profile(mean, simulator)
        for place, fluence in enumerate(fluences):
            axis.plot(
                q, profile * fluence, color=_COLOURS[label % len(_COLOURS)],
                linestyle=styles[place % len(styles)], linewidth=1.2,
                label=f"{structure.name}, {beam_name(fluence)}",
            )  # fmt: skip
    axis.axhline(1, color="#999999", linewidth=0.8)
    axis.set(yscale="log", xlabel="q = 1/d (1/Å)", ylabel="expected photons per pixel")
    top = axis.secondary_xaxis("top", functions=(_inverse, _inverse))
    top.set_xlabel("resolution d (Å)", fontsize=8)
    top.set_xticks(
        [d for d in (100, 60, 40, 30, 25, 20, 16, 14, 12, 10, 8, 6, 5, 4, 3) if q[0] <= 1 / d <= q[-1]]
    )
    top.tick_params(labelsize=7)
    axis.legend(frameon=False, fontsize=7, ncols=len(simulator.structures))
    axis.spines[["right"]].set_visible(False)


def _inverse(x: Any) -> Any:
    with np.errstate(divide="ignore"):
        return 1 / np.asarray(x, dtype=float)


def radial_profile(
    image: NDArray[Any], simulator: Simulator
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean of an image over rings one pixel wide, outside the beam stop.

    Args:
        image: shape (size, size).
        simulator: has the detector's geometry.

    Returns:
        q of the rings in 1/Angstrom, shape (rings,), and the means, shape (rings,).
    """
    detector = simulator.detector
    seen = detector.photons > 0
    rings = detector.radius[seen].astype(int)
    pixels = np.bincount(rings)
    full = np.flatnonzero(pixels)
    q = np.bincount(rings, np.linalg.norm(detector.q[seen], axis=-1))[full] / pixels[full]
    return q, np.bincount(rings, image[seen])[full] / pixels[full]
