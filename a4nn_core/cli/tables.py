"""Tables on standard output."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.table import Table


def make_table(header: list[str], rows: list[list[str]]) -> Table:
    """A plain table for ``rich``; the first and the last column are text."""
    from rich.table import Table
    from rich.text import Text

    from a4nn_core.printable import printable

    table = Table(box=None, pad_edge=False, header_style="bold")
    for position, name in enumerate(header):
        table.add_column(name, justify="left" if position in (0, len(header) - 1) else "right", no_wrap=True)
    for row in rows:
        table.add_row(*(Text(printable(cell)) for cell in row))
    return table


def print_table(
    header: list[str], rows: list[list[str]], *, fold_first: bool = False, least_width: int = 0
) -> None:
    """Print a table on standard output.

    Args:
        header: of its columns.
        rows: their cells.
        fold_first: continue long texts of the first column in the next line rather than cut others.
        least_width: characters that a line gets even in a narrower terminal.
    """
    from rich.console import Console

    # a table that goes into a file or pipe must not be cut at a terminal's width
    console = Console(highlight=False)
    console = console if console.is_terminal else Console(highlight=False, width=250)
    if console.width < least_width:
        console = Console(highlight=False, width=least_width)
    table = make_table(header, rows)
    table.columns[0].no_wrap = not fold_first
    console.print(table)
