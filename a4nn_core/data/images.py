"""Image files: which ones a folder holds, and the way from a file to the numbers that a network is given.

Training and ``a4nn classify`` go this way together: what a run did with its images is a ``Preparation``,
which travels with its networks.
"""

from __future__ import annotations

import errno
import os
import warnings
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, NoReturn

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from a4nn_core.errors import BadInput
from a4nn_core.files import user_errors

if TYPE_CHECKING:
    from PIL import Image

ENDINGS = (".png", ".tif", ".tiff", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".pgm", ".ppm")
# made by systems beside a user's folders: by the archiver of macOS, and by Synology's previews
_FOLDERS_OF_SYSTEMS = ("__MACOSX", "@eaDir")
# types of numbers with a full range, from 0, black, to this
_GREATEST = {"uint8": 255, "uint16": 65535}
_OF_THE_MACHINE = {errno.EIO, errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ESTALE, errno.ETIMEDOUT}
_AT_ONCE = 64
_THREADS = 4

Resize = Literal["stretch", "crop", "pad"]
Channels = Literal["grey", "rgb"]
LARGEST_SIDE = 4096
Side = Annotated[int, Field(ge=1, le=LARGEST_SIDE)]


class Preparation(BaseModel):
    """What becomes of an image file before a network gets its numbers."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    size: tuple[Side, Side] | None = None
    """width and height in pixels that images are resized to; None leaves their size as it is"""
    resize: Resize = "stretch"
    """what happens to another aspect ratio: it is stretched, its longer side is cropped, or its shorter side
    is padded with black"""
    filter: Literal["antialiased bilinear"] = "antialiased bilinear"
    """how they are resized: by Pillow's ``BILINEAR``"""
    channels: Channels | None = None
    """what images are converted to; None leaves them as they are"""
    numbers: Literal["uint8", "uint16", "int32", "float32"] | None = None
    """type of the numbers; None leaves them as they are"""
    upright: bool = True
    """whether photographs are turned as their EXIF data say"""

    @classmethod
    def read(cls, recorded: object, where: str) -> Preparation:
        """What a model or a run recorded.

        Args:
            recorded: JSON values.
            where: what recorded it, for the message.

        Raises:
            BadInput: this version does not know it.
        """
        try:
            return cls.model_validate(recorded)
        except ValueError:
            raise BadInput(
                f"{where} prepares images in a way that this version of a4nn does not know: {recorded}"
            ) from None

    def __str__(self) -> str:
        parts = ["turned upright as their EXIF data say"] if self.upright else []
        if self.channels:
            parts.append(f"converted to {'greyscale' if self.channels == 'grey' else 'RGB'}")
        if self.size:
            ways = {"stretch": "stretched", "crop": "cropped at the centre", "pad": "padded with black"}
            parts.append(
                f"resized to {self.size[0]} x {self.size[1]} pixels by Pillow's {self.filter} filter, "
                f"other aspect ratios {ways[self.resize]}"
            )
        if self.channels and self.numbers in _GREATEST:
            parts.append(f"scaled to the range from 0 to {_GREATEST[self.numbers]:,}")
        return "; ".join(parts)


AS_STORED = Preparation(upright=False)
"""What was done with the images of networks that do not say it: only palettes and bilevel images were
converted."""


@dataclass(frozen=True)
class Prepared:
    """An image, prepared.

    Attributes:
        file: where it was read.
        pixels: shape (channels, height, width).
        is_first_of_several: whether the file holds further frames or pages.
    """

    file: Path
    pixels: NDArray[Any]
    is_first_of_several: bool


@dataclass(frozen=True)
class Unusable:
    """An image that cannot be used.

    Attributes:
        file: where it should have been.
        why: the cause, to be put into brackets.
    """

    file: Path
    why: str


def path_text(path: object) -> str:
    """A path as text that records, logs and pages can hold: a byte that is not UTF-8 becomes ``\\xe9``."""
    return str(path).encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def is_ours(name: str) -> bool:
    """Whether a file or folder of that name was put there by the user, not by the system."""
    return not name.startswith(".") and name not in _FOLDERS_OF_SYSTEMS


def image_files(folder: Path) -> list[Path]:
    """The images in a folder and the folders in it, by their endings; in an order that follows from their
    names alone. Links are followed, but no folder is visited twice.

    Raises:
        BadInput: a folder cannot be read.
    """
    found: list[Path] = []
    visited: set[str] = set()
    with user_errors("read", folder):
        for place, folders, names in os.walk(folder, onerror=_give_up, followlinks=True):
            folders[:] = sorted(filter(is_ours, folders))
            real = os.path.realpath(place)
            if real in visited:
                folders.clear()
                continue
            visited.add(real)
            found += [Path(place, name) for name in names if is_ours(name) and is_image(name)]
    return sorted(found)


def _give_up(error: OSError) -> NoReturn:
    raise error


def is_image(name: str) -> bool:
    """Whether a file is an image by its ending."""
    return name.lower().endswith(ENDINGS)


def read_images(files: Sequence[Path], preparation: Preparation) -> Iterator[Prepared | Unusable]:
    """Images in the order of their files, a few of them in memory at a time."""

    def read(file: Path) -> Prepared | Unusable:
        return read_image(file, preparation)

    with ThreadPoolExecutor(_THREADS) as pool:  # decoding and resizing release the interpreter's lock
        for start in range(0, len(files), _AT_ONCE):
            with warnings.catch_warnings():
                # on transparency, odd EXIF data and large images: what is done with them is documented
                warnings.filterwarnings("ignore", module="PIL")
                block = list(pool.map(read, files[start : start + _AT_ONCE]))
            yield from block


def read_image(file: Path, preparation: Preparation) -> Prepared | Unusable:
    """One image, prepared.

    Palettes, CMYK and bilevel images become the colours they show, transparency is ignored, and of several
    frames or pages the first is taken. Other numbers are kept with their bit depth, unless ``preparation``
    says otherwise.

    Raises:
        BadInput: the machine cannot read it now; that is no fault of the image, which must not be skipped.
    """
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(file) as image:
            several = image.format != "MPO" and getattr(image, "is_animated", False)  # MPO: with a preview
            image.load()
            pixels = _pixels(image, preparation)
    except MemoryError:
        raise
    except UnidentifiedImageError:
        return Unusable(file, "not an image that Pillow knows")
    except OSError as error:
        if error.errno in _OF_THE_MACHINE:
            raise BadInput(f"image {path_text(file)} cannot be read: {error.strerror}") from None
        return Unusable(file, error.strerror or _short(error))
    except Exception as error:  # of any type: damaged files take decoders to where nobody checked
        return Unusable(file, _short(error))
    if pixels.dtype.kind == "f" and not np.isfinite(pixels).all():
        return Unusable(file, "holds values that are not finite")
    numbers = preparation.numbers or pixels.dtype.name
    if numbers != pixels.dtype.name:
        if preparation.channels is None or not (is_scalable(pixels.dtype.name) and is_scalable(numbers)):
            return Unusable(file, f"holds {pixels.dtype.name}, not {numbers}")
        pixels = scaled(pixels, numbers)
    return Prepared(file, pixels, several)


def _short(error: Exception) -> str:
    return " ".join(str(error).split())[:120] or type(error).__name__


def _pixels(image: Image.Image, preparation: Preparation) -> NDArray[Any]:
    """Numbers of a loaded image, shape (channels, height, width), in its own bit depth."""
    from PIL import ImageOps

    if preparation.upright:
        with suppress(Exception):  # EXIF data that cannot be read, or written again, do not spoil the image
            ImageOps.exif_transpose(image, in_place=True)
    if image.mode in ("1", "LA"):
        shown = image.convert("L")
    elif image.mode in ("P", "PA", "CMYK", "YCbCr", "RGBA", "RGBX"):
        shown = image.convert("RGB")
    else:
        shown = image
    if preparation.channels == "grey" and shown.mode == "RGB":
        shown = shown.convert("L")
    is_16_bit = shown.mode.startswith("I;16")
    array = np.asarray(_resized(shown.convert("I") if is_16_bit else shown, preparation))
    array = array.astype(np.uint16) if is_16_bit else array
    array = array[None] if array.ndim == 2 else array.transpose(2, 0, 1)
    # not by Pillow, which would clip 16 bits to 8
    return np.repeat(array, 3, axis=0) if preparation.channels == "rgb" and len(array) == 1 else array


def _resized(image: Image.Image, preparation: Preparation) -> Image.Image:
    from PIL import Image, ImageOps

    size, bilinear = preparation.size, Image.Resampling.BILINEAR
    if size is None or size == image.size:
        return image
    match preparation.resize:
        case "stretch":
            return image.resize(size, bilinear)
        case "crop":
            return ImageOps.fit(image, size, bilinear)
        case "pad":
            # ImageOps.pad would make nothing of an image that is very much longer than wide
            scale = min(size[0] / image.width, size[1] / image.height)
            width, height = max(1, round(image.width * scale)), max(1, round(image.height * scale))
            padded = Image.new(image.mode, size)
            corner = ((size[0] - width) // 2, (size[1] - height) // 2)
            padded.paste(image.resize((width, height), bilinear), corner)
            return padded


def is_scalable(numbers: str) -> bool:
    """Whether numbers of this type have a full range from black to white, so that they can be scaled."""
    return numbers in _GREATEST


def scaled(pixels: NDArray[Any], numbers: str) -> NDArray[Any]:
    """Numbers of 8 or 16 bits in the other type, from full range to full range, rounded."""
    if pixels.dtype.name == numbers:
        return pixels
    if numbers == "uint16":
        wide = pixels.astype(np.uint16)
        wide *= 257
        return wide
    return ((pixels.astype(np.uint32) + 128) // 257).astype(np.uint8)


def named(images: Sequence[Unusable], root: Path) -> str:
    """The first of some unusable images with their causes, and how many there are besides.

    Args:
        images: at least one.
        root: folder that paths are relative to.
    """
    first = [f"{path_text(one.file.relative_to(root))} ({path_text(one.why)})" for one in images[:5]]
    more = f" and {len(images) - 5} more" if len(images) > 5 else ""
    return ", ".join(first) + more
