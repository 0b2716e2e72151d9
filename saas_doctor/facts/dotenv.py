"""The platform's .env file and its example: keys, values and places, and line-keeping edits."""

from __future__ import annotations

import codecs
import os
import re
from bisect import bisect_right
from collections import ChainMap
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import cast

from msgspec import Struct

from saas_doctor.actions.files import EditFile
from saas_doctor.edits import Edit, newline_of
from saas_doctor.facts import Fact
from saas_doctor.model import Absent, Place, Unreadable
from saas_doctor.platform import Platform
from saas_doctor.reading import read_bytes

LARGEST = 500_000
"""Bytes of a settings file; beyond it python-dotenv takes longer than a fact may."""
_MOST = 2_000_000
"""Characters of all values that are made of variables; a process can be given no more."""


_LINE_END = re.compile(r"\r\n|\n|\r")
_PLACEHOLDER = re.compile(
    r"(?<![a-z])(change|your|todo|replace|placeholder|insert)|x{3}|<|\.\.\.", re.I
)


def is_placeholder(value: str) -> bool:
    """Whether a value only stands for one that somebody has to choose (`change-me`)."""
    return bool(_PLACEHOLDER.search(value))


class Setting(Struct, frozen=True):
    """One `KEY=value` line; `start` and `end` are the byte offsets of the value as written."""

    key: str
    value: str
    place: Place
    start: int
    end: int
    bare: bool = False
    """A key with no `=` after it."""


class Dotenv(Struct, frozen=True):
    """One .env file: what python-dotenv makes of it, with each line's place."""

    path: Path
    name: str
    data: bytes
    settings: tuple[Setting, ...]
    bad: tuple[tuple[Place, str], ...]
    """Lines that python-dotenv can't read and leaves out."""

    def find(self, key: str) -> Setting | None:
        """The line that counts: the last of that key, as python-dotenv has it."""
        return next((s for s in reversed(self.settings) if s.key == key), None)

    def get(self, key: str) -> str | None:
        found = self.find(key)
        return found.value if found else None

    def says_plainly(self, setting: Setting) -> bool:
        """Whether the value stands in its line as it is, with no variable put into it."""
        written = self.data[setting.start : setting.end].decode()
        return written.strip("'\"") == setting.value

    def set(self, key: str, value: str) -> EditFile:
        """The edit that gives a key this value, or adds it at the end; all other bytes stay."""
        text = _quoted(value)
        found = self.find(key)
        if found:
            sign = "=" if found.bare else ""
            edit = Edit(found.start, found.end, (sign + text).encode())
        else:
            newline = newline_of(self.data)
            gap = b"" if not self.data or self.data.endswith(b"\n") else newline
            edit = Edit(len(self.data), len(self.data), gap + f"{key}={text}".encode() + newline)
        return EditFile(self.path, self.name, self.data, (edit,), (key,))


def _quoted(value: str) -> str:
    if re.search(r"[\s#'\"$`\\]", value) or not value:
        return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"
    return value


class EnvFile(Fact, frozen=True):
    """The settings file that the services read (`backend/.env`); it may not be there."""

    name: str
    path: Path
    there: Dotenv | None

    @classmethod
    def read(cls, platform: Platform) -> EnvFile:
        path = platform.path(platform.config.env_file)
        return cls(platform.config.env_file, path, read_dotenv(path, platform))

    @property
    def file(self) -> Dotenv:
        """Its content; raises Absent where there is none."""
        if self.there is None:
            raise Absent(f"no {self.name}")
        return self.there


class EnvExample(Fact, frozen=True):
    """The example of the settings file that the repository ships (`backend/.env.example`)."""

    file: Dotenv

    @classmethod
    def read(cls, platform: Platform) -> EnvExample:
        file = read_dotenv(platform.path(platform.config.env_example), platform)
        if file is None:
            raise Absent(f"no {platform.config.env_example}")
        return cls(file)


class Settings(Fact, frozen=True):
    """The values the services will see: the shell's environment before the .env file."""

    values: Mapping[str, str]
    places: Mapping[str, Place | None]
    """Where each value stands; None for one from the shell's environment."""

    @classmethod
    def read(cls, platform: Platform) -> Settings:
        file = read_dotenv(platform.path(platform.config.env_file), platform)
        settings = file.settings if file else ()
        values: dict[str, str] = {s.key: s.value for s in settings}
        places: dict[str, Place | None] = {s.key: s.place for s in settings}
        for key in _keys_of_interest(platform):
            if key in platform.environ:
                values[key], places[key] = platform.environ[key], None
        return cls(values, places)

    def where(self, key: str) -> str:
        place = self.places.get(key)
        return str(place) if place else f"${key} of this shell"


def _keys_of_interest(platform: Platform) -> list[str]:
    config = platform.config
    keys = ["REGISTRY_URL", *(key for s in config.services.values() for key in s.variables)]
    keys += [config.database.variable] if config.database else []
    keys += [config.redis.variable] if config.redis else []
    keys += [config.frontend.cors_variable] if config.frontend else []
    return keys


def read_dotenv(path: Path, platform: Platform) -> Dotenv | None:
    """The file as python-dotenv reads it, or None where there is none; raises Unreadable."""
    name = platform.relative(path)
    try:
        data = read_bytes(path, LARGEST)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise Unreadable(f"{name}: can't be read ({error.strerror})") from None
    try:
        text = data.decode().removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        raise Unreadable(_not_utf8(name, data, error.start)) from None
    return parse_dotenv(path, name, data, text)


def _not_utf8(name: str, data: bytes, at: int) -> str:
    """Where the first byte is that is no UTF-8, in the words of an editor; its value may be secret."""
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return f"{name}: it is UTF-16, not UTF-8 (as PowerShell's `>` writes it); save it as UTF-8"
    before = _LINE_END.split(data[:at].decode())
    return (
        f"{name}:{len(before)}:{len(before[-1]) + 1}: not UTF-8 text (byte {data[at]:#04x}), which "
        "the services can't read either; save it as UTF-8"
    )


def parse_dotenv(path: Path, name: str, data: bytes, text: str) -> Dotenv:
    import io

    from dotenv.parser import parse_stream

    # newline="": a StringIO would otherwise turn CRLF into LF and shift every offset.
    bindings = list(parse_stream(io.StringIO(text, newline="")))
    values = _interpolated([(b.key, b.value) for b in bindings if b.key is not None], name)
    settings: list[Setting] = []
    bad: list[tuple[Place, str]] = []
    at = len(data) - len(text.encode())  # a byte order mark
    # python-dotenv's own number counts a CRLF after a line that it can't read twice.
    ends = [end.end() for end in _LINE_END.finditer(text)]
    begin = 0
    for binding in bindings:
        original = binding.original.string
        lead = len(original) - len(original.lstrip())
        line = bisect_right(ends, begin + lead) + 1
        begin += len(original)
        if binding.error:
            bad.append((Place(name, line), original.strip()))
        elif binding.key is not None:
            start, end = _value_span(original, binding.value)
            settings.append(
                Setting(
                    binding.key,
                    values.get(binding.key) or binding.value or "",
                    Place(name, line),
                    at + len(original[:start].encode()),
                    at + len(original[:end].encode()),
                    bare=binding.value is None,
                )
            )
        at += len(original.encode())
    return Dotenv(path, name, data, tuple(settings), tuple(bad))


def _interpolated(pairs: Iterable[tuple[str, str | None]], name: str) -> Mapping[str, str | None]:
    """The values with variables put in as python-dotenv does it, which is given no bound by itself."""
    from dotenv.variables import parse_variables

    values: dict[str, str | None] = {}
    environment: ChainMap[str, str | None] = ChainMap(
        values, cast("dict[str, str | None]", os.environ)
    )
    total = 0
    for key, value in pairs:
        if value is None or "${" not in value:
            values[key] = value
            continue
        parts: list[str] = []
        for atom in parse_variables(value):
            parts.append(atom.resolve(environment))
            total += len(parts[-1])
            if total > _MOST:
                raise Unreadable(
                    f"{name}: with its variables put into each other, {key} outgrows {_MOST // 1_000_000} MB"
                )
        values[key] = "".join(parts)
    return values


def _value_span(line: str, value: str | None) -> tuple[int, int]:
    """Where the value, with its quotes, stands in a line that python-dotenv could read."""
    sign = line.find("=")
    if sign < 0 or value is None:
        end = len(line.rstrip())
        return end, end
    start = sign + 1 + len(line[sign + 1 :]) - len(line[sign + 1 :].lstrip(" \t"))
    quote = line[start : start + 1]
    if not value and quote not in ("'", '"'):
        return sign + 1, sign + 1  # before the blank that a comment needs
    if quote in ("'", '"'):
        closing = re.compile(rf"{quote}(?:\\.|[^{quote}\\])*{quote}", re.S).match(line, start)
        return start, closing.end() if closing else len(line.rstrip())
    return start, start + len(value)
