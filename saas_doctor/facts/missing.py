"""The imports whose module, or whose name in it, is not there."""

from __future__ import annotations

import ast
import difflib
import fnmatch
import os
import re
from collections.abc import Iterable, Iterator
from functools import cached_property
from pathlib import Path

from msgspec import Struct, field
from msgspec.structs import replace

from saas_doctor.facts import Fact
from saas_doctor.facts.imports import FOREIGN, OPEN_PATH, Imports, Resolved, is_beside
from saas_doctor.facts.layout import NEVER_DUE
from saas_doctor.facts.module import Module
from saas_doctor.facts.outline import Import, defines, imports_in
from saas_doctor.facts.search_path import changes
from saas_doctor.model import Place
from saas_doctor.reading import read_text

# What ends the import of a test module before its other imports.
_SKIPS = (b"importorskip", b"allow_module_level")
# Text with code in it that nothing runs as it stands there.
_NO_SOURCE = ("docs/", "docs_src/", "{{")
_FROM = re.compile(rb"from[ \t\\\r\n]*\.*[ \t]*([^\s.][^\s]*)")

# Modules that a build or a tool makes, and that no repository holds.
_MADE = re.compile(r"_?version|\w+_pb2(_grpc)?|\w*generated\w*")

Statement = ast.Import | ast.ImportFrom


class Missing(Struct, frozen=True):
    """An import of what is not there: of a module or, with `name`, of a name from the module `target`.

    `right`: what is there and differs in letter case alone. `near`: the nearest of what is there.
    `homes`: the modules of the package that define the name. `used`: whether what starts a service
    imports it. `also`: further places. `spans`: where the module's name stands, in each module.
    """

    origin: str
    module: Module
    place: Place
    name: str = ""
    target: Module | None = None
    right: str = ""
    near: tuple[str, ...] = ()
    homes: tuple[Module, ...] = ()
    used: bool = False
    also: tuple[Place, ...] = ()
    spans: tuple[tuple[Module, int, int], ...] = ()


class _Suspect(Struct):
    """An import that is wrong by the text, before the trees are asked.

    `importers`: the modules that have it, each with the words in which it has it. `names`: what is
    imported from a module that is not there.
    """

    origin: str
    name: str
    found: Resolved
    importers: list[tuple[Module, str]] = field(default_factory=list)
    names: set[str] = field(default_factory=set)


class MissingImports(Fact, frozen=True):
    """The imports, sure to be executed, of local modules and names that are not there."""

    imports: Imports

    limit = 20.0

    @classmethod
    def read(cls, imports: Imports) -> MissingImports:
        return cls(imports)

    @cached_property
    def all(self) -> tuple[Missing, ...]:
        scan = _Scan(self.imports)
        for module in self.imports.source.modules:
            scan.read(module, self.imports.text(module).imports)
        lowered = {name.lower() for name in self.imports.names}
        alike = {top for top in self.imports.others if top.lower() in lowered}
        for module in self.imports.source.mentioning(
            *(top.decode("utf-8", "replace") for top in alike)
        ):
            scan.read(module, imports_in(module.data, alike))
        found = (_confirmed(self.imports, s, scan.proven) for s in scan.suspects.values())
        return tuple(sorted(filter(None, found), key=lambda missing: _order(missing.place)))


def _order(place: Place) -> tuple[str, int, int]:
    return place.path, place.line or 0, place.column or 0


class _Scan:
    """The imports that look wrong, gathered from the text of the modules.

    `proven`: folders, and names at the top of them, by which the code is really imported.
    """

    def __init__(self, imports: Imports) -> None:
        self.imports = imports
        self.suspects: dict[tuple[str, str, str], _Suspect] = {}
        self.proven: set[tuple[str, str]] = set()
        self._good: set[tuple[str, str, bytes]] = set()

    def read(self, module: Module, statements: Iterable[Import]) -> None:
        if any(part in module.name for part in _NO_SOURCE):
            return
        path, root = str(module.path), str(module.root)
        folder = path[: path.rindex(os.sep)]
        for statement in statements:
            origin = statement.origin
            base = folder if origin[0] == "." else root
            key = (base, origin, statement.listing)
            if key in self._good:
                continue
            if self._is_plain(module, base, statement) or self._is_good(module, statement):
                self._good.add(key)

    def _is_plain(self, module: Module, base: str, statement: Import) -> bool:
        """Whether all of it is in the folder where imports most likely begin: quick."""
        origin = statement.origin
        dotted = origin[1:] if origin[0] == "." else origin
        target = self.imports.files.get(f"{base}/{dotted.replace('.', '/')}") if dotted else None
        if target is None or origin[:2] == "..":
            return False
        names = statement.names
        shows = self.imports.shows
        if any(not shows(target, name) for name in names):
            return False
        if origin[0] != "." and target is not module:
            top = origin.partition(".")[0]
            if (base, top) not in self.proven:
                self._prove(Resolved(base, (target,)), origin, top, names)
        return True

    def _is_good(self, module: Module, statement: Import) -> bool:
        """Whether an import is right by the text; what is not is added to the suspects."""
        origin = statement.origin
        found, top = self.imports.resolve(module, origin), origin.partition(".")[0]
        if found is FOREIGN:
            # Another's module, or one whose name has other letters.
            if not top or top in self.imports.endings or self.imports.foreign(top):
                return True
        elif top and self.imports.files.get(f"{found.base}/{top}") is module:
            return True  # `import redis` in redis.py means another
        names = statement.names
        if not found.is_there:
            key = (found.base, origin if top else f"{module.path.parent}:{origin}", "")
            suspect = self.suspects.setdefault(key, _Suspect(origin, "", found))
            suspect.importers.append((module, origin))
            suspect.names.update(names)
            return False
        if found.folder:
            return True
        shows = self.imports.shows
        wrong = [n for n in names if n != "*" and not any(shows(t, n) for t in found.targets)]
        for name in wrong:
            key = ("", str(found.targets[0].path), name)
            suspect = self.suspects.setdefault(key, _Suspect(origin, name, found))
            suspect.importers.append((module, origin))
        if top and not wrong:
            self._prove(found, origin, top, names)
        return not wrong

    def _prove(self, found: Resolved, origin: str, top: str, names: list[str]) -> None:
        """A module of the full name, or one that defines what is imported: it is meant."""
        if (found.base, top) not in self.proven:
            target = found.targets[0]
            defined = any(defines(target.data, name) for name in names)
            if defined or "." in origin or (names and target.is_package):
                self.proven.add((found.base, top))


def _confirmed(imports: Imports, suspect: _Suspect, proven: set[tuple[str, str]]) -> Missing | None:
    """The suspect with its places, where the trees and the disk say the same."""
    found, top = suspect.found, suspect.origin.partition(".")[0]
    if top and found.base and not (found.sure and _is_meant(imports, suspect, proven)):
        return None  # it may as well be another's, that is not installed here
    what = _name(imports, suspect) if suspect.name else _module(imports, suspect)
    if what is None:
        return None
    elsewhere = _may_be_elsewhere(imports, suspect)
    places = [
        (module, node)
        for module, origin in suspect.importers
        if origin.startswith(".") or not (changes(module) and elsewhere)
        for node in _statements(module, origin, suspect.name)
    ]
    if not places:
        return None
    places.sort(key=lambda place: (place[0].name, place[1].lineno))
    module, node = places[0]
    alias = next((a for a in node.names if a.name == suspect.name), None)
    column = alias.col_offset if alias else node.col_offset
    spans = [_span(m, n, suspect.origin) for m, n in places]
    return replace(
        what,
        module=module,
        place=Place(module.name, alias.lineno if alias else node.lineno, column + 1),
        used=any(str(m.path) in imports.started for m, _ in places),
        also=tuple(m.place(n) for m, n in places[1:]),
        spans=tuple(span for span in spans if span) if all(spans) else (),
    )


def _is_meant(imports: Imports, suspect: _Suspect, proven: set[tuple[str, str]]) -> bool:
    """Whether the code means the platform's own by the name at the top."""
    base, top = suspect.found.base, suspect.origin.partition(".")[0]
    if (base, top) in proven:
        return True
    package = imports.files.get(f"{base}/{top}")
    if top in NEVER_DUE or package is None or not package.is_package:
        return False
    # Below a root it may as well be a part of a larger name: `app.infra.redis`.
    return any(f"{m.root}/".startswith(f"{base}/") for m, _ in suspect.importers)


def _may_be_elsewhere(imports: Imports, suspect: _Suspect) -> bool:
    """Whether a module that changes where imports begin may find it in another folder."""
    others = [imports.files.get(path) for path in imports.anywhere(suspect.origin)]
    return any(o is None or not imports.lacks(o, suspect.name) for o in others)


def _statements(module: Module, origin: str, name: str) -> Iterator[Statement]:
    """The imports of it that are sure to be executed: statements of the module itself."""
    if any(word in module.data for word in _SKIPS):
        return
    for node in module.body:
        if isinstance(node, ast.ImportFrom):
            same = "." * node.level + (node.module or "") == origin
            if same and (not name or any(alias.name == name for alias in node.names)):
                yield node
        elif (
            isinstance(node, ast.Import)
            and not name
            and any(alias.name == origin for alias in node.names)
        ):
            yield node


def _span(module: Module, node: Statement, origin: str) -> tuple[Module, int, int] | None:
    """Where the module's name stands, if it may be edited there and nowhere else."""
    wanted = origin.lstrip(".").encode()
    if isinstance(node, ast.ImportFrom):
        start = module.offset(node.lineno, node.col_offset)
        found = _FROM.match(module.data, start)
        return (module, *found.span(1)) if found and found[1] == wanted else None
    alias = next(alias for alias in node.names if alias.name == origin)
    if not alias.asname:
        return None  # the code says the whole name wherever it uses it
    start = module.offset(alias.lineno, alias.col_offset)
    end = start + len(wanted)
    return (module, start, end) if module.data[start:end] == wanted else None


# A module that is not there.


def _module(imports: Imports, suspect: _Suspect) -> Missing | None:
    base, origin = suspect.found.base, suspect.origin
    module, _ = suspect.importers[0]
    what = Missing(origin, module, Place(module.name))
    name = origin.lstrip(".")
    for start in [base] if base else dict.fromkeys((str(module.root), *imports.roots)):
        right = _other_case(imports, start, name.split("."), suspect.names)
        if right:
            return replace(what, right=origin[: len(origin) - len(name)] + right)
    if not base:
        return None
    folder, missing = base, ""
    for missing in name.split("."):
        package = imports.files.get(folder)
        if package and any(word in package.data for word in OPEN_PATH):
            return None
        if not imports.has(folder, missing):
            break
        folder = f"{folder}/{missing}"
    if not _is_nowhere(imports, folder, missing, origin):
        return None
    near = difflib.get_close_matches(missing, sorted(imports.children.get(folder, ())), 3)
    return replace(what, near=tuple(near), target=imports.files.get(folder))


def _is_nowhere(imports: Imports, folder: str, missing: str, origin: str) -> bool:
    """Whether nothing can make it a module: another folder, what is no source, what is made later."""
    if _MADE.fullmatch(missing) or (os.path.isdir(folder) and is_beside(folder, missing)):
        return False
    if _is_ignored(imports.platform.root, Path(folder), missing):
        return False
    if origin.startswith("."):
        return True
    if imports.anywhere(origin):
        return False
    quoted = [f"{quote}{origin}" for quote in "\"'"]
    return not any(b"sys.modules" in m.data for m in imports.source.mentioning(*quoted))


def _is_ignored(root: Path, folder: Path, name: str) -> bool:
    """Whether git is told to leave such a file out: then it is made, and no part of a clone."""
    for above in (folder, *folder.parents):
        try:
            lines = read_text(above / ".gitignore").splitlines()
        except OSError:
            lines = []
        inside = folder.relative_to(above).as_posix()
        paths = [f"{name}.py", name, *(f"{inside}/{n}" for n in (f"{name}.py", name))]
        for line in lines:
            pattern = line.strip().strip("/").removeprefix("**/")
            if pattern and line[:1] not in "#!":
                if any(fnmatch.fnmatch(path, pattern) for path in paths):
                    return True
                if inside != "." and fnmatch.fnmatch(f"{inside}/", f"{pattern}/*"):
                    return True
        if above == root or (above / ".git").exists():
            return False
    return False


def _other_case(imports: Imports, base: str, parts: list[str], names: set[str]) -> str:
    """The module that is called so but for the case of its letters, if there is exactly one."""
    folder, right = base, []
    for part in parts:
        if not imports.has(folder, part):
            children = imports.children.get(folder, ())
            alike = [child for child in children if child.lower() == part.lower()]
            if len(alike) != 1 or is_beside(folder, part):
                return ""
            part = alike[0]
        right.append(part)
        folder = f"{folder}/{part}"
    target = imports.files.get(folder)
    if right == parts or target is None:
        return ""
    # One that has what is imported from it; else a name of two parts is proof enough.
    there = [
        imports.shows(target, name) or not imports.lacks(target, name) for name in names - {"*"}
    ]
    return ".".join(right) if (all(there) and (there or len(parts) > 1)) else ""


# A name that is not there.


def _shows(imports: Imports, path: str, name: str) -> bool:
    return path in imports.files and imports.shows(imports.files[path], name)


def _name(imports: Imports, suspect: _Suspect) -> Missing | None:
    name, targets = suspect.name, suspect.found.targets
    if not all(imports.lacks(target, name) for target in targets):
        return None
    target = targets[0]
    outline = imports.outline(target)
    assert outline
    folder = str(target.path.parent)
    inside = sorted(imports.children.get(folder, ())) if target.is_package else []
    alike = [child for child in inside if child.lower() == name.lower()]
    alike = [c for c in alike if not _shows(imports, f"{folder}/{c}", name)]
    homes = [
        home
        for home in (imports.source.mentioning(name) if inside else ())
        if home is not target and str(home.path).startswith(f"{folder}/") and name in home.defined
    ]
    module, _ = suspect.importers[0]
    return Missing(
        suspect.origin,
        module,
        Place(module.name),
        name,
        target,
        right=alike[0] if len(alike) == 1 and not homes else "",
        near=tuple(difflib.get_close_matches(name, sorted({*outline.bound, *inside}), 3)),
        homes=tuple(homes),
    )
