"""Whether the platform's code can do without Redis."""

from __future__ import annotations

import ast

from saas_doctor.facts import Fact, Facts
from saas_doctor.facts.module import Module, dotted_name
from saas_doctor.facts.settings_classes import SettingsClasses
from saas_doctor.facts.source import Source
from saas_doctor.model import Absent, Place, Unreadable

_CLIENTS = ("redis", "aioredis", "coredis")
_MAKES = (
    "from_url",
    "Redis",
    "StrictRedis",
    "RedisCluster",
    "ConnectionPool",
    "BlockingConnectionPool",
)
# What an error of Redis is caught as; redis-py's own derive from RedisError.
_CAUGHT = {"RedisError", "Exception", "BaseException", "OSError", "ConnectionError", "TimeoutError"}


class RedisNeed(Fact, frozen=True):
    """The code that calls Redis and does not stand its absence; looked for when it is asked."""

    facts: Facts

    @classmethod
    def read(cls, facts: Facts) -> RedisNeed:
        return cls(facts)

    def of(self, variable: str) -> Place | None:
        """The client that the code can't do without; None where it can, or where nobody can tell.

        It can where the setting may be None, and where a client's module, or any that takes errors
        of redis by name, catches what a call raises.
        """
        try:
            return self._needed(variable)
        except (Absent, Unreadable):
            return None

    def _needed(self, variable: str) -> Place | None:
        for cls in self.facts.get(SettingsClasses).found:
            for field in cls.fields:
                names = {key.lower() for key in field.keys or (field.name,)}
                if variable.lower() in names and (field.type.optional or field.keys is None):
                    return None
        needed: Place | None = None
        for module in self.facts.get(Source).mentioning(*_CLIENTS):
            if not _imports_client(module):
                continue
            if any(_catches(module, node) for node in module.nodes):
                return None
            needed = needed or _made(module)
        return needed


def _imports_client(module: Module) -> bool:
    names = {name.partition(".")[0] for name in module.imports.values()}
    return bool(names & set(_CLIENTS))


def _catches(module: Module, node: ast.AST) -> bool:
    """Whether this is a handler that takes what a call of Redis raises."""
    if isinstance(node, ast.Call) and dotted_name(node.func).rpartition(".")[2] == "suppress":
        kinds: list[ast.expr] = list(node.args)
    elif isinstance(node, ast.ExceptHandler):
        if node.type is None:
            return True
        kinds = list(node.type.elts) if isinstance(node.type, ast.Tuple) else [node.type]
    else:
        return False
    for kind in kinds:
        name = dotted_name(kind)
        full = module.imports.get(name.partition(".")[0], "") or name
        if name.rpartition(".")[2] in _CAUGHT or full.partition(".")[0] in _CLIENTS:
            return True
    return False


def _made(module: Module) -> Place | None:
    """Where the module makes a client."""
    for node in module.nodes:
        if not isinstance(node, ast.Call):
            continue
        first, _, rest = dotted_name(node.func).partition(".")
        origin = module.imports.get(first, "")
        last = rest.rpartition(".")[2] or origin.rpartition(".")[2]
        if origin.partition(".")[0] in _CLIENTS and last in _MAKES:
            return module.place(node)
    return None
