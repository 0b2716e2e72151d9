"""The addresses in the environment of the Compose services, and which service each one means."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from msgspec import Struct

from saas_doctor.compose.model import Service, Variable
from saas_doctor.facts import Fact
from saas_doctor.facts.builds import Builds
from saas_doctor.facts.compose import Compose
from saas_doctor.facts.images import STORES, Store, store_of
from saas_doctor.facts.mounted import configurations, scripts

_ADDRESS = re.compile(
    r"(?:(?P<scheme>[a-z][a-z0-9+.\-]*)://(?:[^\s/@'\"]*@)?|(?<![\w.:/@\-]))"
    r"(?P<whole>(?P<host>\[::1\]|[A-Za-z0-9][\w.\-]*)(?::(?P<port>\d{1,5}))?)(?![\w.:@])"
)
_HERE = re.compile(r"localhost|127(\.\d{1,3}){3}|\[?::1\]?")
_HOST = re.compile(r"(?P<stem>[A-Z][A-Z0-9_]*?)_?(?:HOST|SERVER|HOSTNAME)")
_STEMS = ("DB", "DATABASE", *(word for store in STORES for word in store.words))
# What an image is given that is to run such a server itself.
_SERVERS = {
    port: re.compile(rf"\b(?:apk|apt|apt-get|dnf|yum)\b[^&;|]*(?<![\w-])(?:{name})(?![\w-])")
    for port, name in {
        5432: r"postgresql(?:-?\d+)?",
        6379: "redis|redis-server|valkey|valkey-server",
        3306: "(?:mysql|mariadb)(?:-server)?",
        5672: "rabbitmq-server",
        27017: "mongodb(?:-org)?",
    }.items()
}
_WEB = {"http": 80, "https": 443, "ws": 80, "wss": 443}


class Call(Struct, frozen=True):
    """An address that a service's variable holds. `whole` is `host:port` as it stands there.

    `store` is what is asked for at it, where the scheme or the variable's name tells.
    `port_variable` holds the port, where it is one of its own.
    """

    service: Service
    variable: Variable
    host: str
    port: int
    whole: str
    scheme: str = ""
    store: Store | None = None
    port_variable: Variable | None = None

    @property
    def is_here(self) -> bool:
        """Whether it means the container itself."""
        return bool(_HERE.fullmatch(self.host))

    @property
    def is_web(self) -> bool:
        return self.scheme in _WEB

    @property
    def shown(self) -> str:
        return f"{self.host}:{self.port}"


class ComposeCalls(Fact, frozen=True):
    """Where the services of the Compose file call each other, by their environment."""

    calls: tuple[Call, ...]
    services: Mapping[str, Service]
    builds: Builds

    @classmethod
    def read(cls, compose: Compose, builds: Builds) -> ComposeCalls:
        found = (call for service in compose.services.values() for call in _calls(service))
        return cls(tuple(found), compose.services, builds)

    def others(self, service: Service) -> list[Service]:
        """The services that it can be together with, apart from it."""
        return [
            other
            for other in self.services.values()
            if other is not service
            and (not other.profiles or other.active or other.profiles & service.profiles)
        ]

    def reachable(self, service: Service, other: Service) -> bool:
        """Whether the one reaches the other by its name."""
        return bool(service.networks & other.networks)

    def ports(self, service: Service) -> list[int]:
        """The container's ports that it is known to listen at."""
        found = [p for r in service.listens for p in range(r.first, min(r.last, r.first + 99) + 1)]
        store = store_of(service.image)
        return list(dict.fromkeys([*found, *([store.port] if store else [])]))

    def may_listen(self, service: Service, port: int) -> bool:
        """Whether the file, the Dockerfile, or what that starts or mounts, says that it listens there."""
        if any(port in numbers for numbers in service.listens):
            return True
        if (store := store_of(service.image)) and store.port == port:
            return True
        number = re.compile(rf"(?<!\d){port}(?!\d)")
        for variable in service.environment.values():
            stem = variable.name.removesuffix("PORT").rstrip("_")
            # POSTGRES_PORT is where it calls.
            its_own = variable.name.endswith("PORT") and not stem.endswith(_STEMS)
            if its_own and variable.value == str(port):
                return True
        for key in ("command", "entrypoint", "healthcheck"):
            node = service.node.get(key)
            if node and number.search(node.source):
                return True
        build = self.builds.of(service.name)
        if build and build.dockerfile:
            for stage in build.dockerfile.final(build.build.target):
                for instruction in stage.instructions:
                    runs = instruction.name in ("EXPOSE", "CMD", "ENTRYPOINT", "HEALTHCHECK", "ENV")
                    if runs and number.search(instruction.text):
                        return True
                    server = _SERVERS.get(port) if instruction.name == "RUN" else None
                    if server and server.search(instruction.text):
                        return True
        texts = [*configurations(service), *(scripts(build) if build else ())]
        return any(number.search(text.decode("utf-8", "replace")) for text in texts)


def _calls(service: Service) -> Iterator[Call]:
    environment = service.environment
    for variable in environment.values():
        value = variable.value
        if not value or not variable.known:
            continue
        if call := _host_alone(service, variable, environment):
            yield call
            continue
        for found in _ADDRESS.finditer(value):
            scheme = found["scheme"] or ""
            kind = scheme.partition("+")[0]
            store = next((s for s in STORES if kind in s.schemes), None)
            port = found["port"] or _WEB.get(scheme) or (store.port if store else None)
            if port and int(port) <= 65535:
                yield Call(
                    service, variable, found["host"], int(port), found["whole"], scheme, store
                )


def _host_alone(
    service: Service, variable: Variable, environment: Mapping[str, Variable]
) -> Call | None:
    """`DB_HOST=...`, with the port of `DB_PORT`, else the usual one."""
    found = _HOST.fullmatch(variable.name)
    value = variable.value or ""
    if not found or not re.fullmatch(r"[\w.\-]+|::1", value):
        return None
    stem = found["stem"]
    port = environment.get(f"{stem}_PORT") or environment.get(f"{stem}PORT")
    number = port.value if port and port.known and port.value else ""
    stores = [s for s in STORES if any(stem.endswith(word) for word in s.words)]
    if stem.endswith(("DB", "DATABASE")):
        stores = stores or [s for s in STORES if str(s.port) == number]
    elif not stores:
        return None
    number = number or (str(stores[0].port) if stores else "")
    if not number.isdigit() or int(number) > 65535:
        return None
    store = stores[0] if stores else None
    return Call(service, variable, value, int(number), value, store=store, port_variable=port)
