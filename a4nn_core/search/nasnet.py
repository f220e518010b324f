"""The controller of NASNet (Zoph, Vasudevan, Shlens and Le, "Learning transferable architectures for scalable
image recognition", CVPR 2018, arXiv 1707.07012): a recurrent network that writes genomes gene by gene and
is rewarded for what they reach.

A long short-term memory reads the genes so far and gives the chances of the next one. After each batch of
networks it is trained by proximal policy optimisation (Schulman et al., arXiv 1707.06347): what was better
than a moving average of rewards becomes likelier. The published search trained 20,000 networks on 500
devices, 20 for each update. Its settings, which are the defaults, are remembered, not verified; the number
of passes over a batch and the clipping are the usual ones of the method. A genome that was written before
is not trained again: another one is drawn.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from pydantic import Field

from a4nn_core.search.base import Candidate, Outcome, Strategy, Violation, no_violation
from a4nn_core.search.batches import ScalarBatchSettings, ScalarStrategy
from a4nn_core.search.variation import DRAWS, Proposal
from a4nn_core.spaces.base import Genes, VectorSpace

if TYPE_CHECKING:
    from torch import Tensor, nn


class NASNet(ScalarBatchSettings):
    """Genomes written by a recurrent network that learns by policy gradients what is rewarded."""

    name: Literal["nasnet"] = "nasnet"
    batch: int = Field(default=20, ge=1)
    """networks after which the controller is trained"""
    hidden: int = Field(default=100, ge=1)
    """units of the controller"""
    learning_rate: float = Field(default=3.5e-4, gt=0)
    """of the controller (Adam)"""
    entropy: float = Field(default=1e-5, ge=0)
    """what a unit of entropy of the controller's choices counts beside the reward"""
    baseline: float = Field(default=0.95, ge=0, lt=1)
    """decay of the moving average of rewards that a network is compared with"""
    reward: float = Field(default=0.01, gt=0)
    """reward for each unit by which the objective is better: with 0.01, that of an accuracy from 0 to 1"""
    passes: int = Field(default=4, ge=1)
    """how often a batch is used to train the controller"""
    clip: float = Field(default=0.2, gt=0)
    """by how much, as a share, the chance of a genome counts when it changes within the passes"""

    def start(self, space: VectorSpace, seed: int, violation: Violation = no_violation) -> Strategy:
        return _Written(self, space, seed, violation)


class _Written(ScalarStrategy):
    settings: NASNet
    space: VectorSpace

    def __init__(self, settings: NASNet, space: VectorSpace, seed: int, violation: Violation) -> None:
        super().__init__(settings, space, seed, violation)
        self.controller = Controller(space.upper, settings, seed)
        self._rewarded: list[int] = []
        self._average: float | None = None

    def propose(self) -> Proposal | None:
        rng = self.rng(len(self.asked))
        return self.first_new(self._drafts(rng)) or self.random_new(rng)

    def _drafts(self, rng: np.random.Generator) -> Iterator[Proposal]:
        for _ in range(DRAWS):
            genes = self.controller.write(rng)
            yield Proposal(self.space.genome(genes), operator="controller")

    def learn(self, candidate: Candidate, outcome: Outcome) -> None:
        del outcome
        self._rewarded.append(candidate.number)
        if len(self._rewarded) >= self.size:
            self._train()
            self._rewarded = []

    def _train(self) -> None:
        """Train the controller on the last batch."""
        genes = np.array([self.space.genes(self.asked[number].genome) for number in self._rewarded])
        worth = [-self._weights @ self.objectives(number) for number in self._rewarded]
        rewards = self.settings.reward * np.array(worth)
        if self._average is None:
            self._average = float(rewards.mean())
        self.controller.train(genes, rewards - self._average)
        for reward in rewards:
            self._average = self.settings.baseline * self._average + (1 - self.settings.baseline) * float(
                reward
            )


class Controller:
    """A long short-term memory over genes, in double precision on the CPU, so that it repeats.

    Args:
        upper: the maximum of every gene, shape (genes,).
        settings: sizes and rates.
        seed: of its first weights.
    """

    def __init__(self, upper: Genes, settings: NASNet, seed: int) -> None:
        self.upper = upper
        self.settings = settings
        self.seed = seed
        self._made: tuple[nn.ModuleDict, Any] | None = None

    def _networks(self) -> tuple[nn.ModuleDict, Any]:
        """The modules and their optimiser, made when they are first used."""
        if self._made is None:
            import torch
            from torch import nn

            tokens, hidden = int(self.upper.max()) + 2, self.settings.hidden
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(self.seed)
                modules = nn.ModuleDict(
                    {
                        "embedding": nn.Embedding(len(self.upper) * tokens, hidden),
                        "memory": nn.LSTM(hidden, hidden, batch_first=True),
                        "choice": nn.Linear(hidden, tokens - 1),
                    }
                ).double()
            optimizer = torch.optim.Adam(modules.parameters(), lr=self.settings.learning_rate)
            self._made = modules, optimizer
        return self._made

    def _tokens(self, genes: Tensor) -> Tensor:
        """What is read before each gene: its place and the gene before it, none before the first."""
        import torch

        before = torch.zeros_like(genes)
        before[:, 1:] = genes[:, :-1] + 1
        return before + torch.arange(genes.shape[1]) * (int(self.upper.max()) + 2)

    def _chances(self, genes: Tensor) -> Tensor:
        """Logarithms of the chances of every value of every gene, given the genes before it; shape (genomes,
        genes, values)."""
        import torch

        modules, _ = self._networks()
        states, _ = modules["memory"](modules["embedding"](self._tokens(genes)))
        scores = modules["choice"](states)
        values = torch.arange(scores.shape[-1])
        open_values = values[None, :] <= torch.from_numpy(self.upper)[:, None]
        return torch.log_softmax(scores.masked_fill(~open_values, -1e9), dim=-1)

    def write(self, rng: np.random.Generator) -> Genes:
        """A random genome, gene by gene, each by the chances that the genes before it give."""
        import torch

        modules, _ = self._networks()
        genes = torch.zeros(1, len(self.upper), dtype=torch.int64)
        state = None
        with torch.no_grad():
            for place, most in enumerate(self.upper):
                token = self._tokens(genes)[:, place : place + 1]
                output, state = modules["memory"](modules["embedding"](token), state)
                scores = modules["choice"](output)[0, 0, : int(most) + 1]
                sums = torch.softmax(scores, dim=0).cumsum(0).numpy()
                genes[0, place] = min(int(np.searchsorted(sums, rng.random() * sums[-1])), int(most))
        return np.asarray(genes[0].numpy())

    def train(self, genes: Genes, advantages: np.ndarray[Any, np.dtype[np.float64]]) -> None:
        """Make genomes likelier that were better than expected, and others less likely.

        Args:
            genes: shape (genomes, genes).
            advantages: by how much each was better, shape (genomes,).
        """
        import torch

        _, optimizer = self._networks()
        written, better = torch.from_numpy(genes), torch.from_numpy(advantages)
        with torch.no_grad():
            before = self._chances(written).gather(2, written[:, :, None])[:, :, 0].sum(dim=1)
        for _ in range(self.settings.passes):
            chances = self._chances(written)
            now = chances.gather(2, written[:, :, None])[:, :, 0].sum(dim=1)
            ratio = (now - before).exp()
            clipped = ratio.clamp(1 - self.settings.clip, 1 + self.settings.clip)
            gain = torch.minimum(ratio * better, clipped * better).mean()
            entropy = -(chances.exp() * chances).sum(dim=(1, 2)).mean()
            optimizer.zero_grad()
            loss: Any = -gain - self.settings.entropy * entropy
            loss.backward()
            optimizer.step()
