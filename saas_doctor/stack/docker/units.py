"""Values of the canonical model ("1m30s", "52428800", nothing) as the engine takes them."""

from __future__ import annotations

import re
from typing import Any

Json = dict[str, Any]
_UNSET: tuple[Any, ...] = (None, "", 0, (), [], {}, False)

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


def filled(**values: Any) -> Json:
    """Those of the values that say something."""
    return {key: value for key, value in values.items() if value not in _UNSET}
