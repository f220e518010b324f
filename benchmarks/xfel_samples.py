"""The simulator beside the three published sample patterns: one orientation of eEF2 (1n0vc) at three beams.

    A4NN_REFERENCE_DATA=... python benchmarks/xfel_samples.py --picture samples.png

Finds the orientation that makes the lit and dark pixels of all three samples likeliest, prints lit pixels
beside the simulator's own spread, and draws a simulated exposure for each beam and radial profiles; with
--samples the samples, too. These are 8-bit JPEGs that tell lit from dark pixels, not how many photons a pixel
caught.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from a4nn_core.data.xfel.detector import FLUENCES, SQUARE_ANGSTROMS, Detector
from a4nn_core.data.xfel.layout import beam_name
from a4nn_core.data.xfel.orientations import Orientations
from a4nn_core.data.xfel.preview import radial_profile
from a4nn_core.data.xfel.simulator import Simulator
from a4nn_core.data.xfel.structure_files import load_structure

BEAMS = [beam_name(fluence) for fluence in FLUENCES.values()]
SCALES = np.array([fluence / SQUARE_ANGSTROMS for fluence in FLUENCES.values()])


def samples(folder: Path) -> np.ndarray:
    """Which pixels are lit, shape (beams, 127, 127)."""
    names = [folder / f"{beam}_ef2_1n0vc_ptm07957.jpg" for beam in BEAMS]
    return np.stack([np.asarray(Image.open(name).convert("L")) > 127 for name in names])


def log_likelihood(simulator: Simulator, lit: np.ndarray, angles: np.ndarray) -> np.ndarray:
    """Of lit and dark pixels outside the stop, all beams together, for each orientation."""
    seen = simulator.detector.photons > 0
    total = []
    for start in range(0, len(angles), 32):
        expected = simulator.expected(0, angles[start : start + 32], SQUARE_ANGSTROMS)[:, seen]
        score = np.zeros(len(expected))
        for scale, pixels in zip(SCALES, lit[:, seen], strict=True):
            photons = np.maximum(expected * scale, 1e-9)
            score += np.log(-np.expm1(-photons[:, pixels])).sum(axis=1) - photons[:, ~pixels].sum(axis=1)
        total.append(score)
    return np.concatenate(total)


def orientation(simulator: Simulator, lit: np.ndarray, tries: int) -> tuple[np.ndarray, float]:
    """Phi, theta, psi in degrees of the likeliest orientation, and its log likelihood."""
    rng = np.random.default_rng(0)
    angles = simulator.orientations.angles(0, tries)
    scores = log_likelihood(simulator, lit, angles)
    print(f"{tries} orientations: best {scores.max():.1f}, median {np.median(scores):.1f}")
    best = [angles[i] for i in np.argsort(-scores)[:8]]
    for scale in (6.0, 3.0, 1.5, 0.7, 0.3, 0.1):
        near = np.concatenate([[a, *(a + rng.normal(0, scale, (40, 3)))] for a in best])
        scores = log_likelihood(simulator, lit, near)
        best = [near[i] for i in np.argsort(-scores)[:3]]
    return best[0], float(scores.max())


def draw(simulator: Simulator, lit: np.ndarray, angles: np.ndarray, path: Path, with_samples: bool) -> None:
    """Simulated exposures, with the samples above where wanted; profiles at the right."""
    from matplotlib.figure import Figure

    rng = np.random.default_rng(1)
    rows = ("published", "simulated") if with_samples else ("simulated",)
    figure = Figure(figsize=(11, 2.2 * len(rows) + 0.8 * (3 - len(rows))), layout="constrained", dpi=130)
    axes = figure.subplot_mosaic([[f"{row}{i}" for i in range(3)] + ["p", "p"] for row in rows])
    expected = simulator.expected(0, angles[None], SQUARE_ANGSTROMS)[0]
    for place, (beam, scale, colour) in enumerate(
        zip(BEAMS, SCALES, ("#4477aa", "#ccbb44", "#ee6677"), strict=True)
    ):
        exposed = rng.poisson(expected * scale) > 0
        for row in rows:
            image = lit[place] if row == "published" else exposed
            axes[f"{row}{place}"].imshow(image, cmap="gray", interpolation="none")
            axes[f"{row}{place}"].set_title(f"{beam}, {row}: {image.sum():,} lit", fontsize=8)
            axes[f"{row}{place}"].set_axis_off()
        q, wanted = radial_profile(1 - np.exp(-expected * scale), simulator)
        q, found = radial_profile(lit[place].astype(float), simulator)
        axes["p"].plot(q, wanted, color=colour, label=f"{beam}, simulator")
        axes["p"].plot(
            q, np.where(found > 0, found, np.nan), ".", color=colour, markersize=4, label=f"{beam}, sample"
        )
    axes["p"].set(yscale="log", xlabel="q = 1/d (1/Å)", ylabel="share of lit pixels in a ring")
    axes["p"].legend(frameon=False, fontsize=7)
    axes["p"].spines[["top", "right"]].set_visible(False)
    figure.savefig(path)


def main() -> None:
    """Search, compare, draw."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--tries", type=int, default=6000)
    parser.add_argument("--pitch", type=float, nargs="+", default=[Detector().reference_pitch])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--picture", type=Path)
    parser.add_argument("--samples", action="store_true", help="draw the samples, too")
    chosen = parser.parse_args()
    torch.set_num_threads(chosen.threads)
    root = Path(os.environ["A4NN_REFERENCE_DATA"])
    lit = samples(root / "icpp23")
    structure = load_structure(f"{root}/structures/1n0v_chainC.pdb")
    for pitch in chosen.pitch:
        simulator = Simulator([structure], Detector(reference_pitch=pitch), Orientations(0))
        angles, score = orientation(simulator, lit, chosen.tries)
        print(f"pitch {pitch:g}: phi, theta, psi = {angles.round(2).tolist()}, log likelihood {score:.1f}")
        expected = simulator.expected(0, angles[None], SQUARE_ANGSTROMS)[0]
        for beam, scale, sample in zip(BEAMS, SCALES, lit, strict=True):
            chance = -np.expm1(-expected * scale)
            mean, spread = chance.sum(), np.sqrt((chance * (1 - chance)).sum())
            print(f"{beam}: {sample.sum()} lit in the sample, {mean:.0f} +- {spread:.0f} simulated")
    if chosen.picture:
        draw(simulator, lit, angles, chosen.picture, chosen.samples)


if __name__ == "__main__":
    main()
