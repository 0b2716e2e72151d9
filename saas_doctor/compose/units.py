"""Durations, byte counts and numbers, read and written as Compose does."""

from __future__ import annotations

import math
import re
import struct
from decimal import Decimal

from saas_doctor.compose.nodes import Node

_UNITS = {
    "ns": 1, "us": 10**3, "µs": 10**3, "μs": 10**3, "ms": 10**6, "s": 10**9,
    "m": 60 * 10**9, "h": 3600 * 10**9, "d": 86400 * 10**9, "w": 7 * 86400 * 10**9,
}  # fmt: skip
_PART = re.compile(r"(\d+\.?\d*|\.\d+)([^\d.]+)")
_SIZE = re.compile(r"(\d[\d.]*) ?(?:([kmgtp])(?:i?b)?|b)?", re.I)
_LARGEST = 2**63


def nanoseconds(text: str) -> int:
    """`1m30s`, `1.5h`, `2d`; raises ValueError."""
    sign, rest = (text[0], text[1:]) if text[:1] in ("+", "-") else ("", text)
    if rest == "0":
        return 0
    total, at = 0, 0
    while at < len(rest):
        part = _PART.match(rest, at)
        if not part or part[2] not in _UNITS:
            raise ValueError(f"{text!r} is no duration")
        total += int(Decimal(part[1]) * _UNITS[part[2]])
        at = part.end()
    if not rest or total >= _LARGEST:
        raise ValueError(f"{text!r} is no duration")
    return -total if sign == "-" else total


def duration(value: int) -> str:
    """Nanoseconds as Go shows them: `1m30s`, `1h0m0s`, `500ms`, `0s`."""
    if value == 0:
        return "0s"
    sign, left = ("-", -value) if value < 0 else ("", value)
    if left < 10**9:
        unit = "ns" if left < 10**3 else "µs" if left < 10**6 else "ms"
        return f"{sign}{_decimal(left, _UNITS[unit])}{unit}"
    minutes, rest = divmod(left, 60 * 10**9)
    hours, minutes = divmod(minutes, 60)
    text = f"{_decimal(rest, 10**9)}s"
    if hours:
        text = f"{hours}h{minutes}m{text}"
    elif minutes:
        text = f"{minutes}m{text}"
    return sign + text


def _decimal(value: int, unit: int) -> str:
    whole, part = divmod(value, unit)
    digits = str(part).rjust(len(str(unit)) - 1, "0").rstrip("0") if part else ""
    return f"{whole}.{digits}" if digits else str(whole)


def size(text: str) -> int:
    """Bytes: `512m`, `1.5 GiB`, `-1`; raises ValueError."""
    if re.fullmatch(r"[-+]?\d+", text):
        return int(text)
    found = _SIZE.fullmatch(text)
    if not found:
        raise ValueError(f"{text!r} is no number of bytes")
    power = "kmgtp".index(found[2].lower()) + 1 if found[2] else 0
    return int(float(found[1]) * 1024**power)


def single(value: float) -> int | float:
    """A number as Compose keeps it, with the precision of 32 bits."""
    kept: float = struct.unpack("f", struct.pack("f", value))[0]
    for digits in range(1, 10):
        short = float(f"{kept:.{digits}g}")
        if struct.pack("f", short) == struct.pack("f", kept):
            kept = short
            break
    return int(kept) if kept.is_integer() else kept


_TIME = re.compile(r"(\d{4}-\d\d?-\d\d?)(?:([Tt]|[ \t]+)(\d\d?:\d\d:\d\d)(?:[ \t]*Z)?)?")


def text_of(node: Node) -> str:
    """A scalar's value as the text that Compose makes of it: `010` is 8, `1e3` is 1000."""
    value = node.value
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int) and -(2**63) <= value < 2**64:
        return str(value)
    if isinstance(value, int | float):
        return _shown(float(value))
    time = _TIME.fullmatch(value) if node.plain else None
    if time:
        return f"{time[1]} {time[3] or '00:00:00'} +0000 UTC"
    return value


def _shown(value: float) -> str:
    if math.isfinite(value) and value.is_integer() and abs(value) < 1e21:
        return f"{value:.0f}"
    text = {math.inf: "+Inf", -math.inf: "-Inf"}.get(value) or repr(value)
    return "NaN" if math.isnan(value) else text
