"""A warning for whoever searches: accuracies are too low because of how they are measured."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from a4nn_core.commons import JournalEpoch

log = logging.getLogger(__name__)


def warn_of_lag(number: int, journal: Sequence[JournalEpoch], evaluation: str) -> bool:
    """Warn if a network's measurement lags behind its training; returns whether it does.

    Args:
        number: number of the network.
        journal: its epochs.
        evaluation: ``training.evaluation``.
    """
    worst = max(journal, key=lambda epoch: epoch.measurement_lag_points or 0.0, default=None)
    if worst is None or not worst.measurement_lag_points:
        return False
    log.warning(
        "network %d, epoch %d: validation accuracy %.1f %% lags far behind training accuracy %.1f %% "
        "because of how it is measured: on training images, too, the measured network is %.0f points "
        "worse than the training steps saw; %s",
        number,
        worst.epoch,
        worst.validation_accuracy_percent,
        worst.train_accuracy_percent,
        worst.measurement_lag_points,
        "a smaller training.batch_size makes more steps per epoch"
        if evaluation == "averaged"
        else 'training.evaluation = "averaged" measures the network itself',
    )
    return True
