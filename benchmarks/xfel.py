"""Speed and accuracy of the XFEL simulator beside the direct sum over atoms.

    python benchmarks/xfel.py --structures adk-open adk-closed
    python benchmarks/xfel.py --structures 1n0u.pdb:A 1n0v.pdb:C --device cuda

A pattern is one orientation of one structure; each is exposed to the three published beams.
"""

from __future__ import annotations

import argparse
import os
import time

import numpy as np
import torch

from a4nn_core.data.xfel.detector import FLUENCES, Detector
from a4nn_core.data.xfel.grid import structure_factor
from a4nn_core.data.xfel.orientations import Orientations, rotation_matrices
from a4nn_core.data.xfel.simulator import Simulator
from a4nn_core.data.xfel.source import load_conformations


def error(simulator: Simulator, points: int = 3000) -> float:
    """Relative L2 error of |F|^2 on random pixels of three orientations, in percent."""
    rng = np.random.default_rng(0)
    q = simulator.detector.q[simulator.detector.photons > 0]
    q = q[rng.permutation(len(q))[:points]]
    turns = rotation_matrices(simulator.orientations.angles(0, 3))
    device = simulator.device
    sliced = simulator.grids[0].slices(
        torch.from_numpy(q).to(device, torch.float32), torch.from_numpy(turns).to(device, torch.float32)
    )
    exact = np.stack([np.abs(structure_factor(simulator.structures[0], q @ turn)) ** 2 for turn in turns])
    return 100 * float(np.linalg.norm(sliced.cpu().numpy() - exact) / np.linalg.norm(exact))


def direct_sum(simulator: Simulator) -> float:
    """Patterns per second by the sum over atoms, without noise."""
    q = simulator.detector.q[simulator.detector.photons > 0]
    count = min(len(q), 2000)
    start = time.perf_counter()
    structure_factor(simulator.structures[0], q[:count])
    return count / len(q) / (time.perf_counter() - start)


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--structures", nargs="+", default=["adk-open", "adk-closed"])
    parser.add_argument("--sizes", nargs="+", type=int, default=[127, 64, 32])
    parser.add_argument("--oversampling", nargs="+", type=float, default=[5, 6, 10])
    parser.add_argument("--orientations", type=int, default=128)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--device", default="cpu")
    chosen = parser.parse_args()
    torch.set_num_threads(chosen.threads)
    structures = load_conformations(chosen.structures)
    print(f"{chosen.threads} threads, {chosen.device}, load {os.getloadavg()[0]:.1f}")
    print("| pixels | oversampling | grid points | grid, s | error of F^2, % | patterns/s | direct sum/s |")
    print("|---|---|---|---|---|---|---|")
    for size in chosen.sizes:
        for oversampling in chosen.oversampling:
            simulator = Simulator(
                structures, Detector(size), Orientations(0), oversampling=oversampling, device=chosen.device
            )
            start = time.perf_counter()
            points = max(grid.values.shape[0] for grid in simulator.grids)
            grid_seconds = time.perf_counter() - start
            fluences = list(FLUENCES.values())
            simulator.patterns(0, 8, fluences)
            rates = []
            for turn in range(3):
                begin = turn * chosen.orientations
                start = time.perf_counter()
                simulator.patterns(begin, begin + chosen.orientations, fluences)
                rates.append(chosen.orientations * len(structures) / (time.perf_counter() - start))
            print(
                f"| {size} | {oversampling:g} | {points} | {grid_seconds:.1f} | {error(simulator):.2f} "
                f"| {np.median(rates):.0f} | {direct_sum(simulator):.2f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
