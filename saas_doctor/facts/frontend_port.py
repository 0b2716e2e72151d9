"""Where the port of the front end's dev server is written, and the edits that move it with what leads there."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from saas_doctor.actions.files import EditFile
from saas_doctor.compose.edit import replaced
from saas_doctor.discovery import SCRIPT_PORT
from saas_doctor.edits import Edit
from saas_doctor.facts import Fact, Facts
from saas_doctor.facts.compose import Compose
from saas_doctor.facts.javascript import parse, property_of, text_of
from saas_doctor.facts.local_urls import LocalUrls, in_text, url_at
from saas_doctor.facts.vite import ViteConfig
from saas_doctor.facts.vite_objects import Reader
from saas_doctor.model import Absent, Blocked, Unreadable
from saas_doctor.platform import Platform
from saas_doctor.reading import read_bytes

_DEV = re.compile(rb'"dev"\s*:\s*"[^"\\]*?(?<![\w-])vite(?![\w-])')


class FrontendPort(Fact, frozen=True):
    """The places that say the dev server's port: its script, its configuration, who lets it call."""

    platform: Platform
    urls: LocalUrls
    facts: Facts

    limit = 10.0

    @classmethod
    def read(cls, platform: Platform, urls: LocalUrls, facts: Facts) -> FrontendPort:
        if platform.config.frontend is None:
            raise Absent("no front end is configured")
        return cls(platform, urls, facts)

    def moved(self, port: int, new: int) -> list[EditFile]:
        """The edits, one a file, that give it another port; raises Absent where not all can be made."""
        edits = [*self._in_script(port, new), *self._in_vite(port, new)]
        edits = edits or [*self._as_option(new)]
        if not edits:
            raise Absent("where the front end gets its port from can't be told")
        edits += self._in_configuration(port, new)
        edits += self.urls.moved(port, new)
        edits += self._in_compose(port, new)
        files: dict[Path, EditFile] = {}
        for edit in edits:
            files[edit.path] = files[edit.path].merge(edit) if edit.path in files else edit
        return list(files.values())

    def _package(self) -> tuple[Path, str, bytes]:
        assert self.platform.config.frontend
        path = self.platform.path(self.platform.config.frontend.directory) / "package.json"
        name = self.platform.relative(path)
        try:
            return path, name, read_bytes(path)
        except OSError as error:
            raise Absent(f"{name}: can't be read ({error.strerror})") from None

    def _in_script(self, port: int, new: int) -> Iterator[EditFile]:
        path, name, data = self._package()
        found = SCRIPT_PORT.search(data)
        if found and int(found.group(1)) == port:
            edit = Edit(found.start(1), found.end(1), str(new).encode())
            yield EditFile(path, name, data, (edit,), (f"port {new}",))

    def _in_vite(self, port: int, new: int) -> Iterator[EditFile]:
        try:
            vite = self.facts.get(ViteConfig)
        except Absent:
            return
        reader = Reader(parse(vite.name, vite.data))
        for part in reader.inside(reader.configuration(), "server"):
            number = property_of(part, "port")
            if number is not None and text_of(number) == str(port):
                edit = Edit(number.start_byte, number.end_byte, str(new).encode())
                yield EditFile(vite.path, vite.name, vite.data, (edit,), (f"port {new}",))

    def _as_option(self, new: int) -> Iterator[EditFile]:
        """Where nothing says it, it is Vite's own; the script then names another."""
        path, name, data = self._package()
        found = _DEV.search(data)
        if found and not SCRIPT_PORT.search(data):
            edit = Edit(found.end(), found.end(), b" --port %d" % new)
            yield EditFile(path, name, data, (edit,), (f"port {new}",))

    def _in_configuration(self, port: int, new: int) -> Iterator[EditFile]:
        file = self.platform.config_file
        if file:
            yield from in_text(file, self.platform.relative(file), url_at(port), new)

    def _in_compose(self, port: int, new: int) -> Iterator[EditFile]:
        """What the containers are told of it: `CORS_ORIGINS`."""
        try:
            services = self.facts.get(Compose).known_services.values()
        except (Absent, Blocked, Unreadable):
            return
        seen: set[tuple[str, int]] = set()
        for service in services:
            environment = service.node.get("environment")
            for scalar in environment.scalars if environment else ():
                for found in url_at(port).finditer(scalar.source):
                    at = scalar.start + found.start(1)
                    if (scalar.file.name, at) in seen:
                        continue  # shared by an anchor
                    seen.add((scalar.file.name, at))
                    end = at + len(found.group(1))
                    edit = replaced(scalar.file, at, end, str(new), f"port {new}")
                    if edit is None:
                        raise Absent(f"the address at {scalar.place} can't be changed by an edit")
                    yield edit
