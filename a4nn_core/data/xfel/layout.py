"""Names of the published image files and folders (Dataverse doi 10.7910/DVN/JS9FR6).

    <beam>/images/{trainset,testset}/<protein>_<conformation>_ptm<id>.tiff     such as 1e14/images/...
    <beam>/angles_list.txt                                                     id conformation phi theta psi

An image is one channel of 32-bit floats that are photon counts. An id numbers an orientation: the images of
both conformations and all beams with one id show the same one.
"""

from __future__ import annotations

import re
from pathlib import PurePath

SETS = ("trainset", "testset")
MANIFEST = "simulation.json"
ANGLES = "angles_list.txt"
# of the 39,692 published orientations 7,938 are the test set
TEST_SHARE = 0.2

PROTEIN = re.compile(r"[A-Za-z0-9.-]+")
_NAME = re.compile(r"(?P<protein>[^_]+)_(?P<conformation>.+)_ptm(?P<id>\d+)\.tiff?", re.IGNORECASE)


def beam_name(fluence: float) -> str:
    """The folder of a fluence in photons per square micrometre and pulse, such as ``1e14``."""
    mantissa, exponent = f"{fluence:.12e}".split("e")
    return f"{mantissa.rstrip('0').rstrip('.')}e{int(exponent)}"


def image_path(beam: str, subset: str, protein: str, conformation: str, number: int) -> PurePath:
    """Path of the image of an orientation; ``number`` counts from 1."""
    return PurePath(beam, "images", subset, f"{protein}_{conformation}_ptm{number:05d}.tiff")


def parse_name(name: str) -> tuple[str, int] | None:
    """Conformation and id from a file's name; None if the name does not have this form."""
    match = _NAME.fullmatch(name)
    return (match["conformation"], int(match["id"])) if match else None
