"""Names inside functions and modules: which nodes run there, and what a name is given."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from saas_doctor.facts.literals import Value
from saas_doctor.facts.source import Module

Function = ast.FunctionDef | ast.AsyncFunctionDef


def around(module: Module, node: ast.AST) -> tuple[Function, ...]:
    """The functions that a node of the module stands in, outermost first."""
    line = getattr(node, "lineno", 0)
    found = [
        f
        for f in module.nodes
        if isinstance(f, Function) and f.lineno <= line <= (f.end_lineno or 0)
    ]
    return tuple(f for f in found if any(n is node for n in ast.walk(f)))


def own(function: Function) -> Iterator[ast.AST]:
    """The nodes of a function's body, those of inner functions and classes left out."""
    yield from _inside(function.body)


def top(module: Module) -> Iterator[ast.AST]:
    """The nodes of a module that run when it is imported."""
    yield from _inside(module.body)


def _inside(body: Sequence[ast.AST]) -> Iterator[ast.AST]:
    waiting = list(body)
    while waiting:
        node = waiting.pop()
        yield node
        if not isinstance(node, Function | ast.ClassDef | ast.Lambda):
            waiting += ast.iter_child_nodes(node)


def parameters(function: Function) -> set[str]:
    a = function.args
    named = [*a.posonlyargs, *a.args, *a.kwonlyargs, *filter(None, (a.vararg, a.kwarg))]
    return {arg.arg for arg in named}


def stores(nodes: Iterable[ast.AST], name: str) -> int:
    """How often a name is given something there."""
    count = 0
    for node in nodes:
        if isinstance(node, ast.Name):
            count += node.id == name and not isinstance(node.ctx, ast.Load)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            count += any((a.asname or a.name.partition(".")[0]) == name for a in node.names)
        elif isinstance(node, Function | ast.ClassDef):
            count += node.name == name
        elif isinstance(node, ast.Global | ast.Nonlocal):
            count += 2 * (name in node.names)  # given something elsewhere as well
    return count


def given_once(module: Module, name: str) -> bool:
    """Whether the module gives a name of its top level one thing and no other later."""
    elsewhere = rb"\bglobal\b[^\n]*\b" + re.escape(name.encode()) + rb"\b"
    return stores(top(module), name) == 1 and not re.search(elsewhere, module.data)


def single(function: Function, name: str) -> ast.expr | None:
    """What the one assignment of a local name gives it."""
    for node in own(function):
        targets = node.targets if isinstance(node, ast.Assign) else []
        targets = [node.target] if isinstance(node, ast.AnnAssign) else targets
        if len(targets) == 1 and isinstance(targets[0], ast.Name) and targets[0].id == name:
            return node.value if isinstance(node, ast.Assign | ast.AnnAssign) else None
    return None


_ADDS = rb"append|extend|insert|add|update"
_OTHER = rb"remove|pop|clear|discard|sort|reverse|difference_update"


def as_changed(value: Value, name: str, modules: Sequence[Module]) -> Value:
    """A list that is added to later holds more than it was given; one that is changed, anything."""
    if value.kind != "list":
        return value
    word = rb"\b" + re.escape(name.encode())
    adds = re.compile(word + rb"\s*(?:\.\s*(?:" + _ADDS + rb")\s*\(|\+=|\|=)")
    other = re.compile(word + rb"\s*(?:\.\s*(?:" + _OTHER + rb")\s*\(|\[[^\]\n]*\]\s*=(?!=))")
    if any(other.search(m.data) for m in modules):
        return Value("list")
    return replace(value, known=False) if any(adds.search(m.data) for m in modules) else value
