"""How long a network takes to classify one image on this machine, by ONNX Runtime."""

from __future__ import annotations

import io
import time
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

from a4nn_core.errors import BadInput
from a4nn_core.metrics import Metric, Reading

if TYPE_CHECKING:
    from a4nn_core.spaces.architecture import Architecture

WARM_UP = 5
LEAST_REPETITIONS = 30
LEAST_SECONDS = 0.2
MOST_REPETITIONS = 1000
_SILENT = 4  # of onnxruntime's levels


def measure_latency(architecture: Architecture) -> Reading:
    """Milliseconds that an untrained network takes for one image: the median of at least 30 repetitions,
    after 5 that do not count, and half the distance between their quartiles.

    ONNX Runtime computes in one thread, that of the caller, whose processor time is taken: whatever else the
    machine does then, such as training other networks, counts only as far as it slows down the memory they
    share. It does not depend on the weights.

    Raises:
        BadInput: a package of the extra ``onnx`` is missing, or the network cannot be exported.
    """
    try:
        import onnxruntime
    except ImportError:
        raise BadInput("measuring it needs an extra: pip install 'a4nn[onnx]'") from None
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = _SILENT
    session = onnxruntime.InferenceSession(_onnx(architecture), options, providers=["CPUExecutionProvider"])
    image = np.random.default_rng(0).random((1, *architecture.input_shape), dtype=np.float32)
    given = {session.get_inputs()[0].name: image}
    for _ in range(WARM_UP):
        session.run(None, given)
    taken: list[float] = []
    until = time.monotonic() + LEAST_SECONDS
    while len(taken) < LEAST_REPETITIONS or (time.monotonic() < until and len(taken) < MOST_REPETITIONS):
        started = time.thread_time()
        session.run(None, given)
        taken.append(1000 * (time.thread_time() - started))
    low, median, high = np.quantile(taken, (0.25, 0.5, 0.75))
    return Reading(float(median), float(high - low) / 2)


def _onnx(architecture: Architecture) -> bytes:
    """An untrained network as ONNX. The older exporter takes a fraction of the time of the newer one, which
    serves where it fails; what the runtime makes of both takes equally long.

    Raises:
        BadInput: neither can export it.
    """
    import torch

    from a4nn_core.spaces.build import Network

    with torch.random.fork_rng(devices=[]):
        network = Network(architecture).eval()
    example = (torch.zeros(1, *architecture.input_shape),)
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        try:
            file: Any = io.BytesIO()  # which the older exporter takes, whatever its types say
            torch.onnx.export(network, example, file, dynamo=False)
            exported: bytes = file.getvalue()
            return exported
        except Exception:  # of any kind: exporters raise what they like
            return _onnx_of_program(network, example)


def _onnx_of_program(network: Any, example: tuple[Any, ...]) -> bytes:
    import torch

    try:
        program: Any = torch.onnx.export(network, example, dynamo=True, verbose=False)
        exported: bytes = program.model_proto.SerializeToString()
    except Exception as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise BadInput(f"the network cannot be exported to ONNX: {reason}") from None
    return exported


LATENCY_MS = Metric(
    name="latency_ms",
    meaning="time to classify one image",
    unit="ms",
    bounds=(0.0, None),
    of_architecture=measure_latency,
    repeatable=False,
)
