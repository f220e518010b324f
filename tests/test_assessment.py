"""Confusion, balanced accuracy and calibration, by hand and against scikit-learn."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from commons_data import journal_epochs
from sklearn.metrics import balanced_accuracy_score, confusion_matrix

from a4nn_core.assessment import BINS, Assessment, assess
from a4nn_core.commons import JournalEpoch
from a4nn_core.commons.records import Network
from a4nn_core.jsonable import JsonText
from a4nn_core.search.base import Candidate
from a4nn_core.spaces import SPACES
from a4nn_core.training.segment import SegmentResult
from a4nn_core.training.steps import Answers
from a4nn_core.vocabulary import NetworkStatus
from a4nn_core.workflow.network_records import equal_record, network_record

SHARES = np.array([[0.9, 0.1], [0.9, 0.1], [0.4, 0.6], [0.5, 0.5]])
NAMED, LABELS = np.array([0, 0, 1, 0]), np.array([0, 1, 1, 0])


def test_by_hand() -> None:
    found = assess(SHARES, NAMED, LABELS)
    assert found.confusion == ((2, 0), (1, 1))
    assert (found.images, found.accuracy_percent, found.balanced_accuracy_percent) == (4, 75.0, 75.0)
    assert found.recalls_percent == [100.0, 50.0]
    # in their bins: 0.9 twice, once right; 0.6 once, right; 0.5 once, right
    assert found.calibration_error_points == pytest.approx(100 * (0.8 + 0.4 + 0.5) / 4)
    assert found.brier_score == pytest.approx((0.02 + 1.62 + 0.32 + 0.5) / 4)


def test_a_bin_is_neither_split_nor_shared() -> None:
    """Of two answers with confidences p and q, one of them wrong, only those in one bin cancel."""
    for p, q in ((0.61, 0.66), (0.59, 0.61), (1.0, 14 / BINS + 1e-9), (14 / BINS, 14 / BINS + 1e-9)):
        found = assess(np.array([[p, 1 - p], [q, 1 - q]]), np.array([0, 0]), np.array([0, 1]))
        together = abs(p + q - 1) if int(np.ceil(p * BINS)) == int(np.ceil(q * BINS)) else 1 - p + q
        assert found.calibration_error_points == pytest.approx(100 * together / 2)


@pytest.mark.filterwarnings("ignore:y_pred contains classes not in y_true")
def test_as_scikit_learn_has_it() -> None:
    rng = np.random.default_rng(3)
    scores = torch.from_numpy(rng.normal(size=(200, 4)) * 3)
    labels = rng.choice(3, size=200, p=[0.7, 0.25, 0.05])  # the fourth class has no images
    answers = Answers()
    for part, true in zip(scores.split(64), torch.from_numpy(labels).split(64), strict=True):
        answers.add(part, true)
    found = answers.assess()
    named = scores.argmax(dim=1).numpy()
    assert np.array_equal(found.confusion, confusion_matrix(labels, named, labels=range(4)))
    assert found.balanced_accuracy_percent / 100 == pytest.approx(balanced_accuracy_score(labels, named))
    assert found.recalls_percent[3] is None
    shares = torch.softmax(scores, dim=1).numpy()
    assert found.brier_score == pytest.approx(((shares - np.eye(4)[labels]) ** 2).sum(axis=1).mean())


def test_a_perfect_network_has_no_error() -> None:
    found = assess(np.eye(3), np.arange(3), np.arange(3))
    assert (found.accuracy_percent, found.calibration_error_points, found.brier_score) == (100.0, 0.0, 0.0)


def test_it_travels_in_a_journal() -> None:
    """Lines of earlier versions have none."""
    assessment = assess(SHARES, NAMED, LABELS)
    line = journal_epochs(1, 1)[0].line()
    assert "assessment" not in line
    again = JournalEpoch.of(line | {"assessment": assessment.to_json()})
    assert again.assessment == assessment
    assert again.line()["assessment"] == assessment.to_json()


def test_a_record_without_one_has_none() -> None:
    assert Network(network=1).assessment is None
    known = Network(
        network=1, confusion=JsonText("[[1,0],[0,2]]"), calibration_error_points=1.5, brier_score=0.25
    )
    assert known.assessment == Assessment(((1, 0), (0, 2)), 1.5, 0.25)
    for other in ('[["a"]]', "7", "not JSON"):
        assert Network(network=1, confusion=JsonText(other), brier_score=0.0).assessment is None


def test_a_network_has_that_of_its_best_epoch_and_so_has_its_equal() -> None:
    space = SPACES.make("macro", "test")
    genome = space.genome(space.upper)
    architecture = space.decode(genome, (1, 16, 16), 2)
    candidate = Candidate(3, genome, (), "sampling", 0, 0)
    accuracies = (50.0, 75.0, 75.0, 60.0)
    journal = [
        JournalEpoch(
            epoch=epoch,
            validation_accuracy_percent=accuracy,
            assessment=Assessment(((epoch, 0), (0, 1)), 1.0 * epoch, 0.1),
        )
        for epoch, accuracy in enumerate(accuracies, start=1)
    ]
    result = SegmentResult(3, 0, NetworkStatus.completed)
    facts = {"epochs_budget": 4, "seed": 0, "front_version": 0, "checkpoints": "folder"}
    found = network_record(candidate, architecture, journal, result, **facts)
    assert found.best_epoch == 2
    assert found.assessment == journal[1].assessment
    assert found.balanced_accuracy_percent == 100.0
    equal = equal_record(replace(candidate, number=4), architecture, found, 4)
    assert (equal.equal_to, equal.assessment) == (3, found.assessment)
    assert equal.balanced_accuracy_percent == 100.0
    before = [replace(epoch, assessment=None) for epoch in journal]  # of a run that an earlier version began
    assert network_record(candidate, architecture, before, result, **facts).assessment is None
