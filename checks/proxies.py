"""Proxies that swallow calls between services, that can't be used, or that do not answer."""

from __future__ import annotations

import re
from collections.abc import Iterator

from msgspec import Struct

from saas_doctor.facts.addresses import Addresses
from saas_doctor.facts.clients import Clients
from saas_doctor.facts.compose import Compose
from saas_doctor.facts.no_proxy import Target
from saas_doctor.facts.packages import Installed
from saas_doctor.facts.proxies import Proxies, Scope, compose_edit
from saas_doctor.facts.proxy_answers import ProxyAnswers
from saas_doctor.facts.proxy_clients import ProxyClients
from saas_doctor.facts.proxy_files import DockerProxies, ToolProxies
from saas_doctor.model import Finding, Severity
from saas_doctor.rules import check


@check(
    "NET402",
    symptoms=(
        r"httpx\.ConnectError: \[Errno (?:111|61)\] Connection refused",
        r"All connection attempts failed",
        r"50[23] (?:Bad Gateway|Service Unavailable)",
    ),
)
def proxy_swallows_calls(
    proxies: Proxies, clients: Clients, used: ProxyClients
) -> Iterator[Finding]:
    """A proxy variable swallows the calls between the services.

    Calls to this machine then go to a proxy that can't reach it, and fail with `Connection refused`
    or 502, as though the service were down; curl may work, since it reads other spellings.

    **Detected** in the shell's environment (all eight spellings, the lower case one wins), in
    `.env`, and in the environment that the compose file gives its services, as the clients read them
    that the source imports. For httpx, NO_PROXY is a list with commas, `localhost` does not cover
    `127.0.0.1`, and networks such as `127.0.0.0/8` cover nothing; requests knows networks, and takes
    the ends of names (since 2.34 whole parts of them); urllib knows no ALL_PROXY. Each address that
    a service listens on counts (`127.0.0.2`). A warning for the shell; an error where the services
    surely get it; no more than a note where all clients are made with `trust_env=False`.
    **Fixed** in `.env`, and in the service's `environment` in the compose file, where NO_PROXY gets
    the services' hosts; `undo` brings the old line back. For a shell: `eval "$(saas-doctor env)"`.
    **Silent** when NO_PROXY covers the services, and about proxies for `https://` alone.
    """
    for scope in proxies.scopes:
        by_client = {client: scope.swallowed_by(client) for client in used.names}
        client = next((name for name, found in by_client.items() if found), None)
        if client is None:
            continue
        swallowed = [t for t in scope.targets if any(t in found for found in by_client.values())]
        first = by_client[client][0]
        key = scope.key_for(first)
        value = scope.no_proxy_with([*swallowed])
        edit = compose_edit(scope, key, value)
        yield Finding(
            f"{key} in {scope.name} sends calls to {first} through a proxy",
            looked_at=f"{scope.name}, as {client} reads it",
            found=f"{key}={scope.shown(key)}, NO_PROXY={scope.no_proxy or '(not set)'}; "
            f"not covered: {', '.join(map(str, swallowed))}",
            wanted=f"NO_PROXY that covers {', '.join(dict.fromkeys(t.host for t in swallowed))}",
            target=scope.name,
            place=scope.places.get(key),
            next_step=_no_proxy_step(scope, value),
            severity=_severity(scope, clients),
            data={
                "value": value,
                "key": scope.no_proxy_key,
                "edit": edit,
                "no_fix": not (scope.editable or edit),
            },
            more={"clients": clients.shown},
        )


def _no_proxy_step(scope: Scope, value: str) -> str:
    if scope.is_shell:
        # The lower case one wins, so it is the one to set where it is there.
        return (
            f"export {scope.no_proxy_key}={value}  (then start the services from this shell), "
            'or eval "$(saas-doctor env)"'
        )
    return f"set {scope.no_proxy_key}={value} in {scope.name}"


def _severity(scope: Scope, clients: Clients) -> Severity:
    if clients.all_ignore_environment:
        return Severity.INFO
    given = scope.reaches_services or (scope.editable and clients.load_settings_file)
    return Severity.ERROR if given else Severity.WARNING


@check(
    "NET403",
    needs=("PY101",),
    symptoms=(
        r"Using SOCKS proxy, but the 'socksio' package is not installed",
        r"Missing dependencies for SOCKS support",
        r"Unknown scheme for proxy URL",
        r"httpx\.InvalidURL: Invalid port",
    ),
)
def proxy_can_not_be_used(
    proxies: Proxies, installed: Installed, clients: Clients, used: ProxyClients
) -> Iterator[Finding]:
    """A proxy variable has a value that httpx or requests can't use.

    httpx fails when a client is *made*, also for a call to this machine and also when NO_PROXY
    covers it: `Using SOCKS proxy, but the 'socksio' package is not installed`,
    `Unknown scheme for proxy URL`, or `Invalid port: ':1]'`, where it can make no URL of a proxy
    (a `/`, `#` or `?` in its password) or of an entry of NO_PROXY: `[::1]` in brackets, a network
    of IPv6, a port that is no number. That needs no proxy. requests fails when it calls what NO_PROXY does not cover:
    `Missing dependencies for SOCKS support`.

    **Detected** in the same places as NET402, with the packages of the platform's environment.
    **Fixed** by installing `socksio` there (PySocks for requests); `undo` removes it. An unknown
    scheme (`socks://`, `socks4://` for httpx, with httpx before 0.28 `socks5h://`) and what is no
    URL have no fix but another value; for a shell, `eval "$(saas-doctor env)"`.
    **Silent** without httpx and requests, with what SOCKS needs, and with `NO_PROXY=*`. A note where
    all clients are made with `trust_env=False`.
    """
    for scope in proxies.scopes:
        broken = scope.unreadable if installed.get("httpx") else {}
        for key, text in broken.items():
            yield _no_url(scope, key, text, installed, clients)
        usable = {k: v for k, v in scope.in_effect.items() if k not in broken}
        for key, value in usable.items() if not scope.no_proxy_is_all else ():
            scheme = value.partition("://")[0].lower() if "://" in value else "http"
            for needs in (
                _httpx_needs(scheme, installed),
                _requests_needs(scheme, installed, used),
            ):
                if needs:
                    yield _unusable(scope, key, scheme, needs, installed, clients)


def _no_url(scope: Scope, key: str, text: str, installed: Installed, clients: Clients) -> Finding:
    httpx = installed.get("httpx")
    assert httpx
    if key in scope.in_effect:
        step = f"write %2F for a `/` in the password of {key}, %23 for a `#`, %3F for a `?`"
    else:
        step = f"{key}={scope.no_proxy_with([])}"
        step = f"export {step}" if scope.is_shell else f"set {step} in {scope.name}"
    return Finding(
        f"{key} in {scope.name} is such that httpx can make no client",
        looked_at=f"{scope.name}, as httpx {httpx.version} reads it",
        found=f"httpx can make no URL of {text}",
        wanted="addresses without brackets, ports that are numbers, no sign of a URL in a password",
        target=f"{scope.name}:{key}",
        place=scope.places.get(key),
        next_step=step + (', or eval "$(saas-doctor env)"' if scope.is_shell else ""),
        severity=_severity(scope, clients),
        data={"no_fix": True},
        more={"clients": clients.shown},
    )


class _Needs(Struct, frozen=True):
    """What a client lacks for a proxy; without a requirement, it knows no such scheme."""

    client: str
    requirement: str
    known: str = ""


def _httpx_needs(scheme: str, installed: Installed) -> _Needs | None:
    httpx = installed.get("httpx")
    if httpx is None:
        return None
    known = {"http", "https", "socks5"}
    if httpx.version.release >= (0, 28):
        known.add("socks5h")
    if scheme not in known:
        return _Needs("httpx", "", ", ".join(sorted(known)))
    lacks = scheme.startswith("socks") and not installed.get("socksio")
    return _Needs("httpx", "socksio>=1,<2") if lacks else None


def _requests_needs(scheme: str, installed: Installed, used: ProxyClients) -> _Needs | None:
    if installed.get("requests") is None or not used.requests or installed.get("pysocks"):
        return None
    known = scheme in ("socks4", "socks4a", "socks5", "socks5h")
    return _Needs("requests", "PySocks>=1.7,<2") if known else None


def _unusable(
    scope: Scope, key: str, scheme: str, needs: _Needs, installed: Installed, clients: Clients
) -> Finding:
    client = installed.get(needs.client)
    assert client
    shown, package = scope.shown(key), needs.requirement.partition(">")[0]
    of_requests = needs.client == "requests"
    return Finding(
        f"{key} in {scope.name} names a {scheme} proxy, "
        + (f"and {package} is not installed" if package else "a scheme httpx does not know"),
        looked_at=f"{scope.name} and {installed.name}",
        found=f"{key}={shown}, {needs.client} {client.version}"
        + (f", no {package}" if package else ""),
        wanted=f"{package} beside {needs.client}" if package else f"one of {needs.known}",
        target=f"{scope.name}:{key}" + (":requests" if of_requests else ""),
        place=scope.places.get(key),
        next_step=f"saas-doctor fix --select NET403 installs {package}"
        if package
        else f"write {key}={_known_scheme(shown)}, or unset it",
        severity=_severity(scope, clients),
        data={"no_fix": not package, "requirement": needs.requirement},
        more={"clients": clients.shown},
    )


def _known_scheme(value: str) -> str:
    return f"socks5://{value.partition('://')[2]}"


@check(
    "NET406",
    severity=Severity.WARNING,
    symptoms=(
        r"Cannot connect to proxy",
        r"ProxyError\('(?:Cannot|Unable to) connect to proxy",
        r"tunneling socket could not be established",
    ),
)
def proxy_does_not_answer(
    proxies: Proxies, tools: ToolProxies, answers: ProxyAnswers
) -> Iterator[Finding]:
    """A proxy that variables or files name does not answer.

    What goes through it fails: `Cannot connect to proxy`, `Connection refused`, or nothing for a
    minute. Installing packages is mostly the first thing to.

    **Detected** by a connection to each proxy of this shell, of `.env`, and of pip's and npm's own
    configuration: nothing is called through it, it is greeted, within two and a half seconds.
    **To mend**, start the proxy (a VPN, a desktop's client), or take the setting out.
    **Silent** about proxies that only containers reach, and about what a proxy answers.
    """
    named: dict[str, list[str]] = {}
    for scope in proxies.scopes:
        for key, value in scope.in_effect.items() if scope.service is None else ():
            named.setdefault(value, []).append(f"{key} in {scope.name}")
    for tool in tools.all:
        where = (
            tool.where if tool.where.endswith("shell") else f"{tool.tool}'s proxy in {tool.where}"
        )
        named.setdefault(tool.value, []).append(where)
    told: dict[str, list[str]] = {}
    for value, places in named.items():
        asked = answers.by_value.get(value)
        if asked and asked.problem:
            told.setdefault(f"{asked.host}:{asked.port} {asked.problem}", []).extend(places)
    for problem, places in told.items():
        yield Finding(
            f"the proxy at {problem}",
            looked_at=", ".join(places),
            found=problem,
            wanted="an answer, or no proxy",
            target=problem.partition(" ")[0],
            next_step=f"start it, or take out {' and '.join(places)}",
        )


@check("NET407", severity=Severity.WARNING, needs=("DOCK601",), symptoms=(r"httpProxy",))
def docker_swallows_calls(
    docker: DockerProxies, compose: Compose, addresses: Addresses
) -> Iterator[Finding]:
    """Docker's client gives every container a proxy, and calls between containers go through it.

    `proxies` in `~/.docker/config.json` becomes HTTP_PROXY and NO_PROXY in each container and each
    build. A service that calls another by its name then asks the proxy for it.

    **Detected** in that file, for the services of the compose file that others call by their names,
    where `noProxy` does not name them and the service's own `environment` sets no NO_PROXY.
    **To mend**, name them in `noProxy`, or set NO_PROXY in `environment`, which counts before it.
    **Silent** about a proxy for `https://` alone, and where no two services are in containers.
    """
    inside = [n for n in addresses.services if n in compose.known_services]
    missed: dict[str, list[str]] = {}
    for caller in inside:
        own = compose.known_services[caller].environment
        if any(name.upper() in ("NO_PROXY", "HTTP_PROXY") for name in own):
            continue
        for called in inside:
            target = Target(called, addresses.services[called].port)
            if called != caller and docker.swallows(target):
                missed.setdefault(called, []).append(caller)
    if missed:
        value = ",".join([*filter(None, [docker.no_proxy]), *missed])
        yield Finding(
            f"Docker gives every container a proxy, also for calls to {' and '.join(missed)}",
            looked_at=f"{docker.where}; {compose.name}",
            found=f"httpProxy {_without_password(docker.http)}, noProxy "
            f"{docker.no_proxy or '(not set)'}",
            wanted=f"noProxy that names {', '.join(missed)}",
            target=docker.where,
            next_step=f'write "noProxy": "{value}" in {docker.where}, then make the containers anew',
        )


def _without_password(text: str) -> str:
    return re.sub(r"^((?:[\w+.-]+://)?[^:/@]*):.*@", r"\1:***@", text)
