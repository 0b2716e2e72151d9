"""Durations and byte counts as the canonical model writes them ("1m30s", "52428800")."""

from __future__ import annotations

import re

_PART = re.compile(r"(\d+(?:\.\d+)?)(ns|us|µs|ms|s|m|h)")
_NANOSECONDS = {
    "ns": 1,
    "us": 10**3,
    "µs": 10**3,
    "ms": 10**6,
    "s": 10**9,
    "m": 60 * 10**9,
    "h": 3600 * 10**9,
}


def nanoseconds(text: str) -> int:
    """`1m30s` in nanoseconds; 0 for nothing."""
    return sum(int(float(number) * _NANOSECONDS[unit]) for number, unit in _PART.findall(text))


def seconds(text: str) -> float:
    return nanoseconds(text) / 10**9


def count(text: str) -> int:
    """A number of bytes; -1 for no limit."""
    return int(float(text)) if text else 0
