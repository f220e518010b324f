"""How the metrics come to Prometheus: by HTTP, or in a file that node_exporter reads."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from prometheus_client import CollectorRegistry, generate_latest, start_http_server

from a4nn_core.errors import BadInput
from a4nn_core.files import atomic_write_bytes
from a4nn_core.monitoring.exporter import Exporter


@contextmanager
def served(exporter: Exporter, host: str, port: int) -> Iterator[int]:
    """Answer Prometheus at ``/metrics`` while entered.

    Args:
        exporter: what to export.
        host: address to listen on.
        port: port to listen on; 0 for a free one.

    Yields:
        the port.

    Raises:
        BadInput: nobody can listen there.
    """
    try:
        server, thread = start_http_server(port, host, _registry(exporter))
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or error
        raise BadInput(f"cannot serve metrics at {host}:{port}: {reason}") from None
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def text(exporter: Exporter) -> bytes:
    """The metrics now, in Prometheus' text format."""
    return generate_latest(_registry(exporter))


def write(exporter: Exporter, path: Path) -> None:
    """Write the metrics into a file, as a whole or not at all.

    Raises:
        BadInput: it cannot be written.
    """
    atomic_write_bytes(path, text(exporter))


def _registry(exporter: Exporter) -> CollectorRegistry:
    registry = CollectorRegistry()
    registry.register(exporter)
    return registry
