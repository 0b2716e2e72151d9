"""Edits of bytes: replacements that leave every byte outside them as it was."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from msgspec import Struct


class Edit(Struct, frozen=True, order=True):
    """Replace the bytes from `start` up to `end` (an insertion where they are equal)."""

    start: int
    end: int
    text: bytes


def overlap(one: Edit, other: Edit) -> bool:
    """Whether the edits touch the same bytes; two different insertions at one point do not."""
    if one == other:
        return False
    if one.start == one.end or other.start == other.end:
        return one.start < other.end and other.start < one.end
    return max(one.start, other.start) < min(one.end, other.end)


def apply_edits(data: bytes, edits: Iterable[Edit]) -> bytes:
    """The data with all edits made; their offsets are those of the data as given."""
    parts: list[bytes] = []
    at = 0
    for edit in sorted(set(edits)):  # insertions at one point by their text: the same in every run
        if edit.start < at:
            raise ValueError("edits overlap")
        parts += [data[at : edit.start], edit.text]
        at = edit.end
    parts.append(data[at:])
    return b"".join(parts)


def digest(data: bytes) -> str:
    """What tells two versions of a file apart."""
    return hashlib.sha256(data).hexdigest()


def newline_of(data: bytes) -> bytes:
    """The line end that the data uses."""
    return b"\r\n" if b"\r\n" in data else b"\n"
