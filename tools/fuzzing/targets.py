"""Every target by name."""

from __future__ import annotations

from fuzzing.curves import Curves, Expressions, Fits
from fuzzing.elsewhere import Genomes, Requests, Told
from fuzzing.files import Deposits, Models, Tables
from fuzzing.records import Events, Experiments, Journals
from fuzzing.target import Target
from fuzzing.trackers import Trackers

TARGETS: dict[str, type[Target]] = {
    target.name: target
    for target in (
        *(Journals, Events, Experiments, Curves, Fits, Expressions, Models, Deposits, Tables),
        *(Trackers, Genomes, Told, Requests),
    )
}
