"""Where the source takes variables from the environment by itself: `os.environ["X"]`, `int(os.getenv("X"))`."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cached_property

from msgspec import Struct

from saas_doctor.facts import Fact
from saas_doctor.facts.module import Module, dotted_name
from saas_doctor.facts.runs import is_aside, surely_runs
from saas_doctor.facts.source import Source
from saas_doctor.model import Place

_TAKES = re.compile(rb"\benviron\s*\[")
_COUNTS = re.compile(rb"\b(?:int|float)\(\s*(?:os\.)?(?:getenv|environ)\b")
_ENVIRON = "os.environ"
_GET = {"os.getenv", "os.environ.get"}


class EnvironmentUse(Struct, frozen=True):
    """A variable that is taken from the environment, where nothing decides whether it is.

    `required`: it has to be there. `number`: what is made of its text at once, `int` or `float`.
    """

    module: Module
    key: str
    place: Place
    required: bool
    number: str = ""


class EnvironmentUses(Fact, frozen=True):
    """The uses that surely run when the platform's code is used; looked up when asked for."""

    source: Source

    limit = 20.0

    @classmethod
    def read(cls, source: Source) -> EnvironmentUses:
        return cls(source)

    @cached_property
    def required(self) -> tuple[EnvironmentUse, ...]:
        """The variables that have to be there."""
        return tuple(use for use in self._like(_TAKES) if use.required)

    @cached_property
    def numbers(self) -> tuple[EnvironmentUse, ...]:
        """The variables that numbers are made of."""
        return tuple(use for use in self._like(_COUNTS) if use.number)

    def _like(self, pattern: re.Pattern[bytes]) -> Iterator[EnvironmentUse]:
        for module in self.source.mentioning("environ", "getenv"):
            if pattern.search(module.data) and not is_aside(module):
                yield from self._in(module)

    def _in(self, module: Module) -> Iterator[EnvironmentUse]:
        for node in module.nodes:
            key, required = self._variable(module, node)
            number = self._number(module, node) if key else ""
            if key and (required or number) and surely_runs(self.source, module, node):
                assert isinstance(node, ast.expr)
                yield EnvironmentUse(module, key, module.place(node), required, number)

    def _variable(self, module: Module, node: ast.AST) -> tuple[str, bool]:
        """The variable that an expression takes, and whether it fails without it."""
        if isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Load):
            full = self.source.full_name(module, dotted_name(node.value))
            return (_text(node.slice), True) if full == _ENVIRON else ("", False)
        if isinstance(node, ast.Call) and node.args and dotted_name(node.func):
            full = self.source.full_name(module, dotted_name(node.func))
            return (_text(node.args[0]), False) if full in _GET else ("", False)
        return "", False

    def _number(self, module: Module, node: ast.AST) -> str:
        parent = next(module.around(node), None)
        if isinstance(parent, ast.Call) and parent.args == [node] and not parent.keywords:
            name = dotted_name(parent.func)
            return name if name in ("int", "float") and name not in module.defined else ""
        return ""


def _text(node: ast.expr) -> str:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""


def refused_number(text: str, number: str) -> str:
    """Why `int` or `float` refuses a text, in words; nothing where it takes it."""
    try:
        (int if number == "int" else float)(text)
    except ValueError:
        return f"`{number}()` makes no number of it"
    return ""
