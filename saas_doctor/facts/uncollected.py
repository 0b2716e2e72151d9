"""Tests that a bare `pytest` can't import, since it does not look where the platform's modules are."""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path

from msgspec import Struct

from saas_doctor.facts import Fact
from saas_doctor.facts.imports import Imports
from saas_doctor.facts.launches import Launches
from saas_doctor.facts.module import Module
from saas_doctor.facts.search_path import changes
from saas_doctor.model import Place
from saas_doctor.reading import read_text

_SETTINGS = ("pytest.ini", ".pytest.ini", "pyproject.toml", "tox.ini", "setup.cfg")
_OPEN = ("pythonpath", "import-mode", "rootdir", "python_paths", "-p ", "confcutdir")


class Unseen(Struct, frozen=True):
    """A test module whose import of `full`, which lies in `root`, pytest does not find."""

    module: Module
    place: Place
    full: str
    root: Path
    path: tuple[str, ...]


class Uncollected(Fact, frozen=True):
    """The test modules that a bare `pytest` can't import; one for each root."""

    imports: Imports
    launches: Launches

    limit = 20.0

    @classmethod
    def read(cls, imports: Imports, launches: Launches) -> Uncollected:
        return cls(imports, launches)

    @cached_property
    def found(self) -> tuple[Unseen, ...]:
        # Without the environment it is not known what is installed in it.
        if "pytest" not in self.imports.installed:
            return ()
        unseen: dict[Path, Unseen] = {}
        for module in self.imports.source.modules:
            name = module.path.name
            if module.root not in unseen and (
                name.startswith("test_") or name.endswith("_test.py")
            ):
                for one in self._unseen(module):
                    unseen.setdefault(module.root, one)
        return tuple(one for root, one in unseen.items() if not self._is_settled(root))

    def _unseen(self, module: Module) -> Iterator[Unseen]:
        root, folder = str(module.root), str(module.path.parent)
        before, after = self.launches.more_path
        path = [*before, *after]
        while folder.startswith(root):
            conftest = self.imports.files.get(f"{folder}/conftest")
            if conftest is not None:
                if changes(conftest):
                    return
                path.append(self._inserted(folder))
            folder = os.path.dirname(folder)
        path.append(self._inserted(str(module.path.parent)))
        if changes(module):
            return
        for statement in self.imports.text(module).imports:
            top = statement.origin.partition(".")[0]
            if not top or self.imports.foreign(top) or not self.imports.has(root, top):
                continue
            if any(os.path.lexists(f"{base}/{top}{end}") for base in path for end in ("", ".py")):
                continue
            for node in module.body:
                line = getattr(node, "lineno", 0)
                if line == module.data.count(b"\n", 0, statement.at) + 1:
                    shown = tuple(self.launches.platform.relative(Path(p)) for p in path)
                    place = module.place(node)
                    yield Unseen(module, place, top, module.root, tuple(dict.fromkeys(shown)))

    def _inserted(self, folder: str) -> str:
        """What pytest puts on the path: the first folder upwards that no import can name as a package."""
        while (
            os.path.basename(folder).isidentifier()
            and folder in self.imports.files
            and self.imports.files[folder].is_package
        ):
            folder = os.path.dirname(folder)
        return folder

    def _is_settled(self, root: Path) -> bool:
        """Whether it is settled elsewhere where pytest looks, or that it is called otherwise."""
        platform = self.launches.platform
        for folder in dict.fromkeys((root, *root.parents)):
            for name in _SETTINGS:
                try:
                    text = read_text(folder / name)
                except OSError:
                    continue
                if any(word in text for word in _OPEN):
                    return True
            if folder == platform.root or (folder / ".git").exists():
                break
        return bool(self.launches.written(r"\bPYTHONPATH\b|-m\s+(?:pytest|coverage)\b|\btox\b"))
