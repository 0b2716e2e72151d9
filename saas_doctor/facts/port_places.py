"""Where a service's port is written, and the edits that move it to another with all that leads there."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

from saas_doctor import config as configuration
from saas_doctor.actions.files import EditFile
from saas_doctor.compose.edit import replaced
from saas_doctor.compose.model import Service
from saas_doctor.compose.nodes import Node
from saas_doctor.edits import Edit, apply_edits
from saas_doctor.facts import Fact
from saas_doctor.facts.addresses import Address
from saas_doctor.facts.commandlines import CommandLine, CommandLines
from saas_doctor.facts.compose import Compose
from saas_doctor.facts.dotenv import EnvFile
from saas_doctor.facts.local_urls import LocalUrls
from saas_doctor.facts.module import Module
from saas_doctor.facts.source import Source
from saas_doctor.model import Absent, Place
from saas_doctor.platform import Platform

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

_IN_CONTAINERS = re.compile(r"dockerfile|compose", re.I)
_ENTRIES = ("run.py", "main.py", "__main__.py", "app.py", "server.py")


class PortPlaces(Fact, frozen=True):
    """The places that say a service's port: settings, code, scripts, compose file, configuration."""

    platform: Platform
    env: EnvFile
    source: Source
    lines: CommandLines
    compose: Compose
    urls: LocalUrls

    limit = 10.0

    @classmethod
    def read(
        cls,
        platform: Platform,
        env: EnvFile,
        source: Source,
        lines: CommandLines,
        compose: Compose,
        urls: LocalUrls,
    ) -> PortPlaces:
        return cls(platform, env, source, lines, compose, urls)

    def moved(self, address: Address, new: int, *, alone: bool = True) -> list[EditFile]:
        """The edits, one a file, that give a service another port.

        Raises Absent where not all can be made. `alone`: whether what leads to its port leads to it,
        and to no other service.
        """
        edits = [*self._numbers(address, new)]
        if not edits:
            raise Absent(f"where {address.service} gets its port from can't be told")
        edits += self._in_configuration(address, new)
        edits += self.urls.moved(address.port, new) if alone else ()
        edits += self._published(address, new)
        files: dict[Path, EditFile] = {}
        for edit in edits:
            files[edit.path] = files[edit.path].merge(edit) if edit.path in files else edit
        return list(files.values())

    def _numbers(self, address: Address, new: int) -> Iterator[EditFile]:
        """What the service itself takes its port from."""
        if address.variable:
            if address.variable in self.platform.environ:
                raise Absent(f"{address.variable} is set in this shell; change it there")
            if address.variable in self._containers_get(address.service):
                raise Absent(f"{self.env.name} sets the port in the container as well")
            written = re.search(rb"(?m)^[ \t]*%s=" % address.variable.encode(), self.env.file.data)
            if written and self.env.file.find(address.variable) is None:
                raise Absent(
                    f"{address.variable} stands inside of another value in {self.env.name}"
                )
            yield self.env.file.set(address.variable, str(new))
        code = [*self._in_code(address, new)]
        if code and not address.variable and not self._starts_by_option(address.service):
            raise Absent(f"the port of {address.service} in its code is its container's as well")
        yield from code
        yield from self._in_commands(address, new)

    def _in_code(self, address: Address, new: int) -> Iterator[EditFile]:
        """The number in the file that starts the service, where it stands there once."""
        folder = self.platform.path(self.platform.config.services[address.service].directory)
        found: list[tuple[Module, ast.Constant]] = []
        for module in self.source.mentioning(str(address.port)):
            if module.path.parent == folder and module.path.name in _ENTRIES:
                found += [(module, node) for node in _ports_in(module, address.port)]
        if len(found) > 1:
            places = ", ".join(str(module.place(node)) for module, node in found)
            raise Absent(f"port {address.port} stands in several places: {places}")
        for module, node in found:
            start = module.offset(node.lineno, node.col_offset)
            end = module.offset(node.end_lineno or 0, node.end_col_offset or 0)
            text = module.data[start:end].replace(b"%d" % address.port, b"%d" % new)
            yield module.edited([Edit(start, end, text)], f"port {new}")

    def _in_commands(self, address: Address, new: int) -> Iterator[EditFile]:
        """`--port` in the scripts that start it on this machine."""
        option = re.compile(rb"(--port[ =]|-p |:)(%d)\b" % address.port)
        for line in self.lines.found:
            outside = not line.service and not _IN_CONTAINERS.search(line.place.path)
            if outside and self._starts(line, address.service) and line.place.line:
                path = self.platform.path(line.place.path)
                data = path.read_bytes()
                start = sum(map(len, data.splitlines(keepends=True)[: line.place.line - 1]))
                found = option.search(data, start, data.find(b"\n", start) % (len(data) + 1))
                if found:
                    edit = Edit(found.start(2), found.end(2), str(new).encode())
                    yield EditFile(path, line.place.path, data, (edit,), (f"port {new}",))

    def _starts(self, line: CommandLine, service: str) -> bool:
        folder = self.platform.path(self.platform.config.services[service].directory)
        return line.folder == folder or any(
            word.startswith((f"{folder.name}.", f"{folder.name}:")) for word in line.words
        )

    def _in_configuration(self, address: Address, new: int) -> Iterator[EditFile]:
        """The number in `saas-doctor.toml`, where that says it."""
        file = self.platform.config_file
        table = configuration.load(self.platform.root, file)[0] if file else {}
        if table.get("services", {}).get(address.service, {}).get("port") != address.port:
            return
        assert file
        data = file.read_bytes()
        number = re.compile(rb"(?m)^[ \t]*port[ \t]*=[ \t]*(%d)\b" % address.port)
        for found in number.finditer(data):
            edit = Edit(found.start(1), found.end(1), str(new).encode())
            after = tomllib.loads(apply_edits(data, (edit,)).decode())
            after = after.get("tool", {}).get("saas-doctor", after)
            if after["services"][address.service].get("port") == new:
                name = self.platform.relative(file)
                yield EditFile(file, name, data, (edit,), (f"port {new}",))
                return
        raise Absent(f"the port of {address.service} in {self.platform.relative(file)}")

    # The compose file: the container's own port stays, its port of this machine moves.

    def _published(self, address: Address, new: int) -> Iterator[EditFile]:
        for service in self.compose.known_services.values():
            for port in service.ports:
                if address.port in port.numbers and port.protocol == "tcp":
                    yield _with_published(port.node, address.port, new)

    def _containers_get(self, service: str) -> set[str]:
        """The variables that a container of the service gets from the settings file."""
        found = self.compose.known_services.get(service)
        if found is None:
            return set()
        places = {v.name: v.place for v in found.environment.values() if not v.given}
        return {name for name, place in places.items() if place.path == self.env.name}

    def _starts_by_option(self, name: str) -> bool:
        """Whether the service's container, if there is one, gets its port by a command's option."""
        service = self.compose.known_services.get(name)
        return service is None or _names_port(service)


def _names_port(service: Service) -> bool:
    parts = [service.node.get(key) for key in ("command", "entrypoint")]
    if any("port" in scalar.text for part in parts if part for scalar in part.scalars):
        return True
    build = service.build
    try:
        file = build.dockerfile if build else None
        return file is not None and b"--port" in file.read_bytes()
    except OSError:
        return False


def _ports_in(module: Module, port: int) -> Iterator[ast.Constant]:
    """The constants of a module that are the port, as a number or as a text."""
    for node in module.nodes:
        if isinstance(node, ast.Constant) and str(node.value) == str(port):
            yield node


def _with_published(node: Node, port: int, new: int) -> EditFile:
    """The edit of one entry of `ports`: `8002:8002` becomes `18002:8002`."""
    where: Place = node.place
    if node.kind == "map":
        inner = node.get("published")
        found = re.search(rf"\b{port}\b", inner.source) if inner else None
    else:
        inner = node
        found = re.search(rf"(?<![\d.]){port}(?=\}}?:\d+(?:/tcp)?[\"']?$)", node.source)
    edit = None
    if inner and found:
        at = inner.start + found.start()
        edit = replaced(inner.file, at, at + len(str(port)), str(new), f"port {new}")
    if edit is None:
        raise Absent(f"the port at {where} is put together; change it by hand")
    return edit
