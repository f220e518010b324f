"""What does each rule save and lose on the published runs, at a setting that was chosen without them?

    python benchmarks/stopping.py --data $A4NN_REFERENCE_DATA [--figure docs/images/stopping.png] [--steady]

Every rule has at most five settings. The one that a beam's line shows was chosen on the other two beams: of
those whose mean regret there is at most one standard error, the one that saves most epochs; if there is none,
the one with the least regret. The figure shows all settings. Writes Markdown to the standard output.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from a4nn_core.cli.importing import macro_127
from a4nn_core.commons import Commons
from a4nn_core.interchange.icpp23 import import_icpp23
from a4nn_core.replay.figure import LOSS, tradeoff_figure
from a4nn_core.replay.histories import RunHistory, read_history
from a4nn_core.replay.i_epoch import IEpochs
from a4nn_core.replay.laboratory import Replayed, replay, with_fixed
from a4nn_core.termination import RULES

BEAMS = ("1e14", "1e15", "1e16")
IMAGES = 15_876

GRID: dict[str, list[dict[str, object]]] = {
    "fixed": [{"epochs": epochs} for epochs in (6, 9, 12, 15, 18)],
    "patience": [{"epochs": epochs} for epochs in (3, 5, 8, 11, 14)],
    "saturation": [
        {"epochs": epochs, "resolution": resolution}
        for epochs, resolution in ((4, 1.0), (6, 1.0), (8, 1.0), (11, 1.0), (8, 2.0))
    ],
    "converged": [{"tolerance": tolerance} for tolerance in (0.1, 0.25, 0.5, 1.0, 2.0)],
    "interval": [{"gain": gain} for gain in (0.0, 0.02, 0.05, 0.2, 0.5)],
    "median": [{"warmup": warmup} for warmup in (1, 3, 6, 9, 12)],
    "percentile": [{"percentile": percentile} for percentile in (25, 50, 75, 90, 97)],
    "dominance": [
        {"percentile": percentile, "warmup": warmup}
        for percentile, warmup in ((10, 2), (10, 3), (25, 3), (10, 5), (50, 3))
    ],
    "successive-halving": [
        {"first": first, "eta": eta} for first, eta in ((1, 2), (2, 2), (4, 2), (3, 3), (6, 2))
    ],
    "moasha": [{"first": first, "eta": eta} for first, eta in ((1, 2), (2, 2), (4, 2), (3, 3), (6, 2))],
    "layers": [
        {"epochs": epochs, "layers": layers, "at_the_end": True}
        for epochs, layers in ((2, 2), (2, 3), (2, 4), (3, 3), (4, 3))
    ],
    "layers, by generation": [
        {"epochs": epochs, "layers": layers} for epochs, layers in ((1, 1), (2, 1), (2, 2), (2, 3), (3, 1))
    ],
}
"""Settings of each rule; a name may say more than the rule's, after a comma."""


def read(data: Path) -> list[RunHistory]:
    """The published runs without termination."""
    with tempfile.TemporaryDirectory() as folder:
        commons = Path(folder)
        for beam in BEAMS:
            table = data / f"icpp23/1gpu/no_early_termination/1gpu_{beam}_training_data.csv"
            import_icpp23(table, commons, macro_127, beam)
        return [read_history(Commons(commons), beam, IMAGES) for beam in BEAMS]


def replayed(
    histories: Sequence[RunHistory], name: str, settings: dict[str, object], steady: bool
) -> list[Replayed]:
    """A rule with some settings on each beam."""
    rule = RULES.make({"name": name.partition(",")[0], **settings}, "rule")
    text = ", ".join(f"{key} {value}" for key, value in settings.items() if value is not True)
    done = (replay(history, rule, steady=steady, name=text) for history in histories)
    return [replace(one, family=name) for one in done]


def chosen(settings: Sequence[Sequence[Replayed]], beam: int) -> Replayed:
    """The replay on a beam with the setting that is best on the others.

    Args:
        settings: for each setting, its replay on each beam.
        beam: index of the beam.
    """

    def elsewhere(replays: Sequence[Replayed]) -> tuple[float, float]:
        others = [one for index, one in enumerate(replays) if index != beam]
        regrets = [one.front_regret_se or 0.0 for one in others]
        return sum(regrets) / len(others), sum(one.epochs_saved_percent for one in others) / len(others)

    def order(replays: Sequence[Replayed]) -> tuple[bool, float]:
        regret, saved = elsewhere(replays)
        return (False, -saved) if regret <= LOSS else (True, regret)

    return min(settings, key=order)[beam]


def row(one: Replayed, beside: IEpochs) -> str:
    """A line of the table."""
    compared = beside.compare(one)
    cells = [
        one.run,
        f"`{one.family.partition(',')[0]}`{''.join(one.family.partition(',')[1:])}",
        one.rule or "-",
        f"{one.epochs_saved_percent:.1f}",
        f"{one.flop_epochs_saved_percent:.1f}",
        f"{one.front_regret_points:.2f}",
        f"{one.front_regret_se:.1f}",
        f"{one.mean_regret_se:.1f}",
        f"{one.hypervolume_share:.3f}",
        f"{one.front_finished} of {one.front_size}",
        "yes" if one.best_kept else "no",
        f"{one.fixed_regret_se:.1f}",
        f"{one.fixed_hypervolume_share:.3f}",
        f"{compared.complement:.3f}",
    ]
    return f"| {' | '.join(cells)} |"


HEADER = (
    "| beam | rule | setting | epochs saved, % | FLOP-epochs | regret, points | in s.e. | mean | hypervolume "
    "| front finished | best kept | `fixed`: in s.e. | hypervolume | beyond i-Epoch |"
)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--data", type=Path, required=True)
    options.add_argument("--figure", type=Path)
    options.add_argument("--steady", action="store_true")
    asked = options.parse_args()
    histories = read(asked.data)
    everything: dict[str, list[list[Replayed]]] = {}
    seconds: dict[str, float] = {}
    for name, grid in GRID.items():
        started = time.process_time()
        everything[name] = [replayed(histories, name, settings, asked.steady) for settings in grid]
        seconds[name] = (time.process_time() - started) / (len(grid) * len(histories))
    print(HEADER)
    print("|---" * HEADER.count(" |") + "|")
    for beam, history in enumerate(histories):
        trivial = IEpochs(history)
        for settings in everything.values():
            print(row(with_fixed(history, chosen(settings, beam)), trivial))
    print("\nreplays a minute on one core:")
    print(", ".join(f"`{name}` {60 / each:,.0f}" for name, each in seconds.items()))
    if asked.figure is not None:
        shown = [one for settings in everything.values() for replays in settings for one in replays]
        tradeoff_figure(shown, asked.figure)


if __name__ == "__main__":
    main()
