"""The records of the commons: what they declare, how they travel, and what readers make of gaps in them."""

from __future__ import annotations

from pathlib import Path

from a4nn_core.commons.schema import ARROW_TYPES, FRONT, LINEAGE, TABLES

GOLDEN = Path(__file__).parent / "fixtures" / "schema" / "tables.txt"


def described() -> str:
    """Every table and column as the Arrow schemas have them, a line each."""
    lines = []
    for table in [*TABLES.values(), LINEAGE, FRONT]:
        about = table.schema.metadata[b"description"].decode()
        lines.append(f"{table.name}: {about}; key {', '.join(table.key)}")
        for field, column in zip(table.schema, table.columns, strict=True):
            said = {key.decode(): value.decode() for key, value in field.metadata.items()}
            assert (field.name, field.type) == (column.name, ARROW_TYPES[column.kind])
            kind = f"{column.kind}{', timing' if column.timing else ''}"
            lines.append(
                f"  {field.name}: {field.type} ({kind}) [{said.get('unit', '')}] {said['description']}"
            )
    return "\n".join(lines) + "\n"


def test_the_schemas_are_those_that_were_written_down() -> None:
    assert described() == GOLDEN.read_text()
