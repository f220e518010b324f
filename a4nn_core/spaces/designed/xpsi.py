"""XPSI, the method that the published runs were compared with: a convolutional autoencoder, and the nearest
neighbours of its codes.

Source: github.com/TauferLab/XPSI, in Keras and scikit-learn. Images are scaled to 0 ... 1 by the least and
the greatest value, and padded by zeros at the right and the bottom. The encoder has convolutions of 3 x 3
with 128, 64 and 32 channels, each followed by max pooling of 3; a linear layer makes 20 numbers. The decoder
repeats pixels by 3 and has convolutions with 64 and 128 channels; padded convolutions become smaller ones
where the sizes of the encoder ask for it, as published for images of 128 pixels. It is trained for the mean
squared error, by Adamax.
"""

from __future__ import annotations

from a4nn_core.errors import BadInput
from a4nn_core.spaces.architecture import Architecture, Graph, Layer, Shape

ENCODER = (128, 64, 32)
CODE = 20
POOL = 3
LEAST_SIDE = 4

Sides = tuple[int, int]


def xpsi(input_shape: Shape, classes: int, sees_all: bool = False) -> Architecture:
    """The network for images of a shape.

    Args:
        input_shape: shape of an image, (channels, height, width). Images of 127 pixels are padded to 128, as
            published; others are taken as they are.
        classes: number of classes.
        sees_all: whether the autoencoder is trained on all images, as published.

    Raises:
        BadInput: images are smaller than 4 pixels.
    """
    channels, height, width = input_shape
    if min(height, width) < LEAST_SIDE:
        raise BadInput(f"images of {height} x {width} pixels are too small for xpsi")
    graph = Graph(input_shape)
    at = graph.add(Layer("min_max", channels, label="scale"), 0)
    sides = [(height + (height == 127), width + (width == 127))]
    if sides[0] != (height, width):
        at = graph.add(_sized("crop", channels, sides[0], "pad"), at)
    image = at
    for number, made in enumerate(ENCODER, start=1):
        at = _convolution(graph, at, made, f"encoder {number}")
        settings, padding, smaller = _pooling(sides[-1])
        pool = Layer("max_pool", made, POOL, POOL, padding, label=f"encoder {number} pool", settings=settings)
        at = graph.add(pool, at)
        sides.append(smaller)
    area = sides[-1][0] * sides[-1][1]
    at = graph.add(Layer("flatten", ENCODER[-1] * area, label="encoder flat"), at)
    code = graph.add(Layer("linear", CODE, bias=True, label="code"), at)
    at = graph.add(Layer("linear", ENCODER[-1] * area, bias=True, label="decoder 1"), code)
    at = graph.add(_sized("unflatten", ENCODER[-1], sides[-1], "decoder 1 images"), at)
    for number, (made, before, after) in enumerate(
        zip((64, 128, channels), sides[:0:-1], sides[-2::-1], strict=True), start=2
    ):
        at = _enlarged(graph, at, made, before, after, f"decoder {number}", last=number == 4)
    settings = {"sees_all": True} if sees_all else {}
    graph.add(Layer("reconstruction", 1, label="reconstruction", settings=settings), [at, image])
    graph.add(Layer("nearest_neighbours", classes, label="nearest neighbours"), code)
    return graph.done()


def _convolution(graph: Graph, at: int, channels: int, label: str) -> int:
    at = graph.add(Layer("conv", channels, kernel=3, padding=1, bias=True, label=f"{label} conv"), at)
    return graph.add(Layer("relu", channels, label=f"{label} relu"), at)


def _pooling(sides: Sides) -> tuple[dict[str, bool], int, Sides]:
    """Settings, padding and output of the pooling that Keras calls ``same``: what is missing at the edges is
    shared between both sides, the right one getting the more."""
    high, wide = (-(-side // POOL) for side in sides)
    missing = high * POOL - sides[0]
    if missing != wide * POOL - sides[1]:  # not square: as on the higher side, as far as that goes
        return {"ceil": True}, 0, (high, wide)
    return ({"ceil": True} if missing == 1 else {}), missing // 2, (high, wide)


def _enlarged(
    graph: Graph, at: int, channels: int, before: Sides, after: Sides, label: str, last: bool
) -> int:
    """Pixels repeated by 3, and a convolution that makes the size of the encoder's layer."""
    high, wide = before[0] * POOL, before[1] * POOL
    have = graph.layers[at].channels
    at = graph.add(_sized("resize", have, (high, wide), f"{label} resize"), at)
    too_many = high - after[0]
    square = too_many == wide - after[1]
    kernel, padding = (too_many + 1, 0) if square and too_many in ((1,) if last else (2,)) else (3, 1)
    if padding and (high, wide) != after:
        at = graph.add(_sized("crop", have, after, f"{label} crop"), at)
    at = graph.add(Layer("conv", channels, kernel, padding=padding, bias=True, label=f"{label} conv"), at)
    return at if last else graph.add(Layer("relu", channels, label=f"{label} relu"), at)


def _sized(op: str, channels: int, sides: Sides, label: str) -> Layer:
    return Layer(op, channels, label=label, settings={"height": sides[0], "width": sides[1]})
