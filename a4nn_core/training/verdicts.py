"""Verdicts in the records: an epoch as it is written once it has been judged."""

from __future__ import annotations

from dataclasses import replace

from a4nn_core.commons.epochs import JournalEpoch
from a4nn_core.commons.records import Prediction
from a4nn_core.jsonable import JsonText
from a4nn_core.termination.base import FitRecord, Verdict
from a4nn_core.vocabulary import Action


def judged(epoch: JournalEpoch, verdict: Verdict) -> JournalEpoch:
    """An epoch with the verdict after it."""
    low, high = verdict.interval or (None, None)
    return replace(
        epoch,
        verdict=verdict.action,
        reason=verdict.reason,
        predicted=verdict.predicted,
        predicted_low=low,
        predicted_high=high,
        evidence=JsonText.of(verdict.evidence),
        fits=tuple(_prediction(fit, epoch.epoch, verdict.action, verdict.reason) for fit in verdict.fits),
    )


def _prediction(fit: FitRecord, epoch: int, action: Action, reason: str) -> Prediction:
    return Prediction(
        epoch=epoch,
        function=fit.function,
        expression=fit.expression,
        parameters=JsonText.of(fit.parameters),
        predicted=fit.predicted,
        low=fit.low,
        high=fit.high,
        residual=fit.residual,
        status=fit.status,
        microseconds=fit.microseconds,
        verdict=action,
        reason=reason,
    )
