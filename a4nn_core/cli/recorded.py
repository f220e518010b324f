"""What a commons has recorded of one network, for ``a4nn describe``."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from a4nn_core.cli import assessed
from a4nn_core.cli.options import print_json, tell

if TYPE_CHECKING:
    from a4nn_core.commons.records import Network, Run
    from a4nn_core.jsonable import Json
    from a4nn_core.termination.endings import Ending


def describe_recorded(commons: Path, run: str, number: int, picture: Path | None, as_json: bool) -> None:
    """Show one network of a run; with ``picture``, draw it.

    Raises:
        BadInput: there is no such run or network, or it cannot be drawn.
    """
    from a4nn_core.commons import Commons
    from a4nn_core.publish.models.found import find, recorded
    from a4nn_core.termination.endings import Endings

    store = Commons(commons)
    header, network = recorded(store, run, number)
    ending = Endings.of(header, {one.network: one for one in store.networks(run)}).find(network)
    if picture is not None:
        from a4nn_core.archaeology.drawing import draw_architecture

        draw_architecture(find(store, run, number).architecture, picture)
    if as_json:
        print_json(_document(header, network, ending))
        return
    for name, text in _facts(commons, header, network, ending).items():
        tell(f"{name:<12}{text}")
    if picture is not None:
        tell(f"picture     {picture}")
    if network.assessment is not None:
        tell("", "validation images by true class and by the class named, at the best epoch:", "")
        tell(*assessed.confusion(network.assessment, header.classes))


def _document(header: Run, network: Network, ending: Ending | None) -> dict[str, Json]:
    from a4nn_core.jsonable import JsonText, to_jsonable

    row = {
        name: value.value if isinstance(value, JsonText) else to_jsonable(value)
        for name, value in network.row().items()
    }
    return row | {
        "best_accuracy_se_points": header.images.validation_error(network.best_accuracy_percent),
        "test_accuracy_se_points": header.images.test_error(network.test_accuracy_percent),
        "task": header.task,
        "classes": list(header.classes),
        "ending": None if ending is None else to_jsonable(asdict(ending)),
    }


def _facts(commons: Path, header: Run, network: Network, ending: Ending | None) -> dict[str, str]:
    images, known = header.images, network.assessment
    balanced = "" if known is None else f", balanced {known.balanced_accuracy_percent:.2f} %"
    if known is not None and known.missing_panel_accuracy_percent is not None:
        balanced += f", with a missing detector panel {known.missing_panel_accuracy_percent:.2f} %"
    facts = {
        "network": f"{network.network} of run {network.run}{_origin(network)}",
        "status": _status(network, ending),
        "validation": str(network.score(images)) + balanced + _deviance(network.poisson_deviance),
        "test": str(network.test_score(images)) + _deviance(network.test_poisson_deviance),
    }
    if known is not None:
        facts["calibration"] = assessed.calibration(known)
    if str(images):
        facts[""] = f"± one standard error, of {images}"
    if network.inherited_from is not None:
        got = f"{network.inherited_parameters or 0:,} of {network.parameters or 0:,} parameters"
        facts["inherited"] = f"from network {network.inherited_from}, layers with {got}"
    return facts | {
        "FLOPs": "-" if network.flops is None else f"{network.flops:,} multiply-adds for one image",
        "parameters": "-" if network.parameters is None else f"{network.parameters:,}",
        "hash": network.architecture_hash or "-",
        "genome": network.genome or "-",
        "weights": _weights(commons, network),
    }


def _deviance(value: float | None) -> str:
    return "" if value is None else f", Poisson deviance of an image {value:.3g}"


def _origin(network: Network) -> str:
    """Such as ``, generation 2, by crossover from 3 and 5``."""
    parents = " and ".join(map(str, network.parents or ()))
    return (
        ("" if network.generation is None else f", generation {network.generation}")
        + ("" if network.operator is None else f", by {network.operator}")
        + (f" from {parents}" if parents else "")
    )


def _status(network: Network, ending: Ending | None) -> str:
    if network.equal_to is not None:
        return f"not trained: its architecture is that of network {network.equal_to}, whose results it shares"
    status = str(network.status or "-")
    if network.epochs_budget:
        status += f" after {network.epochs_trained or 0} of {network.epochs_budget} epochs"
    if network.best_epoch is not None:
        status += f", the best is epoch {network.best_epoch}"
    if ending is not None:
        return f"{status}, {ending}"
    return f"{status}: {network.error}" if network.error else status


def _weights(commons: Path, network: Network) -> str:
    if network.best_checkpoint is None:
        return "-"
    path = commons / network.best_checkpoint
    return str(path) if path.is_file() else f"{path} was not kept"
