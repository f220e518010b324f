"""A small convolutional network as people write it down in a minute."""

from __future__ import annotations

from a4nn_core.spaces.designed.blueprint import Blueprint, Step

WIDTHS = (16, 32, 64)


def small_cnn() -> Blueprint:
    """Three convolutions of 3 x 3 with 16, 32 and 64 channels, each with batch normalisation and a rectified
    linear unit, with max pooling of 2 x 2 between them; then the mean over the image and a linear layer."""
    steps: list[Step] = []
    for number, width in enumerate(WIDTHS, start=1):
        at = len(steps)
        title = f"node {number}"
        steps += [
            Step("conv", (at,), channels=width, kernel=3, padding=1, label=f"{title} conv"),
            Step("batch_norm", (at + 1,), label=f"{title} norm"),
            Step("relu", (at + 2,), label=f"{title} relu"),
        ]
        if number < len(WIDTHS):
            steps.append(Step("max_pool", (at + 3,), kernel=2, stride=2, label=f"pool {number}"))
    at = len(steps)
    steps += [
        Step("global_average_pool", (at,), label="average"),
        Step("linear", (at + 1,), channels=2, bias=True, label="classify"),
    ]
    return Blueprint("small-cnn", tuple(steps))
