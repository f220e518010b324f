"""Training of one network on one device: epochs, checkpoints, throughput. The unit of work is a segment."""

from a4nn_core.training.settings import Training

__all__ = ["Training"]
