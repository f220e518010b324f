"""Text of others where it is shown: class names, run ids, messages in records, answers of servers.

Records keep such text as it is. A terminal, a Markdown page and an HTML page each obey something in a text;
here it is taken from them, in one place: what a reader sees is the text.
"""

from __future__ import annotations

import html
import json
import re
import unicodedata
from collections.abc import Callable

# control characters, formatting such as the overrides of writing direction, halves of surrogate pairs, and
# separators of lines and paragraphs
_HIDDEN = {"Cc", "Cf", "Cs", "Zl", "Zp"}
_JOINERS = "\u200c\u200d"  # Persian, Indic scripts and emoji cannot be written without them
# what has a meaning within a line; not inside of words and addresses, which would lose their shape
_MARKDOWN = re.compile(
    r"[`*\[\]<>|$]|\\(?=[!-/:-@[-`{-~]|$)|(?<![^\W_])_|_(?![^\W_])|(?<!/)~|&(?=#|\w+;)|(?<!\S)#"
)


def printable(text: object) -> str:
    """A text on one line, as it may be written on a terminal.

    Args:
        text: any; its ``str`` is shown.

    Returns:
        the text with each character that moves the cursor, changes the terminal or hides among others as an
        escape, such as ``\\x1b``; a text without any is returned as it is.
    """
    return _replaced(str(text), _escaped)


def printable_within(text: object, most: int) -> str:
    """What ``printable`` makes of a text, of at most so many characters; one that was cut ends with "…"."""
    shown = printable(text)
    return shown if len(shown) <= most else f"{shown[: most - 1]}…"


def json_printable(document: str) -> str:
    """A JSON document with the same content that may be written on a terminal.

    Args:
        document: JSON, its newlines between values.
    """
    lines = document.split("\n")
    return "\n".join(_replaced(line, lambda character: json.dumps(character)[1:-1]) for line in lines)


def _escaped(character: str) -> str:
    code = ord(character)
    if 0xDC80 <= code <= 0xDCFF:  # a byte that is not UTF-8, as Python has it in names of files
        return f"\\x{code - 0xDC00:02x}"
    return character.encode("unicode_escape").decode()


def _replaced(text: str, escape: Callable[[str], str]) -> str:
    if text.isprintable():
        return text
    return "".join(
        escape(character)
        if unicodedata.category(character) in _HIDDEN and character not in _JOINERS
        else character
        for character in text
    )


def markdown(text: object) -> str:
    """A text within a line, or a cell of a table, of a Markdown page: no emphasis, link, image or HTML."""
    return _MARKDOWN.sub(r"\\\g<0>", printable(text))


def code_span(text: object) -> str:
    """A text as code within a line of a Markdown page."""
    shown = printable(text)
    ticks = max(map(len, re.findall(r"`+", shown)), default=0)
    fence = "`" * (ticks + 1)
    pad = " " if ticks or not shown else ""
    return f"{fence}{pad}{shown}{pad}{fence}"


def html_text(text: object) -> str:
    """A text within an HTML page, also in an attribute."""
    return html.escape(printable(text))
