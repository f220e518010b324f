"""Published figures on protein diffraction, to be shown beside ours: other data, other machines."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Published:
    """One published figure.

    Attributes:
        system: name of the system.
        beam: beam of its images.
        accuracy_percent: accuracy in percent, as printed.
        hours: wall time in hours, as printed.
    """

    system: str
    beam: str
    accuracy_percent: float
    hours: float


FIGURES = (
    Published("XPSI", "low", 92, 15.5),
    Published("A4NN, 4 GPUs", "low", 97.8, 12.1),
    Published("XPSI", "medium", 99, 15.5),
    Published("A4NN, 4 GPUs", "medium", 99.9, 9.2),
    Published("XPSI", "high", 100, 15.5),
    Published("A4NN, 4 GPUs", "high", 100, 9.5),
)
"""slides of A4NN, "A4NN results compared to state of the art"; the runs are those of the ICPP 2023 paper"""
DIFFERENCES = (
    "Published: 63,508 training and 15,876 test images of 127 x 127 pixels, a simulation of their own; "
    "A4NN trained 100 networks for at most 25 epochs on four NVIDIA V100, and gives the best accuracy on the "
    "images that it selected by; XPSI trained its autoencoder on the test images, too, on hardware that is "
    "not named."
)
DETECTOR = (
    "Yardstick at the detector: SpeckleNN on an FPGA, 64.6 thousand parameters, 90 % accuracy, "
    "45 microseconds an image, on other data."
)
