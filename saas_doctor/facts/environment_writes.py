"""Which variables the code itself puts into the environment: its own process' or that of what it starts."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from fnmatch import fnmatchcase
from functools import cached_property

from saas_doctor.facts import Fact
from saas_doctor.facts.module import Module, dotted_name
from saas_doctor.facts.runs import is_aside
from saas_doctor.facts.source import Source

_ENVIRON = "os.environ"
_PUTS = {"os.putenv", "os.environ.setdefault", "os.environ.__setitem__"}
_ANYTHING = "*"


class EnvironmentWrites(Fact, frozen=True):
    """The names of the variables that are written to the environment; looked up when asked for."""

    source: Source

    limit = 20.0

    @classmethod
    def read(cls, source: Source) -> EnvironmentWrites:
        return cls(source)

    def may_set(self, key: str) -> bool:
        """Whether the services' own code may set a variable, in whatever case."""
        return any(fnmatchcase(key.lower(), name) for name in self.by_services)

    def names(self, key: str) -> bool:
        """Whether any code, that of tests and scripts included, names a variable that it sets."""
        return key.lower() in self.by_services or key.lower() in self._by_tests

    @cached_property
    def by_services(self) -> frozenset[str]:
        """The names that the services' own code sets, in small letters; `*` for what can't be told."""
        return frozenset(k for m in self._likely if not is_aside(m) for k in self._in(m))

    @cached_property
    def _by_tests(self) -> frozenset[str]:
        return frozenset(k for m in self._likely if is_aside(m) for k in self._in(m))

    @cached_property
    def _likely(self) -> list[Module]:
        return list(self.source.mentioning("environ", "putenv", "env=", "setenv"))

    def _in(self, module: Module) -> Iterator[str]:
        for node in module.nodes:
            if isinstance(node, ast.Assign | ast.AugAssign | ast.AnnAssign):
                yield from self._assigned(module, node)
            elif isinstance(node, ast.Call):
                yield from self._called(module, node)

    def _assigned(
        self, module: Module, node: ast.Assign | ast.AugAssign | ast.AnnAssign
    ) -> Iterator[str]:
        for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
            if isinstance(target, ast.Subscript) and self._is_environment(module, target.value):
                yield _key(target.slice)
            elif isinstance(target, ast.Subscript) and _is_copy(target.value):
                yield from (key for key in [_key(target.slice)] if key != _ANYTHING)
            elif self._is_environment(module, target) and node.value is not None:
                yield from _keys(node.value)  # `os.environ |= {...}`
            elif _is_copy(target) and isinstance(node.value, ast.Dict):
                yield from _keys(node.value, sure=False)  # `env = {**os.environ, "X": ...}`

    def _called(self, module: Module, node: ast.Call) -> Iterator[str]:
        name = dotted_name(node.func)
        full = self.source.full_name(module, name) if name else ""
        if full in _PUTS and node.args:
            yield _key(node.args[0])
        elif full == f"{_ENVIRON}.update":
            for given in node.args:
                yield from _keys(given)
            yield from (k.arg.lower() if k.arg else _ANYTHING for k in node.keywords)
        elif name.endswith(".setenv") and node.args:  # pytest's monkeypatch
            yield from (key for key in [_key(node.args[0])] if key != _ANYTHING)
        elif name.endswith("patch.dict") and len(node.args) > 1:
            yield from _keys(node.args[1], sure=False)
        for keyword in node.keywords:
            if keyword.arg == "env":  # of what it starts
                yield from _keys(keyword.value, sure=False)

    def _is_environment(self, module: Module, node: ast.expr) -> bool:
        name = "" if isinstance(node, ast.Subscript) else dotted_name(node)
        return bool(name) and self.source.full_name(module, name) == _ENVIRON


def _is_copy(node: ast.expr) -> bool:
    """Whether it is, by its name, an environment that is handed on: `env`, `child_env`."""
    name = "" if isinstance(node, ast.Subscript) else dotted_name(node).rpartition(".")[2]
    return name.lower().endswith(("env", "environ", "environment"))


def _key(node: ast.expr) -> str:
    """The name that an expression gives, in small letters, as a pattern."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value.lower()
    if isinstance(node, ast.JoinedStr):
        return "".join(map(_key, node.values))
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        return _key(node.left) + _key(node.right)
    return _ANYTHING


def _keys(node: ast.expr, *, sure: bool = True) -> Iterator[str]:
    """The keys of a dictionary; `sure`: what can't be told may be any."""
    if isinstance(node, ast.Dict):
        found = [_key(key) if key is not None else _ANYTHING for key in node.keys]
    elif isinstance(node, ast.Call) and dotted_name(node.func) == "dict":
        found = [k.arg.lower() if k.arg else _ANYTHING for k in node.keywords]
        found += [_ANYTHING] if node.args else []
    else:
        found = [_ANYTHING]
    yield from (key for key in found if sure or key != _ANYTHING)
