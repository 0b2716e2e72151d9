"""The platform's compose file: whether it is YAML, and its services with the place of everything."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

from saas_doctor.compose.nodes import Broken, File, Node, Problem, Substitute, read
from saas_doctor.compose.variables import NotValid, lookup_in, read_env, substitute
from saas_doctor.facts import Fact
from saas_doctor.model import Absent, Blocked, Place, Unreadable
from saas_doctor.platform import Platform

# What makes the file alone say less than Compose knows.
_MORE = re.compile(rb"(?m)^\s*(include|extends)\s*:|!reset|!override")


@dataclass(frozen=True)
class ComposeText(Fact):
    """Whether the compose file can be parsed as YAML; `error` says why not, at `place`."""

    name: str
    file: File
    documents: tuple[Node, ...] = ()
    problems: tuple[Problem, ...] = ()
    error: str = ""
    place: Place | None = None

    @classmethod
    def read(cls, platform: Platform) -> ComposeText:
        name = platform.config.compose_file
        if name is None:
            raise Absent("no compose file")
        path = platform.path(name)
        try:
            data = path.read_bytes()
        except OSError as error:
            raise Unreadable(f"{name}: can't be read ({error.strerror})") from None
        file = File(name, path, path.parent, data)
        try:
            documents, problems = read(file, _substitution(platform, path.parent))
        except Broken as broken:
            return cls(name, file, error=broken.problem.message, place=broken.problem.place)
        return cls(name, file, tuple(documents), tuple(problems))


def _substitution(platform: Platform, folder: Path) -> Substitute:
    """Puts in the variables that the shell and the `.env` beside the file set."""
    try:
        text = (folder / ".env").read_text("utf-8-sig", "replace")
        of_file = {v.key: v.value for v in read_env(text, lookup_in(platform.environ))}
    except (OSError, NotValid):
        of_file = {}
    lookup = lookup_in(platform.environ, of_file)

    def put_in(node: Node) -> Node:
        if "$" not in node.raw:
            return node
        try:
            found = substitute(node.raw, lookup)
        except NotValid as wrong:
            return replace(node, unset=(wrong.required or node.raw,))
        return replace(node, text=found.text, unset=found.unset)

    return put_in


@dataclass(frozen=True)
class Port:
    """One published port: the host's number and the container's, and where it stands."""

    node: Node
    published: int | None
    target: int | None
    address: str = ""
    protocol: str = "tcp"


@dataclass(frozen=True)
class Build:
    """What a service is built from; both paths are absolute."""

    node: Node
    context: Path
    dockerfile: Path
    named: bool
    """Whether the Dockerfile is named, and not the usual one."""


@dataclass(frozen=True)
class Service:
    """One service of the compose file, asked through its node."""

    name: str
    node: Node
    folder: Path

    @property
    def image(self) -> str:
        return self.node.string("image")

    @cached_property
    def build(self) -> Build | None:
        """Its build; None where it has none, or one from elsewhere or from text."""
        found = self.node.get("build")
        if found is None:
            return None
        if found.kind == "scalar":
            context, dockerfile, unset = found.text, "", found.unset
        else:
            parts = [found.get("context"), found.get("dockerfile")]
            unset = tuple(u for part in parts if part for u in part.unset)
            context, dockerfile = found.string("context") or ".", found.string("dockerfile")
            if found.get("dockerfile_inline") or found.get("additional_contexts"):
                return None
        if unset or re.match(r"(https?|git|ssh|docker-image)(://|@)|git@|github\.com/", context):
            return None
        base = Path(os.path.normpath(self.folder / context))
        return Build(found, base, base / (dockerfile or "Dockerfile"), bool(dockerfile))

    @cached_property
    def environment(self) -> Mapping[str, Node]:
        """The variables that the file itself sets, with the node that holds the value.

        In the form of a list the node is the whole `KEY=value`.
        """
        found = self.node.get("environment")
        if found is None:
            return {}
        if found.kind == "map":
            return {key: entry.value for key, entry in found.entries.items()}
        pairs = (item for item in found.items if item.kind == "scalar" and "=" in item.text)
        return {item.text.partition("=")[0]: item for item in pairs}

    def value(self, key: str) -> str:
        """What a variable is set to; empty where it is not."""
        node = self.environment.get(key)
        if node is None or node.kind != "scalar":
            return ""
        prefix = f"{key}="
        return node.text.removeprefix(prefix) if node.text.startswith(prefix) else node.text

    @cached_property
    def ports(self) -> tuple[Port, ...]:
        found = self.node.get("ports")
        return tuple(p for item in (found.items if found else ()) for p in _ports(item))

    @cached_property
    def depends_on(self) -> Mapping[str, tuple[str, Node]]:
        """The services it waits for, each with the condition and its node."""
        found = self.node.get("depends_on")
        if found is None:
            return {}
        if found.kind == "list":
            return {item.text: ("service_started", item) for item in found.items}
        return {
            name: (entry.value.string("condition") or "service_started", entry.key)
            for name, entry in found.entries.items()
        }

    @property
    def profiles(self) -> set[str]:
        found = self.node.get("profiles")
        return {item.text for item in found.items} if found else set()

    @cached_property
    def env_files(self) -> tuple[tuple[Node, Path, bool], ...]:
        """The env files: node, path, and whether it must be there."""
        found = self.node.get("env_file")
        if found is None:
            return ()
        items = [found] if found.kind == "scalar" else list(found.items)
        files = []
        for item in items:
            path = item if item.kind == "scalar" else item.get("path")
            needed = item.kind == "scalar" or item.string("required").lower() != "false"
            if path is not None and path.text and not path.unset:
                files.append((path, Path(os.path.normpath(self.folder / path.text)), needed))
        return tuple(files)


_SHORT = re.compile(
    r"(?:(?P<address>\[[^\]]*\]|\d+(?:\.\d+){3}):)?(?:(?P<published>\d+(?:-\d+)?)?:)?"
    r"(?P<target>\d+(?:-\d+)?)(?:/(?P<protocol>\w+))?"
)


def _ports(node: Node) -> Iterator[Port]:
    """The ports of one entry; a range gives each, what can't be told none."""
    if node.kind == "map":
        target, published = node.string("target"), node.string("published")
        if target.isdigit() and (published.isdigit() or not published):
            number = int(published) if published else None
            protocol = node.string("protocol") or "tcp"
            yield Port(node, number, int(target), node.string("host_ip"), protocol)
        return
    found = None if node.unset else _SHORT.fullmatch(node.text)
    if found is None:
        return
    inner = _range(found["target"])
    outer = _range(found["published"]) if found["published"] else [None] * len(inner)
    if len(inner) == 1 and len(outer) > 1:
        return  # one free port of a range
    for number, own in zip(outer, inner, strict=False):
        address, protocol = (found["address"] or "").strip("[]"), found["protocol"] or "tcp"
        yield Port(node, number, own, address, protocol)


def _range(text: str) -> list[int | None]:
    first, _, last = text.partition("-")
    return list(range(int(first), min(int(last or first), int(first) + 1000) + 1))


@dataclass(frozen=True)
class Compose(Fact):
    """The compose file's services. `whole`: whether nothing else adds to what the file says."""

    name: str
    file: File
    root: Node
    services: Mapping[str, Service] = field(default_factory=dict)
    problems: tuple[Problem, ...] = ()
    whole: bool = True

    @classmethod
    def read(cls, text: ComposeText) -> Compose:
        if text.error:
            raise Blocked("DOCK601", f"{text.name} can't be parsed")
        root = text.documents[0] if text.documents else None
        if root is None or root.kind != "map":
            raise Absent(f"{text.name} names no services")
        services = root.get("services")
        folder = text.file.folder
        found = {
            name: Service(name, entry.value, folder)
            for name, entry in (services.entries.items() if services else ())
            if entry.value.kind == "map"
        }
        stem, end = os.path.splitext(text.file.path)
        others = any(os.path.exists(f"{stem}.override{e}") for e in (".yml", ".yaml", end))
        whole = not others and not _MORE.search(text.file.data)
        return cls(text.name, text.file, root, found, text.problems, whole)

    def published(self, port: int) -> Service | None:
        """The service that publishes a port on this machine, where one alone does."""
        found = [s for s in self.services.values() if any(p.published == port for p in s.ports)]
        return found[0] if len(found) == 1 else None
