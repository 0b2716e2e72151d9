"""Regular expressions as Pydantic 1 matched them (Python's `re.match`) and Pydantic 2 searches them (Rust)."""

from __future__ import annotations

import re

from saas_doctor.syntax import compiling

# Look-around, references back, flags and conditions: Rust's engine has them not, or otherwise.
_OTHER = re.compile(r"\(\?(?!:|P<\w+>)|\\[0-9ZNpPkguU<>]")
_CLASS = re.compile(r"\[\^?\]?(?:\\.|[^\]\\])*\]", re.S)
# A brace that counts nothing, a quantifier on a quantifier: errors to Rust, or another meaning.
_BRACES = re.compile(r"\{(?!\d+(?:,\d*)?\})|(?<!\d)(?<!,)\}|[*+?}]\s*\+|[*+}]\s*[*{]")


def searched(regex: str) -> tuple[str, str] | None:
    """What to put before and after a regex, so that a search finds what a match at the start did.

    None where Rust's engine would refuse it, or may read it in another way.
    """
    inner = (found[1:] for found in _CLASS.findall(regex))
    sets = any(sign in text for text in inner for sign in ("[", "&&", "--", "~~", "||"))
    if sets or _OTHER.search(regex) or not _compiles(regex):
        return None
    bare = _CLASS.sub("x", re.sub(r"\\.", "x", regex, flags=re.S))
    if _BRACES.search(bare):
        return None
    if _has_alternatives(bare):
        return "^(?:", ")"
    return ("", "") if bare.startswith("^") else ("^", "")


def _compiles(regex: str) -> bool:
    try:
        with compiling():
            re.compile(regex)
    except (re.error, RecursionError, OverflowError):
        return False
    return True


def _has_alternatives(bare: str) -> bool:
    """Whether a `|` stands outside all groups."""
    depth = 0
    for char in bare:
        depth += (char == "(") - (char == ")")
        if char == "|" and depth == 0:
            return True
    return False
