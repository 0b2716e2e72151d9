"""The front end's files: its package, its source, and where that calls the API by a path."""

from __future__ import annotations

import json
import os
import re
import shlex
from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from saas_doctor.discovery import VENDORED
from saas_doctor.facts import Fact
from saas_doctor.facts.javascript import key_of, parse, place_of, string_of, text_of
from saas_doctor.model import Absent, Place, Unreadable
from saas_doctor.platform import Platform
from saas_doctor.reading import read_head

if TYPE_CHECKING:
    from tree_sitter import Node

_SOURCES = (".js", ".jsx", ".ts", ".tsx", ".vue", ".svelte", ".mjs")
_MAXIMUM = 1_000_000
_OTHER_SERVERS = {
    "react-scripts": "react-scripts",
    "@vue/cli-service": "the Vue CLI",
    "next": "Next.js",
    "@angular/cli": "Angular's",
    "webpack-dev-server": "webpack's",
    "parcel": "Parcel",
}
# A server of one's own, or files that the back end serves.
_WITHOUT_VITE = re.compile(
    r"(?:\w+=\S+\s+|cross-env\s+)*(?:(?:node|tsx|ts-node|nodemon|bun|deno)\b|vite\s+build\b)"
)
# What runs the front end's source on a server as well, where other addresses are right.
_ON_A_SERVER = {
    "next",
    "nuxt",
    "astro",
    "vike",
    "vite-plugin-ssr",
    "express",
    "electron",
    "@sveltejs/kit",
    "@remix-run/react",
    "@react-router/node",
    "@react-router/serve",
    "@tanstack/react-start",
    "@solidjs/start",
    "@builder.io/qwik-city",
}


class FrontendPackage(Fact, frozen=True):
    """What the front end's `package.json` says: its scripts and what it depends on."""

    folder: Path
    scripts: Mapping[str, str]
    dependencies: frozenset[str]

    @classmethod
    def read(cls, platform: Platform) -> FrontendPackage:
        frontend = platform.config.frontend
        if frontend is None:
            raise Absent("no front end is configured")
        folder = platform.path(frontend.directory)
        file = folder / "package.json"
        try:
            table: Any = json.loads(read_head(file, _MAXIMUM))
        except (FileNotFoundError, NotADirectoryError, ValueError, RecursionError):
            table = {}
        except OSError as error:
            name = platform.relative(file)
            raise Unreadable(f"{name}: can't be read ({error.strerror})") from None
        table = table if isinstance(table, dict) else {}
        kinds = ("dependencies", "devDependencies")
        return cls(
            folder,
            {k: v for k, v in _table(table, "scripts").items() if isinstance(v, str)},
            frozenset(name for kind in kinds for name in _table(table, kind)),
        )

    @property
    def vite_config(self) -> str:
        """The configuration that the script of the dev server names, in place of Vite's own choice."""
        for name in ("dev", "start", "serve"):
            words = _words(self.scripts.get(name, ""))
            if _runs_vite(words):
                words = words[words.index("vite") + 1 :]
                for word, following in zip(words, [*words, ""][1:], strict=True):
                    if word in ("--config", "-c"):
                        return following
                    if word.startswith("--config="):
                        return word.partition("=")[2]
                return ""
        return ""

    @property
    def serves_by(self) -> str:
        """The script that serves the front end in Vite's place; nothing where Vite's server does."""
        started = next(
            (self.scripts[n] for n in ("dev", "start", "serve") if n in self.scripts), ""
        )
        by_vite = any(_runs_vite(_words(script)) for script in self.scripts.values())
        return started if _WITHOUT_VITE.match(started) and not by_vite else ""

    @property
    def other_server(self) -> str:
        """The dev server that it uses in Vite's place."""
        return next((name for key, name in _OTHER_SERVERS.items() if key in self.dependencies), "")

    @property
    def runs_on_a_server(self) -> bool:
        """Whether its source may run elsewhere than in a browser."""
        return bool(_ON_A_SERVER & self.dependencies)


def _table(table: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = table.get(key)
    return value if isinstance(value, dict) else {}


def _runs_vite(words: list[str]) -> bool:
    """Whether a script starts Vite's dev server."""
    return "vite" in words and not {"build", "preview"} & set(words)


def _words(script: str) -> list[str]:
    try:
        return shlex.split(script)
    except ValueError:
        return script.split()


class SourceFile(Struct, frozen=True, dict=True):
    """One file of the front end's source; `name` is its path relative to the platform."""

    path: Path
    name: str
    data: bytes

    @cached_property
    def root(self) -> Node:
        return parse(self.name, self.data)

    def at(self, offset: int) -> Node:
        """The innermost node at a place of the text; a comment where that is one."""
        return self.root.named_descendant_for_byte_range(offset, offset) or self.root

    def place(self, node: Node) -> Place:
        return place_of(self.name, node)

    def has_in_code(self, pattern: re.Pattern[bytes]) -> bool:
        """Whether a pattern is found outside of comments."""
        found = pattern.finditer(self.data)
        return any(self.at(match.start()).type not in COMMENTS for match in found)


class FrontendSource(Fact, frozen=True):
    """The front end's own source files: no tests, mocks, stories, builds or packages."""

    folder: Path
    files: tuple[SourceFile, ...]

    limit = 10.0

    @classmethod
    def read(cls, platform: Platform, package: FrontendPackage) -> FrontendSource:
        folder = package.folder
        folder = folder / "src" if (folder / "src").is_dir() else folder
        files: list[SourceFile] = []
        name = platform.relative(folder)
        try:
            for path in _source_files(folder):
                name = platform.relative(path)
                files.append(SourceFile(path, name, read_head(path, _MAXIMUM)))
        except OSError as error:
            raise Unreadable(f"{name}: can't be read ({error.strerror})") from None
        return cls(folder, tuple(files))


_NO_SOURCES = {
    "node_modules",
    "dist",
    "build",
    "public",
    "scripts",
    "tools",
    "test",
    "tests",
    "e2e",
    "cypress",
    "playwright",
    "__tests__",
    "__mocks__",
    "mocks",
    "fixtures",
    "stories",
    "storybook",
}
_NO_SOURCE = re.compile(
    r"\.(?:test|spec|stories|story|mock|config|server|d)\.|^(?:setup-?tests?)\."
)


def _raise(error: OSError) -> None:
    raise error


def _source_files(root: Path) -> Iterator[Path]:
    for folder, names, files in os.walk(root, onerror=_raise):
        names[:] = sorted(
            n for n in names if n not in _NO_SOURCES | VENDORED and not n.startswith(".")
        )
        for name in sorted(files):
            if name.endswith(_SOURCES) and not _NO_SOURCE.search(name.lower()):
                yield Path(folder) / name


class Call(Struct, frozen=True):
    """A path of the API in the front end's source; `path` ends where a variable part begins."""

    path: str
    place: Place
    whole: bool = True
    """Whether the path is known to its end."""

    def __str__(self) -> str:
        return f"{self.place} ({self.path}{'' if self.whole else '...'})"


class FrontendCalls(Fact, frozen=True):
    """Where the front end's source calls the API by a path of its own origin (`/api/...`)."""

    relative: tuple[Call, ...]

    limit = 10.0

    @classmethod
    def read(cls, platform: Platform, source: FrontendSource) -> FrontendCalls:
        prefix = platform.config.frontend.api if platform.config.frontend else "/api"
        sure: list[Call] = []
        likely: list[Call] = []
        for file in source.files:
            for call, certain in calls_in(file, prefix):
                (sure if certain else likely).append(call)
        # `client.get('/api/x')` goes where the client's base says, which may be another origin.
        if likely and any(file.has_in_code(ELSEWHERE) for file in source.files):
            likely = []
        return cls(tuple(sure + likely))


# A sign that calls may go to another origin: a base address, or a variable for one.
ELSEWHERE = re.compile(
    rb"""baseURL\s*[:=]\s*(?!["'`]/)|prefixUrl\s*[:=]\s*(?!["'`]/)|import\.meta\.env\.VITE_"""
    rb"""|process\.env\.|["'`]https?://(?:localhost|127\.0\.0\.1|\[::1\]|\$\{)"""
)
DEEPEST = 100
"""How far outwards is looked from a node: each step costs what its depth is."""
COMMENTS = {"comment", "html_comment"}
CALLED = {"fetch", "window.fetch", "globalThis.fetch", "EventSource", "Request"}
BASES = {"baseURL", "baseUrl", "prefixUrl"}


def calls_in(file: SourceFile, prefix: str) -> Iterator[tuple[Call, bool]]:
    """The literals of the API's paths in a file, and whether each is surely called as such."""
    for found in re.finditer(rb"[\"'`]" + re.escape(prefix.encode()), file.data):
        node = file.at(found.start())
        told = string_of(node)
        if told is None or node.start_byte != found.start() or not told[0].startswith(prefix):
            continue
        path, whole = told
        rest = path[len(prefix) :]
        if (rest and rest[0] not in "/?") or re.search(r"\s", path) or (not rest and not whole):
            continue
        use = use_of(node)
        if use.kind in ("end", "import", "route"):
            continue
        # More follows what a base address is set to.
        whole = whole and not use.more and use.kind != "base"
        yield Call(path, file.place(node), whole), use.kind in ("call", "base")


class Use(Struct, frozen=True):
    """What a literal is used for: `call` (called as an address), `base` (a client's base address),
    `end` (of another address), `import`, `route` (of the front end's own pages), or nothing known.

    `node` is the expression it is the beginning of; `more`: something is added to it.
    """

    kind: str
    node: Node
    more: bool = False


def use_of(node: Node) -> Use:
    more = False
    parent = node.parent
    for _ in range(DEEPEST):
        if parent is None:
            break
        if parent.type == "binary_expression":
            if text_of(parent.child_by_field_name("operator")) != "+":
                break
            if parent.child_by_field_name("left") != node:
                return Use("end", node)
            more = True
        elif parent.type not in (
            "parenthesized_expression",
            "as_expression",
            "non_null_expression",
        ):
            break
        node, parent = parent, parent.parent
    return Use(_kind(node, parent), node, more)


def _kind(node: Node, parent: Node | None) -> str:
    if parent is None:
        return ""
    if parent.type == "arguments" and parent.parent is not None:
        call = parent.parent
        called = text_of(
            call.child_by_field_name("function") or call.child_by_field_name("constructor")
        )
        if called in ("require", "import"):
            return "import"
        first = next((n for n in parent.named_children if n.type != "comment"), None)
        return "call" if called in CALLED and first == node else ""
    if parent.type == "pair":
        key = key_of(parent)
        return "base" if key in BASES else "route" if key == "path" else ""
    if parent.type == "jsx_attribute":
        return "route" if text_of(parent).startswith("path") else ""
    if parent.type == "assignment_expression":
        left = parent.child_by_field_name("left")
        name = left.child_by_field_name("property") if left is not None else None
        return "base" if text_of(name) in BASES else ""
    return "import" if parent.type in ("import_statement", "export_statement") else ""
