"""The variables that Vite builds into the front end (`VITE_...`), and the compose file's part in it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from saas_doctor.discovery import VITE_CONFIGS
from saas_doctor.facts import Fact
from saas_doctor.facts.dotenv import read_dotenv
from saas_doctor.facts.frontend import FrontendPackage
from saas_doctor.model import Place, Unreadable
from saas_doctor.platform import Platform

if TYPE_CHECKING:
    from yaml import Node

# In the order in which Vite's dev server reads them: the last one counts.
_FILES = (".env", ".env.local", ".env.development", ".env.development.local")
_MAXIMUM = 1_000_000


@dataclass(frozen=True)
class Variable:
    """One setting of a variable; `file` is the name of the file that sets it, without its folder."""

    name: str
    value: str
    place: Place
    file: str


@dataclass(frozen=True)
class ComposeServices(Fact):
    """The services of the compose file: their names, the ports they publish, their `VITE_` variables."""

    names: frozenset[str] = frozenset()
    ports: frozenset[int] = frozenset()
    variables: tuple[Variable, ...] = ()

    @classmethod
    def read(cls, platform: Platform) -> ComposeServices:
        name = platform.config.compose_file
        if name is None:
            return cls()
        import yaml

        try:
            data = platform.path(name).read_bytes()[:_MAXIMUM]
            root = yaml.compose(data, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
        except (OSError, yaml.YAMLError, UnicodeDecodeError, RecursionError):
            return cls()  # a check of its own says so
        services = dict(_pairs(_get(root, "services")))
        ports = (n for service in services.values() for n in _numbers(_get(service, "ports")))
        variables = (
            variable
            for service in services.values()
            for part in (_get(service, "environment"), _get(_get(service, "build"), "args"))
            for variable in _variables(part, name)
        )
        # What several services share stands in one place.
        unique = {(v.name, v.place): v for v in variables}
        return cls(frozenset(services), frozenset(ports), tuple(unique.values()))


def _kind(node: Node) -> str:
    return str(getattr(node, "id", ""))  # yaml's stubs don't have it


def _pairs(node: Node | None, depth: int = 0) -> Iterator[tuple[str, Node]]:
    """The keys and values of a mapping, with those that it merges (`<<: *other`)."""
    if node is None or _kind(node) != "mapping" or depth > 8:
        return
    for key, value in node.value:
        if key.value == "<<":
            for other in value.value if _kind(value) == "sequence" else [value]:
                yield from _pairs(other, depth + 1)
        elif _kind(key) == "scalar":
            yield str(key.value), value


def _get(node: Node | None, name: str) -> Node | None:
    return next((value for key, value in _pairs(node) if key == name), None)


def _scalars(node: Node | None, depth: int = 0) -> Iterator[Node]:
    if node is None or depth > 8:
        return
    if _kind(node) == "scalar":
        yield node
    elif _kind(node) == "sequence":
        for inner in node.value:
            yield from _scalars(inner, depth + 1)
    else:
        for _, value in _pairs(node):
            yield from _scalars(value, depth + 1)


def _numbers(node: Node | None) -> Iterator[int]:
    for scalar in _scalars(node):
        yield from map(int, re.findall(r"(?<!\d)\d{2,5}(?!\d)", scalar.value))


def _variables(node: Node | None, name: str) -> Iterator[Variable]:
    """`VITE_...` of a mapping, or of a list of `KEY=value`."""
    if node is not None and _kind(node) == "sequence":
        for scalar in _scalars(node):
            key, sign, value = scalar.value.partition("=")
            if sign and key.startswith("VITE_"):
                yield Variable(key, value, _place(name, scalar), name)
    for key, value_node in _pairs(node):
        if key.startswith("VITE_") and _kind(value_node) == "scalar":
            yield Variable(key, str(value_node.value), _place(name, value_node), name)


def _place(name: str, node: Node) -> Place:
    return Place(name, node.start_mark.line + 1, node.start_mark.column + 1)


@dataclass(frozen=True)
class BuiltIn(Fact):
    """The variables `VITE_...` of the front end: of its .env files, and of the compose file.

    `development`: their values in the dev server. `configured`: those that the Vite configuration
    names, where they may be the proxy's target and no part of the front end.
    """

    all: tuple[Variable, ...]
    development: dict[str, Variable]
    configured: frozenset[str]

    @classmethod
    def read(
        cls, platform: Platform, package: FrontendPackage, compose: ComposeServices
    ) -> BuiltIn:
        names = (package.vite_config,) if package.vite_config else VITE_CONFIGS
        config = next((p for n in names if (p := package.folder / n).is_file()), None)
        try:
            text = config.read_bytes()[:_MAXIMUM].decode("utf-8", "replace") if config else ""
        except OSError as error:
            raise Unreadable(f"{package.folder.name}: can't be read ({error.strerror})") from None
        found: dict[str, list[Variable]] = {}
        # Kept in another folder, or called by another prefix: not followed.
        files = () if "envDir" in text or "envPrefix" in text else (*_FILES, ".env.production")
        for name in files:
            file = read_dotenv(package.folder / name, platform)
            found[name] = [
                Variable(s.key, s.value, s.place, name)
                for s in (file.settings if file else ())
                if s.key.startswith("VITE_")
            ]
        development = {v.name: v for name in _FILES for v in found.get(name, ())}
        listed = (v for variables in found.values() for v in variables)
        configured = frozenset(re.findall(r"\bVITE_\w+", text))
        return cls((*listed, *compose.variables), development, configured)
