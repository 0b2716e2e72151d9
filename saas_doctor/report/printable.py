"""Makes any text fit for a screen: names of files may hold line ends, escapes and odd bytes."""

from __future__ import annotations

import re

# Control characters, what turns the direction of writing, bytes of a name that are no UTF-8, and
# what is no character.
_ODD = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]"
)
# What GitHub takes for a command: at the beginning of a line, in its older form anywhere.
_COMMAND = re.compile(r"^([^\S\n]*):(?=:[a-z][a-z\-]*[^\n]*::)|#(?=#\[)", re.M | re.I)


def printable(text: str) -> str:
    """The text with what would change the screen, or command GitHub's runner, written out (`\\x1b`).

    Line ends and tabs stay.
    """
    return _COMMAND.sub(_as_text, _ODD.sub(_written, text))


def one_line(text: str) -> str:
    """The same on one line."""
    return printable(text).replace("\n", "\\n").replace("\t", "\\t")


def _as_text(found: re.Match[str]) -> str:
    return "\\x23" if found[0] == "#" else f"{found[1]}\\x3a"


def _written(found: re.Match[str]) -> str:
    number = ord(found.group())
    if 0xDC80 <= number <= 0xDCFF:  # how Python holds a byte that is no UTF-8
        return f"\\x{number - 0xDC00:02x}"
    return {"\r": "\\r"}.get(found.group()) or (
        f"\\x{number:02x}" if number < 0x100 else f"\\u{number:04x}"
    )
