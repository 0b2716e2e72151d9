"""The Compose project as questions are asked of it: its services, ports, variables, mounts."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cached_property

from msgspec import Struct

from saas_doctor.compose.files import Loaded
from saas_doctor.compose.merge import as_build, as_names, as_pairs
from saas_doctor.compose.nodes import Node
from saas_doctor.compose.values import (
    Build,
    EnvFile,
    Mount,
    Port,
    Range,
    build_of,
    env_files,
    items,
    mount,
    port_or_none,
    range_or_none,
)
from saas_doctor.compose.variables import NotValid, lookup_in, read_env
from saas_doctor.model import Place
from saas_doctor.reading import read_bytes

STARTED, HEALTHY, COMPLETED = (
    "service_started",
    "service_healthy",
    "service_completed_successfully",
)


class Variable(Struct, frozen=True):
    """A variable of a service's environment.

    `value` is None for one that is given through from a shell where it is not set. `given` says
    whether it stands in the Compose file, and not in an env file. `known` is False where it has a
    part that is set nowhere.
    """

    name: str
    value: str | None
    place: Place
    node: Node | None = None
    known: bool = True
    inherited: bool = False

    @property
    def given(self) -> bool:
        return self.node is not None


class Dependency(Struct, frozen=True):
    """One service that another waits for."""

    name: str
    node: Node
    condition: str = STARTED
    required: bool = True


class Service(Struct, frozen=True, dict=True):
    """A service of the project; `key` is its name where it stands first."""

    name: str
    node: Node
    key: Node
    loaded: Loaded

    @property
    def place(self) -> Place:
        return self.key.place

    def known(self, key: str) -> str | None:
        """The text of a key; None where it is not set or not known."""
        node = self.node.get(key)
        return node.text if node and node.kind == "scalar" and not node.unset else None

    @property
    def image(self) -> str:
        return self.node.string("image")

    @property
    def network_mode(self) -> str:
        return self.node.string("network_mode")

    @cached_property
    def profiles(self) -> frozenset[str]:
        return frozenset(node.text for node in items(self.node.get("profiles")))

    @property
    def active(self) -> bool:
        """Whether `docker compose up` starts it."""
        return self.enabled and self.replicas != 0

    @property
    def enabled(self) -> bool:
        """Whether its profiles, if it has any, are asked for."""
        asked = {p.strip() for p in self.loaded.profiles.split(",")}
        return not self.profiles or "*" in asked or bool(self.profiles & asked)

    @property
    def replicas(self) -> int:
        """How many containers run it."""
        deploy = self.node.get("deploy")
        text = self.node.string("scale") or (deploy.string("replicas") if deploy else "")
        return int(text) if text.isdecimal() else 1

    @cached_property
    def ports(self) -> tuple[Port, ...]:
        """Its ports, as far as they are valid and known."""
        return tuple(port for port in map(port_or_none, items(self.node.get("ports"))) if port)

    @cached_property
    def listens(self) -> tuple[Range, ...]:
        """The ports of the container that `ports` and `expose` name."""
        exposed = (range_or_none(n.text.partition("/")[0]) for n in items(self.node.get("expose")))
        return (*(port.target for port in self.ports), *(r for r in exposed if r))

    @cached_property
    def names(self) -> frozenset[str]:
        """What other containers reach it by."""
        found = {self.name, self.node.string("container_name"), self.node.string("hostname")}
        networks = self.node.get("networks")
        for entry in networks.entries.values() if networks else ():
            found |= {node.text for node in items(entry.value.get("aliases"))}
        return frozenset(found - {""})

    @cached_property
    def extra_hosts(self) -> frozenset[str]:
        """The names that `extra_hosts` gives addresses of their own in its container."""
        node = self.node.get("extra_hosts")
        if node is None:
            return frozenset()
        if node.kind == "map":
            return frozenset(node.entries)
        return frozenset(re.split("[=:]", item.text, maxsplit=1)[0] for item in items(node))

    @property
    def reaches_the_machine(self) -> bool:
        """Whether `extra_hosts` gives this machine a name (`host-gateway`) in its container."""
        node = self.node.get("extra_hosts")
        return node is not None and "host-gateway" in node.source

    @cached_property
    def networks(self) -> frozenset[str]:
        """The networks that it is in; none where it has another's, or the machine's."""
        if self.network_mode:
            return frozenset()
        found = self.node.get("networks")
        return frozenset(as_names(found).entries) if found else frozenset({"default"})

    @cached_property
    def depends_on(self) -> Mapping[str, Dependency]:
        found = self.node.get("depends_on")
        return {
            name: Dependency(
                name,
                entry.key if entry.value.is_null else entry.value.get("condition") or entry.key,
                entry.value.string("condition") or STARTED,
                entry.value.string("required").lower() != "false",
            )
            for name, entry in (as_names(found).entries if found else {}).items()
        }

    @cached_property
    def env_files(self) -> tuple[EnvFile, ...]:
        return tuple(env_files(self.node.get("env_file")))

    @cached_property
    def environment(self) -> Mapping[str, Variable]:
        """What the container gets: env files in their order, and over them `environment`."""
        found: dict[str, Variable] = {}
        own = {v.name: v for v in self._own_environment()}
        values = {v.name: v.value for v in own.values() if v.value is not None}
        for file in self.env_files:
            found.update(self._given_by(file, {**values, **self.loaded.variables}))
        return {**found, **{k: v for k, v in own.items() if v.value is not None or k not in found}}

    def _given_by(
        self, file: EnvFile, variables: Mapping[str, str]
    ) -> Iterator[tuple[str, Variable]]:
        try:
            text = read_bytes(file.path).decode("utf-8-sig")
            found = read_env(text, lookup_in(variables), raw=file.raw)
        except (OSError, UnicodeDecodeError, NotValid):
            return  # a check says so
        name = self.loaded.name(file.path)
        for variable in found:
            place = Place(name, text.count("\n", 0, variable.start) + 1)
            yield variable.key, Variable(variable.key, variable.value, place)

    def _own_environment(self) -> Iterator[Variable]:
        entry = self.node.entries.get("environment")
        node = self.node.get("environment")
        if node is None or entry is None:
            return
        for name, item in as_pairs(node).entries.items():
            value: str | None = item.value.text
            if item.value.is_null:
                value = self.loaded.variables.get(name)
            elif isinstance(item.value.value, bool):
                value = item.value.text.lower()
            yield Variable(
                name,
                value,
                item.key.place,
                item.value,
                not item.value.unset and value is not None,
                entry.inherited or item.inherited,
            )

    @cached_property
    def build(self) -> Build | None:
        found = self.node.get("build")
        return build_of(as_build(found), found, self.loaded.variables) if found else None

    @property
    def healthcheck(self) -> Node | None:
        return self.node.get("healthcheck")

    @cached_property
    def health_is_checked(self) -> bool | None:
        """Whether the file gives it a health check, or takes the image's away; None: neither."""
        check = self.healthcheck
        if check is None:
            return None
        test = check.get("test")
        first = test.items[0].text if test and test.items else test.text if test else ""
        if check.string("disable").lower() in ("true", "1") or first == "NONE":
            return False
        return True if first else None

    @cached_property
    def volumes(self) -> tuple[Mount, ...]:
        return tuple(m for m in map(mount, items(self.node.get("volumes"))) if m)


class Project:
    """The services, and what else is declared, of a loaded project."""

    def __init__(self, loaded: Loaded) -> None:
        self.loaded = loaded
        self.root = loaded.root
        self.folder = loaded.files[0].folder

    @cached_property
    def services(self) -> Mapping[str, Service]:
        return {
            name: Service(name, node, key, self.loaded)
            for name, node, key in self._section("services")
            if node.kind == "map"
        }

    def declared(self, section: str) -> Mapping[str, Node]:
        """The `networks`, `volumes`, `secrets` or `configs` that the file declares."""
        return {name: node for name, node, _ in self._section(section)}

    def _section(self, section: str) -> Iterator[tuple[str, Node, Node]]:
        found = self.root.get(section)
        for name, entry in found.entries.items() if found else ():
            if entry.value.tag != "!reset":
                yield name, entry.value, entry.key
