"""Which names a module binds at its top level, in whatever way."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from saas_doctor.facts.module import Module

# What makes names that no assignment shows.
_MAGIC = (
    b"globals()",
    b"exec(",
    b"setattr(",
    b"sys.modules",
    b"__dict__",
    b"vars(",
    b"locals()",
    b"__path__",
)
_OF_EVERY_MODULE = {"__name__", "__doc__", "__file__", "__package__", "__spec__", "__loader__"}


def bound_names(module: Module) -> set[str] | None:
    """The names that the top level binds, and `__all__` promises; None where more may be.

    Names that a star import brings are not among them.
    """
    if module.tree is None or any(word in module.data for word in _MAGIC):
        return None
    found = set(_OF_EVERY_MODULE)
    for node in _of_top_level(module.tree):
        found |= set(_bound_by(node))
    for node in module.nodes:
        if isinstance(node, ast.Global):
            found |= set(node.names)
    return None if "__getattr__" in found else found


def _of_top_level(node: ast.AST) -> Iterator[ast.AST]:
    """The nodes that are run in the module's own scope."""
    for child in ast.iter_child_nodes(node):
        yield child
        inner: list[ast.AST] = [child]
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
            inner = [*child.decorator_list, child.args]  # run where the function is defined
        elif isinstance(child, ast.ClassDef):
            inner = [*child.decorator_list, *child.bases, *child.keywords]
        elif isinstance(child, ast.Lambda):
            inner = []
        for part in inner:
            if part is not child:
                yield part
            yield from _of_top_level(part)


def _bound_by(node: ast.AST) -> Iterator[str]:
    match node:
        case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
            yield node.name
        case ast.Import() | ast.ImportFrom():
            for alias in node.names:
                yield alias.asname or alias.name.partition(".")[0]
        case ast.Name(ctx=ast.Store()):
            yield node.id
        case ast.AnnAssign(target=ast.Name() as target):
            yield target.id
        case ast.ExceptHandler(name=str() as name):
            yield name
        case ast.MatchAs(name=str() as name) | ast.MatchStar(name=str() as name):
            yield name
        case ast.MatchMapping(rest=str() as name):
            yield name
        case ast.Assign(targets=[ast.Name(id="__all__")], value=ast.List() | ast.Tuple() as value):
            for item in value.elts:
                if isinstance(item, ast.Constant) and isinstance(item.value, str):
                    yield item.value
