"""Local modules that hide one of the standard library, or an installed one, where services start."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from functools import cached_property

from msgspec import Struct

from saas_doctor.facts import Fact
from saas_doctor.facts.importing import AT_START, Shadow
from saas_doctor.facts.imports import STANDARD, Imports
from saas_doctor.facts.launches import Launches, Way
from saas_doctor.facts.module import Module, dotted_name
from saas_doctor.model import Place

NEEDED: Mapping[str, tuple[str, ...]] = {
    "ast": ("NodeVisitor",),
    "asyncio": ("iscoroutinefunction", "Protocol"),
    "base64": ("b64encode",),
    "bisect": ("bisect",),
    "concurrent": ("futures",),
    "contextlib": ("suppress",),
    "contextvars": ("ContextVar",),
    "copy": ("copy",),
    "dataclasses": ("dataclass",),
    "datetime": ("datetime",),
    "decimal": ("Decimal",),
    "dis": ("COMPILER_FLAG_NAMES",),
    "email": ("utils",),
    "gettext": ("gettext",),
    "heapq": ("heappush",),
    "http": ("client", "cookies"),
    "importlib": ("machinery",),
    "inspect": ("cleandoc",),
    "ipaddress": ("IPv4Address",),
    "locale": ("normalize",),
    "logging": ("getLogger",),
    "mimetypes": ("guess_type",),
    "multiprocessing": ("context",),
    "numbers": ("Number",),
    "pickle": ("Pickler",),
    "quopri": ("encodestring",),
    "random": ("Random",),
    "selectors": ("SelectSelector",),
    "shlex": ("shlex",),
    "signal": ("SIGINT",),
    "socket": ("AF_UNSPEC",),
    "socketserver": ("ThreadingTCPServer",),
    "ssl": ("SSLWantReadError",),
    "string": ("Template",),
    "subprocess": ("PIPE",),
    "tempfile": ("TemporaryDirectory", "SpooledTemporaryFile"),
    "textwrap": ("dedent",),
    "threading": ("_shutdown",),
    "token": ("EXACT_TOKEN_TYPES",),
    "traceback": ("extract_stack",),
    "typing": ("final", "Iterable"),
    "uuid": ("UUID",),
    "weakref": ("WeakSet",),
}
"""What FastAPI and uvicorn fail without, at the latest versions on Python 3.11 to 3.13 and at 0.104.

Tried: an empty file of each name of the standard library beside a script that imports both. Left
out are those that `sys`, `os` and `pathlib` load before a script can change where imports begin.
"""
# What the `uvicorn` command has loaded before it looks into the working directory.
_LOADED_BY_UVICORN = {"click", "h11", "httptools", "uvloop", "websockets", "yaml", "dotenv"}


class Hidden(Struct, frozen=True):
    """A module `top` that the local one hides; `place` is where it is then missing.

    `standard`: whether it is of the standard library. `names`: what is wanted of it and not there.
    `by`: who wants it. `sure`: whether every way to start the service comes upon it.
    """

    top: str
    local: Module
    place: Place
    names: tuple[str, ...]
    by: str
    way: Way
    standard: bool
    sure: bool


class Shadows(Fact, frozen=True):
    """The local modules that hide others which are wanted."""

    launches: Launches
    imports: Imports

    limit = 20.0

    @classmethod
    def read(cls, launches: Launches, imports: Imports) -> Shadows:
        return cls(launches, imports)

    @cached_property
    def hidden(self) -> tuple[Hidden, ...]:
        """One for each local module, the surest."""
        found: dict[str, Hidden] = {}
        for service in self.launches.platform.config.services:
            for way in self._used(service):
                for hidden in (*self._of_needed(way), *self._of_imports(way)):
                    known = found.get(hidden.local.name)
                    if known is None or (hidden.sure and not known.sure):
                        found[hidden.local.name] = hidden
        return tuple(found.values())

    def _used(self, service: str) -> list[Way]:
        """The ways that the service is likely started in: its script, else those that work."""
        ways = [way for way in self.launches.of(service) if way.run.failure is None]
        scripts = [way for way in ways if way.kind == "script"]
        return scripts or [way for way in ways if way.kind == "module"] or ways

    def _of_needed(self, way: Way) -> Iterator[Hidden]:
        """Modules of the standard library that FastAPI itself needs, in a folder that comes first."""
        if not any(b"fastapi" in module.data for module in way.run.reached):
            return
        sure = way.kind == "script" or bool(self.launches.written(r"-m\s+(?:uvicorn|gunicorn)\b"))
        if not sure and self.launches.written(r"(?:^|[^\w-])(?:uvicorn|gunicorn|fastapi)\s+\S"):
            return  # the command has loaded it from where it belongs
        for folder in dict.fromkeys(way.run.path):
            for top in sorted(self.imports.children.get(folder, frozenset()) & NEEDED.keys()):
                local = self.imports.files.get(f"{folder}/{top}")
                if local and all(self.imports.lacks(local, name) for name in NEEDED[top]):
                    names = NEEDED[top][:1]
                    yield Hidden(
                        top, local, Place(local.name, 1), names, "fastapi", way, True, sure
                    )

    def _of_imports(self, way: Way) -> Iterator[Hidden]:
        """Modules that the platform's own code wants more of than the local one has."""
        for shadow in way.run.shadows:
            top = _top(shadow)
            standard = top in STANDARD
            if top in AT_START or (standard and top not in NEEDED and way.kind != "script"):
                continue
            names = [n for n in _wanted(shadow) if n != "*" and self._lacks(shadow.local, n)]
            if names:
                node = shadow.statement.node or _statement(shadow)
                if node is None or node not in shadow.module.body:
                    continue
                sure = way.kind == "script" or not (standard or top in _LOADED_BY_UVICORN)
                place = shadow.module.place(node)
                yield Hidden(
                    top, shadow.local, place, tuple(names), shadow.module.name, way, standard, sure
                )

    def _lacks(self, local: Module, name: str) -> bool:
        inside = local.is_package and self.imports.has(str(local.path.parent), name)
        return not inside and self.imports.lacks(local, name)


def _top(shadow: Shadow) -> str:
    return shadow.statement.origin.partition(".")[0]


def _statement(shadow: Shadow) -> ast.Import | ast.ImportFrom | None:
    """The statement in the tree that the text showed."""
    for node in shadow.module.body:
        origin = shadow.statement.origin
        if isinstance(node, ast.ImportFrom):
            if node.module == origin and not node.level and shadow.statement.listing:
                return node
        elif isinstance(node, ast.Import) and any(alias.name == origin for alias in node.names):
            return node
    return None


def _wanted(shadow: Shadow) -> list[str]:
    """What the importer wants of the module at the top: names, a submodule, or attributes."""
    rest = shadow.statement.origin.partition(".")[2]
    if rest:
        return [rest.partition(".")[0]]
    if shadow.statement.listing:
        return shadow.statement.names
    given = shadow.statement.alias or shadow.statement.origin
    if sum(1 for node in shadow.module.nodes if _binds(node, given)):
        return []  # the name stands for something else somewhere
    uses = (dotted_name(node) for node in shadow.module.nodes if isinstance(node, ast.Attribute))
    wanted = (name.split(".") for name in uses)
    return sorted({parts[1] for parts in wanted if len(parts) == 2 and parts[0] == given})


def _binds(node: ast.AST, name: str) -> bool:
    if isinstance(node, ast.Name):
        return node.id == name and not isinstance(node.ctx, ast.Load)
    return isinstance(node, ast.arg) and node.arg == name
