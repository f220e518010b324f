"""How a network answers to labelled images, as text for people."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice

from a4nn_core.assessment import BINS, Assessment
from a4nn_core.jsonable import Json
from a4nn_core.precision import in_percent, standard_error
from a4nn_core.printable import printable

MOST_CLASSES = 10
"""of more classes, whose matrix no terminal has room for, the most frequent mistakes are shown instead"""

_NAME = 16  # characters of a class's name beside the matrix


def document(known: Assessment, classes: Sequence[str]) -> dict[str, Json]:
    """The form that ``--json`` prints."""
    accuracy = known.accuracy_percent
    return {
        "images": known.images,
        "classes": list(classes),
        "accuracy_percent": accuracy,
        "accuracy_se_points": standard_error(accuracy, known.images),
        "balanced_accuracy_percent": known.balanced_accuracy_percent,
        "recalls_percent": list(known.recalls_percent),
        **known.to_json(),
    }


def lines(known: Assessment, classes: Sequence[str]) -> list[str]:
    """Accuracy, calibration and confusion."""
    accuracy = in_percent(known.accuracy_percent, standard_error(known.accuracy_percent, known.images))
    return [
        "",
        f"accuracy     {accuracy}, balanced {known.balanced_accuracy_percent:.2f} %",
        f"             ± one standard error, of {known.images:,} images",
        f"calibration  {calibration(known)}",
        "",
        *confusion(known, classes),
    ]


def calibration(known: Assessment) -> str:
    """Such as ``expected error 2.10 points (15 bins), Brier score 0.0841``."""
    error = f"expected error {known.calibration_error_points:.2f} points ({BINS} bins)"
    return f"{error}, Brier score {known.brier_score:.4f}"


def confusion(known: Assessment, classes: Sequence[str]) -> list[str]:
    """The confusion matrix, a line for each true class and a column for each class named, by its number; of
    many classes, the most frequent mistakes."""
    known_names = len(classes) == len(known.confusion)
    names = (
        list(map(printable, classes))
        if known_names
        else [str(number) for number in range(len(known.confusion))]
    )
    if len(names) > MOST_CLASSES:
        return ["the most frequent mistakes:", *_mistakes(known, names)]
    names = [name if len(name) <= _NAME else f"{name[: _NAME - 3]}..." for name in names]
    width = max(len("true class"), *(len(name) for name in names)) + 4
    cells = max(5, *(len(str(count)) + 2 for row in known.confusion for count in row))
    numbers = "".join(f"{number:>{cells}}" for number in range(1, len(names) + 1))
    lines = [f"{'true class':<{width}}{numbers}     right"]
    for number, (name, row, recall) in enumerate(
        zip(names, known.confusion, known.recalls_percent, strict=True), start=1
    ):
        counts = "".join(f"{count:>{cells}}" for count in row)
        right = "-" if recall is None else f"{recall:.1f} %"
        lines.append(f"{f'{number:>2}  {name}':<{width}}{counts}{right:>10}")
    return lines


def _mistakes(known: Assessment, names: Sequence[str]) -> Iterator[str]:
    """The ten most frequent ones."""
    wrong = [
        (count, truth, named)
        for truth, row in enumerate(known.confusion)
        for named, count in enumerate(row)
        if count and named != truth
    ]
    for count, truth, named in islice(sorted(wrong, key=lambda each: (-each[0], *each[1:])), 10):
        of = sum(known.confusion[truth])
        yield f"  {count} of {of} images of {names[truth]!r} taken for {names[named]!r}"
    if not wrong:
        yield "  none"
