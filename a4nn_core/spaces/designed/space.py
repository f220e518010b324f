"""The search space of hand-designed networks: a genome is a name."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import partial
from typing import Annotated, Literal

import numpy as np
from pydantic import Field, field_validator

from a4nn_core.component import Unit
from a4nn_core.errors import BadInput
from a4nn_core.spaces.architecture import Architecture, Shape
from a4nn_core.spaces.base import Genes, Genome, VectorSpace
from a4nn_core.spaces.designed.blueprint import Blueprint
from a4nn_core.spaces.designed.small_cnn import small_cnn
from a4nn_core.spaces.designed.xpsi import xpsi

OWN = {"small-cnn": small_cnn}
"""hand-designed networks that are not torchvision's"""
WHOLE = {"xpsi": partial(xpsi, sees_all=False), "xpsi-leaking": partial(xpsi, sees_all=True)}
"""those that are made for a size of images as a whole"""
_NAME = re.compile(r"(?P<name>[A-Za-z][A-Za-z0-9_-]*?)(?:\*(?P<width>\d+(?:\.\d+)?))?")


class Designed(VectorSpace):
    """Networks that people have designed, by name. With ``search = "exhaustive"`` each is trained once."""

    name: Literal["designed"] = "designed"
    networks: tuple[str, ...] = Field(
        default=("small-cnn", "shufflenet_v2_x0_5", "mobilenet_v3_small", "resnet18"), min_length=1
    )
    """their names: small-cnn, any convolutional network of torchvision, such as resnet18, xpsi, or
    xpsi-leaking, whose autoencoder also sees the validation and test images, as published; a name followed by
    a factor, such as resnet18*0.25, is a network with that share of the channels"""
    least_side: Annotated[int, Unit("pixels")] = Field(default=4, ge=1)
    """height and width, in pixels, that the last feature maps keep: as many of a network's first strides are
    taken away as images of this size need for that"""

    @field_validator("networks")
    @classmethod
    def _known(cls, networks: tuple[str, ...]) -> tuple[str, ...]:
        for name in networks:
            try:
                parse(name)
            except BadInput as error:
                raise ValueError(str(error)) from None
        if len(set(networks)) < len(networks):
            raise ValueError("a network is named twice")
        return networks

    @property
    def upper(self) -> Genes:
        return np.array([len(self.networks) - 1], dtype=np.int64)

    def genome(self, genes: Sequence[int] | Genes) -> Genome:
        return self.networks[int(genes[0])]

    def genes(self, genome: Genome) -> Genes:
        if genome not in self.networks:
            raise BadInput(
                f"genome {genome!r} is none of the networks of [space]: {', '.join(self.networks)}"
            )
        return np.array([self.networks.index(genome)], dtype=np.int64)

    def probes(self) -> Sequence[Genome]:
        """All networks: which is the largest depends on the images."""
        return self.networks

    def decode(self, genome: Genome, input_shape: Shape, classes: int) -> Architecture:
        if classes < 2:
            raise BadInput(f"a classifier needs two classes or more, not {classes}")
        self.genes(genome)
        name, width = parse(genome)
        if name in WHOLE:
            return WHOLE[name](input_shape, classes)
        return blueprint(name).architecture(input_shape, classes, width, self.least_side)


def parse(text: str) -> tuple[str, float]:
    """Name and width of a network such as ``resnet18*0.25``.

    Raises:
        BadInput: it is not of that form, or the width is not between 0 and 8.
    """
    found = _NAME.fullmatch(text)
    if found is None:
        raise BadInput(f"{text!r} is not the name of a network, such as resnet18 or resnet18*0.25")
    width = float(found["width"] or 1)
    if not 0 < width <= 8:
        raise BadInput(f"{text!r} has a width of {width:g}, which must be above 0 and at most 8")
    if found["name"] in WHOLE and found["width"]:
        raise BadInput(f"{text!r}: {found['name']} has no other widths")
    return found["name"], width


def blueprint(name: str) -> Blueprint:
    """The blueprint of a network.

    Raises:
        BadInput: there is no such network, or it cannot be used.
    """
    if name in OWN:
        return OWN[name]()
    from a4nn_core.spaces.designed.traced import torchvision_blueprint, torchvision_names

    if name not in torchvision_names():
        import difflib

        near = difflib.get_close_matches(name, [*OWN, *WHOLE, *torchvision_names()])
        hint = f"; did you mean {' or '.join(near)}?" if near else ""
        raise BadInput(
            f"there is no hand-designed network {name!r}: known are {', '.join((*OWN, *WHOLE))} and the "
            f"networks of torchvision{hint}"
        )
    return torchvision_blueprint(name)
