"""Whether a call in the source surely runs when the platform's code is used."""

from __future__ import annotations

import ast
import re

from saas_doctor.facts.module import Module, dotted_name
from saas_doctor.facts.scopes import Function
from saas_doctor.facts.source import Source

# What may keep a call from being made, or an error in it from being seen.
_STOPS = (
    *(ast.If, ast.IfExp, ast.BoolOp, ast.Try, ast.With, ast.AsyncWith, ast.Match, ast.Lambda),
    *(ast.For, ast.AsyncFor, ast.While, ast.ListComp, ast.SetComp, ast.DictComp),
    ast.GeneratorExp,
)
_CACHES = {"lru_cache", "cache"}
_ASIDE = {"tests", "test", "testing", "examples", "example", "docs", "docs_src", "scripts"} | {
    "alembic",
    "migrations",
    "templates",
    "benchmarks",
    "tools",
    "notebooks",
}


def is_aside(module: Module) -> bool:
    """Whether a module is a test, an example or a script: it does not run with the services."""
    *folders, file = module.name.lower().split("/")
    test = file.startswith(("test", "conftest")) or file.endswith("_test.py")
    return test or bool(_ASIDE & set(folders))


def surely_runs(source: Source, module: Module, call: ast.AST) -> bool:
    """Whether nothing decides before the call whether it is made, and something uses its code.

    At the top level of a module that others import, or in a function of it that is named elsewhere.
    """
    inner: ast.AST = call
    for node in module.around(call):
        if isinstance(node, _STOPS):
            return False
        if isinstance(node, Function):
            earlier = node.body[: node.body.index(inner)] if inner in node.body else [inner]
            names = {_name_of(decorator) for decorator in node.decorator_list}
            if names - _CACHES or any(_may_leave(part) for part in earlier):
                return False
            at_top = isinstance(next(module.around(node)), ast.Module)
            return at_top and _is_used(source, module, node.name)
        inner = node
    return _is_imported(source, module)


def _name_of(decorator: ast.expr) -> str:
    called = decorator.func if isinstance(decorator, ast.Call) else decorator
    return dotted_name(called).rpartition(".")[2]


def _may_leave(node: ast.AST) -> bool:
    return any(isinstance(n, ast.Return | ast.Raise | ast.Yield) for n in ast.walk(node))


def _is_used(source: Source, home: Module, name: str) -> bool:
    word = re.compile(rb"\b" + re.escape(name.encode()) + rb"\b")
    users = (m for m in source.mentioning(name) if not is_aside(m))
    return any(m is not home or len(word.findall(m.data)) > 1 for m in users)


def _is_imported(source: Source, module: Module) -> bool:
    if b"FastAPI(" in module.data:
        return True
    name = module.path.parent.name if module.is_package else module.path.stem
    named = re.escape(name.encode())
    word = re.compile(rb"(?m)^[ \t]*(?:from|import)[ \t][^\n]*\b" + named + rb"\b")
    likely = (m for m in source.mentioning(name) if m is not module)
    return any(not is_aside(m) and word.search(m.data) for m in likely)
