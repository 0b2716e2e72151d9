"""The scopes of a module: modules, class bodies, functions, comprehensions, and what each binds its names to."""

from __future__ import annotations

import ast
from collections.abc import Callable
from typing import Any, Literal, NamedTuple

from msgspec import Struct, field

from saas_doctor.facts.module import Module, dotted_name
from saas_doctor.facts.source import Source
from saas_doctor.syntax import parts

Function = ast.FunctionDef | ast.AsyncFunctionDef
Comprehension = ast.ListComp | ast.SetComp | ast.GeneratorExp | ast.DictComp


class Binding(NamedTuple):
    """`is` an expression, one `of` what an expression holds, `annotated` by it, or the method's own object.

    `value` is what an assignment gives to the name alone.
    """

    how: Literal["is", "of", "annotated", "self", "unknown"]
    expression: ast.expr | None = None
    value: ast.expr | None = None


_UNKNOWN = Binding("unknown")
# Decorators under which a method's first argument is still the object.
_OF_OBJECTS = {"property", "cached_property", "computed_field", "override"}


class Scope(Struct, eq=False):
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
    elsewhere: set[str] = field(default_factory=set)
    """Of a module: the names that functions bind by `global`."""
    attributes: dict[str, list[ast.expr | None]] = field(default_factory=dict)
    """Of a class body: what the class gives to attributes of `self`."""

    def binding(self, name: str) -> Scope | None:
        """The scope that binds a name used here: the names of a class body are not seen from within."""
        scope: Scope | None = self
        while scope and (name not in scope.bindings or (scope.is_body and scope is not self)):
            scope = scope.parent
        return scope

    def is_local(self, name: str) -> bool:
        """Whether a name used here is one of a function's or a class's, and not the module's."""
        home = self.binding(name)
        return home is not None and home.parent is not None

    def only(self, name: str) -> ast.expr | None:
        """The one expression that the scope gives a name, where nothing gives it another."""
        found = self.bindings.get(name, [])
        sure = len(found) == 1 and name not in self.elsewhere
        return found[0].value if sure and name not in self.module.imports else None


def scopes_of(module: Module) -> list[Scope]:
    """Every scope of a module, its own first; that one alone, and empty, where it can't be parsed."""
    reader = _Reader(module)
    try:
        if module.tree is not None:
            reader.visit(module.tree)
    except RecursionError:
        return [Scope(module)]
    return reader.scopes


def inside(module: Module, node: Function | ast.ClassDef) -> Scope:
    """The scope that a function or a class opens."""
    opened = (s for s in module.scopes if (s.owner if s.is_body else s.function) is node)
    return next(opened, module.scopes[0])


class Given(NamedTuple):
    """An expression that a name stands for, the scope that it is in, and the name that it has there."""

    scope: Scope
    expression: ast.expr
    name: str


def given(source: Source, scope: Scope, node: ast.Name | ast.Attribute) -> Given | None:
    """The one expression that a name used there stands for, across files.

    Also that of an attribute of `self`, where the class around gives it once.
    """
    home = scope.binding(node.id) if isinstance(node, ast.Name) else None
    name = _name(node)
    value: ast.expr | None
    if home is not None:
        value = home.only(name)
    elif name.startswith("self."):
        name = name.removeprefix("self.")
        value = _of_self(scope, name)
        home = scope.module.scope_of(value) if value is not None else None
    else:
        hidden = not name or scope.is_local(name.partition(".")[0])
        found = None if hidden else source.definition(scope.module, name)
        if found is None:
            return None
        home, name = found[0].scopes[0], found[1]
        value = home.only(name)
    return Given(home, value, name) if home is not None and value is not None else None


def _name(node: ast.expr) -> str:
    """The dotted name of an expression; none where anything of it is subscripted."""
    return "" if any(isinstance(n, ast.Subscript) for n in ast.walk(node)) else dotted_name(node)


def class_around(scope: Scope) -> Scope | None:
    """The body of the class that a scope is of."""
    around: Scope | None = scope
    while around and not around.is_body:
        around = around.parent
    return around


def _of_self(scope: Scope, name: str) -> ast.expr | None:
    body = class_around(scope)
    cls = body.owner if body else None
    if body is None or cls is None:
        return None
    # What a class annotates may be given to each object anew: by a dataclass, a model.
    own = any(b.how == "annotated" for b in body.bindings.get(name, ()))
    found = attribute(body, name)
    sure = len(found) == 1 and not (own and (cls.decorator_list or cls.bases))
    return found[0] if sure else None


def attribute(body: Scope, name: str) -> list[ast.expr | None]:
    """What the body of a class and its methods give to an attribute; a mere annotation gives nothing."""
    own = [b.value for b in body.bindings.get(name, []) if b.how != "annotated" or b.value]
    return [*body.attributes.get(name, []), *own]


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

    def _bind_attribute(self, target: ast.AST, value: ast.expr | None) -> None:
        """Notes an attribute of `self` at the body of the class around."""
        if isinstance(target, ast.Attribute) and dotted_name(target.value) == "self":
            body = class_around(self.scope)
            if body:
                body.attributes.setdefault(target.attr, []).append(value)

    def _enter(self, owner: ast.ClassDef | None, *, is_body: bool = False) -> Scope:
        outer = self.scope
        self.scope = Scope(outer.module, outer, owner, is_body)
        self.scopes.append(self.scope)
        return outer

    def _class(self, node: ast.ClassDef) -> None:
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
            self._bind(node.name)
        for part in heads:
            if part is not None:
                self.visit(part)
        is_method = self.scope.is_body and not isinstance(node, ast.Lambda)
        outer = self._enter(self.scope.owner if is_method else None)
        self.scope.function = node
        for argument, default in _parameters(node.args):
            unsure = argument.annotation is None or depends(default)
            told = _UNKNOWN if unsure else Binding("annotated", argument.annotation)
            self._bind(argument.arg, told)
        first = next(iter(self.scope.bindings), None)
        if is_method and first:
            kinds = {dotted_name(d).rpartition(".")[2] for d in decorators}
            if kinds <= _OF_OBJECTS:
                self.scope.bindings[first] = [Binding("self")]
        for rest in (node.args.vararg, node.args.kwarg):
            self._bind(rest.arg if rest else None)
        for line in node.body if isinstance(node.body, list) else [node.body]:
            self.visit(line)
        self.scope = outer

    def _comprehension(self, node: Comprehension) -> None:
        outer = self._enter(None)
        outer.inner[id(node)] = self.scope
        for part in node.generators:
            self._bind(part.target, Binding("of", part.iter))
        self._within(node)
        self.scope = outer

    def _assign(self, node: ast.Assign) -> None:
        for target in node.targets:
            self._bind(target, Binding("is", node.value, node.value))
            self._bind_attribute(target, node.value)
        self._within(node)

    def _others(self, node: ast.AST) -> None:
        if isinstance(node, ast.AnnAssign):
            self._bind(node.target, Binding("annotated", node.annotation, node.value))
            self._bind_attribute(node.target, node.value)
        elif isinstance(node, ast.NamedExpr):
            self._bind(node.target, Binding("is", node.value))
        elif isinstance(node, ast.For | ast.AsyncFor):
            self._bind(node.target, Binding("of", node.iter))
        elif isinstance(node, ast.AugAssign):
            self._bind(node.target)
            self._bind_attribute(node.target, None)
        elif isinstance(node, ast.withitem):
            self._bind(node.optional_vars)
        else:
            if isinstance(node, ast.Global):
                self.scopes[0].elsewhere.update(node.names)
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
