"""How many processes each application of the platform runs in, at most."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path

from msgspec import Struct

from saas_doctor.facts import Fact
from saas_doctor.facts.applications import is_application
from saas_doctor.facts.module import Module
from saas_doctor.facts.reach import Reach
from saas_doctor.facts.scopes import given
from saas_doctor.facts.servers import Servers, Start
from saas_doctor.facts.source import Source
from saas_doctor.platform import Platform


class Application(Struct, frozen=True):
    """An application's module, the processes that it runs in, and the starts that say so."""

    module: Module
    processes: int
    starts: tuple[Start, ...] = ()

    @property
    def shown(self) -> str:
        """In words: its processes, and what says that it has more than one."""
        where = f" ({', '.join(str(s.place) for s in self.starts)})" if self.starts else ""
        return f"{self.module.name}: {self.processes}{where}"


class Processes(Fact, frozen=True):
    """The applications that servers run, each with its processes: workers times containers.

    Where several files start one, those that start the most count; a number that can't be told
    counts as one.
    """

    platform: Platform
    source: Source
    servers: Servers
    reach: Reach

    limit = 20.0

    @classmethod
    def read(cls, platform: Platform, source: Source, servers: Servers, reach: Reach) -> Processes:
        return cls(platform, source, servers, reach)

    @cached_property
    def applications(self) -> tuple[Application, ...]:
        starts: dict[Path, list[Start]] = {}
        modules = {module.path: module for module in self.source.modules}
        for start in self.servers.starts:
            module = self.servers.application(start) or self._home(start)
            if module:
                starts.setdefault(module.path, []).append(start)
        together = {m.path for path in starts for m in self.reach.of(modules[path])}
        for service in self.platform.config.services.values():
            main = self.platform.path(service.directory) / "main.py"
            if main in modules and main not in together:
                starts[main] = []
        return tuple(_counted(modules[path], found) for path, found in starts.items())

    def _home(self, start: Start) -> Module | None:
        """The module that makes the application which `uvicorn.run` is given itself."""
        if start.app or start.module is None or start.given is None:
            return None
        if not is_application(self.source, start.module, start.given):
            return None
        found = None
        if isinstance(start.given, ast.Name | ast.Attribute):
            scope = start.module.scope_of(start.given)
            found = given(self.source, scope, start.given)
        return found.scope.module if found else start.module

    def with_module(self, module: Module) -> Iterator[Application]:
        """The applications that a module comes with."""
        for application in self.applications:
            if any(m.path == module.path for m in self.reach.of(application.module)):
                yield application


def _counted(module: Module, starts: list[Start]) -> Application:
    in_compose = [s for s in starts if s.service]
    others = [s for s in starts if not s.service]
    together = sum(_processes(s) for s in in_compose)
    most = max(others, key=_processes, default=None)
    if most is not None and _processes(most) > together:
        return Application(module, _processes(most), (most,) if _processes(most) > 1 else ())
    several = tuple(in_compose) if together > 1 else ()
    return Application(module, max(1, together), several)


def _processes(start: Start) -> int:
    # Reloading wins over workers.
    workers = 1 if start.reload and start.how != "gunicorn" else start.workers or 1
    return workers * start.replicas
