"""Where the settings classes find their values: the shell, what `load_dotenv` loads, their env files."""

from __future__ import annotations

import ast
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path

from msgspec import Struct, field

from saas_doctor.facts import Fact
from saas_doctor.facts.dotenv import Dotenv, Setting, read_dotenv
from saas_doctor.facts.filepaths import file_path
from saas_doctor.facts.module import Module, dotted_name
from saas_doctor.facts.runs import is_aside
from saas_doctor.facts.setting_fields import SettingField, SettingsClass
from saas_doctor.facts.source import Source
from saas_doctor.model import Place, Unreadable
from saas_doctor.platform import Platform

_LOADS = {"dotenv.load_dotenv", "dotenv.main.load_dotenv"}
_FINDS = {"dotenv.find_dotenv", "dotenv.main.find_dotenv"}


class Text(Struct, frozen=True):
    """What a variable is set to, by which name and where; `place` is None for the shell."""

    key: str
    value: str
    place: Place | None = None
    file: Dotenv | None = None
    setting: Setting | None = None

    @property
    def where(self) -> str:
        return str(self.place) if self.place else f"${self.key} of this shell"


class View(Struct, frozen=True, eq=False):
    """What a settings class sees from one working folder: the shell, what is loaded, its own files."""

    shell: Mapping[str, str]
    loaded: tuple[Dotenv, ...]
    files: tuple[Dotenv, ...]
    groups: dict[tuple[bool, bool], list[list[dict[str, Text]]]] = field(default_factory=dict)

    @property
    def all_files(self) -> tuple[Dotenv, ...]:
        return tuple({file.path: file for file in (*self.files, *self.loaded)}.values())

    def text(
        self, keys: Sequence[str], *, sensitive: bool = True, ignores_empty: bool = False
    ) -> Text | None:
        """What the first of the variables that is set is set to."""

        how = sensitive, ignores_empty
        if how not in self.groups:
            self.groups[how] = self._grouped(sensitive=sensitive, ignores_empty=ignores_empty)
        for group in self.groups[how]:  # one source after the other, each with all names
            for key in keys:
                wanted = key if sensitive else key.lower()
                for texts in group:
                    if wanted in texts:
                        return texts[wanted]
        return None

    def _grouped(self, *, sensitive: bool, ignores_empty: bool) -> list[list[dict[str, Text]]]:
        def folded(texts: Iterable[Text]) -> dict[str, Text]:
            kept = (t for t in texts if t.value or not ignores_empty)
            return {t.key if sensitive else t.key.lower(): t for t in kept}

        shell = folded(Text(key, value) for key, value in self.shell.items())
        # What is loaded never replaces what is there; of a class's own files the last one counts.
        loaded = [folded(_texts(file)) for file in self.loaded]
        return [[shell, *loaded], [folded(_texts(file)) for file in reversed(self.files)]]

    def beginning_with(self, prefix: str) -> bool:
        """Whether any variable of that beginning, in whatever case, is set."""
        names = [*self.shell, *(s.key for f in self.all_files for s in f.settings)]
        return any(name.lower().startswith(prefix.lower()) for name in names)


def _texts(file: Dotenv) -> Iterator[Text]:
    return (Text(s.key, s.value, s.place, file, s) for s in file.settings if not s.bare)


class SettingSources(Fact, frozen=True):
    """Which files each settings class reads, as far as the source tells."""

    platform: Platform
    source: Source
    folders: tuple[Path, ...]
    services: tuple[Path, ...]
    known: dict[tuple[Path, ...], tuple[View, ...]] = field(default_factory=dict)
    read_files: dict[Path, Dotenv | None] = field(default_factory=dict)

    limit = 20.0

    @classmethod
    def read(cls, platform: Platform, source: Source) -> SettingSources:
        config = platform.config
        names = dict.fromkeys([".", config.backend, *config.source_roots])
        services = tuple(platform.path(s.directory) for s in config.services.values())
        return cls(platform, source, tuple(map(platform.path, names)), services)

    def views(self, cls: SettingsClass) -> tuple[View, ...]:
        """What the class sees from each folder that it may be started in; none where that is unclear.

        Folders in which it finds no file are left out where it finds one in others.
        """
        named = self._named(cls)
        return () if named is None else self._views(cls.module, named)

    def absent(self, cls: SettingsClass) -> list[str]:
        """The files that the class names by their whole path and that are not there."""
        named = (path for path in self._named(cls) or () if path.is_absolute())
        paths = (Path(os.path.normpath(path)) for path in named)
        return [self.platform.relative(path) for path in paths if not os.path.isfile(path)]

    def views_of_process(self, module: Module) -> tuple[View, ...]:
        """What the code of a module sees in the environment of its process."""
        return self._views(module, [])

    def _views(self, module: Module, named: Sequence[Path]) -> tuple[View, ...]:
        if self._loads is None:
            return ()
        inside = tuple(f for f in self.services if module.path.is_relative_to(f))
        key = (*named, Path(), *inside, module.root)
        if key not in self.known:
            # Shared code runs in any service, a service's own in that one.
            folders = (*self.folders, *(inside or self.services), module.root)
            self.known[key] = self._seen(named, self._loads, dict.fromkeys(folders))
        return self.known[key]

    def _seen(
        self, named: Sequence[Path], loads: Sequence[Path], folders: Iterable[Path]
    ) -> tuple[View, ...]:
        found: dict[tuple[Path, ...], View] = {}
        try:
            for folder in folders:
                loaded, files = self._there(loads, folder), self._there(named, folder)
                key = (*(f.path for f in loaded), Path(), *(f.path for f in files))
                found.setdefault(key, View(self.platform.environ, loaded, files))
        except Unreadable:
            return ()
        full = [view for view in found.values() if view.all_files]
        return tuple(full or found.values())

    @cached_property
    def example(self) -> Dotenv | None:
        """The example of the settings file that the repository ships."""
        try:
            return self._file(self.platform.path(self.platform.config.env_example))
        except Unreadable:
            return None

    def _named(self, cls: SettingsClass) -> list[Path] | None:
        """The files that its configuration names; None where they can't be told."""
        if cls.env_file is None:
            return []
        module, node = cls.env_file
        items = node.elts if isinstance(node, ast.Tuple | ast.List) else [node]
        items = [i for i in items if not (isinstance(i, ast.Constant) and i.value is None)]
        paths = [file_path(self.source, module, item) for item in items]
        told = [path for path in paths if path is not None]
        return told if len(told) == len(paths) else None

    @property
    def loads_files(self) -> bool:
        """Whether the source loads files that can be told into the environment of its process."""
        return bool(self._loads)

    @property
    def loads_any(self) -> bool:
        """Whether it loads any file, one that can't be told included."""
        return self._loads is None or bool(self._loads)

    def loads(self, path: Path) -> bool:
        """Whether it is this file, and no other, that the source loads into the environment."""
        folders = (*self.folders, *self.services)
        found = {Path(os.path.normpath(f / name)) for name in self._loads or () for f in folders}
        return {file for file in found if os.path.isfile(file)} == {Path(os.path.normpath(path))}

    @cached_property
    def _loads(self) -> list[Path] | None:
        """The files that the source loads into the environment; None where they can't be told."""
        found: list[Path] = []
        for module in self.source.mentioning("load_dotenv"):
            if is_aside(module) or b"load_dotenv(" not in module.data:
                continue
            for call in module.nodes:
                if isinstance(call, ast.Call) and self._is(module, call, _LOADS):
                    path = self._loaded(module, call)
                    if path is None:
                        return None
                    found.append(path)
        return list(dict.fromkeys(found))

    def _is(self, module: Module, call: ast.Call, names: set[str]) -> bool:
        name = dotted_name(call.func)
        return bool(name) and self.source.full_name(module, name) in names

    def _loaded(self, module: Module, call: ast.Call) -> Path | None:
        words = {k.arg: k.value for k in call.keywords}
        if words.keys() - {"dotenv_path", "verbose", "encoding"}:
            return None  # `override`: the file then counts before the shell
        given = call.args[0] if call.args else words.get("dotenv_path")
        if given is None or (isinstance(given, ast.Constant) and given.value is None):
            return self._nearest(module, ".env")
        if isinstance(given, ast.Call) and self._is(module, given, _FINDS):
            if given.keywords or len(given.args) > 1:
                return None
            name = (
                given.args[0].value
                if given.args and isinstance(given.args[0], ast.Constant)
                else ""
            )
            return None if given.args and not name else self._nearest(module, str(name or ".env"))
        return file_path(self.source, module, given)

    def _nearest(self, module: Module, name: str) -> Path:
        """The file as python-dotenv looks for it: beside the module that asks, then upwards."""
        above = [f for f in module.path.parents if f.is_relative_to(self.platform.root)]
        found = next((f / name for f in above if os.path.isfile(f / name)), None)
        return found or self.platform.root / name

    def _there(self, names: Sequence[Path], folder: Path) -> tuple[Dotenv, ...]:
        files = (self._file(Path(os.path.normpath(folder / name))) for name in names)
        return tuple(file for file in files if file is not None)

    def _file(self, path: Path) -> Dotenv | None:
        if path not in self.read_files:
            self.read_files[path] = (
                read_dotenv(path, self.platform) if os.path.isfile(path) else None
            )
        return self.read_files[path]


def shared(texts: Sequence[Text | None]) -> Text | None:
    """A text that is seen from every folder; where two files give it, the first one's."""
    found = [text for text in texts if text is not None]
    same = len({text.value for text in found}) == 1
    return found[0] if found and same and len(found) == len(texts) else None


def text_of(view: View, cls: SettingsClass, wanted: SettingField) -> Text | None:
    """What sets a field, as the class looks for it."""
    empty = cls.ignores_empty
    return view.text(wanted.keys or (), sensitive=cls.sensitive, ignores_empty=empty)


def sets_field(view: View, cls: SettingsClass, wanted: SettingField) -> bool:
    """Whether anything sets a field, or a part of one that is nested."""
    nested = cls.delimiter and wanted.type.kind in ("map", "")
    return text_of(view, cls, wanted) is not None or bool(
        nested and any(view.beginning_with(key + cls.delimiter) for key in wanted.keys or ())
    )
