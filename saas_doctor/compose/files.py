"""Loads the files of a Compose project: overrides, includes, `extends`, variables; merged to one."""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from msgspec import Struct, field
from msgspec.structs import replace

from saas_doctor.compose.merge import as_list, merged
from saas_doctor.compose.nodes import Entry, File, Node, Problem, at, read
from saas_doctor.compose.schema import validate
from saas_doctor.compose.variables import NotValid, lookup_in, read_env, substitute
from saas_doctor.reading import read_bytes

NAMES = ("compose.yaml", "compose.yml", "docker-compose.yml", "docker-compose.yaml")
"""In the order of Compose's own preference."""
OVERRIDES = tuple(
    f"{stem}.override.{end}" for stem in ("compose", "docker-compose") for end in ("yml", "yaml")
)
ENV_FILES = "COMPOSE_ENV_FILES"
LARGEST = 5_000_000
_LARGEST_PUT_IN = 4 * LARGEST
_MOST = 200
"""Files that are included, each time they are."""
REMOTE = re.compile(r"^(https?|git|ssh|oci)://|^git@|^github\.com/|\.git(#.*)?$")
_SECTIONS = ("services", "networks", "volumes", "secrets", "configs", "models")


class Loaded(Struct, frozen=True):
    """A project's files, merged. `variables`: what `${V}` is looked up in.

    `required` are the places where Compose asks for a variable that is not set, `elsewhere` those
    that name a part of the project which is not known.
    """

    root: Node
    files: tuple[File, ...]
    problems: tuple[Problem, ...]
    required: tuple[Problem, ...]
    variables: Mapping[str, str]
    elsewhere: tuple[Problem, ...]
    name: Callable[[Path], str] = str
    """A path as reports show it."""
    profiles: str = ""
    """The profiles that are asked for, parted by commas."""

    @property
    def remote(self) -> bool:
        """Whether a part of the project is not known."""
        return bool(self.elsewhere)


def load(
    paths: Sequence[Path],
    environ: Mapping[str, str],
    name: Callable[[Path], str] = str,
    folder: Path | None = None,
) -> Loaded:
    """Load a project from its files; `folder` is where it lies, if not where the first of them does.

    `name` gives a path as reports show it. Raises OSError for a file of these that can't be read,
    and Broken for one, or one that they include, that is not YAML.
    """
    loader = _Loader(environ, name)
    folder = folder or paths[0].parent
    variables = {**loader.env_files(folder), **environ}
    root = loader.model(paths, folder, variables, ())
    return Loaded(
        root,
        tuple(loader.files.values()),
        tuple(loader.problems),
        tuple(loader.required),
        MappingProxyType(variables),
        tuple(loader.elsewhere),
        name,
        variables.get("COMPOSE_PROFILES", ""),
    )


def chosen(first: Path, environ: Mapping[str, str]) -> list[Path]:
    """The files that Compose takes where none is named; the first alone where that is no usual one.

    COMPOSE_FILE counts in the shell and in the folder's `.env`.
    """
    folder = first.parent
    if first.name not in NAMES:
        return [first]
    told = {**dotenv(folder, environ), **environ}
    if listed := told.get("COMPOSE_FILE"):
        separator = told.get("COMPOSE_PATH_SEPARATOR") or os.pathsep
        return [Path(os.path.normpath(folder / name)) for name in listed.split(separator)]
    over = [folder / name for name in OVERRIDES if (folder / name).is_file()]
    return [first, *over[:1]]


def dotenv(folder: Path, environ: Mapping[str, str]) -> dict[str, str]:
    """The variables of the files that ENV_FILES names, else of a folder's `.env`, where it can be read.

    Raises OSError for one that is named and can't be read.
    """
    return _Loader(environ, str).env_files(folder)


def named_env_files(environ: Mapping[str, str]) -> list[Path]:
    """The files that are to be read in place of `.env`; a later one goes before."""
    return [Path(name).absolute() for name in environ.get(ENV_FILES, "").split(",") if name]


class _Loader(Struct):
    environ: Mapping[str, str]
    name: Callable[[Path], str]
    files: dict[Path, File] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    required: list[Problem] = field(default_factory=list)
    elsewhere: list[Problem] = field(default_factory=list)
    parsed: dict[tuple[Path, int], list[Node]] = field(default_factory=dict)
    models: int = 0
    put_in: int = 0
    """Characters of all texts that variables were put into."""

    def env_files(self, folder: Path) -> dict[str, str]:
        """The variables for `${V}`, of the files that are named, else of the folder's `.env`."""
        found: dict[str, str] = {}
        for path in (named := named_env_files(self.environ)):
            path.open("rb").close()  # unlike `.env`, it has to be there
            found.update(self.env_file(path, found))
        return found if named else self.env_file(folder / ".env")

    def env_file(self, path: Path, before: Mapping[str, str] | None = None) -> dict[str, str]:
        """The variables of an env file for `${V}`; what is wrong with it is noted."""
        try:
            file = File(self.name(path), path, path.parent, read_bytes(path, LARGEST))
            found = read_env(file.text, lookup_in(self.environ), before=before)
        except (OSError, UnicodeDecodeError):
            return {}
        except NotValid as error:
            self.problems.append(Problem(f"Compose can't read it: {error}", file, error.index))
            return {}
        return {variable.key: variable.value for variable in found}

    def model(
        self,
        paths: Sequence[Path],
        folder: Path,
        variables: Mapping[str, str],
        including: tuple[Path, ...],
    ) -> Node:
        root: Node | None = None
        self.models += 1
        for path in paths:
            file = self._file(path, folder)
            for document in self._documents(file, variables):
                if document.kind != "map":
                    self.problems += validate(document)
                    continue
                part = self._included(document, folder, variables, (*including, path))
                part = self._extended_all(part, variables)
                root = merged(root, part) if root else part
                self.problems += validate(document, over=root is not document)
                if root is not document:
                    self.problems += [p for p in validate(root) if p not in self.problems]
        if root is None:
            root = Node(self._file(paths[0], folder), "map", 0, 0)
        return root

    def _file(self, path: Path, folder: Path) -> File:
        known = self.files.get(path)
        if known is None or known.folder != folder:
            known = self.files[path] = File(
                self.name(path), path, folder, read_bytes(path, LARGEST)
            )
        return known

    def _documents(self, file: File, variables: Mapping[str, str]) -> list[Node]:
        lookup = lookup_in(variables)

        def put_in(node: Node) -> Node:
            if "$" not in node.text:
                return node
            try:
                found = substitute(node.text, lookup)
            except NotValid as error:
                (self.required if error.required else self.problems).append(at(node, str(error)))
                return replace(node, plain=False, unset=(error.required or "?",))
            self.put_in += len(found.text)
            if self.put_in > _LARGEST_PUT_IN:
                why = "with its variables put in it is too large"
                raise OSError(errno.EFBIG, why, str(file.path))
            return replace(node, text=found.text, plain=False, unset=found.unset)

        key = (file.path, id(variables))
        if key not in self.parsed:
            self.parsed[key], problems = read(file, put_in)
            self.problems += problems
        return self.parsed[key]

    def _included(
        self,
        document: Node,
        folder: Path,
        variables: Mapping[str, str],
        including: tuple[Path, ...],
    ) -> Node:
        """The document with what its `include` brings below it."""
        includes = document.get("include")
        for item in includes.items if includes and includes.kind == "list" else ():
            asked = item.get("path") if item.kind == "map" else item
            names = [n for n in as_list(asked).items if n.text] if asked else []
            unclear = not names or any(n.unset or REMOTE.search(n.text) for n in names)
            if unclear or self.models > _MOST:
                self._unknown(item, "it includes")
                continue
            paths = [Path(os.path.normpath(folder / n.text)) for n in names]
            missing = [n for n, p in zip(names, paths, strict=True) if not p.is_file()]
            for node in missing:
                self.problems.append(at(node, f"{node.text}, which it includes, is not there"))
            if missing or paths[0] in including:
                if not missing:
                    self.problems.append(at(item, f"{names[0].text} includes itself"))
                continue
            chosen_folder = item.string("project_directory") if item.kind == "map" else ""
            inner = folder / chosen_folder if chosen_folder else paths[0].parent
            env = item.get("env_file") if item.kind == "map" else None
            env_files = [folder / n.text for n in as_list(env).items] if env else [inner / ".env"]
            values = {k: v for file in env_files for k, v in self.env_file(file).items()}
            part = self.model(paths, inner, {**values, **variables}, including)
            document = _below(document, part)
        return document

    def _unknown(self, node: Node, what: str) -> None:
        self.elsewhere.append(at(node, f"what {what} is no file of this machine that can be told"))

    def _extended_all(self, document: Node, variables: Mapping[str, str]) -> Node:
        services = document.get("services")
        if services is None or services.kind != "map":
            return document
        if not any("extends" in e.value.entries for e in services.entries.values()):
            return document
        entries = {
            name: replace(entry, value=self._extended(name, services, variables, ()))
            for name, entry in services.entries.items()
        }
        return _with(document, "services", replace(services, entries=MappingProxyType(entries)))

    def _extended(
        self,
        name: str,
        services: Node,
        variables: Mapping[str, str],
        over: tuple[tuple[Path, str], ...],
    ) -> Node:
        """A service on top of the one that it extends."""
        service = services.entries[name].value
        extends = service.get("extends") if service.kind == "map" else None
        if extends is None:
            return service
        asked = extends if extends.kind == "scalar" else extends.get("service")
        file = extends.string("file")
        own = _with(service, "extends", None)
        if asked is None or REMOTE.search(file) or asked.unset:
            self._unknown(extends, f"{name} extends")
            return own
        here = (service.file.path, name)
        if here in over:
            self.problems.append(at(asked, f"{name} extends itself"))
            return own
        family = self._services_of(extends, file, variables) if file else services
        if family is None:
            return own
        if asked.text not in family.entries:
            where = f" in {file}" if file else ""
            self.problems.append(at(asked, f"there is no service {asked.text}{where}", asked.text))
            return own
        base = self._extended(asked.text, family, variables, (*over, here))
        if file:
            self.problems += validate(base, "service")
        if base.kind != "map":
            return own
        inherited = {k: replace(e, inherited=True) for k, e in base.entries.items()}
        base = replace(base, entries=MappingProxyType(inherited))
        return merged(base, own, ("services", name))

    def _services_of(self, extends: Node, name: str, variables: Mapping[str, str]) -> Node | None:
        path = Path(os.path.normpath(extends.file.folder / name))
        if not path.is_file():
            node = extends.get("file") or extends
            if node.unset:
                self._unknown(node, "it extends")
            else:
                self.problems.append(at(node, f"{name} is not there", name))
            return None
        for document in self._documents(self._file(path, path.parent), variables):
            if services := document.get("services"):
                return services
        return Node(self._file(path, path.parent), "map", 0, 0)


def _below(document: Node, part: Node) -> Node:
    """The document over an included part; of its sections alone."""
    for section in _SECTIONS:
        found = part.get(section)
        if found is not None and found.kind == "map":
            own = document.get(section)
            inherited = {k: replace(e, inherited=True) for k, e in found.entries.items()}
            found = replace(found, entries=MappingProxyType(inherited))
            document = _with(document, section, merged(found, own, (section,)) if own else found)
    return document


def _with(node: Node, key: str, value: Node | None) -> Node:
    entries = dict(node.entries)
    if value is None:
        entries.pop(key, None)
    else:
        there = entries.get(key)
        entries[key] = replace(there, value=value) if there else Entry(value, value, inherited=True)
    return replace(node, entries=MappingProxyType(entries), parts=node.parts or (node,))
