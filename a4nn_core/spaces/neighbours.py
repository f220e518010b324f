"""The module of the operation ``nearest_neighbours``."""

from __future__ import annotations

import torch
from torch import Tensor

from a4nn_core.spaces.fitted import Fitted

LEAST, MOST = 2, 20
"""neighbours that vote: the range that XPSI chooses from"""
LEFT_OUT = 2000
"""training images that the number of neighbours is chosen by, at most"""
_ROWS = 500


class Neighbours(Fitted):
    """Votes of the nearest examples.

    Input: codes, shape (batch, numbers). Output: logarithms of the shares of the votes, with one more vote
    that all classes share, shape (batch, classes). Of classes with as many votes the first wins, as in
    scikit-learn.

    Args:
        numbers: length of a code.
        classes: number of classes.

    Attributes:
        centre: mean code of the examples, shape (numbers,): seen from there, distances are most precise.
        codes: of the examples less the centre, shape (examples, numbers).
        one_hot: their classes, shape (examples, classes).
        weights: votes of the first, second, ... neighbour: 1 or 0, shape (MOST,).
        right: fraction of examples that the others classify correctly, scalar.
    """

    centre: Tensor
    codes: Tensor
    one_hot: Tensor
    weights: Tensor
    right: Tensor

    def __init__(self, numbers: int, classes: int) -> None:
        super().__init__()
        self.register_buffer("centre", torch.zeros(numbers))
        self.register_buffer("codes", torch.zeros(1, numbers))
        self.register_buffer("one_hot", torch.zeros(1, classes))
        self.register_buffer("weights", torch.zeros(MOST))
        self.register_buffer("right", torch.zeros(()))

    def fit(self, inputs: Tensor, labels: Tensor) -> None:
        classes = self.one_hot.shape[1]
        self.centre = inputs.float().mean(dim=0)
        self.codes = inputs - self.centre
        self.one_hot = torch.nn.functional.one_hot(labels.long(), classes).float()
        count = len(inputs)
        asked = torch.linspace(0, count - 1, min(count, LEFT_OUT), device=inputs.device).round().long()
        found = []
        for rows in asked.tensor_split(-(-len(asked) // _ROWS)):
            distances = self._distances(self.codes[rows])
            distances[torch.arange(len(rows), device=rows.device), rows] = torch.inf
            found.append(distances.topk(min(MOST, count), dim=1, largest=False).indices)
        votes = self.one_hot[torch.cat(found)].cumsum(dim=1)  # by the first neighbour, the first two, ...
        right = (votes.argmax(dim=2) == labels[asked, None]).float().mean(dim=0)
        best = int(right[LEAST - 1 :].argmax()) + LEAST if len(right) >= LEAST else 1
        self.weights = (torch.arange(MOST, device=inputs.device) < best).float()
        self.right = right[best - 1]

    @property
    def left_out(self) -> Tensor:
        return self.right

    @property
    def neighbours(self) -> int:
        """How many vote."""
        return int(self.weights.sum())

    def _distances(self, codes: Tensor) -> Tensor:
        """Squared distances to the examples, less what does not depend on the example."""
        return self.codes.square().sum(dim=1) - 2 * codes @ self.codes.T

    def forward(self, codes: Tensor) -> Tensor:
        nearest = min(MOST, len(self.codes))
        indices = self._distances(codes - self.centre).topk(nearest, dim=1, largest=False).indices
        votes = (self.one_hot[indices] * self.weights[:nearest, None]).sum(dim=1)
        classes = votes.shape[1]
        return ((votes + 1 / classes) / (self.weights[:nearest].sum() + 1)).log()
