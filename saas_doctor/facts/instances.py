"""Which class of the platform an expression is an object of, and which function a name means."""

from __future__ import annotations

import ast
from dataclasses import dataclass, replace

from saas_doctor.facts.enclosing import Function, given_once, own, parameters, single, stores
from saas_doctor.facts.fields import class_of_member
from saas_doctor.facts.literals import Value
from saas_doctor.facts.objects import Class
from saas_doctor.facts.source import Module, Source, dotted_name

_DEEP = 24


@dataclass(frozen=True)
class Frame:
    """Where an expression stands: its module, the functions around it, and what names are bound to."""

    module: Module
    functions: tuple[Function, ...] = ()
    bound: tuple[tuple[str, Value], ...] = ()
    owner: Class | None = None


def instance(source: Source, frame: Frame, node: ast.expr, depth: int) -> Class | None:
    """The class of the platform that an expression is an object of, made without arguments."""
    if depth > _DEEP:
        return None
    if isinstance(node, ast.Name):
        if node.id == "self":
            return frame.owner
        return _instance_of_name(source, frame, node.id, depth)
    if isinstance(node, ast.Call) and not node.args and not node.keywords:
        name = dotted_name(node.func)
        cls = source.class_of(frame.module, name) if name else None
        if cls is not None:
            return cls
        function = function_of(source, frame, name)
        if function is not None:
            returns = [n for n in own(function[1]) if isinstance(n, ast.Return)]
            if len(returns) == 1 and returns[0].value is not None:
                inner = Frame(function[0], (function[1],))
                return instance(source, inner, returns[0].value, depth + 1)
    if isinstance(node, ast.Attribute):
        owner = instance(source, frame, node.value, depth + 1)
        if owner is not None:
            return class_of_member(source, owner, node.attr)
        found = source.definition(frame.module, dotted_name(node))
        return _made(source, found, depth) if found else None
    return None


def _instance_of_name(source: Source, frame: Frame, name: str, depth: int) -> Class | None:
    for cut in range(len(frame.functions), 0, -1):
        function = frame.functions[cut - 1]
        if name in parameters(function):
            return None
        if stores(own(function), name):
            given = single(function, name)
            inner = replace(frame, functions=frame.functions[:cut])
            return instance(source, inner, given, depth + 1) if given is not None else None
    if any(bound == name for bound, _ in frame.bound):
        return None
    found = source.definition(frame.module, name)
    return _made(source, found, depth) if found else None


def _made(source: Source, found: tuple[Module, str], depth: int) -> Class | None:
    home, last = found
    given = home.values.get(last)
    if given is None or not given_once(home, last):
        return None
    return instance(source, Frame(home), given, depth + 1)


def function_of(source: Source, frame: Frame, name: str) -> tuple[Module, Function] | None:
    """The function of the platform's that a name means, with no more than caching around it."""
    if not name or is_local(frame, name.partition(".")[0]):
        return None
    found = source.definition(frame.module, name)
    if found is None:
        return None
    made = [n for n in found[0].body if isinstance(n, Function) and n.name == found[1]]
    if len(made) != 1:
        return None
    decorators = {
        dotted_name(d.func if isinstance(d, ast.Call) else d).rpartition(".")[2]
        for d in made[0].decorator_list
    }
    return (found[0], made[0]) if decorators <= {"lru_cache", "cache"} else None


def is_local(frame: Frame, name: str) -> bool:
    return any(name in parameters(f) or stores(own(f), name) for f in frame.functions) or any(
        name == bound for bound, _ in frame.bound
    )
