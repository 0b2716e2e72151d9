"""What a name in the source is given, where that is one expression."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import lru_cache

from saas_doctor.facts.source import Module, Source, dotted_name

Function = ast.FunctionDef | ast.AsyncFunctionDef
Given = ast.expr | None
"""An expression that a name is given; None for another kind of binding (a parameter, a loop)."""
_CHANGES = {"update", "pop", "setdefault", "clear", "popitem"}


def bound(
    source: Source, module: Module, node: ast.Name | ast.Attribute
) -> tuple[Module, ast.expr] | None:
    """The one expression that a name, or an attribute of `self`, is given, and the module it is in."""
    if isinstance(node, ast.Attribute):
        return _attribute_of_self(module, node) or _imported(source, module, dotted_name(node))
    for scope in module.around(node):
        if isinstance(scope, Function | ast.Lambda | ast.Module):
            found = given(scope, node.id)
            if found:
                return _only(module, found)
    return _imported(source, module, node.id)


def is_local(module: Module, node: ast.Name) -> bool:
    """Whether a function around it binds the name."""
    functions = (s for s in module.around(node) if isinstance(s, Function | ast.Lambda))
    return any(given(function, node.id) for function in functions)


def given(scope: ast.AST, name: str) -> list[Given]:
    """What a scope itself gives a name; imports are left out."""
    return _all_given(scope).get(name, [])


@lru_cache(maxsize=2048)
def _all_given(scope: ast.AST) -> dict[str, list[Given]]:
    """What a scope gives each of its names; asked of the same scope again and again."""
    found: dict[str, list[Given]] = {}
    for name, value in _pairs(scope):
        found.setdefault(name, []).append(value)
    return found


def _pairs(scope: ast.AST) -> Iterator[tuple[str, Given]]:
    yield from ((argument.arg, None) for argument in _parameters(scope))
    told: set[int] = set()
    for node in own_nodes(scope):
        if isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            names = [target for target in targets if isinstance(target, ast.Name)]
            told |= {id(name) for name in names}
            yield from ((name.id, node.value) for name in names if node.value is not None)
        elif isinstance(node, ast.Name):
            if not isinstance(node.ctx, ast.Load) and id(node) not in told:
                yield node.id, None
        elif isinstance(node, Function | ast.ClassDef):
            yield node.name, None
    for node in ast.walk(scope) if isinstance(scope, ast.Module) else ():
        if isinstance(node, ast.Global):
            yield from ((name, None) for name in node.names)


def own_nodes(scope: ast.AST) -> Iterator[ast.AST]:
    """The nodes of a scope, each after what encloses it; of functions and classes in it the mere head."""
    body = getattr(scope, "body", [])
    queue: list[ast.AST] = list(reversed(body)) if isinstance(body, list) else [body]
    while queue:
        node = queue.pop()
        yield node
        if not isinstance(node, Function | ast.ClassDef | ast.Lambda):
            queue += reversed(list(ast.iter_child_nodes(node)))


def _parameters(scope: ast.AST) -> list[ast.arg]:
    if not isinstance(scope, Function | ast.Lambda):
        return []
    arguments = scope.args
    named = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
    return named + [a for a in (arguments.vararg, arguments.kwarg) if a]


def given_to_self(cls: ast.ClassDef, name: str) -> list[Given]:
    """What a class's methods give an attribute of `self`."""
    return _all_given_to_self(cls).get(f"self.{name}", [])


@lru_cache(maxsize=2048)
def _all_given_to_self(cls: ast.ClassDef) -> dict[str, list[Given]]:
    found: dict[str, list[Given]] = {}
    for node in ast.walk(cls):
        if isinstance(node, ast.Assign | ast.AnnAssign | ast.AugAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            value = None if isinstance(node, ast.AugAssign) else node.value
            for target in targets:
                if isinstance(target, ast.Attribute):
                    found.setdefault(dotted_name(target), []).append(value)
    return found


def _attribute_of_self(module: Module, node: ast.Attribute) -> tuple[Module, ast.expr] | None:
    if dotted_name(node.value) != "self":
        return None
    cls = next((n for n in module.around(node) if isinstance(n, ast.ClassDef)), None)
    found = [*given_to_self(cls, node.attr), *given(cls, node.attr)] if cls else []
    return _only(module, found)


def _imported(source: Source, module: Module, name: str) -> tuple[Module, ast.expr] | None:
    found = source.definition(module, name) if name else None
    if found is None or found[0].tree is None:
        return None
    return _only(found[0], given(found[0].tree, found[1]))


def _only(module: Module, found: list[Given]) -> tuple[Module, ast.expr] | None:
    only = found[0] if len(found) == 1 else None
    return (module, only) if only is not None else None


# Dictionaries of arguments.


def arguments(source: Source, module: Module, call: ast.Call) -> tuple[dict[str, ast.expr], bool]:
    """A call's named arguments, those of `**options` included, and whether these are all."""
    found: dict[str, ast.expr] = {}
    whole = True
    for keyword in call.keywords:
        if keyword.arg:
            found[keyword.arg] = keyword.value
        else:
            items = _items(source, module, keyword.value)
            whole = whole and items is not None
            found |= items or {}
    return found, whole


def _items(source: Source, module: Module, node: ast.expr) -> dict[str, ast.expr] | None:
    """The items of a dictionary that is written out and nowhere changed."""
    if isinstance(node, ast.Name):
        found = bound(source, module, node)
        if found is None or _is_changed(module, node.id) or _is_changed(found[0], node.id):
            return None
        module, node = found
    keys: list[object]
    if isinstance(node, ast.Call) and dotted_name(node.func) == "dict" and not node.args:
        keys, values = [k.arg for k in node.keywords], [k.value for k in node.keywords]
    elif isinstance(node, ast.Dict):
        keys = [k.value if isinstance(k, ast.Constant) else None for k in node.keys]
        values = node.values
    else:
        return None
    if not all(isinstance(key, str) for key in keys):
        return None
    return {str(key): value for key, value in zip(keys, values, strict=True)}


def _is_changed(module: Module, name: str) -> bool:
    """Whether a dictionary of this name is changed anywhere in the module."""
    for node in module.nodes:
        if isinstance(node, ast.Subscript | ast.Attribute):
            of_it = isinstance(node.value, ast.Name) and node.value.id == name
            stored = isinstance(node, ast.Subscript) and not isinstance(node.ctx, ast.Load)
            if of_it and (stored or (isinstance(node, ast.Attribute) and node.attr in _CHANGES)):
                return True
        elif isinstance(node, ast.AugAssign) and dotted_name(node.target) == name:
            return True
    return False
