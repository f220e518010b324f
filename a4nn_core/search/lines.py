"""Lines of text from a terminal or another program, taken as they come and never waited for."""

from __future__ import annotations

import os
import select


class Lines:
    """The lines that can be read from a file descriptor.

    Args:
        descriptor: of a terminal, a pipe or a file, open for reading.

    Attributes:
        ended: whether there will be no more.
    """

    def __init__(self, descriptor: int) -> None:
        self.ended = False
        self._descriptor = descriptor
        self._text = b""

    def next(self) -> str | None:
        """The next line without its end; None if there is none yet, or no more."""
        while b"\n" not in self._text and not self.ended:
            if not select.select([self._descriptor], [], [], 0)[0]:
                return None
            found = os.read(self._descriptor, 65536)
            self.ended = not found
            self._text += found
        line, end, rest = self._text.partition(b"\n")
        if not end and not line:
            return None
        self._text = rest
        return line.decode(errors="replace").rstrip("\r")
