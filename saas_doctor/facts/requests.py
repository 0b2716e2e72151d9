"""The requests that the front end's source makes to absolute addresses (`http://host:port/...`)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from saas_doctor.facts import Fact
from saas_doctor.facts.absolute import ABSOLUTE, Absolute, Address, is_in_mode
from saas_doctor.facts.built_in import BuiltIn
from saas_doctor.facts.frontend import BASES, CALLED, FrontendSource, SourceFile
from saas_doctor.facts.javascript import (
    arguments_of,
    bare,
    key_of,
    property_of,
    string_of,
    text_of,
    walk,
)
from saas_doctor.model import Place

if TYPE_CHECKING:
    from tree_sitter import Node

_CALLS = re.compile(
    rb"(?<![\w$])(?:\$?fetch|axios|ky|io|WebSocket|EventSource|Request"
    rb"|get|post|put|patch|delete|head|options)\s*(?:<[^()]{0,99}>\s*)?\("
)
_BASE = re.compile(rb"(?<![\w$])(?:baseURL|baseUrl|prefixUrl|BASE)[\"']?\s*[:=](?!=)")
_METHODS = {"get", "post", "put", "patch", "delete", "head", "options"}
_CLIENTS = {"axios", "ky"}
_PARTS_OF_A_NAME = {
    "property_identifier",
    "string",
    "string_fragment",
    "member_expression",
}
_CREATED = {"axios.create", "ky.create", "ky.extend", "ofetch.create", "$fetch.create"}


class Request(Struct, frozen=True):
    """One call of an absolute address, as far as it is written out; headers in lower case.

    `place` is the call's. `json`: it surely sends JSON.
    """

    address: Address
    place: Place
    method: str = "GET"
    headers: frozenset[str] = frozenset()
    json: bool = False


class FrontendRequests(Fact, frozen=True):
    """The absolute addresses that the front end calls, or sets as a client's base."""

    requests: tuple[Request, ...]

    limit = 15.0

    @classmethod
    def read(cls, source: FrontendSource, variables: BuiltIn) -> FrontendRequests:
        held = any(ABSOLUTE.match(v.value) for v in variables.development.values())
        if not held and not any(b"://" in file.data for file in source.files):
            return cls(())
        reader = _Reader(Absolute(source, variables))
        return cls(tuple(r for file in source.files for r in reader.requests(file)))


class _Client(Struct, frozen=True):
    """A client with a base address (`axios.create({ baseURL })`)."""

    address: Address
    headers: frozenset[str]


class _Reader:
    def __init__(self, absolute: Absolute) -> None:
        self.absolute = absolute
        self.clients: dict[tuple[Path, str], _Client | None] = {}

    def client(self, file: SourceFile, name: str) -> _Client | None:
        """The client with a base address that a name stands for."""
        key = file.path, name
        if key not in self.clients:
            self.clients[key] = self._client(file, name)
        return self.clients[key]

    def _client(self, file: SourceFile, name: str) -> _Client | None:
        found = self.absolute.defined(file, name)
        if found is None or bare(found[1]).type != "call_expression":
            return None
        home, call = found[0], bare(found[1])
        given = arguments_of(call)
        if text_of(call.child_by_field_name("function")) not in _CREATED or not given:
            return None
        base = next((v for k in BASES if (v := property_of(given[0], k)) is not None), None)
        address = self.absolute.address(home, base) if base is not None else None
        if address is None:
            return None
        headers = _headers(given[0])
        if b"interceptors.request" in home.data:
            headers |= _set_by_interceptors(home)
        return _Client(address, headers)

    def requests(self, file: SourceFile) -> Iterator[Request]:
        for found in _CALLS.finditer(file.data):
            node = file.at(found.start())
            around = node.parent
            if around is not None and around.type == "member_expression":
                around = around.parent
            if around is not None and around.type in ("call_expression", "new_expression"):
                yield from self._call(file, around)
        for found in _BASE.finditer(file.data):
            around = file.at(found.start())
            while around.type in _PARTS_OF_A_NAME and around.parent is not None:
                around = around.parent
            value = around.child_by_field_name("value") or around.child_by_field_name("right")
            if value is not None and around.type in ("pair", "assignment_expression"):
                address = self.absolute.address(file, value)
                if address and not is_in_mode(around):
                    yield Request(address, file.place(around))

    def _call(self, file: SourceFile, node: Node) -> Iterator[Request]:
        function = node.child_by_field_name("function") or node.child_by_field_name("constructor")
        called, given = text_of(function), arguments_of(node)
        owner, _, method = called.rpartition(".")
        if not given:
            return
        if called in CALLED | {"axios", "ky", "$fetch", "WebSocket", "io"}:
            address = self.absolute.address(file, given[0])
            options = given[1] if len(given) > 1 else None
            if address and not is_in_mode(node):
                yield self._request(address, file.place(node), _method(options), options)
        elif method in _METHODS and owner.isidentifier():
            yield from self._call_of_client(file, node, owner, method)

    def _call_of_client(
        self, file: SourceFile, node: Node, owner: str, method: str
    ) -> Iterator[Request]:
        """`client.put(path, data, options)`."""
        given = arguments_of(node)
        own = None if owner in _CLIENTS else self.client(file, owner)
        told = string_of(bare(given[0]))
        if owner in _CLIENTS:
            address = self.absolute.address(file, given[0])
        elif told and ABSOLUTE.match(told[0]):
            return  # to an address of its own
        else:
            address = own.address if own else None
        if address is None or is_in_mode(node):
            return
        with_data = method in ("post", "put", "patch")
        options = given[2 if with_data else 1] if len(given) > (2 if with_data else 1) else None
        data = given[1] if with_data and len(given) > 1 else None
        request = self._request(address, file.place(node), method.upper(), options)
        yield replace(
            request,
            headers=request.headers | (own.headers if own else frozenset()),
            json=request.json or (data is not None and bare(data).type == "object"),
        )

    @staticmethod
    def _request(address: Address, place: Place, method: str, options: Node | None) -> Request:
        headers = _headers(options) if options is not None else frozenset()
        given = property_of(options, "headers") if options is not None else None
        kind = property_of(given, "Content-Type") if given is not None else None
        sent = string_of(kind) if kind is not None else None
        return Request(address, place, method, headers, json=bool(sent and "json" in sent[0]))


def _method(options: Node | None) -> str:
    value = property_of(options, "method") if options is not None else None
    told = string_of(value) if value is not None else ("GET", True)
    return told[0].upper() if told else ""


def _headers(options: Node) -> frozenset[str]:
    given = property_of(options, "headers")
    keys = (
        (key_of(n) for n in given.named_children if n.type == "pair") if given is not None else ()
    )
    return frozenset(key.lower() for key in keys if key)


_HEADER_SET = re.compile(
    r"headers(?:\.common)?(?:\.(\w+)|\[\s*['\"]([\w-]+)['\"]\s*\])\s*=(?!=)"
    r"|headers\.set\(\s*['\"]([\w-]+)['\"]"
)


def _set_by_interceptors(file: SourceFile) -> frozenset[str]:
    """The headers that `client.interceptors.request.use(...)` sets on every request."""
    found: set[str] = set()
    for node in walk(file.root):
        if node.type == "call_expression" and text_of(
            node.child_by_field_name("function")
        ).endswith("interceptors.request.use"):
            for groups in _HEADER_SET.findall(text_of(node)):
                found |= {group.lower() for group in groups if group}
    return frozenset(found - {"common"})
