"""A network's segment as a flow: what a machine of a work pool trains for a search on another machine."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path
from typing import Annotated

from prefect import State, flow
from prefect.runtime import flow_run
from prefect.states import Completed
from pydantic import PlainValidator, WithJsonSchema

from a4nn_core.commons.layout import check_layout
from a4nn_core.errors import BadInput
from a4nn_core.training.segment import Segment, SegmentResult
from a4nn_core.workflow.devices import choose_device
from a4nn_core.workflow.pool import WorkerPool
from a4nn_core.workflow.preflight import warn_unless_measured

from .locks import held, network_lock
from .orphan import needing_no_worker


def _flow_run_name() -> str:
    given = flow_run.get_parameters()["segment"]
    parsed = given if isinstance(given, Segment) else Segment.from_mapping(given)
    return f"{parsed.run_id} network {parsed.network} segment {parsed.number}"


def _parse(given: object) -> Segment:
    if isinstance(given, Segment):
        return given
    if not isinstance(given, Mapping):
        raise ValueError(f"{given!r} is not a segment")
    try:
        return Segment.from_mapping(given)
    except (KeyError, TypeError) as error:
        # the machines of a work pool may have another version than the one that searches
        raise ValueError(f"not a segment as this version of A4NN sends it: {error}") from None


SegmentParameter = Annotated[
    Segment, PlainValidator(_parse), WithJsonSchema({"type": "object", "title": "segment"})
]
"""a segment, or the mapping as which it is sent"""


@flow(name="a4nn-segment", flow_run_name=_flow_run_name, validate_parameters=True)
def segment(segment: SegmentParameter) -> State[None]:
    """Train one network from its last checkpoint until a verdict or an epoch limit.

    Journal and checkpoints are written into the commons that the segment names; the message of the flow run's
    state is the result as JSON. If another process still trains the network, the flow waits for it: what that
    process has trained is not trained again.

    Args:
        segment: what to train, as a search on another machine asks for it.
    """
    with needing_no_worker(), closing(WorkerPool(1, segment.training.threads)) as pool:
        result = train(segment, pool.run)
    return Completed(message=result.to_json(), name="Completed")


def train(segment: Segment, run: Callable[[Segment], SegmentResult]) -> SegmentResult:
    """Train, on this machine, a segment that another machine asks for.

    Args:
        segment: what to train; this machine must have access to the commons it names.
        run: trains it, once no other process trains the network.
    """
    commons = Path(segment.commons)
    try:
        check_layout(commons)
        if segment.training.device == "auto":
            # the machine that trains knows its devices, the one that searches may have none
            segment = dataclasses.replace(segment, device=choose_device("auto"))
        else:
            choose_device(segment.device)
        if segment.training.energy:
            warn_unless_measured(segment.device, segment.slots)
    except BadInput as error:
        return segment.failed(
            f"{error} (the commons must lie on a file system shared by all machines)"
            if not commons.is_dir()
            else str(error),
            fatal=True,
        )
    lock = network_lock(commons, segment.run_id, segment.network)
    with held(lock, f"{segment.run_id} network {segment.network}", wait=True):
        return run(segment)
