"""What does ending training early save and cost? Rules replayed over networks trained to the end.

    python benchmarks/termination.py --data $A4NN_REFERENCE_DATA [--commons DIR --runs RUN ...]

Every network is judged after each epoch, against the front of the generations before its own as the rule left
them; its score is the best accuracy up to where it ends. The genomes are those that the search without a rule
asked for: what worse scores do to the choice of parents is not in these numbers. For the published runs
the engine a4nn uses a law and an interval fitted without the beam, and once more without any published run.
With --commons, runs of one's own without a rule are replayed as well, with the law of the package.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
from prediction import fit_band, fit_law, read, table
from pydantic import Field
from pymoo.indicators.hv import HV

from a4nn_core.metrics import nondominated
from a4nn_core.penguin.engines import make_engine
from a4nn_core.penguin.law import COEFFICIENTS, Band, ErrorLaw
from a4nn_core.termination.base import RULES, Context, FrontSnapshot, TerminationRule, Verdict
from a4nn_core.vocabulary import Action

Network = tuple[int, list[float], float]
"""Generation, validation accuracy in percent after each epoch, multiply-adds in millions."""

INTERVAL = {"name": "interval"}
RULES_SHOWN: dict[str, dict[str, object]] = {
    "published criterion": {"name": "converged"},
    "a4nn": INTERVAL,
    "a4nn, gain 0.05": {**INTERVAL, "gain": 0.05},
    "a4nn, gain 0.5": {**INTERVAL, "gain": 0.5},
}


def published(data: Path, beam: str) -> list[Network]:
    """The hundred networks of a published run without early termination, in generations of ten."""
    rows = pd.read_csv(data / f"icpp23/1gpu/no_early_termination/1gpu_{beam}_training_data.csv")
    groups = [g.sort_values("epoch") for _, g in rows.groupby("arch")]
    return [(i // 10, g.val_accs.tolist(), float(g.flops.iloc[0])) for i, g in enumerate(groups)]


def own(commons: Path, run: str) -> list[Network]:
    """The networks of a run of a commons that were trained to the end."""
    from a4nn_core.commons import Commons

    held = Commons(commons)
    curves: dict[int, list[float]] = {}
    for row in sorted(held.epochs(run), key=lambda row: row.epoch):
        curves.setdefault(row.network, []).append(row.validation_accuracy_percent)
    return [
        (row.generation, curves[row.network], row.flops / 1e6)
        for row in sorted(held.networks(run), key=lambda row: row.network)
        if row.status == "completed"
    ]


class WithFinished(TerminationRule):
    """The engine a4nn, given the curves of the networks that finished in earlier generations."""

    name: Literal["with-finished"] = "with-finished"
    finished: list[list[float]] = Field(default_factory=list)

    def judge(self, curve: Sequence[float], context: Context) -> Verdict:
        if len(curve) < 4:
            return Verdict(Action.proceed)
        prediction = make_engine("a4nn", schedule="annealed").predict(curve, context.horizon, self.finished)
        dominated = any(
            p["error_percent"] < 100 - prediction.high and p["mflops"] <= context.fixed["mflops"]
            for p in context.front.points
        )
        return Verdict(Action.stop if dominated else Action.proceed)


def replay(networks: Sequence[Network], rule: TerminationRule | int) -> tuple[int, np.ndarray]:
    """Epochs saved, and every network's error and cost under a rule, or with a smaller budget."""
    scores: list[tuple[float, float]] = []
    whole: list[list[float]] = []
    saved, generation, points = 0, -1, np.empty((0, 2))
    for number, curve, mflops in networks:
        if number != generation:
            known = np.array(scores).reshape(-1, 2)
            generation, points = number, known[nondominated(known)] if len(known) else known
            if isinstance(rule, WithFinished):
                rule = WithFinished(finished=list(whole))
        context = Context(
            horizon=len(curve),
            schedule="annealed",
            fixed={"mflops": mflops},
            front=FrontSnapshot(number, tuple({"error_percent": e, "mflops": f} for e, f in points)),
        )
        end = len(curve) if not isinstance(rule, int) else rule
        if not isinstance(rule, int):
            ends = (k for k in range(1, len(curve)) if rule.judge(curve[:k], context).action is Action.stop)
            end = next(ends, len(curve))
        saved += len(curve) - end
        if end == len(curve):
            whole.append(curve)
        scores.append((100 - max(curve[:end]), mflops))
    return saved, np.array(scores)


def lines(label: str, networks: Sequence[Network], rules: dict[str, dict[str, object]]) -> Iterator[str]:
    """Rows of the table."""
    epochs = sum(len(curve) for _, curve, _ in networks)
    _, full = replay(networks, RULES.make("none", "rule"))
    front = full[nondominated(full)]
    worst = full.max(axis=0) + 1e-9
    volume = HV(ref_point=worst)
    first: int | None = None
    made: dict[str, TerminationRule] = {name: RULES.make(r, "rule") for name, r in rules.items()}
    if "a4nn, gain 0.5" in made:
        made["a4nn, with the finished networks"] = WithFinished()
    for name, rule in made.items():
        saved, scores = replay(networks, rule)
        yield _line(label, name, saved, epochs, scores, front, full, volume)
        if name == "a4nn":
            first = round(len(networks[0][1]) * (1 - saved / epochs))
    if first is not None:
        saved, scores = replay(networks, first)
        yield _line(label, f"every network {first} epochs", saved, epochs, scores, front, full, volume)


def _line(
    label: str,
    name: str,
    saved: int,
    epochs: int,
    scores: np.ndarray,
    front: np.ndarray,
    full: np.ndarray,
    volume: HV,
) -> str:
    kept = sum(bool((np.abs(scores - p).max(axis=1) < 1e-9).any()) for p in front)
    lost = float(scores[:, 0].min() - full[:, 0].min())
    share = volume(scores[nondominated(scores)]) / volume(front)
    return f"| {label} | {name} | {saved / epochs:.1%} | {kept} of {len(front)} | {share:.4f} | {lost:.3f} |"


@contextmanager
def fitted(law: ErrorLaw, band: Band) -> Iterator[None]:
    """Temporarily replace the law and interval of the engine."""
    before = COEFFICIENTS["as-trained"]
    COEFFICIENTS["as-trained"] = law, band
    try:
        yield
    finally:
        COEFFICIENTS["as-trained"] = before


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--data", type=Path, required=True)
    options.add_argument("--commons", type=Path)
    options.add_argument("--runs", nargs="*", default=[])
    asked = options.parse_args()
    d = table(read(asked.data))
    family = d.source.str.startswith("icpp23")
    print("| run | rule | epochs saved | front kept | hypervolume | best accuracy lost |")
    print("|---|---|---|---|---|---|")
    for beam in ("1e14", "1e15", "1e16"):
        networks = published(asked.data, beam)
        rest = d[d.source != f"icpp23 {beam}"]
        with fitted(fit_law(rest), fit_band(rest)):
            print(*lines(beam, networks, RULES_SHOWN), sep="\n")
        with fitted(fit_law(d[~family]), fit_band(d[~family])):
            alone = {"a4nn, no published run in its fit": INTERVAL}
            print(*lines(beam, networks, alone), sep="\n", flush=True)
    for run in asked.runs:
        print(*lines(run, own(asked.commons, run), RULES_SHOWN), sep="\n", flush=True)


if __name__ == "__main__":
    main()
