"""The HTTP clients in the platform's source: what they are given, and what they call."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path

from msgspec import Struct

from saas_doctor.edits import Edit
from saas_doctor.facts import Fact
from saas_doctor.facts.arguments import arguments
from saas_doctor.facts.layout import NEVER_DUE
from saas_doctor.facts.module import Module, dotted_name
from saas_doctor.facts.scopes import Function, inside
from saas_doctor.facts.source import Source
from saas_doctor.facts.values import Values
from saas_doctor.model import Place
from saas_doctor.platform import Platform

_MAKERS = {"httpx.Client", "httpx.AsyncClient"}
_METHODS = {"get", "post", "put", "patch", "delete", "head", "options", "request", "stream"}
_ONE_CALL = {f"{library}.{method}" for library in ("httpx", "requests") for method in _METHODS}
_SCRIPTS = NEVER_DUE | {"benchmarks"}
_IMPORTED = re.compile(rb"\b(?:import|from)[ \t]+[\w., \t]*\b(?:httpx|requests)\b")
_PROXIES = re.compile(rb"\bproxies[\"']?\s*[:=]")
_VERSION = re.compile(rb"httpx\.__version__|version\([\"']httpx")
_URL = re.compile(r"https?://(?:[^/@\s]*@)?(\[[^\]]*\]|[^/:?#\s]+)(?=[/:?#]|$)", re.I)


class Call(Struct, frozen=True):
    """A client that is made, or a call made by none; `name` is what is called, in full."""

    module: Module
    node: ast.Call
    name: str

    @property
    def place(self) -> Place:
        return self.module.place(self.node)

    @property
    def ignores_environment(self) -> bool:
        """Whether it is made without a look at the environment: so, or with a transport or proxy."""
        for keyword in self.node.keywords:
            none = isinstance(keyword.value, ast.Constant) and keyword.value.value is None
            if keyword.arg == "trust_env":
                return isinstance(keyword.value, ast.Constant) and keyword.value.value is False
            if keyword.arg in ("transport", "app", "proxy") and not none:
                return True
        return False


class ProxiesArgument(Struct, frozen=True):
    """A `proxies=` that httpx is given; `kind` is `none`, `empty` or `given`.

    `edits` take it out, where they can without a loss; `target` names the place in words.
    """

    module: Module
    name: str
    place: Place
    kind: str
    text: str
    target: str
    edits: tuple[Edit, ...]


class Clients(Fact, frozen=True):
    """The HTTP clients in the platform's source, and which of them read proxy variables."""

    source: Source

    limit = 20.0

    @classmethod
    def read(cls, source: Source) -> Clients:
        return cls(source)

    @cached_property
    def calls(self) -> list[Call]:
        """Every client, or call by none, outside the tests."""
        modules = (m for m in self._modules("httpx", "requests") if _IMPORTED.search(m.data))
        return [call for module in modules for call in _calls(module)]

    def _modules(self, *words: str) -> Iterator[Module]:
        for module in self.source.mentioning(*words):
            folders = module.path.parts[:-1]
            if "tests" not in folders and not module.path.name.startswith(("test_", "conftest")):
                yield module

    @property
    def all_ignore_environment(self) -> bool:
        return bool(self.calls) and all(call.ignores_environment for call in self.calls)

    @property
    def load_settings_file(self) -> bool:
        """Whether the code puts `.env` into its environment; pydantic-settings alone does not."""
        return any(True for _ in self._modules("load_dotenv"))

    @property
    def shown(self) -> str:
        """In words, for the evidence."""
        reading = [str(call.place) for call in self.calls if not call.ignores_environment]
        if not self.calls:
            return "no httpx client was found in the source"
        if not reading:
            return f"all {len(self.calls)} are made with trust_env=False, and are not touched by it"
        return (
            f"{len(reading)} of {len(self.calls)} read proxy variables ({', '.join(reading[:3])})"
        )

    @cached_property
    def proxies(self) -> tuple[ProxiesArgument, ...]:
        """Where httpx is given `proxies=`, tests included; not where the code sees to its version."""
        return tuple(_proxies(self.source))


def _calls(module: Module) -> Iterator[Call]:
    for node in module.nodes:
        if isinstance(node, ast.Call):
            first, dot, rest = dotted_name(node.func).partition(".")
            name = module.imports.get(first, first) + dot + rest
            if name in _MAKERS or name in _ONE_CALL or name == "requests.Session":
                yield Call(module, node, name)


# The `proxies` argument, which httpx 0.28 no longer knows.


def _proxies(source: Source) -> Iterator[ProxiesArgument]:
    for module in source.mentioning("proxies"):
        if not _PROXIES.search(module.data) or _VERSION.search(module.data):
            continue
        seen: dict[str, int] = {}
        for node in module.nodes:
            value = _proxies_of(source, module, node) if isinstance(node, ast.Call) else None
            name = _httpx_name(source, module, node) if value and isinstance(node, ast.Call) else ""
            if value and name and not _sees_to_version(module, node):
                assert isinstance(node, ast.Call)
                scope = _scope(module, node)
                seen[scope] = seen.get(scope, 0) + 1
                count = f"#{seen[scope]}" if seen[scope] > 1 else ""
                yield _argument(module, node, name, value, f"{module.name}:{scope or name}{count}")


def _proxies_of(source: Source, module: Module, call: ast.Call) -> ast.expr | None:
    if not any(keyword.arg in ("proxies", None) for keyword in call.keywords):
        return None
    return arguments(source, module, call)[0].get("proxies")


def _httpx_name(source: Source, module: Module, call: ast.Call) -> str:
    """What of httpx a call reaches, also through `partial` or a class of the platform's own."""
    name = dotted_name(call.func)
    full = source.made_by(module, name) if name else ""
    if full == "functools.partial" and call.args:
        name = dotted_name(call.args[0])
        full = source.made_by(module, name) if name else ""
    if full in _MAKERS or (full in _ONE_CALL and full.startswith("httpx.")):
        return full
    if isinstance(call.func, ast.Attribute) and call.func.attr == "__init__":
        of_super = isinstance(call.func.value, ast.Call) and dotted_name(call.func.value.func)
        cls = next((n for n in module.around(call) if isinstance(n, ast.ClassDef)), None)
        bases = [source.made_by(module, dotted_name(b)) for b in cls.bases] if cls else []
        if of_super == "super" and len(bases) == 1 and bases[0] in _MAKERS:
            return bases[0]
    found = source.class_of(module, name) if name else None
    if found:
        lineage = source.lineage(*found)
        own = [n for _, cls in lineage for n in cls.body if isinstance(n, Function)]
        if not any(n.name in ("__init__", "__new__") for n in own):
            return next(iter(source.ancestry(*found) & _MAKERS), "")
    return ""


def _sees_to_version(module: Module, node: ast.AST) -> bool:
    """Whether the call is tried, or made where a test of the version or the signature allows it."""
    inner = node
    for outer in module.around(node):
        if isinstance(outer, ast.Try):
            tried = any(inner is part for part in outer.body)
            if _catches_type_error(outer) if tried else _tries_another_way(outer):
                return True
        if isinstance(outer, ast.With | ast.AsyncWith):
            managers = (i.context_expr for i in outer.items if isinstance(i.context_expr, ast.Call))
            if any(dotted_name(m.func).endswith(("raises", "suppress")) for m in managers):
                return True
        elif isinstance(outer, ast.If | ast.IfExp):
            test = ast.dump(outer.test).lower()
            if "version" in test or "signature" in test or "httpx" in test:
                return True
        inner = outer
    return False


def _catches_type_error(node: ast.Try) -> bool:
    caught = (n for h in node.handlers if h.type for n in ast.walk(h.type))
    return any(isinstance(n, ast.Name) and n.id == "TypeError" for n in caught)


def _tries_another_way(node: ast.Try) -> bool:
    """Whether a client with a proxy in the newer form is tried, to which this is what is left."""
    keywords = (n for part in node.body for n in ast.walk(part) if isinstance(n, ast.keyword))
    return any(keyword.arg in ("proxy", "mounts", "transport") for keyword in keywords)


def _scope(module: Module, node: ast.AST) -> str:
    outer = [n.name for n in module.around(node) if isinstance(n, Function | ast.ClassDef)]
    return ".".join(reversed(outer))


def _argument(
    module: Module, call: ast.Call, name: str, value: ast.expr, target: str
) -> ProxiesArgument:
    keyword = next((k for k in call.keywords if k.arg == "proxies"), None)
    edits = tuple(_without(module, keyword)) if keyword else ()
    place = module.place(keyword or call)
    text = ast.unparse(value)
    kind = "given"
    if isinstance(value, ast.Constant) and value.value is None:
        kind = "none"
    elif text in ("{}", "dict()"):
        kind = "empty"
    return ProxiesArgument(module, name, place, kind, f"proxies={text}", target, edits)


def _without(module: Module, keyword: ast.keyword) -> Iterator[Edit]:
    """The edit that takes an argument out with its comma; none where its surroundings are unusual."""
    data = module.data
    start = module.offset(keyword.lineno, keyword.col_offset)
    value = module.offset(keyword.value.lineno, keyword.value.col_offset)
    end = module.offset(keyword.value.end_lineno or 0, keyword.value.end_col_offset or 0)
    if not re.fullmatch(rb"proxies[ \t]*=[ \t]*", data[start:value]):
        return  # a bracket of its own
    after = re.compile(rb"[ \t]*(,?)[ \t]*").match(data, end)
    assert after
    if after.group(1):
        end = after.end()
    elif data[after.end() : after.end() + 1] not in (b")", b"\r", b"\n"):
        return  # a comment before the comma
    else:
        end = after.end() if data[after.end() : after.end() + 1] == b")" else end
    line = data.rfind(b"\n", 0, start) + 1
    newline = re.compile(rb"\r?\n").match(data, end)
    if not data[line:start].strip():
        # Alone on its line: the whole line goes, or all but its comment or bracket.
        yield Edit(line, newline.end(), b"") if newline else Edit(start, end, b"")
        return
    before = re.compile(rb",[ \t]*\Z").search(data, line, start)
    if before and not after.group(1):
        start = before.start()
    elif newline:
        start = line + len(data[line:start].rstrip(b" \t"))
    yield Edit(start, end, b"")


# Calls of the platform's own addresses.


class InternalCall(Struct, frozen=True):
    """A call of an address of the platform by a client that obeys proxy variables."""

    module: Module
    place: Place
    url: str


class InternalCalls(Fact, frozen=True):
    """The calls between the platform's services that would go through a proxy of the environment."""

    clients: Clients
    values: Values
    hosts: frozenset[str]

    limit = 20.0

    @classmethod
    def read(cls, platform: Platform, clients: Clients, values: Values) -> InternalCalls:
        return cls(clients, values, frozenset(name.lower() for name in platform.config.services))

    @cached_property
    def found(self) -> tuple[InternalCall, ...]:
        return tuple(_internal(self.clients.calls, self.values, self.hosts))


def _internal(calls: list[Call], values: Values, hosts: frozenset[str]) -> Iterator[InternalCall]:
    for call in calls:
        is_script = _SCRIPTS & set(Path(call.module.name).parts)
        if is_script or call.ignores_environment or not call.name.startswith("httpx."):
            continue
        for url in urls_of(call, values):
            text = values.beginning(call.module, url)[0]
            found = _URL.match(text)
            host = found.group(1).strip("[]").lower() if found else ""
            if host in hosts or host in ("localhost", "::1") or host.startswith("127."):
                yield InternalCall(call.module, call.place, text)
                break


def urls_of(call: Call, values: Values) -> Iterator[ast.expr]:
    """The addresses that a client is made for and that it is asked for."""
    if call.name not in _MAKERS:
        yield from _url(call.node, call.name.rpartition(".")[2])
        return
    named = arguments(values.source, call.module, call.node)[0]
    if "base_url" in named:
        yield named["base_url"]
        return
    for used in _uses(call.module, call.node):
        if isinstance(used.func, ast.Attribute) and used.func.attr in _METHODS:
            yield from _url(used, used.func.attr)


def _url(call: ast.Call, method: str) -> Iterator[ast.expr]:
    at = 1 if method in ("request", "stream") else 0
    yield from call.args[at : at + 1]
    yield from (k.value for k in call.keywords if k.arg == "url")


def _uses(module: Module, made: ast.Call) -> Iterator[ast.Call]:
    """The calls of methods of the client that is made there, by the name it is given."""
    outer = list(module.around(made))
    parent = outer[0]
    name = ""
    scope: ast.AST = next(n for n in outer if isinstance(n, Function | ast.Module))
    made_in = inside(module, scope) if isinstance(scope, Function) else module.scopes[0]
    if isinstance(parent, ast.withitem) and parent.optional_vars is not None:
        name, scope = dotted_name(parent.optional_vars), outer[1]
    elif isinstance(parent, ast.Assign | ast.AnnAssign):
        targets = parent.targets if isinstance(parent, ast.Assign) else [parent.target]
        name = dotted_name(targets[0])
        if name.startswith("self."):
            scope = next((n for n in outer if isinstance(n, ast.ClassDef)), scope)
        elif len(made_in.bindings.get(name, [])) != 1:
            return
    elif isinstance(parent, ast.Attribute) and isinstance(outer[1], ast.Call):
        yield outer[1]
    for node in ast.walk(scope) if name else ():
        method = node.func if isinstance(node, ast.Call) else None
        if isinstance(method, ast.Attribute) and dotted_name(method.value) == name:
            assert isinstance(node, ast.Call)
            yield node
