"""The Vite configuration of the front end: its dev server's proxy, and the edit that adds an entry."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from saas_doctor.actions.files import EditFile
from saas_doctor.discovery import VITE_CONFIGS
from saas_doctor.edits import Edit, apply_edits, newline_of
from saas_doctor.facts import Fact
from saas_doctor.facts.frontend import Call, FrontendPackage
from saas_doctor.facts.javascript import (
    bare,
    key_of,
    parse,
    place_of,
    property_of,
    string_of,
)
from saas_doctor.facts.vite_objects import Reader
from saas_doctor.facts.vite_plugins import doubtful_import
from saas_doctor.model import Absent, Place, Unreadable
from saas_doctor.platform import Platform
from saas_doctor.reading import read_bytes

if TYPE_CHECKING:
    from tree_sitter import Node

_MAXIMUM = 1_000_000


class Entry(Struct, frozen=True):
    """One entry of the proxy; `target` is None where it is computed.

    `start` and `end` are the byte offsets of the target's text, without its quotes.
    """

    key: str
    target: str | None
    place: Place
    start: int = 0
    end: int = 0


class ViteConfig(Fact, frozen=True):
    """The dev server's proxy, as the Vite configuration writes it.

    `entries` is None where no proxy is seen. `unknown` says why a part can't be told from the
    text: something computed or imported.
    """

    path: Path
    name: str
    data: bytes
    entries: tuple[Entry, ...] | None
    place: Place
    unknown: str = ""
    insert_at: int | None = None
    """Where an entry, a `proxy` or a `server` can be put in: just after an opening brace."""
    level: str = ""
    """What is to be put in there: `entry`, `proxy` or `server`."""

    @classmethod
    def read(cls, platform: Platform, package: FrontendPackage) -> ViteConfig:
        folder = package.folder
        names = (package.vite_config,) if package.vite_config else VITE_CONFIGS
        path = next((p for name in names if (p := folder / name).is_file()), None)
        if path is None:
            other = f" (its dev server is {package.other_server})" if package.other_server else ""
            raise Absent(f"no {names[0] if len(names) == 1 else 'vite.config.*'} there{other}")
        name = platform.relative(path)
        try:
            data = read_bytes(path)
        except OSError as error:
            raise Unreadable(f"{name}: can't be read ({error.strerror})") from None
        if len(data) > _MAXIMUM:
            raise Unreadable(f"{name}: too large for a configuration")
        found = read_config(path, name, data)
        if package.serves_by:
            why = f"`{package.serves_by}` serves it in place of Vite's dev server"
            return replace(found, unknown=found.unknown or why)
        return found

    @property
    def keys(self) -> tuple[str, ...] | None:
        return None if self.entries is None else tuple(entry.key for entry in self.entries)

    def covers(self, call: Call) -> bool:
        """Whether a proxy entry takes the call, or may take it: keys are prefixes, `^...` patterns.

        A path that is known in part is covered where the rest could bring it to an entry.
        """
        return bool(self.entries_for(call))

    def entries_for(self, call: Call) -> list[Entry]:
        """The entries that take the call, or may take it."""
        return [entry for entry in self.entries or () if _takes(entry.key, call)]

    def with_proxy(self, prefix: str, target: str) -> EditFile:
        """The edit that sends the prefix to the target; raises Absent where no place is known."""
        if self.insert_at is None:
            raise Absent(f"{self.name}: the proxy can't be put in by an edit; add it by hand")
        newline = newline_of(self.data).decode()
        outer = _indent_at(self.data, self.insert_at)
        lines = [f"'{prefix}': {{ target: '{target}', changeOrigin: true }},"]
        if self.level in ("proxy", "server"):
            lines = ["proxy: {", *(f"  {line}" for line in lines), "},"]
        if self.level == "server":
            lines = ["server: {", *(f"  {line}" for line in lines), "},"]
        text = "".join(f"{newline}{outer}  {line}" for line in lines)
        rest = self.data[self.insert_at :]
        # What stood on the brace's own line goes on a line of its own.
        if rest[:1] not in (b"\n", b"\r"):
            text += f"{newline}{outer}" + ("" if rest.lstrip(b" \t")[:1] == b"}" else "  ")
        blanks = len(rest) - len(rest.lstrip(b" \t")) if rest[:1] in (b" ", b"\t") else 0
        edit = Edit(self.insert_at, self.insert_at + blanks, text.encode())
        after = read_config(self.path, self.name, apply_edits(self.data, (edit,)))
        if not after.covers(Call(f"{prefix}/", self.place)):
            raise Absent(f"{self.name}: the proxy can't be put in by an edit; add it by hand")
        return EditFile(self.path, self.name, self.data, (edit,), (f"proxy for {prefix}",))

    def with_target(self, entry: Entry, target: str) -> EditFile:
        """The edit that gives an entry another target."""
        edit = Edit(entry.start, entry.end, target.encode())
        after = read_config(self.path, self.name, apply_edits(self.data, (edit,)))
        if not any(e.key == entry.key and e.target == target for e in after.entries or ()):
            raise Absent(f"{self.name}: the target can't be put right by an edit; do it by hand")
        return EditFile(self.path, self.name, self.data, (edit,), (f"target of {entry.key}",))


def _takes(key: str, call: Call) -> bool:
    if not key.startswith("^"):
        return call.path.startswith(key) or (not call.whole and key.startswith(call.path))
    try:
        # More than one end, since what a base address or a variable is followed by is not known.
        ends = ("",) if call.whole else ("", "x", "/x", "/x/x")
        return any(re.search(key, call.path + end) for end in ends)
    except re.error:
        return True  # JavaScript's own dialect: not for us to judge


def _indent_at(data: bytes, offset: int) -> str:
    line = data[data.rfind(b"\n", 0, offset) + 1 : offset].decode("utf-8", "replace")
    return line[: len(line) - len(line.lstrip())]


# A plugin written here or beside the configuration can set a proxy, or answer by itself.
_PLUGIN = re.compile(
    rb"configureServer|configResolved|(?<!function )\bconfig\s*\([^)]*\)\s*\{"
    rb"|\bconfig\s*:\s*(?:async\b\s*)?(?:function\b|\()|from\s+['\"]\.{1,2}/"
)


def read_config(path: Path, name: str, data: bytes) -> ViteConfig:
    root = parse(name, data)
    if root.has_error:
        return ViteConfig(
            path, name, data, None, Place(name, 1), f"{name} can't be parsed as a whole"
        )
    reader = Reader(root)
    parts = reader.configuration()
    if _PLUGIN.search(data):
        reader.doubts.append("a plugin of its own may serve the API")
    elif package := doubtful_import(root):
        reader.doubts.append(f"{package} may set a proxy or serve the API")
    level = "server"
    for inner, missing in (("server", "proxy"), ("proxy", "entry")):
        deeper = reader.inside(parts, inner)
        if not deeper:
            break
        parts, level = deeper, missing
    entries = tuple(_entries(reader, parts, name)) if level == "entry" else None
    unknown = f"{name}: {reader.doubts[0]}" if reader.doubts else ""
    if not parts:
        return ViteConfig(path, name, data, None, Place(name, 1), unknown)
    # The last of merged configurations wins.
    place, at = place_of(name, parts[-1]), parts[-1].start_byte + 1
    return ViteConfig(path, name, data, entries, place, unknown, at, level)


def _entries(reader: Reader, objects: list[Node], name: str) -> list[Entry]:
    found: list[Entry] = []
    for child in (child for o in objects for child in o.named_children):
        key = key_of(child) if child.type == "pair" else None
        if key is not None:
            found.append(_entry(key, child, name))
        elif child.type != "comment":
            reader.doubts.append("a part of `server.proxy` is computed")
    return found


def _entry(key: str, pair: Node, name: str) -> Entry:
    value = pair.child_by_field_name("value")
    value = bare(value) if value is not None else pair
    if value.type == "object":
        computed = any(c.type != "pair" and c.type != "comment" for c in value.named_children)
        target = property_of(value, "target") if not computed else None
    else:
        target = value
    told = string_of(target) if target is not None else None
    if target is None or told is None or not told[1]:
        return Entry(key, None, place_of(name, pair))
    return Entry(key, told[0], place_of(name, pair), target.start_byte + 1, target.end_byte - 1)
