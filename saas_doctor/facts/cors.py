"""The CORS middleware of each app in the source: its arguments, and what stands outside of it."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from msgspec import Struct

from saas_doctor.facts import Fact
from saas_doctor.facts.literals import UNKNOWN, Value, plain, sequence
from saas_doctor.facts.middleware import CORS, Outer, full_name, keyword, outside
from saas_doctor.facts.module import Module, dotted_name
from saas_doctor.facts.source import Source
from saas_doctor.facts.values import Values
from saas_doctor.model import Absent, Place
from saas_doctor.platform import Platform

_MIDDLEWARE = {f"{package}.middleware.Middleware" for package in ("fastapi", "starlette")}
# In the order of Starlette's signature, as they may be given without their names.
DEFAULTS: Mapping[str, Value] = {
    "allow_origins": sequence(()),
    "allow_methods": sequence((plain("GET"),)),
    "allow_headers": sequence(()),
    "allow_credentials": plain(False),
    "allow_origin_regex": plain(None),
}
_TESTS = re.compile(r"(?:^|/)(?:tests?|docs_src|examples?)/|(?:^|/)(?:test_[^/]*|conftest)\.py$")


class CorsMiddleware(Struct, frozen=True):
    """One use of Starlette's CORS middleware; `app` is how the source calls the app it is added to."""

    module: Module
    node: ast.Call
    place: Place
    app: str
    given: Mapping[str, ast.expr]
    values: Mapping[str, Value]
    outer: tuple[Outer, ...] = ()

    @property
    def origins(self) -> Value:
        return self.values["allow_origins"]

    def allows(self, origin: str) -> bool | None:
        """Whether it lets a page of this origin call; None where that is not proven."""
        origins, pattern = self.values["allow_origins"], self.values["allow_origin_regex"]
        if origins.kind == "str" and origins.text is not None:
            found = origin in origins.text or "*" in origins.text
        elif origins.kind == "list":
            texts = {item.text for item in origins.items}
            found = origin in texts or "*" in texts
            if not found and (not origins.known or any(not i.known for i in origins.items)):
                return None
        else:
            return None
        if found:
            return True
        return False if pattern.known and pattern.plain is None else matches(pattern.text, origin)

    def place_of(self, argument: str) -> Place:
        node = self.given.get(argument)
        return self.module.place(node) if node is not None else self.place


def matches(pattern: str | None, origin: str) -> bool | None:
    """Whether a pattern takes an origin as a whole; None where it is not tried."""
    # Repetitions of repetitions can take for ever.
    if pattern is None or len(pattern) > 300 or re.search(r"[+*}]\)?[+*{]|\)[+*{]", pattern):
        return None
    try:
        return re.fullmatch(pattern, origin) is not None
    except re.error:
        return None


class Cors(Fact, frozen=True):
    """The CORS middlewares in the platform's source; tests and examples are left out."""

    found: tuple[CorsMiddleware, ...]
    services: Mapping[str, Path]
    gateway: str

    limit = 20.0

    @classmethod
    def read(cls, platform: Platform, source: Source, values: Values) -> Cors:
        found = [
            _middleware(source, values, module, *use)
            for module in source.mentioning("CORSMiddleware")
            if not _TESTS.search(module.name)
            for use in _uses(source, module)
            if not _passed_by(values, module, use[0])
        ]
        config = platform.config
        folders = {n: platform.path(s.directory) for n, s in config.services.items()}
        gateway = config.frontend.gateway if config.frontend else ""
        return cls(tuple(found), folders, gateway)

    @property
    def middlewares(self) -> tuple[CorsMiddleware, ...]:
        """All of them; raises Absent where there is none."""
        if not self.found:
            raise Absent("no CORSMiddleware in the source")
        return self.found

    def of_service(self, name: str) -> tuple[CorsMiddleware, ...]:
        """The middlewares of a service: those in its folder; those of all where it is the only one."""
        folder = self.services.get(name)
        if folder is None:
            return self.found if len(self.services) <= 1 else ()
        inside = tuple(m for m in self.found if m.module.path.is_relative_to(folder))
        return inside or (self.found if len(self.services) == 1 else ())

    @property
    def of_gateway(self) -> tuple[CorsMiddleware, ...]:
        """Those of the service that the front end calls."""
        if self.gateway not in self.services and len(self.services) == 1:
            return self.of_service(next(iter(self.services)))
        return self.of_service(self.gateway)


def _uses(source: Source, module: Module) -> Iterator[tuple[ast.Call, list[ast.expr], str]]:
    """The calls that make a CORS middleware, their arguments after the app, and the app's name."""
    for node in module.nodes:
        if not isinstance(node, ast.Call):
            continue
        first = node.args[0] if node.args else None
        first = first or keyword(node, "middleware_class") or keyword(node, "cls")
        is_it = first is not None and full_name(source, module, first) in CORS
        if isinstance(node.func, ast.Attribute) and node.func.attr == "add_middleware" and is_it:
            yield node, node.args[1:], dotted_name(node.func.value)
        elif full_name(source, module, node.func) in (_MIDDLEWARE if is_it else CORS):
            yield node, node.args[1:], ""


def _passed_by(values: Values, module: Module, node: ast.Call) -> bool:
    """Whether a call stands in a branch that the settings prove not to be taken."""
    branches = [n for n in module.nodes if isinstance(n, ast.If)]
    return any(
        values.of(module, branch.test).truth is (part is branch.orelse)
        for branch in branches
        for part in (branch.body, branch.orelse)
        if any(inner is node for statement in part for inner in ast.walk(statement))
    )


def _middleware(
    source: Source,
    values: Values,
    module: Module,
    node: ast.Call,
    positional: list[ast.expr],
    app: str,
) -> CorsMiddleware:
    given = dict(zip(DEFAULTS, positional, strict=False))
    given |= {k.arg: k.value for k in node.keywords if k.arg and k.arg in DEFAULTS}
    spread = any(k.arg is None for k in node.keywords)
    spread = spread or any(isinstance(a, ast.Starred) for a in positional)
    known = {
        name: values.of(module, given[name]) if name in given else UNKNOWN if spread else default
        for name, default in DEFAULTS.items()
    }
    outer = tuple(outside(source, module, node, app))
    return CorsMiddleware(module, node, module.place(node), app, given, known, outer)
