"""A network's final records, built from its candidate, its architecture and its journal."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace

from a4nn_core.commons.epochs import JournalEpoch
from a4nn_core.commons.events import Rejected as LoggedRejected
from a4nn_core.commons.records import ConsideredRecord, Network, Prediction, RejectedRecord, best_epoch
from a4nn_core.jsonable import JsonText
from a4nn_core.metrics import ACCURACY_PERCENT, STANDARD, Evaluate, Measured, Metric, values
from a4nn_core.search.base import Candidate, Considered, Rejected
from a4nn_core.spaces.architecture import Architecture
from a4nn_core.spaces.inheritance import inherited_parameters, taken
from a4nn_core.training.segment import Inheritance, SegmentResult
from a4nn_core.vocabulary import FitnessSource, NetworkStatus, Rejection, Task


def network_record(
    candidate: Candidate,
    architecture: Architecture,
    journal: Sequence[JournalEpoch],
    result: SegmentResult,
    *,
    epochs_budget: int,
    seed: int,
    front_version: int,
    checkpoints: str,
    metrics: Sequence[Metric] = STANDARD,
    before: Evaluate = Metric.value,
    inheritance: Inheritance | None = None,
) -> Network:
    """The final record of a network whose training has ended.

    Args:
        candidate: the candidate that the strategy asked for.
        architecture: the architecture its genome decodes to.
        journal: its epochs in order, with the names of the checkpoints that are kept.
        result: result of its last segment.
        epochs_budget: number of epochs it could have been trained.
        seed: seed of its training.
        front_version: version of the front snapshot its last segment was judged against.
        checkpoints: folder of its checkpoints, relative to the commons.
        metrics: metrics whose values its fitness contains.
        before: returns the values of those that are known before training.
        inheritance: where the weights come from that it began with; None for fresh ones.

    Raises:
        BadInput: a metric of another package cannot be computed.
    """
    status = NetworkStatus(result.status)
    network = replace(
        _identity(candidate, architecture, epochs_budget),
        status=status,
        device=result.device,
        seconds=sum(epoch.seconds or 0.0 for epoch in journal),
        energy_joules=_energy(journal),
        epochs_trained=len(journal),
        front_version=front_version,
        seed=seed,
        error=result.error,
    )
    if inheritance is not None:
        found = taken(architecture, inheritance.architecture, inheritance.morph)
        network = replace(
            network,
            inherited_from=inheritance.network,
            inherited_parameters=inherited_parameters(architecture, found),
        )
    best = best_epoch(journal)
    if best is None:
        return network
    accuracy = best.validation_accuracy_percent
    last = journal[-1]
    restores = best.validation_psnr_db is not None
    ended_early = status in (NetworkStatus.stopped, NetworkStatus.paused)
    network = replace(
        network,
        best_accuracy_percent=accuracy,
        best_epoch=best.epoch,
        last_accuracy_percent=last.validation_accuracy_percent,
        best_psnr_db=best.validation_psnr_db,
        best_psnr_se_db=best.validation_psnr_se_db,
        last_psnr_db=last.validation_psnr_db,
        poisson_deviance=best.validation_poisson_deviance,
        predicted_accuracy_percent=None if restores else last.predicted,
        predicted_psnr_db=last.predicted if restores else None,
        predicted_low=last.predicted_low,
        predicted_high=last.predicted_high,
        termination_reason=last.reason if ended_early else None,
        termination_evidence=last.evidence if last.evidence and last.evidence.value else None,
        checkpoint=f"{checkpoints}/{last.checkpoint}",
        checkpoint_sha256=last.checkpoint_sha256,
    )
    if best.checkpoint is not None:
        network = replace(
            network,
            best_checkpoint=f"{checkpoints}/{best.checkpoint}",
            best_checkpoint_sha256=best.checkpoint_sha256,
        )
    if best.assessment is not None:
        network = replace(
            network,
            balanced_accuracy_percent=best.assessment.balanced_accuracy_percent,
            calibration_error_points=best.assessment.calibration_error_points,
            brier_score=best.assessment.brier_score,
            confusion=JsonText.of(best.assessment.to_json()["confusion"]),
            missing_panel_accuracy_percent=best.assessment.missing_panel_accuracy_percent,
        )
    if status is NetworkStatus.failed or best.validation_score is None:
        return network
    if result.test_fidelity is not None:
        network = replace(
            network,
            test_psnr_db=result.test_fidelity.psnr_db,
            test_psnr_se_db=result.test_fidelity.psnr_se_db,
            test_poisson_deviance=result.test_fidelity.poisson_deviance,
        )
    return replace(
        network,
        test_accuracy_percent=result.test_accuracy_percent,
        fitness_source=FitnessSource.measured,
        fitness=values(metrics, architecture, _measured(journal, best), before),
    )


def _measured(journal: Sequence[JournalEpoch], best: JournalEpoch) -> Measured:
    assessment = best.assessment
    return Measured(
        accuracy_percent=tuple(
            accuracy for epoch in journal if (accuracy := epoch.validation_accuracy_percent) is not None
        ),
        loss=tuple(epoch.validation_loss for epoch in journal),
        seconds=tuple(epoch.seconds or 0.0 for epoch in journal),
        energy_joules=tuple(epoch.energy_joules for epoch in journal),
        balanced_accuracy_percent=assessment.balanced_accuracy_percent if assessment else None,
        missing_panel_accuracy_percent=assessment.missing_panel_accuracy_percent if assessment else None,
        psnr_db=tuple(ratio for epoch in journal if (ratio := epoch.validation_psnr_db) is not None),
        poisson_deviance=best.validation_poisson_deviance,
    )


def _energy(journal: Sequence[JournalEpoch]) -> float | None:
    """Joules of all epochs; None unless all were measured."""
    joules = [joules for epoch in journal if (joules := epoch.energy_joules) is not None]
    return sum(joules) if journal and len(joules) == len(journal) else None


def equal_record(
    candidate: Candidate, architecture: Architecture, original: Network, epochs_budget: int
) -> Network:
    """The record of a network that was not trained because another one of this run has its architecture."""
    return replace(
        _identity(candidate, architecture, epochs_budget),
        fitness=original.fitness,
        fitness_source=original.fitness_source,
        best_accuracy_percent=original.best_accuracy_percent,
        best_epoch=original.best_epoch,
        last_accuracy_percent=original.last_accuracy_percent,
        test_accuracy_percent=original.test_accuracy_percent,
        balanced_accuracy_percent=original.balanced_accuracy_percent,
        calibration_error_points=original.calibration_error_points,
        brier_score=original.brier_score,
        confusion=original.confusion,
        missing_panel_accuracy_percent=original.missing_panel_accuracy_percent,
        best_psnr_db=original.best_psnr_db,
        best_psnr_se_db=original.best_psnr_se_db,
        last_psnr_db=original.last_psnr_db,
        test_psnr_db=original.test_psnr_db,
        test_psnr_se_db=original.test_psnr_se_db,
        poisson_deviance=original.poisson_deviance,
        test_poisson_deviance=original.test_poisson_deviance,
        best_checkpoint=original.best_checkpoint,
        best_checkpoint_sha256=original.best_checkpoint_sha256,
        checkpoint=original.checkpoint,
        checkpoint_sha256=original.checkpoint_sha256,
        error=original.error,
        status=NetworkStatus.equal,
        equal_to=original.network,
        seconds=0.0,
        epochs_trained=0,
    )


def infeasible_record(candidate: Candidate, architecture: Architecture, reason: str) -> Network:
    """The record of a network outside the bounds. Its budget is 0 epochs, so no epochs count as saved."""
    return replace(
        _identity(candidate, architecture, epochs_budget=0),
        status=NetworkStatus.infeasible,
        seconds=0.0,
        epochs_trained=0,
        error=reason,
    )


def told_record(
    candidate: Candidate,
    architecture: Architecture,
    told: Mapping[str, float],
    *,
    curve: Sequence[float],
    seconds: float | None,
    failed: str | None,
    metrics: Sequence[Metric],
    before: Evaluate,
    device: str,
) -> Network:
    """The record of a network that was trained elsewhere. What was not seen is not claimed: without a
    learning curve it has no epochs, trained or saved.

    Args:
        candidate, architecture: as for ``network_record``.
        told: metric name to value, of metrics that are known after training.
        curve: validation accuracy in percent after each epoch; empty if it is not known.
        seconds: how long its training took; None if it is not known.
        failed: what went wrong; None if nothing did.
        metrics: metrics whose values its fitness contains, beside those that were told.
        before: returns the values of those that are known before training.
        device: what is recorded as the device.
    """
    network = replace(
        _identity(candidate, architecture, epochs_budget=len(curve)),
        status=NetworkStatus.completed if failed is None else NetworkStatus.failed,
        epochs_trained=len(curve),
        seconds=seconds,
        device=device,
        error=failed,
    )
    if curve:
        best = max(curve)
        network = replace(
            network,
            best_accuracy_percent=best,
            best_epoch=curve.index(best) + 1,
            last_accuracy_percent=curve[-1],
        )
    if failed is not None:
        return network
    known = values((metric for metric in metrics if metric.before_training), architecture, before=before)
    return replace(
        network,
        best_accuracy_percent=told.get(ACCURACY_PERCENT.name, network.best_accuracy_percent),
        fitness={**known, **told},
        fitness_source=FitnessSource.told,
    )


def prediction_before(candidate: Candidate, strategy: str) -> list[Prediction]:
    """The prediction that a strategy made of a candidate before its first epoch; empty if it made none.

    Args:
        candidate: the candidate that the strategy asked for.
        strategy: name of the strategy.
    """
    if candidate.predicted is None:
        return []
    found = Prediction(
        epoch=0, function=strategy, predicted=candidate.predicted, low=candidate.low, high=candidate.high
    )
    return [found]


def considered_record(considered: Considered, architecture: Architecture) -> ConsideredRecord:
    """The record of a genome that a strategy looked at and did not ask for; the log numbers it."""
    restores = architecture.task is Task.restoration
    return ConsideredRecord(
        generation=considered.generation,
        genome=JsonText(json.dumps(considered.genome)),
        architecture_hash=architecture.hash,
        flops=architecture.flops,
        parameters=architecture.parameters,
        parents=tuple(considered.parents),
        operator=considered.operator,
        predicted_accuracy_percent=None if restores else considered.predicted,
        predicted_psnr_db=considered.predicted if restores else None,
        predicted_low=considered.low,
        predicted_high=considered.high,
        expected_improvement=considered.expected_improvement,
        reason=considered.reason,
    )


def rejected_record(rejected: Rejected) -> RejectedRecord:
    """The record of a genome that was proposed and is not valid; the log numbers it."""
    return RejectedRecord(
        generation=rejected.generation,
        genome=None if rejected.text is not None else JsonText(json.dumps(rejected.genome)),
        text=rejected.text,
        reason=rejected.reason,
        explanation=rejected.explanation,
    )


def rejected_again(logged: LoggedRejected) -> list[Rejected]:
    """What was proposed for an ask and is not valid, as the log holds it."""
    return [
        Rejected(
            genome=None if one.genome is None else one.genome.value,
            text=one.text,
            reason=Rejection(one.reason or Rejection.not_in_space),
            explanation=one.explanation or "",
            generation=one.generation or 0,
        )
        for one in logged.records()
    ]


def _identity(candidate: Candidate, architecture: Architecture, epochs_budget: int) -> Network:
    return Network(
        network=candidate.number,
        generation=candidate.generation,
        position=candidate.position,
        genome=JsonText(json.dumps(candidate.genome)),
        architecture_hash=architecture.hash,
        parents=tuple(candidate.parents),
        operator=candidate.operator,
        flops=architecture.flops,
        parameters=architecture.parameters,
        epochs_budget=epochs_budget,
    )
