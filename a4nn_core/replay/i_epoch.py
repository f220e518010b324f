"""Does a rule add anything to the trivial one? The i-Epoch protocol.

i-Epoch trains every network for i epochs and then finishes the best (Egele, Mohr, Viering and Balaprakash,
"The unreasonable effectiveness of early discarding after one epoch in neural network hyperparameter
optimization", Neurocomputing 597, 2024; arXiv 2404.04111). Over all i it makes a front of cost and quality; a
rule is worth something if it is beyond this front. The networks are the same ones in the same order for all.
Here, with two objectives, the best are the front that the scores select, and quality is the hypervolume of
it, as a share of the true front's.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from a4nn_core.metrics import nondominated
from a4nn_core.replay.histories import RunHistory
from a4nn_core.replay.laboratory import Replayed, replay
from a4nn_core.termination.fixed import Fixed

Point = tuple[float, float]
"""Epochs trained, those that finish the kept front among them, as a share of all; and the share of the
hypervolume that is missing. Both are at most 1, smaller is better."""


@dataclass(frozen=True)
class Compared:
    """A rule beside i-Epoch on one run.

    Attributes:
        run, rule: as in Replayed.
        epochs_percent: epochs trained when the kept front is finished, of training every network to the end.
        hypervolume_share: of the kept front.
        least_i: fewest epochs for all with which i-Epoch keeps at least this share.
        i_epochs_percent: what it then trains.
        complement: how much the rule adds to the hypervolume of i-Epoch's front of cost and quality, out of
            1; 0.0 if some i is no worse in both.
    """

    run: str
    rule: str
    epochs_percent: float
    hypervolume_share: float
    least_i: int
    i_epochs_percent: float
    complement: float


class IEpochs:
    """i-Epoch on one run, for every i.

    Args:
        history: of the run, with complete curves.

    Raises:
        BadInput: a network was not trained to the end.
    """

    def __init__(self, history: RunHistory) -> None:
        self._epochs = history.epochs
        self.points = [
            _point(replay(history, Fixed(epochs=i)), history.epochs) for i in range(1, history.epochs + 1)
        ]

    def compare(self, done: Replayed) -> Compared:
        """A rule's replay on the same run, beside it."""
        own = _point(done, self._epochs)
        least = next(i for i, point in enumerate(self.points) if point[1] <= own[1] or i + 1 == self._epochs)
        return Compared(
            run=done.run,
            rule=done.rule,
            epochs_percent=100 * own[0],
            hypervolume_share=1 - own[1],
            least_i=least + 1,
            i_epochs_percent=100 * self.points[least][0],
            complement=_area([*self.points, own]) - _area(self.points),
        )


def _point(done: Replayed, horizon: int) -> Point:
    if done.finishing_epochs is None or done.hypervolume_share is None:
        raise ValueError("only replays of complete curves have a quality")
    trained = sum(done.epochs) + done.finishing_epochs
    return trained / (horizon * len(done.epochs)), max(0.0, 1 - done.hypervolume_share)


def _area(points: list[Point]) -> float:
    """Area that the points dominate, up to all epochs and no hypervolume: between 0 and 1."""
    table = np.array(points)
    front = sorted(set(map(tuple, table[nondominated(table)].tolist())))
    ends = [cost for cost, _ in front[1:]] + [1.0]
    return float(sum((end - cost) * (1 - missing) for (cost, missing), end in zip(front, ends, strict=True)))
