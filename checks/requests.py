"""The addresses that the front end calls."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from msgspec import Struct

from saas_doctor.facts.absolute import ABSOLUTE, Address
from saas_doctor.facts.built_in import BuiltIn, ComposeServices
from saas_doctor.facts.cors import Cors
from saas_doctor.facts.frontend import FrontendPackage, FrontendSource
from saas_doctor.facts.named_ports import NamedPorts
from saas_doctor.facts.requests import FrontendRequests
from saas_doctor.facts.source import Source
from saas_doctor.model import Finding, Severity
from saas_doctor.platform import Platform
from saas_doctor.rules import check

_LOCAL = {"localhost", "127.0.0.1", "[::1]", "0.0.0.0"}
# Programs that a page calls on its user's own machine: Ollama, LM Studio, Supabase.
_OTHERS = {11434, 1234, 54321}
_DEVELOPMENT = (".local", ".development")


@check("WEB804", severity=Severity.WARNING, symptoms=(r"net::ERR_NAME_NOT_RESOLVED",))
def address_written_out(
    requests: FrontendRequests,
    files: FrontendSource,
    built_in: BuiltIn,
    package: FrontendPackage,
    compose: ComposeServices,
    ports: NamedPorts,
    source: Source,
    cors: Cors,
    platform: Platform,
) -> Iterator[Finding]:
    """The front end calls the back end by an address that is right on one machine only.

    `http://localhost:8000` means the visitor's own machine, and needs the right CORS settings even
    here; a path (`/api/...`) needs neither. `http://gateway:8000` is a name between containers: no
    browser knows it, wherever the dev server runs.

    **Detected** in what the source calls (`fetch`, axios, a client's base address; constants,
    imports and `VITE_` variables followed) and in the variables that are built in. It is an error
    where the host is a service of the compose file, or where no file of the platform names the
    port and the path is one of its API's.
    **To mend**, call by a path and let the dev server's proxy pass it on (WEB803), or set the
    address by a variable for each place that it is built for.
    **Silent** about fallbacks and choices by mode (`import.meta.env.VITE_API_URL ?? '...'`), about
    variables for development (`.env.development`, `.env.local`), comments, tests, mocks, links,
    other programs on this machine, and source that runs on a server as well. It is only named
    (info) where a variable holds the address or CORS is right for it.
    """
    judge = _Judge(platform, compose, ports, source, cors, package.runs_on_a_server)
    called = [r.address for r in requests.requests if r.address.sure]
    named = [
        Address(v.value, v.place, v.name)
        for v in built_in.all
        if v.file in (platform.config.compose_file, ".env.production") and ABSOLUTE.match(v.value)
        if any(v.name.encode() in file.data for file in files.files)
    ]
    seen: set[str] = set()
    for address in [*called, *named]:
        if address.variable in built_in.configured:
            continue  # it may be no more than the proxy's target
        same = [a for a in called if a.origin == address.origin] or [address]
        finding = judge.finding(address, same)
        if finding and finding.target not in seen:
            seen.add(finding.target)
            yield finding


class _Judge(Struct, frozen=True):
    """What is said of an address, and by what it is judged."""

    platform: Platform
    compose: ComposeServices
    ports: NamedPorts
    source: Source
    cors: Cors
    on_a_server: bool

    def finding(self, address: Address, same: Sequence[Address]) -> Finding | None:
        """What is to be said of an address; `same` are all that begin like it."""
        host, port = _host_and_port(address.origin)
        services = self.platform.config.services
        if host in self.compose.names - _LOCAL and not self.on_a_server:
            why = f"and {host} is a name between containers, which no browser knows"
            return self._finding(address, same, why, Severity.ERROR)
        if host not in _LOCAL or port is None:
            return None
        service = next((n for n, s in services.items() if s.port == port), None)
        if service is not None or port in self.compose.ports:
            severity = self._when_right(address, service)
            why = "which is the visitor's own machine"
            return self._finding(address, same, why, severity) if severity else None
        if not services or port in _OTHERS or self.ports.has(port):
            return None
        paths = [a for a in same if self._is_of_the_api(a)]
        if not paths:
            return None
        why = f"and nothing of the platform is at port {port}"
        return self._finding(paths[0], same, why, Severity.ERROR)

    def _when_right(self, address: Address, service: str | None) -> Severity | None:
        """How much it matters that the address is this machine's; None where it is as it should be."""
        file = address.place.path.rpartition("/")[2]
        if address.variable:
            if file.startswith(".env.production"):
                return Severity.WARNING
            meant = file.endswith(_DEVELOPMENT) or file == self.platform.config.compose_file
            return None if meant else Severity.INFO
        frontend = self.platform.config.frontend
        middlewares = self.cors.of_service(service) if service else ()
        wanted = frontend.origins if frontend else ()
        right = wanted and any(all(m.allows(o) for o in wanted) for m in middlewares)
        return Severity.INFO if right else Severity.WARNING

    def _is_of_the_api(self, address: Address) -> bool:
        """Whether the path is one that the platform's source or its services know."""
        api = self.platform.config.frontend.api if self.platform.config.frontend else "/api"
        prefix, _, rest = address.path.partition(api.rstrip("/") + "/")
        name = rest.split("/")[0].split("?")[0]
        known = name in self.platform.config.services or any(self.source.mentioning(f"/{name}"))
        return not prefix and len(name) > 1 and known

    def _finding(
        self, address: Address, same: Sequence[Address], why: str, severity: Severity
    ) -> Finding:
        frontend = self.platform.config.frontend
        api = frontend.api if frontend else "/api"
        held = f"{address.variable} ({address.place})" if address.variable else str(address.place)
        more = {str(a.place) for a in same} - {str(address.place)}
        return Finding(
            f"the front end calls {address.origin}, {why}",
            looked_at=held,
            found=address.url + (f", and at {len(more)} more place(s)" if more else ""),
            wanted=f"a path ({api}/...), or an address that the browser reaches",
            target=address.origin,
            place=address.place,
            severity=severity,
            next_step=f"set {address.variable} in {address.place.path} to what the browser reaches"
            if address.variable
            else f"call {api}/... at {address.place}, which the dev server's proxy passes on",
        )


def _host_and_port(origin: str) -> tuple[str, int | None]:
    scheme, _, rest = origin.partition("://")
    host, colon, port = rest.rpartition(":")
    if not colon or not port.isdigit():
        return rest.lower(), {"http": 80, "ws": 80}.get(scheme, 443)
    return host.lower(), int(port) if len(port) < 6 else None
