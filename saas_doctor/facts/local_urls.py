"""Where the platform's files write an address of this machine with a port, and the edits that move it."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from saas_doctor.actions.files import EditFile
from saas_doctor.edits import Edit
from saas_doctor.facts import Fact, Facts
from saas_doctor.facts.dotenv import Dotenv, EnvFile, Settings, read_dotenv
from saas_doctor.facts.frontend import FrontendSource
from saas_doctor.facts.module import Module
from saas_doctor.facts.runs import is_aside
from saas_doctor.facts.source import Source
from saas_doctor.facts.vite import ViteConfig
from saas_doctor.model import Absent
from saas_doctor.platform import Platform

_LOCAL = r"(?:localhost|127(?:\.\d+){3}|0\.0\.0\.0|\[::1?\])"
_SCRIPTS = re.compile(
    r"\.(sh|bash|ps1|bat|cmd|mk|conf|http|rest)$|^(makefile|justfile|procfile)", re.I
)
_FOLDERS = (".", "scripts", "bin", "deploy", "nginx", "ops")
_FRONTEND_ENV = (".env", ".env.local", ".env.development", ".env.development.local")
_COMMENT = re.compile(r"(?<!:)//[^\n]*|/\*.*?\*/", re.S)
_MAXIMUM = 300_000


def url_at(port: int) -> re.Pattern[str]:
    """An address of this machine at a port; group 1 is the number."""
    return re.compile(rf"(?<![\w.-]){_LOCAL}:({port})(?!\d)", re.I)


class LocalUrls(Fact, frozen=True):
    """The addresses of this machine in settings, code, scripts and the front end's configuration."""

    platform: Platform
    settings: Settings
    env: EnvFile
    source: Source
    facts: Facts

    limit = 10.0

    @classmethod
    def read(
        cls, platform: Platform, settings: Settings, env: EnvFile, source: Source, facts: Facts
    ) -> LocalUrls:
        return cls(platform, settings, env, source, facts)

    def moved(self, port: int, new: int) -> Iterator[EditFile]:
        """The edits that lead all of them from one port to another.

        Raises Absent where one of them stands where no edit of a file reaches it.
        """
        here = url_at(port)
        shell = [k for k, p in self.settings.places.items() if p is None]
        for key in shell:
            if here.search(self.settings.values[key]):
                raise Absent(f"{key} in this shell leads to port {port}; change it there")
        if self.env.there:
            yield from _in_dotenv(self.env.there, here, new)
        yield from self._in_code(here, port, new)
        yield from self._in_scripts(here, new)
        yield from self._in_frontend(here, port, new)

    def _in_code(self, here: re.Pattern[str], port: int, new: int) -> Iterator[EditFile]:
        set_keys = set(self.settings.values)
        for module in self.source.mentioning(str(port)):
            if is_aside(module):
                continue
            edits = [
                _replaced(module, node, here, new)
                for node in module.nodes
                if isinstance(node, ast.Constant)
                and isinstance(node.value, str)
                and here.search(node.value)
                and not _default_of(module, node) & set_keys
                and not _is_text(module, node)
            ]
            if edits:
                yield module.edited(edits, f"port {new}")

    def _in_scripts(self, here: re.Pattern[str], new: int) -> Iterator[EditFile]:
        roots = dict.fromkeys(
            [self.platform.root, self.platform.path(self.platform.config.backend)]
        )
        for folder in dict.fromkeys(root / name for root in roots for name in _FOLDERS):
            for path in sorted(folder.iterdir()) if folder.is_dir() else ():
                if _SCRIPTS.search(path.name):
                    yield from in_text(path, self.platform.relative(path), here, new)

    def _in_frontend(self, here: re.Pattern[str], port: int, new: int) -> Iterator[EditFile]:
        """In its `.env` files, its source and the dev server's proxy."""
        frontend = self.platform.config.frontend
        if frontend is None:
            return
        for name in _FRONTEND_ENV:
            path = self.platform.path(frontend.directory) / name
            file = read_dotenv(path, self.platform) if path != self.env.path else None
            if file:
                yield from _in_dotenv(file, here, new)
        for source in self.facts.get(FrontendSource).files:
            yield from in_text(source.path, source.name, here, new)
        try:
            vite = self.facts.get(ViteConfig)
        except Absent:
            return
        entries = [e for e in vite.entries or () if e.target and here.search(e.target)]
        # What is not one of the entries may be another way to the same place.
        text = _COMMENT.sub("", vite.data.decode("utf-8", "replace"))
        if len(here.findall(text)) > len(entries):
            raise Absent(f"{vite.name} names port {port} in another place than its proxy")
        for entry in entries:
            yield vite.with_target(entry, _with(entry.target or "", here, new))


def _with(text: str, here: re.Pattern[str], new: int) -> str:
    return here.sub(lambda m: f"{m[0][: m.start(1) - m.start()]}{new}", text)


def _in_dotenv(file: Dotenv, here: re.Pattern[str], new: int) -> Iterator[EditFile]:
    edits: list[Edit] = []
    keys: list[str] = []
    for setting in file.settings:
        written = file.data[setting.start : setting.end].decode()
        if here.search(written):
            edits.append(Edit(setting.start, setting.end, _with(written, here, new).encode()))
            keys.append(setting.key)
    if edits:
        yield EditFile(file.path, file.name, file.data, tuple(edits), tuple(dict.fromkeys(keys)))


def in_text(path: Path, name: str, here: re.Pattern[str], new: int) -> Iterator[EditFile]:
    """The edit of any text file that leads each such address to another port, if there is one."""
    try:
        data = path.read_bytes() if path.is_file() and path.stat().st_size < _MAXIMUM else b""
        text = data.decode()
    except (OSError, UnicodeDecodeError):
        return
    if here.search(text):
        found = re.compile(here.pattern.encode(), re.I).finditer(data)
        edits = tuple(Edit(m.start(1), m.end(1), str(new).encode()) for m in found)
        yield EditFile(path, name, data, edits, (f"port {new}",))


def _replaced(module: Module, node: ast.Constant, here: re.Pattern[str], new: int) -> Edit:
    start = module.offset(node.lineno, node.col_offset)
    end = module.offset(node.end_lineno or 0, node.end_col_offset or 0)
    text = module.data[start:end].decode("utf-8", "replace")
    if not here.search(text):
        raise Absent(f"{module.place(node)} leads there in parts; change it by hand")
    return Edit(start, end, _with(text, here, new).encode())


def _default_of(module: Module, node: ast.AST) -> set[str]:
    """The variables that it is the default of, which count before it: `KEY: str = "..."`."""
    for outer in module.around(node):
        if isinstance(outer, ast.AnnAssign | ast.Assign):
            targets = [outer.target] if isinstance(outer, ast.AnnAssign) else outer.targets
            return {t.id.upper() for t in targets if isinstance(t, ast.Name)}
        if isinstance(outer, ast.Call):
            first = outer.args[0] if outer.args else None
            if isinstance(first, ast.Constant) and isinstance(first.value, str):
                return {first.value.upper()}
        if isinstance(outer, ast.stmt):
            break
    return set()


def _is_text(module: Module, node: ast.AST) -> bool:
    """Whether it stands by itself: a docstring."""
    return isinstance(next(module.around(node), None), ast.Expr)
