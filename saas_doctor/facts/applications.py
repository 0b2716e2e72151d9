"""The applications that servers are given: as objects, and by import strings such as `app.main:app`."""

from __future__ import annotations

import ast
import contextlib
from collections.abc import Iterator
from pathlib import Path

from saas_doctor.facts.module import Module, dotted_name
from saas_doctor.facts.names import bound_names
from saas_doctor.facts.scopes import Function, given, inside
from saas_doctor.facts.source import Source

APPLICATIONS = {
    "fastapi.FastAPI",
    "fastapi.applications.FastAPI",
    "starlette.applications.Starlette",
    "socketio.ASGIApp",
    "litestar.Litestar",
    "quart.Quart",
}


def is_application(source: Source, module: Module, node: ast.expr, depth: int = 0) -> bool:
    """Whether an expression is proven to be an application, which is no text."""
    if depth > 8:
        return False
    if isinstance(node, ast.Call):
        name = dotted_name(node.func)
        if not name:
            return False
        if source.made_by(module, name) in APPLICATIONS:
            return True
        cls = source.class_of(module, name)
        if cls:
            return bool(source.ancestry(*cls) & APPLICATIONS)
        return _returns_application(source, module, name, depth)
    if isinstance(node, ast.Name | ast.Attribute):
        found = given(source, module.scope_of(node), node)
        if found is None:
            return False
        return is_application(source, found.scope.module, found.expression, depth + 1)
    return False


def _returns_application(source: Source, module: Module, name: str, depth: int) -> bool:
    found = source.definition(module, name)
    where, last = found or (module, "")
    function = next((f for f in where.body if isinstance(f, Function) and f.name == last), None)
    if function is None:
        return False
    annotated = dotted_name(function.returns) if function.returns else ""
    if annotated and source.made_by(where, annotated) in APPLICATIONS:
        return True
    returned = [n.value for n in inside(where, function).nodes if isinstance(n, ast.Return)]
    return bool(returned) and all(
        value is not None and is_application(source, where, value, depth + 1) for value in returned
    )


# Import strings.


def nearest(source: Source, dotted: str, folder: Path) -> list[Module]:
    """The modules that a name may mean as it is found from a folder: in it, else below it, else any."""
    modules = source.called(dotted)
    exact = folder.joinpath(*dotted.split("."))
    files = (exact.with_name(f"{exact.name}.py"), exact / "__init__.py")
    in_it = [m for m in modules if m.path in files]
    if not in_it and any(file.exists() for file in files):
        return []  # it is there, and not in the index
    return in_it or [m for m in modules if m.path.is_relative_to(folder)] or modules


def exported(module: Module) -> set[str] | None:
    """The names that a module has once it is imported; None where its text does not tell."""
    found = None if module.stars else bound_names(module)
    if found is not None and module.is_package:
        with contextlib.suppress(OSError):
            found |= {path.stem for path in module.path.parent.iterdir()}
    return found


# The import string of an object.


def import_string(source: Source, module: Module, call: ast.Call, node: ast.expr) -> str | None:
    """How the object that a call of `uvicorn.run` is given is imported; None where that is not certain."""
    name = dotted_name(node)
    if not isinstance(node, ast.Name | ast.Attribute) or not _runs_once(module, call):
        return None
    head = name.partition(".")[0]
    if not head or _is_prepared(module, call, node):
        return None
    if head in module.defined:
        started = _name_when_started(source, module)
        return f"{started}:{name}" if started and name == head else None
    for part in module.nodes:
        if isinstance(part, ast.ImportFrom) and not part.level and isinstance(node, ast.Name):
            names = {a.asname or a.name: a.name for a in part.names}
            if head in names and _defines(source, part.module or "", names[head], module):
                return f"{part.module}:{names[head]}"
        elif isinstance(part, ast.Import):
            names = {a.asname or a.name: a.name for a in part.names}
            home, _, last = name.rpartition(".")
            if home in names and _defines(source, names[home], last, module):
                return f"{names[home]}:{last}"
    return None


def _defines(source: Source, dotted: str, name: str, seen_from: Module) -> bool:
    found = source.local(seen_from, dotted)
    return found is not None and name in (exported(found) or ())


def _runs_once(module: Module, call: ast.Call) -> bool:
    """Whether the call does not run again where the module is only imported."""
    if _is_guarded(module, call):
        return True
    functions = [n for n in module.around(call) if isinstance(n, Function)]
    if not functions:
        return False
    calls = [
        n
        for n in module.nodes
        if isinstance(n, ast.Call) and dotted_name(n.func) == functions[-1].name
    ]
    inside = (any(isinstance(o, Function) for o in module.around(n)) for n in calls)
    return all(i or _is_guarded(module, n) for i, n in zip(inside, calls, strict=True))


def _is_prepared(module: Module, call: ast.Call, node: ast.expr) -> bool:
    """Whether the code around the call makes or changes the object, or sets global names.

    A process that imports it would have it without that.
    """
    name = dotted_name(node)
    started = dotted_name(call.func)
    head = name.partition(".")[0]
    around = [n for n in module.around(call) if isinstance(n, Function | ast.Lambda | ast.If)]
    parts = {part for outer in around for part in ast.walk(outer)}
    runs = {n for n in parts if isinstance(n, ast.Call) and dotted_name(n.func) == started}
    own = {part for run in runs for part in ast.walk(run)}
    for part in parts - own:
        binds = (isinstance(part, ast.arg) and part.arg == head) or (
            isinstance(part, Function | ast.ClassDef) and part.name == head
        )
        if binds or isinstance(part, ast.Global):
            return True
        named = dotted_name(part) if isinstance(part, ast.Name | ast.Attribute) else ""
        stored = named == head and not isinstance(getattr(part, "ctx", None), ast.Load)
        if stored or named == name or named.startswith(f"{name}."):
            return True
    return False


def _is_guarded(module: Module, node: ast.AST) -> bool:
    tests = (n.test for n in module.around(node) if isinstance(n, ast.If))
    return any(
        isinstance(n, ast.Name) and n.id == "__name__" for test in tests for n in ast.walk(test)
    )


def _name_when_started(source: Source, module: Module) -> str | None:
    """How a module that is started itself can be imported, told by its own imports."""
    if "." not in module.dotted:
        return module.dotted
    top, folder = module.dotted.partition(".")[0], module.path.parent
    beside = {m.path.stem for m in source.modules if m.path.parent == folder}
    beside |= {
        m.path.parent.name for m in source.modules if m.is_package and m.path.parents[1] == folder
    }
    by_root = by_folder = False
    for first in _absolute_imports(module):
        by_root = by_root or (first == top and first not in beside)
        by_folder = by_folder or (first in beside and (module.root, first) not in source.by_name)
    if by_root != by_folder:
        return module.dotted if by_root else module.path.stem
    relative = any(isinstance(n, ast.ImportFrom) and n.level for n in module.nodes)
    # It needs nothing of the platform, and its folder is no package: a script.
    alone = not (by_root or relative or "__init__" in beside)
    return module.path.stem if alone else None


def _absolute_imports(module: Module) -> Iterator[str]:
    """The first parts of the names that the top level surely imports."""
    for node in module.body:
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield (node.module or "").partition(".")[0]
