"""What looks at accuracies can look at runs that have them."""

from __future__ import annotations

from a4nn_core.commons.records import Run
from a4nn_core.errors import BadInput
from a4nn_core.vocabulary import Task


def require_accuracies(header: Run, what: str) -> None:
    """Refuse a run whose networks have no accuracies.

    Args:
        header: the run.
        what: what is asked for, in the plural, for the message.

    Raises:
        BadInput: its networks restore images; says what shows them instead.
    """
    if header.task is Task.restoration:
        raise BadInput(
            f"{what} are of accuracies, and the networks of run {header.run!r} restore images: a4nn front, "
            "a4nn describe and a4nn report show their PSNR, restored.png beside the records of the run "
            "pictures it, and a4nn sql compares them (networks.best_psnr_db, epochs.validation_psnr_db)"
        )
