"""Every network gets a few epochs; then those in the first non-dominated layers are finished.

Networks are compared by their *training* accuracy, which after few epochs says more of the final validation
accuracy than the validation accuracy does: it is measured with the statistics of its own batches, and so
lacks the jumps of early validation curves.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field

from a4nn_core.component import Unit
from a4nn_core.metrics import nondominated_layers
from a4nn_core.termination.base import Verdict
from a4nn_core.termination.equal_epoch import best_rival, objectives
from a4nn_core.termination.peers import Member, PeerRule, Population
from a4nn_core.termination.reasons import Reason
from a4nn_core.vocabulary import Action


class Layers(PeerRule):
    """Train every network for some epochs, and finish those in the first layers of non-domination by least
    training error (validation error where no training accuracy was recorded) and costs, over all networks of
    the search so far. A network that is behind these layers will not be in them later, as its layer can only
    move back when others come; it waits to the end of the search all the same."""

    name: Literal["layers"] = "layers"
    epochs: Annotated[int, Unit("epochs")] = Field(default=2, ge=1)
    """epochs that every network gets"""
    layers: Annotated[int, Unit("layers")] = Field(default=3, ge=1)
    """how many layers are finished"""
    at_the_end: bool = False
    """finish networks only when all have been asked for, which saves more; the search is told what they had
    reached before"""

    def next_judgement(self, epochs: int, horizon: int) -> int:
        """See PeerRule."""
        return min(self.epochs, horizon) if epochs < self.epochs else horizon

    def compare(self, population: Population) -> Mapping[int, Verdict]:
        """See PeerJudge."""
        verdicts = {member.number: Verdict(Action.proceed) for member in population.candidates}
        peers = population.reached(self.epochs)
        waiting = [index for index, member in enumerate(peers) if member.number in population.waiting]
        if not waiting:
            return verdicts
        what, values = _accuracy(peers, self.epochs)
        points = objectives(peers, [100 - value for value in values])
        layers = nondominated_layers(points)
        ready = population.final or not self.at_the_end
        for index in waiting:
            if ready and layers[index] < self.layers:
                continue
            evidence: dict[str, float | str] = {
                "epoch": self.epochs,
                "compared_by": what,
                "accuracy": values[index],
                "layer": int(layers[index]) + 1,
                "networks": len(peers),
            }
            rival = best_rival(points, index)
            if rival is not None:
                evidence |= {"rival": peers[rival].number, "rival_accuracy": values[rival]}
            verdicts[peers[index].number] = Verdict(Action.pause, Reason.beyond_layers, evidence=evidence)
        return verdicts


def _accuracy(members: tuple[Member, ...], epochs: int) -> tuple[str, list[float]]:
    """What networks are compared by, and the best of it in the first epochs, in percent."""
    if all(len(member.observed.training) >= epochs for member in members):
        return "training", [max(member.observed.training[:epochs]) for member in members]
    return "validation", [max(member.observed.validation[:epochs]) for member in members]
