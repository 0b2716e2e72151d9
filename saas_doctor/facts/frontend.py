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
from saas_doctor.edits import Edit, newline_of
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

    def covers(self, prefix: str) -> bool:
        """Whether a proxy entry takes paths below the prefix: keys are prefixes, `^...` patterns."""
        for key in self.keys or ():
            if key.startswith("^"):
                try:
                    if re.match(key, f"{prefix}/x"):
                        return True
                except re.error:
                    continue
            elif f"{prefix}/".startswith(key):
                return True
        return False

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
        return EditFile(self.path, self.name, self.data, (edit,), (f"proxy for {prefix}",))


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


class _Unknown(Exception):
    """A part of the configuration that the text does not tell."""


def _read_config(kind: type[ViteConfig], path: Path, name: str, data: bytes) -> ViteConfig:
    root = _parse(name, data)
    place = Place(name, 1)
    if root.has_error:
        return kind(path, name, data, None, place, f"{name} can't be parsed as a whole")
    try:
        config = _config_object(root)
        server = _property(config, "server")
        if server is None:
            unknown = _spread(config, name)
            return kind(
                path, name, data, None, _at(name, config), unknown, config.start_byte + 1, "server"
            )
        if server.type != "object":
            raise _Unknown("`server` is computed")
        proxy = _property(server, "proxy")
        if proxy is None:
            unknown = _spread(server, name)
            return kind(
                path, name, data, None, _at(name, server), unknown, server.start_byte + 1, "proxy"
            )
        if proxy.type != "object":
            raise _Unknown("`server.proxy` is computed")
        keys = tuple(_keys(proxy))
        unknown = _spread(proxy, name)
        return kind(
            path, name, data, keys, _at(name, proxy), unknown, proxy.start_byte + 1, "entry"
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
    if node.type in (
        "parenthesized_expression",
        "satisfies_expression",
        "as_expression",
        "await_expression",
    ):
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
    for node in root.named_children:
        for declared in node.named_children:
            left = declared.child_by_field_name("name")
            value = declared.child_by_field_name("value")
            if (
                declared.type == "variable_declarator"
                and left is not None
                and left.text == name.text
                and value
            ):
                return value
    raise _Unknown(f"`{(name.text or b'').decode()}` comes from elsewhere")


def _walk(node: Node) -> Iterator[Node]:
    for child in node.named_children:
        yield child
        if child.type not in ("arrow_function", "function_expression", "function_declaration"):
            yield from _walk(child)


def _property(node: Node, name: str) -> Node | None:
    """The value of an object's property; raises _Unknown for a shorthand, which is computed."""
    for child in node.named_children:
        if child.type == "pair" and _key(child) == name:
            return child.child_by_field_name("value")
        if (
            child.type in ("shorthand_property_identifier", "method_definition")
            and name.encode() in (child.text or b"").split(b"(")[0].split()
        ):
            raise _Unknown(f"`{name}` is computed")
    return None


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
class FrontendCalls(Fact):
    """Where the front end's source calls the API by a path of its own origin (`/api/...`)."""

    relative: tuple[Place, ...]

    limit = 10.0

    @classmethod
    def read(cls, platform: Platform) -> FrontendCalls:
        frontend = platform.config.frontend
        if frontend is None:
            raise Absent("no front end is configured")
        pattern = re.compile(rb"[\"'`]" + re.escape(frontend.api.encode()) + rb"(?=[/\"'`?])")
        places: list[Place] = []
        for path in _source_files(platform.path(frontend.directory) / "src"):
            data = path.read_bytes()[:_MAXIMUM]
            for number, line in enumerate(data.splitlines(), 1):
                found = pattern.search(line)
                if found and not line.lstrip().startswith((b"//", b"*", b"/*")):
                    places.append(Place(platform.relative(path), number, found.start() + 1))
        return cls(tuple(places))


def _source_files(root: Path) -> Iterator[Path]:
    for folder, names, files in os.walk(root):
        names[:] = sorted(
            n for n in names if n not in ("node_modules", "dist") and not n.startswith(".")
        )
        for name in sorted(files):
            if name.endswith(_SOURCES) and ".test." not in name and ".spec." not in name:
                yield Path(folder) / name
