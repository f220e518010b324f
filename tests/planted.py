"""A reader with four defects, for the tests of the fuzzer."""

from __future__ import annotations

import ctypes
import json
from collections.abc import Sequence

from fuzzing.changes import VALUES, changed, json_changed
from fuzzing.target import Target
from hypothesis.strategies import SearchStrategy

from a4nn_core.errors import BadInput
from a4nn_core.jsonable import members, parsed


class Planted(Target):
    """Reads a whole number and trips over most of what is none."""

    name = "planted"
    what = "a number in JSON"

    @classmethod
    def seeds(cls) -> list[bytes]:
        return [b'{"size": 3, "unit": "m"}']

    @classmethod
    def inputs(cls, corpus: Sequence[bytes]) -> SearchStrategy[bytes]:
        values = VALUES.map(lambda value: json.dumps({"size": value, "unit": "m"}).encode())
        return values | changed(corpus, json_changed)

    def run(self, data: bytes) -> None:
        try:
            size = members(parsed(data.decode()))["size"]
        except (ValueError, KeyError):
            raise BadInput("not a size") from None
        if size is None:
            raise IndexError("a planted traceback")
        if isinstance(size, list):
            ctypes.string_at(0)
        while isinstance(size, float):
            pass
        if isinstance(size, str):
            self.held = b"x" * 300_000_000
