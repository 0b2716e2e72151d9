"""Where the code takes the value of a variable for a port: to listen at, or to connect to."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cached_property
from typing import TypeGuard

from msgspec import Struct

from saas_doctor.facts import Fact
from saas_doctor.facts.module import Module, dotted_name
from saas_doctor.facts.runs import is_aside
from saas_doctor.facts.scopes import Scope
from saas_doctor.facts.source import Source
from saas_doctor.facts.values import Values
from saas_doctor.model import Place

_NAMED = re.compile(r"(?i)(?:^|_)port$")
# `sock.bind((host, port))`
_OF_A_PAIR = {"bind", "connect", "connect_ex", "create_connection", "create_server"}


class _Text(ast.Constant):
    value: str


class PortUse(Struct, frozen=True):
    """An expression that is taken for a port, as the text of a variable has it."""

    variable: str
    written: str
    place: Place


class PortUses(Fact, frozen=True):
    """The uses whose variable can be told; looked up when asked for."""

    source: Source
    values: Values

    limit = 20.0

    @classmethod
    def read(cls, source: Source, values: Values) -> PortUses:
        return cls(source, values)

    def of(self, variable: str) -> PortUse | None:
        return next((use for use in self._found if use.variable == variable), None)

    @cached_property
    def _found(self) -> list[PortUse]:
        modules = (m for m in self.source.mentioning("port", "PORT") if not is_aside(m))
        return [use for module in modules for use in self._in(module)]

    def _in(self, module: Module) -> Iterator[PortUse]:
        for node in module.nodes:
            for expression in self._ports(module, node):
                if isinstance(expression, ast.Constant):
                    continue
                value = self.values.of(module, expression)
                spot = value.spot
                if spot and spot.variable and str(value.plain) == spot.written.strip():
                    yield PortUse(spot.variable, spot.written, module.place(expression))

    def _ports(self, module: Module, node: ast.AST) -> Iterator[ast.expr]:
        """The expressions of a node that are taken for ports."""
        if isinstance(node, ast.JoinedStr):
            yield from _behind_hosts(node)
        elif isinstance(node, ast.Call):
            yield from (k.value for k in node.keywords if k.arg and _NAMED.search(k.arg))
            name = dotted_name(node.func).rpartition(".")[2]
            first = node.args[0] if node.args else None
            if name in _OF_A_PAIR and isinstance(first, ast.Tuple) and len(first.elts) > 1:
                yield first.elts[1]
            yield from self._parameters(module.scope_of(node), node)

    def _parameters(self, scope: Scope, call: ast.Call) -> Iterator[ast.expr]:
        """What a function of the platform's is given for a parameter that is named for a port."""
        found = self.values.objects.function_of(scope, call.func) if call.args else None
        if found is not None:
            names = [*found[1].args.posonlyargs, *found[1].args.args]
            for parameter, given in zip(names, call.args, strict=False):
                if _NAMED.search(parameter.arg) and not isinstance(given, ast.Starred):
                    yield given


def _behind_hosts(text: ast.JoinedStr) -> Iterator[ast.expr]:
    """`f"http://{host}:{port}/..."`."""
    is_address = any("://" in n.value for n in text.values if _is_text(n))
    for before, part in zip(text.values, text.values[1:], strict=False):
        if is_address and _is_text(before) and before.value.endswith(":"):
            yield from [part.value] if isinstance(part, ast.FormattedValue) else []


def _is_text(node: ast.expr) -> TypeGuard[_Text]:
    return isinstance(node, ast.Constant) and isinstance(node.value, str)
