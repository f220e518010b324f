"""How good networks are, as figures and queries name it: accuracies in percent, or PSNR in decibels.

Classifiers are compared by accuracy, networks that restore images by their peak signal-to-noise ratio.
Figures, tables and queries are the same for both but for what is said here; it is chosen once, from the task
of the run.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from a4nn_core.metrics import ACCURACY_PERCENT, PSNR_DB, Metric
from a4nn_core.vocabulary import Task


@dataclass(frozen=True, slots=True)
class Quality:
    """What the scores of a run's networks are.

    Attributes:
        metric: what is measured; it says the unit, and between which bounds scores are.
        noun: its short name in sentences, axes and columns.
        with_article, plural: the same for one of them, and for several.
        better: how the better one of two networks is called.
        good: how the group of those with the best scores is.
        gain_unit: unit of differences, after a number and in columns.
        gains: the same in sentences.
        gain_axis: the same on axes.
        columns: what columns of scores are called after ``best_``, ``validation_`` and so on in tables of the
            commons.
        alias, gain_alias: how names of columns that a query makes end, of scores and of differences.
    """

    metric: Metric
    noun: str
    with_article: str
    plural: str
    better: str
    good: str
    gain_unit: str
    gains: str
    gain_axis: str
    columns: str
    alias: str
    gain_alias: str

    @classmethod
    def of(cls, task: Task) -> Quality:
        """That of networks for a task."""
        return PSNR if task is Task.restoration else ACCURACY

    @property
    def unit(self) -> str:
        """Unit of scores, ``%`` or ``dB``."""
        return self.metric.unit

    @property
    def heading(self) -> str:
        """The noun as a title begins with it."""
        return f"{self.noun[0].upper()}{self.noun[1:]}"

    @property
    def validation(self) -> str:
        """Label of axes and columns with scores on the validation images, with the unit."""
        return f"validation {self.noun} ({self.unit})"

    @property
    def best_validation(self) -> str:
        """The same of the best epoch of each network."""
        return f"best {self.validation}"

    def number(self, score: float, digits: int = 2) -> str:
        """A score for people, with its unit."""
        return f"{score:.{digits}f} {self.unit}"

    def gain(self, difference: float) -> str:
        """A difference of two scores for people, with its sign and unit."""
        return f"{difference:+.2f} {self.gain_unit}"

    def possible(self, score: float) -> bool:
        """Whether a number, such as one that was predicted, can be a score at all."""
        low, high = self._bounds
        return math.isfinite(score) and low <= score <= high

    def within(self, score: float) -> float:
        """The possible score that is nearest to a number."""
        low, high = self._bounds
        return min(max(score, low), high)

    def axis(self, drawn: Iterable[float]) -> tuple[float, float]:
        """Where an axis of scores begins and ends: a little beside what is drawn, never beyond the bounds.

        Args:
            drawn: all that the axis has to show; what cannot be a score is left out.
        """
        values = [value for value in drawn if self.possible(value)]
        low, high = min(values, default=0.0), max(values, default=100.0)
        margin = 0.07 * (high - low) or 1.0
        return self.within(low - margin), self.within(high + margin)

    def sql(self, template: str, **values: object) -> str:
        """A query for runs with such scores.

        Args:
            template: with ``{score}`` where names of recorded columns go on (``best_{score}``), and with
                ``{unit}`` and ``{points}`` where names of its own columns of scores and of differences do.
            values: what else it leaves open.
        """
        return template.format(score=self.columns, unit=self.alias, points=self.gain_alias, **values)

    @property
    def _bounds(self) -> tuple[float, float]:
        low, high = self.metric.bounds
        return -math.inf if low is None else low, math.inf if high is None else high


ACCURACY = Quality(
    metric=ACCURACY_PERCENT,
    noun="accuracy",
    with_article="an accuracy",
    plural="accuracies",
    better="more accurate",
    good="accurate",
    gain_unit="points",
    gains="points",
    gain_axis="percentage points",
    columns="accuracy_percent",
    alias="percent",
    gain_alias="points",
)
PSNR = Quality(
    metric=PSNR_DB,
    noun="PSNR",
    with_article="a PSNR",
    plural="ratios",
    better="better",
    good="best quarter",
    gain_unit="dB",
    gains="decibels",
    gain_axis="dB",
    columns="psnr_db",
    alias="db",
    gain_alias="db",
)


def to_sort(score: float | None) -> float:
    """A score to sort by: what has none comes after everything that has one, even below 0 dB."""
    return -math.inf if score is None else score
