"""What does each rule save and lose, at a setting that was chosen without the runs it is shown for?

    python benchmarks/stopping.py --data $A4NN_REFERENCE_DATA [--figure docs/images/stopping.png] [--steady]
    python benchmarks/stopping.py --commons DIR [--figure FILE]

The first replays the published runs, a group for each beam; the second the complete runs of a commons, a
group for each data set (of xfel, for each beam). Every rule has at most five settings. The one that a group's
line shows was chosen on the other groups: of those whose mean regret there is at most one standard error, the
one that saves most epochs; if there is none, the one with the least regret. The figure, and the table with
``--every``, show all settings.

``--cache FOLDER`` keeps every replay in a file and does none twice, so that ``--rules`` can be added to what
is there; use a folder for each source of runs. Writes Markdown to the standard output.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import PrivateAttr

from a4nn_core.cli.importing import macro_127
from a4nn_core.commons import Commons
from a4nn_core.errors import BadInput
from a4nn_core.interchange.icpp23 import import_icpp23
from a4nn_core.penguin.measure import Kind
from a4nn_core.penguin.observed import Past
from a4nn_core.penguin.slopes import TABLES, Slopes, fit_slopes
from a4nn_core.replay.figure import LOSS, tradeoff_figure
from a4nn_core.replay.histories import RunHistory, read_history
from a4nn_core.replay.i_epoch import IEpochs
from a4nn_core.replay.laboratory import Replayed, replay, with_fixed
from a4nn_core.termination import RULES
from a4nn_core.termination.base import TerminationRule
from a4nn_core.termination.front import Front
from a4nn_core.termination.peers import PeerJudge
from a4nn_core.vocabulary import RunStatus

BEAMS = ("1e14", "1e15", "1e16")
IMAGES = 15_876
EARLIER = "front, earlier runs"

_FRONT: list[dict[str, object]] = [
    {},
    {"epochs": 1},
    {"epochs": 3},
    {"promise": 0.1, "final_promise": 0.05},
    {"promise": 0.4, "final_promise": 0.2},
]
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
    "front": _FRONT,
    EARLIER: _FRONT,
}
"""Settings of each rule; a name may say more than the rule's, after a comma."""

Groups = dict[str, list[Replayed]]
"""The replays of a rule with some settings on the runs of each group, by the group's name."""


class Fitted(Front):
    """The rule ``front`` with lines that were fitted to given runs in place of the package's."""

    name: Literal["front"] = "front"
    _slopes: Mapping[Kind, Slopes] = PrivateAttr(default_factory=dict)

    @classmethod
    def to(cls, slopes: Mapping[Kind, Slopes], **settings: object) -> Fitted:
        """The rule with these lines."""
        rule = cls.model_validate(settings)
        rule._slopes = slopes
        return rule

    def begin(self, slopes: Mapping[Kind, Slopes] = TABLES) -> PeerJudge:
        """See Front."""
        return super().begin({**slopes, **self._slopes})


@dataclass(frozen=True)
class Source:
    """Runs, by group.

    Attributes:
        groups: the runs of each, by its name.
        in_package: whether the lines of the package were fitted to these runs: ``front`` then needs others.
    """

    groups: Mapping[str, Sequence[RunHistory]]
    in_package: bool

    def others(self, group: str) -> tuple[Past, ...]:
        """The runs of all other groups, as something to learn from."""
        return tuple(run.past for name, runs in self.groups.items() if name != group for run in runs)

    @cached_property
    def slopes(self) -> Mapping[str, Mapping[Kind, Slopes]]:
        """What replaces the lines of the package when a group is judged: lines fitted to the other groups."""
        if not self.in_package:
            return {name: {} for name in self.groups}
        shares = TABLES["as-trained"].fractions
        return {name: {"as-trained": fit_slopes(self.others(name), shares)} for name in self.groups}


def published(data: Path) -> Source:
    """The published runs without termination."""
    with tempfile.TemporaryDirectory() as folder:
        commons = Path(folder)
        for beam in BEAMS:
            table = data / f"icpp23/1gpu/no_early_termination/1gpu_{beam}_training_data.csv"
            import_icpp23(table, commons, macro_127, beam)
        groups = {beam: [read_history(Commons(commons), beam, IMAGES)] for beam in BEAMS}
    return Source(groups, in_package=True)


def recorded(folder: Path) -> Source:
    """The completed runs of a commons in which every network was trained to the end."""
    commons, groups = Commons(folder), dict[str, list[RunHistory]]()
    for run in commons.runs():
        header = commons.run(run)
        if header.status != RunStatus.completed:
            print(f"left out: run {run!r} is {header.status}", file=sys.stderr)
            continue
        try:
            history = read_history(commons, run)
        except BadInput as error:
            print(f"left out: {error}", file=sys.stderr)
            continue
        data = header.settings("data")
        groups.setdefault(str(data.get("beam") or data.get("name")), []).append(history)
    if len(groups) < 2:
        raise SystemExit(f"settings are chosen on other data sets, and {folder} has {len(groups)} with runs")
    return Source(dict(sorted(groups.items(), key=_ease)), in_package=False)


def _ease(group: tuple[str, Sequence[RunHistory]]) -> float:
    """What networks reach on a data set in the median, in percent; the hardest comes first."""
    return float(np.median([max(one.accuracy_percent) for run in group[1] for one in run.networks]))


@dataclass(frozen=True)
class Bench:
    """Replays rules on a source of runs.

    Attributes:
        steady: the schedule.
        cache: folder with replays that were done before; None to do all.
    """

    source: Source
    steady: bool = False
    cache: Path | None = None

    def replayed(self, name: str, settings: Mapping[str, object]) -> tuple[Groups, float]:
        """A rule with some settings on all runs, and the seconds that a replay took on average."""
        found: Groups = {}
        seconds = []
        for group, runs in self.source.groups.items():
            for history in runs:
                done, took = self._one(name, settings, group, history)
                found.setdefault(group, []).append(done)
                seconds.append(took)
        return found, sum(seconds) / len(seconds)

    def _one(
        self, name: str, settings: Mapping[str, object], group: str, history: RunHistory
    ) -> tuple[Replayed, float]:
        text = ", ".join(f"{key} {value}" for key, value in settings.items() if value is not True)
        schedule = "steady" if self.steady else "generational"
        kept = self.cache / f"{name}; {text}; {schedule}; {history.run}.json" if self.cache else None
        if kept is not None and kept.exists():
            stored = json.loads(kept.read_text())
            fields = stored["replayed"] | {"epochs": tuple(stored["replayed"]["epochs"])}
            return Replayed(**fields), stored["seconds"]
        past = self.source.others(group) if name == EARLIER else ()
        started = time.process_time()
        done = replay(history, self._rule(name, settings, group), steady=self.steady, name=text, past=past)
        took = time.process_time() - started
        done = replace(with_fixed(history, done), rule=text, family=name)
        if kept is not None:
            kept.parent.mkdir(parents=True, exist_ok=True)
            kept.write_text(json.dumps({"seconds": took, "replayed": asdict(done)}))
        return done, took

    def _rule(self, name: str, settings: Mapping[str, object], group: str) -> TerminationRule:
        kind = name.partition(",")[0]
        if kind == "front":
            return Fitted.to(self.source.slopes[group], **settings)
        return RULES.make({"name": kind, **settings}, "rule")


def chosen(settings: Sequence[Groups], group: str) -> list[Replayed]:
    """The replays on a group with the setting that is best on the others.

    Args:
        settings: for each setting, its replays.
        group: name of the group.
    """

    def order(replays: Groups) -> tuple[bool, float]:
        others = [one for name, them in replays.items() if name != group for one in them]
        regret = float(np.mean([one.front_regret_se or 0.0 for one in others]))
        saved = float(np.mean([one.epochs_saved_percent for one in others]))
        return (False, -saved) if regret <= LOSS else (True, regret)

    return min(settings, key=order)[group]


def label(family: str) -> str:
    """The rule in Markdown."""
    rule, comma, more = family.partition(",")
    return f"`{rule}`{comma}{more}"


def row(group: str, one: Replayed, beside: IEpochs) -> str:
    """A line of the table of published runs."""
    compared = beside.compare(one)
    cells = [
        group,
        label(one.family),
        one.rule or "the default",
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


def whole_table(source: Source, rules: Sequence[Sequence[Groups]]) -> list[str]:
    """All figures, a line for each run and rule."""
    lines = [HEADER, "|---" * HEADER.count(" |") + "|"]
    for group, runs in source.groups.items():
        trivial = [IEpochs(history) for history in runs]
        for settings in rules:
            lines += [row(group, *pair) for pair in zip(chosen(settings, group), trivial, strict=True)]
    return lines


def compact_table(source: Source, rules: Sequence[Sequence[Groups]]) -> list[str]:
    """A line for each rule, with the means over the runs of each group."""
    names = " / ".join(source.groups)
    sizes = " / ".join(str(len(runs)) for runs in source.groups.values())
    header = "setting | epochs saved, % | regret, s.e. | `fixed`: in s.e. | best kept, of"
    lines = [f"| rule ({names}) | {header} {sizes} |"]
    lines.append("|---" * lines[0].count(" |") + "|")
    for settings in rules:
        shown = [chosen(settings, group) for group in source.groups]
        texts = [replays[0].rule or "the default" for replays in shown]
        cells = [
            label(shown[0][0].family),
            texts[0] if len(set(texts)) == 1 else " / ".join(texts),
            " / ".join(f"{np.mean([one.epochs_saved_percent for one in them]):.0f}" for them in shown),
            " / ".join(f"{np.mean([one.front_regret_se or 0.0 for one in them]):.1f}" for them in shown),
            " / ".join(f"{np.mean([one.fixed_regret_se or 0.0 for one in them]):.1f}" for them in shown),
            " / ".join(str(sum(bool(one.best_kept) for one in them)) for them in shown),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def main() -> None:
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    source = options.add_mutually_exclusive_group(required=True)
    source.add_argument("--data", type=Path, help="the reference data: replay the published runs")
    source.add_argument("--commons", type=Path, help="replay the complete runs of this commons")
    options.add_argument("--rules", nargs="+", choices=GRID, default=list(GRID), metavar="RULE")
    options.add_argument("--every", action="store_true", help="a line for every setting, none is chosen")
    options.add_argument("--cache", type=Path, help="folder in which replays are kept")
    options.add_argument("--figure", type=Path)
    options.add_argument("--steady", action="store_true")
    asked = options.parse_args()
    bench = Bench(published(asked.data) if asked.data else recorded(asked.commons), asked.steady, asked.cache)
    rules: list[list[Groups]] = []
    speeds = []
    for name in asked.rules:
        done = [bench.replayed(name, settings) for settings in GRID[name]]
        rules.append([groups for groups, _ in done])
        speeds.append(f"`{name}` {60 / np.mean([seconds for _, seconds in done]):,.0f}")
        print(name, file=sys.stderr)
    table = whole_table if asked.data else compact_table
    lines = [[groups] for settings in rules for groups in settings] if asked.every else rules
    print("\n".join(table(bench.source, lines)))
    print(f"\nreplays a minute on one core:\n{', '.join(speeds)}")
    if asked.figure is not None:
        replays = [groups.values() for settings in rules for groups in settings]
        tradeoff_figure([one for groups in replays for runs in groups for one in runs], asked.figure)


if __name__ == "__main__":
    main()
