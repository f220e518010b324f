"""How much training does a strategy save in the published searches? Searches on a surrogate of each beam.

    python benchmarks/surrogate_search.py --data $A4NN_REFERENCE_DATA [--seeds 10]

The final error of any genome of the macro space is estimated by extremely randomised trees fitted to the 100
networks of a published run without early termination, a model unlike the one by which a4nn chooses. A
strategy is told this error as counted on the 15,876 validation images of the published runs. Shown is the
hypervolume of the networks that were asked for, by their errors without counting noise, as a share of that of
the front of all networks of all searches of a beam, with the reference at its worst corner. With a prior, the
published runs of the two other beams are given as earlier runs; "begins with" asks for so many of their best
networks first ([prior] best).
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pymoo.indicators.hv import HV
from sklearn.ensemble import ExtraTreesRegressor

from a4nn_core.cli.importing import macro_127
from a4nn_core.experiment import Experiment
from a4nn_core.interchange.icpp23 import import_icpp23
from a4nn_core.metrics import nondominated
from a4nn_core.penguin.measure import Accuracy
from a4nn_core.penguin.observed import Observed, Past
from a4nn_core.search import Outcome, Study, no_violation
from a4nn_core.search.a4nn import A4NN
from a4nn_core.search.nsga_net import NSGANet
from a4nn_core.search.random_search import Random
from a4nn_core.spaces import Architecture, Genome
from a4nn_core.spaces.features import architecture_features
from a4nn_core.spaces.macro import Macro
from a4nn_core.workflow.best import best_genomes

Floats = NDArray[np.float64]
BEAMS = ("1e14", "1e15", "1e16")
IMAGES = 15_876
HORIZON = 25
SPACE = Macro()
AT = (10, 20, 30, 40, 60, 100, 200)
LITTLE = 0.02
"""percent; added to errors, of which logarithms are taken"""


class Genomes:
    """What follows from genomes, worked out once."""

    def __init__(self) -> None:
        self.architectures: dict[str, Architecture] = {}

    def decode(self, genome: Genome) -> Architecture:
        """The architecture; sizes of images change no ranking of costs."""
        key = str(genome)
        if key not in self.architectures:
            self.architectures[key] = SPACE.decode(genome, (1, 128, 128), 2)
        return self.architectures[key]

    def observed(self, genome: Genome, accuracy: tuple[float, ...], training: tuple[float, ...]) -> Observed:
        """A network with its curves."""
        return Observed(architecture_features(self.decode(genome)), accuracy, training)


class Surrogate:
    """Final errors in percent."""

    def __init__(self, genomes: list[Genome], errors: list[float], known: Genomes) -> None:
        self.known = known
        self.memory: dict[str, float] = {}
        self.model = ExtraTreesRegressor(300, min_samples_leaf=2, random_state=0)
        self.model.fit([self._row(genome) for genome in genomes], np.log(np.array(errors) + LITTLE))

    def error(self, genome: Genome) -> float:
        """The error of a genome, worked out once."""
        key = str(genome)
        if key not in self.memory:
            logarithm = self.model.predict([self._row(genome)])[0]
            self.memory[key] = max(float(np.exp(logarithm)) - LITTLE, 0.0)
        return self.memory[key]

    def _row(self, genome: Genome) -> list[float]:
        architecture = self.known.decode(genome)
        return [*SPACE.genes(genome).tolist(), np.log(architecture.flops), np.log(architecture.parameters)]


def table(data: Path, beam: str) -> Path:
    """The file of a published run without termination."""
    return data / f"icpp23/1gpu/no_early_termination/1gpu_{beam}_training_data.csv"


def best_of_others(data: Path, known: Genomes) -> dict[str, tuple[Genome, ...]]:
    """For each beam the networks of the two other runs, the best first, as ``[prior] best`` takes them."""
    with tempfile.TemporaryDirectory() as folder:
        commons = Path(folder)
        runs = {}
        for beam in BEAMS:
            count = import_icpp23(table(data, beam), commons, macro_127, beam)
            runs[beam] = {"run": beam, "networks": f"0-{count - 1}"}
        wanted = Experiment.from_mapping(
            {
                "name": "surrogate",
                "data": {"name": "digits"},
                "space": {"name": "macro"},
                "search": {"name": "nsga-net"},
                "termination": "none",
                "prior": {"runs": list(BEAMS), "best": 1},
            }
        )
        return {
            beam: best_genomes(wanted, commons, [runs[o] for o in BEAMS if o != beam], known.decode)
            for beam in BEAMS
        }


def read(data: Path, beam: str) -> list[tuple[Genome, tuple[float, ...], tuple[float, ...]]]:
    """Genome, validation and training accuracy of the networks of a published run without termination."""
    rows = pd.read_csv(table(data, beam))
    groups = [group.sort_values("epoch") for _, group in rows.groupby("arch")]
    return [(json.loads(g.genome.iloc[0]), tuple(g.val_accs), tuple(g.train_accs)) for g in groups]


def search(
    settings: NSGANet | A4NN | Random,
    seed: int,
    truth: Surrogate,
    known: Genomes,
    past: tuple[Past, ...],
    first: Sequence[Genome],
) -> Floats:
    """Error and multiply-adds of the networks that a strategy asks for, ``first`` before its own; shape
    (networks, 2)."""
    study = Study(known.decode, HORIZON, Accuracy(IMAGES), "as-trained", past)
    strategy = settings.begin(SPACE, seed, no_violation, study)
    strategy.sow(first)
    rng = np.random.default_rng([seed, 7])
    points: list[tuple[float, float]] = []
    while not strategy.finished:
        for candidate in strategy.ask(10):
            error, mflops = truth.error(candidate.genome), known.decode(candidate.genome).flops / 1e6
            counted = 100 * rng.binomial(IMAGES, error / 100) / IMAGES
            points.append((error, mflops))
            strategy.tell(Outcome(candidate.number, {"error_percent": counted, "mflops": mflops}))
    return np.array(points)


def main() -> None:
    """Print one table for all beams."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of the reference data")
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--networks", type=int, default=200, help="of strategies without a model")
    options = parser.parse_args()
    known = Genomes()
    runs = {beam: read(options.data, beam) for beam in BEAMS}
    earlier = {
        beam: Past(
            beam, HORIZON, Accuracy(IMAGES), "as-trained", tuple(known.observed(*one) for one in runs[beam])
        )
        for beam in BEAMS
    }
    best = best_of_others(options.data, known)
    many = options.networks
    print("| beam | strategy |" + "".join(f" {count} |" for count in AT))
    print("|---" * (len(AT) + 2) + "|")
    for beam in BEAMS:
        truth = Surrogate([g for g, _, _ in runs[beam]], [100 - max(v) for _, v, _ in runs[beam]], known)
        others = tuple(earlier[other] for other in BEAMS if other != beam)
        found = {
            name: [search(settings, seed, truth, known, past, first) for seed in range(options.seeds)]
            for name, settings, past, first in (
                ("random", Random(networks=many), (), ()),
                ("random, begins with 10 of other beams", Random(networks=many), (), best[beam][:10]),
                ("nsga-net", NSGANet(networks=many), (), ()),
                ("nsga-net, begins with 10 of other beams", NSGANet(networks=many), (), best[beam][:10]),
                ("a4nn", A4NN(networks=60), (), ()),
                ("a4nn, other beams as prior", A4NN(networks=60), others, ()),
                ("a4nn, the same, begins with 5 of them", A4NN(networks=60), others, best[beam][:5]),
            )
        }
        points = np.concatenate([one for searches in found.values() for one in searches])
        front = points[nondominated(points)]
        volume = HV(ref_point=front.max(axis=0) + 1e-9)
        for name, searches in found.items():
            counts = [count for count in AT if count <= len(searches[0])]
            shares = [[volume(one[:count]) / volume(front) for one in searches] for count in counts]
            cells = [f"{np.mean(share):.2f} +- {np.std(share):.2f}" for share in shares]
            print(
                f"| {beam} | {name} | " + " | ".join([*cells, *["-"] * (len(AT) - len(cells))]) + " |",
                flush=True,
            )


if __name__ == "__main__":
    main()
