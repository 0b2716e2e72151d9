"""The modules that come with a module: those that it imports, and what these import in turn."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path

from msgspec import field

from saas_doctor.facts import Fact
from saas_doctor.facts.module import Module
from saas_doctor.facts.outline import parted
from saas_doctor.facts.source import Source

# Told from the text: parsing all that an application imports would take seconds.
_IMPORT = re.compile(
    rb"^[ \t]*(?:from[ \t]+(\.*)[ \t]*([\w.]*)[ \t]+import[ \t]*(?:\(([^)]*)\)|([^\n#;]*))"
    rb"|import[ \t]+([^\n#;]+))",
    re.M,
)
_NAME = re.compile(rb"[\w.]+")


class Reach(Fact, frozen=True):
    """What the platform's modules bring with them, told from their text.

    A name is looked for from the module's own folder upwards, whichever folder the search begins
    at: what a module may bring, not what it surely does.
    """

    source: Source
    known: dict[Path, tuple[Module, ...]] = field(default_factory=dict)

    @classmethod
    def read(cls, source: Source) -> Reach:
        return cls(source)

    def of(self, module: Module) -> tuple[Module, ...]:
        """The module itself, and all that come with it."""
        if module.path not in self.known:
            self.known[module.path] = tuple(self._reached(module))
        return self.known[module.path]

    @cached_property
    def _by_path(self) -> dict[Path, Module]:
        return {module.path: module for module in self.source.modules}

    @cached_property
    def _tops(self) -> dict[str, set[Path]]:
        """The folders in which a package or module of a name lies, by the name."""
        found: dict[str, set[Path]] = {}
        folders = {folder for path in self._by_path for folder in path.parents}
        for path in (*folders, *(path.with_suffix("") for path in self._by_path)):
            found.setdefault(path.name, set()).add(path.parent)
        return found

    def _reached(self, module: Module) -> list[Module]:
        found, seen, queue = {module.path: module}, set(), [module]
        while queue:
            one = queue.pop()
            parents = one.path.parents
            for dots, parts in self._imported(one):
                base = parents[min(dots, len(parents)) - 1] if dots else None
                if not dots and parts[0] in self._tops:
                    homes = self._tops[parts[0]]
                    base = next((folder for folder in parents if folder in homes), None)
                if base is None or (base, parts) in seen:
                    continue
                seen.add((base, parts))
                for other in self._on_the_way(base, parts):
                    if other.path not in found:
                        found[other.path] = other
                        queue.append(other)
        return list(found.values())

    def _on_the_way(self, base: Path, parts: tuple[str, ...]) -> Iterator[Module]:
        """The packages and the module that a name leads through."""
        for end in range(len(parts) + 1):
            path = base.joinpath(*parts[:end])
            for file in (path / "__init__.py", path.with_name(f"{path.name}.py")):
                if file in self._by_path:
                    yield self._by_path[file]

    def _imported(self, module: Module) -> set[tuple[int, tuple[str, ...]]]:
        """What a module imports: the number of dots before each name, and its parts."""
        found: set[tuple[int, tuple[str, ...]]] = set()
        for dots, origin, bracketed, plain, modules in _IMPORT.findall(parted(module.data)):
            names = _NAME.findall(bracketed or plain)
            dotted = [b".".join(filter(None, (origin, name))) for name in names]
            for full in dotted or _NAME.findall(modules):
                text = full.decode("utf-8", "replace").strip(".")
                found.add((len(dots), tuple(text.split("."))))
        return found
