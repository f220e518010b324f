"""A real worker whose networks misbehave in a way chosen by their learning rate. Run as a program."""

from __future__ import annotations

import time
from typing import Any

from torch import Tensor

from a4nn_core.spaces.build import Network
from a4nn_core.training import trainer
from a4nn_core.training.worker import main

RAISES, NAN, HANGS = 0.011, 0.012, 0.013
real = trainer.train_segment


def faulty(segment: Any, *others: Any) -> Any:
    what = segment.training.learning_rate

    def forward(self: Network, images: Tensor) -> Tensor:
        if what == RAISES:
            raise ValueError("the layers do not fit together\nsecond line")
        if what == HANGS:
            time.sleep(3600)
        scores = healthy(self, images)
        return scores * float("nan") if what == NAN else scores

    Network.forward = forward  # type: ignore[method-assign]
    return real(segment, *others)


healthy = Network.forward
if __name__ == "__main__":
    trainer.train_segment = faulty
    main()
