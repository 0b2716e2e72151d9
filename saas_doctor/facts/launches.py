"""The ways to start each service, and what becomes of its imports in each."""

from __future__ import annotations

import ast
import os
import re
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path

from msgspec import Struct

from saas_doctor.edits import Edit
from saas_doctor.facts import Fact
from saas_doctor.facts.importing import Failure, Run
from saas_doctor.facts.imports import Imports
from saas_doctor.facts.module import Module
from saas_doctor.facts.notes import Notes
from saas_doctor.facts.outline import Import
from saas_doctor.facts.search_path import line_for
from saas_doctor.model import Place
from saas_doctor.platform import Platform
from saas_doctor.reading import read_text

_APP = re.compile(rb"""["']([A-Za-z_][\w.]*):[A-Za-z_]\w*["']""")
_UVICORN = re.compile(rb"""\buvicorn\.run\(\s*["']([A-Za-z_][\w.]*):""")
_MAPPING = re.compile(r"^MAPPING[^=\n]*=\s*(\{.*?\})\s*$", re.M | re.S)


class Way(Struct, frozen=True):
    """One way to start a service: `path` is where imports begin, `command` how it is typed.

    `kind`: "script" (`python run.py`), "module" (by its full name, from a root) or "folder" (from
    the service's own folder). `run`: what became of it.
    """

    kind: str
    service: str
    command: str
    path: tuple[str, ...]
    run: Run

    @property
    def works(self) -> bool:
        return not (self.run.failure or self.run.untold)


class Unstartable(Struct, frozen=True):
    """A service that does not start in this way.

    `written`: where it is said to be started so. `works`: the command of a way that works;
    `unclear`: whether there is another way of which that can't be told.
    """

    service: str
    way: Way
    written: Place | None
    works: str
    unclear: bool

    @property
    def missing(self) -> Failure:
        assert self.way.run.failure
        return self.way.run.failure


class Launches(Fact, frozen=True):
    """The ways to start each service; each question is looked up when it is asked."""

    platform: Platform
    imports: Imports

    limit = 20.0

    @classmethod
    def read(cls, platform: Platform, imports: Imports) -> Launches:
        return cls(platform, imports)

    @cached_property
    def ways(self) -> tuple[Way, ...]:
        return tuple(
            way
            for name, service in self.platform.config.services.items()
            for way in self._ways(name, str(self.platform.path(service.directory)))
        )

    def of(self, service: str) -> list[Way]:
        return [way for way in self.ways if way.service == service]

    def _ways(self, service: str, folder: str) -> Iterator[Way]:
        script = self.imports.files.get(f"{folder}/run")
        if script is not None:
            run = self.tried((folder,), script)
            yield Way(
                "script", service, f"cd {self._name(folder)} && python run.py", (folder,), run
            )
        if f"{folder}/main" not in self.imports.files:
            return
        for root in self.imports.roots:
            if folder.startswith(f"{root}/"):
                dotted = f"{folder[len(root) + 1 :].replace('/', '.')}.main"
                command = f"cd {self._name(root)} && python -m uvicorn {dotted}:app"
                yield Way("module", service, command, (root,), self.tried((root,), dotted))
        command = f"cd {self._name(folder)} && python -m uvicorn main:app"
        yield Way("folder", service, command, (folder,), self.tried((folder,), "main"))

    def _name(self, folder: str) -> str:
        return self.platform.relative(Path(folder))

    def tried(self, path: tuple[str, ...], start: Module | str) -> Run:
        """What becomes of a start: by the text, and where that fails, surely by the trees."""
        run = self._run(path, start, exact=False, maybe=True)
        if run.failure is None:
            return run
        run = self._run(path, start, exact=True, maybe=True)
        other = self._run(path, start, exact=True, maybe=False)
        if run.failure and run.failure == other.failure:
            return run
        # It depends on what may or may not be executed.
        run.untold, run.failure = run.untold or bool(run.failure or other.failure), None
        return run

    def _run(self, path: tuple[str, ...], start: Module | str, *, exact: bool, maybe: bool) -> Run:
        before, after = self.more_path
        run = Run(self.imports, [path[0], *before, *path[1:], *after], exact, maybe, set(after))
        if isinstance(start, str):
            run.load(start)
            return run
        run.script(start)
        for dotted in _APP.findall(start.data) if not run.failure and not run.untold else []:
            if not run.load(dotted.decode()):
                run.failure = run.failure or self._not_found(start, dotted.decode())
        return run

    def _not_found(self, script: Module, dotted: str) -> Failure | None:
        """The app that uvicorn is told by its name and can't import, from where the script lies."""
        foreign = self.imports.foreign(dotted.partition(".")[0])
        if foreign or b"app_dir" in script.data or not self.imports.anywhere(dotted):
            return None
        for found in _UVICORN.finditer(script.data):
            if found[1].decode() == dotted:
                line = script.data.count(b"\n", 0, found.start()) + 1
                return Failure("missing", script, Import(line, dotted), dotted)
        return None

    @cached_property
    def more_path(self) -> tuple[list[str], list[str]]:
        """Where else imports begin: `$PYTHONPATH`, and what the environment's `.pth` files add."""
        variable = self.platform.environ.get("PYTHONPATH", "")
        before = [os.path.normpath(p) for p in variable.split(os.pathsep) if os.path.isabs(p)]
        after: list[str] = []
        site = self.imports.site
        for file in sorted(site.glob("*.pth")) if site else ():
            for line in _text(file).splitlines():
                folder = os.path.normpath(file.parent / line.strip())
                if line.strip() and not line.startswith(("import ", "import\t", "#")):
                    after += [folder] if os.path.isdir(folder) else []
        for file in sorted(site.glob("__editable__*_finder.py")) if site else ():
            found = _MAPPING.search(_text(file))
            try:
                mapping = ast.literal_eval(found[1]) if found else {}
            except (ValueError, SyntaxError):
                mapping = {}
            after += [os.path.dirname(str(path)) for path in mapping.values()]
        return before, after

    # What is wrong with them.

    @cached_property
    def unstartable(self) -> tuple[Unstartable, ...]:
        """The services whose imports are not found in the way, or in any, that they are started."""
        services = self.platform.config.services
        return tuple(found for name in services for found in self._unstartable(name))

    def _unstartable(self, service: str) -> Iterator[Unstartable]:
        ways = self.of(service)
        failing = [way for way in ways if way.run.failure and way.run.failure.kind != "circular"]
        if not failing or (failing[0].kind != "script" and len(failing) < len(ways)):
            return
        first, others = failing[0], [way for way in ways if way not in failing]
        if self.written(r"\bPYTHONPATH\b"):
            return
        written = self.starts_script(service) if first.kind == "script" else None
        if written or not self.starts_otherwise(service):
            works = next((way.command for way in others if way.works), "")
            yield Unstartable(service, first, written, works, bool(others) and not works)

    @cached_property
    def circles(self) -> tuple[Way, ...]:
        """The services that no way starts, since their modules import each other in a circle."""
        found: list[Way] = []
        for service in self.platform.config.services:
            ways = [
                w for w in self.of(service) if not w.run.failure or w.run.failure.kind == "circular"
            ]
            if ways and all(way.run.failure for way in ways):
                found.append(ways[0])
        return tuple(found)

    def place(self, failure: Failure) -> Place:
        """Where the import that fails stands."""
        node = failure.statement.node
        return (
            failure.module.place(node) if node else Place(failure.module.name, failure.statement.at)
        )

    def base_of(self, failure: Failure) -> Path | None:
        """The folder that the module's full name begins in."""
        steps = failure.full.count(".") + 1
        paths = sorted(self.imports.anywhere(failure.full), key=lambda path: path.count("/"))
        good = [path for path in paths if failure.kind == "missing"]
        return Path(good[0]).parents[steps - 1] if good else None

    def script_of(self, service: Unstartable) -> str:
        """The name of the script that the service is started by; none for another way."""
        script = self.imports.files.get(f"{service.way.path[0]}/run")
        return script.name if script and service.way.kind == "script" else ""

    def insertion(self, service: Unstartable) -> tuple[Module, Edit] | None:
        """The edit of a script that puts the folder on `sys.path` before its first local import."""
        base = self.base_of(service.missing)
        script = self.imports.files.get(f"{service.way.path[0]}/run")
        if base is None or script is None or service.way.kind != "script" or not script.body:
            return None
        local = {top for top in self.imports.endings if not self.imports.foreign(top)}
        return script, line_for(script, base, local)

    # How they are really started.

    @cached_property
    def notes(self) -> Notes:
        return Notes(self.platform)

    def written(self, pattern: str) -> Place | None:
        """Where such a command is written down."""
        return self.notes.written(pattern)

    def starts_script(self, service: str) -> Place | None:
        """Where it is written that the service is started by `python .../run.py`."""
        path = Path(self.platform.config.services[service].directory)
        name, parent = re.escape(path.name), re.escape(path.parent.name)
        # The folder by its name, or by a variable below the folder that it lies in.
        variable = r"(?:\$\{?\w+\}?|%\w+%)"
        where = rf"(?:(?:\S*[/\\])?{name}|(?:(?:\S*[/\\])?{parent}[/\\])?{variable})"
        python = r"\bpython[\d.]*(?:\.exe)?(?:\s+-[A-Za-z]+)*\s+"
        enter = rf"(?:cd|pushd|WORKDIR)\s+{where}[/\\]?\s*(?:&&|;|\n)"
        return self.written(rf"{python}{where}[/\\]run\.py\b") or self.written(
            rf"{enter}(?:[^\n]*\n){{0,12}}?[^\n]*{python}(?:\./)?run\.py\b"
        )

    def starts_otherwise(self, service: str) -> Place | None:
        """Where another way is written, or where imports begin is set."""
        folder = re.escape(Path(self.platform.config.services[service].directory).name)
        return (
            self.written(r"\bPYTHONPATH\b")
            or self.written(rf"-m\s+(?:[\w.]+\.)?{folder}\.\w+")
            or self.written(rf"\b{folder}\.main:\w+")
            or self.written(r"(?:--app-dir|--chdir)\b")
        )


def _text(file: Path) -> str:
    try:
        return read_text(file)
    except OSError:
        return ""
