"""What a stored experiment says, which can be one of an import that says little. Needs no Arrow."""

from __future__ import annotations

from collections.abc import Mapping


def setting(experiment: object, table: str, key: str) -> int | None:
    """A whole number of a stored experiment; None where it has none, as that of an imported run may.

    Args:
        experiment: as the header holds it.
        table: of the experiment, such as ``training``.
        key: of the table.
    """
    found = experiment.get(table) if isinstance(experiment, Mapping) else None
    value = found.get(key) if isinstance(found, Mapping) else None
    return value if isinstance(value, int) and not isinstance(value, bool) else None
