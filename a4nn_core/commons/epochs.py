"""The epochs of a network in training: one line of its journal each, with facts that no table records.

Used inside training workers, so it imports neither torch nor Arrow nor DuckDB.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from a4nn_core.assessment import Assessment
from a4nn_core.commons.columns import BadCell, Row, cell, from_line
from a4nn_core.commons.journal import read_journal
from a4nn_core.commons.layout import Damaged
from a4nn_core.commons.records import Epoch, Prediction, by_epoch
from a4nn_core.jsonable import Json, JsonText, members, number
from a4nn_core.vocabulary import Action

_COMPUTING, _LAG, _ASSESSMENT = "manner", "measurement_lag_points", "assessment"
_VERDICT = ("verdict", "reason", "predicted", "predicted_low", "predicted_high", "evidence")
_PLAIN = tuple(f.name for f in Epoch.definition.columns if f.name not in (*_VERDICT, "run", "network"))
_LATER = tuple(f.name for f in Epoch.definition.columns if f.later and f.name in _PLAIN)
_OF_ITS_EPOCH = ("run", "network", "epoch", "verdict", "reason")
_FIT = tuple(f.name for f in Prediction.definition.columns if f.name not in _OF_ITS_EPOCH)


@dataclass(frozen=True, slots=True, kw_only=True)
class JournalEpoch(Epoch):
    """One line of a journal.

    Attributes:
        fits: the fits made for the verdict.
        computing: settings in which the compute plan differs from the usual one; empty if in none.
        measurement_lag_points: percentage points of accuracy on training images by which the measured network
            lags behind the trained one; None if it does not.
        assessment: of the answers to the validation images; None if an earlier epoch was as accurate.
    """

    fits: tuple[Prediction, ...] = ()
    computing: Mapping[str, Json] | None = None
    measurement_lag_points: float | None = None
    assessment: Assessment | None = None

    def row(self) -> Row:
        """The values of the columns of ``epochs``; the evidence only of verdicts to pause or stop."""
        row = Epoch.row(self)
        return row | {"evidence": None} if self.verdict is Action.proceed else row

    def line(self) -> dict[str, Json]:
        """The line for the journal, without what was not measured or is at its default."""
        line = {name: cell(getattr(self, name)) for name in _PLAIN}
        for name in _LATER:
            if line[name] is None:
                del line[name]
        if self.computing:
            line[_COMPUTING] = dict(self.computing)
        if self.measurement_lag_points is not None:
            line[_LAG] = self.measurement_lag_points
        if self.assessment is not None:
            line[_ASSESSMENT] = self.assessment.to_json()
        line["verdict"] = {
            "action": cell(self.verdict),
            "reason": self.reason,
            "predicted": cell(self.predicted),
            "interval": None if self.interval is None else list(self.interval),
            "evidence": {} if self.evidence is None else self.evidence.value,
        }
        line["fits"] = [
            {name: cell(getattr(fit, name)) for name in _FIT}
            | {"parameters": {} if fit.parameters is None else fit.parameters.value}
            for fit in self.fits
        ]
        return line

    @classmethod
    def of(cls, line: Mapping[str, Json]) -> JournalEpoch:
        """The epoch of a line. Lines of earlier versions lack what was not recorded then.

        Raises:
            BadCell: a value is not one of its column.
            KeyError: the line has no epoch.
            ValueError: the line has an unknown key, whose value would otherwise be lost silently.
        """
        unknown = line.keys() - {*_PLAIN, "verdict", "fits", _COMPUTING, _LAG, _ASSESSMENT}
        if unknown:
            raise ValueError(f"an epoch has no {sorted(unknown)[0]!r}")
        verdict = members(line.get("verdict"))
        interval = verdict.get("interval")
        low, high = interval if isinstance(interval, list) and len(interval) == 2 else (None, None)
        evidence = verdict.get("evidence")
        judged = {"epoch": line["epoch"], "verdict": verdict.get("action"), "reason": verdict.get("reason")}
        fits = line.get("fits")
        epoch = from_line(
            cls,
            {
                **{name: line[name] for name in _PLAIN if name in line},
                **{name: judged[name] for name in ("verdict", "reason")},
                "predicted": verdict.get("predicted"),
                "predicted_low": low,
                "predicted_high": high,
                "evidence": None if evidence is None else JsonText.of(evidence),
            },
        )
        return replace(
            epoch,
            fits=tuple(
                from_line(Prediction, {**members(fit), **judged})
                for fit in (fits if isinstance(fits, list) else ())
            ),
            computing=members(line.get(_COMPUTING)) or None,
            measurement_lag_points=number(line.get(_LAG)),
            assessment=Assessment.from_json(line.get(_ASSESSMENT)),
        )


def read_epochs(path: Path) -> list[JournalEpoch]:
    """The epochs of a journal in its order, without an incomplete last line; none if it does not exist.

    Raises:
        Damaged: a line other than the last is not an epoch; the message names the file and the line.
    """
    found = []
    for count, line in enumerate(read_journal(path), start=1):
        try:
            found.append(JournalEpoch.of(line))
        except (KeyError, ValueError, TypeError, BadCell) as error:
            raise Damaged(f"{path} line {count} is damaged: {error}") from None
    return found


def predictions_of(journal: Iterable[JournalEpoch]) -> list[Prediction]:
    """Every fit of a network's epochs, in order."""
    return [fit for epoch in by_epoch(journal) for fit in epoch.fits]
