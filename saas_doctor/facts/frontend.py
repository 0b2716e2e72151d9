"""The front end's files: its Vite configuration, read by a parser, and how its source calls the API."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from saas_doctor.actions.files import EditFile
from saas_doctor.discovery import VITE_CONFIGS
from saas_doctor.edits import Edit, apply_edits, newline_of
from saas_doctor.facts import Fact
from saas_doctor.model import Absent, Place, Unreadable
from saas_doctor.platform import Platform

if TYPE_CHECKING:
    from tree_sitter import Node

_SOURCES = (".js", ".jsx", ".ts", ".tsx", ".vue", ".svelte", ".mjs")
_MAXIMUM = 1_000_000


@dataclass(frozen=True)
class ViteConfig(Fact):
    """The dev server's proxy, as the Vite configuration writes it.

    `keys` are the proxy's entries (None: there is no proxy). `unknown` says why a part can't be
    told from the text: something computed or imported.
    """

    path: Path
    name: str
    data: bytes
    keys: tuple[str, ...] | None
    place: Place
    unknown: str = ""
    insert_at: int | None = None
    """Where an entry, a `proxy` or a `server` can be put in: just after an opening brace."""
    level: str = ""
    """What is to be put in there: `entry`, `proxy` or `server`."""

    @classmethod
    def read(cls, platform: Platform) -> ViteConfig:
        frontend = platform.config.frontend
        if frontend is None:
            raise Absent("no front end is configured")
        folder = platform.path(frontend.directory)
        path = next((p for name in VITE_CONFIGS if (p := folder / name).is_file()), None)
        if path is None:
            raise Absent(f"no vite.config.* in {frontend.directory}")
        name = platform.relative(path)
        try:
            data = path.read_bytes()
        except OSError as error:
            raise Unreadable(f"{name}: can't be read ({error.strerror})") from None
        return _read_config(cls, path, name, data)

    def covers(self, call: Call) -> bool:
        """Whether a proxy entry takes the call, or may take it: keys are prefixes, `^...` patterns.

        A path that is known in part is covered where the rest could bring it to an entry.
        """
        return any(_takes(key, call) for key in self.keys or ())

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
        after = _read_config(ViteConfig, self.path, self.name, apply_edits(self.data, (edit,)))
        if not after.covers(Call(f"{prefix}/", self.place)):
            raise Absent(f"{self.name}: the proxy can't be put in by an edit; add it by hand")
        return EditFile(self.path, self.name, self.data, (edit,), (f"proxy for {prefix}",))


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


def _parse(name: str, data: bytes) -> Node:
    from tree_sitter import Language, Parser

    if name.endswith((".ts", ".mts", ".cts")):
        import tree_sitter_typescript

        language = Language(tree_sitter_typescript.language_typescript())
    else:
        import tree_sitter_javascript

        language = Language(tree_sitter_javascript.language())
    return Parser(language).parse(data).root_node


_WRAPPERS = (
    "parenthesized_expression",
    "satisfies_expression",
    "as_expression",
    "await_expression",
    "non_null_expression",
)


# A plugin written here or beside the configuration can set a proxy, or answer by itself.
_PLUGIN = re.compile(rb"configureServer|\bconfig\s*\([^)]*\)\s*\{|from\s+['\"]\.{1,2}/")


class _Unknown(Exception):
    """A part of the configuration that the text does not tell."""


def _read_config(kind: type[ViteConfig], path: Path, name: str, data: bytes) -> ViteConfig:
    root = _parse(name, data)
    place = Place(name, 1)
    if root.has_error:
        return kind(path, name, data, None, place, f"{name} can't be parsed as a whole")
    try:
        config = _config_object(root)
        if _PLUGIN.search(data):
            raise _Unknown("a plugin of its own may serve the API")
        keys: tuple[str, ...] | None = None
        for level in ("server", "proxy"):
            inner = _property(config, level, root)
            if inner is None:
                unknown = _spread(config, name)
                return kind(
                    path, name, data, keys, _at(name, config), unknown, config.start_byte + 1, level
                )
            if inner.type != "object":
                raise _Unknown(f"`{level}` is computed")
            config = inner
        keys = tuple(_keys(config))
        unknown = _spread(config, name)
        return kind(
            path, name, data, keys, _at(name, config), unknown, config.start_byte + 1, "entry"
        )
    except _Unknown as reason:
        return kind(path, name, data, None, place, f"{name}: {reason}")


def _at(name: str, node: Node) -> Place:
    return Place(name, node.start_point.row + 1, node.start_point.column + 1)


def _config_object(root: Node) -> Node:
    """The object that the module exports: itself, in `defineConfig`, or returned by a function."""
    for statement in root.named_children:
        exported = _exported(statement)
        if exported is not None:
            return _object_of(exported, root)
    raise _Unknown("no default export")


def _exported(statement: Node) -> Node | None:
    if statement.type == "export_statement":
        return statement.child_by_field_name("value")
    if statement.type == "expression_statement" and statement.named_children:
        assignment = statement.named_children[0]
        left = assignment.child_by_field_name("left")
        if left is not None and left.text == b"module.exports":
            return assignment.child_by_field_name("right")
    return None


def _object_of(node: Node, root: Node, depth: int = 0) -> Node:
    if depth > 6:
        raise _Unknown("the configuration is computed")
    if node.type == "object":
        return node
    if node.type in _WRAPPERS:
        return _object_of(node.named_children[0], root, depth + 1)
    if node.type == "call_expression":
        function, arguments = (
            node.child_by_field_name("function"),
            node.child_by_field_name("arguments"),
        )
        if function is not None and function.text == b"defineConfig" and arguments is not None:
            given = [child for child in arguments.named_children if child.type != "comment"]
            if len(given) == 1:
                return _object_of(given[0], root, depth + 1)
    if node.type in ("arrow_function", "function_expression", "function"):
        body = node.child_by_field_name("body")
        if body is not None:
            return _returned(body, root, depth)
    if node.type == "identifier":
        return _object_of(_variable(root, node), root, depth + 1)
    raise _Unknown("the configuration is computed")


def _returned(body: Node, root: Node, depth: int) -> Node:
    if body.type != "statement_block":
        return _object_of(body, root, depth + 1)
    returns = [n for n in _walk(body) if n.type == "return_statement"]
    if len(returns) != 1 or not returns[0].named_children:
        raise _Unknown("the function returns different configurations")
    return _object_of(returns[0].named_children[0], root, depth + 1)


def _variable(root: Node, name: Node) -> Node:
    """What a variable at the top of the file is given; raises _Unknown where it is changed later."""
    text = (name.text or b"").decode("utf-8", "replace")
    for node in root.named_children:
        for declared in node.named_children:
            left = declared.child_by_field_name("name")
            value = declared.child_by_field_name("value")
            if declared.type == "variable_declarator" and left is not None and value:
                if left.text != name.text:
                    continue
                # Assigned to, or given to a function that may change it.
                word = re.escape(text)
                changed = rf"(?<![\w.]){word}(\.\w+|\[[^\]]*\])*\s*=[^=>]|\(\s*{word}\s*,"
                count = len(re.findall(changed, (root.text or b"").decode("utf-8", "replace")))
                if count > 1:  # once where it is declared
                    raise _Unknown(f"`{text}` is changed after it is made")
                return value
    raise _Unknown(f"`{text}` comes from elsewhere")


def _walk(node: Node) -> Iterator[Node]:
    for child in node.named_children:
        yield child
        if child.type not in ("arrow_function", "function_expression", "function_declaration"):
            yield from _walk(child)


def _property(node: Node, name: str, root: Node) -> Node | None:
    """The value of an object's property, a variable of the file followed; the last one counts.

    Raises _Unknown for one that is computed: by a function, a shorthand, or a key in brackets.
    """
    value: Node | None = None
    for child in node.named_children:
        text = (child.text or b"").decode("utf-8", "replace")
        if child.type == "pair" and _key(child) in (name, None):
            if _key(child) is None:
                raise _Unknown("a key is computed")
            value = child.child_by_field_name("value")
        elif child.type == "shorthand_property_identifier" and text == name:
            value = child
        elif child.type == "method_definition" and name in text.partition("(")[0].split():
            raise _Unknown(f"`{name}` is computed")
    while value is not None and value.type in _WRAPPERS:
        value = value.named_children[0]
    if value is not None and value.type in ("identifier", "shorthand_property_identifier"):
        return _variable(root, value)
    return value


def _key(pair: Node) -> str | None:
    key = pair.child_by_field_name("key")
    if key is None or key.type == "computed_property_name":
        return None
    return (key.text or b"").decode("utf-8", "replace").strip("'\"`")


def _keys(proxy: Node) -> Iterator[str]:
    for child in proxy.named_children:
        if child.type == "pair":
            key = _key(child)
            if key is None:
                raise _Unknown("a key of `server.proxy` is computed")
            yield key


def _spread(node: Node, name: str) -> str:
    if any(child.type == "spread_element" for child in node.named_children):
        return f"{name}: a part of it is spread in from elsewhere"
    return ""


@dataclass(frozen=True)
class Call:
    """A path of the API in the front end's source; `path` ends where a variable part begins."""

    path: str
    place: Place
    whole: bool = True
    """Whether the path is known to its end."""

    def __str__(self) -> str:
        return f"{self.place} ({self.path}{'' if self.whole else '...'})"


@dataclass(frozen=True)
class FrontendCalls(Fact):
    """Where the front end's source calls the API by a path of its own origin (`/api/...`)."""

    relative: tuple[Call, ...]

    limit = 10.0

    @classmethod
    def read(cls, platform: Platform) -> FrontendCalls:
        frontend = platform.config.frontend
        if frontend is None:
            raise Absent("no front end is configured")
        folder = platform.path(frontend.directory)
        folder = folder / "src" if (folder / "src").is_dir() else folder
        sure: list[Call] = []
        likely: list[Call] = []
        elsewhere = False
        for path in _source_files(folder):
            try:
                data = path.read_bytes()[:_MAXIMUM]
            except OSError as error:
                name = platform.relative(path)
                raise Unreadable(f"{name}: can't be read ({error.strerror})") from None
            text = without_comments(data)
            elsewhere = elsewhere or bool(_ELSEWHERE.search(text))
            for call, certain in calls_in(text, frontend.api, platform.relative(path)):
                (sure if certain else likely).append(call)
        # `client.get('/api/x')` goes where the client's base says, which may be another origin.
        return cls(tuple(sure if elsewhere else sure + likely))


_STRING_OR_COMMENT = re.compile(
    rb"""("(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'|`(?:\\.|[^`\\])*`)"""
    rb"""|(?:(?<!:)//[^\n]*|/\*.*?\*/|<!--.*?-->)""",
    re.S,
)
# A sign that calls may go to another origin: a base address, or a variable for one.
_ELSEWHERE = re.compile(
    rb"""baseURL\s*[:=]\s*(?!["'`]/)|prefixUrl\s*[:=]\s*(?!["'`]/)|import\.meta\.env\.VITE_"""
    rb"""|process\.env\.|["'`]https?://(?:localhost|127\.0\.0\.1|\[::1\]|\$\{)"""
)
_CALLED = re.compile(
    rb"(?:\bfetch|\bnew\s+EventSource|\bnew\s+Request|\baxios\.create)\s*\(\s*$"
    rb"|\b(?:baseURL|prefixUrl)\s*[:=]\s*$"
)


def without_comments(data: bytes) -> bytes:
    """JavaScript with its comments blanked; every other byte keeps its place."""

    def blank(found: re.Match[bytes]) -> bytes:
        return found.group(1) or re.sub(rb"[^\r\n]", b" ", found.group(0))

    return _STRING_OR_COMMENT.sub(blank, data)


def calls_in(text: bytes, prefix: str, name: str) -> Iterator[tuple[Call, bool]]:
    """The literals of the API's paths in a source text, and whether each is surely called as such."""
    pattern = re.compile(
        rb"([\"'`])(" + re.escape(prefix.encode()) + rb"(?:[/?][^\"'`\s$]*)?)(?=[\"'`$])"
    )
    for found in pattern.finditer(text):
        before = text[max(0, found.start() - 40) : found.start()]
        if before.rstrip().endswith(b"+"):
            continue  # the end of another address
        line = text.count(b"\n", 0, found.start()) + 1
        column = found.start() - text.rfind(b"\n", 0, found.start())
        after = text[found.end() : found.end() + 40]
        whole = after[:1] == found.group(1) and not after[1:].lstrip().startswith(b"+")
        certain = _CALLED.search(before) is not None
        path = found.group(2).decode("utf-8", "replace")
        # What a base address is set to, more follows.
        base = certain and b"(" not in (_CALLED.search(before) or found).group(0)
        yield Call(path, Place(name, line, column), whole and not base), certain


_NO_SOURCES = {
    "node_modules",
    "dist",
    "build",
    "public",
    "__tests__",
    "__mocks__",
    "mocks",
    "stories",
}


def _source_files(root: Path) -> Iterator[Path]:
    for folder, names, files in os.walk(root):
        names[:] = sorted(n for n in names if n not in _NO_SOURCES and not n.startswith("."))
        for name in sorted(files):
            other = any(
                part in name for part in (".test.", ".spec.", ".stories.", ".config.", ".d.ts")
            )
            if name.endswith(_SOURCES) and not other:
                yield Path(folder) / name
