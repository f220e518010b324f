"""What networks can be drawn, bounded and sorted by: columns of ``networks``, and metrics of any fitness."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from a4nn_core.commons.schema import TABLES
from a4nn_core.metrics import BUILTIN, MFLOPS
from a4nn_core.printable import printable_within
from a4nn_core.vocabulary import Direction

_COLUMNS: dict[str, Direction | None] = {
    "best_accuracy_percent": Direction.maximise,
    "test_accuracy_percent": Direction.maximise,
    "balanced_accuracy_percent": Direction.maximise,
    "missing_panel_accuracy_percent": Direction.maximise,
    "last_accuracy_percent": Direction.maximise,
    "calibration_error_points": Direction.minimise,
    "brier_score": Direction.minimise,
    "parameters": Direction.minimise,
    "epochs_trained": Direction.minimise,
    "seconds": Direction.minimise,
    "energy_joules": Direction.minimise,
    "predicted_accuracy_percent": None,
    "best_epoch": None,
    "generation": None,
    "network": None,
}
"""columns of ``networks`` that are measures, and which of their values are better; None where none are"""
_SAME = {
    "accuracy_percent": "best_accuracy_percent",
    **{name: name for name in _COLUMNS},
    MFLOPS.name: MFLOPS.name,
}
"""metrics of the fitness that are a measure already"""
_UNITS = {"percent": "%"}
_LONGEST = 60
"""characters of the name of another package's metric"""
_IMAGES: dict[str, Literal["validation", "test"]] = {
    "best_accuracy_percent": "validation",
    "last_accuracy_percent": "validation",
    "error_percent": "validation",
    "test_accuracy_percent": "test",
}
_WHOLE = {"parameters", "epochs_trained", "best_epoch", "generation", "network"}


@dataclass(frozen=True)
class Measure:
    """A number that networks have.

    Attributes:
        name: as recorded.
        label: what it means, with its unit.
        sql: its value, from a row of ``networks``.
        direction: which values are better; None where none are.
        images: on which images it was measured, if it is an accuracy, or an error in percent.
        whole: whether only whole numbers have a meaning.
    """

    name: str
    label: str
    sql: str
    direction: Direction | None = None
    images: Literal["validation", "test"] | None = None
    whole: bool = False


def measures(fitness: Iterable[str], objectives: Mapping[str, str]) -> dict[str, Measure]:
    """All measures by name.

    Args:
        fitness: names of the metrics that any fitness has.
        objectives: metric name to direction, as runs recorded them.
    """
    by_name = TABLES["networks"].by_name
    found = [
        Measure(
            name,
            _label(by_name[name].meaning, by_name[name].unit),
            name,
            direction,
            _IMAGES.get(name),
            name in _WHOLE,
        )
        for name, direction in _COLUMNS.items()
    ]
    found.insert(1, Measure(MFLOPS.name, MFLOPS.label, "flops / 1e6", MFLOPS.direction))
    found += [_metric(name, objectives) for name in sorted({*fitness} - {*_SAME})]
    return {one.name: one for one in found}


def _label(meaning: str, unit: str | None) -> str:
    short = meaning.partition(";")[0]
    return f"{short} ({_UNITS.get(unit, unit)})" if unit else short


def _metric(name: str, objectives: Mapping[str, str]) -> Measure:
    known = BUILTIN.get(name)
    said = objectives.get(name)
    direction = next((one for one in Direction if str(one) == said), None)
    if direction is None:
        direction = known.direction if known else Direction.minimise
    recorded = f"fitness[{literal(name)}]"
    if name == "error_percent":  # an imported fitness may lack it
        recorded = f"coalesce({recorded}, 100 - best_accuracy_percent)"
    label = printable_within(known.label if known else name, _LONGEST)
    return Measure(name, label, recorded, direction, _IMAGES.get(name))


def literal(text: str) -> str:
    """A text as SQL has it."""
    return "'" + text.replace("'", "''") + "'"
