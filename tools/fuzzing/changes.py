"""Changes that make odd inputs of valid ones, each drawn by Hypothesis."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable, Sequence

import hypothesis.strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

Change = Callable[[DrawFn, bytes], bytes]
"""a changed input"""

WORDS = st.sampled_from(
    [
        *("", "nan", "NaN", "inf", "-Infinity", "1e999", "-0", "1_0", "0x10", "1.", " 1 ", "1e-400", "٣"),
        *("null", "true", "../..", "C:\\", "'", '"', "%s", "\0", "\ud800", "\r", "\u2028"),
        *("a" * 300, "9" * 400, "2" * 5000),
    ]
)
NUMBERS = st.one_of(
    st.sampled_from([0, -1, 1, 2**31, 2**31 - 1, 2**53 + 1, 2**63, -(2**63), 2**64, 10**30, 10**400]),
    st.integers(),
    st.floats(),
)
SCALARS = st.one_of(st.none(), st.booleans(), NUMBERS, WORDS, st.text(max_size=8))
VALUES: SearchStrategy[object] = st.one_of(
    SCALARS,
    st.lists(SCALARS, max_size=3),
    st.dictionaries(st.text(max_size=5), SCALARS, max_size=3),
    st.lists(st.lists(SCALARS, max_size=2) | st.dictionaries(st.text(max_size=5), SCALARS, max_size=2)),
)
_DEEP = st.sampled_from(["[" * 5000, '{"a":' * 5000, "(" * 500])
_PIECES = st.one_of(
    st.binary(min_size=1, max_size=8),
    (WORDS | _DEEP).map(lambda word: word.encode(errors="surrogatepass")),
    st.sampled_from([b"\n", b"\r\n", b"\xef\xbb\xbf", b"\xff" * 9]),
)


_WORD = re.compile(rb'"[^"\n]*"|[\w.+-]+')


@st.composite
def changed(
    draw: DrawFn, corpus: Sequence[bytes], structure: Change, seeds: Sequence[bytes] | None = None
) -> bytes:
    """An input of the corpus after one change or a few.

    Args:
        draw: given by Hypothesis.
        corpus: what to change.
        structure: a change that keeps the form of the input.
        seeds: inputs that ``structure`` can take, if it cannot take all of the corpus; changed in their
            structure first.
    """
    if seeds is not None and draw(st.booleans()):
        data = structure(draw, draw(st.sampled_from(seeds)))
        return data if draw(st.integers(0, 3)) else bytes_changed(draw, data)
    data = draw(st.sampled_from(corpus))
    for _ in range(draw(st.sampled_from([1, 1, 1, 2, 3, 5]))):
        form = seeds is None and draw(st.integers(0, 3)) > 0
        data = structure(draw, data) if form else bytes_changed(draw, data)
    return data


def bytes_changed(draw: DrawFn, data: bytes) -> bytes:
    """Bytes, or a word, replaced, flipped, left out, repeated, put in, or the end cut off."""
    at = draw(st.integers(0, len(data)))
    size = draw(st.sampled_from([1, 1, 2, 4, 8, 64, len(data) // 4 + 1]))
    rest = data[at + size :]
    match draw(st.sampled_from(["word", "put", "replace", "flip", "leave", "repeat", "cut"])):
        case "word" if words := list(_WORD.finditer(data)):
            word = draw(st.sampled_from(words))
            return data[: word.start()] + draw(_PIECES) + data[word.end() :]
        case "put":
            return data[:at] + draw(_PIECES) + data[at:]
        case "replace":
            return data[:at] + draw(_PIECES) + rest
        case "flip" if at < len(data):
            return data[:at] + bytes([data[at] ^ (1 << draw(st.integers(0, 7)))]) + data[at + 1 :]
        case "leave":
            return data[:at] + rest
        case "repeat":
            return data[:at] + data[at : at + size] * draw(st.sampled_from([2, 3, 50])) + rest
        case _:
            return data[:at]


def json_changed(draw: DrawFn, data: bytes) -> bytes:
    """One value of a JSON document replaced, left out, repeated or renamed; the bytes of what is none."""
    try:
        value = value_changed(draw, json.loads(data))
        return json.dumps(value, ensure_ascii=draw(st.booleans())).encode(errors="surrogatepass")
    except (ValueError, RecursionError):
        return bytes_changed(draw, data)


def value_changed(draw: DrawFn, value: object) -> object:
    """A value of JSON or TOML with one change somewhere inside."""
    inside = isinstance(value, (dict, list)) and len(value) > 0
    if not inside or not draw(st.integers(0, 15)):
        return draw(VALUES)
    if isinstance(value, dict):
        key = draw(st.sampled_from(list(value)))
        others = {k: v for k, v in value.items() if k != key}
        match draw(st.integers(0, 7)):
            case 0:
                return others
            case 1:
                return {**others, draw(st.text(max_size=6) | st.sampled_from(list(value))): value[key]}
            case 2:
                return {**value, draw(st.text(max_size=6)): draw(VALUES)}
        return {**value, key: value_changed(draw, value[key])}
    assert isinstance(value, list)
    at = draw(st.integers(0, len(value) - 1))
    match draw(st.integers(0, 7)):
        case 0:
            return value[:at] + value[at + 1 :]
        case 1:
            return value[:at] + [value[at]] * draw(st.sampled_from([2, 3, 100])) + value[at + 1 :]
    return [*value[:at], value_changed(draw, value[at]), *value[at + 1 :]]


def lines_changed(draw: DrawFn, data: bytes) -> bytes:
    """One line of JSON lines changed, left out or repeated; without its checksum, so that it is read."""
    lines = data.splitlines()
    if not lines:
        return bytes_changed(draw, data)
    at = draw(st.integers(0, len(lines) - 1))
    match draw(st.integers(0, 7)):
        case 0:
            lines.pop(at)
        case 1:
            lines.insert(draw(st.integers(0, len(lines))), lines[at])
        case _:
            with_sum = draw(st.integers(0, 9)) == 0
            lines[at] = json_changed(draw, lines[at] if with_sum else _without_sum(lines[at]))
    return b"".join(line + b"\n" for line in lines)


def _without_sum(line: bytes) -> bytes:
    head, found, _ = line.rpartition(b',"crc32":')
    return head + b"}" if found else line


def csv_changed(draw: DrawFn, data: bytes) -> bytes:
    """A cell, a row or a column of a CSV file changed (a column to one value), left out or repeated."""
    try:
        rows = list(csv.reader(io.StringIO(data.decode())))
    except (ValueError, csv.Error):
        return bytes_changed(draw, data)
    if not rows or not rows[0]:
        return bytes_changed(draw, data)
    at, column = draw(st.integers(0, len(rows) - 1)), draw(st.integers(0, len(rows[0]) - 1))
    match draw(st.integers(0, 6)):
        case 0:
            rows.pop(at)
        case 1:
            rows.insert(draw(st.integers(0, len(rows))), rows[at])
        case 2:
            rows = [row[:column] + row[column + 1 :] for row in rows]
        case 3:
            rows = [row + row[column : column + 1] for row in rows]
        case way:
            cell = draw(WORDS | _DEEP | NUMBERS.map(str) | st.floats(0, 100).map(str))
            for row in rows[1:] if way == 4 else rows[at : at + 1]:
                row[column : column + 1] = [cell]
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows(rows)
    return out.getvalue().encode(errors="surrogatepass")
