"""The scopes of a module: modules, class bodies, functions, comprehensions, and how each binds its names."""

from __future__ import annotations

import ast
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

from saas_doctor.facts.source import Module, dotted_name
from saas_doctor.syntax import parts

Function = ast.FunctionDef | ast.AsyncFunctionDef
Comprehension = ast.ListComp | ast.SetComp | ast.GeneratorExp | ast.DictComp
Binding = tuple[Literal["is", "of", "annotated", "self", "unknown"], "ast.expr | None"]
"""`is` an expression, one `of` what an expression holds, `annotated` by it, or the method's own object."""
_UNKNOWN: Binding = ("unknown", None)
# Decorators under which a method's first argument is still the object.
_OF_OBJECTS = {"property", "cached_property", "computed_field", "override"}


@dataclass(eq=False)
class Scope:
    """A module, a class body, a function or a comprehension; `nodes` are those that are only its own."""

    module: Module
    parent: Scope | None = None
    owner: ast.ClassDef | None = None
    """The class, in its body and in the methods of it."""
    is_body: bool = False
    function: ast.AST | None = None
    bindings: dict[str, list[Binding]] = field(default_factory=dict)
    nodes: list[ast.AST] = field(default_factory=list)
    inner: dict[int, Scope] = field(default_factory=dict)
    """The comprehensions in it, by the id of their node."""

    def binding(self, name: str) -> Scope | None:
        """The scope that binds a name used here: the names of a class body are not seen from within."""
        scope: Scope | None = self
        while scope and (name not in scope.bindings or (scope.is_body and scope is not self)):
            scope = scope.parent
        return scope


def scopes_of(module: Module) -> list[Scope]:
    """Every scope of a module, its own first; none where it can't be parsed."""
    reader = _Reader(module)
    try:
        if module.tree is not None:
            reader.visit(module.tree)
    except RecursionError:
        return []
    return reader.scopes


def depends(node: ast.expr | None) -> bool:
    """Whether FastAPI gives what a dependency returns, whatever the annotation says."""
    kinds = ("Depends", "Security")
    return isinstance(node, ast.Call) and dotted_name(node.func).rpartition(".")[2] in kinds


class _Reader:
    """Sorts a module's nodes by scope, and notes every binding of a name."""

    def __init__(self, module: Module) -> None:
        self.scope = Scope(module)
        self.scopes = [self.scope]

    def visit(self, node: ast.AST) -> None:
        self.scope.nodes.append(node)
        kind = node.__class__
        if kind not in _LEAVES:
            _VISITS.get(kind, _Reader._others)(self, node)

    def _bind(self, target: ast.AST | str | None, binding: Binding = _UNKNOWN) -> None:
        if isinstance(target, ast.Name):
            target = target.id
        if isinstance(target, str):
            self.scope.bindings.setdefault(target, []).append(binding)
        elif isinstance(target, ast.Tuple | ast.List | ast.Starred):
            for name in ast.walk(target):
                if isinstance(name, ast.Name):
                    self._bind(name.id)

    def _enter(self, owner: ast.ClassDef | None, *, is_body: bool = False) -> Scope:
        outer = self.scope
        self.scope = Scope(outer.module, outer, owner, is_body)
        self.scopes.append(self.scope)
        return outer

    def _class(self, node: ast.ClassDef) -> None:
        if self.scope.parent is not None:
            self._bind(node.name)
        for part in (*node.decorator_list, *node.bases, *node.keywords):
            self.visit(part)
        outer = self._enter(node, is_body=True)
        for line in node.body:
            self.visit(line)
        self.scope = outer

    def _function(self, node: Function | ast.Lambda) -> None:
        decorators: list[ast.expr] = []
        heads = [*node.args.defaults, *node.args.kw_defaults]
        if not isinstance(node, ast.Lambda):
            decorators = node.decorator_list
            heads += [*decorators, node.returns]
            if self.scope.parent is not None:
                self._bind(node.name)
        for part in heads:
            if part is not None:
                self.visit(part)
        is_method = self.scope.is_body and not isinstance(node, ast.Lambda)
        outer = self._enter(self.scope.owner if is_method else None)
        self.scope.function = node
        for argument, default in _parameters(node.args):
            unsure = argument.annotation is None or depends(default)
            self._bind(argument.arg, _UNKNOWN if unsure else ("annotated", argument.annotation))
        first = next(iter(self.scope.bindings), None)
        if is_method and first:
            kinds = {dotted_name(d).rpartition(".")[2] for d in decorators}
            if kinds <= _OF_OBJECTS:
                self.scope.bindings[first] = [("self", None)]
        for rest in (node.args.vararg, node.args.kwarg):
            self._bind(rest.arg if rest else None)
        for line in node.body if isinstance(node.body, list) else [node.body]:
            self.visit(line)
        self.scope = outer

    def _comprehension(self, node: Comprehension) -> None:
        outer = self._enter(None)
        outer.inner[id(node)] = self.scope
        for part in node.generators:
            self._bind(part.target, ("of", part.iter))
        self._within(node)
        self.scope = outer

    def _assign(self, node: ast.Assign) -> None:
        for target in node.targets:
            self._bind(target, ("is", node.value))
        self._within(node)

    def _others(self, node: ast.AST) -> None:
        if isinstance(node, ast.AnnAssign):
            self._bind(node.target, ("annotated", node.annotation))
        elif isinstance(node, ast.NamedExpr):
            self._bind(node.target, ("is", node.value))
        elif isinstance(node, ast.For | ast.AsyncFor):
            self._bind(node.target, ("of", node.iter))
        elif isinstance(node, ast.AugAssign):
            self._bind(node.target)
        elif isinstance(node, ast.withitem):
            self._bind(node.optional_vars)
        else:
            for name in _unclear(node):
                self._bind(name)
        self._within(node)

    def _within(self, node: ast.AST) -> None:
        for part in parts(node):
            self.visit(part)


# Imports bind nothing here: the module's imports tell what the name is, wherever they stand.
_LEAVES = {ast.Name, ast.Constant, ast.Import, ast.ImportFrom}
_VISITS: dict[type[ast.AST], Callable[[_Reader, Any], None]] = {
    ast.ClassDef: _Reader._class,
    ast.FunctionDef: _Reader._function,
    ast.AsyncFunctionDef: _Reader._function,
    ast.Lambda: _Reader._function,
    ast.ListComp: _Reader._comprehension,
    ast.SetComp: _Reader._comprehension,
    ast.GeneratorExp: _Reader._comprehension,
    ast.DictComp: _Reader._comprehension,
    ast.Assign: _Reader._assign,
}


def _unclear(node: ast.AST) -> list[ast.expr | str | None]:
    """The names that a node binds to what nothing is known of."""
    if isinstance(node, ast.Global | ast.Nonlocal):
        return list(node.names)
    if isinstance(node, ast.ExceptHandler | ast.MatchAs | ast.MatchStar):
        return [node.name]
    if isinstance(node, ast.MatchMapping):
        return [node.rest]
    return list(node.targets) if isinstance(node, ast.Delete) else []


def _parameters(arguments: ast.arguments) -> list[tuple[ast.arg, ast.expr | None]]:
    """The parameters with their defaults, `*args` and `**kwargs` left out."""
    positional = [*arguments.posonlyargs, *arguments.args]
    given: list[ast.expr | None] = [None] * (len(positional) - len(arguments.defaults))
    given += arguments.defaults
    return [
        *zip(positional, given, strict=True),
        *zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True),
    ]
