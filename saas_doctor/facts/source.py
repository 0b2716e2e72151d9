"""The platform's Python source: its files, their syntax trees, and where an imported name comes from."""

from __future__ import annotations

import ast
import errno
import os
import re
from bisect import bisect_right
from collections.abc import Iterator, Mapping
from functools import cached_property
from itertools import accumulate
from pathlib import Path

from saas_doctor.discovery import is_left_out, is_vendored, repository
from saas_doctor.facts import Fact
from saas_doctor.facts.module import Module, dotted_name
from saas_doctor.model import Absent
from saas_doctor.platform import Platform
from saas_doctor.reading import read_bytes

MAXIMUM = 2_000_000
"""Bytes: a larger file is no source that somebody wrote."""


_BASES = re.compile(rb"\bclass\s+\w+\s*\(([^:]*)")
_GIVEN = re.compile(rb"=[ \t]*(?:[\w.]*\.)?(\w+)[ \t]*$", re.M)
_WORD = re.compile(rb"\w+")
_LOCKED = ".#"
"""How Emacs calls the link beside a file that somebody edits; it leads nowhere."""
_Folder = tuple[str, Path, str]
"""A folder with the root that its modules belong to, and what stands before their names."""


class Source(Fact, frozen=True):
    """The platform's Python files: back end, plugins and services, without environments and caches."""

    modules: tuple[Module, ...]
    roots: tuple[Path, ...]
    partial: str = ""
    too_large: tuple[str, ...] = ()
    """The files that are left out for their size: one check says so for all."""

    limit = 20.0

    @classmethod
    def read(cls, platform: Platform) -> Source:
        services = [platform.path(s.directory) for s in platform.config.services.values()]
        roots = [platform.path(name) for name in platform.config.source_roots]
        roots += [f for f in services if not any(f.is_relative_to(root) for root in roots)]
        roots = [folder for folder in dict.fromkeys(roots) if folder.is_dir()]
        walk = _Walk(platform, roots)
        modules, unreadable = tuple(walk.modules()), walk.unreadable
        if not modules and not unreadable and not walk.too_large:
            raise Absent(f"no Python source in {', '.join(platform.config.source_roots)}")
        partial = f"{platform.relative(Path(unreadable[0]))}: can't be read" if unreadable else ""
        too_large = tuple(platform.relative(Path(path)) for path in walk.too_large)
        return cls(modules, tuple(roots), partial, too_large)

    def mentioning(self, *words: str) -> list[Module]:
        """The modules in whose text any of the words stands: cheap, before anything is parsed."""
        found = {number for word in words for number in self._with(word)}
        return [self.modules[number] for number in sorted(found)]

    def matching(self, pattern: bytes, *words: str) -> list[Module]:
        """The modules in whose text the pattern is found; `words`: one of them stands there, too.

        It is compiled only where a word is found: most of a platform's are not.
        """
        return [module for module in self.mentioning(*words) if re.search(pattern, module.data)]

    def _with(self, word: str) -> list[int]:
        """The numbers of the modules in whose text the word stands."""
        if word not in self._found:
            text, starts = self._text
            data, found = os.fsencode(word), list[int]()
            at = text.find(data)
            while at >= 0:
                found.append(bisect_right(starts, at) - 1)
                at = text.find(data, starts[found[-1] + 1])
            self._found[word] = found
        return self._found[word]

    @cached_property
    def _found(self) -> dict[str, list[int]]:
        return {}

    @cached_property
    def _text(self) -> tuple[bytes, list[int]]:
        """All texts as one, which is looked through faster than each, and where each begins.

        What parts them stands in no word.
        """
        starts = list(accumulate((len(module.data) + 1 for module in self.modules), initial=0))
        return b"\0".join(module.data for module in self.modules), starts

    @cached_property
    def by_name(self) -> Mapping[tuple[Path, str], Module]:
        """The modules by root and dotted name; of a root inside another, by that one's names too."""
        found = {(module.root, module.dotted): module for module in self.modules}
        by_root: dict[Path, list[Module]] = {}
        for module in self.modules:
            by_root.setdefault(module.root, []).append(module)
        for inner in self.roots:
            for outer in self.roots:
                if inner != outer and inner.is_relative_to(outer):
                    prefix = ".".join(inner.relative_to(outer).parts)
                    for module in by_root.get(inner, ()):
                        dotted = f"{prefix}.{module.dotted}".rstrip(".")
                        found.setdefault((outer, dotted), module)
        return found

    @cached_property
    def in_roots(self) -> Mapping[str, list[Module]]:
        """The modules by their dotted name alone."""
        found: dict[str, list[Module]] = {}
        for (_, dotted), module in self.by_name.items():
            found.setdefault(dotted, []).append(module)
        return found

    def local(self, seen_from: Module, dotted: str) -> Module | None:
        """The platform's module that this name means there.

        In its own root, in its folder, in the back end's root, else in the one root that has it.
        """
        package = seen_from.dotted if seen_from.is_package else seen_from.dotted.rpartition(".")[0]
        asked = (seen_from.root, package, dotted)
        if asked not in self._answers:
            self._answers[asked] = self._local(seen_from.root, package, dotted)
        return self._answers[asked]

    @cached_property
    def _answers(self) -> dict[tuple[Path, str, str], Module | None]:
        return {}

    def _local(self, root: Path, package: str, dotted: str) -> Module | None:
        beside = f"{package}.{dotted}" if package else dotted  # `python run.py` in that folder
        for key in (
            (root, dotted),
            (root, beside),
            *((first, dotted) for first in self.roots[:1]),
        ):
            if key in self.by_name:
                return self.by_name[key]
        elsewhere = self.in_roots.get(dotted, [])
        return elsewhere[0] if len(elsewhere) == 1 else None

    def own(self, seen_from: Module, dotted: str) -> Module | None:
        """The module that this name surely means there: in its own root, else in the back end's.

        Not one beside it, which only a script in that folder finds.
        """
        for root in dict.fromkeys((seen_from.root, *self.roots[:1])):
            found = self.by_name.get((root, dotted))
            if found is not None:
                return found
        return None

    def definition(self, module: Module, name: str) -> tuple[Module, str] | None:
        """The platform's module that a dotted name leads to, and the name that is defined in it."""
        return self._resolved(module, name)

    def class_of(self, module: Module, name: str) -> tuple[Module, ast.ClassDef] | None:
        """The class that a name in a module stands for, followed through imports and re-exports."""
        found = self._resolved(module, name)
        if found is None or found[1] not in found[0].classes:
            return None
        return found[0], found[0].classes[found[1]]

    @cached_property
    def _by_last_part(self) -> Mapping[str, list[Module]]:
        found: dict[str, list[Module]] = {}
        for module in self.modules:
            name = module.path.parent.name if module.is_package else module.path.stem
            found.setdefault(name, []).append(module)
        return found

    def called(self, dotted: str) -> list[Module]:
        """The modules that a dotted name may mean, whichever folder the search begins at."""
        parts = tuple(dotted.split("."))
        found: list[Module] = []
        for module in self._by_last_part.get(parts[-1], ()):
            path = module.path.parent if module.is_package else module.path.with_suffix("")
            if path.parts[-len(parts) :] == parts:
                found.append(module)
        return found

    def may_use(self, module: Module, owner: Module, name: str) -> bool:
        """Whether, by its text alone, a module may use what another defines: before it is parsed."""
        if module is owner or name.encode() in module.words_after_dots:
            return True
        for level, origin, names in module.froms:
            if name in names or "*" in names:
                target = self.local(module, module.absolute(origin, level))
                # Not where the module that it comes from has another of that name.
                if target and (target is owner or name.encode() not in target.class_words):
                    return True
        return False

    @cached_property
    def _definitions(self) -> dict[tuple[int, str], tuple[Module, str] | None]:
        return {}

    def _resolved(self, module: Module, name: str) -> tuple[Module, str] | None:
        """The local module that a dotted name leads to, and the name defined in it."""
        key = (id(module), name)
        if key not in self._definitions:
            self._definitions[key] = self._followed(module, name, 0)
        return self._definitions[key]

    def _followed(self, module: Module, name: str, depth: int) -> tuple[Module, str] | None:
        if depth > 12:  # a circle of re-exports
            return None
        if name in module.defined:
            other = dotted_name(module.values[name]) if name in module.values else ""
            # `Base = base.Base` is another name for the same.
            return (other and self._followed(module, other, depth + 1)) or (module, name)
        for full in (self.full_name(module, name), *(f"{star}.{name}" for star in module.stars)):
            parts = full.split(".")
            for cut in range(len(parts) - 1, 0, -1):
                target = self.local(module, ".".join(parts[:cut]))
                if target is not None and (target is not module or parts[cut:] != [name]):
                    found = self._followed(target, ".".join(parts[cut:]), depth + 1)
                    if found:
                        return found
                    break
        return None

    @staticmethod
    def full_name(module: Module, name: str) -> str:
        """The name with its first part replaced by what the module imports it as."""
        head, _, rest = name.partition(".")
        origin = module.imports.get(head, head)
        return f"{origin}.{rest}" if rest else origin

    def made_by(self, module: Module, name: str, depth: int = 0) -> str:
        """The full name of what a name stands for, its calls included.

        `Base` of `Base = declarative_base()` is `sqlalchemy.orm.declarative_base()`, also in
        another module; `Base` of `reg.generate_base()` is `sqlalchemy.orm.registry().generate_base()`.
        """
        parts = name.split(".")
        for cut in range(len(parts), 0, -1):
            found = self._resolved(module, ".".join(parts[:cut]))
            value = found[0].values.get(found[1]) if found else None
            if found and value is not None and depth <= 8:
                called = isinstance(value, ast.Call)
                function = value.func if isinstance(value, ast.Call) else value
                made = self.made_by(found[0], dotted_name(function), depth + 1)
                return ".".join([made + ("()" if called else ""), *parts[cut:]])
        return self._foreign_name(module, name)

    def _foreign_name(self, module: Module, name: str) -> str:
        """The full name, also where a module of the platform passes it on."""
        for _ in range(8):
            full = self.full_name(module, name)
            home, _, last = full.rpartition(".")
            passed_on = self.local(module, home) if home else None
            if passed_on is None or passed_on is module or last not in passed_on.imports:
                return full
            module, name = passed_on, last
        return name

    def ancestry(self, module: Module, node: ast.ClassDef) -> set[str]:
        """The full names of everything a class derives from, and is decorated by, across files.

        What is made by a call is named by it: `...declarative_base()`; decorators begin with `@`.
        """
        found: set[str] = set()
        for where, cls in self.lineage(module, node):
            for base in cls.bases:
                if isinstance(base, ast.Call):
                    found.add(self.made_by(where, dotted_name(base.func)) + "()")
                elif name := dotted_name(base):
                    found |= {self.full_name(where, name), self.made_by(where, name)}
            for decorator in cls.decorator_list:
                called = decorator.func if isinstance(decorator, ast.Call) else decorator
                found.add("@" + self.made_by(where, dotted_name(called)))
        return found

    def lineage(self, module: Module, node: ast.ClassDef) -> list[tuple[Module, ast.ClassDef]]:
        """The class and all classes of the platform that it derives from."""
        found: list[tuple[Module, ast.ClassDef]] = []
        queue = [(module, node)]
        while queue:
            where, cls = queue.pop()
            if any(cls is known for _, known in found):
                continue
            found.append((where, cls))
            parents = (self.class_of(where, dotted_name(base)) for base in cls.bases)
            # A class may have the name of its own base: `class Base(other.Base)`.
            queue += [parent for parent in parents if parent and parent[1] is not cls]
        return found

    @cached_property
    def _named_as_base(self) -> Mapping[bytes, list[Module]]:
        """The modules by the words that may be a base there by the text, or get another name."""
        found: dict[bytes, list[Module]] = {}
        for module in self.mentioning("class"):
            words = {word for head in _BASES.findall(module.data) for word in _WORD.findall(head)}
            words.update(_GIVEN.findall(module.data))
            # Ten times as quick as an expression that begins with the word.
            words |= {text[-80:].split()[-1] for text in module.data.split(b" as ") if text.strip()}
            for word in words:
                found.setdefault(word, []).append(module)
        return found

    @cached_property
    def _heirs(self) -> dict[int, list[tuple[Module, ast.ClassDef]]]:
        return {}

    def heirs(self, module: Module, node: ast.ClassDef) -> list[tuple[Module, ast.ClassDef]]:
        """The class and all classes of the platform that derive from it."""
        if id(node) in self._heirs:
            return self._heirs[id(node)]
        found = [(module, node)]
        for home, parent in found:  # grows meanwhile
            for where in self._named_as_base.get(parent.name.encode(), ()):
                for cls in where.nodes if self.may_use(where, home, parent.name) else ():
                    if isinstance(cls, ast.ClassDef) and not any(
                        cls is known for _, known in found
                    ):
                        bases = (self.class_of(where, dotted_name(base)) for base in cls.bases)
                        if any(base and base[1] is parent for base in bases):
                            found.append((where, cls))
        self._heirs[id(node)] = found
        return found


class _Walk:
    """Goes through the folders of the platform's source, each once, and keeps what is not read.

    With plain text in place of paths: a platform may have ten thousand files.
    """

    def __init__(self, platform: Platform, roots: list[Path]) -> None:
        self.platform = platform
        self.roots = {str(root): root for root in roots}
        self.unreadable: list[str] = []
        self.too_large: list[str] = []
        self._seen: set[str] = set()
        """The real places of the folders."""
        self._links: list[_Folder] = []

    def modules(self) -> Iterator[Module]:
        """The Python files below the roots.

        What lies behind links comes last: a folder has the name of its own place before theirs.
        """
        roots = self.roots
        starts = [t for t in roots if not any(t.startswith(o + os.sep) for o in roots)]
        for start in starts:
            yield from self._below((start, roots[start], ""))
        for link in self._links:  # grows meanwhile
            if link[0] in roots or self._is_own(Path(os.path.realpath(link[0])), starts):
                yield from self._below(link)

    def _is_own(self, real: Path, starts: list[str]) -> bool:
        """Whether a link leads into the repository, to nothing there that others wrote or tools made."""
        top = repository(self.platform.root) or self.platform.root
        if not real.is_relative_to(top) or any(real in Path(start).parents for start in starts):
            return False
        inside = [real, *real.parents][: len(real.relative_to(top).parts)]
        return not any(is_left_out(str(f)) or is_vendored(str(f)) for f in inside)

    def _below(self, start: _Folder) -> Iterator[Module]:
        base = str(self.platform.root) + os.sep
        queue = [(*start, os.path.realpath(start[0]))]
        while queue:
            folder, root, package, real = queue.pop()
            if real in self._seen:
                continue
            self._seen.add(real)
            try:
                with os.scandir(folder) as listing:
                    entries = sorted(listing, key=lambda entry: entry.name, reverse=True)
            except OSError:
                self.unreadable.append(folder)
                continue
            if folder not in self.roots and any(e.name.endswith(".dist-info") for e in entries):
                continue  # an installer put it there (`pip install --target`)
            first_link = len(self._links)
            for entry in entries:
                linked = entry.is_symlink() and os.path.isdir(entry.path)
                if linked or entry.is_dir(follow_symlinks=False):
                    below = (entry.path, root, f"{package}{entry.name}.")
                    if entry.path in self.roots:
                        below = (entry.path, self.roots[entry.path], "")
                    elif is_left_out(entry.path) or is_vendored(entry.path):
                        continue
                    if linked:
                        self._links.insert(first_link, below)
                    else:
                        queue.append((*below, real + os.sep + entry.name))
                elif entry.name.endswith(".py") and not entry.name.startswith(_LOCKED):
                    data = self._bytes(entry)
                    if data is not None:
                        name = entry.path.removeprefix(base).replace(os.sep, "/")
                        stem = entry.name[:-3]
                        dotted = package[:-1] if stem == "__init__" else package + stem
                        yield Module(Path(entry.path), name, dotted, data, root)

    def _bytes(self, entry: os.DirEntry[str]) -> bytes | None:
        """The bytes of a source file; None for what is none, by its kind or its size."""
        try:
            return read_bytes(entry.path, MAXIMUM)
        except OSError as error:
            if error.errno == errno.EFBIG:
                self.too_large.append(entry.path)
            elif error.errno not in (errno.EINVAL, errno.EISDIR):
                self.unreadable.append(entry.path)
        return None
