"""Import strings that name a module or an application which is not there."""

from __future__ import annotations

import difflib
import re
import sys
from collections.abc import Iterator
from pathlib import Path

from msgspec import Struct

from saas_doctor.facts import Fact
from saas_doctor.facts.applications import exported, is_application, nearest
from saas_doctor.facts.interpreter import Interpreter
from saas_doctor.facts.module import Module
from saas_doctor.facts.servers import Servers, Start
from saas_doctor.facts.source import Source

_FORM = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_][\w.]*")
_TEMPLATE = re.compile(r"[{}<>$%\s]")
# Links of an environment's own, which lead to no other folder.
_OWN_LINKS = {"_virtualenv.pth", "distutils-precedence.pth"}


class Missing(Struct, frozen=True):
    """What of a server's import string is wrong: its `form`, the `module`, or the `name` in it.

    `instead` is the import string that was likely meant, or nothing; `sure` says whether the module
    can't come from elsewhere.
    """

    start: Start
    kind: str
    text: str
    instead: str = ""
    module: Module | None = None
    sure: bool = True


class ImportStrings(Fact, frozen=True):
    """The import strings that servers are started with and that lead nowhere."""

    missing: tuple[Missing, ...]

    limit = 20.0

    @classmethod
    def read(cls, source: Source, servers: Servers, interpreter: Interpreter) -> ImportStrings:
        site = interpreter.site_packages if interpreter.version else None
        wanted = (s for s in servers.starts if s.how in ("uvicorn", "uvicorn.run") and s.app)
        return cls(tuple(m for start in wanted for m in _missing(source, start, site)))


def _missing(source: Source, start: Start, site: Path | None) -> Iterator[Missing]:
    if _TEMPLATE.search(start.app):
        return
    dotted, _, name = start.app.partition(":")
    if not _FORM.fullmatch(start.app) or dotted.endswith(".py"):
        dotted = dotted.removesuffix(".py").replace("/", ".").strip(".")
        found = nearest(source, dotted, start.folder)
        # In a command that is not wholly understood it may be another word.
        if start.call or found:
            yield Missing(start, "form", start.app, _instead(source, found, dotted, name))
        return
    found = source.called(dotted)
    if not found:
        if start.module:
            yield from _no_module(source, start, dotted, name, site)
        return
    # Where a command's folder is not known, the only module of that name is the one meant.
    if not start.call and len(found) > 1:
        return
    name = name.partition(".")[0]
    close = nearest(source, dotted, start.folder)
    others = [module for module in found if module not in close]
    for module in [*close, *others]:
        names = exported(module)
        if names is None or name in names:
            return
    instead = _instead(source, close, dotted, name)
    if close and (start.call or instead):
        yield Missing(start, "name", name, instead, close[0])


def _no_module(
    source: Source, start: Start, dotted: str, name: str, site: Path | None
) -> Iterator[Missing]:
    assert start.module
    top = dotted.partition(".")[0]
    tops = {m.path.stem for m in source.modules}
    tops |= {folder.name for m in source.modules for folder in m.path.relative_to(m.root).parents}
    foreign = _is_foreign(dotted, start.module.path, site, is_top=top in tops)
    if foreign or (foreign is None and top not in tops) or start.has_app_dir:
        return
    below = (m for m in source.modules if m.path.is_relative_to(start.folder))
    modules = {".".join(m.path.relative_to(start.folder).with_suffix("").parts): m for m in below}
    close = next(iter(difflib.get_close_matches(dotted, modules, 1, 0.7)), "")
    instead = _instead(source, [modules[close]] if close else [], close, name)
    yield Missing(start, "module", dotted, instead, sure=foreign is False)


def _is_foreign(dotted: str, script: Path, site: Path | None, *, is_top: bool) -> bool | None:
    """Whether a module that the platform's source does not have may come from elsewhere.

    From the environment, the standard library, or a folder beside the script or above it; None
    where there is no environment to look into.
    """
    top, *rest = dotted.split(".")
    if top in sys.stdlib_module_names:
        return True
    for base in script.parents:
        below = base.joinpath(top, *rest)
        # A compiled module, or one that the index leaves out.
        if below.is_dir() or any(below.parent.glob(f"{below.name}.*")):
            return True
        if not is_top and ((base / top).is_dir() or (base / f"{top}.py").exists()):
            return True
    if site is None:
        return None
    linked = any(path.name not in _OWN_LINKS for path in site.glob("*.pth"))
    return any(site.glob(f"{top}*")) or (linked and not is_top)


def _instead(source: Source, modules: list[Module], dotted: str, name: str) -> str:
    """The import string that was meant: the module's application that is called most alike."""
    if len(modules) != 1:
        return ""
    module = modules[0]
    names = [n for n, value in module.values.items() if is_application(source, module, value)]
    close = difflib.get_close_matches(name, names, 1, 0.0)
    return f"{dotted}:{close[0]}" if close else ""
